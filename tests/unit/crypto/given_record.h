/* Who gave which kind of share of whom, as anybody saw it who listens to all that sites send: kept for a whole test
 * program, so that one assertion at its end speaks of all tests. A node that ever gives both kinds of one peer in one
 * slot has unmasked that peer. */
#pragma once

#include "crypto/secagg_agree.h"

struct given_record;
struct given_record *given_record_new(void);
void given_record_free(struct given_record *record); /* accepts NULL */

/* All tests of a program share this one. */
struct given_record *given_record_of_all(void);

/* Site `giver` of the run gave shares about a slot. */
void given_record_add(struct given_record *record, const uint8_t run_id[static SECAGG_RUN_ID_BYTES],
                      uint32_t slot, uint32_t giver, const struct secagg_revealed *revealed, size_t count);
/* How many shares, repeated ones counted once. */
size_t given_record_count(const struct given_record *record);
/* How many times a giver gave both kinds of one peer in one slot. */
size_t given_record_both(const struct given_record *record);
/* In one slot of a run. */
size_t given_record_in_slot(const struct given_record *record,
                            const uint8_t run_id[static SECAGG_RUN_ID_BYTES], uint32_t slot);

/* cmocka group tear-down: over all tests, something was given, and never both kinds. */
int given_record_tear_down(void **state);
