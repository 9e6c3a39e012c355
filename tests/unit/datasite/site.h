/* A datasite without a network for tests: store, key, executor and handlers, and a researcher who asks.
 *
 * Its dataset "made" has SITE_ROWS rows of SITE_FEATURES numbers and SITE_CLASSES classes; about half of them
 * are test rows for the jobs below. Its clock stands still at SITE_NOW unless a test moves it. */
#pragma once

#include "datasite/approval.h"
#include "datasite/requests.h"
#include "schemas/wire.h"
#include "tests/unit/datasite/workspace.h"

#define SITE_NOW 1790000000
#define SITE_ROWS 6000
#define SITE_FEATURES 4
#define SITE_CLASSES 3
#define SITE_PARAMETERS ((SITE_FEATURES + 1) * SITE_CLASSES)
#define SITE_JOB_BYTES 2048

/* What of the dataset the length of a model depends on. */
extern const struct dataset_info site_shape;

struct site {
    struct workspace *workspace;
    struct store *store;
    struct identity *identity;
    struct policy policy;
    struct executor *executor;
    struct log log; /* nowhere */
    struct secagg_cache *secagg;
    struct requests requests;
    struct site_id researcher;
    struct digest job_id;            /* of the job submitted last */
    uint8_t run[STORE_RUN_ID_BYTES]; /* of Train, Evaluate, EndRun */
    uint64_t number;
    char keys[160]; /* directory of secagg.count; "": changes of key slots are not counted */
    bool presents;  /* the researcher's requests carry the witness of `receipt` */
    struct receipt receipt;
};

/* What a test wants in its job; zero fields take the defaults of site_job. */
struct job_words {
    const char *name, *dataset, *metrics, *training, *expires, *fingerprint, *test_fraction, *deadline,
        *weighting;
    uint32_t rounds;
};

/* cmocka set-up and tear-down: *state is a struct site. */
int site_make(void **state);
int site_remove(void **state);
/* Another import in the place of the site's dataset: as many rows; `changed` differs from what it was (SITE_ROWS or
 * more: none does, what is behind was added). */
void site_reimport(struct site *site, uint64_t rows, uint64_t changed);
/* Closes what is open, and opens it again: for tests that fork. */
void site_pause(struct site *site);
void site_resume(struct site *site);
void site_move_clock(int64_t unix_seconds);
int64_t site_clock(void);

void site_job(const struct site *site, const struct job_words *words, char ret_text[static SITE_JOB_BYTES]);

/* One request, and its reply; waits for the executor when the reply comes later. */
struct reply site_ask(struct site *site, const struct site_id *peer, bool listed, uint32_t type,
                      const ProtobufCMessage *message);
/* The reply that the executor owes. */
struct reply site_wait(struct site *site);

/* The researcher's messages. Submit notes the job id. Models have every coefficient equal to `value`. */
struct reply site_submit(struct site *site, const char *text);
struct reply site_query(struct site *site, const struct site_id *peer);
struct reply site_train(struct site *site, uint32_t round, double value);
struct reply site_evaluate(struct site *site, uint32_t round, double value);
struct reply site_end_run(struct site *site, const char *status);
/* Sends a Train of this shape and does not wait. */
struct reply site_train_start(struct site *site, uint32_t round, const double *parameters, size_t count);

/* Submits a job and approves it in the owner's place. */
void site_approved(struct site *site, const struct job_words *words, uint32_t rounds, uint32_t runs);
void site_approve(struct site *site, uint32_t rounds, uint32_t runs, int64_t expires);
void site_withhold(struct site *site, enum decision_kind kind);

/* Checks and clears a reply. */
void site_expect_state(struct reply reply, Fds__JobState state);
void site_expect_refusal(struct reply reply, enum error_code code, const char *words);
/* What is inside a Released counts as the reply. */
void site_expect_type(struct reply reply, uint32_t type);
/* What is inside a Released, whose receipt must be of this site and these bytes; takes `reply` over. */
struct reply site_opened(const struct site *site, struct reply reply);
/* The receipt of a Released; takes `reply` over. */
struct receipt site_receipt(struct reply reply);
/* Checks that both have the same bytes, clears both. */
void site_expect_same(struct reply a, struct reply b);

/* Rows of site.db. */
int64_t site_count(struct site *site, const char *sql);
void site_sql(struct site *site, const char *sql);
/* Answers and events of releases: what must not grow with a refusal. */
int64_t site_released(struct site *site);
