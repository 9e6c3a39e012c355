#include "console/terminal.h"
#include "console/verbs.h"
#include "datasite/desk.h"
#include "datasite/held.h"
#include "schemas/clock.h"
#include "schemas/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>

extern const struct verb verb_held;

#define HELD_LABEL "%-11s"

static struct {
    bool json;
} held_given;

static const struct option *held_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &held_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

/* Where the looks go: printed one by one, or collected. */
struct held_desk {
    const struct invocation *invocation;
    struct store *store;
    json_t *array; /* NULL: print */
};

/* ---- text ---- */

static void held_print_head(const struct held_look *look, const struct job_record *record,
                            const struct job *job)
{
    const struct answer *answer = &look->answer;
    char id[DESK_ID_BYTES], run[HELD_RUN_BYTES], name[2 * sizeof(record->requester_name)];
    char when[CLOCK_TEXT_BYTES];
    desk_id(&record->id, id);
    held_run_hex(answer->run_id, run);
    terminal_clean(record->requester_name, name, sizeof(name));
    clock_format(answer->at, when);
    (void)printf("%sJob %s \"%.58s\"%s\n", terminal_style(stdout, STYLE_BOLD), id, job->name,
                 terminal_style(stdout, STYLE_PLAIN));
    (void)printf(HELD_LABEL "the %s of round %" PRIu32 " waits for you\n", "Held",
                 held_kind_word(answer->kind), answer->round);
    (void)printf(HELD_LABEL "%s\n", "Asked by", name);
    (void)printf(HELD_LABEL "%s; held since %s\n", "Run", run, when);
}

static void held_print_top(const struct held_look *look)
{
    for (size_t i = 0; i < look->top_count; i++) {
        char class_name[2 * HELD_CLASS_BYTES], feature[2 * HELD_FEATURE_BYTES];
        terminal_clean(look->top[i].class_name, class_name, sizeof(class_name));
        terminal_clean(look->top[i].feature_name, feature, sizeof(feature));
        (void)printf(HELD_LABEL "%+.6g for class %.16s, %.28s\n", i == 0 ? "Largest" : "", look->top[i].value,
                     class_name, feature);
    }
}

static void held_print_update(const struct held_look *look)
{
    (void)printf(HELD_LABEL "%zu numbers: %" PRIu32 " classes of %" PRIu64 " coefficients and an intercept\n",
                 "Shape", look->count, look->classes, look->features);
    (void)printf(HELD_LABEL "%.6g moved from the model that came in, %.6g of the parameters\n", "L2 norm",
                 look->answer.update_norm, look->norm);
    (void)printf(HELD_LABEL "%.6g to %.6g\n", "Range", look->lowest, look->highest);
    held_print_top(look);
    if (look->has_previous)
        (void)printf(HELD_LABEL "the last release of this job (round %" PRIu32
                                ") is %.6g away, cosine %.6f\n",
                     "Before", look->previous_round, look->difference_norm, look->cosine);
    else
        (void)printf(HELD_LABEL "this would be the first release of this job\n", "Before");
    if (look->has_examples)
        (void)printf(HELD_LABEL "trained on %" PRIu64 " rows\n", "Examples", look->examples);
    else
        (void)printf(HELD_LABEL "their number does not leave\n", "Examples");
}

/* "1234 of 1300 right (94.92 %)", or that it is withheld. */
static void held_print_metrics(const struct held_look *look)
{
    if (look->has_accuracy)
        (void)printf(HELD_LABEL "%.2f %% on the training rows\n", "Accuracy", 100 * look->train_accuracy);
    if (look->noised > 0)
        (void)printf(HELD_LABEL "%" PRIu64 " of the test rows, each with noise\n", "Counts", look->noised);
    else if (look->test_rows == 0)
        (void)printf(HELD_LABEL "none leaves\n", "Counts");
    else if (look->test_rows == WIRE_WITHHELD || look->correct == WIRE_WITHHELD)
        (void)printf(HELD_LABEL "how many test rows are right is withheld\n", "Counts");
    else
        (void)printf(HELD_LABEL "%" PRIu64 " of %" PRIu64 " test rows right (%.2f %%)\n", "Counts",
                     look->correct, look->test_rows, 100.0 * (double)look->correct / (double)look->test_rows);
    if (look->cells > 0)
        (void)printf(HELD_LABEL "confusion matrix of %" PRIu64 " cells, %" PRIu64 " of them withheld\n", "",
                     look->cells, look->withheld);
}

static void held_print(const struct held_desk *desk, const struct held_look *look,
                       const struct job_record *record, const struct job *job)
{
    const struct answer *answer = &look->answer;
    const char *kind = held_kind_word(answer->kind);
    char id[DESK_ID_BYTES];
    desk_id(&record->id, id);
    held_print_head(look, record, job);
    if (answer->kind == ANSWER_UPDATE)
        held_print_update(look);
    held_print_metrics(look);
    (void)printf(HELD_LABEL "%s\n", "Protected", answer->protections);
    (void)printf(HELD_LABEL "%s release %s %" PRIu32 " --kind %s\n", "To release", desk->invocation->program,
                 id, answer->round, kind);
    (void)printf(HELD_LABEL "%s release %s %" PRIu32 " --kind %s --refuse\n", "To refuse",
                 desk->invocation->program, id, answer->round, kind);
}

/* ---- JSON ---- */

static json_t *held_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *held_count(uint64_t value)
{
    return value == WIRE_WITHHELD ? json_null() : json_integer((json_int_t)value);
}

static json_t *held_json_top(const struct held_look *look)
{
    json_t *array = json_array();
    for (size_t i = 0; i < look->top_count; i++) {
        char class_name[2 * HELD_CLASS_BYTES], feature[2 * HELD_FEATURE_BYTES];
        terminal_clean(look->top[i].class_name, class_name, sizeof(class_name));
        terminal_clean(look->top[i].feature_name, feature, sizeof(feature));
        (void)json_array_append_new(array, json_pack("{s:f, s:s, s:s}", "value", look->top[i].value, "class",
                                                     class_name, "feature", feature));
    }
    return array;
}

static json_t *held_json_previous(const struct held_look *look)
{
    if (!look->has_previous)
        return json_null();
    return json_pack("{s:I, s:f, s:o}", "round", (json_int_t)look->previous_round, "difference_norm",
                     look->difference_norm, "cosine", held_real(look->cosine));
}

static json_t *held_json_update(const struct held_look *look)
{
    if (look->answer.kind != ANSWER_UPDATE)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:o, s:f, s:f, s:f, s:o, s:o, s:o}", "classes",
                     (json_int_t)look->classes, "features", (json_int_t)look->features, "coefficients",
                     (json_int_t)look->count, "update_norm", held_real(look->answer.update_norm), "norm",
                     look->norm, "lowest", look->lowest, "highest", look->highest, "largest",
                     held_json_top(look), "examples",
                     held_count(look->has_examples ? look->examples : WIRE_WITHHELD), "previous",
                     held_json_previous(look));
}

static struct error *held_json(const struct held_look *look, const struct job_record *record,
                               const struct job *job, json_t *array)
{
    char hex[DIGEST_HEX_BYTES], run[HELD_RUN_BYTES], requester[FINGERPRINT_BYTES], at[CLOCK_TEXT_BYTES];
    char name[2 * sizeof(record->requester_name)];
    digest_hex(&record->id, hex);
    held_run_hex(look->answer.run_id, run);
    site_id_format(&record->requester, requester);
    terminal_clean(record->requester_name, name, sizeof(name));
    clock_format(look->answer.at, at);
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:s}",
                  "job_id", hex, "name", job->name, "requester", requester, "requester_name", name, "run_id",
                  run, "round", (json_int_t)look->answer.round, "kind", held_kind_word(look->answer.kind),
                  "held_at", at, "bytes", (json_int_t)look->body_bytes, "update", held_json_update(look),
                  "train_accuracy", look->has_accuracy ? held_real(look->train_accuracy) : json_null(),
                  "test_rows", held_count(look->test_rows), "correct", held_count(look->correct),
                  "confusion_cells", (json_int_t)look->cells, "cells_withheld", (json_int_t)look->withheld,
                  "noised_counts", (json_int_t)look->noised, "protections", look->answer.protections);
    if (row == NULL || json_array_append_new(array, row) != 0)
        return error_new(ERROR_MEMORY, "There is not enough memory for the list of what is held.");
    return NULL;
}

/* ---- both ---- */

static struct error *held_show(const struct held_desk *desk, const struct answer *listed)
{
    struct error *err = NULL;
    struct job_record record = {.bytes = NULL};
    struct job *job = NULL;
    struct dataset_info dataset;
    struct held_look look;
    TRY(store_job_find(desk->store, &listed->job_id, &record));
    TRY(job_parse((const char *)record.bytes, record.byte_count, "the stored job", &job));
    TRY(store_dataset_find(desk->store, job->dataset, &dataset));
    TRY(held_look(desk->store, listed, job, &dataset, &look));
    if (desk->array != NULL)
        TRY(held_json(&look, &record, job, desk->array));
    else
        held_print(desk, &look, &record, job);
done:
    job_free(job);
    job_record_clear(&record);
    return err;
}

static struct error *held_list(const struct held_desk *desk, const struct digest *job_id)
{
    struct error *err = NULL;
    struct answer *answers = NULL;
    size_t count = 0;
    TRY(store_held(desk->store, job_id, &answers, &count));
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && desk->array == NULL)
            (void)putchar('\n');
        TRY(held_show(desk, &answers[i]));
    }
    if (count == 0 && desk->array == NULL)
        (void)printf(
            "Nothing waits for you to look at it. `%s approve JOB_ID --hold first` makes answers wait.\n",
            desk->invocation->program);
done:
    answers_free(answers, count);
    return err;
}

static struct error *held_write_json(json_t *array)
{
    struct error *err = NULL;
    json_t *document = json_pack("{s:i, s:O}", "version", 1, "held", array);
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of what is held.");
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The list cannot be written");
done:
    json_decref(document);
    return err;
}

static struct error *held_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct held_desk desk = {.invocation = invocation};
    struct job_record record = {.bytes = NULL};
    bool one = invocation->argument_count > 0;
    TRY(home_open(invocation->home, &home));
    TRY(store_open(home->database_path, STORE_READ, &desk.store));
    if (one)
        TRY(store_job_find_prefix(desk.store, invocation->arguments[0], &record));
    if (held_given.json)
        desk.array = json_array();
    TRY(store_snapshot(desk.store));
    TRY(held_list(&desk, one ? &record.id : NULL));
    if (held_given.json)
        TRY(held_write_json(desk.array));
done:
    if (desk.store != NULL)
        store_snapshot_end(desk.store);
    json_decref(desk.array);
    job_record_clear(&record);
    store_close(desk.store);
    home_free(home);
    return err;
}

const struct verb verb_held = {
    .name = "held",
    .summary = "Look at numbers that wait for you before they leave",
    .arguments = "[JOB_ID]",
    .detail = "For each answer that is held: its shape, norms, range and largest coefficients, how it "
              "differs from the\n"
              "job's last release, the metrics as they would leave, and the two commands to type. Answers "
              "are held\n"
              "because the approval says so (`datasite approve JOB_ID --hold first`).\n\n"
              "Example:\n"
              "  datasite held 1f2e3d4c5b6a",
    .maximum_arguments = 1,
    .options = held_options,
    .run = held_run,
};
