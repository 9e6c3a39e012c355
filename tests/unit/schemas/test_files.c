#include "schemas/files.h"
#include "tests/unit/schemas/refusal.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory of its own below the working directory for each test. */
static int files_setup(void **state)
{
    char *directory = strdup("files-XXXXXX");
    *state = directory;
    return directory != NULL && mkdtemp(directory) != NULL ? 0 : -1;
}

static int files_teardown(void **state)
{
    char *directory = *state;
    char *path = NULL;
    DIR *entries = opendir(directory);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.' || asprintf(&path, "%s/%s", directory, entry->d_name) < 0)
            continue;
        (void)(unlink(path) == 0 || rmdir(path) == 0);
        free(path);
    }
    if (entries != NULL)
        (void)closedir(entries);
    (void)rmdir(directory);
    free(directory);
    return 0;
}

static char *files_path(void **state, const char *name)
{
    char *path = NULL;
    assert_done(path_join(*state, name, &path));
    return path;
}

static size_t files_count(const char *directory)
{
    size_t count = 0;
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] == '.' ? 0 : 1;
    (void)closedir(entries);
    return count;
}

static void assert_content(const char *path, const char *expected)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    assert_done(file_read(path, 100, &data, &bytes));
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(data, expected, bytes + 1); /* with the NUL behind the last byte */
    free(data);
}

static void test_file_written_is_read(void **state)
{
    char *path = files_path(state, "a");
    assert_done(file_write(path, "hello", 5, 0600));
    assert_content(path, "hello");
    free(path);
}

static void test_file_written_empty_is_read_empty(void **state)
{
    char *path = files_path(state, "a");
    assert_done(file_write(path, "", 0, 0600));
    assert_content(path, "");
    free(path);
}

static void test_file_written_has_the_mode_whatever_the_umask(void **state)
{
    char *path = files_path(state, "a");
    struct stat status;
    mode_t saved = umask(0777);
    struct error *err = file_write(path, "x", 1, 0640);
    (void)umask(saved);
    assert_done(err);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    free(path);
}

static void test_file_over_the_limit_is_refused(void **state)
{
    char *path = files_path(state, "a");
    uint8_t *data = NULL;
    size_t bytes = 0;
    assert_done(file_write(path, "hello", 5, 0600));
    assert_refused(file_read(path, 4, &data, &bytes), ERROR_LIMIT, "has 5 bytes; at most 4 are allowed.");
    assert_null(data);
    assert_done(file_read(path, 5, &data, &bytes));
    free(data);
    free(path);
}

static void test_file_missing_is_not_found(void **state)
{
    char *path = files_path(state, "missing");
    uint8_t *data = NULL;
    size_t bytes = 0;
    assert_refused(file_read(path, 10, &data, &bytes), ERROR_NOT_FOUND, "missing cannot be opened");
    free(path);
}

static void test_file_directory_is_refused(void **state)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    assert_refused(file_read(*state, 10, &data, &bytes), ERROR_IO, "is not a regular file.");
}

/* A pipe without a writer would keep the reader waiting. */
static void test_file_pipe_is_refused(void **state)
{
    char *path = files_path(state, "pipe");
    uint8_t *data = NULL;
    size_t bytes = 0;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(file_read(path, 10, &data, &bytes), ERROR_IO, "is not a regular file.");
    free(path);
}

static void test_file_replaced_leaves_no_other_file(void **state)
{
    char *path = files_path(state, "a");
    assert_done(file_write(path, "old", 3, 0600));
    assert_done(file_write(path, "new", 3, 0600));
    assert_content(path, "new");
    assert_int_equal(files_count(*state), 1);
    free(path);
}

/* A directory in the file's place lets the rename fail, after everything was written. */
static void test_file_write_that_fails_leaves_what_was_there(void **state)
{
    char *path = files_path(state, "a");
    char *inside = files_path(state, "a/b");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_done(file_write(inside, "old", 3, 0600));
    assert_refused(file_write(path, "new", 3, 0600), ERROR_IO, "cannot be written");
    assert_content(inside, "old");
    assert_int_equal(files_count(*state), 1);
    assert_int_equal(unlink(inside), 0);
    free(inside);
    free(path);
}

/* The limit of the size of files stands for a full disk. */
static void test_file_write_without_room_leaves_the_old_file(void **state)
{
    char *path = files_path(state, "a");
    struct rlimit saved;
    assert_done(file_write(path, "old", 3, 0600));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    struct rlimit small = {.rlim_cur = 4, .rlim_max = saved.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct error *err = file_write(path, "longer than that", 16, 0600);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    (void)signal(SIGXFSZ, handler);
    assert_refused(err, ERROR_IO, "cannot be written: File too large.");
    assert_content(path, "old");
    assert_int_equal(files_count(*state), 1);
    free(path);
}

static void test_directory_is_made_with_its_parents(void **state)
{
    char *parent = files_path(state, "p");
    char *path = files_path(state, "p/q");
    struct stat status;
    assert_done(directory_make(path, 0700));
    assert_done(directory_make(path, 0700));
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(rmdir(path), 0);
    free(path);
    free(parent);
}

static void test_directory_in_the_place_of_a_file_is_refused(void **state)
{
    char *path = files_path(state, "a");
    char *below = files_path(state, "a/b");
    assert_done(file_write(path, "x", 1, 0600));
    assert_refused(directory_make(path, 0700), ERROR_CONFLICT, "exists and is not a directory.");
    assert_refused(directory_make(below, 0700), ERROR_CONFLICT, "exists and is not a directory.");
    free(below);
    free(path);
}

#define FILES_TEST(function) cmocka_unit_test_setup_teardown(function, files_setup, files_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES_TEST(test_file_written_is_read),
        FILES_TEST(test_file_written_empty_is_read_empty),
        FILES_TEST(test_file_written_has_the_mode_whatever_the_umask),
        FILES_TEST(test_file_over_the_limit_is_refused),
        FILES_TEST(test_file_missing_is_not_found),
        FILES_TEST(test_file_directory_is_refused),
        FILES_TEST(test_file_pipe_is_refused),
        FILES_TEST(test_file_replaced_leaves_no_other_file),
        FILES_TEST(test_file_write_that_fails_leaves_what_was_there),
        FILES_TEST(test_file_write_without_room_leaves_the_old_file),
        FILES_TEST(test_directory_is_made_with_its_parents),
        FILES_TEST(test_directory_in_the_place_of_a_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
