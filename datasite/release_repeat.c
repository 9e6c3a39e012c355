/* What was answered before is handed out again only as it was: the stored receipt decides, not the stored state. */
#include "datasite/release_parts.h"

#include "schemas/wire.h"

struct error *release_held_error(uint32_t round)
{
    return error_new(ERROR_HELD,
                     "A person at this site looks at the numbers of round %u before they leave; ask again.",
                     round);
}

static struct error *repeat_refused(const struct answer *answer)
{
    return error_new(ERROR_REFUSED, "This site's owner looked at the numbers of round %u and keeps them%s%s",
                     answer->round, answer->reason[0] == '\0' ? "." : ": ", answer->reason);
}

/* A refusal of a step that failed has no receipt, and leaves as it was stored. */
static struct error *repeat_failure(const struct answer *answer, struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    Fds__Refusal *refusal = NULL;
    uint8_t *body = NULL;
    TRY(wire_refusal_decode(answer->body, answer->bytes, &refusal));
    if (strcmp(refusal->sentence, RELEASE_FAILED) != 0)
        FAIL(ERROR_UNTRUSTED, "The stored answer of this round is about something else.");
    body = malloc(answer->bytes);
    if (body == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to repeat an answer.");
    memcpy(body, answer->body, answer->bytes);
    *ret_outcome = (struct release_outcome){.body = body, .bytes = answer->bytes};
done:
    wire_refusal_free(refusal);
    return err;
}

static struct error *repeat_check_receipt(const struct identity *identity, const struct decision *approval,
                                          const struct answer *answer)
{
    struct error *err = NULL;
    struct receipt receipt;
    bool named = false;
    if (answer->receipt_bytes == 0)
        FAIL(ERROR_UNTRUSTED,
             "The stored answer of this round has no receipt of this site, so it does not leave.");
    TRY(receipt_decode(answer->receipt, answer->receipt_bytes, &receipt));
    TRY(receipt_verify_release(&receipt, identity_id(identity), &answer->job_id, answer->run_id,
                               answer->round, answer_receipt_kind(answer->kind), answer->body,
                               answer->bytes));
    TRY(approval_is_named(approval, &receipt.approval, &named));
    if (!named)
        FAIL(ERROR_UNTRUSTED, "The receipt is of another approval.");
done:
    return err;
}

struct error *release_repeat(const struct identity *identity, const struct decision *approval,
                             const struct answer *answer, struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    if (answer->refused)
        return repeat_failure(answer, ret_outcome);
    switch (answer->state) {
    case ANSWER_HELD:
        return release_held_error(answer->round);
    case ANSWER_REFUSED:
        return repeat_refused(answer);
    case ANSWER_RELEASED:
        break;
    }
    TRY(repeat_check_receipt(identity, approval, answer));
    TRY(release_wrap(answer->kind, answer->body, answer->bytes, answer->receipt, answer->receipt_bytes,
                     ret_outcome));
done:
    return err;
}
