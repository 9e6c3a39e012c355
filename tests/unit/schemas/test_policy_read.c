/* Reading policy.yaml: the keys of rules that bound values and moments, output rules of single datasets, limits,
 * and the keys of owners. test_policy.c decides by them. */
#include "schemas/policy.h"
#include "tests/unit/schemas/refusal.h"

#define A16 "aaaaaaaaaaaaaaaa"
#define B16 "bbbbbbbbbbbbbbbb"
#define FP_A "sha256:" A16 A16 A16 A16
#define FP_B "sha256:" B16 B16 B16 B16
#define APPROVE "{name: r1, action: approve, requesters: [\"" FP_A "\"], max_rounds: 5"

static struct policy *policy_parse_good(const char *text)
{
    struct policy *policy = NULL;
    assert_done(policy_parse(text, strlen(text), "policy.yaml", &policy));
    return policy;
}

static void test_policy_read_rule_stores_every_bound(void **state)
{
    (void)state;
    struct policy *policy = policy_parse_good("rules:\n"
                                              "  - name: ours\n"
                                              "    action: ask\n"
                                              "    max_requests_per_day: 20\n"
                                              "    parameters:\n"
                                              "      l2: [1e-6, 1]\n"
                                              "      learning_rate: [0.01, 0.5]\n"
                                              "      momentum: [0, 0]\n"
                                              "      batch_size: [16, 64]\n"
                                              "      local_iterations: [1, 100]\n"
                                              "      local_epochs: [2, 3]\n"
                                              "      test_fraction: [0.1, 0.5]\n"
                                              "    days: [mon, sun]\n"
                                              "    hours: 22:30-06:05\n"
                                              "    hold: final\n"
                                              "    allow_growth: true\n");
    const struct policy_rule *rule = &policy->rules[0];
    assert_int_equal(rule->max_requests_per_day, 20);
    assert_true(rule->l2.given && rule->l2.low == 1e-6 && rule->l2.high == 1);
    assert_true(rule->learning_rate.low == 0.01 && rule->learning_rate.high == 0.5);
    assert_true(rule->momentum.given && rule->momentum.high == 0);
    assert_true(rule->batch_size.low == 16 && rule->batch_size.high == 64);
    assert_true(rule->local_iterations.given && rule->local_iterations.high == 100);
    assert_true(rule->local_epochs.low == 2 && rule->local_epochs.high == 3);
    assert_true(rule->test_fraction.low == 0.1 && rule->test_fraction.high == 0.5);
    assert_int_equal(rule->days, 1u | 1u << 6);
    assert_true(rule->has_hours);
    assert_int_equal(rule->from_minute, 22 * 60 + 30);
    assert_int_equal(rule->to_minute, 6 * 60 + 5);
    assert_int_equal(rule->hold, HOLD_FINAL);
    assert_true(rule->allow_growth);
    policy_free(policy);
}

static void test_policy_read_rule_without_bounds_has_none(void **state)
{
    (void)state;
    struct policy *policy = policy_parse_good("rules: [" APPROVE "}]");
    const struct policy_rule *rule = &policy->rules[0];
    assert_int_equal(rule->max_requests_per_day, 0);
    assert_false(rule->l2.given || rule->momentum.given || rule->has_hours || rule->allow_growth);
    assert_int_equal(rule->days, 0);
    assert_int_equal(rule->hold, HOLD_NEVER);
    policy_free(policy);
}

/* Whatever the order in the file; null takes a bound away again. */
static void test_policy_read_dataset_inherits_what_it_does_not_say(void **state)
{
    (void)state;
    struct policy *policy = policy_parse_good(
        "datasets: {mnist: {min_cell: 0, list: peers}, heart: {max_update_norm: null, metrics: []}, plain: "
        "{}}\n"
        "output: {min_rows: 50, min_cell: 7, max_update_norm: 2.5, metrics: [examples, confusion],\n"
        "         max_job_bytes: 1000, list: nobody}\n");
    const struct policy_gate *gate = &policy->gate;
    const struct policy_output *mnist = policy_gate_output(gate, "mnist");
    const struct policy_output *heart = policy_gate_output(gate, "heart");
    const struct policy_output *other = policy_gate_output(gate, "other");
    assert_int_equal(gate->dataset_count, 3);
    assert_int_equal(mnist->min_cell, 0);
    assert_int_equal(mnist->list, POLICY_LIST_PEERS);
    assert_int_equal(mnist->min_rows, 50);
    assert_true(mnist->max_update_norm == 2.5);
    assert_true(heart->max_update_norm == 0);
    assert_int_equal(heart->metrics, 0);
    assert_int_equal(heart->min_cell, 7);
    assert_int_equal(heart->max_job_bytes, 1000);
    assert_int_equal(other->metrics, POLICY_METRIC_EXAMPLES | POLICY_METRIC_CONFUSION);
    assert_memory_equal(other, policy_gate_output(gate, "plain"), sizeof(*other));
    assert_int_equal(other->list, POLICY_LIST_NOBODY);
    policy_free(policy);
}

static void test_policy_read_limits_and_owners_are_stored(void **state)
{
    (void)state;
    struct policy *policy = policy_parse_good(
        "limits: {max_pending: 3, max_jobs: 30, submissions_per_day: 5, requests_per_minute: 1000}\n"
        "four_eyes: true\n"
        "owners: [\"" FP_A "\", \"" FP_B "\"]\n"
        "rules: [{name: a, action: deny}]\n");
    assert_int_equal(policy->limits.max_pending, 3);
    assert_int_equal(policy->limits.max_jobs, 30);
    assert_int_equal(policy->limits.submissions_per_day, 5);
    assert_int_equal(policy->limits.requests_per_minute, 1000);
    assert_true(policy->gate.four_eyes);
    assert_int_equal(policy->gate.owner_count, 2);
    assert_string_equal(policy->gate.owners[1], FP_B);
    policy_free(policy);
}

#define C16 "cccccccccccccccc"
#define FP_C "sha256:" C16 C16 C16 C16

/* Whatever the order in the file. */
static void test_policy_read_partners_have_numbered_organisations(void **state)
{
    (void)state;
    struct policy *policy =
        policy_parse_good("partners:\n"
                          "  - {fingerprint: \"" FP_A "\", organisation: clinic}\n"
                          "  - {fingerprint: \"" FP_B "\", organisation: ours}\n"
                          "  - {fingerprint: \"" FP_C "\", organisation: clinic}\n"
                          "organisation: ours\n"
                          "secure_aggregation: {min_threshold: 4, min_colluding: 2, min_organisations: 3}\n"
                          "output: {require: [secure-aggregation]}\n"
                          "datasets: {mnist: {require: []}}\n");
    const struct policy_gate *gate = &policy->gate;
    assert_int_equal(gate->partner_count, 3);
    assert_int_equal(policy->organisation_count, 2);
    assert_string_equal(policy->organisations[POLICY_OWN_ORGANISATION], "ours");
    assert_int_equal(policy_gate_partner(gate, FP_B)->organisation, POLICY_OWN_ORGANISATION);
    assert_string_equal(policy->organisations[policy_gate_partner(gate, FP_A)->organisation], "clinic");
    assert_int_equal(policy_gate_partner(gate, FP_C)->organisation,
                     policy_gate_partner(gate, FP_A)->organisation);
    assert_null(policy_gate_partner(gate, "sha256:" C16 C16 C16 B16));
    assert_int_equal(gate->secure.min_threshold, 4);
    assert_int_equal(gate->secure.min_colluding, 2);
    assert_int_equal(gate->secure.min_organisations, 3);
    assert_int_equal(policy_gate_output(gate, "heart")->require, POLICY_REQUIRE_SECURE_AGGREGATION);
    assert_int_equal(policy_gate_output(gate, "mnist")->require, 0);
    policy_free(policy);
}

static void test_policy_read_what_is_asked_of_sums(void **state)
{
    (void)state;
    struct policy *policy = policy_parse_good("secure_aggregation: {min_threshold: 5}\n");
    assert_int_equal(policy->gate.secure.differences, POLICY_DIFFERENCES_ALLOW);
    assert_false(policy->gate.secure.require_verify_sum);
    assert_int_equal(policy->gate.secure.max_examples, 0);
    policy_free(policy);
    policy = policy_parse_good("secure_aggregation: {differences: refuse, require_verify_sum: true, "
                               "max_examples: 1099511627776}\n");
    assert_int_equal(policy->gate.secure.differences, POLICY_DIFFERENCES_REFUSE);
    assert_string_equal(policy_differences_word(policy->gate.secure.differences), "refuse");
    assert_true(policy->gate.secure.require_verify_sum);
    assert_int_equal(policy->gate.secure.max_examples, UINT64_C(1) << 40);
    assert_int_equal(policy->gate.secure.min_threshold, POLICY_MIN_THRESHOLD);
    policy_free(policy);
    policy = policy_parse_good("secure_aggregation: {differences: allow, max_examples: null}\n");
    assert_int_equal(policy->gate.secure.differences, POLICY_DIFFERENCES_ALLOW);
    assert_int_equal(policy->gate.secure.max_examples, 0);
    policy_free(policy);
}

static void test_policy_read_organisation_without_a_name_is_nobody_elses(void **state)
{
    (void)state;
    struct policy *policy = policy_parse_good("organisation: null\npartners: [{fingerprint: \"" FP_A
                                              "\", organisation: clinic}]\n");
    assert_string_equal(policy->organisations[POLICY_OWN_ORGANISATION], "");
    assert_int_equal(policy_gate_partner(&policy->gate, FP_A)->organisation, 1);
    assert_int_equal(policy->organisation_count, 2);
    policy_free(policy);
}

/* POLICY_MAX_PARTNERS of them, of `organisations` organisations. */
static char *many_partners(size_t count, size_t organisations)
{
    const size_t line = 160;
    char *text = calloc(count + 1, line);
    assert_non_null(text);
    size_t used = (size_t)snprintf(text, line, "partners:\n");
    for (size_t i = 0; i < count; i++)
        used +=
            (size_t)snprintf(text + used, line, "- {fingerprint: \"sha256:%064zx\", organisation: o%zu}\n", i,
                             i % organisations);
    return text;
}

static void test_policy_read_partners_are_bounded(void **state)
{
    (void)state;
    struct policy *policy = NULL;
    char *text = many_partners(POLICY_MAX_PARTNERS, POLICY_MAX_ORGANISATIONS - 1);
    policy = policy_parse_good(text);
    assert_int_equal(policy->gate.partner_count, POLICY_MAX_PARTNERS);
    assert_int_equal(policy->organisation_count, POLICY_MAX_ORGANISATIONS);
    policy_free(policy);
    free(text);
    policy = NULL;
    text = many_partners(POLICY_MAX_PARTNERS + 1, 2);
    assert_refused(policy_parse(text, strlen(text), "policy.yaml", &policy), ERROR_INVALID,
                   "partners must be a list of 0 to 512 elements");
    free(text);
    text = many_partners(POLICY_MAX_ORGANISATIONS, POLICY_MAX_ORGANISATIONS);
    assert_refused(policy_parse(text, strlen(text), "policy.yaml", &policy), ERROR_INVALID,
                   "partners[64] has organisation number 65; partners may be of 64");
    free(text);
    assert_null(policy);
}

#define RULE(rest) "rules: [{name: a, action: ask, " rest "}]"

static void test_policy_read_wrong_value_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sentence;
    } rows[] = {
        {RULE("max_requests_per_day: 0"), "max_requests_per_day must be a whole number from 1 to 10000."},
        {RULE("parameters: [1, 2]"), "rules[1].parameters must be a mapping"},
        {RULE("parameters: {l3: [0, 1]}"), "l3 is not a known key; did you mean l2? Known here: l2, "},
        {RULE("parameters: {l2: 1}"),
         "rules[1].parameters.l2 must be two numbers [low, high] at least 0 and at most 1000000."},
        {RULE("parameters: {l2: [1]}"), "parameters.l2 must be two numbers [low, high]"},
        {RULE("parameters: {l2: [0, 1, 2]}"), "parameters.l2 must be two numbers [low, high]"},
        {RULE("parameters: {l2: [1, 0.5]}"), "parameters.l2 must be [low, high]; the first number is the"},
        {RULE("parameters: {l2: [0, \"1\"]}"), "parameters.l2[2] must be a number, at least 0"},
        {RULE("parameters: {l2: [-1, 1]}"), "parameters.l2[1] must be at least 0 and at most 1000000."},
        {RULE("parameters: {l2: [0, nan]}"), "parameters.l2[2] must be a number"},
        {RULE("parameters: {test_fraction: [0, 1]}"), "test_fraction[1] must be at least 0.01"},
        {RULE("days: []"), "rules[1].days must be a list of 1"},
        {RULE("days: [monday]"), "rules[1].days[1] must be mon, tue, wed, thu, fri, sat or sun."},
        {RULE("hours: \"8:00-18:00\""), "rules[1].hours must be two different times of the day such as"},
        {RULE("hours: \"08:00-08:00\""), "rules[1].hours must be two different times"},
        {RULE("hours: \"08:00-24:01\""), "rules[1].hours must be"},
        {RULE("hours: \"24:00-08:00\""), "rules[1].hours must be"},
        {RULE("hours: \"08:60-18:00\""), "rules[1].hours must be"},
        {RULE("hours: \"08:00 18:00\""), "rules[1].hours must be"},
        {RULE("hours: [8, 18]"), "rules[1].hours must be"},
        {RULE("hold: always"), "rules[1].hold must be never, first, every or final."},
        {RULE("allow_growth: yes"), "rules[1].allow_growth must be true or false."},
        {RULE("allow_growth: \"true\""), "rules[1].allow_growth must be true or false."},
        {"output: {min_cell: -1}", "output.min_cell must be a whole number from 0"},
        {"output: {max_update_norm: 0}",
         "output.max_update_norm must be above 0 and at most 1e+300, or null."},
        {"output: {metrics: [accuracy]}", "output.metrics[1] must be examples, train-accuracy or confusion."},
        {"output: {metrics: null}", "output.metrics must be a list."},
        {"output: {max_job_bytes: 7}", "output.max_job_bytes must be a whole number from 8"},
        {"output: {list: everybody}", "output.list must be nobody, mock, peers or members."},
        {"output: []", "output must be a mapping"},
        {"datasets: [mnist]", "datasets must be a mapping of datasets' names to keys as in output."},
        {"datasets: {mnist: {max_rounds: 4}}", "datasets.mnist.max_rounds is not a known key"},
        {"datasets: {mnist: {min_rows: 0}}", "datasets.mnist.min_rows must be a whole number from 1"},
        {"datasets: {\"a b\": {}}", "datasets.a b must be a dataset's name of 1 to 64"},
        {"datasets: {mnist: null}", "datasets.mnist must be a mapping"},
        {"datasets: {mnist: {}, mnist: {}}", "mnist is given twice; the first is in line 1."},
        {"output: {require: [noise]}", "output.require[1] must be secure-aggregation or privacy."},
        {"output: {require: secure-aggregation}", "output.require must be a list."},
        {"secure_aggregation: {min_threshold: 2}",
         "secure_aggregation.min_threshold must be a whole number from 3 to 1000."},
        {"secure_aggregation: {min_colluding: 0}",
         "secure_aggregation.min_colluding must be a whole number from 1 to 1000."},
        {"secure_aggregation: {min_organisations: 65}",
         "secure_aggregation.min_organisations must be a whole number from 1 to 64."},
        {"secure_aggregation: {differences: ask}", "secure_aggregation.differences must be allow or refuse."},
        {"secure_aggregation: {require_verify_sum: 1}", "secure_aggregation.require_verify_sum must be true"},
        {"secure_aggregation: {max_examples: 0}",
         "secure_aggregation.max_examples must be a whole number from 1 to 1099511627776"},
        {"secure_aggregation: {threshold: 3}", "did you mean min_threshold?"},
        {"organisation: \"the clinic\"", "organisation must be a name of 1 to 64"},
        {"partners: {}", "partners must be a list."},
        {"partners: [\"" FP_A "\"]", "partners[1] must be a mapping"},
        {"partners: [{fingerprint: \"" FP_A "\"}]", "partners[1] lacks the key organisation"},
        {"partners: [{organisation: clinic}]", "partners[1] lacks the key fingerprint"},
        {"partners: [{fingerprint: \"sha256:aa\", organisation: clinic}]",
         "partners[1].fingerprint must be a fingerprint"},
        {"partners: [{fingerprint: \"" FP_A "\", organisation: a, name: b}]",
         "partners[1].name is not a known key"},
        {"partners: [{fingerprint: \"" FP_A "\", organisation: a}, {fingerprint: \"" FP_A
         "\", organisation: b}]",
         "partners[2] has the fingerprint of partners[1] again."},
        {"partners: [{fingerprint: \"" FP_A "\", organisation: clinic}, {fingerprint: \"" FP_B
         "\", organisation: Clinic}]",
         "partners[2] has the organisation Clinic, which is also written clinic here"},
        {"organisation: Ours\npartners: [{fingerprint: \"" FP_A "\", organisation: ours}]",
         "partners[1] has the organisation ours, which is also written Ours here"},
        {"limits: {max_pending: 0}", "limits.max_pending must be a whole number from 1 to 10000."},
        {"limits: {max_jobs: 1.5}", "limits.max_jobs must be a whole number"},
        {"limits: {submissions_per_day: null}", "limits.submissions_per_day must be a whole number"},
        {"limits: {requests_per_hour: 5}", "did you mean requests_per_minute?"},
        {"four_eyes: 1", "four_eyes must be true or false."},
        {"four_eyes: true", "policy.yaml:1:12: four_eyes is true and so needs owners, a list of at least 2"},
        {"four_eyes: true\nowners: [\"" FP_A "\"]", "four_eyes is true and so needs owners"},
        {"owners: [\"" FP_A "\", \"" FP_A "\"]", "owners[2] is the key of owners[1] again."},
        {"owners: [\"sha256:aa\"]", "owners[1] must be a fingerprint"},
        {"rules: [{name: no, action: deny}, " APPROVE "}]\nfour_eyes: true\nowners: [\"" FP_A "\", \"" FP_B
         "\"]",
         "policy.yaml:1:35: rules[2] approves without asking, while four_eyes wants the keys of two owners"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy *policy = NULL;
        struct error *err = policy_parse(rows[i].text, strlen(rows[i].text), "policy.yaml", &policy);
        if (err == NULL || strstr(err->sentence, rows[i].sentence) == NULL)
            (void)fprintf(stderr, "%s\n-> %s\n", rows[i].text, err == NULL ? "no error" : err->sentence);
        assert_null(policy);
        assert_refused(err, ERROR_INVALID, rows[i].sentence);
    }
}

/* Adds `bytes` bytes to a text that has the room. */
static void text_add(char *text, const char *more, size_t bytes)
{
    size_t at = strlen(text);
    memcpy(text + at, more, bytes);
    text[at + bytes] = '\0';
}

/* The example with its comments that show keys made keys: "#   - name:" under rules, "#   mnist:" under datasets. */
static void example_uncomment(const char *text, char *ret_file)
{
    ret_file[0] = '\0';
    while (*text != '\0') {
        size_t length = strcspn(text, "\n") + 1;
        if (strncmp(text, "# The first rule", 16) == 0)
            text_add(ret_file, "rules:\n", 7);
        if (strncmp(text, "# Other rules for", 17) == 0)
            text_add(ret_file, "datasets:\n", 10);
        if (strncmp(text, "# Sites that you", 16) == 0)
            text_add(ret_file, "partners:\n", 10);
        if (strncmp(text, "#   ", 4) == 0)
            text_add(ret_file, text + 1, length - 1);
        else if (strncmp(text, "rules: []", 9) != 0 && strncmp(text, "datasets: {}", 12) != 0 &&
                 strncmp(text, "partners: []", 12) != 0)
            text_add(ret_file, text, length);
        text += length;
    }
}

static void test_policy_read_example_shows_only_keys_that_are_read(void **state)
{
    (void)state;
    char *text = NULL;
    char file[16384];
    char whole[sizeof(file) + 2 * sizeof(FP_A)];
    assert_done(policy_example(&text));
    assert_true(strlen(text) + 64 < sizeof(file));
    example_uncomment(text, file);
    const char *dots = strstr(file, "sha256:...");
    assert_non_null(dots);
    const char *more = strstr(dots + 10, "sha256:...");
    assert_non_null(more);
    (void)snprintf(whole, sizeof(whole), "%.*s" FP_A "%.*s" FP_B "%s", (int)(dots - file), file,
                   (int)(more - dots - 10), dots + 10, more + 10);
    struct policy *policy = policy_parse_good(whole);
    assert_int_equal(policy->rule_count, 1);
    assert_true(policy->rules[0].l2.given && policy->rules[0].local_epochs.given);
    assert_int_equal(policy->rules[0].hold, HOLD_FIRST);
    assert_int_equal(policy->gate.dataset_count, 1);
    assert_int_equal(policy_gate_output(&policy->gate, "mnist")->min_cell, 0);
    assert_int_equal(policy->gate.partner_count, 1);
    policy_free(policy);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_read_rule_stores_every_bound),
        cmocka_unit_test(test_policy_read_rule_without_bounds_has_none),
        cmocka_unit_test(test_policy_read_dataset_inherits_what_it_does_not_say),
        cmocka_unit_test(test_policy_read_limits_and_owners_are_stored),
        cmocka_unit_test(test_policy_read_partners_have_numbered_organisations),
        cmocka_unit_test(test_policy_read_organisation_without_a_name_is_nobody_elses),
        cmocka_unit_test(test_policy_read_what_is_asked_of_sums),
        cmocka_unit_test(test_policy_read_partners_are_bounded),
        cmocka_unit_test(test_policy_read_wrong_value_is_refused),
        cmocka_unit_test(test_policy_read_example_shows_only_keys_that_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
