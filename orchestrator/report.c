#include "orchestrator/report.h"

#include "orchestrator/run_receipts.h"
#include "orchestrator/safetensors.h"
#include "orchestrator/statistics.h"
#include "schemas/files.h"

struct error *report_model_write(const struct run_record *record, const char *path)
{
    const struct round_record *round = run_record_last_model(record);
    const double *model = record->averaged;
    const struct digest *sha256 = &record->averaged_sha256;
    char run_id[RUN_ID_HEX_BYTES];
    char job_id[DIGEST_HEX_BYTES];
    char model_sha256[DIGEST_HEX_BYTES];
    char number[16];
    if (round == NULL)
        return error_new(ERROR_NOT_FOUND, "The run has made no model yet: no round of it was aggregated.");
    run_id_format(record->run_id, run_id);
    digest_hex(&record->job_id, job_id);
    if (model == NULL) {
        model = round->model;
        sha256 = &round->model_sha256;
    }
    digest_hex(sha256, model_sha256);
    (void)snprintf(number, sizeof number, "%u", (unsigned)round->round);
    const struct safetensors_note notes[] = {
        {"format", "datasite-1"},
        {"kind", job_model_word(record->job->model)},
        {"features", job_features_word(record->job->features)},
        {"averaged", record->averaged == NULL ? "false" : "true"},
        {"run_id", run_id},
        {"job_id", job_id},
        {"round", number},
        {"dataset", record->job->dataset},
        {"model_sha256", model_sha256},
        {"mock", "true"}, /* last: left out otherwise */
    };
    size_t note_count = sizeof notes / sizeof notes[0] - (record->mock ? 0 : 1);
    return safetensors_write(path, model, record->model_features, record->classes, notes, note_count);
}

static struct error *report_write_model_if_any(const struct run_record *record, const char *directory)
{
    struct error *err = NULL;
    char *path = NULL;
    bool statistics = record->job->model == JOB_FEATURE_STATISTICS;
    if (run_record_last_model(record) == NULL)
        return NULL;
    TRY(path_join(directory, statistics ? "statistics.yaml" : "model.safetensors", &path));
    err = statistics ? statistics_write(record, path) : report_model_write(record, path);
done:
    free(path);
    return err;
}

struct error *report_write(const struct run_record *record, const char *directory)
{
    struct error *err = NULL;
    char *json = NULL;
    char *html = NULL;
    char *rounds = NULL;
    char *confusion = NULL;
    TRY(path_join(directory, "report.json", &json));
    TRY(path_join(directory, "report.html", &html));
    TRY(path_join(directory, "rounds.csv", &rounds));
    TRY(path_join(directory, "confusion.csv", &confusion));
    TRY(directory_make(directory, 0700));
    TRY(report_json_write(record, json));
    TRY(report_csv_write(record, rounds, confusion));
    TRY(report_html_write(record, html));
    TRY(run_receipts_write(record, directory));
    TRY(report_write_model_if_any(record, directory));
done:
    free(json);
    free(html);
    free(rounds);
    free(confusion);
    return err;
}
