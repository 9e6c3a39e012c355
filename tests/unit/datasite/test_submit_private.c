/* Private jobs that are not approved as they come in: who is told why, and what the chain keeps of those that are refused. */
#include "datasite/budget.h"
#include "datasite/store_refusal.h"
#include "datasite/store_wait.h"
#include "tests/unit/datasite/private_job.h"

#define DAY 86400
#define REFUSED "SELECT count(*) FROM event WHERE kind = 'job-refused'"
#define RULE "rules: [{name: ours, action: approve, requesters: [\"%s\"], max_rounds: 5, max_jobs: 100}]"

static void set_budget(struct site *site, double epsilon)
{
    must(budget_set(site->store, site->identity, "made", &(struct budget_cap){epsilon, 1e-4, BUDGET_SUM},
                    SITE_NOW));
}

static void submit_named(struct site *site, const char *name, const char *words)
{
    char text[SITE_JOB_BYTES];
    private_job(site, &(struct private_words){.name = name}, text);
    site_expect_refusal(site_submit(site, text), ERROR_REFUSED, words);
}

static void test_submit_over_budget_leaves_an_event(void **state)
{
    struct site *site = *state;
    char fingerprint[FINGERPRINT_BYTES], text[SITE_JOB_BYTES];
    set_budget(site, 1e-3);
    submit_named(site, "much", "are left");
    site_id_format(&site->researcher, fingerprint);
    assert_int_equal(
        site_count(site, REFUSED " AND detail LIKE 'sha256:%: A run of this job takes%are left%'"), 1);
    assert_int_equal(site_count(site, REFUSED " AND job_id IS NOT NULL"), 1);
    site_job(site, &(struct job_words){.name = "clear"}, text);
    site_expect_refusal(site_submit(site, text), ERROR_REFUSED, "only jobs with privacy");
    assert_int_equal(site_count(site, REFUSED " AND detail LIKE '%only jobs with privacy%'"), 1);
    assert_int_equal(site_count(site, "SELECT count(*) FROM job"), 0);
}

static struct reply submit_unlisted(struct site *site, const char *text)
{
    Fds__Submit message = FDS__SUBMIT__INIT;
    must(digest_of(text, strlen(text), &site->job_id));
    message.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
    return site_ask(site, &site->researcher, false, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &message.base);
}

/* The owner reads what a member of the consortium is not told: how much others' jobs have left. */
static void test_attack_submit_of_a_stranger_is_not_told_what_is_left(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    set_budget(site, 1e-3);
    private_job(site, &(struct private_words){.name = "stranger"}, text);
    site_expect_refusal(submit_unlisted(site, text), ERROR_REFUSED,
                        "A run of this job does not fit into the privacy budget of its records.");
    assert_int_equal(site_count(site, REFUSED " AND detail LIKE '%are left%'"), 1);
}

/* Who asks again and again makes the chain no longer than a day's events. */
static void test_attack_submit_refused_often_does_not_fill_the_chain(void **state)
{
    struct site *site = *state;
    char name[32];
    set_budget(site, 1e-3);
    for (int i = 0; i < 3; i++)
        submit_named(site, "same", "are left");
    assert_int_equal(site_count(site, REFUSED), 1);
    for (int i = 0; i < 2 * REFUSALS_OF_REQUESTER; i++) {
        (void)snprintf(name, sizeof(name), "other-%d", i);
        submit_named(site, name, "are left");
    }
    assert_int_equal(site_count(site, REFUSED), REFUSALS_OF_REQUESTER);
    site_move_clock(SITE_NOW + DAY);
    submit_named(site, "same", "are left");
    assert_int_equal(site_count(site, REFUSED), REFUSALS_OF_REQUESTER + 1);
}

static void test_attack_crowd_of_refused_does_not_fill_the_chain(void **state)
{
    struct site *site = *state;
    struct store_refusal refusal = {.requester_name = "crowd", .sentence = "no"};
    bool added = true;
    int count = 0;
    for (; added && count < 1000; count++) {
        refusal.requester.digest.bytes[0] = (uint8_t)(count % 251);
        refusal.job_id.bytes[1] = (uint8_t)(count % 256);
        refusal.job_id.bytes[2] = (uint8_t)(count / 256);
        must(store_refusal_add(site->store, &refusal, SITE_NOW, &added));
    }
    assert_int_equal(site_count(site, REFUSED), REFUSALS_A_DAY);
    assert_int_equal(count, REFUSALS_A_DAY + 1);
}

/* ---- pending although a rule matches ---- */

static void under_rule(struct site *site, struct policy **policy)
{
    char text[1024], fingerprint[FINGERPRINT_BYTES];
    site_id_format(&site->researcher, fingerprint);
    (void)snprintf(text, sizeof(text), RULE, fingerprint);
    must(policy_parse(text, strlen(text), "policy.yaml", policy));
    site->requests.policy = *policy;
}

static void expect_pending(struct site *site, struct reply reply, const char *words, bool told)
{
    Fds__JobStatus *status = NULL;
    char why[ERROR_SENTENCE_BYTES];
    bool may_know = !told;
    must(wire_job_status_decode(reply.body, reply.body_bytes, &status));
    assert_int_equal(status->state, FDS__JOB_STATE__JOB_PENDING);
    if ((strstr(status->sentence, words) != NULL) != told)
        fail_msg("\"%s\" is%s in: %s", words, told ? " not" : "", status->sentence);
    must(store_wait_find(site->store, &site->job_id, &may_know, why));
    assert_non_null(strstr(why, words));
    assert_true(may_know == told);
    wire_job_status_free(status);
    requests_reply_clear(&reply);
}

static void test_submit_that_a_rule_cannot_approve_is_told_why(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    char text[SITE_JOB_BYTES];
    static const char features[] =
        "{kind: standardize, mean: [1, 1, 1, 1], deviation: [1, 1, 1, 1], released_by: "
        "\"sha256:00000000000000000000000000000000000000000000000000000000000000ff\"}";
    under_rule(site, &policy);
    private_job(site, &(struct private_words){.features = features}, text);
    expect_pending(site, site_submit(site, text), "released_by", true);
    expect_pending(site, site_submit(site, text), "released_by", true);
    expect_pending(site, site_query(site, &site->researcher), "released_by", true);
    private_job(site, &(struct private_words){.name = "fine"}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_APPROVED);
    policy_free(policy);
}

static void test_attack_submit_of_a_stranger_is_not_told_why_it_waits(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    char text[SITE_JOB_BYTES];
    under_rule(site, &policy);
    private_job(site,
                &(struct private_words){.features = "{kind: standardize, mean: [1, 1, 1, 1], deviation: [1, "
                                                    "1, 1, 1], released_by: \"sha256:00000000000000000000000"
                                                    "000000000000000000000000000000000000000ff\"}"},
                text);
    expect_pending(site, submit_unlisted(site, text), "released_by", false);
    policy_free(policy);
}

/* What the owner decided about a requester is the owner's affair. */
static void test_attack_submit_after_a_denial_is_not_told_of_it(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    char text[SITE_JOB_BYTES];
    private_job(site, &(struct private_words){.name = "denied"}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    site_withhold(site, DECISION_DENY);
    under_rule(site, &policy);
    private_job(site, &(struct private_words){.name = "again"}, text);
    expect_pending(site, site_submit(site, text), "denied or revoked", false);
    policy_free(policy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_submit_over_budget_leaves_an_event),
        TEST(test_attack_submit_of_a_stranger_is_not_told_what_is_left),
        TEST(test_attack_submit_of_a_stranger_is_not_told_why_it_waits),
        TEST(test_attack_submit_refused_often_does_not_fill_the_chain),
        TEST(test_attack_crowd_of_refused_does_not_fill_the_chain),
        TEST(test_submit_that_a_rule_cannot_approve_is_told_why),
        TEST(test_attack_submit_after_a_denial_is_not_told_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
