/* A site that is killed whenever a private round brings something to the disk, before and after it: whatever left was counted
 * before, nothing is half written, and asked again the round gives one answer, the same ever after. */
#include "datasite/store_internal.h"
#include "tests/unit/datasite/killed.h"
#include "tests/unit/datasite/private_job.h"

enum kill_step { KILL_TRAIN, KILL_EVALUATE };

struct asking {
    struct site *site;
    enum kill_step step;
};

static struct reply ask(void *context)
{
    struct asking *asking = context;
    return asking->step == KILL_TRAIN ? site_train(asking->site, 1, 0) : site_evaluate(asking->site, 1, 0.5);
}

/* Literals: statements are kept by where their text is. */
static int64_t begun(struct site *site, enum kill_step step)
{
    return step == KILL_TRAIN
               ? site_count(site, "SELECT count(*) FROM budget WHERE kind = 'begin' AND use = 1")
               : site_count(site, "SELECT count(*) FROM budget WHERE kind = 'begin' AND use = 2");
}

static int64_t settled(struct site *site, enum kill_step step)
{
    return step == KILL_TRAIN
               ? site_count(site, "SELECT count(*) FROM budget WHERE kind = 'settle' AND use = 1")
               : site_count(site, "SELECT count(*) FROM budget WHERE kind = 'settle' AND use = 2");
}

static int64_t answers(struct site *site, enum kill_step step)
{
    return site_count(site, step == KILL_TRAIN ? "SELECT count(*) FROM answer WHERE kind = 'update'"
                                               : "SELECT count(*) FROM answer WHERE kind = 'evaluation'");
}

/* Never less counted than what may have left, and no run without its reservation. */
static void expect_whole(struct site *site, enum kill_step step)
{
    must(database_check(site->store->database));
    assert_int_equal(settled(site, step), answers(site, step));
    assert_true(begun(site, step) >= answers(site, step));
    assert_true(begun(site, step) <= 1);
    assert_int_equal(site_count(site,
                                "SELECT (SELECT count(*) FROM run) - (SELECT count(*) FROM budget WHERE "
                                "kind = 'reserve')"),
                     0);
    assert_int_equal(site_count(site, "SELECT (SELECT count(*) FROM event WHERE kind GLOB 'budget-*') - "
                                      "(SELECT count(*) FROM budget)"),
                     0);
}

static void kill_everywhere(struct site *site, enum kill_step step, bool after)
{
    struct killed_moment moment = {1, after, false};
    struct asking asking = {site, step};
    killed_save(site, "backup");
    while (moment.at < KILLED_MOST && killed_site(site, "backup", moment, ask, &asking)) {
        expect_whole(site, step);
        struct reply reply = ask(&asking);
        assert_int_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_RELEASED);
        site_expect_same(reply, ask(&asking));
        expect_whole(site, step);
        assert_int_equal(settled(site, step), 1);
        moment.at++;
    }
    assert_in_range(moment.at, 2, KILLED_MOST - 1);
    killed_restore(site, "backup");
    struct reply reply = ask(&asking);
    requests_reply_clear(&reply);
}

static void both_steps(struct site *site, bool after)
{
    private_approved(site, &(struct private_words){.rounds = 1, .privacy = PRIVATE_DP_SGD_COUNTS "}"}, 0);
    killed_prepare(site);
    kill_everywhere(site, KILL_TRAIN, after);
    kill_everywhere(site, KILL_EVALUATE, after);
}

static void test_kill_private_before_every_write_counts_what_left(void **state)
{
    both_steps(*state, false);
}

static void test_kill_private_after_every_write_counts_what_left(void **state)
{
    both_steps(*state, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kill_private_before_every_write_counts_what_left),
        TEST(test_kill_private_after_every_write_counts_what_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
