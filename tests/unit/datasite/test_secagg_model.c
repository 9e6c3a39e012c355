/* The sum that a site goes on from, with every part of it falsified once: each is refused with its reason, and the site's
 * model stays what it was. One round of four sites is played before the first test; the last tests take its sum. */
#include "tests/unit/datasite/masked_sites.h"

#include "datasite/secagg_model.h"

static const uint32_t everybody[] = {1, 2, 3, 4};
static const uint32_t first_three[] = {1, 2, 3};

/* Site 4 shared and did not contribute, so that a secret of each kind is opened. */
struct scene {
    struct masked_sites *masked;
    struct masked_attempt attempt;
};

static struct scene *scene_open(const char *secure)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    struct digest zeros = masked_zeros();
    void *masked = NULL;
    assert_non_null(scene);
    assert_int_equal(masked_make(&masked), 0);
    scene->masked = masked;
    masked_begin(scene->masked, &(struct masked_words){.secure = secure});
    masked_attempt_begin(scene->masked, 1, 0, 0, &zeros, everybody, 4, &scene->attempt);
    masked_round(scene->masked, &scene->attempt, first_three, 3, NULL);
    return scene;
}

static void scene_close(struct scene *scene)
{
    void *masked = scene->masked;
    masked_attempt_clear(&scene->attempt);
    assert_int_equal(masked_remove(&masked), 0);
    free(scene);
}

static int make(void **state)
{
    *state = scene_open(NULL);
    return 0;
}

static int drop(void **state)
{
    scene_close(*state);
    return 0;
}

static Fds__Sum *scene_sum(struct scene *scene)
{
    return masked_sum(scene->masked, &scene->attempt, false);
}

/* As the trainer does it; with this model, or the stored one (NULL). */
static struct error *take_with(struct scene *scene, uint32_t position, const struct secagg_keyset *keyset,
                               const struct digest *model_digest, const Fds__Sum *sum, uint32_t *ret_round)
{
    struct error *err = NULL;
    struct site *site = scene->masked->sites[position - 1];
    const struct policy_gate *gate = &site->policy.gate;
    struct approval approval = {.job = NULL};
    struct secagg_roster roster = {.sites = NULL};
    struct secagg_model model = {.parameters = NULL};
    must(approval_find(site->store, site->identity, gate, &site->job_id, NULL, SITE_NOW, &approval));
    must(secagg_roster_admit(gate, approval.job, &approval.dataset, identity_id(site->identity), &roster));
    struct secagg_source source = {.store = site->store,
                                   .approval = &approval,
                                   .gate = gate,
                                   .roster = &roster,
                                   .run = &scene->masked->run,
                                   .now = SITE_NOW};
    TRY(secagg_model_first(&source, NULL, 0, &model));
    if (model_digest != NULL)
        model.digest = *model_digest;
    TRY(secagg_model_take(&source, keyset, sum, &model));
    *ret_round = model.round;
done:
    secagg_model_clear(&model);
    secagg_roster_clear(&roster);
    approval_clear(&approval);
    return err;
}

static struct error *take(struct scene *scene, uint32_t position, const Fds__Sum *sum)
{
    uint32_t round = 0;
    struct error *err = take_with(scene, position, scene->masked->keyset, NULL, sum, &round);
    if (err == NULL)
        assert_int_equal(round, 2);
    return err;
}

#define NOT_SIGNED "The signature was not made over these bytes with the key it claims."
#define OTHER_KEY "The key beside a signature is not the key of the site that it is said to be of."

/* Takes `sum` over. */
static void expect_refused(struct scene *scene, Fds__Sum *sum, enum error_code code, const char *words)
{
    refused(take(scene, 1, sum), code, words);
    struct secagg_model model = masked_model(scene->masked, 1);
    assert_int_equal(model.round, 1);
    secagg_model_clear(&model);
    wire_sum_free(sum);
}

static void sign(struct scene *scene, Fds__Sum *sum)
{
    masked_sign(scene->masked, &scene->attempt, sum);
}

/* ---- signatures ---- */

static void test_sum_that_nobody_signed_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->words.data[8] ^= 1;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "The sum of round 1: " NOT_SIGNED);
    sum = scene_sum(*state);
    sum->signature.data[0] ^= 1;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "The sum of round 1: " NOT_SIGNED);
    sum = scene_sum(*state);
    sum->public_key.data[0] ^= 1;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "The sum of round 1: " OTHER_KEY);
}

static void test_sum_signed_by_another_than_the_requester_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    struct identity *own = scene->masked->orchestrator;
    scene->masked->orchestrator = scene->masked->sites[1]->identity;
    sign(scene, sum);
    scene->masked->orchestrator = own;
    expect_refused(scene, sum, ERROR_UNTRUSTED, "The sum of round 1: " OTHER_KEY);
}

static void test_sum_with_two_agreements_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    Fds__AgreementStatement *last = sum->agreements[--sum->n_agreements];
    refused(take(*state, 1, sum), ERROR_REFUSED, "2 sites agree, and the job's threshold is 3.");
    sum->agreements[sum->n_agreements++] = last;
    wire_sum_free(sum);
}

static void test_sum_with_a_false_agreement_refused_naming_the_site(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->agreements[1]->signature.data[0] ^= 1;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "The agreement of site 2 of the roster: " NOT_SIGNED);
    sum = scene_sum(*state);
    sum->agreements[1]->public_key.data[0] ^= 1;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "The agreement of site 2 of the roster: " OTHER_KEY);
    sum = scene_sum(*state);
    sum->agreements[2]->position = 4;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "The agreement of site 4 of the roster: " OTHER_KEY);
}

static void test_sum_of_other_contributors_than_this_site_agreed_to_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    sum->contributors[2] = 4;
    sign(scene, sum);
    expect_refused(scene, sum, ERROR_UNTRUSTED, "not of the sites and inputs that this site agreed to");
}

static void test_sum_of_other_inputs_than_this_site_agreed_to_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->inputs_digest.data[3] ^= 1;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "not of the sites and inputs that this site agreed to");
}

/* A site that did not agree itself believes those who did. */
#define OTHERS_DISAGREE "The agreement of site 1 of the roster: " NOT_SIGNED

static void test_sum_of_other_sites_than_others_agreed_to_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->contributors[2] = 4;
    sign(*state, sum);
    refused(take(*state, 4, sum), ERROR_UNTRUSTED, OTHERS_DISAGREE);
    wire_sum_free(sum);
    sum = scene_sum(*state);
    sum->n_sharers = 3;
    sign(*state, sum);
    refused(take(*state, 4, sum), ERROR_UNTRUSTED, OTHERS_DISAGREE);
    sum->n_sharers = 4;
    wire_sum_free(sum);
}

static void test_sum_of_other_inputs_than_others_agreed_to_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->inputs_digest.data[3] ^= 1;
    refused(take(*state, 4, sum), ERROR_UNTRUSTED, OTHERS_DISAGREE);
    wire_sum_free(sum);
}

static void test_sum_of_another_attempt_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    sum->attempt = 1;
    sign(scene, sum);
    refused(take(scene, 4, sum), ERROR_UNTRUSTED, OTHERS_DISAGREE);
    expect_refused(scene, sum, ERROR_UNTRUSTED, "not of the sites and inputs that this site agreed to");
}

static void test_sum_of_other_keys_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    sum->keyset_hash.data[0] ^= 1;
    sign(scene, sum);
    refused(take(scene, 4, sum), ERROR_UNTRUSTED, OTHERS_DISAGREE);
    wire_sum_free(sum);
    sum = scene_sum(scene); /* the slot says which keys are meant */
    sum->slot = 1;
    expect_refused(scene, sum, ERROR_REFUSED, "without the adverts of it");
    sum = masked_sum(scene->masked, &scene->attempt, true);
    sum->slot = 1;
    expect_refused(scene, sum, ERROR_UNTRUSTED, "not those of its keys");
}

static void test_sum_of_a_round_that_began_with_another_model_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    struct digest other = masked_zeros();
    uint32_t round = 0;
    other.bytes[0] ^= 1;
    refused(take_with(scene, 4, scene->masked->keyset, &other, sum, &round), ERROR_UNTRUSTED,
            "The sum of round 1: " NOT_SIGNED);
    wire_sum_free(sum);
}

/* ---- who and how many ---- */

static void test_sum_of_too_few_contributors_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    sum->n_contributors = 2;
    sign(scene, sum);
    expect_refused(scene, sum, ERROR_REFUSED, "of 2 sites, and this job needs 3");
}

static void test_sum_of_a_contributor_that_did_not_share_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    sum->n_sharers = 2;
    sign(scene, sum);
    expect_refused(scene, sum, ERROR_INVALID, "Sum: contributors must be among the sharers.");
}

static void test_sum_of_too_few_organisations_refused(void **state)
{
    struct scene *scene = *state;
    struct policy_gate *gate = &scene->masked->sites[0]->policy.gate;
    Fds__Sum *sum = scene_sum(scene);
    gate->secure.min_organisations = 4;
    expect_refused(scene, sum, ERROR_REFUSED, "organisations");
    gate->secure.min_organisations = 2;
}

static void test_sum_of_a_later_round_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->round = 2;
    expect_refused(*state, sum, ERROR_REFUSED, "has the model of round 1");
}

static void test_sum_of_another_length_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->words.len -= 8;
    expect_refused(*state, sum, ERROR_INVALID, "words must be");
}

/* ---- the evidence ---- */

static void test_sum_false_but_signed_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    sum->words.data[8] ^= 1;
    sign(scene, sum);
    expect_refused(scene, sum, ERROR_UNTRUSTED, "give another one");
}

static void test_sum_without_inputs_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    size_t count = sum->n_inputs;
    sum->n_inputs = 0;
    refused(take(*state, 1, sum), ERROR_REFUSED, "without the inputs");
    sum->n_inputs = count;
    wire_sum_free(sum);
}

static void test_sum_with_another_input_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->inputs[2].data[0] ^= 1;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "not those that the sites agreed on");
}

static void test_sum_with_inputs_exchanged_refused(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    ProtobufCBinaryData first = sum->inputs[0];
    sum->inputs[0] = sum->inputs[1];
    sum->inputs[1] = first;
    expect_refused(*state, sum, ERROR_UNTRUSTED, "not those that the sites agreed on");
}

static void test_sum_with_another_secret_refused_naming_the_site(void **state)
{
    Fds__Sum *sum = scene_sum(*state);
    sum->opened.data[DIGEST_BYTES + 1] ^= 1; /* b of site 2 */
    expect_refused(*state, sum, ERROR_UNTRUSTED, "The opened secret of site 2 of the roster is not the one");
    sum = scene_sum(*state);
    sum->opened.data[3 * DIGEST_BYTES + 1] ^= 1; /* s of site 4 */
    expect_refused(*state, sum, ERROR_UNTRUSTED, "The opened secret of site 4 of the roster is not the one");
    sum = scene_sum(*state);
    sum->opened.len -= DIGEST_BYTES;
    expect_refused(*state, sum, ERROR_INVALID, "Sum: opened must have the secrets of 4 sites");
}

static void test_sum_of_a_batch_that_the_site_has_no_keys_of_refused_without_adverts(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = scene_sum(scene);
    uint32_t round = 0;
    refused(take_with(scene, 1, NULL, NULL, sum, &round), ERROR_REFUSED, "without the adverts");
    wire_sum_free(sum);
}

#define ADVERT_REFUSED(change, code, words)                                                                  \
    do {                                                                                                     \
        uint32_t round = 0;                                                                                  \
        Fds__Sum *sum = masked_sum(scene->masked, &scene->attempt, true);                                    \
        Fds__Advert *advert = sum->adverts[0];                                                               \
        change;                                                                                              \
        refused(take_with(scene, 1, NULL, NULL, sum, &round), code, words);                                  \
        wire_sum_free(sum);                                                                                  \
    } while (0)

static void test_sum_with_a_field_of_an_advert_wrong_refused(void **state)
{
    struct scene *scene = *state;
    const char *not_signed = "The keys of site 1 of the roster: " NOT_SIGNED;
    ADVERT_REFUSED(advert->job_id.data[0] ^= 1, ERROR_INVALID, "Advert: job_id is that of another job.");
    ADVERT_REFUSED(advert->run_id.data[0] ^= 1, ERROR_INVALID, "Advert: run_id is that of another run.");
    ADVERT_REFUSED(advert->first_slot++, ERROR_UNTRUSTED, not_signed);
    ADVERT_REFUSED(advert->count--, ERROR_INVALID, "Advert: count is 7, and entries has 8.");
    ADVERT_REFUSED(advert->public_key.data[0] ^= 1, ERROR_UNTRUSTED, "is not in the job's list of sites");
    ADVERT_REFUSED(advert->ledger_sequence++, ERROR_UNTRUSTED, not_signed);
    ADVERT_REFUSED(advert->ledger_head.data[0] ^= 1, ERROR_UNTRUSTED, not_signed);
    ADVERT_REFUSED(advert->entries.data[0] ^= 1, ERROR_UNTRUSTED, not_signed);
    ADVERT_REFUSED(advert->entries.data[32] ^= 1, ERROR_UNTRUSTED, not_signed);
    ADVERT_REFUSED(advert->entries.data[64] ^= 1, ERROR_UNTRUSTED, not_signed);
    ADVERT_REFUSED(advert->signature.data[0] ^= 1, ERROR_UNTRUSTED, not_signed);
}

/* All of them are signed, and they are not the keys that were used. */
static void test_sum_with_adverts_of_other_keys_refused(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *sum = masked_sum(scene->masked, &scene->attempt, true);
    uint32_t round = 0;
    Fds__Advert *last = sum->adverts[--sum->n_adverts];
    refused(take_with(scene, 1, NULL, NULL, sum, &round), ERROR_UNTRUSTED, "not those of its keys");
    sum->adverts[sum->n_adverts++] = last;
    wire_sum_free(sum);
}

/* ---- what is kept ---- */

static void test_refusals_leave_a_bounded_number_of_events(void **state)
{
    struct scene *scene = *state;
    struct site *site = scene->masked->sites[0];
    Fds__Sum *sum = scene_sum(scene);
    sum->words.data[8] ^= 1;
    for (size_t i = 0; i < 40; i++)
        refused(take(scene, 1, sum), ERROR_UNTRUSTED, NOT_SIGNED);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'sum-refused'"), 16);
    wire_sum_free(sum);
}

static void test_sum_that_holds_taken_once_with_keys_or_with_adverts(void **state)
{
    struct scene *scene = *state;
    Fds__Sum *plain = scene_sum(scene), *full = masked_sum(scene->masked, &scene->attempt, true);
    uint32_t round = 0;
    must(take(scene, 1, plain));
    must(take(scene, 1, plain));
    must(take_with(scene, 4, NULL, NULL, full, &round));
    struct secagg_model one = masked_model(scene->masked, 1), four = masked_model(scene->masked, 4);
    assert_int_equal(one.round, 2);
    assert_true(digest_equal(&one.digest, &four.digest));
    assert_int_equal(
        site_count(scene->masked->sites[0], "SELECT count(*) FROM event WHERE kind = 'sum-taken'"), 1);
    secagg_model_clear(&one);
    secagg_model_clear(&four);
    wire_sum_free(plain);
    wire_sum_free(full);
}

/* Whoever may write the file exchanges the model, with its digest or without it, or goes back to the first one. */
static void test_model_edited_in_the_database_refused(void **state)
{
    struct scene *scene = scene_open(NULL);
    struct site *site = scene->masked->sites[0];
    struct digest zeros = masked_zeros();
    Fds__Sum *sum = scene_sum(scene);
    char hex[DIGEST_HEX_BYTES], sql[256];
    (void)state;
    must(take(scene, 1, sum));
    site_sql(site, "CREATE TABLE kept AS SELECT * FROM secagg_model");
    site_sql(site, "UPDATE secagg_model SET parameters = zeroblob(length(parameters))");
    refused(take(scene, 1, sum), ERROR_UNTRUSTED, "somebody edited it");
    digest_hex(&zeros, hex);
    (void)snprintf(sql, sizeof(sql), "UPDATE secagg_model SET digest = x'%s'", hex);
    site_sql(site, sql);
    refused(take(scene, 1, sum), ERROR_UNTRUSTED, "somebody edited it");
    site_sql(site, "UPDATE secagg_model SET round = 1");
    refused(take(scene, 1, sum), ERROR_UNTRUSTED, "somebody edited it");
    site_sql(
        site,
        "UPDATE secagg_model SET (round, digest, parameters) = (SELECT 3, digest, parameters FROM kept)");
    refused(take(scene, 1, sum), ERROR_UNTRUSTED, "somebody edited it");
    site_sql(site,
             "UPDATE secagg_model SET (round, parameters) = (SELECT round, parameters FROM kept), digest = "
             "zeroblob(32)");
    refused(take(scene, 1, sum), ERROR_UNTRUSTED, "somebody edited it");
    site_sql(
        site,
        "UPDATE secagg_model SET (round, digest, parameters) = (SELECT round, digest, parameters FROM kept)");
    must(take(scene, 1, sum));
    wire_sum_free(sum);
    scene_close(scene);
}

/* ---- without verify_sum ---- */

/* The job says so, and `datasite show` says what it means. */
static void test_sum_without_verify_sum_taken_on_the_signatures(void **state)
{
    struct scene *scene = scene_open(", verify_sum: false");
    Fds__Sum *sum = scene_sum(scene);
    (void)state;
    sum->agreements[0]->signature.data[0] ^= 1;
    refused(take(scene, 1, sum), ERROR_UNTRUSTED, OTHERS_DISAGREE);
    sum->agreements[0]->signature.data[0] ^= 1;
    sum->words.data[8] ^= 1; /* false, and signed */
    sign(scene, sum);
    must(take(scene, 1, sum));
    wire_sum_free(sum);
    scene_close(scene);
}

static void test_sum_of_no_examples_refused(void **state)
{
    struct scene *scene = scene_open(", verify_sum: false");
    Fds__Sum *sum = scene_sum(scene);
    (void)state;
    memset(sum->words.data, 0, 8);
    sign(scene, sum);
    refused(take(scene, 1, sum), ERROR_INVALID, "");
    wire_sum_free(sum);
    scene_close(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_that_nobody_signed_refused),
        cmocka_unit_test(test_sum_signed_by_another_than_the_requester_refused),
        cmocka_unit_test(test_sum_with_two_agreements_refused),
        cmocka_unit_test(test_sum_with_a_false_agreement_refused_naming_the_site),
        cmocka_unit_test(test_sum_of_other_contributors_than_this_site_agreed_to_refused),
        cmocka_unit_test(test_sum_of_other_inputs_than_this_site_agreed_to_refused),
        cmocka_unit_test(test_sum_of_other_sites_than_others_agreed_to_refused),
        cmocka_unit_test(test_sum_of_other_inputs_than_others_agreed_to_refused),
        cmocka_unit_test(test_sum_of_another_attempt_refused),
        cmocka_unit_test(test_sum_of_other_keys_refused),
        cmocka_unit_test(test_sum_of_a_round_that_began_with_another_model_refused),
        cmocka_unit_test(test_sum_of_too_few_contributors_refused),
        cmocka_unit_test(test_sum_of_a_contributor_that_did_not_share_refused),
        cmocka_unit_test(test_sum_of_too_few_organisations_refused),
        cmocka_unit_test(test_sum_of_a_later_round_refused),
        cmocka_unit_test(test_sum_of_another_length_refused),
        cmocka_unit_test(test_sum_false_but_signed_refused),
        cmocka_unit_test(test_sum_without_inputs_refused),
        cmocka_unit_test(test_sum_with_another_input_refused),
        cmocka_unit_test(test_sum_with_inputs_exchanged_refused),
        cmocka_unit_test(test_sum_with_another_secret_refused_naming_the_site),
        cmocka_unit_test(test_sum_of_a_batch_that_the_site_has_no_keys_of_refused_without_adverts),
        cmocka_unit_test(test_sum_with_a_field_of_an_advert_wrong_refused),
        cmocka_unit_test(test_sum_with_adverts_of_other_keys_refused),
        cmocka_unit_test(test_refusals_leave_a_bounded_number_of_events),
        cmocka_unit_test(test_sum_that_holds_taken_once_with_keys_or_with_adverts),
        cmocka_unit_test(test_model_edited_in_the_database_refused),
        cmocka_unit_test(test_sum_without_verify_sum_taken_on_the_signatures),
        cmocka_unit_test(test_sum_of_no_examples_refused),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
