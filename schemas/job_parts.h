/* What the job*.c files share. Nobody else includes it. */
#pragma once

#include "schemas/document.h"
#include "schemas/job.h"

/* Readers that fill several members get the whole structure. */
#define JOB_WHOLE .offset = 0, .bytes = sizeof(struct job)

/* The keys of `secure_aggregation`, into struct job; they say what one value may be. */
extern const struct document_key job_secure_keys[];

void job_secure_defaults(struct job *job);
/* What the values must be together, once all of the file is read: with the number of sites, metrics, rounds and
 * min_sites; fills what the file leaves open (threshold, metrics). */
MUST_USE struct error *job_secure_settle(const struct document_value *root, struct job *job);

/* The same of `privacy` and `features`; after job_secure_settle. */
extern const struct document_key job_privacy_keys[];
extern const struct document_key job_features_keys[];
MUST_USE struct error *job_privacy_settle(const struct document_value *root, struct job *job);
MUST_USE struct error *job_features_settle(const struct document_value *root, struct job *job);
/* The first of `paths` (ends with NULL) that the file has. */
bool job_find_any(const struct document_value *root, const char *const *paths,
                  struct document_value *ret_value);
