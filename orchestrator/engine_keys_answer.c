/* What sites answer to Advertise and Share. */
#include "orchestrator/engine_secagg.h"

#include "crypto/secagg_wire.h"

/* A site's chain of events grows with every batch that it advertises, and its adverts name its head: one that is not higher than
 * in an earlier batch of the run is of a database that was put back. The other sites would refuse the whole batch for
 * it. */
static struct error *check_ledger(struct engine_site *site, const struct secagg_advert *advert)
{
    if (site->keys.has_ledger && advert->ledger_sequence <= site->keys.ledger_sequence)
        return error_new(
            ERROR_UNTRUSTED,
            "It names an earlier state of its chain of events than with its keys before: its database "
            "was put back.");
    site->keys.has_ledger = true;
    site->keys.ledger_sequence = advert->ledger_sequence;
    return NULL;
}

/* A good advert on its own; whether all go together is seen when they are all there. */
static struct error *take_advert(struct engine *engine, struct engine_site *site,
                                 const struct session_event *event)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    struct key_batch *batch = secagg->making;
    struct secagg_run run = secagg->run;
    struct secagg_keyset *keyset = NULL;
    struct secagg_advert advert = {0};
    Fds__Advert *message = NULL;
    TRY(wire_advert_decode(event->body, event->body_bytes, &message));
    TRY(secagg_wire_take_advert(&secagg->run, message, &advert));
    if (advert.first_slot != batch->first_slot || advert.count != batch->slots)
        FAIL(ERROR_INVALID, "It advertises other key slots than it was asked for.");
    if (!site_id_equal(&advert.site, &site->id))
        FAIL(ERROR_UNTRUSTED, "It advertises keys in the name of another site.");
    run.threshold = 1;
    TRY(secagg_keyset_make(&run, &advert, 1, secagg->memo, &keyset));
    TRY(check_ledger(site, &advert));
    batch->adverts[site->position - 1] = advert;
    advert = (struct secagg_advert){0};
    batch->order[batch->advertised++] = site->position;
    batch->parts[site->position - 1] = KEYS_ADVERTISED;
done:
    secagg_keyset_free(keyset);
    secagg_advert_clear(&advert);
    wire_advert_free(message);
    return err;
}

static struct error *take_shares(struct engine *engine, const struct engine_site *site,
                                 const struct session_event *event)
{
    struct error *err = NULL;
    struct key_batch *batch = engine->secagg->making;
    Fds__Shares *message = NULL;
    uint32_t *neighbours = NULL;
    size_t count = 0;
    size_t threshold = 0;
    TRY(wire_shares_decode(event->body, event->body_bytes, &message));
    if (memcmp(message->job_id.data, engine->record->job_id.bytes, DIGEST_BYTES) != 0 ||
        memcmp(message->run_id.data, engine->record->run_id, RUN_ID_BYTES) != 0 ||
        message->first_slot != batch->first_slot || message->n_sealed != batch->slots)
        FAIL(ERROR_INVALID, "It shares other key slots than it was asked for.");
    TRY(secagg_neighbours(batch->keyset, batch->first_slot, site->position, &neighbours, &count, &threshold));
    for (size_t i = 0; i < message->n_sealed; i++)
        if (message->sealed[i].len != count * SECAGG_SEALED_BYTES)
            FAIL(ERROR_INVALID, "It shares its keys with another number of sites than its neighbours.");
    batch->shares[site->position - 1] = message;
    message = NULL;
    batch->parts[site->position - 1] = KEYS_SHARED;
done:
    free(neighbours);
    wire_shares_free(message);
    return err;
}

/* What may pass is asked again until the step's time is over. */
static void keys_refused(struct engine *engine, struct engine_site *site, const struct session_event *event)
{
    Fds__Refusal *refusal = NULL;
    struct error *said = wire_refusal_decode(event->body, event->body_bytes, &refusal);
    if (said == NULL)
        said = wire_refusal_error(refusal);
    if (said->code == ERROR_BUSY || said->code == ERROR_UNAVAILABLE)
        engine_keys_ask_later(site);
    else
        engine_keys_missed(engine, site, engine_status_of(said->code), said->sentence);
    error_free(said);
    wire_refusal_free(refusal);
}

struct error *engine_keys_answer(struct engine *engine, struct engine_site *site,
                                 const struct session_event *event)
{
    struct error *err = NULL;
    bool advertising = site->keys.asked == REQUEST_ADVERTISE;
    uint32_t type = advertising ? FDS__MESSAGE_TYPE__MESSAGE_ADVERT : FDS__MESSAGE_TYPE__MESSAGE_SHARES;
    site->keys.number = 0;
    if (engine->secagg == NULL || engine->secagg->making == NULL)
        return NULL;
    if (event->type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL) {
        keys_refused(engine, site, event);
        return NULL;
    }
    if (event->type != type)
        err = error_new(ERROR_INVALID, "It answers with a message of another kind.");
    else
        err = advertising ? take_advert(engine, site, event) : take_shares(engine, site, event);
    if (err != NULL && err->code != ERROR_MEMORY) {
        engine_keys_missed(engine, site, SITE_FAILED, err->sentence);
        error_clear(&err);
    }
    return err;
}
