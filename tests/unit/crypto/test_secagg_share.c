#include "crypto/secagg_keyset_parts.h"
#include "crypto/secagg_seal.h"
#include "crypto/secagg_share.h"

#include "federation.h"
#include "secagg_vectors.h"

/* ---- known answers ---- */

static struct secagg_seal vector_seal(const struct secagg_vectors *vectors, uint32_t from, uint32_t to)
{
    return (struct secagg_seal){.keyset = &vectors->keyset,
                                .slot = SA1_SLOT,
                                .from = from,
                                .to = to,
                                .keyset_hash = vectors->attempt.keyset_hash};
}

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

static struct error *seal_derive_with(const struct secagg_seal *seal, uint32_t other, const uint8_t *secret,
                                      struct secagg_seal_key *ret_key)
{
    struct agreement_key *key = NULL;
    struct error *err = agreement_key_new(secret, &key);
    if (err == NULL)
        err = secagg_seal_derive(seal, other, key, ret_key);
    agreement_key_free(key);
    return err;
}

static void test_secagg_seal_derive_agrees_with_the_vectors(void **state)
{
    const struct secagg_vectors *vectors = *state;
    for (size_t i = 0; i < SA1_PAIRS; i++) {
        const uint32_t from = sa1_pairs[i].one, to = sa1_pairs[i].other;
        struct secagg_seal seal = vector_seal(vectors, from, to);
        struct secagg_seal_key mine, theirs, expected;
        vector_bytes(sa1_pairs[i].share_key_nonce, &expected, sizeof(expected));
        succeeds(seal_derive_with(&seal, to, vectors->secrets[from - 1].c, &mine));
        succeeds(seal_derive_with(&seal, from, vectors->secrets[to - 1].c, &theirs));
        assert_memory_equal(&mine, &expected, sizeof(expected));
        assert_memory_equal(&theirs, &expected, sizeof(expected));
    }
}

static void test_secagg_seal_close_agrees_with_the_vectors(void **state)
{
    const struct secagg_vectors *vectors = *state;
    for (size_t i = 0; i < SA1_PAIRS; i++) {
        const uint32_t from = sa1_pairs[i].one, to = sa1_pairs[i].other;
        struct secagg_seal seal = vector_seal(vectors, from, to);
        uint8_t plain[SECAGG_SHARE_BYTES], opened[SECAGG_SHARE_BYTES];
        uint8_t expected[SECAGG_SEALED_BYTES], sealed[SECAGG_SEALED_BYTES];
        vector_bytes(sa1_pairs[i].share_plain, plain, sizeof(plain));
        vector_bytes(sa1_pairs[i].share_sealed, expected, sizeof(expected));
        succeeds(seal_close_with(&seal, vectors->secrets[from - 1].c, plain, sealed));
        assert_memory_equal(sealed, expected, sizeof(expected));
        succeeds(seal_open_with(&seal, vectors->secrets[to - 1].c, expected, opened));
        assert_memory_equal(opened, plain, sizeof(plain));
    }
}

/* ---- a dealing ---- */

static const struct secagg_secret *secret_of(const struct federation *federation, uint32_t position,
                                             uint32_t slot)
{
    return &federation->secrets[position - 1][slot - FEDERATION_FIRST_SLOT];
}

/* What `from` seals for `to`; *ret_own is its own share. */
static void sealed_for(const struct federation *federation, uint32_t slot, uint32_t from, uint32_t to,
                       uint8_t ret_sealed[static SECAGG_SEALED_BYTES], struct secagg_share *ret_own)
{
    uint8_t *sealed = NULL;
    size_t count = 0;
    succeeds(secagg_share_make(federation->keyset, slot, from, secret_of(federation, from, slot), &sealed,
                               &count, ret_own));
    assert_int_equal(count, FEDERATION_SITES - 1);
    memcpy(ret_sealed, sealed + (to < from ? to - 1 : to - 2) * (size_t)SECAGG_SEALED_BYTES,
           SECAGG_SEALED_BYTES);
    free(sealed);
}

static struct error *open_at(const struct federation *federation, uint32_t slot, uint32_t position,
                             uint32_t from, const uint8_t sealed[static SECAGG_SEALED_BYTES])
{
    struct secagg_share share, before;
    memset(&share, 0xa5, sizeof(share));
    before = share;
    struct error *err =
        secagg_share_open(federation->keyset, slot, position, from,
                          secret_of(federation, position, FEDERATION_FIRST_SLOT), sealed, &share);
    if (err != NULL)
        assert_memory_equal(&share, &before, sizeof(share));
    return err;
}

static void test_secagg_share_any_threshold_of_shares_gives_the_secrets(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_secret *secret = secret_of(federation, 2, FEDERATION_FIRST_SLOT);
    struct shamir_point s[FEDERATION_SITES], b[FEDERATION_SITES];
    struct secagg_share shares[FEDERATION_SITES];
    uint8_t *sealed = NULL, opened[32];
    size_t count = 0;
    succeeds(
        secagg_share_make(federation->keyset, FEDERATION_FIRST_SLOT, 2, secret, &sealed, &count, &shares[1]));
    for (uint32_t i = 0, next = 0; i < FEDERATION_SITES; i++) {
        if (i != 1)
            succeeds(secagg_share_open(federation->keyset, FEDERATION_FIRST_SLOT, i + 1, 2,
                                       secret_of(federation, i + 1, FEDERATION_FIRST_SLOT),
                                       sealed + (size_t)SECAGG_SEALED_BYTES * next++, &shares[i]));
        s[i].x = b[i].x = i + 1;
        memcpy(s[i].share, shares[i].s, SHAMIR_SHARE_BYTES);
        memcpy(b[i].share, shares[i].b, SHAMIR_SHARE_BYTES);
    }
    free(sealed);
    for (size_t first = 0; first + FEDERATION_THRESHOLD <= FEDERATION_SITES; first++) {
        succeeds(shamir_interpolate(s + first, FEDERATION_THRESHOLD, FEDERATION_THRESHOLD, opened));
        assert_memory_equal(opened, secret->s, sizeof(opened));
        succeeds(shamir_interpolate(b + first, FEDERATION_THRESHOLD, FEDERATION_THRESHOLD, opened));
        assert_memory_equal(opened, secret->b, sizeof(opened));
    }
}

/* Fewer shares than the threshold fit every secret; a polynomial of lower degree through them gives another one. */
static void test_secagg_share_one_share_too_few_gives_something_else(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_secret *secret = secret_of(federation, 1, FEDERATION_FIRST_SLOT);
    struct shamir_point points[FEDERATION_THRESHOLD - 1];
    uint8_t sealed[SECAGG_SEALED_BYTES], opened[32];
    struct secagg_share own, share;
    uint8_t *all = NULL;
    size_t count = 0;
    succeeds(secagg_share_make(federation->keyset, FEDERATION_FIRST_SLOT, 1, secret, &all, &count, &own));
    for (uint32_t i = 0; i < FEDERATION_THRESHOLD - 1; i++) {
        memcpy(sealed, all + (size_t)i * SECAGG_SEALED_BYTES, sizeof(sealed));
        succeeds(secagg_share_open(federation->keyset, FEDERATION_FIRST_SLOT, i + 2, 1,
                                   secret_of(federation, i + 2, FEDERATION_FIRST_SLOT), sealed, &share));
        points[i].x = i + 2;
        memcpy(points[i].share, share.s, SHAMIR_SHARE_BYTES);
    }
    free(all);
    struct error *err =
        shamir_interpolate(points, FEDERATION_THRESHOLD - 1, FEDERATION_THRESHOLD - 1, opened);
    if (err == NULL)
        assert_memory_not_equal(opened, secret->s, sizeof(opened));
    error_free(err);
}

static size_t derivations;

struct error *__real_agreement_key_derive(struct agreement_key *key,
                                          const uint8_t public_key[static AGREEMENT_KEY_BYTES],
                                          uint8_t ret_shared[static AGREEMENT_KEY_BYTES]);
struct error *__wrap_agreement_key_derive(struct agreement_key *key,
                                          const uint8_t public_key[static AGREEMENT_KEY_BYTES],
                                          uint8_t ret_shared[static AGREEMENT_KEY_BYTES]);
struct error *__wrap_agreement_key_derive(struct agreement_key *key,
                                          const uint8_t public_key[static AGREEMENT_KEY_BYTES],
                                          uint8_t ret_shared[static AGREEMENT_KEY_BYTES])
{
    derivations++;
    return __real_agreement_key_derive(key, public_key, ret_shared);
}

static void opened_with(const struct federation *federation, struct agreement_memory *memory, size_t computed)
{
    const uint32_t slot = FEDERATION_FIRST_SLOT;
    uint8_t sealed[SECAGG_SEALED_BYTES];
    struct secagg_share own, share, wanted;
    struct agreement_key *key = NULL;
    sealed_for(federation, slot, 3, 2, sealed, &own);
    succeeds(
        secagg_share_open(federation->keyset, slot, 2, 3, secret_of(federation, 2, slot), sealed, &wanted));
    succeeds(agreement_key_new(secret_of(federation, 2, slot)->c, &key));
    derivations = 0;
    succeeds(secagg_share_open_by(federation->keyset, slot, 2, 3, key, memory, sealed, &share));
    assert_int_equal(derivations, computed);
    assert_memory_equal(&share, &wanted, sizeof(share));
    sealed[0] ^= 1;
    fails(secagg_share_open_by(federation->keyset, slot, 2, 3, key, memory, sealed, &share), ERROR_UNTRUSTED);
    agreement_key_free(key);
}

/* The same bytes and shares; and what was agreed on to seal is not computed once more to open. */
static void test_secagg_share_with_a_memory_is_the_same_and_agrees_once(void **state)
{
    const struct federation *federation = *state;
    const uint32_t slot = FEDERATION_FIRST_SLOT;
    struct agreement_memory *memory = NULL;
    uint8_t *with = NULL, *without = NULL;
    size_t count = 0;
    struct secagg_share own, same;
    succeeds(agreement_memory_new(64, &memory));
    succeeds(secagg_share_make(federation->keyset, slot, 2, secret_of(federation, 2, slot), &without, &count,
                               &own));
    for (size_t i = 0; i < 2; i++) {
        derivations = 0;
        succeeds(secagg_share_make_with(federation->keyset, slot, 2, secret_of(federation, 2, slot), memory,
                                        &with, &count, &same));
        assert_int_equal(derivations, i == 0 ? FEDERATION_SITES - 1 : 0);
        assert_memory_equal(with, without, count * SECAGG_SEALED_BYTES);
        assert_memory_equal(&own, &same, sizeof(own));
        free(with);
    }
    opened_with(federation, memory, 0);
    agreement_memory_forget(memory, federation->keyset->run.run_id, slot);
    opened_with(federation, memory, 1);
    opened_with(federation, memory, 0);
    opened_with(federation, NULL, 1);
    free(without);
    agreement_memory_free(memory);
}

static void make_at(const struct federation *federation, uint32_t slot, uint8_t **ret_sealed,
                    struct secagg_share *ret_own)
{
    size_t count = 0;
    succeeds(secagg_share_make(federation->keyset, slot, 2, secret_of(federation, 2, FEDERATION_FIRST_SLOT),
                               ret_sealed, &count, ret_own));
}

/* A machine that is put back to before its step 'share' makes it again: under the keys and nonces that it used, nothing
 * but what it sealed with them before. */
static void test_secagg_share_made_again_is_the_same(void **state)
{
    const struct federation *federation = *state;
    uint8_t *first = NULL, *again = NULL;
    struct secagg_share own, own_again;
    make_at(federation, FEDERATION_FIRST_SLOT, &first, &own);
    make_at(federation, FEDERATION_FIRST_SLOT, &again, &own_again);
    assert_memory_equal(first, again, (FEDERATION_SITES - 1) * SECAGG_SEALED_BYTES);
    assert_memory_equal(&own, &own_again, sizeof(own));
    free(first);
    free(again);
}

/* The keys of the seal are others then, and so are the polynomials; those of s and of b are not the same ones either. */
static void test_secagg_share_of_other_keys_or_slots_is_dealt_anew(void **state)
{
    struct federation *federation = *state;
    uint8_t *sealed = NULL;
    struct secagg_share shares[4];
    struct secagg_secret *secret = &federation->secrets[1][0];
    make_at(federation, FEDERATION_FIRST_SLOT, &sealed, &shares[0]);
    free(sealed);
    make_at(federation, FEDERATION_FIRST_SLOT + 1, &sealed, &shares[1]);
    free(sealed);
    federation->keyset->count--;
    succeeds(secagg_keyset_hash_slots(federation->keyset));
    make_at(federation, FEDERATION_FIRST_SLOT, &sealed, &shares[2]);
    free(sealed);
    federation->keyset->count++;
    succeeds(secagg_keyset_hash_slots(federation->keyset));
    memcpy(secret->s, secret->b, sizeof(secret->s)); /* the same secret twice */
    make_at(federation, FEDERATION_FIRST_SLOT, &sealed, &shares[3]);
    free(sealed);
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(shares[i].s, shares[k].s, SHAMIR_SHARE_BYTES);
            assert_memory_not_equal(shares[i].b, shares[k].b, SHAMIR_SHARE_BYTES);
        }
    assert_memory_not_equal(shares[3].s, shares[3].b, SHAMIR_SHARE_BYTES);
}

/* ---- refusals ---- */

static void test_secagg_share_changed_byte_is_refused(void **state)
{
    const struct federation *federation = *state;
    uint8_t sealed[SECAGG_SEALED_BYTES];
    struct secagg_share own;
    sealed_for(federation, FEDERATION_FIRST_SLOT, 2, 4, sealed, &own);
    succeeds(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed));
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 0x20;
        fails_saying(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed), ERROR_UNTRUSTED,
                     "The shares from site 2 of the roster");
        sealed[i] ^= 0x20;
    }
}

static void test_secagg_share_moved_is_refused(void **state)
{
    struct federation *federation = *state;
    uint8_t sealed[SECAGG_SEALED_BYTES];
    struct secagg_share own;
    sealed_for(federation, FEDERATION_FIRST_SLOT, 2, 4, sealed, &own);
    fails(open_at(federation, FEDERATION_FIRST_SLOT + 1, 4, 2, sealed), ERROR_UNTRUSTED);
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 4, 3, sealed), ERROR_UNTRUSTED);
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 3, 2, sealed), ERROR_UNTRUSTED);
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 2, 4, sealed), ERROR_UNTRUSTED);
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 4, 4, sealed), ERROR_INVALID);
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 4, 0, sealed), ERROR_INVALID);
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 4, FEDERATION_SITES + 1, sealed), ERROR_INVALID);
    fails(open_at(federation, FEDERATION_FIRST_SLOT + FEDERATION_SLOTS, 4, 2, sealed), ERROR_INVALID);
    succeeds(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed));
}

static void test_secagg_share_of_another_job_run_or_keyset_is_refused(void **state)
{
    struct federation *federation = *state;
    uint8_t sealed[SECAGG_SEALED_BYTES];
    struct secagg_share own;
    struct secagg_keyset *keyset = federation->keyset;
    const struct secagg_run before = keyset->run;
    sealed_for(federation, FEDERATION_FIRST_SLOT, 2, 4, sealed, &own);
    keyset->run.job_hash.bytes[5] ^= 1;
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed), ERROR_UNTRUSTED);
    keyset->run = before;
    keyset->run.run_id[5] ^= 1;
    succeeds(secagg_keyset_hash_slots(keyset));
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed), ERROR_UNTRUSTED);
    keyset->run = before;
    keyset->count--; /* the same keys of site 2 and 4, in a keyset without site 5 */
    succeeds(secagg_keyset_hash_slots(keyset));
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed), ERROR_UNTRUSTED);
    keyset->count++;
    succeeds(secagg_keyset_hash_slots(keyset));
    succeeds(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed));
}

/* With another secret key the seal does not hold. */
static void test_secagg_share_with_another_secret_is_refused(void **state)
{
    struct federation *federation = *state;
    uint8_t sealed[SECAGG_SEALED_BYTES];
    struct secagg_share own;
    sealed_for(federation, FEDERATION_FIRST_SLOT, 2, 4, sealed, &own);
    federation->secrets[3][0].c[7] ^= 1;
    fails(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed), ERROR_UNTRUSTED);
}

/* Under a true seal of site 2 for site 4: what no honest site puts there. */
static void test_secagg_share_of_wrong_content_is_refused(void **state)
{
    const struct federation *federation = *state;
    const uint64_t prime = SHAMIR_PRIME;
    struct secagg_seal seal = {
        .keyset = federation->keyset, .slot = FEDERATION_FIRST_SLOT, .from = 2, .to = 4};
    succeeds(secagg_keyset_hash(federation->keyset, FEDERATION_FIRST_SLOT, &seal.keyset_hash));
    const uint8_t *secret = secret_of(federation, 2, FEDERATION_FIRST_SLOT)->c;
    uint8_t plain[SECAGG_SHARE_BYTES] = {4, 0}, sealed[SECAGG_SEALED_BYTES];
    succeeds(seal_close_with(&seal, secret, plain, sealed));
    succeeds(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed));
    for (size_t value = 0; value < 10; value++) {
        uint8_t wrong[SECAGG_SHARE_BYTES];
        memcpy(wrong, plain, sizeof(wrong));
        memcpy(wrong + 2 + 8 * value, &prime, sizeof(prime));
        succeeds(seal_close_with(&seal, secret, wrong, sealed));
        fails_saying(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed), ERROR_INVALID,
                     "The shares from site 2 of the roster");
    }
    static const uint8_t positions[][2] = {{0, 0}, {2, 0}, {3, 0}, {5, 0}, {4, 1}, {0, 4}};
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        memcpy(plain, positions[i], 2);
        succeeds(seal_close_with(&seal, secret, plain, sealed));
        fails_saying(open_at(federation, FEDERATION_FIRST_SLOT, 4, 2, sealed), ERROR_INVALID,
                     "the shares of another position");
    }
}

static void test_secagg_share_make_outside_the_keyset_is_refused(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_secret *secret = secret_of(federation, 1, FEDERATION_FIRST_SLOT);
    struct secagg_share own;
    uint8_t *sealed = NULL;
    size_t count = 0;
    fails(secagg_share_make(federation->keyset, FEDERATION_FIRST_SLOT, FEDERATION_SITES + 1, secret, &sealed,
                            &count, &own),
          ERROR_INVALID);
    fails(secagg_share_make(federation->keyset, FEDERATION_FIRST_SLOT - 1, 1, secret, &sealed, &count, &own),
          ERROR_INVALID);
    assert_null(sealed);
}

/* So many that 2048 shares are sealed in one go, also where fewer sites than the graph was made for are all neighbours. */
static void test_secagg_share_batch_bounded_by_sites(void **state)
{
    static const struct {
        size_t sites, colluding;
        uint32_t slots;
    } cases[] = {{3, 1, 64},   {33, 1, 64},   {34, 1, 62},    {128, 1, 16},  {129, 1, 16},
                 {500, 1, 16}, {1000, 1, 15}, {1000, 450, 4}, {1024, 600, 2}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct secagg_run run = {.sites = cases[i].sites, .colluding = cases[i].colluding};
        uint32_t slots = 0;
        succeeds(secagg_batch_most(&run, &slots));
        assert_int_equal(slots, cases[i].slots);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VECTOR_TEST(test_secagg_seal_derive_agrees_with_the_vectors),
        VECTOR_TEST(test_secagg_seal_close_agrees_with_the_vectors),
        FEDERATION_TEST(test_secagg_share_any_threshold_of_shares_gives_the_secrets, share),
        FEDERATION_TEST(test_secagg_share_one_share_too_few_gives_something_else, share),
        FEDERATION_TEST(test_secagg_share_made_again_is_the_same, share),
        FEDERATION_TEST(test_secagg_share_with_a_memory_is_the_same_and_agrees_once, share),
        FEDERATION_TEST(test_secagg_share_of_other_keys_or_slots_is_dealt_anew, share),
        FEDERATION_TEST(test_secagg_share_changed_byte_is_refused, share),
        FEDERATION_TEST(test_secagg_share_moved_is_refused, share),
        FEDERATION_TEST(test_secagg_share_of_another_job_run_or_keyset_is_refused, share),
        FEDERATION_TEST(test_secagg_share_with_another_secret_is_refused, share),
        FEDERATION_TEST(test_secagg_share_of_wrong_content_is_refused, share),
        FEDERATION_TEST(test_secagg_share_make_outside_the_keyset_is_refused, share),
        cmocka_unit_test(test_secagg_share_batch_bounded_by_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
