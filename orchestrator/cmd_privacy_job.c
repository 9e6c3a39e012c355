#include "console/terminal.h"
#include "crypto/privacy_plan.h"
#include "orchestrator/commands.h"
#include "orchestrator/job_file.h"
#include "orchestrator/privacy_settings.h"

#include <jansson.h>
#include <math.h>

#define REAL_DIGITS 15
#define CELL_BYTES 32
#define ROUNDS_SHOWN 4

/* NAN: no such figure, or more than can be accounted for. */
struct job_account {
    double pld, rdp, gaussian;
    double worst;    /* if all other sites colluded; NAN where each site adds all of its noise */
    double together; /* with the events that were given; NAN without any */
    uint32_t rounds[ROUNDS_SHOWN];
    double after[ROUNDS_SHOWN]; /* so many rounds, PLD */
    size_t shown;
    struct privacy_event events[PRIVACY_PLAN_EVENTS];
    size_t count;
};

/* A figure that cannot be told is none; *figure is untouched then. */
static struct error *unless_too_much(struct error *error)
{
    if (error != NULL && (error->code == ERROR_LIMIT || error->code == ERROR_INVALID))
        error_clear(&error);
    return error;
}

/* Whether no event is sampled, so that the Gaussian accountant has a figure. */
static bool none_sampled(const struct job_account *account)
{
    for (size_t i = 0; i < account->count; i++)
        if (account->events[i].sampling_rate < 1)
            return false;
    return true;
}

/* The job's events and those of before, with what the grid adds to the job's own. */
static struct error *account_together(const struct job *job, const struct option_texts *given,
                                      struct job_account *account)
{
    struct error *err = NULL;
    struct privacy_event events[PRIVACY_MAX_EVENTS + PRIVACY_PLAN_EVENTS];
    size_t count = 0;
    double own = 0, all = 0;
    for (size_t i = 0; i < account->count; i++)
        events[count++] = account->events[i];
    TRY(privacy_epsilon(PRIVACY_PLD, events, count, job->privacy.delta, &own));
    for (size_t i = 0; i < given->count; i++)
        TRY(privacy_settings_event(given->texts[i], &events[count++]));
    TRY(privacy_epsilon(PRIVACY_PLD, events, count, job->privacy.delta, &all));
    account->together = all + fmax(account->pld - own, 0);
done:
    return err;
}

static struct error *account_rounds(const struct job *job, struct job_account *account)
{
    struct error *err = NULL;
    for (uint32_t quarter = 1; quarter <= ROUNDS_SHOWN; quarter++) {
        uint32_t rounds = (uint32_t)((uint64_t)job->rounds * quarter / ROUNDS_SHOWN);
        if (rounds == 0 || (account->shown > 0 && account->rounds[account->shown - 1] == rounds))
            continue;
        /* Without `metrics_rounds: all` the evaluation comes with the last round. */
        bool last = rounds == job->rounds;
        uint32_t evaluations = last || job->privacy.metrics_rounds == JOB_METRICS_ALL
                                   ? privacy_plan_evaluations(job, rounds)
                                   : 0;
        account->rounds[account->shown] = rounds;
        account->after[account->shown] = account->pld;
        if (!last)
            TRY(privacy_plan_epsilon(job, PRIVACY_PLD, rounds, evaluations, &account->after[account->shown]));
        account->shown++;
    }
done:
    return err;
}

static struct error *account_of(const struct job *job, const struct option_texts *given,
                                struct job_account *ret_account)
{
    struct error *err = NULL;
    struct job_account account = {.gaussian = NAN, .worst = NAN, .together = NAN};
    uint32_t evaluations = privacy_plan_evaluations(job, job->rounds);
    privacy_plan_events(job, job->rounds, evaluations, account.events, &account.count);
    TRY(privacy_plan_epsilon(job, PRIVACY_PLD, job->rounds, evaluations, &account.pld));
    TRY(privacy_plan_epsilon(job, PRIVACY_RDP, job->rounds, evaluations, &account.rdp));
    if (none_sampled(&account))
        TRY(privacy_plan_epsilon(job, PRIVACY_GAUSSIAN, job->rounds, evaluations, &account.gaussian));
    if (privacy_plan_honest(job) > 1)
        TRY(unless_too_much(privacy_plan_worst(job, job->rounds, evaluations, &account.worst)));
    if (given->count > 0)
        TRY(account_together(job, given, &account));
    TRY(account_rounds(job, &account));
    *ret_account = account;
done:
    return err;
}

static void print_figure(const char *what, double figure)
{
    char text[PRIVACY_BOUND_BYTES];
    privacy_bound(figure, PRIVACY_BOUND_DIGITS, text);
    if (!isnan(figure))
        (void)printf("%-44s %s\n", what, text);
}

static struct error *print_text(const struct job_file *file, const struct job_account *account)
{
    static const char *const headers[] = {"Rounds", "Epsilon (pld)"};
    struct error *err = NULL;
    struct table *table = NULL;
    char words[PRIVACY_PLAN_WORDS];
    privacy_plan_describe(file->job, words);
    (void)printf("%s\n", words);
    if (file->computed_noise > 0)
        (void)printf("The noise multiplier is what target_epsilon %g comes to.\n",
                     file->job->privacy.target_epsilon);
    (void)printf("\n");
    print_figure("Epsilon of the job, pld", account->pld);
    print_figure("Epsilon of the job, rdp", account->rdp);
    print_figure("Epsilon of the job, gaussian", account->gaussian);
    print_figure("Together with the events of --event, pld", account->together);
    print_figure("If all other sites colluded, pld", account->worst);
    if (privacy_plan_honest(file->job) > 1 && isnan(account->worst))
        (void)printf("If all other sites colluded, nothing that could be told would be left.\n");
    TRY(table_new(headers, 2, &table));
    table_align(table, 3);
    for (size_t i = 0; i < account->shown; i++) {
        char rounds[CELL_BYTES], epsilon[PRIVACY_BOUND_BYTES];
        (void)snprintf(rounds, sizeof rounds, "%u", (unsigned)account->rounds[i]);
        privacy_bound(account->after[i], PRIVACY_BOUND_DIGITS, epsilon);
        const char *const row[] = {rounds, epsilon};
        TRY(table_row(table, row));
    }
    (void)printf("\n");
    table_print(table, stdout);
done:
    table_free(table);
    return err;
}

static json_t *json_figure(double figure)
{
    return isnan(figure) ? json_null() : json_real(figure);
}

static struct error *print_json(const struct job_file *file, const struct job_account *account)
{
    struct error *err = NULL;
    const struct job_privacy *privacy = &file->job->privacy;
    json_t *rounds = json_array(), *all = NULL;
    for (size_t i = 0; i < account->shown; i++) {
        json_t *row =
            json_pack("{s:I, s:f}", "rounds", (json_int_t)account->rounds[i], "epsilon", account->after[i]);
        if (row == NULL || json_array_append_new(rounds, row) != 0)
            FAIL(ERROR_MEMORY, "There is not enough memory to print the figures.");
    }
    all = json_pack("{s:i, s:s, s:s, s:f, s:b, s:f, s:f, s:f, s:o, s:o, s:o, s:O}", "version", 1, "job",
                    file->job->name, "mechanism", job_mechanism_word(privacy->mechanism), "noise_multiplier",
                    privacy->noise_multiplier, "noise_computed", file->computed_noise > 0, "delta",
                    privacy->delta, "epsilon", account->pld, "epsilon_rdp", account->rdp, "epsilon_gaussian",
                    json_figure(account->gaussian), "epsilon_together", json_figure(account->together),
                    "epsilon_if_all_others_colluded", json_figure(account->worst), "rounds", rounds);
    if (all == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to print the figures.");
    (void)json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
    (void)putchar('\n');
done:
    json_decref(all);
    json_decref(rounds);
    return err;
}

struct error *privacy_job_print(const char *path, const struct option_texts *events, bool json)
{
    struct error *err = NULL;
    struct job_file file = {0};
    struct job_account account;
    char warning[JOB_FILE_WARNING_BYTES];
    TRY(job_file_read(path, &file));
    if (!job_private(file.job))
        FAIL(ERROR_INVALID, "%s: privacy.mechanism is none: there is nothing to account for.", path);
    job_file_warning(file.job, warning);
    if (warning[0] != '\0')
        (void)fprintf(stderr, "Warning: %s\n", warning);
    TRY(account_of(file.job, events, &account));
    TRY(json ? print_json(&file, &account) : print_text(&file, &account));
done:
    job_file_clear(&file);
    return err;
}
