#include "crypto/public_key.h"

#include "forge.h"
#include "scratch.h"
#include "tests/vectors/rfc8032_ed25519.h"

static struct identity *created(const char *directory)
{
    struct identity *identity = NULL;
    succeeds(identity_create(directory, "MNIST Part 1", &identity));
    return identity;
}

static void test_identity_sign_known_keys_gives_known_signatures(void **state)
{
    for (size_t i = 0; i < RFC8032_COUNT; i++) {
        uint8_t secret[32];
        uint8_t message[64];
        uint8_t expected[SIGNATURE_BYTES];
        uint8_t public_key[PUBLIC_KEY_BYTES];
        uint8_t signature[SIGNATURE_BYTES];
        uint8_t own_key[PUBLIC_KEY_BYTES];
        struct identity *identity = NULL;
        assert_int_equal(scratch_hex(rfc8032_ed25519[i].secret_key, secret), sizeof(secret));
        assert_int_equal(scratch_hex(rfc8032_ed25519[i].public_key, public_key), sizeof(public_key));
        assert_int_equal(scratch_hex(rfc8032_ed25519[i].signature, expected), sizeof(expected));
        size_t bytes = scratch_hex(rfc8032_ed25519[i].message, message);
        EVP_PKEY *key = forge_key_of(secret);
        X509 *certificate = forge_plain(key);
        forge_identity(*state, key, certificate);
        succeeds(identity_load(*state, &identity));
        identity_public_key(identity, own_key);
        assert_memory_equal(own_key, public_key, sizeof(public_key));
        succeeds(identity_sign(identity, message, bytes, signature));
        assert_memory_equal(signature, expected, sizeof(expected));
        identity_free(identity);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
}

static void test_signature_verify_known_signatures_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < RFC8032_COUNT; i++) {
        uint8_t message[64];
        uint8_t signature[SIGNATURE_BYTES];
        uint8_t key[PUBLIC_KEY_BYTES];
        size_t bytes = scratch_hex(rfc8032_ed25519[i].message, message);
        (void)scratch_hex(rfc8032_ed25519[i].signature, signature);
        (void)scratch_hex(rfc8032_ed25519[i].public_key, key);
        succeeds(signature_verify(key, message, bytes, signature));
    }
}

static void test_signature_verify_own_signature_holds(void **state)
{
    struct identity *identity = created(*state);
    uint8_t key[PUBLIC_KEY_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
    identity_public_key(identity, key);
    succeeds(identity_sign(identity, "message", 7, signature));
    succeeds(signature_verify(key, "message", 7, signature));
    succeeds(identity_sign(identity, NULL, 0, signature));
    succeeds(signature_verify(key, NULL, 0, signature));
    identity_free(identity);
}

static void test_signature_verify_any_flipped_bit_is_refused(void **state)
{
    struct identity *identity = created(*state);
    struct {
        uint8_t key[PUBLIC_KEY_BYTES];
        uint8_t message[16];
        uint8_t signature[SIGNATURE_BYTES];
    } parts;
    uint8_t *bytes = (uint8_t *)&parts;
    memset(parts.message, 'm', sizeof(parts.message));
    identity_public_key(identity, parts.key);
    succeeds(identity_sign(identity, parts.message, sizeof(parts.message), parts.signature));
    for (size_t bit = 0; bit < 8 * sizeof(parts); bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << (bit % 8)));
        fails(signature_verify(parts.key, parts.message, sizeof(parts.message), parts.signature),
              ERROR_UNTRUSTED);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << (bit % 8)));
    }
    succeeds(signature_verify(parts.key, parts.message, sizeof(parts.message), parts.signature));
    identity_free(identity);
}

static void test_signature_verify_shorter_or_longer_message_is_refused(void **state)
{
    struct identity *identity = created(*state);
    uint8_t key[PUBLIC_KEY_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
    identity_public_key(identity, key);
    succeeds(identity_sign(identity, "message!", 7, signature));
    fails(signature_verify(key, "message!", 6, signature), ERROR_UNTRUSTED);
    fails(signature_verify(key, "message!", 8, signature), ERROR_UNTRUSTED);
    fails(signature_verify(key, NULL, 0, signature), ERROR_UNTRUSTED);
    identity_free(identity);
}

/* s and s + L verify the same equation; RFC 8032 section 5.1.7 demands s < L, or signatures could be remade.
 */
static void test_signature_verify_second_form_of_a_signature_is_refused(void **state)
{
    (void)state;
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                      0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    uint8_t signature[SIGNATURE_BYTES];
    uint8_t key[PUBLIC_KEY_BYTES];
    uint8_t message[1];
    (void)scratch_hex(rfc8032_ed25519[1].signature, signature);
    (void)scratch_hex(rfc8032_ed25519[1].public_key, key);
    (void)scratch_hex(rfc8032_ed25519[1].message, message);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    fails(signature_verify(key, message, 1, signature), ERROR_UNTRUSTED);
}

/* A kept key is that of the bytes that were asked for last, whatever they differ in. */
static void test_public_key_keep_another_key_is_never_taken_for_it(void **state)
{
    struct identity *identity = created(*state);
    struct public_key *kept = NULL;
    uint8_t own[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    identity_public_key(identity, own);
    succeeds(identity_sign(identity, "message", 7, signature));
    for (size_t bit = 0; bit < 8 * sizeof(own); bit++) {
        uint8_t other[PUBLIC_KEY_BYTES];
        memcpy(other, own, sizeof(other));
        other[bit / 8] = (uint8_t)(other[bit / 8] ^ (1u << (bit % 8)));
        succeeds(public_key_keep(&kept, own));
        assert_true(public_key_is(kept, own));
        succeeds(public_key_verify(kept, "message", 7, signature));
        succeeds(public_key_keep(&kept, other));
        assert_false(public_key_is(kept, own));
        assert_memory_equal(public_key_bytes(kept), other, sizeof(other));
        fails(public_key_verify(kept, "message", 7, signature), ERROR_UNTRUSTED);
    }
    public_key_free(kept);
    identity_free(identity);
}

static void test_public_key_verify_after_a_wrong_signature_still_verifies(void **state)
{
    struct identity *identity = created(*state);
    struct public_key *key = NULL;
    uint8_t own[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    identity_public_key(identity, own);
    succeeds(identity_sign(identity, "message", 7, signature));
    succeeds(public_key_new(own, &key));
    for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
        signature[bit / 8] = (uint8_t)(signature[bit / 8] ^ (1u << (bit % 8)));
        fails(public_key_verify(key, "message", 7, signature), ERROR_UNTRUSTED);
        signature[bit / 8] = (uint8_t)(signature[bit / 8] ^ (1u << (bit % 8)));
        succeeds(public_key_verify(key, "message", 7, signature));
    }
    struct public_key *shared = public_key_share(key);
    public_key_free(key);
    succeeds(public_key_verify(shared, "message", 7, signature));
    public_key_free(shared);
    public_key_free(NULL);
    assert_false(public_key_is(NULL, own));
    identity_free(identity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_identity_sign_known_keys_gives_known_signatures),
        SCRATCH_TEST(test_signature_verify_known_signatures_hold),
        SCRATCH_TEST(test_signature_verify_own_signature_holds),
        SCRATCH_TEST(test_signature_verify_any_flipped_bit_is_refused),
        SCRATCH_TEST(test_signature_verify_shorter_or_longer_message_is_refused),
        SCRATCH_TEST(test_signature_verify_second_form_of_a_signature_is_refused),
        SCRATCH_TEST(test_public_key_keep_another_key_is_never_taken_for_it),
        SCRATCH_TEST(test_public_key_verify_after_a_wrong_signature_still_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
