/* Who may ask what: Submit, JobQuery, EndRun, the policy, the lobby, and what a refusal tells. */
#include "tests/unit/datasite/site.h"

static void test_submit_stores_and_waits_for_the_owner(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    site_job(site, &(struct job_words){0}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    assert_int_equal(site_count(site, "SELECT count(*) FROM job WHERE state = 'pending'"), 1);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'job-received'"), 1);
}

static void test_submit_pending_tells_the_owners_command(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES], hex[DIGEST_HEX_BYTES], command[64];
    Fds__JobStatus *status = NULL;
    site_job(site, &(struct job_words){0}, text);
    struct reply reply = site_submit(site, text);
    must(wire_job_status_decode(reply.body, reply.body_bytes, &status));
    digest_hex(&site->job_id, hex);
    (void)snprintf(command, sizeof(command), "datasite approve %.12s", hex);
    assert_string_equal(status->owner_command, command);
    assert_int_equal(status->features, 0);
    wire_job_status_free(status);
    requests_reply_clear(&reply);
}

static void test_query_approved_tells_the_shape(void **state)
{
    struct site *site = *state;
    Fds__JobStatus *status = NULL;
    site_approved(site, &(struct job_words){.rounds = 3}, 2, 4);
    struct reply reply = site_query(site, &site->researcher);
    must(wire_job_status_decode(reply.body, reply.body_bytes, &status));
    assert_int_equal(status->state, FDS__JOB_STATE__JOB_APPROVED);
    assert_int_equal(status->features, SITE_FEATURES);
    assert_int_equal(status->classes, SITE_CLASSES);
    assert_int_equal(status->rounds_left, 2);
    assert_int_equal(status->runs_left, 4);
    wire_job_status_free(status);
    requests_reply_clear(&reply);
}

/* Bad jobs: each is refused and not stored. */
static void test_submit_bad_job_refused_and_not_stored(void **state)
{
    static const struct {
        struct job_words words;
        enum error_code code;
        const char *says;
    } bad[] = {
        {{.dataset = "other"}, ERROR_REFUSED, "no dataset \"other\""},
        {{.expires = "2020-01-01T00:00:00Z"}, ERROR_EXPIRED, "expired"},
        {{.fingerprint = "sha256:00000000000000000000000000000000000000000000000000000000000000ff"},
         ERROR_REFUSED,
         "names other sites"},
        {{.fingerprint = "sha256:12"}, ERROR_INVALID, "fingerprint"},
        {{.metrics = "all"}, ERROR_INVALID, "metrics"},
        {{.metrics = "pooled"}, ERROR_INVALID, "pooled"},
        {{.training = "{optimizer: lbfgs, momentum: 0.1}"}, ERROR_INVALID, "momentum"},
        {{.test_fraction = "nan"}, ERROR_INVALID, "test_fraction"},
    };
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        site_job(site, &bad[i].words, text);
        site_expect_refusal(site_submit(site, text), bad[i].code, bad[i].says);
    }
    assert_int_equal(
        site_count(site, "SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM event WHERE kind = "
                         "'job-received')"),
        0);
}

static void test_submit_unknown_dataset_does_not_list_the_others(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    Fds__Refusal *refusal = NULL;
    site_job(site, &(struct job_words){.dataset = "other"}, text);
    struct reply reply = site_submit(site, text);
    must(wire_refusal_decode(reply.body, reply.body_bytes, &refusal));
    assert_null(strstr(refusal->sentence, "made"));
    wire_refusal_free(refusal);
    requests_reply_clear(&reply);
}

static void test_submit_denied_job_again_stays_denied(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES], own[FINGERPRINT_BYTES];
    site_job(site, &(struct job_words){0}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    site_withhold(site, DECISION_DENY);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_DENIED);

    /* Not even a policy that approves everything of this requester changes that. */
    site_id_format(&site->researcher, own);
    char requesters[1][JOB_FINGERPRINT_BYTES] = {""};
    (void)snprintf(requesters[0], sizeof(requesters[0]), "%s", own);
    struct policy_rule rule = {.name = "all",
                               .action = POLICY_APPROVE,
                               .requesters = requesters,
                               .requester_count = 1,
                               .max_rounds = 100,
                               .max_runs = 1,
                               .max_jobs = 1,
                               .expires_s = 3600};
    site->policy.rules = &rule;
    site->policy.rule_count = 1;
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_DENIED);
    site->policy.rule_count = 0;
}

static void with_rule(struct site *site, struct policy_rule *rule, char requesters[1][JOB_FINGERPRINT_BYTES])
{
    char fingerprint[FINGERPRINT_BYTES];
    site_id_format(&site->researcher, fingerprint);
    (void)snprintf(requesters[0], JOB_FINGERPRINT_BYTES, "%s", fingerprint);
    rule->requesters = requesters;
    rule->requester_count = 1;
    site->policy.rules = rule;
    site->policy.rule_count = 1;
}

static void test_submit_policy_approves_within_bounds(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES], requesters[1][JOB_FINGERPRINT_BYTES];
    struct policy_rule rule = {.name = "ours",
                               .action = POLICY_APPROVE,
                               .max_rounds = 3,
                               .max_runs = 2,
                               .max_jobs = 1,
                               .min_sites = 1,
                               .expires_s = 3600};
    with_rule(site, &rule, requesters);
    site_job(site, &(struct job_words){.rounds = 3}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_APPROVED);
    assert_int_equal(site_count(site, "SELECT runs FROM decision"), 2);
    assert_int_equal(site_count(site, "SELECT expires FROM decision"), SITE_NOW + 3600);
    assert_int_equal(site_count(site, "SELECT decided_by = 'policy:ours' FROM decision"), 1);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
}

static void test_submit_policy_bounds_exceeded_waits(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES], requesters[1][JOB_FINGERPRINT_BYTES];
    struct policy_rule rule = {.name = "ours",
                               .action = POLICY_APPROVE,
                               .max_rounds = 3,
                               .max_runs = 1,
                               .max_jobs = 1,
                               .min_sites = 1,
                               .expires_s = 3600};
    with_rule(site, &rule, requesters);
    site_job(site, &(struct job_words){.rounds = 4}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
}

/* Two jobs whose rows differ by a few tell about those few what neither does alone. */
static void test_submit_policy_many_jobs_that_differ_a_little_wait(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES], requesters[1][JOB_FINGERPRINT_BYTES], name[32], fraction[32];
    struct policy_rule rule = {.name = "ours",
                               .action = POLICY_APPROVE,
                               .max_rounds = 1,
                               .max_runs = 1,
                               .max_jobs = 2,
                               .min_sites = 1,
                               .expires_s = 86400};
    with_rule(site, &rule, requesters);
    for (int i = 0; i < 6; i++) {
        (void)snprintf(name, sizeof(name), "job%d", i);
        (void)snprintf(fraction, sizeof(fraction), "0.5%03d", i);
        site_job(site, &(struct job_words){.name = name, .rounds = 1, .test_fraction = fraction}, text);
        site_expect_state(site_submit(site, text),
                          i < 2 ? FDS__JOB_STATE__JOB_APPROVED : FDS__JOB_STATE__JOB_PENDING);
    }
    site_move_clock(SITE_NOW + (int64_t)(POLICY_JOBS_DAYS + 1) * 86400);
    site_job(site, &(struct job_words){.name = "later", .rounds = 1}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_APPROVED);
}

static void test_submit_policy_of_a_removed_peer_waits(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES], requesters[1][JOB_FINGERPRINT_BYTES];
    struct policy_rule rule = {.name = "ours",
                               .action = POLICY_APPROVE,
                               .max_rounds = 3,
                               .max_runs = 1,
                               .max_jobs = 100,
                               .min_sites = 1,
                               .expires_s = 86400};
    with_rule(site, &rule, requesters);
    site_job(site, &(struct job_words){.name = "first"}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_APPROVED);
    assert_int_equal(site_count(site, "SELECT count(*) FROM peer WHERE added_by = 'approval'"), 1);
    must(store_peer_remove(site->store, &site->researcher, SITE_NOW));
    site_job(site, &(struct job_words){.name = "second"}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    assert_int_equal(site_count(site, "SELECT count(*) FROM peer"), 0);
    site_approve(site, 0, 0, 0); /* the owner's own word lists it again */
    assert_int_equal(site_count(site, "SELECT count(*) FROM peer"), 1);
    assert_int_equal(site_count(site, "SELECT count(*) FROM removed_peer"), 0);
}

static void test_submit_policy_denies(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    site->policy.fallback = POLICY_DENY;
    site_job(site, &(struct job_words){0}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_DENIED);
}

static void test_submit_too_many_pending_refused(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES], name[16];
    for (int i = 0; i < POLICY_MAX_PENDING; i++) {
        (void)snprintf(name, sizeof(name), "job-%d", i);
        site_job(site, &(struct job_words){.name = name}, text);
        site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    }
    site_job(site, &(struct job_words){.name = "one-more"}, text);
    site_expect_refusal(site_submit(site, text), ERROR_LIMIT, "wait for");
    assert_int_equal(site_count(site, "SELECT count(*) FROM job"), POLICY_MAX_PENDING);
}

static void test_query_anothers_job_is_unknown(void **state)
{
    struct site *site = *state;
    const struct site_id other = {{{0x99}}};
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_state(site_query(site, &other), FDS__JOB_STATE__JOB_UNKNOWN);
}

static void test_submit_anothers_bytes_refused(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    site_job(site, &(struct job_words){0}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    site->researcher.digest.bytes[0] = 0x99;
    site_expect_refusal(site_submit(site, text), ERROR_REFUSED, "another name");
}

static void test_train_anothers_job_is_not_found(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site->researcher.digest.bytes[0] = 0x99;
    site_expect_refusal(site_train(site, 1, 0), ERROR_NOT_FOUND, "no job");
    assert_int_equal(site_released(site), 0);
}

static void test_end_run_anothers_run_goes_on(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    site->researcher.digest.bytes[0] = 0x99;
    site_expect_state(site_end_run(site, "cancelled"), FDS__JOB_STATE__JOB_UNKNOWN);
    site->researcher.digest.bytes[0] = 0x42;
    site_expect_state(site_query(site, &site->researcher), FDS__JOB_STATE__JOB_RUNNING);
}

/* A member of the consortium whom no list names. */
static void test_lobby_may_submit_but_not_train(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    Fds__Submit submit = FDS__SUBMIT__INIT;
    Fds__Train train = FDS__TRAIN__INIT;
    Fds__EndRun end = FDS__END_RUN__INIT;
    site_job(site, &(struct job_words){0}, text);
    submit.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    site_expect_state(
        site_ask(site, &site->researcher, false, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &submit.base),
        FDS__JOB_STATE__JOB_PENDING);
    site_expect_refusal(
        site_ask(site, &site->researcher, false, FDS__MESSAGE_TYPE__MESSAGE_TRAIN, &train.base),
        ERROR_REFUSED, "consortium");
    site_expect_refusal(
        site_ask(site, &site->researcher, false, FDS__MESSAGE_TYPE__MESSAGE_EVALUATE, &train.base),
        ERROR_REFUSED, "consortium");
    site_expect_refusal(
        site_ask(site, &site->researcher, false, FDS__MESSAGE_TYPE__MESSAGE_END_RUN, &end.base),
        ERROR_REFUSED, "consortium");
}

static void test_unknown_type_refused(void **state)
{
    struct site *site = *state;
    Fds__JobQuery query = FDS__JOB_QUERY__INIT;
    site_expect_refusal(site_ask(site, &site->researcher, true, 99, &query.base), ERROR_UNSUPPORTED,
                        "type 99");
    site_expect_refusal(
        site_ask(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_UPDATE, &query.base),
        ERROR_UNSUPPORTED, "type 49");
}

static void test_truncated_train_refused_at_every_byte(void **state)
{
    struct site *site = *state;
    Fds__Train train = FDS__TRAIN__INIT;
    uint8_t parameters[SITE_PARAMETERS * sizeof(double)] = {0};
    uint8_t *body = NULL;
    size_t bytes = 0;
    site_approved(site, &(struct job_words){0}, 0, 0);
    train.job_id = (ProtobufCBinaryData){DIGEST_BYTES, site->job_id.bytes};
    train.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, site->run};
    train.round = 1;
    train.parameters = (ProtobufCBinaryData){sizeof(parameters), parameters};
    must(wire_encode(&train.base, &body, &bytes));
    for (size_t cut = 0; cut < bytes; cut++) {
        struct reply reply;
        struct request request = {
            site->researcher, "researcher", true, FDS__MESSAGE_TYPE__MESSAGE_TRAIN, 1, body, cut, false};
        requests_answer(&site->requests, &request, &reply);
        assert_int_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
        requests_reply_clear(&reply);
    }
    free(body);
    assert_int_equal(site_released(site), 0);
}

static void test_broken_store_is_told_in_general_words(void **state)
{
    struct site *site = *state;
    Fds__Refusal *refusal = NULL;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_sql(site, "UPDATE decision SET decided_by = printf('%.100c', 'x')");
    struct reply reply = site_train(site, 1, 0);
    must(wire_refusal_decode(reply.body, reply.body_bytes, &refusal));
    assert_int_equal(refusal->code, ERROR_CORRUPT);
    assert_non_null(strstr(refusal->sentence, "problem of its own"));
    assert_null(strstr(refusal->sentence, "database"));
    wire_refusal_free(refusal);
    requests_reply_clear(&reply);
}

static void test_expired_jobs_are_swept(void **state)
{
    struct site *site = *state;
    uint32_t expired = 0;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    must(store_job_expire(site->store, SITE_NOW, &expired));
    assert_int_equal(expired, 0);
    must(store_job_expire(site->store, 1900000000, &expired));
    assert_int_equal(expired, 1);
    site_expect_state(site_query(site, &site->researcher), FDS__JOB_STATE__JOB_EXPIRED);
    assert_int_equal(site_count(site, "SELECT count(*) FROM run WHERE status = 'stopped'"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_submit_stores_and_waits_for_the_owner),
        TEST(test_submit_pending_tells_the_owners_command),
        TEST(test_query_approved_tells_the_shape),
        TEST(test_submit_bad_job_refused_and_not_stored),
        TEST(test_submit_unknown_dataset_does_not_list_the_others),
        TEST(test_submit_denied_job_again_stays_denied),
        TEST(test_submit_policy_approves_within_bounds),
        TEST(test_submit_policy_bounds_exceeded_waits),
        TEST(test_submit_policy_many_jobs_that_differ_a_little_wait),
        TEST(test_submit_policy_of_a_removed_peer_waits),
        TEST(test_submit_policy_denies),
        TEST(test_submit_too_many_pending_refused),
        TEST(test_query_anothers_job_is_unknown),
        TEST(test_submit_anothers_bytes_refused),
        TEST(test_train_anothers_job_is_not_found),
        TEST(test_end_run_anothers_run_goes_on),
        TEST(test_lobby_may_submit_but_not_train),
        TEST(test_unknown_type_refused),
        TEST(test_truncated_train_refused_at_every_byte),
        TEST(test_broken_store_is_told_in_general_words),
        TEST(test_expired_jobs_are_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
