/* What is known of a peer: requests without an answer, and answers kept to be repeated. */
#include "transport/session_parts.h"

struct session_peer *session_peer_of(const struct session *session, const struct site_id *id)
{
    for (size_t i = 0; i < session->peer_count; i++)
        if (site_id_equal(&session->peers[i]->id, id))
            return session->peers[i];
    return NULL;
}

struct session_peer *session_peer_of_link(const struct session *session, uint64_t link)
{
    for (size_t i = 0; i < session->peer_count; i++)
        if (session->peers[i]->state != PEER_DOWN && session->peers[i]->link == link)
            return session->peers[i];
    return NULL;
}

static void session_peer_free_served(struct session_served *served)
{
    free(served->body);
    free(served);
}

void session_peer_forget_served(struct session *session, struct session_peer *peer)
{
    session->answered_bytes -= peer->answered_bytes;
    while (peer->served != NULL) {
        struct session_served *served = peer->served;
        peer->served = served->next;
        session_peer_free_served(served);
    }
    peer->pending_count = peer->answered_count = peer->answered_bytes = peer->due_count = 0;
    peer->served_most = 0;
}

void session_peer_free(struct session *session, struct session_peer *peer)
{
    if (peer == NULL)
        return;
    session_peer_forget_all(peer);
    session_peer_forget_served(session, peer);
    error_free(peer->goodbye);
    public_key_free(peer->key);
    free(peer);
}

/* Makes room by forgetting the peer that is down the longest and that nobody waits for; false if there is
 * none. */
static bool session_peer_evict(struct session *session)
{
    size_t oldest = SIZE_MAX;
    for (size_t i = 0; i < session->peer_count; i++) {
        const struct session_peer *peer = session->peers[i];
        if (peer->state != PEER_DOWN || peer->dialled || peer->asked_count > 0)
            continue;
        if (oldest == SIZE_MAX || peer->down_since < session->peers[oldest]->down_since)
            oldest = i;
    }
    if (oldest == SIZE_MAX)
        return false;
    session_peer_free(session, session->peers[oldest]);
    session->peers[oldest] = session->peers[--session->peer_count];
    return true;
}

struct error *session_peer_need(struct session *session, const struct site_id *id,
                                struct session_peer **ret_peer)
{
    struct error *err = NULL;
    struct session_peer *peer = session_peer_of(session, id);
    if (peer == NULL) {
        if (session->peer_count >= SESSION_PEERS_MOST && !session_peer_evict(session))
            FAIL(ERROR_LIMIT, "There are already %d peers; no more can be known at a time.",
                 SESSION_PEERS_MOST);
        peer = calloc(1, sizeof(*peer));
        if (peer == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for another peer.");
        peer->id = *id;
        peer->down_since = clock_monotonic_ms();
        session->peers[session->peer_count++] = peer;
    }
    *ret_peer = peer;
done:
    return err;
}

struct error *session_peer_copy(const void *body, size_t body_bytes, uint8_t **ret_copy)
{
    uint8_t *copy = malloc(body_bytes == 0 ? 1 : body_bytes);
    if (copy == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a message of %zu bytes.", body_bytes);
    if (body_bytes > 0)
        memcpy(copy, body, body_bytes);
    *ret_copy = copy;
    return NULL;
}

/* ---- what we asked ---- */

static bool session_peer_is_large(size_t body_bytes)
{
    return body_bytes + MESSAGE_OVERHEAD_BYTES > LIMIT_LOBBY_MESSAGE;
}

struct error *session_peer_ask(struct session_peer *peer, uint32_t type, uint8_t **body, size_t body_bytes,
                               uint64_t *ret_number)
{
    struct error *err = NULL;
    struct session_asked *asked = NULL;
    bool large = session_peer_is_large(body_bytes);
    if (peer->asked_count >= LIMIT_OUTSTANDING)
        FAIL(ERROR_BUSY, "'%s' has not answered %d requests yet; wait for an answer.", peer->name,
             LIMIT_OUTSTANDING);
    if (large && peer->asked_large > 0)
        FAIL(ERROR_BUSY, "'%s' has not answered a large request yet; wait for its answer.", peer->name);
    asked = calloc(1, sizeof(*asked));
    if (asked == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a request.");
    asked->body = *body;
    *body = NULL;
    asked->body_bytes = body_bytes;
    asked->type = type;
    asked->number = ++peer->last_number;
    peer->asked_count++;
    peer->asked_large += large;
    struct session_asked **end = &peer->asked;
    while (*end != NULL)
        end = &(*end)->next;
    *end = asked;
    *ret_number = asked->number;
    asked = NULL;
done:
    free(asked);
    return err;
}

void session_peer_forget(struct session_peer *peer, uint64_t number)
{
    struct session_asked **at = &peer->asked;
    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    struct session_asked *asked = *at;
    if (asked == NULL)
        return;
    *at = asked->next;
    peer->asked_count--;
    peer->asked_large -= session_peer_is_large(asked->body_bytes);
    free(asked->body);
    free(asked);
}

void session_peer_forget_all(struct session_peer *peer)
{
    while (peer->asked != NULL)
        session_peer_forget(peer, peer->asked->number);
}

bool session_peer_asked(const struct session_peer *peer, uint64_t number)
{
    for (const struct session_asked *asked = peer->asked; asked != NULL; asked = asked->next)
        if (asked->number == number)
            return true;
    return false;
}

/* ---- what they asked ---- */

static void session_peer_make_due(struct session_peer *peer, struct session_served *served)
{
    peer->due_count += !served->due;
    served->due = true;
}

void session_peer_sent(struct session_peer *peer, struct session_served *served)
{
    peer->due_count -= served->due;
    served->due = false;
}

bool session_peer_is_behind(const struct session_peer *peer)
{
    return peer->due_count > 0 && peer->pending_count + peer->due_count > LIMIT_OUTSTANDING;
}

struct error *session_peer_serve(struct session *session, struct session_peer *peer, uint64_t number,
                                 enum session_peer_verdict *ret_verdict, uint64_t *ret_ticket)
{
    struct session_served **end = &peer->served;
    for (; *end != NULL; end = &(*end)->next)
        if ((*end)->asked == number) {
            if ((*end)->answered)
                session_peer_make_due(peer, *end);
            *ret_verdict = REQUEST_KNOWN;
            return NULL;
        }
    if (number <= peer->served_most) {
        *ret_verdict = REQUEST_STALE;
        return NULL;
    }
    if (peer->pending_count >= LIMIT_OUTSTANDING) {
        *ret_verdict = REQUEST_TOO_MANY;
        return NULL;
    }
    struct session_served *served = calloc(1, sizeof(*served));
    if (served == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a request of a peer.");
    served->asked = number;
    served->ticket = ++session->last_ticket;
    *end = served;
    peer->pending_count++;
    peer->served_most = number;
    *ret_verdict = REQUEST_NEW;
    *ret_ticket = served->ticket;
    return NULL;
}

/* Drops the oldest kept answer of a peer, but never `newest` or one that is still to be sent; false when
 * there is no other. */
static bool session_peer_drop_answer(struct session *session, struct session_peer *peer,
                                     const struct session_served *newest)
{
    struct session_served **at = &peer->served;
    while (*at != NULL && (!(*at)->answered || (*at)->due || *at == newest))
        at = &(*at)->next;
    struct session_served *served = *at;
    if (served == NULL)
        return false;
    *at = served->next;
    peer->answered_count--;
    peer->answered_bytes -= served->body_bytes;
    session->answered_bytes -= served->body_bytes;
    session_peer_free_served(served);
    return true;
}

void session_peer_forget_sent(struct session *session, struct session_peer *peer)
{
    while (session_peer_drop_answer(session, peer, NULL))
        continue;
}

/* Keeps the bounds: so many answers and bytes of a peer, so many bytes of all. */
static void session_peer_trim(struct session *session, struct session_peer *peer,
                              const struct session_served *newest)
{
    bool dropped = true;
    while (dropped && (peer->answered_count > SESSION_ANSWERS_KEPT || peer->answered_bytes > LIMIT_MESSAGE))
        dropped = session_peer_drop_answer(session, peer, newest);
    for (size_t i = 0; i < session->peer_count && session->answered_bytes > LIMIT_REASSEMBLY;)
        if (!session_peer_drop_answer(session, session->peers[i], newest))
            i++;
}

struct error *session_peer_answer(struct session *session, struct session_peer *peer, uint64_t ticket,
                                  uint32_t type, const void *body, size_t body_bytes)
{
    struct error *err = NULL;
    struct session_served *served = peer->served;
    while (served != NULL && (served->ticket != ticket || served->answered))
        served = served->next;
    if (served == NULL)
        FAIL(ERROR_NOT_FOUND,
             "No request of '%s' waits for this answer: it was answered, or the connection that it came on "
             "has "
             "ended.",
             peer->name);
    TRY(session_peer_copy(body, body_bytes, &served->body));
    served->body_bytes = body_bytes;
    served->type = type;
    served->number = ++peer->last_number;
    served->answered = true;
    if (peer->state == PEER_UP)
        session_peer_make_due(peer, served);
    peer->pending_count--;
    peer->answered_count++;
    peer->answered_bytes += body_bytes;
    session->answered_bytes += body_bytes;
    session_peer_trim(session, peer, served);
done:
    return err;
}

void session_peer_reset(struct session *session, struct session_peer *peer)
{
    peer->greeting_due = peer->ping_due = peer->pong_due = peer->goodbye_due = false;
    peer->accepts = 0;
    error_clear(&peer->goodbye);
    for (struct session_asked *asked = peer->asked; asked != NULL; asked = asked->next)
        asked->sent = false;
    session_peer_forget_served(session, peer);
}
