#include "datasite/mechanism.h"

#include "crypto/noise.h"
#include "crypto/privacy_plan.h"

struct mechanism {
    struct noise *noise;
    struct mechanism_record record;
};

struct error *mechanism_open(const struct job *job, struct mechanism **ret_mechanism)
{
    struct error *err = NULL;
    struct mechanism *mechanism = NULL;
    if (!job_private(job))
        FAIL(ERROR_INVALID, "A job without a mechanism of privacy draws no noise.");
    mechanism = calloc(1, sizeof(*mechanism));
    if (mechanism == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for noise.");
    mechanism->record.kind = job->privacy.mechanism;
    TRY(privacy_plan_grid(job, &mechanism->record.grid));
    TRY(noise_open(&mechanism->noise));
    *ret_mechanism = mechanism;
    mechanism = NULL;
done:
    mechanism_close(mechanism);
    return err;
}

void mechanism_close(struct mechanism *mechanism)
{
    if (mechanism == NULL)
        return;
    noise_close(mechanism->noise);
    free(mechanism);
}

static struct error *mechanism_sample(void *context, double rate, size_t rows, uint32_t *ret_chosen,
                                      size_t *ret_count)
{
    struct error *err = NULL;
    struct mechanism *mechanism = context;
    struct mechanism_record *record = &mechanism->record;
    TRY(noise_sample(mechanism->noise, rate, rows, ret_chosen, ret_count));
    if (record->samples == 0)
        record->sampling_rate = rate;
    record->uneven = record->uneven || rate != record->sampling_rate;
    record->samples++;
done:
    return err;
}

static struct error *mechanism_add_noise(void *context, int64_t *values, size_t count)
{
    struct error *err = NULL;
    struct mechanism *mechanism = context;
    struct mechanism_record *record = &mechanism->record;
    TRY(noise_gaussian(mechanism->noise, record->grid.level, values, count));
    if (record->noises == 0)
        record->values = count;
    record->uneven = record->uneven || count != record->values;
    record->noises++;
done:
    return err;
}

struct private_source mechanism_source(struct mechanism *mechanism)
{
    return (struct private_source){mechanism_sample, mechanism_add_noise, mechanism};
}

const struct noise_grid *mechanism_grid(const struct mechanism *mechanism)
{
    return &mechanism->record.grid;
}

const struct mechanism_record *mechanism_record(const struct mechanism *mechanism)
{
    return &mechanism->record;
}
