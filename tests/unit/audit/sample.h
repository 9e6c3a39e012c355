/* What the tests of this room share: the events and the receipt of tests/vectors/audit_chain.py, and receipts of a
 * site of the test's own. */
#pragma once

#include "audit/receipt.h"
#include "tests/unit/crypto/scratch.h"

#define SAMPLE_EVENTS 4

/* The event of the vectors with this number, 1 to SAMPLE_EVENTS. */
struct chain_event sample_event(uint64_t sequence);
/* hash(sequence) of the vectors, 0 to SAMPLE_EVENTS. */
struct digest sample_hash(uint64_t sequence);
/* The key and the site of the vectors. */
void sample_key(uint8_t ret_key[static PUBLIC_KEY_BYTES]);
struct site_id sample_site(void);
/* The signed receipt of event 3. */
struct receipt sample_receipt(void);

/* A site with a key in `directory`/keys; identity_free. */
struct identity *sample_identity(const char *directory);
/* A receipt of that site, signed, for this round. */
struct receipt sample_receipt_of(const struct identity *identity, uint32_t round);
