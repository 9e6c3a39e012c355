/* The owner's verbs about policy, several owners, and many requests, as typed. */
#include "console/verbs.h"
#include "datasite/approval.h"
#include "datasite/home.h"
#include "schemas/files.h"
#include "tests/unit/datasite/workspace.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct verb verb_requests, verb_show, verb_approve, verb_policy, verb_policy_test,
    verb_trust_owner_key, verb_trust_partner;

#define NOW 1790000000
#define OUT_BYTES (1 << 20)
#define RESEARCHER "sha256:4200000000000000000000000000000000000000000000000000000000000000"

/* A home with a dataset "made" and no job. */
struct bench {
    struct workspace *workspace;
    char home[160], out[160];
    char own[FINGERPRINT_BYTES];
};

static void bench_store(const struct bench *bench, struct home **home, struct identity **identity,
                        struct store **store)
{
    must(home_open(bench->home, home));
    must(home_store(*home, STORE_WRITE, identity, store));
}

static void bench_store_close(struct home *home, struct identity *identity, struct store *store)
{
    store_close(store);
    identity_free(identity);
    home_free(home);
}

static void add_dataset(struct store *store)
{
    static const uint8_t split_key[32] = {1};
    static const char *const classes[] = {"a", "b"};
    static const char *const columns[] = {"x"};
    static const double values[] = {1, 2};
    static const uint32_t labels[] = {0, 1};
    struct dataset_info info = {.name = "made",
                                .kind = DATASET_NUMBERS,
                                .rows = 2,
                                .features = 1,
                                .classes = 2,
                                .source = "made",
                                .imported_at = NOW};
    struct dataset_writer *writer = NULL;
    must(dataset_writer_start(store, &info, classes, columns, split_key, &writer));
    must(dataset_writer_add(writer, values, labels, 2));
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
}

static int bench_make(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    void *workspace = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    if (bench == NULL || workspace_make(&workspace) != 0)
        return -1;
    bench->workspace = workspace;
    (void)workspace_file(bench->workspace, "home", bench->home);
    (void)workspace_file(bench->workspace, "out", bench->out);
    must(home_create(bench->home, "site", "tcp://127.0.0.1:54879", NULL, &home));
    home_free(home);
    bench_store(bench, &home, &identity, &store);
    site_id_format(identity_id(identity), bench->own);
    add_dataset(store);
    bench_store_close(home, identity, store);
    *state = bench;
    return 0;
}

static int bench_remove(void **state)
{
    struct bench *bench = *state;
    void *workspace = bench->workspace;
    free(bench);
    return workspace_remove(&workspace);
}

/* Sets an option of a verb; `text` NULL takes it back. */
static void give(const struct verb *verb, const char *name, const char *text)
{
    for (const struct option *option = verb->options(); option->name != NULL; option++) {
        if (strcmp(option->name, name) != 0)
            continue;
        if (option->kind == OPTION_TEXT)
            *(const char **)option->target = text;
        else if (option->kind == OPTION_FLAG)
            *(bool *)option->target = text != NULL;
        else
            *(uint64_t *)option->target = text == NULL ? 0 : strtoull(text, NULL, 10);
        return;
    }
    fail_msg("there is no option %s", name);
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

static void expect_printed(const struct bench *bench, const char *words)
{
    char *text = printed(bench);
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" is not in:\n%s", words, text);
    free(text);
}

static void expect_not_printed(const struct bench *bench, const char *words)
{
    char *text = printed(bench);
    if (strstr(text, words) != NULL)
        fail_msg("\"%s\" is in:\n%s", words, text);
    free(text);
}

static void write_policy(const struct bench *bench, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", bench->home);
    workspace_write(path, text, strlen(text));
}

static void job_text(const struct bench *bench, const char *name, char ret_text[static 1024])
{
    (void)snprintf(ret_text, 1024,
                   "job: %s\ndataset: made\nmodel: {kind: softmax-regression}\n"
                   "training: {optimizer: lbfgs, local_iterations: 5}\n"
                   "federation: {rounds: 3, min_sites: 1}\nexpires: 2100-01-01T00:00:00Z\n"
                   "sites:\n  - {name: site, fingerprint: \"%s\"}\n",
                   name, bench->own);
}

static void add_job(const struct bench *bench, struct store *store, const char *name,
                    const struct site_id *requester, const char *requester_name, char *ret_id)
{
    static const struct policy_limits limits = {1000, 1000, 1000, 1000};
    char text[1024];
    bool is_new = false;
    struct job_record record = {.received_at = NOW, .expires = 4102444800, .requester = *requester};
    job_text(bench, name, text);
    record.bytes = (uint8_t *)text;
    record.byte_count = strlen(text);
    (void)snprintf(record.requester_name, sizeof(record.requester_name), "%s", requester_name);
    must(digest_of(text, strlen(text), &record.id));
    if (ret_id != NULL)
        digest_hex(&record.id, ret_id);
    must(store_job_add(store, &record, &(struct job_quota){.limits = &limits}, &is_new));
}

/* ---- policy ---- */

#define FULL                                                                                                 \
    "rules:\n"                                                                                               \
    "  - {name: ours, action: approve, requesters: [\"" RESEARCHER "\"], max_rounds: 5, max_jobs: 2,\n"      \
    "     parameters: {l2: [0, 1]}, days: [mon, tue], hours: \"08:00-18:00\", hold: final,\n"                \
    "     max_requests_per_day: 3}\n"                                                                        \
    "output: {min_cell: 5, max_update_norm: 2.5, max_job_bytes: 1000, metrics: [examples]}\n"                \
    "datasets: {made: {min_cell: 0, list: peers}}\n"                                                         \
    "limits: {max_pending: 7}\n"

static void test_policy_words_say_every_bound(void **state)
{
    struct bench *bench = *state;
    static const char *const words[] = {
        "its l2 is from 0 to 1",
        "mon, tue (local time)",
        "from 08:00 to 18:00",
        "at most 3 jobs in 24 hours",
        "The answers of the last approved round alone wait",
        "counts below 5 leave as null",
        "besides coefficients: examples",
        "norm of the update of at most 2.5",
        "1000 bytes a job",
        "For the dataset \"made\":",
        "every count leaves as it is",
        "trusted peers are told of the dataset\n",
        "7 jobs that wait for you",
    };
    write_policy(bench, FULL);
    must(type(bench, &verb_policy, NULL));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        expect_printed(bench, words[i]);
}

static void test_policy_json_says_every_bound(void **state)
{
    struct bench *bench = *state;
    double low = 1, high = 0;
    const char *hours = NULL, *hold = NULL, *day = NULL, *list = NULL;
    int per_day = 0, pending = 0, cell = 1, four_eyes = 1;
    write_policy(bench, FULL);
    give(&verb_policy, "json", "");
    must(type(bench, &verb_policy, NULL));
    give(&verb_policy, "json", NULL);
    char *text = printed(bench);
    json_t *all = json_loads(text, 0, NULL);
    assert_non_null(all);
    assert_int_equal(
        json_unpack(all, "{s:[{s:{s:[F,F]}, s:s, s:s, s:[s,s], s:i}], s:{s:{s:i, s:s}}, s:{s:i}, s:b}",
                    "rules", "parameters", "l2", &low, &high, "hours", &hours, "hold", &hold, "days", &day,
                    &day, "max_requests_per_day", &per_day, "datasets", "made", "min_cell", &cell, "list",
                    &list, "limits", "max_pending", &pending, "four_eyes", &four_eyes),
        0);
    assert_true(low == 0 && high == 1);
    assert_string_equal(hours, "08:00-18:00");
    assert_string_equal(hold, "final");
    assert_string_equal(day, "tue");
    assert_string_equal(list, "peers");
    assert_int_equal(per_day, 3);
    assert_int_equal(pending, 7);
    assert_int_equal(cell, 0);
    assert_int_equal(four_eyes, 0);
    json_decref(all);
    free(text);
}

static void try_job_on(const struct bench *bench, const char *dataset, const char *at)
{
    char text[1024], path[200];
    job_text(bench, "try", text);
    memcpy(strstr(text, "dataset: made") + strlen("dataset: "), dataset, strlen("made"));
    (void)workspace_file(bench->workspace, "job.yaml", path);
    workspace_write(path, text, strlen(text));
    give(&verb_policy_test, "requester", RESEARCHER);
    give(&verb_policy_test, "at", at);
    must(type(bench, &verb_policy_test, path));
    give(&verb_policy_test, "requester", NULL);
    give(&verb_policy_test, "at", NULL);
}

static void try_job(const struct bench *bench, const char *at)
{
    try_job_on(bench, "made", at);
}

static void test_policy_test_without_the_dataset_says_first_that_it_is_refused(void **state)
{
    struct bench *bench = *state;
    write_policy(bench, FULL);
    try_job_on(bench, "lost", "2026-09-21T18:00:00Z");
    expect_printed(bench, "With the dataset, the job waits for you.");
    expect_not_printed(bench, "The job waits");
    char *text = printed(bench);
    assert_ptr_equal(strstr(text, "The job is refused: this site has no dataset \"lost\"."), text);
    free(text);
}

static void test_policy_test_says_which_rule_decides_and_why(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(setenv("TZ", "UTC0", 1), 0);
    write_policy(bench, FULL);
    try_job(bench, "2026-09-21T14:00:00Z"); /* a Monday */
    expect_printed(bench, "The job is approved without asking.");
    expect_printed(bench, "Rule ours decides: approve.");
    expect_printed(bench, "approved 0 of at most 2 jobs");
    expect_printed(bench, "submitted 1 job in 24 hours");
    expect_printed(bench, "At every release of \"made\":\n  at least 100 training rows");
    expect_printed(bench, "every count leaves as it is");
    try_job(bench, "2026-09-21T18:00:00Z");
    expect_printed(bench, "The job waits for you.");
    expect_printed(bench, "Rule ours is for 08:00 to 18:00.\nNo rule matches; the default decides: ask.");
    try_job(bench, "2026-09-23T14:00:00Z");
    expect_printed(bench, "Rule ours is not for this day of the week.");
    assert_int_equal(unsetenv("TZ"), 0);
}

/* What is known of the requester comes from site.db: jobs of the day, jobs approved, the owner's denials. */
static void test_policy_test_counts_what_the_site_knows(void **state)
{
    struct bench *bench = *state;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct site_id researcher = {{{0x42}}};
    char id[DIGEST_HEX_BYTES];
    assert_int_equal(setenv("TZ", "UTC0", 1), 0);
    write_policy(bench, FULL);
    bench_store(bench, &home, &identity, &store);
    add_job(bench, store, "one", &researcher, "researcher", id);
    bench_store_close(home, identity, store);
    try_job(bench, "2026-09-21T15:00:00Z");
    expect_printed(bench, "submitted 2 jobs in 24 hours");
    expect_printed(bench, "The job is approved without asking.");
    bench_store(bench, &home, &identity, &store);
    struct job_record record;
    must(store_job_find_prefix(store, id, &record));
    must(approval_withhold(store, identity, &record, DECISION_DENY, "owner", "", NOW));
    job_record_clear(&record);
    bench_store_close(home, identity, store);
    try_job(bench, "2026-09-21T15:00:00Z");
    expect_printed(bench,
                   "The job waits for you.\nRule ours decides: approve.\nIt waits for you all the same: "
                   "The owner denied or revoked job");
    assert_int_equal(unsetenv("TZ"), 0);
}

/* ---- four eyes ---- */

/* Makes an owner's key, and copies its fingerprint from what is printed. */
static void make_owner(const struct bench *bench, const char *name, char path[static 160],
                       char ret_fingerprint[static FINGERPRINT_BYTES])
{
    (void)workspace_file(bench->workspace, name, path);
    must(type(bench, &verb_trust_owner_key, path));
    expect_printed(bench, "four_eyes: true");
    char *text = printed(bench);
    const char *mark = strstr(text, "sha256:");
    assert_non_null(mark);
    (void)snprintf(ret_fingerprint, FINGERPRINT_BYTES, "%.71s", mark);
    free(text);
}

#define PARTNER "sha256:7700000000000000000000000000000000000000000000000000000000000000"

/* What is printed is what the file takes. */
static void test_partner_line_is_what_the_policy_reads(void **state)
{
    struct bench *bench = *state;
    char policy[2048];
    give(&verb_trust_partner, "organisation", "city-hospital");
    must(type(bench, &verb_trust_partner, PARTNER));
    char *text = printed(bench);
    const char *line = strstr(text, "  partners:\n    - {");
    assert_non_null(line);
    (void)snprintf(policy, sizeof(policy), "organisation: ours\n%.*s",
                   (int)(strchr(line, '}') + 1 - line - 2), line + 2);
    free(text);
    write_policy(bench, policy);
    must(type(bench, &verb_policy, NULL));
    expect_printed(bench, "sums over at least 3 sites of at least 2 organisations");
    expect_printed(bench, "    city-hospital: 1 site\n      " PARTNER "\n");
    must(type(bench, &verb_trust_partner, PARTNER));
    expect_printed(bench, PARTNER " is there already, of city-hospital.\n");
    give(&verb_policy, "json", "yes");
    must(type(bench, &verb_policy, NULL));
    expect_printed(bench, "\"organisation\": \"city-hospital\"");
    expect_printed(bench, "\"min_threshold\": 3");
    give(&verb_policy, "json", NULL);
    give(&verb_trust_partner, "organisation", NULL);
}

static void test_partner_that_cannot_be_is_refused(void **state)
{
    struct bench *bench = *state;
    refused(type(bench, &verb_trust_partner, PARTNER), ERROR_USAGE, "--organisation is required");
    give(&verb_trust_partner, "organisation", "the clinic");
    refused(type(bench, &verb_trust_partner, PARTNER), ERROR_USAGE, "is a name of 1 to 64");
    give(&verb_trust_partner, "organisation", "clinic");
    refused(type(bench, &verb_trust_partner, "sha256:77"), ERROR_INVALID, "");
    refused(type(bench, &verb_trust_partner, bench->own), ERROR_INVALID, "of this very site");
    give(&verb_trust_partner, "organisation", NULL);
}

static void test_policy_without_partners_says_that_sums_are_refused(void **state)
{
    struct bench *bench = *state;
    must(type(bench, &verb_policy, NULL));
    expect_printed(bench, "secure aggregation is refused, because `partners` is empty");
}

static void test_owner_key_is_private_and_never_replaced(void **state)
{
    struct bench *bench = *state;
    char path[160], file[200], fingerprint[FINGERPRINT_BYTES];
    struct stat entry;
    make_owner(bench, "owner", path, fingerprint);
    (void)snprintf(file, sizeof(file), "%s/identity.key", path);
    assert_int_equal(stat(file, &entry), 0);
    assert_int_equal(entry.st_mode & 0777, 0600);
    refused(type(bench, &verb_trust_owner_key, path), ERROR_CONFLICT, "");
}

static void test_approve_with_four_eyes_takes_two_owners(void **state)
{
    struct bench *bench = *state;
    char one[160], two[160], three[160], fingerprints[3][FINGERPRINT_BYTES], text[512];
    char id[DIGEST_HEX_BYTES];
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct site_id researcher = {{{0x42}}};
    make_owner(bench, "one", one, fingerprints[0]);
    make_owner(bench, "two", two, fingerprints[1]);
    make_owner(bench, "three", three, fingerprints[2]);
    (void)snprintf(text, sizeof(text), "four_eyes: true\nowners: [\"%s\", \"%s\"]\n", fingerprints[0],
                   fingerprints[1]);
    bench_store(bench, &home, &identity, &store);
    add_job(bench, store, "one", &researcher, "researcher", id);
    bench_store_close(home, identity, store);

    give(&verb_approve, "key", one);
    refused(type(bench, &verb_approve, id), ERROR_USAGE, "four_eyes: true");
    write_policy(bench, text);
    give(&verb_approve, "key", NULL);
    refused(type(bench, &verb_approve, id), ERROR_REFUSED, "--key DIR");
    give(&verb_approve, "key", three);
    refused(type(bench, &verb_approve, id), ERROR_REFUSED, "not one of the owners");
    must(type(bench, &verb_show, id));
    expect_printed(bench, "0 of 2 owners approved");

    give(&verb_approve, "key", one);
    give(&verb_approve, "rounds", "2");
    must(type(bench, &verb_approve, id));
    expect_printed(bench, "1 of 2 owners");
    refused(type(bench, &verb_approve, id), ERROR_CONFLICT, "already");
    must(type(bench, &verb_show, id));
    expect_printed(bench, "1 of 2 owners approved");
    expect_printed(bench, "1 run of 2 rounds");
    must(type(bench, &verb_requests, NULL));
    expect_printed(bench, "pending, 1 of 2 owners");

    give(&verb_approve, "key", two);
    give(&verb_approve, "rounds", "1");
    refused(type(bench, &verb_approve, id), ERROR_CONFLICT, "other limits");
    give(&verb_approve, "rounds", NULL);
    must(type(bench, &verb_approve, id));
    expect_printed(bench, "Approved job");
    expect_printed(bench, "at most 2 rounds");
    give(&verb_approve, "key", NULL);
}

/* ---- requests ---- */

/* Strangers first in time and many, then one job of somebody whom the owner knows. */
static void test_requests_flood_hides_no_real_one(void **state)
{
    struct bench *bench = *state;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct site_id known = {{{0x42}}};
    char name[24];
    bench_store(bench, &home, &identity, &store);
    for (int i = 0; i < 90; i++) {
        struct site_id stranger = {{{(uint8_t)(i / 9), 7}}};
        (void)snprintf(name, sizeof(name), "flood-%d", i);
        add_job(bench, store, name, &stranger, "researcher", NULL);
    }
    must(store_peer_add(store, &known, "researcher", PEER_BY_INVITATION, NOW));
    for (int i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof(name), "real-%d", i);
        add_job(bench, store, name, &known, "researcher", NULL);
    }
    bench_store_close(home, identity, store);

    must(type(bench, &verb_requests, NULL));
    char *text = printed(bench);
    const char *real = strstr(text, "real-");
    const char *flood = strstr(text, "flood-");
    assert_true(real != NULL && flood != NULL && real < flood);
    free(text);
    expect_printed(bench, "and 3 more of researcher (datasite requests --all)");
    expect_printed(bench, "and 70 more of requesters whom you do not know");
    give(&verb_requests, "all", "");
    must(type(bench, &verb_requests, NULL));
    give(&verb_requests, "all", NULL);
    expect_printed(bench, "flood-89");
    expect_printed(bench, "real-7");
    expect_not_printed(bench, "more of");
}

static void test_requests_json_lists_all_and_says_who_is_known(void **state)
{
    struct bench *bench = *state;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct site_id known = {{{0x42}}};
    struct site_id stranger = {{{7}}};
    const char *name = NULL;
    int listed[2] = {0, 1};
    bench_store(bench, &home, &identity, &store);
    add_job(bench, store, "flood", &stranger, "x", NULL);
    must(store_peer_add(store, &known, "researcher", PEER_BY_INVITATION, NOW));
    add_job(bench, store, "real", &known, "x", NULL);
    bench_store_close(home, identity, store);
    give(&verb_requests, "json", "");
    must(type(bench, &verb_requests, NULL));
    give(&verb_requests, "json", NULL);
    char *text = printed(bench);
    json_t *all = json_loads(text, 0, NULL);
    assert_int_equal(json_unpack(all, "{s:[{s:s, s:b, s:n}, {s:b}]}", "requests", "name", &name, "listed",
                                 &listed[0], "owners_approved", "listed", &listed[1]),
                     0);
    assert_string_equal(name, "real");
    assert_true(listed[0] == 1 && listed[1] == 0);
    json_decref(all);
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_make, bench_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_policy_words_say_every_bound),
        TEST(test_policy_json_says_every_bound),
        TEST(test_policy_test_says_which_rule_decides_and_why),
        TEST(test_policy_test_without_the_dataset_says_first_that_it_is_refused),
        TEST(test_policy_test_counts_what_the_site_knows),
        TEST(test_partner_line_is_what_the_policy_reads),
        TEST(test_partner_that_cannot_be_is_refused),
        TEST(test_policy_without_partners_says_that_sums_are_refused),
        TEST(test_owner_key_is_private_and_never_replaced),
        TEST(test_approve_with_four_eyes_takes_two_owners),
        TEST(test_requests_flood_hides_no_real_one),
        TEST(test_requests_json_lists_all_and_says_who_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
