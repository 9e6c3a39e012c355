/* Agree and Unmask: the whole of a round with simulated partners, whose sum must be right; every field of both messages
 * spoilt once; messages that are stale, twice or in another order; and what an orchestrator would try to get two sums of one
 * round. */
#include "crypto/secagg_wire.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/company.h"

static int64_t agreed(struct company *company)
{
    return site_count(company->site, "SELECT count(*) FROM event WHERE kind = 'round-agreed'");
}

static int64_t given(struct company *company)
{
    return site_count(company->site, "SELECT count(*) FROM secagg_given");
}

static void agree_refused(struct company *company, Fds__Agree *agree, enum error_code code, const char *words)
{
    int64_t before = agreed(company);
    site_expect_refusal(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_AGREE, &agree->base), code, words);
    wire_agree_free(agree);
    assert_int_equal(agreed(company), before);
}

static void unmask_refused(struct company *company, Fds__Unmask *unmask, enum error_code code,
                           const char *words)
{
    int64_t before = given(company);
    site_expect_refusal(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &unmask->base), code, words);
    wire_unmask_free(unmask);
    assert_int_equal(given(company), before);
}

/* Place of the datasite in lists of U3. */
static size_t own_place(const struct company *company)
{
    size_t place = 0;
    while (company->u3.positions[place] != company->own)
        place++;
    return place;
}

static uint32_t outsider(const struct company *company)
{
    for (uint32_t position = 1; position <= COMPANY_SITES; position++)
        if (!secagg_set_has(company->u3, position))
            return position;
    return 0;
}

static struct reply kept(const struct reply *reply)
{
    struct reply copy = *reply;
    copy.body = malloc(reply->body_bytes + 1);
    assert_non_null(copy.body);
    memcpy(copy.body, reply->body, reply->body_bytes);
    return copy;
}

/* ---- in order ---- */

static void test_request_agree_then_unmask_gives_the_sum(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    company_take_unmasking(company, company_unmask(company));
    /* Of the five sites one did not contribute: its s, and b of the others. */
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_given WHERE kind = 1"), 4);
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_given WHERE kind = 2"), 1);
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM event WHERE kind = 'shares-revealed'"),
                     1);
}

static void test_request_agree_rounds_and_attempts_go_on(void **state)
{
    struct company *company = *state;
    company_mask(company, 1, 1, 1, COMPANY_SITES, COMPANY_SITES); /* attempt 0 came to nothing */
    company_take_agreement(company, company_agree(company));
    company_take_unmasking(company, company_unmask(company));
    company_batch(company, 3);
    company_mask(company, 2, 0, 3, COMPANY_SITES - 1, COMPANY_SITES - 1);
    company_take_agreement(company, company_agree(company));
    company_take_unmasking(company, company_unmask(company));
    assert_int_equal(agreed(company), 2);
}

static void test_request_agree_and_unmask_again_give_the_same_bytes(void **state)
{
    struct company *company = *state;
    struct reply agreement = company_agree(company), agreement_copy = kept(&agreement);
    company_take_agreement(company, agreement);
    struct reply unmasking = company_unmask(company), unmasking_copy = kept(&unmasking);
    company_take_unmasking(company, unmasking);
    int64_t events = site_count(company->site, "SELECT count(*) FROM event");
    site_expect_same(agreement_copy, company_agree(company));
    site_expect_same(kept(&unmasking_copy), company_unmask(company));
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM event"), events);
    site_pause(company->site);
    site_resume(company->site);
    site_expect_same(unmasking_copy, company_unmask(company));
}

static void test_request_unmask_keeps_no_secret_of_the_slot(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_vector"), 0);
    company_take_unmasking(company, company_unmask(company));
    assert_int_equal(site_count(company->site,
                                "SELECT count(*) FROM secagg_secret WHERE slot = 0 AND (secret <> "
                                "zeroblob(96) OR own_share <> zeroblob(80))"),
                     0);
    assert_int_equal(
        site_count(company->site, "SELECT count(*) FROM secagg_secret WHERE secret <> zeroblob(96)"), 2);
}

/* ---- Agree ---- */

static void test_request_agree_with_a_field_of_the_attempt_spoilt_refused(void **state)
{
    struct company *company = *state;
    Fds__Agree *agree = company_agree_message(company);
    agree->job_id.data[0] ^= 1;
    agree_refused(company, agree, ERROR_NOT_FOUND, "no job");
    agree = company_agree_message(company);
    agree->run_id.data[0] ^= 1;
    agree_refused(company, agree, ERROR_REFUSED, "never began");
    agree = company_agree_message(company);
    agree->round = 2;
    agree_refused(company, agree, ERROR_REFUSED, "does not serve attempt 1 of round 2");
    agree = company_agree_message(company);
    agree->attempt = 1;
    agree_refused(company, agree, ERROR_REFUSED, "does not serve attempt 2 of round 1");
    agree = company_agree_message(company);
    agree->slot = 1;
    agree_refused(company, agree, ERROR_REFUSED, "Key slot 1 does not serve");
    agree = company_agree_message(company);
    agree->slot = 100;
    agree_refused(company, agree, ERROR_REFUSED, "no key slot 100");
    company_take_agreement(company, company_agree(company));
}

/* Signatures of the others' are verified before shares are given (test_request_unmask). */
static void test_request_agree_to_another_digest_of_its_own_refused(void **state)
{
    struct company *company = *state;
    Fds__Agree *agree = company_agree_message(company);
    agree->inputs[own_place(company)]->digest.data[0] ^= 1;
    agree_refused(company, agree, ERROR_UNTRUSTED, "not the vector that it gave");
    company_take_agreement(company, company_agree(company));
}

static void test_request_agree_with_inputs_out_of_order_or_twice_refused(void **state)
{
    struct company *company = *state;
    Fds__Agree *agree = company_agree_message(company);
    Fds__InputStatement *first = agree->inputs[0];
    agree->inputs[0] = agree->inputs[1];
    agree->inputs[1] = first;
    agree_refused(company, agree, ERROR_INVALID, "each above the one before");
    agree = company_agree_message(company);
    agree->inputs[1]->position = agree->inputs[0]->position;
    agree_refused(company, agree, ERROR_INVALID, "each above the one before");
    company_take_agreement(company, company_agree(company));
}

static void test_request_agree_to_too_few_or_without_this_site_refused(void **state)
{
    struct company *company = *state;
    company_contributors(company, COMPANY_THRESHOLD - 1);
    agree_refused(company, company_agree_message(company), ERROR_REFUSED, "it needs at least 4");
    company_contributors(company, COMPANY_SITES);
    Fds__Agree *agree = company_agree_message(company);
    size_t own = own_place(company);
    Fds__InputStatement *mine = agree->inputs[own];
    agree->n_inputs--;
    for (size_t i = own; i < agree->n_inputs; i++)
        agree->inputs[i] = agree->inputs[i + 1];
    agree->inputs[agree->n_inputs] = mine;
    struct reply reply = company_say(company, FDS__MESSAGE_TYPE__MESSAGE_AGREE, &agree->base);
    site_expect_refusal(reply, ERROR_REFUSED, "not in the list of contributors");
    agree->n_inputs++;
    wire_agree_free(agree);
    assert_int_equal(agreed(company), 0);
}

/* A contributor who has shared nothing in this attempt. */
static void test_request_agree_to_who_is_no_sharer_refused(void **state)
{
    struct company *company = *state;
    company_mask(company, 1, 1, 1, COMPANY_SITES - 1, COMPANY_SITES - 1);
    struct secagg_input inputs[COMPANY_SITES];
    memcpy(inputs, company->inputs, sizeof(inputs));
    uint32_t other = outsider(company);
    size_t place = 0;
    while (place < company->u3.count && company->u3.positions[place] < other)
        place++;
    Fds__Agree *agree = company_agree_message(company);
    secagg_wire_free_inputs(agree->inputs, agree->n_inputs);
    memmove(&inputs[place + 1], &inputs[place], (COMPANY_SITES - 1 - place) * sizeof(inputs[0]));
    inputs[place].position = other;
    must(secagg_wire_make_inputs(inputs, COMPANY_SITES, &agree->inputs));
    agree->n_inputs = COMPANY_SITES;
    agree_refused(company, agree, ERROR_INVALID, "not in the list of sharers");
}

static void test_request_agree_to_too_few_organisations_refused(void **state)
{
    struct company *company = *state;
    company->site->policy.gate.secure.min_organisations = COMPANY_SITES;
    agree_refused(company, company_agree_message(company), ERROR_REFUSED, "organisations");
    company_contributors(company, COMPANY_SITES);
    company_take_agreement(company, company_agree(company));
}

/* ---- one statement a round ---- */

static void test_request_agree_to_two_survivor_sets_refused(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    company_contributors(company, COMPANY_SITES);
    agree_refused(company, company_agree_message(company), ERROR_REFUSED, "signs that once");
    company_contributors(company, COMPANY_SITES - 1);
    site_expect_type(company_agree(company), FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
}

/* The subtraction: attempt 0 with everybody, then attempt 1 without one; and the other way round, with both vectors given. */
static void test_request_agree_to_two_attempts_refused(void **state)
{
    struct company *company = *state;
    struct digest context = {{1}};
    company_mask(company, 1, 1, 1, COMPANY_SITES, COMPANY_SITES); /* no statement yet: may be given */
    company_take_agreement(company, company_agree(company));
    Fds__Agree *agree = company_agree_message(company);
    agree->attempt = 0;
    agree->slot = 0;
    agree_refused(company, agree, ERROR_UNTRUSTED,
                  "not the vector that it gave"); /* inputs of another attempt */
    refused(store_secagg_bind(company->site->store, company->site->run, 2, 1, 2, &context, company->u2,
                              (const uint8_t *)"", 0),
            ERROR_REFUSED, "joins no other attempt");
    company_take_unmasking(company, company_unmask(company));
}

static void test_request_agree_to_the_attempt_before_after_the_next_refused(void **state)
{
    struct company *company = *state;
    struct secagg_input inputs[COMPANY_SITES]; /* good ones of attempt 0 */
    memcpy(inputs, company->inputs, sizeof(inputs));
    company_mask(company, 1, 1, 1, COMPANY_SITES, COMPANY_SITES - 1);
    company_take_agreement(company, company_agree(company));
    Fds__Agree *agree = company_agree_message(company);
    secagg_wire_free_inputs(agree->inputs, agree->n_inputs);
    must(secagg_wire_make_inputs(inputs, company->u3.count, &agree->inputs));
    agree->attempt = 0;
    agree->slot = 0;
    agree_refused(company, agree, ERROR_REFUSED, "signs that once");
    Fds__Unmask *unmask = company_unmask_message(company);
    unmask->attempt = 0;
    unmask->slot = 0;
    unmask_refused(company, unmask, ERROR_REFUSED, "has not signed");
}

static void test_request_agree_before_the_vector_refused(void **state)
{
    struct company *company = *state;
    struct digest context = {{1}};
    company_take_agreement(company, company_agree(company));
    company_take_unmasking(company, company_unmask(company));
    Fds__Agree *agree = company_agree_message(company);
    agree->round = 2;
    agree->slot = 1;
    agree_refused(company, agree, ERROR_REFUSED, "Key slot 1 does not serve");
    must(store_secagg_bind(company->site->store, company->site->run, 1, 2, 0, &context, company->u2,
                           (const uint8_t *)"", 0));
    agree = company_agree_message(company);
    agree->round = 2;
    agree->slot = 1;
    agree_refused(company, agree, ERROR_REFUSED, "contributed nothing to round 2");
}

/* ---- who, and by whose leave ---- */

static void both_refused(struct company *company, const struct site_id *peer, bool listed,
                         enum error_code code, const char *words)
{
    Fds__Agree *agree = company_agree_message(company);
    Fds__Unmask *unmask = company_unmask_message(company);
    site_expect_refusal(site_ask(company->site, peer, listed, FDS__MESSAGE_TYPE__MESSAGE_AGREE, &agree->base),
                        code, words);
    site_expect_refusal(
        site_ask(company->site, peer, listed, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &unmask->base), code, words);
    wire_agree_free(agree);
    wire_unmask_free(unmask);
    assert_int_equal(agreed(company), 1);
    assert_int_equal(given(company), 0);
}

static void test_request_agree_and_unmask_for_others_refused(void **state)
{
    struct company *company = *state;
    struct site_id other = {{{0x77}}};
    company_take_agreement(company, company_agree(company));
    both_refused(company, &company->site->researcher, false, ERROR_REFUSED, "consortium");
    both_refused(company, &other, true, ERROR_NOT_FOUND, "no job");
}

static void test_request_agree_and_unmask_are_held_to_the_policy_of_now(void **state)
{
    struct company *company = *state;
    const struct site_id *researcher = &company->site->researcher;
    struct policy_gate *gate = &company->site->policy.gate;
    company_take_agreement(company, company_agree(company));
    gate->secure.min_threshold = COMPANY_THRESHOLD + 1;
    both_refused(company, researcher, true, ERROR_REFUSED, "threshold");
    gate->secure.min_threshold = 3;
    gate->partner_count--;
    both_refused(company, researcher, true, ERROR_REFUSED, "partners");
    gate->partner_count++;
    company_take_unmasking(company, company_unmask(company));
}

static void test_request_agree_and_unmask_of_a_revoked_job_refused(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    site_withhold(company->site, DECISION_REVOKE);
    both_refused(company, &company->site->researcher, true, ERROR_REFUSED, "revoked");
    assert_int_equal(
        site_count(company->site, "SELECT count(*) FROM secagg_secret WHERE secret <> zeroblob(96)"), 0);
}

static void test_request_agree_and_unmask_after_the_end_of_the_run_refused(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    site_expect_state(site_end_run(company->site, "finished"), FDS__JOB_STATE__JOB_FINISHED);
    both_refused(company, &company->site->researcher, true, ERROR_REFUSED, "finished");
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_slot WHERE state <> 'dead'"), 0);
}

static void test_request_agree_and_unmask_that_cannot_be_written_are_not_given(void **state)
{
    struct company *company = *state;
    struct database *database = company->site->store->database;
    static const char full[] =
        "CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END";
    must(database_run(database, full));
    agree_refused(company, company_agree_message(company), ERROR_CONFLICT, "problem of its own");
    assert_int_equal(
        site_count(company->site, "SELECT count(*) FROM secagg_round WHERE agreement IS NOT NULL"), 0);
    must(database_run(database, "DROP TRIGGER full"));
    company_take_agreement(company, company_agree(company));
    must(database_run(database, full));
    unmask_refused(company, company_unmask_message(company), ERROR_CONFLICT, "problem of its own");
    assert_int_equal(given(company), 0);
    must(database_run(database, "DROP TRIGGER full"));
    company_take_unmasking(company, company_unmask(company));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, company_masked, company_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_agree_then_unmask_gives_the_sum),
        TEST(test_request_agree_rounds_and_attempts_go_on),
        TEST(test_request_agree_and_unmask_again_give_the_same_bytes),
        TEST(test_request_unmask_keeps_no_secret_of_the_slot),
        TEST(test_request_agree_with_a_field_of_the_attempt_spoilt_refused),
        TEST(test_request_agree_to_another_digest_of_its_own_refused),
        TEST(test_request_agree_with_inputs_out_of_order_or_twice_refused),
        TEST(test_request_agree_to_too_few_or_without_this_site_refused),
        TEST(test_request_agree_to_who_is_no_sharer_refused),
        TEST(test_request_agree_to_too_few_organisations_refused),
        TEST(test_request_agree_to_two_survivor_sets_refused),
        TEST(test_request_agree_to_two_attempts_refused),
        TEST(test_request_agree_to_the_attempt_before_after_the_next_refused),
        TEST(test_request_agree_before_the_vector_refused),
        TEST(test_request_agree_and_unmask_for_others_refused),
        TEST(test_request_agree_and_unmask_are_held_to_the_policy_of_now),
        TEST(test_request_agree_and_unmask_of_a_revoked_job_refused),
        TEST(test_request_agree_and_unmask_after_the_end_of_the_run_refused),
        TEST(test_request_agree_and_unmask_that_cannot_be_written_are_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
