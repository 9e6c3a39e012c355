#include "learning/partition.h"

#include <math.h>

#include "learning/matrix.h"
#include "learning/random.h"

/* Within class c, the rows number first[c] to end[c] - 1 (counted in the order of the file) belong to the
 * part. */
struct shares {
    size_t *total; /* rows of each class */
    size_t *seen;  /* rows of each class passed so far */
    size_t *first;
    size_t *end;
};

static struct error *partition_check(const struct partition *partition, const uint16_t *labels, size_t rows,
                                     uint32_t part)
{
    struct error *err = NULL;
    if (partition->parts == 0 || partition->parts > PARTITION_MAX_PARTS)
        FAIL(ERROR_INVALID, "A data set is divided into 1 to %d parts, not into %u.", PARTITION_MAX_PARTS,
             partition->parts);
    if (part >= partition->parts)
        FAIL(ERROR_INVALID, "There is no part %u of %u; parts count from 0.", part, partition->parts);
    if (rows == 0 || rows > MATRIX_MAX_ROWS)
        FAIL(ERROR_INVALID, "A data set to divide has 1 to %zu rows.", MATRIX_MAX_ROWS);
    if (partition->classes == 0 || partition->classes > 65536)
        FAIL(ERROR_INVALID, "A data set to divide has 1 to 65536 classes.");
    if (partition->kind == PARTITION_DIRICHLET && !(partition->alpha >= 0.001 && partition->alpha <= 1e6))
        FAIL(ERROR_INVALID, "alpha of a Dirichlet partition has to be between 0.001 and 1000000.");
    for (size_t i = 0; i < rows; i++)
        if (labels[i] >= partition->classes)
            FAIL(ERROR_INVALID, "The label of row %zu is not one of the %u classes.", i, partition->classes);
done:
    return err;
}

static void partition_iid(const struct partition *partition, size_t rows, uint32_t part, uint32_t *ret_index,
                          size_t *ret_count)
{
    size_t first = (size_t)part * rows / partition->parts;
    size_t end = ((size_t)part + 1) * rows / partition->parts;
    for (size_t row = first; row < end; row++)
        ret_index[row - first] = (uint32_t)row;
    *ret_count = end - first;
}

static void skew_shares(const struct partition *partition, uint32_t part, struct shares *shares)
{
    uint64_t parts = partition->parts;
    uint64_t classes = partition->classes;
    for (uint64_t c = 0; c < classes; c++) {
        uint64_t sharers = 1, place = 0;
        bool holds = c * parts / classes == part;
        if (parts > classes) { /* the parts with p·k/P == c are ceil(c·P/k) to ceil((c+1)·P/k) - 1 */
            uint64_t from = (c * parts + classes - 1) / classes;
            uint64_t to = ((c + 1) * parts + classes - 1) / classes;
            holds = part >= from && part < to;
            sharers = to - from;
            place = part - from;
        }
        shares->first[c] = holds ? shares->total[c] * place / sharers : 0;
        shares->end[c] = holds ? shares->total[c] * (place + 1) / sharers : 0;
    }
}

/* weight = Dirichlet(alpha) over the parts: gamma draws divided by their sum, through logarithms. */
static void dirichlet_draw(struct random *random, double alpha, double *weight, uint32_t parts)
{
    double top = -INFINITY;
    for (uint32_t p = 0; p < parts; p++) {
        weight[p] = random_log_gamma(random, alpha);
        top = fmax(top, weight[p]);
    }
    double sum = 0.0;
    for (uint32_t p = 0; p < parts; p++) {
        weight[p] = exp(weight[p] - top);
        sum += weight[p];
    }
    for (uint32_t p = 0; p < parts; p++)
        weight[p] /= sum;
}

static void dirichlet_shares(const struct partition *partition, uint32_t part, double *weight,
                             struct shares *shares)
{
    for (uint32_t c = 0; c < partition->classes; c++) {
        struct random random = random_stream(partition->seed, RANDOM_PARTITION, c, 0);
        dirichlet_draw(&random, partition->alpha, weight, partition->parts);
        double rows = (double)shares->total[c];
        double before = 0.0;
        for (uint32_t p = 0; p < part; p++)
            before += weight[p];
        shares->first[c] = (size_t)fmin(rows, floor(before * rows));
        shares->end[c] = (size_t)fmin(rows, floor((before + weight[part]) * rows));
        if (part + 1 == partition->parts) /* the sum of all shares is 1 only up to rounding */
            shares->end[c] = shares->total[c];
    }
}

static void shares_deal(struct shares *shares, const uint16_t *labels, size_t rows, uint32_t *ret_index,
                        size_t *ret_count)
{
    size_t count = 0;
    for (size_t row = 0; row < rows; row++) {
        size_t number = shares->seen[labels[row]]++;
        if (number >= shares->first[labels[row]] && number < shares->end[labels[row]])
            ret_index[count++] = (uint32_t)row;
    }
    *ret_count = count;
}

static struct error *partition_by_class(const struct partition *partition, const uint16_t *labels,
                                        size_t rows, uint32_t part, uint32_t *ret_index, size_t *ret_count)
{
    struct error *err = NULL;
    size_t classes = partition->classes;
    double *weight = NULL;
    size_t *numbers = calloc(classes * 4, sizeof(*numbers));
    if (numbers == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to divide %zu classes.", classes);
    struct shares shares = {numbers, numbers + classes, numbers + 2 * classes, numbers + 3 * classes};
    for (size_t row = 0; row < rows; row++)
        shares.total[labels[row]]++;
    if (partition->kind == PARTITION_LABEL_SKEW) {
        skew_shares(partition, part, &shares);
    } else {
        weight = calloc(partition->parts, sizeof(*weight));
        if (weight == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for %u parts.", partition->parts);
        dirichlet_shares(partition, part, weight, &shares);
    }
    shares_deal(&shares, labels, rows, ret_index, ret_count);
done:
    free(weight);
    free(numbers);
    return err;
}

struct error *partition_rows(const struct partition *partition, const uint16_t *labels, size_t rows,
                             uint32_t part, uint32_t *ret_index, size_t *ret_count)
{
    struct error *err = NULL;
    TRY(partition_check(partition, labels, rows, part));
    switch (partition->kind) {
    case PARTITION_IID:
        partition_iid(partition, rows, part, ret_index, ret_count);
        break;
    case PARTITION_LABEL_SKEW:
    case PARTITION_DIRICHLET:
        TRY(partition_by_class(partition, labels, rows, part, ret_index, ret_count));
        break;
    }
done:
    return err;
}
