/* TLS 1.3 over a non-blocking socket, and what its failures mean in words. */
#include "crypto/openssl_error.h"
#include "transport/tunnel_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>

#define TLS_CERTIFICATES_BYTES 32768 /* a chain of Ed25519 or P-256 certificates is some 3 KiB */
#define TLS_ALERT_REASON 1000        /* OpenSSL: reason code of a received alert = this + alert */
#define TLS_READ_AHEAD_BYTES 33000   /* two full records: fewer system calls a byte */

/* Runs inside the handshake: keeps the sentence, and gives OpenSSL the code that chooses the alert. */
static int tunnel_tls_verify(X509_STORE_CTX *store, void *argument)
{
    (void)argument;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tunnel_link *link = SSL_get_app_data(ssl);
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    const struct site_id *dialled = link->dialled ? &link->expected : NULL;
    struct error *err = tunnel_trust_judge(link->tunnel->trust, leaf, X509_STORE_CTX_get0_untrusted(store),
                                           dialled, tunnel_unix_seconds(link->tunnel), &link->verdict);
    X509_STORE_CTX_set_error(store, link->verdict.x509_error);
    if (err == NULL)
        return 1;
    error_free(link->failure);
    link->failure = err;
    link->refused = true;
    return 0;
}

/* No resumption: a ticket issued before a revocation would resume without any verification. */
static void tunnel_tls_no_resumption(SSL_CTX *context)
{
    (void)SSL_CTX_set_num_tickets(context, 0);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_max_early_data(context, 0);
}

static struct error *tunnel_tls_show(SSL_CTX *context, const struct identity *identity)
{
    struct error *err = NULL;
    STACK_OF(X509) *chain = identity_openssl_chain(identity);
    if (SSL_CTX_use_certificate(context, identity_openssl_certificate(identity)) != 1 ||
        SSL_CTX_use_PrivateKey(context, identity_openssl_key(identity)) != 1)
        TRY(openssl_error("setting up this node's certificate"));
    for (int i = 0; chain != NULL && i < sk_X509_num(chain); i++)
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(chain, i)) != 1)
            TRY(openssl_error("setting up this node's certificate chain"));
done:
    return err;
}

struct error *tunnel_tls_context(const struct identity *identity, SSL_CTX **ret_context)
{
    struct error *err = NULL;
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set1_sigalgs_list(context, "ed25519:ECDSA+SHA256") != 1)
        TRY(openssl_error("setting up TLS"));
    tunnel_tls_no_resumption(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, tunnel_tls_verify, NULL);
    SSL_CTX_set_max_cert_list(context, TLS_CERTIFICATES_BYTES);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, TLS_READ_AHEAD_BYTES);
    TRY(tunnel_tls_show(context, identity));
    *ret_context = context;
    context = NULL;
done:
    SSL_CTX_free(context);
    return err;
}

static bool tunnel_tls_is_number(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

struct error *tunnel_tls_start(struct tunnel_link *link)
{
    struct error *err = NULL;
    link->ssl = SSL_new(tunnel_trust_tls(link->tunnel->trust));
    if (link->ssl == NULL || SSL_set_fd(link->ssl, link->net) != 1 || SSL_set_app_data(link->ssl, link) != 1)
        TRY(openssl_error("starting TLS"));
    if (link->dialled) {
        SSL_set_connect_state(link->ssl);
        /* so that a load balancer can pass the connection on by name */
        if (!tunnel_tls_is_number(link->host) && SSL_set_tlsext_host_name(link->ssl, link->host) != 1)
            TRY(openssl_error("naming the dialled host"));
    } else {
        SSL_set_accept_state(link->ssl);
    }
done:
    return err;
}

/* ---- failures in words ---- */

static const char *tunnel_tls_alert_meaning(int alert)
{
    switch (alert) {
    case SSL_AD_UNKNOWN_CA:
        return "it does not know this node's certificate: neither its fingerprint is in the trust list "
               "there, "
               "nor did a CA trusted there issue it; its owner has to take this node's line of `invite` with "
               "`trust add` (a datasite) or `sites add` (an orchestrator)";
    case SSL_AD_CERTIFICATE_EXPIRED:
        return "for it this node's certificate is not valid now: it has expired, or a clock is wrong";
    case SSL_AD_CERTIFICATE_REVOKED:
        return "this node's certificate was revoked by its CA";
    case SSL_AD_CERTIFICATE_REQUIRED:
        return "it got no certificate from this node";
    case SSL_AD_BAD_CERTIFICATE:
        return "it expected another key than this node's, or found the certificate damaged";
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
        return "it does not accept this kind of certificate";
    case SSL_AD_PROTOCOL_VERSION:
        return "it does not speak TLS 1.3";
    case SSL_AD_HANDSHAKE_FAILURE:
        return "no common TLS parameters were found";
    case SSL_AD_UNRECOGNIZED_NAME:
        return "no node of that host name is behind that address";
    default:
        return SSL_alert_desc_string_long(alert);
    }
}

static struct error *tunnel_tls_alert(const struct tunnel_link *link, int alert)
{
    return error_new(ERROR_UNTRUSTED, "%s refused this node %s: %s (TLS alert %d).",
                     link->dialled ? link->host : link->address, tunnel_trust_self(link->tunnel->trust),
                     tunnel_tls_alert_meaning(alert), alert);
}

/* What a stranger did wrong. */
static struct error *tunnel_tls_stranger(const struct tunnel_link *link, int reason)
{
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return error_new(ERROR_INVALID,
                         "%s sent a plain HTTP request; this port speaks TLS 1.3 to known nodes.",
                         link->address);
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
        return error_new(ERROR_UNSUPPORTED, "%s offers no TLS 1.3, which is the only version accepted.",
                         link->address);
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_LENGTH_MISMATCH:
    case SSL_R_BAD_PACKET:
        return error_new(ERROR_INVALID, "%s does not speak TLS.", link->address);
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return error_new(ERROR_UNTRUSTED, "%s showed no certificate; every node has to show its own.",
                         link->address);
    default:
        return error_new(ERROR_INVALID, "TLS with %s failed: %s.", link->address,
                         ERR_reason_error_string(ERR_peek_last_error()) != NULL
                             ? ERR_reason_error_string(ERR_peek_last_error())
                             : "no reason given");
    }
}

static struct error *tunnel_tls_lost(const struct tunnel_link *link, int saved_errno)
{
    if (saved_errno == 0)
        return error_new(ERROR_UNAVAILABLE, "%s ended the connection without a goodbye.", link->address);
    return error_errno(ERROR_UNAVAILABLE, saved_errno, "The connection with %s was lost", link->address);
}

/* Sets link->failure from OpenSSL's queue, unless tunnel_tls_verify has set it. */
static enum tunnel_tls_result tunnel_tls_fail(struct tunnel_link *link, int kind, int saved_errno)
{
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    if (link->failure != NULL) {
        ERR_clear_error();
        return TUNNEL_TLS_FAILED;
    }
    if (kind == SSL_ERROR_SYSCALL || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        link->failure = tunnel_tls_lost(link, kind == SSL_ERROR_SYSCALL ? saved_errno : 0);
    } else if (reason > TLS_ALERT_REASON && reason <= TLS_ALERT_REASON + 255) {
        link->failure = tunnel_tls_alert(link, reason - TLS_ALERT_REASON);
        link->refused = true;
    } else {
        link->failure = tunnel_tls_stranger(link, reason);
        link->refused = true;
    }
    ERR_clear_error();
    return TUNNEL_TLS_FAILED;
}

/* ---- the operations ---- */

static enum tunnel_tls_result tunnel_tls_after(struct tunnel_link *link, int result, int saved_errno)
{
    int kind = SSL_get_error(link->ssl, result);
    switch (kind) {
    case SSL_ERROR_WANT_READ:
        link->tls_wants = POLLIN;
        return TUNNEL_TLS_WAIT;
    case SSL_ERROR_WANT_WRITE:
        link->tls_wants = POLLOUT;
        return TUNNEL_TLS_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return TUNNEL_TLS_ENDED;
    default:
        return tunnel_tls_fail(link, kind, saved_errno);
    }
}

enum tunnel_tls_result tunnel_tls_handshake(struct tunnel_link *link)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(link->ssl);
    return result == 1 ? TUNNEL_TLS_DONE : tunnel_tls_after(link, result, errno);
}

enum tunnel_tls_result tunnel_tls_read(struct tunnel_link *link, uint8_t *bytes, size_t count,
                                       size_t *ret_count)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(link->ssl, bytes, count, ret_count);
    return result == 1 ? TUNNEL_TLS_DONE : tunnel_tls_after(link, result, errno);
}

enum tunnel_tls_result tunnel_tls_write(struct tunnel_link *link, const uint8_t *bytes, size_t count,
                                        size_t *ret_count)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(link->ssl, bytes, count, ret_count);
    return result == 1 ? TUNNEL_TLS_DONE : tunnel_tls_after(link, result, errno);
}

void tunnel_tls_end(struct tunnel_link *link)
{
    if (link->ssl == NULL)
        return;
    ERR_clear_error();
    if (SSL_is_init_finished(link->ssl))
        (void)SSL_shutdown(link->ssl);
    SSL_free(link->ssl);
    link->ssl = NULL;
    ERR_clear_error();
}
