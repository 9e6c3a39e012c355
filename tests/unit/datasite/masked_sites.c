#include "tests/unit/datasite/masked_sites.h"

#include "crypto/secagg_wire.h"
#include "crypto/secret.h"
#include "datasite/budget.h"
#include "datasite/store_release.h"

#define MASKED_TEXT_SITES 1024

/* ---- sites ---- */

static int compare_sites(const void *a, const void *b)
{
    const struct site *const *left = a;
    const struct site *const *right = b;
    return site_id_compare(identity_id((*left)->identity), identity_id((*right)->identity));
}

void masked_policy(struct masked_sites *masked)
{
    for (size_t i = 0; i < MASKED_SITES; i++)
        executor_set_policy(masked->sites[i]->executor, &masked->sites[i]->policy);
}

/* Everybody else is a partner, each of an organisation of its own. */
static void masked_partners(struct masked_sites *masked, size_t own)
{
    struct policy_gate *gate = &masked->sites[own]->policy.gate;
    gate->secure =
        (struct policy_secure_aggregation){.min_threshold = 3, .min_colluding = 1, .min_organisations = 2};
    for (size_t i = 0; i < MASKED_SITES; i++) {
        if (i == own)
            continue;
        struct policy_partner *partner = &gate->partners[gate->partner_count++];
        site_id_format(&masked->roster[i], partner->fingerprint);
        partner->organisation = (uint16_t)gate->partner_count;
    }
}

int masked_make(void **state)
{
    struct masked_sites *masked = calloc(1, sizeof(*masked));
    char keys[160];
    assert_non_null(masked);
    for (size_t i = 0; i < MASKED_SITES; i++) {
        void *site = NULL;
        assert_int_equal(site_make(&site), 0);
        masked->sites[i] = site;
        site_reimport(masked->sites[i], SITE_ROWS - 1000 * i, i);
    }
    (void)workspace_file(masked->sites[0]->workspace, "orchestrator-keys", keys);
    must(identity_create(keys, "orchestrator", &masked->orchestrator));
    qsort(masked->sites, MASKED_SITES, sizeof(masked->sites[0]), compare_sites);
    for (size_t i = 0; i < MASKED_SITES; i++) {
        masked->roster[i] = *identity_id(masked->sites[i]->identity);
        masked->sites[i]->researcher = *identity_id(masked->orchestrator);
    }
    for (size_t i = 0; i < MASKED_SITES; i++)
        masked_partners(masked, i);
    masked_policy(masked);
    *state = masked;
    return 0;
}

static void masked_forget_batch(struct masked_sites *masked)
{
    secagg_keyset_free(masked->keyset);
    masked->keyset = NULL;
    for (size_t i = 0; i < MASKED_SITES; i++) {
        secagg_advert_clear(&masked->adverts[i]);
        for (size_t slot = 0; slot < MASKED_BATCH; slot++) {
            free(masked->sealed[i][slot]);
            masked->sealed[i][slot] = NULL;
        }
    }
}

int masked_remove(void **state)
{
    struct masked_sites *masked = *state;
    masked_forget_batch(masked);
    job_free(masked->job);
    identity_free(masked->orchestrator);
    for (size_t i = 0; i < MASKED_SITES; i++) {
        void *site = masked->sites[i];
        assert_int_equal(site_remove(&site), 0);
    }
    free(masked);
    return 0;
}

/* ---- the job ---- */

static const char *or_else(const char *text, const char *otherwise)
{
    return text == NULL ? otherwise : text;
}

/* A model of another kind is neither trained nor tested. */
static void masked_learning(const struct masked_words *words, char ret_text[static MASKED_TEXT_SITES])
{
    if (words->kind != NULL)
        (void)snprintf(ret_text, MASKED_TEXT_SITES, "model: {kind: %s}\nevaluation: {test_fraction: 0.5}\n",
                       words->kind);
    else
        (void)snprintf(ret_text, MASKED_TEXT_SITES,
                       "model: {kind: softmax-regression%s}\ntraining: %s\n"
                       "evaluation: {test_fraction: 0.5, metrics: %s}\n",
                       or_else(words->model, ""),
                       or_else(words->training, "{optimizer: lbfgs, local_iterations: 5}"),
                       or_else(words->metrics, "none"));
}

void masked_text(const struct masked_sites *masked, const struct masked_words *words,
                 char ret_text[static SITE_JOB_BYTES])
{
    char sites[MASKED_TEXT_SITES] = "", learning[MASKED_TEXT_SITES], declared[32] = "", privacy[256] = "";
    if (words->privacy != NULL) {
        (void)snprintf(declared, sizeof(declared), ", examples: %d", MASKED_EXAMPLES);
        (void)snprintf(privacy, sizeof(privacy), "privacy: {%s}\n", words->privacy);
    }
    for (size_t i = 0; i < MASKED_SITES; i++) {
        char fingerprint[FINGERPRINT_BYTES];
        size_t used = strlen(sites);
        site_id_format(&masked->roster[i], fingerprint);
        (void)snprintf(sites + used, sizeof(sites) - used, "  - {name: site-%zu, fingerprint: \"%s\"%s}\n",
                       i + 1, fingerprint, declared);
    }
    masked_learning(words, learning);
    int length =
        snprintf(ret_text, SITE_JOB_BYTES,
                 "job: %s\ndataset: made\n%s"
                 "federation: {rounds: %u, round_deadline: 60s, weighting: %s}\n"
                 "secure_aggregation: {enabled: true%s}\n%sexpires: 2027-01-31T00:00:00Z\nsites:\n%s",
                 or_else(words->name, "sum"), learning, words->rounds == 0 ? 3 : words->rounds,
                 or_else(words->weighting, "examples"), or_else(words->secure, ""), privacy, sites);
    assert_true(length > 0 && length < SITE_JOB_BYTES);
}

void masked_approval(struct masked_sites *masked, uint32_t position, struct approval *ret_approval)
{
    struct site *site = masked->sites[position - 1];
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, &site->researcher,
                       SITE_NOW, ret_approval));
}

void masked_begin(struct masked_sites *masked, const struct masked_words *words)
{
    char text[SITE_JOB_BYTES];
    struct run_record run;
    struct approval approval;
    masked_text(masked, words, text);
    job_free(masked->job);
    masked->job = NULL;
    must(job_parse(text, strlen(text), "the job", &masked->job));
    for (size_t i = 0; i < MASKED_SITES; i++) {
        struct site *site = masked->sites[i];
        site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
        site_approve(site, 0, 1, 0);
        masked_approval(masked, (uint32_t)i + 1, &approval);
        must(budget_run_begin(site->store, site->identity, &approval, site->run, SITE_NOW, &run));
        approval_clear(&approval);
        masked->job_id = site->job_id;
    }
    masked->run = (struct secagg_run){.job_hash = masked->job_id,
                                      .roster = masked->roster,
                                      .sites = MASKED_SITES,
                                      .threshold = masked->job->secure.threshold};
    memcpy(masked->run.run_id, masked->sites[0]->run, sizeof(masked->run.run_id));
    masked_batch(masked, 0, 0);
}

/* ---- slots ---- */

static void masked_advertise(struct masked_sites *masked, size_t at, struct secagg_advert *advert)
{
    struct site *site = masked->sites[at];
    uint8_t kept[1] = {1};
    *advert =
        (struct secagg_advert){.first_slot = masked->first_slot, .count = MASKED_BATCH, .ledger_sequence = 1};
    advert->entries = calloc(MASKED_BATCH, sizeof(*advert->entries));
    assert_non_null(advert->entries);
    for (uint32_t i = 0; i < MASKED_BATCH; i++)
        must(secagg_slot_make(masked->first_slot + i, &masked->secrets[at][i], &advert->entries[i]));
    must(secagg_advert_sign(site->identity, &masked->run, advert));
    must(store_secagg_advertise(site->store, &masked->job_id, site->run, masked->first_slot, MASKED_BATCH,
                                masked->secrets[at], kept, sizeof(kept)));
}

static void masked_share(struct masked_sites *masked, size_t at, const uint8_t *adverts, size_t bytes)
{
    struct site *site = masked->sites[at];
    uint8_t kept[1] = {1};
    for (uint32_t i = 0; i < MASKED_BATCH; i++) {
        size_t count = 0;
        must(secagg_share_make(masked->keyset, masked->first_slot + i, (uint32_t)at + 1,
                               &masked->secrets[at][i], &masked->sealed[at][i], &count, &masked->own[at][i]));
    }
    must(store_secagg_share(site->store, site->run, masked->first_slot, masked->own[at], adverts, bytes, kept,
                            sizeof(kept)));
}

/* The message that the sites would have been sent. */
static void masked_keyset_bytes(struct masked_sites *masked, const struct secagg_advert *given, size_t count,
                                uint8_t **ret_bytes, size_t *ret_count)
{
    Fds__Share message = FDS__SHARE__INIT;
    Fds__Advert *adverts[MASKED_SITES];
    for (size_t i = 0; i < count; i++)
        must(secagg_wire_make_advert(&masked->run, &given[i], &adverts[i]));
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, masked->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, masked->run.run_id};
    message.n_adverts = count;
    message.adverts = adverts;
    must(wire_encode(&message.base, ret_bytes, ret_count));
    for (size_t i = 0; i < count; i++)
        wire_advert_free(adverts[i]);
}

void masked_batch(struct masked_sites *masked, uint32_t first_slot, uint32_t absent)
{
    struct secagg_advert given[MASKED_SITES];
    size_t count = 0, bytes = 0;
    uint8_t *adverts = NULL;
    masked_forget_batch(masked);
    masked->first_slot = first_slot;
    for (size_t i = 0; i < MASKED_SITES; i++) {
        if (i + 1 == absent)
            continue;
        masked_advertise(masked, i, &masked->adverts[i]);
        given[count++] = masked->adverts[i];
    }
    must(secagg_keyset_make(&masked->run, given, count, NULL, &masked->keyset));
    masked_keyset_bytes(masked, given, count, &adverts, &bytes);
    for (size_t i = 0; i < MASKED_SITES; i++) {
        if (i + 1 != absent)
            masked_share(masked, i, adverts, bytes);
    }
    free(adverts);
}

/* What `from` sealed for `position`. */
static const uint8_t *masked_sealed(const struct masked_sites *masked, uint32_t slot, uint32_t from,
                                    uint32_t position)
{
    uint32_t *neighbours = NULL;
    size_t count = 0, threshold = 0, at = 0;
    must(secagg_neighbours(masked->keyset, slot, from, &neighbours, &count, &threshold));
    while (at < count && neighbours[at] != position)
        at++;
    assert_true(at < count);
    free(neighbours);
    return masked->sealed[from - 1][slot - masked->first_slot] + at * SECAGG_SEALED_BYTES;
}

/* ---- messages ---- */

struct secagg_model masked_model(struct masked_sites *masked, uint32_t position)
{
    struct site *site = masked->sites[position - 1];
    struct secagg_model model;
    must(store_secagg_model(site->store, site->run, &model));
    return model;
}

struct digest masked_nothing(size_t count)
{
    struct digest digest;
    uint8_t *zeros = calloc(count, sizeof(double));
    assert_non_null(zeros);
    must(digest_of(zeros, count * sizeof(double), &digest));
    free(zeros);
    return digest;
}

struct digest masked_zeros(void)
{
    return masked_nothing(SITE_PARAMETERS);
}

struct masked_mask masked_first(uint32_t position)
{
    static const uint32_t everybody[] = {1, 2, 3, 4};
    return (struct masked_mask){
        .position = position, .round = 1, .model = masked_zeros(), .sharers = everybody, .sharer_count = 4};
}

struct reply masked_ask(struct masked_sites *masked, const struct masked_mask *mask)
{
    struct site *site = masked->sites[mask->position - 1];
    Fds__Mask message = FDS__MASK__INIT;
    struct digest model = mask->model;
    uint32_t sharers[MASKED_SITES];
    uint8_t sealed[MASKED_SITES * SECAGG_SEALED_BYTES] = {0};
    size_t used = 0;
    bool member = secagg_keyset_member(masked->keyset, mask->position) != NULL;
    for (size_t i = 0; i < mask->sharer_count; i++) {
        sharers[i] = mask->sharers[i];
        if (sharers[i] == mask->position || used == (mask->sharer_count - 1) * SECAGG_SEALED_BYTES)
            continue;
        if (member)
            memcpy(sealed + used, masked_sealed(masked, mask->slot, sharers[i], mask->position),
                   SECAGG_SEALED_BYTES);
        sealed[used] ^= sharers[i] == mask->spoil ? 1 : 0;
        used += SECAGG_SEALED_BYTES;
    }
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, masked->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, site->run};
    message.round = mask->round;
    message.attempt = mask->attempt;
    message.slot = mask->slot;
    message.model_digest = (ProtobufCBinaryData){DIGEST_BYTES, model.bytes};
    message.parameters = (ProtobufCBinaryData){mask->parameter_bytes, (uint8_t *)(uintptr_t)mask->parameters};
    message.n_sharers = mask->sharer_count;
    message.sharers = sharers;
    message.sealed = (ProtobufCBinaryData){used, sealed};
    message.previous = mask->previous;
    return site_ask(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_MASK, &message.base);
}

struct reply masked_ask_sum(struct masked_sites *masked, uint32_t position, Fds__Sum *sum)
{
    struct site *site = masked->sites[position - 1];
    return site_ask(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_SUM, &sum->base);
}

uint8_t *masked_opened(struct masked_sites *masked, uint32_t position, struct reply reply,
                       const struct secagg_attempt *about, struct secagg_input *ret_statement)
{
    Fds__MaskedInput *input = NULL;
    struct reply opened = site_opened(masked->sites[position - 1], reply);
    assert_int_equal(opened.type, FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    must(wire_masked_input_decode(opened.body, opened.body_bytes, &input));
    assert_int_equal(input->words.len, mask_bytes(about->ring, about->words));
    assert_memory_equal(input->context.data, about->context.bytes, DIGEST_BYTES);
    ret_statement->position = position;
    must(digest_of(input->words.data, input->words.len, &ret_statement->digest));
    memcpy(ret_statement->signature, input->signature.data, SIGNATURE_BYTES);
    must(secagg_input_verify(about, ret_statement, NULL));
    uint8_t *words = malloc(input->words.len);
    assert_non_null(words);
    memcpy(words, input->words.data, input->words.len);
    wire_masked_input_free(input);
    requests_reply_clear(&opened);
    return words;
}

/* ---- an attempt ---- */

void masked_attempt_begin(struct masked_sites *masked, uint32_t round, uint32_t attempt, uint32_t slot,
                          const struct digest *model, const uint32_t *sharers, size_t sharer_count,
                          struct masked_attempt *ret_attempt)
{
    struct secagg_vector vector;
    memset(ret_attempt, 0, sizeof(*ret_attempt));
    memcpy(ret_attempt->sharers, sharers, sharer_count * sizeof(*sharers));
    ret_attempt->u2 = (struct secagg_set){ret_attempt->sharers, sharer_count};
    must(secagg_vector_plan(masked->job, &site_shape, round, &vector));
    must(secagg_attempt_make(masked->keyset, slot, round, attempt, ret_attempt->u2, model, vector.plan.ring,
                             vector.words, &ret_attempt->about));
    ret_attempt->bytes = mask_bytes(vector.plan.ring, vector.words);
}

void masked_collect(struct masked_sites *masked, struct masked_attempt *attempt, const uint32_t *contributors,
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
        attempt->inputs[i] =
            masked_opened(masked, contributors[i], masked_ask(masked, &mask), about, &attempt->statements[i]);
    }
}

void masked_agree(struct masked_sites *masked, struct masked_attempt *attempt)
{
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    for (size_t i = 0; i < attempt->u3.count; i++) {
        uint32_t position = attempt->contributors[i];
        struct site *site = masked->sites[position - 1];
        struct secagg_agreement *agreement = &attempt->agreements[i];
        must(secagg_agree_check(&attempt->about, position, &attempt->statements[i].digest,
                                attempt->statements, attempt->u3.count, MASKED_THRESHOLD, body));
        agreement->position = position;
        identity_public_key(site->identity, agreement->public_key);
        must(secagg_sign(site->identity, "agreement", body, sizeof(body), agreement->signature));
        must(store_secagg_agree(site->store, &masked->job_id, site->run, attempt->about.round,
                                attempt->about.attempt, attempt->u3, body, agreement->signature, NULL, 0));
    }
    attempt->agreement_count = attempt->u3.count;
}

/* The shares of one site, as its plan says. */
static struct secagg_unmasking masked_reveal(struct masked_sites *masked,
                                             const struct masked_attempt *attempt, uint32_t position)
{
    struct secagg_revealed *revealed = NULL;
    size_t count = 0;
    uint32_t slot = attempt->about.slot;
    must(secagg_reveal_plan(&attempt->about, attempt->u3, position, &revealed, &count));
    for (size_t i = 0; i < count; i++) {
        struct secagg_share share = masked->own[position - 1][slot - masked->first_slot];
        if (revealed[i].position != position)
            must(secagg_share_open(masked->keyset, slot, position, revealed[i].position,
                                   &masked->secrets[position - 1][slot - masked->first_slot],
                                   masked_sealed(masked, slot, revealed[i].position, position), &share));
        memcpy(revealed[i].share, revealed[i].kind == SECAGG_REVEAL_B ? share.b : share.s,
               SHAMIR_SHARE_BYTES);
    }
    return (struct secagg_unmasking){position, revealed, count};
}

void masked_open(struct masked_attempt *attempt, const struct secagg_unmasking *unmaskings)
{
    const struct secagg_attempt *about = &attempt->about;
    uint64_t *one = calloc(about->words, sizeof(*one));
    attempt->sum = calloc(about->words, sizeof(*attempt->sum));
    assert_true(one != NULL && attempt->sum != NULL);
    for (size_t i = 0; i < attempt->u3.count; i++) {
        mask_read(about->ring, attempt->inputs[i], about->words, one);
        mask_add_words(about->ring, attempt->sum, one, about->words);
    }
    must(secagg_open_secrets(about, attempt->u3, unmaskings, attempt->u3.count, &attempt->opened, NULL));
    must(secagg_sum_unmask(about, attempt->u3, attempt->opened, attempt->sum));
    for (size_t i = 0; i < attempt->u3.count; i++)
        free((void *)(uintptr_t)unmaskings[i].revealed);
    free(one);
}

void masked_unmask(struct masked_sites *masked, struct masked_attempt *attempt)
{
    struct secagg_unmasking unmaskings[MASKED_SITES];
    for (size_t i = 0; i < attempt->u3.count; i++)
        unmaskings[i] = masked_reveal(masked, attempt, attempt->contributors[i]);
    masked_open(attempt, unmaskings);
}

void masked_round(struct masked_sites *masked, struct masked_attempt *attempt, const uint32_t *contributors,
                  size_t count, Fds__Sum *previous)
{
    masked_collect(masked, attempt, contributors, count, previous);
    masked_agree(masked, attempt);
    masked_unmask(masked, attempt);
}

void masked_attempt_clear(struct masked_attempt *attempt)
{
    for (size_t i = 0; i < MASKED_SITES; i++)
        free(attempt->inputs[i]);
    free(attempt->opened);
    free(attempt->sum);
    memset(attempt, 0, sizeof(*attempt));
}

bool masked_vector(struct masked_sites *masked, uint32_t position, uint32_t round, uint64_t *ret_words,
                   size_t count)
{
    struct site *site = masked->sites[position - 1];
    struct secagg_round stored;
    enum mask_ring ring = masked->job->secure.ring == 32 ? MASK_RING_32 : MASK_RING_64;
    must(store_secagg_round(site->store, &masked->job_id, site->run, round, &stored));
    bool found = stored.encoded != NULL;
    if (found) {
        assert_int_equal(stored.encoded_bytes, mask_bytes(ring, count));
        mask_read(ring, stored.encoded, count, ret_words);
    }
    secagg_round_clear(&stored);
    return found;
}
