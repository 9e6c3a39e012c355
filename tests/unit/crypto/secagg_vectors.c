#include "secagg_vectors.h"

void vector_bytes(const char *hex, void *ret_bytes, size_t count)
{
    assert_int_equal(strlen(hex), 2 * count);
    assert_int_equal(scratch_hex(hex, ret_bytes), count);
}

static void read_site(struct secagg_vectors *vectors, size_t i)
{
    assert_int_equal(sa1_sites[i].position, i + 1);
    vector_bytes(sa1_sites[i].site_id, &vectors->roster[i], DIGEST_BYTES);
    vector_bytes(sa1_sites[i].c_secret, vectors->secrets[i].c, AGREEMENT_KEY_BYTES);
    vector_bytes(sa1_sites[i].s_secret, vectors->secrets[i].s, AGREEMENT_KEY_BYTES);
    vector_bytes(sa1_sites[i].b, vectors->secrets[i].b, 32);
    vector_bytes(sa1_sites[i].c_public, vectors->entries[i].c, AGREEMENT_KEY_BYTES);
    vector_bytes(sa1_sites[i].s_public, vectors->entries[i].s, AGREEMENT_KEY_BYTES);
    vector_bytes(sa1_sites[i].b_commitment, vectors->entries[i].b.bytes, DIGEST_BYTES);
    vectors->members[i] =
        (struct secagg_member){.position = sa1_sites[i].position, .entries = &vectors->entries[i]};
    vectors->everybody[i] = sa1_sites[i].position;
}

static void read_attempt(struct secagg_vectors *vectors)
{
    struct secagg_attempt *attempt = &vectors->attempt;
    *attempt = (struct secagg_attempt){.keyset = &vectors->keyset,
                                       .slot = SA1_SLOT,
                                       .round = SA1_ROUND,
                                       .attempt = SA1_ATTEMPT,
                                       .sharers = {.positions = vectors->everybody, .count = SA1_SITES},
                                       .ring = MASK_RING_64,
                                       .words = SA1_WORDS};
    vector_bytes(SA1_KEYSET_HASH, attempt->keyset_hash.bytes, DIGEST_BYTES);
    vector_bytes(SA1_MODEL_HASH, attempt->model_hash.bytes, DIGEST_BYTES);
    vector_bytes(SA1_CONTEXT, attempt->context.bytes, DIGEST_BYTES);
    vector_bytes(SA1_SHARERS_HASH, attempt->sharers_hash.bytes, DIGEST_BYTES);
}

int secagg_vectors_set_up(void **state)
{
    struct secagg_vectors *vectors = calloc(1, sizeof(*vectors));
    assert_non_null(vectors);
    for (size_t i = 0; i < SA1_SITES; i++)
        read_site(vectors, i);
    vectors->keyset = (struct secagg_keyset){
        .run = {.roster = vectors->roster, .sites = SA1_SITES, .threshold = SA1_THRESHOLD},
        .first_slot = SA1_SLOT,
        .slots = 1,
        .members = vectors->members,
        .count = SA1_SITES};
    vector_bytes(SA1_JOB_HASH, vectors->keyset.run.job_hash.bytes, DIGEST_BYTES);
    read_attempt(vectors);
    *state = vectors;
    return 0;
}

int secagg_vectors_tear_down(void **state)
{
    free(*state);
    return 0;
}
