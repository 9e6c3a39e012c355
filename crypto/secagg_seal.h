/* The seal around the shares that one site gives to another (secagg_share.h says of what it is made), for crypto/ only.
 *
 * Its key and nonce are derived from keys that serve one slot, and from who sends to whom; so under one key there is one
 * message, ever, and the nonce may be derived with it: also where a site deals again after it was put back, as what it
 * deals follows from the same keys. */
#pragma once

#include "crypto/secagg_share.h"
#include "crypto/vault.h"

/* Which seal: `from` and `to` are members of the keyset, and the slot is in it. */
struct secagg_seal {
    const struct secagg_keyset *keyset;
    struct agreement_memory *memory; /* of what was agreed before; NULL: none */
    uint32_t slot, from, to;
    struct digest keyset_hash; /* of the slot */
};

struct secagg_seal_key {
    uint8_t key[VAULT_KEY_BYTES], nonce[VAULT_NONCE_BYTES];
};
/* What both ends have: from the one's secret c and the public c of `other`, who is the other end. The caller wipes it. */
MUST_USE struct error *secagg_seal_derive(const struct secagg_seal *seal, uint32_t other,
                                          struct agreement_key *secret, struct secagg_seal_key *ret_key);

/* With the sender's secret c. */
MUST_USE struct error *secagg_seal_close(const struct secagg_seal *seal, struct agreement_key *secret,
                                         const uint8_t plain[static SECAGG_SHARE_BYTES],
                                         uint8_t ret_sealed[static SECAGG_SEALED_BYTES]);
/* With the receiver's. ERROR_UNTRUSTED, and nothing in ret_plain, when the seal does not hold. */
MUST_USE struct error *secagg_seal_open(const struct secagg_seal *seal, struct agreement_key *secret,
                                        const uint8_t sealed[static SECAGG_SEALED_BYTES],
                                        uint8_t ret_plain[static SECAGG_SHARE_BYTES]);
