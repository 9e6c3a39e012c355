/* What peers may ask of a datasite, and what they get. The transport has verified signature and sender; here
 * it is decided whether the sender may, and nothing is computed: steps go to the executor, whose reports
 * become replies.
 *
 *     type       who may ask            answered with
 *     Submit     listed peers, lobby    JobStatus; stores the job, then the policy or the owner decides
 *     JobQuery   listed peers, lobby    JobStatus; another's job is as unknown as one that is not here
 *     CatalogQuery, MockQuery
 *                listed peers, lobby    Catalog, Mock: of datasets that the policy lets them know of, see
 *                                       request_catalog.h
 *     Train      listed peers           later: Released (the owner's approval is verified each time)
 *     Evaluate   listed peers           later: Released
 *     Advertise, Share, Agree, Unmask
 *                listed peers           Advert, Shares, Agreement, Unmasking: of a job with secure aggregation
 *                                       (request_secagg.h), at once; asked again, the same bytes again
 *     Mask       listed peers           later: Released, with a vector under masks; for jobs with secure aggregation,
 *                                       which no Train or Evaluate is answered for
 *     Sum        listed peers           later: JobStatus; for a site that missed the sum of a round
 *     EndRun     listed peers           JobStatus; abandons the run's step in hand
 *
 * Whatever fails becomes a Refusal with a sentence for the orchestrator. Failures of the site itself (its
 * database, its memory) are told in general words; the log has the detail. Used by one thread. */
#pragma once

#include "crypto/identity.h"
#include "datasite/accountant.h"
#include "datasite/executor.h"
#include "datasite/log.h"
#include "datasite/secagg_cache.h"
#include "schemas/policy.h"

/* All borrowed. */
struct requests {
    struct store *store;
    const struct identity *identity;
    const struct policy *policy;
    struct executor *executor;
    const struct log *log;
    struct log_repeats *repeats; /* keeps refusals from filling the log; NULL: all are written */
    int64_t (*clock)(void);      /* Unix milliseconds */
    struct rate *rate;           /* keeps peers to limits.requests_per_minute; NULL: no bound */
    struct secagg_cache *secagg; /* of this thread */
    struct accountant
        *accountant; /* asked where privacy is to be accounted; NULL: this thread does it itself */
};

struct request {
    struct site_id peer;
    const char *peer_name;
    bool listed; /* false: known only through a CA (lobby) */
    uint32_t type;
    uint64_t number; /* comes back in the executor's report */
    const uint8_t *body;
    size_t body_bytes;
    bool accounted; /* was put aside for the accountant, who has done what it can */
};

struct reply {
    bool later;    /* the executor's report will bring it, or requests_accounted */
    uint32_t type; /* 0: not even a refusal could be made; nothing can be answered */
    uint8_t *body; /* owned; requests_reply_clear */
    size_t body_bytes;
};

/* Decides, does, and answers; logs what happened. */
void requests_answer(const struct requests *requests, const struct request *request, struct reply *ret_reply);

/* The next request that was put aside until its job's privacy was accounted (accountant.h): it is to be answered as if it had just
 * come in, with `accounted`. The caller frees ret_request->body. */
MUST_USE bool requests_accounted(const struct requests *requests, struct parked_request *ret_request);

/* The reply that a DONE report stands for; takes its body over. */
void requests_finish(const struct requests *requests, struct executor_report *report,
                     struct reply *ret_reply);

/* Abandons steps whose approval does not hold any more or whose requester is not listed any more. `listed`
 * says whether a peer is. To be called whenever the store has changed. */
void requests_recheck(const struct requests *requests,
                      bool (*listed)(void *context, const struct site_id *peer), void *context);

void requests_reply_clear(struct reply *reply);
