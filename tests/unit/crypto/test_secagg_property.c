/* Whole rounds of 2 to 64 sites, in clear beside them; sites that leave at every point, up to as many as may. Every
 * threshold up to EVERY_THRESHOLD sites; above, a few of them, or every one as well where the environment has
 * DATASITE_EVERY_THRESHOLD (CONTRIBUTING.md). */
#include "cohort.h"
#include "crypto/fixed_point.h"
#include "scratch.h"

#define EVERY_THRESHOLD 10
#define THREE_THRESHOLDS 32
#define MOST_SITES 64
#define EXHAUSTIVE "DATASITE_EVERY_THRESHOLD"
#define WORDS 7 /* n_i and six parameters */
#define CLIP 0.5
#define MAX_EXAMPLES 1000

static uint64_t seed = 4;

static struct fixed_point plan_of(const struct cohort *cohort)
{
    struct fixed_point plan = {.ring = cohort->shape.ring,
                               .clip = CLIP,
                               .max_examples = MAX_EXAMPLES,
                               .sites = cohort->shape.sites,
                               .weighted = true};
    succeeds(fixed_point_plan(&plan));
    return plan;
}

static void encode_all(struct cohort *cohort)
{
    struct fixed_point plan = plan_of(cohort);
    double from[WORDS - 1] = {0}, to[WORDS - 1];
    for (size_t i = 0; i < cohort->shape.sites; i++) {
        for (size_t p = 0; p < WORDS - 1; p++)
            to[p] = 2.0 * CLIP * ((double)(cohort_random(&seed) >> 11) * 0x1p-53 - 0.5);
        succeeds(fixed_point_encode(&plan, from, to, WORDS - 1, 1 + cohort_random(&seed) % MAX_EXAMPLES,
                                    cohort->sites[i].vector));
    }
}

static void open_cohort(struct cohort *cohort, size_t sites, size_t threshold, enum mask_ring ring)
{
    cohort_open(cohort,
                &(struct cohort_shape){
                    .sites = sites, .threshold = threshold, .words = WORDS, .ring = ring, .slots = 4});
}

/* One of the words as the signed number that it stands for. */
static int64_t signed_word(enum mask_ring ring, uint64_t word)
{
    return ring == MASK_RING_32 ? (int32_t)(uint32_t)word : (int64_t)word;
}

/* Bit for bit what the contributors' vectors give in clear, and as integers: nothing wrapped around. */
static void assert_sum(const struct cohort *cohort)
{
    uint64_t *expected = cohort_expected(cohort);
    assert_memory_equal(cohort->sum, expected, WORDS * sizeof(*expected));
    for (size_t k = 0; k < WORDS; k++) {
        int64_t sum = 0;
        for (size_t i = 0; i < cohort->u3.count; i++)
            sum += signed_word(cohort->shape.ring, cohort->sites[cohort->u3.positions[i] - 1].vector[k]);
        assert_int_equal(signed_word(cohort->shape.ring, cohort->sum[k]), sum);
    }
    free(expected);
}

/* `count` different sites, drawn anew, leave at `step`. */
static void leave(struct cohort *cohort, uint8_t *leaves, size_t count, uint8_t step)
{
    while (count > 0) {
        size_t i = (size_t)(cohort_random(&seed) % cohort->shape.sites);
        if (leaves[i] != COHORT_STAYS)
            continue;
        leaves[i] = step;
        count--;
    }
}

/* A round where all is well; the next attempt of it is in a slot of its own. */
static void round_succeeds(struct cohort *cohort, uint32_t round, const uint8_t *leaves)
{
    size_t contributors = 0;
    for (size_t i = 0; i < cohort->shape.sites; i++)
        contributors += leaves[i] > COHORT_MASK;
    encode_all(cohort);
    succeeds(cohort_round(cohort, round, 0, leaves));
    assert_int_equal(cohort->u3.count, contributors);
    assert_sum(cohort);
}

/* So many leave that fewer than t are left: refused, and of nobody was any share given. */
static void round_fails_in_silence(struct cohort *cohort, uint32_t round, const uint8_t *leaves)
{
    struct error *err = cohort_round(cohort, round, 0, leaves);
    assert_non_null(err);
    assert_true(err->code == ERROR_INVALID || err->code == ERROR_REFUSED);
    error_free(err);
    assert_int_equal(given_record_in_slot(given_record_of_all(), cohort->run.run_id, cohort->slot), 0);
}

static void test_secagg_round_with_sites_that_leave_anywhere_gives_the_exact_sum(void **state)
{
    (void)state;
    for (size_t sites = 3; sites <= EVERY_THRESHOLD; sites++)
        for (size_t threshold = secagg_threshold(sites, 1); threshold <= sites; threshold++) {
            struct cohort cohort;
            uint8_t leaves[EVERY_THRESHOLD];
            uint32_t round = 0;
            open_cohort(&cohort, sites, threshold, sites % 2 == 0 ? MASK_RING_64 : MASK_RING_32);
            for (uint8_t step = COHORT_SHARE; step <= COHORT_STAYS; step++) {
                memset(leaves, COHORT_STAYS, sizeof(leaves));
                leave(&cohort, leaves, sites - threshold, step);
                round_succeeds(&cohort, ++round, leaves);
            }
            cohort_close(&cohort);
        }
}

static void test_secagg_round_with_sites_that_never_advertised_gives_the_exact_sum(void **state)
{
    (void)state;
    for (size_t sites = 4; sites <= EVERY_THRESHOLD; sites++) {
        struct cohort cohort;
        uint8_t leaves[EVERY_THRESHOLD];
        size_t threshold = secagg_threshold(sites, 1);
        memset(leaves, COHORT_STAYS, sizeof(leaves));
        open_cohort(&cohort, sites, threshold, MASK_RING_64);
        leave(&cohort, leaves, sites - threshold, COHORT_ADVERTISE);
        round_succeeds(&cohort, 1, leaves);
        cohort_close(&cohort);
    }
}

static void test_secagg_round_with_one_too_few_at_any_step_gives_nothing(void **state)
{
    (void)state;
    for (size_t sites = 3; sites <= EVERY_THRESHOLD; sites++) {
        struct cohort cohort;
        uint8_t leaves[EVERY_THRESHOLD];
        size_t threshold = secagg_threshold(sites, 1);
        open_cohort(&cohort, sites, threshold, MASK_RING_64);
        encode_all(&cohort);
        memset(leaves, COHORT_STAYS, sizeof(leaves));
        cohort_advertise(&cohort, leaves);
        cohort.slot = cohort.keyset->first_slot - 1;
        for (uint8_t step = COHORT_SHARE; step <= COHORT_AGREE; step++) {
            memset(leaves, COHORT_STAYS, sizeof(leaves));
            leave(&cohort, leaves, sites - threshold + 1, step);
            round_fails_in_silence(&cohort, step, leaves);
        }
        cohort_close(&cohort);
    }
}

/* Signed by enough, unmasked by too few: the secrets cannot be opened, and the same unmasking works when one more comes back. */
static void test_secagg_round_waits_for_a_site_that_comes_back_to_unmask(void **state)
{
    struct cohort cohort;
    uint8_t leaves[5];
    struct secagg_agreement *agreements = NULL;
    struct secagg_unmasking *unmaskings = NULL;
    size_t agreement_count = 0, count = 0;
    (void)state;
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    open_cohort(&cohort, 5, 4, MASK_RING_64);
    encode_all(&cohort);
    cohort_advertise(&cohort, leaves);
    cohort_share(&cohort, cohort.keyset->first_slot, leaves);
    succeeds(cohort_begin(&cohort, 1, 0, leaves));
    succeeds(cohort_mask(&cohort, leaves));
    succeeds(cohort_agree(&cohort, leaves, &agreements, &agreement_count));
    leaves[0] = leaves[3] = COHORT_UNMASK;
    succeeds(cohort_unmask(&cohort, leaves, agreements, agreement_count, &unmaskings, &count));
    fails_saying(cohort_sum(&cohort, unmaskings, count), ERROR_UNAVAILABLE,
                 "site 1 of the roster, and 4 are needed");
    cohort_unmaskings_free(unmaskings, count);
    leaves[3] = COHORT_STAYS;
    succeeds(cohort_unmask(&cohort, leaves, agreements, agreement_count, &unmaskings, &count));
    succeeds(cohort_sum(&cohort, unmaskings, count));
    assert_sum(&cohort);
    cohort_unmaskings_free(unmaskings, count);
    free(agreements);
    cohort_close(&cohort);
}

/* One round, sites leaving at points drawn at random, as many in all as may. */
static void round_at(size_t sites, size_t threshold)
{
    struct cohort cohort;
    uint8_t leaves[MOST_SITES];
    open_cohort(&cohort, sites, threshold, (sites + threshold) % 2 == 0 ? MASK_RING_64 : MASK_RING_32);
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    for (size_t left = sites - threshold; left > 0; left--)
        leave(&cohort, leaves, 1, (uint8_t)(cohort_random(&seed) % COHORT_STAYS));
    round_succeeds(&cohort, 1, leaves);
    cohort_close(&cohort);
}

/* The least, one in the middle, and all: of up to THREE_THRESHOLDS sites and of the most, each of them; else one in turn.
 * Every one takes minutes, and is played where the environment says so. */
static bool is_played(size_t sites, size_t threshold)
{
    size_t least = secagg_threshold(sites, 1);
    const size_t fixed[] = {least, (least + sites) / 2, sites};
    bool each = sites <= THREE_THRESHOLDS || sites == MOST_SITES;
    if (getenv(EXHAUSTIVE) != NULL)
        return true;
    for (size_t i = 0; i < 3; i++)
        if (threshold == fixed[i] && (each || sites % 3 == i))
            return true;
    return false;
}

static void test_secagg_round_of_up_to_64_sites_gives_the_exact_sum(void **state)
{
    size_t rounds = 0;
    (void)state;
    for (size_t sites = EVERY_THRESHOLD + 1; sites <= MOST_SITES; sites++)
        for (size_t threshold = secagg_threshold(sites, 1); threshold <= sites; threshold++)
            if (is_played(sites, threshold)) {
                round_at(sites, threshold);
                rounds++;
            }
    assert_true(rounds > MOST_SITES - EVERY_THRESHOLD);
    print_message("%zu pairs of n and t from %d to %d sites.\n", rounds, EVERY_THRESHOLD + 1, MOST_SITES);
}

static void test_secagg_round_of_two_sites_is_refused(void **state)
{
    struct cohort cohort;
    uint8_t leaves[2] = {COHORT_STAYS, COHORT_STAYS};
    (void)state;
    open_cohort(&cohort, 2, secagg_threshold(2, 1), MASK_RING_64);
    encode_all(&cohort);
    fails_saying(cohort_round(&cohort, 1, 0, leaves), ERROR_REFUSED, "needs at least 3");
    assert_int_equal(given_record_in_slot(given_record_of_all(), cohort.run.run_id, cohort.slot), 0);
    cohort_close(&cohort);
}

/* ---- the assertion over all of this ---- */

static void test_given_record_notices_both_kinds_of_one_peer(void **state)
{
    struct given_record *record = given_record_new();
    struct secagg_revealed revealed = {.position = 3, .kind = SECAGG_REVEAL_B};
    uint8_t run_id[SECAGG_RUN_ID_BYTES] = {1};
    (void)state;
    for (uint32_t giver = 1; giver <= 3000; giver++)
        given_record_add(record, run_id, 1, giver, &revealed, 1);
    given_record_add(record, run_id, 1, 2, &revealed, 1); /* repeated */
    revealed.kind = SECAGG_REVEAL_S;
    given_record_add(record, run_id, 2, 2, &revealed, 1); /* in another slot */
    assert_int_equal(given_record_count(record), 3001);
    assert_int_equal(given_record_in_slot(record, run_id, 1), 3000);
    assert_int_equal(given_record_both(record), 0);
    given_record_add(record, run_id, 1, 2, &revealed, 1);
    assert_int_equal(given_record_both(record), 1);
    given_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secagg_round_with_sites_that_leave_anywhere_gives_the_exact_sum),
        cmocka_unit_test(test_secagg_round_with_sites_that_never_advertised_gives_the_exact_sum),
        cmocka_unit_test(test_secagg_round_with_one_too_few_at_any_step_gives_nothing),
        cmocka_unit_test(test_secagg_round_waits_for_a_site_that_comes_back_to_unmask),
        cmocka_unit_test(test_secagg_round_of_up_to_64_sites_gives_the_exact_sum),
        cmocka_unit_test(test_secagg_round_of_two_sites_is_refused),
        cmocka_unit_test(test_given_record_notices_both_kinds_of_one_peer),
    };
    return cmocka_run_group_tests(tests, NULL, given_record_tear_down);
}
