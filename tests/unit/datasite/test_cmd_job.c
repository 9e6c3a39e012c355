/* The owner's verbs about jobs, as typed. */
#include "console/verbs.h"
#include "datasite/approval.h"
#include "datasite/home.h"
#include "schemas/files.h"
#include "tests/unit/datasite/workspace.h"

#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

extern const struct verb verb_requests, verb_show, verb_approve, verb_deny, verb_revoke, verb_status,
    verb_policy, verb_policy_test;

#define NOW 1790000000
#define LONGEST "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl" /* 64 */
#define OUT_BYTES (1 << 20)

/* A home with a dataset and one pending job, whose every name is as long as it may be. */
struct bench {
    struct workspace *workspace;
    char home[160], database[200], out[160];
    char job_id[DIGEST_HEX_BYTES];
    char own[FINGERPRINT_BYTES];
    char text[2048];
};

static void add_dataset(struct store *store)
{
    static const uint8_t split_key[32] = {1};
    static const char *const classes[] = {"a", "b"};
    static const char *const columns[] = {"x"};
    static const double values[] = {1, 2};
    static const uint32_t labels[] = {0, 1};
    struct dataset_info info = {
        .kind = DATASET_NUMBERS, .rows = 2, .features = 1, .classes = 2, .imported_at = NOW};
    struct dataset_writer *writer = NULL;
    (void)snprintf(info.name, sizeof(info.name), "%s", LONGEST);
    (void)snprintf(info.source, sizeof(info.source), "made");
    must(dataset_writer_start(store, &info, classes, columns, split_key, &writer));
    must(dataset_writer_add(writer, values, labels, 2));
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
}

static void add_job(struct bench *bench, struct store *store)
{
    static const struct policy_limits limits = {16, 16, 16, 16};
    static const struct job_quota quota = {.limits = &limits};
    struct job_record record = {.received_at = NOW, .expires = 4102444800};
    bool is_new = false;
    (void)snprintf(
        bench->text, sizeof(bench->text),
        "job: %s\ndataset: %s\nmodel: {kind: softmax-regression}\n"
        "training: {optimizer: sgd, batch_size: 1000000, local_epochs: 1000, learning_rate: 0.001}\n"
        "federation: {rounds: 10000, min_sites: 1}\nexpires: 2100-01-01T00:00:00Z\n"
        "sites:\n  - {name: site, fingerprint: \"%s\"}\n",
        LONGEST, LONGEST, bench->own);
    record.bytes = (uint8_t *)bench->text;
    record.byte_count = strlen(bench->text);
    (void)snprintf(record.requester_name, sizeof(record.requester_name), "%.62s\x1b\n", LONGEST);
    must(digest_of(record.bytes, record.byte_count, &record.id));
    digest_hex(&record.id, bench->job_id);
    must(store_job_add(store, &record, &quota, &is_new));
    assert_true(is_new);
}

static int bench_make(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    void *workspace = NULL;
    struct home *home = NULL;
    struct store *store = NULL;
    struct identity *identity = NULL;
    if (bench == NULL || workspace_make(&workspace) != 0)
        return -1;
    bench->workspace = workspace;
    (void)workspace_file(bench->workspace, "home", bench->home);
    (void)workspace_file(bench->workspace, "out", bench->out);
    must(home_create(bench->home, "site", "tcp://127.0.0.1:54879", NULL, &home));
    (void)snprintf(bench->database, sizeof(bench->database), "%s/site.db", bench->home);
    must(identity_load(home->keys_path, &identity));
    site_id_format(identity_id(identity), bench->own);
    must(store_open(home->database_path, STORE_WRITE, &store));
    store_sign_with(store, identity);
    add_dataset(store);
    add_job(bench, store);
    store_close(store);
    identity_free(identity);
    home_free(home);
    *state = bench;
    return 0;
}

/* Gives an option of a verb its value, or its "not given". */
static void give(const struct verb *verb, const char *name, const char *text, uint64_t count, bool flag)
{
    for (const struct option *option = verb->options(); option->name != NULL; option++) {
        if (strcmp(option->name, name) != 0)
            continue;
        switch (option->kind) {
        case OPTION_TEXT:
            *(const char **)option->target = text;
            return;
        case OPTION_COUNT:
            *(uint64_t *)option->target = count;
            return;
        case OPTION_FLAG:
            *(bool *)option->target = flag;
            return;
        case OPTION_TEXTS:
            fail_msg("no verb here takes %s several times", name);
        }
    }
    fail_msg("there is no option %s", name);
}

static int bench_remove(void **state)
{
    struct bench *bench = *state;
    void *workspace = bench->workspace;
    give(&verb_approve, "rounds", NULL, 0, false);
    give(&verb_approve, "runs", NULL, 0, false);
    give(&verb_approve, "expires", NULL, 0, false);
    give(&verb_approve, "hold", NULL, 0, false);
    give(&verb_approve, "allow-growth", NULL, 0, false);
    give(&verb_show, "json", NULL, 0, false);
    give(&verb_show, "raw", NULL, 0, false);
    give(&verb_requests, "json", NULL, 0, false);
    give(&verb_status, "json", NULL, 0, false);
    free(bench);
    return workspace_remove(&workspace);
}

/* Runs a verb with its standard output in the file "out". */
static struct error *type(const struct bench *bench, const struct verb *verb, const char *argument)
{
    const struct invocation invocation = {.program = "datasite",
                                          .verb = verb->name,
                                          .home = bench->home,
                                          .argument_count = argument == NULL ? 0 : 1,
                                          .arguments = &argument};
    (void)fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    int file = open(bench->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && file >= 0 && dup2(file, STDOUT_FILENO) >= 0);
    struct error *err = verb->run(&invocation);
    (void)fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    (void)close(kept);
    (void)close(file);
    return err;
}

static char *printed(const struct bench *bench)
{
    uint8_t *text = NULL;
    size_t bytes = 0;
    must(file_read(bench->out, OUT_BYTES, &text, &bytes));
    return (char *)text;
}

static enum job_state state_of(const struct bench *bench)
{
    struct store *store = NULL;
    struct job_record record;
    must(store_open(bench->database, STORE_READ, &store));
    must(store_job_find_prefix(store, bench->job_id, &record));
    enum job_state state = record.state;
    job_record_clear(&record);
    store_close(store);
    return state;
}

static void expect_one_screen(const struct bench *bench)
{
    char *text = printed(bench);
    size_t lines = 0;
    for (const char *line = text; *line != '\0'; lines++) {
        size_t length = strcspn(line, "\n");
        if (length > 100)
            fail_msg("%zu columns: %.*s", length, (int)length, line);
        line += length + (line[length] == '\n');
    }
    if (lines > 24)
        fail_msg("%zu lines:\n%s", lines, text);
    free(text);
}

static void test_show_longest_names_fit_one_screen(void **state)
{
    struct bench *bench = *state;
    must(type(bench, &verb_show, bench->job_id));
    expect_one_screen(bench);
    give(&verb_approve, "hold", "final", 0, false);
    give(&verb_approve, "allow-growth", NULL, 0, true);
    must(type(bench, &verb_approve, bench->job_id));
    must(type(bench, &verb_show, bench->job_id));
    expect_one_screen(bench);
}

/* The summary of `show`, in one line. */
static char *shown_in_one_line(const struct bench *bench)
{
    must(type(bench, &verb_show, bench->job_id));
    char *text = printed(bench);
    for (char *end = text; (end = strchr(end, '\n')) != NULL;)
        *end = ' '; /* the summary is broken into lines */
    return text;
}

static void test_show_says_that_hold_final_can_be_evaded(void **state)
{
    struct bench *bench = *state;
    give(&verb_approve, "hold", "final", 0, false);
    must(type(bench, &verb_approve, bench->job_id));
    char *text = printed(bench);
    assert_non_null(strstr(text, "A requester who stops a round earlier has all others"));
    free(text);
    text = shown_in_one_line(bench);
    assert_non_null(
        strstr(text, "only the last round waits for your look: who stops before it evades that."));
    free(text);
}

static void test_show_control_characters_are_made_visible(void **state)
{
    struct bench *bench = *state;
    must(type(bench, &verb_show, bench->job_id));
    char *text = printed(bench);
    assert_null(strchr(text, '\x1b'));
    assert_non_null(strstr(text, "??"));
    free(text);
}

static void test_show_says_what_protects(void **state)
{
    struct bench *bench = *state;
    char *text = shown_in_one_line(bench);
    assert_non_null(strstr(text, "sees them in clear and can test guesses about single records"));
    assert_non_null(strstr(text, "4 model coefficients"));
    assert_non_null(strstr(text, "What protects you: at least 100 rows, counts below 10 withheld"));
    assert_non_null(strstr(text, "larger ones are exact, and under many models can tell of single rows"));
    assert_non_null(strstr(text, "unless you approve with --hold"));
    assert_non_null(strstr(text, "datasite approve "));
    free(text);
}

/* Every key of the output rules that makes a line longer, and a job that this policy makes useless. */
static void test_show_says_what_the_policy_makes_of_the_job(void **state)
{
    struct bench *bench = *state;
    static const char policy[] =
        "output: {max_job_bytes: 123456, max_update_norm: 12.5, metrics: [confusion]}\n";
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", bench->home);
    workspace_write(path, policy, strlen(policy));
    must(type(bench, &verb_show, bench->job_id));
    expect_one_screen(bench);
    char *text = printed(bench);
    for (char *end = text; (end = strchr(end, '\n')) != NULL;)
        *end = ' ';
    assert_non_null(strstr(text, "all answers together at most 123456 bytes"));
    assert_non_null(strstr(text, "refused while your policy withholds the number of rows"));
    free(text);
    give(&verb_show, "json", NULL, 0, true);
    must(type(bench, &verb_show, bench->job_id));
    text = printed(bench);
    assert_non_null(strstr(text, "\"training_rows\": false"));
    assert_non_null(strstr(text, "\"confusion\": true"));
    free(text);
}

static void test_show_of_an_approved_job_says_its_terms(void **state)
{
    struct bench *bench = *state;
    give(&verb_approve, "rounds", NULL, 2, false);
    give(&verb_approve, "runs", NULL, 3, false);
    must(type(bench, &verb_approve, bench->job_id));
    must(type(bench, &verb_show, bench->job_id));
    expect_one_screen(bench);
    char *text = printed(bench);
    assert_non_null(strstr(text, "; 3 runs of 2 rounds; hold: never\n"));
    assert_null(strstr(text, "; round "));
    free(text);
}

static void test_show_raw_and_json_together_is_wrong_usage(void **state)
{
    struct bench *bench = *state;
    give(&verb_show, "raw", NULL, 0, true);
    give(&verb_show, "json", NULL, 0, true);
    refused(type(bench, &verb_show, bench->job_id), ERROR_USAGE, "do not go together");
}

static void test_show_raw_is_the_job_byte_for_byte(void **state)
{
    struct bench *bench = *state;
    give(&verb_show, "raw", NULL, 0, true);
    must(type(bench, &verb_show, bench->job_id));
    char *text = printed(bench);
    assert_string_equal(text, bench->text);
    free(text);
}

/* Each listing is one JSON object of version 1. */
static void test_json_of_each_verb_parses(void **state)
{
    struct bench *bench = *state;
    static const struct {
        const struct verb *verb;
        bool needs_job;
    } verbs[] = {{&verb_show, true}, {&verb_requests, false}, {&verb_status, false}};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        give(verbs[i].verb, "json", NULL, 0, true);
        must(type(bench, verbs[i].verb, verbs[i].needs_job ? bench->job_id : NULL));
        char *text = printed(bench);
        json_t *document = json_loads(text, 0, NULL);
        assert_non_null(document);
        assert_int_equal(json_integer_value(json_object_get(document, "version")), 1);
        json_decref(document);
        free(text);
    }
}

static void test_approve_short_id_approves(void **state)
{
    struct bench *bench = *state;
    char prefix[13];
    (void)snprintf(prefix, sizeof(prefix), "%.12s", bench->job_id);
    must(type(bench, &verb_approve, prefix));
    assert_int_equal(state_of(bench), JOB_STATE_APPROVED);
}

static void test_approve_too_short_or_unknown_id_refused(void **state)
{
    struct bench *bench = *state;
    refused(type(bench, &verb_approve, "12"), ERROR_INVALID, "4 or more");
    refused(type(bench, &verb_approve, "not-hex!"), ERROR_INVALID, "hexadecimal");
    refused(type(bench, &verb_approve, bench->job_id[0] == '0' ? "1111" : "0000"), ERROR_NOT_FOUND, "no job");
    assert_int_equal(state_of(bench), JOB_STATE_PENDING);
}

static void test_approve_expiry_beyond_the_job_refused(void **state)
{
    struct bench *bench = *state;
    give(&verb_approve, "expires", "36500d", 0, false);
    refused(type(bench, &verb_approve, bench->job_id), ERROR_INVALID, "");
    assert_int_equal(state_of(bench), JOB_STATE_PENDING);
}

static void test_approve_expiry_that_is_no_time_refused(void **state)
{
    struct bench *bench = *state;
    give(&verb_approve, "expires", "tomorrow", 0, false);
    refused(type(bench, &verb_approve, bench->job_id), ERROR_INVALID, "--expires");
}

static void test_deny_then_approve_refused(void **state)
{
    struct bench *bench = *state;
    must(type(bench, &verb_deny, bench->job_id));
    refused(type(bench, &verb_approve, bench->job_id), ERROR_CONFLICT, "denied");
    assert_int_equal(state_of(bench), JOB_STATE_DENIED);
}

static void test_revoke_pending_refused(void **state)
{
    struct bench *bench = *state;
    refused(type(bench, &verb_revoke, bench->job_id), ERROR_CONFLICT, "deny it");
    assert_int_equal(state_of(bench), JOB_STATE_PENDING);
}

static void test_revoke_approved_revokes(void **state)
{
    struct bench *bench = *state;
    must(type(bench, &verb_approve, bench->job_id));
    must(type(bench, &verb_revoke, bench->job_id));
    assert_int_equal(state_of(bench), JOB_STATE_REVOKED);
}

static void test_status_without_a_daemon_says_how_to_start_one(void **state)
{
    struct bench *bench = *state;
    must(type(bench, &verb_status, NULL));
    char *text = printed(bench);
    assert_non_null(strstr(text, "not running: datasite serve"));
    assert_non_null(strstr(text, "1 pending"));
    free(text);
}

static void test_policy_of_a_new_site_waits_for_the_owner(void **state)
{
    struct bench *bench = *state;
    must(type(bench, &verb_policy, NULL));
    char *text = printed(bench);
    assert_non_null(strstr(text, "Every job waits for you."));
    free(text);
}

static void test_policy_test_without_a_requester_refused(void **state)
{
    struct bench *bench = *state;
    refused(type(bench, &verb_policy_test, "job.yaml"), ERROR_USAGE, "--requester");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_make, bench_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_show_longest_names_fit_one_screen),
        TEST(test_show_control_characters_are_made_visible),
        TEST(test_show_says_that_hold_final_can_be_evaded),
        TEST(test_show_says_what_protects),
        TEST(test_show_says_what_the_policy_makes_of_the_job),
        TEST(test_show_of_an_approved_job_says_its_terms),
        TEST(test_show_raw_and_json_together_is_wrong_usage),
        TEST(test_show_raw_is_the_job_byte_for_byte),
        TEST(test_json_of_each_verb_parses),
        TEST(test_approve_short_id_approves),
        TEST(test_approve_too_short_or_unknown_id_refused),
        TEST(test_approve_expiry_beyond_the_job_refused),
        TEST(test_approve_expiry_that_is_no_time_refused),
        TEST(test_deny_then_approve_refused),
        TEST(test_revoke_pending_refused),
        TEST(test_revoke_approved_revokes),
        TEST(test_status_without_a_daemon_says_how_to_start_one),
        TEST(test_policy_of_a_new_site_waits_for_the_owner),
        TEST(test_policy_test_without_a_requester_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
