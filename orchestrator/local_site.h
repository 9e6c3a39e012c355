/* A site's part of a run on mock data, here: trains and measures as a datasite does (learning/local_training.h), on
 * synthetic rows that a site made for that. Nothing is asked of the site, and nothing that comes out says anything of
 * its private rows.
 *
 * Test rows are drawn by evaluation.test_fraction from the job's seed and the site's place in the job, so that the same
 * job and the same rows give the same result. */
#pragma once

#include "learning/softmax.h"
#include "learning/training.h"
#include "orchestrator/mock_data.h"
#include "schemas/job.h"

struct local_site;

/* Takes the rows over (also when it fails), and maps them as the job's features say; images of 0 by 0 are numbers. `job` is
 * borrowed until local_site_free. ERROR_INVALID when there are too few rows for training and test rows, or the job's features
 * do not fit them. */
MUST_USE struct error *local_site_open(struct mock_data *mock, const struct job *job, uint32_t position,
                                       uint32_t image_rows, uint32_t image_columns,
                                       struct local_site **ret_site);
void local_site_free(struct local_site *site); /* accepts NULL */

uint64_t local_site_features(const struct local_site *site); /* of a row, as the site has it */
void local_site_image(const struct local_site *site, uint32_t *ret_rows, uint32_t *ret_columns);
uint32_t local_site_classes(const struct local_site *site);
uint64_t local_site_train_rows(const struct local_site *site);
/* Its training rows, or its test rows, as the model sees them; borrowed. */
struct softmax_problem local_site_problem(const struct local_site *site, bool test);

/* The round's local training from `model` [(features + 1) * classes] to ret_parameters, of the same size. */
MUST_USE struct error *local_site_train(const struct local_site *site, uint32_t round, const double *model,
                                        const struct training_progress *progress, double *ret_parameters,
                                        struct training_result *ret_result);
/* Counts [classes][classes] of a model on the site's training rows, or on its test rows. */
MUST_USE struct error *local_site_count(const struct local_site *site, bool test, const double *model,
                                        uint64_t *ret_counts);
