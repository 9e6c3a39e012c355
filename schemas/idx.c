#include "schemas/idx.h"

#define IDX_MAX_ITEMS (UINT64_C(1) << 31)
#define IDX_MAX_ITEM_BYTES (UINT64_C(1) << 20)

static const struct {
    uint32_t magic;
    uint64_t header_bytes;
    const char *word;
} idx_kinds[] = {
    [IDX_IMAGES] = {0x00000803, 16, "images"},
    [IDX_LABELS] = {0x00000801, 8, "labels"},
};

static uint32_t idx_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Names what the file is instead, as far as its first bytes tell. */
static struct error *idx_check_magic(const uint8_t *data, uint64_t bytes, enum idx_kind kind,
                                     const char *where)
{
    const char *wanted = idx_kinds[kind].word;
    if (bytes >= 2 && data[0] == 0x1f && data[1] == 0x8b)
        return error_new(ERROR_INVALID, "%s is compressed with gzip; unpack it first: gunzip %s", where,
                         where);
    if (bytes < 4)
        return error_new(ERROR_INVALID, "%s is truncated: %llu bytes are not an IDX file of %s.", where,
                         (unsigned long long)bytes, wanted);
    uint32_t magic = idx_u32(data);
    if (magic == idx_kinds[kind].magic)
        return NULL;
    enum idx_kind other = kind == IDX_IMAGES ? IDX_LABELS : IDX_IMAGES;
    if (magic == idx_kinds[other].magic)
        return error_new(ERROR_INVALID, "%s is an IDX file of %s; a file of %s is needed here.", where,
                         idx_kinds[other].word, wanted);
    return error_new(ERROR_INVALID, "%s is not an IDX file of %s: it begins with %08x instead of %08x.",
                     where, wanted, (unsigned)magic, (unsigned)idx_kinds[kind].magic);
}

static struct error *idx_check_size(uint64_t bytes, uint64_t expected, const char *where)
{
    if (bytes == expected)
        return NULL;
    return error_new(ERROR_INVALID, "%s is %s: its header announces %llu bytes, the file has %llu.", where,
                     bytes < expected ? "truncated" : "oversized", (unsigned long long)expected,
                     (unsigned long long)bytes);
}

struct error *idx_parse(const uint8_t *data, uint64_t bytes, enum idx_kind kind, const char *where,
                        struct idx *ret_idx)
{
    struct error *err = NULL;
    struct idx idx = {.rows = 1, .columns = 1};
    uint64_t header = idx_kinds[kind].header_bytes;
    TRY(idx_check_magic(data, bytes, kind, where));
    if (bytes < header)
        FAIL(ERROR_INVALID, "%s is truncated: its header has %llu bytes, the file has %llu.", where,
             (unsigned long long)header, (unsigned long long)bytes);
    idx.count = idx_u32(data + 4);
    if (kind == IDX_IMAGES) {
        idx.rows = idx_u32(data + 8);
        idx.columns = idx_u32(data + 12);
    }
    idx.item_bytes = (uint64_t)idx.rows * idx.columns;
    if (idx.count < 1 || idx.count > IDX_MAX_ITEMS || idx.item_bytes < 1 ||
        idx.item_bytes > IDX_MAX_ITEM_BYTES)
        FAIL(ERROR_INVALID,
             "%s announces %llu items of %u x %u bytes; 1 to 2147483648 items of 1 to 1048576 bytes are "
             "possible.",
             where, (unsigned long long)idx.count, (unsigned)idx.rows, (unsigned)idx.columns);
    /* At most 2^31 * 2^20 + 16, so nothing overflows. */
    TRY(idx_check_size(bytes, header + idx.count * idx.item_bytes, where));
    idx.items = data + header;
    *ret_idx = idx;
done:
    return err;
}
