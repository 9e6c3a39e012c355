/* What two keys of one slot agreed on, for as long as it is asked for again: a site needs the secret that it shares with a
 * peer when it seals shares, when it opens those that it is given, and when it gives them up, and each time computing it
 * is the dearest part. The shared secret is a function of the two public keys alone, so that whoever finds it has what
 * computing it would have given.
 *
 * In memory, never on a disk; a fixed number of places, where what comes new takes the oldest one's; wiped when it is
 * overwritten, forgotten, too old, or freed. Nobody may rely on finding anything: after a start it is empty. Used by any
 * thread. */
#pragma once

#include "crypto/agreement.h"

#define AGREEMENT_MEMORY_RUN_BYTES 16

struct agreement_memory;

/* Which: two public keys, in any order, of a slot of a run. */
struct agreement_pair {
    uint8_t one[AGREEMENT_KEY_BYTES], other[AGREEMENT_KEY_BYTES];
    uint8_t run_id[AGREEMENT_MEMORY_RUN_BYTES];
    uint32_t slot;
};

/* `places`: a multiple of 8 (ERROR_INVALID). ERROR_MEMORY. */
MUST_USE struct error *agreement_memory_new(size_t places, struct agreement_memory **ret_memory);
/* The same once more, to be freed as often. */
struct agreement_memory *agreement_memory_share(struct agreement_memory *memory);
void agreement_memory_free(struct agreement_memory *memory); /* accepts NULL; the last one wipes */

/* False: it is not there. The caller wipes ret_shared. */
MUST_USE bool agreement_memory_find(struct agreement_memory *memory, const struct agreement_pair *pair,
                                    uint8_t ret_shared[static AGREEMENT_KEY_BYTES]);
void agreement_memory_keep(struct agreement_memory *memory, const struct agreement_pair *pair,
                           const uint8_t shared[static AGREEMENT_KEY_BYTES]);
/* Wipes what is of slots up to `slot` of this run, this one included. */
void agreement_memory_forget(struct agreement_memory *memory,
                             const uint8_t run_id[static AGREEMENT_MEMORY_RUN_BYTES], uint32_t slot);
/* Wipes what was kept before the call before this one. */
void agreement_memory_age(struct agreement_memory *memory);
