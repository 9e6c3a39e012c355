#include "console/verbs.h"
#include "datasite/home.h"
#include "schemas/clock.h"
#include "schemas/invitation.h"

extern const struct verb verb_invite;

static void invite_warn(const struct identity *identity)
{
    char sentence[512];
    if (home_certificate_warning(identity, clock_now_ms() / 1000, sentence, sizeof(sentence)))
        (void)fprintf(stderr, "%s\n", sentence);
}

static struct error *invite_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct invitation invitation = {.kind = NODE_DATASITE};
    char *line = NULL;
    TRY(home_open(invocation->home, &home));
    TRY(identity_load(home->keys_path, &identity));
    const struct node_config *config = home->config;
    const char *endpoint = config->advertise[0] != '\0' ? config->advertise : config->listen;
    (void)snprintf(invitation.node.name, sizeof(invitation.node.name), "%s", config->name);
    (void)snprintf(invitation.node.endpoint, sizeof(invitation.node.endpoint), "%s", endpoint);
    site_id_format(identity_id(identity), invitation.node.fingerprint);
    err = error_prefix(invitation_format(&invitation, &line),
                       "Others cannot reach this site at what site.yaml says; set advertise there");
    if (err != NULL)
        goto done;
    invite_warn(identity);
    (void)printf("%s\n", line);
done:
    free(line);
    identity_free(identity);
    home_free(home);
    return err;
}

const struct verb verb_invite = {
    .name = "invite",
    .summary = "Print the line by which a researcher gets to know this site",
    .arguments = "",
    .detail = "One line: name, address, fingerprint. It holds no secret, but send it over a channel where "
              "nobody can\n"
              "exchange it, or compare the fingerprint by telephone. The researcher types: orchestrator "
              "sites add LINE\n\n"
              "Example:\n"
              "  datasite invite",
    .run = invite_run,
};
