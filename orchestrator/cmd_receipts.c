#include "console/terminal.h"
#include "console/verbs.h"
#include "orchestrator/home.h"
#include "orchestrator/receipt_check.h"
#include "orchestrator/run_list.h"
#include "orchestrator/run_store.h"
#include "schemas/clock.h"
#include "schemas/text.h"

#include <jansson.h>

extern const struct verb verb_receipts, verb_receipts_list, verb_receipts_verify;

#define CELL_BYTES (RECEIPT_PROTECTIONS_BYTES + 64)
#define SHORT_BYTES 13
#define MOCK_SENTENCE                                                                                        \
    "The run in %s is a trial on mock data: it has no receipts, because no site released anything."

static struct {
    bool json;
} asked;

static const struct option *receipts_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &asked.json, .help = "print it as JSON"},
        {0},
    };
    return options;
}

static bool names_directory(const struct invocation *invocation)
{
    return invocation->argument_count > 0 && strchr(invocation->arguments[0], '/') != NULL;
}

static bool needs_home(const struct invocation *invocation)
{
    return !names_directory(invocation);
}

/* RUN is an id or its first digits, or, with a slash in it, a directory that holds a run, such as one of --out. */
static struct error *find_run(const struct invocation *invocation, char **ret_directory,
                              struct run_record **ret_record)
{
    struct error *err = NULL;
    char *directory = NULL;
    const char *named = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
    if (names_directory(invocation)) {
        directory = strdup(named);
        if (directory == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory to read a run.");
    } else {
        TRY(home_check(invocation->home));
        TRY(run_list_find(invocation->home, named, &directory));
    }
    TRY(run_store_load(directory, ret_record));
    *ret_directory = directory;
    directory = NULL;
done:
    free(directory);
    return err;
}

static void short_hex(const struct digest *digest, char ret_text[static SHORT_BYTES])
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(digest, hex);
    (void)snprintf(ret_text, SHORT_BYTES, "%.12s", hex);
}

static json_t *json_of_name(const char *name)
{
    char clean[JOB_SITE_NAME_BYTES * 2];
    terminal_clean(name, clean, sizeof clean);
    return json_string(clean);
}

static struct error *put_json(json_t *value)
{
    int failed = value == NULL ? -1 : json_dumpf(value, stdout, JSON_INDENT(2));
    json_decref(value);
    if (failed != 0)
        return error_new(ERROR_MEMORY, "There is not enough memory to print the receipts.");
    (void)putchar('\n');
    return NULL;
}

/* ---- list ---- */

/* The attempt counts from 1, as in the names of the files. */
static json_t *json_of_listed(const struct run_record *record, size_t site, const struct receipt *receipt,
                              uint32_t attempt)
{
    json_t *object = NULL;
    struct error *err = receipt_to_json(receipt, &object);
    error_free(err);
    if (receipt->kind == RECEIPT_MASKED_INPUT)
        (void)json_object_set_new(object, "attempt", json_integer((json_int_t)attempt + 1));
    (void)json_object_set_new(object, "name", json_of_name(record->job->sites[site].name));
    return object;
}

static struct error *list_row(struct table *table, const struct run_record *record, size_t site,
                              const struct receipt *receipt, uint32_t attempt)
{
    char round[RUN_EXCHANGE_NAME_BYTES];
    char of[40];
    char event[24];
    char digest[SHORT_BYTES];
    char at[CLOCK_TEXT_BYTES];
    run_record_exchange_name(record, receipt->round, round);
    (void)snprintf(event, sizeof event, "%llu", (unsigned long long)receipt->sequence);
    short_hex(&receipt->digest, digest);
    clock_format(receipt->at, at);
    (void)snprintf(of, sizeof of, "%s", receipt_kind_word(receipt->kind));
    if (receipt->kind == RECEIPT_MASKED_INPUT && attempt > 0)
        (void)snprintf(of, sizeof of, "%s, attempt %u", receipt_kind_word(receipt->kind),
                       (unsigned)attempt + 1);
    const char *cells[] = {round, record->job->sites[site].name, of, event, at, digest, receipt->protections};
    return table_row(table, cells);
}

/* Into a table, or into an array of JSON, whichever is given. */
static struct error *list_site(const struct run_record *record, const struct round_record *round, size_t site,
                               struct table *table, json_t *array, size_t *count)
{
    struct error *err = NULL;
    for (size_t n = 0; n < SITE_ROUND_RECEIPTS; n++) {
        uint32_t attempt = 0;
        const struct site_receipt *kept = site_round_receipt(&round->sites[site], n, &attempt);
        if (kept == NULL)
            continue;
        ++*count;
        if (array != NULL)
            (void)json_array_append_new(array, json_of_listed(record, site, &kept->receipt, attempt));
        else
            TRY(list_row(table, record, site, &kept->receipt, attempt));
    }
done:
    return err;
}

static struct error *list_all(const struct run_record *record, struct table *table, json_t *array,
                              size_t *count)
{
    struct error *err = NULL;
    const struct round_record *round = NULL;
    for (size_t r = 0; (round = run_record_exchange(record, r)) != NULL; r++) {
        for (size_t s = 0; s < record->job->site_count; s++)
            TRY(list_site(record, round, s, table, array, count));
    }
done:
    return err;
}

static struct error *list_run(const struct invocation *invocation)
{
    static const char *const headers[] = {"round", "site", "of", "event", "at", "bytes", "protections"};
    struct error *err = NULL;
    char *directory = NULL;
    struct run_record *record = NULL;
    struct table *table = NULL;
    json_t *array = asked.json ? json_array() : NULL;
    size_t count = 0;
    TRY(find_run(invocation, &directory, &record));
    TRY(table_new(headers, sizeof headers / sizeof headers[0], &table));
    table_align(table, 1u | 1u << 3);
    TRY(list_all(record, table, array, &count));
    if (asked.json) {
        TRY(put_json(json_pack("{s:i, s:b, s:O}", "version", 1, "mock", record->mock, "receipts", array)));
    } else if (record->mock) {
        (void)printf(MOCK_SENTENCE "\n", directory);
    } else if (count == 0) {
        (void)printf("The run in %s has no receipts.\n", directory);
    } else {
        table_print(table, stdout);
    }
done:
    json_decref(array);
    table_free(table);
    run_record_free(record);
    free(directory);
    return err;
}

/* ---- verify ---- */

static bool is_wrong(const struct receipt_check *check, uint32_t round, size_t site)
{
    for (size_t i = 0; i < check->problem_count && i < RECEIPT_CHECK_PROBLEMS; i++)
        if (check->problems[i].round == round && check->problems[i].site == site)
            return true;
    return false;
}

static struct error *verify_row(struct table *table, const struct run_record *record,
                                const struct round_record *round, size_t site,
                                const struct receipt_check *check)
{
    char number[RUN_EXCHANGE_NAME_BYTES];
    char model[SHORT_BYTES] = "none";
    char approval[SHORT_BYTES] = "";
    char event[24] = "";
    const struct site_round *part = &round->sites[site];
    const struct site_receipt *kept = round_receipt(round, site);
    run_record_exchange_name(record, round->round, number);
    if (round->model != NULL)
        short_hex(&round->model_sha256, model);
    if (kept != NULL) {
        short_hex(&kept->receipt.approval, approval);
        (void)snprintf(event, sizeof event, "%llu", (unsigned long long)kept->receipt.sequence);
    }
    bool unused = kept != NULL && !round_used(round, site);
    const char *verdict = kept == NULL ? "none" : unused ? "verified, not used" : "verified";
    if (is_wrong(check, round->round, site))
        verdict = "WRONG";
    const char *cells[] = {number,
                           model,
                           record->job->sites[site].name,
                           part->status == SITE_OK && unused ? "not used" : site_status_word(part->status),
                           approval,
                           event,
                           verdict,
                           kept == NULL ? "" : kept->receipt.protections};
    return table_row(table, cells);
}

static void print_problems(const struct run_record *record, const struct receipt_check *check)
{
    for (size_t i = 0; i < check->problem_count && i < RECEIPT_CHECK_PROBLEMS; i++) {
        const struct receipt_problem *problem = &check->problems[i];
        char sentence[sizeof problem->sentence];
        char name[JOB_SITE_NAME_BYTES * 2] = "";
        char round[RUN_EXCHANGE_NAME_BYTES];
        terminal_clean(problem->sentence, sentence, sizeof sentence);
        if (problem->site != RECEIPT_CHECK_NO_SITE)
            terminal_clean(record->job->sites[problem->site].name, name, sizeof name);
        run_record_exchange_name(record, problem->round, round);
        if (problem->round != 0)
            (void)printf("%s%s%s%s: ", problem->round > record->job->rounds ? "The " : "Round ", round,
                         name[0] == '\0' ? "" : ", ", name);
        (void)printf("%s\n", sentence);
    }
    if (check->problem_count > RECEIPT_CHECK_PROBLEMS)
        (void)printf("… and %zu more.\n", check->problem_count - RECEIPT_CHECK_PROBLEMS);
}

static void print_held(const struct run_record *record, const struct receipt_check *check)
{
    bool masked = record->job->secure.enabled;
    (void)printf("All %zu receipts hold; %zu %s counted, and each is covered.\n", check->held, check->wanted,
                 masked ? "masked inputs" : "updates");
    if (check->unused > 0)
        (void)printf("%zu masked input%s sent and not used: in no sum, and nothing of %s was revealed.\n",
                     check->unused, check->unused == 1 ? " was" : "s were",
                     check->unused == 1 ? "it" : "them");
    (void)printf("That proves what the sites "
                 "released, not that the model is the %s of it: the %s are not kept.\n",
                 masked ? "sum" : "average", masked ? "inputs" : "updates");
}

static struct error *print_verdict(const struct run_record *record, const struct receipt_check *check)
{
    static const char *const headers[] = {"round",    "model", "site",    "status",
                                          "approval", "event", "receipt", "protections"};
    struct error *err = NULL;
    struct table *table = NULL;
    const struct round_record *round = NULL;
    char id[DIGEST_HEX_BYTES];
    TRY(table_new(headers, sizeof headers / sizeof headers[0], &table));
    table_align(table, 1u | 1u << 5);
    for (size_t r = 0; (round = run_record_exchange(record, r)) != NULL; r++) {
        for (size_t s = 0; s < record->job->site_count; s++)
            TRY(verify_row(table, record, round, s, check));
    }
    if (record->round_count > 0)
        table_print(table, stdout);
    const struct round_record *last = run_record_last_model(record);
    if (last != NULL) {
        digest_hex(&last->model_sha256, id);
        (void)printf("The last model, of round %u, has the SHA-256 %s.\n", (unsigned)last->round, id);
    }
    print_problems(record, check);
    if (check->problem_count == 0)
        print_held(record, check);
done:
    table_free(table);
    return err;
}

static json_t *json_of_kept(const struct site_receipt *kept)
{
    char approval[DIGEST_HEX_BYTES];
    char digest[DIGEST_HEX_BYTES];
    if (kept == NULL)
        return json_null();
    digest_hex(&kept->receipt.approval, approval);
    digest_hex(&kept->receipt.digest, digest);
    return json_pack("{s:I, s:s, s:s, s:s}", "sequence", (json_int_t)kept->receipt.sequence, "approval",
                     approval, "digest", digest, "protections", kept->receipt.protections);
}

static json_t *json_of_round(const struct run_record *record, const struct round_record *round,
                             const struct receipt_check *check)
{
    char model[DIGEST_HEX_BYTES];
    json_t *sites = json_array();
    for (size_t s = 0; s < record->job->site_count; s++) {
        const struct site_round *part = &round->sites[s];
        (void)json_array_append_new(
            sites,
            json_pack(
                "{s:o, s:s, s:s, s:b, s:b, s:o, s:o, s:o}", "name", json_of_name(record->job->sites[s].name),
                "fingerprint", record->job->sites[s].fingerprint, "status", site_status_word(part->status),
                "contributed",
                part->status == SITE_OK && (round->model != NULL || round->masking.contributors > 0), "holds",
                !is_wrong(check, round->round, s), "update", json_of_kept(part->update_receipt), "evaluation",
                json_of_kept(part->evaluation_receipt), "masked_input",
                json_of_kept(round->masking.attempts == 0 ? NULL : round_receipt(round, s))));
    }
    digest_hex(&round->model_sha256, model);
    return json_pack("{s:i, s:o, s:o}", "round", (int)round->round, "model_sha256",
                     round->model == NULL ? json_null() : json_string(model), "sites", sites);
}

static json_t *json_of_problem(const struct run_record *record, const struct receipt_problem *problem)
{
    char sentence[sizeof problem->sentence];
    terminal_clean(problem->sentence, sentence, sizeof sentence);
    return json_pack(
        "{s:o, s:o, s:s}", "round", problem->round == 0 ? json_null() : json_integer(problem->round), "site",
        problem->site == RECEIPT_CHECK_NO_SITE ? json_null()
                                               : json_of_name(record->job->sites[problem->site].name),
        "sentence", sentence);
}

static struct error *verdict_json(const struct run_record *record, const struct receipt_check *check)
{
    char run_id[RUN_ID_HEX_BYTES];
    char job_id[DIGEST_HEX_BYTES];
    json_t *rounds = json_array();
    json_t *problems = json_array();
    const struct round_record *round = NULL;
    for (size_t r = 0; (round = run_record_exchange(record, r)) != NULL; r++)
        (void)json_array_append_new(rounds, json_of_round(record, round, check));
    for (size_t i = 0; i < check->problem_count && i < RECEIPT_CHECK_PROBLEMS; i++)
        (void)json_array_append_new(problems, json_of_problem(record, &check->problems[i]));
    run_id_format(record->run_id, run_id);
    digest_hex(&record->job_id, job_id);
    return put_json(json_pack("{s:i, s:s, s:s, s:b, s:I, s:I, s:o, s:o}", "version", 1, "run_id", run_id,
                              "job_id", job_id, "holds", check->problem_count == 0, "receipts",
                              (json_int_t)check->receipts, "held", (json_int_t)check->held, "rounds", rounds,
                              "problems", problems));
}

static struct error *verify_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    char *directory = NULL;
    struct run_record *record = NULL;
    struct receipt_check check = {0};
    TRY(find_run(invocation, &directory, &record));
    if (record->mock)
        FAIL(ERROR_NOT_FOUND, MOCK_SENTENCE, directory);
    TRY(receipt_check_run(record, &check));
    if (record->status != RUN_RUNNING)
        TRY(receipt_check_files(record, directory, &check));
    TRY(asked.json ? verdict_json(record, &check) : print_verdict(record, &check));
    if (check.problem_count > 0)
        FAIL(ERROR_UNTRUSTED, "The receipts of the run in %s do not hold: %zu problem%s.", directory,
             check.problem_count, check.problem_count == 1 ? "" : "s");
done:
    receipt_check_clear(&check);
    run_record_free(record);
    free(directory);
    return err;
}

#define RUN_ARGUMENT                                                                                         \
    "RUN is the id of a run or its first digits, or, with a slash in it, a directory that holds one (such "  \
    "as\n"                                                                                                   \
    "that of --out); without it the latest run is taken.\n\n"

const struct verb verb_receipts = {
    .name = "receipts",
    .summary = "List what the sites signed about each release of a run",
    .arguments = "[RUN]",
    .detail = RUN_ARGUMENT "Example:\n  orchestrator receipts 3f9a",
    .maximum_arguments = 1,
    .options = receipts_options,
    .run = list_run,
    .needs_home = needs_home,
};

const struct verb verb_receipts_list = {
    .name = "receipts list",
    .summary = "The same",
    .arguments = "[RUN]",
    .detail = RUN_ARGUMENT "Example:\n  orchestrator receipts list 3f9a --json",
    .maximum_arguments = 1,
    .options = receipts_options,
    .run = list_run,
    .needs_home = needs_home,
};

const struct verb verb_receipts_verify = {
    .name = "receipts verify",
    .summary = "Check all receipts of a run: who contributed to which model, under which approval",
    .arguments = "[RUN]",
    .detail = RUN_ARGUMENT
    "Every update that counted, or under secure aggregation every masked input, needs a receipt; each "
    "receipt must be signed by its site, be of this job, "
    "run,\n"
    "round and of the bytes that arrived, and those of a site must follow each other. The files in receipts/ "
    "are\n"
    "compared with run.db. What is missing or wrong is named. This proves what the sites released; that the\n"
    "model was averaged from it is the orchestrator's word, as the updates themselves are not kept.\n\n"
    "Exit status: 0 all receipts hold, 1 something is missing or wrong, or the run was a trial on mock "
    "data.\n\n"
    "Example:\n"
    "  orchestrator receipts verify 3f9a",
    .maximum_arguments = 1,
    .options = receipts_options,
    .run = verify_run,
    .needs_home = needs_home,
};
