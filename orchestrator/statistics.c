#include "orchestrator/statistics.h"

#include "crypto/privacy_plan.h"
#include "learning/moments.h"
#include "orchestrator/report_parts.h"

#include <math.h>

#define STATISTICS_LINE 8 /* numbers a line */
/* Rows are float32: a deviation below this part of the mean is rounding. */
#define STATISTICS_ROUNDING 1e-6

void statistics_clear(struct statistics *statistics)
{
    free(statistics->mean);
    free(statistics->deviation);
    *statistics = (struct statistics){0};
}

/* The standard deviation of the noise on each mean and mean square: what sites added, over what it was divided by. */
static double noise_on_means(const struct run_record *record, const struct round_record *round)
{
    const struct job *job = record->job;
    const struct job_privacy *privacy = &job->privacy;
    double weights = 0, squares = 0;
    if (!job_private(job))
        return 0;
    if (job->secure.enabled)
        return privacy->clip * privacy->noise_multiplier *
               sqrt((double)job->site_count / (double)privacy_plan_honest(job)) /
               privacy_plan_divisor(job, 0);
    for (size_t i = 0; i < job->site_count; i++) {
        double weight = privacy_plan_weight(job, i);
        double noise = privacy->clip * privacy->noise_multiplier / privacy_plan_divisor(job, i);
        if (round->sites[i].status != SITE_OK)
            continue;
        weights += weight;
        squares += weight * weight * noise * noise;
    }
    return weights > 0 ? sqrt(squares) / weights : 0;
}

/* What cannot be told from a constant becomes one. The variance is mean square - mean², so that noise s on both makes
 * s·sqrt(1 + 4·mean²) on it. */
static void forget_noise(struct statistics *statistics, double noise)
{
    for (size_t i = 0; i < statistics->features; i++) {
        double mean = statistics->mean[i], deviation = statistics->deviation[i];
        if (deviation * deviation < 3 * noise * sqrt(1 + 4 * mean * mean) ||
            deviation < STATISTICS_ROUNDING * fabs(mean))
            statistics->deviation[i] = 0;
        statistics->constant += !(statistics->deviation[i] > 0);
    }
}

struct error *statistics_of(const struct run_record *record, struct statistics *ret_statistics)
{
    struct error *err = NULL;
    struct statistics statistics = {0};
    const struct round_record *round = run_record_last_model(record);
    if (record->job->model != JOB_FEATURE_STATISTICS)
        FAIL(ERROR_INVALID,
             "The run's job is of the model %s; statistics come from model.kind: feature-statistics.",
             job_model_word(record->job->model));
    if (round == NULL)
        FAIL(ERROR_NOT_FOUND, "The run came to no statistics: its round was not completed.");
    statistics.features = (size_t)record->features;
    statistics.mean = calloc(statistics.features, sizeof *statistics.mean);
    statistics.deviation = calloc(statistics.features, sizeof *statistics.deviation);
    if (statistics.mean == NULL || statistics.deviation == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the statistics of %zu features.",
             statistics.features);
    memcpy(statistics.mean, round->model, statistics.features * sizeof *statistics.mean);
    moments_deviation(round->model, statistics.features, 0, statistics.deviation);
    forget_noise(&statistics, noise_on_means(record, round));
    *ret_statistics = statistics;
    statistics = (struct statistics){0};
done:
    statistics_clear(&statistics);
    return err;
}

static void print_numbers(FILE *stream, const char *key, const double *numbers, size_t count)
{
    (void)fprintf(stream, "  %s: [", key);
    for (size_t i = 0; i < count; i++)
        (void)fprintf(stream, "%s%.9g",
                      i == 0                     ? ""
                      : i % STATISTICS_LINE == 0 ? ",\n    "
                                                 : ", ",
                      numbers[i]);
    (void)fputs("]\n", stream);
}

void statistics_print(FILE *stream, const struct run_record *record, const struct statistics *statistics)
{
    char job_id[DIGEST_HEX_BYTES];
    digest_hex(&record->job_id, job_id);
    if (record->mock)
        (void)fputs("# MOCK: of synthetic rows.\n", stream);
    (void)fprintf(stream, "features:\n  kind: standardize\n  released_by: \"sha256:%s\"\n", job_id);
    print_numbers(stream, "mean", statistics->mean, statistics->features);
    print_numbers(stream, "deviation", statistics->deviation, statistics->features);
}

struct error *statistics_write(const struct run_record *record, const char *path)
{
    struct error *err = NULL;
    struct statistics statistics = {0};
    struct report_text text = {0};
    TRY(statistics_of(record, &statistics));
    TRY(report_text_open(&text));
    statistics_print(text.stream, record, &statistics);
    TRY(report_text_save(&text, path));
done:
    report_text_clear(&text);
    statistics_clear(&statistics);
    return err;
}
