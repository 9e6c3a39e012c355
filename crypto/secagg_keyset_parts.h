/* What the files of a keyset share, for crypto/secagg*.c only. */
#pragma once

#include "crypto/secagg_keyset.h"

#include <inttypes.h>

/* SHA-256 of the signed body of an advert. */
MUST_USE struct error *secagg_advert_hash(const struct secagg_run *run, const struct secagg_advert *advert,
                                          struct digest *ret_hash);
/* All checks of secagg_keyset_make. */
MUST_USE struct error *secagg_adverts_check(const struct secagg_run *run, const struct secagg_advert *adverts,
                                            size_t count, struct secagg_memo *memo);

/* Fills keyset->hashes, after everything else. */
MUST_USE struct error *secagg_keyset_hash_slots(struct secagg_keyset *keyset);

/* Who is a neighbour of whom in a slot, for those who need to know it of more than one member: above SECAGG_COMPLETE
 * members the graph is made once. Members are named by their index in the keyset. */
struct secagg_links {
    size_t degree;    /* neighbours of each */
    size_t threshold; /* of Shamir's shares */
    uint32_t *rows;   /* [members][degree], ascending indices; NULL: every two are neighbours */
};
MUST_USE struct error *secagg_links_make(const struct secagg_keyset *keyset, uint32_t slot,
                                         struct secagg_links *ret_links);
void secagg_links_clear(struct secagg_links *links);
/* The position of the neighbour number `which` (0 to degree - 1, ascending) of the member at `index`. */
uint32_t secagg_links_peer(const struct secagg_links *links, const struct secagg_keyset *keyset, size_t index,
                           size_t which);
