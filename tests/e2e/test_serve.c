/* What the owner types and what signals do while a peer is connected. Nothing here measures time. */
#include "crypto/authority.h"
#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "schemas/clock.h"
#include "schemas/files.h"
#include "tests/e2e/serve_scene.h"

#include <signal.h>
#include <unistd.h>

/* ---- tests ---- */

static void test_serve_approved_by_the_owner_trains(void **state)
{
    struct scene *scene = *state;
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    expect_refusal(client_await(scene, client_train(scene, 1)), ERROR_REFUSED, "waits");
    owner_decides(scene, "approve");
    assert_int_equal(client_query(scene), FDS__JOB_STATE__JOB_APPROVED);
    struct session_event update = client_await(scene, client_train(scene, 1));
    assert_int_equal(update.type, FDS__MESSAGE_TYPE__MESSAGE_RELEASED);
    session_event_clear(&update);
    assert_int_equal(client_query(scene), FDS__JOB_STATE__JOB_RUNNING);
    assert_int_equal(daemon_stop(scene, SIGTERM), 0);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM daemon"), 0);
}

static void test_serve_denied_stays_denied_after_a_restart(void **state)
{
    struct scene *scene = *state;
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    owner_decides(scene, "deny");
    assert_int_equal(daemon_stop(scene, SIGTERM), 0);
    session_close(scene->session);
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_DENIED);
}

static void start_long_training(struct scene *scene, uint64_t *ret_number)
{
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, LONG_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    owner_decides(scene, "approve");
    *ret_number = client_train(scene, 1);
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    /* The log's line comes before the run is on record. */
    while (log_count(scene, "train-started") == 0 || count_rows(scene, "SELECT count(*) FROM run") == 0) {
        struct session_event event;
        assert_true(clock_monotonic_ms() < until);
        must(session_next(scene->session, 20, &event));
        session_event_clear(&event);
    }
}

static void test_serve_revoked_in_mid_training_releases_nothing(void **state)
{
    struct scene *scene = *state;
    uint64_t number = 0;
    start_long_training(scene, &number);
    owner_decides(scene, "revoke");
    expect_refusal(client_await(scene, number), ERROR_REFUSED, "revoked");
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM answer"), 0);
    assert_int_equal(client_query(scene), FDS__JOB_STATE__JOB_REVOKED);
}

static void test_serve_terminated_in_mid_training_ends_in_order(void **state)
{
    struct scene *scene = *state;
    uint64_t number = 0;
    start_long_training(scene, &number);
    assert_int_equal(daemon_stop(scene, SIGTERM), 0);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM answer"), 0);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'serve-stopped'"), 1);
}

static void test_serve_killed_in_mid_training_loses_nothing(void **state)
{
    struct scene *scene = *state;
    uint64_t number = 0;
    start_long_training(scene, &number);
    assert_int_equal(daemon_stop(scene, SIGKILL), 128 + SIGKILL);
    session_close(scene->session);
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_query(scene), FDS__JOB_STATE__JOB_RUNNING);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM answer"), 0);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'update-released'"), 0);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM run WHERE last_round = 0"), 1);
}

static void test_serve_trust_removed_in_mid_training_releases_nothing(void **state)
{
    struct scene *scene = *state;
    uint64_t number = 0;
    start_long_training(scene, &number);
    owner_types(scene, "trust", "remove", scene->fingerprint);
    log_await(scene, "train-abandoned", 1);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM answer"), 0);
}

/* The connection is lost while a step is in hand, and the request comes again on the next one: it is computed
 * and released once. */
static void test_serve_asked_again_after_a_reconnect_releases_once(void **state)
{
    struct scene *scene = *state;
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, "{optimizer: sgd, batch_size: 1, local_epochs: 50}"),
                     FDS__JOB_STATE__JOB_PENDING);
    owner_decides(scene, "approve");
    (void)client_train(scene, 1);
    log_await(scene, "train-started", 1);
    session_close(scene->session);
    client_connect(scene);
    struct session_event update = client_await(scene, client_train(scene, 1));
    assert_int_equal(update.type, FDS__MESSAGE_TYPE__MESSAGE_RELEASED);
    session_event_clear(&update);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'update-released'"), 1);
    assert_int_equal(log_count(scene, "update-released"), 1);
}

static void test_serve_hangup_reads_the_policy(void **state)
{
    struct scene *scene = *state;
    char path[PATH_ROOM + 16], text[1024];
    daemon_start(scene);
    client_connect(scene);
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", scene->home);
    (void)snprintf(text, sizeof(text),
                   "default: ask\nrules:\n  - name: ours\n    action: approve\n    requesters: [\"%s\"]\n"
                   "    max_rounds: 3\n",
                   scene->fingerprint);
    must(file_write(path, text, strlen(text), 0600));
    assert_int_equal(kill(scene->daemon, SIGHUP), 0);
    log_await(scene, "config-reloaded", 1);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_APPROVED);
    /* The one that init wrote, and this one; reading it again adds nothing. */
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'policy-changed'"), 2);
    assert_int_equal(kill(scene->daemon, SIGHUP), 0);
    log_await(scene, "config-reloaded", 2);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'policy-changed'"), 2);
    assert_int_equal(count_rows(scene,
                                "SELECT count(DISTINCT digest) FROM event WHERE kind = 'policy-changed' "
                                "AND detail LIKE '%1 rules of which 1 approve%' OR detail LIKE '%0 rules%'"),
                     2);
    size_t used = strlen(text);
    (void)snprintf(text + used, sizeof(text) - used,
                   "output: {min_cell: 3}\ndatasets: {digits: {min_cell: 0}}\n");
    must(file_write(path, text, strlen(text), 0600));
    assert_int_equal(kill(scene->daemon, SIGHUP), 0);
    log_await(scene, "config-reloaded", 3);
    assert_int_equal(
        count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'policy-changed' AND detail LIKE "
                          "'%; output: min-rows 100; min-cell 3; digits: min-rows 100; min-cell 0 (salt %)'"),
        1);
    (void)snprintf(
        text + used, sizeof(text) - used,
        "output: {min_cell: 3, require: [secure-aggregation]}\ndatasets: {digits: {require: []}}\n"
        "partners: [{fingerprint: \"%s\", organisation: clinic}]\n"
        "secure_aggregation: {differences: refuse, require_verify_sum: true, max_examples: 7000}\n",
        scene->fingerprint);
    must(file_write(path, text, strlen(text), 0600));
    assert_int_equal(kill(scene->daemon, SIGHUP), 0);
    log_await(scene, "config-reloaded", 4);
    assert_int_equal(
        count_rows(scene,
                   "SELECT count(*) FROM event WHERE kind = 'policy-changed' AND detail LIKE "
                   "'%; 1 partner, sums over 3 sites of 2 organisations, 1 may collude, differences refuse, "
                   "sums verified, max_examples 7000; output: "
                   "masked sums alone; min-rows 100; min-cell 3; digits: min-rows 100; min-cell 3 (salt %)'"),
        1);
}

/* Refused before anything is decoded, and told in one line. */
static void test_serve_flood_of_queries_is_refused(void **state)
{
    struct scene *scene = *state;
    char path[PATH_ROOM + 16];
    static const char text[] = "limits: {requests_per_minute: 4}\n";
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", scene->home);
    must(file_write(path, text, strlen(text), 0600));
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    owner_decides(scene, "approve");
    for (int i = 0; i < 3; i++)
        assert_int_equal(client_query(scene), FDS__JOB_STATE__JOB_APPROVED);
    for (uint32_t i = 0; i < 3; i++)
        expect_refusal(client_await(scene, client_train(scene, 1)), ERROR_LIMIT, "4 messages a minute");
    assert_int_equal(log_count(scene, "requests-limited"), 1);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM run"), 0);
}

static void test_serve_hangup_with_a_broken_policy_keeps_the_old(void **state)
{
    struct scene *scene = *state;
    char path[PATH_ROOM + 16];
    static const char text[] = "default: approve\n";
    daemon_start(scene);
    client_connect(scene);
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", scene->home);
    must(file_write(path, text, strlen(text), 0600));
    assert_int_equal(kill(scene->daemon, SIGHUP), 0);
    log_await(scene, "reload-failed", 1);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
}

/* Without a signal; a file that is no policy is said once, and the next one that is counts. */
static void test_serve_notices_a_changed_policy(void **state)
{
    struct scene *scene = *state;
    char path[PATH_ROOM + 16], text[1024];
    static const char *const broken[] = {"default: approve\n", "default: whatever\n"};
    daemon_start(scene);
    client_connect(scene);
    size_t changes = log_count(scene, "policy-changed");
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", scene->home);
    for (size_t i = 0; i < 2; i++) {
        must(file_write(path, broken[i], strlen(broken[i]), 0600));
        log_await(scene, "reload-failed", i + 1);
    }
    assert_int_equal(log_count(scene, "The policy that was read before stays in force"), 2);
    char status[PATH_ROOM + 16];
    (void)snprintf(status, sizeof(status), "%s.status", scene->home);
    struct scene shown = *scene;
    assert_int_equal(program_wait(program_start(scene, status, "status", NULL, NULL)), 0);
    memcpy(shown.log, status, sizeof(shown.log));
    assert_int_equal(log_count(&shown, "The daemon goes on with the policy that it read before."), 1);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    (void)snprintf(text, sizeof(text),
                   "default: ask\nrules:\n  - name: ours\n    action: approve\n    requesters: [\"%s\"]\n"
                   "    max_rounds: 3\n",
                   scene->fingerprint);
    must(file_write(path, text, strlen(text), 0600));
    log_await(scene, "policy-changed", changes + 1);
    assert_int_equal(client_submit(scene, "{optimizer: lbfgs, local_iterations: 6}"),
                     FDS__JOB_STATE__JOB_APPROVED);
    must(file_write(path, "default: deny\n", strlen("default: deny\n"), 0600));
    log_await(scene, "policy-changed", changes + 2);
    assert_int_equal(client_submit(scene, "{optimizer: lbfgs, local_iterations: 7}"),
                     FDS__JOB_STATE__JOB_DENIED);
    assert_int_equal(log_count(scene, "reload-failed"), 2);
    assert_int_equal(log_count(scene, "config-reloaded"), 0);
}

/* The client becomes a member of a consortium whose CA the site trusts, and is in no list. */
static void join_consortium(struct scene *scene)
{
    char directory[PATH_ROOM + 16];
    struct authority *authority = NULL;
    struct home *home = NULL;
    char *request = NULL, *chain = NULL, *ca = NULL;
    struct site_id id;
    bool edited = false;
    struct identity *signer = NULL;
    struct store *store = NULL;
    (void)snprintf(directory, sizeof(directory), "%s-ca", scene->home);
    must(authority_create(directory, "consortium", &authority));
    must(identity_request(scene->identity, &request));
    must(authority_issue(authority, request, 30, &id, &chain));
    must(identity_install(scene->keys, chain));
    identity_free(scene->identity);
    must(identity_load(scene->keys, &scene->identity));
    (void)snprintf(directory, sizeof(directory), "%s-ca/ca.crt", scene->home);
    must(home_open(scene->home, &home));
    must(home_ca_read(directory, &ca));
    must(home_ca_install(home, ca, &edited));
    must(home_store(home, STORE_WRITE, &signer, &store));
    must(store_peer_remove(store, identity_id(scene->identity), 1790000001));
    store_close(store);
    identity_free(signer);
    home_free(home);
    authority_free(authority);
    free(request);
    free(chain);
    free(ca);
}

static void test_serve_member_of_the_consortium_trains_only_after_approval(void **state)
{
    struct scene *scene = *state;
    join_consortium(scene);
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    expect_refusal(client_await(scene, client_train(scene, 1)), ERROR_REFUSED, "consortium");
    owner_decides(scene, "approve");
    struct session_event update = client_await(scene, client_train(scene, 1));
    assert_int_equal(update.type, FDS__MESSAGE_TYPE__MESSAGE_RELEASED);
    session_event_clear(&update);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM peer WHERE added_by = 'approval'"), 1);
}

/* A removal must not wait for a CA file that cannot be read at the moment. */
static void test_serve_trust_removed_while_the_authority_is_unreadable_refuses(void **state)
{
    struct scene *scene = *state;
    char ca[PATH_ROOM + 32];
    join_consortium(scene);
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    owner_decides(scene, "approve");
    assert_int_equal(client_query(scene), FDS__JOB_STATE__JOB_APPROVED);
    (void)snprintf(ca, sizeof(ca), "%s/keys/ca.crt", scene->home);
    assert_int_equal(unlink(ca), 0);
    owner_types(scene, "trust", "remove", scene->fingerprint);
    log_await(scene, "reload-failed", 1);
    struct session_event answer = client_await(scene, client_train(scene, 1));
    assert_int_equal(answer.type, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
    session_event_clear(&answer);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM answer"), 0);
}

/* An approval pins no key: once the authority does not vouch for it any more, the member is out, with
 * whatever certificate it signs itself. */
static void test_serve_member_with_a_certificate_of_its_own_is_refused(void **state)
{
    struct scene *scene = *state;
    char from[PATH_ROOM + 32], to[PATH_ROOM + 32];
    join_consortium(scene);
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    owner_decides(scene, "approve");
    struct session_event update = client_await(scene, client_train(scene, 1));
    assert_int_equal(update.type, FDS__MESSAGE_TYPE__MESSAGE_RELEASED);
    session_event_clear(&update);
    session_close(scene->session);
    identity_free(scene->identity);
    (void)snprintf(from, sizeof(from), "%s/identity.self.crt", scene->keys);
    (void)snprintf(to, sizeof(to), "%s/identity.crt", scene->keys);
    assert_int_equal(rename(from, to), 0);
    must(identity_load(scene->keys, &scene->identity));
    client_connect(scene);
    (void)client_train(scene, 2);
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    bool refusal = false;
    while (!refusal && clock_monotonic_ms() < until) {
        struct session_event event;
        must(session_next(scene->session, 100, &event));
        refusal = event.kind == SESSION_REFUSED;
        assert_int_not_equal(event.kind, SESSION_MESSAGE);
        session_event_clear(&event);
    }
    assert_true(refusal);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM answer"), 1);
}

/* Trust lists that cannot be read keep no policy from being in force: it may be the stricter one. */
static void test_serve_hangup_with_a_broken_authority_takes_the_policy_alone(void **state)
{
    struct scene *scene = *state;
    char path[PATH_ROOM + 16], text[1024];
    daemon_start(scene);
    size_t changes = log_count(scene, "policy-changed");
    client_connect(scene);
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", scene->home);
    (void)snprintf(text, sizeof(text),
                   "default: ask\nrules:\n  - name: ours\n    action: approve\n    requesters: [\"%s\"]\n"
                   "    max_rounds: 3\n",
                   scene->fingerprint);
    must(file_write(path, text, strlen(text), 0600));
    struct home *home = NULL;
    bool edited = false;
    must(home_open(scene->home, &home));
    must(home_ca_install(home, "this is no certificate\n", &edited));
    assert_true(edited);
    home_free(home);
    assert_int_equal(kill(scene->daemon, SIGHUP), 0);
    log_await(scene, "reload-failed", 1);
    log_await(scene, "policy-changed", changes + 1);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_APPROVED);
    assert_int_equal(log_count(scene, "config-reloaded"), 0);
}

static void test_serve_damaged_database_exits_with_a_sentence(void **state)
{
    struct scene *scene = *state;
    char path[PATH_ROOM + 16];
    static const char text[] = "this is not a database but a letter to somebody";
    (void)snprintf(path, sizeof(path), "%s/site.db", scene->home);
    workspace_write(path, text, sizeof(text));
    assert_int_equal(program_wait(program_start(scene, scene->log, "serve", NULL, NULL)), 1);
    assert_int_equal(log_count(scene, "site.db"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_serve_approved_by_the_owner_trains),
        TEST(test_serve_denied_stays_denied_after_a_restart),
        TEST(test_serve_revoked_in_mid_training_releases_nothing),
        TEST(test_serve_terminated_in_mid_training_ends_in_order),
        TEST(test_serve_killed_in_mid_training_loses_nothing),
        TEST(test_serve_trust_removed_in_mid_training_releases_nothing),
        TEST(test_serve_asked_again_after_a_reconnect_releases_once),
        TEST(test_serve_hangup_reads_the_policy),
        TEST(test_serve_flood_of_queries_is_refused),
        TEST(test_serve_hangup_with_a_broken_policy_keeps_the_old),
        TEST(test_serve_member_of_the_consortium_trains_only_after_approval),
        TEST(test_serve_trust_removed_while_the_authority_is_unreadable_refuses),
        TEST(test_serve_member_with_a_certificate_of_its_own_is_refused),
        TEST(test_serve_notices_a_changed_policy),
        TEST(test_serve_hangup_with_a_broken_authority_takes_the_policy_alone),
        TEST(test_serve_damaged_database_exits_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
