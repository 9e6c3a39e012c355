/* A datasite that does what a script says: a real session on loopback in a thread of its own, which answers
 * an orchestrator's requests, well or badly. */
#pragma once

#include "crypto/identity.h"

#include <stdint.h>

#define SCRIPTED_FEATURES 3
#define SCRIPTED_CLASSES 2
#define SCRIPTED_PARAMETERS ((SCRIPTED_FEATURES + 1) * SCRIPTED_CLASSES)
#define SCRIPTED_ROUNDS 8

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
    SCRIPTED_GARBAGE
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
    bool silent_evaluate;
    enum scripted_answer rounds[SCRIPTED_ROUNDS + 1]; /* [0] is not used */
};

/* What it has seen; read after scripted_site_stop. */
struct scripted_log {
    int submits, queries, trains, evaluates, ends;
    char end_status[32];
    double first_model[SCRIPTED_PARAMETERS]; /* of the first Train */
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
