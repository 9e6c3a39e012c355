#include "datasite/admission.h"

#include "datasite/approval_terms.h"
#include "datasite/budget.h"
#include "datasite/privacy_terms.h"
#include "schemas/clock.h"

#include <inttypes.h>
#include <math.h>

#define ADMISSION_DAY ((int64_t)86400)
#define ADMISSION_SINCE(now) ((now)-POLICY_JOBS_DAYS * ADMISSION_DAY)

struct error *admission_facts(struct store *store, const struct policy *policy, const struct job *job,
                              const struct site_id *requester, const char *fingerprint, uint32_t extra,
                              int64_t now, struct policy_facts *ret_facts)
{
    struct error *err = NULL;
    struct policy_facts facts = {.requester = fingerprint, .epsilon = INFINITY};
    if (policy_wants_epsilon(policy))
        TRY(privacy_terms_epsilon(store, job, job->rounds, &facts.epsilon));
    TRY(store_jobs_since(store, requester, now - ADMISSION_DAY + 1, &facts.requests_today));
    facts.requests_today += extra;
    clock_local(now, &facts.weekday, &facts.minute);
    *ret_facts = facts;
done:
    return err;
}

void admission_by(const struct policy_rule *rule, char ret_by[static ADMISSION_BY_BYTES])
{
    (void)snprintf(ret_by, ADMISSION_BY_BYTES, "policy:%s", rule == NULL ? "default" : rule->name);
}

/* Whether a job that was withheld is about this dataset; of bytes that no longer parse that is assumed. */
static bool admission_same_dataset(const struct job_record *record, const struct job *job)
{
    struct job *withheld = NULL;
    struct error *err =
        job_parse((const char *)record->bytes, record->byte_count, "the stored job", &withheld);
    bool same = err != NULL || strcmp(withheld->dataset, job->dataset) == 0;
    error_free(err);
    job_free(withheld);
    return same;
}

static struct error *admission_look_withheld(struct store *store, const struct job *job,
                                             const struct site_id *requester, int64_t now,
                                             struct admission *admission)
{
    struct error *err = NULL;
    struct job_record *records = NULL;
    char hex[DIGEST_HEX_BYTES];
    size_t count = 0;
    TRY(store_jobs_withheld(store, requester, ADMISSION_SINCE(now), &records, &count));
    for (size_t i = 0; i < count && admission->obstacle == ADMISSION_NONE; i++) {
        if (!admission_same_dataset(&records[i], job))
            continue;
        admission->obstacle = ADMISSION_WITHHELD;
        admission->withheld_job = records[i].id;
        digest_hex(&records[i].id, hex);
        (void)snprintf(
            admission->sentence, sizeof(admission->sentence),
            "The owner denied or revoked job %.12s of this requester on the same dataset in the last "
            "%d days.",
            hex, POLICY_JOBS_DAYS);
    }
done:
    job_records_free(records, count);
    return err;
}

struct error *admission_look(struct store *store, const struct policy_rule *rule, const struct job *job,
                             const struct site_id *requester, int64_t now, struct admission *admission)
{
    struct error *err = NULL;
    char by[ADMISSION_BY_BYTES];
    bool removed = true;
    admission_by(rule, by);
    admission->obstacle = ADMISSION_NONE;
    admission->sentence[0] = '\0';
    TRY(store_approvals_by(store, requester, by, ADMISSION_SINCE(now), &admission->approved));
    TRY(store_peer_is_removed(store, requester, &removed));
    if (removed) {
        admission->obstacle = ADMISSION_REMOVED;
        (void)snprintf(admission->sentence, sizeof(admission->sentence),
                       "The owner removed this requester from the list of trusted peers.");
    } else if (admission->approved >= rule->max_jobs) {
        admission->obstacle = ADMISSION_EXHAUSTED;
        (void)snprintf(admission->sentence, sizeof(admission->sentence),
                       "The rule approved %" PRIu32 " of at most %" PRIu32
                       " jobs of this requester in the last %d days.",
                       admission->approved, rule->max_jobs, POLICY_JOBS_DAYS);
    } else {
        TRY(admission_look_withheld(store, job, requester, now, admission));
    }
done:
    return err;
}

void admission_look_terms(struct store *store, const struct policy_gate *gate, const struct policy_rule *rule,
                          const struct job *job, const struct dataset_info *dataset,
                          const struct site_id *own, int64_t now, struct admission *admission)
{
    struct approval_limits limits = approval_terms_of_rule(rule, job, now);
    struct error *err = NULL;
    if (admission->obstacle == ADMISSION_NONE)
        err = approval_terms_check(store, gate, job, dataset, own, &limits);
    if (err == NULL)
        return;
    admission->obstacle = ADMISSION_TERMS;
    (void)snprintf(admission->sentence, sizeof(admission->sentence), "%s", err->sentence);
    error_free(err);
}

/* What the job lacks, and not what this site does. */
static bool admission_is_of_job(enum error_code code)
{
    return code == ERROR_REFUSED || code == ERROR_INVALID || code == ERROR_UNSUPPORTED ||
           code == ERROR_LIMIT || code == ERROR_EXPIRED || code == ERROR_NOT_FOUND;
}

struct error *admission_look_record(struct store *store, const struct policy_rule *rule,
                                    const struct job_record *record, const struct job *job, int64_t now,
                                    struct admission *admission)
{
    struct approval_limits limits = approval_terms_of_rule(rule, job, now);
    struct decision decision;
    struct error *err = NULL;
    if (admission->obstacle != ADMISSION_NONE)
        return NULL;
    err = approval_prepare(store, record, &limits, now, &decision);
    if (err == NULL || !admission_is_of_job(err->code))
        return err;
    admission->obstacle = ADMISSION_TERMS;
    (void)snprintf(admission->sentence, sizeof(admission->sentence), "%s", err->sentence);
    error_free(err);
    return NULL;
}

struct error *admission_look_budget(struct store *store, const struct identity *identity,
                                    const struct job *job, const struct dataset_info *dataset,
                                    struct admission *admission)
{
    struct error *err = NULL;
    struct budget_offer offer;
    if (admission->obstacle != ADMISSION_NONE)
        goto done;
    TRY(budget_offer(store, identity, job, dataset, BUDGET_SEARCH_QUICK, &offer));
    if (offer.fits)
        goto done;
    admission->obstacle = ADMISSION_TERMS;
    (void)snprintf(admission->sentence, sizeof(admission->sentence), "%s", offer.sentence);
done:
    return err;
}
