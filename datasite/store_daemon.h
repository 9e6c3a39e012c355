/* The one row about the running daemon, for `datasite status`. The row may be stale after a crash; whether a
 * daemon runs is what the lock file says. */
#pragma once

#include "datasite/store.h"

struct daemon_record {
    int64_t pid, started_at, updated_at;
    char listen[262];
    uint32_t peers_up;
    bool busy; /* a step is in hand: */
    struct digest job_id;
    uint32_t round;
    double progress; /* 0 to 1 */
};

/* Writes the row anew. */
MUST_USE struct error *store_daemon_set(struct store *store, const struct daemon_record *record);
MUST_USE struct error *store_daemon_clear(struct store *store);
/* ERROR_NOT_FOUND when there is none. */
MUST_USE struct error *store_daemon_find(struct store *store, struct daemon_record *ret_record);

/* The digest of the latest event of POLICY_CHANGED; *ret_found is false before the first. */
MUST_USE struct error *store_policy_digest(struct store *store, struct digest *ret_digest, bool *ret_found);

/* One decision, or change of trust, as the event that recorded it. */
struct decision_event {
    int64_t id;
    enum event_kind kind; /* JOB_APPROVED, JOB_DENIED, JOB_REVOKED, PEER_ADDED, PEER_REMOVED */
    bool has_job;
    struct digest job_id;
    char detail[256];
};

/* The first such event after `after` (an id, 0 for the beginning); *ret_found is false when there is none. */
MUST_USE struct error *store_decision_next(struct store *store, int64_t after,
                                           struct decision_event *ret_event, bool *ret_found);
/* The id of the latest event of any kind, 0 when there is none. */
MUST_USE struct error *store_event_last(struct store *store, int64_t *ret_id);
