/* A run as it is known: kept in memory while it goes on, written to run.db round by round, and read back by
 * reports.
 *
 * A value that was not released is absent: NAN for accuracies, NULL for matrices, has_examples false. Never
 * 0. */
#pragma once

#include "audit/receipt.h"
#include "crypto/digest.h"
#include "crypto/privacy_plan.h"
#include "schemas/error.h"
#include "schemas/job.h"
#include "schemas/wire.h"

#include <stdint.h>

#define RUN_ID_BYTES 16
#define RUN_ID_HEX_BYTES 33
#define CONFUSION_MAX_ROWS                                                                                   \
    ((uint64_t)1 << 33) /* of one site: sums over all cells and sites cannot overflow */

enum run_status { RUN_RUNNING, RUN_FINISHED, RUN_STOPPED, RUN_FAILED, RUN_CANCELLED };
const char *run_status_word(enum run_status status);

enum site_status { SITE_OK, SITE_LATE, SITE_FAILED, SITE_REFUSED, SITE_DROPPED };
const char *site_status_word(enum site_status status);

#define RUN_ATTEMPTS 3 /* of one round under secure aggregation, at most */

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
    uint64_t *confusion;   /* a confusion matrix, or NULL: not released */
    double train_seconds;  /* NAN: unknown */
    double seconds;
    double
        epsilon_spent; /* by what it released up to this round and in it (run_spent.h); NAN: without privacy */
    struct site_receipt *update_receipt;                /* verified when it came, or NULL */
    struct site_receipt *evaluation_receipt;            /* likewise, of the evaluation of the round's model */
    struct site_receipt *masked_receipts[RUN_ATTEMPTS]; /* likewise, of its masked input of each attempt */
};

/* What a round's secure aggregation came to. */
struct round_masking {
    uint32_t attempts;     /* 0: the round was in clear */
    uint32_t sharers;      /* that could have contributed to the last attempt */
    uint32_t contributors; /* to the sum; 0: there is none */
    bool has_examples;     /* weighted by them */
    uint64_t examples;     /* of all contributors together */
};

struct round_record {
    uint32_t round;
    double seconds;
    struct site_round *sites; /* [job->site_count] */
    double *model;            /* [(features + 1) * classes], NULL if the round failed */
    struct digest model_sha256;
    uint64_t *pooled_confusion; /* a confusion matrix, or NULL: not released */
    double *pooled_noised; /* of a private job: counts [classes][classes] with noise, or NULL: not released */
    double pooled_noise;   /* the standard deviation of each of them */
    uint32_t pooled_sites; /* whose test rows they are of */
    uint64_t *global_confusion; /* a confusion matrix, or NULL: no global test */
    struct round_masking masking;
};

struct run_record {
    uint8_t run_id[RUN_ID_BYTES];
    struct digest job_id;
    uint8_t *job_bytes;
    size_t job_byte_count;
    struct job *job;
    enum run_status status;
    char reason[512];
    uint64_t features; /* of a row, as the sites have it; 0: not known yet */
    uint32_t classes;
    uint32_t image_rows, image_columns;        /* of a row; 0: numbers */
    uint64_t model_features;                   /* what the model sees of a row (learning/features.h) */
    int64_t started_at, approved_at, ended_at; /* Unix ms; 0: not yet */
    bool mock;         /* made with the sites' mock data, without approvals or receipts */
    bool has_receipts; /* false: written by a version that did not keep any */
    struct round_record *rounds;
    size_t round_count;
    /* Under secure aggregation the counts of a model ride in the sum of the round that begins with it; those of the last
     * one have a sum of their own, of round job->rounds + 1, without a model. round 0: there was none. */
    struct round_record evaluation;
    /* What all of a private job costs a record, or under site-level a site, at the job's delta: by privacy loss distributions, by
     * Renyi divergences, and by the former if all other sites colluded (run_spent.h). NAN without
     * privacy, and beyond PRIVACY_MAX_EPSILON, which the first never is. */
    double epsilon, epsilon_rdp, epsilon_worst;
    struct privacy_price *
        price; /* of one round and one evaluation, of a private run that goes on (run_spent_plan); else NULL */
    /* With training.average_tail over rounds: the result of the run is the mean of the last models, and not the last one. */
    double *averaged; /* [run_record_parameters], or NULL */
    struct digest averaged_sha256;
    uint64_t *averaged_confusion; /* of the global test, or NULL */
};

void run_record_free(struct run_record *record); /* accepts NULL */
/* Sets what the sites' data looks like, and from it what the model sees: ERROR_INVALID when the job's features do not fit. */
MUST_USE struct error *run_record_set_shape(struct run_record *record, uint64_t features, uint32_t classes,
                                            uint32_t image_rows, uint32_t image_columns);
/* Numbers in a model: (model_features + 1) * classes, or of feature-statistics 2 * features; 0: not known yet. */
size_t run_record_parameters(const struct run_record *record);
/* Number `n` of all exchanges that sites gave receipts in: the rounds, then the evaluation after the last one; NULL
 * behind them. */
const struct round_record *run_record_exchange(const struct run_record *record, size_t n);
/* Number `n` of the receipts that a site can have given in a round, in the order in which it gives them: update,
 * evaluation, masked inputs by attempt; NULL: it did not. *ret_attempt: of a masked input, else 0; may be NULL. */
#define SITE_ROUND_RECEIPTS (2 + RUN_ATTEMPTS)
const struct site_receipt *site_round_receipt(const struct site_round *site, size_t n, uint32_t *ret_attempt);
/* Where one of this kind and attempt belongs. */
struct site_receipt **site_round_receipt_place(struct site_round *site, enum receipt_kind kind,
                                               uint32_t attempt);
/* Of what counted in the round: the update, or the masked input of the last attempt. */
const struct site_receipt *round_receipt(const struct round_record *round, size_t site);
/* Whether what the site sent went into what the round came to: not where masked inputs came to no sum, of which nothing was
 * revealed. */
bool round_used(const struct round_record *round, size_t site);
/* How people read the number of a round or of the evaluation after the last one: "3", "evaluation". */
#define RUN_EXCHANGE_NAME_BYTES 24
void run_record_exchange_name(const struct run_record *record, uint32_t round,
                              char ret_name[static RUN_EXCHANGE_NAME_BYTES]);
/* The same for sentences: "round 3", "the evaluation"; `begins` one: "Round 3", "The evaluation". */
void run_record_exchange_words(const struct run_record *record, uint32_t round, bool begins,
                               char ret_words[static RUN_EXCHANGE_NAME_BYTES]);
void round_record_clear(struct round_record *round, size_t site_count);

/* A confusion matrix: counts [classes][classes], true classes by row, predicted ones by column; then two words more: of
 * how many rows it is, and how many of them are right. Each word may be WIRE_WITHHELD: a site's output gate withholds
 * small counts, and what they could be computed from; the matrix of several sites has what all of them released. */
static inline size_t confusion_words(uint32_t classes)
{
    return (size_t)classes * classes + 2;
}
/* All 0; NULL without memory. */
uint64_t *confusion_new(uint32_t classes);
/* Sets the two words from counts that are all there. */
void confusion_sum(uint64_t *confusion, uint32_t classes);
/* Adds word by word: what one of them withholds, the sum withholds. */
void confusion_add(uint64_t *confusion, const uint64_t *more, uint32_t classes);
double confusion_accuracy(const uint64_t *confusion,
                          uint32_t classes); /* NAN for NULL, no rows, or withheld */
/* Of how many rows it is: 0 for NULL, or WIRE_WITHHELD. */
uint64_t confusion_rows(const uint64_t *confusion, uint32_t classes);
/* Counts that are withheld. */
size_t confusion_withheld(const uint64_t *confusion, uint32_t classes);
/* Whether no number of a single site is known: not of a run on mock data, which is made here. */
bool run_record_masked(const struct run_record *record);
/* The last round that made a model, or NULL. */
const struct round_record *run_record_last_model(const struct run_record *record);
void run_id_format(const uint8_t run_id[static RUN_ID_BYTES], char ret_hex[static RUN_ID_HEX_BYTES]);
