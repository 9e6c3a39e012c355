/* What follows from the datasite's vector: who contributed, shares, and the sum. */
#include "crypto/secagg_share.h"
#include "crypto/secagg_wire.h"
#include "datasite/store_secagg.h"
#include "tests/unit/datasite/crowd.h"

static ProtobufCBinaryData copy_of(const void *bytes, size_t count)
{
    ProtobufCBinaryData data = {count, malloc(count + 1)};
    assert_non_null(data.data);
    memcpy(data.data, bytes, count);
    return data;
}

static ProtobufCBinaryData job_id(const struct crowd *crowd)
{
    return (ProtobufCBinaryData){DIGEST_BYTES, crowd->site->job_id.bytes};
}

static ProtobufCBinaryData run_id(const struct crowd *crowd)
{
    return (ProtobufCBinaryData){STORE_RUN_ID_BYTES, crowd->site->run};
}

/* ---- vectors ---- */

void crowd_take_vector(struct crowd *crowd, struct reply reply)
{
    struct crowd_member *own = &crowd->members[crowd->own - 1];
    size_t bytes = mask_bytes(crowd->attempt.ring, crowd->attempt.words);
    struct secagg_round round;
    Fds__MaskedInput *input = NULL;
    struct reply opened = site_opened(crowd->site, reply);
    must(wire_masked_input_decode(opened.body, opened.body_bytes, &input));
    assert_int_equal(input->words.len, bytes);
    assert_memory_equal(input->context.data, crowd->attempt.context.bytes, DIGEST_BYTES);
    memcpy(own->input, input->words.data, bytes);
    must(store_secagg_round(crowd->site->store, &crowd->site->job_id, crowd->site->run, crowd->attempt.round,
                            &round));
    assert_int_equal(round.encoded_bytes, bytes);
    assert_memory_not_equal(round.encoded, own->input, bytes);
    mask_read(crowd->attempt.ring, round.encoded, crowd->attempt.words, own->plain);
    secagg_round_clear(&round);
    wire_masked_input_free(input);
    requests_reply_clear(&opened);
}

/* What a member has: steps up and down, and counts, that differ from those of the others. */
static void member_encode(struct crowd *crowd, uint32_t position)
{
    double to[SITE_PARAMETERS];
    uint64_t counts[CROWD_CELLS];
    for (size_t i = 0; i < SITE_PARAMETERS; i++)
        to[i] = crowd->model[i] + 0.001 * (double)position - 0.01 * (double)i;
    for (size_t i = 0; i < CROWD_CELLS; i++)
        counts[i] = position + i;
    must(secagg_vector_encode(&crowd->vector, crowd->model, to, counts, 100 + position,
                              crowd->members[position - 1].plain));
}

static void member_mask(struct crowd *crowd, uint32_t position)
{
    struct crowd_member *member = &crowd->members[position - 1];
    uint32_t slot = crowd->attempt.slot - crowd->keyset->first_slot;
    uint64_t words[CROWD_WORDS];
    member_encode(crowd, position);
    memcpy(words, member->plain, sizeof(words));
    must(secagg_input_mask(&crowd->attempt, position, &member->secrets[slot], words));
    mask_write(crowd->attempt.ring, words, crowd->attempt.words, member->input);
}

static void contribute(struct crowd *crowd, bool in_full)
{
    size_t bytes = mask_bytes(crowd->attempt.ring, crowd->attempt.words);
    uint64_t words[CROWD_WORDS];
    memset(crowd->plain, 0, sizeof(crowd->plain));
    memset(crowd->sum, 0, sizeof(crowd->sum));
    crowd->u3 = (struct secagg_set){.positions = crowd->contributors};
    for (uint32_t position = 1; position <= crowd->count; position++) {
        struct crowd_member *member = &crowd->members[position - 1];
        struct secagg_input *input = &crowd->inputs[crowd->u3.count];
        if (member->last < CROWD_MASKS || !secagg_set_has(crowd->u2, position))
            continue;
        if (in_full && position != crowd->own)
            member_mask(crowd, position);
        mask_read(crowd->attempt.ring, member->input, crowd->attempt.words, words);
        mask_add_words(crowd->attempt.ring, crowd->plain, member->plain, crowd->attempt.words);
        mask_add_words(crowd->attempt.ring, crowd->sum, words, crowd->attempt.words);
        input->position = position;
        must(digest_of(member->input, bytes, &input->digest));
        must(secagg_input_sign(member->identity, &crowd->attempt, &input->digest, input->signature));
        crowd->contributors[crowd->u3.count++] = position;
    }
}

void crowd_contribute(struct crowd *crowd)
{
    contribute(crowd, true);
}

void crowd_claim(struct crowd *crowd)
{
    contribute(crowd, false);
}

/* ---- agreements ---- */

struct reply crowd_agree(struct crowd *crowd)
{
    Fds__Agree message = FDS__AGREE__INIT;
    must(secagg_wire_make_inputs(crowd->inputs, crowd->u3.count, &message.inputs));
    message.job_id = job_id(crowd);
    message.run_id = run_id(crowd);
    message.round = crowd->attempt.round;
    message.attempt = crowd->attempt.attempt;
    message.slot = crowd->attempt.slot;
    message.n_inputs = crowd->u3.count;
    struct reply reply = crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_AGREE, &message.base);
    secagg_wire_free_inputs(message.inputs, crowd->u3.count);
    return reply;
}

void crowd_take_agreement(struct crowd *crowd, struct reply reply)
{
    Fds__Agreement *own = NULL;
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT)
        site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
    must(wire_agreement_decode(reply.body, reply.body_bytes, &own));
    must(secagg_agreement_body(&crowd->attempt, crowd->inputs, crowd->u3.count, body));
    crowd->agreement_count = 0;
    for (size_t i = 0; i < crowd->u3.count; i++) {
        uint32_t position = crowd->contributors[i];
        struct crowd_member *member = &crowd->members[position - 1];
        struct secagg_agreement *agreement = &crowd->agreements[crowd->agreement_count];
        if (member->last < CROWD_AGREES)
            continue;
        agreement->position = position;
        identity_public_key(member->identity, agreement->public_key);
        if (position == crowd->own)
            memcpy(agreement->signature, own->signature.data, SIGNATURE_BYTES);
        else
            must(secagg_sign(member->identity, SECAGG_AGREEMENT, body, sizeof(body), agreement->signature));
        crowd->agreement_count++;
    }
    must(secagg_agreements_verify(&crowd->run, body, crowd->agreements, crowd->agreement_count, NULL));
    wire_agreement_free(own);
    requests_reply_clear(&reply);
}

/* ---- shares ---- */

struct reply crowd_unmask(struct crowd *crowd)
{
    Fds__Unmask message = FDS__UNMASK__INIT;
    must(secagg_wire_make_agreements(crowd->agreements, crowd->agreement_count, &message.agreements));
    message.job_id = job_id(crowd);
    message.run_id = run_id(crowd);
    message.round = crowd->attempt.round;
    message.attempt = crowd->attempt.attempt;
    message.slot = crowd->attempt.slot;
    message.n_agreements = crowd->agreement_count;
    struct reply reply = crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &message.base);
    secagg_wire_free_agreements(message.agreements, crowd->agreement_count);
    return reply;
}

static void member_reveal(struct crowd *crowd, uint32_t position, struct secagg_revealed *plan, size_t count)
{
    struct crowd_member *member = &crowd->members[position - 1];
    uint32_t slot = crowd->attempt.slot - crowd->keyset->first_slot;
    crowd_shared(crowd, position);
    for (size_t i = 0; i < count; i++) {
        struct secagg_share share = member->own;
        if (plan[i].position != position)
            must(secagg_share_open(crowd->keyset, crowd->attempt.slot, position, plan[i].position,
                                   &member->secrets[slot], crowd_sealed(crowd, plan[i].position, position),
                                   &share));
        memcpy(plan[i].share, plan[i].kind == SECAGG_REVEAL_B ? share.b : share.s, SHAMIR_SHARE_BYTES);
    }
}

static struct secagg_unmasking unmasking_of(struct crowd *crowd, uint32_t position, const Fds__Unmasking *own)
{
    struct secagg_revealed *plan = NULL;
    size_t count = 0;
    must(secagg_reveal_plan(&crowd->attempt, crowd->u3, position, &plan, &count));
    if (position == crowd->own)
        must(secagg_wire_read_revealed(own->revealed.data, own->revealed.len, plan, count));
    else
        member_reveal(crowd, position, plan, count);
    return (struct secagg_unmasking){position, plan, count};
}

void crowd_take_unmasking(struct crowd *crowd, struct reply reply)
{
    Fds__Unmasking *own = NULL;
    struct secagg_unmasking *unmaskings = calloc(crowd->count, sizeof(*unmaskings));
    struct secagg_misfits misfits = {.pairs = NULL};
    size_t count = 0;
    assert_non_null(unmaskings);
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_UNMASKING)
        site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_UNMASKING);
    must(wire_unmasking_decode(reply.body, reply.body_bytes, &own));
    for (size_t i = 0; i < crowd->u3.count; i++)
        if (crowd->members[crowd->contributors[i] - 1].last >= CROWD_UNMASKS)
            unmaskings[count++] = unmasking_of(crowd, crowd->contributors[i], own);
    must(secagg_open_secrets(&crowd->attempt, crowd->u3, unmaskings, count, &crowd->opened, &misfits));
    assert_int_equal(misfits.count, 0);
    must(secagg_sum_unmask(&crowd->attempt, crowd->u3, crowd->opened, crowd->sum));
    assert_memory_equal(crowd->sum, crowd->plain, sizeof(crowd->sum));
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)unmaskings[i].revealed);
    free(unmaskings);
    free(misfits.pairs);
    wire_unmasking_free(own);
    requests_reply_clear(&reply);
}

/* ---- the sum ---- */

static uint32_t *positions_of(struct secagg_set set)
{
    return (uint32_t *)(void *)copy_of(set.positions, set.count * sizeof(*set.positions)).data;
}

static void sum_sign(struct crowd *crowd, Fds__Sum *sum)
{
    uint8_t body[SECAGG_SUM_BODY_BYTES], key[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    struct digest contributors;
    must(secagg_set_hash(&crowd->run, SECAGG_CONTRIBUTORS, crowd->u3, &contributors));
    must(secagg_sum_body(&crowd->attempt.context, &contributors, crowd->attempt.ring, crowd->sum,
                         crowd->attempt.words, body));
    must(secagg_sign(crowd->orchestrator, "sum", body, sizeof(body), signature));
    identity_public_key(crowd->orchestrator, key);
    sum->public_key = copy_of(key, sizeof(key));
    sum->signature = copy_of(signature, sizeof(signature));
}

/* All that the datasite needs to make the sum again. */
static void sum_evidence(struct crowd *crowd, Fds__Sum *sum)
{
    size_t bytes = mask_bytes(crowd->attempt.ring, crowd->attempt.words);
    sum->n_inputs = crowd->u3.count;
    sum->inputs = calloc(crowd->u3.count, sizeof(*sum->inputs));
    assert_non_null(sum->inputs);
    for (size_t i = 0; i < crowd->u3.count; i++)
        sum->inputs[i] = copy_of(crowd->members[crowd->contributors[i] - 1].input, bytes);
    sum->opened.len = crowd->u2.count * SECAGG_OPENED_BYTES;
    sum->opened.data = malloc(sum->opened.len);
    assert_non_null(sum->opened.data);
    secagg_wire_write_opened(crowd->opened, crowd->u2.count, sum->opened.data);
}

Fds__Sum *crowd_sum(struct crowd *crowd)
{
    Fds__Sum *sum = malloc(sizeof(*sum));
    uint8_t agreed[SECAGG_AGREEMENT_BODY_BYTES], words[8 * CROWD_WORDS];
    assert_non_null(sum);
    fds__sum__init(sum);
    must(secagg_agreement_body(&crowd->attempt, crowd->inputs, crowd->u3.count, agreed));
    mask_write(crowd->attempt.ring, crowd->sum, crowd->attempt.words, words);
    sum->job_id = copy_of(crowd->site->job_id.bytes, DIGEST_BYTES);
    sum->run_id = copy_of(crowd->site->run, STORE_RUN_ID_BYTES);
    sum->round = crowd->attempt.round;
    sum->attempt = crowd->attempt.attempt;
    sum->slot = crowd->attempt.slot;
    sum->keyset_hash = copy_of(crowd->attempt.keyset_hash.bytes, DIGEST_BYTES);
    sum->n_sharers = crowd->u2.count;
    sum->sharers = positions_of(crowd->u2);
    sum->n_contributors = crowd->u3.count;
    sum->contributors = positions_of(crowd->u3);
    sum->inputs_digest = copy_of(agreed + 3 * DIGEST_BYTES, DIGEST_BYTES);
    must(secagg_wire_make_agreements(crowd->agreements, crowd->agreement_count, &sum->agreements));
    sum->n_agreements = crowd->agreement_count;
    sum->words = copy_of(words, mask_bytes(crowd->attempt.ring, crowd->attempt.words));
    sum_evidence(crowd, sum);
    sum_sign(crowd, sum);
    must(fixed_point_advance(&crowd->vector.plan, crowd->u3.count, crowd->plain, SITE_PARAMETERS,
                             crowd->model));
    return sum;
}
