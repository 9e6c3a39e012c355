#include "orchestrator/html.h"

#include <math.h>

#define DENSE_CLASSES 20
#define MISTAKES 5

/* What is drawn here is what report/page.js draws for any other round and scope. */

bool html_draws_matrices(const struct run_record *record)
{
    return record->classes > 0 && record->classes <= HTML_MATRIX_CLASSES && record->round_count > 0;
}

struct html_choice html_choose(const struct run_record *record)
{
    for (size_t i = record->round_count; i > 0; i--) {
        const struct round_record *round = &record->rounds[i - 1];
        if (round->pooled_confusion != NULL)
            return (struct html_choice){round, round->pooled_confusion, "Pooled",
                                        "the shared model on the test rows of all sites that answered"};
    }
    for (size_t s = 0; s < record->job->site_count; s++) {
        for (size_t i = record->round_count; i > 0; i--) {
            const struct round_record *round = &record->rounds[i - 1];
            if (round->sites[s].confusion != NULL)
                return (struct html_choice){
                    round, round->sites[s].confusion, record->job->sites[s].name,
                    "this site’s own model after local training, on its own test rows"};
        }
    }
    for (size_t i = record->round_count; i > 0; i--) {
        const struct round_record *round = &record->rounds[i - 1];
        if (round->global_confusion != NULL)
            return (struct html_choice){
                round, round->global_confusion, "Global test",
                record->averaged == NULL
                    ? "the shared model on the researcher’s own test rows"
                    : "the model after this round, not the mean of the last ones that is the result, on the "
                      "researcher’s own test rows"};
    }
    return (struct html_choice){0};
}

static uint64_t with(uint64_t sum, uint64_t count)
{
    return sum == WIRE_WITHHELD || count == WIRE_WITHHELD ? WIRE_WITHHELD : sum + count;
}

/* WIRE_WITHHELD when one of the counts is. */
static uint64_t row_sum(const uint64_t *counts, size_t classes, size_t i)
{
    uint64_t sum = 0;
    for (size_t j = 0; j < classes; j++)
        sum = with(sum, counts[i * classes + j]);
    return sum;
}

static uint64_t column_sum(const uint64_t *counts, size_t classes, size_t j)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < classes; i++)
        sum = with(sum, counts[i * classes + j]);
    return sum;
}

/* What is known of the row: for shades. */
static uint64_t row_shown(const uint64_t *counts, size_t classes, size_t i)
{
    uint64_t sum = 0;
    for (size_t j = 0; j < classes; j++)
        sum += counts[i * classes + j] == WIRE_WITHHELD ? 0 : counts[i * classes + j];
    return sum;
}

/* Right answers by their share of the row; mistakes by its square root, the strongest from a quarter on, so
 * that one in a hundred can be seen.
 */
static void put_cell(FILE *stream, uint64_t value, uint64_t row, bool right)
{
    if (value == WIRE_WITHHELD) {
        (void)fputs("<td class=\"z\" title=\"withheld: below the site’s minimum\">–</td>", stream);
        return;
    }
    if (value == 0) {
        (void)fputs("<td class=\"z\">0</td>", stream);
        return;
    }
    double share = (double)value / (double)row;
    int level = (int)ceil((right ? share : sqrt(4 * share)) * 10);
    level = level < 1 ? 1 : level > 10 ? 10 : level;
    (void)fprintf(stream, "<td class=\"%c%d\">%llu</td>", right ? 'd' : 'e', level,
                  (unsigned long long)value);
}

static void put_caption(FILE *stream, const struct html_choice *choice, uint32_t classes)
{
    (void)fputs("<caption><b>", stream);
    html_escape(stream, choice->scope);
    (void)fprintf(stream, ", round %u: ", (unsigned)choice->round->round);
    double accuracy = confusion_accuracy(choice->counts, classes);
    if (isnan(accuracy))
        (void)fputs(confusion_rows(choice->counts, classes) == 0 ? "no rows" : "accuracy withheld", stream);
    else
        (void)fprintf(stream, "%.2f %% right", 100 * accuracy);
    (void)fputs(" of ", stream);
    html_count(stream, confusion_rows(choice->counts, classes));
    (void)fprintf(stream, " rows</b> – %s.</caption>\n", choice->about);
}

static void put_table(FILE *stream, const struct html_choice *choice, uint32_t classes)
{
    (void)fprintf(stream, "<table class=\"matrix%s\">\n", classes > DENSE_CLASSES ? " dense" : "");
    put_caption(stream, choice, classes);
    (void)fprintf(stream,
                  "<thead><tr><th class=\"axis side\">true ↓</th><th class=\"axis\" colspan=\"%u\">predicted "
                  "→</th></tr>\n<tr><td></td>",
                  (unsigned)classes);
    for (uint32_t j = 0; j < classes; j++)
        (void)fprintf(stream, "<th class=\"k\" scope=\"col\">%u</th>", (unsigned)j);
    (void)fputs("</tr></thead>\n<tbody>\n", stream);
    for (uint32_t i = 0; i < classes; i++) {
        uint64_t row = row_shown(choice->counts, classes, i);
        (void)fprintf(stream, "<tr><th scope=\"row\">%u</th>", (unsigned)i);
        for (uint32_t j = 0; j < classes; j++)
            put_cell(stream, choice->counts[(size_t)i * classes + j], row, i == j);
        (void)fputs("</tr>\n", stream);
    }
    (void)fputs("</tbody></table>\n", stream);
}

void html_matrix(FILE *stream, const struct run_record *record)
{
    struct html_choice choice = html_choose(record);
    if (choice.round == NULL) {
        (void)fputs("<p>No confusion matrix was released in this run.</p>\n", stream);
        return;
    }
    if (!html_draws_matrices(record)) {
        (void)fprintf(
            stream,
            "<p>With %u classes a matrix is too large to be read here; confusion.csv has all of them.</p>\n",
            (unsigned)record->classes);
        return;
    }
    (void)fputs("<div id=\"matrix\" class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion "
                "matrix\">\n",
                stream);
    put_table(stream, &choice, record->classes);
    (void)fputs("</div>\n", stream);
}

static void put_bar(FILE *stream, uint64_t part, uint64_t whole, const char *name)
{
    bool known = whole != 0 && whole != WIRE_WITHHELD && part != WIRE_WITHHELD;
    double width = !known ? 0 : 100 * (double)part / (double)whole;
    (void)fprintf(stream,
                  "<td class=\"b\"><svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" "
                  "aria-hidden=\"true\"><rect class=\"track\" width=\"100\" height=\"4\"/><rect class=\"%s\" "
                  "width=\"%.1f\" height=\"4\"/></svg></td>",
                  name, width);
}

static void put_class(FILE *stream, const uint64_t *counts, size_t classes, size_t i)
{
    uint64_t right = counts[i * classes + i];
    uint64_t row = row_sum(counts, classes, i);
    uint64_t given = column_sum(counts, classes, i);
    (void)fprintf(stream, "<tr><th scope=\"row\">%zu</th><td>", i);
    html_count(stream, row);
    (void)fputs("</td><td>", stream);
    html_share(stream, right, row);
    (void)fputs("</td>", stream);
    put_bar(stream, right, row, "fill");
    (void)fputs("<td>", stream);
    html_share(stream, right, given);
    (void)fputs("</td>", stream);
    put_bar(stream, right, given, "fill p");
    (void)fputs("</tr>\n", stream);
}

/* The cell that comes after `last` when mistakes are ordered from frequent to rare, then by place; SIZE_MAX:
 * none. */
static size_t next_mistake(const uint64_t *counts, size_t classes, size_t last)
{
    size_t best = SIZE_MAX;
    for (size_t at = 0; at < classes * classes; at++) {
        bool counted = at / classes != at % classes && counts[at] > 0 && counts[at] != WIRE_WITHHELD;
        bool after =
            last == SIZE_MAX || counts[at] < counts[last] || (counts[at] == counts[last] && at > last);
        if (counted && after && (best == SIZE_MAX || counts[at] > counts[best]))
            best = at;
    }
    return best;
}

static void put_mistakes(FILE *stream, const uint64_t *counts, size_t classes)
{
    (void)fputs("<h3>Most frequent mistakes</h3>\n<ul class=\"mistakes\">\n", stream);
    size_t at = next_mistake(counts, classes, SIZE_MAX);
    if (at == SIZE_MAX)
        (void)fputs(confusion_withheld(counts, (uint32_t)classes) == 0
                        ? "<li>None.</li>\n"
                        : "<li>None that the sites tell of.</li>\n",
                    stream);
    for (size_t n = 0; n < MISTAKES && at != SIZE_MAX; n++) {
        (void)fprintf(stream, "<li><span>%zu taken for %zu</span> <span>", at / classes, at % classes);
        html_count(stream, counts[at]);
        (void)fputs(" rows, ", stream);
        html_share(stream, counts[at], row_sum(counts, classes, at / classes));
        (void)fprintf(stream, " of class %zu</span></li>\n", at / classes);
        at = next_mistake(counts, classes, at);
    }
    (void)fputs("</ul>\n", stream);
}

void html_classes(FILE *stream, const struct run_record *record)
{
    struct html_choice choice = html_choose(record);
    if (choice.round == NULL)
        return;
    (void)fputs("<div id=\"classes\">\n<table class=\"classes\">\n<caption><b>By class</b>, of the same "
                "matrix.</caption>\n<thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Rows</th><th "
                "scope=\"col\" "
                "colspan=\"2\" class=\"t\">Recall</th><th scope=\"col\" colspan=\"2\" "
                "class=\"t\">Precision</th></tr></thead>\n<tbody>\n",
                stream);
    for (size_t i = 0; i < record->classes; i++)
        put_class(stream, choice.counts, record->classes, i);
    (void)fputs("</tbody></table>\n", stream);
    put_mistakes(stream, choice.counts, record->classes);
    (void)fputs("</div>\n", stream);
}
