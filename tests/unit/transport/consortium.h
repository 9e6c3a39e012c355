/* A consortium for the transport's tests: a CA, certificates of it for nodes, and what nodes say of each
 * other. */
#pragma once

#include "crypto/authority.h"
#include "tests/unit/transport/node.h"

struct consortium {
    char folder[NODE_PATH_BYTES];
    char ca_file[NODE_PATH_BYTES + 16];
    char crl_file[NODE_PATH_BYTES + 16];
    struct authority *authority;
};

/* A CA in a folder of the scene; the caller frees `authority`. */
void consortium_begin(struct scene *scene, const char *folder, struct consortium *consortium);

/* Gives the node a certificate of the consortium. */
void consortium_enrol(struct consortium *consortium, struct node *node);

/* b has a certificate of the consortium and dials a, which trusts the consortium and lists nobody. */
void lobby_open(struct scene *scene, struct consortium *consortium);

/* Both a and b show a refusal with these words, and neither has been up. */
void expect_refusals(struct scene *scene, const char *at_listener, const char *at_dialler);
