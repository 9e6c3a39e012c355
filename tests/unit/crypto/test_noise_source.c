/* The stream under the noise: keys, failures of the generator and of the cipher, forks, and what is left in memory. */
#define OPENSSL_SUPPRESS_DEPRECATED /* for RAND_set_rand_method: what makes all of OpenSSL's generators fail */
#include "crypto/noise_parts.h"

#include "crypto/secret.h"
#include "noise_given.h"
#include "scratch.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Linked with --wrap=free: whether this block was all zeros when it was given back. */
static struct noise *watched;
static bool watched_was_wiped;
void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
    if (block != NULL && block == watched) {
        watched_was_wiped = true;
        for (size_t i = 0; i < sizeof(*watched); i++)
            watched_was_wiped = watched_was_wiped && ((uint8_t *)block)[i] == 0;
    }
    __real_free(block);
}

static struct noise *source_of(uint64_t seed)
{
    struct noise *source = NULL;
    noise_given_seed(seed);
    succeeds(noise_open(&source));
    return source;
}

static bool all_zero(const void *memory, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (((const uint8_t *)memory)[i] != 0)
            return false;
    return true;
}

static void test_noise_words_are_aes_256_ctr_of_the_key(void **state)
{
    (void)state;
    enum { WORDS = 4000 };
    static uint64_t words[WORDS], expected[WORDS];
    uint8_t key[32], counter[16] = {0};
    int made = 0;
    struct noise *source = source_of(1);
    succeeds(noise_words(source, words, 1));
    succeeds(noise_words(source, words + 1, 2));
    succeeds(noise_words(source, words + 3, WORDS - 3));
    noise_given_seed(1);
    succeeds(secret_random(key, sizeof(key)));
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(cipher, EVP_aes_256_ctr(), NULL, key, counter), 1);
    assert_int_equal(
        EVP_EncryptUpdate(cipher, (uint8_t *)expected, &made, (uint8_t *)expected, sizeof(expected)), 1);
    EVP_CIPHER_CTX_free(cipher);
    assert_memory_equal(words, expected, sizeof(words));
    noise_close(source);
}

struct drawn {
    int64_t values[2000], exact[20];
    uint32_t rows[5000];
    uint64_t words[30];
    size_t count;
};

static void draw_all(struct noise *source, struct drawn *ret_drawn)
{
    memset(ret_drawn, 0, sizeof(*ret_drawn));
    succeeds(noise_gaussian(source, NOISE_LOCAL, ret_drawn->values, 2000));
    for (size_t i = 0; i < 20; i++)
        succeeds(noise_gaussian_exact(source, 12345678901, 17, &ret_drawn->exact[i]));
    succeeds(noise_sample(source, 0.3, 5000, ret_drawn->rows, &ret_drawn->count));
    memset(ret_drawn->rows + ret_drawn->count, 0, (5000 - ret_drawn->count) * sizeof(*ret_drawn->rows));
    succeeds(noise_words(source, ret_drawn->words, 30));
}

static void test_noise_open_known_seed_reproduces_and_no_other(void **state)
{
    (void)state;
    static struct drawn first, again, other;
    struct noise *source = source_of(2);
    draw_all(source, &first);
    noise_close(source);
    source = source_of(2);
    draw_all(source, &again);
    noise_close(source);
    assert_memory_equal(&first, &again, sizeof(first));
    source = source_of(3);
    draw_all(source, &other);
    assert_memory_not_equal(first.values, other.values, sizeof(first.values));
    assert_memory_not_equal(first.exact, other.exact, sizeof(first.exact));
    assert_memory_not_equal(first.rows, other.rows, sizeof(first.rows));
    assert_memory_not_equal(first.words, other.words, sizeof(first.words));
    draw_all(source, &again);
    assert_memory_not_equal(again.values, other.values, sizeof(first.values)); /* the next call goes on */
    noise_close(source);
}

static void test_noise_open_real_generator_never_repeats(void **state)
{
    (void)state;
    uint64_t words[2][8];
    noise_given_none();
    for (size_t i = 0; i < 2; i++) {
        struct noise *source = NULL;
        succeeds(noise_open(&source));
        succeeds(noise_words(source, words[i], 8));
        noise_close(source);
    }
    for (size_t i = 0; i < 8; i++)
        for (size_t k = 0; k < 8; k++)
            assert_true(words[0][i] != words[1][k]);
}

static void test_noise_fill_key_is_replaced_after_16_mib(void **state)
{
    (void)state;
    enum { BYTES = 1 << 16 };
    static uint8_t area[BYTES];
    uint64_t word = 0;
    struct noise *source = source_of(4);
    size_t calls = noise_given_calls();
    for (uint64_t at = 0; at < NOISE_KEY_BYTES; at += BYTES)
        succeeds(noise_fill(source, area, BYTES));
    assert_int_equal(noise_given_calls(), calls);
    succeeds(noise_fill(source, area, 1));
    assert_int_equal(noise_given_calls(), calls + 1);
    source->key_left = 100; /* in the middle of an area as well */
    succeeds(noise_fill(source, area, 1000));
    assert_int_equal(noise_given_calls(), calls + 2);
    assert_false(all_zero(area + 100, 16));
    source->key_left = 0;
    noise_given_failing(1);
    memset(area, 1, 1000);
    fails(noise_fill(source, area, 1000), ERROR_CRYPTO);
    assert_true(all_zero(area, 1000));
    source->key_left = 0;
    source->pool_at = NOISE_POOL_WORDS;
    noise_given_failing(1);
    fails(noise_word(source, &word), ERROR_CRYPTO);
    assert_true(word == 0);
    noise_close(source);
}

/* Wherever a key ends, single words are random: a new key wipes the words that are ready, not those being made. */
static void test_noise_word_key_ends_within_the_words_that_are_made_ready(void **state)
{
    (void)state;
    struct noise *source = source_of(7);
    for (uint64_t left = 0; left <= sizeof(source->pool); left += 12) {
        source->key_left = left;
        source->pool_at = NOISE_POOL_WORDS;
        for (size_t i = 0; i < NOISE_POOL_WORDS; i++) {
            uint64_t word = 0;
            succeeds(noise_word(source, &word));
            assert_true(word != 0);
        }
    }
    noise_close(source);
}

static void test_noise_open_generator_fails_gives_no_source(void **state)
{
    (void)state;
    struct noise *source = NULL;
    noise_given_failing(1);
    fails(noise_open(&source), ERROR_CRYPTO);
    assert_null(source);
}

static int no_bytes(unsigned char *area, int bytes)
{
    (void)area;
    (void)bytes;
    return 0;
}

/* OpenSSL's own generator, made to fail as it would without entropy. */
static void test_noise_open_openssl_fails_gives_no_source_and_no_noise(void **state)
{
    (void)state;
    static RAND_METHOD broken = {.bytes = no_bytes, .pseudorand = no_bytes};
    struct noise *source = NULL, *another = NULL;
    int64_t value = 77;
    noise_given_none();
    succeeds(noise_open(&source));
    assert_int_equal(RAND_set_rand_method(&broken), 1);
    fails(noise_open(&another), ERROR_CRYPTO);
    assert_null(another);
    source->key_left = 0;
    fails(noise_gaussian(source, NOISE_LOCAL, &value, 1), ERROR_CRYPTO);
    assert_true(value == 0);
    assert_int_equal(RAND_set_rand_method(NULL), 1);
    succeeds(noise_gaussian(source, NOISE_LOCAL, &value, 1));
    noise_close(source);
}

/* Wherever it stops, no value is left without noise and nobody is sampled. */
static void test_noise_draws_stop_where_the_cipher_fails(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static int64_t values[COUNT];
    static uint32_t rows[8 * COUNT];
    uint64_t words[10];
    size_t count = 99;
    int64_t value = 5;
    struct noise *source = source_of(5);
    for (int call = 1; call <= 5; call++) {
        memset(values, 1, sizeof(values));
        failing_call = call;
        fails(noise_gaussian(source, NOISE_SHARE, values, COUNT), ERROR_CRYPTO);
        assert_true(all_zero(values, sizeof(values)));
        assert_true(all_zero(&source->block, sizeof(source->block)));
    }
    for (int call = 1; call <= 4; call++) {
        memset(rows, 1, sizeof(rows));
        source->pool_at = NOISE_POOL_WORDS;
        failing_call = call;
        fails(noise_sample(source, 0.3, (size_t)8 * COUNT, rows, &count), ERROR_CRYPTO);
        assert_true(count == 99 && all_zero(rows, sizeof(rows)));
        assert_true(all_zero(&source->block, sizeof(source->block)));
    }
    failing_call = 1;
    memset(words, 1, sizeof(words));
    fails(noise_words(source, words, 10), ERROR_CRYPTO);
    assert_true(all_zero(words, sizeof(words)));
    source->pool_at = NOISE_POOL_WORDS;
    failing_call = 1;
    fails(noise_gaussian_exact(source, 10, 1, &value), ERROR_CRYPTO);
    assert_true(value == 5);
    succeeds(noise_gaussian_exact(source, 10, 1, &value));
    noise_close(source);
}

static void test_noise_begin_child_of_a_fork_has_another_stream(void **state)
{
    (void)state;
    uint64_t ours[4] = {0}, theirs[4] = {0}, pooled = 0;
    int ends[2], status = 0;
    struct noise *source = NULL;
    noise_given_none();
    succeeds(noise_open(&source));
    succeeds(noise_word(source, &pooled)); /* some words are ready */
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct error *err = noise_words(source, theirs, 4);
        bool ready_gone = source->pool_at == NOISE_POOL_WORDS && all_zero(source->pool, sizeof(source->pool));
        bool told = write(ends[1], theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs);
        _exit(err == NULL && ready_gone && told ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
    (void)close(ends[0]);
    (void)close(ends[1]);
    succeeds(noise_words(source, ours, 4));
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 4; k++)
            assert_true(ours[i] != theirs[k]);
    noise_close(source);
}

static void test_noise_draws_leave_nothing_in_the_source(void **state)
{
    (void)state;
    static struct drawn drawn;
    struct noise *source = source_of(6);
    draw_all(source, &drawn);
    assert_true(all_zero(&source->block, sizeof(source->block)));
    assert_true(source->pool_at > 0 && source->pool_at <= NOISE_POOL_WORDS);
    assert_true(all_zero(source->pool, source->pool_at * sizeof(*source->pool)));
    watched = source;
    noise_close(source);
    watched = NULL;
    assert_true(watched_was_wiped);
    noise_close(NULL);
}

static int real_generator(void **state)
{
    noise_given_none();
    noise_given_failing(0);
    failing_call = 0;
    return scratch_set_up(state);
}

#define SOURCE_TEST(function) cmocka_unit_test_setup_teardown(function, real_generator, scratch_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SOURCE_TEST(test_noise_words_are_aes_256_ctr_of_the_key),
        SOURCE_TEST(test_noise_open_known_seed_reproduces_and_no_other),
        SOURCE_TEST(test_noise_open_real_generator_never_repeats),
        SOURCE_TEST(test_noise_fill_key_is_replaced_after_16_mib),
        SOURCE_TEST(test_noise_word_key_ends_within_the_words_that_are_made_ready),
        SOURCE_TEST(test_noise_open_generator_fails_gives_no_source),
        SOURCE_TEST(test_noise_open_openssl_fails_gives_no_source_and_no_noise),
        SOURCE_TEST(test_noise_draws_stop_where_the_cipher_fails),
        SOURCE_TEST(test_noise_begin_child_of_a_fork_has_another_stream),
        SOURCE_TEST(test_noise_draws_leave_nothing_in_the_source),
    };
    return cmocka_run_group_tests_name("noise_source", tests, NULL, NULL);
}
