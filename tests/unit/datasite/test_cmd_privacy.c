/* The owner's verbs about private jobs, as typed. */
#include "console/verbs.h"
#include "crypto/privacy_plan.h"
#include "datasite/budget.h"
#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/bench.h"

#include <jansson.h>

extern const struct verb verb_requests, verb_show, verb_approve, verb_policy_test;

#define A15 "aaaaaaaaaaaaaaa"
#define CLINIC "sha256:1" A15 A15 A15 A15 "aaa"
#define LAB "sha256:2" A15 A15 A15 A15 "aaa"
#define RESEARCHER "sha256:4200000000000000000000000000000000000000000000000000000000000000"
#define PARTNERS                                                                                             \
    "organisation: our-house\n"                                                                              \
    "partners:\n"                                                                                            \
    "  - {fingerprint: \"" CLINIC "\", organisation: city-hospital}\n"                                       \
    "  - {fingerprint: \"" LAB "\", organisation: north-lab}\n"

#define DP_SGD                                                                                               \
    "privacy: {mechanism: dp-sgd, clip: 0.5, noise_multiplier: 2, delta: 1e-5, sampling_rate: 0.1, steps: "  \
    "20"
#define SGD "training: {optimizer: sgd, learning_rate: 0.5, average_tail: 0.5}\n"
#define SOFTMAX "model: {kind: softmax-regression}\n" SGD "federation: {rounds: 3, min_sites: 1}\n"

static int privacy_remove(void **state)
{
    bench_give(&verb_show, "all", NULL);
    bench_give(&verb_show, "json", NULL);
    bench_give(&verb_requests, "json", NULL);
    bench_give(&verb_approve, "rounds", NULL);
    bench_give(&verb_policy_test, "requester", NULL);
    return bench_remove(state);
}

/* Pending; `more` are lines of the job, and all three sites declare 5000 rows. */
static void add_job(const struct bench *bench, const char *more, char *ret_id)
{
    static const struct policy_limits limits = {1000, 1000, 1000, 1000};
    char text[2048];
    bool is_new = false;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct job_record record = {.received_at = BENCH_NOW, .expires = 4102444800, .requester = {{{0x42}}}};
    (void)snprintf(text, sizeof(text),
                   "job: private\ndataset: made\n%sexpires: 2100-01-01T00:00:00Z\nsites:\n"
                   "  - {name: Ours, fingerprint: \"%s\", examples: 5000}\n"
                   "  - {name: Clinic A, fingerprint: \"" CLINIC "\", examples: 5000}\n"
                   "  - {name: Lab, fingerprint: \"" LAB "\", examples: 5000}\n",
                   more, bench->own);
    record.bytes = (uint8_t *)text;
    record.byte_count = strlen(text);
    (void)snprintf(record.requester_name, sizeof(record.requester_name), "researcher");
    must(digest_of(text, strlen(text), &record.id));
    digest_hex(&record.id, ret_id);
    bench_store(bench, &home, &identity, &store);
    must(store_job_add(store, &record, &(struct job_quota){.limits = &limits}, &is_new));
    bench_store_close(home, identity, store);
}

static void set_budget(const struct bench *bench, double epsilon)
{
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    const struct budget_cap cap = {.epsilon = epsilon, .delta = 1e-4, .filter = BUDGET_SUM};
    bench_store(bench, &home, &identity, &store);
    must(budget_pool_all(store, (const uint8_t[32]){1}, BENCH_NOW));
    must(budget_set(store, identity, "made", &cap, BENCH_NOW));
    bench_store_close(home, identity, store);
}

/* "made" once more, with so many rows. */
static void import_rows(const struct bench *bench, uint32_t rows)
{
    static const uint8_t split_key[32] = {1};
    static const char *const classes[] = {"a", "b"};
    static const char *const columns[] = {"x"};
    struct dataset_info info = {.name = "made",
                                .source = "made",
                                .kind = DATASET_NUMBERS,
                                .rows = rows,
                                .features = 1,
                                .classes = 2,
                                .imported_at = BENCH_NOW};
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct dataset_writer *writer = NULL;
    bench_store(bench, &home, &identity, &store);
    must(store_dataset_remove(store, "made"));
    must(dataset_writer_start(store, &info, classes, columns, split_key, &writer));
    for (uint32_t i = 0; i < rows; i++)
        must(dataset_writer_add(writer, &(double){i}, &(uint32_t){i % 2}, 1));
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
    bench_store_close(home, identity, store);
}

/* Lines are broken between words. */
static void expect_said(const struct bench *bench, const char *words)
{
    char *text = bench_printed(bench), *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '\n' || (*from == ' ' && to > text && to[-1] == ' '))
            *to = ' ';
        else
            *to = *from;
        to += to == text || *to != ' ' || to[-1] != ' ';
    }
    *to = '\0';
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" is not in:\n%s", words, text);
    free(text);
}

/* All of it. */
static void show(const struct bench *bench, const char *lines)
{
    char id[DIGEST_HEX_BYTES];
    add_job(bench, lines, id);
    bench_give(&verb_show, "all", "");
    must(bench_type(bench, &verb_show, id));
}

/* The screen, which it prints for who looks at the test's log. */
static void show_screen(const struct bench *bench, const char *lines, size_t most)
{
    char id[DIGEST_HEX_BYTES];
    size_t count = 0;
    add_job(bench, lines, id);
    bench_give(&verb_show, "all", NULL);
    must(bench_type(bench, &verb_show, id));
    char *text = bench_printed(bench);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        print_message("%.*s\n", (int)(end - line), line);
        count++;
        if (end - line > 100)
            fail_msg("%zu columns: %.*s", (size_t)(end - line), (int)(end - line), line);
    }
    if (count > most)
        fail_msg("%zu lines, more than %zu", count, most);
    free(text);
}

static void test_show_privacy_says_what_it_promises_in_plain_words(void **state)
{
    struct bench *bench = *state;
    show(bench, SOFTMAX DP_SGD "}\n");
    bench_expect_printed(
        bench, "SGD, 20 steps a round, learning rate 0.5, momentum 0.9, average of the last 50 %\n");
    bench_expect_printed(bench, "Privacy    dp-sgd protects one record (row), in your dataset or not\n");
    expect_said(bench,
                "noise multiplier 2 (standard deviation over clip), clip 0.5; 60 steps, in each of which a "
                "row takes part with probability 0.1");
    bench_expect_printed(bench, "no counts of test rows leave, and no accuracy\n");
    bench_expect_printed(
        bench,
        "Declared   5000 training rows of this site, in the job; it has about 2, which nobody is told\n");
    expect_said(bench, "the records of this dataset have no cap.");
    expect_said(bench,
                "4 numbers, each with noise, leave in each of 3 rounds; one run unless you approve more, "
                "each of which takes as much again.");
    expect_said(bench, "and held it for a toss-up whether a certain record is among yours, cannot come to be "
                       "surer of it than");
    expect_said(bench,
                "Not protected: how long your site takes; that it takes part; a person with several rows, "
                "or at two sites (k rows: about k times epsilon).");
    expect_said(bench, "Your policy adds: at least 100 declared rows; nothing waits for your look");
    bench_expect_not_printed(bench, "Weak");
    bench_expect_not_printed(bench, "in clear");
    bench_expect_not_printed(bench, "how many rows you trained on");
    bench_expect_not_printed(bench, "colluded");
}

/* An epsilon on the screen: no more than it has to be, and never below what the accountant says. */
static void shown(double epsilon, char ret_text[static PRIVACY_BOUND_BYTES])
{
    privacy_bound(epsilon, BUDGET_EPSILON_DIGITS, ret_text);
    assert_true(strtod(ret_text, NULL) >= epsilon && strtod(ret_text, NULL) <= epsilon * 1.001);
}

/* The figures are those of the accountant, of all rounds, and with the counts. */
static void test_show_privacy_figures_are_the_accountants(void **state)
{
    struct bench *bench = *state;
    char words[200], bound[PRIVACY_BOUND_BYTES];
    double alone = 0, with_counts = 0;
    struct job job = {.rounds = 3,
                      .privacy = {.mechanism = JOB_DP_SGD,
                                  .clip = 0.5,
                                  .noise_multiplier = 2,
                                  .delta = 1e-5,
                                  .sampling_rate = 0.1,
                                  .steps = 20}};
    must(privacy_plan_epsilon(&job, PRIVACY_PLD, 3, 0, &alone));
    must(privacy_plan_epsilon(&job, PRIVACY_PLD, 3, 0, &with_counts));
    show(bench, SOFTMAX DP_SGD "}\n");
    shown(alone, bound);
    (void)snprintf(words, sizeof(words), "epsilon %s at delta 1e-05, a whole run (PLD)\n", bound);
    bench_expect_printed(bench, words);
    job.privacy.metrics_noise = 10;
    must(privacy_plan_epsilon(&job, PRIVACY_PLD, 3, 3, &with_counts));
    assert_true(with_counts > alone);
    show(bench, SOFTMAX DP_SGD ", metrics_noise: 10, metrics_rounds: all}\n");
    shown(with_counts, bound);
    (void)snprintf(words, sizeof(words), "epsilon %s at delta 1e-05, a whole run (PLD)\n", bound);
    bench_expect_printed(bench, words);
    expect_said(bench, "counts of test rows leave 3 times, each with noise of deviation 10; nothing exactly");
}

static void test_show_privacy_warns_of_weak_promises(void **state)
{
    struct bench *bench = *state;
    show(bench, SOFTMAX "privacy: {mechanism: dp-sgd, clip: 0.5, noise_multiplier: 4, delta: 0.1, "
                        "sampling_rate: 1, steps: 50}\n");
    expect_said(bench, "may then be all but certain: such an epsilon protects little.");
    bench_expect_not_printed(bench, "one over your 2 rows"); /* 0.1 of 2 rows is not */
    import_rows(bench, 10);
    show(bench, SOFTMAX "privacy: {mechanism: dp-sgd, clip: 0.5, noise_multiplier: 5, delta: 0.1, "
                        "sampling_rate: 0.1}\n");
    expect_said(
        bench, "Weak: delta 0.1 is one over your 10 rows or more, and a job that publishes one of them as it "
               "is would keep that promise.");
    show(bench, "model: {kind: softmax-regression}\ntraining: {optimizer: lbfgs}\n"
                "federation: {rounds: 3, min_sites: 1}\n"
                "privacy: {mechanism: site-level, clip: 1, noise_multiplier: 5, delta: 1e-5}\n");
    bench_expect_printed(
        bench, "Privacy    site-level protects this site's whole update of a round, left out or not\n");
    expect_said(bench,
                "Weak: with 3 sites, fewer than 100, noise that hides one site is noise that hides most of "
                "what is learned, or hides little.");
    expect_said(bench, "whether your site's data had any part in it, cannot come");
    expect_said(bench, "single records by this promise alone (the budget counts them, with half of the noise "
                       "multiplier)");
}

static void test_show_privacy_says_that_noise_is_not_said(void **state)
{
    struct bench *bench = *state;
    show(bench, SOFTMAX "privacy: {mechanism: dp-sgd, clip: 0.5, target_epsilon: 3, delta: 1e-5, "
                        "sampling_rate: 0.1}\n");
    expect_said(bench, "how much noise is not said (only target_epsilon is)");
    expect_said(bench, "no epsilon that could be accounted");
    expect_said(bench, "With so little noise nothing is promised.");
}

#define DISTRIBUTED                                                                                          \
    "model: {kind: softmax-regression}\n" SGD                                                                \
    "federation: {rounds: 3}\nevaluation: {metrics: pooled}\nsecure_aggregation: {enabled: true}\n"          \
    "privacy: {mechanism: distributed-dp, clip: 0.5, noise_multiplier: 2, delta: 1e-5, "                     \
    "sampling_rate: 0.1, metrics_noise: 10}\n"

static void test_show_privacy_of_sums_says_what_collusion_leaves(void **state)
{
    struct bench *bench = *state;
    char words[200], bound[PRIVACY_BOUND_BYTES], worst_bound[PRIVACY_BOUND_BYTES];
    double whole = 0, worst = 0;
    struct job job = {.rounds = 3,
                      .secure = {.enabled = true, .threshold = 3, .tolerate_colluding = 1},
                      .privacy = {.mechanism = JOB_DISTRIBUTED_DP,
                                  .clip = 0.5,
                                  .noise_multiplier = 2,
                                  .delta = 1e-5,
                                  .sampling_rate = 0.1,
                                  .steps = 1,
                                  .metrics_noise = 10}};
    must(privacy_plan_epsilon(&job, PRIVACY_PLD, 3, 1, &whole));
    must(privacy_plan_worst(&job, 3, 1, &worst));
    assert_true(worst > whole);
    bench_write_policy(bench, PARTNERS);
    show(bench, DISTRIBUTED);
    shown(whole, bound);
    shown(worst, worst_bound);
    (void)snprintf(words, sizeof(words),
                   "epsilon %s at delta 1e-05, a whole run (PLD); %s if all others colluded\n", bound,
                   worst_bound);
    bench_expect_printed(bench, words);
    expect_said(bench, "each site adds a part, so that any 2 honest ones have all");
    expect_said(bench,
                "the changes of 4 coefficients, each with your part of the noise, and how your test rows are "
                "classified (2 x 2 counts), with noise too.");
    expect_said(bench, "they see yours, with your part of the noise alone;");
    expect_said(bench,
                "Two sums that differ by your site alone differ by your part with your part of the noise.");
    bench_expect_not_printed(bench, "max_examples");
    bench_expect_not_printed(bench, "weighted by the number of rows");
    bench_expect_not_printed(bench,
                             "cannot be approved"); /* min_cell does not stand in the way of noised counts */
}

static void test_show_privacy_says_what_is_left_and_what_would_fit(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    set_budget(bench, 1000);
    add_job(bench, SOFTMAX DP_SGD "}\n", id);
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "(filter sum) epsilon 1000 and delta 0.0001 are left.");
    bench_expect_not_printed(bench, "cannot be approved");
    set_budget(bench, 1);
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "(filter sum) epsilon 1 and delta 0.0001 are left. What would fit:");
    expect_said(bench, "It cannot be approved as it is: A run of this job takes epsilon");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "What would fit:");
}

/* A pool with a cap has no answers in clear. */
static void test_show_privacy_says_that_a_budget_wants_noise(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES], text[1024];
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    static const struct policy_limits limits = {1000, 1000, 1000, 1000};
    bool is_new = false;
    struct job_record record = {.received_at = BENCH_NOW, .expires = 4102444800, .requester = {{{0x42}}}};
    set_budget(bench, 3);
    (void)snprintf(text, sizeof(text),
                   "job: clear\ndataset: made\nmodel: {kind: softmax-regression}\nfederation: {rounds: 1}\n"
                   "expires: 2100-01-01T00:00:00Z\nsites:\n  - {name: Ours, fingerprint: \"%s\"}\n",
                   bench->own);
    record.bytes = (uint8_t *)text;
    record.byte_count = strlen(text);
    (void)snprintf(record.requester_name, sizeof(record.requester_name), "researcher");
    must(digest_of(text, strlen(text), &record.id));
    digest_hex(&record.id, id);
    bench_store(bench, &home, &identity, &store);
    must(store_job_add(store, &record, &(struct job_quota){.limits = &limits}, &is_new));
    bench_store_close(home, identity, store);
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "It cannot be approved as it is: The records of this dataset have a privacy budget");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "only jobs with privacy");
}

static void test_show_privacy_names_features_and_statistics(void **state)
{
    struct bench *bench = *state;
    show(bench, SOFTMAX "features: {kind: unit-norm}\n" DP_SGD "}\n");
    bench_expect_printed(bench, "Features   unit-norm: each row divided by its Euclidean norm\n");
    show(bench, SOFTMAX "features: {kind: standardize, mean: [1], deviation: [2], released_by: \"" LAB
                        "\"}\n" DP_SGD "}\n");
    bench_expect_printed(bench,
                         "Features   standardize: by 1 means and deviations that are in the job\n"
                         "           from job 2aaaaaaaaaaa here, it says; the numbers are not compared\n");
    show(bench,
         "model: {kind: feature-statistics}\nfederation: {rounds: 1, min_sites: 1}\n"
         "privacy: {mechanism: dp-sgd, clip: 0.5, noise_multiplier: 2, delta: 1e-5, sampling_rate: 1}\n");
    bench_expect_printed(bench, "Computes   feature-statistics: mean and mean square of every feature\n");
    expect_said(bench, "2 numbers, each with noise, leave in 1 round;");
    bench_expect_not_printed(bench, "L-BFGS");
}

/* What will leave, and on what promise, without scrolling. */
static void test_show_privacy_fits_a_screen(void **state)
{
    struct bench *bench = *state;
    set_budget(bench, 100);
    bench_write_policy(bench, PARTNERS);
    show_screen(bench,
                SOFTMAX "features: {kind: unit-norm}\n" DP_SGD ", metrics_noise: 10, metrics_rounds: all}\n",
                24);
    bench_expect_printed(bench, "learning rate 0.5, momentum 0.9, average of the last 50 %\n");
    bench_expect_printed(bench, "Key        sha256:42");
    expect_said(bench, "Who held it for a toss-up whether a certain record is among yours is then at most");
    expect_said(bench,
                "Not protected: that you take part, and how long it takes; a person with several rows.");
    show_screen(bench, DISTRIBUTED, 24);
    expect_said(bench,
                "sums over at least 3 of 3 sites, of 4 numbers, each with noise, leave in each of 3 rounds");
    expect_said(bench, "While at most 1 of the others work with the requester, who held it for a toss-up");
    show_screen(bench,
                "model: {kind: softmax-regression}\ntraining: {optimizer: sgd}\n"
                "federation: {rounds: 3, min_sites: 1}\n"
                "privacy: {mechanism: site-level, clip: 1, noise_multiplier: 5, delta: 1e-5}\n",
                24);
    expect_said(bench, "Weak: fewer than 100 sites. Not protected");
    show_screen(
        bench,
        "model: {kind: feature-statistics}\nfederation: {rounds: 1, min_sites: 1}\n"
        "privacy: {mechanism: dp-sgd, clip: 0.5, noise_multiplier: 2, delta: 1e-5, sampling_rate: 1}\n",
        24);
    set_budget(bench, 1); /* what is too much is said once */
    show_screen(bench, SOFTMAX DP_SGD ", metrics_noise: 20}\n", 24);
    bench_expect_not_printed(bench, "Budget ");
    expect_said(bench, "It cannot be approved as it is: A run of this job takes epsilon");
}

/* What is over asks for nothing more. */
static void test_show_privacy_of_a_finished_job_offers_nothing(void **state)
{
    struct bench *bench = *state;
    struct store *store = NULL;
    char id[DIGEST_HEX_BYTES], path[200];
    set_budget(bench, 1);
    add_job(bench,
            SOFTMAX "privacy: {mechanism: dp-sgd, clip: 0.5, noise_multiplier: 2, delta: 1e-3, "
                    "sampling_rate: 0.1}\n",
            id);
    must(bench_type(bench, &verb_show, id));
    expect_said(bench, "Its delta alone is more than that: a delta of at most 0.0001 would do");
    (void)snprintf(path, sizeof(path), "%s/site.db", bench->home);
    must(store_open(path, STORE_WRITE, &store));
    must(database_run(store->database, "UPDATE job SET state = 'finished'"));
    store_close(store);
    must(bench_type(bench, &verb_show, id));
    bench_expect_printed(bench, "finished");
    bench_expect_not_printed(bench, "delta alone");
    bench_expect_not_printed(bench, "Budget ");
    bench_expect_not_printed(bench, "are left");
}

static void test_show_privacy_json_has_every_key(void **state)
{
    struct bench *bench = *state;
    const char *mechanism = NULL, *unit = NULL, *protection = NULL, *sentence = NULL, *features = NULL;
    double noise = 0, epsilon = 0, left = 0;
    int declared = 0, steps = 0, noised = 0, fits = 0, rows = 1, weak = 1;
    set_budget(bench, 1000);
    bench_give(&verb_show, "json", "yes");
    show(bench, SOFTMAX DP_SGD "}\n");
    char *text = bench_printed(bench);
    json_t *all = json_loads(text, 0, NULL);
    assert_non_null(all);
    assert_int_equal(
        json_unpack(
            all, "{s:s, s:{s:b, s:b, s:s}, s:{s:s, s:s, s:F, s:F, s:i, s:i, s:n, s:b}, s:{s:b, s:F, s:s}}",
            "features", &features, "leaves", "noised", &noised, "training_rows", &rows, "protection",
            &protection, "privacy", "mechanism", &mechanism, "unit", &unit, "noise_multiplier", &noise,
            "epsilon", &epsilon, "declared_examples", &declared, "steps", &steps, "metrics_noise",
            "weak_few_sites", &weak, "budget", "fits", &fits, "left_epsilon", &left, "sentence", &sentence),
        0);
    assert_string_equal(mechanism, "dp-sgd");
    assert_string_equal(unit, "record");
    assert_string_equal(protection, "privacy");
    assert_string_equal(features, "raw");
    assert_true(noise == 2 && epsilon > 0 && left == 1000);
    assert_true(declared == 5000 && steps == 60 && noised && !rows && fits && !weak);
    assert_non_null(strstr(sentence, "are left"));
    json_decref(all);
    free(text);
}

static void test_requests_say_that_numbers_leave_noised(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    add_job(bench, SOFTMAX DP_SGD "}\n", id);
    must(bench_type(bench, &verb_requests, NULL));
    bench_expect_printed(bench, " noised ");
    add_job(bench, DISTRIBUTED, id);
    must(bench_type(bench, &verb_requests, NULL));
    bench_expect_printed(bench, " masked, noised ");
    bench_give(&verb_requests, "json", "yes");
    must(bench_type(bench, &verb_requests, NULL));
    bench_expect_printed(bench, "\"protection\": \"secure-aggregation, privacy\"");
    bench_expect_printed(bench, "\"protection\": \"privacy\"");
}

static void test_approve_refuses_what_the_policy_bounds(void **state)
{
    struct bench *bench = *state;
    char id[DIGEST_HEX_BYTES];
    add_job(bench, SOFTMAX DP_SGD "}\n", id);
    bench_write_policy(bench, "output: {privacy: {max_epsilon: 0.5}}\n");
    must(bench_type(bench, &verb_show, id));
    expect_said(
        bench,
        "It cannot be approved as it is: This site's policy for \"made\" allows epsilon of at most 0.5");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "allows epsilon of at most 0.5");
    bench_write_policy(bench, "output: {privacy: {mechanisms: [site-level]}}\n");
    refused(bench_type(bench, &verb_approve, id), ERROR_REFUSED, "requires the mechanism site-level");
    bench_write_policy(bench, "output: {require: [privacy], privacy: {min_noise: 2}}\n");
    must(bench_type(bench, &verb_approve, id));
}

static void write_job(const struct bench *bench, const char *lines, char ret_path[static 200])
{
    char text[2048];
    int length = snprintf(text, sizeof(text),
                          "job: tried\ndataset: made\n%sexpires: 2100-01-01T00:00:00Z\nsites:\n"
                          "  - {name: Ours, fingerprint: \"%s\", examples: 5000}\n",
                          lines, bench->own);
    assert_true(length > 0 && (size_t)length < sizeof(text));
    (void)workspace_file(bench->workspace, "job.yaml", ret_path);
    workspace_write(ret_path, text, (size_t)length);
}

/* A rule's bound on epsilon is compared with what the accountant says, and its approval with the budget. */
static void test_policy_test_asks_the_accountant_and_the_budget(void **state)
{
    struct bench *bench = *state;
    char path[200];
    static const char rule[] = "rules: [{name: ours, action: approve, requesters: [\"" RESEARCHER
                               "\"], max_rounds: 5, require: [privacy], privacy: {max_epsilon: ";
    char policy[512];
    write_job(bench, SOFTMAX DP_SGD "}\n", path);
    bench_give(&verb_policy_test, "requester", RESEARCHER);
    (void)snprintf(policy, sizeof(policy), "%s20}}]\n", rule);
    bench_write_policy(bench, policy);
    must(bench_type(bench, &verb_policy_test, path));
    bench_expect_printed(bench, "The job is approved without asking.\n");
    set_budget(bench, 1);
    must(bench_type(bench, &verb_policy_test, path));
    bench_expect_printed(bench, "It waits for you all the same: A run of this job takes epsilon");
    (void)snprintf(policy, sizeof(policy), "%s0.1}}]\n", rule);
    bench_write_policy(bench, policy);
    must(bench_type(bench, &verb_policy_test, path));
    bench_expect_printed(bench, "Rule ours allows epsilon of at most 0.1, and the job comes to");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_make, privacy_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_show_privacy_says_what_it_promises_in_plain_words),
        TEST(test_show_privacy_figures_are_the_accountants),
        TEST(test_show_privacy_warns_of_weak_promises),
        TEST(test_show_privacy_says_that_noise_is_not_said),
        TEST(test_show_privacy_of_sums_says_what_collusion_leaves),
        TEST(test_show_privacy_says_what_is_left_and_what_would_fit),
        TEST(test_show_privacy_says_that_a_budget_wants_noise),
        TEST(test_show_privacy_names_features_and_statistics),
        TEST(test_show_privacy_fits_a_screen),
        TEST(test_show_privacy_of_a_finished_job_offers_nothing),
        TEST(test_show_privacy_json_has_every_key),
        TEST(test_requests_say_that_numbers_leave_noised),
        TEST(test_approve_refuses_what_the_policy_bounds),
        TEST(test_policy_test_asks_the_accountant_and_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
