/* The plain words by which an owner decides. Sentences are of what is true of this job at this site now. */
#include "datasite/show_parts.h"

#include "datasite/endorsement.h"

#include <inttypes.h>
#include <stdarg.h>

/* Appends as much as fits. */
__attribute__((format(printf, 2, 3))) static void summary_add(char text[static SHOW_SUMMARY_BYTES],
                                                              const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, SHOW_SUMMARY_BYTES - used, format, arguments);
    va_end(arguments);
}

static const struct policy_output *summary_output(const struct screen *screen)
{
    return policy_gate_output(&screen->policy->gate, screen->desk->job->dataset);
}

static void summary_what(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    const struct job *job = screen->desk->job;
    uint32_t metrics = summary_output(screen)->metrics;
    if (job->metrics == JOB_METRICS_NONE)
        metrics &= POLICY_METRIC_EXAMPLES;
    if (job->model == JOB_FEATURE_STATISTICS)
        summary_add(text, "the exact mean and mean square of every feature over your training rows");
    else if (screen->has_dataset)
        summary_add(text, "%" PRIu64 " model coefficients", screen_coefficients(screen));
    else
        summary_add(text, "all model coefficients");
    if ((metrics & POLICY_METRIC_EXAMPLES) != 0)
        summary_add(text, ", how many rows you trained on");
    if (job->model != JOB_FEATURE_STATISTICS && (metrics & POLICY_METRIC_TRAIN_ACCURACY) != 0)
        summary_add(text, ", the accuracy on them");
    if ((metrics & POLICY_METRIC_CONFUSION) != 0)
        summary_add(
            text, ", and for two models how your test rows are classified (%" PRIu32 " x %" PRIu32 " counts)",
            screen->dataset.classes, screen->dataset.classes);
}

/* The site would refuse each Train: release_check_weighting. */
static bool summary_useless(const struct screen *screen)
{
    return screen->desk->job->weighting == JOB_WEIGHT_EXAMPLES &&
           (summary_output(screen)->metrics & POLICY_METRIC_EXAMPLES) == 0;
}

static void summary_how_often(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    uint32_t rounds = screen->has_terms ? screen->terms.rounds : screen->desk->job->rounds;
    summary_add(text, " leave in %s%" PRIu32 " round%s; ", rounds == 1 ? "" : "each of ", rounds,
                rounds == 1 ? "" : "s");
    if (screen->has_terms)
        summary_add(text, "%" PRIu32 " run%s, %" PRIu32 " begun. ", screen->terms.runs,
                    screen->terms.runs == 1 ? "" : "s", screen->runs_used);
    else
        summary_add(text, "one run unless you approve more. ");
}

static void summary_who(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    size_t sites = screen->desk->job->site_count;
    summary_add(
        text,
        "The requester sees them in clear and can test guesses about single records, the more rounds the "
        "better; it may pass the averaged model on to %zu site%s. ",
        sites, sites == 1 ? "" : "s");
}

void show_hold(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    static const char *const words[] = {
        [HOLD_NEVER] = "nothing waits for your look",
        [HOLD_FIRST] = "the first answers of a run wait for your look",
        [HOLD_EVERY] = "every answer waits for your look",
        [HOLD_FINAL] = "only the last round waits for your look: who stops before it evades that",
    };
    if (screen->has_terms)
        summary_add(text, "; %s", words[screen->terms.hold]);
    else
        summary_add(text, "; nothing waits for your look unless you approve with --hold");
    if (screen->has_terms && screen->terms.allow_growth)
        summary_add(text, "; rows may be added");
}

static void summary_protection(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    const struct policy_output *output = summary_output(screen);
    summary_add(text, "What protects you: at least %" PRIu64 " rows", output->min_rows);
    if (output->min_cell > 0)
        summary_add(text,
                    ", counts below %" PRIu64
                    " withheld (larger ones are exact, and under many models can tell of single rows)",
                    output->min_cell);
    else
        summary_add(text, ", every count leaves");
    if (output->max_update_norm > 0)
        summary_add(text, ", updates move by at most %g", output->max_update_norm);
    else
        summary_add(text, ", no noise and no bound on updates");
    if (output->max_job_bytes > 0)
        summary_add(text, ", all answers together at most %" PRIu64 " bytes", output->max_job_bytes);
    show_hold(screen, text);
    if (screen->policy->gate.four_eyes)
        summary_add(text, "; two owners' keys are needed, %zu agreed", screen->owners);
    summary_add(text, ".");
}

void show_summary(const struct screen *screen, char ret_text[static SHOW_SUMMARY_BYTES])
{
    if (job_private(screen->desk->job) && !screen->all) {
        show_privacy_brief(screen, ret_text);
        return;
    }
    if (job_private(screen->desk->job) && !screen->desk->job->secure.enabled) {
        show_privacy_summary(screen, ret_text);
        return;
    }
    if (screen->desk->job->secure.enabled) {
        show_secure_summary(screen, ret_text);
        return;
    }
    (void)snprintf(ret_text, SHOW_SUMMARY_BYTES, "In short: ");
    if (summary_useless(screen))
        summary_add(ret_text,
                    "refused while your policy withholds the number of rows, by which the job weights "
                    "updates (weighting: equal would do). Else: ");
    summary_what(screen, ret_text);
    summary_how_often(screen, ret_text);
    summary_who(screen, ret_text);
    summary_protection(screen, ret_text);
}
