#include "datasite/approval.h"

#include "crypto/secret.h"
#include "datasite/budget.h"
#include "datasite/endorsement.h"
#include "datasite/model_shape.h"
#include "datasite/privacy_terms.h"
#include "datasite/statement.h"
#include "datasite/statistics_source.h"

#include <inttypes.h>

/* Of version 1 and of version 2, each with its NUL. */
static const char approval_magics[2][14] = {"FDS-APPROVAL1", "FDS-APPROVAL2"};

_Static_assert(APPROVAL_STATEMENT_BYTES <= STATEMENT_MAX_BYTES, "a statement holds an approval");

static struct error *statement_text(struct statement *statement, const char *text)
{
    struct error *err = NULL;
    struct digest digest;
    TRY(digest_of(text, strlen(text), &digest));
    statement_put(statement, digest.bytes, DIGEST_BYTES);
done:
    return err;
}

/* The statement that the fields of a decision give. */
static struct error *statement_write(const struct identity *identity, const struct site_id *requester,
                                     const struct decision *decision, struct statement *ret_statement)
{
    struct error *err = NULL;
    struct statement statement = {.used = 0};
    if (decision->version != 1 && decision->version != 2)
        FAIL(ERROR_UNSUPPORTED, "The decision about this job has a form that this version does not know.");
    statement_put(&statement, approval_magics[decision->version - 1], sizeof(approval_magics[0]));
    statement_number(&statement, (uint64_t)decision->kind, 4);
    statement_put(&statement, identity_id(identity)->digest.bytes, DIGEST_BYTES);
    statement_put(&statement, decision->job_id.bytes, DIGEST_BYTES);
    statement_put(&statement, requester->digest.bytes, DIGEST_BYTES);
    statement_number(&statement, decision->rounds, 4);
    statement_number(&statement, decision->runs, 4);
    statement_number(&statement, (uint64_t)decision->expires, 8);
    statement_put(&statement, decision->dataset_digest.bytes, DIGEST_BYTES);
    statement_number(&statement, (uint64_t)decision->decided_at, 8);
    TRY(statement_text(&statement, decision->decided_by));
    TRY(statement_text(&statement, decision->reason));
    if (decision->version == 2) {
        statement_number(&statement, (uint64_t)decision->hold, 4);
        statement_number(&statement, decision->allow_growth ? 1 : 0, 4);
        statement_number(&statement, decision->dataset_rows, 8);
    } else if (decision->hold != HOLD_NEVER || decision->allow_growth || decision->dataset_rows != 0) {
        FAIL(ERROR_UNTRUSTED, "The decision about this job says more than its statement can.");
    }
    *ret_statement = statement;
done:
    return err;
}

struct error *approval_make(const struct identity *identity, const struct site_id *requester,
                            struct decision *decision)
{
    struct error *err = NULL;
    struct statement statement;
    uint8_t signature[SIGNATURE_BYTES];
    decision->version = 2;
    TRY(statement_write(identity, requester, decision, &statement));
    TRY(identity_sign(identity, statement.bytes, statement.used, signature));
    memcpy(decision->statement, statement.bytes, statement.used);
    decision->statement_bytes = statement.used;
    memcpy(decision->signature, signature, sizeof(signature));
done:
    return err;
}

struct error *approval_digest(const struct decision *decision, struct digest *ret_digest)
{
    uint8_t both[sizeof(decision->statement) + SIGNATURE_BYTES];
    memcpy(both, decision->statement, decision->statement_bytes);
    memcpy(both + decision->statement_bytes, decision->signature, SIGNATURE_BYTES);
    return digest_of(both, decision->statement_bytes + SIGNATURE_BYTES, ret_digest);
}

struct error *approval_is_named(const struct decision *decision, const struct digest *digest, bool *ret_named)
{
    struct error *err = NULL;
    struct digest signed_one, statement;
    TRY(approval_digest(decision, &signed_one));
    TRY(digest_of(decision->statement, decision->statement_bytes, &statement));
    *ret_named = digest_equal(digest, &signed_one) || digest_equal(digest, &statement);
done:
    return err;
}

/* That the stored statement is the one that the stored fields give. */
static struct error *statement_check(const struct identity *identity, const struct site_id *requester,
                                     const struct decision *decision)
{
    struct error *err = NULL;
    struct statement statement;
    TRY(statement_write(identity, requester, decision, &statement));
    if (decision->statement_bytes != statement.used ||
        !secret_equal(decision->statement, statement.bytes, statement.used))
        FAIL(ERROR_UNTRUSTED,
             "The decision about this job in the site's database is not the one that was signed.");
done:
    return err;
}

/* Of a statement that was checked. */
static struct error *statement_verify(const struct identity *identity, const struct decision *decision)
{
    uint8_t key[PUBLIC_KEY_BYTES];
    identity_public_key(identity, key);
    struct error *err =
        signature_verify(key, decision->statement, decision->statement_bytes, decision->signature);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        return error_new(ERROR_UNTRUSTED, "The signature of the decision about this job does not hold.");
    }
    return err;
}

struct error *approval_verify(const struct identity *identity, const struct site_id *requester,
                              const struct decision *decision)
{
    struct error *err = NULL;
    TRY(statement_check(identity, requester, decision));
    TRY(statement_verify(identity, decision));
done:
    return err;
}

/* The same where no answer leaves: what this store has seen to hold is not computed again. */
static struct error *approval_verify_again(struct store *store, const struct identity *identity,
                                           const struct site_id *requester, const struct decision *decision)
{
    struct error *err = NULL;
    uint8_t all[PUBLIC_KEY_BYTES + SIGNATURE_BYTES + sizeof(decision->statement)];
    struct digest digest;
    TRY(statement_check(identity, requester, decision));
    identity_public_key(identity, all);
    memcpy(all + PUBLIC_KEY_BYTES, decision->signature, SIGNATURE_BYTES);
    memcpy(all + PUBLIC_KEY_BYTES + SIGNATURE_BYTES, decision->statement, decision->statement_bytes);
    TRY(digest_of(all, PUBLIC_KEY_BYTES + SIGNATURE_BYTES + decision->statement_bytes, &digest));
    if (store_signature_known(store, &digest))
        goto done;
    TRY(statement_verify(identity, decision));
    store_signature_note(store, &digest);
done:
    return err;
}

/* ---- deciding ---- */

/* Words that are stored and signed must come back as they went in. */
static struct error *approval_words(struct decision *decision, const char *decided_by, const char *reason)
{
    if (strlen(decided_by) >= sizeof(decision->decided_by))
        return error_new(ERROR_LIMIT, "The name of who decides is longer than %zu bytes.",
                         sizeof(decision->decided_by) - 1);
    if (strlen(reason) >= sizeof(decision->reason))
        return error_new(ERROR_LIMIT, "The reason is longer than %zu bytes: say it shorter.",
                         sizeof(decision->reason) - 1);
    memcpy(decision->decided_by, decided_by, strlen(decided_by) + 1);
    memcpy(decision->reason, reason, strlen(reason) + 1);
    return NULL;
}

static struct error *approval_narrow(const struct job *job, const struct approval_limits *limits, int64_t now,
                                     struct decision *decision)
{
    if (limits->rounds > job->rounds)
        return error_new(ERROR_INVALID,
                         "An approval may narrow a job, not widen it: the job asks for %" PRIu32
                         " rounds, so --rounds is 1 to %" PRIu32 ".",
                         job->rounds, job->rounds);
    if (limits->expires > job->expires)
        return error_new(
            ERROR_INVALID,
            "An approval may narrow a job, not widen it: the approval would end after the job itself.");
    if (job->expires <= now)
        return error_new(ERROR_EXPIRED, "The job's own time is over, so it cannot be approved any more.");
    decision->rounds = limits->rounds == 0 ? job->rounds : limits->rounds;
    decision->runs = limits->runs == 0 ? 1 : limits->runs;
    decision->expires = limits->expires == 0 ? job->expires : limits->expires;
    if (decision->expires <= now)
        return error_new(ERROR_INVALID, "The approval would end before it begins: give a later --expires.");
    return NULL;
}

/* The job of a record whose bytes are still those of its id. */
static struct error *approval_job(struct store *store, const struct job_record *record, struct job **ret_job)
{
    struct error *err = NULL;
    struct digest digest;
    struct job *job = NULL;
    TRY(digest_of(record->bytes, record->byte_count, &digest));
    if (!digest_equal(&digest, &record->id))
        FAIL(ERROR_UNTRUSTED,
             "The bytes of this job in the site's database are not those that were submitted.");
    job = store_job_parsed(store, &digest);
    if (job == NULL) {
        TRY(job_parse((const char *)record->bytes, record->byte_count, "the stored job", &job));
        store_job_note(store, &digest, job);
    }
    *ret_job = job;
done:
    return err;
}

/* The job's model and features fit the dataset; what they are computed with was released. */
static struct error *approval_features(struct store *store, const struct job *job,
                                       const struct dataset_info *dataset)
{
    struct error *err = NULL;
    size_t count = 0;
    TRY(model_shape_count(job, dataset, &count));
    TRY(statistics_source_check(store, job));
done:
    return err;
}

/* A job that asks for a protection, or a way to see its rows, that the steps do not have is not worked on without it. */
static struct error *approval_supported(const struct job *job)
{
    struct error *err = NULL;
    if (job->model == JOB_FEATURE_STATISTICS && job->secure.enabled && !job_private(job))
        FAIL(ERROR_UNSUPPORTED, "model.kind: feature-statistics with secure aggregation needs a mechanism of "
                                "privacy: mechanism: distributed-dp would do.");
    if (job_private(job) && !(job->privacy.noise_multiplier > 0))
        FAIL(ERROR_REFUSED, "The job has no privacy.noise_multiplier, and a site computes none: what is "
                            "approved says how much "
                            "noise there is. `orchestrator run` adds it to a file that has target_epsilon.");
done:
    return err;
}

struct error *approval_prepare(struct store *store, const struct job_record *record,
                               const struct approval_limits *limits, int64_t now,
                               struct decision *ret_decision)
{
    struct error *err = NULL;
    struct job *job = NULL;
    struct dataset_info dataset;
    struct decision decision = {.kind = DECISION_APPROVE, .job_id = record->id, .decided_at = now};
    TRY(approval_job(store, record, &job));
    TRY(approval_narrow(job, limits, now, &decision));
    TRY(store_dataset_find(store, job->dataset, &dataset));
    TRY(approval_supported(job));
    TRY(approval_features(store, job, &dataset));
    TRY(privacy_terms_target(store, job));
    decision.dataset_digest = dataset.digest;
    decision.dataset_rows = dataset.rows;
    decision.hold = limits->hold;
    decision.allow_growth = limits->allow_growth;
    *ret_decision = decision;
done:
    job_free(job);
    return err;
}

/* A job that does not fit into the budget of its records is not approved: its first round would be refused. */
static struct error *approval_budget(struct store *store, const struct identity *identity,
                                     const struct job_record *record, const struct decision *decision)
{
    struct error *err = NULL;
    struct job *job = NULL;
    struct dataset_info dataset;
    struct budget_offer offer;
    TRY(approval_job(store, record, &job));
    TRY(store_dataset_find(store, job->dataset, &dataset));
    struct job approved = job_copy(job);
    approved.rounds = decision->rounds;
    TRY(budget_offer(store, identity, &approved, &dataset, BUDGET_SEARCH_WHOLE, &offer));
    if (!offer.fits)
        FAIL(ERROR_REFUSED, "%s", offer.sentence);
done:
    job_free(job);
    return err;
}

struct error *approval_give(struct store *store, const struct identity *identity,
                            const struct job_record *record, const struct approval_limits *limits,
                            const char *decided_by, const char *reason, int64_t now)
{
    struct error *err = NULL;
    struct decision decision;
    TRY(approval_prepare(store, record, limits, now, &decision));
    TRY(approval_budget(store, identity, record, &decision));
    TRY(approval_words(&decision, decided_by, reason));
    TRY(approval_make(identity, &record->requester, &decision));
    TRY(store_decide(store, &decision));
done:
    return err;
}

struct error *approval_withhold(struct store *store, const struct identity *identity,
                                const struct job_record *record, enum decision_kind kind,
                                const char *decided_by, const char *reason, int64_t now)
{
    struct error *err = NULL;
    struct decision decision = {.kind = kind, .job_id = record->id, .decided_at = now};
    TRY(approval_words(&decision, decided_by, reason));
    TRY(approval_make(identity, &record->requester, &decision));
    TRY(store_decide(store, &decision));
done:
    return err;
}

/* ---- whether it holds ---- */

static struct error *approval_state(enum job_state state)
{
    switch (state) {
    case JOB_STATE_APPROVED:
    case JOB_STATE_RUNNING:
        return NULL;
    case JOB_STATE_PENDING:
        return error_new(ERROR_REFUSED, "The job waits for this site's owner.");
    case JOB_STATE_FINISHED:
        return error_new(ERROR_REFUSED, "The job is finished: all runs that the owner approved are used.");
    case JOB_STATE_DENIED:
        return error_new(ERROR_REFUSED, "This site's owner denied the job; a denial is final.");
    case JOB_STATE_REVOKED:
        return error_new(ERROR_REFUSED, "This site's owner revoked the approval of the job.");
    case JOB_STATE_EXPIRED:
        return error_new(ERROR_EXPIRED, "The job, or its approval, has expired.");
    }
    return error_new(ERROR_INTERNAL, "The job is in an unknown state.");
}

/* The decision behind the state: not withheld, signed by this site, in time. A denial or a revocation counts
 * whatever the state says. */
static struct error *approval_decision(struct store *store, const struct identity *identity,
                                       struct approval *approval, int64_t now)
{
    struct error *err = NULL;
    bool withheld = true;
    TRY(store_withheld(store, &approval->record.id, &withheld));
    if (withheld)
        FAIL(ERROR_REFUSED, "This site's owner denied the job, or revoked its approval.");
    err = store_approval(store, &approval->record.id, &approval->decision);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_free(err);
        FAIL(ERROR_UNTRUSTED, "The site's database calls the job approved, but nobody approved it.");
    }
    if (err != NULL)
        goto done;
    if (store_in_release(store)) /* which always computes */
        TRY(approval_verify(identity, &approval->record.requester, &approval->decision));
    else
        TRY(approval_verify_again(store, identity, &approval->record.requester, &approval->decision));
    if (approval->decision.kind != DECISION_APPROVE)
        FAIL(ERROR_UNTRUSTED, "The decision about this job in the site's database is no approval.");
    if (approval->decision.expires <= now || approval->job->expires <= now)
        FAIL(ERROR_EXPIRED, "The job, or its approval, has expired.");
    if (approval->decision.rounds > approval->job->rounds)
        FAIL(ERROR_UNTRUSTED, "The approval allows more rounds than the job asks for.");
done:
    return err;
}

/* The very rows that were approved: another import under the same name needs another approval, unless the owner allows
 * growth. Whether the approved rows are the first of those that are there now is found out by loading them. */
static struct error *approval_dataset(struct store *store, struct approval *approval)
{
    struct error *err = store_dataset_find(store, approval->job->dataset, &approval->dataset);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_free(err);
        return error_new(ERROR_REFUSED, "The dataset of this job is no longer at this site.");
    }
    const struct decision *decision = &approval->decision;
    if (err != NULL || digest_equal(&approval->dataset.digest, &decision->dataset_digest))
        return err;
    approval->grown = decision->allow_growth && decision->dataset_rows > 0 &&
                      approval->dataset.rows > decision->dataset_rows;
    if (!approval->grown)
        return error_new(
            ERROR_REFUSED,
            "The dataset has changed since the owner approved the job: submit it again under another "
            "name for a new approval.");
    return err;
}

/* Where the policy wants four eyes, the site's own signature is not enough. */
static struct error *approval_owners(struct store *store, const struct identity *identity,
                                     const struct policy_gate *gate, const struct approval *approval)
{
    struct error *err = NULL;
    size_t owners = 0;
    if (gate == NULL || !gate->four_eyes)
        return NULL;
    TRY(endorsement_count(store, gate, identity_id(identity), &approval->record.requester,
                          &approval->decision, &owners));
    if (owners < ENDORSEMENT_NEEDED)
        FAIL(ERROR_REFUSED,
             "This site wants every approval from %d of its owners, and %zu gave it for this job: submit it "
             "again under another name for a new approval.",
             ENDORSEMENT_NEEDED, owners);
done:
    return err;
}

struct error *approval_find(struct store *store, const struct identity *identity,
                            const struct policy_gate *gate, const struct digest *job_id,
                            const struct site_id *requester, int64_t now, struct approval *ret_approval)
{
    struct error *err = NULL;
    struct approval approval = {.job = NULL};
    TRY(store_job_find(store, job_id, &approval.record));
    if (requester != NULL && !site_id_equal(requester, &approval.record.requester)) {
        /* The same sentence as for a job that is not here: nobody learns of others' jobs. */
        char hex[DIGEST_HEX_BYTES];
        digest_hex(job_id, hex);
        FAIL(ERROR_NOT_FOUND, "There is no job %.12s here.", hex);
    }
    TRY(approval_state(approval.record.state));
    TRY(approval_job(store, &approval.record, &approval.job));
    TRY(approval_supported(approval.job));
    TRY(approval_decision(store, identity, &approval, now));
    TRY(approval_owners(store, identity, gate, &approval));
    TRY(approval_dataset(store, &approval));
    TRY(approval_features(store, approval.job, &approval.dataset));
    *ret_approval = approval;
    memset(&approval, 0, sizeof(approval));
done:
    approval_clear(&approval);
    return err;
}

void approval_clear(struct approval *approval)
{
    job_record_clear(&approval->record);
    job_free(approval->job);
    memset(approval, 0, sizeof(*approval));
}
