/* Agree, then Unmask: two round trips, without a wait for anybody once enough have answered. Sites that come back are still
 * asked, for as long as a round may take; what was signed has this outcome or none. */
#include "orchestrator/engine_secagg.h"

#include "crypto/secagg_wire.h"
#include "schemas/clock.h"

static size_t threshold_of(const struct engine *engine)
{
    return engine->secagg->run.threshold;
}

struct standing {
    size_t agreed, unmasked;
    size_t pending; /* may still answer the step that they were asked for */
    size_t awaited; /* of them, those that are connected */
};

static struct standing take_stock(const struct engine *engine)
{
    struct standing standing = {0};
    const struct masked_attempt *attempt = engine->secagg->attempt;
    for (size_t i = 0; i < attempt->contributor_count; i++) {
        const struct engine_site *site = engine->secagg->sites[attempt->contributors[i] - 1];
        bool pending = site->turn == TURN_AGREEING || site->turn == TURN_UNMASKING;
        standing.agreed += attempt->agreed[site->position - 1];
        standing.unmasked += attempt->revealed[site->position - 1] != NULL;
        standing.pending += pending;
        standing.awaited += pending && site->up;
    }
    return standing;
}

/* ---- stopping ---- */

/* Which contributors will not answer, or have not in time, and why. */
static void list_missing(const struct engine *engine, bool late, char *text, size_t bytes)
{
    size_t used = 0;
    const struct masked_attempt *attempt = engine->secagg->attempt;
    text[0] = '\0';
    for (size_t i = 0; i < attempt->contributor_count && used < bytes - 1; i++) {
        const struct engine_site *site = engine->secagg->sites[attempt->contributors[i] - 1];
        if (attempt->revealed[site->position - 1] != NULL ||
            (!attempt->fixed && attempt->agreed[site->position - 1]) || (!late && site->turn != TURN_IDLE))
            continue;
        const char *why = site->put_off[0] != '\0'  ? site->put_off
                          : site->reason[0] != '\0' ? site->reason
                          : site->up                ? "It has not answered."
                                                    : "It is not connected.";
        int wrote = snprintf(text + used, bytes - used, " %s: %s", site->job_site->name, why);
        used += wrote < 0 ? 0 : (size_t)wrote;
    }
}

static struct error *stop(struct engine *engine, bool late)
{
    char missing[ERROR_SENTENCE_BYTES], round[RUN_EXCHANGE_NAME_BYTES];
    engine->verdict = RUN_STOPPED;
    list_missing(engine, late, missing, sizeof missing);
    run_record_exchange_words(engine->record, engine->round->round, true, round);
    return error_new(
        ERROR_UNAVAILABLE,
        "%s stopped: fewer than the %zu sites that its sum needs gave their %s. Its sites had been asked to "
        "agree on who contributed, and such a round is never run again with others, so the run ends. Nothing "
        "of any site was revealed.%.600s",
        round, threshold_of(engine), engine->secagg->attempt->fixed ? "shares" : "agreement", missing);
}

/* ---- agreeing ---- */

static struct error *ask_to_agree(struct engine *engine)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    TRY(secagg_agreement_body(&attempt->about, attempt->contributed, attempt->contributor_count,
                              attempt->body));
    for (size_t i = 0; i < attempt->contributor_count; i++) {
        struct engine_site *site = engine->secagg->sites[attempt->contributors[i] - 1];
        site->turn = TURN_AGREEING;
        TRY(engine_ask(engine, site, REQUEST_AGREE));
    }
done:
    return err;
}

static struct error *ask_for_shares(struct engine *engine, struct engine_site *site)
{
    site->turn = TURN_UNMASKING;
    return engine_ask(engine, site, REQUEST_UNMASK);
}

/* The agreements that all sites are shown: as many as they ask for, as each costs each site a verification. Those that
 * come later are not needed. */
static struct error *fix_agreements(struct engine *engine)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    for (size_t i = 0; i < attempt->contributor_count && attempt->fixed_count < threshold_of(engine); i++) {
        size_t place = attempt->contributors[i] - 1;
        if (attempt->agreed[place])
            attempt->fixed_agreements[attempt->fixed_count++] = attempt->agreements[place];
    }
    attempt->fixed = true;
    for (size_t i = 0; i < attempt->contributor_count; i++) {
        size_t place = attempt->contributors[i] - 1;
        if (attempt->agreed[place])
            TRY(ask_for_shares(engine, engine->secagg->sites[place]));
    }
done:
    return err;
}

static struct error *take_agreement(struct engine *engine, const struct engine_site *site,
                                    const Fds__Agreement *message)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    struct secagg_run run = engine->secagg->run;
    struct secagg_agreement agreement = {.position = site->position};
    const struct secagg_member *member = secagg_keyset_member(attempt->batch->keyset, site->position);
    run.threshold = 1;
    TRY(engine_check_answer(engine, message->job_id, message->run_id, message->round));
    if (message->attempt != attempt->number || message->signature.len != SIGNATURE_BYTES)
        FAIL(ERROR_INVALID, "Its agreement is of another attempt.");
    memcpy(agreement.public_key, member->public_key, PUBLIC_KEY_BYTES);
    memcpy(agreement.signature, message->signature.data, SIGNATURE_BYTES);
    TRY(secagg_agreements_verify(&run, attempt->body, &agreement, 1, engine->secagg->memo));
    attempt->agreements[site->position - 1] = agreement;
    attempt->agreed[site->position - 1] = true;
done:
    return err;
}

/* It contributed, so the round stands; the help that it does not give may be missed. */
void engine_unmask_refused(struct engine *engine, struct engine_site *site, const char *reason)
{
    engine_forget(engine, site);
    engine_set_reason(site->put_off, sizeof site->put_off, reason);
    site->turn = TURN_IDLE;
    engine_tell(engine, ENGINE_WARNING, site, site->put_off);
}

struct error *engine_answer_agreement(struct engine *engine, struct engine_site *site,
                                      const struct session_event *event)
{
    struct error *err = NULL;
    Fds__Agreement *message = NULL;
    struct error *wrong = wire_agreement_decode(event->body, event->body_bytes, &message);
    if (wrong == NULL)
        wrong = take_agreement(engine, site, message);
    if (wrong != NULL) {
        engine_unmask_refused(engine, site, wrong->sentence);
        goto done;
    }
    site->turn = TURN_AGREED;
    if (engine->secagg->attempt->fixed)
        TRY(ask_for_shares(engine, site));
done:
    error_free(wrong);
    wire_agreement_free(message);
    return err;
}

/* ---- unmasking ---- */

static struct error *take_unmasking(struct engine *engine, const struct engine_site *site,
                                    const Fds__Unmasking *message)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    struct secagg_set contributors = {attempt->contributors, attempt->contributor_count};
    struct secagg_revealed *revealed = NULL;
    size_t count = 0;
    TRY(engine_check_answer(engine, message->job_id, message->run_id, message->round));
    if (message->attempt != attempt->number)
        FAIL(ERROR_INVALID, "Its shares are of another attempt.");
    TRY(secagg_reveal_plan(&attempt->about, contributors, site->position, &revealed, &count));
    TRY(secagg_wire_read_revealed(message->revealed.data, message->revealed.len, revealed, count));
    attempt->revealed[site->position - 1] = revealed;
    attempt->revealed_counts[site->position - 1] = count;
    revealed = NULL;
done:
    free(revealed);
    return err;
}

void engine_answer_unmasking(struct engine *engine, struct engine_site *site,
                             const struct session_event *event)
{
    Fds__Unmasking *message = NULL;
    struct error *wrong = wire_unmasking_decode(event->body, event->body_bytes, &message);
    if (wrong == NULL)
        wrong = take_unmasking(engine, site, message);
    if (wrong != NULL)
        engine_unmask_refused(engine, site, wrong->sentence);
    else
        site->turn = TURN_UNMASKED;
    error_free(wrong);
    wire_unmasking_free(message);
}

/* Its input counts all the same: what it gave wrong was a share. */
static void name_liar(struct engine *engine, struct engine_site *site, const char *what)
{
    struct site_round *part = engine_site_round(engine, site);
    part->status = SITE_FAILED;
    (void)snprintf(part->reason, sizeof part->reason,
                   "%s when the masks were taken off the sum; the shares of the others corrected it.", what);
    engine_tell(engine, ENGINE_SITE_MISSED, site, part->reason);
}

/* What a share that does not fit proves of a site: nothing, unless it is of its own secret, or it does not fit with more sites than
 * may lie. NULL: nothing. */
static const char *proven(const struct engine *engine, const struct secagg_misfits *misfits,
                          uint32_t position)
{
    size_t dealt = 0;
    size_t held = 0;
    for (size_t i = 0; i < misfits->count; i++) {
        const struct secagg_misfit *pair = &misfits->pairs[i];
        if (pair->dealer == position && pair->holder == position)
            return "It gave a wrong share";
        dealt += pair->dealer == position;
        held += pair->holder == position;
    }
    if (held > engine->secagg->run.colluding)
        return "It gave wrong shares of more sites' secrets than may lie";
    if (dealt > engine->secagg->run.colluding)
        return "It had sealed wrong shares of its secret";
    return NULL;
}

static void warn_of_pair(const struct engine *engine, const struct secagg_misfit *pair)
{
    char sentence[512];
    (void)snprintf(
        sentence, sizeof sentence,
        "The share of %.200s's secret that %.200s gave does not fit: one of the two is wrong. The shares of "
        "the others corrected it.",
        engine->secagg->sites[pair->dealer - 1]->job_site->name,
        engine->secagg->sites[pair->holder - 1]->job_site->name);
    engine_tell(engine, ENGINE_WARNING, NULL, sentence);
}

static void tell_misfits(struct engine *engine, const struct secagg_misfits *misfits)
{
    for (uint32_t position = 1; misfits->count > 0 && position <= engine->secagg->run.sites; position++) {
        const char *what = proven(engine, misfits, position);
        if (what != NULL)
            name_liar(engine, engine->secagg->sites[position - 1], what);
    }
    for (size_t i = 0; i < misfits->count; i++) {
        const struct secagg_misfit *pair = &misfits->pairs[i];
        if (proven(engine, misfits, pair->dealer) == NULL && proven(engine, misfits, pair->holder) == NULL)
            warn_of_pair(engine, pair);
    }
}

/* The secrets, from the shares that are there. */
static struct error *open_secrets(struct engine *engine)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    struct secagg_set contributors = {attempt->contributors, attempt->contributor_count};
    size_t count = 0;
    struct secagg_unmasking *unmaskings = calloc(attempt->contributor_count + 1, sizeof *unmaskings);
    struct secagg_misfits misfits = {.pairs = NULL};
    if (unmaskings == NULL)
        FAIL(ERROR_MEMORY, "No memory for the shares of the sites.");
    for (size_t i = 0; i < attempt->contributor_count; i++) {
        uint32_t position = attempt->contributors[i];
        if (attempt->revealed[position - 1] != NULL)
            unmaskings[count++] = (struct secagg_unmasking){.position = position,
                                                            .revealed = attempt->revealed[position - 1],
                                                            .count = attempt->revealed_counts[position - 1]};
    }
    TRY(secagg_open_secrets(&attempt->about, contributors, unmaskings, count, &attempt->opened, &misfits));
    tell_misfits(engine, &misfits);
done:
    free(misfits.pairs);
    free(unmaskings);
    return err;
}

/* With more shares wrong ones can be corrected, so that those who still may answer are waited for. */
static struct error *try_to_open(struct engine *engine, const struct standing *standing, bool last)
{
    char round[RUN_EXCHANGE_NAME_BYTES];
    struct error *err = open_secrets(engine);
    if (err == NULL || (err->code != ERROR_UNAVAILABLE && err->code != ERROR_UNTRUSTED))
        return err;
    if (!last && standing->pending > 0) {
        error_free(err);
        return NULL;
    }
    engine->verdict = RUN_STOPPED;
    run_record_exchange_words(engine->record, engine->round->round, true, round);
    return error_prefix(
        err,
        "%s stopped, because its sum cannot be unmasked, and a round that was agreed on is never run again",
        round);
}

/* ---- both ---- */

/* Who has not answered by now is not needed any more; what other sites are asked meanwhile is not touched. */
static void settle(struct engine *engine)
{
    const struct masked_attempt *attempt = engine->secagg->attempt;
    for (size_t i = 0; i < attempt->contributor_count; i++) {
        struct engine_site *site = engine->secagg->sites[attempt->contributors[i] - 1];
        engine_forget(engine, site);
        site->put_off[0] = '\0';
        site->turn = TURN_IDLE;
    }
}

/* One look: moves on when it can. *until is when to look again, at most. */
static struct error *look(struct engine *engine, int64_t deadline, int64_t *patience, int64_t *until)
{
    struct masked_attempt *attempt = engine->secagg->attempt;
    struct standing standing = take_stock(engine);
    int64_t now = clock_monotonic_ms();
    size_t have = attempt->fixed ? standing.unmasked : standing.agreed;
    bool enough = have >= threshold_of(engine);
    bool last = now >= deadline || standing.pending == 0;
    *until = deadline;
    if (!enough && (now >= deadline || have + standing.pending < threshold_of(engine)))
        return stop(engine, now >= deadline);
    if (!enough)
        return NULL;
    if (*patience == 0)
        *patience = now + ENGINE_UNMASK_MS;
    if (standing.awaited > 0 && now < *patience) {
        *until = *patience < deadline ? *patience : deadline;
        return NULL;
    }
    if (attempt->fixed)
        return try_to_open(engine, &standing, last);
    *patience = 0;
    return fix_agreements(engine);
}

struct error *engine_unmask(struct engine *engine)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    int64_t deadline = clock_monotonic_ms() + (int64_t)engine->job->round_deadline_s * 1000;
    int64_t patience = 0;
    TRY(ask_to_agree(engine));
    for (;;) {
        int64_t until = deadline;
        TRY(look(engine, deadline, &patience, &until));
        if (attempt->opened != NULL)
            break;
        TRY(engine_step(engine, until));
    }
    settle(engine);
done:
    return err;
}
