/* That secrets which secagg*.c make on the way are wiped, also where a step fails: what secret_wipe is called for is kept
 * as it was just before, and the known secrets are looked for in it. */
#include "crypto/secagg_seal.h"
#include "crypto/vault_parts.h"

#include "federation.h"
#include "secagg_vectors.h"

#define WIPED_BYTES (1u << 20)

static struct {
    uint8_t bytes[WIPED_BYTES];
    size_t count;
} wiped;
static size_t calls_before_failing; /* of the function that is to fail; SIZE_MAX: never */

void __real_secret_wipe(void *memory, size_t bytes);
void __wrap_secret_wipe(void *memory, size_t bytes);
struct error *__real_mask_apply(const uint8_t seed[static MASK_SEED_BYTES], enum mask_sign sign,
                                enum mask_ring ring, uint64_t *words, size_t count);
struct error *__wrap_mask_apply(const uint8_t seed[static MASK_SEED_BYTES], enum mask_sign sign,
                                enum mask_ring ring, uint64_t *words, size_t count);
struct error *__real_vault_gcm_seal(EVP_CIPHER_CTX *gcm, const uint8_t nonce[static VAULT_NONCE_BYTES],
                                    const void *about, size_t about_bytes, const void *plain, size_t bytes,
                                    uint8_t *ret_sealed);
struct error *__wrap_vault_gcm_seal(EVP_CIPHER_CTX *gcm, const uint8_t nonce[static VAULT_NONCE_BYTES],
                                    const void *about, size_t about_bytes, const void *plain, size_t bytes,
                                    uint8_t *ret_sealed);
struct error *__real_shamir_share_check(const uint8_t share[static SHAMIR_SHARE_BYTES]);
struct error *__wrap_shamir_share_check(const uint8_t share[static SHAMIR_SHARE_BYTES]);

void __wrap_secret_wipe(void *memory, size_t bytes)
{
    assert_true(bytes <= WIPED_BYTES - wiped.count);
    memcpy(wiped.bytes + wiped.count, memory, bytes);
    wiped.count += bytes;
    __real_secret_wipe(memory, bytes);
}

static struct error *fail_in_time(void)
{
    if (calls_before_failing == SIZE_MAX)
        return NULL;
    if (calls_before_failing == 0)
        return error_new(ERROR_CRYPTO, "The test says so.");
    calls_before_failing--;
    return NULL;
}

struct error *__wrap_mask_apply(const uint8_t seed[static MASK_SEED_BYTES], enum mask_sign sign,
                                enum mask_ring ring, uint64_t *words, size_t count)
{
    struct error *err = fail_in_time();
    return err != NULL ? err : __real_mask_apply(seed, sign, ring, words, count);
}

struct error *__wrap_vault_gcm_seal(EVP_CIPHER_CTX *gcm, const uint8_t nonce[static VAULT_NONCE_BYTES],
                                    const void *about, size_t about_bytes, const void *plain, size_t bytes,
                                    uint8_t *ret_sealed)
{
    struct error *err = fail_in_time();
    return err != NULL ? err
                       : __real_vault_gcm_seal(gcm, nonce, about, about_bytes, plain, bytes, ret_sealed);
}

struct error *__wrap_shamir_share_check(const uint8_t share[static SHAMIR_SHARE_BYTES])
{
    struct error *err = fail_in_time();
    return err != NULL ? err : __real_shamir_share_check(share);
}

static void watch(size_t calls)
{
    wiped.count = 0;
    calls_before_failing = calls;
}

/* How many areas with this in them were wiped: a secret that was copied must be wiped in each place. */
static size_t times_wiped(const void *secret, size_t bytes)
{
    size_t times = 0;
    const uint8_t *at = wiped.bytes, *const end = wiped.bytes + wiped.count;
    while ((at = memmem(at, (size_t)(end - at), secret, bytes)) != NULL) {
        times++;
        at += bytes;
    }
    return times;
}

static size_t hex_times_wiped(const char *hex, size_t bytes)
{
    uint8_t secret[64];
    vector_bytes(hex, secret, bytes);
    return times_wiped(secret, bytes);
}

/* ---- making keys ---- */

static void test_secagg_slot_make_wipes_its_copy(void **state)
{
    (void)state;
    struct secagg_secret secret;
    struct secagg_entry entry;
    watch(SIZE_MAX);
    succeeds(secagg_slot_make(1, &secret, &entry));
    assert_int_equal(times_wiped(&secret, sizeof(secret)), 1);
    watch(SIZE_MAX);
    succeeds(secagg_commit_b(1, secret.b, &entry.b));
    assert_true(0 < times_wiped(secret.b, sizeof(secret.b)));
}

/* ---- sealing ---- */

/* Key and nonce of the first pair, and what they are derived from. */
/* With a key that is read each time. */
static struct error *seal_close_with(const struct secagg_seal *seal, const uint8_t *secret,
                                     const uint8_t *plain, uint8_t *ret_sealed)
{
    struct agreement_key *key = NULL;
    struct error *err = agreement_key_new(secret, &key);
    if (err == NULL)
        err = secagg_seal_close(seal, key, plain, ret_sealed);
    agreement_key_free(key);
    return err;
}

static struct error *seal_open_with(const struct secagg_seal *seal, const uint8_t *secret,
                                    const uint8_t *sealed, uint8_t *ret_plain)
{
    struct agreement_key *key = NULL;
    struct error *err = agreement_key_new(secret, &key);
    if (err == NULL)
        err = secagg_seal_open(seal, key, sealed, ret_plain);
    agreement_key_free(key);
    return err;
}

static void seal_was_wiped(const uint8_t shared[static AGREEMENT_KEY_BYTES])
{
    assert_int_equal(hex_times_wiped(sa1_pairs[0].share_key_nonce, VAULT_KEY_BYTES + VAULT_NONCE_BYTES), 2);
    assert_int_equal(times_wiped(shared, AGREEMENT_KEY_BYTES), 2); /* one of them in agreement_derive */
}

static void test_secagg_seal_wipes_key_and_agreement(void **state)
{
    const struct secagg_vectors *vectors = *state;
    struct secagg_seal seal = {.keyset = &vectors->keyset,
                               .slot = SA1_SLOT,
                               .from = 1,
                               .to = 2,
                               .keyset_hash = vectors->attempt.keyset_hash};
    uint8_t plain[SECAGG_SHARE_BYTES] = {0}, sealed[SECAGG_SEALED_BYTES], shared[AGREEMENT_KEY_BYTES];
    succeeds(agreement_derive(vectors->secrets[0].c, vectors->entries[1].c, shared));
    watch(SIZE_MAX);
    succeeds(seal_close_with(&seal, vectors->secrets[0].c, plain, sealed));
    seal_was_wiped(shared);
    watch(0);
    fails(seal_close_with(&seal, vectors->secrets[0].c, plain, sealed), ERROR_CRYPTO);
    seal_was_wiped(shared);
    watch(SIZE_MAX);
    succeeds(seal_open_with(&seal, vectors->secrets[1].c, sealed, plain));
    seal_was_wiped(shared);
    sealed[0] ^= 1;
    watch(SIZE_MAX);
    fails(seal_open_with(&seal, vectors->secrets[1].c, sealed, plain), ERROR_UNTRUSTED);
    seal_was_wiped(shared);
}

/* ---- shares ---- */

/* As it is in the seal: the receiver's position, s, b. */
static bool share_was_wiped(uint32_t position, const struct secagg_share *share)
{
    uint8_t plain[SECAGG_SHARE_BYTES] = {(uint8_t)position, 0};
    memcpy(plain + 2, share->s, SHAMIR_SHARE_BYTES);
    memcpy(plain + 2 + SHAMIR_SHARE_BYTES, share->b, SHAMIR_SHARE_BYTES);
    return times_wiped(plain, sizeof(plain)) > 0;
}

static void test_secagg_share_make_wipes_what_it_deals(void **state)
{
    const struct federation *federation = *state;
    struct secagg_share own, shares[FEDERATION_SITES];
    uint8_t *sealed = NULL;
    size_t count = 0;
    watch(SIZE_MAX);
    succeeds(secagg_share_make(federation->keyset, FEDERATION_FIRST_SLOT, 1, &federation->secrets[0][0],
                               &sealed, &count, &own));
    const size_t kept = wiped.count;
    for (uint32_t i = 0; i < count; i++)
        succeeds(secagg_share_open(federation->keyset, FEDERATION_FIRST_SLOT, i + 2, 1,
                                   &federation->secrets[i + 1][0], sealed + (size_t)i * SECAGG_SEALED_BYTES,
                                   &shares[i]));
    wiped.count = kept; /* not by those who opened them */
    for (uint32_t i = 0; i < count; i++)
        assert_true(share_was_wiped(i + 2, &shares[i]));
    free(sealed);
}

/* The third seal fails. */
static void test_secagg_share_make_failing_wipes_what_it_dealt(void **state)
{
    const struct federation *federation = *state;
    struct secagg_share own = {{0}, {0}}, before = own;
    uint8_t *sealed = NULL;
    size_t count = 0;
    watch(4); /* the two masks that the coefficients are made of, and two seals */
    fails(secagg_share_make(federation->keyset, FEDERATION_FIRST_SLOT, 1, &federation->secrets[0][0], &sealed,
                            &count, &own),
          ERROR_CRYPTO);
    assert_null(sealed);
    assert_memory_equal(&own, &before, sizeof(own));
    /* The lowest limbs of the secrets are the lowest coefficients of the polynomials. */
    for (size_t limb = 0; limb < 2; limb++) {
        uint64_t value = 0;
        memcpy(&value, (limb == 0 ? federation->secrets[0][0].s : federation->secrets[0][0].b), 7);
        assert_true(0 < times_wiped(&value, sizeof(value)));
    }
}

static void test_secagg_share_open_refusing_wipes_what_it_read(void **state)
{
    const struct federation *federation = *state;
    struct secagg_share own, share;
    uint8_t *sealed = NULL;
    size_t count = 0;
    watch(SIZE_MAX);
    succeeds(secagg_share_make(federation->keyset, FEDERATION_FIRST_SLOT, 1, &federation->secrets[0][0],
                               &sealed, &count, &own));
    succeeds(secagg_share_open(federation->keyset, FEDERATION_FIRST_SLOT, 2, 1, &federation->secrets[1][0],
                               sealed, &share));
    watch(1); /* the share of s passes, that of b does not */
    fails(secagg_share_open(federation->keyset, FEDERATION_FIRST_SLOT, 2, 1, &federation->secrets[1][0],
                            sealed, &own),
          ERROR_CRYPTO);
    assert_true(share_was_wiped(2, &share));
    free(sealed);
}

/* ---- masks ---- */

static void test_secagg_input_mask_wipes_its_seeds(void **state)
{
    const struct secagg_vectors *vectors = *state;
    uint64_t words[SA1_WORDS] = {0};
    watch(SIZE_MAX);
    succeeds(secagg_input_mask(&vectors->attempt, 1, &vectors->secrets[0], words));
    assert_true(0 < hex_times_wiped(sa1_sites[0].self_seed, MASK_SEED_BYTES));
    for (size_t i = 0; i < SA1_PAIRS; i++) {
        size_t mine = sa1_pairs[i].one == 1 ? 1 : 0;
        assert_int_equal(hex_times_wiped(sa1_pairs[i].seed, MASK_SEED_BYTES), mine);
        assert_int_equal(hex_times_wiped(sa1_pairs[i].agreed, AGREEMENT_KEY_BYTES), 2 * mine);
    }
}

/* Wherever it fails: the seeds so far, and the vector, of which some masks are missing. */
static void test_secagg_input_mask_failing_wipes_seeds_and_vector(void **state)
{
    const struct secagg_vectors *vectors = *state;
    static const uint64_t nothing[SA1_WORDS];
    for (size_t calls = 0; calls < SA1_SITES; calls++) {
        uint64_t words[SA1_WORDS];
        memcpy(words, sa1_sites[0].x, sizeof(words));
        watch(calls);
        fails(secagg_input_mask(&vectors->attempt, 1, &vectors->secrets[0], words), ERROR_CRYPTO);
        assert_memory_equal(words, nothing, sizeof(words));
        assert_true(0 < hex_times_wiped(sa1_sites[0].self_seed, MASK_SEED_BYTES));
        for (size_t i = 0; i < calls; i++) {
            assert_int_equal(sa1_pairs[i].one, 1);
            assert_true(0 < hex_times_wiped(sa1_pairs[i].seed, MASK_SEED_BYTES));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secagg_slot_make_wipes_its_copy),
        VECTOR_TEST(test_secagg_seal_wipes_key_and_agreement),
        FEDERATION_TEST(test_secagg_share_make_wipes_what_it_deals, share),
        FEDERATION_TEST(test_secagg_share_make_failing_wipes_what_it_dealt, share),
        FEDERATION_TEST(test_secagg_share_open_refusing_wipes_what_it_read, share),
        VECTOR_TEST(test_secagg_input_mask_wipes_its_seeds),
        VECTOR_TEST(test_secagg_input_mask_failing_wipes_seeds_and_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
