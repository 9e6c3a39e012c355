#include "datasite/mock.h"

#include "crypto/secret.h"
#include "learning/random.h"

#include <math.h>

#define MOCK_DEVIATION (1.0 / 6) /* of a value, as a part of its range */
#define MOCK_PATTERN_MOST 0.25
#define MOCK_COLUMN_BITS 64.0
#define MOCK_KEY_BYTES 32

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "rows are stored little-endian, and written as they are");

static size_t mock_row_bytes(const struct mock_plan *plan)
{
    return plan->features * (plan->kind == DATASET_BYTES ? sizeof(uint8_t) : sizeof(double));
}

/* ---- drawing ---- */

static double mock_value(const struct mock_range *range, double position)
{
    double value = range->low + position * (range->high - range->low);
    return range->kind == MOCK_INTEGER ? round(value) : value;
}

void mock_row(const struct mock_plan *plan, uint32_t row, uint32_t attempt, uint8_t *ret_data,
              uint16_t *ret_label)
{
    struct random drawn = random_stream(plan->seed, RANDOM_MOCK, row + 1, attempt);
    uint32_t label = random_below(&drawn, plan->classes);
    struct random pattern = random_stream(plan->pattern, RANDOM_MOCK, 0, label);
    double spread =
        fmin(MOCK_SEPARATION * MOCK_DEVIATION / sqrt(2.0 * (double)plan->features), MOCK_PATTERN_MOST);
    double mean = plan->kind == DATASET_BYTES ? MOCK_BYTES_MEAN : 0.5;
    for (size_t j = 0; j < plan->features; j++) {
        double centre = mean + spread * random_normal(&pattern);
        double position = fmin(fmax(centre + MOCK_DEVIATION * random_normal(&drawn), 0), 1);
        if (plan->kind == DATASET_BYTES) {
            ret_data[j] = (uint8_t)lround(position * UINT8_MAX);
        } else {
            double value = mock_value(&plan->ranges[j], position);
            memcpy(ret_data + j * sizeof(value), &value, sizeof(value));
        }
    }
    *ret_label = (uint16_t)label;
}

struct error *mock_pattern(const struct dataset_info *info, uint64_t *ret_pattern)
{
    struct error *err = NULL;
    struct digest digest;
    char text[160];
    int length =
        snprintf(text, sizeof(text), "mock %s %d %llu %u", info->name, info->kind == DATASET_BYTES ? 0 : 1,
                 (unsigned long long)info->features, info->classes);
    TRY(digest_of(text, (size_t)length, &digest));
    memcpy(ret_pattern, digest.bytes, sizeof(*ret_pattern));
done:
    return err;
}

static double range_bits(const struct mock_range *range)
{
    if (range->kind == MOCK_INTEGER)
        return log2(range->high - range->low + 1);
    return range->high > range->low ? MOCK_COLUMN_BITS : 0;
}

double mock_domain_bits(const struct mock_plan *plan)
{
    double bits = 0;
    if (plan->kind == DATASET_BYTES)
        return 8.0 * (double)plan->features;
    for (size_t j = 0; j < plan->features; j++)
        bits += range_bits(&plan->ranges[j]);
    return bits;
}

/* ---- making ---- */

/* One private or mock row under a key, with what it takes to find the mock row again. */
struct mock_mark {
    struct digest digest;
    uint32_t row;
};

struct mock_work {
    const struct mock_plan *plan;
    size_t row_bytes;
    uint32_t rows;
    uint8_t *data;           /* [rows][row_bytes] */
    uint8_t *labels;         /* [rows] u16 little-endian */
    struct mock_mark *marks; /* [rows], by digest */
    bool *exists;            /* [rows]: a private row has these features */
    uint8_t *plain;          /* one row */
    struct keyed_digest *keyed;
};

static void mock_work_clear(struct mock_work *work)
{
    keyed_digest_free(work->keyed);
    free(work->data);
    free(work->labels);
    free(work->marks);
    free(work->exists);
    free(work->plain);
}

static struct error *mock_work_make(const struct mock_plan *plan, uint32_t rows, struct mock_work *work)
{
    struct error *err = NULL;
    uint8_t key[MOCK_KEY_BYTES];
    work->plan = plan;
    work->rows = rows;
    work->row_bytes = mock_row_bytes(plan);
    work->data = malloc(rows * work->row_bytes);
    work->labels = malloc(rows * sizeof(uint16_t));
    work->marks = calloc(rows, sizeof(*work->marks));
    work->exists = calloc(rows, sizeof(*work->exists));
    work->plain = malloc(work->row_bytes);
    if (work->data == NULL || work->labels == NULL || work->marks == NULL || work->exists == NULL ||
        work->plain == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a mock dataset of %u rows.", rows);
    TRY(secret_random(key, sizeof(key)));
    TRY(keyed_digest_new(key, sizeof(key), &work->keyed));
done:
    secret_wipe(key, sizeof(key));
    return err;
}

static void mock_draw(struct mock_work *work, uint32_t row, uint32_t attempt)
{
    uint16_t label = 0;
    mock_row(work->plan, row, attempt, work->data + row * work->row_bytes, &label);
    memcpy(work->labels + row * sizeof(label), &label, sizeof(label));
}

/* Of the features as numbers: -0 is 0. */
static struct error *mock_digest_row(struct mock_work *work, const uint8_t *row, struct digest *ret_digest)
{
    if (work->plan->kind == DATASET_BYTES)
        return keyed_digest_of(work->keyed, row, work->row_bytes, ret_digest);
    for (size_t at = 0; at < work->row_bytes; at += sizeof(double)) {
        double value;
        memcpy(&value, row + at, sizeof(value));
        value += 0.0;
        memcpy(work->plain + at, &value, sizeof(value));
    }
    return keyed_digest_of(work->keyed, work->plain, work->row_bytes, ret_digest);
}

static int mark_compare(const void *a, const void *b)
{
    return memcmp(((const struct mock_mark *)a)->digest.bytes, ((const struct mock_mark *)b)->digest.bytes,
                  DIGEST_BYTES);
}

static struct error *mock_mark_rows(struct mock_work *work)
{
    struct error *err = NULL;
    for (uint32_t row = 0; row < work->rows; row++) {
        work->marks[row].row = row;
        work->exists[row] = false;
        TRY(mock_digest_row(work, work->data + row * work->row_bytes, &work->marks[row].digest));
    }
    qsort(work->marks, work->rows, sizeof(*work->marks), mark_compare);
done:
    return err;
}

/* Mock rows that are alike stand side by side. */
static void mock_note(struct mock_work *work, const struct mock_mark *wanted)
{
    struct mock_mark *last = work->marks + work->rows;
    struct mock_mark *found = bsearch(wanted, work->marks, work->rows, sizeof(*work->marks), mark_compare);
    if (found == NULL)
        return;
    while (found > work->marks && mark_compare(found - 1, wanted) == 0)
        found--;
    for (; found < last && mark_compare(found, wanted) == 0; found++)
        work->exists[found->row] = true;
}

static struct error *mock_visit(void *context, const struct chunk_view *chunk)
{
    struct error *err = NULL;
    struct mock_work *work = context;
    struct mock_mark mark;
    for (size_t row = 0; row < chunk->rows; row++) {
        TRY(mock_digest_row(work, chunk->data + row * work->row_bytes, &mark.digest));
        mock_note(work, &mark);
    }
done:
    return err;
}

/* Draws anew what exists, until nothing does. */
static struct error *mock_part_from(struct mock_work *work, struct store *store,
                                    const struct dataset_info *info)
{
    struct error *err = NULL;
    uint32_t redrawn = 0, found = 1;
    for (uint32_t attempt = 1; found > 0; attempt++) {
        found = 0;
        TRY(mock_mark_rows(work));
        TRY(store_dataset_read(store, info, mock_visit, work));
        for (uint32_t row = 0; row < work->rows; row++) {
            if (!work->exists[row])
                continue;
            found++;
            if (++redrawn > MOCK_MAX_REDRAWS)
                FAIL(ERROR_REFUSED,
                     "More than %d rows that were drawn exist in \"%s\". Leaving them out would tell which "
                     "rows the "
                     "dataset has, so no mock dataset was made; wider ranges may help (--ranges).",
                     MOCK_MAX_REDRAWS, info->name);
            mock_draw(work, row, attempt);
        }
    }
done:
    return err;
}

static struct error *mock_check(const struct mock_plan *plan, const struct dataset_info *info, uint64_t rows)
{
    uint64_t row_bytes = mock_row_bytes(plan);
    uint64_t most = MOCK_MAX_BYTES / row_bytes < MOCK_MAX_ROWS ? MOCK_MAX_BYTES / row_bytes : MOCK_MAX_ROWS;
    if (rows < 1 || rows > most)
        return error_new(ERROR_LIMIT, "A mock dataset of \"%s\" has 1 to %llu rows, of %llu bytes each.",
                         info->name, (unsigned long long)most, (unsigned long long)row_bytes);
    if (mock_domain_bits(plan) < MOCK_DOMAIN_BITS)
        return error_new(
            ERROR_REFUSED,
            "The values that are allowed in \"%s\" make fewer than 2^%d different rows. In so few, the rows "
            "that are left out because they exist would tell which rows the dataset has, so no mock "
            "dataset was made; wider ranges, or kind: real, may help (--ranges).",
            info->name, MOCK_DOMAIN_BITS);
    return NULL;
}

/* The range of every column; a name that no column has is the owner's slip. */
static struct error *mock_find_ranges(struct store *store, const struct dataset_info *info,
                                      const struct mock_ranges *ranges, struct mock_range *ret_found)
{
    struct error *err = NULL;
    bool *used = calloc(ranges->column_count + 1, sizeof(*used));
    if (used == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the ranges.");
    for (uint64_t j = 0; j < info->features; j++) {
        char name[STORE_COLUMN_BYTES];
        TRY(store_dataset_column(store, info->id, j, name));
        ret_found[j] = mock_ranges_find(ranges, name);
        for (size_t i = 0; i < ranges->column_count; i++)
            used[i] |= strcmp(ranges->columns[i].name, name) == 0;
    }
    for (size_t i = 0; i < ranges->column_count; i++)
        if (!used[i])
            FAIL(ERROR_INVALID, "The ranges name a column \"%s\", which \"%s\" does not have.",
                 ranges->columns[i].name, info->name);
done:
    free(used);
    return err;
}

static struct error *mock_plan_make(struct store *store, const struct dataset_info *info,
                                    const struct mock_ranges *ranges, uint64_t seed,
                                    struct mock_range **ret_found, struct mock_plan *ret_plan)
{
    struct error *err = NULL;
    struct mock_range *found = NULL;
    uint64_t pattern = 0;
    if (info->kind == DATASET_NUMBERS) {
        found = calloc(info->features, sizeof(*found));
        if (found == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for the ranges.");
        TRY(mock_find_ranges(store, info, ranges, found));
    }
    TRY(mock_pattern(info, &pattern));
    *ret_plan = (struct mock_plan){.kind = info->kind,
                                   .features = info->features,
                                   .classes = info->classes,
                                   .ranges = found,
                                   .pattern = pattern,
                                   .seed = seed};
    *ret_found = found;
    found = NULL;
done:
    free(found);
    return err;
}

/* What is compared is of one moment; store_mock_put checks that the dataset is still that one. */
static struct error *mock_prepare(struct store *store, const struct dataset_info *info,
                                  const struct mock_plan *plan, uint64_t rows, struct mock_work *work)
{
    struct error *err = NULL;
    TRY(mock_check(plan, info, rows));
    TRY(mock_work_make(plan, (uint32_t)rows, work));
    for (uint32_t row = 0; row < rows; row++)
        mock_draw(work, row, 0);
    TRY(mock_part_from(work, store, info));
done:
    return err;
}

struct error *mock_make(struct store *store, const char *dataset, const struct mock_ranges *ranges,
                        uint64_t rows, uint64_t seed, int64_t now)
{
    struct error *err = NULL;
    struct dataset_info info;
    struct mock_range *found = NULL;
    struct mock_plan plan;
    struct mock_work work = {.data = NULL};
    TRY(store_snapshot(store));
    TRY(store_dataset_find(store, dataset, &info));
    TRY(mock_plan_make(store, &info, ranges, seed, &found, &plan));
    TRY(mock_prepare(store, &info, &plan, rows, &work));
    store_snapshot_end(store);
    struct mock_info mock = {.source = info.digest,
                             .kind = info.kind,
                             .rows = rows,
                             .features = info.features,
                             .classes = info.classes,
                             .made_at = now};
    (void)snprintf(mock.dataset, sizeof(mock.dataset), "%s", info.name);
    TRY(store_mock_put(store, &mock, work.data, work.labels));
done:
    store_snapshot_end(store);
    mock_work_clear(&work);
    free(found);
    return err;
}
