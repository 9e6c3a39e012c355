/* The state of the daemon, shared by serve*.c; all of it belongs to the socket thread. */
#pragma once

#include "datasite/home.h"
#include "datasite/log_repeats.h"
#include "datasite/rate.h"
#include "datasite/requests.h"
#include "datasite/serve.h"
#include "datasite/store_daemon.h"
#include "transport/session.h"

/* Before the sentence that says why policy.yaml cannot be read. */
#define SERVE_POLICY_UNREAD "The policy that was read before stays in force"

/* How often site.db is looked at, so that what an owner decides in another process is seen within 200 ms. */
#define SERVE_LOOK_MS 100

/* Who may do more than submit: trusted peers and whom we dial, whose keys are pinned, and members of a
 * consortium who had a job approved, while its authority vouches for them. Both sorted. */
struct serve_peers {
    struct site_id *listed, *members;
    size_t listed_count, member_count;
};

/* What tells a file that was written from one that was not; all zero where there is none. */
struct policy_stamp {
    uint64_t device, inode, bytes;
    int64_t modified_ns, changed_ns;
};

struct serve {
    struct log log;
    struct log_repeats repeats;
    struct rate rate;
    int lock_fd;
    struct home *home;
    struct identity *identity;    /* as at the start: signs and verifies */
    struct identity *certificate; /* the same key with the certificate last loaded: for the session */
    struct store *store;
    struct vault *vault; /* the key of encrypted rows; NULL where they are in clear */
    struct policy *policy;
    struct policy_stamp policy_read;  /* policy.yaml as it was read last, whether it could be or not */
    struct policy_stamp policy_found; /* as it was seen last */
    struct executor *executor;
    struct session *session;
    struct serve_peers peers;
    bool trust_changed; /* the session does not have `peers` yet */
    uint64_t store_version;
    int64_t event_seen; /* decisions up to this event are in the log */
    struct secagg_cache *secagg;
    struct accountant *accountant;
    struct requests requests; /* borrows the above */
    uint32_t peers_up;
    struct daemon_record noted; /* the row as last written */
    /* Monotonic milliseconds of what is due next: */
    int64_t version_due, second_due, agreed_due, certificate_due, trust_due, policy_due;
    /* Progress of the training in hand that was logged last: */
    struct digest shown_job;
    uint32_t shown_round;
    double shown_progress;
    int64_t shown_at;
};

/* ---- serve_peers.c ---- */

/* The peers of the store and of site.yaml as they are now. */
MUST_USE struct error *serve_peers_read(struct store *store, const struct node_config *config,
                                        struct serve_peers *ret_peers);
void serve_peers_clear(struct serve_peers *peers);
bool serve_peers_same(const struct serve_peers *a, const struct serve_peers *b);
/* What the session needs to know of them; borrowed from both. */
struct session_trust serve_peers_trust(const struct serve_peers *peers, const struct node_config *config);
size_t serve_peers_count(const struct serve *serve);
/* Dials the orchestrators of site.yaml; with `before`, drops those that are not in it any more. */
MUST_USE struct error *serve_peers_dial(struct serve *serve, const struct node_config *before);
bool serve_peers_is_listed(void *context, const struct site_id *peer);

/* ---- serve_reload.c ---- */

/* SIGHUP: all of it or nothing. Failures are logged. A policy.yaml that changed and can be read is taken over by
 * serve_policy_watch a moment later, also where the rest is not. */
void serve_reload(struct serve *serve);

/* ---- serve_policy.c ---- */

/* policy.yaml with the digest of the very bytes that were read; of no bytes when there is no file. */
MUST_USE struct error *serve_policy_read(const char *path, struct policy **ret_policy,
                                         struct digest *ret_digest);
/* Records that a policy of another digest than the last recorded one is in force from now on. */
MUST_USE struct error *serve_policy_note(const struct serve *serve, const struct policy *policy,
                                         const struct digest *digest);

struct policy_stamp serve_policy_stamp(const char *path);
/* Looks about once a second whether policy.yaml was written, and takes it over once it stayed the same for a quarter of a
 * second, so that a file is not read while an editor writes it. One that cannot be read leaves the policy of before in
 * force, which is logged once a change. */
void serve_policy_watch(struct serve *serve, int64_t now);

/* ---- serve_tick.c ---- */

/* Whatever is due now. */
void serve_tick(struct serve *serve);
/* Looks whether site.db has changed, and acts on it: trust, approvals of steps in hand. `own_commit`: this
 * thread has written to it. */
void serve_look(struct serve *serve, bool own_commit);
/* Writes the row of `datasite status`, if it changed. */
void serve_note(struct serve *serve, bool now);
