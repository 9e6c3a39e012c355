#include "tests/unit/orchestrator/changed_answer.h"

#include "schemas/datasite.pb-c.h"
#include "tests/unit/cmocka_all.h"

static const ProtobufCMessageDescriptor *descriptor_of(uint32_t type)
{
    switch (type) {
    case FDS__MESSAGE_TYPE__MESSAGE_ADVERT:
        return &fds__advert__descriptor;
    case FDS__MESSAGE_TYPE__MESSAGE_SHARES:
        return &fds__shares__descriptor;
    case FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT:
        return &fds__masked_input__descriptor;
    case FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT:
        return &fds__agreement__descriptor;
    case FDS__MESSAGE_TYPE__MESSAGE_UNMASKING:
        return &fds__unmasking__descriptor;
    default:
        return NULL;
    }
}

void changed_answer(uint32_t type, answer_change *change, const struct identity *own, uint8_t **body,
                    size_t *count)
{
    const ProtobufCMessageDescriptor *descriptor = descriptor_of(type);
    assert_non_null(descriptor);
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, *count, *body);
    assert_non_null(message);
    change(message, own);
    free(*body);
    *body = malloc(protobuf_c_message_get_packed_size(message) + 1);
    assert_non_null(*body);
    *count = protobuf_c_message_pack(message, *body);
    protobuf_c_message_free_unpacked(message, NULL);
}
