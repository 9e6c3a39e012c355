/* Agree and Unmask: the one statement of a round about who contributed, and the shares that are given once enough sites
 * have made it. */
#include "datasite/request_secagg.h"

#include "crypto/secagg_wire.h"
#include "crypto/secret.h"

#include <inttypes.h>

#define AGREE_DETAIL_BYTES 96

/* What both are about: the attempt of a round that this site gave its vector to. */
struct agreeing {
    const struct secagg_request *open;
    uint32_t number, attempt_number, slot_number;
    struct secagg_slot slot;
    struct secagg_round round;
    struct digest own_digest; /* of the vector under masks */
    struct secagg_attempt attempt;
};

static void agreeing_clear(struct agreeing *agreeing)
{
    secagg_slot_clear(&agreeing->slot);
    secagg_round_clear(&agreeing->round);
}

/* What this site never had is refused: it does not mean that there is no such job. */
static struct error *unknown_refused(struct error *err)
{
    if (err->code != ERROR_NOT_FOUND)
        return err;
    struct error *told = error_new(ERROR_REFUSED, "%s", err->sentence);
    error_free(err);
    return told;
}

/* The slot serves, or served, just this attempt. */
static struct error *agreeing_slot(struct agreeing *agreeing)
{
    struct error *err = NULL;
    struct store *store = agreeing->open->requests->store;
    struct secagg_slot *slot = &agreeing->slot;
    err = store_secagg_slot(store, agreeing->open->run_id, agreeing->slot_number, slot);
    if (err != NULL)
        return unknown_refused(err);
    if (slot->sharer_count == 0 || slot->round != agreeing->number ||
        slot->attempt != agreeing->attempt_number)
        FAIL(ERROR_REFUSED,
             "Key slot %" PRIu32 " does not serve attempt %" PRIu32 " of round %" PRIu32 " at this site.",
             agreeing->slot_number, agreeing->attempt_number + 1, agreeing->number);
done:
    return err;
}

static struct error *agreeing_round(struct agreeing *agreeing)
{
    const struct secagg_request *open = agreeing->open;
    struct error *err = store_secagg_round_alone(open->requests->store, &open->job_id, open->run_id,
                                                 agreeing->number, &agreeing->round);
    return err == NULL ? NULL : unknown_refused(err);
}

/* The vector that left, from the answer that the event vouches for. */
static struct error *agreeing_input(struct agreeing *agreeing, size_t *ret_bytes)
{
    struct error *err = NULL;
    const struct secagg_request *open = agreeing->open;
    struct answer answer = {.body = NULL};
    Fds__MaskedInput *input = NULL;
    TRY(store_answer(open->requests->store, &open->job_id, open->run_id, agreeing->number,
                     agreeing->attempt_number, ANSWER_MASKED_INPUT, &answer));
    if (answer.body == NULL || answer.refused)
        FAIL(ERROR_REFUSED, "This site gave nothing to attempt %" PRIu32 " of round %" PRIu32 ".",
             agreeing->attempt_number + 1, agreeing->number);
    if (answer.over)
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run is over: this site has its sum.",
             agreeing->number);
    TRY(wire_masked_input_decode(answer.body, answer.bytes, &input));
    if (input->slot != agreeing->slot_number ||
        memcmp(input->context.data, agreeing->slot.context.bytes, DIGEST_BYTES) != 0)
        FAIL(ERROR_UNTRUSTED, "What this site stored of its input is of another attempt than its key slot.");
    TRY(digest_of(input->words.data, input->words.len, &agreeing->own_digest));
    *ret_bytes = input->words.len;
done:
    wire_masked_input_free(input);
    answer_clear(&answer);
    return err;
}

/* The attempt anew from what is stored: its context must be the one that the slot was bound to. */
static struct error *agreeing_attempt(struct agreeing *agreeing, size_t bytes)
{
    struct error *err = NULL;
    const struct secagg_request *open = agreeing->open;
    const struct requests *requests = open->requests;
    const struct secagg_slot *slot = &agreeing->slot;
    enum mask_ring ring = open->approval.job->secure.ring == 32 ? MASK_RING_32 : MASK_RING_64;
    const struct secagg_keyset *keyset = NULL;
    struct secagg_set sharers = {slot->sharers, slot->sharer_count};
    TRY(secagg_cache_keyset(requests->secagg, requests->store, &open->run, agreeing->slot_number, &keyset));
    if (keyset == NULL)
        FAIL(ERROR_REFUSED, "This site has not shared the secrets of key slot %" PRIu32 ".",
             agreeing->slot_number);
    TRY(secagg_attempt_make(keyset, agreeing->slot_number, agreeing->number, agreeing->attempt_number,
                            sharers, &agreeing->round.model_digest, ring, bytes / mask_bytes(ring, 1),
                            &agreeing->attempt));
    if (!digest_equal(&agreeing->attempt.context, &slot->context))
        FAIL(ERROR_UNTRUSTED,
             "What this site stored of a round does not fit together: its database was changed.");
done:
    return err;
}

/* `with_input`: also what this site's own entry is compared with. To give shares it takes no more than the statement that
 * was signed about it. */
static struct error *agreeing_make(struct agreeing *agreeing, bool with_input)
{
    struct error *err = NULL;
    size_t bytes = 0;
    TRY(agreeing_slot(agreeing));
    TRY(agreeing_round(agreeing));
    if (with_input)
        TRY(agreeing_input(agreeing, &bytes));
    TRY(agreeing_attempt(agreeing, bytes));
done:
    return err;
}

static void agreement_detail(const struct agreeing *agreeing, size_t count, const char *what,
                             char ret_detail[static AGREE_DETAIL_BYTES])
{
    (void)snprintf(ret_detail, AGREE_DETAIL_BYTES, "attempt %" PRIu32 ", slot %" PRIu32 ", %zu %s",
                   agreeing->attempt_number + 1, agreeing->slot_number, count, what);
}

/* What this sum and an earlier one of the job differ by is not one honest site's numbers (store_secagg_near), where the owner
 * wants that. Asked before the list is signed and again before shares are given, by the policy of that moment. */
static struct error *agreeing_differs(const struct agreeing *agreeing, struct secagg_set contributors)
{
    struct error *err = NULL;
    const struct secagg_request *open = agreeing->open;
    const struct requests *requests = open->requests;
    size_t most = (size_t)open->approval.job->secure.tolerate_colluding + 1;
    struct secagg_near near = {0, 0};
    if (requests->policy->gate.secure.differences != POLICY_DIFFERENCES_REFUSE)
        return NULL;
    TRY(store_secagg_near(requests->store, &open->job_id, open->run_id, agreeing->number, contributors, most,
                          &near));
    if (near.round > 0)
        FAIL(ERROR_REFUSED,
             "The contributors of round %" PRIu32 " and of round %" PRIu32
             " of this job differ by %zu of its sites, so that the two sums could tell one site's numbers; "
             "this "
             "site's policy wants 0, or more than %zu (secure_aggregation.differences: refuse): an attempt "
             "with the contributors of round %" PRIu32 " would do.",
             agreeing->number, near.round, near.differences, most, near.round);
done:
    return err;
}

/* ---- step 'agree' ---- */

/* What is verified before shares are given (unmask_check): the length of a vector, u64 little-endian, and the inputs. */
#define KEPT_WORDS_BYTES 8

static struct error *agree_kept(const struct agreeing *agreeing, const struct secagg_input *inputs,
                                size_t count, uint8_t **ret_kept, size_t *ret_bytes)
{
    size_t bytes = KEPT_WORDS_BYTES + count * SECAGG_KEPT_INPUT_BYTES;
    uint64_t words = agreeing->attempt.words;
    uint8_t *kept = malloc(bytes);
    if (kept == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for %zu contributors.", count);
    for (size_t i = 0; i < KEPT_WORDS_BYTES; i++)
        kept[i] = (uint8_t)(words >> (8 * i));
    secagg_wire_write_inputs(inputs, count, kept + KEPT_WORDS_BYTES);
    *ret_kept = kept;
    *ret_bytes = bytes;
    return NULL;
}

static struct error *agree_check(const struct agreeing *agreeing, const struct secagg_input *inputs,
                                 size_t count, uint32_t *positions,
                                 uint8_t ret_body[static SECAGG_AGREEMENT_BODY_BYTES])
{
    struct error *err = NULL;
    const struct secagg_request *open = agreeing->open;
    const struct requests *requests = open->requests;
    TRY(secagg_agree_check(&agreeing->attempt, open->roster.own, &agreeing->own_digest, inputs, count,
                           secagg_roster_least(open->approval.job), ret_body));
    for (size_t i = 0; i < count; i++)
        positions[i] = inputs[i].position;
    TRY(secagg_roster_organisations(&requests->policy->gate, &open->roster,
                                    (struct secagg_set){positions, count}));
done:
    return err;
}

static struct error *agree_write(const struct agreeing *agreeing, const struct secagg_input *inputs,
                                 struct secagg_set contributors,
                                 const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES],
                                 const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    const struct secagg_request *open = agreeing->open;
    struct store *store = open->requests->store;
    char detail[AGREE_DETAIL_BYTES];
    uint8_t *kept = NULL;
    size_t kept_bytes = 0;
    agreement_detail(agreeing, contributors.count, "sites contributed", detail);
    TRY(agree_kept(agreeing, inputs, contributors.count, &kept, &kept_bytes));
    TRY(store_secagg_agree(store, &open->job_id, open->run_id, agreeing->number, agreeing->attempt_number,
                           contributors, body, signature, kept, kept_bytes));
    TRY(request_secagg_event(open, EVENT_ROUND_AGREED, agreeing->number, detail, body,
                             SECAGG_AGREEMENT_BODY_BYTES));
    TRY(store_secagg_kill(store, open->run_id, agreeing->slot_number)); /* slots go upwards */
done:
    free(kept);
    return err;
}

/* Signed for the first time, or what was signed about these very inputs. */
static struct error *agree_sign(struct agreeing *agreeing, const struct secagg_input *inputs, size_t count,
                                uint8_t ret_signature[static SIGNATURE_BYTES], bool *ret_again)
{
    struct error *err = NULL;
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    uint32_t *positions = calloc(count, sizeof(*positions));
    if (positions == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %zu contributors.", count);
    TRY(agree_check(agreeing, inputs, count, positions, body));
    *ret_again = agreeing->round.agreed;
    if (agreeing->round.agreed) {
        if (agreeing->round.attempt != agreeing->attempt_number ||
            memcmp(agreeing->round.agreement, body, sizeof(body)) != 0)
            FAIL(ERROR_REFUSED,
                 "This site has signed who contributed to round %" PRIu32
                 " of this run, and signs that once.",
                 agreeing->number);
        memcpy(ret_signature, agreeing->round.signature, SIGNATURE_BYTES);
    } else {
        TRY(agreeing_differs(agreeing, (struct secagg_set){positions, count}));
        TRY(secagg_sign(agreeing->open->requests->identity, SECAGG_AGREEMENT, body, sizeof(body),
                        ret_signature));
        TRY(secagg_memo_own(secagg_cache_memo(agreeing->open->requests->secagg),
                            agreeing->open->requests->identity, SECAGG_AGREEMENT, body, sizeof(body),
                            ret_signature));
        TRY(agree_write(agreeing, inputs, (struct secagg_set){positions, count}, body, ret_signature));
    }
done:
    free(positions);
    return err;
}

static struct error *agreement_encode(const struct agreeing *agreeing,
                                      uint8_t signature[static SIGNATURE_BYTES], uint8_t **ret_body,
                                      size_t *ret_bytes)
{
    struct secagg_request open = *agreeing->open;
    Fds__Agreement message = FDS__AGREEMENT__INIT;
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, open.job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, open.run_id};
    message.round = agreeing->number;
    message.attempt = agreeing->attempt_number;
    message.signature = (ProtobufCBinaryData){SIGNATURE_BYTES, signature};
    return wire_encode(&message.base, ret_body, ret_bytes);
}

struct error *request_agree(const struct requests *requests, const struct request *request,
                            struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Agree *message = NULL;
    struct secagg_request open = {.requests = NULL};
    struct agreeing agreeing = {.open = &open};
    struct secagg_input *inputs = NULL;
    uint8_t signature[SIGNATURE_BYTES];
    uint8_t *body = NULL;
    size_t bytes = 0;
    bool again = false;
    TRY(wire_agree_decode(request->body, request->body_bytes, &message));
    agreeing.number = message->round;
    agreeing.attempt_number = message->attempt;
    agreeing.slot_number = message->slot;
    TRY(secagg_wire_take_inputs(message->inputs, message->n_inputs, &inputs));
    TRY(request_secagg_open(requests, request, &message->job_id, &message->run_id, message->witness, false,
                            &open));
    TRY(agreeing_make(&agreeing, true));
    TRY(agree_sign(&agreeing, inputs, message->n_inputs, signature, &again));
    TRY(agreement_encode(&agreeing, signature, &body, &bytes));
    TRY(request_secagg_reply(&open, EVENT_ROUND_AGREED, message->round, again,
                             FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT, &body, bytes, ret_reply));
done:
    free(body);
    free(inputs);
    agreeing_clear(&agreeing);
    request_secagg_close(&open);
    wire_agree_free(message);
    return err;
}

/* ---- step 'unmask' ---- */

/* The inputs of the list that this site signed. */
static struct error *unmask_inputs(struct agreeing *agreeing, struct secagg_set contributors,
                                   struct secagg_input **ret_inputs)
{
    struct error *err = NULL;
    const struct secagg_round *round = &agreeing->round;
    uint64_t words = 0;
    if (round->inputs == NULL || round->inputs_bytes < KEPT_WORDS_BYTES)
        FAIL(ERROR_REFUSED,
             "This site signed who contributed to round %" PRIu32
             " before it was updated, and kept no inputs to verify: it gives no shares of that round.",
             agreeing->number);
    for (size_t i = 0; i < KEPT_WORDS_BYTES; i++)
        words |= (uint64_t)round->inputs[i] << (8 * i);
    agreeing->attempt.words = words;
    TRY(secagg_wire_read_inputs(contributors, round->inputs + KEPT_WORDS_BYTES,
                                round->inputs_bytes - KEPT_WORDS_BYTES, ret_inputs));
done:
    return err;
}

/* The body that this site signed, and enough others over the very same; every contributor signed; and the contributors are
 * those of its hash. */
static struct error *unmask_check(struct agreeing *agreeing, const struct secagg_agreement *agreements,
                                  size_t count, struct secagg_set *ret_contributors)
{
    struct error *err = NULL;
    const struct secagg_request *open = agreeing->open;
    const struct secagg_round *round = &agreeing->round;
    struct secagg_set contributors = {round->contributors, round->contributor_count};
    struct secagg_input *inputs = NULL;
    struct digest hash;
    if (!round->agreed || round->attempt != agreeing->attempt_number)
        FAIL(ERROR_REFUSED,
             "This site has not signed who contributed to attempt %" PRIu32 " of round %" PRIu32
             ", so it gives no shares.",
             agreeing->attempt_number + 1, agreeing->number);
    TRY(secagg_set_hash(&open->run, SECAGG_CONTRIBUTORS, contributors, &hash));
    if (memcmp(round->agreement, agreeing->attempt.context.bytes, DIGEST_BYTES) != 0 ||
        memcmp(round->agreement + DIGEST_BYTES, agreeing->attempt.sharers_hash.bytes, DIGEST_BYTES) != 0 ||
        memcmp(round->agreement + 2 * DIGEST_BYTES, hash.bytes, DIGEST_BYTES) != 0)
        FAIL(ERROR_UNTRUSTED,
             "What this site stored of a round does not fit to what it signed: its database was changed.");
    TRY(unmask_inputs(agreeing, contributors, &inputs));
    TRY(secagg_unmask_check(&agreeing->attempt, open->roster.own, round->agreement, inputs,
                            contributors.count, agreements, count,
                            secagg_cache_memo(open->requests->secagg)));
    /* The policy of now, which may ask for more than that of the moment when the list was signed. */
    TRY(secagg_roster_organisations(&open->requests->policy->gate, &open->roster, contributors));
    *ret_contributors = contributors;
done:
    free(inputs);
    return err;
}

/* This site's share of the secret of one peer, or of its own. `used`: of the sealed ones, so far. */
static struct error *unmask_share(const struct agreeing *agreeing, struct agreement_key *key,
                                  struct secagg_revealed *revealed, size_t *used)
{
    struct error *err = NULL;
    const struct secagg_slot *slot = &agreeing->slot;
    uint32_t own = agreeing->open->roster.own;
    struct secagg_share share = slot->own;
    if (revealed->position != own) {
        if (slot->sealed_bytes - *used < SECAGG_SEALED_BYTES)
            FAIL(ERROR_UNTRUSTED, "Shares for this site are missing in its database, which was changed.");
        TRY(secagg_share_open_by(agreeing->attempt.keyset, agreeing->slot_number, own, revealed->position,
                                 key, secagg_cache_agreed(agreeing->open->requests->secagg),
                                 slot->sealed + *used, &share));
        *used += SECAGG_SEALED_BYTES;
    }
    memcpy(revealed->share, revealed->kind == SECAGG_REVEAL_B ? share.b : share.s, SHAMIR_SHARE_BYTES);
done:
    secret_wipe(&share, sizeof(share));
    return err;
}

static struct error *unmasking_encode(const struct agreeing *agreeing, const struct secagg_revealed *revealed,
                                      size_t count, uint8_t **ret_body, size_t *ret_bytes)
{
    struct error *err = NULL;
    struct secagg_request open = *agreeing->open;
    Fds__Unmasking message = FDS__UNMASKING__INIT;
    uint8_t *shares = malloc(count * SECAGG_REVEALED_BYTES);
    if (shares == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %zu shares.", count);
    secagg_wire_write_revealed(revealed, count, shares);
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, open.job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, open.run_id};
    message.round = agreeing->number;
    message.attempt = agreeing->attempt_number;
    message.revealed = (ProtobufCBinaryData){count * SECAGG_REVEALED_BYTES, shares};
    TRY(wire_encode(&message.base, ret_body, ret_bytes));
done:
    free(shares);
    return err;
}

static struct error *unmask_write(const struct agreeing *agreeing, const struct secagg_revealed *revealed,
                                  size_t count, const uint8_t *body, size_t bytes)
{
    struct error *err = NULL;
    const struct secagg_request *open = agreeing->open;
    char detail[AGREE_DETAIL_BYTES];
    agreement_detail(agreeing, count, "shares", detail);
    TRY(store_secagg_reveal(open->requests->store, open->run_id, agreeing->slot_number, revealed, count, body,
                            bytes));
    TRY(request_secagg_event(open, EVENT_SHARES_REVEALED, agreeing->number, detail, body, bytes));
done:
    return err;
}

static struct error *unmask_anew(const struct agreeing *agreeing, struct secagg_set contributors,
                                 uint8_t **ret_body, size_t *ret_bytes)
{
    struct error *err = NULL;
    struct secagg_revealed *revealed = NULL;
    struct agreement_key *key = NULL;
    size_t count = 0, used = 0, bytes = 0;
    uint8_t *body = NULL;
    if (agreeing->slot.state != SECAGG_SLOT_BOUND)
        FAIL(ERROR_REFUSED, "Key slot %" PRIu32 " is dead at this site, and its secrets are erased.",
             agreeing->slot_number);
    TRY(secagg_reveal_plan(&agreeing->attempt, contributors, agreeing->open->roster.own, &revealed, &count));
    TRY(agreement_key_new(agreeing->slot.secret.c, &key));
    for (size_t i = 0; i < count; i++)
        TRY(unmask_share(agreeing, key, &revealed[i], &used));
    if (used != agreeing->slot.sealed_bytes)
        FAIL(ERROR_UNTRUSTED,
             "There are more shares for this site in its database than sites that gave them.");
    TRY(unmasking_encode(agreeing, revealed, count, &body, &bytes));
    TRY(unmask_write(agreeing, revealed, count, body, bytes));
    *ret_body = body;
    *ret_bytes = bytes;
    body = NULL;
done:
    agreement_key_free(key);
    if (revealed != NULL)
        secret_wipe(revealed, count * sizeof(*revealed));
    free(revealed);
    if (body != NULL)
        secret_wipe(body, bytes);
    free(body);
    return err;
}

struct error *request_unmask(const struct requests *requests, const struct request *request,
                             struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Unmask *message = NULL;
    struct secagg_request open = {.requests = NULL};
    struct agreeing agreeing = {.open = &open};
    struct secagg_agreement *agreements = NULL;
    struct secagg_set contributors;
    uint8_t *body = NULL;
    size_t bytes = 0;
    TRY(wire_unmask_decode(request->body, request->body_bytes, &message));
    agreeing.number = message->round;
    agreeing.attempt_number = message->attempt;
    agreeing.slot_number = message->slot;
    TRY(secagg_wire_take_agreements(message->agreements, message->n_agreements, &agreements));
    TRY(request_secagg_open(requests, request, &message->job_id, &message->run_id, message->witness, false,
                            &open));
    TRY(agreeing_make(&agreeing, false));
    TRY(unmask_check(&agreeing, agreements, message->n_agreements, &contributors));
    bool again = agreeing.slot.state == SECAGG_SLOT_REVEALED;
    if (again) {
        bytes = agreeing.slot.revealed_bytes;
        TRY(request_secagg_copy(agreeing.slot.revealed, bytes, &body));
    } else {
        TRY(agreeing_differs(&agreeing, contributors));
        TRY(unmask_anew(&agreeing, contributors, &body, &bytes));
    }
    TRY(request_secagg_reply(&open, EVENT_SHARES_REVEALED, message->round, again,
                             FDS__MESSAGE_TYPE__MESSAGE_UNMASKING, &body, bytes, ret_reply));
    /* The slot's secrets are erased in the file. */
    agreement_memory_forget(secagg_cache_agreed(requests->secagg), message->run_id.data, message->slot);
done:
    free(body);
    free(agreements);
    agreeing_clear(&agreeing);
    request_secagg_close(&open);
    wire_unmask_free(message);
    return err;
}
