#include "datasite/rate.h"

#define RATE_MINUTE_MS 60000.0

/* The peer's own place, a free one, or that of the peer which was idle longest. */
static struct rate_bucket *rate_bucket_find(struct rate *rate, const struct site_id *peer)
{
    struct rate_bucket *oldest = &rate->buckets[0];
    for (size_t i = 0; i < RATE_PEERS; i++) {
        struct rate_bucket *bucket = &rate->buckets[i];
        if (!bucket->taken)
            return bucket;
        if (site_id_equal(&bucket->peer, peer))
            return bucket;
        if (bucket->seen < oldest->seen)
            oldest = bucket;
    }
    return oldest;
}

bool rate_take(struct rate *rate, const struct site_id *peer, uint32_t per_minute, int64_t now)
{
    struct rate_bucket *bucket = rate_bucket_find(rate, peer);
    if (!bucket->taken || !site_id_equal(&bucket->peer, peer))
        *bucket = (struct rate_bucket){.taken = true, .peer = *peer, .tokens = per_minute, .seen = now};
    bucket->tokens += (double)(now - bucket->seen) * per_minute / RATE_MINUTE_MS;
    if (bucket->tokens > per_minute)
        bucket->tokens = per_minute;
    bucket->seen = now;
    if (bucket->tokens < 1)
        return false;
    bucket->tokens -= 1;
    return true;
}
