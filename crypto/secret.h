/* Memory that holds secrets: wiped before it is given back, compared in constant time. */
#pragma once

#include "schemas/error.h"

#include <stddef.h>
#include <stdint.h>

/* Overwrites `bytes` bytes in a way that the compiler cannot remove; accepts NULL when bytes is 0. */
void secret_wipe(void *memory, size_t bytes);

/* Overwrites the 8 KiB of stack below its caller, where functions that have returned may have left what they worked with: for
 * those of other libraries that leave secrets there. */
void secret_wipe_stack(void);

/* True iff the two areas agree; takes the same time wherever they differ. */
MUST_USE bool secret_equal(const void *a, const void *b, size_t bytes);

/* Fills with bytes of the operating system's generator (OpenSSL's private DRBG); ERROR_CRYPTO if it fails. */
MUST_USE struct error *secret_random(void *memory, size_t bytes);
