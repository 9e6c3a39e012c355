/* Mock datasets: synthetic rows in the form of a dataset, on which a researcher can try a job before anybody approves
 * it.
 *
 * They are drawn from the dataset's public shape (kind, features, classes), from ranges that the owner gives, and from
 * a random seed. Nothing is learned from the private rows: neither ranges, nor means, nor how often a class occurs.
 * Each class has a pattern of its own, so that a job has something to learn. It is drawn from the dataset's name and
 * public shape alone: sites that hold the same dataset have the same patterns, and learn together.
 *
 *     position of feature j in its range  =  m + p(class, j) + z/6,  cut to [0, 1]
 *     m = 1/2 for numbers, MOCK_BYTES_MEAN for bytes, which are mostly dark in images
 *     p ~ Normal(0, s²), s = MOCK_SEPARATION / (6 sqrt(2 features)), at most 1/4;  z ~ Normal(0, 1);  any class alike
 *
 * so that the patterns of two classes are about MOCK_SEPARATION deviations apart, whatever the number of features.
 *
 * No private row is among them. Every one is compared with all private rows by its features, whatever the label, and
 * drawn again when there is such a one. Where that could happen often, the rows that are missing would themselves tell
 * which ones exist: so a dataset whose allowed values make fewer than 2^MOCK_DOMAIN_BITS different rows gets no mock
 * dataset, and neither does one of which more than MOCK_MAX_REDRAWS drawn rows exist. */
#pragma once

#include "datasite/store_mock.h"
#include "schemas/mock_ranges.h"
#include "schemas/wire.h"

#define MOCK_ROWS 1000
#define MOCK_MAX_ROWS WIRE_MOCK_MAX_ROWS
#define MOCK_MAX_BYTES ((uint64_t)WIRE_MOCK_MAX_BYTES) /* of the rows, without labels */
#define MOCK_SEPARATION 6.0
#define MOCK_BYTES_MEAN 0.2
#define MOCK_DOMAIN_BITS 48
#define MOCK_MAX_REDRAWS 8

struct mock_plan {
    enum dataset_kind kind;
    size_t features;
    uint32_t classes;
    const struct mock_range *ranges; /* [features]; not read for DATASET_BYTES, which are 0 to 255 */
    uint64_t pattern;                /* seed of the classes' patterns: mock_pattern */
    uint64_t seed;                   /* of the rows */
};

/* Row `row` as it was drawn for the `attempt`-th time (0, 1, …): features as they are stored, u8 or float64
 * (little-endian), and the class. Pure. */
void mock_row(const struct mock_plan *plan, uint32_t row, uint32_t attempt, uint8_t *ret_data,
              uint16_t *ret_label);

/* The seed that all sites with a dataset of this name and shape have in common. */
MUST_USE struct error *mock_pattern(const struct dataset_info *info, uint64_t *ret_pattern);

/* The number of different rows that the plan allows, as a logarithm to base 2; at most 64 a column. Pure. */
double mock_domain_bits(const struct mock_plan *plan);

/* Makes `rows` rows for the dataset and stores them (store_mock_put). `ranges` count for a dataset of numbers only. Writes
 * nothing when it fails. ERROR_LIMIT for too many rows; ERROR_REFUSED for a domain that is too small, or too many rows
 * that exist; ERROR_INVALID when the ranges name a column that the dataset does not have. */
MUST_USE struct error *mock_make(struct store *store, const char *dataset, const struct mock_ranges *ranges,
                                 uint64_t rows, uint64_t seed, int64_t now);
