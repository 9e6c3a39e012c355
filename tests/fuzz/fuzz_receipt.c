/* Any bytes as a receipt in JSON, and as one in its message: refused, or written again as one that reads the same. */
#include "audit/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void expect_json(const uint8_t *data, size_t size)
{
    struct receipt first, second;
    json_t *again = NULL;
    json_t *object = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    struct error *err = receipt_from_json(object, "input", &first);
    json_decref(object);
    if (err != NULL) {
        expect(err->sentence[0] != '\0');
        error_free(err);
        return;
    }
    expect(receipt_to_json(&first, &again) == NULL);
    expect(receipt_from_json(again, "again", &second) == NULL);
    expect(memcmp(first.signature, second.signature, SIGNATURE_BYTES) == 0 && first.at == second.at);
    expect(strcmp(first.protections, second.protections) == 0 && first.round == second.round);
    json_decref(again);
}

static void expect_message(const uint8_t *data, size_t size)
{
    struct receipt receipt;
    uint8_t *once = NULL, *twice = NULL;
    size_t once_count = 0, twice_count = 0;
    struct error *err = receipt_decode(data, size, &receipt);
    if (err != NULL) {
        error_free(err);
        return;
    }
    expect(receipt_encode(&receipt, &once, &once_count) == NULL);
    expect(receipt_decode(once, once_count, &receipt) == NULL);
    expect(receipt_encode(&receipt, &twice, &twice_count) == NULL);
    expect(once_count == twice_count && memcmp(once, twice, once_count) == 0);
    free(once);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    expect_json(data, size);
    expect_message(data, size);
    return 0;
}
