#include "crypto/vault.h"

#include "crypto/openssl_error.h"
#include "crypto/secret.h"
#include "crypto/vault_parts.h"

#define CHUNK_INFO "FDS-CHUNK1"

struct vault_cipher {
    EVP_CIPHER_CTX *gcm;
    bool seals;
    bool used;     /* to seal */
    uint64_t last; /* number of the piece sealed last */
};

static struct error *cipher_new(const struct vault *vault, const uint8_t salt[static VAULT_SALT_BYTES],
                                bool seals, struct vault_cipher **ret_cipher)
{
    struct error *err = NULL;
    uint8_t key[VAULT_KEY_BYTES] = {0};
    const struct vault_derivation from = {.key = vault->key,
                                          .key_bytes = sizeof(vault->key),
                                          .salt = salt,
                                          .salt_bytes = VAULT_SALT_BYTES,
                                          .info = CHUNK_INFO,
                                          .info_bytes = sizeof(CHUNK_INFO) - 1};
    struct vault_cipher *cipher = calloc(1, sizeof(*cipher));
    if (cipher == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a cipher.");
    cipher->seals = seals;
    TRY(vault_derive(&from, key));
    TRY(vault_gcm_new(key, seals, &cipher->gcm));
    *ret_cipher = cipher;
    cipher = NULL;
done:
    secret_wipe(key, sizeof(key));
    vault_cipher_free(cipher);
    return err;
}

struct error *vault_sealer_new(const struct vault *vault, uint8_t ret_salt[static VAULT_SALT_BYTES],
                               struct vault_cipher **ret_cipher)
{
    struct error *err = NULL;
    uint8_t salt[VAULT_SALT_BYTES];
    TRY(secret_random(salt, sizeof(salt)));
    TRY(cipher_new(vault, salt, true, ret_cipher));
    memcpy(ret_salt, salt, sizeof(salt));
done:
    return err;
}

struct error *vault_opener_new(const struct vault *vault, const uint8_t salt[static VAULT_SALT_BYTES],
                               struct vault_cipher **ret_cipher)
{
    return cipher_new(vault, salt, false, ret_cipher);
}

void vault_cipher_free(struct vault_cipher *cipher)
{
    if (cipher == NULL)
        return;
    EVP_CIPHER_CTX_free(cipher->gcm); /* wipes the key */
    free(cipher);
}

/* The number, big-endian, behind four zero bytes. */
static void piece_nonce(const struct vault_piece *piece, uint8_t ret_nonce[static VAULT_NONCE_BYTES])
{
    memset(ret_nonce, 0, VAULT_NONCE_BYTES);
    for (unsigned i = 0; i < 8; i++)
        ret_nonce[VAULT_NONCE_BYTES - 1 - i] = (uint8_t)(piece->number >> (8 * i));
}

struct error *vault_seal(struct vault_cipher *cipher, const struct vault_piece *piece, const void *plain,
                         size_t bytes, uint8_t *ret_sealed)
{
    uint8_t nonce[VAULT_NONCE_BYTES];
    if (!cipher->seals || (cipher->used && piece->number <= cipher->last))
        return error_new(ERROR_INTERNAL, "A piece was to be sealed with a nonce that was used before.");
    cipher->used = true;
    cipher->last = piece->number;
    piece_nonce(piece, nonce);
    return vault_gcm_seal(cipher->gcm, nonce, piece->about, piece->about_bytes, plain, bytes, ret_sealed);
}

struct error *vault_open(struct vault_cipher *cipher, const struct vault_piece *piece, const uint8_t *sealed,
                         size_t bytes, void *ret_plain)
{
    uint8_t nonce[VAULT_NONCE_BYTES];
    if (cipher->seals)
        return error_new(ERROR_INTERNAL, "A piece was to be opened with a cipher that seals.");
    piece_nonce(piece, nonce);
    return vault_gcm_open(cipher->gcm, nonce, piece->about, piece->about_bytes, sealed, bytes, ret_plain);
}
