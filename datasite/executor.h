/* The executor: one thread with its own store that works on one step at a time, so that training never keeps
 * the socket thread from its peers.
 *
 *     socket thread                                   executor thread
 *     executor_submit  --> waiting [EXECUTOR_WAITING] --> in hand (trainer.h)
 *     executor_next    <-- reports                    <-- started, done
 *     executor_cancel  --> waiting ones end at once, the one in hand at its next iteration
 *
 * Bounded: at most EXECUTOR_WAITING steps wait, each has a deadline, and every accepted step ends in exactly
 * one DONE report. Everything shared is inside `struct executor`, under its mutex; executor_fd becomes
 * readable with each report. The functions are called by one thread, the socket thread. */
#pragma once

#include "crypto/identity.h"
#include "datasite/release.h"
#include "datasite/secagg_cache.h"
#include "datasite/step.h"
#include "schemas/policy.h"

#define EXECUTOR_WAITING 4
#define EXECUTOR_IDLE_MS (5 * 60 * 1000) /* after this long without a step the dataset leaves memory */

struct executor;

struct executor_options {
    const char *database_path;
    const char *keys_path; /* of the home, for store_secagg_count_in; NULL: changes are not counted */
    const struct identity
        *identity;               /* borrowed until executor_close; its key, not its certificate, matters */
    const struct vault *vault;   /* borrowed until executor_close; NULL when rows are in clear */
    const struct policy *policy; /* output rules; copied */
    struct secagg_cache *secagg; /* of the socket thread (secagg_cache_open_beside); NULL: there is none */
    struct store *store;         /* of the socket thread (store_share_heads); NULL: there is none */
    uint32_t threads;
    int64_t (*clock)(void); /* Unix milliseconds; NULL: the system's clock */
};

enum executor_report_kind { EXECUTOR_STARTED, EXECUTOR_DONE };

struct executor_report {
    enum executor_report_kind kind;
    enum step_kind step;
    struct site_id peer;
    uint64_t number;
    struct digest job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    uint32_t round;
    /* EXECUTOR_DONE: one of these. Both owned by whom the report is given to; executor_report_clear. */
    struct error *error;
    uint8_t *body;
    size_t bytes;
    bool refused;                          /* the body is the refusal of a step that failed */
    bool repeated;                         /* the body was given before */
    char withheld[RELEASE_WITHHELD_BYTES]; /* what the output rules kept here; "" for nothing */
    double seconds;                        /* in hand */
};

/* A step that waits or is in hand. */
struct executor_item {
    struct digest job_id;
    struct site_id peer;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    enum step_kind step;
    uint32_t round;
    bool in_hand;
    double progress; /* 0 to 1 */
};

MUST_USE struct error *executor_open(const struct executor_options *options, struct executor **ret_executor);

/* Takes the step over when it succeeds. ERROR_BUSY when the queue is full. */
MUST_USE struct error *executor_submit(struct executor *executor, struct step *step);

/* Readable while there may be reports; executor_drain empties it. */
int executor_fd(const struct executor *executor);
void executor_drain(struct executor *executor);

/* The next report, oldest first; false when there is none. */
MUST_USE bool executor_next(struct executor *executor, struct executor_report *ret_report);
void executor_report_clear(struct executor_report *report);

/* Fills at most EXECUTOR_WAITING + 1 items, the one in hand first; returns how many. */
size_t executor_items(struct executor *executor, struct executor_item ret_items[static EXECUTOR_WAITING + 1]);

/* Abandons the steps of a job (NULL: of all jobs), of one run of it if `run_id` is given; they end with this
 * error. */
void executor_cancel(struct executor *executor, const struct digest *job_id, const uint8_t *run_id,
                     enum error_code code, const char *sentence);

/* New output rules, from the next release on: that of the step in hand is held to them too. */
void executor_set_policy(struct executor *executor, const struct policy *policy);

/* Abandons everything and waits for the thread, at most `timeout_ms`; false when it has not ended by then
 * (the caller may then only leave the process). */
MUST_USE bool executor_stop(struct executor *executor, int timeout_ms);
/* Stops if need be, waits as long as it takes, frees. Accepts NULL. */
void executor_close(struct executor *executor);
