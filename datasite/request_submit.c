#include "datasite/admission.h"
#include "datasite/approval_terms.h"
#include "datasite/budget.h"
#include "datasite/request_parts.h"
#include "datasite/store_refusal.h"
#include "datasite/store_wait.h"
#include "schemas/clock.h"
#include "schemas/wire.h"

#define SUBMISSION_OVER_BUDGET "A run of this job does not fit into the privacy budget of its records."

/* A job on its way into the store. */
struct submission {
    const struct requests *requests;
    const struct request *request;
    struct job *job;
    struct digest id;
    char fingerprint[FINGERPRINT_BYTES]; /* of the requester */
    int64_t now;
};

/* Wrong addressing is found before anybody is asked: the job must name this very site. */
static struct error *submission_check_site(const struct submission *submission)
{
    char own[FINGERPRINT_BYTES];
    site_id_format(identity_id(submission->requests->identity), own);
    for (size_t i = 0; i < submission->job->site_count; i++) {
        if (strcmp(submission->job->sites[i].fingerprint, own) == 0)
            return NULL;
    }
    return error_new(ERROR_REFUSED,
                     "The job names other sites: none of its `sites` has this site's fingerprint, %s.", own);
}

/* Does not say which datasets there are. */
static struct error *submission_check_dataset(const struct submission *submission)
{
    struct dataset_info dataset;
    struct error *err = store_dataset_find(submission->requests->store, submission->job->dataset, &dataset);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_free(err);
        return error_new(ERROR_REFUSED, "This site has no dataset \"%s\": ask its owner for the name.",
                         submission->job->dataset);
    }
    return err;
}

/* For the owner. The requester is refused in any case. */
static void submission_note_refusal(const struct submission *submission, const char *sentence)
{
    const struct requests *requests = submission->requests;
    const struct store_refusal refusal = {.job_id = submission->id,
                                          .requester = submission->request->peer,
                                          .requester_name = submission->request->peer_name,
                                          .sentence = sentence};
    bool added = false;
    struct error *err = store_refusal_add(requests->store, &refusal, submission->now, &added);
    if (err != NULL)
        LOG(requests->log, EVENT_STORE_FAILED, log_job(&submission->id), log_sentence(err->sentence));
    else if (added)
        LOG(requests->log, EVENT_JOB_REFUSED, log_job(&submission->id), log_peer(&refusal.requester));
    error_free(err);
}

/* A job that can never fit into the privacy budget of its records does not wait for anybody; its requester is told what would
 * fit, unless it is a stranger, who is not told what others' jobs have left. One that only runs in progress stand in the way of
 * waits. */
static struct error *submission_check_budget(const struct submission *submission)
{
    struct error *err = NULL;
    const struct requests *requests = submission->requests;
    struct dataset_info dataset;
    struct budget_offer offer;
    TRY(store_dataset_find(requests->store, submission->job->dataset, &dataset));
    TRY(budget_offer(requests->store, requests->identity, submission->job, &dataset, BUDGET_SEARCH_QUICK,
                     &offer));
    if (!offer.may_fit) {
        submission_note_refusal(submission, offer.sentence);
        FAIL(ERROR_REFUSED, "%s",
             offer.private_job && !submission->request->listed ? SUBMISSION_OVER_BUDGET : offer.sentence);
    }
done:
    return err;
}

static struct error *submission_check_time(const struct submission *submission)
{
    char when[CLOCK_TEXT_BYTES];
    if (submission->job->expires > submission->now)
        return NULL;
    clock_format(submission->job->expires, when);
    return error_new(ERROR_EXPIRED, "The job expired at %s: give a later `expires`.", when);
}

static struct error *submission_store(const struct submission *submission, const Fds__Submit *message,
                                      bool *ret_is_new)
{
    struct job_record record = {
        .id = submission->id,
        .bytes = message->job.data,
        .byte_count = message->job.len,
        .requester = submission->request->peer,
        .received_at = submission->now,
        .expires = submission->job->expires,
        .state = JOB_STATE_PENDING,
    };
    (void)snprintf(record.requester_name, sizeof(record.requester_name), "%s",
                   submission->request->peer_name);
    struct job_quota quota = {.limits = &submission->requests->policy->limits,
                              .lobby = !submission->request->listed};
    return store_job_add(submission->requests->store, &record, &quota, ret_is_new);
}

static struct error *submission_approve(const struct submission *submission, const struct job_record *record,
                                        const struct policy_rule *rule, const char *decided_by)
{
    struct approval_limits limits = approval_terms_of_rule(rule, submission->job, submission->now);
    return approval_give(submission->requests->store, submission->requests->identity, record, &limits,
                         decided_by, "", submission->now);
}

/* The job that a rule would have approved waits for the owner: why, for the log. */
static void submission_log_obstacle(const struct submission *submission, const struct admission *admission,
                                    const char *decided_by)
{
    const struct log *log = submission->requests->log;
    const struct site_id *peer = &submission->request->peer;
    switch (admission->obstacle) {
    case ADMISSION_NONE:
        break;
    case ADMISSION_EXHAUSTED:
        LOG(log, EVENT_POLICY_EXHAUSTED, log_job(&submission->id), log_peer(peer), log_by(decided_by),
            log_count("approved", admission->approved));
        break;
    case ADMISSION_REMOVED:
    case ADMISSION_WITHHELD:
    case ADMISSION_TERMS:
        LOG(log, EVENT_POLICY_OVERRULED, log_job(&submission->id), log_peer(peer), log_by(decided_by),
            log_sentence(admission->sentence));
        break;
    }
}

/* What the job itself lacks is told to whom the owner has listed, as it may be what is left of a budget; what the owner decided
 * about its requester is not told. */
static struct error *submission_wait(const struct submission *submission, const struct admission *admission,
                                     const char *decided_by)
{
    submission_log_obstacle(submission, admission, decided_by);
    return store_wait_add(submission->requests->store, &submission->id,
                          admission->obstacle == ADMISSION_TERMS && submission->request->listed,
                          admission->sentence);
}

/* A rule matches; what the owner did about this requester before may stand in its way. */
static struct error *submission_ask_rule(const struct submission *submission, const struct job_record *record,
                                         const struct policy_rule *rule, const char *decided_by)
{
    struct error *err = NULL;
    struct admission admission = {.obstacle = ADMISSION_NONE};
    struct dataset_info dataset;
    TRY(store_dataset_find(submission->requests->store, submission->job->dataset, &dataset));
    TRY(admission_look(submission->requests->store, rule, submission->job, &submission->request->peer,
                       submission->now, &admission));
    admission_look_terms(submission->requests->store, &submission->requests->policy->gate, rule,
                         submission->job, &dataset, identity_id(submission->requests->identity),
                         submission->now, &admission);
    TRY(admission_look_budget(submission->requests->store, submission->requests->identity, submission->job,
                              &dataset, &admission));
    TRY(admission_look_record(submission->requests->store, rule, record, submission->job, submission->now,
                              &admission));
    if (admission.obstacle == ADMISSION_NONE)
        TRY(submission_approve(submission, record, rule, decided_by));
    else
        TRY(submission_wait(submission, &admission, decided_by));
done:
    return err;
}

/* A rule of the policy approves or denies in the owner's place; otherwise the job waits. */
static struct error *submission_decide(const struct submission *submission)
{
    struct error *err = NULL;
    const struct requests *requests = submission->requests;
    struct policy_facts facts;
    struct policy_decision decision;
    struct job_record record = {0};
    char decided_by[ADMISSION_BY_BYTES];
    TRY(admission_facts(requests->store, requests->policy, submission->job, &submission->request->peer,
                        submission->fingerprint, 0, submission->now, &facts));
    policy_decide(requests->policy, submission->job, &facts, &decision);
    admission_by(decision.rule, decided_by);
    TRY(store_job_find(requests->store, &submission->id, &record));
    switch (decision.action) {
    case POLICY_ASK:
        break;
    case POLICY_APPROVE:
        TRY(submission_ask_rule(submission, &record, decision.rule, decided_by));
        break;
    case POLICY_DENY:
        TRY(approval_withhold(requests->store, requests->identity, &record, DECISION_DENY, decided_by, "",
                              submission->now));
        break;
    }
done:
    job_record_clear(&record);
    return err;
}

/* The policy is asked once, when a job is new. What it could not do is left to the owner. */
static void submission_ask_policy(const struct submission *submission)
{
    struct error *err = submission_decide(submission);
    if (err != NULL)
        LOG(submission->requests->log, EVENT_STORE_FAILED, log_job(&submission->id),
            log_sentence(err->sentence));
    error_free(err);
}

/* The same bytes again: whatever was decided stays decided. Of others' jobs nothing is told. */
static struct error *submission_known(const struct submission *submission, bool *ret_known)
{
    struct job_record record = {0};
    struct error *err = store_job_find(submission->requests->store, &submission->id, &record);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        *ret_known = false;
        return NULL;
    }
    if (err == NULL && !site_id_equal(&record.requester, &submission->request->peer))
        err =
            error_new(ERROR_REFUSED, "This site does not take the job in these bytes: give it another name.");
    if (err == NULL)
        *ret_known = true;
    job_record_clear(&record);
    return err;
}

static struct error *submission_take(struct submission *submission, const Fds__Submit *message)
{
    struct error *err = NULL;
    bool is_new = false;
    TRY(job_parse((const char *)message->job.data, message->job.len, "the job", &submission->job));
    TRY(submission_check_site(submission));
    TRY(submission_check_time(submission));
    TRY(submission_check_dataset(submission));
    TRY(request_accounted(submission->requests, submission->request, submission->job,
                          submission->job->rounds));
    TRY(submission_check_budget(submission));
    TRY(submission_store(submission, message, &is_new));
    if (is_new) {
        LOG(submission->requests->log, EVENT_JOB_RECEIVED, log_job(&submission->id),
            log_peer(&submission->request->peer), log_name(submission->job->name));
        submission_ask_policy(submission);
    }
done:
    return err;
}

struct error *request_submit(const struct requests *requests, const struct request *request,
                             struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Submit *message = NULL;
    struct submission submission = {
        .requests = requests, .request = request, .now = requests->clock() / 1000};
    bool known = false;
    uint64_t arrived = 0;
    TRY(wire_submit_decode(request->body, request->body_bytes, &message));
    TRY(request_witness(requests, request, message->witness, &arrived));
    TRY(request_uncontradicted(requests));
    TRY(digest_of(message->job.data, message->job.len, &submission.id));
    site_id_format(&request->peer, submission.fingerprint);
    TRY(submission_known(&submission, &known));
    if (!known)
        TRY(submission_take(&submission, message));
    TRY(request_status(requests, request, &submission.id, ret_reply));
done:
    job_free(submission.job);
    wire_submit_free(message);
    return err;
}
