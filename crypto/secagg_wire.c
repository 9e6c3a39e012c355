#include "crypto/secagg_wire.h"

#include <inttypes.h>

static struct error *no_memory(const char *message)
{
    return error_new(ERROR_MEMORY, "There is not enough memory for a message %s.", message);
}

/* malloc'ed, as protobuf-c frees it. */
static struct error *copy_bytes(const char *message, const void *from, size_t count,
                                ProtobufCBinaryData *ret_field)
{
    uint8_t *copy = malloc(count + 1);
    if (copy == NULL)
        return no_memory(message);
    memcpy(copy, from, count);
    *ret_field = (ProtobufCBinaryData){.data = copy, .len = count};
    return NULL;
}

static struct error *take_bytes(const char *message, const char *field, const ProtobufCBinaryData *data,
                                size_t count, void *ret_bytes)
{
    if (data->len != count)
        return error_new(ERROR_INVALID, "%s: %s must have %zu bytes and has %zu.", message, field, count,
                         data->len);
    memcpy(ret_bytes, data->data, count);
    return NULL;
}

static struct error *check_count(const char *message, size_t count)
{
    if (count == 0 || count > SECAGG_MAX_SITES)
        return error_new(ERROR_INVALID, "%s: there must be from 1 to %d of them and there are %zu.", message,
                         SECAGG_MAX_SITES, count);
    return NULL;
}

static struct error *check_position(const char *message, uint32_t position)
{
    if (position == 0 || position > SECAGG_MAX_SITES)
        return error_new(ERROR_INVALID, "%s: position must be from 1 to %d and is %" PRIu32 ".", message,
                         SECAGG_MAX_SITES, position);
    return NULL;
}

/* ---- Advert ---- */

#define ADVERT "Advert"

static struct error *make_entries(const struct secagg_advert *advert, ProtobufCBinaryData *ret_field)
{
    size_t bytes = advert->count * SECAGG_ENTRY_BYTES;
    uint8_t *entries = malloc(bytes + 1);
    if (entries == NULL)
        return no_memory(ADVERT);
    secagg_entries_write(advert->entries, advert->count, entries);
    *ret_field = (ProtobufCBinaryData){.data = entries, .len = bytes};
    return NULL;
}

struct error *secagg_wire_make_advert(const struct secagg_run *run, const struct secagg_advert *advert,
                                      Fds__Advert **ret_message)
{
    struct error *err = NULL;
    Fds__Advert *message = malloc(sizeof(*message));
    if (message == NULL)
        return no_memory(ADVERT);
    fds__advert__init(message);
    TRY(copy_bytes(ADVERT, run->job_hash.bytes, DIGEST_BYTES, &message->job_id));
    TRY(copy_bytes(ADVERT, run->run_id, SECAGG_RUN_ID_BYTES, &message->run_id));
    message->first_slot = advert->first_slot;
    message->count = (uint32_t)advert->count;
    TRY(copy_bytes(ADVERT, advert->public_key, PUBLIC_KEY_BYTES, &message->public_key));
    message->ledger_sequence = advert->ledger_sequence;
    TRY(copy_bytes(ADVERT, advert->ledger_head.bytes, DIGEST_BYTES, &message->ledger_head));
    TRY(make_entries(advert, &message->entries));
    TRY(copy_bytes(ADVERT, advert->signature, SIGNATURE_BYTES, &message->signature));
    *ret_message = message;
    message = NULL;
done:
    if (message != NULL)
        fds__advert__free_unpacked(message, NULL);
    return err;
}

/* Of which job and run it is, is signed; a site must not lend its keys to another. */
static struct error *check_run(const struct secagg_run *run, const Fds__Advert *message)
{
    struct error *err = NULL;
    struct digest job_hash;
    uint8_t run_id[SECAGG_RUN_ID_BYTES];
    TRY(take_bytes(ADVERT, "job_id", &message->job_id, DIGEST_BYTES, job_hash.bytes));
    TRY(take_bytes(ADVERT, "run_id", &message->run_id, SECAGG_RUN_ID_BYTES, run_id));
    if (!digest_equal(&job_hash, &run->job_hash))
        FAIL(ERROR_INVALID, "%s: job_id is that of another job.", ADVERT);
    if (memcmp(run_id, run->run_id, SECAGG_RUN_ID_BYTES) != 0)
        FAIL(ERROR_INVALID, "%s: run_id is that of another run.", ADVERT);
done:
    return err;
}

struct error *secagg_wire_take_advert(const struct secagg_run *run, const Fds__Advert *message,
                                      struct secagg_advert *ret_advert)
{
    struct error *err = NULL;
    struct secagg_advert advert = {.first_slot = message->first_slot,
                                   .ledger_sequence = message->ledger_sequence};
    TRY(check_run(run, message));
    TRY(take_bytes(ADVERT, "public_key", &message->public_key, PUBLIC_KEY_BYTES, advert.public_key));
    TRY(site_id_of_key(advert.public_key, &advert.site));
    TRY(take_bytes(ADVERT, "ledger_head", &message->ledger_head, DIGEST_BYTES, advert.ledger_head.bytes));
    TRY(take_bytes(ADVERT, "signature", &message->signature, SIGNATURE_BYTES, advert.signature));
    TRY(error_prefix(
        secagg_entries_read(message->entries.data, message->entries.len, &advert.entries, &advert.count),
        "%s: entries", ADVERT));
    if (advert.count != message->count)
        FAIL(ERROR_INVALID, "%s: count is %" PRIu32 ", and entries has %zu.", ADVERT, message->count,
             advert.count);
    *ret_advert = advert;
    advert.entries = NULL;
done:
    secagg_advert_clear(&advert);
    return err;
}

struct error *secagg_wire_take_adverts(const struct secagg_run *run, Fds__Advert *const *messages,
                                       size_t count, struct secagg_advert **ret_adverts)
{
    struct error *err = NULL;
    struct secagg_advert *adverts = NULL;
    TRY(check_count(ADVERT, count));
    adverts = calloc(count, sizeof(*adverts));
    if (adverts == NULL)
        TRY(no_memory(ADVERT));
    for (size_t i = 0; i < count; i++)
        TRY(secagg_wire_take_advert(run, messages[i], &adverts[i]));
    *ret_adverts = adverts;
    adverts = NULL;
done:
    secagg_wire_free_adverts(adverts, count);
    return err;
}

void secagg_wire_free_adverts(struct secagg_advert *adverts, size_t count)
{
    if (adverts == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        secagg_advert_clear(&adverts[i]);
    free(adverts);
}

struct error *secagg_wire_read_keyset(const struct secagg_run *run, const uint8_t *bytes, size_t byte_count,
                                      struct secagg_memo *memo, struct secagg_keyset **ret_keyset)
{
    struct error *err = NULL;
    struct secagg_advert *adverts = NULL;
    size_t count = 0;
    Fds__Share *share = fds__share__unpack(NULL, byte_count, bytes);
    if (share == NULL)
        FAIL(ERROR_INVALID, "Share: these bytes are no such message.");
    TRY(secagg_wire_take_adverts(run, share->adverts, share->n_adverts, &adverts));
    count = share->n_adverts;
    TRY(secagg_keyset_make(run, adverts, count, memo, ret_keyset));
done:
    secagg_wire_free_adverts(adverts, count);
    if (share != NULL)
        fds__share__free_unpacked(share, NULL);
    return err;
}

/* ---- InputStatement ---- */

#define INPUT "InputStatement"

static struct error *make_input(const struct secagg_input *input, Fds__InputStatement **ret_message)
{
    struct error *err = NULL;
    Fds__InputStatement *message = malloc(sizeof(*message));
    if (message == NULL)
        return no_memory(INPUT);
    fds__input_statement__init(message);
    message->position = input->position;
    TRY(copy_bytes(INPUT, input->digest.bytes, DIGEST_BYTES, &message->digest));
    TRY(copy_bytes(INPUT, input->signature, SIGNATURE_BYTES, &message->signature));
    *ret_message = message;
    message = NULL;
done:
    if (message != NULL)
        fds__input_statement__free_unpacked(message, NULL);
    return err;
}

struct error *secagg_wire_make_inputs(const struct secagg_input *inputs, size_t count,
                                      Fds__InputStatement ***ret_messages)
{
    struct error *err = NULL;
    Fds__InputStatement **messages = calloc(count + 1, sizeof(*messages));
    if (messages == NULL)
        return no_memory(INPUT);
    for (size_t i = 0; i < count; i++)
        TRY(make_input(&inputs[i], &messages[i]));
    *ret_messages = messages;
    messages = NULL;
done:
    secagg_wire_free_inputs(messages, count);
    return err;
}

void secagg_wire_free_inputs(Fds__InputStatement **messages, size_t count)
{
    if (messages == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        if (messages[i] != NULL)
            fds__input_statement__free_unpacked(messages[i], NULL);
    free(messages);
}

static struct error *take_input(const Fds__InputStatement *message, struct secagg_input *ret_input)
{
    struct error *err = NULL;
    TRY(check_position(INPUT, message->position));
    ret_input->position = message->position;
    TRY(take_bytes(INPUT, "digest", &message->digest, DIGEST_BYTES, ret_input->digest.bytes));
    TRY(take_bytes(INPUT, "signature", &message->signature, SIGNATURE_BYTES, ret_input->signature));
done:
    return err;
}

struct error *secagg_wire_take_inputs(Fds__InputStatement *const *messages, size_t count,
                                      struct secagg_input **ret_inputs)
{
    struct error *err = NULL;
    struct secagg_input *inputs = NULL;
    TRY(check_count(INPUT, count));
    inputs = calloc(count, sizeof(*inputs));
    if (inputs == NULL)
        TRY(no_memory(INPUT));
    for (size_t i = 0; i < count; i++)
        TRY(take_input(messages[i], &inputs[i]));
    *ret_inputs = inputs;
    inputs = NULL;
done:
    free(inputs);
    return err;
}

void secagg_wire_write_inputs(const struct secagg_input *inputs, size_t count, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < count; i++, ret_bytes += SECAGG_KEPT_INPUT_BYTES) {
        memcpy(ret_bytes, inputs[i].digest.bytes, DIGEST_BYTES);
        memcpy(ret_bytes + DIGEST_BYTES, inputs[i].signature, SIGNATURE_BYTES);
    }
}

struct error *secagg_wire_read_inputs(struct secagg_set positions, const uint8_t *bytes, size_t byte_count,
                                      struct secagg_input **ret_inputs)
{
    struct error *err = NULL;
    struct secagg_input *inputs = NULL;
    if (byte_count != positions.count * SECAGG_KEPT_INPUT_BYTES)
        FAIL(ERROR_UNTRUSTED, "What is kept of the inputs of %zu contributors has %zu bytes; %zu are due.",
             positions.count, byte_count, positions.count * SECAGG_KEPT_INPUT_BYTES);
    inputs = calloc(positions.count + 1, sizeof(*inputs));
    if (inputs == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the inputs of %zu sites.", positions.count);
    for (size_t i = 0; i < positions.count; i++, bytes += SECAGG_KEPT_INPUT_BYTES) {
        inputs[i].position = positions.positions[i];
        memcpy(inputs[i].digest.bytes, bytes, DIGEST_BYTES);
        memcpy(inputs[i].signature, bytes + DIGEST_BYTES, SIGNATURE_BYTES);
    }
    *ret_inputs = inputs;
done:
    return err;
}

/* ---- AgreementStatement ---- */

#define AGREEMENT "AgreementStatement"

static struct error *make_agreement(const struct secagg_agreement *agreement,
                                    Fds__AgreementStatement **ret_message)
{
    struct error *err = NULL;
    Fds__AgreementStatement *message = malloc(sizeof(*message));
    if (message == NULL)
        return no_memory(AGREEMENT);
    fds__agreement_statement__init(message);
    message->position = agreement->position;
    TRY(copy_bytes(AGREEMENT, agreement->public_key, PUBLIC_KEY_BYTES, &message->public_key));
    TRY(copy_bytes(AGREEMENT, agreement->signature, SIGNATURE_BYTES, &message->signature));
    *ret_message = message;
    message = NULL;
done:
    if (message != NULL)
        fds__agreement_statement__free_unpacked(message, NULL);
    return err;
}

struct error *secagg_wire_make_agreements(const struct secagg_agreement *agreements, size_t count,
                                          Fds__AgreementStatement ***ret_messages)
{
    struct error *err = NULL;
    Fds__AgreementStatement **messages = calloc(count + 1, sizeof(*messages));
    if (messages == NULL)
        return no_memory(AGREEMENT);
    for (size_t i = 0; i < count; i++)
        TRY(make_agreement(&agreements[i], &messages[i]));
    *ret_messages = messages;
    messages = NULL;
done:
    secagg_wire_free_agreements(messages, count);
    return err;
}

void secagg_wire_free_agreements(Fds__AgreementStatement **messages, size_t count)
{
    if (messages == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        if (messages[i] != NULL)
            fds__agreement_statement__free_unpacked(messages[i], NULL);
    free(messages);
}

static struct error *take_agreement(const Fds__AgreementStatement *message,
                                    struct secagg_agreement *ret_agreement)
{
    struct error *err = NULL;
    TRY(check_position(AGREEMENT, message->position));
    ret_agreement->position = message->position;
    TRY(take_bytes(AGREEMENT, "public_key", &message->public_key, PUBLIC_KEY_BYTES,
                   ret_agreement->public_key));
    TRY(take_bytes(AGREEMENT, "signature", &message->signature, SIGNATURE_BYTES, ret_agreement->signature));
done:
    return err;
}

struct error *secagg_wire_take_agreements(Fds__AgreementStatement *const *messages, size_t count,
                                          struct secagg_agreement **ret_agreements)
{
    struct error *err = NULL;
    struct secagg_agreement *agreements = NULL;
    TRY(check_count(AGREEMENT, count));
    agreements = calloc(count, sizeof(*agreements));
    if (agreements == NULL)
        TRY(no_memory(AGREEMENT));
    for (size_t i = 0; i < count; i++)
        TRY(take_agreement(messages[i], &agreements[i]));
    *ret_agreements = agreements;
    agreements = NULL;
done:
    free(agreements);
    return err;
}

/* ---- Unmasking.revealed ---- */

void secagg_wire_write_revealed(const struct secagg_revealed *revealed, size_t count, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < count; i++, ret_bytes += SECAGG_REVEALED_BYTES) {
        ret_bytes[0] = (uint8_t)revealed[i].kind;
        memcpy(ret_bytes + 1, revealed[i].share, SHAMIR_SHARE_BYTES);
    }
}

static struct error *check_revealed(const uint8_t bytes[static SECAGG_REVEALED_BYTES],
                                    const struct secagg_revealed *planned)
{
    if (bytes[0] != (uint8_t)planned->kind)
        return error_new(ERROR_INVALID,
                         "Unmasking: of site %" PRIu32 " of the roster the share of %s is due.",
                         planned->position, planned->kind == SECAGG_REVEAL_B ? "b" : "s");
    return error_prefix(shamir_share_check(bytes + 1), "Unmasking: what is revealed of site %" PRIu32,
                        planned->position);
}

struct error *secagg_wire_read_revealed(const uint8_t *bytes, size_t byte_count, struct secagg_revealed *plan,
                                        size_t count)
{
    struct error *err = NULL;
    if (byte_count != count * SECAGG_REVEALED_BYTES)
        FAIL(ERROR_INVALID, "Unmasking: revealed must have %zu shares, %d bytes each, and has %zu bytes.",
             count, SECAGG_REVEALED_BYTES, byte_count);
    for (size_t i = 0; i < count; i++)
        TRY(check_revealed(bytes + i * SECAGG_REVEALED_BYTES, &plan[i]));
    for (size_t i = 0; i < count; i++)
        memcpy(plan[i].share, bytes + i * SECAGG_REVEALED_BYTES + 1, SHAMIR_SHARE_BYTES);
done:
    return err;
}

/* ---- Sum.opened ---- */

void secagg_wire_write_opened(const struct secagg_opened *opened, size_t count, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < count; i++)
        memcpy(ret_bytes + i * SECAGG_OPENED_BYTES, opened[i].secret, SECAGG_OPENED_BYTES);
}

struct error *secagg_wire_read_opened(struct secagg_set sharers, struct secagg_set contributors,
                                      const uint8_t *bytes, size_t byte_count,
                                      struct secagg_opened **ret_opened)
{
    struct error *err = NULL;
    struct secagg_opened *opened = NULL;
    if (sharers.count == 0 || byte_count / SECAGG_OPENED_BYTES != sharers.count ||
        byte_count % SECAGG_OPENED_BYTES != 0)
        FAIL(ERROR_INVALID,
             "Sum: opened must have the secrets of %zu sites, %d bytes each, and has %zu bytes.",
             sharers.count, SECAGG_OPENED_BYTES, byte_count);
    opened = calloc(sharers.count, sizeof(*opened));
    if (opened == NULL)
        TRY(no_memory("Sum"));
    for (size_t i = 0; i < sharers.count; i++) {
        opened[i].position = sharers.positions[i];
        opened[i].kind =
            secagg_set_has(contributors, sharers.positions[i]) ? SECAGG_REVEAL_B : SECAGG_REVEAL_S;
        memcpy(opened[i].secret, bytes + i * SECAGG_OPENED_BYTES, SECAGG_OPENED_BYTES);
    }
    *ret_opened = opened;
done:
    return err;
}
