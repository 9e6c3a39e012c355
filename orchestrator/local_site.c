#include "orchestrator/local_site.h"

#include "learning/local_training.h"
#include "learning/random.h"
#include "orchestrator/model_shape.h"

struct local_site {
    struct mock_data mock;
    const struct job *job;
    float *numbers; /* [rows][features], or NULL: mock.data are bytes */
    float *mapped;  /* [rows][model features], or NULL: the model sees the rows as they are */
    size_t model_features;
    uint32_t image_rows, image_columns; /* 0: numbers */
    uint16_t *labels;
    uint32_t *train, *test;
    size_t train_rows, test_rows;
};

void local_site_free(struct local_site *site)
{
    if (site == NULL)
        return;
    mock_data_clear(&site->mock);
    free(site->numbers);
    free(site->mapped);
    free(site->labels);
    free(site->train);
    free(site->test);
    free(site);
}

static struct error *allocate(struct local_site *site)
{
    size_t rows = site->mock.rows;
    if (site->mock.numbers)
        site->numbers = calloc(rows * site->mock.features, sizeof *site->numbers);
    site->labels = calloc(rows, sizeof *site->labels);
    site->train = calloc(rows, sizeof *site->train);
    site->test = calloc(rows, sizeof *site->test);
    if ((site->mock.numbers && site->numbers == NULL) || site->labels == NULL || site->train == NULL ||
        site->test == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a mock dataset.");
    return NULL;
}

/* As datasites hold them for training: numbers in float32. */
static void unpack(struct local_site *site)
{
    for (size_t i = 0; site->numbers != NULL && i < site->mock.rows * site->mock.features; i++) {
        double value = 0;
        wire_parameters_read(site->mock.data + 8 * i, 1, &value);
        site->numbers[i] = (float)value;
    }
    for (size_t i = 0; i < site->mock.rows; i++)
        site->labels[i] = (uint16_t)(site->mock.labels[2 * i] | site->mock.labels[2 * i + 1] << 8);
}

static void split(struct local_site *site, uint32_t position)
{
    struct random random = random_stream(site->job->seed, RANDOM_SPLIT, position, 0);
    for (uint32_t row = 0; row < site->mock.rows; row++) {
        if (random_uniform(&random) < site->job->test_fraction)
            site->test[site->test_rows++] = row;
        else
            site->train[site->train_rows++] = row;
    }
}

static struct matrix_view rows_of(const struct local_site *site)
{
    size_t rows = site->mock.rows, features = site->mock.features;
    if (site->mapped != NULL)
        return matrix_of_floats(site->mapped, rows, site->model_features);
    return site->numbers == NULL ? matrix_of_bytes(site->mock.data, rows, features)
                                 : matrix_of_floats(site->numbers, rows, features);
}

static struct error *map_rows(struct local_site *site)
{
    struct error *err = NULL;
    struct matrix_view raw = rows_of(site);
    struct features_map map = model_shape_map(site->job, site->image_rows, site->image_columns);
    float *mapped = NULL;
    TRY(model_shape_features(site->job, raw.features, site->mock.classes, site->image_rows,
                             site->image_columns, &site->model_features));
    if (map.kind == FEATURES_RAW)
        goto done;
    TRY(features_check_size(raw.rows, site->model_features));
    mapped = calloc(raw.rows * site->model_features, sizeof *mapped);
    if (mapped == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a mock dataset.");
    TRY(features_apply(&map, &raw, mapped));
    site->mapped = mapped;
    mapped = NULL;
done:
    free(mapped);
    return err;
}

struct error *local_site_open(struct mock_data *mock, const struct job *job, uint32_t position,
                              uint32_t image_rows, uint32_t image_columns, struct local_site **ret_site)
{
    struct error *err = NULL;
    struct local_site *site = calloc(1, sizeof *site);
    if (site == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a mock dataset.");
    site->mock = *mock;
    *mock = (struct mock_data){0};
    site->job = job;
    site->image_rows = site->mock.numbers ? 0 : image_rows;
    site->image_columns = site->mock.numbers ? 0 : image_columns;
    TRY(allocate(site));
    unpack(site);
    TRY(map_rows(site));
    split(site, position);
    if (site->train_rows == 0 || site->test_rows == 0)
        FAIL(ERROR_INVALID,
             "Its mock dataset of %llu rows is too small to be divided into training and test rows.",
             (unsigned long long)site->mock.rows);
    *ret_site = site;
    site = NULL;
done:
    mock_data_clear(mock);
    local_site_free(site);
    return err;
}

uint64_t local_site_features(const struct local_site *site)
{
    return site->mock.features;
}

void local_site_image(const struct local_site *site, uint32_t *ret_rows, uint32_t *ret_columns)
{
    *ret_rows = site->image_rows;
    *ret_columns = site->image_columns;
}

uint32_t local_site_classes(const struct local_site *site)
{
    return site->mock.classes;
}

uint64_t local_site_train_rows(const struct local_site *site)
{
    return site->train_rows;
}

struct softmax_problem local_site_problem(const struct local_site *site, bool test)
{
    struct matrix_view all = rows_of(site);
    return (struct softmax_problem){
        .rows =
            matrix_select(&all, test ? site->test : site->train, test ? site->test_rows : site->train_rows),
        .labels = site->labels,
        .classes = site->mock.classes,
        .l2 = site->job->l2,
    };
}

struct error *local_site_train(const struct local_site *site, uint32_t round, const double *model,
                               const struct training_progress *progress, double *ret_parameters,
                               struct training_result *ret_result)
{
    const struct job *job = site->job;
    struct softmax_problem problem = local_site_problem(site, false);
    struct local_training training = {
        .optimizer = job->optimizer == JOB_SGD ? LOCAL_SGD : LOCAL_LBFGS,
        .local_iterations = job->local_iterations,
        .learning_rate = job->learning_rate,
        .momentum = job->momentum,
        .batch_size = job->batch_size,
        .local_epochs = job->local_epochs,
        .seed = job->seed,
        .round = round,
    };
    return local_training_run(&problem, &training, progress, model, ret_parameters, ret_result);
}

struct error *local_site_count(const struct local_site *site, bool test, const double *model,
                               uint64_t *ret_counts)
{
    struct softmax_problem problem = local_site_problem(site, test);
    return softmax_confusion(&problem, model, ret_counts);
}
