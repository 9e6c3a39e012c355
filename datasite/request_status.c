#include "datasite/approval.h"
#include "datasite/request_parts.h"
#include "datasite/store_wait.h"
#include "schemas/clock.h"
#include "schemas/wire.h"

#include <inttypes.h>

#define STATUS_SENTENCE_BYTES 900
#define STATUS_COMMAND_BYTES 64
#define STATUS_DIGITS 12 /* of a job id in commands */

/* A JobStatus being filled; the message's pointers go into it. */
struct status {
    struct digest id;
    char sentence[STATUS_SENTENCE_BYTES];
    char command[STATUS_COMMAND_BYTES];
    Fds__JobStatus message;
};

static Fds__JobState status_state(enum job_state state)
{
    switch (state) {
    case JOB_STATE_PENDING:
        return FDS__JOB_STATE__JOB_PENDING;
    case JOB_STATE_APPROVED:
        return FDS__JOB_STATE__JOB_APPROVED;
    case JOB_STATE_RUNNING:
        return FDS__JOB_STATE__JOB_RUNNING;
    case JOB_STATE_FINISHED:
        return FDS__JOB_STATE__JOB_FINISHED;
    case JOB_STATE_DENIED:
        return FDS__JOB_STATE__JOB_DENIED;
    case JOB_STATE_REVOKED:
        return FDS__JOB_STATE__JOB_REVOKED;
    case JOB_STATE_EXPIRED:
        return FDS__JOB_STATE__JOB_EXPIRED;
    }
    return FDS__JOB_STATE__JOB_UNKNOWN;
}

/* "by its policy on 2026-11-22T10:00:00Z", with the reason that was given. */
static void status_say_decision(struct status *status, const char *what, const struct decision *decision)
{
    char when[CLOCK_TEXT_BYTES];
    clock_format(decision->decided_at, when);
    const char *who = strncmp(decision->decided_by, "policy:", 7) == 0 ? "policy" : "owner";
    bool reason = decision->reason[0] != '\0' && decision->kind != DECISION_APPROVE;
    (void)snprintf(status->sentence, sizeof(status->sentence), "%s by the site's %s on %s%s%s.", what, who,
                   when, reason ? ": " : "", reason ? decision->reason : "");
}

/* With what keeps a rule from approving it, where that is the job's own. */
static struct error *status_say_pending(const struct requests *requests, const struct job_record *record,
                                        struct status *status)
{
    struct error *err = NULL;
    char hex[DIGEST_HEX_BYTES], why[ERROR_SENTENCE_BYTES] = "";
    bool told = false;
    char when[CLOCK_TEXT_BYTES];
    digest_hex(&record->id, hex);
    clock_format(record->received_at, when);
    TRY(store_wait_find(requests->store, &record->id, &told, why));
    (void)snprintf(status->sentence, sizeof(status->sentence), "Waits for the site's owner since %s.%s%.700s",
                   when, told ? " A rule of its policy could not approve it: " : "", told ? why : "");
    (void)snprintf(status->command, sizeof(status->command), "datasite approve %.*s", STATUS_DIGITS, hex);
    status->message.expires = record->expires;
done:
    return err;
}

/* Public shape and what is left; only while the approval holds. */
static struct error *status_say_live(const struct requests *requests, const struct job_record *record,
                                     struct status *status)
{
    struct error *err = NULL;
    struct approval approval = {.job = NULL};
    uint32_t used = 0;
    uint32_t last_round = 0;
    TRY(approval_find(requests->store, requests->identity, &requests->policy->gate, &record->id,
                      &record->requester, requests->clock() / 1000, &approval));
    TRY(store_runs_used(requests->store, &record->id, &used, &last_round));
    const struct decision *decision = &approval.decision;
    bool running = record->state == JOB_STATE_RUNNING;
    status_say_decision(status, running ? "Runs; approved" : "Approved", decision);
    status->message.features = approval.dataset.features;
    status->message.classes = approval.dataset.classes;
    status->message.image_rows = approval.dataset.image_rows;
    status->message.image_columns = approval.dataset.image_columns;
    /* Secure aggregation counts the last model in a round behind the last. */
    uint32_t over = running ? last_round : 0;
    status->message.rounds_left = decision->rounds > over ? decision->rounds - over : 0;
    status->message.runs_left = decision->runs > used ? decision->runs - used : 0;
    status->message.expires = decision->expires;
done:
    approval_clear(&approval);
    return err;
}

/* A state that somebody decided: denied, revoked. */
static struct error *status_say_decided(const struct requests *requests, const struct job_record *record,
                                        const char *what, struct status *status)
{
    struct error *err = NULL;
    struct decision decision;
    TRY(store_last_decision(requests->store, &record->id, &decision));
    status_say_decision(status, what, &decision);
done:
    return err;
}

static struct error *status_say(const struct requests *requests, const struct job_record *record,
                                struct status *status)
{
    status->message.state = status_state(record->state);
    switch (record->state) {
    case JOB_STATE_PENDING:
        return status_say_pending(requests, record, status);
    case JOB_STATE_APPROVED:
    case JOB_STATE_RUNNING:
        return status_say_live(requests, record, status);
    case JOB_STATE_FINISHED:
        (void)snprintf(status->sentence, sizeof(status->sentence),
                       "Finished: all runs that were approved are used.");
        return NULL;
    case JOB_STATE_DENIED:
        return status_say_decided(requests, record, "Denied, which is final,", status);
    case JOB_STATE_REVOKED:
        return status_say_decided(requests, record, "Revoked", status);
    case JOB_STATE_EXPIRED:
        (void)snprintf(status->sentence, sizeof(status->sentence),
                       "The time of the job, or of its approval, is over.");
        return NULL;
    }
    return error_new(ERROR_INTERNAL, "A job is in an unknown state.");
}

/* The job, if it is here and the requester's own. */
static struct error *status_find(const struct requests *requests, const struct request *request,
                                 const struct digest *job_id, struct job_record *ret_record, bool *ret_found)
{
    struct error *err = store_job_find(requests->store, job_id, ret_record);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        *ret_found = false;
        return NULL;
    }
    if (err != NULL)
        return err;
    *ret_found = site_id_equal(&ret_record->requester, &request->peer);
    return NULL;
}

struct error *request_status(const struct requests *requests, const struct request *request,
                             const struct digest *job_id, struct reply *ret_reply)
{
    struct error *err = NULL;
    struct job_record record = {0};
    struct status status = {.id = *job_id, .message = FDS__JOB_STATUS__INIT};
    bool found = false;
    TRY(status_find(requests, request, job_id, &record, &found));
    status.message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, status.id.bytes};
    status.message.sentence = status.sentence;
    status.message.owner_command = status.command;
    if (found)
        TRY(status_say(requests, &record, &status));
    else
        (void)snprintf(status.sentence, sizeof(status.sentence), "This site has no such job of yours.");
    TRY(wire_encode(&status.message.base, &ret_reply->body, &ret_reply->body_bytes));
    ret_reply->type = FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS;
done:
    job_record_clear(&record);
    return err;
}

struct error *request_query(const struct requests *requests, const struct request *request,
                            struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__JobQuery *query = NULL;
    struct digest job_id;
    uint64_t arrived = 0; /* what nothing is written for is not marked */
    TRY(wire_job_query_decode(request->body, request->body_bytes, &query));
    TRY(request_witness(requests, request, query->witness, &arrived));
    TRY(request_uncontradicted(requests));
    memcpy(job_id.bytes, query->job_id.data, DIGEST_BYTES);
    TRY(request_status(requests, request, &job_id, ret_reply));
done:
    wire_job_query_free(query);
    return err;
}
