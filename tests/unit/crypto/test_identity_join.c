#include "crypto/authority.h"

#include "forge.h"
#include "scratch.h"

#include <openssl/pem.h>

/* An identity in <scratch>/keys, and an authority made elsewhere with keys of a given kind. */
struct consortium {
    char keys[SCRATCH_PATH_BYTES];
    struct identity *identity;
    EVP_PKEY *key;
    X509 *certificate;
    int64_t now;
};

static struct consortium consortium_new(const char *directory, const char *kind)
{
    struct consortium consortium = {.now = (int64_t)time(NULL), .key = forge_key(kind)};
    succeeds(identity_create(scratch_path(directory, "keys", consortium.keys), "site", &consortium.identity));
    consortium.certificate = forge_certificate(&(struct forge_plan){.kind = FORGE_CA,
                                                                    .name = "consortium",
                                                                    .key = consortium.key,
                                                                    .issuer_key = consortium.key,
                                                                    .not_before = consortium.now - 86400,
                                                                    .not_after = consortium.now + 86400});
    return consortium;
}

static void consortium_free(struct consortium *consortium)
{
    identity_free(consortium->identity);
    EVP_PKEY_free(consortium->key);
    X509_free(consortium->certificate);
}

/* A leaf as the authority would issue it for the identity; the test changes what it wants to be wrong. */
static struct forge_plan consortium_plan(const struct consortium *consortium)
{
    return (struct forge_plan){.kind = FORGE_LEAF,
                               .name = "site",
                               .key = identity_openssl_key(consortium->identity),
                               .issuer = consortium->certificate,
                               .issuer_key = consortium->key,
                               .not_before = consortium->now - 3600,
                               .not_after = consortium->now + 3600};
}

static char *consortium_chain(const struct consortium *consortium, const struct forge_plan *plan)
{
    X509 *leaf = forge_certificate(plan);
    char *chain = forge_pem(leaf, consortium->certificate);
    X509_free(leaf);
    return chain;
}

/* Refused, and the certificate that was there stays. */
static void refuses_to_install(const struct consortium *consortium, const char *chain, enum error_code code,
                               const char *text)
{
    char path[SCRATCH_PATH_BYTES];
    char *before = scratch_read(scratch_path(consortium->keys, "identity.crt", path), NULL);
    fails_saying(identity_install(consortium->keys, chain), code, text);
    char *after = scratch_read(path, NULL);
    assert_string_equal(before, after);
    assert_int_equal(scratch_entries(consortium->keys), 2);
    free(before);
    free(after);
}

static void refuses_to_install_leaf(const struct consortium *consortium, const struct forge_plan *plan,
                                    enum error_code code, const char *text)
{
    char *chain = consortium_chain(consortium, plan);
    refuses_to_install(consortium, chain, code, text);
    free(chain);
}

static void test_identity_request_is_for_its_key_and_name(void **state)
{
    struct identity *identity = NULL;
    char *pem = NULL;
    char name[64];
    succeeds(identity_create(*state, "MNIST Part 1", &identity));
    succeeds(identity_request(identity, &pem));
    BIO *memory = BIO_new_mem_buf(pem, -1);
    X509_REQ *request = PEM_read_bio_X509_REQ(memory, NULL, NULL, NULL);
    assert_non_null(request);
    assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(request), identity_openssl_key(identity)), 1);
    assert_int_equal(X509_REQ_verify(request, identity_openssl_key(identity)), 1);
    assert_int_equal(
        X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, name, sizeof(name)),
        12);
    assert_string_equal(name, "MNIST Part 1");
    X509_REQ_free(request);
    BIO_free(memory);
    free(pem);
    identity_free(identity);
}

static void installs(struct consortium *consortium)
{
    char path[SCRATCH_PATH_BYTES];
    struct forge_plan plan = consortium_plan(consortium);
    struct identity *loaded = NULL;
    char *before = scratch_read(scratch_path(consortium->keys, "identity.crt", path), NULL);
    char *chain = consortium_chain(consortium, &plan);
    succeeds(identity_install(consortium->keys, chain));
    char *kept = scratch_read(scratch_path(consortium->keys, "identity.self.crt", path), NULL);
    assert_string_equal(kept, before);
    char *installed = scratch_read(scratch_path(consortium->keys, "identity.crt", path), NULL);
    assert_string_equal(installed, chain);
    assert_int_equal(scratch_entries(consortium->keys), 3);
    succeeds(identity_load(consortium->keys, &loaded));
    assert_true(site_id_equal(identity_id(loaded), identity_id(consortium->identity)));
    assert_true(identity_not_after(loaded) == consortium->now + 3600);
    assert_int_equal(sk_X509_num((STACK_OF(X509) *)identity_openssl_chain(loaded)), 1);
    identity_free(loaded);
    free(before);
    free(chain);
    free(kept);
    free(installed);
}

static void test_identity_install_chain_of_an_ed25519_authority_is_used(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    installs(&consortium);
    consortium_free(&consortium);
}

static void test_identity_install_chain_of_a_p256_authority_is_used(void **state)
{
    struct consortium consortium = consortium_new(*state, "P-256");
    installs(&consortium);
    consortium_free(&consortium);
}

static void test_identity_install_chain_of_an_authority_of_another_kind_is_refused(void **state)
{
    static const char *const kinds[] = {"RSA", "P-384"};
    for (size_t i = 0; i < 2; i++) {
        char directory[SCRATCH_PATH_BYTES];
        char keys[SCRATCH_PATH_BYTES];
        struct identity *identity = NULL;
        succeeds(identity_create(scratch_path(*state, kinds[i], directory), "other", &identity));
        identity_free(identity);
        struct consortium consortium = consortium_new(scratch_path(*state, kinds[i], keys), kinds[i]);
        struct forge_plan plan = consortium_plan(&consortium);
        refuses_to_install_leaf(&consortium, &plan, ERROR_UNTRUSTED, "did not sign");
        consortium_free(&consortium);
    }
}

static void test_identity_install_twice_keeps_the_self_signed_one(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    installs(&consortium);
    char *kept = scratch_read(scratch_path(consortium.keys, "identity.self.crt", path), NULL);
    char *chain = consortium_chain(&consortium, &plan);
    succeeds(identity_install(consortium.keys, chain));
    char *still = scratch_read(path, NULL);
    assert_string_equal(kept, still);
    free(kept);
    free(chain);
    free(still);
    consortium_free(&consortium);
}

static void test_identity_install_for_another_key_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    EVP_PKEY *other = forge_key("ED25519");
    plan.key = other;
    refuses_to_install_leaf(&consortium, &plan, ERROR_UNTRUSTED, "another key");
    EVP_PKEY_free(other);
    consortium_free(&consortium);
}

static void test_identity_install_not_signed_by_the_next_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    EVP_PKEY *other = forge_key("ED25519");
    plan.issuer_key = other;
    refuses_to_install_leaf(&consortium, &plan, ERROR_UNTRUSTED, "did not sign");
    EVP_PKEY_free(other);
    consortium_free(&consortium);
}

static void test_identity_install_expired_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    plan.not_after = consortium.now - 60;
    refuses_to_install_leaf(&consortium, &plan, ERROR_EXPIRED, "has expired");
    consortium_free(&consortium);
}

static void test_identity_install_not_yet_valid_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    plan.not_before = consortium.now + 600;
    refuses_to_install_leaf(&consortium, &plan, ERROR_EXPIRED, "clock");
    consortium_free(&consortium);
}

static void test_identity_install_expired_authority_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    X509_free(consortium.certificate);
    consortium.certificate = forge_certificate(&(struct forge_plan){.kind = FORGE_CA,
                                                                    .name = "consortium",
                                                                    .key = consortium.key,
                                                                    .issuer_key = consortium.key,
                                                                    .not_before = consortium.now - 86400,
                                                                    .not_after = consortium.now - 60});
    plan.issuer = consortium.certificate;
    refuses_to_install_leaf(&consortium, &plan, ERROR_EXPIRED, "has expired");
    consortium_free(&consortium);
}

static void test_identity_install_signed_by_a_leaf_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    X509_free(consortium.certificate);
    consortium.certificate = forge_plain(consortium.key);
    plan.issuer = consortium.certificate;
    refuses_to_install_leaf(&consortium, &plan, ERROR_UNTRUSTED, "The certificate chain");
    consortium_free(&consortium);
}

static void test_identity_install_for_servers_only_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    plan.kind = FORGE_LEAF_FOR_SERVERS;
    refuses_to_install_leaf(&consortium, &plan, ERROR_UNTRUSTED, "both ends");
    consortium_free(&consortium);
}

static void test_identity_install_lone_leaf_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    X509 *leaf = forge_certificate(&plan);
    char *chain = forge_pem(leaf, NULL);
    refuses_to_install(&consortium, chain, ERROR_UNTRUSTED, "has to follow");
    free(chain);
    X509_free(leaf);
    consortium_free(&consortium);
}

static void test_identity_install_other_text_is_refused(void **state)
{
    struct consortium consortium = consortium_new(*state, "ED25519");
    struct forge_plan plan = consortium_plan(&consortium);
    char *chain = consortium_chain(&consortium, &plan);
    refuses_to_install(&consortium, "", ERROR_CORRUPT, "The certificate chain");
    refuses_to_install(&consortium, "not a certificate", ERROR_CORRUPT, "The certificate chain");
    chain[strlen(chain) / 4] = '!';
    refuses_to_install(&consortium, chain, ERROR_CORRUPT, "The certificate chain");
    free(chain);
    consortium_free(&consortium);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_identity_request_is_for_its_key_and_name),
        SCRATCH_TEST(test_identity_install_chain_of_an_ed25519_authority_is_used),
        SCRATCH_TEST(test_identity_install_chain_of_a_p256_authority_is_used),
        SCRATCH_TEST(test_identity_install_chain_of_an_authority_of_another_kind_is_refused),
        SCRATCH_TEST(test_identity_install_twice_keeps_the_self_signed_one),
        SCRATCH_TEST(test_identity_install_for_another_key_is_refused),
        SCRATCH_TEST(test_identity_install_not_signed_by_the_next_is_refused),
        SCRATCH_TEST(test_identity_install_expired_is_refused),
        SCRATCH_TEST(test_identity_install_not_yet_valid_is_refused),
        SCRATCH_TEST(test_identity_install_expired_authority_is_refused),
        SCRATCH_TEST(test_identity_install_signed_by_a_leaf_is_refused),
        SCRATCH_TEST(test_identity_install_for_servers_only_is_refused),
        SCRATCH_TEST(test_identity_install_lone_leaf_is_refused),
        SCRATCH_TEST(test_identity_install_other_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
