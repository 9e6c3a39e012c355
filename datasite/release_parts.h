/* What the release*.c files share; nobody else includes it. */
#pragma once

#include "datasite/release.h"
#include "datasite/store_release.h"

/* A receipt about `body`, of an event that was just added. */
struct release_receipt {
    const struct identity *identity;
    const struct decision *approval;
    const struct digest *job_id;
    const uint8_t *run_id; /* STORE_RUN_ID_BYTES */
    uint32_t round;
    enum answer_kind kind;
    const uint8_t *body;
    size_t body_bytes;
    const struct release_event *event;
    const char *protections;
    int64_t now;
};
/* Signed and encoded; *ret_bytes is malloc'ed. */
MUST_USE struct error *release_receipt_make(const struct release_receipt *about, uint8_t **ret_bytes,
                                            size_t *ret_count);
/* The Released message of a body and its encoded receipt. */
MUST_USE struct error *release_wrap(enum answer_kind kind, const uint8_t *body, size_t body_bytes,
                                    const uint8_t *receipt, size_t receipt_bytes,
                                    struct release_outcome *ret_outcome);
