#include "tests/unit/crypto/given_record.h"

#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All zero: free. kinds: a bit each. */
struct place {
    uint8_t run_id[SECAGG_RUN_ID_BYTES];
    uint32_t slot, giver, peer, kinds;
};

/* Open addressing, at most half full. */
struct given_record {
    struct place *places;
    size_t room, used, both;
};

struct given_record *given_record_new(void)
{
    struct given_record *record = calloc(1, sizeof(*record));
    assert_non_null(record);
    record->room = 1024;
    record->places = calloc(record->room, sizeof(*record->places));
    assert_non_null(record->places);
    return record;
}

void given_record_free(struct given_record *record)
{
    if (record == NULL)
        return;
    free(record->places);
    free(record);
}

static struct given_record *of_all;

struct given_record *given_record_of_all(void)
{
    if (of_all == NULL)
        of_all = given_record_new();
    return of_all;
}

static bool same(const struct place *a, const struct place *b)
{
    return memcmp(a->run_id, b->run_id, SECAGG_RUN_ID_BYTES) == 0 && a->slot == b->slot &&
           a->giver == b->giver && a->peer == b->peer;
}

static struct place *find(const struct given_record *record, const struct place *wanted)
{
    uint64_t hash = 0;
    memcpy(&hash, wanted->run_id, sizeof(hash));
    hash = (hash ^ wanted->slot) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ wanted->giver) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ wanted->peer) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(hash >> 20) % record->room;
    while (record->places[at].kinds != 0 && !same(&record->places[at], wanted))
        at = (at + 1) % record->room;
    return &record->places[at];
}

static void grow(struct given_record *record)
{
    struct given_record larger = *record;
    larger.room = record->room * 2;
    larger.places = calloc(larger.room, sizeof(*larger.places));
    assert_non_null(larger.places);
    for (size_t i = 0; i < record->room; i++)
        if (record->places[i].kinds != 0)
            *find(&larger, &record->places[i]) = record->places[i];
    free(record->places);
    *record = larger;
}

static void add_one(struct given_record *record, const struct place *given)
{
    if (2 * (record->used + 1) > record->room)
        grow(record);
    struct place *place = find(record, given);
    uint32_t kinds = place->kinds | given->kinds;
    if (kinds == place->kinds)
        return;
    if (place->kinds != 0)
        record->both++;
    *place = *given;
    place->kinds = kinds;
    record->used++;
}

void given_record_add(struct given_record *record, const uint8_t run_id[static SECAGG_RUN_ID_BYTES],
                      uint32_t slot, uint32_t giver, const struct secagg_revealed *revealed, size_t count)
{
    struct place place = {.slot = slot, .giver = giver};
    memcpy(place.run_id, run_id, SECAGG_RUN_ID_BYTES);
    for (size_t i = 0; i < count; i++) {
        place.peer = revealed[i].position;
        place.kinds = 1U << revealed[i].kind;
        add_one(record, &place);
    }
}

size_t given_record_count(const struct given_record *record)
{
    return record->used;
}

size_t given_record_both(const struct given_record *record)
{
    return record->both;
}

size_t given_record_in_slot(const struct given_record *record,
                            const uint8_t run_id[static SECAGG_RUN_ID_BYTES], uint32_t slot)
{
    size_t count = 0;
    for (size_t i = 0; i < record->room; i++)
        if (record->places[i].kinds != 0 && record->places[i].slot == slot &&
            memcmp(record->places[i].run_id, run_id, SECAGG_RUN_ID_BYTES) == 0)
            count++;
    return count;
}

int given_record_tear_down(void **state)
{
    size_t count = given_record_count(given_record_of_all()), both = given_record_both(given_record_of_all());
    (void)state;
    given_record_free(of_all);
    of_all = NULL;
    if (count > 0 && both == 0)
        return 0;
    print_error("Of %zu shares that sites gave, %zu were the second kind of one peer.\n", count, both);
    return -1;
}
