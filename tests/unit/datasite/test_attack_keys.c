/* An orchestrator of secure aggregation that lies about keys, rosters and rules, against four sites with all that is
 * theirs: it wants to stand between two sites, to add a site of its own, to make old keys new, or to have less asked of it than
 * the owner asks. (Rounds and lists: test_attack_sum.c.) */
#include "tests/unit/datasite/driver.h"

#define SECOND MASKED_BATCH /* first slot of the second batch, which no site has shared yet */

static const uint32_t everybody[] = {1, 2, 3, 4};

#define REFUSED MASKED_REFUSED

/* Adverts of the second batch, of all sites; and room for one more. */
struct second {
    struct secagg_advert adverts[MASKED_SITES + 1];
    struct secagg_entry entries[MASKED_SITES + 1][MASKED_BATCH]; /* as they were */
};

static void second_advertise(struct masked_sites *masked, struct second *second)
{
    memset(second, 0, sizeof(*second));
    for (uint32_t position = 1; position <= MASKED_SITES; position++) {
        struct secagg_advert *advert = &second->adverts[position - 1];
        *advert = driver_advert(masked, driver_advertise(masked, position, SECOND));
        memcpy(second->entries[position - 1], advert->entries, sizeof(second->entries[0]));
    }
}

static void second_clear(struct second *second)
{
    for (size_t i = 0; i <= MASKED_SITES; i++)
        secagg_advert_clear(&second->adverts[i]);
}

static struct reply share_all(struct masked_sites *masked, uint32_t position, const struct second *second)
{
    return driver_share(masked, position, second->adverts, MASKED_SITES);
}

/* Whatever was tried, the true adverts are shared for as if nothing had been. */
static void expect_still_shares(struct masked_sites *masked, uint32_t position, const struct second *second)
{
    site_expect_type(share_all(masked, position, second), FDS__MESSAGE_TYPE__MESSAGE_SHARES);
}

/* ---- keys ---- */

static void test_attack_keys_swapped_between_two_sites_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    driver_begin(masked, &(struct masked_words){0});
    second_advertise(masked, &second);
    struct secagg_entry *of_2 = second.adverts[1].entries, *of_3 = second.adverts[2].entries;
    second.adverts[1].entries = of_3;
    second.adverts[2].entries = of_2;
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "site 2");
    second.adverts[1].entries = of_2;
    second.adverts[2].entries = of_3;
    /* One key of one slot is enough. */
    memcpy(of_2[5].s, second.entries[2][5].s, AGREEMENT_KEY_BYTES);
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "site 2");
    memcpy(of_2[5].s, second.entries[1][5].s, AGREEMENT_KEY_BYTES);
    memcpy(of_2[5].c, second.entries[2][5].c, AGREEMENT_KEY_BYTES);
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "site 2");
    memcpy(of_2[5].c, second.entries[1][5].c, AGREEMENT_KEY_BYTES);
    expect_still_shares(masked, 1, &second);
    second_clear(&second);
}

static void test_attack_keys_of_the_orchestrator_in_a_sites_name_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    struct secagg_secret known;
    driver_begin(masked, &(struct masked_words){0});
    second_advertise(masked, &second);
    const struct secagg_advert advert = second.adverts[2];
    must(secagg_slot_make(SECOND, &known, &second.adverts[2].entries[0]));
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "site 3");
    /* Signed by the orchestrator, for itself: it is in no roster. */
    must(secagg_advert_sign(masked->orchestrator, &masked->run, &second.adverts[2]));
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "not in the job's list of sites");
    /* The same beside the public key of site 3. */
    memcpy(second.adverts[2].public_key, advert.public_key, PUBLIC_KEY_BYTES);
    second.adverts[2].site = advert.site;
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "site 3");
    memcpy(advert.entries, second.entries[2], sizeof(second.entries[2]));
    second.adverts[2] = advert;
    expect_still_shares(masked, 1, &second);
    second_clear(&second);
}

static void test_attack_keys_of_the_site_itself_changed_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    driver_begin(masked, &(struct masked_words){0});
    second_advertise(masked, &second);
    REFUSED(masked, 1, driver_share(masked, 1, second.adverts + 1, 3), ERROR_REFUSED,
            "the advert of this site");
    second.adverts[0].entries[0].b.bytes[4] ^= 1;
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_REFUSED, "the advert of this site");
    /* Signed with the key of the site: what it did not give is not used. */
    must(secagg_advert_sign(masked->sites[0]->identity, &masked->run, &second.adverts[0]));
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_REFUSED, "the advert of this site");
    second_clear(&second);
}

/* Who could have shares made twice would have two polynomials of one secret. */
static void test_attack_keys_second_keyset_of_a_batch_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    driver_begin(masked, &(struct masked_words){0});
    REFUSED(masked, 1, driver_share(masked, 1, masked->adverts, 3), ERROR_REFUSED, "it does that once");
    site_expect_same(driver_share(masked, 1, masked->adverts, 4),
                     driver_share(masked, 1, masked->adverts, 4));
}

static void test_attack_keys_of_slots_advertised_before_are_the_same_again(void **state)
{
    struct masked_sites *masked = *state;
    driver_begin(masked, &(struct masked_words){0});
    site_expect_same(driver_advertise(masked, 1, 0), driver_advertise(masked, 1, 0));
    REFUSED(masked, 1, driver_advertise(masked, 1, 3), ERROR_REFUSED, "as one batch");
    site_expect_type(driver_advertise(masked, 1, 40), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
    REFUSED(masked, 1, driver_advertise(masked, 1, 20), ERROR_REFUSED, "a slot is advertised once");
}

/* The keys of one batch in the place of those of another, under their own signatures. */
static void test_attack_keys_of_another_batch_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    driver_begin(masked, &(struct masked_words){0});
    second_advertise(masked, &second);
    struct secagg_advert fresh = second.adverts[3];
    second.adverts[3] = masked->adverts[3];
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_INVALID, "same slots");
    second.adverts[3].first_slot = SECOND;
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "site 4");
    second.adverts[3] = fresh;
    expect_still_shares(masked, 1, &second);
    second_clear(&second);
}

/* An advert that another site truly made, in another run: the orchestrator has the secrets of that one by now. */
static void test_attack_keys_of_another_run_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    struct secagg_run other;
    driver_begin(masked, &(struct masked_words){0});
    second_advertise(masked, &second);
    other = masked->run;
    other.run_id[3] ^= 1;
    must(secagg_advert_sign(masked->sites[1]->identity, &other, &second.adverts[1]));
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "site 2");
    second_clear(&second);
}

/* ---- rosters ---- */

static void test_attack_keys_of_a_foreign_site_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    struct secagg_secret known;
    driver_begin(masked, &(struct masked_words){0});
    second_advertise(masked, &second);
    struct secagg_advert *foreign = &second.adverts[4];
    *foreign = (struct secagg_advert){.first_slot = SECOND, .count = MASKED_BATCH, .ledger_sequence = 1};
    foreign->entries = calloc(MASKED_BATCH, sizeof(*foreign->entries));
    assert_non_null(foreign->entries);
    for (uint32_t i = 0; i < MASKED_BATCH; i++)
        must(secagg_slot_make(SECOND + i, &known, &foreign->entries[i]));
    must(secagg_advert_sign(masked->orchestrator, &masked->run, foreign));
    for (uint32_t position = 1; position <= MASKED_SITES; position++)
        REFUSED(masked, position, driver_share(masked, position, second.adverts, MASKED_SITES + 1),
                ERROR_UNTRUSTED, "not in the job's list of sites");
    /* In the place of site 4. */
    struct secagg_advert fourth = second.adverts[3];
    second.adverts[3] = *foreign;
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_UNTRUSTED, "not in the job's list of sites");
    second.adverts[3] = fourth;
    expect_still_shares(masked, 1, &second);
    second_clear(&second);
}

/* Twice the same site, so that three are four. */
static void test_attack_keys_of_one_site_twice_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    driver_begin(masked, &(struct masked_words){0});
    second_advertise(masked, &second);
    struct secagg_advert fourth = second.adverts[3];
    second.adverts[3] = second.adverts[2];
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_INVALID, "must be there once");
    second.adverts[3] = fourth;
    second_clear(&second);
}

static void test_attack_keys_of_too_few_sites_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    driver_begin(masked, &(struct masked_words){.secure = ", threshold: 4"});
    second_advertise(masked, &second);
    REFUSED(masked, 1, driver_share(masked, 1, second.adverts, 3), ERROR_INVALID, "threshold");
    second_clear(&second);
}

/* A job whose roster has a site that the owner does not know: at every step of it, as long as that is so. */
static void test_attack_keys_with_a_site_that_is_no_partner_are_refused_at_every_step(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    struct policy_gate *gate = &masked->sites[0]->policy.gate;
    struct masked_mask mask = {
        .position = 1, .round = 1, .slot = 0, .model = zeros, .sharers = everybody, .sharer_count = 4};
    driver_begin(masked, &(struct masked_words){0});
    gate->partner_count--;
    masked_policy(masked);
    REFUSED(masked, 1, driver_advertise(masked, 1, SECOND), ERROR_REFUSED, "partner");
    REFUSED(masked, 1, driver_share(masked, 1, masked->adverts, 4), ERROR_REFUSED, "partner");
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_REFUSED, "partner");
    gate->partner_count++;
    masked_policy(masked);
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    driver_collect(masked, &attempt, everybody, 4, NULL);
    gate->partner_count--;
    masked_policy(masked);
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, attempt.statements, 4), ERROR_REFUSED,
            "partner");
    gate->partner_count++;
    masked_policy(masked);
    driver_agree_all(masked, &attempt);
    gate->partner_count--;
    masked_policy(masked);
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, attempt.agreements, 4), ERROR_REFUSED,
            "partner");
    assert_int_equal(driver_given(masked, 0), 0);
    gate->partner_count++;
    masked_policy(masked);
    driver_unmask_all(masked, &attempt);
    masked_attempt_clear(&attempt);
}

/* ---- rules ---- */

static void test_attack_keys_job_with_a_lowered_threshold_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    char text[SITE_JOB_BYTES];
    masked_text(masked, &(struct masked_words){.secure = ", threshold: 2"}, text);
    for (size_t i = 0; i < MASKED_SITES; i++)
        REFUSED(masked, i + 1, site_submit(masked->sites[i], text), ERROR_INVALID, "threshold");
    masked_text(masked, &(struct masked_words){.secure = ", tolerate_colluding: 2, threshold: 3"}, text);
    REFUSED(masked, 1, site_submit(masked->sites[0], text), ERROR_INVALID, "threshold must be 4 with");
    masked_text(masked, &(struct masked_words){.secure = ", tolerate_colluding: 0"}, text);
    REFUSED(masked, 1, site_submit(masked->sites[0], text), ERROR_INVALID, "tolerate_colluding");
}

/* An owner who asks for more than the rule. */
static void test_attack_keys_job_below_the_policys_threshold_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    driver_begin(masked, &(struct masked_words){0});
    struct policy_gate *gate = &masked->sites[0]->policy.gate;
    gate->secure.min_threshold = 4;
    REFUSED(masked, 1, driver_advertise(masked, 1, SECOND), ERROR_REFUSED, "threshold");
    gate->secure.min_threshold = 3;
    gate->secure.min_colluding = 2;
    REFUSED(masked, 1, driver_advertise(masked, 1, SECOND), ERROR_REFUSED, "colluding");
    gate->secure.min_colluding = 1;
    gate->secure.min_organisations = 5;
    REFUSED(masked, 1, driver_advertise(masked, 1, SECOND), ERROR_REFUSED, "organisations");
    gate->secure.min_organisations = 2;
    site_expect_type(driver_advertise(masked, 1, SECOND), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
}

/* Who contributed counts, not who is in the roster: without site 4, only the owner's own organisation and one other
 * are left. */
static void test_attack_keys_contributors_of_too_few_organisations_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    struct policy_gate *gate = &masked->sites[0]->policy.gate;
    driver_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    driver_collect(masked, &attempt, everybody, 4, NULL);
    gate->secure.min_organisations = 4;
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, attempt.statements, 3), ERROR_REFUSED,
            "organisations");
    site_expect_type(driver_agree(masked, &attempt.about, 1, attempt.statements, 4),
                     FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
    masked_attempt_clear(&attempt);
}

/* ---- ledgers ---- */

/* A site that was put back to an earlier state could be made to use keys, and sign rounds, a second time. What its chain of
 * events was before, the other sites have seen. */
static void test_attack_keys_with_a_ledger_that_went_back_are_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct second second;
    char fingerprint[FINGERPRINT_BYTES];
    driver_begin(masked, &(struct masked_words){0});
    second_advertise(masked, &second);
    site_id_format(&masked->roster[1], fingerprint);
    struct secagg_advert *advert = &second.adverts[1];
    const struct secagg_advert before = masked->adverts[1], now = *advert;
    assert_true(now.ledger_sequence > before.ledger_sequence);
    advert->ledger_sequence = before.ledger_sequence - 1;
    must(secagg_advert_sign(masked->sites[1]->identity, &masked->run, advert));
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_REFUSED, fingerprint);
    /* As long as before, and another one: a fork. */
    advert->ledger_sequence = before.ledger_sequence;
    advert->ledger_head = before.ledger_head;
    advert->ledger_head.bytes[9] ^= 1;
    must(secagg_advert_sign(masked->sites[1]->identity, &masked->run, advert));
    REFUSED(masked, 1, share_all(masked, 1, &second), ERROR_REFUSED, fingerprint);
    *advert = now;
    expect_still_shares(masked, 1, &second);
    second_clear(&second);
}

/* ---- sealed shares ---- */

static void test_attack_keys_share_sealed_by_another_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    uint8_t *of_2 = NULL, *of_3 = NULL;
    struct masked_mask mask = {.position = 1,
                               .round = 1,
                               .slot = 0,
                               .model = masked_zeros(),
                               .sharers = everybody,
                               .sharer_count = 4};
    driver_begin(masked, &(struct masked_words){0});
    of_2 = masked->sealed[1][0];
    of_3 = masked->sealed[2][0];
    masked->sealed[1][0] = of_3;
    masked->sealed[2][0] = of_2;
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_UNTRUSTED, "site 2");
    masked->sealed[1][0] = masked->sealed[1][1]; /* of another slot */
    masked->sealed[2][0] = of_3;
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_UNTRUSTED, "site 2");
    masked->sealed[1][0] = of_2;
    site_expect_type(driver_mask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
}

/* ---- the record ---- */

/* So that there is something to judge when the program ends. */
static void test_attack_keys_without_a_lie_gives_a_sum(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    driver_begin(masked, &(struct masked_words){0});
    driver_batch(masked, SECOND);
    masked_attempt_begin(masked, 1, 0, SECOND + 2, &zeros, everybody, 4, &attempt);
    driver_round(masked, &attempt, everybody, 4, NULL);
    masked_attempt_clear(&attempt);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, driver_make, masked_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attack_keys_swapped_between_two_sites_are_refused),
        TEST(test_attack_keys_of_the_orchestrator_in_a_sites_name_are_refused),
        TEST(test_attack_keys_of_the_site_itself_changed_are_refused),
        TEST(test_attack_keys_second_keyset_of_a_batch_is_refused),
        TEST(test_attack_keys_of_slots_advertised_before_are_the_same_again),
        TEST(test_attack_keys_of_another_batch_are_refused),
        TEST(test_attack_keys_of_another_run_are_refused),
        TEST(test_attack_keys_of_a_foreign_site_are_refused),
        TEST(test_attack_keys_of_one_site_twice_are_refused),
        TEST(test_attack_keys_of_too_few_sites_are_refused),
        TEST(test_attack_keys_with_a_site_that_is_no_partner_are_refused_at_every_step),
        TEST(test_attack_keys_job_with_a_lowered_threshold_is_refused),
        TEST(test_attack_keys_job_below_the_policys_threshold_is_refused),
        TEST(test_attack_keys_contributors_of_too_few_organisations_are_refused),
        TEST(test_attack_keys_with_a_ledger_that_went_back_are_refused),
        TEST(test_attack_keys_share_sealed_by_another_is_refused),
        TEST(test_attack_keys_without_a_lie_gives_a_sum),
    };
    return cmocka_run_group_tests(tests, NULL, wire_record_tear_down);
}
