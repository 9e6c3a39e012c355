/* The part of certificate.h that reads certificates and keys, and turns them into text and back. */
#include "crypto/certificate.h"
#include "crypto/keyfile.h"
#include "crypto/openssl_error.h"
#include "schemas/files.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct error *certificate_text(BIO *memory, char **ret_text, size_t *ret_bytes)
{
    char *inside = NULL;
    long bytes = BIO_get_mem_data(memory, &inside);
    if (bytes <= 0)
        return openssl_error("writing PEM text");
    char *text = malloc((size_t)bytes + 1);
    if (text == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for PEM text.");
    memcpy(text, inside, (size_t)bytes);
    text[bytes] = '\0';
    *ret_text = text;
    *ret_bytes = (size_t)bytes;
    return NULL;
}

struct error *certificate_key_write(EVP_PKEY *key, char **ret_pem, size_t *ret_bytes)
{
    struct error *err = NULL;
    BIO *memory = BIO_new(BIO_s_secmem()); /* its buffer is wiped, also when it grows */
    if (memory == NULL || PEM_write_bio_PKCS8PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) != 1)
        TRY(openssl_error("writing a private key"));
    TRY(certificate_text(memory, ret_pem, ret_bytes));
done:
    BIO_free(memory);
    return err;
}

/* Without this, OpenSSL asks for the password of an encrypted key on the terminal. */
static int certificate_no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

struct error *certificate_key_read(const char *where, const char *pem, size_t bytes, EVP_PKEY **ret_key)
{
    EVP_PKEY *key = NULL;
    BIO *memory = bytes > CERTIFICATE_TEXT_BYTES_MAX ? NULL : BIO_new_mem_buf(pem, (int)bytes);
    if (memory != NULL)
        key = PEM_read_bio_PrivateKey(memory, NULL, certificate_no_password, NULL);
    BIO_free(memory);
    ERR_clear_error();
    if (key == NULL)
        return error_new(ERROR_CORRUPT,
                         "%s is not an unencrypted private key in PEM form; put it back from a backup.",
                         where);
    *ret_key = key;
    return NULL;
}

struct error *certificate_key_load(const char *path, EVP_PKEY **ret_key)
{
    struct error *err = NULL;
    char *pem = NULL;
    size_t bytes = 0;
    TRY(keyfile_read(path, &pem, &bytes));
    TRY(certificate_key_read(path, pem, bytes, ret_key));
done:
    keyfile_free(pem, bytes);
    return err;
}

/* The next certificate of the text, or NULL at its end. */
static struct error *certificate_next(const char *where, BIO *memory, X509 **ret_certificate)
{
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509(memory, NULL, certificate_no_password, NULL);
    unsigned long reason = ERR_peek_last_error();
    ERR_clear_error();
    bool end = ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
    if (certificate == NULL && !end)
        return error_new(ERROR_CORRUPT, "%s has a damaged certificate in it.", where);
    *ret_certificate = certificate;
    return NULL;
}

struct error *certificate_chain_read(const char *where, const char *pem, size_t bytes, X509 **ret_leaf,
                                     STACK_OF(X509) * *ret_rest)
{
    struct error *err = NULL;
    X509 *leaf = NULL;
    X509 *next = NULL;
    BIO *memory = NULL;
    STACK_OF(X509) *rest = sk_X509_new_null();
    if (bytes > CERTIFICATE_TEXT_BYTES_MAX)
        FAIL(ERROR_CORRUPT, "%s is longer than certificates are (%d bytes).", where,
             CERTIFICATE_TEXT_BYTES_MAX);
    memory = BIO_new_mem_buf(pem, (int)bytes);
    if (rest == NULL || memory == NULL)
        TRY(openssl_error("reading certificates"));
    TRY(certificate_next(where, memory, &leaf));
    if (leaf == NULL)
        FAIL(ERROR_CORRUPT, "%s has no certificate in PEM form in it.", where);
    for (;;) {
        TRY(certificate_next(where, memory, &next));
        if (next == NULL)
            break;
        if (sk_X509_num(rest) + 1 >= CERTIFICATE_CHAIN_MAX)
            FAIL(ERROR_LIMIT, "%s has more than %d certificates in it.", where, CERTIFICATE_CHAIN_MAX);
        if (sk_X509_push(rest, next) == 0)
            TRY(openssl_error("reading certificates"));
        next = NULL;
    }
    *ret_leaf = leaf;
    *ret_rest = rest;
    leaf = NULL;
    rest = NULL;
done:
    X509_free(next);
    X509_free(leaf);
    sk_X509_pop_free(rest, X509_free);
    BIO_free(memory);
    return err;
}

struct error *certificate_chain_load(const char *path, X509 **ret_leaf, STACK_OF(X509) * *ret_rest)
{
    struct error *err = NULL;
    uint8_t *pem = NULL;
    size_t bytes = 0;
    TRY(file_read(path, CERTIFICATE_TEXT_BYTES_MAX, &pem, &bytes));
    TRY(certificate_chain_read(path, (const char *)pem, bytes, ret_leaf, ret_rest));
done:
    free(pem);
    return err;
}

struct error *certificate_chain_write(X509 *leaf, STACK_OF(X509) * rest, char **ret_pem)
{
    struct error *err = NULL;
    size_t bytes = 0;
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL || PEM_write_bio_X509(memory, leaf) != 1)
        TRY(openssl_error("writing certificates"));
    for (int i = 0; rest != NULL && i < sk_X509_num(rest); i++)
        if (PEM_write_bio_X509(memory, sk_X509_value(rest, i)) != 1)
            TRY(openssl_error("writing certificates"));
    TRY(certificate_text(memory, ret_pem, &bytes));
done:
    BIO_free(memory);
    return err;
}

struct error *certificate_chain_links(const char *where, X509 *leaf, STACK_OF(X509) * rest)
{
    X509 *subject = leaf;
    bool holds = true;
    for (int i = 0; holds && i < sk_X509_num(rest); i++) {
        X509 *issuer = sk_X509_value(rest, i);
        holds = X509_check_issued(issuer, subject) == X509_V_OK &&
                certificate_key_may_issue(X509_get0_pubkey(issuer)) &&
                X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
        subject = issuer;
    }
    /* A foreign issuer that is not in the file cannot be checked here; a certificate that names itself can.
     */
    if (holds && X509_self_signed(subject, 0) == 1)
        holds = X509_self_signed(subject, 1) == 1;
    ERR_clear_error();
    if (!holds)
        return error_new(
            ERROR_UNTRUSTED,
            "%s does not hold: a certificate in it was changed, or the next one did not sign it.", where);
    return NULL;
}

struct error *certificate_common_name(const char *where, X509_NAME *subject,
                                      char ret_name[static IDENTITY_NAME_BYTES])
{
    struct error *err = NULL;
    uint8_t *text = NULL;
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        FAIL(ERROR_UNTRUSTED, "The subject of %s does not have exactly one common name.", where);
    int bytes = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    ERR_clear_error();
    if (bytes <= 0 || bytes >= IDENTITY_NAME_BYTES || memchr(text, '\0', (size_t)bytes) != NULL)
        FAIL(ERROR_UNTRUSTED, "The common name of %s is not 1 to %d bytes of UTF-8.", where,
             IDENTITY_NAME_BYTES - 1);
    err = identity_name_check((const char *)text);
    if (err != NULL) {
        error_clear(&err);
        FAIL(ERROR_UNTRUSTED, "The common name of %s has characters in it that a name may not have.", where);
    }
    memcpy(ret_name, text, (size_t)bytes + 1);
done:
    OPENSSL_free(text);
    return err;
}

struct error *certificate_time(const ASN1_TIME *time, int64_t *ret_seconds)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return openssl_error("reading a date");
    *ret_seconds = (int64_t)timegm(&parts);
    return NULL;
}
