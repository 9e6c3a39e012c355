/* SIGINT, SIGTERM and SIGHUP as a flag and a file descriptor, so that a loop can end its step in order. */
#pragma once

#include "schemas/error.h"

/* Installs the handlers (process-wide; called once, early, by verbs that run long) and ignores SIGPIPE. */
MUST_USE struct error *interrupt_install(void);
/* The signal that asked to stop (SIGINT or SIGTERM), or 0. Async-signal-safe state, read from any thread. */
int interrupt_requested(void);
/* True once after each SIGHUP. */
MUST_USE bool interrupt_reload(void);
/* Becomes readable on any of these signals; interrupt_drain empties it. */
int interrupt_fd(void);
void interrupt_drain(void);
