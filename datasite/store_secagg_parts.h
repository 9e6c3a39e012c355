/* What the store_secagg*.c files share, and those that end runs. Nobody else includes it. */
#pragma once

#include "datasite/store_internal.h"
#include "datasite/store_secagg.h"

/* A change of these tables, inside the transaction that is open or in one of its own:
 *
 *     struct secagg_change change;
 *     TRY(secagg_change_begin(store, &change));
 *       … statements …
 *     TRY(secagg_change_end(store, &change));
 * done:
 *     secagg_change_undo(store, &change, err);
 */
struct secagg_change {
    bool own;
};
MUST_USE struct error *secagg_change_begin(struct store *store, struct secagg_change *ret_change);
MUST_USE struct error *secagg_change_end(struct store *store, struct secagg_change *change);
void secagg_change_undo(struct store *store, const struct secagg_change *change, const struct error *err);

/* Counts the transaction that is open as one that changed these tables; once. ERROR_REFUSED when the file of the count says
 * that site.db was restored; not for `erasing`, which is right in any case. */
MUST_USE struct error *secagg_count_raise(struct store *store, bool erasing);
/* The event of a change that would be the first is refused when site.db was found restored after the job was approved. */
MUST_USE struct error *secagg_count_trusts(struct store *store, const struct digest *job_id);
/* Something secret was overwritten in the transaction that is open: after its commit the write-ahead log is emptied. */
void secagg_erased(struct store *store);
/* What is erased in the transaction that is open leaves the log with the next store_secagg_wipe, or with the first commit that
 * erases when it is SECAGG_WIPE_MS old: for steps 'agree' and 'unmask', which come with every round, while emptying the log
 * writes all its pages to the disk. Seconds before, the same secrets were there for their use, since a batch of slots. */
void secagg_erased_patiently(struct store *store);
void secagg_count_watch(struct store *store); /* by store_open: database_when_ended */
void secagg_count_close(struct store *store);

/* Copies a blob column; NULL stays NULL. */
MUST_USE struct error *secagg_take_blob(struct query *query, int column, uint8_t **ret_bytes,
                                        size_t *ret_count);
void secagg_bind_blob(struct query *query, const void *bytes, size_t count); /* NULL binds NULL */
/* A list of positions, u32 little-endian each; malloc'ed. */
MUST_USE struct error *secagg_take_positions(struct query *query, int column, uint32_t **ret_positions,
                                             size_t *ret_count);
MUST_USE struct error *secagg_put_positions(struct secagg_set set, uint8_t **ret_bytes, size_t *ret_count);
/* Wipes and frees. */
void secagg_drop(uint8_t *bytes, size_t count);

/* How many are not revealed and not dead: of a run from `below` on downwards, bound ones only with `bound`. Their secrets are
 * zeros afterwards, and they are dead. */
MUST_USE struct error *secagg_slots_kill(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                         uint32_t below, bool bound);
/* Bound slots of the run that serve rounds up to `round`, except those of (round, attempt) when it is not UINT32_MAX. */
MUST_USE struct error *secagg_slots_settle(struct store *store,
                                           const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                           uint32_t attempt);
/* In the transaction that ends a run: every slot dies, and what is of no use any more goes. */
MUST_USE struct error *secagg_run_over(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES]);
/* Whether the round is agreed, by the table and by the events. */
MUST_USE struct error *secagg_round_agreed(struct store *store,
                                           const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                           bool *ret_agreed);
