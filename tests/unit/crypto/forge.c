#include "forge.h"

#include "scratch.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

EVP_PKEY *forge_key(const char *kind)
{
    EVP_PKEY *key = NULL;
    if (strcmp(kind, "ED25519") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else if (strcmp(kind, "RSA") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    assert_non_null(key);
    return key;
}

EVP_PKEY *forge_key_of(const uint8_t secret[static 32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
    assert_non_null(key);
    return key;
}

static void forge_extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

X509 *forge_certificate(const struct forge_plan *plan)
{
    uint32_t serial = 0;
    assert_int_equal(RAND_bytes((uint8_t *)&serial, sizeof(serial)), 1);
    X509 *certificate = X509_new();
    X509 *issuer = plan->issuer == NULL ? certificate : plan->issuer;
    assert_non_null(certificate);
    assert_int_equal(X509_set_version(certificate, 2), 1);
    assert_int_equal(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial), 1);
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (plan->name != NULL)
        assert_int_equal(
            X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)plan->name, -1, -1, 0),
            1);
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)plan->not_before));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)plan->not_after));
    assert_int_equal(X509_set_pubkey(certificate, plan->key), 1);
    forge_extend(certificate, issuer, NID_subject_key_identifier, "hash");
    if (plan->kind == FORGE_CA) {
        forge_extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
        forge_extend(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        forge_extend(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE");
        forge_extend(certificate, issuer, NID_key_usage, "critical,digitalSignature");
        forge_extend(certificate, issuer, NID_ext_key_usage,
                     plan->kind == FORGE_LEAF ? "clientAuth,serverAuth" : "serverAuth");
    }
    const EVP_MD *hash = EVP_PKEY_is_a(plan->issuer_key, "ED25519") ? NULL : EVP_sha256();
    assert_true(X509_sign(certificate, plan->issuer_key, hash) > 0);
    return certificate;
}

X509 *forge_plain(EVP_PKEY *key)
{
    int64_t now = (int64_t)time(NULL);
    return forge_certificate(&(struct forge_plan){.kind = FORGE_LEAF,
                                                  .name = "site",
                                                  .key = key,
                                                  .issuer_key = key,
                                                  .not_before = now - 86400,
                                                  .not_after = now + 86400});
}

char *forge_pem(X509 *first, X509 *second)
{
    char *inside = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    assert_non_null(memory);
    assert_int_equal(PEM_write_bio_X509(memory, first), 1);
    if (second != NULL)
        assert_int_equal(PEM_write_bio_X509(memory, second), 1);
    long bytes = BIO_get_mem_data(memory, &inside);
    char *text = strndup(inside, (size_t)bytes);
    assert_non_null(text);
    BIO_free(memory);
    return text;
}

void forge_identity(const char *directory, EVP_PKEY *key, X509 *certificate)
{
    char path[SCRATCH_PATH_BYTES];
    char *inside = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    assert_non_null(memory);
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL), 1);
    long bytes = BIO_get_mem_data(memory, &inside);
    scratch_write(scratch_path(directory, "identity.key", path), inside, (size_t)bytes, 0600);
    BIO_free(memory);
    char *pem = forge_pem(certificate, NULL);
    scratch_write(scratch_path(directory, "identity.crt", path), pem, strlen(pem), 0644);
    free(pem);
}

static BIO *forge_open(const char *path)
{
    BIO *file = BIO_new_file(path, "rb");
    assert_non_null(file);
    return file;
}

EVP_PKEY *forge_read_key(const char *path)
{
    BIO *file = forge_open(path);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL);
    assert_non_null(key);
    BIO_free(file);
    return key;
}

X509 *forge_read_certificate(const char *path)
{
    BIO *file = forge_open(path);
    X509 *certificate = PEM_read_bio_X509(file, NULL, NULL, NULL);
    assert_non_null(certificate);
    BIO_free(file);
    return certificate;
}

X509 *forge_read_certificate_text(const char *pem)
{
    BIO *memory = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(memory, NULL, NULL, NULL);
    assert_non_null(certificate);
    BIO_free(memory);
    return certificate;
}

X509_CRL *forge_read_list(const char *path)
{
    BIO *file = forge_open(path);
    X509_CRL *list = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL);
    assert_non_null(list);
    BIO_free(file);
    return list;
}

int forge_verify(X509 *leaf, X509 *authority, X509_CRL *list)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_non_null(store);
    assert_non_null(context);
    assert_int_equal(X509_STORE_add_cert(store, authority), 1);
    if (list != NULL) {
        assert_int_equal(X509_STORE_add_crl(store, list), 1);
        assert_int_equal(X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK), 1);
    }
    assert_int_equal(X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE),
                     1);
    assert_int_equal(X509_STORE_CTX_init(context, store, leaf, NULL), 1);
    (void)X509_verify_cert(context);
    int result = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return result;
}
