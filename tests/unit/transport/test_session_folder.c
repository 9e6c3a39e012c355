/* The folder of local sockets: what killed processes left goes, what anybody may still use stays. */
#include "tests/unit/transport/node.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char path[64];
};

static int place_begin(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    (void)snprintf(place->path, sizeof(place->path), "/tmp/folders-XXXXXX");
    assert_non_null(mkdtemp(place->path));
    *state = place;
    return 0;
}

static int place_end(void **state)
{
    struct place *place = *state;
    int gone = rmdir(place->path); /* every test leaves it empty */
    free(place);
    return gone;
}

static void place_name(const struct place *place, const char *name, char ret_path[static NODE_PATH_BYTES])
{
    (void)snprintf(ret_path, NODE_PATH_BYTES, "%s/%s", place->path, name);
}

static void make_old(const char *path)
{
    const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void turn_over(const struct place *place)
{
    char folder[SESSION_PATH_BYTES];
    int lock = -1;
    node_succeeds(session_folder_make(place->path, folder, &lock));
    assert_int_equal(access(folder, F_OK), 0);
    session_folder_remove(folder, lock);
    assert_int_equal(access(folder, F_OK), -1);
}

static void test_session_folder_of_a_killed_process_is_removed(void **state)
{
    char left[NODE_PATH_BYTES];
    place_name(*state, "session-k1LLed", left);
    assert_int_equal(mkdir(left, 0700), 0);
    make_old(left);
    turn_over(*state);
    assert_int_equal(access(left, F_OK), -1);
}

static void test_session_folder_of_a_living_process_stays_however_old(void **state)
{
    const struct place *place = *state;
    char folder[SESSION_PATH_BYTES];
    int lock = -1;
    node_succeeds(session_folder_make(place->path, folder, &lock));
    make_old(folder);
    turn_over(place);
    assert_int_equal(access(folder, F_OK), 0);
    session_folder_remove(folder, lock);
}

static void expect_stays(const struct place *place, const char *name, bool old)
{
    char path[NODE_PATH_BYTES];
    place_name(place, name, path);
    assert_int_equal(mkdir(path, 0700), 0);
    if (old)
        make_old(path);
    turn_over(place);
    assert_int_equal(rmdir(path), 0);
}

static void test_session_folder_made_a_moment_ago_stays(void **state)
{
    expect_stays(*state, "session-n3wOne", false);
}

static void test_session_folder_of_another_name_stays(void **state)
{
    expect_stays(*state, "session-of-somebody", true);
    expect_stays(*state, "sessions-abcde", true);
}

static void test_session_folder_with_something_in_it_stays(void **state)
{
    char left[NODE_PATH_BYTES];
    char inside[NODE_PATH_BYTES];
    place_name(*state, "session-fuLL01", left);
    place_name(*state, "session-fuLL01/inside", inside);
    assert_int_equal(mkdir(left, 0700), 0);
    assert_int_equal(mkdir(inside, 0700), 0);
    make_old(left);
    turn_over(*state);
    assert_int_equal(rmdir(inside), 0);
    assert_int_equal(rmdir(left), 0);
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_begin, place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_session_folder_of_a_killed_process_is_removed),
        PLACE_TEST(test_session_folder_of_a_living_process_stays_however_old),
        PLACE_TEST(test_session_folder_made_a_moment_ago_stays),
        PLACE_TEST(test_session_folder_of_another_name_stays),
        PLACE_TEST(test_session_folder_with_something_in_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
