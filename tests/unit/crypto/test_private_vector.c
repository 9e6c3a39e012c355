/* The vector of a private job under secure aggregation: its words in every round, its room, and what is computed of a sum. */
#include "crypto/privacy_plan.h"
#include "crypto/private_vector.h"
#include "tests/unit/cmocka_all.h"

#include <math.h>

#define PARAMETERS 12
#define CLASSES 3
#define SITES 5

/* Five sites, threshold 4, one colluding: the guarantee rests on three. */
struct made {
    struct job job;
    struct job_site sites[SITES];
};

static void make(struct made *made, enum job_mechanism mechanism)
{
    *made = (struct made){
        .job = {.rounds = 3,
                .site_count = SITES,
                .secure = {.enabled = true, .tolerate_colluding = 1, .threshold = 4, .ring = 64},
                .metrics = JOB_METRICS_POOLED,
                .privacy = {.mechanism = mechanism,
                            .clip = 0.5,
                            .noise_multiplier = 2,
                            .delta = 1e-5,
                            .sampling_rate = mechanism == JOB_SITE_LEVEL ? 1 : 0.25,
                            .steps = 1,
                            .metrics_noise = 4}}};
    for (size_t i = 0; i < SITES; i++)
        made->sites[i].examples = 1000 * (i + 1);
    made->job.sites = made->sites;
}

static struct private_vector planned(const struct made *made, uint32_t round)
{
    struct private_vector vector;
    assert_null(private_vector_plan(&made->job, PARAMETERS, CLASSES, round, &vector));
    return vector;
}

static void expect_refused(const struct made *made, uint32_t round, const char *words)
{
    struct private_vector vector;
    struct error *err = private_vector_plan(&made->job, PARAMETERS, CLASSES, round, &vector);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    if (strstr(err->sentence, words) == NULL)
        fail_msg("%s", err->sentence);
    error_free(err);
}

static void test_private_vector_words_of_each_round(void **state)
{
    struct made made;
    (void)state;
    make(&made, JOB_DISTRIBUTED_DP);
    for (uint32_t round = 1; round <= 3; round++)
        assert_int_equal(planned(&made, round).words, PARAMETERS);
    assert_int_equal(planned(&made, 4).parameters, 0);
    assert_int_equal(planned(&made, 4).words, CLASSES * CLASSES);
    made.job.privacy.metrics_rounds = JOB_METRICS_ALL;
    assert_int_equal(planned(&made, 1).counts, CLASSES * CLASSES);
    assert_int_equal(planned(&made, 1).words, PARAMETERS + CLASSES * CLASSES);
    assert_int_equal(planned(&made, 4).words, CLASSES * CLASSES);
}

static void test_private_vector_where_nothing_leaves_refused(void **state)
{
    struct made made;
    (void)state;
    make(&made, JOB_DISTRIBUTED_DP);
    made.job.metrics = JOB_METRICS_NONE;
    made.job.privacy.metrics_noise = 0;
    assert_int_equal(planned(&made, 3).words, PARAMETERS);
    expect_refused(&made, 4, "Nothing of this job");
    expect_refused(&made, 0, "from 1");
}

static void test_private_vector_of_other_jobs_refused(void **state)
{
    struct made made;
    (void)state;
    make(&made, JOB_DISTRIBUTED_DP);
    made.job.privacy.mechanism = JOB_NO_PRIVACY;
    expect_refused(&made, 1, "no noise");
    make(&made, JOB_SITE_LEVEL);
    made.job.secure.enabled = false;
    expect_refused(&made, 1, "no noise");
    make(&made, JOB_DISTRIBUTED_DP);
    made.job.secure.ring = 32;
    expect_refused(&made, 1, "64 bits");
    make(&made, JOB_DISTRIBUTED_DP);
    made.job.privacy.noise_multiplier = 0;
    expect_refused(&made, 1, "noise_multiplier");
}

/* What of the noise is left when the sites that may collude take theirs off, and as few as may have contributed. */
static void test_private_vector_bound_leaves_the_noise_of_the_job(void **state)
{
    struct made made;
    (void)state;
    make(&made, JOB_DISTRIBUTED_DP);
    for (uint32_t t = 4; t <= SITES; t++) {
        made.job.secure.threshold = t;
        for (double sigma = 0.06; sigma < 1e5; sigma *= 1.37) {
            made.job.privacy.noise_multiplier = made.job.privacy.metrics_noise = sigma;
            struct private_vector vector = planned(&made, 4);
            double share = noise_sigma(NOISE_SHARE), bound = (double)vector.grid.bound;
            assert_true(share * share * (double)(t - 1) >= sigma * bound * sigma * bound);
            assert_true(share * share * (double)(t - 1) < sigma * (bound + 2) * sigma * (bound + 2));
            assert_int_equal(vector.counts_grid.bound, vector.grid.bound); /* the same noise, in steps */
        }
    }
}

static void test_private_vector_without_room_refused(void **state)
{
    struct made made;
    (void)state;
    make(&made, JOB_DISTRIBUTED_DP);
    made.job.privacy.noise_multiplier = 0.05; /* a bound of about 2^31 */
    made.sites[0].examples = (uint64_t)1 << 26;
    assert_int_equal(planned(&made, 1).words, PARAMETERS);
    made.sites[0].examples = (uint64_t)1 << 29;
    expect_refused(&made, 1, "noise_multiplier");
    made.job.privacy.noise_multiplier = 4;
    made.job.privacy.metrics_noise = 0.05;
    assert_int_equal(planned(&made, 1).words, PARAMETERS);
    expect_refused(&made, 4, "metrics_noise");
    make(&made, JOB_SITE_LEVEL); /* where it is sites that are counted */
    made.job.privacy.noise_multiplier = 0.05;
    made.sites[0].examples = (uint64_t)1 << 40;
    assert_int_equal(planned(&made, 1).words, PARAMETERS);
}

static void test_private_vector_sum_of_contributions_is_what_they_add_up_to(void **state)
{
    struct made made;
    double model[PARAMETERS], counts[CLASSES * CLASSES];
    uint64_t words[PARAMETERS] = {0}, cells[CLASSES * CLASSES] = {0};
    (void)state;
    make(&made, JOB_SITE_LEVEL);
    struct private_vector vector = planned(&made, 1), last = planned(&made, 4);
    for (size_t p = 0; p < PARAMETERS; p++)
        model[p] = (double)p;
    for (uint64_t site = 0; site < SITES; site++) { /* some below zero: the ring is two's complement */
        for (size_t p = 0; p < PARAMETERS; p++)
            words[p] += (uint64_t)((p % 2 == 0 ? 1 : -1) * (int64_t)(vector.grid.bound / 4));
        uint64_t one[CLASSES * CLASSES];
        int64_t steps[CLASSES * CLASSES];
        for (size_t i = 0; i < CLASSES * CLASSES; i++)
            one[i] = 10 * site + i;
        private_vector_counts(&last, one, steps);
        for (size_t i = 0; i < CLASSES * CLASSES; i++)
            cells[i] += (uint64_t)steps[i] - (i == 0 ? 120 * last.counts_grid.bound : 0);
    }
    private_vector_add(&vector, private_vector_weights(&made.job), words, model);
    /* Weights are the declared examples over the largest: 3 in all; each change is a quarter of the clip. */
    for (size_t p = 0; p < PARAMETERS; p++)
        assert_true(fabs(model[p] - ((double)p + (p % 2 == 0 ? 1 : -1) * 5 * 0.125 / 3.0)) < 1e-6);
    private_vector_decode_counts(&last, cells, counts);
    assert_true(counts[0] == 100 - 600);
    for (size_t i = 1; i < CLASSES * CLASSES; i++)
        assert_true(counts[i] == (double)(100 + SITES * i));
    /* Five sites' shares, of which three are what the job's 4 means. */
    assert_true(fabs(private_vector_counts_deviation(&last, SITES) - 4 * sqrt(5.0 / 3.0)) < 1e-5);
    assert_int_equal(private_vector_examples(&made.job), 15000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_vector_words_of_each_round),
        cmocka_unit_test(test_private_vector_where_nothing_leaves_refused),
        cmocka_unit_test(test_private_vector_of_other_jobs_refused),
        cmocka_unit_test(test_private_vector_bound_leaves_the_noise_of_the_job),
        cmocka_unit_test(test_private_vector_without_room_refused),
        cmocka_unit_test(test_private_vector_sum_of_contributions_is_what_they_add_up_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
