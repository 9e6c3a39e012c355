#include "schemas/policy.h"

#include <stdio.h>
#include <stdlib.h>

/* In two, because compilers need not take longer literals. Every key, commented; what is not a comment is the policy of an empty file, so that it may be changed in place. */
static const char policy_text_rules[] =
    "# policy.yaml: what may be approved without asking, what is asked of every release, and who decides.\n"
    "# Read when `datasite serve` starts and on SIGHUP; `datasite policy` says in words what it means, and\n"
    "# `datasite policy test JOB.yaml --requester FINGERPRINT` what it does with one job.\n"
    "\n"
    "# What becomes of a job that no rule matches: ask (it waits for the owner) or deny.\n"
    "default: ask\n"
    "\n"
    "# The first rule that matches decides. A rule that approves needs requesters and max_rounds:\n"
    "#   - name: our-researcher\n"
    "#     action: approve             # approve | deny | ask\n"
    "#     requesters: [\"sha256:...\"]  # fingerprints; `datasite trust list` prints those you know\n"
    "#     datasets: [mnist]           # absent: any\n"
    "#     models: [softmax-regression]\n"
    "#     max_rounds: 5               # a job with more rounds does not match\n"
    "#     max_runs: 1                 # runs that the approval allows, 1 to 1000\n"
    "#     max_jobs: 1                 # jobs it approves of one requester in 30 days, then it asks you:\n"
    "#                                 # many alike tell more about the rows than each of them\n"
    "#     max_requests_per_day: 20    # a requester who submitted more jobs in 24 hours does not match\n"
    "#     max_local_iterations: 200   # iterations of lbfgs, or local epochs of sgd\n"
    "#     parameters:                 # a job with a value outside [low, high] does not match\n"
    "#       l2: [1e-6, 1]\n"
    "#       test_fraction: [0.1, 0.5]\n"
    "#       local_iterations: [1, 100]    # of lbfgs; the next four of sgd\n"
    "#       learning_rate: [0.001, 1]\n"
    "#       momentum: [0, 0.9]\n"
    "#       batch_size: [64, 1000000]\n"
    "#       local_epochs: [1, 5]\n"
    "#     metrics: [per-site, pooled, none]   # metrics of the job; absent: any\n"
    "#     require: []                 # secure-aggregation, privacy: protections that the job must have\n"
    "#     min_sites: 2                # participants without whom no round is completed\n"
    "#     days: [mon, tue, wed, thu, fri]   # local time of this machine, when the job comes in\n"
    "#     hours: \"08:00-18:00\"        # the same; \"22:00-06:00\" goes over midnight\n"
    "#     expires: 30d                # the approval ends this long after it is given\n"
    "#     hold: first                 # answers that wait until you have looked at them, `datasite held`:\n"
    "#                                 # never | first | every | final (stopping early evades final)\n"
    "#     allow_growth: false         # true: min_rows or more rows may be added behind the approved ones\n"
    "rules: []\n"
    "\n";

static const char policy_text_rest[] =
    "# Enforced at every release, whatever was approved.\n"
    "output:\n"
    "  min_rows: 100                   # training rows, and test rows for a confusion matrix\n"
    "  min_cell: 10                    # counts below it leave as null; 0: every count leaves\n"
    "  max_update_norm: null           # Euclidean norm of (update - model that came in); null: no bound\n"
    "  metrics: [examples, train-accuracy, confusion]   # what may leave besides coefficients\n"
    "  max_update_bytes: 268435456     # of one answer\n"
    "  max_job_bytes: null             # of all answers of one job together; null: no bound\n"
    "  require: []                     # secure-aggregation: nothing leaves for a job without it\n"
    "  list: mock                      # who is told that there is a dataset: nobody | mock (trusted peers,\n"
    "                                  # once you have made a mock of it) | peers | members (of a "
    "consortium)\n"
    "\n"
    "# Other rules for single datasets; what a dataset does not say is as in `output`:\n"
    "#   mnist: {min_cell: 0, list: peers}\n"
    "datasets: {}\n"
    "\n"
    "# Of one requester.\n"
    "limits:\n"
    "  max_pending: 16                 # jobs that wait for the owner\n"
    "  max_jobs: 1000                  # jobs that the site keeps\n"
    "  submissions_per_day: 200        # new jobs in 24 hours\n"
    "  requests_per_minute: 2400       # messages of any kind; more are refused unread\n"
    "\n"
    "# Of a job with secure aggregation, whatever was approved: only the sum over several sites can be "
    "read.\n"
    "secure_aggregation:\n"
    "  min_threshold: 3                # the job's `threshold`: a sum is over at least so many sites\n"
    "  min_colluding: 1                # its `tolerate_colluding`: sites that may work with the requester;\n"
    "                                  # never less than the sites that one other organisation has in it\n"
    "  min_organisations: 2            # different ones whose sites are in a sum, yours among them\n"
    "\n"
    "# Your own organisation, as its sites are listed in `partners`; null: yours is this site alone.\n"
    "organisation: null\n"
    "\n"
    "# Sites that you know, and who runs them: a job with secure aggregation has no others. Ask their "
    "owners\n"
    "# for the fingerprints, not the requester: who could add sites of its own would see yours alone.\n"
    "# `datasite trust partner FINGERPRINT --organisation NAME` prints the line; `datasite status` your "
    "own.\n"
    "#   - {fingerprint: \"sha256:...\", organisation: city-hospital}\n"
    "partners: []\n"
    "\n"
    "# true: an approval needs the keys of two owners (`datasite trust owner-key DIR`, `datasite approve\n"
    "# JOB_ID --key DIR`), and no rule approves. Whoever can write this file can switch it off; that the\n"
    "# file changed is recorded (`datasite audit --kind policy-changed`).\n"
    "four_eyes: false\n"
    "owners: []                        # fingerprints of owners' keys, 2 to 16\n";

struct error *policy_example(char **ret_text)
{
    size_t bytes = sizeof(policy_text_rules) - 1 + sizeof(policy_text_rest);
    char *copy = malloc(bytes);
    if (copy == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the policy.");
    (void)snprintf(copy, bytes, "%s%s", policy_text_rules, policy_text_rest);
    *ret_text = copy;
    return NULL;
}
