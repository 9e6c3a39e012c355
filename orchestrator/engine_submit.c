#include "orchestrator/engine_parts.h"

#include "schemas/clock.h"

/* How the sites stand while the run gathers. */
struct gathering {
    size_t ready;
    size_t joining; /* not connected yet, and still worth waiting for */
    size_t pending; /* their owners have to decide */
};

static struct gathering take_stock(const struct engine *engine, bool wait_for_joining)
{
    struct gathering stock = {0};
    for (size_t i = 0; i < engine->job->site_count; i++) {
        switch (engine->sites[i].phase) {
        case PHASE_READY:
            stock.ready++;
            break;
        case PHASE_JOINING:
            stock.joining += wait_for_joining;
            break;
        case PHASE_PENDING:
            stock.pending++;
            break;
        case PHASE_OUT:
            break;
        }
    }
    return stock;
}

static const char *why_missing(const struct engine_site *site)
{
    if (site->reason[0] != '\0')
        return site->reason;
    if (site->up && site->put_off[0] != '\0')
        return site->put_off;
    if (site->phase == PHASE_PENDING)
        return "Its owner has not decided.";
    return site->up ? "It has not answered." : "It could not be reached.";
}

/* Every site that stands in the way, with its reason, as far as the sentence goes. Sites that could still
 * have joined are not mentioned: it was not up to them. */
static struct error *too_few(const struct engine *engine, bool connecting, bool deciding)
{
    char list[ERROR_SENTENCE_BYTES] = "";
    size_t used = 0;
    enum error_code code = ERROR_UNAVAILABLE;
    for (size_t i = 0; i < engine->job->site_count && used < sizeof list - 1; i++) {
        const struct engine_site *site = &engine->sites[i];
        if (site->phase == PHASE_READY || (site->phase == PHASE_JOINING && connecting) ||
            (site->phase == PHASE_PENDING && deciding))
            continue;
        if (site->phase == PHASE_OUT)
            code = ERROR_REFUSED;
        else if (site->phase == PHASE_PENDING && code == ERROR_UNAVAILABLE)
            code = ERROR_DEADLINE;
        int wrote =
            snprintf(list + used, sizeof list - used, " %s: %s", site->job_site->name, why_missing(site));
        used += wrote < 0 ? 0 : (size_t)wrote;
    }
    return error_new(code,
                     "The run did not begin: the job needs %u of its %zu sites (federation.min_sites).%s",
                     engine->job->min_sites, engine->job->site_count, list);
}

static struct error *start_sites(struct engine *engine)
{
    struct error *err = NULL;
    for (size_t i = 0; i < engine->job->site_count; i++) {
        struct engine_site *site = &engine->sites[i];
        if (site->job_site->endpoint[0] != '\0')
            TRY(session_dial(engine->session, &site->id, site->job_site->endpoint));
        TRY(engine_ask(engine, site, REQUEST_SUBMIT));
    }
done:
    return err;
}

struct error *engine_gather(struct engine *engine)
{
    struct error *err = NULL;
    int64_t started = clock_monotonic_ms();
    int64_t connect_until = started + engine->plan->connect_ms;
    int64_t approval_until = started + engine->plan->approval_ms;
    TRY(start_sites(engine));
    for (;;) {
        int64_t now = clock_monotonic_ms();
        bool connecting = now < connect_until && now < approval_until;
        struct gathering stock = take_stock(engine, connecting);
        size_t waiting = stock.joining + stock.pending;
        bool enough = stock.ready >= engine->job->min_sites;
        if (!enough && (stock.ready + waiting < engine->job->min_sites || now >= approval_until)) {
            engine->verdict = RUN_STOPPED;
            err = too_few(engine, connecting, now < approval_until);
            goto done;
        }
        if (enough && (waiting == 0 || now >= approval_until))
            break;
        TRY(engine_step(engine,
                        connecting && connect_until < approval_until ? connect_until : approval_until));
    }
done:
    return err;
}
