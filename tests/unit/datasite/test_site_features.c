/* Features and feature statistics at a site: what rows become, what is refused by name, and where statistics come from. */
#include "datasite/mapped_rows.h"
#include "datasite/model_shape.h"
#include "tests/unit/datasite/private_job.h"

#include <math.h>

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define REFUSED site_expect_refusal
#define NO_PRIVACY "{mechanism: none}"
#define STATISTICS .model = "{kind: feature-statistics}", .training = "", .rounds = 1, .name = "statistics"

static const double zeros[2 * SITE_FEATURES];

static struct reply train_statistics(struct site *site)
{
    struct reply reply = site_train_start(site, 1, zeros, 2 * SITE_FEATURES);
    return reply.later ? site_wait(site) : reply;
}

static void take(struct site *site, struct reply reply, double ret_statistics[static 2 * SITE_FEATURES])
{
    Fds__Update *update = private_update(site, reply);
    assert_int_equal(update->parameters.len, 2 * SITE_FEATURES * sizeof(double));
    wire_parameters_read(update->parameters.data, 2 * SITE_FEATURES, ret_statistics);
    wire_update_free(update);
}

/* Sines of steps of 6.8: mean about 0, mean square about 1/2. */
static void test_statistics_in_clear_are_the_means(void **state)
{
    struct site *site = *state;
    double statistics[2 * SITE_FEATURES];
    private_approved(site,
                     &(struct private_words){STATISTICS, .privacy = NO_PRIVACY, .examples = "",
                                             .evaluation = "{metrics: none}"},
                     0);
    take(site, train_statistics(site), statistics);
    for (size_t j = 0; j < SITE_FEATURES; j++) {
        assert_true(fabs(statistics[j]) < 0.05);
        assert_true(fabs(statistics[SITE_FEATURES + j] - 0.5) < 0.05);
    }
}

static void test_statistics_under_dp_sgd_are_near_the_means(void **state)
{
    struct site *site = *state;
    double statistics[2 * SITE_FEATURES];
    private_approved(
        site,
        &(struct private_words){STATISTICS, .privacy = "{mechanism: dp-sgd, clip: 3, noise_multiplier: 1, "
                                                       "delta: 1e-5, sampling_rate: 1}"},
        0);
    take(site, train_statistics(site), statistics);
    for (size_t j = 0; j < SITE_FEATURES; j++) {
        assert_true(fabs(statistics[j]) < 0.1);
        assert_true(fabs(statistics[SITE_FEATURES + j] - 0.5) < 0.1);
        assert_true(statistics[j] != 0);
    }
}

static void test_statistics_of_a_model_of_another_shape_are_refused(void **state)
{
    struct site *site = *state;
    private_approved(site,
                     &(struct private_words){STATISTICS, .privacy = NO_PRIVACY, .examples = "",
                                             .evaluation = "{metrics: none}"},
                     0);
    REFUSED(site_train(site, 1, 0), ERROR_INVALID, "mean and mean square of 4 features");
}

/* ---- features without privacy ---- */

static Fds__Update *update_of(struct site *site, const char *name, const char *features)
{
    private_approved(site,
                     &(struct private_words){.name = name,
                                             .privacy = NO_PRIVACY,
                                             .examples = "",
                                             .features = features,
                                             .training = "{optimizer: lbfgs, local_iterations: 5}",
                                             .evaluation = "{test_fraction: 0.5, metrics: per-site}"},
                     0);
    Fds__Update *update = private_update(site, site_train(site, 1, 0));
    site->run[0]++;
    return update;
}

static bool same(const Fds__Update *a, const Fds__Update *b)
{
    return a->parameters.len == b->parameters.len &&
           memcmp(a->parameters.data, b->parameters.data, a->parameters.len) == 0;
}

/* One after the other on the rows that stay in memory: each job sees its own features. */
static void test_features_of_each_job_are_its_own(void **state)
{
    struct site *site = *state;
    Fds__Update *updates[] = {
        update_of(site, "raw", ""),
        update_of(site, "unit", "{kind: unit-norm}"),
        update_of(site, "wide", "{kind: standardize, mean: [0, 0, 0, 0], deviation: [2, 2, 2, 2]}"),
        update_of(site, "narrow", "{kind: standardize, mean: [0, 0, 0, 0], deviation: [4, 4, 4, 4]}"),
        update_of(site, "shifted", "{kind: standardize, mean: [1, 0, 0, 0], deviation: [2, 2, 2, 2]}"),
        update_of(site, "as-they-are", "{kind: standardize, mean: [0, 0, 0, 0], deviation: [1, 1, 1, 1]}"),
    };
    size_t count = sizeof(updates) / sizeof(updates[0]);
    for (size_t i = 0; i + 1 < count; i++)
        for (size_t j = i + 1; j + 1 < count; j++)
            assert_false(same(updates[i], updates[j]));
    assert_true(same(updates[0], updates[count - 1]));
    for (size_t i = 0; i < count; i++)
        wire_update_free(updates[i]);
}

static struct error *approve(struct site *site, const struct private_words *words)
{
    struct job_record record = {.bytes = NULL};
    char text[SITE_JOB_BYTES];
    private_job(site, words, text);
    struct reply reply = site_submit(site, text);
    requests_reply_clear(&reply);
    must(store_job_find(site->store, &site->job_id, &record));
    struct error *err = approval_give(site->store, site->identity, &record, &(struct approval_limits){0},
                                      "owner", "", SITE_NOW);
    job_record_clear(&record);
    return err;
}

static void test_features_that_do_not_fit_are_not_approved(void **state)
{
    struct site *site = *state;
    refused(approve(site, &(struct private_words){.name = "hog", .features = "{kind: hog}"}), ERROR_INVALID,
            "images of bytes");
    refused(
        approve(site, &(struct private_words){.name = "short",
                                              .privacy = NO_PRIVACY,
                                              .examples = "",
                                              .features = "{kind: standardize, mean: [0], deviation: [1]}"}),
        ERROR_INVALID, "has 1 numbers, and rows of this dataset have 4 features");
}

/* The memory that features take is bounded before it is taken. */
static void test_features_of_too_many_rows_are_refused(void **state)
{
    struct dataset dataset = {.info = {.kind = DATASET_BYTES,
                                       .rows = 2000000,
                                       .features = 784,
                                       .image_rows = 28,
                                       .image_columns = 28,
                                       .classes = 10}};
    struct job job = {.features = JOB_FEATURES_HOG};
    struct mapped_rows *mapped = NULL;
    (void)state;
    refused(mapped_rows_make(&job, &dataset, NULL, &mapped), ERROR_LIMIT, "MiB that features may take");
    assert_null(mapped);
}

static void test_features_of_images_have_the_shape_of_their_map(void **state)
{
    struct dataset_info dataset = {
        .kind = DATASET_BYTES, .features = 784, .image_rows = 28, .image_columns = 28, .classes = 10};
    struct job job = {.features = JOB_FEATURES_HOG};
    size_t features = 0, count = 0;
    (void)state;
    must(model_shape_features(&job, &dataset, &features));
    must(model_shape_count(&job, &dataset, &count));
    assert_int_equal(features, 1296);
    assert_int_equal(count, 12970);
    must(model_shape_check(&job, &dataset, 12970 * sizeof(double)));
    refused(model_shape_check(&job, &dataset, 7850 * sizeof(double)), ERROR_INVALID, "shape=(10, 1296)");
}

/* ---- where statistics come from ---- */

static void standardize(const struct site *site, char ret_features[static 256])
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(&site->job_id, hex);
    (void)snprintf(ret_features, 256,
                   "{kind: standardize, mean: [0, 0, 0, 0], deviation: [1, 1, 1, 1], released_by: "
                   "\"sha256:%s\"}",
                   hex);
}

static void test_statistics_of_nobody_are_refused(void **state)
{
    struct site *site = *state;
    char features[256];
    standardize(site, features); /* the id of no job */
    refused(approve(site, &(struct private_words){.features = features}), ERROR_REFUSED,
            "a job that this site does not have");
}

static void test_statistics_of_another_kind_of_job_are_refused(void **state)
{
    struct site *site = *state;
    char features[256];
    private_approved(site, &(struct private_words){0}, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    standardize(site, features);
    refused(approve(site, &(struct private_words){.name = "next", .features = features}), ERROR_REFUSED,
            "none of model.kind: feature-statistics");
}

static void test_statistics_without_privacy_are_refused(void **state)
{
    struct site *site = *state;
    char features[256];
    private_approved(site,
                     &(struct private_words){STATISTICS, .privacy = NO_PRIVACY, .examples = "",
                                             .evaluation = "{metrics: none}"},
                     0);
    site_expect_type(train_statistics(site), UPDATE);
    standardize(site, features);
    refused(approve(site, &(struct private_words){.features = features}), ERROR_REFUSED,
            "not released under the budget");
}

static void test_statistics_that_were_not_released_are_refused_until_they_are(void **state)
{
    struct site *site = *state;
    char features[256];
    struct digest statistics;
    private_approved(
        site,
        &(struct private_words){STATISTICS, .privacy = "{mechanism: dp-sgd, clip: 3, noise_multiplier: 1, "
                                                       "delta: 1e-5, sampling_rate: 1}"},
        0);
    statistics = site->job_id;
    standardize(site, features);
    refused(approve(site, &(struct private_words){.features = features}), ERROR_REFUSED,
            "Nothing of the job in features.released_by was released");
    site->job_id = statistics;
    site_expect_type(train_statistics(site), UPDATE);
    site->run[0] = 2;
    private_approved(site, &(struct private_words){.name = "next", .features = features}, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_statistics_in_clear_are_the_means),
        TEST(test_statistics_under_dp_sgd_are_near_the_means),
        TEST(test_statistics_of_a_model_of_another_shape_are_refused),
        TEST(test_features_of_each_job_are_its_own),
        TEST(test_features_that_do_not_fit_are_not_approved),
        cmocka_unit_test(test_features_of_too_many_rows_are_refused),
        cmocka_unit_test(test_features_of_images_have_the_shape_of_their_map),
        TEST(test_statistics_of_nobody_are_refused),
        TEST(test_statistics_of_another_kind_of_job_are_refused),
        TEST(test_statistics_without_privacy_are_refused),
        TEST(test_statistics_that_were_not_released_are_refused_until_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
