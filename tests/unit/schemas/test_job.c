/* What is read of a job, and files that are none. Wrong keys: test_job_refused.c. */
#include "tests/unit/schemas/job_lines.h"
#include "tests/unit/schemas/refusal.h"

#include <locale.h>

static void test_job_least_file_gets_the_defaults(void **state)
{
    (void)state;
    struct job *job = job_parse_good(4, "");
    assert_string_equal(job->name, "first");
    assert_string_equal(job->dataset, "mnist");
    assert_int_equal(job->model, JOB_SOFTMAX_REGRESSION);
    assert_true(job->l2 == 1e-4);
    assert_int_equal(job->init, JOB_INIT_ZEROS);
    assert_int_equal(job->optimizer, JOB_LBFGS);
    assert_int_equal(job->local_iterations, 60);
    assert_int_equal(job->batch_size, 64);
    assert_true(job->learning_rate == 0.1);
    assert_true(job->momentum == 0.9);
    assert_int_equal(job->local_epochs, 1);
    assert_int_equal(job->metrics, JOB_METRICS_PER_SITE);
    assert_int_equal(job->global_test, JOB_GLOBAL_TEST_NONE);
    assert_int_equal(job->rounds, 5);
    assert_int_equal(job->strategy, JOB_FEDAVG);
    assert_int_equal(job->weighting, JOB_WEIGHT_EXAMPLES);
    assert_int_equal(job->min_sites, 2);
    assert_int_equal(job->round_deadline_s, 60);
    assert_int_equal(job->seed, 7);
    assert_int_equal(job->expires, 1801353600);
    job_free(job);
}

static void test_job_sites_are_read_in_order(void **state)
{
    (void)state;
    struct job *job = job_parse_good(0, "");
    assert_int_equal(job->site_count, 2);
    assert_string_equal(job->sites[0].name, "North");
    assert_string_equal(job->sites[0].endpoint, "tcp://127.0.0.1:54879");
    assert_string_equal(job->sites[0].fingerprint, FP_A);
    assert_string_equal(job->sites[1].name, "South");
    assert_string_equal(job->sites[1].endpoint, "");
    assert_string_equal(job->sites[1].fingerprint, FP_B);
    job_free(job);
}

static void test_job_every_value_is_stored(void **state)
{
    (void)state;
    struct job *job =
        job_parse_good(4, "training: {optimizer: sgd, batch_size: 10, learning_rate: 0.5, momentum: 0.25, "
                          "local_epochs: 3}");
    assert_int_equal(job->optimizer, JOB_SGD);
    assert_int_equal(job->batch_size, 10);
    assert_true(job->learning_rate == 0.5);
    assert_true(job->momentum == 0.25);
    assert_int_equal(job->local_epochs, 3);
    job_free(job);
    job = job_parse_good(3, "model: {kind: softmax-regression, l2: 2.5e-3, init: \"" FP_A "\"}");
    assert_true(job->l2 == 2.5e-3);
    assert_int_equal(job->init, JOB_INIT_FILE);
    assert_string_equal(job->init_sha256, A64);
    job_free(job);
    job = job_parse_good(6, "federation: {rounds: 3, strategy: fedavg, weighting: equal, min_sites: 1, "
                            "round_deadline: 5m}");
    assert_int_equal(job->weighting, JOB_WEIGHT_EQUAL);
    assert_int_equal(job->min_sites, 1);
    assert_int_equal(job->round_deadline_s, 300);
    job_free(job);
}

static void test_job_global_test_is_idx_or_csv(void **state)
{
    (void)state;
    struct job *job =
        job_parse_good(5, "evaluation: {metrics: none, global_test: {images: a.idx, labels: b.idx}}");
    assert_int_equal(job->metrics, JOB_METRICS_NONE);
    assert_int_equal(job->global_test, JOB_GLOBAL_TEST_IDX);
    assert_string_equal(job->global_test_images, "a.idx");
    assert_string_equal(job->global_test_labels, "b.idx");
    job_free(job);
    job = job_parse_good(5, "evaluation: {global_test: {csv: a.csv, label: species}}");
    assert_int_equal(job->global_test, JOB_GLOBAL_TEST_CSV);
    assert_string_equal(job->global_test_images, "a.csv");
    assert_string_equal(job->global_test_labels, "species");
    job_free(job);
}

static void test_job_edges_of_every_range_are_taken(void **state)
{
    (void)state;
    static const struct {
        int line;
        const char *text;
    } rows[] = {
        {1, "job: A-z_0.9"},
        {3, "model: {kind: softmax-regression, l2: 0}"},
        {3, "model: {kind: softmax-regression, l2: 1e6, init: seeded}"},
        {4, "training: {local_iterations: 1}"},
        {4, "training: {optimizer: lbfgs, local_iterations: 10000}"},
        {4, "training: {optimizer: sgd, batch_size: 1, learning_rate: 1e-300, momentum: 0, local_epochs: 1}"},
        {4, "training: {optimizer: sgd, batch_size: 1000000, learning_rate: 100, momentum: 0.999, "
            "local_epochs: 1000}"},
        {5, "evaluation: {test_fraction: 0.01, global_test: null}"},
        {5, "evaluation: {test_fraction: 0.9, global_test: ~}"},
        {6, "federation: {rounds: 1, min_sites: 1, round_deadline: 1s}"},
        {6, "federation: {rounds: 10000, min_sites: 2, round_deadline: 24h}"},
        {6, "federation: {rounds: 5, round_deadline: 1d}"},
        {7, "seed: 0"},
        {7, "seed: 9223372036854775807"},
        {7, "secure_aggregation: {enabled: false}"},
        {7, "privacy: {mechanism: none}"},
        {8, "expires: 1970-01-01T00:00:00Z"},
        {8, "expires: \"9999-12-31T23:59:59Z\""},
        {10, "  - {name: \"Nørd \\\"1\\\"\", fingerprint: \"" FP_A "\", endpoint: null}"},
        {10, "  - {name: North, fingerprint: \"" FP_A "\", endpoint: \"tcp://[::1]:65535\"}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        job_free(job_parse_good(rows[i].line, rows[i].text));
}

static void test_job_of_windows_line_ends_and_a_byte_order_mark_is_read(void **state)
{
    (void)state;
    char file[4096] = "\xef\xbb\xbf";
    size_t at = 3;
    struct job *job = NULL;
    for (size_t i = 0; i < JOB_LINES; i++)
        at += (size_t)snprintf(file + at, sizeof(file) - at, "%s\r\n", job_lines[i]);
    assert_done(job_parse(file, at, "job.yaml", &job));
    job_free(job);
}

static void test_job_numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)setlocale(LC_ALL, names[i]); /* those that are not installed change nothing */
        struct job *job = job_parse_good(3, "model: {kind: softmax-regression, l2: 0.5}");
        assert_true(job->l2 == 0.5);
        job_free(job);
    }
    (void)setlocale(LC_ALL, "C");
}

static void test_job_of_unreadable_bytes_is_refused_where_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
        const char *sentence;
    } rows[] = {
        {"job: a\nda\0taset: b\n", 19, "job.yaml:2:3: the file must be text; a NUL byte"},
        {"job: a\n# \xff\n", 11, "job.yaml:2:3: the file must be UTF-8 text; this byte is not."},
        {"job: \xc3", 6, "job.yaml:1:6: the file must be UTF-8"},
        {"job: \xed\xa0\x80\n", 9, "job.yaml:1:6: the file must be UTF-8"},
        {"job: \xc0\xaf\n", 8, "job.yaml:1:6: the file must be UTF-8"},
        {"\xff\xfej\0o\0", 6, "job.yaml:1:1: the file must be UTF-8 text; this looks like UTF-16."},
        {"job: \x1b[2J\n", 10, "job.yaml:1:6: a control or direction character"},
        {"job: \xc2\x9b"
         "2J\n",
         10, "job.yaml:1:6: a control or direction character"},
        {"# \xe2\x80\xae\n", 6, "job.yaml:1:3: a control or direction character"},
        {"\xc3\xa9: \x7f\n", 6, "job.yaml:1:4: a control or direction character"},
        {"", 0, "job.yaml:1:1: the file is empty."},
        {"# nothing\n", 10, "job.yaml:1:1: the file is empty."},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct job *job = NULL;
        assert_refused(job_parse(rows[i].text, rows[i].bytes, "job.yaml", &job), ERROR_INVALID,
                       rows[i].sentence);
    }
}

static void test_job_of_ten_megabytes_is_refused(void **state)
{
    (void)state;
    size_t bytes = 10u << 20;
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, '#', bytes);
    struct job *job = NULL;
    struct error *err = job_parse(text, bytes, "job.yaml", &job);
    free(text);
    assert_refused(err, ERROR_LIMIT, "job.yaml has 10485760 bytes; at most 61440 are allowed.");
}

/* 60 KiB of each of these would exhaust a stack or a table without a bound. */
static void test_job_of_deep_or_many_values_is_refused(void **state)
{
    (void)state;
    static const char *const pieces[] = {"[", "{a: ", "- ", "? ", "a: [1,", "[],", "!", "&a "};
    char *text = malloc(JOB_MAX_BYTES);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        size_t piece = strlen(pieces[i]);
        size_t bytes = 0;
        for (; bytes + piece <= JOB_MAX_BYTES; bytes += piece)
            memcpy(text + bytes, pieces[i], piece);
        struct job *job = NULL;
        assert_refused(job_parse(text, bytes, "job.yaml", &job), ERROR_INVALID, "job.yaml:");
    }
    free(text);
}

static void test_job_of_too_many_values_is_refused(void **state)
{
    (void)state;
    char *text = malloc(JOB_MAX_BYTES);
    struct job *job = NULL;
    assert_non_null(text);
    memset(text, ',', JOB_MAX_BYTES);
    for (size_t i = 0; i < JOB_MAX_BYTES; i += 2)
        text[i] = '1';
    memcpy(text, "a: [", 4);
    text[4] = '1';
    text[5] = ',';
    struct error *err = job_parse(text, JOB_MAX_BYTES, "job.yaml", &job);
    free(text);
    assert_refused(err, ERROR_INVALID, "the file holds too many values; at most 20000 are read.");
}

static void test_job_of_too_many_keys_is_refused(void **state)
{
    (void)state;
    char text[1024] = "";
    size_t at = 0;
    struct job *job = NULL;
    for (int i = 0; i < 65; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "key%d: 1\n", i);
    assert_refused(job_parse(text, at, "job.yaml", &job), ERROR_INVALID,
                   "job.yaml:1:1: the file has 65 keys here; at most 64 are read.");
}

static void test_job_with_directives_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"%YAML 1.1\n---\njob: a\n",
                                        "%TAG !e! tag:example.org,2000:\n---\njob: a\n"};
    for (size_t i = 0; i < 2; i++) {
        struct job *job = NULL;
        assert_refused(job_parse(texts[i], strlen(texts[i]), "job.yaml", &job), ERROR_INVALID,
                       "job.yaml:1:1: directives (%) are not read here");
    }
}

static char *job_with_sites(size_t count, size_t *ret_bytes)
{
    size_t room = 1024 + count * 200;
    char *text = malloc(room);
    assert_non_null(text);
    size_t at = 0;
    for (size_t i = 0; i < 9; i++)
        at += (size_t)snprintf(text + at, room - at, "%s\n", job_lines[i]);
    for (size_t i = 0; i < count; i++)
        at +=
            (size_t)snprintf(text + at, room - at, "- {name: S%zu, fingerprint: \"sha256:%064zx\"}\n", i, i);
    *ret_bytes = at;
    return text;
}

static void test_job_of_many_sites_fits_its_limit(void **state)
{
    (void)state;
    size_t bytes = 0;
    char *text = job_with_sites(550, &bytes);
    struct job *job = NULL;
    assert_true(bytes <= JOB_MAX_BYTES);
    assert_done(job_parse(text, bytes, "job.yaml", &job));
    assert_int_equal(job->site_count, 550);
    assert_int_equal(job->min_sites, 550);
    assert_string_equal(job->sites[549].name, "S549");
    job_free(job);
    free(text);
}

/* Whatever is cut off, the rest is refused or a job of its own; nothing crashes. */
static void test_job_truncated_at_every_byte_never_crashes(void **state)
{
    (void)state;
    size_t bytes = 0;
    char *text = job_with_sites(2, &bytes);
    size_t refused = 0;
    for (size_t cut = 0; cut < bytes; cut++) {
        char *part = malloc(cut + 1); /* of exact size, so that a read beyond it is noticed */
        assert_non_null(part);
        memcpy(part, text, cut);
        struct job *job = NULL;
        struct error *err = job_parse(part, cut, "job.yaml", &job);
        assert_true((err == NULL) == (job != NULL));
        refused += err != NULL ? 1 : 0;
        error_free(err);
        job_free(job);
        free(part);
    }
    assert_true(refused + 80 > bytes); /* whole are only those that end after the first site */
    free(text);
}

static void test_job_shared_lasts_until_its_last_owner(void **state)
{
    (void)state;
    struct job *job = job_parse_good(4, "");
    struct job *shared = job_share(job);
    assert_ptr_equal(shared, job);
    job_free(job);
    assert_string_equal(shared->dataset, "mnist");
    job_free(shared);
}

static void test_job_words_are_those_of_the_file(void **state)
{
    (void)state;
    assert_string_equal(job_model_word(JOB_SOFTMAX_REGRESSION), "softmax-regression");
    assert_string_equal(job_init_word(JOB_INIT_SEEDED), "seeded");
    assert_string_equal(job_optimizer_word(JOB_LBFGS), "lbfgs");
    assert_string_equal(job_metrics_word(JOB_METRICS_PER_SITE), "per-site");
    assert_string_equal(job_strategy_word(JOB_FEDAVG), "fedavg");
    assert_string_equal(job_weighting_word(JOB_WEIGHT_EQUAL), "equal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_least_file_gets_the_defaults),
        cmocka_unit_test(test_job_sites_are_read_in_order),
        cmocka_unit_test(test_job_every_value_is_stored),
        cmocka_unit_test(test_job_global_test_is_idx_or_csv),
        cmocka_unit_test(test_job_edges_of_every_range_are_taken),
        cmocka_unit_test(test_job_of_windows_line_ends_and_a_byte_order_mark_is_read),
        cmocka_unit_test(test_job_numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(test_job_of_unreadable_bytes_is_refused_where_they_are),
        cmocka_unit_test(test_job_of_ten_megabytes_is_refused),
        cmocka_unit_test(test_job_of_deep_or_many_values_is_refused),
        cmocka_unit_test(test_job_of_too_many_values_is_refused),
        cmocka_unit_test(test_job_of_too_many_keys_is_refused),
        cmocka_unit_test(test_job_with_directives_is_refused),
        cmocka_unit_test(test_job_of_many_sites_fits_its_limit),
        cmocka_unit_test(test_job_truncated_at_every_byte_never_crashes),
        cmocka_unit_test(test_job_shared_lasts_until_its_last_owner),
        cmocka_unit_test(test_job_words_are_those_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
