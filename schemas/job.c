#include "schemas/job.h"

#include "schemas/job_parts.h"
#include "schemas/roster.h"
#include "schemas/text.h"

/* --- Words: the place in a table is the value of the enum --- */

static const char *const job_model_words[] = {
    [JOB_SOFTMAX_REGRESSION] = "softmax-regression", [JOB_FEATURE_STATISTICS] = "feature-statistics", NULL};
static const char *const job_init_words[] = {
    [JOB_INIT_ZEROS] = "zeros", [JOB_INIT_SEEDED] = "seeded", [JOB_INIT_FILE] = "file", NULL};
static const char *const job_optimizer_words[] = {[JOB_LBFGS] = "lbfgs", [JOB_SGD] = "sgd", NULL};
static const char *const job_metrics_words[] = {
    [JOB_METRICS_PER_SITE] = "per-site", [JOB_METRICS_NONE] = "none", [JOB_METRICS_POOLED] = "pooled", NULL};
static const char *const job_strategy_words[] = {[JOB_FEDAVG] = "fedavg", NULL};
static const char *const job_weighting_words[] = {
    [JOB_WEIGHT_EXAMPLES] = "examples", [JOB_WEIGHT_EQUAL] = "equal", NULL};

const char *job_model_word(enum job_model model)
{
    return job_model_words[model];
}
const char *job_init_word(enum job_init init)
{
    return job_init_words[init];
}
const char *job_optimizer_word(enum job_optimizer optimizer)
{
    return job_optimizer_words[optimizer];
}
const char *job_metrics_word(enum job_metrics metrics)
{
    return job_metrics_words[metrics];
}
const char *job_strategy_word(enum job_strategy strategy)
{
    return job_strategy_words[strategy];
}
const char *job_weighting_word(enum job_weighting weighting)
{
    return job_weighting_words[weighting];
}

/* --- Values with a form of their own --- */

/* zeros, seeded, or sha256:<64 hex>: fills `init` and `init_sha256` of a struct job. */
static struct error *job_read_init(const struct document_value *value, void *ret_job)
{
    struct job *job = ret_job;
    const char *text = document_scalar(value, false);
    if (text != NULL && strcmp(text, job_init_words[JOB_INIT_ZEROS]) == 0) {
        job->init = JOB_INIT_ZEROS;
    } else if (text != NULL && strcmp(text, job_init_words[JOB_INIT_SEEDED]) == 0) {
        job->init = JOB_INIT_SEEDED;
    } else if (text != NULL && text_fingerprint(text)) {
        job->init = JOB_INIT_FILE;
        memcpy(job->init_sha256, text + strlen("sha256:"), sizeof(job->init_sha256));
    } else {
        return document_error(
            value, ERROR_INVALID,
            "must be zeros, seeded, or the digest of a model file: sha256: and 64 lower-case hex "
            "digits.");
    }
    return NULL;
}

static const struct document_key job_idx_keys[] = {
    {.key = "images", .type = DOCUMENT_TEXT, .required = true, DOCUMENT_INTO(struct job, global_test_images)},
    {.key = "labels", .type = DOCUMENT_TEXT, .required = true, DOCUMENT_INTO(struct job, global_test_labels)},
    {0},
};

static const struct document_key job_csv_keys[] = {
    {.key = "csv", .type = DOCUMENT_TEXT, .required = true, DOCUMENT_INTO(struct job, global_test_images)},
    {.key = "label", .type = DOCUMENT_TEXT, .required = true, DOCUMENT_INTO(struct job, global_test_labels)},
    {0},
};

/* {images, labels} or {csv, label}, told apart by the presence of `csv` or `label`. */
static struct error *job_read_global_test(const struct document_value *value, void *ret_job)
{
    struct error *err = NULL;
    struct job *job = ret_job;
    struct document_value ignored;
    if (!document_is_mapping(value))
        return document_error(value, ERROR_INVALID,
                              "must be null, {images: FILE, labels: FILE} or "
                              "{csv: FILE, label: COLUMN}.");
    bool csv = document_find(value, "csv", &ignored) || document_find(value, "label", &ignored);
    TRY(document_read(value, csv ? job_csv_keys : job_idx_keys, job));
    job->global_test = csv ? JOB_GLOBAL_TEST_CSV : JOB_GLOBAL_TEST_IDX;
done:
    return err;
}

static struct error *job_read_sites(const struct document_value *value, void *ret_job)
{
    struct job *job = ret_job;
    return roster_read(value, 1, JOB_MAX_SITES, false, &job->sites, &job->site_count);
}

/* --- The tables --- */

static const struct document_key job_model_keys[] = {
    {.key = "kind",
     .type = DOCUMENT_WORD,
     .required = true,
     .words = job_model_words,
     DOCUMENT_INTO(struct job, model)},
    {.key = "l2", .type = DOCUMENT_REAL, .least = 0, .most = 1e6, DOCUMENT_INTO(struct job, l2)},
    {.key = "init", .type = DOCUMENT_READER, .read = job_read_init, JOB_WHOLE},
    {0},
};

static const struct document_key job_training_keys[] = {
    {.key = "optimizer",
     .type = DOCUMENT_WORD,
     .words = job_optimizer_words,
     DOCUMENT_INTO(struct job, optimizer)},
    {.key = "local_iterations",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 10000,
     DOCUMENT_INTO(struct job, local_iterations)},
    {.key = "batch_size",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 1000000,
     DOCUMENT_INTO(struct job, batch_size)},
    {.key = "learning_rate",
     .type = DOCUMENT_REAL,
     .least = 0,
     .least_open = true,
     .most = 100,
     DOCUMENT_INTO(struct job, learning_rate)},
    {.key = "momentum",
     .type = DOCUMENT_REAL,
     .least = 0,
     .most = 1,
     .most_open = true,
     DOCUMENT_INTO(struct job, momentum)},
    {.key = "local_epochs",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 1000,
     DOCUMENT_INTO(struct job, local_epochs)},
    {.key = "average_tail",
     .type = DOCUMENT_REAL,
     .least = 0,
     .most = 1,
     .most_open = true,
     DOCUMENT_INTO(struct job, average_tail)},
    {0},
};

static const struct document_key job_evaluation_keys[] = {
    {.key = "test_fraction",
     .type = DOCUMENT_REAL,
     .least = 0.01,
     .most = 0.9,
     DOCUMENT_INTO(struct job, test_fraction)},
    {.key = "metrics", .type = DOCUMENT_WORD, .words = job_metrics_words, DOCUMENT_INTO(struct job, metrics)},
    {.key = "global_test",
     .type = DOCUMENT_READER,
     .nullable = true,
     .read = job_read_global_test,
     JOB_WHOLE},
    {0},
};

static const struct document_key job_federation_keys[] = {
    {.key = "rounds",
     .type = DOCUMENT_COUNT,
     .required = true,
     .first = 1,
     .last = 10000,
     DOCUMENT_INTO(struct job, rounds)},
    {.key = "strategy",
     .type = DOCUMENT_WORD,
     .words = job_strategy_words,
     DOCUMENT_INTO(struct job, strategy)},
    {.key = "weighting",
     .type = DOCUMENT_WORD,
     .words = job_weighting_words,
     DOCUMENT_INTO(struct job, weighting)},
    {.key = "min_sites",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = JOB_MAX_SITES,
     DOCUMENT_INTO(struct job, min_sites)},
    {.key = "round_deadline",
     .type = DOCUMENT_DURATION,
     .first = 1,
     .last = 86400,
     DOCUMENT_INTO(struct job, round_deadline_s)},
    {0},
};

static const struct document_key job_keys[] = {
    {.key = "job", .type = DOCUMENT_NAME, .required = true, DOCUMENT_INTO(struct job, name)},
    {.key = "dataset", .type = DOCUMENT_NAME, .required = true, DOCUMENT_INTO(struct job, dataset)},
    {.key = "model", .type = DOCUMENT_MAPPING, .required = true, .keys = job_model_keys},
    {.key = "features", .type = DOCUMENT_MAPPING, .keys = job_features_keys},
    {.key = "training", .type = DOCUMENT_MAPPING, .keys = job_training_keys},
    {.key = "evaluation", .type = DOCUMENT_MAPPING, .keys = job_evaluation_keys},
    {.key = "federation", .type = DOCUMENT_MAPPING, .required = true, .keys = job_federation_keys},
    {.key = "secure_aggregation", .type = DOCUMENT_MAPPING, .keys = job_secure_keys},
    {.key = "privacy", .type = DOCUMENT_MAPPING, .keys = job_privacy_keys},
    {.key = "seed", .type = DOCUMENT_COUNT, .first = 0, .last = INT64_MAX, DOCUMENT_INTO(struct job, seed)},
    {.key = "expires", .type = DOCUMENT_TIME, .required = true, DOCUMENT_INTO(struct job, expires)},
    {.key = "sites", .type = DOCUMENT_READER, .required = true, .read = job_read_sites, JOB_WHOLE},
    {0},
};

/* --- Combinations --- */

static const struct {
    const char *path;
    enum job_optimizer optimizer;
} job_optimizer_paths[] = {
    {"training.local_iterations", JOB_LBFGS}, {"training.batch_size", JOB_SGD},
    {"training.learning_rate", JOB_SGD},      {"training.momentum", JOB_SGD},
    {"training.local_epochs", JOB_SGD},
};

/* A key without effect would let its writer believe in one. */
static struct error *job_check_optimizer(const struct document_value *root, const struct job *job)
{
    for (size_t i = 0; i < sizeof(job_optimizer_paths) / sizeof(job_optimizer_paths[0]); i++) {
        struct document_value value;
        enum job_optimizer owner = job_optimizer_paths[i].optimizer;
        if (owner == job->optimizer || !document_find(root, job_optimizer_paths[i].path, &value))
            continue;
        return document_error(
            &value, ERROR_INVALID,
            "belongs to optimizer: %s, and this job's is %s; remove the key or change the optimizer.",
            job_optimizer_word(owner), job_optimizer_word(job->optimizer));
    }
    return NULL;
}

static struct error *job_settle_min_sites(const struct document_value *root, struct job *job)
{
    struct document_value value;
    if (!document_find(root, "federation.min_sites", &value)) {
        job->min_sites = job->secure.enabled ? job->secure.threshold : (uint32_t)job->site_count;
        return NULL;
    }
    if (job->min_sites > job->site_count)
        return document_error(&value, ERROR_INVALID,
                              "must be a whole number from 1 to %zu, the number of sites.", job->site_count);
    return NULL;
}

static struct job *job_new(void)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return NULL;
    job->model = JOB_SOFTMAX_REGRESSION;
    job->l2 = 1e-4;
    job->init = JOB_INIT_ZEROS;
    job->optimizer = JOB_LBFGS;
    job->local_iterations = 60;
    job->batch_size = 64;
    job->learning_rate = 0.1;
    job->momentum = 0.9;
    job->local_epochs = 1;
    job->test_fraction = 0.2;
    job->metrics = JOB_METRICS_PER_SITE;
    job->global_test = JOB_GLOBAL_TEST_NONE;
    job->strategy = JOB_FEDAVG;
    job->weighting = JOB_WEIGHT_EXAMPLES;
    job->round_deadline_s = 60;
    job->privacy.sampling_rate = 1;
    job->privacy.steps = 1;
    job_secure_defaults(job);
    return job;
}

struct error *job_parse(const char *text, size_t bytes, const char *where, struct job **ret_job)
{
    struct error *err = NULL;
    struct document *document = NULL;
    struct job *job = NULL;
    TRY(document_parse(text, bytes, JOB_MAX_BYTES, where, &document));
    job = job_new();
    if (job == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", where);
    struct document_value root = document_root(document);
    TRY(document_read(&root, job_keys, job));
    TRY(job_check_optimizer(&root, job));
    TRY(job_secure_settle(&root, job));
    TRY(job_privacy_settle(&root, job));
    TRY(job_features_settle(&root, job));
    TRY(job_settle_min_sites(&root, job));
    *ret_job = job;
    job = NULL;
done:
    job_free(job);
    document_free(document);
    return err;
}

struct job *job_share(struct job *job)
{
    (void)__atomic_fetch_add(&job->sharers, 1, __ATOMIC_RELAXED);
    return job;
}

struct job job_copy(const struct job *job)
{
    struct job copy = {0};
    memcpy(&copy, job, offsetof(struct job, sharers));
    return copy;
}

void job_free(struct job *job)
{
    if (job == NULL || __atomic_fetch_sub(&job->sharers, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(job->sites);
    free(job->feature_mean);
    free(job->feature_deviation);
    free(job);
}
