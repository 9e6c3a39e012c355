/* Counts of predictions for a private job: what one row adds depends on that row and the model alone.
 *
 * softmax_confusion computes blocks of rows, whose rounding may depend on where in a block a row stands, and refuses when a
 * number is not finite. Here every row is one sum in double precision, in one order, so that adding or removing a row
 * changes exactly one count by one, or none: the sensitivity on which the noise rests (Euclidean norm 1). */
#pragma once

#include "learning/softmax.h"

/* ret_counts [k × k], row = true class, column = predicted class, over the selected rows, of which there may be none. A row
 * whose logits are not finite, or whose label is none of the classes, counts nowhere: refusing would itself tell. ERROR_INVALID
 * and ERROR_LIMIT for a shape, ERROR_NUMERIC for parameters, ERROR_MEMORY; never about a row. */
MUST_USE struct error *private_counts(const struct softmax_problem *problem, const double *parameters,
                                      uint64_t *ret_counts);
