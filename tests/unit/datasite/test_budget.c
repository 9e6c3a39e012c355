/* What is reserved, begun, settled and closed, and what a job is told that does not fit. */
#include "tests/unit/datasite/spender.h"

#include <math.h>

#define TRAINING BUDGET_TRAINING
#define EVALUATION BUDGET_EVALUATION

/* ---- one run ---- */

static void test_budget_run_without_a_cap_is_on_record(void **state)
{
    struct spender *spender = *state;
    struct approval approval = spender_approved(spender, &(struct spender_words){.rounds = 2}, 1);
    must(spender_run(spender, &approval, 1));
    struct budget_state before = spender_state(spender, "made");
    assert_false(before.capped);
    assert_true(before.reserved_epsilon > 0 && before.spent_epsilon == 0);
    must(spender_begin(spender, &approval, 1, 1, TRAINING));
    must(spender_settle(spender, &approval, 1, 1, TRAINING));
    spender_end(spender, &approval, 1);
    struct budget_state after = spender_state(spender, "made");
    assert_true(after.spent_epsilon == before.reserved_epsilon && after.reserved_epsilon == 0);
    assert_true(after.spent_delta == 1e-6);
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM event WHERE kind GLOB 'budget-*'"), 5);
    approval_clear(&approval);
}

static void test_budget_round_begins_once_and_no_more_than_were_reserved(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.rounds = 2, .metrics_noise = 5};
    struct approval approval = spender_approved(spender, &words, 1);
    refused(spender_begin(spender, &approval, 1, 1, TRAINING), ERROR_REFUSED, "Nothing is reserved");
    must(spender_run(spender, &approval, 1));
    must(spender_begin(spender, &approval, 1, 1, TRAINING));
    must(spender_begin(spender, &approval, 1, 1, TRAINING));
    must(spender_begin(spender, &approval, 1, 2, TRAINING));
    must(spender_begin(spender, &approval, 1, 2, EVALUATION));
    refused(spender_begin(spender, &approval, 1, 3, TRAINING), ERROR_REFUSED, "as many steps");
    refused(spender_begin(spender, &approval, 1, 1, EVALUATION), ERROR_REFUSED, "as many steps");
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget WHERE kind = 'begin'"), 3);
    spender_end(spender, &approval, 1);
    refused(spender_begin(spender, &approval, 1, 1, TRAINING), ERROR_REFUSED, "closed");
    approval_clear(&approval);
}

static void test_budget_settle_wants_what_was_begun_and_once(void **state)
{
    struct spender *spender = *state;
    struct approval approval = spender_approved(spender, &(struct spender_words){.rounds = 2}, 1);
    must(spender_run(spender, &approval, 1));
    refused(spender_settle(spender, &approval, 1, 1, TRAINING), ERROR_REFUSED, "was not begun");
    must(spender_begin(spender, &approval, 1, 1, TRAINING));
    refused(spender_settle(spender, &approval, 1, 1, EVALUATION), ERROR_REFUSED, "was not begun");
    must(spender_settle(spender, &approval, 1, 1, TRAINING));
    refused(spender_settle(spender, &approval, 1, 1, TRAINING), ERROR_REFUSED, "settled");
    approval.job->secure.enabled = true; /* the same vector under other masks */
    must(spender_settle(spender, &approval, 1, 1, TRAINING));
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget WHERE kind = 'settle'"), 1);
    spender_end(spender, &approval, 1);
    refused(spender_settle(spender, &approval, 1, 1, TRAINING), ERROR_REFUSED, "closed");
    approval_clear(&approval);
}

static void test_budget_reservation_of_another_job_covers_nothing(void **state)
{
    struct spender *spender = *state;
    struct approval one = spender_approved(spender, &(struct spender_words){.rounds = 2}, 1);
    struct approval other = spender_approved(spender, &(struct spender_words){.rounds = 2}, 1);
    must(spender_run(spender, &one, 1));
    refused(spender_begin(spender, &other, 1, 1, TRAINING), ERROR_REFUSED, "Nothing is reserved");
    approval_clear(&one);
    approval_clear(&other);
}

/* The site ends between the two: it comes back, and what was begun stays spent. */
static void test_budget_crash_between_begin_and_settle_counts_as_spent(void **state)
{
    struct spender *spender = *state;
    struct approval approval = spender_approved(spender, &(struct spender_words){.rounds = 3}, 1);
    spender_set(spender, "made", 5, 1e-5, BUDGET_RDP);
    must(spender_run(spender, &approval, 1));
    must(spender_begin(spender, &approval, 1, 1, TRAINING));
    struct budget_state begun = spender_state(spender, "made");
    spender_pause(spender);
    spender_resume(spender);
    struct budget_state back = spender_state(spender, "made");
    assert_true(back.spent_epsilon > 0 && back.spent_epsilon == begun.spent_epsilon);
    spender_end(spender, &approval, 1);
    assert_true(spender_state(spender, "made").spent_epsilon == begun.spent_epsilon);
    approval_clear(&approval);
}

static void test_budget_revoked_or_expired_job_gives_back_what_was_not_begun(void **state)
{
    struct spender *spender = *state;
    uint32_t expired = 0;
    struct approval revoked = spender_approved(spender, &(struct spender_words){.rounds = 2}, 1);
    struct approval late = spender_approved(spender, &(struct spender_words){.rounds = 2}, 1);
    must(spender_run(spender, &revoked, 1));
    must(spender_run(spender, &late, 2));
    assert_true(spender_state(spender, "made").reserved_epsilon > 0);
    revoked.record.state = JOB_STATE_RUNNING;
    must(approval_withhold(spender->store, spender->workspace->identity, &revoked.record, DECISION_REVOKE,
                           "owner", "", SPENDER_NOW));
    must(store_job_expire(spender->store, late.job->expires + 1, &expired));
    assert_int_equal(expired, 1);
    assert_true(spender_state(spender, "made").reserved_epsilon == 0);
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget WHERE kind = 'close'"), 2);
    approval_clear(&revoked);
    approval_clear(&late);
}

/* A run that was left open makes way for the next one of its job, and so does what it had reserved. */
static void test_budget_run_that_takes_over_closes_the_other(void **state)
{
    struct spender *spender = *state;
    struct approval approval = spender_approved(spender, &(struct spender_words){.rounds = 2}, 3);
    struct budget_offer offer = spender_offer(spender, &(struct spender_words){.rounds = 2});
    spender_set(spender, "made", offer.epsilon * 1.5, 1e-5, BUDGET_SUM);
    must(spender_run(spender, &approval, 1));
    must(spender_run(spender, &approval, 1));
    must(spender_run(spender, &approval, 2));
    must(spender_begin(spender, &approval, 2, 1, TRAINING));
    refused(spender_run(spender, &approval, 3), ERROR_REFUSED, "epsilon");
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM run"), 2);
    must(spender_begin(spender, &approval, 2, 2, TRAINING)); /* the refused one took nothing over */
    approval_clear(&approval);
}

/* ---- filters ---- */

static void test_budget_sum_counts_a_run_whole_once_it_began(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.rounds = 10};
    struct budget_offer one = spender_offer(spender, &words);
    struct approval approval = spender_approved(spender, &words, 10);
    spender_set(spender, "made", one.epsilon * 2.5, 1e-5, BUDGET_SUM);
    must(spender_run(spender, &approval, 1)); /* of which nothing is begun */
    spender_end(spender, &approval, 1);
    assert_true(spender_state(spender, "made").spent_epsilon == 0);
    for (uint8_t mark = 2; mark < 4; mark++) {
        must(spender_run(spender, &approval, mark));
        must(spender_begin(spender, &approval, mark, 1, TRAINING));
        spender_end(spender, &approval, mark);
    }
    struct budget_state spent = spender_state(spender, "made");
    assert_true(spent.spent_epsilon == one.epsilon * 2 && spent.spent_delta == 2e-6);
    refused(spender_run(spender, &approval, 4), ERROR_REFUSED, "are left");
    approval_clear(&approval);
}

static void test_budget_sum_of_deltas_is_within_the_cap_too(void **state)
{
    struct spender *spender = *state;
    struct approval approval = spender_approved(spender, &(struct spender_words){.noise = 20}, 10);
    spender_set(spender, "made", 100, 2.5e-6, BUDGET_SUM);
    for (uint8_t mark = 1; mark < 3; mark++) {
        must(spender_run(spender, &approval, mark));
        must(spender_begin(spender, &approval, mark, 1, TRAINING));
        spender_end(spender, &approval, mark);
    }
    refused(spender_run(spender, &approval, 3), ERROR_REFUSED, "delta alone");
    approval_clear(&approval);
}

/* Of two jobs that each would fit after the first, whichever is chosen on seeing its answer, the sum stays within the cap, and
 * the other is then refused. */
static void test_budget_sum_holds_whichever_job_is_chosen_next(void **state)
{
    for (int chosen = 0; chosen < 2; chosen++) {
        struct spender *spender = *state;
        char name[16];
        (void)snprintf(name, sizeof(name), "pool-%d", chosen);
        spender_import_range(spender, name, 1000 * (uint32_t)(chosen + 1), SPENDER_ROWS);
        struct spender_words first = {.dataset = name, .noise = 2, .rounds = 5, .rate = 0.5};
        const struct spender_words next[2] = {{.dataset = name, .noise = 4, .rounds = 30, .rate = 0.3},
                                              {.dataset = name, .noise = 1.2, .rounds = 2, .rate = 0.4}};
        struct approval jobs[3] = {spender_approved(spender, &first, 1),
                                   spender_approved(spender, &next[0], 1),
                                   spender_approved(spender, &next[1], 1)};
        double room =
            fmax(spender_offer(spender, &next[0]).epsilon, spender_offer(spender, &next[1]).epsilon);
        double cap = spender_offer(spender, &first).epsilon + room * 1.01;
        spender_set(spender, name, cap, 1e-4, BUDGET_SUM);
        const int order[3] = {0, 1 + chosen, 2 - chosen};
        for (int i = 0; i < 3; i++) {
            uint8_t mark = (uint8_t)(10 * chosen + i + 1);
            struct error *err = spender_run(spender, &jobs[order[i]], mark);
            if (i == 2) {
                refused(err, ERROR_REFUSED, "left");
                continue;
            }
            must(err);
            must(spender_begin(spender, &jobs[order[i]], mark, 1, TRAINING));
            spender_end(spender, &jobs[order[i]], mark);
        }
        assert_true(spender_state(spender, name).spent_epsilon <= cap);
        for (int i = 0; i < 3; i++)
            approval_clear(&jobs[i]);
    }
}

static void test_budget_rdp_gives_back_rounds_that_were_never_begun(void **state)
{
    struct spender *spender = *state;
    struct spender_words ten = {.rounds = 10, .rate = 0.3}, three = {.rounds = 3, .rate = 0.3};
    struct approval approval = spender_approved(spender, &ten, 1),
                    short_one = spender_approved(spender, &three, 1);
    spender_set(spender, "made", 30, 1e-5, BUDGET_RDP);
    must(spender_run(spender, &approval, 1));
    for (uint32_t round = 1; round <= 3; round++)
        must(spender_begin(spender, &approval, 1, round, TRAINING));
    must(spender_settle(spender, &approval, 1, 1, TRAINING)); /* two never left */
    struct budget_state open = spender_state(spender, "made");
    assert_true(open.reserved_epsilon > 0);
    spender_end(spender, &approval, 1);
    struct budget_state closed = spender_state(spender, "made");
    assert_true(closed.reserved_epsilon == 0 && closed.spent_epsilon == open.spent_epsilon);
    must(spender_run(spender, &short_one, 2)); /* the same three rounds cost as much again */
    for (uint32_t round = 1; round <= 3; round++)
        must(spender_begin(spender, &short_one, 2, round, TRAINING));
    double both = spender_state(spender, "made").spent_epsilon;
    struct budget_offer six = spender_offer(spender, &(struct spender_words){.rounds = 6, .rate = 0.3});
    assert_true(both > closed.spent_epsilon && six.fits);
    approval_clear(&approval);
    approval_clear(&short_one);
}

static void test_budget_rdp_is_exact_about_what_fits(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.rounds = 4, .rate = 0.2, .noise = 1.5};
    struct approval approval = spender_approved(spender, &words, 100);
    uint8_t mark = 1;
    spender_set(spender, "made", 6, 1e-5, BUDGET_RDP);
    while (spender_offer(spender, &words).fits) {
        assert_in_range(mark, 1, 99);
        must(spender_run(spender, &approval, mark));
        for (uint32_t round = 1; round <= 4; round++)
            must(spender_begin(spender, &approval, mark, round, TRAINING));
        spender_end(spender, &approval, mark++);
        assert_true(spender_state(spender, "made").spent_epsilon <= 6);
    }
    assert_true(mark > 2); /* more than one fits */
    refused(spender_run(spender, &approval, mark), ERROR_REFUSED, "left");
    approval_clear(&approval);
}

/* A lower cap than what is spent is taken, and a higher one forgets nothing. */
static void test_budget_later_cap_replaces_and_forgets_nothing(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.rounds = 3};
    double one = spender_offer(spender, &words).epsilon;
    struct approval approval = spender_approved(spender, &words, 10);
    spender_set(spender, "made", one * 1.1, 1e-5, BUDGET_SUM);
    must(spender_run(spender, &approval, 1));
    must(spender_begin(spender, &approval, 1, 1, TRAINING));
    spender_end(spender, &approval, 1);
    spender_set(spender, "made", one / 2, 1e-5, BUDGET_SUM);
    assert_true(spender_state(spender, "made").left_epsilon == 0);
    refused(spender_run(spender, &approval, 2), ERROR_REFUSED, "Neither");
    spender_set(spender, "made", one * 1.9, 1e-5, BUDGET_SUM);
    refused(spender_run(spender, &approval, 2), ERROR_REFUSED, "left");
    spender_set(spender, "made", one * 2, 1e-5, BUDGET_SUM);
    must(spender_run(spender, &approval, 2));
    approval_clear(&approval);
}

/* A run that began under another cap, or none, goes on as far as the cap in force has room for it. */
static void test_budget_cap_set_in_a_run_holds_for_its_next_round(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.rounds = 4};
    double one = spender_offer(spender, &words).epsilon;
    struct approval approval = spender_approved(spender, &words, 10);
    must(spender_run(spender, &approval, 1));
    spender_set(spender, "made", one * 1.01, 1e-5, BUDGET_SUM);
    must(spender_begin(spender, &approval, 1, 1, TRAINING));
    spender_set(spender, "made", one / 2, 1e-5, BUDGET_SUM);
    must(spender_begin(spender, &approval, 1, 1, TRAINING)); /* spent already */
    refused(spender_begin(spender, &approval, 1, 2, TRAINING), ERROR_REFUSED, "no room");
    must(spender_settle(spender, &approval, 1, 1, TRAINING));
    spender_set(spender, "made", one * 1.01, 1e-5, BUDGET_SUM);
    must(spender_begin(spender, &approval, 1, 2, TRAINING));
    spender_set(spender, "made", spender_state(spender, "made").spent_epsilon, 1e-7, BUDGET_SUM);
    refused(spender_begin(spender, &approval, 1, 3, TRAINING), ERROR_REFUSED, "no room");
    spender_set(spender, "made", 30, 1e-5, BUDGET_RDP);
    must(spender_begin(spender, &approval, 1, 3, TRAINING));
    spender_set(spender, "made", spender_state(spender, "made").spent_epsilon, 1e-5, BUDGET_RDP);
    refused(spender_begin(spender, &approval, 1, 4, TRAINING), ERROR_REFUSED, "no room");
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget WHERE kind = 'begin'"), 3);
    approval_clear(&approval);
}

static void test_budget_cap_out_of_range_is_refused(void **state)
{
    struct spender *spender = *state;
    static const struct budget_cap wrong[] = {
        {0, 1e-6, BUDGET_SUM}, {-1, 1e-6, BUDGET_SUM}, {NAN, 1e-6, BUDGET_SUM}, {INFINITY, 1e-6, BUDGET_SUM},
        {1, 0, BUDGET_SUM},    {1, 0.2, BUDGET_RDP},   {1, NAN, BUDGET_RDP},    {30.1, 1e-6, BUDGET_RDP},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        refused(budget_set(spender->store, spender->workspace->identity, "made", &wrong[i], SPENDER_NOW),
                ERROR_INVALID, "budget");
    refused(budget_set(spender->store, spender->workspace->identity, "nothing",
                       &(struct budget_cap){1, 1e-6, BUDGET_SUM}, SPENDER_NOW),
            ERROR_NOT_FOUND, "nothing");
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget WHERE kind = 'set'"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, spender_make, spender_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_budget_run_without_a_cap_is_on_record),
        TEST(test_budget_round_begins_once_and_no_more_than_were_reserved),
        TEST(test_budget_settle_wants_what_was_begun_and_once),
        TEST(test_budget_reservation_of_another_job_covers_nothing),
        TEST(test_budget_crash_between_begin_and_settle_counts_as_spent),
        TEST(test_budget_revoked_or_expired_job_gives_back_what_was_not_begun),
        TEST(test_budget_run_that_takes_over_closes_the_other),
        TEST(test_budget_sum_counts_a_run_whole_once_it_began),
        TEST(test_budget_sum_of_deltas_is_within_the_cap_too),
        TEST(test_budget_sum_holds_whichever_job_is_chosen_next),
        TEST(test_budget_rdp_gives_back_rounds_that_were_never_begun),
        TEST(test_budget_rdp_is_exact_about_what_fits),
        TEST(test_budget_later_cap_replaces_and_forgets_nothing),
        TEST(test_budget_cap_set_in_a_run_holds_for_its_next_round),
        TEST(test_budget_cap_out_of_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
