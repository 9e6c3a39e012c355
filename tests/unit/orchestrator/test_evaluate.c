#include "made_run.h"

#include "orchestrator/evaluate.h"
#include "schemas/files.h"

/* Five images of 1 × 2 pixels and their classes. Class c of the model below scores pixel c, and class 2
 * scores 0.25. */
static const uint8_t images[] = {0,   0, 8, 3,   0,  0,  0,   5,   0,   0,  0, 1, 0, 0, 0, 2, /* header */
                                 255, 0, 0, 255, 10, 10, 200, 100, 100, 200};
static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 5, 0, 1, 2, 1, 1};
static const double model[9] = {1, 0, 0, 1, 0, 0, 0, 0, 0.25};

static const char csv[] = "a,class,b\n1,0,0\n0,1,1\n0.1,2,0.1\n0.8,1,0.4\n0.4,1,0.8\n";

/* Truths 0 1 2 1 1 against predictions 0 1 2 0 1. */
static const uint64_t wanted[9] = {1, 0, 0, 1, 2, 0, 0, 0, 1};

static struct job job_of(const char *directory, enum job_global_test kind)
{
    struct job job = {.global_test = kind};
    if (kind == JOB_GLOBAL_TEST_CSV) {
        (void)snprintf(job.global_test_images, sizeof job.global_test_images, "%s/rows.csv", directory);
        (void)snprintf(job.global_test_labels, sizeof job.global_test_labels, "class");
    } else {
        (void)snprintf(job.global_test_images, sizeof job.global_test_images, "%s/images", directory);
        (void)snprintf(job.global_test_labels, sizeof job.global_test_labels, "%s/labels", directory);
    }
    return job;
}

static struct evaluate *open_idx(const char *directory)
{
    struct evaluate *evaluate = NULL;
    struct job job = job_of(directory, JOB_GLOBAL_TEST_IDX);
    made_fine(file_write(job.global_test_images, images, sizeof images, 0600));
    made_fine(file_write(job.global_test_labels, labels, sizeof labels, 0600));
    made_fine(evaluate_open(&job, &evaluate));
    return evaluate;
}

static void refuse_csv(const char *directory, const char *text, const char *sentence)
{
    struct evaluate *evaluate = NULL;
    struct job job = job_of(directory, JOB_GLOBAL_TEST_CSV);
    made_fine(file_write(job.global_test_images, text, strlen(text), 0600));
    made_refusal(evaluate_open(&job, &evaluate), ERROR_INVALID, sentence);
    assert_null(evaluate);
}

static void test_evaluate_idx_pair_gives_the_counts_done_by_hand(void **state)
{
    uint64_t counts[9];
    struct evaluate *evaluate = open_idx(*state);
    assert_int_equal(evaluate_rows(evaluate), 5);
    assert_int_equal(evaluate_features(evaluate), 2);
    made_fine(evaluate_model(evaluate, model, 2, 3, counts));
    assert_memory_equal(counts, wanted, sizeof wanted);
    evaluate_free(evaluate);
}

static void test_evaluate_csv_gives_the_counts_done_by_hand(void **state)
{
    uint64_t counts[9];
    struct evaluate *evaluate = NULL;
    struct job job = job_of(*state, JOB_GLOBAL_TEST_CSV);
    made_fine(file_write(job.global_test_images, csv, sizeof csv - 1, 0600));
    made_fine(evaluate_open(&job, &evaluate));
    made_fine(evaluate_model(evaluate, model, 2, 3, counts));
    assert_memory_equal(counts, wanted, sizeof wanted);
    evaluate_free(evaluate);
}

static void test_evaluate_csv_of_many_rows_counts_all_of_them(void **state)
{
    uint64_t counts[9];
    char *text = NULL;
    size_t bytes = 0;
    struct evaluate *evaluate = NULL;
    struct job job = job_of(*state, JOB_GLOBAL_TEST_CSV);
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    fprintf(stream, "a,class,b\n");
    for (int i = 0; i < 1000; i++)
        fprintf(stream, "%d,%d,%d\n", i % 2, 1 - i % 2, 1 - i % 2);
    assert_int_equal(fclose(stream), 0);
    made_fine(file_write(job.global_test_images, text, bytes, 0600));
    made_fine(evaluate_open(&job, &evaluate));
    made_fine(evaluate_model(evaluate, model, 2, 3, counts));
    assert_int_equal(counts[0], 500);
    assert_int_equal(counts[4], 500);
    evaluate_free(evaluate);
    free(text);
}

/* On rows of norm 1 class 2, which always scores 0.25, is what it was, and 10 and 10 of 255 are as good as any. */
static void test_evaluate_mapped_rows_are_what_the_model_sees(void **state)
{
    static const uint64_t of_unit_rows[9] = {1, 0, 0, 1, 2, 0, 1, 0, 0};
    uint64_t counts[9];
    struct evaluate *evaluate = open_idx(*state);
    struct job job = {.features = JOB_FEATURES_UNIT_NORM};
    made_fine(evaluate_map(evaluate, &job, 2, 3, 1, 2));
    made_fine(evaluate_model(evaluate, model, 2, 3, counts));
    assert_memory_equal(counts, of_unit_rows, sizeof of_unit_rows);
    evaluate_free(evaluate);
}

static void test_evaluate_raw_rows_stay_as_they_are(void **state)
{
    uint64_t counts[9];
    struct evaluate *evaluate = open_idx(*state);
    struct job job = {.features = JOB_FEATURES_RAW};
    made_fine(evaluate_map(evaluate, &job, 2, 3, 0, 0));
    made_fine(evaluate_model(evaluate, model, 2, 3, counts));
    assert_memory_equal(counts, wanted, sizeof wanted);
    evaluate_free(evaluate);
}

static void test_evaluate_standardized_rows_use_the_numbers_of_the_job(void **state)
{
    uint64_t counts[9];
    double mean[2] = {10, 10}, deviation[2] = {1, 1};
    struct evaluate *evaluate = open_idx(*state);
    struct job job = {.features = JOB_FEATURES_STANDARDIZE,
                      .feature_mean = mean,
                      .feature_deviation = deviation,
                      .feature_count = 2,
                      .deviation_count = 2};
    made_fine(evaluate_map(evaluate, &job, 2, 3, 0, 0));
    made_fine(evaluate_model(evaluate, model, 2, 3, counts));
    assert_int_equal(counts[2] + counts[5] + counts[8], 5); /* both pixels are far below 0 */
    evaluate_free(evaluate);
}

/* 8 by 16 pixels have as many features as 16 by 8. */
static void test_evaluate_hog_of_images_with_other_sides_is_refused(void **state)
{
    uint8_t pixels[16 + 128] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 16};
    static const uint8_t label[] = {0, 0, 8, 1, 0, 0, 0, 1, 1};
    struct evaluate *evaluate = NULL;
    struct job job = job_of(*state, JOB_GLOBAL_TEST_IDX);
    job.features = JOB_FEATURES_HOG;
    made_fine(file_write(job.global_test_images, pixels, sizeof pixels, 0600));
    made_fine(file_write(job.global_test_labels, label, sizeof label, 0600));
    made_fine(evaluate_open(&job, &evaluate));
    made_refusal(evaluate_map(evaluate, &job, 128, 3, 16, 8), ERROR_INVALID,
                 "rows of 8 by 16 pixels, but the sites' have 16 by 8");
    made_fine(evaluate_map(evaluate, &job, 128, 3, 8, 16));
    evaluate_free(evaluate);
}

static void test_evaluate_job_without_global_test_opens_nothing(void **state)
{
    struct job job = {.global_test = JOB_GLOBAL_TEST_NONE};
    struct evaluate *evaluate = (struct evaluate *)&job;
    (void)state;
    made_fine(evaluate_open(&job, &evaluate));
    assert_null(evaluate);
}

static void test_evaluate_other_number_of_features_is_refused_with_both(void **state)
{
    struct evaluate *evaluate = open_idx(*state);
    made_fine(evaluate_check(evaluate, 2, 3));
    made_refusal(evaluate_check(evaluate, 784, 3), ERROR_INVALID,
                 "has 2 features a row, but the sites' data has 784");
    evaluate_free(evaluate);
}

static void test_evaluate_label_beyond_the_classes_is_refused(void **state)
{
    struct evaluate *evaluate = open_idx(*state);
    uint64_t counts[4] = {7, 7, 7, 7};
    made_refusal(evaluate_model(evaluate, model, 2, 2, counts), ERROR_INVALID, "labels up to 2");
    assert_int_equal(counts[0], 7);
    evaluate_free(evaluate);
}

static void test_evaluate_images_without_as_many_labels_are_refused(void **state)
{
    static const uint8_t four[] = {0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 1};
    struct evaluate *evaluate = NULL;
    struct job job = job_of(*state, JOB_GLOBAL_TEST_IDX);
    made_fine(file_write(job.global_test_images, images, sizeof images, 0600));
    made_fine(file_write(job.global_test_labels, four, sizeof four, 0600));
    made_refusal(evaluate_open(&job, &evaluate), ERROR_INVALID, "5 images");
}

static void test_evaluate_truncated_images_are_refused(void **state)
{
    struct evaluate *evaluate = NULL;
    struct job job = job_of(*state, JOB_GLOBAL_TEST_IDX);
    made_fine(file_write(job.global_test_images, images, sizeof images - 1, 0600));
    made_fine(file_write(job.global_test_labels, labels, sizeof labels, 0600));
    made_refusal(evaluate_open(&job, &evaluate), ERROR_INVALID, "evaluation.global_test");
}

static void test_evaluate_missing_file_is_named(void **state)
{
    struct evaluate *evaluate = NULL;
    struct job job = job_of(*state, JOB_GLOBAL_TEST_IDX);
    made_refusal(evaluate_open(&job, &evaluate), ERROR_NOT_FOUND, "images");
}

static void test_evaluate_csv_with_bad_cells_is_refused(void **state)
{
    refuse_csv(*state, "a,class,b\n1,0,x\n", "b");
    refuse_csv(*state, "a,class,b\n1,0\n", "2");
    refuse_csv(*state, "a,class,b\n1,0,1e300\n", "too large");
    refuse_csv(*state, "a,class,b\n", "no rows");
    refuse_csv(*state, "a,b\n1,2\n", "class");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_evaluate_idx_pair_gives_the_counts_done_by_hand),
        MADE_TEST(test_evaluate_csv_gives_the_counts_done_by_hand),
        MADE_TEST(test_evaluate_csv_of_many_rows_counts_all_of_them),
        MADE_TEST(test_evaluate_mapped_rows_are_what_the_model_sees),
        MADE_TEST(test_evaluate_raw_rows_stay_as_they_are),
        MADE_TEST(test_evaluate_standardized_rows_use_the_numbers_of_the_job),
        MADE_TEST(test_evaluate_hog_of_images_with_other_sides_is_refused),
        MADE_TEST(test_evaluate_job_without_global_test_opens_nothing),
        MADE_TEST(test_evaluate_other_number_of_features_is_refused_with_both),
        MADE_TEST(test_evaluate_label_beyond_the_classes_is_refused),
        MADE_TEST(test_evaluate_images_without_as_many_labels_are_refused),
        MADE_TEST(test_evaluate_truncated_images_are_refused),
        MADE_TEST(test_evaluate_missing_file_is_named),
        MADE_TEST(test_evaluate_csv_with_bad_cells_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
