/* A run under secure aggregation (crypto/secagg.h), as the engine sees it; for engine*.c only.
 *
 *     keys      engine_keys.c     Advertise, Share: a batch of key slots, made beside everything else: a site has a second
 *                                 request for it, and the next batch is made while sites train
 *     a round   engine_secagg.c   attempts, until enough sites have contributed to one
 *     attempt   engine_masked.c   a fresh slot, Mask to its sharers that are connected, the masked inputs
 *     seals     engine_seals.c    who is left out of a further attempt when sealed shares do not open
 *     unmask    engine_unmask.c   Agree, Unmask, of the one attempt that is finished
 *     sum       engine_sum.c      the sum, the next model, and what it tells sites that were away
 *
 * What the orchestrator knows of one site is in here, and there is nothing else: who answered which step, vectors under
 * masks, and shares of the secrets that a sum reveals.
 *
 * Once sites have been asked to agree, the round has this one outcome or none: it is never tried again. */
#pragma once

#include "orchestrator/engine_parts.h"

#include "crypto/fixed_point.h"
#include "crypto/secagg_sum.h"

/* For keys of a site that is connected, when enough others have given theirs: from the beginning of the step, and at least as
 * long again as those took, so that where all are slow a batch does not begin with the threshold alone. */
#define ENGINE_KEYS_MS 5000
#define ENGINE_UNMASK_MS 2000 /* for agreements and shares, when there are enough */
#define ENGINE_MEMO_PLACES 65536
#define ENGINE_SLOTS 4096 /* of one run: sites make no more */
/* Sums that a site which was away has to catch up with. */
#define ENGINE_SUMS_BYTES ((size_t)256 * 1024 * 1024)

/* What a site has done for a batch. */
enum key_part { KEYS_NOT_ASKED, KEYS_ASKED, KEYS_ADVERTISED, KEYS_SHARING, KEYS_SHARED, KEYS_MISSED };

/* One batch of key slots. Arrays are by position - 1. */
struct key_batch {
    unsigned users; /* who have it: freed with the last */
    uint32_t first_slot, slots, used;
    int64_t started; /* of the step in hand, monotonic ms */
    int64_t enough;  /* had done it then; 0: not yet */
    size_t sites;
    enum key_part *parts;
    struct secagg_advert *adverts; /* entries NULL: none */
    uint32_t *order;               /* positions, in the order in which adverts came */
    size_t advertised;
    struct secagg_keyset *keyset; /* NULL: adverts are still coming */
    Fds__Advert **messages;       /* [keyset->count], of its members */
    Fds__Shares **shares;         /* NULL: none */
    bool done;
};
void key_batch_release(struct key_batch *batch); /* accepts NULL */

/* One attempt of a round. Arrays are by position - 1. */
struct masked_attempt {
    struct key_batch *batch;
    uint32_t number;
    uint32_t *sharers;           /* U2 */
    struct secagg_attempt about; /* slot, context, … */
    uint32_t **neighbours;       /* of each sharer; NULL: no sharer */
    size_t *neighbour_counts;
    bool *here; /* whose input came */
    struct secagg_input *inputs;
    uint8_t **words;                  /* as they came, when sites check the sum; else NULL */
    uint64_t *sum;                    /* [about.words]: of all inputs that came */
    uint32_t *contributors;           /* U3, once it is fixed */
    struct secagg_input *contributed; /* their inputs, in that order */
    size_t contributor_count;
    char isolated[256]; /* why they do not do although they are enough, "" */
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    struct secagg_agreement *agreements; /* public keys are there; those that count are in `agreed` */
    bool *agreed;
    bool fixed; /* enough have agreed: sites are asked for shares */
    struct secagg_agreement *fixed_agreements;
    size_t fixed_count;
    struct secagg_revealed **revealed; /* NULL: none */
    size_t *revealed_counts;
    struct secagg_opened *opened;
};

/* The sum of a round, for sites that missed it. */
struct kept_sum {
    Fds__Sum *message; /* NULL: there is none any more */
    size_t bytes;
    struct key_batch *batch; /* of its adverts */
};

struct engine_secagg {
    struct secagg_run run;
    struct site_id *roster;
    struct engine_site **sites; /* by position - 1 */
    struct fixed_point plan;
    struct secagg_memo *memo;
    bool verify;  /* sites check sums */
    size_t least; /* contributors of a round */
    size_t cells; /* counts in a vector */
    uint32_t
        *accused; /* [sites]: whose sealed shares do not open, as the site said in this round; 0: nobody's */
    struct digest model_digest;              /* of the engine's model */
    uint8_t *initial;                        /* [8 * engine->count]: of a job that names a file; else NULL */
    struct key_batch *batch, *next, *making; /* in use; ready; being made */
    uint32_t next_slot;
    char keys_failed[ERROR_SENTENCE_BYTES]; /* why the last batch came to nothing, "" */
    struct masked_attempt *attempt;
    struct kept_sum *sums; /* [rounds], by round - 1 */
    /* Of a private job (engine_noised.h); NULL where it has none. */
    double *velocity; /* [engine->count] */
    uint8_t *state;   /* [16 * engine->count]: the model and its velocity, as their digest is made */
    double *average;  /* [engine->count]: of the models of the tail, so far */
    size_t sums_bytes;
};

/* engine_secagg.c */
MUST_USE struct error *engine_secagg_open(struct engine *engine);
void engine_secagg_close(struct engine *engine);
/* The round in hand: its attempts, its sum, its model. */
MUST_USE struct error *engine_secagg_round(struct engine *engine);
/* The round in hand is the evaluation after the last one: the counts of the last model, and no training. */
bool engine_secagg_evaluating(const struct engine *engine);
/* Sites that stand in the way, each with what it did, as far as the text goes. */
void engine_secagg_missing(const struct engine *engine, char *text, size_t bytes);

/* engine_keys.c */
/* Begins a batch with all sites that are ready; none is being made. */
MUST_USE struct error *engine_keys_begin(struct engine *engine);
/* Begins one if it will be needed, or if a site that is ready is in none. */
MUST_USE struct error *engine_keys_ahead(struct engine *engine);
/* The batch that the next slot is taken from: the next one when it is there and this one is used up, or lacks a site
 * that the next one has. */
void engine_keys_choose(struct engine *engine);
bool engine_keys_shared(const struct key_batch *batch, const struct engine_site *site);
/* What is due: requests, and steps whose time is over. *next is when to look again, at most. */
MUST_USE struct error *engine_keys_tend(struct engine *engine, int64_t *next);
/* The batch that is being made goes on without the site. */
void engine_keys_missed(struct engine *engine, struct engine_site *site, enum site_status status,
                        const char *reason);
void engine_keys_ask_later(struct engine_site *site);
/* engine_keys_answer.c */
MUST_USE struct error *engine_keys_answer(struct engine *engine, struct engine_site *site,
                                          const struct session_event *event);
void engine_keys_forget(struct engine *engine, struct engine_site *site);

/* engine_masked.c */
/* An attempt with the sharers that are connected, waited for until enough are; then their inputs. */
MUST_USE struct error *engine_masked_begin(struct engine *engine, uint32_t number);
MUST_USE struct error *engine_masked_collect(struct engine *engine);
/* Whether its contributors do for a sum: enough of them, each with enough neighbours among them. */
MUST_USE struct error *engine_masked_enough(struct engine *engine, bool *ret_enough);
/* How many sites could take part in a further attempt. */
size_t engine_masked_usable(const struct engine *engine);
void masked_attempt_free(struct masked_attempt *attempt); /* accepts NULL */
/* Whether the site was asked in this attempt. */
bool engine_masked_has(const struct engine *engine, const struct engine_site *site);
void engine_answer_masked(struct engine *engine, struct engine_site *site, const struct session_event *event);

/* engine_seals.c */
/* A Mask was refused: remembers whom the site accuses, if anybody. */
void engine_seals_refused(struct engine *engine, const struct engine_site *site, const struct error *said);
/* After an attempt: leaves out of the further ones who sealed badly, as far as that can be told; `again`: the round goes on with
 * another attempt. */
void engine_seals_weigh(struct engine *engine, bool again);

/* engine_unmask.c */
MUST_USE struct error *engine_unmask(struct engine *engine);
MUST_USE struct error *engine_answer_agreement(struct engine *engine, struct engine_site *site,
                                               const struct session_event *event);
void engine_answer_unmasking(struct engine *engine, struct engine_site *site,
                             const struct session_event *event);
void engine_unmask_refused(struct engine *engine, struct engine_site *site, const char *reason);

/* engine_sum.c */
/* Takes the masks off, makes the next model of it, and keeps the sum. */
MUST_USE struct error *engine_sum(struct engine *engine);
/* What the site has to have before it can be asked for the round in hand: its model. ERROR_NOT_FOUND when it can get it no
 * more, in a sentence. *ret_request: REQUEST_SUM, or REQUEST_MASK when it lacks at most the last sum. */
MUST_USE struct error *engine_sum_lacks(const struct engine *engine, const struct engine_site *site,
                                        enum request_kind *ret_request);
/* The message of a kept sum for one site; borrows. `adverts` that are set have to be taken off again. */
Fds__Sum engine_sum_message(const struct engine *engine, const struct engine_site *site, uint32_t round);
MUST_USE struct error *engine_answer_sum(struct engine *engine, struct engine_site *site,
                                         const struct session_event *event);

/* engine_secagg_request.c: a request of secure aggregation, made. */
MUST_USE struct error *engine_secagg_request(struct engine *engine, const struct engine_site *site,
                                             enum request_kind kind, Fds__Witness *presented,
                                             uint8_t **ret_bytes, size_t *ret_count);
