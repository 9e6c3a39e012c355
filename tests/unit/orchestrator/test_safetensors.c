#include "made_run.h"

#include "orchestrator/safetensors.h"
#include "schemas/files.h"

#include <math.h>

static const double model[8] = {1, -2.5, 0x1p-1074, 1e300, -0.0, 6, 7, 8}; /* 2 classes of 3 features */

static const char header[] = "{\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,48]},"
                             "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}";

/* A file of a header and `data` bytes of zeros. */
static size_t compose(const char *text, size_t data, uint8_t *ret_file)
{
    size_t length = strlen(text);
    memset(ret_file, 0, 8 + length + data);
    ret_file[0] = (uint8_t)length;
    ret_file[1] = (uint8_t)(length >> 8);
    memcpy(ret_file + 8, text, length);
    return 8 + length + data;
}

static void refuse(const char *text, size_t data, const char *sentence)
{
    uint8_t file[2048];
    struct safetensors read = {0};
    size_t bytes = compose(text, data, file);
    made_refusal(safetensors_parse(file, bytes, "model", &read), ERROR_INVALID, sentence);
    assert_null(read.parameters);
}

static void test_safetensors_written_model_reads_back_bit_for_bit(void **state)
{
    const struct safetensors_note notes[] = {{"format", "datasite-1"}, {"run_id", "00ff"}};
    struct safetensors read = {0};
    char *path = made_path(*state, "model.safetensors");
    made_fine(safetensors_write(path, model, 3, 2, notes, 2));
    made_fine(safetensors_read(path, &read));
    assert_int_equal(read.features, 3);
    assert_int_equal(read.classes, 2);
    assert_memory_equal(read.parameters, model, sizeof model);
    safetensors_clear(&read);
    free(path);
}

static void test_safetensors_file_has_the_bytes_of_the_format(void **state)
{
    const struct safetensors_note notes[] = {{"format", "datasite-1"}};
    static const char wanted[] =
        "{\"__metadata__\":{\"format\":\"datasite-1\"},\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],"
        "\"data_offsets\":[0,48]},\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],"
        "\"data_offsets\":[48,64]}}";
    char *path = made_path(*state, "model.safetensors");
    uint8_t *file = NULL;
    size_t bytes = 0;
    made_fine(safetensors_write(path, model, 3, 2, notes, 1));
    made_fine(file_read(path, 4096, &file, &bytes));
    size_t length = file[0];
    assert_int_equal(length % 8, 0);
    assert_int_equal(bytes, 8 + length + 64);
    assert_memory_equal(file + 8, wanted, sizeof wanted - 1);
    assert_memory_equal(file + 8 + length, "\0\0\0\0\0\0\xf0\x3f", 8); /* 1.0, little-endian */
    free(file);
    free(path);
}

static void test_safetensors_digests_are_of_file_and_parameters(void **state)
{
    struct safetensors read = {0};
    struct digest digest;
    uint8_t *file = NULL;
    size_t bytes = 0;
    char *path = made_path(*state, "model.safetensors");
    made_fine(safetensors_write(path, model, 3, 2, NULL, 0));
    made_fine(file_read(path, 4096, &file, &bytes));
    made_fine(safetensors_read(path, &read));
    made_fine(digest_of(file, bytes, &digest));
    assert_true(digest_equal(&digest, &read.file_sha256));
    made_fine(digest_of(file + bytes - 64, 64, &digest));
    assert_true(digest_equal(&digest, &read.parameters_sha256));
    safetensors_clear(&read);
    free(file);
    free(path);
}

static void test_safetensors_every_truncation_is_refused(void **state)
{
    uint8_t file[1024];
    size_t bytes = compose(header, 64, file);
    struct safetensors read = {0};
    (void)state;
    made_fine(safetensors_parse(file, bytes, "model", &read));
    safetensors_clear(&read);
    for (size_t cut = 0; cut < bytes; cut++) {
        uint8_t *part = malloc(cut + 1); /* of its own, so that a read beyond its end is noticed */
        assert_non_null(part);
        memcpy(part, file, cut);
        struct error *err = safetensors_parse(part, cut, "model", &read);
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_INVALID);
        error_free(err);
        free(part);
    }
}

static void test_safetensors_byte_too_many_is_refused(void **state)
{
    (void)state;
    refuse(header, 65, "too long");
}

static void test_safetensors_header_of_other_content_is_refused(void **state)
{
    static const char *const others[] = {
        "[]",
        "{}",
        "{\"coef\":1,\"intercept\":2}",
        /* other type, another tensor, no text as a note, a member too many, a negative size, a huge size */
        "{\"coef\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"intercept\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}",
        "{\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,48]},\"more\":{},"
        "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}",
        "{\"__metadata__\":{\"a\":1},\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,48]},"
        "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}",
        "{\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,48],\"x\":1},"
        "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}",
        "{\"coef\":{\"dtype\":\"F64\",\"shape\":[-2,3],\"data_offsets\":[0,48]},"
        "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}",
        "{\"coef\":{\"dtype\":\"F64\",\"shape\":[2,9223372036854775807],\"data_offsets\":[0,48]},"
        "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}",
        "{\"coef\":{\"dtype\":\"F64\",\"shape\":[6],\"data_offsets\":[0,48]},"
        "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}",
        "{\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0.0,48]},"
        "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        refuse(others[i], 64, "does not hold a softmax regression");
}

static void test_safetensors_overlap_and_gap_are_refused(void **state)
{
    (void)state;
    refuse("{\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,48]},"
           "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[40,56]}}",
           64, "offsets");
    refuse("{\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[8,56]},"
           "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[56,72]}}",
           72, "offsets");
}

static void test_safetensors_class_counts_that_differ_are_refused(void **state)
{
    (void)state;
    refuse("{\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,48]},"
           "\"intercept\":{\"dtype\":\"F64\",\"shape\":[3],\"data_offsets\":[48,72]}}",
           72, "the same");
}

static void test_safetensors_same_name_twice_is_refused(void **state)
{
    (void)state;
    refuse("{\"coef\":1,\"coef\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,48]},"
           "\"intercept\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[48,64]}}",
           64, "not JSON");
}

static void test_safetensors_huge_header_is_refused_before_it_is_read(void **state)
{
    static const uint8_t file[16] = {0, 0, 0, 0, 0, 0, 0, 0x80};
    struct safetensors read = {0};
    (void)state;
    made_refusal(safetensors_parse(file, sizeof file, "model", &read), ERROR_INVALID, "header");
}

static void test_safetensors_number_that_is_not_finite_is_refused(void **state)
{
    double values[8] = {0};
    struct safetensors read = {0};
    char *path = made_path(*state, "model.safetensors");
    for (size_t i = 0; i < 8; i++) {
        values[i] = i % 2 == 0 ? NAN : -INFINITY;
        made_fine(safetensors_write(path, values, 3, 2, NULL, 0));
        made_refusal(safetensors_read(path, &read), ERROR_NUMERIC, "not finite");
        values[i] = 0;
    }
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_safetensors_written_model_reads_back_bit_for_bit),
        MADE_TEST(test_safetensors_file_has_the_bytes_of_the_format),
        MADE_TEST(test_safetensors_digests_are_of_file_and_parameters),
        cmocka_unit_test(test_safetensors_every_truncation_is_refused),
        cmocka_unit_test(test_safetensors_byte_too_many_is_refused),
        cmocka_unit_test(test_safetensors_header_of_other_content_is_refused),
        cmocka_unit_test(test_safetensors_overlap_and_gap_are_refused),
        cmocka_unit_test(test_safetensors_class_counts_that_differ_are_refused),
        cmocka_unit_test(test_safetensors_same_name_twice_is_refused),
        cmocka_unit_test(test_safetensors_huge_header_is_refused_before_it_is_read),
        MADE_TEST(test_safetensors_number_that_is_not_finite_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
