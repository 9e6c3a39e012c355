#include "orchestrator/engine_secagg.h"

#include "orchestrator/local_private.h"
#include "schemas/clock.h"

#include <limits.h>

void engine_tell(const struct engine *engine, enum engine_event_kind kind, const struct engine_site *site,
                 const char *sentence)
{
    struct engine_event event = {.kind = kind,
                                 .site = site == NULL ? NULL : site->job_site->name,
                                 .sentence = sentence,
                                 .command = "",
                                 .round = engine->round == NULL ? 0 : engine->round->round};
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}

static struct error *check_stop(struct engine *engine)
{
    const struct engine_plan *plan = engine->plan;
    if (engine->leaving || plan->stop == NULL || !plan->stop(plan->context))
        return NULL;
    return error_new(ERROR_INTERRUPTED, "The run was cancelled.");
}

/* Sites whose poll or second attempt is due. *ret_next: when the next one is, at most `until`. */
static struct error *ask_due(struct engine *engine, int64_t until, int64_t *ret_next)
{
    struct error *err = NULL;
    int64_t now = clock_monotonic_ms();
    int64_t next = until;
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        if (site->ask_at != 0 && site->ask_at <= now)
            TRY(engine_ask(engine, site, site->asked));
        if (site->ask_at != 0 && site->ask_at < next)
            next = site->ask_at;
    }
    *ret_next = next;
done:
    return err;
}

/* Sites answer and never ask: a request from one is told so, once. */
static struct error *take_message(struct engine *engine, const struct session_event *event)
{
    struct error *err = NULL;
    uint8_t *body = NULL;
    size_t count = 0;
    struct engine_site *site = engine_find(engine, &event->peer);
    if (event->answers == 0) {
        struct error *no = error_new(ERROR_UNSUPPORTED, "An orchestrator takes no requests.");
        err = wire_refusal_encode(no, &body, &count);
        error_free(no);
        if (err == NULL)
            err = session_answer(engine->session, &event->peer, event->number,
                                 FDS__MESSAGE_TYPE__MESSAGE_REFUSAL, body, count);
        /* The peer may be gone by now, which is its own loss. */
        error_clear(&err);
    } else if (site != NULL && site->number == event->answers) {
        err = engine_answer(engine, site, event);
    } else if (site != NULL && site->keys.number == event->answers) {
        err = engine_keys_answer(engine, site, event);
    }
    free(body);
    return err;
}

static struct error *take_event(struct engine *engine, const struct session_event *event)
{
    switch (event->kind) {
    case SESSION_UP:
    case SESSION_DOWN:
    case SESSION_REFUSED:
        engine_connection(engine, event);
        break;
    case SESSION_MESSAGE:
        return take_message(engine, event);
    case SESSION_NOTHING:
    case SESSION_WAKE:
        break;
    }
    return NULL;
}

struct error *engine_step(struct engine *engine, int64_t until)
{
    struct error *err = NULL;
    struct session_event event = {0};
    int64_t next = until;
    TRY(check_stop(engine));
    TRY(ask_due(engine, until, &next));
    TRY(engine_keys_tend(engine, &next));
    int64_t wait = next - clock_monotonic_ms();
    if (engine->plan->stop != NULL && wait > ENGINE_STOP_MS)
        wait = ENGINE_STOP_MS;
    if (wait > INT_MAX)
        wait = INT_MAX;
    TRY(session_next(engine->session, wait < 0 ? 0 : (int)wait, &event));
    TRY(take_event(engine, &event));
done:
    session_event_clear(&event);
    return err;
}

/* A site that is not dropped first would be dialled again while the session says goodbye. */
static void engine_close(struct engine *engine)
{
    for (size_t i = 0; engine->session != NULL && i < engine->job->site_count; i++) {
        struct error *undropped = session_drop(engine->session, &engine->sites[i].id);
        error_free(undropped);
    }
    session_close(engine->session);
    engine_secagg_close(engine);
    for (size_t i = 0; engine->sites != NULL && i < engine->job->site_count; i++) {
        free(engine->sites[i].update);
        free(engine->sites[i].evaluation);
        free(engine->sites[i].noised);
        local_site_free(engine->sites[i].local);
    }
    free(engine->sites);
    free(engine->spent);
    local_private_close(engine->trial);
    free(engine->model);
    free(engine->model_bytes);
}

static struct error *engine_open(struct engine *engine)
{
    struct error *err = NULL;
    const struct engine_plan *plan = engine->plan;
    struct session_options options = {.identity = plan->identity,
                                      .name = plan->name,
                                      .directory = plan->socket_directory,
                                      .listen = plan->listen,
                                      .trust = plan->trust,
                                      .wake_fd = plan->wake_fd};
    engine->sites = calloc(engine->job->site_count, sizeof *engine->sites);
    engine->spent = calloc(engine->job->site_count, sizeof *engine->spent);
    if (engine->sites == NULL || engine->spent == NULL)
        FAIL(ERROR_MEMORY, "No memory for the sites of the job.");
    for (size_t i = 0; i < engine->job->site_count; i++) {
        engine->sites[i].job_site = &engine->job->sites[i];
        engine->sites[i].witness = &plan->witnesses[i];
        TRY(site_id_parse(engine->job->sites[i].fingerprint, &engine->sites[i].id));
    }
    if (!engine->record->mock)
        TRY(session_open(&options, &engine->session));
done:
    return err;
}

/* Statistics do not begin anywhere: the one round of their job carries zeros. */
static struct error *first_model(struct engine *engine)
{
    const struct run_record *record = engine->record;
    switch (engine->job->model) {
    case JOB_SOFTMAX_REGRESSION:
        return initial_model_make(engine->plan->initial, record->model_features, record->classes,
                                  &engine->model);
    case JOB_FEATURE_STATISTICS:
        break;
    }
    engine->model = calloc(engine->count, sizeof *engine->model);
    return engine->model == NULL ? error_new(ERROR_MEMORY, "No memory for the statistics.") : NULL;
}

/* The sites have said what their data looks like: now there can be a model. */
static struct error *shape_known(struct engine *engine)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    engine->count = run_record_parameters(record);
    if (engine->plan->global_test != NULL)
        TRY(evaluate_map(engine->plan->global_test, engine->job, record->features, record->classes,
                         record->image_rows, record->image_columns));
    TRY(first_model(engine));
    engine->model_bytes = calloc(engine->count, 8);
    if (engine->model_bytes == NULL)
        FAIL(ERROR_MEMORY, "No memory for the global model.");
    if (record->mock)
        TRY(engine_mock_open(engine));
    record->approved_at = record->mock ? 0 : clock_now_ms();
    TRY(run_store_approved(engine->plan->store, record));
    if (engine->job->secure.enabled && !record->mock)
        TRY(engine_secagg_open(engine));
done:
    return err;
}

static struct error *all_rounds(struct engine *engine)
{
    struct error *err = NULL;
    TRY(engine_open(engine));
    TRY(engine->record->mock ? engine_mock_gather(engine) : engine_gather(engine));
    TRY(shape_known(engine));
    engine->in_rounds = true;
    for (uint32_t round = 1; round <= engine->job->rounds; round++)
        TRY(engine_do_round(engine, round));
    if (engine->secagg != NULL && engine->job->metrics != JOB_METRICS_NONE)
        TRY(engine_do_evaluation(engine));
done:
    return err;
}

static size_t count_farewells(const struct engine *engine)
{
    size_t count = 0;
    for (size_t i = 0; i < engine->job->site_count; i++)
        count += engine->sites[i].asked == REQUEST_END &&
                 (engine->sites[i].number != 0 || engine->sites[i].ask_at != 0);
    return count;
}

/* Tells the sites that took part how the run ended, so that they need not wait for more. Sites that do not
 * hear it lose nothing: their approval covers this run alone. */
static struct error *farewell(struct engine *engine)
{
    struct error *err = NULL;
    int64_t until = clock_monotonic_ms() + ENGINE_FAREWELL_MS;
    engine->leaving = true;
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        engine_forget(engine, site);
        engine_keys_forget(engine, site);
        if (site->phase == PHASE_READY && site->up)
            TRY(engine_ask(engine, site, REQUEST_END));
    }
    while (count_farewells(engine) > 0 && clock_monotonic_ms() < until)
        TRY(engine_step(engine, until));
done:
    return err;
}

static enum run_status status_after(const struct engine *engine, const struct error *err)
{
    if (err == NULL)
        return RUN_FINISHED;
    return err->code == ERROR_INTERRUPTED ? RUN_CANCELLED : engine->verdict;
}

struct error *engine_run(const struct engine_plan *plan)
{
    struct engine engine = {
        .plan = plan, .record = plan->record, .job = plan->record->job, .verdict = RUN_FAILED};
    struct run_record *record = plan->record;
    struct error *err = all_rounds(&engine);
    record->status = status_after(&engine, err);
    engine_set_reason(record->reason, sizeof record->reason, err == NULL ? "" : err->sentence);
    record->ended_at = clock_now_ms();
    if (engine.session != NULL && engine.in_rounds) {
        struct error *unheard = farewell(&engine);
        error_free(unheard);
    }
    engine_close(&engine);
    return err;
}
