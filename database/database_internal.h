/* Shared by database.c and query.c only. */
#pragma once

#include "database/database.h"

#include <sqlite3.h>

/* Statements kept prepared; enough for every text of one program thread, bounded all the same. */
#define DATABASE_STATEMENTS 128

struct database {
    sqlite3 *handle;
    char *path;
    const struct database_kind *kind;
    uint32_t applied;
    struct {
        const char *sql;
        sqlite3_stmt *statement;
        bool in_use;
    } cache[DATABASE_STATEMENTS];
    size_t cached;
    void (*ended)(void *context, bool committed);
    void *ended_context; /* borrowed */
};

/* The sentence for a result code of SQLite. */
MUST_USE struct error *database_failure(const struct database *database, int code);
