/* The keys of secure aggregation: alone, together, and with the rest of a job. */
#include "schemas/job.h"
#include "tests/unit/schemas/refusal.h"

#include <stdlib.h>

#define FILE_BYTES (64u * 1024u)

/* A job of so many sites; `secure` is the mapping of secure_aggregation, or NULL for a job without. */
static struct error *parse(unsigned sites, const char *secure, const char *metrics, const char *federation,
                           struct job **ret_job)
{
    char *file = malloc(FILE_BYTES);
    assert_non_null(file);
    int at = snprintf(file, FILE_BYTES,
                      "job: masked\ndataset: mnist\nmodel: {kind: softmax-regression}\n"
                      "evaluation: {%s}\nfederation: {%s}\nexpires: 2027-01-31T00:00:00Z\n",
                      metrics, federation);
    if (secure != NULL)
        at += snprintf(file + at, FILE_BYTES - (size_t)at, "secure_aggregation: {%s}\n", secure);
    at += snprintf(file + at, FILE_BYTES - (size_t)at, "sites:\n");
    for (unsigned i = 0; i < sites && at < (int)FILE_BYTES - 128; i++)
        at += snprintf(file + at, FILE_BYTES - (size_t)at, "- {name: s%u, fingerprint: \"sha256:%064x\"}\n",
                       i, i + 1);
    struct error *err = job_parse(file, (size_t)at, "job.yaml", ret_job);
    free(file);
    return err;
}

static struct job *good(unsigned sites, const char *secure, const char *federation)
{
    struct job *job = NULL;
    assert_done(parse(sites, secure, "", federation, &job));
    return job;
}

static void refused(unsigned sites, const char *secure, const char *metrics, const char *federation,
                    const char *sentence)
{
    struct job *job = NULL;
    struct error *err = parse(sites, secure, metrics, federation, &job);
    assert_null(job);
    assert_refused(err, ERROR_INVALID, sentence);
}

static void test_job_secure_alone_gets_the_defaults(void **state)
{
    (void)state;
    struct job *job = good(4, "enabled: true", "rounds: 5");
    assert_true(job->secure.enabled);
    assert_int_equal(job->secure.tolerate_colluding, 1);
    assert_int_equal(job->secure.threshold, 3);
    assert_int_equal(job->secure.ring, 64);
    assert_true(job->secure.clip == 32);
    assert_int_equal(job->secure.max_examples, 1000000);
    assert_int_equal(job->secure.key_batch, 8);
    assert_int_equal(job->secure.verify_sum, JOB_VERIFY_SUM_AUTO);
    assert_int_equal(job->metrics, JOB_METRICS_POOLED);
    assert_int_equal(job->min_sites, 3);
    job_free(job);
}

static void test_job_secure_not_enabled_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {NULL, "", "enabled: false"};
    for (size_t i = 0; i < 3; i++) {
        struct job *job = good(2, texts[i], "rounds: 5");
        assert_false(job->secure.enabled);
        assert_int_equal(job->metrics, JOB_METRICS_PER_SITE);
        assert_int_equal(job->min_sites, 2);
        job_free(job);
    }
}

static void test_job_secure_every_value_is_stored(void **state)
{
    (void)state;
    struct job *job = good(10,
                           "enabled: true, tolerate_colluding: 3, threshold: 8, ring: 32, clip: 0.5, "
                           "max_examples: 6000, key_batch: 64, verify_sum: false",
                           "rounds: 2000, min_sites: 9");
    assert_int_equal(job->secure.tolerate_colluding, 3);
    assert_int_equal(job->secure.threshold, 8);
    assert_int_equal(job->secure.ring, 32);
    assert_true(job->secure.clip == 0.5);
    assert_int_equal(job->secure.max_examples, 6000);
    assert_int_equal(job->secure.key_batch, 64);
    assert_int_equal(job->secure.verify_sum, JOB_VERIFY_SUM_NO);
    assert_int_equal(job->min_sites, 9);
    job_free(job);
}

/* Those of the design: n, n_c, t. */
static void test_job_secure_threshold_follows_the_rule(void **state)
{
    (void)state;
    static const unsigned rows[][3] = {{3, 1, 3},    {4, 1, 3},     {5, 1, 4},     {4, 2, 4},      {10, 3, 7},
                                       {32, 10, 22}, {100, 33, 67}, {500, 1, 251}, {500, 498, 500}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "enabled: true, tolerate_colluding: %u", rows[i][1]);
        struct job *job = good(rows[i][0], text, "rounds: 5");
        assert_int_equal(job->secure.threshold, rows[i][2]);
        assert_true(job->secure.threshold >= job->secure.tolerate_colluding + 2);
        assert_int_equal(job->min_sites, job->secure.threshold);
        job_free(job);
    }
}

static void test_job_secure_threshold_raised_not_lowered(void **state)
{
    (void)state;
    struct job *job = good(5, "enabled: true, threshold: 5", "rounds: 5");
    assert_int_equal(job->secure.threshold, 5);
    job_free(job);
    refused(5, "enabled: true, threshold: 3", "", "rounds: 5",
            "threshold must be a whole number from 4 to 5 with 5 sites of which 1 may collude.");
    refused(5, "enabled: true, threshold: 6", "", "rounds: 5",
            "threshold must be a whole number from 4 to 5");
    refused(5, "enabled: true, threshold: 2", "", "rounds: 5",
            "threshold must be a whole number from 4 to 5 with 5 sites of which 1 may collude.");
    refused(4, "enabled: true, threshold: 2", "", "rounds: 5",
            "threshold must be a whole number from 3 to 4 with 4 sites of which 1 may collude.");
    refused(4, "enabled: true, threshold: 99999999999999", "", "rounds: 5",
            "threshold must be a whole number from 3 to 4 with 4 sites of which 1 may collude.");
    refused(4, "enabled: true, threshold: 3, tolerate_colluding: 2", "", "rounds: 5",
            "threshold must be 4 with 4 sites of which 2 may collude.");
    refused(4, "enabled: true, threshold: all", "", "rounds: 5",
            "threshold must be a whole number from 3 to 1000.");
}

static void test_job_secure_too_few_sites_refused_with_the_reason(void **state)
{
    (void)state;
    refused(1, "enabled: true", "", "rounds: 5",
            "secure_aggregation.enabled cannot be true with one site: the sum would be that site's update.");
    refused(
        2, "enabled: true", "", "rounds: 5",
        "secure_aggregation.enabled cannot be true with two sites: each would learn the other's update by "
        "subtracting its own from the sum. With three sites or more it can; with two, privacy: {mechanism: "
        "dp-sgd} without secure aggregation protects the records of each by its own noise.");
}

static void test_job_secure_more_colluders_than_the_roster_bears_refused(void **state)
{
    (void)state;
    refused(4, "enabled: true, tolerate_colluding: 3", "", "rounds: 5",
            "tolerate_colluding must be a whole number from 1 to 2, the number of sites less two");
    refused(4, "enabled: true, tolerate_colluding: 0", "", "rounds: 5",
            "tolerate_colluding must be a whole number from 1 to 2, the number of sites less two");
    refused(3, "enabled: true, tolerate_colluding: 2", "", "rounds: 5",
            "tolerate_colluding must be 1, the number of sites less two");
    refused(4, "enabled: true, tolerate_colluding: 1.5", "", "rounds: 5",
            "tolerate_colluding must be a whole number from 1 to 998.");
}

static void test_job_secure_keys_without_it_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"tolerate_colluding: 1", "threshold: 3", "ring: 64",        "clip: 32",
                                       "max_examples: 5",       "key_batch: 8", "verify_sum: true"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "enabled: false, %s", keys[i]);
        refused(4, keys[i], "", "rounds: 5", "belongs to secure aggregation, which this job does not have");
        refused(4, text, "", "rounds: 5", "belongs to secure aggregation, which this job does not have");
    }
}

static void test_job_secure_metrics_of_one_site_refused(void **state)
{
    (void)state;
    struct job *job = NULL;
    refused(4, "enabled: true", "metrics: per-site", "rounds: 5",
            "evaluation.metrics cannot be per-site with secure aggregation, which lets sums alone be seen");
    refused(4, NULL, "metrics: pooled", "rounds: 5",
            "evaluation.metrics can be pooled only with secure_aggregation: {enabled: true}");
    refused(4, "enabled: false", "metrics: pooled", "rounds: 5", "can be pooled only with");
    assert_done(parse(4, "enabled: true", "metrics: none", "rounds: 5", &job));
    assert_int_equal(job->metrics, JOB_METRICS_NONE);
    job_free(job);
    assert_done(parse(4, "enabled: true", "metrics: pooled", "rounds: 5", &job));
    assert_int_equal(job->metrics, JOB_METRICS_POOLED);
    job_free(job);
}

static void test_job_secure_fewer_sites_than_the_threshold_refused(void **state)
{
    (void)state;
    refused(5, "enabled: true", "", "rounds: 5, min_sites: 3",
            "federation.min_sites must be at least 4, the threshold of secure aggregation");
    refused(5, "enabled: true", "", "rounds: 5, min_sites: 6",
            "federation.min_sites must be a whole number from 1 to 5, the number of sites.");
    job_free(good(5, "enabled: true", "rounds: 5, min_sites: 4"));
}

static void test_job_secure_too_many_rounds_refused(void **state)
{
    (void)state;
    refused(4, "enabled: true", "", "rounds: 2001",
            "federation.rounds must be a whole number from 1 to 2000 with secure aggregation.");
    job_free(good(4, "enabled: true", "rounds: 2000"));
    job_free(good(4, NULL, "rounds: 2001"));
}

/* 2^31 - 1 = 2147483647: three times 715827882 and one. */
static void test_job_secure_sums_that_would_wrap_refused(void **state)
{
    (void)state;
    refused(
        3, "enabled: true, ring: 32, max_examples: 715827883", "", "rounds: 5",
        "max_examples must be at most 715827882: the examples of 3 sites must add up in a word of 32 bits; "
        "ring: 64 has room for more.");
    job_free(good(3, "enabled: true, ring: 32, max_examples: 715827882", "rounds: 5"));
    job_free(good(3, "enabled: true, ring: 64, max_examples: 715827883", "rounds: 5"));
    job_free(good(500, "enabled: true, ring: 32, clip: 1e6", "rounds: 5"));
}

static void test_job_secure_values_out_of_range_refused(void **state)
{
    (void)state;
    static const struct {
        const char *secure, *sentence;
    } rows[] = {
        {"enabled: yes", "secure_aggregation.enabled must be true or false."},
        {"enabled: 1", "secure_aggregation.enabled must be true or false."},
        {"enabled: true, ring: 16", "secure_aggregation.ring must be 64 or 32"},
        {"enabled: true, ring: \"64\"", "secure_aggregation.ring must be 64 or 32"},
        {"enabled: true, ring: [64]", "secure_aggregation.ring must be 64 or 32"},
        {"enabled: true, clip: 0", "secure_aggregation.clip must be above 0 and at most 1000000."},
        {"enabled: true, clip: 1000001", "secure_aggregation.clip must be above 0 and at most 1000000."},
        {"enabled: true, clip: .nan", "secure_aggregation.clip must be a number"},
        {"enabled: true, max_examples: 0", "max_examples must be a whole number from 1 to 1099511627776."},
        {"enabled: true, max_examples: 1099511627777", "max_examples must be a whole number from 1 to"},
        {"enabled: true, key_batch: 0", "key_batch must be a whole number from 1 to 64."},
        {"enabled: true, key_batch: 65", "key_batch must be a whole number from 1 to 64."},
        {"enabled: true, verify_sum: maybe", "verify_sum must be true or false."},
        {"enabled: true, treshold: 3", "treshold is not a known key; did you mean threshold?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refused(4, rows[i].secure, "", "rounds: 5", rows[i].sentence);
    job_free(good(4, "enabled: true, max_examples: 1099511627776, clip: 1e6, key_batch: 1", "rounds: 5"));
}

/* 4 sites of 8 bytes a word: 64 MiB are 2^21 words. */
static void test_job_secure_sum_is_verified_where_it_is_cheap(void **state)
{
    (void)state;
    struct job *job = good(4, "enabled: true", "rounds: 5");
    assert_true(job_verifies_sum(job, 7961));
    assert_true(job_verifies_sum(job, 2097152));
    assert_false(job_verifies_sum(job, 2097153));
    job_free(job);
    job = good(4, "enabled: true, verify_sum: true", "rounds: 5");
    assert_true(job_verifies_sum(job, 2097153));
    job_free(job);
    job = good(4, "enabled: true, verify_sum: false", "rounds: 5");
    assert_false(job_verifies_sum(job, 1));
    job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_secure_alone_gets_the_defaults),
        cmocka_unit_test(test_job_secure_not_enabled_changes_nothing),
        cmocka_unit_test(test_job_secure_every_value_is_stored),
        cmocka_unit_test(test_job_secure_threshold_follows_the_rule),
        cmocka_unit_test(test_job_secure_threshold_raised_not_lowered),
        cmocka_unit_test(test_job_secure_too_few_sites_refused_with_the_reason),
        cmocka_unit_test(test_job_secure_more_colluders_than_the_roster_bears_refused),
        cmocka_unit_test(test_job_secure_keys_without_it_refused),
        cmocka_unit_test(test_job_secure_metrics_of_one_site_refused),
        cmocka_unit_test(test_job_secure_fewer_sites_than_the_threshold_refused),
        cmocka_unit_test(test_job_secure_too_many_rounds_refused),
        cmocka_unit_test(test_job_secure_sums_that_would_wrap_refused),
        cmocka_unit_test(test_job_secure_values_out_of_range_refused),
        cmocka_unit_test(test_job_secure_sum_is_verified_where_it_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
