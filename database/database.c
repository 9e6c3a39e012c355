#include "database/database.h"
#include "database/database_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATABASE_BUSY_MS 5000
#define DATABASE_MMAP_BYTES 1073741824 /* reads of large chunks without a copy through the page cache */

struct error *database_failure(const struct database *database, int code)
{
    const char *what = database->kind->what;
    const char *path = database->path;
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_new(
            ERROR_CORRUPT,
            "%s (%s) is damaged or is not a database. Stop the program and restore the file from a "
            "backup; check a copy with: sqlite3 COPY 'PRAGMA integrity_check'.",
            what, path);
    case SQLITE_FULL:
        return error_new(ERROR_IO,
                         "There is no room left for %s (%s): nothing was changed. Free some disk space.",
                         what, path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return error_new(ERROR_IO,
                         "%s (%s) is read-only: nothing was changed. Make the file and its folder writable.",
                         what, path);
    case SQLITE_CANTOPEN:
        return error_new(ERROR_IO,
                         "%s (%s) cannot be opened. Check that the folder exists and its permissions.", what,
                         path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_new(ERROR_BUSY, "%s (%s) is in use by another command. Try again in a moment.", what,
                         path);
    case SQLITE_NOMEM:
        return error_new(ERROR_MEMORY, "There is not enough memory to use %s.", what);
    case SQLITE_CONSTRAINT:
        return error_new(ERROR_CONFLICT, "%s (%s) refused a change: %s.", what, path,
                         sqlite3_errmsg(database->handle));
    case SQLITE_IOERR:
        return error_new(ERROR_IO, "%s (%s) could not be read or written: %s. Check the disk.", what, path,
                         sqlite3_errmsg(database->handle));
    default:
        return error_new(ERROR_INTERNAL, "%s (%s) failed: %s.", what, path, sqlite3_errmsg(database->handle));
    }
}

struct error *database_run(struct database *database, const char *sql)
{
    int code = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? NULL : database_failure(database, code);
}

static struct error *database_read_int(struct database *database, const char *sql, int64_t *ret_value)
{
    struct query query;
    int64_t value = 0;
    query_start(&query, database, sql);
    if (query_step(&query))
        value = query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_value = value;
    return err;
}

/* SQLite would create the file with the umask's mode; it holds private records, so it is made 0600 first. */
static struct error *database_make_file(const char *path, const struct database_kind *kind,
                                        enum database_mode mode)
{
    if (mode != DATABASE_CREATE) {
        if (access(path, F_OK) != 0)
            return error_new(ERROR_NOT_FOUND, "%s is not there: %s does not exist.", kind->what, path);
        return NULL;
    }
    int file = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return error_errno(ERROR_IO, errno, "%s (%s) cannot be created", kind->what, path);
    (void)close(file);
    return NULL;
}

/* Whose file it is, and of which version. A new, empty file passes only when it may be created. */
static struct error *database_check_owner(struct database *database, enum database_mode mode,
                                          int64_t *ret_user_version)
{
    struct error *err = NULL;
    int64_t application = 0, version = 0, objects = 0;
    TRY(database_read_int(database, "PRAGMA application_id", &application));
    TRY(database_read_int(database, "PRAGMA user_version", &version));
    TRY(database_read_int(database, "SELECT count(*) FROM sqlite_schema", &objects));
    bool is_empty = application == 0 && version == 0 && objects == 0;
    if (application != (int64_t)database->kind->application_id && !(is_empty && mode == DATABASE_CREATE))
        FAIL(ERROR_CORRUPT, "%s is not %s: it was made by another program, or its creation was cut off.",
             database->path, database->kind->what);
    if (version < 0 || version > (int64_t)database->kind->migration_count)
        FAIL(ERROR_UNSUPPORTED,
             "%s (%s) is of version %lld and this program knows versions up to %u. Install a newer release.",
             database->kind->what, database->path, (long long)version, database->kind->migration_count);
    *ret_user_version = version;
done:
    return err;
}

static struct error *database_apply(struct database *database, uint32_t number)
{
    struct error *err = NULL;
    char pragmas[128];
    (void)snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %u; PRAGMA user_version = %u;",
                   database->kind->application_id, number + 1);
    TRY(database_begin(database));
    TRY(database_run(database, database->kind->migrations[number].sql));
    TRY(database_run(database, pragmas));
    TRY(database_commit(database));
done:
    if (err != NULL)
        database_rollback(database);
    return err;
}

static struct error *database_settings(struct database *database, enum database_mode mode)
{
    struct error *err = NULL;
    /* A plan is never chosen by what is bound. Else a statement over a table with a partial index is prepared anew each
     * time that a value is bound which the index's condition might ask for. */
    int code = sqlite3_db_config(database->handle, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
    if (code != SQLITE_OK)
        return database_failure(database, code);
    TRY(database_run(database, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                               "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;"
                               "PRAGMA temp_store = MEMORY;"));
    if (mode == DATABASE_READ_ONLY)
        return NULL;
    if (sqlite3_db_readonly(database->handle, "main") == 1)
        return database_failure(database, SQLITE_READONLY);
    TRY(database_run(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"));
done:
    return err;
}

static struct error *database_prepare_file(struct database *database, enum database_mode mode)
{
    struct error *err = NULL;
    int64_t version = 0;
    (void)sqlite3_busy_timeout(database->handle, DATABASE_BUSY_MS);
    (void)sqlite3_db_config(database->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    TRY(database_check_owner(database, mode, &version));
    TRY(database_settings(database, mode));
    database->applied = (uint32_t)version;
    if (mode == DATABASE_READ_ONLY && database->kind->readable_from != 0 &&
        version >= (int64_t)database->kind->readable_from)
        goto done;
    if (version < (int64_t)database->kind->migration_count && mode == DATABASE_READ_ONLY)
        FAIL(ERROR_UNSUPPORTED, "%s (%s) is of an older version: run a command that may change it once.",
             database->kind->what, database->path);
    for (uint32_t number = (uint32_t)version; number < database->kind->migration_count; number++)
        TRY(database_apply(database, number));
    database->applied = database->kind->migration_count;
done:
    return err;
}

/* SQLite counts its memory under a lock of the process, at every allocation of every connection; nobody asks for the count. It
 * takes this before its first connection alone. */
static void database_library_settings(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct error *database_open(const char *path, const struct database_kind *kind, enum database_mode mode,
                            struct database **ret_database)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct error *err = NULL;
    struct database *database = NULL;
    (void)pthread_once(&once, database_library_settings);
    TRY(database_make_file(path, kind, mode));
    database = calloc(1, sizeof(*database));
    if (database == NULL || (database->path = strdup(path)) == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to open %s.", kind->what);
    database->kind = kind;
    int flags = mode == DATABASE_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    int code = sqlite3_open_v2(path, &database->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        err = database_failure(database, code);
        goto done;
    }
    TRY(database_prepare_file(database, mode));
    *ret_database = database;
    database = NULL;
done:
    database_close(database);
    return err;
}

void database_close(struct database *database)
{
    if (database == NULL)
        return;
    for (size_t i = 0; i < database->cached; i++)
        (void)sqlite3_finalize(database->cache[i].statement);
    (void)sqlite3_close_v2(database->handle);
    free(database->path);
    free(database);
}

const char *database_path(const struct database *database)
{
    return database->path;
}

uint32_t database_applied(const struct database *database)
{
    return database->applied;
}

struct error *database_check(struct database *database)
{
    struct query query;
    bool is_sound = false;
    query_start(&query, database, "PRAGMA integrity_check(1)");
    if (query_step(&query))
        is_sound = strcmp(query_text(&query, 0), "ok") == 0;
    struct error *err = query_end(&query);
    if (err == NULL && !is_sound)
        err = database_failure(database, SQLITE_CORRUPT);
    return err;
}

struct error *database_truncate_log(struct database *database, int wait_ms)
{
    (void)sqlite3_busy_timeout(database->handle, wait_ms);
    int code = sqlite3_wal_checkpoint_v2(database->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_busy_timeout(database->handle, DATABASE_BUSY_MS);
    return code == SQLITE_OK ? NULL : database_failure(database, code);
}

void database_map(struct database *database, bool mapped)
{
    sqlite3_int64 bytes = mapped ? DATABASE_MMAP_BYTES : 0;
    (void)sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_MMAP_SIZE, &bytes);
}

struct error *database_version(struct database *database, uint64_t *ret_version)
{
    int64_t version = 0;
    struct error *err = database_read_int(database, "PRAGMA data_version", &version);
    if (err == NULL)
        *ret_version = (uint64_t)version;
    return err;
}

/* As database_run, of a text that is used so often that its statement is kept. */
static struct error *database_step_kept(struct database *database, const char *sql)
{
    struct query query;
    query_start(&query, database, sql);
    return query_finish(&query);
}

struct error *database_begin(struct database *database)
{
    if (database_in_transaction(database))
        return error_new(ERROR_INTERNAL, "A transaction of %s was begun inside another.",
                         database->kind->what);
    return database_step_kept(database, "BEGIN IMMEDIATE");
}

struct error *database_commit(struct database *database)
{
    struct error *err = database_step_kept(database, "COMMIT");
    if (err == NULL && database->ended != NULL)
        database->ended(database->ended_context, true);
    return err;
}

void database_rollback(struct database *database)
{
    if (database_in_transaction(database))
        (void)sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
    if (database->ended != NULL)
        database->ended(database->ended_context, false);
}

void database_when_ended(struct database *database, void (*ended)(void *context, bool committed),
                         void *context)
{
    database->ended = ended;
    database->ended_context = context;
}

bool database_in_transaction(const struct database *database)
{
    return sqlite3_get_autocommit(database->handle) == 0;
}

int64_t database_last_id(struct database *database)
{
    return sqlite3_last_insert_rowid(database->handle);
}

int64_t database_changes(struct database *database)
{
    return sqlite3_changes64(database->handle);
}
