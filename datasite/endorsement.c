#include "datasite/endorsement.h"

#include "crypto/secret.h"
#include "datasite/statement.h"

static const char endorsement_magic[] = "FDS-ENDORSE1";

static void endorsement_statement(const struct site_id *site, const struct site_id *requester,
                                  const struct endorsement *endorsement, struct statement *ret_statement)
{
    struct statement statement = {.used = 0};
    statement_put(&statement, endorsement_magic, sizeof(endorsement_magic));
    statement_put(&statement, site->digest.bytes, DIGEST_BYTES);
    statement_put(&statement, endorsement->job_id.bytes, DIGEST_BYTES);
    statement_put(&statement, requester->digest.bytes, DIGEST_BYTES);
    statement_number(&statement, endorsement->rounds, 4);
    statement_number(&statement, endorsement->runs, 4);
    statement_number(&statement, (uint64_t)endorsement->expires, 8);
    statement_number(&statement, (uint64_t)endorsement->hold, 4);
    statement_number(&statement, endorsement->allow_growth ? 1 : 0, 4);
    statement_put(&statement, endorsement->dataset_digest.bytes, DIGEST_BYTES);
    statement_number(&statement, endorsement->dataset_rows, 8);
    statement_number(&statement, (uint64_t)endorsement->endorsed_at, 8);
    *ret_statement = statement;
}

struct error *endorsement_make(const struct identity *owner, const struct site_id *site,
                               const struct site_id *requester, struct endorsement *endorsement)
{
    struct statement statement;
    endorsement->owner = *identity_id(owner);
    identity_public_key(owner, endorsement->public_key);
    endorsement_statement(site, requester, endorsement, &statement);
    return identity_sign(owner, statement.bytes, statement.used, endorsement->signature);
}

struct error *endorsement_digest(const struct site_id *site, const struct site_id *requester,
                                 const struct endorsement *endorsement, struct digest *ret_digest)
{
    struct statement statement;
    endorsement_statement(site, requester, endorsement, &statement);
    return digest_of(statement.bytes, statement.used, ret_digest);
}

struct error *endorsement_verify(const struct site_id *site, const struct site_id *requester,
                                 const struct endorsement *endorsement)
{
    struct error *err = NULL;
    struct statement statement;
    struct site_id owner;
    TRY(site_id_of_key(endorsement->public_key, &owner));
    if (!site_id_equal(&owner, &endorsement->owner))
        FAIL(ERROR_UNTRUSTED, "An endorsement of this job has the key of another owner.");
    endorsement_statement(site, requester, endorsement, &statement);
    TRY(signature_verify(endorsement->public_key, statement.bytes, statement.used, endorsement->signature));
done:
    return err;
}

/* The site's own key lies where the daemon runs, so it is nobody's word. */
static bool endorsement_owner_listed(const struct policy_gate *gate, const struct site_id *site,
                                     const struct site_id *owner)
{
    char fingerprint[FINGERPRINT_BYTES];
    site_id_format(owner, fingerprint);
    for (size_t i = 0; i < gate->owner_count; i++) {
        if (strcmp(gate->owners[i], fingerprint) == 0)
            return !site_id_equal(site, owner);
    }
    return false;
}

static bool endorsement_agrees(const struct endorsement *endorsement, const struct decision *decision)
{
    return digest_equal(&endorsement->job_id, &decision->job_id) && endorsement->rounds == decision->rounds &&
           endorsement->runs == decision->runs && endorsement->expires == decision->expires &&
           endorsement->hold == decision->hold && endorsement->allow_growth == decision->allow_growth &&
           digest_equal(&endorsement->dataset_digest, &decision->dataset_digest) &&
           endorsement->dataset_rows == decision->dataset_rows;
}

/* Whether an endorsement is the word of a listed owner; one that does not verify is nobody's. */
static struct error *endorsement_counts(const struct policy_gate *gate, const struct site_id *site,
                                        const struct site_id *requester,
                                        const struct endorsement *endorsement, bool *ret_counts)
{
    *ret_counts = false;
    if (!endorsement_owner_listed(gate, site, &endorsement->owner))
        return NULL;
    struct error *err = endorsement_verify(site, requester, endorsement);
    *ret_counts = err == NULL;
    if (err != NULL && err->code == ERROR_UNTRUSTED)
        error_clear(&err);
    return err;
}

struct error *endorsement_count(struct store *store, const struct policy_gate *gate,
                                const struct site_id *site, const struct site_id *requester,
                                const struct decision *decision, size_t *ret_count)
{
    struct error *err = NULL;
    struct endorsement endorsements[POLICY_MAX_OWNERS];
    struct site_id counted[POLICY_MAX_OWNERS];
    size_t count = 0;
    size_t agreed = 0;
    TRY(store_endorsements(store, &decision->job_id, endorsements, &count));
    for (size_t i = 0; i < count; i++) {
        bool counts = false;
        bool again = false;
        for (size_t k = 0; k < agreed; k++)
            again = again || site_id_equal(&counted[k], &endorsements[i].owner);
        if (again || !endorsement_agrees(&endorsements[i], decision))
            continue;
        TRY(endorsement_counts(gate, site, requester, &endorsements[i], &counts));
        if (counts)
            counted[agreed++] = endorsements[i].owner;
    }
    *ret_count = agreed;
done:
    return err;
}

/* ---- giving one ---- */

static struct decision endorsement_decision(const struct endorsement *endorsement)
{
    return (struct decision){
        .kind = DECISION_APPROVE,
        .job_id = endorsement->job_id,
        .rounds = endorsement->rounds,
        .runs = endorsement->runs,
        .expires = endorsement->expires,
        .hold = endorsement->hold,
        .allow_growth = endorsement->allow_growth,
        .dataset_digest = endorsement->dataset_digest,
        .dataset_rows = endorsement->dataset_rows,
    };
}

struct error *endorsement_first(struct store *store, const struct policy_gate *gate,
                                const struct site_id *site, const struct job_record *record,
                                struct decision *ret_decision, size_t *ret_count)
{
    struct error *err = NULL;
    struct endorsement endorsements[POLICY_MAX_OWNERS];
    size_t count = 0;
    size_t agreed = 0;
    TRY(store_endorsements(store, &record->id, endorsements, &count));
    for (size_t i = 0; i < count && agreed == 0; i++) {
        bool counts = false;
        struct decision decision = endorsement_decision(&endorsements[i]);
        TRY(endorsement_counts(gate, site, &record->requester, &endorsements[i], &counts));
        if (!counts)
            continue;
        TRY(endorsement_count(store, gate, site, &record->requester, &decision, &agreed));
        *ret_decision = decision;
    }
    *ret_count = agreed;
done:
    return err;
}

static bool limits_none(const struct approval_limits *limits)
{
    return limits->rounds == 0 && limits->runs == 0 && limits->expires == 0 && limits->hold == HOLD_NEVER &&
           !limits->allow_growth;
}

/* What the owner endorses: the limits given, or else the first owner's. */
static struct error *endorsement_prepare(struct store *store, const struct policy_gate *gate,
                                         const struct site_id *site, const struct job_record *record,
                                         const struct approval_limits *limits, int64_t now,
                                         struct endorsement *ret_endorsement)
{
    struct error *err = NULL;
    struct decision first;
    struct decision decision;
    struct approval_limits wanted = *limits;
    size_t agreed = 0;
    TRY(endorsement_first(store, gate, site, record, &first, &agreed));
    if (agreed > 0 && limits_none(limits))
        wanted =
            (struct approval_limits){first.rounds, first.runs, first.expires, first.hold, first.allow_growth};
    TRY(approval_prepare(store, record, &wanted, now, &decision));
    struct endorsement endorsement = {.job_id = decision.job_id,
                                      .dataset_digest = decision.dataset_digest,
                                      .rounds = decision.rounds,
                                      .runs = decision.runs,
                                      .expires = decision.expires,
                                      .hold = decision.hold,
                                      .allow_growth = decision.allow_growth,
                                      .dataset_rows = decision.dataset_rows,
                                      .endorsed_at = now};
    if (agreed > 0 && !digest_equal(&first.dataset_digest, &decision.dataset_digest))
        FAIL(ERROR_CONFLICT, "The dataset has changed since the first owner endorsed the job: deny it, and "
                             "have it submitted again under another name.");
    if (agreed > 0 && !endorsement_agrees(&endorsement, &first))
        FAIL(ERROR_CONFLICT, "The first owner endorsed other limits (`datasite show` says which): give none "
                             "to take the same, or deny the job.");
    *ret_endorsement = endorsement;
done:
    return err;
}

/* Once an owner; whose word is there already may still be the one who completes an approval that was cut off
 * between the second word and the decision. */
static struct error *endorsement_store(struct store *store, const struct endorsement *endorsement,
                                       const struct digest *statement, size_t before)
{
    struct error *err = store_endorse(store, endorsement, statement);
    if (err != NULL && err->code == ERROR_CONFLICT && before >= ENDORSEMENT_NEEDED)
        error_clear(&err);
    return err;
}

struct error *endorsement_give(struct store *store, const struct identity *identity,
                               const struct identity *owner, const struct policy_gate *gate,
                               const struct job_record *record, const struct approval_limits *limits,
                               int64_t now, size_t *ret_count)
{
    struct error *err = NULL;
    struct endorsement endorsement;
    struct digest statement;
    const struct site_id *site = identity_id(identity);
    char fingerprint[FINGERPRINT_BYTES];
    size_t count = 0;
    site_id_format(identity_id(owner), fingerprint);
    if (!endorsement_owner_listed(gate, site, identity_id(owner)))
        FAIL(ERROR_REFUSED,
             "The key %s is not one of the owners' in policy.yaml (or is the site's own, which does not "
             "count).",
             fingerprint);
    TRY(endorsement_prepare(store, gate, site, record, limits, now, &endorsement));
    TRY(endorsement_make(owner, site, &record->requester, &endorsement));
    struct decision decision = endorsement_decision(&endorsement);
    TRY(endorsement_count(store, gate, site, &record->requester, &decision, &count));
    TRY(endorsement_digest(site, &record->requester, &endorsement, &statement));
    TRY(endorsement_store(store, &endorsement, &statement, count));
    TRY(endorsement_count(store, gate, site, &record->requester, &decision, &count));
    if (count >= ENDORSEMENT_NEEDED) {
        struct approval_limits agreed = {decision.rounds, decision.runs, decision.expires, decision.hold,
                                         decision.allow_growth};
        TRY(approval_give(store, identity, record, &agreed, "two owners", "", now));
    }
    *ret_count = count;
done:
    return err;
}
