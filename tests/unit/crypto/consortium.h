/* A certificate authority and one identity that may join it, for the tests of authority.h. */
#pragma once

#include "crypto/authority.h"

#include "forge.h"
#include "scratch.h"

/* An authority in <scratch>/ca and an identity in <scratch>/keys. */
struct consortium {
    char ca[SCRATCH_PATH_BYTES];
    char keys[SCRATCH_PATH_BYTES];
    struct authority *authority;
    struct identity *identity;
    char *request;
};

struct consortium consortium_new(const char *directory);
void consortium_free(struct consortium *consortium);

/* ca.crt and ca.crl as they are on disk. */
X509 *consortium_certificate(const struct consortium *consortium);
X509_CRL *consortium_list(const struct consortium *consortium);

/* How many files are in issued/. */
size_t consortium_issued(const struct consortium *consortium);

/* A leaf that the authority issues for the identity. */
X509 *consortium_leaf(struct consortium *consortium, int days);

/* What a verifier says who knows ca.crt and, if wanted, ca.crl: an X509_V_ number. */
int consortium_verify(const struct consortium *consortium, X509 *leaf, bool with_list);

void consortium_refuses_to_load(const struct consortium *consortium, enum error_code code, const char *text);
