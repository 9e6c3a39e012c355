#include "tests/unit/learning/subset.h"

#include "schemas/files.h"
#include "schemas/idx.h"
#include "tests/unit/cmocka_all.h"

#define SUBSET_MAX_BYTES ((size_t)4 << 20)

static uint8_t *read_idx(const char *split, const char *suffix, enum idx_kind kind, struct idx *ret_idx)
{
    const char *folder = getenv("DATASITE_TEST_DATA");
    char path[4096];
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof(path), "%s/subset-%s-%s", folder == NULL ? "tests/data" : folder, split,
                   suffix);
    struct error *err = file_read(path, SUBSET_MAX_BYTES, &data, &bytes);
    if (err == NULL)
        err = idx_parse(data, bytes, kind, path, ret_idx);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    return data;
}

struct subset subset_load(const char *split)
{
    struct idx images;
    struct idx labels;
    struct subset subset = {.file = read_idx(split, "images.idx3", IDX_IMAGES, &images)};
    uint8_t *label_file = read_idx(split, "labels.idx1", IDX_LABELS, &labels);
    assert_true(images.count == labels.count);
    subset.rows = (size_t)images.count;
    subset.features = (size_t)images.item_bytes;
    subset.pixels = images.items;
    subset.labels = calloc(subset.rows, sizeof(*subset.labels));
    assert_non_null(subset.labels);
    for (size_t i = 0; i < subset.rows; i++)
        subset.labels[i] = labels.items[i];
    free(label_file);
    return subset;
}

void subset_free(struct subset *subset)
{
    free(subset->file);
    free(subset->labels);
}

struct softmax_problem subset_problem(const struct subset *subset, double l2)
{
    return (struct softmax_problem){
        .rows = matrix_of_bytes(subset->pixels, subset->rows, subset->features),
        .labels = subset->labels,
        .classes = 10,
        .l2 = l2,
    };
}
