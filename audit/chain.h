/* The chain of a site's events and its signed head: pure functions that the site, which writes the chain, and
 * anybody who checks it, with nothing but the site's certificate, have in common.
 *
 * hash(0) = SHA-256("FDS-CHAIN1" 0x00 || site_id), and for the event of sequence n = 1, 2, 3, …
 *
 *     hash(n) = SHA-256("FDS-EVENT1" 0x00 || hash(n-1) || u64 n || i64 at || u32 length, kind || u8 1, job_id or
 *               u8 0 || u8 1, run_id or u8 0 || u32 round || u32 length, detail || u8 1, digest or u8 0)
 *
 * (little-endian). The head after event n is signed with the site's key:
 *
 *     "FDS-HEAD1" 0x00 || site_id || u64 n || hash(n)
 *
 * Events that are older than the chain have no hash of their own. How many there are, and what they say, the site
 * states once, signed, and keeps beside its key, outside the file that the events are in:
 *
 *     "FDS-CHAINSTART1" 0x00 || site_id || u64 n || hash(n)        n events come before the first that is signed
 *
 * and the first signed event behind n > 0 of them is "chain-started", whose digest is hash(n).
 *
 * Changing, removing or reordering an event changes every hash behind it; a head that somebody else keeps proves
 * what the chain was. What nobody else has seen a head of can be rewritten by whoever has the key. */
#pragma once

#include "crypto/digest.h"
#include "crypto/identity.h"
#include "crypto/public_key.h"
#include "schemas/error.h"

#define CHAIN_RUN_ID_BYTES 16
#define CHAIN_STARTED_KIND "chain-started"
#define CHAIN_BEGINNING_BYTES                                                                                \
    (16 + 32 + 8 + 32 + 64)    /* a statement of the chain's beginning, and its signature */
#define CHAIN_TEXT_BYTES 65536 /* longest kind or detail that is hashed */

/* Heads leave the site, in receipts and adverts, and details are sentences of few parts: who has the heads before and behind
 * an event could try every number of rows until a hash fits. The detail of an event about what is private therefore ends in
 * a salt, " (salt " 32 digits ")", 128 random bits. It is part of the detail, stored, hashed and exported as any other, so
 * that the chain is verified as before; events without one, from before there was any, hold as they did. */
#define CHAIN_SALT_BYTES 16
#define CHAIN_SALT_TEXT_BYTES 41 /* with its NUL */

struct chain_event {
    uint64_t sequence;           /* 1 or more */
    int64_t at;                  /* Unix seconds */
    const char *kind;            /* a word of schemas/event.def */
    const struct digest *job_id; /* or NULL */
    const uint8_t *run_id;       /* CHAIN_RUN_ID_BYTES, or NULL */
    uint32_t round;              /* 0: none */
    const char *detail;
    const struct digest *digest; /* of the body that it is about, or NULL */
};

struct chain_head {
    struct site_id site;
    uint64_t sequence;
    struct digest hash;
};

/* What stands at the end of a detail. */
void chain_salt_format(const uint8_t salt[static CHAIN_SALT_BYTES],
                       char ret_text[static CHAIN_SALT_TEXT_BYTES]);
/* How many bytes of a detail a person reads: all but a salt at its end. */
size_t chain_detail_bytes(const char *detail);

/* hash(0). */
MUST_USE struct error *chain_start(const struct site_id *site, struct digest *ret_hash);
/* hash(n) from hash(n-1). ERROR_LIMIT for a text over CHAIN_TEXT_BYTES. */
MUST_USE struct error *chain_next(const struct digest *previous, const struct chain_event *event,
                                  struct digest *ret_hash);

/* Signs with the site's own key; head->site must be the identity's: ERROR_INTERNAL. */
MUST_USE struct error *chain_head_sign(const struct identity *identity, const struct chain_head *head,
                                       uint8_t ret_signature[static SIGNATURE_BYTES]);
/* ERROR_UNTRUSTED unless `public_key` is the key of head->site and signed it. */
MUST_USE struct error *chain_head_verify(const uint8_t public_key[static PUBLIC_KEY_BYTES],
                                         const struct chain_head *head,
                                         const uint8_t signature[static SIGNATURE_BYTES]);
/* The same for who has read the key already. */
MUST_USE struct error *chain_head_verify_by(const struct public_key *key, const struct chain_head *head,
                                            const uint8_t signature[static SIGNATURE_BYTES]);

/* The statement of the chain's beginning: beginning->sequence events are unsigned, and beginning->hash is their hash(n).
 * Signs with the site's own key; beginning->site must be the identity's: ERROR_INTERNAL. */
MUST_USE struct error *chain_beginning_sign(const struct identity *identity,
                                            const struct chain_head *beginning,
                                            uint8_t ret_bytes[static CHAIN_BEGINNING_BYTES]);
/* ERROR_UNTRUSTED unless these bytes are such a statement, of the site of `public_key` and signed with it. */
MUST_USE struct error *chain_beginning_read(const uint8_t public_key[static PUBLIC_KEY_BYTES],
                                            const uint8_t *bytes, size_t count,
                                            struct chain_head *ret_beginning);
