/* Settings of the accountant as words, and the warning about a delta. */
#include "orchestrator/privacy_settings.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

static void fails_saying(struct error *err, const char *text)
{
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_USAGE);
    if (strstr(err->sentence, text) == NULL)
        fail_msg("'%s' is not in: %s", text, err->sentence);
    error_free(err);
}

static void test_privacy_settings_event_is_read(void **state)
{
    (void)state;
    struct privacy_event event = {0};
    assert_null(privacy_settings_event("1.1:4.2667e-3:14063", &event));
    assert_true(event.noise_multiplier == 1.1 && event.sampling_rate == 4.2667e-3 && event.steps == 14063);
}

static void test_privacy_settings_event_of_another_form_is_usage(void **state)
{
    static const char *const wrong[] = {
        "",          ":",         "1.1",        "1.1:0.1",    "1.1:0.1:",    "1.1:0.1:5:6",
        "1.1:0.1:x", "nan:0.1:5", "1.1:0.1:-5", "1.1:0.1:05", "1.1:0.1:1.5", " 1.1:0.1:5",
        "1.1 :1:5",  "::",        "1.1::5",     "inf:0.1:1",  "1e999:0.1:1"};
    (void)state;
    char endless[4096];
    (void)memset(endless, '1', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    struct privacy_event event = {7, 7, 7};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        fails_saying(privacy_settings_event(wrong[i], &event), "SIGMA:RATE:STEPS");
    fails_saying(privacy_settings_event(endless, &event), "SIGMA:RATE:STEPS");
    assert_true(event.noise_multiplier == 7 && event.sampling_rate == 7 && event.steps == 7);
}

static void test_privacy_settings_number_missing_or_none_is_usage(void **state)
{
    (void)state;
    double number = 7;
    fails_saying(privacy_settings_number("delta", NULL, &number), "--delta is missing");
    fails_saying(privacy_settings_number("delta", "small", &number), "--delta takes a number");
    fails_saying(privacy_settings_number("delta", "nan", &number), "--delta takes a number");
    assert_true(number == 7);
    assert_null(privacy_settings_number("delta", "1e-5", &number));
    assert_true(number == 1e-5);
}

static void test_privacy_settings_accountant_is_one_of_three(void **state)
{
    (void)state;
    enum privacy_accountant accountant = PRIVACY_RDP;
    assert_null(privacy_settings_accountant(NULL, &accountant));
    assert_int_equal(accountant, PRIVACY_PLD);
    assert_null(privacy_settings_accountant("gaussian", &accountant));
    assert_int_equal(accountant, PRIVACY_GAUSSIAN);
    assert_null(privacy_settings_accountant("rdp", &accountant));
    assert_int_equal(accountant, PRIVACY_RDP);
    fails_saying(privacy_settings_accountant("PLD", &accountant), "pld, rdp or gaussian");
    assert_int_equal(accountant, PRIVACY_RDP);
}

static void test_privacy_settings_warning_from_one_in_all_records_on(void **state)
{
    (void)state;
    char warning[PRIVACY_WARNING_BYTES];
    privacy_settings_warning(1e-5, 0, warning);
    assert_string_equal(warning, "");
    privacy_settings_warning(1e-5, 99999, warning);
    assert_string_equal(warning, "");
    privacy_settings_warning(1e-5, 100000, warning);
    assert_non_null(strstr(warning, "not below 1 in 100000 records"));
    assert_non_null(strstr(warning, "1.0e-06"));
    privacy_settings_warning(0.1, UINT64_MAX, warning);
    assert_non_null(strstr(warning, "Warning"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privacy_settings_event_is_read),
        cmocka_unit_test(test_privacy_settings_event_of_another_form_is_usage),
        cmocka_unit_test(test_privacy_settings_number_missing_or_none_is_usage),
        cmocka_unit_test(test_privacy_settings_accountant_is_one_of_three),
        cmocka_unit_test(test_privacy_settings_warning_from_one_in_all_records_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
