/* The tunnel's thread: takes commands, keeps deadlines, polls, steps every connection that can go on. */
#include "schemas/clock.h"
#include "transport/tunnel_parts.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define TUNNEL_POLL_MOST_MS 60000
/* Descriptors a connection needs in this process at most: its socket, the local pair, and libzmq's listener
 * and mailbox. */
#define TUNNEL_DESCRIPTORS_EACH 5
/* Left to the rest of the program (database, files, lookups). */
#define TUNNEL_DESCRIPTORS_KEPT 16

int64_t tunnel_unix_seconds(const struct tunnel *tunnel)
{
    return tunnel->clock() / 1000;
}

uint16_t tunnel_port(const struct tunnel *tunnel)
{
    return tunnel->port;
}

int tunnel_event_fd(const struct tunnel *tunnel)
{
    return tunnel->event_fd;
}

/* How many connections the process has descriptors for: libzmq 4.3.4 may abort or spin without one, so the
 * tunnel does not accept what could not be served. */
static size_t tunnel_connections_most(void)
{
    struct rlimit limit;
    size_t open = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL)
        open++;
    if (directory != NULL)
        (void)closedir(directory);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return LIMIT_CONNECTIONS;
    size_t taken = open + TUNNEL_DESCRIPTORS_KEPT;
    size_t fit = limit.rlim_cur > taken ? (size_t)(limit.rlim_cur - taken) / TUNNEL_DESCRIPTORS_EACH : 0;
    return fit < 2 ? 2 : (fit > LIMIT_CONNECTIONS ? LIMIT_CONNECTIONS : fit);
}

/* ---- connections ---- */

bool tunnel_add(struct tunnel *tunnel, struct tunnel_link *link)
{
    if (tunnel->link_count >= tunnel->connections_most)
        return false;
    link->number = ++tunnel->next_number;
    tunnel->links[tunnel->link_count++] = link;
    return true;
}

static bool tunnel_is_live(const struct tunnel_link *link)
{
    return link->state == LINK_READY || link->state == LINK_RELAY || link->state == LINK_FLUSHING;
}

bool tunnel_has_live(const struct tunnel *tunnel, const struct site_id *peer,
                     const struct tunnel_link *except)
{
    for (size_t i = 0; i < tunnel->link_count; i++)
        if (tunnel->links[i] != except && tunnel_is_live(tunnel->links[i]) &&
            site_id_equal(&tunnel->links[i]->verdict.peer, peer))
            return true;
    return false;
}

void tunnel_link_is_ready(struct tunnel *tunnel, struct tunnel_link *link)
{
    struct tunnel_event event = {.kind = TUNNEL_READY,
                                 .number = link->number,
                                 .peer = link->verdict.peer,
                                 .lobby = link->verdict.lobby,
                                 .dialled = link->dialled};
    memcpy(event.name, link->verdict.name, sizeof(event.name));
    for (size_t i = 0; i < tunnel->link_count; i++) {
        struct tunnel_link *older = tunnel->links[i];
        if (older != link && tunnel_is_live(older) &&
            site_id_equal(&older->verdict.peer, &link->verdict.peer))
            tunnel_link_end(older, false,
                            error_new(ERROR_CONFLICT, "A newer connection of '%s' took this one's place.",
                                      link->verdict.name));
    }
    link->announced = true;
    tunnel_tell(tunnel, &event);
}

static struct tunnel_link *tunnel_link_of(struct tunnel *tunnel, uint64_t number)
{
    for (size_t i = 0; i < tunnel->link_count; i++)
        if (tunnel->links[i]->number == number)
            return tunnel->links[i];
    return NULL;
}

/* Keeps the order of arrival. */
static void tunnel_sweep(struct tunnel *tunnel)
{
    size_t kept = 0;
    for (size_t i = 0; i < tunnel->link_count; i++) {
        if (tunnel->links[i]->state == LINK_ENDED)
            tunnel_link_free(tunnel->links[i]);
        else
            tunnel->links[kept++] = tunnel->links[i];
    }
    tunnel->link_count = kept;
}

/* ---- commands ---- */

static void tunnel_do_hang_up(struct tunnel *tunnel, const struct tunnel_command *command, int64_t now)
{
    struct tunnel_link *link = tunnel_link_of(tunnel, command->number);
    if (link == NULL || !tunnel_is_live(link))
        return;
    if (link->failure == NULL)
        link->failure = error_new(ERROR_REFUSED, "%s", command->sentence);
    link->refused = command->refused;
    tunnel_link_flush(link, now);
}

static void tunnel_do_drop(struct tunnel *tunnel, const struct site_id *peer)
{
    struct tunnel_dial **at = &tunnel->dials;
    while (*at != NULL && !site_id_equal(&(*at)->peer, peer))
        at = &(*at)->next;
    if (*at == NULL)
        return;
    struct tunnel_dial *dial = *at;
    *at = dial->next;
    if (dial->link != NULL && !tunnel_is_live(dial->link))
        tunnel_link_end(dial->link, false, error_new(ERROR_INTERRUPTED, "Dialling was called off."));
    tunnel_dial_free(dial);
}

static void tunnel_do_dial(struct tunnel *tunnel, struct tunnel_dial *dial, int64_t now)
{
    struct tunnel_dial *known = tunnel_dial_of(tunnel, &dial->peer);
    if (known != NULL && known->link != NULL && tunnel_is_live(known->link)) {
        dial->link = known->link; /* the endpoint holds from the next dial on */
        known->link = NULL;
    }
    tunnel_do_drop(tunnel, &dial->peer);
    dial->due = now;
    dial->next = tunnel->dials;
    tunnel->dials = dial;
}

static void tunnel_recheck(struct tunnel *tunnel, int64_t now)
{
    tunnel->recheck_due = now + tunnel->times.recheck;
    for (size_t i = 0; i < tunnel->link_count; i++)
        tunnel_link_recheck(tunnel->links[i]);
}

static void tunnel_do(struct tunnel *tunnel, struct tunnel_command *command, int64_t now)
{
    struct tunnel_link *link = NULL;
    switch (command->kind) {
    case COMMAND_ATTACH:
        link = tunnel_link_of(tunnel, command->number);
        if (link != NULL)
            tunnel_link_attach(link, command->local, now);
        else
            (void)close(command->local);
        break;
    case COMMAND_HANG_UP:
        tunnel_do_hang_up(tunnel, command, now);
        break;
    case COMMAND_DIAL:
        tunnel_do_dial(tunnel, command->dial, now);
        break;
    case COMMAND_DROP:
        tunnel_do_drop(tunnel, &command->peer);
        break;
    case COMMAND_RELOAD:
        tunnel_trust_free(tunnel->trust);
        tunnel->trust = command->trust;
        tunnel_recheck(tunnel, now);
        break;
    }
}

/* Takes all commands that wait; false when the tunnel has to stop. */
static bool tunnel_take_commands(struct tunnel *tunnel)
{
    uint64_t rings = 0;
    (void)!read(tunnel->wake_fd, &rings, sizeof(rings));
    (void)pthread_mutex_lock(&tunnel->lock);
    bool stop = tunnel->stop;
    struct tunnel_command *list = tunnel->commands;
    tunnel->commands = NULL;
    tunnel->commands_end = &tunnel->commands;
    (void)pthread_mutex_unlock(&tunnel->lock);
    while (list != NULL) {
        struct tunnel_command *command = list;
        list = command->next;
        tunnel_do(tunnel, command, clock_monotonic_ms());
        free(command);
    }
    return !stop;
}

/* ---- the loop ---- */

static void tunnel_tick(struct tunnel *tunnel, int64_t now)
{
    for (struct tunnel_dial *dial = tunnel->dials; dial != NULL; dial = dial->next)
        tunnel_dial_tick(tunnel, dial, now);
    if (tunnel->recheck_due <= now) {
        tunnel_trust_refresh(tunnel->trust);
        tunnel_recheck(tunnel, now);
    }
    tunnel->budget_pressed = false;
    for (size_t i = 0; i < tunnel->link_count; i++)
        tunnel->budget_pressed = tunnel->budget_pressed || tunnel->links[i]->starved;
    for (size_t i = 0; i < tunnel->link_count; i++) {
        tunnel_link_tick(tunnel->links[i], now);
        if (tunnel->budget_freed && tunnel->links[i]->starved)
            tunnel->links[i]->again = true;
    }
    tunnel->budget_freed = false;
    tunnel_listen_unpark(tunnel);
    tunnel_sweep(tunnel);
}

static int tunnel_wait_ms(const struct tunnel *tunnel, int64_t now)
{
    int64_t due = now + TUNNEL_POLL_MOST_MS;
    due = tunnel->recheck_due < due ? tunnel->recheck_due : due;
    if (tunnel->listen_again > now && tunnel->listen_again < due)
        due = tunnel->listen_again;
    for (const struct tunnel_dial *dial = tunnel->dials; dial != NULL; dial = dial->next)
        if (dial->link == NULL && dial->lookup == NULL && dial->due < due)
            due = dial->due;
    for (size_t i = 0; i < tunnel->link_count; i++) {
        int64_t mine = tunnel->links[i]->again ? now : tunnel_link_due(tunnel->links[i]);
        due = mine < due ? mine : due;
    }
    return due <= now ? 0 : (int)(due - now);
}

static void tunnel_step_links(struct tunnel *tunnel, int64_t now)
{
    for (size_t i = 0; i < tunnel->link_count; i++) {
        struct tunnel_link *link = tunnel->links[i];
        bool net = link->net_poll != SIZE_MAX && tunnel->polls[link->net_poll].revents != 0;
        bool local = link->local_poll != SIZE_MAX && tunnel->polls[link->local_poll].revents != 0;
        link->net_poll = link->local_poll = SIZE_MAX;
        if (net || local || link->again)
            tunnel_link_step(link, now);
    }
}

static void tunnel_turn(struct tunnel *tunnel)
{
    int64_t now = clock_monotonic_ms();
    tunnel_tick(tunnel, now);
    size_t count = 0;
    tunnel->polls[count++] = (struct pollfd){.fd = tunnel->wake_fd, .events = POLLIN};
    bool willing = tunnel_listen_willing(tunnel, now);
    if (willing)
        tunnel->polls[count++] = (struct pollfd){.fd = tunnel->listener, .events = POLLIN};
    for (size_t i = 0; i < tunnel->link_count; i++)
        tunnel_link_poll(tunnel->links[i], tunnel->polls, &count, now);
    if (poll(tunnel->polls, (nfds_t)count, tunnel_wait_ms(tunnel, now)) < 0)
        for (size_t i = 0; i < count; i++)
            tunnel->polls[i].revents = 0;
    now = clock_monotonic_ms();
    bool arrived = willing && tunnel->polls[1].revents != 0;
    tunnel_step_links(tunnel, now);
    if (arrived)
        tunnel_listen_accept(tunnel, now);
}

static void *tunnel_thread(void *argument)
{
    struct tunnel *tunnel = argument;
    while (tunnel_take_commands(tunnel))
        tunnel_turn(tunnel);
    for (size_t i = 0; i < tunnel->link_count; i++) /* here, where SIGPIPE is blocked */
        tunnel_link_free(tunnel->links[i]);
    tunnel->link_count = 0;
    return NULL;
}

/* ---- beginning and end ---- */

static void tunnel_free(struct tunnel *tunnel)
{
    if (tunnel == NULL)
        return;
    (void)tunnel_take_commands(tunnel); /* those that came too late: their files and memory */
    while (tunnel->dials != NULL) {
        struct tunnel_dial *dial = tunnel->dials;
        tunnel->dials = dial->next;
        tunnel_dial_free(dial);
    }
    while (tunnel->notes != NULL) {
        struct tunnel_note *note = tunnel->notes;
        tunnel->notes = note->next;
        free(note);
    }
    free(tunnel->spare);
    tunnel_trust_free(tunnel->trust);
    error_free(tunnel->broken);
    if (tunnel->listener >= 0)
        (void)close(tunnel->listener);
    if (tunnel->wake_fd >= 0)
        (void)close(tunnel->wake_fd);
    if (tunnel->event_fd >= 0)
        (void)close(tunnel->event_fd);
    (void)pthread_mutex_destroy(&tunnel->lock);
    free(tunnel);
}

/* With every signal blocked: they are the program's, and SIGPIPE must not end it. */
static struct error *tunnel_start_thread(struct tunnel *tunnel)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&tunnel->thread, NULL, tunnel_thread, tunnel);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0 ? NULL
                       : error_errno(ERROR_MEMORY, failed, "The thread for connections cannot be started");
}

static struct tunnel_bounds tunnel_bounds_or_default(const struct tunnel_bounds *given)
{
    struct tunnel_bounds bounds = *given;
    if (bounds.reassembly == 0)
        bounds.reassembly = LIMIT_REASSEMBLY;
    if (bounds.unauthenticated == 0)
        bounds.unauthenticated = LIMIT_UNAUTHENTICATED;
    if (bounds.unauthenticated_per_address == 0)
        bounds.unauthenticated_per_address = LIMIT_UNAUTHENTICATED_PER_ADDRESS;
    if (bounds.parked_per_address == 0)
        bounds.parked_per_address = LIMIT_PARKED_PER_ADDRESS;
    return bounds;
}

static struct error *tunnel_new(const struct tunnel_options *options, struct tunnel **ret_tunnel)
{
    struct error *err = NULL;
    struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
    if (tunnel == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for connections.");
    tunnel->listener = -1;
    tunnel->commands_end = &tunnel->commands;
    tunnel->notes_end = &tunnel->notes;
    tunnel->times = options->times;
    tunnel->bounds = tunnel_bounds_or_default(&options->bounds);
    tunnel->clock = options->clock;
    tunnel->recheck_due = clock_monotonic_ms() + options->times.recheck;
    (void)pthread_mutex_init(&tunnel->lock, NULL);
    tunnel->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    tunnel->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (tunnel->wake_fd < 0 || tunnel->event_fd < 0)
        TRY(error_errno(ERROR_IO, errno, "Connections cannot be set up"));
    tunnel->connections_most = tunnel_connections_most();
    *ret_tunnel = tunnel;
    tunnel = NULL;
done:
    tunnel_free(tunnel);
    return err;
}

struct error *tunnel_open(const struct tunnel_options *options, struct tunnel_trust *trust,
                          struct tunnel **ret_tunnel)
{
    struct error *err = NULL;
    struct tunnel *tunnel = NULL;
    TRY(tunnel_new(options, &tunnel));
    if (options->listen != NULL)
        TRY(tunnel_listen_open(options->listen, &tunnel->listener, &tunnel->port));
    tunnel->trust = trust;
    err = tunnel_start_thread(tunnel);
    if (err != NULL) {
        tunnel->trust = NULL;
        goto done;
    }
    *ret_tunnel = tunnel;
    tunnel = NULL;
done:
    tunnel_free(tunnel);
    return err;
}

void tunnel_close(struct tunnel *tunnel)
{
    const uint64_t one = 1;
    if (tunnel == NULL)
        return;
    (void)pthread_mutex_lock(&tunnel->lock);
    tunnel->stop = true;
    (void)pthread_mutex_unlock(&tunnel->lock);
    (void)!write(tunnel->wake_fd, &one, sizeof(one));
    (void)pthread_join(tunnel->thread, NULL);
    tunnel_free(tunnel);
}
