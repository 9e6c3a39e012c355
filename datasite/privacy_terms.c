#include "datasite/privacy_terms.h"

#include "crypto/privacy_plan.h"

#include <math.h>

struct error *privacy_terms_epsilon(const struct job *job, uint32_t rounds, double *ret_epsilon)
{
    struct job charged = *job;
    double epsilon = INFINITY;
    if (job_private(job) && job->privacy.noise_multiplier > 0) {
        if (job->privacy.mechanism == JOB_SITE_LEVEL)
            charged.privacy.noise_multiplier /= 2;
        struct error *err = privacy_plan_epsilon(&charged, PRIVACY_PLD, rounds,
                                                 privacy_plan_evaluations(&charged, rounds), &epsilon);
        if (err != NULL && err->code != ERROR_LIMIT && err->code != ERROR_INVALID)
            return err;
        if (err != NULL) /* more than can be accounted */
            epsilon = INFINITY;
        error_free(err);
    }
    *ret_epsilon = epsilon;
    return NULL;
}

/* With the epsilon of one run. */
static struct error *terms_judge(const struct policy_output *output, const struct job *job, double epsilon,
                                 uint32_t runs)
{
    char why[POLICY_WHY_BYTES];
    if ((output->require & POLICY_REQUIRE_PRIVACY) != 0 && !job_private(job))
        return error_new(ERROR_REFUSED,
                         "This site's policy lets numbers about \"%s\" out with noise alone (`require: "
                         "[privacy]` of its output rules): a job with privacy.mechanism would do.",
                         job->dataset);
    if (!policy_privacy_admits(&output->privacy, job, epsilon, runs, why))
        return error_new(ERROR_REFUSED,
                         "This site's policy for \"%s\" %s (`privacy` of its output rules): a job that keeps "
                         "it would do.",
                         job->dataset, why);
    return NULL;
}

struct error *privacy_terms_check(const struct policy_output *output, const struct job *job, uint32_t rounds,
                                  uint32_t runs)
{
    struct error *err = NULL;
    double epsilon = INFINITY;
    if (output->privacy.max_epsilon > 0)
        TRY(privacy_terms_epsilon(job, rounds, &epsilon));
    TRY(terms_judge(output, job, epsilon, runs));
done:
    return err;
}

struct error *privacy_terms_admit(struct store *store, const struct approval *approval,
                                  const struct policy_output *output)
{
    struct error *err = NULL;
    const struct decision *decision = &approval->decision;
    double epsilon = INFINITY;
    if (output->privacy.max_epsilon > 0 &&
        !store_epsilon_known(store, &approval->record.id, decision->rounds, &epsilon)) {
        TRY(privacy_terms_epsilon(approval->job, decision->rounds, &epsilon));
        store_epsilon_note(store, &approval->record.id, decision->rounds, epsilon);
    }
    TRY(terms_judge(output, approval->job, epsilon, decision->runs));
done:
    return err;
}
