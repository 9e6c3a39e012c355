/* What a site refuses of a Mask, and of a Train where secure aggregation is asked for. After each refusal nothing more has
 * been released than before. */
#include "datasite/log_repeats.h"
#include "datasite/release.h"
#include "tests/unit/datasite/masked_sites.h"

static const uint32_t everybody[] = {1, 2, 3, 4};
static const uint32_t first_three[] = {1, 2, 3};

/* The daemon's log of one site, as text. */
struct listening {
    struct site *site;
    struct log_repeats repeats;
    char *text;
    size_t bytes;
};

static void listen_to(struct site *site, struct listening *listening)
{
    *listening = (struct listening){.site = site};
    site->log.stream = open_memstream(&listening->text, &listening->bytes);
    assert_non_null(site->log.stream);
    site->requests.repeats = &listening->repeats;
}

/* What was said; freed by the caller. */
static char *listened(struct listening *listening)
{
    assert_int_equal(fclose(listening->site->log.stream), 0);
    listening->site->log.stream = NULL;
    listening->site->requests.repeats = NULL;
    return listening->text;
}

static size_t times_in(const char *text, const char *words)
{
    size_t times = 0;
    for (const char *at = strstr(text, words); at != NULL; at = strstr(at + 1, words))
        times++;
    return times;
}

static void test_train_in_clear_of_a_job_with_secure_aggregation_refused(void **state)
{
    struct masked_sites *masked = *state;
    masked_begin(masked, &(struct masked_words){0});
    MASKED_REFUSED(masked, 1, site_train(masked->sites[0], 1, 0), ERROR_REFUSED, "never in clear");
    MASKED_REFUSED(masked, 1, site_evaluate(masked->sites[0], 1, 0), ERROR_REFUSED, "never in clear");
}

static void test_train_in_clear_where_the_policy_requires_secure_aggregation_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct site *site = masked->sites[0];
    site->policy.gate.output.require = POLICY_REQUIRE_SECURE_AGGREGATION;
    masked_policy(masked);
    site_approved(site, &(struct job_words){0}, 0, 0);
    MASKED_REFUSED(masked, 1, site_train(site, 1, 0), ERROR_REFUSED, "only with secure aggregation");
    MASKED_REFUSED(masked, 1, site_evaluate(site, 1, 0), ERROR_REFUSED, "only with secure aggregation");
}

static void test_mask_of_a_job_in_clear_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    masked_begin(masked, &(struct masked_words){0});
    site_approved(masked->sites[0], &(struct job_words){0}, 0, 0);
    masked->job_id = masked->sites[0]->job_id;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "no secure aggregation");
}

static void test_mask_bad_share_refused_naming_the_sender_and_spends_nothing(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    Fds__Refusal *refusal = NULL;
    masked_begin(masked, &(struct masked_words){0});
    mask.spoil = 3;
    struct reply reply = masked_ask(masked, &mask);
    must(wire_refusal_decode(reply.body, reply.body_bytes, &refusal));
    assert_int_equal(refusal->position, 3);
    wire_refusal_free(refusal);
    MASKED_REFUSED(masked, 1, reply, ERROR_UNTRUSTED, "3");
    mask.spoil = 0;
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
}

static void test_mask_another_model_refused_naming_neither(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    char hex[DIGEST_HEX_BYTES];
    Fds__Refusal *refusal = NULL;
    masked_begin(masked, &(struct masked_words){0});
    digest_hex(&mask.model, hex);
    mask.model.bytes[5] ^= 1;
    struct reply reply = masked_ask(masked, &mask);
    must(wire_refusal_decode(reply.body, reply.body_bytes, &refusal));
    assert_null(strstr(refusal->sentence, hex));
    wire_refusal_free(refusal);
    MASKED_REFUSED(masked, 1, reply, ERROR_REFUSED, "another model");
    assert_int_equal(site_count(masked->sites[0], "SELECT count(*) FROM secagg_round"), 0);
}

static void test_mask_sharers_outside_the_job_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    static const uint32_t without[] = {2, 3, 4};
    masked_begin(masked, &(struct masked_words){0});
    mask.sharers = without;
    mask.sharer_count = 3;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_INVALID, "not among the sharers");
}

static void test_mask_fewer_sharers_than_the_job_needs_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    masked_begin(masked, &(struct masked_words){.secure = ", threshold: 4"});
    mask.sharers = first_three;
    mask.sharer_count = 3;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "Only 3 sites");
}

static void test_mask_partner_that_the_owner_no_longer_names_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    masked_begin(masked, &(struct masked_words){0});
    masked->sites[0]->policy.gate.partner_count--;
    masked_policy(masked);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "partner");
}

static void test_mask_small_cells_that_would_be_withheld_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    masked_begin(masked, &(struct masked_words){.metrics = "pooled"});
    masked->sites[0]->policy.gate.output.min_cell = 10;
    masked_policy(masked);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "min_cell");
}

static void test_mask_too_few_rows_refused_before_they_are_read(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    masked_begin(masked, &(struct masked_words){0});
    masked->sites[0]->policy.gate.output.min_rows = SITE_ROWS;
    masked_policy(masked);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "training rows");
}

static void test_mask_more_rows_than_max_examples_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    masked_begin(masked, &(struct masked_words){.secure = ", max_examples: 100"});
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "max_examples");
}

/* Else `max_examples` of job after job would find the number of rows. */
static void test_mask_more_rows_than_max_examples_untold_where_rows_are_withheld(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    struct listening listening;
    for (size_t i = 0; i < MASKED_SITES; i++)
        masked->sites[i]->policy.gate.output.metrics &= ~POLICY_METRIC_EXAMPLES;
    masked_policy(masked);
    masked_begin(masked, &(struct masked_words){.weighting = "equal", .secure = ", max_examples: 100"});
    listen_to(masked->sites[0], &listening);
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_NUMERIC, RELEASE_FAILED);
    char *text = listened(&listening);
    assert_int_equal(times_in(text, "more training rows than the 100"), 1); /* the owner is told */
    free(text);
}

/* A further attempt tells no more than the first would have. */
static void test_mask_again_over_the_norm_bound_of_now_tells_no_reason(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    struct policy_output *output = &masked->sites[0]->policy.gate.output;
    masked_begin(masked, &(struct masked_words){0});
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    output->max_update_norm = 1e-9;
    masked_policy(masked);
    mask.attempt = mask.slot = 1;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_NUMERIC, RELEASE_FAILED);
    output->max_update_norm = 1e9;
    masked_policy(masked);
    site_expect_type(masked_ask(masked, &mask), FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
}

static void test_mask_refused_again_and_again_is_one_line_of_the_log(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    struct listening listening;
    masked_begin(masked, &(struct masked_words){.secure = ", max_examples: 100"});
    listen_to(masked->sites[0], &listening);
    for (int i = 0; i < 5; i++)
        MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "max_examples");
    log_repeats_flush(&listening.repeats, &masked->sites[0]->log, INT64_MAX);
    char *text = listened(&listening);
    assert_int_equal(times_in(text, "more training rows"), 1);
    assert_int_equal(times_in(text, " repeated=4\n"), 1);
    free(text);
}

/* Refused before it waits for the executor, which notes what it refuses. */
static void test_sum_of_another_length_than_the_vectors_refused_before_it_is_queued(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    masked_begin(masked, &(struct masked_words){.secure = ", verify_sum: true"});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    sum->words.len -= 8;
    for (size_t i = 0; i < sum->n_inputs; i++)
        sum->inputs[i].len -= 8;
    MASKED_REFUSED(masked, 1, masked_ask_sum(masked, 1, sum), ERROR_INVALID, "words must be");
    struct masked_mask mask = masked_first(1);
    mask.round = 2;
    mask.slot = 1;
    mask.previous = sum;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_INVALID, "words must be");
    assert_int_equal(site_count(masked->sites[0], "SELECT count(*) FROM event WHERE kind = 'sum-refused'"),
                     0);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

/* Signatures and evidence are test_secagg_model.c's; here what the handler sees by itself. */
static void test_sum_of_another_job_run_round_or_model_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    uint8_t parameters[8] = {0};
    masked_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    sum->job_id.data[0] ^= 1;
    MASKED_REFUSED(masked, 1, masked_ask_sum(masked, 1, sum), ERROR_NOT_FOUND, "There is no job");
    sum->job_id.data[0] ^= 1;
    sum->run_id.data[0] ^= 1;
    MASKED_REFUSED(masked, 1, masked_ask_sum(masked, 1, sum), ERROR_REFUSED, "This run never began");
    sum->run_id.data[0] ^= 1;
    sum->round = 4;
    MASKED_REFUSED(masked, 1, masked_ask_sum(masked, 1, sum), ERROR_REFUSED,
                   "Nothing that this site takes part in follows from the sum of round 4.");
    sum->round = 1;
    sum->parameters = (ProtobufCBinaryData){sizeof(parameters), parameters};
    MASKED_REFUSED(masked, 1, masked_ask_sum(masked, 1, sum), ERROR_INVALID,
                   "Parameters come only where the job names its initial model by its SHA-256.");
    sum->parameters = (ProtobufCBinaryData){0, NULL};
    site_expect_state(masked_ask_sum(masked, 1, sum), FDS__JOB_STATE__JOB_RUNNING);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

static void test_sum_with_a_field_of_its_witness_spoilt_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
    Fds__Witness witness = FDS__WITNESS__INIT;
    masked_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    masked_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    sum->witness = &witness;
    for (int field = 0; field < 4; field++) {
        must(store_head(masked->sites[0]->store, &head, signature));
        head.hash.bytes[3] ^= field == 1;
        signature[3] ^= field == 2;
        witness.sequence = head.sequence + (field == 0);
        witness.head = (ProtobufCBinaryData){DIGEST_BYTES, head.hash.bytes};
        witness.signature = (ProtobufCBinaryData){SIGNATURE_BYTES, signature};
        if (field < 3)
            MASKED_REFUSED(masked, 1, masked_ask_sum(masked, 1, sum), ERROR_UNTRUSTED,
                           "The receipt that came with this request is not one of this site");
    }
    site_expect_state(masked_ask_sum(masked, 1, sum), FDS__JOB_STATE__JOB_RUNNING);
    sum->witness = NULL;
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

static void test_mask_round_outside_the_job_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    masked_begin(masked, &(struct masked_words){.rounds = 2});
    mask.round = 3;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "pooled");
    mask.round = 4;
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "outside the 2 rounds");
}

static void test_mask_slot_of_no_batch_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(4);
    masked_begin(masked, &(struct masked_words){0});
    masked_batch(masked, MASKED_BATCH, 4);
    mask.slot = MASKED_BATCH;
    MASKED_REFUSED(masked, 4, masked_ask(masked, &mask), ERROR_REFUSED,
                   "has not shared the secrets of slot 8");
}

static void test_mask_slot_that_was_killed_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    struct site *site = masked->sites[0];
    masked_begin(masked, &(struct masked_words){0});
    must(store_secagg_kill(site->store, site->run, UINT32_MAX));
    MASKED_REFUSED(masked, 1, masked_ask(masked, &mask), ERROR_REFUSED, "not open");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, masked_make, masked_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_train_in_clear_of_a_job_with_secure_aggregation_refused),
        TEST(test_train_in_clear_where_the_policy_requires_secure_aggregation_refused),
        TEST(test_mask_of_a_job_in_clear_refused),
        TEST(test_mask_bad_share_refused_naming_the_sender_and_spends_nothing),
        TEST(test_mask_another_model_refused_naming_neither),
        TEST(test_mask_sharers_outside_the_job_refused),
        TEST(test_mask_fewer_sharers_than_the_job_needs_refused),
        TEST(test_mask_partner_that_the_owner_no_longer_names_refused),
        TEST(test_mask_small_cells_that_would_be_withheld_refused),
        TEST(test_mask_too_few_rows_refused_before_they_are_read),
        TEST(test_mask_more_rows_than_max_examples_refused),
        TEST(test_mask_more_rows_than_max_examples_untold_where_rows_are_withheld),
        TEST(test_mask_again_over_the_norm_bound_of_now_tells_no_reason),
        TEST(test_mask_refused_again_and_again_is_one_line_of_the_log),
        TEST(test_sum_of_another_length_than_the_vectors_refused_before_it_is_queued),
        TEST(test_sum_of_another_job_run_round_or_model_refused),
        TEST(test_sum_with_a_field_of_its_witness_spoilt_refused),
        TEST(test_mask_round_outside_the_job_refused),
        TEST(test_mask_slot_of_no_batch_refused),
        TEST(test_mask_slot_that_was_killed_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
