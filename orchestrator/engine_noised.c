#include "orchestrator/engine_noised.h"

#include "crypto/privacy_plan.h"
#include "learning/private_step.h"

/* ---- the vector ---- */

static struct error *plan_of(const struct engine *engine, uint32_t round, struct private_vector *ret_vector)
{
    return private_vector_plan(engine->job, engine->count, engine->record->classes, round, ret_vector);
}

struct error *engine_words(const struct engine *engine, struct engine_words *ret_words)
{
    struct error *err = NULL;
    struct private_vector vector;
    struct engine_words words = {.counts = engine->secagg->cells, .first = 1};
    if (job_private(engine->job)) {
        TRY(plan_of(engine, engine->round->round, &vector));
        words = (struct engine_words){.parameters = vector.parameters, .counts = vector.counts};
    } else if (!engine_secagg_evaluating(engine)) {
        words.parameters = engine->count;
    }
    words.words = words.first + words.parameters + words.counts;
    *ret_words = words;
done:
    return err;
}

/* ---- between rounds ---- */

static bool has_velocity(const struct job *job)
{
    return job->privacy.mechanism == JOB_DISTRIBUTED_DP && job->model == JOB_SOFTMAX_REGRESSION;
}

/* How many rounds the mean is of; 1: there is none beside the last model. */
static uint32_t tail_of(const struct job *job)
{
    return has_velocity(job) ? private_step_tail(job->rounds, job->average_tail) : 1;
}

struct error *engine_noised_open(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    struct private_vector vector;
    TRY(plan_of(engine, 1, &vector));
    if (has_velocity(engine->job)) {
        secagg->velocity = calloc(engine->count, sizeof *secagg->velocity);
        secagg->state = calloc(2 * engine->count, 8);
        if (secagg->velocity == NULL || secagg->state == NULL)
            FAIL(ERROR_MEMORY, "No memory for the momentum of the global model.");
    }
    if (tail_of(engine->job) > 1) {
        secagg->average = calloc(engine->count, sizeof *secagg->average);
        if (secagg->average == NULL)
            FAIL(ERROR_MEMORY, "No memory for the mean of the last global models.");
    }
    secagg->verify = job_verifies_sum(engine->job, vector.words);
done:
    return err;
}

void engine_noised_close(struct engine_secagg *secagg)
{
    free(secagg->velocity);
    free(secagg->state);
    free(secagg->average);
}

struct error *engine_noised_digest(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    wire_parameters_write(engine->model, engine->count, engine->model_bytes);
    if (secagg->velocity == NULL) {
        err = digest_of(engine->model_bytes, 8 * engine->count, &secagg->model_digest);
        goto done;
    }
    memcpy(secagg->state, engine->model_bytes, 8 * engine->count);
    wire_parameters_write(secagg->velocity, engine->count, secagg->state + 8 * engine->count);
    TRY(digest_of(secagg->state, 16 * engine->count, &secagg->model_digest));
done:
    return err;
}

/* ---- the sum ---- */

static struct error *advance_gradient(struct engine *engine, const struct private_vector *vector)
{
    struct error *err = NULL;
    const struct job *job = engine->job;
    size_t classes = engine->record->classes;
    struct private_step step = {
        .learning_rate = job->learning_rate,
        .momentum = job->momentum,
        .l2 = job->l2,
        .sampling_rate = job->privacy.sampling_rate,
        .scale = vector->grid.scale,
        .examples = private_vector_examples(job),
    };
    TRY(private_step_check(&step));
    private_step_advance(&step, engine->count / classes - 1, classes,
                         (const int64_t *)engine->secagg->attempt->sum, engine->secagg->velocity,
                         engine->model);
done:
    return err;
}

struct error *engine_noised_advance(struct engine *engine)
{
    struct error *err = NULL;
    const struct job *job = engine->job;
    const uint64_t *words = engine->secagg->attempt->sum;
    struct private_vector vector;
    TRY(plan_of(engine, engine->round->round, &vector));
    if (job->privacy.mechanism == JOB_SITE_LEVEL)
        private_vector_add(&vector, private_vector_weights(job), words, engine->model);
    else if (job->model == JOB_FEATURE_STATISTICS)
        private_vector_add(&vector, privacy_plan_divisor(job, 0), words, engine->model);
    else
        TRY(advance_gradient(engine, &vector));
done:
    return err;
}

/* ---- the mean of the last models ---- */

static struct error *keep_average(struct engine *engine)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    wire_parameters_write(engine->secagg->average, engine->count, engine->model_bytes);
    TRY(digest_of(engine->model_bytes, 8 * engine->count, &record->averaged_sha256));
    record->averaged = engine->secagg->average;
    engine->secagg->average = NULL;
    TRY(engine_evaluate(engine, record->averaged, &record->averaged_confusion));
done:
    return err;
}

struct error *engine_noised_average(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    uint32_t round = engine->round->round;
    uint32_t before = engine->job->rounds - tail_of(engine->job);
    if (secagg->average == NULL || round <= before)
        goto done;
    private_step_average(engine->model, engine->count, round - before, secagg->average);
    if (round == engine->job->rounds)
        TRY(keep_average(engine));
done:
    return err;
}

/* ---- the counts ---- */

struct error *engine_noised_pool(struct engine *engine)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    const struct masked_attempt *attempt = engine->secagg->attempt;
    struct round_record *before = record->round_count == 0 ? NULL : &record->rounds[record->round_count - 1];
    struct private_vector vector;
    double *counts = NULL;
    TRY(plan_of(engine, engine->round->round, &vector));
    if (vector.counts == 0 || before == NULL)
        goto done;
    counts = calloc(vector.counts, sizeof *counts);
    if (counts == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    private_vector_decode_counts(&vector, attempt->sum + vector.parameters, counts);
    before->pooled_noised = counts;
    before->pooled_noise = private_vector_counts_deviation(&vector, attempt->contributor_count);
    before->pooled_sites = (uint32_t)attempt->contributor_count;
    counts = NULL;
    TRY(run_store_pooled(engine->plan->store, record, before));
done:
    free(counts);
    return err;
}
