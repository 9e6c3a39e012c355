#include "schemas/job_parts.h"
#include "schemas/number.h"

static const char *const features_words[] = {[JOB_FEATURES_RAW] = "raw",
                                             [JOB_FEATURES_UNIT_NORM] = "unit-norm",
                                             [JOB_FEATURES_HOG] = "hog",
                                             [JOB_FEATURES_STANDARDIZE] = "standardize",
                                             NULL};

const char *job_features_word(enum job_features features)
{
    return features_words[features];
}

/* A list of numbers into a malloc'ed array. */
static struct error *features_read_numbers(const struct document_value *value, double least,
                                           double **ret_numbers, size_t *ret_count)
{
    struct error *err = NULL;
    double *numbers = NULL;
    size_t count = 0;
    TRY(document_list(value, 1, JOB_MAX_FEATURES, &count));
    numbers = calloc(count, sizeof(*numbers));
    if (numbers == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %zu numbers.", count);
    for (size_t i = 0; i < count; i++) {
        struct document_value element = document_element(value, i);
        const char *text = document_scalar(&element, true);
        if (text == NULL || !number_real(text, &numbers[i]) || !(numbers[i] >= least && numbers[i] <= 1e12)) {
            err = document_error(&element, ERROR_INVALID, "must be a number from %g to 1e12.", least);
            goto done;
        }
    }
    *ret_numbers = numbers;
    *ret_count = count;
    numbers = NULL;
done:
    free(numbers);
    return err;
}

static struct error *features_read_mean(const struct document_value *value, void *ret_job)
{
    struct job *job = ret_job;
    return features_read_numbers(value, -1e12, &job->feature_mean, &job->feature_count);
}

static struct error *features_read_deviation(const struct document_value *value, void *ret_job)
{
    struct job *job = ret_job;
    return features_read_numbers(value, 0, &job->feature_deviation, &job->deviation_count);
}

const struct document_key job_features_keys[] = {
    {.key = "kind", .type = DOCUMENT_WORD, .words = features_words, DOCUMENT_INTO(struct job, features)},
    {.key = "mean", .type = DOCUMENT_READER, .read = features_read_mean, JOB_WHOLE},
    {.key = "deviation", .type = DOCUMENT_READER, .read = features_read_deviation, JOB_WHOLE},
    {.key = "released_by", .type = DOCUMENT_FINGERPRINT, DOCUMENT_INTO(struct job, features_released_by)},
    {0},
};

static struct error *features_check_standardize(const struct document_value *root, const struct job *job)
{
    struct document_value section, value;
    (void)document_find(root, "features", &section);
    if (job->feature_mean == NULL || job->feature_deviation == NULL)
        return document_error(
            &section, ERROR_INVALID,
            "lacks mean or deviation: kind: standardize knows no statistics but those in this "
            "file. A job of the model feature-statistics gives them.");
    (void)document_find(root, "features.deviation", &value);
    if (job->deviation_count != job->feature_count)
        return document_error(&value, ERROR_INVALID,
                              "has %zu numbers and features.mean %zu; as many are needed.",
                              job->deviation_count, job->feature_count);
    if (job_private(job) && job->features_released_by[0] == '\0')
        return document_error(
            &section, ERROR_INVALID,
            "lacks released_by, the id of the private job that these statistics come from: a "
            "private job uses none that were not released under the budget.");
    return NULL;
}

static struct error *features_check_statistics_job(const struct document_value *root, const struct job *job)
{
    static const char *const absent[] = {"training", "features", "model.l2", "model.init", NULL};
    struct document_value value;
    if (job_find_any(root, absent, &value))
        return document_error(&value, ERROR_INVALID,
                              "has no meaning with model.kind: feature-statistics; remove it.");
    if (job->metrics != JOB_METRICS_NONE || job->global_test != JOB_GLOBAL_TEST_NONE) {
        if (document_find(root, "evaluation.metrics", &value) ||
            document_find(root, "evaluation.global_test", &value))
            return document_error(
                &value, ERROR_INVALID,
                "must be none or null with model.kind: feature-statistics, which predicts nothing.");
    }
    (void)document_find(root, "federation.rounds", &value);
    if (job->rounds != 1)
        return document_error(&value, ERROR_INVALID, "must be 1 with model.kind: feature-statistics.");
    (void)document_find(root, "model.kind", &value);
    if (job->privacy.mechanism == JOB_SITE_LEVEL || job->privacy.steps != 1)
        return document_error(&value, ERROR_INVALID,
                              "can be feature-statistics with mechanism: none, dp-sgd with one step, or "
                              "distributed-dp.");
    return NULL;
}

struct error *job_features_settle(const struct document_value *root, struct job *job)
{
    static const char *const statistics[] = {"features.mean", "features.deviation", "features.released_by",
                                             NULL};
    struct document_value value;
    if (job->model == JOB_FEATURE_STATISTICS) {
        struct error *err = features_check_statistics_job(root, job);
        if (err == NULL)
            job->metrics = JOB_METRICS_NONE;
        return err;
    }
    if (job->features == JOB_FEATURES_STANDARDIZE)
        return features_check_standardize(root, job);
    if (job_find_any(root, statistics, &value))
        return document_error(&value, ERROR_INVALID,
                              "belongs to features.kind: standardize; remove the key.");
    return NULL;
}
