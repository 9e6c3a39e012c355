/* What the files behind orchestrator.h share; for orchestrator*.c only. */
#pragma once

#include "orchestrator/orchestrator.h"
#include "orchestrator/run.h"
#include "orchestrator/site_probe.h"

struct orchestrator {
    struct home *home;
    struct identity *identity;
    struct site_list *sites;
    char fingerprint[FINGERPRINT_BYTES];
    char *invitation;
    char *warning; /* or NULL */
};

struct orchestrator_run {
    struct run run;
    char id[RUN_ID_HEX_BYTES];
    char job_id[DIGEST_HEX_BYTES];
};

/* The ids of a run whose record is there, as text. */
void orchestrator_run_name(struct orchestrator_run *run);
/* Fills in the failure, which may be NULL, and consumes the error: 0 or -1, as the functions of orchestrator.h. */
int orchestrator_report(struct error *err, struct orchestrator_failure *failure);
/* Whom a session of this orchestrator admits: sites that are listed or in the job (may be NULL), and what the authority
 * vouches for. *ret_ids is to be freed by the caller. */
MUST_USE struct error *orchestrator_whom_to_trust(const struct orchestrator *orchestrator,
                                                  const struct job *job, struct site_id **ret_ids,
                                                  struct session_trust *ret_trust);
/* Marks the sites of runs of this home that go on: a second connection of our key would throw such a run off its sites.
 * Runs on mock data ask for their rows alone and do not count. */
MUST_USE struct error *orchestrator_mark_in_run(const struct orchestrator *orchestrator,
                                                struct site_probe *probes, size_t count);
MUST_USE struct error *orchestrator_open_for_probe(const struct orchestrator *orchestrator,
                                                   const struct session_trust *trust,
                                                   struct session **ret_session);
