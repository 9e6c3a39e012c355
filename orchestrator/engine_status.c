#include "orchestrator/engine_parts.h"

#include "schemas/text.h"

/* Sides of images count where the model's features depend on them; sites of before do not tell theirs. */
static bool same_shape(const struct run_record *record, const Fds__JobStatus *status)
{
    bool same = status->features == record->features && status->classes == record->classes;
    if (record->job->features == JOB_FEATURES_HOG)
        same = same && status->image_rows == record->image_rows &&
               status->image_columns == record->image_columns;
    return same;
}

static struct error *other_shape(const struct engine *engine, const struct engine_site *site,
                                 const Fds__JobStatus *status)
{
    const struct run_record *record = engine->record;
    const char *name = site->job_site->name, *first = engine->shape_site->job_site->name;
    if (status->features == record->features && status->classes == record->classes)
        return error_new(
            ERROR_INVALID,
            "The images of %s are of %u by %u pixels, but those of %s of %u by %u; one model cannot fit "
            "both, so correct the job's dataset or its sites.",
            name, status->image_rows, status->image_columns, first, record->image_rows,
            record->image_columns);
    return error_new(
        ERROR_INVALID,
        "The data of %s has %llu features and %u classes, but that of %s has %llu and %u; one model "
        "cannot fit both, so correct the job's dataset or its sites.",
        name, (unsigned long long)status->features, status->classes, first,
        (unsigned long long)record->features, record->classes);
}

/* The two sites that disagree are both named; before the first round nothing is lost by stopping. */
static struct error *check_shape(struct engine *engine, struct engine_site *site,
                                 const Fds__JobStatus *status, bool *ret_agrees)
{
    struct error *err = NULL;
    bool agrees = true;
    if (engine->shape_site == NULL) {
        err = run_record_set_shape(engine->record, status->features, status->classes, status->image_rows,
                                   status->image_columns);
        if (err != NULL) {
            err = error_prefix(err, "The data of %s", site->job_site->name);
            goto done;
        }
        engine->shape_site = site;
    } else if (!same_shape(engine->record, status)) {
        err = other_shape(engine, site, status);
        agrees = false;
    }
    *ret_agrees = agrees;
    if (err != NULL && engine->in_rounds) {
        engine_site_out(engine, site, err->sentence);
        error_clear(&err);
    }
done:
    return err;
}

static struct error *site_ready(struct engine *engine, struct engine_site *site, const Fds__JobStatus *status)
{
    struct error *err = NULL;
    bool agrees = false;
    char sentence[160];
    TRY(check_shape(engine, site, status, &agrees));
    if (!agrees)
        goto done;
    site->phase = PHASE_READY;
    site->reason[0] = '\0';
    engine_tell(engine, ENGINE_SITE_READY, site, "");
    if (status->state == FDS__JOB_STATE__JOB_APPROVED && status->rounds_left < engine->job->rounds) {
        (void)snprintf(sentence, sizeof sentence, "Its owner allows %u of the job's %u rounds.",
                       status->rounds_left, engine->job->rounds);
        engine_tell(engine, ENGINE_WARNING, site, sentence);
    }
done:
    return err;
}

static void site_pending(struct engine *engine, struct engine_site *site, const Fds__JobStatus *status)
{
    site->phase = PHASE_PENDING;
    engine_ask_later(site, REQUEST_QUERY, ENGINE_POLL_MS);
    if (site->announced)
        return;
    site->announced = true;
    struct engine_event event = {.kind = ENGINE_SITE_WAITING,
                                 .site = site->job_site->name,
                                 .sentence = status->sentence,
                                 .command = status->owner_command};
    text_make_printable(status->sentence);
    text_make_printable(status->owner_command);
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}

/* The site's own sentence, or ours when it gives none. */
static void site_says_no(struct engine *engine, struct engine_site *site, const Fds__JobStatus *status,
                         const char *otherwise)
{
    engine_site_out(engine, site, status->sentence[0] == '\0' ? otherwise : status->sentence);
}

static struct error *job_state(struct engine *engine, struct engine_site *site, const Fds__JobStatus *status)
{
    struct error *err = NULL;
    switch (status->state) {
    case FDS__JOB_STATE__JOB_PENDING:
        site_pending(engine, site, status);
        break;
    case FDS__JOB_STATE__JOB_RUNNING: /* another run than ours, which has not reached this site yet */
        if (status->runs_left > 0)
            err = site_ready(engine, site, status);
        else
            engine_site_out(engine, site,
                            "An earlier run of this job was not ended there, and no further run is approved; "
                            "submit the job under another name.");
        break;
    case FDS__JOB_STATE__JOB_APPROVED:
        err = site_ready(engine, site, status);
        break;
    case FDS__JOB_STATE__JOB_UNKNOWN:
        site->phase = PHASE_JOINING;
        engine_ask_later(site, REQUEST_SUBMIT, ENGINE_POLL_MS);
        break;
    case FDS__JOB_STATE__JOB_FINISHED:
        site_says_no(engine, site, status,
                     "All approved runs of this job are used up; its owner can approve more.");
        break;
    case FDS__JOB_STATE__JOB_DENIED:
        site_says_no(engine, site, status,
                     "Its owner denied the job; a denial is final for these bytes of the job.");
        break;
    case FDS__JOB_STATE__JOB_REVOKED:
        site_says_no(engine, site, status, "Its owner took the approval back.");
        break;
    case FDS__JOB_STATE__JOB_EXPIRED:
        site_says_no(engine, site, status, "The job, or its approval, has expired.");
        break;
    default: /* a number that a newer site may send */
        site_says_no(engine, site, status, "It gives the job a state that this version does not know.");
        break;
    }
    return err;
}

struct error *engine_answer_status(struct engine *engine, struct engine_site *site,
                                   const struct session_event *event)
{
    struct error *err = NULL;
    Fds__JobStatus *status = NULL;
    struct error *wrong = wire_job_status_decode(event->body, event->body_bytes, &status);
    if (wrong == NULL && memcmp(status->job_id.data, engine->record->job_id.bytes, DIGEST_BYTES) != 0)
        wrong = error_new(ERROR_INVALID, "Its answer is about another job.");
    if (wrong != NULL)
        engine_not_granted(engine, site, SITE_FAILED, wrong->sentence);
    else
        TRY(job_state(engine, site, status));
done:
    error_free(wrong);
    wire_job_status_free(status);
    return err;
}
