#include "console/verbs.h"
#include "datasite/home_vault.h"
#include "schemas/clock.h"

#include <unistd.h>

extern const struct verb verb_init;

static struct {
    const char *name, *listen, *advertise, *key_file;
    bool encrypt, key_stdin;
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
        {.name = "encrypt",
         .kind = OPTION_FLAG,
         .target = &init_given.encrypt,
         .help = "keep rows encrypted; asks for a passphrase, unless one of these says otherwise:"},
        {.name = "key-file",
         .kind = OPTION_TEXT,
         .target = &init_given.key_file,
         .value = "FILE",
         .help = "the key is in FILE; made (0600) if it is not there"},
        {.name = "key-stdin",
         .kind = OPTION_FLAG,
         .target = &init_given.key_stdin,
         .help = "the key is a line of standard input, 64 hexadecimal digits"},
        {0},
    };
    return options;
}

static void init_print(const struct invocation *invocation, const struct home *home, const char *fingerprint)
{
    (void)printf("The site \"%s\" is made in %s.\n\n", home->config->name, home->path);
    (void)printf("  Fingerprint  %s\n", fingerprint);
    if (init_given.encrypt)
        (void)printf("  Encrypted    %s: without it the rows are lost\n",
                     init_given.key_file != NULL ? init_given.key_file
                     : init_given.key_stdin      ? "by the key on standard input"
                                                 : "by your passphrase");
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

/* The secret comes first, so that a failure leaves no site in clear; a key file that was made for nothing goes again. */
static struct error *init_encrypted(const struct invocation *invocation, struct home **ret_home)
{
    struct error *err = NULL;
    struct vault_choice choice;
    struct vault_secret secret = {.count = 0};
    struct vault_record record;
    struct vault *vault = NULL;
    bool made = false;
    TRY(home_vault_choice(init_given.key_file, false, init_given.key_stdin, VAULT_FROM_PASSPHRASE, &choice));
    TRY(home_secret_choose(&choice, &secret, &made));
    TRY(home_vault_make(&choice, &secret, clock_now_ms() / 1000, &vault, &record));
    TRY(home_create_encrypted(invocation->home, init_given.name, init_given.listen, init_given.advertise,
                              &record, ret_home));
    made = false;
done:
    if (made)
        (void)unlink(choice.key_file);
    vault_free(vault);
    vault_secret_wipe(&secret);
    return err;
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
    if (!init_given.encrypt && (init_given.key_file != NULL || init_given.key_stdin))
        FAIL(ERROR_USAGE, "--key-file and --key-stdin say how rows are encrypted: add --encrypt.");
    TRY(init_given.encrypt
            ? init_encrypted(invocation, &home)
            : home_create(invocation->home, init_given.name, init_given.listen, init_given.advertise, &home));
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
    .detail =
        "Makes the home directory with an Ed25519 key (readable by its owner only), a self-signed "
        "certificate,\n"
        "site.yaml, a policy.yaml that asks the owner about everything, and an empty site.db. A "
        "failure leaves\n"
        "nothing behind; a site that is there already is never touched.\n\n"
        "With --encrypt rows are kept under AES-256-GCM. Put the key file on another disk than the home: "
        "beside\n"
        "the data it protects only against who gets site.db alone. With a passphrase or --key-stdin, serve,\n"
        "import and data --check ask, or read a line from standard input.\n\n"
        "Example:\n"
        "  datasite init --name \"MNIST Part 1\" --listen tcp://127.0.0.1:54879 "
        "--advertise tcp://localhost:54879\n"
        "  datasite init --name \"Ward 3\" --encrypt --key-file /media/owner/ward3.key",
    .options = init_options,
    .run = init_run,
};
