/* One SQLite file, opened with care: a file that is corrupt, read-only, full, from a newer version or not
 * ours gives a sentence that says which, and what would do.
 *
 * Settings: WAL, synchronous=FULL, foreign_keys, secure_delete, busy timeout 5 s, mode 0600, trusted_schema
 * off, temporary data in memory and never in a file. application_id tells whose file it is;
 * user_version counts applied migrations. Migrations are append-only SQL texts, each applied in one transaction.
 *
 * Statements are used through `struct query`: prepared from text that is a literal, bound by position,
 * stepped; the first failure is kept and returned by query_end, so that a function reads as bind, bind, step,
 * get. How a statement is run never depends on what is bound, so that each is prepared once: a partial index is used only where
 * the text itself says what the index asks for. A database belongs to one thread. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

struct database;

struct migration {
    const char *sql;
};

struct database_kind {
    const char *what; /* "the site's database": for sentences */
    uint32_t application_id;
    const struct migration *migrations; /* user_version n means the first n were applied */
    uint32_t migration_count;
    /* DATABASE_READ_ONLY takes files from this version on; 0: the newest version alone. */
    uint32_t readable_from;
};

enum database_mode { DATABASE_CREATE, DATABASE_OPEN, DATABASE_READ_ONLY };

/* OPEN and READ_ONLY: ERROR_NOT_FOUND if there is no file. OPEN applies missing migrations; READ_ONLY wants
 * them applied, unless the kind can be read from an older version on: then the reader asks which it is. */
MUST_USE struct error *database_open(const char *path, const struct database_kind *kind,
                                     enum database_mode mode, struct database **ret_database);
void database_close(struct database *database); /* accepts NULL; rolls back what is open */
const char *database_path(const struct database *database);
uint32_t database_applied(const struct database *database); /* migrations: 2 means version 2 */

/* Full integrity check (slow); ERROR_CORRUPT says what to restore. */
MUST_USE struct error *database_check(struct database *database);

/* Moves what was committed into the file itself and empties the write-ahead log, so that nothing that was overwritten
 * is left in it. ERROR_BUSY while another connection reads or writes, after `wait_ms` of waiting for it. */
MUST_USE struct error *database_truncate_log(struct database *database, int wait_ms);

/* Reads through a mapping of the file from now on, or no more; not inside a transaction. What is read of much then takes no
 * copy, but each time that another connection has committed, the mapping is made anew, which costs more than it saves where
 * little is read. Failing to map is no failure. */
void database_map(struct database *database, bool mapped);

/* Changes when another connection committed something: for polling. */
MUST_USE struct error *database_version(struct database *database, uint64_t *ret_version);

/* BEGIN IMMEDIATE … COMMIT. Nested calls are a bug (ERROR_INTERNAL). rollback accepts "nothing open". */
MUST_USE struct error *database_begin(struct database *database);
MUST_USE struct error *database_commit(struct database *database);
void database_rollback(struct database *database);
bool database_in_transaction(const struct database *database);
/* `ended` is called after every commit (true) and rollback (false) of this connection, for what is kept beside the file.
 * One at a time; NULL: none. */
void database_when_ended(struct database *database, void (*ended)(void *context, bool committed),
                         void *context);

/* One literal statement without parameters. */
MUST_USE struct error *database_run(struct database *database, const char *sql);
int64_t database_last_id(struct database *database);
int64_t database_changes(struct database *database); /* rows changed by the last statement */

struct query {
    struct database *database;
    void *statement;      /* sqlite3_stmt */
    struct error *failed; /* first failure */
    int next;             /* position of the next bind */
};

/* Prepares (cached per database by text); sql must be a string literal. */
void query_start(struct query *query, struct database *database, const char *sql);
void query_bind_int(struct query *query, int64_t value);
void query_bind_real(struct query *query, double value);
void query_bind_text(struct query *query,
                     const char *text); /* NULL binds NULL; text must live until query_end */
void query_bind_blob(struct query *query, const void *bytes, size_t count); /* must live until query_end */
void query_bind_null(struct query *query);
/* True while there is a row; false at the end or after a failure. */
bool query_step(struct query *query);
int64_t query_int(struct query *query, int column);
double query_real(struct query *query, int column);
const char *query_text(struct query *query, int column); /* "" for NULL; valid until the next step */
const uint8_t *query_blob(struct query *query, int column, size_t *ret_count); /* valid until the next step */
bool query_is_null(struct query *query, int column);
/* Copies a blob of exactly `count` bytes; another length is ERROR_CORRUPT in query_end. */
void query_blob_exact(struct query *query, int column, void *ret_bytes, size_t count);
/* Resets the statement and returns the first failure. Must be called once per query_start. */
MUST_USE struct error *query_end(struct query *query);
/* query_step once for statements without rows, then query_end. */
MUST_USE struct error *query_finish(struct query *query);
