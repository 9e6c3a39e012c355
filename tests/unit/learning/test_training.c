#include "learning/training.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

static bool never(void *context, uint32_t done, uint32_t total, double loss)
{
    (void)context;
    (void)done;
    (void)total;
    (void)loss;
    return false;
}

static void test_training_without_callback_goes_on(void **state)
{
    (void)state;
    struct training_progress empty = {0};
    assert_true(training_keep_going(NULL, 1, 2, 0.5));
    assert_true(training_keep_going(&empty, 1, 2, 0.5));
}

static void test_training_callback_that_refuses_stops(void **state)
{
    (void)state;
    struct training_progress progress = {.keep_going = never};
    assert_false(training_keep_going(&progress, 1, 2, 0.5));
}

static void test_training_ends_have_distinct_words(void **state)
{
    (void)state;
    for (int a = TRAINING_COMPLETE; a <= TRAINING_STOPPED; a++)
        for (int b = a + 1; b <= TRAINING_STOPPED; b++)
            assert_string_not_equal(training_end_word((enum training_end)a),
                                    training_end_word((enum training_end)b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_without_callback_goes_on),
        cmocka_unit_test(test_training_callback_that_refuses_stops),
        cmocka_unit_test(test_training_ends_have_distinct_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
