/* The daemon sees within 200 ms what an owner decides in another process; and what time decides, too.
 *
 * A machine that is busy with something else delays everybody, so what counts is the middle of several decisions, and
 * there are several attempts: a daemon that looks too seldom fails all of them. */
#include "datasite/approval.h"
#include "datasite/home.h"
#include "schemas/clock.h"
#include "schemas/files.h"
#include "tests/e2e/serve_scene.h"

#include <signal.h>
#include <unistd.h>

#define NOTICE_MS 200
#define DECISIONS 7
#define ATTEMPTS 5

struct owner {
    struct home *home;
    struct identity *identity;
    struct store *store;
};

static struct owner owner_open(const struct scene *scene)
{
    struct owner owner;
    must(home_open(scene->home, &owner.home));
    must(home_store(owner.home, STORE_WRITE, &owner.identity, &owner.store));
    return owner;
}

static void owner_close(struct owner *owner)
{
    store_close(owner->store);
    identity_free(owner->identity);
    home_free(owner->home);
}

/* Unix milliseconds of the last line of the daemon's log that has `words` and the job's id. */
static int64_t log_time(const struct scene *scene, const char *words)
{
    char hex[DIGEST_HEX_BYTES], moment[32];
    uint8_t *text = NULL;
    size_t bytes = 0;
    int64_t seconds = 0, found = -1;
    digest_hex(&scene->job_id, hex);
    hex[12] = '\0';
    must(file_read(scene->log, 1 << 20, &text, &bytes));
    char *rest = (char *)text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (strstr(line, words) == NULL || strstr(line, hex) == NULL || strlen(line) < 24)
            continue;
        (void)snprintf(moment, sizeof(moment), "%.19sZ", line);
        must(clock_parse(moment, &seconds));
        found = seconds * 1000 + strtol(line + 20, NULL, 10);
    }
    free(text);
    return found;
}

static int64_t notice(const struct scene *scene, const char *words, int64_t committed)
{
    int64_t seen = -1;
    for (int waited = 0; waited < PATIENCE_MS && seen < 0; waited += 10) {
        (void)usleep(10000);
        seen = log_time(scene, words);
    }
    if (seen < 0)
        fail_msg("'%s' is not in the log", words);
    return seen - committed;
}

/* Submits another job; its training differs by the number of iterations. */
static void submit_another(struct scene *scene)
{
    static int iterations = 1;
    char training[80];
    (void)snprintf(training, sizeof(training), "{optimizer: lbfgs, local_iterations: %d}", ++iterations);
    assert_int_equal(client_submit(scene, training), FDS__JOB_STATE__JOB_PENDING);
}

static int64_t decide(struct scene *scene, const struct owner *owner, enum decision_kind kind,
                      const char *words)
{
    struct job_record record = {.bytes = NULL};
    struct approval_limits limits = {0};
    int64_t now = clock_now_ms() / 1000;
    must(store_job_find(owner->store, &scene->job_id, &record));
    if (kind == DECISION_APPROVE)
        must(approval_give(owner->store, owner->identity, &record, &limits, "owner", "", now));
    else
        must(approval_withhold(owner->store, owner->identity, &record, kind, "owner", "", now));
    int64_t committed = clock_now_ms();
    job_record_clear(&record);
    return notice(scene, words, committed);
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool in_time(int64_t delays[static DECISIONS])
{
    qsort(delays, DECISIONS, sizeof(delays[0]), by_size);
    return delays[DECISIONS / 2] <= NOTICE_MS;
}

static void test_notice_of_every_decision_is_within_200_ms(void **state)
{
    struct scene *scene = *state;
    int64_t approved[DECISIONS], revoked[DECISIONS], denied[DECISIONS];
    bool seen = false;
    daemon_start(scene);
    client_connect(scene);
    struct owner owner = owner_open(scene);
    for (int attempt = 0; attempt < ATTEMPTS && !seen; attempt++) {
        for (size_t i = 0; i < DECISIONS; i++) {
            submit_another(scene);
            approved[i] = decide(scene, &owner, DECISION_APPROVE, "job-approved");
            revoked[i] = decide(scene, &owner, DECISION_REVOKE, "job-revoked");
            submit_another(scene);
            denied[i] = decide(scene, &owner, DECISION_DENY, "job-denied");
        }
        seen = in_time(approved) && in_time(revoked) && in_time(denied);
    }
    assert_true(seen);
    owner_close(&owner);
}

/* The approval ends while a step is in hand: the step is abandoned, and nothing of it leaves. */
static void test_notice_of_an_approval_that_ends_in_mid_training(void **state)
{
    struct scene *scene = *state;
    struct job_record record = {.bytes = NULL};
    daemon_start(scene);
    client_connect(scene);
    struct owner owner = owner_open(scene);
    assert_int_equal(client_submit(scene, LONG_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(owner.store, &scene->job_id, &record));
    int64_t now = clock_now_ms() / 1000;
    struct approval_limits limits = {.expires = now + 3};
    must(approval_give(owner.store, owner.identity, &record, &limits, "owner", "", now));
    uint64_t number = client_train(scene, 1);
    expect_refusal(client_await(scene, number), ERROR_EXPIRED, "expired");
    assert_true(clock_now_ms() / 1000 >= now + 3);
    assert_int_equal(client_query(scene), FDS__JOB_STATE__JOB_EXPIRED);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM answer"), 0);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'update-released'"), 0);
    assert_int_equal(count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'job-expired'"), 1);
    job_record_clear(&record);
    owner_close(&owner);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_notice_of_every_decision_is_within_200_ms),
        TEST(test_notice_of_an_approval_that_ends_in_mid_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
