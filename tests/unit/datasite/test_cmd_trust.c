/* The verbs by which a site joins others, as typed. */
#include "console/verbs.h"
#include "crypto/authority.h"
#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "schemas/files.h"
#include "schemas/invitation.h"
#include "tests/unit/datasite/workspace.h"

#include <fcntl.h>
#include <unistd.h>

extern const struct verb verb_trust_add, verb_trust_remove, verb_trust_request, verb_trust_install,
    verb_invite;

#define FINGERPRINT "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void make_home(const struct workspace *workspace)
{
    char path[160];
    struct home *home = NULL;
    must(home_create(workspace_file(workspace, "home", path), "Our Site", "tcp://127.0.0.1:54879",
                     "tcp://localhost:54879", &home));
    home_free(home);
}

/* Runs a verb with its standard output in the file "out". */
static struct error *type(const struct workspace *workspace, const struct verb *verb, int count,
                          const char *const *arguments)
{
    char home[160], out[160];
    const struct invocation invocation = {.program = "datasite",
                                          .verb = verb->name,
                                          .home = workspace_file(workspace, "home", home),
                                          .argument_count = count,
                                          .arguments = arguments};
    (void)fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    int file = open(workspace_file(workspace, "out", out), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && file >= 0 && dup2(file, STDOUT_FILENO) >= 0);
    struct error *err = verb->run(&invocation);
    (void)fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    (void)close(kept);
    (void)close(file);
    return err;
}

static struct error *add(const struct workspace *workspace, const char *line)
{
    return type(workspace, &verb_trust_add, 1, &line);
}

static size_t trusted(const struct workspace *workspace)
{
    char path[160];
    struct store *store = NULL;
    struct peer *peers = NULL;
    size_t count = 0;
    must(store_open(workspace_file(workspace, "home/site.db", path), STORE_READ, &store));
    must(store_peer_list(store, &peers, &count));
    free(peers);
    store_close(store);
    return count;
}

static void test_trust_add_whole_line_trusts(void **state)
{
    make_home(*state);
    must(add(*state, "orchestrator \"researcher\" - " FINGERPRINT "\n"));
    assert_int_equal(trusted(*state), 1);
}

static void test_trust_add_line_without_its_quotes_trusts(void **state)
{
    static const char *const words[] = {"orchestrator", "the \"researcher\"", "-", FINGERPRINT};
    make_home(*state);
    must(type(*state, &verb_trust_add, 4, words));
    assert_int_equal(trusted(*state), 1);
    static const char *const name = "the \"researcher\"";
    must(type(*state, &verb_trust_remove, 1, &name));
    assert_int_equal(trusted(*state), 0);
}

static void test_trust_add_line_cut_anywhere_refuses(void **state)
{
    static const char line[] = "orchestrator \"researcher\" - " FINGERPRINT;
    make_home(*state);
    for (size_t bytes = 0; bytes < strlen(line); bytes++) {
        char cut[sizeof(line)];
        (void)snprintf(cut, sizeof(cut), "%.*s", (int)bytes, line);
        refused(add(*state, cut), ERROR_INVALID, "orchestrator invite");
    }
    assert_int_equal(trusted(*state), 0);
}

static void test_trust_add_line_of_a_datasite_refuses(void **state)
{
    make_home(*state);
    refused(add(*state, "datasite \"site\" tcp://localhost:1 " FINGERPRINT), ERROR_INVALID, "sites add");
}

static void test_trust_add_changed_key_refuses(void **state)
{
    make_home(*state);
    must(add(*state, "orchestrator \"researcher\" - " FINGERPRINT));
    refused(add(*state, "orchestrator \"researcher\" - "
                        "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
            ERROR_CONFLICT, "trust remove");
    assert_int_equal(trusted(*state), 1);
}

/* What a policy does must not undo it, and the owner is told which approvals stay. */
static void test_trust_remove_lasts_and_names_live_approvals(void **state)
{
    char path[160], out[4096];
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct site_id id;
    bool removed = false;
    struct job_record record = {
        .id = {{0xab, 0xcd}}, .bytes = (uint8_t *)out, .expires = 1, .received_at = 1};
    static const char *const name = "researcher";
    static const struct policy_limits limits = {5, 5, 5, 5};
    make_home(*state);
    must(add(*state, "orchestrator \"researcher\" - " FINGERPRINT));
    must(site_id_parse(FINGERPRINT, &id));
    record.requester = id;
    must(home_open(workspace_file(*state, "home", path), &home));
    must(home_store(home, STORE_WRITE, &identity, &store));
    must(store_job_add(store, &record, &(struct job_quota){.limits = &limits}, &removed));
    must(database_run(store->database, "UPDATE job SET state = 'approved'"));
    must(type(*state, &verb_trust_remove, 1, &name));
    must(store_peer_is_removed(store, &id, &removed));
    assert_true(removed);
    FILE *file = fopen(workspace_file(*state, "out", path), "re");
    assert_non_null(file);
    out[fread(out, 1, sizeof(out) - 1, file)] = '\0';
    (void)fclose(file);
    assert_non_null(strstr(out, "datasite revoke abcd00000000"));
    must(add(*state, "orchestrator \"researcher\" - " FINGERPRINT));
    must(store_peer_is_removed(store, &id, &removed));
    assert_false(removed);
    store_close(store);
    identity_free(identity);
    home_free(home);
}

static void test_trust_remove_unknown_name_refuses(void **state)
{
    static const char *const name = "nobody";
    make_home(*state);
    refused(type(*state, &verb_trust_remove, 1, &name), ERROR_NOT_FOUND, "trust list");
}

static void test_invite_prints_a_line_that_is_taken(void **state)
{
    char path[160];
    uint8_t *line = NULL;
    size_t bytes = 0;
    struct invitation invitation;
    make_home(*state);
    must(type(*state, &verb_invite, 0, NULL));
    must(file_read(workspace_file(*state, "out", path), 4096, &line, &bytes));
    must(invitation_parse((const char *)line, NODE_DATASITE, &invitation));
    assert_string_equal(invitation.node.name, "Our Site");
    assert_string_equal(invitation.node.endpoint, "tcp://localhost:54879");
    free(line);
}

static void test_invite_address_for_everywhere_says_advertise(void **state)
{
    char path[160];
    static const char text[] = "name: Our Site\nlisten: \"tcp://*:54879\"\n";
    make_home(*state);
    workspace_write(workspace_file(*state, "home/site.yaml", path), text, strlen(text));
    refused(type(*state, &verb_invite, 0, NULL), ERROR_INVALID, "advertise");
}

static void test_trust_install_issued_chain_keeps_the_fingerprint(void **state)
{
    char path[160], ca[160], *chain = NULL;
    uint8_t *request = NULL;
    size_t bytes = 0;
    struct authority *authority = NULL;
    struct identity *before = NULL, *after = NULL;
    struct site_id id;
    make_home(*state);
    must(identity_load(workspace_file(*state, "home/keys", path), &before));
    must(type(*state, &verb_trust_request, 0, NULL));
    must(file_read(workspace_file(*state, "out", path), 65536, &request, &bytes));
    must(authority_create(workspace_file(*state, "ca", ca), "Consortium", &authority));
    must(authority_issue(authority, (const char *)request, 30, &id, &chain));
    workspace_write(workspace_file(*state, "chain.pem", path), chain, strlen(chain));
    const char *argument = path;
    must(type(*state, &verb_trust_install, 1, &argument));
    char keys[160];
    must(identity_load(workspace_file(*state, "home/keys", keys), &after));
    assert_true(site_id_equal(identity_id(before), identity_id(after)));
    assert_true(identity_not_after(after) < identity_not_after(before));
    free(chain);
    free(request);
    identity_free(before);
    identity_free(after);
    authority_free(authority);
}

static void test_trust_install_no_certificate_refuses(void **state)
{
    char path[160];
    make_home(*state);
    workspace_write(workspace_file(*state, "chain.pem", path), "hello", 5);
    const char *argument = path;
    refused(type(*state, &verb_trust_install, 1, &argument), ERROR_INVALID, "PEM");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, workspace_make, workspace_remove)
    const struct CMUnitTest tests[] = {
        CASE(test_trust_add_whole_line_trusts),
        CASE(test_trust_add_line_without_its_quotes_trusts),
        CASE(test_trust_add_line_cut_anywhere_refuses),
        CASE(test_trust_add_line_of_a_datasite_refuses),
        CASE(test_trust_add_changed_key_refuses),
        CASE(test_trust_remove_lasts_and_names_live_approvals),
        CASE(test_trust_remove_unknown_name_refuses),
        CASE(test_invite_prints_a_line_that_is_taken),
        CASE(test_invite_address_for_everywhere_says_advertise),
        CASE(test_trust_install_issued_chain_keeps_the_fingerprint),
        CASE(test_trust_install_no_certificate_refuses),
    };
    return cmocka_run_group_tests_name("cmd_trust", tests, NULL, NULL);
}
