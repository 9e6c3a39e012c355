/* What reports say of a private job: how it protects, what that costs, how metrics left. Everything comes from the job and the
 * record; a sentence here is true of the run. A run without privacy has nothing of this. */
#pragma once

#include "crypto/privacy.h"
#include "orchestrator/run_spent.h"

#include <jansson.h>
#include <stdio.h>

/* Whether the report has a section on privacy: a private job, on private or mock rows. */
bool report_private(const struct run_record *record);

/* "one record of a site", "one site's update" */
const char *report_privacy_unit(const struct job *job);

/* What a number of releases costs at the job's delta: by privacy loss distributions, and by Renyi divergences; NAN beyond what
 * is told. */
struct report_price {
    struct run_spent spent;
    double pld, rdp;
};

/* Prices that were asked for: sites mostly released the same, and each takes up to a second. */
#define REPORT_PRICES 16
struct report_prices {
    struct report_price known[REPORT_PRICES];
    size_t count;
};

/* What the releases of a site in this run cost: exactly those that were received, none in a run on mock data. */
struct report_price report_privacy_spent(const struct run_record *record, size_t site,
                                         struct report_prices *prices);

/* One sentence: whether and how counts of test rows left. */
#define REPORT_PRIVACY_BYTES 640
void report_privacy_metrics(const struct run_record *record, char ret_text[static REPORT_PRIVACY_BYTES]);
/* What the figures are of, and what is outside them: two sentences. */
void report_privacy_meaning(const struct run_record *record, char ret_text[static REPORT_PRIVACY_BYTES]);
/* Of a trial: by what its sums are divided; "" of a run by the sites, and where nothing is divided. */
void report_privacy_trial(const struct run_record *record, char ret_text[static REPORT_PRIVACY_BYTES]);
/* What is left if the other sites collude; "" where a site adds all of its noise. */
void report_privacy_collusion(const struct run_record *record, char ret_text[static REPORT_PRIVACY_BYTES]);

/* Of report.json: the whole section, and the noised counts of a round; null without. */
json_t *report_privacy_json(const struct run_record *record);
json_t *report_privacy_counts(const struct run_record *record, const struct round_record *round);

/* Accuracy of a round's model by noised counts, and its standard deviation; both NAN when there are none. */
void report_privacy_accuracy(const struct run_record *record, const struct round_record *round,
                             double *ret_accuracy, double *ret_deviation);

/* By which accountant an epsilon_spent is (run_spent.h), as a word: "rdp", or "pld" where it is the figure of the whole job. */
const char *report_privacy_spent_by(const struct run_record *record, double epsilon_spent);
/* The largest epsilon_spent of all sites in a round: what any record has lost at most so far. NAN: unknown. */
double report_privacy_so_far(const struct run_record *record, const struct round_record *round);

/* For the terminal: what noised counts say of a round, below a round, and in the summary. */
void report_privacy_print_pooled(FILE *stream, const struct run_record *record,
                                 const struct round_record *round);
void report_privacy_print_round(FILE *stream, const struct run_record *record,
                                const struct round_record *round);
/* What "eps" in the table of all rounds is, where it is there. */
void report_privacy_print_legend(FILE *stream, const struct run_record *record);
void report_privacy_print(FILE *stream, const struct run_record *record);
/* The noised counts of a round, as a table. */
void report_privacy_print_counts(FILE *stream, const struct run_record *record,
                                 const struct round_record *round);

/* For report.html. */
void html_privacy(FILE *stream, const struct run_record *record);
