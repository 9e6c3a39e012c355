#include "schemas/job_parts.h"

static const char *const mechanism_words[] = {[JOB_NO_PRIVACY] = "none",
                                              [JOB_DP_SGD] = "dp-sgd",
                                              [JOB_DISTRIBUTED_DP] = "distributed-dp",
                                              [JOB_SITE_LEVEL] = "site-level",
                                              NULL};
static const char *const metrics_rounds_words[] = {
    [JOB_METRICS_LAST] = "last", [JOB_METRICS_ALL] = "all", NULL};

const char *job_mechanism_word(enum job_mechanism mechanism)
{
    return mechanism_words[mechanism];
}
const char *job_metrics_rounds_word(enum job_metrics_rounds rounds)
{
    return metrics_rounds_words[rounds];
}

const struct document_key job_privacy_keys[] = {
    {.key = "mechanism",
     .type = DOCUMENT_WORD,
     .words = mechanism_words,
     DOCUMENT_INTO(struct job, privacy.mechanism)},
    {.key = "clip",
     .type = DOCUMENT_REAL,
     .least = 1e-9, /* far above where a scale of the grid could overflow */
     .most = 1e6,
     DOCUMENT_INTO(struct job, privacy.clip)},
    {.key = "noise_multiplier",
     .type = DOCUMENT_REAL,
     .least = 0.05,
     .most = 1e6,
     DOCUMENT_INTO(struct job, privacy.noise_multiplier)},
    {.key = "target_epsilon",
     .type = DOCUMENT_REAL,
     .least = 0,
     .least_open = true,
     .most = 1000,
     DOCUMENT_INTO(struct job, privacy.target_epsilon)},
    {.key = "delta",
     .type = DOCUMENT_REAL,
     .least = 1e-15,
     .most = 0.1,
     DOCUMENT_INTO(struct job, privacy.delta)},
    {.key = "sampling_rate",
     .type = DOCUMENT_REAL,
     .least = 0,
     .least_open = true,
     .most = 1,
     DOCUMENT_INTO(struct job, privacy.sampling_rate)},
    {.key = "steps",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 1000000,
     DOCUMENT_INTO(struct job, privacy.steps)},
    {.key = "metrics_noise",
     .type = DOCUMENT_REAL,
     .least = 0.05,
     .most = 1e6,
     DOCUMENT_INTO(struct job, privacy.metrics_noise)},
    {.key = "metrics_rounds",
     .type = DOCUMENT_WORD,
     .words = metrics_rounds_words,
     DOCUMENT_INTO(struct job, privacy.metrics_rounds)},
    {0},
};

bool job_find_any(const struct document_value *root, const char *const *paths,
                  struct document_value *ret_value)
{
    for (size_t i = 0; paths[i] != NULL; i++)
        if (document_find(root, paths[i], ret_value))
            return true;
    return false;
}

/* Where a key could stand but does not, the mapping that it belongs to. */
static struct error *privacy_lacks(const struct document_value *root, const char *what)
{
    struct document_value section;
    (void)document_find(root, "privacy", &section);
    return document_error(&section, ERROR_INVALID, "%s", what);
}

/* Without a mechanism, a key here would let its writer believe that something is protected. */
static struct error *privacy_check_none(const struct document_value *root, const struct job *job)
{
    struct document_value section, value, key;
    if (document_find(root, "privacy", &section))
        for (size_t i = 0; i < document_pairs(&section); i++)
            if (strcmp(document_pair(&section, i, &key, &value), "mechanism") != 0)
                return document_error(&key, ERROR_INVALID,
                                      "belongs to a mechanism of privacy, which this job does not have; "
                                      "remove the key, or add mechanism: dp-sgd, distributed-dp or "
                                      "site-level.");
    if (document_find(root, "training.average_tail", &value))
        return document_error(&value, ERROR_INVALID, "belongs to dp-sgd and distributed-dp; remove the key.");
    for (size_t i = 0; i < job->site_count; i++)
        if (job->sites[i].examples != 0) {
            (void)document_find(root, "sites", &section);
            value = document_element(&section, i);
            return document_error(
                &value, ERROR_INVALID,
                "has the key examples, which belongs to a mechanism of privacy: without one "
                "each site counts its rows; remove the key.");
        }
    return NULL;
}

static struct error *privacy_check_values(const struct document_value *root, const struct job *job)
{
    struct document_value value;
    const struct job_privacy *privacy = &job->privacy;
    if (privacy->clip <= 0)
        return privacy_lacks(
            root, "lacks the key clip: the norm that what one record adds is cut to, 1e-9 or more.");
    if (privacy->noise_multiplier <= 0 && privacy->target_epsilon <= 0)
        return privacy_lacks(root,
                             "lacks noise_multiplier, or target_epsilon from which it can be computed.");
    if (privacy->delta <= 0)
        return privacy_lacks(root,
                             "lacks the key delta; well below one over the number of records would do, 1e-5 "
                             "for instance.");
    bool sampled = document_find(root, "privacy.sampling_rate", &value);
    if (privacy->mechanism == JOB_SITE_LEVEL) {
        if (sampled)
            return document_error(
                &value, ERROR_INVALID,
                "has no meaning with mechanism: site-level, where every site takes part; remove "
                "the key.");
    } else if (!sampled) {
        return privacy_lacks(
            root, "lacks the key sampling_rate: the probability, above 0 and at most 1, with which "
                  "each record takes part in a step.");
    }
    if (privacy->mechanism != JOB_DP_SGD && document_find(root, "privacy.steps", &value))
        return document_error(&value, ERROR_INVALID,
                              "belongs to mechanism: dp-sgd; with %s a round has one step. Remove the key.",
                              job_mechanism_word(privacy->mechanism));
    return NULL;
}

static struct error *privacy_check_training(const struct document_value *root, const struct job *job)
{
    static const char *const sampled_says[] = {"training.batch_size", "training.local_epochs", NULL};
    struct document_value value;
    if (job->privacy.mechanism == JOB_SITE_LEVEL) {
        if (document_find(root, "training.average_tail", &value))
            return document_error(&value, ERROR_INVALID,
                                  "belongs to dp-sgd and distributed-dp; remove the key.");
        return NULL;
    }
    if (job->model == JOB_FEATURE_STATISTICS)
        return NULL;
    if (job->optimizer != JOB_SGD) {
        if (!document_find(root, "training.optimizer", &value))
            return privacy_lacks(
                root, "needs training: {optimizer: sgd}: its steps are those of gradient descent.");
        return document_error(&value, ERROR_INVALID, "must be sgd with mechanism: %s.",
                              job_mechanism_word(job->privacy.mechanism));
    }
    if (job_find_any(root, sampled_says, &value))
        return document_error(
            &value, ERROR_INVALID,
            "has no meaning with mechanism: %s, where privacy.sampling_rate says who takes part "
            "in a step%s; remove the key.",
            job_mechanism_word(job->privacy.mechanism),
            job->privacy.mechanism == JOB_DP_SGD ? " and privacy.steps how many there are" : "");
    return NULL;
}

static struct error *privacy_check_aggregation(const struct document_value *root, const struct job *job)
{
    static const char *const fixed_point[] = {"secure_aggregation.clip", "secure_aggregation.max_examples",
                                              NULL};
    struct document_value value;
    if (!job->secure.enabled) {
        if (job->privacy.mechanism == JOB_DISTRIBUTED_DP)
            return privacy_lacks(root,
                                 "has mechanism: distributed-dp, which needs secure_aggregation: {enabled: "
                                 "true}: each site adds a share of the noise, and only the sum has all of "
                                 "it.");
        return NULL;
    }
    if (job->privacy.mechanism == JOB_DP_SGD)
        return document_error(
            root, ERROR_UNSUPPORTED,
            "has mechanism: dp-sgd with secure aggregation, a combination that does not exist: "
            "mechanism: distributed-dp needs less noise for the same epsilon.");
    if (job->secure.ring != 64) {
        (void)document_find(root, "secure_aggregation.ring", &value);
        return document_error(&value, ERROR_INVALID, "must be 64 with a mechanism of privacy.");
    }
    if (job_find_any(root, fixed_point, &value))
        return document_error(
            &value, ERROR_INVALID,
            "has no meaning with a mechanism of privacy, whose own clip bounds what is summed; "
            "remove the key.");
    return NULL;
}

static struct error *privacy_settle_metrics(const struct document_value *root, struct job *job)
{
    struct document_value value;
    bool noised = job->privacy.metrics_noise > 0;
    if (!document_find(root, "evaluation.metrics", &value)) {
        job->metrics = !noised               ? JOB_METRICS_NONE
                       : job->secure.enabled ? JOB_METRICS_POOLED
                                             : JOB_METRICS_PER_SITE;
    } else if (!noised && job->metrics != JOB_METRICS_NONE) {
        return document_error(
            &value, ERROR_INVALID,
            "cannot be %s without privacy.metrics_noise: counts of a private job leave with noise "
            "of their own, or not at all (none). evaluation.global_test, the orchestrator's own "
            "rows, is free.",
            job_metrics_word(job->metrics));
    } else if (noised && job->metrics == JOB_METRICS_NONE) {
        (void)document_find(root, "privacy.metrics_noise", &value);
        return document_error(&value, ERROR_INVALID,
                              "has no meaning with metrics: none; remove the key, or let counts leave.");
    }
    if (!noised && document_find(root, "privacy.metrics_rounds", &value))
        return document_error(&value, ERROR_INVALID, "belongs to metrics_noise, which is not there.");
    return NULL;
}

static struct error *privacy_check_sites(const struct document_value *root, const struct job *job)
{
    struct document_value list, value;
    for (size_t i = 0; i < job->site_count; i++)
        if (job->sites[i].examples == 0) {
            (void)document_find(root, "sites", &list);
            value = document_element(&list, i);
            return document_error(
                &value, ERROR_INVALID,
                "lacks the key examples, the number of training rows that the site declares: "
                "a private job knows no other.");
        }
    return NULL;
}

struct error *job_privacy_settle(const struct document_value *root, struct job *job)
{
    struct error *err = NULL;
    if (!job_private(job))
        return privacy_check_none(root, job);
    TRY(privacy_check_values(root, job));
    TRY(privacy_check_training(root, job));
    TRY(privacy_check_aggregation(root, job));
    TRY(privacy_settle_metrics(root, job));
    TRY(privacy_check_sites(root, job));
done:
    return err;
}
