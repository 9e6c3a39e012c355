/* site.db as a file, its events, and whom the site trusts. */
#include "datasite/store_internal.h"
#include "tests/unit/datasite/workspace.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static struct site_id id_of(uint8_t first)
{
    return (struct site_id){{{first}}};
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

static void test_store_open_newer_version_refuses(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    must(database_run(store->database, "PRAGMA user_version = 99"));
    store_close(store);
    store = NULL;
    refused(store_open(workspace->database, STORE_WRITE, &store), ERROR_UNSUPPORTED, "version 99");
    assert_null(store);
}

static void test_store_open_damaged_file_refuses(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = NULL;
    workspace_write(workspace->database, "this is not a database, but a letter", 36);
    refused(store_open(workspace->database, STORE_WRITE, &store), ERROR_CORRUPT, "site.db");
}

static void test_store_open_missing_file_is_not_made(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = NULL;
    refused(store_open(workspace->database, STORE_WRITE, &store), ERROR_NOT_FOUND, "site.db");
    assert_false(workspace_has(workspace, "site.db"));
}

static void test_store_version_changes_with_another_connection(void **state)
{
    const struct workspace *workspace = *state;
    struct store *one = workspace_store(workspace), *two = workspace_store(workspace);
    uint64_t before = 0, after = 0;
    const struct site_id id = id_of(1);
    must(store_version(one, &before));
    must(store_peer_add(two, &id, "researcher", "invitation", 5));
    must(store_version(one, &after));
    assert_true(before != after);
    store_close(one);
    store_close(two);
}

static void test_store_event_cannot_be_changed_or_removed(void **state)
{
    struct store *store = workspace_store(*state);
    must(store_event_add(store, EVENT_SERVE_STARTED, NULL, NULL, 0, 5, "started", NULL));
    refused(database_run(store->database, "UPDATE event SET detail = 'nothing'"), ERROR_CONFLICT,
            "never changed");
    refused(database_run(store->database, "DELETE FROM event"), ERROR_CONFLICT, "never removed");
    assert_int_equal(number(store, "SELECT count(*) FROM event WHERE detail = 'started'"), 1);
    store_close(store);
}

static void test_store_import_and_removal_leave_events(void **state)
{
    struct store *store = workspace_store(*state);
    struct import_request request = workspace_request("mnist");
    (void)workspace_import(store, *state, &request);
    must(store_dataset_remove(store, "mnist"));
    assert_int_equal(number(store, "SELECT count(*) FROM event WHERE kind = 'dataset-imported'"), 1);
    assert_int_equal(number(store, "SELECT count(*) FROM event WHERE kind = 'dataset-removed'"), 1);
    assert_int_equal(number(store, "SELECT count(*) FROM dataset_class"), 0);
    assert_int_equal(number(store, "SELECT count(*) FROM chunk"), 0);
    store_close(store);
}

static void test_store_dataset_remove_unknown_refuses(void **state)
{
    struct store *store = workspace_store(*state);
    refused(store_dataset_remove(store, "mnist"), ERROR_NOT_FOUND, "none yet");
    store_close(store);
}

static void test_store_peer_add_is_listed_and_removed(void **state)
{
    struct store *store = workspace_store(*state);
    const struct site_id id = id_of(1);
    struct peer *peers = NULL;
    size_t count = 0;
    must(store_peer_add(store, &id, "researcher", "invitation", 5));
    must(store_peer_list(store, &peers, &count));
    assert_int_equal(count, 1);
    assert_true(site_id_equal(&peers[0].id, &id));
    assert_string_equal(peers[0].name, "researcher");
    assert_string_equal(peers[0].added_by, "invitation");
    free(peers);
    must(store_peer_remove(store, &id, 6));
    must(store_peer_list(store, &peers, &count));
    assert_int_equal(count, 0);
    free(peers);
    store_close(store);
}

static void test_store_peer_add_same_key_again_is_one_peer(void **state)
{
    struct store *store = workspace_store(*state);
    const struct site_id id = id_of(1);
    must(store_peer_add(store, &id, "researcher", "invitation", 5));
    must(store_peer_add(store, &id, "new name", "invitation", 6));
    assert_int_equal(number(store, "SELECT count(*) FROM peer WHERE name = 'new name'"), 1);
    assert_int_equal(number(store, "SELECT count(*) FROM peer"), 1);
    store_close(store);
}

static void test_store_peer_add_changed_key_refuses(void **state)
{
    struct store *store = workspace_store(*state);
    const struct site_id id = id_of(1), other = id_of(2);
    must(store_peer_add(store, &id, "researcher", "invitation", 5));
    refused(store_peer_add(store, &other, "researcher", "invitation", 6), ERROR_CONFLICT,
            "trust remove sha256:01000000");
    assert_int_equal(number(store, "SELECT count(*) FROM peer"), 1);
    assert_int_equal(number(store, "SELECT count(*) FROM event"), 1);
    store_close(store);
}

static void test_store_peer_remove_unknown_refuses(void **state)
{
    struct store *store = workspace_store(*state);
    const struct site_id id = id_of(1);
    refused(store_peer_remove(store, &id, 5), ERROR_NOT_FOUND, "trust list");
    assert_int_equal(number(store, "SELECT count(*) FROM event"), 0);
    store_close(store);
}

/* A mount in a namespace of this process alone, which ends with it whatever happens. */
static bool mount_small_disk(const char *path)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", path, "tmpfs", 0, "size=1m") == 0;
}

/* A real file system without room, where a test may mount one. */
static void test_store_full_disk_leaves_nothing(void **state)
{
    const struct workspace *workspace = *state;
    char disk[160], database[160];
    struct store *store = NULL;
    struct dataset_info info;
    struct import_request request = workspace_request("mnist");
    assert_int_equal(mkdir(workspace_file(workspace, "disk", disk), 0700), 0);
    if (!mount_small_disk(disk))
        skip();
    (void)workspace_file(workspace, "disk/site.db", database);
    struct error *opened = store_open(database, STORE_CREATE, &store);
    if (opened == NULL)
        store_sign_with(store, workspace->identity);
    struct error *imported =
        opened != NULL ? NULL : import_idx(store, &request, workspace->images, workspace->labels, &info);
    store_close(store);
    store = NULL;
    struct error *reopened = store_open(database, STORE_WRITE, &store);
    size_t datasets = reopened == NULL ? workspace_datasets(store) : 1;
    store_close(store);
    assert_int_equal(umount2(disk, MNT_DETACH), 0);
    must(opened);
    must(reopened);
    assert_int_equal(datasets, 0);
    refused(imported, ERROR_IO, "site.db");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, workspace_make, workspace_remove)
    const struct CMUnitTest tests[] = {
        CASE(test_store_open_newer_version_refuses),
        CASE(test_store_open_damaged_file_refuses),
        CASE(test_store_open_missing_file_is_not_made),
        CASE(test_store_version_changes_with_another_connection),
        CASE(test_store_event_cannot_be_changed_or_removed),
        CASE(test_store_import_and_removal_leave_events),
        CASE(test_store_dataset_remove_unknown_refuses),
        CASE(test_store_peer_add_is_listed_and_removed),
        CASE(test_store_peer_add_same_key_again_is_one_peer),
        CASE(test_store_peer_add_changed_key_refuses),
        CASE(test_store_peer_remove_unknown_refuses),
        CASE(test_store_full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
