/* Mask and Sum. What is known without rows, keys and models is checked here, so that a message that cannot succeed costs
 * little; the executor and the airlock check everything. */
#include "datasite/model_shape.h"
#include "datasite/release_check.h"
#include "datasite/request_parts.h"
#include "datasite/secagg_roster.h"
#include "datasite/secagg_vector.h"
#include "learning/softmax.h"

#include <inttypes.h>

/* An initial model comes only where the job names one, and is of the right shape. */
static struct error *mask_check_parameters(const struct approval *approval,
                                           const ProtobufCBinaryData *parameters)
{
    struct error *err = NULL;
    const struct dataset_info *dataset = &approval->dataset;
    if (parameters->len == 0)
        goto done;
    if (approval->job->init != JOB_INIT_FILE)
        FAIL(ERROR_INVALID, "Parameters come only where the job names its initial model by its SHA-256.");
    TRY(model_shape_check(approval->job, dataset, parameters->len));
done:
    return err;
}

/* A sum is queued as it was decoded: one of another length than the job's vectors would only take memory. Its inputs are
 * as long as its words (wire_sum_decode). */
static struct error *mask_check_words(const struct approval *approval, const Fds__Sum *sum)
{
    struct error *err = NULL;
    const struct dataset_info *dataset = &approval->dataset;
    struct secagg_vector vector;
    TRY(secagg_vector_plan(approval->job, dataset, sum->round, &vector));
    size_t bytes = mask_bytes(vector.plan.ring, vector.words);
    if (sum->words.len != bytes)
        FAIL(ERROR_INVALID, "Sum: words must be %zu bytes for this job, and are %zu.", bytes, sum->words.len);
done:
    return err;
}

/* The sharers are of the roster, this site among them, and enough. */
static struct error *mask_check_sharers(const struct secagg_roster *roster, const struct job *job,
                                        const Fds__Mask *mask)
{
    size_t least = secagg_roster_least(job);
    struct secagg_set sharers = {mask->sharers, mask->n_sharers};
    if (mask->sharers[mask->n_sharers - 1] > roster->count)
        return error_new(ERROR_INVALID,
                         "Mask: sharers must be positions from 1 to %zu, the sites of the job.",
                         roster->count);
    if (!secagg_set_has(sharers, roster->own))
        return error_new(ERROR_INVALID, "Mask: this site, position %" PRIu32 ", is not among the sharers.",
                         roster->own);
    if (mask->n_sharers < least)
        return error_new(ERROR_REFUSED, "Only %zu sites take part in this attempt, and this job needs %zu.",
                         mask->n_sharers, least);
    return NULL;
}

/* What any step of a job with secure aggregation is held to, by the policy of now. */
static struct error *mask_admit(const struct requests *requests, const struct approval *approval,
                                struct secagg_roster *ret_roster)
{
    struct error *err = NULL;
    const struct policy_gate *gate = &requests->policy->gate;
    TRY(release_check_secure(approval, policy_gate_output(gate, approval->dataset.name)));
    TRY(secagg_roster_admit(gate, approval->job, &approval->dataset, identity_id(requests->identity),
                            ret_roster));
done:
    return err;
}

static struct error *mask_check(const struct requests *requests, const struct approval *approval,
                                const Fds__Mask *mask)
{
    struct error *err = NULL;
    struct secagg_roster roster = {.sites = NULL};
    TRY(mask_admit(requests, approval, &roster));
    TRY(release_check_secure_round(approval, mask->round));
    TRY(mask_check_parameters(approval, &mask->parameters));
    if (mask->previous != NULL) {
        TRY(mask_check_words(approval, mask->previous));
        TRY(mask_check_parameters(approval, &mask->previous->parameters));
    }
    TRY(mask_check_sharers(&roster, approval->job, mask));
done:
    secagg_roster_clear(&roster);
    return err;
}

static struct error *sum_check(const struct requests *requests, const struct approval *approval,
                               const Fds__Sum *sum)
{
    struct error *err = NULL;
    struct secagg_roster roster = {.sites = NULL};
    TRY(mask_admit(requests, approval, &roster));
    if (sum->round > approval->decision.rounds)
        FAIL(ERROR_REFUSED, "Nothing that this site takes part in follows from the sum of round %" PRIu32 ".",
             sum->round);
    TRY(mask_check_words(approval, sum));
    TRY(mask_check_parameters(approval, &sum->parameters));
done:
    secagg_roster_clear(&roster);
    return err;
}

struct error *request_mask(const struct requests *requests, const struct request *request,
                           struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Mask *mask = NULL;
    struct approval approval = {.job = NULL};
    struct step *step = NULL;
    uint64_t arrived = 0;
    TRY(wire_mask_decode(request->body, request->body_bytes, &mask));
    TRY(request_step_approval(requests, request, &mask->job_id, mask->witness, &approval, &arrived));
    TRY(mask_check(requests, &approval, mask));
    TRY(request_step_new(request, STEP_MASK, &mask->job_id, &mask->run_id, mask->round, &approval, &step));
    step->attempt = mask->attempt;
    step->arrived = arrived;
    memcpy(step->model_digest.bytes, mask->model_digest.data, DIGEST_BYTES);
    step->mask = mask;
    mask = NULL;
    TRY(request_step_answer(requests, &step, ret_reply));
done:
    step_free(step);
    approval_clear(&approval);
    wire_mask_free(mask);
    return err;
}

struct error *request_sum(const struct requests *requests, const struct request *request,
                          struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Sum *sum = NULL;
    struct approval approval = {.job = NULL};
    struct step *step = NULL;
    uint64_t arrived = 0;
    TRY(wire_sum_decode(request->body, request->body_bytes, &sum));
    TRY(request_step_approval(requests, request, &sum->job_id, sum->witness, &approval, &arrived));
    TRY(sum_check(requests, &approval, sum));
    TRY(request_step_new(request, STEP_SUM, &sum->job_id, &sum->run_id, sum->round, &approval, &step));
    step->attempt = sum->attempt;
    step->arrived = arrived;
    step->sum = sum;
    sum = NULL;
    TRY(executor_submit(requests->executor, step));
    step = NULL;
    ret_reply->later = true;
done:
    step_free(step);
    approval_clear(&approval);
    wire_sum_free(sum);
    return err;
}
