/* By what rows are told to be the same record: keyed hashes of their features, the first POOL_HASH_BYTES of
 *
 *     HMAC-SHA-256(HMAC-SHA-256(split key, "FDS-POOL1" 0x00), u8 form || values)
 *
 * form 0: every value is a whole number of 0 to 255, one byte each; form 1: float64 little-endian, with one zero. So the same
 * images as bytes and as a table of numbers are the same records. Labels, names and order are not looked at. A row whose
 * values were scaled or rounded is another: SECURITY.md says so. Whoever has neither keys/ nor the rows learns nothing from
 * them. */
#pragma once

#include "datasite/store.h"

#define POOL_HASH_BYTES 16

struct pool_hasher;
/* Of rows of this dataset; `split_key` (32 bytes) is not kept. */
MUST_USE struct error *pool_hasher_new(const uint8_t split_key[static 32], const struct dataset_info *info,
                                       struct pool_hasher **ret_hasher);
/* A row as it is stored; another hash of the dataset is kept. ERROR_MEMORY. */
MUST_USE struct error *pool_hasher_add(struct pool_hasher *hasher, const uint8_t *row);
/* All that were added, in the order of their bytes, each once; valid until the next call. */
size_t pool_hasher_take(struct pool_hasher *hasher, uint8_t (**ret_hashes)[POOL_HASH_BYTES]);
void pool_hasher_free(struct pool_hasher *hasher); /* wipes; accepts NULL */
