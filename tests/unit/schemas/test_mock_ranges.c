/* The owner's ranges for mock data: strict, bounded, with a default for what is not named. */
#include "schemas/mock_ranges.h"

#include "tests/unit/schemas/refusal.h"

static struct mock_ranges *ranges_of(const char *text)
{
    struct mock_ranges *ranges = NULL;
    assert_done(mock_ranges_parse(text, strlen(text), "ranges.yaml", &ranges));
    return ranges;
}

static void ranges_refused(const char *text, const char *sentence)
{
    struct mock_ranges *ranges = NULL;
    assert_refused(mock_ranges_parse(text, strlen(text), "ranges.yaml", &ranges), ERROR_INVALID, sentence);
    assert_null(ranges);
}

static void expect_range(struct mock_range range, double low, double high, enum mock_kind kind)
{
    assert_true(range.low == low && range.high == high && range.kind == kind);
}

static void test_mock_ranges_without_a_file_are_the_default(void **state)
{
    (void)state;
    struct mock_ranges *ranges = NULL;
    assert_done(mock_ranges_load(NULL, &ranges));
    expect_range(mock_ranges_find(ranges, "age"), -3, 3, MOCK_REAL);
    mock_ranges_free(ranges);
}

static void test_mock_ranges_named_and_default_are_found(void **state)
{
    (void)state;
    struct mock_ranges *ranges = ranges_of("default: {low: 0, high: 1}\n"
                                           "columns:\n"
                                           "  age: {low: 18, high: 90, kind: integer}\n"
                                           "  \"blood pressure\": {low: 40, high: 200.5}\n");
    assert_int_equal(ranges->column_count, 2);
    expect_range(mock_ranges_find(ranges, "age"), 18, 90, MOCK_INTEGER);
    expect_range(mock_ranges_find(ranges, "blood pressure"), 40, 200.5, MOCK_REAL);
    expect_range(mock_ranges_find(ranges, "Age"), 0, 1, MOCK_REAL);
    mock_ranges_free(ranges);
}

static void test_mock_ranges_broken_are_refused_with_their_place(void **state)
{
    (void)state;
    ranges_refused("columns:\n  age: {low: 90, high: 18}\n", "ranges.yaml:2:");
    ranges_refused("columns:\n  age: {low: 90, high: 18}\n", "low that is above its high");
    ranges_refused("columns: {age: {low: 0.5, high: 18, kind: integer}}\n", "whole numbers");
    ranges_refused("columns: {age: {low: 1}}\n", "high");
    ranges_refused("columns: {age: {low: nan, high: 2}}\n", "low");
    ranges_refused("columns: {age: {low: -1e16, high: 2}}\n", "low");
    ranges_refused("columns: {age: {low: 1, high: 2, kind: normal}}\n", "kind");
    ranges_refused("columns: {age: {low: 1, high: 2, mean: 1}}\n", "mean");
    ranges_refused("columns: {age: {low: 1, high: 2}, age: {low: 1, high: 3}}\n", "age");
    ranges_refused("columns: [age]\n", "columns");
    ranges_refused("ranges: {}\n", "ranges");
}

static void test_mock_ranges_missing_file_is_named(void **state)
{
    (void)state;
    struct mock_ranges *ranges = NULL;
    assert_refused(mock_ranges_load("no-such.yaml", &ranges), ERROR_NOT_FOUND, "no-such.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mock_ranges_without_a_file_are_the_default),
        cmocka_unit_test(test_mock_ranges_named_and_default_are_found),
        cmocka_unit_test(test_mock_ranges_broken_are_refused_with_their_place),
        cmocka_unit_test(test_mock_ranges_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
