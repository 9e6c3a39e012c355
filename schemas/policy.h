/* policy.yaml: what a site's owner lets be approved without asking, what is asked of every release, and who
 * decides.
 *
 * No file, or no rule that matches: everything waits for the owner.
 *
 *     default: ask                    # ask | deny
 *     rules:                          # the first rule that matches decides
 *       - name: our-researcher
 *         action: approve             # approve | deny | ask
 *         requesters: ["sha256:…"]    # fingerprints; required for approve; [] matches nobody
 *         datasets: [mnist]           # absent: any
 *         models: [softmax-regression]      # absent: any, but exact feature-statistics (without privacy) have to be named
 *         features: [raw]             # kinds of features; absent: any
 *         max_rounds: 5               # a job with more rounds does not match
 *         max_runs: 1                 # runs the approval allows, 1 to 1000; default 1
 *         max_jobs: 1                 # jobs it approves of one requester in 30 days, 1 to 10000; default 1:
 *                                     # many alike tell more about the rows than each of them
 *         max_requests_per_day: 20    # a requester who submitted more jobs in 24 hours does not match
 *         max_local_iterations: 200   # lbfgs iterations, sgd local epochs, or dp-sgd steps, of a round
 *         parameters:                 # a job with a value outside [low, high] does not match; both included
 *           l2: [1e-6, 1]             # also: learning_rate, momentum, batch_size, local_iterations, local_epochs,
 *           test_fraction: [0.1, 0.5] # test_fraction; a key of the other optimiser is not looked at
 *         metrics: [per-site, pooled, none]   # metrics policies that match; absent: any
 *         require: []                 # protections that the job must have: secure-aggregation, privacy
 *         privacy: {}                 # a job without a mechanism of privacy keeps none of these:
 *                                     #   mechanisms: [dp-sgd, distributed-dp, site-level]   absent: any
 *                                     #   max_epsilon: null   of a run of all rounds (PLD), times the runs
 *                                     #   max_delta: null     the same of its delta
 *                                     #   min_noise: null     least noise_multiplier, and metrics_noise
 *         min_sites: 2                # sites without whom the job completes no round (its own min_sites)
 *         days: [mon, tue, wed, thu, fri]   # of the site's local time, when the job comes in; absent: any
 *         hours: "08:00-18:00"        # the same, the end not included; "22:00-06:00" goes over midnight; absent: any
 *         expires: 30d                # the approval ends this long after it is given; default 30d
 *         hold: never                 # never | first | every | final: see enum hold; default never
 *         allow_growth: false         # rows may be added behind the approved ones; default false
 *     output:                         # enforced at every release, whatever was approved
 *       min_rows: 100                 # training rows, and test rows for a confusion matrix
 *       min_cell: 10                  # counts below it leave as null; 0: every count leaves
 *       max_update_norm: null         # Euclidean norm of (update - model that came in); null: no bound
 *       metrics: [examples, train-accuracy, confusion]   # what may leave besides coefficients
 *       max_update_bytes: 268435456
 *       max_job_bytes: null           # all that one job may take out, all runs together; null: no bound
 *       require: []                   # protections without which nothing leaves: secure-aggregation, privacy
 *       privacy: {}                   # as in a rule, of the rounds and runs that were approved
 *       list: mock                    # who is told that there is such a dataset: nobody | mock (peers, once the owner
 *                                     # has made a mock dataset of it) | peers | members (of a consortium)
 *     datasets:                       # other output rules for single datasets; absent keys as in `output`
 *       mnist: {min_cell: 0, list: peers}
 *     limits:                         # of one requester
 *       max_pending: 16               # jobs that wait for the owner
 *       max_jobs: 1000                # jobs that the site keeps
 *       submissions_per_day: 200      # new jobs in 24 hours
 *       requests_per_minute: 2400     # messages of any kind; more are refused unread
 *     secure_aggregation:             # what a job with it has to bring, at every step, whatever was approved
 *       min_threshold: 3              # its `threshold`, 3 to 1000
 *       min_colluding: 1              # its `tolerate_colluding`, 1 to 1000; never less than the sites that one other
 *                                     # organisation of `partners` has in the job
 *       min_organisations: 2          # different ones whose sites contributed to a sum, 1 to 64, this site's among them
 *       differences: allow            # allow | refuse: see enum policy_differences
 *       require_verify_sum: false     # true: only jobs whose sites check the sum; whoever may say what a sum was can say
 *                                     # that nothing changed, and has the same model answered again
 *       max_examples: null            # of a job with weighting: examples, the largest `max_examples`, 1 to 2^40; a
 *                                     # colluder who claims so many outweighs all others, and the model stands still
 *     organisation: null              # this site's own, as `partners` of others call it; null: one of its own
 *     partners: []                    # sites that may be in a roster with this one, at most 512:
 *                                     # {fingerprint: "sha256:…", organisation: NAME}
 *     four_eyes: false                # true: an approval needs the keys of two owners, and no rule approves
 *     owners: []                      # fingerprints of owners' keys (`datasite trust owner-key`), at most 16
 */
#pragma once

#include "schemas/document.h"
#include "schemas/job.h"

enum policy_action { POLICY_ASK, POLICY_APPROVE, POLICY_DENY };

#define POLICY_REQUIRE_SECURE_AGGREGATION 1u
#define POLICY_REQUIRE_PRIVACY 2u
#define POLICY_MIN_ROWS 100
#define POLICY_MIN_CELL 10
#define POLICY_JOBS_DAYS 30
#define POLICY_MAX_BYTES (256 * 1024) /* of the file */
#define POLICY_MAX_DATASETS 64
#define POLICY_MAX_OWNERS 16
#define POLICY_MAX_UPDATE_BYTES 268435456
#define POLICY_MIN_THRESHOLD 3
#define POLICY_MIN_COLLUDING 1
#define POLICY_MIN_ORGANISATIONS 2
#define POLICY_MAX_EXAMPLES (UINT64_C(1) << 40) /* that a policy, or a job, may name */
#define POLICY_MAX_PARTNERS 512
#define POLICY_MAX_ORGANISATIONS 64
#define POLICY_OWN_ORGANISATION 0 /* the number of this site's own */
/* Of `limits`, unless the file says otherwise. */
#define POLICY_MAX_PENDING 16
#define POLICY_MAX_JOBS 1000
#define POLICY_SUBMISSIONS_PER_DAY 200
#define POLICY_REQUESTS_PER_MINUTE 2400
#define POLICY_REASON_BYTES 1024
#define POLICY_WHY_BYTES 128

/* Which answers of a run wait at the site until the owner has looked at them and typed `datasite release`. */
enum hold {
    HOLD_NEVER,
    HOLD_FIRST, /* until one of the same kind was released in the run: skipping a round evades nothing */
    HOLD_EVERY,
    HOLD_FINAL /* of the last approved round alone: a requester who stops a round earlier evades it */
};
const char *hold_word(enum hold hold);
/* False for another word. */
bool hold_parse(const char *word, enum hold *ret_hold);

#define POLICY_METRIC_EXAMPLES 1u       /* the number of training rows */
#define POLICY_METRIC_TRAIN_ACCURACY 2u /* on the training rows */
#define POLICY_METRIC_CONFUSION 4u      /* counts of the test rows, and their accuracy */
#define POLICY_METRICS_ALL 7u

enum policy_list { POLICY_LIST_NOBODY, POLICY_LIST_MOCK, POLICY_LIST_PEERS, POLICY_LIST_MEMBERS };

/* What is asked of the privacy of a job. */
struct policy_privacy {
    uint32_t mechanisms; /* bit 1 << (enum job_mechanism - 1); 0: any */
    double max_epsilon;  /* this and the next two, 0: no bound */
    double max_delta;
    double min_noise;
};

/* What every release of a dataset is checked against. */
struct policy_output {
    uint64_t min_rows;
    uint64_t min_cell;      /* 0: every count leaves */
    double max_update_norm; /* 0: no bound */
    uint32_t metrics;       /* POLICY_METRIC_… */
    uint64_t max_update_bytes;
    uint64_t max_job_bytes; /* 0: no bound */
    uint32_t require;       /* POLICY_REQUIRE_… */
    struct policy_privacy privacy;
    enum policy_list list;
};

/* A site that may be in a roster with this one. */
struct policy_partner {
    char fingerprint[JOB_FINGERPRINT_BYTES];
    uint16_t organisation; /* its number, in the order of the file; or POLICY_OWN_ORGANISATION */
};

/* Whether this site agrees to a sum over nearly the same sites as an earlier one of the job: what the two differ by can be one
 * site's numbers (datasite/store_secagg.h, store_secagg_near). `refuse` has a price: a run does not survive that a few
 * sites drop out, or come back, between two rounds. And it takes all: a site that refuses protects the numbers of the others,
 * and they its own. */
enum policy_differences { POLICY_DIFFERENCES_ALLOW, POLICY_DIFFERENCES_REFUSE };

/* What a job with secure aggregation has to bring. */
struct policy_secure_aggregation {
    uint32_t min_threshold, min_colluding, min_organisations;
    enum policy_differences differences;
    bool require_verify_sum;
    uint64_t max_examples; /* 0: no bound */
};

/* The part of a policy that the airlock needs; copied by value between threads. */
struct policy_gate {
    struct policy_output output; /* of datasets that are not named */
    struct {
        char name[JOB_NAME_BYTES];
        struct policy_output output;
    } datasets[POLICY_MAX_DATASETS];
    size_t dataset_count;
    struct policy_secure_aggregation secure;
    struct policy_partner partners[POLICY_MAX_PARTNERS];
    size_t partner_count;
    bool four_eyes;
    char owners[POLICY_MAX_OWNERS][JOB_FINGERPRINT_BYTES];
    size_t owner_count;
};
const struct policy_output *policy_gate_output(const struct policy_gate *gate, const char *dataset);
/* NULL: no partner. */
const struct policy_partner *policy_gate_partner(const struct policy_gate *gate, const char *fingerprint);
/* What `output: {}` means. */
struct policy_output policy_output_default(void);

struct policy_limits {
    uint32_t max_pending, max_jobs, submissions_per_day, requests_per_minute;
};

struct policy_rule {
    char name[JOB_NAME_BYTES];
    enum policy_action action;
    char (*requesters)[JOB_FINGERPRINT_BYTES]; /* NULL with any_requester */
    size_t requester_count;
    bool any_requester; /* only for deny and ask */
    char (*datasets)[JOB_NAME_BYTES];
    size_t dataset_count; /* 0: any */
    uint32_t models;      /* bit 1 << enum job_model; 0: any but feature-statistics in clear */
    uint32_t features;    /* bit 1 << enum job_features; 0: any */
    uint32_t metrics;     /* bit 1 << enum job_metrics; 0: any */
    uint32_t max_rounds;  /* 0: no bound (only for deny and ask) */
    uint32_t max_runs;
    uint32_t max_jobs; /* per requester within POLICY_JOBS_DAYS; who decides counts, policy_decide does not */
    uint32_t max_local_iterations; /* 0: no bound */
    uint32_t require;
    struct policy_privacy privacy;
    uint32_t min_sites;
    uint32_t expires_s;
    uint32_t max_requests_per_day; /* 0: no bound */
    struct document_range l2, learning_rate, momentum, batch_size, local_iterations, local_epochs,
        test_fraction;
    uint32_t days; /* bit 0 Monday to bit 6 Sunday; 0: any */
    bool has_hours;
    uint16_t from_minute,
        to_minute; /* of the day, 0 to 1440, the end not included; from > to: over midnight */
    enum hold hold;
    bool allow_growth;
};

struct policy {
    /* By number; [POLICY_OWN_ORGANISATION] is "" when the file does not name it. */
    char organisations[POLICY_MAX_ORGANISATIONS][JOB_NAME_BYTES];
    size_t organisation_count;
    enum policy_action fallback; /* of `default`: ask or deny */
    struct policy_rule *rules;
    size_t rule_count;
    struct policy_gate gate;
    struct policy_limits limits;
};

/* Reads the file; a file that does not exist gives the policy that asks for everything. */
MUST_USE struct error *policy_load(const char *path, struct policy **ret_policy);
MUST_USE struct error *policy_parse(const char *text, size_t bytes, const char *where,
                                    struct policy **ret_policy);
void policy_free(struct policy *policy);

struct policy_decision {
    enum policy_action action;
    const struct policy_rule *rule;   /* NULL: the default decided */
    char reason[POLICY_REASON_BYTES]; /* which rule, and why the rules before it did not match */
};

/* What is known when a job comes in. */
struct policy_facts {
    const char *requester;    /* "sha256:…" */
    uint32_t requests_today;  /* jobs of the requester in the last 24 hours, this one included */
    unsigned weekday, minute; /* of the site's local time: 0 Monday to 6 Sunday; of the day, 0 to 1439 */
    double
        epsilon; /* of a run of all of the job's rounds; infinite without privacy; read where policy_wants_epsilon */
};
/* Whether a rule looks at facts.epsilon. */
bool policy_wants_epsilon(const struct policy *policy);

/* Whether a rule is about `job`; if not, *ret_why is the first bound that is not kept, as the rest of a sentence
 * that begins with the rule ("allows at most 5 rounds"). Pure. */
bool policy_rule_matches(const struct policy_rule *rule, const struct job *job,
                         const struct policy_facts *facts, char ret_why[static POLICY_WHY_BYTES]);

/* Whether a bound is set. */
bool policy_privacy_asks(const struct policy_privacy *privacy);
/* Whether `runs` runs of a job keep the bounds, each of which costs `epsilon`; if not, *ret_why as above. Pure. */
bool policy_privacy_admits(const struct policy_privacy *privacy, const struct job *job, double epsilon,
                           uint32_t runs, char ret_why[static POLICY_WHY_BYTES]);

/* Which rule decides about `job`. Pure. */
void policy_decide(const struct policy *policy, const struct job *job, const struct policy_facts *facts,
                   struct policy_decision *ret_decision);

/* The words of the file: "approve"; "mock"; a NULL-terminated list, by place of the bit, of the metrics of `output`,
 * and of the days. */
const char *policy_action_word(enum policy_action action);
const char *policy_list_word(enum policy_list list);
const char *policy_differences_word(enum policy_differences differences);
extern const char *const policy_output_metrics_words[];
extern const char *const policy_day_words[];
extern const char *const policy_require_words[];
extern const char *const policy_mechanism_words[];
extern const char *const policy_features_words[];
extern const char *const policy_model_words[];

/* The commented example that `datasite init` writes: asks for everything. *ret_text is malloc'ed. */
MUST_USE struct error *policy_example(char **ret_text);
