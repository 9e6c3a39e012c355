#include "tests/unit/datasite/site.h"

#include "datasite/store_internal.h"
#include "datasite/store_secagg.h"
#include "tests/unit/datasite/wire_record.h"

#include <math.h>
#include <poll.h>

const struct dataset_info site_shape = {
    .kind = DATASET_NUMBERS, .features = SITE_FEATURES, .classes = SITE_CLASSES};

#define SITE_PATIENCE_MS 50000

static int64_t site_now_ms = (int64_t)SITE_NOW * 1000;

int64_t site_clock(void)
{
    return site_now_ms;
}

void site_move_clock(int64_t unix_seconds)
{
    site_now_ms = unix_seconds * 1000;
}

/* Rows whose class follows from their values, so that training has something to find. */
static void site_import(struct store *store, uint64_t all, uint64_t changed)
{
    static const uint8_t split_key[32] = {3, 1, 4};
    static const char *const classes[] = {"a", "b", "c"};
    static const char *const columns[] = {"w", "x", "y", "z"};
    struct dataset_info info = {.kind = DATASET_NUMBERS,
                                .rows = all,
                                .features = SITE_FEATURES,
                                .classes = SITE_CLASSES,
                                .imported_at = SITE_NOW};
    double rows[STORE_CHUNK_ROWS * SITE_FEATURES];
    uint32_t labels[STORE_CHUNK_ROWS];
    struct dataset_writer *writer = NULL;
    (void)snprintf(info.name, sizeof(info.name), "made");
    (void)snprintf(info.source, sizeof(info.source), "made for tests");
    must(dataset_writer_start(store, &info, classes, columns, split_key, &writer));
    for (size_t first = 0; first < all; first += STORE_CHUNK_ROWS) {
        size_t count = all - first < STORE_CHUNK_ROWS ? all - first : STORE_CHUNK_ROWS;
        for (size_t i = 0; i < count * SITE_FEATURES; i++)
            rows[i] = sin((double)(first * SITE_FEATURES + i) * 1.7);
        for (size_t i = 0; i < count; i++)
            labels[i] = rows[i * SITE_FEATURES] > 0.3 ? 0 : rows[i * SITE_FEATURES + 1] > 0 ? 1 : 2;
        if (changed >= first && changed < first + count)
            rows[(changed - first) * SITE_FEATURES] += 0x1p-40;
        must(dataset_writer_add(writer, rows, labels, count));
    }
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
}

void site_reimport(struct site *site, uint64_t rows, uint64_t changed)
{
    must(store_dataset_remove(site->store, "made"));
    site_import(site->store, rows, changed);
}

void site_resume(struct site *site)
{
    struct executor_options options = {.database_path = site->workspace->database,
                                       .identity = site->identity,
                                       .policy = &site->policy,
                                       .threads = 2,
                                       .clock = site_clock};
    uint32_t killed = 0;
    site->store = workspace_store(site->workspace);
    if (site->keys[0] != '\0') { /* as the daemon does when it starts */
        options.keys_path = site->keys;
        must(store_secagg_check_count(site->store, site->keys, SITE_NOW, &killed));
    }
    must(executor_open(&options, &site->executor));
    must(secagg_cache_open(&site->secagg));
    site->requests = (struct requests){site->store, site->identity, &site->policy, site->executor, &site->log,
                                       NULL,        site_clock,     NULL,          site->secagg,   NULL};
}

void site_pause(struct site *site)
{
    executor_close(site->executor);
    secagg_cache_close(site->secagg);
    store_close(site->store);
    site->executor = NULL;
    site->store = NULL;
}

int site_make(void **state)
{
    struct site *site = calloc(1, sizeof(*site));
    void *workspace = NULL;
    if (site == NULL || workspace_make(&workspace) != 0)
        return -1;
    site->workspace = workspace;
    site_move_clock(SITE_NOW);
    site->identity = site->workspace->identity;
    site->policy = (struct policy){.limits = {16, 1000, 1000, 100000}};
    site->policy.gate.output = policy_output_default();
    site->policy.gate.output.min_cell = 0;
    site->policy.gate.output.max_update_bytes = 1 << 20;
    site->researcher.digest.bytes[0] = 0x42;
    site->run[0] = 1;
    struct store *store = workspace_store(site->workspace);
    site_import(store, SITE_ROWS, SITE_ROWS);
    store_close(store);
    site_resume(site);
    *state = site;
    return 0;
}

int site_remove(void **state)
{
    struct site *site = *state;
    void *workspace = site->workspace;
    site_pause(site);
    free(site);
    return workspace_remove(&workspace);
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text == NULL ? otherwise : text;
}

void site_job(const struct site *site, const struct job_words *words, char ret_text[static SITE_JOB_BYTES])
{
    char own[FINGERPRINT_BYTES];
    site_id_format(identity_id(site->identity), own);
    int length =
        snprintf(ret_text, SITE_JOB_BYTES,
                 "job: %s\ndataset: %s\nmodel: {kind: softmax-regression}\ntraining: %s\n"
                 "evaluation: {test_fraction: %s, metrics: %s}\n"
                 "federation: {rounds: %u, min_sites: 1, round_deadline: %s, weighting: %s}\nexpires: %s\n"
                 "sites:\n  - {name: site, fingerprint: \"%s\"}\n",
                 or_else(words->name, "try"), or_else(words->dataset, "made"),
                 or_else(words->training, "{optimizer: lbfgs, local_iterations: 5}"),
                 or_else(words->test_fraction, "0.5"), or_else(words->metrics, "per-site"),
                 words->rounds == 0 ? 3 : words->rounds, or_else(words->deadline, "60s"),
                 or_else(words->weighting, "examples"), or_else(words->expires, "2027-01-31T00:00:00Z"),
                 or_else(words->fingerprint, own));
    assert_true(length > 0 && length < SITE_JOB_BYTES);
}

struct reply site_wait(struct site *site)
{
    struct executor_report report;
    struct reply reply = {.type = 0};
    struct pollfd ready = {.fd = executor_fd(site->executor), .events = POLLIN};
    for (;;) {
        while (executor_next(site->executor, &report)) {
            bool done = report.kind == EXECUTOR_DONE;
            if (done)
                requests_finish(&site->requests, &report, &reply);
            executor_report_clear(&report);
            if (done)
                return reply;
        }
        assert_int_equal(poll(&ready, 1, SITE_PATIENCE_MS), 1);
        executor_drain(site->executor);
    }
}

/* What goes into a request; NULL when nothing is presented. */
static Fds__Witness *site_witness(struct site *site, Fds__Witness *witness)
{
    receipt_witness(&site->receipt, witness);
    return site->presents ? witness : NULL;
}

static struct reply site_say(struct site *site, const struct site_id *peer, bool listed, uint32_t type,
                             const ProtobufCMessage *message)
{
    uint8_t *body = NULL;
    size_t bytes = 0;
    struct reply reply;
    must(wire_encode(message, &body, &bytes));
    struct request request = {.peer = *peer,
                              .peer_name = "researcher",
                              .listed = listed,
                              .type = type,
                              .number = ++site->number,
                              .body = body,
                              .body_bytes = bytes};
    requests_answer(&site->requests, &request, &reply);
    free(body);
    return reply;
}

struct reply site_ask(struct site *site, const struct site_id *peer, bool listed, uint32_t type,
                      const ProtobufCMessage *message)
{
    struct reply reply = site_say(site, peer, listed, type, message);
    if (reply.later)
        reply = site_wait(site);
    wire_record_note(identity_id(site->identity), type, message, &reply);
    return reply;
}

struct reply site_submit(struct site *site, const char *text)
{
    Fds__Submit message = FDS__SUBMIT__INIT;
    Fds__Witness witness;
    must(digest_of(text, strlen(text), &site->job_id));
    message.witness = site_witness(site, &witness);
    message.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
    return site_ask(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &message.base);
}

struct reply site_query(struct site *site, const struct site_id *peer)
{
    Fds__JobQuery message = FDS__JOB_QUERY__INIT;
    Fds__Witness witness;
    message.witness = site_witness(site, &witness);
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, site->job_id.bytes};
    return site_ask(site, peer, true, FDS__MESSAGE_TYPE__MESSAGE_QUERY, &message.base);
}

struct reply site_train_start(struct site *site, uint32_t round, const double *parameters, size_t count)
{
    Fds__Train message = FDS__TRAIN__INIT;
    Fds__Witness witness;
    uint8_t *bytes = malloc(count * sizeof(double) + 1);
    assert_non_null(bytes);
    wire_parameters_write(parameters, count, bytes);
    message.witness = site_witness(site, &witness);
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, site->run};
    message.round = round;
    message.parameters = (ProtobufCBinaryData){count * sizeof(double), bytes};
    struct reply reply =
        site_say(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_TRAIN, &message.base);
    free(bytes);
    return reply;
}

static void site_model(double value, double ret_parameters[static SITE_PARAMETERS])
{
    for (size_t i = 0; i < SITE_PARAMETERS; i++)
        ret_parameters[i] = value;
}

struct reply site_train(struct site *site, uint32_t round, double value)
{
    double parameters[SITE_PARAMETERS];
    site_model(value, parameters);
    struct reply reply = site_train_start(site, round, parameters, SITE_PARAMETERS);
    return reply.later ? site_wait(site) : reply;
}

struct reply site_evaluate(struct site *site, uint32_t round, double value)
{
    Fds__Evaluate message = FDS__EVALUATE__INIT;
    Fds__Witness witness;
    double parameters[SITE_PARAMETERS];
    uint8_t bytes[SITE_PARAMETERS * sizeof(double)];
    site_model(value, parameters);
    wire_parameters_write(parameters, SITE_PARAMETERS, bytes);
    message.witness = site_witness(site, &witness);
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, site->run};
    message.round = round;
    message.parameters = (ProtobufCBinaryData){sizeof(bytes), bytes};
    return site_ask(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_EVALUATE, &message.base);
}

struct reply site_end_run(struct site *site, const char *status)
{
    Fds__EndRun message = FDS__END_RUN__INIT;
    Fds__Witness witness;
    char word[32];
    (void)snprintf(word, sizeof(word), "%s", status);
    message.witness = site_witness(site, &witness);
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, site->run};
    message.status = word;
    return site_ask(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_END_RUN, &message.base);
}

void site_approve(struct site *site, uint32_t rounds, uint32_t runs, int64_t expires)
{
    struct job_record record = {.bytes = NULL};
    struct approval_limits limits = {.rounds = rounds, .runs = runs, .expires = expires};
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &limits, "owner", "", site_clock() / 1000));
    job_record_clear(&record);
}

void site_withhold(struct site *site, enum decision_kind kind)
{
    struct job_record record = {.bytes = NULL};
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_withhold(site->store, site->identity, &record, kind, "owner", "", site_clock() / 1000));
    job_record_clear(&record);
}

void site_approved(struct site *site, const struct job_words *words, uint32_t rounds, uint32_t runs)
{
    char text[SITE_JOB_BYTES];
    site_job(site, words, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    site_approve(site, rounds, runs, 0);
}

static void site_fail_with(const struct reply *reply)
{
    Fds__Refusal *refusal = NULL;
    if (reply->type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL &&
        wire_refusal_decode(reply->body, reply->body_bytes, &refusal) == NULL)
        fail_msg("refused: %s", refusal->sentence);
    fail_msg("a reply of type %u", reply->type);
}

static Fds__Released *site_released_message(const struct reply *reply)
{
    Fds__Released *released = NULL;
    if (reply->type != FDS__MESSAGE_TYPE__MESSAGE_RELEASED)
        site_fail_with(reply);
    must(wire_released_decode(reply->body, reply->body_bytes, &released));
    return released;
}

void site_expect_type(struct reply reply, uint32_t type)
{
    if (reply.type == FDS__MESSAGE_TYPE__MESSAGE_RELEASED) {
        Fds__Released *released = site_released_message(&reply);
        assert_int_equal(released->type, type);
        wire_released_free(released);
    } else if (reply.type != type) {
        site_fail_with(&reply);
    }
    requests_reply_clear(&reply);
}

struct receipt site_receipt(struct reply reply)
{
    struct receipt receipt;
    Fds__Released *released = site_released_message(&reply);
    must(receipt_take(released->receipt, &receipt));
    wire_released_free(released);
    requests_reply_clear(&reply);
    return receipt;
}

static enum receipt_kind site_receipt_kind(uint32_t type)
{
    if (type == FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT)
        return RECEIPT_MASKED_INPUT;
    return type == FDS__MESSAGE_TYPE__MESSAGE_UPDATE ? RECEIPT_UPDATE : RECEIPT_EVALUATION;
}

struct reply site_opened(const struct site *site, struct reply reply)
{
    struct receipt receipt;
    Fds__Released *released = site_released_message(&reply);
    struct reply opened = {.type = released->type, .body_bytes = released->body.len};
    must(receipt_take(released->receipt, &receipt));
    must(receipt_verify_release(&receipt, identity_id(site->identity), &site->job_id, site->run,
                                receipt.round, site_receipt_kind(released->type), released->body.data,
                                released->body.len));
    opened.body = malloc(released->body.len);
    assert_non_null(opened.body);
    memcpy(opened.body, released->body.data, released->body.len);
    wire_released_free(released);
    requests_reply_clear(&reply);
    return opened;
}

void site_expect_state(struct reply reply, Fds__JobState state)
{
    Fds__JobStatus *status = NULL;
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS)
        site_fail_with(&reply);
    must(wire_job_status_decode(reply.body, reply.body_bytes, &status));
    assert_int_equal(status->state, state);
    assert_true(status->sentence[0] != '\0');
    assert_int_equal(status->owner_command[0] != '\0', state == FDS__JOB_STATE__JOB_PENDING);
    wire_job_status_free(status);
    requests_reply_clear(&reply);
}

void site_expect_refusal(struct reply reply, enum error_code code, const char *words)
{
    Fds__Refusal *refusal = NULL;
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_REFUSAL)
        fail_msg("not refused, but a reply of type %u", reply.type);
    must(wire_refusal_decode(reply.body, reply.body_bytes, &refusal));
    refused(wire_refusal_error(refusal), code, words);
    wire_refusal_free(refusal);
    requests_reply_clear(&reply);
}

void site_expect_same(struct reply a, struct reply b)
{
    assert_int_equal(a.type, b.type);
    assert_int_equal(a.body_bytes, b.body_bytes);
    assert_memory_equal(a.body, b.body, a.body_bytes);
    requests_reply_clear(&a);
    requests_reply_clear(&b);
}

int64_t site_count(struct site *site, const char *sql)
{
    struct query query;
    query_start(&query, site->store->database, sql);
    assert_true(query_step(&query));
    int64_t value = query_int(&query, 0);
    must(query_end(&query));
    return value;
}

void site_sql(struct site *site, const char *sql)
{
    must(database_run(site->store->database, sql));
    assert_true(database_changes(site->store->database) > 0);
}

int64_t site_released(struct site *site)
{
    return site_count(site,
                      "SELECT (SELECT count(*) FROM answer) + (SELECT count(*) FROM event WHERE kind IN "
                      "('update-released', 'evaluation-released', 'input-released'))");
}
