/* Members: authorised by an approval, admitted only while a CA vouches for them. */
#include "tests/unit/transport/consortium.h"

#include <unistd.h>

static struct session_trust trust_of_member(const struct consortium *consortium, const struct node *member)
{
    return (struct session_trust){.members = &member->id,
                                  .member_count = 1,
                                  .ca_file = consortium->ca_file,
                                  .crl_file = consortium->crl_file};
}

/* b is a member; a trusts the consortium and pins nobody. */
static void member_open(struct scene *scene, const struct consortium *consortium)
{
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a,
              &(struct node_plan){.listens = true,
                                  .members = &b->id,
                                  .member_count = 1,
                                  .ca_file = consortium->ca_file,
                                  .crl_file = consortium->crl_file});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
}

static void test_tunnel_member_with_a_certificate_of_the_ca_is_not_in_the_lobby(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    consortium_begin(scene, "ca", &consortium);
    consortium_enrol(&consortium, &scene->nodes[1]);
    member_open(scene, &consortium);
    struct session_event up = node_wait(scene, &scene->nodes[0], SESSION_UP);
    assert_false(up.lobby);
    authority_free(consortium.authority);
}

/* What a member whose certificate was revoked or ran out would try: a certificate that it signs itself. */
static void test_tunnel_member_with_a_self_signed_certificate_is_refused(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    consortium_begin(scene, "ca", &consortium);
    member_open(scene, &consortium);
    expect_refusals(scene, "admitted here as a member", "does not know this node's certificate");
    authority_free(consortium.authority);
}

static void test_tunnel_member_without_any_ca_is_refused(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true, .members = &b->id, .member_count = 1});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    expect_refusals(scene, "admitted here as a member", "does not know this node's certificate");
}

static void test_tunnel_member_revoked_member_is_refused(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    consortium_begin(scene, "ca", &consortium);
    consortium_enrol(&consortium, &scene->nodes[1]);
    node_succeeds(authority_revoke(consortium.authority, &scene->nodes[1].id));
    member_open(scene, &consortium);
    expect_refusals(scene, "was revoked", "was revoked");
    authority_free(consortium.authority);
}

/* The whole attack: up as a member, revoked, back with a self-signed certificate for the same key. */
static void test_tunnel_member_revoked_member_does_not_come_back_with_its_own_signature(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    char self_signed[NODE_PATH_BYTES];
    char certificate[NODE_PATH_BYTES + 16];
    (void)snprintf(certificate, sizeof(certificate), "%.200s/identity.crt", b->keys);
    (void)snprintf(self_signed, sizeof(self_signed), "%.200s/kept.crt", scene->folder);
    assert_int_equal(link(certificate, self_signed), 0); /* the first certificate: self-signed */
    consortium_begin(scene, "ca", &consortium);
    consortium_enrol(&consortium, b);
    member_open(scene, &consortium);
    (void)node_wait(scene, a, SESSION_UP);
    (void)node_wait(scene, b, SESSION_UP);
    node_succeeds(authority_revoke(consortium.authority, &b->id));
    const struct session_trust trust = trust_of_member(&consortium, b);
    node_succeeds(session_reload(a->session, a->identity, &trust));
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "was revoked");
    node_close(b);
    for (size_t i = 0; i < a->event_count; i++)
        session_event_clear(&a->events[i]);
    a->event_count = 0;
    assert_int_equal(rename(self_signed, certificate), 0);
    identity_free(b->identity);
    b->identity = NULL;
    node_succeeds(identity_load(b->keys, &b->identity));
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    struct session_event refused = node_wait(scene, a, SESSION_REFUSED);
    while (strstr(refused.sentence, "admitted here as a member") == NULL) /* the former life's last attempt */
        refused = node_wait(scene, a, SESSION_REFUSED);
    assert_int_equal(node_count(a, SESSION_UP), 0);
    authority_free(consortium.authority);
}

/* Pinned is the owner's own decision about the key, whatever a CA says of a certificate for it. */
static void test_tunnel_member_pinned_too_is_admitted_with_its_own_signature(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    char *request = NULL;
    char *chain = NULL;
    struct site_id id;
    consortium_begin(scene, "ca", &consortium);
    node_succeeds(identity_request(b->identity, &request));
    node_succeeds(authority_issue(consortium.authority, request, 30, &id, &chain));
    node_succeeds(authority_revoke(consortium.authority, &id));
    node_open(scene, a,
              &(struct node_plan){.listens = true,
                                  .listed = &b->id,
                                  .listed_count = 1,
                                  .members = &b->id,
                                  .member_count = 1,
                                  .ca_file = consortium.ca_file,
                                  .crl_file = consortium.crl_file});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    struct session_event up = node_wait(scene, a, SESSION_UP);
    assert_false(up.lobby);
    free(request);
    free(chain);
    authority_free(consortium.authority);
}

static void test_tunnel_member_that_is_approved_while_in_the_lobby_has_to_connect_again(void **state)
{
    struct scene *scene = *state;
    struct consortium consortium = {0};
    struct node *a = &scene->nodes[0];
    consortium_begin(scene, "ca", &consortium);
    lobby_open(scene, &consortium);
    struct session_event up = node_wait(scene, a, SESSION_UP);
    assert_true(up.lobby);
    const struct session_trust trust = trust_of_member(&consortium, &scene->nodes[1]);
    node_succeeds(session_reload(a->session, a->identity, &trust));
    (void)node_wait(scene, a, SESSION_DOWN);
    up = node_wait(scene, a, SESSION_UP);
    assert_false(up.lobby);
    authority_free(consortium.authority);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_tunnel_member_with_a_certificate_of_the_ca_is_not_in_the_lobby),
        SCENE_TEST(test_tunnel_member_with_a_self_signed_certificate_is_refused),
        SCENE_TEST(test_tunnel_member_without_any_ca_is_refused),
        SCENE_TEST(test_tunnel_member_revoked_member_is_refused),
        SCENE_TEST(test_tunnel_member_revoked_member_does_not_come_back_with_its_own_signature),
        SCENE_TEST(test_tunnel_member_that_is_approved_while_in_the_lobby_has_to_connect_again),
        SCENE_TEST(test_tunnel_member_pinned_too_is_admitted_with_its_own_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
