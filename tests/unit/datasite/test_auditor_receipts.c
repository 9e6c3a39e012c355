/* Receipts that others hold against a site.db that was rolled back, and what the auditor says of them. */
#include "audit/receipt_folder.h"
#include "datasite/auditor.h"
#include "schemas/files.h"
#include "tests/unit/datasite/site.h"

/* ---- a site with a story ---- */

/* A job of three rounds, approved; two rounds are done. */
static int story_make(void **state)
{
    if (site_make(state) != 0)
        return -1;
    struct site *site = *state;
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 1);
    site_expect_type(site_train(site, 1, 0.0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    site_expect_type(site_evaluate(site, 1, 0.0), FDS__MESSAGE_TYPE__MESSAGE_EVALUATION);
    site_expect_type(site_train(site, 2, 0.1), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    return 0;
}

static struct auditor auditor_of(const struct site *site)
{
    return (struct auditor){.store = site->store, .identity = site->identity};
}

static struct error *check_receipts(const struct site *site, const char *directory,
                                    struct auditor_findings *findings)
{
    struct auditor auditor = auditor_of(site);
    must(auditor_check_chain(&auditor, findings));
    return auditor_check_receipts(&auditor, directory, findings);
}

static void says(struct error *err, const char *words)
{
    refused(err, ERROR_UNTRUSTED, words);
}

/* ---- receipts that the researcher holds ---- */

static const char *folder_of(const struct site *site, char path[static 160])
{
    must(directory_make(workspace_file(site->workspace, "receipts", path), 0700));
    return path;
}

static void keep(const char *directory, const char *name, struct receipt receipt)
{
    char *path = NULL;
    must(path_join(directory, name, &path));
    must(receipt_file_write(path, &receipt));
    free(path);
}

/* The receipt of the next round, from the site. */
static struct receipt next_receipt(struct site *site, uint32_t round)
{
    return site_receipt(site_train(site, round, 0.1 * round));
}

static void test_auditor_finds_the_receipts_in_the_chain(void **state)
{
    struct site *site = *state;
    char path[160];
    const char *folder = folder_of(site, path);
    struct auditor_findings findings;
    keep(folder, "2.json", site_receipt(site_train(site, 2, 0.1)));
    keep(folder, "3.json", next_receipt(site, 3));
    must(check_receipts(site, folder, &findings));
    assert_int_equal(findings.receipts, 2);
    assert_int_equal(findings.other_receipts, 0);
}

static void copy_file(const char *from, const char *to)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    must(file_read(from, 1u << 28, &bytes, &count));
    must(file_write(to, bytes, count, 0600));
    free(bytes);
}

/* A backup is made, round 3 leaves the site, and the backup is put back. */
static void roll_back(struct site *site, const char *folder)
{
    char backup[160];
    (void)workspace_file(site->workspace, "backup.db", backup);
    site_pause(site);
    copy_file(site->workspace->database, backup);
    site_resume(site);
    keep(folder, "round-3.json", next_receipt(site, 3));
    site_pause(site);
    copy_file(backup, site->workspace->database);
    site_resume(site);
}

static void test_auditor_finds_a_file_that_was_rolled_back(void **state)
{
    struct site *site = *state;
    char path[160];
    const char *folder = folder_of(site, path);
    struct auditor_findings findings;
    roll_back(site, folder);
    struct error *err = check_receipts(site, folder, &findings);
    assert_non_null(err);
    assert_non_null(strstr(err->sentence, "round-3.json proves"));
    assert_non_null(strstr(err->sentence, "round 3"));
    says(err, "rolled back to an earlier state");
}

static void test_auditor_finds_a_file_that_was_rolled_back_and_used_on(void **state)
{
    struct site *site = *state;
    char path[160];
    const char *folder = folder_of(site, path);
    struct auditor_findings findings;
    roll_back(site, folder);
    for (int i = 0; i < 8; i++)
        must(store_event_add(site->store, EVENT_SERVE_STARTED, NULL, NULL, 0, SITE_NOW, "", NULL));
    says(check_receipts(site, folder, &findings), "here is another one");
}

static void test_auditor_refuses_a_receipt_that_was_edited(void **state)
{
    struct site *site = *state;
    char path[160];
    const char *folder = folder_of(site, path);
    struct auditor_findings findings;
    struct receipt receipt = next_receipt(site, 3);
    receipt.round = 2;
    keep(folder, "edited.json", receipt);
    says(check_receipts(site, folder, &findings), "edited.json");
}

static void test_auditor_counts_receipts_of_other_sites(void **state)
{
    struct site *site = *state;
    char path[160], keys[160];
    const char *folder = folder_of(site, path);
    struct auditor_findings findings;
    struct identity *other = NULL;
    struct receipt receipt = next_receipt(site, 3);
    must(identity_create(workspace_file(site->workspace, "other", keys), "other", &other));
    const struct chain_head head = {*identity_id(other), receipt.sequence, receipt.head};
    must(chain_head_sign(other, &head, receipt.head_signature));
    must(receipt_sign(other, &receipt));
    keep(folder, "other.json", receipt);
    must(check_receipts(site, folder, &findings));
    assert_int_equal(findings.receipts, 0);
    assert_int_equal(findings.other_receipts, 1);
    identity_free(other);
}

static void test_auditor_wants_receipts_in_the_folder(void **state)
{
    struct site *site = *state;
    char path[160];
    struct auditor_findings findings;
    refused(check_receipts(site, folder_of(site, path), &findings), ERROR_NOT_FOUND, "no receipt");
}

/* Its site signed it, under another approval than the one that is here. */
static void test_auditor_finds_a_receipt_of_another_approval(void **state)
{
    struct site *site = *state;
    char path[160];
    const char *folder = folder_of(site, path);
    struct auditor_findings findings;
    struct receipt receipt = next_receipt(site, 3);
    keep(folder, "3.json", receipt);
    must(check_receipts(site, folder, &findings));
    receipt.approval.bytes[0] ^= 1;
    must(receipt_sign(site->identity, &receipt));
    keep(folder, "other.json", receipt);
    says(check_receipts(site, folder, &findings), "another approval");
}

static void test_auditor_finds_the_approval_of_a_receipt_gone(void **state)
{
    struct site *site = *state;
    char path[160];
    const char *folder = folder_of(site, path);
    struct auditor_findings findings;
    keep(folder, "3.json", next_receipt(site, 3));
    site_sql(site, "DELETE FROM decision");
    says(check_receipts(site, folder, &findings), "another approval");
}

#define STORY_TEST(function) cmocka_unit_test_setup_teardown(function, story_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY_TEST(test_auditor_finds_the_receipts_in_the_chain),
        STORY_TEST(test_auditor_finds_a_file_that_was_rolled_back),
        STORY_TEST(test_auditor_finds_a_file_that_was_rolled_back_and_used_on),
        STORY_TEST(test_auditor_refuses_a_receipt_that_was_edited),
        STORY_TEST(test_auditor_counts_receipts_of_other_sites),
        STORY_TEST(test_auditor_wants_receipts_in_the_folder),
        STORY_TEST(test_auditor_finds_a_receipt_of_another_approval),
        STORY_TEST(test_auditor_finds_the_approval_of_a_receipt_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
