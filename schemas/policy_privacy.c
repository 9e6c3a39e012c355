/* What an owner asks of a job's privacy: of a rule that decides, and of every release of a dataset. */
#include "schemas/policy_parts.h"

#include <math.h>
#include <stdarg.h>

/* A bit's place is the mechanism less one: a job without one keeps no bound. */
const char *const policy_mechanism_words[] = {[JOB_DP_SGD - 1] = "dp-sgd",
                                              [JOB_DISTRIBUTED_DP - 1] = "distributed-dp",
                                              [JOB_SITE_LEVEL - 1] = "site-level",
                                              NULL};

#define POLICY_BOUND(name, from, open, to)                                                                   \
    {                                                                                                        \
        .key = #name, .type = DOCUMENT_REAL, .nullable = true, .null_clears = true, .least = (from),         \
        .least_open = (open), .most = (to), DOCUMENT_INTO(struct policy_privacy, name)                       \
    }

static const struct document_key policy_privacy_keys[] = {
    {.key = "mechanisms",
     .type = DOCUMENT_WORDS,
     .first = 1,
     .words = policy_mechanism_words,
     DOCUMENT_INTO(struct policy_privacy, mechanisms)},
    POLICY_BOUND(max_epsilon, 0, true, 10000),
    POLICY_BOUND(max_delta, 1e-15, false, 0.1),
    POLICY_BOUND(min_noise, 0.05, false, 1e6),
    {0},
};

struct error *policy_read_privacy(const struct document_value *value, void *ret_privacy)
{
    return document_read(value, policy_privacy_keys, ret_privacy);
}

bool policy_privacy_asks(const struct policy_privacy *privacy)
{
    return privacy->mechanisms != 0 || privacy->max_epsilon > 0 || privacy->max_delta > 0 ||
           privacy->min_noise > 0;
}

static bool privacy_unfit(char ret_why[static POLICY_WHY_BYTES], const char *format, ...) PRINTF_LIKE(2, 3);

static bool privacy_unfit(char ret_why[static POLICY_WHY_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_why, POLICY_WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

/* "dp-sgd or site-level". */
static void privacy_words(uint32_t mechanisms, char *ret_text, size_t room)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; policy_mechanism_words[i] != NULL && used < room; i++) {
        if ((mechanisms & (UINT32_C(1) << i)) != 0)
            used += (size_t)snprintf(ret_text + used, room - used, "%s%s", used == 0 ? "" : " or ",
                                     policy_mechanism_words[i]);
    }
}

bool policy_privacy_admits(const struct policy_privacy *privacy, const struct job *job, double epsilon,
                           uint32_t runs, char ret_why[static POLICY_WHY_BYTES])
{
    const struct job_privacy *asked = &job->privacy;
    char words[64];
    double all = epsilon * runs; /* runs compose by adding up, with their deltas */
    if (!policy_privacy_asks(privacy))
        return true;
    if (!job_private(job))
        return privacy_unfit(ret_why, "requires a privacy mechanism");
    if (privacy->mechanisms != 0 &&
        (privacy->mechanisms & (UINT32_C(1) << ((unsigned)asked->mechanism - 1))) == 0) {
        privacy_words(privacy->mechanisms, words, sizeof(words));
        return privacy_unfit(ret_why, "requires the mechanism %s", words);
    }
    if (privacy->min_noise > 0 && !(asked->noise_multiplier >= privacy->min_noise))
        return privacy_unfit(ret_why, "requires a noise_multiplier of at least %g", privacy->min_noise);
    if (privacy->min_noise > 0 && job->metrics != JOB_METRICS_NONE &&
        !(asked->metrics_noise >= privacy->min_noise))
        return privacy_unfit(ret_why, "requires a metrics_noise of at least %g", privacy->min_noise);
    if (privacy->max_delta > 0 && !(asked->delta * runs <= privacy->max_delta))
        return privacy_unfit(ret_why, "allows a delta of at most %g, and the job comes to %g",
                             privacy->max_delta, asked->delta * runs);
    if (privacy->max_epsilon > 0 && isinf(all))
        return privacy_unfit(ret_why, "allows epsilon of at most %g, and the job's cannot be accounted",
                             privacy->max_epsilon);
    if (privacy->max_epsilon > 0 && !(all <= privacy->max_epsilon))
        return privacy_unfit(ret_why, "allows epsilon of at most %g, and the job comes to %.4g",
                             privacy->max_epsilon, all);
    return true;
}

bool policy_wants_epsilon(const struct policy *policy)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (policy->rules[i].privacy.max_epsilon > 0)
            return true;
    return false;
}
