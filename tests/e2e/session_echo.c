/* A node that answers every message of any type with the same body, for tests that drive whole processes.
 *
 *     session_echo KEYS NAME SOCKETS [listen ENDPOINT] [trust FINGERPRINT]… [ca FILE] [crl FILE] [handshake
 * MS]
 *
 * makes or loads the keys, prints "fingerprint F" and "port N", and then a line for each event:
 *     up F | lobby F | down F SENTENCE | refused F SENTENCE | message TYPE BYTES | answer BYTES
 * same|different It takes commands on its standard input: dial F ENDPOINT | ask F BYTES | drop F | reload |
 * quit (or its end). */
#include "schemas/datasite.pb-c.h"
#include "transport/session_parts.h"

#include <unistd.h>

#define ECHO_TRUST_MOST 16
#define ECHO_LINE_BYTES 1024
#define ECHO_TYPE FDS__MESSAGE_TYPE__MESSAGE_SUBMIT

struct echo {
    struct identity *identity;
    struct session *session;
    const char *keys;
    struct site_id listed[ECHO_TRUST_MOST];
    struct session_trust trust;
    char line[ECHO_LINE_BYTES]; /* what has come of the next command */
    size_t line_have;
    struct tunnel_times times;
    bool quit;
};

static void echo_say(const char *what, const struct site_id *peer, const char *sentence)
{
    char fingerprint[FINGERPRINT_BYTES];
    site_id_format(peer, fingerprint);
    (void)printf("%s %s %s\n", what, fingerprint, sentence);
}

static void echo_complain(struct error *err)
{
    if (err != NULL)
        (void)printf("error %s: %s\n", error_word(err->code), err->sentence);
    error_free(err);
}

/* The body of a request: its byte i is i mod 251. */
static struct error *echo_ask(struct echo *echo, const struct site_id *peer, size_t bytes)
{
    struct error *err = NULL;
    uint64_t number = 0;
    uint8_t *body = malloc(bytes + 1);
    if (body == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %zu bytes.", bytes);
    for (size_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)(i % 251);
    TRY(session_request(echo->session, peer, ECHO_TYPE, body, bytes, &number));
done:
    free(body);
    return err;
}

static struct error *echo_command(struct echo *echo, char *line)
{
    struct error *err = NULL;
    struct site_id peer;
    char *rest = NULL;
    const char *verb = strtok_r(line, " ", &rest);
    const char *fingerprint = strtok_r(NULL, " ", &rest);
    const char *word = strtok_r(NULL, " ", &rest);
    if (verb == NULL || strcmp(verb, "quit") == 0) {
        echo->quit = true;
    } else if (strcmp(verb, "reload") == 0) {
        TRY(session_reload(echo->session, echo->identity, &echo->trust));
    } else {
        if (fingerprint == NULL)
            FAIL(ERROR_USAGE, "The command needs a fingerprint.");
        TRY(site_id_parse(fingerprint, &peer));
        if (strcmp(verb, "dial") == 0 && word != NULL)
            TRY(session_dial(echo->session, &peer, word));
        else if (strcmp(verb, "ask") == 0 && word != NULL)
            TRY(echo_ask(echo, &peer, (size_t)strtoull(word, NULL, 10)));
        else if (strcmp(verb, "drop") == 0)
            TRY(session_drop(echo->session, &peer));
        else
            FAIL(ERROR_USAGE, "There is no command '%s'.", verb);
    }
done:
    return err;
}

static void echo_read(struct echo *echo)
{
    ssize_t got = read(STDIN_FILENO, echo->line + echo->line_have, sizeof(echo->line) - echo->line_have - 1);
    if (got <= 0) {
        echo->quit = true;
        return;
    }
    echo->line_have += (size_t)got;
    echo->line[echo->line_have] = '\0';
    for (char *end = strchr(echo->line, '\n'); end != NULL; end = strchr(echo->line, '\n')) {
        *end = '\0';
        echo_complain(echo_command(echo, echo->line));
        size_t used = (size_t)(end + 1 - echo->line);
        memmove(echo->line, end + 1, echo->line_have - used + 1);
        echo->line_have -= used;
    }
}

static void echo_message(struct echo *echo, const struct session_event *event)
{
    if (event->answers == 0) {
        (void)printf("message %u %zu\n", event->type, event->body_bytes);
        echo_complain(session_answer(echo->session, &event->peer, event->number, event->type, event->body,
                                     event->body_bytes));
        return;
    }
    bool same = event->type == ECHO_TYPE;
    for (size_t i = 0; i < event->body_bytes && same; i++)
        same = event->body[i] == (uint8_t)(i % 251);
    (void)printf("answer %zu %s\n", event->body_bytes, same ? "same" : "different");
}

static struct error *echo_turn(struct echo *echo)
{
    struct session_event event;
    struct error *err = session_next(echo->session, 1000, &event);
    if (err != NULL)
        return err;
    switch (event.kind) {
    case SESSION_NOTHING:
        break;
    case SESSION_UP:
        echo_say(event.lobby ? "lobby" : "up", &event.peer, event.peer_name);
        break;
    case SESSION_DOWN:
        echo_say("down", &event.peer, event.sentence);
        break;
    case SESSION_REFUSED:
        echo_say("refused", &event.peer, event.sentence);
        break;
    case SESSION_MESSAGE:
        echo_message(echo, &event);
        break;
    case SESSION_WAKE:
        echo_read(echo);
        break;
    }
    session_event_clear(&event);
    return NULL;
}

static struct error *echo_options(struct echo *echo, int argc, char **argv, struct session_options *options)
{
    struct error *err = NULL;
    if (argc < 4 || argc % 2 != 0)
        FAIL(ERROR_USAGE, "Usage: session_echo KEYS NAME SOCKETS [listen E] [trust F]… [ca FILE] [crl FILE] "
                          "[handshake|dead|ping MS]…");
    *options = (struct session_options){.name = argv[2], .directory = argv[3], .wake_fd = STDIN_FILENO};
    for (int i = 4; i < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "listen") == 0)
            options->listen = value;
        else if (strcmp(argv[i], "ca") == 0)
            echo->trust.ca_file = value;
        else if (strcmp(argv[i], "crl") == 0)
            echo->trust.crl_file = value;
        else if (strcmp(argv[i], "handshake") == 0)
            echo->times.handshake = strtoll(value, NULL, 10);
        else if (strcmp(argv[i], "dead") == 0)
            echo->times.dead = strtoll(value, NULL, 10);
        else if (strcmp(argv[i], "ping") == 0)
            echo->times.ping = strtoll(value, NULL, 10);
        else if (strcmp(argv[i], "trust") == 0 && echo->trust.listed_count < ECHO_TRUST_MOST)
            TRY(site_id_parse(value, &echo->listed[echo->trust.listed_count++]));
        else
            FAIL(ERROR_USAGE, "There is no option '%s'.", argv[i]);
    }
    echo->trust.listed = echo->listed;
    options->trust = echo->trust;
done:
    return err;
}

static struct error *echo_run(struct echo *echo, int argc, char **argv)
{
    struct error *err = NULL;
    struct session_options options;
    char path[ECHO_LINE_BYTES];
    TRY(echo_options(echo, argc, argv, &options));
    (void)snprintf(path, sizeof(path), "%s/identity.key", argv[1]);
    if (access(path, F_OK) == 0)
        TRY(identity_load(argv[1], &echo->identity));
    else
        TRY(identity_create(argv[1], argv[2], &echo->identity));
    options.identity = echo->identity;
    echo_say("fingerprint", identity_id(echo->identity), "");
    TRY(session_open_timed(&options, &echo->times, &echo->session));
    (void)printf("port %u\n", (unsigned)session_port(echo->session));
    while (!echo->quit)
        TRY(echo_turn(echo));
done:
    session_close(echo->session);
    identity_free(echo->identity);
    return err;
}

int main(int argc, char **argv)
{
    struct echo echo = {.times = tunnel_times_default()};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    struct error *err = echo_run(&echo, argc, argv);
    int status = error_exit_status(err);
    echo_complain(err);
    return status;
}
