/* A cohort: n sites of secure aggregation in one process, with nothing but crypto/ below them. Each simulated site
 * keeps what a real one keeps in its database: its keys, the shares it opened, its encoded vector, the one agreement of a
 * round, and of whom it gave which kind of share. Steps of a site (cohort_site_…) return what the site would answer, so that a
 * test can play an orchestrator that lies; cohort_round is the honest orchestrator. Whatever a site gives away goes into
 * given_record_of_all(). */
#pragma once

#include "crypto/secagg_sum.h"
#include "given_record.h"

#include <stdlib.h>
#include <string.h>

struct cohort_shape {
    size_t sites, threshold, colluding, words;
    enum mask_ring ring;
    size_t slots; /* of a batch */
    size_t
        verifying; /* so many sites check adverts, inputs and agreements themselves; 0: all. The others take what the first found */
};

struct cohort_site {
    struct identity *identity;
    uint8_t public_key[PUBLIC_KEY_BYTES];
    struct secagg_secret *secrets; /* [slots] of the open batch */
    struct secagg_share *held;     /* [sites], by dealer, of the slot that is open */
    uint64_t *vector;              /* [words], encoded */
    struct digest digest;          /* of the masked vector of the attempt */
    uint32_t agreed_round;         /* 0: none */
    uint8_t agreed[SECAGG_AGREEMENT_BODY_BYTES];
    uint8_t *given; /* [sites] of the slot that is open: a bit a kind */
};

/* The steps after which a site may be gone. */
enum cohort_step { COHORT_ADVERTISE, COHORT_SHARE, COHORT_MASK, COHORT_AGREE, COHORT_UNMASK, COHORT_STAYS };

struct cohort {
    struct cohort_shape shape;
    struct secagg_run run;
    struct site_id *roster;
    struct cohort_site *sites; /* [sites], by position - 1 */
    struct secagg_memo *memo;
    struct secagg_advert *adverts; /* [sites], of those who advertised, ascending */
    size_t advert_count;
    struct secagg_keyset *keyset;
    uint32_t next_slot, slot; /* slot: that is open */
    uint8_t **sealed;         /* [sites]: what a site sealed for its neighbours */
    uint32_t **neighbours;    /* [sites] */
    size_t degree;
    uint32_t *sharers, *contributors; /* room for [sites]; what the sets below point to */
    struct secagg_attempt attempt;
    struct secagg_set u3;
    struct secagg_input *inputs; /* [u3.count] */
    uint64_t *sum;               /* [words] of the masked vectors of U3 */
};

void cohort_open(struct cohort *cohort, const struct cohort_shape *shape);
void cohort_close(struct cohort *cohort);
/* Numbers of a test: the same in every run. */
uint64_t cohort_random(uint64_t *seed);

/* ---- the honest orchestrator, step by step; a site takes part in a step if it leaves later ---- */

/* A batch of slots; every site that verifies makes the keyset, and all are the same. */
void cohort_advertise(struct cohort *cohort, const uint8_t *leaves);
/* Makes a slot the open one: every site seals its shares. */
void cohort_share(struct cohort *cohort, uint32_t slot, const uint8_t *leaves);
/* U2: who has shared. All of them open what they got. */
MUST_USE struct error *cohort_begin(struct cohort *cohort, uint32_t round, uint32_t attempt,
                                    const uint8_t *leaves);
/* U3: who masks. */
MUST_USE struct error *cohort_mask(struct cohort *cohort, const uint8_t *leaves);
/* *ret_agreements [*ret_count], malloc'ed. */
MUST_USE struct error *cohort_agree(struct cohort *cohort, const uint8_t *leaves,
                                    struct secagg_agreement **ret_agreements, size_t *ret_count);
/* What all give; *ret_unmaskings [*ret_count] is freed by cohort_unmaskings_free. */
MUST_USE struct error *cohort_unmask(struct cohort *cohort, const uint8_t *leaves,
                                     const struct secagg_agreement *agreements, size_t agreement_count,
                                     struct secagg_unmasking **ret_unmaskings, size_t *ret_count);
void cohort_unmaskings_free(struct secagg_unmasking *unmaskings, size_t count);
/* Leaves the sum in cohort->sum. */
MUST_USE struct error *cohort_sum(struct cohort *cohort, const struct secagg_unmasking *unmaskings,
                                  size_t count);

/* All steps from share on, in a fresh slot; words of the sum in cohort->sum. A failure is the first of any site. */
MUST_USE struct error *cohort_round(struct cohort *cohort, uint32_t round, uint32_t attempt,
                                    const uint8_t *leaves);
/* The sum of what the contributors encoded, made in clear; malloc'ed [words]. */
uint64_t *cohort_expected(const struct cohort *cohort);

/* ---- one site ---- */

/* Masks, with what the site was told; adds to nothing. `ret_words` [words]. */
MUST_USE struct error *cohort_site_mask(struct cohort *cohort, const struct secagg_attempt *attempt,
                                        uint32_t position, uint64_t *ret_words,
                                        struct secagg_input *ret_input);
/* One agreement a round, ever. */
MUST_USE struct error *cohort_site_agree(struct cohort *cohort, const struct secagg_attempt *attempt,
                                         uint32_t position, const struct secagg_input *inputs, size_t count,
                                         struct secagg_agreement *ret_agreement);
/* `contributors` must be those agreed to. The caller frees ret_unmasking->revealed. */
MUST_USE struct error *cohort_site_unmask(struct cohort *cohort, const struct secagg_attempt *attempt,
                                          uint32_t position, const struct secagg_input *inputs, size_t count,
                                          const struct secagg_agreement *agreements, size_t agreement_count,
                                          struct secagg_unmasking *ret_unmasking);
