#include "datasite/requests.h"

#include "datasite/approval.h"
#include "datasite/log_repeats.h"
#include "datasite/rate.h"
#include "datasite/release.h"
#include "datasite/request_parts.h"
#include "schemas/clock.h"
#include "schemas/wire.h"

#include <inttypes.h>

/* Who may ask what. */
static const struct {
    uint32_t type;
    bool lobby; /* also for peers that no list names */
    request_handler *handle;
} request_kinds[] = {
    {FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, true, request_submit},
    {FDS__MESSAGE_TYPE__MESSAGE_QUERY, true, request_query},
    {FDS__MESSAGE_TYPE__MESSAGE_CATALOG_QUERY, true, request_catalog},
    {FDS__MESSAGE_TYPE__MESSAGE_MOCK_QUERY, true, request_mock},
    {FDS__MESSAGE_TYPE__MESSAGE_TRAIN, false, request_train},
    {FDS__MESSAGE_TYPE__MESSAGE_EVALUATE, false, request_evaluate},
    {FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE, false, request_advertise},
    {FDS__MESSAGE_TYPE__MESSAGE_SHARE, false, request_share},
    {FDS__MESSAGE_TYPE__MESSAGE_AGREE, false, request_agree},
    {FDS__MESSAGE_TYPE__MESSAGE_UNMASK, false, request_unmask},
    {FDS__MESSAGE_TYPE__MESSAGE_MASK, false, request_mask},
    {FDS__MESSAGE_TYPE__MESSAGE_SUM, false, request_sum},
    {FDS__MESSAGE_TYPE__MESSAGE_END_RUN, false, request_end_run},
};
#define REQUEST_KINDS (sizeof(request_kinds) / sizeof(request_kinds[0]))

void requests_reply_clear(struct reply *reply)
{
    free(reply->body);
    memset(reply, 0, sizeof(*reply));
}

/* Trouble of the site itself: paths and details are for the owner's log, not for a peer. */
static bool refusal_is_internal(enum error_code code)
{
    switch (code) {
    case ERROR_CORRUPT:
    case ERROR_IO:
    case ERROR_MEMORY:
    case ERROR_CRYPTO:
    case ERROR_INTERNAL:
    case ERROR_CONFLICT:
    case ERROR_USAGE:
        return true;
    case ERROR_INVALID:
    case ERROR_REFUSED:
    case ERROR_NOT_FOUND:
    case ERROR_UNTRUSTED:
    case ERROR_EXPIRED:
    case ERROR_DEADLINE:
    case ERROR_LIMIT:
    case ERROR_UNAVAILABLE:
    case ERROR_BUSY:
    case ERROR_UNSUPPORTED:
    case ERROR_NUMERIC:
    case ERROR_INTERRUPTED:
    case ERROR_HELD:
    case ERROR_CODES:
        return false;
    }
    return true;
}

/* What the peer is told about `err`. */
static struct error *refusal_public(const struct error *err)
{
    if (err->code == ERROR_BUSY)
        return error_new(ERROR_BUSY, "This site is busy with another step: ask again later.");
    /* Only a step fails so, and why it did is not told: see RELEASE_FAILED. */
    if (err->code == ERROR_NUMERIC || err->code == ERROR_DEADLINE)
        return error_new(err->code, RELEASE_FAILED);
    if (refusal_is_internal(err->code))
        return error_new(err->code,
                         "The site had a problem of its own (%s); its owner's log has the details.",
                         error_word(err->code));
    return error_blame(error_new(err->code, "%s", err->sentence), err->position);
}

static void refusal_reply(const struct error *err, struct reply *ret_reply)
{
    struct error *told = refusal_public(err);
    struct reply reply = {.type = FDS__MESSAGE_TYPE__MESSAGE_REFUSAL};
    struct error *failed = wire_refusal_encode(told, &reply.body, &reply.body_bytes);
    if (failed != NULL)
        reply = (struct reply){.type = 0};
    error_free(failed);
    error_free(told);
    *ret_reply = reply;
}

static struct error *request_dispatch(const struct requests *requests, const struct request *request,
                                      struct reply *ret_reply)
{
    for (size_t i = 0; i < REQUEST_KINDS; i++) {
        if (request_kinds[i].type != request->type)
            continue;
        if (!request->listed && !request_kinds[i].lobby)
            return error_new(
                ERROR_REFUSED,
                "This site knows you only through your consortium: until its owner has approved a job "
                "of yours, or typed `datasite trust add`, you may submit jobs and ask about them.");
        return request_kinds[i].handle(requests, request, ret_reply);
    }
    return error_new(ERROR_UNSUPPORTED, "This site does not know messages of type %" PRIu32 ".",
                     request->type);
}

/* Before anything of the message is decoded. */
static struct error *request_admit(const struct requests *requests, const struct request *request)
{
    uint32_t per_minute = requests->policy->limits.requests_per_minute;
    if (requests->rate == NULL || request->accounted ||
        rate_take(requests->rate, &request->peer, per_minute, clock_monotonic_ms()))
        return NULL;
    return error_new(ERROR_LIMIT,
                     "This site takes %" PRIu32 " messages a minute of one peer: ask less often.",
                     per_minute);
}

/* ---- what is accounted first ---- */

struct error *request_accounted(const struct requests *requests, const struct request *request,
                                const struct job *job, uint32_t rounds)
{
    struct error *err = NULL;
    struct account accounts[ACCOUNT_MOST];
    size_t count = 0;
    bool wanting = false;
    if (requests->accountant == NULL || request->accounted)
        goto done;
    TRY(account_wanted(job, rounds, accounts, &count));
    for (size_t i = 0; i < count; i++) {
        double epsilon = 0;
        if (store_epsilons_has(store_epsilons(requests->store), &accounts[i].what, &epsilon))
            continue;
        accountant_want(requests->accountant, &accounts[i]);
        wanting = true;
    }
    if (wanting)
        FAIL(ERROR_BUSY, "This site has to account for the privacy of the job.");
done:
    return err;
}

/* Whether a request that failed for want of an account waits for it. */
static bool request_park(const struct requests *requests, const struct request *request)
{
    struct parked_request parked = {
        .peer = request->peer,
        .listed = request->listed,
        .type = request->type,
        .number = request->number,
        .body = (uint8_t *)(uintptr_t)request->body, /* which is copied */
        .body_bytes = request->body_bytes,
    };
    if (requests->accountant == NULL)
        return false;
    (void)snprintf(parked.peer_name, sizeof(parked.peer_name), "%s", request->peer_name);
    return accountant_park(requests->accountant, &parked);
}

bool requests_accounted(const struct requests *requests, struct parked_request *ret_request)
{
    return requests->accountant != NULL && accountant_next(requests->accountant, ret_request);
}

/* ---- answers ---- */

void requests_answer(const struct requests *requests, const struct request *request, struct reply *ret_reply)
{
    struct reply reply = {.type = 0};
    enum event_kind kind = EVENT_REQUESTS_LIMITED;
    struct error *err = request_admit(requests, request);
    if (err == NULL) {
        if (requests->accountant != NULL)
            accountant_forget(requests->accountant);
        err = request_dispatch(requests, request, &reply);
        if (err != NULL && err->code == ERROR_BUSY && request_park(requests, request)) {
            error_clear(&err);
            requests_reply_clear(&reply);
            reply.later = true;
        }
        kind = err != NULL && refusal_is_internal(err->code) ? EVENT_STORE_FAILED : EVENT_REQUEST_REFUSED;
    }
    if (err != NULL && err->code == ERROR_HELD) { /* asked for again and again while the owner looks */
        requests_reply_clear(&reply);
        refusal_reply(err, &reply);
        error_free(err);
    } else if (err != NULL) {
        requests_reply_clear(&reply);
        if (log_repeats_first(requests->repeats, kind, &request->peer, clock_monotonic_ms()))
            LOG(requests->log, kind, log_peer(&request->peer), log_count("type", request->type),
                log_sentence(err->sentence));
        refusal_reply(err, &reply);
        error_free(err);
    }
    *ret_reply = reply;
}

/* ---- what the executor reports ---- */

uint32_t request_answer_type(bool refused)
{
    return refused ? FDS__MESSAGE_TYPE__MESSAGE_REFUSAL : FDS__MESSAGE_TYPE__MESSAGE_RELEASED;
}

static enum event_kind finish_event(const struct executor_report *report)
{
    if (report->repeated)
        return EVENT_ANSWER_REPEATED;
    switch (report->step) {
    case STEP_TRAIN:
        return report->refused ? EVENT_TRAIN_FAILED : EVENT_UPDATE_RELEASED;
    case STEP_EVALUATE:
        return report->refused ? EVENT_EVALUATE_FAILED : EVENT_EVALUATION_RELEASED;
    case STEP_MASK:
        return report->refused ? EVENT_INPUT_FAILED : EVENT_INPUT_RELEASED;
    case STEP_SUM:
        return EVENT_SUM_TAKEN;
    }
    return EVENT_UPDATE_RELEASED;
}

static void finish_log(const struct requests *requests, const struct executor_report *report)
{
    enum event_kind kind = finish_event(report);
    if (report->refused) {
        LOG(requests->log, kind, log_job(&report->job_id), log_run(report->run_id), log_round(report->round),
            log_peer(&report->peer));
        return;
    }
    LOG(requests->log, kind, log_job(&report->job_id), log_run(report->run_id), log_round(report->round),
        log_seconds(report->seconds), log_count("bytes", report->bytes));
    if (report->withheld[0] != '\0')
        LOG(requests->log, EVENT_CELLS_SUPPRESSED, log_job(&report->job_id), log_run(report->run_id),
            log_round(report->round), log_sentence(report->withheld));
}

static enum event_kind finish_error_event(const struct executor_report *report)
{
    bool held = report->error->code == ERROR_HELD;
    switch (report->step) {
    case STEP_TRAIN:
        return held ? EVENT_UPDATE_HELD : EVENT_TRAIN_ABANDONED;
    case STEP_EVALUATE:
        return held ? EVENT_EVALUATION_HELD : EVENT_EVALUATE_ABANDONED;
    case STEP_MASK:
        return EVENT_INPUT_ABANDONED;
    case STEP_SUM:
        return EVENT_SUM_REFUSED;
    }
    return EVENT_TRAIN_ABANDONED;
}

/* A step can be asked for again and again; what is held waits for the owner, once a round. */
static void finish_log_error(const struct requests *requests, const struct executor_report *report)
{
    enum event_kind kind = finish_error_event(report);
    if (refusal_is_internal(report->error->code))
        kind = EVENT_STORE_FAILED;
    if (report->error->code != ERROR_HELD &&
        !log_repeats_first(requests->repeats, kind, &report->peer, clock_monotonic_ms()))
        return;
    LOG(requests->log, kind, log_job(&report->job_id), log_run(report->run_id), log_round(report->round),
        log_peer(&report->peer), log_sentence(report->error->sentence));
}

/* A sum that was taken is answered with the state of its job. */
static void finish_status(const struct requests *requests, const struct executor_report *report,
                          struct reply *ret_reply)
{
    struct request request = {.peer = report->peer, .number = report->number};
    struct reply reply = {.type = 0};
    struct error *err = request_status(requests, &request, &report->job_id, &reply);
    if (err != NULL) {
        requests_reply_clear(&reply);
        refusal_reply(err, &reply);
        error_free(err);
    }
    *ret_reply = reply;
}

void requests_finish(const struct requests *requests, struct executor_report *report, struct reply *ret_reply)
{
    if (report->error != NULL) {
        finish_log_error(requests, report);
        refusal_reply(report->error, ret_reply);
        return;
    }
    finish_log(requests, report);
    if (report->step == STEP_SUM) {
        finish_status(requests, report, ret_reply);
        return;
    }
    struct reply reply = {
        .type = request_answer_type(report->refused), .body = report->body, .body_bytes = report->bytes};
    report->body = NULL;
    *ret_reply = reply;
}

/* ---- what has changed meanwhile ---- */

void requests_recheck(const struct requests *requests,
                      bool (*listed)(void *context, const struct site_id *peer), void *context)
{
    struct executor_item items[EXECUTOR_WAITING + 1];
    size_t count = executor_items(requests->executor, items);
    for (size_t i = 0; i < count; i++) {
        struct approval approval;
        struct error *err =
            approval_find(requests->store, requests->identity, &requests->policy->gate, &items[i].job_id,
                          &items[i].peer, requests->clock() / 1000, &approval);
        if (err == NULL) {
            approval_clear(&approval);
            if (!listed(context, &items[i].peer))
                err = error_new(ERROR_REFUSED, "This site's owner does not trust you any more.");
        }
        /* A store that cannot be read now is no decision: the release reads it again. */
        if (err != NULL && err->code != ERROR_BUSY)
            executor_cancel(requests->executor, &items[i].job_id, items[i].run_id, err->code, err->sentence);
        error_free(err);
    }
}
