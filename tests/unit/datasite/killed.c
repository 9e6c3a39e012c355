#include "tests/unit/datasite/killed.h"

#include "datasite/store_internal.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the moment ---- */

static struct killed_moment sync_due; /* at 0: never */
static int sync_calls;

/* Nobody waits for the disk but who is to be killed: what a process has written outlasts it. */
static int sync_around(long call, int fd)
{
    if (sync_due.at == 0)
        return 0;
    bool due = ++sync_calls == sync_due.at;
    if (due && !sync_due.after)
        (void)kill(getpid(), SIGKILL);
    int result = (int)syscall(call, fd);
    if (due)
        (void)kill(getpid(), SIGKILL);
    return result;
}

#define EXPORT __attribute__((visibility("default")))

EXPORT int fsync(int fd)
{
    return sync_around(SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
    return sync_around(SYS_fdatasync, fd);
}

/* AddressSanitizer keeps little of what was freed: a process that has much is slow to fork. */
EXPORT const char *__asan_default_options(void);
EXPORT const char *__asan_default_options(void)
{
    return "quarantine_size_mb=2";
}

void killed_prepare(struct site *site)
{
    (void)workspace_file(site->workspace, "keys", site->keys);
    assert_int_equal(mkdir(site->keys, 0700), 0);
    must(database_run(site->store->database, "VACUUM")); /* copies are small */
    site_pause(site);
    site_resume(site);
}

/* ---- copies ---- */

static void copy_in_place(struct site *site, const char *from, const char *to)
{
    char source[160], target[160], buffer[65536];
    FILE *in = fopen(workspace_file(site->workspace, from, source), "rb");
    FILE *out = fopen(workspace_file(site->workspace, to, target), "wb");
    assert_true(in != NULL && out != NULL);
    for (size_t got; (got = fread(buffer, 1, sizeof(buffer), in)) > 0;)
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void copy_files(struct site *site, const char *name, bool back, size_t count)
{
    static const char *const files[] = {"site.db", "keys/secagg.count"};
    static const char *const endings[] = {"db", "count"};
    assert_false(workspace_has(site->workspace, "site.db-wal"));
    for (size_t i = 0; i < count; i++) {
        char copy[64];
        (void)snprintf(copy, sizeof(copy), "%s.%s", name, endings[i]);
        copy_in_place(site, back ? copy : files[i], back ? files[i] : copy);
    }
}

static void copy_closed(struct site *site, const char *name, bool back, size_t count)
{
    site_pause(site); /* the last to close leaves no log */
    copy_files(site, name, back, count);
    site_resume(site);
}

void killed_save(struct site *site, const char *name)
{
    copy_closed(site, name, false, 2);
}

void killed_restore(struct site *site, const char *name)
{
    copy_closed(site, name, true, 2);
}

void killed_restore_database(struct site *site, const char *name)
{
    copy_closed(site, name, true, 1);
}

bool killed_site(struct site *site, const char *from, struct killed_moment moment,
                 struct reply (*ask)(void *context), void *context)
{
    int status = 0;
    site_pause(site);
    if (from != NULL)
        copy_files(site, from, true, 2);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (moment.starting)
            sync_due = moment;
        site_resume(site);
        sync_due = moment;
        struct reply reply = ask(context);
        _exit(reply.type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    site_resume(site);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    else
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

struct reply killed_kept(const struct reply *reply)
{
    struct reply copy = *reply;
    copy.body = malloc(reply->body_bytes + 1);
    assert_non_null(copy.body);
    memcpy(copy.body, reply->body, reply->body_bytes);
    return copy;
}

/* ---- what is there ---- */

static void expect_running(struct site *site)
{
    assert_int_equal(site_count(site,
                                "SELECT (SELECT count(*) FROM secagg_batch) - (SELECT count(*) FROM event "
                                "WHERE kind = 'keys-advertised')"),
                     0);
    assert_int_equal(
        site_count(site, "SELECT (SELECT count(*) FROM secagg_batch WHERE shares IS NOT NULL) - (SELECT "
                         "count(*) FROM event WHERE kind = 'keys-shared')"),
        0);
    assert_int_equal(site_count(site, "SELECT count(*) FROM secagg_model WHERE round <> 1 + (SELECT "
                                      "count(*) FROM event WHERE kind = 'sum-taken')"),
                     0);
}

static void expect_ended(struct site *site)
{
    assert_int_equal(site_count(site, "SELECT count(*) FROM secagg_secret WHERE secret <> zeroblob(96)"), 0);
    assert_int_equal(
        site_count(site, "SELECT (SELECT count(*) FROM secagg_vector) + (SELECT count(*) FROM secagg_model)"),
        0);
}

void killed_expect_whole(struct site *site)
{
    must(database_check(site->store->database));
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 0);
    assert_int_equal(site_count(site,
                                "SELECT (SELECT count(*) FROM answer WHERE kind = 'masked-input') - (SELECT "
                                "count(*) FROM secagg_slot WHERE round IS NOT NULL)"),
                     0);
    assert_int_equal(site_count(site,
                                "SELECT (SELECT count(*) FROM answer WHERE kind = 'masked-input') - (SELECT "
                                "count(*) FROM event WHERE kind = 'input-released')"),
                     0);
    assert_int_equal(site_count(site,
                                "SELECT (SELECT count(*) FROM secagg_round WHERE agreement IS NOT NULL) - "
                                "(SELECT count(*) FROM event WHERE kind = 'round-agreed')"),
                     0);
    assert_int_equal(
        site_count(site, "SELECT (SELECT count(*) FROM secagg_slot WHERE state = 'revealed') - (SELECT "
                         "count(*) FROM event WHERE kind = 'shares-revealed')"),
        0);
    assert_int_equal(site_count(site, "SELECT count(*) FROM (SELECT 1 FROM event WHERE kind = 'round-agreed' "
                                      "GROUP BY run_id, round HAVING count(*) > 1)"),
                     0);
    assert_int_equal(site_count(site, "SELECT count(*) FROM (SELECT 1 FROM secagg_given GROUP BY run_id, "
                                      "slot, peer HAVING count(*) > 1)"),
                     0);
    assert_int_equal(site_count(site, "SELECT count(*) FROM run") <= 1, 1);
    if (site_count(site, "SELECT count(*) FROM run WHERE status <> 'running'") == 0)
        expect_running(site);
    else
        expect_ended(site);
}
