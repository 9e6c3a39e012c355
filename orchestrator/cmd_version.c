#include "orchestrator/commands.h"

extern const struct verb verb_version;

static struct error *version_run(const struct invocation *invocation)
{
    (void)printf("%s %s\n", invocation->program, orchestrator_version());
    return NULL;
}

const struct verb verb_version = {
    .name = "version",
    .summary = "Print the version",
    .arguments = "",
    .detail = "Example:\n  orchestrator version",
    .run = version_run,
    .needs_home = verbs_no_home,
};
