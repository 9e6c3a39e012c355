#include "tests/unit/datasite/freed.h"

#include "tests/unit/cmocka_all.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static struct {
    uint64_t pieces[FREED_PIECES];
    atomic_size_t count, found;
} freed;

void __real_free(void *block);
void __wrap_free(void *block);

void __wrap_free(void *block)
{
    size_t count = atomic_load(&freed.count);
    if (block != NULL && count > 0) {
        size_t bytes = malloc_usable_size(block);
        bool has = false;
        for (size_t i = 0; i < count && !has; i++)
            has = memmem(block, bytes, &freed.pieces[i], sizeof(freed.pieces[i])) != NULL;
        if (has)
            atomic_fetch_add(&freed.found, 1);
    }
    __real_free(block);
}

void freed_reset(void)
{
    atomic_store(&freed.count, 0);
    atomic_store(&freed.found, 0);
}

void freed_look_for(const void *secret, size_t bytes)
{
    size_t count = atomic_load(&freed.count);
    for (size_t at = 0; at < bytes; at += sizeof(freed.pieces[0])) {
        assert_true(count < FREED_PIECES);
        memcpy(&freed.pieces[count++], (const uint8_t *)secret + at, sizeof(freed.pieces[0]));
    }
    atomic_store(&freed.count, count);
}

size_t freed_found(void)
{
    return atomic_load(&freed.found);
}
