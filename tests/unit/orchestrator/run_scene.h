/* An orchestrator's home, scripted sites and a job for them, in a fresh directory: what the tests of whole
 * runs share. Failures of the set-up end the test. */
#pragma once

#include "orchestrator/orchestrator.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/orchestrator/scripted_site.h"

#define SCENE_SITES 160
#define SCENE_EXAMPLES 1000
#define SCENE_PATH_BYTES 512
#define SCENE_TEXT_BYTES 65536

struct run_scene {
    char folder[SCENE_PATH_BYTES];
    char home[SCENE_PATH_BYTES];
    char job_path[SCENE_PATH_BYTES];
    struct orchestrator *orchestrator;
    struct scripted_site *sites[SCENE_SITES];
    size_t site_count;
    /* What the run's callbacks have said. */
    char told[SCENE_TEXT_BYTES]; /* one line an event: kind, site, sentence, command */
    int waiting;                 /* how many times "waiting" */
    int cancel_in_round;         /* cancel as soon as this round has started; 0: never */
    bool cancel;
    void (*in_round)(struct run_scene *scene, uint32_t round); /* called when a round has started; or NULL */
    char block_reports[SCENE_PATH_BYTES]; /* during the run, report.json becomes a directory there; "":
                                             nowhere, "record": where the run is recorded */
    /* How it ended. */
    int result;
    struct orchestrator_run *run;
    struct orchestrator_failure failure;
};

/* What a job says beyond its sites; zero: 2 rounds, all sites, 10 s. */
struct scene_job {
    uint32_t rounds, min_sites, deadline_s;
    const char *init;        /* else "zeros" */
    const char *weighting;   /* else "examples" */
    const char *metrics;     /* else "per-site" */
    const char *expires;     /* else far away */
    const char *fingerprint; /* of the first site, instead of its own */
    const char *secure;      /* NULL: no secure aggregation; else its keys: ", threshold: 4", or "" */
    const char *training;    /* else as the other keys need it */
    const char *
        privacy; /* NULL: none; else its keys; sites declare 100 examples, 200, … then, and SCENE_EXAMPLES each
                                under secure aggregation */
    const char *model;    /* else "softmax-regression" */
    const char *features; /* what is in the braces of features; or NULL */
};

int run_scene_begin(void **state); /* cmocka's set-up and tear-down; *state is the scene */
int run_scene_end(void **state);

/* Starts one more site, called "Site A", "Site B", … "Site Z", "Site 27", … */
void run_scene_site(struct run_scene *scene, const struct script *script);
/* Writes the job file. */
void run_scene_job(struct run_scene *scene, const struct scene_job *job);
/* Writes the job, runs it, and keeps the outcome. */
void run_scene_run(struct run_scene *scene, const struct scene_job *job);
/* The same with these options; times and callbacks are filled in. */
void run_scene_run_with(struct run_scene *scene, const struct scene_job *job,
                        const struct orchestrator_run_options *options);

void run_scene_expect_failure(const struct run_scene *scene, const char *word, const char *words);
void run_scene_expect_site(const struct run_scene *scene, size_t round, size_t site, const char *status,
                           const char *words);
bool run_scene_file_exists(const char *folder, const char *name);
