#include "orchestrator/job_file.h"

#include "crypto/privacy_plan.h"
#include "schemas/document.h"
#include "schemas/files.h"

#include <stdlib.h>

/* Enough for the accountant's own precision, 1e-4; rounded up, since less noise would cost more. */
#define NOISE_DIGITS 6

void job_file_clear(struct job_file *file)
{
    free(file->bytes);
    job_free(file->job);
    *file = (struct job_file){0};
}

static struct error *job_file_calibrate(const char *path, struct job_file *file)
{
    struct error *err = NULL;
    char number[PRIVACY_BOUND_BYTES];
    char *text = NULL;
    size_t count = 0;
    double noise = 0;
    TRY(error_prefix(privacy_plan_calibrate(file->job, &noise), "%s: privacy.target_epsilon", path));
    privacy_bound(noise, NOISE_DIGITS, number);
    TRY(document_insert((const char *)file->bytes, file->count, JOB_MAX_BYTES, path, "privacy.target_epsilon",
                        "noise_multiplier", number, &text, &count));
    job_file_clear(file);
    file->bytes = (uint8_t *)text;
    file->count = count;
    file->computed_noise = strtod(number, NULL);
    TRY(job_parse(text, count, path, &file->job));
done:
    return err;
}

struct error *job_file_read(const char *path, struct job_file *ret_file)
{
    struct error *err = NULL;
    struct job_file file = {0};
    TRY(file_read(path, JOB_MAX_BYTES, &file.bytes, &file.count));
    TRY(job_parse((const char *)file.bytes, file.count, path, &file.job));
    if (job_private(file.job) && !(file.job->privacy.noise_multiplier > 0))
        TRY(job_file_calibrate(path, &file));
    if (job_private(file.job))
        TRY(error_prefix(privacy_plan_check(file.job), "%s", path));
    *ret_file = file;
    file = (struct job_file){0};
done:
    job_file_clear(&file);
    return err;
}

/* The sum of distributed-dp is of the records of all sites. */
static uint64_t fewest_records(const struct job *job)
{
    uint64_t fewest = UINT64_MAX, all = 0;
    for (size_t i = 0; i < job->site_count; i++) {
        all += job->sites[i].examples;
        fewest = job->sites[i].examples < fewest ? job->sites[i].examples : fewest;
    }
    return job->privacy.mechanism == JOB_DISTRIBUTED_DP ? all : fewest;
}

static void warn_of_sites(const struct job *job, char ret_text[static JOB_FILE_WARNING_BYTES])
{
    if (job->privacy.delta >= 1.0 / (double)job->site_count)
        (void)snprintf(
            ret_text, JOB_FILE_WARNING_BYTES,
            "privacy.delta is %g, and there are %zu sites: with a delta of 1/sites or more, a mechanism "
            "that tells all of one site's update in so many would pass as private. Well below %.2g "
            "would do.",
            job->privacy.delta, job->site_count, 1.0 / (double)job->site_count);
}

void job_file_warning(const struct job *job, char ret_text[static JOB_FILE_WARNING_BYTES])
{
    ret_text[0] = '\0';
    if (!job_private(job))
        return;
    if (job->privacy.mechanism == JOB_SITE_LEVEL) {
        warn_of_sites(job, ret_text);
        return;
    }
    uint64_t records = fewest_records(job);
    if (job->privacy.delta >= 1.0 / (double)records)
        (void)snprintf(
            ret_text, JOB_FILE_WARNING_BYTES,
            "privacy.delta is %g, and %s %llu rows: with a delta of 1/rows or more, a mechanism that "
            "tells all of one row in so many would pass as private. Well below %.2g would do.",
            job->privacy.delta,
            job->privacy.mechanism == JOB_DISTRIBUTED_DP ? "all sites together declare"
                                                         : "the smallest site declares",
            (unsigned long long)records, 1.0 / (double)records);
}
