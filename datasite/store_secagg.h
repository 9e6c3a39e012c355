/* What a site remembers of secure aggregation (schemas/sql/datasite_003.sql), as functions. Each that changes something
 * does so inside the transaction that is open, or in one of its own, and raises the count of keys/secagg.count; the
 * rules that protect secrets are in here and not with the callers:
 *
 *     slot   open --bind (one context)--> bound --reveal--> revealed        secrets are erased
 *              \------------------- kill ---------------------> dead        likewise
 *     round  encoded --agree (once, ever)--> agreed
 *     peer   one kind of share a slot, ever (store_secagg_reveal)
 *
 * Blobs are what crypto/secagg*.h and the wire make; they are owned by whom they are returned to. */
#pragma once

#include "crypto/secagg_agree.h"
#include "datasite/store.h"

/* Attempts count from 0; in sentences for people from 1. */
#define STORE_SECAGG_ATTEMPTS 8 /* attempts of one round */
#define STORE_SECAGG_SLOTS 4096 /* slots of one run that may ever be advertised */

/* Several of these, and events, in one transaction: BEGIN IMMEDIATE, then commit (on the disk when it returns) or
 * rollback, which accepts that nothing is open. */
MUST_USE struct error *store_secagg_begin(struct store *store);
MUST_USE struct error *store_secagg_commit(struct store *store);
void store_secagg_rollback(struct store *store);

/* ---- batches ---- */

struct secagg_batch {
    uint32_t first_slot, slots;
    uint8_t *advert, *keyset, *shares; /* NULL: not yet */
    size_t advert_bytes, keyset_bytes, shares_bytes;
};
void secagg_batch_clear(struct secagg_batch *batch);
/* The batch that begins with, or contains, the slot. ERROR_NOT_FOUND. */
MUST_USE struct error *store_secagg_batch(struct store *store,
                                          const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t slot,
                                          struct secagg_batch *ret_batch);
/* Slots [slots] with fresh secrets, and the advert. ERROR_REFUSED when any was advertised before or first_slot is not
 * above all of them, and when site.db was found restored since the job was approved (what was signed in between is not
 * known); ERROR_LIMIT beyond STORE_SECAGG_SLOTS. */
MUST_USE struct error *store_secagg_advertise(struct store *store, const struct digest *job_id,
                                              const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                              uint32_t first_slot, size_t slots,
                                              const struct secagg_secret *secrets, const uint8_t *advert,
                                              size_t advert_bytes);
/* Keyset, bundle, and own shares [slots] of a batch that has none yet: ERROR_REFUSED. */
MUST_USE struct error *store_secagg_share(struct store *store,
                                          const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                          uint32_t first_slot, const struct secagg_share *own,
                                          const uint8_t *keyset, size_t keyset_bytes, const uint8_t *shares,
                                          size_t shares_bytes);

/* ---- slots ---- */

enum secagg_slot_state { SECAGG_SLOT_OPEN, SECAGG_SLOT_BOUND, SECAGG_SLOT_REVEALED, SECAGG_SLOT_DEAD };
struct secagg_slot {
    enum secagg_slot_state state;
    struct secagg_secret secret; /* of an open or bound one */
    struct secagg_share own;
    bool shared;
    uint32_t round, attempt; /* of a bound one */
    struct digest context;
    uint32_t *sharers;
    size_t sharer_count;
    uint8_t *sealed, *revealed;
    size_t sealed_bytes, revealed_bytes;
};
void secagg_slot_clear(struct secagg_slot *slot); /* wipes */
MUST_USE struct error *store_secagg_slot(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                         uint32_t slot, struct secagg_slot *ret_slot);
/* Whether a slot of this site served, or serves, the attempt. */
MUST_USE struct error *store_secagg_served(struct store *store,
                                           const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                           uint32_t attempt, bool *ret_served);
/* Binds an open slot that has its shares; the same binding again changes nothing, another is ERROR_REFUSED. So is an attempt of
 * an agreed round, an attempt or a round before the latest that is bound, and an attempt from STORE_SECAGG_ATTEMPTS on. */
MUST_USE struct error *store_secagg_bind(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                         uint32_t slot, uint32_t round, uint32_t attempt,
                                         const struct digest *context, struct secagg_set sharers,
                                         const uint8_t *sealed, size_t sealed_bytes);
/* Notes which shares are given and the answer that has them, then erases the slot's secrets. ERROR_REFUSED when any share
 * was given for any of the peers, or the slot is not bound, or is not that of the attempt which the round's agreement
 * is about. */
MUST_USE struct error *store_secagg_reveal(struct store *store,
                                           const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t slot,
                                           const struct secagg_revealed *revealed, size_t count,
                                           const uint8_t *answer, size_t answer_bytes);
/* Erases the secrets of every slot of the run below `slot` that is not bound, or of all slots that are not revealed, with
 * the run's vectors and its model (UINT32_MAX). The functions of store.h that end, revoke or expire a run do that
 * themselves. */
MUST_USE struct error *store_secagg_kill(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                         uint32_t slot);
/* Every slot of every run: after a restore, or a contradiction. *ret_killed: how many were open or bound. */
MUST_USE struct error *store_secagg_kill_all(struct store *store, uint32_t *ret_killed);

/* ---- rounds ---- */

struct secagg_round {
    struct digest model_digest;
    uint8_t *
        encoded; /* words as mask_write gives them; NULL once this or a later round is agreed, or there is its sum */
    size_t encoded_bytes;
    bool agreed;
    uint32_t attempt;
    uint8_t agreement[SECAGG_AGREEMENT_BODY_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
    uint32_t *contributors; /* U3 of the agreement; NULL before */
    size_t contributor_count;
    uint8_t *inputs; /* that came with it, as whoever agreed kept them; NULL: none, or the run is over */
    size_t inputs_bytes;
};
void secagg_round_clear(struct secagg_round *round); /* wipes */
/* ERROR_NOT_FOUND. */
MUST_USE struct error *store_secagg_round(struct store *store, const struct digest *job_id,
                                          const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                          struct secagg_round *ret_round);
/* The same without the vector, which may be large: `encoded` is NULL. */
MUST_USE struct error *store_secagg_round_alone(struct store *store, const struct digest *job_id,
                                                const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                                uint32_t round, struct secagg_round *ret_round);
/* The vector of a round, once: ERROR_CONFLICT when there is one. */
MUST_USE struct error *store_secagg_encode(struct store *store, const struct digest *job_id,
                                           const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                           const struct digest *model_digest, const uint8_t *encoded,
                                           size_t encoded_bytes);
/* The one statement of a round, and what is kept with it (secagg_round.inputs; may be NULL): the same statement again changes
 * nothing, another is ERROR_REFUSED, also where only an event
 * "round-agreed" tells of it. The attempt's slot is bound, else ERROR_REFUSED. Erases the vector, and the round's slots of other
 * attempts. The caller adds the event, in the same transaction. */
MUST_USE struct error *store_secagg_agree(struct store *store, const struct digest *job_id,
                                          const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                          uint32_t attempt, struct secagg_set contributors,
                                          const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES],
                                          const uint8_t signature[static SIGNATURE_BYTES],
                                          const uint8_t *inputs, size_t inputs_bytes);

/* A round that this site has agreed to and whose contributors are nearly those of another sum. */
struct secagg_near {
    uint32_t round;     /* 0: there is none */
    size_t differences; /* sites that contributed to one of the two alone */
};
/* Looks at all rounds of the job, of whichever run, but this one, for contributors that differ from `contributors` by 1 to `most`
 * sites (a site that is in one of the two sets alone counts once); the nearest.
 *
 * Why `most` is tolerate_colluding + 1, what policy.yaml's `differences: refuse` asks with: subtracting the two sums leaves those
 * sites' vectors alone as far as the others' are the same, which the number of rows and the labels' counts are in
 * every round, and the whole vector is when the model did not move. Up to n_c of them may be known to the orchestrator, so
 * that of n_c + 1 one honest site's are left by themselves; of n_c + 2 there are at least two honest ones, which is what the
 * threshold promises of a sum too (threshold - n_c >= 2). No difference tells nothing that one sum does not.
 *
 * It holds when all honest sites of the roster refuse: each sum was opened on signatures of `threshold` sites, two such sets
 * have more than n_c in common (2 * threshold > n + n_c), so an honest one among them, which has signed both. It
 * compares pairs: what three sums and more give together (S1 - S2 + S3) it does not look at, nor other jobs. */
MUST_USE struct error *store_secagg_near(struct store *store, const struct digest *job_id,
                                         const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                         struct secagg_set contributors, size_t most,
                                         struct secagg_near *ret_near);

/* ---- the model between rounds ---- */

struct secagg_model {
    uint32_t round; /* that starts from it */
    struct digest digest;
    uint8_t *parameters; /* float64, little-endian: the model, and of distributed-dp its velocity behind it */
    size_t bytes;
};
void secagg_model_clear(struct secagg_model *model);
/* ERROR_NOT_FOUND; ERROR_UNTRUSTED when the parameters are not those of their digest, or, from round 2 on, the digest is
 * not that of the run's last event sum-taken. What binds that of round 1 is the job: secagg_model_first. */
MUST_USE struct error *store_secagg_model(struct store *store,
                                          const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                          struct secagg_model *ret_model);
/* ERROR_UNTRUSTED: what a person is told of a stored model that is not the one that was computed. */
MUST_USE struct error *store_secagg_model_edited(void);
/* Replaces the one of the round before, or is the first (round 1): ERROR_CONFLICT. Whoever can compute it has the sum of the
 * round before: bound slots of that and of earlier rounds are erased, and their vectors, agreed to or not. The event
 * sum-taken is of the same transaction. */
MUST_USE struct error *store_secagg_set_model(struct store *store,
                                              const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                              const struct secagg_model *model);

/* ---- other sites' ledgers ---- */

/* The head of its chain of events that another site's advert names. */
struct secagg_head {
    struct site_id site;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    uint32_t first_slot; /* of the advert's batch */
    uint64_t sequence;
    struct digest hash;
};
/* ERROR_REFUSED, naming the fingerprint, where a site whose database was never put back cannot have signed it: another head of
 * the same number was seen; or, in the same run, one as high with a lower first slot, or as low with a higher one (a site advertises
 * slots in ascending order, and every time its chain grows); or one as high in a run that had ended here before this one
 * began. Heads of runs that go on side by side come in any order and say nothing. Keeps the one of each run's highest
 * slots. */
MUST_USE struct error *store_secagg_ledger(struct store *store, const struct secagg_head *head);

/* ---- restored files ---- */

/* To be called when the daemon opens its home: where keys/secagg.count and the database disagree, or one of the two files
 * is another than it was (device, inode, time of birth), every slot dies, with an event. Makes the file at the first
 * start. From here on this store raises its number. */
MUST_USE struct error *store_secagg_check_count(struct store *store, const char *keys_directory, int64_t now,
                                                uint32_t *ret_killed);
/* The store raises that file's number whenever its transactions that changed these tables have committed; for every other
 * store of the home that is written to. No file: nothing, until the daemon has made it. */
MUST_USE struct error *store_secagg_count_in(struct store *store, const char *keys_directory);
/* What was erased stays in the write-ahead log until that is emptied, which each commit that erased tries; while others
 * read, it is left for later: to be called now and then, which the daemon does every second and when it starts. Steps 'agree'
 * and 'unmask' leave it to that, or to the first such step when what was erased is SECAGG_WIPE_MS old: emptying the log is
 * 7 % of what a short round takes the site on the processor, and what they erase was there since the batch of slots was made. Also
 * what another store of this process, or a command, has erased and could not empty the log of: where others have committed since
 * the call before, the log is emptied. */
#define SECAGG_WIPE_MS 1000
MUST_USE struct error *store_secagg_wipe(struct store *store);
