#include "transport/zmtp.h"

#include "transport/limits.h"

#define ZMTP_FLAG_MORE 0x01u
#define ZMTP_FLAG_LONG 0x02u
#define ZMTP_FLAG_COMMAND 0x04u
#define ZMTP_FLAGS_RESERVED 0xf8u

#define ZMTP_AT_VERSION 10
#define ZMTP_AT_MECHANISM 12
#define ZMTP_AT_SERVER 32

static const char zmtp_mechanism[ZMTP_AT_SERVER - ZMTP_AT_MECHANISM] = "NULL";

void zmtp_init(struct zmtp_walker *walker, uint64_t cap)
{
    *walker = (struct zmtp_walker){.stage = ZMTP_AT_GREETING, .cap = cap};
}

/* One byte of the greeting. */
static struct error *zmtp_greet(struct zmtp_walker *walker, uint8_t byte)
{
    struct error *err = NULL;
    size_t at = walker->have;
    if ((at == 0 && byte != 0xff) || (at == 9 && byte != 0x7f))
        FAIL(ERROR_INVALID, "The peer does not speak ZMTP: byte %zu of its greeting is 0x%02x.", at,
             (unsigned)byte);
    if (at == ZMTP_AT_VERSION && byte != 3)
        FAIL(ERROR_INVALID, "The peer speaks ZMTP version %u; only version 3 is accepted.", (unsigned)byte);
    if (at >= ZMTP_AT_MECHANISM && at < ZMTP_AT_SERVER &&
        byte != (uint8_t)zmtp_mechanism[at - ZMTP_AT_MECHANISM])
        FAIL(ERROR_INVALID,
             "The peer's ZMTP greeting names a security mechanism other than NULL; TLS already "
             "protects this connection.");
    walker->have++;
    if (walker->have == ZMTP_GREETING_BYTES) {
        walker->stage = ZMTP_AT_HEADER;
        walker->have = 0;
    }
done:
    return err;
}

static uint64_t zmtp_length(const struct zmtp_walker *walker)
{
    if ((walker->header[0] & ZMTP_FLAG_LONG) == 0)
        return walker->header[1];
    uint64_t length = 0;
    for (size_t i = 1; i < ZMTP_HEADER_BYTES; i++)
        length = length << 8 | walker->header[i];
    return length;
}

static struct error *zmtp_check_flags(const struct zmtp_walker *walker, uint8_t flags)
{
    struct error *err = NULL;
    if ((flags & ZMTP_FLAGS_RESERVED) != 0)
        FAIL(ERROR_INVALID, "A ZMTP frame has reserved flags set (0x%02x).", (unsigned)flags);
    if ((flags & ZMTP_FLAG_MORE) != 0)
        FAIL(ERROR_INVALID, "A ZMTP frame has the MORE flag: a message is one frame here.");
    bool command = (flags & ZMTP_FLAG_COMMAND) != 0;
    if (command && walker->ready)
        FAIL(ERROR_INVALID, "A ZMTP command came after READY; set ZMQ_HEARTBEAT_IVL to 0 at the peer.");
    if (!command && !walker->ready)
        FAIL(ERROR_INVALID, "A ZMTP message came before the READY command.");
done:
    return err;
}

/* The header in walker->header is whole. */
static struct error *zmtp_announce(struct zmtp_walker *walker)
{
    struct error *err = NULL;
    bool command = (walker->header[0] & ZMTP_FLAG_COMMAND) != 0;
    uint64_t length = zmtp_length(walker);
    uint64_t cap = command ? LIMIT_COMMAND : walker->cap;
    if (length > cap)
        FAIL(ERROR_LIMIT,
             "A ZMTP %s of %llu bytes was announced; at most %llu are accepted on this connection.",
             command ? "command" : "message", (unsigned long long)length, (unsigned long long)cap);
    if (command && length < ZMTP_NAME_BYTES)
        FAIL(ERROR_INVALID, "The first ZMTP command is too short to be READY.");
    walker->command = command;
    walker->left = length;
    walker->have = 0;
    walker->name_have = 0;
    walker->stage = command ? ZMTP_AT_BODY : ZMTP_AT_ANNOUNCED;
done:
    return err;
}

/* One byte of a header; at the last one the stage changes. */
static struct error *zmtp_head(struct zmtp_walker *walker, uint8_t byte)
{
    struct error *err = NULL;
    if (walker->have == 0)
        TRY(zmtp_check_flags(walker, byte));
    walker->header[walker->have++] = byte;
    size_t whole = (walker->header[0] & ZMTP_FLAG_LONG) != 0 ? ZMTP_HEADER_BYTES : 2;
    if (walker->have == whole)
        TRY(zmtp_announce(walker));
done:
    return err;
}

/* Up to `count` bytes of a body; returns how many. */
static size_t zmtp_body(struct zmtp_walker *walker, const uint8_t *bytes, size_t count)
{
    size_t taken = walker->left < count ? (size_t)walker->left : count;
    if (walker->command)
        for (size_t i = 0; i < taken && walker->name_have < ZMTP_NAME_BYTES; i++)
            walker->name[walker->name_have++] = bytes[i];
    walker->left -= taken;
    return taken;
}

/* The frame in hand is whole. */
static struct error *zmtp_end(struct zmtp_walker *walker)
{
    struct error *err = NULL;
    if (walker->command) {
        if (memcmp(walker->name, "\5READY", ZMTP_NAME_BYTES) != 0)
            FAIL(ERROR_INVALID, "The first ZMTP command is not READY.");
        walker->ready = true;
    } else {
        walker->messages++;
    }
    walker->stage = ZMTP_AT_HEADER;
done:
    return err;
}

struct error *zmtp_walk(struct zmtp_walker *walker, const uint8_t *bytes, size_t count, size_t *ret_taken,
                        enum zmtp_mark *ret_mark)
{
    struct error *err = NULL;
    enum zmtp_mark mark = ZMTP_HUNGRY;
    size_t at = 0;
    while (at < count && mark == ZMTP_HUNGRY) {
        switch (walker->stage) {
        case ZMTP_AT_GREETING:
            TRY(zmtp_greet(walker, bytes[at++]));
            continue;
        case ZMTP_AT_HEADER:
            TRY(zmtp_head(walker, bytes[at]));
            if (walker->stage == ZMTP_AT_ANNOUNCED)
                mark = ZMTP_ANNOUNCED;
            else
                at++;
            continue;
        case ZMTP_AT_ANNOUNCED:
            at++;
            walker->stage = ZMTP_AT_BODY;
            break;
        case ZMTP_AT_BODY:
            at += zmtp_body(walker, bytes + at, count - at);
            break;
        }
        if (walker->left == 0) {
            TRY(zmtp_end(walker));
            mark = walker->command ? ZMTP_HUNGRY : ZMTP_MESSAGE;
        }
    }
    *ret_taken = at;
    *ret_mark = mark;
done:
    return err;
}
