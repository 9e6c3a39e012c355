/* For tests alone, by LD_PRELOAD: kills the process when it writes a line of its log that matches a pattern.
 *
 *     DATASITE_KILL_LINE=PATTERN    of fnmatch(3), for the whole line: *train-started*round=3*
 *
 * The line itself still reaches the log. Lines are written with fwrite, one a call (datasite/log.c). */
#include <dlfcn.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define LINE_BYTES 8192

typedef size_t writer(const void *bytes, size_t size, size_t count, FILE *stream);

static int kill_is_due(const void *bytes, size_t length)
{
    char line[LINE_BYTES];
    const char *pattern = getenv("DATASITE_KILL_LINE");
    if (pattern == NULL || length == 0 || length >= sizeof(line))
        return 0;
    memcpy(line, bytes, length);
    line[length] = '\0';
    return fnmatch(pattern, line, 0) == 0;
}

EXPORT size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream)
{
    writer *next = NULL;
    void *found = dlsym(RTLD_NEXT, "fwrite");
    memcpy(&next, &found, sizeof(next));
    size_t wrote = next(bytes, size, count, stream);
    if (kill_is_due(bytes, size * count)) {
        (void)fflush(stream);
        (void)kill(getpid(), SIGKILL);
    }
    return wrote;
}
