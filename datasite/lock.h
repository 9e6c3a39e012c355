/* The lock of a home: held (flock) by the one daemon that serves it, with its process id inside for people.
 * The system lets go of it when the process ends, however that happens. */
#pragma once

#include "schemas/error.h"

#include <sys/types.h>

/* ERROR_CONFLICT, with the pid, when another process holds it. *ret_fd is closed to let go. */
MUST_USE struct error *lock_take(const char *path, int *ret_fd);

/* The process that holds the lock, or 0. */
MUST_USE struct error *lock_holder(const char *path, pid_t *ret_pid);
