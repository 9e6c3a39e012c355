/* How the bodies of secure aggregation are put together, for crypto/secagg*.c only. */
#pragma once

#include "crypto/secagg.h"

#include <inttypes.h>

/* Each writes at `at`, integers little-endian, and returns the place behind what it wrote. */
uint8_t *secagg_put(uint8_t *at, const void *bytes, size_t count);
uint8_t *secagg_put_u16(uint8_t *at, uint16_t value);
uint8_t *secagg_put_u32(uint8_t *at, uint32_t value);
uint8_t *secagg_put_u64(uint8_t *at, uint64_t value);

/* Four bytes little-endian of something that is hashed piece by piece. */
MUST_USE struct error *secagg_add_u32(struct digest_stream *stream, uint32_t value);
