/* What an owner has to know of a job with a mechanism of privacy: whom it protects, with how much noise, what that is worth in
 * plain words, what it takes from the budget, and what it does not protect. */
#include "datasite/show_parts.h"

#include "console/terminal.h"
#include "crypto/privacy_plan.h"
#include "datasite/declared.h"
#include "datasite/secagg_roster.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#define PRIVACY_WEAK_SITES 100 /* below, protecting one site of them is weak */
#define PRIVACY_SURE 0.999     /* from this on, a toss-up becomes certainty */

/* ---- what the screen needs ---- */

/* Of all of the job's rounds, or of those that were approved. */
static struct error *privacy_figures(const struct job *job, struct screen_privacy *privacy)
{
    struct error *err = NULL;
    uint32_t evaluations = privacy_plan_evaluations(job, privacy->rounds);
    privacy->epsilon = privacy->worst = INFINITY;
    privacy->evaluations = evaluations;
    if (!(job->privacy.noise_multiplier > 0))
        goto done;
    err = privacy_plan_epsilon(job, PRIVACY_PLD, privacy->rounds, evaluations, &privacy->epsilon);
    if (err == NULL)
        err = privacy_plan_worst(job, privacy->rounds, evaluations, &privacy->worst);
    if (err != NULL && (err->code == ERROR_LIMIT || err->code == ERROR_INVALID)) /* not to be accounted */
        error_clear(&err);
done:
    return err;
}

struct error *show_privacy_load(struct screen *screen)
{
    struct error *err = NULL;
    const struct desk *desk = screen->desk;
    struct screen_privacy *privacy = &screen->privacy;
    struct job asked = job_copy(desk->job); /* with the approved rounds */
    size_t site = 0;
    bool begins = desk->record.state == JOB_STATE_PENDING || desk->record.state == JOB_STATE_APPROVED;
    privacy->rounds = screen->has_terms ? screen->terms.rounds : desk->job->rounds;
    asked.rounds = privacy->rounds;
    if (screen->has_dataset && (begins || desk->record.state == JOB_STATE_RUNNING)) {
        TRY(budget_offer(desk->store, desk->identity, &asked, &screen->dataset,
                         begins ? BUDGET_SEARCH_WHOLE : BUDGET_SEARCH_NONE, &privacy->offer));
        privacy->has_offer = true;
    }
    if (!job_private(desk->job))
        goto done;
    TRY(privacy_figures(desk->job, privacy));
    err = declared_site(desk->job, identity_id(desk->identity), &site);
    if (err == NULL)
        privacy->declared = declared_training_rows(desk->job, site);
    error_clear(&err);
done:
    return err;
}

/* ---- words ---- */

__attribute__((format(printf, 3, 4))) static void privacy_add(char *text, size_t room, const char *format,
                                                              ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, room - used, format, arguments);
    va_end(arguments);
}

/* "epsilon 2.97 at delta 1e-05", rounded up. */
static void privacy_figure(double epsilon, double delta, char ret_text[static SHOW_TEXT_BYTES])
{
    char bound[PRIVACY_BOUND_BYTES];
    privacy_bound(epsilon, BUDGET_EPSILON_DIGITS, bound);
    if (isinf(epsilon))
        (void)snprintf(ret_text, SHOW_TEXT_BYTES, "no epsilon that could be accounted");
    else
        (void)snprintf(ret_text, SHOW_TEXT_BYTES, "epsilon %s at delta %g", bound, delta);
}

static const char *privacy_unit(const struct job *job)
{
    return job->privacy.mechanism == JOB_SITE_LEVEL ? "this site's whole update of a round, left out or not"
                                                    : "one record (row), in your dataset or not";
}

/* What epsilon is worth, to somebody who knows everything else. A toss-up becomes odds of at most e^epsilon to 1. */
static void privacy_worth(const struct screen *screen, char *text, size_t room)
{
    const struct job *job = screen->desk->job;
    double epsilon = screen->privacy.epsilon, sure = 1 / (1 + exp(-epsilon));
    const char *whether = job->privacy.mechanism == JOB_SITE_LEVEL
                              ? "whether your site's data had any part in it"
                              : "whether a certain record is among yours";
    if (isinf(epsilon)) {
        privacy_add(text, room, "With so little noise nothing is promised. ");
        return;
    }
    if (job->secure.enabled)
        privacy_add(text, room,
                    "As long as no more than %" PRIu32 " of the other sites work with the requester: ",
                    job->secure.tolerate_colluding);
    privacy_add(text, room,
                "Who sees all answers of the job, and knows all else, and held it for a toss-up %s, ",
                whether);
    if (sure >= PRIVACY_SURE)
        privacy_add(text, room, "may then be all but certain: such an epsilon protects little. ");
    else
        privacy_add(
            text, room,
            "cannot come to be surer of it than %.1f %% (but with a probability of about %g, the delta). ",
            100 * sure, job->privacy.delta);
}

static void privacy_warn(const struct screen *screen, char *text, size_t room)
{
    const struct job *job = screen->desk->job;
    uint64_t rows = screen->has_dataset ? screen->dataset.rows : 0;
    if (job->privacy.mechanism == JOB_SITE_LEVEL && job->site_count < PRIVACY_WEAK_SITES)
        privacy_add(
            text, room,
            "Weak: with %zu sites, fewer than %d, noise that hides one site is noise that hides most of "
            "what is learned, or hides little. ",
            job->site_count, PRIVACY_WEAK_SITES);
    if (job->privacy.mechanism != JOB_SITE_LEVEL && rows > 0 && job->privacy.delta * (double)rows >= 1)
        privacy_add(text, room,
                    "Weak: delta %g is one over your %" PRIu64
                    " rows or more, and a job that publishes one of them as it is would keep that promise. ",
                    job->privacy.delta, rows);
}

static void privacy_not(const struct job *job, char *text, size_t room)
{
    privacy_add(text, room, "Not protected: how long your site takes; that it takes part");
    if (job->privacy.mechanism == JOB_SITE_LEVEL)
        privacy_add(text, room,
                    "; single records by this promise alone (the budget counts them, with half of "
                    "the noise multiplier)");
    else
        privacy_add(text, room,
                    "; a person with several rows, or at two sites (k rows: about k times epsilon)");
    privacy_add(text, room, ". ");
}

void show_privacy_promise(const struct screen *screen, char *text, size_t room)
{
    privacy_worth(screen, text, room);
    privacy_warn(screen, text, room);
    privacy_not(screen->desk->job, text, room);
}

/* ---- the screen ---- */

static void privacy_print_noise(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    const struct job_privacy *privacy = &job->privacy;
    char text[SHOW_SUMMARY_BYTES] = "";
    if (!(privacy->noise_multiplier > 0))
        privacy_add(text, sizeof(text), "how much noise is not said (only target_epsilon is)");
    else
        privacy_add(text, sizeof(text), "noise multiplier %g%s, clip %g", privacy->noise_multiplier,
                    screen->all ? " (standard deviation over clip)" : "", privacy->clip);
    if (privacy->mechanism == JOB_SITE_LEVEL)
        privacy_add(text, sizeof(text), "; once in each of %" PRIu32 " rounds", screen->privacy.rounds);
    else
        privacy_add(text, sizeof(text), "; %" PRIu64 " step%s, %s with probability %g",
                    (uint64_t)screen->privacy.rounds * privacy->steps,
                    (uint64_t)screen->privacy.rounds * privacy->steps == 1 ? "" : "s",
                    screen->all ? "in each of which a row takes part" : "a row in each",
                    privacy->sampling_rate);
    if (job->secure.enabled && screen->all)
        privacy_add(text, sizeof(text),
                    "; each site adds a part, so that any %" PRIu32 " honest ones have all",
                    privacy_plan_honest(job));
    show_indented(text);
}

static void privacy_print_counts(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    uint32_t evaluations = screen->privacy.evaluations;
    char text[SHOW_TEXT_BYTES];
    if (evaluations == 0)
        (void)snprintf(text, sizeof(text), "no counts of test rows leave, and no accuracy");
    else
        (void)snprintf(text, sizeof(text),
                       "counts of test rows leave %" PRIu32
                       " time%s, %swith noise of deviation %g%s; nothing exactly",
                       evaluations, evaluations == 1 ? "" : "s", job->secure.enabled ? "" : "each ",
                       job->privacy.metrics_noise, job->secure.enabled ? " or more" : "");
    show_indented(text);
}

static void privacy_print_figures(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    char figure[SHOW_TEXT_BYTES], worst[PRIVACY_BOUND_BYTES];
    privacy_figure(screen->privacy.epsilon, job->privacy.delta, figure);
    privacy_bound(screen->privacy.worst, BUDGET_EPSILON_DIGITS, worst);
    (void)printf(SHOW_LABEL "%s%s%s, a whole run (PLD)", "", terminal_style(stdout, STYLE_BOLD), figure,
                 terminal_style(stdout, STYLE_PLAIN));
    if (privacy_plan_honest(job) > 1 && isfinite(screen->privacy.worst))
        (void)printf("; %s if all others colluded", worst);
    else if (privacy_plan_honest(job) > 1)
        (void)printf("; none if all others colluded");
    (void)putchar('\n');
}

/* The owner's eyes only: how many rows there are does not leave in a private job. */
static void privacy_print_declared(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    double rows = (double)screen->dataset.rows * (1 - job->test_fraction);
    if (screen->privacy.declared == 0)
        return;
    (void)printf(SHOW_LABEL "%" PRIu64 " training rows of this site, in the job", "Declared",
                 screen->privacy.declared);
    if (screen->has_dataset)
        (void)printf("; it has about %.0f, which nobody is told", rows);
    (void)printf("\n");
}

/* Of a job that may still begin a run, what it takes and leaves; what keeps it from being approved is said as such, once. */
static void privacy_print_budget(const struct screen *screen)
{
    const struct budget_offer *offer = &screen->privacy.offer;
    char text[2 * SHOW_TEXT_BYTES], figure[SHOW_TEXT_BYTES];
    if (!screen->privacy.has_offer || strcmp(screen->obstacle, offer->sentence) == 0)
        return;
    if (screen->desk->record.state != JOB_STATE_RUNNING) {
        show_paragraph("Budget", offer->sentence);
        return;
    }
    privacy_figure(offer->epsilon, offer->delta, figure);
    (void)snprintf(text, sizeof(text), "a run takes %s of that of its records: %s budget %s", figure,
                   screen->program, screen->desk->job->dataset);
    show_paragraph("Budget", text);
}

void show_privacy_print(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    (void)printf(SHOW_LABEL "%s protects %s\n", "Privacy", job_mechanism_word(job->privacy.mechanism),
                 privacy_unit(job));
    privacy_print_noise(screen);
    privacy_print_counts(screen);
    privacy_print_figures(screen);
    privacy_print_declared(screen);
    privacy_print_budget(screen);
}

/* ---- in short ---- */

static void brief_what(const struct screen *screen, char *text, size_t room)
{
    const struct job *job = screen->desk->job;
    uint32_t rounds = screen->privacy.rounds;
    if (job->secure.enabled)
        privacy_add(text, room, "sums over at least %zu of %zu sites, of ", secagg_roster_least(job),
                    job->site_count);
    if (screen->has_dataset)
        privacy_add(text, room, "%" PRIu64 " numbers, ", screen_coefficients(screen));
    else
        privacy_add(text, room, "all numbers of the model, ");
    privacy_add(text, room, "each with noise, leave in %s%" PRIu32 " round%s%s; ",
                rounds == 1 ? "" : "each of ", rounds, rounds == 1 ? "" : "s",
                screen->privacy.evaluations > 0 ? ", and noised counts" : "");
    if (screen->has_terms)
        privacy_add(text, room, "%" PRIu32 " run%s, %" PRIu32 " begun. ", screen->terms.runs,
                    screen->terms.runs == 1 ? "" : "s", screen->runs_used);
    else
        privacy_add(text, room, "one run%s. ", job->secure.enabled ? "" : " unless you approve more");
}

static void brief_worth(const struct screen *screen, char *text, size_t room)
{
    const struct job *job = screen->desk->job;
    double sure = 1 / (1 + exp(-screen->privacy.epsilon));
    if (isinf(screen->privacy.epsilon)) {
        privacy_add(text, room, "With so little noise nothing is promised. ");
        return;
    }
    if (job->secure.enabled)
        privacy_add(text, room, "While at most %" PRIu32 " of the others work with the requester, ",
                    job->secure.tolerate_colluding);
    privacy_add(text, room, "%s held it for a toss-up whether %s ", job->secure.enabled ? "who" : "Who",
                job->privacy.mechanism == JOB_SITE_LEVEL ? "your site's data had any part"
                                                         : "a certain record is among yours");
    if (sure >= PRIVACY_SURE)
        privacy_add(text, room, "may be all but certain then: that protects little. ");
    else
        privacy_add(text, room, "is then at most %.1f %% sure (but with probability %g). ", 100 * sure,
                    job->privacy.delta);
}

static void brief_weak(const struct screen *screen, char *text, size_t room)
{
    const struct job *job = screen->desk->job;
    bool site_level = job->privacy.mechanism == JOB_SITE_LEVEL;
    if (site_level && job->site_count < PRIVACY_WEAK_SITES)
        privacy_add(text, room, "Weak: fewer than %d sites. ", PRIVACY_WEAK_SITES);
    if (!site_level && screen->has_dataset && job->privacy.delta * (double)screen->dataset.rows >= 1)
        privacy_add(text, room, "Weak: delta %g is one over your %" PRIu64 " rows or more. ",
                    job->privacy.delta, screen->dataset.rows);
    privacy_add(text, room, "Not protected: that you take part, and how long it takes; %s. ",
                site_level ? "single records" : "a person with several rows");
}

void show_privacy_brief(const struct screen *screen, char ret_text[static SHOW_SUMMARY_BYTES])
{
    const struct job *job = screen->desk->job;
    const struct policy_output *output = policy_gate_output(&screen->policy->gate, job->dataset);
    (void)snprintf(ret_text, SHOW_SUMMARY_BYTES, "In short: ");
    brief_what(screen, ret_text, SHOW_SUMMARY_BYTES);
    brief_worth(screen, ret_text, SHOW_SUMMARY_BYTES);
    brief_weak(screen, ret_text, SHOW_SUMMARY_BYTES);
    privacy_add(ret_text, SHOW_SUMMARY_BYTES, "Your policy adds: at least %" PRIu64 " declared rows",
                output->min_rows);
    if (!job->secure.enabled)
        show_hold(screen, ret_text);
    privacy_add(ret_text, SHOW_SUMMARY_BYTES, ". More: %s show %s --all", screen->program, screen->desk->id);
}

void show_privacy_summary(const struct screen *screen, char ret_text[static SHOW_SUMMARY_BYTES])
{
    const struct job *job = screen->desk->job;
    uint32_t rounds = screen->privacy.rounds;
    const struct policy_output *output = policy_gate_output(&screen->policy->gate, job->dataset);
    (void)snprintf(ret_text, SHOW_SUMMARY_BYTES, "In short: ");
    if (screen->has_dataset)
        privacy_add(ret_text, SHOW_SUMMARY_BYTES, "%" PRIu64 " numbers, ", screen_coefficients(screen));
    else
        privacy_add(ret_text, SHOW_SUMMARY_BYTES, "all numbers of the model, ");
    privacy_add(ret_text, SHOW_SUMMARY_BYTES, "each with noise, leave in %s%" PRIu32 " round%s%s; ",
                rounds == 1 ? "" : "each of ", rounds, rounds == 1 ? "" : "s",
                screen->privacy.evaluations > 0 ? ", and noised counts" : "");
    if (screen->has_terms)
        privacy_add(ret_text, SHOW_SUMMARY_BYTES, "%" PRIu32 " run%s, %" PRIu32 " begun. ",
                    screen->terms.runs, screen->terms.runs == 1 ? "" : "s", screen->runs_used);
    else
        privacy_add(ret_text, SHOW_SUMMARY_BYTES, "one run%s. ",
                    job->secure.enabled ? "" : " unless you approve more, each of which takes as much again");
    show_privacy_promise(screen, ret_text, SHOW_SUMMARY_BYTES);
    privacy_add(ret_text, SHOW_SUMMARY_BYTES, "Your policy adds: at least %" PRIu64 " declared rows",
                output->min_rows);
    if (output->max_job_bytes > 0)
        privacy_add(ret_text, SHOW_SUMMARY_BYTES, ", all answers together at most %" PRIu64 " bytes",
                    output->max_job_bytes);
    show_hold(screen, ret_text);
    if (screen->policy->gate.four_eyes)
        privacy_add(ret_text, SHOW_SUMMARY_BYTES, "; two owners' keys are needed, %zu agreed",
                    screen->owners);
    privacy_add(ret_text, SHOW_SUMMARY_BYTES, ".");
}

/* ---- JSON ---- */

/* null: none, or more than can be accounted. */
static json_t *privacy_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *privacy_json_offer(const struct screen_privacy *privacy)
{
    const struct budget_offer *offer = &privacy->offer;
    if (!privacy->has_offer)
        return json_null();
    return json_pack("{s:b, s:b, s:o, s:f, s:o, s:o, s:I, s:o, s:s}", "capped", offer->capped, "fits",
                     offer->fits, "epsilon", privacy_json_real(offer->epsilon), "delta", offer->delta,
                     "left_epsilon", privacy_json_real(offer->capped ? offer->left_epsilon : NAN),
                     "left_delta", privacy_json_real(offer->capped ? offer->left_delta : NAN),
                     "rounds_that_fit", (json_int_t)offer->rounds_that_fit, "noise_that_fits",
                     privacy_json_real(offer->noise_that_fits > 0 ? offer->noise_that_fits : NAN), "sentence",
                     offer->sentence);
}

json_t *show_privacy_json(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    const struct job_privacy *privacy = &job->privacy;
    char promise[SHOW_SUMMARY_BYTES] = "";
    bool site_level = privacy->mechanism == JOB_SITE_LEVEL;
    if (!job_private(job))
        return json_null();
    show_privacy_promise(screen, promise, sizeof(promise));
    return json_pack(
        "{s:s, s:s, s:o, s:f, s:f, s:f, s:I, s:I, s:o, s:o, s:o, s:o, s:b, s:b, s:s}", "mechanism",
        job_mechanism_word(privacy->mechanism), "unit", site_level ? "site" : "record", "noise_multiplier",
        privacy_json_real(privacy->noise_multiplier > 0 ? privacy->noise_multiplier : NAN), "clip",
        privacy->clip, "sampling_rate", privacy->sampling_rate, "delta", privacy->delta, "steps",
        (json_int_t)screen->privacy.rounds * privacy->steps, "evaluations",
        (json_int_t)screen->privacy.evaluations, "metrics_noise",
        privacy_json_real(privacy->metrics_noise > 0 ? privacy->metrics_noise : NAN), "epsilon",
        privacy_json_real(screen->privacy.epsilon), "epsilon_if_all_others_collude",
        privacy_json_real(screen->privacy.worst), "declared_examples",
        screen->privacy.declared > 0 ? json_integer((json_int_t)screen->privacy.declared) : json_null(),
        "weak_few_sites", site_level && job->site_count < PRIVACY_WEAK_SITES, "weak_delta",
        !site_level && screen->has_dataset && privacy->delta * (double)screen->dataset.rows >= 1, "promise",
        promise);
}

json_t *show_privacy_budget_json(const struct screen *screen)
{
    return privacy_json_offer(&screen->privacy);
}
