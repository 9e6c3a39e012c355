/* Chunks as they are stored: in clear, or sealed under the site's vault. For store_*.c only.
 *
 * A sealed chunk has each of its three blobs sealed by itself (crypto/vault.h), 16 bytes longer than in clear, with the
 * number 3 * position + 0 (data), 1 (labels), 2 (split), and about it five u64, little-endian: position, rows of the
 * chunk, features, kind (0 bytes, 1 numbers), blob (0, 1, 2). A blob that is moved to another chunk, blob or dataset
 * does not open; one that is missing is missed. A dataset is sealed from its first chunk to its last with one cipher,
 * which draws its salt: no chunk is ever written again under the same salt. */
#pragma once

#include "datasite/store.h"

/* Ciphers and one buffer for a chunk of a dataset; NULL stands for a dataset in clear. */
struct chunk_cipher;

/* Inside the transaction of the writer: a cipher that seals a new dataset, and the salt in `info`, if the site has a
 * vault; else NULL. ERROR_UNTRUSTED for a store that is not unlocked. */
MUST_USE struct error *chunk_sealer(struct store *store, struct dataset_info *info,
                                    struct chunk_cipher **ret_cipher);
/* The same under a vault that is not the site's yet. */
MUST_USE struct error *chunk_sealer_under(const struct vault *vault, struct dataset_info *info,
                                          struct chunk_cipher **ret_cipher);
/* A cipher that opens the dataset; NULL if it is in clear. Checks that it may be read, as store_unlock says. */
MUST_USE struct error *chunk_opener(struct store *store, const struct dataset_info *info,
                                    struct chunk_cipher **ret_cipher);
void chunk_cipher_free(struct chunk_cipher *cipher); /* wipes; accepts NULL */

/* The blobs of one chunk, with their lengths. */
struct chunk_blobs {
    uint64_t position;
    uint64_t rows;
    const uint8_t *blobs[3]; /* data, labels, split */
    size_t bytes[3];
};

/* Lengths of the blobs of a chunk in clear. */
void chunk_plain_bytes(const struct dataset_info *info, uint64_t rows, size_t ret_bytes[static 3]);

/* What to store for a chunk in clear; valid until the next call. `cipher` NULL: the same. */
MUST_USE struct error *chunk_seal(struct chunk_cipher *cipher, const struct dataset_info *info,
                                  const struct chunk_blobs *plain, struct chunk_blobs *ret_stored);
/* The chunk in clear, of what is stored; valid until the next call. ERROR_CORRUPT for lengths that are not those of
 * `rows` rows, ERROR_UNTRUSTED for what does not open; both as sentences for the caller to replace. */
MUST_USE struct error *chunk_open(struct chunk_cipher *cipher, const struct dataset_info *info,
                                  const struct chunk_blobs *stored, struct chunk_blobs *ret_plain);
