/* The part of identity.h that makes and loads the files below a keys directory. */
#include "crypto/identity_parts.h"
#include "crypto/keyfile.h"
#include "crypto/openssl_error.h"
#include "schemas/files.h"

#include <openssl/err.h>

/* The key is written last: an identity exists once its key does, and an interrupted creation can be repeated.
 */
static struct error *identity_write(const struct identity *identity, const char *key_path,
                                    const char *certificate_path)
{
    struct error *err = NULL;
    char *key = NULL;
    char *certificate = NULL;
    size_t key_bytes = 0;
    TRY(certificate_key_write(identity->key, &key, &key_bytes));
    TRY(certificate_chain_write(identity->certificate, identity->chain, &certificate));
    TRY(file_write(certificate_path, certificate, strlen(certificate), 0644));
    TRY(file_write(key_path, key, key_bytes, 0600));
done:
    keyfile_free(key, key_bytes);
    free(certificate);
    return err;
}

static struct error *identity_new(const char *where, const char *name, struct identity **ret_identity)
{
    struct error *err = NULL;
    X509 *certificate = NULL;
    EVP_PKEY *key = NULL;
    STACK_OF(X509) *chain = sk_X509_new_null();
    if (chain == NULL)
        TRY(openssl_error("making an identity"));
    TRY(certificate_key_new(&key));
    TRY(certificate_issue(
        &(struct certificate_plan){
            .kind = CERTIFICATE_LEAF, .name = name, .key = key, .issuer_key = key, .days = IDENTITY_DAYS},
        &certificate));
    return identity_of_parts(where, key, certificate, chain, ret_identity);
done:
    EVP_PKEY_free(key);
    X509_free(certificate);
    sk_X509_pop_free(chain, X509_free);
    return err;
}

struct error *identity_create(const char *keys_directory, const char *name, struct identity **ret_identity)
{
    struct error *err = NULL;
    char *key_path = NULL;
    char *certificate_path = NULL;
    struct identity *identity = NULL;
    TRY(identity_name_check(name));
    TRY(path_join(keys_directory, IDENTITY_KEY_FILE, &key_path));
    TRY(path_join(keys_directory, IDENTITY_CERTIFICATE_FILE, &certificate_path));
    TRY(directory_make(keys_directory, 0700));
    if (keyfile_exists(key_path))
        FAIL(ERROR_CONFLICT,
             "There is a private key in %s already; it stays as it is. Use it, or choose another directory.",
             key_path);
    TRY(identity_new(certificate_path, name, &identity));
    TRY(identity_write(identity, key_path, certificate_path));
    *ret_identity = identity;
    identity = NULL;
done:
    identity_free(identity);
    free(key_path);
    free(certificate_path);
    return err;
}

struct error *identity_load(const char *keys_directory, struct identity **ret_identity)
{
    struct error *err = NULL;
    char *key_path = NULL;
    char *certificate_path = NULL;
    EVP_PKEY *key = NULL;
    X509 *certificate = NULL;
    STACK_OF(X509) *chain = NULL;
    TRY(path_join(keys_directory, IDENTITY_KEY_FILE, &key_path));
    TRY(path_join(keys_directory, IDENTITY_CERTIFICATE_FILE, &certificate_path));
    TRY(certificate_key_load(key_path, &key));
    TRY(certificate_chain_load(certificate_path, &certificate, &chain));
    err = identity_of_parts(certificate_path, key, certificate, chain, ret_identity);
    key = NULL;
    certificate = NULL;
    chain = NULL;
done:
    EVP_PKEY_free(key);
    X509_free(certificate);
    sk_X509_pop_free(chain, X509_free);
    free(key_path);
    free(certificate_path);
    return err;
}

struct error *identity_of_certificate(const char *path, uint8_t ret_key[static PUBLIC_KEY_BYTES],
                                      char ret_name[static IDENTITY_NAME_BYTES])
{
    struct error *err = NULL;
    X509 *certificate = NULL;
    STACK_OF(X509) *chain = NULL;
    char name[IDENTITY_NAME_BYTES];
    uint8_t key[PUBLIC_KEY_BYTES];
    size_t bytes = sizeof(key);
    TRY(certificate_chain_load(path, &certificate, &chain));
    if (X509_get0_pubkey(certificate) == NULL || !certificate_key_is_ed25519(X509_get0_pubkey(certificate)))
        FAIL(ERROR_UNTRUSTED, "The certificate %s is not for an Ed25519 key, as a site's is.", path);
    TRY(certificate_chain_links(path, certificate, chain));
    TRY(certificate_common_name(path, X509_get_subject_name(certificate), name));
    if (EVP_PKEY_get_raw_public_key(X509_get0_pubkey(certificate), key, &bytes) != 1 || bytes != sizeof(key))
        TRY(openssl_error("reading a public key"));
    memcpy(ret_key, key, sizeof(key));
    memcpy(ret_name, name, sizeof(name));
done:
    ERR_clear_error();
    X509_free(certificate);
    sk_X509_pop_free(chain, X509_free);
    return err;
}
