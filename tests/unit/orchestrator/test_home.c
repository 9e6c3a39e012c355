#include "crypto/authority.h"
#include "orchestrator/home.h"
#include "orchestrator/site_list.h"
#include "schemas/files.h"
#include "tests/unit/cmocka_all.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int fresh(void **state)
{
    (void)state;
    (void)nftw("scene", remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(mkdir("scene", 0700), 0);
    return 0;
}

static size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *listing = opendir(path);
    assert_non_null(listing);
    while (readdir(listing) != NULL)
        count++;
    (void)closedir(listing);
    return count - 2;
}

static void expect_error(struct error *err, enum error_code code, const char *words)
{
    assert_non_null(err);
    if (strstr(err->sentence, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->sentence, words);
    assert_int_equal(err->code, code);
    error_free(err);
}

static struct home *create(const char *path, bool with_ca)
{
    struct home *home = NULL;
    struct error *err = home_create(path, "researcher", NULL, with_ca, &home);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    return home;
}

static void test_home_create_private_and_complete(void **state)
{
    (void)state;
    struct stat status;
    struct site_list *list = NULL;
    struct identity *identity = NULL;
    struct home *home = create("scene/deep/home", false);
    assert_int_equal(stat("scene/deep/home", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(stat("scene/deep/home/keys/identity.key", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_string_equal(home->config->name, "researcher");
    assert_null(site_list_load(home->sites_path, &list));
    assert_int_equal(site_list_count(list), 0);
    assert_null(identity_load(home->keys_path, &identity));
    site_list_free(list);
    identity_free(identity);
    home_free(home);
}

static void test_home_create_again_conflict_and_key_untouched(void **state)
{
    (void)state;
    struct home *home = NULL;
    struct identity *before = NULL;
    struct identity *after = NULL;
    home_free(create("scene/home", false));
    assert_null(identity_load("scene/home/keys", &before));
    expect_error(home_create("scene/home", "other", NULL, false, &home), ERROR_CONFLICT, "already");
    assert_null(identity_load("scene/home/keys", &after));
    assert_true(site_id_equal(identity_id(before), identity_id(after)));
    identity_free(before);
    identity_free(after);
}

static void test_home_create_over_other_files_conflict(void **state)
{
    (void)state;
    struct home *home = NULL;
    assert_int_equal(mkdir("scene/home", 0700), 0);
    assert_null(file_write("scene/home/thesis.tex", "x", 1, 0600));
    expect_error(home_create("scene/home", "other", NULL, false, &home), ERROR_CONFLICT,
                 "not an empty directory");
    assert_int_equal(count_entries("scene/home"), 1);
}

static void test_home_create_refused_leaves_nothing(void **state)
{
    (void)state;
    struct home *home = NULL;
    expect_error(home_create("scene/home", "bad\nname", NULL, false, &home), ERROR_INVALID, "");
    expect_error(home_create("scene/home", "good", "nonsense", false, &home), ERROR_INVALID, "");
    assert_int_equal(count_entries("scene"), 0);
}

static void test_home_open_nothing_there_names_the_command(void **state)
{
    (void)state;
    struct home *home = NULL;
    expect_error(home_open("scene/nowhere", &home), ERROR_NOT_FOUND, "init");
}

static void test_home_create_with_authority_own_certificate_is_issued_by_it(void **state)
{
    (void)state;
    struct home *home = create("scene/home", true);
    struct identity *identity = NULL;
    assert_non_null(strstr(home->config->ca_file, "ca/ca.crt"));
    assert_non_null(strstr(home->config->crl_file, "ca/ca.crl"));
    assert_int_equal(access(home->config->ca_file, R_OK), 0);
    assert_int_equal(access(home->config->crl_file, R_OK), 0);
    assert_null(identity_load(home->keys_path, &identity));
    assert_int_equal(access("scene/home/keys/identity.self.crt", F_OK), 0);
    identity_free(identity);
    home_free(home);
}

static void test_home_authority_later_same_key(void **state)
{
    (void)state;
    struct home *home = create("scene/home", false);
    struct identity *before = NULL;
    struct identity *after = NULL;
    assert_null(identity_load(home->keys_path, &before));
    assert_null(home_add_authority(home));
    assert_non_null(strstr(home->config->ca_file, "ca/ca.crt"));
    assert_null(identity_load(home->keys_path, &after));
    assert_true(site_id_equal(identity_id(before), identity_id(after)));
    expect_error(home_add_authority(home), ERROR_CONFLICT, "already");
    identity_free(before);
    identity_free(after);
    home_free(home);
}

static void test_home_authority_issues_for_a_request(void **state)
{
    (void)state;
    struct home *home = create("scene/home", true);
    struct identity *site = NULL;
    struct authority *authority = NULL;
    struct site_id id;
    char *request = NULL;
    char *chain = NULL;
    assert_null(identity_create("scene/site", "Part 1", &site));
    assert_null(identity_request(site, &request));
    assert_null(authority_load(home->ca_path, &authority));
    assert_null(authority_issue(authority, request, 30, &id, &chain));
    assert_true(site_id_equal(&id, identity_id(site)));
    assert_null(identity_install("scene/site", chain));
    free(request);
    free(chain);
    authority_free(authority);
    identity_free(site);
    home_free(home);
}

static void test_home_expiry_warning_thirty_days_ahead(void **state)
{
    (void)state;
    struct home *home = create("scene/home", false);
    struct identity *identity = NULL;
    char *warning = NULL;
    assert_null(identity_load(home->keys_path, &identity));
    int64_t end = identity_not_after(identity);
    assert_null(home_expiry_warning(identity, end - IDENTITY_WARN_SECONDS - 1, &warning));
    assert_null(warning);
    assert_null(home_expiry_warning(identity, end - IDENTITY_WARN_SECONDS + 1, &warning));
    assert_non_null(strstr(warning, "expires at"));
    free(warning);
    assert_null(home_expiry_warning(identity, end + 1, &warning));
    assert_non_null(strstr(warning, "expired at"));
    free(warning);
    identity_free(identity);
    home_free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_home_create_private_and_complete, fresh),
        cmocka_unit_test_setup(test_home_create_again_conflict_and_key_untouched, fresh),
        cmocka_unit_test_setup(test_home_create_over_other_files_conflict, fresh),
        cmocka_unit_test_setup(test_home_create_refused_leaves_nothing, fresh),
        cmocka_unit_test_setup(test_home_open_nothing_there_names_the_command, fresh),
        cmocka_unit_test_setup(test_home_create_with_authority_own_certificate_is_issued_by_it, fresh),
        cmocka_unit_test_setup(test_home_authority_later_same_key, fresh),
        cmocka_unit_test_setup(test_home_authority_issues_for_a_request, fresh),
        cmocka_unit_test_setup(test_home_expiry_warning_thirty_days_ahead, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
