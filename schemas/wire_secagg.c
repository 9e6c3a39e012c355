/* The steps of secure aggregation. Here it is only that sizes, ranges and counts are possible and that the parts of
 * one message agree with each other; signatures, keys, seals, shares, and what a job allows, are crypto/secagg*.h's. */
#include "schemas/wire_parts.h"

#include "schemas/job.h"

#define SIGNATURE 64 /* bytes, as are those below */
#define KEY 32
#define ENTRY 96 /* c, s, commitment to b */
#define SEALED 98
#define REVEALED 41 /* kind, share */
#define SECRET 32
/* threshold - tolerate_colluding >= 2, and at least one may collude: fewer never take part. */
#define LEAST_SITES 3
/* The evaluation after the last round counts as one more. */
#define LAST_ROUND (WIRE_MAX_ROUNDS + 1)

/* ---- parts ---- */

static struct error *check_same(const char *message, const char *field, const ProtobufCBinaryData *one,
                                const ProtobufCBinaryData *other)
{
    if (one->len == other->len && memcmp(one->data, other->data, one->len) == 0)
        return NULL;
    return error_new(ERROR_INVALID, "%s: %s is of another job or run than the message.", message, field);
}

/* The times that a message is about: round, attempt and slot. */
static struct error *check_attempt(const char *message, uint32_t round, uint32_t attempt, uint32_t slot)
{
    struct error *err = NULL;
    TRY(wire_check_number(message, "round", round, 1, LAST_ROUND));
    TRY(wire_check_number(message, "attempt", attempt, 0, WIRE_MAX_ATTEMPTS - 1));
    TRY(wire_check_number(message, "slot", slot, 0, WIRE_MAX_SLOTS - 1));
done:
    return err;
}

static struct error *check_batch(const char *message, uint32_t first_slot, uint32_t count)
{
    struct error *err = NULL;
    TRY(wire_check_number(message, "first_slot", first_slot, 0, WIRE_MAX_SLOTS - 1));
    TRY(wire_check_number(message, "count", count, 1, WIRE_MAX_BATCH));
    if (first_slot + count > WIRE_MAX_SLOTS)
        FAIL(ERROR_INVALID, "%s: count leads beyond the %d slots that a run can have.", message,
             WIRE_MAX_SLOTS);
done:
    return err;
}

/* `position` follows `before`, which is 0 for the first of a list. */
static struct error *check_next(const char *message, const char *field, uint32_t before, uint32_t position)
{
    if (position > before && position <= JOB_MAX_SITES)
        return NULL;
    return error_new(ERROR_INVALID, "%s: %s must be positions from 1 to %d, each above the one before.",
                     message, field, JOB_MAX_SITES);
}

static struct error *check_positions(const char *message, const char *field, const uint32_t *positions,
                                     size_t count)
{
    struct error *err = NULL;
    if (count < LEAST_SITES || count > JOB_MAX_SITES)
        FAIL(ERROR_INVALID, "%s: %s must name from %d to %d sites and names %zu.", message, field,
             LEAST_SITES, JOB_MAX_SITES, count);
    for (size_t i = 0; i < count; i++)
        TRY(check_next(message, field, i == 0 ? 0 : positions[i - 1], positions[i]));
done:
    return err;
}

/* From `least` to `most` elements of `size` bytes. */
static struct error *check_elements(const char *message, const char *field, const ProtobufCBinaryData *data,
                                    size_t size, size_t least, size_t most)
{
    if (data->len % size == 0 && data->len / size >= least && data->len / size <= most)
        return NULL;
    return error_new(ERROR_INVALID,
                     "%s: %s must have from %zu to %zu elements of %zu bytes; %zu bytes do not.", message,
                     field, least, most, size, data->len);
}

/* Of 4 or 8 bytes each: which, only the job says. */
static struct error *check_words(const char *message, const char *field, const ProtobufCBinaryData *data)
{
    if (data->len > 0 && data->len % 4 == 0)
        return NULL;
    return error_new(ERROR_INVALID, "%s: %s must be words of 4 or 8 bytes; %zu bytes are not.", message,
                     field, data->len);
}

static struct error *check_agreements(const char *message, Fds__AgreementStatement *const *agreements,
                                      size_t count)
{
    struct error *err = NULL;
    if (count < LEAST_SITES || count > JOB_MAX_SITES)
        FAIL(ERROR_INVALID, "%s: agreements must be from %d to %d and are %zu.", message, LEAST_SITES,
             JOB_MAX_SITES, count);
    for (size_t i = 0; i < count; i++) {
        TRY(check_next(message, "agreements", i == 0 ? 0 : agreements[i - 1]->position,
                       agreements[i]->position));
        TRY(wire_check_bytes(message, "agreements.public_key", &agreements[i]->public_key, KEY));
        TRY(wire_check_bytes(message, "agreements.signature", &agreements[i]->signature, SIGNATURE));
    }
done:
    return err;
}

/* ---- messages ---- */

static struct error *check_advertise(const Fds__Advertise *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Advertise", &m->job_id, &m->run_id));
    TRY(check_batch("Advertise", m->first_slot, m->count));
    TRY(wire_check_witness("Advertise", m->witness));
done:
    return err;
}

static struct error *check_advert(const Fds__Advert *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Advert", &m->job_id, &m->run_id));
    TRY(check_batch("Advert", m->first_slot, m->count));
    TRY(wire_check_bytes("Advert", "public_key", &m->public_key, KEY));
    TRY(wire_check_number("Advert", "ledger_sequence", m->ledger_sequence, 1, INT64_MAX));
    TRY(wire_check_bytes("Advert", "ledger_head", &m->ledger_head, WIRE_DIGEST_BYTES));
    TRY(wire_check_bytes("Advert", "entries", &m->entries, (size_t)m->count * ENTRY));
    TRY(wire_check_bytes("Advert", "signature", &m->signature, SIGNATURE));
done:
    return err;
}

/* Adverts inside a message are of its job and run. */
static struct error *check_adverts(const char *message, const ProtobufCBinaryData *job_id,
                                   const ProtobufCBinaryData *run_id, Fds__Advert *const *adverts,
                                   size_t count)
{
    struct error *err = NULL;
    if (count < LEAST_SITES || count > JOB_MAX_SITES)
        FAIL(ERROR_INVALID, "%s: adverts must be from %d to %d and are %zu.", message, LEAST_SITES,
             JOB_MAX_SITES, count);
    for (size_t i = 0; i < count; i++) {
        TRY(check_advert(adverts[i]));
        TRY(check_same(message, "adverts.job_id", &adverts[i]->job_id, job_id));
        TRY(check_same(message, "adverts.run_id", &adverts[i]->run_id, run_id));
        if (adverts[i]->first_slot != adverts[0]->first_slot || adverts[i]->count != adverts[0]->count)
            FAIL(ERROR_INVALID, "%s: adverts must be of the same slots.", message);
    }
done:
    return err;
}

static struct error *check_share(const Fds__Share *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Share", &m->job_id, &m->run_id));
    TRY(check_adverts("Share", &m->job_id, &m->run_id, m->adverts, m->n_adverts));
    TRY(wire_check_witness("Share", m->witness));
done:
    return err;
}

static struct error *check_shares(const Fds__Shares *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Shares", &m->job_id, &m->run_id));
    TRY(wire_check_number("Shares", "first_slot", m->first_slot, 0, WIRE_MAX_SLOTS - 1));
    if (m->n_sealed < 1 || m->n_sealed > WIRE_MAX_BATCH || m->first_slot + m->n_sealed > WIRE_MAX_SLOTS)
        FAIL(ERROR_INVALID, "Shares: sealed must be of 1 to %d slots, within the %d that a run can have.",
             WIRE_MAX_BATCH, WIRE_MAX_SLOTS);
    for (size_t i = 0; i < m->n_sealed; i++)
        TRY(check_elements("Shares", "sealed", &m->sealed[i], SEALED, 1, JOB_MAX_SITES - 1));
done:
    return err;
}

/* Who contributed is among those who shared. */
static struct error *check_within(const Fds__Sum *m)
{
    size_t at = 0;
    for (size_t i = 0; i < m->n_contributors; i++) {
        while (at < m->n_sharers && m->sharers[at] < m->contributors[i])
            at++;
        if (at == m->n_sharers || m->sharers[at] != m->contributors[i])
            return error_new(ERROR_INVALID, "Sum: contributors must be among the sharers.");
    }
    return NULL;
}

/* What a site verifies the sum with is there as a whole, or not at all. */
static struct error *check_evidence(const Fds__Sum *m)
{
    struct error *err = NULL;
    bool given = m->n_inputs > 0;
    if (given && m->n_inputs != m->n_contributors)
        FAIL(ERROR_INVALID, "Sum: inputs must be one of each contributor, or none.");
    for (size_t i = 0; i < m->n_inputs; i++)
        TRY(wire_check_bytes("Sum", "inputs", &m->inputs[i], m->words.len));
    TRY(wire_check_bytes("Sum", "opened", &m->opened, given ? m->n_sharers * SECRET : 0));
    if (m->n_adverts == 0)
        goto done;
    TRY(check_adverts("Sum", &m->job_id, &m->run_id, m->adverts, m->n_adverts));
    if (m->slot < m->adverts[0]->first_slot || m->slot - m->adverts[0]->first_slot >= m->adverts[0]->count)
        FAIL(ERROR_INVALID, "Sum: adverts must be of the slot's batch.");
done:
    return err;
}

static struct error *check_sum(const Fds__Sum *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Sum", &m->job_id, &m->run_id));
    TRY(check_attempt("Sum", m->round, m->attempt, m->slot));
    TRY(wire_check_bytes("Sum", "keyset_hash", &m->keyset_hash, WIRE_DIGEST_BYTES));
    TRY(check_positions("Sum", "sharers", m->sharers, m->n_sharers));
    TRY(check_positions("Sum", "contributors", m->contributors, m->n_contributors));
    TRY(check_within(m));
    TRY(wire_check_bytes("Sum", "inputs_digest", &m->inputs_digest, WIRE_DIGEST_BYTES));
    TRY(check_agreements("Sum", m->agreements, m->n_agreements));
    TRY(check_words("Sum", "words", &m->words));
    TRY(wire_check_bytes("Sum", "signature", &m->signature, SIGNATURE));
    TRY(wire_check_bytes("Sum", "public_key", &m->public_key, KEY));
    TRY(check_evidence(m));
    if (m->parameters.len > 0 && m->round != 1)
        FAIL(ERROR_INVALID, "Sum: parameters can be given with the sum of round 1 alone.");
    if (m->parameters.len > 0)
        TRY(wire_check_parameters("Sum", &m->parameters));
    TRY(wire_check_witness("Sum", m->witness));
done:
    return err;
}

/* The sum that a round goes on from is of the round before, in the same run. */
static struct error *check_previous(const Fds__Mask *m)
{
    struct error *err = NULL;
    const Fds__Sum *previous = m->previous;
    if (previous == NULL)
        goto done;
    TRY(check_sum(previous));
    TRY(check_same("Mask", "previous.job_id", &previous->job_id, &m->job_id));
    TRY(check_same("Mask", "previous.run_id", &previous->run_id, &m->run_id));
    if (previous->round != m->round - 1)
        FAIL(ERROR_INVALID, "Mask: previous must be the sum of the round before.");
    if (previous->witness != NULL)
        FAIL(ERROR_INVALID, "Mask: previous must have no witness; the message itself has one.");
done:
    return err;
}

static struct error *check_mask(const Fds__Mask *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Mask", &m->job_id, &m->run_id));
    TRY(check_attempt("Mask", m->round, m->attempt, m->slot));
    TRY(wire_check_bytes("Mask", "model_digest", &m->model_digest, WIRE_DIGEST_BYTES));
    if (m->parameters.len > 0 && m->round != 1)
        FAIL(ERROR_INVALID, "Mask: parameters can be given in round 1 alone.");
    if (m->parameters.len > 0)
        TRY(wire_check_parameters("Mask", &m->parameters));
    TRY(check_positions("Mask", "sharers", m->sharers, m->n_sharers));
    TRY(check_elements("Mask", "sealed", &m->sealed, SEALED, 1, m->n_sharers - 1));
    TRY(check_previous(m));
    TRY(wire_check_witness("Mask", m->witness));
done:
    return err;
}

static struct error *check_masked_input(const Fds__MaskedInput *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("MaskedInput", &m->job_id, &m->run_id));
    TRY(check_attempt("MaskedInput", m->round, m->attempt, m->slot));
    TRY(wire_check_bytes("MaskedInput", "context", &m->context, WIRE_DIGEST_BYTES));
    TRY(check_words("MaskedInput", "words", &m->words));
    TRY(wire_check_bytes("MaskedInput", "signature", &m->signature, SIGNATURE));
done:
    return err;
}

static struct error *check_agree(const Fds__Agree *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Agree", &m->job_id, &m->run_id));
    TRY(check_attempt("Agree", m->round, m->attempt, m->slot));
    if (m->n_inputs < LEAST_SITES || m->n_inputs > JOB_MAX_SITES)
        FAIL(ERROR_INVALID, "Agree: inputs must be from %d to %d and are %zu.", LEAST_SITES, JOB_MAX_SITES,
             m->n_inputs);
    for (size_t i = 0; i < m->n_inputs; i++) {
        TRY(check_next("Agree", "inputs", i == 0 ? 0 : m->inputs[i - 1]->position, m->inputs[i]->position));
        TRY(wire_check_bytes("Agree", "inputs.digest", &m->inputs[i]->digest, WIRE_DIGEST_BYTES));
        TRY(wire_check_bytes("Agree", "inputs.signature", &m->inputs[i]->signature, SIGNATURE));
    }
    TRY(wire_check_witness("Agree", m->witness));
done:
    return err;
}

static struct error *check_agreement(const Fds__Agreement *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Agreement", &m->job_id, &m->run_id));
    TRY(check_attempt("Agreement", m->round, m->attempt, 0));
    TRY(wire_check_bytes("Agreement", "signature", &m->signature, SIGNATURE));
done:
    return err;
}

static struct error *check_unmask(const Fds__Unmask *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Unmask", &m->job_id, &m->run_id));
    TRY(check_attempt("Unmask", m->round, m->attempt, m->slot));
    TRY(check_agreements("Unmask", m->agreements, m->n_agreements));
    TRY(wire_check_witness("Unmask", m->witness));
done:
    return err;
}

static struct error *check_unmasking(const Fds__Unmasking *m)
{
    struct error *err = NULL;
    TRY(wire_check_run("Unmasking", &m->job_id, &m->run_id));
    TRY(check_attempt("Unmasking", m->round, m->attempt, 0));
    TRY(check_elements("Unmasking", "revealed", &m->revealed, REVEALED, 1, JOB_MAX_SITES));
    for (size_t i = 0; i < m->revealed.len; i += REVEALED) {
        if (m->revealed.data[i] != 1 && m->revealed.data[i] != 2)
            FAIL(ERROR_INVALID, "Unmasking: revealed must have kinds 1 (b) and 2 (s) alone.");
    }
done:
    return err;
}

/* ---- decoding ---- */

#define WIRE_SECAGG(lower, Upper)                                                                            \
    struct error *wire_##lower##_decode(const uint8_t *bytes, size_t count, Fds__##Upper **ret_##lower)      \
    {                                                                                                        \
        struct error *err = NULL;                                                                            \
        Fds__##Upper *message = NULL;                                                                        \
        TRY(wire_unpack(&fds__##lower##__descriptor, bytes, count, &message));                               \
        TRY(check_##lower(message));                                                                         \
        *ret_##lower = message;                                                                              \
        message = NULL;                                                                                      \
    done:                                                                                                    \
        wire_##lower##_free(message);                                                                        \
        return err;                                                                                          \
    }                                                                                                        \
    void wire_##lower##_free(Fds__##Upper *lower)                                                            \
    {                                                                                                        \
        wire_free((ProtobufCMessage *)lower);                                                                \
    }

WIRE_SECAGG(advertise, Advertise)
WIRE_SECAGG(advert, Advert)
WIRE_SECAGG(share, Share)
WIRE_SECAGG(shares, Shares)
WIRE_SECAGG(mask, Mask)
WIRE_SECAGG(masked_input, MaskedInput)
WIRE_SECAGG(agree, Agree)
WIRE_SECAGG(agreement, Agreement)
WIRE_SECAGG(unmask, Unmask)
WIRE_SECAGG(unmasking, Unmasking)
WIRE_SECAGG(sum, Sum)
