/* X25519 and HKDF against what the RFCs publish, and the keys that are refused. */
#include "crypto/agreement.h"

#include "scratch.h"
#include "tests/vectors/rfc5869_hkdf_sha256.h"
#include "tests/vectors/rfc7748_x25519.h"
#include "tests/vectors/sa1_components.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#define KEY AGREEMENT_KEY_BYTES

static const uint8_t *bytes_of(const char *hex, uint8_t ret_bytes[static KEY])
{
    assert_int_equal(scratch_hex(hex, ret_bytes), KEY);
    return ret_bytes;
}

static void agrees(const char *secret, const char *public_key, const char *shared)
{
    uint8_t own[KEY], other[KEY], wanted[KEY], got[KEY];
    succeeds(agreement_derive(bytes_of(secret, own), bytes_of(public_key, other), got));
    assert_memory_equal(got, bytes_of(shared, wanted), KEY);
}

static void belongs(const char *secret, const char *public_key)
{
    uint8_t own[KEY], wanted[KEY], got[KEY];
    succeeds(agreement_public(bytes_of(secret, own), got));
    assert_memory_equal(got, bytes_of(public_key, wanted), KEY);
}

static void test_agreement_derive_rfc_cases_agree(void **state)
{
    (void)state;
    agrees(rfc7748_x25519[0].scalar, rfc7748_x25519[0].u, rfc7748_x25519[0].output);
    agrees(RFC7748_ALICE_SECRET, RFC7748_BOB_PUBLIC, RFC7748_SHARED);
    agrees(RFC7748_BOB_SECRET, RFC7748_ALICE_PUBLIC, RFC7748_SHARED);
    belongs(RFC7748_ALICE_SECRET, RFC7748_ALICE_PUBLIC);
    belongs(RFC7748_BOB_SECRET, RFC7748_BOB_PUBLIC);
}

static void test_agreement_derive_bit_255_is_refused_and_without_it_agrees(void **state)
{
    (void)state;
    uint8_t own[KEY], other[KEY], wanted[KEY], got[KEY];
    (void)bytes_of(rfc7748_x25519[1].scalar, own);
    (void)bytes_of(rfc7748_x25519[1].u, other);
    fails_saying(agreement_derive(own, other, got), ERROR_INVALID, "highest bit");
    fails_saying(agreement_check(other), ERROR_INVALID, "highest bit");
    other[KEY - 1] &= 0x7f;
    succeeds(agreement_check(other));
    succeeds(agreement_derive(own, other, got));
    assert_memory_equal(got, bytes_of(rfc7748_x25519[1].output, wanted), KEY);
}

static void test_agreement_derive_iterated_thousand_times_agrees(void **state)
{
    (void)state;
    uint8_t k[KEY] = {9}, u[KEY] = {9}, next[KEY], wanted[KEY];
    for (int i = 1; i <= 1000; i++) {
        succeeds(agreement_derive(k, u, next));
        memcpy(u, k, KEY);
        memcpy(k, next, KEY);
        if (i == 1)
            assert_memory_equal(k, bytes_of(RFC7748_AFTER_1, wanted), KEY);
    }
    assert_memory_equal(k, bytes_of(RFC7748_AFTER_1000, wanted), KEY);
}

static void test_agreement_derive_component_vectors_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < SA1_SITES; i++) {
        belongs(sa1_sites[i].c_secret, sa1_sites[i].c_public);
        belongs(sa1_sites[i].s_secret, sa1_sites[i].s_public);
    }
    for (size_t i = 0; i < SA1_PAIRS; i++) {
        size_t one = sa1_pairs[i].one - 1, other = sa1_pairs[i].other - 1;
        agrees(sa1_sites[one].s_secret, sa1_sites[other].s_public, sa1_pairs[i].agreed);
        agrees(sa1_sites[other].s_secret, sa1_sites[one].s_public, sa1_pairs[i].agreed);
    }
}

static void test_agreement_make_two_pairs_agree_and_differ(void **state)
{
    (void)state;
    uint8_t one[KEY], other[KEY], one_public[KEY], other_public[KEY], shared[KEY], same[KEY];
    succeeds(agreement_make(one, one_public));
    succeeds(agreement_make(other, other_public));
    assert_memory_not_equal(one, other, KEY);
    succeeds(agreement_check(one_public));
    succeeds(agreement_derive(one, other_public, shared));
    succeeds(agreement_derive(other, one_public, same));
    assert_memory_equal(shared, same, KEY);
}

/* Whether OpenSSL finds the shared secret to be zero, with nothing of ours before it. */
static bool gives_zero(const uint8_t secret[static KEY], const uint8_t public_key[static KEY])
{
    uint8_t shared[KEY];
    size_t bytes = KEY;
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, KEY);
    EVP_PKEY *other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, KEY);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(context, other), 1);
    bool derived = EVP_PKEY_derive(context, shared, &bytes) == 1;
    ERR_clear_error();
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(other);
    EVP_PKEY_free(own);
    return !derived;
}

/* The points of small order, from sources other than ours: 0, 1, p - 1, p and p + 1 are computed, the two of order 8
 * are those of RFC 7748's references. */
static void small_order_point(size_t which, uint8_t ret_point[static KEY])
{
    static const char *const of_order_8[] = {
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    };
    memset(ret_point, which < 2 ? 0 : 0xff, KEY);
    if (which < 2)
        ret_point[0] = (uint8_t)which;
    else if (which < 5) {
        ret_point[0] = (uint8_t)(0xec + which - 2);
        ret_point[KEY - 1] = 0x7f;
    } else
        (void)bytes_of(of_order_8[which - 5], ret_point);
}

static void test_agreement_check_points_of_small_order_are_refused(void **state)
{
    (void)state;
    for (size_t which = 0; which < 7; which++) {
        uint8_t secret[KEY], own[KEY], point[KEY], shared[KEY], before[KEY];
        small_order_point(which, point);
        succeeds(agreement_make(secret, own));
        assert_true(gives_zero(secret, point));
        memset(shared, 0x5a, KEY);
        memcpy(before, shared, KEY);
        fails_saying(agreement_check(point), ERROR_INVALID, "small order");
        fails_saying(agreement_derive(secret, point, shared), ERROR_INVALID, "small order");
        assert_memory_equal(shared, before, KEY);
        /* The next ones are not zero and are accepted, so that the list has no more than it must. */
        point[1] ^= 1;
        assert_false(gives_zero(secret, point));
        succeeds(agreement_check(point));
    }
}

static void test_agreement_expand_rfc_cases_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < RFC5869_HKDF_SHA256_COUNT; i++) {
        uint8_t key[128], salt[128], info[128], wanted[128], got[128];
        size_t key_bytes = scratch_hex(rfc5869_hkdf_sha256[i].key, key);
        size_t salt_bytes = scratch_hex(rfc5869_hkdf_sha256[i].salt, salt);
        size_t info_bytes = scratch_hex(rfc5869_hkdf_sha256[i].info, info);
        size_t bytes = scratch_hex(rfc5869_hkdf_sha256[i].output, wanted);
        succeeds(agreement_expand(key, key_bytes, salt, salt_bytes, info, info_bytes, got, bytes));
        assert_memory_equal(got, wanted, bytes);
    }
}

static void test_agreement_expand_pair_and_self_seeds_agree(void **state)
{
    (void)state;
    uint8_t context[KEY], key[KEY], wanted[KEY], got[KEY], info[128];
    (void)bytes_of(SA1_CONTEXT, context);
    for (size_t i = 0; i < SA1_PAIRS; i++) {
        memcpy(info, "FDS-SA1 pair v1", 15);
        (void)bytes_of(sa1_sites[sa1_pairs[i].one - 1].site_id, info + 15);
        (void)bytes_of(sa1_sites[sa1_pairs[i].other - 1].site_id, info + 15 + KEY);
        (void)bytes_of(SA1_SHARERS_HASH, info + 15 + 2 * KEY);
        (void)bytes_of(sa1_pairs[i].agreed, key);
        succeeds(agreement_expand(key, KEY, context, KEY, info, 15 + 3 * KEY, got, KEY));
        assert_memory_equal(got, bytes_of(sa1_pairs[i].seed, wanted), KEY);
    }
    for (size_t i = 0; i < SA1_SITES; i++) {
        memcpy(info, "FDS-SA1 self v1", 15);
        (void)bytes_of(sa1_sites[i].site_id, info + 15);
        (void)bytes_of(SA1_SHARERS_HASH, info + 15 + KEY);
        (void)bytes_of(sa1_sites[i].b, key);
        succeeds(agreement_expand(key, KEY, context, KEY, info, 15 + 2 * KEY, got, KEY));
        assert_memory_equal(got, bytes_of(sa1_sites[i].self_seed, wanted), KEY);
    }
}

static void test_agreement_expand_more_than_hkdf_gives_is_refused(void **state)
{
    (void)state;
    static uint8_t much[255 * 32 + 1];
    succeeds(agreement_expand("k", 1, NULL, 0, NULL, 0, much, sizeof(much) - 1));
    fails(agreement_expand("k", 1, NULL, 0, NULL, 0, much, sizeof(much)), ERROR_CRYPTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_agreement_derive_rfc_cases_agree),
        SCRATCH_TEST(test_agreement_derive_bit_255_is_refused_and_without_it_agrees),
        SCRATCH_TEST(test_agreement_derive_iterated_thousand_times_agrees),
        SCRATCH_TEST(test_agreement_derive_component_vectors_agree),
        SCRATCH_TEST(test_agreement_make_two_pairs_agree_and_differ),
        SCRATCH_TEST(test_agreement_check_points_of_small_order_are_refused),
        SCRATCH_TEST(test_agreement_expand_rfc_cases_agree),
        SCRATCH_TEST(test_agreement_expand_pair_and_self_seeds_agree),
        SCRATCH_TEST(test_agreement_expand_more_than_hkdf_gives_is_refused),
    };
    return cmocka_run_group_tests_name("agreement", tests, NULL, NULL);
}
