#include "datasite/job_diff.h"

#include "schemas/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Changes being collected; the first failure is kept. */
struct diff {
    struct job_change *changes;
    size_t count, room;
    struct error *failed;
};

static void diff_add(struct diff *diff, const char *key, const char *before, const char *after)
{
    if (diff->failed != NULL || strcmp(before, after) == 0)
        return;
    if (diff->count == diff->room) {
        size_t room = diff->room == 0 ? 16 : 2 * diff->room;
        struct job_change *larger = reallocarray(diff->changes, room, sizeof(*larger));
        if (larger == NULL) {
            diff->failed = error_new(ERROR_MEMORY, "There is not enough memory to compare two jobs.");
            return;
        }
        diff->changes = larger;
        diff->room = room;
    }
    struct job_change *change = &diff->changes[diff->count++];
    (void)snprintf(change->key, sizeof(change->key), "%s", key);
    (void)snprintf(change->before, sizeof(change->before), "%s", before);
    (void)snprintf(change->after, sizeof(change->after), "%s", after);
}

static void diff_count(struct diff *diff, const char *key, uint64_t before, uint64_t after)
{
    char a[32], b[32];
    (void)snprintf(a, sizeof(a), "%" PRIu64, before);
    (void)snprintf(b, sizeof(b), "%" PRIu64, after);
    diff_add(diff, key, a, b);
}

/* Equal numbers give equal text, and 17 digits tell different ones apart. */
static void diff_real(struct diff *diff, const char *key, double before, double after)
{
    char a[40], b[40];
    (void)snprintf(a, sizeof(a), "%g", before);
    (void)snprintf(b, sizeof(b), "%g", after);
    if (strcmp(a, b) == 0) {
        (void)snprintf(a, sizeof(a), "%.17g", before);
        (void)snprintf(b, sizeof(b), "%.17g", after);
    }
    diff_add(diff, key, a, b);
}

static void diff_model(struct diff *diff, const struct job *before, const struct job *after)
{
    char a[DIFF_VALUE_BYTES], b[DIFF_VALUE_BYTES];
    diff_add(diff, "job", before->name, after->name);
    diff_add(diff, "dataset", before->dataset, after->dataset);
    diff_add(diff, "model.kind", job_model_word(before->model), job_model_word(after->model));
    diff_real(diff, "model.l2", before->l2, after->l2);
    (void)snprintf(a, sizeof(a), "%s%s", job_init_word(before->init), before->init_sha256);
    (void)snprintf(b, sizeof(b), "%s%s", job_init_word(after->init), after->init_sha256);
    diff_add(diff, "model.init", a, b);
}

/* Where two lists part: how long they are, and the first number in which they differ. */
static void diff_numbers(struct diff *diff, const char *key, const double *before, size_t before_count,
                         const double *after, size_t after_count)
{
    char a[96], b[96];
    size_t at = 0, both = before_count < after_count ? before_count : after_count;
    while (at < both && before[at] == after[at])
        at++;
    if (at == before_count && at == after_count)
        return;
    (void)snprintf(a, sizeof(a), "%zu numbers", before_count);
    (void)snprintf(b, sizeof(b), "%zu numbers", after_count);
    if (at < before_count)
        (void)snprintf(a, sizeof(a), "%zu numbers, number %zu is %.17g", before_count, at + 1, before[at]);
    if (at < after_count)
        (void)snprintf(b, sizeof(b), "%zu numbers, number %zu is %.17g", after_count, at + 1, after[at]);
    diff_add(diff, key, a, b);
}

static void diff_features(struct diff *diff, const struct job *before, const struct job *after)
{
    diff_add(diff, "features.kind", job_features_word(before->features), job_features_word(after->features));
    if (before->features != after->features)
        return;
    diff_numbers(diff, "features.mean", before->feature_mean, before->feature_count, after->feature_mean,
                 after->feature_count);
    diff_numbers(diff, "features.deviation", before->feature_deviation, before->deviation_count,
                 after->feature_deviation, after->deviation_count);
    diff_add(diff, "features.released_by",
             before->features_released_by[0] == '\0' ? "-" : before->features_released_by,
             after->features_released_by[0] == '\0' ? "-" : after->features_released_by);
}

/* Against a job without, the whole mechanism is what changed; what another mechanism has no use for is not there. */
static void diff_privacy(struct diff *diff, const struct job *before, const struct job *after)
{
    const struct job_privacy *from = &before->privacy, *to = &after->privacy;
    diff_add(diff, "privacy.mechanism", job_mechanism_word(from->mechanism),
             job_mechanism_word(to->mechanism));
    if (!job_private(before) || !job_private(after))
        return;
    diff_real(diff, "privacy.clip", from->clip, to->clip);
    diff_real(diff, "privacy.noise_multiplier", from->noise_multiplier, to->noise_multiplier);
    diff_real(diff, "privacy.target_epsilon", from->target_epsilon, to->target_epsilon);
    diff_real(diff, "privacy.delta", from->delta, to->delta);
    diff_real(diff, "privacy.metrics_noise", from->metrics_noise, to->metrics_noise);
    diff_add(diff, "privacy.metrics_rounds", job_metrics_rounds_word(from->metrics_rounds),
             job_metrics_rounds_word(to->metrics_rounds));
    if (from->mechanism != to->mechanism)
        return;
    diff_real(diff, "privacy.sampling_rate", from->sampling_rate, to->sampling_rate);
    diff_count(diff, "privacy.steps", from->steps, to->steps);
}

/* What the other optimizer has no use for is not there. */
static void diff_training(struct diff *diff, const struct job *before, const struct job *after)
{
    diff_add(diff, "training.optimizer", job_optimizer_word(before->optimizer),
             job_optimizer_word(after->optimizer));
    diff_real(diff, "training.average_tail", before->average_tail, after->average_tail);
    if (before->optimizer != after->optimizer)
        return;
    switch (after->optimizer) {
    case JOB_LBFGS:
        diff_count(diff, "training.local_iterations", before->local_iterations, after->local_iterations);
        break;
    case JOB_SGD:
        diff_count(diff, "training.batch_size", before->batch_size, after->batch_size);
        diff_real(diff, "training.learning_rate", before->learning_rate, after->learning_rate);
        diff_real(diff, "training.momentum", before->momentum, after->momentum);
        diff_count(diff, "training.local_epochs", before->local_epochs, after->local_epochs);
        break;
    }
}

static void diff_global_test(const struct job *job, char ret_text[static DIFF_VALUE_BYTES])
{
    switch (job->global_test) {
    case JOB_GLOBAL_TEST_NONE:
        (void)snprintf(ret_text, DIFF_VALUE_BYTES, "null");
        break;
    case JOB_GLOBAL_TEST_IDX:
    case JOB_GLOBAL_TEST_CSV:
        (void)snprintf(ret_text, DIFF_VALUE_BYTES, "%.*s, %.*s", DIFF_VALUE_BYTES / 2 - 8,
                       job->global_test_images, DIFF_VALUE_BYTES / 2 - 8, job->global_test_labels);
        break;
    }
}

static void diff_federation(struct diff *diff, const struct job *before, const struct job *after)
{
    char a[DIFF_VALUE_BYTES], b[DIFF_VALUE_BYTES];
    diff_real(diff, "evaluation.test_fraction", before->test_fraction, after->test_fraction);
    diff_add(diff, "evaluation.metrics", job_metrics_word(before->metrics), job_metrics_word(after->metrics));
    diff_global_test(before, a);
    diff_global_test(after, b);
    diff_add(diff, "evaluation.global_test", a, b);
    diff_count(diff, "federation.rounds", before->rounds, after->rounds);
    diff_add(diff, "federation.strategy", job_strategy_word(before->strategy),
             job_strategy_word(after->strategy));
    diff_add(diff, "federation.weighting", job_weighting_word(before->weighting),
             job_weighting_word(after->weighting));
    diff_count(diff, "federation.min_sites", before->min_sites, after->min_sites);
    (void)snprintf(a, sizeof(a), "%" PRIu32 "s", before->round_deadline_s);
    (void)snprintf(b, sizeof(b), "%" PRIu32 "s", after->round_deadline_s);
    diff_add(diff, "federation.round_deadline", a, b);
}

static void diff_end(struct diff *diff, const struct job *before, const struct job *after)
{
    char from[CLOCK_TEXT_BYTES], to[CLOCK_TEXT_BYTES];
    diff_count(diff, "seed", before->seed, after->seed);
    clock_format(before->expires, from);
    clock_format(after->expires, to);
    diff_add(diff, "expires", from, to);
}

/* Against a job without, the whole protection is what changed. */
static void diff_secure(struct diff *diff, const struct job *before, const struct job *after)
{
    static const char *const verify[] = {[JOB_VERIFY_SUM_AUTO] = "where it is cheap",
                                         [JOB_VERIFY_SUM_YES] = "true",
                                         [JOB_VERIFY_SUM_NO] = "false"};
    const struct job_secure_aggregation *from = &before->secure, *to = &after->secure;
    diff_add(diff, "secure_aggregation.enabled", from->enabled ? "true" : "false",
             to->enabled ? "true" : "false");
    if (!from->enabled || !to->enabled)
        return;
    diff_count(diff, "secure_aggregation.tolerate_colluding", from->tolerate_colluding,
               to->tolerate_colluding);
    diff_count(diff, "secure_aggregation.threshold", from->threshold, to->threshold);
    diff_count(diff, "secure_aggregation.ring", from->ring, to->ring);
    diff_real(diff, "secure_aggregation.clip", from->clip, to->clip);
    diff_count(diff, "secure_aggregation.max_examples", from->max_examples, to->max_examples);
    diff_count(diff, "secure_aggregation.key_batch", from->key_batch, to->key_batch);
    diff_add(diff, "secure_aggregation.verify_sum", verify[from->verify_sum], verify[to->verify_sum]);
}

static const struct job_site *diff_find_site(const struct job *job, const char *fingerprint)
{
    for (size_t i = 0; i < job->site_count; i++) {
        if (strcmp(job->sites[i].fingerprint, fingerprint) == 0)
            return &job->sites[i];
    }
    return NULL;
}

static void diff_site_words(const struct job_site *site, char ret_words[static DIFF_VALUE_BYTES])
{
    int used = snprintf(ret_words, DIFF_VALUE_BYTES, "%s %s", site->name, site->endpoint);
    if (site->examples > 0)
        (void)snprintf(ret_words + used, DIFF_VALUE_BYTES - (size_t)used, "%sexamples %" PRIu64,
                       site->endpoint[0] == '\0' ? "" : " ", site->examples);
}

static void diff_site(struct diff *diff, const struct job_site *before, const struct job_site *after)
{
    char key[DIFF_KEY_BYTES], a[DIFF_VALUE_BYTES] = "-", b[DIFF_VALUE_BYTES] = "-";
    (void)snprintf(key, sizeof(key), "sites %s", before == NULL ? after->fingerprint : before->fingerprint);
    if (before != NULL)
        diff_site_words(before, a);
    if (after != NULL)
        diff_site_words(after, b);
    diff_add(diff, key, a, b);
}

static void diff_sites(struct diff *diff, const struct job *before, const struct job *after)
{
    for (size_t i = 0; i < before->site_count; i++)
        diff_site(diff, &before->sites[i], diff_find_site(after, before->sites[i].fingerprint));
    for (size_t i = 0; i < after->site_count; i++) {
        if (diff_find_site(before, after->sites[i].fingerprint) == NULL)
            diff_site(diff, NULL, &after->sites[i]);
    }
}

struct error *job_diff(const struct job *before, const struct job *after, struct job_change **ret_changes,
                       size_t *ret_count)
{
    struct diff diff = {NULL, 0, 0, NULL};
    diff_model(&diff, before, after);
    diff_features(&diff, before, after);
    diff_training(&diff, before, after);
    diff_federation(&diff, before, after);
    diff_secure(&diff, before, after);
    diff_privacy(&diff, before, after);
    diff_end(&diff, before, after);
    diff_sites(&diff, before, after);
    if (diff.failed != NULL) {
        free(diff.changes);
        return diff.failed;
    }
    *ret_changes = diff.changes;
    *ret_count = diff.count;
    return NULL;
}
