#include "tests/unit/datasite/crowd.h"

#include "crypto/identity_parts.h"
#include "crypto/secagg_share.h"
#include "crypto/secagg_wire.h"
#include "crypto/secret.h"
#include "tests/unit/crypto/forge.h"

#define CROWD_ORGANISATIONS (POLICY_MAX_ORGANISATIONS - 1) /* besides the datasite's own */
#define CROWD_TEXT_HEAD 1024
#define CROWD_TEXT_SITE 128

static void *made(size_t count, size_t bytes)
{
    void *area = calloc(count, bytes);
    assert_non_null(area);
    return area;
}

/* ---- who ---- */

static struct identity *new_identity(void)
{
    struct identity *identity = NULL;
    EVP_PKEY *key = forge_key("ED25519");
    must(identity_of_parts("made up", key, forge_plain(key), sk_X509_new_null(), &identity));
    return identity;
}

static int by_site_id(const void *a, const void *b)
{
    const struct crowd_member *one = a, *other = b;
    return site_id_compare(identity_id(one->identity), identity_id(other->identity));
}

static void make_roster(struct crowd *crowd)
{
    struct policy_gate *gate = &crowd->site->policy.gate;
    crowd->members[0].identity = crowd->site->identity;
    for (size_t i = 1; i < crowd->count; i++)
        crowd->members[i].identity = new_identity();
    qsort(crowd->members, crowd->count, sizeof(*crowd->members), by_site_id);
    gate->secure =
        (struct policy_secure_aggregation){.min_threshold = 3, .min_colluding = 1, .min_organisations = 2};
    for (size_t i = 0; i < crowd->count; i++) {
        crowd->roster[i] = *identity_id(crowd->members[i].identity);
        if (crowd->members[i].identity == crowd->site->identity) {
            crowd->own = (uint32_t)i + 1;
            continue;
        }
        struct policy_partner *partner = &gate->partners[gate->partner_count];
        partner->organisation = (uint16_t)(gate->partner_count++ % CROWD_ORGANISATIONS + 1);
        site_id_format(&crowd->roster[i], partner->fingerprint);
    }
    executor_set_policy(crowd->site->executor, &crowd->site->policy);
}

/* ---- the job ---- */

static char *job_text(const struct crowd *crowd, uint32_t colluding)
{
    size_t room = CROWD_TEXT_HEAD + crowd->count * CROWD_TEXT_SITE;
    char *text = made(room, 1);
    int at = snprintf(text, room,
                      "job: crowd\ndataset: made\nmodel: {kind: softmax-regression}\n"
                      "training: {optimizer: lbfgs, local_iterations: 5}\n"
                      "evaluation: {test_fraction: 0.5, metrics: pooled}\n"
                      "federation: {rounds: 3, round_deadline: 60s}\nexpires: 2027-01-31T00:00:00Z\n"
                      "secure_aggregation: {enabled: true, key_batch: %d, tolerate_colluding: %u}\nsites:\n",
                      CROWD_BATCH, colluding);
    for (size_t i = 0; i < crowd->count; i++) {
        char fingerprint[FINGERPRINT_BYTES];
        site_id_format(&crowd->roster[i], fingerprint);
        at +=
            snprintf(text + at, room - (size_t)at, "  - {name: s%zu, fingerprint: \"%s\"}\n", i, fingerprint);
        assert_true((size_t)at < room);
    }
    return text;
}

static void submit(struct crowd *crowd, char *text)
{
    Fds__Submit message = FDS__SUBMIT__INIT;
    message.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    must(digest_of(text, strlen(text), &crowd->site->job_id));
    site_expect_state(crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_SUBMIT, &message.base),
                      FDS__JOB_STATE__JOB_PENDING);
    site_approve(crowd->site, 0, 0, 0);
    must(job_parse(text, strlen(text), "the job", &crowd->job));
    crowd->run =
        secagg_run_make(crowd->job, &crowd->site->job_id, crowd->site->run, crowd->roster, crowd->count);
}

struct crowd *crowd_new(size_t count, uint32_t colluding)
{
    struct crowd *crowd = made(1, sizeof(*crowd));
    void *site = NULL;
    assert_int_equal(site_make(&site), 0);
    crowd->site = site;
    crowd->count = count;
    crowd->members = made(count, sizeof(*crowd->members));
    crowd->roster = made(count, sizeof(*crowd->roster));
    crowd->adverts = made(count, sizeof(*crowd->adverts));
    crowd->sharers = made(count, sizeof(*crowd->sharers));
    crowd->contributors = made(count, sizeof(*crowd->contributors));
    crowd->inputs = made(count, sizeof(*crowd->inputs));
    crowd->agreements = made(count, sizeof(*crowd->agreements));
    crowd->orchestrator = new_identity();
    crowd->site->researcher = *identity_id(crowd->orchestrator);
    must(secret_random(crowd->site->run, STORE_RUN_ID_BYTES));
    make_roster(crowd);
    char *text = job_text(crowd, colluding);
    submit(crowd, text);
    free(text);
    crowd_return(crowd);
    return crowd;
}

static void forget_slot(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        free(crowd->members[i].neighbours);
        free(crowd->members[i].sealed);
        crowd->members[i].neighbours = NULL;
        crowd->members[i].sealed = NULL;
    }
    free(crowd->opened);
    crowd->opened = NULL;
}

static void forget_batch(struct crowd *crowd)
{
    forget_slot(crowd);
    for (size_t i = 0; i < crowd->advert_count; i++)
        secagg_advert_clear(&crowd->adverts[i]);
    crowd->advert_count = 0;
    for (size_t slot = 0; slot < CROWD_BATCH; slot++) {
        free(crowd->own_sealed[slot]);
        crowd->own_sealed[slot] = NULL;
    }
    secagg_keyset_free(crowd->keyset);
    crowd->keyset = NULL;
}

void crowd_free(struct crowd *crowd)
{
    void *site = crowd->site;
    forget_batch(crowd);
    for (size_t i = 0; i < crowd->count; i++)
        if (i + 1 != crowd->own)
            identity_free(crowd->members[i].identity);
    identity_free(crowd->orchestrator);
    job_free(crowd->job);
    free(crowd->members);
    free(crowd->roster);
    free(crowd->adverts);
    free(crowd->sharers);
    free(crowd->contributors);
    free(crowd->inputs);
    free(crowd->agreements);
    free(crowd);
    assert_int_equal(site_remove(&site), 0);
}

void crowd_return(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++)
        crowd->members[i].last = CROWD_UNMASKS;
}

uint32_t crowd_leave(struct crowd *crowd, uint32_t from, size_t count, enum crowd_step last)
{
    for (; count > 0; from++) {
        assert_true(from <= crowd->count);
        if (from == crowd->own || crowd->members[from - 1].last != CROWD_UNMASKS)
            continue;
        crowd->members[from - 1].last = last;
        count--;
    }
    return from;
}

struct reply crowd_say(struct crowd *crowd, uint32_t type, const ProtobufCMessage *message)
{
    return site_ask(crowd->site, &crowd->site->researcher, true, type, message);
}

/* ---- keys ---- */

static ProtobufCBinaryData copy_of(const void *bytes, size_t count)
{
    ProtobufCBinaryData data = {count, made(count + 1, 1)};
    memcpy(data.data, bytes, count);
    return data;
}

static void member_advertise(struct crowd *crowd, uint32_t position, uint32_t first_slot)
{
    struct crowd_member *member = &crowd->members[position - 1];
    struct secagg_advert *advert = &crowd->adverts[crowd->advert_count++];
    *advert = (struct secagg_advert){
        .first_slot = first_slot, .count = CROWD_BATCH, .ledger_sequence = first_slot + 1};
    advert->entries = made(CROWD_BATCH, sizeof(*advert->entries));
    for (uint32_t slot = 0; slot < CROWD_BATCH; slot++)
        must(secagg_slot_make(first_slot + slot, &member->secrets[slot], &advert->entries[slot]));
    must(secagg_advert_sign(member->identity, &crowd->run, advert));
}

static void own_advertise(struct crowd *crowd, uint32_t first_slot)
{
    Fds__Advertise message = FDS__ADVERTISE__INIT;
    Fds__Advert *advert = NULL;
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, crowd->site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, crowd->site->run};
    message.first_slot = first_slot;
    message.count = CROWD_BATCH;
    struct reply reply = crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE, &message.base);
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_ADVERT)
        site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_ADVERT); /* fails with the refusal's sentence */
    must(wire_advert_decode(reply.body, reply.body_bytes, &advert));
    must(secagg_wire_take_advert(&crowd->run, advert, &crowd->adverts[crowd->advert_count++]));
    wire_advert_free(advert);
    requests_reply_clear(&reply);
}

void crowd_adverts(struct crowd *crowd, uint32_t first_slot)
{
    forget_batch(crowd);
    for (uint32_t position = 1; position <= crowd->count; position++) {
        if (position == crowd->own)
            own_advertise(crowd, first_slot);
        else if (crowd->members[position - 1].last >= CROWD_ADVERTISES)
            member_advertise(crowd, position, first_slot);
    }
    must(secagg_keyset_make(&crowd->run, crowd->adverts, crowd->advert_count, NULL, &crowd->keyset));
}

Fds__Share *crowd_share_message(struct crowd *crowd)
{
    Fds__Share *share = made(1, sizeof(*share));
    fds__share__init(share);
    share->job_id = copy_of(crowd->site->job_id.bytes, DIGEST_BYTES);
    share->run_id = copy_of(crowd->site->run, STORE_RUN_ID_BYTES);
    share->n_adverts = crowd->advert_count;
    share->adverts = made(crowd->advert_count, sizeof(*share->adverts));
    for (size_t i = 0; i < crowd->advert_count; i++)
        must(secagg_wire_make_advert(&crowd->run, &crowd->adverts[i], &share->adverts[i]));
    return share;
}

void crowd_take_shares(struct crowd *crowd, struct reply reply)
{
    Fds__Shares *shares = NULL;
    if (reply.type != FDS__MESSAGE_TYPE__MESSAGE_SHARES)
        site_expect_type(reply, FDS__MESSAGE_TYPE__MESSAGE_SHARES);
    must(wire_shares_decode(reply.body, reply.body_bytes, &shares));
    assert_int_equal(shares->n_sealed, CROWD_BATCH);
    for (size_t slot = 0; slot < CROWD_BATCH; slot++) {
        crowd->own_sealed_bytes[slot] = shares->sealed[slot].len;
        crowd->own_sealed[slot] = copy_of(shares->sealed[slot].data, shares->sealed[slot].len).data;
    }
    wire_shares_free(shares);
    requests_reply_clear(&reply);
}

void crowd_batch(struct crowd *crowd, uint32_t first_slot)
{
    crowd_adverts(crowd, first_slot);
    Fds__Share *share = crowd_share_message(crowd);
    crowd_take_shares(crowd, crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &share->base));
    wire_share_free(share);
}

struct secagg_set crowd_neighbours(struct crowd *crowd, uint32_t position)
{
    struct crowd_member *member = &crowd->members[position - 1];
    if (member->neighbours == NULL)
        must(secagg_neighbours(crowd->keyset, crowd->attempt.slot, position, &member->neighbours,
                               &crowd->degree, &crowd->threshold));
    return (struct secagg_set){member->neighbours, crowd->degree};
}

void crowd_shared(struct crowd *crowd, uint32_t position)
{
    struct crowd_member *member = &crowd->members[position - 1];
    struct secagg_set neighbours = crowd_neighbours(crowd, position);
    uint32_t slot = crowd->attempt.slot - crowd->keyset->first_slot;
    size_t count = crowd->own_sealed_bytes[slot] / SECAGG_SEALED_BYTES;
    if (member->sealed != NULL)
        return;
    if (position == crowd->own)
        member->sealed = copy_of(crowd->own_sealed[slot], crowd->own_sealed_bytes[slot]).data;
    else
        must(secagg_share_make(crowd->keyset, crowd->attempt.slot, position, &member->secrets[slot],
                               &member->sealed, &count, &member->own));
    assert_int_equal(count, neighbours.count);
}

const uint8_t *crowd_sealed(struct crowd *crowd, uint32_t from, uint32_t to)
{
    struct secagg_set neighbours = crowd_neighbours(crowd, from);
    size_t at = 0;
    crowd_shared(crowd, from);
    while (at < neighbours.count && neighbours.positions[at] != to)
        at++;
    assert_true(at < neighbours.count);
    return crowd->members[from - 1].sealed + at * SECAGG_SEALED_BYTES;
}

/* ---- the attempt ---- */

/* Who has keys in the batch, and shares. */
static struct secagg_set who_shares(struct crowd *crowd)
{
    size_t count = 0;
    for (uint32_t position = 1; position <= crowd->count; position++)
        if (crowd->members[position - 1].last >= CROWD_SHARES &&
            secagg_keyset_member(crowd->keyset, position) != NULL)
            crowd->sharers[count++] = position;
    return (struct secagg_set){crowd->sharers, count};
}

void crowd_begin(struct crowd *crowd, uint32_t round, uint32_t attempt, uint32_t slot)
{
    uint8_t bytes[SITE_PARAMETERS * sizeof(double)];
    struct digest model;
    forget_slot(crowd);
    wire_parameters_write(crowd->model, SITE_PARAMETERS, bytes);
    must(digest_of(bytes, sizeof(bytes), &model));
    must(secagg_vector_plan(crowd->job, &site_shape, round, &crowd->vector));
    assert_true(crowd->vector.words <= CROWD_WORDS);
    crowd->u2 = who_shares(crowd);
    must(secagg_attempt_make(crowd->keyset, slot, round, attempt, crowd->u2, &model, crowd->vector.plan.ring,
                             crowd->vector.words, &crowd->attempt));
    (void)crowd_neighbours(crowd, crowd->own);
}

Fds__Mask *crowd_mask_message(struct crowd *crowd, Fds__Sum *previous)
{
    struct secagg_set neighbours = crowd_neighbours(crowd, crowd->own);
    Fds__Mask *mask = made(1, sizeof(*mask));
    fds__mask__init(mask);
    mask->job_id = copy_of(crowd->site->job_id.bytes, DIGEST_BYTES);
    mask->run_id = copy_of(crowd->site->run, STORE_RUN_ID_BYTES);
    mask->round = crowd->attempt.round;
    mask->attempt = crowd->attempt.attempt;
    mask->slot = crowd->attempt.slot;
    mask->model_digest = copy_of(crowd->attempt.model_hash.bytes, DIGEST_BYTES);
    mask->n_sharers = crowd->u2.count;
    mask->sharers = made(crowd->u2.count, sizeof(*mask->sharers));
    memcpy(mask->sharers, crowd->sharers, crowd->u2.count * sizeof(*mask->sharers));
    mask->sealed.data = made(crowd->degree + 1, SECAGG_SEALED_BYTES); /* room for one too many */
    for (size_t i = 0; i < neighbours.count; i++) {
        uint32_t from = neighbours.positions[i];
        if (!secagg_set_has(crowd->u2, from))
            continue;
        memcpy(mask->sealed.data + mask->sealed.len, crowd_sealed(crowd, from, crowd->own),
               SECAGG_SEALED_BYTES);
        mask->sealed.len += SECAGG_SEALED_BYTES;
    }
    mask->previous = previous;
    return mask;
}
