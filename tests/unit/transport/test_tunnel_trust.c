/* Who is admitted and who is not, with a sentence on both sides. */
#include "tests/unit/transport/consortium.h"

#include <unistd.h>

#define ASK 32

static int64_t clock_in_three_years(void)
{
    return clock_now_ms() + (int64_t)3 * 365 * 86400 * 1000;
}

static int64_t clock_in_an_hour(void)
{
    return clock_now_ms() + (int64_t)3600 * 1000;
}

static void test_tunnel_trust_unlisted_dialler_is_refused_on_both_sides(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    char fingerprint[FINGERPRINT_BYTES];
    node_open(scene, a,
              &(struct node_plan){.listens = true, .listed = &scene->nodes[2].id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    site_id_format(&b->id, fingerprint);
    expect_refusals(scene, fingerprint, fingerprint);
}

static void test_tunnel_trust_expired_listener_is_refused_on_both_sides(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){.clock = clock_in_three_years});
    node_dial(b, a);
    expect_refusals(scene, "is not valid now", "expired on");
}

static void test_tunnel_trust_expired_dialler_is_refused_on_both_sides(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a,
              &(struct node_plan){
                  .listens = true, .listed = &b->id, .listed_count = 1, .clock = clock_in_three_years});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    expect_refusals(scene, "expired on", "is not valid now");
}

static void test_tunnel_trust_other_fingerprint_than_dialled_is_refused_on_both_sides(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){.listed = &a->id, .listed_count = 1});
    node_dial_port(b, &scene->nodes[2], session_port(a->session));
    expect_refusals(scene, "expected another key", "Expected sha256:");
}

static void test_tunnel_trust_clock_far_off_is_refused_on_both_sides(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){.clock = clock_in_an_hour});
    node_dial(b, a);
    expect_refusals(scene, "The clock of 'Beta' says", "The clock of 'Beta' says");
}

static void test_tunnel_trust_certificate_of_the_ca_comes_up_in_the_lobby(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    consortium_begin(scene, "ca", &consortium);
    lobby_open(scene, &consortium);
    struct session_event up = node_wait(scene, &scene->nodes[0], SESSION_UP);
    assert_true(up.lobby);
    assert_string_equal(up.peer_name, "Beta");
    up = node_wait(scene, &scene->nodes[1], SESSION_UP);
    assert_false(up.lobby);
    authority_free(consortium.authority);
}

static void test_tunnel_trust_listed_certificate_of_the_ca_is_not_in_the_lobby(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    consortium_begin(scene, "ca", &consortium);
    consortium_enrol(&consortium, b);
    node_open(scene, a,
              &(struct node_plan){.listens = true,
                                  .listed = &b->id,
                                  .listed_count = 1,
                                  .ca_file = consortium.ca_file,
                                  .crl_file = consortium.crl_file});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    struct session_event up = node_wait(scene, a, SESSION_UP);
    assert_false(up.lobby);
    authority_free(consortium.authority);
}

static void test_tunnel_trust_pinned_certificate_of_an_unknown_ca_is_admitted(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    consortium_begin(scene, "ca", &consortium);
    consortium_enrol(&consortium, b);
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    struct session_event up = node_wait(scene, a, SESSION_UP);
    assert_false(up.lobby);
    authority_free(consortium.authority);
}

/* Same name, another key: what a forged certificate of the consortium would be. */
static void test_tunnel_trust_certificate_of_a_namesake_ca_is_refused(void **state)
{
    struct scene *scene = *state;
    struct consortium real = {0};
    struct consortium namesake = {0};
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    consortium_begin(scene, "ca", &real);
    consortium_begin(scene, "namesake", &namesake);
    consortium_enrol(&namesake, b);
    node_open(scene, a, &(struct node_plan){.listens = true, .ca_file = real.ca_file});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    expect_refusals(scene, "neither in the trust list", "does not know this node's certificate");
    authority_free(real.authority);
    authority_free(namesake.authority);
}

static void test_tunnel_trust_self_signed_certificate_is_not_enough_for_a_ca(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    consortium_begin(scene, "ca", &consortium);
    node_open(scene, a, &(struct node_plan){.listens = true, .ca_file = consortium.ca_file});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    expect_refusals(scene, "neither in the trust list", "does not know this node's certificate");
    authority_free(consortium.authority);
}

static void test_tunnel_trust_revoked_certificate_is_refused_on_both_sides(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    consortium_begin(scene, "ca", &consortium);
    consortium_enrol(&consortium, &scene->nodes[1]);
    node_succeeds(authority_revoke(consortium.authority, &scene->nodes[1].id));
    node_open(
        scene, &scene->nodes[0],
        &(struct node_plan){.listens = true, .ca_file = consortium.ca_file, .crl_file = consortium.crl_file});
    node_open(scene, &scene->nodes[1], &(struct node_plan){0});
    node_dial(&scene->nodes[1], &scene->nodes[0]);
    expect_refusals(scene, "was revoked", "was revoked");
    authority_free(consortium.authority);
}

static void test_tunnel_trust_revoked_certificate_is_refused_even_when_listed(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *b = &scene->nodes[1];
    consortium_begin(scene, "ca", &consortium);
    consortium_enrol(&consortium, b);
    node_succeeds(authority_revoke(consortium.authority, &b->id));
    node_open(scene, &scene->nodes[0],
              &(struct node_plan){.listens = true,
                                  .listed = &b->id,
                                  .listed_count = 1,
                                  .ca_file = consortium.ca_file,
                                  .crl_file = consortium.crl_file});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, &scene->nodes[0]);
    expect_refusals(scene, "was revoked", "was revoked");
    authority_free(consortium.authority);
}

static void test_tunnel_trust_revoked_while_connected_is_closed_on_reload(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    consortium_begin(scene, "ca", &consortium);
    lobby_open(scene, &consortium);
    (void)node_wait(scene, a, SESSION_UP);
    node_succeeds(authority_revoke(consortium.authority, &scene->nodes[1].id));
    const struct session_trust trust = {.ca_file = consortium.ca_file, .crl_file = consortium.crl_file};
    node_succeeds(session_reload(a->session, a->identity, &trust));
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "was revoked");
    authority_free(consortium.authority);
}

static void test_tunnel_trust_revoked_while_connected_is_noticed_without_reload(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    scene->times.recheck = 100;
    consortium_begin(scene, "ca", &consortium);
    lobby_open(scene, &consortium);
    (void)node_wait(scene, a, SESSION_UP);
    node_succeeds(authority_revoke(consortium.authority, &scene->nodes[1].id));
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "was revoked");
    authority_free(consortium.authority);
}

static _Atomic int64_t clock_offset;

static int64_t clock_shifted(void)
{
    return clock_now_ms() + clock_offset;
}

static void test_tunnel_trust_expired_while_connected_is_closed(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    clock_offset = 0;
    scene->times.recheck = 100;
    node_open(
        scene, a,
        &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1, .clock = clock_shifted});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    (void)node_wait(scene, a, SESSION_UP);
    clock_offset = (int64_t)3 * 365 * 86400 * 1000;
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "expired on");
}

static void test_tunnel_trust_unlisted_while_connected_is_closed_on_reload(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    const struct session_trust nobody = {0};
    scene_connect(scene);
    node_succeeds(session_reload(a->session, a->identity, &nobody));
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "not in the trust list");
}

static void test_tunnel_trust_reload_with_another_key_is_refused(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    const struct session_trust nobody = {0};
    node_open(scene, a, &(struct node_plan){0});
    node_expect_error(session_reload(a->session, scene->nodes[1].identity, &nobody), ERROR_CONFLICT,
                      "another key");
}

static void test_tunnel_trust_unusable_ca_file_is_an_error_that_names_it(void **state)
{
    struct scene *scene = *state;
    char path[NODE_PATH_BYTES + 16];
    struct tunnel_trust *trust = NULL;
    (void)snprintf(path, sizeof(path), "%.200s/identity.key", scene->nodes[0].keys);
    const struct session_trust wrong = {.ca_file = path};
    node_expect_error(tunnel_trust_new(scene->nodes[0].identity, &wrong, &trust), ERROR_INVALID,
                      "identity.key");
    assert_null(trust);
}

/* ---- the lobby's 64 KiB ---- */

static const uint8_t too_long[LIMIT_LOBBY_MESSAGE];

static void test_tunnel_trust_long_message_to_a_lobby_is_refused_before_sending(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *b = &scene->nodes[1];
    uint64_t number = 0;
    consortium_begin(scene, "ca", &consortium);
    lobby_open(scene, &consortium);
    (void)node_wait(scene, b, SESSION_UP);
    node_expect_error(
        session_request(b->session, &scene->nodes[0].id, ASK, too_long, sizeof(too_long), &number),
        ERROR_LIMIT, "not in its trust list");
    node_succeeds(session_request(b->session, &scene->nodes[0].id, ASK, too_long,
                                  sizeof(too_long) - MESSAGE_OVERHEAD_BYTES, &number));
    struct session_event asked = node_wait(scene, &scene->nodes[0], SESSION_MESSAGE);
    session_event_clear(&asked);
    authority_free(consortium.authority);
}

static void test_tunnel_trust_long_message_queued_for_a_lobby_is_answered_by_a_refusal(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    uint64_t number = 0;
    consortium_begin(scene, "ca", &consortium);
    consortium_enrol(&consortium, b);
    node_open(scene, a, &(struct node_plan){.listens = true, .ca_file = consortium.ca_file});
    node_open(scene, b, &(struct node_plan){0});
    node_succeeds(session_request(b->session, &a->id, ASK, too_long, sizeof(too_long), &number));
    node_dial(b, a);
    struct session_event refused = node_wait(scene, b, SESSION_MESSAGE);
    assert_int_equal(refused.type, REFUSAL);
    assert_int_equal(refused.answers, number);
    session_event_clear(&refused);
    assert_true(session_is_up(b->session, &a->id));
    authority_free(consortium.authority);
}

static void test_tunnel_trust_long_message_sent_to_a_lobby_all_the_same_ends_the_connection(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    uint64_t number = 0;
    consortium_begin(scene, "ca", &consortium);
    lobby_open(scene, &consortium);
    (void)node_wait(scene, b, SESSION_UP);
    (void)node_wait(scene, a, SESSION_UP);
    session_peer_of(b->session, &a->id)->accepts = 0; /* a peer that does not keep the rule */
    node_succeeds(session_request(b->session, &a->id, ASK, too_long, sizeof(too_long), &number));
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "at most 65536");
    assert_int_equal(node_count(a, SESSION_MESSAGE), 0);
    authority_free(consortium.authority);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_tunnel_trust_unlisted_dialler_is_refused_on_both_sides),
        SCENE_TEST(test_tunnel_trust_expired_listener_is_refused_on_both_sides),
        SCENE_TEST(test_tunnel_trust_expired_dialler_is_refused_on_both_sides),
        SCENE_TEST(test_tunnel_trust_other_fingerprint_than_dialled_is_refused_on_both_sides),
        SCENE_TEST(test_tunnel_trust_clock_far_off_is_refused_on_both_sides),
        SCENE_TEST(test_tunnel_trust_certificate_of_the_ca_comes_up_in_the_lobby),
        SCENE_TEST(test_tunnel_trust_listed_certificate_of_the_ca_is_not_in_the_lobby),
        SCENE_TEST(test_tunnel_trust_pinned_certificate_of_an_unknown_ca_is_admitted),
        SCENE_TEST(test_tunnel_trust_certificate_of_a_namesake_ca_is_refused),
        SCENE_TEST(test_tunnel_trust_self_signed_certificate_is_not_enough_for_a_ca),
        SCENE_TEST(test_tunnel_trust_revoked_certificate_is_refused_on_both_sides),
        SCENE_TEST(test_tunnel_trust_revoked_certificate_is_refused_even_when_listed),
        SCENE_TEST(test_tunnel_trust_revoked_while_connected_is_closed_on_reload),
        SCENE_TEST(test_tunnel_trust_revoked_while_connected_is_noticed_without_reload),
        SCENE_TEST(test_tunnel_trust_expired_while_connected_is_closed),
        SCENE_TEST(test_tunnel_trust_unlisted_while_connected_is_closed_on_reload),
        SCENE_TEST(test_tunnel_trust_reload_with_another_key_is_refused),
        SCENE_TEST(test_tunnel_trust_unusable_ca_file_is_an_error_that_names_it),
        SCENE_TEST(test_tunnel_trust_long_message_to_a_lobby_is_refused_before_sending),
        SCENE_TEST(test_tunnel_trust_long_message_queued_for_a_lobby_is_answered_by_a_refusal),
        SCENE_TEST(test_tunnel_trust_long_message_sent_to_a_lobby_all_the_same_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
