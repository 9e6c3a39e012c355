/* Jobs that say how much privacy they want and not how much noise: what is submitted says both. */
#include "orchestrator/job_file.h"

#include "crypto/privacy_plan.h"
#include "made_run.h"

#include "schemas/files.h"

#define JOB_HEAD                                                                                             \
    "job: private\ndataset: toy\nmodel: {kind: softmax-regression}\n"                                        \
    "training: {optimizer: sgd, learning_rate: 1}\nfederation: {rounds: 5}\n"
#define JOB_TAIL                                                                                             \
    "expires: 2127-12-31T00:00:00Z\nsites:\n"                                                                \
    "  - {name: A, endpoint: \"tcp://127.0.0.1:4001\", fingerprint: "                                        \
    "\"sha256:0000000000000000000000000000000000000000000000000000000000000001\", examples: 30000}\n"        \
    "  - {name: B, endpoint: \"tcp://127.0.0.1:4002\", fingerprint: "                                        \
    "\"sha256:0000000000000000000000000000000000000000000000000000000000000002\", examples: 24000}\n"

static char *job_of(void **state, const char *privacy)
{
    char text[4096];
    char *path = made_path(*state, "job.yaml");
    (void)snprintf(text, sizeof text, "%s%s%s", JOB_HEAD, privacy, JOB_TAIL);
    made_fine(file_write(path, (const uint8_t *)text, strlen(text), 0600));
    return path;
}

static double epsilon_of(const struct job *job)
{
    double epsilon = 0;
    made_fine(privacy_plan_epsilon(job, PRIVACY_PLD, job->rounds, privacy_plan_evaluations(job, job->rounds),
                                   &epsilon));
    return epsilon;
}

/* Within the target, and not by more than the rounding of the number. */
static void expect_calibrated(const struct job_file *file, double target)
{
    double epsilon = epsilon_of(file->job);
    assert_true(file->computed_noise > 0);
    assert_true(file->job->privacy.noise_multiplier == file->computed_noise);
    assert_true(epsilon <= target);
    assert_true(epsilon > target * 0.998);
}

static void test_job_file_target_alone_gets_its_noise(void **state)
{
    struct job_file file;
    char *path =
        job_of(state, "privacy:\n  mechanism: dp-sgd\n  clip: 0.3 # of a row\n  target_epsilon: 3 # agreed\n"
                      "  delta: 1e-5\n  sampling_rate: 0.01\n  steps: 100\n");
    char *before = made_text(path);
    made_fine(job_file_read(path, &file));
    expect_calibrated(&file, 3);
    char *place = strstr((char *)file.bytes, "  target_epsilon: 3 # agreed\n  noise_multiplier: ");
    assert_non_null(place);
    /* Without its line, it is the file, which is as it was. */
    char *line = strstr(place, "  noise_multiplier: ");
    char *end = strchr(line, '\n') + 1;
    char *after = made_text(path);
    assert_string_equal(before, after);
    assert_int_equal(file.count - (size_t)(end - line), strlen(before));
    assert_memory_equal(before, file.bytes, (size_t)(line - (char *)file.bytes));
    assert_string_equal(before + (line - (char *)file.bytes), end);
    job_file_clear(&file);
    free(before);
    free(after);
    free(path);
}

static void test_job_file_noise_counts_the_metrics_too(void **state)
{
    struct job_file plain, counted;
    char *path = job_of(
        state, "privacy: {mechanism: dp-sgd, clip: 0.3, target_epsilon: 1, delta: 1e-5, sampling_rate: "
               "0.01, steps: 20}\n");
    made_fine(job_file_read(path, &plain));
    free(path);
    path = job_of(
        state, "privacy: {mechanism: dp-sgd, clip: 0.3, target_epsilon: 1, delta: 1e-5, sampling_rate: 0.01, "
               "steps: 20, metrics_noise: 20, metrics_rounds: all}\n");
    made_fine(job_file_read(path, &counted));
    expect_calibrated(&plain, 1);
    expect_calibrated(&counted, 1);
    assert_true(counted.computed_noise > plain.computed_noise);
    job_file_clear(&plain);
    job_file_clear(&counted);
    free(path);
}

static void test_job_file_same_file_same_bytes(void **state)
{
    struct job_file one, two;
    char *path = job_of(state, "privacy: {mechanism: site-level, clip: 1, target_epsilon: 8, delta: 1e-5}\n");
    made_fine(job_file_read(path, &one));
    made_fine(job_file_read(path, &two));
    expect_calibrated(&one, 8);
    assert_int_equal(one.count, two.count);
    assert_memory_equal(one.bytes, two.bytes, one.count);
    job_file_clear(&one);
    job_file_clear(&two);
    free(path);
}

static void expect_untouched(void **state, const char *privacy)
{
    struct job_file file;
    char *path = job_of(state, privacy);
    char *text = made_text(path);
    made_fine(job_file_read(path, &file));
    assert_true(file.computed_noise == 0);
    assert_int_equal(file.count, strlen(text));
    assert_memory_equal(file.bytes, text, file.count);
    job_file_clear(&file);
    free(text);
    free(path);
}

static void test_job_file_that_says_its_noise_is_taken_as_it_is(void **state)
{
    expect_untouched(
        state, "privacy: {mechanism: dp-sgd, clip: 0.3, noise_multiplier: 2, delta: 1e-5, sampling_rate: "
               "0.01, steps: 20}\n");
    expect_untouched(state,
                     "privacy: {mechanism: dp-sgd, clip: 0.3, noise_multiplier: 2, target_epsilon: 4, delta: "
                     "1e-5, sampling_rate: 0.01, steps: 20}\n");
}

static void test_job_file_noise_that_costs_more_than_the_target_refused(void **state)
{
    struct job_file file;
    char *path = job_of(
        state, "privacy: {mechanism: dp-sgd, clip: 0.3, noise_multiplier: 0.5, target_epsilon: 1, delta: "
               "1e-5, sampling_rate: 0.1, steps: 100}\n");
    made_refusal(job_file_read(path, &file), ERROR_INVALID, "do not belong together");
    free(path);
}

/* The noise of the metrics is given, and alone too little. */
static void test_job_file_target_that_no_noise_reaches_refused(void **state)
{
    struct job_file file;
    char *path = job_of(
        state, "privacy: {mechanism: dp-sgd, clip: 0.3, target_epsilon: 1, delta: 1e-5, sampling_rate: "
               "0.01, metrics_noise: 0.5}\n");
    made_refusal(job_file_read(path, &file), ERROR_INVALID, "privacy.target_epsilon");
    free(path);
}

/* The sentence has the target that was written, not what is left of it for the accountant. */
static void test_job_file_target_below_what_any_noise_reaches_says_the_target(void **state)
{
    static const struct {
        const char *privacy, *sentence;
    } tiny[] = {
        {"target_epsilon: 1e-12, sampling_rate: 0.01, steps: 100",
         "within 1e-12: the grid of the noise alone comes to "},
        {"target_epsilon: 1e-6, sampling_rate: 0.01, metrics_noise: 20",
         "within 1e-06: what privacy.metrics_noise"},
        {"target_epsilon: 1e-6, sampling_rate: 1, steps: 10", "No noise_multiplier up to 1e+06 keeps all"},
    };
    for (size_t i = 0; i < sizeof tiny / sizeof tiny[0]; i++) {
        struct job_file file;
        char text[512];
        (void)snprintf(text, sizeof text, "privacy: {mechanism: dp-sgd, clip: 0.3, delta: 1e-9, %s}\n",
                       tiny[i].privacy);
        char *path = job_of(state, text);
        made_refusal(job_file_read(path, &file), ERROR_INVALID, tiny[i].sentence);
        free(path);
    }
}

static void test_job_file_without_privacy_is_taken_as_it_is(void **state)
{
    struct job_file file;
    char warning[JOB_FILE_WARNING_BYTES];
    char *path = made_path(*state, "job.yaml");
    static const char text[] =
        JOB_HEAD "expires: 2127-12-31T00:00:00Z\nsites:\n"
                 "  - {name: A, endpoint: \"tcp://127.0.0.1:4001\", fingerprint: "
                 "\"sha256:0000000000000000000000000000000000000000000000000000000000000001\"}\n";
    made_fine(file_write(path, (const uint8_t *)text, sizeof text - 1, 0600));
    made_fine(job_file_read(path, &file));
    assert_int_equal(file.count, sizeof text - 1);
    assert_true(file.computed_noise == 0);
    job_file_warning(file.job, warning);
    assert_string_equal(warning, "");
    job_file_clear(&file);
    free(path);
}

static void expect_warning(void **state, const char *privacy, const char *words)
{
    struct job_file file;
    char warning[JOB_FILE_WARNING_BYTES];
    char *path = job_of(state, privacy);
    made_fine(job_file_read(path, &file));
    job_file_warning(file.job, warning);
    if (words == NULL)
        assert_string_equal(warning, "");
    else if (strstr(warning, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", warning, words);
    job_file_clear(&file);
    free(path);
}

static void test_job_file_delta_of_one_row_is_warned_about(void **state)
{
    expect_warning(
        state,
        "privacy: {mechanism: dp-sgd, clip: 1, noise_multiplier: 2, delta: 0.00005, sampling_rate: "
        "0.01}\n",
        "24000 rows");
    expect_warning(state,
                   "privacy: {mechanism: dp-sgd, clip: 1, noise_multiplier: 2, delta: 1e-5, sampling_rate: "
                   "0.01}\n",
                   NULL);
}

/* A job of so few sites could not say such a delta, but one of ten can. */
static void test_job_file_delta_of_one_site_is_warned_about(void **state)
{
    struct job_file file;
    char warning[JOB_FILE_WARNING_BYTES];
    char *path =
        job_of(state, "privacy: {mechanism: site-level, clip: 1, noise_multiplier: 8, delta: 1e-5}\n");
    made_fine(job_file_read(path, &file));
    job_file_warning(file.job, warning);
    assert_string_equal(warning, "");
    file.job->privacy.delta = 0.5;
    job_file_warning(file.job, warning);
    assert_non_null(strstr(warning, "there are 2 sites"));
    job_file_clear(&file);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_job_file_target_alone_gets_its_noise),
        MADE_TEST(test_job_file_noise_counts_the_metrics_too),
        MADE_TEST(test_job_file_same_file_same_bytes),
        MADE_TEST(test_job_file_that_says_its_noise_is_taken_as_it_is),
        MADE_TEST(test_job_file_noise_that_costs_more_than_the_target_refused),
        MADE_TEST(test_job_file_target_that_no_noise_reaches_refused),
        MADE_TEST(test_job_file_target_below_what_any_noise_reaches_says_the_target),
        MADE_TEST(test_job_file_without_privacy_is_taken_as_it_is),
        MADE_TEST(test_job_file_delta_of_one_row_is_warned_about),
        MADE_TEST(test_job_file_delta_of_one_site_is_warned_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
