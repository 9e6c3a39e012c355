/* Any bytes as an invitation: refused, or written again as a line that reads the same. */
#include "schemas/invitation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void expect_round_trip(const char *line, enum node_kind kind)
{
    struct invitation first = {.kind = kind};
    struct invitation second = {.kind = kind};
    char *again = NULL;
    struct error *err = invitation_parse(line, kind, &first);
    if (err != NULL) {
        error_free(err);
        return;
    }
    expect(invitation_format(&first, &again) == NULL);
    expect(invitation_parse(again, kind, &second) == NULL);
    expect(strcmp(first.node.name, second.node.name) == 0);
    expect(strcmp(first.node.endpoint, second.node.endpoint) == 0);
    expect(strcmp(first.node.fingerprint, second.node.fingerprint) == 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);
    if (line == NULL)
        return 0;
    memcpy(line, data, size);
    line[size] = '\0';
    expect_round_trip(line, NODE_DATASITE);
    expect_round_trip(line, NODE_ORCHESTRATOR);
    free(line);
    return 0;
}
