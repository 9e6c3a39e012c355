/* What leaves a site, and the receipt around it. The body is decoded by whoever knows its type. */
#include "schemas/wire_parts.h"

#define WIRE_SIGNATURE_BYTES 64
#define WIRE_PROTECTIONS_BYTES 255

struct error *wire_check_receipt(const Fds__Receipt *receipt)
{
    struct error *err = NULL;
    TRY(wire_check_number("Receipt", "version", receipt->version, 1, 1));
    TRY(wire_check_bytes("Receipt", "public_key", &receipt->public_key, WIRE_DIGEST_BYTES));
    TRY(wire_check_bytes("Receipt", "approval", &receipt->approval, WIRE_DIGEST_BYTES));
    TRY(wire_check_run("Receipt", &receipt->job_id, &receipt->run_id));
    TRY(wire_check_number("Receipt", "round", receipt->round, 1, WIRE_MAX_ROUNDS));
    TRY(wire_check_number("Receipt", "kind", receipt->kind, 1, 2));
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
        released->type != FDS__MESSAGE_TYPE__MESSAGE_EVALUATION)
        FAIL(ERROR_INVALID, "Released: type must be MESSAGE_UPDATE or MESSAGE_EVALUATION.");
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
