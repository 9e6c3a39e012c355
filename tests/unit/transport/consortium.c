#include "tests/unit/transport/consortium.h"

void consortium_begin(struct scene *scene, const char *folder, struct consortium *consortium)
{
    (void)snprintf(consortium->folder, sizeof(consortium->folder), "%.100s/%s", scene->folder, folder);
    (void)snprintf(consortium->ca_file, sizeof(consortium->ca_file), "%.200s/ca.crt", consortium->folder);
    (void)snprintf(consortium->crl_file, sizeof(consortium->crl_file), "%.200s/ca.crl", consortium->folder);
    node_succeeds(authority_create(consortium->folder, "Consortium", &consortium->authority));
}

void consortium_enrol(struct consortium *consortium, struct node *node)
{
    char *request = NULL;
    char *chain = NULL;
    struct site_id id;
    node_succeeds(identity_request(node->identity, &request));
    node_succeeds(authority_issue(consortium->authority, request, 30, &id, &chain));
    node_succeeds(identity_install(node->keys, chain));
    identity_free(node->identity);
    node->identity = NULL;
    node_succeeds(identity_load(node->keys, &node->identity));
    free(request);
    free(chain);
}

void expect_refusals(struct scene *scene, const char *at_listener, const char *at_dialler)
{
    struct session_event refused = node_wait(scene, &scene->nodes[1], SESSION_REFUSED);
    node_expect_sentence(&refused, at_dialler);
    refused = node_wait(scene, &scene->nodes[0], SESSION_REFUSED);
    node_expect_sentence(&refused, at_listener);
    assert_false(session_is_up(scene->nodes[0].session, &scene->nodes[1].id));
    assert_false(session_is_up(scene->nodes[1].session, &scene->nodes[0].id));
    assert_int_equal(node_count(&scene->nodes[0], SESSION_UP), 0);
    assert_int_equal(node_count(&scene->nodes[1], SESSION_UP), 0);
}

void lobby_open(struct scene *scene, struct consortium *consortium)
{
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    consortium_enrol(consortium, b);
    node_open(scene, a,
              &(struct node_plan){
                  .listens = true, .ca_file = consortium->ca_file, .crl_file = consortium->crl_file});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
}
