#include "console/terminal.h"
#include "console/verbs.h"
#include "datasite/contradiction.h"
#include "datasite/desk.h"
#include "datasite/lock.h"
#include "datasite/store_daemon.h"
#include "schemas/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

extern const struct verb verb_status;

#define STATUS_STATES (JOB_STATE_EXPIRED + 1)
#define STATUS_SENTENCE_BYTES 512

static struct {
    bool json;
} status_given;

static const struct option *status_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &status_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

struct status {
    struct home *home;
    struct identity *identity;
    struct store *store;
    pid_t pid; /* of the daemon, 0 when none runs */
    bool has_daemon;
    struct daemon_record daemon;
    size_t jobs[STATUS_STATES];
    size_t datasets, peers;
    struct policy *policy; /* NULL: `unread` says why */
    char unread[ERROR_SENTENCE_BYTES];
    bool contradicted;                   /* a receipt that this site signed is not in its chain */
    char warning[STATUS_SENTENCE_BYTES]; /* about the certificate, or "" */
    bool encrypted;                      /* the rows */
    char changed[ERROR_SENTENCE_BYTES];  /* the record of their key is not the one that was signed, or "" */
};

static struct error *status_count_jobs(struct status *status)
{
    struct job_record *records = NULL;
    size_t count = 0;
    struct error *err = store_job_list(status->store, &records, &count);
    for (size_t i = 0; i < count; i++) {
        status->jobs[records[i].state]++;
        job_record_clear(&records[i]);
    }
    free(records);
    return err;
}

static struct error *status_count_rest(struct status *status)
{
    struct error *err = NULL;
    struct dataset_info *datasets = NULL;
    struct peer *peers = NULL;
    TRY(store_dataset_list(status->store, &datasets, &status->datasets));
    TRY(store_peer_list(status->store, &peers, &status->peers));
done:
    free(datasets);
    free(peers);
    return err;
}

/* A record that somebody changed is shown, and does not keep the rest from being shown. */
static struct error *status_rows(struct status *status)
{
    struct vault_record record;
    struct error *err = store_vault_find(status->store, &record, &status->encrypted);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        (void)snprintf(status->changed, sizeof(status->changed), "%s", err->sentence);
        error_clear(&err);
    }
    return err;
}

/* A policy that cannot be read is said, and does not keep the rest from being shown. */
static void status_policy(struct status *status)
{
    struct error *err = policy_load(status->home->policy_path, &status->policy);
    if (err != NULL)
        (void)snprintf(status->unread, sizeof(status->unread), "%s", err->sentence);
    error_free(err);
}

static struct error *status_load(const char *home, struct status *status)
{
    struct error *err = NULL;
    TRY(home_open(home, &status->home));
    TRY(identity_load(status->home->keys_path, &status->identity));
    TRY(store_open(status->home->database_path, STORE_READ, &status->store));
    TRY(lock_holder(status->home->lock_path, &status->pid));
    err = store_daemon_find(status->store, &status->daemon);
    status->has_daemon = err == NULL && status->pid != 0 && status->pid == status->daemon.pid;
    if (err != NULL && err->code != ERROR_NOT_FOUND)
        goto done;
    error_clear(&err);
    TRY(status_count_jobs(status));
    TRY(status_count_rest(status));
    TRY(status_rows(status));
    status_policy(status);
    TRY(store_contradiction_open(status->store, &status->contradicted));
    if (!home_certificate_warning(status->identity, clock_now_ms() / 1000, status->warning,
                                  sizeof(status->warning)))
        status->warning[0] = '\0';
done:
    return err;
}

static void status_print_daemon(const struct status *status, const char *program)
{
    char since[CLOCK_TEXT_BYTES], id[DESK_ID_BYTES];
    if (status->pid == 0) {
        (void)printf("Daemon       not running: %s serve\n", program);
        return;
    }
    if (!status->has_daemon) {
        (void)printf("Daemon       starting, process %ld\n", (long)status->pid);
        return;
    }
    clock_format(status->daemon.started_at, since);
    (void)printf("Daemon       running since %s, process %ld\n", since, (long)status->pid);
    (void)printf("Connected    %" PRIu32 " of %zu trusted peers\n", status->daemon.peers_up, status->peers);
    if (status->daemon.busy) {
        desk_id(&status->daemon.job_id, id);
        (void)printf("In hand      job %s, round %" PRIu32 ", %.0f %%\n", id, status->daemon.round,
                     100 * status->daemon.progress);
    } else {
        (void)printf("In hand      nothing\n");
    }
}

/* Sites that numbers may be summed with, this one among them. */
static void status_print_partners(const struct status *status)
{
    if (status->policy == NULL)
        (void)printf("Policy       %s%s%s%s\n", terminal_style(stdout, STYLE_WARN), status->unread,
                     status->pid != 0 ? " The daemon goes on with the policy that it read before." : "",
                     terminal_style(stdout, STYLE_PLAIN));
    else if (status->policy->gate.partner_count > 0)
        (void)printf("Partners     %zu for secure aggregation\n", status->policy->gate.partner_count);
}

static void status_print(const struct status *status, const char *program)
{
    char fingerprint[FINGERPRINT_BYTES], until[CLOCK_TEXT_BYTES];
    site_id_format(identity_id(status->identity), fingerprint);
    clock_format(identity_not_after(status->identity), until);
    (void)printf("Site         %s\nFingerprint  %s\nCertificate  until %s\n", status->home->config->name,
                 fingerprint, until);
    (void)printf("Listens on   %s\n", status->home->config->listen[0] == '\0' ? "nothing, it dials out"
                                                                              : status->home->config->listen);
    status_print_daemon(status, program);
    (void)printf("Datasets     %zu\nJobs         %zu pending, %zu approved, %zu running, %zu over\n",
                 status->datasets, status->jobs[JOB_STATE_PENDING], status->jobs[JOB_STATE_APPROVED],
                 status->jobs[JOB_STATE_RUNNING],
                 status->jobs[JOB_STATE_FINISHED] + status->jobs[JOB_STATE_DENIED] +
                     status->jobs[JOB_STATE_REVOKED] + status->jobs[JOB_STATE_EXPIRED]);
    status_print_partners(status);
    if (status->changed[0] != '\0')
        (void)printf("At rest      %s%s%s\n", terminal_style(stdout, STYLE_WARN), status->changed,
                     terminal_style(stdout, STYLE_PLAIN));
    else
        (void)printf("At rest      %s\n", status->encrypted ? "Rows are encrypted" : "Rows are in clear");
    if (status->jobs[JOB_STATE_PENDING] > 0)
        (void)printf("\n%s requests lists what waits for you.\n", program);
    if (status->warning[0] != '\0')
        (void)printf("\n%s%s%s\n", terminal_style(stdout, STYLE_WARN), status->warning,
                     terminal_style(stdout, STYLE_PLAIN));
}

static json_t *status_json_daemon(const struct status *status)
{
    char since[CLOCK_TEXT_BYTES], hex[DIGEST_HEX_BYTES];
    const struct daemon_record *daemon = &status->daemon;
    json_t *step = json_null();
    if (!status->has_daemon)
        return json_null();
    clock_format(daemon->started_at, since);
    digest_hex(&daemon->job_id, hex);
    if (daemon->busy)
        step = json_pack("{s:s, s:I, s:f}", "job_id", hex, "round", (json_int_t)daemon->round, "progress",
                         daemon->progress);
    return json_pack("{s:I, s:s, s:s, s:I, s:o}", "pid", (json_int_t)status->pid, "started_at", since,
                     "listen", daemon->listen, "peers_up", (json_int_t)daemon->peers_up, "in_hand", step);
}

static json_t *status_json_jobs(const struct status *status)
{
    json_t *jobs = json_object();
    for (size_t i = 0; i < STATUS_STATES; i++)
        (void)json_object_set_new(jobs, job_state_word((enum job_state)i),
                                  json_integer((json_int_t)status->jobs[i]));
    return jobs;
}

/* "changed": the record of the key is not the one that was signed. */
static const char *status_rows_word(const struct status *status)
{
    if (status->changed[0] != '\0')
        return "changed";
    return status->encrypted ? "encrypted" : "clear";
}

static struct error *status_print_json(const struct status *status)
{
    struct error *err = NULL;
    char fingerprint[FINGERPRINT_BYTES], until[CLOCK_TEXT_BYTES];
    site_id_format(identity_id(status->identity), fingerprint);
    clock_format(identity_not_after(status->identity), until);
    json_t *partners = status->policy == NULL ? json_null() /* policy.yaml cannot be read */
                                              : json_integer((json_int_t)status->policy->gate.partner_count);
    json_t *document =
        json_pack("{s:i, s:s, s:s, s:s, s:s?, s:b, s:b, s:o, s:I, s:s, s:I, s:o, s:o}", "version", 1, "name",
                  status->home->config->name, "fingerprint", fingerprint, "certificate_until", until,
                  "certificate_warning", status->warning[0] == '\0' ? NULL : status->warning, "contradicted",
                  status->contradicted, "running", status->pid != 0, "daemon", status_json_daemon(status),
                  "datasets", (json_int_t)status->datasets, "rows", status_rows_word(status), "trusted_peers",
                  (json_int_t)status->peers, "partners", partners, "jobs", status_json_jobs(status));
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to describe the site.");
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The status cannot be written");
done:
    json_decref(document);
    return err;
}

static struct error *status_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct status status = {.home = NULL};
    TRY(status_load(invocation->home, &status));
    if (status_given.json) {
        TRY(status_print_json(&status));
    } else {
        TRY(contradiction_banner(status.store, invocation->program, NULL));
        status_print(&status, invocation->program);
    }
done:
    policy_free(status.policy);
    store_close(status.store);
    identity_free(status.identity);
    home_free(status.home);
    return err;
}

const struct verb verb_status = {
    .name = "status",
    .summary = "Show the site, its daemon and its jobs at a glance",
    .arguments = "",
    .detail = "Says too whether rows are encrypted at rest; --json: \"rows\" is \"encrypted\", \"clear\", or "
              "\"changed\"\n"
              "where the record of their key is not the one that this site signed.\n\n"
              "Example:\n"
              "  datasite status",
    .options = status_options,
    .run = status_run,
};
