/* The owner's verbs about policy, several owners, and many requests, as typed. */
#include "console/verbs.h"
#include "datasite/approval.h"
#include "datasite/home.h"
#include "schemas/files.h"
#include "tests/unit/datasite/bench.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct verb verb_requests, verb_show, verb_approve, verb_policy, verb_policy_test,
    verb_trust_owner_key, verb_trust_partner;

#define RESEARCHER "sha256:4200000000000000000000000000000000000000000000000000000000000000"

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
    struct job_record record = {.received_at = BENCH_NOW, .expires = 4102444800, .requester = *requester};
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
    bench_write_policy(bench, FULL);
    must(bench_type(bench, &verb_policy, NULL));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        bench_expect_printed(bench, words[i]);
}

static void test_policy_words_and_json_say_what_is_asked_of_privacy(void **state)
{
    struct bench *bench = *state;
    static const char *const words[] = {
        "     - its model is feature-statistics\n",
        "     - its features are raw, hog\n",
        "     - its privacy mechanism is one of: dp-sgd, distributed-dp\n",
        "     - it has a privacy mechanism, and its epsilon, times the runs, is at most 3\n",
        "  with noise alone: nothing for a job without a privacy mechanism\n",
        "  of a job only if it has a privacy mechanism, and its epsilon, of all runs that you approved, is "
        "at "
        "most 8\n",
        "  of a job only if it has a privacy mechanism, and its delta, of all runs that you approved, is at "
        "most "
        "0.0001\n",
        "  of a job only if it has a privacy mechanism, whose noise multipliers are at least 0.5\n",
    };
    double rule = 0, output = 0, noise = 0;
    const char *require = NULL;
    bench_write_policy(bench,
                       "rules: [{name: r, action: ask, models: [feature-statistics], features: [raw, hog], "
                       "privacy: {mechanisms: [dp-sgd, distributed-dp], max_epsilon: 3}}]\n"
                       "output: {require: [privacy], privacy: {max_epsilon: 8, max_delta: 1e-4, "
                       "min_noise: 0.5}}\n");
    must(bench_type(bench, &verb_policy, NULL));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        bench_expect_printed(bench, words[i]);
    bench_give(&verb_policy, "json", "");
    must(bench_type(bench, &verb_policy, NULL));
    bench_give(&verb_policy, "json", NULL);
    char *text = bench_printed(bench);
    json_t *all = json_loads(text, 0, NULL);
    assert_non_null(all);
    assert_int_equal(json_unpack(all, "{s:[{s:{s:[s,s], s:F, s:n}}], s:{s:[s], s:{s:F, s:F}}}", "rules",
                                 "privacy", "mechanisms", &require, &require, "max_epsilon", &rule,
                                 "min_noise", "output", "require", &require, "privacy", "max_epsilon",
                                 &output, "min_noise", &noise),
                     0);
    assert_string_equal(require, "privacy");
    assert_true(rule == 3 && output == 8 && noise == 0.5);
    json_decref(all);
    free(text);
}

static void test_policy_json_says_every_bound(void **state)
{
    struct bench *bench = *state;
    double low = 1, high = 0;
    const char *hours = NULL, *hold = NULL, *day = NULL, *list = NULL;
    int per_day = 0, pending = 0, cell = 1, four_eyes = 1;
    bench_write_policy(bench, FULL);
    bench_give(&verb_policy, "json", "");
    must(bench_type(bench, &verb_policy, NULL));
    bench_give(&verb_policy, "json", NULL);
    char *text = bench_printed(bench);
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

static void test_policy_words_count_one_day(void **state)
{
    struct bench *bench = *state;
    static const char rule[] =
        "rules: [{name: ours, action: approve, requesters: [\"" RESEARCHER "\"], max_rounds: 5%s}]\n";
    char text[512];
    (void)snprintf(text, sizeof(text), rule, ", expires: 24h");
    bench_write_policy(bench, text);
    must(bench_type(bench, &verb_policy, NULL));
    bench_expect_printed(bench, "ends after 1 day, or with the job");
    (void)snprintf(text, sizeof(text), rule, ", expires: 36h");
    bench_write_policy(bench, text);
    must(bench_type(bench, &verb_policy, NULL));
    bench_expect_printed(bench, "ends after 1.5 days, or with the job");
}

static void try_job_on(const struct bench *bench, const char *dataset, const char *at)
{
    char text[1024], path[200];
    job_text(bench, "try", text);
    memcpy(strstr(text, "dataset: made") + strlen("dataset: "), dataset, strlen("made"));
    (void)workspace_file(bench->workspace, "job.yaml", path);
    workspace_write(path, text, strlen(text));
    bench_give(&verb_policy_test, "requester", RESEARCHER);
    bench_give(&verb_policy_test, "at", at);
    must(bench_type(bench, &verb_policy_test, path));
    bench_give(&verb_policy_test, "requester", NULL);
    bench_give(&verb_policy_test, "at", NULL);
}

static void try_job(const struct bench *bench, const char *at)
{
    try_job_on(bench, "made", at);
}

static void test_policy_test_without_the_dataset_says_first_that_it_is_refused(void **state)
{
    struct bench *bench = *state;
    bench_write_policy(bench, FULL);
    try_job_on(bench, "lost", "2026-09-21T18:00:00Z");
    bench_expect_printed(bench, "With the dataset, the job waits for you.");
    bench_expect_not_printed(bench, "The job waits");
    char *text = bench_printed(bench);
    assert_ptr_equal(strstr(text, "The job is refused: this site has no dataset \"lost\"."), text);
    free(text);
}

static void test_policy_test_says_which_rule_decides_and_why(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(setenv("TZ", "UTC0", 1), 0);
    bench_write_policy(bench, FULL);
    try_job(bench, "2026-09-21T14:00:00Z"); /* a Monday */
    bench_expect_printed(bench, "The job is approved without asking.");
    bench_expect_printed(bench, "Rule ours decides: approve.");
    bench_expect_printed(bench, "approved 0 of at most 2 jobs");
    bench_expect_printed(bench, "submitted 1 job in 24 hours");
    bench_expect_printed(bench, "At every release of \"made\":\n  at least 100 training rows");
    bench_expect_printed(bench, "every count leaves as it is");
    try_job(bench, "2026-09-21T18:00:00Z");
    bench_expect_printed(bench, "The job waits for you.");
    bench_expect_printed(bench,
                         "Rule ours is for 08:00 to 18:00.\nNo rule matches; the default decides: ask.");
    try_job(bench, "2026-09-23T14:00:00Z");
    bench_expect_printed(bench, "Rule ours is not for this day of the week.");
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
    bench_write_policy(bench, FULL);
    bench_store(bench, &home, &identity, &store);
    add_job(bench, store, "one", &researcher, "researcher", id);
    bench_store_close(home, identity, store);
    try_job(bench, "2026-09-21T15:00:00Z");
    bench_expect_printed(bench, "submitted 2 jobs in 24 hours");
    bench_expect_printed(bench, "The job is approved without asking.");
    bench_store(bench, &home, &identity, &store);
    struct job_record record;
    must(store_job_find_prefix(store, id, &record));
    must(approval_withhold(store, identity, &record, DECISION_DENY, "owner", "", BENCH_NOW));
    job_record_clear(&record);
    bench_store_close(home, identity, store);
    try_job(bench, "2026-09-21T15:00:00Z");
    bench_expect_printed(
        bench, "The job waits for you.\nRule ours decides: approve.\nIt waits for you all the same: "
               "The owner denied or revoked job");
    assert_int_equal(unsetenv("TZ"), 0);
}

/* ---- four eyes ---- */

/* Makes an owner's key, and copies its fingerprint from what is printed. */
static void make_owner(const struct bench *bench, const char *name, char path[static 160],
                       char ret_fingerprint[static FINGERPRINT_BYTES])
{
    (void)workspace_file(bench->workspace, name, path);
    must(bench_type(bench, &verb_trust_owner_key, path));
    bench_expect_printed(bench, "four_eyes: true");
    char *text = bench_printed(bench);
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
    bench_give(&verb_trust_partner, "organisation", "city-hospital");
    must(bench_type(bench, &verb_trust_partner, PARTNER));
    char *text = bench_printed(bench);
    const char *line = strstr(text, "  partners:\n    - {");
    assert_non_null(line);
    (void)snprintf(policy, sizeof(policy), "organisation: ours\n%.*s",
                   (int)(strchr(line, '}') + 1 - line - 2), line + 2);
    free(text);
    bench_write_policy(bench, policy);
    must(bench_type(bench, &verb_policy, NULL));
    bench_expect_printed(bench, "sums over at least 3 sites of at least 2 organisations");
    bench_expect_printed(bench, "    city-hospital: 1 site\n      " PARTNER "\n");
    must(bench_type(bench, &verb_trust_partner, PARTNER));
    bench_expect_printed(bench, PARTNER " is there already, of city-hospital.\n");
    bench_give(&verb_policy, "json", "yes");
    must(bench_type(bench, &verb_policy, NULL));
    bench_expect_printed(bench, "\"organisation\": \"city-hospital\"");
    bench_expect_printed(bench, "\"min_threshold\": 3");
    bench_expect_printed(bench, "\"differences\": \"allow\"");
    bench_expect_printed(bench, "\"require_verify_sum\": false");
    bench_expect_printed(bench, "\"max_examples\": null");
    bench_give(&verb_policy, "json", NULL);
    bench_give(&verb_trust_partner, "organisation", NULL);
}

static void test_policy_says_what_is_asked_of_sums(void **state)
{
    struct bench *bench = *state;
    bench_write_policy(bench, "partners: [{fingerprint: \"" PARTNER "\", organisation: clinic}]\n"
                              "secure_aggregation: {min_threshold: 3}\n");
    must(bench_type(bench, &verb_policy, NULL));
    bench_expect_printed(bench, "Sums of one job over nearly the same sites are agreed to");
    bench_expect_not_printed(bench, "verify_sum");
    bench_expect_not_printed(bench, "max_examples");
    bench_write_policy(bench, "partners: [{fingerprint: \"" PARTNER "\", organisation: clinic}]\n"
                              "secure_aggregation: {differences: refuse, require_verify_sum: true, "
                              "max_examples: 7000}\n");
    must(bench_type(bench, &verb_policy, NULL));
    bench_expect_printed(bench,
                         "A sum over nearly the same sites as an earlier one of the job is not agreed to");
    bench_expect_printed(bench, "have to check each sum (verify_sum)");
    bench_expect_printed(bench, "more than 7000 rows of one (max_examples)");
    bench_give(&verb_policy, "json", "yes");
    must(bench_type(bench, &verb_policy, NULL));
    bench_expect_printed(bench, "\"differences\": \"refuse\"");
    bench_expect_printed(bench, "\"require_verify_sum\": true");
    bench_expect_printed(bench, "\"max_examples\": 7000");
    bench_give(&verb_policy, "json", NULL);
}

static void test_partner_that_cannot_be_is_refused(void **state)
{
    struct bench *bench = *state;
    refused(bench_type(bench, &verb_trust_partner, PARTNER), ERROR_USAGE, "--organisation is required");
    bench_give(&verb_trust_partner, "organisation", "the clinic");
    refused(bench_type(bench, &verb_trust_partner, PARTNER), ERROR_USAGE, "is a name of 1 to 64");
    bench_give(&verb_trust_partner, "organisation", "clinic");
    refused(bench_type(bench, &verb_trust_partner, "sha256:77"), ERROR_INVALID, "");
    refused(bench_type(bench, &verb_trust_partner, bench->own), ERROR_INVALID, "of this very site");
    bench_give(&verb_trust_partner, "organisation", NULL);
}

static void test_policy_without_partners_says_that_sums_are_refused(void **state)
{
    struct bench *bench = *state;
    must(bench_type(bench, &verb_policy, NULL));
    bench_expect_printed(bench, "secure aggregation is refused, because `partners` is empty");
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
    refused(bench_type(bench, &verb_trust_owner_key, path), ERROR_CONFLICT, "");
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

    bench_give(&verb_approve, "key", one);
    refused(bench_type(bench, &verb_approve, id), ERROR_USAGE, "four_eyes: true");
    bench_write_policy(bench, text);
    bench_give(&verb_approve, "key", NULL);
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "--key DIR");
    bench_give(&verb_approve, "key", three);
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "not one of the owners");
    must(bench_type(bench, &verb_show, id));
    bench_expect_printed(bench, "0 of 2 owners approved");

    bench_give(&verb_approve, "key", one);
    bench_give(&verb_approve, "rounds", "2");
    must(bench_type(bench, &verb_approve, id));
    bench_expect_printed(bench, "1 of 2 owners");
    refused(bench_type(bench, &verb_approve, id), ERROR_CONFLICT, "already");
    must(bench_type(bench, &verb_show, id));
    bench_expect_printed(bench, "1 of 2 owners approved");
    bench_expect_printed(bench, "1 run of 2 rounds");
    must(bench_type(bench, &verb_requests, NULL));
    bench_expect_printed(bench, "pending, 1 of 2 owners");

    bench_give(&verb_approve, "key", two);
    bench_give(&verb_approve, "rounds", "1");
    refused(bench_type(bench, &verb_approve, id), ERROR_CONFLICT, "other limits");
    bench_give(&verb_approve, "rounds", NULL);
    must(bench_type(bench, &verb_approve, id));
    bench_expect_printed(bench, "Approved job");
    bench_expect_printed(bench, "at most 2 rounds");
    bench_give(&verb_approve, "key", NULL);
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
    must(store_peer_add(store, &known, "researcher", PEER_BY_INVITATION, BENCH_NOW));
    for (int i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof(name), "real-%d", i);
        add_job(bench, store, name, &known, "researcher", NULL);
    }
    bench_store_close(home, identity, store);

    must(bench_type(bench, &verb_requests, NULL));
    char *text = bench_printed(bench);
    const char *real = strstr(text, "real-");
    const char *flood = strstr(text, "flood-");
    assert_true(real != NULL && flood != NULL && real < flood);
    free(text);
    bench_expect_printed(bench, "and 3 more of researcher (datasite requests --all)");
    bench_expect_printed(bench, "and 70 more of requesters whom you do not know");
    bench_give(&verb_requests, "all", "");
    must(bench_type(bench, &verb_requests, NULL));
    bench_give(&verb_requests, "all", NULL);
    bench_expect_printed(bench, "flood-89");
    bench_expect_printed(bench, "real-7");
    bench_expect_not_printed(bench, "more of");
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
    must(store_peer_add(store, &known, "researcher", PEER_BY_INVITATION, BENCH_NOW));
    add_job(bench, store, "real", &known, "x", NULL);
    bench_store_close(home, identity, store);
    bench_give(&verb_requests, "json", "");
    must(bench_type(bench, &verb_requests, NULL));
    bench_give(&verb_requests, "json", NULL);
    char *text = bench_printed(bench);
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
        TEST(test_policy_words_and_json_say_what_is_asked_of_privacy),
        TEST(test_policy_words_count_one_day),
        TEST(test_policy_json_says_every_bound),
        TEST(test_policy_test_says_which_rule_decides_and_why),
        TEST(test_policy_test_without_the_dataset_says_first_that_it_is_refused),
        TEST(test_policy_test_counts_what_the_site_knows),
        TEST(test_partner_line_is_what_the_policy_reads),
        TEST(test_policy_says_what_is_asked_of_sums),
        TEST(test_partner_that_cannot_be_is_refused),
        TEST(test_policy_without_partners_says_that_sums_are_refused),
        TEST(test_owner_key_is_private_and_never_replaced),
        TEST(test_approve_with_four_eyes_takes_two_owners),
        TEST(test_requests_flood_hides_no_real_one),
        TEST(test_requests_json_lists_all_and_says_who_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
