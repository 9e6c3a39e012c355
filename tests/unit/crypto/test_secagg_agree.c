#include "crypto/secagg_agree.h"

#include "federation.h"

static struct error *check(const struct federation *federation, uint32_t position,
                           const struct secagg_input *inputs, size_t count, size_t least)
{
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    return secagg_agree_check(&federation->attempt, position, &federation->digests[position - 1], inputs,
                              count, least, body);
}

/* ---- the body ---- */

static void test_secagg_agreement_body_is_that_of_the_design(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_attempt *attempt = &federation->attempt;
    uint8_t bodies[FEDERATION_SITES * SECAGG_INPUT_BODY_BYTES], by_hand[SECAGG_AGREEMENT_BODY_BYTES];
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    struct digest contributors, inputs;
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        secagg_input_body(attempt, &federation->digests[i], bodies + i * SECAGG_INPUT_BODY_BYTES);
    succeeds(digest_of(bodies, sizeof(bodies), &inputs));
    succeeds(secagg_set_hash(&federation->run, SECAGG_CONTRIBUTORS, federation_everybody(federation),
                             &contributors));
    memcpy(by_hand, attempt->context.bytes, 32);
    memcpy(by_hand + 32, attempt->sharers_hash.bytes, 32);
    memcpy(by_hand + 64, contributors.bytes, 32);
    memcpy(by_hand + 96, inputs.bytes, 32);
    succeeds(secagg_agreement_body(attempt, federation->inputs, FEDERATION_SITES, body));
    assert_memory_equal(body, by_hand, sizeof(body));
    for (uint32_t position = 1; position <= FEDERATION_SITES; position++) {
        succeeds(secagg_agree_check(attempt, position, &federation->digests[position - 1], federation->inputs,
                                    FEDERATION_SITES, 0, body));
        assert_memory_equal(body, by_hand, sizeof(body));
    }
}

/* ---- before a site signs ---- */

struct tweak {
    const char *name;
    size_t count, least;
    void (*change)(struct federation *federation, struct secagg_input *inputs);
    enum error_code code;
    const char *text;
};

static void tweak_nothing(struct federation *federation, struct secagg_input *inputs)
{
    (void)federation, (void)inputs;
}
static void tweak_swap(struct federation *federation, struct secagg_input *inputs)
{
    inputs[2] = federation->inputs[3];
    inputs[3] = federation->inputs[2];
}
static void tweak_repeat(struct federation *federation, struct secagg_input *inputs)
{
    inputs[4] = federation->inputs[3];
}
static void tweak_position_zero(struct federation *federation, struct secagg_input *inputs)
{
    (void)federation;
    inputs[0].position = 0;
}
static void tweak_position_over(struct federation *federation, struct secagg_input *inputs)
{
    (void)federation;
    inputs[4].position = FEDERATION_SITES + 1;
}
static void tweak_own_digest(struct federation *federation, struct secagg_input *inputs)
{
    inputs[1].digest = federation->digests[0];
}
/* The site's own signature, over another vector of its own. */
static void tweak_own_other_vector(struct federation *federation, struct secagg_input *inputs)
{
    struct digest before = federation->digests[1];
    federation->digests[1] = federation->digests[0];
    inputs[1] = federation_input(federation, &federation->attempt, 2);
    federation->digests[1] = before;
}
static void tweak_without_own(struct federation *federation, struct secagg_input *inputs)
{
    for (size_t i = 1; i + 1 < FEDERATION_SITES; i++)
        inputs[i] = federation->inputs[i + 1];
}
static void tweak_peer_digest(struct federation *federation, struct secagg_input *inputs)
{
    (void)federation;
    inputs[3].digest.bytes[9] ^= 1;
}
static void tweak_peer_signature(struct federation *federation, struct secagg_input *inputs)
{
    (void)federation;
    inputs[3].signature[9] ^= 1;
}
static void tweak_peer_of_other_round(struct federation *federation, struct secagg_input *inputs)
{
    struct secagg_attempt other = federation_attempt(
        federation, FEDERATION_FIRST_SLOT, 2, 1, federation_everybody(federation), "the model of round 3");
    inputs[3] = federation_input(federation, &other, 4);
}
static void tweak_peer_of_other_attempt(struct federation *federation, struct secagg_input *inputs)
{
    struct secagg_attempt other = federation_attempt(
        federation, FEDERATION_FIRST_SLOT, 3, 0, federation_everybody(federation), "the model of round 3");
    inputs[3] = federation_input(federation, &other, 4);
}
static void tweak_peer_of_other_model(struct federation *federation, struct secagg_input *inputs)
{
    struct secagg_attempt other = federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 1,
                                                     federation_everybody(federation), "a crafted model");
    inputs[3] = federation_input(federation, &other, 4);
}
static void tweak_peer_of_other_slot(struct federation *federation, struct secagg_input *inputs)
{
    struct secagg_attempt other =
        federation_attempt(federation, FEDERATION_FIRST_SLOT + 1, 3, 1, federation_everybody(federation),
                           "the model of round 3");
    inputs[3] = federation_input(federation, &other, 4);
}
static void tweak_no_sharer(struct federation *federation, struct secagg_input *inputs)
{
    (void)inputs;
    federation->attempt.sharers.count--;
}

static const struct tweak tweaks[] = {
    {"swapped", 5, 0, tweak_swap, ERROR_INVALID, "positions must ascend"},
    {"repeated", 5, 0, tweak_repeat, ERROR_INVALID, "position 4 comes after 4"},
    {"position 0", 5, 0, tweak_position_zero, ERROR_INVALID, "is position 0"},
    {"position 6", 5, 0, tweak_position_over, ERROR_INVALID, "is position 6"},
    {"not in U2", 5, 0, tweak_no_sharer, ERROR_INVALID, "not in the list of sharers"},
    {"below the threshold", 3, 0, tweak_nothing, ERROR_REFUSED,
     "Only 3 sites contributed to the sum; it needs at least 4"},
    {"least below the threshold", 3, 3, tweak_nothing, ERROR_REFUSED, "it needs at least 4"},
    {"below least", 4, 5, tweak_nothing, ERROR_REFUSED, "it needs at least 5"},
    {"nobody", 0, 0, tweak_nothing, ERROR_REFUSED, "Only 0 sites"},
    {"own digest", 5, 0, tweak_own_digest, ERROR_UNTRUSTED, "not the vector that it gave"},
    {"own other vector", 5, 0, tweak_own_other_vector, ERROR_UNTRUSTED, "not the vector that it gave"},
    {"without the own", 4, 0, tweak_without_own, ERROR_REFUSED, "This site is not in the list"},
};

static void test_secagg_agree_check_tweaked_is_refused(void **state)
{
    struct federation *federation = *state;
    struct secagg_input inputs[FEDERATION_SITES];
    for (size_t i = 0; i < sizeof(tweaks) / sizeof(tweaks[0]); i++) {
        const struct secagg_attempt attempt = federation->attempt;
        memcpy(inputs, federation->inputs, sizeof(inputs));
        succeeds(check(federation, 2, inputs, FEDERATION_SITES, FEDERATION_SITES));
        print_message("%s\n", tweaks[i].name);
        tweaks[i].change(federation, inputs);
        fails_saying(check(federation, 2, inputs, tweaks[i].count, tweaks[i].least), tweaks[i].code,
                     tweaks[i].text);
        federation->attempt = attempt;
    }
}

/* The sum of two gives each of them the other's input; whatever a job says. */
static void test_secagg_agree_check_two_contributors_are_refused(void **state)
{
    struct federation *federation = *state;
    federation->keyset->run.threshold = 1;
    fails_saying(check(federation, 2, federation->inputs, 2, 1), ERROR_REFUSED, "it needs at least 3");
    succeeds(check(federation, 2, federation->inputs, 3, 1));
}

/* All of site 1's neighbours in the graph drop out, but for as many as the threshold is, less `missing`; everybody else
 * stays. */
static struct error *check_isolated(struct federation *federation, size_t missing)
{
    uint32_t *neighbours = NULL;
    size_t count = 0, threshold = 0, contributors = 0;
    struct secagg_input *inputs = calloc(federation->sites, sizeof(*inputs));
    assert_non_null(inputs);
    succeeds(
        secagg_neighbours(federation->keyset, FEDERATION_FIRST_SLOT, 1, &neighbours, &count, &threshold));
    const struct secagg_set dropped = {.positions = neighbours, .count = count - threshold + missing};
    for (uint32_t position = 1; position <= federation->sites; position++)
        if (!secagg_set_has(dropped, position))
            inputs[contributors++] = federation->inputs[position - 1];
    struct error *err = check(federation, 1, inputs, contributors, 3);
    free(neighbours);
    free(inputs);
    return err;
}

static void test_secagg_agree_check_isolated_in_the_graph_is_refused(void **state)
{
    (void)state;
    struct federation *federation = federation_new(140, 3);
    succeeds(check(federation, 1, federation->inputs, federation->sites, 3));
    succeeds(check_isolated(federation, 0));
    fails_saying(check_isolated(federation, 1), ERROR_REFUSED, "neighbours of site");
    federation_free(federation);
}

/* ---- the others' signatures ---- */

static struct error *verify(const struct federation *federation, const struct secagg_agreement *agreements,
                            size_t count)
{
    return secagg_agreements_verify(&federation->run, federation->body, agreements, count, NULL);
}

static void test_secagg_agreements_at_the_threshold_hold(void **state)
{
    const struct federation *federation = *state;
    succeeds(verify(federation, federation->agreements, FEDERATION_SITES));
    succeeds(verify(federation, federation->agreements, FEDERATION_THRESHOLD));
    succeeds(verify(federation, federation->agreements + 1, FEDERATION_THRESHOLD));
}

static void test_secagg_agreements_below_the_threshold_are_refused(void **state)
{
    const struct federation *federation = *state;
    fails_saying(verify(federation, federation->agreements, FEDERATION_THRESHOLD - 1), ERROR_REFUSED,
                 "3 sites agree, and the job's threshold is 4");
    fails(verify(federation, federation->agreements, 0), ERROR_REFUSED);
}

static void test_secagg_agreements_tweaked_are_refused(void **state)
{
    struct federation *federation = *state;
    struct secagg_agreement a[FEDERATION_SITES];
    const size_t all = FEDERATION_SITES;
    memcpy(a, federation->agreements, sizeof(a));
    a[2].signature[3] ^= 1;
    fails_saying(verify(federation, a, all), ERROR_UNTRUSTED, "The agreement of site 3 of the roster");
    memcpy(a, federation->agreements, sizeof(a));
    a[2].public_key[3] ^= 1;
    fails_saying(verify(federation, a, all), ERROR_UNTRUSTED, "not the key of the site");
    memcpy(a, federation->agreements, sizeof(a));
    a[4] = a[3]; /* a signer twice */
    fails_saying(verify(federation, a, all), ERROR_INVALID, "each must be there once");
    a[4].position = 5; /* and under another name */
    fails_saying(verify(federation, a, all), ERROR_UNTRUSTED, "site 5 of the roster");
    memcpy(a, federation->agreements, sizeof(a));
    a[0] = federation->agreements[1];
    a[1] = federation->agreements[0];
    fails_saying(verify(federation, a, all), ERROR_INVALID, "in ascending order");
    memcpy(a, federation->agreements, sizeof(a));
    a[4].position = 6;
    fails_saying(verify(federation, a, all), ERROR_INVALID, "of site 6 of the roster, which has 1 to 5");
    a[0].position = 0;
    fails_saying(verify(federation, a, all), ERROR_INVALID, "of site 0 of the roster");
}

static void test_secagg_agreements_of_a_stranger_are_refused(void **state)
{
    struct federation *federation = *state;
    struct secagg_agreement *last = &federation->agreements[4];
    struct identity *stranger = federation_stranger();
    identity_public_key(stranger, last->public_key);
    succeeds(
        secagg_sign(stranger, SECAGG_AGREEMENT, federation->body, sizeof(federation->body), last->signature));
    identity_free(stranger);
    fails_saying(verify(federation, federation->agreements, FEDERATION_SITES), ERROR_UNTRUSTED,
                 "The agreement of site 5 of the roster");
}

static void test_secagg_agreements_over_another_body_are_refused(void **state)
{
    struct federation *federation = *state;
    for (size_t i = 0; i < SECAGG_AGREEMENT_BODY_BYTES; i++) {
        federation->body[i] ^= 1; /* context, U2, U3 or the inputs */
        fails(verify(federation, federation->agreements, FEDERATION_SITES), ERROR_UNTRUSTED);
        federation->body[i] ^= 1;
    }
    /* Signed as something else. */
    succeeds(secagg_sign(federation->identities[0], "input", federation->body, sizeof(federation->body),
                         federation->agreements[0].signature));
    fails(verify(federation, federation->agreements, FEDERATION_SITES), ERROR_UNTRUSTED);
}

/* What t sites signed about one U3 says nothing about another. */
static void test_secagg_agreements_over_another_contributor_set_are_refused(void **state)
{
    struct federation *federation = *state;
    succeeds(secagg_agreement_body(&federation->attempt, federation->inputs, FEDERATION_THRESHOLD,
                                   federation->body));
    fails(verify(federation, federation->agreements, FEDERATION_SITES), ERROR_UNTRUSTED);
}

/* ---- before a site gives shares ---- */

/* What site 2 is told and signed with all but `without`, and what the others than that one sign. */
static struct error *unmask(const struct federation *federation, const struct secagg_input *inputs,
                            uint32_t without)
{
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    struct secagg_agreement agreements[FEDERATION_SITES];
    size_t count = 0;
    succeeds(
        secagg_agree_check(&federation->attempt, 2, &inputs[1].digest, inputs, FEDERATION_SITES, 0, body));
    for (uint32_t position = 1; position <= FEDERATION_SITES; position++) {
        struct secagg_agreement *agreement = &agreements[count];
        if (position == without)
            continue;
        *agreement = federation->agreements[position - 1];
        succeeds(secagg_sign(federation->identities[position - 1], SECAGG_AGREEMENT, body, sizeof(body),
                             agreement->signature));
        count++;
    }
    return secagg_unmask_check(&federation->attempt, 2, body, inputs, FEDERATION_SITES, agreements, count,
                               NULL);
}

static const struct {
    const char *name;
    void (*change)(struct federation *federation, struct secagg_input *inputs);
} entries_of_4[] = {
    {"digest", tweak_peer_digest},
    {"signature", tweak_peer_signature},
    {"of another round", tweak_peer_of_other_round},
    {"of another attempt", tweak_peer_of_other_attempt},
    {"of another model", tweak_peer_of_other_model},
    {"of another slot", tweak_peer_of_other_slot},
};

/* Nobody signed what the list says of site 4, which did not agree to it either: it may have given nothing. */
static void test_secagg_unmask_check_entry_that_nobody_signed_is_refused(void **state)
{
    struct federation *federation = *state;
    struct secagg_input inputs[FEDERATION_SITES];
    succeeds(unmask(federation, federation->inputs, 4));
    for (size_t i = 0; i < sizeof(entries_of_4) / sizeof(entries_of_4[0]); i++) {
        memcpy(inputs, federation->inputs, sizeof(inputs));
        print_message("%s\n", entries_of_4[i].name);
        entries_of_4[i].change(federation, inputs);
        fails_saying(unmask(federation, inputs, 4), ERROR_UNTRUSTED, "The input of site 4 of the roster");
    }
}

/* Who signed the list signed its entry: the one of site 4 is looked at no more, those of others are. */
static void test_secagg_unmask_check_entry_of_who_agreed_holds(void **state)
{
    struct federation *federation = *state;
    struct secagg_input inputs[FEDERATION_SITES];
    memcpy(inputs, federation->inputs, sizeof(inputs));
    inputs[3].signature[9] ^= 1;
    succeeds(unmask(federation, inputs, 1));
    succeeds(unmask(federation, inputs, 5));
    inputs[0].signature[9] ^= 1;
    fails_saying(unmask(federation, inputs, 1), ERROR_UNTRUSTED, "The input of site 1 of the roster");
}

/* And it signed no other list than the one with its own entry. */
static void test_secagg_unmask_check_agreement_to_another_entry_does_not_count(void **state)
{
    struct federation *federation = *state;
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    struct secagg_input inputs[FEDERATION_SITES];
    memcpy(inputs, federation->inputs, sizeof(inputs));
    inputs[3].digest.bytes[0] ^= 1;
    succeeds(secagg_agreement_body(&federation->attempt, inputs, FEDERATION_SITES, body));
    fails_saying(secagg_unmask_check(&federation->attempt, 2, body, inputs, FEDERATION_SITES,
                                     federation->agreements, FEDERATION_SITES, NULL),
                 ERROR_UNTRUSTED, "The agreement of site 1 of the roster");
}

static void test_secagg_unmask_check_inputs_of_another_list_are_refused(void **state)
{
    struct federation *federation = *state;
    struct secagg_input inputs[FEDERATION_SITES];
    const size_t all = FEDERATION_SITES;
    memcpy(inputs, federation->inputs, sizeof(inputs));
    succeeds(secagg_unmask_check(&federation->attempt, 2, federation->body, inputs, all,
                                 federation->agreements, all, NULL));
    for (size_t i = 0; i < all; i++) {
        inputs[i].digest.bytes[31] ^= 1;
        fails_saying(secagg_unmask_check(&federation->attempt, 2, federation->body, inputs, all,
                                         federation->agreements, all, NULL),
                     ERROR_UNTRUSTED, "not those of the list that this site signed");
        inputs[i].digest.bytes[31] ^= 1;
    }
    fails(secagg_unmask_check(&federation->attempt, 2, federation->body, inputs, all - 1,
                              federation->agreements, all, NULL),
          ERROR_UNTRUSTED);
    federation->attempt.words++;
    fails(secagg_unmask_check(&federation->attempt, 2, federation->body, inputs, all, federation->agreements,
                              all, NULL),
          ERROR_UNTRUSTED);
}

static void test_secagg_unmask_check_below_the_threshold_is_refused(void **state)
{
    const struct federation *federation = *state;
    fails_saying(secagg_unmask_check(&federation->attempt, 2, federation->body, federation->inputs,
                                     FEDERATION_SITES, federation->agreements, FEDERATION_THRESHOLD - 1,
                                     NULL),
                 ERROR_REFUSED, "3 sites agree");
}

/* ---- what is revealed ---- */

static void test_secagg_reveal_plan_gives_one_kind_for_each_sharer(void **state)
{
    const struct federation *federation = *state;
    static const uint32_t contributors[] = {1, 2, 4, 5};
    const struct secagg_set set = {.positions = contributors, .count = 4};
    for (uint32_t position = 1; position <= FEDERATION_SITES; position++) {
        struct secagg_revealed *plan = NULL;
        size_t count = 0;
        succeeds(secagg_reveal_plan(&federation->attempt, set, position, &plan, &count));
        assert_int_equal(count, FEDERATION_SITES);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(plan[i].position, i + 1);
            assert_int_equal(plan[i].kind, i + 1 == 3 ? SECAGG_REVEAL_S : SECAGG_REVEAL_B);
        }
        free(plan);
    }
}

static void test_secagg_reveal_plan_outside_the_sets_is_refused(void **state)
{
    struct federation *federation = *state;
    const struct secagg_set everybody = federation_everybody(federation);
    struct secagg_set few = everybody;
    struct secagg_revealed *plan = NULL;
    size_t count = 0;
    few.count = FEDERATION_THRESHOLD - 1;
    fails(secagg_reveal_plan(&federation->attempt, few, 1, &plan, &count), ERROR_REFUSED);
    few.count = 0;
    fails(secagg_reveal_plan(&federation->attempt, few, 1, &plan, &count), ERROR_REFUSED);
    federation->attempt.sharers.count--;
    fails_saying(secagg_reveal_plan(&federation->attempt, everybody, 1, &plan, &count), ERROR_INVALID,
                 "not in the list of sharers");
    few.count = FEDERATION_THRESHOLD;
    fails_saying(secagg_reveal_plan(&federation->attempt, few, FEDERATION_SITES, &plan, &count),
                 ERROR_INVALID, "not in the list of sharers");
    succeeds(secagg_reveal_plan(&federation->attempt, few, 1, &plan, &count));
    assert_int_equal(count, FEDERATION_THRESHOLD);
    free(plan);
}

static void test_secagg_reveal_plan_in_the_graph_is_of_neighbours(void **state)
{
    (void)state;
    struct federation *federation = federation_new(140, 80);
    struct secagg_revealed *plan = NULL;
    uint32_t *neighbours = NULL;
    size_t count = 0, planned = 0, threshold = 0, own = 0;
    succeeds(
        secagg_neighbours(federation->keyset, FEDERATION_FIRST_SLOT, 70, &neighbours, &count, &threshold));
    succeeds(secagg_reveal_plan(&federation->attempt, federation_everybody(federation), 70, &plan, &planned));
    assert_int_equal(planned, count + 1);
    for (size_t i = 0; i < planned; i++) {
        if (plan[i].position == 70)
            own++;
        else
            assert_int_equal(plan[i].position, neighbours[i - own]);
        assert_int_equal(plan[i].kind, SECAGG_REVEAL_B);
    }
    assert_int_equal(own, 1);
    free(neighbours);
    free(plan);
    federation_free(federation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FEDERATION_TEST(test_secagg_agreement_body_is_that_of_the_design, mask),
        FEDERATION_TEST(test_secagg_agree_check_tweaked_is_refused, mask),
        FEDERATION_TEST(test_secagg_agree_check_two_contributors_are_refused, mask),
        cmocka_unit_test(test_secagg_agree_check_isolated_in_the_graph_is_refused),
        FEDERATION_TEST(test_secagg_unmask_check_entry_that_nobody_signed_is_refused, agree),
        FEDERATION_TEST(test_secagg_unmask_check_entry_of_who_agreed_holds, agree),
        FEDERATION_TEST(test_secagg_unmask_check_agreement_to_another_entry_does_not_count, agree),
        FEDERATION_TEST(test_secagg_unmask_check_inputs_of_another_list_are_refused, agree),
        FEDERATION_TEST(test_secagg_unmask_check_below_the_threshold_is_refused, agree),
        FEDERATION_TEST(test_secagg_agreements_at_the_threshold_hold, agree),
        FEDERATION_TEST(test_secagg_agreements_below_the_threshold_are_refused, agree),
        FEDERATION_TEST(test_secagg_agreements_tweaked_are_refused, agree),
        FEDERATION_TEST(test_secagg_agreements_of_a_stranger_are_refused, agree),
        FEDERATION_TEST(test_secagg_agreements_over_another_body_are_refused, agree),
        FEDERATION_TEST(test_secagg_agreements_over_another_contributor_set_are_refused, agree),
        FEDERATION_TEST(test_secagg_reveal_plan_gives_one_kind_for_each_sharer, mask),
        FEDERATION_TEST(test_secagg_reveal_plan_outside_the_sets_is_refused, mask),
        cmocka_unit_test(test_secagg_reveal_plan_in_the_graph_is_of_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
