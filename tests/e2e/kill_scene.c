#include "tests/e2e/kill_scene.h"

#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/walk.h"

#include <stdlib.h>
#include <unistd.h>

void kill_arm(const struct scene *scene, int at, enum kill_when when)
{
    char library[PATH_ROOM + 32], number[16];
    (void)snprintf(library, sizeof(library), "%s", scene->program);
    (void)snprintf(strrchr(library, '/'), 32, "/kill_at_sync.so");
    (void)snprintf(number, sizeof(number), "%d", at);
    assert_int_equal(access(library, R_OK), 0);
    assert_int_equal(setenv("LD_PRELOAD", library, 1), 0);
    assert_int_equal(setenv("DATASITE_KILL_AT", number, 1), 0);
    assert_int_equal(setenv("DATASITE_KILL_WHEN", when == KILL_BEFORE ? "before" : "after", 1), 0);
    /* The library comes before the sanitizer's, which would refuse to start. */
    assert_int_equal(setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1), 0);
}

void kill_disarm(void)
{
    (void)unsetenv("LD_PRELOAD");
    (void)unsetenv("DATASITE_KILL_AT");
    (void)unsetenv("DATASITE_KILL_WHEN");
    (void)unsetenv("ASAN_OPTIONS");
}

/* Every answer's body is the one whose digest its event has. */
static void check_bodies(struct store *store)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT answer.body, event.digest FROM answer LEFT JOIN event ON event.id = answer.event_id");
    while (query_step(&query)) {
        struct digest digest;
        size_t bytes = 0, count = 0;
        const uint8_t *body = query_blob(&query, 0, &bytes);
        must(digest_of(body, bytes, &digest));
        const uint8_t *vouched = query_blob(&query, 1, &count);
        assert_int_equal(count, DIGEST_BYTES);
        assert_memory_equal(vouched, digest.bytes, DIGEST_BYTES);
    }
    must(query_end(&query));
}

static int64_t number(struct store *store, const char *sql)
{
    struct query query;
    query_start(&query, store->database, sql);
    assert_true(query_step(&query));
    int64_t value = query_int(&query, 0);
    must(query_end(&query));
    return value;
}

static void check_releases(struct store *store, uint32_t rounds)
{
    assert_int_equal(
        number(store, "SELECT count(*) FROM event WHERE kind LIKE '%-released' AND kind <> 'held-released' "
                      "AND id NOT IN (SELECT event_id FROM answer)"),
        0);
    assert_int_equal(number(store,
                            "SELECT count(*) FROM answer LEFT JOIN event ON event.id = event_id WHERE "
                            "event.kind IS NOT CASE state WHEN 'held' THEN answer.kind || '-held' "
                            "ELSE answer.kind || '-released' END AND event.kind IS NOT 'held-released'"),
                     0);
    assert_int_equal(
        number(store, "SELECT count(*) FROM answer WHERE (state = 'released') <> (receipt IS NOT NULL)"), 0);
    assert_true(number(store, "SELECT count(*) FROM event WHERE kind = 'update-released'") <= rounds);
    assert_true(number(store, "SELECT count(*) FROM event WHERE kind = 'evaluation-released'") <= rounds);
    assert_true(number(store, "SELECT count(*) FROM run") <= 1);
    assert_int_equal(number(store, "SELECT count(*) FROM run WHERE last_round <> "
                                   "(SELECT count(*) FROM answer WHERE kind = 'update')"),
                     0);
}

static void check_decisions(struct store *store)
{
    static const char *const differ[] = {
        "SELECT (SELECT count(*) FROM decision WHERE kind = 'approve') <> "
        "(SELECT count(*) FROM event WHERE kind = 'job-approved')",
        "SELECT (SELECT count(*) FROM decision WHERE kind = 'deny') <> "
        "(SELECT count(*) FROM event WHERE kind = 'job-denied')",
        "SELECT (SELECT count(*) FROM decision WHERE kind = 'revoke') <> "
        "(SELECT count(*) FROM event WHERE kind = 'job-revoked')",
        "SELECT count(*) FROM job WHERE (state IN ('approved', 'running', 'finished', 'revoked')) <> "
        "(job_id IN (SELECT job_id FROM decision WHERE kind = 'approve'))",
        "SELECT count(*) FROM job WHERE (state = 'denied') <> "
        "(job_id IN (SELECT job_id FROM decision WHERE kind = 'deny'))",
        "SELECT count(*) FROM job WHERE (state = 'revoked') <> "
        "(job_id IN (SELECT job_id FROM decision WHERE kind = 'revoke'))",
    };
    for (size_t i = 0; i < sizeof(differ) / sizeof(differ[0]); i++)
        assert_int_equal(number(store, differ[i]), 0);
}

void kill_check(const struct scene *scene, uint32_t rounds)
{
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    must(home_open(scene->home, &home));
    must(home_store(home, STORE_READ, &identity, &store));
    must(database_check(store->database));
    assert_int_equal(walk_events(store, identity).first_bad, 0);
    check_bodies(store);
    check_releases(store, rounds);
    check_decisions(store);
    store_close(store);
    identity_free(identity);
    home_free(home);
}
