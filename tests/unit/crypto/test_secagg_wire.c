#include "crypto/secagg_wire.h"

#include "federation.h"

#include "schemas/wire.h"

/* ---- adverts ---- */

static Fds__Advert *made(const struct federation *federation, size_t i)
{
    Fds__Advert *message = NULL;
    succeeds(secagg_wire_make_advert(&federation->run, &federation->adverts[i], &message));
    return message;
}

static void same_advert(const struct secagg_advert *one, const struct secagg_advert *other)
{
    assert_memory_equal(one->public_key, other->public_key, PUBLIC_KEY_BYTES);
    assert_memory_equal(&one->site, &other->site, DIGEST_BYTES);
    assert_int_equal(one->first_slot, other->first_slot);
    assert_int_equal(one->count, other->count);
    assert_true(one->ledger_sequence == other->ledger_sequence);
    assert_memory_equal(&one->ledger_head, &other->ledger_head, DIGEST_BYTES);
    assert_memory_equal(one->signature, other->signature, SIGNATURE_BYTES);
    assert_memory_equal(one->entries, other->entries, one->count * sizeof(*one->entries));
}

static void test_secagg_wire_advert_reads_as_it_was_written(void **state)
{
    struct federation *federation = *state;
    struct secagg_advert advert;
    uint8_t *bytes = NULL;
    size_t count = 0;
    federation->adverts[1].ledger_sequence = UINT64_C(0x1122334455667788);
    federation_sign_advert(federation, 2);
    Fds__Advert *message = made(federation, 1);
    succeeds(wire_encode(&message->base, &bytes, &count));
    fds__advert__free_unpacked(message, NULL);
    message = fds__advert__unpack(NULL, count, bytes);
    assert_non_null(message);
    succeeds(secagg_wire_take_advert(&federation->run, message, &advert));
    fds__advert__free_unpacked(message, NULL);
    free(bytes);
    same_advert(&advert, &federation->adverts[1]);
    secagg_advert_clear(&advert);
}

struct tweak {
    const char *text;
    void (*change)(Fds__Advert *message);
};

static void tweak_job(Fds__Advert *m)
{
    m->job_id.data[0] ^= 1;
}
static void tweak_job_short(Fds__Advert *m)
{
    m->job_id.len--;
}
static void tweak_run(Fds__Advert *m)
{
    m->run_id.data[0] ^= 1;
}
static void tweak_run_short(Fds__Advert *m)
{
    m->run_id.len = 0;
}
static void tweak_key(Fds__Advert *m)
{
    m->public_key.len--;
}
static void tweak_head(Fds__Advert *m)
{
    m->ledger_head.len--;
}
static void tweak_signature(Fds__Advert *m)
{
    m->signature.len--;
}
static void tweak_entries(Fds__Advert *m)
{
    m->entries.len--;
}
static void tweak_entries_none(Fds__Advert *m)
{
    m->entries.len = 0;
}
static void tweak_count(Fds__Advert *m)
{
    m->count++;
}

static void test_secagg_wire_advert_tweaked_is_refused(void **state)
{
    const struct federation *federation = *state;
    static const struct tweak tweaks[] = {
        {"Advert: job_id is that of another job", tweak_job},
        {"Advert: job_id must have 32 bytes and has 31", tweak_job_short},
        {"Advert: run_id is that of another run", tweak_run},
        {"Advert: run_id must have 16 bytes and has 0", tweak_run_short},
        {"Advert: public_key must have 32", tweak_key},
        {"Advert: ledger_head must have 32", tweak_head},
        {"Advert: signature must have 64", tweak_signature},
        {"Advert: entries: 191 bytes are not", tweak_entries},
        {"Advert: entries: 0 bytes are not", tweak_entries_none},
        {"Advert: count is 3, and entries has 2", tweak_count},
    };
    for (size_t i = 0; i < sizeof(tweaks) / sizeof(tweaks[0]); i++) {
        struct secagg_advert advert = {0};
        Fds__Advert *message = made(federation, 0);
        tweaks[i].change(message);
        fails_saying(secagg_wire_take_advert(&federation->run, message, &advert), ERROR_INVALID,
                     tweaks[i].text);
        assert_null(advert.entries);
        fds__advert__free_unpacked(message, NULL);
    }
}

static Fds__Share *share_of(const struct federation *federation)
{
    Fds__Share *share = malloc(sizeof(*share));
    assert_non_null(share);
    fds__share__init(share);
    share->adverts = calloc(FEDERATION_SITES, sizeof(*share->adverts));
    assert_non_null(share->adverts);
    for (; share->n_adverts < FEDERATION_SITES; share->n_adverts++)
        share->adverts[share->n_adverts] = made(federation, share->n_adverts);
    return share;
}

static void test_secagg_wire_adverts_take_all_or_nothing(void **state)
{
    const struct federation *federation = *state;
    struct secagg_advert *adverts = NULL;
    Fds__Share *share = share_of(federation);
    succeeds(secagg_wire_take_adverts(&federation->run, share->adverts, share->n_adverts, &adverts));
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        same_advert(&adverts[i], &federation->adverts[i]);
    secagg_wire_free_adverts(adverts, FEDERATION_SITES);
    adverts = NULL;
    share->adverts[4]->count = 0;
    fails(secagg_wire_take_adverts(&federation->run, share->adverts, share->n_adverts, &adverts),
          ERROR_INVALID);
    fails(secagg_wire_take_adverts(&federation->run, share->adverts, 0, &adverts), ERROR_INVALID);
    fails(secagg_wire_take_adverts(&federation->run, share->adverts, SECAGG_MAX_SITES + 1, &adverts),
          ERROR_INVALID);
    assert_null(adverts);
    fds__share__free_unpacked(share, NULL);
}

static void test_secagg_wire_keyset_reads_with_all_its_checks(void **state)
{
    const struct federation *federation = *state;
    struct secagg_keyset *keyset = NULL;
    struct digest one, other;
    uint8_t *bytes = NULL;
    size_t count = 0;
    Fds__Share *share = share_of(federation);
    succeeds(wire_encode(&share->base, &bytes, &count));
    succeeds(secagg_wire_read_keyset(&federation->run, bytes, count, NULL, &keyset));
    succeeds(secagg_keyset_hash(keyset, FEDERATION_FIRST_SLOT, &one));
    succeeds(secagg_keyset_hash(federation->keyset, FEDERATION_FIRST_SLOT, &other));
    assert_memory_equal(&one, &other, sizeof(one));
    secagg_keyset_free(keyset);
    keyset = NULL;
    bytes[count - 1] ^= 1; /* the last byte of the last signature */
    fails(secagg_wire_read_keyset(&federation->run, bytes, count, NULL, &keyset), ERROR_UNTRUSTED);
    fails(secagg_wire_read_keyset(&federation->run, bytes, count - 1, NULL, &keyset), ERROR_INVALID);
    fails(secagg_wire_read_keyset(&federation->run, bytes, 0, NULL, &keyset), ERROR_INVALID);
    assert_null(keyset);
    fds__share__free_unpacked(share, NULL);
    free(bytes);
}

/* ---- statements ---- */

static void test_secagg_wire_inputs_read_as_they_were_written(void **state)
{
    const struct federation *federation = *state;
    Fds__InputStatement **messages = NULL;
    struct secagg_input *inputs = NULL;
    succeeds(secagg_wire_make_inputs(federation->inputs, FEDERATION_SITES, &messages));
    succeeds(secagg_wire_take_inputs(messages, FEDERATION_SITES, &inputs));
    for (size_t i = 0; i < FEDERATION_SITES; i++) {
        assert_int_equal(inputs[i].position, federation->inputs[i].position);
        assert_memory_equal(&inputs[i].digest, &federation->inputs[i].digest, DIGEST_BYTES);
        assert_memory_equal(inputs[i].signature, federation->inputs[i].signature, SIGNATURE_BYTES);
    }
    free(inputs);
    inputs = NULL;
    messages[1]->digest.len--;
    fails_saying(secagg_wire_take_inputs(messages, FEDERATION_SITES, &inputs), ERROR_INVALID,
                 "InputStatement: digest");
    messages[1]->digest.len++;
    messages[2]->signature.len++;
    fails_saying(secagg_wire_take_inputs(messages, FEDERATION_SITES, &inputs), ERROR_INVALID,
                 "InputStatement: signature");
    messages[2]->signature.len--;
    messages[2]->position = 0;
    fails_saying(secagg_wire_take_inputs(messages, FEDERATION_SITES, &inputs), ERROR_INVALID, "position");
    messages[2]->position = SECAGG_MAX_SITES + 1;
    fails_saying(secagg_wire_take_inputs(messages, FEDERATION_SITES, &inputs), ERROR_INVALID, "position");
    fails(secagg_wire_take_inputs(messages, 0, &inputs), ERROR_INVALID);
    assert_null(inputs);
    secagg_wire_free_inputs(messages, FEDERATION_SITES);
}

static void test_secagg_wire_agreements_read_as_they_were_written(void **state)
{
    const struct federation *federation = *state;
    Fds__AgreementStatement **messages = NULL;
    struct secagg_agreement *agreements = NULL;
    succeeds(secagg_wire_make_agreements(federation->agreements, FEDERATION_SITES, &messages));
    succeeds(secagg_wire_take_agreements(messages, FEDERATION_SITES, &agreements));
    succeeds(
        secagg_agreements_verify(&federation->run, federation->body, agreements, FEDERATION_SITES, NULL));
    free(agreements);
    agreements = NULL;
    messages[1]->public_key.len--;
    fails_saying(secagg_wire_take_agreements(messages, FEDERATION_SITES, &agreements), ERROR_INVALID,
                 "AgreementStatement: public_key");
    messages[1]->public_key.len++;
    messages[2]->signature.len--;
    fails_saying(secagg_wire_take_agreements(messages, FEDERATION_SITES, &agreements), ERROR_INVALID,
                 "AgreementStatement: signature");
    messages[2]->signature.len++;
    messages[2]->position = 0;
    fails_saying(secagg_wire_take_agreements(messages, FEDERATION_SITES, &agreements), ERROR_INVALID,
                 "position");
    fails(secagg_wire_take_agreements(messages, 0, &agreements), ERROR_INVALID);
    assert_null(agreements);
    secagg_wire_free_agreements(messages, FEDERATION_SITES);
}

/* ---- shares and secrets ---- */

static void test_secagg_wire_revealed_fills_the_plan(void **state)
{
    const struct federation *federation = *state;
    static const uint32_t contributors[] = {1, 2, 4, 5};
    struct secagg_revealed *given = NULL, *plan = NULL;
    uint8_t bytes[FEDERATION_SITES * SECAGG_REVEALED_BYTES];
    size_t count = 0;
    const struct secagg_set set = {.positions = contributors, .count = 4};
    succeeds(secagg_reveal_plan(&federation->attempt, set, 1, &given, &count));
    succeeds(secagg_reveal_plan(&federation->attempt, set, 1, &plan, &count));
    for (size_t i = 0; i < count; i++)
        memset(given[i].share, (int)i + 1, 7);
    secagg_wire_write_revealed(given, count, bytes);
    succeeds(secagg_wire_read_revealed(bytes, sizeof(bytes), plan, count));
    assert_memory_equal(plan, given, count * sizeof(*plan));
    free(given);
    free(plan);
}

static void test_secagg_wire_revealed_against_the_plan_is_refused(void **state)
{
    (void)state;
    const struct secagg_revealed untouched[2] = {{.position = 1, .kind = SECAGG_REVEAL_B},
                                                 {.position = 3, .kind = SECAGG_REVEAL_S}};
    struct secagg_revealed plan[2];
    const uint64_t prime = SHAMIR_PRIME;
    uint8_t good[2 * SECAGG_REVEALED_BYTES], bytes[2 * SECAGG_REVEALED_BYTES];
    memcpy(plan, untouched, sizeof(plan));
    secagg_wire_write_revealed(plan, 2, good);
    for (size_t i = 0; i < 2; i++)
        for (unsigned kind = 0; kind < 256; kind++) {
            memcpy(bytes, good, sizeof(bytes));
            bytes[i * SECAGG_REVEALED_BYTES] = (uint8_t)kind;
            if (kind != good[i * SECAGG_REVEALED_BYTES])
                fails_saying(secagg_wire_read_revealed(bytes, sizeof(bytes), plan, 2), ERROR_INVALID,
                             i == 0 ? "of site 1 of the roster the share of b is due"
                                    : "of site 3 of the roster the share of s is due");
        }
    memcpy(bytes, good, sizeof(bytes));
    bytes[1] = 1; /* a change in the first must not stay when the second is refused */
    memcpy(bytes + SECAGG_REVEALED_BYTES + 1 + 32, &prime, sizeof(prime));
    fails_saying(secagg_wire_read_revealed(bytes, sizeof(bytes), plan, 2), ERROR_INVALID, "of site 3");
    assert_memory_equal(plan, untouched, sizeof(plan));
    fails(secagg_wire_read_revealed(good, sizeof(good) - 1, plan, 2), ERROR_INVALID);
    fails(secagg_wire_read_revealed(good, SECAGG_REVEALED_BYTES, plan, 2), ERROR_INVALID);
    fails(secagg_wire_read_revealed(good, 0, plan, 2), ERROR_INVALID);
    succeeds(secagg_wire_read_revealed(good, sizeof(good), plan, 2));
}

static void test_secagg_wire_opened_takes_kinds_from_the_sets(void **state)
{
    (void)state;
    static const uint32_t sharers[] = {1, 2, 3}, contributors[] = {1, 3};
    const struct secagg_set all = {.positions = sharers, .count = 3},
                            some = {.positions = contributors, .count = 2};
    struct secagg_opened *opened = NULL;
    uint8_t bytes[3 * SECAGG_OPENED_BYTES], again[sizeof(bytes)];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    succeeds(secagg_wire_read_opened(all, some, bytes, sizeof(bytes), &opened));
    assert_int_equal(opened[0].kind, SECAGG_REVEAL_B);
    assert_int_equal(opened[1].kind, SECAGG_REVEAL_S);
    assert_int_equal(opened[2].kind, SECAGG_REVEAL_B);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(opened[i].position, i + 1);
    secagg_wire_write_opened(opened, 3, again);
    assert_memory_equal(again, bytes, sizeof(bytes));
    free(opened);
    opened = NULL;
    fails(secagg_wire_read_opened(all, some, bytes, sizeof(bytes) - 1, &opened), ERROR_INVALID);
    fails(secagg_wire_read_opened(some, some, bytes, sizeof(bytes), &opened), ERROR_INVALID);
    fails(secagg_wire_read_opened((struct secagg_set){.count = 0}, some, bytes, 0, &opened), ERROR_INVALID);
    assert_null(opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FEDERATION_TEST(test_secagg_wire_advert_reads_as_it_was_written, advertise),
        FEDERATION_TEST(test_secagg_wire_advert_tweaked_is_refused, advertise),
        FEDERATION_TEST(test_secagg_wire_adverts_take_all_or_nothing, advertise),
        FEDERATION_TEST(test_secagg_wire_keyset_reads_with_all_its_checks, share),
        FEDERATION_TEST(test_secagg_wire_inputs_read_as_they_were_written, mask),
        FEDERATION_TEST(test_secagg_wire_agreements_read_as_they_were_written, agree),
        FEDERATION_TEST(test_secagg_wire_revealed_fills_the_plan, mask),
        cmocka_unit_test(test_secagg_wire_revealed_against_the_plan_is_refused),
        cmocka_unit_test(test_secagg_wire_opened_takes_kinds_from_the_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
