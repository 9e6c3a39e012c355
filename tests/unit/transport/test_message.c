/* Envelopes: made and taken apart equal; each field corrupted once and refused for its reason; every
 * truncation. */
#include "schemas/datasite.pb-c.h"
#include "tests/unit/transport/node.h"

static struct message example(const struct scene *scene)
{
    static uint8_t body[] = "the body";
    struct message message = {.type = 48,
                              .recipient = scene->nodes[1].id,
                              .number = 7,
                              .answers = 5,
                              .sent_at = 1795000000123,
                              .body = body,
                              .body_bytes = sizeof(body)};
    memset(message.session, 0xa5, sizeof(message.session));
    return message;
}

static void encode(const struct scene *scene, uint8_t **ret_wire, size_t *ret_bytes)
{
    const struct message message = example(scene);
    node_succeeds(message_encode(&message, scene->nodes[0].identity, ret_wire, ret_bytes));
}

static void test_message_encoded_and_decoded_is_equal(void **state)
{
    struct scene *scene = *state;
    uint8_t *wire = NULL;
    size_t bytes = 0;
    struct message decoded;
    const struct message message = example(scene);
    encode(scene, &wire, &bytes);
    assert_true(bytes <= message.body_bytes + MESSAGE_OVERHEAD_BYTES);
    node_succeeds(message_decode(wire, bytes, &scene->nodes[1].id, &decoded));
    assert_int_equal(decoded.type, message.type);
    assert_true(site_id_equal(&decoded.sender, &scene->nodes[0].id));
    assert_true(site_id_equal(&decoded.recipient, &message.recipient));
    assert_memory_equal(decoded.session, message.session, sizeof(message.session));
    assert_int_equal(decoded.number, message.number);
    assert_int_equal(decoded.answers, message.answers);
    assert_int_equal(decoded.sent_at, message.sent_at);
    assert_int_equal(decoded.body_bytes, message.body_bytes);
    assert_memory_equal(decoded.body, message.body, message.body_bytes);
    message_clear(&decoded);
    free(wire);
}

static void test_message_with_extreme_numbers_keeps_to_the_overhead(void **state)
{
    struct scene *scene = *state;
    struct message message = example(scene);
    uint8_t *wire = NULL;
    size_t bytes = 0;
    message.type = UINT16_MAX;
    message.number = message.answers = UINT64_MAX;
    message.sent_at = INT64_MIN;
    node_succeeds(message_encode(&message, scene->nodes[0].identity, &wire, &bytes));
    assert_true(bytes <=
                message.body_bytes + MESSAGE_OVERHEAD_BYTES - 5); /* 5: a longer length of a long body */
    struct message decoded;
    node_succeeds(message_decode(wire, bytes, &scene->nodes[1].id, &decoded));
    assert_int_equal(decoded.sent_at, INT64_MIN);
    message_clear(&decoded);
    free(wire);
}

static void test_message_empty_body_is_equal(void **state)
{
    struct scene *scene = *state;
    struct message message = example(scene);
    struct message decoded;
    uint8_t *wire = NULL;
    size_t bytes = 0;
    message.body = NULL;
    message.body_bytes = 0;
    node_succeeds(message_encode(&message, scene->nodes[0].identity, &wire, &bytes));
    node_succeeds(message_decode(wire, bytes, &scene->nodes[1].id, &decoded));
    assert_int_equal(decoded.body_bytes, 0);
    message_clear(&decoded);
    free(wire);
}

static void test_message_for_another_node_is_refused(void **state)
{
    struct scene *scene = *state;
    uint8_t *wire = NULL;
    size_t bytes = 0;
    struct message decoded;
    encode(scene, &wire, &bytes);
    node_expect_error(message_decode(wire, bytes, &scene->nodes[2].id, &decoded), ERROR_UNTRUSTED,
                      "not this node");
    free(wire);
}

static void test_message_truncated_at_every_byte_is_refused(void **state)
{
    struct scene *scene = *state;
    uint8_t *wire = NULL;
    size_t bytes = 0;
    struct message decoded;
    encode(scene, &wire, &bytes);
    for (size_t cut = 0; cut < bytes; cut++) {
        uint8_t *copy = malloc(cut == 0 ? 1 : cut); /* its own area, so that a read behind it is noticed */
        assert_non_null(copy);
        memcpy(copy, wire, cut);
        struct error *err = message_decode(copy, cut, &scene->nodes[1].id, &decoded);
        assert_non_null(err);
        error_free(err);
        free(copy);
    }
    free(wire);
}

static void test_message_with_any_flipped_bit_is_refused(void **state)
{
    struct scene *scene = *state;
    uint8_t *wire = NULL;
    size_t bytes = 0;
    struct message decoded;
    encode(scene, &wire, &bytes);
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        wire[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        struct error *err = message_decode(wire, bytes, &scene->nodes[1].id, &decoded);
        assert_non_null(err); /* every bit of this encoding matters: there are no unknown fields in it */
        error_free(err);
        wire[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    free(wire);
}

/* ---- one field changed ---- */

enum field {
    VERSION,
    TYPE,
    TYPE_ZERO,
    SENDER,
    SENDER_SHORT,
    RECIPIENT_LONG,
    SESSION,
    SESSION_SHORT,
    NUMBER,
    NUMBER_ZERO,
    ANSWERS,
    SENT_AT,
    KEY,
    KEY_SHORT,
    BODY,
    BODY_LONGER,
    SIGNATURE,
    SIGNATURE_SHORT
};

static void change(Fds__Envelope *envelope, enum field field)
{
    switch (field) {
    case VERSION:
        envelope->version++;
        break;
    case TYPE:
        envelope->type = (Fds__MessageType)49;
        break;
    case TYPE_ZERO:
        envelope->type = (Fds__MessageType)0;
        break;
    case SENDER:
        envelope->sender.data[31] ^= 1;
        break;
    case SENDER_SHORT:
        envelope->sender.len--;
        break;
    case RECIPIENT_LONG:
        envelope->recipient.len = 0;
        break;
    case SESSION:
        envelope->session.data[0] ^= 1;
        break;
    case SESSION_SHORT:
        envelope->session.len--;
        break;
    case NUMBER:
        envelope->number++;
        break;
    case NUMBER_ZERO:
        envelope->number = 0;
        break;
    case ANSWERS:
        envelope->answers = 0;
        break;
    case SENT_AT:
        envelope->sent_at++;
        break;
    case KEY:
        envelope->public_key.data[0] ^= 1;
        break;
    case KEY_SHORT:
        envelope->public_key.len--;
        break;
    case BODY:
        envelope->body.data[0] ^= 1;
        break;
    case BODY_LONGER:
        envelope->body.len--;
        break;
    case SIGNATURE:
        envelope->signature.data[63] ^= 1;
        break;
    case SIGNATURE_SHORT:
        envelope->signature.len--;
        break;
    }
}

static void expect_changed_is_refused(const struct scene *scene, enum field field, enum error_code code,
                                      const char *words)
{
    uint8_t *wire = NULL;
    size_t bytes = 0;
    struct message decoded;
    encode(scene, &wire, &bytes);
    Fds__Envelope *envelope = fds__envelope__unpack(NULL, bytes, wire);
    assert_non_null(envelope);
    change(envelope, field);
    uint8_t *changed = malloc(bytes + 16);
    assert_non_null(changed);
    size_t changed_bytes = fds__envelope__pack(envelope, changed);
    node_expect_error(message_decode(changed, changed_bytes, &scene->nodes[1].id, &decoded), code, words);
    fds__envelope__free_unpacked(envelope, NULL);
    free(changed);
    free(wire);
}

static void test_message_with_one_field_changed_is_refused_for_it(void **state)
{
    static const struct {
        enum field field;
        enum error_code code;
        const char *words;
    } cases[] = {{VERSION, ERROR_UNSUPPORTED, "version 2"},
                 {TYPE, ERROR_UNTRUSTED, "signature"},
                 {TYPE_ZERO, ERROR_INVALID, "no usable type"},
                 {SENDER, ERROR_UNTRUSTED, "not its sender's"},
                 {SENDER_SHORT, ERROR_INVALID, "sender of a message has 31"},
                 {RECIPIENT_LONG, ERROR_INVALID, "recipient of a message has 0"},
                 {SESSION, ERROR_UNTRUSTED, "signature"},
                 {SESSION_SHORT, ERROR_INVALID, "session of a message has 15"},
                 {NUMBER, ERROR_UNTRUSTED, "signature"},
                 {NUMBER_ZERO, ERROR_INVALID, "number 0"},
                 {ANSWERS, ERROR_UNTRUSTED, "signature"},
                 {SENT_AT, ERROR_UNTRUSTED, "signature"},
                 {KEY, ERROR_UNTRUSTED, "not its sender's"},
                 {KEY_SHORT, ERROR_INVALID, "public key of a message has 31"},
                 {BODY, ERROR_UNTRUSTED, "signature"},
                 {BODY_LONGER, ERROR_UNTRUSTED, "signature"},
                 {SIGNATURE, ERROR_UNTRUSTED, "signature"},
                 {SIGNATURE_SHORT, ERROR_INVALID, "signature of a message has 63"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_changed_is_refused(*state, cases[i].field, cases[i].code, cases[i].words);
}

/* A valid envelope with its sender's key swapped for another's, whose signature holds: still not the
 * sender's. */
static void test_message_signed_by_another_in_the_senders_name_is_refused(void **state)
{
    struct scene *scene = *state;
    const struct message message = example(scene);
    uint8_t *wire = NULL;
    size_t bytes = 0;
    struct message decoded;
    node_succeeds(message_encode(&message, scene->nodes[2].identity, &wire, &bytes));
    Fds__Envelope *envelope = fds__envelope__unpack(NULL, bytes, wire);
    assert_non_null(envelope);
    memcpy(envelope->sender.data, scene->nodes[0].id.digest.bytes, DIGEST_BYTES);
    assert_int_equal(fds__envelope__pack(envelope, wire), bytes);
    node_expect_error(message_decode(wire, bytes, &scene->nodes[1].id, &decoded), ERROR_UNTRUSTED,
                      "not its sender's");
    fds__envelope__free_unpacked(envelope, NULL);
    free(wire);
}

/* The key that is kept from the message before vouches for nothing that another key signed. */
static void test_message_decode_next_kept_key_vouches_for_its_own_messages_alone(void **state)
{
    struct scene *scene = *state;
    const struct message message = example(scene);
    struct public_key *key = NULL;
    struct message decoded;
    for (size_t turn = 0; turn < 2; turn++) {
        uint8_t *wire = NULL, *others = NULL;
        size_t bytes = 0, other_bytes = 0;
        encode(scene, &wire, &bytes);
        node_succeeds(message_encode(&message, scene->nodes[2].identity, &others, &other_bytes));
        node_succeeds(message_decode_next(wire, bytes, &scene->nodes[1].id, &key, &decoded));
        assert_true(site_id_equal(&decoded.sender, &scene->nodes[0].id));
        message_clear(&decoded);

        /* signed by node 2, in the name and with the key of node 0 */
        Fds__Envelope *first = fds__envelope__unpack(NULL, bytes, wire);
        Fds__Envelope *envelope = fds__envelope__unpack(NULL, other_bytes, others);
        assert_true(first != NULL && envelope != NULL);
        memcpy(envelope->sender.data, scene->nodes[0].id.digest.bytes, DIGEST_BYTES);
        memcpy(envelope->public_key.data, first->public_key.data, PUBLIC_KEY_BYTES);
        uint8_t *forged = malloc(other_bytes);
        assert_non_null(forged);
        assert_int_equal(fds__envelope__pack(envelope, forged), other_bytes);
        node_expect_error(message_decode_next(forged, other_bytes, &scene->nodes[1].id, &key, &decoded),
                          ERROR_UNTRUSTED, "signature does not hold");

        /* and what node 2 sent in its own name holds, with its own key */
        node_succeeds(message_decode_next(others, other_bytes, &scene->nodes[1].id, &key, &decoded));
        assert_true(site_id_equal(&decoded.sender, &scene->nodes[2].id));
        message_clear(&decoded);
        fds__envelope__free_unpacked(first, NULL);
        fds__envelope__free_unpacked(envelope, NULL);
        free(forged);
        free(others);
        free(wire);
    }
    public_key_free(key);
}

static void test_message_of_many_tiny_fields_is_refused_unseen(void **state)
{
    struct scene *scene = *state;
    uint8_t wire[400];
    struct message decoded;
    for (size_t i = 0; i < sizeof(wire); i += 2) {
        wire[i] = 0x78; /* field 15, a number */
        wire[i + 1] = 1;
    }
    node_expect_error(message_decode(wire, sizeof(wire), &scene->nodes[1].id, &decoded), ERROR_LIMIT,
                      "more than 64 fields");
}

static void test_message_with_an_unknown_field_is_accepted(void **state)
{
    struct scene *scene = *state;
    uint8_t *wire = NULL;
    size_t bytes = 0;
    struct message decoded;
    encode(scene, &wire, &bytes);
    uint8_t *longer = malloc(bytes + 2);
    assert_non_null(longer);
    memcpy(longer, wire, bytes);
    longer[bytes] = 0x78;
    longer[bytes + 1] = 1;
    node_succeeds(message_decode(longer, bytes + 2, &scene->nodes[1].id, &decoded));
    message_clear(&decoded);
    free(longer);
    free(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_encoded_and_decoded_is_equal),
        cmocka_unit_test(test_message_with_extreme_numbers_keeps_to_the_overhead),
        cmocka_unit_test(test_message_empty_body_is_equal),
        cmocka_unit_test(test_message_for_another_node_is_refused),
        cmocka_unit_test(test_message_truncated_at_every_byte_is_refused),
        cmocka_unit_test(test_message_with_any_flipped_bit_is_refused),
        cmocka_unit_test(test_message_with_one_field_changed_is_refused_for_it),
        cmocka_unit_test(test_message_signed_by_another_in_the_senders_name_is_refused),
        cmocka_unit_test(test_message_decode_next_kept_key_vouches_for_its_own_messages_alone),
        cmocka_unit_test(test_message_of_many_tiny_fields_is_refused_unseen),
        cmocka_unit_test(test_message_with_an_unknown_field_is_accepted),
    };
    return cmocka_run_group_tests(tests, scene_begin, scene_end);
}
