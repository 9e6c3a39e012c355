#include "schemas/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

static enum error_code file_error_code(int saved_errno)
{
    return saved_errno == ENOENT || saved_errno == ENOTDIR ? ERROR_NOT_FOUND : ERROR_IO;
}

/* Opens a regular file; a pipe or a device could keep us waiting, so it is not opened to read. */
static struct error *file_open(const char *path, int *ret_fd, uint64_t *ret_bytes)
{
    struct error *err = NULL;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        err = error_errno(file_error_code(errno), errno, "%s cannot be opened", path);
        goto done;
    }
    if (fstat(fd, &status) != 0) {
        err = error_errno(ERROR_IO, errno, "%s cannot be examined", path);
        goto done;
    }
    if (!S_ISREG(status.st_mode))
        FAIL(ERROR_IO, "%s is not a regular file.", path);
    *ret_fd = fd;
    *ret_bytes = (uint64_t)status.st_size;
    fd = -1;
done:
    if (fd >= 0)
        (void)close(fd);
    return err;
}

/* Reads until `bytes` bytes are there or the file ends. */
static struct error *file_read_all(int fd, const char *path, uint8_t *data, size_t bytes, size_t *ret_got)
{
    size_t got = 0;
    while (got < bytes) {
        ssize_t n = read(fd, data + got, bytes - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(ERROR_IO, errno, "%s cannot be read", path);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *ret_got = got;
    return NULL;
}

struct error *file_read(const char *path, size_t limit, uint8_t **ret_data, size_t *ret_bytes)
{
    struct error *err = NULL;
    uint8_t *data = NULL;
    int fd = -1;
    uint64_t size = 0;
    size_t got = 0;
    TRY(file_open(path, &fd, &size));
    if (size > limit)
        FAIL(ERROR_LIMIT, "%s has %llu bytes; at most %zu are allowed.", path, (unsigned long long)size,
             limit);
    data = malloc((size_t)size + 2);
    if (data == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", path);
    /* One byte more than announced, to notice a file that grows meanwhile. */
    TRY(file_read_all(fd, path, data, (size_t)size + 1, &got));
    if (got > size)
        FAIL(ERROR_IO, "%s grew while it was read; try again when nothing writes to it.", path);
    data[got] = '\0';
    *ret_data = data;
    *ret_bytes = got;
    data = NULL;
done:
    free(data);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

static struct error *file_write_all(int fd, const char *path, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(ERROR_IO, errno, "%s cannot be written", path);
        data += n;
        bytes -= (size_t)n;
    }
    return NULL;
}

/* Makes the name that a rename gave durable; some file systems cannot sync directories, which is no failure.
 */
static void file_sync_directory(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    free(copy);
}

struct error *file_write(const char *path, const void *data, size_t bytes, mode_t mode)
{
    struct error *err = NULL;
    char *temporary = NULL;
    int fd = -1;
    bool made = false;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", path);
    }
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        err = error_errno(file_error_code(errno), errno, "%s cannot be written", path);
        goto done;
    }
    made = true;
    if (fchmod(fd, mode) != 0) {
        err = error_errno(ERROR_IO, errno, "The permissions of %s cannot be set", path);
        goto done;
    }
    TRY(file_write_all(fd, path, data, bytes));
    if (fsync(fd) != 0 || rename(temporary, path) != 0) {
        err = error_errno(ERROR_IO, errno, "%s cannot be written", path);
        goto done;
    }
    made = false;
    file_sync_directory(path);
done:
    if (fd >= 0)
        (void)close(fd);
    if (made)
        (void)unlink(temporary);
    free(temporary);
    return err;
}

static struct error *directory_make_one(const char *path, mode_t mode)
{
    struct stat status;
    if (mkdir(path, mode) == 0)
        return NULL;
    int saved = errno;
    if (stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            return NULL;
        return error_new(ERROR_CONFLICT, "%s exists and is not a directory.", path);
    }
    return error_errno(ERROR_IO, saved, "The directory %s cannot be made", path);
}

struct error *directory_make(const char *path, mode_t mode)
{
    struct error *err = NULL;
    char *copy = strdup(path);
    if (copy == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to make the directory %s.", path);
    for (char *slash = copy[0] == '\0' ? NULL : strchr(copy + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        TRY(directory_make_one(copy, mode));
        *slash = '/';
    }
    TRY(directory_make_one(copy, mode));
done:
    free(copy);
    return err;
}

struct error *path_join(const char *a, const char *b, char **ret_path)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", a, b) < 0)
        return error_new(ERROR_MEMORY, "There is not enough memory for the path of a file.");
    *ret_path = path;
    return NULL;
}
