/* What the job*.c files share. Nobody else includes it. */
#pragma once

#include "schemas/document.h"
#include "schemas/job.h"

/* The keys of `secure_aggregation`, into struct job; they say what one value may be. */
extern const struct document_key job_secure_keys[];

void job_secure_defaults(struct job *job);
/* What the values must be together, once all of the file is read: with the number of sites, metrics, rounds and
 * min_sites; fills what the file leaves open (threshold, metrics). */
MUST_USE struct error *job_secure_settle(const struct document_value *root, struct job *job);
