/* The job file: what a researcher asks sites to compute. Its exact bytes are what is hashed, signed and
 * approved, so everything that changes what is computed or released is in it.
 *
 * Parsing is strict (see schemas/document.h): unknown keys, wrong types, out-of-range values, impossible
 * combinations are ERROR_INVALID and name file, line, column, key and the values that would do; combinations
 * that this version does not have (privacy mechanisms) are ERROR_UNSUPPORTED and say so.
 *
 * Key                              Range                                          Default
 * job                              1 to 64 of A-Z a-z 0-9 - _ .                    required
 * dataset                          the same                                       required
 * model.kind                       softmax-regression                             required
 * model.l2                         0 to 1e6                                       1e-4
 * model.init                       zeros | seeded | sha256:<64 hex>                zeros
 * training.optimizer               lbfgs | sgd                                    lbfgs
 * training.local_iterations        1 to 10000            (lbfgs)                  60
 * training.batch_size              1 to 1000000          (sgd)                    64
 * training.learning_rate           > 0 to 100            (sgd)                    0.1
 * training.momentum                0 to < 1              (sgd)                    0.9
 * training.local_epochs            1 to 1000             (sgd)                    1
 * evaluation.test_fraction         0.01 to 0.9                                    0.2
 * evaluation.metrics               per-site | pooled | none                       per-site, or pooled
 * evaluation.global_test           null | {images, labels} | {csv, label}         null
 * federation.rounds                1 to 10000                                     required
 * federation.strategy              fedavg                                         fedavg
 * federation.weighting             examples | equal                               examples
 * federation.min_sites             1 to number of sites                           number of sites, or threshold
 * federation.round_deadline        1s to 24h ("60s", "5m", "1h")                  60s
 * secure_aggregation.enabled       true | false                                   false
 * secure_aggregation.tolerate_colluding  1 to number of sites - 2                 1
 * secure_aggregation.threshold     floor((sites + tolerate_colluding) / 2) + 1 to sites   the least
 * secure_aggregation.ring          64 | 32                                        64
 * secure_aggregation.clip          > 0 to 1e6                                     32
 * secure_aggregation.max_examples  1 to 2^40                                      1000000
 * secure_aggregation.key_batch     1 to 64; fewer are made where sites are many   8
 *                                  (secagg_batch_most)
 * secure_aggregation.verify_sum    true | false                                   true when it costs a site at most 64 MiB
 *                                                                                 a round
 * privacy.mechanism                none                                           none
 * seed                             0 to 2^63-1                                    0
 * expires                          RFC 3339 in UTC, e.g. 2027-01-31T00:00:00Z     required
 * sites                            1 to 1000 of {name, fingerprint, endpoint?}    required; all differ
 *
 * Keys of one optimiser given with the other are errors, and so are keys of secure_aggregation without `enabled: true`.
 *
 * Up to 128 sites, `threshold` is the number of contributors, of signatures and of shares without which no sum is opened. Above, it is
 * that of contributors and signatures: shares are held by a site's neighbours in the graph alone, and how many of them it takes
 * (crypto/secagg_graph.h) a raised threshold does not raise.
 *
 * With secure aggregation (crypto/secagg.h) metrics are pooled or none, min_sites is at least the threshold, and
 * threshold - tolerate_colluding is at least 2, so that 3 sites are the least; rounds are at most JOB_SECURE_MAX_ROUNDS;
 * sites * max_examples is below 2^(ring - 1). `model.init: sha256:…` is then the SHA-256
 * of the little-endian float64 parameters (a report's model_sha256), because sites check it.
 */
#pragma once

#include "schemas/error.h"

#include <stddef.h>
#include <stdint.h>

#define JOB_NAME_BYTES 65 /* with the final NUL */
#define JOB_SITE_NAME_BYTES 65
#define JOB_ENDPOINT_BYTES 262
#define JOB_FINGERPRINT_BYTES 72
#define JOB_PATH_BYTES 1024
#define JOB_MAX_BYTES (60 * 1024) /* so that a Submit fits into the lobby's 64 KiB */
#define JOB_MAX_SITES 1000
#define JOB_SECURE_MAX_ROUNDS 2000 /* a run has 4096 key slots, and every attempt of a round takes one */

enum job_model { JOB_SOFTMAX_REGRESSION };
enum job_init { JOB_INIT_ZEROS, JOB_INIT_SEEDED, JOB_INIT_FILE };
enum job_optimizer { JOB_LBFGS, JOB_SGD };
enum job_metrics { JOB_METRICS_PER_SITE, JOB_METRICS_NONE, JOB_METRICS_POOLED };
enum job_strategy { JOB_FEDAVG };
enum job_weighting { JOB_WEIGHT_EXAMPLES, JOB_WEIGHT_EQUAL };
enum job_global_test { JOB_GLOBAL_TEST_NONE, JOB_GLOBAL_TEST_IDX, JOB_GLOBAL_TEST_CSV };

struct job_site {
    char name[JOB_SITE_NAME_BYTES];
    char endpoint[JOB_ENDPOINT_BYTES]; /* "" when the site dials in */
    char fingerprint[JOB_FINGERPRINT_BYTES];
};

enum job_verify_sum { JOB_VERIFY_SUM_AUTO, JOB_VERIFY_SUM_YES, JOB_VERIFY_SUM_NO };

#define JOB_VERIFY_SUM_BYTES ((uint64_t)64 << 20)

/* Meaningful when enabled. */
struct job_secure_aggregation {
    bool enabled;
    uint32_t tolerate_colluding; /* n_c */
    uint32_t threshold;          /* t */
    uint32_t ring;               /* 64 or 32 */
    double clip;                 /* C */
    uint64_t max_examples;       /* N_max */
    uint32_t key_batch;
    enum job_verify_sum verify_sum;
};

struct job {
    char name[JOB_NAME_BYTES];
    char dataset[JOB_NAME_BYTES];
    enum job_model model;
    double l2;
    enum job_init init;
    char init_sha256[65]; /* JOB_INIT_FILE: 64 hex digits */
    enum job_optimizer optimizer;
    uint32_t local_iterations;
    uint32_t batch_size;
    double learning_rate;
    double momentum;
    uint32_t local_epochs;
    double test_fraction;
    enum job_metrics metrics;
    enum job_global_test global_test;
    char global_test_images[JOB_PATH_BYTES]; /* IDX images, or the CSV */
    char global_test_labels[JOB_PATH_BYTES]; /* IDX labels, or the CSV's label column */
    uint32_t rounds;
    enum job_strategy strategy;
    enum job_weighting weighting;
    uint32_t min_sites;
    uint32_t round_deadline_s;
    struct job_secure_aggregation secure;
    uint64_t seed;
    int64_t expires; /* Unix seconds */
    struct job_site *sites;
    size_t site_count;
};

/* Parses `bytes` bytes; `where` names them in sentences ("job.yaml", "the job from sha256:12ab…"). The caller
 * frees with job_free. Does not look at the clock. */
MUST_USE struct error *job_parse(const char *text, size_t bytes, const char *where, struct job **ret_job);

void job_free(struct job *job); /* accepts NULL */

/* Whether sites check the sum of vectors of `words` words: as the job says, or as it costs. */
bool job_verifies_sum(const struct job *job, size_t words);

/* The words of the file for a value: "softmax-regression", "lbfgs", "per-site", … */
const char *job_model_word(enum job_model model);
const char *job_init_word(enum job_init init);
const char *job_optimizer_word(enum job_optimizer optimizer);
const char *job_metrics_word(enum job_metrics metrics);
const char *job_strategy_word(enum job_strategy strategy);
const char *job_weighting_word(enum job_weighting weighting);
