#include "orchestrator/engine_secagg.h"

#include "orchestrator/local_private.h"
#include "orchestrator/noised_counts.h"
#include "orchestrator/strategy_fedavg.h"
#include "schemas/clock.h"

#include <math.h>

size_t engine_count_turns(const struct engine *engine, enum site_turn turn)
{
    size_t count = 0;
    for (size_t i = 0; i < engine->job->site_count; i++)
        count += engine->sites[i].turn == turn;
    return count;
}

void engine_leave_out(struct engine *engine, struct engine_site *site)
{
    const char *reason = site->reason;
    if (reason[0] == '\0')
        reason =
            site->phase == PHASE_PENDING ? "Its owner has not approved the job." : "It is not connected.";
    struct site_round *part = engine_site_round(engine, site);
    part->status = site->phase == PHASE_OUT ? SITE_REFUSED : SITE_DROPPED;
    engine_set_reason(part->reason, sizeof part->reason, reason);
}

void engine_tell_round(const struct engine *engine, enum engine_event_kind kind, size_t total)
{
    struct engine_event event = {
        .kind = kind, .sentence = "", .command = "", .round = engine->round->round, .total = total};
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}

static struct error *start_training(struct engine *engine)
{
    struct error *err = NULL;
    size_t asked = 0;
    wire_parameters_write(engine->model, engine->count, engine->model_bytes);
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        if (site->phase != PHASE_READY) {
            engine_leave_out(engine, site);
            continue;
        }
        engine_await(site, engine->round_started + (int64_t)engine->job->round_deadline_s * 1000);
        TRY(engine_ask(engine, site, REQUEST_TRAIN));
        site->turn = TURN_TRAINING;
        asked++;
    }
    engine_tell_round(engine, ENGINE_ROUND_STARTED, asked);
done:
    return err;
}

static enum site_status unanswered_status(const struct engine_site *site, bool given_up)
{
    if (!site->up || given_up)
        return SITE_DROPPED;
    return site->too_long ? SITE_REFUSED : SITE_LATE;
}

#define REASON_BYTES (sizeof((struct engine_site *)NULL)->put_off + 128)

/* Why a site that was asked has not answered: without a connection it has dropped out, with one it is late,
 * unless the round was given up before its time: then nothing can be said against the site. */
static void unanswered_reason(const struct engine *engine, const struct engine_site *site, bool given_up,
                              char ret_reason[static REASON_BYTES])
{
    if (!site->up)
        (void)snprintf(ret_reason, REASON_BYTES, "%s",
                       site->reason[0] == '\0' ? "It is not connected." : site->reason);
    else if (given_up)
        (void)snprintf(
            ret_reason, REASON_BYTES, "%s when the round was given up, because too few others were left.",
            site->held ? "A person there was still looking at its numbers" : "It was still training");
    else if (site->held)
        (void)snprintf(ret_reason, REASON_BYTES,
                       "The person there who looks at its numbers has not decided in time.");
    else if (site->too_long)
        (void)snprintf(ret_reason, REASON_BYTES, "%s", site->put_off);
    else
        (void)snprintf(ret_reason, REASON_BYTES, "It did not answer within the round's %u s%s%s",
                       engine->job->round_deadline_s,
                       site->put_off[0] == '\0' ? "." : "; it last said: ", site->put_off);
}

/* Sites whose time is over, or all of them when the round is given up. */
static void settle_training(struct engine *engine, bool given_up)
{
    char reason[REASON_BYTES];
    int64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        if (site->turn != TURN_TRAINING || (!given_up && site->answer_by > now))
            continue;
        unanswered_reason(engine, site, given_up, reason);
        engine_missed(engine, site, unanswered_status(site, given_up), reason);
    }
}

/* When the first of the sites at this turn is waited for no longer. */
static int64_t first_deadline(const struct engine *engine, enum site_turn turn)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < engine->job->site_count; i++) {
        const struct engine_site *site = &engine->sites[i];
        if (site->turn == turn && site->answer_by < first)
            first = site->answer_by;
    }
    return first;
}

size_t engine_least(const struct engine *engine)
{
    return engine->secagg == NULL ? engine->job->min_sites : engine->secagg->least;
}

/* Ends as soon as nothing more can change the outcome: all have answered, or the quorum is out of reach. */
struct error *engine_await_training(struct engine *engine)
{
    struct error *err = NULL;
    bool given_up = false;
    for (;;) {
        settle_training(engine, given_up);
        size_t training = engine_count_turns(engine, TURN_TRAINING);
        if (training == 0)
            break;
        given_up = engine_count_turns(engine, TURN_TRAINED) + training < engine_least(engine);
        if (!given_up)
            TRY(engine_step(engine, first_deadline(engine, TURN_TRAINING)));
    }
done:
    return err;
}

static struct error *below_quorum(const struct engine *engine, size_t trained)
{
    char list[ERROR_SENTENCE_BYTES] = "";
    size_t used = 0;
    for (size_t i = 0; i < engine->job->site_count && used < sizeof list - 1; i++) {
        const struct site_round *part = &engine->round->sites[i];
        if (part->status == SITE_OK)
            continue;
        int wrote = snprintf(list + used, sizeof list - used, "%s%s (%s): %s", used == 0 ? "" : " ",
                             engine->job->sites[i].name, site_status_word(part->status), part->reason);
        used += wrote < 0 ? 0 : (size_t)wrote;
    }
    return error_new(ERROR_UNAVAILABLE,
                     "Round %u stopped with %zu answer%s, and the job needs %u (federation.min_sites). %s",
                     engine->round->round, trained, trained == 1 ? "" : "s", engine->job->min_sites, list);
}

struct error *engine_keep_model(struct engine *engine)
{
    struct error *err = NULL;
    double *model = calloc(engine->count, sizeof *model);
    if (model == NULL)
        FAIL(ERROR_MEMORY, "No memory for the new global model.");
    memcpy(model, engine->model, engine->count * sizeof *model);
    wire_parameters_write(engine->model, engine->count, engine->model_bytes);
    TRY(digest_of(engine->model_bytes, 8 * engine->count, &engine->round->model_sha256));
    engine->round->model = model;
    model = NULL;
done:
    free(model);
    return err;
}

static struct error *aggregate(struct engine *engine)
{
    struct error *err = NULL;
    size_t trained = 0;
    struct fedavg_update *updates = calloc(engine->job->site_count, sizeof *updates);
    double *model = calloc(engine->count, sizeof *model);
    if (updates == NULL || model == NULL)
        FAIL(ERROR_MEMORY, "No memory for the average of the sites' models.");
    for (size_t i = 0; i < engine->job->site_count; i++) {
        const struct engine_site *site = &engine->sites[i];
        const struct site_round *part = &engine->round->sites[i];
        if (site->turn != TURN_TRAINED)
            continue;
        /* Examples are there when they are the weight; or the rows are. The weights of a private job are in it. */
        uint64_t examples = part->has_examples ? part->examples : 1;
        if (job_private(engine->job))
            examples = site->job_site->examples;
        else if (site->local != NULL)
            examples = local_site_train_rows(site->local);
        updates[trained++] = (struct fedavg_update){.parameters = site->update, .examples = examples};
    }
    TRY(fedavg_aggregate(updates, trained, engine->count, engine->job->weighting, model));
    memcpy(engine->model, model, engine->count * sizeof *model);
    TRY(engine_keep_model(engine));
done:
    free(model);
    free(updates);
    return err;
}

static void settle_evaluations(struct engine *engine)
{
    int64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        if (site->turn != TURN_EVALUATING || site->answer_by > now)
            continue;
        engine_forget(engine, site);
        site->turn = TURN_IDLE;
        engine_tell(engine, ENGINE_WARNING, site,
                    site->held ? "The person there who looks at the evaluation has not decided in time."
                               : "It did not evaluate the new global model in time.");
    }
}

/* The new model's counts on the test rows of every site that answers in time. */
static struct error *evaluate_at_sites(struct engine *engine)
{
    struct error *err = NULL;
    int64_t until = clock_monotonic_ms() + (int64_t)engine->job->round_deadline_s * 1000;
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        if (site->turn != TURN_TRAINED)
            continue;
        engine_await(site, until);
        TRY(engine_ask(engine, site, REQUEST_EVALUATE));
        site->turn = TURN_EVALUATING;
    }
    for (;;) {
        settle_evaluations(engine);
        if (engine_count_turns(engine, TURN_EVALUATING) == 0)
            break;
        TRY(engine_step(engine, first_deadline(engine, TURN_EVALUATING)));
    }
done:
    return err;
}

static struct error *pool_noised(struct engine *engine)
{
    struct error *err = NULL;
    size_t cells = (size_t)engine->record->classes * engine->record->classes;
    uint32_t sites = (uint32_t)engine_count_turns(engine, TURN_EVALUATED);
    double *pooled = NULL;
    if (sites == 0)
        goto done;
    pooled = calloc(cells, sizeof *pooled);
    if (pooled == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    for (size_t i = 0; i < engine->job->site_count; i++)
        for (size_t c = 0; engine->sites[i].turn == TURN_EVALUATED && c < cells; c++)
            pooled[c] += engine->sites[i].noised[c];
    engine->round->pooled_noised = pooled;
    engine->round->pooled_noise = noised_counts_deviation(engine->job, sites);
    engine->round->pooled_sites = sites;
    pooled = NULL;
done:
    free(pooled);
    return err;
}

static struct error *pool(struct engine *engine)
{
    struct error *err = NULL;
    uint64_t *pooled = NULL;
    if (job_private(engine->job))
        return pool_noised(engine);
    if (engine_count_turns(engine, TURN_EVALUATED) == 0)
        goto done;
    pooled = confusion_new(engine->record->classes);
    if (pooled == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    for (size_t i = 0; i < engine->job->site_count; i++)
        if (engine->sites[i].turn == TURN_EVALUATED)
            confusion_add(pooled, engine->sites[i].evaluation, engine->record->classes);
    engine->round->pooled_confusion = pooled;
    pooled = NULL;
done:
    free(pooled);
    return err;
}

struct error *engine_evaluate(struct engine *engine, const double *model, uint64_t **ret_counts)
{
    struct error *err = NULL;
    const struct run_record *record = engine->record;
    uint64_t *counts = NULL;
    if (engine->plan->global_test == NULL)
        goto done;
    counts = confusion_new(record->classes);
    if (counts == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    TRY(evaluate_model(engine->plan->global_test, model, record->model_features, record->classes, counts));
    confusion_sum(counts, record->classes);
    *ret_counts = counts;
    counts = NULL;
done:
    free(counts);
    return err;
}

struct error *engine_evaluate_here(struct engine *engine)
{
    return engine_evaluate(engine, engine->model, &engine->round->global_confusion);
}

static void clear_turns(struct engine *engine)
{
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        free(site->update);
        free(site->evaluation);
        free(site->noised);
        site->update = NULL;
        site->evaluation = NULL;
        site->noised = NULL;
        site->turn = TURN_IDLE;
    }
}

/* Models of long runs of large models would fill the memory: the store has them all. Rounds that failed have
 * none, and must not push out the last one there is. */
void engine_forget_models(struct run_record *record, size_t kept)
{
    for (size_t i = record->round_count; i > 0; i--) {
        struct round_record *round = &record->rounds[i - 1];
        if (round->model == NULL)
            continue;
        if (kept > 0) {
            kept--;
            continue;
        }
        free(round->model);
        round->model = NULL;
    }
}

static struct error *begin(const struct engine *engine, uint32_t round, struct round_record *ret_round)
{
    struct error *err = NULL;
    struct site_round *parts = calloc(engine->job->site_count, sizeof *parts);
    if (parts == NULL)
        FAIL(ERROR_MEMORY, "No memory for a round.");
    for (size_t i = 0; i < engine->job->site_count; i++)
        parts[i].train_accuracy = parts[i].train_seconds = parts[i].epsilon_spent = NAN;
    *ret_round = (struct round_record){.round = round, .sites = parts};
done:
    return err;
}

/* Appends the round to the record, which owns it from then on, and stores it. */
static struct error *keep(struct engine *engine, struct round_record *round)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    TRY(run_spent_settle(record, round, engine->spent));
    struct round_record *rounds = realloc(record->rounds, (record->round_count + 1) * sizeof *rounds);
    if (rounds == NULL)
        FAIL(ERROR_MEMORY, "No memory for a round.");
    record->rounds = rounds;
    round->seconds = (double)(clock_monotonic_ms() - engine->round_started) / 1000.0;
    rounds[record->round_count++] = *round;
    *round = (struct round_record){0};
    TRY(run_store_round(engine->plan->store, record, &rounds[record->round_count - 1]));
    engine_forget_models(record, ENGINE_MODEL_BYTES / (engine->count * sizeof(double)) + 1);
done:
    return err;
}

static struct error *train_at_sites(struct engine *engine)
{
    struct error *err = NULL;
    TRY(start_training(engine));
    TRY(engine_await_training(engine));
done:
    return err;
}

/* Of a private job only in the rounds whose counts it accounts for: others do not leave. */
static bool pays_for_counts(const struct engine *engine)
{
    if (job_private(engine->job))
        return noised_counts_paid(engine->job, engine->round->round);
    return engine->job->metrics != JOB_METRICS_NONE;
}

static struct error *run_round(struct engine *engine)
{
    struct error *err = NULL;
    TRY(engine->record->mock ? engine_mock_train(engine) : train_at_sites(engine));
    size_t trained = engine_count_turns(engine, TURN_TRAINED);
    if (trained < engine->job->min_sites) {
        engine->verdict = RUN_STOPPED;
        err = below_quorum(engine, trained);
        goto done;
    }
    if (engine->record->mock && local_private_sums(engine->job))
        TRY(engine_mock_advance(engine));
    else
        TRY(aggregate(engine));
    if (pays_for_counts(engine)) {
        TRY(engine->record->mock ? engine_mock_evaluate(engine) : evaluate_at_sites(engine));
        TRY(pool(engine));
    }
    TRY(engine_evaluate_here(engine));
done:
    return err;
}

/* A round that fails is kept too, as far as it went, unless a person broke it off. */
struct error *engine_do_round(struct engine *engine, uint32_t number)
{
    struct error *err = NULL;
    struct round_record round = {0};
    TRY(begin(engine, number, &round));
    engine->round = &round;
    engine->round_started = clock_monotonic_ms();
    err = engine->secagg == NULL ? run_round(engine) : engine_secagg_round(engine);
    clear_turns(engine);
    engine->round = NULL;
    if (err == NULL || engine->verdict == RUN_STOPPED) {
        struct error *kept = keep(engine, &round);
        if (err == NULL)
            err = kept;
        else
            error_free(kept);
    }
    if (err == NULL) {
        engine->round = &engine->record->rounds[engine->record->round_count - 1];
        engine_tell_round(engine, ENGINE_ROUND_ENDED, 0);
        engine->round = NULL;
    }
done:
    round_record_clear(&round, engine->job->site_count);
    return err;
}

/* Without it the run lacks the counts of its last model, and nothing else. */
struct error *engine_do_evaluation(struct engine *engine)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    TRY(begin(engine, engine->job->rounds + 1, &record->evaluation));
    engine->round = &record->evaluation;
    engine->round_started = clock_monotonic_ms();
    err = engine_secagg_round(engine);
    clear_turns(engine);
    if (err != NULL && engine->verdict == RUN_STOPPED) {
        engine_tell(engine, ENGINE_WARNING, NULL, err->sentence);
        error_clear(&err);
        engine->verdict = RUN_FAILED;
    }
    TRY(err);
    record->evaluation.seconds = engine_round_seconds(engine);
    TRY(run_spent_settle(record, &record->evaluation, engine->spent));
    TRY(run_store_round(engine->plan->store, record, &record->evaluation));
    if (record->evaluation.masking.contributors > 0)
        engine_tell_round(engine, ENGINE_EVALUATED, 0);
done:
    engine->round = NULL;
    return err;
}
