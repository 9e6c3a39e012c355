#include "learning/random.h"

#include <math.h>

#define PHILOX_ROUNDS 10

void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_block[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int i = 0; i < PHILOX_ROUNDS; i++) {
        uint64_t first = (uint64_t)0xD2511F53 * c0;
        uint64_t second = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(second >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)second;
        c2 = (uint32_t)(first >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)first;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    ret_block[0] = c0;
    ret_block[1] = c1;
    ret_block[2] = c2;
    ret_block[3] = c3;
}

struct random random_stream(uint64_t seed, enum random_purpose purpose, uint32_t round, uint32_t epoch)
{
    return (struct random){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                           .counter = {0, round, epoch, (uint32_t)purpose},
                           .used = 4};
}

uint32_t random_word(struct random *random)
{
    if (random->used == 4) {
        random_philox(random->counter, random->key, random->block);
        random->counter[0]++;
        random->used = 0;
    }
    return random->block[random->used++];
}

uint32_t random_below(struct random *random, uint32_t bound)
{
    uint64_t product = (uint64_t)random_word(random) * bound;
    if ((uint32_t)product < bound) {
        uint32_t threshold = (uint32_t)-bound % bound;
        while ((uint32_t)product < threshold)
            product = (uint64_t)random_word(random) * bound;
    }
    return (uint32_t)(product >> 32);
}

double random_uniform(struct random *random)
{
    uint64_t high = random_word(random);
    uint64_t low = random_word(random);
    uint64_t bits = ((high << 32 | low) >> 12) << 1 | 1; /* odd, so never 0 */
    return (double)bits * 0x1p-53;
}

double random_normal(struct random *random)
{
    double radius = sqrt(-2.0 * log(random_uniform(random)));
    return radius * cos(6.283185307179586 * random_uniform(random));
}

double random_log_gamma(struct random *random, double shape)
{
    if (shape < 1.0) {
        double boost = log(random_uniform(random)) / shape;
        return boost + random_log_gamma(random, shape + 1.0);
    }
    double d = shape - 1.0 / 3.0;
    double c = 1.0 / sqrt(9.0 * d);
    for (;;) { /* accepts at least 95 of 100 draws */
        double x = random_normal(random);
        double v = 1.0 + c * x;
        if (v <= 0.0)
            continue;
        v = v * v * v;
        if (log(random_uniform(random)) < 0.5 * x * x + d - d * v + d * log(v))
            return log(d) + log(v);
    }
}

void random_shuffle(struct random *random, uint32_t *values, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        uint32_t j = random_below(random, (uint32_t)i);
        uint32_t last = values[i - 1];
        values[i - 1] = values[j];
        values[j] = last;
    }
}
