#include "crypto/digest.h"

#include "scratch.h"
#include "tests/vectors/fips180_sha256.h"
#include "tests/vectors/rfc4231_hmac_sha256.h"

static void assert_hex(const struct digest *digest, const char *expected)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(digest, hex);
    assert_string_equal(hex, expected);
}

static void test_digest_of_known_messages_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIPS180_SHA256_COUNT; i++) {
        size_t bytes = strlen(fips180_sha256[i].message);
        size_t times = fips180_sha256[i].times;
        char *message = malloc(bytes * times + 1);
        struct digest digest;
        assert_non_null(message);
        for (size_t k = 0; k < times; k++)
            memcpy(message + k * bytes, fips180_sha256[i].message, bytes);
        succeeds(digest_of(message, bytes * times, &digest));
        assert_hex(&digest, fips180_sha256[i].digest);
        free(message);
    }
}

static void test_digest_of_null_without_bytes_is_that_of_nothing(void **state)
{
    (void)state;
    struct digest digest;
    succeeds(digest_of(NULL, 0, &digest));
    assert_hex(&digest, fips180_sha256[0].digest);
}

static void test_digest_stream_of_pieces_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIPS180_SHA256_COUNT; i++) {
        struct digest_stream *stream = NULL;
        struct digest digest;
        succeeds(digest_stream_new(&stream));
        for (size_t k = 0; k < fips180_sha256[i].times; k++)
            succeeds(digest_stream_add(stream, fips180_sha256[i].message, strlen(fips180_sha256[i].message)));
        succeeds(digest_stream_finish(stream, &digest));
        assert_hex(&digest, fips180_sha256[i].digest);
        digest_stream_free(stream);
    }
}

static void test_digest_stream_cut_anywhere_agrees_with_one_piece(void **state)
{
    (void)state;
    uint8_t message[200];
    struct digest whole;
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)i;
    succeeds(digest_of(message, sizeof(message), &whole));
    for (size_t cut = 0; cut <= sizeof(message); cut++) {
        struct digest_stream *stream = NULL;
        struct digest digest;
        succeeds(digest_stream_new(&stream));
        succeeds(digest_stream_add(stream, message, cut));
        succeeds(digest_stream_add(stream, message + cut, sizeof(message) - cut));
        succeeds(digest_stream_finish(stream, &digest));
        assert_true(digest_equal(&digest, &whole));
        digest_stream_free(stream);
    }
}

static void test_digest_stream_used_after_the_end_fails(void **state)
{
    (void)state;
    struct digest_stream *stream = NULL;
    struct digest digest;
    succeeds(digest_stream_new(&stream));
    succeeds(digest_stream_finish(stream, &digest));
    fails(digest_stream_add(stream, "a", 1), ERROR_INTERNAL);
    fails(digest_stream_finish(stream, &digest), ERROR_INTERNAL);
    digest_stream_free(stream);
}

static void test_keyed_digest_of_known_messages_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < RFC4231_COUNT; i++) {
        uint8_t key[256];
        uint8_t data[256];
        struct keyed_digest *keyed = NULL;
        struct digest digest;
        size_t key_bytes = scratch_hex(rfc4231_hmac_sha256[i].key, key);
        size_t data_bytes = scratch_hex(rfc4231_hmac_sha256[i].data, data);
        succeeds(keyed_digest_new(key, key_bytes, &keyed));
        succeeds(keyed_digest_of(keyed, data, data_bytes, &digest));
        assert_hex(&digest, rfc4231_hmac_sha256[i].digest);
        keyed_digest_free(keyed);
    }
}

static void test_keyed_digest_used_many_times_stays_known(void **state)
{
    (void)state;
    struct keyed_digest *keyed = NULL;
    struct digest digest;
    succeeds(keyed_digest_new("Jefe", 4, &keyed));
    for (int i = 0; i < 100; i++) {
        succeeds(keyed_digest_of(keyed, "something else", (size_t)(i % 15), &digest));
        succeeds(keyed_digest_of(keyed, "what do ya want for nothing?", 28, &digest));
        assert_hex(&digest, rfc4231_hmac_sha256[1].digest);
    }
    keyed_digest_free(keyed);
}

static void test_keyed_digest_key_is_copied(void **state)
{
    (void)state;
    char key[] = "Jefe";
    struct keyed_digest *keyed = NULL;
    struct digest digest;
    succeeds(keyed_digest_new(key, 4, &keyed));
    memset(key, 'x', 4);
    succeeds(keyed_digest_of(keyed, "what do ya want for nothing?", 28, &digest));
    assert_hex(&digest, rfc4231_hmac_sha256[1].digest);
    keyed_digest_free(keyed);
}

static void test_keyed_digest_empty_key_is_refused(void **state)
{
    (void)state;
    struct keyed_digest *keyed = NULL;
    fails(keyed_digest_new("", 0, &keyed), ERROR_INVALID);
    assert_null(keyed);
}

static void test_digest_free_null_is_accepted(void **state)
{
    (void)state;
    digest_stream_free(NULL);
    keyed_digest_free(NULL);
}

static void test_digest_parse_of_hex_gives_it_back(void **state)
{
    (void)state;
    struct digest digest;
    struct digest parsed;
    char hex[DIGEST_HEX_BYTES];
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        digest.bytes[i] = (uint8_t)(i * 8 + 5);
    digest_hex(&digest, hex);
    assert_true(digest_parse(hex, &parsed));
    assert_true(digest_equal(&digest, &parsed));
}

static void test_digest_parse_every_wrong_character_is_refused(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_BYTES];
    struct digest before;
    memset(before.bytes, 0x11, sizeof(before.bytes));
    struct digest digest = before;
    for (size_t at = 0; at < DIGEST_HEX_BYTES - 1; at++) {
        for (int character = 0; character < 256; character++) {
            if ((character >= '0' && character <= '9') || (character >= 'a' && character <= 'f'))
                continue;
            memset(hex, 'a', sizeof(hex) - 1);
            hex[sizeof(hex) - 1] = '\0';
            hex[at] = (char)character;
            assert_false(digest_parse(hex, &digest));
        }
    }
    assert_true(digest_equal(&digest, &before));
}

static void test_digest_parse_longer_text_is_refused(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_BYTES + 1];
    struct digest digest;
    memset(hex, 'a', sizeof(hex));
    hex[DIGEST_HEX_BYTES] = '\0';
    assert_false(digest_parse(hex, &digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_digest_of_known_messages_is_known),
        SCRATCH_TEST(test_digest_of_null_without_bytes_is_that_of_nothing),
        SCRATCH_TEST(test_digest_stream_of_pieces_is_known),
        SCRATCH_TEST(test_digest_stream_cut_anywhere_agrees_with_one_piece),
        SCRATCH_TEST(test_digest_stream_used_after_the_end_fails),
        SCRATCH_TEST(test_keyed_digest_of_known_messages_is_known),
        SCRATCH_TEST(test_keyed_digest_used_many_times_stays_known),
        SCRATCH_TEST(test_keyed_digest_key_is_copied),
        SCRATCH_TEST(test_keyed_digest_empty_key_is_refused),
        SCRATCH_TEST(test_digest_free_null_is_accepted),
        SCRATCH_TEST(test_digest_parse_of_hex_gives_it_back),
        SCRATCH_TEST(test_digest_parse_every_wrong_character_is_refused),
        SCRATCH_TEST(test_digest_parse_longer_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
