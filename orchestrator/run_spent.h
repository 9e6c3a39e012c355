/* What the private numbers that a site released in a run cost one of its records (under site-level: the site), as far as this
 * side can know: by the receipts of its answers, and under secure aggregation by the sums that it is in. The site's own ledger
 * also counts steps that it began and whose answers never arrived.
 *
 * Round by round the figure is by Rényi divergences, which are cheap, and never above that of the whole job by privacy loss
 * distributions; when everything that the job pays for was released, it is the latter. */
#pragma once

#include "orchestrator/run_record.h"

struct run_spent {
    uint32_t rounds, evaluations;
};

/* What site number `site` released in one exchange (a round, or the evaluation after the last one), added. */
void run_spent_add(const struct run_record *record, const struct round_record *exchange, size_t site,
                   struct run_spent *spent);
/* In the whole run. */
struct run_spent run_spent_of(const struct run_record *record, size_t site);

/* Whether it is all that the job pays for. */
bool run_spent_whole(const struct job *job, struct run_spent spent);

/* What all of the job costs, and what one round does, into the record: once, before the run. NAN and NULL without privacy. */
MUST_USE struct error *run_spent_plan(struct run_record *record);

/* Of every site in an exchange that is complete: `spent` [site_count] goes on, and the sites' epsilon_spent is set: the cheap
 * figure, capped, as above. The record was planned. */
MUST_USE struct error *run_spent_settle(const struct run_record *record, struct round_record *exchange,
                                        struct run_spent *spent);
