/* The two queues between the session's thread and the tunnel's: the only data that both touch. */
#include "transport/tunnel_parts.h"

#include <unistd.h>

struct tunnel_times tunnel_times_default(void)
{
    return (struct tunnel_times){.handshake = LIMIT_HANDSHAKE_MS,
                                 .dead = LIMIT_DEAD_MS,
                                 .recheck = LIMIT_RECHECK_MS,
                                 .backoff_min = LIMIT_BACKOFF_MIN_MS,
                                 .backoff_max = LIMIT_BACKOFF_MAX_MS,
                                 .ping = LIMIT_PING_MS,
                                 .closing = LIMIT_CLOSING_MS};
}

void tunnel_sentence(const char *text, char ret_sentence[static TUNNEL_SENTENCE_BYTES])
{
    size_t length = strlen(text);
    if (length >= TUNNEL_SENTENCE_BYTES) {
        length = TUNNEL_SENTENCE_BYTES - 1;
        while (length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(ret_sentence, text, length);
    ret_sentence[length] = '\0';
}

static void tunnel_queue_ring(int fd)
{
    const uint64_t one = 1;
    (void)!write(fd, &one, sizeof(one)); /* can only fail when it is rung already 2^64-2 times */
}

/* ---- events: tunnel -> session ---- */

void tunnel_tell(struct tunnel *tunnel, const struct tunnel_event *event)
{
    bool stranger = event->kind == TUNNEL_DOWN && event->number == 0 && !event->dialled;
    struct tunnel_note *note = malloc(sizeof(*note));
    (void)pthread_mutex_lock(&tunnel->lock);
    if (stranger && tunnel->strangers >= TUNNEL_REFUSALS_QUEUED) {
        tunnel->strangers_dropped++;
        free(note);
    } else if (note == NULL) {
        if (tunnel->broken == NULL)
            tunnel->broken =
                error_new(ERROR_MEMORY, "There is not enough memory to go on with the connections.");
    } else {
        note->next = NULL;
        note->event = *event;
        *tunnel->notes_end = note;
        tunnel->notes_end = &note->next;
        tunnel->strangers += stranger;
    }
    (void)pthread_mutex_unlock(&tunnel->lock);
    tunnel_queue_ring(tunnel->event_fd);
}

/* Under the lock: takes the oldest note out. */
static struct tunnel_note *tunnel_queue_pop(struct tunnel *tunnel)
{
    struct tunnel_note *note = tunnel->notes;
    if (note == NULL)
        return NULL;
    tunnel->notes = note->next;
    if (tunnel->notes == NULL)
        tunnel->notes_end = &tunnel->notes;
    struct tunnel_event *event = &note->event;
    if (event->kind == TUNNEL_DOWN && event->number == 0 && !event->dialled) {
        tunnel->strangers--;
        if (tunnel->strangers_dropped > 0) {
            size_t length = strlen(event->sentence);
            (void)snprintf(event->sentence + length, sizeof(event->sentence) - length,
                           " (%zu more were refused at about the same time)", tunnel->strangers_dropped);
            tunnel->strangers_dropped = 0;
        }
    }
    return note;
}

struct error *tunnel_next(struct tunnel *tunnel, bool *ret_any, struct tunnel_event *ret_event)
{
    struct error *err = NULL;
    uint64_t rings = 0;
    (void)pthread_mutex_lock(&tunnel->lock);
    struct tunnel_note *note = tunnel_queue_pop(tunnel);
    if (tunnel->notes == NULL)
        (void)!read(tunnel->event_fd, &rings, sizeof(rings));
    if (note == NULL && tunnel->broken != NULL)
        err = error_new(tunnel->broken->code, "%s", tunnel->broken->sentence);
    (void)pthread_mutex_unlock(&tunnel->lock);
    if (err != NULL)
        return err;
    *ret_any = note != NULL;
    if (note != NULL)
        *ret_event = note->event;
    free(note);
    return NULL;
}

/* ---- commands: session -> tunnel ---- */

static struct error *tunnel_queue_command(struct tunnel *tunnel, const struct tunnel_command *command)
{
    struct tunnel_command *copy = malloc(sizeof(*copy));
    if (copy == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a command to the connections.");
    *copy = *command;
    copy->next = NULL;
    (void)pthread_mutex_lock(&tunnel->lock);
    *tunnel->commands_end = copy;
    tunnel->commands_end = &copy->next;
    (void)pthread_mutex_unlock(&tunnel->lock);
    tunnel_queue_ring(tunnel->wake_fd);
    return NULL;
}

struct error *tunnel_attach(struct tunnel *tunnel, uint64_t number, int local)
{
    const struct tunnel_command command = {.kind = COMMAND_ATTACH, .number = number, .local = local};
    struct error *err = tunnel_queue_command(tunnel, &command);
    if (err != NULL)
        (void)close(local);
    return err;
}

struct error *tunnel_hang_up(struct tunnel *tunnel, uint64_t number, bool refused, const char *sentence)
{
    struct tunnel_command command = {.kind = COMMAND_HANG_UP, .number = number, .refused = refused};
    tunnel_sentence(sentence, command.sentence);
    return tunnel_queue_command(tunnel, &command);
}

struct error *tunnel_dial(struct tunnel *tunnel, const struct site_id *peer, const char *endpoint)
{
    struct error *err = NULL;
    struct tunnel_command command = {.kind = COMMAND_DIAL, .peer = *peer};
    TRY(tunnel_dial_new(peer, endpoint, &command.dial));
    TRY(tunnel_queue_command(tunnel, &command));
    command.dial = NULL;
done:
    tunnel_dial_free(command.dial);
    return err;
}

struct error *tunnel_drop(struct tunnel *tunnel, const struct site_id *peer)
{
    const struct tunnel_command command = {.kind = COMMAND_DROP, .peer = *peer};
    return tunnel_queue_command(tunnel, &command);
}

struct error *tunnel_reload(struct tunnel *tunnel, struct tunnel_trust *trust)
{
    const struct tunnel_command command = {.kind = COMMAND_RELOAD, .trust = trust};
    struct error *err = tunnel_queue_command(tunnel, &command);
    if (err != NULL)
        tunnel_trust_free(trust);
    return err;
}
