#include "datasite/account.h"

#include "crypto/privacy_plan.h"
#include "datasite/statement.h"

#include <math.h>
#include <string.h>

struct job account_charged(const struct job *job)
{
    struct job charged = {.privacy = job->privacy, .secure = job->secure, .rounds = job->rounds};
    if (job->privacy.mechanism == JOB_SITE_LEVEL)
        charged.privacy.noise_multiplier /= 2;
    return charged;
}

static void put_double(struct statement *statement, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    statement_number(statement, bits, sizeof(bits));
}

/* All that privacy_plan_epsilon looks at. */
static struct error *account_name(struct account *account)
{
    const struct job *job = &account->job;
    struct statement statement = {.used = 0};
    put_double(&statement, job->privacy.noise_multiplier);
    put_double(&statement, job->privacy.sampling_rate);
    put_double(&statement, job->privacy.metrics_noise);
    put_double(&statement, job->privacy.delta);
    statement_number(&statement, job->privacy.steps, 8);
    statement_number(&statement, job->rounds, 4);
    statement_number(&statement, privacy_plan_evaluations(job, job->rounds), 4);
    statement_number(&statement, (uint64_t)job->privacy.mechanism, 4);
    statement_number(&statement, job->secure.enabled, 1);
    return digest_of(statement.bytes, statement.used, &account->what);
}

struct error *account_of_budget(const struct job *job, uint32_t rounds, struct account *ret_account)
{
    *ret_account = (struct account){.job = account_charged(job)};
    ret_account->job.rounds = rounds;
    return account_name(ret_account);
}

struct error *account_of_promise(const struct job *job, uint32_t rounds, struct account *ret_account)
{
    *ret_account =
        (struct account){.job = {.privacy = job->privacy, .secure = job->secure, .rounds = rounds}};
    return account_name(ret_account);
}

struct error *account_epsilon(struct store_epsilons *epsilons, const struct account *account,
                              double *ret_epsilon)
{
    struct error *err = NULL;
    const struct job *job = &account->job;
    double epsilon = INFINITY;
    if (!job_private(job) || !(job->privacy.noise_multiplier > 0)) {
        *ret_epsilon = INFINITY;
        return NULL;
    }
    if (epsilons != NULL && store_epsilons_has(epsilons, &account->what, ret_epsilon))
        return NULL;
    err = privacy_plan_epsilon(job, PRIVACY_PLD, job->rounds, privacy_plan_evaluations(job, job->rounds),
                               &epsilon);
    if (err != NULL && (err->code == ERROR_LIMIT || err->code == ERROR_INVALID)) {
        error_clear(&err);
        epsilon = INFINITY;
    }
    if (err != NULL)
        return err;
    if (epsilons != NULL)
        store_epsilons_put(epsilons, &account->what, epsilon);
    *ret_epsilon = epsilon;
    return NULL;
}

struct error *account_wanted(const struct job *job, uint32_t rounds,
                             struct account ret_accounts[static ACCOUNT_MOST], size_t *ret_count)
{
    struct error *err = NULL;
    size_t count = 0;
    if (job_private(job) && job->privacy.noise_multiplier > 0)
        TRY(account_of_budget(job, rounds, &ret_accounts[count++]));
    if (count > 0 && privacy_plan_has_both(job)) /* of all of its rounds, whatever is approved */
        TRY(account_of_promise(job, job->rounds, &ret_accounts[count++]));
    if (count == 2 && digest_equal(&ret_accounts[0].what, &ret_accounts[1].what))
        count = 1;
    *ret_count = count;
done:
    return err;
}
