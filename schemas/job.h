/* The job file: what a researcher asks sites to compute. Its exact bytes are what is hashed, signed and
 * approved, so everything that changes what is computed or released is in it.
 *
 * Parsing is strict (see schemas/document.h): unknown keys, wrong types, out-of-range values, impossible
 * combinations are ERROR_INVALID and name file, line, column, key and the values that would do; combinations
 * that this version does not have are ERROR_UNSUPPORTED and say so.
 *
 * Key                              Range                                          Default
 * job                              1 to 64 of A-Z a-z 0-9 - _ .                    required
 * dataset                          the same                                       required
 * model.kind                       softmax-regression | feature-statistics        required
 * model.l2                         0 to 1e6                                       1e-4
 * model.init                       zeros | seeded | sha256:<64 hex>                zeros
 * features.kind                    raw | unit-norm | hog | standardize            raw
 * features.mean, .deviation        as many numbers as the dataset has features    (standardize) required
 * features.released_by             sha256:<64 hex>, a job                         (standardize) required with privacy
 * training.optimizer               lbfgs | sgd                                    lbfgs
 * training.local_iterations        1 to 10000            (lbfgs)                  60
 * training.batch_size              1 to 1000000          (sgd)                    64
 * training.learning_rate           > 0 to 100            (sgd)                    0.1
 * training.momentum                0 to < 1              (sgd)                    0.9
 * training.local_epochs            1 to 1000             (sgd)                    1
 * training.average_tail            0 to < 1              (dp-sgd, distributed-dp) 0
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
 * privacy.mechanism                none | dp-sgd | distributed-dp | site-level    none
 * privacy.clip                     1e-9 to 1e6                                    required with a mechanism
 * privacy.noise_multiplier         0.05 to 1e6                                    one of these two; a site wants
 * privacy.target_epsilon           > 0 to 1000                                    the former
 * privacy.delta                    1e-15 to 0.1                                   required with a mechanism
 * privacy.sampling_rate            > 0 to 1              (dp-sgd, distributed-dp) required
 * privacy.steps                    1 to 1000000          (dp-sgd) steps a round   1
 * privacy.metrics_noise            0.05 to 1e6           (metrics other than none) required
 * privacy.metrics_rounds           last | all            (metrics other than none) last
 * seed                             0 to 2^63-1                                    0
 * expires                          RFC 3339 in UTC, e.g. 2027-01-31T00:00:00Z     required
 * sites                            1 to 1000 of {name, fingerprint, endpoint?, examples?}    required; all differ
 * sites[].examples                 1 to 2^40                                      required with a mechanism, else absent
 *
 * Keys of one optimiser given with the other are errors, and so are keys of secure_aggregation without `enabled: true`, and
 * of privacy without a mechanism.
 *
 * With a mechanism of privacy (crypto/privacy_plan.h says what is released and what it costs): `examples` is a constant that
 * the site declares, and the only number of rows that weights, divisors and checks know. dp-sgd and distributed-dp need
 * optimizer: sgd, and neither batch_size nor local_epochs, which sampling_rate and steps say; distributed-dp needs secure
 * aggregation with ring: 64; dp-sgd is in clear; site-level is either. Under secure aggregation the vector is the noisy
 * integer sum, so that its clip and max_examples say nothing and are errors. Metrics are none unless metrics_noise is given.
 *
 * feature-statistics: mean and mean square of every feature, in one round; neither training, features, l2 nor init, no
 * metrics, mechanism none, dp-sgd or distributed-dp with one step.
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
#define JOB_MAX_FEATURES 4096      /* of `features.mean`, which is in the file */
#define JOB_SECURE_MAX_ROUNDS 2000 /* a run has 4096 key slots, and every attempt of a round takes one */

enum job_model { JOB_SOFTMAX_REGRESSION, JOB_FEATURE_STATISTICS };
enum job_features { JOB_FEATURES_RAW, JOB_FEATURES_UNIT_NORM, JOB_FEATURES_HOG, JOB_FEATURES_STANDARDIZE };
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
    uint64_t examples; /* declared; 0 without a mechanism of privacy */
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

enum job_mechanism { JOB_NO_PRIVACY, JOB_DP_SGD, JOB_DISTRIBUTED_DP, JOB_SITE_LEVEL };
enum job_metrics_rounds { JOB_METRICS_LAST, JOB_METRICS_ALL };

/* Meaningful with a mechanism. */
struct job_privacy {
    enum job_mechanism mechanism;
    double clip;             /* norm of what one record, or one site, adds */
    double noise_multiplier; /* 0: not given, target_epsilon is */
    double target_epsilon;   /* 0: not given */
    double delta;
    double sampling_rate; /* 1 with site-level */
    uint32_t steps;       /* a round; 1 unless dp-sgd */
    double metrics_noise; /* 0: no metrics */
    enum job_metrics_rounds metrics_rounds;
};

struct job {
    char name[JOB_NAME_BYTES];
    char dataset[JOB_NAME_BYTES];
    enum job_model model;
    double l2;
    enum job_init init;
    char init_sha256[65]; /* JOB_INIT_FILE: 64 hex digits */
    enum job_features features;
    double *feature_mean, *feature_deviation; /* [feature_count]; NULL unless JOB_FEATURES_STANDARDIZE */
    size_t feature_count, deviation_count;    /* the same */
    char features_released_by[JOB_FINGERPRINT_BYTES]; /* "" unless given */
    enum job_optimizer optimizer;
    uint32_t local_iterations;
    uint32_t batch_size;
    double learning_rate;
    double momentum;
    uint32_t local_epochs;
    double average_tail;
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
    struct job_privacy privacy;
    uint64_t seed;
    int64_t expires; /* Unix seconds */
    struct job_site *sites;
    size_t site_count;
    unsigned sharers; /* who have it by job_share; the last member (job_copy) */
};

/* Parses `bytes` bytes; `where` names them in sentences ("job.yaml", "the job from sha256:12ab…"). The caller
 * frees with job_free. Does not look at the clock. */
MUST_USE struct error *job_parse(const char *text, size_t bytes, const char *where, struct job **ret_job);

/* The same job once more, to be freed as often: one that was parsed is only read, from any thread. */
struct job *job_share(struct job *job);
void job_free(struct job *job); /* accepts NULL */
/* What it says, for a caller that asks about the job with another number in it; arrays are the job's, and the copy is not freed.
 * An assignment would also read how many share it, which other threads change. */
struct job job_copy(const struct job *job);

/* Whether sites check the sum of vectors of `words` words: as the job says, or as it costs. */
bool job_verifies_sum(const struct job *job, size_t words);

/* Whether records, or sites, are protected by noise. */
static inline bool job_private(const struct job *job)
{
    return job->privacy.mechanism != JOB_NO_PRIVACY;
}

/* The words of the file for a value: "softmax-regression", "lbfgs", "per-site", … */
const char *job_model_word(enum job_model model);
const char *job_features_word(enum job_features features);
const char *job_mechanism_word(enum job_mechanism mechanism);
const char *job_metrics_rounds_word(enum job_metrics_rounds rounds);
const char *job_init_word(enum job_init init);
const char *job_optimizer_word(enum job_optimizer optimizer);
const char *job_metrics_word(enum job_metrics metrics);
const char *job_strategy_word(enum job_strategy strategy);
const char *job_weighting_word(enum job_weighting weighting);
