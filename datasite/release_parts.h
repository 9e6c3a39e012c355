/* What the release*.c files share; nobody else includes it. */
#pragma once

#include "datasite/release.h"
#include "datasite/release_check.h"
#include "datasite/store_release.h"

#define RELEASE_LEAVES_BYTES 192

/* An encoded answer on its way out. */
struct release_body {
    uint8_t *bytes;
    size_t count;
    char withheld[RELEASE_WITHHELD_BYTES]; /* what stays here, for the owner; "" for nothing */
    char leaves[RELEASE_LEAVES_BYTES];     /* what does not: of the message, not of what was computed */
};

/* What is checked of every answer, whatever its numbers are. */
MUST_USE struct error *release_admit(struct release_check *check);
struct release_record release_record_of(const struct release_check *check, const struct release_body *body,
                                        bool hold, const char *protections, const char *detail);
/* The last checks and the write: event, receipt unless it is held, body and round, then the commit. `record` comes
 * with what differs between kinds of answers. */
MUST_USE struct error *release_write(const struct release_check *check, struct release_record *record,
                                     struct release_outcome *ret_outcome);

/* The words of a private job: the contribution, and counts on their grid, with this site's share of the noise on each
 * (release_share.c). ret_words [vector->words]; wiped on failure. */
MUST_USE struct error *release_share_noise(const struct secagg_vector *vector,
                                           const struct release_contribution *contribution,
                                           uint64_t *ret_words);

/* A receipt about the body of an event that was just added. */
struct release_receipt {
    const struct identity *identity;
    const struct decision *approval;
    const struct digest *job_id;
    const uint8_t *run_id; /* STORE_RUN_ID_BYTES */
    uint32_t round;
    enum answer_kind kind;
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
