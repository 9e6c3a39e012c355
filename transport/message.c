#include "transport/message.h"

#include "schemas/datasite.pb-c.h"

#include <endian.h>

/* "FDS-MSG1" 0x00, version, type, sender, recipient, session, number, answers, sent_at, digest of the body.
 */
#define MESSAGE_SIGNED_BYTES (9 + 4 + 4 + 32 + 32 + MESSAGE_SESSION_BYTES + 8 + 8 + 8 + DIGEST_BYTES)
/* An envelope has eleven fields. protobuf-c keeps some 40 bytes a field that it meets, known or not, so a
 * message made of tiny fields would grow twentyfold in memory: more than this many are refused unseen. */
#define MESSAGE_FIELDS_MOST 64

static const char message_prefix[9] = "FDS-MSG1";

static uint8_t *message_put(uint8_t *at, const void *bytes, size_t count)
{
    memcpy(at, bytes, count);
    return at + count;
}

static uint8_t *message_put_u32(uint8_t *at, uint32_t value)
{
    uint32_t little = htole32(value);
    return message_put(at, &little, sizeof(little));
}

static uint8_t *message_put_u64(uint8_t *at, uint64_t value)
{
    uint64_t little = htole64(value);
    return message_put(at, &little, sizeof(little));
}

/* The bytes that the signature covers. */
static struct error *message_signed_form(const struct message *message, const struct site_id *sender,
                                         uint8_t ret_bytes[static MESSAGE_SIGNED_BYTES])
{
    struct error *err = NULL;
    struct digest digest;
    TRY(digest_of(message->body, message->body_bytes, &digest));
    uint8_t *at = message_put(ret_bytes, message_prefix, sizeof(message_prefix));
    at = message_put_u32(at, MESSAGE_VERSION);
    at = message_put_u32(at, message->type);
    at = message_put(at, sender->digest.bytes, DIGEST_BYTES);
    at = message_put(at, message->recipient.digest.bytes, DIGEST_BYTES);
    at = message_put(at, message->session, MESSAGE_SESSION_BYTES);
    at = message_put_u64(at, message->number);
    at = message_put_u64(at, message->answers);
    at = message_put_u64(at, (uint64_t)message->sent_at);
    (void)message_put(at, digest.bytes, DIGEST_BYTES);
done:
    return err;
}

struct error *message_encode(const struct message *message, const struct identity *identity,
                             uint8_t **ret_wire, size_t *ret_bytes)
{
    struct error *err = NULL;
    uint8_t form[MESSAGE_SIGNED_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
    uint8_t key[PUBLIC_KEY_BYTES];
    struct site_id sender = *identity_id(identity);
    struct message copy = *message; /* protobuf-c wants pointers to bytes that are not const */
    TRY(message_signed_form(message, &sender, form));
    TRY(identity_sign(identity, form, sizeof(form), signature));
    identity_public_key(identity, key);

    Fds__Envelope envelope = FDS__ENVELOPE__INIT;
    envelope.version = MESSAGE_VERSION;
    envelope.type = (Fds__MessageType)message->type;
    envelope.sender = (ProtobufCBinaryData){.len = DIGEST_BYTES, .data = sender.digest.bytes};
    envelope.recipient = (ProtobufCBinaryData){.len = DIGEST_BYTES, .data = copy.recipient.digest.bytes};
    envelope.session = (ProtobufCBinaryData){.len = MESSAGE_SESSION_BYTES, .data = copy.session};
    envelope.number = message->number;
    envelope.answers = message->answers;
    envelope.sent_at = message->sent_at;
    envelope.public_key = (ProtobufCBinaryData){.len = sizeof(key), .data = key};
    envelope.body = (ProtobufCBinaryData){.len = message->body_bytes, .data = copy.body};
    envelope.signature = (ProtobufCBinaryData){.len = sizeof(signature), .data = signature};

    size_t bytes = fds__envelope__get_packed_size(&envelope);
    uint8_t *wire = malloc(bytes == 0 ? 1 : bytes);
    if (wire == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a message of %zu bytes.", bytes);
    *ret_bytes = fds__envelope__pack(&envelope, wire);
    *ret_wire = wire;
done:
    return err;
}

/* Reads a base-128 number at *at; false when the bytes end in it or it is over 64 bits. */
static bool message_varint(const uint8_t *wire, size_t bytes, size_t *at, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < bytes; shift += 7) {
        uint8_t byte = wire[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* Steps over one field; false when it is malformed. */
static bool message_skip_field(const uint8_t *wire, size_t bytes, size_t *at)
{
    uint64_t tag = 0;
    uint64_t length = 0;
    if (!message_varint(wire, bytes, at, &tag))
        return false;
    switch (tag & 7) {
    case 0:
        return message_varint(wire, bytes, at, &length);
    case 1:
        length = 8;
        break;
    case 2:
        if (!message_varint(wire, bytes, at, &length))
            return false;
        break;
    case 5:
        length = 4;
        break;
    default:
        return false;
    }
    if (length > bytes - *at)
        return false;
    *at += (size_t)length;
    return true;
}

static struct error *message_count_fields(const uint8_t *wire, size_t bytes)
{
    struct error *err = NULL;
    size_t at = 0;
    size_t fields = 0;
    while (at < bytes) {
        if (++fields > MESSAGE_FIELDS_MOST)
            FAIL(ERROR_LIMIT, "A message has more than %d fields in its envelope.", MESSAGE_FIELDS_MOST);
        if (!message_skip_field(wire, bytes, &at))
            FAIL(ERROR_INVALID,
                 "A message of %zu bytes is not an envelope: it breaks off or is malformed in "
                 "field %zu.",
                 bytes, fields);
    }
done:
    return err;
}

static struct error *message_check_shape(const Fds__Envelope *envelope)
{
    struct error *err = NULL;
    if (envelope->version != MESSAGE_VERSION)
        FAIL(ERROR_UNSUPPORTED, "A message has version %u; this program understands version %d.",
             envelope->version, MESSAGE_VERSION);
    if (envelope->sender.len != DIGEST_BYTES)
        FAIL(ERROR_INVALID, "The sender of a message has %zu bytes instead of 32.", envelope->sender.len);
    if (envelope->recipient.len != DIGEST_BYTES)
        FAIL(ERROR_INVALID, "The recipient of a message has %zu bytes instead of 32.",
             envelope->recipient.len);
    if (envelope->session.len != MESSAGE_SESSION_BYTES)
        FAIL(ERROR_INVALID, "The session of a message has %zu bytes instead of 16.", envelope->session.len);
    if (envelope->public_key.len != PUBLIC_KEY_BYTES)
        FAIL(ERROR_INVALID, "The public key of a message has %zu bytes instead of 32.",
             envelope->public_key.len);
    if (envelope->signature.len != SIGNATURE_BYTES)
        FAIL(ERROR_INVALID, "The signature of a message has %zu bytes instead of 64.",
             envelope->signature.len);
    if ((int)envelope->type <= 0 || (int)envelope->type > UINT16_MAX)
        FAIL(ERROR_INVALID, "A message has no usable type (%d).", (int)envelope->type);
    if (envelope->number == 0)
        FAIL(ERROR_INVALID, "A message has number 0; numbers start at 1.");
done:
    return err;
}

static struct error *message_check_signature(const Fds__Envelope *envelope, const struct message *message,
                                             struct public_key **key)
{
    struct error *err = NULL;
    struct site_id owner;
    uint8_t form[MESSAGE_SIGNED_BYTES];
    TRY(site_id_of_key(envelope->public_key.data, &owner));
    if (!site_id_equal(&owner, &message->sender))
        FAIL(ERROR_UNTRUSTED, "The public key in a message is not its sender's.");
    TRY(message_signed_form(message, &message->sender, form));
    TRY(public_key_keep(key, envelope->public_key.data));
    TRY(error_prefix(public_key_verify(*key, form, sizeof(form), envelope->signature.data),
                     "A message's signature does not hold"));
done:
    return err;
}

/* Copies the checked envelope; the body is still the envelope's. */
static void message_view(const Fds__Envelope *envelope, struct message *ret_message)
{
    *ret_message = (struct message){.type = (uint32_t)envelope->type,
                                    .number = envelope->number,
                                    .answers = envelope->answers,
                                    .sent_at = envelope->sent_at,
                                    .body = envelope->body.data,
                                    .body_bytes = envelope->body.len};
    memcpy(ret_message->sender.digest.bytes, envelope->sender.data, DIGEST_BYTES);
    memcpy(ret_message->recipient.digest.bytes, envelope->recipient.data, DIGEST_BYTES);
    memcpy(ret_message->session, envelope->session.data, MESSAGE_SESSION_BYTES);
}

struct error *message_decode_next(const uint8_t *wire, size_t bytes, const struct site_id *self,
                                  struct public_key **key, struct message *ret_message)
{
    struct error *err = NULL;
    Fds__Envelope *envelope = NULL;
    struct message message;
    TRY(message_count_fields(wire, bytes));
    envelope = fds__envelope__unpack(NULL, bytes, wire);
    if (envelope == NULL)
        FAIL(ERROR_INVALID, "A message of %zu bytes is not an envelope.", bytes);
    TRY(message_check_shape(envelope));
    message_view(envelope, &message);
    if (!site_id_equal(&message.recipient, self)) {
        char fingerprint[FINGERPRINT_BYTES];
        site_id_format(&message.recipient, fingerprint);
        FAIL(ERROR_UNTRUSTED, "A message is addressed to %s, which is not this node.", fingerprint);
    }
    TRY(message_check_signature(envelope, &message, key));
    envelope->body.data = NULL; /* the body now belongs to the message */
    envelope->body.len = 0;
    *ret_message = message;
done:
    if (envelope != NULL)
        fds__envelope__free_unpacked(envelope, NULL);
    return err;
}

struct error *message_decode(const uint8_t *wire, size_t bytes, const struct site_id *self,
                             struct message *ret_message)
{
    struct public_key *key = NULL;
    struct error *err = message_decode_next(wire, bytes, self, &key, ret_message);
    public_key_free(key);
    return err;
}

void message_clear(struct message *message)
{
    free(message->body);
    *message = (struct message){0};
}
