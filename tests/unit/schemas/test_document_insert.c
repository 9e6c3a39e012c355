/* One key more in a text that a person wrote: it reads as the person would have written it, and everything else is as it was. */
#include "../cmocka_all.h"
#include "schemas/document.h"

static char *insert_into(const char *text)
{
    char *made = NULL;
    size_t bytes = 0;
    struct error *err = document_insert(text, strlen(text), 4096, "job.yaml", "privacy.target_epsilon",
                                        "noise_multiplier", "2.458", &made, &bytes);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    assert_int_equal(strlen(made), bytes);
    return made;
}

static void expect(const char *text, const char *wanted)
{
    char *made = insert_into(text);
    assert_string_equal(made, wanted);
    free(made);
}

static void test_insert_block_mapping_own_line_behind(void **state)
{
    (void)state;
    expect("job: a\nprivacy:\n  target_epsilon: 3\n  delta: 1e-5\nseed: 1\n",
           "job: a\nprivacy:\n  target_epsilon: 3\n  noise_multiplier: 2.458\n  delta: 1e-5\nseed: 1\n");
}

static void test_insert_comment_behind_value_stays_with_it(void **state)
{
    (void)state;
    expect("privacy:\n      # how much: target_epsilon: 5\n      target_epsilon: 3 # target_epsilon: 4, as "
           "agreed\n"
           "\n      # the rest\n      delta: 1e-5\n",
           "privacy:\n      # how much: target_epsilon: 5\n      target_epsilon: 3 # target_epsilon: 4, as "
           "agreed\n"
           "      noise_multiplier: 2.458\n\n      # the rest\n      delta: 1e-5\n");
}

static void test_insert_flow_mapping_behind_a_comma(void **state)
{
    (void)state;
    expect("privacy: {mechanism: dp-sgd, target_epsilon: 3, delta: 1e-5} # x\n",
           "privacy: {mechanism: dp-sgd, target_epsilon: 3, noise_multiplier: 2.458, delta: 1e-5} # x\n");
    expect("privacy: {delta: 1e-5, target_epsilon: 3}",
           "privacy: {delta: 1e-5, target_epsilon: 3, noise_multiplier: 2.458}");
    expect("privacy: {target_epsilon: 3,}", "privacy: {target_epsilon: 3, noise_multiplier: 2.458,}");
}

static void test_insert_flow_mapping_of_many_lines(void **state)
{
    (void)state;
    expect("privacy: {\n  mechanism: dp-sgd, # one\n  target_epsilon:\n    3 # two\n  ,\n  delta: 1e-5\n}\n",
           "privacy: {\n  mechanism: dp-sgd, # one\n  target_epsilon:\n    3, noise_multiplier: 2.458 # "
           "two\n  ,\n"
           "  delta: 1e-5\n}\n");
}

static void test_insert_whole_file_in_braces(void **state)
{
    (void)state;
    expect(
        "{\"job\": \"a\", \"privacy\": {\"target_epsilon\": 3, \"delta\": 1e-5}}\n",
        "{\"job\": \"a\", \"privacy\": {\"target_epsilon\": 3, noise_multiplier: 2.458, \"delta\": 1e-5}}\n");
}

static void test_insert_last_line_without_an_end(void **state)
{
    (void)state;
    expect("privacy:\n  delta: 1e-5\n  target_epsilon: 3",
           "privacy:\n  delta: 1e-5\n  target_epsilon: 3\n  noise_multiplier: 2.458");
    expect("privacy:\n  target_epsilon: 3 # done",
           "privacy:\n  target_epsilon: 3 # done\n  noise_multiplier: 2.458");
}

static void test_insert_line_ends_of_the_file_are_kept(void **state)
{
    (void)state;
    expect("privacy:\r\n  target_epsilon: 3\r\n  delta: 1e-5\r\n",
           "privacy:\r\n  target_epsilon: 3\r\n  noise_multiplier: 2.458\r\n  delta: 1e-5\r\n");
    expect("privacy:\r\n  target_epsilon: 3", "privacy:\r\n  target_epsilon: 3\r\n  noise_multiplier: 2.458");
    expect("privacy:\r  target_epsilon: 3\r", "privacy:\r  target_epsilon: 3\r  noise_multiplier: 2.458\r");
}

static void test_insert_characters_of_many_bytes_in_front(void **state)
{
    (void)state;
    expect("# Größe – 数\njob: \"Ünï\"\nprivacy: {mechanism: dp-sgd, target_epsilon: 3, delta: 1e-5}\n",
           "# Größe – 数\njob: \"Ünï\"\nprivacy: {mechanism: dp-sgd, target_epsilon: 3, noise_multiplier: "
           "2.458, delta: "
           "1e-5}\n");
    expect("\xef\xbb\xbfprivacy: {target_epsilon: 3}\n",
           "\xef\xbb\xbfprivacy: {target_epsilon: 3, noise_multiplier: 2.458}\n");
}

static void test_insert_keys_written_oddly(void **state)
{
    (void)state;
    expect("privacy:\n  \"target_epsilon\" : 3\n  delta: 1\n",
           "privacy:\n  \"target_epsilon\" : 3\n  noise_multiplier: 2.458\n  delta: 1\n");
    expect("? privacy\n:\n  ? target_epsilon\n  : 3\n  ? delta\n  : 1\n",
           "? privacy\n:\n  ? target_epsilon\n  : 3\n  noise_multiplier: 2.458\n  ? delta\n  : 1\n");
    expect("privacy:\n  target_epsilon:\n     3\n  delta: 1\n",
           "privacy:\n  target_epsilon:\n     3\n  noise_multiplier: 2.458\n  delta: 1\n");
    expect("---\nprivacy:\n  target_epsilon: 3\n...\n",
           "---\nprivacy:\n  target_epsilon: 3\n  noise_multiplier: 2.458\n...\n");
}

static void test_insert_same_words_elsewhere_are_left_alone(void **state)
{
    (void)state;
    expect("target_epsilon: 9\nother: {target_epsilon: 8}\nprivacy:\n target_epsilon: 3\n",
           "target_epsilon: 9\nother: {target_epsilon: 8}\nprivacy:\n target_epsilon: 3\n noise_multiplier: "
           "2.458\n");
}

static void refused(const char *text, const char *words)
{
    char *made = NULL;
    size_t bytes = 0;
    struct error *err = document_insert(text, strlen(text), 4096, "job.yaml", "privacy.target_epsilon",
                                        "noise_multiplier", "2.458", &made, &bytes);
    assert_non_null(err);
    if (strstr(err->sentence, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->sentence, words);
    assert_null(made);
    error_free(err);
}

static void test_insert_without_the_place_refused(void **state)
{
    (void)state;
    refused("privacy: {delta: 1}\n", "has no value of privacy.target_epsilon");
    refused("privacy: {target_epsilon: [3]}\n", "has no value of privacy.target_epsilon");
    refused("privacy: {target_epsilon: 3\n", "well-formed");
}

/* A key twice is refused by whoever reads the result; the caller is told what to write instead. */
static void test_insert_result_that_does_not_read_refused(void **state)
{
    (void)state;
    refused("privacy:\n  target_epsilon: 3\n  noise_multiplier: 1\n", "add it there yourself");
    refused("privacy: {target_epsilon: 3, noise_multiplier: 1}\n", "noise_multiplier: 2.458");
}

static void test_insert_beyond_the_limit_refused(void **state)
{
    (void)state;
    const char text[] = "privacy: {target_epsilon: 3}\n";
    char *made = NULL;
    size_t bytes = 0;
    struct error *err = document_insert(text, sizeof text - 1, sizeof text, "job.yaml",
                                        "privacy.target_epsilon", "noise_multiplier", "2.458", &made, &bytes);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_LIMIT);
    error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert_block_mapping_own_line_behind),
        cmocka_unit_test(test_insert_comment_behind_value_stays_with_it),
        cmocka_unit_test(test_insert_flow_mapping_behind_a_comma),
        cmocka_unit_test(test_insert_flow_mapping_of_many_lines),
        cmocka_unit_test(test_insert_whole_file_in_braces),
        cmocka_unit_test(test_insert_last_line_without_an_end),
        cmocka_unit_test(test_insert_line_ends_of_the_file_are_kept),
        cmocka_unit_test(test_insert_characters_of_many_bytes_in_front),
        cmocka_unit_test(test_insert_keys_written_oddly),
        cmocka_unit_test(test_insert_same_words_elsewhere_are_left_alone),
        cmocka_unit_test(test_insert_without_the_place_refused),
        cmocka_unit_test(test_insert_result_that_does_not_read_refused),
        cmocka_unit_test(test_insert_beyond_the_limit_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
