#include "schemas/wire_parts.h"

#include "schemas/job.h"
#include "schemas/text.h"

#define WIRE_SENTENCE_BYTES (ERROR_SENTENCE_BYTES - 1)
#define WIRE_COMMAND_BYTES 255
#define WIRE_MAX_RUNS 1000000

/* What decoding may allocate beyond the message's own size: a full confusion matrix as u64 and the
 * bookkeeping of the decoder. Without it, 256 MiB of one-byte varints or of unknown fields would become
 * gigabytes. */
#define WIRE_ALLOWANCE ((size_t)WIRE_MAX_CLASSES * WIRE_MAX_CLASSES * 8 + 64 * 1024)

/* --- Decoding within a budget --- */

struct wire_budget {
    size_t left;
    bool exceeded;
};

static void *wire_allocate(void *context, size_t bytes)
{
    struct wire_budget *budget = context;
    if (bytes > budget->left) {
        budget->exceeded = true;
        return NULL;
    }
    budget->left -= bytes;
    return malloc(bytes == 0 ? 1 : bytes);
}

static void wire_release(void *context, void *pointer)
{
    (void)context;
    free(pointer);
}

static void wire_forget_unknown(ProtobufCMessage *message);

/* The messages inside a field: one or none, or as many as were repeated. */
static void wire_forget_inside(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *place = (const char *)message + field->offset;
    ProtobufCMessage *inner = NULL, **list = NULL;
    size_t count = 0;
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        memcpy(&inner, place, sizeof(inner));
        if (inner != NULL)
            wire_forget_unknown(inner);
        return;
    }
    memcpy(&list, place, sizeof(list));
    memcpy(&count, (const char *)message + field->quantifier_offset, sizeof(count));
    for (size_t i = 0; i < count; i++)
        wire_forget_unknown(list[i]);
}

/* Forgets the fields that this version does not know. Kept, they would be encoded again by whoever passes the
 * message on, and the library writes some (of field number 0) that it refuses to read. */
static void wire_forget_unknown(ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < message->n_unknown_fields; i++)
        free(message->unknown_fields[i].data);
    free(message->unknown_fields);
    message->unknown_fields = NULL;
    message->n_unknown_fields = 0;
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        if (descriptor->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            wire_forget_inside(message, &descriptor->fields[i]);
}

/* Memory comes from malloc, so that wire_*_free may use the library's own allocator. */
struct error *wire_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t count,
                          void *ret_message)
{
    struct wire_budget budget = {.left = count + WIRE_ALLOWANCE};
    ProtobufCAllocator allocator = {.alloc = wire_allocate, .free = wire_release, .allocator_data = &budget};
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, count, bytes);
    if (message == NULL) {
        if (budget.exceeded)
            return error_new(ERROR_LIMIT, "%s: the message holds more elements than any valid one.",
                             descriptor->short_name);
        return error_new(ERROR_INVALID, "%s: %zu bytes do not hold a whole message of this kind.",
                         descriptor->short_name, count);
    }
    wire_forget_unknown(message);
    memcpy(ret_message, &message, sizeof(message));
    return NULL;
}

void wire_free(ProtobufCMessage *message)
{
    if (message != NULL)
        protobuf_c_message_free_unpacked(message, NULL);
}

struct error *wire_encode(const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_count)
{
    size_t count = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(count + 1);
    if (bytes == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a message of %zu bytes.", count);
    *ret_count = protobuf_c_message_pack(message, bytes);
    bytes[*ret_count] = 0;
    *ret_bytes = bytes;
    return NULL;
}

/* --- Checks of single fields --- */

struct error *wire_check_bytes(const char *message, const char *field, const ProtobufCBinaryData *data,
                               size_t wanted)
{
    if (data->len == wanted)
        return NULL;
    return error_new(ERROR_INVALID, "%s: %s must have %zu bytes and has %zu.", message, field, wanted,
                     data->len);
}

struct error *wire_check_number(const char *message, const char *field, uint64_t value, uint64_t least,
                                uint64_t most)
{
    if (value >= least && value <= most)
        return NULL;
    return error_new(ERROR_INVALID, "%s: %s must be from %llu to %llu.", message, field,
                     (unsigned long long)least, (unsigned long long)most);
}

struct error *wire_check_text(const char *message, const char *field, const char *text, size_t limit)
{
    size_t length = strnlen(text, limit + 1);
    if (length <= limit && text_printable(text, length))
        return NULL;
    return error_new(ERROR_INVALID, "%s: %s must be at most %zu bytes of printable UTF-8.", message, field,
                     limit);
}

/* NaN fails both comparisons and is so refused. */
struct error *wire_check_real(const char *message, const char *field, double value, double most)
{
    if (value >= 0 && value <= most)
        return NULL;
    return error_new(ERROR_INVALID, "%s: %s must be a number from 0 to %g.", message, field, most);
}

struct error *wire_check_run(const char *message, const ProtobufCBinaryData *job_id,
                             const ProtobufCBinaryData *run_id)
{
    struct error *err = NULL;
    TRY(wire_check_bytes(message, "job_id", job_id, WIRE_JOB_ID_BYTES));
    TRY(wire_check_bytes(message, "run_id", run_id, WIRE_RUN_ID_BYTES));
done:
    return err;
}

/* All bits of the exponent set: a NaN or an infinity. */
static bool wire_finite(const uint8_t bytes[static 8])
{
    return (bytes[7] & 0x7f) != 0x7f || (bytes[6] & 0xf0) != 0xf0;
}

struct error *wire_check_parameters(const char *message, const ProtobufCBinaryData *data)
{
    if (data->len == 0 || data->len % 8 != 0)
        return error_new(ERROR_INVALID,
                         "%s: parameters must be float64 values of 8 bytes each; %zu bytes are not.", message,
                         data->len);
    for (size_t i = 0; i < data->len / 8; i++) {
        if (!wire_finite(data->data + 8 * i))
            return error_new(ERROR_INVALID, "%s: parameters must be finite; element %zu of %zu is not.",
                             message, i + 1, data->len / 8);
    }
    return NULL;
}

/* An empty matrix stands for one that was not released. */
struct error *wire_check_confusion(const char *message, const uint64_t *counts, size_t count)
{
    size_t classes = 0;
    while (classes <= WIRE_MAX_CLASSES && classes * classes < count)
        classes++;
    if (classes > WIRE_MAX_CLASSES || classes * classes != count)
        return error_new(ERROR_INVALID,
                         "%s: confusion must be a square matrix of at most %d classes; %zu counts are not.",
                         message, WIRE_MAX_CLASSES, count);
    for (size_t i = 0; i < count; i++) {
        if (counts[i] > WIRE_MAX_EXAMPLES && counts[i] != WIRE_WITHHELD)
            return error_new(ERROR_INVALID, "%s: confusion must hold counts of at most 2^53.", message);
    }
    return NULL;
}

struct error *wire_check_count(const char *message, const char *field, uint64_t value, uint64_t least)
{
    return value == WIRE_WITHHELD ? NULL : wire_check_number(message, field, value, least, WIRE_MAX_EXAMPLES);
}

struct error *wire_check_witness(const char *message, const Fds__Witness *witness)
{
    struct error *err = NULL;
    if (witness == NULL)
        goto done;
    TRY(wire_check_number(message, "witness.sequence", witness->sequence, 1, INT64_MAX));
    TRY(wire_check_bytes(message, "witness.head", &witness->head, 32));
    TRY(wire_check_bytes(message, "witness.signature", &witness->signature, 64));
done:
    return err;
}

/* --- Messages --- */

struct error *wire_greeting_decode(const uint8_t *bytes, size_t count, Fds__Greeting **ret_greeting)
{
    struct error *err = NULL;
    Fds__Greeting *greeting = NULL;
    TRY(wire_unpack(&fds__greeting__descriptor, bytes, count, &greeting));
    if (greeting->protocol != 1)
        FAIL(ERROR_INVALID, "Greeting: protocol must be 1; the other side speaks %u, another version.",
             (unsigned)greeting->protocol);
    TRY(wire_check_text("Greeting", "name", greeting->name, WIRE_NAME_BYTES));
    TRY(wire_check_text("Greeting", "software", greeting->software, WIRE_NAME_BYTES));
    *ret_greeting = greeting;
    greeting = NULL;
done:
    wire_greeting_free(greeting);
    return err;
}

void wire_greeting_free(Fds__Greeting *greeting)
{
    wire_free((ProtobufCMessage *)greeting);
}

struct error *wire_refusal_decode(const uint8_t *bytes, size_t count, Fds__Refusal **ret_refusal)
{
    struct error *err = NULL;
    Fds__Refusal *refusal = NULL;
    TRY(wire_unpack(&fds__refusal__descriptor, bytes, count, &refusal));
    if (strnlen(refusal->sentence, WIRE_SENTENCE_BYTES + 1) > WIRE_SENTENCE_BYTES)
        FAIL(ERROR_INVALID, "Refusal: sentence must be at most %d bytes.", WIRE_SENTENCE_BYTES);
    if (refusal->code >= ERROR_CODES)
        refusal->code = ERROR_REFUSED;
    if (refusal->sentence[0] != '\0') /* an absent string is a constant of the library */
        text_make_printable(refusal->sentence);
    *ret_refusal = refusal;
    refusal = NULL;
done:
    wire_refusal_free(refusal);
    return err;
}

void wire_refusal_free(Fds__Refusal *refusal)
{
    wire_free((ProtobufCMessage *)refusal);
}

struct error *wire_submit_decode(const uint8_t *bytes, size_t count, Fds__Submit **ret_submit)
{
    struct error *err = NULL;
    Fds__Submit *submit = NULL;
    TRY(wire_unpack(&fds__submit__descriptor, bytes, count, &submit));
    if (submit->job.len < 1 || submit->job.len > JOB_MAX_BYTES)
        FAIL(ERROR_INVALID, "Submit: job must have from 1 to %d bytes and has %zu.", JOB_MAX_BYTES,
             submit->job.len);
    TRY(wire_check_witness("Submit", submit->witness));
    *ret_submit = submit;
    submit = NULL;
done:
    wire_submit_free(submit);
    return err;
}

void wire_submit_free(Fds__Submit *submit)
{
    wire_free((ProtobufCMessage *)submit);
}

struct error *wire_job_query_decode(const uint8_t *bytes, size_t count, Fds__JobQuery **ret_query)
{
    struct error *err = NULL;
    Fds__JobQuery *query = NULL;
    TRY(wire_unpack(&fds__job_query__descriptor, bytes, count, &query));
    TRY(wire_check_bytes("JobQuery", "job_id", &query->job_id, WIRE_JOB_ID_BYTES));
    TRY(wire_check_witness("JobQuery", query->witness));
    *ret_query = query;
    query = NULL;
done:
    wire_job_query_free(query);
    return err;
}

void wire_job_query_free(Fds__JobQuery *query)
{
    wire_free((ProtobufCMessage *)query);
}

static struct error *wire_check_state(Fds__JobState state)
{
    switch (state) {
    case FDS__JOB_STATE__JOB_UNKNOWN:
    case FDS__JOB_STATE__JOB_PENDING:
    case FDS__JOB_STATE__JOB_APPROVED:
    case FDS__JOB_STATE__JOB_RUNNING:
    case FDS__JOB_STATE__JOB_FINISHED:
    case FDS__JOB_STATE__JOB_DENIED:
    case FDS__JOB_STATE__JOB_REVOKED:
    case FDS__JOB_STATE__JOB_EXPIRED:
        return NULL;
    case _FDS__JOB_STATE_IS_INT_SIZE:
        break;
    }
    return error_new(ERROR_INVALID, "JobStatus: state must be one of those of this version.");
}

static struct error *wire_check_job_status(const Fds__JobStatus *status)
{
    struct error *err = NULL;
    TRY(wire_check_bytes("JobStatus", "job_id", &status->job_id, WIRE_JOB_ID_BYTES));
    TRY(wire_check_state(status->state));
    TRY(wire_check_text("JobStatus", "sentence", status->sentence, WIRE_SENTENCE_BYTES));
    TRY(wire_check_text("JobStatus", "owner_command", status->owner_command, WIRE_COMMAND_BYTES));
    TRY(wire_check_number("JobStatus", "features", status->features, 0, WIRE_MAX_FEATURES));
    TRY(wire_check_number("JobStatus", "classes", status->classes, 0, WIRE_MAX_CLASSES));
    if ((status->features == 0) != (status->classes == 0))
        FAIL(ERROR_INVALID, "JobStatus: features and classes must be given together or not at all.");
    if ((status->image_rows != 0 || status->image_columns != 0) &&
        (uint64_t)status->image_rows * status->image_columns != status->features)
        FAIL(ERROR_INVALID, "JobStatus: image_rows times image_columns must be features, or both 0.");
    TRY(wire_check_number("JobStatus", "rounds_left", status->rounds_left, 0, WIRE_MAX_ROUNDS));
    TRY(wire_check_number("JobStatus", "runs_left", status->runs_left, 0, WIRE_MAX_RUNS));
    if (status->expires < 0 || status->expires > WIRE_LAST_TIME)
        FAIL(ERROR_INVALID, "JobStatus: expires must be a time in the years 1970 to 9999.");
done:
    return err;
}

struct error *wire_job_status_decode(const uint8_t *bytes, size_t count, Fds__JobStatus **ret_status)
{
    struct error *err = NULL;
    Fds__JobStatus *status = NULL;
    TRY(wire_unpack(&fds__job_status__descriptor, bytes, count, &status));
    TRY(wire_check_job_status(status));
    *ret_status = status;
    status = NULL;
done:
    wire_job_status_free(status);
    return err;
}

void wire_job_status_free(Fds__JobStatus *status)
{
    wire_free((ProtobufCMessage *)status);
}

struct error *wire_train_decode(const uint8_t *bytes, size_t count, Fds__Train **ret_train)
{
    struct error *err = NULL;
    Fds__Train *train = NULL;
    TRY(wire_unpack(&fds__train__descriptor, bytes, count, &train));
    TRY(wire_check_run("Train", &train->job_id, &train->run_id));
    TRY(wire_check_number("Train", "round", train->round, 1, WIRE_MAX_ROUNDS));
    TRY(wire_check_parameters("Train", &train->parameters));
    TRY(wire_check_witness("Train", train->witness));
    *ret_train = train;
    train = NULL;
done:
    wire_train_free(train);
    return err;
}

void wire_train_free(Fds__Train *train)
{
    wire_free((ProtobufCMessage *)train);
}

struct error *wire_evaluate_decode(const uint8_t *bytes, size_t count, Fds__Evaluate **ret_evaluate)
{
    struct error *err = NULL;
    Fds__Evaluate *evaluate = NULL;
    TRY(wire_unpack(&fds__evaluate__descriptor, bytes, count, &evaluate));
    TRY(wire_check_run("Evaluate", &evaluate->job_id, &evaluate->run_id));
    TRY(wire_check_number("Evaluate", "round", evaluate->round, 1, WIRE_MAX_ROUNDS));
    TRY(wire_check_parameters("Evaluate", &evaluate->parameters));
    TRY(wire_check_witness("Evaluate", evaluate->witness));
    *ret_evaluate = evaluate;
    evaluate = NULL;
done:
    wire_evaluate_free(evaluate);
    return err;
}

void wire_evaluate_free(Fds__Evaluate *evaluate)
{
    wire_free((ProtobufCMessage *)evaluate);
}

static bool wire_run_status(const char *status)
{
    static const char *const words[] = {"finished", "stopped", "failed", "cancelled"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(status, words[i]) == 0)
            return true;
    }
    return false;
}

struct error *wire_end_run_decode(const uint8_t *bytes, size_t count, Fds__EndRun **ret_end_run)
{
    struct error *err = NULL;
    Fds__EndRun *end_run = NULL;
    TRY(wire_unpack(&fds__end_run__descriptor, bytes, count, &end_run));
    TRY(wire_check_run("EndRun", &end_run->job_id, &end_run->run_id));
    if (!wire_run_status(end_run->status))
        FAIL(ERROR_INVALID, "EndRun: status must be finished, stopped, failed or cancelled.");
    TRY(wire_check_witness("EndRun", end_run->witness));
    *ret_end_run = end_run;
    end_run = NULL;
done:
    wire_end_run_free(end_run);
    return err;
}

void wire_end_run_free(Fds__EndRun *end_run)
{
    wire_free((ProtobufCMessage *)end_run);
}

/* --- Refusals --- */

struct error *wire_refusal_error(const Fds__Refusal *refusal)
{
    enum error_code code = refusal->code < ERROR_CODES ? (enum error_code)refusal->code : ERROR_REFUSED;
    if (refusal->sentence[0] == '\0')
        return error_new(code, "The other side refused without a reason (%s).", error_word(code));
    return error_blame(error_new(code, "%s", refusal->sentence), refusal->position);
}

struct error *wire_refusal_encode(const struct error *error, uint8_t **ret_bytes, size_t *ret_count)
{
    char sentence[ERROR_SENTENCE_BYTES];
    (void)snprintf(sentence, sizeof(sentence), "%s", error->sentence);
    text_make_printable(sentence);
    Fds__Refusal refusal = FDS__REFUSAL__INIT;
    refusal.code = (uint32_t)error->code;
    refusal.sentence = sentence;
    refusal.position = error->position;
    return wire_encode(&refusal.base, ret_bytes, ret_count);
}
