/* Round trips through the session against blocking OpenSSL, in one run.
 *
 *     bench_transport [--smoke]
 *
 * A child process echoes. The reference is what the least code would do: a blocking TLS 1.3 connection,
 * mutually authenticated, one write and one read of the same number of bytes, without framing, signatures or
 * limits. The session's figure is a request and its answer, with two signatures and two verifications,
 * through libzmq and both tunnels; "signed echo" is the reference with the same signatures, digests and
 * verifications. Prints a table and then one line of JSON. Shared machines differ: read the ratios. */
#include "tests/bench/stopwatch.h"
#include "transport/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TYPE 32
#define SIZES 3
#define REPEATS 5
#define LARGEST (13u << 20)
#define WAIT_MS 20000

static const size_t sizes[SIZES] = {1024, 63 * 1024, LARGEST};

struct figures {
    double plain[SIZES]; /* microseconds a round trip */
    double signed_[SIZES];
    double session[SIZES];
};

static void must_be(bool good, const char *what)
{
    if (!good)
        stopwatch_must(error_errno(ERROR_IO, errno, "%s failed", what));
}

static int rounds_of(size_t bytes, bool smoke)
{
    if (smoke)
        return 3;
    return bytes > (1u << 20) ? 10 : (bytes > 10000 ? 500 : 2000);
}

/* ---- blocking OpenSSL ---- */

static int accept_any(int preverified, X509_STORE_CTX *context)
{
    (void)preverified;
    (void)context;
    return 1; /* both ends are of this program */
}

static SSL *tls_over(int net, const struct identity *identity, bool server)
{
    const int yes = 1;
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    must_be(context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "TLS 1.3");
    must_be(SSL_CTX_use_certificate(context, identity_openssl_certificate(identity)) == 1, "The certificate");
    must_be(SSL_CTX_use_PrivateKey(context, identity_openssl_key(identity)) == 1, "The key");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    (void)SSL_CTX_set_num_tickets(context, 0);
    SSL *tls = SSL_new(context);
    SSL_CTX_free(context);
    (void)setsockopt(net, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    must_be(tls != NULL && SSL_set_fd(tls, net) == 1, "SSL_new");
    must_be((server ? SSL_accept(tls) : SSL_connect(tls)) == 1, "The TLS handshake");
    return tls;
}

static bool tls_read_all(SSL *tls, uint8_t *bytes, size_t count)
{
    for (size_t have = 0; have < count;) {
        size_t got = 0;
        if (SSL_read_ex(tls, bytes + have, count - have, &got) != 1)
            return false;
        have += got;
    }
    return true;
}

static void tls_write_all(SSL *tls, const uint8_t *bytes, size_t count)
{
    size_t wrote = 0;
    must_be(SSL_write_ex(tls, bytes, count, &wrote) == 1 && wrote == count, "SSL_write_ex");
}

/* What every message costs the sender or the receiver beside its way. */
static void sign(const struct identity *identity, const uint8_t *bytes, size_t count, uint8_t *signature)
{
    struct digest digest;
    stopwatch_must(digest_of(bytes, count, &digest));
    stopwatch_must(identity_sign(identity, digest.bytes, sizeof(digest.bytes), signature));
}

static void verify(const struct identity *identity, const uint8_t *bytes, size_t count,
                   const uint8_t *signature)
{
    struct digest digest;
    uint8_t key[PUBLIC_KEY_BYTES];
    identity_public_key(identity, key);
    stopwatch_must(digest_of(bytes, count, &digest));
    stopwatch_must(signature_verify(key, digest.bytes, sizeof(digest.bytes), signature));
}

/* A message of the reference: its size (8 bytes), whether it is signed (1), a signature (64), the body. */
#define HEAD_BYTES 73

static void reference_send(SSL *tls, const struct identity *identity, uint8_t *message, size_t bytes,
                           bool with_signature)
{
    uint64_t size = bytes;
    memcpy(message, &size, sizeof(size));
    message[8] = with_signature;
    if (with_signature)
        sign(identity, message + HEAD_BYTES, bytes, message + 9);
    tls_write_all(tls, message, HEAD_BYTES + bytes);
}

static bool reference_receive(SSL *tls, const struct identity *identity, uint8_t *message, size_t *ret_bytes)
{
    uint64_t size = 0;
    if (!tls_read_all(tls, message, HEAD_BYTES))
        return false;
    memcpy(&size, message, sizeof(size));
    must_be(size <= LARGEST && tls_read_all(tls, message + HEAD_BYTES, size), "SSL_read_ex");
    if (message[8] != 0)
        verify(identity, message + HEAD_BYTES, size, message + 9);
    *ret_bytes = size;
    return true;
}

static void reference_echo(int net, const struct identity *identity)
{
    uint8_t *message = malloc(HEAD_BYTES + LARGEST);
    must_be(message != NULL, "malloc");
    SSL *tls = tls_over(net, identity, true);
    size_t bytes = 0;
    while (reference_receive(tls, identity, message, &bytes))
        reference_send(tls, identity, message, bytes, message[8] != 0);
    SSL_free(tls);
    free(message);
}

static double reference_time(SSL *tls, const struct identity *identity, uint8_t *message, size_t bytes,
                             bool with_signature, int rounds)
{
    double start = stopwatch_ms();
    for (int i = 0; i < rounds; i++) {
        size_t got = 0;
        reference_send(tls, identity, message, bytes, with_signature);
        must_be(reference_receive(tls, identity, message, &got) && got == bytes, "The echo");
    }
    return (stopwatch_ms() - start) * 1e3 / rounds;
}

/* ---- the session ---- */

static struct session *open_session(const struct identity *identity, const char *folder, const char *listen,
                                    const struct site_id *peer)
{
    struct session *session = NULL;
    const struct session_options options = {.identity = identity,
                                            .name = "bench",
                                            .directory = folder,
                                            .listen = listen,
                                            .trust = {.listed = peer, .listed_count = 1},
                                            .wake_fd = -1};
    stopwatch_must(session_open(&options, &session));
    return session;
}

static struct session_event next_of(struct session *session, enum session_event_kind kind)
{
    struct session_event event = {0};
    double until = stopwatch_ms() + WAIT_MS;
    while (stopwatch_ms() < until) {
        stopwatch_must(session_next(session, 1000, &event));
        if (event.kind == kind)
            return event;
        session_event_clear(&event);
    }
    stopwatch_must(error_new(ERROR_DEADLINE, "The session did not come to event %d.", (int)kind));
    return event;
}

static void session_echo(const struct identity *identity, const char *folder, const struct site_id *peer,
                         int port_pipe)
{
    struct session *session = open_session(identity, folder, "tcp://127.0.0.1:0", peer);
    uint16_t port = session_port(session);
    bool connected = true;
    must_be(write(port_pipe, &port, sizeof(port)) == sizeof(port), "write");
    while (connected) {
        struct session_event event;
        stopwatch_must(session_next(session, 1000, &event));
        connected = event.kind != SESSION_DOWN;
        if (event.kind == SESSION_MESSAGE)
            stopwatch_must(
                session_answer(session, &event.peer, event.number, TYPE, event.body, event.body_bytes));
        session_event_clear(&event);
    }
    session_close(session);
}

static double session_time(struct session *session, const struct site_id *peer, const uint8_t *body,
                           size_t bytes, int rounds)
{
    double start = stopwatch_ms();
    for (int i = 0; i < rounds; i++) {
        uint64_t number = 0;
        stopwatch_must(session_request(session, peer, TYPE, body, bytes, &number));
        struct session_event answer = next_of(session, SESSION_MESSAGE);
        must_be(answer.answers == number && answer.body_bytes == bytes, "The answer");
        session_event_clear(&answer);
    }
    return (stopwatch_ms() - start) * 1e3 / rounds;
}

/* ---- both ---- */

struct bench {
    char folder[64];
    struct identity *ours;
    struct identity *theirs;
    SSL *tls;
    struct session *session;
    uint8_t *message;
    pid_t children[2];
};

static pid_t start_reference(struct bench *bench)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    must_be(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
                listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &size) == 0,
            "listen");
    pid_t child = fork();
    must_be(child >= 0, "fork");
    if (child == 0) {
        int net = accept(listener, NULL, NULL);
        must_be(net >= 0, "accept");
        reference_echo(net, bench->theirs);
        _exit(0);
    }
    int net = socket(AF_INET, SOCK_STREAM, 0);
    must_be(net >= 0 && connect(net, (struct sockaddr *)&address, size) == 0, "connect");
    (void)close(listener);
    bench->tls = tls_over(net, bench->ours, false);
    return child;
}

static pid_t start_session(struct bench *bench)
{
    int pair[2];
    uint16_t port = 0;
    char endpoint[64];
    must_be(pipe(pair) == 0, "pipe");
    pid_t child = fork();
    must_be(child >= 0, "fork");
    if (child == 0) {
        session_echo(bench->theirs, bench->folder, identity_id(bench->ours), pair[1]);
        _exit(0);
    }
    must_be(read(pair[0], &port, sizeof(port)) == sizeof(port), "read");
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", (unsigned)port);
    bench->session = open_session(bench->ours, bench->folder, NULL, identity_id(bench->theirs));
    stopwatch_must(session_dial(bench->session, identity_id(bench->theirs), endpoint));
    (void)next_of(bench->session, SESSION_UP);
    return child;
}

static void measure(struct bench *bench, bool smoke, struct figures *figures)
{
    const struct site_id *peer = identity_id(bench->theirs);
    for (size_t i = 0; i < SIZES; i++) {
        double plain[REPEATS];
        double with_signature[REPEATS];
        double session[REPEATS];
        int repeats = smoke ? 1 : REPEATS;
        int rounds = rounds_of(sizes[i], smoke);
        for (int repeat = 0; repeat < repeats; repeat++) {
            plain[repeat] =
                reference_time(bench->tls, bench->theirs, bench->message, sizes[i], false, rounds);
            with_signature[repeat] =
                reference_time(bench->tls, bench->theirs, bench->message, sizes[i], true, rounds);
            session[repeat] =
                session_time(bench->session, peer, bench->message + HEAD_BYTES, sizes[i], rounds);
        }
        figures->plain[i] = stopwatch_median(plain, (size_t)repeats);
        figures->signed_[i] = stopwatch_median(with_signature, (size_t)repeats);
        figures->session[i] = stopwatch_median(session, (size_t)repeats);
    }
}

static void print(const struct figures *figures)
{
    (void)printf("%10s %14s %14s %14s %10s %10s\n", "bytes", "OpenSSL us", "signed echo us", "session us",
                 "/OpenSSL", "/signed");
    for (size_t i = 0; i < SIZES; i++)
        (void)printf("%10zu %14.1f %14.1f %14.1f %10.2f %10.2f\n", sizes[i], figures->plain[i],
                     figures->signed_[i], figures->session[i], figures->session[i] / figures->plain[i],
                     figures->session[i] / figures->signed_[i]);
    (void)printf("{\"transport\":[");
    for (size_t i = 0; i < SIZES; i++)
        (void)printf("%s{\"bytes\":%zu,\"openssl_us\":%.1f,\"signed_us\":%.1f,\"session_us\":%.1f}",
                     i == 0 ? "" : ",", sizes[i], figures->plain[i], figures->signed_[i],
                     figures->session[i]);
    (void)printf("]}\n");
}

int main(int argc, char **argv)
{
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    struct bench bench = {.folder = "/tmp/bench-transport-XXXXXX"};
    struct figures figures;
    char path[2][96];
    must_be(mkdtemp(bench.folder) != NULL, "mkdtemp");
    (void)snprintf(path[0], sizeof(path[0]), "%s/ours", bench.folder);
    (void)snprintf(path[1], sizeof(path[1]), "%s/theirs", bench.folder);
    stopwatch_must(identity_create(path[0], "ours", &bench.ours));
    stopwatch_must(identity_create(path[1], "theirs", &bench.theirs));
    bench.message = calloc(1, HEAD_BYTES + LARGEST);
    must_be(bench.message != NULL, "calloc");
    bench.children[0] = start_reference(&bench);
    bench.children[1] = start_session(&bench);
    measure(&bench, smoke, &figures);
    print(&figures);
    session_close(bench.session);
    (void)SSL_shutdown(bench.tls);
    (void)close(SSL_get_fd(bench.tls));
    SSL_free(bench.tls);
    for (int i = 0; i < 2; i++)
        (void)waitpid(bench.children[i], NULL, 0);
    for (int i = 0; i < 2; i++) {
        char file[160];
        (void)snprintf(file, sizeof(file), "%.90s/identity.key", path[i]);
        (void)unlink(file);
        (void)snprintf(file, sizeof(file), "%.90s/identity.crt", path[i]);
        (void)unlink(file);
        (void)rmdir(path[i]);
    }
    (void)rmdir(bench.folder);
    identity_free(bench.ours);
    identity_free(bench.theirs);
    free(bench.message);
    return 0;
}
