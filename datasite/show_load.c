/* What one screen needs of the store and the policy. */
#include "datasite/show_parts.h"

#include "datasite/approval_terms.h"
#include "datasite/endorsement.h"
#include "datasite/model_shape.h"
#include "datasite/store_wait.h"
#include "schemas/clock.h"

static struct error *load_dataset(struct screen *screen)
{
    struct error *err = store_dataset_find(screen->desk->store, screen->desk->job->dataset, &screen->dataset);
    screen->has_dataset = err == NULL;
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    return err;
}

static struct error *load_decision(struct screen *screen)
{
    struct error *err = store_last_decision(screen->desk->store, &screen->desk->record.id, &screen->decision);
    screen->has_decision = err == NULL;
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    return err;
}

/* What was approved, or, while owners have yet to agree, what the first of them has signed. */
static struct error *load_terms(struct screen *screen)
{
    struct error *err = NULL;
    const struct desk *desk = screen->desk;
    const struct policy_gate *gate = &screen->policy->gate;
    struct site_id site = *identity_id(desk->identity);
    if (desk->record.state == JOB_STATE_PENDING) {
        if (gate->four_eyes)
            TRY(endorsement_first(desk->store, gate, &site, &desk->record, &screen->terms, &screen->owners));
        screen->has_terms = screen->owners > 0;
        goto done;
    }
    err = store_approval(desk->store, &desk->record.id, &screen->terms);
    screen->has_terms = err == NULL;
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    if (err != NULL || !screen->has_terms || !gate->four_eyes)
        goto done;
    TRY(endorsement_count(desk->store, gate, &site, &desk->record.requester, &screen->terms,
                          &screen->owners));
done:
    return err;
}

/* A held round is spent, but nobody has its answer. */
static struct error *load_held(struct screen *screen)
{
    struct error *err = NULL;
    struct answer *answers = NULL;
    size_t count = 0;
    TRY(store_held(screen->desk->store, &screen->desk->record.id, &answers, &count));
    for (size_t i = 0; i < count; i++)
        screen->last_held |= answers[i].round == screen->last_round;
done:
    answers_free(answers, count);
    return err;
}

/* ---- an earlier job that is like this one ---- */

static const char *likeness_word(enum job_state state)
{
    switch (state) {
    case JOB_STATE_DENIED:
        return "denied";
    case JOB_STATE_REVOKED:
        return "revoked";
    case JOB_STATE_APPROVED:
    case JOB_STATE_RUNNING:
    case JOB_STATE_FINISHED:
        return "approved";
    case JOB_STATE_PENDING:
    case JOB_STATE_EXPIRED:
        break;
    }
    return NULL;
}

/* In how many places the pending job differs from a decided one of the same requester and dataset; *ret_alike is
 * false for any other. A job whose bytes no longer parse is like none. */
static struct error *likeness_changes(const struct desk *desk, const struct job_record *record,
                                      bool *ret_alike, size_t *ret_changes)
{
    struct error *err = NULL;
    struct job *job = NULL;
    struct job_change *changes = NULL;
    *ret_alike = false;
    if (likeness_word(record->state) == NULL || !site_id_equal(&record->requester, &desk->record.requester))
        goto done;
    err = job_parse((const char *)record->bytes, record->byte_count, "a stored job", &job);
    if (err != NULL) {
        error_clear(&err);
        goto done;
    }
    if (strcmp(job->dataset, desk->job->dataset) != 0)
        goto done;
    TRY(job_diff(job, desk->job, &changes, ret_changes));
    *ret_alike = true;
done:
    free(changes);
    job_free(job);
    return err;
}

/* Of several that are as close, a denial counts first, then the latest. */
static bool likeness_is_closer(const struct screen *screen, const struct job_record *record, size_t changes)
{
    if (!screen->has_likeness || changes < screen->likeness_changes)
        return true;
    return changes == screen->likeness_changes &&
           (record->state == JOB_STATE_DENIED || strcmp(screen->likeness_word, "denied") != 0);
}

static struct error *load_likeness(struct screen *screen)
{
    struct error *err = NULL;
    const struct desk *desk = screen->desk;
    struct job_record *records = NULL;
    size_t count = 0;
    if (desk->record.state != JOB_STATE_PENDING)
        goto done;
    TRY(store_job_list(desk->store, &records, &count));
    for (size_t i = 0; i < count; i++) {
        bool alike = false;
        size_t changes = 0;
        TRY(likeness_changes(desk, &records[i], &alike, &changes));
        if (!alike || !likeness_is_closer(screen, &records[i], changes))
            continue;
        screen->has_likeness = true;
        screen->likeness_changes = changes;
        screen->likeness_word = likeness_word(records[i].state);
        desk_id(&records[i].id, screen->likeness);
    }
done:
    for (size_t i = 0; i < count; i++)
        job_record_clear(&records[i]);
    free(records);
    return err;
}

/* ---- what stands in the way ---- */

/* Whether it could be approved now: what approval_prepare and the budget say. */
static struct error *obstacle_of_pending(const struct screen *screen, const struct approval_limits *limits)
{
    struct error *err = NULL;
    const struct desk *desk = screen->desk;
    struct decision decision;
    if (desk->record.state != JOB_STATE_PENDING)
        goto done;
    TRY(approval_prepare(desk->store, &desk->record, limits, clock_now_ms() / 1000, &decision));
    if (screen->privacy.has_offer && !screen->privacy.offer.fits)
        FAIL(ERROR_REFUSED, "%s", screen->privacy.offer.sentence);
done:
    return err;
}

static void load_obstacle(struct screen *screen)
{
    const struct desk *desk = screen->desk;
    struct approval_limits limits = {.hold = HOLD_NEVER};
    bool open = desk->record.state == JOB_STATE_PENDING || desk->record.state == JOB_STATE_APPROVED ||
                desk->record.state == JOB_STATE_RUNNING;
    if (!open)
        return;
    if (screen->has_terms) {
        limits.hold = screen->terms.hold;
        limits.runs = screen->terms.runs;
        limits.rounds = screen->terms.rounds;
    }
    struct error *err = approval_terms_check(desk->store, &screen->policy->gate, desk->job,
                                             screen->has_dataset ? &screen->dataset : NULL,
                                             identity_id(desk->identity), &limits);
    if (err == NULL)
        err = obstacle_of_pending(screen, &limits);
    if (err != NULL)
        (void)snprintf(screen->obstacle, sizeof(screen->obstacle), "%s", err->sentence);
    error_free(err);
}

struct error *screen_load(const struct desk *desk, struct screen *ret_screen)
{
    struct error *err = NULL;
    struct screen screen = {.desk = desk};
    bool told = false;
    TRY(policy_load(desk->home->policy_path, &screen.policy));
    TRY(desk_is_listed(desk->store, &desk->record.requester, &screen.listed));
    TRY(store_runs_used(desk->store, &desk->record.id, &screen.runs_used, &screen.last_round));
    TRY(load_held(&screen));
    TRY(load_dataset(&screen));
    TRY(load_decision(&screen));
    TRY(load_terms(&screen));
    TRY(show_privacy_load(&screen));
    load_obstacle(&screen);
    if (desk->record.state == JOB_STATE_PENDING)
        TRY(store_wait_find(desk->store, &desk->record.id, &told, screen.waits));
    TRY(load_likeness(&screen));
    *ret_screen = screen;
    screen.policy = NULL;
done:
    screen_clear(&screen);
    return err;
}

void screen_clear(struct screen *screen)
{
    policy_free(screen->policy);
    screen->policy = NULL;
}

uint64_t screen_coefficients(const struct screen *screen)
{
    size_t count = 0;
    struct error *err = model_shape_count(screen->desk->job, &screen->dataset, &count);
    if (err != NULL)
        count = (size_t)(screen->dataset.features + 1) * screen->dataset.classes;
    error_free(err);
    return count;
}
