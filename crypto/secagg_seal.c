#include "crypto/secagg_seal.h"

#include "crypto/secagg_parts.h"
#include "crypto/vault_parts.h"

#define LABEL_SHARE "FDS-SA1 share v1" /* without its NUL: the info of a HKDF */
#define SEAL_ABOUT_BYTES (4 * DIGEST_BYTES + 4)

static const struct site_id *seal_site(const struct secagg_seal *seal, uint32_t position)
{
    return &seal->keyset->run.roster[position - 1];
}

/* The secret that both ends share: of this slot's keys alone, whichever of the two seals. */
static struct error *seal_shared(const struct secagg_seal *seal, uint32_t other, struct agreement_key *secret,
                                 uint8_t ret_shared[static AGREEMENT_KEY_BYTES])
{
    struct error *err = NULL;
    struct agreement_pair pair = {.slot = seal->slot};
    const uint8_t *public_key = secagg_keyset_entry(seal->keyset, other, seal->slot)->c;
    uint32_t own = other == seal->to ? seal->from : seal->to;
    if (seal->memory == NULL)
        return agreement_key_derive(secret, public_key, ret_shared);
    memcpy(pair.one, secagg_keyset_entry(seal->keyset, own, seal->slot)->c, AGREEMENT_KEY_BYTES);
    memcpy(pair.other, public_key, AGREEMENT_KEY_BYTES);
    memcpy(pair.run_id, seal->keyset->run.run_id, sizeof(pair.run_id));
    if (agreement_memory_find(seal->memory, &pair, ret_shared))
        return NULL;
    TRY(agreement_key_derive(secret, public_key, ret_shared));
    agreement_memory_keep(seal->memory, &pair, ret_shared);
done:
    return err;
}

struct error *secagg_seal_derive(const struct secagg_seal *seal, uint32_t other, struct agreement_key *secret,
                                 struct secagg_seal_key *ret_key)
{
    struct error *err = NULL;
    uint8_t shared[AGREEMENT_KEY_BYTES] = {0}, both[VAULT_KEY_BYTES + VAULT_NONCE_BYTES] = {0};
    uint8_t info[sizeof(LABEL_SHARE) - 1 + 4 + 2 * DIGEST_BYTES];
    uint8_t *at = secagg_put(info, LABEL_SHARE, sizeof(LABEL_SHARE) - 1);
    at = secagg_put_u32(at, seal->slot);
    at = secagg_put(at, seal_site(seal, seal->from), DIGEST_BYTES);
    (void)secagg_put(at, seal_site(seal, seal->to), DIGEST_BYTES);
    TRY(seal_shared(seal, other, secret, shared));
    TRY(agreement_expand(shared, sizeof(shared), seal->keyset_hash.bytes, DIGEST_BYTES, info, sizeof(info),
                         both, sizeof(both)));
    memcpy(ret_key->key, both, VAULT_KEY_BYTES);
    memcpy(ret_key->nonce, both + VAULT_KEY_BYTES, VAULT_NONCE_BYTES);
done:
    secret_wipe(shared, sizeof(shared));
    secret_wipe(both, sizeof(both));
    return err;
}

/* What is authenticated beside the shares. */
static void seal_about(const struct secagg_seal *seal, uint8_t ret_about[static SEAL_ABOUT_BYTES])
{
    uint8_t *at = secagg_put(ret_about, seal->keyset->run.job_hash.bytes, DIGEST_BYTES);
    at = secagg_put_u32(at, seal->slot);
    at = secagg_put(at, seal_site(seal, seal->from), DIGEST_BYTES);
    at = secagg_put(at, seal_site(seal, seal->to), DIGEST_BYTES);
    (void)secagg_put(at, seal->keyset_hash.bytes, DIGEST_BYTES);
}

struct error *secagg_seal_close(const struct secagg_seal *seal, struct agreement_key *secret,
                                const uint8_t plain[static SECAGG_SHARE_BYTES],
                                uint8_t ret_sealed[static SECAGG_SEALED_BYTES])
{
    struct error *err = NULL;
    struct secagg_seal_key key = {0};
    uint8_t about[SEAL_ABOUT_BYTES];
    EVP_CIPHER_CTX *gcm = NULL;
    seal_about(seal, about);
    TRY(secagg_seal_derive(seal, seal->to, secret, &key));
    TRY(vault_gcm_new(key.key, true, &gcm));
    TRY(vault_gcm_seal(gcm, key.nonce, about, sizeof(about), plain, SECAGG_SHARE_BYTES, ret_sealed));
done:
    secret_wipe(&key, sizeof(key));
    EVP_CIPHER_CTX_free(gcm); /* wipes the key */
    return err;
}

struct error *secagg_seal_open(const struct secagg_seal *seal, struct agreement_key *secret,
                               const uint8_t sealed[static SECAGG_SEALED_BYTES],
                               uint8_t ret_plain[static SECAGG_SHARE_BYTES])
{
    struct error *err = NULL;
    struct secagg_seal_key key = {0};
    uint8_t about[SEAL_ABOUT_BYTES];
    EVP_CIPHER_CTX *gcm = NULL;
    seal_about(seal, about);
    TRY(secagg_seal_derive(seal, seal->from, secret, &key));
    TRY(vault_gcm_new(key.key, false, &gcm));
    TRY(vault_gcm_open(gcm, key.nonce, about, sizeof(about), sealed, SECAGG_SEALED_BYTES, ret_plain));
done:
    secret_wipe(&key, sizeof(key));
    EVP_CIPHER_CTX_free(gcm);
    return err;
}
