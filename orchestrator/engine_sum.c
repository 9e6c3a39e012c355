/* The sum of a round: unmasked, decoded into the next model, and kept for sites that missed it. */
#include "orchestrator/engine_noised.h"

#include "crypto/secagg_wire.h"
#include "learning/softmax.h"

/* ---- the message ---- */

/* What a Sum points into while it is made. */
struct sum_parts {
    struct digest contributors_hash, inputs_digest;
    uint8_t public_key[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    uint8_t *words, *opened;
    ProtobufCBinaryData *inputs;
    Fds__AgreementStatement **agreements;
};

static void sum_parts_clear(struct sum_parts *parts, size_t agreements)
{
    secagg_wire_free_agreements(parts->agreements, agreements);
    free(parts->inputs);
    free(parts->opened);
    free(parts->words);
}

static struct error *sign(const struct engine *engine, struct sum_parts *parts)
{
    struct error *err = NULL;
    const struct masked_attempt *attempt = engine->secagg->attempt;
    const struct secagg_attempt *about = &attempt->about;
    struct secagg_set contributors = {attempt->contributors, attempt->contributor_count};
    uint8_t body[SECAGG_SUM_BODY_BYTES];
    identity_public_key(engine->plan->identity, parts->public_key);
    TRY(secagg_set_hash(&engine->secagg->run, SECAGG_CONTRIBUTORS, contributors, &parts->contributors_hash));
    TRY(secagg_sum_body(&about->context, &parts->contributors_hash, about->ring, attempt->sum, about->words,
                        body));
    TRY(secagg_sign(engine->plan->identity, "sum", body, sizeof body, parts->signature));
    /* The last part of what the sites agreed on. */
    memcpy(parts->inputs_digest.bytes, attempt->body + SECAGG_AGREEMENT_BODY_BYTES - DIGEST_BYTES,
           DIGEST_BYTES);
done:
    return err;
}

static struct error *fill_parts(const struct engine *engine, struct sum_parts *parts)
{
    struct error *err = NULL;
    const struct masked_attempt *attempt = engine->secagg->attempt;
    const struct secagg_attempt *about = &attempt->about;
    size_t bytes = mask_bytes(about->ring, about->words);
    parts->words = malloc(bytes + 1);
    parts->opened = malloc(about->sharers.count * SECAGG_OPENED_BYTES);
    parts->inputs = calloc(attempt->contributor_count, sizeof *parts->inputs);
    if (parts->words == NULL || parts->opened == NULL || parts->inputs == NULL)
        FAIL(ERROR_MEMORY, "No memory for the sum of the sites' inputs.");
    mask_write(about->ring, attempt->sum, about->words, parts->words);
    secagg_wire_write_opened(attempt->opened, about->sharers.count, parts->opened);
    for (size_t i = 0; i < attempt->contributor_count; i++)
        parts->inputs[i] =
            (ProtobufCBinaryData){.len = bytes, .data = attempt->words[attempt->contributors[i] - 1]};
    TRY(secagg_wire_make_agreements(attempt->fixed_agreements, attempt->fixed_count, &parts->agreements));
    TRY(sign(engine, parts));
done:
    return err;
}

static ProtobufCBinaryData bytes_of(const void *data, size_t count)
{
    return (ProtobufCBinaryData){.len = count, .data = (uint8_t *)(uintptr_t)data};
}

static Fds__Sum message_of(const struct engine *engine, const struct sum_parts *parts)
{
    Fds__Sum sum = FDS__SUM__INIT;
    const struct masked_attempt *attempt = engine->secagg->attempt;
    const struct secagg_attempt *about = &attempt->about;
    sum.job_id = bytes_of(engine->record->job_id.bytes, DIGEST_BYTES);
    sum.run_id = bytes_of(engine->record->run_id, RUN_ID_BYTES);
    sum.round = about->round;
    sum.attempt = about->attempt;
    sum.slot = about->slot;
    sum.keyset_hash = bytes_of(about->keyset_hash.bytes, DIGEST_BYTES);
    sum.n_sharers = about->sharers.count;
    sum.sharers = attempt->sharers;
    sum.n_contributors = attempt->contributor_count;
    sum.contributors = attempt->contributors;
    sum.inputs_digest = bytes_of(parts->inputs_digest.bytes, DIGEST_BYTES);
    sum.n_agreements = attempt->fixed_count;
    sum.agreements = parts->agreements;
    sum.words = bytes_of(parts->words, mask_bytes(about->ring, about->words));
    sum.signature = bytes_of(parts->signature, SIGNATURE_BYTES);
    sum.public_key = bytes_of(parts->public_key, PUBLIC_KEY_BYTES);
    if (about->round == 1 && engine->secagg->initial != NULL)
        sum.parameters = bytes_of(engine->secagg->initial, 8 * engine->count);
    if (engine->secagg->verify) {
        sum.n_inputs = attempt->contributor_count;
        sum.inputs = parts->inputs;
        sum.opened = bytes_of(parts->opened, about->sharers.count * SECAGG_OPENED_BYTES);
    }
    return sum;
}

/* ---- kept ---- */

static void forget_sum(struct engine_secagg *secagg, struct kept_sum *kept)
{
    if (kept->message == NULL)
        return;
    secagg->sums_bytes -= kept->bytes;
    wire_sum_free(kept->message);
    key_batch_release(kept->batch);
    *kept = (struct kept_sum){0};
}

/* The newest always; of older ones as many as fit. */
static void make_room(struct engine_secagg *secagg, uint32_t newest)
{
    for (uint32_t i = 0; i < newest && secagg->sums_bytes > ENGINE_SUMS_BYTES; i++)
        forget_sum(secagg, &secagg->sums[i]);
}

static struct error *keep_sum(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    struct masked_attempt *attempt = secagg->attempt;
    struct kept_sum *kept = &secagg->sums[engine->round->round - 1];
    struct sum_parts parts = {0};
    uint8_t *bytes = NULL;
    size_t count = 0;
    TRY(fill_parts(engine, &parts));
    Fds__Sum sum = message_of(engine, &parts);
    TRY(wire_encode(&sum.base, &bytes, &count));
    TRY(wire_sum_decode(bytes, count, &kept->message));
    kept->bytes = count;
    kept->batch = attempt->batch;
    kept->batch->users++;
    secagg->sums_bytes += count;
    make_room(secagg, engine->round->round - 1);
done:
    free(bytes);
    sum_parts_clear(&parts, attempt->fixed_count);
    return err;
}

/* ---- for sites that missed it ---- */

struct error *engine_sum_lacks(const struct engine *engine, const struct engine_site *site,
                               enum request_kind *ret_request)
{
    uint32_t round = engine->round->round;
    for (uint32_t r = site->model_round; r < round; r++)
        if (engine->secagg->sums[r - 1].message == NULL)
            return error_new(
                ERROR_NOT_FOUND,
                "It was away for too long: the sum of round %u, which it lacks, is not kept any more.",
                (unsigned)r);
    *ret_request = site->model_round + 1 < round ? REQUEST_SUM : REQUEST_MASK;
    return NULL;
}

Fds__Sum engine_sum_message(const struct engine *engine, const struct engine_site *site, uint32_t round)
{
    const struct kept_sum *kept = &engine->secagg->sums[round - 1];
    Fds__Sum sum = *kept->message;
    if (engine->secagg->verify && !engine_keys_shared(kept->batch, site)) {
        sum.n_adverts = kept->batch->keyset->count;
        sum.adverts = kept->batch->messages;
    }
    return sum;
}

struct error *engine_answer_sum(struct engine *engine, struct engine_site *site,
                                const struct session_event *event)
{
    struct error *err = NULL;
    Fds__JobStatus *status = NULL;
    enum request_kind request = REQUEST_MASK;
    struct error *wrong = wire_job_status_decode(event->body, event->body_bytes, &status);
    if (wrong == NULL && memcmp(status->job_id.data, engine->record->job_id.bytes, DIGEST_BYTES) != 0)
        wrong = error_new(ERROR_INVALID, "Its answer is about another job.");
    if (wrong == NULL) {
        site->model_round++;
        wrong = engine_sum_lacks(engine, site, &request);
    }
    if (wrong != NULL)
        engine_missed(engine, site, SITE_FAILED, wrong->sentence);
    else
        TRY(engine_ask(engine, site, request));
done:
    error_free(wrong);
    wire_job_status_free(status);
    return err;
}

/* ---- the counts ---- */

/* Counts that nobody has as rows are no counts. */
static bool counts_possible(const uint64_t *counts, size_t cells, size_t contributors)
{
    uint64_t most = CONFUSION_MAX_ROWS * contributors;
    uint64_t sum = 0;
    for (size_t i = 0; i < cells; i++) {
        if (counts[i] > most - sum)
            return false;
        sum += counts[i];
    }
    return true;
}

/* They are of the model that the round began with, so of the round before; round 1 began with no round's model. */
static struct error *pool_counts(struct engine *engine)
{
    struct error *err = NULL;
    const struct engine_secagg *secagg = engine->secagg;
    struct run_record *record = engine->record;
    const struct masked_attempt *attempt = secagg->attempt;
    const uint64_t *words = attempt->sum + 1 + (engine_secagg_evaluating(engine) ? 0 : engine->count);
    struct round_record *before = record->round_count == 0 ? NULL : &record->rounds[record->round_count - 1];
    uint64_t *pooled = NULL;
    if (secagg->cells == 0 || before == NULL)
        goto done;
    pooled = confusion_new(record->classes);
    if (pooled == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    err = fixed_point_decode_counts(&secagg->plan, attempt->contributor_count, words, secagg->cells, pooled);
    if (err != NULL && err->code != ERROR_INVALID)
        goto done;
    if (err != NULL || !counts_possible(pooled, secagg->cells, attempt->contributor_count)) {
        error_clear(&err);
        engine_tell(
            engine, ENGINE_WARNING, NULL,
            "The sites' counts add up to more rows than there can be, so there is no pooled confusion matrix "
            "of the round before; the counts of one of them are wrong.");
        goto done;
    }
    confusion_sum(pooled, record->classes);
    before->pooled_confusion = pooled;
    pooled = NULL;
    TRY(run_store_pooled(engine->plan->store, record, before));
done:
    free(pooled);
    return err;
}

/* ---- the sum ---- */

static struct error *advance(struct engine *engine)
{
    struct error *err = NULL;
    const struct engine_secagg *secagg = engine->secagg;
    const struct masked_attempt *attempt = secagg->attempt;
    struct round_masking *masking = &engine->round->masking;
    bool noised = job_private(engine->job);
    err = noised ? engine_noised_advance(engine)
                 : fixed_point_advance(&secagg->plan, attempt->contributor_count, attempt->sum, engine->count,
                                       engine->model);
    if (err == NULL) /* as the sites check it */
        err = softmax_check_parameters(engine->model, engine->count);
    if (err != NULL) {
        err = error_prefix(err, "Round %u has no model, because its sum cannot be that of honest sites",
                           engine->round->round);
        engine->verdict = RUN_STOPPED;
        goto done;
    }
    masking->has_examples = secagg->plan.weighted && !noised;
    masking->examples = masking->has_examples ? attempt->sum[0] : 0;
    TRY(engine_keep_model(engine));
    TRY(engine_noised_average(engine));
    TRY(keep_sum(engine));
done:
    return err;
}

static void tell_sum(const struct engine *engine)
{
    const struct masked_attempt *attempt = engine->secagg->attempt;
    struct engine_event event = {.kind = ENGINE_UNMASKED,
                                 .sentence = "",
                                 .command = "",
                                 .round = engine->round->round,
                                 .done = attempt->contributor_count,
                                 .total = engine->secagg->run.sites};
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}

struct error *engine_sum(struct engine *engine)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    struct secagg_set contributors = {attempt->contributors, attempt->contributor_count};
    bool evaluating = engine_secagg_evaluating(engine);
    TRY(secagg_sum_unmask(&attempt->about, contributors, attempt->opened, attempt->sum));
    engine->round->masking.contributors = (uint32_t)attempt->contributor_count;
    tell_sum(engine);
    if (!evaluating)
        TRY(advance(engine));
    TRY(job_private(engine->job) ? engine_noised_pool(engine) : pool_counts(engine));
    if (!evaluating)
        TRY(engine_evaluate_here(engine));
done:
    return err;
}
