/* The small MNIST subset of tests/data, loaded for a test. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "learning/softmax.h"

struct subset {
    uint8_t *file;         /* image file as read; pixels point into it */
    const uint8_t *pixels; /* [rows × features] */
    uint16_t *labels;      /* [rows] */
    size_t rows;
    size_t features;
};

/* split: "train" or "test". Fails the running test when the files cannot be read. */
struct subset subset_load(const char *split);
void subset_free(struct subset *subset);

/* All rows, ten classes, best kernels, one thread. Borrows the subset. */
struct softmax_problem subset_problem(const struct subset *subset, double l2);
