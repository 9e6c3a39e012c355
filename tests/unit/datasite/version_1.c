#include "tests/unit/datasite/version_1.h"

#include "datasite/approval.h"
#include "tests/unit/datasite/workspace.h"

static size_t put(uint8_t *to, size_t at, const void *bytes, size_t count)
{
    memcpy(to + at, bytes, count);
    return at + count;
}

static size_t put_number(uint8_t *to, size_t at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[at++] = (uint8_t)(value >> (8 * i));
    return at;
}

static size_t put_text(uint8_t *to, size_t at, const char *text)
{
    struct digest digest;
    must(digest_of(text, strlen(text), &digest));
    return put(to, at, digest.bytes, DIGEST_BYTES);
}

void version_1_sign(const struct identity *identity, const struct site_id *requester,
                    struct decision *decision)
{
    uint8_t *to = decision->statement;
    size_t at = put(to, 0, "FDS-APPROVAL1", 14);
    at = put_number(to, at, (uint64_t)decision->kind, 4);
    at = put(to, at, identity_id(identity)->digest.bytes, DIGEST_BYTES);
    at = put(to, at, decision->job_id.bytes, DIGEST_BYTES);
    at = put(to, at, requester->digest.bytes, DIGEST_BYTES);
    at = put_number(to, at, decision->rounds, 4);
    at = put_number(to, at, decision->runs, 4);
    at = put_number(to, at, (uint64_t)decision->expires, 8);
    at = put(to, at, decision->dataset_digest.bytes, DIGEST_BYTES);
    at = put_number(to, at, (uint64_t)decision->decided_at, 8);
    at = put_text(to, at, decision->decided_by);
    at = put_text(to, at, decision->reason);
    assert_int_equal(at, APPROVAL_STATEMENT_BYTES_1);
    decision->version = 1;
    decision->statement_bytes = at;
    must(identity_sign(identity, to, at, decision->signature));
}
