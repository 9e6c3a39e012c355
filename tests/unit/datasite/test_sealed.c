/* Rows at rest: what the file shows, what does not open, and what a new key changes. */
#include "crypto/secret.h"
#include "datasite/dataset.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/workspace.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS 24
#define KILL_STEP_US 3000

/* ---- a site ---- */

struct sealed_site {
    const struct workspace *workspace;
    struct vault_secret secret; /* of all its vaults */
    struct vault *vault;
    struct store *store;
};

static struct vault_record record_of(struct sealed_site *site, struct vault *vault)
{
    struct vault_record record = {.source = VAULT_FROM_STDIN, .made_at = 5};
    must(vault_wrap(vault, &site->secret, record.wrapped));
    return record;
}

static struct sealed_site site_in_clear(void **state)
{
    struct sealed_site site = {.workspace = *state};
    must(vault_secret_new(&site.secret));
    site.store = workspace_store(site.workspace);
    return site;
}

static struct sealed_site site_sealed(void **state)
{
    struct sealed_site site = site_in_clear(state);
    must(vault_create(&site.vault));
    struct vault_record record = record_of(&site, site.vault);
    must(store_vault_add(site.store, &record));
    store_unlock(site.store, site.vault);
    return site;
}

static void site_end(struct sealed_site *site)
{
    store_close(site->store);
    vault_free(site->vault);
}

/* Opens the file again, with whatever its record says. */
static void site_reopen(struct sealed_site *site)
{
    struct vault_record record;
    bool found = false;
    site_end(site);
    site->vault = NULL;
    site->store = workspace_store(site->workspace);
    must(store_vault_find(site->store, &record, &found));
    if (found)
        must(vault_unwrap(record.wrapped, sizeof(record.wrapped), &site->secret, &site->vault));
    store_unlock(site->store, site->vault);
}

static struct dataset_info site_import(struct sealed_site *site, const char *name)
{
    struct import_request request = workspace_request(name);
    return workspace_import(site->store, site->workspace, &request);
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

static bool file_has(const struct workspace *workspace, const char *name, const void *bytes, size_t count)
{
    char path[160];
    FILE *file = fopen(workspace_file(workspace, name, path), "rb");
    if (file == NULL)
        return false;
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    uint8_t *data = malloc(size + 1);
    assert_non_null(data);
    rewind(file);
    assert_int_equal(fread(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    bool has = memmem(data, size, bytes, count) != NULL;
    free(data);
    return has;
}

/* Whether any of the files shows 32 pixels of the middle of some digit, or the hashes of some rows. */
static bool files_show(const struct workspace *workspace, const struct dataset *dataset)
{
    static const char *const names[] = {"site.db", "site.db-wal", "site.db-journal"};
    bool shown = false;
    for (uint64_t row = 0; row < dataset->info.rows; row += 500) {
        const uint8_t *pixels = dataset->bytes + row * dataset->info.features + 14 * 28;
        for (size_t i = 0; i < 3; i++)
            shown = shown || file_has(workspace, names[i], pixels, 32) ||
                    file_has(workspace, names[i], dataset->split + row, 2 * sizeof(uint64_t));
    }
    return shown;
}

/* ---- what is in the file ---- */

static void test_sealed_import_leaves_no_row_in_the_files(void **state)
{
    struct sealed_site site = site_sealed(state);
    struct dataset *dataset = NULL;
    assert_true(site_import(&site, "mnist").sealed);
    must(dataset_load(site.store, "mnist", &dataset));
    assert_false(files_show(site.workspace, dataset));
    must(store_wipe_log(site.store)); /* from the log into the file */
    assert_false(files_show(site.workspace, dataset));
    dataset_free(dataset);
    site_end(&site);
}

static void test_sealed_load_gives_the_same_as_in_clear(void **state)
{
    struct sealed_site site = site_in_clear(state);
    struct dataset *plain = NULL, *opened = NULL;
    (void)site_import(&site, "mnist");
    must(dataset_load(site.store, "mnist", &plain));
    assert_true(files_show(site.workspace, plain)); /* or the test above could not fail */
    must(store_dataset_remove(site.store, "mnist"));
    must(vault_create(&site.vault));
    struct vault_record record = record_of(&site, site.vault);
    must(store_vault_add(site.store, &record));
    site_reopen(&site);
    (void)site_import(&site, "mnist");
    must(dataset_load(site.store, "mnist", &opened));
    assert_true(digest_equal(&plain->info.digest, &opened->info.digest));
    assert_memory_equal(plain->bytes, opened->bytes, plain->info.rows * plain->info.features);
    assert_memory_equal(plain->labels, opened->labels, plain->info.rows * sizeof(uint16_t));
    assert_memory_equal(plain->split, opened->split, plain->info.rows * sizeof(uint64_t));
    dataset_free(plain);
    dataset_free(opened);
    site_end(&site);
}

static void test_sealed_same_rows_twice_look_different(void **state)
{
    struct sealed_site site = site_sealed(state);
    struct dataset_info one = site_import(&site, "one"), two = site_import(&site, "two");
    assert_memory_not_equal(one.salt, two.salt, sizeof(one.salt));
    assert_int_equal(number(site.store, "SELECT count(DISTINCT data) FROM chunk"), 16);
    assert_int_equal(number(site.store, "SELECT count(DISTINCT labels) FROM chunk"), 16);
    site_end(&site);
}

/* ---- stores that may not ---- */

static void test_sealed_store_without_the_key_refuses(void **state)
{
    struct sealed_site site = site_sealed(state);
    struct import_request request = workspace_request("more");
    struct dataset_info info = site_import(&site, "mnist");
    struct dataset *dataset = NULL;
    store_unlock(site.store, NULL);
    refused(dataset_load(site.store, "mnist", &dataset), ERROR_UNTRUSTED, "key was not opened");
    refused(import_idx(site.store, &request, site.workspace->images, site.workspace->labels, &info),
            ERROR_UNTRUSTED, "key was not opened");
    assert_null(dataset);
    assert_int_equal(workspace_datasets(site.store), 1);
    site_end(&site);
}

static void test_sealed_store_with_another_vault_refuses(void **state)
{
    struct sealed_site site = site_sealed(state);
    struct vault *other = NULL;
    struct dataset *dataset = NULL;
    (void)site_import(&site, "mnist");
    must(vault_create(&other));
    struct vault_record record = record_of(&site, other);
    store_unlock(site.store, other);
    refused(dataset_load(site.store, "mnist", &dataset), ERROR_CONFLICT, "another key");
    /* And where somebody put the record of a vault of their own: */
    must(store_vault_put(site.store, &record));
    refused(dataset_load(site.store, "mnist", &dataset), ERROR_UNTRUSTED, "is not the one that event");
    /* And where the site itself signed that: */
    must(store_vault_event(site.store, EVENT_DATA_REKEYED, &record, 5, "another"));
    refused(dataset_load(site.store, "mnist", &dataset), ERROR_CORRUPT, "does not open");
    assert_null(dataset);
    site_end(&site);
    vault_free(other);
}

static void test_sealed_vault_add_twice_or_over_data_refuses(void **state)
{
    struct sealed_site site = site_in_clear(state);
    must(vault_create(&site.vault));
    struct vault_record record = record_of(&site, site.vault);
    (void)site_import(&site, "mnist");
    refused(store_vault_add(site.store, &record), ERROR_CONFLICT, "holds data");
    must(store_dataset_remove(site.store, "mnist"));
    must(store_vault_add(site.store, &record));
    refused(store_vault_add(site.store, &record), ERROR_CONFLICT, "is encrypted");
    site_end(&site);
}

/* ---- edited files ---- */

/* One bit of a blob of the second chunk. */
static void flip_bit(struct store *store, const char *select, const char *update, size_t byte)
{
    struct query query;
    size_t bytes = 0;
    query_start(&query, store->database, select);
    assert_true(query_step(&query));
    const uint8_t *found = query_blob(&query, 0, &bytes);
    uint8_t *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, found, bytes);
    must(query_end(&query));
    copy[byte % bytes] ^= 1;
    query_start(&query, store->database, update);
    query_bind_blob(&query, copy, bytes);
    must(query_finish(&query));
    free(copy);
}

static void test_sealed_any_blob_with_a_changed_bit_stays_shut(void **state)
{
    static const char *const edits[][2] = {
        {"SELECT data FROM chunk WHERE position = 1", "UPDATE chunk SET data = ?1 WHERE position = 1"},
        {"SELECT labels FROM chunk WHERE position = 1", "UPDATE chunk SET labels = ?1 WHERE position = 1"},
        {"SELECT split FROM chunk WHERE position = 1", "UPDATE chunk SET split = ?1 WHERE position = 1"},
        {"SELECT salt FROM dataset", "UPDATE dataset SET salt = ?1"},
    };
    struct sealed_site site = site_sealed(state);
    struct dataset *dataset = NULL;
    (void)site_import(&site, "mnist");
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        for (size_t byte = 0; byte < 2; byte++) { /* the first one, and the last of the tag */
            flip_bit(site.store, edits[i][0], edits[i][1], byte == 0 ? 0 : SIZE_MAX);
            refused(dataset_load(site.store, "mnist", &dataset), ERROR_CORRUPT,
                    "does not open with this site's key");
            flip_bit(site.store, edits[i][0], edits[i][1], byte == 0 ? 0 : SIZE_MAX);
        }
    }
    assert_null(dataset);
    must(dataset_load(site.store, "mnist", &dataset));
    dataset_free(dataset);
    site_end(&site);
}

struct edit {
    const char *sql;
    enum error_code code;
    const char *words;
};

static void test_sealed_moved_and_missing_pieces_stay_shut(void **state)
{
    static const struct edit edits[] = {
        {"UPDATE chunk SET data = (SELECT c.data FROM chunk c WHERE c.dataset_id = chunk.dataset_id AND "
         "c.position = "
         "1 - chunk.position) WHERE dataset_id = 1 AND position < 2",
         ERROR_CORRUPT, "Chunk 0"},
        {"UPDATE chunk SET labels = (SELECT c.labels FROM chunk c WHERE c.dataset_id = 1 AND c.position = 2) "
         "WHERE "
         "dataset_id = 1 AND position = 3",
         ERROR_CORRUPT, "Chunk 3"},
        {"UPDATE chunk SET split = (SELECT c.split FROM chunk c WHERE c.dataset_id = 2 AND c.position = 3) "
         "WHERE "
         "dataset_id = 1 AND position = 3",
         ERROR_CORRUPT, "Chunk 3"},
        {"UPDATE chunk SET data = substr(data, 1, length(data) - 1) WHERE dataset_id = 1 AND position = 7",
         ERROR_CORRUPT, "wrong size"},
        {"UPDATE chunk SET data = zeroblob(0) WHERE dataset_id = 1 AND position = 4", ERROR_CORRUPT,
         "wrong size"},
        {"DELETE FROM chunk WHERE dataset_id = 1 AND position = 7", ERROR_CORRUPT, "Chunk 7"},
        {"UPDATE dataset SET features = features - 1 WHERE id = 1", ERROR_CORRUPT, "wrong size"},
        {"UPDATE dataset SET salt = NULL WHERE id = 1", ERROR_UNTRUSTED, "in clear"},
        {"DELETE FROM vault", ERROR_UNTRUSTED, "record of their key is gone"},
    };
    struct sealed_site site = site_sealed(state);
    (void)site_import(&site, "mnist");
    (void)site_import(&site, "other");
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct dataset *dataset = NULL;
        must(database_begin(site.store->database));
        must(database_run(site.store->database, edits[i].sql));
        must(database_commit(site.store->database));
        refused(dataset_load(site.store, "mnist", &dataset), edits[i].code, edits[i].words);
        assert_null(dataset);
        /* As it was: */
        store_close(site.store);
        assert_int_equal(unlink(site.workspace->database), 0);
        vault_free(site.vault);
        site = site_sealed(state);
        (void)site_import(&site, "mnist");
        (void)site_import(&site, "other");
    }
    site_end(&site);
}

/* Without the record of the key, sealed rows are no rows. */
/* ---- a new key ---- */

static void rekey(struct sealed_site *site)
{
    struct vault *next = NULL;
    must(vault_create(&next));
    struct vault_record record = record_of(site, next);
    must(store_rekey(site->store, next, &record, 7));
    vault_free(site->vault);
    site->vault = next;
}

static void test_rekey_changes_every_chunk_and_no_digest(void **state)
{
    struct sealed_site site = site_sealed(state);
    struct dataset_info mnist = site_import(&site, "mnist"), other = site_import(&site, "other"), after;
    struct dataset *dataset = NULL;
    must(database_run(site.store->database, "CREATE TABLE was AS SELECT data, labels, split FROM chunk"));
    rekey(&site);
    assert_int_equal(number(site.store,
                            "SELECT count(*) FROM chunk JOIN was ON chunk.data = was.data OR chunk.labels = "
                            "was.labels OR chunk.split = was.split"),
                     0);
    must(store_dataset_find(site.store, "mnist", &after));
    assert_memory_not_equal(after.salt, mnist.salt, sizeof(after.salt));
    assert_true(digest_equal(&after.digest, &mnist.digest));
    site_reopen(&site);
    must(dataset_load(site.store, "mnist", &dataset));
    dataset_free(dataset);
    must(dataset_load(site.store, "other", &dataset));
    assert_true(digest_equal(&dataset->info.digest, &other.digest));
    dataset_free(dataset);
    assert_int_equal(number(site.store, "SELECT count(*) FROM event WHERE kind = 'data-rekeyed'"), 1);
    site_end(&site);
}

static void test_rekey_of_a_site_in_clear_wipes_its_rows(void **state)
{
    struct sealed_site site = site_in_clear(state);
    struct dataset *dataset = NULL;
    (void)site_import(&site, "mnist");
    must(dataset_load(site.store, "mnist", &dataset));
    assert_true(files_show(site.workspace, dataset));
    rekey(&site);
    must(store_wipe_log(site.store));
    assert_false(files_show(site.workspace, dataset));
    dataset_free(dataset);
    site_reopen(&site);
    must(dataset_load(site.store, "mnist", &dataset));
    dataset_free(dataset);
    site_end(&site);
}

/* It must neither lose the old key nor keep a part of the new one. */
static void test_rekey_that_fails_leaves_everything_as_it_was(void **state)
{
    static const char *const obstacles[] = {
        ("CREATE TRIGGER obstacle BEFORE UPDATE ON chunk WHEN NEW.position = 5 BEGIN SELECT RAISE(ABORT, "
         "'no'); END"),
        "CREATE TRIGGER obstacle BEFORE UPDATE ON dataset BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER obstacle BEFORE UPDATE ON vault BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER obstacle BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no'); END",
    };
    struct sealed_site site = site_sealed(state);
    (void)site_import(&site, "mnist");
    for (size_t i = 0; i < sizeof(obstacles) / sizeof(obstacles[0]); i++) {
        struct vault *next = NULL;
        struct dataset *dataset = NULL;
        must(database_run(site.store->database, obstacles[i]));
        must(vault_create(&next));
        struct vault_record record = record_of(&site, next);
        refused(store_rekey(site.store, next, &record, 7), ERROR_CONFLICT, "no");
        vault_free(next);
        must(dataset_load(site.store, "mnist", &dataset)); /* the store has the old key */
        dataset_free(dataset);
        site_reopen(&site); /* and so has the file */
        must(dataset_load(site.store, "mnist", &dataset));
        dataset_free(dataset);
        must(database_run(site.store->database, "DROP TRIGGER obstacle"));
    }
    assert_int_equal(number(site.store, "SELECT count(*) FROM event WHERE kind = 'data-rekeyed'"), 0);
    site_end(&site);
}

static void test_rekey_of_rows_that_do_not_open_changes_nothing(void **state)
{
    struct sealed_site site = site_sealed(state);
    struct vault *next = NULL;
    (void)site_import(&site, "mnist");
    flip_bit(site.store, "SELECT data FROM chunk WHERE position = 1",
             "UPDATE chunk SET data = ?1 WHERE position = 1", 9);
    must(vault_create(&next));
    struct vault_record record = record_of(&site, next);
    refused(store_rekey(site.store, next, &record, 7), ERROR_UNTRUSTED, "nothing was changed");
    assert_int_equal(number(site.store, "SELECT count(*) FROM event WHERE kind = 'data-rekeyed'"), 0);
    vault_free(next);
    site_end(&site);
}

/* A program that is killed at any moment leaves a site that opens with the secret it has, and all rows. */
static void test_rekey_killed_at_any_moment_leaves_the_old_or_the_new(void **state)
{
    struct sealed_site site = site_sealed(state);
    struct digest digest = site_import(&site, "mnist").digest;
    for (useconds_t i = 0; i < KILLS; i++) {
        store_close(site.store);
        site.store = NULL;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            site.store = workspace_store(site.workspace);
            store_unlock(site.store, site.vault);
            for (;;)
                rekey(&site);
        }
        (void)usleep(i * KILL_STEP_US);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        struct dataset *dataset = NULL;
        site_reopen(&site);
        must(dataset_load(site.store, "mnist", &dataset));
        assert_true(digest_equal(&dataset->info.digest, &digest));
        dataset_free(dataset);
    }
    site_end(&site);
}

#define WORKSPACE_TEST(function) cmocka_unit_test_setup_teardown(function, workspace_make, workspace_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORKSPACE_TEST(test_sealed_import_leaves_no_row_in_the_files),
        WORKSPACE_TEST(test_sealed_load_gives_the_same_as_in_clear),
        WORKSPACE_TEST(test_sealed_same_rows_twice_look_different),
        WORKSPACE_TEST(test_sealed_store_without_the_key_refuses),
        WORKSPACE_TEST(test_sealed_store_with_another_vault_refuses),
        WORKSPACE_TEST(test_sealed_vault_add_twice_or_over_data_refuses),
        WORKSPACE_TEST(test_sealed_any_blob_with_a_changed_bit_stays_shut),
        WORKSPACE_TEST(test_sealed_moved_and_missing_pieces_stay_shut),
        WORKSPACE_TEST(test_rekey_changes_every_chunk_and_no_digest),
        WORKSPACE_TEST(test_rekey_of_a_site_in_clear_wipes_its_rows),
        WORKSPACE_TEST(test_rekey_that_fails_leaves_everything_as_it_was),
        WORKSPACE_TEST(test_rekey_of_rows_that_do_not_open_changes_nothing),
        WORKSPACE_TEST(test_rekey_killed_at_any_moment_leaves_the_old_or_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
