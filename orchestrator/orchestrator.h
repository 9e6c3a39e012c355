/* liborchestrator: what the command line, the Python package and other programs use of the orchestrator.
 *
 *     struct orchestrator *orchestrator;
 *     struct orchestrator_run *run = NULL;
 *     struct orchestrator_failure failure;
 *     if (orchestrator_open("/home/me/orchestrator", &orchestrator, &failure) != 0)
 *         puts(failure.sentence);
 *     struct orchestrator_run_options options = {.size = sizeof options, .job_path = "job.yaml", .cancel_fd =
 * -1}; if (orchestrator_run(orchestrator, &options, &run, &failure) != 0) puts(failure.sentence);
 *     printf("%f\n", orchestrator_run_pooled_accuracy(run, 5));
 *     orchestrator_run_free(run);
 *     orchestrator_close(orchestrator);
 *
 * Stable: functions and fields are only ever added, fields at the end of a structure; structures that callers
 * fill begin with their size. Functions that can fail return 0, or -1 with *failure filled in (which may be
 * NULL). An object is used by one thread at a time; different objects by different threads. The library
 * prints nothing, unless it is given a stream to print to, and installs no signal handlers. Strings that are
 * returned belong to the object that they are asked of and live as long; all text is UTF-8. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORCHESTRATOR_API __attribute__((visibility("default")))
#define ORCHESTRATOR_API_VERSION 1

/* ORCHESTRATOR_API_VERSION of the library, and its version for people. */
ORCHESTRATOR_API int orchestrator_api_version(void);
ORCHESTRATOR_API const char *orchestrator_version(void);

struct orchestrator_failure {
    int code;            /* place in schemas/error.def */
    int exit_status;     /* what a program should end with: 1, 2 for wrong usage, 130 when cancelled */
    char word[24];       /* "refused", "deadline", …: stable */
    char sentence[1024]; /* for people: what, where, what would do */
};

/* ---- The home
 * -------------------------------------------------------------------------------------------------- */

struct orchestrator;

/* Makes a home (`listen`: "tcp://ADDRESS:PORT" or NULL; with_ca: nonzero makes an authority too). */
ORCHESTRATOR_API int orchestrator_create(const char *home, const char *name, const char *listen, int with_ca,
                                         struct orchestrator_failure *failure);
ORCHESTRATOR_API int orchestrator_open(const char *home, struct orchestrator **ret_orchestrator,
                                       struct orchestrator_failure *failure);
ORCHESTRATOR_API void orchestrator_close(struct orchestrator *orchestrator); /* accepts NULL */

ORCHESTRATOR_API const char *orchestrator_home(const struct orchestrator *orchestrator);
ORCHESTRATOR_API const char *orchestrator_name(const struct orchestrator *orchestrator);
ORCHESTRATOR_API const char *orchestrator_fingerprint(const struct orchestrator *orchestrator);
/* The line that `datasite trust add` takes. */
ORCHESTRATOR_API const char *orchestrator_invitation(const struct orchestrator *orchestrator);
/* Something the person should know soon (the certificate expires within 30 days), or NULL. */
ORCHESTRATOR_API const char *orchestrator_warning(const struct orchestrator *orchestrator);

/* ---- The sites that it knows
 * ----------------------------------------------------------------------------------- */

struct orchestrator_site {
    const char *name;
    const char *endpoint; /* "" when the site dials in */
    const char *fingerprint;
};

ORCHESTRATOR_API size_t orchestrator_site_count(const struct orchestrator *orchestrator);
/* -1 when there is no site of that number. The strings live until sites are added or removed. */
ORCHESTRATOR_API int orchestrator_site_at(const struct orchestrator *orchestrator, size_t number,
                                          struct orchestrator_site *ret_site);
/* Takes the line that `datasite invite` printed. *ret_change: "added", "moved" (known, new endpoint) or
 * "known". */
ORCHESTRATOR_API int orchestrator_site_add(struct orchestrator *orchestrator, const char *invitation,
                                           const char **ret_change, struct orchestrator_failure *failure);
ORCHESTRATOR_API int orchestrator_site_remove(struct orchestrator *orchestrator, const char *name,
                                              struct orchestrator_failure *failure);

/* A site of a run of this home that goes on. A second connection with the orchestrator's key would take the
 * place of the run's own, so such a site is not dialled: `up` is 0, and `reason` says so. */
#define ORCHESTRATOR_STATE_IN_RUN "in a run"

/* How a site was found. */
struct orchestrator_site_status {
    const char *name;
    const char *endpoint;
    int up;               /* nonzero: connected, and it answered a signed request */
    double round_trip_ms; /* of that request; NaN when down */
    char reason[512];     /* why it is down, "" when up */
    char state[32];    /* of the job asked about: "pending", "approved", …, "unknown"; "" when down or none
                       asked; ORCHESTRATOR_STATE_IN_RUN when it was not asked at all */
    char software[72]; /* what it says it runs: "datasite 1.0.0"; "" when it was not connected */
};

/* Dials every known site that is in no run at the same time and asks each for the state of one job (`job_id`: 64 hex digits;
 * NULL asks for none), within deadline_ms in all. Fills `statuses` [orchestrator_site_count]. */
ORCHESTRATOR_API int orchestrator_status(struct orchestrator *orchestrator, const char *job_id,
                                         int deadline_ms, struct orchestrator_site_status *statuses,
                                         struct orchestrator_failure *failure);

/* ---- The data that sites tell of
 * ------------------------------------------------------------------------------- */

/* What the sites said. */
struct orchestrator_data;

struct orchestrator_data_options {
    size_t size;                     /* sizeof(struct orchestrator_data_options) */
    const char *site;                /* only the site of this name, or NULL: all */
    const char *fetch_directory;     /* mock rows go into DIR/<site>/<dataset>/, or NULL: none are fetched */
    int connect_seconds;             /* 0: 10 */
    int (*cancelled)(void *context); /* as in a run; may be NULL */
    void *context;
};

#define ORCHESTRATOR_WITHHELD UINT64_MAX

/* A dataset, as its site tells us of it; what exists beside these is not known here. */
struct orchestrator_dataset {
    const char *site;
    const char *name;
    const char *kind; /* "bytes" or "numbers" */
    uint64_t features;
    uint32_t image_rows, image_columns; /* 0 for numbers */
    uint32_t classes;
    uint64_t rows;              /* ORCHESTRATOR_WITHHELD: not released */
    uint64_t mock_rows;         /* 0: there is no mock dataset */
    const char *const *columns; /* as many as the site sent, at most `features` */
    size_t column_count;
    const char *const *class_names; /* likewise, at most `classes` */
    size_t class_name_count;
    const char *saved;  /* directory of its mock rows, NULL: not fetched */
    const char *reason; /* why not, "" when it is or was not asked for */
};

/* Asks the sites (all but those of runs of this home that go on) for the datasets that their owners let us know of. Needs
 * no job and no approval. A site that does not answer is a result. */
ORCHESTRATOR_API int orchestrator_data(struct orchestrator *orchestrator,
                                       const struct orchestrator_data_options *options,
                                       struct orchestrator_data **ret_data,
                                       struct orchestrator_failure *failure);
ORCHESTRATOR_API size_t orchestrator_data_count(const struct orchestrator_data *data);
/* How many sites answered, also with no dataset. */
ORCHESTRATOR_API size_t orchestrator_data_answered(const struct orchestrator_data *data);
/* -1 when there is no dataset of that number, and likewise below. */
ORCHESTRATOR_API int orchestrator_data_at(const struct orchestrator_data *data, size_t number,
                                          struct orchestrator_dataset *ret_dataset);
/* Sites that did not answer, and why. */
ORCHESTRATOR_API int orchestrator_data_silent_at(const struct orchestrator_data *data, size_t number,
                                                 const char **ret_site, const char **ret_reason);
ORCHESTRATOR_API void orchestrator_data_free(struct orchestrator_data *data); /* accepts NULL */

/* ---- Runs
 * ------------------------------------------------------------------------------------------------------ */

/* A run that goes on (inside callbacks) or is over. */
struct orchestrator_run;

enum orchestrator_event_kind {
    ORCHESTRATOR_SITE_UP = 0,       /* connected and verified */
    ORCHESTRATOR_SITE_DOWN = 1,     /* not connected: `sentence`; it is dialled again */
    ORCHESTRATOR_SITE_WAITING = 2,  /* its owner has to decide; `command` is what the owner would type */
    ORCHESTRATOR_SITE_READY = 3,    /* approved */
    ORCHESTRATOR_SITE_OUT = 4,      /* takes no part: `sentence` */
    ORCHESTRATOR_ROUND_STARTED = 5, /* `round`; `total` sites were asked */
    ORCHESTRATOR_SITE_ANSWERED = 6, /* `done` of `total` sites have trained */
    ORCHESTRATOR_SITE_MISSED = 7,   /* `site` did not: `sentence` */
    ORCHESTRATOR_ROUND_ENDED = 8,   /* the run has a round more */
    ORCHESTRATOR_WARNING = 9,       /* `sentence`, about `site` unless that is NULL */
    ORCHESTRATOR_SITE_HELD = 10,    /* a person there looks at its answer before it leaves: `sentence` */
    /* Under secure aggregation: */
    ORCHESTRATOR_KEYS = 11,      /* `done` of `total` sites have exchanged keys for the rounds to come */
    ORCHESTRATOR_ATTEMPT = 12,   /* `round` is tried again with fresh keys and `total` sites: `sentence` */
    ORCHESTRATOR_UNMASKED = 13,  /* the sum of `done` sites is there, of `total` in the job */
    ORCHESTRATOR_EVALUATED = 14, /* the last round's pooled confusion matrix is there */
    /* Of a private job, before it is submitted: `sentence` says what was computed and put into its bytes */
    ORCHESTRATOR_NOTE = 15
};

/* Valid during the callback. */
struct orchestrator_event {
    int kind; /* enum orchestrator_event_kind; callers ignore kinds that they don't know */
    const struct orchestrator_run *run;
    const char *site;     /* or NULL */
    const char *sentence; /* never NULL */
    const char *command;  /* never NULL */
    uint32_t round, rounds;
    size_t done, total;
};

struct orchestrator_run_options {
    size_t size; /* sizeof(struct orchestrator_run_options) */
    const char *job_path;
    const char *out_directory;       /* gets copies of the run's files when it is over, or NULL */
    const char *initial_model;       /* file that the job's model.init names by SHA-256, or NULL */
    int connect_seconds;             /* 0: 30 */
    int approval_seconds;            /* 0: 600 */
    int cancel_fd;                   /* readable: `cancelled` is asked at once; -1: none */
    int (*cancelled)(void *context); /* asked at least five times a second; nonzero cancels. May be NULL */
    void (*on_event)(void *context, const struct orchestrator_event *event); /* may be NULL */
    void *context;
    int held_seconds; /* how long an owner may look at an answer before it leaves; 0: 24 hours */
    /* Nonzero: the run is made here, on the mock data that the sites have made for the job's dataset. No approval is
     * needed, no site is sent the job, and everything that comes out is marked MOCK. */
    int mock;
};

/* Reads the job, submits it, waits for the owners, runs all rounds, and writes run.db and the reports below
 * runs/<run-id>/ of the home. `out_directory` has to be new or empty, or to hold copies of an earlier run,
 * which only a run that made a model replaces. 0 when the run finished and all its files are written. On -1,
 * *ret_run is NULL if the run never began (job refused here, or no place for its files), else it is the run
 * as far as it went. */
ORCHESTRATOR_API int orchestrator_run(struct orchestrator *orchestrator,
                                      const struct orchestrator_run_options *options,
                                      struct orchestrator_run **ret_run,
                                      struct orchestrator_failure *failure);
/* Reads a run back from its directory. */
ORCHESTRATOR_API int orchestrator_run_load(const char *directory, struct orchestrator_run **ret_run,
                                           struct orchestrator_failure *failure);
ORCHESTRATOR_API void orchestrator_run_free(struct orchestrator_run *run); /* accepts NULL */

ORCHESTRATOR_API const char *orchestrator_run_id(const struct orchestrator_run *run);     /* 32 hex digits */
ORCHESTRATOR_API const char *orchestrator_run_job_id(const struct orchestrator_run *run); /* 64 hex digits */
ORCHESTRATOR_API const char *orchestrator_run_job_name(const struct orchestrator_run *run);
ORCHESTRATOR_API int
orchestrator_run_is_mock(const struct orchestrator_run *run); /* nonzero: on synthetic rows */
ORCHESTRATOR_API const char *orchestrator_run_status(const struct orchestrator_run *run); /* "finished", … */
ORCHESTRATOR_API const char *
orchestrator_run_reason(const struct orchestrator_run *run); /* "" when finished */
/* Of its record. */
ORCHESTRATOR_API const char *orchestrator_run_directory(const struct orchestrator_run *run);
/* Where its reports are: out_directory if they are there, else the directory of the record; NULL while the
 * run goes on, and when they could not be written. */
ORCHESTRATOR_API const char *orchestrator_run_reports(const struct orchestrator_run *run);
ORCHESTRATOR_API size_t orchestrator_run_rounds(const struct orchestrator_run *run); /* recorded so far */
ORCHESTRATOR_API size_t orchestrator_run_sites(const struct orchestrator_run *run);
ORCHESTRATOR_API uint64_t
orchestrator_run_features(const struct orchestrator_run *run); /* 0: not known yet */
ORCHESTRATOR_API uint32_t orchestrator_run_classes(const struct orchestrator_run *run);

/* What protects a private job, and what all of it costs one record (under site-level: one site's update). */
struct orchestrator_privacy {
    const char *mechanism; /* "dp-sgd", …; never NULL */
    double
        noise_multiplier; /* as submitted: where the job file has none, what was computed from target_epsilon */
    double target_epsilon; /* NaN: the job names none */
    double epsilon;        /* of the whole job, whatever was released of it; by privacy loss distributions */
    double delta;
};
/* 0; or -1 of a run without privacy, and *ret_privacy is untouched. */
ORCHESTRATOR_API int orchestrator_run_privacy(const struct orchestrator_run *run,
                                              struct orchestrator_privacy *ret_privacy);

/* A count that a site withholds, as it is below its owner's minimum, or another one could be computed from it: not 0, and
 * no number to compute with. */
#define ORCHESTRATOR_WITHHELD UINT64_MAX
/* `round` counts from 1. NaN or NULL for what was not released or does not exist. Counts are
 * [classes][classes], rows true, columns predicted; each may be ORCHESTRATOR_WITHHELD. */
ORCHESTRATOR_API double orchestrator_run_pooled_accuracy(const struct orchestrator_run *run, size_t round);
ORCHESTRATOR_API const uint64_t *orchestrator_run_pooled_confusion(const struct orchestrator_run *run,
                                                                   size_t round);
ORCHESTRATOR_API double orchestrator_run_global_accuracy(const struct orchestrator_run *run, size_t round);
ORCHESTRATOR_API const uint64_t *orchestrator_run_global_confusion(const struct orchestrator_run *run,
                                                                   size_t round);
/* Of the site's own model after local training. `site` counts from 0, in the job's order. */
ORCHESTRATOR_API const char *orchestrator_run_site_status(const struct orchestrator_run *run, size_t round,
                                                          size_t site); /* "ok", "late", … */
ORCHESTRATOR_API double orchestrator_run_site_train_accuracy(const struct orchestrator_run *run, size_t round,
                                                             size_t site);
ORCHESTRATOR_API double orchestrator_run_site_test_accuracy(const struct orchestrator_run *run, size_t round,
                                                            size_t site);
/* The global model after a round: coef [classes][features] row by row, then intercept [classes]. NULL when
 * the round failed, or is so long ago that only run.db has it. */
ORCHESTRATOR_API const double *orchestrator_run_model(const struct orchestrator_run *run, size_t round);

/* As the command line prints them: the last round of the run, and the table of all rounds. */
ORCHESTRATOR_API void orchestrator_run_print_round(const struct orchestrator_run *run, FILE *stream);
/* Under secure aggregation a round's pooled confusion matrix is there a round later: that of the last one, when
 * ORCHESTRATOR_EVALUATED was told. */
ORCHESTRATOR_API void orchestrator_run_print_evaluation(const struct orchestrator_run *run, FILE *stream);
ORCHESTRATOR_API void orchestrator_run_print_summary(const struct orchestrator_run *run, FILE *stream);

#ifdef __cplusplus
}
#endif
