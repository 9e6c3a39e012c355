#include "tests/unit/datasite/wire_record.h"

#include "crypto/secagg_wire.h"
#include "tests/unit/crypto/given_record.h"
#include "tests/unit/datasite/workspace.h"

#include <unistd.h>

/* A run at a site. */
struct line {
    uint8_t id[STORE_RUN_ID_BYTES];
};

static struct line line_of(const struct site_id *site, const uint8_t *run_id)
{
    struct line line;
    for (size_t i = 0; i < sizeof(line.id); i++)
        line.id[i] = (uint8_t)(run_id[i] ^ site->digest.bytes[i]);
    return line;
}

/* What a site said about a round, or gave in a slot, or whose shares it was given for one. */
enum noted_kind { NOTED_STATEMENT, NOTED_VECTOR, NOTED_SHARERS };

struct noted {
    enum noted_kind kind;
    struct line line;
    uint32_t number; /* of the round, or of the slot */
    uint8_t *bytes;
    size_t count;
};

static struct {
    struct noted *noted;
    size_t count, room;
    struct wire_record_counts counts;
} record;

static struct noted *find(enum noted_kind kind, struct line line, uint32_t number)
{
    for (size_t i = 0; i < record.count; i++) {
        struct noted *noted = &record.noted[i];
        if (noted->kind == kind && noted->number == number && memcmp(&noted->line, &line, sizeof(line)) == 0)
            return noted;
    }
    return NULL;
}

/* True when something else was noted there before. */
static bool note(enum noted_kind kind, struct line line, uint32_t number, const void *bytes, size_t count)
{
    struct noted *before = find(kind, line, number);
    if (before != NULL)
        return before->count != count || memcmp(before->bytes, bytes, count) != 0;
    if (record.count == record.room) {
        record.room = record.room == 0 ? 256 : 2 * record.room;
        record.noted = realloc(record.noted, record.room * sizeof(*record.noted));
        assert_non_null(record.noted);
    }
    struct noted *noted = &record.noted[record.count++];
    *noted = (struct noted){.kind = kind, .line = line, .number = number, .count = count};
    noted->bytes = malloc(count + 1);
    assert_non_null(noted->bytes);
    memcpy(noted->bytes, bytes, count);
    return false;
}

static void note_vector(const struct site_id *site, const Fds__Mask *mask, const struct reply *reply)
{
    Fds__Released *released = NULL;
    Fds__MaskedInput *input = NULL;
    struct line line = line_of(site, mask->run_id.data);
    must(wire_released_decode(reply->body, reply->body_bytes, &released));
    assert_int_equal(released->type, FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    must(wire_masked_input_decode(released->body.data, released->body.len, &input));
    record.counts.vectors++;
    if (note(NOTED_VECTOR, line, input->slot, input->words.data, input->words.len))
        record.counts.second_vectors++;
    (void)note(NOTED_SHARERS, line, mask->slot, mask->sharers, mask->n_sharers * sizeof(*mask->sharers));
    wire_masked_input_free(input);
    wire_released_free(released);
}

static void note_statement(const struct site_id *site, const Fds__Agree *agree, const struct reply *reply)
{
    Fds__Agreement *agreement = NULL;
    must(wire_agreement_decode(reply->body, reply->body_bytes, &agreement));
    record.counts.statements++;
    if (note(NOTED_STATEMENT, line_of(site, agree->run_id.data), agree->round, agreement->signature.data,
             agreement->signature.len))
        record.counts.second_statements++;
    wire_agreement_free(agreement);
}

/* A share of every sharer, in their order. Where a test had the vector masked past the messages, or only some of the sharers
 * are neighbours, peers are told apart by their place alone, which is the same whenever a slot's shares are given. */
static void note_shares(const struct site_id *site, const Fds__Unmask *unmask, const struct reply *reply)
{
    Fds__Unmasking *unmasking = NULL;
    struct secagg_revealed revealed[JOB_MAX_SITES];
    struct line line = line_of(site, unmask->run_id.data);
    must(wire_unmasking_decode(reply->body, reply->body_bytes, &unmasking));
    const struct noted *noted = find(NOTED_SHARERS, line, unmask->slot);
    size_t count = unmasking->revealed.len / SECAGG_REVEALED_BYTES;
    bool all = noted != NULL && noted->count <= SECAGG_COMPLETE * sizeof(uint32_t);
    assert_true(count <= JOB_MAX_SITES);
    assert_true(!all || count * sizeof(uint32_t) == noted->count);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *one = unmasking->revealed.data + i * SECAGG_REVEALED_BYTES;
        revealed[i].position = (uint32_t)i + 1;
        if (all)
            memcpy(&revealed[i].position, noted->bytes + i * sizeof(uint32_t), sizeof(uint32_t));
        assert_true(one[0] == SECAGG_REVEAL_B || one[0] == SECAGG_REVEAL_S);
        revealed[i].kind = one[0] == SECAGG_REVEAL_B ? SECAGG_REVEAL_B : SECAGG_REVEAL_S;
        memcpy(revealed[i].share, one + 1, SHAMIR_SHARE_BYTES);
    }
    given_record_add(given_record_of_all(), line.id, unmask->slot, 1, revealed, count);
    wire_unmasking_free(unmasking);
}

void wire_record_note(const struct site_id *site, uint32_t type, const ProtobufCMessage *message,
                      const struct reply *reply)
{
    if (reply->type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL)
        record.counts.refusals++;
    else if (type == FDS__MESSAGE_TYPE__MESSAGE_MASK)
        note_vector(site, (const Fds__Mask *)message, reply);
    else if (type == FDS__MESSAGE_TYPE__MESSAGE_AGREE)
        note_statement(site, (const Fds__Agree *)message, reply);
    else if (type == FDS__MESSAGE_TYPE__MESSAGE_UNMASK)
        note_shares(site, (const Fds__Unmask *)message, reply);
}

size_t wire_record_given(const struct site_id *site, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                         uint32_t slot)
{
    return given_record_in_slot(given_record_of_all(), line_of(site, run_id).id, slot);
}

struct wire_record_counts wire_record_counts(void)
{
    record.counts.shares = given_record_count(given_record_of_all());
    record.counts.both_kinds = given_record_both(given_record_of_all());
    return record.counts;
}

static bool is_clean(const struct wire_record_counts *counts)
{
    if (counts->both_kinds == 0 && counts->second_statements == 0 && counts->second_vectors == 0)
        return true;
    print_error("Sites gave %zu times both kinds of share of a peer, signed %zu second statements, and gave "
                "%zu second "
                "vectors.\n",
                counts->both_kinds, counts->second_statements, counts->second_vectors);
    return false;
}

int wire_record_tear_down(void **state)
{
    const struct wire_record_counts counts = wire_record_counts();
    (void)state;
    if (!is_clean(&counts))
        return -1;
    if (counts.shares > 0 && counts.statements > 0 && counts.vectors > 0)
        return 0;
    print_error("Sites gave %zu shares, %zu statements and %zu vectors: too few to judge.\n", counts.shares,
                counts.statements, counts.vectors);
    return -1;
}

/* Also in the programs whose tests are about something else. */
__attribute__((destructor)) static void judge(void)
{
    const struct wire_record_counts counts = wire_record_counts();
    for (size_t i = 0; i < record.count; i++)
        free(record.noted[i].bytes);
    free(record.noted);
    given_record_free(given_record_of_all());
    if (!is_clean(&counts))
        _exit(1);
}
