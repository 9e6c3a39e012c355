/* Who is admitted. A certificate passes if it is now valid, for an Ed25519 key, and
 *     pinned: its fingerprint is the dialled one or is listed (and a self-signed one has signed itself), or
 *     issued: its chain ends at a CA of ca_file and, with crl_file, nothing in it is revoked. A member that
 * is issued is not in the lobby; being a member alone admits nobody. A certificate that the revocation list
 * names is refused even when it is pinned. */
#include "crypto/certificate.h"
#include "crypto/openssl_error.h"
#include "schemas/clock.h"
#include "schemas/text.h"
#include "transport/tunnel_parts.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#define TRUST_CHAIN_DEPTH 4
#define TRUST_SELF_BYTES (IDENTITY_NAME_BYTES + FINGERPRINT_BYTES + 8)

struct tunnel_trust {
    SSL_CTX *tls;
    char self[TRUST_SELF_BYTES];
    struct site_id *listed; /* sorted */
    size_t listed_count;
    struct site_id *members; /* sorted */
    size_t member_count;
    char *ca_file;
    char *crl_file;
    X509_STORE *store; /* NULL without ca_file */
    struct timespec ca_changed;
    struct timespec crl_changed;
};

static int tunnel_trust_order(const void *a, const void *b)
{
    return site_id_compare(a, b);
}

static struct timespec tunnel_trust_changed(const char *path)
{
    struct stat status;
    if (path == NULL || stat(path, &status) != 0)
        return (struct timespec){0};
    return status.st_mtim;
}

/* Loads ca_file and crl_file into a new store. */
static struct error *tunnel_trust_store(const struct tunnel_trust *trust, X509_STORE **ret_store)
{
    struct error *err = NULL;
    X509_STORE *store = X509_STORE_new();
    if (store == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a list of CAs.");
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a list of CAs.");
    if (X509_load_cert_file(lookup, trust->ca_file, X509_FILETYPE_PEM) <= 0)
        FAIL(ERROR_INVALID,
             "%s cannot be used as a list of CA certificates: it has to hold at least one in PEM.",
             trust->ca_file);
    if (trust->crl_file != NULL && X509_load_crl_file(lookup, trust->crl_file, X509_FILETYPE_PEM) <= 0)
        FAIL(ERROR_INVALID, "%s cannot be used as a revocation list: it has to hold the CA's list in PEM.",
             trust->crl_file);
    if (trust->crl_file != NULL)
        (void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    *ret_store = store;
    store = NULL;
done:
    ERR_clear_error();
    X509_STORE_free(store);
    return err;
}

/* A sorted copy; with a place more, so that none of them is not NULL. */
static struct site_id *tunnel_trust_sorted(const struct site_id *ids, size_t count)
{
    struct site_id *copy = calloc(count + 1, sizeof(*copy));
    if (copy == NULL)
        return NULL;
    if (count > 0)
        memcpy(copy, ids, count * sizeof(*copy));
    qsort(copy, count, sizeof(*copy), tunnel_trust_order);
    return copy;
}

static struct error *tunnel_trust_copy(const struct session_trust *from, struct tunnel_trust *trust)
{
    struct error *err = NULL;
    if (from->crl_file != NULL && from->ca_file == NULL)
        FAIL(ERROR_INVALID, "The revocation list %s needs the CA certificates that it belongs to.",
             from->crl_file);
    trust->listed = tunnel_trust_sorted(from->listed, from->listed_count);
    trust->listed_count = from->listed_count;
    trust->members = tunnel_trust_sorted(from->members, from->member_count);
    trust->member_count = from->member_count;
    if (from->ca_file != NULL)
        trust->ca_file = strdup(from->ca_file);
    if (from->crl_file != NULL)
        trust->crl_file = strdup(from->crl_file);
    if (trust->listed == NULL || trust->members == NULL ||
        (from->ca_file != NULL && trust->ca_file == NULL) ||
        (from->crl_file != NULL && trust->crl_file == NULL))
        FAIL(ERROR_MEMORY, "There is not enough memory for the trust list.");
done:
    return err;
}

struct error *tunnel_trust_new(const struct identity *identity, const struct session_trust *from,
                               struct tunnel_trust **ret_trust)
{
    struct error *err = NULL;
    struct tunnel_trust *trust = calloc(1, sizeof(*trust));
    char fingerprint[FINGERPRINT_BYTES];
    if (trust == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the trust list.");
    TRY(tunnel_trust_copy(from, trust));
    trust->ca_changed = tunnel_trust_changed(trust->ca_file);
    trust->crl_changed = tunnel_trust_changed(trust->crl_file);
    if (trust->ca_file != NULL)
        TRY(tunnel_trust_store(trust, &trust->store));
    TRY(tunnel_tls_context(identity, &trust->tls));
    site_id_format(identity_id(identity), fingerprint);
    (void)snprintf(trust->self, sizeof(trust->self), "'%s' (%s)", identity_name(identity), fingerprint);
    *ret_trust = trust;
    trust = NULL;
done:
    tunnel_trust_free(trust);
    return err;
}

void tunnel_trust_free(struct tunnel_trust *trust)
{
    if (trust == NULL)
        return;
    SSL_CTX_free(trust->tls);
    X509_STORE_free(trust->store);
    free(trust->listed);
    free(trust->members);
    free(trust->ca_file);
    free(trust->crl_file);
    free(trust);
}

SSL_CTX *tunnel_trust_tls(const struct tunnel_trust *trust)
{
    return trust->tls;
}

const char *tunnel_trust_self(const struct tunnel_trust *trust)
{
    return trust->self;
}

void tunnel_trust_refresh(struct tunnel_trust *trust)
{
    if (trust->ca_file == NULL)
        return;
    struct timespec ca = tunnel_trust_changed(trust->ca_file);
    struct timespec crl = tunnel_trust_changed(trust->crl_file);
    if (memcmp(&ca, &trust->ca_changed, sizeof(ca)) == 0 &&
        memcmp(&crl, &trust->crl_changed, sizeof(crl)) == 0)
        return;
    X509_STORE *store = NULL;
    struct error *err = tunnel_trust_store(trust, &store);
    if (err != NULL) {
        error_free(err); /* perhaps half-written: looked at again next time, the old lists hold until then */
        return;
    }
    X509_STORE_free(trust->store);
    trust->store = store;
    trust->ca_changed = ca;
    trust->crl_changed = crl;
}

static bool tunnel_trust_lists(const struct tunnel_trust *trust, const struct site_id *peer)
{
    return bsearch(peer, trust->listed, trust->listed_count, sizeof(*trust->listed), tunnel_trust_order) !=
           NULL;
}

static bool tunnel_trust_is_member(const struct tunnel_trust *trust, const struct site_id *peer)
{
    return bsearch(peer, trust->members, trust->member_count, sizeof(*trust->members), tunnel_trust_order) !=
           NULL;
}

/* Name and fingerprint, as far as the certificate has them. */
static struct error *tunnel_trust_identify(X509 *leaf, struct tunnel_verdict *verdict)
{
    struct error *err = NULL;
    struct error *unnamed = certificate_common_name("peer", X509_get_subject_name(leaf), verdict->name);
    if (unnamed != NULL)
        (void)snprintf(verdict->name, sizeof(verdict->name), "%s", "?");
    error_free(unnamed);
    text_make_printable(verdict->name);
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    verdict->x509_error = X509_V_ERR_CERT_REJECTED;
    if (key == NULL || !certificate_key_is_ed25519(key))
        FAIL(ERROR_UNTRUSTED, "The certificate of '%s' is not for an Ed25519 key; only those are accepted.",
             verdict->name);
    TRY(certificate_key_id(key, &verdict->peer));
    verdict->peer_known = true;
done:
    return err;
}

static struct error *tunnel_trust_check_dates(X509 *leaf, const char *who, int64_t now,
                                              struct tunnel_verdict *verdict)
{
    struct error *err = NULL;
    int64_t from = 0;
    int64_t until = 0;
    char when[CLOCK_TEXT_BYTES];
    char here[CLOCK_TEXT_BYTES];
    TRY(certificate_time(X509_get0_notBefore(leaf), &from));
    TRY(certificate_time(X509_get0_notAfter(leaf), &until));
    clock_format(now, here);
    if (now > until) {
        clock_format(until, when);
        verdict->x509_error = X509_V_ERR_CERT_HAS_EXPIRED;
        FAIL(ERROR_EXPIRED,
             "The certificate of %s expired on %s (the clock here says %s); its owner has to make "
             "or request a new one for the same key.",
             who, when, here);
    }
    if (now + LIMIT_CLOCK_SKEW_S < from) {
        clock_format(from, when);
        verdict->x509_error = X509_V_ERR_CERT_NOT_YET_VALID;
        FAIL(ERROR_EXPIRED,
             "The certificate of %s is valid only from %s, and the clock here says %s; one of the two "
             "clocks is wrong.",
             who, when, here);
    }
done:
    return err;
}

/* Whether a CA of ours vouches for the certificate at a time; X509_V_OK or why not. */
static int tunnel_trust_chain_at(const struct tunnel_trust *trust, X509 *leaf, STACK_OF(X509) * chain,
                                 int64_t when)
{
    int result = X509_V_ERR_OUT_OF_MEM;
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    if (check == NULL || X509_STORE_CTX_init(check, trust->store, leaf, chain) != 1)
        goto done;
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(check);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)when);
    X509_VERIFY_PARAM_set_depth(parameters, TRUST_CHAIN_DEPTH);
    result = X509_verify_cert(check) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(check);
done:
    X509_STORE_CTX_free(check);
    ERR_clear_error();
    return result;
}

/* A certificate or list made a moment ago by a machine whose clock is ahead is judged by that clock. It is a
 * whole second check, because OpenSSL stops at the first error, before it has looked at every signature. */
static int tunnel_trust_chain(const struct tunnel_trust *trust, X509 *leaf, STACK_OF(X509) * chain,
                              int64_t now)
{
    int result = tunnel_trust_chain_at(trust, leaf, chain, now);
    if (result == X509_V_ERR_CERT_NOT_YET_VALID || result == X509_V_ERR_CRL_NOT_YET_VALID)
        result = tunnel_trust_chain_at(trust, leaf, chain, now + LIMIT_CLOCK_SKEW_S);
    return result;
}

static bool tunnel_trust_self_issued(X509 *leaf)
{
    return X509_NAME_cmp(X509_get_subject_name(leaf), X509_get_issuer_name(leaf)) == 0;
}

/* Neither pinned nor issued: the sentence for it. */
static struct error *tunnel_trust_refuse(const struct tunnel_trust *trust, const char *who, bool member,
                                         int chain_error)
{
    if (chain_error == X509_V_ERR_CERT_REVOKED)
        return error_new(ERROR_UNTRUSTED, "The certificate of %s was revoked by its CA (%s).", who,
                         trust->crl_file);
    if (chain_error == X509_V_ERR_UNABLE_TO_GET_CRL || chain_error == X509_V_ERR_CRL_HAS_EXPIRED)
        return error_new(ERROR_UNTRUSTED,
                         "The certificate of %s cannot be checked for revocation: %s is %s; fetch "
                         "the CA's current list.",
                         who, trust->crl_file,
                         chain_error == X509_V_ERR_CRL_HAS_EXPIRED ? "out of date"
                                                                   : "not of the CA that issued it");
    if (member)
        return error_new(
            ERROR_UNTRUSTED,
            "%s is admitted here as a member of a consortium, and no CA in %s vouches for the "
            "certificate it shows (%s); it has to show one that the CA issued, or its fingerprint "
            "has to be added to the trust list of %s.",
            who, trust->ca_file != NULL ? trust->ca_file : "the configuration (it names none)",
            X509_verify_cert_error_string(chain_error), trust->self);
    if (trust->store == NULL)
        return error_new(ERROR_UNTRUSTED,
                         "The certificate of %s is not in the trust list of %s; to admit it, that "
                         "fingerprint has to be added.",
                         who, trust->self);
    return error_new(ERROR_UNTRUSTED,
                     "The certificate of %s is neither in the trust list of %s nor issued by a CA in "
                     "%s (%s).",
                     who, trust->self, trust->ca_file, X509_verify_cert_error_string(chain_error));
}

/* Which code goes to OpenSSL, and so which alert to the other side: what it can act on, else "unknown CA" (a
 * forged signature of a CA's namesake would become "decrypt error", which says nothing). */
static int tunnel_trust_alert(int chain_error)
{
    switch (chain_error) {
    case X509_V_OK:
    case X509_V_ERR_CERT_REVOKED:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return chain_error;
    default:
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    }
}

/* Pinned or issued? Dates and identity hold already. */
static struct error *tunnel_trust_admit(const struct tunnel_trust *trust, X509 *leaf, STACK_OF(X509) * chain,
                                        bool pinned, const char *who, int64_t now,
                                        struct tunnel_verdict *verdict)
{
    struct error *err = NULL;
    bool member = tunnel_trust_is_member(trust, &verdict->peer);
    bool self_issued = tunnel_trust_self_issued(leaf);
    int issued = X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
    if (trust->store != NULL && !self_issued)
        issued = tunnel_trust_chain(trust, leaf, chain, now);
    else if (!self_issued)
        issued = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    verdict->x509_error = tunnel_trust_alert(issued);
    if (issued == X509_V_ERR_CERT_REVOKED || (issued != X509_V_OK && !pinned))
        return tunnel_trust_refuse(trust, who, member, issued);
    if (self_issued && X509_verify(leaf, X509_get0_pubkey(leaf)) != 1) {
        verdict->x509_error = X509_V_ERR_CERT_SIGNATURE_FAILURE;
        FAIL(ERROR_UNTRUSTED, "The self-signed certificate of %s is damaged: its signature does not hold.",
             who);
    }
    verdict->lobby = !pinned && !member;
    verdict->x509_error = X509_V_OK;
done:
    ERR_clear_error();
    return err;
}

struct error *tunnel_trust_judge(const struct tunnel_trust *trust, X509 *leaf, STACK_OF(X509) * chain,
                                 const struct site_id *dialled, int64_t now, struct tunnel_verdict *verdict)
{
    struct error *err = NULL;
    char fingerprint[FINGERPRINT_BYTES];
    char who[IDENTITY_NAME_BYTES + FINGERPRINT_BYTES + 8];
    *verdict = (struct tunnel_verdict){.x509_error = X509_V_ERR_CERT_REJECTED};
    TRY(tunnel_trust_identify(leaf, verdict));
    site_id_format(&verdict->peer, fingerprint);
    (void)snprintf(who, sizeof(who), "'%s' (%s)", verdict->name, fingerprint);
    if (dialled != NULL && !site_id_equal(dialled, &verdict->peer)) {
        site_id_format(dialled, fingerprint);
        verdict->x509_error = X509_V_ERR_HOSTNAME_MISMATCH;
        FAIL(ERROR_UNTRUSTED,
             "Expected %s, but the certificate there is of %s: the address or the expected "
             "fingerprint is out of date, or somebody stands in between.",
             fingerprint, who);
    }
    TRY(tunnel_trust_check_dates(leaf, who, now, verdict));
    bool pinned = dialled != NULL || tunnel_trust_lists(trust, &verdict->peer);
    TRY(tunnel_trust_admit(trust, leaf, chain, pinned, who, now, verdict));
done:
    return err;
}
