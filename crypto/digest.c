#include "crypto/digest.h"

#include "crypto/openssl_error.h"
#include "crypto/secret.h"

#include <openssl/evp.h>
#include <openssl/params.h>

struct digest_stream {
    EVP_MD_CTX *context;
    bool finished;
};

struct keyed_digest {
    EVP_MAC_CTX *context;
};

struct error *digest_of(const void *data, size_t bytes, struct digest *ret_digest)
{
    struct digest digest;
    if (EVP_Digest(data, bytes, digest.bytes, NULL, EVP_sha256(), NULL) != 1)
        return openssl_error("computing SHA-256");
    *ret_digest = digest;
    return NULL;
}

struct error *digest_stream_new(struct digest_stream **ret_stream)
{
    struct error *err = NULL;
    struct digest_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to compute a digest.");
    stream->context = EVP_MD_CTX_new();
    if (stream->context == NULL || EVP_DigestInit_ex(stream->context, EVP_sha256(), NULL) != 1)
        TRY(openssl_error("starting SHA-256"));
    *ret_stream = stream;
    stream = NULL;
done:
    digest_stream_free(stream);
    return err;
}

struct error *digest_stream_add(struct digest_stream *stream, const void *data, size_t bytes)
{
    if (stream->finished)
        return error_new(ERROR_INTERNAL, "Bytes were added to a digest that was finished.");
    if (EVP_DigestUpdate(stream->context, data, bytes) != 1)
        return openssl_error("computing SHA-256");
    return NULL;
}

struct error *digest_stream_finish(struct digest_stream *stream, struct digest *ret_digest)
{
    struct digest digest;
    if (stream->finished)
        return error_new(ERROR_INTERNAL, "A digest was finished twice.");
    stream->finished = true;
    if (EVP_DigestFinal_ex(stream->context, digest.bytes, NULL) != 1)
        return openssl_error("finishing SHA-256");
    *ret_digest = digest;
    return NULL;
}

void digest_stream_free(struct digest_stream *stream)
{
    if (stream == NULL)
        return;
    EVP_MD_CTX_free(stream->context);
    free(stream);
}

struct error *keyed_digest_new(const void *key, size_t key_bytes, struct keyed_digest **ret_keyed)
{
    struct error *err = NULL;
    EVP_MAC *hmac = NULL;
    char sha256[] = "SHA256";
    OSSL_PARAM parameters[] = {OSSL_PARAM_utf8_string("digest", sha256, sizeof(sha256) - 1), OSSL_PARAM_END};
    struct keyed_digest *keyed = calloc(1, sizeof(*keyed));
    if (keyed == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to compute a keyed digest.");
    if (key_bytes == 0)
        FAIL(ERROR_INVALID, "The key of a keyed digest is empty; it needs at least one byte.");
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (hmac != NULL)
        keyed->context = EVP_MAC_CTX_new(hmac);
    if (keyed->context == NULL || EVP_MAC_init(keyed->context, key, key_bytes, parameters) != 1)
        TRY(openssl_error("starting HMAC-SHA-256"));
    *ret_keyed = keyed;
    keyed = NULL;
done:
    EVP_MAC_free(hmac);
    keyed_digest_free(keyed);
    return err;
}

struct error *keyed_digest_of(struct keyed_digest *keyed, const void *data, size_t bytes,
                              struct digest *ret_digest)
{
    struct digest digest;
    size_t written = 0;
    /* Without a key, EVP_MAC_init starts again under the key it has. */
    if (EVP_MAC_init(keyed->context, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(keyed->context, data, bytes) != 1 ||
        EVP_MAC_final(keyed->context, digest.bytes, &written, sizeof(digest.bytes)) != 1 ||
        written != DIGEST_BYTES)
        return openssl_error("computing HMAC-SHA-256");
    *ret_digest = digest;
    return NULL;
}

void keyed_digest_free(struct keyed_digest *keyed)
{
    if (keyed == NULL)
        return;
    EVP_MAC_CTX_free(keyed->context); /* wipes the key */
    free(keyed);
}

void digest_hex(const struct digest *digest, char ret_hex[static DIGEST_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        ret_hex[2 * i] = digits[digest->bytes[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    ret_hex[DIGEST_HEX_BYTES - 1] = '\0';
}

/* 0 to 15, or -1 for anything but a lower-case hexadecimal digit. */
static int digest_hex_value(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return -1;
}

bool digest_parse(const char *hex, struct digest *ret_digest)
{
    struct digest digest;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int high = digest_hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : digest_hex_value(hex[2 * i + 1]);
        if (low < 0)
            return false;
        digest.bytes[i] = (uint8_t)(high * 16 + low);
    }
    if (hex[DIGEST_HEX_BYTES - 1] != '\0')
        return false;
    *ret_digest = digest;
    return true;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return secret_equal(a->bytes, b->bytes, DIGEST_BYTES);
}
