/* The owner's verbs about jobs with secure aggregation, as typed. */
#include "console/verbs.h"
#include "datasite/approval.h"
#include "datasite/home.h"
#include "schemas/files.h"
#include "tests/unit/datasite/bench.h"

#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

extern const struct verb verb_requests, verb_show, verb_approve, verb_status, verb_policy_test;

#define A15 "aaaaaaaaaaaaaaa"
#define CLINIC "sha256:1" A15 A15 A15 A15 "aaa"
#define LAB "sha256:2" A15 A15 A15 A15 "aaa"
#define WARD "sha256:3" A15 A15 A15 A15 "aaa"
#define RESEARCHER "sha256:4200000000000000000000000000000000000000000000000000000000000000"

/* Whom the owner of the site below knows, as policy.yaml says it. */
#define PARTNERS                                                                                             \
    "organisation: our-house\n"                                                                              \
    "partners:\n"                                                                                            \
    "  - {fingerprint: \"" CLINIC "\", organisation: city-hospital}\n"                                       \
    "  - {fingerprint: \"" LAB "\", organisation: north-lab}\n"                                              \
    "  - {fingerprint: \"" WARD "\", organisation: county}\n"                                                \
    "datasets: {made: {min_cell: 0}}\n"

static int secure_remove(void **state)
{
    bench_give(&verb_show, "json", NULL);
    bench_give(&verb_requests, "json", NULL);
    bench_give(&verb_status, "json", NULL);
    bench_give(&verb_policy_test, "requester", NULL);
    return bench_remove(state);
}

/* Pending: four sites, this one and those above; `more` are lines of the job, `keys` of its secure_aggregation. */
static void add_job(const struct bench *bench, const char *more, const char *keys, char *ret_id)
{
    static const struct policy_limits limits = {1000, 1000, 1000, 1000};
    char text[2048];
    bool is_new = false;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct job_record record = {.received_at = BENCH_NOW, .expires = 4102444800, .requester = {{{0x42}}}};
    (void)snprintf(text, sizeof(text),
                   "job: masked\ndataset: made\nmodel: {kind: softmax-regression}\n"
                   "training: {optimizer: lbfgs, local_iterations: 5}\n%s"
                   "secure_aggregation: {enabled: true%s}\nexpires: 2100-01-01T00:00:00Z\nsites:\n"
                   "  - {name: Ours, fingerprint: \"%s\"}\n  - {name: Clinic A, fingerprint: \"" CLINIC
                   "\"}\n"
                   "  - {name: Lab, fingerprint: \"" LAB "\"}\n  - {name: Ward, fingerprint: \"" WARD "\"}\n",
                   more, keys, bench->own);
    record.bytes = (uint8_t *)text;
    record.byte_count = strlen(text);
    (void)snprintf(record.requester_name, sizeof(record.requester_name), "researcher");
    must(digest_of(text, strlen(text), &record.id));
    digest_hex(&record.id, ret_id);
    bench_store(bench, &home, &identity, &store);
    must(store_job_add(store, &record, &(struct job_quota){.limits = &limits}, &is_new));
    bench_store_close(home, identity, store);
}

#define ROUNDS "federation: {rounds: 3}\n"

/* Its lines joined, for sentences that are broken into lines. */
static char *printed_in_one_line(const struct bench *bench)
{
    char *text = bench_printed(bench);
    for (char *end = text; (end = strchr(end, '\n')) != NULL;)
        *end = ' ';
    return text;
}

static void expect_said(const struct bench *bench, const char *words)
{
    char *text = printed_in_one_line(bench);
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" is not in:\n%s", words, text);
    free(text);
}

/* ---- show ---- */

static void test_show_secure_says_what_leaves_and_who_sees_it(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    bench_write_policy(bench, PARTNERS);
    add_job(bench, ROUNDS, "", id);
    must(bench_type(bench, &verb_show, id));
    bench_expect_printed(bench, "masked, over at least 3 of 4 sites; threshold 3, 1 may collude\n");
    bench_expect_printed(bench, "clip 32, verify_sum true; ring 64: bits of each masked number\n");
    bench_expect_printed(bench, "max_examples 1000000: most training rows a site may have\n");
    bench_expect_printed(bench, "key_batch 8: keys are exchanged for so many rounds at once\n");
    bench_expect_not_printed(bench, "would fail here");
    bench_expect_printed(
        bench, "Sites      our-house: Ours (this site); city-hospital: Clinic A; north-lab: Lab; county: "
               "Ward\n");
    expect_said(bench, "one masked vector leaves in each of 3 rounds and after the last, in one run.");
    expect_said(bench,
                "the changes of 4 coefficients, cut at 32 and weighted by the number of rows you trained "
                "on, and that number, and how your test rows are classified (2 x 2 counts).");
    expect_said(bench,
                "learn the sum over at least 3 of 4 sites, yours among them, as long as no more than 1 of "
                "the others works with the requester.");
    expect_said(bench, "adds up the masked vectors itself (verify_sum) and refuses a false sum.");
    expect_said(bench,
                "Not hidden: what a sum with 2 honest sites in it tells by itself. Should more than 1 of the "
                "others collude, they see yours; and a site can spoil the model unseen. Two sums that "
                "differ by your site alone tell exactly how many rows you train on, exactly how many of "
                "your test rows have each label, and nearly your changes if the model hardly moved in "
                "between; against that: weighting: equal, metrics: none, differences: refuse in your "
                "policy and the partners', or noise (privacy: {mechanism: distributed-dp}).");
    bench_expect_not_printed(bench, "cannot be approved");
    bench_expect_not_printed(bench, "in clear");
    bench_expect_not_printed(bench, "--hold");
}

static void test_show_secure_names_strangers(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    bench_write_policy(bench, "partners: [{fingerprint: \"" CLINIC "\", organisation: city-hospital}]\n");
    add_job(bench, ROUNDS, "", id);
    must(bench_type(bench, &verb_show, id));
    bench_expect_printed(bench, "2 of them not among your partners, so your site refuses:\n"
                                "           Lab\n         " LAB "\n           Ward\n         " WARD "\n");
    bench_expect_printed(bench, "datasite trust partner FINGERPRINT --organisation NAME\n");
    expect_said(bench, "It cannot be approved as it is: 2 of the job's 4 sites are not among `partners`");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, LAB ", " WARD);
}

/* Whoever can say what the sum was can say what the next model is. */
static void test_show_secure_without_verified_sums_says_what_is_possible(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    bench_write_policy(bench, PARTNERS);
    add_job(bench, "federation: {rounds: 1, weighting: equal}\nevaluation: {metrics: none}\n",
            ", verify_sum: false, clip: 0.5, ring: 32, tolerate_colluding: 2", id);
    must(bench_type(bench, &verb_show, id));
    expect_said(bench,
                "one masked vector leaves in 1 round, in one run. Under the masks are the changes of 4 "
                "coefficients, cut at 0.5. Nobody reads yours alone");
    expect_said(bench,
                "over at least 4 of 4 sites, yours among them, as long as no more than 2 of the others work "
                "with the requester.");
    expect_said(
        bench,
        "Two sums that differ by your site alone tell nearly your changes if the model hardly moved in "
        "between; against that: differences: refuse in your policy and the partners', or noise");
    expect_said(bench,
                "No site checks the sum (verify_sum: false): the requester can announce a false one, and "
                "with it a model that is crafted to make later sums tell more.");
    expect_said(bench, "verify_sum false; ring 32: bits of each masked number");
}

/* The owner is told of what would show in round 1. The dataset has two rows, of which a fifth is to test. */
static void test_show_secure_and_approve_warn_of_more_rows_than_the_job_has_room_for(void **state)
{
    struct bench *bench = *state;
    char enough[DIGEST_HEX_BYTES], few[DIGEST_HEX_BYTES];
    bench_write_policy(bench, PARTNERS);
    add_job(bench, ROUNDS, ", max_examples: 2", enough);
    must(bench_type(bench, &verb_show, enough));
    bench_expect_not_printed(bench, "would fail here");
    must(bench_type(bench, &verb_approve, enough));
    bench_expect_not_printed(bench, "would fail here");
    add_job(bench, ROUNDS, ", max_examples: 1", few);
    must(bench_type(bench, &verb_show, few));
    bench_expect_printed(bench, "max_examples 1: most training rows a site may have\n"
                                "           This site has about 2, so round 1 would fail here.\n");
    must(bench_type(bench, &verb_approve, few));
    bench_expect_printed(bench, "Round 1 would fail here: this site has about 2 training rows, and the job's "
                                "max_examples is 1.");
}

/* What the owner's own policy does about it is said, and what it wants of the job stands in the way of an approval. */
static void test_show_secure_says_what_the_policy_asks_of_sums(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    add_job(bench, ROUNDS, ", verify_sum: false, max_examples: 5000", id);
    bench_write_policy(bench, PARTNERS "secure_aggregation: {differences: refuse}\n");
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "differences: refuse in the partners' policies, as in yours");
    bench_expect_not_printed(bench, "cannot be approved");
    bench_write_policy(bench, PARTNERS "secure_aggregation: {require_verify_sum: true}\n");
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "It cannot be approved as it is: In this job no site checks the sum");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "require_verify_sum");
    bench_write_policy(bench, PARTNERS "secure_aggregation: {max_examples: 4999}\n");
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "It cannot be approved as it is: The job weights sites by their rows");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "wants at most 4999");
    bench_write_policy(bench, PARTNERS "secure_aggregation: {max_examples: 5000}\n");
    must(bench_type(bench, &verb_approve, id));
}

/* Two sums over almost the same sites: the owner is told before the second. */
static void test_show_secure_warns_of_a_job_that_is_like_it(void **state)
{
    struct bench *bench = *state;
    char first[DIGEST_HEX_BYTES], second[DIGEST_HEX_BYTES];
    bench_write_policy(bench, PARTNERS);
    add_job(bench, ROUNDS, "", first);
    must(bench_type(bench, &verb_show, first));
    bench_expect_not_printed(bench, "like this one");
    must(bench_type(bench, &verb_approve, first));
    add_job(bench, ROUNDS, ", clip: 31", second);
    must(bench_type(bench, &verb_show, second));
    expect_said(bench,
                "You approved a job that is like this one: where two jobs differ by one site, their sums "
                "differ by that site's numbers.");
}

static void expect_json(const json_t *object, const char *key, json_int_t value)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    assert_int_equal(json_integer_value(json_object_get(object, key)), value);
}

static json_t *printed_json(const struct bench *bench)
{
    char *text = bench_printed(bench);
    json_t *document = json_loads(text, 0, NULL);
    assert_non_null(document);
    free(text);
    return document;
}

static void test_show_secure_json_has_every_key(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    bench_write_policy(bench, "partners: [{fingerprint: \"" CLINIC "\", organisation: city-hospital}]\n");
    add_job(bench, ROUNDS, ", clip: 4", id);
    bench_give(&verb_show, "json", "yes");
    must(bench_type(bench, &verb_show, id));
    json_t *document = printed_json(bench);
    const json_t *secure = json_object_get(document, "secure_aggregation");
    const json_t *leaves = json_object_get(document, "leaves");
    const json_t *sites = json_object_get(secure, "sites");
    assert_string_equal(json_string_value(json_object_get(leaves, "protection")), "secure-aggregation");
    assert_true(json_is_true(json_object_get(leaves, "confusion")));
    assert_true(json_is_true(json_object_get(leaves, "training_rows")));
    assert_true(json_is_false(json_object_get(leaves, "train_accuracy")));
    expect_json(secure, "threshold", 3);
    expect_json(secure, "tolerate_colluding", 1);
    expect_json(secure, "least_sites", 3);
    expect_json(secure, "ring", 64);
    expect_json(secure, "max_examples", 1000000);
    expect_json(secure, "key_batch", 8);
    assert_true(json_real_value(json_object_get(secure, "clip")) == 4);
    assert_true(json_is_true(json_object_get(secure, "verify_sum")));
    assert_int_equal(json_array_size(sites), 4);
    assert_true(json_is_true(json_object_get(json_array_get(sites, 0), "this_site")));
    assert_true(json_is_true(json_object_get(json_array_get(sites, 1), "known")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(sites, 1), "organisation")),
                        "city-hospital");
    assert_true(json_is_false(json_object_get(json_array_get(sites, 2), "known")));
    assert_non_null(strstr(json_string_value(json_object_get(document, "obstacle")), LAB));
    json_decref(document);
}

/* ---- approve ---- */

static void test_approve_secure_takes_one_run_without_hold(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    bench_write_policy(bench, PARTNERS);
    add_job(bench, ROUNDS, "", id);
    bench_give(&verb_approve, "hold", "first");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "cannot be held");
    bench_give(&verb_approve, "hold", NULL);
    bench_give(&verb_approve, "runs", "2");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "has one run");
    bench_give(&verb_approve, "runs", NULL);
    must(bench_type(bench, &verb_approve, id));
    must(bench_type(bench, &verb_show, id));
    bench_expect_printed(bench, "1 run of 3 rounds; hold: never\n");
    expect_said(bench, "each of 3 rounds and after the last, in one run.");
    /* Who removes a partner takes the approval's effect away, and is told. */
    bench_write_policy(bench, "organisation: our-house\n");
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "Your site refuses its steps: 3 of the job's 4 sites are not among `partners`");
}

static void test_approve_secure_refuses_counts_that_the_policy_withholds(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    bench_write_policy(bench, PARTNERS "output: {min_cell: 3}\n");
    add_job(bench, ROUNDS, "", id);
    must(bench_type(bench, &verb_approve, id)); /* the dataset's own rule counts */
    bench_write_policy(bench, PARTNERS);
    add_job(bench, "federation: {rounds: 4}\n", "", id);
    char *text = strdup(PARTNERS);
    assert_non_null(text);
    *strstr(text, "datasets:") = '\0';
    bench_write_policy(bench, text);
    free(text);
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "withholds counts below 10 (min_cell)");
}

/* The model after the last round is evaluated when all rounds of the job were approved. */
static void test_show_secure_of_fewer_rounds_has_no_evaluation(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    bench_write_policy(bench, PARTNERS);
    add_job(bench, ROUNDS, "", id);
    bench_give(&verb_approve, "rounds", "2");
    must(bench_type(bench, &verb_approve, id));
    bench_give(&verb_approve, "rounds", NULL);
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "one masked vector leaves in each of 2 rounds, in one run.");
}

/* ---- requests, status, policy test ---- */

static void test_requests_say_how_numbers_leave(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    add_job(bench, ROUNDS, "", id);
    must(bench_type(bench, &verb_requests, NULL));
    bench_expect_printed(bench, "Leaves");
    bench_expect_printed(bench, "masked");
    bench_give(&verb_requests, "json", "yes");
    must(bench_type(bench, &verb_requests, NULL));
    bench_expect_printed(bench, "\"protection\": \"secure-aggregation\"");
}

static void test_status_counts_partners_and_says_what_policy_is_wrong(void **state)
{
    struct bench *bench = *state;
    must(bench_type(bench, &verb_status, NULL));
    bench_expect_not_printed(bench, "Partners");
    bench_write_policy(bench, PARTNERS);
    must(bench_type(bench, &verb_status, NULL));
    bench_expect_printed(bench, "Partners     3 for secure aggregation\n");
    bench_write_policy(bench, "partners: 3\n");
    must(bench_type(bench, &verb_status, NULL));
    bench_expect_printed(bench, "partners must be a list.");
    bench_expect_printed(bench, bench->own);
    bench_give(&verb_status, "json", "yes");
    must(bench_type(bench, &verb_status, NULL));
    bench_expect_printed(bench, "\"partners\": null");
}

static void test_policy_test_says_that_a_rule_leaves_a_sum_to_the_owner(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES], path[200], policy[2048];
    static const char rule[] = "rules: [{name: ours, action: approve, requesters: [\"" RESEARCHER
                               "\"], max_rounds: 5, require: [secure-aggregation], max_runs: 5%s}]\n%s";
    add_job(bench, ROUNDS, "", id);
    bench_give(&verb_show, "raw", "yes");
    must(bench_type(bench, &verb_show, id));
    bench_give(&verb_show, "raw", NULL);
    char *text = bench_printed(bench);
    (void)workspace_file(bench->workspace, "job.yaml", path);
    workspace_write(path, text, strlen(text));
    free(text);
    bench_give(&verb_policy_test, "requester", RESEARCHER);
    (void)snprintf(policy, sizeof(policy), rule, "", PARTNERS);
    bench_write_policy(bench, policy);
    must(bench_type(bench, &verb_policy_test, path));
    bench_expect_printed(bench, "The job is approved without asking.\n");
    (void)snprintf(policy, sizeof(policy), rule, ", hold: first", PARTNERS);
    bench_write_policy(bench, policy);
    must(bench_type(bench, &verb_policy_test, path));
    bench_expect_printed(
        bench, "It waits for you all the same: Answers of a job with secure aggregation cannot be held");
    (void)snprintf(policy, sizeof(policy), rule, "", "");
    bench_write_policy(bench, policy);
    must(bench_type(bench, &verb_policy_test, path));
    bench_expect_printed(bench,
                         "It waits for you all the same: 3 of the job's 4 sites are not among `partners`");
    (void)snprintf(policy, sizeof(policy), rule, "",
                   PARTNERS "secure_aggregation: {require_verify_sum: true, max_examples: 10}\n");
    bench_write_policy(bench, policy);
    must(bench_type(bench, &verb_policy_test, path));
    bench_expect_printed(bench, "It waits for you all the same: The job weights sites by their rows");
    bench_write_policy(bench, "default: ask\n");
    must(bench_type(bench, &verb_policy_test, path));
    bench_expect_printed(bench, "You could not approve it either: 3 of the job's 4 sites");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_make, secure_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_show_secure_says_what_leaves_and_who_sees_it),
        TEST(test_show_secure_names_strangers),
        TEST(test_show_secure_without_verified_sums_says_what_is_possible),
        TEST(test_show_secure_says_what_the_policy_asks_of_sums),
        TEST(test_show_secure_warns_of_a_job_that_is_like_it),
        TEST(test_show_secure_and_approve_warn_of_more_rows_than_the_job_has_room_for),
        TEST(test_show_secure_json_has_every_key),
        TEST(test_approve_secure_takes_one_run_without_hold),
        TEST(test_approve_secure_refuses_counts_that_the_policy_withholds),
        TEST(test_show_secure_of_fewer_rounds_has_no_evaluation),
        TEST(test_requests_say_how_numbers_leave),
        TEST(test_status_counts_partners_and_says_what_policy_is_wrong),
        TEST(test_policy_test_says_that_a_rule_leaves_a_sum_to_the_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
