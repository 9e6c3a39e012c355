/* What the site knows when a job comes in, besides the job: the facts that the policy decides by, and what stands in
 * the way of a rule that would approve. For the daemon, and for `datasite policy test`. */
#pragma once

#include "datasite/store.h"
#include "schemas/job.h"
#include "schemas/policy.h"

/* Why a rule does not approve although it matches: the job waits for the owner. */
enum admission_obstacle {
    ADMISSION_NONE,
    ADMISSION_REMOVED,   /* the owner removed this peer from the list */
    ADMISSION_EXHAUSTED, /* the rule has approved as many jobs of this requester as it may */
    ADMISSION_WITHHELD,  /* the owner denied or revoked a job of this requester on the same dataset lately */
    ADMISSION_TERMS /* what the rule would approve could not be kept (approval_terms_check), does not fit (budget.h), or cannot be
                       approved by anybody (approval_prepare): of the job alone, so that its requester is told */
};

struct admission {
    struct policy_facts facts; /* borrows the fingerprint */
    uint32_t approved;         /* jobs of the requester that the rule approved within POLICY_JOBS_DAYS */
    enum admission_obstacle obstacle;
    struct digest withheld_job;          /* ADMISSION_WITHHELD */
    char sentence[ERROR_SENTENCE_BYTES]; /* of the obstacle, for the owner; "" without one */
};

/* The facts about `job` at `now`. A job that is not stored yet is counted with `extra` 1. Its epsilon is computed where a rule
 * of the policy looks at it. */
MUST_USE struct error *admission_facts(struct store *store, const struct policy *policy,
                                       const struct job *job, const struct site_id *requester,
                                       const char *fingerprint, uint32_t extra, int64_t now,
                                       struct policy_facts *ret_facts);

/* What decision.decided_by says of a rule: "policy:<name>"; of the default with NULL. */
#define ADMISSION_BY_BYTES 80
void admission_by(const struct policy_rule *rule, char ret_by[static ADMISSION_BY_BYTES]);

/* Fills approved, obstacle and sentence of `admission` for a rule that approves. Many jobs alike tell more about the
 * rows than each of them, and a denial must not be undone by asking once more with a comma changed. */
MUST_USE struct error *admission_look(struct store *store, const struct policy_rule *rule,
                                      const struct job *job, const struct site_id *requester, int64_t now,
                                      struct admission *admission);

/* The same for what the rule would approve, after admission_look: ADMISSION_TERMS where nothing else stands in its way.
 * `dataset`: the job's, NULL when this site has none. */
void admission_look_terms(struct store *store, const struct policy_gate *gate, const struct policy_rule *rule,
                          const struct job *job, const struct dataset_info *dataset,
                          const struct site_id *own, int64_t now, struct admission *admission);

/* The same where approval_prepare refuses the stored job for what it is. Other failures are those of this site. */
MUST_USE struct error *admission_look_record(struct store *store, const struct policy_rule *rule,
                                             const struct job_record *record, const struct job *job,
                                             int64_t now, struct admission *admission);

/* The same where a run of the job does not fit into the budget of its records now (budget.h). */
MUST_USE struct error *admission_look_budget(struct store *store, const struct identity *identity,
                                             const struct job *job, const struct dataset_info *dataset,
                                             struct admission *admission);
