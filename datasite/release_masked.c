/* The airlock of secure aggregation. The vector is encoded and masked in here, so that nobody hands in one that only
 * claims to be masked; the masks are computed before the transaction, whose checks then decide whether they may leave. */
#include "datasite/release_parts.h"

#include "crypto/privacy_plan.h"
#include "crypto/secret.h"
#include "datasite/budget.h"
#include "datasite/secagg_roster.h"
#include "datasite/store_secagg.h"
#include "schemas/wire.h"

#include <inttypes.h>
#include <math.h>

struct masked_input {
    uint64_t *words;  /* [count]: the vector, then under masks */
    uint8_t *encoded; /* without masks, as it is stored */
    uint8_t *masked;  /* as it leaves */
    size_t count, bytes;
    uint8_t signature[SIGNATURE_BYTES];
    double norm; /* of the change; NaN: none, or not known */
};

static void masked_clear(struct masked_input *input)
{
    if (input->words != NULL)
        secret_wipe(input->words, input->count * sizeof(*input->words));
    if (input->encoded != NULL)
        secret_wipe(input->encoded, input->bytes);
    free(input->words);
    free(input->encoded);
    free(input->masked);
}

static struct error *masked_room(const struct release_masked *masked, struct masked_input *input)
{
    input->count = masked->vector->words;
    input->bytes = mask_bytes(masked->vector->plan.ring, input->count);
    input->words = calloc(input->count, sizeof(*input->words));
    input->encoded = calloc(input->bytes, 1);
    input->masked = calloc(input->bytes, 1);
    if (input->words == NULL || input->encoded == NULL || input->masked == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to mask a vector.");
    return NULL;
}

/* The vector that was stored with the first attempt; it must be of this model. */
static struct error *masked_stored(const struct release_context *context, const struct release_masked *masked,
                                   struct masked_input *input)
{
    struct error *err = NULL;
    struct secagg_round round = {.encoded = NULL};
    TRY(store_secagg_round(context->store, context->job_id, context->run_id, context->round, &round));
    if (round.encoded == NULL || round.encoded_bytes != input->bytes ||
        !digest_equal(&round.model_digest, context->model_digest))
        FAIL(ERROR_REFUSED,
             "What this site has for round %" PRIu32 " is of another model, or is not kept any more.",
             context->round);
    memcpy(input->encoded, round.encoded, input->bytes);
    mask_read(masked->vector->plan.ring, input->encoded, input->count, input->words);
done:
    secagg_round_clear(&round);
    return err;
}

static struct error *masked_encode(const struct release_context *context, const struct release_masked *masked,
                                   struct masked_input *input)
{
    struct error *err = NULL;
    if (masked->again) {
        err = masked_stored(context, masked, input);
        goto done;
    }
    if ((masked->contribution != NULL) != (masked->vector->noised.words > 0))
        FAIL(ERROR_INTERNAL, "A vector was encoded for a job with another kind of privacy.");
    if (masked->contribution != NULL)
        TRY(release_share_noise(masked->vector, masked->contribution, input->words));
    else
        TRY(secagg_vector_encode(masked->vector, masked->from, masked->parameters, masked->confusion,
                                 masked->train_rows, input->words));
    mask_write(masked->vector->plan.ring, input->words, input->count, input->encoded);
done:
    return err;
}

/* Under all masks of the slot, and signed. */
static struct error *masked_hide(const struct release_context *context, const struct release_masked *masked,
                                 struct masked_input *input)
{
    struct error *err = NULL;
    const struct secagg_attempt *attempt = masked->attempt;
    struct secagg_slot slot = {.sharers = NULL};
    struct digest digest;
    TRY(store_secagg_slot(context->store, context->run_id, attempt->slot, &slot));
    if (slot.state != SECAGG_SLOT_OPEN || !slot.shared)
        FAIL(ERROR_REFUSED,
             "Slot %" PRIu32
             " is not open at this site: it was used, or closed, and a slot serves one attempt of "
             "one round.",
             attempt->slot);
    TRY(secagg_input_mask(attempt, masked->position, &slot.secret, input->words));
    mask_write(attempt->ring, input->words, input->count, input->masked);
    if (memcmp(input->masked, input->encoded, input->bytes) == 0)
        FAIL(ERROR_INTERNAL, "The masks did not change the vector.");
    TRY(digest_of(input->masked, input->bytes, &digest));
    TRY(secagg_input_sign(context->identity, attempt, &digest, input->signature));
done:
    secagg_slot_clear(&slot);
    return err;
}

/* ---- checks ---- */

/* The attempt is of this job, run, round and model, over the vector of this job. */
static struct error *masked_check_attempt(const struct release_check *check,
                                          const struct release_masked *masked)
{
    const struct release_context *context = check->context;
    const struct secagg_attempt *attempt = masked->attempt;
    const struct secagg_run *run = &attempt->keyset->run;
    const struct job *job = check->approval.job;
    if (!digest_equal(&run->job_hash, context->job_id) ||
        memcmp(run->run_id, context->run_id, STORE_RUN_ID_BYTES) != 0 ||
        run->threshold != job->secure.threshold || attempt->round != context->round ||
        attempt->attempt != context->attempt || !digest_equal(&attempt->model_hash, context->model_digest) ||
        attempt->words != masked->vector->words || attempt->ring != masked->vector->plan.ring ||
        !secagg_set_has(attempt->sharers, masked->position))
        return error_new(ERROR_INTERNAL, "A vector was masked for something else than it is about.");
    return NULL;
}

/* The roster by the policy of now; everybody whose masks are in the vector is in it, and they are enough. */
static struct error *masked_check_roster(const struct release_check *check,
                                         const struct release_masked *masked)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    const struct secagg_run *run = &masked->attempt->keyset->run;
    const struct job *job = check->approval.job;
    struct secagg_set sharers = masked->attempt->sharers;
    struct secagg_roster roster = {.sites = NULL};
    TRY(secagg_roster_admit(context->gate, job, &check->approval.dataset, identity_id(context->identity),
                            &roster));
    if (roster.count != run->sites || roster.own != masked->position ||
        memcmp(roster.sites, run->roster, roster.count * sizeof(*roster.sites)) != 0)
        FAIL(ERROR_INTERNAL, "A vector was masked for other sites than those of the job.");
    if (sharers.count < secagg_roster_least(job))
        FAIL(ERROR_REFUSED, "Only %zu sites take part in this attempt, and this job needs %zu.",
             sharers.count, secagg_roster_least(job));
    TRY(secagg_roster_organisations(context->gate, &roster, sharers));
done:
    secagg_roster_clear(&roster);
    return err;
}

/* As it was when the vector first left; NaN when there is none. */
static struct error *masked_stored_norm(const struct release_context *context, double *ret_norm)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    double norm = NAN;
    for (uint32_t attempt = 0; attempt < STORE_SECAGG_ATTEMPTS && isnan(norm); attempt++) {
        TRY(store_answer(context->store, context->job_id, context->run_id, context->round, attempt,
                         ANSWER_MASKED_INPUT, &answer));
        if (answer.body != NULL)
            norm = answer.update_norm;
        answer_clear(&answer);
    }
    *ret_norm = norm;
done:
    return err;
}

static struct error *masked_check_norm(const struct release_check *check, const struct release_masked *masked,
                                       double *ret_norm)
{
    struct error *err = NULL;
    double most = check->output->max_update_norm;
    struct release_update update = {
        .parameters = masked->parameters, .from = masked->from, .count = masked->vector->parameters};
    if (masked->vector->parameters == 0)
        goto done;
    if (!masked->again) {
        err = release_check_norm(check, &update, ret_norm);
        goto done;
    }
    TRY(masked_stored_norm(check->context, ret_norm));
    if (most > 0 && !(*ret_norm <= most)) /* told no clearer than in the first attempt */
        FAIL(ERROR_NUMERIC, "The update is over the norm bound of this site's output rules.");
done:
    return err;
}

/* What the vector is made of, for its first attempt. */
static struct error *masked_check_numbers(const struct release_check *check,
                                          const struct release_masked *masked)
{
    struct error *err = NULL;
    const struct secagg_vector *vector = masked->vector;
    if (masked->contribution != NULL) {
        err = release_check_contribution(check, vector, masked->contribution, masked->test_rows);
        goto done;
    }
    if (vector->parameters > 0) {
        TRY(release_check_shape(check, vector->parameters));
        TRY(release_check_finite(masked->parameters, vector->parameters));
    }
    if (vector->counts > 0)
        TRY(release_check_confusion(check, masked->confusion, masked->test_rows));
done:
    return err;
}

/* Nothing of a private job is encoded without its noise, and nothing of another with it. */
static struct error *masked_check_rows(const struct release_check *check, const struct release_masked *masked)
{
    struct error *err = NULL;
    const struct job *job = check->approval.job;
    if (job_private(job) != (masked->vector->noised.words > 0))
        FAIL(ERROR_INTERNAL, "A vector was encoded for a job with another kind of privacy.");
    if (job_private(job)) {
        err = release_check_share(job, identity_id(check->context->identity), masked->vector, check->output);
        goto done;
    }
    if (masked->vector->parameters > 0)
        TRY(release_check_rows(check->output, masked->train_rows, "training"));
    if (masked->vector->counts > 0)
        TRY(release_check_rows(check->output, masked->test_rows, "test"));
done:
    return err;
}

static struct error *masked_admit(struct release_check *check, const struct release_masked *masked,
                                  struct masked_input *input)
{
    struct error *err = NULL;
    TRY(release_admit(check));
    TRY(masked_check_attempt(check, masked));
    TRY(masked_check_roster(check, masked));
    TRY(masked_check_rows(check, masked));
    if (!masked->again)
        TRY(masked_check_numbers(check, masked));
    if (!job_private(check->approval.job))
        TRY(masked_check_norm(check, masked, &input->norm));
done:
    return err;
}

/* ---- what leaves ---- */

static struct error *masked_message(const struct release_context *context,
                                    const struct secagg_attempt *attempt, struct masked_input *input,
                                    struct release_body *ret_body)
{
    struct error *err = NULL;
    struct digest job_id = *context->job_id, about = attempt->context;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    Fds__MaskedInput message = FDS__MASKED_INPUT__INIT;
    memcpy(run_id, context->run_id, sizeof(run_id));
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, job_id.bytes};
    message.run_id = (ProtobufCBinaryData){sizeof(run_id), run_id};
    message.round = context->round;
    message.attempt = context->attempt;
    message.slot = attempt->slot;
    message.context = (ProtobufCBinaryData){DIGEST_BYTES, about.bytes};
    message.words = (ProtobufCBinaryData){input->bytes, input->masked};
    message.signature = (ProtobufCBinaryData){SIGNATURE_BYTES, input->signature};
    TRY(wire_encode(&message.base, &ret_body->bytes, &ret_body->count));
    (void)snprintf(ret_body->leaves, sizeof(ret_body->leaves),
                   "%zu words under the masks of %zu sites, attempt %" PRIu32 ", slot %" PRIu32 ", %zu bytes",
                   input->count, attempt->sharers.count, context->attempt + 1, attempt->slot,
                   ret_body->count);
done:
    return err;
}

static void masked_protections(const struct release_check *check,
                               char ret_text[static RECEIPT_PROTECTIONS_BYTES])
{
    char rules[RECEIPT_PROTECTIONS_BYTES];
    const struct job *job = check->approval.job;
    release_check_protections(check->output, rules);
    int used = snprintf(ret_text, RECEIPT_PROTECTIONS_BYTES, "secure-aggregation t %" PRIu32 " of %zu; ",
                        job->secure.threshold, job->site_count);
    if (job_private(job))
        used += snprintf(ret_text + used, RECEIPT_PROTECTIONS_BYTES - (size_t)used,
                         "%s noise multiplier %g clip %g share of %" PRIu32 "; ",
                         job_mechanism_word(job->privacy.mechanism), job->privacy.noise_multiplier,
                         job->privacy.clip, privacy_plan_honest(job));
    size_t bytes = strnlen(rules, RECEIPT_PROTECTIONS_BYTES - (size_t)used - 1);
    memcpy(ret_text + used, rules, bytes);
    ret_text[(size_t)used + bytes] = '\0';
}

/* The slot serves this context alone from now on, and the round this vector. */
static struct error *masked_keep(const struct release_context *context, const struct release_masked *masked,
                                 const struct masked_input *input)
{
    struct error *err = NULL;
    const struct secagg_attempt *attempt = masked->attempt;
    TRY(store_release_forget(context->store, context->job_id, context->run_id, context->round));
    TRY(store_secagg_bind(context->store, context->run_id, attempt->slot, context->round, context->attempt,
                          &attempt->context, attempt->sharers, masked->sealed, masked->sealed_bytes));
    if (!masked->again)
        TRY(store_secagg_encode(context->store, context->job_id, context->run_id, context->round,
                                context->model_digest, input->encoded, input->bytes));
done:
    return err;
}

/* Of a private job every use of the rows that is in the vector was begun in the ledger; what is in it is settled once, with
 * the first attempt. */
static struct error *masked_settle(const struct release_check *check, const struct release_masked *masked)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    const struct approval *approval = &check->approval;
    if (!job_private(approval->job)) /* release_write notes it */
        goto done;
    if (masked->vector->parameters > 0)
        TRY(budget_settle(context->store, context->identity, approval, context->run_id, context->round,
                          BUDGET_TRAINING, context->now));
    if (masked->vector->counts > 0)
        TRY(budget_settle(context->store, context->identity, approval, context->run_id, context->round,
                          BUDGET_EVALUATION, context->now));
done:
    return err;
}

static struct error *masked_release(struct release_check *check, const struct release_masked *masked,
                                    struct masked_input *input, struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_body body = {.bytes = NULL};
    char protections[RECEIPT_PROTECTIONS_BYTES];
    TRY(store_release_begin(check->context->store));
    TRY(masked_admit(check, masked, input));
    TRY(masked_message(check->context, masked->attempt, input, &body));
    TRY(masked_keep(check->context, masked, input));
    TRY(masked_settle(check, masked));
    masked_protections(check, protections);
    struct release_record record = release_record_of(check, &body, false, protections, body.leaves);
    record.update_norm = input->norm;
    TRY(release_write(check, &record, ret_outcome));
done:
    if (err != NULL)
        store_release_rollback(check->context->store);
    free(body.bytes);
    return err;
}

struct error *release_masked_input(const struct release_context *context, const struct release_masked *masked,
                                   struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_check check = {.context = context, .kind = ANSWER_MASKED_INPUT};
    struct masked_input input = {.words = NULL, .norm = NAN};
    TRY(masked_room(masked, &input));
    TRY(masked_encode(context, masked, &input));
    TRY(masked_hide(context, masked, &input));
    TRY(masked_release(&check, masked, &input, ret_outcome));
done:
    masked_clear(&input);
    release_check_clear(&check);
    return err;
}
