/* Mask: every field of the message spoilt once, and the receipt that each message of the steps presents. A mask's attempt can be
 * any that the round still has, so that what tells a wrong one is the slot that was used (test_mask_step.c); the sum in it
 * is test_secagg_model.c's, and what may be seen without a job is test_wire_secagg.c's. */
#include "tests/unit/datasite/company.h"

#define RELEASED FDS__MESSAGE_TYPE__MESSAGE_RELEASED

typedef void mask_change(struct company *company, Fds__Mask *mask);

struct field {
    const char *name;
    mask_change *change;
    enum error_code code;
    const char *sentence;
};

#define CHANGE(name, statement)                                                                              \
    static void mask_##name(struct company *company, Fds__Mask *mask)                                        \
    {                                                                                                        \
        (void)company;                                                                                       \
        statement;                                                                                           \
    }

/* The shares stay where they were. */
static void leave_out(Fds__Mask *mask, uint32_t position)
{
    size_t kept = 0;
    for (size_t i = 0; i < mask->n_sharers; i++)
        if (mask->sharers[i] != position)
            mask->sharers[kept++] = mask->sharers[i];
    mask->n_sharers = kept;
}

static uint32_t last_partner(const struct company *company)
{
    return company->own == COMPANY_SITES ? COMPANY_SITES - 1 : COMPANY_SITES;
}

CHANGE(job, mask->job_id.data[0] ^= 1)
CHANGE(run, mask->run_id.data[0] ^= 1)
CHANGE(round, mask->round = 2)
CHANGE(round_beyond, mask->round = COMPANY_ROUNDS + 2)
CHANGE(attempt, mask->attempt = 8)
CHANGE(slot, mask->slot = 1)
CHANGE(slot_unknown, mask->slot = 100)
CHANGE(model, mask->model_digest.data[0] ^= 1)
CHANGE(parameters, mask->parameters = company_copy("\0\0\0\0\0\0\0", 8))
CHANGE(sharer_less, leave_out(mask, last_partner(company)))
CHANGE(sharers_few, leave_out(mask, last_partner(company)); leave_out(mask, company->own == 1 ? 2 : 1);
       mask->sealed.len = (size_t)2 * SECAGG_SEALED_BYTES)
CHANGE(sharer_own, leave_out(mask, company->own); mask->sealed.len -= SECAGG_SEALED_BYTES)
CHANGE(sharer_foreign, mask->sharers[COMPANY_SITES - 1] = COMPANY_SITES + 1)
CHANGE(sealed, mask->sealed.data[SECAGG_SEALED_BYTES + 7] ^= 1)
CHANGE(sealed_shorter, mask->sealed.len -= SECAGG_SEALED_BYTES)
CHANGE(sealed_uneven, mask->sealed.len--)

static const struct field fields[] = {
    {"job", mask_job, ERROR_NOT_FOUND, "There is no job"},
    {"run", mask_run, ERROR_REFUSED,
     "This run never began at this site: its first message must be an Advertise."},
    {"round", mask_round, ERROR_NOT_FOUND, "lacks the sums from round 1 to round 1"},
    {"a round that there is not", mask_round_beyond, ERROR_REFUSED, "outside the 3 rounds"},
    {"attempt", mask_attempt, ERROR_INVALID, "Mask: attempt must be from 0 to 7."},
    {"slot", mask_slot, ERROR_UNTRUSTED, "The shares from site "},
    {"a slot that there is not", mask_slot_unknown, ERROR_REFUSED,
     "This site has not shared the secrets of slot 100."},
    {"model_digest", mask_model, ERROR_REFUSED, "is to start from another model than the one that this site"},
    {"parameters", mask_parameters, ERROR_INVALID,
     "Parameters come only where the job names its initial model by its SHA-256."},
    {"a sharer less", mask_sharer_less, ERROR_INVALID,
     "Mask: sealed must have from 1 to 3 elements of 98 bytes; 392 bytes do not."},
    {"too few sharers", mask_sharers_few, ERROR_REFUSED, "Only 3 sites take part in this attempt"},
    {"sharers without this site", mask_sharer_own, ERROR_INVALID, " is not among the sharers."},
    {"a sharer of no job", mask_sharer_foreign, ERROR_INVALID,
     "Mask: sharers must be positions from 1 to 5, the sites of the job."},
    {"sealed", mask_sealed, ERROR_UNTRUSTED, "The shares from site "},
    {"a share less", mask_sealed_shorter, ERROR_INVALID,
     "Mask: sealed has fewer shares than sharers that are neighbours."},
    {"a part of a share", mask_sealed_uneven, ERROR_INVALID,
     "Mask: sealed must have from 1 to 4 elements of 98 bytes; 391 bytes do not."},
};

static Fds__Mask *mask_message(struct company *company)
{
    return company_mask_message(company, 0, 0, COMPANY_SITES);
}

static void test_request_mask_with_a_field_spoilt_refused_and_nothing_released(void **state)
{
    struct company *company = *state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        int64_t before = site_released(company->site);
        Fds__Mask *mask = mask_message(company);
        print_message("%s\n", fields[i].name);
        fields[i].change(company, mask);
        site_expect_refusal(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_MASK, &mask->base),
                            fields[i].code, fields[i].sentence);
        assert_int_equal(site_released(company->site), before);
        wire_mask_free(mask);
    }
    Fds__Mask *mask = mask_message(company);
    site_expect_type(company_say(company, FDS__MESSAGE_TYPE__MESSAGE_MASK, &mask->base),
                     FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    wire_mask_free(mask);
}

/* ---- the receipt that a message presents ---- */

struct presented {
    Fds__Witness witness;
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
};

/* Of the site's newest event. */
static void present(struct company *company, struct presented *presented)
{
    fds__witness__init(&presented->witness);
    must(store_head(company->site->store, &presented->head, presented->signature));
    presented->witness.sequence = presented->head.sequence;
    presented->witness.head = (ProtobufCBinaryData){DIGEST_BYTES, presented->head.hash.bytes};
    presented->witness.signature = (ProtobufCBinaryData){SIGNATURE_BYTES, presented->signature};
}

/* With each field of its witness spoilt, and then with a true one. */
static struct reply say_presenting(struct company *company, uint32_t type, const ProtobufCMessage *message,
                                   Fds__Witness **place, uint32_t answer)
{
    struct presented presented;
    for (int field = 0; field < 3; field++) {
        present(company, &presented);
        presented.witness.sequence += field == 0;
        presented.head.hash.bytes[3] ^= field == 1;
        presented.signature[3] ^= field == 2;
        *place = &presented.witness;
        site_expect_refusal(company_say(company, type, message), ERROR_UNTRUSTED,
                            "The receipt that came with this request is not one of this site");
    }
    present(company, &presented);
    struct reply reply = company_say(company, type, message);
    *place = NULL;
    company_expect(&reply, answer);
    return reply;
}

static void test_request_secagg_with_a_witness_spoilt_refused_at_every_step(void **state)
{
    struct company *company = *state;
    Fds__Advertise advertise = FDS__ADVERTISE__INIT;
    company_partners_advertise(company, 0);
    advertise.job_id = (ProtobufCBinaryData){DIGEST_BYTES, company->site->job_id.bytes};
    advertise.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, company->site->run};
    advertise.count = COMPANY_BATCH;
    company_take_advert(company,
                        say_presenting(company, FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE, &advertise.base,
                                       &advertise.witness, FDS__MESSAGE_TYPE__MESSAGE_ADVERT));
    Fds__Share *share = company_share_message(company);
    company_take_shares(company, say_presenting(company, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &share->base,
                                                &share->witness, FDS__MESSAGE_TYPE__MESSAGE_SHARES));
    wire_share_free(share);
    Fds__Mask *mask = mask_message(company);
    company_take_vector(
        company,
        say_presenting(company, FDS__MESSAGE_TYPE__MESSAGE_MASK, &mask->base, &mask->witness, RELEASED),
        COMPANY_SITES);
    wire_mask_free(mask);
    Fds__Agree *agree = company_agree_message(company);
    company_take_agreement(company, say_presenting(company, FDS__MESSAGE_TYPE__MESSAGE_AGREE, &agree->base,
                                                   &agree->witness, FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT));
    wire_agree_free(agree);
    Fds__Unmask *unmask = company_unmask_message(company);
    company_take_unmasking(company, say_presenting(company, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &unmask->base,
                                                   &unmask->witness, FDS__MESSAGE_TYPE__MESSAGE_UNMASKING));
    wire_unmask_free(unmask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_request_mask_with_a_field_spoilt_refused_and_nothing_released,
                                        company_begun, company_remove),
        cmocka_unit_test_setup_teardown(test_request_secagg_with_a_witness_spoilt_refused_at_every_step,
                                        company_make, company_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
