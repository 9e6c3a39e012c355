#include "datasite/secagg_evidence.h"

#include "crypto/secagg_wire.h"
#include "crypto/secret.h"

static struct error *evidence_untrusted(const char *what)
{
    return error_new(ERROR_UNTRUSTED, "The sum of the round before does not hold: %s.", what);
}

/* The inputs are those whose signed bodies the agreement is about. */
static struct error *evidence_check_inputs(const struct secagg_attempt *attempt, const Fds__Sum *sum)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    struct digest digest;
    uint8_t body[SECAGG_INPUT_BODY_BYTES];
    size_t bytes = mask_bytes(attempt->ring, attempt->words);
    TRY(digest_stream_new(&stream));
    for (size_t i = 0; i < sum->n_inputs; i++) {
        if (sum->inputs[i].len != bytes)
            FAIL(ERROR_INVALID, "Sum: an input has %zu bytes instead of %zu.", sum->inputs[i].len, bytes);
        TRY(digest_of(sum->inputs[i].data, bytes, &digest));
        secagg_input_body(attempt, &digest, body);
        TRY(digest_stream_add(stream, body, sizeof(body)));
    }
    TRY(digest_stream_finish(stream, &digest));
    if (sum->inputs_digest.len != DIGEST_BYTES ||
        memcmp(digest.bytes, sum->inputs_digest.data, DIGEST_BYTES) != 0)
        err = evidence_untrusted("the inputs are not those that the sites agreed on");
done:
    digest_stream_free(stream);
    return err;
}

/* The inputs, one after the other, into `total`. */
static void evidence_add(const struct secagg_attempt *attempt, const Fds__Sum *sum, uint64_t *one,
                         uint64_t *total)
{
    for (size_t i = 0; i < sum->n_inputs; i++) {
        mask_read(attempt->ring, sum->inputs[i].data, attempt->words, one);
        mask_add_words(attempt->ring, total, one, attempt->words);
    }
}

static struct error *evidence_sum(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                  const struct secagg_opened *opened, const Fds__Sum *sum,
                                  const uint64_t *words)
{
    struct error *err = NULL;
    uint64_t *one = calloc(attempt->words, sizeof(*one));
    uint64_t *total = calloc(attempt->words, sizeof(*total));
    if (one == NULL || total == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to check a sum.");
    evidence_add(attempt, sum, one, total);
    TRY(secagg_sum_unmask(attempt, contributors, opened, total));
    if (memcmp(total, words, attempt->words * sizeof(*total)) != 0)
        err = evidence_untrusted("the inputs and the revealed secrets give another one");
done:
    free(one);
    free(total);
    return err;
}

struct error *secagg_evidence_check(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                    const Fds__Sum *sum, const uint64_t *words)
{
    struct error *err = NULL;
    struct secagg_opened *opened = NULL;
    size_t count = attempt->sharers.count;
    if (sum->n_inputs != contributors.count || sum->opened.len == 0)
        FAIL(ERROR_REFUSED,
             "The job says `verify_sum`, and the sum of the round before came without the inputs and "
             "secrets to compute it from.");
    TRY(evidence_check_inputs(attempt, sum));
    TRY(secagg_wire_read_opened(attempt->sharers, contributors, sum->opened.data, sum->opened.len, &opened));
    TRY(secagg_opened_check(attempt, contributors, opened, count));
    TRY(evidence_sum(attempt, contributors, opened, sum, words));
done:
    if (opened != NULL)
        secret_wipe(opened, count * sizeof(*opened));
    free(opened);
    return err;
}
