#include "crypto/secret.h"
#include "datasite/store_job_parts.h"
#include "datasite/store_secagg_parts.h"

#include <inttypes.h>

void secagg_round_clear(struct secagg_round *round)
{
    secagg_drop(round->encoded, round->encoded_bytes);
    free(round->contributors);
    free(round->inputs);
    secret_wipe(round, sizeof(*round));
}

/* ---- reading ---- */

static struct error *round_read(struct query *query, bool with_vector, struct secagg_round *round)
{
    struct error *err = NULL;
    query_blob_exact(query, 0, round->model_digest.bytes, DIGEST_BYTES);
    round->agreed = !query_is_null(query, 2);
    if (round->agreed) {
        round->attempt = (uint32_t)query_int(query, 1);
        query_blob_exact(query, 2, round->agreement, SECAGG_AGREEMENT_BODY_BYTES);
        query_blob_exact(query, 3, round->signature, SIGNATURE_BYTES);
        TRY(secagg_take_positions(query, 4, &round->contributors, &round->contributor_count));
        TRY(secagg_take_blob(query, 5, &round->inputs, &round->inputs_bytes));
    }
    if (with_vector)
        TRY(secagg_take_blob(query, 6, &round->encoded, &round->encoded_bytes));
done:
    return err;
}

static struct error *round_find(struct store *store, const struct digest *job_id,
                                const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t number,
                                bool with_vector, struct secagg_round *ret_round, bool *ret_found)
{
    struct error *err = NULL, *failed = NULL;
    struct secagg_round round = {.encoded = NULL};
    struct query query;
    query_start(
        &query, store->database,
        with_vector
            ? "SELECT model_digest, attempt, agreement, signature, contributors, inputs, encoded FROM "
              "secagg_round LEFT JOIN secagg_vector USING (run_id, round) WHERE job_id = ? AND "
              "run_id = ? AND round = ?"
            : "SELECT model_digest, attempt, agreement, signature, contributors, inputs FROM secagg_round "
              "WHERE job_id = ? AND run_id = ? AND round = ?");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, number);
    bool found = query_step(&query);
    if (found)
        failed = round_read(&query, with_vector, &round);
    TRY(job_query_end(&query, failed));
    *ret_found = found;
    *ret_round = round;
    memset(&round, 0, sizeof(round));
done:
    secagg_round_clear(&round);
    return err;
}

static struct error *round_take(struct store *store, const struct digest *job_id,
                                const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                bool with_vector, struct secagg_round *ret_round)
{
    struct error *err = NULL;
    struct secagg_round found_round = {.encoded = NULL};
    bool found = false;
    TRY(round_find(store, job_id, run_id, round, with_vector, &found_round, &found));
    if (!found)
        FAIL(ERROR_NOT_FOUND, "This site has contributed nothing to round %" PRIu32 " of this run.", round);
    *ret_round = found_round;
done:
    return err;
}

struct error *store_secagg_round(struct store *store, const struct digest *job_id,
                                 const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                 struct secagg_round *ret_round)
{
    return round_take(store, job_id, run_id, round, true, ret_round);
}

struct error *store_secagg_round_alone(struct store *store, const struct digest *job_id,
                                       const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                       struct secagg_round *ret_round)
{
    return round_take(store, job_id, run_id, round, false, ret_round);
}

struct error *secagg_round_agreed(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                  uint32_t round, bool *ret_agreed)
{
    struct query query;
    query_start(
        &query, store->database,
        "SELECT EXISTS (SELECT 1 FROM secagg_round WHERE run_id = ?1 AND round = ?2 AND agreement IS NOT "
        "NULL) OR EXISTS (SELECT 1 FROM event WHERE job_id = (SELECT job_id FROM run WHERE run_id = ?1) AND "
        "kind = 'round-agreed' AND run_id = ?1 AND round = ?2)");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    if (query_step(&query))
        *ret_agreed = query_int(&query, 0) != 0;
    return query_end(&query);
}

/* ---- the vector ---- */

static struct error *round_insert(struct store *store, const struct digest *job_id, const uint8_t *run_id,
                                  uint32_t round, const struct digest *model_digest)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO secagg_round (job_id, run_id, round, model_digest) VALUES (?, ?, ?, ?)");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_blob(&query, model_digest->bytes, DIGEST_BYTES);
    return query_finish(&query);
}

static struct error *vector_insert(struct store *store, const uint8_t *run_id, uint32_t round,
                                   const uint8_t *encoded, size_t encoded_bytes)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO secagg_vector (run_id, round, encoded) VALUES (?, ?, ?)");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_blob(&query, encoded, encoded_bytes);
    return query_finish(&query);
}

struct error *store_secagg_encode(struct store *store, const struct digest *job_id,
                                  const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                  const struct digest *model_digest, const uint8_t *encoded,
                                  size_t encoded_bytes)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    struct secagg_round present = {.encoded = NULL};
    bool found = false, agreed = true;
    TRY(secagg_change_begin(store, &change));
    TRY(round_find(store, job_id, run_id, round, false, &present, &found));
    TRY(secagg_round_agreed(store, run_id, round, &agreed));
    if (found || agreed)
        FAIL(ERROR_CONFLICT, "What this site contributes to round %" PRIu32 " is computed already.", round);
    TRY(secagg_count_raise(store, false));
    TRY(round_insert(store, job_id, run_id, round, model_digest));
    TRY(vector_insert(store, run_id, round, encoded, encoded_bytes));
    TRY(secagg_change_end(store, &change));
done:
    secagg_round_clear(&present);
    secagg_change_undo(store, &change, err);
    return err;
}

/* ---- the one statement ---- */

static struct error *agree_check_slot(struct store *store, const uint8_t *run_id, uint32_t round,
                                      uint32_t attempt)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, store->database,
        "SELECT 1 FROM secagg_slot WHERE run_id = ? AND round = ? AND attempt = ? AND state = 'bound'");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_int(&query, attempt);
    bool bound = query_step(&query);
    TRY(query_end(&query));
    if (!bound)
        FAIL(ERROR_REFUSED,
             "No key slot of this site serves attempt %" PRIu32 " of round %" PRIu32
             ", so it signs nothing about it.",
             attempt + 1, round);
done:
    return err;
}

/* Of the round, and of rounds before it that this site did not agree to. */
static struct error *vectors_erase(struct store *store, const uint8_t *run_id, uint32_t round)
{
    struct query query;
    query_start(&query, store->database, "DELETE FROM secagg_vector WHERE run_id = ? AND round <= ?");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    struct error *err = query_finish(&query);
    if (err == NULL && database_changes(store->database) > 0)
        secagg_erased(store);
    return err;
}

static struct error *agree_write(struct store *store, const struct digest *job_id, const uint8_t *run_id,
                                 uint32_t round, uint32_t attempt, struct secagg_set contributors,
                                 const uint8_t *body, const uint8_t *signature, const uint8_t *inputs,
                                 size_t inputs_bytes)
{
    struct error *err = NULL;
    struct query query;
    uint8_t *positions = NULL;
    size_t bytes = 0;
    TRY(secagg_put_positions(contributors, &positions, &bytes));
    query_start(&query, store->database,
                "UPDATE secagg_round SET attempt = ?, agreement = ?, signature = ?, contributors = ?, inputs "
                "= ? WHERE "
                "job_id = ? "
                "AND run_id = ? AND round = ? AND agreement IS NULL");
    query_bind_int(&query, attempt);
    query_bind_blob(&query, body, SECAGG_AGREEMENT_BODY_BYTES);
    query_bind_blob(&query, signature, SIGNATURE_BYTES);
    query_bind_blob(&query, positions, bytes);
    if (inputs == NULL)
        query_bind_null(&query);
    else
        query_bind_blob(&query, inputs, inputs_bytes);
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    TRY(query_finish(&query));
    if (database_changes(store->database) != 1)
        FAIL(ERROR_REFUSED, "This site has contributed nothing to round %" PRIu32 " of this run.", round);
done:
    free(positions);
    return err;
}

/* *ret_again: it is what was signed. */
static struct error *agree_check_once(struct store *store, const struct digest *job_id, const uint8_t *run_id,
                                      uint32_t round, uint32_t attempt, const uint8_t *body,
                                      const uint8_t *signature, bool *ret_again)
{
    struct error *err = NULL;
    struct secagg_round present = {.encoded = NULL};
    bool found = false, agreed = true;
    TRY(round_find(store, job_id, run_id, round, false, &present, &found));
    TRY(secagg_round_agreed(store, run_id, round, &agreed));
    *ret_again = found && present.agreed && present.attempt == attempt &&
                 memcmp(present.agreement, body, SECAGG_AGREEMENT_BODY_BYTES) == 0 &&
                 memcmp(present.signature, signature, SIGNATURE_BYTES) == 0;
    if (agreed && !*ret_again)
        FAIL(ERROR_REFUSED,
             "This site has signed who contributed to round %" PRIu32 " of this run, and signs that once.",
             round);
done:
    secagg_round_clear(&present);
    return err;
}

struct error *store_secagg_agree(struct store *store, const struct digest *job_id,
                                 const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                 uint32_t attempt, struct secagg_set contributors,
                                 const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES],
                                 const uint8_t signature[static SIGNATURE_BYTES], const uint8_t *inputs,
                                 size_t inputs_bytes)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    bool again = false;
    TRY(secagg_change_begin(store, &change));
    TRY(agree_check_once(store, job_id, run_id, round, attempt, body, signature, &again));
    if (!again) {
        TRY(agree_check_slot(store, run_id, round, attempt));
        TRY(secagg_count_raise(store, false));
        TRY(agree_write(store, job_id, run_id, round, attempt, contributors, body, signature, inputs,
                        inputs_bytes));
        TRY(vectors_erase(store, run_id, round));
        TRY(secagg_slots_settle(store, run_id, round, attempt));
        secagg_erased_patiently(store);
    }
    TRY(secagg_change_end(store, &change));
done:
    secagg_change_undo(store, &change, err);
    return err;
}

/* ---- the model between rounds ---- */

void secagg_model_clear(struct secagg_model *model)
{
    free(model->parameters);
    memset(model, 0, sizeof(*model));
}

struct error *store_secagg_model_edited(void)
{
    return error_new(
        ERROR_UNTRUSTED,
        "The model of this run in the site's database is not the one that the site computed: somebody "
        "edited it. The site goes on with no model; `datasite audit verify` looks at the rest.");
}

/* The parameters are those of the digest, and behind a sum the digest is that of its event, which is chained. */
static struct error *model_check(struct store *store, const uint8_t *run_id, const struct secagg_model *model)
{
    struct error *err = NULL;
    struct query query;
    struct digest digest;
    TRY(digest_of(model->parameters, model->bytes, &digest));
    if (!digest_equal(&digest, &model->digest))
        TRY(store_secagg_model_edited());
    query_start(
        &query, store->database,
        "SELECT round, digest FROM event WHERE run_id = ? AND kind = 'sum-taken' ORDER BY id DESC LIMIT 1");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    bool taken = query_step(&query), agrees = !taken && model->round == 1;
    if (taken && !query_is_null(&query, 1)) {
        query_blob_exact(&query, 1, digest.bytes, DIGEST_BYTES);
        agrees = query_int(&query, 0) + 1 == model->round && digest_equal(&digest, &model->digest);
    }
    TRY(query_end(&query));
    if (!agrees)
        TRY(store_secagg_model_edited());
done:
    return err;
}

struct error *store_secagg_model(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                 struct secagg_model *ret_model)
{
    struct error *err = NULL, *failed = NULL;
    struct secagg_model model = {.parameters = NULL};
    struct query query;
    query_start(&query, store->database,
                "SELECT round, digest, parameters FROM secagg_model WHERE run_id = ?");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    bool found = query_step(&query);
    if (found) {
        model.round = (uint32_t)query_int(&query, 0);
        query_blob_exact(&query, 1, model.digest.bytes, DIGEST_BYTES);
        failed = secagg_take_blob(&query, 2, &model.parameters, &model.bytes);
    }
    TRY(job_query_end(&query, failed));
    if (!found)
        FAIL(ERROR_NOT_FOUND, "This site has no model of this run yet.");
    TRY(model_check(store, run_id, &model));
    *ret_model = model;
    model.parameters = NULL;
done:
    secagg_model_clear(&model);
    return err;
}

static struct error *model_round(struct store *store, const uint8_t *run_id, uint32_t *ret_round)
{
    struct query query;
    query_start(&query, store->database, "SELECT round FROM secagg_model WHERE run_id = ?");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    *ret_round = query_step(&query) ? (uint32_t)query_int(&query, 0) : 0;
    return query_end(&query);
}

static struct error *model_write(struct store *store, const uint8_t *run_id, const struct secagg_model *model)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO secagg_model VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET round = "
                "excluded.round, digest = excluded.digest, parameters = excluded.parameters");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, model->round);
    query_bind_blob(&query, model->digest.bytes, DIGEST_BYTES);
    query_bind_blob(&query, model->parameters, model->bytes);
    return query_finish(&query);
}

struct error *store_secagg_set_model(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                     const struct secagg_model *model)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    uint32_t before = 0;
    TRY(secagg_change_begin(store, &change));
    TRY(model_round(store, run_id, &before));
    if (model->round != before + 1)
        FAIL(ERROR_CONFLICT,
             "The model of round %" PRIu32 " cannot follow that of round %" PRIu32 " (0: none) of this run.",
             model->round, before);
    TRY(secagg_count_raise(store, false));
    TRY(model_write(store, run_id, model));
    TRY(vectors_erase(store, run_id, before));
    TRY(secagg_slots_settle(store, run_id, before, UINT32_MAX));
    TRY(secagg_change_end(store, &change));
done:
    secagg_change_undo(store, &change, err);
    return err;
}
