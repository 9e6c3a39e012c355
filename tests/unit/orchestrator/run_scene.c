#include "tests/unit/orchestrator/run_scene.h"

#include "orchestrator/orchestrator_parts.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#define SITE_NAME_BYTES 32

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

int run_scene_begin(void **state)
{
    struct run_scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    (void)snprintf(scene->folder, sizeof scene->folder, "run-XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    (void)snprintf(scene->home, sizeof scene->home, "%.480s/home", scene->folder);
    (void)snprintf(scene->job_path, sizeof scene->job_path, "%.480s/job.yaml", scene->folder);
    if (orchestrator_create(scene->home, "researcher", NULL, 0, &scene->failure) != 0 ||
        orchestrator_open(scene->home, &scene->orchestrator, &scene->failure) != 0)
        fail_msg("%s", scene->failure.sentence);
    *state = scene;
    return 0;
}

int run_scene_end(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < scene->site_count; i++)
        scripted_site_free(scene->sites[i]);
    orchestrator_run_free(scene->run);
    orchestrator_close(scene->orchestrator);
    (void)nftw(scene->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(scene);
    return 0;
}

static const char *site_name(size_t i, char ret_name[static SITE_NAME_BYTES])
{
    if (i < 26)
        (void)snprintf(ret_name, SITE_NAME_BYTES, "Site %c", (char)('A' + (int)i));
    else
        (void)snprintf(ret_name, SITE_NAME_BYTES, "Site %zu", i + 1);
    return ret_name;
}

void run_scene_site(struct run_scene *scene, const struct script *script)
{
    char name[SITE_NAME_BYTES];
    struct site_id id;
    assert_true(scene->site_count < SCENE_SITES);
    struct error *err = site_id_parse(orchestrator_fingerprint(scene->orchestrator), &id);
    assert_null(err);
    struct scripted_site *site =
        scripted_site_start(scene->folder, site_name(scene->site_count, name), &id, script);
    scene->sites[scene->site_count++] = site;
}

/* With secure aggregation min_sites and metrics are left to their defaults unless they are given. */
static void put_federation(FILE *file, const struct run_scene *scene, const struct scene_job *job)
{
    (void)fprintf(file, "federation: {rounds: %u, weighting: %s, round_deadline: %us",
                  job->rounds == 0 ? 2 : job->rounds, job->weighting == NULL ? "examples" : job->weighting,
                  job->deadline_s == 0 ? 10 : job->deadline_s);
    if (job->min_sites != 0 || job->secure == NULL)
        (void)fprintf(file, ", min_sites: %zu", job->min_sites == 0 ? scene->site_count : job->min_sites);
    (void)fputs("}\n", file);
    if (job->metrics != NULL || (job->secure == NULL && job->privacy == NULL && job->model == NULL))
        (void)fprintf(file, "evaluation: {metrics: %s}\n", job->metrics == NULL ? "per-site" : job->metrics);
    if (job->secure != NULL)
        (void)fprintf(file, "secure_aggregation: {enabled: true%s}\n", job->secure);
    if (job->privacy != NULL)
        (void)fprintf(file, "privacy: {%s}\n", job->privacy);
}

static void put_model(FILE *file, const struct scene_job *job)
{
    bool statistics = job->model != NULL && strcmp(job->model, "feature-statistics") == 0;
    bool sampled = job->privacy != NULL && strstr(job->privacy, "site-level") == NULL;
    if (statistics)
        (void)fputs("model: {kind: feature-statistics}\n", file);
    else
        (void)fprintf(file, "model: {kind: softmax-regression, init: \"%s\"}\n",
                      job->init == NULL ? "zeros" : job->init);
    if (!statistics)
        (void)fprintf(file, "training: %s\n",
                      job->training != NULL ? job->training
                      : sampled             ? "{optimizer: sgd, learning_rate: 1}"
                                            : "{optimizer: lbfgs, local_iterations: 5}");
    if (job->features != NULL)
        (void)fprintf(file, "features: {%s}\n", job->features);
}

void run_scene_job(struct run_scene *scene, const struct scene_job *job)
{
    FILE *file = fopen(scene->job_path, "w");
    assert_non_null(file);
    (void)fputs("job: scripted\ndataset: numbers\n", file);
    put_model(file, job);
    put_federation(file, scene, job);
    (void)fprintf(file, "expires: %s\nsites:\n",
                  job->expires == NULL ? "2126-01-01T00:00:00Z" : job->expires);
    for (size_t i = 0; i < scene->site_count; i++) {
        char name[SITE_NAME_BYTES];
        (void)fprintf(file, "  - {name: %s, endpoint: \"%s\", fingerprint: \"%s\"", site_name(i, name),
                      scripted_site_endpoint(scene->sites[i]),
                      i == 0 && job->fingerprint != NULL ? job->fingerprint
                                                         : scripted_site_fingerprint(scene->sites[i]));
        if (job->privacy != NULL)
            (void)fprintf(file, ", examples: %zu", job->secure != NULL ? SCENE_EXAMPLES : 100 * (i + 1));
        (void)fputs("}\n", file);
    }
    assert_int_equal(fclose(file), 0);
}

/* A file cannot take the place of a directory, also for a user who may write everything. */
static void block_reports(const struct run_scene *scene, const struct orchestrator_run *run)
{
    char path[SCENE_PATH_BYTES + 32];
    bool record = strcmp(scene->block_reports, "record") == 0;
    (void)snprintf(path, sizeof path, "%.*s/report.json", SCENE_PATH_BYTES,
                   record ? orchestrator_run_directory(run) : scene->block_reports);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void on_event(void *context, const struct orchestrator_event *event)
{
    struct run_scene *scene = context;
    size_t used = strlen(scene->told);
    (void)snprintf(scene->told + used, sizeof scene->told - used, "%d %s %s %s\n", event->kind,
                   event->site == NULL ? "-" : event->site, event->sentence, event->command);
    used = strlen(scene->told);
    if (event->kind == ORCHESTRATOR_UNMASKED)
        (void)snprintf(scene->told + used, sizeof scene->told - used, "sum of %zu of %zu in %u\n",
                       event->done, event->total, event->round);
    scene->waiting += event->kind == ORCHESTRATOR_SITE_WAITING;
    if (event->kind == ORCHESTRATOR_ROUND_STARTED && (int)event->round == scene->cancel_in_round)
        scene->cancel = true;
    if (event->kind == ORCHESTRATOR_ROUND_STARTED && scene->in_round != NULL)
        scene->in_round(scene, event->round);
    if (event->kind == ORCHESTRATOR_ROUND_STARTED && event->round == 1 && scene->block_reports[0] != '\0')
        block_reports(scene, event->run);
}

static int cancelled(void *context)
{
    struct run_scene *scene = context;
    return scene->cancel;
}

void run_scene_run_with(struct run_scene *scene, const struct scene_job *job,
                        const struct orchestrator_run_options *options)
{
    struct orchestrator_run_options whole = *options;
    run_scene_job(scene, job);
    whole.size = sizeof whole;
    whole.job_path = scene->job_path;
    whole.cancel_fd = -1;
    whole.cancelled = cancelled;
    whole.on_event = on_event;
    whole.context = scene;
    orchestrator_run_free(scene->run);
    scene->run = NULL;
    scene->result = orchestrator_run(scene->orchestrator, &whole, &scene->run, &scene->failure);
}

void run_scene_run(struct run_scene *scene, const struct scene_job *job)
{
    struct orchestrator_run_options options = {.connect_seconds = 20, .approval_seconds = 20};
    run_scene_run_with(scene, job, &options);
}

void run_scene_expect_failure(const struct run_scene *scene, const char *word, const char *words)
{
    assert_int_equal(scene->result, -1);
    if (strstr(scene->failure.sentence, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", scene->failure.sentence, words);
    assert_string_equal(scene->failure.word, word);
}

void run_scene_expect_site(const struct run_scene *scene, size_t round, size_t site, const char *status,
                           const char *words)
{
    assert_non_null(scene->run);
    assert_true(round <= orchestrator_run_rounds(scene->run));
    const struct site_round *part = &scene->run->run.record->rounds[round - 1].sites[site];
    if (strstr(part->reason, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", part->reason, words);
    assert_string_equal(orchestrator_run_site_status(scene->run, round, site), status);
}

bool run_scene_file_exists(const char *folder, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}
