/* A site's part of secure aggregation, built on crypto/ and kept in memory: what a scripted site answers with. It checks
 * what it is sent as a real one has to, so that a wrong request of the engine is a refusal. The shares that all sites of a program gave away are in
 * given_record_of_all(); an engine that ever got both kinds of one peer ends the program with status 1. */
#pragma once

#include "crypto/identity.h"
#include "schemas/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SECURE_ROUNDS 9 /* and the evaluation after them */
#define SECURE_WORDS 13 /* 1 + 8 parameters + 4 counts */

struct secure_log {
    int adverts, shares, masks, agreements, unmaskings, sums;
    uint32_t slots; /* advertised */
    uint64_t encoded[SECURE_ROUNDS + 1]
                    [SECURE_WORDS]; /* by round; of a private job parameters, then counts */
    uint32_t last_attempt;
    char refused[512]; /* what it last found wrong with a request, "" */
};

/* What it adds to the model, and claims. */
struct secure_numbers {
    double step;
    uint64_t examples;
    uint64_t counts[4];
    bool
        trusts; /* takes the signatures of other sites over inputs and contributors for good: they cost the most where many sites
                    are in one process, and some that check them are enough */
};

struct secure_site;
MUST_USE struct error *secure_site_new(const struct identity *identity, const struct secure_numbers *numbers,
                                       struct secure_site **ret_site);
void secure_site_free(struct secure_site *site); /* accepts NULL */
/* The job, as it was submitted. */
MUST_USE struct error *secure_site_job(struct secure_site *site, const uint8_t *bytes, size_t count);
/* The position of the next site of the roster. */
uint32_t secure_site_other(const struct secure_site *site);
const struct secure_log *secure_site_log(const struct secure_site *site);

/* How an answer is spoiled: a share by the first site of the roster alone. */
enum secure_spoil {
    SECURE_GOOD,
    SECURE_BAD_SIGNATURE,
    SECURE_BAD_SHARE,
    SECURE_BAD_LENGTH,
    SECURE_COPIED_KEY,
    SECURE_KNOWN_KEY,  /* of a secret that others have too */
    SECURE_OLD_LEDGER, /* a head as low as that of the advert before */
    SECURE_BAD_SEAL,   /* every share: none opens */
    SECURE_BAD_DEAL    /* to its first neighbour a share of other secrets, well sealed, in the first slot */
};

/* Answers one of the steps; *ret_type is the message's. A masked input still has to be released. ERROR_UNSUPPORTED for other
 * types. */
MUST_USE struct error *secure_site_answer(struct secure_site *site, uint32_t type, const uint8_t *bytes,
                                          size_t count, enum secure_spoil spoil, uint32_t *ret_type,
                                          uint8_t **ret_body, size_t *ret_count);
