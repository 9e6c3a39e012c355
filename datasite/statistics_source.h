/* Where the statistics of `features: {kind: standardize}` come from, in a private job: from a job of this site whose model was
 * feature-statistics, on the same dataset, under a mechanism of privacy, and which released something. Numbers that were
 * computed of the rows in any other way would tell what the budget never paid for. The numbers themselves are in the job's
 * bytes: the requester has them already, whatever they are. */
#pragma once

#include "datasite/store.h"
#include "schemas/job.h"

/* ERROR_REFUSED with what is missing; nothing to check for a job of other features, or without privacy. */
MUST_USE struct error *statistics_source_check(struct store *store, const struct job *job);
