#include "learning/private_sum.h"

#include <float.h>
#include <math.h>

#include "learning/private_kernel.h"

#define BLOCK_ROWS PRIVATE_KERNEL_ROWS
#define AHEAD 8 /* rows prefetched beyond a block */
#define SLOTS 16
#define SLOTS_LARGE 4
#define LARGE_VALUES ((size_t)1 << 17)
#define BYTE_UNIT 255.0 /* what the constant 1 is in the units of bytes */

__extension__ typedef unsigned __int128 uint128;

/* What one task works with: room for a block and the sum of its blocks. */
struct slot {
    const void *rows[BLOCK_ROWS + AHEAD];
    uint16_t labels[BLOCK_ROWS];
    bool counts[BLOCK_ROWS];      /* nothing has been found wrong with the row */
    int exponents[BLOCK_ROWS];    /* A = 2^exponent, of stored elements */
    uint32_t squares[BLOCK_ROWS]; /* Σ a_q² */
    float *logits;                /* [BLOCK_ROWS × K], then delta */
    uint32_t *tile, *delta;       /* as private_kernel.h says */
    int64_t *sum;                 /* [k × F] in steps of the coarse grid; column d is the constant's */
};

struct private_sum {
    const struct softmax_problem *problem;
    const struct kernel *kernel;
    const struct private_kernel *integers;
    size_t features, classes;
    size_t feature_stride, class_stride; /* D and K of kernel.h */
    size_t grid_stride;                  /* F: d + 1, padded */
    unsigned shift;                      /* s: one step of the coarse grid is 2^s */
    uint64_t bound;                      /* floor(B / 2^s) */
    double limit;                        /* the same, less a margin for the rounding of row_factor */
    double scale;                        /* steps of the coarse grid in one unit of stored elements */
    int norm_bits;                       /* ‖a_q‖ <= 2^norm_bits */
    int byte_exponent;                   /* of rows of bytes, at most 0 */
    float *model;                        /* [k × D + K] */
    size_t slots;                        /* as many tasks as there may be */
    struct slot *slot;                   /* [slots] */
    size_t filled;                       /* the first so many have their room */

    /* The batch in hand. */
    const uint32_t *order;
    size_t count;
    size_t used; /* slots */
};

static size_t sum_model_values(const struct private_sum *sum)
{
    return sum->classes * sum->feature_stride + sum->class_stride;
}

static size_t sum_tile_words(const struct private_sum *sum)
{
    return sum->grid_stride * PRIVATE_KERNEL_SPACING;
}

/* ---- room ---- */

static struct error *sum_check(const struct softmax_problem *problem,
                               const struct private_sum_options *options)
{
    struct error *err = NULL;
    struct matrix_view view = problem->rows;
    view.index = NULL;
    TRY(matrix_check(&view));
    TRY(softmax_check_shape(view.features, problem->classes));
    if (problem->labels == NULL)
        FAIL(ERROR_INVALID, "The rows have no labels.");
    if (!(options->clip > 0.0) || !isfinite(options->clip))
        FAIL(ERROR_INVALID, "clip has to be a finite number above 0.");
    if (options->bound < PRIVATE_SUM_MIN_BOUND || options->bound > PRIVATE_SUM_MAX_BOUND)
        FAIL(ERROR_INVALID, "The bound of a private sum is 2^10 to 2^40 steps of its grid.");
    if (!isfinite((double)options->bound / options->clip))
        FAIL(ERROR_INVALID, "clip is too small a number; one above 1e-290 would do.");
done:
    return err;
}

/* The coarse grid: no more bits than the integer kernels add up exactly. */
static void sum_plan(struct private_sum *sum, const struct private_sum_options *options)
{
    while (options->bound >> sum->shift > (uint64_t)1 << PRIVATE_KERNEL_BITS)
        sum->shift++;
    sum->bound = options->bound >> sum->shift;
    sum->limit = (double)sum->bound * (1.0 - 0x1p-40);
    sum->scale = (double)options->bound / options->clip / (double)((uint64_t)1 << sum->shift);
    if (sum->problem->rows.type == MATRIX_BYTES)
        sum->scale /= BYTE_UNIT;
    int bits = 64 - __builtin_clzll(sum->bound);
    sum->norm_bits = bits / 2 + 1; /* a row has more features than classes: they get one bit more */
    double brightest = BYTE_UNIT * sqrt((double)sum->features + 1.0);
    while (ldexp(brightest, sum->byte_exponent) > ldexp(1.0, sum->norm_bits + 1))
        sum->byte_exponent--;
}

/* Zeroed memory that vector loads may use; NULL without memory. */
static void *sum_array(size_t count, size_t element)
{
    size_t bytes = (count * element + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *array = aligned_alloc(KERNEL_ALIGNMENT, bytes);
    if (array != NULL)
        memset(array, 0, bytes);
    return array;
}

static bool slot_fill(const struct private_sum *sum, struct slot *slot)
{
    slot->logits = sum_array(BLOCK_ROWS * sum->class_stride, sizeof(float));
    slot->tile = sum_array(sum_tile_words(sum), sizeof(uint32_t));
    slot->delta = sum_array(PRIVATE_KERNEL_PAIRS * sum->class_stride, sizeof(uint32_t));
    slot->sum = sum_array(sum->classes * sum->grid_stride, sizeof(int64_t));
    return slot->logits != NULL && slot->tile != NULL && slot->delta != NULL && slot->sum != NULL;
}

/* Work is divided among tasks only where somebody runs them beside each other. */
static size_t sum_slots(const struct private_sum *sum)
{
    if (sum->problem->parallel == NULL)
        return 1;
    return sum_model_values(sum) > LARGE_VALUES ? SLOTS_LARGE : SLOTS;
}

struct error *private_sum_new(const struct softmax_problem *problem,
                              const struct private_sum_options *options, struct private_sum **ret_sum)
{
    struct error *err = NULL;
    struct private_sum *sum = NULL;
    TRY(sum_check(problem, options));
    sum = calloc(1, sizeof(*sum));
    if (sum == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for private training.");
    sum->problem = problem;
    sum->kernel =
        problem->kernel == NULL || problem->kernel->isa == KERNEL_BLAS ? kernel_best() : problem->kernel;
    sum->integers = private_kernel_select(sum->kernel->isa);
    sum->features = problem->rows.features;
    sum->classes = problem->classes;
    sum->feature_stride = kernel_pad(sum->features);
    sum->class_stride = kernel_pad(sum->classes);
    sum->grid_stride = kernel_pad(sum->features + 1);
    sum_plan(sum, options);
    sum->model = sum_array(sum_model_values(sum), sizeof(float));
    sum->slots = sum_slots(sum);
    sum->slot = calloc(sum->slots, sizeof(*sum->slot));
    if (sum->model == NULL || sum->slot == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for private training.");
    *ret_sum = sum;
    sum = NULL;
done:
    private_sum_free(sum);
    return err;
}

static void wipe_free(void *array, size_t bytes)
{
    if (array != NULL)
        explicit_bzero(array, bytes);
    free(array);
}

static void slot_clear(const struct private_sum *sum, struct slot *slot)
{
    wipe_free(slot->logits, BLOCK_ROWS * sum->class_stride * sizeof(float));
    wipe_free(slot->tile, sum_tile_words(sum) * sizeof(uint32_t));
    wipe_free(slot->delta, PRIVATE_KERNEL_PAIRS * sum->class_stride * sizeof(uint32_t));
    wipe_free(slot->sum, sum->classes * sum->grid_stride * sizeof(int64_t));
    explicit_bzero(slot, sizeof(*slot));
}

/* Room for the first `used` tasks: what a step of few rows never touches need not be cleared before it and wiped after. */
static struct error *slots_fill(struct private_sum *sum, size_t used)
{
    for (; sum->filled < used; sum->filled++) {
        if (slot_fill(sum, &sum->slot[sum->filled]))
            continue;
        slot_clear(sum, &sum->slot[sum->filled]);
        return error_new(ERROR_MEMORY, "There is not enough memory to sum gradients of %zu × %zu parameters.",
                         sum->classes, sum->features);
    }
    return NULL;
}

void private_sum_free(struct private_sum *sum)
{
    if (sum == NULL)
        return;
    for (size_t i = 0; i < sum->filled; i++)
        slot_clear(sum, &sum->slot[i]);
    free(sum->slot);
    free(sum->model);
    free(sum);
}

/* ---- one block ---- */

/* Points the slot at the rows of a block and finds their deltas, in floating point. */
static size_t block_deltas(const struct private_sum *sum, struct slot *slot, size_t block)
{
    const struct softmax_problem *problem = sum->problem;
    size_t first = block * BLOCK_ROWS;
    size_t left = sum->count - first;
    size_t count = left < BLOCK_ROWS ? left : BLOCK_ROWS;
    size_t ahead = left - count < AHEAD ? left - count : AHEAD;
    for (size_t i = 0; i < count + ahead; i++)
        slot->rows[i] = matrix_row(&problem->rows, sum->order[first + i]);
    for (size_t i = 0; i < count; i++) {
        uint16_t label = problem->labels[sum->order[first + i]];
        slot->counts[i] = label < sum->classes;
        slot->labels[i] = slot->counts[i] ? label : 0;
    }
    const struct kernel_batch batch = {
        .type = problem->rows.type,
        .rows = slot->rows,
        .count = count,
        .ahead = ahead,
        .features = sum->features,
        .classes = sum->classes,
        .feature_stride = sum->feature_stride,
        .class_stride = sum->class_stride,
    };
    sum->kernel->forward(&batch, sum->model, sum->model + sum->classes * sum->feature_stride, slot->logits);
    (void)sum->kernel->softmax(&batch, slot->labels, 1.0F, slot->logits);
    return count;
}

/* The power of two that keeps (x, 1) · 2^exponent within norm_bits: the largest for floats; for bytes one for all rows, so
 * that as they are they need no look at their norm. A row that has no finite norm is out. */
static void row_exponent(const struct private_sum *sum, struct slot *slot, size_t i)
{
    enum matrix_type type = sum->problem->rows.type;
    int exponent = 0;
    slot->exponents[i] = sum->byte_exponent;
    if (type == MATRIX_BYTES)
        return;
    float squares = sum->integers->squares(type, slot->rows[i], sum->features) + 1.0F;
    if (!(squares <= FLT_MAX)) {
        slot->counts[i] = false;
        return;
    }
    (void)frexpf(squares, &exponent);
    slot->exponents[i] = sum->norm_bits - (exponent + 1) / 2; /* squares >= 1: exponent is positive */
}

/* Rows in integers, two at a time, and the constant after their features. */
static void block_rows(const struct private_sum *sum, struct slot *slot, size_t count)
{
    enum matrix_type type = sum->problem->rows.type;
    float unit = type == MATRIX_BYTES ? (float)BYTE_UNIT : 1.0F;
    size_t constant =
        sum->features / KERNEL_LANES * KERNEL_LANES * PRIVATE_KERNEL_SPACING + sum->features % KERNEL_LANES;
    for (size_t i = 0; i < count; i++)
        row_exponent(sum, slot, i);
    for (size_t i = 0; i < count; i += 2) {
        uint32_t *tile = slot->tile + i / 2 * KERNEL_LANES;
        bool both = i + 1 < count;
        const void *const rows[2] = {slot->counts[i] ? slot->rows[i] : NULL,
                                     both && slot->counts[i + 1] ? slot->rows[i + 1] : NULL};
        const int exponents[2] = {slot->exponents[i], both ? slot->exponents[i + 1] : 0};
        uint32_t squares[2];
        uint32_t ones[2];
        sum->integers->fill(type, rows, exponents, sum->features, tile, squares);
        for (size_t half = 0; half < 2; half++) {
            ones[half] = rows[half] == NULL ? 0 : (uint32_t)(unit * private_kernel_power(exponents[half]));
            slot->squares[i + half] = squares[half] + ones[half] * ones[half];
        }
        tile[constant] = ones[0] | ones[1] << 16;
    }
}

/* By how much a delta is multiplied on its way to the coarse grid: clipped, in steps, and divided by what the features
 * have been multiplied by. Not finite when a delta is not. */
static double row_factor(const struct private_sum *sum, const struct slot *slot, size_t i)
{
    double squares = sum->integers->norm(slot->logits + i * sum->class_stride, sum->class_stride);
    double whole = sum->scale * (double)private_kernel_power(-slot->exponents[i]);
    double clipped = sum->limit / sqrt(squares * (double)slot->squares[i]);
    if (!isfinite(squares))
        return NAN;
    return clipped < whole ? clipped : whole;
}

/* The delta of one row in integers, toward zero, [K]; all zero unless it keeps the bound. */
static void row_delta(const struct private_sum *sum, const struct slot *slot, size_t i, int32_t *ret_delta)
{
    double factor = slot->counts[i] ? row_factor(sum, slot, i) : NAN;
    if (isfinite(factor)) {
        const float *delta = slot->logits + i * sum->class_stride;
        uint64_t squares = sum->integers->quantise(delta, factor, sum->class_stride, ret_delta);
        if ((uint128)squares * slot->squares[i] <= (uint128)sum->bound * sum->bound)
            return;
    }
    memset(ret_delta, 0, sum->class_stride * sizeof(*ret_delta));
}

static void block_integers(const struct private_sum *sum, struct slot *slot, size_t count)
{
    int32_t delta[2][SOFTMAX_MAX_CLASSES];
    for (size_t i = 0; i < count; i += 2) {
        row_delta(sum, slot, i, delta[0]);
        if (i + 1 < count)
            row_delta(sum, slot, i + 1, delta[1]);
        else
            memset(delta[1], 0, sum->class_stride * sizeof(delta[1][0]));
        uint32_t *words = slot->delta + i / 2 * sum->class_stride;
        for (size_t c = 0; c < sum->class_stride; c++)
            words[c] = ((uint32_t)delta[0][c] & 0xffffU) | (uint32_t)delta[1][c] << 16;
    }
    explicit_bzero(delta, sizeof(delta));
}

static void slot_sum(void *argument, size_t index)
{
    struct private_sum *sum = argument;
    struct slot *slot = &sum->slot[index];
    size_t blocks = (sum->count + BLOCK_ROWS - 1) / BLOCK_ROWS;
    memset(slot->sum, 0, sum->classes * sum->grid_stride * sizeof(*slot->sum));
    for (size_t block = index * blocks / sum->used; block < (index + 1) * blocks / sum->used; block++) {
        size_t count = block_deltas(sum, slot, block);
        block_rows(sum, slot, count);
        block_integers(sum, slot, count);
        sum->integers->multiply(slot->tile, slot->delta, (count + 1) / 2, sum->grid_stride, sum->classes,
                                sum->class_stride, slot->sum);
    }
}

/* ---- a batch ---- */

/* The parameters in single precision; false when one is not finite there. */
static bool sum_load(struct private_sum *sum, const double *parameters)
{
    bool finite = true;
    for (size_t c = 0; c <= sum->classes; c++) {
        size_t count = c < sum->classes ? sum->features : sum->classes; /* the intercepts come last */
        finite = sum->integers->narrow(parameters + c * sum->features, count,
                                       sum->model + c * sum->feature_stride) &&
                 finite;
    }
    return finite;
}

static void add_steps(int64_t *to, const int64_t *from, size_t count, bool first, unsigned shift)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (int64_t)((first ? 0 : (uint64_t)to[i]) + ((uint64_t)from[i] << shift));
}

/* Sums of all slots, on the fine grid, modulo 2^64. */
static void sum_store(const struct private_sum *sum, int64_t *ret_sum)
{
    size_t features = sum->features;
    if (sum->used == 0)
        memset(ret_sum, 0, softmax_parameters(features, sum->classes) * sizeof(*ret_sum));
    for (size_t s = 0; s < sum->used; s++)
        for (size_t c = 0; c < sum->classes; c++) {
            const int64_t *from = sum->slot[s].sum + c * sum->grid_stride;
            add_steps(ret_sum + c * features, from, features, s == 0, sum->shift);
            add_steps(ret_sum + sum->classes * features + c, from + features, 1, s == 0, sum->shift);
        }
}

struct error *private_sum_gradient(struct private_sum *sum, const double *parameters, const uint32_t *order,
                                   size_t count, int64_t *ret_sum)
{
    struct error *err = NULL;
    if (!sum_load(sum, parameters))
        FAIL(ERROR_NUMERIC, "A parameter of the model is not a finite number of single precision range.");
    for (size_t i = 0; i < count; i++)
        if (order[i] >= sum->problem->rows.rows)
            FAIL(ERROR_INVALID, "A batch names a row that does not exist.");
    size_t blocks = (count + BLOCK_ROWS - 1) / BLOCK_ROWS;
    sum->order = order;
    sum->count = count;
    sum->used = blocks < sum->slots ? blocks : sum->slots;
    TRY(slots_fill(sum, sum->used));
    parallel_run(sum->problem->parallel, sum->used, slot_sum, sum);
    sum_store(sum, ret_sum);
done:
    return err;
}
