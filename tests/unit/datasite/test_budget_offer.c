/* What a job is told that does not fit, and what is counted of one. */
#include "crypto/privacy_plan.h"
#include "tests/unit/datasite/spender.h"

#define TRAINING BUDGET_TRAINING

/* What is offered in place of a job that does not fit, does fit, and a little more of it does not. */
static void expect_offer_true(struct spender *spender, struct spender_words words)
{
    struct budget_offer offer = spender_offer(spender, &words);
    assert_false(offer.fits);
    print_message("%s\n", offer.sentence);
    if (offer.rounds_that_fit > 0) {
        struct spender_words fewer = words;
        fewer.rounds = offer.rounds_that_fit;
        assert_true(spender_offer(spender, &fewer).fits);
        fewer.rounds++;
        assert_false(spender_offer(spender, &fewer).fits);
    }
    if (offer.noise_that_fits > 0) {
        struct spender_words more = words;
        more.noise = offer.noise_that_fits;
        assert_true(spender_offer(spender, &more).fits);
        more.noise = offer.noise_that_fits * 0.99;
        assert_false(spender_offer(spender, &more).fits);
    }
}

static void test_budget_what_is_offered_fits(void **state)
{
    struct spender *spender = *state;
    static const struct spender_words jobs[] = {
        {.rounds = 40, .rate = 0.1},
        {.rounds = 3, .steps = 50, .rate = 0.3, .noise = 0.8},
        {.rounds = 12, .rate = 0.2, .metrics_noise = 30},
        {.rounds = 9, .rate = 0.2, .metrics_noise = 20, .metrics_all = true},
        {.rounds = 20, .mechanism = "site-level", .noise = 6}};
    for (int filter = 0; filter < 2; filter++) {
        int offered = 0;
        spender_set(spender, "made", filter == BUDGET_SUM ? 4 : 7, 1e-5, (enum budget_filter)filter);
        /* Where the accountant has to be asked each time, those that it is quick about. */
        for (size_t i = filter == BUDGET_SUM ? 2 : 0; i < sizeof(jobs) / sizeof(jobs[0]);
             i += filter == BUDGET_SUM ? 2 : 1) {
            struct budget_offer offer = spender_offer(spender, &jobs[i]);
            if (offer.fits)
                continue;
            offered += offer.rounds_that_fit > 0 && offer.noise_that_fits > 0;
            expect_offer_true(spender, jobs[i]);
        }
        assert_true(offered >= 2);
    }
}

/* Counts how often the accountant is asked that takes time, and whether others who write wait for it. */
static int asked_pld;
static struct spender *asked_of; /* or NULL */
struct error *__real_privacy_plan_epsilon(const struct job *job, enum privacy_accountant accountant,
                                          uint32_t rounds, uint32_t evaluations, double *ret_epsilon);
struct error *__wrap_privacy_plan_epsilon(const struct job *job, enum privacy_accountant accountant,
                                          uint32_t rounds, uint32_t evaluations, double *ret_epsilon);
struct error *__wrap_privacy_plan_epsilon(const struct job *job, enum privacy_accountant accountant,
                                          uint32_t rounds, uint32_t evaluations, double *ret_epsilon)
{
    asked_pld += accountant == PRIVACY_PLD;
    if (accountant == PRIVACY_PLD && asked_of != NULL) {
        struct store *other = workspace_store(asked_of->workspace);
        assert_false(store_in_transaction(asked_of->store));
        must(store_event_add(other, EVENT_CONFIG_RELOADED, NULL, NULL, 0, SPENDER_NOW, "meanwhile", NULL));
        store_close(other);
    }
    return __real_privacy_plan_epsilon(job, accountant, rounds, evaluations, ret_epsilon);
}

static struct budget_offer offer_searched(struct spender *spender, const struct spender_words *words,
                                          enum budget_search search)
{
    struct job *job = spender_job(spender, words);
    struct dataset_info dataset = spender_dataset(spender, "made");
    struct budget_offer offer;
    must(budget_offer(spender->store, spender->workspace->identity, job, &dataset, search, &offer));
    job_free(job);
    return offer;
}

/* Whoever submits a job makes the site ask its accountant once, whatever the job is, and hears of less that does fit. */
static void test_attack_budget_quick_search_asks_the_accountant_once(void **state)
{
    struct spender *spender = *state;
    static const struct spender_words jobs[] = {
        {.rounds = 40, .rate = 0.1},
        {.rounds = 20, .mechanism = "site-level", .noise = 6},
        {.rounds = 100, .steps = 100, .rate = 0.02, .noise = 0.35, .metrics_noise = 20, .metrics_all = true}};
    spender_set(spender, "made", 4, 1e-5, BUDGET_SUM);
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        struct spender_words fewer = jobs[i], more = jobs[i];
        asked_pld = 0;
        struct budget_offer offer = offer_searched(spender, &jobs[i], BUDGET_SEARCH_QUICK);
        assert_int_equal(asked_pld, 1);
        assert_false(offer.fits || offer.may_fit);
        assert_true(offer.noise_that_fits > 0);
        assert_non_null(strstr(offer.sentence, "What would fit"));
        more.noise = offer.noise_that_fits;
        fewer.rounds = offer.rounds_that_fit;
        assert_true(offer_searched(spender, &more, BUDGET_SEARCH_NONE).fits);
        assert_true(fewer.rounds == 0 || offer_searched(spender, &fewer, BUDGET_SEARCH_NONE).fits);
    }
}

/* Once a process, whatever asks, and never with the file locked. */
static void test_attack_budget_run_begins_with_the_file_free_for_others(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.rounds = 3, .rate = 0.1};
    struct approval first = spender_approved(spender, &words, 2),
                    second = spender_approved(spender, &words, 1);
    asked_pld = 0;
    asked_of = spender;
    must(spender_run(spender, &first, 1));
    assert_int_equal(asked_pld, 1);
    must(spender_run(spender, &first, 2));
    must(spender_run(spender, &second, 3)); /* other bytes, the same privacy */
    assert_true(spender_offer(spender, &words).fits);
    assert_int_equal(asked_pld, 1);
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM event WHERE detail = 'meanwhile'"), 1);
    asked_of = NULL;
    approval_clear(&first);
    approval_clear(&second);
}

static void test_budget_offer_of_delta_says_which_would_do(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.rounds = 2, .delta = 1e-4};
    struct approval approval = spender_approved(spender, &(struct spender_words){.delta = 1.23456e-6}, 1);
    spender_set(spender, "made", 4, 1e-5, BUDGET_SUM);
    must(spender_run(spender, &approval, 1));
    struct budget_offer offer = spender_offer(spender, &words);
    assert_true(!offer.fits && offer.delta > offer.left_delta);
    const char *told = strstr(offer.sentence, "a delta of at most ");
    assert_non_null(told);
    words.delta = strtod(told + strlen("a delta of at most "), NULL);
    assert_true(words.delta > 8.7e-6 && words.delta <= offer.left_delta);
    assert_true(spender_offer(spender, &words).fits);
    spender_set(spender, "made", 4, 1.2e-6, BUDGET_SUM);
    assert_non_null(strstr(spender_offer(spender, &words).sentence, "no smaller one would do"));
    approval_clear(&approval);
}

static void test_budget_offer_without_a_search_tells_what_is_left(void **state)
{
    struct spender *spender = *state;
    spender_set(spender, "made", 4, 1e-5, BUDGET_SUM);
    asked_pld = 0;
    struct budget_offer offer =
        offer_searched(spender, &(struct spender_words){.rounds = 40, .rate = 0.1}, BUDGET_SEARCH_NONE);
    assert_int_equal(asked_pld, 1);
    assert_false(offer.fits);
    assert_true(offer.rounds_that_fit == 0 && offer.noise_that_fits == 0);
    assert_non_null(strstr(offer.sentence, "are left. Fewer rounds or more noise may fit."));
}

/* What was asked before is known, of this very cost and of no other. */
static void test_budget_offer_of_another_cost_asks_the_accountant_anew(void **state)
{
    struct spender *spender = *state;
    static const struct spender_words jobs[] = {{.rounds = 5},
                                                {.rounds = 6},
                                                {.rounds = 5, .rate = 0.2},
                                                {.rounds = 5, .noise = 3},
                                                {.rounds = 5, .steps = 7},
                                                {.rounds = 5, .delta = 2e-6},
                                                {.rounds = 5, .mechanism = "site-level"}};
    double epsilons[sizeof(jobs) / sizeof(jobs[0])];
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        asked_pld = 0;
        epsilons[i] = offer_searched(spender, &jobs[i], BUDGET_SEARCH_NONE).epsilon;
        assert_int_equal(asked_pld, 1);
        assert_true(offer_searched(spender, &jobs[i], BUDGET_SEARCH_NONE).epsilon == epsilons[i]);
        assert_int_equal(asked_pld, 1);
        for (size_t before = 0; before < i; before++)
            assert_true(epsilons[i] != epsilons[before]);
    }
}

static void test_budget_offer_tells_reserved_from_spent(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.rounds = 5};
    double one = spender_offer(spender, &words).epsilon;
    struct approval approval = spender_approved(spender, &words, 2);
    spender_set(spender, "made", one * 1.5, 1e-5, BUDGET_SUM);
    must(spender_run(spender, &approval, 1));
    struct budget_offer offer = spender_offer(spender, &words);
    assert_true(!offer.fits && offer.may_fit);
    must(spender_begin(spender, &approval, 1, 1, TRAINING));
    offer = spender_offer(spender, &words);
    assert_true(!offer.fits && !offer.may_fit);
    approval_clear(&approval);
}

/* A record may turn one update of a site into any other. */
static void test_budget_site_level_is_counted_with_half_its_noise(void **state)
{
    struct spender *spender = *state;
    struct spender_words whole = {.mechanism = "site-level", .noise = 8, .rounds = 3};
    struct spender_words half = {.noise = 4, .rate = 1, .rounds = 3};
    struct budget_offer site = spender_offer(spender, &whole), record = spender_offer(spender, &half);
    assert_true(site.epsilon > 0 && site.epsilon == record.epsilon);
}

static void test_budget_job_beyond_all_accounts_fits_no_cap(void **state)
{
    struct spender *spender = *state;
    struct spender_words words = {.noise = 0.05, .rate = 1, .rounds = 100};
    assert_true(spender_offer(spender, &words).fits); /* without a cap the owner decides */
    spender_set(spender, "made", 1000, 0.1, BUDGET_SUM);
    assert_false(spender_offer(spender, &words).fits);
    spender_set(spender, "made", 30, 0.1, BUDGET_RDP);
    assert_false(spender_offer(spender, &words).fits);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, spender_make, spender_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_budget_what_is_offered_fits),
        TEST(test_attack_budget_quick_search_asks_the_accountant_once),
        TEST(test_attack_budget_run_begins_with_the_file_free_for_others),
        TEST(test_budget_offer_of_delta_says_which_would_do),
        TEST(test_budget_offer_without_a_search_tells_what_is_left),
        TEST(test_budget_offer_of_another_cost_asks_the_accountant_anew),
        TEST(test_budget_offer_tells_reserved_from_spent),
        TEST(test_budget_site_level_is_counted_with_half_its_noise),
        TEST(test_budget_job_beyond_all_accounts_fits_no_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
