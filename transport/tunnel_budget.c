/* The memory of large messages that are arriving, in all connections together.
 *
 * Room is taken in steps as the bytes come, not when a length is announced: an announcement costs a peer
 * nothing. A message that has begun needs more room to be finished, so the last room must never be spread
 * over many that then all wait for each other. Therefore the message that was announced first may always go
 * on (it is at most LIMIT_MESSAGE, and that much is kept for it), and all others share the rest. When it is
 * over, the next oldest takes its place.
 *
 * A peer that does not bring the rest of what it began would hold its room: while others wait, the speed that
 * it has to keep is higher, and it is judged sooner. */
#include "transport/tunnel_parts.h"

_Static_assert(LIMIT_REASSEMBLY >= 2 * LIMIT_MESSAGE, "half of the budget has to take the longest message");

void tunnel_budget_announce(struct tunnel_link *link, uint64_t bytes)
{
    link->frame = bytes;
    link->frame_order = ++link->tunnel->frames;
    link->window_since = link->heard;
    link->window_bytes = 0;
}

static const struct tunnel_link *tunnel_budget_eldest(const struct tunnel *tunnel)
{
    const struct tunnel_link *eldest = NULL;
    for (size_t i = 0; i < tunnel->link_count; i++) {
        const struct tunnel_link *link = tunnel->links[i];
        if (link->frame != 0 && (eldest == NULL || link->frame_order < eldest->frame_order))
            eldest = link;
    }
    return eldest;
}

static void tunnel_budget_step(struct tunnel_link *link)
{
    struct tunnel *tunnel = link->tunnel;
    uint64_t rest = link->frame - link->reserved;
    uint64_t step = rest < LIMIT_REASSEMBLY_STEP ? rest : LIMIT_REASSEMBLY_STEP;
    const struct tunnel_link *eldest = tunnel_budget_eldest(tunnel);
    if (eldest != NULL && eldest != link &&
        tunnel->budget_used - eldest->reserved + step > tunnel->bounds.reassembly / 2)
        return;
    link->reserved += step;
    tunnel->budget_used += step;
}

uint64_t tunnel_budget_room(struct tunnel_link *link)
{
    uint64_t arrived = link->frame - link->walker.left;
    if (link->reserved == arrived)
        tunnel_budget_step(link);
    return link->reserved - arrived;
}

void tunnel_budget_release(struct tunnel_link *link)
{
    if (link->frame == 0)
        return;
    link->tunnel->budget_used -= link->reserved;
    link->tunnel->budget_freed = true;
    link->reserved = link->frame = 0;
}

int64_t tunnel_budget_window(const struct tunnel_link *link, uint64_t *ret_bytes)
{
    bool pressed = link->tunnel->budget_pressed;
    *ret_bytes = pressed ? LIMIT_SLOWEST_PRESSED_BYTES : LIMIT_SLOWEST_BYTES;
    return pressed ? link->tunnel->times.handshake : link->tunnel->times.dead;
}
