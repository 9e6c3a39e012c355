/* The private folder of a session's local sockets.
 *
 * It is locked for as long as the session lives, and the lock ends with the process, however that ends. So a
 * folder that can be locked is a dead process's. One that was made a moment ago may not be locked yet: it is
 * left alone. */
#include "schemas/clock.h"
#include "transport/session_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_PREFIX "session-"
#define FOLDER_NAME FOLDER_PREFIX "XXXXXX"
#define FOLDER_MOST 70 /* leaves room for the names of the endpoints in sun_path */
#define FOLDER_STALE_S 60
#define FOLDER_LOOKS_MOST 4096 /* entries of a crowded directory */

/* An open, unlocked-by-others folder of this user that is old enough, or -1. */
static int session_folder_open_stale(int parent, const char *name)
{
    struct stat status;
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return -1;
    if (fstat(folder, &status) == 0 && status.st_uid == geteuid() &&
        status.st_mtim.tv_sec + FOLDER_STALE_S < clock_now_ms() / 1000 &&
        flock(folder, LOCK_EX | LOCK_NB) == 0)
        return folder;
    (void)close(folder);
    return -1;
}

/* Removes what processes that were killed have left, as far as it is empty. */
static void session_folder_clean(const char *place)
{
    DIR *directory = opendir(place);
    if (directory == NULL)
        return;
    for (int looks = 0; looks < FOLDER_LOOKS_MOST; looks++) {
        const struct dirent *entry = readdir(directory);
        if (entry == NULL)
            break;
        if (strncmp(entry->d_name, FOLDER_PREFIX, strlen(FOLDER_PREFIX)) != 0 ||
            strlen(entry->d_name) != strlen(FOLDER_NAME))
            continue;
        int folder = session_folder_open_stale(dirfd(directory), entry->d_name);
        if (folder < 0)
            continue;
        (void)unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
        (void)close(folder);
    }
    (void)closedir(directory);
}

struct error *session_folder_make(const char *directory, char ret_folder[static SESSION_PATH_BYTES],
                                  int *ret_lock)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *places[] = {directory, runtime != NULL ? runtime : "/tmp", "/tmp"};
    int reason = ENAMETOOLONG;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char folder[SESSION_PATH_BYTES];
        if (strlen(places[i]) + strlen("/" FOLDER_NAME) > FOLDER_MOST)
            continue;
        session_folder_clean(places[i]);
        (void)snprintf(folder, sizeof(folder), "%.90s/" FOLDER_NAME, places[i]);
        if (mkdtemp(folder) != NULL) {
            memcpy(ret_folder, folder, sizeof(folder));
            *ret_lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (*ret_lock >= 0)
                (void)flock(*ret_lock, LOCK_EX | LOCK_NB);
            return NULL;
        }
        reason = errno;
    }
    return error_errno(ERROR_IO, reason, "A folder for local sockets cannot be made below %s", directory);
}

void session_folder_remove(const char *folder, int lock)
{
    if (folder[0] != '\0')
        (void)rmdir(folder);
    if (lock >= 0)
        (void)close(lock);
}
