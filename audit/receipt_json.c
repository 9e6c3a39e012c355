/* Receipts as people keep them: one JSON object. */
#include "audit/fields.h"
#include "audit/receipt.h"

#define RECEIPT_JSON_FIELDS 16
#define RECEIPT_KIND_BYTES 16
#define RECEIPT_MOST_BYTES ((uint64_t)1 << 53)

/* What the table points at beside the receipt itself. */
struct receipt_text {
    struct receipt receipt;
    uint64_t version, round;
    char kind[RECEIPT_KIND_BYTES];
};

static void receipt_fields(struct receipt_text *text, struct field ret_fields[static RECEIPT_JSON_FIELDS])
{
    struct receipt *receipt = &text->receipt;
    const struct field fields[RECEIPT_JSON_FIELDS] = {
        {.key = "receipt", .kind = FIELD_COUNT, .target = &text->version, .least = 1, .most = 1},
        {.key = "site", .kind = FIELD_FINGERPRINT, .target = receipt->site.digest.bytes},
        {.key = "public_key", .kind = FIELD_HEX, .target = receipt->public_key, .bytes = PUBLIC_KEY_BYTES},
        {.key = "approval", .kind = FIELD_HEX, .target = receipt->approval.bytes, .bytes = DIGEST_BYTES},
        {.key = "job_id", .kind = FIELD_HEX, .target = receipt->job_id.bytes, .bytes = DIGEST_BYTES},
        {.key = "run_id", .kind = FIELD_HEX, .target = receipt->run_id, .bytes = RECEIPT_RUN_ID_BYTES},
        {.key = "round", .kind = FIELD_COUNT, .target = &text->round, .least = 1, .most = UINT32_MAX},
        {.key = "kind", .kind = FIELD_LINE, .target = text->kind, .bytes = sizeof(text->kind)},
        {.key = "digest", .kind = FIELD_HEX, .target = receipt->digest.bytes, .bytes = DIGEST_BYTES},
        {.key = "body_bytes",
         .kind = FIELD_COUNT,
         .target = &receipt->body_bytes,
         .least = 1,
         .most = RECEIPT_MOST_BYTES},
        {.key = "protections",
         .kind = FIELD_LINE,
         .target = receipt->protections,
         .bytes = sizeof(receipt->protections)},
        {.key = "sequence", .kind = FIELD_COUNT, .target = &receipt->sequence, .least = 1, .most = INT64_MAX},
        {.key = "head", .kind = FIELD_HEX, .target = receipt->head.bytes, .bytes = DIGEST_BYTES},
        {.key = "head_signature",
         .kind = FIELD_HEX,
         .target = receipt->head_signature,
         .bytes = SIGNATURE_BYTES},
        {.key = "at", .kind = FIELD_TIME, .target = &receipt->at},
        {.key = "signature", .kind = FIELD_HEX, .target = receipt->signature, .bytes = SIGNATURE_BYTES},
    };
    memcpy(ret_fields, fields, sizeof(fields));
}

struct error *receipt_to_json(const struct receipt *receipt, json_t **ret_object)
{
    struct receipt_text text = {.receipt = *receipt, .version = 1, .round = receipt->round};
    struct field fields[RECEIPT_JSON_FIELDS];
    (void)snprintf(text.kind, sizeof(text.kind), "%s", receipt_kind_word(receipt->kind));
    receipt_fields(&text, fields);
    return fields_write(fields, RECEIPT_JSON_FIELDS, "a receipt", ret_object);
}

/* The message's own rules hold for the file's form too: ranges are written down once, in schemas/. */
static struct error *receipt_check_ranges(const struct receipt *receipt, const char *where)
{
    struct error *err = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct receipt again;
    TRY(receipt_encode(receipt, &bytes, &count));
    TRY(error_prefix(receipt_decode(bytes, count, &again), "%s", where));
    if (!site_id_equal(&again.site, &receipt->site))
        FAIL(ERROR_INVALID, "%s: \"site\" is not the fingerprint of \"public_key\".", where);
done:
    free(bytes);
    return err;
}

struct error *receipt_from_json(const json_t *object, const char *where, struct receipt *ret_receipt)
{
    struct error *err = NULL;
    struct receipt_text text = {.version = 0};
    struct field fields[RECEIPT_JSON_FIELDS];
    receipt_fields(&text, fields);
    TRY(fields_read(object, where, fields, RECEIPT_JSON_FIELDS));
    text.receipt.round = (uint32_t)text.round;
    if (strcmp(text.kind, receipt_kind_word(RECEIPT_UPDATE)) == 0)
        text.receipt.kind = RECEIPT_UPDATE;
    else if (strcmp(text.kind, receipt_kind_word(RECEIPT_EVALUATION)) == 0)
        text.receipt.kind = RECEIPT_EVALUATION;
    else if (strcmp(text.kind, receipt_kind_word(RECEIPT_MASKED_INPUT)) == 0)
        text.receipt.kind = RECEIPT_MASKED_INPUT;
    else
        FAIL(ERROR_INVALID, "%s: \"kind\" must be \"update\", \"evaluation\" or \"masked-input\".", where);
    TRY(receipt_check_ranges(&text.receipt, where));
    *ret_receipt = text.receipt;
done:
    return err;
}
