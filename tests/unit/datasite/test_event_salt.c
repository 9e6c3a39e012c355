/* What the heads of the chain give away, which leave in receipts and adverts: whoever is shown the heads around an event,
 * knows its time and form, and tries what it may say. */
#include "datasite/store_daemon.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/workspace.h"

#define NOW 1790000000
#define ROWS_TRIED 200

static const struct digest job = {{0xab, 0xcd}};

/* One event, and the heads before and after it. */
struct seen {
    struct chain_head before, after;
    enum event_kind kind;
    const struct digest *job_id;
};

static struct seen add(struct store *store, enum event_kind kind, const struct digest *job_id,
                       const char *detail)
{
    struct seen seen = {.kind = kind, .job_id = job_id};
    uint8_t signature[SIGNATURE_BYTES];
    must(store_head(store, &seen.before, signature));
    must(store_event_add(store, kind, job_id, NULL, 0, NOW, detail, NULL));
    must(store_head(store, &seen.after, signature));
    return seen;
}

static bool guessed(const struct seen *seen, const char *detail)
{
    const struct chain_event guess = {.sequence = seen->after.sequence,
                                      .at = NOW,
                                      .kind = event_kind_word(seen->kind),
                                      .job_id = seen->job_id,
                                      .detail = detail};
    struct digest hash;
    must(chain_next(&seen->before.hash, &guess, &hash));
    return digest_equal(&hash, &seen->after.hash);
}

static struct error *keep_detail(void *context, const struct event_record *record)
{
    (void)snprintf(context, 256, "%s", record->event.detail);
    return NULL;
}

/* Of the last event. */
static void read_detail(struct store *store, char ret_detail[static 256])
{
    struct event_filter last = {.limit = 1};
    must(store_events(store, &last, keep_detail, ret_detail));
}

static struct store *open_store(const struct workspace *workspace)
{
    struct store *store = workspace_store(workspace);
    must(store_event_add(store, EVENT_SERVE_STARTED, NULL, NULL, 0, NOW, "", NULL));
    return store;
}

static void test_event_salt_number_of_rows_cannot_be_guessed(void **state)
{
    struct store *store = open_store(*state);
    char guess[128], first[256] = "", second[256] = "";
    struct seen seen = add(store, EVENT_DATASET_IMPORTED, NULL, "dataset claims, 117 rows");
    for (int rows = 0; rows < ROWS_TRIED; rows++) {
        (void)snprintf(guess, sizeof(guess), "dataset claims, %d rows", rows);
        assert_false(guessed(&seen, guess));
    }
    read_detail(store, first);
    assert_true(guessed(&seen, first)); /* who has the file verifies it */
    assert_int_equal(chain_detail_bytes(first), strlen("dataset claims, 117 rows"));
    assert_int_equal(strlen(first), strlen("dataset claims, 117 rows") + CHAIN_SALT_TEXT_BYTES - 1);
    (void)add(store, EVENT_DATASET_IMPORTED, NULL, "dataset claims, 117 rows");
    read_detail(store, second);
    assert_string_not_equal(first, second);
    store_close(store);
}

/* A member of the consortium knows all fingerprints and may know the job; the right guess is among its guesses. */
static void test_event_salt_peers_jobs_and_decisions_cannot_be_guessed(void **state)
{
    static const struct {
        enum event_kind kind;
        const struct digest *job_id;
        const char *detail;
    } events[] = {
        {EVENT_PEER_ADDED, NULL, "sha256:00ff clinic"}, {EVENT_PEER_REMOVED, NULL, "sha256:00ff clinic"},
        {EVENT_JOB_RECEIVED, &job, "researcher"},       {EVENT_JOB_APPROVED, &job, "owner"},
        {EVENT_JOB_DENIED, &job, "policy:any"},         {EVENT_JOB_REVOKED, &job, "owner"},
        {EVENT_JOB_EXPIRED, &job, "its time is over"},  {EVENT_JOB_ENDORSED, &job, "sha256:00ff"},
        {EVENT_CHAIN_ACCEPTED, NULL, "restored"},       {EVENT_AUDIT_EXPORTED, NULL, "events from 1 on"},
    };
    struct store *store = open_store(*state);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        char detail[256] = "";
        struct seen seen = add(store, events[i].kind, events[i].job_id, events[i].detail);
        assert_false(guessed(&seen, events[i].detail));
        read_detail(store, detail);
        assert_true(guessed(&seen, detail));
        assert_int_equal(chain_detail_bytes(detail), strlen(events[i].detail));
    }
    struct seen plain = add(store, EVENT_SERVE_STOPPED, NULL, "plain");
    assert_true(guessed(&plain, "plain")); /* the attack does find what has no salt */
    store_close(store);
}

/* The daemon logs decisions of other programs, and an endorsement is looked for by its owner: by what was said. */
static void test_event_salt_is_left_out_where_details_are_read(void **state)
{
    struct store *store = open_store(*state);
    struct decision_event next;
    struct vouched vouched;
    bool found = false;
    (void)add(store, EVENT_JOB_APPROVED, &job, "owner");
    (void)add(store, EVENT_JOB_ENDORSED, &job, "sha256:00ff");
    must(store_decision_next(store, 0, &next, &found));
    assert_true(found);
    assert_string_equal(next.detail, "owner");
    must(store_vouched(store, EVENT_JOB_ENDORSED, &job, "sha256:00ff", &vouched));
    assert_int_equal(vouched.sequence, 3);
    must(store_vouched(store, EVENT_JOB_ENDORSED, &job, "sha256:00", &vouched));
    assert_int_equal(vouched.sequence, 0);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workspace_make, workspace_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_event_salt_number_of_rows_cannot_be_guessed),
        TEST(test_event_salt_peers_jobs_and_decisions_cannot_be_guessed),
        TEST(test_event_salt_is_left_out_where_details_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
