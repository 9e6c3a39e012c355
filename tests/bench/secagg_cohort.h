/* Made-up sites of secure aggregation in one process: keys, signatures and shares are real, only vectors are not. Header only,
 * as stopwatch.h is. */
#pragma once

#include "crypto/identity_parts.h"
#include "crypto/secagg_sum.h"
#include "tests/bench/stopwatch.h"

#define COHORT_SLOT 1

static inline void *area_of(size_t count, size_t bytes)
{
    void *area = calloc(count, bytes);
    if (area == NULL)
        abort();
    return area;
}

struct cohort {
    size_t sites;
    struct identity *identities; /* [sites], as everything here; by position - 1 */
    struct site_id *roster;
    struct secagg_secret *secrets;
    struct secagg_advert *adverts;
    uint32_t *everybody, *stayed;
    struct secagg_run run;
    struct secagg_keyset *keyset;
    struct secagg_attempt attempt;
    struct secagg_set sharers, contributors;
    struct secagg_input *inputs; /* [contributors.count], as the agreements and the unmaskings */
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    struct secagg_agreement *agreements;
    struct secagg_unmasking *unmaskings;
    uint32_t *neighbours; /* of position 1 */
    size_t degree, threshold;
};

/* An identity without a certificate, which signing does not need. */
static inline void identity_make(struct identity *ret_identity)
{
    size_t bytes = PUBLIC_KEY_BYTES;
    *ret_identity = (struct identity){.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    if (ret_identity->key == NULL ||
        EVP_PKEY_get_raw_public_key(ret_identity->key, ret_identity->public_key, &bytes) != 1)
        abort();
    stopwatch_must(site_id_of_key(ret_identity->public_key, &ret_identity->id));
}

static inline int identity_compare(const void *a, const void *b)
{
    return site_id_compare(identity_id(a), identity_id(b));
}

static inline void cohort_people(struct cohort *cohort, size_t sites)
{
    *cohort = (struct cohort){.sites = sites};
    cohort->identities = area_of(sites, sizeof(*cohort->identities));
    cohort->roster = area_of(sites, sizeof(*cohort->roster));
    cohort->secrets = area_of(sites, sizeof(*cohort->secrets));
    cohort->adverts = area_of(sites, sizeof(*cohort->adverts));
    cohort->everybody = area_of(sites, sizeof(uint32_t));
    cohort->stayed = area_of(sites, sizeof(uint32_t));
    for (size_t i = 0; i < sites; i++)
        identity_make(&cohort->identities[i]);
    qsort(cohort->identities, sites, sizeof(*cohort->identities), identity_compare);
    cohort->sharers = (struct secagg_set){cohort->everybody, sites};
    cohort->contributors.positions = cohort->stayed;
    for (size_t i = 0; i < sites; i++) {
        cohort->roster[i] = *identity_id(&cohort->identities[i]);
        cohort->everybody[i] = (uint32_t)i + 1;
        if (i % 10 != 9)
            cohort->stayed[cohort->contributors.count++] = (uint32_t)i + 1;
    }
    size_t colluding = sites < 10 ? 1 : sites / 10;
    cohort->run = (struct secagg_run){.roster = cohort->roster,
                                      .sites = sites,
                                      .threshold = secagg_threshold(sites, colluding),
                                      .colluding = colluding};
}

static inline void cohort_keys(struct cohort *cohort)
{
    for (size_t i = 0; i < cohort->sites; i++) {
        struct secagg_advert *advert = &cohort->adverts[i];
        *advert = (struct secagg_advert){.first_slot = COHORT_SLOT, .count = 1};
        advert->entries = area_of(1, sizeof(*advert->entries));
        stopwatch_must(secagg_slot_make(COHORT_SLOT, &cohort->secrets[i], advert->entries));
        stopwatch_must(secagg_advert_sign(&cohort->identities[i], &cohort->run, advert));
    }
    stopwatch_must(secagg_keyset_make(&cohort->run, cohort->adverts, cohort->sites, NULL, &cohort->keyset));
    stopwatch_must(secagg_neighbours(cohort->keyset, COHORT_SLOT, 1, &cohort->neighbours, &cohort->degree,
                                     &cohort->threshold));
}

/* The attempt, with inputs and agreements of all contributors; of the vectors only digests, which nobody compares with
 * vectors. */
static inline void cohort_round(struct cohort *cohort, size_t words)
{
    const struct digest model = {{1}};
    size_t count = cohort->contributors.count;
    stopwatch_must(secagg_attempt_make(cohort->keyset, COHORT_SLOT, 1, 0, cohort->sharers, &model,
                                       MASK_RING_64, words, &cohort->attempt));
    cohort->inputs = area_of(count, sizeof(*cohort->inputs));
    cohort->agreements = area_of(count, sizeof(*cohort->agreements));
    for (size_t i = 0; i < count; i++) {
        struct secagg_input *input = &cohort->inputs[i];
        input->position = cohort->stayed[i];
        stopwatch_must(secagg_input_sign(&cohort->identities[input->position - 1], &cohort->attempt,
                                         &input->digest, input->signature));
    }
    stopwatch_must(secagg_agreement_body(&cohort->attempt, cohort->inputs, count, cohort->body));
    for (size_t i = 0; i < count; i++) {
        struct secagg_agreement *agreement = &cohort->agreements[i];
        const struct identity *identity = &cohort->identities[cohort->stayed[i] - 1];
        agreement->position = cohort->stayed[i];
        identity_public_key(identity, agreement->public_key);
        stopwatch_must(secagg_sign(identity, SECAGG_AGREEMENT, cohort->body, sizeof(cohort->body),
                                   agreement->signature));
    }
}

/* What contributors reveal, by the polynomials themselves; sealing is measured elsewhere. */
static inline void cohort_reveal(struct cohort *cohort)
{
    struct shamir_deal **deals = area_of(cohort->sites, sizeof(struct shamir_deal *));
    cohort->unmaskings = area_of(cohort->contributors.count, sizeof(*cohort->unmaskings));
    for (uint32_t i = 0; i < cohort->sites; i++) {
        const struct secagg_secret *secret = &cohort->secrets[i];
        const uint8_t *shared = secagg_set_has(cohort->contributors, i + 1) ? secret->b : secret->s;
        stopwatch_must(shamir_deal_new(shared, cohort->threshold, secret->c, &deals[i]));
    }
    for (size_t i = 0; i < cohort->contributors.count; i++) {
        struct secagg_unmasking *unmasking = &cohort->unmaskings[i];
        struct secagg_revealed *revealed = NULL;
        unmasking->position = cohort->stayed[i];
        stopwatch_must(secagg_reveal_plan(&cohort->attempt, cohort->contributors, unmasking->position,
                                          &revealed, &unmasking->count));
        for (size_t k = 0; k < unmasking->count; k++)
            shamir_deal_share(deals[revealed[k].position - 1], unmasking->position, revealed[k].share);
        unmasking->revealed = revealed;
    }
    for (size_t i = 0; i < cohort->sites; i++)
        shamir_deal_free(deals[i]);
    free(deals);
}

static inline void cohort_round_end(struct cohort *cohort)
{
    free(cohort->inputs);
    free(cohort->agreements);
}

static inline void cohort_free(struct cohort *cohort)
{
    for (size_t i = 0; cohort->unmaskings != NULL && i < cohort->contributors.count; i++)
        free((void *)(uintptr_t)cohort->unmaskings[i].revealed);
    for (size_t i = 0; i < cohort->sites; i++) {
        EVP_PKEY_free(cohort->identities[i].key);
        secagg_advert_clear(&cohort->adverts[i]);
    }
    secagg_keyset_free(cohort->keyset);
    free(cohort->unmaskings);
    free(cohort->neighbours);
    free(cohort->identities);
    free(cohort->roster);
    free(cohort->secrets);
    free(cohort->adverts);
    free(cohort->everybody);
    free(cohort->stayed);
}
