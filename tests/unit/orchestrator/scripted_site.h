/* A datasite that does what a script says: a real session on loopback in a thread of its own, which answers
 * an orchestrator's requests, well or badly. */
#pragma once

#include "crypto/identity.h"
#include "tests/unit/orchestrator/changed_answer.h"
#include "tests/unit/orchestrator/scripted_data.h"
#include "tests/unit/orchestrator/secure_site.h"

#include <stdatomic.h>
#include <stdint.h>

#define SCRIPTED_FEATURES 3
#define SCRIPTED_CLASSES 2
#define SCRIPTED_PARAMETERS ((SCRIPTED_FEATURES + 1) * SCRIPTED_CLASSES)
#define SCRIPTED_ROUNDS 8
#define SCRIPTED_ORDER 64

/* How a Train of one round is answered. */
enum scripted_answer {
    SCRIPTED_WELL, /* every parameter of the model that came, plus the script's `step` */
    SCRIPTED_REFUSAL,
    SCRIPTED_UNAVAILABLE,
    SCRIPTED_SILENCE,
    SCRIPTED_DROP, /* closes its session for good */
    SCRIPTED_WRONG_SHAPE,
    SCRIPTED_NOT_FINITE,
    SCRIPTED_HUGE, /* finite, and beyond what any model computes with */
    SCRIPTED_OTHER_JOB,
    SCRIPTED_OTHER_RUN,
    SCRIPTED_OTHER_ROUND,
    SCRIPTED_WRONG_KIND,
    SCRIPTED_WRONG_CONFUSION,
    SCRIPTED_GARBAGE,
    SCRIPTED_WITHOUT_RECEIPT,     /* the Update itself, as if there were no receipts */
    SCRIPTED_EMPTY_RECEIPT,       /* a Released without one */
    SCRIPTED_RECEIPT_OTHER_ROUND, /* well signed, and of the round before */
    SCRIPTED_RECEIPT_OTHER_BYTES, /* well signed, and of other bytes than those that come with it */
    SCRIPTED_RECEIPT_OTHER_RUN,
    SCRIPTED_RECEIPT_OTHER_KEY,  /* all well, and signed by another site */
    SCRIPTED_RECEIPT_CHANGED,    /* its approval, after it was signed */
    SCRIPTED_RECEIPT_FORKED,     /* the sequence of the receipt before, and another head */
    SCRIPTED_RECEIPT_SAME_EVENT, /* the sequence and the head of the receipt before */
    SCRIPTED_RECEIPT_OLDER,      /* a sequence below that of the receipt before */
    SCRIPTED_RELEASE_OTHER_KIND  /* an Evaluation, receipt and all */
};

/* How a site answers a private job: with the examples that the script has, no metrics, no seconds, and noised counts; and the
 * one thing that is wrong with that. */
enum scripted_private {
    PRIVATE_NOT, /* as in a job without privacy */
    PRIVATE_WELL,
    PRIVATE_METRICS,
    PRIVATE_SECONDS,
    PRIVATE_OTHER_EXAMPLES,
    PRIVATE_NO_EXAMPLES,
    PRIVATE_TOO_FEW_COUNTS,
    PRIVATE_TOO_MANY_COUNTS,
    PRIVATE_NO_COUNTS,
    PRIVATE_NOT_A_NUMBER,
    PRIVATE_INFINITE,
    PRIVATE_HUGE,
    PRIVATE_EXACT_COUNTS,
    PRIVATE_EXACT_ROWS,
    PRIVATE_EXACT_CORRECT,
    PRIVATE_EXACT_ALONE,     /* the evaluation of a job without privacy */
    PRIVATE_COUNTS_IN_CLEAR, /* of a job without privacy: noised counts beside the exact ones */
    PRIVATE_COUNTS_ALONE     /* likewise, noised counts instead of the exact ones */
};

/* What goes wrong at one request of secure aggregation. */
enum secure_how {
    SECURE_WELL,
    SECURE_SILENT,
    SECURE_GONE, /* closes its session for good */
    SECURE_AWAY, /* closes its session, and comes back after `ms` */
    SECURE_LOST, /* does the step, and then the same: its answer is lost */
    SECURE_REFUSED,
    SECURE_ACCUSED, /* refuses, and says that the shares of another site do not open */
    SECURE_SLOW,    /* answers after `ms` */
    SECURE_SPOILED
};
struct secure_fault {
    uint32_t type; /* of the request */
    int nth;       /* of this type, from 1 */
    enum secure_how how;
    enum secure_spoil spoil;
    int ms;
    answer_change *change; /* of the answer, when there is one; or NULL */
};
#define SECURE_FAULTS 4

/* Where sites wait for each other before they answer a step: nobody answers its n-th request of a type before all were sent
 * theirs. */
#define MEETING_MS 2000 /* and then they do */
struct script_meeting {
    int sites;
    atomic_int asked[128]; /* requests of each type, at all sites */
    atomic_int missed;     /* answers that were given without the others */
};

struct script {
    int pending;       /* answers "pending" this many times before "approved" */
    bool deny;         /* "denied" instead */
    bool cut_off;      /* "running", by a run that was cut off, with no further run approved */
    bool mute;         /* answers nothing at all */
    uint64_t features; /* 0: SCRIPTED_FEATURES */
    int busy;          /* refuses this many Train as busy before it answers */
    int stopping;      /* refuses every request but EndRun this many times as unavailable before it answers */
    const char *authority; /* its folder: the orchestrator is not listed, and so in the lobby; or NULL */
    double step;
    uint64_t examples; /* 0: 100 */
    bool withholds;    /* the first two counts, how many answers are right, and train_accuracy */
    bool withholds_examples;
    bool sums_wrong; /* its evaluation's counts do not add up to its rows */
    bool silent_evaluate;
    bool bad_evaluate;       /* its receipt is of other bytes */
    int held;                /* refuses this many Train as held by its owner before it answers */
    int held_evaluate;       /* likewise Evaluate */
    bool held_refused;       /* and then the owner refuses */
    uint64_t first_sequence; /* of its receipts; 0: 1 */
    enum scripted_private private;
    uint32_t image_rows, image_columns; /* of its rows */
    size_t parameters;                  /* of its model; 0: SCRIPTED_PARAMETERS; at most that many */
    enum scripted_data data;            /* what it tells of its data */
    enum scripted_answer rounds[SCRIPTED_ROUNDS + 1]; /* [0] is not used */
    struct secure_numbers secure;                     /* examples 0: 100 */
    struct secure_fault faults[SECURE_FAULTS];
    int mask_after_shares; /* its n-th Mask waits for the Share of its batch number n + 1, up to this many batches */
    struct script_meeting *meeting; /* or NULL */
};

/* What it has seen; read after scripted_site_stop. */
struct scripted_log {
    int submits, queries, trains, evaluates, ends;
    uint32_t evaluated[SCRIPTED_ROUNDS]; /* rounds of the first Evaluates */
    char end_status[32];
    double first_model[SCRIPTED_PARAMETERS]; /* of the first Train */
    uint64_t submit_witness, query_witness, train_witness, evaluate_witness,
        end_witness;        /* sequences, of the last ones */
    uint64_t last_sequence; /* of its receipts */
    struct secure_log secure;
    uint8_t order[SCRIPTED_ORDER]; /* the types of its requests of secure aggregation, as they came */
    size_t ordered;
};

struct scripted_site;

/* Makes an identity below `directory` and listens on a free port, trusting `orchestrator`. Failures end the
 * test. */
struct scripted_site *scripted_site_start(const char *directory, const char *name,
                                          const struct site_id *orchestrator, const struct script *script);
const char *scripted_site_endpoint(const struct scripted_site *site);
const char *scripted_site_fingerprint(const struct scripted_site *site);
/* Ends the thread; may be called twice. */
const struct scripted_log *scripted_site_stop(struct scripted_site *site);
void scripted_site_free(struct scripted_site *site); /* accepts NULL */
