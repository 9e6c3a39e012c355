#include "orchestrator/engine_secagg.h"

#include "schemas/text.h"

void engine_set_reason(char *reason, size_t bytes, const char *sentence)
{
    size_t length = strlen(sentence);
    size_t kept = length < bytes ? length : bytes - 1;
    memmove(reason, sentence, kept);
    reason[kept] = '\0';
    text_make_printable(reason);
}

struct engine_site *engine_find(struct engine *engine, const struct site_id *peer)
{
    for (size_t i = 0; i < engine->job->site_count; i++)
        if (site_id_equal(&engine->sites[i].id, peer))
            return &engine->sites[i];
    return NULL;
}

void engine_site_out(struct engine *engine, struct engine_site *site, const char *reason)
{
    engine_forget(engine, site);
    engine_keys_forget(engine, site);
    site->phase = PHASE_OUT;
    engine_set_reason(site->reason, sizeof site->reason, reason);
    engine_tell(engine, ENGINE_SITE_OUT, site, site->reason);
}

/* The same sentence at every attempt to connect is told once. */
static void site_down(struct engine *engine, struct engine_site *site, const char *sentence)
{
    bool news = site->up || strcmp(site->reason, sentence) != 0;
    site->up = false;
    if (site->phase == PHASE_OUT)
        return;
    engine_set_reason(site->reason, sizeof site->reason, sentence);
    if (news)
        engine_tell(engine, ENGINE_SITE_DOWN, site, site->reason);
}

/* SESSION_UP, SESSION_DOWN and SESSION_REFUSED. Peers that are not of this job are none of our business, but
 * somebody who cannot get in should be seen: it may be a site of the job with a new key. */
void engine_connection(struct engine *engine, const struct session_event *event)
{
    struct engine_site *site = engine_find(engine, &event->peer);
    if (site == NULL) {
        if (event->kind == SESSION_REFUSED && !engine->leaving && engine->strangers++ < ENGINE_STRANGERS_TOLD)
            engine_tell(engine, ENGINE_WARNING, NULL, event->sentence);
    } else if (event->kind == SESSION_UP) {
        site->up = true;
        if (site->phase != PHASE_OUT)
            site->reason[0] = '\0';
        engine_tell(engine, ENGINE_SITE_UP, site, "");
    } else if (!engine->leaving) {
        site_down(engine, site, event->sentence);
    }
}
