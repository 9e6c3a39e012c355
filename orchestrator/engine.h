/* The round engine: one run of one job, from the first connection to the last EndRun, in one thread around
 * session_next. It asks sites, collects their answers until all are in, or the deadline, or the quorum cannot
 * be reached any more, averages, has the average evaluated, and writes every round to the run's store.
 *
 * A site:
 *
 *     joining --pending--> pending --approved--> ready --asked each round--> training -> evaluating --+
 *        |                    |                    ^                             |                      |
 *        |                    |                    +-------- next round ---------+----------------------+
 *        +--------------------+--- denied, revoked, expired, used up, refused, other shape --> out
 *
 * What a site did in a round becomes its status there: ok; late (no answer by the deadline); dropped (no
 * connection at the deadline, or not approved yet); refused (it, or its owner, said no); failed (it broke
 * down, or its answer does not hold: wrong shape, not finite, of another job). Any of them but `out` is asked
 * again in the next round.
 *
 * Training and the evaluation exchange have the job's round_deadline each. A site where a person looks at the
 * answer before it leaves is waited for longer (held_ms), and asked every two seconds; what the others have
 * answered is kept meanwhile. Every answer comes with a receipt, which is verified against the site's
 * fingerprint, the job, the run, the round and the very bytes before anything is done with them; every request
 * carries the latest receipt that we hold of the site. A site whose receipts contradict each other is out. Nothing is averaged that has not
 * passed the checks of schemas/wire.h; the average is taken in the order of the job's sites
 * (strategy_fedavg.h). */
#pragma once

#include "crypto/identity.h"
#include "orchestrator/evaluate.h"
#include "orchestrator/initial_model.h"
#include "orchestrator/run_record.h"
#include "orchestrator/run_store.h"
#include "transport/session.h"

enum engine_event_kind {
    ENGINE_SITE_UP,       /* connected and verified */
    ENGINE_SITE_DOWN,     /* not connected, or refused: `sentence`; dialled again until the run ends */
    ENGINE_SITE_WAITING,  /* its owner has to decide: `command` is what the owner would type */
    ENGINE_SITE_READY,    /* approved */
    ENGINE_SITE_OUT,      /* takes no part in this run: `sentence` */
    ENGINE_ROUND_STARTED, /* `round`; `total` sites were asked */
    ENGINE_SITE_ANSWERED, /* `site` has trained; `done` of `total` */
    ENGINE_SITE_MISSED,   /* `site` did not: `sentence` */
    ENGINE_ROUND_ENDED,   /* the record's last round is complete */
    ENGINE_WARNING,       /* `sentence`, about `site` unless that is NULL */
    ENGINE_SITE_HELD,     /* a person there looks at its answer first: `sentence`; `done` of `total` */
    /* Of secure aggregation: */
    ENGINE_KEYS,     /* `done` of `total` sites have exchanged the keys of a batch */
    ENGINE_ATTEMPT,  /* the round is tried again with fresh keys, with `total` sites: `sentence` */
    ENGINE_UNMASKED, /* the sum is there: of `done` sites, of `total` in the job */
    ENGINE_EVALUATED /* the pooled counts of the last round's model are there */
};

/* Borrowed for the call. */
struct engine_event {
    enum engine_event_kind kind;
    const char *site;     /* name in the job, or NULL */
    const char *sentence; /* "" when there is nothing to say */
    const char *command;  /* "" likewise */
    uint32_t round;
    size_t done, total;
};

/* Everything is borrowed until engine_run returns. */
struct engine_plan {
    const struct identity *identity;
    const char *name;             /* what sites see */
    const char *socket_directory; /* private */
    const char *listen;           /* for sites that dial in, or NULL */
    struct session_trust trust;
    struct run_record *record; /* in: ids, job, job bytes; out: everything else */
    struct run_store *store;
    const struct initial_model *initial;
    struct evaluate *global_test; /* NULL: none; its rows are mapped once the sites have said theirs */
    const bool
        *in_run; /* [job->site_count], of a run on mock data: sites that another run of this home is with,
                           which are not asked; NULL: none */
    int64_t connect_ms;  /* sites not reached by then are missing from the first round */
    int64_t approval_ms; /* how long owners have to decide */
    int64_t held_ms;     /* how long they may look at an answer; never beyond the job's end */
    /* [job->site_count], of each site the latest receipt that is held, sequence 0: none; replaced by later
     * ones as they come. */
    struct receipt *witnesses;
    int wake_fd;                 /* readable: `stop` is asked at once; -1 for none */
    bool (*stop)(void *context); /* asked at least five times a second; true cancels the run. May be NULL */
    void (*on_event)(void *context, const struct engine_event *event); /* may be NULL */
    void *context;
};

/* A record that is marked `mock` makes a run on mock data (engine_mock.c): the sites' synthetic rows are fetched, and
 * every site's part of a round is done here; no site is sent a job or asked for a step, and no approval is needed.
 *
 * Sets the record's status and reason, whatever happens, and tells the sites how the run ended. NULL when all
 * rounds are done (RUN_FINISHED). ERROR_INTERRUPTED: stopped by `stop` (RUN_CANCELLED). ERROR_REFUSED,
 * ERROR_UNAVAILABLE, ERROR_DEADLINE: fewer sites than min_sites take part or answered (RUN_STOPPED). Others:
 * RUN_FAILED. */
MUST_USE struct error *engine_run(const struct engine_plan *plan);
