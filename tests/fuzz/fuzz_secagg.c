/* Any bytes as the parts of secure aggregation's messages that become structs: refused, or written again as the same. Adverts
 * also become a keyset, of whatever job and sites they say that they are; that one must then be whole. */
#include "crypto/secagg_wire.h"

#define SITES 8 /* as many adverts become a keyset, at most */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

/* Whether it worked; if not, there is a sentence. */
static bool accepted(struct error *err)
{
    if (err == NULL)
        return true;
    expect(err->sentence[0] != '\0');
    error_free(err);
    return false;
}

/* ---- adverts ---- */

static void expect_same_advert(const struct secagg_run *run, const struct secagg_advert *advert)
{
    Fds__Advert *message = NULL;
    struct secagg_advert again;
    expect(secagg_wire_make_advert(run, advert, &message) == NULL);
    expect(secagg_wire_take_advert(run, message, &again) == NULL);
    expect(again.count == advert->count && again.first_slot == advert->first_slot);
    expect(again.ledger_sequence == advert->ledger_sequence);
    expect(memcmp(again.entries, advert->entries, advert->count * sizeof(*advert->entries)) == 0);
    expect(memcmp(again.signature, advert->signature, SIGNATURE_BYTES) == 0);
    expect(site_id_equal(&again.site, &advert->site));
    fds__advert__free_unpacked(message, NULL);
    secagg_advert_clear(&again);
}

static int site_compare(const void *one, const void *other)
{
    return site_id_compare(one, other);
}

static void expect_whole(const struct secagg_keyset *keyset)
{
    struct digest hash;
    uint32_t *positions = NULL;
    size_t count = 0, threshold = 0;
    expect(keyset->count >= keyset->run.threshold && keyset->slots >= 1);
    expect(secagg_keyset_hash(keyset, keyset->first_slot, &hash) == NULL);
    for (size_t i = 0; i < keyset->count; i++) {
        uint32_t position = keyset->members[i].position;
        expect(secagg_keyset_member(keyset, position) == &keyset->members[i]);
        expect(secagg_neighbours(keyset, keyset->first_slot, position, &positions, &count, &threshold) ==
               NULL);
        expect(count == keyset->count - 1 && threshold == keyset->run.threshold);
        free(positions);
    }
}

static void expect_keyset(struct secagg_run *run, const struct secagg_advert *adverts, const uint8_t *data,
                          size_t size, size_t count)
{
    struct site_id roster[SITES];
    struct secagg_keyset *keyset = NULL;
    if (count > SITES)
        return;
    for (size_t i = 0; i < count; i++)
        roster[i] = adverts[i].site;
    qsort(roster, count, sizeof(roster[0]), site_compare);
    run->roster = roster;
    run->sites = count;
    run->threshold = 1;
    if (accepted(secagg_wire_read_keyset(run, data, size, NULL, &keyset)))
        expect_whole(keyset);
    secagg_keyset_free(keyset);
}

static void expect_adverts(const uint8_t *data, size_t size)
{
    struct secagg_run run = {0};
    struct secagg_advert *adverts = NULL;
    Fds__Share *share = fds__share__unpack(NULL, size, data);
    if (share == NULL)
        return;
    if (share->job_id.len == DIGEST_BYTES)
        memcpy(run.job_hash.bytes, share->job_id.data, DIGEST_BYTES);
    if (share->run_id.len == SECAGG_RUN_ID_BYTES)
        memcpy(run.run_id, share->run_id.data, SECAGG_RUN_ID_BYTES);
    if (accepted(secagg_wire_take_adverts(&run, share->adverts, share->n_adverts, &adverts))) {
        for (size_t i = 0; i < share->n_adverts; i++)
            expect_same_advert(&run, &adverts[i]);
        expect_keyset(&run, adverts, data, size, share->n_adverts);
    }
    secagg_wire_free_adverts(adverts, share->n_adverts);
    fds__share__free_unpacked(share, NULL);
}

/* ---- statements ---- */

static void expect_inputs(const uint8_t *data, size_t size)
{
    struct secagg_input *inputs = NULL, *again = NULL;
    Fds__InputStatement **messages = NULL;
    Fds__Agree *agree = fds__agree__unpack(NULL, size, data);
    if (agree == NULL)
        return;
    if (accepted(secagg_wire_take_inputs(agree->inputs, agree->n_inputs, &inputs))) {
        expect(secagg_wire_make_inputs(inputs, agree->n_inputs, &messages) == NULL);
        expect(secagg_wire_take_inputs(messages, agree->n_inputs, &again) == NULL);
        expect(memcmp(inputs, again, agree->n_inputs * sizeof(*inputs)) == 0);
        secagg_wire_free_inputs(messages, agree->n_inputs);
    }
    free(inputs);
    free(again);
    fds__agree__free_unpacked(agree, NULL);
}

static void expect_agreements(const uint8_t *data, size_t size)
{
    struct secagg_agreement *agreements = NULL, *again = NULL;
    Fds__AgreementStatement **messages = NULL;
    Fds__Unmask *unmask = fds__unmask__unpack(NULL, size, data);
    if (unmask == NULL)
        return;
    if (accepted(secagg_wire_take_agreements(unmask->agreements, unmask->n_agreements, &agreements))) {
        expect(secagg_wire_make_agreements(agreements, unmask->n_agreements, &messages) == NULL);
        expect(secagg_wire_take_agreements(messages, unmask->n_agreements, &again) == NULL);
        expect(memcmp(agreements, again, unmask->n_agreements * sizeof(*agreements)) == 0);
        secagg_wire_free_agreements(messages, unmask->n_agreements);
    }
    free(agreements);
    free(again);
    fds__unmask__free_unpacked(unmask, NULL);
}

/* ---- shares and secrets ---- */

static void expect_revealed(const uint8_t *data, size_t size)
{
    struct secagg_revealed plan[3] = {{.position = 1, .kind = SECAGG_REVEAL_B},
                                      {.position = 2, .kind = SECAGG_REVEAL_S},
                                      {.position = 4, .kind = SECAGG_REVEAL_B}};
    uint8_t again[sizeof(plan) / sizeof(plan[0]) * SECAGG_REVEALED_BYTES];
    if (!accepted(secagg_wire_read_revealed(data, size, plan, sizeof(plan) / sizeof(plan[0]))))
        return;
    secagg_wire_write_revealed(plan, sizeof(plan) / sizeof(plan[0]), again);
    expect(size == sizeof(again) && memcmp(again, data, size) == 0);
}

static void expect_opened(const uint8_t *data, size_t size)
{
    static const uint32_t sharers[] = {1, 2, 4}, contributors[] = {1, 4};
    struct secagg_opened *opened = NULL;
    uint8_t again[3 * SECAGG_OPENED_BYTES];
    if (!accepted(secagg_wire_read_opened((struct secagg_set){.positions = sharers, .count = 3},
                                          (struct secagg_set){.positions = contributors, .count = 2}, data,
                                          size, &opened)))
        return;
    secagg_wire_write_opened(opened, 3, again);
    expect(size == sizeof(again) && memcmp(again, data, size) == 0);
    free(opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    expect_adverts(data, size);
    expect_inputs(data, size);
    expect_agreements(data, size);
    expect_revealed(data, size);
    expect_opened(data, size);
    return 0;
}
