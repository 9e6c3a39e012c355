#include "noise_given.h"

#include "crypto/secret.h"

/* Linked with --wrap=secret_random. */
struct error *__real_secret_random(void *memory, size_t bytes);
struct error *__wrap_secret_random(void *memory, size_t bytes);

static struct {
    bool given;
    uint64_t state;
    size_t failing, calls;
} generator;

void noise_given_seed(uint64_t seed)
{
    generator.given = true;
    generator.state = seed;
}

void noise_given_none(void)
{
    generator.given = false;
}

void noise_given_failing(size_t call)
{
    generator.failing = call;
}

size_t noise_given_calls(void)
{
    return generator.calls;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_word(void)
{
    uint64_t word = generator.state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

struct error *__wrap_secret_random(void *memory, size_t bytes)
{
    generator.calls++;
    if (generator.failing > 0 && --generator.failing == 0)
        return error_new(ERROR_CRYPTO, "The generator fails because the test says so.");
    if (!generator.given)
        return __real_secret_random(memory, bytes);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)memory)[i] = (uint8_t)next_word();
    return NULL;
}
