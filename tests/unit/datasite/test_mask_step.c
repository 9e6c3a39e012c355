/* Masked rounds of four sites through their handlers and executors: what the sum is, what is repeated, what is refused.
 * After each refusal nothing more has been released than before. */
#include "tests/unit/datasite/freed.h"
#include "tests/unit/datasite/masked_sites.h"

#include <math.h>

#define RELEASED FDS__MESSAGE_TYPE__MESSAGE_RELEASED

static const uint32_t everybody[] = {1, 2, 3, 4};
static const uint32_t first_three[] = {1, 2, 3};

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

/* ---- the sum ---- */

static void test_mask_four_sites_sum_is_exactly_that_of_the_vectors(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    masked_begin(masked, &(struct masked_words){.metrics = "pooled"});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_collect(masked, &attempt, everybody, 4, NULL);
    masked_unmask(masked, &attempt);
    expect_exact(masked, &attempt);
    masked_attempt_clear(&attempt);
}

/* Features are those of the job, whose model has their shape: at a site and under masks alike. */
static void test_mask_of_a_job_with_features_sums_what_they_train(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    masked_begin(masked, &(struct masked_words){.training = "{optimizer: lbfgs, local_iterations: 5}\n"
                                                            "features: {kind: unit-norm}"});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_collect(masked, &attempt, everybody, 4, NULL);
    masked_unmask(masked, &attempt);
    expect_exact(masked, &attempt);
    masked_attempt_clear(&attempt);
}

static void test_mask_ring_32_with_a_dropout_sum_is_exactly_that_of_the_contributors(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    masked_begin(masked, &(struct masked_words){.secure = ", ring: 32, max_examples: 10000"});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_collect(masked, &attempt, first_three, 3, NULL);
    masked_unmask(masked, &attempt);
    expect_exact(masked, &attempt);
    masked_attempt_clear(&attempt);
}

/* What the same site releases in a job in clear, with the same training: its model, and n_i. */
static uint64_t clear_update(struct site *site, double *ret_parameters)
{
    Fds__Update *update = NULL;
    site_approved(site, &(struct job_words){.name = "clear", .metrics = "none"}, 0, 0);
    site->run[0] = 9;
    struct reply reply = site_opened(site, site_train(site, 1, 0));
    must(wire_update_decode(reply.body, reply.body_bytes, &update));
    wire_parameters_read(update->parameters.data, SITE_PARAMETERS, ret_parameters);
    uint64_t examples = update->examples;
    wire_update_free(update);
    requests_reply_clear(&reply);
    return examples;
}

static void test_mask_average_differs_from_fedavg_in_clear_by_less_than_the_bound(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    double one[SITE_PARAMETERS], mean[SITE_PARAMETERS] = {0}, model[SITE_PARAMETERS] = {0}, largest = 0;
    uint64_t examples = 0, of_one;
    struct secagg_vector vector;
    for (size_t i = 0; i < MASKED_SITES; i++) {
        of_one = clear_update(masked->sites[i], one);
        examples += of_one;
        for (size_t p = 0; p < SITE_PARAMETERS; p++)
            mean[p] += one[p] * (double)of_one;
        masked->sites[i]->run[0] = 1;
    }
    masked_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_collect(masked, &attempt, everybody, 4, NULL);
    masked_unmask(masked, &attempt);
    assert_int_equal(attempt.sum[0], examples);
    must(secagg_vector_plan(masked->job, &site_shape, 1, &vector));
    must(fixed_point_advance(&vector.plan, 4, attempt.sum, SITE_PARAMETERS, model));
    for (size_t p = 0; p < SITE_PARAMETERS; p++)
        largest = fmax(largest, fabs(mean[p] / (double)examples));
    double bound = fixed_point_bound(&vector.plan, 4, examples, largest);
    assert_true(bound < 1e-6);
    for (size_t p = 0; p < SITE_PARAMETERS; p++)
        assert_true(fabs(model[p] - mean[p] / (double)examples) <= bound);
    assert_true(largest > 1000 * bound); /* there was something to average */
    masked_attempt_clear(&attempt);
}

/* Two rounds, and the evaluation after them, with the sums between: every site finds the same model. */
static void test_mask_rounds_go_on_from_the_model_that_each_site_computes(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest model = masked_zeros();
    Fds__Sum *previous = NULL;
    masked_begin(masked, &(struct masked_words){.metrics = "pooled", .rounds = 2});
    for (uint32_t round = 1; round <= 3; round++) {
        double values[SITE_PARAMETERS] = {0};
        uint64_t tested = 0;
        if (round > 1) {
            struct secagg_model before = masked_model(masked, 1);
            struct secagg_vector vector;
            uint64_t words[1 + SITE_PARAMETERS];
            wire_parameters_read(before.parameters, SITE_PARAMETERS, values);
            must(secagg_vector_plan(masked->job, &site_shape, round - 1, &vector));
            mask_read(MASK_RING_64, previous->words.data, 1 + SITE_PARAMETERS, words);
            must(fixed_point_advance(&vector.plan, previous->n_contributors, words, SITE_PARAMETERS, values));
            must(digest_of(values, sizeof(values), &model));
            secagg_model_clear(&before);
        }
        masked_attempt_begin(masked, round, 0, round, &model, everybody, 4, &attempt);
        masked_round(masked, &attempt, everybody, 4, previous);
        for (size_t cell = attempt.about.words - MASKED_CELLS; cell < attempt.about.words; cell++)
            tested += attempt.sum[cell];
        assert_true(tested > 8000 && tested < 10000); /* about half of 18000 rows */
        assert_int_equal(attempt.about.words,
                         round == 3 ? 1 + MASKED_CELLS : 1 + SITE_PARAMETERS + MASKED_CELLS);
        wire_sum_free(previous);
        previous = masked_sum(masked, &attempt, false);
        masked_attempt_clear(&attempt);
    }
    for (uint32_t position = 1; position <= 4; position++) {
        struct secagg_model own = masked_model(masked, position);
        assert_int_equal(own.round, 3);
        assert_true(digest_equal(&own.digest, &model));
        secagg_model_clear(&own);
    }
    wire_sum_free(previous);
}

/* ---- again ---- */

static void test_mask_asked_again_repeats_the_same_bytes(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(2);
    masked_begin(masked, &(struct masked_words){0});
    struct reply first = masked_ask(masked, &mask);
    assert_int_equal(first.type, RELEASED);
    int64_t before = site_released(masked->sites[1]);
    site_expect_same(first, masked_ask(masked, &mask));
    assert_int_equal(site_released(masked->sites[1]), before);
}

static void test_mask_asked_again_for_something_else_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(2), other = masked_first(2);
    masked_begin(masked, &(struct masked_words){0});
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    other.slot = 1;
    MASKED_REFUSED(masked, 2, masked_ask(masked, &other), ERROR_REFUSED, "another slot");
    other = mask;
    other.sharers = first_three;
    other.sharer_count = 3;
    MASKED_REFUSED(masked, 2, masked_ask(masked, &other), ERROR_REFUSED, "other sites");
    other = mask;
    other.model.bytes[0] ^= 1;
    MASKED_REFUSED(masked, 2, masked_ask(masked, &other), ERROR_REFUSED, "another model");
    other = mask;
    other.attempt = 1; /* the slot serves attempt 0 */
    MASKED_REFUSED(masked, 2, masked_ask(masked, &other), ERROR_REFUSED, "Slot 0 is not open");
}

static void test_mask_further_attempt_masks_the_same_vector_anew(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt one, two;
    struct digest zeros = masked_zeros();
    uint64_t first[1 + SITE_PARAMETERS], second[1 + SITE_PARAMETERS];
    masked_begin(masked, &(struct masked_words){.secure = ", ring: 32, max_examples: 10000"});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &one);
    masked_collect(masked, &one, everybody, 4, NULL);
    assert_true(masked_vector(masked, 1, 1, first, 1 + SITE_PARAMETERS));
    masked_attempt_begin(masked, 1, 1, 1, &zeros, first_three, 3, &two);
    masked_collect(masked, &two, first_three, 3, NULL);
    masked_unmask(masked, &two);
    /* Rounding in the ring of 32 bits is random: a vector that was computed anew would differ. */
    assert_true(masked_vector(masked, 1, 1, second, 1 + SITE_PARAMETERS));
    assert_memory_equal(first, second, sizeof(first));
    assert_memory_not_equal(one.inputs[0], two.inputs[0], one.bytes);
    expect_exact(masked, &two);
    masked_attempt_clear(&one);
    masked_attempt_clear(&two);
}

static void test_mask_another_attempt_after_the_agreement_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    struct masked_mask again = masked_first(1);
    masked_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_collect(masked, &attempt, everybody, 4, NULL);
    masked_agree(masked, &attempt);
    again.attempt = 1;
    again.slot = 1;
    again.sharers = first_three;
    again.sharer_count = 3;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &again), ERROR_REFUSED, "one such statement a round");
    again = masked_first(1); /* the very attempt is repeated as before */
    site_expect_type(masked_ask(masked, &again), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    masked_attempt_clear(&attempt);
}

/* A step that fails once rows were read tells nothing of why, and its round is over for this site. */
static void test_mask_step_that_fails_spends_the_round_whatever_the_attempt(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    masked->sites[0]->policy.gate.output.max_update_norm = 1e-9;
    masked_policy(masked);
    masked_begin(masked, &(struct masked_words){0});
    site_expect_refusal(masked_ask(masked, &mask), ERROR_NUMERIC, "The site tells no more");
    site_expect_refusal(masked_ask(masked, &mask), ERROR_NUMERIC, "The site tells no more");
    mask.attempt = 1;
    mask.slot = 1;
    masked->sites[0]->policy.gate.output.max_update_norm = 0;
    masked_policy(masked);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "answered before");
    assert_int_equal(site_count(masked->sites[0], "SELECT count(*) FROM event WHERE kind = 'input-released'"),
                     0);
}

/* Keys of slot 0 and 1, and, once it is known, the vector. */
static void test_mask_step_leaves_no_secret_in_freed_memory(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    uint64_t words[1 + SITE_PARAMETERS];
    masked_begin(masked, &(struct masked_words){0});
    freed_reset();
    freed_look_for(&masked->secrets[0][0], 2 * sizeof(masked->secrets[0][0]));
    mask.spoil = 3;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_UNTRUSTED, "site 3 of the roster");
    mask.spoil = 0;
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    assert_true(masked_vector(masked, 1, 1, words, 1 + SITE_PARAMETERS));
    freed_look_for(words + 1, sizeof(words) - sizeof(words[0]));
    mask.attempt = 1;
    mask.slot = 1;
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    assert_int_equal(freed_found(), 0);
}

/* ---- a model of a file ---- */

#define FILE_BYTES (SITE_PARAMETERS * sizeof(double))

/* A job that begins with the model of a file. */
static struct digest begin_with_file(struct masked_sites *masked, uint8_t ret_parameters[static FILE_BYTES])
{
    double values[SITE_PARAMETERS];
    struct digest digest;
    char hex[DIGEST_HEX_BYTES], words[128];
    for (size_t i = 0; i < SITE_PARAMETERS; i++)
        values[i] = 0.25 * (double)i;
    wire_parameters_write(values, SITE_PARAMETERS, ret_parameters);
    must(digest_of(ret_parameters, FILE_BYTES, &digest));
    digest_hex(&digest, hex);
    (void)snprintf(words, sizeof(words), ", init: \"sha256:%s\"", hex);
    masked_begin(masked, &(struct masked_words){.model = words});
    return digest;
}

static void test_mask_initial_model_of_a_file_must_be_the_one_that_the_job_names(void **state)
{
    struct masked_sites *masked = *state;
    uint8_t parameters[FILE_BYTES];
    struct masked_mask mask = masked_first(1);
    mask.model = begin_with_file(masked, parameters);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "has not been given it");
    mask.parameters = parameters;
    mask.parameter_bytes = sizeof(parameters);
    parameters[3] ^= 1;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "not the one");
    parameters[3] ^= 1;
    mask.parameter_bytes -= sizeof(double);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_INVALID, "shape=(3, 4)");
    mask.parameter_bytes += sizeof(double);
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
}

/* ---- a first model that somebody edited ---- */

static void put_model(struct masked_sites *masked, const uint8_t parameters[static FILE_BYTES],
                      struct digest *ret_digest)
{
    char sql[1024], hex[DIGEST_HEX_BYTES];
    int used = snprintf(sql, sizeof(sql), "UPDATE secagg_model SET parameters = x'");
    for (size_t i = 0; i < FILE_BYTES; i++)
        used += snprintf(sql + used, sizeof(sql) - (size_t)used, "%02x", parameters[i]);
    must(digest_of(parameters, FILE_BYTES, ret_digest));
    digest_hex(ret_digest, hex);
    (void)snprintf(sql + used, sizeof(sql) - (size_t)used, "', digest = x'%s'", hex);
    site_sql(masked->sites[0], sql);
}

/* The site has computed its first model, and given nothing yet; then somebody exchanges the model for a crafted one, with its
 * digest, and who asks for the vector names the crafted one, or the right one. */
static void expect_first_model_bound(struct masked_sites *masked, struct masked_mask mask)
{
    uint8_t crafted[FILE_BYTES];
    struct digest honest;
    mask.model = (struct digest){{0xff}};
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "from another model");
    struct secagg_model model = masked_model(masked, 1);
    assert_int_equal(model.bytes, sizeof(crafted));
    memcpy(crafted, model.parameters, sizeof(crafted));
    crafted[6] ^= 0x10;
    put_model(masked, crafted, &mask.model);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_UNTRUSTED, "somebody edited it");
    mask.model = model.digest;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_UNTRUSTED, "somebody edited it");
    put_model(masked, model.parameters, &honest);
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    secagg_model_clear(&model);
}

static void test_mask_first_model_of_zeros_edited_with_its_digest_refused(void **state)
{
    masked_begin(*state, &(struct masked_words){0});
    expect_first_model_bound(*state, masked_first(1));
}

static void test_mask_first_model_of_a_seed_edited_with_its_digest_refused(void **state)
{
    masked_begin(*state, &(struct masked_words){.model = ", init: seeded"});
    expect_first_model_bound(*state, masked_first(1));
}

static void test_mask_first_model_of_a_file_edited_with_its_digest_refused(void **state)
{
    uint8_t parameters[FILE_BYTES];
    struct masked_mask mask = masked_first(1);
    (void)begin_with_file(*state, parameters);
    mask.parameters = parameters;
    mask.parameter_bytes = sizeof(parameters);
    expect_first_model_bound(*state, mask);
}

/* ---- sums that a site missed ---- */

static void test_mask_without_the_sum_before_refused_until_it_comes(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    struct masked_mask mask = masked_first(4);
    masked_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_round(masked, &attempt, first_three, 3, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    mask.round = 2;
    mask.slot = 1;
    MASKED_REFUSED(masked, 4, masked_ask(masked, &mask), ERROR_NOT_FOUND,
                   "lacks the sums from round 1 to round 1");
    sum->round = 2; /* the sum of the round before is not enough where two are missing */
    mask.round = 3;
    mask.previous = sum;
    MASKED_REFUSED(masked, 4, masked_ask(masked, &mask), ERROR_NOT_FOUND,
                   "lacks the sums from round 1 to round 2");
    sum->round = 1;
    mask.round = 2;
    mask.previous = NULL;
    site_expect_state(masked_ask_sum(masked, 4, sum), FDS__JOB_STATE__JOB_RUNNING);
    site_expect_state(masked_ask_sum(masked, 4, sum), FDS__JOB_STATE__JOB_RUNNING); /* changes nothing */
    struct secagg_model model = masked_model(masked, 4);
    assert_int_equal(model.round, 2);
    mask.model = model.digest;
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    assert_int_equal(site_count(masked->sites[3], "SELECT count(*) FROM event WHERE kind = 'sum-taken'"), 1);
    secagg_model_clear(&model);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

/* A site that was not there in round 1 has no initial model yet. */
static void test_sum_of_round_1_brings_the_initial_model_of_a_file(void **state)
{
    struct masked_sites *masked = *state;
    uint8_t parameters[FILE_BYTES];
    struct masked_attempt attempt;
    struct digest model = begin_with_file(masked, parameters);
    for (uint32_t position = 1; position <= 3; position++) {
        struct masked_mask mask = masked_first(position);
        mask.model = model;
        mask.parameters = parameters;
        mask.parameter_bytes = sizeof(parameters);
        site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    }
    masked_attempt_begin(masked, 1, 0, 0, &model, everybody, 4, &attempt);
    masked_round(masked, &attempt, first_three, 3, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    MASKED_REFUSED(masked, 4, masked_ask_sum(masked, 4, sum), ERROR_REFUSED, "has not been given it");
    sum->parameters = (ProtobufCBinaryData){sizeof(parameters), parameters};
    parameters[0] ^= 1;
    MASKED_REFUSED(masked, 4, masked_ask_sum(masked, 4, sum), ERROR_REFUSED, "not the one");
    parameters[0] ^= 1;
    site_expect_state(masked_ask_sum(masked, 4, sum), FDS__JOB_STATE__JOB_RUNNING);
    struct secagg_model own = masked_model(masked, 4);
    assert_int_equal(own.round, 2);
    secagg_model_clear(&own);
    sum->parameters = (ProtobufCBinaryData){0, NULL};
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

static void test_sum_false_refused_by_event_and_by_word(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    masked_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    sum->words.data[8] ^= 1;
    masked_sign(masked, &attempt, sum);
    MASKED_REFUSED(masked, 1, masked_ask_sum(masked, 1, sum), ERROR_UNTRUSTED, "give another one");
    assert_int_equal(site_count(masked->sites[0], "SELECT count(*) FROM event WHERE kind = 'sum-refused'"),
                     1);
    struct secagg_model model = masked_model(masked, 1);
    assert_int_equal(model.round, 1);
    secagg_model_clear(&model);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, masked_make, masked_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mask_four_sites_sum_is_exactly_that_of_the_vectors),
        TEST(test_mask_of_a_job_with_features_sums_what_they_train),
        TEST(test_mask_ring_32_with_a_dropout_sum_is_exactly_that_of_the_contributors),
        TEST(test_mask_average_differs_from_fedavg_in_clear_by_less_than_the_bound),
        TEST(test_mask_rounds_go_on_from_the_model_that_each_site_computes),
        TEST(test_mask_asked_again_repeats_the_same_bytes),
        TEST(test_mask_asked_again_for_something_else_refused),
        TEST(test_mask_further_attempt_masks_the_same_vector_anew),
        TEST(test_mask_another_attempt_after_the_agreement_refused),
        TEST(test_mask_initial_model_of_a_file_must_be_the_one_that_the_job_names),
        TEST(test_mask_first_model_of_zeros_edited_with_its_digest_refused),
        TEST(test_mask_first_model_of_a_seed_edited_with_its_digest_refused),
        TEST(test_mask_first_model_of_a_file_edited_with_its_digest_refused),
        TEST(test_mask_step_that_fails_spends_the_round_whatever_the_attempt),
        TEST(test_mask_step_leaves_no_secret_in_freed_memory),
        TEST(test_mask_without_the_sum_before_refused_until_it_comes),
        TEST(test_sum_of_round_1_brings_the_initial_model_of_a_file),
        TEST(test_sum_false_refused_by_event_and_by_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
