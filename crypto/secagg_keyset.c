#include "crypto/secagg_keyset_parts.h"
#include "crypto/secagg_parts.h"

#define LABEL_B "FDS-SA1 b"
#define LABEL_KEYSET "FDS-SA1 keyset"

/* ---- slots ---- */

struct error *secagg_commit_b(uint32_t slot, const uint8_t b[static 32], struct digest *ret_hash)
{
    uint8_t body[sizeof(LABEL_B) + 4 + 32];
    uint8_t *at = secagg_put(body, LABEL_B, sizeof(LABEL_B));
    at = secagg_put_u32(at, slot);
    (void)secagg_put(at, b, 32);
    struct error *err = digest_of(body, sizeof(body), ret_hash);
    secret_wipe(body, sizeof(body));
    return err;
}

struct error *secagg_slot_make(uint32_t slot, struct secagg_secret *ret_secret,
                               struct secagg_entry *ret_entry)
{
    struct error *err = NULL;
    struct secagg_secret secret;
    struct secagg_entry entry;
    TRY(agreement_make(secret.c, entry.c));
    TRY(agreement_make(secret.s, entry.s));
    TRY(secret_random(secret.b, sizeof(secret.b)));
    TRY(secagg_commit_b(slot, secret.b, &entry.b));
    *ret_secret = secret;
    *ret_entry = entry;
done:
    secret_wipe(&secret, sizeof(secret));
    return err;
}

/* ---- the keyset ---- */

static struct error *member_fill(const struct secagg_run *run, const struct secagg_advert *advert,
                                 struct secagg_member *ret_member)
{
    struct error *err = NULL;
    struct secagg_member member = {.position = secagg_position(run, &advert->site),
                                   .ledger_sequence = advert->ledger_sequence,
                                   .ledger_head = advert->ledger_head};
    memcpy(member.public_key, advert->public_key, PUBLIC_KEY_BYTES);
    TRY(secagg_advert_hash(run, advert, &member.advert_hash));
    member.entries = calloc(advert->count, sizeof(*member.entries));
    if (member.entries == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the keys of a site.");
    memcpy(member.entries, advert->entries, advert->count * sizeof(*member.entries));
    *ret_member = member;
done:
    return err;
}

static struct error *hash_member(struct digest_stream *stream, const struct secagg_keyset *keyset,
                                 const struct secagg_member *member, uint32_t slot)
{
    struct error *err = NULL;
    uint8_t entry[SECAGG_ENTRY_BYTES];
    secagg_entries_write(&member->entries[slot - keyset->first_slot], 1, entry);
    TRY(digest_stream_add(stream, &keyset->run.roster[member->position - 1], DIGEST_BYTES));
    TRY(digest_stream_add(stream, member->advert_hash.bytes, DIGEST_BYTES));
    TRY(digest_stream_add(stream, entry, sizeof(entry)));
done:
    return err;
}

static struct error *slot_hash(const struct secagg_keyset *keyset, uint32_t slot, struct digest *ret_hash)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    TRY(digest_stream_new(&stream));
    TRY(digest_stream_add(stream, LABEL_KEYSET, sizeof(LABEL_KEYSET)));
    TRY(digest_stream_add(stream, keyset->run.job_hash.bytes, DIGEST_BYTES));
    TRY(digest_stream_add(stream, keyset->run.run_id, SECAGG_RUN_ID_BYTES));
    TRY(secagg_add_u32(stream, slot));
    TRY(secagg_add_u32(stream, (uint32_t)keyset->count));
    for (size_t i = 0; i < keyset->count; i++)
        TRY(hash_member(stream, keyset, &keyset->members[i], slot));
    TRY(digest_stream_finish(stream, ret_hash));
done:
    digest_stream_free(stream);
    return err;
}

/* What is sealed in a slot needs its hash, once for every peer: it is made once. */
struct error *secagg_keyset_hash_slots(struct secagg_keyset *keyset)
{
    struct error *err = NULL;
    for (size_t i = 0; i < keyset->slots; i++)
        TRY(slot_hash(keyset, keyset->first_slot + (uint32_t)i, &keyset->hashes[i]));
done:
    return err;
}

struct error *secagg_keyset_make(const struct secagg_run *run, const struct secagg_advert *adverts,
                                 size_t count, struct secagg_memo *memo, struct secagg_keyset **ret_keyset)
{
    struct error *err = NULL;
    struct secagg_keyset *keyset = NULL;
    TRY(secagg_adverts_check(run, adverts, count, memo));
    keyset = calloc(1, sizeof(*keyset));
    if (keyset != NULL) {
        keyset->members = calloc(count, sizeof(*keyset->members));
        keyset->hashes = calloc(adverts[0].count, sizeof(*keyset->hashes));
    }
    if (keyset == NULL || keyset->members == NULL || keyset->hashes == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the keys of %zu sites.", count);
    keyset->run = *run;
    keyset->first_slot = adverts[0].first_slot;
    keyset->slots = adverts[0].count;
    for (; keyset->count < count; keyset->count++)
        TRY(member_fill(run, &adverts[keyset->count], &keyset->members[keyset->count]));
    TRY(secagg_keyset_hash_slots(keyset));
    *ret_keyset = keyset;
    keyset = NULL;
done:
    secagg_keyset_free(keyset);
    return err;
}

void secagg_keyset_free(struct secagg_keyset *keyset)
{
    if (keyset == NULL)
        return;
    for (size_t i = 0; i < keyset->count; i++)
        free(keyset->members[i].entries);
    free(keyset->members);
    free(keyset->hashes);
    free(keyset);
}

bool secagg_keyset_has_slot(const struct secagg_keyset *keyset, uint32_t slot)
{
    return slot >= keyset->first_slot && slot - keyset->first_slot < keyset->slots;
}

const struct secagg_member *secagg_keyset_member(const struct secagg_keyset *keyset, uint32_t position)
{
    size_t low = 0, high = keyset->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (keyset->members[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < keyset->count && keyset->members[low].position == position)
        return &keyset->members[low];
    return NULL;
}

const struct secagg_entry *secagg_keyset_entry(const struct secagg_keyset *keyset, uint32_t position,
                                               uint32_t slot)
{
    const struct secagg_member *member = secagg_keyset_member(keyset, position);
    if (member == NULL || !secagg_keyset_has_slot(keyset, slot))
        return NULL;
    return &member->entries[slot - keyset->first_slot];
}

struct error *secagg_keyset_hash(const struct secagg_keyset *keyset, uint32_t slot, struct digest *ret_hash)
{
    if (!secagg_keyset_has_slot(keyset, slot))
        return error_new(ERROR_INVALID, "Slot %" PRIu32 " is not in this batch of keys.", slot);
    *ret_hash = keyset->hashes[slot - keyset->first_slot];
    return NULL;
}
