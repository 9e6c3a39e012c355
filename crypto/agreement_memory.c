#include "crypto/agreement_memory.h"

#include <pthread.h>

#define WAYS 8 /* a pair may be in one of so many places */

struct kept {
    struct agreement_pair pair;
    uint8_t shared[AGREEMENT_KEY_BYTES];
    uint64_t number; /* in the order that they were kept, from 1; 0: the place is free */
    uint64_t age;    /* of the memory when it was kept */
};

struct agreement_memory {
    pthread_mutex_t mutex;
    unsigned sharers; /* besides the first; under the mutex, as all of the rest */
    size_t places;
    struct kept *kept; /* [places] */
    uint64_t number, age;
};

struct error *agreement_memory_new(size_t places, struct agreement_memory **ret_memory)
{
    struct error *err = NULL;
    struct agreement_memory *memory = NULL;
    if (places == 0 || places % WAYS != 0)
        FAIL(ERROR_INVALID, "A memory of what keys agreed on has a multiple of %d places.", WAYS);
    memory = calloc(1, sizeof(*memory));
    if (memory != NULL)
        (void)pthread_mutex_init(&memory->mutex, NULL);
    if (memory != NULL)
        memory->kept = calloc(places, sizeof(*memory->kept));
    if (memory == NULL || memory->kept == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to remember %zu agreements.", places);
    memory->places = places;
    *ret_memory = memory;
    memory = NULL;
done:
    agreement_memory_free(memory);
    return err;
}

struct agreement_memory *agreement_memory_share(struct agreement_memory *memory)
{
    (void)pthread_mutex_lock(&memory->mutex);
    memory->sharers++;
    (void)pthread_mutex_unlock(&memory->mutex);
    return memory;
}

void agreement_memory_free(struct agreement_memory *memory)
{
    if (memory == NULL)
        return;
    (void)pthread_mutex_lock(&memory->mutex);
    bool last = memory->sharers == 0;
    memory->sharers -= last ? 0 : 1;
    (void)pthread_mutex_unlock(&memory->mutex);
    if (!last)
        return;
    (void)pthread_mutex_destroy(&memory->mutex);
    if (memory->kept != NULL)
        secret_wipe(memory->kept, memory->places * sizeof(*memory->kept));
    free(memory->kept);
    free(memory);
}

/* The first of the places that a pair may be in: the same for both orders. Public keys are as good as random; whoever
 * chooses one to crowd a place makes sites compute again, and no more. */
static struct kept *places_of(struct agreement_memory *memory, const struct agreement_pair *pair)
{
    uint64_t one, other;
    memcpy(&one, pair->one, sizeof(one));
    memcpy(&other, pair->other, sizeof(other));
    return memory->kept + (one ^ other) % (memory->places / WAYS) * WAYS;
}

static bool pair_same(const struct agreement_pair *a, const struct agreement_pair *b)
{
    bool straight = memcmp(a->one, b->one, AGREEMENT_KEY_BYTES) == 0 &&
                    memcmp(a->other, b->other, AGREEMENT_KEY_BYTES) == 0;
    bool crossed = memcmp(a->one, b->other, AGREEMENT_KEY_BYTES) == 0 &&
                   memcmp(a->other, b->one, AGREEMENT_KEY_BYTES) == 0;
    return (straight || crossed) && a->slot == b->slot &&
           memcmp(a->run_id, b->run_id, AGREEMENT_MEMORY_RUN_BYTES) == 0;
}

bool agreement_memory_find(struct agreement_memory *memory, const struct agreement_pair *pair,
                           uint8_t ret_shared[static AGREEMENT_KEY_BYTES])
{
    bool found = false;
    (void)pthread_mutex_lock(&memory->mutex);
    const struct kept *kept = places_of(memory, pair);
    for (size_t i = 0; i < WAYS && !found; i++) {
        found = kept[i].number != 0 && pair_same(&kept[i].pair, pair);
        if (found)
            memcpy(ret_shared, kept[i].shared, AGREEMENT_KEY_BYTES);
    }
    (void)pthread_mutex_unlock(&memory->mutex);
    return found;
}

void agreement_memory_keep(struct agreement_memory *memory, const struct agreement_pair *pair,
                           const uint8_t shared[static AGREEMENT_KEY_BYTES])
{
    (void)pthread_mutex_lock(&memory->mutex);
    struct kept *kept = places_of(memory, pair), *place = kept;
    for (size_t i = 1; i < WAYS; i++)
        if (kept[i].number < place->number)
            place = &kept[i];
    place->pair = *pair;
    memcpy(place->shared, shared, AGREEMENT_KEY_BYTES);
    place->number = ++memory->number;
    place->age = memory->age;
    (void)pthread_mutex_unlock(&memory->mutex);
}

void agreement_memory_forget(struct agreement_memory *memory,
                             const uint8_t run_id[static AGREEMENT_MEMORY_RUN_BYTES], uint32_t slot)
{
    (void)pthread_mutex_lock(&memory->mutex);
    for (size_t i = 0; i < memory->places; i++) {
        struct kept *kept = &memory->kept[i];
        if (kept->number != 0 && kept->pair.slot <= slot &&
            memcmp(kept->pair.run_id, run_id, AGREEMENT_MEMORY_RUN_BYTES) == 0)
            secret_wipe(kept, sizeof(*kept));
    }
    (void)pthread_mutex_unlock(&memory->mutex);
}

void agreement_memory_age(struct agreement_memory *memory)
{
    (void)pthread_mutex_lock(&memory->mutex);
    memory->age++;
    for (size_t i = 0; i < memory->places; i++)
        if (memory->kept[i].number != 0 && memory->kept[i].age + 1 < memory->age)
            secret_wipe(&memory->kept[i], sizeof(memory->kept[i]));
    (void)pthread_mutex_unlock(&memory->mutex);
}
