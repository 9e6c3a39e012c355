#include "orchestrator/html.h"
#include "orchestrator/report_parts.h"
#include "orchestrator/report_privacy.h"

#include "crypto/privacy_plan.h"
#include "orchestrator/job_file.h"

#include <math.h>

static void put_paragraph(FILE *stream, const char *text)
{
    if (text[0] == '\0')
        return;
    (void)fputs("<p>", stream);
    html_escape(stream, text);
    (void)fputs("</p>\n", stream);
}

static const char *what_left(const struct job *job)
{
    bool statistics = job->model == JOB_FEATURE_STATISTICS;
    switch (job->privacy.mechanism) {
    case JOB_NO_PRIVACY:
        break;
    case JOB_DP_SGD:
        return statistics ? "noisy sums of its rows, each row’s part cut to the clip norm"
                          : "a model trained on noisy sums of clipped gradients";
    case JOB_DISTRIBUTED_DP:
        return statistics
                   ? "a sum of its rows, each row’s part cut to the clip norm, with its share of the noise"
                   : "a sum of clipped gradients with its share of the noise";
    case JOB_SITE_LEVEL:
        return "the change of its model, cut to the clip norm, with noise";
    }
    return "";
}

static void put_what_left(FILE *stream, const struct run_record *record)
{
    const struct job *job = record->job;
    (void)fprintf(
        stream,
        "<p>In each round in which a site answered, it sent to the researcher’s orchestrator:</p>\n<ul "
        "class=\"plain\">\n<li>%s",
        what_left(job));
    html_parameters(stream, record);
    (void)fputs(job->secure.enabled
                    ? ", as integers under masks, which say nothing without the other sites’;</li>\n"
                    : ";</li>\n",
                stream);
    (void)fputs("<li>and of its rows nothing else: how many it has is the constant that the job "
                "declares.</li>\n</ul>\n",
                stream);
}

static void put_row(FILE *stream, const char *name, const char *value)
{
    (void)fprintf(stream, "<dt>%s</dt><dd>", name);
    html_escape(stream, value);
    (void)fputs("</dd>\n", stream);
}

static void put_figure(FILE *stream, const char *name, double value)
{
    char text[REPORT_NUMBER_BYTES] = "beyond what is told";
    if (!isnan(value))
        (void)snprintf(text, sizeof text, "%.6g", value);
    put_row(stream, name, text);
}

/* Of an epsilon. */
static void put_bound(FILE *stream, const char *name, double value)
{
    char text[PRIVACY_BOUND_BYTES] = "beyond what is told";
    if (!isnan(value))
        privacy_bound(value, PRIVACY_BOUND_DIGITS, text);
    put_row(stream, name, text);
}

static void put_plan(FILE *stream, const struct run_record *record)
{
    const struct job_privacy *privacy = &record->job->privacy;
    char text[160];
    (void)fputs("<dl class=\"list\">\n", stream);
    put_row(stream, "Mechanism", job_mechanism_word(privacy->mechanism));
    put_row(stream, "Protects", report_privacy_unit(record->job));
    put_figure(stream, "Noise multiplier", privacy->noise_multiplier);
    put_figure(stream, "Clip norm", privacy->clip);
    if (privacy->mechanism != JOB_SITE_LEVEL)
        put_figure(stream, "Sampling rate", privacy->sampling_rate);
    (void)snprintf(text, sizeof text, "%llu, %u a round",
                   (unsigned long long)record->job->rounds * privacy->steps, (unsigned)privacy->steps);
    put_row(stream, "Steps", text);
    put_figure(stream, "Delta", privacy->delta);
    if (privacy->target_epsilon > 0)
        put_figure(stream, "Target epsilon", privacy->target_epsilon);
    put_row(stream, "Accountant", "privacy loss distributions, connect-the-dots (PLD)");
    put_bound(stream, "Epsilon of all of the job", record->epsilon);
    put_bound(stream, "the same by Rényi divergences (RDP)", record->epsilon_rdp);
    if (privacy_plan_honest(record->job) > 1)
        put_bound(stream, "the same if all other sites colluded", record->epsilon_worst);
    (void)fputs("</dl>\n", stream);
}

static void put_spent(FILE *stream, const struct run_record *record)
{
    struct report_prices prices = {0};
    (void)fputs("<table class=\"classes\">\n<caption><b>Spent at each site</b>, by what was received here; "
                "by privacy loss "
                "distributions (pld). In the table of rounds, what was spent so far is by Rényi divergences "
                "(rdp), and "
                "never above the epsilon of the job.</caption>\n<thead><tr><th scope=\"col\" "
                "class=\"t\">Site</th><th "
                "scope=\"col\">Declared<br>rows</th><th scope=\"col\">Rounds</th><th "
                "scope=\"col\">Evaluations</th><th "
                "scope=\"col\">Epsilon</th></tr></thead>\n<tbody>\n",
                stream);
    for (size_t i = 0; i < record->job->site_count; i++) {
        struct report_price price = report_privacy_spent(record, i, &prices);
        (void)fputs("<tr><th scope=\"row\" class=\"t\">", stream);
        html_escape(stream, record->job->sites[i].name);
        (void)fputs("</th><td>", stream);
        html_count(stream, record->job->sites[i].examples);
        (void)fprintf(stream, "</td><td>%u</td><td>%u</td><td>", (unsigned)price.spent.rounds,
                      (unsigned)price.spent.evaluations);
        char epsilon[PRIVACY_BOUND_BYTES];
        privacy_bound(price.pld, PRIVACY_BOUND_DIGITS, epsilon);
        (void)fputs(isnan(price.pld) ? "–" : epsilon, stream);
        (void)fputs("</td></tr>\n", stream);
    }
    (void)fputs("</tbody></table>\n", stream);
}

void html_privacy(FILE *stream, const struct run_record *record)
{
    char text[REPORT_PRIVACY_BYTES];
    if (!record->mock)
        put_what_left(stream, record);
    put_plan(stream, record);
    report_privacy_meaning(record, text);
    put_paragraph(stream, text);
    report_privacy_collusion(record, text);
    put_paragraph(stream, text);
    report_privacy_metrics(record, text);
    put_paragraph(stream, text);
    job_file_warning(record->job, text);
    put_paragraph(stream, text);
    report_privacy_trial(record, text);
    put_paragraph(stream, text);
    if (record->mock)
        (void)fputs("<p>Nothing of it was spent: no private row was touched.</p>\n", stream);
    else
        put_spent(stream, record);
}
