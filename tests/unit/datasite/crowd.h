/* One datasite (site.h) in a job of more members than are all neighbours of each other (crypto/secagg_graph.h). The other members
 * are simulated with the functions of crypto/, and so is the orchestrator; the datasite does every step through its handlers,
 * its executor and its airlock. Positions are those of the roster, 1 to `count`; position `own` is the datasite's. */
#pragma once

#include "crypto/secagg_sum.h"
#include "datasite/secagg_vector.h"
#include "tests/unit/datasite/site.h"

#define CROWD_BATCH 2 /* slots; the job's key_batch */
#define CROWD_CELLS (SITE_CLASSES * SITE_CLASSES)
#define CROWD_WORDS (1 + SITE_PARAMETERS + CROWD_CELLS)

/* The last step that a member does; the datasite stays. */
enum crowd_step {
    CROWD_NOTHING,
    CROWD_ADVERTISES,
    CROWD_SHARES,
    CROWD_MASKS,
    CROWD_AGREES,
    CROWD_UNMASKS,
};

struct crowd_member {
    struct identity *identity; /* of the datasite: borrowed */
    enum crowd_step last;
    struct secagg_secret secrets[CROWD_BATCH];
    /* Of the slot in hand, once asked for: */
    uint32_t *neighbours; /* [crowd->degree], ascending */
    uint8_t *sealed;      /* for them, in their order */
    struct secagg_share own;
    /* Of the attempt in hand: */
    uint8_t input[8 * CROWD_WORDS]; /* the vector under masks */
    uint64_t plain[CROWD_WORDS];
};

struct crowd {
    struct site *site;
    struct identity *orchestrator;
    size_t count;
    uint32_t own;
    struct crowd_member *members; /* [count], by position - 1 */
    struct site_id *roster;       /* [count] */
    struct job *job;
    struct secagg_run run;
    /* Of the batch in hand: */
    struct secagg_advert *adverts; /* [advert_count], ascending */
    size_t advert_count;
    struct secagg_keyset *keyset;
    uint8_t *own_sealed[CROWD_BATCH]; /* what the datasite sealed */
    size_t own_sealed_bytes[CROWD_BATCH];
    /* Of the slot in hand: */
    size_t degree, threshold; /* of the graph */
    /* Of the attempt in hand: */
    struct secagg_vector vector;
    double model[SITE_PARAMETERS]; /* that the round begins with */
    struct secagg_attempt attempt;
    uint32_t *sharers, *contributors; /* [count] */
    struct secagg_set u2, u3;
    struct secagg_input *inputs;         /* [u3.count] */
    struct secagg_agreement *agreements; /* [agreement_count] */
    size_t agreement_count;
    struct secagg_opened *opened;                  /* [u2.count] */
    uint64_t plain[CROWD_WORDS], sum[CROWD_WORDS]; /* of the contributors: added in clear; from the shares */
};

/* A job of so many members, n_c of them colluding, that is approved at the datasite. */
struct crowd *crowd_new(size_t count, uint32_t colluding);
void crowd_free(struct crowd *crowd);

/* Everybody stays to the end. */
void crowd_return(struct crowd *crowd);
/* The next `count` members from `from` on that are not the datasite and stay leave after this step. The position behind them. */
uint32_t crowd_leave(struct crowd *crowd, uint32_t from, size_t count, enum crowd_step last);

/* ---- keys ---- */

/* The adverts of a batch, of all who advertise; then the datasite's shares. */
void crowd_adverts(struct crowd *crowd, uint32_t first_slot);
void crowd_batch(struct crowd *crowd, uint32_t first_slot);
Fds__Share *crowd_share_message(struct crowd *crowd);
void crowd_take_shares(struct crowd *crowd, struct reply reply);
/* The datasite's or another member's neighbours in the slot in hand: [crowd->degree]. */
struct secagg_set crowd_neighbours(struct crowd *crowd, uint32_t position);
/* Has a member share its secrets of that slot. */
void crowd_shared(struct crowd *crowd, uint32_t position);
/* What `from` sealed for `to`, its neighbour, in the slot in hand. */
const uint8_t *crowd_sealed(struct crowd *crowd, uint32_t from, uint32_t to);

/* ---- a round ---- */

/* Takes a slot in hand, for an attempt of a round that begins with crowd->model; U2 is who shares. */
void crowd_begin(struct crowd *crowd, uint32_t round, uint32_t attempt, uint32_t slot);
/* Takes over `previous`, which may be NULL. */
Fds__Mask *crowd_mask_message(struct crowd *crowd, Fds__Sum *previous);
/* The datasite's vector, under masks and, from site.db, without. */
void crowd_take_vector(struct crowd *crowd, struct reply reply);
/* U3 is who masks: with their vectors, or, for what goes no further than Agree, with digests of nothing. */
void crowd_contribute(struct crowd *crowd);
void crowd_claim(struct crowd *crowd);
/* Agree, Unmask, and what the other members do at that step. */
struct reply crowd_agree(struct crowd *crowd);
void crowd_take_agreement(struct crowd *crowd, struct reply reply);
struct reply crowd_unmask(struct crowd *crowd);
/* Fails unless the sum that the shares give is, word for word, that of the integers. */
void crowd_take_unmasking(struct crowd *crowd, struct reply reply);
/* The Sum that the orchestrator signs; then crowd->model is that of the round after. */
Fds__Sum *crowd_sum(struct crowd *crowd);

struct reply crowd_say(struct crowd *crowd, uint32_t type, const ProtobufCMessage *message);
