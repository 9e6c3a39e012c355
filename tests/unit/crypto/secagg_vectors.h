/* The component vectors of secure aggregation as the structs of crypto/secagg*.h: four sites, one slot. The hashes of
 * keyset and sharers are given in there and do not follow from the keys, so that these structs are put together from
 * parts. */
#pragma once

#include "crypto/secagg_agree.h"

#include "scratch.h"
#include "tests/vectors/sa1_components.h"

struct secagg_vectors {
    struct site_id roster[SA1_SITES];
    struct secagg_secret secrets[SA1_SITES];
    struct secagg_entry entries[SA1_SITES];
    struct secagg_member members[SA1_SITES];
    struct secagg_keyset keyset;
    uint32_t everybody[SA1_SITES];
    struct secagg_attempt attempt;
};

/* cmocka set-up and tear-down: *state. */
int secagg_vectors_set_up(void **state);
int secagg_vectors_tear_down(void **state);
#define VECTOR_TEST(function)                                                                                \
    cmocka_unit_test_setup_teardown(function, secagg_vectors_set_up, secagg_vectors_tear_down)

/* Hexadecimal text of exactly `count` bytes. */
void vector_bytes(const char *hex, void *ret_bytes, size_t count);
