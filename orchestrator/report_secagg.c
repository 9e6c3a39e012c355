#include "orchestrator/report_parts.h"

#include "crypto/fixed_point.h"

#include <math.h>

const char *report_site_reason(const struct round_record *round, size_t site)
{
    bool unused = round->sites[site].status == SITE_OK && !round_used(round, site);
    return unused ? REPORT_NOT_USED : round->sites[site].reason;
}

/* Of a private job only in the rounds that it pays for. */
static bool counts_ride_in_rounds(const struct job *job)
{
    return job->privacy.metrics_rounds == JOB_METRICS_ALL;
}

const char *report_pooled_missing(const struct run_record *record, const struct round_record *round)
{
    if (!run_record_masked(record) || record->job->metrics == JOB_METRICS_NONE || round->model == NULL ||
        round->pooled_confusion != NULL)
        return "not released";
    if (job_private(record->job) && !counts_ride_in_rounds(record->job))
        return round->round == record->job->rounds && record->status == RUN_RUNNING ? "not yet"
                                                                                    : "not released";
    return record->status == RUN_RUNNING ? "not yet" : "no next sum";
}

/* ---- what sums over different sites give away ---- */

static size_t differ_by(const struct round_record *one, const struct round_record *other, size_t site_count)
{
    size_t count = 0;
    for (size_t i = 0; i < site_count; i++)
        count += (one->sites[i].status == SITE_OK) != (other->sites[i].status == SITE_OK);
    return count;
}

/* Fewest and not 0, between this sum and those before it; `least` is what was found so far, 0: nothing. */
static size_t differ_from_earlier(const struct run_record *record, size_t exchange, size_t least)
{
    const struct round_record *round = run_record_exchange(record, exchange);
    for (size_t i = 0; i < exchange && least != 1; i++) {
        const struct round_record *before = &record->rounds[i];
        if (before->masking.contributors == 0)
            continue;
        size_t count = differ_by(before, round, record->job->site_count);
        if (count > 0 && (least == 0 || count < least))
            least = count;
    }
    return least;
}

size_t report_difference(const struct run_record *record, bool evaluation)
{
    size_t least = 0;
    const struct round_record *before = NULL;
    const struct round_record *round = NULL;
    for (size_t r = 0; (round = run_record_exchange(record, r)) != NULL && least != 1; r++) {
        if (round->masking.contributors == 0 || (!evaluation && r >= record->round_count))
            continue;
        /* The same sites as before: it differs from nothing else than that did. */
        if (before == NULL || differ_by(before, round, record->job->site_count) > 0)
            least = differ_from_earlier(record, r, least);
        before = round;
    }
    return least;
}

static void put_given(const struct job *job, bool rows, bool labels, size_t sites,
                      char ret_text[static REPORT_SECRECY_BYTES])
{
    char among[96] = "";
    bool exactly = (rows && job->weighting == JOB_WEIGHT_EXAMPLES) || labels;
    if (sites > 1)
        (void)snprintf(among, sizeof among, ", of whom %zu may collude", sites - 1);
    (void)snprintf(ret_text, REPORT_SECRECY_BYTES,
                   "The contributors of two sums differ by %zu site%s%s: the difference of these sums gives "
                   "away of %s%s%s%s%s%s%s.",
                   sites, sites == 1 ? "" : "s", among, sites == 1 ? "that site" : "the one left",
                   rows && job->weighting == JOB_WEIGHT_EXAMPLES ? " how many training rows it has" : "",
                   rows && job->weighting == JOB_WEIGHT_EXAMPLES && labels ? " and" : "",
                   labels ? " how many of its test rows have each label" : "", exactly ? ", exactly" : "",
                   exactly && rows ? ", and" : "", rows ? " the change of its model, nearly" : "");
}

/* The evaluation has counts and nothing of training. */
void report_secrecy(const struct run_record *record, char ret_text[static REPORT_SECRECY_BYTES])
{
    const struct job *job = record->job;
    size_t most = (size_t)job->secure.tolerate_colluding + 1;
    size_t trained = report_difference(record, false);
    size_t counted = job->metrics == JOB_METRICS_NONE ? 0 : report_difference(record, true);
    bool rows = trained > 0 && trained <= most;
    bool labels = counted > 0 && counted <= most;
    if (rows || labels)
        put_given(job, rows, labels, labels ? counted : trained, ret_text);
    else if (trained > 0 || counted > 0)
        (void)snprintf(
            ret_text, REPORT_SECRECY_BYTES,
            "The contributors of two sums differ by more than %zu: no two sums give away the numbers of one "
            "site, but several together may.",
            most);
    else
        (void)snprintf(ret_text, REPORT_SECRECY_BYTES,
                       "One site's numbers are not known to anybody: secure aggregation. The same sites were "
                       "in every sum.");
}

/* ---- rounding ---- */

/* The largest size of a value that a round computed with: its model's parameters, and changes as far as the clip. */
static double largest_value(const struct run_record *record, const struct round_record *round)
{
    double largest = 0;
    size_t count = run_record_parameters(record);
    for (size_t i = 0; round->model != NULL && i < count; i++)
        largest = fmax(largest, fabs(round->model[i]));
    return largest + record->job->secure.clip;
}

double report_quantisation_bound(const struct run_record *record)
{
    double most = NAN;
    const struct job *job = record->job;
    struct fixed_point plan = {.ring = (enum mask_ring)job->secure.ring,
                               .clip = job->secure.clip,
                               .max_examples = job->secure.max_examples,
                               .sites = job->site_count,
                               .weighted = job->weighting == JOB_WEIGHT_EXAMPLES};
    if (!run_record_masked(record) || job_private(record->job))
        return most;
    struct error *err = fixed_point_plan(&plan);
    for (size_t i = 0; err == NULL && i < record->round_count; i++) {
        const struct round_record *round = &record->rounds[i];
        if (round->masking.contributors == 0 || (plan.weighted && round->masking.examples == 0))
            continue;
        most = fmax(most, fixed_point_bound(&plan, round->masking.contributors, round->masking.examples,
                                            largest_value(record, round)));
    }
    error_free(err);
    return most;
}
