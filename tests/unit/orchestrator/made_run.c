#include "made_run.h"

#include "../cmocka_all.h"

#include "orchestrator/run_spent.h"
#include "schemas/files.h"

#include <ftw.h>
#include <math.h>
#include <unistd.h>

#define MADE_STARTED 1798859045000 /* 2027-01-02T03:04:05Z */

static char *made_job(uint32_t rounds, const char *const *names, size_t name_count, const char *evaluation,
                      const char *federation)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    bool private = strstr(federation, "privacy") != NULL;
    fprintf(stream,
            "job: made-up\ndataset: toy\nmodel: {kind: softmax-regression}\ntraining: {optimizer: %s}\n"
            "evaluation: {%s}\nfederation: {rounds: %u%s\nexpires: 2027-12-31T00:00:00Z\nsites:\n",
            private ? "sgd" : "lbfgs", evaluation, (unsigned)rounds, federation);
    for (size_t i = 0; i < name_count; i++) {
        fprintf(stream, "  - {name: %s, endpoint: \"tcp://127.0.0.1:%zu\", fingerprint: \"sha256:%064zx\"",
                names[i], 4000 + i, i + 1);
        if (private)
            fprintf(stream, ", examples: %zu", 1000 * (i + 1));
        fputs("}\n", stream);
    }
    assert_int_equal(fclose(stream), 0);
    return text;
}

static uint64_t *made_counts(const struct run_record *record, uint64_t base, uint64_t round, uint64_t more)
{
    uint32_t classes = record->classes;
    uint64_t *counts = confusion_new(classes);
    assert_non_null(counts);
    for (size_t i = 0; i < classes; i++) {
        for (size_t j = 0; j < classes; j++)
            counts[i * classes + j] =
                i == j ? (i == 0 ? 5 : 2) * base + round : (i < j ? 1 : 2) * base - round;
    }
    counts[(size_t)classes * classes - 1] += more;
    confusion_sum(counts, classes);
    return counts;
}

static void made_round(const struct run_record *record, uint32_t number, struct round_record *round)
{
    size_t parameters = run_record_parameters(record);
    *round = (struct round_record){.round = number, .seconds = 0.25 * number};
    round->sites = calloc(record->job->site_count, sizeof *round->sites);
    round->model = calloc(parameters, sizeof *round->model);
    assert_non_null(round->sites);
    assert_non_null(round->model);
    for (size_t i = 0; i < parameters; i++)
        round->model[i] = number + (double)i / 8;
    memset(round->model_sha256.bytes, (int)number, DIGEST_BYTES);
    round->pooled_confusion = made_counts(record, 20, number, 0);
    for (size_t s = 0; s < record->job->site_count; s++) {
        round->sites[s] = (struct site_round){.status = SITE_OK,
                                              .has_examples = true,
                                              .examples = 100 * (s + 1),
                                              .train_accuracy = 0.5 + number / 100.0 + (double)s / 1000,
                                              .train_seconds = 0.125,
                                              .seconds = 0.25,
                                              .epsilon_spent = NAN};
        round->sites[s].confusion = made_counts(record, 10, number, s);
    }
}

static struct run_record *made_record(uint32_t rounds, const char *const *names, size_t name_count,
                                      const char *evaluation, const char *federation, uint64_t features,
                                      uint32_t classes)
{
    struct run_record *record = calloc(1, sizeof *record);
    assert_non_null(record);
    record->job_bytes = (uint8_t *)made_job(rounds, names, name_count, evaluation, federation);
    record->job_byte_count = strlen((char *)record->job_bytes);
    struct error *err =
        job_parse((char *)record->job_bytes, record->job_byte_count, "job.yaml", &record->job);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    assert_null(digest_of(record->job_bytes, record->job_byte_count, &record->job_id));
    for (size_t i = 0; i < RUN_ID_BYTES; i++)
        record->run_id[i] = (uint8_t)(0xa0 + i);
    record->status = RUN_FINISHED;
    record->epsilon = record->epsilon_rdp = record->epsilon_worst = NAN;
    if (features > 0)
        made_fine(run_record_set_shape(record, features, classes, 0, 0));
    record->started_at = MADE_STARTED;
    record->approved_at = MADE_STARTED + 10000;
    record->ended_at = MADE_STARTED + 20000;
    record->rounds = calloc(rounds, sizeof *record->rounds);
    assert_non_null(record->rounds);
    for (uint32_t r = 1; r <= rounds; r++)
        made_round(record, r, &record->rounds[record->round_count++]);
    return record;
}

struct run_record *made_run_of(uint32_t rounds, const char *const *names, size_t name_count,
                               const char *evaluation, uint64_t features, uint32_t classes)
{
    return made_record(rounds, names, name_count, evaluation, ", min_sites: 1}", features, classes);
}

static void made_masked_round(struct round_record *round, uint32_t attempts)
{
    round->masking = (struct round_masking){.attempts = attempts,
                                            .sharers = 4,
                                            .contributors = 3,
                                            .has_examples = true,
                                            .examples = 600 + round->round};
    for (size_t s = 0; s < 4; s++) {
        free(round->sites[s].confusion);
        round->sites[s] = (struct site_round){
            .status = SITE_OK, .train_accuracy = NAN, .train_seconds = NAN, .seconds = 0.25};
    }
    round->sites[2].status = SITE_LATE;
    (void)snprintf(round->sites[2].reason, sizeof round->sites[2].reason, "It was slow.");
}

struct run_record *made_masked_run(uint32_t rounds)
{
    static const char *const names[] = {"Site 1", "Site 2", "Site 3", "Site 4"};
    struct run_record *record =
        made_record(rounds, names, 4, "metrics: pooled", "}\nsecure_aggregation: {enabled: true}",
                    MADE_FEATURES, MADE_CLASSES);
    for (uint32_t r = 0; r < rounds; r++)
        made_masked_round(&record->rounds[r], r + 1);
    made_round(record, rounds + 1, &record->evaluation);
    made_masked_round(&record->evaluation, 1);
    free(record->evaluation.model);
    free(record->evaluation.pooled_confusion);
    record->evaluation.model = NULL;
    record->evaluation.pooled_confusion = NULL;
    record->evaluation.masking.has_examples = false;
    record->evaluation.masking.examples = 0;
    return record;
}

static struct site_receipt *made_receipt(uint32_t round, enum receipt_kind kind)
{
    struct site_receipt *kept = calloc(1, sizeof *kept);
    assert_non_null(kept);
    kept->receipt.round = round;
    kept->receipt.kind = kind;
    kept->receipt.sequence = 2 * round + (kind == RECEIPT_EVALUATION);
    kept->receipt.body_bytes = 64;
    kept->receipt.at = MADE_STARTED / 1000;
    (void)snprintf(kept->receipt.protections, sizeof kept->receipt.protections, "min-rows 1");
    return kept;
}

static void made_private_site(struct run_record *record, struct round_record *round, size_t s)
{
    struct site_round *site = &round->sites[s];
    free(site->confusion);
    *site = (struct site_round){.status = SITE_OK,
                                .has_examples = true,
                                .examples = record->job->sites[s].examples,
                                .train_accuracy = NAN,
                                .train_seconds = NAN,
                                .seconds = 0.25};
    site->update_receipt = made_receipt(round->round, RECEIPT_UPDATE);
    site->evaluation_receipt = made_receipt(round->round, RECEIPT_EVALUATION);
}

static void made_noised(struct round_record *round, uint32_t sites)
{
    free(round->pooled_confusion);
    round->pooled_confusion = NULL;
    round->pooled_noised = calloc((size_t)MADE_CLASSES * MADE_CLASSES, sizeof *round->pooled_noised);
    assert_non_null(round->pooled_noised);
    const double counts[MADE_CLASSES * MADE_CLASSES] = {100.5 + round->round, -2.5, 3.25, 90};
    memcpy(round->pooled_noised, counts, sizeof counts);
    round->pooled_noise = 5 * sqrt(sites);
    round->pooled_sites = sites;
}

static void made_private_round(struct run_record *record, struct round_record *round, struct run_spent *spent)
{
    made_noised(round, 2);
    for (size_t s = 0; s < record->job->site_count; s++)
        made_private_site(record, round, s);
    made_fine(run_spent_settle(record, round, spent));
}

struct run_record *made_private_run(uint32_t rounds, const char *privacy)
{
    static const char *const names[] = {"North", "South"};
    char federation[512];
    struct run_spent spent[2] = {0};
    (void)snprintf(federation, sizeof federation,
                   "}\nprivacy: {%s, clip: 1, delta: 1e-5, metrics_noise: 5, metrics_rounds: all}", privacy);
    struct run_record *record =
        made_record(rounds, names, 2, "metrics: per-site", federation, MADE_FEATURES, MADE_CLASSES);
    made_fine(run_spent_plan(record));
    for (uint32_t r = 0; r < rounds; r++)
        made_private_round(record, &record->rounds[r], spent);
    return record;
}

struct run_record *made_private_masked_run(uint32_t rounds)
{
    static const char *const names[] = {"Site 1", "Site 2", "Site 3", "Site 4"};
    struct run_spent spent[4] = {0};
    struct run_record *record = made_record(
        rounds, names, 4, "metrics: pooled",
        "}\nsecure_aggregation: {enabled: true}\nprivacy: {mechanism: distributed-dp, noise_multiplier: 2, "
        "clip: 1, delta: 1e-5, sampling_rate: 0.05, metrics_noise: 5, metrics_rounds: all}",
        MADE_FEATURES, MADE_CLASSES);
    made_fine(run_spent_plan(record));
    for (uint32_t r = 0; r < rounds; r++) {
        made_masked_round(&record->rounds[r], 1);
        record->rounds[r].masking.has_examples = false;
        made_noised(&record->rounds[r], 3);
        made_fine(run_spent_settle(record, &record->rounds[r], spent));
    }
    return record;
}

struct run_record *made_run(uint32_t rounds)
{
    static const char *const names[] = {"North", "South"};
    return made_run_of(rounds, names, 2, "metrics: per-site", MADE_FEATURES, MADE_CLASSES);
}

char *made_text(const char *path)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    struct error *err = file_read(path, 64 * 1024 * 1024, &data, &bytes);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    return (char *)data;
}

int made_directory(void **state)
{
    char *path = strdup("scratch-XXXXXX");
    if (path == NULL || mkdtemp(path) == NULL)
        return -1;
    *state = path;
    return 0;
}

static int made_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int made_directory_remove(void **state)
{
    int failed = nftw(*state, made_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return failed;
}

char *made_path(const char *directory, const char *name)
{
    char *path = NULL;
    made_fine(path_join(directory, name, &path));
    return path;
}

void made_fine(struct error *err)
{
    if (err != NULL)
        fail_msg("%s", err->sentence);
}

void made_refusal(struct error *err, enum error_code code, const char *text)
{
    assert_non_null(err);
    if (err->code != code || strstr(err->sentence, text) == NULL)
        fail_msg("wanted %s with \"%s\", got %s: %s", error_word(code), text, error_word(err->code),
                 err->sentence);
    error_free(err);
}
