#include "crypto/identity.h"

#include "scratch.h"
#include "tests/vectors/rfc8032_ed25519.h"

/* What stands before the 32 bytes of a key in an Ed25519 SubjectPublicKeyInfo (RFC 8410, section 4). */
static const uint8_t rfc8410_prefix[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                           0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

#define DIGITS_60 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab"
#define DIGITS_64 DIGITS_60 "cdef"

static void test_site_id_of_key_is_digest_of_its_public_key_info(void **state)
{
    (void)state;
    for (size_t i = 0; i < RFC8032_COUNT; i++) {
        uint8_t info[sizeof(rfc8410_prefix) + PUBLIC_KEY_BYTES];
        struct digest expected;
        struct site_id id;
        memcpy(info, rfc8410_prefix, sizeof(rfc8410_prefix));
        assert_int_equal(scratch_hex(rfc8032_ed25519[i].public_key, info + sizeof(rfc8410_prefix)), 32);
        succeeds(digest_of(info, sizeof(info), &expected));
        succeeds(site_id_of_key(info + sizeof(rfc8410_prefix), &id));
        assert_true(digest_equal(&id.digest, &expected));
    }
}

static void test_site_id_format_of_parsed_text_gives_it_back(void **state)
{
    (void)state;
    struct site_id id;
    char text[FINGERPRINT_BYTES];
    succeeds(site_id_parse("sha256:" DIGITS_64, &id));
    assert_int_equal(id.digest.bytes[0], 0x01);
    assert_int_equal(id.digest.bytes[31], 0xef);
    site_id_format(&id, text);
    assert_string_equal(text, "sha256:" DIGITS_64);
}

static void test_site_id_parse_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "sha256",
        "sha256:",
        DIGITS_64,
        ":" DIGITS_64,
        "sha1:" DIGITS_64,
        "SHA256:" DIGITS_64,
        "Sha256:" DIGITS_64,
        "sha512:" DIGITS_64,
        "sha256-" DIGITS_64,
        " sha256:" DIGITS_64,
        "sha256: " DIGITS_64,
        "sha256:" DIGITS_64 " ",
        "sha256:" DIGITS_64 "\n",
        "sha256:" DIGITS_64 "0",
        "sha256:" DIGITS_60 "cde",
        "sha256:" DIGITS_60 "CDEF",
        "sha256:" DIGITS_60 "cdeg",
        "sha256:" DIGITS_60 "cd f",
        "sha256:0x" DIGITS_60 "cd",
        "sha256:" DIGITS_60 "cde\xef",
    };
    struct site_id id;
    memset(&id, 0x22, sizeof(id));
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        fails_saying(site_id_parse(refused[i], &id), ERROR_INVALID, "sha256:");
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        assert_int_equal(id.digest.bytes[i], 0x22);
}

static void test_site_id_compare_orders_as_bytes_do(void **state)
{
    (void)state;
    struct site_id a = {{{0x7f}}};
    struct site_id b = {{{0x80}}};
    assert_true(site_id_compare(&a, &b) < 0);
    assert_true(site_id_compare(&b, &a) > 0);
    assert_int_equal(site_id_compare(&a, &a), 0);
}

static void test_site_id_equal_last_bit_differs_is_false(void **state)
{
    (void)state;
    struct site_id a = {{{0}}};
    struct site_id b = a;
    assert_true(site_id_equal(&a, &b));
    b.digest.bytes[31] = 1;
    assert_false(site_id_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_site_id_of_key_is_digest_of_its_public_key_info),
        SCRATCH_TEST(test_site_id_format_of_parsed_text_gives_it_back),
        SCRATCH_TEST(test_site_id_parse_other_text_is_refused),
        SCRATCH_TEST(test_site_id_compare_orders_as_bytes_do),
        SCRATCH_TEST(test_site_id_equal_last_bit_differs_is_false),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
