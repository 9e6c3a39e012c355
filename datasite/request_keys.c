/* Advertise and Share: key slots, in batches ahead of need, and the shares of their secrets for the other sites. */
#include "datasite/request_secagg.h"

#include "crypto/secagg_share.h"
#include "crypto/secagg_wire.h"
#include "crypto/secret.h"

#include <inttypes.h>

#define KEYS_DETAIL_BYTES 96

static struct error *batch_find(const struct secagg_request *open, uint32_t slot,
                                struct secagg_batch *ret_batch, bool *ret_found)
{
    struct error *err = store_secagg_batch(open->requests->store, open->run_id, slot, ret_batch);
    *ret_found = err == NULL;
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    return err;
}

static void keys_detail(char ret_detail[static KEYS_DETAIL_BYTES], uint32_t first_slot, size_t slots,
                        size_t sites)
{
    (void)snprintf(ret_detail, KEYS_DETAIL_BYTES, "slots %" PRIu32 " to %" PRIu32, first_slot,
                   first_slot + (uint32_t)slots - 1);
    size_t used = strlen(ret_detail);
    if (sites > 0)
        (void)snprintf(ret_detail + used, KEYS_DETAIL_BYTES - used, ", of %zu sites", sites);
}

/* ---- step 'advertise' ---- */

/* Fresh slots, and where this site's chain of events stands: a site that was put back to an earlier state is noticed by
 * the others. */
static struct error *advert_make(const struct secagg_request *open, const Fds__Advertise *message,
                                 struct secagg_secret *secrets, struct secagg_advert *advert)
{
    struct error *err = NULL;
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
    for (uint32_t i = 0; i < message->count; i++)
        TRY(secagg_slot_make(message->first_slot + i, &secrets[i], &advert->entries[i]));
    TRY(store_head(open->requests->store, &head, signature));
    advert->first_slot = message->first_slot;
    advert->count = message->count;
    advert->ledger_sequence = head.sequence;
    advert->ledger_head = head.hash;
    TRY(secagg_advert_sign(open->requests->identity, &open->run, advert));
done:
    return err;
}

static struct error *advertise_write(const struct secagg_request *open, const Fds__Advertise *message,
                                     const struct secagg_secret *secrets, const uint8_t *body, size_t bytes)
{
    struct error *err = NULL;
    char detail[KEYS_DETAIL_BYTES];
    TRY(store_secagg_advertise(open->requests->store, &open->job_id, open->run_id, message->first_slot,
                               message->count, secrets, body, bytes));
    keys_detail(detail, message->first_slot, message->count, 0);
    TRY(request_secagg_event(open, EVENT_KEYS_ADVERTISED, 0, detail, body, bytes));
done:
    return err;
}

static struct error *advertise_anew(const struct secagg_request *open, const Fds__Advertise *message,
                                    uint8_t **ret_body, size_t *ret_bytes)
{
    struct error *err = NULL;
    struct secagg_secret *secrets = calloc(message->count, sizeof(*secrets));
    struct secagg_advert advert = {.entries = calloc(message->count, sizeof(*advert.entries))};
    Fds__Advert *encoded = NULL;
    uint8_t *body = NULL;
    size_t bytes = 0;
    if (secrets == NULL || advert.entries == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %" PRIu32 " key slots.", message->count);
    TRY(advert_make(open, message, secrets, &advert));
    TRY(secagg_wire_make_advert(&open->run, &advert, &encoded));
    TRY(wire_encode(&encoded->base, &body, &bytes));
    TRY(advertise_write(open, message, secrets, body, bytes));
    *ret_body = body;
    *ret_bytes = bytes;
    body = NULL;
done:
    free(body);
    wire_advert_free(encoded);
    secagg_advert_clear(&advert);
    if (secrets != NULL)
        secret_wipe(secrets, message->count * sizeof(*secrets));
    free(secrets);
    return err;
}

/* The bound is for the thread that serves the socket: it seals the shares of a batch in one go. */
static struct error *advertise_check(const struct secagg_request *open, const Fds__Advertise *message,
                                     const struct secagg_batch *batch, bool again)
{
    struct error *err = NULL;
    uint32_t most = 0, job_most = open->approval.job->secure.key_batch;
    TRY(secagg_batch_most(&open->run, &most));
    if (again && (batch->first_slot != message->first_slot || batch->slots != message->count))
        FAIL(ERROR_REFUSED,
             "This site advertised the slots %" PRIu32 " to %" PRIu32
             " of this run before, as one batch: ask for that one, or for slots above it.",
             batch->first_slot, batch->first_slot + batch->slots - 1);
    if (message->count > job_most)
        FAIL(ERROR_REFUSED, "%" PRIu32 " key slots are more than the job's `key_batch` of %" PRIu32 ".",
             message->count, job_most);
    if (message->count > most)
        FAIL(ERROR_REFUSED,
             "%" PRIu32 " key slots are more than the %" PRIu32
             " that a batch has at most with %zu sites: a site seals shares for all others at once.",
             message->count, most, open->run.sites);
done:
    return err;
}

struct error *request_advertise(const struct requests *requests, const struct request *request,
                                struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Advertise *message = NULL;
    struct secagg_request open = {.requests = NULL};
    struct secagg_batch batch = {.advert = NULL};
    uint8_t *body = NULL;
    size_t bytes = 0;
    bool again = false;
    TRY(wire_advertise_decode(request->body, request->body_bytes, &message));
    TRY(request_secagg_open(requests, request, &message->job_id, &message->run_id, message->witness, true,
                            &open));
    TRY(batch_find(&open, message->first_slot, &batch, &again));
    TRY(advertise_check(&open, message, &batch, again));
    if (again) {
        bytes = batch.advert_bytes;
        TRY(request_secagg_copy(batch.advert, bytes, &body));
    } else {
        TRY(advertise_anew(&open, message, &body, &bytes));
    }
    TRY(request_secagg_reply(&open, EVENT_KEYS_ADVERTISED, 0, again, FDS__MESSAGE_TYPE__MESSAGE_ADVERT, &body,
                             bytes, ret_reply));
done:
    free(body);
    secagg_batch_clear(&batch);
    request_secagg_close(&open);
    wire_advertise_free(message);
    return err;
}

/* ---- step 'share' ---- */

/* What one Share is answered with, while it is put together. */
struct sharing {
    const struct secagg_request *open;
    struct secagg_batch batch;
    struct secagg_keyset *keyset;
    uint8_t *bytes; /* of the keyset, as they are kept */
    size_t byte_count;
    struct secagg_secret *secrets; /* [batch.slots] */
    struct secagg_share *own;      /* [batch.slots] */
    Fds__Shares message;           /* sealed are owned */
};

static void sharing_clear(struct sharing *sharing)
{
    if (sharing->own != NULL)
        secret_wipe(sharing->own, sharing->batch.slots * sizeof(*sharing->own));
    free(sharing->own);
    if (sharing->secrets != NULL)
        secret_wipe(sharing->secrets, sharing->batch.slots * sizeof(*sharing->secrets));
    free(sharing->secrets);
    for (size_t i = 0; sharing->message.sealed != NULL && i < sharing->message.n_sealed; i++)
        free(sharing->message.sealed[i].data);
    free(sharing->message.sealed);
    free(sharing->bytes);
    secagg_keyset_free(sharing->keyset);
    secagg_batch_clear(&sharing->batch);
}

/* This site's own advert among them is the one that it gave, byte for byte. */
static struct error *sharing_check_own(const struct sharing *sharing, const Fds__Share *share)
{
    struct error *err = NULL;
    uint8_t *own = NULL;
    size_t bytes = 0;
    bool found = false;
    uint8_t key[PUBLIC_KEY_BYTES];
    identity_public_key(sharing->open->requests->identity, key);
    for (size_t i = 0; i < share->n_adverts && !found; i++) {
        if (memcmp(share->adverts[i]->public_key.data, key, sizeof(key)) != 0)
            continue;
        free(own);
        own = NULL;
        TRY(wire_encode(&share->adverts[i]->base, &own, &bytes));
        found = bytes == sharing->batch.advert_bytes && memcmp(own, sharing->batch.advert, bytes) == 0;
    }
    if (!found)
        FAIL(ERROR_REFUSED, "Share: the advert of this site is missing, or is not the one that it gave.");
done:
    free(own);
    return err;
}

/* Without the witness, which may differ from one asking to the next. */
static struct error *sharing_read(struct sharing *sharing, Fds__Share *share, bool *ret_again)
{
    struct error *err = NULL;
    const struct secagg_batch *batch = &sharing->batch;
    Fds__Witness *witness = share->witness;
    share->witness = NULL;
    err = wire_encode(&share->base, &sharing->bytes, &sharing->byte_count);
    share->witness = witness;
    if (err != NULL)
        goto done;
    *ret_again = batch->keyset != NULL;
    if (*ret_again && (sharing->byte_count != batch->keyset_bytes ||
                       memcmp(sharing->bytes, batch->keyset, batch->keyset_bytes) != 0))
        FAIL(ERROR_REFUSED,
             "This site has shared its secrets of the slots from %" PRIu32
             " on with other adverts: it does that once.",
             batch->first_slot);
done:
    return err;
}

static struct error *sharing_secret(struct sharing *sharing, uint32_t index)
{
    struct error *err = NULL;
    struct secagg_slot slot = {.sharers = NULL};
    uint32_t number = sharing->batch.first_slot + index;
    TRY(store_secagg_slot(sharing->open->requests->store, sharing->open->run_id, number, &slot));
    if (slot.state != SECAGG_SLOT_OPEN)
        FAIL(ERROR_REFUSED, "Key slot %" PRIu32 " is dead at this site: slots above it would do.", number);
    sharing->secrets[index] = slot.secret;
done:
    secagg_slot_clear(&slot);
    return err;
}

static struct error *sharing_secrets(struct sharing *sharing)
{
    struct error *err = NULL;
    uint32_t slots = sharing->batch.slots;
    sharing->secrets = calloc(slots, sizeof(*sharing->secrets));
    if (sharing->secrets == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the secrets of %" PRIu32 " key slots.", slots);
    for (uint32_t i = 0; i < slots; i++)
        TRY(sharing_secret(sharing, i));
done:
    return err;
}

static struct error *sharing_ledgers(const struct sharing *sharing)
{
    struct error *err = NULL;
    const struct secagg_request *open = sharing->open;
    struct secagg_head head = {.first_slot = sharing->batch.first_slot};
    memcpy(head.run_id, open->run_id, STORE_RUN_ID_BYTES);
    for (size_t i = 0; i < sharing->keyset->count; i++) {
        const struct secagg_member *member = &sharing->keyset->members[i];
        if (member->position == open->roster.own)
            continue;
        head.site = open->roster.sites[member->position - 1];
        head.sequence = member->ledger_sequence;
        head.hash = member->ledger_head;
        TRY(store_secagg_ledger(open->requests->store, &head));
    }
done:
    return err;
}

static struct error *sharing_slot(struct sharing *sharing, uint32_t index)
{
    struct error *err = NULL;
    size_t count = 0;
    ProtobufCBinaryData *sealed = &sharing->message.sealed[index];
    TRY(secagg_share_make_with(sharing->keyset, sharing->batch.first_slot + index, sharing->open->roster.own,
                               &sharing->secrets[index], secagg_cache_agreed(sharing->open->requests->secagg),
                               &sealed->data, &count, &sharing->own[index]));
    sealed->len = count * SECAGG_SEALED_BYTES;
done:
    return err;
}

static struct error *sharing_make(struct sharing *sharing)
{
    struct error *err = NULL;
    const struct secagg_request *open = sharing->open;
    uint32_t slots = sharing->batch.slots;
    sharing->own = calloc(slots, sizeof(*sharing->own));
    sharing->message.sealed = calloc(slots, sizeof(*sharing->message.sealed));
    if (sharing->own == NULL || sharing->message.sealed == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the shares of %" PRIu32 " key slots.", slots);
    sharing->message.n_sealed = slots;
    sharing->message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, (uint8_t *)(uintptr_t)open->job_id.bytes};
    sharing->message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, (uint8_t *)(uintptr_t)open->run_id};
    sharing->message.first_slot = sharing->batch.first_slot;
    for (uint32_t i = 0; i < slots; i++)
        TRY(sharing_slot(sharing, i));
done:
    return err;
}

static struct error *sharing_write(const struct sharing *sharing, const uint8_t *body, size_t bytes)
{
    struct error *err = NULL;
    const struct secagg_request *open = sharing->open;
    const struct secagg_batch *batch = &sharing->batch;
    char detail[KEYS_DETAIL_BYTES];
    TRY(store_secagg_share(open->requests->store, open->run_id, batch->first_slot, sharing->own,
                           sharing->bytes, sharing->byte_count, body, bytes));
    keys_detail(detail, batch->first_slot, batch->slots, sharing->keyset->count);
    TRY(request_secagg_event(open, EVENT_KEYS_SHARED, 0, detail, body, bytes));
done:
    return err;
}

static struct error *share_batch(struct sharing *sharing, const Fds__Share *share)
{
    struct error *err = NULL;
    uint32_t first_slot = share->adverts[0]->first_slot;
    bool found = false;
    TRY(batch_find(sharing->open, first_slot, &sharing->batch, &found));
    if (!found || sharing->batch.first_slot != first_slot)
        FAIL(ERROR_REFUSED, "This site advertised no batch that begins with slot %" PRIu32 " in this run.",
             first_slot);
done:
    return err;
}

/* Signatures are verified and shares sealed with no transaction open, as that takes its time and other threads and
 * programs write too; what may have changed meanwhile is looked at again in the one that writes. */
static struct error *share_anew(struct secagg_request *open, struct sharing *sharing, const Fds__Share *share,
                                uint8_t **ret_body, size_t *ret_bytes)
{
    struct error *err = NULL;
    uint8_t *body = NULL;
    size_t bytes = 0;
    TRY(sharing_check_own(sharing, share));
    TRY(sharing_secrets(sharing));
    request_secagg_pause(open);
    TRY(secagg_wire_read_keyset(&open->run, sharing->bytes, sharing->byte_count,
                                secagg_cache_memo(open->requests->secagg), &sharing->keyset));
    TRY(sharing_make(sharing));
    TRY(wire_encode(&sharing->message.base, &body, &bytes));
    TRY(request_secagg_resume(open));
    TRY(sharing_ledgers(sharing));
    TRY(sharing_write(sharing, body, bytes));
    *ret_body = body;
    *ret_bytes = bytes;
    body = NULL;
done:
    free(body);
    return err;
}

struct error *request_share(const struct requests *requests, const struct request *request,
                            struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__Share *share = NULL;
    struct secagg_request open = {.requests = NULL};
    struct sharing sharing = {.open = &open, .message = FDS__SHARES__INIT};
    uint8_t *body = NULL;
    size_t bytes = 0;
    bool again = false;
    TRY(wire_share_decode(request->body, request->body_bytes, &share));
    TRY(request_secagg_open(requests, request, &share->job_id, &share->run_id, share->witness, false, &open));
    TRY(share_batch(&sharing, share));
    TRY(sharing_read(&sharing, share, &again));
    if (again) {
        bytes = sharing.batch.shares_bytes;
        TRY(request_secagg_copy(sharing.batch.shares, bytes, &body));
    } else {
        TRY(share_anew(&open, &sharing, share, &body, &bytes));
    }
    TRY(request_secagg_reply(&open, EVENT_KEYS_SHARED, 0, again, FDS__MESSAGE_TYPE__MESSAGE_SHARES, &body,
                             bytes, ret_reply));
done:
    free(body);
    sharing_clear(&sharing);
    request_secagg_close(&open);
    wire_share_free(share);
    return err;
}
