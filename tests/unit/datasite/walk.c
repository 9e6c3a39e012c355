#include "tests/unit/datasite/walk.h"

#include "tests/unit/datasite/workspace.h"

struct stride {
    struct walk walk;
    const struct identity *identity;
    struct digest hash;
    uint64_t last;
    bool has_signed;
};

static bool stride_holds(struct stride *stride, const struct event_record *record)
{
    uint8_t key[PUBLIC_KEY_BYTES];
    struct chain_head head = {*identity_id(stride->identity), record->event.sequence, record->hash};
    if (record->event.sequence != stride->last + 1)
        return false;
    must(chain_next(&stride->hash, &record->event, &stride->hash));
    if (!record->is_signed)
        return !stride->has_signed;
    stride->has_signed = true;
    identity_public_key(stride->identity, key);
    struct error *err = chain_head_verify(key, &head, record->signature);
    bool holds = err == NULL && digest_equal(&stride->hash, &record->hash);
    error_free(err);
    return holds;
}

static struct error *stride_on(void *context, const struct event_record *record)
{
    struct stride *stride = context;
    stride->walk.events++;
    if (!record->is_signed)
        stride->walk.unsigned_events++;
    if (stride->walk.first_bad == 0 && !stride_holds(stride, record))
        stride->walk.first_bad = record->event.sequence;
    stride->last = record->event.sequence;
    return NULL;
}

struct walk walk_events(struct store *store, const struct identity *identity)
{
    struct stride stride = {.identity = identity};
    const struct event_filter all = {0};
    uint64_t ever = 0;
    must(chain_start(identity_id(identity), &stride.hash));
    must(store_events(store, &all, stride_on, &stride));
    must(store_event_count_ever(store, &ever));
    if (stride.walk.first_bad == 0 && stride.last < ever)
        stride.walk.first_bad = stride.last + 1;
    return stride.walk;
}
