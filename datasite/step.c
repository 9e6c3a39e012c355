#include "datasite/step.h"

#include "datasite/store_release.h"
#include "schemas/wire.h"

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
    free(step);
}

static enum answer_kind step_answer_kind(enum step_kind kind)
{
    switch (kind) {
    case STEP_TRAIN:
        return ANSWER_UPDATE;
    case STEP_EVALUATE:
        return ANSWER_EVALUATION;
    }
    return ANSWER_UPDATE;
}

/* A stored answer may be repeated only within its own job and while its run goes on. */
static struct error *step_check_run(struct store *store, const struct step *step)
{
    struct error *err = NULL;
    struct run_record run;
    TRY(store_run_find(store, step->run_id, &run));
    if (!digest_equal(&run.job_id, &step->job_id))
        FAIL(ERROR_REFUSED, "The run id belongs to another job.");
done:
    return err;
}

struct error *step_repeat(struct store *store, const struct step *step, uint8_t **ret_body, size_t *ret_bytes)
{
    struct error *err = NULL;
    struct digest digest;
    uint8_t *body = NULL;
    size_t bytes = 0;
    TRY(store_answer(store, step->run_id, step->round, step_answer_kind(step->kind), &digest, &body, &bytes));
    if (body != NULL) {
        TRY(step_check_run(store, step));
        if (!digest_equal(&digest, &step->model_digest))
            FAIL(ERROR_REFUSED,
                 "Round %" PRIu32
                 " of this run was answered already, for another model; a round releases once.",
                 step->round);
    }
    *ret_body = body;
    *ret_bytes = bytes;
    body = NULL;
done:
    free(body);
    return err;
}

const char *step_word(enum step_kind kind)
{
    switch (kind) {
    case STEP_TRAIN:
        return "train";
    case STEP_EVALUATE:
        return "evaluate";
    }
    return "";
}
