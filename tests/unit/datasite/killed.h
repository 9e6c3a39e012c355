/* A datasite that is killed at every moment of a step: whenever something of site.db is brought to the disk, before and after
 * it. The file has an fsync and an fdatasync that stand before the C library's, for SQLite too. */
#pragma once

#include "tests/unit/datasite/site.h"

#define KILLED_MOST 40 /* moments of one step are far fewer */

/* The n-th write to the disk of a step, from 1 on; or of the site's start. */
struct killed_moment {
    int at;
    bool after, starting;
};

/* Opens the site anew as one that counts its changes beside its keys, as a home does. */
void killed_prepare(struct site *site);
/* Copies of site.db and the count under a name, and back: in place, as no program that restores files does it, so that it
 * is not noticed and a test may begin a step again and again. The site is opened anew. */
void killed_save(struct site *site, const char *name);
void killed_restore(struct site *site, const char *name);
/* Of site.db alone, which is noticed. */
void killed_restore_database(struct site *site, const char *name);

/* Restores the copies `from` (NULL: nothing), opens the site in a process of its own, which has `ask` send it one message and ends at that moment. False: there was no
 * such moment, and the message was answered; a refusal fails the test. The site is open here when it returns. */
bool killed_site(struct site *site, const char *from, struct killed_moment moment,
                 struct reply (*ask)(void *context), void *context);

/* A copy of the reply, which stays the caller's. */
struct reply killed_kept(const struct reply *reply);

/* Of what was begun nothing is lost, and nothing is half there: rows and events of secure aggregation belong together, and
 * the rules of the ledger hold. */
void killed_expect_whole(struct site *site);
