/* The word of one of several owners, where the policy wants four eyes: an approval then holds only with the
 * signatures of two owners whose keys policy.yaml lists, over exactly what the approval says.
 *
 * The statement has a fixed width, little-endian:
 *
 *     "FDS-ENDORSE1" 0x00    13        site_id         32
 *     job_id                 32        requester       32
 *     rounds, runs           u32, u32  expires         i64
 *     hold                   u32       allow_growth    u32
 *     dataset_digest         32        dataset_rows    u64
 *     endorsed_at            i64
 *
 * signed (Ed25519) with the owner's own key, which is another one than the site's and need not be at the site
 * (`datasite trust owner-key`). Like the approval, endorsements are read from site.db and verified at every
 * Train and Evaluate and once more inside the release.
 *
 * What this does not do: who can write policy.yaml can switch four eyes off, or list other keys. The daemon
 * records that the file changed. */
#pragma once

#include "crypto/identity.h"
#include "datasite/approval.h"
#include "datasite/store.h"

#define ENDORSEMENT_STATEMENT_BYTES 213
#define ENDORSEMENT_NEEDED 2 /* owners whose word makes an approval */

/* Fills owner, public_key and signature; the other fields are set. */
MUST_USE struct error *endorsement_make(const struct identity *owner, const struct site_id *site,
                                        const struct site_id *requester, struct endorsement *endorsement);

/* SHA-256 of the statement. */
MUST_USE struct error *endorsement_digest(const struct site_id *site, const struct site_id *requester,
                                          const struct endorsement *endorsement, struct digest *ret_digest);

/* ERROR_UNTRUSTED unless the key is that of endorsement->owner and signed what the fields give. */
MUST_USE struct error *endorsement_verify(const struct site_id *site, const struct site_id *requester,
                                          const struct endorsement *endorsement);

/* How many different owners that `gate` lists endorsed exactly what `decision` says; other rows count for
 * nothing. */
MUST_USE struct error *endorsement_count(struct store *store, const struct policy_gate *gate,
                                         const struct site_id *site, const struct site_id *requester,
                                         const struct decision *decision, size_t *ret_count);

/* Signs and stores the word of `owner` for a pending job, and with the second owner's the approval, signed by
 * the site. `limits` as for approval_give; a second owner who gives none at all takes the first's. *ret_count is
 * how many owners agree now: with ENDORSEMENT_NEEDED the job is approved.
 * ERROR_REFUSED for a key that `gate` does not list, ERROR_CONFLICT for an owner who has endorsed already or
 * for other limits than the first owner's, and whatever approval_give says. */
MUST_USE struct error *endorsement_give(struct store *store, const struct identity *identity,
                                        const struct identity *owner, const struct policy_gate *gate,
                                        const struct job_record *record, const struct approval_limits *limits,
                                        int64_t now, size_t *ret_count);

/* Of a pending job: what the first owner who counts now has endorsed, and how many agree with it; *ret_count 0:
 * nobody. For the owner's screen. */
MUST_USE struct error *endorsement_first(struct store *store, const struct policy_gate *gate,
                                         const struct site_id *site, const struct job_record *record,
                                         struct decision *ret_decision, size_t *ret_count);
