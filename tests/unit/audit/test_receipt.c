#include "tests/unit/audit/sample.h"

static void test_receipt_of_the_vectors_verifies(void **state)
{
    (void)state;
    struct receipt receipt = sample_receipt();
    succeeds(receipt_verify(&receipt));
}

static void test_receipt_survives_its_message(void **state)
{
    (void)state;
    struct receipt receipt = sample_receipt(), again;
    uint8_t *bytes = NULL;
    size_t count = 0;
    succeeds(receipt_encode(&receipt, &bytes, &count));
    assert_in_range(count, 1, RECEIPT_MAX_BYTES);
    succeeds(receipt_decode(bytes, count, &again));
    succeeds(receipt_verify(&again));
    assert_true(site_id_equal(&again.site, &receipt.site));
    free(bytes);
}

/* Flips one bit in each field that is signed. */
static void test_receipt_with_one_field_changed_is_refused(void **state)
{
    (void)state;
    struct receipt receipt;
    const struct {
        void *field;
        const char *words;
    } fields[] = {
        {receipt.public_key, "not the key of the site"},
        {receipt.site.digest.bytes, "not the key of the site"},
        {receipt.approval.bytes, "of the receipt"},
        {receipt.job_id.bytes, "of the receipt"},
        {receipt.run_id, "of the receipt"},
        {&receipt.round, "of the receipt"},
        {&receipt.kind, "of the receipt"},
        {receipt.digest.bytes, "of the receipt"},
        {&receipt.body_bytes, "of the receipt"},
        {receipt.protections, "of the receipt"},
        {&receipt.sequence, "of the receipt"},
        {receipt.head.bytes, "of the receipt"},
        {receipt.head_signature, "of the head"},
        {&receipt.at, "of the receipt"},
        {receipt.signature, "of the receipt"},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        receipt = sample_receipt();
        *(uint8_t *)fields[i].field ^= 1;
        struct error *err = receipt_verify(&receipt);
        if (err == NULL)
            fail_msg("field %zu of the receipt is not signed", i);
        fails_saying(err, ERROR_UNTRUSTED, fields[i].words);
    }
}

static void test_receipt_re_signed_by_another_site_is_of_that_site(void **state)
{
    struct identity *identity = sample_identity(*state);
    struct receipt receipt = sample_receipt();
    succeeds(receipt_sign(identity, &receipt));
    fails_saying(receipt_verify(&receipt), ERROR_UNTRUSTED, "head");
    assert_true(site_id_equal(&receipt.site, identity_id(identity)));
    identity_free(identity);
}

/* A receipt of `body` that a release gave. */
static struct receipt receipt_for(const struct identity *identity, const uint8_t *body, size_t bytes)
{
    struct receipt receipt = sample_receipt_of(identity, 3);
    succeeds(digest_of(body, bytes, &receipt.digest));
    receipt.body_bytes = bytes;
    succeeds(receipt_sign(identity, &receipt));
    return receipt;
}

static void test_receipt_of_these_bytes_fits_the_release_and_no_other(void **state)
{
    static const uint8_t body[] = "what left the building";
    struct identity *identity = sample_identity(*state);
    struct receipt receipt = receipt_for(identity, body, sizeof(body));
    struct site_id site = receipt.site, other_site = sample_site();
    struct digest job = receipt.job_id, other_job = receipt.approval;
    uint8_t run[RECEIPT_RUN_ID_BYTES], other_run[RECEIPT_RUN_ID_BYTES] = {0};
    memcpy(run, receipt.run_id, sizeof(run));
    succeeds(receipt_verify_release(&receipt, &site, &job, run, 3, RECEIPT_UPDATE, body, sizeof(body)));
    fails_saying(
        receipt_verify_release(&receipt, &other_site, &job, run, 3, RECEIPT_UPDATE, body, sizeof(body)),
        ERROR_UNTRUSTED, "another site");
    fails_saying(
        receipt_verify_release(&receipt, &site, &other_job, run, 3, RECEIPT_UPDATE, body, sizeof(body)),
        ERROR_UNTRUSTED, "another job");
    fails_saying(
        receipt_verify_release(&receipt, &site, &job, other_run, 3, RECEIPT_UPDATE, body, sizeof(body)),
        ERROR_UNTRUSTED, "another job or run");
    fails_saying(receipt_verify_release(&receipt, &site, &job, run, 2, RECEIPT_UPDATE, body, sizeof(body)),
                 ERROR_UNTRUSTED, "another round");
    fails_saying(
        receipt_verify_release(&receipt, &site, &job, run, 3, RECEIPT_EVALUATION, body, sizeof(body)),
        ERROR_UNTRUSTED, "another kind");
    fails_saying(
        receipt_verify_release(&receipt, &site, &job, run, 3, RECEIPT_UPDATE, body, sizeof(body) - 1),
        ERROR_UNTRUSTED, "other bytes");
    identity_free(identity);
}

static void test_receipt_gives_its_head_as_a_witness(void **state)
{
    (void)state;
    struct receipt receipt = sample_receipt();
    Fds__Witness witness;
    receipt_witness(&receipt, &witness);
    assert_int_equal(witness.sequence, 3);
    assert_int_equal(witness.head.len, DIGEST_BYTES);
    assert_memory_equal(witness.head.data, receipt.head.bytes, DIGEST_BYTES);
    assert_memory_equal(witness.signature.data, receipt.head_signature, SIGNATURE_BYTES);
}

static void test_receipt_message_out_of_range_is_refused(void **state)
{
    (void)state;
    struct receipt receipt = sample_receipt(), again;
    uint8_t *bytes = NULL;
    size_t count = 0;
    receipt.round = 0;
    succeeds(receipt_encode(&receipt, &bytes, &count));
    fails_saying(receipt_decode(bytes, count, &again), ERROR_INVALID, "round");
    free(bytes);
    receipt = sample_receipt();
    receipt.protections[3] = '\x1b';
    succeeds(receipt_encode(&receipt, &bytes, &count));
    fails_saying(receipt_decode(bytes, count, &again), ERROR_INVALID, "protections");
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receipt_of_the_vectors_verifies),
        cmocka_unit_test(test_receipt_survives_its_message),
        cmocka_unit_test(test_receipt_with_one_field_changed_is_refused),
        SCRATCH_TEST(test_receipt_re_signed_by_another_site_is_of_that_site),
        SCRATCH_TEST(test_receipt_of_these_bytes_fits_the_release_and_no_other),
        cmocka_unit_test(test_receipt_gives_its_head_as_a_witness),
        cmocka_unit_test(test_receipt_message_out_of_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
