/* chain_walk HOME: recomputes the chain of a site's events with the code of the unit tests, and checks the file itself.
 * Status 0 and the number of events when all holds, else 1 and the first event that does not. */
#include "datasite/home.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/walk.h"
#include "tests/unit/datasite/workspace.h"

static const char *walked_home;

static void chain_walk(void **state)
{
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    (void)state;
    must(home_open(walked_home, &home));
    must(home_store(home, STORE_READ, &identity, &store));
    must(database_check(store->database));
    struct walk walk = walk_events(store, identity);
    if (walk.first_bad != 0)
        fail_msg("event %llu does not hold", (unsigned long long)walk.first_bad);
    (void)printf("%llu events hold\n", (unsigned long long)walk.events);
    store_close(store);
    identity_free(identity);
    home_free(home);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chain_walk)};
    if (argc != 2)
        return 2;
    walked_home = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
