/* Somebody who can write site.db and has no key wipes what was signed, so that it looks older than the chain. */
#include "audit/chain_walk.h"
#include "datasite/auditor.h"
#include "datasite/chain_start.h"
#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/workspace.h"

#include <unistd.h>

#define NOW 1790000000
#define START "home/keys/chain.start"
#define WIPE "UPDATE event SET hash = NULL, signature = NULL"
#define RENAME "UPDATE event SET kind = 'serve-started', detail = '' WHERE id = 1"
#define RECOUNT "UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM event) WHERE name = 'event'"
#define UNCOUNT "DELETE FROM sqlite_sequence WHERE name = 'event'"

struct opened {
    struct home *home;
    struct identity *identity;
    struct store *store;
};

static void opened_close(struct opened *opened)
{
    store_close(opened->store);
    identity_free(opened->identity);
    home_free(opened->home);
    *opened = (struct opened){.home = NULL};
}

static struct error *try_open(const struct workspace *workspace, enum store_mode mode)
{
    char path[160];
    struct opened opened = {.home = NULL};
    must(home_open(workspace_file(workspace, "home", path), &opened.home));
    struct error *err = home_store(opened.home, mode, &opened.identity, &opened.store);
    opened_close(&opened);
    return err;
}

static struct opened open_home(const struct workspace *workspace)
{
    char path[160];
    struct opened opened = {.home = NULL};
    must(home_open(workspace_file(workspace, "home", path), &opened.home));
    must(home_store(opened.home, STORE_WRITE, &opened.identity, &opened.store));
    return opened;
}

static void add(struct store *store, enum event_kind kind)
{
    must(store_event_add(store, kind, NULL, NULL, 0, NOW, "", NULL));
}

/* A home whose chain is site-created, serve-started, job-denied, peer-up. */
static void make_home(const struct workspace *workspace)
{
    char path[160];
    struct home *home = NULL;
    must(home_create(workspace_file(workspace, "home", path), "site", "tcp://127.0.0.1:1", NULL, &home));
    home_free(home);
    struct opened opened = open_home(workspace);
    add(opened.store, EVENT_SERVE_STARTED);
    add(opened.store, EVENT_JOB_DENIED);
    add(opened.store, EVENT_PEER_UP);
    opened_close(&opened);
}

/* Without the key, as a person with the sqlite3 program would; NULL ends the list. */
static void write_file(const struct workspace *workspace, const char *const *edits)
{
    char path[160];
    struct store *store = NULL;
    must(store_open(workspace_file(workspace, "home/site.db", path), STORE_WRITE, &store));
    must(database_run(store->database, "DROP TRIGGER IF EXISTS event_no_update"));
    must(database_run(store->database, "DROP TRIGGER IF EXISTS event_no_delete"));
    must(database_run(store->database, "DROP TRIGGER IF EXISTS event_chained"));
    for (; *edits != NULL; edits++)
        must(database_run(store->database, *edits));
    store_close(store);
}

static void forget_start(const struct workspace *workspace)
{
    char path[160];
    assert_int_equal(unlink(workspace_file(workspace, START, path)), 0);
}

/* As version 1 left it: three events without hashes, the first of which is not "site-created". */
static void make_old_home(const struct workspace *workspace)
{
    static const char *const old[] = {"DELETE FROM event WHERE id > 3", RENAME, WIPE, RECOUNT, NULL};
    make_home(workspace);
    write_file(workspace, old);
    forget_start(workspace);
}

static struct auditor_findings audit(const struct opened *opened)
{
    const struct auditor auditor = {.store = opened->store, .identity = opened->identity};
    struct auditor_findings findings = {.events = 0};
    must(auditor_check_chain(&auditor, &findings));
    return findings;
}

static void test_chain_start_of_a_new_home_states_no_unsigned_events(void **state)
{
    make_home(*state);
    assert_true(workspace_has(*state, START));
    struct opened opened = open_home(*state);
    struct auditor_findings findings = audit(&opened);
    assert_int_equal(findings.events, 4);
    assert_int_equal(findings.unsigned_events, 0);
    opened_close(&opened);
}

static void test_chain_start_wiped_hashes_are_refused(void **state)
{
    static const struct {
        const char *edits[7];
        const char *words;
    } attacks[] = {
        {{WIPE}, "Event 1 was edited: its hash or its signature is gone"},
        {{WIPE, RENAME}, "Event 1 was edited: its hash or its signature is gone"},
        {{WIPE, RENAME, "DELETE FROM event WHERE id >= 3", RECOUNT}, "Event 1 was edited"},
        {{WIPE, RENAME, "DELETE FROM event WHERE kind = 'job-denied'", "UPDATE event SET id = 3 WHERE id = 4",
          RECOUNT},
         "Event 1 was edited"},
        {{"UPDATE event SET hash = NULL, signature = NULL WHERE id < 4", RENAME}, "Event 1 was edited"},
        {{"DELETE FROM event WHERE id = 1"}, "Event 1 was edited"},
        {{"DELETE FROM event", UNCOUNT}, "no events at all"},
        {{RENAME}, "Event 1 was edited: what it says"},
        {{"UPDATE event SET signature = NULL WHERE id = 1"}, "Event 1 was not written by this site"},
        {{"UPDATE event SET signature = zeroblob(64) WHERE id = 1"}, "Event 1 was not written by this site"},
    };
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        assert_int_equal(workspace_make(state), 0);
        make_home(*state);
        write_file(*state, attacks[i].edits);
        refused(try_open(*state, STORE_READ), ERROR_UNTRUSTED, attacks[i].words);
        refused(try_open(*state, STORE_WRITE), ERROR_UNTRUSTED, "restore site.db from a backup");
        assert_int_equal(workspace_remove(state), 0);
    }
}

/* A daemon that is at work has passed the check, and the last event is what the next is built on. */
static void test_chain_start_wiped_under_a_daemon_is_refused(void **state)
{
    static const char *const edits[] = {WIPE, RENAME, NULL};
    make_home(*state);
    struct opened opened = open_home(*state);
    write_file(*state, edits);
    refused(store_event_add(opened.store, EVENT_PEER_UP, NULL, NULL, 0, NOW, "", NULL), ERROR_UNTRUSTED,
            "has no hash");
    opened_close(&opened);
}

static void test_chain_start_missing_is_made_from_the_signed_first_event(void **state)
{
    make_home(*state);
    forget_start(*state);
    must(try_open(*state, STORE_READ));
    assert_false(workspace_has(*state, START));
    must(try_open(*state, STORE_WRITE));
    assert_true(workspace_has(*state, START));
}

static void test_chain_start_missing_with_wiped_hashes_is_refused(void **state)
{
    static const char *const edits[] = {WIPE, NULL};
    make_home(*state);
    write_file(*state, edits);
    forget_start(*state);
    refused(try_open(*state, STORE_READ), ERROR_UNTRUSTED, "restore both from a backup");
    refused(try_open(*state, STORE_WRITE), ERROR_UNTRUSTED, "restore both from a backup");
    assert_false(workspace_has(*state, START));
}

/* The first hashes wiped alone: the event behind them is signed, and no statement. */
static void test_chain_start_missing_with_some_hashes_wiped_is_refused(void **state)
{
    static const char *const edits[] = {"UPDATE event SET hash = NULL, signature = NULL WHERE id < 4", NULL};
    make_home(*state);
    write_file(*state, edits);
    forget_start(*state);
    refused(try_open(*state, STORE_WRITE), ERROR_UNTRUSTED, "none that a chain begins with");
    assert_false(workspace_has(*state, START));
}

static void write_start(const struct workspace *workspace, const struct identity *identity, uint64_t events,
                        uint8_t first_byte)
{
    char path[160];
    struct chain_head beginning = {.site = *identity_id(identity), .sequence = events};
    uint8_t bytes[CHAIN_BEGINNING_BYTES];
    must(chain_start(&beginning.site, &beginning.hash));
    beginning.hash.bytes[0] ^= first_byte;
    must(chain_beginning_sign(identity, &beginning, bytes));
    workspace_write(workspace_file(workspace, START, path), bytes, sizeof(bytes));
}

static void test_chain_start_of_another_site_or_prefix_is_refused(void **state)
{
    const struct workspace *workspace = *state;
    char keys[160], path[160];
    struct identity *other = NULL;
    make_home(workspace);
    struct opened opened = open_home(workspace);
    must(identity_create(workspace_file(workspace, "other", keys), "site", &other));
    write_start(workspace, other, 0, 0);
    refused(try_open(workspace, STORE_WRITE), ERROR_UNTRUSTED, "is not this site's");
    write_start(workspace, opened.identity, 0, 1);
    refused(try_open(workspace, STORE_WRITE), ERROR_UNTRUSTED, "The events before event 1");
    write_start(workspace, opened.identity, 2, 0);
    refused(try_open(workspace, STORE_WRITE), ERROR_UNTRUSTED, "The events before event 3");
    workspace_write(workspace_file(workspace, START, path), "", 0);
    refused(try_open(workspace, STORE_WRITE), ERROR_UNTRUSTED, "is not this site's");
    write_start(workspace, opened.identity, 0, 0);
    must(try_open(workspace, STORE_WRITE));
    identity_free(other);
    opened_close(&opened);
}

static void test_chain_start_with_any_bit_changed_is_refused(void **state)
{
    const struct workspace *workspace = *state;
    struct chain_head beginning = {.site = *identity_id(workspace->identity), .sequence = 3}, read;
    uint8_t bytes[CHAIN_BEGINNING_BYTES], key[PUBLIC_KEY_BYTES];
    identity_public_key(workspace->identity, key);
    must(chain_beginning_sign(workspace->identity, &beginning, bytes));
    must(chain_beginning_read(key, bytes, sizeof(bytes), &read));
    assert_int_equal(read.sequence, 3);
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(chain_beginning_read(key, bytes, sizeof(bytes), &read), ERROR_UNTRUSTED, "chain's beginning");
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    refused(chain_beginning_read(key, bytes, sizeof(bytes) - 1, &read), ERROR_UNTRUSTED, "wrong length");
}

static void test_chain_start_takes_over_a_home_of_version_1_once(void **state)
{
    make_old_home(*state);
    must(try_open(*state, STORE_READ));
    assert_false(workspace_has(*state, START));
    struct opened opened = open_home(*state);
    assert_true(workspace_has(*state, START));
    struct auditor_findings findings = audit(&opened);
    assert_int_equal(findings.events, 4);
    assert_int_equal(findings.unsigned_events, 3);
    add(opened.store, EVENT_PEER_UP);
    opened_close(&opened);
    opened = open_home(*state);
    findings = audit(&opened);
    assert_int_equal(findings.events, 5);
    assert_int_equal(findings.unsigned_events, 3);
    opened_close(&opened);
}

/* Killed behind the event, before the file. */
static void test_chain_start_that_was_interrupted_is_finished(void **state)
{
    make_old_home(*state);
    must(try_open(*state, STORE_WRITE));
    forget_start(*state);
    struct opened opened = open_home(*state);
    assert_true(workspace_has(*state, START));
    assert_int_equal(audit(&opened).events, 4);
    opened_close(&opened);
}

static void test_chain_start_of_a_home_of_version_1_cannot_be_had_again(void **state)
{
    static const struct {
        const char *edits[5];
        const char *words;
    } attacks[] = {
        {{WIPE}, "Event 4 was edited"},
        {{WIPE, "DELETE FROM event WHERE id >= 3", RECOUNT}, "Event 4 was edited"},
        {{"UPDATE event SET detail = 'other' WHERE id = 2"}, "The events before event 4"},
        {{"DELETE FROM event WHERE id = 2"}, "The events before event 4"},
        {{"DELETE FROM event WHERE id = 4"}, "Event 4 was edited"},
        {{"UPDATE event SET kind = 'peer-up' WHERE id = 4"}, "Event 4 was edited"},
        {{"UPDATE event SET digest = NULL WHERE id = 4"}, "Event 4 was edited"},
    };
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        assert_int_equal(workspace_make(state), 0);
        make_old_home(*state);
        struct opened opened = open_home(*state);
        add(opened.store, EVENT_PEER_UP);
        opened_close(&opened);
        write_file(*state, attacks[i].edits);
        refused(try_open(*state, STORE_READ), ERROR_UNTRUSTED, attacks[i].words);
        refused(try_open(*state, STORE_WRITE), ERROR_UNTRUSTED, attacks[i].words);
        assert_int_equal(workspace_remove(state), 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, workspace_make, workspace_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_chain_start_of_a_new_home_states_no_unsigned_events),
        cmocka_unit_test(test_chain_start_wiped_hashes_are_refused),
        CASE(test_chain_start_wiped_under_a_daemon_is_refused),
        CASE(test_chain_start_missing_is_made_from_the_signed_first_event),
        CASE(test_chain_start_missing_with_wiped_hashes_is_refused),
        CASE(test_chain_start_missing_with_some_hashes_wiped_is_refused),
        CASE(test_chain_start_of_another_site_or_prefix_is_refused),
        CASE(test_chain_start_with_any_bit_changed_is_refused),
        CASE(test_chain_start_takes_over_a_home_of_version_1_once),
        CASE(test_chain_start_that_was_interrupted_is_finished),
        cmocka_unit_test(test_chain_start_of_a_home_of_version_1_cannot_be_had_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
