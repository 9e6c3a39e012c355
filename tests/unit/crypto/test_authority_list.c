#include "consortium.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/file.h>
#include <unistd.h>

static long list_number(X509_CRL *list)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(list, NID_crl_number, NULL, NULL);
    assert_non_null(number);
    long value = ASN1_INTEGER_get(number);
    ASN1_INTEGER_free(number);
    return value;
}

static void test_authority_revoke_appears_in_the_list(void **state)
{
    struct consortium consortium = consortium_new(*state);
    X509_CRL *before = consortium_list(&consortium);
    X509 *leaf = consortium_leaf(&consortium, 30);
    assert_int_equal(consortium_verify(&consortium, leaf, true), X509_V_OK);
    succeeds(authority_revoke(consortium.authority, identity_id(consortium.identity)));
    assert_int_equal(consortium_verify(&consortium, leaf, true), X509_V_ERR_CERT_REVOKED);
    X509_CRL *after = consortium_list(&consortium);
    assert_int_equal(list_number(before), 1);
    assert_int_equal(list_number(after), 2);
    X509_CRL_free(before);
    X509_CRL_free(after);
    X509_free(leaf);
    consortium_free(&consortium);
}

static void test_authority_revoke_takes_every_certificate_of_the_site_and_no_other(void **state)
{
    char keys[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    struct identity *other = NULL;
    struct site_id id;
    char *request = NULL;
    char *pem = NULL;
    succeeds(identity_create(scratch_path(*state, "other", keys), "other", &other));
    succeeds(identity_request(other, &request));
    succeeds(authority_issue(consortium.authority, request, 30, &id, &pem));
    X509 *kept = forge_read_certificate_text(pem);
    X509 *first = consortium_leaf(&consortium, 30);
    X509 *second = consortium_leaf(&consortium, 60);
    succeeds(authority_revoke(consortium.authority, identity_id(consortium.identity)));
    assert_int_equal(consortium_verify(&consortium, first, true), X509_V_ERR_CERT_REVOKED);
    assert_int_equal(consortium_verify(&consortium, second, true), X509_V_ERR_CERT_REVOKED);
    assert_int_equal(consortium_verify(&consortium, kept, true), X509_V_OK);
    X509_free(kept);
    X509_free(first);
    X509_free(second);
    free(request);
    free(pem);
    identity_free(other);
    consortium_free(&consortium);
}

static void test_authority_revoke_twice_lists_a_certificate_once(void **state)
{
    struct consortium consortium = consortium_new(*state);
    X509 *first = consortium_leaf(&consortium, 30);
    succeeds(authority_revoke(consortium.authority, identity_id(consortium.identity)));
    X509 *second = consortium_leaf(&consortium, 30);
    assert_int_equal(consortium_verify(&consortium, second, true), X509_V_OK);
    succeeds(authority_revoke(consortium.authority, identity_id(consortium.identity)));
    assert_int_equal(consortium_verify(&consortium, first, true), X509_V_ERR_CERT_REVOKED);
    assert_int_equal(consortium_verify(&consortium, second, true), X509_V_ERR_CERT_REVOKED);
    X509_CRL *list = consortium_list(&consortium);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list)), 2);
    X509_CRL_free(list);
    X509_free(first);
    X509_free(second);
    consortium_free(&consortium);
}

static void test_authority_revoke_stranger_is_not_found(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char fingerprint[FINGERPRINT_BYTES];
    struct consortium consortium = consortium_new(*state);
    struct site_id stranger = {{{1}}};
    X509_free(consortium_leaf(&consortium, 1));
    char *before = scratch_read(scratch_path(consortium.ca, "ca.crl", path), NULL);
    site_id_format(&stranger, fingerprint);
    fails_saying(authority_revoke(consortium.authority, &stranger), ERROR_NOT_FOUND, fingerprint);
    char *after = scratch_read(path, NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
    consortium_free(&consortium);
}

static void test_authority_revoke_damaged_record_is_an_error(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    X509_free(consortium_leaf(&consortium, 1));
    scratch_write(scratch_path(consortium.ca, "issued/00000000000000000000000000000000.pem", path), "x", 1,
                  0644);
    fails_saying(authority_revoke(consortium.authority, identity_id(consortium.identity)), ERROR_CORRUPT,
                 path);
    consortium_free(&consortium);
}

static void test_authority_revoke_ignores_what_a_crash_left(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    X509_free(consortium_leaf(&consortium, 1));
    scratch_write(scratch_path(consortium.ca, "issued/00000000000000000000000000000000.pem.a8Xz0q", path),
                  "x", 1, 0600);
    succeeds(authority_revoke(consortium.authority, identity_id(consortium.identity)));
    consortium_free(&consortium);
}

static void test_authority_revoke_while_another_works_is_busy(void **state)
{
    struct consortium consortium = consortium_new(*state);
    X509 *leaf = consortium_leaf(&consortium, 1);
    int lock = open(consortium.ca, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    fails(authority_revoke(consortium.authority, identity_id(consortium.identity)), ERROR_BUSY);
    assert_int_equal(consortium_verify(&consortium, leaf, true), X509_V_OK);
    assert_int_equal(close(lock), 0);
    succeeds(authority_revoke(consortium.authority, identity_id(consortium.identity)));
    X509_free(leaf);
    consortium_free(&consortium);
}

static void test_authority_list_is_good_for_thirty_days(void **state)
{
    struct consortium consortium = consortium_new(*state);
    X509_CRL *list = consortium_list(&consortium);
    time_t now = time(NULL);
    time_t early = now + 30 * 86400 - 3600;
    time_t late = now + 30 * 86400 + 3600;
    assert_true(X509_cmp_time(X509_CRL_get0_nextUpdate(list), &early) > 0);
    assert_true(X509_cmp_time(X509_CRL_get0_nextUpdate(list), &late) < 0);
    assert_true(X509_cmp_time(X509_CRL_get0_lastUpdate(list), &now) < 0);
    X509_CRL_free(list);
    consortium_free(&consortium);
}

/* Signs ca.crl again with another date of next issue, by any key. */
static void resign_list(const struct consortium *consortium, EVP_PKEY *key, time_t next)
{
    char path[SCRATCH_PATH_BYTES];
    X509_CRL *list = consortium_list(consortium);
    ASN1_TIME *date = ASN1_TIME_set(NULL, next);
    assert_int_equal(X509_CRL_set1_nextUpdate(list, date), 1);
    assert_true(X509_CRL_sign(list, key, NULL) > 0);
    BIO *file = BIO_new_file(scratch_path(consortium->ca, "ca.crl", path), "wb");
    assert_int_equal(PEM_write_bio_X509_CRL(file, list), 1);
    BIO_free(file);
    ASN1_TIME_free(date);
    X509_CRL_free(list);
}

static void test_authority_load_expired_list_is_signed_again_with_its_entries(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    struct authority *loaded = NULL;
    X509 *leaf = consortium_leaf(&consortium, 30);
    succeeds(authority_revoke(consortium.authority, identity_id(consortium.identity)));
    EVP_PKEY *key = forge_read_key(scratch_path(consortium.ca, "ca.key", path));
    resign_list(&consortium, key, time(NULL) - 60);
    assert_int_equal(consortium_verify(&consortium, leaf, true), X509_V_ERR_CRL_HAS_EXPIRED);
    succeeds(authority_load(consortium.ca, &loaded));
    assert_int_equal(consortium_verify(&consortium, leaf, true), X509_V_ERR_CERT_REVOKED);
    X509_CRL *list = consortium_list(&consortium);
    assert_int_equal(list_number(list), 3);
    assert_true(X509_cmp_current_time(X509_CRL_get0_nextUpdate(list)) > 0);
    X509_CRL_free(list);
    EVP_PKEY_free(key);
    X509_free(leaf);
    authority_free(loaded);
    consortium_free(&consortium);
}

static void test_authority_load_good_list_is_left_alone(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    struct authority *loaded = NULL;
    char *before = scratch_read(scratch_path(consortium.ca, "ca.crl", path), NULL);
    succeeds(authority_load(consortium.ca, &loaded));
    char *after = scratch_read(path, NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
    authority_free(loaded);
    consortium_free(&consortium);
}

static void test_authority_load_list_of_another_signer_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state);
    EVP_PKEY *other = forge_key("ED25519");
    resign_list(&consortium, other, time(NULL) + 86400);
    consortium_refuses_to_load(&consortium, ERROR_CORRUPT, "ca.crl");
    EVP_PKEY_free(other);
    consortium_free(&consortium);
}

static void test_authority_load_missing_list_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state);
    assert_int_equal(remove(scratch_path(consortium.ca, "ca.crl", path)), 0);
    consortium_refuses_to_load(&consortium, ERROR_NOT_FOUND, "ca.crl");
    consortium_free(&consortium);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_authority_revoke_appears_in_the_list),
        SCRATCH_TEST(test_authority_revoke_takes_every_certificate_of_the_site_and_no_other),
        SCRATCH_TEST(test_authority_revoke_twice_lists_a_certificate_once),
        SCRATCH_TEST(test_authority_revoke_stranger_is_not_found),
        SCRATCH_TEST(test_authority_revoke_damaged_record_is_an_error),
        SCRATCH_TEST(test_authority_revoke_ignores_what_a_crash_left),
        SCRATCH_TEST(test_authority_revoke_while_another_works_is_busy),
        SCRATCH_TEST(test_authority_list_is_good_for_thirty_days),
        SCRATCH_TEST(test_authority_load_expired_list_is_signed_again_with_its_entries),
        SCRATCH_TEST(test_authority_load_good_list_is_left_alone),
        SCRATCH_TEST(test_authority_load_list_of_another_signer_is_refused),
        SCRATCH_TEST(test_authority_load_missing_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
