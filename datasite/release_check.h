/* The airlock's checks, one function each with its own refusal sentence. Used by release.c, inside the
 * transaction that store_release_begin opened; every fact is read from site.db there, nothing is remembered.
 *
 * Sentences are fit for the orchestrator: they name shapes, counts of rounds and the rule, never a value.
 * Counts of rows are not named when they are too few. */
#pragma once

#include "audit/receipt.h"
#include "datasite/approval.h"
#include "datasite/release.h"
#include "datasite/store_release.h"

/* What the checks read and learn. Cleared with release_check_clear. */
struct release_check {
    const struct release_context *context;
    enum answer_kind kind;
    struct approval approval;           /* filled by release_check_approval */
    struct run_record run;              /* filled by release_check_run */
    const struct policy_output *output; /* of the dataset; filled by release_check_approval */
};

/* No receipt is known that contradicts the chain (store_contradiction_open). */
MUST_USE struct error *release_check_chain(struct store *store);
/* The approval holds now: state, signature, job bytes, time, dataset (approval_find). */
MUST_USE struct error *release_check_approval(struct release_check *check);
/* The rows that were worked on are those of the approved dataset. */
MUST_USE struct error *release_check_dataset(const struct release_check *check);
/* A dataset that has grown is worked on as one of the versions that answers of this approval came from already, or else
 * with at least min_rows rows more than the longest of them and than at approval: what differs between two answers is
 * then never about a few rows. The trainer asks too, before it reads a row. Of a private job this is not asked: noise covers
 * what differs, and a refusal would tell how many rows were added. */
MUST_USE struct error *release_check_growth(struct store *store, const struct approval *approval,
                                            const struct policy_output *output);
/* The run began here, for this job, has not ended, and is among the approved number of runs. */
MUST_USE struct error *release_check_run(struct release_check *check);
/* The round is within the approval, not behind the run, and nothing of this kind left in it yet. */
MUST_USE struct error *release_check_round(const struct release_check *check);
/* By the events alone, which nobody edits: this round was never answered, and the job not more often than its
 * approved runs have rounds. A round of masked inputs may have STORE_SECAGG_ATTEMPTS answers, all of them stored, and a
 * run one round more. */
MUST_USE struct error *release_check_events(const struct release_check *check);
/* Nothing of a job with secure aggregation leaves in clear, nor of a dataset whose output rules ask for it. */
MUST_USE struct error *release_check_in_clear(const struct job *job, const struct policy_output *output);
/* What an approved job with secure aggregation must be, whatever the policy was at approval: never held, one run, counts
 * only where the output rules withhold no small cells, which a sum cannot do. The requests and the trainer ask too. */
MUST_USE struct error *release_check_secure(const struct approval *approval,
                                            const struct policy_output *output);
/* A round of it: one of those that the owner approved, or, if that is all of the job's, the evaluation after the last. */
MUST_USE struct error *release_check_secure_round(const struct approval *approval, uint32_t round);
/* The job asks for metrics. */
MUST_USE struct error *release_check_metrics(const struct job *job);
/* An update of a job that weights updates by rows is of no use without that number: nothing is disclosed for it where the
 * output rules withhold it. */
MUST_USE struct error *release_check_weighting(const struct policy_output *output, const struct job *job);
/* The owner's output rules let counts of predictions out: asked when nothing else would leave. The trainer asks both too,
 * before it reads a row. */
MUST_USE struct error *release_check_counts(const struct policy_output *output);

MUST_USE struct error *release_check_shape(const struct release_check *check, size_t count);
MUST_USE struct error *release_check_finite(const double *parameters, size_t count);
/* `what`: "training", "test". The trainer asks too, before it spends time. */
MUST_USE struct error *release_check_rows(const struct policy_output *output, uint64_t rows,
                                          const char *what);
/* The counts add up to exactly the test rows. */
MUST_USE struct error *release_check_confusion(const struct release_check *check, const uint64_t *confusion,
                                               uint64_t test_rows);
/* No more right than rows, time finite and not negative, `stopped` one word of a to z. */
MUST_USE struct error *release_check_figures(const struct release_update *update);
/* The Euclidean norm of (update - model that came in) is within max_update_norm. How far the rows pull the model depends
 * on them: ERROR_NUMERIC, which spends the round, and the sentence is for the owner. *ret_norm is infinite when it is
 * not a float64, and set also when it is over the bound. */
MUST_USE struct error *release_check_norm(const struct release_check *check,
                                          const struct release_update *update, double *ret_norm);
/* One answer within max_update_bytes, and all answers of the job together, this one included, within max_job_bytes. */
MUST_USE struct error *release_check_size(const struct release_check *check, size_t body_bytes);
/* The first half of that. */
MUST_USE struct error *release_check_answer_bytes(const struct policy_output *output, size_t body_bytes);
/* The second half of that, for the trainer too, before it spends time. */
MUST_USE struct error *release_check_job_bytes(struct store *store, const struct digest *job_id,
                                               const struct policy_output *output, size_t body_bytes);

/* What was enforced, for the receipt: "min-rows 100; min-cell 10; norm <= 5; metrics examples". Metrics are named when
 * not all may leave. */
void release_check_protections(const struct policy_output *output,
                               char ret_text[static RECEIPT_PROTECTIONS_BYTES]);

/* An answer that was held leaves only if the output rules of now would have let it: no rule is stricter than those that
 * it was made under, and its norm and bytes are within those of now. ERROR_REFUSED or ERROR_LIMIT, for the owner. */
MUST_USE struct error *release_check_held(struct store *store, const struct policy_output *output,
                                          const struct answer *answer);

/* Whether the owner wants to see this answer before it leaves, by the signed approval and the events. */
MUST_USE struct error *release_check_hold(const struct release_check *check, bool *ret_hold);

/* ---- private jobs under secure aggregation (release_share.c) ---- */

/* The declared examples of this site, `own`, are as many as the owner wants behind what is in the vector: the true number is not
 * asked. The trainer asks too. */
MUST_USE struct error *release_check_share(const struct job *job, const struct site_id *own,
                                           const struct secagg_vector *vector,
                                           const struct policy_output *output);
/* What was computed was made as the approved job says, over the vector of this dataset and round: mechanism, sampling rate,
 * grids; what one site adds is within its bound, and counts are of the test rows. ERROR_INTERNAL names what is not. */
MUST_USE struct error *release_check_contribution(const struct release_check *check,
                                                  const struct secagg_vector *vector,
                                                  const struct release_contribution *contribution,
                                                  uint64_t test_rows);

void release_check_clear(struct release_check *check);
