#include "datasite/step.h"

#include "datasite/release.h"
#include "datasite/store_release.h"
#include "datasite/store_secagg.h"

#include <inttypes.h>

struct error *step_take_parameters(struct step *step, const uint8_t *bytes, size_t byte_count)
{
    struct error *err = NULL;
    struct digest digest;
    double *parameters = malloc(byte_count + sizeof(double));
    if (parameters == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the model that came in.");
    TRY(digest_of(bytes, byte_count, &digest));
    wire_parameters_read(bytes, byte_count / sizeof(double), parameters);
    step->parameters = parameters;
    step->count = byte_count / sizeof(double);
    step->model_digest = digest;
    parameters = NULL;
done:
    free(parameters);
    return err;
}

void step_free(struct step *step)
{
    if (step == NULL)
        return;
    approval_clear(&step->approval);
    free(step->parameters);
    wire_mask_free(step->mask);
    wire_sum_free(step->sum);
    free(step);
}

enum answer_kind step_answer_kind(enum step_kind kind)
{
    switch (kind) {
    case STEP_TRAIN:
        return ANSWER_UPDATE;
    case STEP_EVALUATE:
        return ANSWER_EVALUATION;
    case STEP_MASK:
    case STEP_SUM:
        return ANSWER_MASKED_INPUT;
    }
    return ANSWER_UPDATE;
}

/* A stored answer may be repeated only within its own job and while its run goes on. A run that never began
 * here has none. */
struct error *step_began(struct store *store, const struct step *step, bool *ret_began)
{
    struct error *err = NULL;
    struct run_record run;
    err = store_run_find(store, step->run_id, &run);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        *ret_began = false;
        goto done;
    }
    if (err != NULL)
        goto done;
    if (!digest_equal(&run.job_id, &step->job_id))
        FAIL(ERROR_REFUSED, "The run id belongs to another job.");
    if (strcmp(run.status, "running") != 0)
        FAIL(ERROR_REFUSED, "The run has ended at this site: %s.", run.status);
    *ret_began = true;
done:
    return err;
}

static struct error *step_check_fields(const struct step *step, const ProtobufCBinaryData *job_id,
                                       const ProtobufCBinaryData *run_id, uint32_t round, bool shape)
{
    if (memcmp(job_id->data, step->job_id.bytes, DIGEST_BYTES) != 0 ||
        memcmp(run_id->data, step->run_id, STORE_RUN_ID_BYTES) != 0 || round != step->round || !shape)
        return error_new(ERROR_UNTRUSTED, "The stored answer of this round is about something else.");
    return NULL;
}

static struct error *step_check_update(const struct step *step, const struct answer *answer)
{
    struct error *err = NULL;
    Fds__Update *update = NULL;
    TRY(wire_update_decode(answer->body, answer->bytes, &update));
    TRY(step_check_fields(step, &update->job_id, &update->run_id, update->round,
                          update->parameters.len == step->count * sizeof(double)));
done:
    wire_update_free(update);
    return err;
}

static struct error *step_check_evaluation(const struct step *step, const struct answer *answer)
{
    struct error *err = NULL;
    size_t cells = (size_t)step->approval.dataset.classes * step->approval.dataset.classes;
    bool private_job = job_private(step->approval.job);
    Fds__Evaluation *evaluation = NULL;
    TRY(wire_evaluation_decode(answer->body, answer->bytes, &evaluation));
    TRY(step_check_fields(step, &evaluation->job_id, &evaluation->run_id, evaluation->round,
                          evaluation->n_confusion == (private_job ? 0 : cells) &&
                              evaluation->n_noised == (private_job ? cells : 0)));
done:
    wire_evaluation_free(evaluation);
    return err;
}

/* The slot serves one context, and the sharers are in it. */
static struct error *step_check_sharers(struct store *store, const struct step *step)
{
    struct error *err = NULL;
    struct secagg_slot slot = {.sharers = NULL};
    const Fds__Mask *mask = step->mask;
    TRY(store_secagg_slot(store, step->run_id, mask->slot, &slot));
    if (slot.sharer_count != mask->n_sharers ||
        memcmp(slot.sharers, mask->sharers, mask->n_sharers * sizeof(*slot.sharers)) != 0)
        FAIL(ERROR_REFUSED,
             "Attempt %" PRIu32 " of round %" PRIu32 " was answered already, for other sites; an attempt is "
             "one list of sites.",
             step->attempt + 1, step->round);
done:
    secagg_slot_clear(&slot);
    return err;
}

static struct error *step_check_masked(struct store *store, const struct step *step,
                                       const struct answer *answer)
{
    struct error *err = NULL;
    Fds__MaskedInput *input = NULL;
    TRY(wire_masked_input_decode(answer->body, answer->bytes, &input));
    TRY(step_check_fields(step, &input->job_id, &input->run_id, input->round,
                          input->attempt == step->attempt));
    if (input->slot != step->mask->slot)
        FAIL(ERROR_REFUSED,
             "Attempt %" PRIu32 " of round %" PRIu32
             " was answered already, from another slot; an attempt has "
             "one.",
             step->attempt + 1, step->round);
    TRY(step_check_sharers(store, step));
done:
    wire_masked_input_free(input);
    return err;
}

/* The body says what it is about, and is of the shape of this step. */
static struct error *step_check_body(struct store *store, const struct step *step,
                                     const struct answer *answer)
{
    if (answer->refused)
        return NULL;
    switch (step->kind) {
    case STEP_TRAIN:
        return step_check_update(step, answer);
    case STEP_EVALUATE:
        return step_check_evaluation(step, answer);
    case STEP_MASK:
        return step_check_masked(store, step, answer);
    case STEP_SUM:
        break;
    }
    return error_new(ERROR_INTERNAL, "A step is of an unknown kind.");
}

/* Of a stored answer: the same model, the same step, and what the airlock lets out of it. */
static struct error *step_answer_again(struct store *store, const struct identity *identity,
                                       const struct step *step, const struct answer *answer,
                                       struct step_answer *ret_answer)
{
    struct error *err = NULL;
    struct release_outcome outcome = {.body = NULL};
    if (answer->over)
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run is over: this site has its sum.", step->round);
    if (!digest_equal(&answer->model_digest, &step->model_digest))
        FAIL(ERROR_REFUSED,
             "Round %" PRIu32 " of this run was answered already, for another model; a round releases once.",
             step->round);
    TRY(step_check_body(store, step, answer));
    TRY(release_repeat(identity, &step->approval.decision, answer, &outcome));
    *ret_answer = (struct step_answer){outcome.body, outcome.bytes, answer->refused};
done:
    return err;
}

struct error *step_repeat(struct store *store, const struct identity *identity, const struct step *step,
                          struct step_answer *ret_answer)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    bool began = false;
    TRY(step_began(store, step, &began));
    if (began && step->kind != STEP_SUM)
        TRY(store_answer(store, &step->job_id, step->run_id, step->round, step->attempt,
                         step_answer_kind(step->kind), &answer));
    if (answer.body != NULL)
        TRY(step_answer_again(store, identity, step, &answer, ret_answer));
    else
        *ret_answer = (struct step_answer){.body = NULL};
done:
    answer_clear(&answer);
    return err;
}

const char *step_word(enum step_kind kind)
{
    switch (kind) {
    case STEP_TRAIN:
        return "train";
    case STEP_EVALUATE:
        return "evaluate";
    case STEP_MASK:
        return "mask";
    case STEP_SUM:
        return "sum";
    }
    return "";
}
