/* policy.yaml: what a site's owner lets be approved without asking. No file, or no rule that matches:
 * everything waits for the owner.
 *
 *     default: ask                    # ask | deny
 *     rules:                          # the first rule that matches decides
 *       - name: our-researcher
 *         action: approve             # approve | deny | ask
 *         requesters: ["sha256:…"]    # fingerprints; required for approve; [] matches nobody
 *         datasets: [mnist]           # absent: any
 *         models: [softmax-regression]
 *         max_rounds: 5               # a job with more rounds does not match
 *         max_runs: 1                 # runs the approval allows, 1 to 1000; default 1
 *         max_jobs: 1                 # jobs it approves of one requester in 30 days, 1 to 10000; default 1:
 *                                     # many alike tell more about the rows than each of them
 *         max_local_iterations: 200   # lbfgs iterations, or sgd local epochs
 *         metrics: [per-site, none]   # metrics policies that match; absent: any
 *         require: []                 # protections that the job must have: secure-aggregation, privacy
 *         min_sites: 2                # sites without whom the job completes no round (its own min_sites)
 *         expires: 30d                # the approval ends this long after it is given; default 30d
 *     output:                         # enforced at every release, whatever was approved
 *       min_rows: 100                 # training rows, and test rows for a confusion matrix
 *       max_update_bytes: 268435456
 */
#pragma once

#include "schemas/job.h"

enum policy_action { POLICY_ASK, POLICY_APPROVE, POLICY_DENY };

#define POLICY_REQUIRE_SECURE_AGGREGATION 1u
#define POLICY_REQUIRE_PRIVACY 2u
#define POLICY_MIN_ROWS 100
#define POLICY_JOBS_DAYS 30

struct policy_rule {
    char name[JOB_NAME_BYTES];
    enum policy_action action;
    char (*requesters)[JOB_FINGERPRINT_BYTES]; /* NULL with any_requester */
    size_t requester_count;
    bool any_requester; /* only for deny and ask */
    char (*datasets)[JOB_NAME_BYTES];
    size_t dataset_count; /* 0: any */
    uint32_t models;      /* bit 1 << enum job_model; 0: any */
    uint32_t metrics;     /* bit 1 << enum job_metrics; 0: any */
    uint32_t max_rounds;  /* 0: no bound (only for deny and ask) */
    uint32_t max_runs;
    uint32_t max_jobs; /* per requester within POLICY_JOBS_DAYS; who decides counts, policy_decide does not */
    uint32_t max_local_iterations; /* 0: no bound */
    uint32_t require;
    uint32_t min_sites;
    uint32_t expires_s;
};

struct policy {
    enum policy_action fallback; /* of `default`: ask or deny */
    struct policy_rule *rules;
    size_t rule_count;
    uint64_t min_rows;
    uint64_t max_update_bytes;
};

/* Reads the file; a file that does not exist gives the policy that asks for everything. */
MUST_USE struct error *policy_load(const char *path, struct policy **ret_policy);
MUST_USE struct error *policy_parse(const char *text, size_t bytes, const char *where,
                                    struct policy **ret_policy);
void policy_free(struct policy *policy);

struct policy_decision {
    enum policy_action action;
    const struct policy_rule *rule; /* NULL: the default decided */
    char reason[256];               /* which rule, and why the rules before it did not match */
};

/* Which rule decides about `job` of `requester` ("sha256:…"). Pure. */
void policy_decide(const struct policy *policy, const struct job *job, const char *requester,
                   struct policy_decision *ret_decision);

/* The commented example that `datasite init` writes: asks for everything. *ret_text is malloc'ed. */
MUST_USE struct error *policy_example(char **ret_text);
