/* The owner's word on an answer that is held. Order as for any release: whether it may, then event, receipt, answer,
 * commit. */
#include "datasite/budget.h"
#include "datasite/privacy_terms.h"
#include "datasite/release_check.h"
#include "datasite/release_parts.h"

#include <inttypes.h>

#define HELD_LOOKED_AT "looked at by the owner"

/* The held answer, verified against its event. */
static struct error *held_find(const struct release_held *held, struct answer *ret_answer)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    TRY(store_answer(held->store, held->job_id, held->run_id, held->round, 0, held->kind, &answer));
    if (answer.body == NULL || answer.refused)
        FAIL(ERROR_NOT_FOUND,
             "Nothing of round %" PRIu32 " of that run is held: `datasite held` lists what is.", held->round);
    switch (answer.state) {
    case ANSWER_HELD:
        break;
    case ANSWER_RELEASED:
        FAIL(ERROR_CONFLICT, "Round %" PRIu32 " was released already.", held->round);
    case ANSWER_REFUSED:
        FAIL(ERROR_CONFLICT, "Round %" PRIu32 " was refused already, which is final.", held->round);
    }
    *ret_answer = answer;
    answer.body = NULL;
done:
    answer_clear(&answer);
    return err;
}

/* What release_check asks of any release, as far as it is about now: approval and run. */
static struct error *held_admit(const struct release_held *held, struct approval *ret_approval)
{
    struct error *err = NULL;
    struct approval approval = {.job = NULL};
    struct run_record run;
    TRY(release_check_chain(held->store));
    TRY(approval_find(held->store, held->identity, held->gate, held->job_id, NULL, held->now, &approval));
    TRY(store_run_find(held->store, held->run_id, &run));
    if (!digest_equal(&run.job_id, held->job_id))
        FAIL(ERROR_REFUSED, "The run id belongs to another job.");
    if (strcmp(run.status, "running") != 0)
        FAIL(ERROR_REFUSED, "The run has ended (%s), so nothing of it leaves any more.", run.status);
    *ret_approval = approval;
    memset(&approval, 0, sizeof(approval));
done:
    approval_clear(&approval);
    return err;
}

static void held_protections(const struct answer *answer,
                             char ret_protections[static RECEIPT_PROTECTIONS_BYTES])
{
    int room = RECEIPT_PROTECTIONS_BYTES - (int)sizeof("; " HELD_LOOKED_AT);
    (void)snprintf(ret_protections, RECEIPT_PROTECTIONS_BYTES, "%.*s%s" HELD_LOOKED_AT, room,
                   answer->protections, answer->protections[0] == '\0' ? "" : "; ");
}

static struct error *held_write(const struct release_held *held, const struct decision *approval,
                                struct held_decision *decision)
{
    struct error *err = NULL;
    struct release_event event;
    uint8_t *receipt = NULL;
    TRY(store_held_event(held->store, decision, &event));
    if (decision->state == ANSWER_RELEASED) {
        struct release_receipt about = {
            held->identity,          approval, held->job_id,          held->run_id, held->round, held->kind,
            decision->answer->bytes, &event,   decision->protections, held->now};
        TRY(release_receipt_make(&about, &receipt, &decision->receipt_bytes));
        decision->receipt = receipt;
    }
    TRY(store_held_decide(held->store, decision, &event));
    TRY(store_release_commit(held->store));
done:
    free(receipt);
    return err;
}

/* An answer without privacy counts when it leaves; one with privacy was settled when it was made. */
static struct error *held_count_clear(const struct release_held *held, const struct approval *approval)
{
    enum budget_use use = held->kind == ANSWER_EVALUATION ? BUDGET_EVALUATION : BUDGET_TRAINING;
    if (job_private(approval->job))
        return NULL;
    return budget_clear(held->store, held->identity, approval, held->run_id, held->round, use, held->now);
}

static const char *held_detail(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return "the update, by the owner";
    case ANSWER_EVALUATION:
        return "the evaluation, by the owner";
    case ANSWER_MASKED_INPUT: /* is never held: there is nothing to look at under masks */
        break;
    }
    return "";
}

struct error *release_held_out(const struct release_held *held)
{
    struct error *err = NULL;
    struct approval approval = {.job = NULL};
    struct answer answer = {.body = NULL};
    char protections[RECEIPT_PROTECTIONS_BYTES];
    TRY(store_release_begin(held->store));
    TRY(held_admit(held, &approval));
    TRY(held_find(held, &answer));
    const struct policy_output *output = policy_gate_output(held->gate, approval.dataset.name);
    TRY(privacy_terms_admit(held->store, held->gate, &approval));
    TRY(release_check_held(held->store, output, &answer));
    TRY(held_count_clear(held, &approval));
    held_protections(&answer, protections);
    struct held_decision decision = {.answer = &answer,
                                     .state = ANSWER_RELEASED,
                                     .protections = protections,
                                     .reason = "",
                                     .now = held->now,
                                     .detail = held_detail(held->kind)};
    TRY(held_write(held, &approval.decision, &decision));
done:
    if (err != NULL)
        store_release_rollback(held->store);
    answer_clear(&answer);
    approval_clear(&approval);
    return err;
}

struct error *release_held_refuse(const struct release_held *held, const char *reason)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    if (strlen(reason) >= sizeof(answer.reason))
        FAIL(ERROR_LIMIT, "The reason is longer than %zu bytes: say it shorter.", sizeof(answer.reason) - 1);
    TRY(store_release_begin(held->store));
    TRY(held_find(held, &answer));
    struct held_decision decision = {.answer = &answer,
                                     .state = ANSWER_REFUSED,
                                     .protections = answer.protections,
                                     .reason = reason,
                                     .now = held->now,
                                     .detail = held_detail(held->kind)};
    TRY(held_write(held, NULL, &decision));
done:
    if (err != NULL)
        store_release_rollback(held->store);
    answer_clear(&answer);
    return err;
}
