/* Advertise and Share: what a site answers, what it answers again, and every field of both messages spoilt once. */
#include "crypto/secagg_wire.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/company.h"

/* What happens while the datasite computes shares, once. */
static void (*meanwhile)(struct company *company);
static struct company *of_meanwhile;

struct error *__real_secagg_share_make_with(const struct secagg_keyset *keyset, uint32_t slot,
                                            uint32_t position, const struct secagg_secret *secret,
                                            struct agreement_memory *memory, uint8_t **ret_sealed,
                                            size_t *ret_count, struct secagg_share *ret_own);
struct error *__wrap_secagg_share_make_with(const struct secagg_keyset *keyset, uint32_t slot,
                                            uint32_t position, const struct secagg_secret *secret,
                                            struct agreement_memory *memory, uint8_t **ret_sealed,
                                            size_t *ret_count, struct secagg_share *ret_own);
struct error *__wrap_secagg_share_make_with(const struct secagg_keyset *keyset, uint32_t slot,
                                            uint32_t position, const struct secagg_secret *secret,
                                            struct agreement_memory *memory, uint8_t **ret_sealed,
                                            size_t *ret_count, struct secagg_share *ret_own)
{
    void (*now)(struct company * company) = meanwhile;
    meanwhile = NULL;
    if (now != NULL)
        now(of_meanwhile);
    return __real_secagg_share_make_with(keyset, slot, position, secret, memory, ret_sealed, ret_count,
                                         ret_own);
}

static int64_t written(struct company *company)
{
    return site_count(company->site,
                      "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM secagg_batch) + "
                      "(SELECT count(*) FROM secagg_slot) + (SELECT count(*) FROM run)");
}

/* A copy of a reply that stays when the other is taken over. */
static struct reply kept(const struct reply *reply)
{
    struct reply copy = *reply;
    copy.body = malloc(reply->body_bytes + 1);
    assert_non_null(copy.body);
    memcpy(copy.body, reply->body, reply->body_bytes);
    return copy;
}

static int64_t shared(struct company *company)
{
    return site_count(company->site, "SELECT count(*) FROM secagg_batch WHERE shares IS NOT NULL");
}

/* ---- in order ---- */

static void test_request_keys_in_order_are_given_and_given_again(void **state)
{
    struct company *company = *state;
    company_partners_advertise(company, 0);
    struct reply advert = company_advertise(company, 0, COMPANY_BATCH), advert_copy = kept(&advert);
    company_take_advert(company, advert);
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM run WHERE status = 'running'"), 1);
    assert_int_equal(
        site_count(company->site,
                   "SELECT count(*) FROM event WHERE kind = 'keys-advertised' AND digest IS NOT NULL"),
        1);
    struct reply shares = company_share(company), shares_copy = kept(&shares);
    company_take_shares(company, shares);
    int64_t before = written(company);
    site_expect_same(advert_copy, company_advertise(company, 0, COMPANY_BATCH));
    site_expect_same(shares_copy, company_share(company));
    assert_int_equal(written(company), before);
    company_batch(company, COMPANY_BATCH + 4); /* slots may be left out */
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM event WHERE kind = 'keys-shared'"), 2);
}

static void test_request_keys_after_a_restart_are_the_same(void **state)
{
    struct company *company = *state;
    company_partners_advertise(company, 0);
    struct reply advert = company_advertise(company, 0, COMPANY_BATCH), advert_copy = kept(&advert);
    company_take_advert(company, advert);
    site_pause(company->site);
    site_resume(company->site);
    struct reply shares = company_share(company), shares_copy = kept(&shares);
    company_take_shares(company, shares);
    site_pause(company->site);
    site_resume(company->site);
    site_expect_same(advert_copy, company_advertise(company, 0, COMPANY_BATCH));
    site_expect_same(shares_copy, company_share(company));
}

/* ---- Advertise ---- */

static void test_request_advertise_of_other_slots_than_before_refused(void **state)
{
    struct company *company = *state;
    site_expect_refusal(company_advertise(company, 10, COMPANY_BATCH + 1), ERROR_REFUSED, "`key_batch` of 3");
    site_expect_type(company_advertise(company, 10, COMPANY_BATCH), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
    int64_t before = written(company);
    site_expect_refusal(company_advertise(company, 10, COMPANY_BATCH - 1), ERROR_REFUSED, "as one batch");
    site_expect_refusal(company_advertise(company, 11, COMPANY_BATCH), ERROR_REFUSED, "as one batch");
    site_expect_refusal(company_advertise(company, 9, COMPANY_BATCH), ERROR_REFUSED, "not above those");
    site_expect_refusal(company_advertise(company, 0, COMPANY_BATCH), ERROR_REFUSED, "not above those");
    assert_int_equal(written(company), before);
    site_expect_type(company_advertise(company, 13, COMPANY_BATCH), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
}

static void test_request_advertise_beyond_what_a_message_may_say_refused(void **state)
{
    struct company *company = *state;
    site_expect_refusal(company_advertise(company, 0, 0), ERROR_INVALID, "count");
    site_expect_refusal(company_advertise(company, 0, WIRE_MAX_BATCH + 1), ERROR_INVALID, "count");
    site_expect_refusal(company_advertise(company, WIRE_MAX_SLOTS, 1), ERROR_INVALID, "first_slot");
    site_expect_refusal(company_advertise(company, WIRE_MAX_SLOTS - 1, 2), ERROR_INVALID, "count");
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM run"), 0);
}

#define WIDE_SITES 34 /* of whom a site seals 2048 / 33 slots in one go */
#define WIDE_BYTES 8192

/* Another job, with partners more, who take no part in this test. */
static void wide_job(struct company *company)
{
    struct policy_gate *gate = &company->site->policy.gate;
    char text[WIDE_BYTES], own[FINGERPRINT_BYTES];
    size_t at = (size_t)snprintf(
        text, sizeof(text),
        "job: wide\ndataset: made\nmodel: {kind: softmax-regression}\n"
        "training: {optimizer: lbfgs, local_iterations: 5}\nevaluation: {test_fraction: 0.5}\n"
        "federation: {rounds: 3, round_deadline: 60s}\nexpires: 2027-01-31T00:00:00Z\n"
        "secure_aggregation: {enabled: true, key_batch: 64}\nsites:\n");
    site_id_format(&company->roster[company->own - 1], own);
    at += (size_t)snprintf(text + at, sizeof(text) - at, "  - {name: own, fingerprint: \"%s\"}\n", own);
    while (gate->partner_count < WIDE_SITES - 1) {
        struct site_id id = {{{0xee, (uint8_t)gate->partner_count}}};
        struct policy_partner *partner = &gate->partners[gate->partner_count++];
        site_id_format(&id, partner->fingerprint);
        partner->organisation = (uint16_t)gate->partner_count;
    }
    for (size_t i = 0; i < gate->partner_count; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "  - {name: s%zu, fingerprint: \"%s\"}\n", i,
                               gate->partners[i].fingerprint);
    assert_true(at < sizeof(text));
    site_expect_state(site_submit(company->site, text), FDS__JOB_STATE__JOB_PENDING);
    site_approve(company->site, 0, 0, 0);
}

/* The thread that seals them is the one that answers everybody. */
static void test_request_advertise_of_more_than_is_sealed_in_one_go_refused(void **state)
{
    struct company *company = *state;
    wide_job(company);
    site_expect_refusal(company_advertise(company, 0, 64), ERROR_REFUSED, "at most with 34 sites");
    site_expect_refusal(company_advertise(company, 0, 63), ERROR_REFUSED, "more than the 62");
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_slot"), 0);
    site_expect_type(company_advertise(company, 0, 62), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
}

static void test_request_advertise_of_another_job_or_run_refused(void **state)
{
    struct company *company = *state;
    struct site *site = company->site;
    struct digest job = site->job_id;
    site->job_id.bytes[0] ^= 1;
    site_expect_refusal(company_advertise(company, 0, COMPANY_BATCH), ERROR_NOT_FOUND, "no job");
    site->job_id = job;
    site_expect_type(company_advertise(company, 0, COMPANY_BATCH), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
    company_job(company, "another", "");
    site_expect_refusal(company_advertise(company, 0, COMPANY_BATCH), ERROR_REFUSED,
                        "belongs to another job");
    site->job_id = job;
    site->run[0] ^= 1; /* a second run, which nobody approved */
    site_expect_refusal(company_advertise(company, 0, COMPANY_BATCH), ERROR_REFUSED, "allows 1 run");
}

static void test_request_advertise_of_a_job_in_clear_refused(void **state)
{
    struct company *company = *state;
    site_approved(company->site, &(struct job_words){.name = "clear"}, 0, 0);
    site_expect_refusal(company_advertise(company, 0, 1), ERROR_REFUSED, "secure aggregation");
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM run"), 0);
}

static void test_request_advertise_after_the_end_of_the_run_refused(void **state)
{
    struct company *company = *state;
    site_expect_type(company_advertise(company, 0, COMPANY_BATCH), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
    site_expect_state(site_end_run(company->site, "stopped"), FDS__JOB_STATE__JOB_FINISHED);
    site_expect_refusal(company_advertise(company, 0, COMPANY_BATCH), ERROR_REFUSED, "is finished");
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_slot WHERE state <> 'dead'"), 0);
    assert_int_equal(
        site_count(company->site, "SELECT count(*) FROM secagg_secret WHERE secret <> zeroblob(96)"), 0);
}

/* ---- Share ---- */

static void share_refused(struct company *company, Fds__Share *share, enum error_code code, const char *words)
{
    site_expect_refusal(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &share->base), code, words);
    wire_share_free(share);
    assert_int_equal(shared(company), 0);
}

#define NOT_SIGNED " of the roster: The signature was not made over these bytes with the key it claims."

/* Any of the partners, by its place in the message. */
static size_t partner(const struct company *company)
{
    return company->own == 1 ? 1 : 0;
}

static void swap_adverts(Fds__Share *share, size_t one, size_t other)
{
    Fds__Advert *advert = share->adverts[one];
    share->adverts[one] = share->adverts[other];
    share->adverts[other] = advert;
}

static void remove_advert(Fds__Share *share, size_t place)
{
    wire_advert_free(share->adverts[place]);
    share->n_adverts--;
    for (size_t i = place; i < share->n_adverts; i++)
        share->adverts[i] = share->adverts[i + 1];
}

static struct company *advertised(void **state)
{
    struct company *company = *state;
    company_partners_advertise(company, 0);
    company_take_advert(company, company_advertise(company, 0, COMPANY_BATCH));
    return company;
}

static void test_request_share_with_a_field_of_an_advert_spoilt_refused(void **state)
{
    struct company *company = advertised(state);
    size_t i = partner(company);
    Fds__Share *share = company_share_message(company);
    share->adverts[i]->public_key.data[0] ^= 1;
    share_refused(company, share, ERROR_UNTRUSTED, "list of sites");
    share = company_share_message(company);
    share->adverts[i]->ledger_sequence++;
    share_refused(company, share, ERROR_UNTRUSTED, NOT_SIGNED);
    share = company_share_message(company);
    share->adverts[i]->ledger_head.data[0] ^= 1;
    share_refused(company, share, ERROR_UNTRUSTED, NOT_SIGNED);
    share = company_share_message(company);
    share->adverts[i]->signature.data[0] ^= 1;
    share_refused(company, share, ERROR_UNTRUSTED, NOT_SIGNED);
    for (size_t part = 0; part < 3; part++) { /* c, s, commitment to b */
        share = company_share_message(company);
        share->adverts[i]->entries.data[32 * part] ^= 1;
        share_refused(company, share, ERROR_UNTRUSTED, NOT_SIGNED);
    }
    company_take_shares(company, company_share(company));
}

static void test_request_share_with_adverts_of_other_slots_refused(void **state)
{
    struct company *company = advertised(state);
    Fds__Share *share = company_share_message(company);
    for (size_t i = 0; i < share->n_adverts; i++)
        share->adverts[i]->first_slot = 1;
    share_refused(company, share, ERROR_REFUSED, "no batch that begins with slot 1");
    share = company_share_message(company);
    share->adverts[partner(company)]->first_slot = 1;
    share_refused(company, share, ERROR_INVALID, "same slots");
    share = company_share_message(company);
    for (size_t i = 0; i < share->n_adverts; i++) {
        share->adverts[i]->count--;
        share->adverts[i]->entries.len -= 96;
    }
    share_refused(company, share, ERROR_REFUSED, "not the one that it gave");
    company_take_shares(company, company_share(company));
}

static void test_request_share_of_another_job_or_run_refused(void **state)
{
    struct company *company = advertised(state);
    Fds__Share *share = company_share_message(company);
    share->job_id.data[0] ^= 1;
    share_refused(company, share, ERROR_INVALID, "Share: adverts.job_id is of another job or run");
    share = company_share_message(company);
    share->run_id.data[0] ^= 1;
    share_refused(company, share, ERROR_INVALID, "Share: adverts.run_id is of another job or run");
    share = company_share_message(company);
    share->run_id.data[0] ^= 1;
    for (size_t i = 0; i < share->n_adverts; i++)
        share->adverts[i]->run_id.data[0] ^= 1;
    share_refused(company, share, ERROR_REFUSED, "never began");
    company_take_shares(company, company_share(company));
}

static void test_request_share_with_adverts_missing_swapped_or_twice_refused(void **state)
{
    struct company *company = advertised(state);
    size_t i = partner(company), own = company->own - 1, other = own == 4 ? 3 : 4;
    Fds__Share *share = company_share_message(company);
    remove_advert(share, own);
    share_refused(company, share, ERROR_REFUSED, "the advert of this site is missing");
    share = company_share_message(company);
    share->adverts[own]->entries.data[0] ^= 1;
    share_refused(company, share, ERROR_REFUSED, "not the one that it gave");
    share = company_share_message(company);
    swap_adverts(share, i, other);
    share_refused(company, share, ERROR_INVALID, "ascending order");
    share = company_share_message(company);
    remove_advert(share, i);
    remove_advert(share, other - 1);
    share_refused(company, share, ERROR_INVALID, "threshold is 4");
    share = company_share_message(company);
    wire_advert_free(share->adverts[other]);
    share->adverts[other] = NULL;
    must(secagg_wire_make_advert(&company->run, &company->adverts[i], &share->adverts[other]));
    share_refused(company, share, ERROR_INVALID, "there once");
    company_take_shares(company, company_share(company));
}

/* Two partners' keys exchanged under their own signatures, and an honest site that is not in the roster. */
static void test_request_share_with_swapped_keys_or_a_foreign_site_refused(void **state)
{
    struct company *company = advertised(state);
    size_t i = partner(company), other = company->own == 5 ? 3 : 4;
    Fds__Share *share = company_share_message(company);
    ProtobufCBinaryData entries = share->adverts[i]->entries;
    share->adverts[i]->entries = share->adverts[other]->entries;
    share->adverts[other]->entries = entries;
    share_refused(company, share, ERROR_UNTRUSTED, NOT_SIGNED);
    struct identity *stranger = NULL;
    char path[160];
    must(identity_create(workspace_file(company->site->workspace, "stranger", path), "stranger", &stranger));
    struct secagg_advert foreign = company->adverts[i];
    must(secagg_advert_sign(stranger, &company->run, &foreign));
    share = company_share_message(company);
    wire_advert_free(share->adverts[i]);
    share->adverts[i] = NULL;
    must(secagg_wire_make_advert(&company->run, &foreign, &share->adverts[i]));
    share_refused(company, share, ERROR_UNTRUSTED, "list of sites");
    identity_free(stranger);
    company_take_shares(company, company_share(company));
}

/* The same keys in two slots, under a good signature. */
static void test_request_share_with_repeated_keys_refused(void **state)
{
    struct company *company = advertised(state);
    size_t i = partner(company);
    struct secagg_entry kept_entry = company->adverts[i].entries[1];
    company->adverts[i].entries[1] = company->adverts[i].entries[0];
    must(secagg_advert_sign(company->partners[i], &company->run, &company->adverts[i]));
    Fds__Share *share = company_share_message(company);
    wire_advert_free(share->adverts[i]);
    share->adverts[i] = NULL;
    must(secagg_wire_make_advert(&company->run, &company->adverts[i], &share->adverts[i]));
    share_refused(company, share, ERROR_UNTRUSTED, "same key is there twice");
    company->adverts[i].entries[1] = kept_entry;
    must(secagg_advert_sign(company->partners[i], &company->run, &company->adverts[i]));
    company_take_shares(company, company_share(company));
}

static void test_request_share_of_a_site_that_was_put_back_refused(void **state)
{
    struct company *company = *state;
    char fingerprint[FINGERPRINT_BYTES];
    company_batch(company, 0);
    company->ledger -= 2; /* partners advertise an earlier event than before */
    company_partners_advertise(company, COMPANY_BATCH);
    company_take_advert(company, company_advertise(company, COMPANY_BATCH, COMPANY_BATCH));
    site_id_format(&company->roster[partner(company)], fingerprint);
    site_expect_refusal(company_share(company), ERROR_REFUSED, fingerprint);
    assert_int_equal(shared(company), 1);
}

static void test_request_share_again_with_other_adverts_refused(void **state)
{
    struct company *company = *state;
    company_batch(company, 0);
    Fds__Share *share = company_share_message(company);
    remove_advert(share, partner(company)); /* all that is left is true */
    site_expect_refusal(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &share->base), ERROR_REFUSED,
                        "it does that once");
    wire_share_free(share);
}

static void test_request_share_with_nothing_advertised_refused(void **state)
{
    struct company *company = advertised(state);
    struct reply shares;
    site_sql(company->site, "DELETE FROM secagg_batch");
    shares = company_share(company);
    site_expect_refusal(shares, ERROR_REFUSED, "no batch that begins with slot 0");
}

/* ---- others, while shares are computed ---- */

static struct reply share_meanwhile(struct company *company, void (*what)(struct company *company))
{
    of_meanwhile = company;
    meanwhile = what;
    struct reply reply = company_share(company);
    assert_null(meanwhile); /* it happened */
    return reply;
}

/* With a store of its own, as the executor and the owner's commands have. */
static void another_writes(struct company *company)
{
    struct store *other = workspace_store(company->site->workspace);
    must(store_secagg_begin(other));
    must(store_event_add(other, EVENT_JOB_APPROVED, &company->site->job_id, NULL, 0, SITE_NOW, "by another",
                         NULL));
    must(store_secagg_commit(other));
    store_close(other);
}

static void another_kills(struct company *company)
{
    struct store *other = workspace_store(company->site->workspace);
    must(store_secagg_kill(other, company->site->run, COMPANY_BATCH));
    store_close(other);
}

static void another_revokes(struct company *company)
{
    site_withhold(company->site, DECISION_REVOKE);
}

static void another_shares(struct company *company)
{
    struct reply reply = company_share(company);
    site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_SHARES);
}

static void test_request_share_lets_others_write_while_it_computes(void **state)
{
    struct company *company = advertised(state);
    company_take_shares(company, share_meanwhile(company, another_writes));
    assert_int_equal(shared(company), 1);
}

static void test_request_share_of_slots_that_died_meanwhile_refused(void **state)
{
    struct company *company = advertised(state);
    site_expect_refusal(share_meanwhile(company, another_kills), ERROR_REFUSED, "is not open any more");
    assert_int_equal(shared(company), 0);
}

static void test_request_share_of_a_job_that_was_revoked_meanwhile_refused(void **state)
{
    struct company *company = advertised(state);
    site_expect_refusal(share_meanwhile(company, another_revokes), ERROR_REFUSED, "revoked");
    assert_int_equal(shared(company), 0);
}

static void test_request_share_that_was_shared_meanwhile_refused(void **state)
{
    struct company *company = advertised(state);
    site_expect_refusal(share_meanwhile(company, another_shares), ERROR_REFUSED, "shares are made once");
    assert_int_equal(shared(company), 1);
    company_take_shares(company, company_share(company)); /* what was given, again */
}

/* ---- who, and by whose leave ---- */

static struct reply say_as(struct company *company, const struct site_id *peer, bool listed, bool share)
{
    Fds__Share *message = company_share_message(company);
    Fds__Advertise advertise = FDS__ADVERTISE__INIT;
    advertise.job_id = message->job_id;
    advertise.run_id = message->run_id;
    advertise.count = COMPANY_BATCH;
    struct reply reply =
        share ? site_ask(company->site, peer, listed, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &message->base)
              : site_ask(company->site, peer, listed, FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE, &advertise.base);
    wire_share_free(message);
    return reply;
}

static void test_request_keys_for_others_refused(void **state)
{
    struct company *company = advertised(state);
    struct site_id other = {{{0x77}}};
    for (int share = 0; share < 2; share++) {
        site_expect_refusal(say_as(company, &company->site->researcher, false, share == 1), ERROR_REFUSED,
                            "consortium");
        site_expect_refusal(say_as(company, &other, true, share == 1), ERROR_NOT_FOUND, "no job");
    }
    assert_int_equal(shared(company), 0);
}

static void both_refused(struct company *company, enum error_code code, const char *words)
{
    int64_t before = written(company);
    site_expect_refusal(say_as(company, &company->site->researcher, true, false), code, words);
    site_expect_refusal(say_as(company, &company->site->researcher, true, true), code, words);
    assert_int_equal(written(company), before);
    assert_int_equal(shared(company), 0);
}

static void test_request_keys_are_held_to_the_policy_of_now(void **state)
{
    struct company *company = advertised(state);
    struct policy_gate *gate = &company->site->policy.gate;
    gate->secure.min_threshold = COMPANY_THRESHOLD + 1;
    both_refused(company, ERROR_REFUSED, "threshold");
    gate->secure.min_threshold = 3;
    gate->secure.min_colluding = 2;
    both_refused(company, ERROR_REFUSED, "collud");
    gate->secure.min_colluding = 1;
    gate->secure.min_organisations = COMPANY_SITES + 1;
    both_refused(company, ERROR_REFUSED, "organisations");
    gate->secure.min_organisations = 2;
    gate->partner_count--;
    both_refused(company, ERROR_REFUSED, "partners");
    gate->partner_count++;
    company_take_shares(company, company_share(company));
}

static void test_request_keys_of_a_revoked_job_refused(void **state)
{
    struct company *company = advertised(state);
    site_withhold(company->site, DECISION_REVOKE);
    both_refused(company, ERROR_REFUSED, "revoked");
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_slot WHERE state <> 'dead'"), 0);
}

static void test_request_keys_after_the_approval_is_over_refused(void **state)
{
    struct company *company = advertised(state);
    site_move_clock(1900000000);
    both_refused(company, ERROR_EXPIRED, "expired");
}

static void test_request_keys_of_a_contradicted_chain_refused(void **state)
{
    struct company *company = advertised(state);
    struct chain_head head = {.sequence = 5000, .hash = {{1}}};
    bool is_open = false;
    must(store_contradict(company->site->store, &company->site->researcher, &head, SITE_NOW, &is_open));
    both_refused(company, ERROR_REFUSED, "receipt");
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_slot WHERE state <> 'dead'"), 0);
}

/* A step that cannot be written gives nothing away. */
static void test_request_keys_that_cannot_be_written_are_not_given(void **state)
{
    struct company *company = advertised(state);
    must(
        database_run(company->site->store->database,
                     "CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END"));
    site_expect_refusal(company_share(company), ERROR_CONFLICT, "problem of its own");
    site_expect_refusal(company_advertise(company, COMPANY_BATCH, 1), ERROR_CONFLICT, "problem of its own");
    assert_int_equal(shared(company), 0);
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_batch"), 1);
    must(database_run(company->site->store->database, "DROP TRIGGER full"));
    company_take_shares(company, company_share(company));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, company_make, company_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_keys_in_order_are_given_and_given_again),
        TEST(test_request_keys_after_a_restart_are_the_same),
        TEST(test_request_advertise_of_other_slots_than_before_refused),
        TEST(test_request_advertise_beyond_what_a_message_may_say_refused),
        TEST(test_request_advertise_of_more_than_is_sealed_in_one_go_refused),
        TEST(test_request_advertise_of_another_job_or_run_refused),
        TEST(test_request_advertise_of_a_job_in_clear_refused),
        TEST(test_request_advertise_after_the_end_of_the_run_refused),
        TEST(test_request_share_with_a_field_of_an_advert_spoilt_refused),
        TEST(test_request_share_with_adverts_of_other_slots_refused),
        TEST(test_request_share_of_another_job_or_run_refused),
        TEST(test_request_share_with_adverts_missing_swapped_or_twice_refused),
        TEST(test_request_share_with_swapped_keys_or_a_foreign_site_refused),
        TEST(test_request_share_with_repeated_keys_refused),
        TEST(test_request_share_of_a_site_that_was_put_back_refused),
        TEST(test_request_share_again_with_other_adverts_refused),
        TEST(test_request_share_with_nothing_advertised_refused),
        TEST(test_request_share_lets_others_write_while_it_computes),
        TEST(test_request_share_of_slots_that_died_meanwhile_refused),
        TEST(test_request_share_of_a_job_that_was_revoked_meanwhile_refused),
        TEST(test_request_share_that_was_shared_meanwhile_refused),
        TEST(test_request_keys_for_others_refused),
        TEST(test_request_keys_are_held_to_the_policy_of_now),
        TEST(test_request_keys_of_a_revoked_job_refused),
        TEST(test_request_keys_after_the_approval_is_over_refused),
        TEST(test_request_keys_of_a_contradicted_chain_refused),
        TEST(test_request_keys_that_cannot_be_written_are_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
