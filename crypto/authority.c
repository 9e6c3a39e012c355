#include "crypto/authority.h"

#include "crypto/authority_parts.h"
#include "crypto/keyfile.h"
#include "crypto/openssl_error.h"
#include "schemas/files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/file.h>
#include <unistd.h>

void authority_free(struct authority *authority)
{
    if (authority == NULL)
        return;
    EVP_PKEY_free(authority->key); /* wipes the private key */
    X509_free(authority->certificate);
    free(authority->directory);
    free(authority);
}

static struct error *authority_new(const char *directory, struct authority **ret_authority)
{
    struct authority *authority = calloc(1, sizeof(*authority));
    if (authority != NULL)
        authority->directory = strdup(directory);
    if (authority == NULL || authority->directory == NULL) {
        authority_free(authority);
        return error_new(ERROR_MEMORY, "There is not enough memory for a certificate authority.");
    }
    *ret_authority = authority;
    return NULL;
}

struct error *authority_write(const struct authority *authority, const char *name, const char *text,
                              size_t bytes, mode_t mode)
{
    struct error *err = NULL;
    char *path = NULL;
    TRY(path_join(authority->directory, name, &path));
    TRY(file_write(path, text, bytes, mode));
done:
    free(path);
    return err;
}

struct error *authority_lock(const struct authority *authority, int *ret_lock)
{
    int lock = open(authority->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return error_errno(ERROR_IO, errno, "%s cannot be opened", authority->directory);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        (void)close(lock);
        return error_new(ERROR_BUSY, "Another program is changing %s; try again in a moment.",
                         authority->directory);
    }
    *ret_lock = lock;
    return NULL;
}

static struct error *authority_write_certificate(const struct authority *authority)
{
    char *pem = NULL;
    struct error *err = certificate_chain_write(authority->certificate, NULL, &pem);
    if (err == NULL)
        err = authority_write(authority, AUTHORITY_CERTIFICATE_FILE, pem, strlen(pem), 0644);
    free(pem);
    return err;
}

static struct error *authority_write_key(const struct authority *authority)
{
    char *pem = NULL;
    size_t bytes = 0;
    struct error *err = certificate_key_write(authority->key, &pem, &bytes);
    if (err == NULL)
        err = authority_write(authority, AUTHORITY_KEY_FILE, pem, bytes, 0600);
    keyfile_free(pem, bytes);
    return err;
}

static struct error *authority_make_directories(const struct authority *authority)
{
    struct error *err = NULL;
    char *issued = NULL;
    TRY(path_join(authority->directory, AUTHORITY_ISSUED_DIRECTORY, &issued));
    TRY(directory_make(authority->directory, 0700));
    TRY(directory_make(issued, 0700));
done:
    free(issued);
    return err;
}

static struct error *authority_check_absent(const struct authority *authority)
{
    struct error *err = NULL;
    char *key_path = NULL;
    TRY(path_join(authority->directory, AUTHORITY_KEY_FILE, &key_path));
    if (keyfile_exists(key_path))
        FAIL(ERROR_CONFLICT,
             "There is a certificate authority's key in %s already; it stays as it is. Use it, or choose "
             "another "
             "directory.",
             key_path);
done:
    free(key_path);
    return err;
}

/* As with identities, the key comes last: an interrupted creation can be repeated. */
struct error *authority_create(const char *ca_directory, const char *name, struct authority **ret_authority)
{
    struct error *err = NULL;
    struct authority *authority = NULL;
    int lock = -1;
    TRY(identity_name_check(name));
    TRY(authority_new(ca_directory, &authority));
    TRY(authority_make_directories(authority));
    TRY(authority_lock(authority, &lock));
    TRY(authority_check_absent(authority));
    TRY(certificate_key_new(&authority->key));
    TRY(certificate_issue(&(struct certificate_plan){.kind = CERTIFICATE_AUTHORITY,
                                                     .name = name,
                                                     .key = authority->key,
                                                     .issuer_key = authority->key,
                                                     .days = IDENTITY_CA_DAYS},
                          &authority->certificate));
    TRY(authority_write_certificate(authority));
    TRY(authority_write_list(authority, NULL, NULL));
    TRY(authority_write_key(authority));
    *ret_authority = authority;
    authority = NULL;
done:
    if (lock >= 0)
        (void)close(lock);
    authority_free(authority);
    return err;
}

static struct error *authority_load_parts(struct authority *authority)
{
    struct error *err = NULL;
    char *key_path = NULL;
    char *certificate_path = NULL;
    STACK_OF(X509) *rest = NULL;
    TRY(path_join(authority->directory, AUTHORITY_KEY_FILE, &key_path));
    TRY(path_join(authority->directory, AUTHORITY_CERTIFICATE_FILE, &certificate_path));
    TRY(certificate_key_load(key_path, &authority->key));
    TRY(certificate_chain_load(certificate_path, &authority->certificate, &rest));
    if (!certificate_key_may_issue(authority->key))
        FAIL(ERROR_UNTRUSTED, "The key in %s is neither Ed25519 nor P-256.", key_path);
    if (X509_check_ca(authority->certificate) != 1 ||
        EVP_PKEY_eq(authority->key, X509_get0_pubkey(authority->certificate)) != 1) {
        ERR_clear_error();
        FAIL(ERROR_UNTRUSTED,
             "%s is not a certificate authority's certificate for the key beside it; put back the files that "
             "belong "
             "together.",
             certificate_path);
    }
    TRY(certificate_chain_links(certificate_path, authority->certificate, rest));
done:
    sk_X509_pop_free(rest, X509_free);
    free(key_path);
    free(certificate_path);
    return err;
}

struct error *authority_load(const char *ca_directory, struct authority **ret_authority)
{
    struct error *err = NULL;
    struct authority *authority = NULL;
    TRY(authority_new(ca_directory, &authority));
    TRY(authority_load_parts(authority));
    TRY(authority_renew_list(authority));
    *ret_authority = authority;
    authority = NULL;
done:
    authority_free(authority);
    return err;
}

/* A request proves by its own signature that whoever made it has the private key. */
static struct error *authority_read_request(const char *pem, X509_REQ **ret_request,
                                            char ret_name[static IDENTITY_NAME_BYTES])
{
    struct error *err = NULL;
    X509_REQ *request = NULL;
    BIO *memory = NULL;
    size_t bytes = strnlen(pem, CERTIFICATE_TEXT_BYTES_MAX + 1);
    if (bytes > CERTIFICATE_TEXT_BYTES_MAX)
        FAIL(ERROR_LIMIT, "The certificate request is longer than %d bytes.", CERTIFICATE_TEXT_BYTES_MAX);
    memory = BIO_new_mem_buf(pem, (int)bytes);
    if (memory != NULL)
        request = PEM_read_bio_X509_REQ(memory, NULL, NULL, NULL);
    ERR_clear_error();
    if (request == NULL)
        FAIL(ERROR_INVALID, "This is not a certificate request in PEM form.");
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    if (!certificate_key_is_ed25519(key))
        FAIL(ERROR_UNTRUSTED, "The certificate request is not for an Ed25519 key.");
    if (X509_REQ_verify(request, key) != 1)
        FAIL(ERROR_UNTRUSTED, "The certificate request was changed after it was signed; ask for it again.");
    TRY(certificate_common_name("the certificate request", X509_REQ_get_subject_name(request), ret_name));
    *ret_request = request;
    request = NULL;
done:
    ERR_clear_error();
    X509_REQ_free(request);
    BIO_free(memory);
    return err;
}

/* Kept before it is handed out: a certificate that is not in issued/ could not be revoked. */
static struct error *authority_keep(const struct authority *authority, X509 *leaf)
{
    struct error *err = NULL;
    char *pem = NULL;
    char name[sizeof(AUTHORITY_ISSUED_DIRECTORY) + AUTHORITY_ISSUED_NAME_BYTES];
    char serial[CERTIFICATE_SERIAL_DIGITS + 1];
    TRY(certificate_serial(leaf, serial));
    (void)snprintf(name, sizeof(name), "%s/%s%s", AUTHORITY_ISSUED_DIRECTORY, serial,
                   AUTHORITY_ISSUED_SUFFIX);
    TRY(certificate_chain_write(leaf, NULL, &pem));
    TRY(authority_write(authority, name, pem, strlen(pem), 0644));
done:
    free(pem);
    return err;
}

static struct error *authority_chain(const struct authority *authority, X509 *leaf, char **ret_pem)
{
    struct error *err = NULL;
    STACK_OF(X509) *rest = sk_X509_new_null();
    if (rest == NULL || sk_X509_push(rest, authority->certificate) == 0)
        TRY(openssl_error("making a certificate chain"));
    TRY(certificate_chain_write(leaf, rest, ret_pem));
done:
    sk_X509_free(rest);
    return err;
}

struct error *authority_issue(struct authority *authority, const char *request_pem, int days,
                              struct site_id *ret_id, char **ret_pem)
{
    struct error *err = NULL;
    X509_REQ *request = NULL;
    X509 *leaf = NULL;
    char *pem = NULL;
    char name[IDENTITY_NAME_BYTES];
    struct site_id id;
    if (days < 1 || days > IDENTITY_DAYS)
        FAIL(ERROR_INVALID, "A certificate is issued for 1 to %d days, not for %d.", IDENTITY_DAYS, days);
    TRY(authority_read_request(request_pem, &request, name));
    TRY(certificate_issue(&(struct certificate_plan){.kind = CERTIFICATE_LEAF,
                                                     .name = name,
                                                     .key = X509_REQ_get0_pubkey(request),
                                                     .issuer = authority->certificate,
                                                     .issuer_key = authority->key,
                                                     .days = days},
                          &leaf));
    TRY(certificate_key_id(X509_get0_pubkey(leaf), &id));
    TRY(authority_chain(authority, leaf, &pem));
    TRY(authority_keep(authority, leaf));
    *ret_id = id;
    *ret_pem = pem;
    pem = NULL;
done:
    free(pem);
    X509_free(leaf);
    X509_REQ_free(request);
    return err;
}
