/* The rows that an approval is about, in memory: the very rows that were approved, or those and what was added behind
 * them, when the owner allows growth. */
#pragma once

#include "datasite/approval.h"
#include "datasite/dataset.h"

/* Whether what is in memory (NULL: nothing) is what the approval is about. */
bool dataset_serves(const struct dataset *dataset, const struct approval *approval);
/* Loads the dataset of the approval as it is now; checks every row against its digest, and the first
 * decision.dataset_rows rows against the approved one when it has grown: ERROR_REFUSED. */
MUST_USE struct error *dataset_load_approved(struct store *store, const struct approval *approval,
                                             struct dataset **ret_dataset);
