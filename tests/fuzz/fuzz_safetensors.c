/* Any bytes as model.safetensors: refused, or a shape within the limits with finite parameters that fill the
 * end of the bytes exactly. */
#include "orchestrator/safetensors.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors model;
    struct error *err = safetensors_parse(data, size, "model.safetensors", &model);
    if (err != NULL) {
        error_free(err);
        return 0;
    }
    size_t count = ((size_t)model.features + 1) * model.classes;
    if (model.features < 1 || model.classes < 1 || model.features > SAFETENSORS_MAX_FEATURES ||
        model.classes > SAFETENSORS_MAX_CLASSES || count * 8 > size)
        abort();
    for (size_t i = 0; i < count; i++) {
        uint64_t word = 0;
        for (size_t b = 0; b < 8; b++)
            word |= (uint64_t)data[size - count * 8 + i * 8 + b] << (8 * b);
        if (!isfinite(model.parameters[i]) || memcmp(&word, &model.parameters[i], sizeof word) != 0)
            abort();
    }
    safetensors_clear(&model);
    return 0;
}
