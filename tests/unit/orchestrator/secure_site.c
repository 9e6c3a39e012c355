#include "tests/unit/orchestrator/secure_site.h"

#include "crypto/fixed_point.h"
#include "crypto/private_vector.h"
#include "crypto/secagg_sum.h"
#include "crypto/secagg_wire.h"
#include "learning/private_step.h"
#include "schemas/job.h"
#include "schemas/wire.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/crypto/given_record.h"

#include <pthread.h>
#include <unistd.h>

#define SLOTS 512
#define PARAMETERS 8
#define CLASSES 2
#define CELLS (CLASSES * CLASSES)

struct slot {
    struct secagg_secret secret;
    struct secagg_share own;
    struct secagg_keyset *keyset; /* of its batch; borrowed */
    /* Once it serves an attempt: */
    bool bound;
    struct secagg_attempt about;
    uint32_t *sharers;
    struct secagg_share *opened; /* by position - 1; of neighbours */
    uint8_t *input;              /* encoded answer */
    size_t input_bytes;
    struct digest input_digest;
    uint8_t agreement[SECAGG_AGREEMENT_BODY_BYTES];
    uint32_t *contributors;
    size_t contributor_count;
    bool agreed;
};

struct secure_site {
    const struct identity *identity;
    struct secure_numbers numbers;
    struct job *job;
    struct site_id roster[SECAGG_MAX_SITES];
    struct secagg_run run;
    bool has_run;
    struct fixed_point plan;
    uint32_t position;
    struct slot slots[SLOTS];
    struct secagg_keyset *keysets[SLOTS];
    size_t keyset_count;
    uint32_t first_slot, slot_count; /* of the batch in hand */
    double model[2 * PARAMETERS];    /* with a velocity, of distributed-dp */
    uint32_t model_round;
    uint32_t agreed_round; /* one agreement a round */
    struct secure_log log;
};

static int compare_ids(const void *a, const void *b)
{
    return site_id_compare(a, b);
}

struct error *secure_site_new(const struct identity *identity, const struct secure_numbers *numbers,
                              struct secure_site **ret_site)
{
    struct secure_site *site = calloc(1, sizeof *site);
    if (site == NULL)
        return error_new(ERROR_MEMORY, "No memory for a secure site.");
    site->identity = identity;
    site->numbers = *numbers;
    site->model_round = 1;
    *ret_site = site;
    return NULL;
}

void secure_site_free(struct secure_site *site)
{
    if (site == NULL)
        return;
    for (size_t i = 0; i < site->keyset_count; i++)
        secagg_keyset_free(site->keysets[i]);
    for (size_t i = 0; i < SLOTS; i++) {
        free(site->slots[i].sharers);
        free(site->slots[i].opened);
        free(site->slots[i].contributors);
        free(site->slots[i].input);
    }
    job_free(site->job);
    free(site);
}

uint32_t secure_site_other(const struct secure_site *site)
{
    return site->position % (uint32_t)site->run.sites + 1;
}

const struct secure_log *secure_site_log(const struct secure_site *site)
{
    return &site->log;
}

struct error *secure_site_job(struct secure_site *site, const uint8_t *bytes, size_t count)
{
    struct error *err = NULL;
    if (site->job != NULL)
        return NULL;
    TRY(job_parse((const char *)bytes, count, "the job", &site->job));
    if (!site->job->secure.enabled)
        goto done;
    TRY(digest_of(bytes, count, &site->run.job_hash));
    for (size_t i = 0; i < site->job->site_count; i++)
        TRY(site_id_parse(site->job->sites[i].fingerprint, &site->roster[i]));
    qsort(site->roster, site->job->site_count, sizeof *site->roster, compare_ids);
    struct digest job_hash = site->run.job_hash;
    site->run = secagg_run_make(site->job, &job_hash, site->run.run_id, site->roster, site->job->site_count);
    site->position = secagg_position(&site->run, identity_id(site->identity));
    if (job_private(site->job)) {
        site->plan.ring = MASK_RING_64;
        goto done;
    }
    site->plan = (struct fixed_point){.ring = (enum mask_ring)site->job->secure.ring,
                                      .clip = site->job->secure.clip,
                                      .max_examples = site->job->secure.max_examples,
                                      .sites = site->job->site_count,
                                      .weighted = site->job->weighting == JOB_WEIGHT_EXAMPLES};
    TRY(fixed_point_plan(&site->plan));
done:
    return err;
}

static ProtobufCBinaryData bytes_of(const void *data, size_t count)
{
    return (ProtobufCBinaryData){.len = count, .data = (uint8_t *)(uintptr_t)data};
}

/* ---- keys ---- */

static struct error *advertise(struct secure_site *site, const Fds__Advertise *message,
                               enum secure_spoil spoil, uint8_t **ret_body, size_t *ret_count)
{
    struct error *err = NULL;
    struct secagg_entry entries[SECAGG_MAX_BATCH];
    Fds__Advert *answer = NULL;
    struct secagg_advert advert = {
        .first_slot = message->first_slot, .count = message->count, .entries = entries};
    site->log.adverts++;
    advert.ledger_sequence = (uint64_t)(10 + site->log.adverts - (spoil == SECURE_OLD_LEDGER));
    if (!site->has_run)
        memcpy(site->run.run_id, message->run_id.data, SECAGG_RUN_ID_BYTES);
    site->has_run = true;
    if (memcmp(site->run.run_id, message->run_id.data, SECAGG_RUN_ID_BYTES) != 0)
        FAIL(ERROR_REFUSED, "It is another run.");
    if (message->first_slot + message->count > SLOTS || message->first_slot < site->log.slots)
        FAIL(ERROR_REFUSED, "These slots were advertised.");
    site->log.slots = message->first_slot + message->count;
    site->first_slot = message->first_slot;
    site->slot_count = message->count;
    for (uint32_t i = 0; i < message->count; i++)
        TRY(secagg_slot_make(message->first_slot + i, &site->slots[message->first_slot + i].secret,
                             &entries[i]));
    if (spoil == SECURE_KNOWN_KEY) {
        memset(site->slots[message->first_slot].secret.s, 77, AGREEMENT_KEY_BYTES);
        TRY(agreement_public(site->slots[message->first_slot].secret.s, entries[0].s));
    }
    if (spoil == SECURE_COPIED_KEY)
        memcpy(entries[0].s, entries[0].c, sizeof entries[0].c);
    TRY(secagg_advert_sign(site->identity, &site->run, &advert));
    advert.signature[5] ^= spoil == SECURE_BAD_SIGNATURE;
    TRY(secagg_wire_make_advert(&site->run, &advert, &answer));
    TRY(wire_encode(&answer->base, ret_body, ret_count));
done:
    wire_advert_free(answer);
    return err;
}

/* Of the first slot, in place: the first neighbour gets its shares of other secrets. */
static struct error *deal_badly(struct secure_site *site, const struct secagg_keyset *keyset, uint8_t *sealed)
{
    struct error *err = NULL;
    struct secagg_secret other = site->slots[site->first_slot].secret;
    struct secagg_share own;
    uint8_t *wrong = NULL;
    size_t neighbours = 0;
    other.b[3] ^= 1;
    TRY(secagg_share_make(keyset, site->first_slot, site->position, &other, &wrong, &neighbours, &own));
    memcpy(sealed, wrong, SECAGG_SEALED_BYTES);
done:
    free(wrong);
    return err;
}

static struct error *share(struct secure_site *site, const uint8_t *bytes, size_t count,
                           enum secure_spoil spoil, uint8_t **ret_body, size_t *ret_count)
{
    struct error *err = NULL;
    struct secagg_keyset *keyset = NULL;
    ProtobufCBinaryData sealed[SECAGG_MAX_BATCH] = {0};
    Fds__Shares answer = FDS__SHARES__INIT;
    site->log.shares++;
    TRY(secagg_wire_read_keyset(&site->run, bytes, count, NULL, &keyset));
    site->keysets[site->keyset_count++] = keyset;
    if (keyset->first_slot != site->first_slot || keyset->slots != site->slot_count)
        FAIL(ERROR_REFUSED, "It is another batch than the one that was advertised.");
    for (uint32_t i = 0; i < site->slot_count; i++) {
        struct slot *slot = &site->slots[site->first_slot + i];
        size_t neighbours = 0;
        slot->keyset = keyset;
        TRY(secagg_share_make(keyset, site->first_slot + i, site->position, &slot->secret, &sealed[i].data,
                              &neighbours, &slot->own));
        sealed[i].len = neighbours * SECAGG_SEALED_BYTES;
        for (size_t k = 0; spoil == SECURE_BAD_SEAL && k < neighbours; k++)
            sealed[i].data[k * SECAGG_SEALED_BYTES] ^= 1;
    }
    if (spoil == SECURE_BAD_DEAL)
        TRY(deal_badly(site, keyset, sealed[0].data));
    sealed[0].len -= spoil == SECURE_BAD_LENGTH ? SECAGG_SEALED_BYTES : 0;
    answer.job_id = bytes_of(site->run.job_hash.bytes, DIGEST_BYTES);
    answer.run_id = bytes_of(site->run.run_id, SECAGG_RUN_ID_BYTES);
    answer.first_slot = site->first_slot;
    answer.n_sealed = site->slot_count;
    answer.sealed = sealed;
    TRY(wire_encode(&answer.base, ret_body, ret_count));
done:
    for (size_t i = 0; i < SECAGG_MAX_BATCH; i++)
        free(sealed[i].data);
    return err;
}

/* ---- sums ---- */

/* What a site can make again from a sum that comes with everything (verify_sum). */
static struct error *check_again(const struct secagg_attempt *about, struct secagg_set contributors,
                                 const Fds__Sum *sum)
{
    struct error *err = NULL;
    struct secagg_opened *opened = NULL;
    uint64_t added[SECURE_WORDS] = {0}, words[SECURE_WORDS] = {0};
    uint8_t bytes[8 * SECURE_WORDS];
    TRY(secagg_wire_read_opened(about->sharers, contributors, sum->opened.data, sum->opened.len, &opened));
    TRY(secagg_opened_check(about, contributors, opened, about->sharers.count));
    for (size_t i = 0; i < sum->n_inputs; i++) {
        mask_read(about->ring, sum->inputs[i].data, about->words, words);
        mask_add_words(about->ring, added, words, about->words);
    }
    TRY(secagg_sum_unmask(about, contributors, opened, added));
    mask_write(about->ring, added, about->words, bytes);
    if (sum->n_inputs != contributors.count || sum->words.len != mask_bytes(about->ring, about->words) ||
        memcmp(bytes, sum->words.data, sum->words.len) != 0)
        FAIL(ERROR_UNTRUSTED, "The sum is not that of its inputs.");
done:
    free(opened);
    return err;
}

static struct error *keyset_for(struct secure_site *site, const Fds__Sum *sum,
                                struct secagg_keyset **ret_made, const struct secagg_keyset **ret_keyset)
{
    struct error *err = NULL;
    struct secagg_advert *adverts = NULL;
    for (size_t i = 0; i < site->keyset_count; i++) {
        if (secagg_keyset_has_slot(site->keysets[i], sum->slot)) {
            *ret_keyset = site->keysets[i];
            return NULL;
        }
    }
    if (sum->n_adverts == 0)
        return NULL;
    TRY(secagg_wire_take_adverts(&site->run, sum->adverts, sum->n_adverts, &adverts));
    TRY(secagg_keyset_make(&site->run, adverts, sum->n_adverts, NULL, ret_made));
    *ret_keyset = *ret_made;
done:
    secagg_wire_free_adverts(adverts, sum->n_adverts);
    return err;
}

static struct error *check_signatures(struct secure_site *site, const Fds__Sum *sum,
                                      const struct digest *context, struct secagg_set sharers,
                                      struct secagg_set contributors, const uint64_t *words, size_t count)
{
    struct error *err = NULL;
    struct secagg_agreement *agreements = NULL;
    struct digest hash;
    struct site_id orchestrator;
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES], said[SECAGG_SUM_BODY_BYTES];
    memcpy(body, context->bytes, 32);
    TRY(secagg_set_hash(&site->run, SECAGG_SHARERS, sharers, &hash));
    memcpy(body + 32, hash.bytes, 32);
    TRY(secagg_set_hash(&site->run, SECAGG_CONTRIBUTORS, contributors, &hash));
    memcpy(body + 64, hash.bytes, 32);
    memcpy(body + 96, sum->inputs_digest.data, 32);
    TRY(secagg_wire_take_agreements(sum->agreements, sum->n_agreements, &agreements));
    if (!site->numbers.trusts)
        TRY(secagg_agreements_verify(&site->run, body, agreements, sum->n_agreements, NULL));
    TRY(secagg_sum_body(context, &hash, site->plan.ring, words, count, said));
    TRY(site_id_of_key(sum->public_key.data, &orchestrator));
    TRY(secagg_verify(NULL, &orchestrator, sum->public_key.data, "sum", said, sizeof said,
                      sum->signature.data));
done:
    free(agreements);
    return err;
}

static void model_digest(const struct secure_site *site, struct digest *ret_digest)
{
    uint8_t bytes[2 * 8 * PARAMETERS];
    size_t count = site->job->privacy.mechanism == JOB_DISTRIBUTED_DP ? 2 * PARAMETERS : PARAMETERS;
    wire_parameters_write(site->model, count, bytes);
    struct error *err = digest_of(bytes, 8 * count, ret_digest);
    error_free(err);
}

/* As a datasite computes it. */
static struct error *advance(struct secure_site *site, const Fds__Sum *sum, const uint64_t *words)
{
    struct error *err = NULL;
    const struct job *job = site->job;
    struct private_vector vector;
    if (!job_private(job))
        return fixed_point_advance(&site->plan, sum->n_contributors, words, PARAMETERS, site->model);
    TRY(private_vector_plan(job, PARAMETERS, CLASSES, sum->round, &vector));
    if (job->privacy.mechanism == JOB_SITE_LEVEL) {
        private_vector_add(&vector, private_vector_weights(job), words, site->model);
        goto done;
    }
    struct private_step step = {.learning_rate = job->learning_rate,
                                .momentum = job->momentum,
                                .l2 = job->l2,
                                .sampling_rate = job->privacy.sampling_rate,
                                .scale = vector.grid.scale,
                                .examples = private_vector_examples(job)};
    private_step_advance(&step, PARAMETERS / CLASSES - 1, CLASSES, (const int64_t *)words,
                         site->model + PARAMETERS, site->model);
done:
    return err;
}

static struct error *take_sum(struct secure_site *site, const Fds__Sum *sum)
{
    struct error *err = NULL;
    struct secagg_keyset *made = NULL;
    const struct secagg_keyset *keyset = NULL;
    struct secagg_set sharers = {sum->sharers, sum->n_sharers};
    struct secagg_set contributors = {sum->contributors, sum->n_contributors};
    uint64_t words[SECURE_WORDS];
    struct digest digest, context, keyset_hash;
    size_t count = sum->words.len / (site->plan.ring / 8);
    site->log.sums++;
    if (sum->round < site->model_round)
        goto done; /* it has it */
    if (sum->round > site->model_round || count > SECURE_WORDS)
        FAIL(ERROR_CONFLICT, "A sum before this one is missing.");
    mask_read(site->plan.ring, sum->words.data, count, words);
    model_digest(site, &digest);
    memcpy(keyset_hash.bytes, sum->keyset_hash.data, DIGEST_BYTES);
    TRY(secagg_context(&site->run, sum->round, sum->attempt, &keyset_hash, &digest, &context));
    TRY(check_signatures(site, sum, &context, sharers, contributors, words, count));
    if (sum->n_inputs > 0) {
        struct secagg_attempt about;
        TRY(keyset_for(site, sum, &made, &keyset));
        if (keyset == NULL)
            FAIL(ERROR_INVALID, "The adverts are missing.");
        TRY(secagg_attempt_make(keyset, sum->slot, sum->round, sum->attempt, sharers, &digest,
                                site->plan.ring, count, &about));
        TRY(check_again(&about, contributors, sum));
    }
    TRY(advance(site, sum, words));
    site->model_round++;
done:
    secagg_keyset_free(made);
    return err;
}

static struct error *answer_sum(struct secure_site *site, const Fds__Sum *sum, uint8_t **ret_body,
                                size_t *ret_count)
{
    struct error *err = NULL;
    Fds__JobStatus status = FDS__JOB_STATUS__INIT;
    TRY(take_sum(site, sum));
    status.job_id = bytes_of(site->run.job_hash.bytes, DIGEST_BYTES);
    status.state = FDS__JOB_STATE__JOB_RUNNING;
    TRY(wire_encode(&status.base, ret_body, ret_count));
done:
    return err;
}

/* ---- a round ---- */

/* The script's numbers on the job's grids, with something in the place of noise. */
static struct error *encode_private(struct secure_site *site, uint32_t round, uint64_t *words,
                                    size_t *ret_count)
{
    struct error *err = NULL;
    struct private_vector vector;
    TRY(private_vector_plan(site->job, PARAMETERS, CLASSES, round, &vector));
    for (size_t i = 0; i < vector.parameters; i++)
        words[i] = (uint64_t)((int64_t)(site->numbers.step * -0x1p20) * (int64_t)(i + 1) - round);
    private_vector_counts(&vector, site->numbers.counts, (int64_t *)words + vector.parameters);
    for (size_t i = vector.parameters; i < vector.words; i++)
        words[i] -= site->position;
    memcpy(site->log.encoded[round], words, vector.words * sizeof *words);
    *ret_count = vector.words;
done:
    return err;
}

/* The vector of a round, the same in every attempt. */
static struct error *encode(struct secure_site *site, uint32_t round, uint64_t *words, size_t *ret_count)
{
    struct error *err = NULL;
    double to[PARAMETERS];
    bool pooled = site->job->metrics == JOB_METRICS_POOLED;
    size_t count = 1;
    if (job_private(site->job)) {
        err = encode_private(site, round, words, ret_count);
        goto done;
    }
    if (round > site->job->rounds) {
        words[0] = 1;
    } else {
        for (size_t i = 0; i < PARAMETERS; i++)
            to[i] = site->model[i] + site->numbers.step * (1 + 0.01 * (double)i);
        TRY(fixed_point_encode(&site->plan, site->model, to, PARAMETERS, site->numbers.examples, words));
        count += PARAMETERS;
    }
    if (pooled)
        TRY(fixed_point_counts(&site->plan, site->numbers.counts, CELLS, words + count));
    count += pooled ? CELLS : 0;
    memcpy(site->log.encoded[round], words, count * sizeof *words);
    *ret_count = count;
done:
    return err;
}

static struct error *open_shares(struct secure_site *site, struct slot *slot, const Fds__Mask *mask)
{
    struct error *err = NULL;
    struct secagg_set sharers = {mask->sharers, mask->n_sharers};
    uint32_t *neighbours = NULL;
    size_t used = 0, count = 0, threshold = 0;
    TRY(secagg_neighbours(slot->keyset, mask->slot, site->position, &neighbours, &count, &threshold));
    for (size_t i = 0; i < count; i++) {
        uint32_t from = neighbours[i];
        if (!secagg_set_has(sharers, from))
            continue;
        if (mask->sealed.len < used + SECAGG_SEALED_BYTES)
            FAIL(ERROR_INVALID, "Sealed shares are missing.");
        TRY(secagg_share_open(slot->keyset, mask->slot, site->position, from, &slot->secret,
                              mask->sealed.data + used, &slot->opened[from - 1]));
        used += SECAGG_SEALED_BYTES;
    }
    if (used != mask->sealed.len)
        FAIL(ERROR_INVALID, "There are more sealed shares than sharers that are neighbours.");
done:
    free(neighbours);
    return err;
}

/* Lists as long as the roster. */
static struct error *make_room(const struct secure_site *site, struct slot *slot)
{
    if (slot->sharers != NULL)
        return NULL;
    slot->sharers = calloc(site->run.sites, sizeof *slot->sharers);
    slot->opened = calloc(site->run.sites, sizeof *slot->opened);
    slot->contributors = calloc(site->run.sites, sizeof *slot->contributors);
    if (slot->sharers == NULL || slot->opened == NULL || slot->contributors == NULL)
        return error_new(ERROR_MEMORY, "No memory for a slot.");
    return NULL;
}

static struct error *make_input(struct secure_site *site, struct slot *slot, const Fds__Mask *mask,
                                uint64_t *words, enum secure_spoil spoil)
{
    struct error *err = NULL;
    Fds__MaskedInput answer = FDS__MASKED_INPUT__INIT;
    uint8_t bytes[8 * SECURE_WORDS], signature[SIGNATURE_BYTES];
    size_t count = mask_bytes(slot->about.ring, slot->about.words);
    TRY(secagg_input_mask(&slot->about, site->position, &slot->secret, words));
    mask_write(slot->about.ring, words, slot->about.words, bytes);
    TRY(digest_of(bytes, count, &slot->input_digest));
    TRY(secagg_input_sign(site->identity, &slot->about, &slot->input_digest, signature));
    signature[9] ^= spoil == SECURE_BAD_SIGNATURE;
    answer.job_id = mask->job_id;
    answer.run_id = mask->run_id;
    answer.round = mask->round;
    answer.attempt = mask->attempt;
    answer.slot = mask->slot;
    answer.context = bytes_of(slot->about.context.bytes, DIGEST_BYTES);
    answer.words = bytes_of(bytes, count - (spoil == SECURE_BAD_LENGTH ? 8 : 0));
    answer.signature = bytes_of(signature, SIGNATURE_BYTES);
    TRY(wire_encode(&answer.base, &slot->input, &slot->input_bytes));
done:
    return err;
}

static struct error *mask_step(struct secure_site *site, const Fds__Mask *mask, enum secure_spoil spoil,
                               uint8_t **ret_body, size_t *ret_count)
{
    struct error *err = NULL;
    struct digest digest;
    uint64_t words[SECURE_WORDS];
    size_t count = 0;
    site->log.masks++;
    site->log.last_attempt = mask->attempt;
    if (mask->previous != NULL)
        TRY(take_sum(site, mask->previous));
    struct slot *slot = mask->slot < SLOTS ? &site->slots[mask->slot] : NULL;
    if (slot == NULL || slot->keyset == NULL || mask->round > SECURE_ROUNDS ||
        mask->n_sharers > site->run.sites)
        FAIL(ERROR_REFUSED, "There is no such slot.");
    if (site->agreed_round == mask->round)
        FAIL(ERROR_REFUSED, "This round was agreed on.");
    model_digest(site, &digest);
    if (mask->round != site->model_round || memcmp(digest.bytes, mask->model_digest.data, DIGEST_BYTES) != 0)
        FAIL(ERROR_REFUSED, "It has another model than that of round %u.", mask->round);
    if (!slot->bound) {
        TRY(encode(site, mask->round, words, &count));
        TRY(make_room(site, slot));
        memcpy(slot->sharers, mask->sharers, mask->n_sharers * sizeof *slot->sharers);
        TRY(secagg_attempt_make(slot->keyset, mask->slot, mask->round, mask->attempt,
                                (struct secagg_set){slot->sharers, mask->n_sharers}, &digest, site->plan.ring,
                                count, &slot->about));
        TRY(open_shares(site, slot, mask));
        TRY(make_input(site, slot, mask, words, spoil));
        slot->bound = true;
    } else if (slot->about.round != mask->round || slot->about.attempt != mask->attempt) {
        FAIL(ERROR_REFUSED, "The slot serves another attempt.");
    }
    *ret_body = malloc(slot->input_bytes);
    memcpy(*ret_body, slot->input, slot->input_bytes);
    *ret_count = slot->input_bytes;
done:
    return err;
}

static struct error *agree_step(struct secure_site *site, const Fds__Agree *message, enum secure_spoil spoil,
                                uint8_t **ret_body, size_t *ret_count)
{
    struct error *err = NULL;
    struct secagg_input *inputs = NULL;
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES], signature[SIGNATURE_BYTES];
    Fds__Agreement answer = FDS__AGREEMENT__INIT;
    struct slot *slot = &site->slots[message->slot % SLOTS];
    site->log.agreements++;
    if (!slot->bound || message->n_inputs > site->run.sites)
        FAIL(ERROR_REFUSED, "The slot serves nothing.");
    TRY(secagg_wire_take_inputs(message->inputs, message->n_inputs, &inputs));
    if (site->numbers.trusts)
        TRY(secagg_agreement_body(&slot->about, inputs, message->n_inputs, body));
    else
        TRY(secagg_agree_check(&slot->about, site->position, &slot->input_digest, inputs, message->n_inputs,
                               site->job->min_sites, body));
    if ((slot->agreed && memcmp(slot->agreement, body, sizeof body) != 0) ||
        (!slot->agreed && site->agreed_round >= message->round))
        FAIL(ERROR_REFUSED, "One agreement a round.");
    slot->agreed = true;
    site->agreed_round = message->round;
    memcpy(slot->agreement, body, sizeof body);
    slot->contributor_count = message->n_inputs;
    for (size_t i = 0; i < message->n_inputs; i++)
        slot->contributors[i] = inputs[i].position;
    TRY(secagg_sign(site->identity, "agreement", body, sizeof body, signature));
    signature[7] ^= spoil == SECURE_BAD_SIGNATURE;
    answer.job_id = message->job_id;
    answer.run_id = message->run_id;
    answer.round = message->round;
    answer.attempt = message->attempt;
    answer.signature = bytes_of(signature, SIGNATURE_BYTES);
    TRY(wire_encode(&answer.base, ret_body, ret_count));
done:
    free(inputs);
    return err;
}

/* ---- what all sites gave away, in all tests of a program ---- */

static pthread_mutex_t given_lock = PTHREAD_MUTEX_INITIALIZER; /* sites are threads */

static void note_given(const struct secure_site *site, uint32_t slot, const struct secagg_revealed *revealed,
                       size_t count)
{
    (void)pthread_mutex_lock(&given_lock);
    given_record_add(given_record_of_all(), site->run.run_id, slot, site->position, revealed, count);
    (void)pthread_mutex_unlock(&given_lock);
}

/* Also in the programs whose tests are about something else. */
__attribute__((destructor)) static void judge(void)
{
    size_t both = given_record_both(given_record_of_all());
    given_record_free(given_record_of_all());
    if (both == 0)
        return;
    print_error("Sites were brought %zu times to give both kinds of share of a peer.\n", both);
    _exit(1);
}

static struct error *unmask_step(struct secure_site *site, const Fds__Unmask *message,
                                 enum secure_spoil spoil, uint8_t **ret_body, size_t *ret_count)
{
    struct error *err = NULL;
    struct secagg_agreement *agreements = NULL;
    struct secagg_revealed *revealed = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    Fds__Unmasking answer = FDS__UNMASKING__INIT;
    struct slot *slot = &site->slots[message->slot % SLOTS];
    site->log.unmaskings++;
    if (!slot->agreed)
        FAIL(ERROR_REFUSED, "Nothing was agreed on.");
    TRY(secagg_wire_take_agreements(message->agreements, message->n_agreements, &agreements));
    if (!site->numbers.trusts)
        TRY(secagg_agreements_verify(&site->run, slot->agreement, agreements, message->n_agreements, NULL));
    TRY(secagg_reveal_plan(&slot->about, (struct secagg_set){slot->contributors, slot->contributor_count},
                           site->position, &revealed, &count));
    for (size_t i = 0; i < count; i++) {
        const struct secagg_share *share =
            revealed[i].position == site->position ? &slot->own : &slot->opened[revealed[i].position - 1];
        memcpy(revealed[i].share, revealed[i].kind == SECAGG_REVEAL_B ? share->b : share->s,
               SHAMIR_SHARE_BYTES);
    }
    if (spoil == SECURE_BAD_SHARE && site->position == 1)
        revealed[0].share[0] ^= 1;
    bytes = malloc(count * SECAGG_REVEALED_BYTES);
    secagg_wire_write_revealed(revealed, count, bytes);
    note_given(site, message->slot, revealed, count);
    answer.job_id = message->job_id;
    answer.run_id = message->run_id;
    answer.round = message->round;
    answer.attempt = message->attempt;
    answer.revealed = bytes_of(bytes, count * SECAGG_REVEALED_BYTES);
    TRY(wire_encode(&answer.base, ret_body, ret_count));
done:
    free(bytes);
    free(revealed);
    free(agreements);
    return err;
}

/* ---- all ---- */

#define STEP(name, Name, call)                                                                               \
    do {                                                                                                     \
        Fds__##Name *message = NULL;                                                                         \
        err = wire_##name##_decode(bytes, count, &message);                                                  \
        if (err == NULL)                                                                                     \
            err = (call);                                                                                    \
        wire_##name##_free(message);                                                                         \
    } while (0)

struct error *secure_site_answer(struct secure_site *site, uint32_t type, const uint8_t *bytes, size_t count,
                                 enum secure_spoil spoil, uint32_t *ret_type, uint8_t **ret_body,
                                 size_t *ret_count)
{
    struct error *err = NULL;
    *ret_type = type + 1;
    switch (type) {
    case FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE:
        STEP(advertise, Advertise, advertise(site, message, spoil, ret_body, ret_count));
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_SHARE:
        err = share(site, bytes, count, spoil, ret_body, ret_count);
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_MASK:
        STEP(mask, Mask, mask_step(site, message, spoil, ret_body, ret_count));
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_AGREE:
        STEP(agree, Agree, agree_step(site, message, spoil, ret_body, ret_count));
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_UNMASK:
        STEP(unmask, Unmask, unmask_step(site, message, spoil, ret_body, ret_count));
        break;
    case FDS__MESSAGE_TYPE__MESSAGE_SUM:
        *ret_type = FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS;
        STEP(sum, Sum, answer_sum(site, message, ret_body, ret_count));
        break;
    default:
        err = error_new(ERROR_UNSUPPORTED, "It is no step of secure aggregation.");
        break;
    }
    if (err != NULL)
        (void)snprintf(site->log.refused, sizeof site->log.refused, "%.500s", err->sentence);
    return err;
}
