#include "schemas/files.h"
#include "schemas/site_config.h"
#include "tests/unit/schemas/refusal.h"

#include <unistd.h>

#define CONFIG_PATH "node.yaml"
#define A16 "aaaaaaaaaaaaaaaa"
#define B16 "bbbbbbbbbbbbbbbb"
#define FP_A "sha256:" A16 A16 A16 A16
#define FP_B "sha256:" B16 B16 B16 B16

static struct error *config_load(const char *text, enum node_kind kind, struct node_config **ret_config)
{
    assert_done(file_write(CONFIG_PATH, text, strlen(text), 0600));
    return node_config_load(CONFIG_PATH, kind, ret_config);
}

static struct node_config *config_load_good(const char *text, enum node_kind kind)
{
    struct node_config *config = NULL;
    assert_done(config_load(text, kind, &config));
    return config;
}

static void test_site_config_of_a_site_is_read(void **state)
{
    (void)state;
    struct node_config *config = config_load_good(
        "name: MNIST Part 1\nlisten: \"tcp://127.0.0.1:54879\"\nadvertise: "
        "\"tcp://localhost:54879\"\nthreads: 3\n"
        "trust: {ca: null, crl: null}\n"
        "dial: [{name: researcher, endpoint: \"tcp://host:1\", fingerprint: \"" FP_A "\"}]\n",
        NODE_DATASITE);
    assert_string_equal(config->name, "MNIST Part 1");
    assert_string_equal(config->listen, "tcp://127.0.0.1:54879");
    assert_string_equal(config->advertise, "tcp://localhost:54879");
    assert_int_equal(config->threads, 3);
    assert_string_equal(config->ca_file, "");
    assert_int_equal(config->dial_count, 1);
    assert_string_equal(config->dial[0].endpoint, "tcp://host:1");
    node_config_free(config);
}

static void test_site_config_least_file_gets_the_defaults(void **state)
{
    (void)state;
    struct node_config *config = config_load_good("name: a\n", NODE_ORCHESTRATOR);
    assert_string_equal(config->listen, "");
    assert_string_equal(config->advertise, "");
    assert_int_equal(config->threads, 1);
    assert_int_equal(config->dial_count, 0);
    node_config_free(config);
}

static void test_site_config_relative_path_becomes_absolute(void **state)
{
    (void)state;
    char *here = getcwd(NULL, 0);
    char *expected = NULL;
    assert_non_null(here);
    assert_done(path_join(here, "keys/ca.pem", &expected));
    struct node_config *config =
        config_load_good("name: a\ntrust: {ca: keys/ca.pem, crl: /etc/crl.pem}\n", NODE_DATASITE);
    assert_string_equal(config->ca_file, expected);
    assert_string_equal(config->crl_file, "/etc/crl.pem");
    node_config_free(config);
    free(expected);
    free(here);
}

static void test_site_config_wrong_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum node_kind kind;
        const char *text;
        const char *sentence;
    } rows[] = {
        {NODE_DATASITE, "listen: null", "node.yaml:1:1: the file lacks the key name"},
        {NODE_DATASITE, "name: a\nlisten: localhost:1",
         "node.yaml:2:9: listen is not an address. It does not begin"},
        {NODE_DATASITE, "name: a\nlisten: \"tcp://x:65536\"",
         "node.yaml:2:9: listen is not an address. The host must"},
        {NODE_DATASITE, "name: a\nadvertise: \"tcp://*:1\"",
         "node.yaml:2:12: advertise is not an address. The host is"},
        {NODE_DATASITE, "name: a\nadvertise: \"tcp://x:0\"", "node.yaml:2:12: advertise is not an address."},
        {NODE_DATASITE, "name: a\nthreads: 0",
         "node.yaml:2:10: threads must be a whole number from 1 to 256."},
        {NODE_DATASITE, "name: a\nthreads: 257",
         "node.yaml:2:10: threads must be a whole number from 1 to 256."},
        {NODE_DATASITE, "name: a\ntrust: {cert: x}", "node.yaml:2:9: trust.cert is not a known key"},
        {NODE_DATASITE, "name: a\ntrust: {crl: x}", "node.yaml:2:14: trust.crl needs trust.ca"},
        {NODE_DATASITE, "name: a\ndial: {}", "node.yaml:2:7: dial must be a list."},
        {NODE_DATASITE, "name: a\ndial: [{name: b, fingerprint: \"" FP_A "\"}]",
         "node.yaml:2:8: dial[1] lacks the key endpoint"},
        {NODE_DATASITE,
         "name: a\ndial:\n- {name: b, fingerprint: \"" FP_A "\", endpoint: \"tcp://h:1\"}\n"
         "- {name: b, fingerprint: \"" FP_B "\", endpoint: \"tcp://h:1\"}",
         "node.yaml:4:10: dial[2].name is that of element 1 as well"},
        {NODE_ORCHESTRATOR, "name: a\nthreads: 2", "node.yaml:2:1: threads is not a known key"},
        {NODE_ORCHESTRATOR, "name: a\ndial: []", "node.yaml:2:1: dial is not a known key"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct node_config *config = NULL;
        assert_refused(config_load(rows[i].text, rows[i].kind, &config), ERROR_INVALID, rows[i].sentence);
        assert_null(config);
    }
}

static void test_site_config_missing_file_is_not_found(void **state)
{
    (void)state;
    struct node_config *config = NULL;
    assert_refused(node_config_load("missing.yaml", NODE_DATASITE, &config), ERROR_NOT_FOUND, "missing.yaml");
}

static void test_site_config_written_is_read(void **state)
{
    (void)state;
    static const char *const names[] = {"MNIST Part 1", "a: b # c", "\"quoted\" \\ back",
                                        "null",         "5",        "N\xc3\xb8rd"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (int kind = NODE_DATASITE; kind <= NODE_ORCHESTRATOR; kind++) {
            char *text = NULL;
            assert_done(node_config_text((enum node_kind)kind, names[i], i % 2 == 0 ? "tcp://*:0" : NULL,
                                         NULL, &text));
            struct node_config *config = config_load_good(text, (enum node_kind)kind);
            assert_string_equal(config->name, names[i]);
            assert_string_equal(config->listen, i % 2 == 0 ? "tcp://*:0" : "");
            node_config_free(config);
            free(text);
        }
    }
}

static void test_site_config_wrong_values_are_not_written(void **state)
{
    (void)state;
    char *text = NULL;
    assert_refused(node_config_text(NODE_DATASITE, "a\nb: c", NULL, NULL, &text), ERROR_INVALID,
                   "A node's name");
    assert_refused(node_config_text(NODE_DATASITE, "", NULL, NULL, &text), ERROR_INVALID, "A node's name");
    assert_refused(node_config_text(NODE_DATASITE, "a", "x", NULL, &text), ERROR_INVALID, "tcp://");
    assert_refused(node_config_text(NODE_DATASITE, "a", NULL, "tcp://*:1", &text), ERROR_INVALID, "tcp://");
    assert_null(text);
}

static void test_endpoint_good_forms_are_taken(void **state)
{
    (void)state;
    static const char *const both[] = {"tcp://localhost:1", "tcp://10.0.0.1:65535", "tcp://[::1]:80",
                                       "tcp://[fe80::1%eth0]:80", "tcp://site-1.example.org:54879"};
    static const char *const listening[] = {"tcp://*:54879", "tcp://0.0.0.0:0", "tcp://[::]:0"};
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        assert_done(endpoint_check(both[i], false));
        assert_done(endpoint_check(both[i], true));
    }
    for (size_t i = 0; i < sizeof(listening) / sizeof(listening[0]); i++) {
        assert_done(endpoint_check(listening[i], true));
        assert_refused(endpoint_check(listening[i], false), ERROR_INVALID,
                       "an endpoint must be tcp://HOST:PORT");
    }
}

static void test_endpoint_wrong_forms_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "localhost:1",
                                       "ipc:///tmp/x",
                                       "TCP://h:1",
                                       "tcp://",
                                       "tcp://:1",
                                       "tcp://h",
                                       "tcp://h:",
                                       "tcp://h:65536",
                                       "tcp://h:-1",
                                       "tcp://h:01",
                                       "tcp://h:1x",
                                       "tcp://h:1/path",
                                       "tcp://h h:1",
                                       "tcp://h;x:1",
                                       "tcp://-h:1",
                                       "tcp://::1:80",
                                       "tcp://[::1:80",
                                       "tcp://[]:80",
                                       "tcp://[abc]:80",
                                       "tcp://[::1]",
                                       "tcp://h:1\n",
                                       "tcp://u@h:1"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(endpoint_check(rows[i], true), ERROR_INVALID, "an endpoint must be tcp://HOST:PORT");
}

static void test_endpoint_too_long_is_refused(void **state)
{
    (void)state;
    char text[JOB_ENDPOINT_BYTES + 1];
    memset(text, 'h', sizeof(text));
    memcpy(text, "tcp://", 6);
    memcpy(text + JOB_ENDPOINT_BYTES - 2, ":1", 3);
    assert_refused(endpoint_check(text, false), ERROR_INVALID, "longer than 261 bytes");
    memcpy(text + JOB_ENDPOINT_BYTES - 3, ":1", 3);
    assert_done(endpoint_check(text, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_site_config_of_a_site_is_read),
        cmocka_unit_test(test_site_config_least_file_gets_the_defaults),
        cmocka_unit_test(test_site_config_relative_path_becomes_absolute),
        cmocka_unit_test(test_site_config_wrong_file_is_refused),
        cmocka_unit_test(test_site_config_missing_file_is_not_found),
        cmocka_unit_test(test_site_config_written_is_read),
        cmocka_unit_test(test_site_config_wrong_values_are_not_written),
        cmocka_unit_test(test_endpoint_good_forms_are_taken),
        cmocka_unit_test(test_endpoint_wrong_forms_are_refused),
        cmocka_unit_test(test_endpoint_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
