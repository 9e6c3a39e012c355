/* The daemon is killed at every commit of a run: submit, first round, updates, evaluations, end, stop. No release
 * without its event, no event without its release, nothing more than was approved, whatever moment it was; and the
 * requester, asking again, gets what it would have got. */
#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "schemas/clock.h"
#include "tests/e2e/kill_scene.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 2
#define KILLS_MOST 80 /* commits of a run are far fewer */
#define TRAINING "{optimizer: lbfgs, local_iterations: 2}"

/* What the requester has received. */
struct kept {
    struct receipt receipt; /* the latest */
    bool has_receipt;
    struct digest bodies[ROUNDS][2]; /* by round and kind */
    bool has[ROUNDS][2];
    bool ended;
};

struct kill_run {
    struct scene *scene;
    struct kept kept;
    bool ended; /* the daemon, while the requester waited */
};

static bool daemon_ended(struct kill_run *run)
{
    int status = 0;
    if (!run->ended && waitpid(run->scene->daemon, &status, WNOHANG) == run->scene->daemon) {
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        run->ended = true;
        run->scene->daemon = 0;
    }
    return run->ended;
}

/* Starts the daemon and connects; false when it was killed before it was ready. */
static bool daemon_up(struct kill_run *run)
{
    struct scene *scene = run->scene;
    run->ended = false;
    (void)unlink(scene->log);
    scene->daemon = program_start(scene, scene->log, "serve", NULL, NULL);
    for (int waited = 0; log_count(scene, "serve-started") == 0; waited += 10) {
        assert_true(waited < PATIENCE_MS);
        if (daemon_ended(run))
            return false;
        (void)usleep(10000);
    }
    daemon_port(scene);
    client_connect(scene);
    return true;
}

/* The answer; false when the daemon was killed instead. */
static bool ask(struct kill_run *run, uint32_t type, const ProtobufCMessage *message,
                struct session_event *ret_answer)
{
    uint8_t *body = NULL;
    size_t bytes = 0;
    uint64_t number = 0;
    must(wire_encode(message, &body, &bytes));
    must(session_request(run->scene->session, &run->scene->site, type, body, bytes, &number));
    free(body);
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (clock_monotonic_ms() < until) {
        must(session_next(run->scene->session, 20, ret_answer));
        if (ret_answer->kind == SESSION_MESSAGE && ret_answer->answers == number)
            return true;
        session_event_clear(ret_answer);
        if (daemon_ended(run))
            return false;
    }
    fail_msg("no answer came");
    return false;
}

static Fds__Witness *witness(struct kill_run *run, Fds__Witness *place)
{
    if (!run->kept.has_receipt)
        return NULL;
    receipt_witness(&run->kept.receipt, place);
    return place;
}

/* Keeps what came: its receipt is of these very bytes, and an answer that came before is the same again. */
static void keep(struct kill_run *run, uint32_t round, enum receipt_kind kind, struct session_event *answer)
{
    static const uint8_t run_id[STORE_RUN_ID_BYTES] = {9};
    struct kept *kept = &run->kept;
    struct digest *body = &kept->bodies[round - 1][kind - 1], digest;
    Fds__Released *released = NULL;
    if (answer->type != FDS__MESSAGE_TYPE__MESSAGE_RELEASED)
        fail_msg("an answer of type %u", answer->type);
    must(wire_released_decode(answer->body, answer->body_bytes, &released));
    must(receipt_take(released->receipt, &kept->receipt));
    must(receipt_verify_release(&kept->receipt, &run->scene->site, &run->scene->job_id, run_id, round, kind,
                                released->body.data, released->body.len));
    kept->has_receipt = true;
    must(digest_of(released->body.data, released->body.len, &digest));
    if (kept->has[round - 1][kind - 1])
        assert_true(digest_equal(body, &digest));
    kept->has[round - 1][kind - 1] = true;
    *body = digest;
    wire_released_free(released);
    session_event_clear(answer);
}

static bool step(struct kill_run *run, uint32_t round, enum receipt_kind kind)
{
    static uint8_t parameters[PARAMETERS * sizeof(double)], run_id[STORE_RUN_ID_BYTES] = {9};
    Fds__Train train = FDS__TRAIN__INIT;
    Fds__Evaluate evaluate = FDS__EVALUATE__INIT;
    Fds__Witness place;
    struct session_event answer;
    train.job_id = (ProtobufCBinaryData){DIGEST_BYTES, run->scene->job_id.bytes};
    train.run_id = (ProtobufCBinaryData){sizeof(run_id), run_id};
    train.round = round;
    train.parameters = (ProtobufCBinaryData){sizeof(parameters), parameters};
    train.witness = witness(run, &place);
    evaluate.job_id = train.job_id;
    evaluate.run_id = train.run_id;
    evaluate.round = round;
    evaluate.parameters = train.parameters;
    evaluate.witness = train.witness;
    bool came = kind == RECEIPT_UPDATE
                    ? ask(run, FDS__MESSAGE_TYPE__MESSAGE_TRAIN, &train.base, &answer)
                    : ask(run, FDS__MESSAGE_TYPE__MESSAGE_EVALUATE, &evaluate.base, &answer);
    if (came)
        keep(run, round, kind, &answer);
    return came;
}

static bool end(struct kill_run *run)
{
    static uint8_t run_id[STORE_RUN_ID_BYTES] = {9};
    static char status[] = "finished";
    Fds__EndRun message = FDS__END_RUN__INIT;
    Fds__Witness place;
    struct session_event answer;
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, run->scene->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){sizeof(run_id), run_id};
    message.status = status;
    message.witness = witness(run, &place);
    if (!ask(run, FDS__MESSAGE_TYPE__MESSAGE_END_RUN, &message.base, &answer))
        return false;
    assert_int_equal(answer.type, FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS);
    session_event_clear(&answer);
    run->kept.ended = true;
    return true;
}

static bool submit(struct kill_run *run, Fds__JobState *ret_state)
{
    char text[JOB_ROOM];
    Fds__Submit message = FDS__SUBMIT__INIT;
    Fds__JobStatus *status = NULL;
    struct session_event answer;
    client_job(run->scene, TRAINING, text);
    message.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    if (!ask(run, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &message.base, &answer))
        return false;
    assert_int_equal(answer.type, FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS);
    must(wire_job_status_decode(answer.body, answer.body_bytes, &status));
    *ret_state = status->state;
    wire_job_status_free(status);
    session_event_clear(&answer);
    return true;
}

/* All that the requester still lacks, in order, as it would ask; the owner approves when it comes to that. False when
 * the daemon was killed. */
static bool go_on(struct kill_run *run)
{
    Fds__JobState state;
    if (!submit(run, &state))
        return false;
    if (state == FDS__JOB_STATE__JOB_PENDING) {
        char hex[DIGEST_HEX_BYTES], words[PATH_ROOM + 16];
        (void)snprintf(words, sizeof(words), "%s.owner", run->scene->log);
        digest_hex(&run->scene->job_id, hex);
        kill_disarm(); /* the daemon has started; the owner's command is for test_kill_owner */
        assert_int_equal(program_wait(program_start(run->scene, words, "approve", hex, NULL)), 0);
    }
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        if (!run->kept.has[round - 1][0] && !step(run, round, RECEIPT_UPDATE))
            return false;
        if (!run->kept.has[round - 1][1] && !step(run, round, RECEIPT_EVALUATION))
            return false;
    }
    return run->kept.ended || end(run);
}

static void hang_up(struct kill_run *run)
{
    session_close(run->scene->session);
    run->scene->session = NULL;
}

/* Asks the daemon to stop; whether it was killed at a commit of stopping. */
static bool stop(struct kill_run *run)
{
    struct scene *scene = run->scene;
    hang_up(run);
    assert_int_equal(kill(scene->daemon, SIGTERM), 0);
    int status = program_wait(scene->daemon);
    scene->daemon = 0;
    if (status == 128 + SIGKILL)
        return true;
    assert_int_equal(status, 0);
    return false;
}

/* Every byte that the requester holds has its event, and its receipt's head is in the chain. */
static void check_kept(const struct kill_run *run)
{
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    bool has = false;
    must(home_open(run->scene->home, &home));
    must(home_store(home, STORE_READ, &identity, &store));
    for (size_t i = 0; i < 2 * (size_t)ROUNDS; i++) {
        struct query query;
        if (!run->kept.has[i / 2][i % 2])
            continue;
        query_start(&query, store->database,
                    "SELECT count(*) FROM event WHERE digest = ? AND round = ? AND kind = ?");
        query_bind_blob(&query, run->kept.bodies[i / 2][i % 2].bytes, DIGEST_BYTES);
        query_bind_int(&query, (int64_t)(i / 2) + 1);
        query_bind_text(&query, i % 2 == 0 ? "update-released" : "evaluation-released");
        assert_true(query_step(&query));
        assert_int_equal(query_int(&query, 0), 1);
        must(query_end(&query));
    }
    if (run->kept.has_receipt) {
        struct chain_head head = {run->kept.receipt.site, run->kept.receipt.sequence, run->kept.receipt.head};
        must(store_has_head(store, &head, &has));
        assert_true(has);
    }
    store_close(store);
    identity_free(identity);
    home_free(home);
}

/* After the end of the run each release is known as made, or called unmade by an event. */
static void check_made(const struct scene *scene)
{
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM run WHERE status = 'running'"), 0);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM delivery WHERE made = 'open'"), 0);
    assert_int_equal(count_rows(scene, "SELECT (SELECT count(*) FROM delivery WHERE made = 'unmade') > 0 AND "
                                       "NOT EXISTS (SELECT 1 FROM event WHERE kind = 'release-unmade')"),
                     0);
}

/* One run of the program with a kill at commit `at`; false when there were fewer commits. With `give_up` the
 * requester ends the run instead of asking for what it lacks. */
static bool kill_once(int at, enum kill_when when, bool give_up)
{
    void *state = NULL;
    assert_int_equal(scene_make(&state), 0);
    struct kill_run run = {.scene = state};
    kill_arm(run.scene, at, when);
    bool done = daemon_up(&run) && go_on(&run);
    kill_disarm();
    bool killed = !done || stop(&run);
    if (killed) {
        hang_up(&run);
        kill_check(run.scene, ROUNDS);
        check_kept(&run);
        assert_true(daemon_up(&run));
        if (!give_up || count_rows(run.scene, "SELECT count(*) FROM run") == 0)
            assert_true(go_on(&run));
        else
            assert_true(end(&run));
        assert_false(stop(&run));
    }
    kill_check(run.scene, ROUNDS);
    check_kept(&run);
    check_made(run.scene);
    state = run.scene;
    assert_int_equal(scene_remove(&state), 0);
    return killed;
}

static void kill_everywhere(enum kill_when when, bool give_up)
{
    int at = 1;
    while (at < KILLS_MOST && kill_once(at, when, give_up))
        at++;
    assert_in_range(at, 10, KILLS_MOST - 1); /* it was killed at each, and there were that many */
    print_message("killed at each of %d commits\n", at - 1);
}

static void test_kill_serve_before_every_commit_and_asked_again(void **state)
{
    (void)state;
    kill_everywhere(KILL_BEFORE, false);
}

static void test_kill_serve_after_every_commit_and_given_up(void **state)
{
    (void)state;
    kill_everywhere(KILL_AFTER, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_serve_before_every_commit_and_asked_again),
        cmocka_unit_test(test_kill_serve_after_every_commit_and_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
