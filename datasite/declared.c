#include "datasite/declared.h"

#include <inttypes.h>

struct error *declared_site(const struct job *job, const struct site_id *own, size_t *ret_site)
{
    char fingerprint[FINGERPRINT_BYTES];
    site_id_format(own, fingerprint);
    for (size_t i = 0; i < job->site_count; i++) {
        if (strcmp(job->sites[i].fingerprint, fingerprint) == 0) {
            *ret_site = i;
            return NULL;
        }
    }
    return error_new(ERROR_REFUSED,
                     "The job names other sites: none of its `sites` has this site's fingerprint, %s.",
                     fingerprint);
}

uint64_t declared_training_rows(const struct job *job, size_t site)
{
    return job->sites[site].examples;
}

uint64_t declared_test_rows(const struct job *job, size_t site)
{
    double fraction = job->test_fraction;
    return (uint64_t)((double)job->sites[site].examples * fraction / (1.0 - fraction));
}

static struct error *declared_check(const struct policy_output *output, uint64_t rows, const char *what)
{
    if (rows < output->min_rows)
        return error_new(ERROR_REFUSED,
                         "The job declares fewer than the %" PRIu64
                         " %s rows of this site that its policy wants behind a release.",
                         output->min_rows, what);
    return NULL;
}

struct error *declared_check_training(const struct policy_output *output, const struct job *job, size_t site)
{
    return declared_check(output, declared_training_rows(job, site), "training");
}

struct error *declared_check_test(const struct policy_output *output, const struct job *job, size_t site)
{
    return declared_check(output, declared_test_rows(job, site), "test");
}
