#include "orchestrator/run_record.h"

#include "orchestrator/model_shape.h"

#include <math.h>

const char *run_status_word(enum run_status status)
{
    switch (status) {
    case RUN_RUNNING:
        return "running";
    case RUN_FINISHED:
        return "finished";
    case RUN_STOPPED:
        return "stopped";
    case RUN_FAILED:
        return "failed";
    case RUN_CANCELLED:
        return "cancelled";
    }
    return "";
}

const char *site_status_word(enum site_status status)
{
    switch (status) {
    case SITE_OK:
        return "ok";
    case SITE_LATE:
        return "late";
    case SITE_FAILED:
        return "failed";
    case SITE_REFUSED:
        return "refused";
    case SITE_DROPPED:
        return "dropped";
    }
    return "";
}

const struct site_receipt *site_round_receipt(const struct site_round *site, size_t n, uint32_t *ret_attempt)
{
    if (ret_attempt != NULL)
        *ret_attempt = n < 2 ? 0 : (uint32_t)n - 2;
    if (n < 2)
        return n == 0 ? site->update_receipt : site->evaluation_receipt;
    return n < SITE_ROUND_RECEIPTS ? site->masked_receipts[n - 2] : NULL;
}

struct site_receipt **site_round_receipt_place(struct site_round *site, enum receipt_kind kind,
                                               uint32_t attempt)
{
    switch (kind) {
    case RECEIPT_UPDATE:
        return &site->update_receipt;
    case RECEIPT_EVALUATION:
        return &site->evaluation_receipt;
    case RECEIPT_MASKED_INPUT:
        break;
    }
    return &site->masked_receipts[attempt];
}

const struct site_receipt *round_receipt(const struct round_record *round, size_t site)
{
    const struct site_round *part = &round->sites[site];
    if (round->masking.attempts == 0)
        return part->update_receipt;
    return part->masked_receipts[round->masking.attempts - 1];
}

bool round_used(const struct round_record *round, size_t site)
{
    return round->sites[site].status == SITE_OK &&
           (round->masking.attempts == 0 || round->masking.contributors > 0);
}

static bool is_evaluation(const struct run_record *record, uint32_t round)
{
    return record->job->secure.enabled && round > record->job->rounds;
}

void run_record_exchange_name(const struct run_record *record, uint32_t round,
                              char ret_name[static RUN_EXCHANGE_NAME_BYTES])
{
    if (is_evaluation(record, round))
        (void)snprintf(ret_name, RUN_EXCHANGE_NAME_BYTES, "evaluation");
    else
        (void)snprintf(ret_name, RUN_EXCHANGE_NAME_BYTES, "%u", (unsigned)round);
}

void run_record_exchange_words(const struct run_record *record, uint32_t round, bool begins,
                               char ret_words[static RUN_EXCHANGE_NAME_BYTES])
{
    if (is_evaluation(record, round))
        (void)snprintf(ret_words, RUN_EXCHANGE_NAME_BYTES, "%s evaluation", begins ? "The" : "the");
    else
        (void)snprintf(ret_words, RUN_EXCHANGE_NAME_BYTES, "%s %u", begins ? "Round" : "round",
                       (unsigned)round);
}

const struct round_record *run_record_exchange(const struct run_record *record, size_t n)
{
    if (n < record->round_count)
        return &record->rounds[n];
    return n == record->round_count && record->evaluation.round != 0 ? &record->evaluation : NULL;
}

void round_record_clear(struct round_record *round, size_t site_count)
{
    for (size_t i = 0; round->sites != NULL && i < site_count; i++) {
        free(round->sites[i].confusion);
        free(round->sites[i].update_receipt);
        free(round->sites[i].evaluation_receipt);
        for (size_t a = 0; a < RUN_ATTEMPTS; a++)
            free(round->sites[i].masked_receipts[a]);
    }
    free(round->sites);
    free(round->model);
    free(round->pooled_confusion);
    free(round->pooled_noised);
    free(round->global_confusion);
    *round = (struct round_record){0};
}

void run_record_free(struct run_record *record)
{
    if (record == NULL)
        return;
    size_t site_count = record->job == NULL ? 0 : record->job->site_count;
    for (size_t i = 0; i < record->round_count; i++)
        round_record_clear(&record->rounds[i], site_count);
    round_record_clear(&record->evaluation, site_count);
    free(record->price);
    free(record->averaged);
    free(record->averaged_confusion);
    free(record->rounds);
    free(record->job_bytes);
    job_free(record->job);
    free(record);
}

struct error *run_record_set_shape(struct run_record *record, uint64_t features, uint32_t classes,
                                   uint32_t image_rows, uint32_t image_columns)
{
    struct error *err = NULL;
    size_t count = 0;
    TRY(model_shape_features(record->job, features, classes, image_rows, image_columns, &count));
    record->features = features;
    record->classes = classes;
    record->image_rows = image_rows;
    record->image_columns = image_columns;
    record->model_features = count;
done:
    return err;
}

size_t run_record_parameters(const struct run_record *record)
{
    return model_shape_parameters(record->job, (size_t)record->features, (size_t)record->model_features,
                                  record->classes);
}

uint64_t *confusion_new(uint32_t classes)
{
    return calloc(confusion_words(classes), sizeof(uint64_t));
}

void confusion_sum(uint64_t *confusion, uint32_t classes)
{
    size_t cells = (size_t)classes * classes;
    confusion[cells] = confusion[cells + 1] = 0;
    for (size_t i = 0; i < cells; i++) {
        confusion[cells] += confusion[i];
        confusion[cells + 1] += i % (classes + 1) == 0 ? confusion[i] : 0;
    }
}

void confusion_add(uint64_t *confusion, const uint64_t *more, uint32_t classes)
{
    for (size_t i = 0; i < confusion_words(classes); i++) {
        if (confusion[i] == WIRE_WITHHELD || more[i] == WIRE_WITHHELD)
            confusion[i] = WIRE_WITHHELD;
        else
            confusion[i] += more[i];
    }
}

double confusion_accuracy(const uint64_t *confusion, uint32_t classes)
{
    uint64_t rows = confusion_rows(confusion, classes);
    if (rows == 0 || rows == WIRE_WITHHELD)
        return NAN;
    uint64_t right = confusion[confusion_words(classes) - 1];
    return right == WIRE_WITHHELD ? (double)NAN : (double)right / (double)rows;
}

uint64_t confusion_rows(const uint64_t *confusion, uint32_t classes)
{
    return confusion == NULL ? 0 : confusion[confusion_words(classes) - 2];
}

size_t confusion_withheld(const uint64_t *confusion, uint32_t classes)
{
    size_t count = 0;
    for (size_t i = 0; confusion != NULL && i < (size_t)classes * classes; i++)
        count += confusion[i] == WIRE_WITHHELD;
    return count;
}

bool run_record_masked(const struct run_record *record)
{
    return record->job->secure.enabled && !record->mock;
}

const struct round_record *run_record_last_model(const struct run_record *record)
{
    for (size_t i = record->round_count; i > 0; i--) {
        if (record->rounds[i - 1].model != NULL)
            return &record->rounds[i - 1];
    }
    return NULL;
}

void run_id_format(const uint8_t run_id[static RUN_ID_BYTES], char ret_hex[static RUN_ID_HEX_BYTES])
{
    for (size_t i = 0; i < RUN_ID_BYTES; i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", (unsigned)run_id[i]);
}
