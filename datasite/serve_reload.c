/* SIGHUP: everything is read before anything is replaced, so that a mistake in a file leaves the daemon as it
 * was. */
#include "datasite/serve_parts.h"

/* The files as they are now. */
struct reload {
    struct home *home;
    struct policy *policy;
    struct policy_stamp policy_stamp; /* from before it was read */
    struct digest policy_digest;
    struct identity *certificate;
    struct serve_peers peers;
};

static void reload_clear(struct reload *reload)
{
    home_free(reload->home);
    policy_free(reload->policy);
    identity_free(reload->certificate);
    serve_peers_clear(&reload->peers);
}

static struct error *reload_read(struct serve *serve, struct reload *reload)
{
    struct error *err = NULL;
    TRY(home_open(serve->home->path, &reload->home));
    reload->policy_stamp = serve_policy_stamp(reload->home->policy_path);
    err = serve_policy_read(reload->home->policy_path, &reload->policy, &reload->policy_digest);
    if (err != NULL) {
        serve->policy_read = reload->policy_stamp; /* said once */
        err = error_prefix(err, SERVE_POLICY_UNREAD);
        goto done;
    }
    TRY(identity_load(reload->home->keys_path, &reload->certificate));
    if (!site_id_equal(identity_id(reload->certificate), identity_id(serve->identity)))
        FAIL(ERROR_UNTRUSTED,
             "The key in %s is another one than the daemon started with: restart the daemon.",
             reload->home->keys_path);
    if (strcmp(reload->home->config->listen, serve->home->config->listen) != 0 ||
        reload->home->config->threads != serve->home->config->threads)
        FAIL(ERROR_INVALID, "`listen` and `threads` of %s take effect when the daemon is restarted.",
             reload->home->config_path);
    TRY(serve_peers_read(serve->store, reload->home->config, &reload->peers));
done:
    return err;
}

/* The one thing that may still be refused: certificate, lists and the authority's files, which the session
 * takes whole or not at all. Then `serve` is still as it was. */
static struct error *reload_session(const struct serve *serve, const struct reload *reload)
{
    struct session_trust trust = serve_peers_trust(&reload->peers, reload->home->config);
    return session_reload(serve->session, reload->certificate, &trust);
}

/* Exchanges the old for the new; what was in force is left in `reload` for reload_clear. */
static void reload_swap(struct serve *serve, struct reload *reload)
{
    struct reload before = {.home = serve->home,
                            .policy = serve->policy,
                            .certificate = serve->certificate,
                            .peers = serve->peers};
    serve->home = reload->home;
    serve->policy = reload->policy;
    serve->policy_read = reload->policy_stamp;
    serve->certificate = reload->certificate;
    serve->peers = reload->peers;
    serve->requests.policy = serve->policy;
    executor_set_policy(serve->executor, serve->policy);
    *reload = before;
}

void serve_reload(struct serve *serve)
{
    struct error *err = NULL;
    struct reload reload = {.home = NULL};
    TRY(reload_read(serve, &reload));
    TRY(reload_session(serve, &reload));
    TRY(serve_policy_note(serve, reload.policy, &reload.policy_digest));
    reload_swap(serve, &reload);
    requests_recheck(&serve->requests, serve_peers_is_listed, serve);
    serve->certificate_due = 0;
    LOG(&serve->log, EVENT_CONFIG_RELOADED, log_count("peers", serve_peers_count(serve)));
    TRY(serve_peers_dial(serve, reload.home->config));
done:
    if (err != NULL)
        LOG(&serve->log, EVENT_RELOAD_FAILED, log_sentence(err->sentence));
    error_free(err);
    reload_clear(&reload);
}
