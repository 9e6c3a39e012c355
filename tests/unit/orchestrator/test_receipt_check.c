/* The receipts of whole runs against scripted sites: that they hold as they were written, and that anything that
 * somebody does to them afterwards, in run.db or in the files, is found and named. */
#include "audit/receipt_folder.h"
#include "orchestrator/orchestrator_parts.h"
#include "orchestrator/receipt_check.h"
#include "orchestrator/run_receipts.h"
#include "orchestrator/store_run.h"
#include "schemas/files.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES (2 * SCENE_PATH_BYTES)

static void need(struct error *err)
{
    if (err != NULL)
        fail_msg("%s", err->sentence);
}

/* Two sites, two rounds: eight receipts. */
static void run_two(struct run_scene *scene)
{
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 3});
    run_scene_run(scene, &(struct scene_job){.rounds = 2});
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
}

static struct receipt_check check_again(const struct run_scene *scene)
{
    struct receipt_check check;
    struct run_record *record = NULL;
    const char *directory = orchestrator_run_directory(scene->run);
    need(run_store_load(directory, &record));
    need(receipt_check_run(record, &check));
    need(receipt_check_files(record, directory, &check));
    run_record_free(record);
    return check;
}

/* Somebody edits the record of the run. */
static void edit(const struct run_scene *scene, const char *sql)
{
    char path[PATH_BYTES];
    struct database *database = NULL;
    (void)snprintf(path, sizeof path, "%s/run.db", orchestrator_run_directory(scene->run));
    need(database_open(path, &run_database, DATABASE_OPEN, &database));
    need(database_run(database, sql));
    need(database_run(database, "PRAGMA journal_mode = DELETE"));
    database_close(database);
}

static void expect_problem(struct receipt_check *check, uint32_t round, size_t site, const char *words)
{
    bool found = false;
    for (size_t i = 0; i < check->problem_count; i++) {
        const struct receipt_problem *problem = &check->problems[i];
        found = found || (problem->round == round && problem->site == site &&
                          strstr(problem->sentence, words) != NULL);
    }
    if (!found)
        fail_msg("nothing of round %u, site %zu says \"%s\"; the first of %zu: %s", (unsigned)round, site,
                 words, check->problem_count, check->problem_count == 0 ? "" : check->problems[0].sentence);
    receipt_check_clear(check);
}

static void receipt_path(const struct run_scene *scene, const char *name, char ret_path[static PATH_BYTES])
{
    (void)snprintf(ret_path, PATH_BYTES, "%s/receipts/%s", orchestrator_run_directory(scene->run), name);
}

static void test_receipt_check_run_as_it_was_holds(void **state)
{
    struct run_scene *scene = *state;
    char folder[PATH_BYTES];
    uint64_t count = 0;
    run_two(scene);
    struct receipt_check check = check_again(scene);
    if (check.problem_count > 0)
        fail_msg("%s", check.problems[0].sentence);
    assert_int_equal(check.receipts, 8);
    assert_int_equal(check.held, 8);
    assert_int_equal(check.wanted, 4);
    receipt_check_clear(&check);
    (void)snprintf(folder, sizeof folder, "%s/receipts", orchestrator_run_directory(scene->run));
    need(receipt_folder_verify(folder, NULL, NULL, &count));
    assert_int_equal(count, 8);
    assert_true(run_scene_file_exists(folder, "round-0002-site-1-update.json"));
    assert_true(run_scene_file_exists(folder, "round-0001-site-2-evaluation.json"));
}

static void test_receipt_check_receipt_of_other_round_put_in_place_named(void **state)
{
    run_two(*state);
    edit(*state,
         "UPDATE receipt SET receipt = (SELECT receipt FROM receipt WHERE round = 2 AND position = 0 AND"
         " kind = 1) WHERE round = 1 AND position = 0 AND kind = 1");
    struct receipt_check check = check_again(*state);
    expect_problem(&check, 1, 0, "does not hold: It is of round 2");
}

static void test_receipt_check_receipt_of_other_site_put_in_place_named(void **state)
{
    run_two(*state);
    edit(*state,
         "UPDATE receipt SET receipt = (SELECT receipt FROM receipt WHERE round = 1 AND position = 1 AND"
         " kind = 1) WHERE round = 1 AND position = 0 AND kind = 1");
    struct receipt_check check = check_again(*state);
    expect_problem(&check, 1, 0, "signed by another site");
}

static void test_receipt_check_other_bytes_arrived_named(void **state)
{
    run_two(*state);
    edit(*state, "UPDATE receipt SET received = zeroblob(32) WHERE round = 2 AND position = 1 AND kind = 2");
    struct receipt_check check = check_again(*state);
    expect_problem(&check, 2, 1, "The receipt of its evaluation does not hold: It is of other bytes");
}

static void test_receipt_check_receipt_taken_away_named(void **state)
{
    run_two(*state);
    edit(*state, "DELETE FROM receipt WHERE round = 1 AND position = 1 AND kind = 1");
    struct receipt_check check = check_again(*state);
    expect_problem(&check, 1, 1, "Its update counted, and there is no receipt of it");
}

static void test_receipt_check_receipt_garbled_in_record_refused_by_name(void **state)
{
    struct run_scene *scene = *state;
    struct run_record *record = NULL;
    run_two(scene);
    edit(scene, "UPDATE receipt SET receipt = zeroblob(40) WHERE round = 1 AND position = 1 AND kind = 1");
    struct error *err = run_store_load(orchestrator_run_directory(scene->run), &record);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_CORRUPT);
    assert_non_null(strstr(err->sentence, "the receipt of Site B for its update in round 1"));
    error_free(err);
}

static void test_receipt_check_model_replaced_named(void **state)
{
    run_two(*state);
    edit(*state, "UPDATE round SET model = zeroblob(length(model)) WHERE round = 2");
    struct receipt_check check = check_again(*state);
    expect_problem(&check, 2, RECEIPT_CHECK_NO_SITE, "The model of round 2 is not the one");
}

/* Every single byte of a receipt is covered: by its form, or by a signature. */
static void test_receipt_check_any_byte_changed_never_holds(void **state)
{
    struct run_scene *scene = *state;
    uint8_t *bytes = NULL;
    size_t count = 0;
    run_two(scene);
    struct run_record *record = scene->run->run.record;
    struct receipt *receipt = &record->rounds[0].sites[0].update_receipt->receipt;
    struct receipt original = *receipt;
    need(receipt_encode(&original, &bytes, &count));
    for (size_t i = 0; i < count; i++) {
        struct receipt_check check;
        bytes[i] ^= 0x01;
        struct error *err = receipt_decode(bytes, count, receipt);
        bytes[i] ^= 0x01;
        if (err == NULL) {
            need(receipt_check_run(record, &check));
            if (check.problem_count == 0 && memcmp(receipt, &original, sizeof original) != 0)
                fail_msg("byte %zu of %zu changed, and the receipts hold", i, count);
            receipt_check_clear(&check);
        }
        error_free(err);
    }
    *receipt = original;
    free(bytes);
}

static void test_receipt_check_byte_of_a_file_flipped_file_named(void **state)
{
    struct run_scene *scene = *state;
    char path[PATH_BYTES];
    uint8_t *bytes = NULL;
    size_t count = 0;
    run_two(scene);
    receipt_path(scene, "round-0001-site-2-update.json", path);
    need(file_read(path, RECEIPT_FILE_BYTES, &bytes, &count));
    char *digits = strstr((char *)bytes, "\"approval\": \"");
    assert_non_null(digits);
    digits[15] = digits[15] == '0' ? '1' : '0';
    need(file_write(path, bytes, count, 0600));
    free(bytes);
    struct receipt_check check = check_again(scene);
    expect_problem(&check, 1, 1, "The file round-0001-site-2-update.json does not hold");
}

static void test_receipt_check_file_missing_or_exchanged_or_added_named(void **state)
{
    struct run_scene *scene = *state;
    char path[PATH_BYTES];
    char other[PATH_BYTES];
    struct receipt receipt;
    run_two(scene);
    receipt_path(scene, "round-0001-site-1-update.json", path);
    assert_int_equal(unlink(path), 0);
    struct receipt_check check = check_again(scene);
    expect_problem(&check, 1, 0, "The file round-0001-site-1-update.json does not hold");
    receipt_path(scene, "round-0002-site-1-update.json", other);
    need(receipt_file_read(other, &receipt));
    need(receipt_file_write(path, &receipt));
    check = check_again(scene);
    expect_problem(&check, 1, 0, "another receipt than the one in run.db");
    receipt_path(scene, "round-0009-site-1-update.json", path);
    need(receipt_file_write(path, &receipt));
    check = check_again(scene);
    expect_problem(&check, 0, RECEIPT_CHECK_NO_SITE, "holds 9 files, and run.db has 8 receipts");
}

/* As a run is that was killed before it wrote its reports. */
static void test_receipt_check_without_reports_record_alone_is_checked(void **state)
{
    struct run_scene *scene = *state;
    char path[PATH_BYTES];
    char folder[PATH_BYTES];
    run_two(scene);
    (void)snprintf(folder, sizeof folder, "%s/receipts", orchestrator_run_directory(scene->run));
    (void)snprintf(path, sizeof path, "%s/moved", orchestrator_run_directory(scene->run));
    assert_int_equal(rename(folder, path), 0);
    struct receipt_check check = check_again(scene);
    assert_int_equal(check.problem_count, 8);
    receipt_check_clear(&check);
    (void)snprintf(path, sizeof path, "%s/report.json", orchestrator_run_directory(scene->run));
    assert_int_equal(unlink(path), 0);
    check = check_again(scene);
    assert_int_equal(check.problem_count, 0);
    assert_int_equal(check.held, 8);
    receipt_check_clear(&check);
}

static void test_receipt_check_site_that_forked_named(void **state)
{
    struct run_scene *scene = *state;
    struct script bad = {.step = 1};
    bad.rounds[2] = SCRIPTED_RECEIPT_FORKED;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &bad);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .min_sites = 1});
    assert_int_equal(scene->result, 0);
    struct receipt_check check = check_again(scene);
    assert_int_equal(check.held, check.receipts);
    expect_problem(&check, 2, 1,
                   "Event 2 has two receipts with different heads: the site signed two histories");
}

static void test_receipt_check_record_of_version_1_says_so(void **state)
{
    struct run_scene *scene = *state;
    run_two(scene);
    edit(scene, "DROP TABLE receipt; ALTER TABLE run DROP COLUMN mock; PRAGMA user_version = 1");
    struct receipt_check check;
    struct run_record *record = NULL;
    need(run_store_load(orchestrator_run_directory(scene->run), &record));
    need(receipt_check_run(record, &check));
    run_record_free(record);
    expect_problem(&check, 0, RECEIPT_CHECK_NO_SITE, "kept no receipts");
}

static void test_run_receipts_copied_out_and_those_of_an_earlier_run_gone(void **state)
{
    struct run_scene *scene = *state;
    char out[PATH_BYTES];
    char folder[PATH_BYTES];
    uint64_t count = 0;
    (void)snprintf(out, sizeof out, "%s/out", scene->folder);
    (void)snprintf(folder, sizeof folder, "%s/out/receipts", scene->folder);
    struct orchestrator_run_options options = {
        .connect_seconds = 20, .approval_seconds = 20, .out_directory = out};
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run_with(scene, &(struct scene_job){.rounds = 2}, &options);
    assert_int_equal(scene->result, 0);
    need(receipt_folder_verify(folder, NULL, NULL, &count));
    assert_int_equal(count, 4);
    run_scene_run_with(scene, &(struct scene_job){.rounds = 1}, &options);
    assert_int_equal(scene->result, 0);
    need(receipt_folder_verify(folder, NULL, NULL, &count));
    assert_int_equal(count, 2);
}

static void test_run_receipt_named_tells_our_names_from_others(void **state)
{
    (void)state;
    char name[RUN_RECEIPT_NAME_BYTES];
    run_receipt_name(10000, 63, RECEIPT_EVALUATION, 0, name);
    assert_string_equal(name, "round-10000-site-64-evaluation.json");
    assert_true(run_receipt_named(name));
    assert_false(run_receipt_named("round-1-site-1-update.json.bak"));
    assert_false(run_receipt_named("notes.json"));
    assert_false(run_receipt_named("round-x-site-1-update.json"));
}

#define SCENE_TEST(function) cmocka_unit_test_setup_teardown(function, run_scene_begin, run_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_receipt_check_run_as_it_was_holds),
        SCENE_TEST(test_receipt_check_receipt_of_other_round_put_in_place_named),
        SCENE_TEST(test_receipt_check_receipt_of_other_site_put_in_place_named),
        SCENE_TEST(test_receipt_check_other_bytes_arrived_named),
        SCENE_TEST(test_receipt_check_receipt_taken_away_named),
        SCENE_TEST(test_receipt_check_receipt_garbled_in_record_refused_by_name),
        SCENE_TEST(test_receipt_check_model_replaced_named),
        SCENE_TEST(test_receipt_check_any_byte_changed_never_holds),
        SCENE_TEST(test_receipt_check_byte_of_a_file_flipped_file_named),
        SCENE_TEST(test_receipt_check_file_missing_or_exchanged_or_added_named),
        SCENE_TEST(test_receipt_check_without_reports_record_alone_is_checked),
        SCENE_TEST(test_receipt_check_site_that_forked_named),
        SCENE_TEST(test_receipt_check_record_of_version_1_says_so),
        SCENE_TEST(test_run_receipts_copied_out_and_those_of_an_earlier_run_gone),
        cmocka_unit_test(test_run_receipt_named_tells_our_names_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
