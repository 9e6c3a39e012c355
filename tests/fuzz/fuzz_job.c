/* Any bytes as a job file: refused with a sentence, or a job within every range. */
#include "schemas/job.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct job *job = NULL;
    struct error *err = job_parse((const char *)data, size, "job.yaml", &job);
    if (err != NULL) {
        expect(job == NULL && err->sentence[0] != '\0');
        error_free(err);
        return 0;
    }
    expect(isfinite(job->l2) && job->l2 >= 0 && job->l2 <= 1e6);
    expect(job->learning_rate > 0 && job->learning_rate <= 100);
    expect(job->momentum >= 0 && job->momentum < 1);
    expect(job->test_fraction >= 0.01 && job->test_fraction <= 0.9);
    expect(job->rounds >= 1 && job->rounds <= 10000);
    expect(job->local_iterations >= 1 && job->batch_size >= 1 && job->local_epochs >= 1);
    expect(job->site_count >= 1 && job->site_count <= JOB_MAX_SITES);
    expect(job->min_sites >= 1 && job->min_sites <= job->site_count);
    expect((job->metrics == JOB_METRICS_POOLED) <= job->secure.enabled);
    if (job->secure.enabled) {
        const struct job_secure_aggregation *secure = &job->secure;
        expect(job->site_count >= 3 && job->metrics != JOB_METRICS_PER_SITE);
        expect(secure->threshold >= (job->site_count + secure->tolerate_colluding) / 2 + 1);
        expect(secure->threshold <= job->min_sites && secure->threshold >= secure->tolerate_colluding + 2);
        expect(secure->clip > 0 && secure->clip <= 1e6 && secure->key_batch >= 1 && secure->key_batch <= 64);
        expect(secure->max_examples <= ((UINT64_C(1) << (secure->ring - 1)) - 1) / job->site_count);
    }
    expect(job->seed <= INT64_MAX && job->expires >= 0);
    job_free(job);
    return 0;
}
