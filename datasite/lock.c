#include "datasite/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_TEXT_BYTES 32

/* The number in the file, or 0. */
static pid_t lock_read(int fd)
{
    char text[LOCK_TEXT_BYTES] = "";
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
    if (got <= 0)
        return 0;
    long pid = strtol(text, NULL, 10);
    return pid > 0 ? (pid_t)pid : 0;
}

static struct error *lock_write(int fd, const char *path)
{
    char text[LOCK_TEXT_BYTES];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)length, 0) != length)
        return error_errno(ERROR_IO, errno, "The lock file %s cannot be written", path);
    return NULL;
}

struct error *lock_take(const char *path, int *ret_fd)
{
    struct error *err = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err = error_errno(ERROR_IO, errno, "The lock file %s cannot be opened", path);
        goto done;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            err = error_errno(ERROR_IO, errno, "The lock file %s cannot be locked", path);
            goto done;
        }
        FAIL(ERROR_CONFLICT, "A daemon (process %ld) serves this home already; stop it with: kill %ld",
             (long)lock_read(fd), (long)lock_read(fd));
    }
    TRY(lock_write(fd, path));
    *ret_fd = fd;
    fd = -1;
done:
    if (fd >= 0)
        (void)close(fd);
    return err;
}

struct error *lock_holder(const char *path, pid_t *ret_pid)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        *ret_pid = 0;
        return NULL;
    }
    if (fd < 0)
        return error_errno(ERROR_IO, errno, "The lock file %s cannot be opened", path);
    *ret_pid = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : lock_read(fd);
    (void)close(fd);
    return NULL;
}
