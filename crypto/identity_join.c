/* The part of authority.h that an identity does to join a consortium: it asks, and it installs the answer. */
#include "crypto/authority.h"
#include "crypto/identity_parts.h"
#include "crypto/keyfile.h"
#include "crypto/openssl_error.h"
#include "schemas/files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

struct error *identity_request(const struct identity *identity, char **ret_pem)
{
    struct error *err = NULL;
    size_t bytes = 0;
    BIO *memory = BIO_new(BIO_s_mem());
    X509_REQ *request = X509_REQ_new();
    if (memory == NULL || request == NULL || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                                   (const uint8_t *)identity->name, -1, -1, 0) != 1 ||
        X509_REQ_set_pubkey(request, identity->key) != 1 ||
        X509_REQ_sign(request, identity->key, NULL) == 0 || PEM_write_bio_X509_REQ(memory, request) != 1)
        TRY(openssl_error("making a certificate request"));
    TRY(certificate_text(memory, ret_pem, &bytes));
done:
    X509_REQ_free(request);
    BIO_free(memory);
    return err;
}

static struct error *identity_refuse_chain(int reason)
{
    if (reason == X509_V_ERR_CERT_HAS_EXPIRED)
        return error_new(ERROR_EXPIRED, "A certificate in the chain has expired; ask for a new one.");
    if (reason == X509_V_ERR_CERT_NOT_YET_VALID)
        return error_new(ERROR_EXPIRED,
                         "A certificate in the chain is not valid yet; compare this machine's clock with the "
                         "certificate authority's.");
    return error_new(ERROR_UNTRUSTED, "The certificate chain does not hold: %s.",
                     X509_verify_cert_error_string(reason));
}

/* The last certificate is taken for trusted: whether it is the right authority, the owner decided by
 * installing its answer, and peers decide again. Everything below it has to hold on its own: dates,
 * signatures, what the certificates may be used for. */
static struct error *identity_check_chain(const struct identity *candidate)
{
    struct error *err = NULL;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int last = sk_X509_num(candidate->chain) - 1;
    if (last < 0)
        FAIL(ERROR_UNTRUSTED, "There is one certificate only in the chain; the certificate of the authority "
                              "that signed it has to "
                              "follow.");
    if (store == NULL || context == NULL ||
        X509_STORE_add_cert(store, sk_X509_value(candidate->chain, last)) != 1 ||
        X509_STORE_CTX_init(context, store, candidate->certificate, candidate->chain) != 1)
        TRY(openssl_error("preparing to verify a certificate chain"));
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_PARTIAL_CHAIN);
    if (X509_check_purpose(candidate->certificate, X509_PURPOSE_SSL_CLIENT, 0) != 1 ||
        X509_check_purpose(candidate->certificate, X509_PURPOSE_SSL_SERVER, 0) != 1)
        FAIL(ERROR_UNTRUSTED, "The certificate may not be used for both ends of a TLS connection.");
    if (X509_verify_cert(context) != 1)
        TRY(identity_refuse_chain(X509_STORE_CTX_get_error(context)));
done:
    ERR_clear_error();
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return err;
}

/* The chain as an identity with the key of the one that is there. */
static struct error *identity_candidate(const struct identity *present, const char *chain_pem,
                                        struct identity **ret_candidate)
{
    static const char where[] = "The certificate chain";
    X509 *leaf = NULL;
    STACK_OF(X509) *rest = NULL;
    struct error *err = certificate_chain_read(where, chain_pem, strlen(chain_pem), &leaf, &rest);
    if (err != NULL)
        return err;
    EVP_PKEY_up_ref(present->key);
    return identity_of_parts(where, present->key, leaf, rest, ret_candidate);
}

static struct error *identity_write_chain(const char *keys_directory, const char *name,
                                          const struct identity *identity)
{
    struct error *err = NULL;
    char *path = NULL;
    char *pem = NULL;
    TRY(path_join(keys_directory, name, &path));
    TRY(certificate_chain_write(identity->certificate, identity->chain, &pem));
    TRY(file_write(path, pem, strlen(pem), 0644));
done:
    free(pem);
    free(path);
    return err;
}

struct error *identity_install(const char *keys_directory, const char *chain_pem)
{
    struct error *err = NULL;
    struct identity *present = NULL;
    struct identity *candidate = NULL;
    TRY(identity_load(keys_directory, &present));
    TRY(identity_candidate(present, chain_pem, &candidate));
    TRY(identity_check_chain(candidate));
    if (X509_self_signed(present->certificate, 0) == 1)
        TRY(identity_write_chain(keys_directory, IDENTITY_SELF_FILE, present));
    TRY(identity_write_chain(keys_directory, IDENTITY_CERTIFICATE_FILE, candidate));
done:
    identity_free(present);
    identity_free(candidate);
    return err;
}
