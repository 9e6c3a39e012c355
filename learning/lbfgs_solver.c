#include "learning/lbfgs_solver.h"

#include <lbfgs.h>
#include <math.h>

#include "learning/softmax_pass.h"

#define DEFAULT_MEMORY 10

_Static_assert(sizeof(lbfgsfloatval_t) == sizeof(double), "liblbfgs has to be built for double precision");

/* One call of lbfgs_solver_train, as liblbfgs hands it back to its callbacks. */
struct solver {
    const struct training_progress *progress;
    struct softmax_pass *pass;
    uint32_t total;
    size_t count;     /* parameters */
    double *best;     /* point of the last accepted iteration */
    double best_loss; /* its objective */
    bool started;     /* best_loss is set */
    bool searching;   /* a line search has evaluated a point since the last accepted iteration */
    uint32_t steps;
    bool stopped;
};

/* liblbfgs pads the vectors to a multiple of 8; the padding of the gradient stays 0 as it allocated it. A
 * line search can take many evaluations, so each after its first asks whether to go on. Once it is not to,
 * evaluations cost nothing and claim a flat place that is no better than the best one: the line search then
 * ends of itself. */
static lbfgsfloatval_t solver_evaluate(void *context, const lbfgsfloatval_t *x, lbfgsfloatval_t *gradient,
                                       int n, lbfgsfloatval_t step)
{
    (void)n;
    (void)step;
    struct solver *solver = context;
    if (solver->searching && !solver->stopped)
        solver->stopped =
            !training_keep_going(solver->progress, solver->steps, solver->total, solver->best_loss);
    solver->searching = solver->started;
    if (solver->stopped) {
        memset(gradient, 0, solver->count * sizeof(*gradient));
        return solver->best_loss;
    }
    double loss = softmax_pass_objective(solver->pass, x, gradient);
    if (!solver->started) {
        solver->started = true;
        solver->best_loss = loss;
    }
    return loss;
}

static int solver_progress(void *context, const lbfgsfloatval_t *x, const lbfgsfloatval_t *gradient,
                           lbfgsfloatval_t loss, lbfgsfloatval_t x_norm, lbfgsfloatval_t gradient_norm,
                           lbfgsfloatval_t step, int n, int iteration, int evaluations)
{
    (void)gradient;
    (void)x_norm;
    (void)gradient_norm;
    (void)step;
    (void)n;
    (void)evaluations;
    struct solver *solver = context;
    if (solver->stopped)
        return 1;
    solver->searching = false;
    solver->steps = (uint32_t)iteration;
    if (loss <= solver->best_loss) {
        solver->best_loss = loss;
        memcpy(solver->best, x, solver->count * sizeof(*x));
    }
    solver->stopped = !training_keep_going(solver->progress, solver->steps, solver->total, loss);
    return solver->stopped ? 1 : 0;
}

static struct error *solver_check(const struct lbfgs_solver_options *options)
{
    struct error *err = NULL;
    if (options->local_iterations == 0 || options->local_iterations > LBFGS_SOLVER_MAX_ITERATIONS)
        FAIL(ERROR_INVALID, "local_iterations has to be between 1 and %d.", LBFGS_SOLVER_MAX_ITERATIONS);
    if (options->memory > LBFGS_SOLVER_MAX_MEMORY)
        FAIL(ERROR_INVALID, "L-BFGS remembers at most %d steps.", LBFGS_SOLVER_MAX_MEMORY);
    if (!(options->tolerance >= 0.0 && options->tolerance < 1.0))
        FAIL(ERROR_INVALID, "The tolerance of L-BFGS has to be at least 0 and below 1.");
done:
    return err;
}

/* Says how liblbfgs ended. Its negative codes are of three kinds: the limit on iterations, a line search that
 * cannot go on (which happens at an optimum, where float32 sums no longer tell points apart), and misuse or
 * no memory. */
static struct error *solver_end(const struct solver *solver, int code, enum training_end *ret_end)
{
    struct error *err = NULL;
    if (!solver->started || code == LBFGSERR_OUTOFMEMORY)
        FAIL(code == LBFGSERR_OUTOFMEMORY ? ERROR_MEMORY : ERROR_INTERNAL,
             "L-BFGS could not start (code %d).", code);
    if (!isfinite(solver->best_loss))
        FAIL(ERROR_NUMERIC,
             "The loss of the model to start from is not a finite number: a feature or a parameter "
             "is too large.");
    if (solver->stopped)
        *ret_end = TRAINING_STOPPED;
    else if (code == LBFGSERR_MAXIMUMITERATION)
        *ret_end = TRAINING_COMPLETE;
    else if (code == LBFGS_SUCCESS || code == LBFGS_ALREADY_MINIMIZED)
        *ret_end = TRAINING_CONVERGED;
    else
        *ret_end = TRAINING_STALLED;
done:
    return err;
}

static int solver_run(struct solver *solver, const struct lbfgs_solver_options *options, double *x)
{
    lbfgs_parameter_t parameter;
    lbfgs_parameter_init(&parameter);
    parameter.m = options->memory == 0 ? DEFAULT_MEMORY : (int)options->memory;
    parameter.epsilon = options->tolerance;
    parameter.max_iterations = (int)options->local_iterations;
    return lbfgs((int)solver->count, x, NULL, solver_evaluate, solver_progress, solver, &parameter);
}

struct error *lbfgs_solver_train(const struct softmax_problem *problem,
                                 const struct lbfgs_solver_options *options,
                                 const struct training_progress *progress, const double *initial,
                                 double *ret_parameters, struct training_result *ret_result)
{
    struct error *err = NULL;
    struct solver solver = {.progress = progress, .total = options->local_iterations};
    lbfgsfloatval_t *x = NULL;
    TRY(softmax_check(problem));
    TRY(solver_check(options));
    solver.count = softmax_parameters(problem->rows.features, problem->classes);
    TRY(softmax_check_parameters(initial, solver.count));
    TRY(softmax_pass_new(problem, matrix_count(&problem->rows), &solver.pass));
    x = lbfgs_malloc((int)solver.count); /* aligned and padded as the library wants it */
    solver.best = calloc(solver.count, sizeof(*solver.best));
    if (x == NULL || solver.best == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %zu parameters.", solver.count);
    memcpy(x, initial, solver.count * sizeof(*x));
    memcpy(solver.best, initial, solver.count * sizeof(*solver.best));
    enum training_end end = TRAINING_COMPLETE;
    TRY(solver_end(&solver, solver_run(&solver, options, x), &end));
    TRY(softmax_check_parameters(solver.best, solver.count));
    memcpy(ret_parameters, solver.best, solver.count * sizeof(*solver.best));
    *ret_result = (struct training_result){.end = end, .steps = solver.steps, .loss = solver.best_loss};
done:
    if (x != NULL)
        lbfgs_free(x);
    free(solver.best);
    softmax_pass_free(solver.pass);
    return err;
}
