/* A datasite is killed at every moment of every step of secure aggregation: whenever something of site.db is brought to the
 * disk, before and after it. When it comes back it has lost no key slot, gives the same bytes for what it had written, and
 * the round ends in the right sum. When its database was put back to an earlier state meanwhile, every slot is dead. */
#include "datasite/store_internal.h"
#include "tests/unit/datasite/company.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS_MOST 40 /* moments of one step are far fewer */

/* ---- the moment: these stand before the C library's, for SQLite too ---- */

static int sync_kill_at, sync_calls; /* 0: never */
static bool sync_kill_after;

static int sync_around(long call, int fd)
{
    bool due = sync_kill_at > 0 && ++sync_calls == sync_kill_at;
    if (due && !sync_kill_after)
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

/* ---- the steps ---- */

enum kill_step { KILL_ADVERTISE, KILL_SHARE, KILL_MASK, KILL_AGREE, KILL_UNMASK, KILL_STEPS };

static struct reply step_ask(struct company *company, enum kill_step step)
{
    Fds__Mask *mask = NULL;
    struct reply reply = {.type = 0};
    switch (step) {
    case KILL_ADVERTISE:
        return company_advertise(company, 0, COMPANY_BATCH);
    case KILL_SHARE:
        return company_share(company);
    case KILL_MASK:
        mask = company_mask_message(company, 0, 0, COMPANY_SITES);
        reply = company_say(company, FDS__MESSAGE_TYPE__MESSAGE_MASK, &mask->base);
        wire_mask_free(mask);
        return reply;
    case KILL_AGREE:
        return company_agree(company);
    case KILL_UNMASK:
        return company_unmask(company);
    case KILL_STEPS:
        break;
    }
    return reply;
}

static void step_take(struct company *company, enum kill_step step, struct reply reply)
{
    switch (step) {
    case KILL_ADVERTISE:
        company_take_advert(company, reply);
        break;
    case KILL_SHARE:
        company_take_shares(company, reply);
        break;
    case KILL_MASK:
        company_take_vector(company, reply, COMPANY_SITES - 1);
        break;
    case KILL_AGREE:
        company_take_agreement(company, reply);
        break;
    case KILL_UNMASK:
        company_take_unmasking(company, reply);
        break;
    case KILL_STEPS:
        break;
    }
}

static struct reply kept(const struct reply *reply)
{
    struct reply copy = *reply;
    copy.body = malloc(reply->body_bytes + 1);
    assert_non_null(copy.body);
    memcpy(copy.body, reply->body, reply->body_bytes);
    return copy;
}

/* A site that counts its changes beside its keys, as a home does. */
static int counted_company(void **state)
{
    if (company_make(state) != 0)
        return -1;
    struct company *company = *state;
    struct site *site = company->site;
    (void)workspace_file(site->workspace, "keys", site->keys);
    if (mkdir(site->keys, 0700) != 0)
        return -1;
    site_pause(site);
    site_resume(site);
    company_partners_advertise(company, 0);
    return 0;
}

/* ---- killed ---- */

/* What was begun is neither lost nor half there. */
static void expect_whole(struct company *company)
{
    struct site *site = company->site;
    must(database_check(site->store->database));
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 0);
    assert_int_equal(site_count(site, "SELECT count(*) FROM secagg_slot WHERE state = 'dead'"), 0);
    assert_int_equal(site_count(site,
                                "SELECT (SELECT count(*) FROM secagg_batch) - (SELECT count(*) FROM event "
                                "WHERE kind = 'keys-advertised')"),
                     0);
    assert_int_equal(
        site_count(site, "SELECT (SELECT count(*) FROM secagg_batch WHERE shares IS NOT NULL) - (SELECT "
                         "count(*) FROM event WHERE kind = 'keys-shared')"),
        0);
    assert_int_equal(site_count(site,
                                "SELECT (SELECT count(*) FROM answer WHERE kind = 'masked-input') - (SELECT "
                                "count(*) FROM secagg_slot WHERE round IS NOT NULL)"),
                     0);
    assert_int_equal(site_count(site,
                                "SELECT (SELECT count(*) FROM secagg_round WHERE agreement IS NOT NULL) - "
                                "(SELECT count(*) FROM event WHERE kind = 'round-agreed')"),
                     0);
    assert_int_equal(
        site_count(site, "SELECT (SELECT count(*) FROM secagg_slot WHERE state = 'revealed') - (SELECT "
                         "count(*) FROM event WHERE kind = 'shares-revealed')"),
        0);
    assert_int_equal(site_count(site, "SELECT count(*) FROM run") <= 1, 1);
}

/* In a process of its own; whether it was killed. */
static bool step_killed(struct company *company, enum kill_step step, int at, bool after)
{
    int status = 0;
    site_pause(company->site);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        site_resume(company->site);
        sync_kill_after = after;
        sync_kill_at = at;
        struct reply reply = step_ask(company, step);
        _exit(reply.type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    site_resume(company->site);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    else
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

/* In place, as no program that restores files does it: not noticed, so that a test may begin a step again and again. */
static void copy_in_place(struct company *company, const char *from, const char *to)
{
    char source[160], target[160], buffer[65536];
    FILE *in = fopen(workspace_file(company->site->workspace, from, source), "rb");
    FILE *out = fopen(workspace_file(company->site->workspace, to, target), "wb");
    assert_true(in != NULL && out != NULL);
    for (size_t got; (got = fread(buffer, 1, sizeof(buffer), in)) > 0;)
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void state_copy(struct company *company, bool back)
{
    static const char *const files[][2] = {{"site.db", "backup.db"}, {"keys/secagg.count", "backup.count"}};
    site_pause(company->site); /* the last to close leaves no log */
    assert_false(workspace_has(company->site->workspace, "site.db-wal"));
    for (size_t i = 0; i < 2; i++)
        copy_in_place(company, files[i][back ? 1 : 0], files[i][back ? 0 : 1]);
    site_resume(company->site);
}

/* Kills the step at its n-th moment for every n, each time from the same state, until it comes through. A step that was killed is
 * asked for again, and then once more. */
static void step_kill_everywhere(struct company *company, enum kill_step step, bool after)
{
    int at = 1;
    state_copy(company, false);
    while (at < KILLS_MOST && step_killed(company, step, at, after)) {
        expect_whole(company);
        struct reply reply = step_ask(company, step);
        assert_int_not_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
        site_expect_same(reply, step_ask(company, step));
        expect_whole(company);
        state_copy(company, true);
        at++;
    }
    assert_in_range(at, 2, KILLS_MOST - 1);
    print_message("step %d: killed at each of %d moments\n", (int)step, at - 1);
    state_copy(company, true);
    struct reply reply = step_ask(company, step), copy = kept(&reply);
    step_take(company, step, reply);
    site_pause(company->site);
    site_resume(company->site);
    site_expect_same(copy, step_ask(company, step));
    expect_whole(company);
}

static void test_kill_secagg_before_every_write_goes_on(void **state)
{
    for (enum kill_step step = KILL_ADVERTISE; step < KILL_STEPS; step++)
        step_kill_everywhere(*state, step, false);
}

static void test_kill_secagg_after_every_write_goes_on(void **state)
{
    for (enum kill_step step = KILL_ADVERTISE; step < KILL_STEPS; step++)
        step_kill_everywhere(*state, step, true);
}

/* ---- restored ---- */

static const char *const restored_words[KILL_STEPS] = {[KILL_ADVERTISE] = "put back to an earlier state",
                                                       [KILL_SHARE] = "dead",
                                                       [KILL_MASK] = "not open",
                                                       [KILL_AGREE] = "signs nothing about it",
                                                       [KILL_UNMASK] = "is dead"};

/* The database of before the step comes back after it: nothing that was begun is gone on with. */
static void step_restored(struct company *company, enum kill_step step)
{
    state_copy(company, false);
    struct reply reply = step_ask(company, step);
    if (reply.type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL)
        step_take(company, step, reply); /* fails with its sentence */
    requests_reply_clear(&reply);
    site_pause(company->site);
    copy_in_place(company, "backup.db", "site.db"); /* and the count stays as it is */
    site_resume(company->site);
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 1);
    assert_int_equal(
        site_count(company->site, "SELECT count(*) FROM secagg_slot WHERE state IN ('open', 'bound')"), 0);
    assert_int_equal(
        site_count(company->site, "SELECT count(*) FROM secagg_secret WHERE secret <> zeroblob(96)"), 0);
    site_expect_refusal(step_ask(company, step), ERROR_REFUSED, restored_words[step]);
    site_expect_refusal(company_advertise(company, 50, 1), ERROR_REFUSED, "put back to an earlier state");
}

static void restored_before(struct company *company, enum kill_step last)
{
    for (enum kill_step step = KILL_ADVERTISE; step < last; step++)
        step_take(company, step, step_ask(company, step));
    step_restored(company, last);
}

static void test_kill_secagg_restored_to_before_advertise_is_over(void **state)
{
    restored_before(*state, KILL_ADVERTISE);
}

static void test_kill_secagg_restored_to_before_share_is_over(void **state)
{
    restored_before(*state, KILL_SHARE);
}

static void test_kill_secagg_restored_to_before_mask_is_over(void **state)
{
    restored_before(*state, KILL_MASK);
}

static void test_kill_secagg_restored_to_before_agree_signs_nothing_else(void **state)
{
    restored_before(*state, KILL_AGREE);
}

static void test_kill_secagg_restored_to_before_unmask_gives_nothing(void **state)
{
    restored_before(*state, KILL_UNMASK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, counted_company, company_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kill_secagg_before_every_write_goes_on),
        TEST(test_kill_secagg_after_every_write_goes_on),
        TEST(test_kill_secagg_restored_to_before_advertise_is_over),
        TEST(test_kill_secagg_restored_to_before_share_is_over),
        TEST(test_kill_secagg_restored_to_before_mask_is_over),
        TEST(test_kill_secagg_restored_to_before_agree_signs_nothing_else),
        TEST(test_kill_secagg_restored_to_before_unmask_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
