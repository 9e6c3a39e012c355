/* The owner's word: what is signed when a job is approved, denied or revoked, and whether it still holds.
 *
 * The statement has a fixed width, little-endian, so that there is one way to read it:
 *
 *     "FDS-APPROVAL2" 0x00   14        kind            u32 (enum decision_kind)
 *     site_id                32        job_id          32 (SHA-256 of the job's exact bytes)
 *     requester              32        rounds, runs    u32, u32
 *     expires                i64       dataset_digest  32
 *     decided_at             i64       SHA-256(decided_by), SHA-256(reason)   32, 32
 *     hold                   u32       allow_growth    u32
 *     dataset_rows           u64
 *
 * (version 1, which older sites wrote, begins with "FDS-APPROVAL1", ends with the reason, and means: hold never, no
 * growth)
 *
 * signed (Ed25519) with the site's own key. The daemon reads the rows of site.db anew and holds the statement against
 * them at every Train and Evaluate and once more inside the release, so a row that anybody edited, or a state that
 * nobody decided, lets nothing out. The signature is verified inside every release; elsewhere, also at the steps of secure
 * aggregation, only when this very statement and signature have not been verified yet since the store was opened: whether
 * these bytes, this key and this signature go together cannot change meanwhile, and what was edited are other bytes. */
#pragma once

#include "crypto/identity.h"
#include "datasite/store.h"
#include "schemas/job.h"

#define APPROVAL_STATEMENT_BYTES 250
#define APPROVAL_STATEMENT_BYTES_1 234 /* of version 1 */

/* What the owner, or a rule of the policy, allows; 0 means "as the job asks" (rounds, expires) or one (runs).
 */
struct approval_limits {
    uint32_t rounds;
    uint32_t runs;
    int64_t expires; /* Unix seconds */
    enum hold hold;
    bool allow_growth;
};

/* An approval that holds at this moment, with what it is about. Cleared with approval_clear. */
struct approval {
    struct job_record record;
    struct job *job;
    struct decision decision;
    struct dataset_info dataset; /* as it is now */
    /* The dataset has more rows than at approval, which the approval allows, if its first decision.dataset_rows rows
     * are those of decision.dataset_digest: whoever loads the rows checks that (dataset.h). */
    bool grown;
};

/* Fills statement and signature of `decision`, whose other fields are set. */
MUST_USE struct error *approval_make(const struct identity *identity, const struct site_id *requester,
                                     struct decision *decision);

/* ERROR_UNTRUSTED unless the stored statement is the one that the stored fields give, and `identity` signed
 * it. */
MUST_USE struct error *approval_verify(const struct identity *identity, const struct site_id *requester,
                                       const struct decision *decision);

/* What a receipt names an approval by: SHA-256 of statement and signature together. The statement alone, which older receipts
 * name, has the dataset's digest in it, and everything else of it is known or can be guessed: whoever knows all rows but
 * one could find that one by trying. Nobody but the site can make the signature of what they try. */
MUST_USE struct error *approval_digest(const struct decision *decision, struct digest *ret_digest);
/* Whether a receipt that names `digest` is of this decision, in either way. */
MUST_USE struct error *approval_is_named(const struct decision *decision, const struct digest *digest,
                                         bool *ret_named);

/* What an approval with these limits would say, unsigned: kind, job, limits, dataset, time. Errors as of approval_give.
 */
MUST_USE struct error *approval_prepare(struct store *store, const struct job_record *record,
                                        const struct approval_limits *limits, int64_t now,
                                        struct decision *ret_decision);

/* Signs and stores an approval of a pending job. Limits may narrow what the job asks for, never widen it:
 * ERROR_INVALID. ERROR_EXPIRED when the job's time is over, ERROR_NOT_FOUND without its dataset,
 * ERROR_CONFLICT when it is not pending, ERROR_REFUSED when it does not fit into the privacy budget of its records
 * (budget.h). The requester becomes listed. */
MUST_USE struct error *approval_give(struct store *store, const struct identity *identity,
                                     const struct job_record *record, const struct approval_limits *limits,
                                     const char *decided_by, const char *reason, int64_t now);

/* Signs and stores a denial of a pending job (final) or a revocation of an approved one. */
MUST_USE struct error *approval_withhold(struct store *store, const struct identity *identity,
                                         const struct job_record *record, enum decision_kind kind,
                                         const char *decided_by, const char *reason, int64_t now);

/* The approval under which `job_id` may be worked on at `now`, read and verified from the store. `requester`
 * is who asks; NULL takes whom the store names (whose name the signature covers). Where `gate` (NULL: nobody)
 * wants four eyes, two owners must have endorsed the very same (endorsement.h). ERROR_NOT_FOUND for a job
 * that is not here or not theirs; ERROR_REFUSED, ERROR_EXPIRED, ERROR_UNTRUSTED otherwise. Sentences are fit
 * for the requester. */
MUST_USE struct error *approval_find(struct store *store, const struct identity *identity,
                                     const struct policy_gate *gate, const struct digest *job_id,
                                     const struct site_id *requester, int64_t now,
                                     struct approval *ret_approval);
void approval_clear(struct approval *approval);
