/* keys/secagg.count: what is noticed of a database that was put back, and what is only a program that was killed. */
#include "datasite/store_internal.h"
#include "tests/unit/datasite/slots.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_BYTES 24
#define COUNT_PLACE 16

/* What was brought to the disk, by the code that is tested (linked with --wrap=fsync). */
static struct {
    bool directory, count;
} synced;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat about;
    assert_int_equal(fstat(fd, &about), 0);
    synced.directory = synced.directory || S_ISDIR(about.st_mode);
    synced.count = synced.count || (S_ISREG(about.st_mode) && about.st_size == COUNT_BYTES);
    return __real_fsync(fd);
}

static const char *keys(const struct slots *slots, char path[static 160])
{
    return workspace_file(slots->workspace, "keys", path);
}

static const char *count_file(const struct slots *slots, char path[static 160])
{
    return workspace_file(slots->workspace, "keys/secagg.count", path);
}

/* What the daemon does when it starts. */
static uint32_t restart(struct slots *slots)
{
    char path[160];
    uint32_t killed = 0;
    store_close(slots->store);
    slots->store = workspace_store(slots->workspace);
    must(store_secagg_check_count(slots->store, keys(slots, path), SLOTS_NOW, &killed));
    return killed;
}

/* A home that was served, with three slots that are open. */
static int counted_make(void **state)
{
    char path[160];
    if (slots_make(state) != 0)
        return -1;
    struct slots *slots = *state;
    if (mkdir(keys(slots, path), 0700) != 0 || restart(slots) != 0)
        return -1;
    slots_advertise(slots, 0, 3);
    slots_share(slots, 0, 3);
    return 0;
}

static uint64_t count_on_disk(const struct slots *slots)
{
    char path[160];
    uint8_t bytes[COUNT_BYTES + 1];
    FILE *file = fopen(count_file(slots, path), "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof(bytes), file), COUNT_BYTES);
    (void)fclose(file);
    return bytes[COUNT_PLACE] | (uint64_t)bytes[COUNT_PLACE + 1] << 8;
}

/* In place: the file stays the same one. */
static void set_count(const struct slots *slots, uint64_t count)
{
    char path[160];
    uint8_t bytes[8] = {(uint8_t)count, (uint8_t)(count >> 8)};
    int fd = open(count_file(slots, path), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), COUNT_PLACE), sizeof(bytes));
    (void)close(fd);
}

/* As `cp`: the bytes of one file into another, in place or as a new file. */
static void copy(const char *from, const char *to, bool in_place)
{
    char buffer[65536];
    FILE *in = fopen(from, "rb");
    assert_non_null(in);
    if (!in_place)
        (void)unlink(to);
    FILE *out = fopen(to, "wb");
    assert_non_null(out);
    for (size_t got; (got = fread(buffer, 1, sizeof(buffer), in)) > 0;)
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void expect_alive(struct slots *slots)
{
    for (uint32_t slot = 0; slot < 3; slot++)
        assert_int_equal(slots_state(slots, slot), SECAGG_SLOT_OPEN);
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 0);
}

static void expect_dead(struct slots *slots)
{
    for (uint32_t slot = 0; slot < 3; slot++)
        assert_int_equal(slots_state(slots, slot), SECAGG_SLOT_DEAD);
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 1);
    assert_int_equal(restart(slots), 0); /* told once */
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 1);
}

/* Whether jobs that were approved before are gone on with. */
static void expect_barred(struct slots *slots, bool barred)
{
    struct error *err = store_secagg_advertise(slots->store, &slots->job, slots->run, 3, 1, slots->secrets,
                                               (const uint8_t *)"x", 1);
    if (barred)
        refused(err, ERROR_REFUSED, "put back to an earlier state after this job was approved");
    else
        must(err);
}

static void test_store_secagg_count_goes_with_every_commit(void **state)
{
    struct slots *slots = *state;
    assert_int_equal(count_on_disk(slots), 2);
    assert_int_equal(slots_count(slots, "SELECT changes FROM secagg_count"), 2);
    must(slots_bind(slots, 0, 1, 0));
    assert_int_equal(count_on_disk(slots), 3);
    must(store_secagg_begin(slots->store));
    must(slots_bind(slots, 1, 1, 1));
    store_secagg_rollback(slots->store);
    assert_int_equal(count_on_disk(slots), 3);
    assert_int_equal(restart(slots), 0);
    assert_int_equal(slots_count(slots, "SELECT changes FROM secagg_count"), 3);
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_BOUND);
}

static void test_store_secagg_count_of_a_second_store_goes_into_the_same_file(void **state)
{
    struct slots *slots = *state;
    char path[160];
    struct store *first = slots->store, *second = workspace_store(slots->workspace);
    must(store_secagg_count_in(second, keys(slots, path)));
    slots->store = second;
    must(slots_bind(slots, 0, 1, 0));
    slots->store = first;
    must(slots_bind(slots, 1, 2, 0));
    store_close(second);
    assert_int_equal(count_on_disk(slots), 4);
    assert_int_equal(restart(slots), 0);
}

/* Between the commit and the write of the file. */
static void test_store_secagg_count_killed_in_between_goes_on(void **state)
{
    struct slots *slots = *state;
    set_count(slots, 1);
    assert_int_equal(restart(slots), 0);
    expect_alive(slots);
    assert_int_equal(count_on_disk(slots), 2);
    set_count(slots, 1);
    must(slots_bind(slots, 0, 1, 0)); /* another program was killed; this one goes on */
    assert_int_equal(count_on_disk(slots), 3);
}

static void test_store_secagg_count_lost_with_the_power_costs_open_slots_only(void **state)
{
    struct slots *slots = *state;
    set_count(slots, 0);
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
    expect_barred(slots, false);
}

static void test_store_secagg_count_ahead_kills_and_bars(void **state)
{
    struct slots *slots = *state;
    set_count(slots, 3);
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
    expect_barred(slots, true);
}

static void test_store_secagg_count_restored_database_kills_and_bars(void **state)
{
    struct slots *slots = *state;
    char backup[160], wal[160];
    must(store_wipe_log(slots->store));
    copy(slots->workspace->database, workspace_file(slots->workspace, "backup.db", backup), false);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    must(slots_agree(slots, 1, 0, 0xaa));
    store_close(slots->store);
    copy(backup, slots->workspace->database, true);
    (void)unlink(workspace_file(slots->workspace, "site.db-wal", wal));
    slots->store = workspace_store(slots->workspace);
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
    expect_barred(slots, true);
}

/* Database and keys together, of the same moment, as any program restores them: as new files. */
static void test_store_secagg_count_restored_home_kills_and_bars(void **state)
{
    struct slots *slots = *state;
    char database[160], count[160], path[160];
    must(store_wipe_log(slots->store));
    store_close(slots->store);
    copy(slots->workspace->database, workspace_file(slots->workspace, "backup.db", database), false);
    copy(count_file(slots, path), workspace_file(slots->workspace, "backup.count", count), false);
    slots->store = workspace_store(slots->workspace);
    assert_int_equal(restart(slots), 0);
    must(slots_bind(slots, 0, 1, 0));
    store_close(slots->store);
    copy(database, slots->workspace->database, false);
    copy(count, path, false);
    slots->store = workspace_store(slots->workspace);
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
    expect_barred(slots, true);
}

static void test_store_secagg_count_copied_file_kills_and_bars(void **state)
{
    struct slots *slots = *state;
    char copied[160], path[160];
    copy(count_file(slots, path), workspace_file(slots->workspace, "copy", copied), false);
    assert_int_equal(rename(copied, path), 0);
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
    expect_barred(slots, true);
}

static void test_store_secagg_count_missing_file_kills_and_bars(void **state)
{
    struct slots *slots = *state;
    char path[160];
    assert_int_equal(unlink(count_file(slots, path)), 0);
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
    expect_barred(slots, true);
}

static void test_store_secagg_count_missing_row_kills_and_bars(void **state)
{
    struct slots *slots = *state;
    slots_sql(slots, "DELETE FROM secagg_count");
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
    expect_barred(slots, true);
}

static void test_store_secagg_count_damaged_file_kills(void **state)
{
    struct slots *slots = *state;
    char path[160];
    assert_int_equal(truncate(count_file(slots, path), 10), 0);
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
}

static void forget_the_file(struct slots *slots)
{
    char path[160];
    slots_sql(slots, "DELETE FROM secagg_count");
    assert_int_equal(unlink(count_file(slots, path)), 0);
}

/* Else a loss of power soon after would look like a restore. */
static void test_store_secagg_count_first_start_is_on_the_disk(void **state)
{
    struct slots *slots = *state;
    forget_the_file(slots);
    memset(&synced, 0, sizeof(synced));
    assert_int_equal(restart(slots), 0);
    assert_true(synced.directory);
    assert_true(synced.count);
}

/* Before the commit of the first start, and behind it: an empty file. */
static void test_store_secagg_count_first_start_cut_short_bars_nothing(void **state)
{
    struct slots *slots = *state;
    char path[160];
    forget_the_file(slots);
    copy("/dev/null", count_file(slots, path), true);
    assert_int_equal(restart(slots), 0);
    expect_alive(slots);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(restart(slots), 0);
    expect_alive(slots);
    assert_int_equal(count_on_disk(slots), 0);
    expect_barred(slots, false);
}

/* Once something was counted, an empty file is a damaged one. */
static void test_store_secagg_count_emptied_file_kills_and_bars(void **state)
{
    struct slots *slots = *state;
    char path[160];
    assert_int_equal(truncate(count_file(slots, path), 0), 0);
    assert_int_equal(restart(slots), 3);
    expect_dead(slots);
    expect_barred(slots, true);
}

/* Under a daemon that runs: nothing is done any more but to erase. */
static void test_store_secagg_count_that_jumps_under_the_daemon_refuses_changes(void **state)
{
    struct slots *slots = *state;
    set_count(slots, 9);
    refused(slots_bind(slots, 0, 1, 0), ERROR_REFUSED, "put back to an earlier state while the daemon ran");
    must(store_secagg_kill(slots->store, slots->run, UINT32_MAX));
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_DEAD);
    assert_int_equal(count_on_disk(slots), 9);
    assert_int_equal(restart(slots), 0);
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 1);
}

/* Several changes in one transaction, of which the first is refused, or is one that erases: the next is refused as well. */
static void test_store_secagg_count_that_jumps_refuses_every_change_of_a_transaction(void **state)
{
    struct slots *slots = *state;
    set_count(slots, 9);
    must(store_secagg_begin(slots->store));
    for (int i = 0; i < 2; i++)
        refused(slots_bind(slots, 0, 1, 0), ERROR_REFUSED, "while the daemon ran");
    must(store_secagg_kill(slots->store, slots->run, 1));
    for (int i = 0; i < 2; i++)
        refused(slots_bind(slots, 1, 1, 0), ERROR_REFUSED, "while the daemon ran");
    must(store_secagg_commit(slots->store));
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_DEAD);
    assert_int_equal(slots_state(slots, 1), SECAGG_SLOT_OPEN);
    assert_int_equal(count_on_disk(slots), 9);
    set_count(slots, (uint64_t)slots_count(slots, "SELECT changes FROM secagg_count"));
    must(slots_bind(slots, 1, 1, 0)); /* as it should be again: and so is this */
}

/* What a refused change held is free again for other programs. */
static void test_store_secagg_count_refused_lets_the_file_go(void **state)
{
    struct slots *slots = *state;
    char path[160];
    set_count(slots, 9);
    must(store_secagg_begin(slots->store));
    refused(slots_bind(slots, 0, 1, 0), ERROR_REFUSED, "while the daemon ran");
    int fd = open(count_file(slots, path), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    (void)close(fd);
    store_secagg_rollback(slots->store);
}

/* An owner's command in a home that no daemon ever served. */
static void test_store_secagg_count_without_a_file_is_not_made_by_others(void **state)
{
    struct slots *slots = *state;
    char path[160];
    assert_int_equal(unlink(count_file(slots, path)), 0);
    store_close(slots->store);
    slots->store = workspace_store(slots->workspace);
    char directory[160];
    must(store_secagg_count_in(slots->store, keys(slots, directory)));
    must(store_secagg_kill(slots->store, slots->run, 1));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(restart(slots), 2);
}

/* Killed for good, in the middle and right behind the commit of a change, and again and again. */
static void test_store_secagg_count_killed_programs_lose_nothing(void **state)
{
    struct slots *slots = *state;
    char path[160];
    for (uint32_t slot = 0; slot < 3; slot++) {
        int status = 0;
        store_close(slots->store);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            slots->store = workspace_store(slots->workspace);
            must(store_secagg_count_in(slots->store, keys(slots, path)));
            if (slot != 1) /* at slot 1: before the commit */
                must(slots_bind(slots, slot, slot + 1, 0));
            must(store_secagg_begin(slots->store));
            must(slots_encode(slots, 9, (const uint8_t *)"v", 1));
            (void)kill(getpid(), SIGKILL);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        slots->store = workspace_store(slots->workspace);
        assert_int_equal(restart(slots), 0);
        assert_int_equal(slots_state(slots, slot), slot == 1 ? SECAGG_SLOT_OPEN : SECAGG_SLOT_BOUND);
        assert_int_equal(slots_count(slots, "SELECT count(*) FROM secagg_vector"), 0);
    }
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, counted_make, slots_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_secagg_count_goes_with_every_commit),
        TEST(test_store_secagg_count_of_a_second_store_goes_into_the_same_file),
        TEST(test_store_secagg_count_killed_in_between_goes_on),
        TEST(test_store_secagg_count_lost_with_the_power_costs_open_slots_only),
        TEST(test_store_secagg_count_ahead_kills_and_bars),
        TEST(test_store_secagg_count_restored_database_kills_and_bars),
        TEST(test_store_secagg_count_restored_home_kills_and_bars),
        TEST(test_store_secagg_count_copied_file_kills_and_bars),
        TEST(test_store_secagg_count_missing_file_kills_and_bars),
        TEST(test_store_secagg_count_missing_row_kills_and_bars),
        TEST(test_store_secagg_count_damaged_file_kills),
        TEST(test_store_secagg_count_that_jumps_under_the_daemon_refuses_changes),
        TEST(test_store_secagg_count_first_start_is_on_the_disk),
        TEST(test_store_secagg_count_first_start_cut_short_bars_nothing),
        TEST(test_store_secagg_count_emptied_file_kills_and_bars),
        TEST(test_store_secagg_count_that_jumps_refuses_every_change_of_a_transaction),
        TEST(test_store_secagg_count_refused_lets_the_file_go),
        TEST(test_store_secagg_count_without_a_file_is_not_made_by_others),
        TEST(test_store_secagg_count_killed_programs_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
