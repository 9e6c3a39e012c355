/* A thousand sites on the graph of 132 neighbours, a tenth of which leave in the middle of a round.
 *
 * All thousand make keys, seal 132 shares, open those they got, mask, sign, and give shares. Checking the others' signatures would be a million
 * look-ups in a table for each step; VERIFYING of the sites do it, and the others take the same lists as checked. */
#include "cohort.h"
#include "crypto/secagg_graph.h"
#include "scratch.h"

#define SITES 1000
#define DEGREE 132
#define THRESHOLD 97
#define WORDS 16
#define VERIFYING 5

static void fill(struct cohort *cohort)
{
    uint64_t seed = 1000;
    for (size_t i = 0; i < cohort->shape.sites; i++)
        for (size_t k = 0; k < cohort->shape.words; k++)
            cohort->sites[i].vector[k] = cohort_random(&seed);
}

static void leave_one_in_ten(uint8_t *leaves, size_t sites)
{
    memset(leaves, COHORT_STAYS, sites);
    for (size_t i = 7; i < sites; i += 10)
        leaves[i] = i % 20 == 7 ? COHORT_MASK : COHORT_AGREE;
}

static void test_secagg_cohort_of_a_thousand_survives_a_tenth_that_drop(void **state)
{
    struct cohort cohort;
    uint8_t *leaves = calloc(SITES, 1);
    (void)state;
    assert_non_null(leaves);
    leave_one_in_ten(leaves, SITES);
    cohort_open(&cohort, &(struct cohort_shape){.sites = SITES,
                                                .threshold = secagg_threshold(SITES, 1),
                                                .words = WORDS,
                                                .ring = MASK_RING_64,
                                                .slots = 1,
                                                .verifying = VERIFYING});
    fill(&cohort);
    succeeds(cohort_round(&cohort, 1, 0, leaves));
    assert_int_equal(cohort.degree, DEGREE);
    assert_int_equal(cohort.u3.count, SITES - SITES / 20);
    uint64_t *expected = cohort_expected(&cohort);
    assert_memory_equal(cohort.sum, expected, WORDS * sizeof(*expected));
    free(expected);
    free(leaves);
    cohort_close(&cohort);
}

static void test_secagg_cohort_with_more_colluders_has_a_denser_graph(void **state)
{
    struct cohort cohort;
    uint8_t leaves[150];
    (void)state;
    memset(leaves, COHORT_ADVERTISE, sizeof(leaves));
    memset(leaves, COHORT_STAYS, 129);
    cohort_open(&cohort, &(struct cohort_shape){.sites = 150,
                                                .threshold = 97,
                                                .colluding = 43,
                                                .words = 1,
                                                .ring = MASK_RING_64,
                                                .slots = 1,
                                                .verifying = 1});
    cohort_advertise(&cohort, leaves);
    uint32_t *neighbours = NULL;
    size_t count = 0, threshold = 0, expected = 0, expected_threshold = 0;
    succeeds(secagg_neighbours(cohort.keyset, 1, 1, &neighbours, &count, &threshold));
    succeeds(secagg_graph_find(129, 43.0 / 129.0, 0.1, &expected, &expected_threshold));
    assert_int_equal(count, expected);
    assert_int_equal(threshold, expected_threshold);
    assert_true(count > 54);
    free(neighbours);
    cohort_close(&cohort);
}

/* An orchestrator that calls so many neighbours of site 1 dropped that the others may all be its own: nobody agrees,
 * though far more than t sites contributed. With one neighbour more, everybody does. */
static void test_secagg_cohort_agrees_to_no_list_that_isolates_a_site(void **state)
{
    enum { MEMBERS = 130, VICTIM = 1 };
    struct cohort cohort;
    uint8_t leaves[MEMBERS];
    uint32_t *neighbours = NULL;
    struct secagg_agreement *agreements = NULL;
    size_t count = 0, threshold = 0, agreement_count = 0;
    (void)state;
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    cohort_open(&cohort,
                &(struct cohort_shape){
                    .sites = MEMBERS, .threshold = 66, .words = 1, .ring = MASK_RING_64, .slots = 1});
    cohort_advertise(&cohort, leaves);
    cohort_share(&cohort, 1, leaves);
    succeeds(cohort_begin(&cohort, 1, 0, leaves));
    succeeds(secagg_neighbours(cohort.keyset, 1, VICTIM, &neighbours, &count, &threshold));
    for (size_t i = 0; i <= count - threshold; i++)
        leaves[neighbours[i] - 1] = COHORT_MASK;
    succeeds(cohort_mask(&cohort, leaves));
    assert_true(cohort.u3.count > 66 + 40);
    fails_saying(cohort_agree(&cohort, leaves, &agreements, &agreement_count), ERROR_REFUSED,
                 "neighbours of site 1 of the roster contributed");
    leaves[neighbours[0] - 1] = COHORT_STAYS;
    succeeds(cohort_mask(&cohort, leaves));
    succeeds(cohort_agree(&cohort, leaves, &agreements, &agreement_count));
    assert_int_equal(agreement_count, cohort.u3.count);
    free(agreements);
    free(neighbours);
    cohort_close(&cohort);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secagg_cohort_with_more_colluders_has_a_denser_graph),
        cmocka_unit_test(test_secagg_cohort_agrees_to_no_list_that_isolates_a_site),
        cmocka_unit_test(test_secagg_cohort_of_a_thousand_survives_a_tenth_that_drop),
    };
    return cmocka_run_group_tests(tests, NULL, given_record_tear_down);
}
