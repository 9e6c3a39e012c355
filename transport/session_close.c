/* The end of a session: goodbyes, and everything that it owns. */
#include "transport/session_parts.h"

#include <zmq.h>

#define CLOSING_LOOK_MS 5

/* Whether a peer that was told goodbye has not hung up yet. Who connects meanwhile is not waited for. */
static bool session_any_parting(const struct session *session)
{
    for (size_t i = 0; i < session->peer_count; i++)
        if (session->peers[i]->state == PEER_PARTING)
            return true;
    return false;
}

/* Says goodbye and gives the peers a moment to hang up: who closes first cannot lose the other's last bytes.
 */
static void session_say_goodbye(struct session *session)
{
    int64_t until = clock_monotonic_ms() + session->times.closing;
    session->wake_fd = -1;
    for (size_t i = 0; i < session->peer_count; i++) {
        if (session->peers[i]->dialled)
            error_free(tunnel_drop(session->tunnel, &session->peers[i]->id)); /* or it would dial again */
        session->peers[i]->dialled = false;
        if (session->peers[i]->state == PEER_UP || session->peers[i]->state == PEER_GREETING)
            session_wire_part(session, session->peers[i], NULL);
    }
    struct error *err = NULL;
    while (err == NULL && session_any_parting(session)) {
        struct session_event event;
        int64_t left = until - clock_monotonic_ms();
        if (left <= 0)
            break;
        /* The end of a peer that was parted from is no event: look again soon. */
        err = session_next(session, left < CLOSING_LOOK_MS ? (int)left : CLOSING_LOOK_MS, &event);
        if (err == NULL)
            session_event_clear(&event);
    }
    error_free(err); /* it ends in any case */
}

void session_close(struct session *session)
{
    if (session == NULL)
        return;
    if (session->tunnel != NULL)
        session_say_goodbye(session);
    for (size_t i = 0; i < session->peer_count; i++) {
        session_wire_detach(session->peers[i]);
        session_peer_free(session, session->peers[i]);
    }
    tunnel_close(session->tunnel);
    if (session->zmq != NULL)
        (void)zmq_ctx_term(session->zmq);
    session_folder_remove(session->folder, session->folder_lock);
    free(session->peers);
    free(session);
}
