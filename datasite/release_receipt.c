/* Receipts: made of the event of a release inside its transaction, and put around what leaves. */
#include "datasite/release_parts.h"

#include "schemas/wire.h"

static Fds__MessageType release_type(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return FDS__MESSAGE_TYPE__MESSAGE_UPDATE;
    case ANSWER_EVALUATION:
        return FDS__MESSAGE_TYPE__MESSAGE_EVALUATION;
    case ANSWER_MASKED_INPUT:
        return FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT;
    }
    return FDS__MESSAGE_TYPE__MESSAGE_UPDATE;
}

struct error *release_receipt_make(const struct release_receipt *about, uint8_t **ret_bytes,
                                   size_t *ret_count)
{
    struct error *err = NULL;
    const struct decision *approval = about->approval;
    struct receipt receipt = {
        .job_id = *about->job_id,
        .round = about->round,
        .kind = answer_receipt_kind(about->kind),
        .digest = about->event->digest,
        .body_bytes = about->body_bytes,
        .sequence = about->event->head.sequence,
        .head = about->event->head.hash,
        .at = about->now,
    };
    memcpy(receipt.run_id, about->run_id, sizeof(receipt.run_id));
    memcpy(receipt.head_signature, about->event->signature, sizeof(receipt.head_signature));
    (void)snprintf(receipt.protections, sizeof(receipt.protections), "%s", about->protections);
    TRY(approval_digest(approval, &receipt.approval));
    TRY(receipt_sign(about->identity, &receipt));
    TRY(receipt_encode(&receipt, ret_bytes, ret_count));
done:
    return err;
}

struct error *release_wrap(enum answer_kind kind, const uint8_t *body, size_t body_bytes,
                           const uint8_t *receipt, size_t receipt_bytes, struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    Fds__Released released = FDS__RELEASED__INIT;
    struct release_outcome outcome = {.body = NULL};
    TRY(wire_receipt_decode(receipt, receipt_bytes, &released.receipt));
    released.type = release_type(kind);
    released.body = (ProtobufCBinaryData){body_bytes, (uint8_t *)(uintptr_t)body};
    TRY(wire_encode(&released.base, &outcome.body, &outcome.bytes));
    *ret_outcome = outcome;
done:
    wire_receipt_free(released.receipt);
    return err;
}
