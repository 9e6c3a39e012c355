#include "tests/unit/audit/sample.h"

#include "tests/vectors/audit_chain.h"

static void test_chain_start_is_the_known_hash(void **state)
{
    (void)state;
    struct site_id site = sample_site();
    struct digest hash, known = sample_hash(0);
    succeeds(chain_start(&site, &hash));
    assert_true(digest_equal(&hash, &known));
}

static void test_chain_next_gives_the_known_hashes(void **state)
{
    (void)state;
    for (uint64_t sequence = 1; sequence <= SAMPLE_EVENTS; sequence++) {
        struct chain_event event = sample_event(sequence);
        struct digest previous = sample_hash(sequence - 1), known = sample_hash(sequence), hash;
        succeeds(chain_next(&previous, &event, &hash));
        assert_true(digest_equal(&hash, &known));
    }
}

/* Each tweak changes one thing of the event "update-released" of the vectors. */
static void tweak_previous(struct digest *previous, struct chain_event *event)
{
    (void)event;
    previous->bytes[31] ^= 1;
}
static void tweak_sequence(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->sequence++;
}
static void tweak_at(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->at--;
}
static void tweak_kind(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->kind = "update-release";
}
static void tweak_job(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->job_id = event->digest;
}
static void tweak_no_job(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->job_id = NULL;
}
static void tweak_run(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->run_id = event->job_id->bytes;
}
static void tweak_no_run(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->run_id = NULL;
}
static void tweak_round(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->round = 2;
}
static void tweak_detail(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->detail = " ";
}
/* The border between two texts is hashed too. */
static void tweak_border(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->kind = "update-releas";
    event->detail = "ed";
}
static void tweak_digest(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->digest = event->job_id;
}
static void tweak_no_digest(struct digest *previous, struct chain_event *event)
{
    (void)previous;
    event->digest = NULL;
}

static void test_chain_next_with_one_field_changed_gives_another_hash(void **state)
{
    (void)state;
    static void (*const tweaks[])(struct digest *, struct chain_event *) = {
        tweak_previous, tweak_sequence, tweak_at,     tweak_kind,   tweak_job,    tweak_no_job,   tweak_run,
        tweak_no_run,   tweak_round,    tweak_detail, tweak_border, tweak_digest, tweak_no_digest};
    struct digest known = sample_hash(3);
    for (size_t i = 0; i < sizeof(tweaks) / sizeof(tweaks[0]); i++) {
        struct chain_event event = sample_event(3);
        struct digest previous = sample_hash(2), hash;
        tweaks[i](&previous, &event);
        succeeds(chain_next(&previous, &event, &hash));
        if (digest_equal(&hash, &known))
            fail_msg("change %zu is not seen in the hash", i);
    }
}

static void test_chain_next_with_an_overlong_text_is_refused(void **state)
{
    (void)state;
    static char text[CHAIN_TEXT_BYTES + 2];
    struct chain_event event = sample_event(1);
    struct digest previous = sample_hash(0), hash;
    memset(text, 'a', CHAIN_TEXT_BYTES + 1);
    event.detail = text;
    fails_saying(chain_next(&previous, &event, &hash), ERROR_LIMIT, "65536");
    text[CHAIN_TEXT_BYTES] = '\0';
    succeeds(chain_next(&previous, &event, &hash));
}

static void test_chain_head_of_the_vectors_verifies(void **state)
{
    (void)state;
    uint8_t key[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    struct chain_head head = {sample_site(), 3, sample_hash(3)};
    sample_key(key);
    (void)scratch_hex(VECTOR_HEAD_SIGNATURE, signature);
    succeeds(chain_head_verify(key, &head, signature));
}

static void test_chain_head_with_one_field_changed_is_refused(void **state)
{
    (void)state;
    uint8_t key[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    const struct chain_head head = {sample_site(), 3, sample_hash(3)};
    struct chain_head changed;
    sample_key(key);
    (void)scratch_hex(VECTOR_HEAD_SIGNATURE, signature);
    changed = head;
    changed.site.digest.bytes[0] ^= 1;
    fails_saying(chain_head_verify(key, &changed, signature), ERROR_UNTRUSTED, "not the site's");
    changed = head;
    changed.sequence = 4;
    fails_saying(chain_head_verify(key, &changed, signature), ERROR_UNTRUSTED, "does not hold");
    changed = head;
    changed.hash.bytes[31] ^= 0x80;
    fails_saying(chain_head_verify(key, &changed, signature), ERROR_UNTRUSTED, "does not hold");
    signature[0] ^= 1;
    fails_saying(chain_head_verify(key, &head, signature), ERROR_UNTRUSTED, "does not hold");
}

static void test_chain_head_is_signed_and_verified(void **state)
{
    struct identity *identity = sample_identity(*state);
    uint8_t key[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    struct chain_head head = {*identity_id(identity), 7, sample_hash(1)};
    identity_public_key(identity, key);
    succeeds(chain_head_sign(identity, &head, signature));
    succeeds(chain_head_verify(key, &head, signature));
    identity_free(identity);
}

static void test_chain_head_of_another_site_is_not_signed(void **state)
{
    struct identity *identity = sample_identity(*state);
    uint8_t signature[SIGNATURE_BYTES];
    struct chain_head head = {sample_site(), 7, sample_hash(1)};
    fails(chain_head_sign(identity, &head, signature), ERROR_INTERNAL);
    identity_free(identity);
}

static void test_chain_detail_salt_is_left_out_of_what_people_read(void **state)
{
    const uint8_t salt[CHAIN_SALT_BYTES] = {0x01, 0xab, [CHAIN_SALT_BYTES - 1] = 0xff};
    char text[8 + CHAIN_SALT_TEXT_BYTES] = "12 rows";
    (void)state;
    assert_int_equal(chain_detail_bytes(""), 0);
    assert_int_equal(chain_detail_bytes(text), 7);
    chain_salt_format(salt, text + 7);
    assert_string_equal(text, "12 rows (salt 01ab00000000000000000000000000ff)");
    assert_int_equal(chain_detail_bytes(text), 7);
    assert_int_equal(chain_detail_bytes(text + 7), 0);
    assert_int_equal(chain_detail_bytes(text + 8), 39); /* one byte short */
    text[20] = 'A';
    assert_int_equal(chain_detail_bytes(text), 47);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_start_is_the_known_hash),
        cmocka_unit_test(test_chain_next_gives_the_known_hashes),
        cmocka_unit_test(test_chain_next_with_one_field_changed_gives_another_hash),
        cmocka_unit_test(test_chain_next_with_an_overlong_text_is_refused),
        cmocka_unit_test(test_chain_head_of_the_vectors_verifies),
        cmocka_unit_test(test_chain_detail_salt_is_left_out_of_what_people_read),
        cmocka_unit_test(test_chain_head_with_one_field_changed_is_refused),
        SCRATCH_TEST(test_chain_head_is_signed_and_verified),
        SCRATCH_TEST(test_chain_head_of_another_site_is_not_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
