#include "schemas/job_parts.h"
#include "schemas/number.h"

#define JOB_SECURE_RANGE_BYTES 64

static struct error *job_secure_read_ring(const struct document_value *value, void *ret_field)
{
    const char *text = document_scalar(value, true);
    uint32_t ring = 64;
    if (text != NULL && strcmp(text, "32") == 0)
        ring = 32;
    else if (text == NULL || strcmp(text, "64") != 0)
        return document_error(value, ERROR_INVALID, "must be 64 or 32, the bits of a word.");
    memcpy(ret_field, &ring, sizeof(ring));
    return NULL;
}

static struct error *job_secure_read_verify(const struct document_value *value, void *ret_field)
{
    struct error *err = NULL;
    bool yes = false;
    TRY(document_boolean(value, &yes));
    enum job_verify_sum verify = yes ? JOB_VERIFY_SUM_YES : JOB_VERIFY_SUM_NO;
    memcpy(ret_field, &verify, sizeof(verify));
done:
    return err;
}

/* A whole number that job_secure_settle_threshold judges, where the number of sites is known; one beyond 32 bits, which no
 * number of sites is, becomes the largest. */
static struct error *job_secure_read_sites(const struct document_value *value, unsigned first, unsigned last,
                                           void *ret_field)
{
    uint64_t number = 0;
    const char *text = document_scalar(value, true);
    if (text == NULL || !number_count(text, &number))
        return document_error(value, ERROR_INVALID, "must be a whole number from %u to %u.", first, last);
    uint32_t field = number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    memcpy(ret_field, &field, sizeof(field));
    return NULL;
}

static struct error *job_secure_read_colluding(const struct document_value *value, void *ret_field)
{
    return job_secure_read_sites(value, 1, JOB_MAX_SITES - 2, ret_field);
}

static struct error *job_secure_read_threshold(const struct document_value *value, void *ret_field)
{
    return job_secure_read_sites(value, 3, JOB_MAX_SITES, ret_field);
}

const struct document_key job_secure_keys[] = {
    {.key = "enabled", .type = DOCUMENT_BOOLEAN, DOCUMENT_INTO(struct job, secure.enabled)},
    {.key = "tolerate_colluding",
     .type = DOCUMENT_READER,
     .read = job_secure_read_colluding,
     DOCUMENT_INTO(struct job, secure.tolerate_colluding)},
    {.key = "threshold",
     .type = DOCUMENT_READER,
     .read = job_secure_read_threshold,
     DOCUMENT_INTO(struct job, secure.threshold)},
    {.key = "ring",
     .type = DOCUMENT_READER,
     .read = job_secure_read_ring,
     DOCUMENT_INTO(struct job, secure.ring)},
    {.key = "clip",
     .type = DOCUMENT_REAL,
     .least = 0,
     .least_open = true,
     .most = 1e6,
     DOCUMENT_INTO(struct job, secure.clip)},
    {.key = "max_examples",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = UINT64_C(1) << 40,
     DOCUMENT_INTO(struct job, secure.max_examples)},
    {.key = "key_batch",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 64,
     DOCUMENT_INTO(struct job, secure.key_batch)},
    {.key = "verify_sum",
     .type = DOCUMENT_READER,
     .read = job_secure_read_verify,
     DOCUMENT_INTO(struct job, secure.verify_sum)},
    {0},
};

void job_secure_defaults(struct job *job)
{
    job->secure = (struct job_secure_aggregation){
        .tolerate_colluding = 1,
        .ring = 64,
        .clip = 32,
        .max_examples = 1000000,
        .key_batch = 8,
        .verify_sum = JOB_VERIFY_SUM_AUTO,
    };
}

/* Without `enabled: true`, a key here would let its writer believe that something is protected. */
static struct error *job_secure_check_disabled(const struct document_value *root, const struct job *job)
{
    struct document_value section, value, key;
    if (document_find(root, "secure_aggregation", &section)) {
        for (size_t i = 0; i < document_pairs(&section); i++) {
            if (strcmp(document_pair(&section, i, &key, &value), "enabled") != 0)
                return document_error(
                    &key, ERROR_INVALID,
                    "belongs to secure aggregation, which this job does not have; remove the "
                    "key, or add enabled: true.");
        }
    }
    if (job->metrics == JOB_METRICS_POOLED) {
        (void)document_find(root, "evaluation.metrics", &value);
        return document_error(&value, ERROR_INVALID,
                              "can be pooled only with secure_aggregation: {enabled: true}; without it, "
                              "per-site or none would do.");
    }
    return NULL;
}

/* The sum less one's own input must be that of two or more others. */
static struct error *job_secure_check_sites(const struct document_value *root, const struct job *job)
{
    struct document_value value;
    (void)document_find(root, "secure_aggregation.enabled", &value);
    if (job->site_count == 1)
        return document_error(&value, ERROR_INVALID,
                              "cannot be true with one site: the sum would be that site's update. At least "
                              "three sites are needed.");
    if (job->site_count == 2)
        return document_error(&value, ERROR_INVALID,
                              "cannot be true with two sites: each would learn the other's update by "
                              "subtracting its own from the sum. With three sites or more it can; with two, "
                              "privacy: {mechanism: dp-sgd} without secure aggregation protects the records "
                              "of each by its own noise.");
    return NULL;
}

/* "4", or "a whole number from 3 to 4". */
static void job_secure_range(uint32_t first, uint32_t last, char ret_range[static JOB_SECURE_RANGE_BYTES])
{
    if (first == last)
        (void)snprintf(ret_range, JOB_SECURE_RANGE_BYTES, "%u", first);
    else
        (void)snprintf(ret_range, JOB_SECURE_RANGE_BYTES, "a whole number from %u to %u", first, last);
}

static struct error *job_secure_settle_threshold(const struct document_value *root, struct job *job)
{
    struct document_value value;
    struct job_secure_aggregation *secure = &job->secure;
    uint32_t sites = (uint32_t)job->site_count;
    char range[JOB_SECURE_RANGE_BYTES];
    if (secure->tolerate_colluding < 1 || secure->tolerate_colluding > sites - 2) {
        (void)document_find(root, "secure_aggregation.tolerate_colluding", &value);
        job_secure_range(1, sites - 2, range);
        return document_error(&value, ERROR_INVALID,
                              "must be %s, the number of sites less two: at least two honest sites must "
                              "stand behind every sum.",
                              range);
    }
    uint32_t least = (sites + secure->tolerate_colluding) / 2 + 1;
    if (!document_find(root, "secure_aggregation.threshold", &value))
        secure->threshold = least;
    else if (secure->threshold < least || secure->threshold > sites) {
        job_secure_range(least, sites, range);
        return document_error(&value, ERROR_INVALID, "must be %s with %u sites of which %u may collude.",
                              range, sites, secure->tolerate_colluding);
    }
    return NULL;
}

static struct error *job_secure_settle_metrics(const struct document_value *root, struct job *job)
{
    struct document_value value;
    if (!document_find(root, "evaluation.metrics", &value))
        job->metrics = JOB_METRICS_POOLED;
    else if (job->metrics == JOB_METRICS_PER_SITE)
        return document_error(&value, ERROR_INVALID,
                              "cannot be per-site with secure aggregation, which lets sums alone be seen; "
                              "pooled or none would do.");
    return NULL;
}

static struct error *job_secure_check_federation(const struct document_value *root, const struct job *job)
{
    struct document_value value;
    if (job->rounds > JOB_SECURE_MAX_ROUNDS) {
        (void)document_find(root, "federation.rounds", &value);
        return document_error(&value, ERROR_INVALID,
                              "must be a whole number from 1 to %d with secure aggregation.",
                              JOB_SECURE_MAX_ROUNDS);
    }
    if (document_find(root, "federation.min_sites", &value) && job->min_sites < job->secure.threshold)
        return document_error(&value, ERROR_INVALID,
                              "must be at least %u, the threshold of secure aggregation: with fewer sites no "
                              "sum is ever opened.",
                              job->secure.threshold);
    return NULL;
}

/* Sums of integers must not wrap around (crypto/fixed_point.h). For changes there is always room: 1000 sites times the
 * largest clip, 1e6, stay below 2^31. */
static struct error *job_secure_check_room(const struct document_value *root, const struct job *job)
{
    struct document_value value;
    const struct job_secure_aggregation *secure = &job->secure;
    uint64_t room = (UINT64_C(1) << (secure->ring - 1)) - 1;
    uint64_t sites = job->site_count;
    if (secure->max_examples > room / sites) {
        (void)document_find(root, "secure_aggregation.max_examples", &value);
        return document_error(&value, ERROR_INVALID,
                              "must be at most %llu: the examples of %llu sites must add up in a word of %u "
                              "bits; ring: 64 has room for more.",
                              (unsigned long long)(room / sites), (unsigned long long)sites, secure->ring);
    }
    return NULL;
}

struct error *job_secure_settle(const struct document_value *root, struct job *job)
{
    struct error *err = NULL;
    if (!job->secure.enabled)
        return job_secure_check_disabled(root, job);
    TRY(job_secure_check_sites(root, job));
    TRY(job_secure_settle_threshold(root, job));
    TRY(job_secure_settle_metrics(root, job));
    TRY(job_secure_check_federation(root, job));
    TRY(job_secure_check_room(root, job));
done:
    return err;
}

bool job_verifies_sum(const struct job *job, size_t words)
{
    switch (job->secure.verify_sum) {
    case JOB_VERIFY_SUM_YES:
        return true;
    case JOB_VERIFY_SUM_NO:
        return false;
    case JOB_VERIFY_SUM_AUTO:
        break;
    }
    return words <= JOB_VERIFY_SUM_BYTES / 8 / job->site_count;
}
