#include "audit/chain_walk.h"

#include <inttypes.h>

#define CHAIN_FIRST_KIND "site-created"

struct error *chain_walk_start_after(const uint8_t public_key[static PUBLIC_KEY_BYTES], uint64_t sequence,
                                     const struct digest *previous, struct chain_walk *ret_walk)
{
    struct error *err = NULL;
    struct chain_walk walk = {.sequence = sequence, .hash = *previous};
    memcpy(walk.public_key, public_key, PUBLIC_KEY_BYTES);
    TRY(site_id_of_key(public_key, &walk.site));
    *ret_walk = walk;
done:
    return err;
}

struct error *chain_walk_start(const uint8_t public_key[static PUBLIC_KEY_BYTES], struct chain_walk *ret_walk)
{
    struct error *err = NULL;
    struct site_id site;
    struct digest start;
    TRY(site_id_of_key(public_key, &site));
    TRY(chain_start(&site, &start));
    TRY(chain_walk_start_after(public_key, 0, &start, ret_walk));
done:
    return err;
}

static struct error *chain_walk_number(struct chain_walk *walk, uint64_t sequence)
{
    uint64_t next = walk->sequence + 1;
    if (sequence == next)
        return NULL;
    if (sequence < next) {
        walk->fault = CHAIN_ORDER;
        return error_new(ERROR_UNTRUSTED, "Event %" PRIu64 " comes after event %" PRIu64 ": reordered.",
                         sequence, walk->sequence);
    }
    walk->fault = CHAIN_GAP;
    if (sequence - next == 1)
        return error_new(ERROR_UNTRUSTED,
                         "Event %" PRIu64 " was removed: after event %" PRIu64 " comes event %" PRIu64 ".",
                         next, walk->sequence, sequence);
    return error_new(ERROR_UNTRUSTED,
                     "Events %" PRIu64 " to %" PRIu64 " were removed: after event %" PRIu64
                     " comes event %" PRIu64 ".",
                     next, sequence - 1, walk->sequence, sequence);
}

static struct error *chain_walk_bare(struct chain_walk *walk, uint64_t sequence)
{
    if (!walk->hashed) {
        walk->bare++;
        return NULL;
    }
    walk->fault = CHAIN_BARE;
    return error_new(ERROR_UNTRUSTED,
                     "Event %" PRIu64 " was edited: its hash or its signature is gone; this site wrote every "
                     "event from event %" PRIu64 " on with both.",
                     sequence, walk->bare + 1);
}

/* The first event with a hash, behind events without one: the site must have stated that these are they. */
static struct error *chain_walk_stated(struct chain_walk *walk, const struct chain_event *event)
{
    bool is_statement = strcmp(event->kind, CHAIN_STARTED_KIND) == 0 && event->digest != NULL &&
                        digest_equal(event->digest, &walk->hash);
    if (walk->bare == 0 || is_statement)
        return NULL;
    walk->fault = CHAIN_UNSTATED;
    return error_new(ERROR_UNTRUSTED,
                     "Events %" PRIu64 " to %" PRIu64 " were edited: they have no hash, and event %" PRIu64
                     " is not this site's statement (" CHAIN_STARTED_KIND
                     ") that these events are older than its chain.",
                     event->sequence - walk->bare, event->sequence - 1, event->sequence);
}

static struct error *chain_walk_hash(struct chain_walk *walk, uint64_t sequence, const struct digest *hash,
                                     const struct digest *computed, const uint8_t *signature)
{
    struct error *err = NULL;
    struct chain_head head = {walk->site, sequence, *hash};
    if (!digest_equal(hash, computed)) {
        walk->fault = CHAIN_HASH;
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64 " was edited: what it says, or what came before it, is not what its hash was "
             "made of.",
             sequence);
    }
    if (signature == NULL)
        return NULL;
    err = chain_head_verify(walk->public_key, &head, signature);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        walk->fault = CHAIN_SIGNATURE;
        FAIL(ERROR_UNTRUSTED, "Event %" PRIu64 " was not written by this site: its signature does not hold.",
             sequence);
    }
done:
    return err;
}

struct error *chain_walk_step(struct chain_walk *walk, const struct chain_event *event,
                              const struct digest *hash, const uint8_t *signature)
{
    struct error *err = NULL;
    struct digest computed;
    TRY(chain_walk_number(walk, event->sequence));
    TRY(chain_next(&walk->hash, event, &computed));
    if (hash != NULL && !walk->hashed)
        TRY(chain_walk_stated(walk, event));
    if (hash != NULL || (event->sequence == 1 && strcmp(event->kind, CHAIN_FIRST_KIND) == 0))
        walk->hashed = true;
    if (hash == NULL)
        TRY(chain_walk_bare(walk, event->sequence));
    else
        TRY(chain_walk_hash(walk, event->sequence, hash, &computed, signature));
    walk->sequence = event->sequence;
    walk->hash = computed;
done:
    return err;
}

struct error *chain_walk_end(const struct chain_walk *walk, const struct chain_head *head,
                             const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    if (walk->bare > 0 && !walk->hashed)
        FAIL(ERROR_UNTRUSTED, "None of the events up to %" PRIu64 " has a hash, so nothing proves them.",
             walk->sequence);
    if (head->sequence != walk->sequence)
        FAIL(ERROR_UNTRUSTED,
             "Truncated: the last event is %" PRIu64 ", and the head is that of event %" PRIu64 ".",
             walk->sequence, head->sequence);
    if (!digest_equal(&head->hash, &walk->hash))
        FAIL(ERROR_UNTRUSTED,
             "The head is not that of these events: they were edited up to event %" PRIu64 ".",
             walk->sequence);
    TRY(chain_head_verify(walk->public_key, head, signature));
done:
    return err;
}
