#include "audit/receipt.h"

#include "audit/statement.h"

static const char receipt_magic[] = "FDS-RECEIPT1"; /* with its NUL */

static struct error *receipt_statement(const struct receipt *receipt, struct statement *ret_statement)
{
    struct error *err = NULL;
    struct digest protections;
    struct statement statement = {.used = 0};
    TRY(digest_of(receipt->protections, strlen(receipt->protections), &protections));
    statement_put(&statement, receipt_magic, sizeof(receipt_magic));
    statement_put(&statement, receipt->site.digest.bytes, DIGEST_BYTES);
    statement_put(&statement, receipt->approval.bytes, DIGEST_BYTES);
    statement_put(&statement, receipt->job_id.bytes, DIGEST_BYTES);
    statement_put(&statement, receipt->run_id, RECEIPT_RUN_ID_BYTES);
    statement_number(&statement, receipt->round, 4);
    statement_number(&statement, (uint64_t)receipt->kind, 4);
    statement_put(&statement, receipt->digest.bytes, DIGEST_BYTES);
    statement_number(&statement, receipt->body_bytes, 8);
    statement_put(&statement, protections.bytes, DIGEST_BYTES);
    statement_number(&statement, receipt->sequence, 8);
    statement_put(&statement, receipt->head.bytes, DIGEST_BYTES);
    statement_number(&statement, (uint64_t)receipt->at, 8);
    *ret_statement = statement;
done:
    return err;
}

struct error *receipt_sign(const struct identity *identity, struct receipt *receipt)
{
    struct error *err = NULL;
    struct statement statement;
    identity_public_key(identity, receipt->public_key);
    receipt->site = *identity_id(identity);
    TRY(receipt_statement(receipt, &statement));
    TRY(identity_sign(identity, statement.bytes, statement.used, receipt->signature));
done:
    return err;
}

struct error *receipt_verify(const struct receipt *receipt)
{
    struct error *err = NULL;
    struct statement statement;
    struct site_id site;
    struct public_key *key = NULL;
    struct chain_head head = {receipt->site, receipt->sequence, receipt->head};
    TRY(site_id_of_key(receipt->public_key, &site));
    if (!site_id_equal(&site, &receipt->site))
        FAIL(ERROR_UNTRUSTED, "The receipt's key is not the key of the site that it names.");
    TRY(receipt_statement(receipt, &statement));
    TRY(public_key_new(receipt->public_key, &key));
    err = public_key_verify(key, statement.bytes, statement.used, receipt->signature);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        FAIL(ERROR_UNTRUSTED, "The signature of the receipt does not hold.");
    }
    if (err != NULL)
        goto done;
    TRY(chain_head_verify_by(key, &head, receipt->head_signature));
done:
    public_key_free(key);
    return err;
}

static struct error *receipt_of_other_bytes(void)
{
    return error_new(ERROR_UNTRUSTED, "The receipt is of other bytes than those that came with it.");
}

struct error *receipt_verify_digest(const struct receipt *receipt, const struct site_id *site,
                                    const struct digest *job_id,
                                    const uint8_t run_id[static RECEIPT_RUN_ID_BYTES], uint32_t round,
                                    enum receipt_kind kind, const struct digest *digest)
{
    struct error *err = NULL;
    TRY(receipt_verify(receipt));
    if (!site_id_equal(site, &receipt->site))
        FAIL(ERROR_UNTRUSTED, "The receipt is of another site.");
    if (!digest_equal(job_id, &receipt->job_id) || memcmp(run_id, receipt->run_id, RECEIPT_RUN_ID_BYTES) != 0)
        FAIL(ERROR_UNTRUSTED, "The receipt is of another job or run.");
    if (round != receipt->round || kind != receipt->kind)
        FAIL(ERROR_UNTRUSTED, "The receipt is of another round, or of another kind of answer.");
    if (!digest_equal(digest, &receipt->digest))
        TRY(receipt_of_other_bytes());
done:
    return err;
}

struct error *receipt_verify_release(const struct receipt *receipt, const struct site_id *site,
                                     const struct digest *job_id,
                                     const uint8_t run_id[static RECEIPT_RUN_ID_BYTES], uint32_t round,
                                     enum receipt_kind kind, const uint8_t *body, size_t body_bytes)
{
    struct error *err = NULL;
    struct digest digest;
    TRY(digest_of(body, body_bytes, &digest));
    TRY(receipt_verify_digest(receipt, site, job_id, run_id, round, kind, &digest));
    if (body_bytes != receipt->body_bytes)
        TRY(receipt_of_other_bytes());
done:
    return err;
}

const char *receipt_kind_word(enum receipt_kind kind)
{
    switch (kind) {
    case RECEIPT_UPDATE:
        return "update";
    case RECEIPT_EVALUATION:
        return "evaluation";
    case RECEIPT_MASKED_INPUT:
        return "masked-input";
    }
    return "unknown";
}
