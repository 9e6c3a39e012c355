#include "orchestrator/engine_noised.h"

/* ---- a run ---- */

static int compare_ids(const void *a, const void *b)
{
    return site_id_compare(a, b);
}

static struct error *make_roster(struct engine *engine, struct engine_secagg *secagg)
{
    struct error *err = NULL;
    size_t count = engine->job->site_count;
    secagg->roster = calloc(count, sizeof *secagg->roster);
    secagg->sites = calloc(count, sizeof(struct engine_site *));
    secagg->accused = calloc(count, sizeof *secagg->accused);
    if (secagg->roster == NULL || secagg->sites == NULL || secagg->accused == NULL)
        FAIL(ERROR_MEMORY, "No memory for the roster of secure aggregation.");
    for (size_t i = 0; i < count; i++)
        secagg->roster[i] = engine->sites[i].id;
    qsort(secagg->roster, count, sizeof *secagg->roster, compare_ids);
    secagg->run =
        secagg_run_make(engine->job, &engine->record->job_id, engine->record->run_id, secagg->roster, count);
    for (size_t i = 0; i < count; i++) {
        struct engine_site *site = &engine->sites[i];
        site->position = secagg_position(&secagg->run, &site->id);
        secagg->sites[site->position - 1] = site;
        site->model_round = 1; /* from the job, or with round 1, or with the sum of it */
    }
done:
    return err;
}

/* Sites compute the initial model from the job, unless it is a file. */
static struct error *keep_initial(const struct engine *engine, struct engine_secagg *secagg)
{
    if (engine->job->init != JOB_INIT_FILE)
        return NULL;
    secagg->initial = calloc(engine->count, 8);
    if (secagg->initial == NULL)
        return error_new(ERROR_MEMORY, "No memory for the initial model.");
    wire_parameters_write(engine->model, engine->count, secagg->initial);
    return NULL;
}

struct error *engine_secagg_open(struct engine *engine)
{
    struct error *err = NULL;
    const struct job *job = engine->job;
    struct engine_secagg *secagg = calloc(1, sizeof *secagg);
    if (secagg == NULL)
        FAIL(ERROR_MEMORY, "No memory for secure aggregation.");
    engine->secagg = secagg;
    TRY(make_roster(engine, secagg));
    TRY(keep_initial(engine, secagg));
    secagg->plan = (struct fixed_point){.ring = (enum mask_ring)job->secure.ring,
                                        .clip = job->secure.clip,
                                        .max_examples = job->secure.max_examples,
                                        .sites = job->site_count,
                                        .weighted = job->weighting == JOB_WEIGHT_EXAMPLES};
    TRY(secagg_memo_new(ENGINE_MEMO_PLACES, &secagg->memo));
    secagg->cells =
        job->metrics == JOB_METRICS_NONE ? 0 : (size_t)engine->record->classes * engine->record->classes;
    secagg->verify = job_verifies_sum(job, 1 + engine->count + secagg->cells);
    if (job_private(job))
        TRY(engine_noised_open(engine));
    else
        TRY(fixed_point_plan(&secagg->plan));
    secagg->least = job->min_sites > job->secure.threshold ? job->min_sites : job->secure.threshold;
    if (secagg->least < 3)
        secagg->least = 3;
    secagg->sums = calloc(job->rounds, sizeof *secagg->sums);
    if (secagg->sums == NULL)
        FAIL(ERROR_MEMORY, "No memory for secure aggregation.");
done:
    return err;
}

void engine_secagg_close(struct engine *engine)
{
    struct engine_secagg *secagg = engine->secagg;
    if (secagg == NULL)
        return;
    masked_attempt_free(secagg->attempt);
    for (size_t i = 0; secagg->sums != NULL && i < engine->job->rounds; i++) {
        wire_sum_free(secagg->sums[i].message);
        key_batch_release(secagg->sums[i].batch);
    }
    key_batch_release(secagg->batch);
    key_batch_release(secagg->next);
    key_batch_release(secagg->making);
    secagg_memo_free(secagg->memo);
    engine_noised_close(secagg);
    free(secagg->sums);
    free(secagg->initial);
    free(secagg->accused);
    free(secagg->sites);
    free(secagg->roster);
    free(secagg);
    engine->secagg = NULL;
}

/* ---- a round ---- */

bool engine_secagg_evaluating(const struct engine *engine)
{
    return engine->round->round > engine->job->rounds;
}

void engine_secagg_missing(const struct engine *engine, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < engine->job->site_count && used < bytes - 1; i++) {
        const struct site_round *part = &engine->round->sites[i];
        if (part->status == SITE_OK)
            continue;
        int wrote = snprintf(text + used, bytes - used, " %s (%s): %s", engine->job->sites[i].name,
                             site_status_word(part->status), part->reason);
        used += wrote < 0 ? 0 : (size_t)wrote;
    }
}

/* Before anybody was asked to agree, nothing can have been revealed: that takes shares, and sites give those only after. */
static struct error *too_few(struct engine *engine)
{
    char missing[ERROR_SENTENCE_BYTES], round[RUN_EXCHANGE_NAME_BYTES];
    uint32_t attempts = engine->round->masking.attempts;
    engine->verdict = RUN_STOPPED;
    engine_secagg_missing(engine, missing, sizeof missing);
    run_record_exchange_words(engine->record, engine->round->round, true, round);
    if (engine->secagg->attempt->isolated[0] != '\0')
        return error_new(
            ERROR_UNAVAILABLE, "%s stopped after %u attempt%s: %s Nothing of any site was revealed.%.500s",
            round, (unsigned)attempts, attempts == 1 ? "" : "s", engine->secagg->attempt->isolated, missing);
    return error_new(ERROR_UNAVAILABLE,
                     "%s stopped after %u attempt%s: fewer than the %zu sites that a sum needs sent "
                     "masked inputs. Nothing of any site was revealed.%.700s",
                     round, (unsigned)attempts, attempts == 1 ? "" : "s", engine->secagg->least, missing);
}

static void prepare_parts(struct engine *engine)
{
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct site_round *part = &engine->round->sites[i];
        part->status = SITE_DROPPED;
        engine_set_reason(part->reason, sizeof part->reason, "It took no part in the round.");
    }
}

/* A fresh slot for each attempt, until enough have contributed to one. */
static struct error *try_attempts(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    struct round_masking *masking = &engine->round->masking;
    bool enough = false;
    for (uint32_t number = 0; number < RUN_ATTEMPTS; number++) {
        masked_attempt_free(secagg->attempt);
        secagg->attempt = NULL;
        TRY(engine_masked_begin(engine, number));
        masking->attempts = number + 1;
        masking->sharers = (uint32_t)secagg->attempt->about.sharers.count;
        TRY(engine_masked_collect(engine));
        TRY(engine_masked_enough(engine, &enough));
        engine_seals_weigh(engine, !enough);
        if (enough)
            goto done;
    }
    err = too_few(engine);
done:
    return err;
}

struct error *engine_secagg_round(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    prepare_parts(engine);
    TRY(engine_noised_digest(engine));
    TRY(try_attempts(engine));
    TRY(engine_unmask(engine));
    TRY(engine_sum(engine));
done:
    masked_attempt_free(secagg->attempt);
    secagg->attempt = NULL;
    return err;
}
