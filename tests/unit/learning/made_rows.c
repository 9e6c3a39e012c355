#include "tests/unit/learning/made_rows.h"

#include "learning/random.h"

struct made_rows made_rows_new(enum matrix_type type, size_t rows, size_t features, size_t classes)
{
    struct made_rows made = {.type = type, .rows = rows, .features = features, .classes = classes};
    struct random random = random_stream(rows * 31 + features, RANDOM_INITIALISATION, (uint32_t)classes, 7);
    made.values = malloc(rows * features * (type == MATRIX_BYTES ? 1 : sizeof(float)));
    made.labels = malloc(rows * sizeof(*made.labels));
    if (made.values == NULL || made.labels == NULL)
        abort();
    for (size_t i = 0; i < rows * features; i++) {
        uint32_t word = random_word(&random);
        if (type == MATRIX_BYTES)
            ((uint8_t *)made.values)[i] = word % 3 == 0 ? 0 : (uint8_t)(word >> 8);
        else
            ((float *)made.values)[i] = (float)((double)word * 0x1p-31 - 1.0);
    }
    for (size_t i = 0; i < rows; i++)
        made.labels[i] = (uint16_t)random_below(&random, (uint32_t)classes);
    return made;
}

void made_rows_free(struct made_rows *made)
{
    free(made->values);
    free(made->labels);
}

struct softmax_problem made_rows_problem(const struct made_rows *made, double l2)
{
    struct matrix_view rows = made->type == MATRIX_BYTES
                                  ? matrix_of_bytes(made->values, made->rows, made->features)
                                  : matrix_of_floats(made->values, made->rows, made->features);
    return (struct softmax_problem){.rows = rows, .labels = made->labels, .classes = made->classes, .l2 = l2};
}

double *made_parameters(const struct made_rows *made, double deviation)
{
    size_t count = softmax_parameters(made->features, made->classes);
    struct random random = random_stream(count, RANDOM_INITIALISATION, 1, 1);
    double *parameters = malloc(count * sizeof(*parameters));
    if (parameters == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        parameters[i] = deviation * random_normal(&random);
    return parameters;
}
