/* Divides the rows of one data set between sites, for demonstrations, simulations and tests.
 *
 * Every row goes to exactly one part; which one depends on the labels and the options alone, so that each
 * site can cut its own part out of the same file without talking to the others. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "schemas/error.h"

#define PARTITION_MAX_PARTS 100000

enum partition_kind {
    /* Part p of P holds the rows [p·n/P, (p+1)·n/P). Independent and identically distributed when the file is
     * shuffled, as the usual ones are. */
    PARTITION_IID,
    /* Part p of P holds the classes c with c·P/k == p. With more parts than classes, the parts p with p·k/P
     * == c share class c, in runs of equal length. (McMahan et al. 2017, section 3, in its most extreme
     * form.) */
    PARTITION_LABEL_SKEW,
    /* For each class, the shares of the parts are drawn from a symmetric Dirichlet(alpha) and its rows dealt
     * in runs of those lengths. Small alpha: few classes a part. (Yurochkin et al. 2019, arXiv:1905.12022;
     * the measure of heterogeneity of Hsu, Qi and Brown 2019, arXiv:1909.06335.) A part may be empty. */
    PARTITION_DIRICHLET
};

struct partition {
    enum partition_kind kind;
    uint32_t parts;   /* P, 1 to PARTITION_MAX_PARTS */
    uint32_t classes; /* k, 1 to 65536; all labels are below */
    double alpha;     /* PARTITION_DIRICHLET: 0.001 to 1e6 */
    uint64_t seed;    /* PARTITION_DIRICHLET */
};

/* The rows of part `part` (< parts), ascending. labels[rows]; ret_index has room for `rows` numbers,
 * *ret_count is how many were written. ERROR_INVALID for options or labels out of range; both outputs are
 * untouched on failure. */
MUST_USE struct error *partition_rows(const struct partition *partition, const uint16_t *labels, size_t rows,
                                      uint32_t part, uint32_t *ret_index, size_t *ret_count);
