/* A run on mock data says so wherever its figures go, and a run on private rows never does. */
#include "made_run.h"

#include "orchestrator/report.h"
#include "orchestrator/run_store.h"

#include <jansson.h>

static char *file_of(const char *directory, const struct run_record *record, const char *name)
{
    made_fine(report_write(record, directory));
    char *path = made_path(directory, name);
    char *text = made_text(path);
    free(path);
    return text;
}

static char *printed(const struct run_record *record)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    report_print_round(stream, record, &record->rounds[0]);
    report_print_summary(stream, record, NULL);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void expect_mark(const char *directory, const struct run_record *record, const char *name,
                        const char *mark)
{
    char *text = file_of(directory, record, name);
    if ((strstr(text, mark) != NULL) != record->mock)
        fail_msg("%s %s \"%s\"", name, record->mock ? "lacks" : "has", mark);
    free(text);
}

/* The header of a safetensors file is text after eight bytes. */
static bool model_is_marked(const char *directory, const struct run_record *record)
{
    char *path = made_path(directory, "model.safetensors");
    char header[512] = "";
    made_fine(report_model_write(record, path));
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 8, SEEK_SET), 0);
    assert_true(fread(header, 1, sizeof header - 1, file) > 0);
    assert_int_equal(fclose(file), 0);
    free(path);
    return strstr(header, "\"mock\":\"true\"") != NULL;
}

static void check(const char *directory, bool mock)
{
    struct run_record *record = made_run(2);
    record->mock = mock;
    expect_mark(directory, record, "report.json", "\"mock\": true");
    expect_mark(directory, record, "report.html", "<title>MOCK: ");
    expect_mark(directory, record, "report.html", "every row of this run is synthetic");
    expect_mark(directory, record, "report.html", "the sites were sent no job");
    expect_mark(directory, record, "rounds.csv", ",MOCK\n");
    expect_mark(directory, record, "confusion.csv", ",MOCK\n");
    assert_int_equal(model_is_marked(directory, record), mock);
    char *text = printed(record);
    assert_int_equal(strstr(text, "=== FL epoch 1/2 on MOCK data ===") != NULL, mock);
    assert_int_equal(strstr(text, "MOCK: Pooled confusion matrix") != NULL, mock);
    assert_int_equal(strstr(text, "MOCK: every row was synthetic") != NULL, mock);
    free(text);
    run_record_free(record);
}

static void test_report_mock_run_is_marked_everywhere(void **state)
{
    check(*state, true);
}

static void test_report_private_run_is_marked_nowhere(void **state)
{
    check(*state, false);
}

/* The report does not claim of a trial what holds for a run on private rows. */
static void test_report_mock_page_does_not_say_that_rows_stayed(void **state)
{
    struct run_record *record = made_run(1);
    record->mock = true;
    char *page = file_of(*state, record, "report.html");
    assert_null(strstr(page, "the rows stayed where they are"));
    assert_null(strstr(page, "No row left a site"));
    free(page);
    run_record_free(record);
}

static void test_report_mock_mark_is_in_the_record(void **state)
{
    struct run_record *record = made_run(1), *read = NULL;
    struct run_store *store = NULL;
    record->mock = true;
    made_fine(run_store_create(*state, record, &store));
    made_fine(run_store_end(store, record));
    run_store_close(store);
    made_fine(run_store_load(*state, &read));
    assert_true(read->mock);
    run_record_free(read);
    run_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_report_mock_run_is_marked_everywhere),
        MADE_TEST(test_report_private_run_is_marked_nowhere),
        MADE_TEST(test_report_mock_page_does_not_say_that_rows_stayed),
        MADE_TEST(test_report_mock_mark_is_in_the_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
