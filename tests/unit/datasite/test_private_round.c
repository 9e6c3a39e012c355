/* Rounds of jobs with a mechanism of privacy at one site, from message to message: what leaves, that it has noise which no seed
 * gives, and that nothing outside depends on how many rows there are. */
#include "tests/unit/datasite/private_job.h"

#include "schemas/clock.h"

#include <math.h>

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define EVALUATION FDS__MESSAGE_TYPE__MESSAGE_EVALUATION
#define REFUSED site_expect_refusal

/* ---- what leaves ---- */

static void test_private_update_has_declared_examples_and_nothing_else(void **state)
{
    struct site *site = *state;
    private_approved(site, &(struct private_words){.examples = "2500"}, 0);
    Fds__Update *update = private_update(site, site_train(site, 1, 0));
    assert_int_equal(update->examples, 2500);
    assert_true(update->seconds == 0);
    assert_null(update->metrics);
    assert_int_equal(update->parameters.len, SITE_PARAMETERS * sizeof(double));
    wire_update_free(update);
}

static void test_private_update_says_its_protection_in_the_receipt(void **state)
{
    struct site *site = *state;
    private_approved(site, &(struct private_words){0}, 0);
    struct receipt receipt = site_receipt(site_train(site, 1, 0));
    assert_non_null(strstr(receipt.protections, "min-rows 100"));
    assert_non_null(strstr(receipt.protections, "privacy: dp-sgd, noise multiplier 8, clip 1"));
}

static void test_private_update_again_repeats_the_bytes(void **state)
{
    struct site *site = *state;
    private_approved(site, &(struct private_words){0}, 0);
    struct reply first = site_train(site, 1, 0);
    int64_t before = site_released(site);
    site_expect_same(first, site_train(site, 1, 0));
    assert_int_equal(site_released(site), before);
    REFUSED(site_train(site, 1, 0.5), ERROR_REFUSED, "another model");
}

static void test_private_update_survives_a_restart(void **state)
{
    struct site *site = *state;
    private_approved(site, &(struct private_words){0}, 0);
    struct reply first = site_train(site, 1, 0);
    site_pause(site);
    site_resume(site);
    site_expect_same(first, site_train(site, 1, 0));
    site_expect_type(site_train(site, 2, 0), UPDATE);
}

/* ---- the noise ---- */

static double largest_difference(struct site *site, const struct private_words *words)
{
    double most = 0;
    struct private_words second = *words;
    second.name = "second";
    private_approved(site, words, 0);
    Fds__Update *a = private_update(site, site_train(site, 1, 0));
    site->run[0] = 2;
    private_approved(site, &second, 0);
    Fds__Update *b = private_update(site, site_train(site, 1, 0));
    for (size_t i = 0; i < SITE_PARAMETERS; i++) {
        double x, y;
        wire_parameters_read(a->parameters.data + i * sizeof(double), 1, &x);
        wire_parameters_read(b->parameters.data + i * sizeof(double), 1, &y);
        most = fmax(most, fabs(x - y));
    }
    wire_update_free(a);
    wire_update_free(b);
    return most;
}

/* The same rows, the same seed, the same model: only the noise differs. */
static void test_private_noise_of_dp_sgd_is_no_function_of_the_seed(void **state)
{
    assert_true(largest_difference(*state, &(struct private_words){0}) > 1e-6);
}

/* All rows take part, so that nothing but noise of about noise_multiplier · clip / weight can differ. */
static void test_private_noise_of_site_level_is_no_function_of_the_seed(void **state)
{
    double most = largest_difference(
        *state, &(struct private_words){.privacy = PRIVATE_SITE_LEVEL,
                                        .training = "{optimizer: lbfgs, local_iterations: 5}"});
    assert_true(most > 0.5);
    assert_true(most < 120);
}

/* ---- nothing depends on the true rows ---- */

static void test_private_few_declared_rows_are_refused_whatever_there_is(void **state)
{
    struct site *site = *state;
    private_approved(site, &(struct private_words){.examples = "99"}, 0);
    REFUSED(site_train(site, 1, 0), ERROR_REFUSED, "declares fewer than the 100 training rows");
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
}

static void test_private_many_declared_rows_leave_whatever_there_is(void **state)
{
    struct site *site = *state;
    site->policy.gate.output.min_rows = 2 * SITE_ROWS;
    executor_set_policy(site->executor, &site->policy);
    private_approved(
        site, &(struct private_words){.examples = "20000", .rounds = 1, .privacy = PRIVATE_DP_SGD_COUNTS "}"},
        0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_evaluate(site, 1, 0), EVALUATION);
}

static void test_private_few_declared_test_rows_are_refused(void **state)
{
    struct site *site = *state;
    private_approved(site,
                     &(struct private_words){.examples = "120",
                                             .evaluation = "{test_fraction: 0.2}",
                                             .rounds = 1,
                                             .privacy = PRIVATE_DP_SGD_COUNTS "}"},
                     0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site_evaluate(site, 1, 0), ERROR_REFUSED, "declares fewer than the 100 test rows");
}

/* One row: either the training rows or the test rows are none. */
static void test_private_round_without_rows_answers_like_any_other(void **state)
{
    struct site *site = *state;
    site_reimport(site, 1, 1);
    private_approved(site, &(struct private_words){.rounds = 1, .privacy = PRIVATE_DP_SGD_COUNTS "}"}, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_evaluate(site, 1, 0), EVALUATION);
    site->run[0] = 2;
    private_approved(site,
                     &(struct private_words){
                         .name = "level", .privacy = PRIVATE_SITE_LEVEL, .training = "{optimizer: lbfgs}"},
                     0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site->run[0] = 3;
    private_approved(site, &(struct private_words){.name = "other", .evaluation = "{test_fraction: 0.9}"}, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
}

/* What the requester sees of a site with many rows, and of one with a single row, is as long and says the same. */
static void test_private_messages_do_not_depend_on_the_rows(void **state)
{
    struct site *site = *state;
    size_t bytes[2];
    for (size_t i = 0; i < 2; i++) {
        site->run[0] = (uint8_t)(1 + i);
        private_approved(site, &(struct private_words){.name = i == 0 ? "many" : "none"}, 0);
        struct reply status = site_query(site, &site->researcher);
        Fds__JobStatus *message = NULL;
        must(wire_job_status_decode(status.body, status.body_bytes, &message));
        assert_null(strstr(message->sentence, "6000"));
        assert_null(strstr(message->sentence, "rows"));
        wire_job_status_free(message);
        requests_reply_clear(&status);
        struct reply reply = site_opened(site, site_train(site, 1, 0));
        bytes[i] = reply.body_bytes;
        requests_reply_clear(&reply);
        if (i == 0)
            site_reimport(site, 1, 1);
    }
    assert_int_equal(bytes[0], bytes[1]);
}

/* Every row is infinite after the map: each adds zero, and the round is all noise. */
static void test_private_rows_that_are_not_finite_refuse_nothing(void **state)
{
    static const char standardize[] =
        "{kind: standardize, mean: [0, 0, 0, 0], deviation: [1e-300, 1e-300, 1e-300, 1e-300], "
        "released_by: \"sha256:%s\"}";
    struct site *site = *state;
    char hex[DIGEST_HEX_BYTES], features[256];
    double zeros[2 * SITE_FEATURES] = {0};
    private_approved(site,
                     &(struct private_words){.name = "statistics",
                                             .model = "{kind: feature-statistics}",
                                             .training = "",
                                             .rounds = 1,
                                             .privacy = "{mechanism: dp-sgd, clip: 2, noise_multiplier: 8, "
                                                        "delta: 1e-5, sampling_rate: 1}"},
                     0);
    assert_true(site_train_start(site, 1, zeros, 2 * SITE_FEATURES).later);
    site_expect_type(site_wait(site), UPDATE);
    digest_hex(&site->job_id, hex);
    (void)snprintf(features, sizeof(features), standardize, hex);
    site->run[0] = 2;
    private_approved(
        site,
        &(struct private_words){.features = features, .rounds = 1, .privacy = PRIVATE_DP_SGD_COUNTS "}"}, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_evaluate(site, 1, 0), EVALUATION);
    site->run[0] = 3;
    private_approved(site,
                     &(struct private_words){.name = "level",
                                             .features = features,
                                             .privacy = PRIVATE_SITE_LEVEL,
                                             .training = "{optimizer: lbfgs}"},
                     0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
}

/* Rows that do not fit into the memory of features: stands before the library's, whose sentence names their number. */
static bool rows_are_too_many;
struct error *__real_features_check_size(size_t rows, size_t count);
struct error *__wrap_features_check_size(size_t rows, size_t count);
struct error *__wrap_features_check_size(size_t rows, size_t count)
{
    return rows_are_too_many ? __real_features_check_size(rows, (size_t)1 << 40)
                             : __real_features_check_size(rows, count);
}

static void test_private_rows_that_do_not_fit_are_not_counted_aloud(void **state)
{
    struct site *site = *state;
    rows_are_too_many = true;
    private_approved(site, &(struct private_words){.features = "{kind: unit-norm}"}, 0);
    REFUSED(site_train(site, 1, 0), ERROR_NUMERIC, "The site tells no more");
    private_approved(site,
                     &(struct private_words){.name = "clear",
                                             .privacy = "{mechanism: none}",
                                             .features = "{kind: unit-norm}",
                                             .federation = "min_sites: 1, weighting: equal",
                                             .examples = ""},
                     0);
    REFUSED(site_train(site, 1, 0), ERROR_LIMIT, "6000 rows");
    site->policy.gate.output.metrics = POLICY_METRIC_CONFUSION;
    executor_set_policy(site->executor, &site->policy);
    REFUSED(site_train(site, 1, 0), ERROR_NUMERIC, "The site tells no more");
    rows_are_too_many = false;
}

/* Rows were added, one only: an answer without privacy would tell of it, and is refused; noise covers it. */
static void test_private_growth_of_one_row_is_not_told(void **state)
{
    struct site *site = *state;
    struct job_record record = {.bytes = NULL};
    char text[SITE_JOB_BYTES];
    private_job(site, &(struct private_words){0}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &(struct approval_limits){.allow_growth = true},
                       "owner", "", SITE_NOW));
    job_record_clear(&record);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_reimport(site, SITE_ROWS + 1, SITE_ROWS + 1);
    site_expect_type(site_train(site, 2, 0), UPDATE);
}

/* Whether it is in time can depend on the rows: it is tried once, and the answer is that of any failure. */
static void test_attack_private_step_past_its_deadline_spends_the_round_at_once(void **state)
{
    struct site *site = *state;
    static const uint8_t zeros[SITE_PARAMETERS * sizeof(double)];
    private_approved(site,
                     &(struct private_words){.privacy = PRIVATE_SITE_LEVEL,
                                             .training = "{optimizer: sgd, learning_rate: 0.01, batch_size: "
                                                         "1, local_epochs: 1000}"},
                     0);
    struct step *step = calloc(1, sizeof(*step));
    assert_non_null(step);
    must(step_take_parameters(step, zeros, sizeof(zeros)));
    step->peer = site->researcher;
    step->job_id = site->job_id;
    memcpy(step->run_id, site->run, sizeof(step->run_id));
    step->round = 1;
    step->deadline = clock_monotonic_ms() + 300;
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &step->approval));
    must(executor_submit(site->executor, step));
    REFUSED(site_wait(site), ERROR_NUMERIC, RELEASE_FAILED);
    REFUSED(site_train(site, 1, 0), ERROR_NUMERIC, RELEASE_FAILED);
    REFUSED(site_train(site, 1, 0.5), ERROR_REFUSED, "another model");
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'train-failed'"), 1);
    assert_int_equal(site_count(site, "SELECT count(*) FROM budget WHERE kind = 'begin'"), 1);
    assert_int_equal(site_count(site, "SELECT count(*) FROM budget WHERE kind = 'settle'"), 0);
}

/* ---- evaluation ---- */

static void test_private_counts_leave_with_noise_and_of_the_last_round_alone(void **state)
{
    struct site *site = *state;
    double sum = 0;
    private_approved(site, &(struct private_words){.privacy = PRIVATE_DP_SGD_COUNTS "}"}, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site_evaluate(site, 1, 0), ERROR_REFUSED, "of round 3, its last, and of no other");
    site_expect_type(site_train(site, 3, 0), UPDATE);
    struct reply first = site_evaluate(site, 3, 0.25);
    struct reply again = site_evaluate(site, 3, 0.25);
    assert_memory_equal(first.body, again.body, first.body_bytes);
    requests_reply_clear(&again);
    Fds__Evaluation *evaluation = private_evaluation(site, first);
    assert_int_equal(evaluation->n_confusion, 0);
    assert_true(evaluation->test_rows == WIRE_WITHHELD);
    assert_true(evaluation->correct == WIRE_WITHHELD);
    assert_int_equal(evaluation->n_noised, SITE_CLASSES * SITE_CLASSES);
    for (size_t i = 0; i < evaluation->n_noised; i++) {
        assert_true(evaluation->noised[i] != floor(evaluation->noised[i]));
        sum += evaluation->noised[i];
    }
    assert_true(fabs(sum - SITE_ROWS / 2.0) < 400); /* half of the rows within 200, nine times noise of 8 */
    REFUSED(site_evaluate(site, 3, 0.5), ERROR_REFUSED, "another model");
    wire_evaluation_free(evaluation);
}

static void test_private_counts_of_all_rounds_leave_when_the_job_pays_for_them(void **state)
{
    struct site *site = *state;
    private_approved(site, &(struct private_words){.privacy = PRIVATE_DP_SGD_COUNTS ", metrics_rounds: all}"},
                     0);
    for (uint32_t round = 1; round <= 3; round++) {
        site_expect_type(site_train(site, round, 0), UPDATE);
        site_expect_type(site_evaluate(site, round, 0), EVALUATION);
    }
}

static void test_private_counts_without_noise_of_their_own_do_not_leave(void **state)
{
    struct site *site = *state;
    private_approved(site, &(struct private_words){.rounds = 1}, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site_evaluate(site, 1, 0), ERROR_REFUSED, "metrics: none");
}

static void test_private_counts_stay_where_the_policy_lets_none_out(void **state)
{
    struct site *site = *state;
    site->policy.gate.output.metrics = POLICY_METRIC_EXAMPLES;
    executor_set_policy(site->executor, &site->policy);
    private_approved(site, &(struct private_words){.rounds = 1, .privacy = PRIVATE_DP_SGD_COUNTS "}"}, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site_evaluate(site, 1, 0), ERROR_REFUSED, "lets no counts");
}

/* With hardly any noise, what was learnt is there: clipping, sampling, averaging and dividing are those of gradient descent. */
static void test_private_training_with_little_noise_learns(void **state)
{
    struct site *site = *state;
    double right = 0, all = 0, parameters[SITE_PARAMETERS];
    private_approved(site,
                     &(struct private_words){.training = "{optimizer: sgd, learning_rate: 1, momentum: 0.9, "
                                                         "average_tail: 0.2}",
                                             .rounds = 1,
                                             .privacy =
                                                 "{mechanism: dp-sgd, clip: 2, noise_multiplier: 0.05, "
                                                 "delta: 1e-5, sampling_rate: 0.5, steps: 60, "
                                                 "metrics_noise: 0.05}"},
                     0);
    Fds__Update *update = private_update(site, site_train(site, 1, 0));
    wire_parameters_read(update->parameters.data, SITE_PARAMETERS, parameters);
    Fds__Evaluate message = FDS__EVALUATE__INIT;
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, site->run};
    message.round = 1;
    message.parameters = update->parameters;
    Fds__Evaluation *evaluation = private_evaluation(
        site, site_ask(site, &site->researcher, true, FDS__MESSAGE_TYPE__MESSAGE_EVALUATE, &message.base));
    for (size_t i = 0; i < evaluation->n_noised; i++) {
        all += evaluation->noised[i];
        right += i % (SITE_CLASSES + 1) == 0 ? evaluation->noised[i] : 0;
    }
    assert_true(right / all > 0.85);
    wire_evaluation_free(evaluation);
    wire_update_free(update);
}

/* ---- the ledger ---- */

/* A literal: statements are kept by where their text is. */
#define ENTRIES(site, what) site_count(site, "SELECT count(*) FROM budget WHERE " what)

static void test_private_ledger_has_exactly_what_left(void **state)
{
    struct site *site = *state;
    private_approved(site, &(struct private_words){.privacy = PRIVATE_DP_SGD_COUNTS "}"}, 0);
    assert_int_equal(ENTRIES(site, "kind IN ('reserve', 'begin', 'settle')"), 0);
    for (uint32_t round = 1; round <= 2; round++) {
        site_expect_type(site_train(site, round, 0), UPDATE);
        site_expect_type(site_train(site, round, 0), UPDATE);
        assert_int_equal(ENTRIES(site, "kind = 'begin' AND use = 1"), round);
        assert_int_equal(ENTRIES(site, "kind = 'settle' AND use = 1"), round);
    }
    REFUSED(site_evaluate(site, 2, 0), ERROR_REFUSED, "of no other");
    assert_int_equal(ENTRIES(site, "use = 2"), 0);
    site_expect_type(site_train(site, 3, 0), UPDATE);
    site_expect_type(site_evaluate(site, 3, 0), EVALUATION);
    assert_int_equal(ENTRIES(site, "kind = 'begin'"), 4);
    assert_int_equal(ENTRIES(site, "kind = 'settle'"), 4);
    assert_int_equal(ENTRIES(site, "kind = 'reserve'"), 1);
    assert_int_equal(ENTRIES(site, "kind = 'reserve' AND mechanism = 1 AND steps = 4 AND rounds = 3 AND "
                                   "evaluations = 1 AND noise_multiplier = 8 AND metrics_noise = 8"),
                     1);
    assert_int_equal(ENTRIES(site, "kind = 'clear'"), 0);
}

/* The model leaves the range of numbers by itself. The requester hears the constant sentence, now and ever after, and the round
 * is spent. */
static void test_private_step_that_fails_tells_nothing_and_stays_spent(void **state)
{
    struct site *site = *state;
    private_approved(site,
                     &(struct private_words){.model = "{kind: softmax-regression, l2: 1000000}",
                                             .training = "{optimizer: sgd, learning_rate: 100}",
                                             .privacy = "{mechanism: dp-sgd, clip: 1, noise_multiplier: 1, "
                                                        "delta: 1e-5, sampling_rate: 0.1, steps: 20}"},
                     0);
    REFUSED(site_train(site, 1, 0), ERROR_NUMERIC, "The site tells no more");
    REFUSED(site_train(site, 1, 0), ERROR_NUMERIC, "The site tells no more");
    assert_int_equal(ENTRIES(site, "kind = 'begin'"), 1);
    assert_int_equal(ENTRIES(site, "kind = 'settle'"), 0);
    REFUSED(site_train(site, 1, 1), ERROR_REFUSED, "another model");
}

/* ---- what is not approved, or not worked on ---- */

static void test_private_job_without_noise_multiplier_is_not_approved(void **state)
{
    struct site *site = *state;
    struct job_record record = {.bytes = NULL};
    char text[SITE_JOB_BYTES];
    private_job(site,
                &(struct private_words){.privacy = "{mechanism: dp-sgd, clip: 1, target_epsilon: 3, delta: "
                                                   "1e-5, sampling_rate: 0.1, steps: 4}"},
                text);
    struct reply reply = site_submit(site, text);
    requests_reply_clear(&reply);
    must(store_job_find(site->store, &site->job_id, &record));
    refused(approval_give(site->store, site->identity, &record, &(struct approval_limits){0}, "owner", "",
                          SITE_NOW),
            ERROR_REFUSED, "noise_multiplier");
    job_record_clear(&record);
}

/* The job says epsilon 0.1, and its noise gives more. */
static void test_private_job_over_its_own_target_is_not_approved(void **state)
{
    struct site *site = *state;
    struct job_record record = {.bytes = NULL};
    char text[SITE_JOB_BYTES];
    private_job(site,
                &(struct private_words){.privacy = "{mechanism: dp-sgd, clip: 1, noise_multiplier: 1, "
                                                   "target_epsilon: 0.1, delta: 1e-5, sampling_rate: 0.1, "
                                                   "steps: 4}"},
                text);
    struct reply reply = site_submit(site, text);
    requests_reply_clear(&reply);
    must(store_job_find(site->store, &site->job_id, &record));
    refused(approval_give(site->store, site->identity, &record, &(struct approval_limits){0}, "owner", "",
                          SITE_NOW),
            ERROR_INVALID, "target_epsilon");
    job_record_clear(&record);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_private_update_has_declared_examples_and_nothing_else),
        TEST(test_private_update_says_its_protection_in_the_receipt),
        TEST(test_private_update_again_repeats_the_bytes),
        TEST(test_private_update_survives_a_restart),
        TEST(test_private_noise_of_dp_sgd_is_no_function_of_the_seed),
        TEST(test_private_noise_of_site_level_is_no_function_of_the_seed),
        TEST(test_private_few_declared_rows_are_refused_whatever_there_is),
        TEST(test_private_many_declared_rows_leave_whatever_there_is),
        TEST(test_private_few_declared_test_rows_are_refused),
        TEST(test_private_round_without_rows_answers_like_any_other),
        TEST(test_private_messages_do_not_depend_on_the_rows),
        TEST(test_private_rows_that_are_not_finite_refuse_nothing),
        TEST(test_private_rows_that_do_not_fit_are_not_counted_aloud),
        TEST(test_private_growth_of_one_row_is_not_told),
        TEST(test_attack_private_step_past_its_deadline_spends_the_round_at_once),
        TEST(test_private_counts_leave_with_noise_and_of_the_last_round_alone),
        TEST(test_private_counts_of_all_rounds_leave_when_the_job_pays_for_them),
        TEST(test_private_counts_without_noise_of_their_own_do_not_leave),
        TEST(test_private_counts_stay_where_the_policy_lets_none_out),
        TEST(test_private_training_with_little_noise_learns),
        TEST(test_private_ledger_has_exactly_what_left),
        TEST(test_private_step_that_fails_tells_nothing_and_stays_spent),
        TEST(test_private_job_without_noise_multiplier_is_not_approved),
        TEST(test_private_job_over_its_own_target_is_not_approved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
