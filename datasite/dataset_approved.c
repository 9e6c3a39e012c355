#include "datasite/dataset_approved.h"

static bool dataset_grew_only(const struct dataset *dataset, const struct decision *decision)
{
    return dataset->early_rows == decision->dataset_rows &&
           digest_equal(&dataset->early_digest, &decision->dataset_digest);
}

bool dataset_serves(const struct dataset *dataset, const struct approval *approval)
{
    return dataset != NULL && digest_equal(&dataset->info.digest, &approval->dataset.digest) &&
           (!approval->grown || dataset_grew_only(dataset, &approval->decision));
}

struct error *dataset_load_approved(struct store *store, const struct approval *approval,
                                    struct dataset **ret_dataset)
{
    struct error *err = NULL;
    struct dataset *dataset = NULL;
    const struct decision *decision = &approval->decision;
    if (approval->grown)
        TRY(dataset_load_grown(store, approval->dataset.name, decision->dataset_rows, &dataset));
    else
        TRY(dataset_load(store, approval->dataset.name, &dataset));
    if (!digest_equal(&dataset->info.digest, &approval->dataset.digest))
        FAIL(ERROR_REFUSED, "The dataset was exchanged since the owner approved the job.");
    if (approval->grown && !dataset_grew_only(dataset, decision))
        FAIL(ERROR_REFUSED,
             "The dataset has not only grown since the owner approved the job: rows of then have "
             "changed, or its features or classes.");
    *ret_dataset = dataset;
    dataset = NULL;
done:
    dataset_free(dataset);
    return err;
}
