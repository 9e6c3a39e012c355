#include "orchestrator/report_parts.h"

#include "console/terminal.h"
#include "orchestrator/report_privacy.h"

#include <math.h>

/* More classes than this do not fit a terminal; more sites do not fit the table of all epochs. */
#define PRINT_CLASSES 20
#define PRINT_SITES 4
#define SUMMARY_COLUMNS 80
#define CELL_BYTES (JOB_SITE_NAME_BYTES + 32)

static void cell_accuracy(double accuracy, char ret_cell[static CELL_BYTES])
{
    if (isnan(accuracy))
        (void)snprintf(ret_cell, CELL_BYTES, "not released");
    else
        (void)snprintf(ret_cell, CELL_BYTES, "%.4f", accuracy);
}

static void print_site(FILE *stream, const struct run_record *record, const struct round_record *round,
                       size_t position)
{
    const struct site_round *site = &round->sites[position];
    char name[JOB_SITE_NAME_BYTES * 2];
    char reason[sizeof site->reason];
    char train[CELL_BYTES];
    char test[CELL_BYTES];
    char spent[PRIVACY_BOUND_BYTES];
    double tested = report_site_test(record, site);
    privacy_bound(site->epsilon_spent, PRIVACY_BOUND_DIGITS, spent);
    terminal_clean(record->job->sites[position].name, name, sizeof name);
    terminal_clean(site->reason, reason, sizeof reason);
    cell_accuracy(site->train_accuracy, train);
    cell_accuracy(tested, test);
    if (site->status != SITE_OK)
        (void)fprintf(stream, "  %s -> %s%s%s: %s\n", name, terminal_style(stream, STYLE_WARN),
                      site_status_word(site->status), terminal_style(stream, STYLE_PLAIN),
                      reason[0] == '\0' ? "no reason was given" : reason);
    else if (!round_used(round, position))
        (void)fprintf(stream, "  %s -> its masked input was sent and not used\n", name);
    else if (run_record_masked(record))
        (void)fprintf(stream, "  %s -> in the sum; its own numbers came under masks only\n", name);
    else if (record->job->secure.enabled)
        (void)fprintf(stream, "  %s -> in the sum; its own numbers are left out, as they will be\n", name);
    else if (report_private(record) && isnan(site->epsilon_spent))
        (void)fprintf(stream, "  %s -> answered with noise\n", name);
    else if (report_private(record))
        (void)fprintf(stream, "  %s -> answered with noise; epsilon %s so far (%s)\n", name, spent,
                      report_privacy_spent_by(record, site->epsilon_spent));
    else if (isnan(site->train_accuracy) && isnan(tested))
        (void)fprintf(stream, "  %s -> not released\n", name);
    else
        (void)fprintf(stream, "  %s -> train=%s, test=%s\n", name, train, test);
}

static size_t sites_ok(const struct run_record *record, const struct round_record *round)
{
    size_t count = 0;
    for (size_t i = 0; i < record->job->site_count; i++)
        count += round_used(round, i);
    return count;
}

static void print_model(FILE *stream, const struct run_record *record, const struct round_record *round)
{
    if (round->model != NULL && record->job->model == JOB_FEATURE_STATISTICS)
        (void)fprintf(stream, "  Mean and deviation of %llu features\n",
                      (unsigned long long)record->features);
    else if (round->model == NULL)
        (void)fprintf(stream, "  FedAvg epoch %u: no new model (%zu of %zu sites %s)\n",
                      (unsigned)round->round, sites_ok(record, round), record->job->site_count,
                      run_record_masked(record) ? "in the sum" : "answered");
    else
        (void)fprintf(stream, "  FedAvg epoch %u: intercept shape=(%u,), coef shape=(%u, %llu)\n",
                      (unsigned)round->round, (unsigned)record->classes, (unsigned)record->classes,
                      (unsigned long long)record->model_features);
}

static void print_matrix(FILE *stream, const struct run_record *record, const uint64_t *counts,
                         const char *title, const char *missing)
{
    char accuracy[CELL_BYTES];
    cell_accuracy(confusion_accuracy(counts, record->classes), accuracy);
    if (counts == NULL)
        (void)fprintf(stream, "  %s: %s\n", title, missing);
    else if (record->classes > PRINT_CLASSES)
        (void)fprintf(stream, "  %s: accuracy=%s (%u classes: the matrix is in confusion.csv)\n", title,
                      accuracy, (unsigned)record->classes);
    else
        terminal_confusion(stream, title, counts, record->classes);
}

void report_print_pooled(FILE *stream, const struct run_record *record, const struct round_record *round)
{
    char title[128];
    if (report_private(record)) {
        report_privacy_print_pooled(stream, record, round);
        (void)fflush(stream);
        return;
    }
    (void)snprintf(title, sizeof title, "%sPooled confusion matrix after epoch %u",
                   record->mock ? "MOCK: " : "", (unsigned)round->round);
    print_matrix(stream, record, round->pooled_confusion, title, report_pooled_missing(record, round));
    (void)fflush(stream);
}

static void print_masking(FILE *stream, const struct run_record *record, const struct round_record *round)
{
    const struct round_masking *masking = &round->masking;
    if (masking->contributors > 0)
        (void)fprintf(stream,
                      "  Secure aggregation: the sum of %u of %zu sites' masked inputs, in attempt %u\n",
                      (unsigned)masking->contributors, record->job->site_count, (unsigned)masking->attempts);
    else if (masking->attempts > 0)
        (void)fprintf(stream,
                      "  Secure aggregation: no sum, in %u attempt%s; nothing of any site was revealed\n",
                      (unsigned)masking->attempts, masking->attempts == 1 ? "" : "s");
}

/* The counts of this model come with the next sum; those of the model before came with this one. */
static void print_pooled_before(FILE *stream, const struct run_record *record,
                                const struct round_record *round)
{
    const struct round_record *before = round == record->rounds ? NULL : round - 1;
    if (record->job->metrics == JOB_METRICS_NONE)
        (void)fprintf(stream, "  Pooled confusion matrix: not released\n");
    else if (before == NULL)
        (void)fprintf(stream,
                      "  The pooled confusion matrix after epoch 1 comes with the sum of the next one\n");
    else if (round->masking.contributors > 0)
        report_print_pooled(stream, record, before);
}

void report_print_round(FILE *stream, const struct run_record *record, const struct round_record *round)
{
    (void)fprintf(stream, "%s=== FL epoch %u/%u%s ===%s\n", terminal_style(stream, STYLE_BOLD),
                  (unsigned)round->round, (unsigned)record->job->rounds, record->mock ? " on MOCK data" : "",
                  terminal_style(stream, STYLE_PLAIN));
    for (size_t i = 0; i < record->job->site_count; i++)
        print_site(stream, record, round, i);
    print_masking(stream, record, round);
    print_model(stream, record, round);
    if (round->global_confusion != NULL)
        (void)fprintf(stream, "  Global test: accuracy=%.4f on %llu rows of the orchestrator\n",
                      confusion_accuracy(round->global_confusion, record->classes),
                      (unsigned long long)confusion_rows(round->global_confusion, record->classes));
    if (report_private(record))
        report_privacy_print_round(stream, record, round);
    else if (run_record_masked(record))
        print_pooled_before(stream, record, round);
    else if (round->model != NULL)
        report_print_pooled(stream, record, round);
    (void)fflush(stream);
}

static bool sites_have_columns(const struct run_record *record)
{
    return record->job->site_count <= PRINT_SITES;
}

/* How the columns of sites are headed: as much of it as fits the terminal, but names whole or not at all,
 * because two of them may differ at the end alone. */
enum heading { HEADING_FULL, HEADING_NAME, HEADING_NUMBER };

static void summary_heading(const struct run_record *record, size_t site, enum heading heading,
                            char ret_cell[static CELL_BYTES])
{
    const char *name = record->job->sites[site].name;
    switch (heading) {
    case HEADING_FULL:
        (void)snprintf(ret_cell, CELL_BYTES, report_private(record) ? "%s" : "%s train/test", name);
        break;
    case HEADING_NAME:
        (void)snprintf(ret_cell, CELL_BYTES, "%s", name);
        break;
    case HEADING_NUMBER:
        (void)snprintf(ret_cell, CELL_BYTES, "site %zu", site + 1);
        break;
    }
}

/* The columns of the table of all epochs: epoch, seconds, one a site or how many answered, pooled, global. */
static size_t summary_headers(const struct run_record *record, enum heading heading,
                              char cells[PRINT_SITES + 4][CELL_BYTES])
{
    size_t columns = 0;
    (void)snprintf(cells[columns++], CELL_BYTES, "epoch");
    (void)snprintf(cells[columns++], CELL_BYTES, "seconds");
    if (!sites_have_columns(record))
        (void)snprintf(cells[columns++], CELL_BYTES, "sites ok");
    for (size_t i = 0; sites_have_columns(record) && i < record->job->site_count; i++)
        summary_heading(record, i, heading, cells[columns++]);
    (void)snprintf(cells[columns++], CELL_BYTES, "pooled");
    if (record->job->global_test != JOB_GLOBAL_TEST_NONE)
        (void)snprintf(cells[columns++], CELL_BYTES, "global");
    return columns;
}

static void summary_site(const struct run_record *record, const struct round_record *round, size_t position,
                         char ret_cell[CELL_BYTES])
{
    const struct site_round *site = &round->sites[position];
    char spent[PRIVACY_BOUND_BYTES];
    double test = report_site_test(record, site);
    privacy_bound(site->epsilon_spent, PRIVACY_BOUND_DIGITS, spent);
    if (site->status != SITE_OK)
        (void)snprintf(ret_cell, CELL_BYTES, "%s", site_status_word(site->status));
    else if (!round_used(round, position))
        (void)snprintf(ret_cell, CELL_BYTES, "not used");
    else if (record->job->secure.enabled)
        (void)snprintf(ret_cell, CELL_BYTES, "in the sum");
    else if (report_private(record) && !isnan(site->epsilon_spent))
        (void)snprintf(ret_cell, CELL_BYTES, "eps %s", spent);
    else if (report_private(record))
        (void)snprintf(ret_cell, CELL_BYTES, "noised");
    else if (isnan(site->train_accuracy) && isnan(test))
        (void)snprintf(ret_cell, CELL_BYTES, "not released");
    else if (isnan(site->train_accuracy))
        (void)snprintf(ret_cell, CELL_BYTES, "-/%.4f", test);
    else if (isnan(test))
        (void)snprintf(ret_cell, CELL_BYTES, "%.4f/-", site->train_accuracy);
    else
        (void)snprintf(ret_cell, CELL_BYTES, "%.4f/%.4f", site->train_accuracy, test);
}

static void summary_cells(const struct run_record *record, const struct round_record *round,
                          char cells[PRINT_SITES + 4][CELL_BYTES])
{
    size_t columns = 0;
    double noised = NAN, deviation = NAN;
    (void)snprintf(cells[columns++], CELL_BYTES, "%u", (unsigned)round->round);
    (void)snprintf(cells[columns++], CELL_BYTES, "%.2f", round->seconds);
    if (record->job->site_count > PRINT_SITES)
        (void)snprintf(cells[columns++], CELL_BYTES, "%zu of %zu", sites_ok(record, round),
                       record->job->site_count);
    for (size_t i = 0; record->job->site_count <= PRINT_SITES && i < record->job->site_count; i++)
        summary_site(record, round, i, cells[columns++]);
    report_privacy_accuracy(record, round, &noised, &deviation);
    if (!isnan(noised))
        (void)snprintf(cells[columns++], CELL_BYTES, "%.4f±%.4f", noised, deviation);
    else if (round->pooled_confusion == NULL)
        (void)snprintf(cells[columns++], CELL_BYTES, "%s", report_pooled_missing(record, round));
    else
        cell_accuracy(confusion_accuracy(round->pooled_confusion, record->classes), cells[columns++]);
    if (record->job->global_test != JOB_GLOBAL_TEST_NONE)
        cell_accuracy(confusion_accuracy(round->global_confusion, record->classes), cells[columns++]);
}

static struct error *print_table(FILE *stream, const struct run_record *record, enum heading heading)
{
    struct error *err = NULL;
    struct table *table = NULL;
    char cells[PRINT_SITES + 4][CELL_BYTES];
    const char *texts[PRINT_SITES + 4];
    for (size_t i = 0; i < PRINT_SITES + 4; i++)
        texts[i] = cells[i];
    size_t columns = summary_headers(record, heading, cells);
    TRY(table_new(texts, columns, &table));
    table_align(table, ~(uint64_t)0);
    for (size_t i = 0; i < record->round_count; i++) {
        summary_cells(record, &record->rounds[i], cells);
        TRY(table_row(table, texts));
    }
    table_print(table, stream);
done:
    table_free(table);
    return err;
}

/* In columns of a terminal; a table's lines are all about as long as its first. */
static size_t first_line_columns(const char *text)
{
    size_t columns = 0;
    for (; *text != '\0' && *text != '\n'; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

static struct error *table_columns(const struct run_record *record, enum heading heading, size_t *ret_columns)
{
    struct error *err = NULL;
    struct report_text text = {0};
    TRY(report_text_open(&text));
    TRY(print_table(text.stream, record, heading));
    TRY(report_text_finish(&text));
    *ret_columns = first_line_columns(text.bytes);
done:
    report_text_clear(&text);
    return err;
}

static void print_masked_legend(FILE *stream, const struct run_record *record)
{
    double bound = report_quantisation_bound(record);
    char secrecy[REPORT_SECRECY_BYTES];
    report_secrecy(record, secrecy);
    (void)fprintf(stream, "%s\n", secrecy);
    if (record->job->metrics != JOB_METRICS_NONE)
        (void)fputs("Pooled: of the model after the epoch, on the test rows of the sites in the next sum.\n",
                    stream);
    if (!isnan(bound))
        (void)fprintf(stream,
                      "A parameter differs from plain averaging by at most %.2g an epoch, for changes within "
                      "±%g.\n",
                      bound, record->job->secure.clip);
}

static void print_legend(FILE *stream, const struct run_record *record, enum heading heading)
{
    char name[JOB_SITE_NAME_BYTES * 2];
    for (size_t i = 0; heading == HEADING_NUMBER && sites_have_columns(record) && i < record->job->site_count;
         i++) {
        terminal_clean(record->job->sites[i].name, name, sizeof name);
        (void)fprintf(stream, "site %zu: %s\n", i + 1, name);
    }
    if (report_private(record)) {
        if (sites_have_columns(record))
            report_privacy_print_legend(stream, record);
        return;
    }
    if (run_record_masked(record))
        print_masked_legend(stream, record);
    else if (heading != HEADING_FULL)
        (void)fprintf(stream, "Of each site: train/test.\n");
}

static struct error *print_epochs(FILE *stream, const struct run_record *record)
{
    struct error *err = NULL;
    size_t columns = 0;
    enum heading heading = HEADING_FULL;
    (void)fprintf(stream, "\n%sAll epochs%s%s\n", terminal_style(stream, STYLE_BOLD),
                  record->mock ? " on MOCK data" : "", terminal_style(stream, STYLE_PLAIN));
    TRY(table_columns(record, heading, &columns));
    if (columns > SUMMARY_COLUMNS) {
        heading = HEADING_NAME;
        TRY(table_columns(record, heading, &columns));
    }
    if (columns > SUMMARY_COLUMNS)
        heading = HEADING_NUMBER;
    TRY(print_table(stream, record, heading));
    if (sites_have_columns(record) || run_record_masked(record))
        print_legend(stream, record, heading);
done:
    return err;
}

/* Only the last round of a run can have come to nothing. */
static size_t rounds_done(const struct run_record *record)
{
    size_t count = record->round_count;
    return count > 0 && record->rounds[count - 1].model == NULL ? count - 1 : count;
}

void report_print_mock(FILE *stream, const struct run_record *record)
{
    if (!record->mock)
        return;
    (void)fprintf(
        stream,
        "MOCK: every row was synthetic; no site trained, and no figure says anything of private data.\n");
    if (record->job->secure.enabled)
        (void)fprintf(stream,
                      "A trial needs no masks: the updates were averaged in clear, here. What the job's "
                      "secure aggregation will hide of one site is left out all the same.\n");
}

void report_print_summary(FILE *stream, const struct run_record *record, const char *directory)
{
    char run_id[RUN_ID_HEX_BYTES];
    char reason[sizeof record->reason];
    run_id_format(record->run_id, run_id);
    terminal_clean(record->reason, reason, sizeof reason);
    if (record->round_count > 0) {
        /* Only memory can be missing for the table, and the reports below hold the same figures. */
        struct error *err = print_epochs(stream, record);
        error_clear(&err);
    }
    (void)fprintf(stream, "\nRun %s: %s, %zu of %u rounds%s%s\n", run_id, run_status_word(record->status),
                  rounds_done(record), (unsigned)record->job->rounds, reason[0] == '\0' ? "" : ": ", reason);
    report_print_mock(stream, record);
    if (record->averaged_confusion != NULL)
        (void)fprintf(stream, "Global test of the mean of the last models, the result: accuracy=%.4f\n",
                      confusion_accuracy(record->averaged_confusion, record->classes));
    if (report_private(record))
        report_privacy_print(stream, record);
    if (directory != NULL) {
        (void)fprintf(stream, "Reports: %s/report.html\n", directory);
        (void)fprintf(stream, "         report.json, rounds.csv, confusion.csv%s beside it\n",
                      run_record_last_model(record) == NULL          ? ""
                      : record->job->model == JOB_FEATURE_STATISTICS ? ", statistics.yaml"
                                                                     : ", model.safetensors");
        if (run_record_last_model(record) != NULL && record->job->model == JOB_FEATURE_STATISTICS)
            (void)fprintf(stream,
                          "The block `features:` for the next job's file: orchestrator statistics %.8s\n",
                          run_id);
    }
    (void)fflush(stream);
}
