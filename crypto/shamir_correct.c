/* Decoding with wrong shares. All shares are public here: whoever decodes has them, and they say what the secret is.
 *
 * Two polynomials of degree below t that agree with all but e = floor((m - t) / 2) of m points are the same. So any that
 * does is the right one, and what finds candidates need not be trusted: first, interpolation of shares not known to be
 * wrong; then, where that does not do, Berlekamp and Welch: E of degree e, monic, zero at the wrong points, and
 * N = P · E of degree below e + t, give N(x) = y · E(x) at every point, m equations, linear in the 2e + t coefficients.
 * Every solution has E zero at every wrong point. */
#include "crypto/shamir_parts.h"

struct decoding {
    size_t count, threshold, errors; /* m, t, e */
    uint64_t *x, *y;                 /* [count]; y of one limb */
    uint64_t *bases, *newton;        /* [threshold]: x that were interpolated, and Newton's coefficients */
    bool *wrong;                     /* [count]: found so far, in any limb */
    bool *suspect;                   /* [count]: not to be interpolated */
    uint64_t *rows;                  /* [count][unknowns + 1]; NULL until it is needed */
};

static void decoding_clear(struct decoding *decoding)
{
    size_t words = 2 * decoding->count + 2 * decoding->threshold;
    size_t row = 2 * decoding->errors + decoding->threshold + 1;
    if (decoding->x != NULL)
        secret_wipe(decoding->x, words * sizeof(uint64_t));
    if (decoding->rows != NULL)
        secret_wipe(decoding->rows, decoding->count * row * sizeof(uint64_t));
    free(decoding->x); /* y, bases and newton are behind it */
    free(decoding->wrong);
    free(decoding->rows);
}

static struct error *decoding_make(const struct shamir_point *points, size_t count, size_t threshold,
                                   struct decoding *ret_decoding)
{
    struct error *err = NULL;
    struct decoding decoding = {count, threshold, (count - threshold) / 2, NULL, NULL, NULL, NULL, NULL,
                                NULL,  NULL};
    decoding.x = calloc(2 * count + 2 * threshold, sizeof(uint64_t));
    decoding.wrong = calloc(2 * count, sizeof(bool));
    if (decoding.x == NULL || decoding.wrong == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to correct shares.");
    decoding.y = decoding.x + count;
    decoding.bases = decoding.y + count;
    decoding.newton = decoding.bases + threshold;
    decoding.suspect = decoding.wrong + count;
    for (size_t i = 0; i < count; i++)
        decoding.x[i] = points[i].x;
    *ret_decoding = decoding;
    decoding = (struct decoding){0};
done:
    decoding_clear(&decoding);
    return err;
}

/* Newton's divided differences of the first t points that are not suspect; false: there are not so many. */
static bool interpolate(struct decoding *decoding)
{
    size_t t = decoding->threshold, taken = 0;
    for (size_t i = 0; i < decoding->count && taken < t; i++)
        if (!decoding->suspect[i]) {
            decoding->bases[taken] = decoding->x[i];
            decoding->newton[taken++] = decoding->y[i];
        }
    if (taken < t)
        return false;
    for (size_t order = 1; order < t; order++)
        for (size_t k = t - 1; k >= order; k--) {
            uint64_t rise = shamir_subtract(decoding->newton[k], decoding->newton[k - 1]);
            uint64_t run = shamir_subtract(decoding->bases[k], decoding->bases[k - order]);
            decoding->newton[k] = shamir_multiply(rise, shamir_invert(run));
        }
    return true;
}

static uint64_t value_at(const struct decoding *decoding, uint64_t x)
{
    uint64_t value = 0;
    for (size_t k = decoding->threshold; k-- > 0;)
        value =
            shamir_add(shamir_multiply(value, shamir_subtract(x, decoding->bases[k])), decoding->newton[k]);
    return value;
}

/* Whether the polynomial agrees with all but e points; then those are marked. */
static bool accept(struct decoding *decoding)
{
    size_t apart = 0;
    for (size_t i = 0; i < decoding->count; i++) {
        decoding->suspect[i] = value_at(decoding, decoding->x[i]) != decoding->y[i];
        apart += decoding->suspect[i];
    }
    if (apart > decoding->errors)
        return false;
    for (size_t i = 0; i < decoding->count; i++)
        decoding->wrong[i] = decoding->wrong[i] || decoding->suspect[i];
    return true;
}

/* A row: the coefficients of N, those of E below its highest (which is 1), and the right-hand side y · x^e. */
static void equation(const struct decoding *decoding, size_t i, uint64_t *ret_row)
{
    size_t of_n = decoding->errors + decoding->threshold;
    uint64_t power = 1;
    for (size_t k = 0; k < of_n; k++) {
        ret_row[k] = power;
        power = shamir_multiply(power, decoding->x[i]);
    }
    uint64_t term = decoding->y[i];
    for (size_t k = 0; k < decoding->errors; k++) {
        ret_row[of_n + k] = shamir_subtract(0, term);
        term = shamir_multiply(term, decoding->x[i]);
    }
    ret_row[of_n + decoding->errors] = term;
}

/* row -= factor · pivot, from column `from`. */
static void row_subtract(uint64_t *row, const uint64_t *pivot, uint64_t factor, size_t from, size_t columns)
{
    for (size_t k = from; k < columns; k++)
        row[k] = shamir_subtract(row[k], shamir_multiply(factor, pivot[k]));
}

/* Gauss and Jordan, in place. ret_pivot [unknowns]: the row that gives an unknown, or `count` where it is free. */
static void eliminate(uint64_t *rows, size_t count, size_t unknowns, size_t *ret_pivot)
{
    size_t columns = unknowns + 1, done = 0;
    for (size_t k = 0; k < unknowns; k++) {
        size_t pick = done;
        while (pick < count && rows[pick * columns + k] == 0)
            pick++;
        ret_pivot[k] = count;
        if (pick == count)
            continue;
        for (size_t c = 0; c < columns; c++) {
            uint64_t value = rows[done * columns + c];
            rows[done * columns + c] = rows[pick * columns + c];
            rows[pick * columns + c] = value;
        }
        uint64_t *pivot = rows + done * columns;
        uint64_t inverse = shamir_invert(pivot[k]);
        for (size_t c = k; c < columns; c++)
            pivot[c] = shamir_multiply(pivot[c], inverse);
        for (size_t i = 0; i < count; i++)
            if (i != done && rows[i * columns + k] != 0)
                row_subtract(rows + i * columns, pivot, rows[i * columns + k], k, columns);
        ret_pivot[k] = done++;
    }
}

/* Marks as suspect the points at which E is zero. Free unknowns are taken as 0; where the equations contradict each
 * other, what is marked makes no candidate that is accepted. */
static struct error *locate(struct decoding *decoding)
{
    struct error *err = NULL;
    size_t of_n = decoding->errors + decoding->threshold;
    size_t unknowns = of_n + decoding->errors, columns = unknowns + 1;
    size_t *pivot = calloc(unknowns, sizeof(*pivot));
    if (decoding->rows == NULL)
        decoding->rows = calloc(decoding->count * columns, sizeof(uint64_t));
    if (pivot == NULL || decoding->rows == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to correct shares.");
    for (size_t i = 0; i < decoding->count; i++)
        equation(decoding, i, decoding->rows + i * columns);
    eliminate(decoding->rows, decoding->count, unknowns, pivot);
    for (size_t i = 0; i < decoding->count; i++) {
        uint64_t value = 1;
        for (size_t k = decoding->errors; k-- > 0;) {
            size_t row = pivot[of_n + k];
            uint64_t coefficient = row == decoding->count ? 0 : decoding->rows[row * columns + unknowns];
            value = shamir_add(shamir_multiply(value, decoding->x[i]), coefficient);
        }
        decoding->suspect[i] = value == 0;
    }
done:
    free(pivot);
    return err;
}

static struct error *limb_decode(struct decoding *decoding, const struct shamir_point *points, size_t limb,
                                 uint64_t *ret_limb)
{
    struct error *err = NULL;
    for (size_t i = 0; i < decoding->count; i++) {
        decoding->y[i] = shamir_share_limb(points[i].share, limb);
        decoding->suspect[i] = decoding->wrong[i];
    }
    if (!interpolate(decoding) || !accept(decoding)) {
        TRY(locate(decoding));
        if (!interpolate(decoding) || !accept(decoding))
            FAIL(ERROR_INVALID,
                 "More than %zu of %zu shares of a secret are wrong: they cannot be corrected.",
                 decoding->errors, decoding->count);
    }
    *ret_limb = value_at(decoding, 0);
done:
    return err;
}

struct error *shamir_correct(const struct shamir_point *points, size_t count, size_t threshold,
                             uint8_t ret_secret[static SHAMIR_SECRET_BYTES], bool *ret_wrong)
{
    struct error *err = NULL;
    struct decoding decoding = {0};
    uint64_t limbs[SHAMIR_LIMBS] = {0};
    size_t wrong = 0;
    TRY(shamir_points_check(points, count, threshold));
    TRY(decoding_make(points, count, threshold, &decoding));
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
        TRY(limb_decode(&decoding, points, limb, &limbs[limb]));
    for (size_t i = 0; i < count; i++)
        wrong += decoding.wrong[i];
    if (wrong > decoding.errors)
        FAIL(ERROR_INVALID, "%zu of %zu shares of a secret are wrong, and only %zu can be corrected.", wrong,
             count, decoding.errors);
    TRY(shamir_join(limbs, ret_secret));
    if (ret_wrong != NULL)
        memcpy(ret_wrong, decoding.wrong, count * sizeof(*ret_wrong));
done:
    secret_wipe(limbs, sizeof(limbs));
    decoding_clear(&decoding);
    return err;
}
