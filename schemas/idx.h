/* IDX files (the format of MNIST), taken apart without trust.
 *
 *     u32 magic (big-endian): 0x00000803 images = u8 [n][rows][columns], 0x00000801 labels = u8 [n]
 *     u32 per dimension (big-endian), then the bytes, row by row, and nothing after them
 */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

struct idx {
    uint64_t count;         /* n */
    uint64_t item_bytes;    /* rows * columns for images, 1 for labels */
    uint32_t rows, columns; /* images; 1 and 1 for labels */
    const uint8_t *items;   /* points into `data` */
};

enum idx_kind { IDX_IMAGES, IDX_LABELS };

/* Checks magic, dimensions (1 to 2^31 items of 1 to 2^20 bytes), and that the size agrees to the byte.
 * ERROR_INVALID tells truncated, oversized and wrong magic apart, with both sizes; a gzip file is recognised
 * and named. Borrowed. */
MUST_USE struct error *idx_parse(const uint8_t *data, uint64_t bytes, enum idx_kind kind, const char *where,
                                 struct idx *ret_idx);
