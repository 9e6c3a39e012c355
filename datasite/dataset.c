#include "datasite/dataset.h"

#include <sys/mman.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "chunks are little-endian and copied as they are");

/* Rows fill whole huge pages where they are many: a shard of 30000 digits is then written and read through 12
 * entries of the page table instead of 6000. `bytes` is at least 1; NULL without memory. */
#define HUGE_PAGE_BYTES ((size_t)2 << 20)
static void *rows_allocate(size_t bytes)
{
    if (bytes < HUGE_PAGE_BYTES)
        return malloc(bytes);
    size_t whole = (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    void *rows = aligned_alloc(HUGE_PAGE_BYTES, whole);
    if (rows != NULL)
        (void)madvise(rows, whole, MADV_HUGEPAGE); /* without it, ordinary pages do */
    return rows;
}

static struct error *dataset_allocate(const struct dataset_info *info, struct dataset **ret_dataset)
{
    struct error *err = NULL;
    struct dataset *dataset = calloc(1, sizeof(*dataset));
    if (dataset == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to load dataset \"%s\".", info->name);
    dataset->info = *info;
    size_t values = info->rows * info->features;
    if (info->kind == DATASET_BYTES)
        dataset->bytes = rows_allocate(values);
    else
        dataset->numbers = rows_allocate(values * sizeof(float));
    dataset->labels = reallocarray(NULL, info->rows, sizeof(uint16_t));
    dataset->split = reallocarray(NULL, info->rows, sizeof(uint64_t));
    if ((dataset->bytes == NULL && dataset->numbers == NULL) || dataset->labels == NULL ||
        dataset->split == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to load the %llu rows of dataset \"%s\".",
             (unsigned long long)info->rows, info->name);
    *ret_dataset = dataset;
    dataset = NULL;
done:
    dataset_free(dataset);
    return err;
}

static void numbers_narrow(const uint8_t *stored, size_t count, float *ret_numbers)
{
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, stored + i * sizeof(value), sizeof(value));
        ret_numbers[i] = (float)value;
    }
}

/* A dataset being loaded, and the digest of what was read for it. */
struct load {
    struct dataset *dataset;
    struct digest_stream *stream;
    struct digest_stream *early; /* of the first rows; NULL: nobody asks */
    uint64_t early_rows;
};

static struct error *load_add_early(const struct load *load, const struct chunk_view *chunk)
{
    struct chunk_view part = *chunk;
    if (load->early == NULL || chunk->first_row >= load->early_rows)
        return NULL;
    if (part.rows > load->early_rows - part.first_row)
        part.rows = (size_t)(load->early_rows - part.first_row);
    return dataset_digest_add(load->early, &load->dataset->info, &part);
}

/* The store has checked the sizes of the chunk; labels index arrays in training, so they are checked here. */
static struct error *dataset_take_chunk(void *context, const struct chunk_view *chunk)
{
    struct error *err = NULL;
    const struct load *load = context;
    struct dataset *dataset = load->dataset;
    size_t features = dataset->info.features, first = chunk->first_row;
    if (dataset->bytes != NULL)
        memcpy(dataset->bytes + first * features, chunk->data, chunk->rows * features);
    else
        numbers_narrow(chunk->data, chunk->rows * features, dataset->numbers + first * features);
    memcpy(dataset->labels + first, chunk->labels, chunk->rows * sizeof(uint16_t));
    memcpy(dataset->split + first, chunk->split, chunk->rows * sizeof(uint64_t));
    for (size_t row = first; row < first + chunk->rows; row++) {
        if (dataset->labels[row] >= dataset->info.classes)
            return error_new(
                ERROR_CORRUPT,
                "Dataset \"%s\" has a label that is none of its %u classes: restore site.db from a "
                "backup, or remove the dataset and import it again.",
                dataset->info.name, dataset->info.classes);
    }
    TRY(dataset_digest_add(load->stream, &dataset->info, chunk));
    TRY(load_add_early(load, chunk));
done:
    return err;
}

/* Rows that somebody changed in the file are not those that the owner imported and approved. */
static struct error *dataset_check_digest(const struct load *load)
{
    struct error *err = NULL;
    struct digest digest;
    TRY(digest_stream_finish(load->stream, &digest));
    if (!digest_equal(&digest, &load->dataset->info.digest))
        FAIL(ERROR_CORRUPT,
             "The rows of dataset \"%s\" are not those that were imported: restore site.db from a backup, or "
             "remove the dataset and import it again.",
             load->dataset->info.name);
done:
    return err;
}

static struct error *load_start_early(struct load *load, const struct dataset_info *info)
{
    struct dataset_info early = *info;
    if (load->early_rows == 0)
        return NULL;
    if (info->rows < load->early_rows)
        return error_new(ERROR_REFUSED, "The dataset has fewer rows than when the owner approved the job.");
    early.rows = load->early_rows;
    return dataset_digest_start(&early, &load->early);
}

static struct error *load_note_early(struct load *load)
{
    struct error *err = NULL;
    if (load->early == NULL)
        goto done;
    TRY(digest_stream_finish(load->early, &load->dataset->early_digest));
    load->dataset->early_rows = load->early_rows;
done:
    return err;
}

static struct error *load_run(struct store *store, const char *name, uint64_t early_rows,
                              struct dataset **ret_dataset)
{
    struct error *err = NULL;
    struct load load = {.early_rows = early_rows};
    struct dataset_info info;
    /* The rows must be those of the digest in `info`, even if the owner exchanges the dataset right now. */
    store_map(store, true);
    TRY(store_snapshot(store));
    TRY(store_dataset_find(store, name, &info));
    TRY(dataset_allocate(&info, &load.dataset));
    TRY(dataset_digest_start(&info, &load.stream));
    TRY(load_start_early(&load, &info));
    TRY(store_dataset_read(store, &info, dataset_take_chunk, &load));
    TRY(dataset_check_digest(&load));
    TRY(load_note_early(&load));
    *ret_dataset = load.dataset;
    load.dataset = NULL;
done:
    store_snapshot_end(store);
    store_map(store, false);
    digest_stream_free(load.stream);
    digest_stream_free(load.early);
    dataset_free(load.dataset);
    return err;
}

struct error *dataset_load(struct store *store, const char *name, struct dataset **ret_dataset)
{
    return load_run(store, name, 0, ret_dataset);
}

struct error *dataset_load_grown(struct store *store, const char *name, uint64_t early_rows,
                                 struct dataset **ret_dataset)
{
    return load_run(store, name, early_rows, ret_dataset);
}

void dataset_free(struct dataset *dataset)
{
    if (dataset == NULL)
        return;
    free(dataset->bytes);
    free(dataset->numbers);
    free(dataset->labels);
    free(dataset->split);
    free(dataset);
}

/* fraction * 2^64, exact: a double below 1 times a power of two. */
static uint64_t split_threshold(double fraction)
{
    if (!(fraction > 0))
        return 0;
    return fraction >= 1 ? UINT64_MAX : (uint64_t)(fraction * 0x1p64);
}

struct error *dataset_split(const struct dataset *dataset, double test_fraction, uint32_t **ret_train,
                            size_t *ret_train_rows, uint32_t **ret_test, size_t *ret_test_rows)
{
    struct error *err = NULL;
    size_t rows = dataset->info.rows, test_rows = 0, train_rows = 0;
    uint64_t threshold = split_threshold(test_fraction);
    uint32_t *train = reallocarray(NULL, rows, sizeof(*train));
    uint32_t *test = reallocarray(NULL, rows, sizeof(*test));
    if (train == NULL || test == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to split the %zu rows of dataset \"%s\".", rows,
             dataset->info.name);
    for (size_t row = 0; row < rows; row++) {
        if (dataset->split[row] < threshold)
            test[test_rows++] = (uint32_t)row;
        else
            train[train_rows++] = (uint32_t)row;
    }
    *ret_train = train;
    *ret_train_rows = train_rows;
    *ret_test = test;
    *ret_test_rows = test_rows;
    train = test = NULL;
done:
    free(train);
    free(test);
    return err;
}
