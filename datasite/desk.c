#include "datasite/desk.h"

void desk_id(const struct digest *id, char ret_id[static DESK_ID_BYTES])
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(id, hex);
    memcpy(ret_id, hex, DESK_DIGITS);
    ret_id[DESK_DIGITS] = '\0';
}

struct error *desk_open(const struct invocation *invocation, enum store_mode mode, struct desk *ret_desk)
{
    struct error *err = NULL;
    struct desk desk = {.home = NULL};
    TRY(home_open(invocation->home, &desk.home));
    TRY(home_store(desk.home, mode, &desk.identity, &desk.store));
    TRY(store_job_find_prefix(desk.store, invocation->arguments[0], &desk.record));
    TRY(job_parse((const char *)desk.record.bytes, desk.record.byte_count, "the stored job", &desk.job));
    desk_id(&desk.record.id, desk.id);
    *ret_desk = desk;
    memset(&desk, 0, sizeof(desk));
done:
    desk_close(&desk);
    return err;
}

void desk_close(struct desk *desk)
{
    job_free(desk->job);
    job_record_clear(&desk->record);
    store_close(desk->store);
    identity_free(desk->identity);
    home_free(desk->home);
    memset(desk, 0, sizeof(*desk));
}

struct error *desk_is_listed(struct store *store, const struct site_id *requester, bool *ret_listed)
{
    struct peer *peers = NULL;
    size_t count = 0;
    struct error *err = store_peer_list(store, &peers, &count);
    if (err != NULL)
        return err;
    *ret_listed = false;
    for (size_t i = 0; i < count; i++)
        *ret_listed = *ret_listed || site_id_equal(&peers[i].id, requester);
    free(peers);
    return NULL;
}

const char *desk_protection(const struct job *job)
{
    if (job_private(job))
        return job->secure.enabled ? "secure-aggregation, privacy" : "privacy";
    return job->secure.enabled ? "secure-aggregation" : "none";
}
