/* Confusion matrices: counts [k × k], row-major, row = true class, column = predicted class. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "schemas/error.h"

/* Adds one prediction; both classes < classes. */
static inline void metrics_count(uint64_t *confusion, size_t classes, size_t truth, size_t predicted)
{
    confusion[truth * classes + predicted]++;
}

/* Counts `count` predictions against labels of the same positions: overwrites ret_confusion. ERROR_INVALID
 * when a label or a prediction is not below `classes`. */
MUST_USE struct error *metrics_confusion(const uint16_t *labels, const uint16_t *predicted, size_t count,
                                         size_t classes, uint64_t *ret_confusion);

/* total += part, element by element. ERROR_LIMIT, and total untouched, when a count would overflow. */
MUST_USE struct error *metrics_add(uint64_t *total, const uint64_t *part, size_t classes);

/* How many predictions were counted, and how many of them were right. */
uint64_t metrics_total(const uint64_t *confusion, size_t classes);
uint64_t metrics_correct(const uint64_t *confusion, size_t classes);

/* Share of right predictions, 0 to 1; NaN when nothing was counted, so that no caller mistakes it for 0. */
double metrics_accuracy(const uint64_t *confusion, size_t classes);
