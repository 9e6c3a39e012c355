/* Any bytes as the body of a message, whose kind the first byte picks: refused, or encoded to bytes that
 * decode and encode to the same bytes again. */
#include "schemas/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct error *fuzz_decoder(const uint8_t *bytes, size_t count, ProtobufCMessage **ret_message);

#define FUZZ_KIND(lower, Upper)                                                                              \
    static struct error *fuzz_##lower(const uint8_t *bytes, size_t count, ProtobufCMessage **ret_message)    \
    {                                                                                                        \
        Fds__##Upper *message = NULL;                                                                        \
        struct error *err = wire_##lower##_decode(bytes, count, &message);                                   \
        *ret_message = message == NULL ? NULL : &message->base;                                              \
        return err;                                                                                          \
    }                                                                                                        \
    static void fuzz_free_##lower(ProtobufCMessage *message)                                                 \
    {                                                                                                        \
        wire_##lower##_free((Fds__##Upper *)message);                                                        \
    }

FUZZ_KIND(greeting, Greeting)
FUZZ_KIND(refusal, Refusal)
FUZZ_KIND(submit, Submit)
FUZZ_KIND(job_query, JobQuery)
FUZZ_KIND(job_status, JobStatus)
FUZZ_KIND(train, Train)
FUZZ_KIND(update, Update)
FUZZ_KIND(evaluate, Evaluate)
FUZZ_KIND(evaluation, Evaluation)
FUZZ_KIND(end_run, EndRun)
FUZZ_KIND(catalog_query, CatalogQuery)
FUZZ_KIND(catalog, Catalog)
FUZZ_KIND(mock_query, MockQuery)
FUZZ_KIND(mock, Mock)
FUZZ_KIND(advertise, Advertise)
FUZZ_KIND(advert, Advert)
FUZZ_KIND(share, Share)
FUZZ_KIND(shares, Shares)
FUZZ_KIND(mask, Mask)
FUZZ_KIND(masked_input, MaskedInput)
FUZZ_KIND(agree, Agree)
FUZZ_KIND(agreement, Agreement)
FUZZ_KIND(unmask, Unmask)
FUZZ_KIND(unmasking, Unmasking)
FUZZ_KIND(sum, Sum)

static const struct {
    fuzz_decoder *decode;
    void (*release)(ProtobufCMessage *message);
} fuzz_kinds[] = {
    {fuzz_greeting, fuzz_free_greeting},
    {fuzz_refusal, fuzz_free_refusal},
    {fuzz_submit, fuzz_free_submit},
    {fuzz_job_query, fuzz_free_job_query},
    {fuzz_job_status, fuzz_free_job_status},
    {fuzz_train, fuzz_free_train},
    {fuzz_update, fuzz_free_update},
    {fuzz_evaluate, fuzz_free_evaluate},
    {fuzz_evaluation, fuzz_free_evaluation},
    {fuzz_end_run, fuzz_free_end_run},
    {fuzz_catalog_query, fuzz_free_catalog_query},
    {fuzz_catalog, fuzz_free_catalog},
    {fuzz_mock_query, fuzz_free_mock_query},
    {fuzz_mock, fuzz_free_mock},
    {fuzz_advertise, fuzz_free_advertise},
    {fuzz_advert, fuzz_free_advert},
    {fuzz_share, fuzz_free_share},
    {fuzz_shares, fuzz_free_shares},
    {fuzz_mask, fuzz_free_mask},
    {fuzz_masked_input, fuzz_free_masked_input},
    {fuzz_agree, fuzz_free_agree},
    {fuzz_agreement, fuzz_free_agreement},
    {fuzz_unmask, fuzz_free_unmask},
    {fuzz_unmasking, fuzz_free_unmasking},
    {fuzz_sum, fuzz_free_sum},
};

static void expect(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ProtobufCMessage *first = NULL;
    ProtobufCMessage *second = NULL;
    uint8_t *once = NULL;
    uint8_t *twice = NULL;
    size_t once_count = 0;
    size_t twice_count = 0;
    if (size == 0)
        return 0;
    size_t kind = data[0] % (sizeof(fuzz_kinds) / sizeof(fuzz_kinds[0]));
    struct error *err = fuzz_kinds[kind].decode(data + 1, size - 1, &first);
    if (err != NULL) {
        expect(first == NULL && err->sentence[0] != '\0');
        error_free(err);
        return 0;
    }
    expect(wire_encode(first, &once, &once_count) == NULL);
    expect(fuzz_kinds[kind].decode(once, once_count, &second) == NULL);
    expect(wire_encode(second, &twice, &twice_count) == NULL);
    expect(once_count == twice_count && memcmp(once, twice, once_count) == 0);
    fuzz_kinds[kind].release(first);
    fuzz_kinds[kind].release(second);
    free(once);
    free(twice);
    return 0;
}
