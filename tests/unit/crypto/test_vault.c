/* Data at rest: published vectors of what it is made of, and what must not open. */
#include "crypto/vault.h"

#include "crypto/secret.h"
#include "crypto/vault_parts.h"
#include "scratch.h"
#include "tests/vectors/nist_aes256_gcm.h"
#include "tests/vectors/rfc5869_hkdf_sha256.h"
#include "tests/vectors/rfc7914_scrypt.h"

#define LONGEST 128
#define PIECE_BYTES 100

static struct vault_secret made_key(void)
{
    struct vault_secret secret;
    succeeds(vault_secret_new(&secret));
    return secret;
}

static struct vault_secret passphrase(const char *text)
{
    struct vault_secret secret;
    succeeds(vault_secret_passphrase(text, &secret));
    return secret;
}

/* ---- vectors ---- */

static void test_vault_gcm_known_cases_agree_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < NIST_AES256_GCM_COUNT; i++) {
        uint8_t key[32], nonce[12], plain[LONGEST], about[LONGEST], wanted[LONGEST], got[LONGEST];
        EVP_CIPHER_CTX *sealer = NULL, *opener = NULL;
        (void)scratch_hex(nist_aes256_gcm[i].key, key);
        (void)scratch_hex(nist_aes256_gcm[i].nonce, nonce);
        size_t bytes = scratch_hex(nist_aes256_gcm[i].plain, plain);
        size_t about_bytes = scratch_hex(nist_aes256_gcm[i].about, about);
        assert_int_equal(scratch_hex(nist_aes256_gcm[i].cipher, wanted), bytes);
        assert_int_equal(scratch_hex(nist_aes256_gcm[i].tag, wanted + bytes), VAULT_TAG_BYTES);
        succeeds(vault_gcm_new(key, true, &sealer));
        succeeds(vault_gcm_new(key, false, &opener));
        for (int again = 0; again < 2; again++) { /* the contexts are used for many pieces */
            succeeds(vault_gcm_seal(sealer, nonce, about, about_bytes, plain, bytes, got));
            assert_memory_equal(got, wanted, bytes + VAULT_TAG_BYTES);
            succeeds(vault_gcm_open(opener, nonce, about, about_bytes, wanted, bytes + VAULT_TAG_BYTES, got));
            assert_memory_equal(got, plain, bytes);
        }
        EVP_CIPHER_CTX_free(sealer);
        EVP_CIPHER_CTX_free(opener);
    }
}

static void test_vault_derive_known_cases_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < RFC5869_HKDF_SHA256_COUNT; i++) {
        uint8_t key[LONGEST], salt[LONGEST], info[LONGEST], wanted[LONGEST], got[32];
        struct vault_derivation from = {.key = key, .salt = salt, .info = info};
        from.key_bytes = scratch_hex(rfc5869_hkdf_sha256[i].key, key);
        from.salt_bytes = scratch_hex(rfc5869_hkdf_sha256[i].salt, salt);
        from.info_bytes = scratch_hex(rfc5869_hkdf_sha256[i].info, info);
        (void)scratch_hex(rfc5869_hkdf_sha256[i].output, wanted);
        succeeds(vault_derive(&from, got));
        assert_memory_equal(got, wanted, sizeof(got));
    }
}

static void test_vault_stretch_known_cases_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < RFC7914_SCRYPT_COUNT; i++) {
        const struct vault_cost cost = {rfc7914_scrypt[i].log2_n, rfc7914_scrypt[i].r, rfc7914_scrypt[i].p};
        uint8_t wanted[32], got[32];
        (void)scratch_hex(rfc7914_scrypt[i].output, wanted);
        succeeds(vault_stretch(rfc7914_scrypt[i].passphrase, strlen(rfc7914_scrypt[i].passphrase),
                               rfc7914_scrypt[i].salt, strlen(rfc7914_scrypt[i].salt), &cost, got));
        assert_memory_equal(got, wanted, sizeof(wanted));
    }
}

/* ---- the wrapped record ---- */

static void test_vault_unwrap_same_key_gives_the_same_vault(void **state)
{
    (void)state;
    struct vault_secret secret = made_key();
    struct vault *vault = NULL, *same = NULL;
    uint8_t wrapped[VAULT_WRAPPED_BYTES], other[VAULT_WRAPPED_BYTES];
    succeeds(vault_create(&vault));
    succeeds(vault_wrap(vault, &secret, wrapped));
    succeeds(vault_unwrap(wrapped, sizeof(wrapped), &secret, &same));
    assert_memory_equal(same->key, vault->key, sizeof(vault->key));
    assert_true(vault_is_of(same, wrapped, sizeof(wrapped)));
    succeeds(vault_wrap(same, &secret, other));
    assert_memory_not_equal(other, wrapped, sizeof(wrapped));
    assert_false(vault_is_of(same, wrapped, sizeof(wrapped)));
    vault_free(vault);
    vault_free(same);
}

static void test_vault_unwrap_same_passphrase_gives_the_same_vault(void **state)
{
    (void)state;
    struct vault_secret secret = passphrase("four words go here"), wrong = passphrase("four words go herd");
    struct vault *vault = NULL, *same = NULL;
    uint8_t wrapped[VAULT_WRAPPED_BYTES];
    succeeds(vault_create(&vault));
    succeeds(vault_wrap(vault, &secret, wrapped));
    succeeds(vault_unwrap(wrapped, sizeof(wrapped), &secret, &same));
    assert_memory_equal(same->key, vault->key, sizeof(vault->key));
    vault_free(same);
    same = NULL;
    fails_saying(vault_unwrap(wrapped, sizeof(wrapped), &wrong, &same), ERROR_UNTRUSTED,
                 "This passphrase does not");
    assert_null(same);
    vault_free(vault);
}

static void test_vault_unwrap_other_secret_is_untrusted(void **state)
{
    (void)state;
    struct vault_secret secret = made_key(), wrong = made_key(), words = passphrase("four words go here");
    struct vault *vault = NULL, *opened = NULL;
    uint8_t wrapped[VAULT_WRAPPED_BYTES];
    succeeds(vault_create(&vault));
    succeeds(vault_wrap(vault, &secret, wrapped));
    fails_saying(vault_unwrap(wrapped, sizeof(wrapped), &wrong, &opened), ERROR_UNTRUSTED,
                 "This key does not open");
    fails_saying(vault_unwrap(wrapped, sizeof(wrapped), &words, &opened), ERROR_UNTRUSTED,
                 "closed with a key");
    assert_null(opened);
    vault_free(vault);
}

/* No bit of the record may be changed, none may be missing. */
static void test_vault_unwrap_any_changed_bit_is_refused(void **state)
{
    (void)state;
    struct vault_secret secret = made_key();
    struct vault *vault = NULL, *opened = NULL;
    uint8_t wrapped[VAULT_WRAPPED_BYTES];
    succeeds(vault_create(&vault));
    succeeds(vault_wrap(vault, &secret, wrapped));
    for (size_t bit = 0; bit < 8 * sizeof(wrapped); bit++) {
        wrapped[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        struct error *err = vault_unwrap(wrapped, sizeof(wrapped), &secret, &opened);
        assert_non_null(err);
        assert_true(err->code == ERROR_UNTRUSTED || err->code == ERROR_CORRUPT ||
                    err->code == ERROR_UNSUPPORTED);
        error_free(err);
        wrapped[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    for (size_t bytes = 0; bytes < sizeof(wrapped); bytes++) {
        uint8_t *cut = malloc(bytes + 1); /* so that reading beyond is seen */
        assert_non_null(cut);
        memcpy(cut, wrapped, bytes);
        fails(vault_unwrap(cut, bytes, &secret, &opened), ERROR_CORRUPT);
        free(cut);
    }
    assert_null(opened);
    vault_free(vault);
}

/* A record that somebody wrote must not make the site work, or take memory, without end. */
static void test_vault_unwrap_boundless_cost_is_refused_at_once(void **state)
{
    (void)state;
    static const uint8_t costs[][3] = {{21, 8, 1}, {17, 9, 1}, {17, 8, 17},    {0, 8, 1},
                                       {17, 0, 1}, {17, 8, 0}, {255, 255, 255}};
    struct vault_secret key = made_key(), secret = passphrase("four words go here");
    struct vault *vault = NULL, *opened = NULL;
    uint8_t wrapped[VAULT_WRAPPED_BYTES];
    succeeds(vault_create(&vault));
    succeeds(vault_wrap(vault, &key, wrapped));
    wrapped[9] = 2;
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
        memcpy(wrapped + 10, costs[i], 3);
        fails(vault_unwrap(wrapped, sizeof(wrapped), &secret, &opened), ERROR_CORRUPT);
    }
    vault_free(vault);
}

/* ---- secrets ---- */

static void test_vault_secret_key_text_is_read_back(void **state)
{
    (void)state;
    struct vault_secret secret = made_key(), same;
    char text[VAULT_KEY_TEXT_BYTES];
    vault_secret_text(&secret, text);
    assert_int_equal(strlen(text), 65);
    succeeds(vault_secret_key("here", text, 65, &same));
    assert_memory_equal(&same, &secret, sizeof(same));
    succeeds(vault_secret_key("here", text, 64, &same));
    assert_memory_equal(&same, &secret, sizeof(same));
    succeeds(vault_secret_key("here", secret.bytes, VAULT_KEY_BYTES, &same));
    assert_memory_equal(&same, &secret, sizeof(same));
}

static void test_vault_secret_key_anything_else_is_refused(void **state)
{
    (void)state;
    struct vault_secret secret;
    char text[VAULT_KEY_TEXT_BYTES + 1] =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\n";
    static const size_t lengths[] = {0, 1, 31, 33, 63, 66};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        fails_saying(vault_secret_key("here", text, lengths[i], &secret), ERROR_INVALID, "here holds no key");
    text[63] = 'F';
    fails(vault_secret_key("here", text, 64, &secret), ERROR_INVALID);
    text[63] = 'g';
    fails(vault_secret_key("here", text, 65, &secret), ERROR_INVALID);
}

static void test_vault_secret_passphrase_length_is_bounded(void **state)
{
    (void)state;
    struct vault_secret secret;
    char text[VAULT_PASSPHRASE_MAX + 2];
    memset(text, 'a', sizeof(text));
    text[VAULT_PASSPHRASE_MAX + 1] = '\0';
    fails(vault_secret_passphrase(text, &secret), ERROR_INVALID);
    text[VAULT_PASSPHRASE_MAX] = '\0';
    succeeds(vault_secret_passphrase(text, &secret));
    assert_int_equal(secret.count, VAULT_PASSPHRASE_MAX);
    text[VAULT_PASSPHRASE_MIN] = '\0';
    succeeds(vault_secret_passphrase(text, &secret));
    text[VAULT_PASSPHRASE_MIN - 1] = '\0';
    fails(vault_secret_passphrase(text, &secret), ERROR_INVALID);
}

/* ---- pieces ---- */

struct sealed {
    struct vault *vault;
    uint8_t salt[VAULT_SALT_BYTES], plain[PIECE_BYTES], bytes[PIECE_BYTES + VAULT_TAG_BYTES];
    struct vault_piece piece;
};

static struct sealed sealed_piece(void)
{
    struct sealed sealed = {.piece = {.number = 7, .about = "chunk", .about_bytes = 5}};
    struct vault_cipher *sealer = NULL;
    succeeds(vault_create(&sealed.vault));
    succeeds(secret_random(sealed.plain, sizeof(sealed.plain)));
    succeeds(vault_sealer_new(sealed.vault, sealed.salt, &sealer));
    succeeds(vault_seal(sealer, &sealed.piece, sealed.plain, sizeof(sealed.plain), sealed.bytes));
    vault_cipher_free(sealer);
    return sealed;
}

/* Expects it not to open, and nothing to be left where the bytes would have gone. */
static void stays_shut(const struct sealed *sealed, size_t bytes)
{
    static const uint8_t nothing[PIECE_BYTES];
    struct vault_cipher *opener = NULL;
    uint8_t plain[PIECE_BYTES] = {0};
    succeeds(vault_opener_new(sealed->vault, sealed->salt, &opener));
    fails(vault_open(opener, &sealed->piece, sealed->bytes, bytes, plain), ERROR_UNTRUSTED);
    assert_memory_equal(plain, nothing, sizeof(plain));
    vault_cipher_free(opener);
}

static void test_vault_open_gives_what_was_sealed(void **state)
{
    (void)state;
    struct sealed sealed = sealed_piece();
    struct vault_cipher *opener = NULL;
    uint8_t plain[PIECE_BYTES];
    assert_memory_not_equal(sealed.bytes, sealed.plain, sizeof(plain));
    succeeds(vault_opener_new(sealed.vault, sealed.salt, &opener));
    succeeds(vault_open(opener, &sealed.piece, sealed.bytes, sizeof(sealed.bytes), plain));
    assert_memory_equal(plain, sealed.plain, sizeof(plain));
    vault_cipher_free(opener);
    vault_free(sealed.vault);
}

static void test_vault_open_any_changed_bit_stays_shut(void **state)
{
    (void)state;
    struct sealed sealed = sealed_piece();
    for (size_t bit = 0; bit < 8 * sizeof(sealed.bytes); bit++) {
        sealed.bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        stays_shut(&sealed, sizeof(sealed.bytes));
        sealed.bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    for (size_t bytes = 0; bytes < sizeof(sealed.bytes); bytes++)
        stays_shut(&sealed, bytes);
    vault_free(sealed.vault);
}

static void test_vault_open_under_anything_else_stays_shut(void **state)
{
    (void)state;
    struct sealed sealed = sealed_piece(), other = sealed_piece();
    struct sealed tried = sealed;
    tried.piece.number = 6;
    stays_shut(&tried, sizeof(tried.bytes));
    tried.piece = sealed.piece;
    tried.piece.about = "chunc";
    stays_shut(&tried, sizeof(tried.bytes));
    tried.piece = sealed.piece;
    tried.piece.about_bytes = 4;
    stays_shut(&tried, sizeof(tried.bytes));
    tried.piece = sealed.piece;
    tried.salt[0] ^= 1;
    stays_shut(&tried, sizeof(tried.bytes));
    tried = sealed;
    tried.vault = other.vault;
    stays_shut(&tried, sizeof(tried.bytes));
    vault_free(sealed.vault);
    vault_free(other.vault);
}

static void test_vault_sealer_never_uses_a_nonce_twice(void **state)
{
    (void)state;
    struct vault *vault = NULL;
    struct vault_cipher *sealer = NULL, *opener = NULL;
    uint8_t salt[VAULT_SALT_BYTES], other[VAULT_SALT_BYTES], sealed[1 + VAULT_TAG_BYTES];
    struct vault_piece piece = {.number = 0};
    succeeds(vault_create(&vault));
    succeeds(vault_sealer_new(vault, salt, &sealer));
    succeeds(vault_seal(sealer, &piece, "a", 1, sealed));
    fails(vault_seal(sealer, &piece, "b", 1, sealed), ERROR_INTERNAL);
    piece.number = 5;
    succeeds(vault_seal(sealer, &piece, "b", 1, sealed));
    piece.number = 4;
    fails(vault_seal(sealer, &piece, "c", 1, sealed), ERROR_INTERNAL);
    vault_cipher_free(sealer);
    succeeds(vault_sealer_new(vault, other, &sealer));
    assert_memory_not_equal(salt, other, sizeof(salt));
    succeeds(vault_opener_new(vault, salt, &opener));
    piece.number = 9;
    fails(vault_seal(opener, &piece, "d", 1, sealed), ERROR_INTERNAL);
    fails(vault_open(sealer, &piece, sealed, sizeof(sealed), other), ERROR_INTERNAL);
    vault_cipher_free(sealer);
    vault_cipher_free(opener);
    vault_free(vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_vault_gcm_known_cases_agree_both_ways),
        SCRATCH_TEST(test_vault_derive_known_cases_agree),
        SCRATCH_TEST(test_vault_stretch_known_cases_agree),
        SCRATCH_TEST(test_vault_unwrap_same_key_gives_the_same_vault),
        SCRATCH_TEST(test_vault_unwrap_same_passphrase_gives_the_same_vault),
        SCRATCH_TEST(test_vault_unwrap_other_secret_is_untrusted),
        SCRATCH_TEST(test_vault_unwrap_any_changed_bit_is_refused),
        SCRATCH_TEST(test_vault_unwrap_boundless_cost_is_refused_at_once),
        SCRATCH_TEST(test_vault_secret_key_text_is_read_back),
        SCRATCH_TEST(test_vault_secret_key_anything_else_is_refused),
        SCRATCH_TEST(test_vault_secret_passphrase_length_is_bounded),
        SCRATCH_TEST(test_vault_open_gives_what_was_sealed),
        SCRATCH_TEST(test_vault_open_any_changed_bit_stays_shut),
        SCRATCH_TEST(test_vault_open_under_anything_else_stays_shut),
        SCRATCH_TEST(test_vault_sealer_never_uses_a_nonce_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
