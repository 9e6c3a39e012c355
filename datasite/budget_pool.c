/* Datasets that were stored before there were pools. */
#include "datasite/budget_parts.h"

#include <stdlib.h>

struct pool_visit {
    struct pool_hasher *hasher;
    size_t row_bytes;
};

static struct error *pool_chunk(void *context, const struct chunk_view *chunk)
{
    struct error *err = NULL;
    const struct pool_visit *visit = context;
    for (size_t row = 0; row < chunk->rows; row++)
        TRY(pool_hasher_add(visit->hasher, chunk->data + row * visit->row_bytes));
done:
    return err;
}

static struct error *pool_dataset(struct store *store, const uint8_t split_key[static 32],
                                  const struct dataset_info *info, int64_t now)
{
    struct error *err = NULL;
    struct pool_visit visit = {.row_bytes =
                                   info->features * (info->kind == DATASET_BYTES ? 1 : sizeof(double))};
    uint8_t(*hashes)[POOL_HASH_BYTES] = NULL;
    int64_t pool = 0;
    TRY(pool_of_dataset(store, info->id, &pool));
    if (pool > 0)
        goto done;
    TRY(pool_hasher_new(split_key, info, &visit.hasher));
    TRY(store_dataset_read(store, info, pool_chunk, &visit));
    size_t count = pool_hasher_take(visit.hasher, &hashes);
    TRY(budget_pool_rows(store, info, hashes, count, now));
done:
    pool_hasher_free(visit.hasher);
    return err;
}

struct error *budget_pooled(struct store *store, bool *ret_pooled)
{
    struct error *err = NULL;
    struct dataset_info *infos = NULL;
    size_t count = 0;
    bool pooled = true;
    TRY(store_dataset_list(store, &infos, &count));
    for (size_t i = 0; pooled && i < count; i++) {
        int64_t pool = 0;
        TRY(pool_of_dataset(store, infos[i].id, &pool));
        pooled = pool > 0;
    }
    *ret_pooled = pooled;
done:
    free(infos);
    return err;
}

struct error *budget_pool_all(struct store *store, const uint8_t split_key[static 32], int64_t now)
{
    struct error *err = NULL;
    struct dataset_info *infos = NULL;
    struct ledger_change change = {.own = false};
    size_t count = 0;
    TRY(ledger_begin(store, &change));
    TRY(store_dataset_list(store, &infos, &count));
    for (size_t i = 0; i < count; i++)
        TRY(pool_dataset(store, split_key, &infos[i], now));
    TRY(ledger_commit(store, &change));
done:
    if (err != NULL)
        ledger_undo(store, &change);
    free(infos);
    return err;
}
