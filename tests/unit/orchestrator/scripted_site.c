#include "tests/unit/orchestrator/scripted_site.h"

#include "audit/receipt.h"
#include "schemas/clock.h"
#include "schemas/wire.h"
#include "tests/unit/cmocka_all.h"
#include "transport/session.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct scripted_site {
    struct script script;
    int put_off; /* MockQuery, as busy */
    int stopped; /* times in a row that it said so */
    struct scripted_log log;
    uint64_t sequence; /* of the next receipt */
    struct identity *identity;
    struct identity *other; /* of nobody who takes part */
    struct secure_site *secure;
    int asked[FDS__MESSAGE_TYPE__MESSAGE_SUM + 1]; /* requests of each type */
    struct session_event waiting; /* a Mask that waits for the keys of a further batch; body NULL: none */
    struct session_options options;
    char name[32], sockets[512], listen[64];
    struct site_id orchestrator;
    int64_t back_at; /* monotonic ms, when it is away */
    struct session *session;
    char endpoint[64];
    char fingerprint[FINGERPRINT_BYTES];
    pthread_t thread;
    atomic_bool stop;
    bool joined;
};

static void need(struct error *err)
{
    if (err != NULL)
        fail_msg("%s", err->sentence);
}

/* In the site's thread a failure of the set-up cannot end the test, but a request without an answer will. */
static void answer(struct scripted_site *site, const struct session_event *event, uint32_t type,
                   const ProtobufCMessage *message)
{
    uint8_t *body = NULL;
    size_t count = 0;
    struct error *err = wire_encode(message, &body, &count);
    if (err == NULL)
        err = session_answer(site->session, &event->peer, event->number, type, body, count);
    error_free(err);
    free(body);
}

static void sign_receipt(struct scripted_site *site, enum scripted_answer how, struct receipt *receipt)
{
    const struct identity *identity = how == SCRIPTED_RECEIPT_OTHER_KEY ? site->other : site->identity;
    if (how == SCRIPTED_RECEIPT_FORKED || how == SCRIPTED_RECEIPT_SAME_EVENT)
        site->sequence--;
    if (how == SCRIPTED_RECEIPT_OLDER)
        site->sequence -= 2;
    receipt->sequence = site->sequence++;
    (void)memset(receipt->head.bytes, (int)(receipt->sequence % 256), DIGEST_BYTES);
    if (how == SCRIPTED_RECEIPT_FORKED)
        receipt->head.bytes[0] ^= 0xff;
    if (how == SCRIPTED_RECEIPT_OTHER_ROUND)
        receipt->round--;
    if (how == SCRIPTED_RECEIPT_OTHER_RUN)
        receipt->run_id[0] ^= 1;
    struct chain_head head = {*identity_id(identity), receipt->sequence, receipt->head};
    need(chain_head_sign(identity, &head, receipt->head_signature));
    need(receipt_sign(identity, receipt));
    if (how == SCRIPTED_RECEIPT_CHANGED)
        receipt->approval.bytes[0] ^= 1;
    site->log.last_sequence = receipt->sequence;
}

/* What leaves a site: the message, and the receipt of its bytes; spoiled where the script says so. */
static void release_body(struct scripted_site *site, const struct session_event *event, uint32_t type,
                         const ProtobufCMessage *message, uint8_t *body, size_t count,
                         const Fds__Train *about, enum scripted_answer how)
{
    struct receipt receipt = {.round = about->round,
                              .kind = type == FDS__MESSAGE_TYPE__MESSAGE_UPDATE         ? RECEIPT_UPDATE
                                      : type == FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT ? RECEIPT_MASKED_INPUT
                                                                                        : RECEIPT_EVALUATION,
                              .protections = "min-rows 1",
                              .at = 1800000000};
    Fds__Released released = FDS__RELEASED__INIT;
    Fds__Receipt *said = NULL;
    uint8_t *encoded = NULL;
    size_t encoded_count = 0;
    need(digest_of(body, count, &receipt.digest));
    receipt.body_bytes = count;
    memcpy(receipt.job_id.bytes, about->job_id.data, DIGEST_BYTES);
    memcpy(receipt.run_id, about->run_id.data, RECEIPT_RUN_ID_BYTES);
    (void)memset(receipt.approval.bytes, 0xa9, DIGEST_BYTES);
    if (how == SCRIPTED_RECEIPT_OTHER_BYTES)
        receipt.digest.bytes[31] ^= 1;
    sign_receipt(site, how, &receipt);
    need(receipt_encode(&receipt, &encoded, &encoded_count));
    need(wire_receipt_decode(encoded, encoded_count, &said));
    released.type = (Fds__MessageType)type;
    released.body = (ProtobufCBinaryData){.len = count, .data = body};
    released.receipt = how == SCRIPTED_EMPTY_RECEIPT ? NULL : said;
    if (how == SCRIPTED_WITHOUT_RECEIPT)
        answer(site, event, type, message);
    else
        answer(site, event, FDS__MESSAGE_TYPE__MESSAGE_RELEASED, &released.base);
    wire_receipt_free(said);
    free(encoded);
}

static void release(struct scripted_site *site, const struct session_event *event, uint32_t type,
                    const ProtobufCMessage *message, const Fds__Train *about, enum scripted_answer how)
{
    uint8_t *body = NULL;
    size_t count = 0;
    need(wire_encode(message, &body, &count));
    release_body(site, event, type, message, body, count, about, how);
    free(body);
}

static uint64_t witnessed(const Fds__Witness *witness)
{
    return witness == NULL ? 0 : witness->sequence;
}

static void refuse_with(struct scripted_site *site, const struct session_event *event, enum error_code code,
                        uint32_t position)
{
    uint8_t *body = NULL;
    size_t count = 0;
    struct error *no = error_blame(error_new(code, "The script says no."), position);
    struct error *err = wire_refusal_encode(no, &body, &count);
    if (err == NULL)
        err = session_answer(site->session, &event->peer, event->number, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL,
                             body, count);
    error_free(err);
    error_free(no);
    free(body);
}

static void refuse(struct scripted_site *site, const struct session_event *event, enum error_code code)
{
    refuse_with(site, event, code, 0);
}

static void job_status(struct scripted_site *site, const struct session_event *event, const uint8_t *job_id)
{
    static char waits[] = "Its owner has to decide.";
    static char command[] = "datasite approve 1f2e3d4c5b6a";
    static char denied[] = "Denied by the owner: not for us.";
    struct script *script = &site->script;
    Fds__JobStatus status = FDS__JOB_STATUS__INIT;
    uint8_t id[WIRE_JOB_ID_BYTES];
    memcpy(id, job_id, sizeof id);
    status.job_id = (ProtobufCBinaryData){.len = sizeof id, .data = id};
    if (script->pending > 0) {
        script->pending--;
        status.state = FDS__JOB_STATE__JOB_PENDING;
        status.sentence = waits;
        status.owner_command = command;
    } else if (script->deny) {
        status.state = FDS__JOB_STATE__JOB_DENIED;
        status.sentence = denied;
    } else {
        status.state = script->cut_off ? FDS__JOB_STATE__JOB_RUNNING : FDS__JOB_STATE__JOB_APPROVED;
        status.features = script->features == 0 ? SCRIPTED_FEATURES : script->features;
        status.classes = SCRIPTED_CLASSES;
        status.image_rows = script->image_rows;
        status.image_columns = script->image_columns;
        status.rounds_left = SCRIPTED_ROUNDS;
        status.runs_left = script->cut_off ? 0 : 1;
    }
    answer(site, event, FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS, &status.base);
}

static void on_submit(struct scripted_site *site, const struct session_event *event)
{
    Fds__Submit *submit = NULL;
    struct digest id;
    struct error *err = wire_submit_decode(event->body, event->body_bytes, &submit);
    if (err == NULL)
        err = digest_of(submit->job.data, submit->job.len, &id);
    if (err == NULL)
        err = secure_site_job(site->secure, submit->job.data, submit->job.len);
    if (err == NULL) {
        site->log.submit_witness = witnessed(submit->witness);
        job_status(site, event, id.bytes);
    }
    error_free(err);
    wire_submit_free(submit);
    site->log.submits++;
}

static void on_query(struct scripted_site *site, const struct session_event *event)
{
    Fds__JobQuery *query = NULL;
    struct error *err = wire_job_query_decode(event->body, event->body_bytes, &query);
    if (err == NULL) {
        site->log.query_witness = witnessed(query->witness);
        job_status(site, event, query->job_id.data);
    }
    error_free(err);
    wire_job_query_free(query);
    site->log.queries++;
}

static size_t parameters_of(const struct scripted_site *site)
{
    return site->script.parameters == 0 ? SCRIPTED_PARAMETERS : site->script.parameters;
}

/* Nothing but what a private job lets out, and what the script spoils of that. */
static void make_private(const struct scripted_site *site, Fds__Update *message)
{
    enum scripted_private how = site->script.private;
    if (how == PRIVATE_NOT || how == PRIVATE_COUNTS_IN_CLEAR || how == PRIVATE_COUNTS_ALONE)
        return;
    if (how != PRIVATE_METRICS)
        message->metrics = NULL;
    if (how != PRIVATE_SECONDS)
        message->seconds = 0;
    if (how == PRIVATE_OTHER_EXAMPLES)
        message->examples++;
    if (how == PRIVATE_NO_EXAMPLES)
        message->examples = WIRE_WITHHELD;
}

/* A good update, spoiled in the one place that the script names. */
static void update(struct scripted_site *site, const struct session_event *event, const Fds__Train *train,
                   enum scripted_answer how)
{
    Fds__Update message = FDS__UPDATE__INIT;
    Fds__Metrics metrics = FDS__METRICS__INIT;
    uint64_t confusion[SCRIPTED_CLASSES * SCRIPTED_CLASSES + 5] = {40, 10, 20, 30};
    double values[SCRIPTED_PARAMETERS];
    uint8_t bytes[8 * SCRIPTED_PARAMETERS];
    uint8_t other[WIRE_JOB_ID_BYTES] = {0};
    size_t parameters = parameters_of(site);
    wire_parameters_read(train->parameters.data, parameters, values);
    if (site->log.trains == 1 && parameters == SCRIPTED_PARAMETERS)
        memcpy(site->log.first_model, values, sizeof values);
    for (size_t i = 0; i < parameters; i++)
        values[i] += site->script.step;
    if (how == SCRIPTED_NOT_FINITE)
        values[3] = NAN;
    if (how == SCRIPTED_HUGE)
        values[3] = 1e308;
    wire_parameters_write(values, parameters, bytes);
    message.job_id = train->job_id;
    message.run_id = train->run_id;
    message.round = train->round;
    if (how == SCRIPTED_OTHER_JOB)
        message.job_id.data = other;
    if (how == SCRIPTED_OTHER_RUN)
        message.run_id.data = other;
    if (how == SCRIPTED_OTHER_ROUND)
        message.round++;
    message.parameters = (ProtobufCBinaryData){.len = 8 * parameters, .data = bytes};
    if (how == SCRIPTED_WRONG_SHAPE)
        message.parameters.len -= 8 * SCRIPTED_CLASSES;
    message.examples = site->script.examples == 0 ? 100 : site->script.examples;
    message.seconds = 0.25;
    metrics.train_accuracy = 0.75;
    metrics.confusion = confusion;
    metrics.n_confusion = how == SCRIPTED_WRONG_CONFUSION ? 9 : SCRIPTED_CLASSES * SCRIPTED_CLASSES;
    metrics.test_rows = confusion[0] + confusion[1] + confusion[2] + confusion[3];
    metrics.correct = confusion[0] + confusion[3];
    if (site->script.withholds) {
        confusion[0] = confusion[1] = metrics.correct = WIRE_WITHHELD;
        metrics.train_accuracy = WIRE_WITHHELD_REAL;
    }
    if (site->script.withholds_examples)
        message.examples = WIRE_WITHHELD;
    message.metrics = &metrics;
    make_private(site, &message);
    Fds__Train about = *train;
    release(site, event,
            how == SCRIPTED_RELEASE_OTHER_KIND ? FDS__MESSAGE_TYPE__MESSAGE_EVALUATION
                                               : FDS__MESSAGE_TYPE__MESSAGE_UPDATE,
            &message.base, &about, how);
}

static void garbage(struct scripted_site *site, const struct session_event *event)
{
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0x01};
    struct error *err = session_answer(site->session, &event->peer, event->number,
                                       FDS__MESSAGE_TYPE__MESSAGE_RELEASED, bytes, sizeof bytes);
    error_free(err);
}

static void on_train(struct scripted_site *site, const struct session_event *event)
{
    Fds__Train *train = NULL;
    if (site->script.busy > 0) {
        site->script.busy--;
        refuse(site, event, ERROR_BUSY);
        return;
    }
    if (site->script.held > 0) {
        site->script.held--;
        refuse(site, event, ERROR_HELD);
        return;
    }
    if (site->script.held_refused) {
        refuse(site, event, ERROR_REFUSED);
        return;
    }
    site->log.trains++;
    struct error *err = wire_train_decode(event->body, event->body_bytes, &train);
    if (err != NULL || train->round > SCRIPTED_ROUNDS) {
        error_free(err);
        wire_train_free(train);
        return;
    }
    enum scripted_answer how = site->script.rounds[train->round];
    site->log.train_witness = witnessed(train->witness);
    switch (how) {
    case SCRIPTED_REFUSAL:
        refuse(site, event, ERROR_REFUSED);
        break;
    case SCRIPTED_UNAVAILABLE:
        refuse(site, event, ERROR_UNAVAILABLE);
        break;
    case SCRIPTED_SILENCE:
        break;
    case SCRIPTED_DROP:
        session_close(site->session);
        site->session = NULL;
        break;
    case SCRIPTED_WRONG_KIND:
        job_status(site, event, train->job_id.data);
        break;
    case SCRIPTED_GARBAGE:
        garbage(site, event);
        break;
    case SCRIPTED_WELL:
    case SCRIPTED_WRONG_SHAPE:
    case SCRIPTED_NOT_FINITE:
    case SCRIPTED_HUGE:
    case SCRIPTED_OTHER_JOB:
    case SCRIPTED_OTHER_RUN:
    case SCRIPTED_OTHER_ROUND:
    case SCRIPTED_WRONG_CONFUSION:
    case SCRIPTED_WITHOUT_RECEIPT:
    case SCRIPTED_EMPTY_RECEIPT:
    case SCRIPTED_RECEIPT_OTHER_ROUND:
    case SCRIPTED_RECEIPT_OTHER_BYTES:
    case SCRIPTED_RECEIPT_OTHER_RUN:
    case SCRIPTED_RECEIPT_OTHER_KEY:
    case SCRIPTED_RECEIPT_CHANGED:
    case SCRIPTED_RECEIPT_FORKED:
    case SCRIPTED_RECEIPT_SAME_EVENT:
    case SCRIPTED_RECEIPT_OLDER:
    case SCRIPTED_RELEASE_OTHER_KIND:
        update(site, event, train, how);
        break;
    }
    wire_train_free(train);
}

#define NOISED_MOST (3 * SCRIPTED_CLASSES * SCRIPTED_CLASSES)

/* Counts 4.5, 0.5, -1.5, 3.5 and so on. */
static void make_noised(const struct scripted_site *site, double noised[static NOISED_MOST],
                        Fds__Evaluation *message)
{
    static const double counts[NOISED_MOST] = {4.5, 0.5, -1.5, 3.5};
    enum scripted_private how = site->script.private;
    if (how == PRIVATE_NOT || how == PRIVATE_EXACT_ALONE)
        return;
    memcpy(noised, counts, sizeof counts);
    message->noised = noised;
    message->n_noised = 4;
    if (how == PRIVATE_NO_COUNTS)
        message->n_noised = 0;
    if (how == PRIVATE_TOO_FEW_COUNTS)
        message->n_noised = 1;
    if (how == PRIVATE_TOO_MANY_COUNTS)
        message->n_noised = 9;
    if (how == PRIVATE_NOT_A_NUMBER)
        noised[2] = NAN;
    if (how == PRIVATE_INFINITE)
        noised[2] = INFINITY;
    if (how == PRIVATE_HUGE)
        noised[2] = -1e300;
    if (how == PRIVATE_COUNTS_IN_CLEAR)
        return;
    if (how != PRIVATE_EXACT_COUNTS)
        message->n_confusion = 0;
    if (how != PRIVATE_EXACT_ROWS)
        message->test_rows = WIRE_WITHHELD;
    if (how != PRIVATE_EXACT_CORRECT)
        message->correct = WIRE_WITHHELD;
}

static void on_evaluate(struct scripted_site *site, const struct session_event *event)
{
    Fds__Evaluate *evaluate = NULL;
    Fds__Evaluation message = FDS__EVALUATION__INIT;
    uint64_t confusion[] = {4, 1, 2, 3};
    double noised[NOISED_MOST];
    site->log.evaluates++;
    if (site->script.silent_evaluate)
        return;
    if (site->script.held_evaluate > 0) {
        site->script.held_evaluate--;
        refuse(site, event, ERROR_HELD);
        return;
    }
    struct error *err = wire_evaluate_decode(event->body, event->body_bytes, &evaluate);
    if (err == NULL) {
        message.job_id = evaluate->job_id;
        message.run_id = evaluate->run_id;
        message.round = evaluate->round;
        message.confusion = confusion;
        message.n_confusion = 4;
        message.test_rows = 10;
        message.correct = 7;
        if (site->script.withholds)
            confusion[0] = confusion[1] = message.correct = WIRE_WITHHELD;
        if (site->script.sums_wrong)
            message.test_rows = 11;
        make_noised(site, noised, &message);
        site->log.evaluate_witness = witnessed(evaluate->witness);
        if (site->log.evaluates <= SCRIPTED_ROUNDS)
            site->log.evaluated[site->log.evaluates - 1] = evaluate->round;
        Fds__Train about = FDS__TRAIN__INIT;
        about.job_id = evaluate->job_id;
        about.run_id = evaluate->run_id;
        about.round = evaluate->round;
        release(site, event, FDS__MESSAGE_TYPE__MESSAGE_EVALUATION, &message.base, &about,
                site->script.bad_evaluate ? SCRIPTED_RECEIPT_OTHER_BYTES : SCRIPTED_WELL);
    }
    error_free(err);
    wire_evaluate_free(evaluate);
}

static void on_end(struct scripted_site *site, const struct session_event *event)
{
    Fds__EndRun *end = NULL;
    struct error *err = wire_end_run_decode(event->body, event->body_bytes, &end);
    if (err == NULL) {
        site->log.ends++;
        site->log.end_witness = witnessed(end->witness);
        (void)snprintf(site->log.end_status, sizeof site->log.end_status, "%s", end->status);
        job_status(site, event, end->job_id.data);
    }
    error_free(err);
    wire_end_run_free(end);
}

static void on_catalog_query(struct scripted_site *site, const struct session_event *event)
{
    uint8_t *body = NULL;
    size_t count = 0;
    if (site->script.data == SCRIPTED_DATA_UNKNOWN) {
        refuse(site, event, ERROR_UNSUPPORTED);
        return;
    }
    struct error *err = scripted_data_catalog(site->script.data, &body, &count);
    if (err == NULL)
        err = session_answer(site->session, &event->peer, event->number, FDS__MESSAGE_TYPE__MESSAGE_CATALOG,
                             body, count);
    error_free(err);
    free(body);
}

static void on_mock_query(struct scripted_site *site, const struct session_event *event)
{
    Fds__MockQuery *query = NULL;
    uint8_t *body = NULL;
    size_t count = 0;
    if (site->script.data == SCRIPTED_DATA_REFUSED ||
        (site->script.data == SCRIPTED_DATA_BUSY && site->put_off++ < 2)) {
        refuse(site, event, site->script.data == SCRIPTED_DATA_BUSY ? ERROR_BUSY : ERROR_REFUSED);
        return;
    }
    struct error *err = wire_mock_query_decode(event->body, event->body_bytes, &query);
    if (err == NULL)
        err = scripted_data_mock(site->script.data, query->first_row, &body, &count);
    if (err == NULL)
        err = session_answer(site->session, &event->peer, event->number, FDS__MESSAGE_TYPE__MESSAGE_MOCK,
                             body, count);
    error_free(err);
    wire_mock_query_free(query);
    free(body);
}

/* ---- secure aggregation ---- */

static void go_away(struct scripted_site *site, int ms)
{
    session_close(site->session);
    site->session = NULL;
    site->back_at = ms == 0 ? 0 : clock_monotonic_ms() + ms;
}

static void come_back(struct scripted_site *site)
{
    struct session_options options = site->options;
    options.trust = (struct session_trust){.listed = &site->orchestrator, .listed_count = 1};
    options.listen = site->listen;
    options.directory = site->sockets;
    site->back_at = 0;
    struct error *err = session_open(&options, &site->session);
    error_free(err);
}

static void release_input(struct scripted_site *site, const struct session_event *event, uint8_t *body,
                          size_t count)
{
    Fds__Mask *mask = NULL;
    Fds__Train about = FDS__TRAIN__INIT;
    need(wire_mask_decode(event->body, event->body_bytes, &mask));
    about.job_id = mask->job_id;
    about.run_id = mask->run_id;
    about.round = mask->round;
    release_body(site, event, FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT, NULL, body, count, &about,
                 SCRIPTED_WELL);
    wire_mask_free(mask);
}

static struct secure_fault next_fault(struct scripted_site *site, uint32_t type)
{
    int nth = ++site->asked[type];
    for (size_t i = 0; i < SECURE_FAULTS; i++)
        if (site->script.faults[i].type == type && site->script.faults[i].nth == nth)
            return site->script.faults[i];
    return (struct secure_fault){0};
}

static void do_step(struct scripted_site *site, const struct session_event *event,
                    const struct secure_fault *fault)
{
    uint8_t *body = NULL;
    size_t count = 0;
    uint32_t type = 0;
    struct error *err =
        secure_site_answer(site->secure, event->type, event->body, event->body_bytes,
                           fault->how == SECURE_SPOILED ? fault->spoil : SECURE_GOOD, &type, &body, &count);
    if (err == NULL && fault->change != NULL)
        changed_answer(type, fault->change, site->identity, &body, &count);
    if (err != NULL)
        refuse_with(site, event, err->code, err->position);
    else if (fault->how == SECURE_LOST)
        go_away(site, fault->ms);
    else if (type == FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT)
        release_input(site, event, body, count);
    else
        err = session_answer(site->session, &event->peer, event->number, type, body, count);
    error_free(err);
    free(body);
}

static void answer_secure(struct scripted_site *site, const struct session_event *event)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct secure_fault fault = next_fault(site, event->type);
    switch (fault.how) {
    case SECURE_SILENT:
        return;
    case SECURE_GONE:
    case SECURE_AWAY:
        go_away(site, fault.ms);
        return;
    case SECURE_REFUSED:
        refuse(site, event, ERROR_REFUSED);
        return;
    case SECURE_ACCUSED:
        refuse_with(site, event, ERROR_UNTRUSTED, secure_site_other(site->secure));
        return;
    case SECURE_SLOW:
        for (int i = 0; i < fault.ms; i++)
            (void)nanosleep(&pause, NULL);
        break;
    case SECURE_WELL:
    case SECURE_LOST:
    case SECURE_SPOILED:
        break;
    }
    do_step(site, event, &fault);
}

static void meet(struct scripted_site *site, uint32_t type)
{
    struct script_meeting *meeting = site->script.meeting;
    const struct timespec pause = {.tv_nsec = 1000000};
    if (meeting == NULL)
        return;
    int all = meeting->sites * (site->asked[type] + 1);
    int64_t until = clock_monotonic_ms() + MEETING_MS;
    (void)atomic_fetch_add(&meeting->asked[type], 1);
    while (atomic_load(&meeting->asked[type]) < all && clock_monotonic_ms() < until)
        (void)nanosleep(&pause, NULL);
    if (atomic_load(&meeting->asked[type]) < all)
        (void)atomic_fetch_add(&meeting->missed, 1);
}

/* The next Mask cannot be answered yet. */
static bool lacks_next_batch(const struct scripted_site *site)
{
    const struct secure_log *log = secure_site_log(site->secure);
    int batches = log->masks + 2;
    return log->shares <
           (batches < site->script.mask_after_shares ? batches : site->script.mask_after_shares);
}

static void on_secure(struct scripted_site *site, struct session_event *event)
{
    if (site->log.ordered < SCRIPTED_ORDER)
        site->log.order[site->log.ordered++] = (uint8_t)event->type;
    if (event->type == FDS__MESSAGE_TYPE__MESSAGE_MASK && lacks_next_batch(site)) {
        session_event_clear(&site->waiting);
        site->waiting = *event;
        *event = (struct session_event){.kind = SESSION_MESSAGE};
        return;
    }
    meet(site, event->type);
    answer_secure(site, event);
    if (site->waiting.body != NULL && !lacks_next_batch(site)) {
        answer_secure(site, &site->waiting);
        session_event_clear(&site->waiting);
    }
}

static void on_message(struct scripted_site *site, struct session_event *event)
{
    if (site->script.mute)
        return;
    if (site->stopped < site->script.stopping && event->type != FDS__MESSAGE_TYPE__MESSAGE_END_RUN) {
        site->stopped++;
        refuse(site, event, ERROR_UNAVAILABLE);
        return;
    }
    site->stopped = 0;
    switch (event->type) {
    case FDS__MESSAGE_TYPE__MESSAGE_SUBMIT:
        on_submit(site, event);
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_QUERY:
        on_query(site, event);
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_TRAIN:
        on_train(site, event);
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_EVALUATE:
        on_evaluate(site, event);
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_END_RUN:
        on_end(site, event);
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_CATALOG_QUERY:
        on_catalog_query(site, event);
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_MOCK_QUERY:
        on_mock_query(site, event);
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE:
    case FDS__MESSAGE_TYPE__MESSAGE_SHARE:
    case FDS__MESSAGE_TYPE__MESSAGE_MASK:
    case FDS__MESSAGE_TYPE__MESSAGE_AGREE:
    case FDS__MESSAGE_TYPE__MESSAGE_UNMASK:
    case FDS__MESSAGE_TYPE__MESSAGE_SUM:
        on_secure(site, event);
        break;
    default:
        break;
    }
}

static void *work(void *argument)
{
    struct scripted_site *site = argument;
    const struct timespec pause = {.tv_nsec = 10000000};
    while (!atomic_load(&site->stop) && (site->session != NULL || site->back_at != 0)) {
        struct session_event event = {0};
        if (site->session == NULL) {
            if (clock_monotonic_ms() >= site->back_at)
                come_back(site);
            else
                (void)nanosleep(&pause, NULL);
            continue;
        }
        struct error *err = session_next(site->session, 20, &event);
        if (err == NULL && event.kind == SESSION_MESSAGE)
            on_message(site, &event);
        bool broken = err != NULL;
        error_free(err);
        session_event_clear(&event);
        if (broken)
            break;
    }
    return NULL;
}

struct scripted_site *scripted_site_start(const char *directory, const char *name,
                                          const struct site_id *orchestrator, const struct script *script)
{
    char keys[512];
    char sockets[512];
    struct scripted_site *site = calloc(1, sizeof *site);
    assert_non_null(site);
    site->script = *script;
    (void)snprintf(keys, sizeof keys, "%s/keys of %s", directory, name);
    (void)snprintf(sockets, sizeof sockets, "%s/sockets of %s", directory, name);
    char others[512];
    (void)snprintf(others, sizeof others, "%s/other keys of %s", directory, name);
    need(identity_create(keys, name, &site->identity));
    need(identity_create(others, name, &site->other));
    site->sequence = script->first_sequence == 0 ? 1 : script->first_sequence;
    struct session_options options = {.identity = site->identity,
                                      .name = name,
                                      .directory = sockets,
                                      .listen = "tcp://127.0.0.1:0",
                                      .trust = {.listed = orchestrator, .listed_count = 1},
                                      .wake_fd = -1};
    char ca_file[512] = "";
    char crl_file[512] = "";
    if (script->authority != NULL) {
        (void)snprintf(ca_file, sizeof ca_file, "%s/ca.crt", script->authority);
        (void)snprintf(crl_file, sizeof crl_file, "%s/ca.crl", script->authority);
        options.trust = (struct session_trust){.ca_file = ca_file, .crl_file = crl_file};
    }
    need(session_open(&options, &site->session));
    (void)snprintf(site->endpoint, sizeof site->endpoint, "tcp://127.0.0.1:%u",
                   (unsigned)session_port(site->session));
    site_id_format(identity_id(site->identity), site->fingerprint);
    struct secure_numbers numbers = script->secure;
    numbers.examples = numbers.examples == 0 ? 100 : numbers.examples;
    need(secure_site_new(site->identity, &numbers, &site->secure));
    site->options = options;
    site->orchestrator = *orchestrator;
    (void)snprintf(site->name, sizeof site->name, "%s", name);
    site->options.name = site->name;
    (void)snprintf(site->sockets, sizeof site->sockets, "%s", sockets);
    (void)snprintf(site->listen, sizeof site->listen, "%s", site->endpoint);
    assert_int_equal(pthread_create(&site->thread, NULL, work, site), 0);
    return site;
}

const char *scripted_site_endpoint(const struct scripted_site *site)
{
    return site->endpoint;
}

const char *scripted_site_fingerprint(const struct scripted_site *site)
{
    return site->fingerprint;
}

const struct scripted_log *scripted_site_stop(struct scripted_site *site)
{
    if (!site->joined) {
        atomic_store(&site->stop, true);
        (void)pthread_join(site->thread, NULL);
        site->joined = true;
        session_close(site->session);
        site->session = NULL;
        site->log.secure = *secure_site_log(site->secure);
    }
    return &site->log;
}

void scripted_site_free(struct scripted_site *site)
{
    if (site == NULL)
        return;
    (void)scripted_site_stop(site);
    session_event_clear(&site->waiting);
    secure_site_free(site->secure);
    identity_free(site->identity);
    identity_free(site->other);
    free(site);
}
