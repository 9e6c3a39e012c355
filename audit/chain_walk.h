/* A walk over a site's events, from the first to the last: recomputes the chain, and says of the first event that does
 * not hold what is wrong with it. For whoever has the events: the site itself, or the reader of an export.
 *
 * Events of a site that is older than its chain carry no hash of their own; they may only be at the beginning, and the
 * first event with a hash is then "chain-started", whose digest is that of exactly these events: the site's own word,
 * given once, for what it had not signed. Otherwise hashes were wiped. A site whose first event is "site-created" was
 * made with the chain: all of its events carry one. */
#pragma once

#include "audit/chain.h"

enum chain_fault {
    CHAIN_HOLDS,
    CHAIN_GAP,       /* numbers are missing before this event */
    CHAIN_ORDER,     /* its number is not above the one before */
    CHAIN_BARE,      /* it has no hash where there must be one */
    CHAIN_UNSTATED,  /* events without a hash come before it, and it is not the site's statement of them */
    CHAIN_HASH,      /* what it says, or what came before, is not what its hash was made of */
    CHAIN_SIGNATURE, /* its hash is the right one, and the signature over it is not */
};

struct chain_walk {
    struct site_id site;
    uint8_t public_key[PUBLIC_KEY_BYTES];
    uint64_t sequence;  /* of the event that was seen last; at first, the one before the first */
    struct digest hash; /* after it, as computed */
    uint64_t bare;      /* events without a hash of their own, so far */
    bool hashed;        /* there was one with a hash, or the site was made with the chain */
    enum chain_fault fault;
};

/* From the very first event. */
MUST_USE struct error *chain_walk_start(const uint8_t public_key[static PUBLIC_KEY_BYTES],
                                        struct chain_walk *ret_walk);
/* From the event after `sequence`, whose hash is said to be `previous`. */
MUST_USE struct error *chain_walk_start_after(const uint8_t public_key[static PUBLIC_KEY_BYTES],
                                              uint64_t sequence, const struct digest *previous,
                                              struct chain_walk *ret_walk);

/* The next event, with the hash that is stored with it (NULL: none) and its signature (NULL: there is none to check).
 * ERROR_UNTRUSTED, with walk->fault set, names the event; walk->sequence and walk->hash stay those of the event
 * before. */
MUST_USE struct error *chain_walk_step(struct chain_walk *walk, const struct chain_event *event,
                                       const struct digest *hash, const uint8_t *signature);

/* ERROR_UNTRUSTED unless the walk ended at `head`, and the signature over it holds. */
MUST_USE struct error *chain_walk_end(const struct chain_walk *walk, const struct chain_head *head,
                                      const uint8_t signature[static SIGNATURE_BYTES]);
