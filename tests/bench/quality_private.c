/* How good models become under differential privacy on MNIST, by the functions that the programs themselves sample, sum,
 * add noise, step and account with (learning/, crypto/noise.h, crypto/privacy.h), without a network.
 *
 *     quality_private [--smoke] [--seeds N] [--no-tuning] [--csv FILE] DIR
 *
 * DIR holds the four uncompressed IDX files of MNIST. Softmax regression on all 60000 training rows at SITES sites, as
 * mechanism distributed-dp trains it: each step every site draws its own Poisson sample (rate 4096 / 60000), sums clipped
 * gradients on the grid and adds its share of the noise; what is stepped from is the sum of their noisy sums modulo 2^64. 585
 * steps, momentum 0.9, the mean of the models of the second half. Noise for epsilon 1, 3 and 10 at delta 1e-5 by the
 * accountant (PLD), all shares honest, the slack of the grid taken off epsilon before.
 *
 * Clip and learning rate are chosen without the test images, for each kind of features and each epsilon: by the accuracy on
 * 10000 of the training rows, of models trained on the other 50000 (with as many expected rows a step, hence rate
 * 4096 / 50000, and the noise multiplier that is used later), mean of two runs. Then models are trained on all 60000 rows with what
 * was best, and measured on the 10000 test images. A seed decides which rows are at which site; sampling and noise come from the
 * system's generator and are different every time. --no-tuning takes what was found when the README's table was made.
 *
 * One line a figure, for tests/bench/run:   <name> <mean> <lowest> <highest>   and   note <name> <text> */
#include "crypto/noise.h"
#include "crypto/noise_grid.h"
#include "crypto/privacy.h"
#include "learning/features.h"
#include "learning/metrics.h"
#include "learning/private_step.h"
#include "learning/random.h"
#include "tests/bench/mnist.h"

#include <errno.h>

#define SITES 4
#define MAX_SEEDS 16
#define EXPECTED_ROWS 4096.0
#define HELD_OUT 10000
#define STEPS 585
#define MOMENTUM 0.9
#define AVERAGE_TAIL 0.5
#define DELTA 1e-5
#define TUNING_RUNS 2
#define TUNING_SEED 1000

/* Rows as the model sees them. */
struct mapped {
    float *values;
    const uint16_t *labels;
    size_t count, features;
};

/* What a figure is of. */
struct setting {
    double epsilon, sigma, clip, rate;
    uint32_t steps;
};

#define CHOICES 3
struct kind {
    const char *name;
    struct features_map map;
    double clips[CHOICES], rates[CHOICES]; /* to choose from: around what a first, coarser look found */
    struct mapped train, test;
};

/* ---- rows ---- */

static struct mapped map_rows(const struct features_map *map, const struct mnist *rows)
{
    struct matrix_view view = matrix_of_bytes(rows->pixels, rows->count, MNIST_FEATURES);
    struct mapped mapped = {.labels = rows->labels, .count = rows->count};
    stopwatch_must(features_count(map, view.type, view.features, &mapped.features));
    mapped.values = stopwatch_must_have(calloc(rows->count * mapped.features, sizeof(float)));
    stopwatch_must(features_apply(map, &view, mapped.values));
    return mapped;
}

static struct softmax_problem problem_of(const struct mapped *rows, const uint32_t *index, size_t count)
{
    struct softmax_problem problem = {
        .rows = matrix_of_floats(rows->values, rows->count, rows->features),
        .labels = rows->labels,
        .classes = MNIST_CLASSES,
    };
    problem.rows = matrix_select(&problem.rows, index, count);
    return problem;
}

static double accuracy_of(const struct mapped *rows, const uint32_t *index, size_t count, const double *model)
{
    struct softmax_problem problem = problem_of(rows, index, count);
    uint64_t confusion[MNIST_CLASSES * MNIST_CLASSES];
    stopwatch_must(softmax_confusion(&problem, model, confusion));
    return 100.0 * metrics_accuracy(confusion, MNIST_CLASSES);
}

static uint32_t *shuffled(size_t count, uint64_t seed)
{
    struct random random = random_stream(seed, RANDOM_PARTITION, 0, 0);
    uint32_t *order = stopwatch_must_have(calloc(count, sizeof(*order)));
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    random_shuffle(&random, order, count);
    return order;
}

/* ---- training, as sites and orchestrator do it together ---- */

struct sites {
    struct noise *noise;
    struct softmax_problem problems[SITES];
    int64_t *share, *sum;
    double *velocity, *model, *average;
};

static struct error *draw_sample(void *context, double rate, size_t rows, uint32_t *ret_chosen,
                                 size_t *ret_count)
{
    return noise_sample(context, rate, rows, ret_chosen, ret_count);
}

static struct error *draw_noise(void *context, int64_t *values, size_t count)
{
    return noise_gaussian(context, NOISE_SHARE, values, count);
}

static struct sites sites_open(const struct mapped *rows, const uint32_t *order, size_t count)
{
    size_t parameters = softmax_parameters(rows->features, MNIST_CLASSES);
    struct sites sites = {.share = stopwatch_must_have(calloc(parameters, sizeof(int64_t))),
                          .sum = stopwatch_must_have(calloc(parameters, sizeof(int64_t))),
                          .velocity = stopwatch_must_have(calloc(parameters, sizeof(double))),
                          .model = stopwatch_must_have(calloc(parameters, sizeof(double))),
                          .average = stopwatch_must_have(calloc(parameters, sizeof(double)))};
    stopwatch_must(noise_open(&sites.noise));
    for (size_t s = 0; s < SITES; s++) {
        size_t first = s * count / SITES;
        size_t end = (s + 1) * count / SITES;
        sites.problems[s] = problem_of(rows, order + first, end - first);
    }
    return sites;
}

static void sites_close(struct sites *sites)
{
    noise_close(sites->noise);
    free(sites->share);
    free(sites->sum);
    free(sites->velocity);
    free(sites->model);
    free(sites->average);
}

static void sites_step(struct sites *sites, const struct private_sum_options *options,
                       const struct private_step *step, size_t features)
{
    size_t parameters = softmax_parameters(features, MNIST_CLASSES);
    const struct private_source source = {draw_sample, draw_noise, sites->noise};
    memset(sites->sum, 0, parameters * sizeof(*sites->sum));
    for (size_t s = 0; s < SITES; s++) {
        stopwatch_must(private_step_contribution(&sites->problems[s], options, step->sampling_rate, &source,
                                                 sites->model, sites->share));
        for (size_t i = 0; i < parameters; i++)
            sites->sum[i] = (int64_t)((uint64_t)sites->sum[i] + (uint64_t)sites->share[i]);
    }
    private_step_advance(step, features, MNIST_CLASSES, sites->sum, sites->velocity, sites->model);
}

/* Trains on the rows order[0 … count) and measures on the rows judged[0 … judged_count) of `judge`. */
static double train(const struct mapped *rows, const uint32_t *order, size_t count,
                    const struct setting *setting, const struct mapped *judge, const uint32_t *judged,
                    size_t judged_count)
{
    struct noise_grid grid;
    size_t parameters = softmax_parameters(rows->features, MNIST_CLASSES);
    stopwatch_must(noise_grid_plan(NOISE_SHARE, setting->clip, setting->sigma, SITES, &grid));
    const struct private_sum_options options = {.clip = grid.clip, .bound = grid.bound};
    const struct private_step step = {.learning_rate = setting->rate,
                                      .momentum = MOMENTUM,
                                      .sampling_rate =
                                          EXPECTED_ROWS < (double)count ? EXPECTED_ROWS / (double)count : 0.5,
                                      .scale = grid.scale,
                                      .examples = count};
    struct sites sites = sites_open(rows, order, count);
    uint32_t before = setting->steps - private_step_tail(setting->steps, AVERAGE_TAIL);
    for (uint32_t done = 0; done < setting->steps; done++) {
        sites_step(&sites, &options, &step, rows->features);
        if (done >= before)
            private_step_average(sites.model, parameters, done - before + 1, sites.average);
    }
    double accuracy = accuracy_of(judge, judged, judged_count, sites.average);
    sites_close(&sites);
    return accuracy;
}

/* ---- the noise ---- */

static double noise_for(double epsilon, size_t rows, size_t features, uint32_t steps)
{
    uint64_t parameters = softmax_parameters(features, MNIST_CLASSES);
    double slack = noise_grid_epsilon_slack(NOISE_SHARE, parameters, steps);
    double delta = DELTA - noise_grid_delta_slack(NOISE_SHARE, parameters, steps, SITES, epsilon, DELTA);
    const struct privacy_event event = {
        .sampling_rate = EXPECTED_ROWS < (double)rows ? EXPECTED_ROWS / (double)rows : 0.5, .steps = steps};
    double sigma = 0.0;
    stopwatch_must(privacy_calibrate(PRIVACY_PLD, event, NULL, 0, epsilon - slack, delta, &sigma));
    return sigma;
}

/* ---- the choice ---- */

/* The setting with the best accuracy on held-out rows; ties to the first. */
static void tune(const struct kind *kind, struct setting *setting)
{
    uint32_t *order = shuffled(kind->train.count, TUNING_SEED);
    size_t kept = kind->train.count - HELD_OUT;
    struct setting best = *setting;
    double highest = -1.0;
    for (size_t c = 0; c < CHOICES; c++)
        for (size_t r = 0; r < CHOICES; r++) {
            struct setting tried = *setting;
            double accuracy = 0.0;
            tried.clip = kind->clips[c];
            tried.rate = kind->rates[r];
            for (size_t run = 0; run < TUNING_RUNS; run++)
                accuracy += train(&kind->train, order, kept, &tried, &kind->train, order + kept, HELD_OUT) /
                            TUNING_RUNS;
            (void)fprintf(stderr, "  %s, epsilon %g, clip %g, rate %g: held-out rows %.3f\n", kind->name,
                          setting->epsilon, tried.clip, tried.rate, accuracy);
            if (accuracy > highest) {
                highest = accuracy;
                best = tried;
            }
        }
    *setting = best;
    free(order);
}

/* What tuning found when the table in README.md was made. */
static void known(const struct kind *kind, struct setting *setting)
{
    bool little = setting->epsilon < 2.0;
    bool much = setting->epsilon > 5.0;
    if (kind->map.kind == FEATURES_HOG) {
        setting->clip = little ? 0.5 : 2.0;
        setting->rate = little ? 2.0 : much ? 4.0 : 1.0;
    } else {
        setting->clip = little ? 0.3 : 0.6;
        setting->rate = little ? 16.0 : much ? 48.0 : 32.0;
    }
}

/* ---- the figures ---- */

static void print_figure(const char *name, const struct setting *setting, const double *values, size_t count)
{
    double sum = 0.0;
    double lowest = values[0];
    double highest = values[0];
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
        lowest = values[i] < lowest ? values[i] : lowest;
        highest = values[i] > highest ? values[i] : highest;
    }
    printf("note private_%s_%g noise multiplier %.4f, clip %g, learning_rate %g\n", name, setting->epsilon,
           setting->sigma, setting->clip, setting->rate);
    printf("private_%s_%g %.3f %.3f %.3f\n", name, setting->epsilon, sum / (double)count, lowest, highest);
    (void)fflush(stdout);
}

static void measure(const struct kind *kind, const struct setting *setting, size_t seeds, FILE *csv)
{
    double accuracies[MAX_SEEDS] = {0.0};
    for (size_t seed = 0; seed < seeds; seed++) {
        uint32_t *order = shuffled(kind->train.count, seed + 1);
        uint32_t *judged = shuffled(kind->test.count, seed + 1);
        accuracies[seed] =
            train(&kind->train, order, kind->train.count, setting, &kind->test, judged, kind->test.count);
        if (csv != NULL)
            (void)fprintf(csv, "%s,%g,%.4f,%g,%g,%zu,%.4f\n", kind->name, setting->epsilon, setting->sigma,
                          setting->clip, setting->rate, seed + 1, accuracies[seed] / 100.0);
        free(order);
        free(judged);
    }
    print_figure(kind->name, setting, accuracies, seeds);
}

struct options {
    const char *folder, *csv;
    bool smoke, tuning;
    size_t seeds;
};

static void measure_all(const struct options *options, const struct mnist *train_rows,
                        const struct mnist *test_rows, FILE *csv)
{
    static const double epsilons[] = {1.0, 3.0, 10.0};
    struct kind kinds[] = {
        {.name = "unit-norm",
         .map = {.kind = FEATURES_UNIT_NORM},
         .clips = {0.3, 0.6, 1.0},
         .rates = {16.0, 32.0, 48.0}},
        {.name = "hog",
         .map = {.kind = FEATURES_HOG, .image_rows = MNIST_SIDE, .image_columns = MNIST_SIDE},
         .clips = {0.5, 1.0, 2.0},
         .rates = {1.0, 2.0, 4.0}},
    };
    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        struct kind *kind = &kinds[k];
        kind->train = map_rows(&kind->map, train_rows);
        kind->test = map_rows(&kind->map, test_rows);
        for (size_t e = 0; e < sizeof(epsilons) / sizeof(*epsilons); e++) {
            struct setting setting = {.epsilon = epsilons[e], .steps = options->smoke ? 3 : STEPS};
            setting.sigma =
                noise_for(setting.epsilon, kind->train.count, kind->train.features, setting.steps);
            if (options->tuning)
                tune(kind, &setting);
            else
                known(kind, &setting);
            measure(kind, &setting, options->seeds, csv);
        }
        free(kind->train.values);
        free(kind->test.values);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.tuning = true, .seeds = 3};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0)
            options.smoke = true;
        else if (strcmp(argv[i], "--no-tuning") == 0)
            options.tuning = false;
        else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            options.seeds = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--csv") == 0 && i + 1 < argc)
            options.csv = argv[++i];
        else
            options.folder = argv[i];
    }
    if (options.folder == NULL || options.seeds < 1 || options.seeds > MAX_SEEDS) {
        (void)fprintf(stderr,
                      "usage: quality_private [--smoke] [--seeds N] [--no-tuning] [--csv FILE] DIR\n");
        return 2;
    }
    FILE *csv = NULL;
    if (options.csv != NULL) {
        csv = fopen(options.csv, "w");
        if (csv == NULL)
            stopwatch_must(error_errno(ERROR_IO, errno, "%s cannot be written", options.csv));
        (void)fprintf(csv, "features,epsilon,noise_multiplier,clip,learning_rate,seed,accuracy\n");
    }
    if (options.smoke) {
        options.tuning = false;
        options.seeds = 1;
    }
    struct mnist train_rows = mnist_read(options.folder, options.smoke, MNIST_TRAIN);
    struct mnist test_rows = mnist_read(options.folder, options.smoke, MNIST_TEST);
    measure_all(&options, &train_rows, &test_rows, csv);
    mnist_free(&train_rows);
    mnist_free(&test_rows);
    if (csv != NULL && fclose(csv) != 0)
        stopwatch_must(error_errno(ERROR_IO, errno, "%s cannot be written", options.csv));
    return 0;
}
