#include "schemas/wire.h"

#include "schemas/job.h"
#include "tests/unit/schemas/refusal.h"
#include "tests/unit/schemas/wire_kind.h"

#include <math.h>

WIRE_KIND(greeting, Greeting)
WIRE_KIND(refusal, Refusal)
WIRE_KIND(submit, Submit)
WIRE_KIND(job_query, JobQuery)
WIRE_KIND(job_status, JobStatus)
WIRE_KIND(train, Train)
WIRE_KIND(update, Update)
WIRE_KIND(evaluate, Evaluate)
WIRE_KIND(evaluation, Evaluation)
WIRE_KIND(end_run, EndRun)

static uint8_t wire_id[33] = {1, 2, 3};
static uint8_t wire_values[24] = {0, 0, 0, 0, 0, 0, 0xf0, 0x3f}; /* 1, 0, 0 */
static uint64_t wire_counts[4] = {5, 1, 0, UINT64_C(1) << 53};

#define JOB_ID                                                                                               \
    {                                                                                                        \
        .len = WIRE_JOB_ID_BYTES, .data = wire_id                                                            \
    }
#define RUN_ID                                                                                               \
    {                                                                                                        \
        .len = WIRE_RUN_ID_BYTES, .data = wire_id                                                            \
    }
#define VALUES                                                                                               \
    {                                                                                                        \
        .len = sizeof(wire_values), .data = wire_values                                                      \
    }

/* One valid message of each kind, for a test to change. */
struct wire_messages {
    Fds__Greeting greeting;
    Fds__Refusal refusal;
    Fds__Submit submit;
    Fds__JobQuery query;
    Fds__JobStatus status;
    Fds__Train train;
    Fds__Metrics metrics;
    Fds__Update update;
    Fds__Evaluate evaluate;
    Fds__Evaluation evaluation;
    Fds__EndRun end_run;
};

static void wire_make(struct wire_messages *m)
{
    static char name[] = "MNIST Part 1";
    static char software[] = "datasite 0.1.0";
    static char sentence[] = "The job waits for its owner.";
    static char command[] = "datasite approve 1f2e3d4c5b6a";
    static char stopped[] = "converged";
    static char status[] = "finished";
    *m = (struct wire_messages){
        .greeting = FDS__GREETING__INIT,
        .refusal = FDS__REFUSAL__INIT,
        .submit = FDS__SUBMIT__INIT,
        .query = FDS__JOB_QUERY__INIT,
        .status = FDS__JOB_STATUS__INIT,
        .train = FDS__TRAIN__INIT,
        .metrics = FDS__METRICS__INIT,
        .update = FDS__UPDATE__INIT,
        .evaluate = FDS__EVALUATE__INIT,
        .evaluation = FDS__EVALUATION__INIT,
        .end_run = FDS__END_RUN__INIT,
    };
    const ProtobufCBinaryData job_id = JOB_ID;
    const ProtobufCBinaryData run_id = RUN_ID;
    const ProtobufCBinaryData values = VALUES;
    m->greeting.protocol = 1;
    m->greeting.name = name;
    m->greeting.software = software;
    m->refusal.code = ERROR_REFUSED;
    m->refusal.sentence = sentence;
    m->submit.job = job_id;
    m->query.job_id = job_id;
    m->status.job_id = job_id;
    m->status.state = FDS__JOB_STATE__JOB_PENDING;
    m->status.sentence = sentence;
    m->status.owner_command = command;
    m->status.features = 784;
    m->status.classes = 10;
    m->status.rounds_left = 5;
    m->status.runs_left = 1;
    m->status.expires = 1801353600;
    m->train.job_id = m->update.job_id = m->evaluate.job_id = m->evaluation.job_id = m->end_run.job_id =
        job_id;
    m->train.run_id = m->update.run_id = m->evaluate.run_id = m->evaluation.run_id = m->end_run.run_id =
        run_id;
    m->train.round = m->update.round = m->evaluate.round = m->evaluation.round = 3;
    m->train.parameters = m->update.parameters = m->evaluate.parameters = values;
    m->metrics.train_accuracy = 0.5;
    m->metrics.n_confusion = 4;
    m->metrics.confusion = wire_counts;
    m->metrics.stopped = stopped;
    m->update.examples = 1000;
    m->update.seconds = 0.25;
    m->update.metrics = &m->metrics;
    m->evaluation.n_confusion = 4;
    m->evaluation.confusion = wire_counts;
    m->end_run.status = status;
}

static const struct wire_kind wire_kinds[] = {
    WIRE_KIND_ROW("Greeting", struct wire_messages, greeting, greeting),
    WIRE_KIND_ROW("Refusal", struct wire_messages, refusal, refusal),
    WIRE_KIND_ROW("Submit", struct wire_messages, submit, submit),
    WIRE_KIND_ROW("JobQuery", struct wire_messages, query, job_query),
    WIRE_KIND_ROW("JobStatus", struct wire_messages, status, job_status),
    WIRE_KIND_ROW("Train", struct wire_messages, train, train),
    WIRE_KIND_ROW("Update", struct wire_messages, update, update),
    WIRE_KIND_ROW("Evaluate", struct wire_messages, evaluate, evaluate),
    WIRE_KIND_ROW("Evaluation", struct wire_messages, evaluation, evaluation),
    WIRE_KIND_ROW("EndRun", struct wire_messages, end_run, end_run),
};
#define WIRE_KINDS (sizeof(wire_kinds) / sizeof(wire_kinds[0]))

static void test_wire_every_kind_is_read_as_written(void **state)
{
    (void)state;
    struct wire_messages m;
    wire_make(&m);
    wire_kinds_check_again(wire_kinds, WIRE_KINDS, &m);
}

static void test_wire_every_kind_truncated_at_every_byte_is_safe(void **state)
{
    (void)state;
    struct wire_messages m;
    wire_make(&m);
    wire_kinds_check_truncated(wire_kinds, WIRE_KINDS, &m);
}

static void test_wire_every_kind_with_any_bit_flipped_is_safe(void **state)
{
    (void)state;
    struct wire_messages m;
    wire_make(&m);
    wire_kinds_check_flipped(wire_kinds, WIRE_KINDS, &m);
}

/* Changes one field of a valid message and expects its refusal. */
#define REFUSED(message, change, sentence)                                                                   \
    do {                                                                                                     \
        struct wire_messages m;                                                                              \
        wire_make(&m);                                                                                       \
        change;                                                                                              \
        wire_kinds_check_refused(wire_kinds, WIRE_KINDS, &m, &m.message, sentence);                          \
    } while (0)

static char wire_long_text[2048];
static char *wire_text_of(size_t length)
{
    memset(wire_long_text, 'x', length);
    wire_long_text[length] = '\0';
    return wire_long_text;
}

static char wire_escape[] = "a\x1b[2J";
static char wire_not_utf8[] = "a\xff";

static void test_wire_greeting_out_of_range_is_refused(void **state)
{
    (void)state;
    REFUSED(greeting, m.greeting.protocol = 0, "Greeting: protocol must be 1");
    REFUSED(greeting, m.greeting.protocol = 2, "Greeting: protocol must be 1; the other side speaks 2");
    REFUSED(greeting, m.greeting.name = wire_text_of(65),
            "Greeting: name must be at most 64 bytes of printable UTF-8.");
    REFUSED(greeting, m.greeting.name = wire_escape, "Greeting: name must be");
    REFUSED(greeting, m.greeting.name = wire_not_utf8, "Greeting: name must be");
    REFUSED(greeting, m.greeting.software = wire_text_of(65), "Greeting: software must be");
    REFUSED(greeting, m.greeting.software = wire_escape, "Greeting: software must be");
}

static void test_wire_refusal_too_long_is_refused(void **state)
{
    (void)state;
    REFUSED(refusal, m.refusal.sentence = wire_text_of(1024),
            "Refusal: sentence must be at most 1023 bytes.");
}

static void test_wire_refusal_is_made_fit_to_print(void **state)
{
    (void)state;
    Fds__Refusal given = FDS__REFUSAL__INIT;
    Fds__Refusal *read = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    given.code = 12345;
    given.sentence = wire_escape;
    assert_done(wire_encode(&given.base, &bytes, &count));
    assert_done(wire_refusal_decode(bytes, count, &read));
    assert_int_equal(read->code, ERROR_REFUSED);
    assert_string_equal(read->sentence, "a?[2J");
    assert_refused(wire_refusal_error(read), ERROR_REFUSED, "a?[2J");
    wire_refusal_free(read);
    free(bytes);
}

static void test_wire_refusal_without_a_sentence_is_read(void **state)
{
    (void)state;
    Fds__Refusal *read = NULL;
    assert_done(wire_refusal_decode((const uint8_t *)"", 0, &read));
    assert_refused(wire_refusal_error(read), (enum error_code)0, "refused without a reason");
    wire_refusal_free(read);
}

static void test_wire_refusal_carries_an_error(void **state)
{
    (void)state;
    struct error *err = error_new(ERROR_EXPIRED, "The approval ended yesterday.");
    Fds__Refusal *read = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    assert_done(wire_refusal_encode(err, &bytes, &count));
    assert_done(wire_refusal_decode(bytes, count, &read));
    assert_int_equal(read->position, 0);
    assert_refused(wire_refusal_error(read), ERROR_EXPIRED, "The approval ended yesterday.");
    wire_refusal_free(read);
    free(bytes);
    error_free(err);
}

static void test_wire_refusal_carries_who_is_blamed(void **state)
{
    (void)state;
    struct error *err = error_blame(error_new(ERROR_UNTRUSTED, "A seal does not open."), 7);
    Fds__Refusal *read = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    err = error_prefix(err, "The shares of site 7");
    assert_done(wire_refusal_encode(err, &bytes, &count));
    error_free(err);
    assert_done(wire_refusal_decode(bytes, count, &read));
    err = wire_refusal_error(read);
    assert_int_equal(err->position, 7);
    wire_refusal_free(read);
    free(bytes);
    error_free(err);
}

static void test_wire_submit_out_of_range_is_refused(void **state)
{
    (void)state;
    static uint8_t job[JOB_MAX_BYTES + 1];
    REFUSED(submit, m.submit.job.len = 0, "Submit: job must have from 1 to 61440 bytes and has 0.");
    REFUSED(submit, (m.submit.job.data = job, m.submit.job.len = sizeof(job)), "and has 61441.");
}

static void test_wire_ids_of_wrong_length_are_refused(void **state)
{
    (void)state;
    REFUSED(query, m.query.job_id.len = 31, "JobQuery: job_id must have 32 bytes and has 31.");
    REFUSED(query, m.query.job_id.len = 33, "JobQuery: job_id must have 32 bytes and has 33.");
    REFUSED(query, m.query.job_id.len = 0, "JobQuery: job_id must have 32 bytes and has 0.");
    REFUSED(status, m.status.job_id.len = 31, "JobStatus: job_id must have 32 bytes");
    REFUSED(train, m.train.job_id.len = 33, "Train: job_id must have 32 bytes");
    REFUSED(train, m.train.run_id.len = 15, "Train: run_id must have 16 bytes");
    REFUSED(update, m.update.job_id.len = 31, "Update: job_id must have 32 bytes");
    REFUSED(update, m.update.run_id.len = 17, "Update: run_id must have 16 bytes");
    REFUSED(evaluate, m.evaluate.job_id.len = 0, "Evaluate: job_id must have 32 bytes");
    REFUSED(evaluate, m.evaluate.run_id.len = 0, "Evaluate: run_id must have 16 bytes");
    REFUSED(evaluation, m.evaluation.job_id.len = 1, "Evaluation: job_id must have 32 bytes");
    REFUSED(evaluation, m.evaluation.run_id.len = 32, "Evaluation: run_id must have 16 bytes");
    REFUSED(end_run, m.end_run.job_id.len = 16, "EndRun: job_id must have 32 bytes");
    REFUSED(end_run, m.end_run.run_id.len = 15, "EndRun: run_id must have 16 bytes");
}

static void test_wire_job_status_out_of_range_is_refused(void **state)
{
    (void)state;
    REFUSED(status, m.status.state = (Fds__JobState)8,
            "JobStatus: state must be one of those of this version.");
    REFUSED(status, m.status.sentence = wire_text_of(1024), "JobStatus: sentence must be at most 1023 bytes");
    REFUSED(status, m.status.sentence = wire_escape, "JobStatus: sentence must be");
    REFUSED(status, m.status.owner_command = wire_text_of(256),
            "JobStatus: owner_command must be at most 255 bytes");
    REFUSED(status, m.status.owner_command = wire_not_utf8, "JobStatus: owner_command must be");
    REFUSED(status, m.status.features = WIRE_MAX_FEATURES + 1u,
            "JobStatus: features must be from 0 to 1048576.");
    REFUSED(status, m.status.classes = WIRE_MAX_CLASSES + 1, "JobStatus: classes must be from 0 to 1024.");
    REFUSED(status, m.status.classes = 0, "JobStatus: features and classes must be given together");
    REFUSED(status, m.status.features = 0, "JobStatus: features and classes must be given together");
    REFUSED(status, m.status.rounds_left = 10001, "JobStatus: rounds_left must be from 0 to 10000.");
    REFUSED(status, m.status.runs_left = 1000001, "JobStatus: runs_left must be from 0 to 1000000.");
    REFUSED(status, m.status.expires = -1, "JobStatus: expires must be a time");
    REFUSED(status, m.status.expires = INT64_C(253402300800), "JobStatus: expires must be a time");
}

static void test_wire_round_out_of_range_is_refused(void **state)
{
    (void)state;
    REFUSED(train, m.train.round = 0, "Train: round must be from 1 to 10000.");
    REFUSED(train, m.train.round = 10001, "Train: round must be from 1 to 10000.");
    REFUSED(update, m.update.round = 0, "Update: round must be from 1 to 10000.");
    REFUSED(evaluate, m.evaluate.round = 0, "Evaluate: round must be from 1 to 10000.");
    REFUSED(evaluation, m.evaluation.round = 10001, "Evaluation: round must be from 1 to 10000.");
}

/* The last value of each range is one. */
static void test_wire_ends_of_every_range_are_taken(void **state)
{
    (void)state;
    static uint64_t most[1] = {UINT64_C(1) << 53};
    struct wire_messages m;
    wire_make(&m);
    m.greeting.name = wire_text_of(64);
    m.refusal.sentence = wire_text_of(64);
    m.status.state = FDS__JOB_STATE__JOB_EXPIRED;
    m.status.features = WIRE_MAX_FEATURES;
    m.status.classes = WIRE_MAX_CLASSES;
    m.status.rounds_left = 10000;
    m.status.runs_left = 1000000;
    m.status.expires = INT64_C(253402300799);
    m.train.round = m.update.round = m.evaluate.round = m.evaluation.round = 10000;
    m.update.examples = UINT64_C(1) << 53;
    m.update.seconds = 0;
    m.metrics.train_accuracy = 1;
    m.metrics.n_confusion = 0;
    m.evaluation.n_confusion = 1;
    m.evaluation.confusion = most;
    wire_kinds_check_again(wire_kinds, WIRE_KINDS, &m);
}

static void test_wire_parameters_of_wrong_length_are_refused(void **state)
{
    (void)state;
    REFUSED(train, m.train.parameters.len = 0,
            "Train: parameters must be float64 values of 8 bytes each; 0 bytes");
    REFUSED(train, m.train.parameters.len = 7, "Train: parameters must be float64 values");
    REFUSED(update, m.update.parameters.len = 9, "Update: parameters must be float64 values");
    REFUSED(evaluate, m.evaluate.parameters.len = 23, "Evaluate: parameters must be float64 values");
}

static struct error *wire_train_with(double value)
{
    struct wire_messages m;
    const double values[3] = {1, value, 2};
    uint8_t parameters[24];
    uint8_t *bytes = NULL;
    size_t count = 0;
    Fds__Train *train = NULL;
    wire_make(&m);
    wire_parameters_write(values, 3, parameters);
    m.train.parameters.data = parameters;
    assert_done(wire_encode(&m.train.base, &bytes, &count));
    struct error *err = wire_train_decode(bytes, count, &train);
    wire_train_free(train);
    free(bytes);
    return err;
}

static void test_wire_parameters_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    static const double values[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 4; i++)
        assert_refused(wire_train_with(values[i]), ERROR_INVALID,
                       "Train: parameters must be finite; element 2 of 3 is not.");
}

static void test_wire_parameters_at_the_ends_of_the_range_are_taken(void **state)
{
    (void)state;
    static const double values[] = {-0.0, 5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        assert_done(wire_train_with(values[i]));
}

static void test_wire_parameters_are_little_endian(void **state)
{
    (void)state;
    static const double values[2] = {1, -0.0};
    static const uint8_t expected[16] = {0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x80};
    uint8_t bytes[16];
    double again[2] = {9, 9};
    wire_parameters_write(values, 2, bytes);
    assert_memory_equal(bytes, expected, sizeof(expected));
    wire_parameters_read(bytes, 2, again);
    assert_memory_equal(again, values, sizeof(values));
}

static void test_wire_parameters_must_fit_the_model(void **state)
{
    (void)state;
    assert_done(wire_parameters_check((size_t)7850 * 8, 784, 10));
    assert_refused(wire_parameters_check((size_t)7840 * 8, 784, 10), ERROR_INVALID,
                   "coef shape=(10, 784) and intercept shape=(10,) need 62800 bytes");
    assert_refused(wire_parameters_check(0, 0, 10), ERROR_INVALID, "features");
    assert_refused(wire_parameters_check(0, UINT64_MAX, 10), ERROR_INVALID, "features");
    assert_refused(wire_parameters_check(0, 784, 0), ERROR_INVALID, "classes");
    assert_refused(wire_parameters_check(0, 784, WIRE_MAX_CLASSES + 1), ERROR_INVALID, "classes");
}

static void test_wire_update_out_of_range_is_refused(void **state)
{
    (void)state;
    REFUSED(update, m.update.examples = 0, "Update: examples must be from 1 to 9007199254740992.");
    REFUSED(update, m.update.examples = (UINT64_C(1) << 53) + 1, "Update: examples must be from 1");
    REFUSED(update, m.update.seconds = -1, "Update: seconds must be a number from 0");
    REFUSED(update, m.update.seconds = NAN, "Update: seconds must be a number from 0");
    REFUSED(update, m.update.seconds = INFINITY, "Update: seconds must be a number from 0");
    REFUSED(update, m.metrics.train_accuracy = -0.01,
            "Update: metrics.train_accuracy must be a number from 0 to 1.");
    REFUSED(update, m.metrics.train_accuracy = 1.01,
            "Update: metrics.train_accuracy must be a number from 0 to 1.");
    REFUSED(update, m.metrics.train_accuracy = NAN,
            "Update: metrics.train_accuracy must be a number from 0 to 1.");
    REFUSED(update, m.metrics.stopped = wire_text_of(65), "Update: metrics.stopped must be at most 64 bytes");
    REFUSED(update, m.metrics.stopped = wire_escape, "Update: metrics.stopped must be");
}

static void test_wire_confusion_out_of_range_is_refused(void **state)
{
    (void)state;
    static uint64_t large[4] = {0, (UINT64_C(1) << 53) + 1, 0, 0};
    REFUSED(update, m.metrics.n_confusion = 3, "Update: confusion must be a square matrix");
    REFUSED(update, m.metrics.confusion = large, "Update: confusion must hold counts of at most 2^53.");
    REFUSED(evaluation, m.evaluation.n_confusion = 2, "Evaluation: confusion must be a square matrix");
    REFUSED(evaluation, m.evaluation.confusion = large,
            "Evaluation: confusion must hold counts of at most 2^53.");
}

/* Counts with noise, and then no others. */
static void wire_noise(struct wire_messages *m, double *noised, size_t count)
{
    m->evaluation.n_confusion = 0;
    m->evaluation.test_rows = m->evaluation.correct = WIRE_WITHHELD;
    m->evaluation.noised = noised;
    m->evaluation.n_noised = count;
}

static void test_wire_noised_counts_out_of_range_are_refused(void **state)
{
    (void)state;
    static double noised[4] = {3.25, -1.5, 1e9, 0};
    static double infinite[4] = {3.25, -1.5, INFINITY, 0}, none[4] = {NAN, 0, 0, 0};
    struct wire_messages good;
    Fds__Evaluation *read = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    wire_make(&good);
    wire_noise(&good, noised, 4);
    assert_done(wire_encode(&good.evaluation.base, &bytes, &count));
    assert_done(wire_evaluation_decode(bytes, count, &read));
    assert_int_equal(read->n_noised, 4);
    assert_memory_equal(read->noised, noised, sizeof(noised));
    wire_evaluation_free(read);
    free(bytes);
    REFUSED(evaluation, wire_noise(&m, noised, 3), "Evaluation: noised must be a square matrix");
    REFUSED(evaluation, wire_noise(&m, infinite, 4), "Evaluation: noised must be finite; element 3 of 4");
    REFUSED(evaluation, wire_noise(&m, none, 4), "Evaluation: noised must be finite; element 1 of 4");
    REFUSED(evaluation, (wire_noise(&m, noised, 4), m.evaluation.n_confusion = 4),
            "withheld beside noised counts");
    REFUSED(evaluation, (wire_noise(&m, noised, 4), m.evaluation.test_rows = 300),
            "withheld beside noised counts");
    REFUSED(evaluation, (wire_noise(&m, noised, 4), m.evaluation.correct = 300),
            "withheld beside noised counts");
}

static void test_wire_images_of_another_shape_are_refused(void **state)
{
    (void)state;
    struct wire_messages good;
    Fds__JobStatus *read = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    wire_make(&good);
    good.status.image_rows = good.status.image_columns = 28;
    assert_done(wire_encode(&good.status.base, &bytes, &count));
    assert_done(wire_job_status_decode(bytes, count, &read));
    wire_job_status_free(read);
    free(bytes);
    REFUSED(status, m.status.image_rows = 28, "JobStatus: image_rows times image_columns must be features");
    REFUSED(status, m.status.image_columns = 784,
            "JobStatus: image_rows times image_columns must be features");
    REFUSED(status, m.status.image_rows = m.status.image_columns = 27,
            "JobStatus: image_rows times image_columns must be features");
}

static void test_wire_confusion_of_too_many_classes_is_refused(void **state)
{
    (void)state;
    size_t count = (size_t)(WIRE_MAX_CLASSES + 1) * (WIRE_MAX_CLASSES + 1);
    uint64_t *counts = calloc(count, sizeof(*counts));
    uint8_t *bytes = NULL;
    size_t bytes_count = 0;
    struct wire_messages m;
    Fds__Evaluation *read = NULL;
    assert_non_null(counts);
    wire_make(&m);
    m.evaluation.confusion = counts;
    m.evaluation.n_confusion = count;
    assert_done(wire_encode(&m.evaluation.base, &bytes, &bytes_count));
    assert_refused(wire_evaluation_decode(bytes, bytes_count, &read), ERROR_INVALID, "at most 1024 classes");
    free(bytes);
    free(counts);
}

/* One byte on the wire becomes eight in memory; the decoder has to stop long before. */
static void test_wire_message_that_would_grow_without_bound_is_refused(void **state)
{
    (void)state;
    size_t bytes = 16u << 20;
    uint8_t *data = calloc(bytes, 1);
    Fds__Evaluation *read = NULL;
    assert_non_null(data);
    data[0] = 0x22; /* field 4, packed, of bytes - 5 one-byte counts */
    size_t inside = bytes - 5;
    for (int i = 1; i < 5; i++)
        data[i] = (uint8_t)((inside >> (7 * (i - 1)) & 0x7f) | (i < 4 ? 0x80 : 0));
    assert_refused(wire_evaluation_decode(data, bytes, &read), ERROR_LIMIT,
                   "holds more elements than any valid one");
    for (size_t i = 0; i < bytes; i += 2) {
        data[i] = 0x78; /* field 15, unknown, a varint */
        data[i + 1] = 0;
    }
    assert_refused(wire_evaluation_decode(data, bytes, &read), ERROR_LIMIT,
                   "holds more elements than any valid one");
    free(data);
}

static void test_wire_unknown_fields_are_ignored_and_forgotten(void **state)
{
    (void)state;
    struct wire_messages m;
    uint8_t *bytes = NULL;
    uint8_t *again = NULL;
    size_t count = 0;
    size_t again_count = 0;
    uint8_t longer[64];
    Fds__JobQuery *read = NULL;
    wire_make(&m);
    assert_done(wire_encode(&m.query.base, &bytes, &count));
    memcpy(longer, bytes, count);
    memcpy(longer + count, "\x78\x07\x80\x00\x00", 5); /* field 15, and field 0 in two bytes */
    assert_done(wire_job_query_decode(longer, count + 5, &read));
    assert_done(wire_encode(&read->base, &again, &again_count));
    assert_int_equal(again_count, count);
    assert_memory_equal(again, bytes, count);
    wire_job_query_free(read);
    free(again);
    free(bytes);
}

static void test_wire_metrics_may_be_absent(void **state)
{
    (void)state;
    struct wire_messages m;
    uint8_t *bytes = NULL;
    size_t count = 0;
    Fds__Update *read = NULL;
    wire_make(&m);
    m.update.metrics = NULL;
    assert_done(wire_encode(&m.update.base, &bytes, &count));
    assert_done(wire_update_decode(bytes, count, &read));
    assert_null(read->metrics);
    wire_update_free(read);
    free(bytes);
}

static void test_wire_end_run_of_unknown_status_is_refused(void **state)
{
    (void)state;
    static char running[] = "running";
    static char empty[] = "";
    static char good[][10] = {"finished", "stopped", "failed", "cancelled"};
    REFUSED(end_run, m.end_run.status = running,
            "EndRun: status must be finished, stopped, failed or cancelled.");
    REFUSED(end_run, m.end_run.status = empty,
            "EndRun: status must be finished, stopped, failed or cancelled.");
    for (size_t i = 0; i < 4; i++) {
        struct wire_messages m;
        uint8_t *bytes = NULL;
        size_t count = 0;
        wire_make(&m);
        m.end_run.status = good[i];
        wire_kind_pack(&wire_kinds[WIRE_KINDS - 1], &m, &bytes, &count);
        wire_kind_check_again(&wire_kinds[WIRE_KINDS - 1], bytes, count);
        free(bytes);
    }
}

static void test_wire_free_accepts_null(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIRE_KINDS; i++)
        wire_kinds[i].release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_every_kind_is_read_as_written),
        cmocka_unit_test(test_wire_every_kind_truncated_at_every_byte_is_safe),
        cmocka_unit_test(test_wire_every_kind_with_any_bit_flipped_is_safe),
        cmocka_unit_test(test_wire_greeting_out_of_range_is_refused),
        cmocka_unit_test(test_wire_refusal_too_long_is_refused),
        cmocka_unit_test(test_wire_refusal_is_made_fit_to_print),
        cmocka_unit_test(test_wire_refusal_without_a_sentence_is_read),
        cmocka_unit_test(test_wire_refusal_carries_an_error),
        cmocka_unit_test(test_wire_refusal_carries_who_is_blamed),
        cmocka_unit_test(test_wire_submit_out_of_range_is_refused),
        cmocka_unit_test(test_wire_ids_of_wrong_length_are_refused),
        cmocka_unit_test(test_wire_job_status_out_of_range_is_refused),
        cmocka_unit_test(test_wire_round_out_of_range_is_refused),
        cmocka_unit_test(test_wire_ends_of_every_range_are_taken),
        cmocka_unit_test(test_wire_parameters_of_wrong_length_are_refused),
        cmocka_unit_test(test_wire_parameters_that_are_not_finite_are_refused),
        cmocka_unit_test(test_wire_parameters_at_the_ends_of_the_range_are_taken),
        cmocka_unit_test(test_wire_parameters_are_little_endian),
        cmocka_unit_test(test_wire_parameters_must_fit_the_model),
        cmocka_unit_test(test_wire_update_out_of_range_is_refused),
        cmocka_unit_test(test_wire_confusion_out_of_range_is_refused),
        cmocka_unit_test(test_wire_noised_counts_out_of_range_are_refused),
        cmocka_unit_test(test_wire_images_of_another_shape_are_refused),
        cmocka_unit_test(test_wire_confusion_of_too_many_classes_is_refused),
        cmocka_unit_test(test_wire_message_that_would_grow_without_bound_is_refused),
        cmocka_unit_test(test_wire_unknown_fields_are_ignored_and_forgotten),
        cmocka_unit_test(test_wire_metrics_may_be_absent),
        cmocka_unit_test(test_wire_end_run_of_unknown_status_is_refused),
        cmocka_unit_test(test_wire_free_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
