/* Who is a neighbour of whom above SECAGG_COMPLETE members: a k-regular Harary graph over a permutation of the members
 * (Bell et al. 2020, section 3): the member at place i of a circle is joined to those at the places i +- 1 … i +- k/2.
 *
 * The permutation is a Fisher-Yates shuffle of 0 … count - 1, from the last place down: the member at place i changes with
 * the one at place j, 0 <= j <= i. Each j is drawn by rejection from 16-bit little-endian words of AES-128-CTR (mask.h:
 * key, then first counter block) under SHA-256("FDS-SA1 graph\0" || keyset_hash), so that nobody
 * chooses it outright. (Who knows the adverts of all others before it makes its own can try keys until the permutation
 * suits it; a try costs it a permutation, and the chances below are those of one.)
 *
 * k and the threshold t_k (of Shamir's shares, and of the neighbours that a contributor needs among the contributors,
 * itself counted in neither) are the least for which, with a tenth of the sites corrupt and a tenth dropped, the chance
 * is below 2^-40 that the orchestrator gets anything but the sum over all contributors, and below 2^-20 that a round fails for want of
 * shares. The exact conditions are in secagg_graph.c. */
#pragma once

#include "crypto/digest.h"
#include "schemas/error.h"

#define SECAGG_GRAPH_SECURITY_BITS 40    /* of a round in which something of a site could be learned */
#define SECAGG_GRAPH_CORRECTNESS_BITS 20 /* of a round in which the threshold of shares is missed somewhere */

/* For 3 to 1024 `sites`: the least even k, then the least t_k. 500: (112, 83); 1000: (132, 97). ERROR_UNSUPPORTED when
 * there is none below `sites`. corrupt, dropped: shares of the sites, each 0 to 0.5, together below 1 (ERROR_INVALID);
 * a share is rounded up to whole sites. */
MUST_USE struct error *secagg_graph_find(size_t sites, double corrupt, double dropped, size_t *ret_neighbours,
                                         size_t *ret_threshold);
/* The graph of `count` members by index 0 … count - 1: *ret_neighbours is [count][degree], each row ascending, malloc'ed.
 * count: 3 to 1024; degree: even, 2 to count - 1 (ERROR_INVALID). */
MUST_USE struct error *secagg_graph_make(const struct digest *keyset_hash, size_t count, size_t degree,
                                         uint32_t **ret_neighbours);
