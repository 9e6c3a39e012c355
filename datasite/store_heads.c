#include "datasite/store_heads.h"

#include <pthread.h>

#define HEADS_PLACES 8

struct store_heads {
    pthread_mutex_t mutex;
    unsigned sharers; /* besides the first; under the mutex, as what follows */
    struct chain_head places[HEADS_PLACES];
    size_t count; /* ever put; the place is this modulo HEADS_PLACES */
};

struct error *store_heads_new(struct store_heads **ret_heads)
{
    struct store_heads *heads = calloc(1, sizeof(*heads));
    if (heads == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to open the site's database.");
    (void)pthread_mutex_init(&heads->mutex, NULL);
    *ret_heads = heads;
    return NULL;
}

struct store_heads *store_heads_share(struct store_heads *heads)
{
    (void)pthread_mutex_lock(&heads->mutex);
    heads->sharers++;
    (void)pthread_mutex_unlock(&heads->mutex);
    return heads;
}

void store_heads_free(struct store_heads *heads)
{
    if (heads == NULL)
        return;
    (void)pthread_mutex_lock(&heads->mutex);
    bool last = heads->sharers == 0;
    heads->sharers -= last ? 0 : 1;
    (void)pthread_mutex_unlock(&heads->mutex);
    if (!last)
        return;
    (void)pthread_mutex_destroy(&heads->mutex);
    free(heads);
}

bool store_heads_has(struct store_heads *heads, const struct chain_head *head)
{
    bool found = false;
    (void)pthread_mutex_lock(&heads->mutex);
    size_t count = heads->count < HEADS_PLACES ? heads->count : HEADS_PLACES;
    for (size_t i = 0; i < count && !found; i++)
        found = heads->places[i].sequence == head->sequence &&
                digest_equal(&heads->places[i].hash, &head->hash) &&
                site_id_equal(&heads->places[i].site, &head->site);
    (void)pthread_mutex_unlock(&heads->mutex);
    return found;
}

void store_heads_put(struct store_heads *heads, const struct chain_head *head)
{
    (void)pthread_mutex_lock(&heads->mutex);
    heads->places[heads->count++ % HEADS_PLACES] = *head;
    (void)pthread_mutex_unlock(&heads->mutex);
}
