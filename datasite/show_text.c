/* One screen, of 24 lines and SHOW_COLUMNS columns where the names of sites do not make it longer; --all says more of jobs with
 * privacy. */
#include "datasite/show_parts.h"

#include "console/terminal.h"
#include "datasite/endorsement.h"
#include "schemas/clock.h"

#include <inttypes.h>

static void show_who(const struct screen *screen)
{
    const struct job_record *record = &screen->desk->record;
    char name[2 * sizeof(record->requester_name)], fingerprint[FINGERPRINT_BYTES], when[CLOCK_TEXT_BYTES];
    char text[sizeof(name) + SHOW_TEXT_BYTES];
    terminal_clean(record->requester_name, name, sizeof(name));
    site_id_format(&record->requester, fingerprint);
    clock_format(record->received_at, when);
    (void)snprintf(text, sizeof(text), "%s, %s; on %s", name,
                   screen->listed ? "in your list of trusted peers" : "known through your consortium only",
                   when);
    show_paragraph("Asked by", text);
    (void)printf(SHOW_LABEL "%s\n", "Key", fingerprint);
}

static void show_optimizer(const struct job *job, char *ret_text, size_t text_bytes)
{
    switch (job->optimizer) {
    case JOB_LBFGS:
        (void)snprintf(ret_text, text_bytes, "L-BFGS, %" PRIu32 " iterations a round", job->local_iterations);
        break;
    case JOB_SGD:
        if (job->privacy.mechanism == JOB_DP_SGD || job->privacy.mechanism == JOB_DISTRIBUTED_DP) {
            int used = snprintf(ret_text, text_bytes, "SGD, %" PRIu32 "%s step%s a round, learning rate %g",
                                job->privacy.steps, job->secure.enabled ? " common" : "",
                                job->privacy.steps == 1 ? "" : "s", job->learning_rate);
            if (job->momentum > 0)
                used += snprintf(ret_text + used, text_bytes - (size_t)used, ", momentum %g", job->momentum);
            if (job->average_tail > 0)
                (void)snprintf(ret_text + used, text_bytes - (size_t)used, ", average of the last %g %%",
                               100 * job->average_tail);
            return;
        }
        (void)snprintf(ret_text, text_bytes,
                       "SGD, %" PRIu32 " epoch%s a round, batches of %" PRIu32
                       ", learning rate %g, momentum %g",
                       job->local_epochs, job->local_epochs == 1 ? "" : "s", job->batch_size,
                       job->learning_rate, job->momentum);
        break;
    }
}

static void show_training(const struct job *job)
{
    char optimizer[SHOW_TEXT_BYTES];
    switch (job->model) {
    case JOB_SOFTMAX_REGRESSION:
        show_optimizer(job, optimizer, sizeof(optimizer));
        (void)printf(SHOW_LABEL "%s, l2 %g, start: %s\n", "Computes", job_model_word(job->model), job->l2,
                     job_init_word(job->init));
        show_indented(optimizer);
        break;
    case JOB_FEATURE_STATISTICS:
        (void)printf(SHOW_LABEL "%s: mean and mean square of every feature\n", "Computes",
                     job_model_word(job->model));
        break;
    }
}

static void show_features(const struct job *job)
{
    switch (job->features) {
    case JOB_FEATURES_RAW:
        return;
    case JOB_FEATURES_UNIT_NORM:
        (void)printf(SHOW_LABEL "unit-norm: each row divided by its Euclidean norm\n", "Features");
        break;
    case JOB_FEATURES_HOG:
        (void)printf(SHOW_LABEL "hog: histograms of gradients of each image; nothing is learned\n",
                     "Features");
        break;
    case JOB_FEATURES_STANDARDIZE:
        (void)printf(SHOW_LABEL "standardize: by %zu means and deviations that are in the job\n", "Features",
                     job->feature_count);
        if (job->features_released_by[0] != '\0')
            (void)printf(SHOW_LABEL "from job %.12s here, it says; the numbers are not compared\n", "",
                         job->features_released_by + strlen("sha256:"));
        break;
    }
}

static void show_what(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    char data[SHOW_TEXT_BYTES];
    show_training(job);
    show_features(job);
    if (screen->has_dataset)
        (void)snprintf(data, sizeof(data),
                       "%s: %" PRIu64 " rows, %" PRIu64 " features, %" PRIu32
                       " classes; %.0f %% train, %.0f %% test",
                       job->dataset, screen->dataset.rows, screen->dataset.features, screen->dataset.classes,
                       100 * (1 - job->test_fraction), 100 * job->test_fraction);
    else
        (void)snprintf(data, sizeof(data), "%s: this site does not hold it now", job->dataset);
    show_paragraph("Data", data);
}

static enum terminal_style show_state_style(enum job_state state)
{
    switch (state) {
    case JOB_STATE_PENDING:
        return STYLE_WARN;
    case JOB_STATE_APPROVED:
    case JOB_STATE_RUNNING:
    case JOB_STATE_FINISHED:
        return STYLE_GOOD;
    case JOB_STATE_DENIED:
    case JOB_STATE_REVOKED:
    case JOB_STATE_EXPIRED:
        return STYLE_BAD;
    }
    return STYLE_PLAIN;
}

static void show_decision(const struct screen *screen)
{
    const struct decision *decision = &screen->decision;
    char when[CLOCK_TEXT_BYTES], by[2 * sizeof(decision->decided_by)], reason[70]; /* what a line holds */
    clock_format(decision->decided_at, when);
    terminal_clean(decision->decided_by, by, sizeof(by));
    (void)printf(SHOW_LABEL "%.71s\n", "By", by);
    (void)printf(SHOW_LABEL "%s", "Decided", when);
    if (decision->kind == DECISION_APPROVE)
        (void)printf("; %" PRIu32 " run%s of %" PRIu32 " rounds; hold: %s%s", decision->runs,
                     decision->runs == 1 ? "" : "s", decision->rounds, hold_word(decision->hold),
                     decision->allow_growth ? "; growth" : "");
    (void)putchar('\n');
    if (decision->reason[0] != '\0') {
        terminal_clean(decision->reason, reason, sizeof(reason));
        (void)printf(SHOW_LABEL "%s\n", "Reason", reason);
    }
}

/* Who has said yes so far, where two owners must. */
static void show_owners(const struct screen *screen)
{
    const struct decision *terms = &screen->terms;
    char until[CLOCK_TEXT_BYTES];
    if (!screen->policy->gate.four_eyes || screen->desk->record.state != JOB_STATE_PENDING)
        return;
    (void)printf("; %zu of %d owners approved", screen->owners, ENDORSEMENT_NEEDED);
    if (screen->owners == 0)
        return;
    clock_format(terms->expires, until);
    (void)printf("\n" SHOW_LABEL "%" PRIu32 " run%s of %" PRIu32 " rounds, until %s; hold: %s%s", "",
                 terms->runs, terms->runs == 1 ? "" : "s", terms->rounds, until, hold_word(terms->hold),
                 terms->allow_growth ? "; rows may be added" : "");
}

static void show_state(const struct screen *screen)
{
    const struct job_record *record = &screen->desk->record;
    char until[CLOCK_TEXT_BYTES];
    bool approved = screen->has_decision && screen->decision.kind == DECISION_APPROVE;
    clock_format(approved ? screen->decision.expires : record->expires, until);
    (void)printf(SHOW_LABEL "%s%s%s; ends %s", "State",
                 terminal_style(stdout, show_state_style(record->state)), job_state_word(record->state),
                 terminal_style(stdout, STYLE_PLAIN), until);
    if (record->state == JOB_STATE_RUNNING && screen->last_round > 0)
        (void)printf("; round %" PRIu32 " %s", screen->last_round, screen->last_held ? "is held" : "is over");
    show_owners(screen);
    (void)putchar('\n');
    if (screen->has_decision)
        show_decision(screen);
    if (screen->has_likeness)
        (void)printf(SHOW_LABEL "%s job %s, except in %zu place%s: --diff %s\n", "Resembles",
                     screen->likeness_word, screen->likeness, screen->likeness_changes,
                     screen->likeness_changes == 1 ? "" : "s", screen->likeness);
}

static void show_wrapped(const char *label, size_t indent, const char *text)
{
    size_t column = indent;
    (void)printf("%-*s", (int)indent, label);
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > indent && column + 1 + word > SHOW_COLUMNS) {
            (void)printf("\n%*s", (int)indent, "");
            column = indent;
        }
        (void)printf("%s%.*s", column == indent ? "" : " ", (int)word, text);
        column += word + (column == indent ? 0 : 1);
        text += word + strspn(text + word, " ");
    }
    (void)putchar('\n');
}

void show_paragraph(const char *label, const char *text)
{
    show_wrapped(label, label[0] == '\0' ? 0 : SHOW_LABEL_COLUMNS, text);
}

void show_indented(const char *text)
{
    show_wrapped("", SHOW_LABEL_COLUMNS, text);
}

/* Said before the commands, one of which would be of no use. */
static void show_obstacle(const struct screen *screen)
{
    bool same = strcmp(screen->waits, screen->obstacle) == 0;
    if (screen->waits[0] != '\0' && !same) {
        (void)printf("A rule of your policy matches, but did not approve it:\n");
        show_paragraph("", screen->waits);
    }
    if (screen->obstacle[0] == '\0')
        return;
    (void)printf("%s%s%s%s\n", terminal_style(stdout, STYLE_BAD),
                 screen->desk->record.state == JOB_STATE_PENDING ? "It cannot be approved as it is"
                                                                 : "Your site refuses its steps",
                 same ? ", though a rule of your policy matches:" : ":", terminal_style(stdout, STYLE_PLAIN));
    show_paragraph("", screen->obstacle);
}

static void show_commands(const struct screen *screen)
{
    const char *id = screen->desk->id;
    switch (screen->desk->record.state) {
    case JOB_STATE_PENDING:
        (void)printf(SHOW_LABEL "%s approve %s %s[--rounds N] %s...\n", "To approve", screen->program, id,
                     screen->policy->gate.four_eyes ? "--key DIR " : "",
                     screen->desk->job->secure.enabled ? "" : "[--hold first] ");
        (void)printf(SHOW_LABEL "%s deny %s [--reason TEXT]\n", "To deny", screen->program, id);
        break;
    case JOB_STATE_APPROVED:
    case JOB_STATE_RUNNING:
        (void)printf(SHOW_LABEL "%s revoke %s [--reason TEXT]\n", "To revoke", screen->program, id);
        break;
    case JOB_STATE_FINISHED:
    case JOB_STATE_DENIED:
    case JOB_STATE_REVOKED:
    case JOB_STATE_EXPIRED:
        break;
    }
}

void show_print(const struct screen *screen)
{
    char hex[DIGEST_HEX_BYTES], summary[SHOW_SUMMARY_BYTES];
    digest_hex(&screen->desk->record.id, hex);
    (void)printf("%sJob \"%s\"%s\n", terminal_style(stdout, STYLE_BOLD), screen->desk->job->name,
                 terminal_style(stdout, STYLE_PLAIN));
    show_who(screen);
    show_what(screen);
    if (screen->desk->job->secure.enabled)
        show_secure_print(screen);
    if (job_private(screen->desk->job))
        show_privacy_print(screen);
    else if (screen->privacy.has_offer && screen->privacy.offer.capped &&
             strcmp(screen->obstacle, screen->privacy.offer.sentence) != 0)
        show_paragraph("Budget", screen->privacy.offer.sentence);
    show_state(screen);
    (void)printf(SHOW_LABEL "%s\n", "Job id", hex);
    show_summary(screen, summary);
    show_paragraph("", summary);
    show_obstacle(screen);
    show_commands(screen);
}
