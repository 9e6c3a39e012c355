/* A run under secure aggregation has no number of a single site in any report, and each says why; a run in clear never claims
 * it. */
#include "made_run.h"

#include "crypto/fixed_point.h"
#include "orchestrator/report.h"
#include "orchestrator/report_parts.h"

#include <math.h>

static char *file_of(const char *directory, const struct run_record *record, const char *name)
{
    made_fine(report_write(record, directory));
    char *path = made_path(directory, name);
    char *text = made_text(path);
    free(path);
    return text;
}

static json_t *json_of(const char *directory, const struct run_record *record)
{
    char *text = file_of(directory, record, "report.json");
    json_t *report = json_loads(text, 0, NULL);
    assert_non_null(report);
    free(text);
    return report;
}

static const json_t *round_of(const json_t *report, size_t round)
{
    return json_array_get(json_object_get(report, "rounds"), round);
}

static json_int_t number(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static void test_report_masked_json_has_null_for_every_number_of_one_site(void **state)
{
    static const char *const hidden[] = {"examples",  "train_accuracy", "test_accuracy", "test_rows",
                                         "confusion", "train_seconds",  "epsilon_spent"};
    struct run_record *record = made_masked_run(3);
    json_t *report = json_of(*state, record);
    for (size_t r = 0; r < 3; r++) {
        const json_t *sites = json_object_get(round_of(report, r), "sites");
        for (size_t s = 0; s < 4; s++)
            for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
                assert_true(json_is_null(json_object_get(json_array_get(sites, s), hidden[i])));
    }
    json_decref(report);
    run_record_free(record);
}

static void test_report_masked_json_has_what_the_sums_came_to(void **state)
{
    struct run_record *record = made_masked_run(3);
    json_t *report = json_of(*state, record);
    const json_t *secure = json_object_get(report, "secure_aggregation");
    assert_int_equal(number(secure, "threshold"), 3);
    assert_int_equal(number(secure, "tolerate_colluding"), 1);
    assert_int_equal(number(secure, "ring"), 64);
    assert_true(json_number_value(json_object_get(secure, "clip")) == 32);
    assert_true(json_is_true(json_object_get(secure, "verify_sum")));
    assert_int_equal(number(json_object_get(secure, "evaluation"), "contributors"), 3);
    assert_true(json_is_null(json_object_get(json_object_get(secure, "evaluation"), "examples")));
    for (size_t r = 0; r < 3; r++) {
        const json_t *masking = json_object_get(round_of(report, r), "secure_aggregation");
        assert_int_equal(number(masking, "attempts"), r + 1);
        assert_int_equal(number(masking, "sharers"), 4);
        assert_int_equal(number(masking, "contributors"), 3);
        assert_int_equal(number(masking, "examples"), 601 + r);
        assert_true(
            json_is_array(json_object_get(json_object_get(round_of(report, r), "pooled"), "confusion")));
    }
    json_decref(report);
    run_record_free(record);
}

static void test_report_clear_json_has_no_secure_aggregation(void **state)
{
    struct run_record *record = made_run(1);
    json_t *report = json_of(*state, record);
    assert_true(json_is_null(json_object_get(report, "secure_aggregation")));
    assert_true(json_is_null(json_object_get(round_of(report, 0), "secure_aggregation")));
    json_decref(report);
    run_record_free(record);
}

static void test_report_masked_bound_is_that_of_the_worst_round(void **state)
{
    struct run_record *record = made_masked_run(3);
    struct fixed_point plan = {
        .ring = MASK_RING_64, .clip = 32, .max_examples = 1000000, .sites = 4, .weighted = true};
    double most = 0;
    (void)state;
    made_fine(fixed_point_plan(&plan));
    for (size_t r = 1; r <= 3; r++)
        most = fmax(most, fixed_point_bound(&plan, 3, 600 + r, 32 + (double)r + 7.0 / 8));
    assert_true(report_quantisation_bound(record) == most);
    assert_true(most > 0 && most < 1e-9);
    for (size_t r = 0; r < 3; r++)
        record->rounds[r].masking.contributors = 0;
    assert_true(isnan(report_quantisation_bound(record)));
    run_record_free(record);
}

static void test_report_masked_page_says_what_is_hidden_and_why(void **state)
{
    struct run_record *record = made_masked_run(2);
    char *page = file_of(*state, record, "report.html");
    assert_non_null(strstr(page, "<b>secure aggregation and no added noise</b>"));
    assert_non_null(strstr(page, "one site’s numbers came under masks only"));
    assert_non_null(strstr(page, "Masked: secure aggregation."));
    assert_non_null(strstr(page, "sum of 3 of 4 sites, attempt 2"));
    assert_non_null(strstr(page, "602</b><span>training rows took part in round 2"));
    assert_null(strstr(page, "neither secure aggregation"));
    assert_null(strstr(page, "saw each site’s numbers"));
    free(page);
    run_record_free(record);
}

static void test_report_clear_page_says_that_nothing_is_hidden(void **state)
{
    struct run_record *record = made_run(1);
    char *page = file_of(*state, record, "report.html");
    assert_non_null(strstr(page, "<b>neither secure aggregation nor added noise</b>"));
    assert_null(strstr(page, "not known to anybody"));
    free(page);
    run_record_free(record);
}

/* Cut off after a round: the accuracy of its model would have come with the next one. */
static void test_report_masked_page_shows_the_last_accuracy_there_is(void **state)
{
    struct run_record *record = made_masked_run(2);
    free(record->rounds[1].pooled_confusion);
    record->rounds[1].pooled_confusion = NULL;
    char *page = file_of(*state, record, "report.html");
    assert_non_null(strstr(page, "accuracy of the shared model after round 1"));
    assert_null(strstr(page, "no accuracy of the shared model was released"));
    free(page);
    run_record_free(record);
}

static void test_report_masked_tables_have_empty_cells(void **state)
{
    struct run_record *record = made_masked_run(1);
    char *rounds = file_of(*state, record, "rounds.csv");
    char *confusion = file_of(*state, record, "confusion.csv");
    assert_non_null(strstr(rounds, "\n1,Site 1,ok,,,,,,0.250,"));
    assert_null(strstr(confusion, "\n1,site,"));
    assert_non_null(strstr(confusion, "1,pooled,,0,101,"));
    free(rounds);
    free(confusion);
    run_record_free(record);
}

static char *printed(const struct run_record *record, size_t round)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    report_print_round(stream, record, &record->rounds[round]);
    report_print_summary(stream, record, NULL);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void test_report_masked_terminal_says_why_sites_have_no_numbers(void **state)
{
    struct run_record *record = made_masked_run(2);
    char *text = printed(record, 0);
    (void)state;
    assert_non_null(strstr(text, "Site 1 -> in the sum; its own numbers came under masks only"));
    assert_non_null(strstr(text, "Site 3 -> late: It was slow."));
    assert_non_null(strstr(text, "the sum of 3 of 4 sites' masked inputs, in attempt 1"));
    assert_non_null(strstr(text, "after epoch 1 comes with the sum of the next one"));
    assert_non_null(strstr(text, "One site's numbers are not known to anybody: secure aggregation."));
    assert_non_null(strstr(text, "A parameter differs from plain averaging by at most "));
    assert_non_null(strstr(text, " an epoch, for changes within ±32.\n"));
    free(text);
    text = printed(record, 1);
    assert_non_null(strstr(text, "Pooled confusion matrix after epoch 1"));
    assert_null(strstr(text, "Pooled confusion matrix after epoch 2"));
    free(text);
    run_record_free(record);
}

static void test_report_masked_terminal_round_without_sum_reveals_nothing(void **state)
{
    struct run_record *record = made_masked_run(2);
    struct round_record *round = &record->rounds[1];
    (void)state;
    free(round->model);
    round->model = NULL;
    round->masking.contributors = 0;
    char *text = printed(record, 1);
    assert_non_null(strstr(text, "no sum, in 2 attempts; nothing of any site was revealed"));
    assert_null(strstr(text, "Pooled confusion matrix after"));
    free(text);
    run_record_free(record);
}

/* The last round of a run that stopped: three sites have sent their inputs, and no sum came of them. */
static struct run_record *stopped_run(void)
{
    struct run_record *record = made_masked_run(2);
    struct round_record *round = &record->rounds[1];
    free(round->model);
    free(round->pooled_confusion);
    round->model = NULL;
    round->pooled_confusion = NULL;
    round->masking.contributors = 0;
    free(record->rounds[0].pooled_confusion);
    record->rounds[0].pooled_confusion = NULL;
    round_record_clear(&record->evaluation, record->job->site_count);
    record->status = RUN_STOPPED;
    return record;
}

static void test_report_masked_inputs_without_a_sum_were_sent_and_not_used(void **state)
{
    struct run_record *record = stopped_run();
    char *text = printed(record, 1);
    assert_non_null(strstr(text, "Site 1 -> its masked input was sent and not used"));
    assert_non_null(strstr(text, "no new model (0 of 4 sites in the sum)"));
    assert_non_null(strstr(text, "not used"));
    assert_non_null(strstr(text, "no next sum"));
    free(text);
    char *page = file_of(*state, record, "report.html");
    assert_non_null(strstr(page, "</span> sent, not used</span>"));
    assert_non_null(strstr(page, REPORT_NOT_USED));
    assert_non_null(strstr(page, "no sum in 2 attempts; nothing was revealed"));
    assert_non_null(strstr(page, "no next sum"));
    assert_null(strstr(page, "sum of 0"));
    free(page);
    json_t *report = json_of(*state, record);
    for (size_t r = 0; r < 2; r++) {
        const json_t *site = json_array_get(json_object_get(round_of(report, r), "sites"), 0);
        assert_string_equal(json_string_value(json_object_get(site, "status")), "ok");
        assert_true(json_is_true(json_object_get(site, "contributed")) == (r == 0));
        assert_string_equal(json_string_value(json_object_get(site, "reason")),
                            r == 0 ? "" : REPORT_NOT_USED);
    }
    json_decref(report);
    run_record_free(record);
}

/* Of whom some had no keys, and so could not have contributed. */
static void test_report_masked_sum_is_of_the_sites_of_the_job(void **state)
{
    struct run_record *record = made_masked_run(2);
    record->rounds[0].masking.sharers = 3;
    char *text = printed(record, 0);
    char *page = file_of(*state, record, "report.html");
    assert_non_null(strstr(text, "the sum of 3 of 4 sites' masked inputs"));
    assert_non_null(strstr(page, "sum of 3 of 4 sites, attempt 1"));
    free(text);
    free(page);
    run_record_free(record);
}

static void test_report_masked_trial_has_the_table_of_the_real_run(void **state)
{
    struct run_record *record = made_masked_run(1);
    (void)state;
    record->mock = true;
    record->rounds[0].masking = (struct round_masking){0};
    char *text = printed(record, 0);
    assert_non_null(strstr(text, "Site 1 -> in the sum; its own numbers are left out"));
    assert_null(strstr(text, "not released"));
    free(text);
    run_record_free(record);
}

static void test_report_masked_evaluation_is_called_that(void **state)
{
    char name[RUN_EXCHANGE_NAME_BYTES];
    struct run_record *record = made_masked_run(2);
    (void)state;
    run_record_exchange_name(record, 2, name);
    assert_string_equal(name, "2");
    run_record_exchange_name(record, 3, name);
    assert_string_equal(name, "evaluation");
    run_record_free(record);
}

/* ---- what sums over different sites give away ---- */

static void expect_secrecy(const char *directory, const struct run_record *record, const char *sentence)
{
    char text[REPORT_SECRECY_BYTES];
    report_secrecy(record, text);
    assert_string_equal(text, sentence);
    bool hidden = strstr(sentence, "not known to anybody") != NULL;
    char *terminal = printed(record, 0);
    char *page = file_of(directory, record, "report.html");
    assert_non_null(strstr(terminal, sentence));
    assert_true((strstr(terminal, "not known to anybody") != NULL) == hidden);
    assert_non_null(strstr(page, hidden ? "The same sites were in every sum." : sentence));
    assert_true((strstr(page, "not known to anybody") != NULL) == hidden);
    free(terminal);
    free(page);
}

static void leave(struct round_record *round, size_t site)
{
    round->sites[site].status = SITE_DROPPED;
    round->masking.contributors--;
}

static void test_report_masked_same_sites_in_every_sum_nothing_of_one_is_known(void **state)
{
    struct run_record *record = made_masked_run(3);
    assert_int_equal(report_difference(record, true), 0);
    expect_secrecy(*state, record,
                   "One site's numbers are not known to anybody: secure aggregation. The same sites were in "
                   "every sum.");
    leave(&record->rounds[2], 3);
    record->rounds[2].masking.contributors = 0; /* no sum, no difference */
    assert_int_equal(report_difference(record, true), 0);
    run_record_free(record);
}

static void test_report_masked_a_dropout_gives_rows_and_labels_away(void **state)
{
    struct run_record *record = made_masked_run(3);
    leave(&record->rounds[1], 3);
    expect_secrecy(
        *state, record,
        "The contributors of two sums differ by 1 site: the difference of these sums gives away of "
        "that site how many training rows it has and how many of its test rows have each label, "
        "exactly, and the change of its model, nearly.");
    run_record_free(record);
}

static void test_report_masked_a_dropout_from_the_evaluation_gives_labels_away(void **state)
{
    struct run_record *record = made_masked_run(2);
    leave(&record->evaluation, 0);
    assert_int_equal(report_difference(record, false), 0);
    expect_secrecy(
        *state, record,
        "The contributors of two sums differ by 1 site: the difference of these sums gives away of "
        "that site how many of its test rows have each label, exactly.");
    run_record_free(record);
}

/* One of two sites that changed places may be the colluder that the job allows for; of three, one more is needed. */
static void test_report_masked_sums_that_differ_by_more_give_one_site_to_colluders(void **state)
{
    struct run_record *record = made_masked_run(2);
    leave(&record->rounds[1], 3);
    record->rounds[1].sites[2].status = SITE_OK;
    record->rounds[1].masking.contributors = 3;
    record->evaluation.sites[2].status = SITE_OK;
    leave(&record->evaluation, 3);
    record->job->weighting = JOB_WEIGHT_EQUAL;
    assert_int_equal(record->job->secure.tolerate_colluding, 1);
    expect_secrecy(
        *state, record,
        "The contributors of two sums differ by 2 sites, of whom 1 may collude: the difference of "
        "these sums gives away of the one left how many of its test rows have each label, exactly, "
        "and the change of its model, nearly.");
    record->job->secure.tolerate_colluding = 0;
    expect_secrecy(
        *state, record,
        "The contributors of two sums differ by more than 1: no two sums give away the numbers of one "
        "site, but several together may.");
    run_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_report_masked_json_has_null_for_every_number_of_one_site),
        MADE_TEST(test_report_masked_json_has_what_the_sums_came_to),
        MADE_TEST(test_report_clear_json_has_no_secure_aggregation),
        MADE_TEST(test_report_masked_bound_is_that_of_the_worst_round),
        MADE_TEST(test_report_masked_page_says_what_is_hidden_and_why),
        MADE_TEST(test_report_clear_page_says_that_nothing_is_hidden),
        MADE_TEST(test_report_masked_page_shows_the_last_accuracy_there_is),
        MADE_TEST(test_report_masked_tables_have_empty_cells),
        MADE_TEST(test_report_masked_terminal_says_why_sites_have_no_numbers),
        MADE_TEST(test_report_masked_terminal_round_without_sum_reveals_nothing),
        MADE_TEST(test_report_masked_inputs_without_a_sum_were_sent_and_not_used),
        MADE_TEST(test_report_masked_sum_is_of_the_sites_of_the_job),
        MADE_TEST(test_report_masked_trial_has_the_table_of_the_real_run),
        MADE_TEST(test_report_masked_evaluation_is_called_that),
        MADE_TEST(test_report_masked_same_sites_in_every_sum_nothing_of_one_is_known),
        MADE_TEST(test_report_masked_a_dropout_gives_rows_and_labels_away),
        MADE_TEST(test_report_masked_a_dropout_from_the_evaluation_gives_labels_away),
        MADE_TEST(test_report_masked_sums_that_differ_by_more_give_one_site_to_colluders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
