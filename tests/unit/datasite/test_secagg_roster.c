/* Whether a site takes part: each rule of secagg_roster_admit, attacked by a job that breaks this one alone. */
#include "datasite/secagg_roster.h"
#include "tests/unit/schemas/refusal.h"

#define SITES 10

/* A job over sites 1 to `count` whose fingerprints begin with their number, this site being number 2, each of the
 * others of an organisation of its own. */
struct scene {
    struct job job;
    struct job_site sites[SITES];
    struct policy_gate gate;
    struct site_id own;
    const struct dataset_info *dataset; /* NULL: none */
};

static void fingerprint(unsigned number, char ret_text[static JOB_FINGERPRINT_BYTES])
{
    (void)snprintf(ret_text, JOB_FINGERPRINT_BYTES, "sha256:%02x%062x", number, 7);
}

static int scene_make(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    if (scene == NULL)
        return -1;
    scene->job = (struct job){.sites = scene->sites, .site_count = 4, .min_sites = 3};
    scene->job.secure =
        (struct job_secure_aggregation){.enabled = true, .tolerate_colluding = 1, .threshold = 3};
    scene->gate.secure = (struct policy_secure_aggregation){
        .min_threshold = POLICY_MIN_THRESHOLD, .min_colluding = 1, .min_organisations = 2};
    /* In the job's order, which is not that of the roster. */
    for (unsigned i = 0; i < SITES; i++)
        fingerprint(i < 4 ? 4 - i : i + 1, scene->sites[i].fingerprint);
    assert_done(site_id_parse(scene->sites[2].fingerprint, &scene->own));
    for (unsigned i = 0; i < SITES; i++) {
        if (i + 1 == 2)
            continue;
        struct policy_partner *partner = &scene->gate.partners[scene->gate.partner_count++];
        fingerprint(i + 1, partner->fingerprint);
        partner->organisation = (uint16_t)(i + 1);
    }
    *state = scene;
    return 0;
}

static int scene_remove(void **state)
{
    free(*state);
    return 0;
}

static struct error *admit(const struct scene *scene)
{
    struct secagg_roster roster = {.sites = NULL};
    struct error *err = secagg_roster_admit(&scene->gate, &scene->job, scene->dataset, &scene->own, &roster);
    assert_true((err == NULL) == (roster.sites != NULL));
    secagg_roster_clear(&roster);
    return err;
}

static struct policy_partner *partner_of(struct scene *scene, unsigned number)
{
    char text[JOB_FINGERPRINT_BYTES];
    fingerprint(number, text);
    for (size_t i = 0; i < scene->gate.partner_count; i++) {
        if (strcmp(scene->gate.partners[i].fingerprint, text) == 0)
            return &scene->gate.partners[i];
    }
    fail_msg("there is no such partner");
    return NULL;
}

static void test_secagg_roster_known_sites_are_admitted_in_order(void **state)
{
    struct scene *scene = *state;
    struct secagg_roster roster;
    assert_done(secagg_roster_admit(&scene->gate, &scene->job, scene->dataset, &scene->own, &roster));
    assert_int_equal(roster.count, 4);
    assert_int_equal(roster.own, 2);
    for (size_t i = 0; i < roster.count; i++)
        assert_int_equal(roster.sites[i].digest.bytes[0], i + 1);
    assert_int_equal(roster.organisations[0], 1);
    assert_int_equal(roster.organisations[1], POLICY_OWN_ORGANISATION);
    assert_int_equal(roster.organisations[3], 4);
    secagg_roster_clear(&roster);
    assert_null(roster.sites);
}

static void test_secagg_roster_job_in_clear_is_refused(void **state)
{
    struct scene *scene = *state;
    scene->job.secure.enabled = false;
    assert_refused(admit(scene), ERROR_REFUSED, "no secure aggregation");
}

static void test_secagg_roster_without_this_site_is_refused(void **state)
{
    struct scene *scene = *state;
    fingerprint(5, scene->sites[2].fingerprint);
    assert_refused(admit(scene), ERROR_REFUSED, "This site is not among the sites of the job");
}

/* Whoever may invent sites has the sum of one real site and of numbers that it knows. */
static void test_secagg_roster_unknown_sites_are_refused_by_name(void **state)
{
    struct scene *scene = *state;
    char text[JOB_FINGERPRINT_BYTES];
    fingerprint(0xee, scene->sites[0].fingerprint);
    fingerprint(0xee, text);
    assert_refused(admit(scene), ERROR_REFUSED, text);
    assert_refused(admit(scene), ERROR_REFUSED, "1 of the job's 4 sites is not among `partners`");
    assert_refused(admit(scene), ERROR_REFUSED, "- {fingerprint: \"sha256:...\", organisation: NAME}");
}

static void test_secagg_roster_no_partners_refuses_everybody(void **state)
{
    struct scene *scene = *state;
    scene->gate.partner_count = 0;
    assert_refused(admit(scene), ERROR_REFUSED, "3 of the job's 4 sites are not among `partners`");
}

static void test_secagg_roster_long_list_of_unknown_sites_is_cut(void **state)
{
    struct scene *scene = *state;
    scene->job.site_count = SITES;
    scene->gate.partner_count = 0;
    assert_refused(admit(scene), ERROR_REFUSED,
                   "9 of the job's 10 sites are not among `partners` in this site's policy.yaml, among them: "
                   "sha256:01");
    assert_refused(admit(scene), ERROR_REFUSED, "organisation: NAME}");
}

static void test_secagg_roster_site_named_twice_is_refused(void **state)
{
    struct scene *scene = *state;
    fingerprint(1, scene->sites[0].fingerprint);
    assert_refused(admit(scene), ERROR_REFUSED, "twice");
}

static void test_secagg_roster_lowered_threshold_is_refused(void **state)
{
    struct scene *scene = *state;
    scene->gate.secure.min_threshold = 4;
    assert_refused(admit(scene), ERROR_REFUSED, "threshold is 3; this site's policy wants 4 or more");
    scene->job.secure.threshold = 4;
    assert_done(admit(scene));
}

/* What job_parse would not let through, and whoever reached this function with does not get through either. */
static void test_secagg_roster_threshold_that_allows_two_sums_is_refused(void **state)
{
    struct scene *scene = *state;
    scene->job.site_count = 8; /* floor((8 + 1) / 2) + 1 = 5 */
    scene->job.secure.threshold = 4;
    assert_refused(admit(scene), ERROR_REFUSED, "does not fit its 8 sites");
    scene->job.secure.threshold = 5;
    assert_done(admit(scene));
    scene->job.secure.threshold = 9;
    assert_refused(admit(scene), ERROR_REFUSED, "does not fit its 8 sites");
}

static void test_secagg_roster_two_sites_are_refused(void **state)
{
    struct scene *scene = *state;
    scene->gate.secure.min_threshold = 0;
    scene->gate.secure.min_colluding = 0;
    scene->sites[1] = scene->sites[2];
    scene->job.site_count = 2;
    scene->job.secure.threshold = 2;
    scene->job.secure.tolerate_colluding = 0;
    assert_refused(admit(scene), ERROR_REFUSED, "could tell this site's numbers from the sum");
    scene->job.secure.tolerate_colluding = 1;
    assert_refused(admit(scene), ERROR_REFUSED, "could tell this site's numbers from the sum");
}

/* Three sites of which two may collude: the third is alone. */
static void test_secagg_roster_one_honest_site_is_refused(void **state)
{
    struct scene *scene = *state;
    scene->job.site_count = 3;
    scene->job.secure.threshold = 3;
    assert_done(admit(scene));
    scene->job.secure.tolerate_colluding = 2;
    assert_refused(admit(scene), ERROR_REFUSED, "could tell this site's numbers from the sum");
}

static void test_secagg_roster_fewer_colluders_than_the_policy_wants_are_refused(void **state)
{
    struct scene *scene = *state;
    scene->gate.secure.min_colluding = 2;
    assert_refused(admit(scene), ERROR_REFUSED,
                   "tolerate_colluding is 1; this site's policy wants 2 or more");
    scene->job.secure.tolerate_colluding = 0;
    scene->gate.secure.min_colluding = 1;
    assert_refused(admit(scene), ERROR_REFUSED, "tolerate_colluding is 0");
}

/* Of a job that leaves it to the costs, how long the vector is decides: four sites may have 2097152 words. */
static void test_secagg_roster_unchecked_sums_are_refused_where_the_owner_wants_them_checked(void **state)
{
    struct scene *scene = *state;
    struct dataset_info small = {.features = 7, .classes = 2};
    struct dataset_info large = {.features = 599999, .classes = 4};
    scene->job.rounds = 1;
    scene->job.secure.ring = 64;
    scene->job.secure.clip = 1;
    scene->job.secure.max_examples = 1000;
    scene->job.secure.verify_sum = JOB_VERIFY_SUM_NO;
    assert_done(admit(scene));
    scene->gate.secure.require_verify_sum = true;
    assert_refused(admit(scene), ERROR_REFUSED, "a job with `verify_sum: true` would do");
    scene->dataset = &small;
    assert_refused(admit(scene), ERROR_REFUSED, "require_verify_sum");
    scene->job.secure.verify_sum = JOB_VERIFY_SUM_AUTO;
    assert_done(admit(scene));
    scene->dataset = &large;
    assert_refused(admit(scene), ERROR_REFUSED, "require_verify_sum");
    scene->job.secure.verify_sum = JOB_VERIFY_SUM_YES;
    assert_done(admit(scene));
    scene->gate.secure.require_verify_sum = false;
    scene->job.secure.verify_sum = JOB_VERIFY_SUM_AUTO;
    assert_done(admit(scene));
}

static void test_secagg_roster_outsize_weights_are_refused(void **state)
{
    struct scene *scene = *state;
    scene->job.weighting = JOB_WEIGHT_EXAMPLES;
    scene->job.secure.max_examples = UINT64_C(1) << 40;
    assert_done(admit(scene));
    scene->gate.secure.max_examples = (UINT64_C(1) << 40) - 1;
    assert_refused(
        admit(scene), ERROR_REFUSED,
        "up to 1099511627776 of one (secure_aggregation.max_examples); this site's policy wants at "
        "most 1099511627775");
    scene->job.weighting = JOB_WEIGHT_EQUAL;
    assert_done(admit(scene));
    scene->job.weighting = JOB_WEIGHT_EXAMPLES;
    scene->job.secure.max_examples--;
    assert_done(admit(scene));
}

/* One clinic with two sites could subtract both from the sum, and has told the requester of both. */
static void test_secagg_roster_organisation_beyond_the_colluders_is_refused(void **state)
{
    struct scene *scene = *state;
    scene->job.site_count = 6;
    scene->job.secure.threshold = 5;
    partner_of(scene, 5)->organisation = partner_of(scene, 1)->organisation;
    assert_refused(admit(scene), ERROR_REFUSED,
                   "One organisation runs more of the job's sites than the 1 that it lets collude");
    scene->job.secure.tolerate_colluding = 2;
    assert_done(admit(scene));
}

/* This organisation's other sites are not held against it. */
static void test_secagg_roster_own_organisation_is_no_colluder(void **state)
{
    struct scene *scene = *state;
    partner_of(scene, 1)->organisation = POLICY_OWN_ORGANISATION;
    partner_of(scene, 3)->organisation = POLICY_OWN_ORGANISATION;
    assert_done(admit(scene));
    partner_of(scene, 4)->organisation = POLICY_OWN_ORGANISATION;
    assert_refused(admit(scene), ERROR_REFUSED,
                   "The sites of the job belong to 1 organisation; this site's policy wants 2");
}

static void test_secagg_roster_listing_this_site_elsewhere_changes_nothing(void **state)
{
    struct scene *scene = *state;
    struct secagg_roster roster;
    struct policy_partner *partner = &scene->gate.partners[scene->gate.partner_count++];
    fingerprint(2, partner->fingerprint);
    partner->organisation = 9;
    assert_done(secagg_roster_admit(&scene->gate, &scene->job, scene->dataset, &scene->own, &roster));
    assert_int_equal(roster.organisations[1], POLICY_OWN_ORGANISATION);
    secagg_roster_clear(&roster);
}

static void test_secagg_roster_counts_organisations_of_contributors(void **state)
{
    struct scene *scene = *state;
    struct secagg_roster roster;
    static const uint32_t all[] = {1, 2, 3, 4};
    static const uint32_t few[] = {2, 3, 4};
    static const uint32_t wrong[] = {2, 3, 5};
    static const uint32_t zero[] = {0, 2, 3};
    scene->gate.secure.min_organisations = 3;
    partner_of(scene, 4)->organisation = partner_of(scene, 3)->organisation;
    scene->job.secure.tolerate_colluding = 2;
    scene->job.secure.threshold = 4;
    assert_done(secagg_roster_admit(&scene->gate, &scene->job, scene->dataset, &scene->own, &roster));
    assert_done(secagg_roster_organisations(&scene->gate, &roster, (struct secagg_set){all, 4}));
    assert_refused(secagg_roster_organisations(&scene->gate, &roster, (struct secagg_set){few, 3}),
                   ERROR_REFUSED, "The sites that contributed belong to 2 organisations");
    assert_refused(secagg_roster_organisations(&scene->gate, &roster, (struct secagg_set){wrong, 3}),
                   ERROR_INVALID, "outside the roster");
    assert_refused(secagg_roster_organisations(&scene->gate, &roster, (struct secagg_set){zero, 3}),
                   ERROR_INVALID, "outside the roster");
    assert_refused(secagg_roster_organisations(&scene->gate, &roster, (struct secagg_set){NULL, 0}),
                   ERROR_REFUSED, "belong to 0 organisations");
    secagg_roster_clear(&roster);
}

static void test_secagg_roster_run_has_the_facts_of_the_job(void **state)
{
    struct scene *scene = *state;
    struct secagg_roster roster;
    struct secagg_run run;
    struct digest job_hash = {.bytes = {9, 8}};
    const uint8_t run_id[SECAGG_RUN_ID_BYTES] = {1, 2, 3};
    assert_done(secagg_roster_admit(&scene->gate, &scene->job, scene->dataset, &scene->own, &roster));
    secagg_roster_run(&roster, &scene->job, &job_hash, run_id, &run);
    assert_true(digest_equal(&run.job_hash, &job_hash));
    assert_memory_equal(run.run_id, run_id, sizeof(run_id));
    assert_ptr_equal(run.roster, roster.sites);
    assert_int_equal(run.sites, 4);
    assert_int_equal(run.threshold, 3);
    secagg_roster_clear(&roster);
}

static void test_secagg_roster_least_is_the_largest_bound(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(secagg_roster_least(&scene->job), 3);
    scene->job.min_sites = 4;
    assert_int_equal(secagg_roster_least(&scene->job), 4);
    scene->job.secure.threshold = 7;
    assert_int_equal(secagg_roster_least(&scene->job), 7);
    scene->job.min_sites = 1;
    scene->job.secure.threshold = 2;
    assert_int_equal(secagg_roster_least(&scene->job), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_secagg_roster_known_sites_are_admitted_in_order),
        TEST(test_secagg_roster_job_in_clear_is_refused),
        TEST(test_secagg_roster_without_this_site_is_refused),
        TEST(test_secagg_roster_unknown_sites_are_refused_by_name),
        TEST(test_secagg_roster_no_partners_refuses_everybody),
        TEST(test_secagg_roster_long_list_of_unknown_sites_is_cut),
        TEST(test_secagg_roster_site_named_twice_is_refused),
        TEST(test_secagg_roster_lowered_threshold_is_refused),
        TEST(test_secagg_roster_threshold_that_allows_two_sums_is_refused),
        TEST(test_secagg_roster_two_sites_are_refused),
        TEST(test_secagg_roster_one_honest_site_is_refused),
        TEST(test_secagg_roster_fewer_colluders_than_the_policy_wants_are_refused),
        TEST(test_secagg_roster_unchecked_sums_are_refused_where_the_owner_wants_them_checked),
        TEST(test_secagg_roster_outsize_weights_are_refused),
        TEST(test_secagg_roster_organisation_beyond_the_colluders_is_refused),
        TEST(test_secagg_roster_own_organisation_is_no_colluder),
        TEST(test_secagg_roster_listing_this_site_elsewhere_changes_nothing),
        TEST(test_secagg_roster_counts_organisations_of_contributors),
        TEST(test_secagg_roster_run_has_the_facts_of_the_job),
        TEST(test_secagg_roster_least_is_the_largest_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
