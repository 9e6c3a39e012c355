/* What the files behind orchestrator.h share; for orchestrator*.c only. */
#pragma once

#include "orchestrator/orchestrator.h"
#include "orchestrator/run.h"

struct orchestrator_run {
    struct run run;
    char id[RUN_ID_HEX_BYTES];
    char job_id[DIGEST_HEX_BYTES];
};
