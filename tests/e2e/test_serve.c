/* A real daemon and a small client of the transport over loopback: what the owner types and what signals do
 * while a peer is connected. Nothing here measures time; waits are bounded. */
#include "crypto/authority.h"
#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "schemas/clock.h"
#include "schemas/files.h"
#include "schemas/wire.h"
#include "tests/unit/datasite/workspace.h"
#include "transport/session.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 30000
#define ROWS 4000
#define FEATURES 4
#define CLASSES 3
#define PARAMETERS ((FEATURES + 1) * CLASSES)
#define PATH_ROOM 512

/* Takes far longer than any of these tests waits for. */
#define LONG_TRAINING "{optimizer: sgd, batch_size: 1, local_epochs: 1000, learning_rate: 0.001}"
#define SHORT_TRAINING "{optimizer: lbfgs, local_iterations: 5}"

struct scene {
    struct workspace *workspace;
    char home[PATH_ROOM], log[PATH_ROOM], program[PATH_ROOM], keys[PATH_ROOM];
    struct site_id site;
    char site_fingerprint[FINGERPRINT_BYTES], fingerprint[FINGERPRINT_BYTES];
    pid_t daemon;
    uint16_t port;
    struct identity *identity; /* the client's */
    struct session *session;
    struct digest job_id;
};

static const uint8_t run_id[STORE_RUN_ID_BYTES] = {1};

/* ---- the site ---- */

static void import_rows(const struct home *home)
{
    static const char *const classes[] = {"a", "b", "c"};
    static const char *const columns[] = {"w", "x", "y", "z"};
    struct dataset_info info = {.kind = DATASET_NUMBERS,
                                .rows = ROWS,
                                .features = FEATURES,
                                .classes = CLASSES,
                                .imported_at = 1790000000};
    double *rows = calloc(ROWS * FEATURES, sizeof(*rows));
    uint32_t *labels = calloc(ROWS, sizeof(*labels));
    uint8_t split_key[SPLIT_KEY_BYTES];
    struct store *store = NULL;
    struct dataset_writer *writer = NULL;
    assert_true(rows != NULL && labels != NULL);
    for (size_t i = 0; i < ROWS * FEATURES; i++)
        rows[i] = sin((double)i * 1.7);
    for (size_t i = 0; i < ROWS; i++)
        labels[i] = (uint32_t)(i % CLASSES);
    (void)snprintf(info.name, sizeof(info.name), "made");
    (void)snprintf(info.source, sizeof(info.source), "made for tests");
    must(home_split_key(home, split_key));
    must(store_open(home->database_path, STORE_WRITE, &store));
    must(dataset_writer_start(store, &info, classes, columns, split_key, &writer));
    must(dataset_writer_add(writer, rows, labels, ROWS));
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
    store_close(store);
    free(rows);
    free(labels);
}

/* Starts `datasite --home HOME VERB [A] [B]` with its output in `log`. */
static pid_t program_start(const struct scene *scene, const char *log, const char *verb, const char *a,
                           const char *b)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        (void)execl(scene->program, "datasite", "--home", scene->home, verb, a, b, (char *)NULL);
        _exit(127);
    }
    return child;
}

/* The exit status, waiting a bounded time. */
static int program_wait(pid_t child)
{
    int status = 0;
    for (int waited = 0; waited < PATIENCE_MS; waited += 20) {
        pid_t got = waitpid(child, &status, WNOHANG);
        assert_true(got >= 0);
        if (got == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        (void)usleep(20000);
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    fail_msg("a program did not end");
    return -1;
}

static void owner_types(const struct scene *scene, const char *verb, const char *a, const char *b)
{
    char log[PATH_ROOM + 16];
    (void)snprintf(log, sizeof(log), "%s.owner", scene->log);
    assert_int_equal(program_wait(program_start(scene, log, verb, a, b)), 0);
}

static size_t log_count(const struct scene *scene, const char *words)
{
    uint8_t *text = NULL;
    size_t bytes = 0, count = 0;
    struct error *err = file_read(scene->log, 1 << 20, &text, &bytes);
    error_free(err);
    for (const char *at = (const char *)text; at != NULL && (at = strstr(at, words)) != NULL; at++)
        count++;
    free(text);
    return count;
}

static void log_await(const struct scene *scene, const char *words, size_t count)
{
    for (int waited = 0; log_count(scene, words) < count; waited += 20) {
        if (waited > PATIENCE_MS)
            fail_msg("'%s' is not in the log", words);
        (void)usleep(20000);
    }
}

static void daemon_start(struct scene *scene)
{
    uint8_t *text = NULL;
    size_t bytes = 0;
    (void)unlink(scene->log);
    scene->daemon = program_start(scene, scene->log, "serve", NULL, NULL);
    log_await(scene, "serve-started", 1);
    must(file_read(scene->log, 1 << 20, &text, &bytes));
    const char *port = strstr((const char *)text, "port=");
    assert_non_null(port);
    scene->port = (uint16_t)strtoul(port + 5, NULL, 10);
    free(text);
}

static int daemon_stop(struct scene *scene, int signal)
{
    assert_int_equal(kill(scene->daemon, signal), 0);
    int status = program_wait(scene->daemon);
    scene->daemon = 0;
    return status;
}

static int64_t count_rows(const struct scene *scene, const char *sql)
{
    char path[PATH_ROOM + 16];
    struct store *store = NULL;
    struct query query;
    (void)snprintf(path, sizeof(path), "%s/site.db", scene->home);
    must(store_open(path, STORE_READ, &store));
    query_start(&query, store->database, sql);
    assert_true(query_step(&query));
    int64_t count = query_int(&query, 0);
    must(query_end(&query));
    store_close(store);
    return count;
}

/* ---- the client ---- */

static void client_connect(struct scene *scene)
{
    char endpoint[64];
    struct session_options options = {
        .identity = scene->identity, .name = "researcher", .directory = scene->keys, .wake_fd = -1};
    must(session_open(&options, &scene->session));
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", (unsigned)scene->port);
    must(session_dial(scene->session, &scene->site, endpoint));
}

static uint64_t client_request(struct scene *scene, uint32_t type, const ProtobufCMessage *message)
{
    uint8_t *body = NULL;
    size_t bytes = 0;
    uint64_t number = 0;
    must(wire_encode(message, &body, &bytes));
    must(session_request(scene->session, &scene->site, type, body, bytes, &number));
    free(body);
    return number;
}

/* The answer to a request; the caller clears it. */
static struct session_event client_await(struct scene *scene, uint64_t number)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (clock_monotonic_ms() < until) {
        struct session_event event;
        must(session_next(scene->session, 100, &event));
        if (event.kind == SESSION_MESSAGE && event.answers == number)
            return event;
        session_event_clear(&event);
    }
    fail_msg("no answer came");
    return (struct session_event){.kind = SESSION_NOTHING};
}

static struct session_event client_ask(struct scene *scene, uint32_t type, const ProtobufCMessage *message)
{
    return client_await(scene, client_request(scene, type, message));
}

static Fds__JobState state_of(struct session_event answer)
{
    Fds__JobStatus *status = NULL;
    assert_int_equal(answer.type, FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS);
    must(wire_job_status_decode(answer.body, answer.body_bytes, &status));
    Fds__JobState state = status->state;
    wire_job_status_free(status);
    session_event_clear(&answer);
    return state;
}

static void expect_refusal(struct session_event answer, enum error_code code, const char *words)
{
    Fds__Refusal *refusal = NULL;
    assert_int_equal(answer.type, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
    must(wire_refusal_decode(answer.body, answer.body_bytes, &refusal));
    refused(wire_refusal_error(refusal), code, words);
    wire_refusal_free(refusal);
    session_event_clear(&answer);
}

static Fds__JobState client_submit(struct scene *scene, const char *training)
{
    char text[2048];
    Fds__Submit submit = FDS__SUBMIT__INIT;
    (void)snprintf(
        text, sizeof(text),
        "job: try\ndataset: made\nmodel: {kind: softmax-regression}\ntraining: %s\n"
        "evaluation: {test_fraction: 0.5}\n"
        "federation: {rounds: 3, min_sites: 1, round_deadline: 5m}\nexpires: 2199-01-31T00:00:00Z\n"
        "sites:\n  - {name: site, fingerprint: \"%s\"}\n",
        training, scene->site_fingerprint);
    must(digest_of(text, strlen(text), &scene->job_id));
    submit.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    return state_of(client_ask(scene, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &submit.base));
}

static Fds__JobState client_query(struct scene *scene)
{
    Fds__JobQuery query = FDS__JOB_QUERY__INIT;
    query.job_id = (ProtobufCBinaryData){DIGEST_BYTES, scene->job_id.bytes};
    return state_of(client_ask(scene, FDS__MESSAGE_TYPE__MESSAGE_QUERY, &query.base));
}

static uint64_t client_train(struct scene *scene, uint32_t round)
{
    uint8_t parameters[PARAMETERS * sizeof(double)] = {0};
    uint8_t run[STORE_RUN_ID_BYTES];
    Fds__Train train = FDS__TRAIN__INIT;
    memcpy(run, run_id, sizeof(run));
    train.job_id = (ProtobufCBinaryData){DIGEST_BYTES, scene->job_id.bytes};
    train.run_id = (ProtobufCBinaryData){sizeof(run), run};
    train.round = round;
    train.parameters = (ProtobufCBinaryData){sizeof(parameters), parameters};
    return client_request(scene, FDS__MESSAGE_TYPE__MESSAGE_TRAIN, &train.base);
}

static void owner_decides(struct scene *scene, const char *verb)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(&scene->job_id, hex);
    owner_types(scene, verb, hex, NULL);
}

/* ---- set-up ---- */

static void scene_path(const struct scene *scene, const char *name, char ret_path[static PATH_ROOM])
{
    char here[PATH_ROOM];
    assert_non_null(getcwd(here, sizeof(here)));
    int length = snprintf(ret_path, PATH_ROOM, "%s/%s/%s", here, scene->workspace->path, name);
    assert_true(length > 0 && length < PATH_ROOM);
}

static int scene_make(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    void *workspace = NULL;
    struct home *home = NULL;
    struct identity *site = NULL;
    struct store *store = NULL;
    if (scene == NULL || workspace_make(&workspace) != 0)
        return -1;
    scene->workspace = workspace;
    ssize_t length = readlink("/proc/self/exe", scene->program, sizeof(scene->program) - 16);
    assert_true(length > 0);
    scene->program[length] = '\0';
    (void)snprintf(strrchr(scene->program, '/'), 16, "/datasite");
    scene_path(scene, "home", scene->home);
    scene_path(scene, "serve.log", scene->log);
    scene_path(scene, "client", scene->keys);
    must(home_create(scene->home, "site", "tcp://127.0.0.1:0", NULL, &home));
    must(identity_load(home->keys_path, &site));
    scene->site = *identity_id(site);
    site_id_format(&scene->site, scene->site_fingerprint);
    import_rows(home);
    must(identity_create(scene->keys, "researcher", &scene->identity));
    site_id_format(identity_id(scene->identity), scene->fingerprint);
    must(store_open(home->database_path, STORE_WRITE, &store));
    must(store_peer_add(store, identity_id(scene->identity), "researcher", "invitation", 1790000000));
    store_close(store);
    identity_free(site);
    home_free(home);
    *state = scene;
    return 0;
}

static int scene_remove(void **state)
{
    struct scene *scene = *state;
    void *workspace = scene->workspace;
    session_close(scene->session);
    if (scene->daemon != 0) {
        (void)kill(scene->daemon, SIGKILL);
        (void)waitpid(scene->daemon, NULL, 0);
    }
    identity_free(scene->identity);
    free(scene);
    return workspace_remove(&workspace);
}

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
    assert_int_equal(update.type, FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
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
    while (log_count(scene, "train-started") == 0) {
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
    assert_int_equal(update.type, FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
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

/* The client becomes a member of a consortium whose CA the site trusts, and is in no list. */
static void join_consortium(struct scene *scene)
{
    char directory[PATH_ROOM + 16];
    struct authority *authority = NULL;
    struct home *home = NULL;
    char *request = NULL, *chain = NULL, *ca = NULL;
    struct site_id id;
    bool edited = false;
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
    must(store_open(home->database_path, STORE_WRITE, &store));
    must(store_peer_remove(store, identity_id(scene->identity), 1790000001));
    store_close(store);
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
    assert_int_equal(update.type, FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    session_event_clear(&update);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM peer WHERE added_by = 'approval'"), 1);
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
    assert_int_equal(update.type, FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
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

/* A policy that would approve, and trust lists that cannot be read: none of it is taken over. */
static void test_serve_hangup_with_a_broken_authority_keeps_the_old_policy(void **state)
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
    struct home *home = NULL;
    bool edited = false;
    must(home_open(scene->home, &home));
    must(home_ca_install(home, "this is no certificate\n", &edited));
    assert_true(edited);
    home_free(home);
    assert_int_equal(kill(scene->daemon, SIGHUP), 0);
    log_await(scene, "reload-failed", 1);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
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
        TEST(test_serve_hangup_with_a_broken_policy_keeps_the_old),
        TEST(test_serve_member_of_the_consortium_trains_only_after_approval),
        TEST(test_serve_member_with_a_certificate_of_its_own_is_refused),
        TEST(test_serve_hangup_with_a_broken_authority_keeps_the_old_policy),
        TEST(test_serve_damaged_database_exits_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
