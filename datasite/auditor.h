/* Whether site.db still says what this site signed: the whole chain of events, the decisions, endorsements and answers
 * that they vouch for, the record of the key of encrypted rows, and the receipts that others hold. Reads only; in one snapshot of the caller's (store_snapshot), so that a site at work can be
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
    uint64_t decisions, endorsements;
    uint64_t answers;
    uint64_t budget_rows;    /* of the ledger (budget_verify) */
    uint64_t receipts;       /* of this site, in the folder */
    uint64_t other_receipts; /* of other sites: their signatures hold */
};

/* Every event: number, hash, signature; and that none is missing at the end. ERROR_UNTRUSTED names the first that does
 * not hold, and says whether it was edited, removed, reordered, cut off, or signed by somebody else. */
MUST_USE struct error *auditor_check_chain(const struct auditor *auditor, struct auditor_findings *findings);
/* Every decision and endorsement verifies and is the one that its event names, and no event about a decision, an
 * endorsement, an answer, an agreement or shares that left lacks its row. Events of earlier versions name no statement: they come before all that do.
 * After the chain. (auditor_decision.c) */
MUST_USE struct error *auditor_check_decisions(const struct auditor *auditor,
                                               struct auditor_findings *findings);
/* Every stored answer has the digest that its event names, and a receipt that is in the chain; a masked input is of the
 * attempt that it is stored for. After the chain. */
MUST_USE struct error *auditor_check_answers(const struct auditor *auditor,
                                             struct auditor_findings *findings);
/* The record of the key of encrypted rows is the one that the latest event about it names. After the chain. */
MUST_USE struct error *auditor_check_vault(const struct auditor *auditor);
/* Every receipt of the folder (audit/receipt_folder.h) holds, and those of this site are in the chain: a file that was
 * put back to an earlier state contradicts what it signed since; and each names the approval of its job. After the
 * chain. ERROR_UNTRUSTED names the file. */
MUST_USE struct error *auditor_check_receipts(const struct auditor *auditor, const char *directory,
                                              struct auditor_findings *findings);
