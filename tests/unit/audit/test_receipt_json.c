#include "tests/unit/audit/sample.h"

static json_t *sample_json(void)
{
    struct receipt receipt = sample_receipt();
    json_t *object = NULL;
    succeeds(receipt_to_json(&receipt, &object));
    return object;
}

static void test_receipt_json_gives_the_receipt_back(void **state)
{
    (void)state;
    json_t *object = sample_json();
    struct receipt receipt;
    succeeds(receipt_from_json(object, "r.json", &receipt));
    succeeds(receipt_verify(&receipt));
    assert_string_equal(json_string_value(json_object_get(object, "kind")), "update");
    assert_string_equal(json_string_value(json_object_get(object, "at")), "2026-09-21T14:15:21Z");
    json_decref(object);
}

/* One key of a good receipt gets this value (NULL: it is removed), and the sentence names it. */
static void refuses(const char *key, json_t *value, const char *words)
{
    json_t *object = sample_json();
    struct receipt receipt;
    assert_int_equal(value == NULL ? json_object_del(object, key) : json_object_set_new(object, key, value),
                     0);
    struct error *err = receipt_from_json(object, "r.json", &receipt);
    assert_non_null(err);
    if (strncmp(err->sentence, "r.json: ", 8) != 0)
        fail_msg("the file is not named: %s", err->sentence);
    fails_saying(err, ERROR_INVALID, words);
    json_decref(object);
}

static void test_receipt_json_without_a_key_is_refused(void **state)
{
    (void)state;
    json_t *object = sample_json();
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value) refuses(key, NULL, "is missing");
    json_decref(object);
}

static void test_receipt_json_with_an_unknown_key_is_refused(void **state)
{
    (void)state;
    refuses("comment", json_string("trust me"), "\"comment\" that does not belong");
    refuses("a\x1b[2Jb", json_string("x"), "\"a?[2Jb\"");
}

static void test_receipt_json_with_a_wrong_type_is_refused(void **state)
{
    (void)state;
    json_t *object = sample_json();
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value)
    {
        refuses(key, json_null(), key);
        refuses(key, json_is_string(value) ? json_integer(1) : json_string("1"), key);
    }
    json_decref(object);
}

static void test_receipt_json_with_a_wrong_length_is_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"public_key", "approval", "job_id",         "run_id",
                                       "digest",     "head",     "head_signature", "signature"};
    json_t *object = sample_json();
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *text = json_string_value(json_object_get(object, keys[i]));
        refuses(keys[i], json_stringn(text, strlen(text) - 1), "hexadecimal digits");
        refuses(keys[i], json_sprintf("%s00", text), "hexadecimal digits");
        refuses(keys[i], json_sprintf("%.*sA", (int)strlen(text) - 1, text), "hexadecimal digits");
    }
    json_decref(object);
}

static void test_receipt_json_out_of_range_is_refused(void **state)
{
    (void)state;
    refuses("receipt", json_integer(2), "from 1 to 1");
    refuses("round", json_integer(0), "\"round\"");
    refuses("round", json_integer(4294967295), "round");
    refuses("round", json_real(3.0), "\"round\"");
    refuses("body_bytes", json_integer(-1), "\"body_bytes\"");
    refuses("sequence", json_integer(0), "\"sequence\"");
    refuses("kind", json_string("gradient"), "\"kind\"");
    refuses("at", json_string("2026-02-30T00:00:00Z"), "\"at\"");
    refuses("at", json_string("2026-09-21T14:15:21+00:00"), "\"at\"");
    refuses("protections", json_string("a\nb"), "\"protections\"");
    refuses("site", json_string("sha256:00"), "\"site\"");
}

static void test_receipt_json_with_a_site_of_another_key_is_refused(void **state)
{
    (void)state;
    refuses("site", json_string("sha256:0000000000000000000000000000000000000000000000000000000000000000"),
            "not the fingerprint");
}

static void test_receipt_json_that_is_no_object_is_refused(void **state)
{
    (void)state;
    json_t *array = json_array();
    struct receipt receipt;
    fails_saying(receipt_from_json(array, "r.json", &receipt), ERROR_INVALID, "not a JSON object");
    json_decref(array);
}

static void test_receipt_json_of_a_time_that_cannot_be_written_is_refused(void **state)
{
    (void)state;
    struct receipt receipt = sample_receipt();
    json_t *object = NULL;
    receipt.at = -1;
    fails_saying(receipt_to_json(&receipt, &object), ERROR_INVALID, "\"at\"");
    assert_null(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receipt_json_gives_the_receipt_back),
        cmocka_unit_test(test_receipt_json_without_a_key_is_refused),
        cmocka_unit_test(test_receipt_json_with_an_unknown_key_is_refused),
        cmocka_unit_test(test_receipt_json_with_a_wrong_type_is_refused),
        cmocka_unit_test(test_receipt_json_with_a_wrong_length_is_refused),
        cmocka_unit_test(test_receipt_json_out_of_range_is_refused),
        cmocka_unit_test(test_receipt_json_with_a_site_of_another_key_is_refused),
        cmocka_unit_test(test_receipt_json_that_is_no_object_is_refused),
        cmocka_unit_test(test_receipt_json_of_a_time_that_cannot_be_written_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
