#include "schemas/wire.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "parameters are little-endian and copied as they are");

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
    memcpy(ret_values, bytes, count * sizeof(*ret_values));
}

void wire_parameters_write(const double *values, size_t count, uint8_t *ret_bytes)
{
    memcpy(ret_bytes, values, count * sizeof(*values));
}
