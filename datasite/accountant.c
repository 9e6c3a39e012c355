#include "datasite/accountant.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct parked {
    struct parked_request request;
    struct account wanted[ACCOUNT_MOST];
    size_t wanted_count;
    bool done;
};

struct accountant {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct store_epsilons *epsilons; /* a share */
    int wake_fd;
    bool running;
    /* Of the socket thread alone: */
    struct account wanted[ACCOUNT_MOST];
    size_t wanted_count;
    /* Under the mutex: oldest first, and done in that order. */
    bool closing;
    struct parked *parked[ACCOUNTANT_WAITING];
    size_t parked_count;
};

static void parked_free(struct parked *parked)
{
    if (parked == NULL)
        return;
    free(parked->request.body);
    free(parked);
}

/* ---- the thread ---- */

static struct parked *parked_waiting(struct accountant *accountant)
{
    for (size_t i = 0; i < accountant->parked_count; i++)
        if (!accountant->parked[i]->done)
            return accountant->parked[i];
    return NULL;
}

/* What cannot be computed is left to the request, which fails for it then. */
static void accountant_compute(const struct accountant *accountant, const struct parked *parked)
{
    for (size_t i = 0; i < parked->wanted_count; i++) {
        double epsilon = 0;
        error_free(account_epsilon(accountant->epsilons, &parked->wanted[i], &epsilon));
    }
}

static void *accountant_thread(void *argument)
{
    struct accountant *accountant = argument;
    (void)pthread_mutex_lock(&accountant->mutex);
    while (!accountant->closing) {
        struct parked *parked = parked_waiting(accountant);
        if (parked == NULL) {
            (void)pthread_cond_wait(&accountant->work, &accountant->mutex);
            continue;
        }
        (void)pthread_mutex_unlock(&accountant->mutex);
        accountant_compute(accountant, parked); /* nobody takes away what is not done */
        (void)pthread_mutex_lock(&accountant->mutex);
        parked->done = true;
        uint64_t one = 1;
        ssize_t written = write(accountant->wake_fd, &one, sizeof(one));
        (void)written; /* a full counter is readable all the same */
    }
    (void)pthread_mutex_unlock(&accountant->mutex);
    return NULL;
}

/* ---- the socket thread ---- */

struct error *accountant_open(struct store_epsilons *epsilons, int wake_fd,
                              struct accountant **ret_accountant)
{
    struct error *err = NULL;
    sigset_t all;
    sigset_t before;
    struct accountant *accountant = calloc(1, sizeof(*accountant));
    if (accountant == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to start.");
    (void)pthread_mutex_init(&accountant->mutex, NULL);
    (void)pthread_cond_init(&accountant->work, NULL);
    accountant->epsilons = store_epsilons_share(epsilons);
    accountant->wake_fd = wake_fd;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the socket thread */
    int failed = pthread_create(&accountant->thread, NULL, accountant_thread, accountant);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        err = error_errno(ERROR_IO, failed, "The thread that accounts for privacy could not be started");
        goto done;
    }
    accountant->running = true;
    *ret_accountant = accountant;
    accountant = NULL;
done:
    accountant_close(accountant);
    return err;
}

void accountant_want(struct accountant *accountant, const struct account *account)
{
    if (accountant->wanted_count < ACCOUNT_MOST)
        accountant->wanted[accountant->wanted_count++] = *account;
}

void accountant_forget(struct accountant *accountant)
{
    accountant->wanted_count = 0;
}

static struct parked *parked_new(const struct accountant *accountant, const struct parked_request *request)
{
    struct parked *parked = calloc(1, sizeof(*parked));
    uint8_t *body = malloc(request->body_bytes + 1);
    if (parked == NULL || body == NULL) {
        free(parked);
        free(body);
        return NULL;
    }
    memcpy(body, request->body, request->body_bytes);
    parked->request = *request;
    parked->request.body = body;
    memcpy(parked->wanted, accountant->wanted, sizeof(parked->wanted));
    parked->wanted_count = accountant->wanted_count;
    return parked;
}

/* Under the mutex. */
static bool parked_has_room(const struct accountant *accountant, const struct parked_request *request)
{
    size_t of_peer = 0, of_lobby = 0;
    for (size_t i = 0; i < accountant->parked_count; i++) {
        const struct parked_request *other = &accountant->parked[i]->request;
        of_peer += site_id_equal(&other->peer, &request->peer);
        of_lobby += !other->listed;
    }
    return accountant->parked_count < ACCOUNTANT_WAITING && of_peer < ACCOUNTANT_OF_PEER &&
           (request->listed || of_lobby < ACCOUNTANT_OF_LOBBY);
}

bool accountant_park(struct accountant *accountant, const struct parked_request *request)
{
    if (accountant->wanted_count == 0)
        return false;
    struct parked *parked = parked_new(accountant, request);
    accountant_forget(accountant);
    if (parked == NULL)
        return false;
    (void)pthread_mutex_lock(&accountant->mutex);
    bool room = parked_has_room(accountant, request);
    if (room) {
        accountant->parked[accountant->parked_count++] = parked;
        (void)pthread_cond_signal(&accountant->work);
    }
    (void)pthread_mutex_unlock(&accountant->mutex);
    if (!room)
        parked_free(parked);
    return room;
}

bool accountant_next(struct accountant *accountant, struct parked_request *ret_request)
{
    (void)pthread_mutex_lock(&accountant->mutex);
    struct parked *first = accountant->parked_count > 0 ? accountant->parked[0] : NULL;
    bool found = first != NULL && first->done;
    if (found) {
        accountant->parked_count--;
        memmove(accountant->parked, accountant->parked + 1,
                accountant->parked_count * sizeof(accountant->parked[0]));
    }
    (void)pthread_mutex_unlock(&accountant->mutex);
    if (!found)
        return false;
    *ret_request = first->request;
    free(first);
    return true;
}

void accountant_close(struct accountant *accountant)
{
    if (accountant == NULL)
        return;
    (void)pthread_mutex_lock(&accountant->mutex);
    accountant->closing = true;
    (void)pthread_cond_broadcast(&accountant->work);
    (void)pthread_mutex_unlock(&accountant->mutex);
    if (accountant->running)
        (void)pthread_join(accountant->thread, NULL);
    for (size_t i = 0; i < accountant->parked_count; i++)
        parked_free(accountant->parked[i]);
    store_epsilons_free(accountant->epsilons);
    (void)pthread_cond_destroy(&accountant->work);
    (void)pthread_mutex_destroy(&accountant->mutex);
    free(accountant);
}
