#include "orchestrator/orchestrator_parts.h"

#include "orchestrator/job_file.h"
#include "orchestrator/run_sites.h"
#include "orchestrator/run_store.h"
#include "orchestrator/site_probe.h"
#include "orchestrator/witness.h"
#include "schemas/clock.h"
#include "schemas/files.h"
#include "schemas/invitation.h"

#include <unistd.h>

#define CONNECT_SECONDS 30
#define APPROVAL_SECONDS 600
#define HELD_SECONDS 86400

/* What the engine's callbacks get as their context. */
struct listener {
    const struct orchestrator_run_options *options;
    const struct orchestrator_run *run;
};

int orchestrator_api_version(void)
{
    return ORCHESTRATOR_API_VERSION;
}

const char *orchestrator_version(void)
{
    return DATASITE_VERSION;
}

int orchestrator_report(struct error *err, struct orchestrator_failure *failure)
{
    if (failure != NULL)
        *failure = (struct orchestrator_failure){0};
    if (err == NULL)
        return 0;
    if (failure != NULL) {
        failure->code = (int)err->code;
        failure->exit_status = error_exit_status(err);
        (void)snprintf(failure->word, sizeof failure->word, "%s", error_word(err->code));
        (void)snprintf(failure->sentence, sizeof failure->sentence, "%s", err->sentence);
    }
    error_free(err);
    return -1;
}

int orchestrator_create(const char *home, const char *name, const char *listen, int with_ca,
                        struct orchestrator_failure *failure)
{
    struct home *made = NULL;
    struct error *err = home_create(home, name, listen, with_ca != 0, &made);
    home_free(made);
    return orchestrator_report(err, failure);
}

void orchestrator_close(struct orchestrator *orchestrator)
{
    if (orchestrator == NULL)
        return;
    home_free(orchestrator->home);
    identity_free(orchestrator->identity);
    site_list_free(orchestrator->sites);
    free(orchestrator->invitation);
    free(orchestrator->warning);
    free(orchestrator);
}

static struct error *make_invitation(struct orchestrator *orchestrator)
{
    const struct node_config *config = orchestrator->home->config;
    struct invitation invitation = {.kind = NODE_ORCHESTRATOR};
    const char *endpoint = config->advertise[0] == '\0' ? config->listen : config->advertise;
    (void)snprintf(invitation.node.name, sizeof invitation.node.name, "%s", config->name);
    (void)snprintf(invitation.node.endpoint, sizeof invitation.node.endpoint, "%s", endpoint);
    (void)snprintf(invitation.node.fingerprint, sizeof invitation.node.fingerprint, "%s",
                   orchestrator->fingerprint);
    return invitation_format(&invitation, &orchestrator->invitation);
}

int orchestrator_open(const char *home, struct orchestrator **ret_orchestrator,
                      struct orchestrator_failure *failure)
{
    struct error *err = NULL;
    struct orchestrator *orchestrator = calloc(1, sizeof *orchestrator);
    if (orchestrator == NULL)
        FAIL(ERROR_MEMORY, "No memory for the orchestrator.");
    TRY(home_open(home, &orchestrator->home));
    TRY(identity_load(orchestrator->home->keys_path, &orchestrator->identity));
    TRY(site_list_load(orchestrator->home->sites_path, &orchestrator->sites));
    site_id_format(identity_id(orchestrator->identity), orchestrator->fingerprint);
    TRY(make_invitation(orchestrator));
    TRY(home_expiry_warning(orchestrator->identity, clock_now_ms() / 1000, &orchestrator->warning));
    *ret_orchestrator = orchestrator;
    orchestrator = NULL;
done:
    orchestrator_close(orchestrator);
    return orchestrator_report(err, failure);
}

const char *orchestrator_home(const struct orchestrator *orchestrator)
{
    return orchestrator->home->path;
}

const char *orchestrator_name(const struct orchestrator *orchestrator)
{
    return orchestrator->home->config->name;
}

const char *orchestrator_fingerprint(const struct orchestrator *orchestrator)
{
    return orchestrator->fingerprint;
}

const char *orchestrator_invitation(const struct orchestrator *orchestrator)
{
    return orchestrator->invitation;
}

const char *orchestrator_warning(const struct orchestrator *orchestrator)
{
    return orchestrator->warning;
}

size_t orchestrator_site_count(const struct orchestrator *orchestrator)
{
    return site_list_count(orchestrator->sites);
}

int orchestrator_site_at(const struct orchestrator *orchestrator, size_t number,
                         struct orchestrator_site *ret_site)
{
    const struct job_site *site = site_list_at(orchestrator->sites, number, NULL);
    if (site == NULL)
        return -1;
    *ret_site = (struct orchestrator_site){
        .name = site->name, .endpoint = site->endpoint, .fingerprint = site->fingerprint};
    return 0;
}

static const char *change_word(enum site_list_change change)
{
    switch (change) {
    case SITE_LIST_ADDED:
        return "added";
    case SITE_LIST_MOVED:
        return "moved";
    case SITE_LIST_KNOWN:
        break;
    }
    return "known";
}

int orchestrator_site_add(struct orchestrator *orchestrator, const char *invitation, const char **ret_change,
                          struct orchestrator_failure *failure)
{
    struct job_site site = {0};
    enum site_list_change change = SITE_LIST_KNOWN;
    struct error *err = site_list_add(orchestrator->sites, invitation, &site, &change);
    if (err == NULL && ret_change != NULL)
        *ret_change = change_word(change);
    return orchestrator_report(err, failure);
}

int orchestrator_site_remove(struct orchestrator *orchestrator, const char *name,
                             struct orchestrator_failure *failure)
{
    return orchestrator_report(site_list_remove(orchestrator->sites, name), failure);
}

struct error *orchestrator_whom_to_trust(const struct orchestrator *orchestrator, const struct job *job,
                                         struct site_id **ret_ids, struct session_trust *ret_trust)
{
    struct error *err = NULL;
    const struct node_config *config = orchestrator->home->config;
    size_t count = 0;
    TRY(site_list_ids(orchestrator->sites, job, ret_ids, &count));
    *ret_trust = (struct session_trust){.listed = *ret_ids,
                                        .listed_count = count,
                                        .ca_file = config->ca_file[0] == '\0' ? NULL : config->ca_file,
                                        .crl_file = config->crl_file[0] == '\0' ? NULL : config->crl_file};
done:
    return err;
}

static const char *listen_endpoint(const struct orchestrator *orchestrator)
{
    const char *listen = orchestrator->home->config->listen;
    return listen[0] == '\0' ? NULL : listen;
}

struct error *orchestrator_open_for_probe(const struct orchestrator *orchestrator,
                                          const struct session_trust *trust, struct session **ret_session)
{
    struct session_options options = {.identity = orchestrator->identity,
                                      .name = orchestrator->home->config->name,
                                      .directory = orchestrator->home->sockets_path,
                                      .listen = listen_endpoint(orchestrator),
                                      .trust = *trust,
                                      .wake_fd = -1};
    return site_probe_open(&options, ret_session);
}

/* What is marked. */
struct marking {
    struct site_probe *probes;
    size_t count;
};

static void mark_sites(void *context, const struct run_record *record)
{
    const struct marking *marking = context;
    char id[RUN_ID_HEX_BYTES];
    run_id_format(record->run_id, id);
    for (size_t i = 0; i < marking->count; i++) {
        struct site_probe *probe = &marking->probes[i];
        for (size_t s = 0; s < record->job->site_count && !probe->in_run; s++)
            probe->in_run = strcmp(record->job->sites[s].fingerprint, probe->site->fingerprint) == 0;
        if (probe->in_run && probe->reason[0] == '\0')
            (void)snprintf(probe->reason, sizeof probe->reason,
                           "It was not asked, because run %.12s of this home goes on with it.", id);
    }
}

struct error *orchestrator_mark_in_run(const struct orchestrator *orchestrator, struct site_probe *probes,
                                       size_t count)
{
    struct marking marking = {.probes = probes, .count = count};
    return run_sites_visit(orchestrator->home->path, mark_sites, &marking);
}

static void give_statuses(const struct site_probe *probes, size_t count,
                          struct orchestrator_site_status *statuses)
{
    for (size_t i = 0; i < count; i++) {
        struct orchestrator_site_status *status = &statuses[i];
        *status = (struct orchestrator_site_status){.name = probes[i].site->name,
                                                    .endpoint = probes[i].site->endpoint,
                                                    .up = probes[i].up,
                                                    .round_trip_ms = probes[i].round_trip_ms};
        (void)snprintf(status->reason, sizeof status->reason, "%s", probes[i].reason);
        (void)snprintf(status->state, sizeof status->state, "%s",
                       probes[i].in_run ? ORCHESTRATOR_STATE_IN_RUN : probes[i].state);
        (void)snprintf(status->software, sizeof status->software, "%s", probes[i].software);
    }
}

/* A witness that cannot be used is told of by the next run. */
static struct error *name_sites(const struct orchestrator *orchestrator, struct site_probe *probes,
                                size_t count)
{
    struct error *err = NULL;
    struct site_id id;
    for (size_t i = 0; i < count; i++) {
        probes[i].site = site_list_at(orchestrator->sites, i, NULL);
        TRY(site_id_parse(probes[i].site->fingerprint, &id));
        struct error *unusable = witness_read(orchestrator->home, &id, &probes[i].witness);
        error_free(unusable);
    }
done:
    return err;
}

int orchestrator_status(struct orchestrator *orchestrator, const char *job_id, int deadline_ms,
                        struct orchestrator_site_status *statuses, struct orchestrator_failure *failure)
{
    struct error *err = NULL;
    struct session *session = NULL;
    struct site_id *ids = NULL;
    struct session_trust trust = {0};
    struct digest job = {{0}};
    size_t count = site_list_count(orchestrator->sites);
    struct site_probe *probes = calloc(count + 1, sizeof *probes);
    if (probes == NULL)
        FAIL(ERROR_MEMORY, "No memory for the sites.");
    if (job_id != NULL && !digest_parse(job_id, &job))
        FAIL(ERROR_INVALID, "A job id is 64 lower-case hexadecimal digits.");
    TRY(name_sites(orchestrator, probes, count));
    TRY(orchestrator_mark_in_run(orchestrator, probes, count));
    TRY(orchestrator_whom_to_trust(orchestrator, NULL, &ids, &trust));
    TRY(orchestrator_open_for_probe(orchestrator, &trust, &session));
    TRY(site_probe_all(session, job_id == NULL ? NULL : &job, deadline_ms, probes, count));
    give_statuses(probes, count, statuses);
done:
    session_close(session);
    free(ids);
    free(probes);
    return orchestrator_report(err, failure);
}

static bool ask_cancelled(void *context)
{
    const struct listener *listener = context;
    return listener->options->cancelled(listener->options->context) != 0;
}

static int event_kind(enum engine_event_kind kind)
{
    switch (kind) {
    case ENGINE_SITE_UP:
        return ORCHESTRATOR_SITE_UP;
    case ENGINE_SITE_DOWN:
        return ORCHESTRATOR_SITE_DOWN;
    case ENGINE_SITE_WAITING:
        return ORCHESTRATOR_SITE_WAITING;
    case ENGINE_SITE_READY:
        return ORCHESTRATOR_SITE_READY;
    case ENGINE_SITE_OUT:
        return ORCHESTRATOR_SITE_OUT;
    case ENGINE_ROUND_STARTED:
        return ORCHESTRATOR_ROUND_STARTED;
    case ENGINE_SITE_ANSWERED:
        return ORCHESTRATOR_SITE_ANSWERED;
    case ENGINE_SITE_MISSED:
        return ORCHESTRATOR_SITE_MISSED;
    case ENGINE_ROUND_ENDED:
        return ORCHESTRATOR_ROUND_ENDED;
    case ENGINE_SITE_HELD:
        return ORCHESTRATOR_SITE_HELD;
    case ENGINE_KEYS:
        return ORCHESTRATOR_KEYS;
    case ENGINE_ATTEMPT:
        return ORCHESTRATOR_ATTEMPT;
    case ENGINE_UNMASKED:
        return ORCHESTRATOR_UNMASKED;
    case ENGINE_EVALUATED:
        return ORCHESTRATOR_EVALUATED;
    case ENGINE_WARNING:
        break;
    }
    return ORCHESTRATOR_WARNING;
}

static void pass_event(void *context, const struct engine_event *event)
{
    const struct listener *listener = context;
    struct orchestrator_event passed = {.kind = event_kind(event->kind),
                                        .run = listener->run,
                                        .site = event->site,
                                        .sentence = event->sentence,
                                        .command = event->command,
                                        .round = event->round,
                                        .rounds = listener->run->run.record->job->rounds,
                                        .done = event->done,
                                        .total = event->total};
    listener->options->on_event(listener->options->context, &passed);
}

/* Of a run on mock data, which comes by while others go on. */
static struct error *find_in_run(const struct orchestrator *orchestrator, const struct run_record *record,
                                 bool **ret_in_run)
{
    struct error *err = NULL;
    size_t count = record->mock ? record->job->site_count : 0;
    struct site_probe *probes = calloc(count + 1, sizeof *probes);
    bool *in_run = calloc(count + 1, sizeof *in_run);
    if (probes == NULL || in_run == NULL)
        FAIL(ERROR_MEMORY, "No memory for the sites.");
    for (size_t i = 0; i < count; i++)
        probes[i].site = &record->job->sites[i];
    if (record->mock)
        TRY(orchestrator_mark_in_run(orchestrator, probes, count));
    for (size_t i = 0; i < count; i++)
        in_run[i] = probes[i].in_run;
    *ret_in_run = in_run;
    in_run = NULL;
done:
    free(probes);
    free(in_run);
    return err;
}

static void say(const struct listener *listener, enum orchestrator_event_kind kind, const char *sentence)
{
    struct orchestrator_event event = {
        .kind = (int)kind, .run = listener->run, .sentence = sentence, .command = ""};
    if (listener->options->on_event != NULL && sentence[0] != '\0')
        listener->options->on_event(listener->options->context, &event);
}

/* What is in the submitted bytes and not in the researcher's file, and what its writer should know. */
static void say_privacy(const struct listener *listener)
{
    const struct run *run = &listener->run->run;
    const struct job *job = run->record->job;
    char sentence[ERROR_SENTENCE_BYTES] = "";
    if (run->computed_noise > 0)
        (void)snprintf(sentence, sizeof sentence,
                       "The job was given privacy.noise_multiplier: %g, with which all of it stays within "
                       "target_epsilon %g; as it is submitted it is %s/job.yaml, and its id %.12s.",
                       run->computed_noise, job->privacy.target_epsilon, run->directory,
                       listener->run->job_id);
    say(listener, ORCHESTRATOR_NOTE, sentence);
    job_file_warning(job, sentence);
    say(listener, ORCHESTRATOR_WARNING, sentence);
}

static struct error *execute(struct orchestrator *orchestrator,
                             const struct orchestrator_run_options *options, struct orchestrator_run *run)
{
    struct error *err = NULL;
    struct site_id *ids = NULL;
    bool *in_run = NULL;
    struct listener listener = {.options = options, .run = run};
    int64_t connect = options->connect_seconds == 0 ? CONNECT_SECONDS : options->connect_seconds;
    int64_t approval = options->approval_seconds == 0 ? APPROVAL_SECONDS : options->approval_seconds;
    int64_t held = options->held_seconds == 0 ? HELD_SECONDS : options->held_seconds;
    struct engine_plan plan = {.identity = orchestrator->identity,
                               .name = orchestrator->home->config->name,
                               .socket_directory = orchestrator->home->sockets_path,
                               .listen = listen_endpoint(orchestrator),
                               .connect_ms = connect * 1000,
                               .approval_ms = approval * 1000,
                               .held_ms = held * 1000,
                               .wake_fd = options->cancel_fd,
                               .stop = options->cancelled == NULL ? NULL : ask_cancelled,
                               .on_event = options->on_event == NULL ? NULL : pass_event,
                               .context = &listener};
    say_privacy(&listener);
    TRY(orchestrator_whom_to_trust(orchestrator, run->run.record->job, &ids, &plan.trust));
    TRY(find_in_run(orchestrator, run->run.record, &in_run));
    plan.in_run = in_run;
    TRY(run_execute(&run->run, orchestrator->home, &plan));
done:
    free(in_run);
    free(ids);
    return err;
}

/* What a caller does not know of, because it was compiled when there was less, is zero. */
static struct error *whole_options(const struct orchestrator_run_options *given,
                                   struct orchestrator_run_options *ret_options)
{
    struct orchestrator_run_options options = {.size = sizeof options};
    if (given->size < offsetof(struct orchestrator_run_options, held_seconds) || given->size > sizeof options)
        return error_new(ERROR_USAGE, "A run wants the size of its options.");
    memcpy(&options, given, given->size);
    if (options.job_path == NULL || options.connect_seconds < 0 || options.approval_seconds < 0 ||
        options.held_seconds < 0)
        return error_new(ERROR_USAGE, "A run wants a job file, and no negative times.");
    *ret_options = options;
    return NULL;
}

int orchestrator_run(struct orchestrator *orchestrator, const struct orchestrator_run_options *given,
                     struct orchestrator_run **ret_run, struct orchestrator_failure *failure)
{
    struct error *err = NULL;
    struct orchestrator_run *run = NULL;
    struct orchestrator_run_options options;
    *ret_run = NULL;
    TRY(whole_options(given, &options));
    struct run_options what = {.job_path = options.job_path,
                               .out = options.out_directory,
                               .initial_model = options.initial_model,
                               .mock = options.mock != 0};
    run = calloc(1, sizeof *run);
    if (run == NULL)
        FAIL(ERROR_MEMORY, "No memory for the run.");
    TRY(run_prepare(orchestrator->home, orchestrator->sites, &what, &run->run));
    orchestrator_run_name(run);
    err = execute(orchestrator, &options, run);
    *ret_run = run;
    run = NULL;
done:
    orchestrator_run_free(run);
    return orchestrator_report(err, failure);
}
