#include "crypto/privacy_fft.h"

#include <math.h>
#include <stdlib.h>

#define FFT_MAX_SIZE ((size_t)1 << 24)
#define FFT_ERROR_A_LEVEL (6 * 0x1p-53)

struct privacy_fft {
    size_t size;
    int levels;
    struct privacy_complex factors[]; /* e^(-2πi k / size), k below size / 2 */
};

struct error *privacy_fft_new(size_t size, struct privacy_fft **ret_fft)
{
    struct error *err = NULL;
    if (size < 2 || size > FFT_MAX_SIZE || (size & (size - 1)) != 0)
        FAIL(ERROR_INVALID, "A transform has a power of two from 2 to %zu as its size, not %zu.",
             FFT_MAX_SIZE, size);
    struct privacy_fft *fft = malloc(sizeof *fft + size / 2 * sizeof fft->factors[0]);
    if (fft == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to account for privacy.");
    fft->size = size;
    fft->levels = 0;
    while ((size_t)1 << fft->levels < size)
        fft->levels++;
    for (size_t k = 0; k < size / 2; k++) {
        double angle = -2 * M_PI * (double)k / (double)size;
        fft->factors[k] = (struct privacy_complex){cos(angle), sin(angle)};
    }
    *ret_fft = fft;
done:
    return err;
}

void privacy_fft_free(struct privacy_fft *fft)
{
    free(fft);
}

/* Halves, from the whole to pairs (Gentleman, Sande). */
void privacy_fft_forward(const struct privacy_fft *fft, struct privacy_complex *values)
{
    for (size_t half = fft->size / 2, stride = 1; half >= 1; half /= 2, stride *= 2) {
        for (size_t block = 0; block < fft->size; block += 2 * half) {
            struct privacy_complex *low = values + block, *high = low + half;
            for (size_t k = 0; k < half; k++) {
                struct privacy_complex a = low[k], b = high[k], w = fft->factors[k * stride];
                double re = a.re - b.re, im = a.im - b.im;
                low[k] = (struct privacy_complex){a.re + b.re, a.im + b.im};
                high[k] = (struct privacy_complex){re * w.re - im * w.im, re * w.im + im * w.re};
            }
        }
    }
}

/* The same backwards, with the conjugate factors (Cooley, Tukey). */
void privacy_fft_inverse(const struct privacy_fft *fft, struct privacy_complex *values)
{
    for (size_t half = 1, stride = fft->size / 2; half < fft->size; half *= 2, stride /= 2) {
        for (size_t block = 0; block < fft->size; block += 2 * half) {
            struct privacy_complex *low = values + block, *high = low + half;
            for (size_t k = 0; k < half; k++) {
                struct privacy_complex a = low[k], b = high[k], w = fft->factors[k * stride];
                double re = b.re * w.re + b.im * w.im, im = b.im * w.re - b.re * w.im;
                low[k] = (struct privacy_complex){a.re + re, a.im + im};
                high[k] = (struct privacy_complex){a.re - re, a.im - im};
            }
        }
    }
    double scale = 1 / (double)fft->size; /* a power of two: exact */
    for (size_t k = 0; k < fft->size; k++) {
        values[k].re *= scale;
        values[k].im *= scale;
    }
}

double privacy_fft_error(const struct privacy_fft *fft)
{
    return FFT_ERROR_A_LEVEL * fft->levels;
}
