#include "datasite/chain_start.h"

#include "schemas/clock.h"
#include "schemas/files.h"

#include <inttypes.h>

#define CHAIN_START_RESTORE                                                                                  \
    "Somebody changed the file. Nothing is done: see datasite audit list, and restore site.db from a "       \
    "backup."

/* Whether the event is what its hash was made of, and the hash is signed: then its kind, its digest and its place are
 * the site's own words. */
static struct error *chain_start_check_event(const struct identity *identity,
                                             const struct event_beginning *event)
{
    struct error *err = NULL;
    uint8_t key[PUBLIC_KEY_BYTES];
    if (!digest_equal(&event->computed, &event->head.hash))
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64 " was edited: what it says, or what came before it, is not what its hash was "
             "made of. " CHAIN_START_RESTORE,
             event->head.sequence);
    identity_public_key(identity, key);
    if (event->has_signature)
        err = chain_head_verify(key, &event->head, event->signature);
    if (!event->has_signature || (err != NULL && err->code == ERROR_UNTRUSTED)) {
        error_free(err);
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64
             " was not written by this site: its signature does not hold. " CHAIN_START_RESTORE,
             event->head.sequence);
    }
done:
    return err;
}

/* Whether this first signed event, which holds, is one that a chain begins with. */
static bool chain_start_is_beginning(const struct event_beginning *event)
{
    return (event->created && event->head.sequence == 1) ||
           (event->started && digest_equal(&event->digest, &event->previous));
}

/* The events against the statement. */
static struct error *chain_start_compare(const struct identity *identity, const struct chain_head *beginning,
                                         const struct event_beginning *event)
{
    struct error *err = NULL;
    uint64_t first = beginning->sequence + 1;
    if (event->events == 0)
        FAIL(ERROR_UNTRUSTED,
             "Truncated: there are no events at all in site.db, and this site signed one when "
             "it was made. " CHAIN_START_RESTORE);
    if (!event->found || event->head.sequence > first)
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64
             " was edited: its hash or its signature is gone, or the event itself; by keys/" CHAIN_START_FILE
             " this site signed every event from event %" PRIu64 " on. " CHAIN_START_RESTORE,
             first, first);
    if (event->head.sequence < first || !digest_equal(&event->previous, &beginning->hash))
        FAIL(ERROR_UNTRUSTED,
             "The events before event %" PRIu64
             ", from before events were signed, are not those that keys/" CHAIN_START_FILE
             " states. " CHAIN_START_RESTORE,
             first);
    TRY(chain_start_check_event(identity, event));
    if (!chain_start_is_beginning(event))
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64
             ", the first that is signed, is none that a chain begins with. " CHAIN_START_RESTORE,
             first);
done:
    return err;
}

static struct error *chain_start_write(const char *path, const struct identity *identity,
                                       const struct event_beginning *event)
{
    struct error *err = NULL;
    const struct chain_head beginning = {*identity_id(identity), event->head.sequence - 1, event->previous};
    uint8_t bytes[CHAIN_BEGINNING_BYTES];
    TRY(chain_beginning_sign(identity, &beginning, bytes));
    TRY(file_write(path, bytes, sizeof(bytes), 0600));
done:
    return err;
}

/* There is no file. */
static struct error *chain_start_make(const char *path, enum store_mode mode, const struct identity *identity,
                                      struct store *store, struct event_beginning *event)
{
    struct error *err = NULL;
    if (!event->found && event->made_with_chain)
        FAIL(ERROR_UNTRUSTED,
             "%s is missing, and no event in site.db is signed, though this site signed each from the first "
             "on: somebody changed the files. Nothing is done: restore both from a backup.",
             path);
    if (!event->found && mode == STORE_READ)
        return NULL;
    if (!event->found) {
        TRY(store_chain_adopt(store, clock_now_ms() / 1000));
        TRY(store_chain_beginning(store, event));
    }
    TRY(chain_start_check_event(identity, event));
    if (!chain_start_is_beginning(event))
        FAIL(ERROR_UNTRUSTED,
             "%s is missing, and event %" PRIu64
             ", the first in site.db that is signed, is none that a chain begins with: somebody changed the "
             "files. Nothing is done: restore both from a backup.",
             path, event->head.sequence);
    if (mode != STORE_READ)
        TRY(chain_start_write(path, identity, event));
    store_chain_begun(store);
done:
    return err;
}

static struct error *chain_start_read(const char *path, const struct identity *identity, bool *ret_found,
                                      struct chain_head *ret_beginning)
{
    struct error *err = NULL;
    uint8_t key[PUBLIC_KEY_BYTES], *bytes = NULL;
    size_t count = 0;
    err = file_read(path, CHAIN_BEGINNING_BYTES, &bytes, &count);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_free(err);
        *ret_found = false;
        return NULL;
    }
    if (err != NULL)
        goto done;
    identity_public_key(identity, key);
    err = chain_beginning_read(key, bytes, count, ret_beginning);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        FAIL(
            ERROR_UNTRUSTED,
            "%s is not this site's: its key did not sign these bytes. Nothing is done: restore the file from "
            "a backup.",
            path);
    }
    *ret_found = true;
done:
    free(bytes);
    return err;
}

struct error *chain_start_check(const char *keys_path, enum store_mode mode, const struct identity *identity,
                                struct store *store)
{
    struct error *err = NULL;
    char *path = NULL;
    struct chain_head beginning;
    struct event_beginning event;
    bool found = false;
    TRY(path_join(keys_path, CHAIN_START_FILE, &path));
    TRY(chain_start_read(path, identity, &found, &beginning));
    TRY(store_chain_beginning(store, &event));
    if (found) {
        TRY(chain_start_compare(identity, &beginning, &event));
        store_chain_begun(store);
    } else {
        TRY(chain_start_make(path, mode, identity, store, &event));
    }
done:
    free(path);
    return err;
}
