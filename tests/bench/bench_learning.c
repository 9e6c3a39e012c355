/* How long the inner work of learning takes on one core, beside the time that its multiply-adds alone would
 * take.
 *
 *     bench_learning [--smoke] [--json] [--data DIR]
 *
 * --smoke: a hundredth of the rows, once, to see that it still runs. --json: one object instead of a table.
 * --data: the four uncompressed IDX files of MNIST, instead of made-up rows; adds the quality of the pooled
 * optimum. Times are medians; nothing here ever fails on a time. */
#include "learning/lbfgs_solver.h"
#include "learning/metrics.h"
#include "learning/random.h"
#include "learning/sgd.h"
#include "schemas/files.h"
#include "schemas/idx.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define FEATURES 784
#define CLASSES 10
#define PARAMETERS (FEATURES * CLASSES + CLASSES)
#define MAX_REPEATS 15
#define MAX_FILE_BYTES ((size_t)64 << 20)
#define EPOCH_ROWS 60000
#define SITE_ROWS 24000
#define POOLED_ROWS 48000

struct bench {
    bool smoke, json;
    const char *folder;
    uint8_t *file, *test_file;
    const uint8_t *pixels, *test_pixels;
    uint16_t *labels, *test_labels;
    size_t rows, test_rows;
    size_t repeats;
    double *parameters;
    bool first; /* no row printed yet */
};

static double now(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0)
        abort();
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, size_t count)
{
    qsort(times, count, sizeof(*times), by_size);
    return times[count / 2];
}

static void must(struct error *err)
{
    if (err == NULL)
        return;
    (void)fprintf(stderr, "%s\n", err->sentence);
    exit(error_exit_status(err));
}

/* 20 sums in registers: enough to keep two units of latency 4 busy; returns something that depends on all. */
#define FLOOR_SUMS 20
#define FLOOR_BODY(vector, set, fmadd)                                                                       \
    vector sum[FLOOR_SUMS];                                                                                  \
    vector factor = set(1.0000001F);                                                                         \
    KERNEL_UNROLL                                                                                            \
    for (int i = 0; i < FLOOR_SUMS; i++)                                                                     \
        sum[i] = set((float)i);                                                                              \
    for (size_t n = 0; n < operations / FLOOR_SUMS; n++) {                                                   \
        KERNEL_UNROLL                                                                                        \
        for (int i = 0; i < FLOOR_SUMS; i++)                                                                 \
            sum[i] = fmadd(sum[i], factor, factor);                                                          \
    }                                                                                                        \
    vector total = factor;                                                                                   \
    KERNEL_UNROLL                                                                                            \
    for (int i = 0; i < FLOOR_SUMS; i++)                                                                     \
        total = fmadd(total, factor, sum[i]);                                                                \
    float out[16] = {0};                                                                                     \
    memcpy(out, &total, sizeof(total));                                                                      \
    return out[0];

#if defined(__x86_64__)
__attribute__((target("avx512f"), noinline)) static float floor_avx512(size_t operations)
{
    FLOOR_BODY(__m512, _mm512_set1_ps, _mm512_fmadd_ps)
}

__attribute__((target("avx2,fma"), noinline)) static float floor_avx2(size_t operations)
{
    FLOOR_BODY(__m256, _mm256_set1_ps, _mm256_fmadd_ps)
}
#endif

/* Milliseconds that the multiply-adds of one epoch take when nothing else is done; 0 where there are none
 * fused. */
static double floor_time(struct bench *bench, size_t rows)
{
    double times[MAX_REPEATS] = {0};
    volatile float sink = 0.0F;
    size_t multiplications = rows * FEATURES * CLASSES * 2;
    for (size_t i = 0; i < bench->repeats; i++) {
        double start = now();
#if defined(__x86_64__)
        if (kernel_select(KERNEL_AVX512) != NULL)
            sink = floor_avx512(multiplications / 16);
        else if (kernel_select(KERNEL_AVX2) != NULL)
            sink = floor_avx2(multiplications / 8);
#endif
        times[i] = now() - start;
    }
    (void)sink;
    (void)multiplications;
    return median(times, bench->repeats);
}

static void report(struct bench *bench, const char *name, double milliseconds, double floor)
{
    if (bench->json) {
        printf("%s\n  \"%s\": {\"ms\": %.4f, \"floor_ms\": %.4f}", bench->first ? "" : ",", name,
               milliseconds, floor);
    } else if (floor > 0.0) {
        printf("%-44s %10.2f ms   %6.2f x the floor\n", name, milliseconds, milliseconds / floor);
    } else {
        printf("%-44s %10.2f ms\n", name, milliseconds);
    }
    bench->first = false;
    (void)fflush(stdout);
}

static struct softmax_problem problem_of(const struct bench *bench, size_t rows, enum kernel_isa isa)
{
    return (struct softmax_problem){
        .rows = matrix_of_bytes(bench->pixels, rows < bench->rows ? rows : bench->rows, FEATURES),
        .labels = bench->labels,
        .classes = CLASSES,
        .l2 = 1e-4,
        .kernel = kernel_select(isa),
    };
}

/* One epoch of sgd_train: checks, shuffle and gather included. */
static void bench_epoch(struct bench *bench, enum kernel_isa isa, uint32_t batch, double momentum,
                        double floor)
{
    struct softmax_problem problem = problem_of(bench, EPOCH_ROWS, isa);
    struct sgd_options options = {
        .learning_rate = 0.01, .momentum = momentum, .batch_size = batch, .local_epochs = 1};
    struct training_result result;
    double times[MAX_REPEATS];
    char name[96];
    if (problem.kernel == NULL)
        return;
    size_t repeats = isa == KERNEL_PLAIN && bench->repeats > 3 ? 3 : bench->repeats;
    for (size_t i = 0; i < repeats; i++) {
        options.round = (uint32_t)i;
        softmax_init_zeros(FEATURES, CLASSES, bench->parameters);
        double start = now();
        must(sgd_train(&problem, &options, NULL, bench->parameters, bench->parameters, &result));
        times[i] = now() - start;
    }
    (void)snprintf(name, sizeof(name), "sgd epoch, batch %u, momentum %.1f, %s", batch, momentum,
                   problem.kernel->name);
    report(bench, name, median(times, repeats), floor);
}

static void bench_gradient(struct bench *bench, double floor)
{
    struct softmax_problem problem = problem_of(bench, SITE_ROWS, kernel_best()->isa);
    double times[MAX_REPEATS];
    double loss = 0.0;
    double *gradient = calloc(PARAMETERS, sizeof(*gradient));
    for (size_t i = 0; i < bench->repeats && gradient != NULL; i++) {
        softmax_init_seeded(i, FEATURES, CLASSES, bench->parameters);
        double start = now();
        must(softmax_loss_gradient(&problem, bench->parameters, &loss, gradient));
        times[i] = now() - start;
    }
    free(gradient);
    report(bench, "full gradient, 24000 rows", median(times, bench->repeats), floor * SITE_ROWS / EPOCH_ROWS);
}

static void bench_solver(struct bench *bench)
{
    struct softmax_problem problem = problem_of(bench, SITE_ROWS, kernel_best()->isa);
    struct lbfgs_solver_options options = {.local_iterations = 60};
    struct training_result result;
    double times[MAX_REPEATS];
    size_t repeats = bench->repeats < 3 ? bench->repeats : 3;
    for (size_t i = 0; i < repeats; i++) {
        softmax_init_zeros(FEATURES, CLASSES, bench->parameters);
        double start = now();
        must(lbfgs_solver_train(&problem, &options, NULL, bench->parameters, bench->parameters, &result));
        times[i] = now() - start;
    }
    report(bench, "l-bfgs, 60 iterations, 24000 rows", median(times, repeats), 0.0);
}

static void bench_confusion(struct bench *bench, double floor)
{
    struct softmax_problem problem = problem_of(bench, EPOCH_ROWS, kernel_best()->isa);
    uint64_t confusion[CLASSES * CLASSES];
    double times[MAX_REPEATS];
    for (size_t i = 0; i < bench->repeats; i++) {
        double start = now();
        must(softmax_confusion(&problem, bench->parameters, confusion));
        times[i] = now() - start;
    }
    report(bench, "confusion matrix, 60000 rows", median(times, bench->repeats), floor / 2.0);
}

/* Accuracy on the test file of the optimum over the first 48000 training rows: what federations are measured
 * against. */
static void bench_quality(struct bench *bench)
{
    struct softmax_problem problem = problem_of(bench, POOLED_ROWS, kernel_best()->isa);
    struct lbfgs_solver_options options = {.local_iterations = 300};
    struct training_result result;
    uint64_t confusion[CLASSES * CLASSES];
    if (bench->test_pixels == NULL)
        return;
    softmax_init_zeros(FEATURES, CLASSES, bench->parameters);
    must(lbfgs_solver_train(&problem, &options, NULL, bench->parameters, bench->parameters, &result));
    problem.rows = matrix_of_bytes(bench->test_pixels, bench->test_rows, FEATURES);
    problem.labels = bench->test_labels;
    must(softmax_confusion(&problem, bench->parameters, confusion));
    double accuracy = metrics_accuracy(confusion, CLASSES);
    if (bench->json)
        printf(",\n  \"pooled optimum, 48000 rows\": {\"test_accuracy\": %.4f}", accuracy);
    else
        printf("%-44s %10.4f test accuracy (L-BFGS %s after %u iterations)\n", "pooled optimum, 48000 rows",
               accuracy, training_end_word(result.end), result.steps);
}

static uint8_t *read_idx(const char *folder, const char *name, enum idx_kind kind, struct idx *ret_idx)
{
    char path[4096];
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    must(file_read(path, MAX_FILE_BYTES, &data, &bytes));
    must(idx_parse(data, bytes, kind, path, ret_idx));
    return data;
}

static uint8_t *read_split(const char *folder, const char *images_name, const char *labels_name,
                           const uint8_t **ret_pixels, uint16_t **ret_labels, size_t *ret_rows)
{
    struct idx images;
    struct idx labels;
    uint8_t *file = read_idx(folder, images_name, IDX_IMAGES, &images);
    uint8_t *label_file = read_idx(folder, labels_name, IDX_LABELS, &labels);
    uint16_t *wide = calloc((size_t)labels.count, sizeof(*wide));
    if (wide == NULL || images.count != labels.count || images.item_bytes != FEATURES)
        must(error_new(ERROR_INVALID, "%s does not hold the MNIST files.", folder));
    for (size_t i = 0; i < labels.count; i++)
        wide[i] = labels.items[i];
    free(label_file);
    *ret_pixels = images.items;
    *ret_labels = wide;
    *ret_rows = (size_t)images.count;
    return file;
}

static void make_rows(struct bench *bench)
{
    struct random random = random_stream(1, RANDOM_INITIALISATION, 0, 0);
    bench->rows = bench->smoke ? EPOCH_ROWS / 100 : EPOCH_ROWS;
    bench->file = malloc(bench->rows * FEATURES);
    bench->labels = calloc(bench->rows, sizeof(*bench->labels));
    if (bench->file == NULL || bench->labels == NULL)
        must(error_new(ERROR_MEMORY, "There is not enough memory for the rows."));
    bench->pixels = bench->file;
    for (size_t i = 0; i < bench->rows * FEATURES; i++) { /* four of five pixels are empty, as in MNIST */
        uint32_t word = random_word(&random);
        bench->file[i] = word % 5 == 0 ? (uint8_t)(word >> 16) : 0;
    }
    for (size_t i = 0; i < bench->rows; i++)
        bench->labels[i] = (uint16_t)random_below(&random, CLASSES);
}

static void bench_all(struct bench *bench)
{
    static const uint32_t batches[] = {1, 10, 64, 256, 600};
    double floor = floor_time(bench, bench->rows < EPOCH_ROWS ? bench->rows : EPOCH_ROWS);
    report(bench, "floor: multiply-adds of one epoch", floor, 0.0);
    for (size_t i = 0; i < sizeof(batches) / sizeof(*batches); i++)
        bench_epoch(bench, kernel_best()->isa, batches[i], 0.0, floor);
    for (int isa = (int)kernel_best()->isa; isa >= KERNEL_PLAIN; isa--)
        bench_epoch(bench, (enum kernel_isa)isa, 64, 0.9, floor);
    bench_gradient(bench, floor);
    bench_solver(bench);
    bench_confusion(bench, floor);
    bench_quality(bench);
}

int main(int argc, char **argv)
{
    struct bench bench = {.first = true, .repeats = 7};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0) {
            bench.smoke = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            bench.json = true;
        } else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            bench.folder = argv[++i];
        } else {
            (void)fprintf(stderr, "usage: bench_learning [--smoke] [--json] [--data DIR]\n");
            return 2;
        }
    }
    bench.repeats = bench.smoke ? 1 : bench.repeats;
    bench.parameters = calloc(PARAMETERS, sizeof(*bench.parameters));
    if (bench.folder == NULL) {
        make_rows(&bench);
    } else {
        bench.file = read_split(bench.folder, "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                &bench.pixels, &bench.labels, &bench.rows);
        bench.test_file = read_split(bench.folder, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
                                     &bench.test_pixels, &bench.test_labels, &bench.test_rows);
    }
    printf("%s", bench.json ? "{" : "");
    bench_all(&bench);
    printf("%s", bench.json ? "\n}\n" : "");
    free(bench.file);
    free(bench.test_file);
    free(bench.labels);
    free(bench.test_labels);
    free(bench.parameters);
    return 0;
}
