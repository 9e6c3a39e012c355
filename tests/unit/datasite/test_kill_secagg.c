/* A datasite is killed at every moment of every step of secure aggregation: whenever something of site.db is brought to the
 * disk, before and after it. When it comes back it has lost no key slot, gives the same bytes for what it had written, and
 * the round ends in the right sum. When its database was put back to an earlier state meanwhile, every slot is dead. */
#include "tests/unit/datasite/company.h"
#include "tests/unit/datasite/killed.h"

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

/* A site that counts its changes beside its keys, as a home does. */
static int counted_company(void **state)
{
    if (company_make(state) != 0)
        return -1;
    struct company *company = *state;
    killed_prepare(company->site);
    company_partners_advertise(company, 0);
    return 0;
}

/* ---- killed ---- */

struct asking {
    struct company *company;
    enum kill_step step;
};

static struct reply asking_ask(void *context)
{
    struct asking *asking = context;
    return step_ask(asking->company, asking->step);
}

/* What was begun is neither lost nor half there; in first attempts no slot dies. */
static void expect_whole(struct company *company)
{
    killed_expect_whole(company->site);
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_slot WHERE state = 'dead'"), 0);
}

/* Kills the step at its n-th moment for every n, each time from the same state, until it comes through. A step that was killed is
 * asked for again, and then once more. */
static void step_kill_everywhere(struct company *company, enum kill_step step, bool after)
{
    struct killed_moment moment = {1, after, false};
    struct asking asking = {company, step};
    killed_save(company->site, "backup");
    while (moment.at < KILLED_MOST && killed_site(company->site, "backup", moment, asking_ask, &asking)) {
        expect_whole(company);
        struct reply reply = step_ask(company, step);
        assert_int_not_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
        site_expect_same(reply, step_ask(company, step));
        expect_whole(company);
        moment.at++;
    }
    assert_in_range(moment.at, 2, KILLED_MOST - 1);
    print_message("step %d: killed at each of %d moments\n", (int)step, moment.at - 1);
    killed_restore(company->site, "backup");
    struct reply reply = step_ask(company, step), copy = killed_kept(&reply);
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
    killed_save(company->site, "backup");
    struct reply reply = step_ask(company, step);
    if (reply.type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL)
        step_take(company, step, reply); /* fails with its sentence */
    requests_reply_clear(&reply);
    killed_restore_database(company->site, "backup"); /* and the count stays as it is */
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
