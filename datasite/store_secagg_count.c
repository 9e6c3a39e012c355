/* The count of changes, beside the database: keys/secagg.count. Both are raised by every transaction that changes the
 * tables of secure aggregation, the file right after the commit, under a lock that is taken before it. A database that
 * was restored alone has another number than the file; files that were copied back are other files by their marker. What
 * looks like neither: everything written back in place, byte for byte, and a snapshot of the whole machine. */
#include "datasite/store_secagg_parts.h"
#include "schemas/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "FDS-COUNT1", zeros, then the number, u64 little-endian. */
#define COUNT_FILE "secagg.count"
#define COUNT_MAGIC "FDS-COUNT1"
#define COUNT_PLACE 16
#define COUNT_BYTES 24
#define COUNT_WAIT_MS 5000
#define COUNT_IDENTITY_BYTES 28
#define COUNT_MARKER_BYTES (2 * COUNT_IDENTITY_BYTES)

/* What no count ever is: of a file that was made, and the machine stopped before there was anything in it; of another one. */
#define COUNT_UNWRITTEN (UINT64_MAX - 1)
#define COUNT_DAMAGED UINT64_MAX

#define COUNT_RESTORED "site.db or keys was put back to an earlier state"
#define COUNT_BEHIND "the machine stopped before the count of changes was on the disk"

static void count_put(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static struct error *count_io(const char *what)
{
    return error_new(ERROR_IO, "The count of changes (keys/" COUNT_FILE ") cannot be %s: %s.", what,
                     strerror(errno));
}

/* ---- the file ---- */

static struct error *count_read(int fd, uint64_t *ret_changes)
{
    uint8_t bytes[COUNT_BYTES];
    ssize_t count = pread(fd, bytes, sizeof(bytes), 0);
    if (count < 0)
        return count_io("read");
    if (count == 0) {
        *ret_changes = COUNT_UNWRITTEN;
        return NULL;
    }
    if (count != (ssize_t)sizeof(bytes) || memcmp(bytes, COUNT_MAGIC, sizeof(COUNT_MAGIC)) != 0) {
        *ret_changes = COUNT_DAMAGED;
        return NULL;
    }
    uint64_t changes = 0;
    for (size_t i = 0; i < sizeof(changes); i++)
        changes |= (uint64_t)bytes[COUNT_PLACE + i] << (8 * i);
    *ret_changes = changes;
    return NULL;
}

static struct error *count_write(int fd, uint64_t changes)
{
    uint8_t bytes[COUNT_BYTES] = {0};
    memcpy(bytes, COUNT_MAGIC, sizeof(COUNT_MAGIC));
    count_put(bytes + COUNT_PLACE, changes, sizeof(changes));
    if (pwrite(fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return count_io("written");
    return NULL;
}

/* A new file, before anything is counted on: that it is there, and what is in it, outlast a loss of power. Later numbers need
 * not: one that is behind says so. */
static struct error *count_sync(int fd)
{
    return fsync(fd) == 0 ? NULL : count_io("brought to the disk");
}

static struct error *count_sync_name(const char *keys_directory)
{
    struct error *err = NULL;
    int fd = open(keys_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return count_io("brought to the disk");
    err = count_sync(fd);
    (void)close(fd);
    return err;
}

static struct error *count_lock(int fd)
{
    struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += 5) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return count_io("locked");
        if (waited >= COUNT_WAIT_MS)
            return error_new(ERROR_BUSY, "Another program holds the count of changes (keys/" COUNT_FILE ").");
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* *ret_fd is -1 when there is none. */
static struct error *count_open(const char *keys_directory, bool make, int *ret_fd)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/" COUNT_FILE, keys_directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return error_new(ERROR_INVALID, "The path of the site's keys is too long.");
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0);
    int fd = open(path, flags, 0600);
    if (fd < 0 && (make || errno != ENOENT))
        return count_io("opened");
    *ret_fd = fd;
    return NULL;
}

/* ---- which file it is ---- */

static struct error *count_identity(int directory, const char *path, int flags,
                                    uint8_t ret_identity[static COUNT_IDENTITY_BYTES])
{
    struct statx about;
    if (statx(directory, path, flags, STATX_INO | STATX_BTIME, &about) != 0)
        return count_io("looked at");
    bool born = (about.stx_mask & STATX_BTIME) != 0;
    count_put(ret_identity, ((uint64_t)about.stx_dev_major << 32) | about.stx_dev_minor, 8);
    count_put(ret_identity + 8, about.stx_ino, 8);
    count_put(ret_identity + 16, born ? (uint64_t)about.stx_btime.tv_sec : 0, 8);
    count_put(ret_identity + 24, born ? about.stx_btime.tv_nsec : 0, 4);
    return NULL;
}

static struct error *count_marker(struct store *store, int fd, uint8_t ret_marker[static COUNT_MARKER_BYTES])
{
    struct error *err = NULL;
    TRY(count_identity(fd, "", AT_EMPTY_PATH, ret_marker));
    TRY(count_identity(AT_FDCWD, database_path(store->database), 0, ret_marker + COUNT_IDENTITY_BYTES));
done:
    return err;
}

/* ---- the row ---- */

struct count_row {
    bool found, marked;
    uint64_t changes;
    uint8_t marker[COUNT_MARKER_BYTES];
};

static struct error *count_row_read(struct store *store, struct count_row *ret_row)
{
    struct count_row row = {.found = false};
    struct query query;
    query_start(&query, store->database, "SELECT changes, marker, length(marker) FROM secagg_count");
    if (query_step(&query)) {
        row.found = true;
        row.changes = (uint64_t)query_int(&query, 0);
        row.marked = query_int(&query, 2) == COUNT_MARKER_BYTES;
        if (row.marked)
            query_blob_exact(&query, 1, row.marker, COUNT_MARKER_BYTES);
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_row = row;
    return err;
}

/* `marker` NULL: as it was. */
static struct error *count_row_write(struct store *store, uint64_t changes, const uint8_t *marker)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO secagg_count VALUES (1, ?1, coalesce(?2, x'')) ON CONFLICT (one) DO UPDATE SET "
                "changes = excluded.changes, marker = coalesce(?2, marker)");
    query_bind_int(&query, (int64_t)changes);
    secagg_bind_blob(&query, marker, COUNT_MARKER_BYTES);
    return query_finish(&query);
}

/* ---- raising ---- */

/* Killed between a commit and the write of the file: one behind. */
static bool count_agrees(uint64_t in_database, uint64_t in_file)
{
    return in_database == in_file || (in_file < COUNT_UNWRITTEN && in_database == in_file + 1);
}

static struct error *count_refused(void)
{
    return error_new(ERROR_REFUSED,
                     "The site's database is not the one that keys/" COUNT_FILE
                     " was counted with: it was put back to an earlier state while the daemon ran. The owner "
                     "would start the daemon anew, which gives up what was begun.");
}

/* Whether the file's number may be raised with the database's. It stays locked until the transaction has ended, so that
 * numbers are written in the order of the commits. */
static struct error *count_take_file(struct store *store, uint64_t changes, bool erasing)
{
    struct error *err = NULL;
    uint64_t in_file = 0;
    if (store->secagg.fd < 0)
        return NULL;
    TRY(count_lock(store->secagg.fd));
    TRY(count_read(store->secagg.fd, &in_file));
    if (count_agrees(changes, in_file))
        goto done;
    if (!erasing)
        TRY(count_refused());
    store->secagg.changes = in_file; /* still disagrees, for the next start to find */
    store->secagg.disagrees = true;
done:
    return err;
}

/* A raise that failed is none: the next one of the transaction compares again. */
static void count_give_back(struct secagg_counting *counting)
{
    counting->disagrees = false;
    if (counting->fd >= 0)
        (void)flock(counting->fd, LOCK_UN);
}

struct error *secagg_count_raise(struct store *store, bool erasing)
{
    struct error *err = NULL;
    struct secagg_counting *counting = &store->secagg;
    struct count_row row;
    if (counting->raised)
        return counting->disagrees && !erasing ? count_refused() : NULL;
    TRY(count_row_read(store, &row));
    counting->changes = row.changes + 1;
    TRY(count_take_file(store, row.changes, erasing));
    TRY(count_row_write(store, row.changes + 1, NULL));
    counting->raised = true;
done:
    if (err != NULL)
        count_give_back(counting);
    return err;
}

void secagg_erased(struct store *store)
{
    store->secagg.erased = true;
}

void secagg_erased_patiently(struct store *store)
{
    store->secagg.patient = true;
}

static struct error *log_empty(struct store *store)
{
    struct error *err = database_truncate_log(store->database, 0);
    if (err == NULL)
        store->secagg.unwiped = false;
    else if (err->code == ERROR_BUSY)
        error_clear(&err);
    return err;
}

/* A failure to write costs open slots at the next start, and no secret. */
static void count_ended(void *context, bool committed)
{
    struct store *store = context;
    struct secagg_counting *counting = &store->secagg;
    bool raised = counting->raised, patient = counting->patient;
    if (committed && counting->erased && !counting->unwiped) {
        counting->unwiped = true;
        counting->unwiped_since = clock_monotonic_ms();
    }
    counting->raised = false;
    counting->disagrees = false;
    counting->erased = false;
    counting->patient = false;
    if (raised && counting->fd >= 0) {
        if (committed)
            error_free(count_write(counting->fd, counting->changes));
        (void)flock(counting->fd, LOCK_UN);
    }
    if (committed && counting->unwiped &&
        (!patient || clock_monotonic_ms() - counting->unwiped_since >= SECAGG_WIPE_MS))
        error_free(log_empty(store));
}

void secagg_count_watch(struct store *store)
{
    database_when_ended(store->database, count_ended, store);
}

void secagg_count_close(struct store *store)
{
    if (store->secagg.fd >= 0)
        (void)close(store->secagg.fd);
    store->secagg.fd = -1;
}

struct error *store_secagg_wipe(struct store *store)
{
    struct error *err = NULL;
    uint64_t version = 0;
    TRY(store_version(store, &version));
    store->secagg.unwiped = store->secagg.unwiped || version != store->secagg.version;
    store->secagg.version = version;
    if (store->secagg.unwiped)
        TRY(log_empty(store));
done:
    return err;
}

struct error *store_secagg_count_in(struct store *store, const char *keys_directory)
{
    struct error *err = NULL;
    int fd = -1;
    TRY(count_open(keys_directory, false, &fd));
    secagg_count_close(store);
    store->secagg.fd = fd;
done:
    return err;
}

/* ---- when the daemon opens its home ---- */

/* The machine stopped at the first start, before there was anything in the file: nothing was counted yet. */
static bool count_unwritten(const struct count_row *row, uint64_t in_file)
{
    return in_file == COUNT_UNWRITTEN && (!row->found || row->changes == 0);
}

/* What a difference is due to; NULL: there is none. */
static const char *count_compare(const struct count_row *row, bool has_file, uint64_t in_file,
                                 const uint8_t marker[static COUNT_MARKER_BYTES])
{
    bool unwritten = count_unwritten(row, in_file);
    if (!row->found && (!has_file || unwritten))
        return NULL;
    if (!row->found || !has_file || !row->marked || memcmp(row->marker, marker, COUNT_MARKER_BYTES) != 0)
        return COUNT_RESTORED;
    if (unwritten)
        return NULL;
    if (row->changes < in_file)
        return COUNT_RESTORED;
    return count_agrees(row->changes, in_file) ? NULL : COUNT_BEHIND;
}

static struct error *count_restored(struct store *store, const char *why, int64_t now, uint32_t *ret_killed)
{
    struct error *err = NULL;
    uint32_t killed = 0;
    TRY(store_secagg_kill_all(store, &killed));
    TRY(store_event_add(store, EVENT_SLOTS_KILLED, NULL, NULL, 0, now, why, NULL));
    *ret_killed = killed;
done:
    return err;
}

/* In a transaction; the file is locked. *ret_changes: what the file has to say once this is committed. */
static struct error *count_settle(struct store *store, int fd, bool has_file, int64_t now,
                                  uint64_t *ret_changes, uint32_t *ret_killed)
{
    struct error *err = NULL;
    struct count_row row;
    uint8_t marker[COUNT_MARKER_BYTES];
    uint64_t in_file = COUNT_DAMAGED;
    uint32_t killed = 0;
    TRY(count_row_read(store, &row));
    TRY(count_marker(store, fd, marker));
    if (has_file)
        TRY(count_read(fd, &in_file));
    const char *why = count_compare(&row, has_file, in_file, marker);
    if (why != NULL) {
        TRY(count_restored(store, why, now, &killed));
        TRY(count_row_read(store, &row));
    }
    TRY(count_row_write(store, row.changes, marker));
    *ret_changes = row.changes;
    *ret_killed = killed;
done:
    return err;
}

struct error *store_secagg_check_count(struct store *store, const char *keys_directory, int64_t now,
                                       uint32_t *ret_killed)
{
    struct error *err = NULL;
    int fd = -1;
    bool has_file = false;
    uint64_t changes = 0;
    uint32_t killed = 0;
    secagg_count_close(store);
    TRY(database_begin(store->database));
    TRY(count_open(keys_directory, false, &fd));
    has_file = fd >= 0;
    if (!has_file) {
        TRY(count_open(keys_directory, true, &fd));
        TRY(count_sync_name(keys_directory));
    }
    TRY(count_lock(fd));
    TRY(count_settle(store, fd, has_file, now, &changes, &killed));
    store->secagg.unwiped = true; /* by whoever had the file before, and was killed */
    TRY(database_commit(store->database));
    TRY(count_write(fd, changes));
    TRY(count_sync(fd)); /* nothing is counted on before */
    (void)flock(fd, LOCK_UN);
    store->secagg.fd = fd;
    fd = -1;
    *ret_killed = killed;
done:
    if (err != NULL)
        database_rollback(store->database);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

struct error *secagg_count_trusts(struct store *store, const struct digest *job_id)
{
    struct error *err = NULL;
    struct query query;
    bool later = true;
    query_start(
        &query, store->database,
        "WITH approved (at) AS (SELECT coalesce(max(id), 0) FROM event WHERE job_id = ?1 AND kind = "
        "'job-approved') SELECT EXISTS (SELECT 1 FROM event, approved WHERE kind = 'slots-killed' AND "
        "detail = ?2 AND id > approved.at) OR EXISTS (SELECT 1 FROM event, approved WHERE (kind = "
        "'chain-contradicted' OR kind = 'chain-accepted') AND id > approved.at)");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_text(&query, COUNT_RESTORED);
    if (query_step(&query))
        later = query_int(&query, 0) != 0;
    TRY(query_end(&query));
    if (later)
        FAIL(
            ERROR_REFUSED,
            "This site's database was put back to an earlier state after this job was approved, and what the "
            "site signed in between is not known: the job would have to be submitted under another name.");
done:
    return err;
}
