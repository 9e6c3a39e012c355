/* What this orchestrator has witnessed of the sites' chains of events: of each site the receipt with the highest
 * sequence, in witness/<fingerprint in hex>.json of the home (audit/receipt_folder.h). Every request presents it to
 * its site; a site that lacks the event was rolled back or copied, and refuses until its owner has decided.
 *
 * A witness is never replaced by an earlier one, a file that cannot be read is left as it is, and a site that leaves
 * the list of sites keeps its witness: only a person sets one aside. Several programs may keep witnesses at the same
 * time. */
#pragma once

#include "audit/receipt.h"
#include "orchestrator/home.h"

/* Runs that were cut off, of those in the home, whose receipts are looked at. */
#define WITNESS_RUNS 256

/* Of `site`, both signatures verified; ret_receipt->sequence is 0 when there is none. ERROR_CORRUPT: there is one, and
 * it cannot be used; the sentence says which file, and what would do. */
MUST_USE struct error *witness_read(const struct home *home, const struct site_id *site,
                                    struct receipt *ret_receipt);

/* Keeps `receipt`, which is verified, if it is later than the one that is kept. ERROR_UNTRUSTED when the two have the
 * same sequence and different heads: the site signed two histories. ERROR_CORRUPT as above. */
MUST_USE struct error *witness_keep(const struct home *home, const struct receipt *receipt);

/* A person has decided that the site goes on from an earlier state: its witness, readable or not, gets another name in
 * the same folder, *ret_path (malloc'ed), and is not presented any more. ERROR_NOT_FOUND when there is none. */
MUST_USE struct error *witness_set_aside(const struct home *home, const struct site_id *site,
                                         char **ret_path);

/* Keeps what runs of this home have witnessed that were cut off, or are going on: their run.db has it, and still has
 * its log. `tell` gets what could not be used. */
void witness_recover(const struct home *home, void (*tell)(const void *context, const char *sentence),
                     const void *context);
