#include "console/verbs.h"
#include "orchestrator/home.h"
#include "orchestrator/run_list.h"
#include "orchestrator/run_store.h"
#include "orchestrator/statistics.h"

#include <jansson.h>

extern const struct verb verb_statistics;

static struct {
    bool json;
} statistics_asked;

static const struct option *statistics_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &statistics_asked.json, .help = "print them as JSON"},
        {0},
    };
    return options;
}

static json_t *numbers_of(const double *numbers, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_real(numbers[i]));
    return list;
}

static struct error *print_statistics_json(const struct run_record *record,
                                           const struct statistics *statistics)
{
    char job_id[DIGEST_HEX_BYTES];
    char released_by[DIGEST_HEX_BYTES + 8];
    digest_hex(&record->job_id, job_id);
    (void)snprintf(released_by, sizeof released_by, "sha256:%s", job_id);
    json_t *result = json_pack("{s:i, s:b, s:s, s:I, s:I, s:o, s:o}", "version", 1, "mock", record->mock,
                               "released_by", released_by, "features", (json_int_t)statistics->features,
                               "constant", (json_int_t)statistics->constant, "mean",
                               numbers_of(statistics->mean, statistics->features), "deviation",
                               numbers_of(statistics->deviation, statistics->features));
    if (result == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the statistics.");
    (void)json_dumpf(result, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(result);
    return NULL;
}

static struct error *statistics_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    char *directory = NULL;
    struct run_record *record = NULL;
    struct statistics statistics = {0};
    const char *prefix = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
    TRY(home_check(invocation->home));
    TRY(run_list_find(invocation->home, prefix, &directory));
    TRY(run_store_load(directory, &record));
    TRY(statistics_of(record, &statistics));
    if (statistics_asked.json)
        TRY(print_statistics_json(record, &statistics));
    else
        statistics_print(stdout, record, &statistics);
done:
    statistics_clear(&statistics);
    run_record_free(record);
    free(directory);
    return err;
}

const struct verb verb_statistics = {
    .name = "statistics",
    .summary = "Print the statistics of features that a run released, for the next job's file",
    .arguments = "[RUN]",
    .detail = "RUN is the id of a run of a job with model.kind: feature-statistics, or its first digits; "
              "without it the\n"
              "latest run is taken. What is printed is the block `features:` of a job file, with kind: "
              "standardize, "
              "the mean\n"
              "and the deviation of every feature, and released_by, the id of the job that released them. "
              "The reports of\n"
              "such a run have the same block as statistics.yaml. A deviation of 0 is of a feature that "
              "cannot be told\n"
              "from a constant, under the noise of a private job: standardize makes 0 of it.\n\n"
              "Example:\n"
              "  orchestrator statistics 3f9a >> next-job.yaml",
    .maximum_arguments = 1,
    .options = statistics_options,
    .run = statistics_run,
};
