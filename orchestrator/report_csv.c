#include "orchestrator/report_parts.h"
#include "orchestrator/report_privacy.h"

#include "schemas/text.h"

#include <math.h>

/* One cell as RFC 4180 has it. Text that a spreadsheet would run as a formula gets an apostrophe in front,
 * which spreadsheets show as plain text: reasons come from other machines. */
static void csv_put_text(FILE *stream, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return;
    text_make_printable(copy);
    bool formula = copy[0] != '\0' && strchr("=+-@", copy[0]) != NULL;
    bool quoted = strpbrk(copy, ",\"") != NULL;
    if (quoted)
        (void)fputc('"', stream);
    if (formula)
        (void)fputc('\'', stream);
    for (const char *next = copy; *next != '\0'; next++) {
        if (*next == '"')
            (void)fputc('"', stream);
        (void)fputc(*next, stream);
    }
    if (quoted)
        (void)fputc('"', stream);
    free(copy);
}

static void csv_put_real(FILE *stream, double value)
{
    char text[REPORT_NUMBER_BYTES];
    report_number(value, text);
    (void)fprintf(stream, ",%s", text);
}

static void csv_put_seconds(FILE *stream, double seconds)
{
    if (isnan(seconds))
        (void)fputc(',', stream);
    else
        (void)fprintf(stream, ",%.3f", seconds);
}

/* The last cell of every line. */
static const char *csv_mock(const struct run_record *record)
{
    return record->mock ? "MOCK" : "";
}

/* Of a private job: what was spent so far, and what noised counts say of the round's model. */
static void csv_put_private(FILE *stream, const struct run_record *record, const struct round_record *round,
                            const struct site_round *site)
{
    double accuracy = NAN, deviation = NAN;
    report_privacy_accuracy(record, round, &accuracy, &deviation);
    csv_put_real(stream, site->epsilon_spent);
    (void)fprintf(stream, ",%s",
                  isnan(site->epsilon_spent) ? "" : report_privacy_spent_by(record, site->epsilon_spent));
    csv_put_real(stream, accuracy);
    csv_put_real(stream, deviation);
}

/* An empty cell is a value that was not released, here and in confusion.csv. */
static void csv_put_site(FILE *stream, const struct run_record *record, const struct round_record *round,
                         size_t position)
{
    const struct site_round *site = &round->sites[position];
    char sha256[DIGEST_HEX_BYTES] = "";
    if (round->model != NULL)
        digest_hex(&round->model_sha256, sha256);
    (void)fprintf(stream, "%u,", (unsigned)round->round);
    csv_put_text(stream, record->job->sites[position].name);
    (void)fprintf(stream, ",%s,", site_status_word(site->status));
    csv_put_text(stream, report_site_reason(round, position));
    if (site->has_examples)
        (void)fprintf(stream, ",%llu", (unsigned long long)site->examples);
    else
        (void)fputc(',', stream);
    csv_put_real(stream, site->train_accuracy);
    csv_put_real(stream, report_site_test(record, site));
    csv_put_seconds(stream, site->train_seconds);
    csv_put_seconds(stream, site->seconds);
    csv_put_seconds(stream, round->seconds);
    csv_put_real(stream, confusion_accuracy(round->pooled_confusion, record->classes));
    csv_put_real(stream, confusion_accuracy(round->global_confusion, record->classes));
    (void)fprintf(stream, ",%s", sha256);
    if (report_private(record))
        csv_put_private(stream, record, round, site);
    (void)fprintf(stream, ",%s\n", csv_mock(record));
}

static void csv_put_rounds(FILE *stream, const struct run_record *record)
{
    (void)fputs(
        "round,site,status,reason,examples,train_accuracy,test_accuracy,train_seconds,seconds,round_seconds,"
        "pooled_test_accuracy,global_accuracy,model_sha256",
        stream);
    (void)fputs(report_private(record)
                    ? ",epsilon_spent,epsilon_accountant,noised_accuracy,noised_accuracy_deviation,mock\n"
                    : ",mock\n",
                stream);
    for (size_t i = 0; i < record->round_count; i++) {
        for (size_t s = 0; s < record->job->site_count; s++)
            csv_put_site(stream, record, &record->rounds[i], s);
    }
}

static void csv_put_count(FILE *stream, uint64_t count)
{
    if (count == WIRE_WITHHELD)
        (void)fputc(',', stream);
    else
        (void)fprintf(stream, ",%llu", (unsigned long long)count);
}

static void csv_put_matrix(FILE *stream, const struct run_record *record, uint32_t round, const char *scope,
                           const char *site, const uint64_t *counts)
{
    uint32_t classes = record->classes;
    for (size_t i = 0; counts != NULL && i < classes; i++) {
        (void)fprintf(stream, "%u,%s,", (unsigned)round, scope);
        csv_put_text(stream, site);
        (void)fprintf(stream, ",%zu", i);
        for (size_t j = 0; j < classes; j++)
            csv_put_count(stream, counts[i * classes + j]);
        (void)fprintf(stream, ",%s\n", csv_mock(record));
    }
}

/* Real numbers, each with the round's standard deviation of noise (report.json, pooled.noised). */
static void csv_put_noised(FILE *stream, const struct run_record *record, const struct round_record *round)
{
    uint32_t classes = record->classes;
    for (size_t i = 0; round->pooled_noised != NULL && i < classes; i++) {
        (void)fprintf(stream, "%u,pooled-noised,,%zu", (unsigned)round->round, i);
        for (size_t j = 0; j < classes; j++)
            csv_put_real(stream, round->pooled_noised[i * classes + j]);
        (void)fprintf(stream, ",%s\n", csv_mock(record));
    }
}

static void csv_put_confusions(FILE *stream, const struct run_record *record)
{
    (void)fputs("round,scope,site,true_class", stream);
    for (size_t j = 0; j < record->classes; j++)
        (void)fprintf(stream, ",predicted_%zu", j);
    (void)fputs(",mock\n", stream);
    for (size_t i = 0; i < record->round_count; i++) {
        const struct round_record *round = &record->rounds[i];
        for (size_t s = 0; s < record->job->site_count; s++)
            csv_put_matrix(stream, record, round->round, "site", record->job->sites[s].name,
                           round->sites[s].confusion);
        csv_put_matrix(stream, record, round->round, "pooled", "", round->pooled_confusion);
        csv_put_noised(stream, record, round);
        csv_put_matrix(stream, record, round->round, "global", "", round->global_confusion);
    }
}

static struct error *csv_save(const struct run_record *record, const char *path,
                              void (*put)(FILE *stream, const struct run_record *record))
{
    struct error *err = NULL;
    struct report_text text = {0};
    TRY(report_text_open(&text));
    put(text.stream, record);
    TRY(report_text_save(&text, path));
done:
    report_text_clear(&text);
    return err;
}

struct error *report_csv_write(const struct run_record *record, const char *rounds_path,
                               const char *confusion_path)
{
    struct error *err = NULL;
    TRY(csv_save(record, rounds_path, csv_put_rounds));
    TRY(csv_save(record, confusion_path, csv_put_confusions));
done:
    return err;
}
