#include "stored_run.h"

#include <math.h>

struct run_store *stored_run_write(const char *directory, const struct run_record *record, size_t rounds)
{
    struct run_store *store = NULL;
    made_fine(run_store_create(directory, record, &store));
    made_fine(run_store_approved(store, record));
    for (size_t i = 0; i < rounds; i++)
        made_fine(run_store_round(store, record, &record->rounds[i]));
    return store;
}

void stored_run_whole(const char *directory, const struct run_record *record)
{
    struct run_store *store = stored_run_write(directory, record, record->round_count);
    made_fine(run_store_end(store, record));
    run_store_close(store);
}

static void same_matrix(const uint64_t *a, const uint64_t *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a != NULL)
        assert_memory_equal(a, b, MADE_CLASSES * MADE_CLASSES * sizeof *a);
}

static void same_value(double a, double b)
{
    assert_true((isnan(a) && isnan(b)) || a == b);
}

void stored_run_same_round(const struct round_record *a, const struct round_record *b)
{
    assert_int_equal(a->round, b->round);
    assert_true(a->seconds == b->seconds);
    assert_memory_equal(&a->model_sha256, &b->model_sha256, sizeof a->model_sha256);
    assert_int_equal(a->model == NULL, b->model == NULL);
    if (a->model != NULL)
        assert_memory_equal(a->model, b->model, (MADE_FEATURES + 1) * MADE_CLASSES * sizeof(double));
    same_matrix(a->pooled_confusion, b->pooled_confusion);
    same_matrix(a->global_confusion, b->global_confusion);
    for (size_t s = 0; s < 2; s++) {
        assert_int_equal(a->sites[s].status, b->sites[s].status);
        assert_string_equal(a->sites[s].reason, b->sites[s].reason);
        assert_int_equal(a->sites[s].has_examples, b->sites[s].has_examples);
        assert_int_equal(a->sites[s].examples, b->sites[s].examples);
        same_value(a->sites[s].train_accuracy, b->sites[s].train_accuracy);
        same_value(a->sites[s].train_seconds, b->sites[s].train_seconds);
        same_value(a->sites[s].seconds, b->sites[s].seconds);
        same_matrix(a->sites[s].confusion, b->sites[s].confusion);
    }
}

void stored_run_same(const struct run_record *a, const struct run_record *b)
{
    assert_memory_equal(a->run_id, b->run_id, RUN_ID_BYTES);
    assert_memory_equal(&a->job_id, &b->job_id, sizeof a->job_id);
    assert_int_equal(a->job_byte_count, b->job_byte_count);
    assert_memory_equal(a->job_bytes, b->job_bytes, a->job_byte_count);
    assert_int_equal(a->status, b->status);
    assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->features, b->features);
    assert_int_equal(a->classes, b->classes);
    assert_int_equal(a->started_at, b->started_at);
    assert_int_equal(a->approved_at, b->approved_at);
    assert_int_equal(a->ended_at, b->ended_at);
    assert_int_equal(a->round_count, b->round_count);
    for (size_t i = 0; i < a->round_count; i++)
        stored_run_same_round(&a->rounds[i], &b->rounds[i]);
}

struct site_receipt *stored_run_receipt(enum receipt_kind kind, uint64_t sequence)
{
    struct site_receipt *kept = calloc(1, sizeof *kept);
    assert_non_null(kept);
    kept->receipt = (struct receipt){.round = 1,
                                     .kind = kind,
                                     .body_bytes = 9,
                                     .protections = "min-rows 1",
                                     .sequence = sequence,
                                     .at = 1};
    assert_null(site_id_of_key(kept->receipt.public_key, &kept->receipt.site));
    return kept;
}
