#include "made_run.h"

#include "orchestrator/html.h"
#include "orchestrator/report.h"

#include <jansson.h>
#include <math.h>

static char *page_of(const char *directory, const struct run_record *record)
{
    char *path = made_path(directory, "report.html");
    made_fine(report_html_write(record, path));
    char *page = made_text(path);
    free(path);
    return page;
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

static char *escaped(const char *text)
{
    char *out = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&out, &bytes);
    assert_non_null(stream);
    html_escape(stream, text);
    assert_int_equal(fclose(stream), 0);
    return out;
}

static void test_report_html_escape_leaves_no_markup(void **state)
{
    char *text = escaped("<a href='x' title=\"y\">&amp;\xff\xe2\x80\xae\x07</a> ü");
    (void)state;
    assert_string_equal(text, "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;amp;???&lt;/a&gt; ü");
    free(text);
}

#define ATTACK "</script><img src=x onerror=alert(1)>"

/* Whatever a name or a reason holds, the page has the elements that it has without it. */
static void test_report_html_hostile_names_and_reasons_add_no_element(void **state)
{
    static const char *const hostile[] = {"\"" ATTACK "\"", "\"]]><!--{{script}}<svg/onload=alert(1)>\""};
    static const char *const tame[] = {"North", "South"};
    struct run_record *record = made_run_of(2, hostile, 2, "metrics: per-site", 3, 2);
    struct run_record *plain = made_run_of(2, tame, 2, "metrics: per-site", 3, 2);
    for (size_t r = 0; r < 2; r++) {
        (void)snprintf(record->rounds[r].sites[0].reason, 512, "%s' \" onload=x {{script}}", ATTACK);
        (void)snprintf(plain->rounds[r].sites[0].reason, 512, "reason");
    }
    (void)snprintf(record->reason, sizeof record->reason, "<script>alert(2)</script>");
    (void)snprintf(plain->reason, sizeof plain->reason, "reason");
    char *page = page_of(*state, record);
    char *wanted = page_of(*state, plain);
    assert_int_equal(occurrences(page, "<"), occurrences(wanted, "<"));
    assert_int_equal(occurrences(page, "<script"), 2);
    assert_int_equal(occurrences(page, "</script"), 2);
    assert_int_equal(occurrences(page, "<img"), 0);
    assert_int_equal(occurrences(page, "use strict"), 1);
    free(page);
    free(wanted);
    run_record_free(record);
    run_record_free(plain);
}

static void test_report_html_data_reads_back_as_the_report(void **state)
{
    static const char *const names[] = {"\"" ATTACK "\"", "South"};
    static const char start[] = "<script type=\"application/json\" id=\"report\">";
    struct run_record *record = made_run_of(1, names, 2, "metrics: per-site", 3, 2);
    char *page = page_of(*state, record);
    const char *data = strstr(page, start);
    assert_non_null(data);
    data += sizeof start - 1;
    json_error_t failure;
    json_t *report = json_loadb(data, (size_t)(strstr(data, "</script>") - data), 0, &failure);
    assert_non_null(report);
    const json_t *site = json_array_get(json_object_get(report, "sites"), 0);
    assert_string_equal(json_string_value(json_object_get(site, "name")), ATTACK);
    json_decref(report);
    free(page);
    run_record_free(record);
}

static void test_report_html_policy_allows_its_own_blocks_only(void **state)
{
    struct run_record *record = made_run(1);
    char *page = page_of(*state, record);
    const char *policy = strstr(
        page, "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-");
    assert_non_null(policy);
    assert_null(strstr(page, "unsafe-inline"));
    assert_null(strstr(page, "style=\""));
    assert_null(strstr(page, "onclick"));
    free(page);
    run_record_free(record);
}

/* The hash in the policy is the one a browser takes of the block between the tags. */
static void test_report_html_policy_names_the_script_that_is_there(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct run_record *record = made_run(1);
    char *page = page_of(*state, record);
    const char *script = strstr(page, "<script>");
    const char *named = strstr(page, "script-src 'sha256-");
    struct digest digest;
    uint8_t bytes[DIGEST_BYTES + 1] = {0};
    assert_non_null(script);
    assert_non_null(named);
    script += strlen("<script>");
    named += strlen("script-src 'sha256-");
    made_fine(digest_of(script, (size_t)(strstr(script, "</script>") - script), &digest));
    for (size_t i = 0; i < 43; i++) {
        uint32_t six = (uint32_t)(strchr(letters, named[i]) - letters);
        size_t bit = i * 6;
        uint32_t spread = six << (10 - bit % 8);
        bytes[bit / 8] |= (uint8_t)(spread >> 8);
        bytes[bit / 8 + 1] |= (uint8_t)spread;
    }
    assert_memory_equal(bytes, digest.bytes, DIGEST_BYTES);
    free(page);
    run_record_free(record);
}

static void test_report_html_loads_nothing_from_elsewhere(void **state)
{
    static const char *const loaders[] = {"src=",  "href=",  "url(",          "@import",
                                          "<link", "fetch(", "XMLHttpRequest"};
    struct run_record *record = made_run(1);
    char *page = page_of(*state, record);
    for (size_t i = 0; i < sizeof loaders / sizeof loaders[0]; i++)
        assert_null(strstr(page, loaders[i]));
    assert_int_equal(occurrences(page, "http"), 2); /* http-equiv, and the name of SVG in the script */
    free(page);
    run_record_free(record);
}

static void test_report_html_without_scripts_shows_the_last_pooled_matrix(void **state)
{
    struct run_record *record = made_run(3);
    char *page = page_of(*state, record);
    assert_non_null(strstr(page, "<b>Pooled, round 3: 73.00 % right of 200 rows</b>"));
    assert_non_null(strstr(page, ">103</td>"));
    assert_non_null(strstr(page, ">37</td>"));
    assert_non_null(strstr(page, "<svg class=\"curves\""));
    assert_int_equal(occurrences(page, "<th scope=\"rowgroup\""), 3);
    free(page);
    run_record_free(record);
}

static void test_report_html_without_metrics_says_not_released(void **state)
{
    struct run_record *record = made_run(1);
    struct round_record *round = &record->rounds[0];
    free(round->pooled_confusion);
    round->pooled_confusion = NULL;
    for (size_t s = 0; s < 2; s++) {
        free(round->sites[s].confusion);
        round->sites[s].confusion = NULL;
        round->sites[s].train_accuracy = NAN;
    }
    char *page = page_of(*state, record);
    assert_non_null(strstr(page, "No confusion matrix was released"));
    assert_non_null(strstr(page, "No accuracy was released"));
    assert_null(strstr(page, "<svg class=\"curves\""));
    assert_null(strstr(page, "nan"));
    free(page);
    run_record_free(record);
}

static void test_report_html_many_classes_and_no_rounds_make_a_page(void **state)
{
    static const char *const names[] = {"North"};
    struct run_record *record = made_run_of(1, names, 1, "metrics: per-site", 3, HTML_MATRIX_CLASSES + 1);
    char *page = page_of(*state, record);
    assert_non_null(strstr(page, "confusion.csv has all of them"));
    assert_non_null(strstr(page, "id=\"report\">null</script>"));
    free(page);
    round_record_clear(&record->rounds[0], 1);
    record->round_count = 0;
    page = page_of(*state, record);
    assert_non_null(strstr(page, "No round was run"));
    free(page);
    run_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_html_escape_leaves_no_markup),
        MADE_TEST(test_report_html_hostile_names_and_reasons_add_no_element),
        MADE_TEST(test_report_html_data_reads_back_as_the_report),
        MADE_TEST(test_report_html_policy_allows_its_own_blocks_only),
        MADE_TEST(test_report_html_policy_names_the_script_that_is_there),
        MADE_TEST(test_report_html_loads_nothing_from_elsewhere),
        MADE_TEST(test_report_html_without_scripts_shows_the_last_pooled_matrix),
        MADE_TEST(test_report_html_without_metrics_says_not_released),
        MADE_TEST(test_report_html_many_classes_and_no_rounds_make_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
