#include "datasite/serve_parts.h"

static int peers_compare(const void *a, const void *b)
{
    return site_id_compare(a, b);
}

static bool peers_equal(const struct site_id *a, size_t a_count, const struct site_id *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        if (!site_id_equal(&a[i], &b[i]))
            return false;
    }
    return true;
}

struct error *serve_peers_load(struct serve *serve, bool *ret_changed)
{
    struct error *err = NULL;
    struct peer *peers = NULL;
    struct site_id *listed = NULL;
    size_t count = 0;
    const struct node_config *config = serve->home->config;
    TRY(store_peer_list(serve->store, &peers, &count));
    listed = calloc(count + config->dial_count + 1, sizeof(*listed));
    if (listed == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of peers.");
    for (size_t i = 0; i < count; i++)
        listed[i] = peers[i].id;
    for (size_t i = 0; i < config->dial_count; i++)
        TRY(site_id_parse(config->dial[i].fingerprint, &listed[count++]));
    qsort(listed, count, sizeof(*listed), peers_compare);
    *ret_changed = !peers_equal(listed, count, serve->listed, serve->listed_count);
    free(serve->listed);
    serve->listed = listed;
    serve->listed_count = count;
    listed = NULL;
done:
    free(listed);
    free(peers);
    return err;
}

bool serve_peers_is_listed(void *context, const struct site_id *peer)
{
    const struct serve *serve = context;
    return bsearch(peer, serve->listed, serve->listed_count, sizeof(*peer), peers_compare) != NULL;
}

struct session_trust serve_peers_trust(const struct serve *serve)
{
    const struct node_config *config = serve->home->config;
    return (struct session_trust){
        .listed = serve->listed,
        .listed_count = serve->listed_count,
        .ca_file = config->ca_file[0] == '\0' ? NULL : config->ca_file,
        .crl_file = config->crl_file[0] == '\0' ? NULL : config->crl_file,
    };
}

struct error *serve_peers_apply(struct serve *serve)
{
    struct session_trust trust = serve_peers_trust(serve);
    return session_reload(serve->session, serve->certificate, &trust);
}

static bool peers_has(const struct node_config *config, const struct job_site *site)
{
    for (size_t i = 0; i < config->dial_count; i++) {
        if (strcmp(config->dial[i].fingerprint, site->fingerprint) == 0 &&
            strcmp(config->dial[i].endpoint, site->endpoint) == 0)
            return true;
    }
    return false;
}

struct error *serve_peers_dial(struct serve *serve, const struct node_config *before)
{
    struct error *err = NULL;
    const struct node_config *config = serve->home->config;
    struct site_id id;
    for (size_t i = 0; before != NULL && i < before->dial_count; i++) {
        if (peers_has(config, &before->dial[i]))
            continue;
        TRY(site_id_parse(before->dial[i].fingerprint, &id));
        TRY(session_drop(serve->session, &id));
    }
    for (size_t i = 0; i < config->dial_count; i++) {
        if (before != NULL && peers_has(before, &config->dial[i]))
            continue;
        TRY(site_id_parse(config->dial[i].fingerprint, &id));
        TRY(session_dial(serve->session, &id, config->dial[i].endpoint));
    }
done:
    return err;
}
