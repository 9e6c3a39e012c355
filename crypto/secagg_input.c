#include "crypto/secagg_input.h"

#include "crypto/secagg_keyset_parts.h"
#include "crypto/secagg_parts.h"

#define INPUT_TYPE "input"
#define LABEL_PAIR "FDS-SA1 pair v1" /* without its NUL, as LABEL_SELF: the info of a HKDF */
#define LABEL_SELF "FDS-SA1 self v1"

/* ---- an attempt ---- */

static struct error *check_sharers(const struct secagg_keyset *keyset, struct secagg_set sharers)
{
    struct error *err = NULL;
    TRY(secagg_set_check(&keyset->run, sharers, "the list of sharers"));
    if (sharers.count < keyset->run.threshold)
        FAIL(ERROR_INVALID, "%zu sites have shared their keys, and the job's threshold is %zu.",
             sharers.count, keyset->run.threshold);
    for (size_t i = 0; i < sharers.count; i++)
        if (secagg_keyset_member(keyset, sharers.positions[i]) == NULL)
            FAIL(ERROR_INVALID,
                 "The list of sharers has site %" PRIu32 " of the roster, whose keys are not in this batch.",
                 sharers.positions[i]);
done:
    return err;
}

struct error *secagg_attempt_make(const struct secagg_keyset *keyset, uint32_t slot, uint32_t round,
                                  uint32_t attempt, struct secagg_set sharers,
                                  const struct digest *model_hash, enum mask_ring ring, size_t words,
                                  struct secagg_attempt *ret_attempt)
{
    struct error *err = NULL;
    struct secagg_attempt made = {.keyset = keyset,
                                  .slot = slot,
                                  .round = round,
                                  .attempt = attempt,
                                  .sharers = sharers,
                                  .model_hash = *model_hash,
                                  .ring = ring,
                                  .words = words};
    const struct secagg_run *run = &keyset->run;
    TRY(check_sharers(keyset, sharers));
    TRY(secagg_keyset_hash(keyset, slot, &made.keyset_hash));
    TRY(secagg_set_hash(run, SECAGG_SHARERS, sharers, &made.sharers_hash));
    TRY(secagg_context(run, round, attempt, &made.keyset_hash, model_hash, &made.context));
    *ret_attempt = made;
done:
    return err;
}

/* ---- seeds ---- */

struct error *secagg_pair_seed_of(const struct secagg_attempt *attempt, uint32_t one, uint32_t other,
                                  struct agreement_key *key_of_one, uint8_t ret_seed[static MASK_SEED_BYTES])
{
    struct error *err = NULL;
    const struct site_id *roster = attempt->keyset->run.roster;
    uint8_t shared[AGREEMENT_KEY_BYTES] = {0};
    uint8_t info[sizeof(LABEL_PAIR) - 1 + 3 * DIGEST_BYTES];
    if (one == other || secagg_keyset_entry(attempt->keyset, one, attempt->slot) == NULL ||
        secagg_keyset_entry(attempt->keyset, other, attempt->slot) == NULL)
        FAIL(ERROR_INVALID, "Sites %" PRIu32 " and %" PRIu32 " of the roster share no mask in this slot.",
             one, other);
    /* Positions are in the order of the ids. */
    uint8_t *at = secagg_put(info, LABEL_PAIR, sizeof(LABEL_PAIR) - 1);
    at = secagg_put(at, &roster[(one < other ? one : other) - 1], DIGEST_BYTES);
    at = secagg_put(at, &roster[(one < other ? other : one) - 1], DIGEST_BYTES);
    (void)secagg_put(at, attempt->sharers_hash.bytes, DIGEST_BYTES);
    TRY(agreement_key_derive(key_of_one, secagg_keyset_entry(attempt->keyset, other, attempt->slot)->s,
                             shared));
    TRY(agreement_expand(shared, sizeof(shared), attempt->context.bytes, DIGEST_BYTES, info, sizeof(info),
                         ret_seed, MASK_SEED_BYTES));
done:
    secret_wipe(shared, sizeof(shared));
    return err;
}

struct error *secagg_pair_seed(const struct secagg_attempt *attempt, uint32_t one, uint32_t other,
                               const uint8_t secret_of_one[static AGREEMENT_KEY_BYTES],
                               uint8_t ret_seed[static MASK_SEED_BYTES])
{
    struct error *err = NULL;
    struct agreement_key *key = NULL;
    TRY(agreement_key_new(secret_of_one, &key));
    TRY(secagg_pair_seed_of(attempt, one, other, key, ret_seed));
done:
    agreement_key_free(key);
    return err;
}

struct error *secagg_self_seed(const struct secagg_attempt *attempt, uint32_t position,
                               const uint8_t b[static 32], uint8_t ret_seed[static MASK_SEED_BYTES])
{
    struct error *err = NULL;
    uint8_t info[sizeof(LABEL_SELF) - 1 + 2 * DIGEST_BYTES];
    if (secagg_keyset_member(attempt->keyset, position) == NULL)
        FAIL(ERROR_INVALID, "Site %" PRIu32 " of the roster has no mask in this slot.", position);
    uint8_t *at = secagg_put(info, LABEL_SELF, sizeof(LABEL_SELF) - 1);
    at = secagg_put(at, &attempt->keyset->run.roster[position - 1], DIGEST_BYTES);
    (void)secagg_put(at, attempt->sharers_hash.bytes, DIGEST_BYTES);
    TRY(agreement_expand(b, 32, attempt->context.bytes, DIGEST_BYTES, info, sizeof(info), ret_seed,
                         MASK_SEED_BYTES));
done:
    return err;
}

/* ---- masking ---- */

static struct error *mask_self(const struct secagg_attempt *attempt, uint32_t position,
                               const struct secagg_secret *secret, uint64_t *words)
{
    struct error *err = NULL;
    uint8_t seed[MASK_SEED_BYTES] = {0};
    TRY(secagg_self_seed(attempt, position, secret->b, seed));
    TRY(mask_apply(seed, MASK_ADD, attempt->ring, words, attempt->words));
done:
    secret_wipe(seed, sizeof(seed));
    return err;
}

static struct error *mask_pair(const struct secagg_attempt *attempt, uint32_t position, uint32_t other,
                               struct agreement_key *key, uint64_t *words)
{
    struct error *err = NULL;
    uint8_t seed[MASK_SEED_BYTES] = {0};
    TRY(secagg_pair_seed_of(attempt, position, other, key, seed));
    TRY(mask_apply(seed, other > position ? MASK_ADD : MASK_SUBTRACT, attempt->ring, words, attempt->words));
done:
    secret_wipe(seed, sizeof(seed));
    return err;
}

struct error *secagg_input_mask(const struct secagg_attempt *attempt, uint32_t position,
                                const struct secagg_secret *secret, uint64_t *words)
{
    struct error *err = NULL;
    struct agreement_key *key = NULL;
    uint32_t *neighbours = NULL;
    size_t count = 0, threshold = 0;
    if (!secagg_set_has(attempt->sharers, position))
        FAIL(ERROR_INVALID, "Site %" PRIu32 " of the roster is not in the list of sharers.", position);
    TRY(secagg_neighbours(attempt->keyset, attempt->slot, position, &neighbours, &count, &threshold));
    TRY(mask_self(attempt, position, secret, words));
    TRY(agreement_key_new(secret->s, &key));
    for (size_t i = 0; i < count; i++)
        if (secagg_set_has(attempt->sharers, neighbours[i]))
            TRY(mask_pair(attempt, position, neighbours[i], key, words));
done:
    if (err != NULL)
        secret_wipe(words, attempt->words * sizeof(*words));
    agreement_key_free(key);
    free(neighbours);
    return err;
}

/* ---- the statement ---- */

void secagg_input_body(const struct secagg_attempt *attempt, const struct digest *digest,
                       uint8_t ret_body[static SECAGG_INPUT_BODY_BYTES])
{
    uint8_t *at = secagg_put(ret_body, attempt->context.bytes, DIGEST_BYTES);
    at = secagg_put(at, attempt->sharers_hash.bytes, DIGEST_BYTES);
    at = secagg_put_u64(at, attempt->words);
    (void)secagg_put(at, digest->bytes, DIGEST_BYTES);
}

struct error *secagg_input_sign(const struct identity *identity, const struct secagg_attempt *attempt,
                                const struct digest *digest, uint8_t ret_signature[static SIGNATURE_BYTES])
{
    uint8_t body[SECAGG_INPUT_BODY_BYTES];
    secagg_input_body(attempt, digest, body);
    return secagg_sign(identity, INPUT_TYPE, body, sizeof(body), ret_signature);
}

struct error *secagg_input_verify(const struct secagg_attempt *attempt, const struct secagg_input *input,
                                  struct secagg_memo *memo)
{
    struct error *err = NULL;
    uint8_t body[SECAGG_INPUT_BODY_BYTES];
    const struct secagg_member *member = secagg_keyset_member(attempt->keyset, input->position);
    if (member == NULL || !secagg_set_has(attempt->sharers, input->position))
        FAIL(ERROR_UNTRUSTED, "it is not in the list of sharers.");
    secagg_input_body(attempt, &input->digest, body);
    TRY(secagg_verify(memo, &attempt->keyset->run.roster[input->position - 1], member->public_key, INPUT_TYPE,
                      body, sizeof(body), input->signature));
done:
    return error_prefix(err, "The input of site %" PRIu32 " of the roster", input->position);
}
