#include "federation.h"

#include "crypto/identity_parts.h"

#include "forge.h"

#include <openssl/err.h>

static struct identity *identity_numbered(size_t number)
{
    struct identity *identity = NULL;
    uint8_t secret[32] = {0};
    memcpy(secret, &number, sizeof(number));
    EVP_PKEY *key = forge_key_of(secret);
    succeeds(identity_of_parts("a test", key, forge_plain(key), sk_X509_new_null(), &identity));
    return identity;
}

struct identity *federation_stranger(void)
{
    return identity_numbered(1000000);
}

static int identity_compare(const void *a, const void *b)
{
    return site_id_compare(identity_id(*(struct identity *const *)a),
                           identity_id(*(struct identity *const *)b));
}

void federation_sign_advert(struct federation *federation, uint32_t position)
{
    succeeds(secagg_advert_sign(federation->identities[position - 1], &federation->run,
                                &federation->adverts[position - 1]));
}

static void advertise_one(struct federation *federation, size_t i)
{
    struct secagg_advert *advert = &federation->adverts[i];
    advert->first_slot = FEDERATION_FIRST_SLOT;
    advert->count = FEDERATION_SLOTS;
    advert->ledger_sequence = 100 + i;
    memset(advert->ledger_head.bytes, (int)i, DIGEST_BYTES);
    advert->entries = calloc(FEDERATION_SLOTS, sizeof(*advert->entries));
    assert_non_null(advert->entries);
    for (uint32_t slot = 0; slot < FEDERATION_SLOTS; slot++)
        succeeds(secagg_slot_make(FEDERATION_FIRST_SLOT + slot, &federation->secrets[i][slot],
                                  &advert->entries[slot]));
    federation_sign_advert(federation, (uint32_t)(i + 1));
}

static struct federation *advertise(size_t sites, size_t threshold)
{
    struct federation *federation = calloc(1, sizeof(*federation));
    assert_non_null(federation);
    assert_in_range(sites, 1, FEDERATION_MAX_SITES);
    federation->sites = sites;
    for (size_t i = 0; i < sites; i++)
        federation->identities[i] = identity_numbered(i + 1);
    qsort(federation->identities, sites, sizeof(federation->identities[0]), identity_compare);
    for (size_t i = 0; i < sites; i++) {
        federation->roster[i] = *identity_id(federation->identities[i]);
        federation->everybody[i] = (uint32_t)(i + 1);
    }
    federation->run =
        (struct secagg_run){.roster = federation->roster, .sites = sites, .threshold = threshold};
    memset(federation->run.job_hash.bytes, 0x4a, DIGEST_BYTES);
    memset(federation->run.run_id, 0x52, SECAGG_RUN_ID_BYTES);
    for (size_t i = 0; i < sites; i++)
        advertise_one(federation, i);
    return federation;
}

static void share(struct federation *federation)
{
    succeeds(secagg_keyset_make(&federation->run, federation->adverts, federation->sites, NULL,
                                &federation->keyset));
}

struct secagg_set federation_everybody(const struct federation *federation)
{
    return (struct secagg_set){.positions = federation->everybody, .count = federation->sites};
}

struct secagg_attempt federation_attempt(const struct federation *federation, uint32_t slot, uint32_t round,
                                         uint32_t attempt, struct secagg_set sharers, const char *model)
{
    struct secagg_attempt made;
    struct digest model_hash;
    succeeds(digest_of(model, strlen(model), &model_hash));
    succeeds(secagg_attempt_make(federation->keyset, slot, round, attempt, sharers, &model_hash, MASK_RING_64,
                                 FEDERATION_WORDS, &made));
    return made;
}

struct secagg_input federation_input(const struct federation *federation,
                                     const struct secagg_attempt *attempt, uint32_t position)
{
    struct secagg_input input = {.position = position, .digest = federation->digests[position - 1]};
    succeeds(
        secagg_input_sign(federation->identities[position - 1], attempt, &input.digest, input.signature));
    return input;
}

static void mask(struct federation *federation)
{
    federation->attempt = federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 1,
                                             federation_everybody(federation), "the model of round 3");
    for (size_t i = 0; i < federation->sites; i++) {
        succeeds(digest_of(&i, sizeof(i), &federation->digests[i]));
        federation->inputs[i] = federation_input(federation, &federation->attempt, (uint32_t)(i + 1));
    }
}

static void agree(struct federation *federation)
{
    succeeds(
        secagg_agreement_body(&federation->attempt, federation->inputs, federation->sites, federation->body));
    for (size_t i = 0; i < federation->sites; i++) {
        struct secagg_agreement *agreement = &federation->agreements[i];
        agreement->position = (uint32_t)(i + 1);
        identity_public_key(federation->identities[i], agreement->public_key);
        succeeds(secagg_sign(federation->identities[i], SECAGG_AGREEMENT, federation->body,
                             sizeof(federation->body), agreement->signature));
    }
}

struct federation *federation_new(size_t sites, size_t threshold)
{
    struct federation *federation = advertise(sites, threshold);
    share(federation);
    mask(federation);
    return federation;
}

void federation_free(struct federation *federation)
{
    for (size_t i = 0; i < federation->sites; i++) {
        identity_free(federation->identities[i]);
        secagg_advert_clear(&federation->adverts[i]);
    }
    secagg_keyset_free(federation->keyset);
    free(federation);
}

int federation_advertise(void **state)
{
    *state = advertise(FEDERATION_SITES, FEDERATION_THRESHOLD);
    return 0;
}

int federation_share(void **state)
{
    (void)federation_advertise(state);
    share(*state);
    return 0;
}

int federation_mask(void **state)
{
    (void)federation_share(state);
    mask(*state);
    return 0;
}

int federation_agree(void **state)
{
    (void)federation_mask(state);
    agree(*state);
    return 0;
}

int federation_tear_down(void **state)
{
    federation_free(*state);
    if (ERR_peek_error() == 0)
        return 0;
    ERR_print_errors_fp(stderr);
    return -1;
}
