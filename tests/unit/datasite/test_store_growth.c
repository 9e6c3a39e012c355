/* site.db does not grow by the model and the vectors of a round of secure aggregation: the pages of what is of no use any more
 * take what comes next. */
#include "crypto/secret.h"
#include "datasite/store_internal.h"
#include "datasite/store_release.h"
#include "tests/unit/datasite/slots.h"

#define ROUNDS 24
#define VECTOR_BYTES 62800
#define PAGES_A_ROUND                                                                                        \
    6 /* of 4096 bytes, for rows, events and keys: a vector has 16, a model with its velocity 31 */

static uint8_t vector[VECTOR_BYTES], model[2 * VECTOR_BYTES];

/* The sum of the round before, and the model that follows. */
static void take_sum(struct slots *slots, uint32_t round)
{
    struct secagg_model next = {.round = round, .parameters = model, .bytes = sizeof(model)};
    must(secret_random(model, sizeof(model)));
    must(digest_of(model, sizeof(model), &next.digest));
    must(store_secagg_begin(slots->store));
    must(store_secagg_set_model(slots->store, slots->run, &next));
    if (round > 1)
        must(store_event_add(slots->store, EVENT_SUM_TAKEN, &slots->job, slots->run, round - 1, SLOTS_NOW, "",
                             &next.digest));
    must(store_secagg_commit(slots->store));
}

static void release(struct slots *slots, uint32_t round)
{
    static const struct digest from = {{3}};
    static const struct dataset_info dataset = {.rows = 10, .digest = {{4}}};
    static const uint8_t receipt[400] = {5};
    struct release_event event;
    must(secret_random(vector, sizeof(vector)));
    struct release_record record = {.run_id = slots->run,
                                    .job_id = &slots->job,
                                    .round = round,
                                    .kind = ANSWER_MASKED_INPUT,
                                    .state = ANSWER_RELEASED,
                                    .model_digest = &from,
                                    .dataset = &dataset,
                                    .protections = "",
                                    .body = vector,
                                    .body_bytes = sizeof(vector),
                                    .now = SLOTS_NOW,
                                    .detail = "words"};
    must(store_release_begin(slots->store));
    must(store_release_forget(slots->store, &slots->job, slots->run, round));
    must(slots_bind(slots, round, round, 0));
    must(slots_encode(slots, round, vector, sizeof(vector)));
    must(store_release_event(slots->store, &record, &event));
    must(store_release_answer(slots->store, &record, &event, receipt, sizeof(receipt)));
    must(store_release_commit(slots->store));
}

static void test_store_growth_of_a_round_is_bounded(void **state)
{
    struct slots *slots = *state;
    int64_t before = 0;
    slots_advertise(slots, 0, ROUNDS + 1);
    slots_share(slots, 0, ROUNDS + 1);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        take_sum(slots, round);
        release(slots, round);
        must(slots_agree(slots, round, 0, 0xaa));
        must(slots_reveal(slots, round));
        int64_t pages = slots_count(slots, "SELECT page_count FROM pragma_page_count");
        if (round > 2)
            assert_true(pages <= before + PAGES_A_ROUND);
        before = pages;
    }
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM answer"), ROUNDS);
    assert_int_equal(slots_count(slots, "SELECT min(round) FROM answer WHERE length(body) > 0"), ROUNDS);
}

/* Of a round whose sum this site never had, the bytes stay. */
static void test_store_growth_bytes_stay_without_the_sum(void **state)
{
    struct slots *slots = *state;
    slots_advertise(slots, 0, 4);
    slots_share(slots, 0, 4);
    take_sum(slots, 1);
    release(slots, 1);
    release(slots, 2);
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM answer WHERE length(body) > 0"), 2);
    take_sum(slots, 2);
    release(slots, 3);
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM answer WHERE length(body) > 0"), 2);
    assert_int_equal(slots_count(slots, "SELECT min(round) FROM answer WHERE length(body) > 0"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, slots_make, slots_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_growth_of_a_round_is_bounded),
        TEST(test_store_growth_bytes_stay_without_the_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
