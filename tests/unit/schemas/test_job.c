#include "schemas/job.h"
#include "tests/unit/schemas/refusal.h"

#include <locale.h>

#define A16 "aaaaaaaaaaaaaaaa"
#define A63 A16 A16 A16 "aaaaaaaaaaaaaaa"
#define A64 A63 "a"
#define B16 "bbbbbbbbbbbbbbbb"
#define UPPER16 "AAAAAAAAAAAAAAAA"
#define UPPER64 UPPER16 UPPER16 UPPER16 UPPER16
#define FP_A "sha256:" A64
#define FP_B "sha256:" B16 B16 B16 B16
#define X65 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* A job of one line a key, so that a row of a table can replace one line and know its number. */
static const char *const job_lines[] = {
    "job: first",
    "dataset: mnist",
    "model: {kind: softmax-regression}",
    "training: {optimizer: sgd}",
    "evaluation: {test_fraction: 0.2}",
    "federation: {rounds: 5}",
    "seed: 7",
    "expires: 2027-01-31T00:00:00Z",
    "sites:",
    "  - {name: North, endpoint: \"tcp://127.0.0.1:54879\", fingerprint: \"" FP_A "\"}",
    "  - {name: South, fingerprint: \"" FP_B "\"}",
};
#define JOB_LINES (sizeof(job_lines) / sizeof(job_lines[0]))

struct job_row {
    int line; /* of job_lines, from 1, that `text` replaces */
    const char *text;
    enum error_code code;
    const char *sentence; /* after "job.yaml:" */
};

static struct error *job_parse_with(int line, const char *text, struct job **ret_job)
{
    char file[8192] = "";
    size_t at = 0;
    for (size_t i = 0; i < JOB_LINES; i++)
        at +=
            (size_t)snprintf(file + at, sizeof(file) - at, "%s\n", (int)i + 1 == line ? text : job_lines[i]);
    return job_parse(file, at, "job.yaml", ret_job);
}

static struct job *job_parse_good(int line, const char *text)
{
    struct job *job = NULL;
    assert_done(job_parse_with(line, text, &job));
    return job;
}

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
    {3, "model: {}", ERROR_INVALID, "3:8: model lacks the key kind, which must be softmax-regression."},
    {3, "model: {kind: resnet}", ERROR_INVALID, "3:15: model.kind must be softmax-regression."},
    {3, "model: {kind: 5}", ERROR_INVALID, "3:15: model.kind must be softmax-regression."},
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
     "local_iterations, batch_size, learning_rate, momentum, local_epochs."},
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
    {7, "privacy: {mechanism: gaussian}", ERROR_UNSUPPORTED,
     "7:22: privacy.mechanism must be none: this version does not have mechanisms of differential privacy."},
    {7, "privacy: {mechanism: 1}", ERROR_INVALID,
     "7:22: privacy.mechanism must be text; put it in double quotes if it is meant so."},
    {7, "privacy: {epsilon: 1}", ERROR_INVALID,
     "7:11: privacy.epsilon is not a known key. Known here: mechanism."},
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
     "endpoint."},
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
        cmocka_unit_test(test_job_words_are_those_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
