#include "crypto/revocation.h"

#include "crypto/certificate.h"
#include "crypto/openssl_error.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct error *revocation_add(STACK_OF(X509_REVOKED) * revoked, const ASN1_INTEGER *serial, time_t moment)
{
    struct error *err = NULL;
    ASN1_TIME *date = NULL;
    X509_REVOKED *entry = NULL;
    for (int i = 0; i < sk_X509_REVOKED_num(revoked); i++)
        if (ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(revoked, i)), serial) == 0)
            return NULL;
    date = ASN1_TIME_set(NULL, moment);
    entry = X509_REVOKED_new();
    ASN1_INTEGER *copy = ASN1_INTEGER_dup(serial);
    bool added =
        date != NULL && entry != NULL && copy != NULL && X509_REVOKED_set_serialNumber(entry, copy) == 1 &&
        X509_REVOKED_set_revocationDate(entry, date) == 1 && sk_X509_REVOKED_push(revoked, entry) > 0;
    ASN1_INTEGER_free(copy);
    if (!added)
        TRY(openssl_error("revoking a certificate"));
    entry = NULL;
done:
    X509_REVOKED_free(entry);
    ASN1_TIME_free(date);
    return err;
}

/* Numbers are how a reader that has two lists tells which is newer. */
static struct error *revocation_number(X509_CRL *list, X509_CRL *previous)
{
    struct error *err = NULL;
    BIGNUM *number = NULL;
    ASN1_INTEGER *encoded = NULL;
    ASN1_INTEGER *last = NULL;
    if (previous != NULL) {
        last = X509_CRL_get_ext_d2i(previous, NID_crl_number, NULL, NULL);
        if (last == NULL) {
            ERR_clear_error();
            FAIL(ERROR_CORRUPT, "The revocation list has no number.");
        }
    }
    number = last == NULL ? BN_new() : ASN1_INTEGER_to_BN(last, NULL);
    if (number != NULL && BN_add_word(number, 1) == 1)
        encoded = BN_to_ASN1_INTEGER(number, NULL);
    if (encoded == NULL || X509_CRL_add1_ext_i2d(list, NID_crl_number, encoded, 0, 0) != 1)
        TRY(openssl_error("numbering a revocation list"));
done:
    ASN1_INTEGER_free(last);
    ASN1_INTEGER_free(encoded);
    BN_free(number);
    return err;
}

static struct error *revocation_set_issuer(X509_CRL *list, X509 *issuer)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, NULL, NULL, list, 0);
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
    bool added = extension != NULL && X509_CRL_add_ext(list, extension, -1) == 1 &&
                 X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer)) == 1;
    X509_EXTENSION_free(extension);
    return added ? NULL : openssl_error("naming the issuer of a revocation list");
}

static struct error *revocation_set_dates(X509_CRL *list)
{
    time_t now = time(NULL);
    ASN1_TIME *last = ASN1_TIME_adj(NULL, now, 0, -CERTIFICATE_BACKDATE_SECONDS);
    ASN1_TIME *next = ASN1_TIME_adj(NULL, now, REVOCATION_DAYS, 0);
    bool set = last != NULL && next != NULL && X509_CRL_set1_lastUpdate(list, last) == 1 &&
               X509_CRL_set1_nextUpdate(list, next) == 1;
    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    return set ? NULL : openssl_error("dating a revocation list");
}

static struct error *revocation_copy_entries(X509_CRL *list, STACK_OF(X509_REVOKED) * revoked)
{
    for (int i = 0; i < sk_X509_REVOKED_num(revoked); i++) {
        X509_REVOKED *copy = X509_REVOKED_dup(sk_X509_REVOKED_value(revoked, i));
        if (copy == NULL || X509_CRL_add0_revoked(list, copy) != 1) {
            X509_REVOKED_free(copy);
            return openssl_error("listing a revoked certificate");
        }
    }
    return NULL;
}

struct error *revocation_sign(X509 *issuer, EVP_PKEY *issuer_key, X509_CRL *previous,
                              STACK_OF(X509_REVOKED) * revoked, X509_CRL **ret_list)
{
    struct error *err = NULL;
    X509_CRL *list = X509_CRL_new();
    if (list == NULL || X509_CRL_set_version(list, X509_CRL_VERSION_2) != 1)
        TRY(openssl_error("making a revocation list"));
    TRY(revocation_set_issuer(list, issuer));
    TRY(revocation_set_dates(list));
    TRY(revocation_number(list, previous));
    TRY(revocation_copy_entries(list, revoked));
    if (X509_CRL_sort(list) != 1 ||
        X509_CRL_sign(list, issuer_key, certificate_signing_digest(issuer_key)) == 0)
        TRY(openssl_error("signing a revocation list"));
    *ret_list = list;
    list = NULL;
done:
    X509_CRL_free(list);
    return err;
}

struct error *revocation_read(const char *where, const char *pem, size_t bytes, X509 *issuer,
                              X509_CRL **ret_list)
{
    X509_CRL *list = NULL;
    BIO *memory = bytes > REVOCATION_TEXT_BYTES_MAX ? NULL : BIO_new_mem_buf(pem, (int)bytes);
    if (memory != NULL)
        list = PEM_read_bio_X509_CRL(memory, NULL, NULL, NULL);
    BIO_free(memory);
    bool holds = list != NULL && X509_CRL_get0_nextUpdate(list) != NULL &&
                 X509_CRL_verify(list, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    if (!holds) {
        X509_CRL_free(list);
        return error_new(
            ERROR_CORRUPT,
            "%s is not a revocation list that this certificate authority signed; put it back from a "
            "backup, or revoked certificates are accepted again.",
            where);
    }
    *ret_list = list;
    return NULL;
}

struct error *revocation_write(X509_CRL *list, char **ret_pem)
{
    struct error *err = NULL;
    size_t bytes = 0;
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL || PEM_write_bio_X509_CRL(memory, list) != 1)
        TRY(openssl_error("writing a revocation list"));
    TRY(certificate_text(memory, ret_pem, &bytes));
done:
    BIO_free(memory);
    return err;
}

struct error *revocation_entries(X509_CRL *list, STACK_OF(X509_REVOKED) * *ret_revoked)
{
    struct error *err = NULL;
    STACK_OF(X509_REVOKED) *there = X509_CRL_get_REVOKED(list);
    STACK_OF(X509_REVOKED) *copy =
        there == NULL
            ? sk_X509_REVOKED_new_null()
            : sk_X509_REVOKED_deep_copy(there, (sk_X509_REVOKED_copyfunc)X509_REVOKED_dup, X509_REVOKED_free);
    if (copy == NULL)
        TRY(openssl_error("copying a revocation list"));
    *ret_revoked = copy;
done:
    return err;
}

bool revocation_is_old(X509_CRL *list)
{
    return X509_cmp_current_time(X509_CRL_get0_nextUpdate(list)) <= 0;
}
