#include "datasite/secagg_roster.h"

#include "datasite/secagg_vector.h"

#include <inttypes.h>
#include <stdlib.h>

#define ROSTER_LEAST 3 /* of two known numbers and their sum one can be subtracted */
#define ROSTER_MISSING_BYTES 640

_Static_assert(POLICY_MAX_ORGANISATIONS <= 64, "a uint64_t holds a set of organisations");

void secagg_roster_clear(struct secagg_roster *roster)
{
    free(roster->sites);
    free(roster->organisations);
    *roster = (struct secagg_roster){.sites = NULL};
}

/* ---- sites ---- */

struct roster_entry {
    struct site_id site;
    const char *fingerprint;
    const struct policy_partner *partner; /* NULL: unknown, or this site */
};

static int roster_compare(const void *a, const void *b)
{
    const struct roster_entry *left = a;
    const struct roster_entry *right = b;
    return memcmp(left->site.digest.bytes, right->site.digest.bytes, DIGEST_BYTES);
}

static struct error *roster_entries(const struct policy_gate *gate, const struct job *job,
                                    struct roster_entry *entries)
{
    struct error *err = NULL;
    for (size_t i = 0; i < job->site_count; i++) {
        const char *fingerprint = job->sites[i].fingerprint;
        TRY(site_id_parse(fingerprint, &entries[i].site));
        entries[i].fingerprint = fingerprint;
        entries[i].partner = policy_gate_partner(gate, fingerprint);
    }
    qsort(entries, job->site_count, sizeof(*entries), roster_compare);
    for (size_t i = 1; i < job->site_count; i++) {
        if (site_id_equal(&entries[i - 1].site, &entries[i].site))
            FAIL(ERROR_REFUSED, "The job names the site %s twice.", entries[i].fingerprint);
    }
done:
    return err;
}

/* The position of this site. */
static struct error *roster_own(const struct roster_entry *entries, size_t count, const struct site_id *own,
                                uint32_t *ret_position)
{
    for (size_t i = 0; i < count; i++) {
        if (site_id_equal(&entries[i].site, own)) {
            *ret_position = (uint32_t)(i + 1);
            return NULL;
        }
    }
    return error_new(ERROR_REFUSED,
                     "This site is not among the sites of the job, so it takes no part in its secure "
                     "aggregation: the requester has to submit a job that lists it.");
}

/* A site that the owner does not know may be the requester's own: with enough of them the sum is this site's alone. */
static struct error *roster_strangers(const struct roster_entry *entries, size_t count, uint32_t own)
{
    char list[ROSTER_MISSING_BYTES] = "";
    size_t strangers = 0;
    size_t named = 0;
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        if (i + 1 == own || entries[i].partner != NULL)
            continue;
        strangers++;
        if (used + strlen(entries[i].fingerprint) + sizeof(", ") > sizeof(list))
            continue;
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", named == 0 ? "" : ", ",
                       entries[i].fingerprint);
        named++;
    }
    if (strangers == 0)
        return NULL;
    return error_new(ERROR_REFUSED,
                     "%zu of the job's %zu sites %s not among `partners` in this site's policy.yaml%s: %s. "
                     "Once their owners have confirmed the fingerprints, add for each: - {fingerprint: "
                     "\"sha256:...\", organisation: NAME} (`datasite trust partner` prints the line).",
                     strangers, count, strangers == 1 ? "is" : "are", named < strangers ? ", among them" : "",
                     list);
}

/* ---- organisations ---- */

static size_t roster_bits(uint64_t set)
{
    size_t count = 0;
    for (; set != 0; set &= set - 1)
        count++;
    return count;
}

static struct error *roster_check_organisations(const struct policy_gate *gate, uint64_t set,
                                                const char *where)
{
    size_t count = roster_bits(set);
    if (count < gate->secure.min_organisations)
        return error_new(ERROR_REFUSED,
                         "The sites %s belong to %zu organisation%s; this site's policy wants %" PRIu32
                         " (secure_aggregation.min_organisations).",
                         where, count, count == 1 ? "" : "s", gate->secure.min_organisations);
    return NULL;
}

/* Whoever runs several sites must be reckoned with as colluding. */
static struct error *roster_check_largest(const struct secagg_roster *roster, const struct job *job)
{
    uint32_t sites[POLICY_MAX_ORGANISATIONS] = {0};
    for (size_t i = 0; i < roster->count; i++) {
        uint16_t organisation = roster->organisations[i];
        if (organisation == POLICY_OWN_ORGANISATION ||
            ++sites[organisation] <= job->secure.tolerate_colluding)
            continue;
        return error_new(ERROR_REFUSED,
                         "One organisation runs more of the job's sites than the %" PRIu32
                         " that it lets collude: a job with a larger secure_aggregation.tolerate_colluding "
                         "would do.",
                         job->secure.tolerate_colluding);
    }
    return NULL;
}

/* ---- numbers ---- */

/* job_parse asks the last three too; what protects this site's rows does not rest on that. */
static struct error *roster_check_numbers(const struct policy_gate *gate, const struct job *job)
{
    const struct policy_secure_aggregation *least = &gate->secure;
    uint64_t threshold = job->secure.threshold;
    uint64_t colluding = job->secure.tolerate_colluding;
    if (threshold < least->min_threshold)
        return error_new(ERROR_REFUSED,
                         "The job's secure_aggregation.threshold is %" PRIu64
                         "; this site's policy wants %" PRIu32 " or more.",
                         threshold, least->min_threshold);
    if (colluding < least->min_colluding)
        return error_new(ERROR_REFUSED,
                         "The job's secure_aggregation.tolerate_colluding is %" PRIu64
                         "; this site's policy wants %" PRIu32 " or more.",
                         colluding, least->min_colluding);
    if (threshold < (job->site_count + colluding) / 2 + 1 || threshold > job->site_count)
        return error_new(ERROR_REFUSED,
                         "The job's secure_aggregation.threshold of %" PRIu64
                         " does not fit its %zu sites of whom %" PRIu64
                         " may collude: two sums over different sites would be possible, or none.",
                         threshold, job->site_count, colluding);
    if (threshold < colluding + 2 || threshold < ROSTER_LEAST)
        return error_new(ERROR_REFUSED,
                         "With a threshold of %" PRIu64 ", the %" PRIu64
                         " sites that may collude could tell this site's numbers from the sum: more sites "
                         "would do.",
                         threshold, colluding);
    return NULL;
}

/* Whoever can make the model stand still needs only to leave a site out of the next round: what the two sums differ by is then its
 * vector. A false sum does that, and so does a colluder whose claimed rows outweigh those of all others. */
static struct error *roster_check_weights(const struct policy_gate *gate, const struct job *job)
{
    uint64_t most = gate->secure.max_examples;
    if (most == 0 || job_private(job) || job->weighting != JOB_WEIGHT_EXAMPLES ||
        job->secure.max_examples <= most)
        return NULL;
    return error_new(ERROR_REFUSED,
                     "The job weights sites by their rows, up to %" PRIu64
                     " of one (secure_aggregation.max_examples); this site's policy wants at most %" PRIu64
                     ", since a site that claims so many outweighs the others: fewer would do, or "
                     "`weighting: equal`.",
                     job->secure.max_examples, most);
}

static struct error *roster_check_verified(const struct policy_gate *gate, const struct job *job,
                                           const struct dataset_info *dataset)
{
    struct error *err = NULL;
    struct secagg_vector vector;
    bool verified = job->secure.verify_sum != JOB_VERIFY_SUM_NO;
    if (!gate->secure.require_verify_sum)
        goto done;
    if (dataset != NULL) {
        TRY(secagg_vector_plan(job, dataset, 1, &vector));
        verified = job_verifies_sum(job, vector.words);
    }
    if (!verified)
        FAIL(ERROR_REFUSED, "In this job no site checks the sum, which the orchestrator could then make up; "
                            "this site's policy wants it checked (secure_aggregation.require_verify_sum): a "
                            "job with `verify_sum: true` would do.");
done:
    return err;
}

/* ---- together ---- */

static struct error *roster_fill(const struct roster_entry *entries, size_t count, uint32_t own,
                                 struct secagg_roster *roster)
{
    roster->sites = calloc(count, sizeof(*roster->sites));
    roster->organisations = calloc(count, sizeof(*roster->organisations));
    if (roster->sites == NULL || roster->organisations == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the roster.");
    for (size_t i = 0; i < count; i++) {
        roster->sites[i] = entries[i].site;
        roster->organisations[i] = i + 1 == own ? POLICY_OWN_ORGANISATION : entries[i].partner->organisation;
    }
    roster->count = count;
    roster->own = own;
    return NULL;
}

static uint64_t roster_organisation_set(const struct secagg_roster *roster)
{
    uint64_t set = 0;
    for (size_t i = 0; i < roster->count; i++)
        set |= UINT64_C(1) << roster->organisations[i];
    return set;
}

struct error *secagg_roster_admit(const struct policy_gate *gate, const struct job *job,
                                  const struct dataset_info *dataset, const struct site_id *own,
                                  struct secagg_roster *ret_roster)
{
    struct error *err = NULL;
    struct secagg_roster roster = {.sites = NULL};
    struct roster_entry *entries = NULL;
    uint32_t position = 0;
    if (!job->secure.enabled)
        FAIL(ERROR_REFUSED, "The job has no secure aggregation.");
    entries = calloc(job->site_count == 0 ? 1 : job->site_count, sizeof(*entries));
    if (entries == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the roster.");
    TRY(roster_entries(gate, job, entries));
    TRY(roster_own(entries, job->site_count, own, &position));
    TRY(roster_strangers(entries, job->site_count, position));
    TRY(roster_check_numbers(gate, job));
    TRY(roster_check_weights(gate, job));
    TRY(roster_check_verified(gate, job, dataset));
    TRY(roster_fill(entries, job->site_count, position, &roster));
    TRY(roster_check_largest(&roster, job));
    TRY(roster_check_organisations(gate, roster_organisation_set(&roster), "of the job"));
    *ret_roster = roster;
    roster = (struct secagg_roster){.sites = NULL};
done:
    secagg_roster_clear(&roster);
    free(entries);
    return err;
}

struct error *secagg_roster_organisations(const struct policy_gate *gate, const struct secagg_roster *roster,
                                          struct secagg_set contributors)
{
    uint64_t set = 0;
    for (size_t i = 0; i < contributors.count; i++) {
        uint32_t position = contributors.positions[i];
        if (position < 1 || position > roster->count)
            return error_new(ERROR_INVALID, "The list of contributors names a site outside the roster.");
        set |= UINT64_C(1) << roster->organisations[position - 1];
    }
    return roster_check_organisations(gate, set, "that contributed");
}

void secagg_roster_run(const struct secagg_roster *roster, const struct job *job,
                       const struct digest *job_hash, const uint8_t run_id[static SECAGG_RUN_ID_BYTES],
                       struct secagg_run *ret_run)
{
    *ret_run = secagg_run_make(job, job_hash, run_id, roster->sites, roster->count);
}

size_t secagg_roster_least(const struct job *job)
{
    size_t least = ROSTER_LEAST;
    if (job->secure.threshold > least)
        least = job->secure.threshold;
    return job->min_sites > least ? job->min_sites : least;
}
