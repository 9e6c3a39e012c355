#include "crypto/mask.h"
#include "crypto/shamir_parts.h"

_Static_assert(SHAMIR_SEED_BYTES == MASK_SEED_BYTES, "a seed is one of a mask");

#define LIMB_BYTES 7
/* For values that are passed over: one in 2^61 is. */
#define SPARE_WORDS 8
/* The last limb is what is left of 32 bytes. */
#define LAST_BYTES (SHAMIR_SECRET_BYTES - (SHAMIR_LIMBS - 1) * LIMB_BYTES)

__extension__ typedef unsigned __int128 wide;

struct shamir_deal {
    size_t threshold;
    uint64_t coefficients[][SHAMIR_LIMBS]; /* [threshold], from degree 0, which is the secret */
};

/* A value that the compiler knows nothing of, so that it makes no branch of what is computed with it. */
static uint64_t opaque(uint64_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* Of a value below 2p: less p where that is not negative. */
static uint64_t reduce(uint64_t value)
{
    uint64_t less = value - SHAMIR_PRIME;
    uint64_t negative = 0 - opaque(less >> 63);
    return less + (SHAMIR_PRIME & negative);
}

uint64_t shamir_add(uint64_t a, uint64_t b)
{
    return reduce(a + b);
}

uint64_t shamir_subtract(uint64_t a, uint64_t b)
{
    return reduce(a + SHAMIR_PRIME - b);
}

/* 2^61 is 1 modulo p: the upper 61 bits of the product are added to the lower ones. */
uint64_t shamir_multiply(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return reduce(((uint64_t)product & SHAMIR_PRIME) + (uint64_t)(product >> 61));
}

/* a^(p - 2) (Fermat). The bits of p - 2 = 2^61 - 3 are all one but the second. */
uint64_t shamir_invert(uint64_t a)
{
    uint64_t power = a;
    for (int bit = 59; bit >= 0; bit--) {
        power = shamir_multiply(power, power);
        if (bit != 1)
            power = shamir_multiply(power, a);
    }
    return power;
}

static uint64_t number_read(const uint8_t *bytes, size_t count)
{
    uint64_t number = 0;
    for (size_t i = 0; i < count; i++)
        number |= (uint64_t)bytes[i] << (8 * i);
    return number;
}

static void number_write(uint64_t number, size_t count, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < count; i++)
        ret_bytes[i] = (uint8_t)(number >> (8 * i));
}

/* 0 for 0 to p - 1. */
static uint64_t beyond_field(uint64_t value)
{
    return (value >> 61) | ((value + 1) >> 61);
}

static size_t limb_bytes(size_t limb)
{
    return limb == SHAMIR_LIMBS - 1 ? LAST_BYTES : LIMB_BYTES;
}

uint64_t shamir_share_limb(const uint8_t share[static SHAMIR_SHARE_BYTES], size_t limb)
{
    return number_read(share + 8 * limb, 8);
}

struct error *shamir_join(const uint64_t limbs[static SHAMIR_LIMBS],
                          uint8_t ret_secret[static SHAMIR_SECRET_BYTES])
{
    uint64_t beyond = 0;
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
        beyond |= limbs[limb] >> (8 * limb_bytes(limb));
    if (beyond != 0)
        return error_new(ERROR_INVALID, "Shares of a secret give none: a limb is out of range. At least one "
                                        "share is wrong.");
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
        number_write(limbs[limb], limb_bytes(limb), ret_secret + limb * LIMB_BYTES);
    return NULL;
}

/* What is passed over is discarded, so that to branch on it says nothing of what is kept. */
bool shamir_take(const uint64_t *words, size_t count, size_t spare, uint64_t *ret_values)
{
    const uint64_t *next = words + count, *const end = next + spare;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = words[i] & SHAMIR_PRIME;
        while (value == SHAMIR_PRIME) {
            if (next == end)
                return false;
            value = *next++ & SHAMIR_PRIME;
        }
        ret_values[i] = value;
    }
    return true;
}

static struct error *draw(const uint8_t seed[static MASK_SEED_BYTES], uint64_t *ret_values, size_t count)
{
    struct error *err = NULL;
    size_t available = count + SPARE_WORDS;
    uint64_t *words = calloc(available, sizeof(*words));
    if (words == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to share a secret.");
    TRY(mask_apply(seed, MASK_ADD, MASK_RING_64, words, available));
    if (!shamir_take(words, count, SPARE_WORDS, ret_values))
        FAIL(ERROR_CRYPTO,
             "The coefficients to share a secret with cannot be drawn: AES-128 is broken here.");
done:
    if (words != NULL)
        secret_wipe(words, available * sizeof(*words));
    free(words);
    return err;
}

/* With all coefficients but the secret's still zero. */
static struct error *deal_begin(const uint8_t secret[static SHAMIR_SECRET_BYTES], size_t threshold,
                                struct shamir_deal **ret_deal)
{
    struct error *err = NULL;
    struct shamir_deal *deal = NULL;
    if (threshold == 0 || threshold > SHAMIR_MAX_SHARES)
        FAIL(ERROR_INVALID, "A secret cannot be shared with the threshold %zu: it is 1 to %d.", threshold,
             SHAMIR_MAX_SHARES);
    deal = calloc(1, sizeof(*deal) + threshold * sizeof(deal->coefficients[0]));
    if (deal == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to share a secret.");
    deal->threshold = threshold;
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
        deal->coefficients[0][limb] = number_read(secret + limb * LIMB_BYTES, limb_bytes(limb));
    *ret_deal = deal;
done:
    return err;
}

struct error *shamir_deal_new(const uint8_t secret[static SHAMIR_SECRET_BYTES], size_t threshold,
                              const uint8_t seed[static SHAMIR_SEED_BYTES], struct shamir_deal **ret_deal)
{
    struct error *err = NULL;
    struct shamir_deal *deal = NULL;
    TRY(deal_begin(secret, threshold, &deal));
    TRY(draw(seed, deal->coefficients[0] + SHAMIR_LIMBS, (threshold - 1) * SHAMIR_LIMBS));
    *ret_deal = deal;
    deal = NULL;
done:
    shamir_deal_free(deal);
    return err;
}

struct error *shamir_deal_given(const uint8_t secret[static SHAMIR_SECRET_BYTES], size_t threshold,
                                const uint64_t *coefficients, struct shamir_deal **ret_deal)
{
    struct error *err = NULL;
    struct shamir_deal *deal = NULL;
    uint64_t beyond = 0;
    TRY(deal_begin(secret, threshold, &deal));
    for (size_t k = 1; k < threshold; k++)
        for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++) {
            uint64_t value = coefficients[(k - 1) * SHAMIR_LIMBS + limb];
            beyond |= beyond_field(value);
            deal->coefficients[k][limb] = value;
        }
    if (beyond != 0)
        FAIL(ERROR_INVALID, "A coefficient to share a secret with is 2^61 - 1 or more.");
    *ret_deal = deal;
    deal = NULL;
done:
    shamir_deal_free(deal);
    return err;
}

/* By Horner's rule. */
void shamir_deal_share(const struct shamir_deal *deal, uint32_t x,
                       uint8_t ret_share[static SHAMIR_SHARE_BYTES])
{
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++) {
        uint64_t value = 0;
        for (size_t k = deal->threshold; k-- > 0;)
            value = shamir_add(shamir_multiply(value, x), deal->coefficients[k][limb]);
        number_write(value, 8, ret_share + 8 * limb);
    }
}

void shamir_deal_free(struct shamir_deal *deal)
{
    if (deal == NULL)
        return;
    secret_wipe(deal, sizeof(*deal) + deal->threshold * sizeof(deal->coefficients[0]));
    free(deal);
}

struct error *shamir_share_check(const uint8_t share[static SHAMIR_SHARE_BYTES])
{
    uint64_t beyond = 0;
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
        beyond |= beyond_field(shamir_share_limb(share, limb));
    if (beyond != 0)
        return error_new(ERROR_INVALID, "A share of a secret has a value of 2^61 - 1 or more: it is none.");
    return NULL;
}

struct error *shamir_points_check(const struct shamir_point *points, size_t count, size_t threshold)
{
    struct error *err = NULL;
    bool seen[SHAMIR_MAX_SHARES + 1] = {false};
    if (threshold == 0 || threshold > SHAMIR_MAX_SHARES)
        FAIL(ERROR_INVALID, "No secret is shared with the threshold %zu: it is 1 to %d.", threshold,
             SHAMIR_MAX_SHARES);
    if (count < threshold)
        FAIL(ERROR_INVALID, "%zu shares of a secret are there, and %zu are needed.", count, threshold);
    for (size_t i = 0; i < count; i++) {
        uint32_t x = points[i].x;
        if (x == 0 || x > SHAMIR_MAX_SHARES || seen[x])
            FAIL(ERROR_INVALID,
                 "A share of a secret is numbered %u, which is no number of a share, or there twice.", x);
        seen[x] = true;
        TRY(shamir_share_check(points[i].share));
    }
done:
    return err;
}

/* Lagrange's basis polynomial of point i at 0: the product of x_j / (x_j - x_i) over the others. */
static uint64_t basis_at_zero(const struct shamir_point *points, size_t count, size_t i)
{
    uint64_t above = 1, below = 1;
    for (size_t j = 0; j < count; j++) {
        if (j == i)
            continue;
        above = shamir_multiply(above, points[j].x);
        below = shamir_multiply(below, shamir_subtract(points[j].x, points[i].x));
    }
    return shamir_multiply(above, shamir_invert(below));
}

/* Not inlined, so that what it leaves is below who wipes it. */
static __attribute__((noinline)) struct error *interpolate(const struct shamir_point *points, size_t count,
                                                           size_t threshold,
                                                           uint8_t ret_secret[static SHAMIR_SECRET_BYTES])
{
    struct error *err = NULL;
    uint64_t limbs[SHAMIR_LIMBS] = {0};
    TRY(shamir_points_check(points, count, threshold));
    for (size_t i = 0; i < threshold; i++) {
        uint64_t basis = basis_at_zero(points, threshold, i);
        for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
            limbs[limb] =
                shamir_add(limbs[limb], shamir_multiply(basis, shamir_share_limb(points[i].share, limb)));
    }
    TRY(shamir_join(limbs, ret_secret));
done:
    secret_wipe(limbs, sizeof(limbs));
    return err;
}

struct error *shamir_interpolate(const struct shamir_point *points, size_t count, size_t threshold,
                                 uint8_t ret_secret[static SHAMIR_SECRET_BYTES])
{
    struct error *err = interpolate(points, count, threshold, ret_secret);
    secret_wipe_stack();
    return err;
}
