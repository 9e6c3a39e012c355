#include "console/verbs.h"

extern const struct verb verb_version;

static struct error *version_run(const struct invocation *invocation)
{
    (void)printf("%s %s\n", invocation->program, DATASITE_VERSION);
    return NULL;
}

const struct verb verb_version = {
    .name = "version",
    .summary = "Print the version",
    .arguments = "",
    .detail = "Example:\n  datasite version",
    .run = version_run,
    .needs_home = verbs_no_home,
};
