#include "database/database.h"
#include "database/database_internal.h"

/* The kept statement of the text that is free; NULL: there is none. A text is a literal, so that it mostly is at the same
 * place each time, which is looked at before any is compared. */
static sqlite3_stmt *query_kept(struct database *database, const char *sql)
{
    for (int by_text = 0; by_text < 2; by_text++) {
        for (size_t i = 0; i < database->cached; i++) {
            const char *kept = database->cache[i].sql;
            if (database->cache[i].in_use || !(kept == sql || (by_text && strcmp(kept, sql) == 0)))
                continue;
            database->cache[i].in_use = true;
            return database->cache[i].statement;
        }
    }
    return NULL;
}

/* A statement that is stepped while the same text is used again gets a second copy, which query_end
 * finalises. */
static sqlite3_stmt *query_prepare(struct database *database, const char *sql, struct error **ret_failed)
{
    sqlite3_stmt *statement = query_kept(database, sql);
    if (statement != NULL)
        return statement;
    int code = sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    if (code != SQLITE_OK) {
        *ret_failed = database_failure(database, code);
        return NULL;
    }
    if (database->cached < DATABASE_STATEMENTS) {
        database->cache[database->cached].sql = sql;
        database->cache[database->cached].statement = statement;
        database->cache[database->cached].in_use = true;
        database->cached++;
    }
    return statement;
}

void query_start(struct query *query, struct database *database, const char *sql)
{
    query->database = database;
    query->failed = NULL;
    query->next = 1;
    query->statement = query_prepare(database, sql, &query->failed);
}

/* Keeps the first failure of a bind. */
static void query_note(struct query *query, int code)
{
    if (code != SQLITE_OK && query->failed == NULL)
        query->failed = database_failure(query->database, code);
}

void query_bind_int(struct query *query, int64_t value)
{
    if (query->failed == NULL)
        query_note(query, sqlite3_bind_int64(query->statement, query->next++, value));
}

void query_bind_real(struct query *query, double value)
{
    if (query->failed == NULL)
        query_note(query, sqlite3_bind_double(query->statement, query->next++, value));
}

void query_bind_text(struct query *query, const char *text)
{
    if (query->failed == NULL)
        query_note(query, sqlite3_bind_text(query->statement, query->next++, text, -1, SQLITE_STATIC));
}

void query_bind_blob(struct query *query, const void *bytes, size_t count)
{
    /* A NULL pointer would bind NULL: an empty blob keeps its type. */
    const void *start = count == 0 ? "" : bytes;
    if (query->failed == NULL)
        query_note(query, sqlite3_bind_blob64(query->statement, query->next++, start, count, SQLITE_STATIC));
}

void query_bind_null(struct query *query)
{
    if (query->failed == NULL)
        query_note(query, sqlite3_bind_null(query->statement, query->next++));
}

bool query_step(struct query *query)
{
    if (query->failed != NULL)
        return false;
    int code = sqlite3_step(query->statement);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        query->failed = database_failure(query->database, code);
    return false;
}

int64_t query_int(struct query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

double query_real(struct query *query, int column)
{
    return sqlite3_column_double(query->statement, column);
}

const char *query_text(struct query *query, int column)
{
    const unsigned char *text = sqlite3_column_text(query->statement, column);
    return text == NULL ? "" : (const char *)text;
}

const uint8_t *query_blob(struct query *query, int column, size_t *ret_count)
{
    const uint8_t *bytes = sqlite3_column_blob(query->statement, column);
    *ret_count = (size_t)sqlite3_column_bytes(query->statement, column);
    return bytes;
}

bool query_is_null(struct query *query, int column)
{
    return sqlite3_column_type(query->statement, column) == SQLITE_NULL;
}

void query_blob_exact(struct query *query, int column, void *ret_bytes, size_t count)
{
    size_t found = 0;
    const uint8_t *bytes = query_blob(query, column, &found);
    if (found == count && count > 0) {
        memcpy(ret_bytes, bytes, count);
    } else if (found != count && query->failed == NULL) {
        query->failed = database_failure(query->database, SQLITE_CORRUPT);
    }
}

struct error *query_end(struct query *query)
{
    struct database *database = query->database;
    sqlite3_stmt *statement = query->statement;
    struct error *failed = query->failed;
    query->statement = NULL;
    query->failed = NULL;
    if (statement == NULL)
        return failed;
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    for (size_t i = 0; i < database->cached; i++) {
        if (database->cache[i].statement == statement) {
            database->cache[i].in_use = false;
            return failed;
        }
    }
    (void)sqlite3_finalize(statement);
    return failed;
}

struct error *query_finish(struct query *query)
{
    (void)query_step(query);
    return query_end(query);
}
