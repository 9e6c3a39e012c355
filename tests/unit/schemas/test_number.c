#include "schemas/number.h"
#include "tests/unit/schemas/refusal.h"

static void test_number_real_takes_decimal_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } rows[] = {{"0", 0},
                {"9007199254740993", 9007199254740992.0},
                {"18446744073709551616", 18446744073709551616.0},
                {"-0.5", -0.5},
                {"+3", 3},
                {".5", 0.5},
                {"5.", 5},
                {"1e3", 1e3},
                {"1E-3", 1e-3},
                {"007.5", 7.5},
                {"1.7976931348623157e308", 1.7976931348623157e308}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double value = -1;
        assert_true(number_real(rows[i].text, &value));
        assert_true(value == rows[i].value);
    }
}

static void test_number_real_refuses_every_other_form(void **state)
{
    (void)state;
    static const char *const rows[] = {"",      " 1",     "1 ",    "0.1x", "nan", "NaN",  "inf", "-infinity",
                                       "1e999", "-1e999", "0x1",   "1e",   "1e+", ".",    "-",   "+.e1",
                                       "1,5",   "1_000",  "1.2.3", "--1",  "1p3", "1e3.5"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double value = 42;
        assert_false(number_real(rows[i], &value));
        assert_true(value == 42);
    }
}

static void test_number_real_too_small_becomes_zero(void **state)
{
    (void)state;
    double value = 1;
    assert_true(number_real("1e-999", &value));
    assert_true(value == 0);
}

static void test_number_count_takes_all_of_its_range(void **state)
{
    (void)state;
    uint64_t value = 1;
    assert_true(number_count("0", &value));
    assert_int_equal(value, 0);
    assert_true(number_count("18446744073709551615", &value));
    assert_true(value == UINT64_MAX);
}

static void test_number_count_refuses_every_other_form(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "-1",
                                       "+1",
                                       "1.0",
                                       "1e3",
                                       "01",
                                       "00",
                                       "0x1",
                                       " 1",
                                       "1 ",
                                       "18446744073709551616",
                                       "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value = 42;
        assert_false(number_count(rows[i], &value));
        assert_int_equal(value, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_real_takes_decimal_forms),
        cmocka_unit_test(test_number_real_refuses_every_other_form),
        cmocka_unit_test(test_number_real_too_small_becomes_zero),
        cmocka_unit_test(test_number_count_takes_all_of_its_range),
        cmocka_unit_test(test_number_count_refuses_every_other_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
