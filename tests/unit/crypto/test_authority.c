#include "consortium.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

static void test_authority_create_closes_directory_and_key(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    mode_t before = umask(0);
    struct consortium consortium = consortium_new(*state);
    (void)umask(before);
    assert_int_equal(scratch_mode(consortium.ca), 0700);
    assert_int_equal(scratch_mode(scratch_path(consortium.ca, "issued", path)), 0700);
    assert_int_equal(scratch_mode(scratch_path(consortium.ca, "ca.key", path)), 0600);
    assert_int_equal(scratch_mode(scratch_path(consortium.ca, "ca.crt", path)), 0644);
    assert_int_equal(scratch_mode(scratch_path(consortium.ca, "ca.crl", path)), 0644);
    assert_int_equal(scratch_entries(consortium.ca), 4);
    consortium_free(&consortium);
}

static void test_authority_create_certificate_is_as_specified(void **state)
{
    struct consortium consortium = consortium_new(*state);
    int critical = 0;
    X509 *certificate = consortium_certificate(&consortium);
    BASIC_CONSTRAINTS *basic = X509_get_ext_d2i(certificate, NID_basic_constraints, &critical, NULL);
    assert_non_null(basic);
    assert_int_equal(critical, 1);
    assert_true(basic->ca);
    assert_non_null(basic->pathlen);
    assert_int_equal(ASN1_INTEGER_get(basic->pathlen), 0);
    assert_int_equal(X509_get_key_usage(certificate), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(X509_check_ca(certificate), 1);
    assert_int_equal(forge_verify(certificate, certificate, NULL), X509_V_OK);
    BASIC_CONSTRAINTS_free(basic);
    X509_free(certificate);
    consortium_free(&consortium);
}

/* A site may well bear the consortium's name; were the subjects the same, its leaf would look self-signed. */
static void test_authority_create_subject_differs_from_a_leaf_of_the_same_name(void **state)
{
    char name[64];
    struct consortium consortium = consortium_new(*state);
    X509 *certificate = consortium_certificate(&consortium);
    X509 *leaf = consortium_leaf(&consortium, 1);
    X509_NAME *subject = X509_get_subject_name(certificate);
    assert_int_equal(X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof(name)), 4);
    assert_string_equal(name, "site");
    assert_int_equal(
        X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, name, sizeof(name)), 4);
    assert_string_equal(name, "site");
    assert_int_not_equal(X509_NAME_cmp(subject, X509_get_subject_name(leaf)), 0);
    X509_free(leaf);
    X509_free(certificate);
    consortium_free(&consortium);
}

static void test_authority_create_over_another_is_refused_and_keeps_it(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    struct authority *second = NULL;
    char *before = scratch_read(scratch_path(consortium.ca, "ca.key", path), NULL);
    fails_saying(authority_create(consortium.ca, "again", &second), ERROR_CONFLICT, path);
    assert_null(second);
    char *after = scratch_read(path, NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
    consortium_free(&consortium);
}

static void test_authority_issue_leaf_verifies_against_certificate_and_list(void **state)
{
    struct consortium consortium = consortium_new(*state);
    X509 *leaf = consortium_leaf(&consortium, IDENTITY_DAYS);
    assert_int_equal(consortium_verify(&consortium, leaf, true), X509_V_OK);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(leaf), identity_openssl_key(consortium.identity)), 1);
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_CLIENT | XKU_SSL_SERVER);
    assert_int_equal(consortium_issued(&consortium), 1);
    X509_free(leaf);
    consortium_free(&consortium);
}

static void test_authority_issue_of_another_authority_does_not_verify(void **state)
{
    char directory[SCRATCH_PATH_BYTES];
    struct consortium mine = consortium_new(*state);
    assert_int_equal(mkdir(scratch_path(*state, "other", directory), 0700), 0);
    struct consortium other = consortium_new(directory);
    X509 *leaf = consortium_leaf(&other, 1);
    assert_int_not_equal(consortium_verify(&mine, leaf, false), X509_V_OK);
    X509_free(leaf);
    consortium_free(&mine);
    consortium_free(&other);
}

static void test_authority_issue_then_install_gives_a_working_identity(void **state)
{
    struct consortium consortium = consortium_new(*state);
    struct site_id id;
    char *chain = NULL;
    struct identity *loaded = NULL;
    succeeds(authority_issue(consortium.authority, consortium.request, 30, &id, &chain));
    succeeds(identity_install(consortium.keys, chain));
    succeeds(identity_load(consortium.keys, &loaded));
    assert_true(site_id_equal(identity_id(loaded), identity_id(consortium.identity)));
    assert_int_equal(consortium_verify(&consortium, identity_openssl_certificate(loaded), true), X509_V_OK);
    identity_free(loaded);
    free(chain);
    consortium_free(&consortium);
}

static void test_authority_issue_after_load_verifies(void **state)
{
    struct consortium consortium = consortium_new(*state);
    authority_free(consortium.authority);
    consortium.authority = NULL;
    succeeds(authority_load(consortium.ca, &consortium.authority));
    X509 *leaf = consortium_leaf(&consortium, 1);
    assert_int_equal(consortium_verify(&consortium, leaf, true), X509_V_OK);
    X509_free(leaf);
    consortium_free(&consortium);
}

static void test_authority_issue_days_are_kept(void **state)
{
    static const int days[] = {1, 30, IDENTITY_DAYS};
    struct consortium consortium = consortium_new(*state);
    for (size_t i = 0; i < 3; i++) {
        time_t before = time(NULL) + days[i] * 86400 - 1;
        X509 *leaf = consortium_leaf(&consortium, days[i]);
        time_t after = time(NULL) + days[i] * 86400 + 1;
        assert_true(X509_cmp_time(X509_get0_notAfter(leaf), &before) > 0);
        assert_true(X509_cmp_time(X509_get0_notAfter(leaf), &after) < 0);
        X509_free(leaf);
    }
    consortium_free(&consortium);
}

static void test_authority_issue_days_out_of_range_is_refused(void **state)
{
    static const int days[] = {0, -1, IDENTITY_DAYS + 1, 2147483647, -2147483647 - 1};
    struct consortium consortium = consortium_new(*state);
    struct site_id id;
    char *pem = NULL;
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++)
        fails_saying(authority_issue(consortium.authority, consortium.request, days[i], &id, &pem),
                     ERROR_INVALID, "825");
    assert_null(pem);
    assert_int_equal(consortium_issued(&consortium), 0);
    consortium_free(&consortium);
}

static char *request_pem(X509_REQ *request)
{
    char *inside = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_REQ(memory, request), 1);
    long bytes = BIO_get_mem_data(memory, &inside);
    char *text = strndup(inside, (size_t)bytes);
    BIO_free(memory);
    return text;
}

/* DER of the request and back, so that any byte of it can be changed. */
static uint8_t *request_der(const char *pem, size_t *ret_bytes)
{
    BIO *memory = BIO_new_mem_buf(pem, -1);
    uint8_t *der = NULL;
    char *name = NULL;
    char *header = NULL;
    long bytes = 0;
    assert_int_equal(PEM_read_bio(memory, &name, &header, &der, &bytes), 1);
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(memory);
    *ret_bytes = (size_t)bytes;
    return der;
}

static char *der_pem(const uint8_t *der, size_t bytes)
{
    char *inside = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio(memory, PEM_STRING_X509_REQ, "", der, (long)bytes) > 0);
    long length = BIO_get_mem_data(memory, &inside);
    char *text = strndup(inside, (size_t)length);
    BIO_free(memory);
    return text;
}

static void test_authority_issue_request_with_any_byte_changed_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state);
    size_t bytes = 0;
    uint8_t *der = request_der(consortium.request, &bytes);
    for (size_t at = 0; at < bytes; at++) {
        struct site_id id;
        char *pem = NULL;
        der[at] ^= 1;
        char *changed = der_pem(der, bytes);
        struct error *err = authority_issue(consortium.authority, changed, 1, &id, &pem);
        assert_non_null(err);
        assert_true(err->code == ERROR_INVALID || err->code == ERROR_UNTRUSTED);
        error_free(err);
        assert_null(pem);
        free(changed);
        der[at] ^= 1;
    }
    assert_int_equal(consortium_issued(&consortium), 0);
    OPENSSL_free(der);
    consortium_free(&consortium);
}

static void test_authority_issue_truncated_request_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state);
    size_t bytes = strlen(consortium.request);
    for (size_t cut = 0; cut < bytes - 1; cut += 16) {
        struct site_id id;
        char *pem = NULL;
        char *part = strndup(consortium.request, cut);
        fails(authority_issue(consortium.authority, part, 1, &id, &pem), ERROR_INVALID);
        free(part);
    }
    consortium_free(&consortium);
}

static void test_authority_issue_endless_request_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state);
    struct site_id id;
    char *pem = NULL;
    char *endless = malloc(100001);
    memset(endless, 'A', 100000);
    endless[100000] = '\0';
    fails(authority_issue(consortium.authority, endless, 1, &id, &pem), ERROR_LIMIT);
    free(endless);
    consortium_free(&consortium);
}

/* A request made by other software: for `key`, with the common names that are given, asking to be a CA. */
static char *foreign_request(EVP_PKEY *key, const char *first, const char *second)
{
    X509_REQ *request = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    X509_NAME *name = X509_REQ_get_subject_name(request);
    if (first != NULL)
        assert_int_equal(
            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)first, -1, -1, 0), 1);
    if (second != NULL)
        assert_int_equal(
            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)second, -1, -1, 0), 1);
    X509_EXTENSION *ask = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    assert_non_null(X509v3_add_ext(&extensions, ask, -1));
    assert_int_equal(X509_REQ_add_extensions(request, extensions), 1);
    assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
    assert_true(X509_REQ_sign(request, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
    char *pem = request_pem(request);
    X509_EXTENSION_free(ask);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    return pem;
}

static void test_authority_issue_ignores_extensions_that_are_asked_for(void **state)
{
    struct consortium consortium = consortium_new(*state);
    struct site_id id;
    char *pem = NULL;
    char *request = foreign_request(identity_openssl_key(consortium.identity), "site", NULL);
    succeeds(authority_issue(consortium.authority, request, 1, &id, &pem));
    X509 *leaf = forge_read_certificate_text(pem);
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    X509_free(leaf);
    free(pem);
    free(request);
    consortium_free(&consortium);
}

static void test_authority_issue_for_a_key_of_another_kind_is_refused(void **state)
{
    static const char *const kinds[] = {"P-256", "RSA"};
    struct consortium consortium = consortium_new(*state);
    for (size_t i = 0; i < 2; i++) {
        struct site_id id;
        char *pem = NULL;
        EVP_PKEY *key = forge_key(kinds[i]);
        char *request = foreign_request(key, "site", NULL);
        fails_saying(authority_issue(consortium.authority, request, 1, &id, &pem), ERROR_UNTRUSTED,
                     "Ed25519");
        free(request);
        EVP_PKEY_free(key);
    }
    consortium_free(&consortium);
}

static void test_authority_issue_unfit_names_are_refused(void **state)
{
    static const char *const names[][2] = {{NULL, NULL}, {"one", "two"}, {"escape\x1b[2J", NULL}};
    struct consortium consortium = consortium_new(*state);
    for (size_t i = 0; i < 3; i++) {
        struct site_id id;
        char *pem = NULL;
        char *request = foreign_request(identity_openssl_key(consortium.identity), names[i][0], names[i][1]);
        fails_saying(authority_issue(consortium.authority, request, 1, &id, &pem), ERROR_UNTRUSTED,
                     "common name");
        free(request);
    }
    assert_int_equal(consortium_issued(&consortium), 0);
    consortium_free(&consortium);
}

static void test_authority_load_open_permissions_are_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    assert_int_equal(chmod(scratch_path(consortium.ca, "ca.key", path), 0644), 0);
    consortium_refuses_to_load(&consortium, ERROR_UNTRUSTED, "chmod 600");
    consortium_free(&consortium);
}

static void test_authority_load_certificate_of_another_key_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char directory[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    assert_int_equal(mkdir(scratch_path(*state, "other", directory), 0700), 0);
    struct consortium other = consortium_new(directory);
    char *pem = scratch_read(scratch_path(other.ca, "ca.crt", path), NULL);
    scratch_write(scratch_path(consortium.ca, "ca.crt", path), pem, strlen(pem), 0644);
    consortium_refuses_to_load(&consortium, ERROR_UNTRUSTED, path);
    free(pem);
    consortium_free(&consortium);
    consortium_free(&other);
}

static void test_authority_load_leaf_in_place_of_its_certificate_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    EVP_PKEY *key = forge_read_key(scratch_path(consortium.ca, "ca.key", path));
    X509 *leaf = forge_plain(key);
    char *pem = forge_pem(leaf, NULL);
    scratch_write(scratch_path(consortium.ca, "ca.crt", path), pem, strlen(pem), 0644);
    consortium_refuses_to_load(&consortium, ERROR_UNTRUSTED, path);
    free(pem);
    X509_free(leaf);
    EVP_PKEY_free(key);
    consortium_free(&consortium);
}

/* Puts a CA certificate with other dates beside the same key, and a list that it signed. */
static void test_authority_issue_by_an_expired_authority_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    struct site_id id;
    char *pem = NULL;
    int64_t now = (int64_t)time(NULL);
    EVP_PKEY *key = forge_read_key(scratch_path(consortium.ca, "ca.key", path));
    X509 *expired = forge_certificate(&(struct forge_plan){.kind = FORGE_CA,
                                                           .name = "consortium",
                                                           .key = key,
                                                           .issuer_key = key,
                                                           .not_before = now - 86400,
                                                           .not_after = now - 60});
    char *text = forge_pem(expired, NULL);
    scratch_write(scratch_path(consortium.ca, "ca.crt", path), text, strlen(text), 0644);
    authority_free(consortium.authority);
    consortium.authority = NULL;
    succeeds(authority_load(consortium.ca, &consortium.authority));
    fails(authority_issue(consortium.authority, consortium.request, 1, &id, &pem), ERROR_EXPIRED);
    assert_null(pem);
    free(text);
    X509_free(expired);
    EVP_PKEY_free(key);
    consortium_free(&consortium);
}

static void test_authority_issue_does_not_outlive_the_authority(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    int64_t now = (int64_t)time(NULL);
    EVP_PKEY *key = forge_read_key(scratch_path(consortium.ca, "ca.key", path));
    X509 *short_lived = forge_certificate(&(struct forge_plan){.kind = FORGE_CA,
                                                               .name = "consortium",
                                                               .key = key,
                                                               .issuer_key = key,
                                                               .not_before = now - 86400,
                                                               .not_after = now + 86400});
    char *text = forge_pem(short_lived, NULL);
    scratch_write(scratch_path(consortium.ca, "ca.crt", path), text, strlen(text), 0644);
    authority_free(consortium.authority);
    consortium.authority = NULL;
    succeeds(authority_load(consortium.ca, &consortium.authority));
    X509 *leaf = consortium_leaf(&consortium, 30);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(short_lived)), 0);
    X509_free(leaf);
    free(text);
    X509_free(short_lived);
    EVP_PKEY_free(key);
    consortium_free(&consortium);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_authority_create_closes_directory_and_key),
        SCRATCH_TEST(test_authority_create_certificate_is_as_specified),
        SCRATCH_TEST(test_authority_create_subject_differs_from_a_leaf_of_the_same_name),
        SCRATCH_TEST(test_authority_create_over_another_is_refused_and_keeps_it),
        SCRATCH_TEST(test_authority_issue_leaf_verifies_against_certificate_and_list),
        SCRATCH_TEST(test_authority_issue_of_another_authority_does_not_verify),
        SCRATCH_TEST(test_authority_issue_then_install_gives_a_working_identity),
        SCRATCH_TEST(test_authority_issue_after_load_verifies),
        SCRATCH_TEST(test_authority_issue_days_are_kept),
        SCRATCH_TEST(test_authority_issue_days_out_of_range_is_refused),
        SCRATCH_TEST(test_authority_issue_request_with_any_byte_changed_is_refused),
        SCRATCH_TEST(test_authority_issue_truncated_request_is_refused),
        SCRATCH_TEST(test_authority_issue_endless_request_is_refused),
        SCRATCH_TEST(test_authority_issue_ignores_extensions_that_are_asked_for),
        SCRATCH_TEST(test_authority_issue_for_a_key_of_another_kind_is_refused),
        SCRATCH_TEST(test_authority_issue_unfit_names_are_refused),
        SCRATCH_TEST(test_authority_load_open_permissions_are_refused),
        SCRATCH_TEST(test_authority_load_certificate_of_another_key_is_refused),
        SCRATCH_TEST(test_authority_load_leaf_in_place_of_its_certificate_is_refused),
        SCRATCH_TEST(test_authority_issue_by_an_expired_authority_is_refused),
        SCRATCH_TEST(test_authority_issue_does_not_outlive_the_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
