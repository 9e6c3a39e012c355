#include "crypto/certificate.h"

#include "crypto/openssl_error.h"
#include "crypto/secret.h"

#include <openssl/bn.h>
#include <openssl/x509v3.h>

#define CERTIFICATE_URN "urn:fds:"
#define CERTIFICATE_DAY_SECONDS 86400

bool certificate_key_is_ed25519(const EVP_PKEY *key)
{
    return key != NULL && EVP_PKEY_is_a(key, "ED25519") == 1;
}

bool certificate_key_may_issue(const EVP_PKEY *key)
{
    char group[32];
    if (key == NULL || certificate_key_is_ed25519(key))
        return key != NULL;
    return EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

const EVP_MD *certificate_signing_digest(const EVP_PKEY *key)
{
    return certificate_key_is_ed25519(key) ? NULL : EVP_sha256();
}

struct error *certificate_key_new(EVP_PKEY **ret_key)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (key == NULL)
        return openssl_error("making an Ed25519 key");
    *ret_key = key;
    return NULL;
}

struct error *certificate_key_id(EVP_PKEY *key, struct site_id *ret_id)
{
    uint8_t *der = NULL;
    int bytes = i2d_PUBKEY(key, &der);
    if (bytes <= 0)
        return openssl_error("encoding a public key");
    struct error *err = digest_of(der, (size_t)bytes, &ret_id->digest);
    OPENSSL_free(der);
    return err;
}

static struct error *certificate_set_serial(X509 *certificate)
{
    uint8_t serial[CERTIFICATE_SERIAL_BYTES];
    struct error *err = secret_random(serial, sizeof(serial));
    if (err != NULL)
        return err;
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
    if (number == NULL || BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) == NULL)
        err = openssl_error("numbering a certificate");
    BN_free(number);
    return err;
}

struct error *certificate_serial(X509 *certificate, char ret_hex[static CERTIFICATE_SERIAL_DIGITS + 1])
{
    uint8_t serial[CERTIFICATE_SERIAL_BYTES];
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    bool fits = number != NULL && BN_bn2binpad(number, serial, sizeof(serial)) == (int)sizeof(serial);
    BN_free(number);
    if (!fits)
        return error_new(ERROR_UNTRUSTED, "A certificate's serial number is longer than 128 bits.");
    for (size_t i = 0; i < sizeof(serial); i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", serial[i]);
    return NULL;
}

static struct error *certificate_add_name_part(X509_NAME *name, const char *field, const char *text)
{
    if (X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const uint8_t *)text, -1, -1, 0) != 1)
        return openssl_error("naming a certificate");
    return NULL;
}

static struct error *certificate_set_names(X509 *certificate, const struct certificate_plan *plan)
{
    struct error *err = NULL;
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (plan->kind == CERTIFICATE_AUTHORITY)
        TRY(certificate_add_name_part(subject, "OU", "Certificate authority"));
    TRY(certificate_add_name_part(subject, "CN", plan->name));
    X509_NAME *issuer = plan->issuer == NULL ? subject : X509_get_subject_name(plan->issuer);
    if (X509_set_issuer_name(certificate, issuer) != 1)
        TRY(openssl_error("naming a certificate"));
done:
    return err;
}

/* A certificate that outlives its issuer would fail one day for a reason that its own dates don't show. */
static struct error *certificate_set_dates(X509 *certificate, const struct certificate_plan *plan)
{
    struct error *err = NULL;
    time_t now = time(NULL);
    time_t end = now + (time_t)plan->days * CERTIFICATE_DAY_SECONDS;
    if (plan->issuer != NULL) {
        int64_t issuer_end = 0;
        TRY(certificate_time(X509_get0_notAfter(plan->issuer), &issuer_end));
        if (issuer_end <= now)
            FAIL(ERROR_EXPIRED, "The certificate authority's own certificate has expired; make a new one.");
        end = issuer_end < end ? (time_t)issuer_end : end;
    }
    if (ASN1_TIME_adj(X509_getm_notBefore(certificate), now, 0, -CERTIFICATE_BACKDATE_SECONDS) == NULL ||
        ASN1_TIME_adj(X509_getm_notAfter(certificate), end, 0, 0) == NULL)
        TRY(openssl_error("dating a certificate"));
done:
    return err;
}

static struct error *certificate_extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added ? NULL : openssl_error("adding an extension to a certificate");
}

/* The authority's key identifier is copied from the issuer, so it comes after the subject's in a self-signed
 * one, where it is left out. */
static struct error *certificate_set_extensions(X509 *certificate, const struct certificate_plan *plan)
{
    struct error *err = NULL;
    X509 *issuer = plan->issuer == NULL ? certificate : plan->issuer;
    TRY(certificate_extend(certificate, issuer, NID_subject_key_identifier, "hash"));
    if (plan->issuer != NULL)
        TRY(certificate_extend(certificate, issuer, NID_authority_key_identifier, "keyid:always"));
    switch (plan->kind) {
    case CERTIFICATE_AUTHORITY:
        TRY(certificate_extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
        TRY(certificate_extend(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign"));
        break;
    case CERTIFICATE_LEAF: {
        char alternative[sizeof("URI:" CERTIFICATE_URN) + FINGERPRINT_BYTES] = "URI:" CERTIFICATE_URN;
        struct site_id id;
        TRY(certificate_key_id(plan->key, &id));
        site_id_format(&id, alternative + strlen(alternative));
        TRY(certificate_extend(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE"));
        TRY(certificate_extend(certificate, issuer, NID_key_usage, "critical,digitalSignature"));
        TRY(certificate_extend(certificate, issuer, NID_ext_key_usage, "clientAuth,serverAuth"));
        TRY(certificate_extend(certificate, issuer, NID_subject_alt_name, alternative));
        break;
    }
    }
done:
    return err;
}

struct error *certificate_issue(const struct certificate_plan *plan, X509 **ret_certificate)
{
    struct error *err = NULL;
    X509 *certificate = NULL;
    TRY(identity_name_check(plan->name));
    certificate = X509_new();
    if (certificate == NULL || X509_set_version(certificate, X509_VERSION_3) != 1 ||
        X509_set_pubkey(certificate, plan->key) != 1)
        TRY(openssl_error("making a certificate"));
    TRY(certificate_set_serial(certificate));
    TRY(certificate_set_names(certificate, plan));
    TRY(certificate_set_dates(certificate, plan));
    TRY(certificate_set_extensions(certificate, plan));
    if (X509_sign(certificate, plan->issuer_key, certificate_signing_digest(plan->issuer_key)) == 0)
        TRY(openssl_error("signing a certificate"));
    *ret_certificate = certificate;
    certificate = NULL;
done:
    X509_free(certificate);
    return err;
}
