#include "crypto/identity.h"

#include "forge.h"
#include "scratch.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

static struct identity *created(const char *directory)
{
    struct identity *identity = NULL;
    succeeds(identity_create(directory, "MNIST Part 1", &identity));
    return identity;
}

static void refuses_to_load(const char *directory, enum error_code code, const char *text)
{
    struct identity *identity = NULL;
    fails_saying(identity_load(directory, &identity), code, text);
    assert_null(identity);
}

static void test_identity_create_then_load_is_the_same(void **state)
{
    struct identity *loaded = NULL;
    struct identity *made = created(*state);
    uint8_t a[PUBLIC_KEY_BYTES];
    uint8_t b[PUBLIC_KEY_BYTES];
    succeeds(identity_load(*state, &loaded));
    assert_true(site_id_equal(identity_id(made), identity_id(loaded)));
    assert_string_equal(identity_name(loaded), "MNIST Part 1");
    assert_true(identity_not_after(made) == identity_not_after(loaded));
    identity_public_key(made, a);
    identity_public_key(loaded, b);
    assert_memory_equal(a, b, sizeof(a));
    identity_free(made);
    identity_free(loaded);
}

static void test_identity_id_agrees_with_its_public_key(void **state)
{
    struct identity *identity = created(*state);
    uint8_t key[PUBLIC_KEY_BYTES];
    struct site_id id;
    identity_public_key(identity, key);
    succeeds(site_id_of_key(key, &id));
    assert_true(site_id_equal(&id, identity_id(identity)));
    identity_free(identity);
}

static void test_identity_create_twice_gives_different_keys(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct identity *a = created(scratch_path(*state, "a", path));
    struct identity *b = created(scratch_path(*state, "b", path));
    assert_false(site_id_equal(identity_id(a), identity_id(b)));
    identity_free(a);
    identity_free(b);
}

static void test_identity_create_closes_directory_and_key(void **state)
{
    char keys[SCRATCH_PATH_BYTES];
    char path[SCRATCH_PATH_BYTES];
    mode_t before = umask(0);
    identity_free(created(scratch_path(*state, "keys", keys)));
    (void)umask(before);
    assert_int_equal(scratch_mode(keys), 0700);
    assert_int_equal(scratch_mode(scratch_path(keys, "identity.key", path)), 0600);
    assert_int_equal(scratch_mode(scratch_path(keys, "identity.crt", path)), 0644);
    assert_int_equal(scratch_entries(keys), 2);
}

static void test_identity_create_over_a_key_is_refused_and_keeps_it(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct identity *second = NULL;
    identity_free(created(*state));
    char *before = scratch_read(scratch_path(*state, "identity.key", path), NULL);
    fails_saying(identity_create(*state, "MNIST Part 1", &second), ERROR_CONFLICT, path);
    assert_null(second);
    char *after = scratch_read(path, NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void test_identity_create_after_an_interrupted_one_succeeds(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct identity *loaded = NULL;
    scratch_write(scratch_path(*state, "identity.crt", path), "half", 4, 0644);
    identity_free(created(*state));
    succeeds(identity_load(*state, &loaded));
    identity_free(loaded);
}

static void test_identity_create_certificate_is_as_specified(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char uri[8 + FINGERPRINT_BYTES] = "urn:fds:";
    int critical = 0;
    int64_t before = (int64_t)time(NULL);
    struct identity *identity = created(*state);
    int64_t after = (int64_t)time(NULL);
    X509 *leaf = forge_read_certificate(scratch_path(*state, "identity.crt", path));
    assert_int_equal(X509_get_version(leaf), X509_VERSION_3);
    assert_int_equal(X509_verify(leaf, X509_get0_pubkey(leaf)), 1);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_CLIENT | XKU_SSL_SERVER);
    assert_non_null(X509_get0_subject_key_id(leaf));
    BASIC_CONSTRAINTS *basic = X509_get_ext_d2i(leaf, NID_basic_constraints, &critical, NULL);
    assert_non_null(basic);
    assert_int_equal(critical, 1);
    assert_int_equal(basic->ca, 0);
    BASIC_CONSTRAINTS_free(basic);
    ASN1_BIT_STRING *usage = X509_get_ext_d2i(leaf, NID_key_usage, &critical, NULL);
    assert_non_null(usage);
    assert_int_equal(critical, 1);
    ASN1_BIT_STRING_free(usage);
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    assert_int_equal(name->type, GEN_URI);
    site_id_format(identity_id(identity), uri + 8);
    assert_string_equal((const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier), uri);
    GENERAL_NAMES_free(names);
    assert_in_range(identity_not_after(identity), before + IDENTITY_DAYS * 86400LL,
                    after + IDENTITY_DAYS * 86400LL);
    time_t early = (time_t)(before - 3601);
    time_t late = (time_t)(after - 3599);
    assert_true(X509_cmp_time(X509_get0_notBefore(leaf), &early) > 0);
    assert_true(X509_cmp_time(X509_get0_notBefore(leaf), &late) < 0);
    X509_free(leaf);
    identity_free(identity);
}

static void test_identity_create_serials_are_wide_and_differ(void **state)
{
    char directory[SCRATCH_PATH_BYTES];
    char path[SCRATCH_PATH_BYTES];
    static const char *const names[] = {"a", "b", "c", "d"};
    X509 *leaves[4];
    int widest = 0;
    for (int i = 0; i < 4; i++) {
        identity_free(created(scratch_path(*state, names[i], directory)));
        leaves[i] = forge_read_certificate(scratch_path(directory, "identity.crt", path));
        BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaves[i]), NULL);
        assert_false(BN_is_negative(serial));
        widest = BN_num_bits(serial) > widest ? BN_num_bits(serial) : widest;
        BN_free(serial);
    }
    assert_in_range(widest, 100, 128); /* four random numbers of 128 bits all below 2^100: never */
    for (int i = 1; i < 4; i++)
        assert_int_not_equal(
            ASN1_INTEGER_cmp(X509_get0_serialNumber(leaves[0]), X509_get0_serialNumber(leaves[i])), 0);
    for (int i = 0; i < 4; i++)
        X509_free(leaves[i]);
}

static void test_identity_create_unfit_name_is_refused(void **state)
{
    static const char *const refused[] = {
        "",
        "0123456789012345678901234567890123456789012345678901234567890123x",
        "line\nend",
        "tab\there",
        "escape\x1b[2J",
        "\x7f",
        "c1 \xc2\x9b",
        "cut \xc3",
        "overlong \xc0\xaf",
        "surrogate \xed\xa0\x80",
        "reversed \xe2\x80\xae",
    };
    char path[SCRATCH_PATH_BYTES];
    struct identity *identity = NULL;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        fails(identity_create(scratch_path(*state, "keys", path), refused[i], &identity), ERROR_INVALID);
    assert_int_equal(scratch_entries(*state), 0);
}

static void test_identity_create_name_of_64_bytes_in_any_script_is_kept(void **state)
{
    static const char *const accepted[] = {
        "x", "0123456789012345678901234567890123456789012345678901234567890123",
        "H\xc3\xb4pital de Gen\xc3\xa8ve", "\xe7\x97\x85\xe9\x99\xa2 \xf0\x9f\x8f\xa5"};
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        char name[8];
        char path[SCRATCH_PATH_BYTES];
        struct identity *identity = NULL;
        (void)snprintf(name, sizeof(name), "%zu", i);
        succeeds(identity_create(scratch_path(*state, name, path), accepted[i], &identity));
        identity_free(identity);
        succeeds(identity_load(path, &identity));
        assert_string_equal(identity_name(identity), accepted[i]);
        identity_free(identity);
    }
}

static void test_identity_load_open_permissions_gives_the_command(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char command[SCRATCH_PATH_BYTES + 16];
    struct identity *identity = NULL;
    identity_free(created(*state));
    (void)snprintf(command, sizeof(command), "chmod 600 %s", scratch_path(*state, "identity.key", path));
    assert_int_equal(chmod(path, 0640), 0);
    refuses_to_load(*state, ERROR_UNTRUSTED, command);
    assert_int_equal(chmod(path, 0604), 0);
    refuses_to_load(*state, ERROR_UNTRUSTED, command);
    assert_int_equal(chmod(path, 0600), 0);
    succeeds(identity_load(*state, &identity));
    identity_free(identity);
}

static void test_identity_load_missing_files_are_not_found(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    refuses_to_load(*state, ERROR_NOT_FOUND, "identity.key");
    identity_free(created(*state));
    assert_int_equal(remove(scratch_path(*state, "identity.crt", path)), 0);
    refuses_to_load(*state, ERROR_NOT_FOUND, "identity.crt");
}

static void test_identity_load_certificate_of_another_key_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    EVP_PKEY *mine = forge_key("ED25519");
    EVP_PKEY *other = forge_key("ED25519");
    X509 *certificate = forge_plain(other);
    forge_identity(*state, mine, certificate);
    refuses_to_load(*state, ERROR_UNTRUSTED, scratch_path(*state, "identity.crt", path));
    X509_free(certificate);
    EVP_PKEY_free(mine);
    EVP_PKEY_free(other);
}

static void test_identity_load_key_of_another_kind_is_refused(void **state)
{
    static const char *const kinds[] = {"P-256", "RSA"};
    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *key = forge_key(kinds[i]);
        X509 *certificate = forge_plain(key);
        forge_identity(*state, key, certificate);
        refuses_to_load(*state, ERROR_UNTRUSTED, "Ed25519");
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
}

static void test_identity_load_truncated_key_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    size_t bytes = 0;
    identity_free(created(*state));
    char *pem = scratch_read(scratch_path(*state, "identity.key", path), &bytes);
    assert_in_range(bytes, 100, 200);
    for (size_t cut = 0; cut < bytes - 1; cut += 16) {
        scratch_write(path, pem, cut, 0600);
        refuses_to_load(*state, ERROR_CORRUPT, path);
    }
    free(pem);
}

static void test_identity_load_truncated_certificate_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    size_t bytes = 0;
    identity_free(created(*state));
    char *pem = scratch_read(scratch_path(*state, "identity.crt", path), &bytes);
    for (size_t cut = 0; cut < bytes - 1; cut += 16) {
        scratch_write(path, pem, cut, 0644);
        refuses_to_load(*state, ERROR_CORRUPT, path);
    }
    free(pem);
}

static void test_identity_load_garbage_is_refused(void **state)
{
    static const char *const garbage[] = {"",
                                          "\n",
                                          "garbage",
                                          "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
                                          "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                                          "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    char key_path[SCRATCH_PATH_BYTES];
    char certificate_path[SCRATCH_PATH_BYTES];
    identity_free(created(*state));
    char *key = scratch_read(scratch_path(*state, "identity.key", key_path), NULL);
    char *certificate = scratch_read(scratch_path(*state, "identity.crt", certificate_path), NULL);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        scratch_write(key_path, garbage[i], strlen(garbage[i]), 0600);
        refuses_to_load(*state, ERROR_CORRUPT, key_path);
        scratch_write(key_path, key, strlen(key), 0600);
        scratch_write(certificate_path, garbage[i], strlen(garbage[i]), 0644);
        refuses_to_load(*state, ERROR_CORRUPT, certificate_path);
        scratch_write(certificate_path, certificate, strlen(certificate), 0644);
    }
    free(key);
    free(certificate);
}

/* The password stands ready on the standard input, so that a load that asks for it succeeds and is found out.
 */
static void test_identity_load_encrypted_key_is_refused_without_asking(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char password[] = "secret";
    struct identity *identity = created(*state);
    BIO *file = BIO_new_file(scratch_path(*state, "identity.key", path), "wb");
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(file, identity_openssl_key(identity), EVP_aes_256_cbc(),
                                                   password, 6, NULL, NULL),
                     1);
    BIO_free(file);
    assert_int_equal(chmod(path, 0600), 0);
    scratch_write(scratch_path(*state, "typed", path), "secret\nsecret\n", 14, 0600);
    assert_non_null(freopen(path, "r", stdin));
    refuses_to_load(*state, ERROR_CORRUPT, "unencrypted");
    assert_int_equal(ftell(stdin), 0);
    identity_free(identity);
}

static void test_identity_load_expired_certificate_loads_and_says_when(void **state)
{
    int64_t end = (int64_t)time(NULL) - 86400;
    EVP_PKEY *key = forge_key("ED25519");
    struct identity *identity = NULL;
    X509 *certificate = forge_certificate(&(struct forge_plan){.kind = FORGE_LEAF,
                                                               .name = "site",
                                                               .key = key,
                                                               .issuer_key = key,
                                                               .not_before = end - 86400,
                                                               .not_after = end});
    forge_identity(*state, key, certificate);
    succeeds(identity_load(*state, &identity));
    assert_true(identity_not_after(identity) == end);
    identity_free(identity);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void test_identity_load_changed_signature_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    EVP_PKEY *key = forge_key("ED25519");
    EVP_PKEY *other = forge_key("ED25519");
    int64_t now = (int64_t)time(NULL);
    X509 *forged = forge_certificate(&(struct forge_plan){.kind = FORGE_LEAF,
                                                          .name = "site",
                                                          .key = key,
                                                          .issuer_key = other,
                                                          .not_before = now - 60,
                                                          .not_after = now + 60});
    forge_identity(*state, key, forged);
    refuses_to_load(*state, ERROR_UNTRUSTED, scratch_path(*state, "identity.crt", path));
    X509_free(forged);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void test_identity_load_unfit_common_name_is_refused(void **state)
{
    static const char *const names[] = {NULL, "escape\x1b[2J"};
    EVP_PKEY *key = forge_key("ED25519");
    int64_t now = (int64_t)time(NULL);
    for (size_t i = 0; i < 2; i++) {
        X509 *certificate = forge_certificate(&(struct forge_plan){.kind = FORGE_LEAF,
                                                                   .name = names[i],
                                                                   .key = key,
                                                                   .issuer_key = key,
                                                                   .not_before = now - 60,
                                                                   .not_after = now + 60});
        forge_identity(*state, key, certificate);
        refuses_to_load(*state, ERROR_UNTRUSTED, "common name");
        X509_free(certificate);
    }
    EVP_PKEY_free(key);
}

static void test_identity_load_too_many_certificates_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    identity_free(created(*state));
    char *pem = scratch_read(scratch_path(*state, "identity.crt", path), NULL);
    FILE *file = fopen(path, "wb");
    for (int i = 0; i < 9; i++)
        assert_true(fputs(pem, file) >= 0);
    assert_int_equal(fclose(file), 0);
    refuses_to_load(*state, ERROR_LIMIT, path);
    free(pem);
}

static void test_identity_of_certificate_gives_key_and_name(void **state)
{
    char keys[SCRATCH_PATH_BYTES], path[SCRATCH_PATH_BYTES], name[IDENTITY_NAME_BYTES];
    uint8_t own[PUBLIC_KEY_BYTES], key[PUBLIC_KEY_BYTES];
    struct identity *identity = NULL;
    succeeds(identity_create(scratch_path(*state, "keys", keys), "Hôpital", &identity));
    identity_public_key(identity, own);
    succeeds(identity_of_certificate(scratch_path(keys, "identity.crt", path), key, name));
    assert_memory_equal(key, own, sizeof(own));
    assert_string_equal(name, "Hôpital");
    fails(identity_of_certificate(scratch_path(keys, "identity.key", path), key, name), ERROR_CORRUPT);
    fails(identity_of_certificate(scratch_path(keys, "none", path), key, name), ERROR_NOT_FOUND);
    identity_free(identity);
}

static void test_identity_of_certificate_of_another_kind_or_changed_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES], name[IDENTITY_NAME_BYTES];
    uint8_t bytes[PUBLIC_KEY_BYTES];
    EVP_PKEY *key = forge_key("ED25519"), *other = forge_key("ED25519"), *curve = forge_key("P-256");
    int64_t now = (int64_t)time(NULL);
    X509 *plain = forge_plain(curve);
    X509 *forged = forge_certificate(&(struct forge_plan){.kind = FORGE_LEAF,
                                                          .name = "site",
                                                          .key = key,
                                                          .issuer_key = other,
                                                          .not_before = now - 60,
                                                          .not_after = now + 60});
    (void)scratch_path(*state, "identity.crt", path);
    forge_identity(*state, curve, plain);
    fails_saying(identity_of_certificate(path, bytes, name), ERROR_UNTRUSTED, "Ed25519");
    forge_identity(*state, key, forged);
    fails_saying(identity_of_certificate(path, bytes, name), ERROR_UNTRUSTED, "does not hold");
    X509_free(plain);
    X509_free(forged);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    EVP_PKEY_free(curve);
}

static void test_identity_free_null_is_accepted(void **state)
{
    (void)state;
    identity_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_identity_create_then_load_is_the_same),
        SCRATCH_TEST(test_identity_id_agrees_with_its_public_key),
        SCRATCH_TEST(test_identity_create_twice_gives_different_keys),
        SCRATCH_TEST(test_identity_create_closes_directory_and_key),
        SCRATCH_TEST(test_identity_create_over_a_key_is_refused_and_keeps_it),
        SCRATCH_TEST(test_identity_create_after_an_interrupted_one_succeeds),
        SCRATCH_TEST(test_identity_create_certificate_is_as_specified),
        SCRATCH_TEST(test_identity_create_serials_are_wide_and_differ),
        SCRATCH_TEST(test_identity_create_unfit_name_is_refused),
        SCRATCH_TEST(test_identity_create_name_of_64_bytes_in_any_script_is_kept),
        SCRATCH_TEST(test_identity_load_open_permissions_gives_the_command),
        SCRATCH_TEST(test_identity_load_missing_files_are_not_found),
        SCRATCH_TEST(test_identity_load_certificate_of_another_key_is_refused),
        SCRATCH_TEST(test_identity_load_key_of_another_kind_is_refused),
        SCRATCH_TEST(test_identity_load_truncated_key_is_refused),
        SCRATCH_TEST(test_identity_load_truncated_certificate_is_refused),
        SCRATCH_TEST(test_identity_load_garbage_is_refused),
        SCRATCH_TEST(test_identity_load_encrypted_key_is_refused_without_asking),
        SCRATCH_TEST(test_identity_of_certificate_gives_key_and_name),
        SCRATCH_TEST(test_identity_of_certificate_of_another_kind_or_changed_is_refused),
        SCRATCH_TEST(test_identity_load_expired_certificate_loads_and_says_when),
        SCRATCH_TEST(test_identity_load_changed_signature_is_refused),
        SCRATCH_TEST(test_identity_load_unfit_common_name_is_refused),
        SCRATCH_TEST(test_identity_load_too_many_certificates_is_refused),
        SCRATCH_TEST(test_identity_free_null_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
