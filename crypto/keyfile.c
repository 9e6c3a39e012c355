#include "crypto/keyfile.h"

#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct error *keyfile_write_all(int file, const char *path, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(file, data, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_errno(ERROR_IO, errno, "%s cannot be written", path);
        data += written;
        bytes -= (size_t)written;
    }
    return NULL;
}

/* A rename is only lasting once the directory that holds the name is on disk. */
static struct error *keyfile_sync_directory(const char *path)
{
    struct error *err = NULL;
    const char *slash = strrchr(path, '/');
    char *directory = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    int file = -1;
    if (directory == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", path);
    file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0 || fsync(file) != 0)
        TRY(error_errno(ERROR_IO, errno, "The directory %s cannot be synced", directory));
done:
    if (file >= 0)
        (void)close(file);
    free(directory);
    return err;
}

struct error *keyfile_write(const char *path, mode_t mode, const void *data, size_t bytes)
{
    struct error *err = NULL;
    char *temporary = NULL;
    int file = -1;
    bool made = false;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", path);
    }
    file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be written", path));
    made = true;
    if (fchmod(file, mode) != 0)
        TRY(error_errno(ERROR_IO, errno, "The permissions of %s cannot be set", path));
    TRY(keyfile_write_all(file, path, data, bytes));
    if (fsync(file) != 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be written", path));
    if (rename(temporary, path) != 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be replaced", path));
    made = false;
    TRY(keyfile_sync_directory(path));
done:
    if (file >= 0)
        (void)close(file);
    if (made)
        (void)unlink(temporary);
    free(temporary);
    return err;
}

static struct error *keyfile_open(const char *path, bool private, int *ret_file)
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
    if (private && (status.st_mode & 077) != 0)
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

/* Doubles the area without leaving a copy behind, as realloc would. */
static struct error *keyfile_grow(const char *path, char **data, size_t *room, size_t used)
{
    size_t larger = *room == 0 ? 4096 : 2 * *room;
    char *area = malloc(larger);
    if (area == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to read %s.", path);
    if (used > 0)
        memcpy(area, *data, used);
    keyfile_free(*data, *room);
    *data = area;
    *room = larger;
    return NULL;
}

static struct error *keyfile_read_all(int file, const char *path, char **ret_data, size_t *ret_bytes)
{
    struct error *err = NULL;
    char *data = NULL;
    size_t room = 0;
    size_t used = 0;
    for (;;) {
        if (used + 1 >= room)
            TRY(keyfile_grow(path, &data, &room, used));
        ssize_t got = read(file, data + used, room - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            TRY(error_errno(ERROR_IO, errno, "%s cannot be read", path));
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > KEYFILE_BYTES_MAX)
            FAIL(ERROR_LIMIT, "%s is longer than %d bytes.", path, KEYFILE_BYTES_MAX);
    }
    data[used] = '\0';
    *ret_data = data;
    *ret_bytes = used;
    data = NULL;
done:
    keyfile_free(data, room);
    return err;
}

static struct error *keyfile_read_as(const char *path, bool private, char **ret_data, size_t *ret_bytes)
{
    int file = -1;
    struct error *err = keyfile_open(path, private, &file);
    if (err != NULL)
        return err;
    err = keyfile_read_all(file, path, ret_data, ret_bytes);
    (void)close(file);
    return err;
}

struct error *keyfile_read(const char *path, char **ret_data, size_t *ret_bytes)
{
    return keyfile_read_as(path, false, ret_data, ret_bytes);
}

struct error *keyfile_read_private(const char *path, char **ret_data, size_t *ret_bytes)
{
    return keyfile_read_as(path, true, ret_data, ret_bytes);
}

void keyfile_free(char *data, size_t bytes)
{
    if (data == NULL)
        return;
    secret_wipe(data, bytes);
    free(data);
}

struct error *keyfile_directory(const char *path)
{
    struct stat status;
    if (mkdir(path, 0700) == 0) {
        if (chmod(path, 0700) != 0) /* an unusual umask may have taken bits away */
            return error_errno(ERROR_IO, errno, "The permissions of %s cannot be set", path);
        return NULL;
    }
    if (errno != EEXIST)
        return error_errno(ERROR_IO, errno, "The directory %s cannot be made", path);
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return error_new(ERROR_IO, "%s is not a directory.", path);
    return NULL;
}

bool keyfile_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

struct error *keyfile_path(const char *directory, const char *name, char **ret_path)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return error_new(ERROR_MEMORY, "There is not enough memory for a path in %s.", directory);
    *ret_path = path;
    return NULL;
}
