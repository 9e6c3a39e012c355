/* What a site keeps of a round of secure aggregation once it has the sum: its rows, its receipt and its events, and not the
 * bytes that left. Edits of what is left are found. How much the file grows: test_store_growth.c. */
#include "datasite/auditor.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/driver.h"

#define ROUNDS 4

static const uint32_t everybody[] = {1, 2, 3, 4};

/* One round of the four sites, of which the first is told of the sum of the round before with its Mask alone. */
static Fds__Sum *one_round(struct masked_sites *masked, uint32_t round, struct digest *model,
                           Fds__Sum *previous)
{
    struct masked_attempt attempt;
    masked_attempt_begin(masked, round, 0, round - 1, model, everybody, 4, &attempt);
    driver_round(masked, &attempt, everybody, 4, previous);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    masked_attempt_clear(&attempt);
    if (previous != NULL)
        wire_sum_free(previous);
    for (uint32_t position = 2; position <= 4; position++)
        site_expect_state(driver_sum(masked, position, sum), FDS__JOB_STATE__JOB_RUNNING);
    struct secagg_model next = masked_model(masked, 2);
    *model = next.digest;
    secagg_model_clear(&next);
    return sum;
}

static int rounds_make(void **state)
{
    struct digest model = masked_zeros();
    Fds__Sum *sum = NULL;
    if (driver_make(state) != 0)
        return -1;
    struct masked_sites *masked = *state;
    struct site *site = masked->sites[0];
    driver_begin(masked, &(struct masked_words){.rounds = ROUNDS});
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        sum = one_round(masked, round, &model, sum);
        assert_int_equal(site_count(site, "SELECT count(*) FROM answer"), round);
        assert_int_equal(site_count(site, "SELECT count(*) FROM answer WHERE length(body) > 0"), 1);
        assert_int_equal(site_count(site, "SELECT max(round) FROM answer WHERE length(body) > 0"), round);
    }
    wire_sum_free(sum);
    return 0;
}

static int rounds_remove(void **state)
{
    int judged = wire_record_tear_down(state);
    return masked_remove(state) != 0 ? -1 : judged;
}

static struct error *audit(struct site *site)
{
    struct error *err = NULL;
    struct auditor auditor = {.store = site->store, .identity = site->identity};
    struct auditor_findings findings;
    TRY(auditor_check_chain(&auditor, &findings));
    TRY(auditor_check_decisions(&auditor, &findings));
    TRY(auditor_check_answers(&auditor, &findings));
    assert_int_equal(findings.answers, ROUNDS);
done:
    return err;
}

static struct error *answer_of(struct site *site, uint32_t round, bool *ret_over)
{
    struct answer answer = {.body = NULL};
    struct error *err =
        store_answer(site->store, &site->job_id, site->run, round, 0, ANSWER_MASKED_INPUT, &answer);
    *ret_over = err == NULL && answer.over && answer.bytes == 0;
    answer_clear(&answer);
    return err;
}

static void test_rounds_over_are_found_whole(void **state)
{
    struct masked_sites *masked = *state;
    bool over = false;
    must(audit(masked->sites[0]));
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        must(answer_of(masked->sites[0], round, &over));
        assert_int_equal(over, round < ROUNDS);
    }
}

static void test_rounds_over_are_not_asked_for_again(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_mask mask = masked_first(1);
    MASKED_REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_REFUSED, "is over");
}

/* Bytes that are taken away from a round whose sum was not taken are missed. */
static void test_rounds_over_last_input_is_not_forgotten(void **state)
{
    struct masked_sites *masked = *state;
    struct site *site = masked->sites[0];
    bool over = false;
    must(database_begin(site->store->database));
    site_sql(site, "UPDATE answer SET body = x'' WHERE round = (SELECT max(round) FROM answer)");
    refused(answer_of(site, ROUNDS, &over), ERROR_UNTRUSTED, "not the one that was given");
    refused(audit(site), ERROR_UNTRUSTED, "not the one that was given");
    database_rollback(site->store->database);
}

static void expect_found(struct site *site, const char *sql, const char *words)
{
    must(database_begin(site->store->database));
    site_sql(site, sql);
    refused(audit(site), ERROR_UNTRUSTED, words);
    database_rollback(site->store->database);
}

static void test_rounds_over_edited_rows_are_found(void **state)
{
    struct masked_sites *masked = *state;
    struct site *site = masked->sites[0];
    expect_found(site, "UPDATE answer SET attempt = 3 WHERE round = 2", "another attempt");
    expect_found(site, "UPDATE answer SET body = x'0a' WHERE round = 2", "not the one that was given");
    expect_found(site, "UPDATE answer SET event_id = event_id - 1 WHERE round = 2",
                 "the answer that was stored with it is gone");
    expect_found(site,
                 "UPDATE answer SET receipt = (SELECT receipt FROM answer AS other WHERE other.round = 3) "
                 "WHERE round = 2",
                 "another round");
    expect_found(site, "DELETE FROM answer WHERE round = 2", "the answer that was stored with it is gone");
    must(audit(site));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_over_are_found_whole),
        cmocka_unit_test(test_rounds_over_are_not_asked_for_again),
        cmocka_unit_test(test_rounds_over_last_input_is_not_forgotten),
        cmocka_unit_test(test_rounds_over_edited_rows_are_found),
    };
    return cmocka_run_group_tests(tests, rounds_make, rounds_remove);
}
