/* The counts of one answer as they leave: what the owner's output rules let out, small ones withheld
 * (datasite/suppress.h). Used by release.c alone. */
#pragma once

#include "datasite/release.h"

/* Cleared with release_counts_clear. */
struct release_counts {
    uint64_t *cells; /* [classes][classes], WIRE_WITHHELD among them; NULL: none leave */
    size_t cell_count;
    uint64_t test_rows, correct; /* or WIRE_WITHHELD */
    double train_accuracy;       /* or WIRE_WITHHELD_REAL */
    /* For the owner: what stays here, without a count of rows: "14 of 100 cells withheld, accuracy withheld"; "" when
     * everything leaves. */
    char withheld[RELEASE_WITHHELD_BYTES];
};

/* Of an evaluation, or of the test rows of an update: `confusion` [classes][classes] adds up to test_rows. Without
 * `confusion` among the metrics, and below min_rows, no count leaves at all. */
MUST_USE struct error *release_counts_make(const struct policy_output *output, const uint64_t *confusion,
                                           size_t classes, uint64_t test_rows,
                                           struct release_counts *ret_counts);
/* Sets train_accuracy: withheld when the metrics lack it, or fewer than min_cell rows are right, or wrong; to three
 * decimals when the number of rows stays here. */
void release_counts_train(struct release_counts *counts, const struct policy_output *output, uint64_t correct,
                          uint64_t rows);
/* Appends what leaves to the text of an event: ", training accuracy, 89 of 100 counts of the test rows, right answers".
 * Nothing of what is withheld is named. */
void release_counts_describe(const struct release_counts *counts, size_t text_bytes, char *text);
void release_counts_clear(struct release_counts *counts);
