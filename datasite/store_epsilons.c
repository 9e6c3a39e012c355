#include "datasite/store_epsilons.h"

#include <pthread.h>
#include <stdlib.h>

struct store_epsilons {
    pthread_mutex_t mutex;
    unsigned sharers; /* besides the first; under the mutex, as what follows */
    struct {
        struct digest what;
        double epsilon;
    } places[STORE_EPSILONS];
    size_t count; /* ever put; the place is this modulo STORE_EPSILONS */
};

struct error *store_epsilons_new(struct store_epsilons **ret_epsilons)
{
    struct store_epsilons *epsilons = calloc(1, sizeof(*epsilons));
    if (epsilons == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to open the site's database.");
    (void)pthread_mutex_init(&epsilons->mutex, NULL);
    *ret_epsilons = epsilons;
    return NULL;
}

struct store_epsilons *store_epsilons_share(struct store_epsilons *epsilons)
{
    (void)pthread_mutex_lock(&epsilons->mutex);
    epsilons->sharers++;
    (void)pthread_mutex_unlock(&epsilons->mutex);
    return epsilons;
}

void store_epsilons_free(struct store_epsilons *epsilons)
{
    if (epsilons == NULL)
        return;
    (void)pthread_mutex_lock(&epsilons->mutex);
    bool last = epsilons->sharers == 0;
    epsilons->sharers -= last ? 0 : 1;
    (void)pthread_mutex_unlock(&epsilons->mutex);
    if (!last)
        return;
    (void)pthread_mutex_destroy(&epsilons->mutex);
    free(epsilons);
}

bool store_epsilons_has(struct store_epsilons *epsilons, const struct digest *what, double *ret_epsilon)
{
    bool found = false;
    (void)pthread_mutex_lock(&epsilons->mutex);
    size_t count = epsilons->count < STORE_EPSILONS ? epsilons->count : STORE_EPSILONS;
    for (size_t i = 0; i < count && !found; i++) {
        found = digest_equal(&epsilons->places[i].what, what);
        if (found)
            *ret_epsilon = epsilons->places[i].epsilon;
    }
    (void)pthread_mutex_unlock(&epsilons->mutex);
    return found;
}

void store_epsilons_put(struct store_epsilons *epsilons, const struct digest *what, double epsilon)
{
    (void)pthread_mutex_lock(&epsilons->mutex);
    size_t place = epsilons->count++ % STORE_EPSILONS;
    epsilons->places[place].what = *what;
    epsilons->places[place].epsilon = epsilon;
    (void)pthread_mutex_unlock(&epsilons->mutex);
}
