/* Receipts as Protocol Buffers messages. */
#include "audit/receipt.h"

#include "schemas/wire.h"

static ProtobufCBinaryData receipt_bytes(void *bytes, size_t count)
{
    return (ProtobufCBinaryData){.len = count, .data = bytes};
}

struct error *receipt_encode(const struct receipt *receipt, uint8_t **ret_bytes, size_t *ret_count)
{
    struct receipt copy = *receipt;
    Fds__Receipt message = FDS__RECEIPT__INIT;
    message.version = 1;
    message.public_key = receipt_bytes(copy.public_key, PUBLIC_KEY_BYTES);
    message.approval = receipt_bytes(copy.approval.bytes, DIGEST_BYTES);
    message.job_id = receipt_bytes(copy.job_id.bytes, DIGEST_BYTES);
    message.run_id = receipt_bytes(copy.run_id, RECEIPT_RUN_ID_BYTES);
    message.round = copy.round;
    message.kind = (uint32_t)copy.kind;
    message.digest = receipt_bytes(copy.digest.bytes, DIGEST_BYTES);
    message.body_bytes = copy.body_bytes;
    message.protections = copy.protections;
    message.sequence = copy.sequence;
    message.head = receipt_bytes(copy.head.bytes, DIGEST_BYTES);
    message.head_signature = receipt_bytes(copy.head_signature, SIGNATURE_BYTES);
    message.at = copy.at;
    message.signature = receipt_bytes(copy.signature, SIGNATURE_BYTES);
    return wire_encode(&message.base, ret_bytes, ret_count);
}

struct error *receipt_take(const Fds__Receipt *message, struct receipt *ret_receipt)
{
    struct error *err = NULL;
    struct receipt receipt = {.round = message->round};
    TRY(wire_check_receipt(message));
    memcpy(receipt.public_key, message->public_key.data, PUBLIC_KEY_BYTES);
    TRY(site_id_of_key(receipt.public_key, &receipt.site));
    memcpy(receipt.approval.bytes, message->approval.data, DIGEST_BYTES);
    memcpy(receipt.job_id.bytes, message->job_id.data, DIGEST_BYTES);
    memcpy(receipt.run_id, message->run_id.data, RECEIPT_RUN_ID_BYTES);
    receipt.kind = (enum receipt_kind)message->kind; /* in range by wire_check_receipt */
    memcpy(receipt.digest.bytes, message->digest.data, DIGEST_BYTES);
    receipt.body_bytes = message->body_bytes;
    (void)snprintf(receipt.protections, sizeof(receipt.protections), "%s", message->protections);
    receipt.sequence = message->sequence;
    memcpy(receipt.head.bytes, message->head.data, DIGEST_BYTES);
    memcpy(receipt.head_signature, message->head_signature.data, SIGNATURE_BYTES);
    receipt.at = message->at;
    memcpy(receipt.signature, message->signature.data, SIGNATURE_BYTES);
    *ret_receipt = receipt;
done:
    return err;
}

struct error *receipt_decode(const uint8_t *bytes, size_t count, struct receipt *ret_receipt)
{
    struct error *err = NULL;
    Fds__Receipt *message = NULL;
    TRY(wire_receipt_decode(bytes, count, &message));
    TRY(receipt_take(message, ret_receipt));
done:
    wire_receipt_free(message);
    return err;
}

void receipt_witness(struct receipt *receipt, Fds__Witness *ret_witness)
{
    fds__witness__init(ret_witness);
    ret_witness->sequence = receipt->sequence;
    ret_witness->head = receipt_bytes(receipt->head.bytes, DIGEST_BYTES);
    ret_witness->signature = receipt_bytes(receipt->head_signature, SIGNATURE_BYTES);
}
