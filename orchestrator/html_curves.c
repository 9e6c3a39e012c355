#include "orchestrator/html.h"
#include "orchestrator/report_privacy.h"

#include <math.h>

/* Two panels with one scale, so that a site's own model can be compared with the shared one by eye.
 *
 * All lengths are units of the viewBox; the page scales it. */
#define WIDTH 480.0
#define HEIGHT 300.0
#define LEFT 46.0
#define RIGHT 138.0 /* room for the labels at the lines' ends */
#define TOP 12.0
#define BOTTOM 42.0
#define LABEL_STEP 16.0
#define LABELLED_SITES 6
#define DOTTED_ROUNDS 40
#define NAME_CHARACTERS 13 /* of a label; the name of a dashed line has ", train" behind it */
#define NAME_CHARACTERS_TRAIN 8
#define LABELS_MAX (2 * LABELLED_SITES + 2)

enum curve_kind { CURVE_POOLED, CURVE_GLOBAL, CURVE_TEST, CURVE_TRAIN };

struct curve {
    enum curve_kind kind;
    size_t site;
};

struct scale {
    double low, high, step; /* accuracies, 0 to 1 */
    uint32_t first, last;   /* rounds */
    bool empty;             /* nothing was released */
};

struct label {
    double from, end, y; /* where its line ends (from, end), and where it stands */
    struct curve curve;
};

/* Of a private job an estimate from noised counts, which the line is named after; noise may put it outside 0 to 1. */
static double pooled_accuracy(const struct run_record *record, const struct round_record *round)
{
    double accuracy = NAN, deviation = NAN;
    if (!report_private(record))
        return confusion_accuracy(round->pooled_confusion, record->classes);
    report_privacy_accuracy(record, round, &accuracy, &deviation);
    return isnan(accuracy) ? accuracy : fmin(1, fmax(0, accuracy));
}

static double curve_value(const struct run_record *record, const struct round_record *round,
                          struct curve curve)
{
    switch (curve.kind) {
    case CURVE_POOLED:
        return pooled_accuracy(record, round);
    case CURVE_GLOBAL:
        return confusion_accuracy(round->global_confusion, record->classes);
    case CURVE_TEST:
        return confusion_accuracy(round->sites[curve.site].confusion, record->classes);
    case CURVE_TRAIN:
        return round->sites[curve.site].train_accuracy;
    }
    return NAN;
}

/* The curves in drawing order: number `n` of panel 0 (shared model) or 1 (sites); false after the last. Of
 * many sites only test accuracies are drawn. */
static bool curve_at(const struct run_record *record, int panel, size_t n, struct curve *ret_curve)
{
    if (panel == 0) {
        *ret_curve = (struct curve){n == 0 ? CURVE_GLOBAL : CURVE_POOLED, 0};
        return n < 2;
    }
    if (record->job->site_count > LABELLED_SITES) {
        *ret_curve = (struct curve){CURVE_TEST, n};
        return n < record->job->site_count;
    }
    *ret_curve = (struct curve){n % 2 == 0 ? CURVE_TRAIN : CURVE_TEST, n / 2};
    return n / 2 < record->job->site_count;
}

static void scale_widen(struct scale *scale, double value)
{
    if (isnan(value))
        return;
    scale->low = scale->empty ? value : fmin(scale->low, value);
    scale->high = scale->empty ? value : fmax(scale->high, value);
    scale->empty = false;
}

/* Round figures below and above all values, at most five steps apart. */
static void scale_round(struct scale *scale)
{
    static const double steps[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2};
    double low = scale->low;
    double high = scale->high;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        scale->step = steps[i];
        scale->low = fmax(0, floor(low / steps[i] + 1e-9) * steps[i]);
        scale->high = fmin(1, ceil(high / steps[i] - 1e-9) * steps[i]);
        if (scale->high - scale->low < steps[i] / 2)
            scale->low = fmax(0, scale->low - steps[i]), scale->high = fmin(1, scale->high + steps[i]);
        if ((scale->high - scale->low) / steps[i] < 5.5)
            return;
    }
}

static struct scale scale_of(const struct run_record *record)
{
    struct scale scale = {.empty = true, .first = 1, .last = 1};
    for (size_t i = 0; i < record->round_count; i++) {
        struct curve curve;
        for (int panel = 0; panel < 2; panel++) {
            for (size_t n = 0; curve_at(record, panel, n, &curve); n++)
                scale_widen(&scale, curve_value(record, &record->rounds[i], curve));
        }
        scale.last = record->rounds[i].round;
    }
    if (!scale.empty)
        scale_round(&scale);
    return scale;
}

static double x_of(const struct scale *scale, uint32_t round)
{
    double span = WIDTH - LEFT - RIGHT - 24;
    if (scale->last == scale->first)
        return LEFT + 12 + span / 2;
    return LEFT + 12 + span * (double)(round - scale->first) / (double)(scale->last - scale->first);
}

static double y_of(const struct scale *scale, double value)
{
    return TOP + (HEIGHT - TOP - BOTTOM) * (scale->high - value) / (scale->high - scale->low);
}

static void put_y_axis(FILE *stream, const struct scale *scale)
{
    int steps = (int)round((scale->high - scale->low) / scale->step);
    for (int i = 0; i <= steps; i++) {
        double value = scale->low + i * scale->step;
        double y = y_of(scale, value);
        (void)fprintf(stream,
                      "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
                      "text-anchor=\"end\">%.*f%s</text>\n",
                      i == 0 ? "axis" : "grid", LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4.5,
                      scale->step < 0.01 ? 1 : 0, 100 * value, i == steps ? " %" : "");
    }
}

/* Whole rounds, at most about eight of them, the first and the last among them. */
static void put_x_axis(FILE *stream, const struct scale *scale)
{
    static const uint32_t steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000};
    uint32_t span = scale->last - scale->first;
    uint32_t step = 1;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && span / step > 7; i++)
        step = steps[i];
    for (uint32_t round = scale->first; round <= scale->last; round++) {
        bool near_end = scale->last - round < step && round != scale->last && step > 1;
        if (round != scale->first && round != scale->last && (round % step != 0 || near_end))
            continue;
        (void)fprintf(stream, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%u</text>\n",
                      x_of(scale, round), HEIGHT - BOTTOM + 18, (unsigned)round);
    }
    (void)fprintf(stream, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">round</text>\n",
                  LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 5);
}

static void put_colour(FILE *stream, struct curve curve)
{
    if (curve.kind == CURVE_POOLED)
        (void)fputs("c-pooled", stream);
    else if (curve.kind == CURVE_GLOBAL)
        (void)fputs("c-global", stream);
    else
        (void)fprintf(stream, "c-%zu", curve.site % LABELLED_SITES);
}

static const char *curve_stroke(const struct run_record *record, struct curve curve)
{
    bool many = record->job->site_count > LABELLED_SITES;
    switch (curve.kind) {
    case CURVE_POOLED:
        return "line strong";
    case CURVE_GLOBAL:
        return "line dash";
    case CURVE_TEST:
        return many ? "line many" : "line";
    case CURVE_TRAIN:
        return "line dash";
    }
    return "";
}

/* A missing value breaks the line. */
static void put_line(FILE *stream, const struct run_record *record, const struct scale *scale,
                     struct curve curve)
{
    bool drawing = false;
    (void)fprintf(stream, "<path class=\"%s ", curve_stroke(record, curve));
    put_colour(stream, curve);
    (void)fputs("\" d=\"", stream);
    for (size_t i = 0; i < record->round_count; i++) {
        double value = curve_value(record, &record->rounds[i], curve);
        if (!isnan(value))
            (void)fprintf(stream, "%c%.1f %.1f", drawing ? 'L' : 'M', x_of(scale, record->rounds[i].round),
                          y_of(scale, value));
        drawing = !isnan(value);
    }
    (void)fputs("\"/>\n", stream);
}

static const char *curve_name(const struct run_record *record, struct curve curve)
{
    switch (curve.kind) {
    case CURVE_POOLED:
        return report_private(record) ? "Noised" : "Pooled";
    case CURVE_GLOBAL:
        return "Global test";
    case CURVE_TEST:
    case CURVE_TRAIN:
        return record->job->sites[curve.site].name;
    }
    return "";
}

/* Bytes of the first `limit` characters. */
static size_t name_start(const char *name, size_t limit)
{
    size_t bytes = 0;
    for (size_t characters = 0; name[bytes] != '\0' && characters < limit; characters++) {
        bytes++;
        while (((unsigned char)name[bytes] & 0xc0) == 0x80)
            bytes++;
    }
    return bytes;
}

/* A name that is too long for its label loses its end. */
static void put_label_name(FILE *stream, const struct run_record *record, struct curve curve)
{
    const char *name = curve_name(record, curve);
    bool fits = name[name_start(name, NAME_CHARACTERS)] == '\0';
    size_t room = curve.kind == CURVE_TRAIN ? NAME_CHARACTERS_TRAIN : NAME_CHARACTERS - 1;
    html_escape_bytes(stream, name, fits ? strlen(name) : name_start(name, room));
    (void)fprintf(stream, "%s%s</text>\n", fits ? "" : "…", curve.kind == CURVE_TRAIN ? ", train" : "");
}

static void put_dots(FILE *stream, const struct run_record *record, const struct scale *scale,
                     struct curve curve)
{
    for (size_t i = 0; i < record->round_count; i++) {
        double value = curve_value(record, &record->rounds[i], curve);
        if (isnan(value))
            continue;
        (void)fprintf(stream, "<circle class=\"dot %s", curve.kind == CURVE_TRAIN ? "hollow " : "");
        put_colour(stream, curve);
        (void)fprintf(stream, "\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>",
                      x_of(scale, record->rounds[i].round), y_of(scale, value),
                      curve.kind == CURVE_POOLED ? "4.5" : "3.5");
        html_escape(stream, curve_name(record, curve));
        (void)fprintf(stream, "%s, round %u: %.2f %%</title></circle>\n",
                      curve.kind == CURVE_TRAIN ? " (training)" : "", (unsigned)record->rounds[i].round,
                      100 * value);
    }
}

/* ---- labels at the ends of the lines ---- */

static size_t labels_collect(const struct run_record *record, const struct scale *scale, int panel,
                             struct label labels[LABELS_MAX])
{
    size_t count = 0;
    struct curve curve;
    if (panel == 1 && record->job->site_count > LABELLED_SITES)
        return 0;
    for (size_t n = 0; curve_at(record, panel, n, &curve); n++) {
        double value = NAN;
        size_t last = record->round_count;
        for (; last > 0 && isnan(value); last--)
            value = curve_value(record, &record->rounds[last - 1], curve);
        if (!isnan(value))
            labels[count++] = (struct label){x_of(scale, record->rounds[last].round), y_of(scale, value),
                                             y_of(scale, value), curve};
    }
    return count;
}

static int label_compare(const void *a, const void *b)
{
    double left = ((const struct label *)a)->end;
    double right = ((const struct label *)b)->end;
    return (left > right) - (left < right);
}

/* From top to bottom each label moves down as far as the one above needs; what runs out at the bottom moves
 * up again. */
static void labels_spread(struct label *labels, size_t count)
{
    qsort(labels, count, sizeof *labels, label_compare);
    for (size_t i = 0; i < count; i++)
        labels[i].y = fmax(labels[i].y, i == 0 ? TOP + 4 : labels[i - 1].y + LABEL_STEP);
    double limit = HEIGHT - BOTTOM + 2;
    for (size_t i = count; i > 0; i--) {
        labels[i - 1].y = fmin(labels[i - 1].y, limit);
        limit = labels[i - 1].y - LABEL_STEP;
    }
}

static void put_labels(FILE *stream, const struct run_record *record, const struct scale *scale, int panel)
{
    struct label labels[LABELS_MAX];
    size_t count = labels_collect(record, scale, panel, labels);
    labels_spread(labels, count);
    for (size_t i = 0; i < count; i++) {
        double x = WIDTH - RIGHT + 8;
        (void)fputs("<path class=\"lead ", stream);
        put_colour(stream, labels[i].curve);
        (void)fprintf(stream, "\" d=\"M%.1f %.1fL%.1f %.1f\"/><text class=\"label ", labels[i].from + 7,
                      labels[i].end, x - 4, labels[i].y);
        put_colour(stream, labels[i].curve);
        (void)fprintf(stream, "%s\" x=\"%.1f\" y=\"%.1f\">",
                      labels[i].curve.kind == CURVE_TRAIN ? " light" : "", x, labels[i].y + 4.5);
        put_label_name(stream, record, labels[i].curve);
    }
}

static void put_panel(FILE *stream, const struct run_record *record, const struct scale *scale, int panel)
{
    struct curve curve;
    (void)fprintf(stream,
                  "<svg class=\"curves\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s; the figures "
                  "are in the "
                  "table of rounds\">\n",
                  WIDTH, HEIGHT,
                  panel == 0 ? "Accuracy of the shared model by round"
                             : "Accuracy of each site’s own model by round");
    put_y_axis(stream, scale);
    put_x_axis(stream, scale);
    for (size_t n = 0; curve_at(record, panel, n, &curve); n++)
        put_line(stream, record, scale, curve);
    bool many = panel == 1 && record->job->site_count > LABELLED_SITES && record->round_count > 1;
    for (size_t n = 0; !many && record->round_count <= DOTTED_ROUNDS && curve_at(record, panel, n, &curve);
         n++)
        put_dots(stream, record, scale, curve);
    put_labels(stream, record, scale, panel);
    (void)fputs("</svg>\n", stream);
}

static bool panel_is_empty(const struct run_record *record, int panel)
{
    struct curve curve;
    for (size_t n = 0; curve_at(record, panel, n, &curve); n++) {
        for (size_t i = 0; i < record->round_count; i++) {
            if (!isnan(curve_value(record, &record->rounds[i], curve)))
                return false;
        }
    }
    return true;
}

static void put_figure(FILE *stream, const struct run_record *record, const struct scale *scale, int panel)
{
    if (panel == 0)
        (void)fprintf(
            stream,
            "<figure>\n<figcaption><b>The shared model</b>On test rows: of all sites together (%s)%s.%s",
            report_private(record) ? "estimated from noised counts" : "pooled",
            record->job->global_test == JOB_GLOBAL_TEST_NONE
                ? ""
                : ", and of the researcher (global test, dashed)",
            record->averaged == NULL ? ""
                                     : " Of each round’s model; the result is the mean of the last ones.");
    else
        (void)fputs("<figure>\n<figcaption><b>Each site’s own model after local training</b>", stream);
    bool own = !run_record_masked(record) && !report_private(record);
    if (panel == 1 && record->job->site_count > LABELLED_SITES && own)
        (void)fprintf(stream, "%zu sites, one line each, on its own test rows.", record->job->site_count);
    else if (panel == 1 && own)
        (void)fputs("Solid: on its own test rows. Dashed: on its own training rows.", stream);
    (void)fputs("</figcaption>\n", stream);
    if (panel_is_empty(record, panel))
        (void)fputs(panel == 1 && run_record_masked(record)
                        ? "<p class=\"muted\">Masked: secure aggregation.</p>\n"
                        : "<p class=\"muted\">Not released.</p>\n",
                    stream);
    else
        put_panel(stream, record, scale, panel);
    (void)fputs("</figure>\n", stream);
}

void html_curves(FILE *stream, const struct run_record *record)
{
    struct scale scale = scale_of(record);
    if (scale.empty) {
        (void)fputs("<p>No accuracy was released in this run.</p>\n", stream);
        return;
    }
    (void)fputs("<div class=\"panels\">\n", stream);
    for (int panel = 0; panel < 2; panel++)
        put_figure(stream, record, &scale, panel);
    (void)fprintf(
        stream,
        "</div>\n<p class=\"note\">Both panels have one scale, which runs from %.*f to %.*f %%.</p>\n",
        scale.step < 0.01 ? 1 : 0, 100 * scale.low, scale.step < 0.01 ? 1 : 0, 100 * scale.high);
}
