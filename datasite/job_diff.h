/* What differs between two jobs, key by key in the words of the job file. Every field of struct job is looked at; those
 * that mean nothing with the job's optimizer, features or mechanism are equal. Sites are told apart by their fingerprints. */
#pragma once

#include "schemas/error.h"
#include "schemas/job.h"

#include <stdbool.h>
#include <stddef.h>

#define DIFF_KEY_BYTES 112
#define DIFF_VALUE_BYTES 2100

struct job_change {
    char key[DIFF_KEY_BYTES];                               /* "federation.rounds", "sites sha256:…" */
    char before[DIFF_VALUE_BYTES], after[DIFF_VALUE_BYTES]; /* "-": there is none */
};

/* From `before` to `after`, in the order of the job file. Freed with free. */
MUST_USE struct error *job_diff(const struct job *before, const struct job *after,
                                struct job_change **ret_changes, size_t *ret_count);
