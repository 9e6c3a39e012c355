#include "crypto/mask.h"

#include "crypto/openssl_error.h"

#include <endian.h>
#include <openssl/evp.h>

#define SEED_KEY_BYTES 16
#define STREAM_BYTES 16384

static uint64_t ring_limit(enum mask_ring ring)
{
    return ring == MASK_RING_32 ? UINT32_MAX : UINT64_MAX;
}

union stream {
    _Alignas(64) uint8_t bytes[STREAM_BYTES];
    uint64_t of_64[STREAM_BYTES / 8];
    uint32_t of_32[STREAM_BYTES / 4];
};

/* Inlined into one function for every machine and one for those with AVX2. */
static inline __attribute__((always_inline)) void apply_inline(enum mask_sign sign, enum mask_ring ring,
                                                               uint64_t *restrict words,
                                                               const union stream *restrict stream,
                                                               size_t count)
{
    if (ring == MASK_RING_64 && sign == MASK_ADD)
        for (size_t i = 0; i < count; i++)
            words[i] += le64toh(stream->of_64[i]);
    else if (ring == MASK_RING_64)
        for (size_t i = 0; i < count; i++)
            words[i] -= le64toh(stream->of_64[i]);
    else if (sign == MASK_ADD)
        for (size_t i = 0; i < count; i++)
            words[i] = (words[i] + le32toh(stream->of_32[i])) & UINT32_MAX;
    else
        for (size_t i = 0; i < count; i++)
            words[i] = (words[i] - le32toh(stream->of_32[i])) & UINT32_MAX;
}

static void apply_plain(enum mask_sign sign, enum mask_ring ring, uint64_t *words, const union stream *stream,
                        size_t count)
{
    apply_inline(sign, ring, words, stream, count);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void apply_avx2(enum mask_sign sign, enum mask_ring ring,
                                                       uint64_t *words, const union stream *stream,
                                                       size_t count)
{
    apply_inline(sign, ring, words, stream, count);
}
#endif

static void apply(enum mask_sign sign, enum mask_ring ring, uint64_t *words, const union stream *stream,
                  size_t count)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        apply_avx2(sign, ring, words, stream, count);
        return;
    }
#endif
    apply_plain(sign, ring, words, stream, count);
}

struct error *mask_apply(const uint8_t seed[static MASK_SEED_BYTES], enum mask_sign sign, enum mask_ring ring,
                         uint64_t *words, size_t count)
{
    static const _Alignas(64) uint8_t zeros[STREAM_BYTES];
    struct error *err = NULL;
    union stream stream;
    size_t word_bytes = mask_bytes(ring, 1);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (cipher == NULL ||
        EVP_EncryptInit_ex(cipher, EVP_aes_128_ctr(), NULL, seed, seed + SEED_KEY_BYTES) != 1)
        TRY(openssl_error("starting AES-128-CTR"));
    for (size_t at = 0, step = 0; at < count; at += step) {
        int made = 0;
        step = count - at < STREAM_BYTES / word_bytes ? count - at : STREAM_BYTES / word_bytes;
        if (EVP_EncryptUpdate(cipher, stream.bytes, &made, zeros, (int)(step * word_bytes)) != 1)
            TRY(openssl_error("making a mask by AES-128-CTR"));
        apply(sign, ring, words + at, &stream, step);
    }
done:
    secret_wipe(&stream, sizeof(stream));
    EVP_CIPHER_CTX_free(cipher); /* wipes the key */
    if (err != NULL)
        secret_wipe(words, count * sizeof(*words));
    return err;
}

void mask_add_words(enum mask_ring ring, uint64_t *words, const uint64_t *more, size_t count)
{
    uint64_t limit = ring_limit(ring);
    for (size_t i = 0; i < count; i++)
        words[i] = (words[i] + more[i]) & limit;
}

size_t mask_bytes(enum mask_ring ring, size_t count)
{
    return ring == MASK_RING_32 ? 4 * count : 8 * count;
}

void mask_write(enum mask_ring ring, const uint64_t *words, size_t count, uint8_t *ret_bytes)
{
    size_t word_bytes = mask_bytes(ring, 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = htole64(words[i]); /* of 32 bits, the lower half comes first */
        memcpy(ret_bytes + i * word_bytes, &word, word_bytes);
    }
}

void mask_read(enum mask_ring ring, const uint8_t *bytes, size_t count, uint64_t *ret_words)
{
    size_t word_bytes = mask_bytes(ring, 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = 0;
        memcpy(&word, bytes + i * word_bytes, word_bytes);
        ret_words[i] = le64toh(word);
    }
}
