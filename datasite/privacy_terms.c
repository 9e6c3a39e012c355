#include "datasite/privacy_terms.h"

#include "crypto/privacy_plan.h"
#include "datasite/account.h"
#include "datasite/store_ledger.h"

#include <math.h>

struct error *privacy_terms_epsilon(struct store *store, const struct job *job, uint32_t rounds,
                                    double *ret_epsilon)
{
    struct error *err = NULL;
    struct account account;
    TRY(account_of_budget(job, rounds, &account));
    TRY(account_epsilon(store == NULL ? NULL : store_epsilons(store), &account, ret_epsilon));
done:
    return err;
}

struct error *privacy_terms_target(struct store *store, const struct job *job)
{
    struct error *err = NULL;
    struct account account;
    double epsilon = INFINITY;
    if (!privacy_plan_has_both(job))
        goto done;
    TRY(account_of_promise(job, job->rounds, &account));
    TRY(account_epsilon(store_epsilons(store), &account, &epsilon));
    TRY(privacy_plan_meets(job, epsilon));
done:
    return err;
}

/* ---- rules ---- */

static bool wants_privacy(const struct policy_output *output)
{
    return (output->require & POLICY_REQUIRE_PRIVACY) != 0;
}

static bool gate_wants_privacy(const struct policy_gate *gate)
{
    bool wants = wants_privacy(&gate->output);
    for (size_t i = 0; i < gate->dataset_count; i++)
        wants = wants || wants_privacy(&gate->datasets[i].output);
    return wants;
}

/* Whether a dataset that shares records with this one is to be let out with noise alone. */
static struct error *pool_wants_privacy(struct store *store, const struct policy_gate *gate,
                                        const struct dataset_info *dataset, bool *ret_wants)
{
    struct error *err = NULL;
    struct dataset_info *infos = NULL;
    size_t count = 0;
    int64_t pool = 0;
    bool wants = false;
    TRY(pool_of_dataset(store, dataset->id, &pool));
    if (pool == 0 || !gate_wants_privacy(gate))
        goto found;
    TRY(store_dataset_list(store, &infos, &count));
    for (size_t i = 0; !wants && i < count; i++) {
        int64_t other = 0;
        if (!wants_privacy(policy_gate_output(gate, infos[i].name)))
            continue;
        TRY(pool_of_dataset(store, infos[i].id, &other));
        wants = other == pool;
    }
found:
    *ret_wants = wants;
done:
    free(infos);
    return err;
}

static struct error *terms_require(struct store *store, const struct policy_gate *gate, const struct job *job,
                                   const struct dataset_info *dataset)
{
    struct error *err = NULL;
    bool wants = false;
    if (job_private(job))
        goto done;
    if (wants_privacy(policy_gate_output(gate, job->dataset)))
        FAIL(ERROR_REFUSED,
             "This site's policy lets numbers about \"%s\" out with noise alone (`require: "
             "[privacy]` of its output rules): a job with privacy.mechanism would do.",
             job->dataset);
    if (store != NULL && dataset != NULL)
        TRY(pool_wants_privacy(store, gate, dataset, &wants));
    if (wants) /* which dataset that is, is the owner's affair */
        FAIL(ERROR_REFUSED,
             "This site's policy lets numbers about records of \"%s\" out with noise alone (`require: "
             "[privacy]` of its output rules): a job with privacy.mechanism would do.",
             job->dataset);
done:
    return err;
}

struct error *privacy_terms_check(struct store *store, const struct policy_gate *gate, const struct job *job,
                                  const struct dataset_info *dataset, uint32_t rounds, uint32_t runs)
{
    struct error *err = NULL;
    const struct policy_privacy *rules = &policy_gate_output(gate, job->dataset)->privacy;
    char why[POLICY_WHY_BYTES];
    double epsilon = INFINITY;
    TRY(terms_require(store, gate, job, dataset));
    if (rules->max_epsilon > 0)
        TRY(privacy_terms_epsilon(store, job, rounds, &epsilon));
    if (!policy_privacy_admits(rules, job, epsilon, runs, why))
        FAIL(
            ERROR_REFUSED,
            "This site's policy for \"%s\" %s (`privacy` of its output rules): a job that keeps it would do.",
            job->dataset, why);
done:
    return err;
}

struct error *privacy_terms_admit(struct store *store, const struct policy_gate *gate,
                                  const struct approval *approval)
{
    return privacy_terms_check(store, gate, approval->job, &approval->dataset, approval->decision.rounds,
                               approval->decision.runs);
}
