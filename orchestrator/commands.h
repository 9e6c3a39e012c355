/* What the verbs' files share; for main.c and cmd_*.c only. The verbs are thin: what they do is in
 * orchestrator.h and in the files of this room. */
#pragma once

#include "console/verbs.h"
#include "orchestrator/orchestrator.h"

/* The library's failure as the program's error. */
static inline struct error *command_failed(const struct orchestrator_failure *failure)
{
    return error_new((enum error_code)failure->code, "%s", failure->sentence);
}

static inline void command_warn(const struct orchestrator *orchestrator)
{
    if (orchestrator_warning(orchestrator) != NULL)
        (void)fprintf(stderr, "%s\n", orchestrator_warning(orchestrator));
}

/* `privacy plan JOB.yaml` (cmd_privacy_job.c): what the job itself costs, and together with events of before. */
MUST_USE struct error *privacy_job_print(const char *path, const struct option_texts *events, bool json);
