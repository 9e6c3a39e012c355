/* The daemon: the socket thread that brings requests, executor and owner together.
 *
 *     tunnel thread --- session --- socket thread (here) --- executor thread
 *                                        |
 *                                   site.db, which owner commands change
 *
 * One loop: the next event of the session (100 ms at most), reports of the executor, and then what is due:
 * changes that another process made to site.db are seen within 200 ms (decisions, trust), expired jobs within
 * a second, a changed policy.yaml within two. Runs in the foreground; the log goes to stderr.
 *
 * SIGTERM, SIGINT: the step in hand is abandoned, or finished when its release is being written, peers are
 * told, and the process ends within 5 s. SIGHUP: site.yaml, policy, certificate and trust lists are read
 * again; whatever cannot be read leaves the old in force and is logged. */
#pragma once

#include "datasite/log.h"
#include "schemas/error.h"

struct serve_options {
    const char *home;
    enum log_format log_format;
};

/* Returns when a signal asked to stop: NULL after SIGTERM, ERROR_INTERRUPTED after SIGINT. ERROR_CONFLICT
 * when another daemon serves this home. */
MUST_USE struct error *serve(const struct serve_options *options);
