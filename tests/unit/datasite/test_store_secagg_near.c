/* Which rounds that a site agreed to are nearly of the same sites as another. */
#include "tests/unit/datasite/slots.h"

/* A round of a run that was agreed, or only begun (NULL). `job`, `run`: SQL; `positions`: hex, u32 little-endian each. */
static void insert_round(struct slots *slots, const char *job, const char *run, unsigned round,
                         const char *positions)
{
    char sql[640], agreed[256] = "NULL, NULL, NULL, NULL, NULL";
    if (positions != NULL)
        (void)snprintf(agreed, sizeof(agreed), "0, zeroblob(128), zeroblob(64), x'%s', NULL", positions);
    (void)snprintf(sql, sizeof(sql), "INSERT INTO secagg_round VALUES (%s, %s, %u, zeroblob(32), %s)", job,
                   run, round, agreed);
    slots_sql(slots, sql);
}

#define RUN "(SELECT run_id FROM run LIMIT 1)"
#define OTHER_RUN "zeroblob(16)"
#define OURS "(SELECT job_id FROM job LIMIT 1)"
#define OF_1234 "01000000020000000300000004000000"
#define OF_12345 "0100000002000000030000000400000005000000"
#define OF_1267 "01000000020000000600000007000000"

static struct secagg_near near_of(struct slots *slots, const uint32_t *positions, size_t count,
                                  uint32_t round, size_t most)
{
    struct secagg_near near = {77, 77};
    must(store_secagg_near(slots->store, &slots->job, slots->run, round,
                           (struct secagg_set){positions, count}, most, &near));
    return near;
}

static void test_store_secagg_near_counts_who_is_in_one_of_two_lists(void **state)
{
    struct slots *slots = *state;
    static const uint32_t same[] = {1, 2, 3, 4}, fewer[] = {1, 2, 3}, more[] = {1, 2, 3, 4, 9},
                          other[] = {2, 3, 4, 5}, far[] = {3, 4, 5, 6};
    assert_int_equal(near_of(slots, same, 4, 2, 4).round, 0);
    insert_round(slots, OURS, RUN, 1, OF_1234);
    assert_int_equal(near_of(slots, same, 4, 2, 4).round, 0);
    assert_int_equal(near_of(slots, fewer, 3, 2, 1).differences, 1);
    assert_int_equal(near_of(slots, more, 5, 2, 1).differences, 1);
    assert_int_equal(near_of(slots, other, 4, 2, 1).round, 0);
    assert_int_equal(near_of(slots, other, 4, 2, 2).differences, 2);
    assert_int_equal(near_of(slots, far, 4, 2, 3).round, 0);
    assert_int_equal(near_of(slots, far, 4, 2, 4).differences, 4);
}

static void test_store_secagg_near_looks_at_every_agreed_round_of_the_job_but_its_own(void **state)
{
    struct slots *slots = *state;
    static const uint32_t fewer[] = {1, 2, 3}, six[] = {1, 2, 6};
    insert_round(slots, OURS, RUN, 3, OF_1234);
    assert_int_equal(near_of(slots, fewer, 3, 3, 2).round, 0); /* its own */
    insert_round(slots, OURS, RUN, 4, NULL);                   /* begun, not agreed */
    assert_int_equal(near_of(slots, fewer, 3, 4, 2).round, 3);
    insert_round(slots, OURS, OTHER_RUN, 7, OF_1267); /* another run */
    assert_int_equal(near_of(slots, six, 3, 3, 2).round, 7);
    insert_round(slots, OURS, OTHER_RUN, 8, OF_12345);
    assert_int_equal(near_of(slots, fewer, 3, 5, 2).round, 3); /* the nearest */
    assert_int_equal(near_of(slots, fewer, 3, 3, 2).round, 8);
    assert_int_equal(near_of(slots, fewer, 3, 3, 1).round, 0);
    slots_sql(slots,
              "INSERT INTO job SELECT zeroblob(32), bytes, requester, requester_name, received_at, state, "
              "expires, 0 FROM job");
    insert_round(slots, "zeroblob(32)", "x'44444444444444444444444444444444'", 1, OF_1234); /* another job */
    assert_int_equal(near_of(slots, fewer, 3, 3, 1).round, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, slots_make, slots_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_secagg_near_counts_who_is_in_one_of_two_lists),
        TEST(test_store_secagg_near_looks_at_every_agreed_round_of_the_job_but_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
