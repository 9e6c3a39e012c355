#include "schemas/invitation.h"
#include "tests/unit/schemas/refusal.h"

#define FP "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LINE "datasite \"MNIST Part 1\" tcp://localhost:54879 " FP

static void invitation_check_round_trip(enum node_kind kind, const char *name, const char *endpoint,
                                        const char *line)
{
    struct invitation given = {.kind = kind};
    struct invitation read = {.kind = kind};
    char *text = NULL;
    (void)snprintf(given.node.name, sizeof(given.node.name), "%s", name);
    (void)snprintf(given.node.endpoint, sizeof(given.node.endpoint), "%s", endpoint);
    (void)snprintf(given.node.fingerprint, sizeof(given.node.fingerprint), "%s", FP);
    assert_done(invitation_format(&given, &text));
    assert_string_equal(text, line);
    assert_done(invitation_parse(text, kind, &read));
    assert_int_equal(read.kind, kind);
    assert_string_equal(read.node.name, name);
    assert_string_equal(read.node.endpoint, endpoint);
    assert_string_equal(read.node.fingerprint, FP);
    free(text);
}

static void test_invitation_of_a_site_is_read_as_written(void **state)
{
    (void)state;
    invitation_check_round_trip(NODE_DATASITE, "MNIST Part 1", "tcp://localhost:54879", LINE);
}

static void test_invitation_without_an_endpoint_is_read_as_written(void **state)
{
    (void)state;
    invitation_check_round_trip(NODE_ORCHESTRATOR, "researcher", "", "orchestrator \"researcher\" - " FP);
}

static void test_invitation_with_quotes_in_the_name_is_read_as_written(void **state)
{
    (void)state;
    invitation_check_round_trip(NODE_DATASITE, "\"A\" \\ B", "", "datasite \"\\\"A\\\" \\\\ B\" - " FP);
    invitation_check_round_trip(NODE_DATASITE, "\\", "", "datasite \"\\\\\" - " FP);
}

static void test_invitation_with_blanks_around_is_read(void **state)
{
    (void)state;
    struct invitation read;
    assert_done(invitation_parse("  \t" LINE " \r\n", NODE_DATASITE, &read));
    assert_string_equal(read.node.fingerprint, FP);
}

static void test_invitation_truncated_at_every_byte_is_refused(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < strlen(LINE); cut++) {
        struct invitation read = {.kind = NODE_DATASITE};
        char *part = strndup(LINE, cut);
        assert_non_null(part);
        struct error *err = invitation_parse(part, NODE_DATASITE, &read);
        free(part);
        assert_refused(err, ERROR_INVALID, "copy the whole line that `datasite invite` prints.");
    }
}

static void test_invitation_of_the_other_kind_names_its_command(void **state)
{
    (void)state;
    struct invitation read;
    assert_refused(invitation_parse(LINE, NODE_ORCHESTRATOR, &read), ERROR_INVALID,
                   "`orchestrator sites add LINE`");
    assert_refused(invitation_parse("orchestrator \"r\" - " FP, NODE_DATASITE, &read), ERROR_INVALID,
                   "`datasite trust add LINE`");
}

static void test_invitation_of_wrong_form_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *sentence;
    } rows[] = {
        {"site \"A\" - " FP, "does not begin with datasite or orchestrator"},
        {"datasiteX \"A\" - " FP, "does not begin with datasite or orchestrator"},
        {"datasite A - " FP, "has no whole name in double quotes"},
        {"datasite \"\" - " FP, "has no whole name in double quotes"},
        {"datasite \" A\" - " FP, "has no whole name in double quotes"},
        {"datasite \"A\\n\" - " FP, "has no whole name in double quotes"},
        {"datasite \"A\x1b[2J\" - " FP, "has no whole name in double quotes"},
        {"datasite \"A\nB\" - " FP, "has no whole name in double quotes"},
        {"datasite \"0123456789012345678901234567890123456789012345678901234567890123X\" - " FP,
         "has no whole name"},
        {"datasite \"A\" http://x " FP, "has no whole endpoint"},
        {"datasite \"A\" tcp://x:0 " FP, "has no whole endpoint"},
        {"datasite \"A\" tcp://*:1 " FP, "has no whole endpoint"},
        {"datasite \"A\" " FP, "has no whole endpoint"},
        {"datasite \"A\" - sha256:00", "has no whole fingerprint"},
        {"datasite \"A\" - sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
         "has no whole fingerprint"},
        {LINE "0", "has no whole fingerprint"},
        {LINE " more", "has more behind the fingerprint"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct invitation read;
        assert_refused(invitation_parse(rows[i].line, NODE_DATASITE, &read), ERROR_INVALID, rows[i].sentence);
    }
}

static void test_invitation_too_long_is_refused(void **state)
{
    (void)state;
    char line[4096];
    struct invitation read;
    memset(line, ' ', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    assert_refused(invitation_parse(line, NODE_DATASITE, &read), ERROR_INVALID, "is too long");
}

static void test_invitation_that_could_not_be_read_is_not_written(void **state)
{
    (void)state;
    struct invitation given = {.kind = NODE_DATASITE, .node = {.name = "A", .fingerprint = FP}};
    char *line = NULL;
    given.node.name[0] = '\n';
    assert_refused(invitation_format(&given, &line), ERROR_INVALID, "needs a name");
    given.node.name[0] = 'A';
    given.node.fingerprint[10] = 'X';
    assert_refused(invitation_format(&given, &line), ERROR_INVALID, "and a fingerprint");
    given.node.fingerprint[10] = '0';
    memcpy(given.node.endpoint, "tcp://x", 8);
    assert_refused(invitation_format(&given, &line), ERROR_INVALID, "a colon and a port");
    assert_null(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invitation_of_a_site_is_read_as_written),
        cmocka_unit_test(test_invitation_without_an_endpoint_is_read_as_written),
        cmocka_unit_test(test_invitation_with_quotes_in_the_name_is_read_as_written),
        cmocka_unit_test(test_invitation_with_blanks_around_is_read),
        cmocka_unit_test(test_invitation_truncated_at_every_byte_is_refused),
        cmocka_unit_test(test_invitation_of_the_other_kind_names_its_command),
        cmocka_unit_test(test_invitation_of_wrong_form_is_refused),
        cmocka_unit_test(test_invitation_too_long_is_refused),
        cmocka_unit_test(test_invitation_that_could_not_be_read_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
