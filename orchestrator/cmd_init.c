#include "orchestrator/commands.h"
#include "orchestrator/home.h"

#include <unistd.h>

extern const struct verb verb_init;

static struct {
    const char *name, *listen;
    bool with_ca;
} init_given;

static const struct option *init_options(void)
{
    static const struct option options[] = {
        {.name = "name",
         .kind = OPTION_TEXT,
         .target = &init_given.name,
         .value = "NAME",
         .help = "what sites see; else \"researcher\""},
        {.name = "listen",
         .kind = OPTION_TEXT,
         .target = &init_given.listen,
         .value = "ENDPOINT",
         .help = "tcp://HOST:PORT, for sites that dial out to here"},
        {.name = "ca",
         .kind = OPTION_FLAG,
         .target = &init_given.with_ca,
         .help = "make a consortium's certificate authority too (also later, in an existing home)"},
        {0},
    };
    return options;
}

/* An authority for an orchestrator that is there already. */
static struct error *add_authority(const char *path, bool *ret_added)
{
    struct error *err = NULL;
    struct home *home = NULL;
    bool added = false;
    err = home_open(path, &home);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        goto done;
    }
    if (err != NULL)
        goto done;
    TRY(home_add_authority(home));
    added = true;
done:
    if (err == NULL)
        *ret_added = added;
    home_free(home);
    return err;
}

static void init_print(const struct invocation *invocation, const struct orchestrator *orchestrator)
{
    const char *home = orchestrator_home(orchestrator);
    (void)printf("The orchestrator \"%s\" is made in %s.\n\n", orchestrator_name(orchestrator), home);
    (void)printf("  Fingerprint  %s\n\n", orchestrator_fingerprint(orchestrator));
    if (init_given.with_ca)
        (void)printf(
            "  Authority    %s/ca/ca.crt: give this file to the sites; issue their certificates with\n"
            "               %s --home %s sites issue REQUEST.pem\n\n",
            home, invocation->program, home);
    (void)printf("Next:\n");
    (void)printf("  %s --home %s invite           prints the line for the sites' owners\n",
                 invocation->program, home);
    (void)printf("  %s --home %s sites add LINE   takes the line of a site (datasite invite)\n",
                 invocation->program, home);
}

static struct error *init_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct orchestrator *orchestrator = NULL;
    struct orchestrator_failure failure;
    bool added = false;
    if (init_given.with_ca)
        TRY(add_authority(invocation->home, &added));
    if (!added &&
        orchestrator_create(invocation->home, init_given.name == NULL ? "researcher" : init_given.name,
                            init_given.listen, init_given.with_ca, &failure) != 0) {
        err = command_failed(&failure);
        goto done;
    }
    if (orchestrator_open(invocation->home, &orchestrator, &failure) != 0) {
        err = command_failed(&failure);
        goto done;
    }
    init_print(invocation, orchestrator);
done:
    orchestrator_close(orchestrator);
    return err;
}

const struct verb verb_init = {
    .name = "init",
    .summary = "Make an orchestrator: its directory, key and settings",
    .arguments = "",
    .detail = "Makes the home directory with an Ed25519 key (readable by its owner only), a certificate,\n"
              "orchestrator.yaml and an empty list of sites. A failure leaves nothing behind; an "
              "orchestrator that\n"
              "is there already is never touched, except that --ca gives it an authority.\n\n"
              "Example:\n"
              "  orchestrator init --name researcher",
    .options = init_options,
    .run = init_run,
};
