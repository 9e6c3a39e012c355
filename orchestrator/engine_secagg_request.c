#include "orchestrator/engine_secagg.h"

#include "crypto/secagg_wire.h"

static ProtobufCBinaryData bytes_of(const void *data, size_t count)
{
    return (ProtobufCBinaryData){.len = count, .data = (uint8_t *)(uintptr_t)data};
}

static ProtobufCBinaryData job_of(const struct engine *engine)
{
    return bytes_of(engine->record->job_id.bytes, DIGEST_BYTES);
}

static ProtobufCBinaryData run_of(const struct engine *engine)
{
    return bytes_of(engine->record->run_id, RUN_ID_BYTES);
}

static struct error *make_advertise(const struct engine *engine, Fds__Witness *presented, uint8_t **ret_bytes,
                                    size_t *ret_count)
{
    Fds__Advertise advertise = FDS__ADVERTISE__INIT;
    advertise.job_id = job_of(engine);
    advertise.run_id = run_of(engine);
    advertise.first_slot = engine->secagg->making->first_slot;
    advertise.count = engine->secagg->making->slots;
    advertise.witness = presented;
    return wire_encode(&advertise.base, ret_bytes, ret_count);
}

static struct error *make_share(const struct engine *engine, Fds__Witness *presented, uint8_t **ret_bytes,
                                size_t *ret_count)
{
    Fds__Share share = FDS__SHARE__INIT;
    share.job_id = job_of(engine);
    share.run_id = run_of(engine);
    share.n_adverts = engine->secagg->making->keyset->count;
    share.adverts = engine->secagg->making->messages;
    share.witness = presented;
    return wire_encode(&share.base, ret_bytes, ret_count);
}

static struct error *make_sum(const struct engine *engine, const struct engine_site *site,
                              Fds__Witness *presented, uint8_t **ret_bytes, size_t *ret_count)
{
    Fds__Sum sum = engine_sum_message(engine, site, site->model_round);
    sum.witness = presented;
    return wire_encode(&sum.base, ret_bytes, ret_count);
}

/* ---- Mask ---- */

static size_t place_of(const uint32_t *positions, size_t count, uint32_t position)
{
    size_t place = 0;
    while (place < count && positions[place] != position)
        place++;
    return place;
}

/* What the sharers have sealed for this site, in the order of their positions. */
static struct error *sealed_for(const struct masked_attempt *attempt, uint32_t position,
                                ProtobufCBinaryData *ret_sealed)
{
    size_t count = attempt->neighbour_counts[position - 1];
    size_t slot = attempt->about.slot - attempt->batch->first_slot;
    uint8_t *bytes = malloc(count * SECAGG_SEALED_BYTES + 1);
    size_t used = 0;
    if (bytes == NULL)
        return error_new(ERROR_MEMORY, "No memory for the sealed shares of a site.");
    for (size_t i = 0; i < count; i++) {
        uint32_t from = attempt->neighbours[position - 1][i];
        if (!secagg_set_has(attempt->about.sharers, from))
            continue;
        size_t place = place_of(attempt->neighbours[from - 1], attempt->neighbour_counts[from - 1], position);
        memcpy(bytes + used,
               attempt->batch->shares[from - 1]->sealed[slot].data + place * SECAGG_SEALED_BYTES,
               SECAGG_SEALED_BYTES);
        used += SECAGG_SEALED_BYTES;
    }
    *ret_sealed = (ProtobufCBinaryData){.len = used, .data = bytes};
    return NULL;
}

static struct error *make_mask(const struct engine *engine, const struct engine_site *site,
                               Fds__Witness *presented, uint8_t **ret_bytes, size_t *ret_count)
{
    struct error *err = NULL;
    const struct masked_attempt *attempt = engine->secagg->attempt;
    const struct secagg_attempt *about = &attempt->about;
    Fds__Mask mask = FDS__MASK__INIT;
    Fds__Sum previous = FDS__SUM__INIT;
    mask.job_id = job_of(engine);
    mask.run_id = run_of(engine);
    mask.round = about->round;
    mask.attempt = about->attempt;
    mask.slot = about->slot;
    mask.model_digest = bytes_of(engine->secagg->model_digest.bytes, DIGEST_BYTES);
    if (about->round == 1 && engine->secagg->initial != NULL)
        mask.parameters = bytes_of(engine->secagg->initial, 8 * engine->count);
    mask.n_sharers = about->sharers.count;
    mask.sharers = attempt->sharers;
    if (site->model_round + 1 == about->round) {
        previous = engine_sum_message(engine, site, site->model_round);
        mask.previous = &previous;
    }
    mask.witness = presented;
    TRY(sealed_for(attempt, site->position, &mask.sealed));
    TRY(wire_encode(&mask.base, ret_bytes, ret_count));
done:
    free(mask.sealed.data);
    return err;
}

/* ---- Agree, Unmask ---- */

static struct error *make_agree(const struct engine *engine, Fds__Witness *presented, uint8_t **ret_bytes,
                                size_t *ret_count)
{
    struct error *err = NULL;
    const struct masked_attempt *attempt = engine->secagg->attempt;
    Fds__Agree agree = FDS__AGREE__INIT;
    agree.job_id = job_of(engine);
    agree.run_id = run_of(engine);
    agree.round = attempt->about.round;
    agree.attempt = attempt->about.attempt;
    agree.slot = attempt->about.slot;
    agree.witness = presented;
    TRY(secagg_wire_make_inputs(attempt->contributed, attempt->contributor_count, &agree.inputs));
    agree.n_inputs = attempt->contributor_count;
    TRY(wire_encode(&agree.base, ret_bytes, ret_count));
done:
    secagg_wire_free_inputs(agree.inputs, agree.n_inputs);
    return err;
}

static struct error *make_unmask(const struct engine *engine, Fds__Witness *presented, uint8_t **ret_bytes,
                                 size_t *ret_count)
{
    struct error *err = NULL;
    const struct masked_attempt *attempt = engine->secagg->attempt;
    Fds__Unmask unmask = FDS__UNMASK__INIT;
    unmask.job_id = job_of(engine);
    unmask.run_id = run_of(engine);
    unmask.round = attempt->about.round;
    unmask.attempt = attempt->about.attempt;
    unmask.slot = attempt->about.slot;
    unmask.witness = presented;
    TRY(secagg_wire_make_agreements(attempt->fixed_agreements, attempt->fixed_count, &unmask.agreements));
    unmask.n_agreements = attempt->fixed_count;
    TRY(wire_encode(&unmask.base, ret_bytes, ret_count));
done:
    secagg_wire_free_agreements(unmask.agreements, unmask.n_agreements);
    return err;
}

struct error *engine_secagg_request(struct engine *engine, const struct engine_site *site,
                                    enum request_kind kind, Fds__Witness *presented, uint8_t **ret_bytes,
                                    size_t *ret_count)
{
    switch (kind) {
    case REQUEST_ADVERTISE:
        return make_advertise(engine, presented, ret_bytes, ret_count);
    case REQUEST_SHARE:
        return make_share(engine, presented, ret_bytes, ret_count);
    case REQUEST_SUM:
        return make_sum(engine, site, presented, ret_bytes, ret_count);
    case REQUEST_MASK:
        return make_mask(engine, site, presented, ret_bytes, ret_count);
    case REQUEST_AGREE:
        return make_agree(engine, presented, ret_bytes, ret_count);
    case REQUEST_UNMASK:
        return make_unmask(engine, presented, ret_bytes, ret_count);
    case REQUEST_SUBMIT:
    case REQUEST_QUERY:
    case REQUEST_TRAIN:
    case REQUEST_EVALUATE:
    case REQUEST_END:
        break;
    }
    return error_new(ERROR_INTERNAL, "There is no request of kind %d in secure aggregation.", (int)kind);
}
