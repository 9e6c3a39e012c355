#include "datasite/secagg_model.h"

#include "crypto/secagg_sum.h"
#include "crypto/secagg_wire.h"
#include "datasite/model_shape.h"
#include "datasite/secagg_advance.h"
#include "datasite/secagg_evidence.h"
#include "datasite/secagg_vector.h"
#include "learning/softmax.h"

#include <inttypes.h>

#define MODEL_REFUSALS 16 /* of which a run leaves an event each: nobody fills the file with false sums */

/* ---- the first one ---- */

static struct error *model_of_file(const struct job *job, const uint8_t *parameters, size_t bytes,
                                   size_t count, double *ret_parameters)
{
    struct error *err = NULL;
    struct digest digest;
    char hex[DIGEST_HEX_BYTES];
    if (bytes == 0)
        FAIL(ERROR_REFUSED,
             "The job names its initial model by its SHA-256, and this site has not been given it: it "
             "comes with the first message of round 1, or with the sum of it.");
    if (bytes != count * sizeof(double))
        FAIL(ERROR_INVALID, "The initial model has %zu bytes; this dataset's has %zu.", bytes,
             count * sizeof(double));
    TRY(digest_of(parameters, bytes, &digest));
    digest_hex(&digest, hex);
    if (strcmp(hex, job->init_sha256) != 0)
        FAIL(ERROR_REFUSED, "The initial model is not the one whose SHA-256 the approved job names.");
    wire_parameters_read(parameters, count, ret_parameters);
    err = softmax_check_parameters(ret_parameters, count);
    if (err != NULL) {
        error_free(err);
        FAIL(ERROR_INVALID,
             "The initial model has a parameter that is not finite or beyond single precision (3.4e38).");
    }
done:
    return err;
}

/* Takes what is in `values` as the model of `round`. */
static struct error *model_make(uint32_t round, const double *values, size_t count,
                                struct secagg_model *ret_model)
{
    struct error *err = NULL;
    struct secagg_model model = {.round = round, .bytes = count * sizeof(double)};
    model.parameters = malloc(model.bytes);
    if (model.parameters == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a model.");
    wire_parameters_write(values, count, model.parameters);
    TRY(digest_of(model.parameters, model.bytes, &model.digest));
    *ret_model = model;
    model.parameters = NULL;
done:
    free(model.parameters);
    return err;
}

static struct error *model_initial(const struct secagg_source *source, const uint8_t *parameters,
                                   size_t bytes, struct secagg_model *ret_model)
{
    struct error *err = NULL;
    const struct job *job = source->approval->job;
    const struct dataset_info *dataset = &source->approval->dataset;
    struct secagg_vector vector;
    size_t features = 0;
    double *values = NULL;
    TRY(model_shape_features(job, dataset, &features));
    TRY(secagg_vector_plan(job, dataset, 1, &vector));
    values = calloc(vector.state, sizeof(*values)); /* as the job's `zeros`, and as a velocity begins */
    if (values == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a model.");
    switch (job->init) {
    case JOB_INIT_ZEROS:
        break;
    case JOB_INIT_SEEDED:
        softmax_init_seeded(job->seed, features, dataset->classes, values);
        break;
    case JOB_INIT_FILE:
        TRY(model_of_file(job, parameters, bytes, vector.model, values));
        break;
    }
    TRY(model_make(1, values, vector.state, ret_model));
done:
    free(values);
    return err;
}

/* No sum and so no event vouches for the stored model of round 1: the job that was approved does, from which it is made
 * once more. Of a model from a file the job has the digest. */
static struct error *model_first_check(const struct secagg_source *source, const struct secagg_model *stored)
{
    struct error *err = NULL;
    struct secagg_model model = {.parameters = NULL};
    struct secagg_vector vector;
    TRY(secagg_vector_plan(source->approval->job, &source->approval->dataset, 1, &vector));
    if (stored->bytes != vector.state * sizeof(double))
        TRY(store_secagg_model_edited());
    err = model_initial(source, stored->parameters, vector.model * sizeof(double), &model);
    if (err != NULL && err->code != ERROR_REFUSED && err->code != ERROR_INVALID)
        goto done;
    if (err == NULL && digest_equal(&model.digest, &stored->digest))
        goto done;
    error_clear(&err);
    err = store_secagg_model_edited();
done:
    secagg_model_clear(&model);
    return err;
}

struct error *secagg_model_first(const struct secagg_source *source, const uint8_t *parameters, size_t bytes,
                                 struct secagg_model *ret_model)
{
    struct error *err = NULL;
    struct secagg_model model = {.parameters = NULL};
    err = store_secagg_model(source->store, source->run->run_id, &model);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        TRY(model_initial(source, parameters, bytes, &model));
        TRY(store_secagg_set_model(source->store, source->run->run_id, &model));
    } else if (err == NULL && model.round == 1) {
        TRY(model_first_check(source, &model));
    }
    if (err != NULL)
        goto done;
    *ret_model = model;
    model.parameters = NULL;
done:
    secagg_model_clear(&model);
    return err;
}

/* ---- the next one ---- */

/* A sum that is looked at. */
struct taking {
    const struct secagg_source *source;
    const Fds__Sum *sum;
    const struct secagg_model *model; /* that its round began with */
    struct secagg_vector vector;
    struct secagg_set sharers, contributors;
    struct digest keyset_hash, context, sharers_hash, contributors_hash;
    uint64_t *words; /* [vector.words] */
};

static struct error *taking_words(struct taking *taking)
{
    struct error *err = NULL;
    const struct approval *approval = taking->source->approval;
    const Fds__Sum *sum = taking->sum;
    TRY(secagg_vector_plan(approval->job, &approval->dataset, sum->round, &taking->vector));
    size_t bytes = mask_bytes(taking->vector.plan.ring, taking->vector.words);
    if (sum->words.len != bytes)
        FAIL(ERROR_INVALID, "Sum: words must be %zu bytes for this job, and are %zu.", bytes, sum->words.len);
    taking->words = calloc(taking->vector.words, sizeof(*taking->words));
    if (taking->words == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a sum.");
    mask_read(taking->vector.plan.ring, sum->words.data, taking->vector.words, taking->words);
done:
    return err;
}

/* Who shared and who contributed, and that they are enough, by the job and by the policy of now. */
static struct error *taking_sites(struct taking *taking)
{
    struct error *err = NULL;
    const struct secagg_source *source = taking->source;
    const struct secagg_run *run = source->run;
    size_t least = secagg_roster_least(source->approval->job);
    taking->sharers = (struct secagg_set){taking->sum->sharers, taking->sum->n_sharers};
    taking->contributors = (struct secagg_set){taking->sum->contributors, taking->sum->n_contributors};
    TRY(secagg_set_check(run, taking->sharers, "the list of sharers"));
    TRY(secagg_set_check(run, taking->contributors, "the list of contributors"));
    if (!secagg_set_within(taking->contributors, taking->sharers))
        FAIL(ERROR_INVALID, "Sum: contributors must be among the sharers.");
    if (taking->contributors.count < least)
        FAIL(ERROR_REFUSED, "The sum of round %" PRIu32 " is of %zu sites, and this job needs %zu.",
             taking->sum->round, taking->contributors.count, least);
    TRY(secagg_roster_organisations(source->gate, source->roster, taking->contributors));
    TRY(secagg_set_hash(run, SECAGG_SHARERS, taking->sharers, &taking->sharers_hash));
    TRY(secagg_set_hash(run, SECAGG_CONTRIBUTORS, taking->contributors, &taking->contributors_hash));
done:
    return err;
}

/* About this site's own model: agreements over another one do not hold. */
static struct error *taking_context(struct taking *taking)
{
    struct error *err = NULL;
    const Fds__Sum *sum = taking->sum;
    memcpy(taking->keyset_hash.bytes, sum->keyset_hash.data, DIGEST_BYTES);
    TRY(secagg_context(taking->source->run, sum->round, sum->attempt, &taking->keyset_hash,
                       &taking->model->digest, &taking->context));
done:
    return err;
}

/* By the key of who submitted the job. */
static struct error *taking_signature(const struct taking *taking)
{
    struct error *err = NULL;
    const struct secagg_source *source = taking->source;
    uint8_t body[SECAGG_SUM_BODY_BYTES];
    TRY(secagg_sum_body(&taking->context, &taking->contributors_hash, taking->vector.plan.ring, taking->words,
                        taking->vector.words, body));
    err = secagg_verify(source->memo, &source->approval->record.requester, taking->sum->public_key.data,
                        "sum", body, sizeof(body), taking->sum->signature.data);
    err = error_prefix(err, "The sum of round %" PRIu32, taking->sum->round);
done:
    return err;
}

/* The one statement that this site signed about the round, if it did, is the one that the others signed. */
static struct error *taking_own_statement(const struct taking *taking,
                                          const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES])
{
    struct error *err = NULL;
    const struct secagg_source *source = taking->source;
    struct secagg_round round = {.encoded = NULL};
    err = store_secagg_round_alone(source->store, &source->run->job_hash, source->run->run_id,
                                   taking->sum->round, &round);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        goto done;
    }
    if (err != NULL)
        goto done;
    if (round.agreed && memcmp(round.agreement, body, SECAGG_AGREEMENT_BODY_BYTES) != 0)
        FAIL(ERROR_UNTRUSTED,
             "The sum of round %" PRIu32 " is not of the sites and inputs that this site agreed to.",
             taking->sum->round);
done:
    secagg_round_clear(&round);
    return err;
}

static struct error *taking_agreements(const struct taking *taking)
{
    struct error *err = NULL;
    const Fds__Sum *sum = taking->sum;
    const struct digest *parts[] = {&taking->context, &taking->sharers_hash, &taking->contributors_hash};
    struct secagg_agreement *agreements = NULL;
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    for (size_t i = 0; i < 3; i++)
        memcpy(body + i * DIGEST_BYTES, parts[i]->bytes, DIGEST_BYTES);
    memcpy(body + (size_t)3 * DIGEST_BYTES, sum->inputs_digest.data, DIGEST_BYTES);
    TRY(taking_own_statement(taking, body));
    TRY(secagg_wire_take_agreements(sum->agreements, sum->n_agreements, &agreements));
    TRY(secagg_agreements_verify(taking->source->run, body, agreements, sum->n_agreements,
                                 taking->source->memo));
done:
    free(agreements);
    return err;
}

/* The keyset of the sum's slot: this site's, or, if it is another one or there is none, that of the adverts in the sum;
 * *ret_made is to be freed. */
static struct error *taking_keyset(const struct taking *taking, const struct secagg_keyset *own,
                                   const struct secagg_keyset **ret_keyset, struct secagg_keyset **ret_made)
{
    struct error *err = NULL;
    const Fds__Sum *sum = taking->sum;
    const struct secagg_run *run = taking->source->run;
    struct secagg_advert *adverts = NULL;
    struct secagg_keyset *made = NULL;
    struct digest hash = {{0}};
    if (own != NULL && secagg_keyset_has_slot(own, sum->slot))
        TRY(secagg_keyset_hash(own, sum->slot, &hash));
    if (own != NULL && digest_equal(&hash, &taking->keyset_hash)) {
        *ret_keyset = own;
        goto done;
    }
    if (sum->n_adverts == 0)
        FAIL(ERROR_REFUSED,
             "The job says `verify_sum`, this site took no part in the batch of slot %" PRIu32
             ", and the sum came without the adverts of it.",
             sum->slot);
    TRY(secagg_wire_take_adverts(run, sum->adverts, sum->n_adverts, &adverts));
    TRY(secagg_keyset_make(run, adverts, sum->n_adverts, taking->source->memo, &made));
    if (!secagg_keyset_has_slot(made, sum->slot))
        FAIL(ERROR_INVALID, "Sum: adverts must be of the slot's batch.");
    TRY(secagg_keyset_hash(made, sum->slot, &hash));
    if (!digest_equal(&hash, &taking->keyset_hash))
        FAIL(ERROR_UNTRUSTED, "The adverts in the sum of round %" PRIu32 " are not those of its keys.",
             sum->round);
    *ret_keyset = made;
    *ret_made = made;
    made = NULL;
done:
    secagg_wire_free_adverts(adverts, sum->n_adverts);
    secagg_keyset_free(made);
    return err;
}

static struct error *taking_evidence(const struct taking *taking, const struct secagg_keyset *own)
{
    struct error *err = NULL;
    const Fds__Sum *sum = taking->sum;
    const struct secagg_keyset *keyset = NULL;
    struct secagg_keyset *made = NULL;
    struct secagg_attempt attempt;
    if (!job_verifies_sum(taking->source->approval->job, taking->vector.words))
        goto done;
    TRY(taking_keyset(taking, own, &keyset, &made));
    TRY(secagg_attempt_make(keyset, sum->slot, sum->round, sum->attempt, taking->sharers,
                            &taking->model->digest, taking->vector.plan.ring, taking->vector.words,
                            &attempt));
    TRY(secagg_evidence_check(&attempt, taking->contributors, sum, taking->words));
done:
    secagg_keyset_free(made);
    return err;
}

static struct error *taking_check(struct taking *taking, const struct secagg_keyset *keyset)
{
    struct error *err = NULL;
    TRY(taking_words(taking));
    TRY(taking_sites(taking));
    TRY(taking_context(taking));
    TRY(taking_signature(taking));
    TRY(taking_agreements(taking));
    TRY(taking_evidence(taking, keyset));
done:
    return err;
}

static struct error *taking_advance(const struct taking *taking, struct secagg_model *ret_model)
{
    struct error *err = NULL;
    size_t count = taking->vector.state;
    const struct approval *approval = taking->source->approval;
    double *values = calloc(count, sizeof(*values));
    if (values == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a model.");
    if (taking->model->bytes != count * sizeof(double))
        FAIL(ERROR_CORRUPT, "The stored model of this run is of another shape.");
    wire_parameters_read(taking->model->parameters, count, values);
    err = secagg_advance(approval->job, &approval->dataset, &taking->vector, taking->contributors.count,
                         taking->words, values);
    if (err != NULL) {
        err = error_prefix(err, "The sum of round %" PRIu32, taking->sum->round);
        goto done;
    }
    TRY(model_make(taking->model->round + 1, values, count, ret_model));
done:
    free(values);
    return err;
}

/* ---- what is kept ---- */

struct refusals {
    const uint8_t *run_id;
    size_t count;
};

static struct error *model_count_event(void *context, const struct event_record *record)
{
    struct refusals *refusals = context;
    const uint8_t *run_id = record->event.run_id;
    if (run_id != NULL && memcmp(run_id, refusals->run_id, STORE_RUN_ID_BYTES) == 0)
        refusals->count++;
    return NULL;
}

/* Takes `refusal` and gives it back; what cannot be written down does not hide it. */
static struct error *model_refused(const struct secagg_source *source, const Fds__Sum *sum,
                                   struct error *refusal)
{
    const struct secagg_run *run = source->run;
    struct refusals refusals = {run->run_id, 0};
    struct event_filter filter = {.job_id = &run->job_hash, .kind = "sum-refused"};
    if (refusal->code != ERROR_UNTRUSTED && refusal->code != ERROR_INVALID && refusal->code != ERROR_REFUSED)
        return refusal;
    struct error *err = store_events(source->store, &filter, model_count_event, &refusals);
    if (err == NULL && refusals.count < MODEL_REFUSALS)
        err = store_event_add(source->store, EVENT_SUM_REFUSED, &run->job_hash, run->run_id, sum->round,
                              source->now, refusal->sentence, NULL);
    error_free(err);
    return refusal;
}

/* In one transaction with its event. */
struct error *secagg_model_keep(const struct secagg_source *source, const struct secagg_model *model,
                                const struct secagg_taken *taken)
{
    struct error *err = NULL;
    const struct secagg_run *run = source->run;
    bool own = !store_in_transaction(source->store);
    char detail[96];
    if (taken->round == 0)
        goto done;
    (void)snprintf(detail, sizeof(detail), "of %zu sites, attempt %" PRIu32, taken->contributors,
                   taken->attempt + 1);
    if (own)
        TRY(store_secagg_begin(source->store));
    TRY(store_secagg_set_model(source->store, run->run_id, model));
    TRY(store_event_add(source->store, EVENT_SUM_TAKEN, &run->job_hash, run->run_id, taken->round,
                        source->now, detail, &model->digest));
    if (own)
        TRY(store_secagg_commit(source->store));
done:
    if (err != NULL && own)
        store_secagg_rollback(source->store);
    return err;
}

struct error *secagg_model_next(const struct secagg_source *source, const struct secagg_keyset *keyset,
                                const Fds__Sum *sum, struct secagg_model *model,
                                struct secagg_taken *ret_taken)
{
    struct error *err = NULL;
    struct secagg_taken taken = {0, 0, 0};
    struct taking taking = {.source = source, .sum = sum, .model = model};
    struct secagg_model next = {.parameters = NULL};
    if (sum->round < model->round) {
        *ret_taken = taken;
        goto done;
    }
    if (sum->round > model->round || sum->round > source->approval->job->rounds)
        FAIL(ERROR_REFUSED,
             "This site has the model of round %" PRIu32
             " and takes the sum of that round next, not of round %" PRIu32 ".",
             model->round, sum->round);
    err = taking_check(&taking, keyset);
    if (err == NULL)
        err = taking_advance(&taking, &next);
    if (err != NULL) {
        err = model_refused(source, sum, err);
        goto done;
    }
    taken = (struct secagg_taken){sum->round, sum->attempt, sum->n_contributors};
    secagg_model_clear(model);
    *model = next;
    next.parameters = NULL;
    *ret_taken = taken;
done:
    free(taking.words);
    secagg_model_clear(&next);
    return err;
}

struct error *secagg_model_take(const struct secagg_source *source, const struct secagg_keyset *keyset,
                                const Fds__Sum *sum, struct secagg_model *model)
{
    struct error *err = NULL;
    struct secagg_taken taken;
    TRY(secagg_model_next(source, keyset, sum, model, &taken));
    TRY(secagg_model_keep(source, model, &taken));
done:
    return err;
}
