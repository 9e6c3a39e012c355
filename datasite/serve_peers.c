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

/* Peers of the store: pinned ones and members apart, and to the pinned ones whom we dial. Both arrays have
 * the room. */
static struct error *peers_sort(const struct node_config *config, const struct peer *peers, size_t count,
                                struct serve_peers *peers_of)
{
    struct error *err = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(peers[i].added_by, PEER_BY_INVITATION) == 0)
            peers_of->listed[peers_of->listed_count++] = peers[i].id;
        else
            peers_of->members[peers_of->member_count++] = peers[i].id;
    }
    for (size_t i = 0; i < config->dial_count; i++)
        TRY(site_id_parse(config->dial[i].fingerprint, &peers_of->listed[peers_of->listed_count++]));
    qsort(peers_of->listed, peers_of->listed_count, sizeof(*peers_of->listed), peers_compare);
    qsort(peers_of->members, peers_of->member_count, sizeof(*peers_of->members), peers_compare);
done:
    return err;
}

void serve_peers_clear(struct serve_peers *peers)
{
    free(peers->listed);
    free(peers->members);
    memset(peers, 0, sizeof(*peers));
}

struct error *serve_peers_read(struct store *store, const struct node_config *config,
                               struct serve_peers *ret_peers)
{
    struct error *err = NULL;
    struct peer *stored = NULL;
    struct serve_peers peers = {.listed = NULL};
    size_t count = 0;
    TRY(store_peer_list(store, &stored, &count));
    peers.listed = calloc(count + config->dial_count + 1, sizeof(*peers.listed));
    peers.members = calloc(count + 1, sizeof(*peers.members));
    if (peers.listed == NULL || peers.members == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of peers.");
    TRY(peers_sort(config, stored, count, &peers));
    *ret_peers = peers;
    memset(&peers, 0, sizeof(peers));
done:
    serve_peers_clear(&peers);
    free(stored);
    return err;
}

bool serve_peers_same(const struct serve_peers *a, const struct serve_peers *b)
{
    return peers_equal(a->listed, a->listed_count, b->listed, b->listed_count) &&
           peers_equal(a->members, a->member_count, b->members, b->member_count);
}

static bool peers_find(const struct site_id *peers, size_t count, const struct site_id *peer)
{
    return count > 0 && bsearch(peer, peers, count, sizeof(*peer), peers_compare) != NULL;
}

bool serve_peers_is_listed(void *context, const struct site_id *peer)
{
    const struct serve *serve = context;
    return peers_find(serve->peers.listed, serve->peers.listed_count, peer) ||
           peers_find(serve->peers.members, serve->peers.member_count, peer);
}

size_t serve_peers_count(const struct serve *serve)
{
    return serve->peers.listed_count + serve->peers.member_count;
}

struct session_trust serve_peers_trust(const struct serve_peers *peers, const struct node_config *config)
{
    return (struct session_trust){
        .listed = peers->listed,
        .listed_count = peers->listed_count,
        .members = peers->members,
        .member_count = peers->member_count,
        .ca_file = config->ca_file[0] == '\0' ? NULL : config->ca_file,
        .crl_file = config->crl_file[0] == '\0' ? NULL : config->crl_file,
    };
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
