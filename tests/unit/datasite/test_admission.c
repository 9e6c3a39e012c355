/* What the policy knows when a job comes in, what a rule may not do after the owner said no, and how much of what a
 * requester, a crowd of strangers, or a flood of messages can make a site take. */
#include "datasite/admission.h"
#include "datasite/rate.h"
#include "tests/unit/datasite/site.h"

#include <time.h>

#define DAY 86400

/* A site under a policy as its owner writes it. RESEARCHER in `text` stands for the researcher's fingerprint. */
static void under(struct site *site, struct policy **policy, const char *text)
{
    char file[4096], fingerprint[FINGERPRINT_BYTES];
    const char *mark = strstr(text, "RESEARCHER");
    site_id_format(&site->researcher, fingerprint);
    if (mark == NULL)
        (void)snprintf(file, sizeof(file), "%s", text);
    else
        (void)snprintf(file, sizeof(file), "%.*s\"%s\"%s", (int)(mark - text), text, fingerprint, mark + 10);
    must(policy_parse(file, strlen(file), "policy.yaml", policy));
    site->requests.policy = *policy;
}

static struct reply submit_as(struct site *site, const struct site_id *peer, bool listed, const char *name)
{
    char text[SITE_JOB_BYTES];
    Fds__Submit message = FDS__SUBMIT__INIT;
    site_job(site, &(struct job_words){.name = name}, text);
    must(digest_of(text, strlen(text), &site->job_id));
    message.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    return site_ask(site, peer, listed, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &message.base);
}

static void submit_expect(struct site *site, const char *name, Fds__JobState state)
{
    site_expect_state(submit_as(site, &site->researcher, true, name), state);
}

#define RULE "rules: [{name: ours, action: approve, requesters: [RESEARCHER], max_rounds: 5, max_jobs: 100"

/* ---- facts ---- */

static void test_admission_rule_sees_the_requests_of_the_day(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    under(site, &policy, RULE ", max_requests_per_day: 2}]");
    submit_expect(site, "one", FDS__JOB_STATE__JOB_APPROVED);
    submit_expect(site, "two", FDS__JOB_STATE__JOB_APPROVED);
    submit_expect(site, "three", FDS__JOB_STATE__JOB_PENDING);
    site_move_clock(SITE_NOW + DAY - 1);
    submit_expect(site, "four", FDS__JOB_STATE__JOB_PENDING);
    site_move_clock(SITE_NOW + DAY);
    submit_expect(site, "five", FDS__JOB_STATE__JOB_APPROVED);
    policy_free(policy);
}

/* SITE_NOW is Monday, 2026-09-21 14:13:20 in UTC, and 08:13 in a zone six hours behind. */
static void test_admission_rule_sees_the_sites_local_time(void **state)
{
    static const struct {
        const char *zone, *bound;
        Fds__JobState state;
    } rows[] = {
        {"UTC0", "days: [mon], hours: \"14:00-15:00\"", FDS__JOB_STATE__JOB_APPROVED},
        {"UTC0", "days: [tue]", FDS__JOB_STATE__JOB_PENDING},
        {"UTC0", "hours: \"08:00-09:00\"", FDS__JOB_STATE__JOB_PENDING},
        {"XST6", "days: [mon], hours: \"08:00-09:00\"", FDS__JOB_STATE__JOB_APPROVED},
        {"XST-12", "days: [tue], hours: \"02:00-03:00\"", FDS__JOB_STATE__JOB_APPROVED},
    };
    struct site *site = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy *policy = NULL;
        char text[512], name[16];
        assert_int_equal(setenv("TZ", rows[i].zone, 1), 0);
        tzset();
        (void)snprintf(text, sizeof(text), RULE ", %s}]", rows[i].bound);
        (void)snprintf(name, sizeof(name), "job-%zu", i);
        under(site, &policy, text);
        submit_expect(site, name, rows[i].state);
        policy_free(policy);
    }
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

static void test_admission_rule_gives_its_hold_and_growth(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    struct decision decision;
    under(site, &policy, RULE ", hold: final, allow_growth: true}]");
    submit_expect(site, "one", FDS__JOB_STATE__JOB_APPROVED);
    must(store_approval(site->store, &site->job_id, &decision));
    assert_int_equal(decision.hold, HOLD_FINAL);
    assert_true(decision.allow_growth);
    policy_free(policy);
}

/* ---- sums over several sites ---- */

#define PEER(digit) "sha256:" digit "00000000000000000000000000000000000000000000000000000000000000"
#define PARTNERS                                                                                             \
    "\ndatasets: {made: {min_cell: 0}}\npartners:\n"                                                         \
    "  - {fingerprint: \"" PEER("71") "\", organisation: one}\n"                                             \
                                      "  - {fingerprint: \"" PEER("72") "\", organisation: two}\n"

/* A job with secure aggregation over this site and the two above. */
static void submit_masked(struct site *site, const char *name, Fds__JobState state)
{
    char text[SITE_JOB_BYTES], own[FINGERPRINT_BYTES];
    Fds__Submit message = FDS__SUBMIT__INIT;
    site_id_format(identity_id(site->identity), own);
    (void)snprintf(text, sizeof(text),
                   "job: %s\ndataset: made\nmodel: {kind: softmax-regression}\nfederation: {rounds: 3}\n"
                   "secure_aggregation: {enabled: true}\nexpires: 2027-01-31T00:00:00Z\nsites:\n"
                   "  - {name: site, fingerprint: \"%s\"}\n  - {name: one, fingerprint: \"" PEER(
                       "71") "\"}\n"
                             "  - {name: two, fingerprint: \"" PEER("72") "\"}\n",
                   name, own);
    must(digest_of(text, strlen(text), &site->job_id));
    message.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    site_expect_state(
        site_ask(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &message.base), state);
}

static void test_admission_rule_approves_one_run_of_a_masked_job(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    struct decision decision;
    under(site, &policy, RULE ", max_runs: 7, require: [secure-aggregation]}]" PARTNERS);
    submit_masked(site, "one", FDS__JOB_STATE__JOB_APPROVED);
    must(store_approval(site->store, &site->job_id, &decision));
    assert_int_equal(decision.runs, 1);
    submit_expect(site, "in-clear", FDS__JOB_STATE__JOB_PENDING);
    policy_free(policy);
}

/* What could not be kept is left to the owner, by each reason once. */
static void test_admission_rule_leaves_a_masked_job_that_cannot_be_to_the_owner(void **state)
{
    static const char *const policies[] = {
        RULE "}]\ndatasets: {made: {min_cell: 0}}",
        RULE "}]" PARTNERS "secure_aggregation: {min_threshold: 4}",
        RULE "}]" PARTNERS "secure_aggregation: {min_colluding: 2}",
        RULE "}]" PARTNERS "secure_aggregation: {min_organisations: 4}",
        RULE "}]" PARTNERS "secure_aggregation: {max_examples: 999999}",
        RULE ", hold: first}]" PARTNERS,
    };
    struct site *site = *state;
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        struct policy *policy = NULL;
        char name[16];
        (void)snprintf(name, sizeof(name), "job-%zu", i);
        under(site, &policy, policies[i]);
        submit_masked(site, name, FDS__JOB_STATE__JOB_PENDING);
        policy_free(policy);
    }
}

static void test_admission_rule_leaves_a_job_in_clear_where_sums_are_required(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    under(site, &policy, RULE "}]\noutput: {require: [secure-aggregation]}");
    submit_expect(site, "one", FDS__JOB_STATE__JOB_PENDING);
    policy_free(policy);
}

/* ---- the owner said no ---- */

/* The same job stays denied; one that differs in its name alone is not approved by a rule. */
static void test_admission_denied_job_changed_a_little_waits(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    submit_expect(site, "one", FDS__JOB_STATE__JOB_PENDING);
    site_withhold(site, DECISION_DENY);
    under(site, &policy, RULE "}]");
    submit_expect(site, "one", FDS__JOB_STATE__JOB_DENIED);
    submit_expect(site, "two", FDS__JOB_STATE__JOB_PENDING);
    assert_int_equal(site_count(site, "SELECT count(*) FROM decision"), 1);
    policy_free(policy);
}

static void test_admission_revoked_job_changed_a_little_waits(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    under(site, &policy, RULE "}]");
    submit_expect(site, "one", FDS__JOB_STATE__JOB_APPROVED);
    site_withhold(site, DECISION_REVOKE);
    submit_expect(site, "two", FDS__JOB_STATE__JOB_PENDING);
    policy_free(policy);
}

static void test_admission_denial_is_remembered_for_thirty_days(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    submit_expect(site, "one", FDS__JOB_STATE__JOB_PENDING);
    site_withhold(site, DECISION_DENY);
    under(site, &policy, RULE "}]");
    site_move_clock(SITE_NOW + POLICY_JOBS_DAYS * DAY);
    submit_expect(site, "two", FDS__JOB_STATE__JOB_PENDING);
    site_move_clock(SITE_NOW + POLICY_JOBS_DAYS * DAY + 1);
    submit_expect(site, "three", FDS__JOB_STATE__JOB_APPROVED);
    policy_free(policy);
}

/* What a rule denied binds no other rule, and a denial is about one requester and one dataset. */
static void test_admission_denial_binds_only_what_the_owner_denied(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    struct site_id other = {{{7}}};
    under(site, &policy, "default: deny");
    submit_expect(site, "one", FDS__JOB_STATE__JOB_DENIED);
    policy_free(policy);
    under(site, &policy, "default: ask");
    site_expect_state(submit_as(site, &other, true, "two"), FDS__JOB_STATE__JOB_PENDING);
    site_withhold(site, DECISION_DENY);
    policy_free(policy);
    under(site, &policy, RULE "}]");
    submit_expect(site, "three", FDS__JOB_STATE__JOB_APPROVED);
    policy_free(policy);
}

static void test_admission_denial_of_another_dataset_binds_nothing(void **state)
{
    struct site *site = *state;
    struct policy_rule rule = {.name = "ours", .max_jobs = 5};
    struct job job = {.dataset = "made"};
    struct admission admission = {.obstacle = ADMISSION_REMOVED};
    submit_expect(site, "one", FDS__JOB_STATE__JOB_PENDING);
    site_withhold(site, DECISION_DENY);
    must(admission_look(site->store, &rule, &job, &site->researcher, SITE_NOW, &admission));
    assert_int_equal(admission.obstacle, ADMISSION_WITHHELD);
    assert_true(digest_equal(&admission.withheld_job, &site->job_id));
    (void)snprintf(job.dataset, sizeof(job.dataset), "other");
    must(admission_look(site->store, &rule, &job, &site->researcher, SITE_NOW, &admission));
    assert_int_equal(admission.obstacle, ADMISSION_NONE);
}

/* ---- quotas ---- */

static void test_admission_limits_of_the_policy_hold(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    under(site, &policy, "limits: {max_pending: 2}");
    submit_expect(site, "one", FDS__JOB_STATE__JOB_PENDING);
    submit_expect(site, "two", FDS__JOB_STATE__JOB_PENDING);
    site_expect_refusal(submit_as(site, &site->researcher, true, "three"), ERROR_LIMIT,
                        "2 of your jobs wait");
    policy_free(policy);
    under(site, &policy, "limits: {max_jobs: 2}");
    site_expect_refusal(submit_as(site, &site->researcher, true, "three"), ERROR_LIMIT,
                        "keeps 2 of your jobs");
    policy_free(policy);
    under(site, &policy, "limits: {submissions_per_day: 2}");
    site_expect_refusal(submit_as(site, &site->researcher, true, "three"), ERROR_LIMIT, "within 24 hours");
    site_move_clock(SITE_NOW + DAY);
    submit_expect(site, "three", FDS__JOB_STATE__JOB_PENDING);
    policy_free(policy);
}

static void test_admission_bytes_of_a_requester_are_bounded(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    under(site, &policy, "limits: {max_jobs: 3}");
    submit_expect(site, "one", FDS__JOB_STATE__JOB_PENDING);
    site_sql(site, "UPDATE job SET bytes = zeroblob(3 * 16384 - 100)");
    site_expect_refusal(submit_as(site, &site->researcher, true, "two"), ERROR_LIMIT, "no more than 49152");
    policy_free(policy);
}

/* A crowd of members whom the owner does not know: each within its own limits, together over the lobby's. */
static void crowd(struct site *site, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct site_id stranger = {{{(uint8_t)i, 1, 2, 3}}};
        char name[24];
        (void)snprintf(name, sizeof(name), "crowd-%d", i);
        site_expect_state(submit_as(site, &stranger, false, name), FDS__JOB_STATE__JOB_PENDING);
    }
}

static void test_admission_full_lobby_keeps_no_listed_peer_out(void **state)
{
    struct site *site = *state;
    struct site_id stranger = {{{255}}};
    crowd(site, 0, STORE_LOBBY_PENDING);
    site_expect_refusal(submit_as(site, &stranger, false, "late"), ERROR_LIMIT, "no more jobs at present");
    submit_expect(site, "ours", FDS__JOB_STATE__JOB_PENDING);
    assert_int_equal(site_count(site, "SELECT count(*) FROM job"), STORE_LOBBY_PENDING + 1);
    /* What is decided makes room among those that wait, what is kept stays bounded. */
    site_sql(site, "UPDATE job SET state = 'denied' WHERE lobby = 1");
    site_expect_state(submit_as(site, &stranger, false, "late"), FDS__JOB_STATE__JOB_PENDING);
    site_sql(site,
             "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
             "INSERT INTO job (job_id, bytes, requester, requester_name, received_at, state, expires, lobby) "
             "SELECT randomblob(32), x'00', randomblob(32), 'x', 0, 'expired', 0, 1 FROM n");
    site_expect_refusal(submit_as(site, &stranger, false, "later"), ERROR_LIMIT, "no more jobs at present");
    submit_expect(site, "ours-too", FDS__JOB_STATE__JOB_PENDING);
}

/* Whom the owner lists takes its jobs out of the lobby. */
static void test_admission_lobby_does_not_count_who_is_listed_since(void **state)
{
    struct site *site = *state;
    struct site_id known = {{{0, 1, 2, 3}}};
    struct site_id stranger = {{{255}}};
    crowd(site, 0, STORE_LOBBY_PENDING);
    must(store_peer_add(site->store, &known, "known", PEER_BY_INVITATION, SITE_NOW));
    site_expect_state(submit_as(site, &stranger, false, "late"), FDS__JOB_STATE__JOB_PENDING);
}

/* ---- rates ---- */

static void test_admission_flood_of_messages_is_refused_unread(void **state)
{
    struct site *site = *state;
    struct policy *policy = NULL;
    struct rate *rate = calloc(1, sizeof(*rate));
    struct site_id other = {{{9}}};
    static const uint8_t junk[] = {0xff, 0xff, 0xff};
    struct request request = {.peer = site->researcher,
                              .peer_name = "researcher",
                              .listed = true,
                              .type = FDS__MESSAGE_TYPE__MESSAGE_SUBMIT,
                              .body = junk,
                              .body_bytes = sizeof(junk)};
    under(site, &policy, "limits: {requests_per_minute: 3}");
    site->requests.rate = rate;
    for (int i = 0; i < 3; i++) {
        struct reply reply;
        requests_answer(&site->requests, &request, &reply);
        site_expect_refusal(reply, ERROR_INVALID, "");
    }
    for (int i = 0; i < 3; i++) {
        struct reply reply;
        requests_answer(&site->requests, &request, &reply);
        site_expect_refusal(reply, ERROR_LIMIT, "3 messages a minute");
    }
    request.peer = other;
    struct reply reply;
    requests_answer(&site->requests, &request, &reply);
    site_expect_refusal(reply, ERROR_INVALID, "");
    site->requests.rate = NULL;
    free(rate);
    policy_free(policy);
}

static void test_admission_rate_fills_evenly(void **state)
{
    struct rate *rate = calloc(1, sizeof(*rate));
    struct site_id peer = {{{1}}};
    (void)state;
    for (int i = 0; i < 60; i++)
        assert_true(rate_take(rate, &peer, 60, 1000));
    assert_false(rate_take(rate, &peer, 60, 1000));
    assert_false(rate_take(rate, &peer, 60, 1999));
    assert_true(rate_take(rate, &peer, 60, 2000));
    assert_false(rate_take(rate, &peer, 60, 2000));
    /* An idle hour is worth no more than a minute. */
    for (int i = 0; i < 60; i++)
        assert_true(rate_take(rate, &peer, 60, 3602000));
    assert_false(rate_take(rate, &peer, 60, 3602000));
    free(rate);
}

/* A flooder that goes on keeps its empty bucket, however many others come by. */
static void test_admission_rate_forgets_who_was_idle_longest(void **state)
{
    struct rate *rate = calloc(1, sizeof(*rate));
    struct site_id flooder = {{{0xff}}};
    (void)state;
    assert_true(rate_take(rate, &flooder, 1, 0));
    for (int i = 0; i < 3 * RATE_PEERS; i++) {
        struct site_id other = {{{(uint8_t)i, (uint8_t)(i >> 8), 1}}};
        assert_true(rate_take(rate, &other, 1, 1 + i));
        assert_false(rate_take(rate, &flooder, 1, 1 + i));
    }
    free(rate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_admission_rule_sees_the_requests_of_the_day),
        TEST(test_admission_rule_sees_the_sites_local_time),
        TEST(test_admission_rule_gives_its_hold_and_growth),
        TEST(test_admission_rule_approves_one_run_of_a_masked_job),
        TEST(test_admission_rule_leaves_a_masked_job_that_cannot_be_to_the_owner),
        TEST(test_admission_rule_leaves_a_job_in_clear_where_sums_are_required),
        TEST(test_admission_denied_job_changed_a_little_waits),
        TEST(test_admission_revoked_job_changed_a_little_waits),
        TEST(test_admission_denial_is_remembered_for_thirty_days),
        TEST(test_admission_denial_binds_only_what_the_owner_denied),
        TEST(test_admission_denial_of_another_dataset_binds_nothing),
        TEST(test_admission_limits_of_the_policy_hold),
        TEST(test_admission_bytes_of_a_requester_are_bounded),
        TEST(test_admission_full_lobby_keeps_no_listed_peer_out),
        TEST(test_admission_lobby_does_not_count_who_is_listed_since),
        TEST(test_admission_flood_of_messages_is_refused_unread),
        cmocka_unit_test(test_admission_rate_fills_evenly),
        cmocka_unit_test(test_admission_rate_forgets_who_was_idle_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
