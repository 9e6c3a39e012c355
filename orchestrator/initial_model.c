#include "orchestrator/initial_model.h"

#include "crypto/digest.h"
#include "learning/softmax.h"
#include "orchestrator/safetensors.h"
#include "schemas/files.h"
#include "schemas/wire.h"

#include <math.h>

struct initial_model {
    const struct job *job;
    char *path;
    uint8_t *data;
    size_t bytes;
};

void initial_model_free(struct initial_model *initial)
{
    if (initial == NULL)
        return;
    free(initial->path);
    free(initial->data);
    free(initial);
}

/* A safetensors file opens with the length of its header, and the header with a brace. */
static bool is_safetensors(const struct initial_model *initial)
{
    uint64_t length = 0;
    for (size_t i = 8; i > 0 && initial->bytes > 8; i--)
        length = length << 8 | initial->data[i - 1];
    return length >= 2 && length <= SAFETENSORS_HEADER_BYTES && initial->data[8] == '{';
}

/* Of the values alone, however the file wraps them: what a site can make itself of what it gets. */
static struct error *digest_of_parameters(const struct initial_model *initial, struct digest *ret_digest)
{
    struct error *err = NULL;
    struct safetensors model = {0};
    uint8_t *bytes = NULL;
    if (!is_safetensors(initial))
        return digest_of(initial->data, initial->bytes, ret_digest);
    TRY(safetensors_parse(initial->data, initial->bytes, initial->path, &model));
    size_t count = softmax_parameters((size_t)model.features, model.classes);
    bytes = malloc(8 * count);
    if (bytes == NULL)
        FAIL(ERROR_MEMORY, "No memory for the initial model.");
    wire_parameters_write(model.parameters, count, bytes);
    TRY(digest_of(bytes, 8 * count, ret_digest));
done:
    free(bytes);
    safetensors_clear(&model);
    return err;
}

static struct error *check_digest(const struct initial_model *initial)
{
    struct error *err = NULL;
    struct digest digest, parameters;
    char hex[DIGEST_HEX_BYTES];
    const char *named = initial->job->init_sha256;
    TRY(digest_of(initial->data, initial->bytes, &digest));
    digest_hex(&digest, hex);
    if (!initial->job->secure.enabled) {
        if (strcmp(hex, named) != 0)
            FAIL(ERROR_UNTRUSTED,
                 "%s has the SHA-256 %s, but the job's model.init names %s; give the right file.",
                 initial->path, hex, named);
        goto done;
    }
    bool of_file = strcmp(hex, named) == 0;
    TRY(digest_of_parameters(initial, &parameters));
    digest_hex(&parameters, hex);
    if (strcmp(hex, named) != 0)
        FAIL(ERROR_UNTRUSTED, "The parameters in %s have the SHA-256 %s, but the job's model.init names %s%s",
             initial->path, hex, named,
             of_file
                 ? ", that of the file; with secure aggregation sites check the parameters, so the job has "
                   "to name theirs."
                 : "; give the right file.");
done:
    return err;
}

struct error *initial_model_open(const struct job *job, const char *path, struct initial_model **ret_initial)
{
    struct error *err = NULL;
    struct initial_model *initial = NULL;
    if (job->init == JOB_INIT_FILE && path == NULL)
        FAIL(ERROR_USAGE,
             "The job's model.init names a file by its SHA-256; give it with --init-model FILE.");
    if (job->init != JOB_INIT_FILE && path != NULL)
        FAIL(ERROR_USAGE, "--init-model is for jobs with model.init: sha256:…, this one says %s.",
             job_init_word(job->init));
    initial = calloc(1, sizeof *initial);
    if (initial == NULL)
        FAIL(ERROR_MEMORY, "No memory for the initial model.");
    initial->job = job;
    if (path != NULL) {
        initial->path = strdup(path);
        if (initial->path == NULL)
            FAIL(ERROR_MEMORY, "No memory for the initial model.");
        TRY(file_read(path, INITIAL_MODEL_MAX_BYTES, &initial->data, &initial->bytes));
        TRY(check_digest(initial));
    }
    *ret_initial = initial;
    initial = NULL;
done:
    initial_model_free(initial);
    return err;
}

static struct error *read_safetensors(const struct initial_model *initial, uint64_t features,
                                      uint32_t classes, double *ret_parameters)
{
    struct error *err = NULL;
    struct safetensors model = {0};
    TRY(safetensors_parse(initial->data, initial->bytes, initial->path, &model));
    if (model.features != features || model.classes != classes)
        FAIL(ERROR_INVALID,
             "%s: it is a model of %u classes and %llu features, and the sites' data has %u and %llu.",
             initial->path, model.classes, (unsigned long long)model.features, classes,
             (unsigned long long)features);
    memcpy(ret_parameters, model.parameters, softmax_parameters((size_t)features, classes) * sizeof(double));
done:
    safetensors_clear(&model);
    return err;
}

static struct error *read_file(const struct initial_model *initial, uint64_t features, uint32_t classes,
                               double *ret_parameters)
{
    struct error *err = NULL;
    size_t count = softmax_parameters((size_t)features, classes);
    if (is_safetensors(initial)) {
        TRY(read_safetensors(initial, features, classes, ret_parameters));
    } else {
        if (initial->bytes != 8 * count)
            FAIL(ERROR_INVALID,
                 "%s: %zu bytes are not the %zu float64 values of a model with %u classes and %llu "
                 "features.",
                 initial->path, initial->bytes, count, classes, (unsigned long long)features);
        wire_parameters_read(initial->data, count, ret_parameters);
    }
    for (size_t i = 0; i < count; i++)
        if (!isfinite(ret_parameters[i]))
            FAIL(ERROR_INVALID, "%s: value %zu of the model is not finite.", initial->path, i);
done:
    return err;
}

struct error *initial_model_make(const struct initial_model *initial, uint64_t features, uint32_t classes,
                                 double **ret_parameters)
{
    struct error *err = NULL;
    double *parameters = NULL;
    TRY(softmax_check_shape((size_t)features, classes));
    parameters = calloc(softmax_parameters((size_t)features, classes), sizeof *parameters);
    if (parameters == NULL)
        FAIL(ERROR_MEMORY, "No memory for the initial model.");
    switch (initial->job->init) {
    case JOB_INIT_ZEROS:
        softmax_init_zeros((size_t)features, classes, parameters);
        break;
    case JOB_INIT_SEEDED:
        softmax_init_seeded(initial->job->seed, (size_t)features, classes, parameters);
        break;
    case JOB_INIT_FILE:
        TRY(read_file(initial, features, classes, parameters));
        break;
    }
    *ret_parameters = parameters;
    parameters = NULL;
done:
    free(parameters);
    return err;
}
