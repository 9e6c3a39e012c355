/* Arithmetic on secrets under valgrind, which takes them for memory that was never written: every branch and every index
 * that depends on one is reported (A. Langley, ctgrind, 2010). What may be known is in branches.supp: that a share or a
 * coefficient is none, that a result is no secret, and that another coefficient was taken in place of one. Of a seed the key is secret here; whether
 * the lower 32 bits of its counter wrap is a branch of OpenSSL's.
 *
 *     branches          sharing, interpolation, multiplication and masks; status 0
 *     branches --leak   branches on one bit of a secret, to show that it is seen
 *
 * Built without sanitizers and optimised as the product is. */
#include "crypto/mask.h"
#include "crypto/shamir.h"

#include <stdio.h>
#include <valgrind/memcheck.h>

#define THRESHOLD 5
#define SHARES 8
#define WORDS 1500

static int failed(struct error *err, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, err == NULL ? "the result is wrong" : err->sentence);
    error_free(err);
    return 1;
}

/* Deals with coefficients that are given, or follow from a seed (NULL), and puts the secret together again. */
static int share(const uint64_t *coefficients)
{
    struct error *err = NULL;
    struct shamir_deal *deal = NULL;
    struct shamir_point points[SHARES];
    uint8_t secret[SHAMIR_SECRET_BYTES], again[SHAMIR_SECRET_BYTES] = {0};
    for (uint8_t i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)(7 * i + 200);
    uint8_t seed[SHAMIR_SEED_BYTES] = {4, 5, 6};
    VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof(secret));
    VALGRIND_MAKE_MEM_UNDEFINED(seed, sizeof(seed) / 2);
    TRY(coefficients == NULL ? shamir_deal_new(secret, THRESHOLD, seed, &deal)
                             : shamir_deal_given(secret, THRESHOLD, coefficients, &deal));
    for (uint32_t x = 1; x <= SHARES; x++) {
        points[x - 1].x = x;
        shamir_deal_share(deal, x, points[x - 1].share);
        VALGRIND_MAKE_MEM_UNDEFINED(points[x - 1].share, SHAMIR_SHARE_BYTES);
        TRY(shamir_share_check(points[x - 1].share));
    }
    TRY(shamir_interpolate(points + 2, SHARES - 2, THRESHOLD, again));
done:
    shamir_deal_free(deal);
    VALGRIND_MAKE_MEM_DEFINED(secret, sizeof(secret));
    VALGRIND_MAKE_MEM_DEFINED(again, sizeof(again));
    return err != NULL || memcmp(secret, again, sizeof(secret)) != 0 ? failed(err, "sharing") : 0;
}

static int compute(void)
{
    uint64_t a = 123456789, b = SHAMIR_PRIME - 5, inverse, back;
    VALGRIND_MAKE_MEM_UNDEFINED(&a, sizeof(a));
    VALGRIND_MAKE_MEM_UNDEFINED(&b, sizeof(b));
    inverse = shamir_invert(shamir_multiply(a, b));
    back = shamir_subtract(shamir_add(shamir_multiply(inverse, shamir_multiply(a, b)), a), a);
    VALGRIND_MAKE_MEM_DEFINED(&back, sizeof(back));
    return back != 1 ? failed(NULL, "the field") : 0;
}

static int mask(enum mask_ring ring)
{
    struct error *err = NULL;
    uint8_t seed[MASK_SEED_BYTES] = {1, 2, 3};
    static uint64_t words[WORDS], more[WORDS];
    static uint8_t bytes[8 * WORDS];
    uint64_t sum = 0;
    memset(words, 0, sizeof(words));
    VALGRIND_MAKE_MEM_UNDEFINED(seed, sizeof(seed) / 2);
    VALGRIND_MAKE_MEM_UNDEFINED(words, sizeof(words));
    TRY(mask_apply(seed, MASK_ADD, ring, words, WORDS));
    mask_write(ring, words, WORDS, bytes);
    mask_read(ring, bytes, WORDS, more);
    TRY(mask_apply(seed, MASK_SUBTRACT, ring, more, WORDS));
    mask_add_words(ring, words, more, WORDS);
    TRY(mask_apply(seed, MASK_SUBTRACT, ring, words, WORDS));
    VALGRIND_MAKE_MEM_DEFINED(words, sizeof(words));
    for (size_t i = 0; i < WORDS; i++)
        sum |= words[i];
done:
    return err != NULL || sum != 0 ? failed(err, "masks") : 0;
}

static int leak(void)
{
    volatile uint64_t secret = 5;
    VALGRIND_MAKE_MEM_UNDEFINED((void *)(uintptr_t)&secret, sizeof(secret));
    if (shamir_multiply(secret, 3) & 1)
        fputs("odd\n", stderr);
    return 0;
}

int main(int count, char **words)
{
    uint64_t coefficients[(THRESHOLD - 1) * SHAMIR_LIMBS];
    if (!RUNNING_ON_VALGRIND) {
        fputs("This program says nothing without valgrind.\n", stderr);
        return 1;
    }
    if (count == 2 && strcmp(words[1], "--leak") == 0)
        return leak();
    for (size_t i = 0; i < sizeof(coefficients) / sizeof(coefficients[0]); i++)
        coefficients[i] = SHAMIR_PRIME - 1 - (i * UINT64_C(0x123456789abcd));
    VALGRIND_MAKE_MEM_UNDEFINED(coefficients, sizeof(coefficients));
    return share(coefficients) | share(NULL) | compute() | mask(MASK_RING_64) | mask(MASK_RING_32);
}
