#include "datasite/request_secagg.h"

#include "datasite/approval.h"
#include "datasite/budget.h"
#include "datasite/log_repeats.h"
#include "datasite/privacy_terms.h"
#include "datasite/release_check.h"
#include "datasite/store_release.h"
#include "schemas/clock.h"

/* The run is this job's, and has not ended. */
static struct error *secagg_run_check(const struct secagg_request *open)
{
    struct error *err = NULL;
    struct run_record run;
    err = store_run_find(open->requests->store, open->run_id, &run);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_free(err);
        FAIL(ERROR_REFUSED,
             "This run never began at this site: a run with secure aggregation begins with Advertise.");
    }
    if (err != NULL)
        goto done;
    if (!digest_equal(&run.job_id, &open->job_id))
        FAIL(ERROR_REFUSED, "The run id belongs to another job.");
    if (strcmp(run.status, "running") != 0)
        FAIL(ERROR_REFUSED, "The run has ended at this site: %s.", run.status);
done:
    return err;
}

/* Everything that may have changed since the message before, in the transaction that what is answered is written in. */
static struct error *secagg_admit(struct secagg_request *open, bool begins)
{
    struct error *err = NULL;
    const struct requests *requests = open->requests;
    const struct policy_gate *gate = &requests->policy->gate;
    struct run_record run;
    TRY(request_uncontradicted(requests));
    TRY(approval_find(requests->store, requests->identity, gate, &open->job_id, &open->request->peer,
                      open->now, &open->approval));
    const struct policy_output *output = policy_gate_output(gate, open->approval.dataset.name);
    TRY(privacy_terms_admit(requests->store, gate, &open->approval));
    TRY(release_check_secure(&open->approval, output));
    TRY(secagg_roster_admit(gate, open->approval.job, &open->approval.dataset,
                            identity_id(requests->identity), &open->roster));
    secagg_roster_run(&open->roster, open->approval.job, &open->job_id, open->run_id, &open->run);
    if (begins)
        TRY(budget_run_begin(requests->store, requests->identity, &open->approval, open->run_id, open->now,
                             &run));
    else
        TRY(secagg_run_check(open));
done:
    return err;
}

/* Before a run begins, which is in a transaction. Of one that goes on, the figures are known, but for one round after this site
 * was started again under a policy with max_epsilon. */
static struct error *secagg_account(const struct secagg_request *open)
{
    struct error *err = NULL;
    const struct requests *requests = open->requests;
    struct approval approval = {.job = NULL};
    struct run_record run;
    err = store_run_find(requests->store, open->run_id, &run);
    if (err == NULL || err->code != ERROR_NOT_FOUND)
        goto done;
    error_clear(&err);
    TRY(approval_find(requests->store, requests->identity, &requests->policy->gate, &open->job_id,
                      &open->request->peer, open->now, &approval));
    TRY(request_accounted(requests, open->request, approval.job, approval.decision.rounds));
done:
    approval_clear(&approval);
    return err;
}

struct error *request_secagg_open(const struct requests *requests, const struct request *request,
                                  const ProtobufCBinaryData *job_id, const ProtobufCBinaryData *run_id,
                                  const Fds__Witness *witness, bool begins, struct secagg_request *ret_open)
{
    struct error *err = NULL;
    struct secagg_request open = {.requests = requests, .request = request, .now = requests->clock() / 1000};
    memcpy(open.job_id.bytes, job_id->data, DIGEST_BYTES);
    memcpy(open.run_id, run_id->data, STORE_RUN_ID_BYTES);
    TRY(request_witness(requests, request, witness, &open.arrived));
    if (begins)
        TRY(secagg_account(&open));
    TRY(store_secagg_begin(requests->store));
    TRY(secagg_admit(&open, begins));
    *ret_open = open;
    memset(&open, 0, sizeof(open));
done:
    request_secagg_close(&open);
    return err;
}

void request_secagg_pause(struct secagg_request *open)
{
    store_secagg_rollback(open->requests->store);
}

struct error *request_secagg_resume(struct secagg_request *open)
{
    struct error *err = NULL;
    struct secagg_request now = {
        .requests = open->requests, .request = open->request, .job_id = open->job_id};
    memcpy(now.run_id, open->run_id, STORE_RUN_ID_BYTES);
    now.now = open->requests->clock() / 1000;
    TRY(store_secagg_begin(open->requests->store));
    TRY(secagg_admit(&now, false));
    open->now = now.now;
done:
    secagg_roster_clear(&now.roster);
    approval_clear(&now.approval);
    return err;
}

void request_secagg_close(struct secagg_request *open)
{
    if (open->requests == NULL)
        return;
    store_secagg_rollback(open->requests->store);
    secagg_roster_clear(&open->roster);
    approval_clear(&open->approval);
    memset(open, 0, sizeof(*open));
}

struct error *request_secagg_event(const struct secagg_request *open, enum event_kind kind, uint32_t round,
                                   const char *detail, const void *bytes, size_t count)
{
    struct error *err = NULL;
    struct digest digest;
    TRY(digest_of(bytes, count, &digest));
    TRY(store_event_add(open->requests->store, kind, &open->job_id, open->run_id, round, open->now, detail,
                        &digest));
done:
    return err;
}

static void secagg_log(const struct secagg_request *open, enum event_kind kind, uint32_t round, bool again)
{
    const struct requests *requests = open->requests;
    if (!again)
        LOG(requests->log, kind, log_job(&open->job_id), log_run(open->run_id), log_round(round));
    else if (log_repeats_first(requests->repeats, EVENT_ANSWER_REPEATED, &open->request->peer,
                               clock_monotonic_ms()))
        LOG(requests->log, EVENT_ANSWER_REPEATED, log_job(&open->job_id), log_run(open->run_id),
            log_round(round));
}

struct error *request_secagg_reply(struct secagg_request *open, enum event_kind kind, uint32_t round,
                                   bool again, uint32_t type, uint8_t **body, size_t body_bytes,
                                   struct reply *ret_reply)
{
    struct error *err = NULL;
    struct store *store = open->requests->store;
    if (open->arrived > 0)
        TRY(store_answers_made(store, &open->approval.record.requester, open->arrived));
    TRY(store_secagg_commit(store));
    secagg_log(open, kind, round, again);
    *ret_reply = (struct reply){.type = type, .body = *body, .body_bytes = body_bytes};
    *body = NULL;
done:
    return err;
}

struct error *request_secagg_copy(const uint8_t *bytes, size_t count, uint8_t **ret_bytes)
{
    uint8_t *copy = malloc(count + 1);
    if (copy == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to repeat an answer.");
    memcpy(copy, bytes, count);
    *ret_bytes = copy;
    return NULL;
}
