#include "learning/partition.h"
#include "learning/random.h"
#include "tests/unit/cmocka_all.h"

#include <math.h>

#define ROWS 1003

struct division {
    uint16_t labels[ROWS];
    uint32_t owner[ROWS];
    size_t size[64];
};

static void label_rows(struct division *division, uint32_t classes)
{
    struct random random = random_stream(3, RANDOM_PARTITION, 9, 9);
    for (size_t i = 0; i < ROWS; i++)
        division->labels[i] = (uint16_t)random_below(&random, classes);
}

/* Divides, and checks that every row has exactly one owner and that indices ascend. */
static void divide(const struct partition *partition, struct division *division)
{
    unsigned seen[ROWS] = {0};
    uint32_t index[ROWS];
    for (uint32_t part = 0; part < partition->parts; part++) {
        size_t count = 0;
        assert_null(partition_rows(partition, division->labels, ROWS, part, index, &count));
        division->size[part] = count;
        for (size_t i = 0; i < count; i++) {
            assert_true(index[i] < ROWS);
            assert_true(i == 0 || index[i] > index[i - 1]);
            seen[index[i]]++;
            division->owner[index[i]] = part;
        }
    }
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(seen[i], 1);
}

static void test_partition_iid_is_contiguous_and_even(void **state)
{
    (void)state;
    struct division division;
    label_rows(&division, 10);
    struct partition partition = {.kind = PARTITION_IID, .parts = 4, .classes = 10};
    divide(&partition, &division);
    for (size_t i = 1; i < ROWS; i++)
        assert_true(division.owner[i] >= division.owner[i - 1]);
    for (size_t p = 0; p < 4; p++)
        assert_in_range(division.size[p], ROWS / 4, ROWS / 4 + 1);
}

static void test_partition_label_skew_deals_whole_classes(void **state)
{
    (void)state;
    struct division division;
    label_rows(&division, 10);
    struct partition partition = {.kind = PARTITION_LABEL_SKEW, .parts = 3, .classes = 10};
    divide(&partition, &division);
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(division.owner[i], division.labels[i] * 3U / 10U);
}

static void test_partition_label_skew_with_more_parts_divides_each_class(void **state)
{
    (void)state;
    struct division division;
    label_rows(&division, 3);
    struct partition partition = {.kind = PARTITION_LABEL_SKEW, .parts = 8, .classes = 3};
    divide(&partition, &division);
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(division.owner[i] * 3U / 8U, division.labels[i]);
    for (size_t p = 0; p < 8; p++)
        assert_in_range(division.size[p], 90, 190);
}

static double largest_share(const struct division *division, uint32_t parts)
{
    size_t largest = 0;
    size_t counts[64] = {0};
    for (size_t i = 0; i < ROWS; i++)
        if (division->labels[i] == 0)
            counts[division->owner[i]]++;
    size_t total = 0;
    for (size_t p = 0; p < parts; p++) {
        largest = counts[p] > largest ? counts[p] : largest;
        total += counts[p];
    }
    return (double)largest / (double)total;
}

static void test_partition_dirichlet_alpha_sets_the_skew(void **state)
{
    (void)state;
    struct division division;
    label_rows(&division, 4);
    struct partition partition = {
        .kind = PARTITION_DIRICHLET, .parts = 5, .classes = 4, .alpha = 1e5, .seed = 1};
    divide(&partition, &division);
    assert_true(largest_share(&division, 5) < 0.25);
    partition.alpha = 0.01;
    divide(&partition, &division);
    assert_true(largest_share(&division, 5) > 0.9);
    partition.alpha = 0.001;
    divide(&partition, &division);
}

static void test_partition_dirichlet_seed_decides(void **state)
{
    (void)state;
    struct division a, b, c;
    label_rows(&a, 4);
    b = a;
    c = a;
    struct partition partition = {
        .kind = PARTITION_DIRICHLET, .parts = 5, .classes = 4, .alpha = 0.5, .seed = 1};
    divide(&partition, &a);
    divide(&partition, &b);
    assert_memory_equal(a.owner, b.owner, sizeof(a.owner));
    partition.seed = 2;
    divide(&partition, &c);
    assert_memory_not_equal(a.owner, c.owner, sizeof(a.owner));
}

static void refused(struct partition partition, uint32_t part, size_t rows, const char *words)
{
    struct division division;
    uint32_t index[ROWS] = {42};
    size_t count = 42;
    label_rows(&division, 4);
    struct error *err = partition_rows(&partition, division.labels, rows, part, index, &count);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    assert_non_null(strstr(err->sentence, words));
    error_free(err);
    assert_int_equal(count, 42);
    assert_int_equal(index[0], 42);
}

static void test_partition_bad_options_are_refused(void **state)
{
    (void)state;
    refused((struct partition){.kind = PARTITION_IID, .parts = 0, .classes = 4}, 0, ROWS, "parts");
    refused((struct partition){.kind = PARTITION_IID, .parts = 2, .classes = 4}, 2, ROWS, "no part 2 of 2");
    refused((struct partition){.kind = PARTITION_IID, .parts = 2, .classes = 4}, 0, 0, "rows");
    refused((struct partition){.kind = PARTITION_LABEL_SKEW, .parts = 2, .classes = 3}, 0, ROWS,
            "label of row");
    refused((struct partition){.kind = PARTITION_DIRICHLET, .parts = 2, .classes = 4, .alpha = 0.0}, 0, ROWS,
            "alpha");
    refused((struct partition){.kind = PARTITION_DIRICHLET, .parts = 2, .classes = 4, .alpha = (double)NAN},
            0, ROWS, "alpha");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partition_iid_is_contiguous_and_even),
        cmocka_unit_test(test_partition_label_skew_deals_whole_classes),
        cmocka_unit_test(test_partition_label_skew_with_more_parts_divides_each_class),
        cmocka_unit_test(test_partition_dirichlet_alpha_sets_the_skew),
        cmocka_unit_test(test_partition_dirichlet_seed_decides),
        cmocka_unit_test(test_partition_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
