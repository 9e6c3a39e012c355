/* What an empty round costs at least: the same bytes, signatures, verifications and commits, by blocking
 * calls.
 *
 *     bench_round_reference [--rounds N] [--smoke] DIR      DIR exists; files are made in it and removed
 *
 * Two child processes stand for the datasites, this one for the orchestrator; a TLS 1.3 connection over
 * loopback to each, mutually authenticated, made before the clock starts. In a round of 7850 float64
 * parameters:
 *
 *     to each site:    SHA-256 of the model's message, one Ed25519 signature, one write
 *     each site:       read, SHA-256, 1 verification of the message and APPROVALS of the owner's statement,
 *                      one commit (answer and event) with synchronous=FULL, SHA-256, one signature, one write
 *     from each site:  read, SHA-256, one verification
 *     then:            one commit (model and one row a site) with synchronous=FULL
 *
 * That is what the programs do in a round with `metrics: none`, less the training, the framing by ZeroMQ, the
 * encoding and all other checks. Prints the median round: round_reference <ms> */
#include "crypto/identity.h"
#include "database/database.h"
#include "tests/bench/stopwatch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SITES 2
#define PARAMETER_BYTES (7850 * sizeof(double))
#define ENVELOPE_BYTES 320 /* ids, numbers, key, signature and their encoding */
#define MESSAGE_BYTES (PARAMETER_BYTES + ENVELOPE_BYTES)
#define SIGNED_BYTES 173 /* the fixed form that a message's signature covers */
#define APPROVALS 2      /* the owner's statement is verified on arrival and at the release */
#define MAX_ROUNDS 100000
#define SECONDS_AT_MOST 120

struct side {
    const struct identity *identity;
    uint8_t peer_key[PUBLIC_KEY_BYTES];
    SSL *tls;
    struct database *database;
    uint8_t message[MESSAGE_BYTES];
};

static void must_be(bool good, const char *what)
{
    if (!good)
        stopwatch_must(error_errno(ERROR_IO, errno, "%s failed", what));
}

/* ---- TLS ---- */

static int accept_any(int preverified, X509_STORE_CTX *context)
{
    (void)preverified;
    (void)context;
    return 1; /* both ends are of this program; the real one compares the key's fingerprint here */
}

static SSL *tls_over(int descriptor, const struct identity *identity, bool server)
{
    SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    must_be(context != NULL, "SSL_CTX_new");
    must_be(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "TLS 1.3");
    must_be(SSL_CTX_use_certificate(context, identity_openssl_certificate(identity)) == 1, "The certificate");
    must_be(SSL_CTX_use_PrivateKey(context, identity_openssl_key(identity)) == 1, "The key");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    (void)SSL_CTX_set_num_tickets(context, 0);
    SSL *tls = SSL_new(context);
    SSL_CTX_free(context);
    must_be(tls != NULL && SSL_set_fd(tls, descriptor) == 1, "SSL_new");
    must_be((server ? SSL_accept(tls) : SSL_connect(tls)) == 1, "The TLS handshake");
    return tls;
}

static void send_message(struct side *side)
{
    must_be(SSL_write(side->tls, side->message, (int)MESSAGE_BYTES) == (int)MESSAGE_BYTES, "SSL_write");
}

/* False at the end of the connection. */
static bool receive_message(struct side *side)
{
    size_t have = 0;
    while (have < MESSAGE_BYTES) {
        int got = SSL_read(side->tls, side->message + have, (int)(MESSAGE_BYTES - have));
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

/* ---- signatures: at the end of the message, over a fixed form with the digest of the body ---- */

static void signed_form(const struct side *side, uint8_t ret_form[static SIGNED_BYTES])
{
    struct digest digest;
    memset(ret_form, 0, SIGNED_BYTES);
    stopwatch_must(digest_of(side->message, PARAMETER_BYTES, &digest));
    memcpy(ret_form, digest.bytes, sizeof(digest.bytes));
}

static void sign_message(struct side *side)
{
    uint8_t form[SIGNED_BYTES];
    signed_form(side, form);
    stopwatch_must(identity_sign(side->identity, form, sizeof(form), side->message + PARAMETER_BYTES));
}

static void verify_message(const struct side *side, unsigned times)
{
    uint8_t form[SIGNED_BYTES];
    signed_form(side, form);
    for (unsigned i = 0; i < times; i++)
        stopwatch_must(signature_verify(side->peer_key, form, sizeof(form), side->message + PARAMETER_BYTES));
}

/* ---- commits ---- */

static const struct migration reference_migration = {
    "CREATE TABLE body (round INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE row (id INTEGER PRIMARY KEY AUTOINCREMENT, round INTEGER NOT NULL, detail TEXT NOT NULL) "
    "STRICT;"};
static const struct database_kind reference_kind = {.what = "the measurement's database",
                                                    .application_id = 0x62656e63,
                                                    .migrations = &reference_migration,
                                                    .migration_count = 1};

static void commit_round(struct database *database, const uint8_t *bytes, unsigned round, unsigned rows)
{
    struct query query;
    stopwatch_must(database_begin(database));
    query_start(&query, database, "INSERT INTO body (round, bytes) VALUES (?1, ?2)");
    query_bind_int(&query, round);
    query_bind_blob(&query, bytes, PARAMETER_BYTES);
    stopwatch_must(query_finish(&query));
    for (unsigned i = 0; i < rows; i++) {
        query_start(&query, database, "INSERT INTO row (round, detail) VALUES (?1, ?2)");
        query_bind_int(&query, round);
        query_bind_text(&query, "one sentence about what happened in this round");
        stopwatch_must(query_finish(&query));
    }
    stopwatch_must(database_commit(database));
}

static void open_database(const char *directory, const char *name, struct database **ret_database)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s.db", directory, name);
    stopwatch_must(database_open(path, &reference_kind, DATABASE_CREATE, ret_database));
}

static void remove_database(const char *directory, const char *name)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char path[4096];
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        (void)snprintf(path, sizeof path, "%s/%s.db%s", directory, name, endings[i]);
        (void)unlink(path);
    }
}

/* ---- the two parts ---- */

static int loopback_listener(struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof(*ret_address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(ret_address, 0, sizeof(*ret_address));
    ret_address->sin_family = AF_INET;
    ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must_be(listener >= 0 && bind(listener, (const struct sockaddr *)ret_address, size) == 0 &&
                listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)ret_address, &size) == 0,
            "Listening on loopback");
    return listener;
}

static void no_delay(int descriptor)
{
    int one = 1;
    must_be(setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0, "TCP_NODELAY");
}

static void serve_site(struct side *side, int listener)
{
    (void)alarm(SECONDS_AT_MOST);
    int descriptor = accept(listener, NULL, NULL);
    must_be(descriptor >= 0, "accept");
    no_delay(descriptor);
    side->tls = tls_over(descriptor, side->identity, true);
    for (unsigned round = 1; receive_message(side); round++) {
        verify_message(side, 1 + APPROVALS);
        commit_round(side->database, side->message, round, 1);
        sign_message(side);
        send_message(side);
    }
    database_close(side->database);
    _exit(0);
}

static void play_round(struct side sides[static SITES], struct database *database, unsigned round)
{
    for (size_t i = 0; i < SITES; i++) {
        sign_message(&sides[i]);
        send_message(&sides[i]);
    }
    for (size_t i = 0; i < SITES; i++) {
        must_be(receive_message(&sides[i]), "SSL_read");
        verify_message(&sides[i], 1);
    }
    commit_round(database, sides[0].message, round, SITES);
}

static double run_rounds(struct side sides[static SITES], struct database *database, unsigned rounds)
{
    double *times = calloc(rounds, sizeof(*times));
    must_be(times != NULL, "calloc");
    for (unsigned i = 0; i < rounds; i++) {
        double start = stopwatch_ms();
        play_round(sides, database, i + 1);
        times[i] = stopwatch_ms() - start;
    }
    double result = stopwatch_median(times, rounds);
    free(times);
    return result;
}

static pid_t start_site(const char *directory, size_t number, const struct identity *orchestrator,
                        const struct identity *site, struct side *ret_side)
{
    struct sockaddr_in address;
    char name[32];
    int listener = loopback_listener(&address);
    (void)snprintf(name, sizeof name, "reference-site-%zu", number);
    remove_database(directory, name);
    pid_t child = fork();
    must_be(child >= 0, "fork");
    if (child == 0) {
        struct side side = {.identity = site};
        identity_public_key(orchestrator, side.peer_key);
        open_database(directory, name, &side.database);
        serve_site(&side, listener);
    }
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must_be(descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0,
            "connect");
    (void)close(listener);
    no_delay(descriptor);
    ret_side->identity = orchestrator;
    identity_public_key(site, ret_side->peer_key);
    ret_side->tls = tls_over(descriptor, orchestrator, false);
    return child;
}

static void make_identity(const char *directory, const char *name, struct identity **ret_identity)
{
    static const char *const files[] = {"identity.key", "identity.crt"};
    char keys[4000], path[4096];
    (void)snprintf(keys, sizeof keys, "%s/%s", directory, name);
    stopwatch_must(identity_create(keys, name, ret_identity));
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", keys, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(keys);
}

static void measure(const char *directory, unsigned rounds)
{
    static struct side sides[SITES];
    struct identity *orchestrator = NULL;
    struct identity *sites[SITES] = {NULL};
    struct database *database = NULL;
    pid_t children[SITES];
    char name[32];
    make_identity(directory, "reference-orchestrator-keys", &orchestrator);
    for (size_t i = 0; i < SITES; i++) {
        (void)snprintf(name, sizeof name, "reference-site-%zu-keys", i);
        make_identity(directory, name, &sites[i]);
        children[i] = start_site(directory, i, orchestrator, sites[i], &sides[i]);
    }
    remove_database(directory, "reference-orchestrator");
    open_database(directory, "reference-orchestrator", &database);
    printf("round_reference %.4f\n", run_rounds(sides, database, rounds));
    database_close(database);
    remove_database(directory, "reference-orchestrator");
    for (size_t i = 0; i < SITES; i++) {
        (void)SSL_shutdown(sides[i].tls);
        (void)close(SSL_get_fd(sides[i].tls));
        SSL_free(sides[i].tls);
        (void)waitpid(children[i], NULL, 0);
        (void)snprintf(name, sizeof name, "reference-site-%zu", i);
        remove_database(directory, name);
        identity_free(sites[i]);
    }
    identity_free(orchestrator);
}

int main(int argc, char **argv)
{
    unsigned long rounds = 200;
    const char *directory = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0)
            rounds = 3;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = strtoul(argv[++i], NULL, 10);
        else
            directory = argv[i];
    }
    if (directory == NULL || rounds < 1 || rounds > MAX_ROUNDS) {
        (void)fprintf(stderr, "usage: bench_round_reference [--rounds N] [--smoke] DIR\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(SECONDS_AT_MOST);
    measure(directory, (unsigned)rounds);
    return 0;
}
