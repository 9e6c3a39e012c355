/* What may leave of a job with secure aggregation, and that the rest may not. */
#include "datasite/release_check.h"

#include <inttypes.h>

struct error *release_check_in_clear(const struct job *job, const struct policy_output *output)
{
    if (job->secure.enabled)
        return error_new(
            ERROR_REFUSED,
            "The job has secure aggregation: this site answers it under masks only, never in clear.");
    if ((output->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0)
        return error_new(
            ERROR_REFUSED,
            "This site's policy lets numbers of this dataset out only with secure aggregation: a job "
            "with `secure_aggregation: {enabled: true}` would do.");
    return NULL;
}

static struct error *secure_check_counts(const struct job *job, const struct policy_output *output)
{
    struct error *err = NULL;
    switch (job->metrics) {
    case JOB_METRICS_NONE:
        return NULL;
    case JOB_METRICS_PER_SITE:
        return error_new(
            ERROR_REFUSED,
            "With secure aggregation no counts of a single site leave: a job with `metrics: pooled` "
            "or `metrics: none` would do.");
    case JOB_METRICS_POOLED:
        break;
    }
    TRY(release_check_counts(output));
    if (output->min_cell > 0 && !job_private(job)) /* whose counts have noise */
        FAIL(ERROR_REFUSED, "This site's policy withholds small counts (`min_cell`), which cannot be done "
                            "inside a sum: a job with "
                            "`metrics: none` would do.");
done:
    return err;
}

struct error *release_check_secure(const struct approval *approval, const struct policy_output *output)
{
    struct error *err = NULL;
    const struct decision *decision = &approval->decision;
    if (!approval->job->secure.enabled)
        FAIL(ERROR_REFUSED, "The job has no secure aggregation, and this message is for one that has.");
    if (decision->hold != HOLD_NEVER)
        FAIL(ERROR_REFUSED, "The owner wants to look at the numbers before they leave, and under masks there "
                            "is nothing to look "
                            "at: a job with secure aggregation is approved without `hold`.");
    if (decision->runs != 1)
        FAIL(ERROR_REFUSED,
             "The approval allows %" PRIu32
             " runs: with secure aggregation it is one, since sums of the same rows with other sites can be "
             "subtracted from each other.",
             decision->runs);
    if (!job_private(approval->job)) /* whose weights are declared, not counted */
        TRY(release_check_weighting(output, approval->job));
    TRY(secure_check_counts(approval->job, output));
done:
    return err;
}

struct error *release_check_secure_round(const struct approval *approval, uint32_t round)
{
    const struct job *job = approval->job;
    uint32_t rounds = approval->decision.rounds;
    if (round >= 1 && round <= rounds)
        return NULL;
    if (round != job->rounds + 1 || rounds != job->rounds)
        return error_new(ERROR_REFUSED,
                         "Round %" PRIu32 " is outside the %" PRIu32 " rounds that the owner approved.",
                         round, rounds);
    if (job->metrics != JOB_METRICS_POOLED)
        return error_new(
            ERROR_REFUSED,
            "The job does not say `metrics: pooled`, so there is no evaluation after its last round.");
    return NULL;
}
