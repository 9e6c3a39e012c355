/* MNIST's rows from its four uncompressed IDX files, or the small subset of them that the tests have. Header only. */
#pragma once

#include "schemas/files.h"
#include "schemas/idx.h"
#include "tests/bench/stopwatch.h"

#define MNIST_SIDE 28
#define MNIST_FEATURES (MNIST_SIDE * MNIST_SIDE)
#define MNIST_CLASSES 10
#define MNIST_MAX_FILE_BYTES ((size_t)64 << 20)

enum mnist_part { MNIST_TRAIN, MNIST_TEST };

struct mnist {
    uint8_t *file;
    const uint8_t *pixels; /* [count × MNIST_FEATURES] */
    uint16_t *labels;
    size_t count;
};

static inline uint8_t *mnist_file(const char *folder, const char *name, enum idx_kind kind,
                                  struct idx *ret_idx)
{
    char path[4096];
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    stopwatch_must(file_read(path, MNIST_MAX_FILE_BYTES, &data, &bytes));
    stopwatch_must(idx_parse(data, bytes, kind, path, ret_idx));
    return data;
}

/* The program ends when the files are not there. */
static inline struct mnist mnist_read(const char *folder, bool subset, enum mnist_part part)
{
    static const char *const images_names[2][2] = {{"train-images-idx3-ubyte", "subset-train-images.idx3"},
                                                   {"t10k-images-idx3-ubyte", "subset-test-images.idx3"}};
    static const char *const labels_names[2][2] = {{"train-labels-idx1-ubyte", "subset-train-labels.idx1"},
                                                   {"t10k-labels-idx1-ubyte", "subset-test-labels.idx1"}};
    struct idx images;
    struct idx labels;
    struct mnist rows = {.file = mnist_file(folder, images_names[part][subset], IDX_IMAGES, &images)};
    uint8_t *label_file = mnist_file(folder, labels_names[part][subset], IDX_LABELS, &labels);
    if (images.count != labels.count || images.item_bytes != MNIST_FEATURES)
        stopwatch_must(error_new(ERROR_INVALID, "%s does not hold the MNIST files.", folder));
    rows.pixels = images.items;
    rows.count = (size_t)images.count;
    rows.labels = stopwatch_must_have(calloc(rows.count, sizeof(*rows.labels)));
    for (size_t i = 0; i < rows.count; i++)
        rows.labels[i] = labels.items[i];
    free(label_file);
    return rows;
}

static inline void mnist_free(struct mnist *rows)
{
    free(rows->file);
    free(rows->labels);
}
