#include "datasite/approval_terms.h"

#include "datasite/privacy_terms.h"
#include "datasite/secagg_roster.h"

#include <inttypes.h>
#include <math.h>

/* A job in clear. */
static struct error *terms_in_clear(const struct policy_output *output, const struct job *job)
{
    if ((output->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0)
        return error_new(
            ERROR_REFUSED,
            "This site's policy lets numbers about \"%s\" out inside masked sums alone (`require: "
            "[secure-aggregation]` of its output rules), and the job asks for them in clear: a "
            "job with `secure_aggregation: {enabled: true}` would do.",
            job->dataset);
    return NULL;
}

/* Of a private job the declared number of rows weights, and counts have noise, so that no small cell is withheld. */
static struct error *terms_metrics(const struct policy_output *output, const struct job *job)
{
    if (!job_private(job) && job->weighting == JOB_WEIGHT_EXAMPLES &&
        (output->metrics & POLICY_METRIC_EXAMPLES) == 0)
        return error_new(ERROR_REFUSED,
                         "This site's policy does not let the number of training rows out, by which the job "
                         "weights updates: a job with `weighting: equal` would do.");
    if (job->metrics != JOB_METRICS_POOLED)
        return NULL;
    if ((output->metrics & POLICY_METRIC_CONFUSION) == 0)
        return error_new(ERROR_REFUSED,
                         "This site's policy lets no counts of predictions out (`confusion` is not among the "
                         "metrics of its output rules), and the job pools them: a job with `metrics: none` "
                         "would do.");
    if (output->min_cell > 0 && !job_private(job))
        return error_new(ERROR_REFUSED,
                         "This site's policy withholds counts below %" PRIu64
                         " (min_cell), which nobody can do inside a masked sum: a job with `metrics: none` "
                         "would do, or `min_cell: 0` for the dataset \"%s\".",
                         output->min_cell, job->dataset);
    return NULL;
}

static struct error *terms_masked(const struct policy_gate *gate, const struct job *job,
                                  const struct dataset_info *dataset, const struct site_id *own,
                                  const struct approval_limits *limits)
{
    struct error *err = NULL;
    struct secagg_roster roster = {.sites = NULL};
    TRY(secagg_roster_admit(gate, job, dataset, own, &roster));
    if (limits->hold != HOLD_NEVER)
        FAIL(ERROR_REFUSED,
             "Answers of a job with secure aggregation cannot be held: each is a masked vector that shows "
             "you nothing, and all sites would wait for you. Approve it with hold: never, or deny it.");
    if (limits->runs > 1)
        FAIL(ERROR_REFUSED,
             "A job with secure aggregation has one run: where two runs differ by one site, so do their "
             "sums, and that site's numbers are the difference.");
    TRY(terms_metrics(policy_gate_output(gate, job->dataset), job));
done:
    secagg_roster_clear(&roster);
    return err;
}

struct error *approval_terms_check(struct store *store, const struct policy_gate *gate, const struct job *job,
                                   const struct dataset_info *dataset, const struct site_id *own,
                                   const struct approval_limits *limits)
{
    struct error *err = NULL;
    const struct policy_output *output = policy_gate_output(gate, job->dataset);
    TRY(privacy_terms_check(store, gate, job, dataset, limits->rounds == 0 ? job->rounds : limits->rounds,
                            limits->runs == 0 ? 1 : limits->runs));
    if (!job->secure.enabled)
        TRY(terms_in_clear(output, job));
    else
        TRY(terms_masked(gate, job, dataset, own, limits));
done:
    return err;
}

uint64_t approval_terms_excess(const struct job *job, const struct dataset_info *dataset)
{
    double rows = (double)dataset->rows * (1 - job->test_fraction);
    if (!job->secure.enabled || job_private(job) || rows <= (double)job->secure.max_examples)
        return 0;
    return (uint64_t)ceil(rows);
}

struct approval_limits approval_terms_of_rule(const struct policy_rule *rule, const struct job *job,
                                              int64_t now)
{
    int64_t end = now + rule->expires_s;
    return (struct approval_limits){
        .rounds = job->rounds,
        .runs = job->secure.enabled ? 1 : rule->max_runs,
        .expires = end < job->expires ? end : job->expires,
        .hold = rule->hold,
        .allow_growth = rule->allow_growth,
    };
}
