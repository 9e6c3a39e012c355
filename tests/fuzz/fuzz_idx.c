/* Any bytes as an IDX file: refused, or items that lie within the bytes to the last one. */
#include "schemas/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_within(const uint8_t *data, size_t size, enum idx_kind kind)
{
    struct idx idx;
    struct error *err = idx_parse(data, size, kind, "file.idx", &idx);
    if (err != NULL) {
        error_free(err);
        return;
    }
    if (idx.items <= data || idx.items + idx.count * idx.item_bytes != data + size)
        abort();
    if (idx.item_bytes != (uint64_t)idx.rows * idx.columns)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    expect_within(data, size, IDX_IMAGES);
    expect_within(data, size, IDX_LABELS);
    return 0;
}
