#include "datasite/release_noised.h"

#include "crypto/privacy_plan.h"

#include <inttypes.h>

struct error *release_check_noised(const struct job *job, bool noised)
{
    if (job_private(job) && !noised)
        return error_new(ERROR_REFUSED,
                         "The job has privacy.mechanism: %s: what leaves of it went through that mechanism, "
                         "and nothing else leaves.",
                         job_mechanism_word(job->privacy.mechanism));
    if (!job_private(job) && noised)
        return error_new(ERROR_REFUSED,
                         "The job has no mechanism of privacy, and this answer is of one that has.");
    return NULL;
}

struct error *release_check_noised_round(const struct approval *approval, uint32_t round)
{
    const struct job_privacy *privacy = &approval->job->privacy;
    if (!(privacy->metrics_noise > 0))
        return error_new(ERROR_REFUSED,
                         "The job has no privacy.metrics_noise, so no counts leave this site.");
    switch (privacy->metrics_rounds) {
    case JOB_METRICS_ALL:
        return NULL;
    case JOB_METRICS_LAST:
        break;
    }
    if (round != approval->decision.rounds)
        return error_new(ERROR_REFUSED,
                         "The job says metrics_rounds: last: counts leave of round %" PRIu32
                         ", its last, and of no other.",
                         approval->decision.rounds);
    return NULL;
}

static struct error *mechanism_wrong(const char *what)
{
    return error_new(ERROR_INTERNAL,
                     "What was computed did not go through the mechanism of the job: %s. It does not leave.",
                     what);
}

static struct error *mechanism_check_grid(const struct job *job, const struct noise_grid *grid)
{
    struct error *err = NULL;
    struct noise_grid planned;
    TRY(privacy_plan_grid(job, &planned));
    if (grid->level != planned.level || grid->bound != planned.bound)
        err = mechanism_wrong("another noise multiplier, or a share of the noise");
    else if (grid->clip != planned.clip || grid->scale != planned.scale)
        err = mechanism_wrong("another clip");
done:
    return err;
}

struct error *release_check_mechanism(const struct job *job, const struct mechanism_record *record,
                                      size_t count)
{
    struct error *err = NULL;
    if (record == NULL)
        return mechanism_wrong("nothing says what was done");
    if (record->kind != job->privacy.mechanism)
        return mechanism_wrong("another mechanism");
    TRY(mechanism_check_grid(job, &record->grid));
    if (record->uneven)
        err = mechanism_wrong("steps differ");
    else if (record->samples != job->privacy.steps)
        err = mechanism_wrong("another number of steps");
    else if (record->sampling_rate != job->privacy.sampling_rate)
        err = mechanism_wrong("another sampling rate");
    else if (record->noises != record->samples)
        err = mechanism_wrong("a step without noise, or noise without a step");
    else if (record->values != count)
        err = mechanism_wrong("values without noise");
done:
    return err;
}
