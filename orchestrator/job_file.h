/* A job as it is submitted: the bytes of its file, and for one that gives privacy.target_epsilon and no noise_multiplier, the
 * same bytes with the line noise_multiplier that keeps all of the job within that epsilon (crypto/privacy_plan.h). Owners
 * approve bytes, so the number is in them; the researcher's file itself is not touched. The same file gives the same bytes.
 * ERROR_INVALID when noise_multiplier and target_epsilon do not belong together, or no noise would do. */
#pragma once

#include "schemas/error.h"
#include "schemas/job.h"

#include <stdint.h>

struct job_file {
    uint8_t *bytes; /* as submitted */
    size_t count;
    struct job *job;
    double computed_noise; /* the noise_multiplier that was added; 0: none was */
};

MUST_USE struct error *job_file_read(const char *path, struct job_file *ret_file);
void job_file_clear(struct job_file *file); /* accepts a zeroed one */

/* What a private job's writer should know before it is submitted, "" when there is nothing: delta is large for the number of
 * rows that a site declares (distributed-dp: that all declare together; site-level: for the number of sites). */
#define JOB_FILE_WARNING_BYTES 320
void job_file_warning(const struct job *job, char ret_text[static JOB_FILE_WARNING_BYTES]);
