/* model.safetensors: the parameters of a softmax regression in the file format that other tools read.
 *
 *     u64 LE  length N of the header (at most SAFETENSORS_HEADER_BYTES)
 *     N bytes of JSON, padded with spaces so that the numbers after it are aligned to 8:
 *         {"__metadata__": {text: text, …},
 *          "coef":      {"dtype": "F64", "shape": [classes, features], "data_offsets": [0, a]},
 *          "intercept": {"dtype": "F64", "shape": [classes],           "data_offsets": [a, b]}}
 *     b bytes: float64 LE, coef row by row, then intercept
 *
 * (Format: huggingface/safetensors, README, "Format".) Reading takes the file apart without trust: exactly
 * these two tensors, no gap, no overlap, no byte left over, all numbers finite. */
#pragma once

#include "crypto/digest.h"
#include "schemas/error.h"

#include <stdint.h>

#define SAFETENSORS_HEADER_BYTES (64 * 1024)
#define SAFETENSORS_MAX_FEATURES ((uint64_t)1 << 20)
#define SAFETENSORS_MAX_CLASSES 1024
#define SAFETENSORS_MAX_BYTES ((size_t)1 << 30)

/* One pair of texts in the metadata; UTF-8. */
struct safetensors_note {
    const char *key;
    const char *value;
};

/* A model that was read: parameters[(features + 1) * classes], coef rows then intercept. */
struct safetensors {
    uint64_t features;
    uint32_t classes;
    double *parameters;
    struct digest file_sha256;       /* of the whole file */
    struct digest parameters_sha256; /* of the parameters as float64 LE, without header */
};

/* Writes atomically, mode 0600. `parameters` as above. */
MUST_USE struct error *safetensors_write(const char *path, const double *parameters, uint64_t features,
                                         uint32_t classes, const struct safetensors_note *notes,
                                         size_t note_count);

/* Reads a file of at most SAFETENSORS_MAX_BYTES; the caller clears with safetensors_clear. ERROR_INVALID says
 * what is wrong with it, ERROR_NUMERIC that a number is not finite. */
MUST_USE struct error *safetensors_read(const char *path, struct safetensors *ret_model);

/* The same from memory, which is not kept; `where` names it in sentences. */
MUST_USE struct error *safetensors_parse(const uint8_t *data, size_t bytes, const char *where,
                                         struct safetensors *ret_model);

void safetensors_clear(struct safetensors *model); /* accepts a zeroed one */
