#include "orchestrator/html.h"
#include "orchestrator/report_parts.h"
#include "orchestrator/report_privacy.h"

#include <math.h>

static void put_status(FILE *stream, enum site_status status, bool used)
{
    const char *style = "";
    const char *sign = "";
    switch (status) {
    case SITE_OK:
        style = used ? "good" : "warn", sign = used ? "✓" : "–";
        break;
    case SITE_LATE:
        style = "warn", sign = "!";
        break;
    case SITE_REFUSED:
        style = "warn", sign = "✕";
        break;
    case SITE_FAILED:
        style = "bad", sign = "✕";
        break;
    case SITE_DROPPED:
        style = "bad", sign = "–";
        break;
    }
    (void)fprintf(stream, "<span class=\"badge %s\"><span aria-hidden=\"true\">%s</span> %s</span>", style,
                  sign, status == SITE_OK && !used ? "sent, not used" : site_status_word(status));
}

/* The cells that one round has in common, in front of its first site. */
static void put_round_cells(FILE *stream, const struct run_record *record, const struct round_record *round,
                            size_t lines)
{
    char sha256[DIGEST_HEX_BYTES] = "";
    double noised = NAN, deviation = NAN;
    (void)fprintf(
        stream,
        "<th scope=\"rowgroup\" rowspan=\"%zu\">%u</th><td rowspan=\"%zu\">%.2f</td><td rowspan=\"%zu\">",
        lines, (unsigned)round->round, lines, round->seconds, lines);
    report_privacy_accuracy(record, round, &noised, &deviation);
    if (!isnan(noised))
        (void)fprintf(stream, "%.2f&nbsp;%%<br><span class=\"muted\">± %.2f, noised</span>", 100 * noised,
                      100 * deviation);
    else if (round->pooled_confusion == NULL)
        (void)fprintf(stream, "<span class=\"muted\">%s</span>", report_pooled_missing(record, round));
    else
        html_accuracy(stream, confusion_accuracy(round->pooled_confusion, record->classes));
    if (record->job->global_test != JOB_GLOBAL_TEST_NONE) {
        (void)fprintf(stream, "</td><td rowspan=\"%zu\">", lines);
        html_accuracy(stream, confusion_accuracy(round->global_confusion, record->classes));
    }
    (void)fprintf(stream, "</td><td rowspan=\"%zu\" class=\"t\">", lines);
    if (round->model == NULL) {
        (void)fputs("no new model", stream);
    } else {
        digest_hex(&round->model_sha256, sha256);
        (void)fprintf(stream, "<span class=\"hex\" title=\"%s\">%.12s…</span>", sha256, sha256);
    }
    if (round->masking.contributors > 0)
        (void)fprintf(stream, "<br><span class=\"muted\">sum of %u of %zu sites, attempt %u</span>",
                      (unsigned)round->masking.contributors, record->job->site_count,
                      (unsigned)round->masking.attempts);
    else if (round->masking.attempts > 0)
        (void)fprintf(stream, "<br><span class=\"muted\">no sum in %u attempt%s; nothing was revealed</span>",
                      (unsigned)round->masking.attempts, round->masking.attempts == 1 ? "" : "s");
    (void)fputs("</td>", stream);
}

static void put_accuracy(FILE *stream, const struct run_record *record, double accuracy)
{
    if (run_record_masked(record))
        (void)fputs("<span class=\"muted\">masked</span>", stream);
    else
        html_accuracy(stream, accuracy);
}

static void put_site_cells(FILE *stream, const struct run_record *record, size_t position,
                           const struct round_record *round)
{
    const struct site_round *site = &round->sites[position];
    char spent[PRIVACY_BOUND_BYTES];
    privacy_bound(site->epsilon_spent, PRIVACY_BOUND_DIGITS, spent);
    (void)fputs("<td class=\"t\">", stream);
    html_escape(stream, record->job->sites[position].name);
    (void)fputs("</td><td class=\"t\">", stream);
    put_status(stream, site->status, round_used(round, position));
    (void)fputs("</td><td>", stream);
    if (site->has_examples)
        html_count(stream, site->examples);
    else if (run_record_masked(record))
        (void)fputs("<span class=\"muted\">masked</span>", stream);
    else
        (void)fputs("<span class=\"muted\">not released</span>", stream);
    (void)fputs("</td><td>", stream);
    put_accuracy(stream, record, site->train_accuracy);
    (void)fputs("</td><td>", stream);
    put_accuracy(stream, record, confusion_accuracy(site->confusion, record->classes));
    (void)fprintf(stream, "</td><td>%.2f</td>", site->seconds);
    if (report_private(record) && isnan(site->epsilon_spent))
        (void)fputs("<td><span class=\"muted\">–</span></td>", stream);
    else if (report_private(record))
        (void)fprintf(stream, "<td>%s<br><span class=\"muted\">%s</span></td>", spent,
                      report_privacy_spent_by(record, site->epsilon_spent));
}

/* A site that did not answer has a second line: why. */
static size_t round_lines(const struct run_record *record, const struct round_record *round)
{
    size_t lines = record->job->site_count;
    for (size_t i = 0; i < record->job->site_count; i++)
        lines += report_site_reason(round, i)[0] != '\0';
    return lines;
}

static void put_round(FILE *stream, const struct run_record *record, const struct round_record *round)
{
    (void)fputs("<tbody>\n", stream);
    for (size_t i = 0; i < record->job->site_count; i++) {
        (void)fputs("<tr>", stream);
        if (i == 0)
            put_round_cells(stream, record, round, round_lines(record, round));
        put_site_cells(stream, record, i, round);
        (void)fputs("</tr>\n", stream);
        if (report_site_reason(round, i)[0] == '\0')
            continue;
        (void)fprintf(stream, "<tr><td class=\"t reason\" colspan=\"%d\">", report_private(record) ? 7 : 6);
        html_escape(stream, report_site_reason(round, i));
        (void)fputs("</td></tr>\n", stream);
    }
    (void)fputs("</tbody>\n", stream);
}

void html_rounds(FILE *stream, const struct run_record *record)
{
    if (record->round_count == 0) {
        (void)fputs("<p>No round was run.</p>\n", stream);
        return;
    }
    (void)fputs(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of rounds\">\n<table "
        "class=\"rounds\">\n"
        "<caption>On the left the shared model of each round; on the right ",
        stream);
    (void)fputs(run_record_masked(record)
                    ? "who answered: one site’s numbers came under masks only (secure aggregation)."
                : report_private(record) ? "who answered, and what the releases of each have cost so far at "
                                           "most: by Rényi divergences (rdp), or "
                                           "the figure of the whole job by privacy loss distributions (pld) "
                                           "where that is lower. Rows are as "
                                           "the job declares."
                                         : "each site’s own model after local training.",
                stream);
    (void)fputs("</caption>\n<thead><tr><th scope=\"col\">Round</th><th scope=\"col\">Seconds</th><th "
                "scope=\"col\">Pooled<br>accuracy</th>",
                stream);
    if (record->job->global_test != JOB_GLOBAL_TEST_NONE)
        (void)fputs("<th scope=\"col\">Global<br>test</th>", stream);
    (void)fputs(
        "<th scope=\"col\" class=\"t\">Model<br>SHA-256</th><th scope=\"col\" class=\"t\">Site</th><th "
        "scope=\"col\" class=\"t\">Status</th><th scope=\"col\">Training<br>rows</th><th "
        "scope=\"col\">Training<br>accuracy</th><th scope=\"col\">Test<br>accuracy</th><th "
        "scope=\"col\">Answer<br>after s</th>",
        stream);
    (void)fputs(report_private(record) ? "<th scope=\"col\">Epsilon<br>so far</th></tr></thead>\n"
                                       : "</tr></thead>\n",
                stream);
    for (size_t i = 0; i < record->round_count; i++)
        put_round(stream, record, &record->rounds[i]);
    (void)fputs("</table>\n</div>\n", stream);
}
