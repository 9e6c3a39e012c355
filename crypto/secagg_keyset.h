/* Key slots and the keyset. A slot is the keys of one site for one attempt of one round: two X25519 pairs (c transports
 * shares, s makes masks) and 32 random bytes b (the self mask). Sites advertise slots in batches; the adverts of one
 * batch, of all sites that take part, are the keyset, the same for everybody by its hash. */
#pragma once

#include "crypto/secagg.h"

#define SECAGG_ENTRY_BYTES 96

struct secagg_secret {
    uint8_t c[AGREEMENT_KEY_BYTES], s[AGREEMENT_KEY_BYTES], b[32];
}; /* wiped by whoever had it */

struct secagg_entry {
    uint8_t c[AGREEMENT_KEY_BYTES], s[AGREEMENT_KEY_BYTES]; /* public keys */
    struct digest b;                                        /* SHA-256("FDS-SA1 b\0" || u32 slot || b) */
};

/* What a site advertises. The signed body: job_hash || run_id || site_id || u32 first_slot || u32 count ||
 * u64 ledger_sequence || ledger_head || entries (c || s || b). */
struct secagg_advert {
    uint8_t public_key[PUBLIC_KEY_BYTES];
    struct site_id site; /* of public_key */
    uint32_t first_slot;
    size_t count;             /* 1 to SECAGG_MAX_BATCH */
    uint64_t ledger_sequence; /* of the site's chain of events, when it advertised */
    struct digest ledger_head;
    struct secagg_entry *entries; /* [count]; owned */
    uint8_t signature[SIGNATURE_BYTES];
};
void secagg_advert_clear(struct secagg_advert *advert);

/* Fresh keys. */
MUST_USE struct error *secagg_slot_make(uint32_t slot, struct secagg_secret *ret_secret,
                                        struct secagg_entry *ret_entry);
MUST_USE struct error *secagg_commit_b(uint32_t slot, const uint8_t b[static 32], struct digest *ret_hash);
/* Fills public_key, site and signature; the rest is set. ERROR_INVALID unless 1 to SECAGG_MAX_BATCH slots, numbered in 32
 * bits. */
MUST_USE struct error *secagg_advert_sign(const struct identity *identity, const struct secagg_run *run,
                                          struct secagg_advert *advert);
/* Entries as they go over the wire, count * SECAGG_ENTRY_BYTES, and back (malloc'ed). */
void secagg_entries_write(const struct secagg_entry *entries, size_t count, uint8_t *ret_bytes);
MUST_USE struct error *secagg_entries_read(const uint8_t *bytes, size_t byte_count,
                                           struct secagg_entry **ret_entries, size_t *ret_count);

struct secagg_member {
    uint32_t position;
    uint8_t public_key[PUBLIC_KEY_BYTES];
    struct digest advert_hash; /* of its body */
    uint64_t ledger_sequence;
    struct digest ledger_head;
    struct secagg_entry *entries;
};

/* Checked adverts of one batch. */
struct secagg_keyset {
    struct secagg_run run; /* the roster is borrowed */
    uint32_t first_slot;
    size_t slots;
    struct secagg_member *members; /* ascending positions */
    size_t count;                  /* at least run.threshold */
    struct digest *hashes;         /* [slots], of secagg_keyset_hash */
};

/* Checks everything of step 'share'. ERROR_INVALID: fewer than the threshold, other slots than the first advert has, not in
 * ascending order, a site twice, a key that is no X25519 key. ERROR_UNTRUSTED: a site that is not in the roster, a
 * signature that does not hold, a key that is there twice. Each names the site's position (or fingerprint). Takes copies. */
MUST_USE struct error *secagg_keyset_make(const struct secagg_run *run, const struct secagg_advert *adverts,
                                          size_t count, struct secagg_memo *memo,
                                          struct secagg_keyset **ret_keyset);
void secagg_keyset_free(struct secagg_keyset *keyset); /* accepts NULL */
bool secagg_keyset_has_slot(const struct secagg_keyset *keyset, uint32_t slot);
/* NULL: not a member. */
const struct secagg_member *secagg_keyset_member(const struct secagg_keyset *keyset, uint32_t position);
const struct secagg_entry *secagg_keyset_entry(const struct secagg_keyset *keyset, uint32_t position,
                                               uint32_t slot);
/* SHA-256("FDS-SA1 keyset\0" || job_hash || run_id || u32 slot || u32 count || for each member: site_id ||
 * advert_hash || c || s || b). */
MUST_USE struct error *secagg_keyset_hash(const struct secagg_keyset *keyset, uint32_t slot,
                                          struct digest *ret_hash);
/* The members that `position` exchanges shares and masks with in this slot, itself not among them, ascending: all, or
 * above SECAGG_COMPLETE members those of the graph (secagg_graph.h) that bears n_c, and at least a tenth of the roster, as
 * corrupt; all, where there is none. *ret_threshold is Shamir's. malloc'ed. */
MUST_USE struct error *secagg_neighbours(const struct secagg_keyset *keyset, uint32_t slot, uint32_t position,
                                         uint32_t **ret_positions, size_t *ret_count, size_t *ret_threshold);

/* The most slots of a batch, 1 to SECAGG_MAX_BATCH: so many that a site seals no more than SECAGG_BATCH_SHARES shares in
 * step 'share', about 0.1 ms each, with all sites of the run (2 or more) in the batch. 34 sites: 62; 128 and 500: 16;
 * 1000: 15. */
#define SECAGG_BATCH_SHARES 2048
MUST_USE struct error *secagg_batch_most(const struct secagg_run *run, uint32_t *ret_slots);
