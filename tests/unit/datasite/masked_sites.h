/* Four datasites without a network and one orchestrator, an identity that submits and signs: the steps of secure
 * aggregation of one run, for tests of what a site computes. Advertising, sharing and agreeing are done here with the
 * functions of crypto/ and store_secagg.h; Mask and Sum go through the sites' handlers and executors.
 *
 * Sites have different numbers of the rows of site.h. Positions are those of the roster, 1 to MASKED_SITES. */
#pragma once

#include "crypto/secagg_sum.h"
#include "datasite/secagg_vector.h"
#include "datasite/store_secagg.h"
#include "tests/unit/datasite/site.h"

#define MASKED_SITES 4
#define MASKED_THRESHOLD 3
#define MASKED_BATCH 8
#define MASKED_CELLS (SITE_CLASSES * SITE_CLASSES)

/* What a test wants in its job; zero fields take the defaults. */
struct masked_words {
    const char *name, *model, *training, *metrics, *weighting, *secure; /* secure: more keys, ", clip: 1" */
    uint32_t rounds;
    const char *runs;    /* NULL */
    const char *privacy; /* the keys of a mapping: "mechanism: distributed-dp, …"; NULL: none */
    const char *
        kind; /* of the model; NULL: softmax-regression. Of another one `training` and `metrics` are left out */
};

#define MASKED_EXAMPLES 1500 /* that each site declares in a private job */

/* One attempt at a round, as the orchestrator has it. */
struct masked_attempt {
    struct secagg_attempt about;
    uint32_t sharers[MASKED_SITES], contributors[MASKED_SITES];
    struct secagg_set u2, u3;
    uint8_t *inputs[MASKED_SITES]; /* of a contributor: MaskedInput.words */
    size_t bytes;
    struct secagg_input statements[MASKED_SITES]; /* [u3.count] */
    struct secagg_agreement agreements[MASKED_SITES];
    size_t agreement_count;
    struct secagg_opened *opened; /* [u2.count] */
    uint64_t *sum;                /* [about.words] */
};

struct masked_sites {
    struct site *sites[MASKED_SITES]; /* [position - 1] */
    struct identity *orchestrator;
    struct digest job_id;
    struct job *job;
    struct site_id roster[MASKED_SITES];
    struct secagg_run run;
    struct secagg_advert adverts[MASKED_SITES];
    struct secagg_secret secrets[MASKED_SITES][MASKED_BATCH];
    struct secagg_share own[MASKED_SITES][MASKED_BATCH];
    uint8_t *sealed[MASKED_SITES][MASKED_BATCH]; /* [MASKED_SITES - 1][SECAGG_SEALED_BYTES] */
    struct secagg_keyset *keyset;
    uint32_t first_slot;
    /* What driver.c asks with in the place of site_ask; NULL: that. */
    struct reply (*ask)(struct masked_sites *masked, uint32_t position, uint32_t type,
                        const ProtobufCMessage *message);
};

/* cmocka set-up and tear-down: *state is a struct masked_sites, whose sites are partners and have no job. */
int masked_make(void **state);
int masked_remove(void **state);
/* The policy of all sites, or of one (position 0: all), was changed by the test. */
void masked_policy(struct masked_sites *masked);

/* The job's text, for MASKED_SITES sites. */
void masked_text(const struct masked_sites *masked, const struct masked_words *words,
                 char ret_text[static SITE_JOB_BYTES]);
/* Submits and approves it at all sites, and begins the run with a batch of slots from 0. */
void masked_begin(struct masked_sites *masked, const struct masked_words *words);
/* That of the site at this position; approval_clear. */
void masked_approval(struct masked_sites *masked, uint32_t position, struct approval *ret_approval);
/* A batch of MASKED_BATCH slots. `absent` (a position, 0: nobody) takes no part. */
void masked_batch(struct masked_sites *masked, uint32_t first_slot, uint32_t absent);

/* The digest of the model that the site at this position has, for the round that it is of. */
struct secagg_model masked_model(struct masked_sites *masked, uint32_t position);
struct digest masked_zeros(void); /* of the zeros that every job begins with */
/* Of zeros of this many numbers, which a private job may begin with. */
struct digest masked_nothing(size_t count);

/* A Mask for one site, with the shares of the sharers in their order; `previous` may be NULL. */
struct masked_mask {
    uint32_t position, round, attempt, slot;
    struct digest model;
    const uint32_t *sharers;
    size_t sharer_count;
    Fds__Sum *previous;
    const uint8_t *parameters;
    size_t parameter_bytes;
    uint32_t spoil; /* a sharer whose sealed share is damaged; 0: none */
};
struct reply masked_ask(struct masked_sites *masked, const struct masked_mask *mask);
/* What an honest orchestrator asks of that site in round 1 of a job that begins with zeros, with all sites. */
struct masked_mask masked_first(uint32_t position);

/* A reply that is a refusal, and after which the site at this position has released no more than before. */
#define MASKED_REFUSED(masked, position, reply, code, words)                                                 \
    do {                                                                                                     \
        int64_t held = site_released((masked)->sites[(position)-1]);                                         \
        site_expect_refusal((reply), (code), (words));                                                       \
        assert_int_equal(site_released((masked)->sites[(position)-1]), held);                                \
    } while (0)

struct reply masked_ask_sum(struct masked_sites *masked, uint32_t position, Fds__Sum *sum);
/* MaskedInput.words of a reply that is taken over, of `bytes` bytes; malloc'ed. */
uint8_t *masked_opened(struct masked_sites *masked, uint32_t position, struct reply reply,
                       const struct secagg_attempt *about, struct secagg_input *ret_statement);

/* The whole of an attempt with the honest sites of `sharers`; those that are in `contributors` are asked for their vectors.
 * masked_attempt_clear. */
void masked_attempt_begin(struct masked_sites *masked, uint32_t round, uint32_t attempt, uint32_t slot,
                          const struct digest *model, const uint32_t *sharers, size_t sharer_count,
                          struct masked_attempt *ret_attempt);
void masked_collect(struct masked_sites *masked, struct masked_attempt *attempt, const uint32_t *contributors,
                    size_t count, Fds__Sum *previous);
/* Every contributor signs, and notes it. */
void masked_agree(struct masked_sites *masked, struct masked_attempt *attempt);
/* The secrets from the shares of the contributors, and the sum without masks. */
void masked_unmask(struct masked_sites *masked, struct masked_attempt *attempt);
/* The same from what each contributor revealed [u3.count], which is freed. */
void masked_open(struct masked_attempt *attempt, const struct secagg_unmasking *unmaskings);
void masked_attempt_clear(struct masked_attempt *attempt);
/* Steps collect, agree and unmask. */
void masked_round(struct masked_sites *masked, struct masked_attempt *attempt, const uint32_t *contributors,
                  size_t count, Fds__Sum *previous);

/* ---- masked_sum.c ---- */

/* The Sum that the orchestrator signs; with all evidence, and adverts if asked. Freed with wire_sum_free. */
Fds__Sum *masked_sum(struct masked_sites *masked, const struct masked_attempt *attempt, bool with_adverts);
/* Signs it anew after a test has changed it. */
void masked_sign(struct masked_sites *masked, const struct masked_attempt *attempt, Fds__Sum *sum);

/* The vector that the site stored for a round, without masks: words [count]; false when it has none. */
bool masked_vector(struct masked_sites *masked, uint32_t position, uint32_t round, uint64_t *ret_words,
                   size_t count);
