/* Secrets in memory that is given back: for tests that are linked with --wrap=free, which then looks into every block that
 * this project's code frees. Secrets are looked for in pieces of eight bytes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FREED_PIECES 128

/* Forgets what was looked for and found. */
void freed_reset(void);
/* `bytes` is a multiple of 8. Not while another thread frees. */
void freed_look_for(const void *secret, size_t bytes);
/* Blocks that were freed with a piece in them. */
size_t freed_found(void);
