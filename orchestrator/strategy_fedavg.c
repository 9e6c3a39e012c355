#include "orchestrator/strategy_fedavg.h"

#include <math.h>

/* At most JOB_MAX_SITES numbers of at most 2^53 each: the sum cannot overflow. */
static struct error *total_examples(const struct fedavg_update *updates, size_t update_count,
                                    uint64_t *ret_total)
{
    struct error *err = NULL;
    uint64_t total = 0;
    if (update_count == 0 || update_count > JOB_MAX_SITES)
        FAIL(ERROR_INVALID, "FedAvg averages 1 to %d updates, not %zu.", JOB_MAX_SITES, update_count);
    for (size_t i = 0; i < update_count; i++) {
        if (updates[i].examples == 0 || updates[i].examples > FEDAVG_MAX_EXAMPLES)
            FAIL(ERROR_INVALID, "An update says it comes from no examples, or from more than 2^53.");
        total += updates[i].examples;
    }
    *ret_total = total;
done:
    return err;
}

static double weight_of(const struct fedavg_update *update, uint64_t total, size_t update_count,
                        enum job_weighting weighting)
{
    switch (weighting) {
    case JOB_WEIGHT_EXAMPLES:
        return (double)update->examples / (double)total;
    case JOB_WEIGHT_EQUAL:
        break;
    }
    return 1.0 / (double)update_count;
}

struct error *fedavg_aggregate(const struct fedavg_update *updates, size_t update_count, size_t count,
                               enum job_weighting weighting, double *ret_parameters)
{
    struct error *err = NULL;
    uint64_t total = 0;
    TRY(total_examples(updates, update_count, &total));
    for (size_t p = 0; p < count; p++)
        ret_parameters[p] = 0;
    for (size_t i = 0; i < update_count; i++) {
        double weight = weight_of(&updates[i], total, update_count, weighting);
        for (size_t p = 0; p < count; p++)
            ret_parameters[p] += weight * updates[i].parameters[p];
    }
    for (size_t p = 0; p < count; p++)
        if (!isfinite(ret_parameters[p]))
            FAIL(ERROR_NUMERIC, "The average of the sites' models has a value that is not finite.");
done:
    return err;
}
