/* Whether site.db still says what this site signed: the whole chain of events, the answers that they vouch for, and the
 * receipts that others hold. Reads only; in one snapshot of the caller's (store_snapshot), so that a site at work can be
 * checked. Memory does not grow with the number of events.
 *
 * What cannot be found here: a history that was rewritten with the site's own key, or cut off at its end together with
 * SQLite's count, as long as nobody holds a receipt of what is gone. */
#pragma once

#include "console/terminal.h"
#include "datasite/store.h"

struct auditor {
    struct store *store; /* has its identity (store_sign_with) */
    const struct identity *identity;
    struct progress *progress; /* may be NULL */
};

struct auditor_findings {
    uint64_t events;          /* number of the last */
    uint64_t unsigned_events; /* at the beginning, from before the chain */
    struct digest head;
    uint64_t answers;
    uint64_t receipts;       /* of this site, in the folder */
    uint64_t other_receipts; /* of other sites: their signatures hold */
};

/* Every event: number, hash, signature; and that none is missing at the end. ERROR_UNTRUSTED names the first that does
 * not hold, and says whether it was edited, removed, reordered, cut off, or signed by somebody else. */
MUST_USE struct error *auditor_check_chain(const struct auditor *auditor, struct auditor_findings *findings);
/* Every stored answer has the digest that its event names, and a receipt that is in the chain. After the chain. */
MUST_USE struct error *auditor_check_answers(const struct auditor *auditor,
                                             struct auditor_findings *findings);
/* Every receipt of the folder (audit/receipt_folder.h) holds, and those of this site are in the chain: a file that was
 * put back to an earlier state contradicts what it signed since. After the chain. ERROR_UNTRUSTED names the file. */
MUST_USE struct error *auditor_check_receipts(const struct auditor *auditor, const char *directory,
                                              struct auditor_findings *findings);
