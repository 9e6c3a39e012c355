#include "orchestrator/commands.h"

extern const struct verb verb_invite;

static struct error *invite_run(const struct invocation *invocation)
{
    struct orchestrator *orchestrator = NULL;
    struct orchestrator_failure failure;
    if (orchestrator_open(invocation->home, &orchestrator, &failure) != 0)
        return command_failed(&failure);
    command_warn(orchestrator);
    (void)printf("%s\n", orchestrator_invitation(orchestrator));
    orchestrator_close(orchestrator);
    return NULL;
}

const struct verb verb_invite = {
    .name = "invite",
    .summary = "Print the line by which a datasite gets to know this orchestrator",
    .arguments = "",
    .detail = "One line: name, address (- if it does not listen), fingerprint. It holds no secret, but send "
              "it over a\n"
              "channel where nobody can exchange it, or compare the fingerprint by telephone. A site's owner "
              "types:\n"
              "datasite trust add LINE\n\n"
              "Example:\n"
              "  orchestrator invite",
    .run = invite_run,
};
