/* From the start of a datasite's daemon to its first answered request, and its resident memory when idle.
 *
 *     bench_start [--smoke] DATASITE SITE_HOME ORCHESTRATOR_KEYS FINGERPRINT PORT DIR
 *
 * DATASITE is the program, SITE_HOME a home whose owner trusts the identity in ORCHESTRATOR_KEYS, FINGERPRINT
 * and PORT the site's, DIR a private folder for sockets. The clock starts before fork() and stops when the
 * answer to a query about a job that nobody knows has arrived: exec, opening the home, TLS handshake,
 * signatures and the look into site.db included. This side has its session open before. Until the port is
 * bound it tries connect() every 0.2 ms.
 *
 * Memory is read from /proc/PID/status 1.5 s after the answer, with the connection up: VmRSS is all resident
 * pages, RssAnon those that are the daemon's own, not pages of files (programs and libraries) that others
 * share.
 *
 *     start <median ms>
 *     rss <MiB> <of which RssAnon> */
#include "crypto/identity.h"
#include "schemas/datasite.pb-c.h"
#include "schemas/wire.h"
#include "tests/bench/stopwatch.h"
#include "transport/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPEATS 11
#define DEADLINE_MS 20000
#define IDLE_US 1500000

struct plan {
    const char *program, *home, *directory;
    struct identity *identity;
    struct site_id site;
    uint16_t port;
};

static pid_t start_daemon(const struct plan *plan)
{
    pid_t child = fork();
    if (child < 0)
        stopwatch_must(error_errno(ERROR_IO, errno, "fork failed"));
    if (child == 0) {
        int quiet = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (quiet < 0 || dup2(quiet, STDOUT_FILENO) < 0 || dup2(quiet, STDERR_FILENO) < 0)
            _exit(1);
        (void)execl(plan->program, plan->program, "--home", plan->home, "serve", (char *)NULL);
        _exit(1);
    }
    return child;
}

static void stop_daemon(pid_t child)
{
    (void)kill(child, SIGTERM);
    (void)waitpid(child, NULL, 0);
}

static void fail(pid_t child, const char *what)
{
    stop_daemon(child);
    stopwatch_must(error_new(ERROR_UNAVAILABLE, "%s", what));
}

/* A first try to dial that fails would wait for its back-off, so the port is watched by plain connections. */
static void await_port(const struct plan *plan, pid_t child, double until)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(plan->port)};
    const struct timespec pause = {.tv_nsec = 200000};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (;;) {
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool there =
            descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0;
        if (descriptor >= 0)
            (void)close(descriptor);
        if (there)
            return;
        if (stopwatch_ms() > until)
            fail(child, "The datasite did not listen in time.");
        (void)nanosleep(&pause, NULL);
    }
}

static void ask(const struct plan *plan, struct session *session)
{
    uint8_t job_id[WIRE_JOB_ID_BYTES] = {7};
    uint8_t *body = NULL;
    size_t bytes = 0;
    uint64_t number = 0;
    char endpoint[64];
    Fds__JobQuery query = FDS__JOB_QUERY__INIT;
    query.job_id.data = job_id;
    query.job_id.len = sizeof(job_id);
    stopwatch_must(wire_encode(&query.base, &body, &bytes));
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", plan->port);
    stopwatch_must(session_dial(session, &plan->site, endpoint));
    stopwatch_must(
        session_request(session, &plan->site, FDS__MESSAGE_TYPE__MESSAGE_QUERY, body, bytes, &number));
    free(body);
}

static void await_answer(struct session *session, pid_t child, double until)
{
    bool answered = false;
    while (!answered) {
        struct session_event event;
        if (stopwatch_ms() > until)
            fail(child, "The datasite did not answer in time.");
        stopwatch_must(session_next(session, 100, &event));
        answered = event.kind == SESSION_MESSAGE && event.answers != 0;
        if (answered && event.type != FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS)
            fail(child, "The datasite refused the query.");
        if (event.kind == SESSION_REFUSED)
            fail(child, event.sentence);
        session_event_clear(&event);
    }
}

/* A field of /proc/PID/status in MiB, or NAN. */
static double memory_of(pid_t child, const char *field)
{
    char path[64], line[256];
    double mebibytes = (double)NAN;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)child);
    FILE *status = fopen(path, "re");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
            mebibytes = strtod(line + strlen(field) + 1, NULL) / 1024.0;
    if (status != NULL)
        (void)fclose(status);
    return mebibytes;
}

static struct session *open_session(const struct plan *plan)
{
    struct session *session = NULL;
    struct session_options options = {.identity = plan->identity,
                                      .name = "measurement",
                                      .directory = plan->directory,
                                      .trust = {.listed = &plan->site, .listed_count = 1},
                                      .wake_fd = -1};
    stopwatch_must(session_open(&options, &session));
    return session;
}

static double measure(const struct plan *plan, double *ret_rss, double *ret_anonymous)
{
    struct session *session = open_session(plan);
    double start = stopwatch_ms();
    pid_t child = start_daemon(plan);
    await_port(plan, child, start + DEADLINE_MS);
    ask(plan, session);
    await_answer(session, child, start + DEADLINE_MS);
    double took = stopwatch_ms() - start;
    if (ret_rss != NULL) {
        (void)usleep(IDLE_US);
        *ret_rss = memory_of(child, "VmRSS");
        *ret_anonymous = memory_of(child, "RssAnon");
    }
    session_close(session);
    stop_daemon(child);
    return took;
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    char **given = argv + 1 + (smoke ? 1 : 0);
    if (argc != (smoke ? 8 : 7)) {
        (void)fprintf(stderr, "usage: bench_start [--smoke] DATASITE SITE_HOME KEYS FINGERPRINT PORT DIR\n");
        return 2;
    }
    struct plan plan = {.program = given[0], .home = given[1], .directory = given[5]};
    double times[REPEATS];
    double rss = 0.0;
    double anonymous = 0.0;
    size_t repeats = smoke ? 1 : REPEATS;
    plan.port = (uint16_t)strtoul(given[4], NULL, 10);
    stopwatch_must(identity_load(given[2], &plan.identity));
    stopwatch_must(site_id_parse(given[3], &plan.site));
    for (size_t i = 0; i < repeats; i++)
        times[i] = measure(&plan, i == 0 ? &rss : NULL, i == 0 ? &anonymous : NULL);
    identity_free(plan.identity);
    printf("start %.2f\nrss %.2f %.2f\n", stopwatch_median(times, repeats), rss, anonymous);
    return 0;
}
