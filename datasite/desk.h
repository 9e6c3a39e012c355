/* The owner's desk: what the commands about one job share. */
#pragma once

#include "console/verbs.h"
#include "datasite/home.h"
#include "datasite/store.h"
#include "schemas/job.h"

#define DESK_DIGITS 12 /* of a job id, in lists and commands */
#define DESK_ID_BYTES (DESK_DIGITS + 1)

/* A job laid out before the owner. */
struct desk {
    struct home *home;
    struct store *store;
    struct identity *identity;
    struct job_record record;
    struct job *job;
    char id[DESK_ID_BYTES]; /* its first digits */
};

/* Opens the home and finds the job that the first argument names by the first digits of its id. */
MUST_USE struct error *desk_open(const struct invocation *invocation, enum store_mode mode,
                                 struct desk *ret_desk);
void desk_close(struct desk *desk);

/* The first digits of an id. */
void desk_id(const struct digest *id, char ret_id[static DESK_ID_BYTES]);
/* What hides the site's numbers of a job from the requester: "secure-aggregation", "privacy", both with ", " between
 * them, or "none". */
const char *desk_protection(const struct job *job);
/* Whether the requester is in the list of trusted peers. */
MUST_USE struct error *desk_is_listed(struct store *store, const struct site_id *requester, bool *ret_listed);
