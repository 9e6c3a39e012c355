/* What the accountant costs.
 *
 *     bench_privacy [--smoke]
 *
 * Milliseconds on the processor, medians, a line each: a word and a number.
 *
 *     pld        epsilon by PLD of 10000 sampled steps (noise 1.1, rate 0.0042667, delta 1e-5)
 *     least      the same with a noise of 0.5 and a rate of 0.02, whose losses have a long way to go
 *     most       the same of 64 events that all differ
 *     rdp        as pld, by Rényi orders
 *     calibrate  the noise of 10000 steps for epsilon 3, by PLD
 *     steps      how many steps with that noise epsilon 3 has, by PLD
 *     filter     one event added to the orders of a budget */
#include "crypto/privacy.h"
#include "tests/bench/stopwatch.h"

static double processor_ms(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0)
        abort();
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static const struct privacy_event usual = {1.1, 0.0042667, 10000}, little = {0.5, 0.02, 10000};
static struct privacy_event all[PRIVACY_MAX_EVENTS];

static void pld(void)
{
    double epsilon;
    stopwatch_must(privacy_epsilon(PRIVACY_PLD, &usual, 1, 1e-5, &epsilon));
}

static void least(void)
{
    double epsilon;
    stopwatch_must(privacy_epsilon(PRIVACY_PLD, &little, 1, 1e-5, &epsilon));
}

static void most(void)
{
    double epsilon;
    stopwatch_must(privacy_epsilon(PRIVACY_PLD, all, PRIVACY_MAX_EVENTS, 1e-5, &epsilon));
}

static void rdp(void)
{
    double epsilon;
    stopwatch_must(privacy_epsilon(PRIVACY_RDP, &usual, 1, 1e-5, &epsilon));
}

static void calibrate(void)
{
    double noise;
    stopwatch_must(privacy_calibrate(PRIVACY_PLD, usual, NULL, 0, 3, 1e-5, &noise));
}

static void steps(void)
{
    uint64_t count;
    stopwatch_must(privacy_steps(PRIVACY_PLD, usual, NULL, 0, 3, 1e-5, &count));
}

static void filter(void)
{
    double sums[PRIVACY_FILTER_ORDERS] = {0};
    stopwatch_must(privacy_filter_add(&usual, 1, sums));
}

static void measure(const char *word, void (*call)(void), size_t repeats)
{
    double measured[STOPWATCH_MAX_REPEATS];
    for (size_t i = 0; i < repeats; i++) {
        double begun = processor_ms();
        call();
        measured[i] = processor_ms() - begun;
    }
    (void)printf("%s %.3f\n", word, stopwatch_median(measured, repeats));
}

int main(int count, char **arguments)
{
    bool smoke = count == 2 && strcmp(arguments[1], "--smoke") == 0;
    if (count > 2 || (count == 2 && !smoke)) {
        (void)fprintf(stderr, "Usage: bench_privacy [--smoke]\n");
        return 2;
    }
    for (size_t i = 0; i < PRIVACY_MAX_EVENTS; i++)
        all[i] = (struct privacy_event){1 + (double)i / 10, 0.0042667, 1000};
    measure("pld", pld, smoke ? 1 : 15);
    measure("rdp", rdp, smoke ? 1 : 15);
    measure("filter", filter, smoke ? 1 : 15);
    if (smoke)
        return 0;
    measure("least", least, 7);
    measure("most", most, 3);
    measure("calibrate", calibrate, 5);
    measure("steps", steps, 5);
    return 0;
}
