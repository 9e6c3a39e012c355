/* The Sum that the orchestrator of masked_sites.h signs, with everything that a site asks of it. */
#include "tests/unit/datasite/masked_sites.h"

#include "crypto/secagg_wire.h"

static ProtobufCBinaryData masked_copy(const void *data, size_t bytes)
{
    ProtobufCBinaryData copy = {bytes, malloc(bytes + 1)};
    assert_non_null(copy.data);
    memcpy(copy.data, data, bytes);
    return copy;
}

static uint32_t *masked_positions(struct secagg_set set)
{
    uint32_t *copy = calloc(set.count, sizeof(*copy));
    assert_non_null(copy);
    memcpy(copy, set.positions, set.count * sizeof(*copy));
    return copy;
}

void masked_sign(struct masked_sites *masked, const struct masked_attempt *attempt, Fds__Sum *sum)
{
    uint8_t body[SECAGG_SUM_BODY_BYTES], key[PUBLIC_KEY_BYTES], signature[SIGNATURE_BYTES];
    struct digest contributors, context;
    uint64_t *words = calloc(attempt->about.words, sizeof(*words));
    struct digest keyset_hash;
    assert_non_null(words);
    memcpy(keyset_hash.bytes, sum->keyset_hash.data, DIGEST_BYTES);
    mask_read(attempt->about.ring, sum->words.data, attempt->about.words, words);
    must(secagg_set_hash(&masked->run, SECAGG_CONTRIBUTORS,
                         (struct secagg_set){sum->contributors, sum->n_contributors}, &contributors));
    must(secagg_context(&masked->run, sum->round, sum->attempt, &keyset_hash, &attempt->about.model_hash,
                        &context));
    must(secagg_sum_body(&context, &contributors, attempt->about.ring, words, attempt->about.words, body));
    must(secagg_sign(masked->orchestrator, "sum", body, sizeof(body), signature));
    identity_public_key(masked->orchestrator, key);
    free(sum->signature.data);
    free(sum->public_key.data);
    sum->signature = masked_copy(signature, sizeof(signature));
    sum->public_key = masked_copy(key, sizeof(key));
    free(words);
}

static void masked_evidence(const struct masked_attempt *attempt, Fds__Sum *sum)
{
    size_t count = attempt->u3.count;
    uint8_t opened[MASKED_SITES * SECAGG_OPENED_BYTES];
    sum->inputs = calloc(count, sizeof(*sum->inputs));
    assert_non_null(sum->inputs);
    sum->n_inputs = count;
    for (size_t i = 0; i < count; i++)
        sum->inputs[i] = masked_copy(attempt->inputs[i], attempt->bytes);
    secagg_wire_write_opened(attempt->opened, attempt->u2.count, opened);
    sum->opened = masked_copy(opened, attempt->u2.count * SECAGG_OPENED_BYTES);
}

static void masked_add_adverts(struct masked_sites *masked, Fds__Sum *sum)
{
    sum->adverts = calloc(MASKED_SITES, sizeof(Fds__Advert *));
    assert_non_null(sum->adverts);
    for (size_t i = 0; i < MASKED_SITES; i++) {
        if (masked->adverts[i].entries != NULL)
            must(secagg_wire_make_advert(&masked->run, &masked->adverts[i], &sum->adverts[sum->n_adverts++]));
    }
}

Fds__Sum *masked_sum(struct masked_sites *masked, const struct masked_attempt *attempt, bool with_adverts)
{
    Fds__Sum *sum = malloc(sizeof(*sum));
    uint8_t agreed[SECAGG_AGREEMENT_BODY_BYTES];
    uint8_t *words = malloc(attempt->bytes);
    assert_true(sum != NULL && words != NULL);
    fds__sum__init(sum);
    mask_write(attempt->about.ring, attempt->sum, attempt->about.words, words);
    must(secagg_agreement_body(&attempt->about, attempt->statements, attempt->u3.count, agreed));
    sum->job_id = masked_copy(masked->job_id.bytes, DIGEST_BYTES);
    sum->run_id = masked_copy(masked->run.run_id, STORE_RUN_ID_BYTES);
    sum->round = attempt->about.round;
    sum->attempt = attempt->about.attempt;
    sum->slot = attempt->about.slot;
    sum->keyset_hash = masked_copy(attempt->about.keyset_hash.bytes, DIGEST_BYTES);
    sum->n_sharers = attempt->u2.count;
    sum->sharers = masked_positions(attempt->u2);
    sum->n_contributors = attempt->u3.count;
    sum->contributors = masked_positions(attempt->u3);
    sum->inputs_digest = masked_copy(agreed + 3 * DIGEST_BYTES, DIGEST_BYTES);
    must(secagg_wire_make_agreements(attempt->agreements, attempt->agreement_count, &sum->agreements));
    sum->n_agreements = attempt->agreement_count;
    sum->words = masked_copy(words, attempt->bytes);
    masked_evidence(attempt, sum);
    if (with_adverts)
        masked_add_adverts(masked, sum);
    masked_sign(masked, attempt, sum);
    free(words);
    return sum;
}
