#include "orchestrator/run.h"

#include "crypto/secret.h"
#include "orchestrator/job_file.h"
#include "orchestrator/report.h"
#include "orchestrator/run_directory.h"
#include "orchestrator/run_sites.h"
#include "orchestrator/run_spent.h"
#include "orchestrator/witness.h"
#include "schemas/clock.h"
#include "schemas/files.h"

#include <unistd.h>

void run_clear(struct run *run)
{
    run_store_close(run->store);
    initial_model_free(run->initial);
    evaluate_free(run->global_test);
    free(run->witnesses);
    run_record_free(run->record);
    run_out_clear(&run->out);
    free(run->reports);
    free(run->directory);
    *run = (struct run){0};
}

static struct error *check_time(const struct job *job, const char *where)
{
    char when[CLOCK_TEXT_BYTES];
    if (job->expires > clock_now_ms() / 1000)
        return NULL;
    clock_format(job->expires, when);
    return error_new(ERROR_EXPIRED,
                     "%s: The job expired at %s; sites would refuse it. Set a later `expires`.", where, when);
}

/* The record of a run that has not begun: its ids and the job. */
static struct error *new_record(const char *path, struct run_record **ret_record, double *ret_computed_noise)
{
    struct error *err = NULL;
    struct job_file file = {0};
    struct run_record *record = calloc(1, sizeof *record);
    if (record == NULL)
        FAIL(ERROR_MEMORY, "No memory for the record of the run.");
    TRY(job_file_read(path, &file));
    *ret_computed_noise = file.computed_noise;
    record->job_bytes = file.bytes;
    record->job_byte_count = file.count;
    record->job = file.job;
    file = (struct job_file){0};
    TRY(check_time(record->job, path));
    TRY(digest_of(record->job_bytes, record->job_byte_count, &record->job_id));
    TRY(secret_random(record->run_id, sizeof record->run_id));
    TRY(run_spent_plan(record));
    record->status = RUN_RUNNING;
    record->has_receipts = true;
    record->started_at = clock_now_ms();
    *ret_record = record;
    record = NULL;
done:
    job_file_clear(&file);
    run_record_free(record);
    return err;
}

/* A relative path in the job counts from the job file, so that the two can be moved together. */
static struct error *beside_job(const char *job_path, char path[static JOB_PATH_BYTES])
{
    const char *slash = strrchr(job_path, '/');
    char resolved[JOB_PATH_BYTES];
    if (path[0] == '/' || path[0] == '\0' || slash == NULL)
        return NULL;
    int wrote = snprintf(resolved, sizeof resolved, "%.*s/%s", (int)(slash - job_path), job_path, path);
    if (wrote < 0 || (size_t)wrote >= sizeof resolved)
        return error_new(ERROR_LIMIT, "%s: The path of evaluation.global_test is too long.", job_path);
    memcpy(path, resolved, sizeof resolved);
    return NULL;
}

static struct error *open_global_test(const struct job *job, const char *job_path,
                                      struct evaluate **ret_evaluate)
{
    struct error *err = NULL;
    struct job resolved = job_copy(job);
    TRY(beside_job(job_path, resolved.global_test_images));
    if (job->global_test == JOB_GLOBAL_TEST_IDX)
        TRY(beside_job(job_path, resolved.global_test_labels));
    TRY(evaluate_open(&resolved, ret_evaluate));
done:
    return err;
}

/* A record that cannot be made whole leaves nothing. A run on mock data leaves out the sites that another run has. */
static struct error *begin(const struct home *home, struct run *run)
{
    struct error *err = NULL;
    int lock = -1;
    if (!run->record->mock) {
        TRY(run_sites_lock(home, &lock));
        TRY(run_sites_check(home, run->record->job));
    }
    TRY(run_directory_make(home, run->record, &run->directory));
    err = run_store_create(run->directory, run->record, &run->store);
    if (err != NULL)
        run_directory_discard(run->directory);
done:
    if (lock >= 0)
        (void)close(lock);
    return err;
}

struct error *run_prepare(const struct home *home, const struct site_list *list,
                          const struct run_options *options, struct run *ret_run)
{
    struct error *err = NULL;
    struct run run = {0};
    TRY(new_record(options->job_path, &run.record, &run.computed_noise));
    run.record->mock = options->mock;
    TRY(site_list_agree(list, run.record->job, (const char *)run.record->job_bytes, options->job_path));
    TRY(initial_model_open(run.record->job, options->initial_model, &run.initial));
    TRY(open_global_test(run.record->job, options->job_path, &run.global_test));
    if (options->out != NULL)
        TRY(run_out_claim(home, options->out, &run.out));
    TRY(begin(home, &run));
    *ret_run = run;
    run = (struct run){0};
done:
    run_out_abandon(&run.out);
    run_clear(&run);
    return err;
}

static void warn(const void *context, const char *sentence)
{
    const struct engine_plan *plan = context;
    struct engine_event event = {.kind = ENGINE_WARNING, .sentence = sentence, .command = ""};
    if (plan->on_event != NULL)
        plan->on_event(plan->context, &event);
}

/* The first failure of a run is how it ended; those after it are told. */
static void then(const struct engine_plan *plan, struct error **err, struct error *next)
{
    if (*err == NULL) {
        *err = next;
        return;
    }
    if (next != NULL)
        warn(plan, next->sentence);
    error_free(next);
}

static struct error *set_reports(struct run *run, const char *directory)
{
    char *reports = strdup(directory);
    if (reports == NULL)
        return error_new(ERROR_MEMORY, "No memory for the run.");
    free(run->reports);
    run->reports = reports;
    return NULL;
}

static struct error *write_reports(struct run *run, const struct home *home)
{
    char id[RUN_ID_HEX_BYTES];
    struct error *err = report_write(run->record, run->directory);
    if (err == NULL)
        return set_reports(run, run->directory);
    struct error *said = NULL;
    run_id_format(run->record->run_id, id);
    said = error_new(err->code,
                     "No reports could be written: %s Have them written elsewhere with: orchestrator --home "
                     "%s report %.8s "
                     "--out DIR",
                     err->sentence, home->path, id);
    error_free(err);
    return said;
}

/* Also when the record's own reports failed: the copies may be on another disk. */
static struct error *deliver(struct run *run, const struct home *home)
{
    struct error *err = NULL;
    bool delivered = false;
    if (run->out.directory == NULL)
        return NULL;
    err = run_out_deliver(&run->out, home, run->store, run->record, &delivered);
    if (err != NULL) {
        struct error *said =
            error_new(err->code, "%s The run is recorded in %s", err->sentence, run->directory);
        error_free(err);
        return said;
    }
    if (!delivered)
        return error_new(
            ERROR_CONFLICT,
            "%s was left as it is: it holds another run, and this one made no model. This one is "
            "recorded in %s",
            run->out.directory, run->directory);
    return set_reports(run, run->out.directory);
}

/* A witness that cannot be used does not keep the run from beginning: it only shows less. */
static struct error *recall(struct run *run, const struct home *home, const struct engine_plan *plan)
{
    struct error *err = NULL;
    const struct job *job = run->record->job;
    run->witnesses = calloc(job->site_count, sizeof *run->witnesses);
    if (run->witnesses == NULL)
        FAIL(ERROR_MEMORY, "No memory for the receipts of the sites.");
    witness_recover(home, warn, plan);
    for (size_t i = 0; i < job->site_count; i++) {
        struct site_id id;
        TRY(site_id_parse(job->sites[i].fingerprint, &id));
        struct error *unusable = witness_read(home, &id, &run->witnesses[i]);
        if (unusable != NULL)
            warn(plan, unusable->sentence);
        error_free(unusable);
    }
done:
    return err;
}

/* Once a run, and not once a round: until then run.db has them. */
static void remember(const struct run *run, const struct home *home, const struct engine_plan *plan)
{
    for (size_t i = 0; run->witnesses != NULL && i < run->record->job->site_count; i++) {
        if (run->witnesses[i].sequence == 0)
            continue;
        struct error *err = witness_keep(home, &run->witnesses[i]);
        if (err != NULL)
            warn(plan, err->sentence);
        error_free(err);
    }
}

struct error *run_execute(struct run *run, const struct home *home, const struct engine_plan *plan)
{
    struct engine_plan whole = *plan;
    whole.record = run->record;
    whole.store = run->store;
    whole.initial = run->initial;
    whole.global_test = run->global_test;
    struct error *err = recall(run, home, &whole);
    whole.witnesses = run->witnesses;
    if (err == NULL)
        err = engine_run(&whole);
    else
        run->record->status = RUN_FAILED;
    remember(run, home, &whole);
    then(plan, &err, run_store_end(run->store, run->record));
    then(plan, &err, write_reports(run, home));
    then(plan, &err, deliver(run, home));
    return err;
}
