#include "datasite/approval.h"
#include "datasite/log_repeats.h"
#include "datasite/model_shape.h"
#include "datasite/privacy_terms.h"
#include "datasite/release_check.h"
#include "datasite/release_noised.h"
#include "datasite/request_parts.h"
#include "learning/softmax.h"
#include "schemas/clock.h"
#include "schemas/wire.h"

#include <inttypes.h>

/* Train and Evaluate carry the same fields. */
struct step_message {
    enum step_kind kind;
    const ProtobufCBinaryData *job_id, *run_id, *parameters;
    uint32_t round;
    const Fds__Witness *witness; /* or NULL */
};

/* What is known without the rows is checked here, so that a message that cannot succeed costs nothing. The
 * executor and the airlock check everything again when its turn comes. */
static struct error *step_check(const struct requests *requests, const struct approval *approval,
                                const struct step_message *message)
{
    const struct dataset_info *dataset = &approval->dataset;
    const struct policy_output *output = policy_gate_output(&requests->policy->gate, dataset->name);
    struct error *err = privacy_terms_admit(requests->store, &requests->policy->gate, approval);
    if (err == NULL)
        err = release_check_in_clear(approval->job, output);
    if (err != NULL)
        return err;
    if (message->round > approval->decision.rounds)
        return error_new(ERROR_REFUSED,
                         "Round %" PRIu32 " is outside the %" PRIu32 " rounds that the owner approved.",
                         message->round, approval->decision.rounds);
    if (message->kind == STEP_EVALUATE && approval->job->metrics == JOB_METRICS_NONE)
        return error_new(ERROR_REFUSED, "The job says `metrics: none`, so no counts leave this site.");
    if (message->kind == STEP_EVALUATE && job_private(approval->job)) {
        err = release_check_noised_round(approval, message->round);
        if (err != NULL)
            return err;
    }
    return model_shape_check(approval->job, dataset, message->parameters->len);
}

/* What came in is refused for what it is, before a row is read. */
static struct error *step_check_model(const struct step *step)
{
    struct error *err = softmax_check_parameters(step->parameters, step->count);
    if (err == NULL)
        return NULL;
    error_free(err);
    return error_new(ERROR_INVALID,
                     "The model has a parameter that is not finite or beyond single precision (3.4e38).");
}

struct error *request_step_approval(const struct requests *requests, const struct request *request,
                                    const ProtobufCBinaryData *job_id, const Fds__Witness *witness,
                                    struct approval *ret_approval, uint64_t *ret_arrived)
{
    struct error *err = NULL;
    struct approval approval = {.job = NULL};
    struct digest id;
    memcpy(id.bytes, job_id->data, DIGEST_BYTES);
    TRY(request_witness(requests, request, witness, ret_arrived));
    TRY(request_uncontradicted(requests));
    TRY(approval_find(requests->store, requests->identity, &requests->policy->gate, &id, &request->peer,
                      requests->clock() / 1000, &approval));
    TRY(request_accounted(requests, request, approval.job, approval.decision.rounds));
    *ret_approval = approval;
    memset(&approval, 0, sizeof(approval));
done:
    approval_clear(&approval);
    return err;
}

struct error *request_step_new(const struct request *request, enum step_kind kind,
                               const ProtobufCBinaryData *job_id, const ProtobufCBinaryData *run_id,
                               uint32_t round, struct approval *approval, struct step **ret_step)
{
    struct step *step = calloc(1, sizeof(*step));
    if (step == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a step.");
    step->kind = kind;
    step->peer = request->peer;
    step->number = request->number;
    memcpy(step->job_id.bytes, job_id->data, DIGEST_BYTES);
    memcpy(step->run_id, run_id->data, STORE_RUN_ID_BYTES);
    step->round = round;
    step->deadline = clock_monotonic_ms() + (int64_t)approval->job->round_deadline_s * 1000;
    step->approval = *approval;
    memset(approval, 0, sizeof(*approval));
    *ret_step = step;
    return NULL;
}

/* What was released in answer to the same message before. */
static struct error *step_answer_again(const struct requests *requests, const struct step *step,
                                       struct reply *ret_reply)
{
    struct error *err = NULL;
    struct step_answer answer;
    TRY(step_repeat(requests->store, requests->identity, step, &answer));
    if (answer.body == NULL)
        goto done;
    *ret_reply = (struct reply){
        .type = request_answer_type(answer.refused), .body = answer.body, .body_bytes = answer.bytes};
    if (log_repeats_first(requests->repeats, EVENT_ANSWER_REPEATED, &step->peer, clock_monotonic_ms()))
        LOG(requests->log, EVENT_ANSWER_REPEATED, log_job(&step->job_id), log_run(step->run_id),
            log_round(step->round));
done:
    return err;
}

struct error *request_step_answer(const struct requests *requests, struct step **step,
                                  struct reply *ret_reply)
{
    struct error *err = NULL;
    TRY(step_answer_again(requests, *step, ret_reply));
    if (ret_reply->body == NULL) {
        TRY(executor_submit(requests->executor, *step));
        *step = NULL;
        ret_reply->later = true;
    }
done:
    return err;
}

static struct error *step_request(const struct requests *requests, const struct request *request,
                                  const struct step_message *message, struct reply *ret_reply)
{
    struct error *err = NULL;
    struct approval approval = {.job = NULL};
    struct step *step = NULL;
    uint64_t arrived = 0;
    TRY(request_step_approval(requests, request, message->job_id, message->witness, &approval, &arrived));
    TRY(step_check(requests, &approval, message));
    TRY(request_step_new(request, message->kind, message->job_id, message->run_id, message->round, &approval,
                         &step));
    step->arrived = arrived;
    TRY(step_take_parameters(step, message->parameters->data, message->parameters->len));
    TRY(step_check_model(step));
    TRY(request_step_answer(requests, &step, ret_reply));
done:
    step_free(step);
    approval_clear(&approval);
    return err;
}

struct error *request_train(const struct requests *requests, const struct request *request,
                            struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Train *train = NULL;
    TRY(wire_train_decode(request->body, request->body_bytes, &train));
    struct step_message message = {STEP_TRAIN,         &train->job_id, &train->run_id,
                                   &train->parameters, train->round,   train->witness};
    TRY(step_request(requests, request, &message, ret_reply));
done:
    wire_train_free(train);
    return err;
}

struct error *request_evaluate(const struct requests *requests, const struct request *request,
                               struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Evaluate *evaluate = NULL;
    TRY(wire_evaluate_decode(request->body, request->body_bytes, &evaluate));
    struct step_message message = {STEP_EVALUATE,         &evaluate->job_id, &evaluate->run_id,
                                   &evaluate->parameters, evaluate->round,   evaluate->witness};
    TRY(step_request(requests, request, &message, ret_reply));
done:
    wire_evaluate_free(evaluate);
    return err;
}

/* A run that never began here has nothing to end, which is no failure. */
static struct error *end_run(const struct requests *requests, const struct digest *job_id,
                             const uint8_t *run_id, const char *status, uint64_t arrived)
{
    struct error *err =
        store_run_end(requests->store, job_id, run_id, status, arrived, requests->clock() / 1000);
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    else if (err == NULL)
        LOG(requests->log, EVENT_RUN_ENDED, log_job(job_id), log_run(run_id), log_status(status));
    return err;
}

struct error *request_end_run(const struct requests *requests, const struct request *request,
                              struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__EndRun *message = NULL;
    struct job_record record = {0};
    struct digest job_id;
    uint64_t arrived = 0;
    TRY(wire_end_run_decode(request->body, request->body_bytes, &message));
    memcpy(job_id.bytes, message->job_id.data, DIGEST_BYTES);
    TRY(request_witness(requests, request, message->witness, &arrived));
    err = store_job_find(requests->store, &job_id, &record);
    if (err != NULL && err->code != ERROR_NOT_FOUND)
        goto done;
    bool own = err == NULL && site_id_equal(&record.requester, &request->peer);
    error_clear(&err);
    if (own) {
        executor_cancel(requests->executor, &job_id, message->run_id.data, ERROR_REFUSED,
                        "The orchestrator ended the run.");
        TRY(end_run(requests, &job_id, message->run_id.data, message->status, arrived));
    }
    TRY(request_status(requests, request, &job_id, ret_reply));
done:
    job_record_clear(&record);
    wire_end_run_free(message);
    return err;
}
