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

/* ---- the signatures under the inputs ---- */

/* Everybody contributed, and the list has company->inputs as they are now: the datasite and its partners sign it, but for the
 * partner in `place`. The Unmask that follows. */
static Fds__Unmask *signed_without(struct company *company, size_t place)
{
    must(secagg_agreement_body(&company->attempt, company->inputs, company->u3.count, company->body));
    company_take_agreement(company, company_agree(company));
    Fds__Unmask *unmask = company_unmask_message(company);
    secagg_wire_free_agreements(unmask->agreements, unmask->n_agreements);
    struct secagg_agreement others[COMPANY_SITES];
    size_t count = 0;
    for (size_t i = 0; i < company->u3.count; i++)
        if (i != place)
            others[count++] = company->agreements[i];
    must(secagg_wire_make_agreements(others, count, &unmask->agreements));
    unmask->n_agreements = count;
    return unmask;
}

static void change_nothing(struct company *company, size_t place)
{
    (void)company;
    (void)place;
}
static void change_digest(struct company *company, size_t place)
{
    company->inputs[place].digest.bytes[0] ^= 1;
}
static void change_signature(struct company *company, size_t place)
{
    company->inputs[place].signature[0] ^= 1;
}
/* Another site's vector under this one's name. */
static void change_owner(struct company *company, size_t place)
{
    uint32_t position = company->inputs[place].position;
    company->inputs[place] = company->inputs[place == 0 ? 1 : 0];
    company->inputs[place].position = position;
}

static size_t first_partner(const struct company *company)
{
    return company->u3.positions[0] == company->own ? 1 : 0;
}

static void test_request_unmask_of_an_entry_that_nobody_signed_refused(void **state)
{
    void (*const changes[])(struct company * company, size_t place) = {change_digest, change_signature,
                                                                       change_owner};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(company_masked(state), 0);
        struct company *company = *state;
        company_contributors(company, COMPANY_SITES);
        size_t place = first_partner(company);
        changes[i](company, place);
        unmask_refused(company, signed_without(company, place), ERROR_UNTRUSTED,
                       " of the roster: The signature was not made over these bytes with the key it claims.");
        assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_given"), 0);
        assert_int_equal(company_remove(state), 0);
    }
}

/* Who does not agree is known by the signature under its vector; who agrees, by that. */
static void test_request_unmask_of_entries_that_were_signed_either_way_gives_shares(void **state)
{
    void (*const changes[])(struct company * company, size_t place) = {change_nothing, change_signature};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(company_masked(state), 0);
        struct company *company = *state;
        company_contributors(company, COMPANY_SITES);
        size_t place = first_partner(company);
        changes[i](company, place);
        Fds__Unmask *unmask = signed_without(company, i == 0 ? place : COMPANY_SITES);
        site_expect_type(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &unmask->base),
                         FDS__MESSAGE_TYPE__MESSAGE_UNMASKING);
        wire_unmask_free(unmask);
        assert_int_equal(company_remove(state), 0);
    }
}

/* Whoever may write the file takes the signatures away, or puts others there. */
static void test_request_unmask_without_the_inputs_that_were_kept_refused(void **state)
{
    static const struct {
        const char *edit, *words;
        enum error_code code;
    } edits[] = {
        {"UPDATE secagg_round SET inputs = NULL", "kept no inputs", ERROR_REFUSED},
        {"UPDATE secagg_round SET inputs = x''", "kept no inputs", ERROR_REFUSED},
        {"UPDATE secagg_round SET inputs = substr(inputs, 1, 8)", "are due", ERROR_UNTRUSTED},
        {"UPDATE secagg_round SET inputs = zeroblob(length(inputs))", "not those of the list",
         ERROR_UNTRUSTED},
        {"UPDATE secagg_round SET inputs = CAST(x'ff' || substr(inputs, 2) AS BLOB)", "not those of the list",
         ERROR_UNTRUSTED},
    };
    struct company *company = *state;
    company_take_agreement(company, company_agree(company));
    for (size_t i = 1; i < sizeof(edits) / sizeof(edits[0]); i++)
        refused(database_run(company->site->store->database, edits[i].edit), ERROR_CONFLICT, "");
    must(database_run(company->site->store->database, "DROP TRIGGER secagg_inputs_once"));
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        must(database_run(company->site->store->database,
                          "CREATE TEMP TABLE before AS SELECT inputs FROM secagg_round"));
        site_sql(company->site, edits[i].edit);
        unmask_refused(company, company_unmask_message(company), edits[i].code, edits[i].words);
        site_sql(company->site, "UPDATE secagg_round SET inputs = (SELECT inputs FROM before)");
        must(database_run(company->site->store->database, "DROP TABLE before"));
    }
    company_take_unmasking(company, company_unmask(company));
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
        cmocka_unit_test(test_request_unmask_of_an_entry_that_nobody_signed_refused),
        cmocka_unit_test(test_request_unmask_of_entries_that_were_signed_either_way_gives_shares),
        TEST(test_request_unmask_without_the_inputs_that_were_kept_refused),
        TEST(test_request_unmask_forgets_what_the_keys_of_the_slot_agreed_on),
        TEST(test_request_unmask_without_a_memory_gives_the_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
