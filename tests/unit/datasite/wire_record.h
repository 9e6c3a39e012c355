/* What sites send in secure aggregation in all tests of a program, as somebody sees it who sits on the line: site_ask
 * notes every message and its reply. What no site may ever do is judged when the program ends, and ends it with status 1:
 *
 *     both kinds of share of one peer in one slot        (given_record.h)
 *     two different statements about one round
 *     two different vectors in one slot
 *
 * Sites are told apart by their ids, which are others in every test. */
#pragma once

#include "datasite/requests.h"
#include "schemas/wire.h"

/* A site was sent `message` of this type, and replied. Refusals are counted. */
void wire_record_note(const struct site_id *site, uint32_t type, const ProtobufCMessage *message,
                      const struct reply *reply);
/* Shares that a site gave about a slot of a run. */
size_t wire_record_given(const struct site_id *site, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                         uint32_t slot);

struct wire_record_counts {
    size_t shares, both_kinds, statements, second_statements, vectors, second_vectors, refusals;
};
struct wire_record_counts wire_record_counts(void);

/* cmocka group tear-down: fails as well when nothing was given, signed or masked in any test. */
int wire_record_tear_down(void **state);
