#include "console/verbs.h"
#include "datasite/home.h"

extern const struct verb verb_init;

static struct {
    const char *name, *listen, *advertise;
} init_given;

static const struct option *init_options(void)
{
    static const struct option options[] = {
        {.name = "name",
         .kind = OPTION_TEXT,
         .target = &init_given.name,
         .value = "NAME",
         .help = "what others call this site (required)"},
        {.name = "listen",
         .kind = OPTION_TEXT,
         .target = &init_given.listen,
         .value = "ENDPOINT",
         .help = "tcp://HOST:PORT to wait on; without it the site only dials out"},
        {.name = "advertise",
         .kind = OPTION_TEXT,
         .target = &init_given.advertise,
         .value = "ENDPOINT",
         .help = "the same as others reach it; else as --listen"},
        {0},
    };
    return options;
}

static void init_print(const struct invocation *invocation, const struct home *home, const char *fingerprint)
{
    (void)printf("The site \"%s\" is made in %s.\n\n", home->config->name, home->path);
    (void)printf("  Fingerprint  %s\n", fingerprint);
    (void)printf("  Listens on   %s\n\n", home->config->listen[0] != '\0'
                                              ? home->config->listen
                                              : "nothing: it dials out (dial: in site.yaml)");
    (void)printf("Next (each with --home %s before the verb):\n", home->path);
    (void)printf("  %s import idx IMAGES LABELS --name mnist   take in records (or: import csv)\n",
                 invocation->program);
    (void)printf("  %s invite                                  the line for the researcher\n",
                 invocation->program);
    (void)printf("  %s trust add LINE                          the researcher's line\n", invocation->program);
    (void)printf("  %s serve                                   wait for jobs; nothing runs unapproved\n",
                 invocation->program);
}

static struct error *init_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    char fingerprint[FINGERPRINT_BYTES];
    if (init_given.name == NULL)
        FAIL(ERROR_USAGE,
             "--name is missing, e.g. %s init --name \"Our Hospital\" --listen tcp://0.0.0.0:54879",
             invocation->program);
    TRY(home_create(invocation->home, init_given.name, init_given.listen, init_given.advertise, &home));
    TRY(identity_load(home->keys_path, &identity));
    site_id_format(identity_id(identity), fingerprint);
    init_print(invocation, home, fingerprint);
done:
    identity_free(identity);
    home_free(home);
    return err;
}

const struct verb verb_init = {
    .name = "init",
    .summary = "Make a site: its directory, keys, settings and empty database",
    .arguments = "",
    .detail = "Makes the home directory with an Ed25519 key (readable by its owner only), a self-signed "
              "certificate,\n"
              "site.yaml, a policy.yaml that asks the owner about everything, and an empty site.db. A "
              "failure leaves\n"
              "nothing behind; a site that is there already is never touched.\n\n"
              "Example:\n"
              "  datasite init --name \"MNIST Part 1\" --listen tcp://127.0.0.1:54879 "
              "--advertise tcp://localhost:54879",
    .options = init_options,
    .run = init_run,
};
