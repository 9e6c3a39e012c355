/* What leaves a site: updates, evaluations, and the receipt around them. */
#include "schemas/wire_parts.h"

#include <math.h>

#define WIRE_SIGNATURE_BYTES 64
#define WIRE_PROTECTIONS_BYTES 255
#define WIRE_MAX_SECONDS 1e9

struct error *wire_check_receipt(const Fds__Receipt *receipt)
{
    struct error *err = NULL;
    TRY(wire_check_number("Receipt", "version", receipt->version, 1, 1));
    TRY(wire_check_bytes("Receipt", "public_key", &receipt->public_key, WIRE_DIGEST_BYTES));
    TRY(wire_check_bytes("Receipt", "approval", &receipt->approval, WIRE_DIGEST_BYTES));
    TRY(wire_check_run("Receipt", &receipt->job_id, &receipt->run_id));
    TRY(wire_check_number("Receipt", "round", receipt->round, 1, WIRE_MAX_ROUNDS));
    TRY(wire_check_number("Receipt", "kind", receipt->kind, 1, 3));
    TRY(wire_check_bytes("Receipt", "digest", &receipt->digest, WIRE_DIGEST_BYTES));
    TRY(wire_check_number("Receipt", "body_bytes", receipt->body_bytes, 1, WIRE_MAX_EXAMPLES));
    TRY(wire_check_text("Receipt", "protections", receipt->protections, WIRE_PROTECTIONS_BYTES));
    TRY(wire_check_number("Receipt", "sequence", receipt->sequence, 1, INT64_MAX));
    TRY(wire_check_bytes("Receipt", "head", &receipt->head, WIRE_DIGEST_BYTES));
    TRY(wire_check_bytes("Receipt", "head_signature", &receipt->head_signature, WIRE_SIGNATURE_BYTES));
    TRY(wire_check_number("Receipt", "at", (uint64_t)receipt->at, 0, (uint64_t)WIRE_LAST_TIME));
    TRY(wire_check_bytes("Receipt", "signature", &receipt->signature, WIRE_SIGNATURE_BYTES));
done:
    return err;
}

struct error *wire_released_decode(const uint8_t *bytes, size_t count, Fds__Released **ret_released)
{
    struct error *err = NULL;
    Fds__Released *released = NULL;
    TRY(wire_unpack(&fds__released__descriptor, bytes, count, &released));
    if (released->type != FDS__MESSAGE_TYPE__MESSAGE_UPDATE &&
        released->type != FDS__MESSAGE_TYPE__MESSAGE_EVALUATION &&
        released->type != FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT)
        FAIL(ERROR_INVALID,
             "Released: type must be MESSAGE_UPDATE, MESSAGE_EVALUATION or MESSAGE_MASKED_INPUT.");
    if (released->body.len == 0)
        FAIL(ERROR_INVALID, "Released: body must not be empty.");
    if (released->receipt == NULL)
        FAIL(ERROR_INVALID, "Released: receipt is missing.");
    TRY(wire_check_receipt(released->receipt));
    *ret_released = released;
    released = NULL;
done:
    wire_released_free(released);
    return err;
}

void wire_released_free(Fds__Released *released)
{
    wire_free((ProtobufCMessage *)released);
}

struct error *wire_receipt_decode(const uint8_t *bytes, size_t count, Fds__Receipt **ret_receipt)
{
    struct error *err = NULL;
    Fds__Receipt *receipt = NULL;
    TRY(wire_unpack(&fds__receipt__descriptor, bytes, count, &receipt));
    TRY(wire_check_receipt(receipt));
    *ret_receipt = receipt;
    receipt = NULL;
done:
    wire_receipt_free(receipt);
    return err;
}

void wire_receipt_free(Fds__Receipt *receipt)
{
    wire_free((ProtobufCMessage *)receipt);
}

static struct error *wire_check_metrics(const Fds__Metrics *metrics)
{
    struct error *err = NULL;
    if (metrics == NULL)
        goto done;
    if (metrics->train_accuracy != WIRE_WITHHELD_REAL)
        TRY(wire_check_real("Update", "metrics.train_accuracy", metrics->train_accuracy, 1));
    TRY(wire_check_count("Update", "metrics.test_rows", metrics->test_rows, 0));
    TRY(wire_check_count("Update", "metrics.correct", metrics->correct, 0));
    TRY(wire_check_confusion("Update", metrics->confusion, metrics->n_confusion));
    TRY(wire_check_text("Update", "metrics.stopped", metrics->stopped, WIRE_NAME_BYTES));
done:
    return err;
}

struct error *wire_update_decode(const uint8_t *bytes, size_t count, Fds__Update **ret_update)
{
    struct error *err = NULL;
    Fds__Update *update = NULL;
    TRY(wire_unpack(&fds__update__descriptor, bytes, count, &update));
    TRY(wire_check_run("Update", &update->job_id, &update->run_id));
    TRY(wire_check_number("Update", "round", update->round, 1, WIRE_MAX_ROUNDS));
    TRY(wire_check_parameters("Update", &update->parameters));
    TRY(wire_check_count("Update", "examples", update->examples, 1));
    TRY(wire_check_real("Update", "seconds", update->seconds, WIRE_MAX_SECONDS));
    TRY(wire_check_metrics(update->metrics));
    *ret_update = update;
    update = NULL;
done:
    wire_update_free(update);
    return err;
}

void wire_update_free(Fds__Update *update)
{
    wire_free((ProtobufCMessage *)update);
}

/* Noised counts stand for all others, which are then not there. */
static struct error *wire_check_noised(const Fds__Evaluation *evaluation)
{
    struct error *err = NULL;
    size_t classes = 0;
    if (evaluation->n_noised == 0)
        goto done;
    while (classes <= WIRE_MAX_CLASSES && classes * classes < evaluation->n_noised)
        classes++;
    if (classes > WIRE_MAX_CLASSES || classes * classes != evaluation->n_noised)
        FAIL(ERROR_INVALID,
             "Evaluation: noised must be a square matrix of at most %d classes; %zu counts are not.",
             WIRE_MAX_CLASSES, evaluation->n_noised);
    for (size_t i = 0; i < evaluation->n_noised; i++)
        if (!isfinite(evaluation->noised[i]))
            FAIL(ERROR_INVALID, "Evaluation: noised must be finite; element %zu of %zu is not.", i + 1,
                 evaluation->n_noised);
    if (evaluation->n_confusion != 0 || evaluation->test_rows != WIRE_WITHHELD ||
        evaluation->correct != WIRE_WITHHELD)
        FAIL(ERROR_INVALID,
             "Evaluation: confusion, test_rows and correct must be withheld beside noised counts.");
done:
    return err;
}

struct error *wire_evaluation_decode(const uint8_t *bytes, size_t count, Fds__Evaluation **ret_evaluation)
{
    struct error *err = NULL;
    Fds__Evaluation *evaluation = NULL;
    TRY(wire_unpack(&fds__evaluation__descriptor, bytes, count, &evaluation));
    TRY(wire_check_run("Evaluation", &evaluation->job_id, &evaluation->run_id));
    TRY(wire_check_number("Evaluation", "round", evaluation->round, 1, WIRE_MAX_ROUNDS));
    TRY(wire_check_confusion("Evaluation", evaluation->confusion, evaluation->n_confusion));
    TRY(wire_check_count("Evaluation", "test_rows", evaluation->test_rows, 0));
    TRY(wire_check_count("Evaluation", "correct", evaluation->correct, 0));
    TRY(wire_check_noised(evaluation));
    *ret_evaluation = evaluation;
    evaluation = NULL;
done:
    wire_evaluation_free(evaluation);
    return err;
}

void wire_evaluation_free(Fds__Evaluation *evaluation)
{
    wire_free((ProtobufCMessage *)evaluation);
}
