#include "orchestrator/report_parts.h"

#include "crypto/fixed_point.h"

#include <math.h>

/* The largest size of a value that a round computed with: its model's parameters, and changes as far as the clip. */
static double largest_value(const struct run_record *record, const struct round_record *round)
{
    double largest = 0;
    size_t count = ((size_t)record->features + 1) * record->classes;
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
    if (!run_record_masked(record))
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
