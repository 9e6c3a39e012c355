#include "datasite/log_repeats.h"

static struct log_repeat *repeats_find(struct log_repeats *repeats, enum event_kind kind,
                                       const struct site_id *peer)
{
    for (size_t i = 0; i < LOG_REPEATS_PLACES; i++) {
        struct log_repeat *place = &repeats->places[i];
        if (place->taken && place->kind == kind && site_id_equal(&place->peer, peer))
            return place;
    }
    return NULL;
}

/* A free place, or the last one, which all others share. */
static struct log_repeat *repeats_take(struct log_repeats *repeats, enum event_kind kind,
                                       const struct site_id *peer, int64_t now)
{
    struct log_repeat *last = &repeats->places[LOG_REPEATS_PLACES - 1];
    for (size_t i = 0; i < LOG_REPEATS_PLACES - 1; i++) {
        struct log_repeat *place = &repeats->places[i];
        if (!place->taken) {
            *place = (struct log_repeat){true, kind, *peer, now + LOG_REPEATS_MS, 0};
            return place;
        }
    }
    if (!last->taken)
        *last = (struct log_repeat){.taken = true, .kind = kind, .until = now + LOG_REPEATS_MS};
    return last;
}

bool log_repeats_first(struct log_repeats *repeats, enum event_kind kind, const struct site_id *peer,
                       int64_t now)
{
    if (repeats == NULL)
        return true;
    struct log_repeat *place = repeats_find(repeats, kind, peer);
    if (place == NULL) {
        place = repeats_take(repeats, kind, peer, now);
        if (place != &repeats->places[LOG_REPEATS_PLACES - 1])
            return true;
    }
    place->counted++;
    return false;
}

void log_repeats_flush(struct log_repeats *repeats, const struct log *log, int64_t now)
{
    for (size_t i = 0; i < LOG_REPEATS_PLACES; i++) {
        struct log_repeat *place = &repeats->places[i];
        if (!place->taken || now < place->until)
            continue;
        if (place->counted > 0)
            LOG(log, place->kind, log_peer(&place->peer), log_count("repeated", place->counted));
        place->taken = false;
    }
}
