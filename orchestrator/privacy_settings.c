#include "orchestrator/privacy_settings.h"

#include "schemas/number.h"

#include <stdio.h>
#include <string.h>

#define EVENT_BYTES 128

struct error *privacy_settings_number(const char *option, const char *text, double *ret_number)
{
    if (text == NULL)
        return error_new(ERROR_USAGE, "--%s is missing.", option);
    if (!number_real(text, ret_number))
        return error_new(ERROR_USAGE, "--%s takes a number, such as 1.5 or 1e-5, not \"%.40s\".", option,
                         text);
    return NULL;
}

struct error *privacy_settings_event(const char *text, struct privacy_event *ret_event)
{
    struct error *err = NULL;
    char copy[EVENT_BYTES];
    struct privacy_event event = {0};
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        copy[0] = '\0';
    char *rate = strchr(copy, ':');
    char *steps = rate == NULL ? NULL : strchr(rate + 1, ':');
    if (steps != NULL) {
        *rate++ = '\0';
        *steps++ = '\0';
    }
    if (steps == NULL || !number_real(copy, &event.noise_multiplier) ||
        !number_real(rate, &event.sampling_rate) || !number_count(steps, &event.steps))
        FAIL(ERROR_USAGE, "--event takes SIGMA:RATE:STEPS, such as 1.1:0.0043:14063, not \"%.40s\".", text);
    *ret_event = event;
done:
    return err;
}

struct error *privacy_settings_accountant(const char *text, enum privacy_accountant *ret_accountant)
{
    static const enum privacy_accountant all[] = {PRIVACY_PLD, PRIVACY_RDP, PRIVACY_GAUSSIAN};
    struct error *err = NULL;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (text == NULL || strcmp(text, privacy_accountant_word(all[i])) == 0) {
            *ret_accountant = all[i];
            goto done;
        }
    }
    FAIL(ERROR_USAGE, "--accountant is pld, rdp or gaussian, not \"%.40s\".", text);
done:
    return err;
}

struct error *privacy_settings_usage(struct error *error)
{
    if (error != NULL && (error->code == ERROR_INVALID || error->code == ERROR_LIMIT))
        error->code = ERROR_USAGE;
    return error;
}

void privacy_settings_warning(double delta, uint64_t examples, char ret_warning[static PRIVACY_WARNING_BYTES])
{
    ret_warning[0] = '\0';
    /* One that is out of range is refused, and that is enough said. */
    if (examples > 0 && delta <= PRIVACY_MAX_DELTA && delta * (double)examples >= 1)
        (void)snprintf(
            ret_warning, PRIVACY_WARNING_BYTES,
            "Warning: a delta of %g is not below 1 in %llu record%s: publishing one of them outright would "
            "keep to it. Below %.1e protects each.",
            delta, (unsigned long long)examples, examples == 1 ? "" : "s", 0.1 / (double)examples);
}
