/* A round of the company: vectors, agreements and shares. */
#include "crypto/secagg_share.h"
#include "crypto/secagg_wire.h"
#include "datasite/store_internal.h"
#include "datasite/store_release.h"
#include "tests/unit/datasite/company.h"

#include <math.h>

#define COMPANY_SEALED_BYTES (COMPANY_SITES * SECAGG_SEALED_BYTES)

/* Position of the n-th, when the datasite comes first and the partners follow in their order. */
static uint32_t position_of(const struct company *company, size_t n)
{
    if (n == 0)
        return company->own;
    return (uint32_t)(n < company->own ? n : n + 1);
}

/* What `from` sealed for `to`. */
static const uint8_t *sealed_for(const struct company *company, uint32_t from, uint32_t to)
{
    uint32_t slot = company->attempt.slot - company->first_slot;
    return company->sealed[from - 1][slot] + (size_t)(to < from ? to - 1 : to - 2) * SECAGG_SEALED_BYTES;
}

/* ---- vectors ---- */

static struct secagg_set first_of(const struct company *company, size_t count, uint32_t *positions)
{
    bool in[COMPANY_SITES + 1] = {false};
    size_t used = 0;
    for (size_t n = 0; n < count; n++)
        in[position_of(company, n)] = true;
    for (uint32_t position = 1; position <= COMPANY_SITES; position++)
        if (in[position])
            positions[used++] = position;
    return (struct secagg_set){positions, used};
}

/* Of a partner, or what the datasite gave. */
static void vector_of(const struct company *company, uint32_t position,
                      uint64_t ret_plain[static COMPANY_WORDS], uint64_t ret_words[static COMPANY_WORDS])
{
    uint32_t slot = company->attempt.slot - company->first_slot;
    memcpy(ret_plain, company->own_plain, sizeof(company->own_plain));
    memcpy(ret_words, company->own_words, sizeof(company->own_words));
    if (position == company->own)
        return;
    for (size_t i = 0; i < COMPANY_WORDS; i++)
        ret_plain[i] = ret_words[i] = position * 1000 + i;
    must(secagg_input_mask(&company->attempt, position, &company->secrets[position - 1][slot], ret_words));
}

static struct dataset_info dataset_of(struct site *site)
{
    struct dataset_info info;
    must(store_dataset_find(site->store, "made", &info));
    return info;
}

/* What the sharers sealed for the datasite, ascending. */
static size_t sealed_for_own(const struct company *company, uint8_t sealed[static COMPANY_SEALED_BYTES])
{
    size_t used = 0;
    for (size_t i = 0; i < company->u2.count; i++) {
        if (company->u2.positions[i] == company->own)
            continue;
        memcpy(sealed + used, sealed_for(company, company->u2.positions[i], company->own),
               SECAGG_SEALED_BYTES);
        used += SECAGG_SEALED_BYTES;
    }
    return used;
}

/* The transaction of a masked input, as the airlock has it. */
static void give_vector(struct company *company, const uint64_t words[static COMPANY_WORDS])
{
    struct site *site = company->site;
    const struct secagg_attempt *about = &company->attempt;
    Fds__MaskedInput message = FDS__MASKED_INPUT__INIT;
    uint8_t bytes[8 * COMPANY_WORDS], sealed[COMPANY_SEALED_BYTES], signature[SIGNATURE_BYTES];
    uint8_t *body = NULL;
    size_t count = 0;
    struct digest digest;
    struct release_event event;
    struct dataset_info dataset = dataset_of(site);
    mask_write(MASK_RING_64, words, COMPANY_WORDS, bytes);
    must(digest_of(bytes, sizeof(bytes), &digest));
    must(secagg_input_sign(site->identity, about, &digest, signature));
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, site->run};
    message.round = about->round;
    message.attempt = about->attempt;
    message.slot = about->slot;
    message.context = (ProtobufCBinaryData){DIGEST_BYTES, company->attempt.context.bytes};
    message.words = (ProtobufCBinaryData){sizeof(bytes), bytes};
    message.signature = (ProtobufCBinaryData){sizeof(signature), signature};
    must(wire_encode(&message.base, &body, &count));
    size_t used = sealed_for_own(company, sealed);
    struct release_record record = {.run_id = site->run,
                                    .job_id = &site->job_id,
                                    .round = about->round,
                                    .attempt = about->attempt,
                                    .kind = ANSWER_MASKED_INPUT,
                                    .model_digest = &about->model_hash,
                                    .dataset = &dataset,
                                    .update_norm = (double)NAN,
                                    .protections = "",
                                    .body = body,
                                    .body_bytes = count,
                                    .now = SITE_NOW,
                                    .detail = ""};
    must(store_release_begin(site->store));
    must(store_secagg_bind(site->store, site->run, about->slot, about->round, about->attempt, &about->context,
                           company->u2, sealed, used));
    if (about->attempt == 0)
        must(store_secagg_encode(site->store, &site->job_id, site->run, about->round, &about->model_hash,
                                 bytes, sizeof(bytes)));
    must(store_release_event(site->store, &record, &event));
    must(store_release_answer(site->store, &record, &event, NULL, 0));
    must(store_release_commit(site->store));
    free(body);
}

static void begin_attempt(struct company *company, uint32_t round, uint32_t attempt, uint32_t slot,
                          size_t sharers, const struct digest *model)
{
    company->u2 = first_of(company, sharers, company->sharers);
    must(secagg_attempt_make(company->keyset, slot, round, attempt, company->u2, model, MASK_RING_64,
                             COMPANY_WORDS, &company->attempt));
}

void company_mask(struct company *company, uint32_t round, uint32_t attempt, uint32_t slot, size_t sharers,
                  size_t contributors)
{
    struct digest model = {{(uint8_t)round}};
    struct secagg_slot stored;
    begin_attempt(company, round, attempt, slot, sharers, &model);
    for (size_t i = 0; i < COMPANY_WORDS; i++)
        company->own_plain[i] = company->own_words[i] = company->own * 1000 + i;
    must(store_secagg_slot(company->site->store, company->site->run, slot, &stored));
    must(secagg_input_mask(&company->attempt, company->own, &stored.secret, company->own_words));
    secagg_slot_clear(&stored);
    give_vector(company, company->own_words);
    company_contributors(company, contributors);
}

Fds__Mask *company_mask_message(struct company *company, uint32_t attempt, uint32_t slot, size_t sharers)
{
    static const uint8_t zeros[SITE_PARAMETERS * sizeof(double)];
    uint8_t sealed[COMPANY_SEALED_BYTES];
    struct digest model;
    Fds__Mask *mask = malloc(sizeof(*mask));
    assert_non_null(mask);
    must(digest_of(zeros, sizeof(zeros), &model));
    begin_attempt(company, 1, attempt, slot, sharers, &model);
    fds__mask__init(mask);
    mask->job_id = company_copy(company->site->job_id.bytes, DIGEST_BYTES);
    mask->run_id = company_copy(company->site->run, STORE_RUN_ID_BYTES);
    mask->round = 1;
    mask->attempt = attempt;
    mask->slot = slot;
    mask->model_digest = company_copy(model.bytes, DIGEST_BYTES);
    mask->n_sharers = company->u2.count;
    mask->sharers = calloc(company->u2.count, sizeof(*mask->sharers));
    assert_non_null(mask->sharers);
    memcpy(mask->sharers, company->sharers, company->u2.count * sizeof(*mask->sharers));
    mask->sealed = company_copy(sealed, sealed_for_own(company, sealed));
    return mask;
}

void company_take_vector(struct company *company, struct reply reply, size_t contributors)
{
    struct secagg_round round;
    Fds__Released *released = NULL;
    Fds__MaskedInput *input = NULL;
    company_expect(&reply, FDS__MESSAGE_TYPE__MESSAGE_RELEASED);
    must(wire_released_decode(reply.body, reply.body_bytes, &released));
    must(wire_masked_input_decode(released->body.data, released->body.len, &input));
    assert_int_equal(input->words.len, 8 * COMPANY_WORDS);
    assert_memory_equal(input->context.data, company->attempt.context.bytes, DIGEST_BYTES);
    mask_read(MASK_RING_64, input->words.data, COMPANY_WORDS, company->own_words);
    must(store_secagg_round(company->site->store, &company->site->job_id, company->site->run, 1, &round));
    assert_int_equal(round.encoded_bytes, 8 * COMPANY_WORDS);
    mask_read(MASK_RING_64, round.encoded, COMPANY_WORDS, company->own_plain);
    secagg_round_clear(&round);
    wire_masked_input_free(input);
    wire_released_free(released);
    requests_reply_clear(&reply);
    company_contributors(company, contributors);
}

void company_contributors(struct company *company, size_t contributors)
{
    memset(company->plain, 0, sizeof(company->plain));
    memset(company->sum, 0, sizeof(company->sum));
    company->u3 = first_of(company, contributors, company->contributors);
    for (size_t i = 0; i < company->u3.count; i++) {
        uint64_t plain[COMPANY_WORDS], words[COMPANY_WORDS];
        uint8_t bytes[8 * COMPANY_WORDS];
        uint32_t position = company->u3.positions[i];
        struct identity *identity = company->partners[position - 1];
        vector_of(company, position, plain, words);
        mask_add_words(MASK_RING_64, company->plain, plain, COMPANY_WORDS);
        mask_add_words(MASK_RING_64, company->sum, words, COMPANY_WORDS);
        mask_write(MASK_RING_64, words, COMPANY_WORDS, bytes);
        company->inputs[i].position = position;
        must(digest_of(bytes, sizeof(bytes), &company->inputs[i].digest));
        must(secagg_input_sign(identity == NULL ? company->site->identity : identity, &company->attempt,
                               &company->inputs[i].digest, company->inputs[i].signature));
    }
    must(secagg_agreement_body(&company->attempt, company->inputs, company->u3.count, company->body));
}

/* ---- agreements and shares ---- */

void company_take_agreement(struct company *company, struct reply reply)
{
    Fds__Agreement *own = NULL;
    company_expect(&reply, FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
    must(wire_agreement_decode(reply.body, reply.body_bytes, &own));
    for (size_t i = 0; i < company->u3.count; i++) {
        struct secagg_agreement *agreement = &company->agreements[i];
        agreement->position = company->u3.positions[i];
        struct identity *identity = company->partners[agreement->position - 1];
        identity_public_key(identity == NULL ? company->site->identity : identity, agreement->public_key);
        if (identity == NULL)
            memcpy(agreement->signature, own->signature.data, SIGNATURE_BYTES);
        else
            must(secagg_sign(identity, SECAGG_AGREEMENT, company->body, sizeof(company->body),
                             agreement->signature));
    }
    must(
        secagg_agreements_verify(&company->run, company->body, company->agreements, company->u3.count, NULL));
    wire_agreement_free(own);
    requests_reply_clear(&reply);
}

static void partner_reveal(struct company *company, uint32_t position, struct secagg_revealed *plan,
                           size_t count)
{
    uint32_t slot = company->attempt.slot - company->first_slot;
    for (size_t i = 0; i < count; i++) {
        struct secagg_share share = company->shares[position - 1][slot];
        if (plan[i].position != position)
            must(secagg_share_open(company->keyset, company->attempt.slot, position, plan[i].position,
                                   &company->secrets[position - 1][slot],
                                   sealed_for(company, plan[i].position, position), &share));
        memcpy(plan[i].share, plan[i].kind == SECAGG_REVEAL_B ? share.b : share.s, SHAMIR_SHARE_BYTES);
    }
}

void company_take_unmasking(struct company *company, struct reply reply)
{
    Fds__Unmasking *own = NULL;
    struct secagg_unmasking unmaskings[COMPANY_SITES];
    struct secagg_revealed *plans[COMPANY_SITES] = {NULL};
    struct secagg_opened *opened = NULL;
    company_expect(&reply, FDS__MESSAGE_TYPE__MESSAGE_UNMASKING);
    must(wire_unmasking_decode(reply.body, reply.body_bytes, &own));
    for (size_t i = 0; i < company->u3.count; i++) {
        uint32_t position = company->u3.positions[i];
        size_t count = 0;
        must(secagg_reveal_plan(&company->attempt, company->u3, position, &plans[i], &count));
        if (position == company->own)
            must(secagg_wire_read_revealed(own->revealed.data, own->revealed.len, plans[i], count));
        else
            partner_reveal(company, position, plans[i], count);
        unmaskings[i] = (struct secagg_unmasking){position, plans[i], count};
    }
    struct secagg_misfits misfits = {.pairs = NULL};
    must(secagg_open_secrets(&company->attempt, company->u3, unmaskings, company->u3.count, &opened,
                             &misfits));
    assert_int_equal(misfits.count, 0);
    free(misfits.pairs);
    must(secagg_sum_unmask(&company->attempt, company->u3, opened, company->sum));
    assert_memory_equal(company->sum, company->plain, sizeof(company->sum));
    for (size_t i = 0; i < COMPANY_SITES; i++)
        free(plans[i]);
    free(opened);
    wire_unmasking_free(own);
    requests_reply_clear(&reply);
}
