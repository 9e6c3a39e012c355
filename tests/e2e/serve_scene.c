#include "tests/e2e/serve_scene.h"

#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "schemas/clock.h"
#include "schemas/files.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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
    struct identity *signer = NULL;
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
    must(home_store(home, STORE_WRITE, &signer, &store));
    must(dataset_writer_start(store, &info, classes, columns, split_key, &writer));
    must(dataset_writer_add(writer, rows, labels, ROWS));
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
    store_close(store);
    identity_free(signer);
    free(rows);
    free(labels);
}

/* Starts `datasite --home HOME VERB [A] [B]` with its output in `log`. */
pid_t program_start(const struct scene *scene, const char *log, const char *verb, const char *a,
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
int program_wait(pid_t child)
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

void owner_types(const struct scene *scene, const char *verb, const char *a, const char *b)
{
    char log[PATH_ROOM + 16];
    (void)snprintf(log, sizeof(log), "%s.owner", scene->log);
    assert_int_equal(program_wait(program_start(scene, log, verb, a, b)), 0);
}

size_t log_count(const struct scene *scene, const char *words)
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

void log_await(const struct scene *scene, const char *words, size_t count)
{
    for (int waited = 0; log_count(scene, words) < count; waited += 20) {
        if (waited > PATIENCE_MS)
            fail_msg("'%s' is not in the log", words);
        (void)usleep(20000);
    }
}

void daemon_start(struct scene *scene)
{
    (void)unlink(scene->log);
    scene->daemon = program_start(scene, scene->log, "serve", NULL, NULL);
    log_await(scene, "serve-started", 1);
    daemon_port(scene);
}

void daemon_port(struct scene *scene)
{
    uint8_t *text = NULL;
    size_t bytes = 0;
    must(file_read(scene->log, 1 << 20, &text, &bytes));
    const char *port = strstr((const char *)text, "port=");
    assert_non_null(port);
    scene->port = (uint16_t)strtoul(port + 5, NULL, 10);
    free(text);
}

int daemon_stop(struct scene *scene, int signal)
{
    assert_int_equal(kill(scene->daemon, signal), 0);
    int status = program_wait(scene->daemon);
    scene->daemon = 0;
    return status;
}

int64_t count_rows(const struct scene *scene, const char *sql)
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

void client_connect(struct scene *scene)
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
struct session_event client_await(struct scene *scene, uint64_t number)
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

void expect_refusal(struct session_event answer, enum error_code code, const char *words)
{
    Fds__Refusal *refusal = NULL;
    assert_int_equal(answer.type, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
    must(wire_refusal_decode(answer.body, answer.body_bytes, &refusal));
    refused(wire_refusal_error(refusal), code, words);
    wire_refusal_free(refusal);
    session_event_clear(&answer);
}

void client_job(struct scene *scene, const char *training, char ret_text[static JOB_ROOM])
{
    (void)snprintf(
        ret_text, JOB_ROOM,
        "job: try\ndataset: made\nmodel: {kind: softmax-regression}\ntraining: %s\n"
        "evaluation: {test_fraction: 0.5}\n"
        "federation: {rounds: 3, min_sites: 1, round_deadline: 5m}\nexpires: 2199-01-31T00:00:00Z\n"
        "sites:\n  - {name: site, fingerprint: \"%s\"}\n",
        training, scene->site_fingerprint);
    must(digest_of(ret_text, strlen(ret_text), &scene->job_id));
}

Fds__JobState client_submit(struct scene *scene, const char *training)
{
    char text[JOB_ROOM];
    Fds__Submit submit = FDS__SUBMIT__INIT;
    client_job(scene, training, text);
    submit.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    return state_of(client_ask(scene, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &submit.base));
}

Fds__JobState client_query(struct scene *scene)
{
    Fds__JobQuery query = FDS__JOB_QUERY__INIT;
    query.job_id = (ProtobufCBinaryData){DIGEST_BYTES, scene->job_id.bytes};
    return state_of(client_ask(scene, FDS__MESSAGE_TYPE__MESSAGE_QUERY, &query.base));
}

uint64_t client_train(struct scene *scene, uint32_t round)
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

void owner_decides(struct scene *scene, const char *verb)
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

int scene_make(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    void *workspace = NULL;
    struct home *home = NULL;
    struct identity *site = NULL;
    struct identity *signer = NULL;
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
    must(home_store(home, STORE_WRITE, &signer, &store));
    must(store_peer_add(store, identity_id(scene->identity), "researcher", "invitation", 1790000000));
    store_close(store);
    identity_free(signer);
    identity_free(site);
    home_free(home);
    *state = scene;
    return 0;
}

int scene_remove(void **state)
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
