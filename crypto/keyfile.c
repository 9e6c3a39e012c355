#include "crypto/keyfile.h"

#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Permissions are those of the open file, so that nothing can be put in its place between the look and the
 * read. */
static struct error *keyfile_open(const char *path, int *ret_file)
{
    struct error *err = NULL;
    struct stat status;
    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        TRY(error_errno(errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "%s cannot be opened", path));
    if (fstat(file, &status) != 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be examined", path));
    if (!S_ISREG(status.st_mode))
        FAIL(ERROR_IO, "%s is not a regular file.", path);
    if ((status.st_mode & 077) != 0)
        FAIL(ERROR_UNTRUSTED,
             "%s holds a private key, and other users of this machine may read or change it; close it with: "
             "chmod 600 %s",
             path, path);
    *ret_file = file;
    file = -1;
done:
    if (file >= 0)
        (void)close(file);
    return err;
}

/* One area of the largest size: growing would leave copies of a key behind. */
static struct error *keyfile_read_all(int file, const char *path, char **ret_pem, size_t *ret_bytes)
{
    struct error *err = NULL;
    size_t used = 0;
    char *pem = malloc(KEYFILE_BYTES_MAX + 1);
    if (pem == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", path);
    for (;;) {
        ssize_t got = read(file, pem + used, KEYFILE_BYTES_MAX + 1 - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            TRY(error_errno(ERROR_IO, errno, "%s cannot be read", path));
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > KEYFILE_BYTES_MAX)
            FAIL(ERROR_LIMIT, "%s is longer than a key file can be (%d bytes).", path, KEYFILE_BYTES_MAX);
    }
    pem[used] = '\0';
    *ret_pem = pem;
    *ret_bytes = used;
    pem = NULL;
done:
    keyfile_free(pem, used);
    return err;
}

struct error *keyfile_read(const char *path, char **ret_pem, size_t *ret_bytes)
{
    int file = -1;
    struct error *err = keyfile_open(path, &file);
    if (err != NULL)
        return err;
    err = keyfile_read_all(file, path, ret_pem, ret_bytes);
    (void)close(file);
    return err;
}

void keyfile_free(char *pem, size_t bytes)
{
    if (pem == NULL)
        return;
    secret_wipe(pem, bytes);
    free(pem);
}

bool keyfile_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}
