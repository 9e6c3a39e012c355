#include "tests/unit/audit/sample.h"

#include "tests/vectors/audit_chain.h"

static const struct digest sample_job = {{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                          16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}};
static const struct digest sample_body = {{100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110,
                                           111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121,
                                           122, 123, 124, 125, 126, 127, 128, 129, 130, 131}};
static const uint8_t sample_run[CHAIN_RUN_ID_BYTES] = {64, 65, 66, 67, 68, 69, 70, 71,
                                                       72, 73, 74, 75, 76, 77, 78, 79};

struct chain_event sample_event(uint64_t sequence)
{
    const struct chain_event events[SAMPLE_EVENTS] = {
        {.at = 1790000000, .kind = "site-created", .detail = "Hôpital d'essai"},
        {.at = 1790000060, .kind = "job-received", .job_id = &sample_job, .detail = "from a researcher"},
        {.at = 1790000120,
         .kind = "update-released",
         .job_id = &sample_job,
         .run_id = sample_run,
         .round = 3,
         .detail = "",
         .digest = &sample_body},
        {.at = -1, .kind = "serve-stopped", .round = UINT32_MAX, .detail = "before the clock was set"},
    };
    assert_in_range(sequence, 1, SAMPLE_EVENTS);
    struct chain_event event = events[sequence - 1];
    event.sequence = sequence;
    return event;
}

struct digest sample_hash(uint64_t sequence)
{
    struct digest hash;
    assert_true(digest_parse(vector_hashes[sequence], &hash));
    return hash;
}

void sample_key(uint8_t ret_key[static PUBLIC_KEY_BYTES])
{
    assert_int_equal(scratch_hex(VECTOR_PUBLIC_KEY, ret_key), PUBLIC_KEY_BYTES);
}

struct site_id sample_site(void)
{
    struct site_id site;
    assert_true(digest_parse(VECTOR_SITE, &site.digest));
    return site;
}

struct receipt sample_receipt(void)
{
    struct receipt receipt = {.site = sample_site(),
                              .job_id = sample_job,
                              .round = 3,
                              .kind = RECEIPT_UPDATE,
                              .digest = sample_body,
                              .body_bytes = 1234,
                              .protections = VECTOR_PROTECTIONS,
                              .sequence = 3,
                              .head = sample_hash(3),
                              .at = 1790000121};
    sample_key(receipt.public_key);
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        receipt.approval.bytes[i] = (uint8_t)(200 + i);
    memcpy(receipt.run_id, sample_run, sizeof(sample_run));
    (void)scratch_hex(VECTOR_HEAD_SIGNATURE, receipt.head_signature);
    (void)scratch_hex(VECTOR_RECEIPT_SIGNATURE, receipt.signature);
    return receipt;
}

struct identity *sample_identity(const char *directory)
{
    char keys[SCRATCH_PATH_BYTES];
    struct identity *identity = NULL;
    succeeds(identity_create(scratch_path(directory, "keys", keys), "site", &identity));
    return identity;
}

struct receipt sample_receipt_of(const struct identity *identity, uint32_t round)
{
    struct receipt receipt = sample_receipt();
    receipt.site = *identity_id(identity);
    receipt.round = round;
    struct chain_head head = {receipt.site, receipt.sequence, receipt.head};
    succeeds(chain_head_sign(identity, &head, receipt.head_signature));
    succeeds(receipt_sign(identity, &receipt));
    return receipt;
}
