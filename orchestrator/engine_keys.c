/* Key slots, in batches: Advertise to every site that is ready, then Share to all who gave good adverts. A site that is not
 * connected is not waited for when enough others are there: the next batch has it. */
#include "orchestrator/engine_secagg.h"

#include "crypto/secagg_wire.h"
#include "schemas/clock.h"

/* ---- a batch ---- */

void key_batch_release(struct key_batch *batch)
{
    if (batch == NULL || --batch->users > 0)
        return;
    for (size_t i = 0; i < batch->sites; i++) {
        if (batch->adverts != NULL)
            secagg_advert_clear(&batch->adverts[i]);
        if (batch->shares != NULL)
            wire_shares_free(batch->shares[i]);
    }
    for (size_t i = 0; batch->messages != NULL && i < batch->keyset->count; i++)
        wire_advert_free(batch->messages[i]);
    secagg_keyset_free(batch->keyset);
    free(batch->messages);
    free(batch->shares);
    free(batch->order);
    free(batch->adverts);
    free(batch->parts);
    free(batch);
}

static struct error *batch_new(const struct engine_secagg *secagg, uint32_t slots,
                               struct key_batch **ret_batch)
{
    struct error *err = NULL;
    size_t sites = secagg->run.sites;
    struct key_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return error_new(ERROR_MEMORY, "No memory for the keys of secure aggregation.");
    *batch = (struct key_batch){.users = 1, .first_slot = secagg->next_slot, .slots = slots, .sites = sites};
    batch->parts = calloc(sites, sizeof *batch->parts);
    batch->adverts = calloc(sites, sizeof *batch->adverts);
    batch->order = calloc(sites, sizeof *batch->order);
    batch->shares = calloc(sites, sizeof *batch->shares);
    if (batch->parts == NULL || batch->adverts == NULL || batch->order == NULL || batch->shares == NULL)
        FAIL(ERROR_MEMORY, "No memory for the keys of secure aggregation.");
    *ret_batch = batch;
    batch = NULL;
done:
    key_batch_release(batch);
    return err;
}

bool engine_keys_shared(const struct key_batch *batch, const struct engine_site *site)
{
    return batch != NULL && batch->parts[site->position - 1] == KEYS_SHARED;
}

/* ---- requests ---- */

void engine_keys_forget(struct engine *engine, struct engine_site *site)
{
    if (site->keys.number != 0)
        session_forget(engine->session, &site->id, site->keys.number);
    site->keys.number = 0;
    site->keys.ask_at = 0;
}

void engine_keys_ask_later(struct engine_site *site)
{
    site->keys.ask_at = clock_monotonic_ms() + ENGINE_BUSY_MS;
}

static struct error *keys_ask(struct engine *engine, struct engine_site *site, enum request_kind kind)
{
    engine_keys_forget(engine, site);
    site->keys.asked = kind;
    struct error *err = engine_send(engine, site, kind, &site->keys.number);
    if (err != NULL && (err->code == ERROR_BUSY || err->code == ERROR_LIMIT)) {
        error_clear(&err);
        engine_keys_ask_later(site);
    }
    return error_prefix(err, "%s", site->job_site->name);
}

void engine_keys_missed(struct engine *engine, struct engine_site *site, enum site_status status,
                        const char *reason)
{
    engine_keys_forget(engine, site);
    if (engine->secagg->making != NULL)
        engine->secagg->making->parts[site->position - 1] = KEYS_MISSED;
    site->keys.status = status;
    engine_set_reason(site->keys.reason, sizeof site->keys.reason, reason);
}

struct error *engine_keys_begin(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    uint32_t slots = 0;
    TRY(secagg_batch_most(&secagg->run, &slots));
    if (slots > engine->job->secure.key_batch)
        slots = engine->job->secure.key_batch;
    if (secagg->next_slot + slots > ENGINE_SLOTS) {
        engine->verdict = RUN_STOPPED;
        FAIL(ERROR_LIMIT, "The run has used up its %u key slots of secure aggregation.",
             (unsigned)ENGINE_SLOTS);
    }
    TRY(batch_new(secagg, slots, &secagg->making));
    secagg->next_slot += slots;
    secagg->keys_failed[0] = '\0';
    secagg->making->started = clock_monotonic_ms();
    for (size_t i = 0; i < secagg->run.sites; i++) {
        struct engine_site *site = secagg->sites[i];
        if (site->phase != PHASE_READY)
            continue;
        site->keys.reason[0] = '\0';
        secagg->making->parts[i] = KEYS_ASKED;
        TRY(keys_ask(engine, site, REQUEST_ADVERTISE));
    }
done:
    return err;
}

/* ---- what is going on ---- */

struct tally {
    size_t done;    /* have done the step in hand */
    size_t pending; /* were asked to */
    size_t awaited; /* of them, those that are connected */
};

static struct tally count_parts(const struct engine *engine, enum key_part pending, enum key_part done)
{
    struct tally tally = {0};
    const struct engine_secagg *secagg = engine->secagg;
    for (size_t i = 0; i < secagg->run.sites; i++) {
        enum key_part part = secagg->making->parts[i];
        tally.done += part == done;
        tally.pending += part == pending;
        tally.awaited += part == pending && secagg->sites[i]->up;
    }
    return tally;
}

/* Those who were asked and have not answered are late, or gone. */
static void keys_leave_behind(struct engine *engine, enum key_part pending)
{
    struct engine_secagg *secagg = engine->secagg;
    for (size_t i = 0; i < secagg->run.sites; i++) {
        struct engine_site *site = secagg->sites[i];
        if (secagg->making->parts[i] == pending)
            engine_keys_missed(engine, site, site->up ? SITE_LATE : SITE_DROPPED,
                               site->up                  ? "It did not exchange keys in time."
                               : site->reason[0] == '\0' ? "It is not connected."
                                                         : site->reason);
    }
}

/* Those who cannot be in it any more, with the reason. */
static void missing_keys(const struct engine *engine, char *text, size_t bytes)
{
    size_t used = 0;
    const struct engine_secagg *secagg = engine->secagg;
    text[0] = '\0';
    for (size_t i = 0; i < secagg->run.sites && used < bytes - 1; i++) {
        const struct engine_site *site = secagg->sites[i];
        enum key_part part = secagg->making->parts[i];
        if (part != KEYS_MISSED && part != KEYS_NOT_ASKED)
            continue;
        const char *why = part == KEYS_MISSED          ? site->keys.reason
                          : site->reason[0] != '\0'    ? site->reason
                          : site->phase == PHASE_READY ? "It came when the keys were made."
                                                       : "Its owner has not approved the job.";
        int wrote = snprintf(text + used, bytes - used, " %s: %s", site->job_site->name, why);
        used += wrote < 0 ? 0 : (size_t)wrote;
    }
}

static void keys_fail(struct engine *engine)
{
    char missing[ERROR_SENTENCE_BYTES];
    struct engine_secagg *secagg = engine->secagg;
    missing_keys(engine, missing, sizeof missing);
    (void)snprintf(secagg->keys_failed, sizeof secagg->keys_failed,
                   "Too few of the %zu sites exchanged keys for secure aggregation; a round needs %zu.%.800s",
                   secagg->run.sites, secagg->least, missing);
    for (size_t i = 0; i < secagg->run.sites; i++)
        engine_keys_forget(engine, secagg->sites[i]);
    key_batch_release(secagg->making);
    secagg->making = NULL;
}

/* ---- adverts ---- */

static int compare_sites(const void *a, const void *b)
{
    return site_id_compare(&((const struct secagg_advert *)a)->site,
                           &((const struct secagg_advert *)b)->site);
}

static struct error *keyset_of(const struct secagg_run *run, const struct secagg_advert *adverts,
                               size_t count, struct secagg_memo *memo, struct secagg_keyset **ret_keyset)
{
    struct error *err = NULL;
    struct secagg_advert *sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL)
        return error_new(ERROR_MEMORY, "No memory for the keys of secure aggregation.");
    memcpy(sorted, adverts, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_sites);
    err = secagg_keyset_make(run, sorted, count, memo, ret_keyset);
    free(sorted);
    return err;
}

/* Of adverts that do not go together, those that came first stay: who repeats another site's keys came after it. */
static struct error *weed_out(struct engine *engine, struct secagg_advert *adverts)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    struct key_batch *batch = secagg->making;
    struct secagg_run run = secagg->run;
    struct secagg_keyset *all = NULL;
    size_t kept = 0;
    run.threshold = 1;
    for (size_t i = 0; i < batch->advertised; i++)
        adverts[i] = batch->adverts[batch->order[i] - 1];
    /* As a rule they do go together. */
    err = batch->advertised == 0 ? NULL : keyset_of(&run, adverts, batch->advertised, secagg->memo, &all);
    secagg_keyset_free(all);
    if (err == NULL || (err->code != ERROR_UNTRUSTED && err->code != ERROR_INVALID))
        return err;
    error_clear(&err);
    for (size_t i = 0; i < batch->advertised; i++) {
        struct secagg_keyset *keyset = NULL;
        struct engine_site *site = secagg->sites[batch->order[i] - 1];
        adverts[kept] = batch->adverts[batch->order[i] - 1];
        err = keyset_of(&run, adverts, kept + 1, secagg->memo, &keyset);
        secagg_keyset_free(keyset);
        if (err == NULL) {
            batch->order[kept++] = site->position;
        } else if (err->code == ERROR_UNTRUSTED || err->code == ERROR_INVALID) {
            engine_keys_missed(engine, site, SITE_FAILED, err->sentence);
            error_clear(&err);
        } else {
            break;
        }
    }
    batch->advertised = kept;
    return err;
}

static struct error *make_messages(const struct engine_secagg *secagg, struct key_batch *batch)
{
    struct error *err = NULL;
    batch->messages = calloc(batch->keyset->count, sizeof(Fds__Advert *));
    if (batch->messages == NULL)
        FAIL(ERROR_MEMORY, "No memory for the keys of secure aggregation.");
    for (size_t i = 0; i < batch->keyset->count; i++)
        TRY(secagg_wire_make_advert(&secagg->run, &batch->adverts[batch->keyset->members[i].position - 1],
                                    &batch->messages[i]));
done:
    return err;
}

/* The adverts become the keyset, and everybody in it is sent all of them. */
static struct error *close_adverts(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    struct key_batch *batch = secagg->making;
    struct secagg_advert *adverts = calloc(batch->sites + 1, sizeof *adverts);
    if (adverts == NULL)
        FAIL(ERROR_MEMORY, "No memory for the keys of secure aggregation.");
    keys_leave_behind(engine, KEYS_ASKED);
    TRY(weed_out(engine, adverts));
    if (batch->advertised < secagg->least)
        goto done; /* which the tally sees */
    TRY(keyset_of(&secagg->run, adverts, batch->advertised, secagg->memo, &batch->keyset));
    TRY(make_messages(secagg, batch));
    batch->started = clock_monotonic_ms();
    batch->enough = 0;
    for (size_t i = 0; i < batch->keyset->count; i++) {
        uint32_t position = batch->keyset->members[i].position;
        batch->parts[position - 1] = KEYS_SHARING;
        TRY(keys_ask(engine, secagg->sites[position - 1], REQUEST_SHARE));
    }
done:
    free(adverts);
    return err;
}

static void close_shares(struct engine *engine, size_t have)
{
    struct engine_secagg *secagg = engine->secagg;
    keys_leave_behind(engine, KEYS_SHARING);
    secagg->making->done = true;
    key_batch_release(secagg->next);
    secagg->next = secagg->making;
    secagg->making = NULL;
    struct engine_event event = {
        .kind = ENGINE_KEYS, .sentence = "", .command = "", .done = have, .total = secagg->run.sites};
    event.round = engine->round == NULL ? 0 : engine->round->round;
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}

/* Until when those who have not done the step are waited for, when enough have. */
static int64_t patience_of(const struct key_batch *batch, int64_t deadline)
{
    int64_t taken = batch->enough - batch->started;
    int64_t until = batch->started + ENGINE_KEYS_MS;
    if (batch->enough > 0 && batch->enough + taken > until)
        until = batch->enough + taken;
    return until < deadline ? until : deadline;
}

/* Goes on when all who are connected have answered, or those who have are enough and have waited long enough. */
static struct error *tend_step(struct engine *engine, int64_t *next, bool *ret_moved)
{
    struct key_batch *batch = engine->secagg->making;
    bool sharing = batch->keyset != NULL;
    struct tally tally =
        count_parts(engine, sharing ? KEYS_SHARING : KEYS_ASKED, sharing ? KEYS_SHARED : KEYS_ADVERTISED);
    size_t least = engine->secagg->least;
    int64_t now = clock_monotonic_ms();
    int64_t deadline = batch->started + (int64_t)engine->job->round_deadline_s * 1000;
    if (tally.done >= least && batch->enough == 0)
        batch->enough = now;
    int64_t patience = patience_of(batch, deadline);
    *ret_moved = true;
    if (tally.done + tally.pending < least || (tally.done < least && now >= deadline)) {
        if (now >= deadline)
            keys_leave_behind(engine, sharing ? KEYS_SHARING : KEYS_ASKED);
        keys_fail(engine);
    } else if (tally.done >= least && (tally.awaited == 0 || now >= patience)) {
        if (!sharing)
            return close_adverts(engine);
        close_shares(engine, tally.done);
    } else {
        int64_t until = tally.done >= least ? patience : deadline;
        *next = until < *next ? until : *next;
        *ret_moved = false;
    }
    return NULL;
}

static struct error *ask_due(struct engine *engine, int64_t *next)
{
    struct error *err = NULL;
    int64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < engine->secagg->run.sites; i++) {
        struct engine_site *site = engine->secagg->sites[i];
        if (site->keys.ask_at != 0 && site->keys.ask_at <= now)
            TRY(keys_ask(engine, site, site->keys.asked));
        if (site->keys.ask_at != 0 && site->keys.ask_at < *next)
            *next = site->keys.ask_at;
    }
done:
    return err;
}

struct error *engine_keys_tend(struct engine *engine, int64_t *next)
{
    struct error *err = NULL;
    bool moved = true;
    if (engine->secagg == NULL || engine->leaving)
        return NULL;
    TRY(ask_due(engine, next));
    while (engine->secagg->making != NULL && moved)
        TRY(tend_step(engine, next, &moved));
    if (engine->secagg->attempt != NULL)
        TRY(engine_keys_ahead(engine));
done:
    return err;
}

/* ---- ahead of need ---- */

/* Sums that the run is still to make after the one in hand. */
static uint32_t sums_left(const struct engine *engine)
{
    uint32_t last = engine->job->rounds + (engine->job->metrics == JOB_METRICS_NONE ? 0 : 1);
    return engine->round == NULL || engine->round->round >= last ? 0 : last - engine->round->round;
}

static bool lacks_a_site(const struct engine *engine)
{
    const struct engine_secagg *secagg = engine->secagg;
    for (size_t i = 0; i < secagg->run.sites; i++) {
        const struct engine_site *site = secagg->sites[i];
        bool said_no = site->keys.reason[0] != '\0' &&
                       (site->keys.status == SITE_REFUSED || site->keys.status == SITE_FAILED);
        if (site->phase == PHASE_READY && site->up && !said_no && !engine_keys_shared(secagg->batch, site))
            return true;
    }
    return false;
}

struct error *engine_keys_ahead(struct engine *engine)
{
    const struct engine_secagg *secagg = engine->secagg;
    uint32_t wanted = sums_left(engine);
    if (secagg->making != NULL || secagg->next != NULL || secagg->batch == NULL || wanted == 0)
        return NULL;
    uint32_t slots = secagg->batch->slots;
    uint32_t left = slots - secagg->batch->used;
    /* A further attempt takes a slot too: two are kept in hand where a batch has as many. */
    bool low = left < wanted && left <= (slots > 2 ? 2 : slots - 1);
    /* Not more than the run can spare: a site that comes and goes costs a batch each time. */
    bool spare = secagg->next_slot + slots + (uint64_t)2 * wanted <= ENGINE_SLOTS;
    bool possible = secagg->next_slot + slots <= ENGINE_SLOTS && secagg->keys_failed[0] == '\0';
    if (possible && (low || (spare && lacks_a_site(engine))))
        return engine_keys_begin(engine);
    return NULL;
}

static size_t connected_sharers(const struct engine *engine, const struct key_batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < engine->secagg->run.sites; i++)
        count += engine->secagg->sites[i]->up && engine_keys_shared(batch, engine->secagg->sites[i]);
    return count;
}

void engine_keys_choose(struct engine *engine)
{
    struct engine_secagg *secagg = engine->secagg;
    if (secagg->next == NULL)
        return;
    if (secagg->batch != NULL && secagg->batch->used < secagg->batch->slots &&
        connected_sharers(engine, secagg->next) <= connected_sharers(engine, secagg->batch))
        return;
    key_batch_release(secagg->batch);
    secagg->batch = secagg->next;
    secagg->next = NULL;
}
