/* The part of authority.h that revokes: ca.crl, and issued/, which tells the serial numbers of a site. */
#include "crypto/authority_parts.h"

#include "crypto/openssl_error.h"
#include "crypto/revocation.h"
#include "schemas/files.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

struct error *authority_write_list(const struct authority *authority, X509_CRL *previous,
                                   STACK_OF(X509_REVOKED) * revoked)
{
    struct error *err = NULL;
    X509_CRL *list = NULL;
    char *pem = NULL;
    TRY(revocation_sign(authority->certificate, authority->key, previous, revoked, &list));
    TRY(revocation_write(list, &pem));
    TRY(authority_write(authority, AUTHORITY_LIST_FILE, pem, strlen(pem), 0644));
done:
    X509_CRL_free(list);
    free(pem);
    return err;
}

static struct error *authority_read_list(const struct authority *authority, X509_CRL **ret_list,
                                         STACK_OF(X509_REVOKED) * *ret_revoked)
{
    struct error *err = NULL;
    char *path = NULL;
    uint8_t *pem = NULL;
    X509_CRL *list = NULL;
    size_t bytes = 0;
    TRY(path_join(authority->directory, AUTHORITY_LIST_FILE, &path));
    TRY(file_read(path, REVOCATION_TEXT_BYTES_MAX, &pem, &bytes));
    TRY(revocation_read(path, (const char *)pem, bytes, authority->certificate, &list));
    TRY(revocation_entries(list, ret_revoked));
    *ret_list = list;
    list = NULL;
done:
    X509_CRL_free(list);
    free(pem);
    free(path);
    return err;
}

struct error *authority_renew_list(const struct authority *authority)
{
    struct error *err = NULL;
    X509_CRL *list = NULL;
    STACK_OF(X509_REVOKED) *revoked = NULL;
    int lock = -1;
    TRY(authority_read_list(authority, &list, &revoked));
    if (!revocation_is_old(list))
        goto done;
    X509_CRL_free(list);
    list = NULL;
    sk_X509_REVOKED_pop_free(revoked, X509_REVOKED_free);
    revoked = NULL;
    TRY(authority_lock(authority, &lock));
    TRY(authority_read_list(authority, &list, &revoked)); /* what stood there before the lock may be old */
    TRY(authority_write_list(authority, list, revoked));
done:
    if (lock >= 0)
        (void)close(lock);
    X509_CRL_free(list);
    sk_X509_REVOKED_pop_free(revoked, X509_REVOKED_free);
    return err;
}

/* "<32 digits>.pem"; a temporary file that a crash left is not one. */
static bool authority_is_issued_name(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdef");
    return digits == CERTIFICATE_SERIAL_DIGITS && strcmp(name + digits, AUTHORITY_ISSUED_SUFFIX) == 0;
}

/* Adds the certificate in `path` to `revoked` if it is for `id`. */
static struct error *authority_revoke_file(const char *path, const struct site_id *id,
                                           STACK_OF(X509_REVOKED) * revoked, bool *ret_found)
{
    struct error *err = NULL;
    X509 *leaf = NULL;
    STACK_OF(X509) *rest = NULL;
    struct site_id owner;
    TRY(certificate_chain_load(path, &leaf, &rest));
    TRY(certificate_key_id(X509_get0_pubkey(leaf), &owner));
    if (!site_id_equal(&owner, id))
        goto done;
    TRY(revocation_add(revoked, X509_get0_serialNumber(leaf), time(NULL)));
    *ret_found = true;
done:
    X509_free(leaf);
    sk_X509_pop_free(rest, X509_free);
    return err;
}

/* A file that cannot be read ends the search with an error: it may be the one that has to be revoked. */
static struct error *authority_revoke_issued(const char *issued, const struct site_id *id,
                                             STACK_OF(X509_REVOKED) * revoked, bool *ret_found)
{
    struct error *err = NULL;
    char *path = NULL;
    DIR *directory = opendir(issued);
    if (directory == NULL) {
        err = error_errno(ERROR_IO, errno, "%s cannot be opened", issued);
        goto done;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL && errno != 0)
            TRY(error_errno(ERROR_IO, errno, "%s cannot be read", issued));
        if (entry == NULL)
            break;
        if (!authority_is_issued_name(entry->d_name))
            continue;
        free(path);
        path = NULL;
        TRY(path_join(issued, entry->d_name, &path));
        TRY(authority_revoke_file(path, id, revoked, ret_found));
    }
done:
    free(path);
    if (directory != NULL)
        (void)closedir(directory);
    return err;
}

struct error *authority_revoke(struct authority *authority, const struct site_id *id)
{
    struct error *err = NULL;
    char *issued = NULL;
    X509_CRL *list = NULL;
    STACK_OF(X509_REVOKED) *revoked = NULL;
    bool found = false;
    int lock = -1;
    TRY(path_join(authority->directory, AUTHORITY_ISSUED_DIRECTORY, &issued));
    TRY(authority_lock(authority, &lock));
    TRY(authority_read_list(authority, &list, &revoked));
    TRY(authority_revoke_issued(issued, id, revoked, &found));
    if (!found) {
        char fingerprint[FINGERPRINT_BYTES];
        site_id_format(id, fingerprint);
        FAIL(ERROR_NOT_FOUND, "No certificate in %s was issued for %s.", issued, fingerprint);
    }
    TRY(authority_write_list(authority, list, revoked));
done:
    if (lock >= 0)
        (void)close(lock);
    X509_CRL_free(list);
    sk_X509_REVOKED_pop_free(revoked, X509_REVOKED_free);
    free(issued);
    return err;
}
