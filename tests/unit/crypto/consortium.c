#include "consortium.h"

struct consortium consortium_new(const char *directory)
{
    struct consortium consortium = {0};
    succeeds(authority_create(scratch_path(directory, "ca", consortium.ca), "site", &consortium.authority));
    succeeds(identity_create(scratch_path(directory, "keys", consortium.keys), "site", &consortium.identity));
    succeeds(identity_request(consortium.identity, &consortium.request));
    return consortium;
}

void consortium_free(struct consortium *consortium)
{
    authority_free(consortium->authority);
    identity_free(consortium->identity);
    free(consortium->request);
}

X509 *consortium_certificate(const struct consortium *consortium)
{
    char path[SCRATCH_PATH_BYTES];
    return forge_read_certificate(scratch_path(consortium->ca, "ca.crt", path));
}

X509_CRL *consortium_list(const struct consortium *consortium)
{
    char path[SCRATCH_PATH_BYTES];
    return forge_read_list(scratch_path(consortium->ca, "ca.crl", path));
}

size_t consortium_issued(const struct consortium *consortium)
{
    char path[SCRATCH_PATH_BYTES];
    return scratch_entries(scratch_path(consortium->ca, "issued", path));
}

X509 *consortium_leaf(struct consortium *consortium, int days)
{
    struct site_id id;
    char *pem = NULL;
    succeeds(authority_issue(consortium->authority, consortium->request, days, &id, &pem));
    assert_true(site_id_equal(&id, identity_id(consortium->identity)));
    X509 *leaf = forge_read_certificate_text(pem);
    free(pem);
    return leaf;
}

int consortium_verify(const struct consortium *consortium, X509 *leaf, bool with_list)
{
    X509 *certificate = consortium_certificate(consortium);
    X509_CRL *list = with_list ? consortium_list(consortium) : NULL;
    int result = forge_verify(leaf, certificate, list);
    X509_free(certificate);
    X509_CRL_free(list);
    return result;
}

void consortium_refuses_to_load(const struct consortium *consortium, enum error_code code, const char *text)
{
    struct authority *loaded = NULL;
    fails_saying(authority_load(consortium->ca, &loaded), code, text);
    assert_null(loaded);
}
