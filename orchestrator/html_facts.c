#include "orchestrator/html.h"
#include "orchestrator/report_privacy.h"

#include "crypto/privacy_plan.h"

#include "schemas/clock.h"

#include <math.h>

static void put_time(FILE *stream, int64_t unix_ms)
{
    char text[CLOCK_TEXT_BYTES];
    if (unix_ms == 0) {
        (void)fputs("–", stream);
        return;
    }
    clock_format(unix_ms / 1000, text);
    (void)fprintf(stream, "<time datetime=\"%s\">%.10s %.8s UTC</time>", text, text, text + 11);
}

void html_title(FILE *stream, const struct run_record *record)
{
    if (record->mock)
        (void)fputs("MOCK: ", stream);
    html_escape(stream, record->job->name);
    (void)fputs(" – Datasite run report", stream);
}

static size_t rounds_with_model(const struct run_record *record)
{
    size_t count = 0;
    for (size_t i = 0; i < record->round_count; i++)
        count += record->rounds[i].model != NULL;
    return count;
}

static void put_status(FILE *stream, const struct run_record *record)
{
    size_t rounds = rounds_with_model(record);
    unsigned planned = record->job->rounds;
    switch (record->status) {
    case RUN_RUNNING:
        (void)fprintf(stream, "<span class=\"badge warn\">In progress</span>: %zu of %u rounds are done.",
                      rounds, planned);
        break;
    case RUN_FINISHED:
        (void)fprintf(stream,
                      "<span class=\"badge good\">Finished</span>: %zu of %u rounds made a new shared model.",
                      rounds, planned);
        break;
    case RUN_STOPPED:
        (void)fprintf(stream, "<span class=\"badge warn\">Stopped</span> with %zu of %u rounds done.", rounds,
                      planned);
        break;
    case RUN_FAILED:
        (void)fprintf(stream, "<span class=\"badge bad\">Failed</span> with %zu of %u rounds done.", rounds,
                      planned);
        break;
    case RUN_CANCELLED:
        (void)fprintf(stream, "<span class=\"badge warn\">Cancelled</span> with %zu of %u rounds done.",
                      rounds, planned);
        break;
    }
    if (record->reason[0] != '\0') {
        (void)fputc(' ', stream);
        html_escape(stream, record->reason);
    }
}

static void put_ids(FILE *stream, const struct run_record *record)
{
    char run_id[RUN_ID_HEX_BYTES];
    char digest[DIGEST_HEX_BYTES];
    const struct round_record *last = run_record_last_model(record);
    run_id_format(record->run_id, run_id);
    digest_hex(&record->job_id, digest);
    (void)fputs("<dl class=\"ids\">\n<dt>Started</dt><dd>", stream);
    put_time(stream, record->started_at);
    (void)fputs("</dd>\n<dt>Approved</dt><dd>", stream);
    put_time(stream, record->approved_at);
    (void)fputs("</dd>\n<dt>Ended</dt><dd>", stream);
    put_time(stream, record->ended_at);
    (void)fprintf(
        stream,
        "</dd>\n<dt>Run</dt><dd class=\"hex\">%s</dd>\n<dt>Job</dt><dd class=\"hex\">sha256:%s</dd>\n",
        run_id, digest);
    if (last != NULL) {
        digest_hex(&last->model_sha256, digest);
        (void)fprintf(stream, "<dt>Last model</dt><dd class=\"hex\">sha256:%s</dd>\n", digest);
    }
    if (record->averaged != NULL) {
        digest_hex(&record->averaged_sha256, digest);
        (void)fprintf(stream, "<dt>Result: mean of the last models</dt><dd class=\"hex\">sha256:%s</dd>\n",
                      digest);
    }
    (void)fputs("</dl>\n", stream);
}

static void put_mock_banner(FILE *stream)
{
    (void)fputs("<p class=\"mock\" role=\"note\">MOCK: every row of this run is synthetic. No site was asked "
                "to train, and no "
                "figure on this page says anything of private data.</p>\n",
                stream);
}

static const char *what_was_done(const struct run_record *record)
{
    bool done = run_record_last_model(record) != NULL;
    switch (record->job->model) {
    case JOB_SOFTMAX_REGRESSION:
        return done ? "trained one softmax regression" : "were asked to train one softmax regression";
    case JOB_FEATURE_STATISTICS:
        break;
    }
    return done ? "computed the statistics of their features"
                : "were asked for the statistics of their features";
}

void html_facts(FILE *stream, const struct run_record *record)
{
    const struct job *job = record->job;
    if (record->mock)
        put_mock_banner(stream);
    (void)fputs("<p class=\"eyebrow\">Federated learning · run report</p>\n<h1>", stream);
    html_escape(stream, job->name);
    (void)fprintf(stream, "</h1>\n<p class=\"lead\">%zu site%s %s together on the dataset <b>",
                  job->site_count, job->site_count == 1 ? "" : "s", what_was_done(record));
    html_escape(stream, job->dataset);
    (void)fputs(record->mock ? "</b>: in a trial on MOCK rows, here. "
                             : "</b>; the rows stayed where they are. ",
                stream);
    put_status(stream, record);
    (void)fputs("</p>\n", stream);
    put_ids(stream, record);
}

static void put_accuracy_figure(FILE *stream, const struct run_record *record, const uint64_t *counts,
                                uint32_t round, const char *of)
{
    double accuracy = confusion_accuracy(counts, record->classes);
    if (isnan(accuracy))
        return;
    (void)fprintf(stream, "<li><b>%.2f %%</b><span>accuracy of the shared model after round %u, on ",
                  100 * accuracy, (unsigned)round);
    html_count(stream, confusion_rows(counts, record->classes));
    (void)fprintf(stream, " %s</span></li>\n", of);
}

/* Under secure aggregation the accuracy of a model comes a round later, so that a run that was cut short has none of its
 * last one. */
static const struct round_record *last_measured(const struct run_record *record)
{
    for (size_t i = record->round_count; run_record_masked(record) && i > 0; i--)
        if (record->rounds[i - 1].pooled_confusion != NULL)
            return &record->rounds[i - 1];
    return run_record_last_model(record);
}

/* Exact, of the model that is the result: the mean of the last ones where there is one. */
static void put_private_exact(FILE *stream, const struct run_record *record, const struct round_record *last)
{
    double accuracy = confusion_accuracy(record->averaged_confusion, record->classes);
    if (record->averaged_confusion == NULL) {
        put_accuracy_figure(stream, record, last->global_confusion, last->round,
                            "test rows of the researcher; exact");
        return;
    }
    if (isnan(accuracy))
        return;
    (void)fprintf(
        stream,
        "<li><b>%.2f %%</b><span>accuracy of the result, the mean of the models of the last rounds, on ",
        100 * accuracy);
    html_count(stream, confusion_rows(record->averaged_confusion, record->classes));
    (void)fputs(" test rows of the researcher; exact</span></li>\n", stream);
}

/* Noised counts are of one round's model, the last that has any. */
static void put_private_estimate(FILE *stream, const struct run_record *record)
{
    double accuracy = NAN, deviation = NAN;
    for (size_t i = record->round_count; i > 0 && isnan(accuracy); i--) {
        const struct round_record *round = &record->rounds[i - 1];
        report_privacy_accuracy(record, round, &accuracy, &deviation);
        if (!isnan(accuracy))
            (void)fprintf(
                stream,
                "<li><b>%.1f ± %.1f %%</b><span>an estimate: accuracy of the model after round %u%s, from "
                "counts of the sites’ test rows that left with noise</span></li>\n",
                100 * accuracy, 100 * deviation, (unsigned)round->round,
                record->averaged == NULL ? "" : " (not of the mean)");
    }
}

/* What is exact is the headline. */
static void put_private_accuracies(FILE *stream, const struct run_record *record,
                                   const struct round_record *last)
{
    char epsilon[PRIVACY_BOUND_BYTES];
    privacy_bound(record->epsilon, PRIVACY_BOUND_DIGITS, epsilon);
    put_private_exact(stream, record, last);
    put_private_estimate(stream, record);
    (void)fprintf(stream, "<li><b>ε %s</b><span>by all of the job (pld), at δ %g, for %s</span></li>\n",
                  epsilon, record->job->privacy.delta, report_privacy_unit(record->job));
}

static void put_last_accuracies(FILE *stream, const struct run_record *record)
{
    const struct round_record *last = last_measured(record);
    if (last != NULL && report_private(record)) {
        put_private_accuracies(stream, record, last);
        return;
    }
    if (last == NULL || (isnan(confusion_accuracy(last->pooled_confusion, record->classes)) &&
                         isnan(confusion_accuracy(last->global_confusion, record->classes)))) {
        (void)fputs("<li><b>–</b><span>no accuracy of the shared model was released</span></li>\n", stream);
        return;
    }
    put_accuracy_figure(stream, record, last->pooled_confusion, last->round,
                        run_record_masked(record) ? "test rows of the sites in the sum"
                                                  : "test rows of all sites");
    put_accuracy_figure(stream, record, last->global_confusion, last->round, "test rows of the researcher");
}

void html_figures(FILE *stream, const struct run_record *record)
{
    const struct round_record *last = run_record_last_model(record);
    double seconds = 0;
    uint64_t rows = 0;
    for (size_t i = 0; i < record->round_count; i++)
        seconds += record->rounds[i].seconds;
    for (size_t i = 0; last != NULL && !report_private(record) && i < record->job->site_count; i++)
        rows += last->sites[i].has_examples ? last->sites[i].examples : 0;
    if (last != NULL && last->masking.has_examples)
        rows = last->masking.examples;
    (void)fputs("<ul>\n", stream);
    put_last_accuracies(stream, record);
    (void)fprintf(stream, "<li><b>%zu of %u</b><span>rounds, %.2f s in all</span></li>\n",
                  rounds_with_model(record), (unsigned)record->job->rounds, seconds);
    (void)fprintf(stream, "<li><b>%zu</b><span>%s; every round needs at least %u</span></li>\n",
                  record->job->site_count, record->job->site_count == 1 ? "site" : "sites",
                  (unsigned)record->job->min_sites);
    if (rows > 0) {
        (void)fputs("<li><b>", stream);
        html_count(stream, rows);
        (void)fprintf(stream, "</b><span>training rows took part in round %u</span></li>\n",
                      (unsigned)last->round);
    }
    (void)fputs("</ul>\n", stream);
}

void html_sites(FILE *stream, const struct run_record *record)
{
    (void)fputs("<ul class=\"sites\">\n", stream);
    for (size_t i = 0; i < record->job->site_count; i++) {
        const struct job_site *site = &record->job->sites[i];
        (void)fputs("<li><b>", stream);
        html_escape(stream, site->name);
        (void)fputs("</b><span class=\"hex\">", stream);
        html_escape(stream, site->fingerprint);
        (void)fputs("</span></li>\n", stream);
    }
    (void)fputs("</ul>\n<p class=\"note\">The fingerprint is the SHA-256 of a site’s public key. Answers "
                "under another key "
                "are not accepted.</p>\n",
                stream);
}

static void put_setting(FILE *stream, const char *name, const char *value)
{
    (void)fprintf(stream, "<dt>%s</dt><dd>", name);
    html_escape(stream, value);
    (void)fputs("</dd>\n", stream);
}

static void put_training(FILE *stream, const struct job *job)
{
    char text[160] = "";
    if (job->model == JOB_FEATURE_STATISTICS)
        return;
    switch (job->optimizer) {
    case JOB_LBFGS:
        (void)snprintf(text, sizeof text, "L-BFGS, up to %u iterations a round",
                       (unsigned)job->local_iterations);
        break;
    case JOB_SGD:
        if (job->privacy.mechanism == JOB_DP_SGD || job->privacy.mechanism == JOB_DISTRIBUTED_DP) {
            (void)snprintf(text, sizeof text,
                           "private SGD, %u steps a round, sampling rate %g, learning rate %g, momentum %g, "
                           "the last %g %% "
                           "averaged",
                           (unsigned)job->privacy.steps, job->privacy.sampling_rate, job->learning_rate,
                           job->momentum, 100 * job->average_tail);
            break;
        }
        (void)snprintf(
            text, sizeof text, "SGD, %u epochs a round, batches of %u, learning rate %g, momentum %g",
            (unsigned)job->local_epochs, (unsigned)job->batch_size, job->learning_rate, job->momentum);
        break;
    }
    put_setting(stream, "Local training", text);
}

static void put_secure(FILE *stream, const struct job *job)
{
    char text[200] = "none";
    const struct job_secure_aggregation *secure = &job->secure;
    if (secure->enabled && job_private(job))
        (void)snprintf(text, sizeof text, "%u of %zu sites have to sign, %u may collude; %u-bit words",
                       (unsigned)secure->threshold, job->site_count, (unsigned)secure->tolerate_colluding,
                       (unsigned)secure->ring);
    else if (secure->enabled)
        (void)snprintf(text, sizeof text,
                       "%u of %zu sites have to sign, %u may collude; %u-bit words, changes within ±%g",
                       (unsigned)secure->threshold, job->site_count, (unsigned)secure->tolerate_colluding,
                       (unsigned)secure->ring, secure->clip);
    put_setting(stream, "Secure aggregation", text);
}

static void put_model(FILE *stream, const struct run_record *record)
{
    char text[160];
    const struct job *job = record->job;
    (void)snprintf(text, sizeof text, "%s, l2 %g, starts from %s", job_model_word(job->model), job->l2,
                   job_init_word(job->init));
    put_setting(stream, "Model", text);
    if (record->features == 0)
        return;
    (void)snprintf(text, sizeof text, "%llu features, %u classes", (unsigned long long)record->model_features,
                   (unsigned)record->classes);
    put_setting(stream, "Shape", text);
    if (job->features == JOB_FEATURES_RAW)
        return;
    (void)snprintf(text, sizeof text, "%s, of the %llu of a row", job_features_word(job->features),
                   (unsigned long long)record->features);
    put_setting(stream, "Features", text);
}

void html_settings(FILE *stream, const struct run_record *record)
{
    char text[160];
    const struct job *job = record->job;
    (void)fputs("<dl class=\"list\">\n", stream);
    put_setting(stream, "Dataset", job->dataset);
    put_model(stream, record);
    put_training(stream, job);
    (void)snprintf(text, sizeof text, "%s, weighted %s", job_strategy_word(job->strategy),
                   job->weighting != JOB_WEIGHT_EXAMPLES ? "equally"
                   : report_private(record)              ? "by declared training rows"
                                                         : "by training rows");
    put_setting(stream, "Averaging", text);
    (void)snprintf(text, sizeof text, "at least %u of %zu, within %u s", (unsigned)job->min_sites,
                   job->site_count, (unsigned)job->round_deadline_s);
    put_setting(stream, "Sites a round", text);
    put_secure(stream, job);
    if (report_private(record)) {
        char plan[PRIVACY_PLAN_WORDS];
        privacy_plan_describe(job, plan);
        put_setting(stream, "Privacy", plan);
    }
    (void)snprintf(text, sizeof text, "%g of each site’s rows, always the same ones", job->test_fraction);
    put_setting(stream, "Test rows", text);
    put_setting(stream, "Metrics", job_metrics_word(job->metrics));
    put_setting(stream, "Global test",
                job->global_test == JOB_GLOBAL_TEST_NONE ? "none" : job->global_test_images);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)job->seed);
    put_setting(stream, "Seed", text);
    clock_format(job->expires, text);
    put_setting(stream, "Job expires", text);
    (void)fputs("</dl>\n", stream);
}

void html_job(FILE *stream, const struct run_record *record)
{
    char digest[DIGEST_HEX_BYTES];
    digest_hex(&record->job_id, digest);
    (void)fprintf(stream,
                  "<p>These exact bytes are what the sites’ owners were asked to approve; their SHA-256 is "
                  "the job id <span "
                  "class=\"hex\">%s</span>.</p>\n<details>\n<summary>Show the job file</summary>\n<pre>",
                  digest);
    html_escape_bytes(stream, (const char *)record->job_bytes, record->job_byte_count);
    (void)fputs("</pre>\n</details>\n", stream);
}
