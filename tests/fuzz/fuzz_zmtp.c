/* Any bytes through the frame walker. The first two bytes say how the rest is cut into pieces: whole, in
 * pieces of that size, and the outcome has to be the same. */
#include "transport/limits.h"
#include "transport/zmtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    bool refused;
    enum error_code code;
    uint64_t messages;
    uint64_t left;
    enum zmtp_stage stage;
};

static struct outcome walk(const uint8_t *data, size_t size, size_t piece)
{
    struct outcome outcome = {0};
    struct zmtp_walker walker;
    zmtp_init(&walker, LIMIT_LOBBY_MESSAGE);
    for (size_t at = 0; at < size && !outcome.refused;) {
        size_t count = size - at < piece ? size - at : piece;
        size_t taken = 0;
        enum zmtp_mark mark = ZMTP_HUNGRY;
        bool announced = walker.stage == ZMTP_AT_ANNOUNCED;
        struct error *err = zmtp_walk(&walker, data + at, count, &taken, &mark);
        if (err != NULL) {
            outcome = (struct outcome){.refused = true, .code = err->code};
            error_free(err);
            return outcome;
        }
        if (taken > count || (taken == 0 && (mark != ZMTP_ANNOUNCED || announced)))
            abort();
        if (walker.left > LIMIT_LOBBY_MESSAGE)
            abort();
        at += taken;
    }
    outcome.messages = walker.messages;
    outcome.left = walker.left;
    outcome.stage = walker.stage;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = (size_t)data[0] + 256u * data[1] + 1;
    struct outcome whole = walk(data + 2, size - 2, size);
    struct outcome pieces = walk(data + 2, size - 2, piece);
    if (whole.refused != pieces.refused || whole.code != pieces.code || whole.messages != pieces.messages ||
        whole.left != pieces.left || whole.stage != pieces.stage)
        abort();
    return 0;
}
