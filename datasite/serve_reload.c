/* SIGHUP: everything is read before anything is replaced, so that a mistake in a file leaves the daemon as it
 * was. */
#include "datasite/serve_parts.h"

/* The files as they are now. */
struct reload {
    struct home *home;
    struct policy *policy;
    struct identity *certificate;
};

static void reload_clear(struct reload *reload)
{
    home_free(reload->home);
    policy_free(reload->policy);
    identity_free(reload->certificate);
}

static struct error *reload_read(const struct serve *serve, struct reload *reload)
{
    struct error *err = NULL;
    TRY(home_open(serve->home->path, &reload->home));
    TRY(policy_load(reload->home->policy_path, &reload->policy));
    TRY(identity_load(reload->home->keys_path, &reload->certificate));
    if (!site_id_equal(identity_id(reload->certificate), identity_id(serve->identity)))
        FAIL(ERROR_UNTRUSTED,
             "The key in %s is another one than the daemon started with: restart the daemon.",
             reload->home->keys_path);
    if (strcmp(reload->home->config->listen, serve->home->config->listen) != 0 ||
        reload->home->config->threads != serve->home->config->threads)
        FAIL(ERROR_INVALID, "`listen` and `threads` of %s take effect when the daemon is restarted.",
             reload->home->config_path);
done:
    return err;
}

/* Exchanges the old for the new; what was in force is left in `reload` for reload_clear. */
static void reload_swap(struct serve *serve, struct reload *reload)
{
    struct home *home = serve->home;
    struct policy *policy = serve->policy;
    serve->home = reload->home;
    serve->policy = reload->policy;
    serve->requests.policy = serve->policy;
    executor_set_policy(serve->executor, serve->policy);
    reload->home = home;
    reload->policy = policy;
}

/* The session borrows the certificate until it has taken the next one. */
static struct error *reload_session(struct serve *serve, struct reload *reload)
{
    struct identity *before = serve->certificate;
    serve->certificate = reload->certificate;
    struct error *err = serve_peers_apply(serve);
    if (err != NULL)
        serve->certificate = before;
    else
        reload->certificate = before;
    return err;
}

void serve_reload(struct serve *serve)
{
    struct error *err = NULL;
    struct reload reload = {NULL, NULL, NULL};
    bool changed = false;
    TRY(reload_read(serve, &reload));
    reload_swap(serve, &reload);
    TRY(serve_peers_load(serve, &changed));
    TRY(reload_session(serve, &reload));
    TRY(serve_peers_dial(serve, reload.home->config));
    requests_recheck(&serve->requests, serve_peers_is_listed, serve);
    serve->certificate_due = 0;
    LOG(&serve->log, EVENT_CONFIG_RELOADED, log_count("peers", serve->listed_count));
done:
    if (err != NULL)
        LOG(&serve->log, EVENT_RELOAD_FAILED, log_sentence(err->sentence));
    error_free(err);
    reload_clear(&reload);
}
