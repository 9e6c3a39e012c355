/* Two jobs key by key: every field that is changed is named, and nothing else is. */
#include "datasite/job_diff.h"
#include "tests/unit/datasite/workspace.h"

#define SITE_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SITE_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SITE_D "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define SITE_C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

/* The words of a job file; NULL takes what the others have. */
struct words {
    const char *name, *dataset, *model, *training, *evaluation, *federation, *seed, *expires, *sites, *secure,
        *privacy, *features;
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
    "{mechanism: none}",
    "{kind: raw}",
};

static struct job *job_of(const struct words *words)
{
    char text[4096];
    struct job *job = NULL;
#define WORD(field) (words->field == NULL ? base.field : words->field)
    int length =
        snprintf(text, sizeof(text),
                 "job: %s\ndataset: %s\nmodel: %s\ntraining: %s\nevaluation: %s\nfederation: %s\n"
                 "seed: %s\nexpires: %s\nsecure_aggregation: %s\nprivacy: %s\nfeatures: %s\nsites:\n%s",
                 WORD(name), WORD(dataset), WORD(model), WORD(training), WORD(evaluation), WORD(federation),
                 WORD(seed), WORD(expires), WORD(secure), WORD(privacy), WORD(features), WORD(sites));
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

#define PRIVATE_SITES                                                                                        \
    "  - {name: a, fingerprint: \"" SITE_A "\", examples: 500}\n"                                            \
    "  - {name: b, fingerprint: \"" SITE_B "\", examples: 600}\n"
#define PRIVATE(privacy_words)                                                                               \
    {                                                                                                        \
        .training = "{optimizer: sgd}", .evaluation = "{test_fraction: 0.2}", .sites = PRIVATE_SITES,        \
        .privacy = (privacy_words)                                                                           \
    }
#define DP_SGD "mechanism: dp-sgd, clip: 1, delta: 1e-5, sampling_rate: 0.1"
#define NOISE ", noise_multiplier: 2, steps: 4, metrics_noise: 5"

static void test_job_diff_names_each_changed_key_of_privacy(void **state)
{
    static const struct words private = PRIVATE("{" DP_SGD NOISE "}");
    static const struct {
        struct words words;
        const char *key;
    } cases[] = {
        {PRIVATE("{mechanism: dp-sgd, clip: 1.5, delta: 1e-5, sampling_rate: 0.1" NOISE "}"), "privacy.clip"},
        {PRIVATE("{mechanism: dp-sgd, clip: 1, delta: 1e-6, sampling_rate: 0.1" NOISE "}"), "privacy.delta"},
        {PRIVATE("{mechanism: dp-sgd, clip: 1, delta: 1e-5, sampling_rate: 0.2" NOISE "}"),
         "privacy.sampling_rate"},
        {PRIVATE("{" DP_SGD ", noise_multiplier: 2.0000000000000004, steps: 4, metrics_noise: 5}"),
         "privacy.noise_multiplier"},
        {PRIVATE("{" DP_SGD NOISE ", target_epsilon: 9}"), "privacy.target_epsilon"},
        {PRIVATE("{" DP_SGD ", noise_multiplier: 2, steps: 5, metrics_noise: 5}"), "privacy.steps"},
        {PRIVATE("{" DP_SGD ", noise_multiplier: 2, steps: 4, metrics_noise: 6}"), "privacy.metrics_noise"},
        {PRIVATE("{" DP_SGD NOISE ", metrics_rounds: all}"), "privacy.metrics_rounds"},
        {{.training = "{optimizer: sgd, average_tail: 0.5}",
          .evaluation = "{test_fraction: 0.2}",
          .sites = PRIVATE_SITES,
          .privacy = "{" DP_SGD NOISE "}"},
         "training.average_tail"},
        {{.training = "{optimizer: sgd}",
          .evaluation = "{test_fraction: 0.2}",
          .sites = "  - {name: a, fingerprint: \"" SITE_A "\", examples: 500}\n"
                   "  - {name: b, fingerprint: \"" SITE_B "\", examples: 601}\n",
          .privacy = "{" DP_SGD NOISE "}"},
         "sites " SITE_B},
    };
    static const char *const whole[] = {"privacy.mechanism", "sites " SITE_A, "sites " SITE_B};
    static const struct words without = {.training = "{optimizer: sgd}"};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_changes(&private, &cases[i].words, &cases[i].key, 1);
        expect_changes(&cases[i].words, &private, &cases[i].key, 1);
    }
    expect_changes(&private, &without, whole, 3);
}

static void test_job_diff_names_each_changed_key_of_features(void **state)
{
    static const struct words standardized = {.features =
                                                  "{kind: standardize, mean: [1, 2], deviation: [3, 4]}"};
    static const struct {
        struct words words;
        const char *key;
    } cases[] = {
        {{.features = "{kind: hog}"}, "features.kind"},
        {{.features = "{kind: standardize, mean: [1, 2.5], deviation: [3, 4]}"}, "features.mean"},
        {{.features = "{kind: standardize, mean: [1, 2], deviation: [3, 4.5]}"}, "features.deviation"},
        {{.features = "{kind: standardize, mean: [1, 2], deviation: [3, 4], released_by: \"" SITE_C "\"}"},
         "features.released_by"},
    };
    static const char *const longer[] = {"features.mean", "features.deviation"};
    struct words more = {.features = "{kind: standardize, mean: [1, 2, 3], deviation: [3, 4, 5]}"};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_changes(&standardized, &cases[i].words, &cases[i].key, 1);
        expect_changes(&cases[i].words, &standardized, &cases[i].key, 1);
    }
    expect_changes(&standardized, &more, longer, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_diff_of_the_same_job_is_nothing),
        cmocka_unit_test(test_job_diff_names_each_changed_key),
        cmocka_unit_test(test_job_diff_names_each_changed_key_of_secure_aggregation),
        cmocka_unit_test(test_job_diff_names_each_changed_key_of_privacy),
        cmocka_unit_test(test_job_diff_names_each_changed_key_of_features),
        cmocka_unit_test(test_job_diff_of_lbfgs_names_its_iterations),
        cmocka_unit_test(test_job_diff_names_a_site_that_takes_anothers_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
