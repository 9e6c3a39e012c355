#include "cohort.h"

#include "crypto/identity_parts.h"
#include "forge.h"
#include "scratch.h"

#define MEMO_PLACES 65536

uint64_t cohort_random(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* ---- the sites ---- */

static void *made(size_t count, size_t bytes)
{
    void *area = calloc(count, bytes);
    assert_non_null(area);
    return area;
}

static int by_site_id(const void *a, const void *b)
{
    const struct cohort_site *one = a, *other = b;
    return site_id_compare(identity_id(one->identity), identity_id(other->identity));
}

static struct identity *new_identity(void)
{
    struct identity *identity = NULL;
    EVP_PKEY *key = forge_key("ED25519");
    succeeds(identity_of_parts("made up", key, forge_plain(key), sk_X509_new_null(), &identity));
    return identity;
}

void cohort_open(struct cohort *cohort, const struct cohort_shape *shape)
{
    size_t sites = shape->sites;
    *cohort = (struct cohort){.shape = *shape, .next_slot = 1};
    cohort->sites = made(sites, sizeof(*cohort->sites));
    cohort->roster = made(sites, sizeof(*cohort->roster));
    cohort->adverts = made(sites, sizeof(*cohort->adverts));
    cohort->sealed = made(sites, sizeof(*cohort->sealed));
    cohort->neighbours = made(sites, sizeof(*cohort->neighbours));
    cohort->sharers = made(sites, sizeof(*cohort->sharers));
    cohort->contributors = made(sites, sizeof(*cohort->contributors));
    cohort->inputs = made(sites, sizeof(*cohort->inputs));
    cohort->sum = made(shape->words, sizeof(*cohort->sum));
    for (size_t i = 0; i < sites; i++)
        cohort->sites[i].identity = new_identity();
    qsort(cohort->sites, sites, sizeof(*cohort->sites), by_site_id);
    for (size_t i = 0; i < sites; i++) {
        struct cohort_site *site = &cohort->sites[i];
        cohort->roster[i] = *identity_id(site->identity);
        identity_public_key(site->identity, site->public_key);
        site->secrets = made(shape->slots, sizeof(*site->secrets));
        site->held = made(sites, sizeof(*site->held));
        site->vector = made(shape->words, sizeof(*site->vector));
        site->given = made(sites, sizeof(*site->given));
    }
    cohort->run = (struct secagg_run){.roster = cohort->roster,
                                      .sites = sites,
                                      .threshold = shape->threshold,
                                      .colluding = shape->colluding};
    succeeds(secret_random(&cohort->run.job_hash, sizeof(cohort->run.job_hash)));
    succeeds(secret_random(cohort->run.run_id, sizeof(cohort->run.run_id)));
    succeeds(secagg_memo_new(MEMO_PLACES, &cohort->memo));
}

static void clear_slot(struct cohort *cohort)
{
    for (size_t i = 0; i < cohort->shape.sites; i++) {
        free(cohort->sealed[i]);
        free(cohort->neighbours[i]);
        cohort->sealed[i] = NULL;
        cohort->neighbours[i] = NULL;
        memset(cohort->sites[i].given, 0, cohort->shape.sites);
    }
}

static void clear_batch(struct cohort *cohort)
{
    for (size_t i = 0; i < cohort->advert_count; i++)
        secagg_advert_clear(&cohort->adverts[i]);
    cohort->advert_count = 0;
    secagg_keyset_free(cohort->keyset);
    cohort->keyset = NULL;
}

void cohort_close(struct cohort *cohort)
{
    clear_slot(cohort);
    clear_batch(cohort);
    for (size_t i = 0; i < cohort->shape.sites; i++) {
        identity_free(cohort->sites[i].identity);
        free(cohort->sites[i].secrets);
        free(cohort->sites[i].held);
        free(cohort->sites[i].vector);
        free(cohort->sites[i].given);
    }
    secagg_memo_free(cohort->memo);
    free(cohort->sites);
    free(cohort->roster);
    free(cohort->adverts);
    free(cohort->sealed);
    free(cohort->neighbours);
    free(cohort->sharers);
    free(cohort->contributors);
    free(cohort->inputs);
    free(cohort->sum);
}

static struct cohort_site *site_at(const struct cohort *cohort, uint32_t position)
{
    return &cohort->sites[position - 1];
}

static struct secagg_secret *secret_at(const struct cohort *cohort, uint32_t position, uint32_t slot)
{
    return &site_at(cohort, position)->secrets[slot - cohort->keyset->first_slot];
}

/* ---- advertise ---- */

static void advertise_one(struct cohort *cohort, uint32_t position)
{
    struct cohort_site *site = site_at(cohort, position);
    struct secagg_advert *advert = &cohort->adverts[cohort->advert_count++];
    *advert = (struct secagg_advert){.first_slot = cohort->next_slot, .count = cohort->shape.slots};
    advert->entries = made(advert->count, sizeof(*advert->entries));
    for (size_t i = 0; i < advert->count; i++)
        succeeds(secagg_slot_make(cohort->next_slot + (uint32_t)i, &site->secrets[i], &advert->entries[i]));
    succeeds(secagg_advert_sign(site->identity, &cohort->run, advert));
}

void cohort_advertise(struct cohort *cohort, const uint8_t *leaves)
{
    size_t verifying = cohort->shape.verifying == 0 ? cohort->shape.sites : cohort->shape.verifying;
    struct digest hash, other;
    clear_batch(cohort);
    for (uint32_t position = 1; position <= cohort->shape.sites; position++)
        if (leaves[position - 1] > COHORT_ADVERTISE)
            advertise_one(cohort, position);
    succeeds(secagg_keyset_make(&cohort->run, cohort->adverts, cohort->advert_count, cohort->memo,
                                &cohort->keyset));
    succeeds(secagg_keyset_hash(cohort->keyset, cohort->next_slot, &hash));
    for (size_t i = 1; i < verifying && i < cohort->advert_count; i++) {
        struct secagg_keyset *keyset = NULL;
        succeeds(
            secagg_keyset_make(&cohort->run, cohort->adverts, cohort->advert_count, cohort->memo, &keyset));
        succeeds(secagg_keyset_hash(keyset, cohort->next_slot, &other));
        assert_true(digest_equal(&hash, &other));
        secagg_keyset_free(keyset);
    }
    cohort->next_slot += (uint32_t)cohort->shape.slots;
}

/* ---- share ---- */

static void share_one(struct cohort *cohort, uint32_t position)
{
    struct cohort_site *site = site_at(cohort, position);
    struct secagg_share own;
    size_t count = 0, threshold = 0;
    succeeds(secagg_share_make(cohort->keyset, cohort->slot, position,
                               secret_at(cohort, position, cohort->slot), &cohort->sealed[position - 1],
                               &cohort->degree, &own));
    succeeds(secagg_neighbours(cohort->keyset, cohort->slot, position, &cohort->neighbours[position - 1],
                               &count, &threshold));
    assert_int_equal(count, cohort->degree);
    site->held[position - 1] = own;
}

void cohort_share(struct cohort *cohort, uint32_t slot, const uint8_t *leaves)
{
    clear_slot(cohort);
    cohort->slot = slot;
    for (size_t i = 0; i < cohort->keyset->count; i++)
        if (leaves[cohort->keyset->members[i].position - 1] > COHORT_SHARE)
            share_one(cohort, cohort->keyset->members[i].position);
}

/* Who was there for sharing opens what the other sharers sealed for it. */
static void open_shares(struct cohort *cohort, uint32_t from)
{
    for (size_t i = 0; i < cohort->degree; i++) {
        uint32_t to = cohort->neighbours[from - 1][i];
        if (!secagg_set_has(cohort->attempt.sharers, to))
            continue;
        succeeds(secagg_share_open(
            cohort->keyset, cohort->slot, to, from, secret_at(cohort, to, cohort->slot),
            cohort->sealed[from - 1] + i * SECAGG_SEALED_BYTES, &site_at(cohort, to)->held[from - 1]));
    }
}

struct error *cohort_begin(struct cohort *cohort, uint32_t round, uint32_t attempt, const uint8_t *leaves)
{
    struct error *err = NULL;
    struct digest model;
    struct secagg_set sharers = {.positions = cohort->sharers};
    succeeds(digest_of(&round, sizeof(round), &model));
    for (size_t i = 0; i < cohort->keyset->count; i++)
        if (leaves[cohort->keyset->members[i].position - 1] > COHORT_SHARE)
            cohort->sharers[sharers.count++] = cohort->keyset->members[i].position;
    TRY(secagg_attempt_make(cohort->keyset, cohort->slot, round, attempt, sharers, &model, cohort->shape.ring,
                            cohort->shape.words, &cohort->attempt));
    for (size_t i = 0; i < sharers.count; i++)
        open_shares(cohort, sharers.positions[i]);
done:
    return err;
}

/* ---- mask ---- */

struct error *cohort_site_mask(struct cohort *cohort, const struct secagg_attempt *attempt, uint32_t position,
                               uint64_t *ret_words, struct secagg_input *ret_input)
{
    struct error *err = NULL;
    struct cohort_site *site = site_at(cohort, position);
    size_t bytes = mask_bytes(attempt->ring, attempt->words);
    uint8_t *written = made(bytes, 1);
    memcpy(ret_words, site->vector, attempt->words * sizeof(*ret_words));
    TRY(secagg_input_mask(attempt, position, secret_at(cohort, position, attempt->slot), ret_words));
    mask_write(attempt->ring, ret_words, attempt->words, written);
    TRY(digest_of(written, bytes, &site->digest));
    ret_input->position = position;
    ret_input->digest = site->digest;
    TRY(secagg_input_sign(site->identity, attempt, &site->digest, ret_input->signature));
done:
    free(written);
    return err;
}

struct error *cohort_mask(struct cohort *cohort, const uint8_t *leaves)
{
    struct error *err = NULL;
    uint64_t *words = made(cohort->shape.words, sizeof(*words));
    cohort->u3 = (struct secagg_set){.positions = cohort->contributors};
    memset(cohort->sum, 0, cohort->shape.words * sizeof(*cohort->sum));
    for (size_t i = 0; i < cohort->attempt.sharers.count; i++) {
        uint32_t position = cohort->attempt.sharers.positions[i];
        if (leaves[position - 1] <= COHORT_MASK)
            continue;
        TRY(cohort_site_mask(cohort, &cohort->attempt, position, words, &cohort->inputs[cohort->u3.count]));
        mask_add_words(cohort->shape.ring, cohort->sum, words, cohort->shape.words);
        cohort->contributors[cohort->u3.count++] = position;
    }
done:
    free(words);
    return err;
}

/* ---- agree ---- */

struct error *cohort_site_agree(struct cohort *cohort, const struct secagg_attempt *attempt,
                                uint32_t position, const struct secagg_input *inputs, size_t count,
                                struct secagg_agreement *ret_agreement)
{
    struct error *err = NULL;
    struct cohort_site *site = site_at(cohort, position);
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    size_t verifying = cohort->shape.verifying == 0 ? cohort->shape.sites : cohort->shape.verifying;
    if (position <= verifying)
        TRY(secagg_agree_check(attempt, position, &site->digest, inputs, count, 0, body));
    else
        TRY(secagg_agreement_body(attempt, inputs, count, body));
    if (site->agreed_round == attempt->round && memcmp(site->agreed, body, sizeof(body)) != 0)
        FAIL(ERROR_REFUSED, "This site has agreed to something else in this round.");
    site->agreed_round = attempt->round;
    memcpy(site->agreed, body, sizeof(body));
    ret_agreement->position = position;
    memcpy(ret_agreement->public_key, site->public_key, PUBLIC_KEY_BYTES);
    TRY(secagg_sign(site->identity, "agreement", body, sizeof(body), ret_agreement->signature));
done:
    return err;
}

struct error *cohort_agree(struct cohort *cohort, const uint8_t *leaves,
                           struct secagg_agreement **ret_agreements, size_t *ret_count)
{
    struct error *err = NULL;
    struct secagg_agreement *agreements = made(cohort->shape.sites, sizeof(*agreements));
    size_t count = 0;
    for (size_t i = 0; i < cohort->u3.count; i++)
        if (leaves[cohort->u3.positions[i] - 1] > COHORT_AGREE) {
            TRY(cohort_site_agree(cohort, &cohort->attempt, cohort->u3.positions[i], cohort->inputs,
                                  cohort->u3.count, &agreements[count]));
            count++;
        }
    *ret_agreements = agreements;
    *ret_count = count;
    agreements = NULL;
done:
    free(agreements);
    return err;
}

/* ---- unmask ---- */

/* One kind of share of a peer. */
static struct error *give(struct cohort *cohort, uint32_t position, struct secagg_revealed *revealed)
{
    struct cohort_site *site = site_at(cohort, position);
    const struct secagg_share *share = &site->held[revealed->position - 1];
    uint8_t *given = &site->given[revealed->position - 1];
    if ((*given & ~(1U << revealed->kind)) != 0)
        return error_new(ERROR_REFUSED, "This site gave the other kind of share of this peer.");
    *given |= (uint8_t)(1U << revealed->kind);
    memcpy(revealed->share, revealed->kind == SECAGG_REVEAL_B ? share->b : share->s, SHAMIR_SHARE_BYTES);
    return NULL;
}

static struct error *check_agreed(struct cohort *cohort, const struct secagg_attempt *attempt,
                                  uint32_t position, const struct secagg_input *inputs, size_t count)
{
    struct error *err = NULL;
    struct cohort_site *site = site_at(cohort, position);
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    TRY(secagg_agreement_body(attempt, inputs, count, body));
    if (site->agreed_round != attempt->round || memcmp(site->agreed, body, sizeof(body)) != 0)
        FAIL(ERROR_REFUSED, "This site has not agreed to this.");
done:
    return err;
}

struct error *cohort_site_unmask(struct cohort *cohort, const struct secagg_attempt *attempt,
                                 uint32_t position, const struct secagg_input *inputs, size_t count,
                                 const struct secagg_agreement *agreements, size_t agreement_count,
                                 struct secagg_unmasking *ret_unmasking)
{
    struct error *err = NULL;
    struct cohort_site *site = site_at(cohort, position);
    size_t verifying = cohort->shape.verifying == 0 ? cohort->shape.sites : cohort->shape.verifying;
    struct secagg_revealed *revealed = NULL;
    size_t revealed_count = 0;
    uint32_t *positions = made(count, sizeof(*positions));
    for (size_t i = 0; i < count; i++)
        positions[i] = inputs[i].position;
    const struct secagg_set contributors = {.positions = positions, .count = count};
    TRY(check_agreed(cohort, attempt, position, inputs, count));
    if (position <= verifying)
        TRY(secagg_unmask_check(attempt, position, site->agreed, inputs, count, agreements, agreement_count,
                                cohort->memo));
    TRY(secagg_reveal_plan(attempt, contributors, position, &revealed, &revealed_count));
    for (size_t i = 0; i < revealed_count; i++)
        TRY(give(cohort, position, &revealed[i]));
    given_record_add(given_record_of_all(), cohort->run.run_id, attempt->slot, position, revealed,
                     revealed_count);
    *ret_unmasking =
        (struct secagg_unmasking){.position = position, .revealed = revealed, .count = revealed_count};
    revealed = NULL;
done:
    free(revealed);
    free(positions);
    return err;
}

void cohort_unmaskings_free(struct secagg_unmasking *unmaskings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)unmaskings[i].revealed);
    free(unmaskings);
}

struct error *cohort_unmask(struct cohort *cohort, const uint8_t *leaves,
                            const struct secagg_agreement *agreements, size_t agreement_count,
                            struct secagg_unmasking **ret_unmaskings, size_t *ret_count)
{
    struct error *err = NULL;
    struct secagg_unmasking *unmaskings = made(cohort->shape.sites, sizeof(*unmaskings));
    size_t count = 0;
    for (size_t i = 0; i < cohort->u3.count; i++)
        if (leaves[cohort->u3.positions[i] - 1] > COHORT_UNMASK) {
            TRY(cohort_site_unmask(cohort, &cohort->attempt, cohort->u3.positions[i], cohort->inputs,
                                   cohort->u3.count, agreements, agreement_count, &unmaskings[count]));
            count++;
        }
    *ret_unmaskings = unmaskings;
    *ret_count = count;
    unmaskings = NULL;
done:
    if (unmaskings != NULL)
        cohort_unmaskings_free(unmaskings, count);
    return err;
}

/* ---- the sum ---- */

struct error *cohort_sum(struct cohort *cohort, const struct secagg_unmasking *unmaskings, size_t count)
{
    struct error *err = NULL;
    struct secagg_opened *opened = NULL;
    TRY(secagg_open_secrets(&cohort->attempt, cohort->u3, unmaskings, count, &opened, NULL));
    TRY(secagg_opened_check(&cohort->attempt, cohort->u3, opened, cohort->attempt.sharers.count));
    TRY(secagg_sum_unmask(&cohort->attempt, cohort->u3, opened, cohort->sum));
done:
    free(opened);
    return err;
}

struct error *cohort_round(struct cohort *cohort, uint32_t round, uint32_t attempt, const uint8_t *leaves)
{
    struct error *err = NULL;
    struct secagg_agreement *agreements = NULL;
    struct secagg_unmasking *unmaskings = NULL;
    size_t agreement_count = 0, unmasking_count = 0;
    uint32_t slot = cohort->slot + 1;
    if (cohort->keyset == NULL || !secagg_keyset_has_slot(cohort->keyset, slot)) {
        cohort_advertise(cohort, leaves);
        slot = cohort->keyset->first_slot;
    }
    cohort_share(cohort, slot, leaves);
    TRY(cohort_begin(cohort, round, attempt, leaves));
    TRY(cohort_mask(cohort, leaves));
    TRY(cohort_agree(cohort, leaves, &agreements, &agreement_count));
    TRY(cohort_unmask(cohort, leaves, agreements, agreement_count, &unmaskings, &unmasking_count));
    TRY(cohort_sum(cohort, unmaskings, unmasking_count));
done:
    free(agreements);
    if (unmaskings != NULL)
        cohort_unmaskings_free(unmaskings, unmasking_count);
    return err;
}

uint64_t *cohort_expected(const struct cohort *cohort)
{
    uint64_t *sum = made(cohort->shape.words, sizeof(*sum));
    for (size_t i = 0; i < cohort->u3.count; i++)
        for (size_t k = 0; k < cohort->shape.words; k++) {
            sum[k] += cohort->sites[cohort->u3.positions[i] - 1].vector[k];
            if (cohort->shape.ring == MASK_RING_32)
                sum[k] &= UINT32_MAX;
        }
    return sum;
}
