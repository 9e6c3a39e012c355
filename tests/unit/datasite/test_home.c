/* A site's directory: whole or absent, and for its owner's eyes. */
#include "crypto/authority.h"
#include "datasite/home.h"
#include "tests/unit/datasite/workspace.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LISTEN "tcp://127.0.0.1:54879"

static const char *place(const struct workspace *workspace, char ret_path[static 160])
{
    return workspace_file(workspace, "home", ret_path);
}

static struct home *made(const struct workspace *workspace)
{
    char path[160];
    struct home *home = NULL;
    must(home_create(place(workspace, path), "MNIST Part 1", LISTEN, NULL, &home));
    return home;
}

static void expect_mode(const struct workspace *workspace, const char *name, mode_t mode)
{
    char path[160];
    struct stat status;
    assert_int_equal(lstat(workspace_file(workspace, name, path), &status), 0);
    assert_int_equal(status.st_mode & 07777, mode);
}

static void test_home_create_makes_private_files(void **state)
{
    const struct workspace *workspace = *state;
    mode_t old = umask(0);
    struct home *home = made(workspace);
    (void)umask(old);
    expect_mode(workspace, "home", 0700);
    expect_mode(workspace, "home/keys", 0700);
    expect_mode(workspace, "home/keys/identity.key", 0600);
    expect_mode(workspace, "home/keys/split.key", 0600);
    expect_mode(workspace, "home/keys/chain.start", 0600);
    expect_mode(workspace, "home/site.db", 0600);
    expect_mode(workspace, "home/site.yaml", 0600);
    assert_string_equal(home->config->name, "MNIST Part 1");
    assert_string_equal(home->config->listen, LISTEN);
    assert_int_equal(workspace_entries(workspace->path), 1);
    home_free(home);
}

static void test_home_create_twice_refuses_and_keeps_the_key(void **state)
{
    const struct workspace *workspace = *state;
    char path[160];
    struct home *home = made(workspace), *second = NULL;
    struct identity *before = NULL, *after = NULL;
    must(identity_load(home->keys_path, &before));
    refused(home_create(place(workspace, path), "Other", LISTEN, NULL, &second), ERROR_CONFLICT, "already");
    must(identity_load(home->keys_path, &after));
    assert_true(site_id_equal(identity_id(before), identity_id(after)));
    assert_int_equal(workspace_entries(workspace->path), 1);
    identity_free(before);
    identity_free(after);
    home_free(home);
}

static void test_home_create_over_other_files_refuses_and_keeps_them(void **state)
{
    const struct workspace *workspace = *state;
    char path[160];
    struct home *home = NULL;
    assert_int_equal(mkdir(place(workspace, path), 0700), 0);
    workspace_write(workspace_file(workspace, "home/letter.txt", path), "dear", 4);
    refused(home_create(place(workspace, path), "Site", LISTEN, NULL, &home), ERROR_CONFLICT,
            "empty directory");
    assert_true(workspace_has(workspace, "home/letter.txt"));
    assert_int_equal(workspace_entries(workspace->path), 1);
}

static void test_home_create_in_an_empty_directory_makes_the_site(void **state)
{
    const struct workspace *workspace = *state;
    char path[160];
    assert_int_equal(mkdir(place(workspace, path), 0755), 0);
    struct home *home = made(workspace);
    assert_true(workspace_has(workspace, "home/site.yaml"));
    home_free(home);
}

static void test_home_create_bad_endpoint_leaves_nothing(void **state)
{
    const struct workspace *workspace = *state;
    char path[160];
    struct home *home = NULL;
    refused(home_create(place(workspace, path), "Site", "udp://127.0.0.1:1", NULL, &home), ERROR_INVALID,
            "tcp://");
    refused(home_create(place(workspace, path), "Site", LISTEN, "tcp://host:0", &home), ERROR_INVALID,
            "advertise");
    assert_int_equal(workspace_entries(workspace->path), 0);
}

static void test_home_create_bad_name_leaves_nothing(void **state)
{
    const struct workspace *workspace = *state;
    char path[160];
    struct home *home = NULL;
    refused(home_create(place(workspace, path), "a\033[2Jb", LISTEN, NULL, &home), ERROR_INVALID, "name");
    assert_int_equal(workspace_entries(workspace->path), 0);
}

/* In a child: files may not grow beyond 4 KiB, so that the database cannot be made. */
static void create_without_room(const struct workspace *workspace)
{
    char path[160];
    struct home *home = NULL;
    const struct rlimit little = {4096, 4096};
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &little) != 0)
        _exit(2);
    struct error *err = home_create(place(workspace, path), "Site", LISTEN, NULL, &home);
    _exit(err != NULL ? 0 : 1);
}

static void test_home_create_without_room_leaves_nothing(void **state)
{
    const struct workspace *workspace = *state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        create_without_room(workspace);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(workspace_entries(workspace->path), 0);
}

static void test_home_open_nothing_there_says_init(void **state)
{
    const struct workspace *workspace = *state;
    struct home *home = NULL;
    refused(home_open(workspace->path, &home), ERROR_NOT_FOUND, "init");
}

static void test_home_split_key_is_the_same_each_time(void **state)
{
    struct home *home = made(*state);
    uint8_t one[SPLIT_KEY_BYTES] = {0}, two[SPLIT_KEY_BYTES] = {1};
    const uint8_t none[SPLIT_KEY_BYTES] = {0};
    must(home_split_key(home, one));
    must(home_split_key(home, two));
    assert_memory_equal(one, two, sizeof(one));
    assert_memory_not_equal(one, none, sizeof(one));
    home_free(home);
}

static void test_home_split_key_open_permissions_refuse(void **state)
{
    struct home *home = made(*state);
    char path[160];
    uint8_t key[SPLIT_KEY_BYTES];
    assert_int_equal(chmod(workspace_file(*state, "home/keys/split.key", path), 0640), 0);
    refused(home_split_key(home, key), ERROR_UNTRUSTED, "chmod");
    home_free(home);
}

static void test_home_identity_open_permissions_refuse(void **state)
{
    struct home *home = made(*state);
    char path[160];
    struct identity *identity = NULL;
    assert_int_equal(chmod(workspace_file(*state, "home/keys/identity.key", path), 0644), 0);
    refused(identity_load(home->keys_path, &identity), ERROR_UNTRUSTED, "chmod");
    home_free(home);
}

static void test_home_split_key_truncated_is_corrupt(void **state)
{
    struct home *home = made(*state);
    char path[160];
    uint8_t key[SPLIT_KEY_BYTES];
    assert_int_equal(truncate(workspace_file(*state, "home/keys/split.key", path), 31), 0);
    refused(home_split_key(home, key), ERROR_CORRUPT, "31 bytes");
    home_free(home);
}

static void test_home_certificate_is_warned_about_30_days_ahead(void **state)
{
    struct home *home = made(*state);
    struct identity *identity = NULL;
    char sentence[512] = "";
    must(identity_load(home->keys_path, &identity));
    int64_t end = identity_not_after(identity);
    assert_false(home_certificate_warning(identity, end - 31 * 86400, sentence, sizeof(sentence)));
    assert_true(home_certificate_warning(identity, end - 30 * 86400, sentence, sizeof(sentence)));
    assert_non_null(strstr(sentence, "in 30 days"));
    assert_true(home_certificate_warning(identity, end + 1, sentence, sizeof(sentence)));
    assert_non_null(strstr(sentence, "expired"));
    identity_free(identity);
    home_free(home);
}

static void test_home_ca_install_edits_one_line(void **state)
{
    const struct workspace *workspace = *state;
    struct home *home = made(workspace), *again = NULL;
    struct authority *authority = NULL;
    char path[160], *pem = NULL;
    bool edited = false;
    must(authority_create(workspace_file(workspace, "ca", path), "Consortium", &authority));
    must(home_ca_read(workspace_file(workspace, "ca/ca.crt", path), &pem));
    must(home_ca_install(home, pem, &edited));
    assert_true(edited);
    must(home_open(home->path, &again));
    assert_non_null(strstr(again->config->ca_file, "home/keys/ca.crt"));
    assert_string_equal(again->config->name, "MNIST Part 1");
    assert_string_equal(again->config->crl_file, "");
    assert_false(workspace_has(workspace, "home/site.yaml.new"));
    free(pem);
    authority_free(authority);
    home_free(again);
    home_free(home);
}

static void test_home_ca_install_other_layout_is_left_alone(void **state)
{
    const struct workspace *workspace = *state;
    struct home *home = made(workspace), *again = NULL;
    static const char text[] = "name: Site\nlisten: null\ntrust: {ca: null}\n";
    bool edited = true;
    workspace_write(home->config_path, text, strlen(text));
    must(home_ca_install(home, "-----BEGIN CERTIFICATE-----\n", &edited));
    assert_false(edited);
    must(home_open(home->path, &again));
    assert_string_equal(again->config->ca_file, "");
    home_free(again);
    home_free(home);
}

static void test_home_ca_install_unreadable_settings_are_left_alone(void **state)
{
    struct home *home = made(*state);
    static const char text[] = "name: Site\nlisten: null\nlisen: null\ntrust:\n  ca: null\n";
    char now[sizeof(text)] = "";
    bool edited = true;
    workspace_write(home->config_path, text, strlen(text));
    must(home_ca_install(home, "-----BEGIN CERTIFICATE-----\n", &edited));
    assert_false(edited);
    FILE *file = fopen(home->config_path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(now, 1, sizeof(now), file), strlen(text));
    (void)fclose(file);
    assert_memory_equal(now, text, strlen(text));
    home_free(home);
}

static void test_home_ca_read_private_key_refuses(void **state)
{
    struct home *home = made(*state);
    char path[160], *pem = NULL;
    refused(home_ca_read(workspace_file(*state, "home/keys/identity.key", path), &pem), ERROR_INVALID,
            "private key");
    home_free(home);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, workspace_make, workspace_remove)
    const struct CMUnitTest tests[] = {
        CASE(test_home_create_makes_private_files),
        CASE(test_home_create_twice_refuses_and_keeps_the_key),
        CASE(test_home_create_over_other_files_refuses_and_keeps_them),
        CASE(test_home_create_in_an_empty_directory_makes_the_site),
        CASE(test_home_create_bad_endpoint_leaves_nothing),
        CASE(test_home_create_bad_name_leaves_nothing),
        CASE(test_home_create_without_room_leaves_nothing),
        CASE(test_home_open_nothing_there_says_init),
        CASE(test_home_split_key_is_the_same_each_time),
        CASE(test_home_split_key_open_permissions_refuse),
        CASE(test_home_identity_open_permissions_refuse),
        CASE(test_home_split_key_truncated_is_corrupt),
        CASE(test_home_certificate_is_warned_about_30_days_ahead),
        CASE(test_home_ca_install_edits_one_line),
        CASE(test_home_ca_install_other_layout_is_left_alone),
        CASE(test_home_ca_install_unreadable_settings_are_left_alone),
        CASE(test_home_ca_read_private_key_refuses),
    };
    return cmocka_run_group_tests_name("home", tests, NULL, NULL);
}
