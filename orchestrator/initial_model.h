/* The model that round 1 starts from, as the job's model.init says.
 *
 *     zeros       every coefficient and intercept is 0
 *     seeded      learning/softmax.h's initialiser with the job's seed
 *     sha256:HEX  a file whose SHA-256 is HEX, given beside the job: safetensors with F64 tensors "coef"
 *                 [classes][features] and "intercept" [classes] (as runs leave it), or the bare float64
 * values, little-endian, coef row by row and then intercept; in a job with secure aggregation HEX is of those values
 * alone, whichever way the file has them
 *
 * Made in two steps, because a file can be refused before any site is asked, while the shape is known only
 * when the sites have said it. safetensors: https://github.com/huggingface/safetensors#format */
#pragma once

#include "schemas/error.h"
#include "schemas/job.h"

#include <stdint.h>

#define INITIAL_MODEL_MAX_BYTES (256u * 1024u * 1024u)

struct initial_model;

/* `path` is the file of --init-model, NULL for none. ERROR_USAGE when the job names a file and none is given,
 * or the other way round; ERROR_UNTRUSTED when its SHA-256 is another. Borrows `job` until
 * initial_model_free. */
MUST_USE struct error *initial_model_open(const struct job *job, const char *path,
                                          struct initial_model **ret_initial);
void initial_model_free(struct initial_model *initial); /* accepts NULL */

/* *ret_parameters: (features + 1) * classes values, malloc'ed. ERROR_INVALID when the file has another shape,
 * or a value that is not finite. */
MUST_USE struct error *initial_model_make(const struct initial_model *initial, uint64_t features,
                                          uint32_t classes, double **ret_parameters);
