#include "tests/unit/datasite/driver.h"

#include "crypto/secagg_wire.h"

int driver_make(void **state)
{
    int result = masked_make(state);
    struct masked_sites *masked = *state;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    if (result != 0)
        return result;
    must(secret_random(run_id, sizeof(run_id)));
    for (size_t i = 0; i < MASKED_SITES; i++)
        memcpy(masked->sites[i]->run, run_id, sizeof(run_id));
    return 0;
}

static struct site *site_at(struct masked_sites *masked, uint32_t position)
{
    return masked->sites[position - 1];
}

static struct reply ask(struct masked_sites *masked, uint32_t position, uint32_t type,
                        const ProtobufCMessage *message)
{
    struct site *site = site_at(masked, position);
    if (masked->ask != NULL)
        return masked->ask(masked, position, type, message);
    return site_ask(site, &site->researcher, true, type, message);
}

static ProtobufCBinaryData job_id(struct masked_sites *masked)
{
    return (ProtobufCBinaryData){DIGEST_BYTES, masked->job_id.bytes};
}

static ProtobufCBinaryData run_id(struct masked_sites *masked, uint32_t position)
{
    return (ProtobufCBinaryData){STORE_RUN_ID_BYTES, site_at(masked, position)->run};
}

size_t driver_given(struct masked_sites *masked, uint32_t slot)
{
    size_t count = 0;
    for (size_t i = 0; i < MASKED_SITES; i++)
        count += wire_record_given(&masked->roster[i], masked->run.run_id, slot);
    return count;
}

/* ---- keys ---- */

struct reply driver_advertise(struct masked_sites *masked, uint32_t position, uint32_t first_slot)
{
    Fds__Advertise message = FDS__ADVERTISE__INIT;
    message.job_id = job_id(masked);
    message.run_id = run_id(masked, position);
    message.first_slot = first_slot;
    message.count = MASKED_BATCH;
    return ask(masked, position, FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE, &message.base);
}

struct secagg_advert driver_advert(struct masked_sites *masked, struct reply reply)
{
    Fds__Advert *message = NULL;
    struct secagg_advert advert;
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_ADVERT)
        site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_ADVERT); /* fails with the refusal's sentence */
    must(wire_advert_decode(reply.body, reply.body_bytes, &message));
    must(secagg_wire_take_advert(&masked->run, message, &advert));
    wire_advert_free(message);
    requests_reply_clear(&reply);
    return advert;
}

struct reply driver_share(struct masked_sites *masked, uint32_t position, const struct secagg_advert *adverts,
                          size_t count)
{
    Fds__Share message = FDS__SHARE__INIT;
    Fds__Advert *each[MASKED_SITES + 1];
    assert_true(count <= MASKED_SITES + 1);
    for (size_t i = 0; i < count; i++)
        must(secagg_wire_make_advert(&masked->run, &adverts[i], &each[i]));
    message.job_id = job_id(masked);
    message.run_id = run_id(masked, position);
    message.n_adverts = count;
    message.adverts = each;
    struct reply reply = ask(masked, position, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &message.base);
    for (size_t i = 0; i < count; i++)
        wire_advert_free(each[i]);
    return reply;
}

static void take_shares(struct masked_sites *masked, uint32_t position, struct reply reply)
{
    Fds__Shares *message = NULL;
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_SHARES)
        site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_SHARES);
    must(wire_shares_decode(reply.body, reply.body_bytes, &message));
    assert_int_equal(message->n_sealed, MASKED_BATCH);
    for (size_t slot = 0; slot < MASKED_BATCH; slot++) {
        uint8_t **sealed = &masked->sealed[position - 1][slot];
        free(*sealed);
        *sealed = malloc(message->sealed[slot].len);
        assert_non_null(*sealed);
        memcpy(*sealed, message->sealed[slot].data, message->sealed[slot].len);
    }
    wire_shares_free(message);
    requests_reply_clear(&reply);
}

void driver_batch(struct masked_sites *masked, uint32_t first_slot)
{
    secagg_keyset_free(masked->keyset);
    masked->keyset = NULL;
    masked->first_slot = first_slot;
    for (uint32_t position = 1; position <= MASKED_SITES; position++) {
        secagg_advert_clear(&masked->adverts[position - 1]);
        masked->adverts[position - 1] = driver_advert(masked, driver_advertise(masked, position, first_slot));
    }
    must(secagg_keyset_make(&masked->run, masked->adverts, MASKED_SITES, NULL, &masked->keyset));
    for (uint32_t position = 1; position <= MASKED_SITES; position++)
        take_shares(masked, position, driver_share(masked, position, masked->adverts, MASKED_SITES));
}

void driver_begin(struct masked_sites *masked, const struct masked_words *words)
{
    char text[SITE_JOB_BYTES];
    masked_text(masked, words, text);
    job_free(masked->job);
    masked->job = NULL;
    must(job_parse(text, strlen(text), "the job", &masked->job));
    for (size_t i = 0; i < MASKED_SITES; i++) {
        struct site *site = masked->sites[i];
        site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
        site_approve(site, 0, 1, 0);
        masked->job_id = site->job_id;
    }
    masked->run = (struct secagg_run){.job_hash = masked->job_id,
                                      .roster = masked->roster,
                                      .sites = MASKED_SITES,
                                      .threshold = masked->job->secure.threshold,
                                      .colluding = masked->job->secure.tolerate_colluding};
    memcpy(masked->run.run_id, masked->sites[0]->run, sizeof(masked->run.run_id));
    driver_batch(masked, 0);
}

/* ---- vectors ---- */

/* What `from` sealed for `position`: every two are neighbours. */
static const uint8_t *sealed_by(const struct masked_sites *masked, uint32_t slot, uint32_t from,
                                uint32_t position)
{
    size_t index = position < from ? position - 1 : position - 2;
    return masked->sealed[from - 1][slot - masked->first_slot] + index * SECAGG_SEALED_BYTES;
}

struct reply driver_mask(struct masked_sites *masked, const struct masked_mask *mask)
{
    Fds__Mask message = FDS__MASK__INIT;
    uint8_t sealed[MASKED_SITES * SECAGG_SEALED_BYTES];
    uint32_t sharers[MASKED_SITES];
    size_t used = 0;
    struct digest model = mask->model;
    assert_true(mask->sharer_count <= MASKED_SITES);
    memcpy(sharers, mask->sharers, mask->sharer_count * sizeof(*sharers));
    for (size_t i = 0; i < mask->sharer_count; i++) {
        if (sharers[i] == mask->position || sharers[i] == 0 || sharers[i] > MASKED_SITES ||
            mask->slot - masked->first_slot >= MASKED_BATCH)
            continue;
        memcpy(sealed + used, sealed_by(masked, mask->slot, sharers[i], mask->position), SECAGG_SEALED_BYTES);
        sealed[used] ^= sharers[i] == mask->spoil ? 1 : 0;
        used += SECAGG_SEALED_BYTES;
    }
    message.job_id = job_id(masked);
    message.run_id = run_id(masked, mask->position);
    message.round = mask->round;
    message.attempt = mask->attempt;
    message.slot = mask->slot;
    message.model_digest = (ProtobufCBinaryData){DIGEST_BYTES, model.bytes};
    message.parameters = (ProtobufCBinaryData){mask->parameter_bytes, (uint8_t *)(uintptr_t)mask->parameters};
    message.n_sharers = mask->sharer_count;
    message.sharers = sharers;
    message.sealed = (ProtobufCBinaryData){used, sealed};
    message.previous = mask->previous;
    return ask(masked, mask->position, FDS__MESSAGE_TYPE__MESSAGE_MASK, &message.base);
}

void driver_collect(struct masked_sites *masked, struct masked_attempt *attempt, const uint32_t *contributors,
                    size_t count, Fds__Sum *previous)
{
    const struct secagg_attempt *about = &attempt->about;
    memcpy(attempt->contributors, contributors, count * sizeof(*contributors));
    attempt->u3 = (struct secagg_set){attempt->contributors, count};
    for (size_t i = 0; i < count; i++) {
        struct masked_mask mask = {.position = contributors[i],
                                   .round = about->round,
                                   .attempt = about->attempt,
                                   .slot = about->slot,
                                   .model = about->model_hash,
                                   .sharers = attempt->sharers,
                                   .sharer_count = attempt->u2.count,
                                   .previous = previous};
        free(attempt->inputs[i]);
        attempt->inputs[i] = masked_opened(masked, contributors[i], driver_mask(masked, &mask), about,
                                           &attempt->statements[i]);
    }
}

/* ---- who contributed ---- */

struct reply driver_agree(struct masked_sites *masked, const struct secagg_attempt *about, uint32_t position,
                          const struct secagg_input *inputs, size_t count)
{
    Fds__Agree message = FDS__AGREE__INIT;
    must(secagg_wire_make_inputs(inputs, count, &message.inputs));
    message.job_id = job_id(masked);
    message.run_id = run_id(masked, position);
    message.round = about->round;
    message.attempt = about->attempt;
    message.slot = about->slot;
    message.n_inputs = count;
    struct reply reply = ask(masked, position, FDS__MESSAGE_TYPE__MESSAGE_AGREE, &message.base);
    secagg_wire_free_inputs(message.inputs, count);
    return reply;
}

struct secagg_agreement driver_agreement(struct masked_sites *masked, uint32_t position, struct reply reply)
{
    Fds__Agreement *message = NULL;
    struct secagg_agreement agreement = {.position = position};
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT)
        site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
    must(wire_agreement_decode(reply.body, reply.body_bytes, &message));
    identity_public_key(site_at(masked, position)->identity, agreement.public_key);
    memcpy(agreement.signature, message->signature.data, SIGNATURE_BYTES);
    wire_agreement_free(message);
    requests_reply_clear(&reply);
    return agreement;
}

void driver_agree_all(struct masked_sites *masked, struct masked_attempt *attempt)
{
    for (size_t i = 0; i < attempt->u3.count; i++) {
        uint32_t position = attempt->contributors[i];
        attempt->agreements[i] = driver_agreement(
            masked, position,
            driver_agree(masked, &attempt->about, position, attempt->statements, attempt->u3.count));
    }
    attempt->agreement_count = attempt->u3.count;
}

/* ---- shares, and the sum ---- */

struct reply driver_unmask(struct masked_sites *masked, const struct secagg_attempt *about, uint32_t position,
                           const struct secagg_agreement *agreements, size_t count)
{
    Fds__Unmask message = FDS__UNMASK__INIT;
    must(secagg_wire_make_agreements(agreements, count, &message.agreements));
    message.job_id = job_id(masked);
    message.run_id = run_id(masked, position);
    message.round = about->round;
    message.attempt = about->attempt;
    message.slot = about->slot;
    message.n_agreements = count;
    struct reply reply = ask(masked, position, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &message.base);
    secagg_wire_free_agreements(message.agreements, count);
    return reply;
}

struct secagg_unmasking driver_unmasking(const struct masked_attempt *attempt, uint32_t position,
                                         struct reply reply)
{
    Fds__Unmasking *message = NULL;
    struct secagg_revealed *revealed = NULL;
    size_t count = 0;
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_UNMASKING)
        site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_UNMASKING);
    must(wire_unmasking_decode(reply.body, reply.body_bytes, &message));
    must(secagg_reveal_plan(&attempt->about, attempt->u3, position, &revealed, &count));
    must(secagg_wire_read_revealed(message->revealed.data, message->revealed.len, revealed, count));
    wire_unmasking_free(message);
    requests_reply_clear(&reply);
    return (struct secagg_unmasking){.position = position, .revealed = revealed, .count = count};
}

void driver_unmask_all(struct masked_sites *masked, struct masked_attempt *attempt)
{
    struct secagg_unmasking unmaskings[MASKED_SITES];
    for (size_t i = 0; i < attempt->u3.count; i++) {
        uint32_t position = attempt->contributors[i];
        unmaskings[i] = driver_unmasking(
            attempt, position,
            driver_unmask(masked, &attempt->about, position, attempt->agreements, attempt->agreement_count));
    }
    masked_open(attempt, unmaskings);
}

void driver_round(struct masked_sites *masked, struct masked_attempt *attempt, const uint32_t *contributors,
                  size_t count, Fds__Sum *previous)
{
    driver_collect(masked, attempt, contributors, count, previous);
    driver_agree_all(masked, attempt);
    driver_unmask_all(masked, attempt);
}

struct reply driver_sum(struct masked_sites *masked, uint32_t position, Fds__Sum *sum)
{
    return ask(masked, position, FDS__MESSAGE_TYPE__MESSAGE_SUM, &sum->base);
}

/* ---- how attacks begin and end ---- */

static const uint32_t everybody[] = {1, 2, 3, 4};

struct masked_mask driver_first(uint32_t position, uint32_t round, uint32_t attempt, uint32_t slot)
{
    struct masked_mask mask = masked_first(position);
    mask.round = round;
    mask.attempt = attempt;
    mask.slot = slot;
    return mask;
}

void driver_collect_first(struct masked_sites *masked, struct masked_attempt *attempt)
{
    struct digest zeros = masked_zeros();
    driver_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, attempt);
    driver_collect(masked, attempt, everybody, 4, NULL);
}

void driver_expect_silence(struct masked_sites *masked, uint32_t slot)
{
    assert_int_equal(driver_given(masked, slot), 0);
}
