#include "audit/receipt_folder.h"
#include "tests/unit/audit/sample.h"

#include <sys/stat.h>

/* Rounds in the order of the visits, as text. */
static struct error *note_round(void *context, const char *path, const struct receipt *receipt)
{
    char *rounds = context;
    size_t used = strlen(rounds);
    assert_non_null(strstr(path, ".json"));
    (void)snprintf(rounds + used, 32 - used, "%u ", receipt->round);
    return NULL;
}

static void put(const char *directory, const char *name, const struct receipt *receipt)
{
    char path[SCRATCH_PATH_BYTES];
    succeeds(receipt_file_write(scratch_path(directory, name, path), receipt));
}

static void test_receipt_folder_is_read_in_the_order_of_names(void **state)
{
    struct identity *identity = sample_identity(*state);
    struct receipt first = sample_receipt_of(identity, 1), second = sample_receipt_of(identity, 2),
                   other = sample_receipt();
    char rounds[32] = "", path[SCRATCH_PATH_BYTES];
    uint64_t count = 0;
    put(*state, "b.json", &second);
    put(*state, "c.json", &other);
    put(*state, "a.json", &first);
    scratch_write(scratch_path(*state, "notes.txt", path), "no receipt", 10, 0644);
    scratch_write(scratch_path(*state, ".half.json", path), "{", 1, 0644);
    succeeds(receipt_folder_verify(*state, note_round, rounds, &count));
    assert_string_equal(rounds, "1 2 3 ");
    assert_int_equal(count, 3);
    identity_free(identity);
}

static void test_receipt_folder_with_a_changed_receipt_names_the_file(void **state)
{
    struct receipt receipt = sample_receipt();
    uint64_t count = 0;
    receipt.body_bytes++;
    put(*state, "changed.json", &receipt);
    fails_saying(receipt_folder_verify(*state, NULL, NULL, &count), ERROR_UNTRUSTED, "changed.json");
}

static void test_receipt_folder_with_something_else_names_the_file(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    uint64_t count = 0;
    scratch_write(scratch_path(*state, "odd.json", path), "{\"receipt\":1", 12, 0644);
    fails_saying(receipt_folder_verify(*state, NULL, NULL, &count), ERROR_INVALID, "odd.json");
}

static void test_receipt_file_with_a_key_twice_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct receipt receipt;
    static const char text[] = "{\"receipt\":1,\"receipt\":1}";
    scratch_write(scratch_path(*state, "twice.json", path), text, sizeof(text) - 1, 0644);
    fails_saying(receipt_file_read(path, &receipt), ERROR_INVALID, "twice.json:1:");
}

static void test_receipt_file_that_is_too_long_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    static char text[RECEIPT_FILE_BYTES + 1];
    struct receipt receipt;
    memset(text, ' ', sizeof(text));
    scratch_write(scratch_path(*state, "long.json", path), text, sizeof(text), 0644);
    fails(receipt_file_read(path, &receipt), ERROR_LIMIT);
}

/* Nobody writes into the pipe: it must not be waited for. */
static void test_receipt_file_that_is_a_pipe_is_refused(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    struct receipt receipt;
    assert_int_equal(mkfifo(scratch_path(*state, "pipe.json", path), 0600), 0);
    fails_saying(receipt_file_read(path, &receipt), ERROR_INVALID, "not a file");
}

static void test_receipt_folder_that_is_not_there_is_not_found(void **state)
{
    char path[SCRATCH_PATH_BYTES];
    uint64_t count = 7;
    fails(receipt_folder_verify(scratch_path(*state, "none", path), NULL, NULL, &count), ERROR_NOT_FOUND);
    assert_int_equal(count, 7);
    succeeds(receipt_folder_verify(*state, NULL, NULL, &count));
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_receipt_folder_is_read_in_the_order_of_names),
        SCRATCH_TEST(test_receipt_folder_with_a_changed_receipt_names_the_file),
        SCRATCH_TEST(test_receipt_folder_with_something_else_names_the_file),
        SCRATCH_TEST(test_receipt_file_with_a_key_twice_is_refused),
        SCRATCH_TEST(test_receipt_file_that_is_too_long_is_refused),
        SCRATCH_TEST(test_receipt_file_that_is_a_pipe_is_refused),
        SCRATCH_TEST(test_receipt_folder_that_is_not_there_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
