#include "orchestrator/report_privacy.h"

#include "console/terminal.h"
#include "crypto/privacy_plan.h"
#include "orchestrator/job_file.h"
#include "orchestrator/noised_counts.h"
#include "orchestrator/report_parts.h"

#include <math.h>

bool report_private(const struct run_record *record)
{
    return job_private(record->job);
}

const char *report_privacy_unit(const struct job *job)
{
    return job->privacy.mechanism == JOB_SITE_LEVEL ? "one site's update" : "one record of a site";
}

/* A figure that cannot be computed is none. */
static double price_by(const struct job *job, enum privacy_accountant accountant, struct run_spent spent)
{
    double epsilon = NAN;
    struct error *err = privacy_plan_epsilon(job, accountant, spent.rounds, spent.evaluations, &epsilon);
    error_free(err);
    return err == NULL ? epsilon : (double)NAN;
}

struct report_price report_privacy_spent(const struct run_record *record, size_t site,
                                         struct report_prices *prices)
{
    struct report_price price = {.pld = record->epsilon, .rdp = record->epsilon_rdp};
    if (!record->mock)
        price.spent = run_spent_of(record, site);
    if (run_spent_whole(record->job, price.spent))
        return price;
    for (size_t i = 0; i < prices->count; i++)
        if (prices->known[i].spent.rounds == price.spent.rounds &&
            prices->known[i].spent.evaluations == price.spent.evaluations)
            return prices->known[i];
    price.pld = price_by(record->job, PRIVACY_PLD, price.spent);
    price.rdp = price_by(record->job, PRIVACY_RDP, price.spent);
    if (prices->count < REPORT_PRICES)
        prices->known[prices->count++] = price;
    return price;
}

static bool any_counts(const struct run_record *record)
{
    for (size_t i = 0; i < record->round_count; i++)
        if (record->rounds[i].pooled_noised != NULL)
            return true;
    return false;
}

void report_privacy_metrics(const struct run_record *record, char ret_text[static REPORT_PRIVACY_BYTES])
{
    const struct job_privacy *privacy = &record->job->privacy;
    if (record->job->model == JOB_FEATURE_STATISTICS)
        (void)snprintf(ret_text, REPORT_PRIVACY_BYTES, "Statistics predict nothing: there are no metrics.");
    else if (!(privacy->metrics_noise > 0))
        (void)snprintf(ret_text, REPORT_PRIVACY_BYTES,
                       "No counts of the sites' test rows were released: the job has no "
                       "privacy.metrics_noise to release "
                       "them with, and exact ones never leave a site in a private job.");
    else if (!any_counts(record))
        (void)snprintf(
            ret_text, REPORT_PRIVACY_BYTES,
            "The job lets counts of test rows leave with noise of the standard deviation %g, and none "
            "were received. Exact counts never leave a site in a private job.",
            privacy->metrics_noise);
    else if (record->mock)
        (void)snprintf(
            ret_text, REPORT_PRIVACY_BYTES,
            "Counts of mock rows were given the noise of the standard deviation %g that counts of the sites' "
            "test rows will leave with.",
            privacy->metrics_noise);
    else
        (void)snprintf(
            ret_text, REPORT_PRIVACY_BYTES,
            "Counts of the sites' test rows left with noise of the standard deviation %g %s, %s, "
            "which the epsilon of the job includes: accuracies from them are estimates, given with "
            "their own standard deviation. Exact counts never leave a site in a private job.",
            privacy->metrics_noise,
            record->job->secure.enabled ? "at least, on the sum over the sites" : "at each site",
            privacy->metrics_rounds == JOB_METRICS_ALL ? "of each round's model" : "of the last model alone");
}

void report_privacy_meaning(const struct run_record *record, char ret_text[static REPORT_PRIVACY_BYTES])
{
    if (record->job->privacy.mechanism == JOB_SITE_LEVEL)
        (void)snprintf(
            ret_text, REPORT_PRIVACY_BYTES,
            "Epsilon bounds what all releases of the job tell of one site's update being there or not. It "
            "says "
            "nothing of single records beyond that, and with few sites the noise it takes is large.");
    else
        (void)snprintf(
            ret_text, REPORT_PRIVACY_BYTES,
            "Epsilon bounds what all releases of the job tell of one record being there or not. A person "
            "with "
            "several records, or at several sites, is outside it. It counts what was received here; a "
            "site's own ledger also has steps whose answers never arrived.");
}

void report_privacy_collusion(const struct run_record *record, char ret_text[static REPORT_PRIVACY_BYTES])
{
    const struct job *job = record->job;
    uint32_t honest = privacy_plan_honest(job);
    ret_text[0] = '\0';
    if (honest < 2)
        return;
    if (isnan(record->epsilon_worst))
        (void)snprintf(ret_text, REPORT_PRIVACY_BYTES,
                       "Each site adds a share of the noise, and the figure rests on the shares of %u honest "
                       "sites: if all "
                       "others worked together with the orchestrator, next to nothing would be left of it.",
                       (unsigned)honest);
    else {
        char worst[PRIVACY_BOUND_BYTES];
        privacy_bound(record->epsilon_worst, PRIVACY_BOUND_DIGITS, worst);
        (void)snprintf(ret_text, REPORT_PRIVACY_BYTES,
                       "Each site adds a share of the noise, and the figure rests on the shares of %u honest "
                       "sites: if all "
                       "others worked together with the orchestrator, epsilon would be %s.",
                       (unsigned)honest, worst);
    }
}

void report_privacy_trial(const struct run_record *record, char ret_text[static REPORT_PRIVACY_BYTES])
{
    ret_text[0] = '\0';
    if (!record->mock)
        return;
    switch (record->job->privacy.mechanism) {
    case JOB_NO_PRIVACY:
    case JOB_SITE_LEVEL:
        return;
    case JOB_DP_SGD:
    case JOB_DISTRIBUTED_DP:
        break;
    }
    (void)snprintf(
        ret_text, REPORT_PRIVACY_BYTES,
        "Sums over mock rows were divided by the numbers of rows that the job declares, as sums at the "
        "sites will be, and not by how many mock rows there are: where those are fewer, %s is as much "
        "smaller than it will be, and the noise weighs more.",
        record->job->model == JOB_FEATURE_STATISTICS ? "every figure" : "every step");
}

const char *report_privacy_spent_by(const struct run_record *record, double epsilon_spent)
{
    return privacy_accountant_word(epsilon_spent == record->epsilon ? PRIVACY_PLD : PRIVACY_RDP);
}

void report_privacy_accuracy(const struct run_record *record, const struct round_record *round,
                             double *ret_accuracy, double *ret_deviation)
{
    *ret_accuracy = *ret_deviation = NAN;
    if (round->pooled_noised != NULL)
        noised_counts_accuracy(round->pooled_noised, round->pooled_noise, record->classes, ret_accuracy,
                               ret_deviation);
}

double report_privacy_so_far(const struct run_record *record, const struct round_record *round)
{
    double most = NAN;
    for (size_t i = 0; i < record->job->site_count; i++)
        most = fmax(most, round->sites[i].epsilon_spent);
    return most;
}

/* ---- report.json ---- */

static json_t *json_of_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *report_privacy_counts(const struct run_record *record, const struct round_record *round)
{
    double accuracy = NAN, deviation = NAN;
    if (round->pooled_noised == NULL)
        return json_null();
    json_t *rows = json_array();
    for (size_t i = 0; i < record->classes; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < record->classes; j++)
            (void)json_array_append_new(row, json_of_real(round->pooled_noised[i * record->classes + j]));
        (void)json_array_append_new(rows, row);
    }
    report_privacy_accuracy(record, round, &accuracy, &deviation);
    return json_pack("{s:o, s:o, s:o, s:o, s:i}", "confusion", rows, "standard_deviation",
                     json_of_real(round->pooled_noise), "accuracy", json_of_real(accuracy),
                     "accuracy_standard_deviation", json_of_real(deviation), "sites",
                     (int)round->pooled_sites);
}

static json_t *json_of_site(const struct run_record *record, size_t site, struct report_prices *prices)
{
    const struct job_site *named = &record->job->sites[site];
    struct report_price price = report_privacy_spent(record, site, prices);
    return json_pack("{s:s, s:I, s:i, s:i, s:o, s:o}", "name", named->name, "examples",
                     (json_int_t)named->examples, "rounds", (int)price.spent.rounds, "evaluations",
                     (int)price.spent.evaluations, "epsilon", json_of_real(price.pld), "epsilon_rdp",
                     json_of_real(price.rdp));
}

json_t *report_privacy_json(const struct run_record *record)
{
    const struct job *job = record->job;
    const struct job_privacy *privacy = &job->privacy;
    bool site_level = privacy->mechanism == JOB_SITE_LEVEL;
    bool counted = privacy->metrics_noise > 0;
    struct report_prices prices = {0};
    char warning[JOB_FILE_WARNING_BYTES];
    if (!report_private(record))
        return json_null();
    json_t *sites = json_array();
    for (size_t i = 0; i < job->site_count; i++)
        (void)json_array_append_new(sites, json_of_site(record, i, &prices));
    job_file_warning(job, warning);
    return json_pack(
        "{s:s, s:s, s:f, s:f, s:o, s:i, s:i, s:f, s:o, s:i, s:s, s:o, s:s?, s:s, s:o, s:o, s:o, s:s, s:o, "
        "s:s?}",
        "mechanism", job_mechanism_word(privacy->mechanism), "unit", site_level ? "site" : "record", "clip",
        privacy->clip, "noise_multiplier", privacy->noise_multiplier, "sampling_rate",
        site_level ? json_null() : json_real(privacy->sampling_rate), "steps_per_round", (int)privacy->steps,
        "rounds", (int)job->rounds, "delta", privacy->delta, "target_epsilon",
        privacy->target_epsilon > 0 ? json_real(privacy->target_epsilon) : json_null(), "honest_sites",
        (int)privacy_plan_honest(job), "metrics", counted ? "noised" : "not released", "metrics_noise",
        counted ? json_real(privacy->metrics_noise) : json_null(), "metrics_rounds",
        counted ? job_metrics_rounds_word(privacy->metrics_rounds) : NULL, "accountant", "pld", "epsilon",
        json_of_real(record->epsilon), "epsilon_rdp", json_of_real(record->epsilon_rdp), "epsilon_worst",
        json_of_real(record->epsilon_worst), "epsilon_spent_by",
        "rdp, never above the epsilon of the job; when all of the job was released, that, by pld", "sites",
        sites, "warning", warning[0] == '\0' ? NULL : warning);
}

/* ---- terminal ---- */

void report_privacy_print_pooled(FILE *stream, const struct run_record *record,
                                 const struct round_record *round)
{
    double accuracy = NAN, deviation = NAN;
    report_privacy_accuracy(record, round, &accuracy, &deviation);
    if (!isnan(accuracy))
        (void)fprintf(stream,
                      "  Pooled accuracy after epoch %u, from noised counts of %u site%s: %.4f ± %.4f\n",
                      (unsigned)round->round, (unsigned)round->pooled_sites,
                      round->pooled_sites == 1 ? "" : "s", accuracy, deviation);
    else if (round->pooled_noised != NULL)
        (void)fprintf(
            stream,
            "  Pooled accuracy after epoch %u: not known, too few rows for the noise of their counts\n",
            (unsigned)round->round);
}

/* Under secure aggregation the counts of a model come with the next sum. */
void report_privacy_print_round(FILE *stream, const struct run_record *record,
                                const struct round_record *round)
{
    double so_far = report_privacy_so_far(record, round);
    if (!run_record_masked(record))
        report_privacy_print_pooled(stream, record, round);
    else if (round != record->rounds)
        report_privacy_print_pooled(stream, record, round - 1);
    if (isnan(so_far))
        return;
    char spent[PRIVACY_BOUND_BYTES], all[PRIVACY_BOUND_BYTES];
    privacy_bound(so_far, PRIVACY_BOUND_DIGITS, spent);
    privacy_bound(record->epsilon, PRIVACY_BOUND_DIGITS, all);
    (void)fprintf(stream,
                  "  Privacy: epsilon %s spent so far (%s), of %s of the whole job (pld), at delta %g\n",
                  spent, report_privacy_spent_by(record, so_far), all, record->job->privacy.delta);
}

/* Columns of sites have it in clear, where their shares of the sum are not all that is known of them. */
void report_privacy_print_legend(FILE *stream, const struct run_record *record)
{
    if (record->mock || record->job->secure.enabled)
        return;
    (void)fputs(
        "eps: spent so far, at most: by Rényi divergences (rdp), or the figure of the whole job by privacy\n"
        "loss distributions (pld) where that is lower.\n",
        stream);
}

/* Sites that did not release all of the job. */
static void print_parts(FILE *stream, const struct run_record *record)
{
    struct report_prices prices = {0};
    for (size_t i = 0; i < record->job->site_count; i++) {
        char name[JOB_SITE_NAME_BYTES * 2];
        struct report_price price = report_privacy_spent(record, i, &prices);
        if (run_spent_whole(record->job, price.spent))
            continue;
        terminal_clean(record->job->sites[i].name, name, sizeof name);
        char epsilon[PRIVACY_BOUND_BYTES];
        privacy_bound(price.pld, PRIVACY_BOUND_DIGITS, epsilon);
        (void)fprintf(stream, "  %s released %u of %u rounds: epsilon %s (pld)\n", name,
                      (unsigned)price.spent.rounds, (unsigned)record->job->rounds, epsilon);
    }
}

static void print_unless_empty(FILE *stream, const char *text)
{
    if (text[0] != '\0')
        (void)fprintf(stream, "%s\n", text);
}

void report_privacy_print(FILE *stream, const struct run_record *record)
{
    char text[REPORT_PRIVACY_BYTES];
    char plan[PRIVACY_PLAN_WORDS];
    privacy_plan_describe(record->job, plan);
    (void)fprintf(stream, "Privacy: %s\n", plan);
    char epsilon[PRIVACY_BOUND_BYTES], rdp[PRIVACY_BOUND_BYTES];
    privacy_bound(record->epsilon, PRIVACY_BOUND_DIGITS, epsilon);
    privacy_bound(record->epsilon_rdp, PRIVACY_BOUND_DIGITS, rdp);
    (void)fprintf(stream,
                  "All of the job: epsilon %s for %s, by privacy loss distributions (pld); %s by Rényi "
                  "divergences (rdp).\n",
                  epsilon, report_privacy_unit(record->job),
                  isnan(record->epsilon_rdp) ? "more than is told" : rdp);
    if (record->mock)
        (void)fputs("Nothing of it was spent: no private row was touched.\n", stream);
    else
        print_parts(stream, record);
    report_privacy_trial(record, text);
    print_unless_empty(stream, text);
    report_privacy_collusion(record, text);
    print_unless_empty(stream, text);
    report_privacy_metrics(record, text);
    print_unless_empty(stream, text);
    job_file_warning(record->job, text);
    print_unless_empty(stream, text);
}

void report_privacy_print_counts(FILE *stream, const struct run_record *record,
                                 const struct round_record *round)
{
    uint32_t classes = record->classes;
    if (round->pooled_noised == NULL) {
        (void)fprintf(stream, "  Pooled, round %u: not released\n\n", (unsigned)round->round);
        return;
    }
    (void)fprintf(
        stream,
        "  %sPooled counts of round %u, each with noise of the standard deviation %.4g; true classes by "
        "row, predicted by column\n",
        record->mock ? "MOCK: " : "", (unsigned)round->round, round->pooled_noise);
    for (size_t i = 0; i < classes; i++) {
        (void)fprintf(stream, "  %4zu |", i);
        for (size_t j = 0; j < classes; j++)
            (void)fprintf(stream, " %9.1f", round->pooled_noised[i * classes + j]);
        (void)fputc('\n', stream);
    }
    (void)fputc('\n', stream);
}
