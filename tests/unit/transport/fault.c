#include "tests/unit/transport/fault.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAULT_PAIRS_MOST 16
#define FAULT_CHUNK 16384

struct fault_pair {
    int ends[2]; /* the dialler's, the target's */
    long long passed[2];
    bool recorded;
};

struct fault_inside {
    pthread_t thread;
    atomic_bool stop;
    int listener;
    uint16_t target;
    struct fault_pair pairs[FAULT_PAIRS_MOST];
    size_t count;
    bool flipped[2];
    size_t connections;
    pthread_mutex_t lock; /* guards the record */
    uint8_t record[FAULT_RECORD_BYTES];
    size_t recorded;
};

static struct sockaddr_in fault_address(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static void fault_accept(struct fault_inside *inside)
{
    const struct sockaddr_in target = fault_address(inside->target);
    const struct timeval patience = {.tv_sec = 1};
    const int yes = 1;
    int from = accept(inside->listener, NULL, NULL);
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool usable = from >= 0 && to >= 0 && inside->count < FAULT_PAIRS_MOST &&
                  connect(to, (const struct sockaddr *)&target, sizeof(target)) == 0;
    if (!usable) {
        if (from >= 0)
            (void)close(from);
        if (to >= 0)
            (void)close(to);
        return;
    }
    const int ends[2] = {from, to};
    for (int i = 0; i < 2; i++) {
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        (void)setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    }
    inside->pairs[inside->count++] =
        (struct fault_pair){.ends = {from, to}, .recorded = inside->connections++ == 0};
}

static void fault_keep(struct fault_inside *inside, const uint8_t *bytes, size_t count)
{
    (void)pthread_mutex_lock(&inside->lock);
    size_t room = FAULT_RECORD_BYTES - inside->recorded;
    size_t taken = count < room ? count : room;
    memcpy(inside->record + inside->recorded, bytes, taken);
    inside->recorded += taken;
    (void)pthread_mutex_unlock(&inside->lock);
}

/* Forwards what there is in one direction; false when the pair has to be cut. */
static bool fault_forward(struct fault *fault, struct fault_pair *pair, int direction)
{
    struct fault_inside *inside = fault->inside;
    uint8_t bytes[FAULT_CHUNK];
    long long cut = atomic_load(&fault->rules.cut_at[direction]);
    long long flip = atomic_load(&fault->rules.flip_at[direction]);
    size_t want = atomic_load(&fault->rules.one_byte) ? 1 : sizeof(bytes);
    ssize_t got = recv(pair->ends[direction], bytes, want, 0);
    if (got <= 0)
        return false;
    long long first = pair->passed[direction];
    if (cut >= 0 && first + got > cut)
        got = (ssize_t)(cut > first ? cut - first : 0);
    if (flip >= first && flip < first + got && !inside->flipped[direction]) {
        bytes[flip - first] ^= 0x10;
        inside->flipped[direction] = true;
    }
    if (direction == 0 && pair->recorded)
        fault_keep(inside, bytes, (size_t)got);
    for (ssize_t at = 0; at < got;) {
        ssize_t wrote = send(pair->ends[1 - direction], bytes + at, (size_t)(got - at), MSG_NOSIGNAL);
        if (wrote <= 0)
            return false;
        at += wrote;
    }
    pair->passed[direction] += got;
    atomic_fetch_add(&fault->passed[direction], got);
    return cut < 0 || pair->passed[direction] < cut;
}

static void fault_drop(struct fault_inside *inside, size_t at)
{
    (void)close(inside->pairs[at].ends[0]);
    (void)close(inside->pairs[at].ends[1]);
    inside->pairs[at] = inside->pairs[--inside->count];
}

static void fault_turn(struct fault *fault)
{
    struct fault_inside *inside = fault->inside;
    struct pollfd polls[1 + 2 * FAULT_PAIRS_MOST] = {{.fd = inside->listener, .events = POLLIN}};
    size_t count = inside->count;
    for (size_t i = 0; i < count; i++)
        for (int direction = 0; direction < 2; direction++) {
            bool stalled = atomic_load(&fault->rules.stalled[direction]);
            polls[1 + 2 * i + (size_t)direction] =
                (struct pollfd){.fd = stalled ? -1 : inside->pairs[i].ends[direction], .events = POLLIN};
        }
    if (poll(polls, (nfds_t)(1 + 2 * count), 10) < 0)
        return;
    bool cut_all = atomic_exchange(&fault->rules.cut_now, false);
    for (size_t i = count; i-- > 0;) {
        bool alive = !cut_all;
        for (int direction = 0; alive && direction < 2; direction++)
            if (polls[1 + 2 * i + (size_t)direction].revents != 0 &&
                !atomic_load(&fault->rules.stalled[direction]))
                alive = fault_forward(fault, &inside->pairs[i], direction);
        if (!alive)
            fault_drop(inside, i);
    }
    if (polls[0].revents != 0)
        fault_accept(inside);
}

static void *fault_thread(void *argument)
{
    struct fault *fault = argument;
    while (!atomic_load(&fault->inside->stop))
        fault_turn(fault);
    return NULL;
}

struct fault *fault_open(uint16_t target)
{
    struct sockaddr_in address = fault_address(0);
    socklen_t size = sizeof(address);
    struct fault *fault = calloc(1, sizeof(*fault));
    struct fault_inside *inside = calloc(1, sizeof(*inside));
    if (fault == NULL || inside == NULL)
        goto failed;
    fault->inside = inside;
    for (int i = 0; i < 2; i++) {
        atomic_store(&fault->rules.cut_at[i], -1);
        atomic_store(&fault->rules.flip_at[i], -1);
    }
    inside->target = target;
    (void)pthread_mutex_init(&inside->lock, NULL);
    inside->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inside->listener < 0 || bind(inside->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(inside->listener, 16) != 0 ||
        getsockname(inside->listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&inside->thread, NULL, fault_thread, fault) != 0)
        goto failed;
    fault->port = ntohs(address.sin_port);
    return fault;
failed:
    if (inside != NULL && inside->listener > 0)
        (void)close(inside->listener);
    free(inside);
    free(fault);
    return NULL;
}

void fault_close(struct fault *fault)
{
    if (fault == NULL)
        return;
    atomic_store(&fault->inside->stop, true);
    (void)pthread_join(fault->inside->thread, NULL);
    while (fault->inside->count > 0)
        fault_drop(fault->inside, 0);
    (void)close(fault->inside->listener);
    (void)pthread_mutex_destroy(&fault->inside->lock);
    free(fault->inside);
    free(fault);
}

size_t fault_record(struct fault *fault, uint8_t *bytes, size_t most)
{
    (void)pthread_mutex_lock(&fault->inside->lock);
    size_t count = fault->inside->recorded < most ? fault->inside->recorded : most;
    memcpy(bytes, fault->inside->record, count);
    (void)pthread_mutex_unlock(&fault->inside->lock);
    return count;
}
