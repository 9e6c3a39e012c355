/* A list of nodes in a file: [{name, fingerprint, endpoint}]; the sites of a job, the orchestrators that a
 * site dials.
 *
 * Names and fingerprints in one list differ, so that neither a person nor a program can take one node for
 * another. */
#pragma once

#include "schemas/document.h"
#include "schemas/job.h"

/* Reads `first` to `last` nodes; `dialled`: every node needs an endpoint, else it may be absent or null (""
 * then). *ret_nodes is malloc'ed (NULL for none). */
MUST_USE struct error *roster_read(const struct document_value *list, size_t first, size_t last, bool dialled,
                                   struct job_site **ret_nodes, size_t *ret_count);
