/* What privacy costs an epoch of softmax regression over 60000 × 784 bytes, beside the same epoch of sgd_train without it.
 *
 *     bench_private [--smoke]
 *
 * In turns, at batches of 256 and of 4096 rows, on the processor, medians:
 *
 *     clip      the batches of sgd_train, each summed by private_sum and stepped from by private_step_advance
 *     noise     the same, with the exact noise of a site that adds all of it (noise_gaussian)
 *     sampled   private_sgd_train as programs run it: Poisson samples of as many expected rows, sums, noise, steps
 *
 * One line each:   <name>_<batch> <its ms> <ms of sgd_train> <ratio> */
#include "crypto/noise.h"
#include "crypto/noise_grid.h"
#include "learning/private_step.h"
#include "learning/random.h"
#include "learning/sgd.h"
#include "tests/bench/stopwatch.h"

#define ROWS 60000
#define FEATURES 784
#define CLASSES 10
#define PARAMETERS ((FEATURES + 1) * CLASSES)
#define MOMENTUM 0.9
#define RATE 0.01
#define REPEATS 15

struct bench {
    struct softmax_problem problem;
    size_t rows;
    struct noise *noise;
    struct noise_grid grid;
    uint32_t *order;
    double model[PARAMETERS], velocity[PARAMETERS];
    int64_t sum[PARAMETERS];
};

static struct error *draw_sample(void *context, double rate, size_t rows, uint32_t *ret_chosen,
                                 size_t *ret_count)
{
    return noise_sample(context, rate, rows, ret_chosen, ret_count);
}

static struct error *draw_noise(void *context, int64_t *values, size_t count)
{
    return noise_gaussian(context, NOISE_LOCAL, values, count);
}

static struct private_step step_of(const struct bench *bench, uint32_t batch)
{
    double rate = (double)batch / (double)bench->rows;
    return (struct private_step){.learning_rate = RATE,
                                 .momentum = MOMENTUM,
                                 .sampling_rate = rate < 1.0 ? rate : 1.0,
                                 .scale = bench->grid.scale,
                                 .examples = bench->rows};
}

/* Milliseconds of this process on the processor: steadier than the clock on a shared machine. */
static double processor_ms(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0)
        abort();
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static double plain_epoch(struct bench *bench, uint32_t batch, uint32_t round)
{
    struct sgd_options options = {
        .learning_rate = RATE, .momentum = MOMENTUM, .batch_size = batch, .local_epochs = 1, .round = round};
    struct training_result result;
    softmax_init_zeros(FEATURES, CLASSES, bench->model);
    double start = processor_ms();
    stopwatch_must(sgd_train(&bench->problem, &options, NULL, bench->model, bench->model, &result));
    return processor_ms() - start;
}

static double clipped_epoch(struct bench *bench, uint32_t batch, uint32_t round, bool noise)
{
    const struct private_sum_options options = {.clip = bench->grid.clip, .bound = bench->grid.bound};
    struct private_step step = step_of(bench, batch);
    struct private_sum *sum = NULL;
    softmax_init_zeros(FEATURES, CLASSES, bench->model);
    double start = processor_ms();
    memset(bench->velocity, 0, sizeof(bench->velocity));
    stopwatch_must(private_sum_new(&bench->problem, &options, &sum));
    sgd_order(&bench->problem.rows, 0, round, 0, bench->order);
    for (size_t first = 0; first < bench->rows; first += batch) {
        size_t count = bench->rows - first < batch ? bench->rows - first : batch;
        stopwatch_must(private_sum_gradient(sum, bench->model, bench->order + first, count, bench->sum));
        if (noise)
            stopwatch_must(noise_gaussian(bench->noise, NOISE_LOCAL, bench->sum, PARAMETERS));
        private_step_advance(&step, FEATURES, CLASSES, bench->sum, bench->velocity, bench->model);
    }
    private_sum_free(sum);
    return processor_ms() - start;
}

static double sampled_epoch(struct bench *bench, uint32_t batch)
{
    const struct private_sgd_options options = {.step = step_of(bench, batch),
                                                .sum = {.clip = bench->grid.clip, .bound = bench->grid.bound},
                                                .steps = (uint32_t)((bench->rows + batch - 1) / batch)};
    const struct private_source source = {draw_sample, draw_noise, bench->noise};
    struct training_result result;
    softmax_init_zeros(FEATURES, CLASSES, bench->model);
    double start = processor_ms();
    stopwatch_must(
        private_sgd_train(&bench->problem, &options, &source, NULL, bench->model, bench->model, &result));
    return processor_ms() - start;
}

static void print_row(const char *name, uint32_t batch, double *ours, double *plain, size_t repeats)
{
    double mine = stopwatch_median(ours, repeats);
    double reference = stopwatch_median(plain, repeats);
    printf("%s_%u %.3f %.3f %.3f\n", name, batch, mine, reference, mine / reference);
    (void)fflush(stdout);
}

static void measure(struct bench *bench, uint32_t batch, size_t repeats)
{
    double plain[REPEATS] = {0.0}, clip[REPEATS] = {0.0}, noise[REPEATS] = {0.0}, sampled[REPEATS] = {0.0};
    for (size_t i = 0; i < repeats; i++) {
        plain[i] = plain_epoch(bench, batch, (uint32_t)i);
        clip[i] = clipped_epoch(bench, batch, (uint32_t)i, false);
        noise[i] = clipped_epoch(bench, batch, (uint32_t)i, true);
        sampled[i] = sampled_epoch(bench, batch);
    }
    print_row("clip", batch, clip, plain, repeats);
    print_row("noise", batch, noise, plain, repeats);
    print_row("sampled", batch, sampled, plain, repeats);
}

int main(int argc, char **argv)
{
    bool smoke = argc == 2 && strcmp(argv[1], "--smoke") == 0;
    if (argc > 1 && !smoke) {
        (void)fprintf(stderr, "usage: bench_private [--smoke]\n");
        return 2;
    }
    struct bench *bench = stopwatch_must_have(calloc(1, sizeof(*bench)));
    struct random random = random_stream(1, RANDOM_INITIALISATION, 0, 0);
    bench->rows = smoke ? ROWS / 100 : ROWS;
    uint8_t *pixels = stopwatch_must_have(calloc(bench->rows, FEATURES));
    uint16_t *labels = stopwatch_must_have(calloc(bench->rows, sizeof(*labels)));
    bench->order = stopwatch_must_have(calloc(bench->rows, sizeof(*bench->order)));
    for (size_t i = 0; i < bench->rows * FEATURES; i++) { /* four of five pixels are empty, as in MNIST */
        uint32_t word = random_word(&random);
        pixels[i] = word % 5 == 0 ? (uint8_t)(word >> 16) : 0;
    }
    for (size_t i = 0; i < bench->rows; i++)
        labels[i] = (uint16_t)random_below(&random, CLASSES);
    bench->problem = (struct softmax_problem){
        .rows = matrix_of_bytes(pixels, bench->rows, FEATURES), .labels = labels, .classes = CLASSES};
    stopwatch_must(noise_open(&bench->noise));
    stopwatch_must(noise_grid_plan(NOISE_LOCAL, 1.0, 1.0, 1, &bench->grid));
    measure(bench, 256, smoke ? 1 : REPEATS);
    measure(bench, 4096, smoke ? 1 : REPEATS);
    noise_close(bench->noise);
    free(bench->order);
    free(labels);
    free(pixels);
    free(bench);
    return 0;
}
