/* Everything that sites send and are sent in secure aggregation, in all tests of a program, as somebody sees it who sits on the
 * line. What no site may ever do is asserted over all of it when the program ends (wire_record_tear_down):
 *
 *     both kinds of share of one peer in one slot        (given_record.h)
 *     two different statements about one round
 *     two different vectors in one slot
 *
 * Runs are told apart by their ids, so that each test needs its own. Cohorts of up to SECAGG_COMPLETE sites. */
#pragma once

#include "datasite/requests.h"
#include "schemas/wire.h"

/* The site at this position of the roster was sent `message` of this type, and replied. Refusals are counted. */
void wire_record_note(uint32_t position, uint32_t type, const ProtobufCMessage *message,
                      const struct reply *reply);
/* Shares that sites gave about a slot of a run. */
size_t wire_record_given(const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t slot);

struct wire_record_counts {
    size_t shares, both_kinds, statements, second_statements, vectors, second_vectors, refusals;
};
struct wire_record_counts wire_record_counts(void);

/* cmocka group tear-down. */
int wire_record_tear_down(void **state);
