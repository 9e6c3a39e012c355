#include "schemas/wire.h"

struct error *wire_parameters_check(size_t count, uint64_t features, uint32_t classes)
{
    if (features < 1 || features > WIRE_MAX_FEATURES || classes < 1 || classes > WIRE_MAX_CLASSES)
        return error_new(ERROR_INVALID, "A model has from 1 to %u features and from 1 to %d classes.",
                         WIRE_MAX_FEATURES, WIRE_MAX_CLASSES);
    uint64_t values = (features + 1) * classes;
    if (count == values * 8)
        return NULL;
    return error_new(
        ERROR_INVALID,
        "The model has %zu bytes of parameters; coef shape=(%u, %llu) and intercept shape=(%u,) need "
        "%llu bytes: %llu float64 values.",
        count, (unsigned)classes, (unsigned long long)features, (unsigned)classes,
        (unsigned long long)(values * 8), (unsigned long long)values);
}

void wire_parameters_read(const uint8_t *bytes, size_t count, double *ret_values)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = 0;
        for (size_t k = 8; k > 0; k--)
            bits = bits << 8 | bytes[8 * i + k - 1];
        memcpy(&ret_values[i], &bits, sizeof(bits));
    }
}

void wire_parameters_write(const double *values, size_t count, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof(bits));
        for (size_t k = 0; k < 8; k++)
            ret_bytes[8 * i + k] = (uint8_t)(bits >> (8 * k));
    }
}
