/* An audit of private training with a canary: does anything tell more about one record than the accountant says?
 *
 * Training is run many times with a chosen record and without it, by the code that the programs run: noise_sample,
 * private_sum, noise_gaussian, private_step. An attacker who sees every noisy sum and the last model looks at a few numbers of
 * each run. A number and a threshold, chosen on half of the runs, guess on the other half which runs had the record; were the
 * training (ε, δ)-private, then  P(guess | with) <= e^ε · P(guess | without) + δ, and the same the other way round. So
 * Clopper and Pearson's bounds (1934) on the two shares, each wrong with probability CHANCE, give a number that ε is not below
 * (Jagielski, Ullman, Oprea, NeurIPS 2020). Real code has to stay below the ε of the accountant; each bug that is planted here,
 * by replacing one part, has to come out above it. */
#include "crypto/noise.h"
#include "crypto/noise_grid.h"
#include "crypto/privacy.h"
#include "learning/private_step.h"
#include "tests/unit/cmocka_all.h"

#include <math.h>

#define DELTA 1e-3
#define CHANCE 1e-7
#define RUNS 4000 /* with the canary, and as many without; half choose, half judge */
#define CLASSES 2
#define MOST_STEPS 50
#define MOST_FEATURES 64
#define MOST_ROWS 8
#define LOOKS 5 /* numbers that the attacker looks at */

enum planted {
    PLANTED_NOTHING,
    PLANTED_NO_CLIP,
    PLANTED_FIXED_BATCHES,
    PLANTED_REUSED_NOISE,
    PLANTED_REALISED_DIVISOR
};

/* What is trained, and what is claimed about it. The canary is the last row. */
struct game {
    enum planted planted;
    size_t rows;     /* without the canary */
    size_t features; /* the canary's is feature 0; no other row has any */
    double sigma, rate;
    uint32_t steps;
};

/* One run as the attacker sees it, and what planted bugs need to know. */
struct run {
    const struct game *game;
    struct noise *noise;
    uint32_t step;
    size_t sampled;
    double scale;
    double seen[MOST_STEPS]; /* of each noisy sum: along the canary's gradient, in clip norms */
    int64_t first_noise[(MOST_FEATURES + 1) * CLASSES];
};

/* ---- the training, and its planted bugs ---- */

/* Batch s of every 1 / rate is the rows whose turn it is: what is accounted as a Poisson sample and is none. */
static struct error *fixed_batch(const struct run *run, size_t rows, uint32_t *ret_chosen, size_t *ret_count)
{
    size_t batches = (size_t)(1.0 / run->game->rate + 0.5);
    *ret_count = 0;
    for (uint32_t i = 0; i < rows; i++)
        if ((rows - 1 - i) % batches == run->step % batches)
            ret_chosen[(*ret_count)++] = i;
    return NULL;
}

static struct error *draw_sample(void *context, double rate, size_t rows, uint32_t *ret_chosen,
                                 size_t *ret_count)
{
    struct run *run = context;
    struct error *err = run->game->planted == PLANTED_FIXED_BATCHES
                            ? fixed_batch(run, rows, ret_chosen, ret_count)
                            : noise_sample(run->noise, rate, rows, ret_chosen, ret_count);
    if (err == NULL)
        run->sampled = *ret_count;
    return err;
}

/* The same noise in every step. */
static struct error *reused_noise(struct run *run, int64_t *values, size_t count)
{
    struct error *err = NULL;
    if (run->step == 0)
        err = noise_gaussian(run->noise, NOISE_LOCAL, run->first_noise, count);
    for (size_t i = 0; i < count && err == NULL; i++)
        values[i] += run->first_noise[i];
    return err;
}

static struct error *draw_noise(void *context, int64_t *values, size_t count)
{
    struct run *run = context;
    struct error *err = run->game->planted == PLANTED_REUSED_NOISE
                            ? reused_noise(run, values, count)
                            : noise_gaussian(run->noise, NOISE_LOCAL, values, count);
    if (err == NULL)
        run->seen[run->step++] = (double)(values[run->game->features] - values[0]) / sqrt(2.0) / run->scale;
    return err;
}

/* Training that divides by the batch that happened to be, and is otherwise that of private_sgd_train. */
static void train_by_realised(const struct softmax_problem *problem,
                              const struct private_sgd_options *options, struct run *run, double *model)
{
    size_t count = softmax_parameters(problem->rows.features, CLASSES);
    double velocity[(MOST_FEATURES + 1) * CLASSES] = {0.0};
    int64_t sum[(MOST_FEATURES + 1) * CLASSES];
    const struct private_source source = {draw_sample, draw_noise, run};
    memset(model, 0, count * sizeof(*model));
    for (uint32_t s = 0; s < options->steps; s++) {
        struct private_step step = options->step;
        assert_null(
            private_step_contribution(problem, &options->sum, step.sampling_rate, &source, model, sum));
        step.sampling_rate = 1.0;
        step.examples = run->sampled == 0 ? 1 : run->sampled;
        private_step_advance(&step, problem->rows.features, CLASSES, sum, velocity, model);
    }
}

static void train(const struct game *game, bool canary, struct run *run, double *model)
{
    static const uint16_t labels[MOST_ROWS + 1] = {0};
    static const double zeros[(MOST_FEATURES + 1) * CLASSES] = {0.0};
    float rows[(MOST_ROWS + 1) * MOST_FEATURES] = {0.0F};
    struct noise_grid grid;
    struct training_result result;
    rows[game->rows * game->features] = 20.0F; /* its gradient is far longer than clip */
    const struct softmax_problem problem = {
        .rows = matrix_of_floats(rows, game->rows + (canary ? 1 : 0), game->features),
        .labels = labels,
        .classes = CLASSES};
    assert_null(noise_grid_plan(NOISE_LOCAL, 1.0, game->sigma, 1, &grid));
    struct private_sgd_options options = {.step = {.learning_rate = 0.001,
                                                   .sampling_rate = game->rate,
                                                   .scale = grid.scale,
                                                   .examples = game->rows},
                                          .sum = {.clip = grid.clip, .bound = grid.bound},
                                          .steps = game->steps};
    const struct private_source source = {draw_sample, draw_noise, run};
    run->scale = grid.scale;
    if (game->planted == PLANTED_NO_CLIP) { /* the same grid, and a bound that nothing reaches */
        options.sum.clip *= 256.0;
        options.sum.bound *= 256;
    }
    if (game->planted == PLANTED_REALISED_DIVISOR)
        train_by_realised(&problem, &options, run, model);
    else
        assert_null(private_sgd_train(&problem, &options, &source, NULL, zeros, model, &result));
}

/* ---- what the attacker looks at ---- */

static void look(const struct game *game, const struct run *run, const double *model, double looks[LOOKS])
{
    double largest = -INFINITY, sum = 0.0, jump = 0.0, energy = 0.0;
    for (uint32_t s = 0; s < game->steps; s++) {
        sum += run->seen[s];
        largest = fmax(largest, run->seen[s]);
        jump = s == 0 ? 0.0 : fmax(jump, fabs(run->seen[s] - run->seen[s - 1]));
    }
    for (size_t i = 1; i < game->features; i++) /* where no row has anything but noise */
        energy += model[i] * model[i] + model[game->features + i] * model[game->features + i];
    looks[0] = sum;
    looks[1] = largest;
    looks[2] = run->seen[0]; /* fixed batches: the canary's turn */
    looks[3] = jump;
    looks[4] = energy;
}

/* ---- from runs to a bound on ε ---- */

/* P(X <= k) for X ~ Binomial(n, p). */
static double binomial_below(size_t k, size_t n, double p)
{
    double total = 0.0;
    if (p <= 0.0 || k >= n)
        return 1.0;
    if (p >= 1.0)
        return 0.0;
    for (size_t i = 0; i <= k; i++)
        total += exp(lgamma((double)n + 1.0) - lgamma((double)i + 1.0) - lgamma((double)(n - i) + 1.0) +
                     (double)i * log(p) + (double)(n - i) * log1p(-p));
    return fmin(total, 1.0);
}

/* A share that is not below the true one, but with probability CHANCE, when k of n were seen. */
static double share_at_most(size_t k, size_t n)
{
    double low = (double)k / (double)n, high = 1.0;
    if (k == n)
        return 1.0;
    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2.0;
        if (binomial_below(k, n, middle) > CHANCE)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static double share_at_least(size_t k, size_t n)
{
    return 1.0 - share_at_most(n - k, n);
}

static size_t count_above(const double *values, size_t count, double threshold, double sign)
{
    size_t above = 0;
    for (size_t i = 0; i < count; i++)
        above += sign * values[i] > sign * threshold;
    return above;
}

/* ε is at least this, when so many of n guesses were right and so many wrong. */
static double epsilon_from(size_t right, size_t wrong, size_t n)
{
    double gain = share_at_least(right, n) - DELTA;
    return gain <= 0.0 ? 0.0 : fmax(0.0, log(gain / share_at_most(wrong, n)));
}

/* Rough stand-in for epsilon_from, to choose by. */
static double promise(size_t right, size_t wrong, size_t n)
{
    double p = (double)right / (double)n;
    double q = (double)wrong / (double)n;
    double high = q + 5.2 * sqrt(q * (1.0 - q) / (double)n) + 16.0 / (double)n;
    double low = p - 5.2 * sqrt(p * (1.0 - p) / (double)n) - DELTA;
    return low <= 0.0 ? 0.0 : log(low / high);
}

/* The best threshold on the first halves, judged on the second. `a` is guessed above it (or below, sign -1). */
static double audit_numbers(const double *a, const double *b, double sign)
{
    size_t half = RUNS / 2;
    double best = -INFINITY, threshold = 0.0;
    for (size_t i = 0; i < half; i += 20)
        for (size_t from = 0; from < 2; from++) {
            double tried = from == 0 ? a[i] : b[i];
            double value =
                promise(count_above(a, half, tried, sign), count_above(b, half, tried, sign), half);
            if (value > best) {
                best = value;
                threshold = tried;
            }
        }
    return epsilon_from(count_above(a + half, half, threshold, sign),
                        count_above(b + half, half, threshold, sign), half);
}

/* The greatest lower bound on ε of all looks, both directions of adjacency, and both sides of the threshold. */
static double audit(const struct game *game)
{
    double *numbers = calloc((size_t)2 * LOOKS * RUNS, sizeof(*numbers)); /* [with?][look][run] */
    double greatest = 0.0;
    struct noise *noise = NULL;
    assert_non_null(numbers);
    assert_null(noise_open(&noise));
    for (size_t i = 0; i < (size_t)2 * RUNS; i++) {
        struct run run = {.game = game, .noise = noise};
        double model[(MOST_FEATURES + 1) * CLASSES];
        double looks[LOOKS];
        train(game, i % 2 == 1, &run, model);
        look(game, &run, model, looks);
        for (size_t l = 0; l < LOOKS; l++)
            numbers[(i % 2 * LOOKS + l) * RUNS + i / 2] = looks[l];
    }
    for (size_t l = 0; l < LOOKS; l++) {
        const double *without = numbers + l * RUNS;
        const double *with = numbers + (LOOKS + l) * RUNS;
        for (double sign = -1.0; sign <= 1.0; sign += 2.0)
            greatest =
                fmax(greatest, fmax(audit_numbers(with, without, sign), audit_numbers(without, with, sign)));
    }
    noise_close(noise);
    free(numbers);
    return greatest;
}

static double claimed(const struct game *game)
{
    const struct privacy_event event = {
        .noise_multiplier = game->sigma, .sampling_rate = game->rate, .steps = game->steps};
    double epsilon = 0.0;
    assert_null(privacy_epsilon(PRIVACY_PLD, &event, 1, DELTA, &epsilon));
    return epsilon;
}

/* Many steps of small samples; and one step of all rows, of a model that is mostly noise. */
static const struct game sampled = {
    .rows = 3, .features = 1, .sigma = 0.9, .rate = 0.02, .steps = MOST_STEPS};
static const struct game whole = {
    .rows = 1, .features = MOST_FEATURES, .sigma = 2.0, .rate = 1.0, .steps = 1};

static void stays_below(struct game game)
{
    double lower = audit(&game);
    print_message("real code: %.3f of the %.3f that is accounted\n", lower, claimed(&game));
    assert_true(lower <= claimed(&game));
}

static void is_flagged(struct game game, enum planted planted)
{
    game.planted = planted;
    double lower = audit(&game);
    print_message("planted bug %d: at least %.3f, where %.3f is accounted\n", (int)planted, lower,
                  claimed(&game));
    assert_true(lower > claimed(&game));
}

static void test_private_audit_of_sampled_steps_stays_below_the_accountant(void **state)
{
    (void)state;
    stays_below(sampled);
}

static void test_private_audit_of_whole_steps_stays_below_the_accountant(void **state)
{
    (void)state;
    stays_below(whole);
}

static void test_private_audit_flags_gradients_that_are_not_clipped(void **state)
{
    (void)state;
    is_flagged(sampled, PLANTED_NO_CLIP);
}

static void test_private_audit_flags_fixed_batches(void **state)
{
    (void)state;
    is_flagged(sampled, PLANTED_FIXED_BATCHES);
}

static void test_private_audit_flags_noise_that_is_reused(void **state)
{
    (void)state;
    is_flagged(sampled, PLANTED_REUSED_NOISE);
}

static void test_private_audit_flags_division_by_the_realised_batch(void **state)
{
    (void)state;
    is_flagged(whole, PLANTED_REALISED_DIVISOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_audit_of_sampled_steps_stays_below_the_accountant),
        cmocka_unit_test(test_private_audit_of_whole_steps_stays_below_the_accountant),
        cmocka_unit_test(test_private_audit_flags_gradients_that_are_not_clipped),
        cmocka_unit_test(test_private_audit_flags_fixed_batches),
        cmocka_unit_test(test_private_audit_flags_noise_that_is_reused),
        cmocka_unit_test(test_private_audit_flags_division_by_the_realised_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
