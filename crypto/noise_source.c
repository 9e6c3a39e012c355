/* AES-256-CTR from a counter of zero, under keys that are used once. */
#include "crypto/noise_parts.h"

#include "crypto/openssl_error.h"
#include "crypto/secret.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_BYTES 32

static struct error *rekey(struct noise *noise)
{
    static const uint8_t counter[16];
    struct error *err = NULL;
    uint8_t key[KEY_BYTES];
    noise->key_left = 0;
    noise->pool_at = NOISE_POOL_WORDS;
    secret_wipe(noise->pool, sizeof(noise->pool));
    TRY(secret_random(key, sizeof(key)));
    if (EVP_EncryptInit_ex(noise->cipher, EVP_aes_256_ctr(), NULL, key, counter) != 1)
        TRY(openssl_error("starting the AES-256-CTR that noise is made of"));
    noise->key_left = NOISE_KEY_BYTES;
    noise->owner = getpid();
done:
    secret_wipe(key, sizeof(key));
    return err;
}

struct error *noise_open(struct noise **ret_noise)
{
    struct error *err = NULL;
    struct noise *noise = calloc(1, sizeof(*noise));
    if (noise == NULL)
        FAIL(ERROR_MEMORY, "No memory for a source of noise.");
    noise->table = malloc(sizeof(*noise->table));
    if (noise->table == NULL)
        FAIL(ERROR_MEMORY, "No memory for the table that noise is drawn from.");
    noise->cipher = EVP_CIPHER_CTX_new();
    if (noise->cipher == NULL)
        TRY(openssl_error("making room for the AES-256-CTR that noise is made of"));
    TRY(rekey(noise));
    noise_table_make(NOISE_TABLE_LOG, noise->table);
    *ret_noise = noise;
    noise = NULL;
done:
    noise_close(noise);
    return err;
}

void noise_close(struct noise *noise)
{
    if (noise == NULL)
        return;
    EVP_CIPHER_CTX_free(noise->cipher); /* wipes the key */
    free(noise->table);
    secret_wipe(noise, sizeof(*noise));
    free(noise);
}

struct error *noise_begin(struct noise *noise)
{
    return noise->owner == getpid() ? NULL : rekey(noise);
}

struct error *noise_fill(struct noise *noise, void *ret_area, size_t bytes)
{
    struct error *err = NULL;
    uint8_t *area = ret_area;
    for (size_t at = 0, step = 0; at < bytes; at += step) {
        int made = 0;
        if (noise->key_left == 0)
            TRY(rekey(noise));
        step = bytes - at < NOISE_BLOCK_BYTES ? bytes - at : NOISE_BLOCK_BYTES;
        step = step < noise->key_left ? step : (size_t)noise->key_left;
        memset(area + at, 0, step);
        if (EVP_EncryptUpdate(noise->cipher, area + at, &made, area + at, (int)step) != 1) {
            noise->key_left = 0;
            TRY(openssl_error("making noise by AES-256-CTR"));
        }
        noise->key_left -= step;
    }
done:
    if (err != NULL)
        secret_wipe(ret_area, bytes);
    return err;
}

struct error *noise_word(struct noise *noise, uint64_t *ret_word)
{
    struct error *err = NULL;
    if (noise->pool_at == NOISE_POOL_WORDS) {
        /* Of one key: a new one wipes what is ready, which is what is being filled. */
        if (noise->key_left < sizeof(noise->pool))
            TRY(rekey(noise));
        TRY(noise_fill(noise, noise->pool, sizeof(noise->pool)));
        noise->pool_at = 0;
    }
    *ret_word = noise->pool[noise->pool_at];
    noise->pool[noise->pool_at++] = 0;
done:
    return err;
}

struct error *noise_words(struct noise *noise, uint64_t *ret_words, size_t count)
{
    struct error *err = NULL;
    TRY(noise_begin(noise));
    TRY(noise_fill(noise, ret_words, count * sizeof(*ret_words)));
done:
    return err;
}
