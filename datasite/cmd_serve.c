#include "console/verbs.h"
#include "datasite/serve.h"

#include <malloc.h>

extern const struct verb verb_serve;

/* Messages of rounds take the memory again that those before gave back; larger blocks, as a dataset's, are returned. */
#define KEPT_BLOCK_BYTES (4 * 1024 * 1024)
#define KEPT_BYTES (8 * 1024 * 1024)

static struct {
    bool log_json;
} serve_given;

static const struct option *serve_options(void)
{
    static const struct option options[] = {
        {.name = "log-json",
         .kind = OPTION_FLAG,
         .target = &serve_given.log_json,
         .help = "one JSON object a line instead of text"},
        {0},
    };
    return options;
}

static struct error *serve_run(const struct invocation *invocation)
{
    struct serve_options options = {
        .home = invocation->home,
        .log_format = serve_given.log_json ? LOG_JSON : LOG_TEXT,
    };
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    return serve(&options);
}

const struct verb verb_serve = {
    .name = "serve",
    .summary = "Run the daemon: receive jobs, train what is approved",
    .arguments = "",
    .detail =
        "Stays in the foreground and logs to stderr, one line an event. Decisions of other commands are "
        "seen\n"
        "within 200 ms, a changed policy.yaml within two seconds: one that cannot be read is logged, and the "
        "policy\n"
        "of before stays in force. SIGTERM ends it within 5 s; SIGHUP reads site.yaml, policy.yaml, "
        "certificates\n"
        "and trust lists again.\n\n"
        "Example:\n"
        "  datasite serve 2>> site.log",
    .options = serve_options,
    .run = serve_run,
};
