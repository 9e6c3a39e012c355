#include "datasite/statistics_source.h"

/* The job of that id, from the very bytes that were submitted. */
static struct error *source_job(struct store *store, const struct digest *id, struct job **ret_job)
{
    struct error *err = NULL;
    struct job_record record = {0};
    struct digest digest;
    err = store_job_find(store, id, &record);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        FAIL(ERROR_REFUSED, "features.released_by names a job that this site does not have.");
    }
    if (err != NULL)
        goto done;
    TRY(digest_of(record.bytes, record.byte_count, &digest));
    if (!digest_equal(&digest, id))
        FAIL(ERROR_UNTRUSTED,
             "The bytes of the job in features.released_by are not those that were submitted.");
    TRY(job_parse((const char *)record.bytes, record.byte_count, "the stored job", ret_job));
done:
    job_record_clear(&record);
    return err;
}

/* It said so, and something of it left. */
static struct error *source_released(struct store *store, const struct digest *id, const struct job *source)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    err =
        store_last_released(store, id, source->secure.enabled ? ANSWER_MASKED_INPUT : ANSWER_UPDATE, &answer);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        FAIL(ERROR_REFUSED, "Nothing of the job in features.released_by was released by this site.");
    }
done:
    answer_clear(&answer);
    return err;
}

struct error *statistics_source_check(struct store *store, const struct job *job)
{
    struct error *err = NULL;
    struct job *source = NULL;
    struct site_id named;
    if (job->features != JOB_FEATURES_STANDARDIZE || !job_private(job))
        goto done;
    TRY(site_id_parse(job->features_released_by, &named));
    TRY(source_job(store, &named.digest, &source));
    if (source->model != JOB_FEATURE_STATISTICS || !job_private(source))
        FAIL(ERROR_REFUSED,
             "The job in features.released_by is none of model.kind: feature-statistics with a mechanism of "
             "privacy: a private job uses no statistics that were not released under the budget.");
    if (strcmp(source->dataset, job->dataset) != 0)
        FAIL(ERROR_REFUSED, "The job in features.released_by is about another dataset of this site.");
    TRY(source_released(store, &named.digest, source));
done:
    job_free(source);
    return err;
}
