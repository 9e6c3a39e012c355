/* The record of an encrypted site's key, edited by somebody who has site.db and neither the key nor the site's: no row is
 * stored in clear, or for them. */
#include "datasite/auditor.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/workspace.h"

struct vaulted {
    struct workspace *workspace;
    struct vault_secret secret;
    struct vault *vault;
    struct vault_record record;
    struct store *store;
};

/* A new site and a vault that it may have. */
static struct vaulted vaulted_start(void **state)
{
    struct vaulted site = {.workspace = *state, .record = {.source = VAULT_FROM_STDIN, .made_at = 5}};
    must(vault_secret_new(&site.secret));
    must(vault_create(&site.vault));
    must(vault_wrap(site.vault, &site.secret, site.record.wrapped));
    site.store = workspace_store(site.workspace);
    store_unlock(site.store, site.vault);
    return site;
}

static struct vaulted vaulted_made(void **state)
{
    struct vaulted site = vaulted_start(state);
    must(store_vault_add(site.store, &site.record));
    return site;
}

static void vaulted_end(struct vaulted *site)
{
    store_close(site->store);
    vault_free(site->vault);
}

static struct error *import_more(struct vaulted *site)
{
    struct import_request request = workspace_request("more");
    struct dataset_info info;
    return import_idx(site->store, &request, site->workspace->images, site->workspace->labels, &info);
}

static struct error *find(struct vaulted *site)
{
    struct vault_record record;
    bool found = false;
    return store_vault_find(site->store, &record, &found);
}

static struct error *audit(struct vaulted *site)
{
    struct auditor auditor = {.store = site->store, .identity = site->workspace->identity};
    return auditor_check_vault(&auditor);
}

static void test_vault_record_untouched_is_found(void **state)
{
    struct vaulted site = vaulted_made(state);
    must(find(&site));
    must(audit(&site));
    must(import_more(&site));
    must(store_rekey(site.store, site.vault, &site.record, 7));
    must(find(&site));
    must(audit(&site));
    vaulted_end(&site);
}

/* Without the record a store would write in clear: it writes nothing, whether or not it has the key. */
static void test_vault_record_removed_is_noticed_before_rows_are_stored(void **state)
{
    struct vaulted site = vaulted_made(state);
    must(database_run(site.store->database, "DELETE FROM vault"));
    for (int i = 0; i < 2; i++) {
        refused(import_more(&site), ERROR_UNTRUSTED, "record of their key is gone");
        refused(find(&site), ERROR_UNTRUSTED, "from a backup");
        refused(audit(&site), ERROR_UNTRUSTED, "gone");
        refused(store_vault_add(site.store, &site.record), ERROR_UNTRUSTED, "gone");
        store_unlock(site.store, NULL);
    }
    assert_int_equal(workspace_datasets(site.store), 0);
    vaulted_end(&site);
}

/* The record of a key of theirs, or another place to look for the key. */
static void test_vault_record_exchanged_is_noticed_before_rows_are_stored(void **state)
{
    static const char *const edits[] = {
        "UPDATE vault SET source = 'file', key_path = '/their.key'",
        "UPDATE vault SET source = 'passphrase'",
        "UPDATE vault SET wrapped = zeroblob(length(wrapped))",
    };
    struct vaulted site = vaulted_made(state);
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        must(database_run(site.store->database, edits[i]));
        refused(find(&site), ERROR_UNTRUSTED, "is not the one that event");
        refused(audit(&site), ERROR_UNTRUSTED, "is not the one that event");
        refused(import_more(&site), ERROR_UNTRUSTED, "from a backup");
        must(store_vault_put(site.store, &site.record));
        must(find(&site));
    }
    assert_int_equal(workspace_datasets(site.store), 0);
    vaulted_end(&site);
}

static void test_vault_record_of_before_the_rekey_is_noticed(void **state)
{
    struct vaulted site = vaulted_made(state);
    struct vault_record next = site.record;
    must(vault_wrap(site.vault, &site.secret, next.wrapped)); /* wrapped anew */
    must(store_rekey(site.store, site.vault, &next, 7));
    must(find(&site));
    must(store_vault_put(site.store, &site.record));
    refused(find(&site), ERROR_UNTRUSTED, "is not the one that event");
    vaulted_end(&site);
}

static void test_vault_record_added_to_a_site_in_clear_is_noticed(void **state)
{
    struct vaulted site = vaulted_start(state);
    must(audit(&site));
    must(store_vault_put(site.store, &site.record));
    refused(import_more(&site), ERROR_UNTRUSTED, "no event says");
    refused(audit(&site), ERROR_UNTRUSTED, "no event says");
    vaulted_end(&site);
}

#define WORKSPACE_TEST(function) cmocka_unit_test_setup_teardown(function, workspace_make, workspace_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORKSPACE_TEST(test_vault_record_untouched_is_found),
        WORKSPACE_TEST(test_vault_record_removed_is_noticed_before_rows_are_stored),
        WORKSPACE_TEST(test_vault_record_exchanged_is_noticed_before_rows_are_stored),
        WORKSPACE_TEST(test_vault_record_of_before_the_rekey_is_noticed),
        WORKSPACE_TEST(test_vault_record_added_to_a_site_in_clear_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
