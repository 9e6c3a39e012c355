#include "datasite/pool_hash.h"

#include "crypto/digest.h"
#include "crypto/secret.h"

#include <stdlib.h>
#include <string.h>

#define POOL_LABEL "FDS-POOL1"
#define POOL_BYTES_FORM 0
#define POOL_NUMBERS_FORM 1

struct pool_hasher {
    struct keyed_digest *keyed;
    enum dataset_kind kind;
    size_t features;
    uint8_t *text; /* the form and the values */
    uint8_t (*hashes)[POOL_HASH_BYTES];
    size_t count, room;
};

struct error *pool_hasher_new(const uint8_t split_key[static 32], const struct dataset_info *info,
                              struct pool_hasher **ret_hasher)
{
    struct error *err = NULL;
    struct keyed_digest *label = NULL;
    struct digest key = {{0}};
    struct pool_hasher *hasher = calloc(1, sizeof(*hasher));
    if (hasher == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to tell rows apart.");
    hasher->kind = info->kind;
    hasher->features = info->features;
    hasher->text = malloc(1 + info->features * sizeof(double));
    if (hasher->text == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to tell rows apart.");
    TRY(keyed_digest_new(split_key, 32, &label));
    TRY(keyed_digest_of(label, POOL_LABEL, sizeof(POOL_LABEL), &key));
    TRY(keyed_digest_new(key.bytes, sizeof(key.bytes), &hasher->keyed));
    *ret_hasher = hasher;
    hasher = NULL;
done:
    secret_wipe(&key, sizeof(key));
    keyed_digest_free(label);
    pool_hasher_free(hasher);
    return err;
}

/* Whether all values are bytes; then they are in the text. */
static bool text_bytes(struct pool_hasher *hasher, const uint8_t *row)
{
    for (size_t i = 0; i < hasher->features; i++) {
        double value;
        memcpy(&value, row + i * sizeof(value), sizeof(value));
        if (!(value >= 0 && value <= 255) || value != (double)(uint8_t)value)
            return false;
        hasher->text[1 + i] = (uint8_t)value;
    }
    hasher->text[0] = POOL_BYTES_FORM;
    return true;
}

static void text_numbers(struct pool_hasher *hasher, const uint8_t *row)
{
    hasher->text[0] = POOL_NUMBERS_FORM;
    for (size_t i = 0; i < hasher->features; i++) {
        double value;
        memcpy(&value, row + i * sizeof(value), sizeof(value));
        value = value == 0 ? 0 : value; /* no zero with a sign */
        memcpy(hasher->text + 1 + i * sizeof(value), &value, sizeof(value));
    }
}

/* Fills the text; how long it is. */
static size_t row_text(struct pool_hasher *hasher, const uint8_t *row)
{
    switch (hasher->kind) {
    case DATASET_BYTES:
        hasher->text[0] = POOL_BYTES_FORM;
        memcpy(hasher->text + 1, row, hasher->features);
        return 1 + hasher->features;
    case DATASET_NUMBERS:
        break;
    }
    if (text_bytes(hasher, row))
        return 1 + hasher->features;
    text_numbers(hasher, row);
    return 1 + hasher->features * sizeof(double);
}

struct error *pool_hasher_add(struct pool_hasher *hasher, const uint8_t *row)
{
    struct error *err = NULL;
    struct digest digest;
    if (hasher->count == hasher->room) {
        size_t room = hasher->room == 0 ? 1024 : 2 * hasher->room;
        void *more = reallocarray(hasher->hashes, room, POOL_HASH_BYTES);
        if (more == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory to tell %zu rows apart.", room);
        hasher->hashes = more;
        hasher->room = room;
    }
    TRY(keyed_digest_of(hasher->keyed, hasher->text, row_text(hasher, row), &digest));
    memcpy(hasher->hashes[hasher->count++], digest.bytes, POOL_HASH_BYTES);
done:
    return err;
}

static int hash_order(const void *a, const void *b)
{
    return memcmp(a, b, POOL_HASH_BYTES);
}

size_t pool_hasher_take(struct pool_hasher *hasher, uint8_t (**ret_hashes)[POOL_HASH_BYTES])
{
    size_t kept = 0;
    if (hasher->count > 0)
        qsort(hasher->hashes, hasher->count, POOL_HASH_BYTES, hash_order);
    for (size_t i = 0; i < hasher->count; i++) {
        if (kept > 0 && memcmp(hasher->hashes[kept - 1], hasher->hashes[i], POOL_HASH_BYTES) == 0)
            continue;
        memmove(hasher->hashes[kept++], hasher->hashes[i], POOL_HASH_BYTES);
    }
    hasher->count = kept;
    *ret_hashes = hasher->hashes;
    return kept;
}

void pool_hasher_free(struct pool_hasher *hasher)
{
    if (hasher == NULL)
        return;
    if (hasher->text != NULL)
        secret_wipe(hasher->text, 1 + hasher->features * sizeof(double));
    keyed_digest_free(hasher->keyed);
    free(hasher->text);
    free(hasher->hashes);
    free(hasher);
}
