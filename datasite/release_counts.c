#include "datasite/release_counts.h"

#include "datasite/suppress.h"
#include "schemas/wire.h"

#include <math.h>

#define COUNTS_ACCURACY_STEPS 1000.0

/* Adds to what stays here. */
static void counts_withhold(struct release_counts *counts, const char *what)
{
    size_t used = strlen(counts->withheld);
    (void)snprintf(counts->withheld + used, sizeof(counts->withheld) - used, "%s%s", used > 0 ? ", " : "",
                   what);
}

static bool counts_leave(const struct policy_output *output, uint64_t test_rows)
{
    return (output->metrics & POLICY_METRIC_CONFUSION) != 0 && test_rows >= output->min_rows;
}

static struct error *counts_fill(struct release_counts *counts, const uint64_t *confusion, size_t classes,
                                 uint64_t min_cell)
{
    struct error *err = NULL;
    struct suppression suppression;
    char text[64];
    counts->cell_count = classes * classes;
    counts->cells = calloc(counts->cell_count, sizeof(*counts->cells));
    if (counts->cells == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a confusion matrix.");
    TRY(suppress_confusion(confusion, classes, min_cell, counts->cells, &suppression));
    counts->test_rows = suppression.test_rows;
    counts->correct = suppression.correct;
    (void)snprintf(text, sizeof(text), "%zu of %zu cells withheld", suppression.cells, counts->cell_count);
    if (suppression.cells > 0)
        counts_withhold(counts, text);
    if (suppression.correct == WIRE_WITHHELD)
        counts_withhold(counts, "accuracy withheld");
done:
    return err;
}

struct error *release_counts_make(const struct policy_output *output, const uint64_t *confusion,
                                  size_t classes, uint64_t test_rows, struct release_counts *ret_counts)
{
    struct error *err = NULL;
    struct release_counts counts = {
        .test_rows = WIRE_WITHHELD, .correct = WIRE_WITHHELD, .train_accuracy = WIRE_WITHHELD_REAL};
    if (counts_leave(output, test_rows))
        TRY(counts_fill(&counts, confusion, classes, output->min_cell));
    else
        counts_withhold(&counts, "all counts of the test rows withheld");
    *ret_counts = counts;
    counts.cells = NULL;
done:
    free(counts.cells);
    return err;
}

/* An exact fraction gives its denominator away, which is the number of training rows. */
static double counts_accuracy(const struct policy_output *output, uint64_t correct, uint64_t rows)
{
    double accuracy = (double)correct / (double)rows;
    if ((output->metrics & POLICY_METRIC_EXAMPLES) != 0)
        return accuracy;
    return nearbyint(accuracy * COUNTS_ACCURACY_STEPS) / COUNTS_ACCURACY_STEPS;
}

void release_counts_train(struct release_counts *counts, const struct policy_output *output, uint64_t correct,
                          uint64_t rows)
{
    bool allowed = (output->metrics & POLICY_METRIC_TRAIN_ACCURACY) != 0;
    if (!allowed || rows == 0 || correct < output->min_cell || rows - correct < output->min_cell) {
        counts->train_accuracy = WIRE_WITHHELD_REAL;
        counts_withhold(counts, "training accuracy withheld");
    } else {
        counts->train_accuracy = counts_accuracy(output, correct, rows);
    }
}

void release_counts_describe(const struct release_counts *counts, size_t text_bytes, char *text)
{
    size_t leave = 0, used = strlen(text);
    for (size_t i = 0; i < counts->cell_count; i++)
        leave += counts->cells[i] != WIRE_WITHHELD;
    if (counts->train_accuracy != WIRE_WITHHELD_REAL)
        used += (size_t)snprintf(text + used, text_bytes - used, ", training accuracy");
    if (counts->test_rows != WIRE_WITHHELD && used < text_bytes)
        used +=
            (size_t)snprintf(text + used, text_bytes - used,
                             ", number of test rows, %zu of %zu counts of them", leave, counts->cell_count);
    if (counts->correct != WIRE_WITHHELD && used < text_bytes)
        (void)snprintf(text + used, text_bytes - used, ", right answers");
}

void release_counts_clear(struct release_counts *counts)
{
    free(counts->cells);
    memset(counts, 0, sizeof(*counts));
}
