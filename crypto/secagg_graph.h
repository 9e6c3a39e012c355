/* Who is a neighbour of whom above SECAGG_COMPLETE members: a k-regular Harary graph over a permutation of the members
 * (Bell et al. 2020, section 3): member at place i is joined to the places i +- 1 … i +- k/2. The permutation is a
 * Fisher-Yates shuffle, each index drawn by rejection from AES-128-CTR keyed by
 * SHA-256("FDS-SA1 graph\0" || keyset_hash), so that nobody chooses it.
 *
 * k and the threshold t_k are the least for which, with at most a tenth of the sites corrupt and a tenth dropped, the chance is
 * below 2^-40 that any site is left with t_k or more corrupt neighbours, or with fewer than t_k honest ones that stay
 * (hypergeometric tails, union bound over the sites). */
#pragma once

#include "crypto/digest.h"
#include "schemas/error.h"

#define SECAGG_GRAPH_SECURITY_BITS 40

/* For `sites` > SECAGG_COMPLETE: the least even k, then t_k. 500: (112, 83); 1000: (132, 97). ERROR_UNSUPPORTED when there is none.
 * corrupt, dropped: shares of the sites, 0 to 0.5 together below 1. Documented with the formula in secagg_graph.c. */
MUST_USE struct error *secagg_graph_find(size_t sites, double corrupt, double dropped, size_t *ret_neighbours,
                                         size_t *ret_threshold);
/* The graph of `count` members by index 0 … count - 1: *ret_neighbours is [count][degree], each row ascending, malloc'ed. */
MUST_USE struct error *secagg_graph_make(const struct digest *keyset_hash, size_t count, size_t degree,
                                         uint32_t **ret_neighbours);
