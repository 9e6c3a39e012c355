#include "learning/softmax.h"

#include <float.h>
#include <math.h>

#include "learning/metrics.h"
#include "learning/random.h"
#include "learning/softmax_pass.h"

#define SEEDED_DEVIATION 0.01

size_t softmax_parameters(size_t features, size_t classes)
{
    return classes * features + classes;
}

struct error *softmax_check_shape(size_t features, size_t classes)
{
    struct error *err = NULL;
    if (classes < SOFTMAX_MIN_CLASSES || classes > SOFTMAX_MAX_CLASSES)
        FAIL(ERROR_INVALID, "A softmax regression has %d to %d classes; %zu is not in that range.",
             SOFTMAX_MIN_CLASSES, SOFTMAX_MAX_CLASSES, classes);
    if (features == 0)
        FAIL(ERROR_INVALID, "A softmax regression needs at least one feature.");
    if (features > MATRIX_MAX_FEATURES || softmax_parameters(features, classes) > SOFTMAX_MAX_PARAMETERS)
        FAIL(ERROR_LIMIT, "A model of %zu classes × %zu features is over the limit of %zu parameters.",
             classes, features, SOFTMAX_MAX_PARAMETERS);
done:
    return err;
}

struct error *softmax_check_parameters(const double *parameters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs(parameters[i]) <= (double)FLT_MAX))
            return error_new(ERROR_NUMERIC,
                             "A parameter of the model is not a finite number of single precision range.");
    return NULL;
}

static struct error *check_labels(const struct softmax_problem *problem)
{
    size_t count = matrix_count(&problem->rows);
    for (size_t i = 0; i < count; i++)
        if (problem->labels[matrix_row_number(&problem->rows, i)] >= problem->classes)
            return error_new(ERROR_INVALID, "The label of a row is not one of the %zu classes 0 to %zu.",
                             problem->classes, problem->classes - 1);
    return NULL;
}

struct error *softmax_check(const struct softmax_problem *problem)
{
    struct error *err = NULL;
    TRY(matrix_check(&problem->rows));
    TRY(softmax_check_shape(problem->rows.features, problem->classes));
    if (!isfinite(problem->l2) || problem->l2 < 0.0)
        FAIL(ERROR_INVALID, "l2 has to be a finite number that is not negative.");
    if (problem->labels == NULL)
        FAIL(ERROR_INVALID, "The rows have no labels.");
    TRY(check_labels(problem));
done:
    return err;
}

void softmax_init_zeros(size_t features, size_t classes, double *ret_parameters)
{
    for (size_t i = 0; i < softmax_parameters(features, classes); i++)
        ret_parameters[i] = 0.0;
}

void softmax_init_seeded(uint64_t seed, size_t features, size_t classes, double *ret_parameters)
{
    struct random random = random_stream(seed, RANDOM_INITIALISATION, 0, 0);
    softmax_init_zeros(features, classes, ret_parameters);
    for (size_t i = 0; i < classes * features; i++)
        ret_parameters[i] = SEEDED_DEVIATION * random_normal(&random);
}

struct error *softmax_loss_gradient(const struct softmax_problem *problem, const double *parameters,
                                    double *ret_loss, double *ret_gradient)
{
    struct error *err = NULL;
    struct softmax_pass *pass = NULL;
    double *gradient = NULL;
    TRY(softmax_check(problem));
    size_t count = softmax_parameters(problem->rows.features, problem->classes);
    TRY(softmax_check_parameters(parameters, count));
    TRY(softmax_pass_new(problem, matrix_count(&problem->rows), &pass));
    gradient = calloc(count, sizeof(*gradient));
    if (gradient == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a gradient of %zu numbers.", count);
    double loss = softmax_pass_objective(pass, parameters, gradient);
    if (!isfinite(loss))
        FAIL(ERROR_NUMERIC, "The loss is not a finite number: a feature or a parameter is too large.");
    TRY(softmax_check_parameters(gradient, count));
    *ret_loss = loss;
    if (ret_gradient != NULL)
        memcpy(ret_gradient, gradient, count * sizeof(*gradient));
done:
    free(gradient);
    softmax_pass_free(pass);
    return err;
}

struct error *softmax_predict(const struct softmax_problem *problem, const double *parameters,
                              uint16_t *ret_classes)
{
    struct error *err = NULL;
    struct softmax_pass *pass = NULL;
    uint16_t *classes = NULL;
    TRY(matrix_check(&problem->rows));
    TRY(softmax_check_shape(problem->rows.features, problem->classes));
    TRY(softmax_check_parameters(parameters, softmax_parameters(problem->rows.features, problem->classes)));
    size_t count = matrix_count(&problem->rows);
    TRY(softmax_pass_new(problem, count, &pass));
    classes = calloc(count, sizeof(*classes));
    if (classes == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to classify %zu rows.", count);
    softmax_pass_load(pass, parameters);
    if (!softmax_pass_predict(pass, problem->rows.index, count, classes))
        FAIL(ERROR_NUMERIC, "A prediction is not a finite number: a feature or a parameter is too large.");
    memcpy(ret_classes, classes, count * sizeof(*classes));
done:
    free(classes);
    softmax_pass_free(pass);
    return err;
}

struct error *softmax_confusion(const struct softmax_problem *problem, const double *parameters,
                                uint64_t *ret_confusion)
{
    struct error *err = NULL;
    uint16_t *predicted = NULL;
    TRY(softmax_check(problem));
    size_t count = matrix_count(&problem->rows);
    predicted = calloc(count, sizeof(*predicted));
    if (predicted == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to classify %zu rows.", count);
    TRY(softmax_predict(problem, parameters, predicted));
    memset(ret_confusion, 0, problem->classes * problem->classes * sizeof(*ret_confusion));
    for (size_t i = 0; i < count; i++)
        metrics_count(ret_confusion, problem->classes, problem->labels[matrix_row_number(&problem->rows, i)],
                      predicted[i]);
done:
    free(predicted);
    return err;
}
