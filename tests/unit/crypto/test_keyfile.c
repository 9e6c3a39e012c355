#include "crypto/keyfile.h"

#include "scratch.h"

#include <sys/stat.h>

static void test_keyfile_read_closed_file_gives_its_bytes(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char *pem = NULL;
    size_t bytes = 0;
    scratch_write(scratch_path(*state, "key", path), "a\0b", 3, 0600);
    succeeds(keyfile_read(path, &pem, &bytes));
    assert_int_equal(bytes, 3);
    assert_memory_equal(pem, "a\0b", 4);
    keyfile_free(pem, bytes);
}

static void test_keyfile_read_any_open_permission_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char command[SCRATCH_PATH_BYTES + 16];
    char *pem = NULL;
    size_t bytes = 0;
    for (int bit = 0; bit < 6; bit++) {
        scratch_write(scratch_path(*state, "key", path), "key", 3, (mode_t)(0600 | (1 << bit)));
        (void)snprintf(command, sizeof(command), "chmod 600 %s", path);
        fails_saying(keyfile_read(path, &pem, &bytes), ERROR_UNTRUSTED, command);
    }
    assert_null(pem);
}

static void test_keyfile_read_missing_file_is_not_found(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char *pem = NULL;
    size_t bytes = 0;
    fails_saying(keyfile_read(scratch_path(*state, "key", path), &pem, &bytes), ERROR_NOT_FOUND, path);
}

static void test_keyfile_read_directory_is_refused(void **state)
{
    char *pem = NULL;
    size_t bytes = 0;
    fails(keyfile_read(*state, &pem, &bytes), ERROR_IO);
}

static void test_keyfile_read_pipe_without_a_writer_is_refused_at_once(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char *pem = NULL;
    size_t bytes = 0;
    assert_int_equal(mkfifo(scratch_path(*state, "key", path), 0600), 0);
    fails(keyfile_read(path, &pem, &bytes), ERROR_IO);
}

static void test_keyfile_read_longest_file_and_one_byte_more(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    char *pem = NULL;
    size_t bytes = 0;
    char *data = calloc(1, KEYFILE_BYTES_MAX + 1);
    assert_non_null(data);
    scratch_write(scratch_path(*state, "key", path), data, KEYFILE_BYTES_MAX, 0600);
    succeeds(keyfile_read(path, &pem, &bytes));
    assert_int_equal(bytes, KEYFILE_BYTES_MAX);
    keyfile_free(pem, bytes);
    scratch_write(path, data, KEYFILE_BYTES_MAX + 1, 0600);
    fails(keyfile_read(path, &pem, &bytes), ERROR_LIMIT);
    free(data);
}

static void test_keyfile_exists_tells(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    assert_false(keyfile_exists(scratch_path(*state, "key", path)));
    scratch_write(path, "", 0, 0600);
    assert_true(keyfile_exists(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_keyfile_read_closed_file_gives_its_bytes),
        SCRATCH_TEST(test_keyfile_read_any_open_permission_is_refused),
        SCRATCH_TEST(test_keyfile_read_missing_file_is_not_found),
        SCRATCH_TEST(test_keyfile_read_directory_is_refused),
        SCRATCH_TEST(test_keyfile_read_pipe_without_a_writer_is_refused_at_once),
        SCRATCH_TEST(test_keyfile_read_longest_file_and_one_byte_more),
        SCRATCH_TEST(test_keyfile_exists_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
