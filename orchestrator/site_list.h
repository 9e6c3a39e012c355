/* The `sites` file of an orchestrator's home: the datasites that it knows, one invitation a line.
 *
 *     # comments and empty lines stay as they are
 *     datasite "MNIST Part 1" tcp://localhost:54879 sha256:<64 hex digits>
 *
 * Names and fingerprints are unique. A name that comes back with another fingerprint is never taken over
 * silently: it is either another machine or a lost key, and only a person can say which. The file is
 * rewritten whole, through a temporary file. */
#pragma once

#include "crypto/identity.h"
#include "schemas/job.h"

#define SITE_LIST_MAX_BYTES (1024u * 1024u)
#define SITE_LIST_MAX_SITES 2000

struct site_list {
    char *path;
    struct site_line *lines; /* internal */
    size_t line_count;
};

/* What site_list_add did. */
enum site_list_change { SITE_LIST_ADDED, SITE_LIST_MOVED /* same site, new endpoint */, SITE_LIST_KNOWN };

/* A file that does not exist is an empty list. ERROR_INVALID names the file and the line that is garbled. */
MUST_USE struct error *site_list_load(const char *path, struct site_list **ret_list);
void site_list_free(struct site_list *list); /* accepts NULL */

/* Takes an invitation (schemas/invitation.h) and saves. ERROR_CONFLICT for a known name with another
 * fingerprint, or a known fingerprint with another name: the sentence says what to do. */
MUST_USE struct error *site_list_add(struct site_list *list, const char *invitation,
                                     struct job_site *ret_site, enum site_list_change *ret_change);

/* Forgets the site of that name and saves; ERROR_NOT_FOUND lists nothing but says how to see the names. */
MUST_USE struct error *site_list_remove(struct site_list *list, const char *name);

size_t site_list_count(const struct site_list *list);
/* The n-th site (n < count) in the order of the file; valid until the list changes. `ret_line` (may be NULL)
 * is its line in the file. */
const struct job_site *site_list_at(const struct site_list *list, size_t n, size_t *ret_line);
/* NULL when there is none. */
const struct job_site *site_list_find(const struct site_list *list, const char *name, size_t *ret_line);

/* ERROR_UNTRUSTED when a site of the job is listed under its name with another fingerprint: the sentence
 * names the job file with the line of that fingerprint, and the `sites` file with its line. `text` is the
 * job's text. Sites that are not listed are the job's own business. */
MUST_USE struct error *site_list_agree(const struct site_list *list, const struct job *job, const char *text,
                                       const char *where);

/* The ids of all listed sites, and of the job's (which may be NULL), to be trusted by a session: *ret_ids is
 * malloc'ed, a site may be in it twice. */
MUST_USE struct error *site_list_ids(const struct site_list *list, const struct job *job,
                                     struct site_id **ret_ids, size_t *ret_count);
