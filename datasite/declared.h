/* The number of rows that a private job knows of this site: the constant that its entry in `sites` declares. Checks, weights
 * and divisors use it alone, so that nothing outside depends on how many rows there are. Pure. */
#pragma once

#include "crypto/identity.h"
#include "schemas/job.h"
#include "schemas/policy.h"

/* This site's entry. ERROR_REFUSED when the job names other sites. */
MUST_USE struct error *declared_site(const struct job *job, const struct site_id *own, size_t *ret_site);

/* Training rows, as declared; and the test rows that go with them at the job's test_fraction, rounded down. */
uint64_t declared_training_rows(const struct job *job, size_t site);
uint64_t declared_test_rows(const struct job *job, size_t site);

/* What the owner wants behind a release (min_rows), of the declared numbers. ERROR_REFUSED. */
MUST_USE struct error *declared_check_training(const struct policy_output *output, const struct job *job,
                                               size_t site);
MUST_USE struct error *declared_check_test(const struct policy_output *output, const struct job *job,
                                           size_t site);
