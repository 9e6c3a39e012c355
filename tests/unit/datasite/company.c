#include "tests/unit/datasite/company.h"

#include "crypto/secagg_share.h"
#include "crypto/secagg_wire.h"
#include "datasite/store_internal.h"
#include "datasite/store_release.h"

#include <math.h>

#define COMPANY_SEALED_BYTES (COMPANY_SITES * SECAGG_SEALED_BYTES)

/* ---- who ---- */

static struct identity *partner_new(const struct company *company, size_t number)
{
    struct identity *identity = NULL;
    char name[32], path[160];
    (void)snprintf(name, sizeof(name), "partner-%zu", number);
    must(identity_create(workspace_file(company->site->workspace, name, path), name, &identity));
    return identity;
}

static int identity_compare(const void *a, const void *b)
{
    return site_id_compare(identity_id(*(struct identity *const *)a),
                           identity_id(*(struct identity *const *)b));
}

static void make_roster(struct company *company)
{
    struct policy_gate *gate = &company->site->policy.gate;
    company->partners[0] = company->site->identity;
    for (size_t i = 1; i < COMPANY_SITES; i++)
        company->partners[i] = partner_new(company, i);
    qsort(company->partners, COMPANY_SITES, sizeof(company->partners[0]), identity_compare);
    gate->secure = (struct policy_secure_aggregation){3, 1, 2};
    for (size_t i = 0; i < COMPANY_SITES; i++) {
        company->roster[i] = *identity_id(company->partners[i]);
        company->everybody[i] = (uint32_t)i + 1;
        if (company->partners[i] == company->site->identity) {
            company->own = (uint32_t)i + 1;
            company->partners[i] = NULL;
            continue;
        }
        struct policy_partner *partner = &gate->partners[gate->partner_count++];
        site_id_format(&company->roster[i], partner->fingerprint);
        partner->organisation = (uint16_t)gate->partner_count;
    }
}

/* Position of the n-th, when the datasite comes first and the partners follow in their order. */
static uint32_t position_of(const struct company *company, size_t n)
{
    if (n == 0)
        return company->own;
    return (uint32_t)(n < company->own ? n : n + 1);
}

/* ---- the job ---- */

static void job_text(const struct company *company, const char *name, const char *more,
                     char text[static SITE_JOB_BYTES])
{
    int at = snprintf(text, SITE_JOB_BYTES,
                      "job: %s\ndataset: made\nmodel: {kind: softmax-regression}\n"
                      "training: {optimizer: lbfgs, local_iterations: 5}\n"
                      "evaluation: {test_fraction: 0.5, metrics: pooled}\n"
                      "federation: {rounds: %d, round_deadline: 60s}\nexpires: 2027-01-31T00:00:00Z\n"
                      "secure_aggregation: {enabled: true, key_batch: %d%s}\nsites:\n",
                      name, COMPANY_ROUNDS, COMPANY_BATCH, more);
    for (size_t i = 0; i < COMPANY_SITES; i++) {
        char fingerprint[FINGERPRINT_BYTES];
        site_id_format(&company->roster[i], fingerprint);
        at += snprintf(text + at, (size_t)(SITE_JOB_BYTES - at), "  - {name: s%zu, fingerprint: \"%s\"}\n", i,
                       fingerprint);
        assert_true(at < SITE_JOB_BYTES);
    }
}

void company_job(struct company *company, const char *name, const char *more)
{
    char text[SITE_JOB_BYTES];
    job_text(company, name, more, text);
    site_expect_state(site_submit(company->site, text), FDS__JOB_STATE__JOB_PENDING);
    site_approve(company->site, 0, 0, 0);
    company->run = (struct secagg_run){.job_hash = company->site->job_id,
                                       .roster = company->roster,
                                       .sites = COMPANY_SITES,
                                       .threshold = COMPANY_THRESHOLD};
    memcpy(company->run.run_id, company->site->run, STORE_RUN_ID_BYTES);
}

int company_make(void **state)
{
    struct company *company = calloc(1, sizeof(*company));
    void *site = NULL;
    if (company == NULL || site_make(&site) != 0)
        return -1;
    company->site = site;
    company->ledger = 100;
    make_roster(company);
    site_pause(company->site); /* so that the executor has the policy of now */
    site_resume(company->site);
    company_job(company, "summed", "");
    *state = company;
    return 0;
}

int company_begun(void **state)
{
    if (company_make(state) != 0)
        return -1;
    company_batch(*state, 0);
    return 0;
}

int company_masked(void **state)
{
    if (company_begun(state) != 0)
        return -1;
    company_mask(*state, 1, 0, 0, COMPANY_SITES, COMPANY_SITES - 1);
    return 0;
}

static void batch_clear(struct company *company)
{
    for (size_t i = 0; i < COMPANY_SITES; i++) {
        secagg_advert_clear(&company->adverts[i]);
        wire_advert_free(company->messages[i]);
        company->messages[i] = NULL;
        for (size_t slot = 0; slot < COMPANY_BATCH; slot++) {
            free(company->sealed[i][slot]);
            company->sealed[i][slot] = NULL;
        }
    }
    secagg_keyset_free(company->keyset);
    company->keyset = NULL;
}

int company_remove(void **state)
{
    struct company *company = *state;
    void *site = company->site;
    batch_clear(company);
    for (size_t i = 0; i < COMPANY_SITES; i++)
        identity_free(company->partners[i]);
    free(company);
    return site_remove(&site);
}

/* ---- messages ---- */

struct reply company_say(struct company *company, uint32_t type, const ProtobufCMessage *message)
{
    return site_ask(company->site, &company->site->researcher, true, type, message);
}

static ProtobufCBinaryData copy_of(const void *bytes, size_t count)
{
    ProtobufCBinaryData data = {count, malloc(count + 1)};
    assert_non_null(data.data);
    memcpy(data.data, bytes, count);
    return data;
}

struct reply company_advertise(struct company *company, uint32_t first_slot, uint32_t count)
{
    Fds__Advertise message = FDS__ADVERTISE__INIT;
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, company->site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, company->site->run};
    message.first_slot = first_slot;
    message.count = count;
    return company_say(company, FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE, &message.base);
}

Fds__Share *company_share_message(struct company *company)
{
    Fds__Share *share = malloc(sizeof(*share));
    assert_non_null(share);
    fds__share__init(share);
    share->job_id = copy_of(company->site->job_id.bytes, DIGEST_BYTES);
    share->run_id = copy_of(company->site->run, STORE_RUN_ID_BYTES);
    share->n_adverts = COMPANY_SITES;
    share->adverts = calloc(COMPANY_SITES, sizeof(*share->adverts));
    assert_non_null(share->adverts);
    for (size_t i = 0; i < COMPANY_SITES; i++) {
        uint8_t *bytes = NULL;
        size_t count = 0;
        must(wire_encode(&company->messages[i]->base, &bytes, &count));
        must(wire_advert_decode(bytes, count, &share->adverts[i]));
        free(bytes);
    }
    return share;
}

struct reply company_share(struct company *company)
{
    Fds__Share *share = company_share_message(company);
    struct reply reply = company_say(company, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &share->base);
    wire_share_free(share);
    return reply;
}

Fds__Agree *company_agree_message(struct company *company)
{
    Fds__Agree *agree = malloc(sizeof(*agree));
    assert_non_null(agree);
    fds__agree__init(agree);
    agree->job_id = copy_of(company->site->job_id.bytes, DIGEST_BYTES);
    agree->run_id = copy_of(company->site->run, STORE_RUN_ID_BYTES);
    agree->round = company->attempt.round;
    agree->attempt = company->attempt.attempt;
    agree->slot = company->attempt.slot;
    agree->n_inputs = company->u3.count;
    must(secagg_wire_make_inputs(company->inputs, company->u3.count, &agree->inputs));
    return agree;
}

struct reply company_agree(struct company *company)
{
    Fds__Agree *agree = company_agree_message(company);
    struct reply reply = company_say(company, FDS__MESSAGE_TYPE__MESSAGE_AGREE, &agree->base);
    wire_agree_free(agree);
    return reply;
}

Fds__Unmask *company_unmask_message(struct company *company)
{
    Fds__Unmask *unmask = malloc(sizeof(*unmask));
    assert_non_null(unmask);
    fds__unmask__init(unmask);
    unmask->job_id = copy_of(company->site->job_id.bytes, DIGEST_BYTES);
    unmask->run_id = copy_of(company->site->run, STORE_RUN_ID_BYTES);
    unmask->round = company->attempt.round;
    unmask->attempt = company->attempt.attempt;
    unmask->slot = company->attempt.slot;
    unmask->n_agreements = company->u3.count;
    must(secagg_wire_make_agreements(company->agreements, company->u3.count, &unmask->agreements));
    return unmask;
}

struct reply company_unmask(struct company *company)
{
    Fds__Unmask *unmask = company_unmask_message(company);
    struct reply reply = company_say(company, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &unmask->base);
    wire_unmask_free(unmask);
    return reply;
}

static void expect_answer(const struct reply *reply, uint32_t type)
{
    Fds__Refusal *refusal = NULL;
    if (reply->type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL &&
        wire_refusal_decode(reply->body, reply->body_bytes, &refusal) == NULL)
        fail_msg("refused: %s", refusal->sentence);
    assert_int_equal(reply->type, type);
}

/* ---- keys ---- */

static void partner_advertise(struct company *company, size_t i)
{
    struct secagg_advert *advert = &company->adverts[i];
    advert->first_slot = company->first_slot;
    advert->count = COMPANY_BATCH;
    advert->ledger_sequence = company->ledger;
    memset(advert->ledger_head.bytes, (int)company->ledger, DIGEST_BYTES);
    advert->entries = calloc(COMPANY_BATCH, sizeof(*advert->entries));
    assert_non_null(advert->entries);
    for (uint32_t slot = 0; slot < COMPANY_BATCH; slot++)
        must(
            secagg_slot_make(company->first_slot + slot, &company->secrets[i][slot], &advert->entries[slot]));
    must(secagg_advert_sign(company->partners[i], &company->run, advert));
    must(secagg_wire_make_advert(&company->run, advert, &company->messages[i]));
}

void company_partners_advertise(struct company *company, uint32_t first_slot)
{
    batch_clear(company);
    company->first_slot = first_slot;
    company->ledger++;
    for (size_t i = 0; i < COMPANY_SITES; i++)
        if (company->partners[i] != NULL)
            partner_advertise(company, i);
}

void company_take_advert(struct company *company, struct reply reply)
{
    size_t own = company->own - 1;
    expect_answer(&reply, FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
    must(wire_advert_decode(reply.body, reply.body_bytes, &company->messages[own]));
    must(secagg_wire_take_advert(&company->run, company->messages[own], &company->adverts[own]));
    requests_reply_clear(&reply);
}

void company_take_shares(struct company *company, struct reply reply)
{
    size_t own = company->own - 1, count = 0;
    Fds__Shares *shares = NULL;
    expect_answer(&reply, FDS__MESSAGE_TYPE__MESSAGE_SHARES);
    must(wire_shares_decode(reply.body, reply.body_bytes, &shares));
    assert_int_equal(shares->first_slot, company->first_slot);
    assert_int_equal(shares->n_sealed, COMPANY_BATCH);
    must(secagg_keyset_make(&company->run, company->adverts, COMPANY_SITES, NULL, &company->keyset));
    for (uint32_t slot = 0; slot < COMPANY_BATCH; slot++) {
        assert_int_equal(shares->sealed[slot].len, (COMPANY_SITES - 1) * SECAGG_SEALED_BYTES);
        company->sealed[own][slot] = copy_of(shares->sealed[slot].data, shares->sealed[slot].len).data;
        for (size_t i = 0; i < COMPANY_SITES; i++)
            if (company->partners[i] != NULL)
                must(secagg_share_make(company->keyset, company->first_slot + slot, (uint32_t)i + 1,
                                       &company->secrets[i][slot], &company->sealed[i][slot], &count,
                                       &company->shares[i][slot]));
    }
    wire_shares_free(shares);
    requests_reply_clear(&reply);
}

void company_batch(struct company *company, uint32_t first_slot)
{
    company_partners_advertise(company, first_slot);
    company_take_advert(company, company_advertise(company, first_slot, COMPANY_BATCH));
    company_take_shares(company, company_share(company));
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
    mask->job_id = copy_of(company->site->job_id.bytes, DIGEST_BYTES);
    mask->run_id = copy_of(company->site->run, STORE_RUN_ID_BYTES);
    mask->round = 1;
    mask->attempt = attempt;
    mask->slot = slot;
    mask->model_digest = copy_of(model.bytes, DIGEST_BYTES);
    mask->n_sharers = company->u2.count;
    mask->sharers = calloc(company->u2.count, sizeof(*mask->sharers));
    assert_non_null(mask->sharers);
    memcpy(mask->sharers, company->sharers, company->u2.count * sizeof(*mask->sharers));
    mask->sealed = copy_of(sealed, sealed_for_own(company, sealed));
    return mask;
}

void company_take_vector(struct company *company, struct reply reply, size_t contributors)
{
    struct secagg_round round;
    Fds__Released *released = NULL;
    Fds__MaskedInput *input = NULL;
    expect_answer(&reply, FDS__MESSAGE_TYPE__MESSAGE_RELEASED);
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
    expect_answer(&reply, FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
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
    expect_answer(&reply, FDS__MESSAGE_TYPE__MESSAGE_UNMASKING);
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
    bool wrong[COMPANY_SITES] = {false};
    must(secagg_open_secrets(&company->attempt, company->u3, unmaskings, company->u3.count, &opened, wrong));
    for (size_t i = 0; i < company->u3.count; i++)
        assert_false(wrong[i]);
    must(secagg_sum_unmask(&company->attempt, company->u3, opened, company->sum));
    assert_memory_equal(company->sum, company->plain, sizeof(company->sum));
    for (size_t i = 0; i < COMPANY_SITES; i++)
        free(plans[i]);
    free(opened);
    wire_unmasking_free(own);
    requests_reply_clear(&reply);
}
