#include "crypto/secagg_share.h"

#include "crypto/secagg_parts.h"
#include "crypto/secagg_seal.h"

#define LABEL_DEAL "FDS-SA1 deal v1" /* without its NUL: the info of a HKDF */

/* ---- giving ---- */

struct dealing {
    struct shamir_deal *s, *b;
};

/* Nothing is drawn here: of one keyset there is one dealing, also where the machine was put back to before it and deals
 * again. Under one key and nonce there are never two messages. */
static struct error *dealing_seeds(const struct secagg_seal *seal, const struct secagg_secret *secret,
                                   uint8_t ret_seeds[static 2 * SHAMIR_SEED_BYTES])
{
    uint8_t both[2 * SHAMIR_SECRET_BYTES], info[sizeof(LABEL_DEAL) - 1 + 4 + DIGEST_BYTES];
    uint8_t *at = secagg_put(info, LABEL_DEAL, sizeof(LABEL_DEAL) - 1);
    at = secagg_put_u32(at, seal->slot);
    (void)secagg_put(at, &seal->keyset->run.roster[seal->from - 1], DIGEST_BYTES);
    (void)secagg_put(secagg_put(both, secret->b, SHAMIR_SECRET_BYTES), secret->s, SHAMIR_SECRET_BYTES);
    struct error *err = agreement_expand(both, sizeof(both), seal->keyset_hash.bytes, DIGEST_BYTES, info,
                                         sizeof(info), ret_seeds, 2 * SHAMIR_SEED_BYTES);
    secret_wipe(both, sizeof(both));
    return err;
}

static struct error *dealing_make(const struct secagg_seal *seal, const struct secagg_secret *secret,
                                  size_t threshold, struct dealing *ret_dealing)
{
    struct error *err = NULL;
    struct dealing dealing = {0};
    uint8_t seeds[2 * SHAMIR_SEED_BYTES] = {0};
    TRY(dealing_seeds(seal, secret, seeds));
    TRY(shamir_deal_new(secret->s, threshold, seeds, &dealing.s));
    TRY(shamir_deal_new(secret->b, threshold, seeds + SHAMIR_SEED_BYTES, &dealing.b));
    *ret_dealing = dealing;
    dealing = (struct dealing){0};
done:
    secret_wipe(seeds, sizeof(seeds));
    shamir_deal_free(dealing.s);
    shamir_deal_free(dealing.b);
    return err;
}

static void dealing_clear(struct dealing *dealing)
{
    shamir_deal_free(dealing->s);
    shamir_deal_free(dealing->b);
}

static struct error *give_one(const struct secagg_seal *seal, const struct dealing *dealing,
                              struct agreement_key *secret, uint8_t ret_sealed[static SECAGG_SEALED_BYTES])
{
    uint8_t plain[SECAGG_SHARE_BYTES];
    uint8_t *at = secagg_put_u16(plain, (uint16_t)seal->to);
    shamir_deal_share(dealing->s, seal->to, at);
    shamir_deal_share(dealing->b, seal->to, at + SHAMIR_SHARE_BYTES);
    struct error *err = secagg_seal_close(seal, secret, plain, ret_sealed);
    secret_wipe(plain, sizeof(plain));
    return err;
}

struct error *secagg_share_make_with(const struct secagg_keyset *keyset, uint32_t slot, uint32_t position,
                                     const struct secagg_secret *secret, struct agreement_memory *memory,
                                     uint8_t **ret_sealed, size_t *ret_count, struct secagg_share *ret_own)
{
    struct error *err = NULL;
    struct dealing dealing = {0};
    struct agreement_key *key = NULL;
    uint32_t *neighbours = NULL;
    uint8_t *sealed = NULL;
    size_t count = 0, threshold = 0;
    struct secagg_seal seal = {.keyset = keyset, .memory = memory, .slot = slot, .from = position};
    TRY(secagg_keyset_hash(keyset, slot, &seal.keyset_hash));
    TRY(secagg_neighbours(keyset, slot, position, &neighbours, &count, &threshold));
    sealed = malloc(count * SECAGG_SEALED_BYTES + 1);
    if (sealed == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for shares to %zu sites.", count);
    TRY(dealing_make(&seal, secret, threshold, &dealing));
    TRY(agreement_key_new(secret->c, &key));
    for (size_t i = 0; i < count; i++) {
        seal.to = neighbours[i];
        TRY(give_one(&seal, &dealing, key, sealed + i * SECAGG_SEALED_BYTES));
    }
    shamir_deal_share(dealing.s, position, ret_own->s);
    shamir_deal_share(dealing.b, position, ret_own->b);
    *ret_sealed = sealed;
    *ret_count = count;
    sealed = NULL;
done:
    agreement_key_free(key);
    dealing_clear(&dealing);
    free(neighbours);
    free(sealed);
    return err;
}

struct error *secagg_share_make(const struct secagg_keyset *keyset, uint32_t slot, uint32_t position,
                                const struct secagg_secret *secret, uint8_t **ret_sealed, size_t *ret_count,
                                struct secagg_share *ret_own)
{
    return secagg_share_make_with(keyset, slot, position, secret, NULL, ret_sealed, ret_count, ret_own);
}

/* ---- taking ---- */

static struct error *take_plain(const uint8_t plain[static SECAGG_SHARE_BYTES], uint32_t position,
                                struct secagg_share *ret_share)
{
    struct error *err = NULL;
    const uint8_t *s = plain + 2, *b = s + SHAMIR_SHARE_BYTES;
    if ((plain[0] | (uint32_t)plain[1] << 8) != position)
        FAIL(ERROR_INVALID, "they are the shares of another position.");
    TRY(shamir_share_check(s));
    TRY(shamir_share_check(b));
    memcpy(ret_share->s, s, SHAMIR_SHARE_BYTES);
    memcpy(ret_share->b, b, SHAMIR_SHARE_BYTES);
done:
    return err;
}

struct error *secagg_share_open_by(const struct secagg_keyset *keyset, uint32_t slot, uint32_t position,
                                   uint32_t from, struct agreement_key *key, struct agreement_memory *memory,
                                   const uint8_t sealed[static SECAGG_SEALED_BYTES],
                                   struct secagg_share *ret_share)
{
    struct error *err = NULL;
    uint8_t plain[SECAGG_SHARE_BYTES] = {0};
    struct secagg_seal seal = {
        .keyset = keyset, .memory = memory, .slot = slot, .from = from, .to = position};
    if (from == position || secagg_keyset_member(keyset, from) == NULL ||
        secagg_keyset_member(keyset, position) == NULL)
        FAIL(ERROR_INVALID, "there are no keys of these two sites in this batch.");
    TRY(secagg_keyset_hash(keyset, slot, &seal.keyset_hash));
    err = secagg_seal_open(&seal, key, sealed, plain);
    if (err == NULL)
        err = take_plain(plain, position, ret_share);
    TRY(error_blame(err, from));
done:
    secret_wipe(plain, sizeof(plain));
    return error_prefix(err, "The shares from site %" PRIu32 " of the roster", from);
}

struct error *secagg_share_open(const struct secagg_keyset *keyset, uint32_t slot, uint32_t position,
                                uint32_t from, const struct secagg_secret *secret,
                                const uint8_t sealed[static SECAGG_SEALED_BYTES],
                                struct secagg_share *ret_share)
{
    struct error *err = NULL;
    struct agreement_key *key = NULL;
    TRY(agreement_key_new(secret->c, &key));
    TRY(secagg_share_open_by(keyset, slot, position, from, key, NULL, sealed, ret_share));
done:
    agreement_key_free(key);
    return err;
}
