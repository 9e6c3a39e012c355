#include "console/verbs.h"
#include "datasite/admission.h"
#include "datasite/approval_terms.h"
#include "datasite/endorsement.h"
#include "datasite/home.h"
#include "datasite/policy_words.h"
#include "schemas/clock.h"
#include "schemas/files.h"

#include <inttypes.h>

extern const struct verb verb_policy_test;

static struct {
    const char *requester, *at;
} test_given;

static const struct option *test_options(void)
{
    static const struct option options[] = {
        {.name = "requester",
         .kind = OPTION_TEXT,
         .target = &test_given.requester,
         .value = "FINGERPRINT",
         .help = "who would ask: sha256:… (required)"},
        {.name = "at",
         .kind = OPTION_TEXT,
         .target = &test_given.at,
         .value = "TIME",
         .help = "as if it came in then, such as 2027-01-31T08:00:00Z; else now"},
        {0},
    };
    return options;
}

/* A job that somebody would submit, before the policy and what the site knows of its requester. */
struct trial {
    struct home *home;
    struct policy *policy;
    struct identity *identity;
    struct store *store;
    struct job *job;
    bool has_dataset; /* else the site refuses the job before any rule is looked at */
    struct dataset_info dataset;
    struct site_id requester;
    int64_t at;
    struct policy_facts facts;
    struct policy_decision decision;
};

static void trial_close(struct trial *trial)
{
    job_free(trial->job);
    store_close(trial->store);
    identity_free(trial->identity);
    policy_free(trial->policy);
    home_free(trial->home);
}

static struct error *trial_read_job(struct trial *trial, const char *path)
{
    struct error *err = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    TRY(file_read(path, JOB_MAX_BYTES, &bytes, &count));
    TRY(job_parse((const char *)bytes, count, path, &trial->job));
done:
    free(bytes);
    return err;
}

static struct error *trial_look_for_dataset(struct trial *trial)
{
    struct error *err = store_dataset_find(trial->store, trial->job->dataset, &trial->dataset);
    trial->has_dataset = err == NULL;
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    return err;
}

static struct error *trial_open(const struct invocation *invocation, struct trial *trial)
{
    struct error *err = NULL;
    trial->at = clock_now_ms() / 1000;
    if (test_given.requester == NULL)
        FAIL(ERROR_USAGE, "--requester is required: the fingerprint of who would ask, sha256:…");
    TRY(site_id_parse(test_given.requester, &trial->requester));
    if (test_given.at != NULL)
        TRY(error_prefix(clock_parse(test_given.at, &trial->at), "--at"));
    TRY(home_open(invocation->home, &trial->home));
    TRY(policy_load(trial->home->policy_path, &trial->policy));
    TRY(trial_read_job(trial, invocation->arguments[0]));
    TRY(home_store(trial->home, STORE_READ, &trial->identity, &trial->store));
    TRY(trial_look_for_dataset(trial));
    TRY(admission_facts(trial->store, trial->policy, trial->job, &trial->requester, test_given.requester, 1,
                        trial->at, &trial->facts));
    policy_decide(trial->policy, trial->job, &trial->facts, &trial->decision);
done:
    return err;
}

static void trial_print_rules(const struct trial *trial)
{
    char why[POLICY_WHY_BYTES];
    for (size_t i = 0; i < trial->policy->rule_count; i++) {
        const struct policy_rule *rule = &trial->policy->rules[i];
        if (policy_rule_matches(rule, trial->job, &trial->facts, why)) {
            (void)printf("Rule %s decides: %s.\n", rule->name, policy_action_word(rule->action));
            return;
        }
        (void)printf("Rule %s %s.\n", rule->name, why);
    }
    (void)printf("No rule matches; the default decides: %s.\n", policy_action_word(trial->policy->fallback));
}

static void trial_print_facts(const struct trial *trial)
{
    (void)printf("Looked at for %s, %02u:%02u local time; with this one the requester has submitted %" PRIu32
                 " job%s in 24 hours.\n",
                 policy_day_words[trial->facts.weekday], trial->facts.minute / 60, trial->facts.minute % 60,
                 trial->facts.requests_today, trial->facts.requests_today == 1 ? "" : "s");
}

static const struct dataset_info *trial_dataset(const struct trial *trial)
{
    return trial->has_dataset ? &trial->dataset : NULL;
}

static struct error *trial_look(const struct trial *trial, const struct policy_rule *rule,
                                struct admission *admission)
{
    struct error *err =
        admission_look(trial->store, rule, trial->job, &trial->requester, trial->at, admission);
    if (err == NULL)
        admission_look_terms(trial->store, &trial->policy->gate, rule, trial->job, trial_dataset(trial),
                             identity_id(trial->identity), trial->at, admission);
    if (err == NULL && trial->has_dataset)
        err = admission_look_budget(trial->store, trial->identity, trial->job, &trial->dataset, admission);
    return err;
}

/* What `approve` would say without options, where the owner decides. */
static void trial_print_terms(const struct trial *trial)
{
    struct approval_limits limits = {.hold = HOLD_NEVER};
    struct error *err = approval_terms_check(trial->store, &trial->policy->gate, trial->job,
                                             trial_dataset(trial), identity_id(trial->identity), &limits);
    if (err != NULL)
        (void)printf("You could not approve it either: %s\n", err->sentence);
    error_free(err);
}

/* A rule that matches may still leave the job to the owner. */
static struct error *trial_print_decision(const struct trial *trial)
{
    struct error *err = NULL;
    const struct policy_rule *rule = trial->decision.rule;
    struct admission admission = {.obstacle = ADMISSION_NONE};
    bool approves = trial->decision.action == POLICY_APPROVE;
    if (approves)
        TRY(trial_look(trial, rule, &admission));
    if (!trial->has_dataset)
        (void)printf(
            "The job is refused: this site has no dataset \"%s\". What follows would be, if it had.\n",
            trial->job->dataset);
    (void)printf(
        "%s %s.\n", trial->has_dataset ? "The job" : "With the dataset, the job",
        policy_words_action(admission.obstacle == ADMISSION_NONE ? trial->decision.action : POLICY_ASK));
    trial_print_rules(trial);
    if (admission.obstacle != ADMISSION_NONE)
        (void)printf("It waits for you all the same: %s\n", admission.sentence);
    else if (trial->decision.action == POLICY_ASK)
        trial_print_terms(trial);
    else if (approves)
        (void)printf("The rule has approved %" PRIu32 " of at most %" PRIu32
                     " jobs of this requester in %d days. Hold: %s.\n",
                     admission.approved, rule->max_jobs, POLICY_JOBS_DAYS, hold_word(rule->hold));
done:
    return err;
}

static void trial_print_dataset(const struct trial *trial)
{
    (void)printf("At every release of \"%s\":\n", trial->job->dataset);
    policy_words_output(policy_gate_output(&trial->policy->gate, trial->job->dataset), 2);
}

static struct error *test_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct trial trial = {.home = NULL};
    TRY(trial_open(invocation, &trial));
    TRY(trial_print_decision(&trial));
    trial_print_facts(&trial);
    if (trial.policy->gate.four_eyes && trial.decision.action != POLICY_DENY)
        (void)printf("An approval needs %d of %zu owners (four_eyes).\n", ENDORSEMENT_NEEDED,
                     trial.policy->gate.owner_count);
    trial_print_dataset(&trial);
done:
    trial_close(&trial);
    return err;
}

const struct verb verb_policy_test = {
    .name = "policy test",
    .summary = "Say what the policy would do with a job, and why",
    .arguments = "JOB.yaml",
    .detail = "Says which rule decides, why those before it do not match, and what the site knows of the "
              "requester: jobs\n"
              "of the last 24 hours, jobs that the rule approved, your own denials. Nothing is stored.\n\n"
              "Example:\n"
              "  datasite policy test job.yaml --requester sha256:… --at 2027-01-31T08:00:00Z",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = test_options,
    .run = test_run,
};
