/* Asks sites what data they tell us of, and fetches mock rows: dials all of them at once, asks each for its catalog page
 * by page, and then, if wanted, for the rows of its mock datasets. Bounded by one deadline for all. Needs no job and no
 * approval; what a site tells is for its owner to say. */
#pragma once

#include "crypto/identity.h"
#include "orchestrator/mock_data.h"
#include "schemas/job.h"
#include "transport/session.h"

#define SITE_CATALOG_FETCH_MS 300000 /* for mock rows, after the sites are connected */
#define SITE_CATALOG_MAX 1024        /* datasets of one site; more are not asked for */

/* One dataset of a site. */
struct site_dataset {
    const Fds__DatasetSchema *schema;    /* of a page */
    bool fetched;                        /* its rows came, and on_mock took them */
    char reason[SESSION_SENTENCE_BYTES]; /* why they did not, "" otherwise */
};

struct site_catalog {
    const struct job_site *site;         /* in: borrowed */
    bool in_run;                         /* in: not to be asked, because a connection of ours is in use */
    bool answered;                       /* the whole catalog is here */
    char reason[SESSION_SENTENCE_BYTES]; /* why it is not, "" when it is */
    struct site_dataset *datasets;
    size_t dataset_count;
    Fds__Catalog **pages;
    size_t page_count;
    struct site_id id; /* internal from here */
    uint64_t number;   /* unanswered request, 0 for none */
    int64_t ask_at;    /* monotonic ms, 0 for not */
    bool up, settled;
    size_t fetching; /* the dataset whose rows are asked for */
    struct mock_data mock;
};

struct site_catalog_plan {
    int connect_ms;      /* sites that are not connected by then are given up */
    int deadline_ms;     /* of everything */
    const char *dataset; /* fetch the mock rows of this one; NULL: of all */
    /* Takes whole, verified rows (and zeroes *mock), or leaves them to be given back. NULL: none are fetched. Its
     * failure is the dataset's. */
    struct error *(*on_mock)(void *context, struct site_catalog *catalog, const struct site_dataset *dataset,
                             struct mock_data *mock);
    bool (*stop)(void *context); /* asked at least five times a second: ERROR_INTERRUPTED. May be NULL */
    void *context;               /* of both */
};

/* Fills catalogs[count], whose `site` and `in_run` are set, through an open session, and drops the sites again. A site
 * that cannot be reached is a result; an error means that nothing could be asked at all. */
MUST_USE struct error *site_catalog_all(struct session *session, const struct site_catalog_plan *plan,
                                        struct site_catalog *catalogs, size_t count);
/* The dataset of that name, or NULL. */
const struct site_dataset *site_catalog_find(const struct site_catalog *catalog, const char *name);
void site_catalog_clear(struct site_catalog *catalog); /* accepts a zeroed one */
