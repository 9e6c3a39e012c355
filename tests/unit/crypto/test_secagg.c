#include "federation.h"
#include "secagg_vectors.h"

/* ---- roster and lists ---- */

static void test_secagg_threshold_agrees_with_the_design(void **state)
{
    (void)state;
    static const size_t cases[][3] = {{4, 1, 3}, {5, 1, 4}, {10, 3, 7}, {32, 10, 22}, {100, 33, 67}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(secagg_threshold(cases[i][0], cases[i][1]), cases[i][2]);
}

static void test_secagg_position_is_the_place_in_the_roster(void **state)
{
    struct federation *federation = *state;
    struct identity *stranger = federation_stranger();
    for (size_t i = 0; i < federation->sites; i++)
        assert_int_equal(secagg_position(&federation->run, &federation->roster[i]), i + 1);
    assert_int_equal(secagg_position(&federation->run, identity_id(stranger)), 0);
    identity_free(stranger);
}

static void test_secagg_set_out_of_order_or_range_is_refused(void **state)
{
    struct federation *federation = *state;
    static const struct {
        uint32_t positions[3];
        const char *text;
    } cases[] = {{{0, 1, 2}, "is position 0"},
                 {{1, 2, 6}, "is position 6"},
                 {{1, 2, UINT32_MAX}, "is position 4294967295"},
                 {{1, 3, 2}, "position 2 comes after 3"},
                 {{1, 2, 2}, "position 2 comes after 2"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fails_saying(secagg_set_check(&federation->run,
                                      (struct secagg_set){.positions = cases[i].positions, .count = 3},
                                      "the list of tests"),
                     ERROR_INVALID, cases[i].text);
    succeeds(secagg_set_check(&federation->run, federation_everybody(federation), "the list of tests"));
}

static void test_secagg_set_has_and_within_agree_with_its_members(void **state)
{
    (void)state;
    static const uint32_t whole[] = {2, 3, 5, 9}, part[] = {3, 9}, other[] = {3, 4};
    const struct secagg_set set = {.positions = whole, .count = 4};
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(secagg_set_has(set, i), i == 2 || i == 3 || i == 5 || i == 9);
    assert_true(secagg_set_within((struct secagg_set){.positions = part, .count = 2}, set));
    assert_true(secagg_set_within((struct secagg_set){.count = 0}, set));
    assert_false(secagg_set_within((struct secagg_set){.positions = other, .count = 2}, set));
}

static void test_secagg_set_hash_tells_kinds_and_members_apart(void **state)
{
    struct federation *federation = *state;
    struct digest sharers, contributors, fewer, by_hand;
    struct secagg_set everybody = federation_everybody(federation);
    uint8_t body[11 + 4 + FEDERATION_SITES * DIGEST_BYTES] = "FDS-SA1 U2";
    body[11] = FEDERATION_SITES;
    memcpy(body + 15, federation->roster, FEDERATION_SITES * DIGEST_BYTES);
    succeeds(digest_of(body, sizeof(body), &by_hand));
    succeeds(secagg_set_hash(&federation->run, SECAGG_SHARERS, everybody, &sharers));
    succeeds(secagg_set_hash(&federation->run, SECAGG_CONTRIBUTORS, everybody, &contributors));
    everybody.count--;
    succeeds(secagg_set_hash(&federation->run, SECAGG_SHARERS, everybody, &fewer));
    assert_true(digest_equal(&sharers, &by_hand));
    assert_false(digest_equal(&sharers, &contributors));
    assert_false(digest_equal(&sharers, &fewer));
}

/* ---- context ---- */

static void test_secagg_context_agrees_with_the_vectors(void **state)
{
    const struct secagg_vectors *vectors = *state;
    struct digest context;
    succeeds(secagg_context(&vectors->keyset.run, SA1_ROUND, SA1_ATTEMPT, &vectors->attempt.keyset_hash,
                            &vectors->attempt.model_hash, &context));
    assert_memory_equal(context.bytes, vectors->attempt.context.bytes, DIGEST_BYTES);
}

static void test_secagg_context_depends_on_every_part(void **state)
{
    const struct secagg_vectors *vectors = *state;
    const struct digest *keyset = &vectors->attempt.keyset_hash, *model = &vectors->attempt.model_hash;
    struct secagg_run other = vectors->keyset.run;
    struct digest contexts[5];
    other.job_hash.bytes[31] ^= 1;
    succeeds(secagg_context(&other, SA1_ROUND, SA1_ATTEMPT, keyset, model, &contexts[0]));
    other = vectors->keyset.run;
    succeeds(secagg_context(&other, SA1_ROUND + 1, SA1_ATTEMPT, keyset, model, &contexts[1]));
    succeeds(secagg_context(&other, SA1_ROUND, SA1_ATTEMPT + 1, keyset, model, &contexts[2]));
    succeeds(secagg_context(&other, SA1_ROUND, SA1_ATTEMPT, model, model, &contexts[3]));
    succeeds(secagg_context(&other, SA1_ROUND, SA1_ATTEMPT, keyset, keyset, &contexts[4]));
    for (size_t i = 0; i < 5; i++) {
        assert_false(digest_equal(&contexts[i], &vectors->attempt.context));
        for (size_t j = 0; j < i; j++)
            assert_false(digest_equal(&contexts[i], &contexts[j]));
    }
}

/* ---- signatures ---- */

struct signed_text {
    uint8_t key[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    struct site_id site;
};

static struct signed_text sign_text(struct identity *identity, const char *type, const char *text)
{
    struct signed_text made = {.site = *identity_id(identity)};
    identity_public_key(identity, made.key);
    succeeds(secagg_sign(identity, type, text, strlen(text), made.signature));
    return made;
}

static struct error *verify_text(struct secagg_memo *memo, const struct signed_text *made, const char *type,
                                 const char *text)
{
    return secagg_verify(memo, &made->site, made->key, type, text, strlen(text), made->signature);
}

static void test_secagg_sign_covers_label_type_and_digest(void **state)
{
    struct federation *federation = *state;
    struct signed_text made = sign_text(federation->identities[0], "input", "a body");
    struct digest digest;
    uint8_t statement[14 + DIGEST_BYTES] = "FDS-SA1/input";
    succeeds(digest_of("a body", 6, &digest));
    memcpy(statement + 14, digest.bytes, DIGEST_BYTES);
    succeeds(signature_verify(made.key, statement, sizeof(statement), made.signature));
}

static void verify_refuses_every_change(struct secagg_memo *memo, struct federation *federation)
{
    const struct signed_text made = sign_text(federation->identities[0], "input", "a body");
    struct signed_text other = made;
    succeeds(verify_text(memo, &made, "input", "a body"));
    fails(verify_text(memo, &made, "agreement", "a body"), ERROR_UNTRUSTED);
    fails(verify_text(memo, &made, "input", "a Body"), ERROR_UNTRUSTED);
    fails(verify_text(memo, &made, "input", "a body "), ERROR_UNTRUSTED);
    other.site = federation->roster[1];
    fails_saying(verify_text(memo, &other, "input", "a body"), ERROR_UNTRUSTED, "not the key of the site");
    identity_public_key(federation->identities[1], other.key);
    fails(verify_text(memo, &other, "input", "a body"), ERROR_UNTRUSTED);
    for (size_t i = 0; i < SIGNATURE_BYTES; i++) {
        other = made;
        other.signature[i] ^= 0x10;
        fails(verify_text(memo, &other, "input", "a body"), ERROR_UNTRUSTED);
    }
    succeeds(verify_text(memo, &made, "input", "a body"));
}

static void test_secagg_verify_changed_is_refused(void **state)
{
    verify_refuses_every_change(NULL, *state);
}

/* With one place every entry falls on the same, and what is remembered must never stand for something else. */
static void test_secagg_memo_remembers_only_what_held(void **state)
{
    for (size_t places = 1; places <= 64; places *= 64) {
        struct secagg_memo *memo = NULL;
        succeeds(secagg_memo_new(places, &memo));
        verify_refuses_every_change(memo, *state);
        verify_refuses_every_change(memo, *state);
        secagg_memo_free(memo);
    }
    secagg_memo_free(NULL);
}

/* A signature that was said to be made here holds for its own statement, and for nothing else; also by way of the other
 * thread's share of the memory, and after one of the two has gone. */
static void test_secagg_memo_own_holds_for_its_statement_alone(void **state)
{
    struct federation *federation = *state;
    struct signed_text made = {.site = *identity_id(federation->identities[0])}, other;
    struct secagg_memo *memo = NULL;
    identity_public_key(federation->identities[0], made.key);
    memset(made.signature, 7, sizeof(made.signature)); /* so that verifying it would fail */
    succeeds(secagg_memo_new(64, &memo));
    struct secagg_memo *shared = secagg_memo_share(memo);
    succeeds(secagg_memo_own(memo, federation->identities[0], "input", "a body", 6, made.signature));
    secagg_memo_free(memo);
    succeeds(verify_text(shared, &made, "input", "a body"));
    fails(verify_text(NULL, &made, "input", "a body"), ERROR_UNTRUSTED);
    fails(verify_text(shared, &made, "agreement", "a body"), ERROR_UNTRUSTED);
    fails(verify_text(shared, &made, "input", "a Body"), ERROR_UNTRUSTED);
    other = made;
    other.signature[0] ^= 1;
    fails(verify_text(shared, &other, "input", "a body"), ERROR_UNTRUSTED);
    other = made;
    other.site = federation->roster[1];
    fails(verify_text(shared, &other, "input", "a body"), ERROR_UNTRUSTED);
    secagg_memo_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secagg_threshold_agrees_with_the_design),
        FEDERATION_TEST(test_secagg_position_is_the_place_in_the_roster, advertise),
        FEDERATION_TEST(test_secagg_set_out_of_order_or_range_is_refused, advertise),
        cmocka_unit_test(test_secagg_set_has_and_within_agree_with_its_members),
        FEDERATION_TEST(test_secagg_set_hash_tells_kinds_and_members_apart, advertise),
        VECTOR_TEST(test_secagg_context_agrees_with_the_vectors),
        VECTOR_TEST(test_secagg_context_depends_on_every_part),
        FEDERATION_TEST(test_secagg_sign_covers_label_type_and_digest, advertise),
        FEDERATION_TEST(test_secagg_verify_changed_is_refused, advertise),
        FEDERATION_TEST(test_secagg_memo_remembers_only_what_held, advertise),
        FEDERATION_TEST(test_secagg_memo_own_holds_for_its_statement_alone, advertise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
