/* A run as it is known: kept in memory while it goes on, written to run.db round by round, and read back by
 * reports.
 *
 * A value that was not released is absent: NAN for accuracies, NULL for matrices, has_examples false. Never
 * 0. */
#pragma once

#include "audit/receipt.h"
#include "crypto/digest.h"
#include "schemas/error.h"
#include "schemas/job.h"

#include <stdint.h>

#define RUN_ID_BYTES 16
#define RUN_ID_HEX_BYTES 33

enum run_status { RUN_RUNNING, RUN_FINISHED, RUN_STOPPED, RUN_FAILED, RUN_CANCELLED };
const char *run_status_word(enum run_status status);

enum site_status { SITE_OK, SITE_LATE, SITE_FAILED, SITE_REFUSED, SITE_DROPPED };
const char *site_status_word(enum site_status status);

/* What a site signed about something that it released, and what arrived. */
struct site_receipt {
    struct receipt receipt;
    struct digest received; /* SHA-256 of the body */
};

/* One site in one round, in the order of the job's sites. */
struct site_round {
    enum site_status status;
    char reason[512]; /* "" when ok */
    bool has_examples;
    uint64_t examples;
    double train_accuracy; /* NAN: not released */
    uint64_t *confusion;   /* [classes][classes] or NULL */
    double train_seconds;  /* NAN: unknown */
    double seconds;
    struct site_receipt *update_receipt;     /* verified when it came, or NULL */
    struct site_receipt *evaluation_receipt; /* likewise, of the evaluation of the round's model */
};

struct round_record {
    uint32_t round;
    double seconds;
    struct site_round *sites; /* [job->site_count] */
    double *model;            /* [(features + 1) * classes], NULL if the round failed */
    struct digest model_sha256;
    uint64_t *pooled_confusion; /* NULL: not released */
    uint64_t *global_confusion; /* NULL: no global test */
};

struct run_record {
    uint8_t run_id[RUN_ID_BYTES];
    struct digest job_id;
    uint8_t *job_bytes;
    size_t job_byte_count;
    struct job *job;
    enum run_status status;
    char reason[512];
    uint64_t features;
    uint32_t classes;
    int64_t started_at, approved_at, ended_at; /* Unix ms; 0: not yet */
    bool mock;         /* made with the sites' mock data, without approvals or receipts */
    bool has_receipts; /* false: written by a version that did not keep any */
    struct round_record *rounds;
    size_t round_count;
};

void run_record_free(struct run_record *record); /* accepts NULL */
/* Of one kind, or NULL. */
const struct site_receipt *site_round_receipt(const struct site_round *site, enum receipt_kind kind);
void round_record_clear(struct round_record *round, size_t site_count);
double confusion_accuracy(const uint64_t *confusion, uint32_t classes); /* NAN for NULL or no rows */
uint64_t confusion_rows(const uint64_t *confusion, uint32_t classes);   /* sum of all counts; 0 for NULL */
/* The last round that made a model, or NULL. */
const struct round_record *run_record_last_model(const struct run_record *record);
void run_id_format(const uint8_t run_id[static RUN_ID_BYTES], char ret_hex[static RUN_ID_HEX_BYTES]);
