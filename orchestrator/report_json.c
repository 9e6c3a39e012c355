#include "orchestrator/report_parts.h"
#include "orchestrator/report_privacy.h"

#include "schemas/clock.h"
#include "schemas/files.h"
#include "schemas/text.h"

#include <math.h>

/* Text from elsewhere may not be UTF-8, which JSON has to be. */
static json_t *json_of_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return NULL;
    text_make_printable(copy);
    json_t *value = json_string(copy);
    free(copy);
    return value;
}

/* What was not released is null. */
static json_t *json_of_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Whole milliseconds are all that a duration means. */
static json_t *json_of_seconds(double seconds)
{
    return isfinite(seconds) ? json_real(round(seconds * 1000) / 1000) : json_null();
}

static json_t *json_of_time(int64_t unix_ms)
{
    char text[CLOCK_TEXT_BYTES];
    if (unix_ms == 0)
        return json_null();
    clock_format(unix_ms / 1000, text);
    return json_string(text);
}

static json_t *json_of_digest(const struct digest *digest)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(digest, hex);
    return json_string(hex);
}

static json_t *json_of_count(uint64_t count)
{
    return count == WIRE_WITHHELD ? json_null() : json_integer((json_int_t)count);
}

/* Of how many rows a matrix is. */
static json_t *json_of_rows(const uint64_t *confusion, uint32_t classes)
{
    return confusion == NULL ? json_null() : json_of_count(confusion_rows(confusion, classes));
}

static json_t *json_of_confusion(const uint64_t *counts, uint32_t classes)
{
    if (counts == NULL)
        return json_null();
    json_t *rows = json_array();
    for (size_t i = 0; i < classes; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < classes; j++)
            (void)json_array_append_new(row, json_of_count(counts[i * classes + j]));
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

/* Of the update, or of the masked input; it was verified when it came. The whole of it is in receipts/. */
static json_t *json_of_receipt(const struct site_receipt *kept)
{
    if (kept == NULL)
        return json_null();
    return json_pack("{s:I, s:o, s:o, s:s}", "sequence", (json_int_t)kept->receipt.sequence, "approval",
                     json_of_digest(&kept->receipt.approval), "digest", json_of_digest(&kept->receipt.digest),
                     "protections", kept->receipt.protections);
}

static json_t *json_of_site(const struct run_record *record, size_t position,
                            const struct round_record *round)
{
    const struct site_round *site = &round->sites[position];
    return json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "name",
        json_of_text(record->job->sites[position].name), "status", site_status_word(site->status), "reason",
        json_of_text(report_site_reason(round, position)), "examples",
        site->has_examples ? json_integer((json_int_t)site->examples) : json_null(), "train_accuracy",
        json_of_real(site->train_accuracy), "test_accuracy", json_of_real(report_site_test(record, site)),
        "test_rows", json_of_rows(site->confusion, record->classes), "confusion",
        json_of_confusion(site->confusion, record->classes), "epsilon_spent",
        report_private(record) ? json_of_real(site->epsilon_spent) : json_null(), "train_seconds",
        json_of_seconds(site->train_seconds), "seconds", json_of_seconds(site->seconds), "receipt",
        json_of_receipt(round_receipt(round, position)), "contributed",
        round_used(round, position) && (round->model != NULL || round->masking.contributors > 0));
}

static json_t *json_of_global(const struct run_record *record, const struct round_record *round)
{
    if (round->global_confusion == NULL)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "accuracy",
                     json_of_real(confusion_accuracy(round->global_confusion, record->classes)), "test_rows",
                     json_of_rows(round->global_confusion, record->classes), "confusion",
                     json_of_confusion(round->global_confusion, record->classes));
}

/* What only the sum tells; null in clear. */
static json_t *json_of_masking(const struct round_masking *masking)
{
    if (masking->attempts == 0)
        return json_null();
    return json_pack("{s:i, s:i, s:i, s:o}", "attempts", (int)masking->attempts, "sharers",
                     (int)masking->sharers, "contributors", (int)masking->contributors, "examples",
                     masking->has_examples ? json_integer((json_int_t)masking->examples) : json_null());
}

/* Words of the sum of a round, from which it follows whether sites check it. */
static size_t words_of_sum(const struct run_record *record)
{
    const struct job *job = record->job;
    size_t cells = (size_t)record->classes * record->classes;
    bool counted = job_private(job)
                       ? job->privacy.metrics_noise > 0 && job->privacy.metrics_rounds == JOB_METRICS_ALL
                       : job->metrics != JOB_METRICS_NONE;
    return (job_private(job) ? 0 : 1) + run_record_parameters(record) + (counted ? cells : 0);
}

/* The range of changes is not one of a private job, whose own clip bounds what is summed. */
static json_t *json_of_secure(const struct run_record *record)
{
    const struct job_secure_aggregation *secure = &record->job->secure;
    bool private = job_private(record->job);
    if (!run_record_masked(record))
        return json_null();
    return json_pack("{s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "threshold", (int)secure->threshold,
                     "tolerate_colluding", (int)secure->tolerate_colluding, "ring", (int)secure->ring, "clip",
                     private ? json_null() : json_real(secure->clip), "max_examples",
                     private ? json_null() : json_integer((json_int_t)secure->max_examples), "verify_sum",
                     record->classes == 0 ? json_null()
                                          : json_boolean(job_verifies_sum(record->job, words_of_sum(record))),
                     "quantisation_bound", json_of_real(report_quantisation_bound(record)), "evaluation",
                     json_of_masking(&record->evaluation.masking));
}

static json_t *json_of_round(const struct run_record *record, const struct round_record *round)
{
    json_t *sites = json_array();
    for (size_t i = 0; i < record->job->site_count; i++)
        (void)json_array_append_new(sites, json_of_site(record, i, round));
    return json_pack("{s:i, s:o, s:o, s:{s:o, s:o, s:o, s:o}, s:o, s:o, s:o}", "round", (int)round->round,
                     "seconds", json_of_seconds(round->seconds), "sites", sites, "pooled", "test_accuracy",
                     json_of_real(confusion_accuracy(round->pooled_confusion, record->classes)), "test_rows",
                     json_of_rows(round->pooled_confusion, record->classes), "confusion",
                     json_of_confusion(round->pooled_confusion, record->classes), "noised",
                     report_privacy_counts(record, round), "global_test", json_of_global(record, round),
                     "model_sha256",
                     round->model == NULL ? json_null() : json_of_digest(&round->model_sha256),
                     "secure_aggregation", json_of_masking(&round->masking));
}

/* Shapes are null until the sites have said what their data looks like, and of statistics, which have none. */
static json_t *json_of_model(const struct run_record *record)
{
    json_int_t features = (json_int_t)record->model_features;
    json_int_t classes = (json_int_t)record->classes;
    const char *kind = job_model_word(record->job->model);
    const char *sees = job_features_word(record->job->features);
    if (features == 0 || classes == 0 || record->job->model != JOB_SOFTMAX_REGRESSION)
        return json_pack("{s:s, s:s, s:n, s:n, s:n}", "kind", kind, "features", sees, "shape", "coef_shape",
                         "intercept_shape");
    return json_pack("{s:s, s:s, s:[I, I], s:[I, I], s:[I]}", "kind", kind, "features", sees, "shape",
                     features, classes, "coef_shape", classes, features, "intercept_shape", classes);
}

/* The result of the run where it is not the last round's model. */
static json_t *json_of_averaged(const struct run_record *record)
{
    if (record->averaged == NULL)
        return json_null();
    struct round_record averaged = {.global_confusion = record->averaged_confusion};
    return json_pack("{s:o, s:o}", "model_sha256", json_of_digest(&record->averaged_sha256), "global_test",
                     json_of_global(record, &averaged));
}

static double run_seconds_between(int64_t from, int64_t to)
{
    return from == 0 || to == 0 ? NAN : (double)(to - from) / 1000;
}

static json_t *json_of_timing(const struct run_record *record)
{
    double rounds = 0;
    for (size_t i = 0; i < record->round_count; i++)
        rounds += record->rounds[i].seconds;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "started_at", json_of_time(record->started_at),
                     "approved_at", json_of_time(record->approved_at), "ended_at",
                     json_of_time(record->ended_at), "approval_seconds",
                     json_of_seconds(run_seconds_between(record->started_at, record->approved_at)),
                     "rounds_seconds", json_of_seconds(rounds), "total_seconds",
                     json_of_seconds(run_seconds_between(record->started_at, record->ended_at)));
}

static json_t *json_of_job_sites(const struct job *job)
{
    json_t *sites = json_array();
    for (size_t i = 0; i < job->site_count; i++)
        (void)json_array_append_new(sites, json_pack("{s:o, s:o}", "name", json_of_text(job->sites[i].name),
                                                     "fingerprint", json_of_text(job->sites[i].fingerprint)));
    return sites;
}

/* Everything in front of the rounds. */
static json_t *json_of_head(const struct run_record *record)
{
    char run_id[RUN_ID_HEX_BYTES];
    const struct job *job = record->job;
    run_id_format(record->run_id, run_id);
    return json_pack(
        "{s:i, s:b, s:s, s:o, s:s, s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "version", 1,
        "mock", record->mock, "run_id", run_id, "job_id", json_of_digest(&record->job_id), "status",
        run_status_word(record->status), "reason", json_of_text(record->reason), "job_name",
        json_of_text(job->name), "dataset", json_of_text(job->dataset), "rounds_planned", (int)job->rounds,
        "min_sites", (int)job->min_sites, "features",
        record->features == 0 ? json_null() : json_integer((json_int_t)record->features), "classes",
        record->classes == 0 ? json_null() : json_integer((json_int_t)record->classes), "sites",
        json_of_job_sites(job), "secure_aggregation", json_of_secure(record), "privacy",
        report_privacy_json(record), "averaged", json_of_averaged(record));
}

/* Takes `value`; NULL, which only lack of memory makes, fails. */
static struct error *json_put(FILE *stream, json_t *value, size_t flags)
{
    int failed = value == NULL ? -1 : json_dumpf(value, stream, flags | JSON_ENCODE_ANY);
    json_decref(value);
    if (failed != 0)
        return error_new(ERROR_MEMORY, "There is not enough memory for the report.");
    return NULL;
}

static struct error *json_put_head(FILE *stream, const struct run_record *record)
{
    struct error *err = NULL;
    const char *key = NULL;
    json_t *value = NULL;
    json_t *head = json_of_head(record);
    if (head == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the report.");
    json_object_foreach(head, key, value)
    {
        (void)fprintf(stream, "\"%s\": ", key);
        TRY(json_put(stream, json_incref(value), 0));
        (void)fputs(",\n", stream);
    }
done:
    json_decref(head);
    return err;
}

/* Round by round, so that a long run takes the memory of one round. */
struct error *report_json_text(const struct run_record *record, struct report_text *ret_text)
{
    struct error *err = NULL;
    struct report_text text = {0};
    TRY(report_text_open(&text));
    (void)fputs("{", text.stream);
    TRY(json_put_head(text.stream, record));
    (void)fputs("\"rounds\": [", text.stream);
    for (size_t i = 0; i < record->round_count; i++) {
        (void)fputs(i == 0 ? "\n" : ",\n", text.stream);
        TRY(json_put(text.stream, json_of_round(record, &record->rounds[i]), JSON_COMPACT));
    }
    (void)fputs("],\n\"model\": ", text.stream);
    TRY(json_put(text.stream, json_of_model(record), 0));
    (void)fputs(",\n\"timing\": ", text.stream);
    TRY(json_put(text.stream, json_of_timing(record), 0));
    (void)fputs("}\n", text.stream);
    TRY(report_text_finish(&text));
    *ret_text = text;
    text = (struct report_text){0};
done:
    report_text_clear(&text);
    return err;
}

struct error *report_json_write(const struct run_record *record, const char *path)
{
    struct error *err = NULL;
    struct report_text text = {0};
    TRY(report_json_text(record, &text));
    err = file_write(path, text.bytes, text.count, 0600);
done:
    report_text_clear(&text);
    return err;
}
