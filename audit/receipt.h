/* A receipt: a site's signed statement of one release, for the requester to keep and for an auditor to check.
 *
 *     "FDS-RECEIPT1" 0x00   13      site_id          32     approval        32 (datasite/approval.h: approval_digest)
 *     job_id                32      run_id           16     round, kind     u32, u32
 *     digest                32 (SHA-256 of the exact bytes that left)       body_bytes      u64
 *     SHA-256(protections)  32      sequence         u64    head            32
 *     at                    i64
 *
 * little-endian, signed (Ed25519) with the site's key. `head` with `head_signature` is the signed head of the site's
 * chain right after the event of this release (audit/chain.h): presented to the site later, it shows whether the site
 * still has that event. */
#pragma once

#include "audit/chain.h"

#include "schemas/datasite.pb-c.h"

#include <jansson.h>

#define RECEIPT_PROTECTIONS_BYTES 256
#define RECEIPT_RUN_ID_BYTES 16
#define RECEIPT_MAX_BYTES 2048 /* encoded */

enum receipt_kind { RECEIPT_UPDATE = 1, RECEIPT_EVALUATION = 2, RECEIPT_MASKED_INPUT = 3 };

struct receipt {
    uint8_t public_key[PUBLIC_KEY_BYTES];
    struct site_id site; /* of public_key */
    struct digest approval, job_id;
    uint8_t run_id[RECEIPT_RUN_ID_BYTES];
    uint32_t round;
    enum receipt_kind kind;
    struct digest digest;
    uint64_t body_bytes;
    char protections[RECEIPT_PROTECTIONS_BYTES]; /* "min-rows 100; min-cell 10; looked at by the owner" */
    uint64_t sequence;
    struct digest head;
    uint8_t head_signature[SIGNATURE_BYTES];
    int64_t at; /* Unix seconds */
    uint8_t signature[SIGNATURE_BYTES];
};

/* Fills public_key, site and signature; everything else, the head and its signature too, is set. */
MUST_USE struct error *receipt_sign(const struct identity *identity, struct receipt *receipt);
/* Both signatures, and that public_key is the key of `site`. ERROR_UNTRUSTED says which does not hold. */
MUST_USE struct error *receipt_verify(const struct receipt *receipt);
/* receipt_verify, and: it is of `site`, of this job, run, round and kind, and of bytes of this digest. */
MUST_USE struct error *receipt_verify_digest(const struct receipt *receipt, const struct site_id *site,
                                             const struct digest *job_id,
                                             const uint8_t run_id[static RECEIPT_RUN_ID_BYTES],
                                             uint32_t round, enum receipt_kind kind,
                                             const struct digest *digest);
/* The same, and it is of these very bytes. */
MUST_USE struct error *receipt_verify_release(const struct receipt *receipt, const struct site_id *site,
                                              const struct digest *job_id,
                                              const uint8_t run_id[static RECEIPT_RUN_ID_BYTES],
                                              uint32_t round, enum receipt_kind kind, const uint8_t *body,
                                              size_t body_bytes);

/* The Protocol Buffers message Receipt, as bytes (malloc'ed) and back. Decoding checks lengths, ranges and that the
 * text is printable, and no signature: ERROR_INVALID. */
MUST_USE struct error *receipt_encode(const struct receipt *receipt, uint8_t **ret_bytes, size_t *ret_count);
MUST_USE struct error *receipt_decode(const uint8_t *bytes, size_t count, struct receipt *ret_receipt);
/* From a message that is decoded already. */
MUST_USE struct error *receipt_take(const Fds__Receipt *message, struct receipt *ret_receipt);

/* The form that is kept in files, readable by people: one JSON object, hashes in hex, version 1. */
MUST_USE struct error *receipt_to_json(const struct receipt *receipt, json_t **ret_object);
/* `where` names it in sentences. ERROR_INVALID. */
MUST_USE struct error *receipt_from_json(const json_t *object, const char *where,
                                         struct receipt *ret_receipt);

/* The Witness of a receipt, for a request; points into `receipt`. */
void receipt_witness(struct receipt *receipt, Fds__Witness *ret_witness);

/* "update", "evaluation", "masked-input". */
const char *receipt_kind_word(enum receipt_kind kind);
