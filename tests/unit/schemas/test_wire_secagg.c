/* The messages of secure aggregation: read as written, and every field corrupted once. */
#include "schemas/job.h"
#include "tests/unit/schemas/refusal.h"
#include "tests/unit/schemas/secagg_sample.h"
#include "tests/unit/schemas/wire_kind.h"

WIRE_KIND(advertise, Advertise)
WIRE_KIND(advert, Advert)
WIRE_KIND(share, Share)
WIRE_KIND(shares, Shares)
WIRE_KIND(mask, Mask)
WIRE_KIND(masked_input, MaskedInput)
WIRE_KIND(agree, Agree)
WIRE_KIND(agreement, Agreement)
WIRE_KIND(unmask, Unmask)
WIRE_KIND(unmasking, Unmasking)
WIRE_KIND(sum, Sum)

static const struct wire_kind kinds[] = {
    WIRE_KIND_ROW("Advertise", struct secagg_sample, advertise, advertise),
    WIRE_KIND_ROW("Advert", struct secagg_sample, advert, advert),
    WIRE_KIND_ROW("Share", struct secagg_sample, share, share),
    WIRE_KIND_ROW("Shares", struct secagg_sample, shares, shares),
    WIRE_KIND_ROW("Mask", struct secagg_sample, mask, mask),
    WIRE_KIND_ROW("MaskedInput", struct secagg_sample, masked_input, masked_input),
    WIRE_KIND_ROW("Agree", struct secagg_sample, agree, agree),
    WIRE_KIND_ROW("Agreement", struct secagg_sample, agreement, agreement),
    WIRE_KIND_ROW("Unmask", struct secagg_sample, unmask, unmask),
    WIRE_KIND_ROW("Unmasking", struct secagg_sample, unmasking, unmasking),
    WIRE_KIND_ROW("Sum", struct secagg_sample, sum, sum),
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void test_wire_secagg_every_kind_is_read_as_written(void **state)
{
    (void)state;
    struct secagg_sample s;
    secagg_sample_make(&s);
    wire_kinds_check_again(kinds, KINDS, &s);
}

/* What may be absent is. */
static void test_wire_secagg_every_kind_at_its_least_is_read(void **state)
{
    (void)state;
    struct secagg_sample s;
    secagg_sample_make(&s);
    s.advertise.witness = s.share.witness = s.mask.witness = NULL;
    s.agree.witness = s.unmask.witness = s.sum.witness = NULL;
    s.advertise.first_slot = 0;
    s.mask.round = 1;
    s.mask.previous = NULL;
    s.mask.parameters = (ProtobufCBinaryData){.len = 16, .data = s.bytes};
    s.sum.n_inputs = s.sum.n_adverts = 0;
    s.sum.opened.len = 0;
    s.sum.round = 1;
    s.unmasking.revealed.len = 41;
    s.sealed[0].len = s.sealed[1].len = s.mask.sealed.len = 98;
    wire_kinds_check_again(kinds, KINDS, &s);
}

static void test_wire_secagg_ends_of_every_range_are_taken(void **state)
{
    (void)state;
    struct secagg_sample s;
    secagg_sample_make(&s);
    s.mask.round = s.masked_input.round = s.agree.round = s.agreement.round = 10001;
    s.unmask.round = s.unmasking.round = s.sum.round = 10001;
    s.previous.round = 10000;
    s.mask.attempt = s.masked_input.attempt = s.agree.attempt = s.agreement.attempt = 7;
    s.unmask.attempt = s.unmasking.attempt = s.sum.attempt = 7;
    s.advertise.first_slot = 4094;
    s.shares.first_slot = 4094;
    for (size_t i = 0; i < SAMPLE_SITES; i++)
        s.adverts[i].first_slot = 4094;
    s.sum.slot = s.previous.slot = 4095;
    s.mask.slot = s.agree.slot = s.unmask.slot = s.masked_input.slot = 4095;
    s.sharers[2] = s.contributors[2] = s.inputs[2].position = s.agreements[2].position = JOB_MAX_SITES;
    s.witness.sequence = s.advert.ledger_sequence = INT64_MAX;
    wire_kinds_check_again(kinds, KINDS, &s);
}

static void test_wire_secagg_truncated_at_every_byte_is_safe(void **state)
{
    (void)state;
    struct secagg_sample s;
    secagg_sample_make(&s);
    wire_kinds_check_truncated(kinds, KINDS, &s);
}

static void test_wire_secagg_with_a_bit_flipped_is_safe(void **state)
{
    (void)state;
    struct secagg_sample s;
    secagg_sample_make(&s);
    wire_kinds_check_flipped(kinds, KINDS, &s);
}

/* Changes one field of a valid message and expects its refusal. */
#define REFUSED(message, change, sentence)                                                                   \
    do {                                                                                                     \
        struct secagg_sample s;                                                                              \
        secagg_sample_make(&s);                                                                              \
        change;                                                                                              \
        wire_kinds_check_refused(kinds, KINDS, &s, &s.message, sentence);                                    \
    } while (0)

/* The fields that most messages have. */
#define REFUSED_RUN(message, Name)                                                                           \
    do {                                                                                                     \
        REFUSED(message, s.message.job_id.len = 31, Name ": job_id must have 32 bytes and has 31.");         \
        REFUSED(message, s.message.job_id.len = 33, Name ": job_id must have 32 bytes and has 33.");         \
        REFUSED(message, s.message.run_id.len = 0, Name ": run_id must have 16 bytes and has 0.");           \
        REFUSED(message, s.message.run_id.len = 17, Name ": run_id must have 16 bytes and has 17.");         \
    } while (0)

#define REFUSED_ATTEMPT(message, Name)                                                                       \
    do {                                                                                                     \
        REFUSED(message, s.message.round = 0, Name ": round must be from 1 to 10001.");                      \
        REFUSED(message, s.message.round = 10002, Name ": round must be from 1 to 10001.");                  \
        REFUSED(message, s.message.attempt = 8, Name ": attempt must be from 0 to 7.");                      \
    } while (0)

#define REFUSED_SLOT(message, Name)                                                                          \
    REFUSED(message, s.message.slot = 4096, Name ": slot must be from 0 to 4095.")

#define REFUSED_WITNESS(message, Name)                                                                       \
    do {                                                                                                     \
        REFUSED(message, s.witness.sequence = 0, Name ": witness.sequence must be from 1 to");               \
        REFUSED(message, s.witness.head.len = 31, Name ": witness.head must have 32 bytes");                 \
        REFUSED(message, s.witness.signature.len = 63, Name ": witness.signature must have 64 bytes");       \
    } while (0)

#define REFUSED_AGREEMENTS(message, Name)                                                                    \
    do {                                                                                                     \
        REFUSED(message, s.message.n_agreements = 0, Name ": agreements must be from 3 to 1000 and are 0."); \
        REFUSED(message, s.message.n_agreements = 2, Name ": agreements must be from 3 to 1000 and are 2."); \
        REFUSED(message, s.agreements[0].position = 0, Name ": agreements must be positions from 1 to");     \
        REFUSED(message, s.agreements[1].position = 1, Name ": agreements must be positions from 1 to");     \
        REFUSED(message, s.agreements[2].position = 1001, Name ": agreements must be positions from 1 to");  \
        REFUSED(message, s.agreements[1].public_key.len = 33, Name ": agreements.public_key must have 32");  \
        REFUSED(message, s.agreements[2].signature.len = 63, Name ": agreements.signature must have 64");    \
    } while (0)

static void test_wire_secagg_advertise_corrupted_is_refused(void **state)
{
    (void)state;
    REFUSED_RUN(advertise, "Advertise");
    REFUSED_WITNESS(advertise, "Advertise");
    REFUSED(advertise, s.advertise.first_slot = 4096, "Advertise: first_slot must be from 0 to 4095.");
    REFUSED(advertise, s.advertise.first_slot = UINT32_MAX, "Advertise: first_slot must be from 0 to 4095.");
    REFUSED(advertise, s.advertise.count = 0, "Advertise: count must be from 1 to 64.");
    REFUSED(advertise, s.advertise.count = 65, "Advertise: count must be from 1 to 64.");
    REFUSED(advertise, s.advertise.first_slot = 4095, "Advertise: count leads beyond the 4096 slots");
}

static void test_wire_secagg_advert_corrupted_is_refused(void **state)
{
    (void)state;
    REFUSED_RUN(advert, "Advert");
    REFUSED(advert, s.advert.first_slot = 4096, "Advert: first_slot must be from 0 to 4095.");
    REFUSED(advert, s.advert.first_slot = 4095, "Advert: count leads beyond the 4096 slots");
    REFUSED(advert, s.advert.count = 0, "Advert: count must be from 1 to 64.");
    REFUSED(advert, s.advert.count = 65, "Advert: count must be from 1 to 64.");
    REFUSED(advert, s.advert.count = 1, "Advert: entries must have 96 bytes and has 192.");
    REFUSED(advert, s.advert.public_key.len = 31, "Advert: public_key must have 32 bytes");
    REFUSED(advert, s.advert.ledger_sequence = 0, "Advert: ledger_sequence must be from 1 to");
    REFUSED(advert, s.advert.ledger_sequence = UINT64_MAX, "Advert: ledger_sequence must be from 1 to");
    REFUSED(advert, s.advert.ledger_head.len = 0, "Advert: ledger_head must have 32 bytes");
    REFUSED(advert, s.advert.entries.len = 191, "Advert: entries must have 192 bytes and has 191.");
    REFUSED(advert, s.advert.entries.len = 0, "Advert: entries must have 192 bytes and has 0.");
    REFUSED(advert, s.advert.signature.len = 65, "Advert: signature must have 64 bytes");
}

static void test_wire_secagg_share_corrupted_is_refused(void **state)
{
    (void)state;
    REFUSED_RUN(share, "Share");
    REFUSED_WITNESS(share, "Share");
    REFUSED(share, s.share.n_adverts = 2, "Share: adverts must be from 3 to 1000 and are 2.");
    REFUSED(share, s.share.n_adverts = 0, "Share: adverts must be from 3 to 1000 and are 0.");
    REFUSED(share, s.adverts[1].job_id.data = s.bytes + 1, "Share: adverts.job_id is of another job or run");
    REFUSED(share, s.adverts[2].run_id.data = s.bytes + 1, "Share: adverts.run_id is of another job or run");
    REFUSED(share, s.adverts[2].first_slot = 6, "Share: adverts must be of the same slots.");
    REFUSED(share, (s.adverts[2].count = 1, s.adverts[2].entries.len = 96),
            "Share: adverts must be of the same slots.");
    REFUSED(share, s.adverts[0].entries.len = 96, "Advert: entries must have 192 bytes");
}

static void test_wire_secagg_share_of_too_many_adverts_is_refused(void **state)
{
    (void)state;
    static Fds__Advert *many[JOB_MAX_SITES + 1];
    struct secagg_sample s;
    secagg_sample_make(&s);
    for (size_t i = 0; i <= JOB_MAX_SITES; i++)
        many[i] = &s.adverts[0];
    s.share.adverts = many;
    s.share.n_adverts = JOB_MAX_SITES + 1;
    wire_kinds_check_refused(kinds, KINDS, &s, &s.share,
                             "Share: adverts must be from 3 to 1000 and are 1001.");
}

static void test_wire_secagg_shares_corrupted_is_refused(void **state)
{
    (void)state;
    static ProtobufCBinaryData many[65];
    static uint8_t wide[98 * 1000];
    REFUSED_RUN(shares, "Shares");
    REFUSED(shares, s.shares.first_slot = 4096, "Shares: first_slot must be from 0 to 4095.");
    REFUSED(shares, s.shares.first_slot = 4095, "Shares: sealed must be of 1 to 64 slots, within the 4096");
    REFUSED(shares, s.shares.n_sealed = 0, "Shares: sealed must be of 1 to 64 slots");
    REFUSED(
        shares,
        {
            for (size_t i = 0; i < 65; i++)
                many[i] = s.sealed[0];
            s.shares.sealed = many;
            s.shares.n_sealed = 65;
        },
        "Shares: sealed must be of 1 to 64 slots");
    REFUSED(shares, s.sealed[1].len = 97, "Shares: sealed must have from 1 to 999 elements of 98 bytes; 97");
    REFUSED(shares, s.sealed[1].len = 0, "Shares: sealed must have from 1 to 999 elements of 98 bytes; 0");
    REFUSED(shares, (s.sealed[0].data = wide, s.sealed[0].len = sizeof(wide)),
            "Shares: sealed must have from 1 to 999 elements of 98 bytes; 98000");
}

static void test_wire_secagg_mask_corrupted_is_refused(void **state)
{
    (void)state;
    static uint8_t three[3 * 98];
    static uint8_t nan[8] = {0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
    REFUSED_RUN(mask, "Mask");
    REFUSED_ATTEMPT(mask, "Mask");
    REFUSED_SLOT(mask, "Mask");
    REFUSED_WITNESS(mask, "Mask");
    REFUSED(mask, s.mask.model_digest.len = 31, "Mask: model_digest must have 32 bytes");
    REFUSED(mask, s.mask.parameters = s.words[0], "Mask: parameters can be given in round 1 alone.");
    REFUSED(mask,
            (s.mask.round = 1, s.mask.previous = NULL,
             s.mask.parameters = (ProtobufCBinaryData){.len = 7, .data = s.bytes}),
            "Mask: parameters must be float64 values of 8 bytes each");
    REFUSED(mask,
            (s.mask.round = 1, s.mask.previous = NULL,
             s.mask.parameters = (ProtobufCBinaryData){.len = 8, .data = nan}),
            "Mask: parameters must be finite");
    REFUSED(mask, s.mask.n_sharers = 0, "Mask: sharers must name from 3 to 1000 sites and names 0.");
    REFUSED(mask, s.mask.n_sharers = 2, "Mask: sharers must name from 3 to 1000 sites and names 2.");
    REFUSED(mask, s.sharers[0] = 0, "Mask: sharers must be positions from 1 to 1000, each above");
    REFUSED(mask, s.sharers[2] = 2, "Mask: sharers must be positions from 1 to 1000, each above");
    REFUSED(mask, s.sharers[2] = 1001, "Mask: sharers must be positions from 1 to 1000, each above");
    REFUSED(mask, s.mask.sealed.len = 97, "Mask: sealed must have from 1 to 2 elements of 98 bytes");
    REFUSED(mask, s.mask.sealed.len = 0, "Mask: sealed must have from 1 to 2 elements of 98 bytes");
    REFUSED(mask, (s.mask.sealed.data = three, s.mask.sealed.len = sizeof(three)),
            "Mask: sealed must have from 1 to 2 elements of 98 bytes; 294");
}

static void test_wire_secagg_mask_with_another_sum_is_refused(void **state)
{
    (void)state;
    REFUSED(mask, s.previous.round = 3, "Mask: previous must be the sum of the round before.");
    REFUSED(mask, s.previous.round = 1, "Mask: previous must be the sum of the round before.");
    REFUSED(mask, (s.mask.round = 1, s.previous.round = 1),
            "Mask: previous must be the sum of the round before.");
    REFUSED(mask, s.previous.witness = &s.witness, "Mask: previous must have no witness");
    REFUSED(mask, (s.previous.run_id.data = s.bytes + 1, s.previous.n_adverts = 0),
            "Mask: previous.run_id is of another job or run");
    REFUSED(mask, (s.previous.job_id.data = s.bytes + 1, s.previous.n_adverts = 0),
            "Mask: previous.job_id is of another job or run");
    REFUSED(mask, s.previous.words.len = 0, "Sum: words must be words of 4 or 8 bytes");
}

static void test_wire_secagg_masked_input_corrupted_is_refused(void **state)
{
    (void)state;
    REFUSED_RUN(masked_input, "MaskedInput");
    REFUSED_ATTEMPT(masked_input, "MaskedInput");
    REFUSED_SLOT(masked_input, "MaskedInput");
    REFUSED(masked_input, s.masked_input.context.len = 33, "MaskedInput: context must have 32 bytes");
    REFUSED(masked_input, s.masked_input.words.len = 0, "MaskedInput: words must be words of 4 or 8 bytes");
    REFUSED(masked_input, s.masked_input.words.len = 23, "MaskedInput: words must be words of 4 or 8 bytes");
    REFUSED(masked_input, s.masked_input.signature.len = 0, "MaskedInput: signature must have 64 bytes");
}

static void test_wire_secagg_agree_corrupted_is_refused(void **state)
{
    (void)state;
    REFUSED_RUN(agree, "Agree");
    REFUSED_ATTEMPT(agree, "Agree");
    REFUSED_SLOT(agree, "Agree");
    REFUSED_WITNESS(agree, "Agree");
    REFUSED(agree, s.agree.n_inputs = 2, "Agree: inputs must be from 3 to 1000 and are 2.");
    REFUSED(agree, s.inputs[0].position = 0, "Agree: inputs must be positions from 1 to 1000, each above");
    REFUSED(agree, s.inputs[1].position = 3, "Agree: inputs must be positions from 1 to 1000, each above");
    REFUSED(agree, s.inputs[2].position = 1001, "Agree: inputs must be positions from 1 to 1000, each above");
    REFUSED(agree, s.inputs[0].digest.len = 31, "Agree: inputs.digest must have 32 bytes");
    REFUSED(agree, s.inputs[2].signature.len = 65, "Agree: inputs.signature must have 64 bytes");
}

static void test_wire_secagg_agreement_corrupted_is_refused(void **state)
{
    (void)state;
    REFUSED_RUN(agreement, "Agreement");
    REFUSED_ATTEMPT(agreement, "Agreement");
    REFUSED(agreement, s.agreement.signature.len = 63, "Agreement: signature must have 64 bytes");
}

static void test_wire_secagg_unmask_corrupted_is_refused(void **state)
{
    (void)state;
    REFUSED_RUN(unmask, "Unmask");
    REFUSED_ATTEMPT(unmask, "Unmask");
    REFUSED_SLOT(unmask, "Unmask");
    REFUSED_WITNESS(unmask, "Unmask");
    REFUSED_AGREEMENTS(unmask, "Unmask");
}

static void test_wire_secagg_unmasking_corrupted_is_refused(void **state)
{
    (void)state;
    static uint8_t wide[41 * 1001];
    REFUSED_RUN(unmasking, "Unmasking");
    REFUSED_ATTEMPT(unmasking, "Unmasking");
    REFUSED(unmasking, s.unmasking.revealed.len = 0, "Unmasking: revealed must have from 1 to 1000 elements");
    REFUSED(unmasking, s.unmasking.revealed.len = 40,
            "Unmasking: revealed must have from 1 to 1000 elements of 41 bytes; 40 bytes do not.");
    REFUSED(unmasking, (s.unmasking.revealed.data = wide, s.unmasking.revealed.len = sizeof(wide)),
            "Unmasking: revealed must have from 1 to 1000 elements");
    REFUSED(unmasking, s.revealed[41] = 0, "Unmasking: revealed must have kinds 1 (b) and 2 (s) alone.");
    REFUSED(unmasking, s.revealed[82] = 3, "Unmasking: revealed must have kinds 1 (b) and 2 (s) alone.");
}

static void test_wire_secagg_sum_corrupted_is_refused(void **state)
{
    (void)state;
    static uint8_t nan[8] = {0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
    REFUSED_RUN(sum, "Sum");
    REFUSED_ATTEMPT(sum, "Sum");
    REFUSED_SLOT(sum, "Sum");
    REFUSED_WITNESS(sum, "Sum");
    REFUSED_AGREEMENTS(sum, "Sum");
    REFUSED(sum, s.sum.keyset_hash.len = 31, "Sum: keyset_hash must have 32 bytes");
    REFUSED(sum, s.sum.n_sharers = 2, "Sum: sharers must name from 3 to 1000 sites");
    REFUSED(sum, s.sharers[1] = 1, "Sum: sharers must be positions");
    REFUSED(sum, s.sum.n_contributors = 2, "Sum: contributors must name from 3 to 1000 sites");
    REFUSED(sum, s.contributors[1] = 3, "Sum: contributors must be positions");
    REFUSED(sum, s.contributors[2] = 4, "Sum: contributors must be among the sharers.");
    REFUSED(sum, s.sharers[2] = 4, "Sum: contributors must be among the sharers.");
    REFUSED(sum, s.sum.inputs_digest.len = 0, "Sum: inputs_digest must have 32 bytes");
    REFUSED(sum, s.sum.words.len = 22, "Sum: words must be words of 4 or 8 bytes; 22 bytes are not.");
    REFUSED(sum, s.sum.signature.len = 63, "Sum: signature must have 64 bytes");
    REFUSED(sum, s.sum.public_key.len = 33, "Sum: public_key must have 32 bytes");
    REFUSED(sum, s.sum.parameters = s.words[0],
            "Sum: parameters can be given with the sum of round 1 alone.");
    REFUSED(sum, (s.sum.round = 1, s.sum.parameters = (ProtobufCBinaryData){.len = 7, .data = s.bytes}),
            "Sum: parameters must be float64 values of 8 bytes each");
    REFUSED(sum, (s.sum.round = 1, s.sum.parameters = (ProtobufCBinaryData){.len = 8, .data = nan}),
            "Sum: parameters must be finite");
}

static void test_wire_secagg_sum_with_wrong_evidence_is_refused(void **state)
{
    (void)state;
    REFUSED(sum, s.sum.n_inputs = 2, "Sum: inputs must be one of each contributor, or none.");
    REFUSED(sum, s.words[1].len = 16, "Sum: inputs must have 24 bytes and has 16.");
    REFUSED(sum, s.sum.opened.len = 64, "Sum: opened must have 96 bytes and has 64.");
    REFUSED(sum, s.sum.opened.len = 0, "Sum: opened must have 96 bytes and has 0.");
    REFUSED(sum, s.sum.n_inputs = 0, "Sum: opened must have 0 bytes and has 96.");
    REFUSED(sum, s.sum.n_adverts = 2, "Sum: adverts must be from 3 to 1000 and are 2.");
    REFUSED(sum, s.sum.slot = 3, "Sum: adverts must be of the slot's batch.");
    REFUSED(sum, s.sum.slot = 6, "Sum: adverts must be of the slot's batch.");
    REFUSED(sum, s.adverts[1].run_id.data = s.bytes + 1, "Sum: adverts.run_id is of another job or run");
    REFUSED(sum, s.adverts[1].signature.len = 1, "Advert: signature must have 64 bytes");
}

/* The airlock's envelope carries one of three. */
static void test_wire_secagg_masked_input_is_released(void **state)
{
    (void)state;
    struct secagg_sample s;
    Fds__Receipt receipt = FDS__RECEIPT__INIT;
    Fds__Released released = FDS__RELEASED__INIT;
    Fds__Released *decoded = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    static char protections[] = "secure aggregation";
    secagg_sample_make(&s);
    receipt.version = 1;
    receipt.public_key = receipt.approval = receipt.job_id = receipt.digest = receipt.head = s.advert.job_id;
    receipt.run_id = s.advert.run_id;
    receipt.round = receipt.kind = 3;
    receipt.body_bytes = 24;
    receipt.protections = protections;
    receipt.sequence = 9;
    receipt.head_signature = receipt.signature = s.advert.signature;
    released.type = FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT;
    released.body = s.words[0];
    released.receipt = &receipt;
    assert_done(wire_encode(&released.base, &bytes, &count));
    assert_done(wire_released_decode(bytes, count, &decoded));
    wire_released_free(decoded);
    free(bytes);
    decoded = NULL;
    released.type = FDS__MESSAGE_TYPE__MESSAGE_UNMASKING;
    assert_done(wire_encode(&released.base, &bytes, &count));
    assert_refused(wire_released_decode(bytes, count, &decoded), ERROR_INVALID,
                   "Released: type must be MESSAGE_UPDATE, MESSAGE_EVALUATION or MESSAGE_MASKED_INPUT.");
    assert_null(decoded);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_secagg_every_kind_is_read_as_written),
        cmocka_unit_test(test_wire_secagg_every_kind_at_its_least_is_read),
        cmocka_unit_test(test_wire_secagg_ends_of_every_range_are_taken),
        cmocka_unit_test(test_wire_secagg_truncated_at_every_byte_is_safe),
        cmocka_unit_test(test_wire_secagg_with_a_bit_flipped_is_safe),
        cmocka_unit_test(test_wire_secagg_advertise_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_advert_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_share_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_share_of_too_many_adverts_is_refused),
        cmocka_unit_test(test_wire_secagg_shares_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_mask_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_mask_with_another_sum_is_refused),
        cmocka_unit_test(test_wire_secagg_masked_input_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_agree_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_agreement_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_unmask_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_unmasking_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_sum_corrupted_is_refused),
        cmocka_unit_test(test_wire_secagg_sum_with_wrong_evidence_is_refused),
        cmocka_unit_test(test_wire_secagg_masked_input_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
