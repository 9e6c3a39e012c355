/* Masks: known answers, the ring, what the bytes look like, and failures in the middle. */
#include "crypto/mask.h"

#include "scratch.h"
#include "tests/vectors/nist_aes128_ctr.h"
#include "tests/vectors/sa1_components.h"

#include <openssl/evp.h>

/* Linked with --wrap=EVP_EncryptUpdate: the call of this number fails, counted from 1; 0: none. */
static int failing_call;
int __real_EVP_EncryptUpdate(EVP_CIPHER_CTX *cipher, unsigned char *out, int *made, const unsigned char *in,
                             int bytes);
int __wrap_EVP_EncryptUpdate(EVP_CIPHER_CTX *cipher, unsigned char *out, int *made, const unsigned char *in,
                             int bytes);
int __wrap_EVP_EncryptUpdate(EVP_CIPHER_CTX *cipher, unsigned char *out, int *made, const unsigned char *in,
                             int bytes)
{
    if (failing_call > 0 && --failing_call == 0)
        return 0;
    return __real_EVP_EncryptUpdate(cipher, out, made, in, bytes);
}

static uint64_t little_endian(const uint8_t *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static void test_mask_apply_nist_key_stream_agrees_in_both_rings(void **state)
{
    (void)state;
    uint8_t seed[MASK_SEED_BYTES], plain[NIST_AES128_CTR_BYTES], stream[NIST_AES128_CTR_BYTES];
    uint64_t words[NIST_AES128_CTR_BYTES / 4] = {0};
    (void)scratch_hex(NIST_AES128_CTR_KEY NIST_AES128_CTR_COUNTER, seed);
    (void)scratch_hex(NIST_AES128_CTR_PLAIN, plain);
    (void)scratch_hex(NIST_AES128_CTR_CIPHER, stream);
    for (size_t i = 0; i < sizeof(stream); i++)
        stream[i] ^= plain[i];
    succeeds(mask_apply(seed, MASK_ADD, MASK_RING_64, words, sizeof(stream) / 8));
    for (size_t i = 0; i < sizeof(stream) / 8; i++)
        assert_true(words[i] == little_endian(stream + 8 * i, 8));
    memset(words, 0, sizeof(words));
    succeeds(mask_apply(seed, MASK_ADD, MASK_RING_32, words, sizeof(stream) / 4));
    for (size_t i = 0; i < sizeof(stream) / 4; i++)
        assert_true(words[i] == little_endian(stream + 4 * i, 4));
}

static void apply_hex(const char *seed_hex, enum mask_sign sign, uint64_t *words)
{
    uint8_t seed[MASK_SEED_BYTES];
    assert_int_equal(scratch_hex(seed_hex, seed), sizeof(seed));
    succeeds(mask_apply(seed, sign, MASK_RING_64, words, SA1_WORDS));
}

static void test_mask_apply_component_vectors_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < SA1_SITES; i++) {
        uint64_t words[SA1_WORDS] = {0};
        apply_hex(sa1_sites[i].self_seed, MASK_ADD, words);
        assert_memory_equal(words, sa1_sites[i].self_mask, sizeof(words));
        apply_hex(sa1_sites[i].self_seed, MASK_SUBTRACT, words);
        for (size_t k = 0; k < SA1_WORDS; k++)
            assert_true(words[k] == 0);
    }
    for (size_t i = 0; i < SA1_PAIRS; i++) {
        uint64_t words[SA1_WORDS] = {0};
        apply_hex(sa1_pairs[i].seed, MASK_ADD, words);
        assert_memory_equal(words, sa1_pairs[i].mask, sizeof(words));
    }
}

/* y of every site; their sum less the self masks is the sum of x, also without site 2 and its pairs' masks. */
static void test_mask_apply_component_inputs_and_sums_agree(void **state)
{
    (void)state;
    uint64_t sum[SA1_WORDS] = {0}, without[SA1_WORDS] = {0};
    for (uint32_t site = 1; site <= SA1_SITES; site++) {
        uint64_t y[SA1_WORDS];
        memcpy(y, sa1_sites[site - 1].x, sizeof(y));
        apply_hex(sa1_sites[site - 1].self_seed, MASK_ADD, y);
        for (size_t i = 0; i < SA1_PAIRS; i++)
            if (sa1_pairs[i].one == site || sa1_pairs[i].other == site)
                apply_hex(sa1_pairs[i].seed, sa1_pairs[i].one == site ? MASK_ADD : MASK_SUBTRACT, y);
        assert_memory_equal(y, sa1_sites[site - 1].y, sizeof(y));
        apply_hex(sa1_sites[site - 1].self_seed, MASK_SUBTRACT, y);
        mask_add_words(MASK_RING_64, sum, y, SA1_WORDS);
        if (site != 2)
            mask_add_words(MASK_RING_64, without, y, SA1_WORDS);
    }
    assert_memory_equal(sum, sa1_sum, sizeof(sum));
    for (size_t i = 0; i < SA1_PAIRS; i++)
        if (sa1_pairs[i].one == 2)
            apply_hex(sa1_pairs[i].seed, MASK_ADD, without); /* the other site took it away */
        else if (sa1_pairs[i].other == 2)
            apply_hex(sa1_pairs[i].seed, MASK_SUBTRACT, without);
    assert_memory_equal(without, sa1_sum_without_2, sizeof(without));
}

/* The counter goes on, big-endian over all 16 bytes, from block to block of ours, whatever the length. */
static void test_mask_apply_any_length_is_a_beginning_of_the_stream(void **state)
{
    (void)state;
    enum { MOST = 9000 };
    static uint64_t whole[MOST], part[MOST];
    static uint8_t zeros[8 * MOST], stream[8 * MOST];
    uint8_t seed[MASK_SEED_BYTES];
    static const size_t lengths[] = {0,    1,    2,    3,    511,  512,  513,  1023, 1024,
                                     1025, 2047, 2048, 2049, 4095, 4096, 4097, MOST};
    int made = 0;
    memset(seed, 0xff, sizeof(seed)); /* the counter wraps round after one block */
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(cipher, EVP_aes_128_ctr(), NULL, seed, seed + 16), 1);
    assert_int_equal(EVP_EncryptUpdate(cipher, stream, &made, zeros, sizeof(zeros)), 1);
    EVP_CIPHER_CTX_free(cipher);
    for (int narrow = 0; narrow < 2; narrow++) {
        enum mask_ring ring = narrow ? MASK_RING_32 : MASK_RING_64;
        mask_read(ring, stream, MOST, whole);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            memset(part, 0, sizeof(part));
            succeeds(mask_apply(seed, MASK_ADD, ring, part, lengths[i]));
            assert_memory_equal(part, whole, lengths[i] * sizeof(*part));
            for (size_t k = lengths[i]; k < MOST; k++)
                assert_true(part[k] == 0);
        }
    }
}

static void test_mask_apply_32_bits_stay_below_2_to_32_and_cancel(void **state)
{
    (void)state;
    enum { COUNT = 12000 };
    static uint64_t words[COUNT], before[COUNT];
    uint8_t seed[MASK_SEED_BYTES];
    succeeds(secret_random(seed, sizeof(seed)));
    succeeds(secret_random(words, sizeof(words)));
    for (size_t i = 0; i < COUNT; i++)
        words[i] &= UINT32_MAX;
    memcpy(before, words, sizeof(words));
    succeeds(mask_apply(seed, MASK_SUBTRACT, MASK_RING_32, words, COUNT));
    assert_memory_not_equal(words, before, sizeof(words));
    for (size_t i = 0; i < COUNT; i++)
        assert_true(words[i] <= UINT32_MAX);
    succeeds(mask_apply(seed, MASK_ADD, MASK_RING_32, words, COUNT));
    assert_memory_equal(words, before, sizeof(words));
}

static void test_mask_add_words_wraps_in_its_ring(void **state)
{
    (void)state;
    uint64_t narrow[] = {UINT32_MAX, 5, 0}, wide[] = {UINT64_MAX, UINT32_MAX, 0};
    const uint64_t one[] = {1, UINT32_MAX, 0};
    mask_add_words(MASK_RING_32, narrow, one, 3);
    assert_true(narrow[0] == 0 && narrow[1] == 4 && narrow[2] == 0);
    mask_add_words(MASK_RING_64, wide, one, 3);
    assert_true(wide[0] == 0 && wide[1] == 2 * (uint64_t)UINT32_MAX && wide[2] == 0);
}

static void test_mask_write_is_little_endian_and_read_reverses_it(void **state)
{
    (void)state;
    const uint64_t words[] = {UINT64_C(0x04030201), UINT64_C(0x08070605)};
    const uint64_t large[] = {UINT64_C(0x0807060504030201)};
    uint8_t bytes[8];
    uint64_t back[2];
    assert_int_equal(mask_bytes(MASK_RING_32, 2), 8);
    assert_int_equal(mask_bytes(MASK_RING_64, 2), 16);
    mask_write(MASK_RING_32, words, 2, bytes);
    for (uint8_t i = 0; i < 8; i++)
        assert_int_equal(bytes[i], i + 1);
    mask_read(MASK_RING_32, bytes, 2, back);
    assert_memory_equal(back, words, sizeof(words));
    mask_write(MASK_RING_64, large, 1, bytes);
    for (uint8_t i = 0; i < 8; i++)
        assert_int_equal(bytes[i], i + 1);
    mask_read(MASK_RING_64, bytes, 1, back);
    assert_true(back[0] == large[0]);
}

/* Chi-square of how often each of 256 bytes occurs. */
static double chi_square(const uint8_t *bytes, size_t count)
{
    size_t seen[256] = {0};
    double expected = (double)count / 256, sum = 0;
    for (size_t i = 0; i < count; i++)
        seen[bytes[i]]++;
    for (size_t i = 0; i < 256; i++)
        sum += ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
    return sum;
}

/* With 255 degrees of freedom, uniform bytes give 430 or more with a probability of 5e-11 and 135 or less with 6e-11: of
 * eight seeds a run, a false alarm in fewer than one of 1e9 runs. */
#define CHI_SQUARE_HIGH 430.0
#define CHI_SQUARE_LOW 135.0

static void test_mask_apply_zero_vectors_look_uniform(void **state)
{
    (void)state;
    enum { COUNT = 1 << 17, SEEDS = 8 };
    uint64_t *words = calloc(COUNT, sizeof(*words));
    uint8_t *bytes = malloc(8 * COUNT);
    for (int i = 0; i < SEEDS; i++) {
        enum mask_ring ring = i % 2 == 0 ? MASK_RING_64 : MASK_RING_32;
        uint8_t seed[MASK_SEED_BYTES];
        succeeds(secret_random(seed, sizeof(seed)));
        memset(words, 0, COUNT * sizeof(*words));
        succeeds(mask_apply(seed, i % 4 < 2 ? MASK_ADD : MASK_SUBTRACT, ring, words, COUNT));
        mask_write(ring, words, COUNT, bytes);
        double seen = chi_square(bytes, mask_bytes(ring, COUNT));
        assert_true(seen > CHI_SQUARE_LOW && seen < CHI_SQUARE_HIGH);
    }
    /* That the test sees something: one byte in four is never above 127. */
    for (size_t i = 0; i < (size_t)4 * COUNT; i += 4)
        bytes[i] &= 0x7f;
    assert_true(chi_square(bytes, (size_t)4 * COUNT) > CHI_SQUARE_HIGH);
    free(bytes);
    free(words);
}

static void test_mask_apply_failure_wipes_the_words(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    static uint64_t words[COUNT];
    uint8_t seed[MASK_SEED_BYTES] = {1};
    for (int call = 1; call <= 4; call++) {
        for (size_t i = 0; i < COUNT; i++)
            words[i] = 0x1234567800000000 + i;
        failing_call = call;
        fails(mask_apply(seed, MASK_ADD, MASK_RING_64, words, COUNT), ERROR_CRYPTO);
        assert_int_equal(failing_call, 0);
        for (size_t i = 0; i < COUNT; i++)
            assert_true(words[i] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_mask_apply_nist_key_stream_agrees_in_both_rings),
        SCRATCH_TEST(test_mask_apply_component_vectors_agree),
        SCRATCH_TEST(test_mask_apply_component_inputs_and_sums_agree),
        SCRATCH_TEST(test_mask_apply_any_length_is_a_beginning_of_the_stream),
        SCRATCH_TEST(test_mask_apply_32_bits_stay_below_2_to_32_and_cancel),
        SCRATCH_TEST(test_mask_add_words_wraps_in_its_ring),
        SCRATCH_TEST(test_mask_write_is_little_endian_and_read_reverses_it),
        SCRATCH_TEST(test_mask_apply_zero_vectors_look_uniform),
        SCRATCH_TEST(test_mask_apply_failure_wipes_the_words),
    };
    return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
