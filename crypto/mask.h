/* Masks: a seed becomes as many uniform words as a vector has, and is added to it or taken away, modulo 2^64 or 2^32.
 *
 * The 32 bytes of a seed are an AES-128 key and the first counter block (NIST SP 800-38A, CTR, 128-bit big-endian
 * counter); the key stream, read as little-endian words, is the mask. In blocks of a few KiB, so that the stream never
 * leaves the processor's cache. */
#pragma once

#include "crypto/secret.h"
#include "schemas/error.h"

#define MASK_SEED_BYTES 32

/* The ring of all words: vectors are arrays of uint64_t in either; with 32 bits, words are below 2^32. */
enum mask_ring { MASK_RING_32 = 32, MASK_RING_64 = 64 };

enum mask_sign { MASK_ADD, MASK_SUBTRACT };

/* words[i] = words[i] +- mask[i], i < count. On failure the words are wiped. */
MUST_USE struct error *mask_apply(const uint8_t seed[static MASK_SEED_BYTES], enum mask_sign sign,
                                  enum mask_ring ring, uint64_t *words, size_t count);
/* words[i] += more[i]; both below 2^ring. */
void mask_add_words(enum mask_ring ring, uint64_t *words, const uint64_t *more, size_t count);

/* As they go over the wire and are hashed: little-endian words of ring / 8 bytes. */
size_t mask_bytes(enum mask_ring ring, size_t count);
void mask_write(enum mask_ring ring, const uint64_t *words, size_t count, uint8_t *ret_bytes);
void mask_read(enum mask_ring ring, const uint8_t *bytes, size_t count, uint64_t *ret_words);
