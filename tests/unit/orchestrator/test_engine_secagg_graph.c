/* More sites than are all neighbours: the engine's part in memory, with the real keys of 140 sites. */
#include "orchestrator/engine_secagg.h"
#include "tests/unit/crypto/federation.h"

#define SITES 140
#define THRESHOLD 81
#define COLLUDING 21

/* An engine as far as secure aggregation looks at it. */
struct table {
    struct federation *federation;
    struct job job;
    struct job_site names[SITES];
    struct run_record record;
    struct engine engine;
    double model[2];
    struct masked_attempt attempt;
};

static int table_open(void **state)
{
    struct table *table = calloc(1, sizeof *table);
    assert_non_null(table);
    table->federation = federation_new(SITES, THRESHOLD);
    table->job =
        (struct job){.rounds = 1, .min_sites = THRESHOLD, .sites = table->names, .site_count = SITES};
    table->job.secure = (struct job_secure_aggregation){.enabled = true,
                                                        .tolerate_colluding = COLLUDING,
                                                        .threshold = THRESHOLD,
                                                        .clip = 1,
                                                        .max_examples = 1000,
                                                        .ring = 64,
                                                        .key_batch = FEDERATION_SLOTS};
    table->record.job = &table->job;
    table->record.job_id = table->federation->run.job_hash;
    memcpy(table->record.run_id, table->federation->run.run_id, RUN_ID_BYTES);
    table->engine = (struct engine){
        .job = &table->job, .record = &table->record, .model = table->model, .count = 2, .in_rounds = true};
    table->engine.sites = calloc(SITES, sizeof *table->engine.sites);
    assert_non_null(table->engine.sites);
    for (size_t i = 0; i < SITES; i++) /* in an order of the job's own */
        table->engine.sites[i] = (struct engine_site){.id = table->federation->roster[SITES - 1 - i],
                                                      .job_site = &table->names[i]};
    succeeds(engine_secagg_open(&table->engine));
    *state = table;
    return 0;
}

static int table_close(void **state)
{
    struct table *table = *state;
    table->engine.secagg->attempt = NULL;
    engine_secagg_close(&table->engine);
    free(table->engine.sites);
    federation_free(table->federation);
    free(table);
    return 0;
}

static struct secagg_keyset *keyset_of(const struct table *table, const struct secagg_run *run)
{
    struct secagg_keyset *keyset = NULL;
    succeeds(secagg_keyset_make(run, table->federation->adverts, SITES, NULL, &keyset));
    return keyset;
}

static void neighbours_of(const struct secagg_keyset *keyset, uint32_t position, uint32_t **ret_neighbours,
                          size_t *ret_count, size_t *ret_threshold)
{
    succeeds(
        secagg_neighbours(keyset, FEDERATION_FIRST_SLOT, position, ret_neighbours, ret_count, ret_threshold));
}

/* What a site makes of the job has all that the graph depends on; so must have what the engine makes. */
static void test_engine_secagg_graph_is_that_of_the_sites(void **state)
{
    const struct table *table = *state;
    struct secagg_run sites = secagg_run_make(&table->job, &table->record.job_id, table->record.run_id,
                                              table->federation->roster, SITES);
    assert_int_equal(sites.colluding, COLLUDING);
    assert_int_equal(sites.threshold, THRESHOLD);
    struct secagg_run fewer = sites;
    fewer.colluding = 0;
    struct secagg_keyset *here = keyset_of(table, &table->engine.secagg->run);
    struct secagg_keyset *there = keyset_of(table, &sites), *other = keyset_of(table, &fewer);
    size_t least = 0;
    for (uint32_t position = 1; position <= SITES; position++) {
        uint32_t *one = NULL, *two = NULL, *three = NULL;
        size_t count = 0, count_there = 0, threshold = 0, threshold_there = 0;
        neighbours_of(here, position, &one, &count, &threshold);
        neighbours_of(there, position, &two, &count_there, &threshold_there);
        neighbours_of(other, position, &three, &least, &threshold);
        assert_int_equal(count, count_there);
        assert_memory_equal(one, two, count * sizeof *one);
        free(one);
        free(two);
        free(three);
        if (position == 1)
            assert_true(least < count); /* so that n_c shows */
    }
    secagg_keyset_free(here);
    secagg_keyset_free(there);
    secagg_keyset_free(other);
}

/* Enough in number, but for a contributor with too few neighbours among them: nobody may be asked to agree. */
static void test_engine_secagg_isolated_contributor_is_not_enough(void **state)
{
    struct table *table = *state;
    struct secagg_run run = table->engine.secagg->run;
    struct masked_attempt *attempt = &table->attempt;
    uint32_t *neighbours = NULL, contributors[SITES];
    size_t count = 0, threshold = 0;
    struct digest model = {{0}};
    bool enough = false;
    run.colluding = 0;
    struct secagg_keyset *keyset = keyset_of(table, &run);
    neighbours_of(keyset, 5, &neighbours, &count, &threshold);
    assert_true(count < SITES - 1);
    succeeds(secagg_attempt_make(keyset, FEDERATION_FIRST_SLOT, 1, 0, federation_everybody(table->federation),
                                 &model, MASK_RING_64, 4, &attempt->about));
    attempt->contributors = contributors;
    table->engine.secagg->attempt = attempt;
    for (uint32_t position = 1; position <= SITES; position++)
        contributors[attempt->contributor_count++] = position;
    succeeds(engine_masked_enough(&table->engine, &enough));
    assert_true(enough);
    size_t away = count - threshold + 1;
    const struct secagg_set gone = {.positions = neighbours, .count = away};
    attempt->contributor_count = 0;
    for (uint32_t position = 1; position <= SITES; position++)
        if (!secagg_set_has(gone, position))
            contributors[attempt->contributor_count++] = position;
    assert_true(attempt->contributor_count >= table->engine.secagg->least);
    succeeds(engine_masked_enough(&table->engine, &enough));
    assert_false(enough);
    assert_non_null(strstr(attempt->isolated, "contributed; it needs"));
    free(neighbours);
    secagg_keyset_free(keyset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_engine_secagg_graph_is_that_of_the_sites, table_open,
                                        table_close),
        cmocka_unit_test_setup_teardown(test_engine_secagg_isolated_contributor_is_not_enough, table_open,
                                        table_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
