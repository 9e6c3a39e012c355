/* Every key of a job wrong once, and the sentence that says where and why. */
#include "tests/unit/schemas/job_lines.h"
#include "tests/unit/schemas/refusal.h"

struct job_row {
    int line; /* of job_lines, from 1, that `text` replaces */
    const char *text;
    enum error_code code;
    const char *sentence; /* after "job.yaml:" */
};

static void job_check_row(const struct job_row *row)
{
    struct job *job = NULL;
    char expected[ERROR_SENTENCE_BYTES];
    (void)snprintf(expected, sizeof(expected), "job.yaml:%s", row->sentence);
    struct error *err = job_parse_with(row->line, row->text, &job);
    assert_null(job);
    assert_refused(err, row->code, expected);
}

#define CHECK_ROWS(rows)                                                                                     \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                            \
    job_check_row(&(rows)[i])

static const struct job_row job_name_rows[] = {
    {1, "job: \"\"", ERROR_INVALID, "1:6: job must be a name of 1 to 64 of A-Z a-z 0-9 . - _."},
    {1, "job: with blank", ERROR_INVALID, "1:6: job must be a name of 1 to 64 of A-Z a-z 0-9 . - _."},
    {1, "job: " X65, ERROR_INVALID, "1:6: job must be a name of 1 to 64 of A-Z a-z 0-9 . - _."},
    {1, "job: 5", ERROR_INVALID, "1:6: job must be text; put it in double quotes if it is meant so."},
    {1, "job: [a]", ERROR_INVALID, "1:6: job must be text."},
    {1, "job: null", ERROR_INVALID, "1:6: job must be text; put it in double quotes if it is meant so."},
    {1, "job:", ERROR_INVALID, "1:5: job must be text; put it in double quotes if it is meant so."},
    {1, "job: true", ERROR_INVALID, "1:6: job must be text; put it in double quotes if it is meant so."},
    {1, "jobs: first", ERROR_INVALID, "1:1: jobs is not a known key; did you mean job?"},
    {1, "", ERROR_INVALID,
     "2:1: the file lacks the key job, which must be a name of 1 to 64 of A-Z a-z 0-9 . - _."},
    {2, "dataset: a/b", ERROR_INVALID, "2:10: dataset must be a name of 1 to 64 of A-Z a-z 0-9 . - _."},
    {2, "dataset: {a: b}", ERROR_INVALID, "2:10: dataset must be text."},
    {2, "dataset: mnist\ndataset: mnist", ERROR_INVALID,
     "3:1: dataset is given twice; the first is in line 2."},
    {2, "# no dataset", ERROR_INVALID,
     "1:1: the file lacks the key dataset, which must be a name of 1 to 64 of A-Z a-z 0-9 . - _."},
};

static const struct job_row job_model_rows[] = {
    {3, "model: softmax-regression", ERROR_INVALID, "3:8: model must be a mapping of keys to values."},
    {3, "model: {}", ERROR_INVALID,
     "3:8: model lacks the key kind, which must be softmax-regression or feature-statistics."},
    {3, "model: {kind: resnet}", ERROR_INVALID,
     "3:15: model.kind must be softmax-regression or feature-statistics."},
    {3, "model: {kind: 5}", ERROR_INVALID,
     "3:15: model.kind must be softmax-regression or feature-statistics."},
    {3, "model: {kind: softmax-regression, l2: -1}", ERROR_INVALID,
     "3:39: model.l2 must be at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: 1000001}", ERROR_INVALID,
     "3:39: model.l2 must be at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: 0.1x}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: nan}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: .nan}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: .inf}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: 1e999}", ERROR_INVALID,
     "3:39: model.l2 must be at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: \"0.1\"}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: 0x10}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: 010}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: 1_000}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, l2: '1,5'}", ERROR_INVALID,
     "3:39: model.l2 must be a number, at least 0 and at most 1000000."},
    {3, "model: {kind: softmax-regression, init: ones}", ERROR_INVALID,
     "3:41: model.init must be zeros, seeded, or the digest of a model file: sha256: and 64 lower-case hex "
     "digits."},
    {3, "model: {kind: softmax-regression, init: \"sha256:abc\"}", ERROR_INVALID,
     "3:41: model.init must be zeros, seeded, or the digest of a model file: sha256: and 64 lower-case hex "
     "digits."},
    {3, "model: {kind: softmax-regression, init: \"sha256:" UPPER64 "\"}", ERROR_INVALID,
     "3:41: model.init must be zeros, seeded, or the digest of a model file: sha256: and 64 lower-case hex "
     "digits."},
    {3, "model: {kind: softmax-regression, L2: 0}", ERROR_INVALID,
     "3:35: model.L2 is not a known key; did you mean l2? Known here: kind, l2, init."},
};

static const struct job_row job_training_rows[] = {
    {4, "training: {optimizer: adam}", ERROR_INVALID, "4:23: training.optimizer must be lbfgs or sgd."},
    {4, "training: {optimizer: SGD}", ERROR_INVALID, "4:23: training.optimizer must be lbfgs or sgd."},
    {4, "training: {optimizer: sgd, momentun: 0.5}", ERROR_INVALID,
     "4:28: training.momentun is not a known key; did you mean momentum? Known here: optimizer, "
     "local_iterations, batch_size, learning_rate, momentum, local_epochs, average_tail."},
    {4, "training: {optimizer: sgd, momentum: 1}", ERROR_INVALID,
     "4:38: training.momentum must be at least 0 and below 1."},
    {4, "training: {optimizer: sgd, momentum: -0.1}", ERROR_INVALID,
     "4:38: training.momentum must be at least 0 and below 1."},
    {4, "training:\n  optimizer: sgd\n  momentum: 1.0", ERROR_INVALID,
     "6:13: training.momentum must be at least 0 and below 1."},
    {4, "training: {optimizer: sgd, learning_rate: 0}", ERROR_INVALID,
     "4:43: training.learning_rate must be above 0 and at most 100."},
    {4, "training: {optimizer: sgd, learning_rate: 100.1}", ERROR_INVALID,
     "4:43: training.learning_rate must be above 0 and at most 100."},
    {4, "training: {optimizer: sgd, batch_size: 0}", ERROR_INVALID,
     "4:40: training.batch_size must be a whole number from 1 to 1000000."},
    {4, "training: {optimizer: sgd, batch_size: 1000001}", ERROR_INVALID,
     "4:40: training.batch_size must be a whole number from 1 to 1000000."},
    {4, "training: {optimizer: sgd, batch_size: -1}", ERROR_INVALID,
     "4:40: training.batch_size must be a whole number from 1 to 1000000."},
    {4, "training: {optimizer: sgd, batch_size: 1.0}", ERROR_INVALID,
     "4:40: training.batch_size must be a whole number from 1 to 1000000."},
    {4, "training: {optimizer: sgd, batch_size: 1e3}", ERROR_INVALID,
     "4:40: training.batch_size must be a whole number from 1 to 1000000."},
    {4, "training: {optimizer: sgd, batch_size: 0100}", ERROR_INVALID,
     "4:40: training.batch_size must be a whole number from 1 to 1000000."},
    {4, "training: {optimizer: sgd, batch_size: 18446744073709551617}", ERROR_INVALID,
     "4:40: training.batch_size must be a whole number from 1 to 1000000."},
    {4, "training: {optimizer: sgd, local_epochs: 0}", ERROR_INVALID,
     "4:42: training.local_epochs must be a whole number from 1 to 1000."},
    {4, "training: {optimizer: sgd, local_epochs: 1001}", ERROR_INVALID,
     "4:42: training.local_epochs must be a whole number from 1 to 1000."},
    {4, "training: {optimizer: lbfgs, local_iterations: 0}", ERROR_INVALID,
     "4:48: training.local_iterations must be a whole number from 1 to 10000."},
    {4, "training: {optimizer: lbfgs, local_iterations: 10001}", ERROR_INVALID,
     "4:48: training.local_iterations must be a whole number from 1 to 10000."},
    {4, "training: {optimizer: sgd, local_iterations: 60}", ERROR_INVALID,
     "4:46: training.local_iterations belongs to optimizer: lbfgs, and this job's is sgd; remove the key or "
     "change the optimizer."},
    {4, "training: {optimizer: lbfgs, batch_size: 64}", ERROR_INVALID,
     "4:42: training.batch_size belongs to optimizer: sgd, and this job's is lbfgs; remove the key or change "
     "the optimizer."},
    {4, "training: {learning_rate: 0.1}", ERROR_INVALID,
     "4:27: training.learning_rate belongs to optimizer: sgd, and this job's is lbfgs; remove the key or "
     "change the optimizer."},
    {4, "training: {momentum: 0.5}", ERROR_INVALID,
     "4:22: training.momentum belongs to optimizer: sgd, and this job's is lbfgs; remove the key or change "
     "the optimizer."},
    {4, "training: {optimizer: lbfgs, local_epochs: 1}", ERROR_INVALID,
     "4:44: training.local_epochs belongs to optimizer: sgd, and this job's is lbfgs; remove the key or "
     "change the optimizer."},
    {4, "training: [sgd]", ERROR_INVALID, "4:11: training must be a mapping of keys to values."},
};

static const struct job_row job_evaluation_rows[] = {
    {5, "evaluation: {test_fraction: 0.009}", ERROR_INVALID,
     "5:29: evaluation.test_fraction must be at least 0.01 and at most 0.9."},
    {5, "evaluation: {test_fraction: 0.91}", ERROR_INVALID,
     "5:29: evaluation.test_fraction must be at least 0.01 and at most 0.9."},
    {5, "evaluation: {metrics: pooled}", ERROR_INVALID,
     "5:23: evaluation.metrics can be pooled only with secure_aggregation: {enabled: true}; without it, "
     "per-site or none would do."},
    {5, "evaluation: {metrics: all}", ERROR_INVALID,
     "5:23: evaluation.metrics must be per-site, none or pooled."},
    {5, "evaluation: {global_test: mnist}", ERROR_INVALID,
     "5:27: evaluation.global_test must be null, {images: FILE, labels: FILE} or {csv: FILE, label: "
     "COLUMN}."},
    {5, "evaluation: {global_test: {images: a}}", ERROR_INVALID,
     "5:27: evaluation.global_test lacks the key labels, which must be text of 1 to 1023 bytes."},
    {5, "evaluation: {global_test: {csv: a, labels: b}}", ERROR_INVALID,
     "5:36: evaluation.global_test.labels is not a known key; did you mean label? Known here: csv, label."},
    {5, "evaluation: {global_test: {}}", ERROR_INVALID,
     "5:27: evaluation.global_test lacks the key images, which must be text of 1 to 1023 bytes."},
    {5, "evaluation: {test_fraction: null}", ERROR_INVALID,
     "5:29: evaluation.test_fraction must be a number, at least 0.01 and at most 0.9."},
};

static const struct job_row job_federation_rows[] = {
    {6, "federation: {}", ERROR_INVALID,
     "6:13: federation lacks the key rounds, which must be a whole number from 1 to 10000."},
    {6, "federation: {rounds: 0}", ERROR_INVALID,
     "6:22: federation.rounds must be a whole number from 1 to 10000."},
    {6, "federation: {rounds: 10001}", ERROR_INVALID,
     "6:22: federation.rounds must be a whole number from 1 to 10000."},
    {6, "federation: {rounds: \"5\"}", ERROR_INVALID,
     "6:22: federation.rounds must be a whole number from 1 to 10000."},
    {6, "federation: {rounds: 5, strategy: fedprox}", ERROR_INVALID,
     "6:35: federation.strategy must be fedavg."},
    {6, "federation: {rounds: 5, weighting: rows}", ERROR_INVALID,
     "6:36: federation.weighting must be examples or equal."},
    {6, "federation: {rounds: 5, min_sites: 0}", ERROR_INVALID,
     "6:36: federation.min_sites must be a whole number from 1 to 1000."},
    {6, "federation: {rounds: 5, min_sites: 3}", ERROR_INVALID,
     "6:36: federation.min_sites must be a whole number from 1 to 2, the number of sites."},
    {6, "federation: {rounds: 5, min_sites: 1001}", ERROR_INVALID,
     "6:36: federation.min_sites must be a whole number from 1 to 1000."},
    {6, "federation: {rounds: 5, round_deadline: 60}", ERROR_INVALID,
     "6:41: federation.round_deadline must be a duration from 1s to 24h, such as 60s, 5m or 1h."},
    {6, "federation: {rounds: 5, round_deadline: 0s}", ERROR_INVALID,
     "6:41: federation.round_deadline must be a duration from 1s to 24h, such as 60s, 5m or 1h."},
    {6, "federation: {rounds: 5, round_deadline: 25h}", ERROR_INVALID,
     "6:41: federation.round_deadline must be a duration from 1s to 24h, such as 60s, 5m or 1h."},
    {6, "federation: {rounds: 5, round_deadline: -1s}", ERROR_INVALID,
     "6:41: federation.round_deadline must be a duration from 1s to 24h, such as 60s, 5m or 1h."},
    {6, "federation: {rounds: 5, round_deadline: 1 m}", ERROR_INVALID,
     "6:41: federation.round_deadline must be a duration from 1s to 24h, such as 60s, 5m or 1h."},
    {6, "federation: {rounds: 5, min-sites: 2}", ERROR_INVALID,
     "6:25: federation.min-sites is not a known key; did you mean min_sites? Known here: rounds, strategy, "
     "weighting, min_sites, round_deadline."},
};

static const struct job_row job_protection_rows[] = {
    {7, "secure_aggregation: {enabled: yes}", ERROR_INVALID,
     "7:31: secure_aggregation.enabled must be true or false."},
    {7, "secure_aggregation: {enabled: \"false\"}", ERROR_INVALID,
     "7:31: secure_aggregation.enabled must be true or false."},
    {7, "privacy: {mechanism: gaussian}", ERROR_INVALID,
     "7:22: privacy.mechanism must be none, dp-sgd, distributed-dp or site-level."},
    {7, "privacy: {mechanism: 1}", ERROR_INVALID,
     "7:22: privacy.mechanism must be none, dp-sgd, distributed-dp or site-level."},
    {7, "privacy: {epsilon: 1}", ERROR_INVALID,
     "7:11: privacy.epsilon is not a known key. Known here: mechanism, clip, noise_multiplier, "
     "target_epsilon, delta, sampling_rate, steps, "
     "metrics_noise, metrics_rounds."},
    {7, "privacy: {mechanism: dp-sgd, clip: 0}", ERROR_INVALID,
     "7:36: privacy.clip must be at least 1e-09 and at most 1000000."},
    {7, "privacy: {mechanism: dp-sgd, clip: 9e-10}", ERROR_INVALID,
     "7:36: privacy.clip must be at least 1e-09 and at most 1000000."},
    {7, "privacy: {mechanism: dp-sgd, clip: 1e-320}", ERROR_INVALID,
     "7:36: privacy.clip must be at least 1e-09 and at most 1000000."},
    {7, "privacy: {mechanism: dp-sgd, clip: 1e-9}", ERROR_INVALID,
     "7:10: privacy lacks noise_multiplier, or target_epsilon from which it can be computed."},
};

static const struct job_row job_seed_rows[] = {
    {7, "seed: -1", ERROR_INVALID, "7:7: seed must be a whole number from 0 to 9223372036854775807."},
    {7, "seed: 9223372036854775808", ERROR_INVALID,
     "7:7: seed must be a whole number from 0 to 9223372036854775807."},
    {7, "seed: 0x7", ERROR_INVALID, "7:7: seed must be a whole number from 0 to 9223372036854775807."},
};

static const struct job_row job_form_rows[] = {
    {7, "seed: 7\nseed: 7", ERROR_INVALID, "8:1: seed is given twice; the first is in line 7."},
    {7, "seed: !!int 7", ERROR_INVALID, "7:7: tags (!) are not read here; leave them away."},
    {7, "seed: &a 7", ERROR_INVALID, "7:7: anchors (&) are not read here; write the value out."},
    {7, "seed: *a", ERROR_INVALID, "7:7: aliases (*) are not read here; write the value out."},
    {7, "? [a]\n: 7", ERROR_INVALID, "7:3: the file has a key here that is not a word."},
    {7, "\tseed: 7", ERROR_INVALID, "7:1: a tab cannot indent here; use spaces."},
    {7, "seed: 7\n---\nseed: 8", ERROR_INVALID, "8:1: a second document begins here; a file holds one."},
    {7, "\"se\\u0000ed\": 7", ERROR_INVALID,
     "7:1: this text holds a line end, a control or a direction character; none may be in a value."},
    {7, "\"se\\u202eed\": 7", ERROR_INVALID,
     "7:1: this text holds a line end, a control or a direction character; none may be in a value."},
    {7, "seed: [[[[[[[[7]]]]]]]]", ERROR_INVALID,
     "7:14: the values are nested too deeply; at most 8 levels are read."},
    {7, "seed: 7\n...\n%TAG ! x", ERROR_INVALID,
     "10:1: this is not well-formed YAML: did not find expected <document start>."},
    {7, "seed: {", ERROR_INVALID, "9:6: this is not well-formed YAML: did not find expected ',' or '}'."},
    {7, "<<: {seed: 7}", ERROR_INVALID, "7:1: << is not a known key."},
};

static const struct job_row job_expires_rows[] = {
    {8, "expires: 2027-02-30T00:00:00Z", ERROR_INVALID,
     "8:10: expires must be a time in UTC such as 2027-01-31T00:00:00Z."},
    {8, "expires: 2027-01-31", ERROR_INVALID,
     "8:10: expires must be a time in UTC such as 2027-01-31T00:00:00Z."},
    {8, "expires: 2027-01-31T00:00:00+01:00", ERROR_INVALID,
     "8:10: expires must be a time in UTC such as 2027-01-31T00:00:00Z."},
    {8, "expires: 1900000000", ERROR_INVALID,
     "8:10: expires must be a time in UTC such as 2027-01-31T00:00:00Z."},
    {8, "expires: 2027-01-31t00:00:00z", ERROR_INVALID,
     "8:10: expires must be a time in UTC such as 2027-01-31T00:00:00Z."},
    {8, "expires: 2027-13-01T00:00:00Z", ERROR_INVALID,
     "8:10: expires must be a time in UTC such as 2027-01-31T00:00:00Z."},
    {8, "expires: 1969-12-31T23:59:59Z", ERROR_INVALID,
     "8:10: expires must be a time in UTC such as 2027-01-31T00:00:00Z."},
};

static const struct job_row job_sites_rows[] = {
    {9, "sites: []\nplaces:", ERROR_INVALID, "9:8: sites must be a list of 1 to 1000 elements; it has 0."},
    {9, "sites: {}\nplaces:", ERROR_INVALID, "9:8: sites must be a list."},
    {9, "places:", ERROR_INVALID, "9:1: places is not a known key."},
    {10, "  - {name: North}", ERROR_INVALID,
     "10:5: sites[1] lacks the key fingerprint, which must be a fingerprint: sha256: and 64 lower-case hex "
     "digits."},
    {10, "  - {fingerprint: \"" FP_A "\"}", ERROR_INVALID,
     "10:5: sites[1] lacks the key name, which must be a name of 1 to 64 bytes without blanks at its ends."},
    {10, "  - North", ERROR_INVALID, "10:5: sites[1] must be a mapping of keys to values."},
    {10, "  - {name: South, fingerprint: \"" FP_A "\"}", ERROR_INVALID,
     "11:12: sites[2].name is that of element 1 as well; each must differ."},
    {10, "  - {name: North, fingerprint: \"" FP_B "\"}", ERROR_INVALID,
     "11:32: sites[2].fingerprint is that of element 1 as well; each must differ."},
    {10, "  - {name: North, fingerprint: \"sha256:" A63 "\"}", ERROR_INVALID,
     "10:32: sites[1].fingerprint must be a fingerprint: sha256: and 64 lower-case hex digits."},
    {10, "  - {name: North, fingerprint: \"sha512:" A64 "\"}", ERROR_INVALID,
     "10:32: sites[1].fingerprint must be a fingerprint: sha256: and 64 lower-case hex digits."},
    {10, "  - {name: North, fingerprint: \"sha256:" UPPER64 "\"}", ERROR_INVALID,
     "10:32: sites[1].fingerprint must be a fingerprint: sha256: and 64 lower-case hex digits."},
    {10, "  - {name: \"\", fingerprint: \"" FP_A "\"}", ERROR_INVALID,
     "10:12: sites[1].name must be a name of 1 to 64 bytes without blanks at its ends."},
    {10, "  - {name: \" North\", fingerprint: \"" FP_A "\"}", ERROR_INVALID,
     "10:12: sites[1].name must be a name of 1 to 64 bytes without blanks at its ends."},
    {10, "  - {name: \"No\\u0007rth\", fingerprint: \"" FP_A "\"}", ERROR_INVALID,
     "10:12: this text holds a line end, a control or a direction character; none may be in a value."},
    {10, "  - {name: " X65 ", fingerprint: \"" FP_A "\"}", ERROR_INVALID,
     "10:12: sites[1].name must be a name of 1 to 64 bytes without blanks at its ends."},
    {10, "  - {name: North, fingerprint: \"" FP_A "\", endpoint: \"http://x:1\"}", ERROR_INVALID,
     "10:117: sites[1].endpoint is not an address. It does not begin with tcp://"},
    {10, "  - {name: North, fingerprint: \"" FP_A "\", endpoint: \"tcp://x:0\"}", ERROR_INVALID,
     "10:117: sites[1].endpoint is not an address. The host must be followed by a colon and a port"},
    {10, "  - {name: North, fingerprint: \"" FP_A "\", endpoint: \"tcp://*:1\"}", ERROR_INVALID,
     "10:117: sites[1].endpoint is not an address. The host is missing or malformed"},
    {10, "  - {name: North, fingerprint: \"" FP_A "\", endpoint: \"tcp://x\"}", ERROR_INVALID,
     "10:117: sites[1].endpoint is not an address. The host must be followed by a colon and a port"},
    {10, "  - {name: North, fingerprint: \"" FP_A "\", endpont: \"tcp://x:1\"}", ERROR_INVALID,
     "10:107: sites[1].endpont is not a known key; did you mean endpoint? Known here: name, fingerprint, "
     "endpoint, examples."},
};

static void test_job_wrong_name_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_name_rows);
}

static void test_job_wrong_model_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_model_rows);
}

static void test_job_wrong_training_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_training_rows);
}

static void test_job_wrong_evaluation_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_evaluation_rows);
}

static void test_job_wrong_federation_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_federation_rows);
}

static void test_job_protection_of_another_version_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_protection_rows);
}

static void test_job_wrong_seed_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_seed_rows);
}

static void test_job_file_of_wrong_form_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_form_rows);
}

static void test_job_wrong_expiry_is_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_expires_rows);
}

static void test_job_wrong_sites_are_refused(void **state)
{
    (void)state;
    CHECK_ROWS(job_sites_rows);
}

static void test_job_every_required_key_missing_is_refused(void **state)
{
    (void)state;
    static const struct {
        int line;
        const char *key;
    } rows[] = {{1, "job"}, {2, "dataset"}, {3, "model"}, {6, "federation"}, {8, "expires"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct job *job = NULL;
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "the file lacks the key %s, which", rows[i].key);
        assert_refused(job_parse_with(rows[i].line, "", &job), ERROR_INVALID, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_wrong_name_is_refused),
        cmocka_unit_test(test_job_wrong_model_is_refused),
        cmocka_unit_test(test_job_wrong_training_is_refused),
        cmocka_unit_test(test_job_wrong_evaluation_is_refused),
        cmocka_unit_test(test_job_wrong_federation_is_refused),
        cmocka_unit_test(test_job_protection_of_another_version_is_refused),
        cmocka_unit_test(test_job_wrong_seed_is_refused),
        cmocka_unit_test(test_job_file_of_wrong_form_is_refused),
        cmocka_unit_test(test_job_wrong_expiry_is_refused),
        cmocka_unit_test(test_job_wrong_sites_are_refused),
        cmocka_unit_test(test_job_every_required_key_missing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
