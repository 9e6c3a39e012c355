#include "orchestrator/orchestrator_parts.h"

#include "orchestrator/report.h"
#include "orchestrator/run_store.h"
#include "schemas/files.h"

#include <math.h>
#include <unistd.h>

const char *orchestrator_run_id(const struct orchestrator_run *run)
{
    return run->id;
}

const char *orchestrator_run_job_id(const struct orchestrator_run *run)
{
    return run->job_id;
}

const char *orchestrator_run_job_name(const struct orchestrator_run *run)
{
    return run->run.record->job->name;
}

int orchestrator_run_is_mock(const struct orchestrator_run *run)
{
    return run->run.record->mock;
}

const char *orchestrator_run_status(const struct orchestrator_run *run)
{
    return run_status_word(run->run.record->status);
}

const char *orchestrator_run_reason(const struct orchestrator_run *run)
{
    return run->run.record->reason;
}

const char *orchestrator_run_directory(const struct orchestrator_run *run)
{
    return run->run.directory;
}

const char *orchestrator_run_reports(const struct orchestrator_run *run)
{
    return run->run.reports;
}

size_t orchestrator_run_rounds(const struct orchestrator_run *run)
{
    return run->run.record->round_count;
}

size_t orchestrator_run_sites(const struct orchestrator_run *run)
{
    return run->run.record->job->site_count;
}

uint64_t orchestrator_run_features(const struct orchestrator_run *run)
{
    return run->run.record->features;
}

uint32_t orchestrator_run_classes(const struct orchestrator_run *run)
{
    return run->run.record->classes;
}

int orchestrator_run_privacy(const struct orchestrator_run *run, struct orchestrator_privacy *ret_privacy)
{
    const struct run_record *record = run->run.record;
    const struct job_privacy *privacy = &record->job->privacy;
    if (!job_private(record->job))
        return -1;
    *ret_privacy = (struct orchestrator_privacy){
        .mechanism = job_mechanism_word(privacy->mechanism),
        .noise_multiplier = privacy->noise_multiplier,
        .target_epsilon = privacy->target_epsilon > 0 ? privacy->target_epsilon : (double)NAN,
        .epsilon = record->epsilon,
        .delta = privacy->delta};
    return 0;
}

/* NULL for a round that does not exist. */
static const struct round_record *find_round(const struct orchestrator_run *run, size_t round)
{
    const struct run_record *record = run->run.record;
    return round == 0 || round > record->round_count ? NULL : &record->rounds[round - 1];
}

static const struct site_round *find_site(const struct orchestrator_run *run, size_t round, size_t site)
{
    const struct round_record *found = find_round(run, round);
    return found == NULL || site >= run->run.record->job->site_count ? NULL : &found->sites[site];
}

const uint64_t *orchestrator_run_pooled_confusion(const struct orchestrator_run *run, size_t round)
{
    const struct round_record *found = find_round(run, round);
    return found == NULL ? NULL : found->pooled_confusion;
}

const uint64_t *orchestrator_run_global_confusion(const struct orchestrator_run *run, size_t round)
{
    const struct round_record *found = find_round(run, round);
    return found == NULL ? NULL : found->global_confusion;
}

double orchestrator_run_pooled_accuracy(const struct orchestrator_run *run, size_t round)
{
    return confusion_accuracy(orchestrator_run_pooled_confusion(run, round), run->run.record->classes);
}

double orchestrator_run_global_accuracy(const struct orchestrator_run *run, size_t round)
{
    return confusion_accuracy(orchestrator_run_global_confusion(run, round), run->run.record->classes);
}

const char *orchestrator_run_site_status(const struct orchestrator_run *run, size_t round, size_t site)
{
    const struct site_round *found = find_site(run, round, site);
    return found == NULL ? NULL : site_status_word(found->status);
}

double orchestrator_run_site_train_accuracy(const struct orchestrator_run *run, size_t round, size_t site)
{
    const struct site_round *found = find_site(run, round, site);
    return found == NULL ? NAN : found->train_accuracy;
}

double orchestrator_run_site_test_accuracy(const struct orchestrator_run *run, size_t round, size_t site)
{
    const struct site_round *found = find_site(run, round, site);
    return found == NULL ? NAN : confusion_accuracy(found->confusion, run->run.record->classes);
}

const double *orchestrator_run_model(const struct orchestrator_run *run, size_t round)
{
    const struct round_record *found = find_round(run, round);
    return found == NULL ? NULL : found->model;
}

void orchestrator_run_print_round(const struct orchestrator_run *run, FILE *stream)
{
    const struct round_record *last = find_round(run, run->run.record->round_count);
    if (last != NULL)
        report_print_round(stream, run->run.record, last);
}

void orchestrator_run_print_evaluation(const struct orchestrator_run *run, FILE *stream)
{
    const struct round_record *last = find_round(run, run->run.record->round_count);
    if (last != NULL)
        report_print_pooled(stream, run->run.record, last);
}

void orchestrator_run_print_summary(const struct orchestrator_run *run, FILE *stream)
{
    report_print_summary(stream, run->run.record, run->run.reports);
}

void orchestrator_run_name(struct orchestrator_run *run)
{
    run_id_format(run->run.record->run_id, run->id);
    digest_hex(&run->run.record->job_id, run->job_id);
}

/* A run that was read back has reports if they were written beside it. */
static struct error *find_reports(struct orchestrator_run *run)
{
    struct error *err = NULL;
    char *report = NULL;
    TRY(path_join(run->run.directory, "report.html", &report));
    if (access(report, F_OK) == 0 && (run->run.reports = strdup(run->run.directory)) == NULL)
        FAIL(ERROR_MEMORY, "No memory for the run.");
done:
    free(report);
    return err;
}

int orchestrator_run_load(const char *directory, struct orchestrator_run **ret_run,
                          struct orchestrator_failure *failure)
{
    struct error *err = NULL;
    struct orchestrator_run *run = calloc(1, sizeof *run);
    if (run == NULL || (run->run.directory = strdup(directory)) == NULL)
        FAIL(ERROR_MEMORY, "No memory for the run.");
    TRY(run_store_load(directory, &run->run.record));
    TRY(find_reports(run));
    orchestrator_run_name(run);
    *ret_run = run;
    run = NULL;
done:
    orchestrator_run_free(run);
    return orchestrator_report(err, failure);
}

void orchestrator_run_free(struct orchestrator_run *run)
{
    if (run == NULL)
        return;
    run_clear(&run->run);
    free(run);
}
