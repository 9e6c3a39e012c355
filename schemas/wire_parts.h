/* What the wire*.c files share: decoding within a budget, and checks of single fields. `message` and `field` are for
 * the sentence. Nobody else includes this. */
#pragma once

#include "schemas/wire.h"

#define WIRE_NAME_BYTES 64
#define WIRE_DIGEST_BYTES 32
#define WIRE_MAX_ROUNDS 10000
#define WIRE_MAX_EXAMPLES (UINT64_C(1) << 53) /* above, a double no longer counts in ones */
#define WIRE_LAST_TIME INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */

/* Decodes a message of this kind into *ret_message, a pointer to a pointer; given back with wire_free. */
MUST_USE struct error *wire_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                                   size_t count, void *ret_message);
void wire_free(ProtobufCMessage *message); /* accepts NULL */

MUST_USE struct error *wire_check_bytes(const char *message, const char *field,
                                        const ProtobufCBinaryData *data, size_t wanted);
MUST_USE struct error *wire_check_number(const char *message, const char *field, uint64_t value,
                                         uint64_t least, uint64_t most);
/* Printable UTF-8 of at most `limit` bytes. */
MUST_USE struct error *wire_check_text(const char *message, const char *field, const char *text,
                                       size_t limit);
MUST_USE struct error *wire_check_real(const char *message, const char *field, double value, double most);
/* From `least` to 2^53, or WIRE_WITHHELD. */
MUST_USE struct error *wire_check_count(const char *message, const char *field, uint64_t value,
                                        uint64_t least);
MUST_USE struct error *wire_check_run(const char *message, const ProtobufCBinaryData *job_id,
                                      const ProtobufCBinaryData *run_id);
MUST_USE struct error *wire_check_parameters(const char *message, const ProtobufCBinaryData *data);
MUST_USE struct error *wire_check_confusion(const char *message, const uint64_t *counts, size_t count);
MUST_USE struct error *wire_check_witness(const char *message,
                                          const Fds__Witness *witness); /* accepts NULL */
