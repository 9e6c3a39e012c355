/* What noise and sampling cost, beside the key stream that they are made of.
 *
 *     bench_noise [--smoke]
 *
 * Times on the processor, medians, ours and the reference in turns, and their ratio, a line each:
 *
 *     local, share <ns a value> <ns>   noise_gaussian on 7850 values; AES-256-CTR by EVP of as many bytes, 12 a value
 *     exact <ns a value> <ns>          noise_gaussian_exact at the parameter of NOISE_LOCAL; noise_gaussian
 *     sample <us> <us>                 noise_sample of 60000 rows, 4096 of them in expectation; AES-256-CTR of 60000 bytes
 *     open <us>                        noise_open: key and table */
#include "crypto/noise.h"

#include "tests/bench/stopwatch.h"

#include <openssl/evp.h>

#define VALUES 7850
#define ROWS 60000
#define EXPECTED 4096

static size_t repeats = 41;
static int64_t values[VALUES];
static uint32_t chosen[ROWS];
static uint8_t stream[12 * VALUES];

static double processor_ns(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0)
        abort();
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void raw_stream(EVP_CIPHER_CTX *cipher, int bytes)
{
    int made = 0;
    if (EVP_EncryptUpdate(cipher, stream, &made, stream, bytes) != 1)
        abort();
}

static void draw_exact(struct noise *noise, size_t count)
{
    uint64_t variance = ((uint64_t)1 << 56) + ((uint64_t)1 << 38) + ((uint64_t)1 << 20);
    for (size_t i = 0; i < count; i++)
        stopwatch_must(noise_gaussian_exact(noise, variance, 1, &values[i]));
}

static void draw_sample(struct noise *noise)
{
    size_t count = 0;
    stopwatch_must(noise_sample(noise, (double)EXPECTED / ROWS, ROWS, chosen, &count));
}

static void open_and_close(void)
{
    struct noise *noise = NULL;
    stopwatch_must(noise_open(&noise));
    noise_close(noise);
}

/* Nanoseconds of one call, divided by `parts`. */
#define MEASURE(ret_ns, parts, call)                                                                         \
    do {                                                                                                     \
        double begun_ = processor_ns();                                                                      \
        call;                                                                                                \
        (ret_ns) = (processor_ns() - begun_) / (parts);                                                      \
    } while (0)

static void say(const char *name, double ours, double reference)
{
    printf("%s %.2f %.2f %.3f\n", name, ours, reference, ours / reference);
}

static void measure(struct noise *noise, EVP_CIPHER_CTX *cipher, size_t exact_values)
{
    enum { LOCAL, SHARE, RAW, EXACT, SAMPLE, RAW_SAMPLE, OPEN, KINDS };
    static double ns[KINDS][STOPWATCH_MAX_REPEATS];
    double median[KINDS];
    for (size_t i = 0; i < repeats; i++) {
        MEASURE(ns[LOCAL][i], VALUES, stopwatch_must(noise_gaussian(noise, NOISE_LOCAL, values, VALUES)));
        MEASURE(ns[SHARE][i], VALUES, stopwatch_must(noise_gaussian(noise, NOISE_SHARE, values, VALUES)));
        MEASURE(ns[RAW][i], VALUES, raw_stream(cipher, 12 * VALUES));
        MEASURE(ns[EXACT][i], (double)exact_values, draw_exact(noise, exact_values));
        MEASURE(ns[SAMPLE][i], 1e3, draw_sample(noise));
        MEASURE(ns[RAW_SAMPLE][i], 1e3, raw_stream(cipher, ROWS));
        MEASURE(ns[OPEN][i], 1e3, open_and_close());
    }
    for (size_t k = 0; k < KINDS; k++)
        median[k] = stopwatch_median(ns[k], repeats);
    say("local", median[LOCAL], median[RAW]);
    say("share", median[SHARE], median[RAW]);
    say("exact", median[EXACT], median[LOCAL]);
    say("sample", median[SAMPLE], median[RAW_SAMPLE]);
    printf("open %.1f\n", median[OPEN]);
}

int main(int argc, char **argv)
{
    static const uint8_t key[32] = {1}, counter[16] = {0};
    struct noise *noise = NULL;
    bool smoke = argc == 2 && strcmp(argv[1], "--smoke") == 0;
    if (argc > 1 && !smoke) {
        (void)fprintf(stderr, "Usage: bench_noise [--smoke]\n");
        return 2;
    }
    if (smoke)
        repeats = 1;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (cipher == NULL || EVP_EncryptInit_ex(cipher, EVP_aes_256_ctr(), NULL, key, counter) != 1)
        abort();
    stopwatch_must(noise_open(&noise));
    measure(noise, cipher, smoke ? 10 : VALUES);
    noise_close(noise);
    EVP_CIPHER_CTX_free(cipher);
    return 0;
}
