#include "learning/softmax_pass.h"

#include <math.h>

/* Slots are memory: 12 bytes per value each. Large models get fewer. */
#define PASS_SLOTS 16
#define PASS_SLOTS_LARGE 4
#define PASS_LARGE_VALUES ((size_t)1 << 17)
#define PASS_AHEAD 8 /* rows prefetched beyond a block */

struct softmax_slot {
    const void *rows[KERNEL_BLOCK_ROWS + PASS_AHEAD];
    uint16_t labels[KERNEL_BLOCK_ROWS];
    float *tile;     /* [KERNEL_BLOCK_ROWS × D], for KERNEL_BLAS, else NULL */
    float *logits;   /* [KERNEL_BLOCK_ROWS × K] */
    float *gradient; /* [values], of one block */
    double *sum;     /* [values], over the blocks of this slot; NULL when no run has two blocks */
    double loss;
    bool finite;
};

static size_t pass_blocks(size_t rows)
{
    return (rows + KERNEL_BLOCK_ROWS - 1) / KERNEL_BLOCK_ROWS;
}

static size_t pass_slots(const struct softmax_pass *pass, size_t rows)
{
    size_t most = pass->values > PASS_LARGE_VALUES ? PASS_SLOTS_LARGE : PASS_SLOTS;
    size_t blocks = pass_blocks(rows);
    return blocks < most ? blocks : most;
}

/* Zeroed memory that vector loads may use; NULL without memory. */
static void *pass_array(size_t count, size_t element)
{
    size_t bytes = (count * element + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *array = aligned_alloc(KERNEL_ALIGNMENT, bytes);
    if (array != NULL)
        memset(array, 0, bytes);
    return array;
}

static bool pass_slot_fill(const struct softmax_pass *pass, struct softmax_slot *slot)
{
    slot->logits = pass_array(KERNEL_BLOCK_ROWS * pass->class_stride, sizeof(float));
    slot->gradient = pass_array(pass->values, sizeof(float));
    bool tiled = pass->kernel->isa == KERNEL_BLAS;
    slot->tile = tiled ? pass_array(KERNEL_BLOCK_ROWS * pass->feature_stride, sizeof(float)) : NULL;
    bool single = pass->max_rows <= KERNEL_BLOCK_ROWS;
    slot->sum = single ? NULL : pass_array(pass->values, sizeof(double));
    return slot->logits != NULL && slot->gradient != NULL && (!tiled || slot->tile != NULL) &&
           (single || slot->sum != NULL);
}

struct error *softmax_pass_new(const struct softmax_problem *problem, size_t max_rows,
                               struct softmax_pass **ret_pass)
{
    struct error *err = NULL;
    struct softmax_pass *pass = calloc(1, sizeof(*pass));
    if (pass == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to train this model.");
    pass->problem = problem;
    pass->kernel = problem->kernel == NULL ? kernel_for_classes(problem->classes) : problem->kernel;
    if (pass->kernel->isa == KERNEL_BLAS)
        kernel_blas_prepare();
    pass->features = problem->rows.features;
    pass->classes = problem->classes;
    pass->feature_stride = kernel_pad(pass->features);
    pass->class_stride = kernel_pad(pass->classes);
    pass->values = pass->classes * pass->feature_stride + pass->class_stride;
    pass->max_rows = max_rows;
    pass->model = pass_array(pass->values, sizeof(float));
    pass->slots = pass_slots(pass, max_rows);
    pass->slot = calloc(pass->slots, sizeof(*pass->slot));
    if (pass->model == NULL || pass->slot == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to train this model.");
    for (size_t i = 0; i < pass->slots; i++)
        if (!pass_slot_fill(pass, &pass->slot[i]))
            FAIL(ERROR_MEMORY, "There is not enough memory to train a model of %zu × %zu parameters.",
                 pass->classes, pass->features);
    *ret_pass = pass;
    pass = NULL;
done:
    softmax_pass_free(pass);
    return err;
}

void softmax_pass_free(struct softmax_pass *pass)
{
    if (pass == NULL)
        return;
    for (size_t i = 0; pass->slot != NULL && i < pass->slots; i++) {
        free(pass->slot[i].tile);
        free(pass->slot[i].logits);
        free(pass->slot[i].gradient);
        free(pass->slot[i].sum);
    }
    free(pass->slot);
    free(pass->model);
    free(pass);
}

void softmax_pass_load(struct softmax_pass *pass, const double *parameters)
{
    for (size_t c = 0; c < pass->classes; c++)
        for (size_t j = 0; j < pass->features; j++)
            pass->model[c * pass->feature_stride + j] = (float)parameters[c * pass->features + j];
    for (size_t c = 0; c < pass->classes; c++)
        pass->model[pass->classes * pass->feature_stride + c] =
            (float)parameters[pass->classes * pass->features + c];
}

void softmax_pass_store(const struct softmax_pass *pass, double *ret_parameters)
{
    for (size_t c = 0; c < pass->classes; c++)
        for (size_t j = 0; j < pass->features; j++)
            ret_parameters[c * pass->features + j] = (double)pass->model[c * pass->feature_stride + j];
    for (size_t c = 0; c < pass->classes; c++)
        ret_parameters[pass->classes * pass->features + c] =
            (double)pass->model[pass->classes * pass->feature_stride + c];
}

/* Points the slot at the rows of block `block` and computes their logits. */
static struct kernel_batch pass_forward(const struct softmax_pass *pass, struct softmax_slot *slot,
                                        size_t block)
{
    const struct matrix_view *view = &pass->problem->rows;
    size_t first = block * KERNEL_BLOCK_ROWS;
    size_t left = pass->count - first;
    size_t count = left < KERNEL_BLOCK_ROWS ? left : KERNEL_BLOCK_ROWS;
    size_t known = left - count + pass->ahead;
    size_t ahead = known < PASS_AHEAD ? known : PASS_AHEAD;
    for (size_t i = 0; i < count + ahead; i++)
        slot->rows[i] = matrix_row(view, pass->order == NULL ? first + i : pass->order[first + i]);
    struct kernel_batch batch = {
        .type = view->type,
        .rows = slot->rows,
        .count = count,
        .ahead = ahead,
        .features = pass->features,
        .classes = pass->classes,
        .feature_stride = pass->feature_stride,
        .class_stride = pass->class_stride,
        .tile = slot->tile,
    };
    pass->kernel->forward(&batch, pass->model, pass->model + pass->classes * pass->feature_stride,
                          slot->logits);
    return batch;
}

static void pass_block_gradient(const struct softmax_pass *pass, struct softmax_slot *slot, size_t block)
{
    size_t first = block * KERNEL_BLOCK_ROWS;
    struct kernel_batch batch = pass_forward(pass, slot, block);
    for (size_t i = 0; i < batch.count; i++)
        slot->labels[i] = pass->problem->labels[pass->order == NULL ? first + i : pass->order[first + i]];
    slot->loss += pass->kernel->softmax(&batch, slot->labels, pass->weight, slot->logits);
    if (pass->descent == NULL)
        pass->kernel->backward(&batch, slot->logits, slot->gradient);
    else
        pass->kernel->descend(&batch, slot->logits, pass->descent);
}

static void pass_slot_gradient(void *argument, size_t index)
{
    struct softmax_pass *pass = argument;
    struct softmax_slot *slot = &pass->slot[index];
    size_t blocks = pass_blocks(pass->count);
    size_t first = index * blocks / pass->used;
    size_t end = (index + 1) * blocks / pass->used;
    slot->loss = 0.0;
    for (size_t block = first; block < end; block++) {
        pass_block_gradient(pass, slot, block);
        if (blocks == 1)
            break;
        if (block == first)
            for (size_t i = 0; i < pass->values; i++)
                slot->sum[i] = (double)slot->gradient[i];
        else
            for (size_t i = 0; i < pass->values; i++)
                slot->sum[i] += (double)slot->gradient[i];
    }
}

static void pass_start(struct softmax_pass *pass, const uint32_t *order, size_t count, size_t ahead)
{
    pass->order = order;
    pass->count = count;
    pass->ahead = ahead;
    pass->used = pass_slots(pass, count);
}

void softmax_pass_gradient(struct softmax_pass *pass, const uint32_t *order, size_t count, size_t ahead,
                           float weight)
{
    pass_start(pass, order, count, ahead);
    pass->weight = weight;
    parallel_run(pass->problem->parallel, pass->used, pass_slot_gradient, pass);
    pass->loss = pass->slot[0].loss;
    for (size_t s = 1; s < pass->used; s++) {
        pass->loss += pass->slot[s].loss;
        for (size_t i = 0; i < pass->values; i++)
            pass->slot[0].sum[i] += pass->slot[s].sum[i];
    }
}

void softmax_pass_descend(struct softmax_pass *pass, const uint32_t *order, size_t count, size_t ahead,
                          const struct softmax_descent *descent)
{
    struct softmax_slot *slot = &pass->slot[0];
    struct kernel_descent step = {
        .model = pass->model,
        .velocity = descent->velocity,
        .gradient = slot->gradient,
        .rate = descent->rate,
        .momentum = descent->momentum,
        .l2 = (float)pass->problem->l2,
    };
    bool single = count <= KERNEL_BLOCK_ROWS;
    pass->descent = single ? &step : NULL;
    softmax_pass_gradient(pass, order, count, ahead, 1.0F / (float)count);
    pass->descent = NULL;
    if (single)
        return;
    for (size_t i = 0; i < pass->values; i++)
        slot->gradient[i] = (float)slot->sum[i];
    kernel_step_model(pass->kernel, pass->classes, pass->feature_stride, &step);
}

static double pass_gradient_value(const struct softmax_pass *pass, size_t i)
{
    return pass->count > KERNEL_BLOCK_ROWS ? pass->slot[0].sum[i] : (double)pass->slot[0].gradient[i];
}

void softmax_pass_export_gradient(const struct softmax_pass *pass, double *ret_gradient)
{
    for (size_t c = 0; c < pass->classes; c++)
        for (size_t j = 0; j < pass->features; j++)
            ret_gradient[c * pass->features + j] = pass_gradient_value(pass, c * pass->feature_stride + j);
    for (size_t c = 0; c < pass->classes; c++)
        ret_gradient[pass->classes * pass->features + c] =
            pass_gradient_value(pass, pass->classes * pass->feature_stride + c);
}

/* Turns sums over rows into the objective: means, and the penalty of the coefficients. */
static double pass_objective_of_sums(const struct softmax_problem *problem, const double *parameters,
                                     double loss_sum, double *gradient)
{
    double rows = (double)matrix_count(&problem->rows);
    size_t coefficients = problem->classes * problem->rows.features;
    double squares = 0.0;
    for (size_t i = 0; i < coefficients; i++)
        squares += parameters[i] * parameters[i];
    if (gradient != NULL)
        for (size_t i = 0; i < coefficients + problem->classes; i++)
            gradient[i] = gradient[i] / rows + (i < coefficients ? problem->l2 * parameters[i] : 0.0);
    return loss_sum / rows + 0.5 * problem->l2 * squares;
}

double softmax_pass_objective(struct softmax_pass *pass, const double *parameters, double *ret_gradient)
{
    const struct softmax_problem *problem = pass->problem;
    softmax_pass_load(pass, parameters);
    softmax_pass_gradient(pass, problem->rows.index, matrix_count(&problem->rows), 0, 1.0F);
    if (ret_gradient != NULL)
        softmax_pass_export_gradient(pass, ret_gradient);
    return pass_objective_of_sums(problem, parameters, pass->loss, ret_gradient);
}

static void pass_slot_predict(void *argument, size_t index)
{
    struct softmax_pass *pass = argument;
    struct softmax_slot *slot = &pass->slot[index];
    size_t blocks = pass_blocks(pass->count);
    slot->finite = true;
    for (size_t block = index * blocks / pass->used; block < (index + 1) * blocks / pass->used; block++) {
        struct kernel_batch batch = pass_forward(pass, slot, block);
        for (size_t i = 0; i < batch.count; i++) {
            const float *row = slot->logits + i * pass->class_stride;
            size_t best = 0;
            for (size_t c = 0; c < pass->classes; c++) {
                slot->finite = slot->finite && isfinite(row[c]);
                best = row[c] > row[best] ? c : best;
            }
            pass->classes_out[block * KERNEL_BLOCK_ROWS + i] = (uint16_t)best;
        }
    }
}

bool softmax_pass_predict(struct softmax_pass *pass, const uint32_t *order, size_t count,
                          uint16_t *ret_classes)
{
    pass_start(pass, order, count, 0);
    pass->classes_out = ret_classes;
    parallel_run(pass->problem->parallel, pass->used, pass_slot_predict, pass);
    for (size_t s = 0; s < pass->used; s++)
        if (!pass->slot[s].finite)
            return false;
    return true;
}
