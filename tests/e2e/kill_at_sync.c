/* For tests alone, by LD_PRELOAD: kills the process at a chosen moment of its work on a site's database.
 *
 *     DATASITE_KILL_AT=n        the n-th time that a file named site.db* is brought to the disk (1, 2, 3, …)
 *     DATASITE_KILL_WHEN=before | after     that call
 *
 * A commit of SQLite's WAL is such a call on site.db-wal; a checkpoint is one on each file. Before it, the commit is
 * written and nobody was told; after it, it is on the disk and nobody was told. */
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static atomic_long kill_calls;

static int kill_is_database(int fd)
{
    char link[64], path[PATH_MAX];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && strncmp(name + 1, "site.db", 7) == 0;
}

static int kill_around(long call, int fd)
{
    const char *at = getenv("DATASITE_KILL_AT"), *when = getenv("DATASITE_KILL_WHEN");
    int due =
        at != NULL && kill_is_database(fd) && atomic_fetch_add(&kill_calls, 1) + 1 == strtol(at, NULL, 10);
    int after = when != NULL && strcmp(when, "after") == 0;
    if (due && !after)
        (void)kill(getpid(), SIGKILL);
    int result = (int)syscall(call, fd);
    if (due && after)
        (void)kill(getpid(), SIGKILL);
    return result;
}

EXPORT int fsync(int fd);
EXPORT int fdatasync(int fd);

int fsync(int fd)
{
    return kill_around(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return kill_around(SYS_fdatasync, fd);
}
