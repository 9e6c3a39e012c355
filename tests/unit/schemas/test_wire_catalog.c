/* Catalogs and mock datasets from another machine: whole ones are read, and every change that breaks one is refused. */
#include "schemas/wire.h"

#include "tests/unit/schemas/refusal.h"

#include <math.h>

#define ROWS 2
#define FEATURES 3

/* Valid messages, for a test to change. */
struct made {
    Fds__CatalogQuery query;
    Fds__DatasetSchema images, numbers;
    Fds__DatasetSchema *datasets[2];
    Fds__Catalog catalog;
    Fds__MockQuery ask;
    Fds__Mock mock;
    uint8_t data[ROWS * FEATURES * 8], labels[2 * ROWS], digest[32];
};

static char mnist[] = "mnist", zoo[] = "zoo", kind_bytes[] = "bytes", kind_numbers[] = "numbers";
static char age[] = "age", long_text[300], escape[] = "a\x1b[2J";
static char *columns[] = {age, age, age, age};
static char *bad_columns[] = {escape};
static char *long_columns[] = {long_text};

static void make(struct made *m)
{
    double values[ROWS * FEATURES] = {1, -2, 0.5, 1e300, 0, 3};
    memset(m, 0, sizeof(*m));
    memset(long_text, 'x', 299);
    m->query = (Fds__CatalogQuery)FDS__CATALOG_QUERY__INIT;
    m->query.after = mnist;
    m->images = (Fds__DatasetSchema)FDS__DATASET_SCHEMA__INIT;
    m->images.name = mnist;
    m->images.kind = kind_bytes;
    m->images.features = 784;
    m->images.image_rows = m->images.image_columns = 28;
    m->images.classes = 10;
    m->images.rows = WIRE_WITHHELD;
    m->images.mock_rows = 1000;
    m->numbers = (Fds__DatasetSchema)FDS__DATASET_SCHEMA__INIT;
    m->numbers.name = zoo;
    m->numbers.kind = kind_numbers;
    m->numbers.features = FEATURES;
    m->numbers.classes = 2;
    m->numbers.rows = 101;
    m->numbers.columns = columns;
    m->numbers.n_columns = FEATURES;
    m->numbers.class_names = columns;
    m->numbers.n_class_names = 2;
    m->datasets[0] = &m->images;
    m->datasets[1] = &m->numbers;
    m->catalog = (Fds__Catalog)FDS__CATALOG__INIT;
    m->catalog.datasets = m->datasets;
    m->catalog.n_datasets = 2;
    m->ask = (Fds__MockQuery)FDS__MOCK_QUERY__INIT;
    m->ask.dataset = zoo;
    m->ask.first_row = 7;
    wire_parameters_write(values, ROWS * FEATURES, m->data);
    m->labels[0] = 1;
    m->mock = (Fds__Mock)FDS__MOCK__INIT;
    m->mock.dataset = zoo;
    m->mock.kind = kind_numbers;
    m->mock.rows = 9;
    m->mock.features = FEATURES;
    m->mock.classes = 2;
    m->mock.first_row = 7;
    m->mock.data = (ProtobufCBinaryData){sizeof(m->data), m->data};
    m->mock.labels = (ProtobufCBinaryData){sizeof(m->labels), m->labels};
    m->mock.digest = (ProtobufCBinaryData){sizeof(m->digest), m->digest};
}

static struct error *decode(const ProtobufCMessage *message, const uint8_t *bytes, size_t count,
                            ProtobufCMessage **ret_message)
{
    Fds__CatalogQuery *query = NULL;
    Fds__Catalog *catalog = NULL;
    Fds__MockQuery *ask = NULL;
    Fds__Mock *mock = NULL;
    struct error *err = NULL;
    if (message->descriptor == &fds__catalog_query__descriptor)
        err = wire_catalog_query_decode(bytes, count, &query);
    else if (message->descriptor == &fds__catalog__descriptor)
        err = wire_catalog_decode(bytes, count, &catalog);
    else if (message->descriptor == &fds__mock_query__descriptor)
        err = wire_mock_query_decode(bytes, count, &ask);
    else
        err = wire_mock_decode(bytes, count, &mock);
    *ret_message = query != NULL     ? &query->base
                   : catalog != NULL ? &catalog->base
                   : ask != NULL     ? &ask->base
                   : mock != NULL    ? &mock->base
                                     : NULL;
    return err;
}

static void expect_again(const ProtobufCMessage *message)
{
    uint8_t *bytes = NULL, *again = NULL;
    size_t count = 0, again_count = 0;
    ProtobufCMessage *read = NULL;
    assert_done(wire_encode(message, &bytes, &count));
    assert_done(decode(message, bytes, count, &read));
    assert_done(wire_encode(read, &again, &again_count));
    assert_int_equal(count, again_count);
    assert_memory_equal(bytes, again, count);
    protobuf_c_message_free_unpacked(read, NULL);
    free(bytes);
    free(again);
}

static void test_wire_catalog_every_kind_is_read_as_written(void **state)
{
    (void)state;
    struct made m;
    make(&m);
    expect_again(&m.query.base);
    expect_again(&m.catalog.base);
    expect_again(&m.ask.base);
    expect_again(&m.mock.base);
    m.query.after = escape + 5; /* "": from the beginning */
    expect_again(&m.query.base);
    m.catalog.n_datasets = 0;
    expect_again(&m.catalog.base);
}

/* Refused, or a message that keeps every rule when it is read again. */
static void expect_safe(const ProtobufCMessage *kind, const uint8_t *bytes, size_t count)
{
    ProtobufCMessage *read = NULL;
    uint8_t *part = malloc(count + 1);
    assert_non_null(part);
    memcpy(part, bytes, count);
    struct error *err = decode(kind, part, count, &read);
    free(part);
    if (err != NULL) {
        assert_null(read);
        error_free(err);
        return;
    }
    expect_again(read);
    protobuf_c_message_free_unpacked(read, NULL);
}

static void test_wire_catalog_cut_or_flipped_anywhere_is_safe(void **state)
{
    (void)state;
    struct made m;
    make(&m);
    const ProtobufCMessage *all[] = {&m.query.base, &m.catalog.base, &m.ask.base, &m.mock.base};
    for (size_t k = 0; k < 4; k++) {
        uint8_t *bytes = NULL;
        size_t count = 0;
        assert_done(wire_encode(all[k], &bytes, &count));
        for (size_t cut = 0; cut < count; cut++)
            expect_safe(all[k], bytes, cut);
        for (size_t bit = 0; bit < 8 * count; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            expect_safe(all[k], bytes, count);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        free(bytes);
    }
}

static void expect_refused(const ProtobufCMessage *message, const char *sentence)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    ProtobufCMessage *read = NULL;
    assert_done(wire_encode(message, &bytes, &count));
    assert_refused(decode(message, bytes, count, &read), ERROR_INVALID, sentence);
    assert_null(read);
    free(bytes);
}

#define REFUSED(message, change, sentence)                                                                   \
    do {                                                                                                     \
        struct made m;                                                                                       \
        make(&m);                                                                                            \
        change;                                                                                              \
        expect_refused(&m.message.base, sentence);                                                           \
    } while (0)

static void test_wire_catalog_out_of_range_is_refused(void **state)
{
    (void)state;
    REFUSED(query, m.query.after = escape, "CatalogQuery: after");
    REFUSED(query, m.query.after = long_text, "CatalogQuery: after");
    REFUSED(catalog, m.images.name = escape, "DatasetSchema: name");
    REFUSED(catalog, m.images.name = escape + 5, "DatasetSchema: name");
    REFUSED(catalog, m.images.kind = age, "DatasetSchema: kind");
    REFUSED(catalog, m.images.features = 0, "DatasetSchema: features");
    REFUSED(catalog, m.images.features = 783, "image_rows and image_columns");
    REFUSED(catalog, m.numbers.image_rows = 1, "image_rows and image_columns");
    REFUSED(catalog, m.numbers.features = WIRE_MAX_FEATURES + 1, "DatasetSchema: features");
    REFUSED(catalog, m.images.classes = 1, "DatasetSchema: classes");
    REFUSED(catalog, m.images.classes = WIRE_MAX_CLASSES + 1, "DatasetSchema: classes");
    REFUSED(catalog, m.images.rows = 0, "DatasetSchema: rows");
    REFUSED(catalog, m.images.mock_rows = WIRE_MOCK_MAX_ROWS + 1, "DatasetSchema: mock_rows");
    REFUSED(catalog, m.numbers.n_columns = FEATURES + 1, "DatasetSchema: columns has more names");
    REFUSED(catalog, m.numbers.n_class_names = 3, "DatasetSchema: class_names has more names");
    REFUSED(catalog, (m.numbers.columns = bad_columns, m.numbers.n_columns = 1), "DatasetSchema: columns");
    REFUSED(catalog, (m.numbers.columns = long_columns, m.numbers.n_columns = 1), "DatasetSchema: columns");
    REFUSED(catalog, m.numbers.name = mnist, "order of their names");
    REFUSED(catalog, m.images.name = zoo, "order of their names");
    REFUSED(catalog, (m.catalog.n_datasets = 0, m.catalog.more = true), "more cannot follow");
}

static void not_finite(struct made *m, double value)
{
    wire_parameters_write(&value, 1, m->data + 8);
}

static void test_wire_mock_out_of_range_is_refused(void **state)
{
    (void)state;
    REFUSED(ask, m.ask.dataset = escape, "MockQuery: dataset");
    REFUSED(ask, m.ask.first_row = WIRE_MOCK_MAX_ROWS, "MockQuery: first_row");
    REFUSED(mock, m.mock.dataset = escape, "Mock: dataset");
    REFUSED(mock, m.mock.kind = age, "Mock: kind");
    REFUSED(mock, m.mock.rows = 0, "Mock: rows");
    REFUSED(mock, m.mock.rows = WIRE_MOCK_MAX_ROWS + 1, "Mock: rows");
    REFUSED(mock, m.mock.rows = 8, "whole rows");
    REFUSED(mock, m.mock.rows = 7, "Mock: first_row");
    REFUSED(mock, m.mock.first_row = UINT64_MAX, "Mock: first_row");
    REFUSED(mock, m.mock.features = 0, "Mock: features");
    REFUSED(mock, m.mock.features = FEATURES + 1, "whole rows");
    REFUSED(mock, (m.mock.features = WIRE_MAX_FEATURES), "larger than");
    REFUSED(mock, m.mock.data.len -= 1, "whole rows");
    REFUSED(mock, m.mock.data.len = 0, "whole rows");
    REFUSED(mock, m.mock.labels.len -= 1, "Mock: labels");
    REFUSED(mock, m.labels[0] = 2, "names a class");
    REFUSED(mock, m.labels[1] = 1, "names a class");
    REFUSED(mock, m.mock.classes = 1, "Mock: classes");
    REFUSED(mock, m.mock.digest.len = 31, "Mock: digest");
    REFUSED(mock, not_finite(&m, NAN), "not finite");
    REFUSED(mock, not_finite(&m, INFINITY), "not finite");
}

/* A field that this version does not know, inside a repeated message: read, and not passed on. */
static void test_wire_catalog_unknown_inside_a_dataset_is_forgotten(void **state)
{
    (void)state;
    struct made m;
    Fds__Catalog *read = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    static uint8_t unknown_data[] = {1};
    ProtobufCMessageUnknownField unknown = {99, PROTOBUF_C_WIRE_TYPE_VARINT, 1, unknown_data};
    make(&m);
    m.images.base.unknown_fields = &unknown;
    m.images.base.n_unknown_fields = 1;
    assert_done(wire_encode(&m.catalog.base, &bytes, &count));
    assert_done(wire_catalog_decode(bytes, count, &read));
    assert_int_equal(read->datasets[0]->base.n_unknown_fields, 0);
    wire_catalog_free(read);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_catalog_every_kind_is_read_as_written),
        cmocka_unit_test(test_wire_catalog_cut_or_flipped_anywhere_is_safe),
        cmocka_unit_test(test_wire_catalog_out_of_range_is_refused),
        cmocka_unit_test(test_wire_mock_out_of_range_is_refused),
        cmocka_unit_test(test_wire_catalog_unknown_inside_a_dataset_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
