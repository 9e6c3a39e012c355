/* Messages that come twice, out of order, or from another attempt, and an orchestrator that wants both kinds of share, against
 * five simulated sites. */
#include "cohort.h"
#include "scratch.h"

#define WORDS 7

/* Vectors of any words. */
static void fill(struct cohort *cohort)
{
    uint64_t seed = 5;
    for (size_t i = 0; i < cohort->shape.sites; i++)
        for (size_t k = 0; k < WORDS; k++)
            cohort->sites[i].vector[k] = cohort_random(&seed);
}

static void open_five(struct cohort *cohort)
{
    cohort_open(cohort, &(struct cohort_shape){
                            .sites = 5, .threshold = 4, .words = WORDS, .ring = MASK_RING_64, .slots = 4});
    fill(cohort);
}

/* ---- messages out of place ---- */

/* Five sites, all of which have masked in attempt 0 of round 1, in a slot of its own. */
static void begin_five(struct cohort *cohort)
{
    uint8_t leaves[5];
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    open_five(cohort);
    cohort_advertise(cohort, leaves);
    cohort_share(cohort, cohort->keyset->first_slot, leaves);
    succeeds(cohort_begin(cohort, 1, 0, leaves));
    succeeds(cohort_mask(cohort, leaves));
}

static void test_secagg_keyset_refuses_adverts_out_of_place(void **state)
{
    struct cohort cohort;
    struct secagg_advert adverts[5];
    struct secagg_keyset *keyset = NULL;
    (void)state;
    begin_five(&cohort);
    memcpy(adverts, cohort.adverts, sizeof(adverts));
    adverts[2] = adverts[1];
    fails(secagg_keyset_make(&cohort.run, adverts, 5, cohort.memo, &keyset), ERROR_INVALID);
    memcpy(adverts, cohort.adverts, sizeof(adverts));
    adverts[1] = cohort.adverts[2];
    adverts[2] = cohort.adverts[1];
    fails(secagg_keyset_make(&cohort.run, adverts, 5, cohort.memo, &keyset), ERROR_INVALID);
    cohort_close(&cohort);
}

static void test_secagg_keyset_refuses_an_advert_of_the_batch_before(void **state)
{
    struct cohort cohort;
    struct secagg_advert stale, fresh;
    struct secagg_keyset *keyset = NULL;
    uint8_t leaves[5];
    (void)state;
    begin_five(&cohort);
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    stale = cohort.adverts[2];
    cohort.adverts[2].entries = calloc(stale.count, sizeof(*stale.entries));
    cohort_advertise(&cohort, leaves);
    fresh = cohort.adverts[2];
    cohort.adverts[2] = stale;
    fails_saying(secagg_keyset_make(&cohort.run, cohort.adverts, 5, cohort.memo, &keyset), ERROR_INVALID,
                 "3");
    cohort.adverts[2].first_slot = fresh.first_slot;
    fails_saying(secagg_keyset_make(&cohort.run, cohort.adverts, 5, cohort.memo, &keyset), ERROR_UNTRUSTED,
                 "3");
    cohort.adverts[2] = fresh;
    secagg_advert_clear(&stale);
    cohort_close(&cohort);
}

static void test_secagg_share_open_refuses_shares_out_of_place(void **state)
{
    struct cohort cohort;
    struct secagg_share share;
    uint8_t leaves[5], stale[SECAGG_SEALED_BYTES];
    (void)state;
    begin_five(&cohort);
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    const uint8_t *for_two = cohort.sealed[0], *for_three = cohort.sealed[0] + SECAGG_SEALED_BYTES;
    const struct secagg_secret *two = &cohort.sites[1].secrets[0];
    succeeds(secagg_share_open(cohort.keyset, cohort.slot, 2, 1, two, for_two, &share));
    fails(secagg_share_open(cohort.keyset, cohort.slot, 2, 1, two, for_three, &share), ERROR_UNTRUSTED);
    fails(secagg_share_open(cohort.keyset, cohort.slot, 2, 3, two, for_two, &share), ERROR_UNTRUSTED);
    fails(secagg_share_open(cohort.keyset, cohort.slot, 3, 1, &cohort.sites[2].secrets[0], for_two, &share),
          ERROR_UNTRUSTED);
    memcpy(stale, for_two, sizeof(stale));
    cohort_share(&cohort, cohort.slot + 1, leaves);
    fails(secagg_share_open(cohort.keyset, cohort.slot, 2, 1, &cohort.sites[1].secrets[1], stale, &share),
          ERROR_UNTRUSTED);
    cohort_close(&cohort);
}

static struct error *agree(struct cohort *cohort, uint32_t position, const struct secagg_input *inputs,
                           size_t count)
{
    struct secagg_agreement agreement;
    return cohort_site_agree(cohort, &cohort->attempt, position, inputs, count, &agreement);
}

static void test_secagg_agree_refuses_inputs_out_of_place(void **state)
{
    struct cohort cohort;
    struct secagg_input inputs[5];
    (void)state;
    begin_five(&cohort);
    memcpy(inputs, cohort.inputs, sizeof(inputs));
    inputs[2] = inputs[1];
    fails(agree(&cohort, 1, inputs, 5), ERROR_INVALID);
    inputs[1] = cohort.inputs[2];
    inputs[2] = cohort.inputs[1];
    fails(agree(&cohort, 1, inputs, 5), ERROR_INVALID);
    memcpy(inputs, cohort.inputs, sizeof(inputs));
    fails(agree(&cohort, 1, inputs, 3), ERROR_REFUSED);     /* too few */
    fails(agree(&cohort, 1, inputs + 1, 4), ERROR_REFUSED); /* itself not among them */
    inputs[3].position = 6;
    fails(agree(&cohort, 1, inputs, 4), ERROR_INVALID); /* nobody */
    memcpy(inputs, cohort.inputs, sizeof(inputs));
    inputs[3].digest.bytes[0] ^= 1;
    fails_saying(agree(&cohort, 4, inputs, 5), ERROR_UNTRUSTED, "not the vector that it gave");
    succeeds(agree(&cohort, 1, cohort.inputs, 5));
    cohort_close(&cohort);
}

/* Makes all five agree; malloc'ed [5]. */
static struct secagg_agreement *agree_all(struct cohort *cohort)
{
    struct secagg_agreement *agreements = NULL;
    uint8_t leaves[5];
    size_t count = 0;
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    succeeds(cohort_agree(cohort, leaves, &agreements, &count));
    assert_int_equal(count, 5);
    return agreements;
}

static struct error *unmask(struct cohort *cohort, uint32_t position, const struct secagg_input *inputs,
                            size_t count, const struct secagg_agreement *agreements, size_t agreement_count)
{
    struct secagg_unmasking unmasking = {0};
    struct error *err = cohort_site_unmask(cohort, &cohort->attempt, position, inputs, count, agreements,
                                           agreement_count, &unmasking);
    free((void *)(uintptr_t)unmasking.revealed);
    return err;
}

/* What was signed in attempt 0 is nothing in attempt 1, though the vectors are the same: whose list it is does not agree to
 * it, and the others, who sign it, give nothing. */
static void test_secagg_unmask_refuses_inputs_of_the_attempt_before(void **state)
{
    struct cohort cohort;
    struct secagg_input stale;
    struct secagg_agreement agreements[4];
    uint8_t leaves[5];
    (void)state;
    begin_five(&cohort);
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    stale = cohort.inputs[3];
    cohort_share(&cohort, cohort.slot + 1, leaves);
    succeeds(cohort_begin(&cohort, 1, 1, leaves));
    succeeds(cohort_mask(&cohort, leaves));
    assert_false(digest_equal(&stale.digest, &cohort.inputs[3].digest));
    cohort.inputs[3] = stale;
    fails_saying(agree(&cohort, 4, cohort.inputs, 5), ERROR_UNTRUSTED, "not the vector that it gave");
    for (uint32_t i = 0; i < 4; i++)
        succeeds(
            cohort_site_agree(&cohort, &cohort.attempt, i < 3 ? i + 1 : 5, cohort.inputs, 5, &agreements[i]));
    for (uint32_t i = 0; i < 4; i++)
        fails_saying(unmask(&cohort, i < 3 ? i + 1 : 5, cohort.inputs, 5, agreements, 4), ERROR_UNTRUSTED,
                     "The input of site 4");
    assert_int_equal(given_record_in_slot(given_record_of_all(), cohort.run.run_id, cohort.slot), 0);
    cohort_close(&cohort);
}

static void test_secagg_unmask_refuses_agreements_out_of_place(void **state)
{
    struct cohort cohort;
    struct secagg_agreement agreements[5];
    (void)state;
    begin_five(&cohort);
    struct secagg_agreement *all = agree_all(&cohort);
    memcpy(agreements, all, sizeof(agreements));
    fails(unmask(&cohort, 1, cohort.inputs, 5, agreements, 3), ERROR_REFUSED); /* t - 1 */
    agreements[3] = agreements[2];
    fails(unmask(&cohort, 1, cohort.inputs, 5, agreements, 4), ERROR_INVALID); /* one of them twice */
    agreements[3] = all[4];
    agreements[4] = all[3];
    fails(unmask(&cohort, 1, cohort.inputs, 5, agreements, 5), ERROR_INVALID);
    memcpy(agreements, all, sizeof(agreements));
    agreements[1].signature[0] ^= 1;
    fails_saying(unmask(&cohort, 1, cohort.inputs, 5, agreements, 5), ERROR_UNTRUSTED, "site 2");
    assert_int_equal(given_record_in_slot(given_record_of_all(), cohort.run.run_id, cohort.slot), 0);
    succeeds(unmask(&cohort, 1, cohort.inputs, 5, all, 4));
    succeeds(unmask(&cohort, 1, cohort.inputs, 5, all, 5)); /* asked again */
    free(all);
    cohort_close(&cohort);
}

static void test_secagg_unmask_refuses_agreements_of_the_attempt_before(void **state)
{
    struct cohort cohort;
    uint8_t leaves[5];
    (void)state;
    begin_five(&cohort);
    struct secagg_agreement *stale = agree_all(&cohort);
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    cohort_share(&cohort, cohort.slot + 1, leaves);
    succeeds(cohort_begin(&cohort, 2, 0, leaves));
    succeeds(cohort_mask(&cohort, leaves));
    struct secagg_agreement *fresh = agree_all(&cohort);
    fails(unmask(&cohort, 1, cohort.inputs, 5, stale, 5), ERROR_UNTRUSTED);
    fresh[2] = stale[2];
    fails_saying(unmask(&cohort, 1, cohort.inputs, 5, fresh, 5), ERROR_UNTRUSTED, "site 3");
    assert_int_equal(given_record_in_slot(given_record_of_all(), cohort.run.run_id, cohort.slot), 0);
    free(stale);
    free(fresh);
    cohort_close(&cohort);
}

/* ---- an orchestrator that wants both kinds ---- */

/* Everybody has agreed to five; now site 5 is said to have dropped. */
static void test_secagg_second_contributor_list_of_an_attempt_is_refused(void **state)
{
    struct cohort cohort;
    (void)state;
    begin_five(&cohort);
    struct secagg_agreement *agreements = agree_all(&cohort);
    succeeds(unmask(&cohort, 1, cohort.inputs, 5, agreements, 5));
    fails(agree(&cohort, 1, cohort.inputs, 4), ERROR_REFUSED);
    fails(unmask(&cohort, 1, cohort.inputs, 4, agreements, 5), ERROR_REFUSED);
    free(agreements);
    cohort_close(&cohort);
}

/* Two lists at once, told to two halves: neither half has t agreements, since 2 t > n + n_c. */
static void test_secagg_two_contributor_lists_told_to_two_halves_unmask_nobody(void **state)
{
    struct cohort cohort;
    struct secagg_agreement of_five[5], of_four[4];
    (void)state;
    begin_five(&cohort);
    for (uint32_t position = 1; position <= 3; position++)
        succeeds(
            cohort_site_agree(&cohort, &cohort.attempt, position, cohort.inputs, 5, &of_five[position - 1]));
    succeeds(cohort_site_agree(&cohort, &cohort.attempt, 4, cohort.inputs, 4, &of_four[0]));
    fails(agree(&cohort, 3, cohort.inputs, 4), ERROR_REFUSED);
    fails(unmask(&cohort, 1, cohort.inputs, 5, of_five, 3), ERROR_REFUSED);
    of_five[3] = of_four[0];
    fails_saying(unmask(&cohort, 1, cohort.inputs, 5, of_five, 4), ERROR_UNTRUSTED, "site 4");
    fails(unmask(&cohort, 4, cohort.inputs, 4, of_four, 1), ERROR_REFUSED);
    assert_int_equal(given_record_in_slot(given_record_of_all(), cohort.run.run_id, cohort.slot), 0);
    cohort_close(&cohort);
}

/* Of attempt 0 and attempt 1 of a round, the difference of the sums would be the vector of site 5. */
static void test_secagg_round_signed_once_is_not_signed_in_another_attempt(void **state)
{
    struct cohort cohort;
    uint8_t leaves[5];
    (void)state;
    begin_five(&cohort);
    struct secagg_agreement *agreements = agree_all(&cohort);
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    cohort_share(&cohort, cohort.slot + 1, leaves);
    leaves[4] = COHORT_MASK;
    succeeds(cohort_begin(&cohort, 1, 1, leaves));
    succeeds(cohort_mask(&cohort, leaves));
    for (uint32_t position = 1; position <= 4; position++)
        fails(agree(&cohort, position, cohort.inputs, 4), ERROR_REFUSED);
    free(agreements);
    cohort_close(&cohort);
}

/* What that rule is for: sites that forget what they signed give both sums, and the difference is the vector of site 5. */
static void test_secagg_round_signed_twice_would_give_a_vector_away(void **state)
{
    struct cohort cohort;
    uint64_t all[WORDS];
    uint8_t leaves[5];
    (void)state;
    memset(leaves, COHORT_STAYS, sizeof(leaves));
    open_five(&cohort);
    succeeds(cohort_round(&cohort, 1, 0, leaves));
    memcpy(all, cohort.sum, sizeof(all));
    leaves[4] = COHORT_MASK;
    fails(cohort_round(&cohort, 1, 1, leaves), ERROR_REFUSED);
    for (size_t i = 0; i < 5; i++)
        cohort.sites[i].agreed_round = 0;
    succeeds(cohort_round(&cohort, 1, 2, leaves));
    for (size_t k = 0; k < WORDS; k++)
        assert_int_equal(all[k] - cohort.sum[k], cohort.sites[4].vector[k]);
    cohort_close(&cohort);
}

/* Told different models, two sites make masks that do not cancel; and none signs what the other one signed. */
static void test_secagg_sites_with_different_models_sum_to_noise(void **state)
{
    struct cohort cohort;
    struct secagg_attempt other;
    struct digest model;
    struct secagg_input input;
    uint64_t words[WORDS];
    (void)state;
    begin_five(&cohort);
    succeeds(digest_of("another", 7, &model));
    succeeds(secagg_attempt_make(cohort.keyset, cohort.slot, 1, 0, cohort.attempt.sharers, &model,
                                 MASK_RING_64, WORDS, &other));
    succeeds(cohort_site_mask(&cohort, &cohort.attempt, 5, words, &input));
    for (size_t k = 0; k < WORDS; k++)
        cohort.sum[k] -= words[k];
    succeeds(cohort_site_mask(&cohort, &other, 5, words, &cohort.inputs[4]));
    mask_add_words(MASK_RING_64, cohort.sum, words, WORDS);
    struct secagg_agreement agreements[4]; /* site 5 agrees to none about this model */
    for (uint32_t position = 1; position <= 4; position++)
        succeeds(cohort_site_agree(&cohort, &cohort.attempt, position, cohort.inputs, 5,
                                   &agreements[position - 1]));
    for (uint32_t position = 1; position <= 4; position++)
        fails_saying(unmask(&cohort, position, cohort.inputs, 5, agreements, 4), ERROR_UNTRUSTED,
                     "The input of site 5");

    /* Also with every secret at hand, the sum is noise. */
    struct secagg_opened opened[5];
    for (uint32_t i = 0; i < 5; i++) {
        opened[i] = (struct secagg_opened){.position = i + 1, .kind = SECAGG_REVEAL_B};
        memcpy(opened[i].secret, cohort.sites[i].secrets[0].b, sizeof(opened[i].secret));
    }
    uint64_t *expected = cohort_expected(&cohort);
    succeeds(secagg_sum_unmask(&cohort.attempt, cohort.u3, opened, cohort.sum));
    for (size_t k = 0; k < WORDS; k++)
        assert_true(cohort.sum[k] != expected[k]);
    free(expected);
    cohort_close(&cohort);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secagg_keyset_refuses_adverts_out_of_place),
        cmocka_unit_test(test_secagg_keyset_refuses_an_advert_of_the_batch_before),
        cmocka_unit_test(test_secagg_share_open_refuses_shares_out_of_place),
        cmocka_unit_test(test_secagg_agree_refuses_inputs_out_of_place),
        cmocka_unit_test(test_secagg_unmask_refuses_inputs_of_the_attempt_before),
        cmocka_unit_test(test_secagg_unmask_refuses_agreements_out_of_place),
        cmocka_unit_test(test_secagg_unmask_refuses_agreements_of_the_attempt_before),
        cmocka_unit_test(test_secagg_second_contributor_list_of_an_attempt_is_refused),
        cmocka_unit_test(test_secagg_two_contributor_lists_told_to_two_halves_unmask_nobody),
        cmocka_unit_test(test_secagg_round_signed_once_is_not_signed_in_another_attempt),
        cmocka_unit_test(test_secagg_round_signed_twice_would_give_a_vector_away),
        cmocka_unit_test(test_secagg_sites_with_different_models_sum_to_noise),
    };
    return cmocka_run_group_tests(tests, NULL, given_record_tear_down);
}
