#include "crypto/secagg_keyset.h"

#include "federation.h"
#include "secagg_vectors.h"

/* ---- slots ---- */

static void test_secagg_commit_b_agrees_with_the_vectors(void **state)
{
    const struct secagg_vectors *vectors = *state;
    for (size_t i = 0; i < SA1_SITES; i++) {
        struct digest hash, other;
        succeeds(secagg_commit_b(SA1_SLOT, vectors->secrets[i].b, &hash));
        assert_memory_equal(hash.bytes, vectors->entries[i].b.bytes, DIGEST_BYTES);
        succeeds(secagg_commit_b(SA1_SLOT + 1, vectors->secrets[i].b, &other));
        assert_false(digest_equal(&hash, &other));
    }
}

static void test_secagg_slot_make_gives_keys_of_its_secrets(void **state)
{
    (void)state;
    struct secagg_secret one, two;
    struct secagg_entry entry, second;
    uint8_t key[AGREEMENT_KEY_BYTES];
    struct digest hash;
    succeeds(secagg_slot_make(3, &one, &entry));
    succeeds(secagg_slot_make(3, &two, &second));
    succeeds(agreement_public(one.c, key));
    assert_memory_equal(key, entry.c, sizeof(key));
    succeeds(agreement_public(one.s, key));
    assert_memory_equal(key, entry.s, sizeof(key));
    succeeds(secagg_commit_b(3, one.b, &hash));
    assert_true(digest_equal(&hash, &entry.b));
    assert_memory_not_equal(&one, &two, sizeof(one));
    assert_memory_not_equal(entry.c, entry.s, sizeof(entry.c));
}

static void test_secagg_entries_read_gives_what_was_written(void **state)
{
    struct federation *federation = *state;
    struct secagg_entry *read = NULL;
    uint8_t bytes[FEDERATION_SLOTS * SECAGG_ENTRY_BYTES];
    size_t count = 0;
    secagg_entries_write(federation->adverts[0].entries, FEDERATION_SLOTS, bytes);
    succeeds(secagg_entries_read(bytes, sizeof(bytes), &read, &count));
    assert_int_equal(count, FEDERATION_SLOTS);
    assert_memory_equal(read, federation->adverts[0].entries, sizeof(bytes));
    free(read);
    fails(secagg_entries_read(bytes, 0, &read, &count), ERROR_INVALID);
    fails(secagg_entries_read(bytes, sizeof(bytes) - 1, &read, &count), ERROR_INVALID);
    uint8_t *many = calloc(SECAGG_MAX_BATCH + 1, SECAGG_ENTRY_BYTES);
    assert_non_null(many);
    fails(secagg_entries_read(many, (SECAGG_MAX_BATCH + 1) * (size_t)SECAGG_ENTRY_BYTES, &read, &count),
          ERROR_INVALID);
    free(many);
}

/* ---- refusals, one change each ---- */

static struct error *make(struct federation *federation, const struct secagg_run *run, size_t count)
{
    struct secagg_keyset *keyset = NULL;
    struct error *err = secagg_keyset_make(run, federation->adverts, count, NULL, &keyset);
    assert_true((err == NULL) == (keyset != NULL));
    secagg_keyset_free(keyset);
    return err;
}

/* `third` is the advert of site 3, `resign` whether the site itself made the change. */
struct tweak {
    const char *name;
    void (*change)(struct federation *federation, struct secagg_run *run, struct secagg_advert *third);
    bool resign;
    enum error_code code;
    const char *text;
};

#define TWEAK(name)                                                                                          \
    static void tweak_##name(struct federation *federation, struct secagg_run *run,                          \
                             struct secagg_advert *third)
#define UNUSED (void)federation, (void)run, (void)third

TWEAK(job)
{
    UNUSED;
    run->job_hash.bytes[0] ^= 1;
}
TWEAK(run_id)
{
    UNUSED;
    run->run_id[15] ^= 1;
}
TWEAK(site)
{
    UNUSED;
    third->site = federation->roster[3];
    struct secagg_advert fourth = federation->adverts[3];
    federation->adverts[3] = *third;
    *third = fourth;
}
TWEAK(key)
{
    UNUSED;
    identity_public_key(federation->identities[0], third->public_key);
}
TWEAK(slot)
{
    UNUSED;
    for (size_t i = 0; i < federation->sites; i++)
        federation->adverts[i].first_slot++;
}
TWEAK(slot_alone)
{
    UNUSED;
    third->first_slot++;
}
TWEAK(count)
{
    UNUSED;
    third->count--;
}
TWEAK(count_everywhere)
{
    UNUSED;
    for (size_t i = 0; i < federation->sites; i++)
        federation->adverts[i].count--;
}
TWEAK(count_zero)
{
    UNUSED;
    for (size_t i = 0; i < federation->sites; i++)
        federation->adverts[i].count = 0;
}
TWEAK(count_over)
{
    UNUSED;
    for (size_t i = 0; i < federation->sites; i++)
        federation->adverts[i].count = SECAGG_MAX_BATCH + 1;
}
TWEAK(slot_over)
{
    UNUSED;
    for (size_t i = 0; i < federation->sites; i++)
        federation->adverts[i].first_slot = UINT32_MAX;
}
TWEAK(sequence)
{
    UNUSED;
    third->ledger_sequence--;
}
TWEAK(head)
{
    UNUSED;
    third->ledger_head.bytes[7] ^= 0x80;
}
TWEAK(c)
{
    UNUSED;
    third->entries[0].c[0] ^= 1;
}
TWEAK(s)
{
    UNUSED;
    third->entries[1].s[0] ^= 1;
}
TWEAK(b)
{
    UNUSED;
    third->entries[1].b.bytes[31] ^= 1;
}
TWEAK(entries_swapped)
{
    UNUSED;
    struct secagg_entry first = third->entries[0];
    third->entries[0] = third->entries[1];
    third->entries[1] = first;
}
TWEAK(c_and_s_swapped)
{
    UNUSED;
    uint8_t c[AGREEMENT_KEY_BYTES];
    memcpy(c, third->entries[0].c, sizeof(c));
    memcpy(third->entries[0].c, third->entries[0].s, sizeof(c));
    memcpy(third->entries[0].s, c, sizeof(c));
}
TWEAK(signature)
{
    UNUSED;
    third->signature[40] ^= 1;
}
TWEAK(repeated)
{
    UNUSED;
    struct secagg_entry *entries = federation->adverts[3].entries;
    memcpy(entries, third->entries, FEDERATION_SLOTS * sizeof(*entries));
    federation->adverts[3] = *third;
    federation->adverts[3].entries = entries;
}
TWEAK(reordered)
{
    UNUSED;
    struct secagg_advert second = federation->adverts[1];
    federation->adverts[1] = *third;
    *third = second;
}
TWEAK(foreign)
{
    UNUSED;
    struct identity *stranger = federation_stranger();
    succeeds(secagg_advert_sign(stranger, &federation->run, third));
    identity_free(stranger);
}
TWEAK(roster_shorter)
{
    UNUSED;
    run->sites = 2;
}
TWEAK(roster_over)
{
    UNUSED;
    run->sites = SECAGG_MAX_SITES + 1;
}
TWEAK(threshold_above)
{
    UNUSED;
    run->threshold = FEDERATION_SITES + 1;
}
TWEAK(same_within_entry)
{
    UNUSED;
    memcpy(third->entries[0].s, third->entries[0].c, AGREEMENT_KEY_BYTES);
}
TWEAK(same_within_site)
{
    UNUSED;
    memcpy(third->entries[1].c, third->entries[0].c, AGREEMENT_KEY_BYTES);
}
TWEAK(same_as_other)
{
    UNUSED;
    memcpy(third->entries[1].s, federation->adverts[4].entries[0].c, AGREEMENT_KEY_BYTES);
}
TWEAK(bit_255)
{
    UNUSED;
    third->entries[0].c[31] |= 0x80;
}
TWEAK(bit_255_of_s)
{
    UNUSED;
    third->entries[1].s[31] |= 0x80;
}

static const struct tweak tweaks[] = {
    {"job_hash", tweak_job, false, ERROR_UNTRUSTED, "site 1 of the roster"},
    {"run_id", tweak_run_id, false, ERROR_UNTRUSTED, "site 1 of the roster"},
    {"site", tweak_site, false, ERROR_INVALID, "in ascending order"},
    {"public key", tweak_key, false, ERROR_UNTRUSTED, "site 3 of the roster: The key beside"},
    {"first_slot", tweak_slot, false, ERROR_UNTRUSTED, "site 1 of the roster"},
    {"first_slot of one, signed", tweak_slot_alone, true, ERROR_INVALID,
     "Site 3 of the roster advertised other"},
    {"count of one, signed", tweak_count, true, ERROR_INVALID, "Site 3 of the roster advertised other"},
    {"count", tweak_count_everywhere, false, ERROR_UNTRUSTED, "site 1 of the roster"},
    {"count 0", tweak_count_zero, false, ERROR_INVALID, "A batch has 1 to 64 slots"},
    {"count 65", tweak_count_over, false, ERROR_INVALID, "A batch has 1 to 64 slots"},
    {"slots beyond 32 bits", tweak_slot_over, false, ERROR_INVALID, "numbered in 32 bits"},
    {"ledger sequence", tweak_sequence, false, ERROR_UNTRUSTED, "site 3 of the roster"},
    {"ledger head", tweak_head, false, ERROR_UNTRUSTED, "site 3 of the roster"},
    {"c", tweak_c, false, ERROR_UNTRUSTED, "site 3 of the roster"},
    {"s", tweak_s, false, ERROR_UNTRUSTED, "site 3 of the roster"},
    {"b", tweak_b, false, ERROR_UNTRUSTED, "site 3 of the roster"},
    {"entries swapped", tweak_entries_swapped, false, ERROR_UNTRUSTED, "site 3 of the roster"},
    {"c and s swapped", tweak_c_and_s_swapped, false, ERROR_UNTRUSTED, "site 3 of the roster"},
    {"signature", tweak_signature, false, ERROR_UNTRUSTED, "site 3 of the roster"},
    {"repeated", tweak_repeated, false, ERROR_INVALID, "each must be there once"},
    {"reordered", tweak_reordered, false, ERROR_INVALID, "in ascending order"},
    {"foreign site", tweak_foreign, false, ERROR_UNTRUSTED, "not in the job's list of sites"},
    {"foreign roster", tweak_roster_shorter, false, ERROR_UNTRUSTED, "not in the job's list of sites"},
    {"roster too long", tweak_roster_over, false, ERROR_INVALID, "up to 1024"},
    {"fewer than threshold", tweak_threshold_above, false, ERROR_INVALID, "threshold is 6"},
    {"one key for both", tweak_same_within_entry, true, ERROR_UNTRUSTED, "of site 3 and of site 3"},
    {"key of another slot", tweak_same_within_site, true, ERROR_UNTRUSTED, "of site 3 and of site 3"},
    {"key of another site", tweak_same_as_other, true, ERROR_UNTRUSTED, "The same key is there twice"},
    {"bit 255 of c", tweak_bit_255, true, ERROR_INVALID, "site 3 of the roster"},
    {"bit 255 of s", tweak_bit_255_of_s, true, ERROR_INVALID, "site 3 of the roster"},
};

static void test_secagg_keyset_tweaked_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tweaks) / sizeof(tweaks[0]); i++) {
        void *fresh = NULL;
        (void)federation_advertise(&fresh);
        struct federation *federation = fresh;
        struct secagg_run run = federation->run;
        succeeds(make(federation, &run, federation->sites));
        size_t counts[FEDERATION_SITES];
        for (size_t j = 0; j < federation->sites; j++)
            counts[j] = federation->adverts[j].count;
        tweaks[i].change(federation, &run, &federation->adverts[2]);
        if (tweaks[i].resign)
            federation_sign_advert(federation, 3);
        print_message("%s\n", tweaks[i].name);
        fails_saying(make(federation, &run, federation->sites), tweaks[i].code, tweaks[i].text);
        for (size_t j = 0; j < federation->sites; j++)
            federation->adverts[j].count = counts[j];
        assert_int_equal(federation_tear_down(&fresh), 0);
    }
}

/* The points of small order, little-endian (RFC 7748, section 7, and the list of the curve's author), and two of them
 * written as p + x. */
static const char *const small_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void test_secagg_keyset_points_of_small_order_are_refused(void **state)
{
    struct federation *federation = *state;
    for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++) {
        struct secagg_entry *entry = &federation->adverts[1].entries[1], before = *entry;
        (void)scratch_hex(small_order[i], i % 2 == 0 ? entry->c : entry->s);
        federation_sign_advert(federation, 2);
        fails_saying(make(federation, &federation->run, federation->sites), ERROR_INVALID,
                     "site 2 of the roster");
        *entry = before;
    }
    federation_sign_advert(federation, 2);
    succeeds(make(federation, &federation->run, federation->sites));
}

static void test_secagg_keyset_below_the_threshold_is_refused(void **state)
{
    struct federation *federation = *state;
    succeeds(make(federation, &federation->run, FEDERATION_THRESHOLD));
    fails_saying(make(federation, &federation->run, FEDERATION_THRESHOLD - 1), ERROR_INVALID,
                 "Keys of 3 sites came, and the job's threshold is 4");
    fails(make(federation, &federation->run, 0), ERROR_INVALID);
}

/* ---- what a keyset says ---- */

static void test_secagg_keyset_finds_members_and_entries(void **state)
{
    struct federation *federation = *state;
    const struct secagg_keyset *keyset = federation->keyset;
    assert_false(secagg_keyset_has_slot(keyset, FEDERATION_FIRST_SLOT - 1));
    assert_true(secagg_keyset_has_slot(keyset, FEDERATION_FIRST_SLOT));
    assert_true(secagg_keyset_has_slot(keyset, FEDERATION_FIRST_SLOT + 1));
    assert_false(secagg_keyset_has_slot(keyset, FEDERATION_FIRST_SLOT + 2));
    for (uint32_t position = 1; position <= FEDERATION_SITES; position++) {
        assert_int_equal(secagg_keyset_member(keyset, position)->position, position);
        assert_memory_equal(secagg_keyset_entry(keyset, position, FEDERATION_FIRST_SLOT + 1),
                            &federation->adverts[position - 1].entries[1], SECAGG_ENTRY_BYTES);
    }
    assert_null(secagg_keyset_member(keyset, 0));
    assert_null(secagg_keyset_member(keyset, FEDERATION_SITES + 1));
    assert_null(secagg_keyset_entry(keyset, 1, FEDERATION_FIRST_SLOT - 1));
    assert_null(secagg_keyset_entry(keyset, 1, FEDERATION_FIRST_SLOT + 2));
}

/* Adverts are of 128 + 96 a slot bytes; what is hashed is put together here a second time, from the header's text. */
static void test_secagg_keyset_hash_is_over_the_bytes_of_the_design(void **state)
{
    struct federation *federation = *state;
    const struct secagg_run *run = &federation->run;
    uint8_t all[15 + 32 + 16 + 4 + 4 + FEDERATION_SITES * 160] = "FDS-SA1 keyset", *at = all + 15;
    struct digest hash, by_hand, advert_hash;
    memcpy(at, run->job_hash.bytes, 32);
    memcpy(at + 32, run->run_id, 16);
    at[48] = FEDERATION_FIRST_SLOT + 1;
    at[52] = FEDERATION_SITES;
    at += 56;
    for (size_t i = 0; i < FEDERATION_SITES; i++, at += 160) {
        const struct secagg_advert *advert = &federation->adverts[i];
        uint8_t body[128 + FEDERATION_SLOTS * 96] = {0};
        memcpy(body, run->job_hash.bytes, 32);
        memcpy(body + 32, run->run_id, 16);
        memcpy(body + 48, advert->site.digest.bytes, 32);
        body[80] = FEDERATION_FIRST_SLOT;
        body[84] = FEDERATION_SLOTS;
        body[88] = (uint8_t)advert->ledger_sequence;
        memcpy(body + 96, advert->ledger_head.bytes, 32);
        memcpy(body + 128, advert->entries, (size_t)FEDERATION_SLOTS * 96);
        succeeds(digest_of(body, sizeof(body), &advert_hash));
        memcpy(at, advert->site.digest.bytes, 32);
        memcpy(at + 32, advert_hash.bytes, 32);
        memcpy(at + 64, &advert->entries[1], 96);
    }
    succeeds(digest_of(all, sizeof(all), &by_hand));
    succeeds(secagg_keyset_hash(federation->keyset, FEDERATION_FIRST_SLOT + 1, &hash));
    assert_memory_equal(hash.bytes, by_hand.bytes, DIGEST_BYTES);
    succeeds(secagg_keyset_hash(federation->keyset, FEDERATION_FIRST_SLOT, &hash));
    assert_memory_not_equal(hash.bytes, by_hand.bytes, DIGEST_BYTES);
    fails(secagg_keyset_hash(federation->keyset, FEDERATION_FIRST_SLOT + 2, &hash), ERROR_INVALID);
}

static void test_secagg_neighbours_of_a_few_are_all_others(void **state)
{
    struct federation *federation = *state;
    for (uint32_t position = 1; position <= FEDERATION_SITES; position++) {
        uint32_t *positions = NULL;
        size_t count = 0, threshold = 0;
        succeeds(secagg_neighbours(federation->keyset, FEDERATION_FIRST_SLOT, position, &positions, &count,
                                   &threshold));
        assert_int_equal(count, FEDERATION_SITES - 1);
        assert_int_equal(threshold, FEDERATION_THRESHOLD);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(positions[i], i + 1 < position ? i + 1 : i + 2);
        free(positions);
    }
    uint32_t *positions = NULL;
    size_t count = 0, threshold = 0;
    fails(secagg_neighbours(federation->keyset, FEDERATION_FIRST_SLOT, 6, &positions, &count, &threshold),
          ERROR_INVALID);
    fails(secagg_neighbours(federation->keyset, FEDERATION_FIRST_SLOT + 2, 1, &positions, &count, &threshold),
          ERROR_INVALID);
}

static void test_secagg_neighbours_of_many_are_those_of_the_graph(void **state)
{
    (void)state;
    struct federation *federation = federation_new(140, 80);
    static bool joined[2][141][141];
    for (uint32_t slot = 0; slot < 2; slot++)
        for (uint32_t position = 1; position <= 140; position++) {
            uint32_t *positions = NULL;
            size_t count = 0, threshold = 0;
            succeeds(secagg_neighbours(federation->keyset, FEDERATION_FIRST_SLOT + slot, position, &positions,
                                       &count, &threshold));
            assert_in_range(count, 2, 138);
            assert_in_range(threshold, count / 2 + 1, count);
            for (size_t i = 0; i < count; i++)
                joined[slot][position][positions[i]] = true;
            free(positions);
        }
    for (uint32_t i = 1; i <= 140; i++) {
        assert_false(joined[0][i][i]);
        for (uint32_t j = 1; j <= 140; j++)
            assert_int_equal(joined[0][i][j], joined[0][j][i]);
    }
    assert_memory_not_equal(joined[0], joined[1], sizeof(joined[0]));
    federation_free(federation);
}

static size_t degree_with(struct federation *federation, size_t colluding, size_t *ret_threshold)
{
    uint32_t *positions = NULL;
    size_t count = 0;
    federation->keyset->run.colluding = colluding;
    succeeds(
        secagg_neighbours(federation->keyset, FEDERATION_FIRST_SLOT, 1, &positions, &count, ret_threshold));
    free(positions);
    return count;
}

/* The parameters of the graph are those of more corrupt sites where a job tolerates more than a tenth, and no graph is used
 * where none bears so many. */
static void test_secagg_neighbours_grow_with_the_colluding(void **state)
{
    (void)state;
    struct federation *federation = federation_new(140, 80);
    size_t threshold = 0, tenth = 0, third = 0, degree = degree_with(federation, 1, &tenth);
    assert_int_equal(degree_with(federation, 14, &threshold), degree);
    assert_int_equal(threshold, tenth);
    assert_in_range(degree_with(federation, 46, &third), degree + 2, 138);
    assert_in_range(third, tenth + 1, 138);
    assert_int_equal(degree_with(federation, 100, &threshold), 139);
    assert_int_equal(threshold, 80);
    federation_free(federation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VECTOR_TEST(test_secagg_commit_b_agrees_with_the_vectors),
        cmocka_unit_test(test_secagg_slot_make_gives_keys_of_its_secrets),
        FEDERATION_TEST(test_secagg_entries_read_gives_what_was_written, advertise),
        cmocka_unit_test(test_secagg_keyset_tweaked_is_refused),
        FEDERATION_TEST(test_secagg_keyset_points_of_small_order_are_refused, advertise),
        FEDERATION_TEST(test_secagg_keyset_below_the_threshold_is_refused, advertise),
        FEDERATION_TEST(test_secagg_keyset_finds_members_and_entries, share),
        FEDERATION_TEST(test_secagg_keyset_hash_is_over_the_bytes_of_the_design, share),
        FEDERATION_TEST(test_secagg_neighbours_of_a_few_are_all_others, share),
        cmocka_unit_test(test_secagg_neighbours_of_many_are_those_of_the_graph),
        cmocka_unit_test(test_secagg_neighbours_grow_with_the_colluding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
