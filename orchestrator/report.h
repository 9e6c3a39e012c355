/* Reports of a run, all made from a run_record and nothing else:
 *
 *     report.json        version 1, as ARCHITECTURE.md specifies
 *
 *     report.html        one self-contained file without network: accuracy curves, a heat map per round
 *
 *     rounds.csv         one line per round and site
 *
 *     confusion.csv      one line per round, scope (site, pooled, global) and true class: counts by predicted
 *                        class
 *
 *     model.safetensors  coef [classes][features] and intercept [classes], F64, with metadata
 *
 *     statistics.yaml    of feature-statistics, instead of a model: the block `features:` for the next job (statistics.h)
 *
 *     receipts/          what the sites signed about each release (run_receipts.h)
 *
 * model_sha256, in all of them, is the SHA-256 of the model's parameters as little-endian float64, coef row
 * by row, then intercept: of the bytes after the header of model.safetensors, whose model is the result of the run: with
 * training.average_tail over rounds that is the mean of the last models ("averaged"), and not that of the last round. */
#pragma once

#include "orchestrator/run_record.h"

#include <stdio.h>

/* Writes all of the above into `directory`, each file atomically. */
MUST_USE struct error *report_write(const struct run_record *record, const char *directory);

MUST_USE struct error *report_json_write(const struct run_record *record, const char *path);
MUST_USE struct error *report_html_write(const struct run_record *record, const char *path);
MUST_USE struct error *report_csv_write(const struct run_record *record, const char *rounds_path,
                                        const char *confusion_path);
MUST_USE struct error *report_model_write(const struct run_record *record, const char *path);

/* "=== FL epoch 1/5 ===", one line a site, the FedAvg line, the pooled confusion matrix; under secure aggregation that of
 * the round before, which came with this one's sum. */
void report_print_round(FILE *stream, const struct run_record *record, const struct round_record *round);
/* The pooled confusion matrix of a round. */
void report_print_pooled(FILE *stream, const struct run_record *record, const struct round_record *round);
/* Of a run on mock data, the line that says so; of others nothing. */
void report_print_mock(FILE *stream, const struct run_record *record);
/* The table of all epochs, if there were any, how the run ended, and where the reports are; `directory` NULL:
 * there are none. */
void report_print_summary(FILE *stream, const struct run_record *record, const char *directory);
