/* How good the models of two sites become on MNIST, by the functions that the programs themselves train,
 * average and evaluate with (learning/, orchestrator/strategy_fedavg).
 *
 *     quality [--smoke] [--seeds N] [--no-tuning] DIR     DIR holds the four uncompressed IDX files of MNIST
 *
 * For each seed the 60000 training rows are shuffled, divided between two sites (partition_rows: IID halves,
 * or each half of the classes), and one in five rows of a site is held out, as `test_fraction: 0.2` does.
 * Training: softmax regression from zeros, five rounds of federated averaging weighted by examples. The
 * accuracy is that of the global model on the 10000 test images, which nothing here is chosen by. Beside it:
 * the optimum on the training rows of both sites together, found by L-BFGS in the same run. The `tuned`
 * figure for label skew is of the setting that did best on the held-out rows of both sites, as a mean over
 * the seeds.
 *
 * One line a figure, for tests/bench/run:   <name> <mean> <lowest> <highest>   and   note <name> <text> */
#include "learning/lbfgs_solver.h"
#include "learning/metrics.h"
#include "learning/partition.h"
#include "learning/random.h"
#include "learning/sgd.h"
#include "orchestrator/strategy_fedavg.h"
#include "tests/bench/mnist.h"

#define FEATURES MNIST_FEATURES
#define CLASSES MNIST_CLASSES
#define PARAMETERS ((FEATURES + 1) * CLASSES)
#define SITES 2
#define ROUNDS 5
#define MAX_SEEDS 16
#define HELD_OUT 5 /* one row in so many */
#define L2 1e-4
#define OPTIMUM_ITERATIONS 1000

/* Row numbers in the order of the file. */
struct selection {
    uint32_t *rows;
    size_t count;
};

struct division {
    struct selection train[SITES], held_out[SITES], all_train, all_held_out;
};

/* How sites train; sgd.batch_size 0: L-BFGS. */
struct setting {
    uint32_t local_iterations;
    double l2;
    struct sgd_options sgd;
};

struct outcome {
    double accuracy[ROUNDS]; /* of the global model after each round */
};

/* ---- division between sites ---- */

static struct selection new_selection(size_t room)
{
    return (struct selection){.rows = stopwatch_must_have(calloc(room + 1, sizeof(uint32_t)))};
}

static void take(struct selection *selection, uint32_t row)
{
    selection->rows[selection->count++] = row;
}

/* Shuffled positions are divided, and every fifth position of a part is held out: both random, since the
 * order is. */
static struct division divide(const struct mnist *rows, enum partition_kind kind, uint64_t seed)
{
    struct random random = random_stream(seed, RANDOM_PARTITION, 0, 0);
    struct partition partition = {.kind = kind, .parts = SITES, .classes = CLASSES};
    uint32_t *order = stopwatch_must_have(calloc(rows->count, sizeof(*order)));
    uint32_t *part = stopwatch_must_have(calloc(rows->count, sizeof(*part)));
    uint16_t *labels = stopwatch_must_have(calloc(rows->count, sizeof(*labels)));
    struct division division = {.all_train = new_selection(rows->count),
                                .all_held_out = new_selection(rows->count)};
    for (size_t i = 0; i < rows->count; i++)
        order[i] = (uint32_t)i;
    random_shuffle(&random, order, rows->count);
    for (size_t i = 0; i < rows->count; i++)
        labels[i] = rows->labels[order[i]];
    for (uint32_t site = 0; site < SITES; site++) {
        size_t count = 0;
        stopwatch_must(partition_rows(&partition, labels, rows->count, site, part, &count));
        division.train[site] = new_selection(count);
        division.held_out[site] = new_selection(count);
        for (size_t i = 0; i < count; i++) {
            uint32_t row = order[part[i]];
            bool held_out = i % HELD_OUT == 0;
            take(held_out ? &division.held_out[site] : &division.train[site], row);
            take(held_out ? &division.all_held_out : &division.all_train, row);
        }
    }
    free(order);
    free(part);
    free(labels);
    return division;
}

static void free_division(struct division *division)
{
    for (size_t site = 0; site < SITES; site++) {
        free(division->train[site].rows);
        free(division->held_out[site].rows);
    }
    free(division->all_train.rows);
    free(division->all_held_out.rows);
}

/* ---- training and evaluation ---- */

static struct softmax_problem problem_of(const struct mnist *rows, const struct selection *selection,
                                         double l2)
{
    struct softmax_problem problem = {
        .rows = matrix_of_bytes(rows->pixels, rows->count, FEATURES),
        .labels = rows->labels,
        .classes = CLASSES,
        .l2 = l2,
    };
    if (selection != NULL)
        problem.rows = matrix_select(&problem.rows, selection->rows, selection->count);
    return problem;
}

static double accuracy_of(const struct mnist *rows, const struct selection *selection, const double *model)
{
    struct softmax_problem problem = problem_of(rows, selection, 0.0);
    uint64_t confusion[CLASSES * CLASSES];
    stopwatch_must(softmax_confusion(&problem, model, confusion));
    return metrics_accuracy(confusion, CLASSES);
}

static void train_at_site(const struct mnist *rows, const struct selection *selection,
                          const struct setting *setting, uint32_t round, const double *model,
                          double *ret_model)
{
    struct softmax_problem problem = problem_of(rows, selection, setting->l2);
    struct training_result result;
    if (setting->sgd.batch_size == 0) {
        struct lbfgs_solver_options options = {.local_iterations = setting->local_iterations};
        stopwatch_must(lbfgs_solver_train(&problem, &options, NULL, model, ret_model, &result));
    } else {
        struct sgd_options options = setting->sgd;
        options.round = round;
        stopwatch_must(sgd_train(&problem, &options, NULL, model, ret_model, &result));
    }
}

/* Five rounds; the accuracy is on `judge`'s rows (all of them, or those of a selection). */
static struct outcome federate(const struct mnist *rows, const struct division *division,
                               const struct setting *setting, const struct mnist *judge,
                               const struct selection *judged)
{
    struct outcome outcome;
    double *model = stopwatch_must_have(calloc(PARAMETERS, sizeof(*model)));
    double *trained = stopwatch_must_have(calloc((size_t)SITES * PARAMETERS, sizeof(*trained)));
    struct fedavg_update updates[SITES];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (size_t site = 0; site < SITES; site++) {
            double *own = trained + site * PARAMETERS;
            train_at_site(rows, &division->train[site], setting, round + 1, model, own);
            updates[site] =
                (struct fedavg_update){.parameters = own, .examples = division->train[site].count};
        }
        stopwatch_must(fedavg_aggregate(updates, SITES, PARAMETERS, JOB_WEIGHT_EXAMPLES, model));
        outcome.accuracy[round] = accuracy_of(judge, judged, model);
    }
    free(model);
    free(trained);
    return outcome;
}

static double optimum(const struct mnist *rows, const struct selection *train, const struct mnist *test)
{
    struct softmax_problem problem = problem_of(rows, train, L2);
    struct lbfgs_solver_options options = {.local_iterations = OPTIMUM_ITERATIONS, .tolerance = 1e-5};
    struct training_result result;
    double *model = stopwatch_must_have(calloc(PARAMETERS, sizeof(*model)));
    stopwatch_must(lbfgs_solver_train(&problem, &options, NULL, model, model, &result));
    double accuracy = accuracy_of(test, NULL, model);
    (void)fprintf(stderr, "  pooled optimum: L-BFGS %s after %u iterations\n", training_end_word(result.end),
                  result.steps);
    free(model);
    return accuracy;
}

/* ---- the choice for label skew ---- */

static void describe(const struct setting *setting, char *ret_text, size_t bytes)
{
    if (setting->sgd.batch_size == 0)
        (void)snprintf(ret_text, bytes, "lbfgs, local_iterations %u, l2 %g", setting->local_iterations,
                       setting->l2);
    else
        (void)snprintf(ret_text, bytes,
                       "sgd, batch_size %u, learning_rate %g, momentum %g, local_epochs %u, l2 %g",
                       setting->sgd.batch_size, setting->sgd.learning_rate, setting->sgd.momentum,
                       setting->sgd.local_epochs, setting->l2);
}

/* Divisions of the seeds, by whose held-out rows settings are compared. */
struct tuning {
    const struct mnist *rows;
    const struct division *divisions;
    size_t count;
    double highest;
    struct setting best;
};

static void try_setting(struct tuning *tuning, const struct setting *setting)
{
    char text[200];
    double sum = 0.0;
    for (size_t i = 0; i < tuning->count; i++) {
        const struct division *division = &tuning->divisions[i];
        sum += federate(tuning->rows, division, setting, tuning->rows, &division->all_held_out)
                   .accuracy[ROUNDS - 1];
    }
    double accuracy = sum / (double)tuning->count;
    describe(setting, text, sizeof(text));
    (void)fprintf(stderr, "  held-out rows %.4f: %s\n", accuracy, text);
    if (accuracy > tuning->highest) {
        tuning->highest = accuracy;
        tuning->best = *setting;
    }
}

/* Settings of a job file that may help within five rounds: few steps keep the two models near each other, a
 * strong penalty keeps both near zero, and SGD does a little of each. */
static void tune(struct tuning *tuning)
{
    static const uint32_t iterations[] = {2, 3, 4, 5, 6, 8, 10, 20};
    static const double penalties[] = {1e-4, 1e-2};
    static const double rates[] = {0.01, 0.03, 0.1, 0.3};
    static const uint32_t batches[] = {4, 16, 64, 256};
    for (size_t i = 0; i < sizeof(iterations) / sizeof(*iterations); i++)
        for (size_t p = 0; p < sizeof(penalties) / sizeof(*penalties); p++) {
            struct setting setting = {.local_iterations = iterations[i], .l2 = penalties[p]};
            try_setting(tuning, &setting);
        }
    for (size_t r = 0; r < sizeof(rates) / sizeof(*rates); r++)
        for (size_t b = 0; b < sizeof(batches) / sizeof(*batches); b++) {
            struct setting setting = {
                .l2 = L2,
                .sgd = {.learning_rate = rates[r], .batch_size = batches[b], .local_epochs = 1, .seed = 1}};
            try_setting(tuning, &setting);
        }
}

/* ---- the figures ---- */

static void print_figure(const char *name, const double *values, size_t count)
{
    double sum = 0.0;
    double lowest = values[0];
    double highest = values[0];
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
        lowest = values[i] < lowest ? values[i] : lowest;
        highest = values[i] > highest ? values[i] : highest;
    }
    printf("%s %.3f %.3f %.3f\n", name, sum / (double)count, lowest, highest);
    (void)fflush(stdout);
}

static void iid(const struct mnist *rows, const struct mnist *test, size_t seeds, uint32_t local_iterations)
{
    const struct setting setting = {.local_iterations = local_iterations, .l2 = L2};
    double first[MAX_SEEDS], last[MAX_SEEDS], pooled[MAX_SEEDS], difference[MAX_SEEDS];
    for (size_t seed = 0; seed < seeds; seed++) {
        struct division division = divide(rows, PARTITION_IID, seed + 1);
        struct outcome outcome = federate(rows, &division, &setting, test, NULL);
        first[seed] = 100.0 * outcome.accuracy[0];
        last[seed] = 100.0 * outcome.accuracy[ROUNDS - 1];
        pooled[seed] = 100.0 * optimum(rows, &division.all_train, test);
        difference[seed] = last[seed] - pooled[seed];
        free_division(&division);
    }
    print_figure("iid_round_1", first, seeds);
    print_figure("iid_round_5", last, seeds);
    print_figure("iid_pooled", pooled, seeds);
    print_figure("iid_difference", difference, seeds);
}

static void skewed(const char *name, const struct mnist *rows, const struct mnist *test,
                   const struct division *divisions, size_t seeds, const struct setting *setting)
{
    double last[MAX_SEEDS];
    for (size_t seed = 0; seed < seeds; seed++)
        last[seed] = 100.0 * federate(rows, &divisions[seed], setting, test, NULL).accuracy[ROUNDS - 1];
    print_figure(name, last, seeds);
}

static void label_skew(const struct mnist *rows, const struct mnist *test, size_t seeds,
                       uint32_t local_iterations, bool tuned)
{
    const struct setting plain = {.local_iterations = local_iterations, .l2 = L2};
    struct division divisions[MAX_SEEDS];
    char text[200];
    for (size_t seed = 0; seed < seeds; seed++)
        divisions[seed] = divide(rows, PARTITION_LABEL_SKEW, seed + 1);
    skewed("skew_round_5", rows, test, divisions, seeds, &plain);
    if (tuned) {
        struct tuning tuning = {.rows = rows, .divisions = divisions, .count = seeds};
        tune(&tuning);
        describe(&tuning.best, text, sizeof(text));
        printf("note skew_tuned_round_5 %s\n", text);
        skewed("skew_tuned_round_5", rows, test, divisions, seeds, &tuning.best);
    }
    for (size_t seed = 0; seed < seeds; seed++)
        free_division(&divisions[seed]);
}

int main(int argc, char **argv)
{
    const char *folder = NULL;
    bool smoke = false;
    bool tuning = true;
    size_t seeds = 3;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0)
            smoke = true;
        else if (strcmp(argv[i], "--no-tuning") == 0)
            tuning = false;
        else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            seeds = strtoul(argv[++i], NULL, 10);
        else
            folder = argv[i];
    }
    if (folder == NULL || seeds < 1 || seeds > MAX_SEEDS) {
        (void)fprintf(stderr, "usage: quality [--smoke] [--seeds N] [--no-tuning] DIR\n");
        return 2;
    }
    struct mnist rows = mnist_read(folder, smoke, MNIST_TRAIN);
    struct mnist test = mnist_read(folder, smoke, MNIST_TEST);
    uint32_t local_iterations = smoke ? 2 : 60;
    seeds = smoke ? 1 : seeds;
    iid(&rows, &test, seeds, local_iterations);
    label_skew(&rows, &test, seeds, local_iterations, tuning && !smoke);
    mnist_free(&rows);
    mnist_free(&test);
    return 0;
}
