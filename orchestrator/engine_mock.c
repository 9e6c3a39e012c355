/* A run on mock data: each site's synthetic rows are fetched, and its part of every round is done here, as the site
 * would do it. No job is submitted and no step is asked for; the rest of a round is that of any run. There is nothing to
 * hide in synthetic rows, so that a job with secure aggregation is averaged in clear; its record has what that of the
 * real run would have, and no more: nothing of one site. */
#include "orchestrator/engine_parts.h"

#include "orchestrator/local_private.h"
#include "orchestrator/site_catalog.h"
#include "orchestrator/site_probe.h"
#include "schemas/clock.h"

/* ---- fetching ---- */

static struct error *take_mock(void *context, struct site_catalog *catalog,
                               const struct site_dataset *dataset, struct mock_data *mock)
{
    struct engine *engine = context;
    size_t position = 0;
    while (strcmp(engine->job->sites[position].fingerprint, catalog->site->fingerprint) != 0)
        position++;
    return local_site_open(mock, engine->job, (uint32_t)position, dataset->schema->image_rows,
                           dataset->schema->image_columns, &engine->sites[position].local);
}

static bool stopped(void *context)
{
    const struct engine *engine = context;
    return engine->plan->stop != NULL && engine->plan->stop(engine->plan->context);
}

/* Why the site has no mock rows for us. */
static void say_why(const struct engine *engine, const struct site_catalog *catalog,
                    char ret_reason[static 512])
{
    const char *name = engine->job->dataset;
    const struct site_dataset *dataset = site_catalog_find(catalog, name);
    if (catalog->in_run)
        (void)snprintf(ret_reason, 512,
                       "It was not asked, because another run of this home goes on with it.");
    else if (!catalog->answered)
        (void)snprintf(ret_reason, 512, "%s", catalog->reason);
    else if (dataset == NULL)
        (void)snprintf(
            ret_reason, 512,
            "It tells us of no dataset \"%s\"; if it has one, its owner could type: datasite mock make %s",
            name, name);
    else if (dataset->schema->mock_rows == 0)
        (void)snprintf(ret_reason, 512,
                       "It has no mock dataset of \"%s\"; its owner would type: datasite mock make %s", name,
                       name);
    else
        (void)snprintf(ret_reason, 512, "%s", dataset->reason);
}

/* The first site says what the model looks like. */
static struct error *agree_on_shape(struct engine *engine, const struct local_site *local)
{
    struct run_record *record = engine->record;
    uint64_t features = local_site_features(local);
    uint32_t classes = local_site_classes(local), rows = 0, columns = 0;
    local_site_image(local, &rows, &columns);
    if (record->features == 0)
        return run_record_set_shape(record, features, classes, rows, columns);
    if (record->features != features || record->classes != classes)
        return error_new(
            ERROR_INVALID, "Its mock dataset has %llu features and %u classes, that of others %llu and %u.",
            (unsigned long long)features, classes, (unsigned long long)record->features, record->classes);
    if (record->job->features == JOB_FEATURES_HOG &&
        (record->image_rows != rows || record->image_columns != columns))
        return error_new(ERROR_INVALID,
                         "Its mock images are of %u by %u pixels, those of others of %u by %u.", rows,
                         columns, record->image_rows, record->image_columns);
    return NULL;
}

/* Another shape is out. */
static void settle_site(struct engine *engine, struct engine_site *site, const struct site_catalog *catalog)
{
    char reason[512];
    if (site->local == NULL) {
        say_why(engine, catalog, reason);
        engine_site_out(engine, site, reason);
        return;
    }
    struct error *err = agree_on_shape(engine, site->local);
    if (err != NULL) {
        engine_site_out(engine, site, err->sentence);
        error_free(err);
        return;
    }
    site->phase = PHASE_READY;
    site->up = true;
}

static struct error *too_few(const struct engine *engine, size_t ready)
{
    char list[ERROR_SENTENCE_BYTES] = "";
    size_t used = 0;
    for (size_t i = 0; i < engine->job->site_count && used < sizeof list - 1; i++) {
        const struct engine_site *site = &engine->sites[i];
        if (site->phase == PHASE_READY)
            continue;
        int wrote = snprintf(list + used, sizeof list - used, " %s: %s", site->job_site->name, site->reason);
        used += wrote < 0 ? 0 : (size_t)wrote;
    }
    return error_new(ERROR_UNAVAILABLE,
                     "%zu of the job's sites gave mock data, and the job needs %u (federation.min_sites).%s",
                     ready, engine->job->min_sites, list);
}

static struct error *settle_sites(struct engine *engine, const struct site_catalog *catalogs)
{
    size_t ready = 0;
    for (size_t i = 0; i < engine->job->site_count; i++) {
        settle_site(engine, &engine->sites[i], &catalogs[i]);
        ready += engine->sites[i].phase == PHASE_READY;
    }
    if (ready >= engine->job->min_sites)
        return NULL;
    engine->verdict = RUN_STOPPED;
    return too_few(engine, ready);
}

static struct error *fetch(struct engine *engine, struct site_catalog *catalogs)
{
    struct error *err = NULL;
    const struct engine_plan *plan = engine->plan;
    struct session *session = NULL;
    struct session_options options = {.identity = plan->identity,
                                      .name = plan->name,
                                      .directory = plan->socket_directory,
                                      .listen = plan->listen,
                                      .trust = plan->trust,
                                      .wake_fd = -1};
    struct site_catalog_plan what = {.connect_ms = (int)plan->connect_ms,
                                     .deadline_ms = (int)plan->connect_ms + SITE_CATALOG_FETCH_MS,
                                     .dataset = engine->job->dataset,
                                     .on_mock = take_mock,
                                     .stop = stopped,
                                     .context = engine};
    TRY(site_probe_open(&options, &session));
    TRY(site_catalog_all(session, &what, catalogs, engine->job->site_count));
done:
    session_close(session);
    return err;
}

struct error *engine_mock_gather(struct engine *engine)
{
    struct error *err = NULL;
    size_t count = engine->job->site_count;
    struct site_catalog *catalogs = calloc(count, sizeof *catalogs);
    if (catalogs == NULL)
        FAIL(ERROR_MEMORY, "No memory for the sites of the job.");
    for (size_t i = 0; i < count; i++) {
        catalogs[i].site = engine->sites[i].job_site;
        catalogs[i].in_run = engine->plan->in_run != NULL && engine->plan->in_run[i];
    }
    TRY(fetch(engine, catalogs));
    TRY(settle_sites(engine, catalogs));
done:
    for (size_t i = 0; catalogs != NULL && i < count; i++)
        site_catalog_clear(&catalogs[i]);
    free(catalogs);
    return err;
}

/* ---- training ---- */

/* What ends a local training before its time. */
struct patience {
    const struct engine *engine;
    int64_t until;
    bool late, cancelled;
};

static bool keep_going(void *context, uint32_t done, uint32_t total, double loss)
{
    struct patience *patience = context;
    (void)done;
    (void)total;
    (void)loss;
    patience->cancelled = stopped((void *)(uintptr_t)patience->engine);
    patience->late = clock_monotonic_ms() >= patience->until;
    return !patience->cancelled && !patience->late;
}

static struct error *measure(struct engine *engine, const struct engine_site *site, struct site_round *part)
{
    struct error *err = NULL;
    uint32_t classes = engine->record->classes;
    uint64_t *counts = confusion_new(classes);
    if (counts == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    TRY(local_site_count(site->local, false, site->update, counts));
    confusion_sum(counts, classes);
    part->train_accuracy = confusion_accuracy(counts, classes);
    TRY(local_site_count(site->local, true, site->update, counts));
    confusion_sum(counts, classes);
    part->confusion = counts;
    counts = NULL;
done:
    free(counts);
    return err;
}

struct error *engine_mock_open(struct engine *engine)
{
    if (!job_private(engine->job) && engine->job->model == JOB_SOFTMAX_REGRESSION)
        return NULL;
    return local_private_open(engine->job, engine->count, &engine->trial);
}

/* What the site's Update would have, or its part of the sum. */
static struct error *train_rows(struct engine *engine, struct engine_site *site,
                                const struct training_progress *progress)
{
    size_t position = (size_t)(site - engine->sites);
    struct training_result result;
    if (engine->trial == NULL)
        return local_site_train(site->local, engine->round->round, engine->model, progress, site->update,
                                &result);
    if (local_private_sums(engine->job))
        return local_private_contribute(engine->trial, site->local, engine->model);
    return local_private_train(engine->trial, site->local, position, engine->round->round, engine->model,
                               progress, site->update);
}

static struct error *train_site(struct engine *engine, struct engine_site *site)
{
    struct error *err = NULL;
    struct site_round *part = engine_site_round(engine, site);
    int64_t start = clock_monotonic_ms();
    struct patience patience = {.engine = engine,
                                .until = start + (int64_t)engine->job->round_deadline_s * 1000};
    struct training_progress progress = {keep_going, &patience};
    site->update = calloc(engine->count, sizeof *site->update);
    if (site->update == NULL)
        FAIL(ERROR_MEMORY, "No memory for the model of a site.");
    TRY(train_rows(engine, site, &progress));
    if (patience.cancelled)
        FAIL(ERROR_INTERRUPTED, "The run was cancelled.");
    if (patience.late)
        FAIL(ERROR_DEADLINE, "It did not finish within the round's %u s.", engine->job->round_deadline_s);
    if (!engine->job->secure.enabled && !job_private(engine->job))
        part->train_seconds = (double)(clock_monotonic_ms() - start) / 1000;
    if (engine->job->metrics == JOB_METRICS_PER_SITE && !job_private(engine->job))
        TRY(measure(engine, site, part));
    part->status = SITE_OK;
    part->reason[0] = '\0';
    part->has_examples = !engine->job->secure.enabled;
    part->examples = !part->has_examples        ? 0
                     : job_private(engine->job) ? site->job_site->examples
                                                : local_site_train_rows(site->local);
    part->seconds = engine_round_seconds(engine);
    site->turn = TURN_TRAINED;
done:
    return err;
}

/* How a site's training fails is its own affair, as in any run. */
static struct error *train_or_miss(struct engine *engine, struct engine_site *site)
{
    struct error *err = train_site(engine, site);
    if (err == NULL) {
        engine_tell_answered(engine, site);
        return NULL;
    }
    if (err->code == ERROR_INTERRUPTED || err->code == ERROR_MEMORY)
        return err;
    engine_missed(engine, site, err->code == ERROR_DEADLINE ? SITE_LATE : SITE_FAILED, err->sentence);
    error_free(err);
    return NULL;
}

struct error *engine_mock_train(struct engine *engine)
{
    struct error *err = NULL;
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        struct site_round *part = engine_site_round(engine, site);
        site->turn = site->phase == PHASE_READY ? TURN_TRAINING : TURN_IDLE;
        part->status = SITE_DROPPED;
        engine_set_reason(part->reason, sizeof part->reason, site->reason);
    }
    engine_tell_round(engine, ENGINE_ROUND_STARTED, engine_count_turns(engine, TURN_TRAINING));
    for (size_t i = 0; i < engine->job->site_count; i++)
        if (engine->sites[i].turn == TURN_TRAINING)
            TRY(train_or_miss(engine, &engine->sites[i]));
done:
    return err;
}

static struct error *keep_averaged(struct engine *engine)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    const double *average = local_private_average(engine->trial);
    if (average == NULL || engine->round->round != engine->job->rounds)
        goto done;
    record->averaged = calloc(engine->count, sizeof *record->averaged);
    if (record->averaged == NULL)
        FAIL(ERROR_MEMORY, "No memory for the mean of the last models.");
    memcpy(record->averaged, average, engine->count * sizeof *average);
    wire_parameters_write(average, engine->count, engine->model_bytes);
    TRY(digest_of(engine->model_bytes, 8 * engine->count, &record->averaged_sha256));
    TRY(engine_evaluate(engine, average, &record->averaged_confusion));
done:
    return err;
}

struct error *engine_mock_advance(struct engine *engine)
{
    struct error *err = NULL;
    const struct local_site *any = NULL;
    for (size_t i = 0; i < engine->job->site_count && any == NULL; i++)
        any = engine->sites[i].local;
    TRY(local_private_advance(engine->trial, any, engine->round->round, engine->model));
    TRY(softmax_check_parameters(engine->model, engine->count));
    TRY(engine_keep_model(engine));
    TRY(keep_averaged(engine));
done:
    return err;
}

static struct error *count_noised(struct engine *engine, struct engine_site *site)
{
    struct error *err = NULL;
    uint32_t classes = engine->record->classes;
    site->noised = calloc((size_t)classes * classes, sizeof *site->noised);
    if (site->noised == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    TRY(local_private_count(engine->trial, site->local, engine->model, site->noised));
    site->turn = TURN_EVALUATED;
done:
    return err;
}

/* The new model's counts on the test rows of every site that has trained. */
struct error *engine_mock_evaluate(struct engine *engine)
{
    struct error *err = NULL;
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        if (site->turn != TURN_TRAINED)
            continue;
        if (job_private(engine->job)) {
            TRY(count_noised(engine, site));
            continue;
        }
        site->evaluation = confusion_new(engine->record->classes);
        if (site->evaluation == NULL)
            FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
        TRY(local_site_count(site->local, true, engine->model, site->evaluation));
        confusion_sum(site->evaluation, engine->record->classes);
        site->turn = TURN_EVALUATED;
    }
done:
    return err;
}
