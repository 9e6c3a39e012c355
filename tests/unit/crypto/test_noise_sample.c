/* Poisson sampling: how many, who, with whom, and empty steps; and ways of sampling that are not it, which the checks find. */
#include "crypto/noise_parts.h"

#include "noise_given.h"
#include "sampling.h"
#include "scratch.h"

#include <math.h>
#include <stdlib.h>

#define ROWS 40
#define STEPS 60000

static struct noise *source_of(uint64_t seed)
{
    struct noise *source = NULL;
    noise_given_seed(seed);
    succeeds(noise_open(&source));
    noise_given_none();
    return source;
}

/* taken[step][row] */
struct history {
    bool taken[STEPS][ROWS];
};

static void record(struct noise *source, double rate, struct history *ret_history)
{
    uint32_t chosen[ROWS];
    size_t count = 0;
    memset(ret_history, 0, sizeof(*ret_history));
    for (size_t s = 0; s < STEPS; s++) {
        succeeds(noise_sample(source, rate, ROWS, chosen, &count));
        assert_true(count <= ROWS);
        for (size_t i = 0; i < count; i++) {
            assert_true(chosen[i] < ROWS && (i == 0 || chosen[i] > chosen[i - 1]));
            ret_history->taken[s][chosen[i]] = true;
        }
    }
}

static bool counts_hold(const struct history *history, double rate)
{
    uint64_t seen[ROWS + 1] = {0};
    double probabilities[ROWS + 1];
    for (size_t s = 0; s < STEPS; s++) {
        size_t count = 0;
        for (size_t r = 0; r < ROWS; r++)
            count += history->taken[s][r];
        seen[count]++;
    }
    for (int k = 0; k <= ROWS; k++)
        probabilities[k] = exp(lgamma(ROWS + 1) - lgamma(k + 1) - lgamma(ROWS - k + 1) + k * log(rate) +
                               (ROWS - k) * log1p(-rate));
    return sampling_chi_square(seen, probabilities, ROWS + 1) &&
           sampling_wilson(seen[0], STEPS, pow(1 - rate, ROWS));
}

/* "counts", "rates" of each row, "pairs" of rows in a step, "steps" (a row in two steps, one after the other); NULL: none. */
static const char *history_fault(const struct history *history, double rate)
{
    uint64_t rows[ROWS] = {0}, pairs[3] = {0}, steps = 0;
    if (!counts_hold(history, rate))
        return "counts";
    for (size_t s = 0; s < STEPS; s++)
        for (size_t r = 0; r < ROWS; r++) {
            rows[r] += history->taken[s][r];
            for (size_t lag = 1; lag <= 3; lag++)
                pairs[lag - 1] += r % (lag + 1) == 0 && r + lag < ROWS && history->taken[s][r] &&
                                  history->taken[s][r + lag];
            steps += s % 2 == 0 && history->taken[s][r] && history->taken[s + 1][r];
        }
    for (size_t r = 0; r < ROWS; r++)
        if (!sampling_wilson(rows[r], STEPS, rate))
            return "rates";
    for (size_t lag = 1; lag <= 3; lag++) {
        size_t places = 0;
        for (size_t r = 0; r + lag < ROWS; r += lag + 1)
            places++;
        if (!sampling_wilson(pairs[lag - 1], places * STEPS, rate * rate))
            return "pairs";
    }
    return sampling_wilson(steps, (uint64_t)ROWS * STEPS / 2, rate * rate) ? NULL : "steps";
}

/* Rates whose first byte is 0, whose other bytes decide often, and above one half. */
static void test_noise_sample_rows_are_in_by_themselves(void **state)
{
    (void)state;
    static const double rates[] = {0.03, 0.0017, 0.5, 4096.0 / 60000.0, 0.9985};
    struct history *history = malloc(sizeof(*history));
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct noise *source = source_of(500 + i);
        record(source, rates[i], history);
        const char *fault = history_fault(history, rates[i]);
        if (fault != NULL)
            fail_msg("rate %g: %s", rates[i], fault);
        noise_close(source);
    }
    free(history);
}

static void test_noise_sample_empty_steps_happen(void **state)
{
    (void)state;
    struct noise *source = source_of(510);
    uint32_t chosen[20];
    uint64_t empty = 0;
    for (size_t i = 0; i < 20000; i++) {
        size_t count = 99;
        succeeds(noise_sample(source, 0.05, 20, chosen, &count));
        empty += count == 0;
    }
    assert_true(sampling_wilson(empty, 20000, pow(0.95, 20)));
    noise_close(source);
}

/* More rows than a block has bytes: the whole range, each place as often as another. */
static void test_noise_sample_many_rows_are_all_reached(void **state)
{
    (void)state;
    enum { MANY = 60000, TIMES = 60, PARTS = 100 };
    uint32_t *chosen = malloc(MANY * sizeof(*chosen));
    uint64_t seen[PARTS] = {0}, all = 0;
    double equal[PARTS], rate = 4096.0 / MANY;
    struct noise *source = source_of(520);
    for (size_t t = 0; t < TIMES; t++) {
        size_t count = 0;
        succeeds(noise_sample(source, rate, MANY, chosen, &count));
        for (size_t i = 0; i < count; i++) {
            assert_true(chosen[i] < MANY && (i == 0 || chosen[i] > chosen[i - 1]));
            seen[chosen[i] / (MANY / PARTS)]++;
        }
        all += count;
    }
    for (size_t i = 0; i < PARTS; i++)
        equal[i] = 1.0 / PARTS;
    assert_true(sampling_wilson(all, (uint64_t)MANY * TIMES, rate));
    assert_true(sampling_chi_square(seen, equal, PARTS));
    noise_close(source);
    free(chosen);
}

/* A byte, and where it equals the limit's, 56 bits more: together 64 bits, compared with floor(rate · 2^64). */
static void test_noise_sample_decides_by_64_bits(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static const double rates[] = {0.5, 0x1p-8 + 0x1p-40, 0.3, 0x1p-9, 1 - 0x1p-53, 0x1p-70};
    for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++) {
        struct noise *source = source_of(530 + k), *twin = source_of(530 + k);
        uint8_t bytes[MANY];
        uint32_t chosen[MANY];
        size_t count = 0, at = 0;
        uint64_t limit = (uint64_t)ldexp(rates[k], 64);
        succeeds(noise_sample(source, rates[k], MANY, chosen, &count));
        succeeds(noise_fill(twin, bytes, sizeof(bytes)));
        for (uint32_t row = 0; row < MANY; row++) {
            uint64_t more = 0;
            if (bytes[row] == limit >> 56)
                succeeds(noise_word(twin, &more));
            bool in = ((uint64_t)bytes[row] << 56 | more >> 8) < limit;
            assert_true(in == (at < count && chosen[at] == row));
            at += in;
        }
        assert_int_equal(at, count);
        noise_close(source);
        noise_close(twin);
    }
}

/* The 56 bits of the limit itself are out, one less is in. */
static void test_noise_sample_limit_itself_is_out(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    const double rate = 0.3;
    const uint64_t limit = (uint64_t)ldexp(rate, 64);
    for (uint64_t less = 0; less < 2; less++) {
        struct noise *source = source_of(535), *twin = source_of(535);
        uint8_t bytes[MANY];
        uint32_t chosen[MANY];
        size_t count = 0, below = 0, ties = 0;
        succeeds(noise_fill(twin, bytes, sizeof(bytes)));
        for (size_t i = 0; i < MANY; i++) {
            below += bytes[i] < limit >> 56;
            ties += bytes[i] == limit >> 56;
        }
        assert_true(ties > 0 && ties <= NOISE_POOL_WORDS);
        for (size_t i = 0; i < NOISE_POOL_WORDS; i++)
            source->pool[i] = (limit - less) << 8;
        source->pool_at = 0;
        succeeds(noise_sample(source, rate, MANY, chosen, &count));
        assert_int_equal(count, below + less * ties);
        noise_close(source);
        noise_close(twin);
    }
}

static void test_noise_sample_rate_1_takes_all_and_none_of_no_rows(void **state)
{
    (void)state;
    enum { MANY = 30000 };
    static uint32_t chosen[MANY];
    size_t count = 0;
    struct noise *source = source_of(540);
    succeeds(noise_sample(source, 1, MANY, chosen, &count));
    assert_int_equal(count, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(chosen[i], i);
    succeeds(noise_sample(source, 0.5, 0, chosen, &count));
    assert_int_equal(count, 0);
    noise_close(source);
}

static void test_noise_sample_rate_outside_is_an_error(void **state)
{
    (void)state;
    static const double rates[] = {0, -0.1, 1.0000001, NAN, INFINITY};
    struct noise *source = source_of(550);
    uint32_t chosen[4];
    size_t count = 77;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
        fails(noise_sample(source, rates[i], 4, chosen, &count), ERROR_INVALID);
    fails(noise_sample(source, 0.5, (size_t)1 << 32, NULL, &count), ERROR_INVALID);
    assert_int_equal(count, 77);
    noise_close(source);
}

/* Batches of a fixed size and from a shuffle, a rate that is a twentieth off, a step that is used again, and rows that are
 * drawn together. */
static void test_history_fault_other_sampling_is_found(void **state)
{
    (void)state;
    struct history *history = malloc(sizeof(*history));
    struct noise *source = source_of(560);
    double rate = 4.0 / ROWS;
    memset(history, 0, sizeof(*history));
    for (size_t s = 0; s < STEPS; s++)
        for (size_t i = 0; i < 4; i++)
            history->taken[s][(4 * s + i) % ROWS] = true;
    assert_string_equal(history_fault(history, rate), "counts");
    record(source, rate * 0.95, history);
    assert_string_equal(history_fault(history, rate), "counts");
    record(source, rate, history);
    for (size_t s = 0; s < STEPS; s += 8)
        memcpy(history->taken[s + 1], history->taken[s], ROWS);
    assert_string_equal(history_fault(history, rate), "steps");
    record(source, rate, history);
    for (size_t s = 0; s < STEPS; s++)
        history->taken[s][1] = history->taken[s][0];
    assert_non_null(history_fault(history, rate));
    record(source, rate, history);
    for (size_t s = 0; s < STEPS; s += 4)
        history->taken[s][ROWS - 1] = false;
    assert_non_null(history_fault(history, rate));
    noise_close(source);
    free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_noise_sample_rows_are_in_by_themselves),
        SCRATCH_TEST(test_noise_sample_empty_steps_happen),
        SCRATCH_TEST(test_noise_sample_many_rows_are_all_reached),
        SCRATCH_TEST(test_noise_sample_decides_by_64_bits),
        SCRATCH_TEST(test_noise_sample_limit_itself_is_out),
        SCRATCH_TEST(test_noise_sample_rate_1_takes_all_and_none_of_no_rows),
        SCRATCH_TEST(test_noise_sample_rate_outside_is_an_error),
        SCRATCH_TEST(test_history_fault_other_sampling_is_found),
    };
    return cmocka_run_group_tests_name("noise_sample", tests, NULL, NULL);
}
