#include "audit/chain.h"

#include "audit/statement.h"

#include <stdio.h>
#include <string.h>

static const char chain_start_magic[] = "FDS-CHAIN1"; /* each with its NUL */
static const char chain_event_magic[] = "FDS-EVENT1";
static const char chain_head_magic[] = "FDS-HEAD1";
static const char chain_beginning_magic[] = "FDS-CHAINSTART1";

#define CHAIN_BEGINNING_STATEMENT (CHAIN_BEGINNING_BYTES - SIGNATURE_BYTES)

#define CHAIN_SALT_BEFORE " (salt "

void chain_salt_format(const uint8_t salt[static CHAIN_SALT_BYTES],
                       char ret_text[static CHAIN_SALT_TEXT_BYTES])
{
    size_t used = sizeof(CHAIN_SALT_BEFORE) - 1;
    memcpy(ret_text, CHAIN_SALT_BEFORE, used);
    for (size_t i = 0; i < CHAIN_SALT_BYTES; i++, used += 2)
        (void)snprintf(ret_text + used, 3, "%02x", salt[i]);
    memcpy(ret_text + used, ")", 2);
}

size_t chain_detail_bytes(const char *detail)
{
    size_t bytes = strlen(detail), before = sizeof(CHAIN_SALT_BEFORE) - 1;
    if (bytes < CHAIN_SALT_TEXT_BYTES - 1)
        return bytes;
    const char *salt = detail + bytes - (CHAIN_SALT_TEXT_BYTES - 1);
    if (strncmp(salt, CHAIN_SALT_BEFORE, before) != 0 || detail[bytes - 1] != ')' ||
        strspn(salt + before, "0123456789abcdef") != (size_t)2 * CHAIN_SALT_BYTES)
        return bytes;
    return bytes - (CHAIN_SALT_TEXT_BYTES - 1);
}

struct error *chain_start(const struct site_id *site, struct digest *ret_hash)
{
    struct statement statement = {.used = 0};
    statement_put(&statement, chain_start_magic, sizeof(chain_start_magic));
    statement_put(&statement, site->digest.bytes, DIGEST_BYTES);
    return digest_of(statement.bytes, statement.used, ret_hash);
}

/* u8 1 and the bytes, or u8 0. */
static void chain_put_optional(struct statement *statement, const void *bytes, size_t count)
{
    statement_number(statement, bytes == NULL ? 0 : 1, 1);
    if (bytes != NULL)
        statement_put(statement, bytes, count);
}

static struct error *chain_add_text(struct digest_stream *stream, const char *text)
{
    struct error *err = NULL;
    struct statement length = {.used = 0};
    size_t bytes = strnlen(text, CHAIN_TEXT_BYTES + 1);
    if (bytes > CHAIN_TEXT_BYTES)
        FAIL(ERROR_LIMIT, "An event's text is longer than %d bytes.", CHAIN_TEXT_BYTES);
    statement_number(&length, bytes, 4);
    TRY(digest_stream_add(stream, length.bytes, length.used));
    TRY(digest_stream_add(stream, text, bytes));
done:
    return err;
}

struct error *chain_next(const struct digest *previous, const struct chain_event *event,
                         struct digest *ret_hash)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    struct statement begin = {.used = 0}, middle = {.used = 0}, end = {.used = 0};
    statement_put(&begin, chain_event_magic, sizeof(chain_event_magic));
    statement_put(&begin, previous->bytes, DIGEST_BYTES);
    statement_number(&begin, event->sequence, 8);
    statement_number(&begin, (uint64_t)event->at, 8);
    chain_put_optional(&middle, event->job_id == NULL ? NULL : event->job_id->bytes, DIGEST_BYTES);
    chain_put_optional(&middle, event->run_id, CHAIN_RUN_ID_BYTES);
    statement_number(&middle, event->round, 4);
    chain_put_optional(&end, event->digest == NULL ? NULL : event->digest->bytes, DIGEST_BYTES);
    TRY(digest_stream_new(&stream));
    TRY(digest_stream_add(stream, begin.bytes, begin.used));
    TRY(chain_add_text(stream, event->kind));
    TRY(digest_stream_add(stream, middle.bytes, middle.used));
    TRY(chain_add_text(stream, event->detail));
    TRY(digest_stream_add(stream, end.bytes, end.used));
    TRY(digest_stream_finish(stream, ret_hash));
done:
    digest_stream_free(stream);
    return err;
}

static void chain_head_statement(const struct chain_head *head, struct statement *ret_statement)
{
    ret_statement->used = 0;
    statement_put(ret_statement, chain_head_magic, sizeof(chain_head_magic));
    statement_put(ret_statement, head->site.digest.bytes, DIGEST_BYTES);
    statement_number(ret_statement, head->sequence, 8);
    statement_put(ret_statement, head->hash.bytes, DIGEST_BYTES);
}

struct error *chain_head_sign(const struct identity *identity, const struct chain_head *head,
                              uint8_t ret_signature[static SIGNATURE_BYTES])
{
    struct statement statement;
    if (!site_id_equal(identity_id(identity), &head->site))
        return error_new(ERROR_INTERNAL, "A head of another site's chain cannot be signed.");
    chain_head_statement(head, &statement);
    return identity_sign(identity, statement.bytes, statement.used, ret_signature);
}

struct error *chain_head_verify_by(const struct public_key *key, const struct chain_head *head,
                                   const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    struct statement statement;
    struct site_id owner;
    TRY(site_id_of_key(public_key_bytes(key), &owner));
    if (!site_id_equal(&owner, &head->site))
        FAIL(ERROR_UNTRUSTED,
             "The head of the chain is said to be signed with a key that is not the site's.");
    chain_head_statement(head, &statement);
    err = public_key_verify(key, statement.bytes, statement.used, signature);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        FAIL(ERROR_UNTRUSTED, "The signature of the head of the chain does not hold.");
    }
done:
    return err;
}

struct error *chain_head_verify(const uint8_t public_key[static PUBLIC_KEY_BYTES],
                                const struct chain_head *head,
                                const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    struct public_key *key = NULL;
    TRY(public_key_new(public_key, &key));
    TRY(chain_head_verify_by(key, head, signature));
done:
    public_key_free(key);
    return err;
}

static void chain_beginning_statement(const struct chain_head *beginning, struct statement *ret_statement)
{
    ret_statement->used = 0;
    statement_put(ret_statement, chain_beginning_magic, sizeof(chain_beginning_magic));
    statement_put(ret_statement, beginning->site.digest.bytes, DIGEST_BYTES);
    statement_number(ret_statement, beginning->sequence, 8);
    statement_put(ret_statement, beginning->hash.bytes, DIGEST_BYTES);
}

struct error *chain_beginning_sign(const struct identity *identity, const struct chain_head *beginning,
                                   uint8_t ret_bytes[static CHAIN_BEGINNING_BYTES])
{
    struct error *err = NULL;
    struct statement statement;
    if (!site_id_equal(identity_id(identity), &beginning->site))
        FAIL(ERROR_INTERNAL, "The beginning of another site's chain cannot be signed.");
    chain_beginning_statement(beginning, &statement);
    TRY(identity_sign(identity, statement.bytes, statement.used, ret_bytes + statement.used));
    memcpy(ret_bytes, statement.bytes, statement.used);
done:
    return err;
}

struct error *chain_beginning_read(const uint8_t public_key[static PUBLIC_KEY_BYTES], const uint8_t *bytes,
                                   size_t count, struct chain_head *ret_beginning)
{
    struct error *err = NULL;
    struct statement statement;
    struct chain_head beginning = {.sequence = 0};
    const size_t number = sizeof(chain_beginning_magic) + DIGEST_BYTES;
    if (count != CHAIN_BEGINNING_BYTES)
        FAIL(ERROR_UNTRUSTED, "The statement of the chain's beginning has a wrong length.");
    TRY(site_id_of_key(public_key, &beginning.site));
    for (size_t i = 0; i < 8; i++)
        beginning.sequence |= (uint64_t)bytes[number + i] << (8 * i);
    memcpy(beginning.hash.bytes, bytes + number + 8, DIGEST_BYTES);
    chain_beginning_statement(&beginning, &statement);
    if (memcmp(statement.bytes, bytes, CHAIN_BEGINNING_STATEMENT) != 0)
        FAIL(ERROR_UNTRUSTED, "The statement of the chain's beginning is none, or of another site.");
    err = signature_verify(public_key, bytes, CHAIN_BEGINNING_STATEMENT, bytes + CHAIN_BEGINNING_STATEMENT);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        FAIL(ERROR_UNTRUSTED, "The signature of the statement of the chain's beginning does not hold.");
    }
    if (err == NULL)
        *ret_beginning = beginning;
done:
    return err;
}
