#include "tests/unit/datasite/spender.h"

#include "datasite/store_internal.h"

#include <math.h>

#define FEATURES 3
#define JOB_BYTES 2048

void spender_resume(struct spender *spender)
{
    spender->store = workspace_store(spender->workspace);
}

void spender_pause(struct spender *spender)
{
    store_close(spender->store);
    spender->store = NULL;
}

int spender_make(void **state)
{
    struct spender *spender = calloc(1, sizeof(*spender));
    void *workspace = NULL;
    if (spender == NULL || workspace_make(&workspace) != 0)
        return -1;
    spender->workspace = workspace;
    spender_resume(spender);
    spender_import_range(spender, "made", 0, SPENDER_ROWS);
    *state = spender;
    return 0;
}

int spender_remove(void **state)
{
    struct spender *spender = *state;
    void *workspace = spender->workspace;
    store_close(spender->store);
    free(spender);
    return workspace_remove(&workspace);
}

/* ---- data ---- */

void spender_import(struct spender *spender, const char *name, const uint32_t *numbers, size_t count)
{
    static const uint8_t split_key[32] = {2, 7, 1};
    struct dataset_info info = {.kind = DATASET_NUMBERS,
                                .rows = count,
                                .features = FEATURES,
                                .classes = 2,
                                .imported_at = SPENDER_NOW};
    struct dataset_writer *writer = NULL;
    (void)snprintf(info.name, sizeof(info.name), "%s", name);
    (void)snprintf(info.source, sizeof(info.source), "made for tests");
    must(dataset_writer_start(spender->store, &info, NULL, NULL, split_key, &writer));
    for (size_t i = 0; i < count; i++) {
        double row[FEATURES];
        uint32_t label = numbers[i] % 2;
        for (size_t j = 0; j < FEATURES; j++)
            row[j] = sin((double)(numbers[i] * FEATURES + j) * 1.3);
        must(dataset_writer_add(writer, row, &label, 1));
    }
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
}

void spender_import_range(struct spender *spender, const char *name, uint32_t first, size_t count)
{
    uint32_t *numbers = calloc(count, sizeof(*numbers));
    assert_non_null(numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] = first + (uint32_t)i;
    spender_import(spender, name, numbers, count);
    free(numbers);
}

struct dataset_info spender_dataset(struct spender *spender, const char *name)
{
    struct dataset_info info;
    must(store_dataset_find(spender->store, name, &info));
    return info;
}

struct budget_state spender_state(struct spender *spender, const char *dataset)
{
    struct budget_state state;
    must(budget_state(spender->store, spender->workspace->identity, spender_dataset(spender, dataset).id,
                      &state));
    return state;
}

void spender_set(struct spender *spender, const char *dataset, double epsilon, double delta,
                 enum budget_filter filter)
{
    struct budget_cap cap = {epsilon, delta, filter};
    must(budget_set(spender->store, spender->workspace->identity, dataset, &cap, SPENDER_NOW));
}

/* ---- jobs ---- */

static double or_else(double value, double otherwise)
{
    return value > 0 ? value : otherwise;
}

static void job_text(struct spender *spender, const struct spender_words *words,
                     char ret_text[static JOB_BYTES])
{
    char own[FINGERPRINT_BYTES], sampling[64] = "", metrics[96] = "";
    const char *mechanism = words->mechanism == NULL ? "dp-sgd" : words->mechanism;
    bool site_level = strcmp(mechanism, "site-level") == 0;
    site_id_format(identity_id(spender->workspace->identity), own);
    if (!site_level)
        (void)snprintf(sampling, sizeof(sampling), ", sampling_rate: %.17g, steps: %u",
                       or_else(words->rate, 0.01), words->steps == 0 ? 1 : words->steps);
    if (words->metrics_noise > 0)
        (void)snprintf(metrics, sizeof(metrics), ", metrics_noise: %.17g, metrics_rounds: %s",
                       words->metrics_noise, words->metrics_all ? "all" : "last");
    int length = snprintf(
        ret_text, JOB_BYTES,
        "job: spends-%u\ndataset: %s\nmodel: {kind: softmax-regression}\ntraining: {optimizer: sgd%s}\n"
        "evaluation: {metrics: %s}\nfederation: {rounds: %u, min_sites: 1}\n"
        "privacy: {mechanism: %s, clip: 1, noise_multiplier: %.17g, delta: %.17g%s%s}\n"
        "expires: 2027-01-31T00:00:00Z\nsites:\n  - {name: site, fingerprint: \"%s\", examples: 40}\n",
        ++spender->jobs, words->dataset == NULL ? "made" : words->dataset, "",
        words->metrics_noise > 0 ? "per-site" : "none", words->rounds == 0 ? 1 : words->rounds, mechanism,
        or_else(words->noise, 1), or_else(words->delta, 1e-6), sampling, metrics, own);
    assert_true(length > 0 && length < JOB_BYTES);
}

struct job *spender_job(struct spender *spender, const struct spender_words *words)
{
    char text[JOB_BYTES];
    struct job *job = NULL;
    job_text(spender, words, text);
    must(job_parse(text, strlen(text), "the job", &job));
    return job;
}

struct budget_offer spender_offer(struct spender *spender, const struct spender_words *words)
{
    struct job *job = spender_job(spender, words);
    struct dataset_info dataset = spender_dataset(spender, job->dataset);
    struct budget_offer offer;
    must(budget_offer(spender->store, spender->workspace->identity, job, &dataset, BUDGET_SEARCH_WHOLE,
                      &offer));
    job_free(job);
    return offer;
}

static void approval_store(struct spender *spender, struct approval *approval, uint32_t runs)
{
    struct policy_limits limits = {1000, 1000, 1000, 100000};
    struct job_quota quota = {.limits = &limits};
    bool is_new = false;
    must(store_job_add(spender->store, &approval->record, &quota, &is_new));
    assert_true(is_new);
    approval->decision = (struct decision){.kind = DECISION_APPROVE,
                                           .job_id = approval->record.id,
                                           .rounds = approval->job->rounds,
                                           .runs = runs,
                                           .expires = approval->job->expires,
                                           .dataset_digest = approval->dataset.digest,
                                           .dataset_rows = approval->dataset.rows,
                                           .decided_at = SPENDER_NOW,
                                           .decided_by = "owner"};
    must(approval_make(spender->workspace->identity, &approval->record.requester, &approval->decision));
    must(store_decide(spender->store, &approval->decision));
}

struct approval spender_approved(struct spender *spender, const struct spender_words *words, uint32_t runs)
{
    char text[JOB_BYTES];
    struct approval approval = {.record = {.received_at = SPENDER_NOW, .state = JOB_STATE_PENDING}};
    job_text(spender, words, text);
    approval.record.byte_count = strlen(text);
    approval.record.bytes = (uint8_t *)strdup(text);
    assert_non_null(approval.record.bytes);
    approval.record.requester.digest.bytes[0] = 0x42;
    (void)snprintf(approval.record.requester_name, sizeof(approval.record.requester_name), "researcher");
    must(digest_of(text, strlen(text), &approval.record.id));
    must(job_parse(text, strlen(text), "the job", &approval.job));
    approval.record.expires = approval.job->expires;
    approval.dataset = spender_dataset(spender, approval.job->dataset);
    approval_store(spender, &approval, runs);
    return approval;
}

/* ---- runs ---- */

struct error *spender_run(struct spender *spender, const struct approval *approval, uint8_t mark)
{
    uint8_t run_id[STORE_RUN_ID_BYTES];
    struct run_record run;
    memset(run_id, mark, sizeof(run_id));
    return budget_run_begin(spender->store, spender->workspace->identity, approval, run_id, SPENDER_NOW,
                            &run);
}

struct error *spender_begin(struct spender *spender, const struct approval *approval, uint8_t mark,
                            uint32_t round, enum budget_use use)
{
    uint8_t run_id[STORE_RUN_ID_BYTES];
    memset(run_id, mark, sizeof(run_id));
    return budget_begin(spender->store, spender->workspace->identity, approval, run_id, round, use,
                        SPENDER_NOW);
}

struct error *spender_settle(struct spender *spender, const struct approval *approval, uint8_t mark,
                             uint32_t round, enum budget_use use)
{
    struct error *err = NULL;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    memset(run_id, mark, sizeof(run_id));
    TRY(database_begin(spender->store->database));
    TRY(budget_settle(spender->store, spender->workspace->identity, approval, run_id, round, use,
                      SPENDER_NOW));
    TRY(database_commit(spender->store->database));
done:
    if (err != NULL)
        database_rollback(spender->store->database);
    return err;
}

void spender_end(struct spender *spender, const struct approval *approval, uint8_t mark)
{
    uint8_t run_id[STORE_RUN_ID_BYTES];
    memset(run_id, mark, sizeof(run_id));
    must(store_run_end(spender->store, &approval->record.id, run_id, "finished", 0, SPENDER_NOW));
}

/* ---- the file ---- */

int64_t spender_count(struct spender *spender, const char *sql)
{
    struct query query;
    query_start(&query, spender->store->database, sql);
    assert_true(query_step(&query));
    int64_t count = query_int(&query, 0);
    must(query_end(&query));
    return count;
}

void spender_forge(struct spender *spender, const char *sql)
{
    static const char *const guards[] = {"DROP TRIGGER IF EXISTS budget_no_update",
                                         "DROP TRIGGER IF EXISTS budget_no_delete",
                                         "DROP TRIGGER IF EXISTS budget_hash_no_update",
                                         "DROP TRIGGER IF EXISTS budget_hash_no_delete",
                                         "DROP TRIGGER IF EXISTS event_no_update",
                                         "DROP TRIGGER IF EXISTS event_no_delete",
                                         "PRAGMA foreign_keys = OFF"};
    for (size_t i = 0; i < sizeof(guards) / sizeof(guards[0]); i++)
        must(database_run(spender->store->database, guards[i]));
    must(database_run(spender->store->database, sql));
}
