/* Decisions and endorsements against their events, and events against the rows that they were written with. */
#include "datasite/auditor.h"
#include "datasite/desk.h"
#include "datasite/endorsement.h"

#include <inttypes.h>

struct auditor_decisions {
    const struct auditor *auditor;
    struct auditor_findings *findings;
    uint64_t since; /* from this event on, each has the digest of what was signed; 0: none has */
};

static struct error *auditor_requester(const struct site_id *requester)
{
    static const struct site_id nobody;
    if (site_id_equal(requester, &nobody))
        return error_new(ERROR_UNTRUSTED, "The job that it is about is not in site.db.");
    return NULL;
}

/* `detail` NULL: whatever the event says beside the statement. */
static struct error *auditor_vouched(const struct auditor_decisions *decisions, enum event_kind kind,
                                     const struct digest *job_id, const char *detail,
                                     const struct digest *statement)
{
    struct error *err = NULL;
    struct vouched vouched;
    TRY(store_vouched(decisions->auditor->store, kind, job_id, detail, &vouched));
    if (vouched.sequence == 0)
        FAIL(ERROR_UNTRUSTED, "No event says that it was given: it was put into site.db by another program.");
    if (vouched.has_digest && !digest_equal(&vouched.digest, statement))
        FAIL(ERROR_UNTRUSTED, "It is not the one that event %" PRIu64 " was signed with: site.db was edited.",
             vouched.sequence);
    if (!vouched.has_digest && decisions->since != 0 && vouched.sequence > decisions->since)
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64 " does not say what was signed, although events do so from event %" PRIu64
             " on.",
             vouched.sequence, decisions->since);
done:
    return err;
}

static struct error *auditor_decision(const struct auditor_decisions *decisions,
                                      const struct decision *decision, const struct site_id *requester)
{
    struct error *err = NULL;
    struct digest statement;
    TRY(auditor_requester(requester));
    TRY(approval_verify(decisions->auditor->identity, requester, decision));
    TRY(digest_of(decision->statement, decision->statement_bytes, &statement));
    TRY(auditor_vouched(decisions, decision_event(decision->kind), &decision->job_id, NULL, &statement));
done:
    return err;
}

static struct error *auditor_decision_visit(void *context, const struct decision *decision,
                                            const struct site_id *requester)
{
    struct auditor_decisions *decisions = context;
    char job[DESK_ID_BYTES];
    desk_id(&decision->job_id, job);
    decisions->findings->decisions++;
    return error_prefix(auditor_decision(decisions, decision, requester), "The decision about job %s", job);
}

static struct error *auditor_endorsement(const struct auditor_decisions *decisions,
                                         const struct endorsement *endorsement,
                                         const struct site_id *requester)
{
    struct error *err = NULL;
    const struct site_id *site = identity_id(decisions->auditor->identity);
    struct digest statement;
    char owner[FINGERPRINT_BYTES];
    site_id_format(&endorsement->owner, owner);
    TRY(auditor_requester(requester));
    TRY(endorsement_verify(site, requester, endorsement));
    TRY(endorsement_digest(site, requester, endorsement, &statement));
    TRY(auditor_vouched(decisions, EVENT_JOB_ENDORSED, &endorsement->job_id, owner, &statement));
done:
    return err;
}

static struct error *auditor_endorsement_visit(void *context, const struct endorsement *endorsement,
                                               const struct site_id *requester)
{
    struct auditor_decisions *decisions = context;
    char job[DESK_ID_BYTES];
    desk_id(&endorsement->job_id, job);
    decisions->findings->endorsements++;
    return error_prefix(auditor_endorsement(decisions, endorsement, requester), "The endorsement of job %s",
                        job);
}

/* What was stored with an event of that kind. */
static const char *auditor_gone_what(const char *kind)
{
    if (strcmp(kind, "job-endorsed") == 0)
        return "endorsement";
    if (strcmp(kind, "round-agreed") == 0)
        return "agreement";
    if (strcmp(kind, "shares-revealed") == 0)
        return "message with shares";
    return strncmp(kind, "job-", 4) == 0 ? "decision" : "answer";
}

/* No event lacks its row. */
static struct error *auditor_gone(const struct auditor *auditor)
{
    struct error *err = NULL;
    uint64_t sequence = 0;
    struct digest job_id = {{0}};
    char kind[STORE_EVENT_WORD_BYTES] = "", job[DESK_ID_BYTES];
    TRY(store_vouched_gone(auditor->store, &sequence, kind, &job_id));
    desk_id(&job_id, job);
    if (sequence != 0)
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64
             " (%s, job %s) stands in the chain, but the %s that was stored with it is gone: "
             "rows were removed from site.db.",
             sequence, kind, job, auditor_gone_what(kind));
done:
    return err;
}

struct error *auditor_check_decisions(const struct auditor *auditor, struct auditor_findings *findings)
{
    struct error *err = NULL;
    struct auditor_decisions decisions = {auditor, findings, 0};
    findings->decisions = findings->endorsements = 0;
    TRY(store_vouched_since(auditor->store, &decisions.since));
    TRY(store_decisions(auditor->store, auditor_decision_visit, &decisions));
    TRY(store_endorsements_all(auditor->store, auditor_endorsement_visit, &decisions));
    TRY(auditor_gone(auditor));
done:
    return err;
}
