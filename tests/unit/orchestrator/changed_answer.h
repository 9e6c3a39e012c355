/* A site's answer of secure aggregation with one field changed after it was made: everything else in it is as good as ever, and
 * signed anew only by changes that say so. */
#pragma once

#include "crypto/identity.h"

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

/* Changes a message of the answer's type; `own` is the site's identity. */
typedef void answer_change(ProtobufCMessage *message, const struct identity *own);

/* *body and *count: the answer of this type (enum MessageType), replaced. Failures end the test. */
void changed_answer(uint32_t type, answer_change *change, const struct identity *own, uint8_t **body,
                    size_t *count);
