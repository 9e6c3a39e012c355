/* What reports say of a private run: what it cost, by which accountant, how metrics left; and nothing exact of a site. */
#include "made_run.h"

#include "orchestrator/noised_counts.h"
#include "orchestrator/report.h"
#include "orchestrator/report_parts.h"
#include "orchestrator/report_privacy.h"
#include "orchestrator/safetensors.h"

#include <math.h>

#define SGD "mechanism: dp-sgd, noise_multiplier: 2, sampling_rate: 0.05, steps: 10"

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

static const json_t *privacy_of(const json_t *report)
{
    const json_t *privacy = json_object_get(report, "privacy");
    assert_true(json_is_object(privacy));
    return privacy;
}

static void expect_word(const json_t *object, const char *key, const char *word)
{
    const char *said = json_string_value(json_object_get(object, key));
    assert_non_null(said);
    assert_string_equal(said, word);
}

static double real(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void expect_words(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strstr(text, *words) == NULL)
            fail_msg("the report does not say \"%s\"", *words);
}

static void test_report_private_json_says_what_protects_and_what_it_costs(void **state)
{
    struct run_record *record = made_private_run(3, SGD);
    json_t *report = json_of(*state, record);
    const json_t *privacy = privacy_of(report);
    expect_word(privacy, "mechanism", "dp-sgd");
    expect_word(privacy, "unit", "record");
    expect_word(privacy, "accountant", "pld");
    expect_word(privacy, "metrics", "noised");
    expect_word(privacy, "metrics_rounds", "all");
    assert_true(real(privacy, "noise_multiplier") == 2 && real(privacy, "clip") == 1);
    assert_true(real(privacy, "steps_per_round") == 10 && real(privacy, "rounds") == 3);
    assert_true(real(privacy, "epsilon") == record->epsilon && record->epsilon > 0);
    assert_true(real(privacy, "epsilon_rdp") >= record->epsilon);
    assert_true(real(privacy, "epsilon_worst") == record->epsilon);
    assert_true(json_is_null(json_object_get(privacy, "target_epsilon")));
    assert_true(json_is_null(json_object_get(privacy, "warning")));
    json_decref(report);
    run_record_free(record);
}

static void test_report_private_json_spent_grows_and_ends_at_the_figure_of_the_job(void **state)
{
    struct run_record *record = made_private_run(3, SGD);
    json_t *report = json_of(*state, record);
    double before = 0;
    for (size_t r = 0; r < 3; r++) {
        const json_t *round = json_array_get(json_object_get(report, "rounds"), r);
        double spent = real(json_array_get(json_object_get(round, "sites"), 1), "epsilon_spent");
        assert_true(spent > before);
        before = spent;
    }
    assert_true(before == record->epsilon);
    const json_t *site = json_array_get(json_object_get(privacy_of(report), "sites"), 1);
    assert_true(real(site, "rounds") == 3 && real(site, "evaluations") == 3 &&
                real(site, "examples") == 2000);
    assert_true(real(site, "epsilon") == record->epsilon);
    json_decref(report);
    run_record_free(record);
}

/* A site that missed a round has spent less, by the exact figure too. */
static void test_report_private_json_site_that_missed_a_round_spent_less(void **state)
{
    struct run_record *record = made_private_run(3, SGD);
    free(record->rounds[1].sites[0].update_receipt);
    free(record->rounds[1].sites[0].evaluation_receipt);
    record->rounds[1].sites[0].update_receipt = NULL;
    record->rounds[1].sites[0].evaluation_receipt = NULL;
    json_t *report = json_of(*state, record);
    const json_t *site = json_array_get(json_object_get(privacy_of(report), "sites"), 0);
    assert_true(real(site, "rounds") == 2);
    assert_true(real(site, "epsilon") < record->epsilon && real(site, "epsilon") > 0);
    assert_true(real(site, "epsilon_rdp") >= real(site, "epsilon"));
    json_decref(report);
    run_record_free(record);
}

static void test_report_private_json_noised_counts_are_beside_the_exact_ones_that_are_null(void **state)
{
    struct run_record *record = made_private_run(2, SGD);
    json_t *report = json_of(*state, record);
    const json_t *pooled = json_object_get(json_array_get(json_object_get(report, "rounds"), 1), "pooled");
    assert_true(json_is_null(json_object_get(pooled, "confusion")));
    assert_true(json_is_null(json_object_get(pooled, "test_accuracy")));
    assert_true(json_is_null(json_object_get(pooled, "test_rows")));
    const json_t *noised = json_object_get(pooled, "noised");
    const json_t *row = json_array_get(json_object_get(noised, "confusion"), 0);
    assert_true(json_number_value(json_array_get(row, 0)) == 102.5);
    assert_true(json_number_value(json_array_get(row, 1)) == -2.5);
    assert_true(real(noised, "standard_deviation") == 5 * sqrt(2));
    assert_true(fabs(real(noised, "accuracy") - 192.5 / 193.25) < 1e-12);
    assert_true(real(noised, "accuracy_standard_deviation") > 0.04);
    assert_true(real(noised, "sites") == 2);
    json_decref(report);
    run_record_free(record);
}

static void test_report_private_html_and_terminal_say_the_same(void **state)
{
    static const char *const words[] = {"dp-sgd", "one record of a site", "noise of the standard deviation 5",
                                        NULL};
    struct run_record *record = made_private_run(2, SGD);
    char epsilon[64];
    struct report_text text = {0};
    char *html = file_of(*state, record, "report.html");
    expect_words(html, words);
    privacy_bound(record->epsilon, PRIVACY_BOUND_DIGITS, epsilon);
    const char *const figures[] = {epsilon, "Spent at each site", "Epsilon of all of the job", "noised",
                                   NULL};
    expect_words(html, figures);
    assert_null(strstr(html, "nor added noise"));
    made_fine(report_text_open(&text));
    report_print_round(text.stream, record, &record->rounds[1]);
    report_print_summary(text.stream, record, *state);
    made_fine(report_text_finish(&text));
    expect_words(text.bytes, words);
    const char *const lines[] = {epsilon,
                                 "Pooled accuracy after epoch 2, from noised counts of 2 sites: 0.99",
                                 "answered with noise",
                                 "All of the job: epsilon ",
                                 "eps: spent so far, at most: by R",
                                 NULL};
    expect_words(text.bytes, lines);
    assert_null(strstr(text.bytes, "train/test"));
    report_text_clear(&text);
    free(html);
    run_record_free(record);
}

static void test_report_private_without_metrics_says_why_there_are_none(void **state)
{
    struct run_record *record = made_private_run(1, SGD);
    record->job->privacy.metrics_noise = 0;
    free(record->rounds[0].pooled_noised);
    record->rounds[0].pooled_noised = NULL;
    char *html = file_of(*state, record, "report.html");
    const char *const words[] = {"no privacy.metrics_noise", "exact ones never leave", NULL};
    expect_words(html, words);
    json_t *report = json_of(*state, record);
    expect_word(privacy_of(report), "metrics", "not released");
    assert_true(json_is_null(json_object_get(privacy_of(report), "metrics_noise")));
    json_decref(report);
    free(html);
    run_record_free(record);
}

static void test_report_private_counts_that_never_came_are_not_said_to_have_left(void **state)
{
    struct run_record *record = made_private_run(1, SGD);
    free(record->rounds[0].pooled_noised);
    record->rounds[0].pooled_noised = NULL;
    char *html = file_of(*state, record, "report.html");
    const char *const words[] = {"none were received", NULL};
    expect_words(html, words);
    assert_null(strstr(html, "rows left with noise"));
    free(html);
    run_record_free(record);
}

static void test_report_private_site_level_protects_a_site(void **state)
{
    struct run_record *record = made_private_run(2, "mechanism: site-level, noise_multiplier: 3");
    json_t *report = json_of(*state, record);
    expect_word(privacy_of(report), "unit", "site");
    assert_true(json_is_null(json_object_get(privacy_of(report), "sampling_rate")));
    json_decref(report);
    run_record_free(record);
}

static void test_report_private_large_delta_is_warned_about(void **state)
{
    struct run_record *record = made_private_run(1, SGD);
    record->job->privacy.delta = 0.01;
    json_t *report = json_of(*state, record);
    const char *warning = json_string_value(json_object_get(privacy_of(report), "warning"));
    assert_non_null(warning);
    assert_non_null(strstr(warning, "1000 rows"));
    char *html = file_of(*state, record, "report.html");
    assert_non_null(strstr(html, "1000 rows"));
    free(html);
    json_decref(report);
    run_record_free(record);
}

static void test_report_private_csv_has_what_was_spent_and_noised(void **state)
{
    struct run_record *record = made_private_run(2, SGD);
    char *rounds = file_of(*state, record, "rounds.csv");
    assert_non_null(strstr(
        rounds,
        ",model_sha256,epsilon_spent,epsilon_accountant,noised_accuracy,noised_accuracy_deviation,mock\n"));
    char *counts = file_of(*state, record, "confusion.csv");
    assert_non_null(strstr(counts, "\n2,pooled-noised,,0,102.5,-2.5,\n"));
    assert_null(strstr(counts, ",site,North"));
    free(rounds);
    free(counts);
    run_record_free(record);
}

/* Figures rest on others' noise there, and counts come a round later; a site that was late has spent nothing. */
static void test_report_private_masked_says_what_is_left_if_the_others_collude(void **state)
{
    struct run_record *record = made_private_masked_run(3);
    char worst[64], bound[PRIVACY_BOUND_BYTES];
    struct report_text text = {0};
    assert_true(record->epsilon_worst > record->epsilon);
    json_t *report = json_of(*state, record);
    assert_true(real(privacy_of(report), "honest_sites") == 2);
    assert_true(real(privacy_of(report), "epsilon_worst") == record->epsilon_worst);
    const json_t *secure = json_object_get(report, "secure_aggregation");
    assert_true(json_is_null(json_object_get(secure, "clip")));
    assert_true(json_is_null(json_object_get(secure, "quantisation_bound")));
    const json_t *sites = json_object_get(privacy_of(report), "sites");
    assert_true(real(json_array_get(sites, 0), "rounds") == 3);
    assert_true(real(json_array_get(sites, 2), "epsilon") == 0);
    char *html = file_of(*state, record, "report.html");
    privacy_bound(record->epsilon_worst, PRIVACY_BOUND_DIGITS, bound);
    (void)snprintf(worst, sizeof worst, "epsilon would be %s.", bound);
    const char *const words[] = {worst, "a sum of clipped gradients with its share of the noise",
                                 "under masks", NULL};
    expect_words(html, words);
    assert_null(strstr(html, "no added noise"));
    made_fine(report_text_open(&text));
    report_print_round(text.stream, record, &record->rounds[1]);
    report_print_summary(text.stream, record, *state);
    made_fine(report_text_finish(&text));
    const char *const lines[] = {"Pooled accuracy after epoch 1, from noised counts of 3 sites", worst, NULL};
    expect_words(text.bytes, lines);
    assert_null(strstr(text.bytes, "Pooled accuracy after epoch 2"));
    report_text_clear(&text);
    free(html);
    json_decref(report);
    run_record_free(record);
}

/* In a trial nothing is spent, but the job costs what it costs. */
static void test_report_private_mock_run_spends_nothing(void **state)
{
    struct run_record *record = made_private_run(1, SGD);
    record->mock = true;
    record->rounds[0].sites[0].epsilon_spent = record->rounds[0].sites[1].epsilon_spent = NAN;
    json_t *report = json_of(*state, record);
    const json_t *site = json_array_get(json_object_get(privacy_of(report), "sites"), 0);
    assert_true(real(site, "rounds") == 0 && real(site, "epsilon") == 0);
    assert_true(real(privacy_of(report), "epsilon") > 0);
    char *html = file_of(*state, record, "report.html");
    assert_non_null(strstr(html, "Nothing of it was spent"));
    assert_non_null(strstr(html, "divided by the numbers of rows that the job declares"));
    assert_null(strstr(html, "test rows left"));
    free(html);
    json_decref(report);
    run_record_free(record);
}

/* "A run without privacy shows nothing new." */
static void test_report_without_privacy_says_nothing_of_it(void **state)
{
    struct run_record *record = made_run(2);
    json_t *report = json_of(*state, record);
    assert_true(json_is_null(json_object_get(report, "privacy")));
    const json_t *round = json_array_get(json_object_get(report, "rounds"), 0);
    assert_true(json_is_null(json_object_get(json_object_get(round, "pooled"), "noised")));
    assert_true(
        json_is_null(json_object_get(json_array_get(json_object_get(round, "sites"), 0), "epsilon_spent")));
    char *html = file_of(*state, record, "report.html");
    assert_null(strstr(html, "Epsilon"));
    assert_null(strstr(html, "<dt>Privacy"));
    char *rounds = file_of(*state, record, "rounds.csv");
    assert_null(strstr(rounds, "epsilon"));
    free(rounds);
    free(html);
    json_decref(report);
    run_record_free(record);
}

/* The result of the run is then the mean, and not the last round's model. */
static void test_report_averaged_model_is_the_one_in_the_file(void **state)
{
    struct run_record *record = made_private_run(2, SGD);
    struct safetensors model = {0};
    size_t count = run_record_parameters(record);
    record->averaged = calloc(count, sizeof(double));
    assert_non_null(record->averaged);
    for (size_t i = 0; i < count; i++)
        record->averaged[i] = 100 + (double)i;
    (void)memset(record->averaged_sha256.bytes, 0x77, DIGEST_BYTES);
    json_t *report = json_of(*state, record);
    const char *digest =
        json_string_value(json_object_get(json_object_get(report, "averaged"), "model_sha256"));
    assert_non_null(digest);
    assert_int_equal(strncmp(digest, "7777", 4), 0);
    char *path = made_path(*state, "model.safetensors");
    made_fine(safetensors_read(path, &model));
    assert_memory_equal(model.parameters, record->averaged, count * sizeof(double));
    safetensors_clear(&model);
    free(path);
    json_decref(report);
    run_record_free(record);
}

/* ---- accuracies from noised counts ---- */

/* Against what many draws of the noise come to. */
static void test_noised_accuracy_deviation_is_that_of_the_estimate(void **state)
{
    (void)state;
    static const double exact[9] = {300, 10, 5, 20, 280, 15, 0, 30, 340};
    const double deviation = 4;
    double accuracy = 0, said = 0, sum = 0, squares = 0, unused = 0;
    uint64_t word = 88172645463325252u;
    noised_counts_accuracy(exact, deviation, 3, &accuracy, &said);
    assert_true(fabs(accuracy - 0.92) < 1e-12);
    for (int draw = 0; draw < 4000; draw++) {
        double noised[9];
        for (size_t i = 0; i < 9; i++) {
            double noise = -6; /* twelve uniform numbers have variance 1 */
            for (int k = 0; k < 12; k++) {
                word ^= word << 13, word ^= word >> 7, word ^= word << 17;
                noise += (double)(word >> 11) / 9007199254740992.0;
            }
            noised[i] = exact[i] + deviation * noise;
        }
        double estimate = 0;
        noised_counts_accuracy(noised, deviation, 3, &estimate, &unused);
        sum += estimate;
        squares += estimate * estimate;
    }
    double mean = sum / 4000;
    double seen = sqrt(squares / 4000 - mean * mean);
    assert_true(fabs(seen / said - 1) < 0.1);
}

static void test_noised_accuracy_of_nothing_but_noise_is_not_known(void **state)
{
    (void)state;
    static const double counts[4] = {3, -1, 2, 1};
    double accuracy = 0, deviation = 0;
    noised_counts_accuracy(counts, 5, 2, &accuracy, &deviation);
    assert_true(isnan(accuracy) != 0 && isnan(deviation) != 0);
}

/* Before all is released the figure is rdp's, and then that of the whole job, pld's; each names its accountant. */
static void test_report_private_figures_name_their_accountant(void **state)
{
    struct run_record *record = made_private_run(2, SGD);
    struct report_text text = {0};
    char spent[PRIVACY_BOUND_BYTES], all[PRIVACY_BOUND_BYTES], line[256];
    assert_string_equal(report_privacy_spent_by(record, record->rounds[0].sites[0].epsilon_spent), "rdp");
    assert_string_equal(report_privacy_spent_by(record, record->rounds[1].sites[0].epsilon_spent), "pld");
    privacy_bound(record->rounds[0].sites[0].epsilon_spent, PRIVACY_BOUND_DIGITS, spent);
    privacy_bound(record->epsilon, PRIVACY_BOUND_DIGITS, all);
    made_fine(report_text_open(&text));
    report_print_round(text.stream, record, &record->rounds[0]);
    made_fine(report_text_finish(&text));
    (void)snprintf(line, sizeof line, "epsilon %s spent so far (rdp), of %s of the whole job (pld)", spent,
                   all);
    assert_non_null(strstr(text.bytes, line));
    char *html = file_of(*state, record, "report.html");
    (void)snprintf(line, sizeof line, "<td>%s<br><span class=\"muted\">rdp</span></td>", spent);
    assert_non_null(strstr(html, line));
    (void)snprintf(line, sizeof line, "<td>%s<br><span class=\"muted\">pld</span></td>", all);
    assert_non_null(strstr(html, line));
    char *rounds = file_of(*state, record, "rounds.csv");
    assert_non_null(strstr(rounds, ",rdp,"));
    assert_non_null(strstr(rounds, ",pld,"));
    free(rounds);
    free(html);
    report_text_clear(&text);
    run_record_free(record);
}

static uint64_t *made_counts(const struct run_record *record, uint64_t right, uint64_t wrong)
{
    uint64_t *counts = confusion_new(record->classes);
    assert_non_null(counts);
    counts[0] = right;
    counts[1] = wrong;
    confusion_sum(counts, record->classes);
    return counts;
}

/* What is exact comes first, and says of which model it is; the estimate says that it is one. */
static void test_report_private_html_headline_is_the_exact_figure(void **state)
{
    struct run_record *record = made_private_run(2, SGD);
    record->job->global_test = JOB_GLOBAL_TEST_IDX;
    record->rounds[1].global_confusion = made_counts(record, 3, 1);
    char *html = file_of(*state, record, "report.html");
    const char *exact =
        strstr(html, "<b>75.00 %</b><span>accuracy of the shared model after round 2, on 4 test rows");
    const char *estimate = strstr(html, "an estimate: accuracy of the model after round 2, from");
    assert_non_null(exact);
    assert_non_null(estimate);
    assert_true(exact < estimate);
    free(html);
    record->averaged = calloc(run_record_parameters(record), sizeof(double));
    record->averaged_confusion = made_counts(record, 7, 1);
    html = file_of(*state, record, "report.html");
    exact = strstr(
        html, "<b>87.50 %</b><span>accuracy of the result, the mean of the models of the last rounds, on 8");
    estimate = strstr(html, "after round 2 (not of the mean), from");
    assert_non_null(exact);
    assert_non_null(estimate);
    assert_true(exact < estimate);
    assert_non_null(strstr(
        html, "75.00 % right of 4 rows</b> – the model after this round, not the mean of the last ones"));
    free(html);
    run_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_report_private_json_says_what_protects_and_what_it_costs),
        MADE_TEST(test_report_private_json_spent_grows_and_ends_at_the_figure_of_the_job),
        MADE_TEST(test_report_private_json_site_that_missed_a_round_spent_less),
        MADE_TEST(test_report_private_json_noised_counts_are_beside_the_exact_ones_that_are_null),
        MADE_TEST(test_report_private_html_and_terminal_say_the_same),
        MADE_TEST(test_report_private_without_metrics_says_why_there_are_none),
        MADE_TEST(test_report_private_counts_that_never_came_are_not_said_to_have_left),
        MADE_TEST(test_report_private_site_level_protects_a_site),
        MADE_TEST(test_report_private_large_delta_is_warned_about),
        MADE_TEST(test_report_private_csv_has_what_was_spent_and_noised),
        MADE_TEST(test_report_private_masked_says_what_is_left_if_the_others_collude),
        MADE_TEST(test_report_private_mock_run_spends_nothing),
        MADE_TEST(test_report_private_figures_name_their_accountant),
        MADE_TEST(test_report_private_html_headline_is_the_exact_figure),
        MADE_TEST(test_report_without_privacy_says_nothing_of_it),
        MADE_TEST(test_report_averaged_model_is_the_one_in_the_file),
        MADE_TEST(test_noised_accuracy_deviation_is_that_of_the_estimate),
        MADE_TEST(test_noised_accuracy_of_nothing_but_noise_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
