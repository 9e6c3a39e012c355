/* How many messages a peer may send in a minute: one token bucket for each of the last RATE_PEERS peers.
 *
 * A bucket holds a minute's worth of messages and fills evenly, so that a peer may send `per_minute` at once and then
 * as many in any minute after. When all places are taken, the peer that was idle longest gives way and is given a full
 * bucket if it comes back: who can speak under more than RATE_PEERS keys is not held up by this, but by the transport's
 * bound on connections. Used by one thread. */
#pragma once

#include "crypto/identity.h"

#define RATE_PEERS 256

struct rate {
    struct rate_bucket {
        bool taken;
        struct site_id peer;
        double tokens;
        int64_t seen; /* monotonic milliseconds of the last message */
    } buckets[RATE_PEERS];
};

/* Takes one token of the peer; false: there is none. `now` is monotonic milliseconds. */
MUST_USE bool rate_take(struct rate *rate, const struct site_id *peer, uint32_t per_minute, int64_t now);
