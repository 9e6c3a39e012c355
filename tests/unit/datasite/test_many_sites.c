/* A datasite in a job of more than SECAGG_COMPLETE members: two rounds with dropouts at every step, whose sums must be those of
 * the integers; and an orchestrator that shuts a member in, or has shares made by another graph than the job's. */
#include "crypto/secagg_share.h"
#include "crypto/secagg_wire.h"
#include "datasite/store_internal.h"
#include "datasite/store_secagg.h"
#include "tests/unit/datasite/crowd.h"
#include "tests/unit/datasite/wire_record.h"

#include <inttypes.h>

#define SOME 140 /* members, of whom a tenth may drop out */
#define SOME_COLLUDING 3
#define DENSE_COLLUDING 21 /* more than a tenth: the graph is denser for it */
#define MANY 256 /* members, so that a member's neighbours are fewer than may be left out of a sum */
#define MANY_COLLUDING 5

static int64_t agreed(struct crowd *crowd)
{
    return site_count(crowd->site, "SELECT count(*) FROM event WHERE kind = 'round-agreed'");
}

static int64_t given(struct crowd *crowd)
{
    return site_count(crowd->site, "SELECT count(*) FROM secagg_given");
}

/* The kind of share of this peer that left, of the slot in hand; 0: none. */
static int64_t given_of(struct crowd *crowd, uint32_t peer)
{
    struct query query;
    query_start(&query, crowd->site->store->database,
                "SELECT coalesce(sum(kind), 0) FROM secagg_given WHERE slot = ? AND peer = ?");
    query_bind_int(&query, crowd->attempt.slot);
    query_bind_int(&query, peer);
    assert_true(query_step(&query));
    int64_t kind = query_int(&query, 0);
    must(query_end(&query));
    return kind;
}

static struct reply ask_mask(struct crowd *crowd, Fds__Mask *mask)
{
    struct reply reply = crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_MASK, &mask->base);
    wire_mask_free(mask);
    return reply;
}

/* Refused, and nothing more left than before. */
#define MASK_REFUSED(crowd, mask, code, words)                                                               \
    do {                                                                                                     \
        int64_t held = site_released((crowd)->site);                                                         \
        site_expect_refusal(ask_mask((crowd), (mask)), (code), (words));                                     \
        assert_int_equal(site_released((crowd)->site), held);                                                \
    } while (0)

#define AGREE_REFUSED(crowd, code, words)                                                                    \
    do {                                                                                                     \
        site_expect_refusal(crowd_agree(crowd), (code), (words));                                            \
        assert_int_equal(agreed(crowd), 0);                                                                  \
    } while (0)

/* ---- two rounds ---- */

/* Of each neighbour among the sharers, and of itself, one share of the right kind; of nobody else any. */
static void expect_given(struct crowd *crowd)
{
    struct secagg_set neighbours = crowd_neighbours(crowd, crowd->own);
    size_t strangers = 0;
    for (uint32_t position = 1; position <= crowd->count; position++) {
        bool known = position == crowd->own || secagg_set_has(neighbours, position);
        bool shared = secagg_set_has(crowd->u2, position);
        enum secagg_kind kind = secagg_set_has(crowd->u3, position) ? SECAGG_REVEAL_B : SECAGG_REVEAL_S;
        assert_int_equal(given_of(crowd, position), known && shared ? kind : 0);
        strangers += !known && shared ? 1 : 0;
    }
    assert_true(strangers > 0);
}

static void do_round(struct crowd *crowd, uint32_t round, uint32_t slot, Fds__Sum *previous)
{
    crowd_begin(crowd, round, 0, slot);
    assert_true(crowd->u2.count > SECAGG_COMPLETE);
    assert_true(crowd->degree < crowd->keyset->count - 1);
    crowd_take_vector(crowd, ask_mask(crowd, crowd_mask_message(crowd, previous)));
    crowd_contribute(crowd);
    assert_true(crowd->u3.count < crowd->u2.count);
    crowd_take_agreement(crowd, crowd_agree(crowd));
    assert_true(crowd->agreement_count < crowd->u3.count);
    crowd_take_unmasking(crowd, crowd_unmask(crowd));
    expect_given(crowd);
}

static void test_many_sites_two_rounds_with_dropouts_sum_to_the_integers(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(SOME, SOME_COLLUDING);
    struct secagg_model model;
    uint8_t expected[SITE_PARAMETERS * sizeof(double)];
    uint32_t next = crowd_leave(crowd, 1, 2, CROWD_NOTHING);
    next = crowd_leave(crowd, next, 2, CROWD_ADVERTISES);
    next = crowd_leave(crowd, next, 3, CROWD_SHARES);
    next = crowd_leave(crowd, next, 3, CROWD_MASKS);
    next = crowd_leave(crowd, next, 3, CROWD_AGREES);
    crowd_batch(crowd, 0);
    do_round(crowd, 1, 0, NULL);
    Fds__Sum *first = crowd_sum(crowd);
    crowd_return(crowd); /* others are gone now */
    next = crowd_leave(crowd, next, 2, CROWD_ADVERTISES);
    next = crowd_leave(crowd, next, 4, CROWD_SHARES);
    next = crowd_leave(crowd, next, 2, CROWD_MASKS);
    (void)crowd_leave(crowd, next, 3, CROWD_AGREES);
    do_round(crowd, 2, 1, first);
    Fds__Sum *second = crowd_sum(crowd);
    site_expect_type(crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_SUM, &second->base),
                     FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS);
    wire_sum_free(second);
    must(store_secagg_model(crowd->site->store, crowd->site->run, &model));
    assert_int_equal(model.round, 3);
    assert_int_equal(model.bytes, sizeof(expected));
    wire_parameters_write(crowd->model, SITE_PARAMETERS, expected);
    assert_memory_equal(model.parameters, expected, sizeof(expected));
    secagg_model_clear(&model);
    crowd_free(crowd);
}

/* A sum with one word changed is not that of the inputs, whoever signs it. */
static void test_many_sites_false_sum_refused(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(SOME, SOME_COLLUDING);
    (void)crowd_leave(crowd, 1, 3, CROWD_SHARES);
    (void)crowd_leave(crowd, 10, 3, CROWD_MASKS);
    crowd_batch(crowd, 0);
    do_round(crowd, 1, 0, NULL);
    crowd->sum[1]++;
    Fds__Sum *sum = crowd_sum(crowd);
    site_expect_refusal(crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_SUM, &sum->base), ERROR_UNTRUSTED,
                        "the inputs and the revealed secrets give another one");
    wire_sum_free(sum);
    crowd_free(crowd);
}

/* ---- a member shut in ---- */

static size_t in_common(struct crowd *crowd, uint32_t one, uint32_t other)
{
    struct secagg_set first = crowd_neighbours(crowd, one), second = crowd_neighbours(crowd, other);
    size_t count = 0;
    for (size_t i = 0; i < first.count; i++)
        count += secagg_set_has(second, first.positions[i]) ? 1 : 0;
    return count;
}

/* Of the neighbours of `position`, all but `stay` leave after this step, first those that are farthest from it on the graph's
 * circle, so that nobody else loses as many. The datasite never leaves. */
static void leave_around(struct crowd *crowd, uint32_t position, size_t stay, enum crowd_step last)
{
    struct secagg_set neighbours = crowd_neighbours(crowd, position);
    crowd_return(crowd);
    for (size_t leave = neighbours.count - stay; leave > 0; leave--) {
        uint32_t farthest = 0;
        size_t least = SIZE_MAX;
        for (size_t i = 0; i < neighbours.count; i++) {
            uint32_t neighbour = neighbours.positions[i];
            if (neighbour == crowd->own || crowd->members[neighbour - 1].last == last)
                continue;
            size_t common = in_common(crowd, position, neighbour);
            farthest = common < least ? neighbour : farthest;
            least = common < least ? common : least;
        }
        assert_true(farthest > 0);
        crowd->members[farthest - 1].last = last;
    }
}

/* Refused, and no share left. */
static void expect_shut_in(struct crowd *crowd, const char *words)
{
    crowd_claim(crowd);
    assert_true(crowd->u3.count >= crowd->run.threshold); /* so that nothing else is wrong */
    AGREE_REFUSED(crowd, ERROR_REFUSED, words);
    site_expect_refusal(crowd_unmask(crowd), ERROR_REFUSED, "has not signed who contributed");
    assert_int_equal(given(crowd), 0);
}

static void expect_one_shut_in(struct crowd *crowd, uint32_t position)
{
    char words[128];
    (void)snprintf(words, sizeof(words),
                   "Only %zu neighbours of site %" PRIu32 " of the roster contributed; it needs %zu.",
                   crowd->threshold - 1, position, crowd->threshold);
    expect_shut_in(crowd, words);
}

/* Signatures of everybody, for Unmask. */
static void forge_agreements(struct crowd *crowd)
{
    crowd->agreement_count = crowd->run.threshold;
    for (size_t i = 0; i < crowd->agreement_count; i++) {
        crowd->agreements[i] = (struct secagg_agreement){.position = (uint32_t)i + 1};
        identity_public_key(crowd->members[i].identity, crowd->agreements[i].public_key);
    }
}

static uint32_t far_from_own(struct crowd *crowd)
{
    struct secagg_set neighbours = crowd_neighbours(crowd, crowd->own);
    uint32_t position = 1;
    while (position == crowd->own || secagg_set_has(neighbours, position))
        position++;
    return position;
}

static struct crowd *many_masked(void)
{
    struct crowd *crowd = crowd_new(MANY, MANY_COLLUDING);
    crowd_batch(crowd, 0);
    crowd_begin(crowd, 1, 0, 0);
    assert_true(crowd->count - crowd->degree >= crowd->run.threshold);
    crowd_take_vector(crowd, ask_mask(crowd, crowd_mask_message(crowd, NULL)));
    forge_agreements(crowd);
    return crowd;
}

static void test_many_sites_shut_in_by_dropouts_no_agreement(void **state)
{
    (void)state;
    struct crowd *crowd = many_masked();
    leave_around(crowd, crowd->own, 0, CROWD_SHARES);
    expect_shut_in(crowd, "of the roster contributed; it needs");
    leave_around(crowd, crowd->own, crowd->threshold - 1, CROWD_SHARES);
    expect_one_shut_in(crowd, crowd->own);
    leave_around(crowd, crowd->own, crowd->threshold, CROWD_SHARES); /* as few as may be */
    crowd_claim(crowd);
    crowd_take_agreement(crowd, crowd_agree(crowd));
    assert_int_equal(agreed(crowd), 1);
    crowd_free(crowd);
}

/* What protects the others is not left to them. */
static void test_many_sites_another_shut_in_no_agreement(void **state)
{
    (void)state;
    struct crowd *crowd = many_masked();
    uint32_t far = far_from_own(crowd), near = crowd_neighbours(crowd, crowd->own).positions[0];
    leave_around(crowd, far, crowd->threshold - 1, CROWD_SHARES);
    expect_one_shut_in(crowd, far);
    leave_around(crowd, near, crowd->threshold - 1, CROWD_SHARES);
    expect_one_shut_in(crowd, near);
    crowd_free(crowd);
}

/* Its neighbours never shared: of the others' masks hardly any is in its vector, and nobody gets shares of its own. */
static void test_many_sites_shut_in_by_sharers_no_agreement(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(MANY, MANY_COLLUDING);
    crowd_batch(crowd, 0);
    crowd_begin(crowd, 1, 0, 0);
    leave_around(crowd, crowd->own, 0, CROWD_ADVERTISES);
    crowd_begin(crowd, 1, 0, 0);
    MASK_REFUSED(crowd, crowd_mask_message(crowd, NULL), ERROR_INVALID, "sealed must have from 1");
    leave_around(crowd, crowd->own, 1, CROWD_ADVERTISES);
    crowd_begin(crowd, 1, 0, 0);
    assert_true(crowd->u2.count == MANY - crowd->degree + 1);
    crowd_take_vector(crowd, ask_mask(crowd, crowd_mask_message(crowd, NULL)));
    forge_agreements(crowd);
    expect_shut_in(crowd, "of the roster contributed; it needs");
    crowd_free(crowd);
}

/* ---- another graph ---- */

/* The members' shares by the graph of another n_c, as who left that out would have them made. */
static Fds__Mask *mask_by(struct crowd *crowd, uint32_t colluding, size_t *ret_neighbours)
{
    struct secagg_keyset *keyset = crowd->keyset;
    struct secagg_run run = crowd->run;
    run.colluding = colluding;
    must(secagg_keyset_make(&run, crowd->adverts, crowd->advert_count, NULL, &crowd->keyset));
    crowd_begin(crowd, 1, 0, 0);
    Fds__Mask *mask = crowd_mask_message(crowd, NULL);
    *ret_neighbours = crowd->degree;
    secagg_keyset_free(crowd->keyset);
    crowd->keyset = keyset;
    crowd_begin(crowd, 1, 0, 0);
    return mask;
}

static void test_many_sites_shares_by_another_graph_refused(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(SOME, DENSE_COLLUDING);
    size_t fewer = 0, more = 0;
    crowd_batch(crowd, 0);
    Fds__Mask *sparse = mask_by(crowd, 0, &fewer), *dense = mask_by(crowd, 2 * DENSE_COLLUDING, &more);
    assert_true(fewer < crowd->degree && crowd->degree < more);
    MASK_REFUSED(crowd, sparse, ERROR_UNTRUSTED, "does not open");
    MASK_REFUSED(crowd, dense, ERROR_UNTRUSTED, "does not open");
    crowd_begin(crowd, 1, 0, 1); /* the graph of another slot */
    Fds__Mask *other = crowd_mask_message(crowd, NULL);
    crowd_begin(crowd, 1, 0, 0);
    other->slot = 0;
    MASK_REFUSED(crowd, other, ERROR_UNTRUSTED, "does not open");
    crowd_take_vector(crowd, ask_mask(crowd, crowd_mask_message(crowd, NULL)));
    crowd_free(crowd);
}

/* Sealed well for the datasite by a member that is no neighbour of it. */
static void seal_of_stranger(struct crowd *crowd, uint32_t stranger,
                             uint8_t ret_sealed[static SECAGG_SEALED_BYTES])
{
    struct secagg_keyset *keyset = crowd->keyset;
    struct secagg_run run = crowd->run;
    run.colluding = (size_t)SOME / 2; /* for which there is no graph: all are neighbours */
    must(secagg_keyset_make(&run, crowd->adverts, crowd->advert_count, NULL, &crowd->keyset));
    crowd_begin(crowd, 1, 0, 0);
    memcpy(ret_sealed, crowd_sealed(crowd, stranger, crowd->own), SECAGG_SEALED_BYTES);
    secagg_keyset_free(crowd->keyset);
    crowd->keyset = keyset;
    crowd_begin(crowd, 1, 0, 0);
}

static void test_many_sites_share_of_no_neighbour_refused(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(SOME, SOME_COLLUDING);
    uint8_t sealed[SECAGG_SEALED_BYTES];
    crowd_batch(crowd, 0);
    crowd_begin(crowd, 1, 0, 0);
    seal_of_stranger(crowd, far_from_own(crowd), sealed);
    Fds__Mask *mask = crowd_mask_message(crowd, NULL);
    memcpy(mask->sealed.data + mask->sealed.len, sealed, sizeof(sealed));
    mask->sealed.len += sizeof(sealed);
    MASK_REFUSED(crowd, mask, ERROR_INVALID, "more shares than sharers that are neighbours");
    mask = crowd_mask_message(crowd, NULL);
    memcpy(mask->sealed.data, sealed, sizeof(sealed));
    MASK_REFUSED(crowd, mask, ERROR_UNTRUSTED, "does not open");
    mask = crowd_mask_message(crowd, NULL);
    mask->sealed.len -= SECAGG_SEALED_BYTES;
    MASK_REFUSED(crowd, mask, ERROR_INVALID, "fewer shares than sharers that are neighbours");
    crowd_take_vector(crowd, ask_mask(crowd, crowd_mask_message(crowd, NULL)));
    crowd_free(crowd);
}

/* ---- another keyset, which is the graph's seed ---- */

/* Without the last advert that is not the datasite's. */
static Fds__Share *share_of_fewer(struct crowd *crowd)
{
    Fds__Share *share = crowd_share_message(crowd);
    size_t last = crowd->own == crowd->count ? share->n_adverts - 2 : share->n_adverts - 1;
    wire_advert_free(share->adverts[last]);
    share->adverts[last] = share->adverts[share->n_adverts - 1];
    share->n_adverts--;
    return share;
}

static struct reply ask_share(struct crowd *crowd, Fds__Share *share)
{
    struct reply reply = crowd_say(crowd, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &share->base);
    wire_share_free(share);
    return reply;
}

static void test_many_sites_second_keyset_for_a_batch_refused(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(SOME, SOME_COLLUDING);
    crowd_batch(crowd, 0);
    site_expect_refusal(ask_share(crowd, share_of_fewer(crowd)), ERROR_REFUSED, "with other adverts");
    crowd_begin(crowd, 1, 0, 0);
    crowd_take_vector(crowd, ask_mask(crowd, crowd_mask_message(crowd, NULL)));
    crowd_free(crowd);
}

/* What every member but the datasite signs about the inputs of this attempt. */
static void members_agree(struct crowd *crowd, const struct secagg_attempt *attempt)
{
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    must(secagg_agreement_body(attempt, crowd->inputs, crowd->u3.count, body));
    crowd->agreement_count = 0;
    for (size_t i = 0; i < crowd->u3.count; i++) {
        const struct crowd_member *member = &crowd->members[crowd->contributors[i] - 1];
        struct secagg_agreement *agreement = &crowd->agreements[crowd->agreement_count];
        if (crowd->contributors[i] == crowd->own)
            continue;
        agreement->position = crowd->contributors[i];
        identity_public_key(member->identity, agreement->public_key);
        must(secagg_sign(member->identity, SECAGG_AGREEMENT, body, sizeof(body), agreement->signature));
        crowd->agreement_count++;
    }
}

/* The datasite is told of one member fewer than the others are: it has another graph, and another context. */
static void test_many_sites_other_keyset_than_the_others_nothing_fits(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(SOME, SOME_COLLUDING);
    struct secagg_keyset *everybody = NULL;
    crowd_adverts(crowd, 0);
    everybody = crowd->keyset;
    Fds__Share *share = share_of_fewer(crowd);
    struct secagg_advert *fewer = NULL;
    must(secagg_wire_take_adverts(&crowd->run, share->adverts, share->n_adverts, &fewer));
    must(secagg_keyset_make(&crowd->run, fewer, share->n_adverts, NULL, &crowd->keyset));
    secagg_wire_free_adverts(fewer, share->n_adverts);
    site_expect_type(ask_share(crowd, share), FDS__MESSAGE_TYPE__MESSAGE_SHARES);
    struct secagg_keyset *told = crowd->keyset;
    uint32_t missing = crowd->own == crowd->count ? (uint32_t)crowd->count - 1 : (uint32_t)crowd->count;
    crowd->members[missing - 1].last = CROWD_ADVERTISES;
    crowd->keyset = everybody;
    crowd_begin(crowd, 1, 0, 0);
    Fds__Mask *mask = crowd_mask_message(crowd, NULL);
    int64_t held = site_released(crowd->site);
    struct reply reply = ask_mask(crowd, mask);
    assert_int_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
    requests_reply_clear(&reply);
    assert_int_equal(site_released(crowd->site), held);
    crowd->keyset = told; /* as if the members had sealed for that one; their vectors are of the other */
    crowd_begin(crowd, 1, 0, 0);
    crowd_take_vector(crowd, ask_mask(crowd, crowd_mask_message(crowd, NULL)));
    struct secagg_attempt own = crowd->attempt;
    must(secagg_attempt_make(everybody, 0, 1, 0, crowd->u2, &own.model_hash, own.ring, own.words,
                             &crowd->attempt));
    crowd_claim(crowd);
    site_expect_type(crowd_agree(crowd), FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
    members_agree(crowd, &crowd->attempt); /* to what they know */
    site_expect_refusal(crowd_unmask(crowd), ERROR_UNTRUSTED, "The agreement of site");
    members_agree(crowd, &own); /* all but one, whose vector it is not, would lie for the orchestrator */
    crowd->agreement_count--;
    site_expect_refusal(crowd_unmask(crowd), ERROR_UNTRUSTED, "The input of site");
    secagg_keyset_free(everybody);
    crowd_free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_sites_two_rounds_with_dropouts_sum_to_the_integers),
        cmocka_unit_test(test_many_sites_false_sum_refused),
        cmocka_unit_test(test_many_sites_shut_in_by_dropouts_no_agreement),
        cmocka_unit_test(test_many_sites_another_shut_in_no_agreement),
        cmocka_unit_test(test_many_sites_shut_in_by_sharers_no_agreement),
        cmocka_unit_test(test_many_sites_shares_by_another_graph_refused),
        cmocka_unit_test(test_many_sites_share_of_no_neighbour_refused),
        cmocka_unit_test(test_many_sites_second_keyset_for_a_batch_refused),
        cmocka_unit_test(test_many_sites_other_keyset_than_the_others_nothing_fits),
    };
    return cmocka_run_group_tests(tests, NULL, wire_record_tear_down);
}
