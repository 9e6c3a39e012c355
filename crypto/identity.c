#include "crypto/identity_parts.h"

#include "crypto/openssl_error.h"
#include "schemas/text.h"

#include <openssl/err.h>

struct error *identity_name_check(const char *name)
{
    if (text_title(name, IDENTITY_NAME_BYTES - 1))
        return NULL;
    return error_new(ERROR_INVALID,
                     "A name is 1 to %d bytes of printable UTF-8 text without a space at either end.",
                     IDENTITY_NAME_BYTES - 1);
}

static struct error *identity_fill(const char *where, struct identity *identity)
{
    struct error *err = NULL;
    size_t bytes = PUBLIC_KEY_BYTES;
    if (!certificate_key_is_ed25519(identity->key))
        FAIL(ERROR_UNTRUSTED, "The private key beside %s is not an Ed25519 key.", where);
    if (EVP_PKEY_eq(identity->key, X509_get0_pubkey(identity->certificate)) != 1) {
        ERR_clear_error();
        FAIL(ERROR_UNTRUSTED,
             "%s is a certificate for another key than the private key beside it; put back the files that "
             "belong "
             "together.",
             where);
    }
    if (EVP_PKEY_get_raw_public_key(identity->key, identity->public_key, &bytes) != 1 ||
        bytes != PUBLIC_KEY_BYTES)
        TRY(openssl_error("reading a public key"));
    TRY(certificate_chain_links(where, identity->certificate, identity->chain));
    TRY(certificate_common_name(where, X509_get_subject_name(identity->certificate), identity->name));
    TRY(certificate_time(X509_get0_notAfter(identity->certificate), &identity->not_after));
    TRY(certificate_key_id(identity->key, &identity->id));
done:
    return err;
}

struct error *identity_of_parts(const char *where, EVP_PKEY *key, X509 *certificate, STACK_OF(X509) * chain,
                                struct identity **ret_identity)
{
    struct error *err = NULL;
    struct identity *identity = calloc(1, sizeof(*identity));
    if (identity == NULL) {
        EVP_PKEY_free(key);
        X509_free(certificate);
        sk_X509_pop_free(chain, X509_free);
        return error_new(ERROR_MEMORY, "There is not enough memory for a key.");
    }
    *identity = (struct identity){.key = key, .certificate = certificate, .chain = chain};
    TRY(identity_fill(where, identity));
    *ret_identity = identity;
    identity = NULL;
done:
    identity_free(identity);
    return err;
}

void identity_free(struct identity *identity)
{
    if (identity == NULL)
        return;
    EVP_PKEY_free(identity->key); /* wipes the private key */
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    free(identity);
}

const struct site_id *identity_id(const struct identity *identity)
{
    return &identity->id;
}

const char *identity_name(const struct identity *identity)
{
    return identity->name;
}

int64_t identity_not_after(const struct identity *identity)
{
    return identity->not_after;
}

void identity_public_key(const struct identity *identity, uint8_t ret_key[static PUBLIC_KEY_BYTES])
{
    memcpy(ret_key, identity->public_key, PUBLIC_KEY_BYTES);
}

void *identity_openssl_key(const struct identity *identity)
{
    return identity->key;
}

void *identity_openssl_certificate(const struct identity *identity)
{
    return identity->certificate;
}

void *identity_openssl_chain(const struct identity *identity)
{
    return identity->chain;
}

struct error *identity_sign(const struct identity *identity, const void *data, size_t bytes,
                            uint8_t ret_signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    uint8_t signature[SIGNATURE_BYTES];
    size_t written = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, identity->key) != 1 ||
        EVP_DigestSign(context, signature, &written, data, bytes) != 1 || written != sizeof(signature))
        TRY(openssl_error("signing"));
    memcpy(ret_signature, signature, sizeof(signature));
done:
    EVP_MD_CTX_free(context);
    return err;
}
