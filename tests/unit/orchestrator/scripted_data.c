#include "tests/unit/orchestrator/scripted_data.h"

#include "crypto/digest.h"
#include "schemas/wire.h"
#include "tests/unit/orchestrator/scripted_site.h"

static char name[] = "numbers";

static uint32_t features_of(enum scripted_data how)
{
    return how == SCRIPTED_DATA_OTHER_SHAPE ? SCRIPTED_FEATURES + 1 : SCRIPTED_FEATURES;
}

struct error *scripted_data_catalog(enum scripted_data how, uint8_t **ret_body, size_t *ret_count)
{
    Fds__DatasetSchema schema = FDS__DATASET_SCHEMA__INIT;
    Fds__DatasetSchema *datasets[] = {&schema};
    Fds__Catalog catalog = FDS__CATALOG__INIT;
    schema.name = name;
    schema.kind = name;
    schema.features = features_of(how);
    schema.classes = SCRIPTED_CLASSES;
    schema.rows = WIRE_WITHHELD;
    schema.mock_rows = how == SCRIPTED_DATA_NO_MOCK ? 0 : SCRIPTED_MOCK_ROWS;
    catalog.datasets = datasets;
    catalog.n_datasets = how == SCRIPTED_DATA_NONE ? 0 : 1;
    catalog.more = how == SCRIPTED_DATA_CIRCLE;
    return wire_encode(&catalog.base, ret_body, ret_count);
}

/* Rows whose class shows in their first value. */
static void make_rows(uint32_t features, uint8_t *ret_data, uint8_t *ret_labels)
{
    for (size_t row = 0; row < SCRIPTED_MOCK_ROWS; row++) {
        ret_labels[2 * row] = (uint8_t)(row % SCRIPTED_CLASSES);
        ret_labels[2 * row + 1] = 0;
        for (size_t j = 0; j < features; j++) {
            double value =
                (double)((row * 7 + j * 3) % 11) / 11 + (j == 0 ? 2.0 * (double)(row % SCRIPTED_CLASSES) : 0);
            wire_parameters_write(&value, 1, ret_data + (row * features + j) * 8);
        }
    }
}

static struct error *digest_rows(uint32_t features, const uint8_t *data, const uint8_t *labels,
                                 struct digest *ret_digest)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    uint8_t header[32] = {1};
    header[8] = SCRIPTED_MOCK_ROWS;
    header[16] = (uint8_t)features;
    header[24] = SCRIPTED_CLASSES;
    TRY(digest_stream_new(&stream));
    TRY(digest_stream_add(stream, header, sizeof header));
    for (size_t row = 0; row < SCRIPTED_MOCK_ROWS; row++) {
        TRY(digest_stream_add(stream, data + row * features * 8, (size_t)features * 8));
        TRY(digest_stream_add(stream, labels + 2 * row, 2));
    }
    TRY(digest_stream_finish(stream, ret_digest));
done:
    digest_stream_free(stream);
    return err;
}

struct error *scripted_data_mock(enum scripted_data how, uint64_t first_row, uint8_t **ret_body,
                                 size_t *ret_count)
{
    struct error *err = NULL;
    uint8_t data[SCRIPTED_MOCK_ROWS * (SCRIPTED_FEATURES + 1) * 8], labels[SCRIPTED_MOCK_ROWS * 2];
    uint32_t features = features_of(how);
    struct digest digest;
    Fds__Mock mock = FDS__MOCK__INIT;
    uint64_t first = how == SCRIPTED_DATA_REPEATED ? 0 : first_row;
    uint64_t rows =
        SCRIPTED_MOCK_ROWS - first < SCRIPTED_MOCK_PAGE ? SCRIPTED_MOCK_ROWS - first : SCRIPTED_MOCK_PAGE;
    make_rows(features, data, labels);
    TRY(digest_rows(features, data, labels, &digest));
    if (how == SCRIPTED_DATA_CHANGED)
        data[6] ^= 1;
    mock.dataset = name;
    mock.kind = name;
    mock.rows = SCRIPTED_MOCK_ROWS;
    mock.features = features;
    mock.classes = SCRIPTED_CLASSES;
    mock.first_row = first;
    mock.data = (ProtobufCBinaryData){rows * features * 8, data + first * features * 8};
    mock.labels = (ProtobufCBinaryData){rows * 2, labels + 2 * first};
    mock.digest = (ProtobufCBinaryData){DIGEST_BYTES, digest.bytes};
    TRY(wire_encode(&mock.base, ret_body, ret_count));
done:
    return err;
}
