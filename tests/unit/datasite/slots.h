/* A site.db with one job and one run of it, and key slots whose secrets are random bytes that a test can look for in the
 * file. No network, no rows of data. */
#pragma once

#include "datasite/store_secagg.h"
#include "tests/unit/datasite/workspace.h"

#define SLOTS_NOW 1790000000
#define SLOTS_MOST 256

struct slots {
    struct workspace *workspace;
    struct store *store;
    struct digest job;
    uint8_t run[STORE_RUN_ID_BYTES];
    struct secagg_secret secrets[SLOTS_MOST]; /* of every slot that was advertised */
    struct secagg_share shares[SLOTS_MOST];   /* and its own shares */
};

/* cmocka set-up and tear-down: *state is a struct slots. */
int slots_make(void **state);
int slots_remove(void **state);

/* Steps of the run that succeed; with the functions of store_secagg.h. Sealed shares are long enough for pages of their own. */
void slots_advertise(struct slots *slots, uint32_t first, size_t count);
void slots_share(struct slots *slots, uint32_t first, size_t count);
struct error *slots_bind(struct slots *slots, uint32_t slot, uint32_t round, uint32_t attempt);
struct error *slots_encode(struct slots *slots, uint32_t round, const uint8_t *encoded, size_t bytes);
/* The body is 128 times `mark`. */
struct error *slots_agree(struct slots *slots, uint32_t round, uint32_t attempt, uint8_t mark);
/* Of peers 1 (b), 2 (b), 3 (s). */
struct error *slots_reveal(struct slots *slots, uint32_t slot);
enum secagg_slot_state slots_state(struct slots *slots, uint32_t slot);

/* In site.db or its write-ahead log, as they are on the disk. */
bool slots_on_disk(const struct slots *slots, const void *bytes, size_t count);
/* SQL that must work; that must not. */
void slots_sql(struct slots *slots, const char *sql);
int64_t slots_count(struct slots *slots, const char *sql);
