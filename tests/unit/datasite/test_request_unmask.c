/* Unmask: every field of the message spoilt once, signatures of others over something else, and what an orchestrator would try
 * to get shares before, beside or beyond the one statement of a round. */
#include "crypto/secagg_wire.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/company.h"

static int64_t given(struct company *company)
{
    return site_count(company->site, "SELECT count(*) FROM secagg_given");
}

static void unmask_refused(struct company *company, Fds__Unmask *unmask, enum error_code code,
                           const char *words)
{
    int64_t before = given(company);
    site_expect_refusal(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &unmask->base), code, words);
    wire_unmask_free(unmask);
    assert_int_equal(given(company), before);
}

static struct reply kept(const struct reply *reply)
{
    struct reply copy = *reply;
    copy.body = malloc(reply->body_bytes + 1);
    assert_non_null(copy.body);
    memcpy(copy.body, reply->body, reply->body_bytes);
    return copy;
}

static uint32_t outsider(const struct company *company)
{
    for (uint32_t position = 1; position <= COMPANY_SITES; position++)
        if (!secagg_set_has(company->u3, position))
            return position;
    return 0;
}

/* Next to it in U3, so that the list stays ascending with it in that place. */
static size_t outsider_place(const struct company *company)
{
    size_t place = outsider(company);
    return place > company->u3.count ? company->u3.count - 1 : place - 1;
}

#define NOT_SIGNED "The signature was not made over these bytes with the key it claims."
#define OTHER_KEY "The key beside a signature is not the key of the site that it is said to be of."

/* ---- Unmask ---- */

static void test_request_unmask_with_a_field_of_the_attempt_spoilt_refused(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    Fds__Unmask *unmask = company_unmask_message(company);
    unmask->job_id.data[0] ^= 1;
    unmask_refused(company, unmask, ERROR_NOT_FOUND, "no job");
    unmask = company_unmask_message(company);
    unmask->run_id.data[0] ^= 1;
    unmask_refused(company, unmask, ERROR_REFUSED, "never began");
    unmask = company_unmask_message(company);
    unmask->round = 2;
    unmask_refused(company, unmask, ERROR_REFUSED, "does not serve attempt 1 of round 2");
    unmask = company_unmask_message(company);
    unmask->attempt = 1;
    unmask_refused(company, unmask, ERROR_REFUSED, "does not serve attempt 2 of round 1");
    unmask = company_unmask_message(company);
    unmask->slot = 1;
    unmask_refused(company, unmask, ERROR_REFUSED, "Key slot 1 does not serve");
    company_take_unmasking(company, company_unmask(company));
}

static void test_request_unmask_with_a_field_of_an_agreement_spoilt_refused(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    for (size_t i = 0; i < company->u3.count; i++) {
        Fds__Unmask *unmask = company_unmask_message(company);
        unmask->agreements[i]->signature.data[0] ^= 1;
        unmask_refused(company, unmask, ERROR_UNTRUSTED, NOT_SIGNED);
        unmask = company_unmask_message(company);
        unmask->agreements[i]->public_key.data[0] ^= 1;
        unmask_refused(company, unmask, ERROR_UNTRUSTED, OTHER_KEY);
    }
    Fds__Unmask *unmask = company_unmask_message(company);
    unmask->agreements[company->u3.count - 1]->position = COMPANY_SITES + 1;
    unmask_refused(company, unmask, ERROR_INVALID, "which has 1 to 5");
    unmask = company_unmask_message(company); /* another site's place, which none of them is in */
    size_t place = outsider_place(company);
    unmask->agreements[place]->position = outsider(company);
    unmask_refused(company, unmask, ERROR_UNTRUSTED, OTHER_KEY);
    company_take_unmasking(company, company_unmask(company));
}

static void test_request_unmask_with_fewer_signatures_than_the_threshold_refused(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    Fds__Unmask *unmask = company_unmask_message(company);
    Fds__AgreementStatement *last = unmask->agreements[--unmask->n_agreements];
    site_expect_refusal(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &unmask->base), ERROR_REFUSED,
                        "3 sites agree, and the job's threshold is 4");
    unmask->agreements[unmask->n_agreements++] = last;
    wire_unmask_free(unmask);
    unmask = company_unmask_message(company);
    unmask->agreements[1]->position = unmask->agreements[0]->position;
    unmask_refused(company, unmask, ERROR_INVALID, "each above the one before");
    unmask = company_unmask_message(company);
    last = unmask->agreements[0];
    unmask->agreements[0] = unmask->agreements[1];
    unmask->agreements[1] = last;
    unmask_refused(company, unmask, ERROR_INVALID, "each above the one before");
    assert_int_equal(given(company), 0);
    company_take_unmasking(company, company_unmask(company));
}

/* Partners who signed that everybody contributed: honest signatures, over another body than this site's. */
static void test_request_unmask_with_agreements_to_another_set_refused(void **state)
{
    struct company *company = *state;
    struct reply own = company_agree(company), copy = kept(&own);
    company_take_agreement(company, own);
    company_contributors(company, COMPANY_SITES);
    Fds__Agreement *message = NULL;
    must(wire_agreement_decode(copy.body, copy.body_bytes, &message));
    for (size_t i = 0; i < company->u3.count; i++) {
        struct secagg_agreement *agreement = &company->agreements[i];
        agreement->position = company->u3.positions[i];
        struct identity *identity = company->partners[agreement->position - 1];
        identity_public_key(identity == NULL ? company->site->identity : identity, agreement->public_key);
        if (identity == NULL)
            memcpy(agreement->signature, message->signature.data, SIGNATURE_BYTES);
        else
            must(secagg_sign(identity, SECAGG_AGREEMENT, company->body, sizeof(company->body),
                             agreement->signature));
    }
    wire_agreement_free(message);
    requests_reply_clear(&copy);
    unmask_refused(company, company_unmask_message(company), ERROR_UNTRUSTED, "The agreement of site");
}

static void test_request_unmask_before_this_site_agreed_refused(void **state)
{
    struct company *company = *state;
    for (size_t i = 0; i < company->u3.count; i++) { /* all partners have, and this site is said to have */
        struct secagg_agreement *agreement = &company->agreements[i];
        agreement->position = company->u3.positions[i];
        struct identity *identity = company->partners[agreement->position - 1];
        identity = identity == NULL ? company->site->identity : identity;
        identity_public_key(identity, agreement->public_key);
        must(secagg_sign(identity, SECAGG_AGREEMENT, company->body, sizeof(company->body),
                         agreement->signature));
    }
    unmask_refused(company, company_unmask_message(company), ERROR_REFUSED, "has not signed");
}

/* Whoever may write the file puts other contributors under the statement. */
static void test_request_unmask_of_an_edited_list_refused(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    must(database_run(company->site->store->database, "DROP TRIGGER secagg_agreement_once"));
    site_sql(company->site,
             "UPDATE secagg_round SET contributors = x'0100000002000000030000000400000005000000'");
    unmask_refused(company, company_unmask_message(company), ERROR_UNTRUSTED, "its database was changed");
}

static void test_request_unmask_of_a_dead_slot_refused(void **state)
{
    struct company *company = *state;
    uint32_t killed = 0;
    company_take_agreement(company, company_agree(company));
    must(store_secagg_kill_all(company->site->store, &killed));
    unmask_refused(company, company_unmask_message(company), ERROR_REFUSED, "is dead");
}

/* By the policy of the moment in which shares are given, those of before once more included. */
static void test_request_unmask_of_organisations_that_are_too_few_by_now_refused(void **state)
{
    struct company *company = *state;
    struct policy_gate *gate = &company->site->policy.gate;
    uint32_t before = gate->secure.min_organisations;
    company_take_agreement(company, company_agree(company));
    gate->secure.min_organisations = COMPANY_SITES; /* the roster has as many; one site did not contribute */
    unmask_refused(company, company_unmask_message(company), ERROR_REFUSED, "organisations");
    gate->secure.min_organisations = before;
    struct reply first = company_unmask(company);
    company_expect(&first, FDS__MESSAGE_TYPE__MESSAGE_UNMASKING);
    gate->secure.min_organisations = COMPANY_SITES;
    unmask_refused(company, company_unmask_message(company), ERROR_REFUSED, "organisations");
    gate->secure.min_organisations = before;
    site_expect_same(first, company_unmask(company));
}

/* Whether the datasite remembers what its key of a slot agreed on with that of a partner. */
static bool remembers(struct company *company, uint32_t partner, uint32_t slot)
{
    uint8_t shared[AGREEMENT_KEY_BYTES];
    struct agreement_pair pair = {.slot = slot};
    const struct secagg_keyset *keyset = company->keyset;
    memcpy(pair.run_id, company->run.run_id, sizeof(pair.run_id));
    memcpy(pair.one, secagg_keyset_entry(keyset, company->own, slot)->c, sizeof(pair.one));
    memcpy(pair.other, secagg_keyset_entry(keyset, partner, slot)->c, sizeof(pair.other));
    return agreement_memory_find(secagg_cache_agreed(company->site->secagg), &pair, shared);
}

/* With the slot's secrets, which are erased in site.db, goes what follows from them. */
static void test_request_unmask_forgets_what_the_keys_of_the_slot_agreed_on(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    for (uint32_t position = 1; position <= COMPANY_SITES; position++)
        if (position != company->own)
            assert_true(remembers(company, position, 0) && remembers(company, position, 1));
    company_take_unmasking(company, company_unmask(company));
    for (uint32_t position = 1; position <= COMPANY_SITES; position++)
        if (position != company->own)
            assert_true(!remembers(company, position, 0) && remembers(company, position, 1));
}

/* After a restart nothing is remembered, and the same bytes come. */
static void test_request_unmask_without_a_memory_gives_the_shares(void **state)
{
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    agreement_memory_forget(secagg_cache_agreed(company->site->secagg), company->run.run_id, UINT32_MAX);
    company_take_unmasking(company, company_unmask(company));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, company_masked, company_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_unmask_with_a_field_of_the_attempt_spoilt_refused),
        TEST(test_request_unmask_with_a_field_of_an_agreement_spoilt_refused),
        TEST(test_request_unmask_with_fewer_signatures_than_the_threshold_refused),
        TEST(test_request_unmask_with_agreements_to_another_set_refused),
        TEST(test_request_unmask_before_this_site_agreed_refused),
        TEST(test_request_unmask_of_an_edited_list_refused),
        TEST(test_request_unmask_of_a_dead_slot_refused),
        TEST(test_request_unmask_of_organisations_that_are_too_few_by_now_refused),
        TEST(test_request_unmask_forgets_what_the_keys_of_the_slot_agreed_on),
        TEST(test_request_unmask_without_a_memory_gives_the_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
