/* Any bytes as an envelope: refused, or what was decoded encodes to something that decodes equal. No
 * signature holds on chosen bytes, so the same bytes are also read as the fields of a message, which is
 * signed, encoded and decoded, and has to come out equal; and then with one byte of it changed, when it must
 * not come out at all. */
#include "transport/message.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once in this process: libFuzzer gives the entry no place for state. */
static struct identity *fuzz_identity;

static void fuzz_begin(void)
{
    char folder[] = "/tmp/fuzz-message-XXXXXX";
    char path[64];
    if (fuzz_identity != NULL)
        return;
    if (mkdtemp(folder) == NULL || identity_create(folder, "Fuzz", &fuzz_identity) != NULL)
        abort();
    (void)snprintf(path, sizeof(path), "%s/identity.key", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/identity.crt", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void fuzz_expect_equal(const struct message *a, const struct message *b)
{
    if (a->type != b->type || !site_id_equal(&a->recipient, &b->recipient) || a->number != b->number ||
        a->answers != b->answers || a->sent_at != b->sent_at || a->body_bytes != b->body_bytes ||
        memcmp(a->session, b->session, sizeof(a->session)) != 0)
        abort();
    if (a->body_bytes > 0 && memcmp(a->body, b->body, a->body_bytes) != 0)
        abort();
}

static void fuzz_round_trip(const struct message *message, size_t flip)
{
    uint8_t *wire = NULL;
    size_t bytes = 0;
    struct message decoded;
    if (message_encode(message, fuzz_identity, &wire, &bytes) != NULL)
        abort();
    if (bytes > message->body_bytes + MESSAGE_OVERHEAD_BYTES)
        abort();
    if (message_decode(wire, bytes, identity_id(fuzz_identity), &decoded) != NULL)
        abort();
    fuzz_expect_equal(message, &decoded);
    message_clear(&decoded);
    wire[flip % bytes] ^= (uint8_t)(1u << (flip % 8));
    struct error *err = message_decode(wire, bytes, identity_id(fuzz_identity), &decoded);
    if (err == NULL) /* only if the changed byte says the same, as in a number written the long way */
        message_clear(&decoded);
    error_free(err);
    free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message;
    fuzz_begin();
    struct error *err = message_decode(data, size, identity_id(fuzz_identity), &message);
    if (err == NULL) {
        fuzz_round_trip(&message, size);
        message_clear(&message);
    }
    error_free(err);
    if (size < 48)
        return 0;
    message = (struct message){
        .type = 1u + data[0], .recipient = *identity_id(fuzz_identity), .number = 1u + data[1]};
    memcpy(message.session, data + 2, sizeof(message.session));
    memcpy(&message.answers, data + 24, sizeof(message.answers));
    memcpy(&message.sent_at, data + 32, sizeof(message.sent_at));
    message.body = malloc(size - 48 + 1);
    if (message.body == NULL)
        return 0;
    message.body_bytes = size - 48;
    memcpy(message.body, data + 48, message.body_bytes);
    fuzz_round_trip(&message, (size_t)data[40] + 256u * data[41]);
    message_clear(&message);
    return 0;
}
