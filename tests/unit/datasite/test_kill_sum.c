/* A datasite is killed at every moment of every step of a whole run with three others: further attempts, sums that come
 * with the next round and by themselves, the evaluation behind the last round, the end. Each time it comes back it
 *
 *     is in a state between two commits, and no other: half a step is none;
 *     repeats what it has answered in the run so far byte for byte, but for vectors and
 *     agreements of rounds whose sum it has, and is not changed by that;
 *     answers the step with the bytes, and ends in the state, of a site that was not killed;
 *     reads its rows for a round once: nothing is computed while the round's vector is there.
 *
 * States are whole databases, so that nothing of one can be forgotten here. What makes an event differ from the next one of
 * its kind, its salt, is the same in all of them while `steady`. */
#include "crypto/secret.h"
#include "datasite/store_internal.h"
#include "learning/softmax.h"
#include "tests/unit/datasite/driver.h"
#include "tests/unit/datasite/killed.h"

#include <stdatomic.h>
#include <unistd.h>

#define VICTIM 2u /* a position */
#define TURNS_MOST 20
#define STATES_MOST 8 /* of one step */
#define ROUNDS 2

static const uint32_t everybody[] = {1, 2, 3, 4}, first_three[] = {1, 2, 3}, others[] = {1, 3, 4};

/* ---- what is replaced ---- */

static bool steady;
static atomic_int computations;

struct error *__real_secret_random(void *memory, size_t bytes);
struct error *__wrap_secret_random(void *memory, size_t bytes);
struct error *__wrap_secret_random(void *memory, size_t bytes)
{
    if (!steady)
        return __real_secret_random(memory, bytes);
    memset(memory, 0x5a, bytes);
    return NULL;
}

/* Every vector has the counts of the test rows. */
struct error *__real_softmax_confusion(const struct softmax_problem *problem, const double *parameters,
                                       uint64_t *ret_confusion);
struct error *__wrap_softmax_confusion(const struct softmax_problem *problem, const double *parameters,
                                       uint64_t *ret_confusion);
struct error *__wrap_softmax_confusion(const struct softmax_problem *problem, const double *parameters,
                                       uint64_t *ret_confusion)
{
    atomic_fetch_add(&computations, 1);
    return __real_softmax_confusion(problem, parameters, ret_confusion);
}

/* ---- turns ---- */

/* What is known of a turn beforehand. */
struct turn_plan {
    const char *what;
    uint32_t type;
    size_t states; /* before, after, and in between: one more than commits */
    bool computes;
};

/* One message to the site, and its answer. */
struct turn {
    const struct turn_plan *plan;
    const ProtobufCMessageDescriptor *descriptor;
    uint32_t round; /* 0: of none */
    uint8_t *message;
    size_t bytes;
    struct reply reply; /* of a site that is not killed */
    int moments;
};

struct slot_seen {
    enum secagg_slot_state state;
    uint32_t round, attempt;
    struct digest context;
};

static struct scene {
    struct site *site;
    const struct turn_plan *plans;
    size_t plan_count;
    struct turn turns[TURNS_MOST];
    size_t count;
    struct digest states[STATES_MOST]; /* of the turn in hand */
    size_t state_count;
    struct slot_seen slots[MASKED_BATCH]; /* before it */
} scene;

static struct reply turn_ask(void *context)
{
    struct turn *turn = context;
    struct site *site = scene.site;
    ProtobufCMessage *message = protobuf_c_message_unpack(turn->descriptor, NULL, turn->bytes, turn->message);
    assert_non_null(message);
    struct reply reply = site_ask(site, &site->researcher, true, turn->plan->type, message);
    protobuf_c_message_free_unpacked(message, NULL);
    return reply;
}

/* Its bytes are those of the site that was not killed. */
static void turn_expect_reply(struct turn *turn)
{
    struct reply reply = turn_ask(turn);
    site_expect_same(killed_kept(&turn->reply), reply);
}

/* ---- states ---- */

static uint8_t *file_read(const char *path, size_t *ret_bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size > 0);
    rewind(file);
    uint8_t *bytes = malloc((size_t)size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), (size_t)size);
    (void)fclose(file);
    *ret_bytes = (size_t)size;
    return bytes;
}

/* Of everything in site.db; its pages and its free space do not count. */
static struct digest state_now(void)
{
    struct digest digest;
    char path[160], sql[200];
    size_t size = 0;
    (void)unlink(workspace_file(scene.site->workspace, "state.db", path));
    (void)snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", path);
    must(database_run(scene.site->store->database, sql));
    uint8_t *bytes = file_read(path, &size);
    must(digest_of(bytes, size, &digest));
    free(bytes);
    return digest;
}

static void state_expect(const struct digest *state)
{
    struct digest now = state_now();
    assert_memory_equal(now.bytes, state->bytes, DIGEST_BYTES);
}

/* Counts those that differ. */
static void state_note(struct digest state)
{
    for (size_t i = 0; i < scene.state_count; i++)
        if (digest_equal(&scene.states[i], &state))
            return;
    assert_true(scene.state_count < STATES_MOST);
    scene.states[scene.state_count++] = state;
}

static void slots_read(struct slot_seen ret_slots[static MASKED_BATCH])
{
    for (uint32_t i = 0; i < MASKED_BATCH; i++) {
        struct secagg_slot slot;
        must(store_secagg_slot(scene.site->store, scene.site->run, i, &slot));
        ret_slots[i] = (struct slot_seen){slot.state, slot.round, slot.attempt, slot.context};
        secagg_slot_clear(&slot);
    }
}

/* Forward only, and one context each. */
static void slots_expect_forward(void)
{
    struct slot_seen now[MASKED_BATCH];
    slots_read(now);
    for (size_t i = 0; i < MASKED_BATCH; i++) {
        const struct slot_seen *before = &scene.slots[i];
        assert_true(now[i].state == before->state || before->state == SECAGG_SLOT_OPEN ||
                    (before->state == SECAGG_SLOT_BOUND && now[i].state != SECAGG_SLOT_OPEN));
        if (before->state == SECAGG_SLOT_BOUND || before->state == SECAGG_SLOT_REVEALED) {
            assert_int_equal(now[i].round, before->round);
            assert_int_equal(now[i].attempt, before->attempt);
            assert_memory_equal(now[i].context.bytes, before->context.bytes, DIGEST_BYTES);
        }
    }
}

/* ---- killed ---- */

/* Its round was over when a later one was released. */
static bool turn_forgotten(const struct turn *turn)
{
    return turn->round > 0 && turn->round <= site_count(scene.site, "SELECT coalesce(max(round), 0) FROM "
                                                                    "answer WHERE length(body) = 0");
}

/* What was answered before the step, as long as the run goes on; a JobStatus is of the moment. */
static void turn_expect_repeat(struct turn *turn, bool ended)
{
    if (ended)
        site_expect_refusal(turn_ask(turn), ERROR_REFUSED, "The job is finished");
    else if (turn_forgotten(turn))
        site_expect_refusal(turn_ask(turn), ERROR_REFUSED, "is over");
    else if (turn->reply.type == FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS)
        site_expect_state(turn_ask(turn), FDS__JOB_STATE__JOB_RUNNING);
    else
        turn_expect_reply(turn);
}

static void expect_repeats(void)
{
    bool ended = site_count(scene.site, "SELECT count(*) FROM run WHERE status <> 'running'") > 0;
    struct digest state = state_now();
    state_note(state);
    for (size_t i = 0; i + 1 < scene.count; i++)
        turn_expect_repeat(&scene.turns[i], ended);
    state_expect(&state);
}

/* The step, at a site that has come back; asked for twice. */
static void turn_finish(struct turn *turn, const struct digest *after)
{
    bool stored = site_count(scene.site, "SELECT count(*) FROM secagg_vector") > 0;
    atomic_store(&computations, 0);
    turn_expect_reply(turn);
    assert_int_equal(atomic_load(&computations), turn->plan->computes && !stored ? 1 : 0);
    turn_expect_reply(turn);
    state_expect(after);
}

/* After every write of the step, each time from the state before it. To a process that is killed it is the same whether what
 * it wrote had been brought to the disk or not, so that moments before a write are those after the one before. */
static void turn_kill_everywhere(struct turn *turn, const struct digest *after)
{
    struct killed_moment moment = {1, true, false};
    for (;; moment.at++) {
        assert_true(moment.at < KILLED_MOST);
        if (!killed_site(scene.site, "before", moment, turn_ask, turn))
            break;
        killed_expect_whole(scene.site);
        slots_expect_forward();
        expect_repeats();
        turn_finish(turn, after);
    }
    state_expect(after); /* which another process has made */
    turn->moments = moment.at - 1;
}

static struct reply start_only(void *context)
{
    (void)context;
    return (struct reply){.type = 0};
}

/* Killed when it starts after the step, again and again. */
static void start_kill_everywhere(const struct digest *after)
{
    struct killed_moment moment = {1, true, true};
    while (killed_site(scene.site, NULL, moment, start_only, NULL))
        assert_true(++moment.at < KILLED_MOST);
    assert_true(moment.at > 1);
    state_expect(after);
}

static struct turn *turn_new(uint32_t type, const ProtobufCMessage *message)
{
    struct turn *turn = &scene.turns[scene.count];
    assert_true(scene.count < scene.plan_count);
    turn->plan = &scene.plans[scene.count++];
    turn->descriptor = message->descriptor;
    turn->round = type == FDS__MESSAGE_TYPE__MESSAGE_MASK    ? ((const Fds__Mask *)message)->round
                  : type == FDS__MESSAGE_TYPE__MESSAGE_AGREE ? ((const Fds__Agree *)message)->round
                                                             : 0; /* shares are repeated all the same */
    must(wire_encode(message, &turn->message, &turn->bytes));
    assert_int_equal(type, turn->plan->type);
    return turn;
}

static struct reply turn_take(uint32_t type, const ProtobufCMessage *message)
{
    struct turn *turn = turn_new(type, message);
    scene.state_count = 0;
    killed_save(scene.site, "before");
    slots_read(scene.slots);
    state_note(state_now());
    atomic_store(&computations, 0);
    turn->reply = turn_ask(turn);
    if (turn->reply.type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL)
        site_expect_state(killed_kept(&turn->reply),
                          FDS__JOB_STATE__JOB_RUNNING); /* fails with its sentence */
    assert_int_equal(atomic_load(&computations), turn->plan->computes ? 1 : 0);
    struct digest after = state_now();
    killed_expect_whole(scene.site);
    slots_expect_forward();
    turn_kill_everywhere(turn, &after);
    start_kill_everywhere(&after);
    print_message("%s: killed after each of %d writes, %zu states\n", turn->plan->what, turn->moments,
                  scene.state_count);
    assert_int_equal(scene.state_count, turn->plan->states);
    return killed_kept(&turn->reply);
}

/* driver.c's way of asking. */
static struct reply scene_ask(struct masked_sites *masked, uint32_t position, uint32_t type,
                              const ProtobufCMessage *message)
{
    struct site *site = masked->sites[position - 1];
    if (position == VICTIM && steady)
        return turn_take(type, message);
    return site_ask(site, &site->researcher, true, type, message);
}

/* From before the first turn on, killed once in every step, with no step undone: the end is that of the run that went
 * through. */
static void run_again_killed_in_every_step(void)
{
    struct digest end = state_now();
    killed_restore(scene.site, "start");
    for (size_t i = 0; i < scene.count; i++) {
        struct turn *turn = &scene.turns[i];
        struct killed_moment moment = {1 + (int)i % turn->moments, i % 2 == 1, false};
        assert_true(killed_site(scene.site, NULL, moment, turn_ask, turn));
        turn_expect_reply(turn);
    }
    state_expect(&end);
}

/* ---- the run ---- */

static int scene_make(void **state)
{
    if (driver_make(state) != 0)
        return -1;
    struct masked_sites *masked = *state;
    for (size_t i = 0; i < MASKED_SITES; i++)
        site_reimport(masked->sites[i], 300 + 20 * i, i);
    memset(&scene, 0, sizeof(scene));
    scene.site = masked->sites[VICTIM - 1];
    killed_prepare(scene.site);
    driver_begin(masked, &(struct masked_words){.metrics = "pooled", .rounds = ROUNDS});
    masked->ask = scene_ask;
    killed_save(scene.site, "start");
    steady = true;
    return 0;
}

static int scene_remove(void **state)
{
    steady = false;
    for (size_t i = 0; i < scene.count; i++) {
        free(scene.turns[i].message);
        requests_reply_clear(&scene.turns[i].reply);
    }
    return masked_remove(state);
}

/* What the contributors stored is what their sum has. */
static void finish_attempt(struct masked_sites *masked, struct masked_attempt *attempt)
{
    size_t count = attempt->about.words;
    uint64_t *one = calloc(count, sizeof(*one)), *total = calloc(count, sizeof(*total));
    assert_true(one != NULL && total != NULL);
    for (size_t i = 0; i < attempt->u3.count; i++) {
        assert_true(masked_vector(masked, attempt->contributors[i], attempt->about.round, one, count));
        mask_add_words(attempt->about.ring, total, one, count);
    }
    driver_agree_all(masked, attempt);
    driver_unmask_all(masked, attempt);
    assert_memory_equal(attempt->sum, total, count * sizeof(*total));
    free(one);
    free(total);
}

/* One attempt that comes to nothing, and another one, which site 4 drops out of. */
static void round_in_two_attempts(struct masked_sites *masked, uint32_t round, const struct digest *model,
                                  Fds__Sum *previous, struct masked_attempt *ret_attempt)
{
    struct masked_attempt given_up;
    uint32_t slot = 2 * (round - 1);
    masked_attempt_begin(masked, round, 0, slot, model, everybody, 4, &given_up);
    driver_collect(masked, &given_up, everybody, 4, previous);
    masked_attempt_clear(&given_up);
    masked_attempt_begin(masked, round, 1, slot + 1, model, everybody, 4, ret_attempt);
    driver_collect(masked, ret_attempt, first_three, 3, previous);
    finish_attempt(masked, ret_attempt);
}

/* The sum to all sites but one; and the model that follows. */
static struct digest sum_to_others(struct masked_sites *masked, Fds__Sum *sum)
{
    for (size_t i = 0; i < 3; i++)
        site_expect_state(driver_sum(masked, others[i], sum), FDS__JOB_STATE__JOB_RUNNING);
    struct secagg_model model = masked_model(masked, others[0]);
    struct digest digest = model.digest;
    secagg_model_clear(&model);
    return digest;
}

static void end_run(void)
{
    Fds__EndRun message = FDS__END_RUN__INIT;
    char word[] = "finished";
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, scene.site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, scene.site->run};
    message.status = word;
    struct reply reply = turn_take(FDS__MESSAGE_TYPE__MESSAGE_END_RUN, &message.base);
    requests_reply_clear(&reply);
}

#define MASK FDS__MESSAGE_TYPE__MESSAGE_MASK
#define AGREE FDS__MESSAGE_TYPE__MESSAGE_AGREE
#define UNMASK FDS__MESSAGE_TYPE__MESSAGE_UNMASK
#define SUM FDS__MESSAGE_TYPE__MESSAGE_SUM

static const struct turn_plan plans_of_a_run[] = {
    {"first vector, with the initial model", MASK, 3, true},
    {"the same under other masks", MASK, 2, false},
    {"agreement", AGREE, 2, false},
    {"unmasking", UNMASK, 2, false},
    {"round 2, with the sum of round 1", MASK, 3, true},
    {"the same under other masks", MASK, 2, false},
    {"agreement", AGREE, 2, false},
    {"unmasking", UNMASK, 2, false},
    {"the sum of round 2", SUM, 2, false},
    {"evaluation", MASK, 2, true},
    {"the same under other masks", MASK, 2, false},
    {"agreement", AGREE, 2, false},
    {"unmasking", UNMASK, 2, false},
    {"the end", FDS__MESSAGE_TYPE__MESSAGE_END_RUN, 2, false},
};

static void test_kill_sum_whole_run_ends_as_without_a_kill(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest model = masked_zeros();
    scene.plans = plans_of_a_run;
    scene.plan_count = sizeof(plans_of_a_run) / sizeof(plans_of_a_run[0]);
    round_in_two_attempts(masked, 1, &model, NULL, &attempt);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    masked_attempt_clear(&attempt);
    model = sum_to_others(masked, sum);
    round_in_two_attempts(masked, 2, &model, sum, &attempt);
    wire_sum_free(sum);
    sum = masked_sum(masked, &attempt, false);
    masked_attempt_clear(&attempt);
    model = sum_to_others(masked, sum);
    site_expect_state(driver_sum(masked, VICTIM, sum), FDS__JOB_STATE__JOB_RUNNING);
    wire_sum_free(sum);
    round_in_two_attempts(masked, ROUNDS + 1, &model, NULL, &attempt);
    masked_attempt_clear(&attempt);
    end_run();
    assert_int_equal(scene.count, scene.plan_count);
    run_again_killed_in_every_step();
}

/* ---- a site that comes back ---- */

static const struct turn_plan plans_of_a_return[] = {
    {"the sum of a round that it missed", SUM, 3, false},
    {"round 2", MASK, 2, true},
    {"agreement", AGREE, 2, false},
    {"unmasking", UNMASK, 2, false},
};

/* The first model and the sum that follows on it are two commits of one message. */
static void test_kill_sum_of_a_missed_round_goes_on(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest model = masked_zeros();
    scene.plans = plans_of_a_return;
    scene.plan_count = sizeof(plans_of_a_return) / sizeof(plans_of_a_return[0]);
    masked_attempt_begin(masked, 1, 0, 0, &model, everybody, 4, &attempt);
    driver_collect(masked, &attempt, others, 3, NULL);
    finish_attempt(masked, &attempt);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    masked_attempt_clear(&attempt);
    model = sum_to_others(masked, sum);
    site_expect_state(driver_sum(masked, VICTIM, sum), FDS__JOB_STATE__JOB_RUNNING);
    wire_sum_free(sum);
    masked_attempt_begin(masked, 2, 0, 1, &model, everybody, 4, &attempt);
    driver_collect(masked, &attempt, everybody, 4, NULL);
    finish_attempt(masked, &attempt);
    masked_attempt_clear(&attempt);
    assert_int_equal(scene.count, scene.plan_count);
    run_again_killed_in_every_step();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kill_sum_whole_run_ends_as_without_a_kill),
        TEST(test_kill_sum_of_a_missed_round_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, wire_record_tear_down);
}
