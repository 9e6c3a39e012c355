#include "crypto/secagg_parts.h"

#include "crypto/public_key.h"

#include <pthread.h>

#define LABEL_CONTEXT "FDS-SA1 ctx" /* hashed with its NUL, as the other labels of hashes */
#define LABEL_SHARERS "FDS-SA1 U2"
#define LABEL_CONTRIBUTORS "FDS-SA1 U3"
#define LABEL_SIGNATURE "FDS-SA1/"
#define TYPE_MAX_BYTES 16

/* ---- bytes ---- */

uint8_t *secagg_put(uint8_t *at, const void *bytes, size_t count)
{
    memcpy(at, bytes, count);
    return at + count;
}

static uint8_t *put_integer(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    return at + bytes;
}

uint8_t *secagg_put_u16(uint8_t *at, uint16_t value)
{
    return put_integer(at, value, sizeof(value));
}

uint8_t *secagg_put_u32(uint8_t *at, uint32_t value)
{
    return put_integer(at, value, sizeof(value));
}

uint8_t *secagg_put_u64(uint8_t *at, uint64_t value)
{
    return put_integer(at, value, sizeof(value));
}

struct error *secagg_add_u32(struct digest_stream *stream, uint32_t value)
{
    uint8_t bytes[sizeof(value)];
    (void)secagg_put_u32(bytes, value);
    return digest_stream_add(stream, bytes, sizeof(bytes));
}

/* ---- the roster and lists of its positions ---- */

struct secagg_run secagg_run_make(const struct job *job, const struct digest *job_hash,
                                  const uint8_t run_id[static SECAGG_RUN_ID_BYTES],
                                  const struct site_id *roster, size_t sites)
{
    struct secagg_run run = {.job_hash = *job_hash,
                             .roster = roster,
                             .sites = sites,
                             .threshold = job->secure.threshold,
                             .colluding = job->secure.tolerate_colluding};
    memcpy(run.run_id, run_id, sizeof(run.run_id));
    return run;
}

uint32_t secagg_position(const struct secagg_run *run, const struct site_id *site)
{
    size_t low = 0, high = run->sites;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = site_id_compare(&run->roster[middle], site);
        if (order == 0)
            return (uint32_t)(middle + 1);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

size_t secagg_threshold(size_t sites, size_t colluding)
{
    return (sites + colluding) / 2 + 1;
}

struct error *secagg_set_check(const struct secagg_run *run, struct secagg_set set, const char *what)
{
    uint32_t before = 0;
    for (size_t i = 0; i < set.count; i++) {
        uint32_t position = set.positions[i];
        if (position == 0 || position > run->sites)
            return error_new(ERROR_INVALID, "In %s is position %" PRIu32 "; the roster has 1 to %zu.", what,
                             position, run->sites);
        if (position <= before)
            return error_new(ERROR_INVALID,
                             "In %s position %" PRIu32 " comes after %" PRIu32 "; positions must ascend.",
                             what, position, before);
        before = position;
    }
    return NULL;
}

bool secagg_set_has(struct secagg_set set, uint32_t position)
{
    size_t low = 0, high = set.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set.positions[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set.count && set.positions[low] == position;
}

bool secagg_set_within(struct secagg_set part, struct secagg_set whole)
{
    for (size_t i = 0; i < part.count; i++)
        if (!secagg_set_has(whole, part.positions[i]))
            return false;
    return true;
}

struct error *secagg_set_hash(const struct secagg_run *run, enum secagg_set_kind kind, struct secagg_set set,
                              struct digest *ret_hash)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    const char *label = kind == SECAGG_SHARERS ? LABEL_SHARERS : LABEL_CONTRIBUTORS;
    TRY(secagg_set_check(run, set,
                         kind == SECAGG_SHARERS ? "the list of sharers" : "the list of contributors"));
    TRY(digest_stream_new(&stream));
    TRY(digest_stream_add(stream, label, strlen(label) + 1));
    TRY(secagg_add_u32(stream, (uint32_t)set.count));
    for (size_t i = 0; i < set.count; i++)
        TRY(digest_stream_add(stream, &run->roster[set.positions[i] - 1], DIGEST_BYTES));
    TRY(digest_stream_finish(stream, ret_hash));
done:
    digest_stream_free(stream);
    return err;
}

struct error *secagg_context(const struct secagg_run *run, uint32_t round, uint32_t attempt,
                             const struct digest *keyset_hash, const struct digest *model_hash,
                             struct digest *ret_context)
{
    uint8_t body[sizeof(LABEL_CONTEXT) + 3 * DIGEST_BYTES + 8];
    uint8_t *at = secagg_put(body, LABEL_CONTEXT, sizeof(LABEL_CONTEXT));
    at = secagg_put(at, run->job_hash.bytes, DIGEST_BYTES);
    at = secagg_put_u32(at, round);
    at = secagg_put_u32(at, attempt);
    at = secagg_put(at, keyset_hash->bytes, DIGEST_BYTES);
    (void)secagg_put(at, model_hash->bytes, DIGEST_BYTES);
    return digest_of(body, sizeof(body), ret_context);
}

/* ---- signatures ---- */

/* What Ed25519 signs: LABEL_SIGNATURE || type || 0x00 || SHA-256(body). */
struct statement {
    uint8_t bytes[sizeof(LABEL_SIGNATURE) + TYPE_MAX_BYTES + DIGEST_BYTES];
    size_t count;
};

static struct error *statement_make(const char *type, const void *body, size_t bytes,
                                    struct statement *ret_statement)
{
    struct error *err = NULL;
    struct statement statement;
    struct digest digest;
    size_t type_bytes = strlen(type);
    if (type_bytes > TYPE_MAX_BYTES)
        FAIL(ERROR_INTERNAL, "\"%s\" is no type of a statement of secure aggregation.", type);
    TRY(digest_of(body, bytes, &digest));
    uint8_t *at = secagg_put(statement.bytes, LABEL_SIGNATURE, sizeof(LABEL_SIGNATURE) - 1);
    at = secagg_put(at, type, type_bytes + 1);
    at = secagg_put(at, digest.bytes, DIGEST_BYTES);
    statement.count = (size_t)(at - statement.bytes);
    *ret_statement = statement;
done:
    return err;
}

struct error *secagg_sign(const struct identity *identity, const char *type, const void *body, size_t bytes,
                          uint8_t ret_signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    struct statement statement;
    TRY(statement_make(type, body, bytes, &statement));
    TRY(identity_sign(identity, statement.bytes, statement.count, ret_signature));
done:
    return err;
}

/* Where there are more sites than these, some keys are read again. */
#define MEMO_KEYS 256

/* A place is overwritten by whatever falls on it next, so that the table needs no order and cannot grow. */
struct secagg_memo {
    pthread_mutex_t mutex;
    unsigned sharers; /* besides the first; under the mutex, as what is held */
    size_t places;
    struct digest *held; /* [places]; all zero: nothing */
    struct public_key
        *keys[MEMO_KEYS]; /* of whom signatures were verified lately, by their first byte; or NULL */
};

struct error *secagg_memo_new(size_t places, struct secagg_memo **ret_memo)
{
    struct error *err = NULL;
    struct secagg_memo *memo = calloc(1, sizeof(*memo));
    if (memo != NULL)
        (void)pthread_mutex_init(&memo->mutex, NULL);
    if (memo != NULL && places > 0)
        memo->held = calloc(places, sizeof(*memo->held));
    if (memo == NULL || memo->held == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to remember %zu signatures.", places);
    memo->places = places;
    *ret_memo = memo;
    memo = NULL;
done:
    secagg_memo_free(memo);
    return err;
}

struct secagg_memo *secagg_memo_share(struct secagg_memo *memo)
{
    (void)pthread_mutex_lock(&memo->mutex);
    memo->sharers++;
    (void)pthread_mutex_unlock(&memo->mutex);
    return memo;
}

void secagg_memo_free(struct secagg_memo *memo)
{
    if (memo == NULL)
        return;
    (void)pthread_mutex_lock(&memo->mutex);
    bool last = memo->sharers == 0;
    memo->sharers -= last ? 0 : 1;
    (void)pthread_mutex_unlock(&memo->mutex);
    if (!last)
        return;
    for (size_t i = 0; i < MEMO_KEYS; i++)
        public_key_free(memo->keys[i]);
    (void)pthread_mutex_destroy(&memo->mutex);
    free(memo->held);
    free(memo);
}

/* SHA-256(key || signature || statement). */
static struct error *memo_key(const uint8_t public_key[static PUBLIC_KEY_BYTES],
                              const struct statement *statement,
                              const uint8_t signature[static SIGNATURE_BYTES], struct digest *ret_key)
{
    uint8_t body[PUBLIC_KEY_BYTES + SIGNATURE_BYTES + sizeof(statement->bytes)];
    uint8_t *at = secagg_put(body, public_key, PUBLIC_KEY_BYTES);
    at = secagg_put(at, signature, SIGNATURE_BYTES);
    at = secagg_put(at, statement->bytes, statement->count);
    return digest_of(body, (size_t)(at - body), ret_key);
}

static struct digest *memo_place(struct secagg_memo *memo, const struct digest *key)
{
    uint64_t number = 0;
    memcpy(&number, key->bytes, sizeof(number));
    return &memo->held[number % memo->places];
}

static bool memo_has(struct secagg_memo *memo, const struct digest *key)
{
    (void)pthread_mutex_lock(&memo->mutex);
    bool held = digest_equal(memo_place(memo, key), key);
    (void)pthread_mutex_unlock(&memo->mutex);
    return held;
}

static void memo_put(struct secagg_memo *memo, const struct digest *key)
{
    (void)pthread_mutex_lock(&memo->mutex);
    *memo_place(memo, key) = *key;
    (void)pthread_mutex_unlock(&memo->mutex);
}

struct error *secagg_memo_own(struct secagg_memo *memo, const struct identity *identity, const char *type,
                              const void *body, size_t bytes, const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    struct statement statement;
    struct digest key;
    uint8_t public_key[PUBLIC_KEY_BYTES];
    if (memo == NULL)
        return NULL;
    identity_public_key(identity, public_key);
    TRY(statement_make(type, body, bytes, &statement));
    TRY(memo_key(public_key, &statement, signature, &key));
    memo_put(memo, &key);
done:
    return err;
}

/* The caller's own share of it: another thread may give its place to another key at any time. */
static struct error *memo_public_key(struct secagg_memo *memo, const uint8_t bytes[static PUBLIC_KEY_BYTES],
                                     struct public_key **ret_key)
{
    struct error *err = NULL;
    struct public_key **place = &memo->keys[bytes[0] % MEMO_KEYS];
    (void)pthread_mutex_lock(&memo->mutex);
    err = public_key_keep(place, bytes);
    if (err == NULL)
        *ret_key = public_key_share(*place);
    (void)pthread_mutex_unlock(&memo->mutex);
    return err;
}

static struct error *verify_statement(struct secagg_memo *memo,
                                      const uint8_t public_key[static PUBLIC_KEY_BYTES],
                                      const struct statement *statement,
                                      const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    struct digest key;
    struct public_key *signer = NULL;
    if (memo == NULL)
        return signature_verify(public_key, statement->bytes, statement->count, signature);
    TRY(memo_key(public_key, statement, signature, &key));
    if (memo_has(memo, &key))
        goto done;
    TRY(memo_public_key(memo, public_key, &signer));
    TRY(public_key_verify(signer, statement->bytes, statement->count, signature));
    memo_put(memo, &key);
done:
    public_key_free(signer);
    return err;
}

struct error *secagg_verify(struct secagg_memo *memo, const struct site_id *site,
                            const uint8_t public_key[static PUBLIC_KEY_BYTES], const char *type,
                            const void *body, size_t bytes, const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    struct statement statement;
    struct site_id owner;
    TRY(site_id_of_key(public_key, &owner));
    if (!site_id_equal(&owner, site))
        FAIL(ERROR_UNTRUSTED,
             "The key beside a signature is not the key of the site that it is said to be of.");
    TRY(statement_make(type, body, bytes, &statement));
    TRY(verify_statement(memo, public_key, &statement, signature));
done:
    return err;
}
