#include "crypto/vault.h"

#include "crypto/openssl_error.h"
#include "crypto/secret.h"
#include "crypto/vault_parts.h"

#define MAGIC "FDSVAULT"
#define MAGIC_BYTES 8
#define VERSION 1
#define AT_VERSION 8
#define AT_KIND 9
#define AT_COST 10
#define AT_SALT 16
#define AT_NONCE 48
#define AT_SEALED 60
_Static_assert(AT_SEALED + VAULT_KEY_BYTES + VAULT_TAG_BYTES == VAULT_WRAPPED_BYTES, "the record's layout");

#define WRAP_INFO "FDS-VAULT1-WRAP"

/* What OWASP recommends for stored passwords: a stolen file is tried offline. */
static const struct vault_cost cost_of_new = {.log2_n = 17, .r = 8, .p = 1};
/* A record may ask for this much before its tag can be checked: 1 GiB and 16 times the work. */
#define COST_LOG2_N_MAX 20
#define COST_R_MAX 8
#define COST_P_MAX 16

/* Bytes of a record that say what the secret is. */
static uint8_t kind_byte(enum vault_secret_kind kind)
{
    switch (kind) {
    case VAULT_KEY:
        return 1;
    case VAULT_PASSPHRASE:
        return 2;
    }
    return 0;
}

struct error *vault_create(struct vault **ret_vault)
{
    struct error *err = NULL;
    struct vault *vault = calloc(1, sizeof(*vault));
    if (vault == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a key.");
    TRY(secret_random(vault->key, sizeof(vault->key)));
    *ret_vault = vault;
    vault = NULL;
done:
    vault_free(vault);
    return err;
}

void vault_free(struct vault *vault)
{
    if (vault == NULL)
        return;
    secret_wipe(vault, sizeof(*vault));
    free(vault);
}

/* From the secret and what the record says of it. */
static struct error *wrapping_key(const uint8_t *wrapped, const struct vault_secret *secret,
                                  uint8_t ret_key[static VAULT_KEY_BYTES])
{
    const struct vault_cost cost = {wrapped[AT_COST], wrapped[AT_COST + 1], wrapped[AT_COST + 2]};
    const struct vault_derivation from = {.key = secret->bytes,
                                          .key_bytes = secret->count,
                                          .salt = wrapped + AT_SALT,
                                          .salt_bytes = VAULT_SALT_BYTES,
                                          .info = WRAP_INFO,
                                          .info_bytes = sizeof(WRAP_INFO) - 1};
    switch (secret->kind) {
    case VAULT_KEY:
        return vault_derive(&from, ret_key);
    case VAULT_PASSPHRASE:
        return vault_stretch(secret->bytes, secret->count, wrapped + AT_SALT, VAULT_SALT_BYTES, &cost,
                             ret_key);
    }
    return error_new(ERROR_INTERNAL, "A secret is of an unknown kind.");
}

struct error *vault_wrap(struct vault *vault, const struct vault_secret *secret,
                         uint8_t ret_wrapped[static VAULT_WRAPPED_BYTES])
{
    struct error *err = NULL;
    EVP_CIPHER_CTX *gcm = NULL;
    uint8_t key[VAULT_KEY_BYTES];
    uint8_t wrapped[VAULT_WRAPPED_BYTES] = MAGIC;
    wrapped[AT_VERSION] = VERSION;
    wrapped[AT_KIND] = kind_byte(secret->kind);
    if (secret->kind == VAULT_PASSPHRASE) {
        wrapped[AT_COST] = cost_of_new.log2_n;
        wrapped[AT_COST + 1] = cost_of_new.r;
        wrapped[AT_COST + 2] = cost_of_new.p;
    }
    TRY(secret_random(wrapped + AT_SALT, AT_SEALED - AT_SALT));
    TRY(wrapping_key(wrapped, secret, key));
    TRY(vault_gcm_new(key, true, &gcm));
    TRY(vault_gcm_seal(gcm, wrapped + AT_NONCE, wrapped, AT_SEALED, vault->key, sizeof(vault->key),
                       wrapped + AT_SEALED));
    memcpy(vault->wrapped, wrapped, sizeof(wrapped));
    memcpy(ret_wrapped, wrapped, sizeof(wrapped));
done:
    secret_wipe(key, sizeof(key));
    EVP_CIPHER_CTX_free(gcm);
    return err;
}

/* What can be said of a record without its secret. */
static struct error *record_check(const uint8_t *wrapped, size_t bytes)
{
    static const uint8_t zero[3];
    if (bytes < AT_KIND || memcmp(wrapped, MAGIC, MAGIC_BYTES) != 0)
        return error_new(ERROR_CORRUPT, "The record of the key is damaged: restore site.db from a backup.");
    if (wrapped[AT_VERSION] > VERSION)
        return error_new(ERROR_UNSUPPORTED,
                         "The record of the key is of version %u: install a newer release.",
                         wrapped[AT_VERSION]);
    const uint8_t *cost = wrapped + AT_COST;
    bool sound = bytes == VAULT_WRAPPED_BYTES && wrapped[AT_VERSION] == VERSION;
    if (sound && wrapped[AT_KIND] == kind_byte(VAULT_PASSPHRASE))
        sound = cost[0] >= 1 && cost[0] <= COST_LOG2_N_MAX && cost[1] >= 1 && cost[1] <= COST_R_MAX &&
                cost[2] >= 1 && cost[2] <= COST_P_MAX;
    else if (sound)
        sound = wrapped[AT_KIND] == kind_byte(VAULT_KEY) && memcmp(cost, zero, sizeof(zero)) == 0;
    if (!sound || memcmp(cost + 3, zero, sizeof(zero)) != 0)
        return error_new(ERROR_CORRUPT, "The record of the key is damaged: restore site.db from a backup.");
    return NULL;
}

/* In place of the sentence about a piece that does not open. */
static struct error *unwrap_failure(struct error *failure, enum vault_secret_kind kind)
{
    if (failure == NULL || failure->code != ERROR_UNTRUSTED)
        return failure;
    error_free(failure);
    return error_new(ERROR_UNTRUSTED,
                     "%s does not open this site's data: it is another than the one it was closed with, or "
                     "the record of the key in site.db was changed.",
                     kind == VAULT_PASSPHRASE ? "This passphrase" : "This key");
}

struct error *vault_unwrap(const uint8_t *wrapped, size_t bytes, const struct vault_secret *secret,
                           struct vault **ret_vault)
{
    struct error *err = NULL;
    EVP_CIPHER_CTX *gcm = NULL;
    struct vault *vault = NULL;
    uint8_t key[VAULT_KEY_BYTES] = {0};
    TRY(record_check(wrapped, bytes));
    if (wrapped[AT_KIND] != kind_byte(secret->kind))
        FAIL(ERROR_UNTRUSTED, "This site's data is closed with a %s, not with a %s.",
             secret->kind == VAULT_KEY ? "passphrase" : "key",
             secret->kind == VAULT_KEY ? "key" : "passphrase");
    vault = calloc(1, sizeof(*vault));
    if (vault == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a key.");
    TRY(wrapping_key(wrapped, secret, key));
    TRY(vault_gcm_new(key, false, &gcm));
    TRY(unwrap_failure(vault_gcm_open(gcm, wrapped + AT_NONCE, wrapped, AT_SEALED, wrapped + AT_SEALED,
                                      VAULT_KEY_BYTES + VAULT_TAG_BYTES, vault->key),
                       secret->kind));
    memcpy(vault->wrapped, wrapped, sizeof(vault->wrapped));
    *ret_vault = vault;
    vault = NULL;
done:
    secret_wipe(key, sizeof(key));
    EVP_CIPHER_CTX_free(gcm);
    vault_free(vault);
    return err;
}

bool vault_is_of(const struct vault *vault, const uint8_t *wrapped, size_t bytes)
{
    return bytes == sizeof(vault->wrapped) && secret_equal(vault->wrapped, wrapped, bytes);
}
