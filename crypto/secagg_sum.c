#include "crypto/secagg_sum.h"

#include "crypto/secagg_keyset_parts.h"
#include "crypto/secagg_parts.h"

/* Words that are written and hashed at a time. */
#define WRITTEN_WORDS 1024

static struct error *check_contributors(const struct secagg_attempt *attempt, struct secagg_set contributors)
{
    struct error *err = NULL;
    TRY(secagg_set_check(&attempt->keyset->run, contributors, "the list of contributors"));
    if (!secagg_set_within(contributors, attempt->sharers))
        FAIL(ERROR_INVALID, "The list of contributors has a site that is not in the list of sharers.");
done:
    return err;
}

static enum secagg_kind kind_of(struct secagg_set contributors, uint32_t position)
{
    return secagg_set_has(contributors, position) ? SECAGG_REVEAL_B : SECAGG_REVEAL_S;
}

/* ---- a secret against what its site has published ---- */

/* *ret_holds: it is the b that was committed to, or the secret half of the public key. */
static struct error *secret_check(const struct secagg_attempt *attempt, uint32_t position,
                                  enum secagg_kind kind, const uint8_t secret[static 32], bool *ret_holds)
{
    struct error *err = NULL;
    const struct secagg_entry *entry = secagg_keyset_entry(attempt->keyset, position, attempt->slot);
    struct digest commitment;
    uint8_t public_key[AGREEMENT_KEY_BYTES];
    if (kind == SECAGG_REVEAL_B) {
        TRY(secagg_commit_b(attempt->slot, secret, &commitment));
        *ret_holds = digest_equal(&commitment, &entry->b);
    } else {
        TRY(agreement_public(secret, public_key));
        *ret_holds = secret_equal(public_key, entry->s, sizeof(public_key));
    }
done:
    return err;
}

struct error *secagg_opened_check(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                  const struct secagg_opened *opened, size_t count)
{
    struct error *err = NULL;
    TRY(check_contributors(attempt, contributors));
    if (count != attempt->sharers.count)
        FAIL(ERROR_INVALID, "The secrets of %zu sites were opened, and %zu have shared theirs.", count,
             attempt->sharers.count);
    for (size_t i = 0; i < count; i++) {
        uint32_t position = attempt->sharers.positions[i];
        bool holds = false;
        if (opened[i].position != position || opened[i].kind != kind_of(contributors, position))
            FAIL(ERROR_INVALID,
                 "In the place of the opened secret of site %" PRIu32 " of the roster is another one.",
                 position);
        TRY(secret_check(attempt, position, opened[i].kind, opened[i].secret, &holds));
        if (!holds)
            FAIL(ERROR_UNTRUSTED,
                 "The opened secret of site %" PRIu32 " of the roster is not the one that it advertised.",
                 position);
    }
done:
    return err;
}

/* ---- shares, sorted by whose secret they are of ---- */

/* Of one secret. */
struct collected {
    struct shamir_point *points; /* [count]; room for every holder */
    size_t *givers;              /* [count]: index of the unmasking that it came with */
    size_t count;
    enum secagg_kind kind;
};

struct collection {
    const struct secagg_attempt *attempt;
    struct secagg_links links;
    struct collected *secrets; /* [sharers] */
    struct shamir_point *points;
    size_t *givers, holders; /* holders: of one secret, at most */
    bool *wrong;             /* [unmaskings]: any share of it */
    struct secagg_misfits misfits;
};

static void collection_clear(struct collection *collection)
{
    size_t places = collection->attempt->sharers.count * collection->holders;
    if (collection->points != NULL)
        secret_wipe(collection->points, places * sizeof(*collection->points));
    secagg_links_clear(&collection->links);
    free(collection->secrets);
    free(collection->points);
    free(collection->givers);
    free(collection->wrong);
    free(collection->misfits.pairs);
}

static struct error *collection_make(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                     size_t unmasking_count, struct collection *ret_collection)
{
    struct error *err = NULL;
    struct collection collection = {.attempt = attempt};
    size_t sharers = attempt->sharers.count;
    TRY(secagg_links_make(attempt->keyset, attempt->slot, &collection.links));
    collection.holders = collection.links.degree + 1;
    collection.secrets = calloc(sharers, sizeof(*collection.secrets));
    collection.points = calloc(sharers * collection.holders, sizeof(*collection.points));
    collection.givers = calloc(sharers * collection.holders, sizeof(*collection.givers));
    collection.wrong = calloc(unmasking_count + 1, sizeof(*collection.wrong));
    collection.misfits.pairs =
        calloc(sharers * collection.holders + unmasking_count + 1, sizeof(*collection.misfits.pairs));
    if (collection.secrets == NULL || collection.misfits.pairs == NULL || collection.points == NULL ||
        collection.givers == NULL || collection.wrong == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the shares of %zu sites.", sharers);
    for (size_t i = 0; i < sharers; i++)
        collection.secrets[i] =
            (struct collected){.points = collection.points + i * collection.holders,
                               .givers = collection.givers + i * collection.holders,
                               .kind = kind_of(contributors, attempt->sharers.positions[i])};
    *ret_collection = collection;
    collection = (struct collection){.attempt = attempt};
done:
    collection_clear(&collection);
    return err;
}

/* Index of a position in the list of sharers, or their number. */
static size_t sharer_index(const struct secagg_attempt *attempt, uint32_t position)
{
    size_t low = 0, high = attempt->sharers.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (attempt->sharers.positions[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < attempt->sharers.count && attempt->sharers.positions[low] == position
               ? low
               : attempt->sharers.count;
}

/* Whether two members are neighbours. */
static bool joined(const struct collection *collection, uint32_t one, uint32_t other)
{
    const struct secagg_links *links = &collection->links;
    const struct secagg_member *members = collection->attempt->keyset->members;
    if (links->rows == NULL)
        return one != other;
    size_t index = (size_t)(secagg_keyset_member(collection->attempt->keyset, one) - members);
    size_t wanted = (size_t)(secagg_keyset_member(collection->attempt->keyset, other) - members);
    const struct secagg_set row = {.positions = links->rows + index * links->degree, .count = links->degree};
    return secagg_set_has(row, (uint32_t)wanted);
}

/* Whether a share of what `giver` has is one of its plan, and the first of that secret that it gave. The unmaskings are
 * taken in order, so that the one before is the last in the list. */
static bool belongs(const struct collection *collection, const struct secagg_revealed *revealed,
                    uint32_t giver, size_t unmasking)
{
    const struct secagg_attempt *attempt = collection->attempt;
    size_t index = sharer_index(attempt, revealed->position);
    if (index == attempt->sharers.count)
        return false;
    const struct collected *collected = &collection->secrets[index];
    if (revealed->kind != collected->kind)
        return false;
    if (collected->count > 0 && collected->givers[collected->count - 1] == unmasking)
        return false;
    return giver == revealed->position || joined(collection, giver, revealed->position);
}

static void note_misfit(struct collection *collection, uint32_t dealer, uint32_t holder, size_t unmasking)
{
    collection->wrong[unmasking] = true;
    collection->misfits.pairs[collection->misfits.count++] =
        (struct secagg_misfit){.dealer = dealer, .holder = holder};
}

static void collect_share(struct collection *collection, const struct secagg_revealed *revealed,
                          uint32_t giver, size_t unmasking)
{
    struct error *err = shamir_share_check(revealed->share);
    if (err == NULL && belongs(collection, revealed, giver, unmasking)) {
        struct collected *collected =
            &collection->secrets[sharer_index(collection->attempt, revealed->position)];
        struct shamir_point *point = &collected->points[collected->count];
        point->x = giver;
        memcpy(point->share, revealed->share, SHAMIR_SHARE_BYTES);
        collected->givers[collected->count++] = unmasking;
    } else if (!collection->wrong[unmasking]) {
        note_misfit(collection, giver, giver, unmasking);
    }
    error_free(err);
}

static struct error *collect(struct collection *collection, const struct secagg_unmasking *unmaskings,
                             size_t count)
{
    struct error *err = NULL;
    for (size_t i = 0; i < count; i++) {
        uint32_t giver = unmaskings[i].position;
        if (!secagg_set_has(collection->attempt->sharers, giver))
            FAIL(ERROR_INVALID,
                 "Site %" PRIu32 " of the roster gave shares, and is not in the list of sharers.", giver);
        if (i > 0 && giver <= unmaskings[i - 1].position)
            FAIL(ERROR_INVALID, "The shares that sites gave are not in ascending order at site %" PRIu32 ".",
                 giver);
        for (size_t k = 0; k < unmaskings[i].count; k++)
            collect_share(collection, &unmaskings[i].revealed[k], giver, i);
    }
done:
    return err;
}

/* ---- a secret from its shares ---- */

/* Puts the points of sites that gave wrong shares before behind the others: who lies once lies again, and correcting
 * costs far more than interpolating. */
static void trusted_first(const struct collection *collection, struct collected *collected)
{
    size_t kept = 0;
    for (size_t i = 0; i < collected->count; i++) {
        struct shamir_point point = collected->points[i];
        size_t giver = collected->givers[i];
        if (collection->wrong[giver])
            continue;
        collected->points[i] = collected->points[kept];
        collected->givers[i] = collected->givers[kept];
        collected->points[kept] = point;
        collected->givers[kept++] = giver;
    }
}

/* What is interpolated may be no secret at all: that is the same as a wrong one. */
static struct error *open_directly(const struct collection *collection, const struct collected *collected,
                                   uint32_t position, uint8_t ret_secret[static 32], bool *ret_holds)
{
    struct error *err =
        shamir_interpolate(collected->points, collected->count, collection->links.threshold, ret_secret);
    *ret_holds = false;
    if (err == NULL)
        return secret_check(collection->attempt, position, collected->kind, ret_secret, ret_holds);
    if (err->code == ERROR_INVALID)
        error_clear(&err);
    return err;
}

static struct error *open_corrected(struct collection *collection, const struct collected *collected,
                                    uint32_t position, uint8_t ret_secret[static 32])
{
    struct error *err = NULL;
    bool holds = false;
    bool *wrong = calloc(collected->count, sizeof(*wrong));
    if (wrong == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to correct shares.");
    err = shamir_correct(collected->points, collected->count, collection->links.threshold, ret_secret, wrong);
    if (err != NULL && err->code == ERROR_INVALID) {
        error_clear(&err);
        FAIL(ERROR_UNTRUSTED,
             "Of the %zu shares of the secret of site %" PRIu32
             " of the roster so many are wrong that they cannot be corrected.",
             collected->count, position);
    }
    TRY(err);
    TRY(secret_check(collection->attempt, position, collected->kind, ret_secret, &holds));
    if (!holds)
        FAIL(ERROR_UNTRUSTED,
             "The shares of the secret of site %" PRIu32
             " of the roster agree, and are not of the secret that it advertised.",
             position);
    for (size_t i = 0; i < collected->count; i++)
        if (wrong[i])
            note_misfit(collection, position, collected->points[i].x, collected->givers[i]);
done:
    free(wrong);
    return err;
}

static struct error *open_one(struct collection *collection, size_t index, struct secagg_opened *ret_opened)
{
    struct error *err = NULL;
    struct collected *collected = &collection->secrets[index];
    uint32_t position = collection->attempt->sharers.positions[index];
    bool holds = false;
    if (collected->count < collection->links.threshold)
        FAIL(ERROR_UNAVAILABLE,
             "There are %zu shares of the secret of site %" PRIu32 " of the roster, and %zu are needed.",
             collected->count, position, collection->links.threshold);
    ret_opened->position = position;
    ret_opened->kind = collected->kind;
    trusted_first(collection, collected);
    TRY(open_directly(collection, collected, position, ret_opened->secret, &holds));
    if (!holds)
        TRY(open_corrected(collection, collected, position, ret_opened->secret));
done:
    return err;
}

struct error *secagg_open_secrets(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                  const struct secagg_unmasking *unmaskings, size_t unmasking_count,
                                  struct secagg_opened **ret_opened, struct secagg_misfits *ret_misfits)
{
    struct error *err = NULL;
    struct collection collection = {.attempt = attempt};
    struct secagg_opened *opened = NULL;
    size_t sharers = attempt->sharers.count;
    TRY(check_contributors(attempt, contributors));
    TRY(collection_make(attempt, contributors, unmasking_count, &collection));
    TRY(collect(&collection, unmaskings, unmasking_count));
    opened = calloc(sharers, sizeof(*opened));
    if (opened == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the secrets of %zu sites.", sharers);
    for (size_t i = 0; i < sharers; i++)
        TRY(open_one(&collection, i, &opened[i]));
    if (ret_misfits != NULL) {
        *ret_misfits = collection.misfits;
        collection.misfits = (struct secagg_misfits){.pairs = NULL};
    }
    *ret_opened = opened;
    opened = NULL;
done:
    if (opened != NULL)
        secret_wipe(opened, sharers * sizeof(*opened));
    free(opened);
    collection_clear(&collection);
    return err;
}

/* ---- the sum ---- */

static struct error *take_self(const struct secagg_attempt *attempt, const struct secagg_opened *opened,
                               uint64_t *words)
{
    struct error *err = NULL;
    uint8_t seed[MASK_SEED_BYTES];
    TRY(secagg_self_seed(attempt, opened->position, opened->secret, seed));
    TRY(mask_apply(seed, MASK_SUBTRACT, attempt->ring, words, attempt->words));
done:
    secret_wipe(seed, sizeof(seed));
    return err;
}

/* The contributor `other` has put the mask it shares with the site that did not contribute on its vector: added it
 * if that one comes behind it in the roster. */
static struct error *take_pair(const struct secagg_attempt *attempt, uint32_t position,
                               struct agreement_key *key, uint32_t other, uint64_t *words)
{
    struct error *err = NULL;
    uint8_t seed[MASK_SEED_BYTES];
    enum mask_sign sign = position > other ? MASK_SUBTRACT : MASK_ADD;
    TRY(secagg_pair_seed_of(attempt, position, other, key, seed));
    TRY(mask_apply(seed, sign, attempt->ring, words, attempt->words));
done:
    secret_wipe(seed, sizeof(seed));
    return err;
}

static struct error *take_pairs(const struct secagg_attempt *attempt, const struct secagg_links *links,
                                struct secagg_set contributors, const struct secagg_opened *opened,
                                uint64_t *words)
{
    struct error *err = NULL;
    const struct secagg_keyset *keyset = attempt->keyset;
    const struct secagg_member *member = secagg_keyset_member(keyset, opened->position);
    struct agreement_key *key = NULL;
    TRY(agreement_key_new(opened->secret, &key));
    for (size_t i = 0; i < links->degree; i++) {
        uint32_t other = secagg_links_peer(links, keyset, (size_t)(member - keyset->members), i);
        if (secagg_set_has(contributors, other))
            TRY(take_pair(attempt, opened->position, key, other, words));
    }
done:
    agreement_key_free(key);
    return err;
}

struct error *secagg_sum_unmask(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                const struct secagg_opened *opened, uint64_t *words)
{
    struct error *err = NULL;
    struct secagg_links links = {0};
    TRY(check_contributors(attempt, contributors));
    TRY(secagg_links_make(attempt->keyset, attempt->slot, &links));
    for (size_t i = 0; i < attempt->sharers.count; i++) {
        if (opened[i].position != attempt->sharers.positions[i] ||
            opened[i].kind != kind_of(contributors, opened[i].position))
            FAIL(ERROR_INVALID, "The opened secrets are not those of this sum.");
        if (opened[i].kind == SECAGG_REVEAL_B)
            TRY(take_self(attempt, &opened[i], words));
        else
            TRY(take_pairs(attempt, &links, contributors, &opened[i], words));
    }
done:
    secagg_links_clear(&links);
    return err;
}

static struct error *words_digest(enum mask_ring ring, const uint64_t *words, size_t count,
                                  struct digest *ret_digest)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    uint8_t bytes[WRITTEN_WORDS * sizeof(uint64_t)];
    TRY(digest_stream_new(&stream));
    for (size_t first = 0; first < count; first += WRITTEN_WORDS) {
        size_t some = count - first < WRITTEN_WORDS ? count - first : WRITTEN_WORDS;
        mask_write(ring, words + first, some, bytes);
        TRY(digest_stream_add(stream, bytes, mask_bytes(ring, some)));
    }
    TRY(digest_stream_finish(stream, ret_digest));
done:
    digest_stream_free(stream);
    return err;
}

struct error *secagg_sum_body(const struct digest *context, const struct digest *contributors_hash,
                              enum mask_ring ring, const uint64_t *words, size_t count,
                              uint8_t ret_body[static SECAGG_SUM_BODY_BYTES])
{
    struct error *err = NULL;
    struct digest digest;
    TRY(words_digest(ring, words, count, &digest));
    uint8_t *at = secagg_put(ret_body, context->bytes, DIGEST_BYTES);
    at = secagg_put(at, contributors_hash->bytes, DIGEST_BYTES);
    (void)secagg_put(at, digest.bytes, DIGEST_BYTES);
done:
    return err;
}
