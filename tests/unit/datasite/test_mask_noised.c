/* Rounds of private jobs at four sites, through their handlers and executors: the sum is that of integer vectors with a share
 * of the noise each, every site computes the same model of it, and nobody gets a second draw. */
#include "tests/unit/datasite/freed.h"
#include "tests/unit/datasite/masked_sites.h"

#include "crypto/privacy_plan.h"
#include "learning/private_step.h"

#include <math.h>

#define STATE (2 * SITE_PARAMETERS) /* with the velocity */

static const uint32_t everybody[] = {1, 2, 3, 4};
static const uint32_t first_three[] = {1, 2, 3};

#define DISTRIBUTED                                                                                          \
    "mechanism: distributed-dp, clip: 0.5, noise_multiplier: 64, delta: 1e-5, sampling_rate: 0.5"
#define SITE_LEVEL "mechanism: site-level, clip: 0.25, noise_multiplier: 0.5, delta: 1e-5"
static const struct masked_words distributed = {
    .training = "{optimizer: sgd, learning_rate: 0.5, momentum: 0.75}", .privacy = DISTRIBUTED};
static const struct masked_words counted = {.training =
                                                "{optimizer: sgd, learning_rate: 0.5, momentum: 0.75}",
                                            .metrics = "pooled",
                                            .rounds = 2,
                                            .privacy = DISTRIBUTED ", metrics_noise: 32"};

/* The words of the sum are those of the vectors, added. */
static void expect_exact(struct masked_sites *masked, const struct masked_attempt *attempt)
{
    size_t count = attempt->about.words;
    uint64_t *one = calloc(count, sizeof(*one)), *total = calloc(count, sizeof(*total));
    assert_true(one != NULL && total != NULL);
    for (size_t i = 0; i < attempt->u3.count; i++) {
        assert_true(masked_vector(masked, attempt->contributors[i], attempt->about.round, one, count));
        mask_add_words(attempt->about.ring, total, one, count);
    }
    assert_memory_equal(total, attempt->sum, count * sizeof(*total));
    free(one);
    free(total);
}

static struct digest digest_of_state(const double *state, size_t count)
{
    struct digest digest;
    uint8_t bytes[STATE * sizeof(double)];
    wire_parameters_write(state, count, bytes);
    must(digest_of(bytes, count * sizeof(double), &digest));
    return digest;
}

/* ---- the sum ---- */

static void test_noised_sum_with_a_dropout_is_exactly_that_of_the_vectors(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest nothing = masked_nothing(STATE);
    masked_begin(masked, &distributed);
    masked_attempt_begin(masked, 1, 0, 0, &nothing, everybody, 4, &attempt);
    assert_int_equal(attempt.about.words, SITE_PARAMETERS);
    masked_collect(masked, &attempt, first_three, 3, NULL);
    masked_unmask(masked, &attempt);
    expect_exact(masked, &attempt);
    masked_attempt_clear(&attempt);
}

/* Hardly a row is sampled: what is left of the vectors is their noise, which differs between sites and has the standard
 * deviation of a share. Bounds of chi-squared for 60 values at 1e-9. */
static void test_noised_vectors_without_rows_are_shares_of_the_noise(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest nothing = masked_nothing(STATE);
    uint64_t words[MASKED_SITES][SITE_PARAMETERS];
    double squares = 0;
    masked_begin(masked, &(struct masked_words){
                             .training = "{optimizer: sgd}",
                             .privacy = "mechanism: distributed-dp, clip: 0.5, noise_multiplier: 64, "
                                        "delta: 1e-5, sampling_rate: 1e-12"});
    masked_attempt_begin(masked, 1, 0, 0, &nothing, everybody, 4, &attempt);
    masked_collect(masked, &attempt, everybody, 4, NULL);
    for (uint32_t i = 0; i < MASKED_SITES; i++) {
        assert_true(masked_vector(masked, i + 1, 1, words[i], SITE_PARAMETERS));
        for (size_t p = 0; p < SITE_PARAMETERS; p++)
            squares += pow((double)(int64_t)words[i][p] / noise_sigma(NOISE_SHARE), 2);
        assert_true(i == 0 || memcmp(words[0], words[i], sizeof(words[0])) != 0);
    }
    assert_true(squares > 16.0 && squares < 150.0);
    masked_attempt_clear(&attempt);
}

/* ---- the model ---- */

/* Two rounds, and the evaluation after them: every site finds the model of the sums with the momentum of the first one. */
static void test_noised_rounds_give_every_site_the_same_model_and_velocity(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct noise_grid grid;
    double model[STATE] = {0};
    struct digest digest = masked_nothing(STATE);
    Fds__Sum *previous = NULL;
    masked_begin(masked, &counted);
    must(privacy_plan_grid(masked->job, &grid));
    struct private_step step = {.learning_rate = 0.5,
                                .momentum = 0.75,
                                .l2 = masked->job->l2,
                                .sampling_rate = 0.5,
                                .scale = grid.scale,
                                .examples = (uint64_t)MASKED_SITES * MASKED_EXAMPLES};
    for (uint32_t round = 1; round <= 3; round++) {
        masked_attempt_begin(masked, round, 0, round, &digest, everybody, 4, &attempt);
        masked_round(masked, &attempt, everybody, 4, previous);
        assert_int_equal(attempt.about.words, round == 3 ? MASKED_CELLS : SITE_PARAMETERS);
        wire_sum_free(previous);
        previous = masked_sum(masked, &attempt, false);
        if (round < 3) {
            private_step_advance(&step, SITE_FEATURES, SITE_CLASSES, (const int64_t *)attempt.sum,
                                 model + SITE_PARAMETERS, model);
            digest = digest_of_state(model, STATE);
        }
        if (round == 3) { /* counts of about 9000 test rows, with the noise of four shares */
            struct private_vector vector;
            double counts[MASKED_CELLS], total = 0;
            must(private_vector_plan(masked->job, SITE_PARAMETERS, SITE_CLASSES, 3, &vector));
            private_vector_decode_counts(&vector, attempt.sum, counts);
            for (size_t i = 0; i < MASKED_CELLS; i++)
                total += counts[i];
            assert_true(total > 8000 && total < 10000);
        }
        masked_attempt_clear(&attempt);
    }
    for (uint32_t position = 1; position <= 4; position++) {
        struct secagg_model own = masked_model(masked, position);
        assert_int_equal(own.round, 3);
        assert_int_equal(own.bytes, STATE * sizeof(double));
        assert_true(digest_equal(&own.digest, &digest));
        secagg_model_clear(&own);
    }
    wire_sum_free(previous);
}

static void test_noised_model_without_its_velocity_refused(void **state)
{
    struct masked_sites *masked = *state;
    masked_begin(masked, &distributed);
    struct masked_mask mask = masked_first(1); /* the digest of zeros without a velocity */
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "another model");
    mask.model = masked_nothing(STATE);
    struct reply reply = masked_ask(masked, &mask);
    assert_int_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_RELEASED);
    requests_reply_clear(&reply);
}

/* A velocity that somebody edited is another model. */
static void test_noised_velocity_edited_in_the_database_is_found(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest nothing = masked_nothing(STATE);
    masked_begin(masked, &distributed);
    masked_attempt_begin(masked, 1, 0, 0, &nothing, everybody, 4, &attempt);
    masked_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    struct reply reply = masked_ask_sum(masked, 2, sum);
    requests_reply_clear(&reply);
    struct secagg_model model = masked_model(masked, 2);
    assert_int_equal(model.round, 2);
    secagg_model_clear(&model);
    struct site *site = masked->sites[1];
    site_sql(site, "UPDATE secagg_model SET parameters = CAST(substr(parameters, 1, 239) || "
                   "x'7f' AS BLOB)");
    refused(store_secagg_model(site->store, site->run, &model), ERROR_UNTRUSTED, "edited");
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

/* ---- again ---- */

/* Noise that was drawn twice would average out. */
static void test_noised_vector_of_a_second_attempt_is_that_of_the_first(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest nothing = masked_nothing(STATE);
    uint64_t first[SITE_PARAMETERS], second[SITE_PARAMETERS];
    masked_begin(masked, &distributed);
    masked_attempt_begin(masked, 1, 0, 0, &nothing, everybody, 4, &attempt);
    masked_collect(masked, &attempt, first_three, 2, NULL);
    assert_true(masked_vector(masked, 2, 1, first, SITE_PARAMETERS));
    uint8_t *before = malloc(attempt.bytes);
    assert_non_null(before);
    memcpy(before, attempt.inputs[1], attempt.bytes);
    masked_attempt_clear(&attempt);
    masked_attempt_begin(masked, 1, 1, 1, &nothing, everybody, 4, &attempt);
    masked_collect(masked, &attempt, everybody, 4, NULL);
    assert_true(masked_vector(masked, 2, 1, second, SITE_PARAMETERS));
    assert_memory_equal(first, second, sizeof(first));
    assert_memory_not_equal(before, attempt.inputs[1], attempt.bytes); /* under other masks */
    masked_unmask(masked, &attempt);
    expect_exact(masked, &attempt);
    free(before);
    masked_attempt_clear(&attempt);
}

static void test_noised_mask_asked_again_repeats_the_same_bytes(void **state)
{
    struct masked_sites *masked = *state;
    masked_begin(masked, &distributed);
    struct masked_mask mask = masked_first(2);
    mask.model = masked_nothing(STATE);
    struct reply one = masked_ask(masked, &mask), two = masked_ask(masked, &mask);
    assert_int_equal(one.body_bytes, two.body_bytes);
    assert_memory_equal(one.body, two.body, one.body_bytes);
    requests_reply_clear(&one);
    requests_reply_clear(&two);
}

/* ---- what a lying orchestrator tries ---- */

/* One contributor fewer than the noise rests on: it cannot be told that its job wanted fewer, since the job's bytes are what was
 * approved. */
static void test_noised_sum_of_too_few_contributors_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest nothing = masked_nothing(STATE);
    masked_begin(masked, &(struct masked_words){.training = "{optimizer: sgd}",
                                                .privacy = DISTRIBUTED,
                                                .secure = ", threshold: 4"});
    masked_attempt_begin(masked, 1, 0, 0, &nothing, everybody, 4, &attempt);
    masked_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    sum->n_contributors = sum->n_inputs = 3;
    attempt.u3.count = 3;
    masked_sign(masked, &attempt, sum);
    MASKED_REFUSED(masked, 4, masked_ask_sum(masked, 4, sum), ERROR_REFUSED,
                   "of 3 sites, and this job needs 4");
    sum->n_contributors = sum->n_inputs = 4; /* what was allocated */
    attempt.u3.count = 4;
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

static void test_noised_job_with_a_lower_threshold_is_another_job(void **state)
{
    struct masked_sites *masked = *state;
    char text[SITE_JOB_BYTES];
    struct masked_mask mask = masked_first(1);
    masked_begin(masked, &(struct masked_words){.training = "{optimizer: sgd}",
                                                .privacy = DISTRIBUTED,
                                                .secure = ", threshold: 4"});
    masked_text(masked,
                &(struct masked_words){
                    .training = "{optimizer: sgd}", .privacy = DISTRIBUTED, .secure = ", threshold: 3"},
                text);
    struct digest approved = masked->job_id;
    must(digest_of(text, strlen(text), &masked->job_id));
    assert_false(digest_equal(&approved, &masked->job_id));
    mask.model = masked_nothing(STATE);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_NOT_FOUND, "no job");
    masked->job_id = approved;
}

/* The evaluation after the last round is one release, whoever asks how often; counts are not in other rounds. */
static void test_noised_evaluation_asked_twice_has_one_noise(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest digest = masked_nothing(STATE);
    Fds__Sum *previous = NULL;
    uint64_t first[MASKED_CELLS], second[MASKED_CELLS];
    masked_begin(masked, &counted);
    for (uint32_t round = 1; round <= 2; round++) {
        masked_attempt_begin(masked, round, 0, round, &digest, everybody, 4, &attempt);
        masked_round(masked, &attempt, everybody, 4, previous);
        wire_sum_free(previous);
        previous = masked_sum(masked, &attempt, false);
        masked_attempt_clear(&attempt);
        struct reply reply = masked_ask_sum(masked, 1, previous);
        requests_reply_clear(&reply);
        struct secagg_model model = masked_model(masked, 1);
        digest = model.digest;
        secagg_model_clear(&model);
    }
    for (uint32_t number = 0; number < 2; number++) {
        masked_attempt_begin(masked, 3, number, 3 + number, &digest, everybody, 4, &attempt);
        masked_collect(masked, &attempt, everybody, 4, previous);
        assert_true(masked_vector(masked, 3, 3, number == 0 ? first : second, MASKED_CELLS));
        masked_attempt_clear(&attempt);
    }
    assert_memory_equal(first, second, sizeof(first));
    wire_sum_free(previous);
}

/* ---- other mechanisms ---- */

static void test_noised_site_level_changes_are_within_the_clip_and_add_up(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct private_vector vector;
    struct digest nothing = masked_nothing(SITE_PARAMETERS);
    double model[SITE_PARAMETERS] = {0}, norm = 0;
    masked_begin(masked, &(struct masked_words){.privacy = SITE_LEVEL});
    masked_attempt_begin(masked, 1, 0, 0, &nothing, everybody, 4, &attempt);
    masked_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    must(private_vector_plan(masked->job, SITE_PARAMETERS, SITE_CLASSES, 1, &vector));
    assert_true(private_vector_weights(masked->job) == 4.0); /* all declare the same */
    private_vector_add(&vector, 4.0, attempt.sum, model);
    struct digest digest = digest_of_state(model, SITE_PARAMETERS);
    for (uint32_t position = 1; position <= 4; position++) {
        struct reply reply = masked_ask_sum(masked, position, sum);
        requests_reply_clear(&reply);
        struct secagg_model own = masked_model(masked, position);
        assert_int_equal(own.round, 2);
        assert_true(digest_equal(&own.digest, &digest));
        secagg_model_clear(&own);
    }
    for (size_t p = 0; p < SITE_PARAMETERS; p++)
        norm += model[p] * model[p];
    /* Training from zero goes further than the clip; four changes of norm 0.25 and their noise: 15 values of standard deviation
     * 0.5 · 0.25 / √2 · √4 / 4. */
    assert_true(sqrt(norm) < 0.25 + 6 * 0.25);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

static void test_noised_statistics_are_the_means_but_for_noise(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest nothing = masked_nothing((size_t)2 * SITE_FEATURES);
    masked_begin(masked, &(struct masked_words){
                             .kind = "feature-statistics",
                             .rounds = 1,
                             .privacy = "mechanism: distributed-dp, clip: 2, noise_multiplier: 64, delta: "
                                        "1e-5, sampling_rate: 1"});
    masked_attempt_begin(masked, 1, 0, 0, &nothing, everybody, 4, &attempt);
    assert_int_equal(attempt.about.words, 2 * SITE_FEATURES);
    masked_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    struct reply reply = masked_ask_sum(masked, 1, sum);
    requests_reply_clear(&reply);
    struct secagg_model own = masked_model(masked, 1);
    double values[2 * SITE_FEATURES];
    assert_int_equal(own.bytes, sizeof(values));
    wire_parameters_read(own.parameters, (size_t)2 * SITE_FEATURES, values);
    for (size_t i = 0; i < SITE_FEATURES; i++) {
        assert_true(fabs(values[i]) < 4.0);
        assert_true(values[SITE_FEATURES + i] > -0.2 && values[SITE_FEATURES + i] < 4.0);
    }
    secagg_model_clear(&own);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

int main(void)
{
#define MASKED(test) cmocka_unit_test_setup_teardown(test, masked_make, masked_remove)
    const struct CMUnitTest tests[] = {
        MASKED(test_noised_sum_with_a_dropout_is_exactly_that_of_the_vectors),
        MASKED(test_noised_vectors_without_rows_are_shares_of_the_noise),
        MASKED(test_noised_rounds_give_every_site_the_same_model_and_velocity),
        MASKED(test_noised_model_without_its_velocity_refused),
        MASKED(test_noised_velocity_edited_in_the_database_is_found),
        MASKED(test_noised_vector_of_a_second_attempt_is_that_of_the_first),
        MASKED(test_noised_mask_asked_again_repeats_the_same_bytes),
        MASKED(test_noised_sum_of_too_few_contributors_refused),
        MASKED(test_noised_job_with_a_lower_threshold_is_another_job),
        MASKED(test_noised_evaluation_asked_twice_has_one_noise),
        MASKED(test_noised_site_level_changes_are_within_the_clip_and_add_up),
        MASKED(test_noised_statistics_are_the_means_but_for_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
