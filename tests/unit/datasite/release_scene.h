/* What the trainer of one of four sites (masked_sites.h) hands to the airlock, for tests of the airlock by itself: round 1
 * of a job that pools metrics, at site 1. */
#pragma once

#include "datasite/release.h"
#include "tests/unit/datasite/masked_sites.h"

struct release_scene {
    struct masked_sites *masked;
    struct site *site;
    struct dataset_info dataset;
    struct digest model;
    struct secagg_vector vector;
    struct secagg_attempt attempt;
    double from[SITE_PARAMETERS], parameters[SITE_PARAMETERS];
    uint64_t confusion[MASKED_CELLS];
    uint8_t sealed[3 * SECAGG_SEALED_BYTES];
    struct release_context context;
    struct release_masked given;
    /* Of a private job, as the trainer makes it: */
    struct noise *noise;
    int64_t values[SITE_PARAMETERS];
    struct release_contribution contribution;
};

/* cmocka set-up and tear-down: *state is a struct release_scene; of a job whose sites do not check the sum. */
int release_scene_make(void **state);
int release_scene_make_unchecked(void **state);
/* distributed-dp, and site-level, with counts in every round. */
int release_scene_make_noised(void **state);
int release_scene_make_unspent(void **state); /* distributed-dp, of which nothing was begun in the ledger */
int release_scene_make_site_level(void **state);
int release_scene_drop(void **state);
/* Another attempt, from this slot. */
void release_scene_attempt(struct release_scene *scene, uint32_t attempt, uint32_t slot);
struct error *release_scene_let_out(struct release_scene *scene);
/* Everything that one release changes. */
int64_t release_scene_changes(struct release_scene *scene);
/* Lets out, which is refused and changes nothing. */
void release_scene_refused(struct release_scene *scene, enum error_code code, const char *words);
