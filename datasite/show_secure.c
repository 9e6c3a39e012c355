/* What an owner has to know of a job with secure aggregation: with whom its numbers are summed, what that hides, and
 * what it does not. */
#include "datasite/show_parts.h"

#include "console/terminal.h"
#include "datasite/approval_terms.h"
#include "datasite/secagg_roster.h"

#include <inttypes.h>
#include <stdarg.h>

#define SECURE_STRANGERS 8     /* sites that the owner does not know, listed without --json */
#define SECURE_SITES_BYTES 800 /* of the list of the others: ten lines */

static const struct policy_partner *secure_partner(const struct screen *screen, const struct job_site *site)
{
    return policy_gate_partner(&screen->policy->gate, site->fingerprint);
}

static bool secure_is_own(const struct screen *screen, const struct job_site *site)
{
    char own[FINGERPRINT_BYTES];
    site_id_format(identity_id(screen->desk->identity), own);
    return strcmp(own, site->fingerprint) == 0;
}

/* Of what is masked in a round: the number of rows (not of a private job), the coefficients, the counts. */
static size_t secure_words(const struct screen *screen)
{
    size_t words = (size_t)screen_coefficients(screen) + (job_private(screen->desk->job) ? 0 : 1);
    if (screen->desk->job->metrics == JOB_METRICS_POOLED)
        words += (size_t)screen->dataset.classes * screen->dataset.classes;
    return words;
}

static bool secure_verifies(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    if (!screen->has_dataset) /* how long the vector is, nobody knows here */
        return job->secure.verify_sum == JOB_VERIFY_SUM_YES;
    return job_verifies_sum(job, secure_words(screen));
}

/* Honest sites behind every sum, this one included. */
static size_t secure_honest(const struct job *job)
{
    return secagg_roster_least(job) - job->secure.tolerate_colluding;
}

/* ---- in sentences ---- */

__attribute__((format(printf, 2, 3))) static void secure_add(char text[static SHOW_SUMMARY_BYTES],
                                                             const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, SHOW_SUMMARY_BYTES - used, format, arguments);
    va_end(arguments);
}

static void secure_what(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    const struct job *job = screen->desk->job;
    const struct job_secure_aggregation *secure = &job->secure;
    uint32_t rounds = screen->has_terms ? screen->terms.rounds : job->rounds;
    bool pooled = job->metrics == JOB_METRICS_POOLED;
    bool evaluated = pooled && rounds == job->rounds; /* of fewer rounds, the last model is not */
    secure_add(text, "one masked vector leaves in %s%" PRIu32 " round%s%s, in one run. Under the masks are ",
               rounds == 1 ? "" : "each of ", rounds, rounds == 1 ? "" : "s",
               evaluated ? " and after the last" : "");
    if (screen->has_dataset)
        secure_add(text, "the changes of %" PRIu64 " coefficients", screen_coefficients(screen));
    else
        secure_add(text, "the changes of all coefficients");
    if (job_private(job))
        secure_add(text, ", each with your part of the noise");
    else
        secure_add(text, ", cut at %g", secure->clip);
    if (!job_private(job) && job->weighting == JOB_WEIGHT_EXAMPLES)
        secure_add(text, " and weighted by the number of rows you trained on, and that number");
    if (pooled && screen->has_dataset)
        secure_add(text, ", and how your test rows are classified (%" PRIu32 " x %" PRIu32 " counts)",
                   screen->dataset.classes, screen->dataset.classes);
    else if (pooled)
        secure_add(text, ", and how your test rows are classified");
    if (pooled && job_private(job))
        secure_add(text, ", with noise too");
    secure_add(text, ". ");
}

static void secure_who(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    const struct job *job = screen->desk->job;
    uint32_t colluding = job->secure.tolerate_colluding;
    secure_add(text,
               "Nobody reads yours alone: the requester and the sites learn the sum over at least %zu of %zu "
               "sites, yours among them, as long as no more than %" PRIu32 " of the others work%s with the "
               "requester. ",
               secagg_roster_least(job), job->site_count, colluding, colluding == 1 ? "s" : "");
    if (secure_verifies(screen))
        secure_add(text,
                   "Your site adds up the masked vectors itself (verify_sum) and refuses a false sum. ");
    else
        secure_add(text,
                   "No site checks the sum (verify_sum: false): the requester can announce a false one, "
                   "and with it a model that is crafted to make later sums tell more. ");
}

/* What two sums over nearly the same sites tell, and what would do. */
static void secure_difference(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    const struct job *job = screen->desk->job;
    bool weighted = job->weighting == JOB_WEIGHT_EXAMPLES;
    bool pooled = job->metrics == JOB_METRICS_POOLED;
    bool refuses = screen->policy->gate.secure.differences == POLICY_DIFFERENCES_REFUSE;
    if (job_private(job)) {
        secure_add(
            text,
            "Two sums that differ by your site alone differ by your part with your part of the noise. ");
        return;
    }
    secure_add(
        text,
        "Two sums that differ by your site alone tell %s%s%snearly your changes if the model hardly moved "
        "in between; against that: %s%sdifferences: refuse %s, or noise (privacy: {mechanism: "
        "distributed-dp}). ",
        weighted ? "exactly how many rows you train on, " : "",
        pooled ? "exactly how many of your test rows have each label, " : "",
        weighted || pooled ? "and " : "", weighted ? "weighting: equal, " : "",
        pooled ? "metrics: none, " : "",
        refuses ? "in the partners' policies, as in yours" : "in your policy and the partners'");
}

static void secure_not(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    const struct job *job = screen->desk->job;
    size_t honest = secure_honest(job);
    secure_add(
        text,
        "Not hidden: what a sum with %zu honest site%s in it tells by itself. Should more than %" PRIu32
        " of the others collude, they see yours%s; and a site can spoil the model unseen. ",
        honest, honest == 1 ? "" : "s", job->secure.tolerate_colluding,
        job_private(job) ? ", with your part of the noise alone" : "");
    secure_difference(screen, text);
    if (!job_private(job) && screen->has_likeness && strcmp(screen->likeness_word, "denied") != 0)
        secure_add(text,
                   "You %s a job that is like this one: where two jobs differ by one site, their sums differ "
                   "by that site's numbers. ",
                   screen->likeness_word);
}

static void secure_bounds(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES])
{
    const struct policy_output *output =
        policy_gate_output(&screen->policy->gate, screen->desk->job->dataset);
    secure_add(text, "Your policy adds: at least %" PRIu64 "%s rows", output->min_rows,
               job_private(screen->desk->job) ? " declared" : "");
    if (output->max_update_norm > 0)
        secure_add(text, ", updates move by at most %g", output->max_update_norm);
    if (output->max_job_bytes > 0)
        secure_add(text, ", all answers together at most %" PRIu64 " bytes", output->max_job_bytes);
    if (screen->policy->gate.four_eyes)
        secure_add(text, "; two owners' keys are needed, %zu agreed", screen->owners);
    if (screen->has_terms && screen->terms.allow_growth)
        secure_add(text, "; rows may be added");
    secure_add(text, ".");
}

void show_secure_summary(const struct screen *screen, char ret_text[static SHOW_SUMMARY_BYTES])
{
    (void)snprintf(ret_text, SHOW_SUMMARY_BYTES, "In short: ");
    secure_what(screen, ret_text);
    secure_who(screen, ret_text);
    secure_not(screen, ret_text);
    if (job_private(screen->desk->job))
        show_privacy_promise(screen, ret_text, SHOW_SUMMARY_BYTES);
    secure_bounds(screen, ret_text);
}

/* ---- the sites ---- */

/* "city-hospital: clinic a, clinic b; " as much as fits. */
static void secure_organisation(const struct screen *screen, uint16_t number,
                                char text[static SHOW_SUMMARY_BYTES])
{
    const struct job *job = screen->desk->job;
    const char *organisation = screen->policy->organisations[number];
    size_t sites = 0;
    for (size_t i = 0; i < job->site_count && strlen(text) < SECURE_SITES_BYTES; i++) {
        const struct policy_partner *partner = secure_partner(screen, &job->sites[i]);
        bool own = secure_is_own(screen, &job->sites[i]);
        char name[2 * JOB_SITE_NAME_BYTES];
        if (own ? number != POLICY_OWN_ORGANISATION : partner == NULL || partner->organisation != number)
            continue;
        terminal_clean(job->sites[i].name, name, sizeof(name));
        if (sites++ == 0)
            secure_add(text, "%s%s", text[0] == '\0' ? "" : "; ",
                       organisation[0] == '\0' ? "" : organisation);
        secure_add(text, "%s%s%s",
                   sites > 1                 ? ", "
                   : organisation[0] == '\0' ? ""
                                             : ": ",
                   name, own ? " (this site)" : "");
    }
}

static size_t secure_count_strangers(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    size_t count = 0;
    for (size_t i = 0; i < job->site_count; i++)
        count += !secure_is_own(screen, &job->sites[i]) && secure_partner(screen, &job->sites[i]) == NULL;
    return count;
}

static void secure_print_strangers(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    size_t strangers = secure_count_strangers(screen), shown = 0;
    if (strangers == 0)
        return;
    (void)printf("%s%zu of them not among your partners%s, so your site refuses:\n",
                 terminal_style(stdout, STYLE_BAD), strangers, terminal_style(stdout, STYLE_PLAIN));
    for (size_t i = 0; i < job->site_count && shown < SECURE_STRANGERS; i++) {
        char name[2 * JOB_SITE_NAME_BYTES];
        if (secure_is_own(screen, &job->sites[i]) || secure_partner(screen, &job->sites[i]) != NULL)
            continue;
        terminal_clean(job->sites[i].name, name, sizeof(name));
        (void)printf(SHOW_LABEL "%s\n%-9s%s\n", "", name, "", job->sites[i].fingerprint);
        shown++;
    }
    if (strangers > shown)
        (void)printf(SHOW_LABEL "and %zu more: --json lists all\n", "", strangers - shown);
    (void)printf(SHOW_LABEL "%s trust partner FINGERPRINT --organisation NAME\n", "If known",
                 screen->program);
}

/* Shares of a secret are with neighbours in the graph alone, and how many of them it takes is the graph's. */
static void secure_print_raised(const struct job *job)
{
    size_t least = secagg_threshold(job->site_count, job->secure.tolerate_colluding);
    if (job->site_count > SECAGG_COMPLETE && job->secure.threshold > least)
        (void)printf(SHOW_LABEL "threshold above %zu: more signatures and contributors, no more shares\n", "",
                     least);
}

/* The job could be approved, and would fail here. */
static void secure_print_excess(const struct screen *screen)
{
    uint64_t rows = screen->has_dataset ? approval_terms_excess(screen->desk->job, &screen->dataset) : 0;
    if (rows > 0)
        (void)printf(SHOW_LABEL "%sThis site has about %" PRIu64 ", so round 1 would fail here.%s\n", "",
                     terminal_style(stdout, STYLE_WARN), rows, terminal_style(stdout, STYLE_PLAIN));
}

void show_secure_print(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    const struct job_secure_aggregation *secure = &job->secure;
    char sites[SHOW_SUMMARY_BYTES] = "";
    size_t least = secagg_roster_least(job);
    bool brief = job_private(job) && !screen->all;
    (void)printf(SHOW_LABEL "masked, over %s%zu of %zu sites; threshold %" PRIu32 ", %" PRIu32
                            " may collude%s\n",
                 "Sums", least < job->site_count ? "at least " : "", least, job->site_count,
                 secure->threshold, secure->tolerate_colluding,
                 !brief                    ? ""
                 : secure_verifies(screen) ? "; verify_sum true"
                                           : "; verify_sum false");
    if (job_private(job) && screen->all) {
        (void)printf(SHOW_LABEL "verify_sum %s; ring %" PRIu32 ": bits of each masked number\n", "",
                     secure_verifies(screen) ? "true" : "false", secure->ring);
    } else if (!job_private(job)) {
        (void)printf(SHOW_LABEL "clip %g, verify_sum %s; ring %" PRIu32 ": bits of each masked number\n", "",
                     secure->clip, secure_verifies(screen) ? "true" : "false", secure->ring);
        (void)printf(SHOW_LABEL "max_examples %" PRIu64 ": most training rows a site may have\n", "",
                     secure->max_examples);
        secure_print_excess(screen);
    }
    if (!brief)
        (void)printf(SHOW_LABEL "key_batch %" PRIu32 ": keys are exchanged for so many rounds at once\n", "",
                     secure->key_batch);
    secure_print_raised(job);
    for (uint16_t i = 0; i < screen->policy->organisation_count; i++)
        secure_organisation(screen, i, sites);
    if (strlen(sites) >= SECURE_SITES_BYTES)
        secure_add(sites, "; and others: --json lists all");
    show_paragraph("Sites", sites);
    secure_print_strangers(screen);
}

/* ---- JSON ---- */

/* "organisation" is as policy.yaml calls it, null without a name; "known": whether it is there. */
static json_t *secure_json_sites(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    json_t *array = json_array();
    for (size_t i = 0; i < job->site_count; i++) {
        const struct policy_partner *partner = secure_partner(screen, &job->sites[i]);
        bool own = secure_is_own(screen, &job->sites[i]);
        uint16_t number = own || partner == NULL ? POLICY_OWN_ORGANISATION : partner->organisation;
        const char *organisation = own || partner != NULL ? screen->policy->organisations[number] : "";
        char name[2 * JOB_SITE_NAME_BYTES];
        terminal_clean(job->sites[i].name, name, sizeof(name));
        (void)json_array_append_new(array, json_pack("{s:s, s:s, s:b, s:b, s:s?}", "name", name,
                                                     "fingerprint", job->sites[i].fingerprint, "this_site",
                                                     own, "known", own || partner != NULL, "organisation",
                                                     organisation[0] == '\0' ? NULL : organisation));
    }
    return array;
}

json_t *show_secure_json(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    const struct job_secure_aggregation *secure = &job->secure;
    if (!secure->enabled)
        return json_null();
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:b, s:o}", "threshold", (json_int_t)secure->threshold,
        "tolerate_colluding", (json_int_t)secure->tolerate_colluding, "least_sites",
        (json_int_t)secagg_roster_least(job), "ring", (json_int_t)secure->ring, "clip", secure->clip,
        "max_examples", (json_int_t)secure->max_examples, "key_batch", (json_int_t)secure->key_batch,
        "verify_sum", secure_verifies(screen), "sites", secure_json_sites(screen));
}
