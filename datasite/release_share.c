/* What the airlock does for private jobs under secure aggregation: it adds the site's share of the noise itself, so that
 * nothing without it is ever stored or masked, and compares what was computed with the job. Nothing here depends on how many
 * rows there are, but for one check of the site's own computation (the counts are of its test rows). */
#include "datasite/release_parts.h"

#include "crypto/privacy_plan.h"
#include "crypto/secret.h"
#include "datasite/declared.h"

__extension__ typedef unsigned __int128 share_wide;

struct error *release_share_noise(const struct secagg_vector *vector,
                                  const struct release_contribution *contribution, uint64_t *ret_words)
{
    struct error *err = NULL;
    const struct private_vector *noised = &vector->noised;
    int64_t *values = (int64_t *)ret_words; /* the ring's words are numbers in two's complement */
    memcpy(values, contribution->values, vector->parameters * sizeof(*values));
    private_vector_counts(noised, contribution->confusion, values + vector->parameters);
    TRY(noise_gaussian(contribution->noise, noised->grid.level, values, vector->words));
done:
    if (err != NULL)
        secret_wipe(ret_words, vector->words * sizeof(*ret_words));
    return err;
}

struct error *release_check_share(const struct job *job, const struct site_id *own,
                                  const struct secagg_vector *vector, const struct policy_output *output)
{
    struct error *err = NULL;
    size_t site = 0;
    TRY(declared_site(job, own, &site));
    if (vector->parameters > 0)
        TRY(declared_check_training(output, job, site));
    if (vector->counts > 0)
        TRY(declared_check_test(output, job, site));
done:
    return err;
}

static struct error *share_wrong(const char *what)
{
    return error_new(ERROR_INTERNAL,
                     "What was computed did not go through the mechanism of the job: %s. It does not leave.",
                     what);
}

static bool same_grid(const struct noise_grid *a, const struct noise_grid *b)
{
    return a->level == b->level && a->bound == b->bound && a->clip == b->clip && a->scale == b->scale;
}

/* The vector is the job's, whoever planned it. */
static struct error *share_check_vector(const struct release_check *check, const struct secagg_vector *vector)
{
    struct error *err = NULL;
    const struct approval *approval = &check->approval;
    struct secagg_vector planned;
    TRY(secagg_vector_plan(approval->job, &approval->dataset, check->context->round, &planned));
    if (vector->parameters != planned.parameters || vector->counts != planned.counts ||
        vector->words != planned.words || vector->plan.ring != planned.plan.ring ||
        !same_grid(&vector->noised.grid, &planned.noised.grid) ||
        (planned.counts > 0 && !same_grid(&vector->noised.counts_grid, &planned.noised.counts_grid)))
        err = share_wrong("another vector");
done:
    return err;
}

/* Of a whole site's change this can be checked once more; of a sum over rows the bound is each row's. */
static bool share_within(const struct secagg_vector *vector, const struct release_contribution *contribution)
{
    uint64_t bound = vector->noised.grid.bound;
    share_wide sum = 0, most = (share_wide)bound * bound;
    for (size_t i = 0; i < vector->parameters; i++) {
        int64_t value = contribution->values[i];
        uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        if (size > bound)
            return false;
        sum += (share_wide)size * size;
        if (sum > most)
            return false;
    }
    return true;
}

/* A row that is not finite counts nowhere. */
static bool share_counts_possible(const struct secagg_vector *vector, const uint64_t *confusion,
                                  uint64_t test_rows)
{
    uint64_t left = test_rows;
    for (size_t i = 0; i < vector->counts; i++) {
        if (confusion[i] > left)
            return false;
        left -= confusion[i];
    }
    return true;
}

struct error *release_check_contribution(const struct release_check *check,
                                         const struct secagg_vector *vector,
                                         const struct release_contribution *contribution, uint64_t test_rows)
{
    struct error *err = NULL;
    const struct job_privacy *privacy = &check->approval.job->privacy;
    bool site_level = privacy->mechanism == JOB_SITE_LEVEL;
    TRY(share_check_vector(check, vector));
    if (contribution->mechanism != privacy->mechanism)
        err = share_wrong("another mechanism");
    else if (contribution->sampling_rate != (site_level ? 1.0 : privacy->sampling_rate))
        err = share_wrong("another sampling rate");
    else if (!same_grid(&contribution->grid, &vector->noised.grid))
        err = share_wrong("another noise multiplier or clip");
    else if (vector->counts > 0 && !same_grid(&contribution->counts_grid, &vector->noised.counts_grid))
        err = share_wrong("counts with another noise");
    else if (site_level && !share_within(vector, contribution))
        err = share_wrong("a change beyond its bound");
    else if (!share_counts_possible(vector, contribution->confusion, test_rows))
        err = share_wrong("more counts than test rows");
done:
    return err;
}
