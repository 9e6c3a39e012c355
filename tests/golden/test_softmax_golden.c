/* Softmax regression on the MNIST subset against scikit-learn and numpy. softmax_golden.py made the
 * references and says what they are. */
#include "learning/lbfgs_solver.h"
#include "learning/sgd.h"
#include "schemas/files.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/subset.h"

#include <math.h>

#define FEATURES 784
#define CLASSES 10
#define PARAMETERS (FEATURES * CLASSES + CLASSES)
#define MAX_REFERENCE_BYTES ((size_t)1 << 20)

/* float32 products tell points apart down to about 1e-8 of the objective. It is flat around its optimum, so
 * that there, at l2 = 1e-3, its value is found to 1e-6 and its place to 0.03; coefficients reach 3.4. */
#define OPTIMUM_LOSS_TOLERANCE 1e-6
#define OPTIMUM_COEF_TOLERANCE 0.03

/* At a given point nothing is searched for: only the rounding of one pass is left. */
#define GRADIENT_LOSS_TOLERANCE 1e-7
#define GRADIENT_TOLERANCE 1e-7

/* 96 steps in float32 against the same steps in float64; coefficients reach 0.5. */
#define SGD_LOSS_TOLERANCE 1e-6
#define SGD_COEF_TOLERANCE 2e-6

/* The first number of a reference file and its ten rows, in the layout of softmax.h. */
struct reference {
    double loss;
    double parameters[PARAMETERS];
};

static double next_number(char **text)
{
    char *end = *text;
    double value = strtod(*text, &end);
    assert_true(end != *text);
    assert_true(*end == ',' || *end == '\n');
    *text = end + 1;
    return value;
}

static struct reference read_reference(const char *name)
{
    struct reference reference;
    const char *source = getenv("DATASITE_SOURCE_DIR");
    char path[4096];
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof(path), "%s/tests/golden/%s", source == NULL ? "." : source, name);
    struct error *err = file_read(path, MAX_REFERENCE_BYTES, &data, &bytes);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    char *text = (char *)data;
    reference.loss = next_number(&text);
    for (size_t c = 0; c < CLASSES; c++) {
        for (size_t j = 0; j < FEATURES; j++)
            reference.parameters[c * FEATURES + j] = next_number(&text);
        reference.parameters[CLASSES * FEATURES + c] = next_number(&text);
    }
    assert_ptr_equal(text, data + bytes);
    free(data);
    return reference;
}

/* Softmax does not see a number added to every intercept: takes their mean away. */
static void centre_intercepts(double *parameters)
{
    double mean = 0.0;
    for (size_t c = 0; c < CLASSES; c++)
        mean += parameters[CLASSES * FEATURES + c] / CLASSES;
    for (size_t c = 0; c < CLASSES; c++)
        parameters[CLASSES * FEATURES + c] -= mean;
}

static void compare(const char *what, double loss, double *parameters, struct reference *reference,
                    double loss_tolerance, double parameter_tolerance)
{
    double farthest = 0.0;
    double size = 0.0;
    centre_intercepts(parameters);
    centre_intercepts(reference->parameters);
    for (size_t i = 0; i < PARAMETERS; i++) {
        farthest = fmax(farthest, fabs(parameters[i] - reference->parameters[i]));
        size = fmax(size, fabs(reference->parameters[i]));
    }
    double relative = fabs(loss / reference->loss - 1.0);
    print_message(
        "%s: loss %.10f, relative difference %.2e; largest difference of a parameter %.2e of %.2f\n", what,
        loss, relative, farthest, size);
    assert_true(relative < loss_tolerance);
    assert_true(farthest < parameter_tolerance);
}

/* Once per instruction set that this processor has; plain C, which takes ten times as long, only where there
 * is no other. */
static void test_softmax_golden_optimum_is_that_of_scikit_learn(void **state)
{
    (void)state;
    static double trained[PARAMETERS];
    struct subset subset = subset_load("train");
    struct softmax_problem problem = subset_problem(&subset, 1e-3);
    struct lbfgs_solver_options options = {.local_iterations = 5000, .tolerance = 1e-7};
    struct training_result result;
    struct reference reference = read_reference("softmax_optimum.csv");
    for (int isa = KERNEL_PLAIN; isa <= KERNEL_AVX512; isa++) {
        problem.kernel = kernel_select((enum kernel_isa)isa);
        if (problem.kernel == NULL || (isa == KERNEL_PLAIN && kernel_best() != problem.kernel))
            continue;
        softmax_init_zeros(FEATURES, CLASSES, trained);
        assert_null(lbfgs_solver_train(&problem, &options, NULL, trained, trained, &result));
        print_message("L-BFGS on %s %s after %u iterations\n", problem.kernel->name,
                      training_end_word(result.end), result.steps);
        compare("optimum", result.loss, trained, &reference, OPTIMUM_LOSS_TOLERANCE, OPTIMUM_COEF_TOLERANCE);
    }
    subset_free(&subset);
}

/* The gradient at somebody else's optimum is zero: tests objective and gradient without our solver. */
static void test_softmax_golden_gradient_vanishes_at_optimum_of_scikit_learn(void **state)
{
    (void)state;
    static double gradient[PARAMETERS];
    struct subset subset = subset_load("train");
    struct softmax_problem problem = subset_problem(&subset, 1e-3);
    struct reference reference = read_reference("softmax_optimum.csv");
    double loss = 0.0;
    assert_null(softmax_loss_gradient(&problem, reference.parameters, &loss, gradient));
    assert_true(fabs(loss / reference.loss - 1.0) < GRADIENT_LOSS_TOLERANCE);
    for (size_t i = 0; i < PARAMETERS; i++)
        assert_true(fabs(gradient[i]) < GRADIENT_TOLERANCE);
    subset_free(&subset);
}

static void test_softmax_golden_sgd_follows_numpy(void **state)
{
    (void)state;
    static double trained[PARAMETERS];
    struct subset subset = subset_load("train");
    struct softmax_problem problem = subset_problem(&subset, 1e-4);
    struct sgd_options options = {
        .learning_rate = 0.1, .momentum = 0.9, .batch_size = 64, .local_epochs = 3, .seed = 7, .round = 2};
    struct training_result result;
    struct reference reference = read_reference("softmax_sgd.csv");
    softmax_init_zeros(FEATURES, CLASSES, trained);
    assert_null(sgd_train(&problem, &options, NULL, trained, trained, &result));
    compare("SGD", result.loss, trained, &reference, SGD_LOSS_TOLERANCE, SGD_COEF_TOLERANCE);
    subset_free(&subset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax_golden_optimum_is_that_of_scikit_learn),
        cmocka_unit_test(test_softmax_golden_gradient_vanishes_at_optimum_of_scikit_learn),
        cmocka_unit_test(test_softmax_golden_sgd_follows_numpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
