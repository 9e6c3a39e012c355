/* Whether this site takes part in a job's secure aggregation: the roster, and what the owner's policy asks of it. Asked
 * when a job is approved, at every step, and inside the airlock, with the policy of that moment; nothing in here believes the
 * orchestrator. Pure. */
#pragma once

#include "crypto/secagg.h"
#include "datasite/store.h"
#include "schemas/job.h"
#include "schemas/policy.h"

struct secagg_roster {
    struct site_id *sites;   /* [count], ascending: position 1 is sites[0] */
    uint16_t *organisations; /* [count]: number in the policy */
    size_t count;
    uint32_t own; /* this site's position */
};
void secagg_roster_clear(struct secagg_roster *roster);

/* ERROR_REFUSED, with what would do, unless: the job has secure aggregation; this site is in its list; every other site is a
 * partner in `gate`; threshold and tolerate_colluding are at least those of the policy; tolerate_colluding is at
 * least the number of sites that any one other organisation has in it, at least 2 below threshold, and does not leave
 * room for two sums; a job that weights by rows has at most max_examples of the policy; where that wants it, the sites check the
 * sum, which depends on how long the vector of `dataset` is; the roster has min_organisations. The sentence names the
 * fingerprints that are missing from `partners`, as far as they fit.
 *
 * dataset: the job's at this site. NULL when there is none, and nothing leaves of that: then a job that leaves it to the costs
 * whether sums are checked is taken for one that does. */
MUST_USE struct error *secagg_roster_admit(const struct policy_gate *gate, const struct job *job,
                                           const struct dataset_info *dataset, const struct site_id *own,
                                           struct secagg_roster *ret_roster);
/* Different organisations among the contributors: ERROR_REFUSED below min_organisations. */
MUST_USE struct error *secagg_roster_organisations(const struct policy_gate *gate,
                                                   const struct secagg_roster *roster,
                                                   struct secagg_set contributors);
/* The run's facts for crypto/secagg*.h; borrows the roster. */
void secagg_roster_run(const struct secagg_roster *roster, const struct job *job,
                       const struct digest *job_hash, const uint8_t run_id[static SECAGG_RUN_ID_BYTES],
                       struct secagg_run *ret_run);
/* Smallest number of contributors: max(threshold, min_sites), at least 3. */
size_t secagg_roster_least(const struct job *job);
