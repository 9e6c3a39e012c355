/* Steps of secure aggregation: the site's vector of a round, under masks; and the model that a sum gives. What is computed
 * here of rows goes into the airlock, which encodes it, masks it, and lets nothing else out. */
#include "datasite/trainer_parts.h"

#include "crypto/secagg_share.h"
#include "crypto/secret.h"
#include "datasite/budget.h"
#include "datasite/release_check.h"
#include "datasite/secagg_model.h"
#include "datasite/store_secagg.h"

#include <inttypes.h>

/* One Mask, or one Sum, in hand. */
struct masking {
    struct work *work;
    struct secagg_roster roster;
    struct secagg_run run;
    struct secagg_source source;
    struct secagg_model model; /* that the round begins with */
    struct secagg_taken taken; /* of what sum, and not stored yet */
    /* Of a Mask: */
    struct secagg_vector vector;
    struct secagg_attempt attempt;
    bool again;                       /* the round has its vector */
    struct contribution contribution; /* of a private job */
};

/* What came of the rows; wiped. */
struct computed {
    double *from, *parameters; /* [count] */
    uint64_t *counts;          /* [counts_count] */
    size_t count, counts_count;
};

static void masking_clear(struct masking *masking)
{
    contribution_clear(&masking->contribution);
    secagg_model_clear(&masking->model);
    secagg_roster_clear(&masking->roster);
}

/* The policy of now admits the roster. */
static struct error *masking_admit(struct masking *masking)
{
    struct error *err = NULL;
    struct work *work = masking->work;
    const struct step *step = work->step;
    struct trainer *trainer = work->trainer;
    TRY(secagg_roster_admit(&work->gate, step->approval.job, &step->approval.dataset,
                            identity_id(trainer->identity), &masking->roster));
    secagg_roster_run(&masking->roster, step->approval.job, &step->job_id, step->run_id, &masking->run);
    masking->source = (struct secagg_source){
        .store = trainer->store,
        .approval = &step->approval,
        .gate = &work->gate,
        .roster = &masking->roster,
        .run = &masking->run,
        .memo = secagg_cache_memo(trainer->secagg),
        .now = trainer->clock() / 1000,
    };
done:
    return err;
}

/* With the keys of the sum's slot, if this site has them. */
static struct error *masking_take(struct masking *masking, const Fds__Sum *sum)
{
    struct error *err = NULL;
    struct trainer *trainer = masking->work->trainer;
    const struct secagg_keyset *keyset = NULL;
    TRY(secagg_cache_keyset(trainer->secagg, trainer->store, &masking->run, sum->slot, &keyset));
    TRY(secagg_model_next(&masking->source, keyset, sum, &masking->model, &masking->taken));
done:
    return err;
}

/* The model of the sum, in the transaction that is open or in its own. */
static struct error *masking_keep(struct masking *masking)
{
    return secagg_model_keep(&masking->source, &masking->model, &masking->taken);
}

/* A sum that was taken is kept also where the step that came with it failed. */
static struct error *masking_end(struct masking *masking, struct error *failed)
{
    struct error *err = masking_keep(masking);
    if (failed == NULL)
        return err;
    error_free(err);
    return failed;
}

/* The model that the round begins with is this site's own. */
static struct error *masking_model(struct masking *masking)
{
    struct error *err = NULL;
    const struct step *step = masking->work->step;
    const Fds__Mask *mask = step->mask;
    const ProtobufCBinaryData *parameters = &mask->parameters;
    if (parameters->len == 0 && mask->previous != NULL) /* the site was not asked in round 1 */
        parameters = &mask->previous->parameters;
    TRY(secagg_model_first(&masking->source, parameters->data, parameters->len, &masking->model));
    if (mask->previous != NULL && masking->model.round == mask->previous->round)
        TRY(masking_take(masking, mask->previous));
    if (masking->model.round < step->round)
        FAIL(ERROR_NOT_FOUND,
             "This site lacks the sums from round %" PRIu32 " to round %" PRIu32
             ": it computes the model of a round from the sums before it.",
             masking->model.round, step->round - 1);
    if (masking->model.round > step->round)
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run is over: this site has its sum.", step->round);
    if (!digest_equal(&masking->model.digest, &step->model_digest))
        FAIL(
            ERROR_REFUSED,
            "Round %" PRIu32
            " is to start from another model than the one that this site computed from the job and the sums.",
            step->round);
done:
    return err;
}

/* ---- the attempt ---- */

/* Whether every share that the sharers sealed for this site holds, so that who sealed a bad one can be left out while
 * there is a choice: they are opened, and not kept. */
static struct error *masking_open_shares(const struct masking *masking, const struct secagg_secret *secret,
                                         const uint32_t *neighbours, size_t count)
{
    struct error *err = NULL;
    const struct secagg_attempt *attempt = &masking->attempt;
    const Fds__Mask *mask = masking->work->step->mask;
    struct secagg_share share = {{0}, {0}};
    struct agreement_key *key = NULL;
    size_t used = 0;
    TRY(agreement_key_new(secret->c, &key));
    for (size_t i = 0; i < count; i++) {
        if (!secagg_set_has(attempt->sharers, neighbours[i]))
            continue;
        if (mask->sealed.len - used < SECAGG_SEALED_BYTES)
            FAIL(ERROR_INVALID, "Mask: sealed has fewer shares than sharers that are neighbours.");
        TRY(secagg_share_open_by(attempt->keyset, attempt->slot, masking->roster.own, neighbours[i], key,
                                 secagg_cache_agreed(masking->work->trainer->secagg),
                                 mask->sealed.data + used, &share));
        used += SECAGG_SEALED_BYTES;
    }
    if (used != mask->sealed.len)
        FAIL(ERROR_INVALID, "Mask: sealed has more shares than sharers that are neighbours.");
done:
    agreement_key_free(key);
    secret_wipe(&share, sizeof(share));
    return err;
}

static struct error *masking_shares(struct masking *masking)
{
    struct error *err = NULL;
    const struct step *step = masking->work->step;
    const struct secagg_attempt *attempt = &masking->attempt;
    struct secagg_slot slot = {.sharers = NULL};
    uint32_t *neighbours = NULL;
    size_t count = 0, threshold = 0;
    TRY(store_secagg_slot(masking->work->trainer->store, step->run_id, attempt->slot, &slot));
    if (slot.state != SECAGG_SLOT_OPEN || !slot.shared)
        FAIL(ERROR_REFUSED,
             "Slot %" PRIu32
             " is not open at this site: it was used, or closed, and a slot serves one attempt of "
             "one round.",
             attempt->slot);
    TRY(secagg_neighbours(attempt->keyset, attempt->slot, masking->roster.own, &neighbours, &count,
                          &threshold));
    TRY(masking_open_shares(masking, &slot.secret, neighbours, count));
done:
    free(neighbours);
    secagg_slot_clear(&slot);
    return err;
}

static struct error *masking_attempt(struct masking *masking)
{
    struct error *err = NULL;
    struct trainer *trainer = masking->work->trainer;
    const struct step *step = masking->work->step;
    const Fds__Mask *mask = step->mask;
    struct secagg_set sharers = {mask->sharers, mask->n_sharers};
    const struct secagg_keyset *keyset = NULL;
    TRY(secagg_cache_keyset(trainer->secagg, trainer->store, &masking->run, mask->slot, &keyset));
    if (keyset == NULL)
        FAIL(ERROR_REFUSED, "This site has not shared the secrets of slot %" PRIu32 ".", mask->slot);
    TRY(secagg_attempt_make(keyset, mask->slot, step->round, step->attempt, sharers, &masking->model.digest,
                            masking->vector.plan.ring, masking->vector.words, &masking->attempt));
    TRY(masking_shares(masking));
done:
    return err;
}

/* A round is encoded once. One that was agreed on, or spent, the airlock refuses now as well as later. */
static struct error *masking_round(struct masking *masking)
{
    struct error *err = NULL;
    struct work *work = masking->work;
    const struct step *step = work->step;
    struct secagg_round round = {.encoded = NULL};
    struct release_context context = work_release_context(work);
    TRY(release_foresee(&context, ANSWER_MASKED_INPUT));
    err = store_secagg_round_alone(work->trainer->store, &step->job_id, step->run_id, step->round, &round);
    masking->again = err == NULL;
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
done:
    secagg_round_clear(&round);
    return err;
}

/* ---- the numbers ---- */

static void computed_clear(struct computed *computed)
{
    if (computed->parameters != NULL)
        secret_wipe(computed->parameters, computed->count * sizeof(*computed->parameters));
    if (computed->counts != NULL)
        secret_wipe(computed->counts, computed->counts_count * sizeof(*computed->counts));
    free(computed->from);
    free(computed->parameters);
    free(computed->counts);
}

static struct error *computed_make(const struct masking *masking, struct computed *computed)
{
    computed->count = masking->vector.model;
    computed->counts_count = masking->vector.counts;
    computed->from = calloc(computed->count, sizeof(*computed->from));
    computed->parameters = calloc(computed->count, sizeof(*computed->parameters));
    computed->counts = calloc(computed->counts_count + 1, sizeof(*computed->counts));
    if (computed->from == NULL || computed->parameters == NULL || computed->counts == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to train.");
    wire_parameters_read(masking->model.parameters, computed->count, computed->from);
    return NULL;
}

/* From here on what is read of the rows counts as spent, whatever becomes of the step. */
static struct error *masking_spend(const struct masking *masking)
{
    struct error *err = NULL;
    const struct trainer *trainer = masking->work->trainer;
    const struct step *step = masking->work->step;
    int64_t now = trainer->clock() / 1000;
    if (masking->vector.parameters > 0)
        TRY(budget_begin(trainer->store, trainer->identity, &step->approval, step->run_id, step->round,
                         BUDGET_TRAINING, now));
    if (masking->vector.counts > 0)
        TRY(budget_begin(trainer->store, trainer->identity, &step->approval, step->run_id, step->round,
                         BUDGET_EVALUATION, now));
done:
    return err;
}

/* One transaction: the sum that the round starts from, and, unless it has its vector, the beginning of it. */
static struct error *masking_begin(struct masking *masking)
{
    struct error *err = NULL;
    struct store *store = masking->work->trainer->store;
    TRY(store_secagg_begin(store));
    TRY(masking_keep(masking));
    if (!masking->again)
        TRY(masking_spend(masking));
    TRY(store_secagg_commit(store));
    masking->taken.round = 0;
done:
    if (err != NULL)
        store_secagg_rollback(store);
    return err;
}

/* The counts are of the model that came in, so that nothing of the site's own model is told twice. */
static struct error *masking_compute(struct masking *masking, struct computed *computed)
{
    struct error *err = NULL;
    struct work *work = masking->work;
    struct softmax_problem training = work_problem(work, false), test = work_problem(work, true);
    struct training_result result;
    if (job_private(work->step->approval.job)) {
        err = work_contribute(work, &masking->vector, computed->from, &masking->contribution);
        goto done;
    }
    work->rows_read = true;
    if (masking->vector.parameters > 0) {
        TRY(work_optimise(work, &training, computed->from, computed->parameters, &result));
        TRY(work_watch(work, 1.0));
    }
    if (masking->vector.counts > 0) {
        TRY(softmax_confusion(&test, computed->from, computed->counts));
        TRY(work_watch(work, 1.0));
    }
done:
    return err;
}

static struct error *masking_release(struct masking *masking, const struct computed *computed,
                                     struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    struct work *work = masking->work;
    const Fds__Mask *mask = work->step->mask;
    struct release_context context = work_release_context(work);
    struct release_outcome outcome = {.body = NULL};
    struct release_masked masked = {
        .attempt = &masking->attempt,
        .vector = &masking->vector,
        .position = masking->roster.own,
        .sealed = mask->sealed.data,
        .sealed_bytes = mask->sealed.len,
        .train_rows = work->trainer->train_rows,
        .test_rows = work->trainer->test_rows,
        .again = masking->again,
        .contribution = job_private(work->step->approval.job) ? &masking->contribution.about : NULL,
        .from = computed->from,
        .parameters = computed->parameters,
        .confusion = computed->counts,
    };
    TRY(release_masked_input(&context, &masked, &outcome));
    TRY(work_hand_out(work, &outcome, ret_answer));
done:
    return err;
}

struct error *work_mask(struct work *work, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    struct masking masking = {.work = work};
    struct computed computed = {.from = NULL};
    const struct step *step = work->step;
    const struct dataset_info *dataset = &step->approval.dataset;
    TRY(masking_admit(&masking));
    TRY(masking_round(&masking));
    TRY(secagg_vector_plan(step->approval.job, dataset, step->round, &masking.vector));
    TRY(masking_model(&masking));
    TRY(masking_attempt(&masking));
    TRY(work_watch(work, 0.0));
    if (!masking.again)
        TRY(computed_make(&masking, &computed));
    TRY(masking_begin(&masking));
    if (!masking.again)
        TRY(masking_compute(&masking, &computed));
    TRY(masking_release(&masking, &computed, ret_answer));
done:
    err = masking_end(&masking, err);
    computed_clear(&computed);
    masking_clear(&masking);
    return err;
}

struct error *work_sum(struct work *work)
{
    struct error *err = NULL;
    struct masking masking = {.work = work};
    const Fds__Sum *sum = work->step->sum;
    bool began = false;
    TRY(step_began(work->trainer->store, work->step, &began));
    if (!began)
        FAIL(ERROR_REFUSED, "This run never began at this site: its first message must be an Advertise.");
    TRY(release_check_secure(&work->step->approval, work_output(work)));
    TRY(masking_admit(&masking));
    TRY(secagg_model_first(&masking.source, sum->parameters.data, sum->parameters.len, &masking.model));
    TRY(masking_take(&masking, sum));
    TRY(masking_keep(&masking));
done:
    masking_clear(&masking);
    return err;
}

/* ---- before a row is read ---- */

/* More examples, or counts, than the vector has room for. Where the number of rows is not let out, the sentence is for the
 * owner's log alone: the requester is told no more than of a step that failed (RELEASE_FAILED). */
static struct error *mask_foresee_rows(const struct work *work, size_t rows, const char *what)
{
    uint64_t most = work->step->approval.job->secure.max_examples;
    bool told = (work_output(work)->metrics & POLICY_METRIC_EXAMPLES) != 0;
    if (rows > most)
        return error_new(told ? ERROR_REFUSED : ERROR_NUMERIC,
                         "This site has more %s rows than the %" PRIu64
                         " of the job's `max_examples`: a job with more would do.%s",
                         what, most,
                         told ? "" : " The requester is not told so, as the number of rows is withheld.");
    return release_check_rows(work_output(work), rows, what);
}

struct error *work_foresee_mask(const struct work *work)
{
    struct error *err = NULL;
    const struct approval *approval = &work->step->approval;
    const struct dataset_info *dataset = &work->trainer->dataset->info;
    struct secagg_vector vector;
    TRY(release_check_secure(approval, work_output(work)));
    TRY(release_check_secure_round(approval, work->step->round));
    TRY(secagg_vector_plan(approval->job, dataset, work->step->round, &vector));
    TRY(work_foresee_bytes(work, mask_bytes(vector.plan.ring, vector.words)));
    if (job_private(approval->job)) {
        err = release_check_share(approval->job, identity_id(work->trainer->identity), &vector,
                                  work_output(work));
        goto done;
    }
    if (vector.parameters > 0) {
        TRY(mask_foresee_rows(work, work->trainer->train_rows, "training"));
        TRY(work_foresee_training(work));
    }
    if (vector.counts > 0)
        TRY(mask_foresee_rows(work, work->trainer->test_rows, "test"));
done:
    return err;
}
