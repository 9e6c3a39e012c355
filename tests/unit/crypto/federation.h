/* Some sites in one run of secure aggregation, for the tests of crypto/secagg*.h: identities, keys and keyset are real,
 * made anew in every test. */
#pragma once

#include "crypto/secagg_agree.h"

#include "scratch.h"

#define FEDERATION_SITES 5
#define FEDERATION_THRESHOLD 4
#define FEDERATION_SLOTS 2
#define FEDERATION_FIRST_SLOT 7
#define FEDERATION_WORDS 6
#define FEDERATION_MAX_SITES 140

struct federation {
    size_t sites;
    struct identity *identities[FEDERATION_MAX_SITES]; /* by position - 1, as everything below */
    struct site_id roster[FEDERATION_MAX_SITES];
    struct secagg_run run;
    struct secagg_secret secrets[FEDERATION_MAX_SITES][FEDERATION_SLOTS];
    struct secagg_advert adverts[FEDERATION_MAX_SITES];
    struct secagg_keyset *keyset;             /* federation_share */
    uint32_t everybody[FEDERATION_MAX_SITES]; /* 1, 2, … */
    struct secagg_attempt attempt; /* federation_mask: round 3, attempt 1, slot FEDERATION_FIRST_SLOT */
    struct digest digests[FEDERATION_MAX_SITES]; /* of the masked vectors */
    struct secagg_input inputs[FEDERATION_MAX_SITES];
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES]; /* federation_agree: over everybody's inputs */
    struct secagg_agreement agreements[FEDERATION_MAX_SITES];
};

/* cmocka set-up and tear-down: *state is a federation of FEDERATION_SITES after step 'advertise', 'share', 'mask' or 'agree'.
 * Tearing down fails if OpenSSL's error queue was left with something in it. */
int federation_advertise(void **state);
int federation_share(void **state);
int federation_mask(void **state);
int federation_agree(void **state);
int federation_tear_down(void **state);

/* A larger one, after 'mask'. */
struct federation *federation_new(size_t sites, size_t threshold);
void federation_free(struct federation *federation);

/* Another identity than any of its sites. */
struct identity *federation_stranger(void);
/* Signs the advert of a position again, after a change. */
void federation_sign_advert(struct federation *federation, uint32_t position);
/* Everybody, and an attempt like that of the federation but for what a test then changes. */
struct secagg_set federation_everybody(const struct federation *federation);
struct secagg_attempt federation_attempt(const struct federation *federation, uint32_t slot, uint32_t round,
                                         uint32_t attempt, struct secagg_set sharers, const char *model);
/* The input of a position, signed in another attempt than the federation's. */
struct secagg_input federation_input(const struct federation *federation,
                                     const struct secagg_attempt *attempt, uint32_t position);

#define FEDERATION_TEST(function, after)                                                                     \
    cmocka_unit_test_setup_teardown(function, federation_##after, federation_tear_down)
