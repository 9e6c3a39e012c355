/* One datasite (site.h), the four partners it sums with, simulated with the functions of crypto/, and the researcher's
 * messages of one run of secure aggregation. What the executor does in step 'mask' is done here on site.db directly, so that
 * the steps of the socket thread are tested by themselves. Positions are those of the roster, 1 to COMPANY_SITES;
 * position `own` is the datasite's. */
#pragma once

#include "crypto/secagg_sum.h"
#include "datasite/store_secagg.h"
#include "tests/unit/datasite/site.h"

#define COMPANY_SITES 5
#define COMPANY_THRESHOLD 4
#define COMPANY_BATCH 3 /* slots of one; the job's key_batch */
#define COMPANY_ROUNDS 3
#define COMPANY_WORDS (1 + SITE_PARAMETERS + SITE_CLASSES * SITE_CLASSES)

struct company {
    struct site *site;
    struct identity *partners[COMPANY_SITES]; /* [position - 1]; NULL at `own` */
    struct site_id roster[COMPANY_SITES];
    uint32_t own;
    struct secagg_run run;
    uint32_t everybody[COMPANY_SITES];
    /* Of the batch in hand: */
    uint32_t first_slot;
    struct secagg_secret secrets[COMPANY_SITES][COMPANY_BATCH];
    struct secagg_share shares[COMPANY_SITES][COMPANY_BATCH]; /* its own of its own */
    struct secagg_advert adverts[COMPANY_SITES];              /* of the partners; of `own` once it answered */
    Fds__Advert *messages[COMPANY_SITES];                     /* the same */
    struct secagg_keyset *keyset;
    uint8_t *sealed[COMPANY_SITES][COMPANY_BATCH];
    /* Of the attempt in hand: */
    struct secagg_attempt attempt;
    uint32_t sharers[COMPANY_SITES], contributors[COMPANY_SITES];
    struct secagg_set u2, u3;
    uint64_t own_plain[COMPANY_WORDS], own_words[COMPANY_WORDS]; /* the datasite's vector, and under masks */
    uint64_t plain[COMPANY_WORDS], sum[COMPANY_WORDS];           /* of the contributors together */
    struct secagg_input inputs[COMPANY_SITES];                   /* [u3.count] */
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    struct secagg_agreement agreements[COMPANY_SITES]; /* [u3.count] */
    uint64_t ledger;                                   /* of the partners: raised with every batch */
};

/* cmocka set-up and tear-down: *state is a struct company whose job is approved; of `begun`, with one batch of slots from 0
 * that everybody has shared; of `masked`, whose datasite has given its vector of round 1, attempt 0, slot 0 (everybody
 * shares, all but the last partner contribute). */
int company_make(void **state);
int company_begun(void **state);
int company_masked(void **state);
int company_remove(void **state);

/* Submits and approves another job at the datasite; `more` is put into its mapping secure_aggregation. */
void company_job(struct company *company, const char *name, const char *more);

/* Messages to the datasite. */
struct reply company_say(struct company *company, uint32_t type, const ProtobufCMessage *message);
struct reply company_advertise(struct company *company, uint32_t first_slot, uint32_t count);
struct reply company_share(struct company *company);
struct reply company_agree(struct company *company);
struct reply company_unmask(struct company *company);
/* The messages themselves, for tests that change them; freed with protobuf's own function. */
Fds__Share *company_share_message(struct company *company);
Fds__Agree *company_agree_message(struct company *company);
Fds__Unmask *company_unmask_message(struct company *company);

/* A copy that a message owns; a reply that must be of this type. */
ProtobufCBinaryData company_copy(const void *bytes, size_t count);
void company_expect(const struct reply *reply, uint32_t type);

/* What the partners do. Adverts of the batch at `first_slot`, and that of the datasite, whose reply is taken over. */
void company_partners_advertise(struct company *company, uint32_t first_slot);
void company_take_advert(struct company *company, struct reply reply);
/* The keyset, the partners' shares, and those of the datasite, whose reply is taken over. */
void company_take_shares(struct company *company, struct reply reply);
/* All of it: a batch that everybody has shared. */
void company_batch(struct company *company, uint32_t first_slot);

/* Sets up an attempt: the datasite's vector as step 'mask' would leave it in site.db, and the partners' inputs. U2 and U3 are the
 * first so many partners, and the datasite. */
void company_mask(struct company *company, uint32_t round, uint32_t attempt, uint32_t slot, size_t sharers,
                  size_t contributors);
/* The same with the datasite's own step: the message for round 1, to be freed, and what follows from its answer, which is taken
 * over. */
Fds__Mask *company_mask_message(struct company *company, uint32_t attempt, uint32_t slot, size_t sharers);
void company_take_vector(struct company *company, struct reply reply, size_t contributors);
/* Sets U3 anew, and the inputs and the body that follow. */
void company_contributors(struct company *company, size_t contributors);
/* Takes the datasite's agreement, and makes those of the partners. */
void company_take_agreement(struct company *company, struct reply reply);
/* Takes what the datasite reveals, adds what the partners do, and checks that the sum is right. */
void company_take_unmasking(struct company *company, struct reply reply);
