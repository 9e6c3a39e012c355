#include "datasite/request_catalog.h"
#include "schemas/wire.h"
#include "transport/limits.h"

#define MOCK_ENVELOPE_BYTES 1024 /* of a message around its body, at most */

/* The dataset, if the owner lets the sender know of it: else the one sentence, whether it is here or not. */
static struct error *mock_find(const struct requests *requests, const struct request *request,
                               const char *dataset, struct mock_info *ret_mock)
{
    struct dataset_info info;
    bool has_mock = false, may_know = false;
    struct error *err = store_dataset_find(requests->store, dataset, &info);
    if (err == NULL)
        err = request_may_know(requests, request, &info, ret_mock, &has_mock, &may_know);
    if (err != NULL && err->code != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    if (!may_know)
        return error_new(ERROR_NOT_FOUND, "This site has no dataset \"%s\" of which it tells you.", dataset);
    if (!has_mock)
        return error_new(
            ERROR_NOT_FOUND,
            "This site has no mock dataset of \"%s\"; its owner can make one: datasite mock make %s", dataset,
            dataset);
    return NULL;
}

static struct error *mock_reply(const struct mock_info *mock, const struct mock_page *page,
                                struct reply *ret_reply)
{
    static char bytes[] = WIRE_KIND_BYTES, numbers[] = WIRE_KIND_NUMBERS;
    struct error *err = NULL;
    struct mock_info told = *mock;
    Fds__Mock message = FDS__MOCK__INIT;
    message.dataset = told.dataset;
    message.kind = told.kind == DATASET_BYTES ? bytes : numbers;
    message.rows = told.rows;
    message.features = told.features;
    message.classes = told.classes;
    message.first_row = page->first_row;
    message.data = (ProtobufCBinaryData){page->data_bytes, page->data};
    message.labels = (ProtobufCBinaryData){page->label_bytes, page->labels};
    message.digest = (ProtobufCBinaryData){DIGEST_BYTES, told.digest.bytes};
    TRY(wire_encode(&message.base, &ret_reply->body, &ret_reply->body_bytes));
    ret_reply->type = FDS__MESSAGE_TYPE__MESSAGE_MOCK;
done:
    return err;
}

struct error *request_mock(const struct requests *requests, const struct request *request,
                           struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__MockQuery *query = NULL;
    struct mock_info mock;
    struct mock_page page = {0};
    TRY(wire_mock_query_decode(request->body, request->body_bytes, &query));
    TRY(mock_find(requests, request, query->dataset, &mock));
    if (query->first_row >= mock.rows)
        FAIL(ERROR_INVALID, "The mock dataset of \"%s\" has %llu rows.", mock.dataset,
             (unsigned long long)mock.rows);
    TRY(store_mock_page(requests->store, &mock, query->first_row, &page));
    if (!request->listed && page.data_bytes + page.label_bytes > LIMIT_LOBBY_MESSAGE - MOCK_ENVELOPE_BYTES)
        FAIL(ERROR_LIMIT,
             "A row of \"%s\" is longer than what this site sends to those whom its owner has not listed.",
             mock.dataset);
    TRY(mock_reply(&mock, &page, ret_reply));
done:
    mock_page_clear(&page);
    wire_mock_query_free(query);
    return err;
}
