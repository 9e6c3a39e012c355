#include "datasite/store_chunk.h"

#include "crypto/secret.h"
#include "datasite/store_internal.h"

#define BLOBS 3

struct chunk_cipher {
    struct vault_cipher *vault;
    uint8_t *buffer; /* one chunk: sealed, or in clear and wiped at the end */
    size_t buffer_bytes;
};

/* u64 each: position, rows of the chunk, features, kind, blob. */
#define ABOUT_BYTES 40

static void put_u64(uint8_t *bytes, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static void about_blob(const struct dataset_info *info, const struct chunk_blobs *chunk, unsigned blob,
                       uint8_t ret_about[static ABOUT_BYTES])
{
    put_u64(ret_about, chunk->position);
    put_u64(ret_about + 8, chunk->rows);
    put_u64(ret_about + 16, info->features);
    put_u64(ret_about + 24, info->kind == DATASET_BYTES ? 0 : 1);
    put_u64(ret_about + 32, blob);
}

void chunk_plain_bytes(const struct dataset_info *info, uint64_t rows, size_t ret_bytes[static 3])
{
    ret_bytes[0] = rows * store_row_bytes(info);
    ret_bytes[1] = rows * sizeof(uint16_t);
    ret_bytes[2] = rows * sizeof(uint64_t);
}

/* ---- ciphers ---- */

/* Takes `vault` over, also when it fails. */
static struct error *cipher_around(struct vault_cipher *vault, const struct dataset_info *info,
                                   struct chunk_cipher **ret_cipher)
{
    struct error *err = NULL;
    size_t bytes[BLOBS];
    struct chunk_cipher *cipher = calloc(1, sizeof(*cipher));
    if (cipher == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a cipher.");
    cipher->vault = vault;
    vault = NULL;
    chunk_plain_bytes(info, STORE_CHUNK_ROWS, bytes);
    cipher->buffer_bytes = bytes[0] + bytes[1] + bytes[2] + BLOBS * VAULT_TAG_BYTES;
    cipher->buffer = malloc(cipher->buffer_bytes);
    if (cipher->buffer == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %d rows of %llu values.", STORE_CHUNK_ROWS,
             (unsigned long long)info->features);
    *ret_cipher = cipher;
    cipher = NULL;
done:
    vault_cipher_free(vault);
    chunk_cipher_free(cipher);
    return err;
}

void chunk_cipher_free(struct chunk_cipher *cipher)
{
    if (cipher == NULL)
        return;
    vault_cipher_free(cipher->vault);
    if (cipher->buffer != NULL)
        secret_wipe(cipher->buffer, cipher->buffer_bytes);
    free(cipher->buffer);
    free(cipher);
}

/* What store_unlock promises of a store and the vault of its site. */
static struct error *vault_check(struct store *store, bool *ret_has_vault)
{
    struct error *err = NULL;
    struct vault_record record;
    bool found = false;
    TRY(store_vault_find(store, &record, &found));
    if (found && store->vault == NULL)
        FAIL(ERROR_UNTRUSTED, "This site's data is encrypted, and its key was not opened for this.");
    if (store->vault != NULL &&
        (!found || !vault_is_of(store->vault, record.wrapped, sizeof(record.wrapped))))
        FAIL(ERROR_CONFLICT,
             "This site's data has another key since this program opened it: start it again.");
    *ret_has_vault = found;
done:
    return err;
}

struct error *chunk_sealer_under(const struct vault *vault, struct dataset_info *info,
                                 struct chunk_cipher **ret_cipher)
{
    struct error *err = NULL;
    struct vault_cipher *cipher = NULL;
    TRY(vault_sealer_new(vault, info->salt, &cipher));
    TRY(cipher_around(cipher, info, ret_cipher));
    info->sealed = true;
done:
    return err;
}

struct error *chunk_sealer(struct store *store, struct dataset_info *info, struct chunk_cipher **ret_cipher)
{
    struct error *err = NULL;
    bool has_vault = false;
    TRY(vault_check(store, &has_vault));
    info->sealed = false;
    *ret_cipher = NULL;
    if (has_vault)
        TRY(chunk_sealer_under(store->vault, info, ret_cipher));
done:
    return err;
}

struct error *chunk_opener(struct store *store, const struct dataset_info *info,
                           struct chunk_cipher **ret_cipher)
{
    struct error *err = NULL;
    struct vault_cipher *cipher = NULL;
    bool has_vault = false;
    TRY(vault_check(store, &has_vault));
    if (has_vault && !info->sealed)
        FAIL(ERROR_UNTRUSTED,
             "Dataset \"%s\" is in clear in %s, although this site's data is encrypted: somebody changed the "
             "file. Remove the dataset (datasite data remove %s) and import it again.",
             info->name, database_path(store->database), info->name);
    if (!has_vault && info->sealed)
        FAIL(ERROR_CORRUPT,
             "Dataset \"%s\" is encrypted, and %s lacks the record of the key: restore the file from a "
             "backup.",
             info->name, database_path(store->database));
    *ret_cipher = NULL;
    if (has_vault) {
        TRY(vault_opener_new(store->vault, info->salt, &cipher));
        TRY(cipher_around(cipher, info, ret_cipher));
    }
done:
    return err;
}

/* ---- chunks ---- */

struct error *chunk_seal(struct chunk_cipher *cipher, const struct dataset_info *info,
                         const struct chunk_blobs *plain, struct chunk_blobs *ret_stored)
{
    struct error *err = NULL;
    struct chunk_blobs stored = *plain;
    uint8_t *to = cipher == NULL ? NULL : cipher->buffer;
    for (unsigned blob = 0; cipher != NULL && blob < BLOBS; blob++) {
        uint8_t about[ABOUT_BYTES];
        const struct vault_piece piece = {BLOBS * plain->position + blob, about, sizeof(about)};
        about_blob(info, plain, blob, about);
        TRY(vault_seal(cipher->vault, &piece, plain->blobs[blob], plain->bytes[blob], to));
        stored.blobs[blob] = to;
        stored.bytes[blob] = plain->bytes[blob] + VAULT_TAG_BYTES;
        to += stored.bytes[blob];
    }
    *ret_stored = stored;
done:
    return err;
}

struct error *chunk_open(struct chunk_cipher *cipher, const struct dataset_info *info,
                         const struct chunk_blobs *stored, struct chunk_blobs *ret_plain)
{
    struct error *err = NULL;
    struct chunk_blobs plain = *stored;
    uint8_t *to = cipher == NULL ? NULL : cipher->buffer;
    chunk_plain_bytes(info, stored->rows, plain.bytes);
    for (unsigned blob = 0; blob < BLOBS; blob++) {
        uint8_t about[ABOUT_BYTES];
        const struct vault_piece piece = {BLOBS * stored->position + blob, about, sizeof(about)};
        if (stored->bytes[blob] != plain.bytes[blob] + (cipher == NULL ? 0 : VAULT_TAG_BYTES))
            FAIL(ERROR_CORRUPT, "A chunk has the wrong size.");
        if (cipher == NULL)
            continue;
        about_blob(info, stored, blob, about);
        TRY(vault_open(cipher->vault, &piece, stored->blobs[blob], stored->bytes[blob], to));
        plain.blobs[blob] = to;
        to += plain.bytes[blob];
    }
    *ret_plain = plain;
done:
    return err;
}
