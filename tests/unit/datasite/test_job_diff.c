/* Two jobs key by key: every field that is changed is named, and nothing else is. */
#include "datasite/job_diff.h"
#include "tests/unit/datasite/workspace.h"

#define SITE_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SITE_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SITE_D "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define SITE_C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

/* The words of a job file; NULL takes what the others have. */
struct words {
    const char *name, *dataset, *model, *training, *evaluation, *federation, *seed, *expires, *sites, *secure;
};

static const struct words base = {
    "try",
    "made",
    "{kind: softmax-regression, l2: 1e-4}",
    "{optimizer: sgd, batch_size: 64, learning_rate: 0.1, momentum: 0.9, local_epochs: 1}",
    "{test_fraction: 0.2, metrics: per-site}",
    "{rounds: 5, weighting: examples, min_sites: 1, round_deadline: 60s}",
    "7",
    "2027-01-31T00:00:00Z",
    "  - {name: a, fingerprint: \"" SITE_A "\"}\n  - {name: b, fingerprint: \"" SITE_B "\"}\n",
    "{enabled: false}",
};

static struct job *job_of(const struct words *words)
{
    char text[4096];
    struct job *job = NULL;
#define WORD(field) (words->field == NULL ? base.field : words->field)
    int length = snprintf(text, sizeof(text),
                          "job: %s\ndataset: %s\nmodel: %s\ntraining: %s\nevaluation: %s\nfederation: %s\n"
                          "seed: %s\nexpires: %s\nsecure_aggregation: %s\nsites:\n%s",
                          WORD(name), WORD(dataset), WORD(model), WORD(training), WORD(evaluation),
                          WORD(federation), WORD(seed), WORD(expires), WORD(secure), WORD(sites));
    assert_true(length > 0 && (size_t)length < sizeof(text));
    must(job_parse(text, (size_t)length, "the job", &job));
    return job;
}

static void expect_changes(const struct words *from, const struct words *to, const char *const *keys,
                           size_t key_count)
{
    struct job *before = job_of(from), *after = job_of(to);
    struct job_change *changes = NULL;
    size_t count = 0;
    must(job_diff(before, after, &changes, &count));
    if (count != key_count)
        fail_msg("%zu changes instead of %zu, first: %s", count, key_count,
                 count == 0 ? "-" : changes[0].key);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(changes[i].key, keys[i]);
        assert_string_not_equal(changes[i].before, changes[i].after);
    }
    free(changes);
    job_free(before);
    job_free(after);
}

static void test_job_diff_of_the_same_job_is_nothing(void **state)
{
    (void)state;
    expect_changes(&base, &base, NULL, 0);
}

static void test_job_diff_names_each_changed_key(void **state)
{
    static const struct {
        struct words words;
        const char *key;
    } cases[] = {
        {{.name = "other"}, "job"},
        {{.dataset = "other"}, "dataset"},
        {{.model = "{kind: softmax-regression, l2: 0.00010000000000000002}"}, "model.l2"},
        {{.model = "{kind: softmax-regression, l2: 1e-4, init: seeded}"}, "model.init"},
        {{.training = "{optimizer: lbfgs}"}, "training.optimizer"},
        {{.training = "{optimizer: sgd, batch_size: 65}"}, "training.batch_size"},
        {{.training = "{optimizer: sgd, learning_rate: 0.2}"}, "training.learning_rate"},
        {{.training = "{optimizer: sgd, momentum: 0}"}, "training.momentum"},
        {{.training = "{optimizer: sgd, local_epochs: 2}"}, "training.local_epochs"},
        {{.evaluation = "{test_fraction: 0.3, metrics: per-site}"}, "evaluation.test_fraction"},
        {{.evaluation = "{test_fraction: 0.2, metrics: none}"}, "evaluation.metrics"},
        {{.evaluation = "{test_fraction: 0.2, global_test: {csv: t.csv, label: y}}"},
         "evaluation.global_test"},
        {{.federation = "{rounds: 6, min_sites: 1}"}, "federation.rounds"},
        {{.federation = "{rounds: 5, min_sites: 1, weighting: equal}"}, "federation.weighting"},
        {{.federation = "{rounds: 5, min_sites: 2}"}, "federation.min_sites"},
        {{.federation = "{rounds: 5, min_sites: 1, round_deadline: 61s}"}, "federation.round_deadline"},
        {{.seed = "8"}, "seed"},
        {{.expires = "2027-01-31T00:00:01Z"}, "expires"},
        {{.sites =
              "  - {name: a, fingerprint: \"" SITE_A "\"}\n  - {name: c, fingerprint: \"" SITE_B "\"}\n"},
         "sites " SITE_B},
        {{.sites = "  - {name: a, fingerprint: \"" SITE_A "\"}\n"}, "sites " SITE_B},
        {{.sites = "  - {name: a, endpoint: \"tcp://127.0.0.1:1\", fingerprint: \"" SITE_A
                   "\"}\n  - {name: b, fingerprint: \"" SITE_B "\"}\n"},
         "sites " SITE_A},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_changes(&base, &cases[i].words, &cases[i].key, 1);
        expect_changes(&cases[i].words, &base, &cases[i].key, 1);
    }
}

static void test_job_diff_of_lbfgs_names_its_iterations(void **state)
{
    static const char *const keys[] = {"training.local_iterations"};
    struct words before = {.training = "{optimizer: lbfgs, local_iterations: 5}"};
    struct words after = {.training = "{optimizer: lbfgs, local_iterations: 6}"};
    (void)state;
    expect_changes(&before, &after, keys, 1);
}

static void test_job_diff_names_a_site_that_takes_anothers_place(void **state)
{
    static const char *const keys[] = {"sites " SITE_B, "sites " SITE_C};
    struct words after = {.sites = "  - {name: b, fingerprint: \"" SITE_C
                                   "\"}\n  - {name: a, fingerprint: \"" SITE_A "\"}\n"};
    (void)state;
    expect_changes(&base, &after, keys, 2);
}

#define SECURE_SITES                                                                                         \
    "  - {name: a, fingerprint: \"" SITE_A "\"}\n  - {name: b, fingerprint: \"" SITE_B "\"}\n"               \
    "  - {name: c, fingerprint: \"" SITE_C "\"}\n  - {name: d, fingerprint: \"" SITE_D "\"}\n"
#define SECURE(secure_words)                                                                                 \
    {                                                                                                        \
        .evaluation = "{metrics: none}", .federation = "{rounds: 5, min_sites: 4}", .sites = SECURE_SITES,   \
        .secure = (secure_words)                                                                             \
    }

static void test_job_diff_names_each_changed_key_of_secure_aggregation(void **state)
{
    static const struct words enabled = SECURE("{enabled: true}");
    static const struct {
        struct words words;
        const char *key;
    } cases[] = {
        {SECURE("{enabled: false}"), "secure_aggregation.enabled"},
        {SECURE("{enabled: true, threshold: 4}"), "secure_aggregation.threshold"},
        {SECURE("{enabled: true, ring: 32}"), "secure_aggregation.ring"},
        {SECURE("{enabled: true, clip: 8}"), "secure_aggregation.clip"},
        {SECURE("{enabled: true, max_examples: 5}"), "secure_aggregation.max_examples"},
        {SECURE("{enabled: true, key_batch: 1}"), "secure_aggregation.key_batch"},
        {SECURE("{enabled: true, verify_sum: true}"), "secure_aggregation.verify_sum"},
        {SECURE("{enabled: true, verify_sum: false}"), "secure_aggregation.verify_sum"},
    };
    static const struct words raised = SECURE("{enabled: true, threshold: 4}");
    static const struct words more = SECURE("{enabled: true, threshold: 4, tolerate_colluding: 2}");
    static const char *const colluding[] = {"secure_aggregation.tolerate_colluding"};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_changes(&enabled, &cases[i].words, &cases[i].key, 1);
        expect_changes(&cases[i].words, &enabled, &cases[i].key, 1);
    }
    expect_changes(&raised, &more, colluding, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_diff_of_the_same_job_is_nothing),
        cmocka_unit_test(test_job_diff_names_each_changed_key),
        cmocka_unit_test(test_job_diff_names_each_changed_key_of_secure_aggregation),
        cmocka_unit_test(test_job_diff_of_lbfgs_names_its_iterations),
        cmocka_unit_test(test_job_diff_names_a_site_that_takes_anothers_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
