/* The pieces of report.html. Each function writes one element or several to `stream`, which is memory;
 * whatever came from a job or a site goes through html_escape. The page's frame, its style and its script are
 * orchestrator/report/. */
#pragma once

#include "orchestrator/run_record.h"

#include <stdio.h>

/* Up to this many classes the page draws confusion matrices; beyond, people read confusion.csv. */
#define HTML_MATRIX_CLASSES 48

/* Text between tags and inside quoted attributes: & < > " ' are escaped; what is not printable UTF-8 becomes
 * '?', line ends and tabs stay. */
void html_escape(FILE *stream, const char *text);
void html_escape_bytes(FILE *stream, const char *text, size_t bytes);
/* JSON inside a script element: < > & become \u escapes, so that no content can end the element. */
void html_escape_json(FILE *stream, const char *json, size_t bytes);

void html_count(FILE *stream, uint64_t count); /* 12,034 */
/* " (7,850 numbers)", or nothing where the shape is not known. */
void html_parameters(FILE *stream, const struct run_record *record);
void html_accuracy(FILE *stream, double accuracy);            /* 92.41 %, or "not released" */
void html_share(FILE *stream, uint64_t part, uint64_t whole); /* 92.4 %, or a dash of nothing */

/* The matrix that a page without JavaScript shows: the last one of the shared model, else of a site. */
struct html_choice {
    const struct round_record *round; /* NULL: no matrix was released */
    const uint64_t *counts;
    const char *scope; /* "Pooled", "Global test", or a site's name */
    const char *about;
};
struct html_choice html_choose(const struct run_record *record);
bool html_draws_matrices(const struct run_record *record);

void html_title(FILE *stream, const struct run_record *record);
void html_facts(FILE *stream, const struct run_record *record);   /* what ran, how it ended, ids */
void html_figures(FILE *stream, const struct run_record *record); /* the result in a few large figures */
void html_curves(FILE *stream, const struct run_record *record);  /* accuracy by round, as SVG */
void html_matrix(FILE *stream, const struct run_record *record);  /* heat map */
void html_classes(FILE *stream, const struct run_record *record); /* recall, precision, frequent mistakes */
void html_rounds(FILE *stream, const struct run_record *record);  /* table of all rounds */
void html_protection(FILE *stream, const struct run_record *record); /* what left the sites */
void html_receipts(FILE *stream, const struct run_record *record); /* whether the receipts hold; part of it */
void html_sites(FILE *stream, const struct run_record *record);
void html_settings(FILE *stream, const struct run_record *record);
void html_job(FILE *stream, const struct run_record *record);
