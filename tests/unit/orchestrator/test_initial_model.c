#include "crypto/digest.h"
#include "learning/softmax.h"
#include "orchestrator/initial_model.h"
#include "orchestrator/safetensors.h"
#include "schemas/files.h"
#include "schemas/wire.h"
#include "tests/unit/cmocka_all.h"

#include <math.h>

#define FEATURES 3
#define CLASSES 2
#define COUNT ((FEATURES + 1) * CLASSES)

static void expect_error(struct error *err, enum error_code code, const char *words)
{
    assert_non_null(err);
    if (strstr(err->sentence, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->sentence, words);
    assert_int_equal(err->code, code);
    error_free(err);
}

static double *make(const struct job *job, const char *path)
{
    struct initial_model *initial = NULL;
    double *parameters = NULL;
    struct error *err = initial_model_open(job, path, &initial);
    if (err == NULL)
        err = initial_model_make(initial, FEATURES, CLASSES, &parameters);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    initial_model_free(initial);
    return parameters;
}

/* A job that names the file by its digest. */
static struct job job_for(const char *path)
{
    struct job job = {.init = JOB_INIT_FILE};
    struct digest digest;
    uint8_t *data = NULL;
    size_t bytes = 0;
    assert_null(file_read(path, 65536, &data, &bytes));
    assert_null(digest_of(data, bytes, &digest));
    digest_hex(&digest, job.init_sha256);
    free(data);
    return job;
}

static void write_raw(const char *path, double last)
{
    double values[COUNT];
    uint8_t bytes[8 * COUNT];
    for (size_t i = 0; i < COUNT; i++)
        values[i] = (double)i / 4;
    values[COUNT - 1] = last;
    wire_parameters_write(values, COUNT, bytes);
    assert_null(file_write(path, bytes, sizeof bytes, 0600));
}

static void test_initial_model_zeros_all_zero(void **state)
{
    (void)state;
    struct job job = {.init = JOB_INIT_ZEROS};
    double *parameters = make(&job, NULL);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(parameters[i] == 0);
    free(parameters);
}

static void test_initial_model_seeded_same_seed_same_bits(void **state)
{
    (void)state;
    struct job job = {.init = JOB_INIT_SEEDED, .seed = 7};
    double *first = make(&job, NULL);
    double *second = make(&job, NULL);
    job.seed = 8;
    double *other = make(&job, NULL);
    assert_memory_equal(first, second, COUNT * sizeof(double));
    assert_memory_not_equal(first, other, COUNT * sizeof(double));
    free(first);
    free(second);
    free(other);
}

static void test_initial_model_raw_file_read(void **state)
{
    (void)state;
    write_raw("model.raw", 2.5);
    struct job job = job_for("model.raw");
    double *parameters = make(&job, "model.raw");
    assert_true(parameters[1] == 0.25);
    assert_true(parameters[COUNT - 1] == 2.5);
    free(parameters);
}

static void test_initial_model_safetensors_file_of_a_run_read(void **state)
{
    (void)state;
    double values[COUNT] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_null(safetensors_write("model.safetensors", values, FEATURES, CLASSES, NULL, 0));
    struct job job = job_for("model.safetensors");
    double *parameters = make(&job, "model.safetensors");
    assert_memory_equal(parameters, values, sizeof values);
    free(parameters);
}

/* The digest of the values, whichever way a file has them. */
static struct job secure_job_for(const double values[static COUNT])
{
    struct job job = {.init = JOB_INIT_FILE, .secure = {.enabled = true}};
    struct digest digest;
    uint8_t bytes[8 * COUNT];
    wire_parameters_write(values, COUNT, bytes);
    assert_null(digest_of(bytes, sizeof bytes, &digest));
    digest_hex(&digest, job.init_sha256);
    return job;
}

static void test_initial_model_secure_both_forms_by_the_digest_of_their_values(void **state)
{
    (void)state;
    double values[COUNT] = {1, 2, 3, 4, 5, 6, 7, 8.25};
    uint8_t bytes[8 * COUNT];
    struct job job = secure_job_for(values);
    const char *paths[] = {"secure.raw", "secure.safetensors"};
    wire_parameters_write(values, COUNT, bytes);
    assert_null(file_write(paths[0], bytes, sizeof bytes, 0600));
    assert_null(safetensors_write(paths[1], values, FEATURES, CLASSES, NULL, 0));
    for (size_t i = 0; i < 2; i++) {
        double *parameters = make(&job, paths[i]);
        assert_memory_equal(parameters, values, sizeof values);
        free(parameters);
    }
}

static void test_initial_model_secure_other_values_untrusted(void **state)
{
    (void)state;
    double values[COUNT] = {1, 2, 3, 4, 5, 6, 7, 8.25};
    struct initial_model *initial = NULL;
    struct job job = secure_job_for(values);
    values[3] = 4.5;
    assert_null(safetensors_write("other-values.safetensors", values, FEATURES, CLASSES, NULL, 0));
    expect_error(initial_model_open(&job, "other-values.safetensors", &initial), ERROR_UNTRUSTED,
                 "give the right file");
}

/* The digest that would do in a job in clear. */
static void test_initial_model_secure_digest_of_the_file_untrusted(void **state)
{
    (void)state;
    double values[COUNT] = {1, 2, 3, 4, 5, 6, 7, 8.25};
    struct initial_model *initial = NULL;
    assert_null(safetensors_write("secure.safetensors", values, FEATURES, CLASSES, NULL, 0));
    struct job job = job_for("secure.safetensors");
    job.secure.enabled = true;
    expect_error(initial_model_open(&job, "secure.safetensors", &initial), ERROR_UNTRUSTED,
                 "that of the file; with secure aggregation sites check the parameters");
}

static void test_initial_model_other_file_untrusted(void **state)
{
    (void)state;
    struct initial_model *initial = NULL;
    write_raw("model.raw", 2.5);
    struct job job = job_for("model.raw");
    write_raw("model.raw", 2.6);
    expect_error(initial_model_open(&job, "model.raw", &initial), ERROR_UNTRUSTED, job.init_sha256);
}

static void test_initial_model_file_not_given_usage(void **state)
{
    (void)state;
    struct initial_model *initial = NULL;
    struct job job = {.init = JOB_INIT_FILE};
    expect_error(initial_model_open(&job, NULL, &initial), ERROR_USAGE, "--init-model");
}

static void test_initial_model_file_given_for_zeros_usage(void **state)
{
    (void)state;
    struct initial_model *initial = NULL;
    struct job job = {.init = JOB_INIT_ZEROS};
    expect_error(initial_model_open(&job, "model.raw", &initial), ERROR_USAGE, "zeros");
}

static void test_initial_model_file_of_other_shape_invalid(void **state)
{
    (void)state;
    struct initial_model *initial = NULL;
    double *parameters = NULL;
    const char *paths[] = {"other.raw", "other.safetensors"};
    double values[COUNT] = {0};
    write_raw(paths[0], 1);
    assert_null(safetensors_write(paths[1], values, FEATURES, CLASSES, NULL, 0));
    for (size_t i = 0; i < 2; i++) {
        struct job job = job_for(paths[i]);
        assert_null(initial_model_open(&job, paths[i], &initial));
        expect_error(initial_model_make(initial, FEATURES + 1, CLASSES, &parameters), ERROR_INVALID,
                     paths[i]);
        initial_model_free(initial);
    }
}

static void test_initial_model_file_not_finite_invalid(void **state)
{
    (void)state;
    struct initial_model *initial = NULL;
    double *parameters = NULL;
    write_raw("nan.raw", NAN);
    struct job job = job_for("nan.raw");
    assert_null(initial_model_open(&job, "nan.raw", &initial));
    expect_error(initial_model_make(initial, FEATURES, CLASSES, &parameters), ERROR_INVALID, "not finite");
    initial_model_free(initial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial_model_zeros_all_zero),
        cmocka_unit_test(test_initial_model_seeded_same_seed_same_bits),
        cmocka_unit_test(test_initial_model_raw_file_read),
        cmocka_unit_test(test_initial_model_safetensors_file_of_a_run_read),
        cmocka_unit_test(test_initial_model_secure_both_forms_by_the_digest_of_their_values),
        cmocka_unit_test(test_initial_model_secure_other_values_untrusted),
        cmocka_unit_test(test_initial_model_secure_digest_of_the_file_untrusted),
        cmocka_unit_test(test_initial_model_other_file_untrusted),
        cmocka_unit_test(test_initial_model_file_not_given_usage),
        cmocka_unit_test(test_initial_model_file_given_for_zeros_usage),
        cmocka_unit_test(test_initial_model_file_of_other_shape_invalid),
        cmocka_unit_test(test_initial_model_file_not_finite_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
