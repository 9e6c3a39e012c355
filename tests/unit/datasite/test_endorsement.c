/* Four eyes: what two owners signed holds, and nothing less. Each attack ends in a refusal of Train, and with the
 * right rows back in place the same Train is answered, so that no refusal has another cause. */
#include "datasite/endorsement.h"
#include "tests/unit/datasite/site.h"

#include <stdio.h>

#define OWNERS 3

struct eyes {
    struct site *site;
    struct identity *owners[OWNERS]; /* the first two are listed */
};

static void eyes_apply(struct eyes *eyes, bool four_eyes)
{
    eyes->site->policy.gate.four_eyes = four_eyes;
    executor_set_policy(eyes->site->executor, &eyes->site->policy);
}

static int eyes_make(void **state)
{
    struct eyes *eyes = calloc(1, sizeof(*eyes));
    void *site = NULL;
    char path[160], name[16];
    if (eyes == NULL || site_make(&site) != 0)
        return -1;
    eyes->site = site;
    for (int i = 0; i < OWNERS; i++) {
        (void)snprintf(name, sizeof(name), "owner%d", i);
        must(identity_create(workspace_file(eyes->site->workspace, name, path), name, &eyes->owners[i]));
    }
    for (int i = 0; i < 2; i++)
        site_id_format(identity_id(eyes->owners[i]), eyes->site->policy.gate.owners[i]);
    eyes->site->policy.gate.owner_count = 2;
    eyes_apply(eyes, true);
    *state = eyes;
    return 0;
}

static int eyes_remove(void **state)
{
    struct eyes *eyes = *state;
    void *site = eyes->site;
    for (int i = 0; i < OWNERS; i++)
        identity_free(eyes->owners[i]);
    free(eyes);
    return site_remove(&site);
}

static void submit(struct eyes *eyes, const char *name)
{
    char text[SITE_JOB_BYTES];
    site_job(eyes->site, &(struct job_words){.name = name}, text);
    site_expect_state(site_submit(eyes->site, text), FDS__JOB_STATE__JOB_PENDING);
}

static struct error *endorse(struct eyes *eyes, const struct identity *owner, struct approval_limits limits,
                             size_t *ret_count)
{
    struct site *site = eyes->site;
    struct job_record record = {.bytes = NULL};
    must(store_job_find(site->store, &site->job_id, &record));
    struct error *err = endorsement_give(site->store, site->identity, owner, &site->policy.gate, &record,
                                         &limits, SITE_NOW, ret_count);
    job_record_clear(&record);
    return err;
}

static void endorse_expect(struct eyes *eyes, int owner, struct approval_limits limits, size_t agreed)
{
    size_t count = 0;
    must(endorse(eyes, eyes->owners[owner], limits, &count));
    assert_int_equal(count, agreed);
}

static void expect_trains(struct eyes *eyes)
{
    site_expect_type(site_train(eyes->site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
}

static void expect_refused(struct eyes *eyes, const char *words)
{
    int64_t released = site_released(eyes->site);
    site_expect_refusal(site_train(eyes->site, 1, 0), ERROR_REFUSED, words);
    assert_int_equal(site_released(eyes->site), released);
    assert_int_equal(site_count(eyes->site, "SELECT count(*) FROM run"), 0);
}

static const struct approval_limits nothing_given;

static void test_endorsement_second_owner_makes_the_approval(void **state)
{
    struct eyes *eyes = *state;
    struct decision decision;
    submit(eyes, "try");
    endorse_expect(eyes, 0, (struct approval_limits){.rounds = 2, .runs = 3, .hold = HOLD_NEVER}, 1);
    site_expect_state(site_query(eyes->site, &eyes->site->researcher), FDS__JOB_STATE__JOB_PENDING);
    expect_refused(eyes, "waits for this site's owner");
    endorse_expect(eyes, 1, nothing_given, 2);
    must(store_approval(eyes->site->store, &eyes->site->job_id, &decision));
    assert_int_equal(decision.rounds, 2);
    assert_int_equal(decision.runs, 3);
    assert_int_equal(site_count(eyes->site, "SELECT count(*) FROM event WHERE kind = 'job-endorsed'"), 2);
    expect_trains(eyes);
}

static void test_endorsement_same_owner_twice_refused(void **state)
{
    struct eyes *eyes = *state;
    size_t count = 0;
    submit(eyes, "try");
    endorse_expect(eyes, 0, nothing_given, 1);
    refused(endorse(eyes, eyes->owners[0], nothing_given, &count), ERROR_CONFLICT,
            "endorsed the job already");
    assert_int_equal(site_count(eyes->site, "SELECT count(*) FROM decision"), 0);
}

static void test_endorsement_owner_not_listed_refused(void **state)
{
    struct eyes *eyes = *state;
    size_t count = 0;
    submit(eyes, "try");
    refused(endorse(eyes, eyes->owners[2], nothing_given, &count), ERROR_REFUSED, "not one of the owners");
    assert_int_equal(site_count(eyes->site, "SELECT count(*) FROM endorsement"), 0);
}

/* Whoever can start the daemon has the site's key. */
static void test_endorsement_site_key_counts_for_nothing(void **state)
{
    struct eyes *eyes = *state;
    size_t count = 0;
    site_id_format(identity_id(eyes->site->identity), eyes->site->policy.gate.owners[1]);
    submit(eyes, "try");
    refused(endorse(eyes, eyes->site->identity, nothing_given, &count), ERROR_REFUSED, "site's own");
}

static void test_endorsement_other_limits_refused(void **state)
{
    static const struct approval_limits others[] = {
        {.rounds = 1},
        {.rounds = 2, .runs = 2},
        {.rounds = 2, .expires = SITE_NOW + 60},
        {.rounds = 2, .hold = HOLD_EVERY},
        {.rounds = 2, .allow_growth = true},
    };
    struct eyes *eyes = *state;
    size_t count = 0;
    submit(eyes, "try");
    endorse_expect(eyes, 0, (struct approval_limits){.rounds = 2}, 1);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        refused(endorse(eyes, eyes->owners[1], others[i], &count), ERROR_CONFLICT, "other limits");
    endorse_expect(eyes, 1, (struct approval_limits){.rounds = 2}, 2);
}

static void test_endorsement_wider_than_the_job_refused(void **state)
{
    struct eyes *eyes = *state;
    size_t count = 0;
    submit(eyes, "try");
    refused(endorse(eyes, eyes->owners[0], (struct approval_limits){.rounds = 4}, &count), ERROR_INVALID,
            "narrow");
}

static void test_endorsement_single_approval_refused_once_four_eyes_are_wanted(void **state)
{
    struct eyes *eyes = *state;
    eyes_apply(eyes, false);
    site_approved(eyes->site, &(struct job_words){0}, 3, 1);
    eyes_apply(eyes, true);
    expect_refused(eyes, "wants every approval from 2 of its owners");
    eyes_apply(eyes, false);
    expect_trains(eyes);
}

/* An approval of two owners, and rows that somebody edited afterwards: one statement each. */
static void test_endorsement_edited_row_refused(void **state)
{
    static const struct {
        const char *edit, *mend;
    } rows[] = {
        {"UPDATE endorsement SET rounds = rounds + 1 WHERE rowid = 1",
         "UPDATE endorsement SET rounds = rounds - 1 WHERE rowid = 1"},
        {"UPDATE endorsement SET runs = 9 WHERE rowid = 2",
         "UPDATE endorsement SET runs = 1 WHERE rowid = 2"},
        {"UPDATE endorsement SET expires = expires + 1", "UPDATE endorsement SET expires = expires - 1"},
        {"UPDATE endorsement SET hold = 'every' WHERE rowid = 1", "UPDATE endorsement SET hold = 'never'"},
        {"UPDATE endorsement SET allow_growth = 1", "UPDATE endorsement SET allow_growth = 0"},
        {"UPDATE endorsement SET dataset_rows = dataset_rows + 1",
         "UPDATE endorsement SET dataset_rows = dataset_rows - 1"},
        {"UPDATE endorsement SET endorsed_at = endorsed_at + 1",
         "UPDATE endorsement SET endorsed_at = endorsed_at - 1"},
        {"CREATE TEMP TABLE kept AS SELECT rowid AS n, * FROM endorsement; "
         "UPDATE endorsement SET signature = (SELECT signature FROM kept WHERE n = 1)",
         "UPDATE endorsement SET signature = (SELECT signature FROM kept WHERE n = endorsement.rowid)"},
        {"UPDATE endorsement SET owner = zeroblob(32) WHERE rowid = 1",
         "UPDATE endorsement SET owner = (SELECT owner FROM kept WHERE n = endorsement.rowid)"},
        {"UPDATE endorsement SET public_key = (SELECT public_key FROM kept WHERE n = 2)",
         "UPDATE endorsement SET public_key = (SELECT public_key FROM kept WHERE n = endorsement.rowid)"},
        {"UPDATE endorsement SET dataset_digest = zeroblob(32)",
         "UPDATE endorsement SET dataset_digest = (SELECT dataset_digest FROM kept WHERE n = "
         "endorsement.rowid)"},
        {"DELETE FROM endorsement WHERE rowid = 2",
         "INSERT INTO endorsement SELECT job_id, owner, public_key, rounds, runs, expires, hold, "
         "allow_growth, "
         "dataset_digest, dataset_rows, endorsed_at, signature FROM kept WHERE n = 2"},
    };
    struct eyes *eyes = *state;
    submit(eyes, "try");
    endorse_expect(eyes, 0, nothing_given, 1);
    endorse_expect(eyes, 1, nothing_given, 2);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        site_sql(eyes->site, rows[i].edit);
        expect_refused(eyes, "wants every approval from 2 of its owners");
        site_sql(eyes->site, rows[i].mend);
    }
    expect_trains(eyes);
}

/* The second owner's row copied from a job that both endorsed to one that only the first did. */
static void test_endorsement_copied_from_another_job_refused(void **state)
{
    struct eyes *eyes = *state;
    submit(eyes, "both");
    endorse_expect(eyes, 0, nothing_given, 1);
    endorse_expect(eyes, 1, nothing_given, 2);
    submit(eyes, "one");
    endorse_expect(eyes, 0, nothing_given, 1);
    site_approve(eyes->site, 0, 0, 0); /* the site's own signature, as by a command of older code */
    site_sql(
        eyes->site,
        "INSERT INTO endorsement SELECT (SELECT job_id FROM endorsement ORDER BY rowid DESC LIMIT 1), owner, "
        "public_key, rounds, runs, expires, hold, allow_growth, dataset_digest, dataset_rows, endorsed_at, "
        "signature FROM endorsement WHERE rowid = 2");
    assert_int_equal(site_count(eyes->site, "SELECT count(*) FROM endorsement"), 4);
    expect_refused(eyes, "wants every approval from 2 of its owners, and 1 gave it");
}

/* The same job at two sites of one organisation: what was signed for one is nothing at the other. */
static void test_endorsement_of_another_site_refused(void **state)
{
    struct eyes *eyes = *state;
    struct site *site = eyes->site;
    struct decision decision;
    struct digest statement;
    struct site_id other = *identity_id(site->identity);
    size_t count = 0;
    submit(eyes, "try");
    endorse_expect(eyes, 0, nothing_given, 1);
    site_approve(site, 0, 0, 0);
    must(store_approval(site->store, &site->job_id, &decision));
    struct endorsement copied = {.job_id = decision.job_id,
                                 .dataset_digest = decision.dataset_digest,
                                 .rounds = decision.rounds,
                                 .runs = decision.runs,
                                 .expires = decision.expires,
                                 .hold = decision.hold,
                                 .allow_growth = decision.allow_growth,
                                 .dataset_rows = decision.dataset_rows,
                                 .endorsed_at = SITE_NOW};
    other.digest.bytes[0] ^= 1;
    must(endorsement_make(eyes->owners[1], &other, &site->researcher, &copied));
    site_sql(site, "UPDATE job SET state = 'pending'");
    must(endorsement_digest(&other, &site->researcher, &copied, &statement));
    must(store_endorse(site->store, &copied, &statement));
    site_sql(site, "UPDATE job SET state = 'approved'");
    must(endorsement_count(site->store, &site->policy.gate, &other, &site->researcher, &decision, &count));
    assert_int_equal(count, 1); /* there it would hold */
    expect_refused(eyes, "and 1 gave it");
}

/* An owner's own signature, over anything but what was approved. */
static void test_endorsement_truly_signed_for_something_else_refused(void **state)
{
    struct eyes *eyes = *state;
    struct site *site = eyes->site;
    struct decision decision;
    struct digest statement;
    char name[16];
    for (int field = 0; field < 8; field++) {
        (void)snprintf(name, sizeof(name), "try-%d", field);
        submit(eyes, name);
        endorse_expect(eyes, 0, nothing_given, 1);
        site_approve(site, 0, 0, 0);
        must(store_approval(site->store, &site->job_id, &decision));
        struct endorsement other = {.job_id = decision.job_id,
                                    .dataset_digest = decision.dataset_digest,
                                    .rounds = decision.rounds - (field == 1),
                                    .runs = decision.runs + (field == 2),
                                    .expires = decision.expires + (field == 3),
                                    .hold = field == 4 ? HOLD_FINAL : decision.hold,
                                    .allow_growth = field == 5,
                                    .dataset_rows = decision.dataset_rows + (field == 6),
                                    .endorsed_at = SITE_NOW};
        other.dataset_digest.bytes[0] ^= field == 7;
        must(endorsement_make(eyes->owners[1], identity_id(site->identity), &site->researcher, &other));
        site_sql(site, "UPDATE job SET state = 'pending' WHERE state = 'approved'");
        must(endorsement_digest(identity_id(site->identity), &site->researcher, &other, &statement));
        must(store_endorse(site->store, &other, &statement));
        site_sql(site, "UPDATE job SET state = 'approved' WHERE state = 'pending'");
        if (field > 0)
            expect_refused(eyes, "and 1 gave it");
        else
            site_expect_state(site_query(site, &site->researcher), FDS__JOB_STATE__JOB_APPROVED);
    }
}

/* A listed key that is taken off the list takes its word with it, and what was running stops. */
static void test_endorsement_of_owner_no_longer_listed_refused(void **state)
{
    struct eyes *eyes = *state;
    submit(eyes, "try");
    endorse_expect(eyes, 0, nothing_given, 1);
    endorse_expect(eyes, 1, nothing_given, 2);
    site_id_format(identity_id(eyes->owners[2]), eyes->site->policy.gate.owners[1]);
    eyes_apply(eyes, true);
    expect_refused(eyes, "and 1 gave it");
}

/* What the trainer and the airlock see, even if the handlers were passed by. */
static void test_endorsement_is_looked_at_inside_the_release(void **state)
{
    struct eyes *eyes = *state;
    struct site *site = eyes->site;
    struct approval approval;
    submit(eyes, "try");
    site_approve(site, 0, 0, 0);
    refused(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                          &approval),
            ERROR_REFUSED, "2 of its owners");
    eyes->site->policy.gate.four_eyes = false; /* for the handler; the executor keeps wanting two */
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "2 of its owners");
    assert_int_equal(site_released(site), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_endorsement_second_owner_makes_the_approval, eyes_make,
                                        eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_same_owner_twice_refused, eyes_make, eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_owner_not_listed_refused, eyes_make, eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_site_key_counts_for_nothing, eyes_make, eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_other_limits_refused, eyes_make, eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_wider_than_the_job_refused, eyes_make, eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_single_approval_refused_once_four_eyes_are_wanted,
                                        eyes_make, eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_edited_row_refused, eyes_make, eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_copied_from_another_job_refused, eyes_make,
                                        eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_of_another_site_refused, eyes_make, eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_truly_signed_for_something_else_refused, eyes_make,
                                        eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_of_owner_no_longer_listed_refused, eyes_make,
                                        eyes_remove),
        cmocka_unit_test_setup_teardown(test_endorsement_is_looked_at_inside_the_release, eyes_make,
                                        eyes_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
