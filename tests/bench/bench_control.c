/* What the owner's control adds to a round at one site.
 *
 *     bench_control [--smoke] DIR      DIR exists; a folder is made in it and removed
 *
 * Ours is one Train as the daemon answers it, without rows, training and wire: the receipt that the requester presents
 * is looked up, the approval is found and checked when the request comes, before the rows are used and
 * inside the airlock, and the airlock checks, encodes, adds the event to the chain, signs head and receipt and
 * commits. The reference is a site that controls nothing: it encodes the same update and commits it with one plain
 * insert. They take turns; printed are medians in milliseconds, by the clock and on the processor:
 *
 *     control <ours> <reference> <ours less reference>
 *     cpu <ours> <reference> <ours less reference>
 *     check <clock> <cpu>           of these the approval check and the event alone: found as known twice and verified
 *                                   in full once, and one event chained, signed and inserted */
#include "datasite/approval.h"
#include "datasite/release.h"
#include "datasite/store_internal.h"
#include "schemas/clock.h"
#include "schemas/wire.h"
#include "tests/bench/stopwatch.h"

#include <ftw.h>
#include <unistd.h>

#define REPEATS 40
#define ROUNDS_EACH 5
#define FEATURES 784
#define CLASSES 10
#define PARAMETERS ((FEATURES + 1) * CLASSES)
#define ROWS 130

struct control {
    char folder[4096];
    struct identity *identity, *researcher;
    struct store *store, *plain;
    struct policy_gate gate;
    struct digest job_id, model;
    struct job *job;
    struct dataset_info dataset;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    uint32_t round;
    int64_t now;
    struct chain_head head; /* of the last event: what the requester presents */
    uint8_t signature[SIGNATURE_BYTES];
    double parameters[PARAMETERS], from[PARAMETERS];
};

static const char *path_in(const struct control *control, const char *name, char ret_path[static 4352])
{
    (void)snprintf(ret_path, 4352, "%s/%s", control->folder, name);
    return ret_path;
}

static void make_rows(struct control *control)
{
    static const uint8_t split_key[32] = {1};
    static uint8_t pixels[FEATURES];
    struct dataset_writer *writer = NULL;
    struct dataset_info info = {.name = "made",
                                .kind = DATASET_BYTES,
                                .rows = ROWS,
                                .features = FEATURES,
                                .image_rows = 28,
                                .image_columns = 28,
                                .classes = CLASSES,
                                .source = "made up"};
    stopwatch_must(dataset_writer_start(control->store, &info, NULL, NULL, split_key, &writer));
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t label = row % CLASSES;
        pixels[row] = (uint8_t)row;
        stopwatch_must(dataset_writer_add(writer, pixels, &label, 1));
    }
    stopwatch_must(dataset_writer_finish(writer, NULL, &control->dataset));
    dataset_writer_free(writer);
}

/* The job of tests/bench/round.sh. */
static void make_job(struct control *control)
{
    char text[2048], own[FINGERPRINT_BYTES];
    bool is_new = false;
    struct run_record run;
    const struct policy_limits many = {10, 10, 10, 100};
    const struct job_quota quota = {.limits = &many};
    const struct approval_limits limits = {.rounds = 0};
    site_id_format(identity_id(control->identity), own);
    (void)snprintf(
        text, sizeof(text),
        "job: test\ndataset: made\nmodel: {kind: softmax-regression}\n"
        "training: {optimizer: sgd, batch_size: 1000, learning_rate: 0.01, local_epochs: 1}\n"
        "evaluation: {test_fraction: 0.01, metrics: none}\n"
        "federation: {rounds: %d, min_sites: 1, round_deadline: 20s}\nexpires: 2199-01-31T00:00:00Z\n"
        "sites:\n  - {name: site, fingerprint: \"%s\"}\n",
        REPEATS * ROUNDS_EACH, own);
    struct job_record record = {.bytes = (uint8_t *)text,
                                .byte_count = strlen(text),
                                .requester = *identity_id(control->researcher),
                                .requester_name = "researcher",
                                .received_at = control->now};
    stopwatch_must(job_parse(text, strlen(text), "the job", &control->job));
    record.expires = control->job->expires;
    stopwatch_must(digest_of(text, strlen(text), &record.id));
    control->job_id = record.id;
    stopwatch_must(store_job_add(control->store, &record, &quota, &is_new));
    stopwatch_must(
        approval_give(control->store, control->identity, &record, &limits, "owner", "", control->now));
    stopwatch_must(store_run_begin(control->store, &record.id, control->run_id, control->now, &run));
}

static void make_site(struct control *control, const char *directory)
{
    char path[4352];
    (void)snprintf(control->folder, sizeof(control->folder), "%s/control-XXXXXX", directory);
    if (mkdtemp(control->folder) == NULL)
        stopwatch_must(error_new(ERROR_IO, "No folder could be made in %s.", directory));
    control->now = clock_now_ms() / 1000;
    control->gate.output = policy_output_default();
    stopwatch_must(identity_create(path_in(control, "keys", path), "site", &control->identity));
    stopwatch_must(identity_create(path_in(control, "researcher", path), "researcher", &control->researcher));
    stopwatch_must(store_open(path_in(control, "site.db", path), STORE_CREATE, &control->store));
    store_sign_with(control->store, control->identity);
    make_rows(control);
    make_job(control);
    stopwatch_must(store_head(control->store, &control->head, control->signature));
    stopwatch_must(store_open(path_in(control, "plain.db", path), STORE_CREATE, &control->plain));
    stopwatch_must(
        database_run(control->plain->database,
                     "CREATE TABLE plain (run_id BLOB NOT NULL, round INTEGER NOT NULL, "
                     "body BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (run_id, round)) STRICT"));
    for (size_t i = 0; i < PARAMETERS; i++)
        control->parameters[i] = (double)i * 1e-6;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_site(struct control *control)
{
    store_close(control->store);
    store_close(control->plain);
    job_free(control->job);
    identity_free(control->identity);
    identity_free(control->researcher);
    (void)nftw(control->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Milliseconds on the clock and on the processor; a difference of two. */
struct moment {
    double clock, cpu;
};

static struct moment moment_now(void)
{
    struct timespec cpu;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) != 0)
        abort();
    return (struct moment){stopwatch_ms(), (double)cpu.tv_sec * 1e3 + (double)cpu.tv_nsec * 1e-6};
}

static struct moment moment_since(struct moment start)
{
    struct moment now = moment_now();
    return (struct moment){now.clock - start.clock, now.cpu - start.cpu};
}

/* ---- ours ---- */

static void present_receipt(struct control *control)
{
    bool has = false, same = false, is_open = true;
    stopwatch_must(store_has_signed(control->store, &control->head, control->signature, &has, &same));
    stopwatch_must(store_contradiction_open(control->store, &is_open));
    if (!has || !same || is_open)
        stopwatch_must(error_new(ERROR_INTERNAL, "The site lacks its own event."));
}

static void find_approval(struct control *control)
{
    struct approval approval;
    stopwatch_must(approval_find(control->store, control->identity, &control->gate, &control->job_id,
                                 identity_id(control->researcher), control->now, &approval));
    approval_clear(&approval);
}

static struct release_context context_of(const struct control *control)
{
    return (struct release_context){.store = control->store,
                                    .identity = control->identity,
                                    .gate = &control->gate,
                                    .job_id = &control->job_id,
                                    .job = control->job,
                                    .dataset = &control->dataset,
                                    .run_id = control->run_id,
                                    .round = control->round,
                                    .model_digest = &control->model,
                                    .arrived = control->head.sequence,
                                    .now = control->now};
}

static void release(struct control *control)
{
    struct release_context context = context_of(control);
    struct release_update update = {.parameters = control->parameters,
                                    .from = control->from,
                                    .count = PARAMETERS,
                                    .train_rows = ROWS - 1,
                                    .test_rows = 1,
                                    .stopped = "epochs"};
    struct release_outcome outcome;
    stopwatch_must(release_foresee(&context, ANSWER_UPDATE));
    stopwatch_must(release_update(&context, &update, &outcome));
    free(outcome.body);
}

static struct moment time_ours(struct control *control)
{
    control->round++;
    struct moment start = moment_now();
    present_receipt(control);
    find_approval(control);
    release(control);
    struct moment end = moment_since(start);
    stopwatch_must(store_head(control->store, &control->head, control->signature));
    return end;
}

/* The event is rolled back: what a commit costs is the same with and without it. */
static struct moment time_check(struct control *control)
{
    struct moment start = moment_now();
    find_approval(control);
    find_approval(control);
    stopwatch_must(database_begin(control->store->database));
    struct moment begun = moment_now();
    find_approval(control);
    stopwatch_must(store_event_add(control->store, EVENT_UPDATE_RELEASED, &control->job_id, control->run_id,
                                   control->round, control->now, "7850 coefficients, 62876 bytes",
                                   &control->model));
    struct moment written = moment_since(begun);
    database_rollback(control->store->database);
    return (struct moment){written.clock + begun.clock - start.clock, written.cpu + begun.cpu - start.cpu};
}

/* ---- the reference ---- */

static struct moment time_plain(struct control *control)
{
    struct query query;
    static uint8_t bytes[PARAMETERS * sizeof(double)];
    Fds__Update message = FDS__UPDATE__INIT;
    uint8_t *body = NULL;
    size_t count = 0;
    struct moment start = moment_now();
    wire_parameters_write(control->parameters, PARAMETERS, bytes);
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, control->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, control->run_id};
    message.round = control->round;
    message.parameters = (ProtobufCBinaryData){sizeof(bytes), bytes};
    stopwatch_must(wire_encode(&message.base, &body, &count));
    stopwatch_must(database_begin(control->plain->database));
    query_start(&query, control->plain->database, "INSERT INTO plain VALUES (?, ?, ?, ?)");
    query_bind_blob(&query, control->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, control->round);
    query_bind_blob(&query, body, count);
    query_bind_int(&query, control->now);
    stopwatch_must(query_finish(&query));
    stopwatch_must(database_commit(control->plain->database));
    struct moment took = moment_since(start);
    free(body);
    return took;
}

struct figures {
    double ours[REPEATS], plain[REPEATS], added[REPEATS];
};

static void print_figures(const char *name, struct figures *figures, size_t repeats)
{
    for (size_t i = 0; i < repeats; i++)
        figures->added[i] = figures->ours[i] - figures->plain[i];
    printf("%s %.3f %.3f %.3f\n", name, stopwatch_median(figures->ours, repeats),
           stopwatch_median(figures->plain, repeats), stopwatch_median(figures->added, repeats));
}

int main(int argc, char **argv)
{
    bool smoke = argc == 3 && strcmp(argv[1], "--smoke") == 0;
    if (argc != (smoke ? 3 : 2)) {
        (void)fprintf(stderr, "usage: bench_control [--smoke] DIR\n");
        return 2;
    }
    static struct control control;
    static struct figures on_clock, on_cpu;
    size_t repeats = smoke ? 1 : REPEATS;
    static double check_clock[REPEATS], check_cpu[REPEATS];
    make_site(&control, argv[argc - 1]);
    for (size_t i = 0; i < repeats; i++) {
        for (int j = 0; j < ROUNDS_EACH; j++) {
            struct moment ours = time_ours(&control), plain = time_plain(&control);
            struct moment check = time_check(&control);
            on_clock.ours[i] += ours.clock / ROUNDS_EACH;
            on_clock.plain[i] += plain.clock / ROUNDS_EACH;
            on_cpu.ours[i] += ours.cpu / ROUNDS_EACH;
            on_cpu.plain[i] += plain.cpu / ROUNDS_EACH;
            check_clock[i] += check.clock / ROUNDS_EACH;
            check_cpu[i] += check.cpu / ROUNDS_EACH;
        }
    }
    remove_site(&control);
    print_figures("control", &on_clock, repeats);
    print_figures("cpu", &on_cpu, repeats);
    printf("check %.3f %.3f\n", stopwatch_median(check_clock, repeats), stopwatch_median(check_cpu, repeats));
    return 0;
}
