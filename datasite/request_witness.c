/* The receipts that requesters present. A head that this site signed and does not have any more says that site.db was
 * put back to an earlier state, or copied: what it knows of decisions and rounds may be too little. */
#include "datasite/log_repeats.h"
#include "datasite/request_parts.h"
#include "schemas/clock.h"

/* Constant: nobody learns how far a forged one came. */
static struct error *witness_refused(void)
{
    return error_new(
        ERROR_UNTRUSTED,
        "The receipt that came with this request is not one of this site: present none, or the latest "
        "one of this site.");
}

static struct error *witness_verify(const struct requests *requests, const struct chain_head *head,
                                    const uint8_t *signature)
{
    uint8_t key[PUBLIC_KEY_BYTES];
    identity_public_key(requests->identity, key);
    struct error *err = chain_head_verify(key, head, signature);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        return witness_refused();
    }
    return err;
}

/* What the chain lacks is noted once; the requester hears of it by what is refused from then on. */
static struct error *witness_contradict(const struct requests *requests, const struct request *request,
                                        const struct chain_head *head)
{
    struct error *err = NULL;
    bool is_open = false;
    TRY(store_contradict(requests->store, &request->peer, head, requests->clock() / 1000, &is_open));
    if (is_open &&
        log_repeats_first(requests->repeats, EVENT_CHAIN_CONTRADICTED, &request->peer, clock_monotonic_ms()))
        LOG(requests->log, EVENT_CHAIN_CONTRADICTED, log_peer(&request->peer),
            log_count("sequence", head->sequence));
done:
    return err;
}

struct error *request_witness(const struct requests *requests, const struct request *request,
                              const Fds__Witness *witness, uint64_t *ret_arrived)
{
    struct error *err = NULL;
    struct chain_head head = {.site = *identity_id(requests->identity)};
    bool has = false, same = false;
    *ret_arrived = 0;
    if (witness == NULL)
        goto done;
    head.sequence = witness->sequence;
    memcpy(head.hash.bytes, witness->head.data, DIGEST_BYTES);
    TRY(store_has_signed(requests->store, &head, witness->signature.data, &has, &same));
    if (!same) /* byte for byte what this site wrote with its event needs no other proof */
        TRY(witness_verify(requests, &head, witness->signature.data));
    if (has)
        *ret_arrived = head.sequence;
    else
        TRY(witness_contradict(requests, request, &head));
done:
    return err;
}

struct error *request_uncontradicted(const struct requests *requests)
{
    struct error *err = NULL;
    bool is_open = true;
    TRY(store_contradiction_open(requests->store, &is_open));
    if (is_open)
        FAIL(ERROR_REFUSED, RELEASE_CONTRADICTED);
done:
    return err;
}
