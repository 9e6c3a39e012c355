/* What the files of the report share: text that grows in memory and becomes a file at once, and values as
 * text. */
#pragma once

#include "orchestrator/report.h"

#include <jansson.h>

/* A text in memory: written through `stream`, then saved or taken. report_text_clear accepts a zeroed one. */
struct report_text {
    FILE *stream;
    char *bytes;
    size_t count;
};
MUST_USE struct error *report_text_open(struct report_text *text);
MUST_USE struct error *
report_text_finish(struct report_text *text); /* bytes and count are there afterwards */
MUST_USE struct error *report_text_save(struct report_text *text, const char *path);
void report_text_clear(struct report_text *text);

/* Shortest decimal number that reads back as `value`; "" for NAN. */
#define REPORT_NUMBER_BYTES 32
void report_number(double value, char ret_text[static REPORT_NUMBER_BYTES]);

/* The whole of report.json. */
MUST_USE struct error *report_json_text(const struct run_record *record, struct report_text *ret_text);

/* Test accuracy of a site in a round, NAN when it was not released. */
double report_site_test(const struct run_record *record, const struct site_round *site);

/* What is said of a site that answered a round without a sum, instead of a reason. */
#define REPORT_NOT_USED                                                                                      \
    "Its masked input was sent and not used: the round came to no sum, and nothing of it was revealed."
const char *report_site_reason(const struct round_record *round, size_t site);
/* How people read where a round's pooled figures are, which are not there: the site did not release them, or the sum that
 * they come with is not there, or not yet. */
const char *report_pooled_missing(const struct run_record *record, const struct round_record *round);

/* What the sums of a run under secure aggregation leave hidden of one site, and what they give away: sums over different
 * sites can be subtracted from each other (SECURITY.md, "Differences of sums"). One plain sentence or two, true of this run. */
#define REPORT_SECRECY_BYTES 512
void report_secrecy(const struct run_record *record, char ret_text[static REPORT_SECRECY_BYTES]);
/* By how many sites the contributors of two sums of the run differ, where that is fewest and not 0; 0: all sums are over
 * the same sites. `evaluation`: its sum is looked at too. */
size_t report_difference(const struct run_record *record, bool evaluation);

/* How far a parameter of a round's model can be from plain averaging, in the round where that is most: rounding to the
 * integers that secure aggregation sums (crypto/fixed_point.h), for changes within the job's clip. NAN without a sum, and
 * of a private job, whose noise is far larger. */
double report_quantisation_bound(const struct run_record *record);
