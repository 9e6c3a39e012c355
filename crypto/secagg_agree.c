#include "crypto/secagg_agree.h"

#include "crypto/secagg_keyset_parts.h"
#include "crypto/secagg_parts.h"

/* The sum of two is told apart by each of them. */
#define LEAST_CONTRIBUTORS 3

/* ---- the body ---- */

/* *ret_positions [count] is malloc'ed. */
static struct error *positions_of(const struct secagg_input *inputs, size_t count, uint32_t **ret_positions)
{
    uint32_t *positions = calloc(count + 1, sizeof(*positions));
    if (positions == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a list of %zu sites.", count);
    for (size_t i = 0; i < count; i++)
        positions[i] = inputs[i].position;
    *ret_positions = positions;
    return NULL;
}

/* SHA-256 of the signed bodies of the inputs, one behind the other. */
static struct error *inputs_digest(const struct secagg_attempt *attempt, const struct secagg_input *inputs,
                                   size_t count, struct digest *ret_digest)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    uint8_t body[SECAGG_INPUT_BODY_BYTES];
    TRY(digest_stream_new(&stream));
    for (size_t i = 0; i < count; i++) {
        secagg_input_body(attempt, &inputs[i].digest, body);
        TRY(digest_stream_add(stream, body, sizeof(body)));
    }
    TRY(digest_stream_finish(stream, ret_digest));
done:
    digest_stream_free(stream);
    return err;
}

struct error *secagg_agreement_body(const struct secagg_attempt *attempt, const struct secagg_input *inputs,
                                    size_t count, uint8_t ret_body[static SECAGG_AGREEMENT_BODY_BYTES])
{
    struct error *err = NULL;
    uint32_t *positions = NULL;
    struct digest contributors, bodies;
    TRY(positions_of(inputs, count, &positions));
    TRY(secagg_set_hash(&attempt->keyset->run, SECAGG_CONTRIBUTORS,
                        (struct secagg_set){.positions = positions, .count = count}, &contributors));
    TRY(inputs_digest(attempt, inputs, count, &bodies));
    uint8_t *at = secagg_put(ret_body, attempt->context.bytes, DIGEST_BYTES);
    at = secagg_put(at, attempt->sharers_hash.bytes, DIGEST_BYTES);
    at = secagg_put(at, contributors.bytes, DIGEST_BYTES);
    (void)secagg_put(at, bodies.bytes, DIGEST_BYTES);
done:
    free(positions);
    return err;
}

/* ---- what a site checks before it signs ---- */

static struct error *check_contributors(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                        size_t least)
{
    struct error *err = NULL;
    size_t threshold = attempt->keyset->run.threshold;
    least = least < threshold ? threshold : least;
    least = least < LEAST_CONTRIBUTORS ? LEAST_CONTRIBUTORS : least;
    TRY(secagg_set_check(&attempt->keyset->run, contributors, "the list of contributors"));
    if (!secagg_set_within(contributors, attempt->sharers))
        FAIL(ERROR_INVALID, "The list of contributors has a site that is not in the list of sharers.");
    if (contributors.count < least)
        FAIL(ERROR_REFUSED, "Only %zu sites contributed to the sum; it needs at least %zu.",
             contributors.count, least);
done:
    return err;
}

static struct error *check_own(uint32_t position, const struct digest *own_digest,
                               const struct secagg_input *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (inputs[i].position != position)
            continue;
        if (digest_equal(&inputs[i].digest, own_digest))
            return NULL;
        return error_new(ERROR_UNTRUSTED,
                         "What is said to be this site's input is not the vector that it gave.");
    }
    return error_new(ERROR_REFUSED, "This site is not in the list of contributors that it is to agree to.");
}

/* A member whose neighbours among the contributors are few may be shut in among corrupt ones; where all are neighbours,
 * nobody can be. */
struct error *secagg_isolation_check(const struct secagg_attempt *attempt, struct secagg_set contributors)
{
    struct error *err = NULL;
    struct secagg_links links = {0};
    const struct secagg_keyset *keyset = attempt->keyset;
    TRY(secagg_links_make(keyset, attempt->slot, &links));
    for (size_t i = 0; links.rows != NULL && i < keyset->count; i++) {
        size_t present = 0;
        if (!secagg_set_has(contributors, keyset->members[i].position))
            continue;
        for (size_t j = 0; j < links.degree; j++)
            present += secagg_set_has(contributors, secagg_links_peer(&links, keyset, i, j)) ? 1 : 0;
        if (present < links.threshold)
            FAIL(ERROR_REFUSED,
                 "Only %zu neighbours of site %" PRIu32 " of the roster contributed; it needs %zu.", present,
                 keyset->members[i].position, links.threshold);
    }
done:
    secagg_links_clear(&links);
    return err;
}

struct error *secagg_agree_check(const struct secagg_attempt *attempt, uint32_t position,
                                 const struct digest *own_digest, const struct secagg_input *inputs,
                                 size_t count, size_t least,
                                 uint8_t ret_body[static SECAGG_AGREEMENT_BODY_BYTES])
{
    struct error *err = NULL;
    uint32_t *positions = NULL;
    TRY(positions_of(inputs, count, &positions));
    struct secagg_set contributors = {.positions = positions, .count = count};
    TRY(check_contributors(attempt, contributors, least));
    TRY(check_own(position, own_digest, inputs, count));
    TRY(secagg_isolation_check(attempt, contributors));
    TRY(secagg_agreement_body(attempt, inputs, count, ret_body));
done:
    free(positions);
    return err;
}

/* ---- the others' signatures ---- */

static struct error *agreement_verify(const struct secagg_run *run,
                                      const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES],
                                      const struct secagg_agreement *agreement, uint32_t before,
                                      struct secagg_memo *memo)
{
    uint32_t position = agreement->position;
    if (position == 0 || position > run->sites)
        return error_new(ERROR_INVALID,
                         "An agreement is of site %" PRIu32 " of the roster, which has 1 to %zu.", position,
                         run->sites);
    if (position <= before)
        return error_new(ERROR_INVALID,
                         "The agreement of site %" PRIu32 " of the roster comes after that of site %" PRIu32
                         "; each must be there once, in ascending order.",
                         position, before);
    return error_prefix(secagg_verify(memo, &run->roster[position - 1], agreement->public_key,
                                      SECAGG_AGREEMENT, body, SECAGG_AGREEMENT_BODY_BYTES,
                                      agreement->signature),
                        "The agreement of site %" PRIu32 " of the roster", position);
}

struct error *secagg_agreements_verify(const struct secagg_run *run,
                                       const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES],
                                       const struct secagg_agreement *agreements, size_t count,
                                       struct secagg_memo *memo)
{
    struct error *err = NULL;
    if (count == 0 || count < run->threshold)
        FAIL(ERROR_REFUSED, "%zu sites agree, and the job's threshold is %zu.", count, run->threshold);
    for (size_t i = 0; i < count; i++)
        TRY(agreement_verify(run, body, &agreements[i], i == 0 ? 0 : agreements[i - 1].position, memo));
done:
    return err;
}

/* ---- what a site checks before it gives shares ---- */

/* Both lists ascend. */
static struct error *inputs_verify(const struct secagg_attempt *attempt, uint32_t position,
                                   const struct secagg_input *inputs, size_t count,
                                   const struct secagg_agreement *agreements, size_t agreement_count,
                                   struct secagg_memo *memo)
{
    struct error *err = NULL;
    size_t next = 0;
    for (size_t i = 0; i < count; i++) {
        while (next < agreement_count && agreements[next].position < inputs[i].position)
            next++;
        bool agreed = next < agreement_count && agreements[next].position == inputs[i].position;
        if (!agreed && inputs[i].position != position)
            TRY(secagg_input_verify(attempt, &inputs[i], memo));
    }
done:
    return err;
}

struct error *secagg_unmask_check(const struct secagg_attempt *attempt, uint32_t position,
                                  const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES],
                                  const struct secagg_input *inputs, size_t count,
                                  const struct secagg_agreement *agreements, size_t agreement_count,
                                  struct secagg_memo *memo)
{
    struct error *err = NULL;
    uint8_t of_inputs[SECAGG_AGREEMENT_BODY_BYTES];
    TRY(secagg_agreement_body(attempt, inputs, count, of_inputs)); /* they ascend */
    if (memcmp(of_inputs, body, sizeof(of_inputs)) != 0)
        FAIL(ERROR_UNTRUSTED, "The inputs are not those of the list that this site signed.");
    TRY(secagg_agreements_verify(&attempt->keyset->run, body, agreements, agreement_count, memo));
    TRY(inputs_verify(attempt, position, inputs, count, agreements, agreement_count, memo));
done:
    return err;
}

/* ---- what is revealed then ---- */

static struct error *check_plan(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                uint32_t position)
{
    struct error *err = NULL;
    TRY(check_contributors(attempt, contributors, 0));
    if (!secagg_set_has(attempt->sharers, position))
        FAIL(ERROR_INVALID, "Site %" PRIu32 " of the roster is not in the list of sharers.", position);
done:
    return err;
}

struct error *secagg_reveal_plan(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                 uint32_t position, struct secagg_revealed **ret_revealed, size_t *ret_count)
{
    struct error *err = NULL;
    struct secagg_revealed *revealed = NULL;
    uint32_t *neighbours = NULL;
    size_t neighbour_count = 0, threshold = 0, count = 0;
    TRY(check_plan(attempt, contributors, position));
    TRY(secagg_neighbours(attempt->keyset, attempt->slot, position, &neighbours, &neighbour_count,
                          &threshold));
    revealed = calloc(attempt->sharers.count, sizeof(*revealed));
    if (revealed == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for shares of %zu sites.", attempt->sharers.count);
    const struct secagg_set known = {.positions = neighbours, .count = neighbour_count};
    for (size_t i = 0; i < attempt->sharers.count; i++) {
        uint32_t peer = attempt->sharers.positions[i];
        if (peer != position && !secagg_set_has(known, peer))
            continue;
        revealed[count].position = peer;
        revealed[count++].kind = secagg_set_has(contributors, peer) ? SECAGG_REVEAL_B : SECAGG_REVEAL_S;
    }
    *ret_revealed = revealed;
    *ret_count = count;
    revealed = NULL;
done:
    free(neighbours);
    free(revealed);
    return err;
}
