/* Sealed shares that do not open, as the sites say for which they were sealed. Nobody else can open them, so that one site's word
 * stands against another's: either the dealer sealed badly, or the accuser lies. More accusers than may collude cannot
 * all lie. */
#include "orchestrator/engine_secagg.h"

#include <inttypes.h>

void engine_seals_refused(struct engine *engine, const struct engine_site *site, const struct error *said)
{
    const struct masked_attempt *attempt = engine->secagg->attempt;
    bool seal = said->code == ERROR_UNTRUSTED || said->code == ERROR_INVALID;
    if (!seal || said->position == 0 || !engine_masked_has(engine, site) ||
        !secagg_set_has(attempt->about.sharers, said->position))
        return;
    const struct secagg_set peers = {.positions = attempt->neighbours[site->position - 1],
                                     .count = attempt->neighbour_counts[site->position - 1]};
    if (secagg_set_has(peers, said->position))
        engine->secagg->accused[site->position - 1] = said->position;
}

static size_t count_accusers(const struct engine_secagg *secagg, uint32_t dealer)
{
    size_t count = 0;
    for (size_t i = 0; i < secagg->run.sites; i++)
        count += secagg->accused[i] == dealer;
    return count;
}

/* Those who accuse the dealer can be asked again without it. */
static void forgive(struct engine *engine, uint32_t dealer)
{
    const struct engine_secagg *secagg = engine->secagg;
    for (size_t i = 0; i < secagg->run.sites; i++) {
        if (secagg->accused[i] != dealer)
            continue;
        struct site_round *part = engine_site_round(engine, secagg->sites[i]);
        part->status = SITE_DROPPED;
        (void)snprintf(
            part->reason, sizeof part->reason,
            "The shares that %s sealed for it do not open; it was to be asked again without that one.",
            secagg->sites[dealer - 1]->job_site->name);
    }
}

/* It is in no further attempt with these keys. */
static void condemn(struct engine *engine, uint32_t dealer, bool again)
{
    struct engine_secagg *secagg = engine->secagg;
    struct engine_site *site = secagg->sites[dealer - 1];
    char reason[200];
    (void)snprintf(
        reason, sizeof reason,
        "The shares that it sealed for others do not open: %zu sites say so, and no more than %zu of "
        "a run are taken to lie.",
        count_accusers(secagg, dealer), secagg->run.colluding);
    secagg->attempt->batch->parts[dealer - 1] = KEYS_MISSED;
    site->keys.status = SITE_FAILED;
    engine_set_reason(site->keys.reason, sizeof site->keys.reason, reason);
    engine_tell(engine, ENGINE_WARNING, site, reason);
    if (!again)
        return;
    engine_missed(engine, site, SITE_FAILED, reason);
    forgive(engine, dealer);
}

/* One of the two is wrong: both stay out, or the dealer alone where the round needs the others. */
static void doubt(struct engine *engine, uint32_t dealer)
{
    struct engine_secagg *secagg = engine->secagg;
    struct engine_site *site = secagg->sites[dealer - 1];
    char reason[200];
    size_t accusers = count_accusers(secagg, dealer);
    (void)snprintf(
        reason, sizeof reason,
        "%zu site%s that the shares that it sealed do not open: it is wrong, or they are. The round "
        "was tried again without it.",
        accusers, accusers == 1 ? " says" : "s say");
    engine_missed(engine, site, SITE_FAILED, reason);
    if (engine_masked_usable(engine) < secagg->least)
        forgive(engine, dealer);
}

void engine_seals_weigh(struct engine *engine, bool again)
{
    struct engine_secagg *secagg = engine->secagg;
    for (uint32_t dealer = 1; dealer <= secagg->run.sites; dealer++)
        if (count_accusers(secagg, dealer) > secagg->run.colluding)
            condemn(engine, dealer, again);
    for (uint32_t dealer = 1; again && dealer <= secagg->run.sites; dealer++) {
        size_t accusers = count_accusers(secagg, dealer);
        if (accusers > 0 && accusers <= secagg->run.colluding)
            doubt(engine, dealer);
    }
    memset(secagg->accused, 0, secagg->run.sites * sizeof *secagg->accused);
}
