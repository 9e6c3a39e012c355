/* site.db as functions: the only files of this room that speak SQL are store*.c. A store belongs to one
 * thread; the socket thread, the executor and every owner command open their own.
 *
 * Jobs, as in the design:
 *
 *     pending --approve--> approved --first Train of a run--> running --EndRun--> approved (runs left)
 *        |                    |                                  |          \---> finished
 *        +--deny--> denied    +-------------revoke---------------+----> revoked
 *     any live state --time--> expired
 *
 * The function that makes each step: store_job_add, store_decide, store_run_begin, store_run_end,
 * store_job_expire; each checks the present state inside its own transaction, so that two terminals cannot
 * disagree.
 */
#pragma once

#include "audit/chain.h"
#include "audit/receipt.h"
#include "crypto/identity.h"
#include "crypto/vault.h"
#include "schemas/error.h"
#include "schemas/policy.h"

#include <stdint.h>

#define STORE_CHUNK_ROWS 256
#define STORE_RUN_ID_BYTES 16

struct store;
struct store_epsilons;

enum store_mode { STORE_CREATE, STORE_WRITE, STORE_READ };
MUST_USE struct error *store_open(const char *path, enum store_mode mode, struct store **ret_store);
void store_close(struct store *store); /* accepts NULL */
/* Whose key signs the events that this store adds; borrowed until store_close. Without it nothing that records an
 * event can be done: ERROR_INTERNAL. */
void store_sign_with(struct store *store, const struct identity *identity);
/* What one of the two has verified, or signed, of the chain of events, both need not verify again, and what one has accounted
 * (store_epsilons), both know: for stores of one
 * process that are of one file. */
void store_share_heads(struct store *store, struct store *with);
/* Whether somebody holds a transaction of this store open. */
bool store_in_transaction(const struct store *store);
/* The same of a transaction that store_release_begin opened (store_release.h). */
bool store_in_release(const struct store *store);
/* A signature over the same bytes by the same key holds, or does not, whenever one asks: the latest that held are known
 * by the SHA-256 of all three, for as long as the store is open. */
bool store_signature_known(const struct store *store, const struct digest *of_all_three);
void store_signature_note(struct store *store, const struct digest *of_all_three);
/* What the accountant said, for account.h; of this store and those that share with it. */
struct store_epsilons *store_epsilons(struct store *store);
/* Bytes of the same SHA-256 are the same job: the latest that were parsed, for as long as the store is open. A share of
 * one (job_share), or NULL. */
struct job *store_job_parsed(const struct store *store, const struct digest *job_id);
void store_job_note(struct store *store, const struct digest *job_id, struct job *job);
/* Changes whenever another connection has committed. */
MUST_USE struct error *store_version(struct store *store, uint64_t *ret_version);

/* What is read between the two is of one moment, whatever other commands change meanwhile. Not inside a
 * transaction. */
MUST_USE struct error *store_snapshot(struct store *store);
void store_snapshot_end(struct store *store); /* harmless without one */
/* Rows are read without a copy from now on, or no more (database_map). */
void store_map(struct store *store, bool mapped);

/* ---- datasets (store_data.c) ---- */

enum dataset_kind { DATASET_BYTES, DATASET_NUMBERS };

struct dataset_info {
    int64_t id;
    char name[65];
    enum dataset_kind kind;
    uint64_t rows, features;
    uint32_t image_rows, image_columns; /* 0 for numbers */
    uint32_t classes;
    struct digest digest;
    char source[1024];
    int64_t imported_at;
    bool sealed;                    /* its chunks are encrypted; set by the writer */
    uint8_t salt[VAULT_SALT_BYTES]; /* of an encrypted one */
};

/* One dataset being imported: everything happens in one transaction, so that an interrupted import leaves
 * nothing. */
struct dataset_writer;
MUST_USE struct error *dataset_writer_start(struct store *store, const struct dataset_info *info,
                                            const char *const *class_names, const char *const *column_names,
                                            const uint8_t split_key[static 32],
                                            struct dataset_writer **ret_writer);
/* `rows` rows: u8 [rows][features] or double [rows][features]. */
MUST_USE struct error *dataset_writer_add(struct dataset_writer *writer, const void *data,
                                          const uint32_t *labels, size_t rows);
/* Raises the number of classes when it was not declared: for rows of the file that are not taken. */
void dataset_writer_classes(struct dataset_writer *writer, uint32_t classes);
/* Commits; fails if fewer or more rows came than `info` said (0 in info: not known before; classes 0: one
 * more than the highest label), or if `expected` is given and is not the digest. */
MUST_USE struct error *dataset_writer_finish(struct dataset_writer *writer, const struct digest *expected,
                                             struct dataset_info *ret_info);
void dataset_writer_free(struct dataset_writer *writer); /* rolls back unless finished; accepts NULL */

/* ERROR_NOT_FOUND names the datasets that there are (for the owner; not to be sent to a peer). */
MUST_USE struct error *store_dataset_find(struct store *store, const char *name,
                                          struct dataset_info *ret_info);
MUST_USE struct error *store_dataset_list(struct store *store, struct dataset_info **ret_infos,
                                          size_t *ret_count);
MUST_USE struct error *store_dataset_class(struct store *store, int64_t dataset_id, uint32_t class_number,
                                           char *ret_name, size_t name_bytes, uint64_t *ret_rows);
MUST_USE struct error *store_dataset_remove(struct store *store, const char *name);

/* What a dataset's digest is, computed anew from what is stored: SHA-256 over kind (0 bytes, 1 numbers),
 * rows, features, classes as u64 little-endian, then per row its stored bytes and its label as u16
 * little-endian. Independent of chunks, names and the split. */
MUST_USE struct error *store_dataset_digest(struct store *store, const struct dataset_info *info,
                                            struct digest *ret_digest);

/* The same, piece by piece as chunks are read; freed with digest_stream_free. */
struct chunk_view;
MUST_USE struct error *dataset_digest_start(const struct dataset_info *info,
                                            struct digest_stream **ret_stream);
MUST_USE struct error *dataset_digest_add(struct digest_stream *stream, const struct dataset_info *info,
                                          const struct chunk_view *chunk);

/* Reads chunk after chunk; `visit` gets pointers that are valid during the call. */
struct chunk_view {
    uint64_t first_row;
    size_t rows;
    const uint8_t *data;   /* as stored */
    const uint8_t *labels; /* u16 little-endian each */
    const uint8_t *split;  /* u64 little-endian each */
};
MUST_USE struct error *
store_dataset_read(struct store *store, const struct dataset_info *info,
                   struct error *(*visit)(void *context, const struct chunk_view *chunk), void *context);

/* ---- the key of encrypted chunks (store_vault.c, store_rekey.c) ---- */

#define STORE_KEY_PATH_BYTES 4096

/* What opens the vault: a key in a file, a passphrase that a person types, a key on standard input. */
enum vault_source { VAULT_FROM_FILE, VAULT_FROM_PASSPHRASE, VAULT_FROM_STDIN };
struct vault_record {
    uint8_t wrapped[VAULT_WRAPPED_BYTES]; /* crypto/vault.h */
    enum vault_source source;
    char key_path[STORE_KEY_PATH_BYTES]; /* absolute; "" unless from a file */
    int64_t made_at;
};
/* *ret_found is false, and *ret_record untouched, for a site whose chunks are stored in clear. The latest event about a
 * key (data-encrypted, data-rekeyed) has the record's digest: ERROR_UNTRUSTED where the record is another one, or gone,
 * so that nobody who edits the file has rows stored in clear or under a key of theirs. */
MUST_USE struct error *store_vault_find(struct store *store, struct vault_record *ret_record,
                                        bool *ret_found);
/* Of a new site, with its event. ERROR_CONFLICT if it has one, or holds data already. */
MUST_USE struct error *store_vault_add(struct store *store, const struct vault_record *record);

/* From now on this store seals and opens chunks with the vault, borrowed until store_close; NULL: none. Where the site
 * has a vault, nothing is imported and no row is read without it (ERROR_UNTRUSTED), nor with one that is not the
 * site's any more (ERROR_CONFLICT); where the site has a vault, a dataset in clear is not read (ERROR_UNTRUSTED):
 * nobody slips rows under an encrypted site. */
void store_unlock(struct store *store, const struct vault *vault);

/* Seals every chunk anew under `vault`, whose record is `record`, with new salts; a site that was in clear becomes an
 * encrypted one. All of it in one transaction, with its event, each dataset compared with its digest, which stays what
 * it was. The store is then unlocked with `vault`. */
MUST_USE struct error *store_rekey(struct store *store, const struct vault *vault,
                                   const struct vault_record *record, int64_t now);
/* Wipes what was overwritten from the write-ahead log too. ERROR_BUSY while another program uses the file. */
MUST_USE struct error *store_wipe_log(struct store *store);

/* ---- trusted orchestrators (store_peer.c) ---- */

struct peer {
    struct site_id id;
    char name[65];
    int64_t added_at;
    char added_by[16]; /* "invitation": pinned; "approval": a member of a consortium, while its CA vouches */
};
#define PEER_BY_INVITATION "invitation"
MUST_USE struct error *store_peer_add(struct store *store, const struct site_id *id, const char *name,
                                      const char *added_by, int64_t at);
/* Remembers the removal, until store_peer_add or an approval by the owner. */
MUST_USE struct error *store_peer_remove(struct store *store, const struct site_id *id, int64_t at);
MUST_USE struct error *store_peer_list(struct store *store, struct peer **ret_peers, size_t *ret_count);
/* Whether the owner removed this peer and has not listed it since. */
MUST_USE struct error *store_peer_is_removed(struct store *store, const struct site_id *id,
                                             bool *ret_removed);

/* ---- jobs and decisions (store_job.c) ---- */

enum job_state {
    JOB_STATE_PENDING,
    JOB_STATE_APPROVED,
    JOB_STATE_RUNNING,
    JOB_STATE_FINISHED,
    JOB_STATE_DENIED,
    JOB_STATE_REVOKED,
    JOB_STATE_EXPIRED
};
const char *job_state_word(enum job_state state);

struct job_record {
    struct digest id;
    uint8_t *bytes; /* owned; job_record_clear */
    size_t byte_count;
    struct site_id requester;
    char requester_name[65];
    int64_t received_at, expires;
    enum job_state state;
};
void job_record_clear(struct job_record *record);

enum decision_kind { DECISION_APPROVE, DECISION_DENY, DECISION_REVOKE };

/* See datasite/approval.h for what is signed. */
struct decision {
    uint32_t version; /* of the statement: 1 or 2 */
    enum decision_kind kind;
    struct digest job_id;
    uint32_t rounds, runs;
    int64_t expires;
    struct digest dataset_digest;
    uint64_t dataset_rows; /* at approval; 0 in version 1 */
    enum hold hold;
    bool allow_growth; /* rows may have been added behind the approved ones */
    int64_t decided_at;
    char decided_by[80];
    char reason[512];
    uint8_t statement[512];
    size_t statement_bytes;
    uint8_t signature[SIGNATURE_BYTES];
};

/* What one requester may make the site keep. On top of it, all members of a consortium that the owner does not know
 * (lobby) share STORE_LOBBY_PENDING jobs that wait and STORE_LOBBY_JOBS in all, so that a crowd of them neither fills
 * the disk nor keeps out a peer whom the owner trusts. */
struct job_quota {
    const struct policy_limits *limits;
    bool lobby; /* the requester is known through a CA only */
};
#define STORE_JOB_BYTES                                                                                      \
    16384 /* of a job, on average of all that one requester, or the lobby, may have here */
#define STORE_LOBBY_PENDING 64
#define STORE_LOBBY_JOBS 1000
/* A job that is there already keeps its state (a denial stays a denial). Over the quota: ERROR_LIMIT. */
MUST_USE struct error *store_job_add(struct store *store, const struct job_record *record,
                                     const struct job_quota *quota, bool *ret_is_new);
/* How many jobs the requester submitted at or after `since`. */
MUST_USE struct error *store_jobs_since(struct store *store, const struct site_id *requester, int64_t since,
                                        uint32_t *ret_count);
/* Jobs of the requester that the owner, and no rule, denied or revoked at or after `since`, newest first; at most 1000.
 */
MUST_USE struct error *store_jobs_withheld(struct store *store, const struct site_id *requester,
                                           int64_t since, struct job_record **ret_records, size_t *ret_count);
void job_records_free(struct job_record *records, size_t count); /* accepts NULL */
MUST_USE struct error *store_job_find(struct store *store, const struct digest *id,
                                      struct job_record *ret_record);
/* The one job whose hex id starts with `prefix` (at least 4 digits); ERROR_NOT_FOUND, or ERROR_CONFLICT if
 * several. */
MUST_USE struct error *store_job_find_prefix(struct store *store, const char *prefix,
                                             struct job_record *ret_record);
MUST_USE struct error *store_job_list(struct store *store, struct job_record **ret_records,
                                      size_t *ret_count);
/* Makes the transition and records the event, with the digest of the statement; ERROR_CONFLICT says the present state. */
MUST_USE struct error *store_decide(struct store *store, const struct decision *decision);
/* The approval in force; ERROR_NOT_FOUND without one. */
MUST_USE struct error *store_approval(struct store *store, const struct digest *job_id,
                                      struct decision *ret_decision);
/* Every decision, oldest first. `requester` is all zero where there is no such job. */
MUST_USE struct error *store_decisions(struct store *store,
                                       struct error *(*visit)(void *context, const struct decision *decision,
                                                              const struct site_id *requester),
                                       void *context);
/* Whether the job was ever denied or revoked, whatever its state says. */
MUST_USE struct error *store_withheld(struct store *store, const struct digest *job_id, bool *ret_withheld);
/* How many jobs of `requester` were approved by `decided_by` at or after `since`. */
MUST_USE struct error *store_approvals_by(struct store *store, const struct site_id *requester,
                                          const char *decided_by, int64_t since, uint32_t *ret_count);
/* Latest decision of any kind (for show, status). */
MUST_USE struct error *store_last_decision(struct store *store, const struct digest *job_id,
                                           struct decision *ret_decision);
/* Live jobs whose time, or whose approval's time, is over become expired. */
MUST_USE struct error *store_job_expire(struct store *store, int64_t now, uint32_t *ret_expired);

/* ---- runs and releases (store_release.c) ---- */

struct run_record {
    uint8_t id[STORE_RUN_ID_BYTES];
    struct digest job_id;
    uint32_t last_round;
    char status[16];
};
/* Begins the run, or finds it: ERROR_REFUSED when no run is left, another run is in progress, or the job is
 * not live. In the transaction that is open, or in one of its own. */
MUST_USE struct error *store_run_begin(struct store *store, const struct digest *job_id,
                                       const uint8_t run_id[static STORE_RUN_ID_BYTES], int64_t now,
                                       struct run_record *ret_run);
/* `arrived`: sequence of the latest receipt that the requester presented and this site knows, 0: none. What is not
 * known to have arrived then becomes unmade, with its event. */
MUST_USE struct error *store_run_end(struct store *store, const struct digest *job_id,
                                     const uint8_t run_id[static STORE_RUN_ID_BYTES], const char *status,
                                     uint64_t arrived, int64_t now);
MUST_USE struct error *store_runs_used(struct store *store, const struct digest *job_id, uint32_t *ret_used,
                                       uint32_t *ret_last_round);

enum answer_kind { ANSWER_UPDATE, ANSWER_EVALUATION, ANSWER_MASKED_INPUT };
/* As a receipt says it. */
enum receipt_kind answer_receipt_kind(enum answer_kind kind);
enum answer_state { ANSWER_RELEASED, ANSWER_HELD, ANSWER_REFUSED };
/* The stored answer of a round. Cleared with answer_clear. */
struct answer {
    enum answer_kind kind;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    struct digest job_id;
    uint32_t round;
    uint32_t attempt;           /* of a masked input, else 0 */
    struct digest model_digest; /* of the parameters that it answers */
    bool refused;               /* the step failed: `body` is a refusal */
    enum answer_state state;
    uint8_t receipt[RECEIPT_MAX_BYTES]; /* encoded; receipt_bytes 0: none */
    size_t receipt_bytes;
    double update_norm; /* NaN: none */
    char protections[RECEIPT_PROTECTIONS_BYTES];
    char reason[512]; /* of the owner's refusal */
    int64_t at;
    struct digest digest; /* of the bytes that left, by their event */
    bool
        over; /* a masked input whose round's sum this site has taken: the bytes are kept no more, and `body` is empty */
    uint8_t *body; /* NULL: this round has no answer yet */
    size_t bytes;
};
/* ERROR_UNTRUSTED unless the event that was written with the answer is of this job, run, round and kind and
 * has the digest of this very body: an answer that somebody edited is not repeated. `attempt` is 0 unless it is a
 * masked input. */
MUST_USE struct error *store_answer(struct store *store, const struct digest *job_id,
                                    const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                    uint32_t attempt, enum answer_kind kind, struct answer *ret_answer);
void answer_clear(struct answer *answer);

/* Every stored answer, as store_answer gives it, in the order of the events. ERROR_UNTRUSTED names job and round of the
 * first that its event does not vouch for. */
MUST_USE struct error *store_answers(struct store *store,
                                     struct error *(*visit)(void *context, const struct answer *answer),
                                     void *context);

/* Answers of runs in progress that wait for the owner, oldest first, without their bodies (NULL): store_answer has
 * those. `job_id` NULL: of all jobs. Freed with answers_free. */
MUST_USE struct error *store_held(struct store *store, const struct digest *job_id,
                                  struct answer **ret_answers, size_t *ret_count);
void answers_free(struct answer *answers, size_t count); /* accepts NULL */
/* The latest released answer of that kind of the job, of whatever run: ERROR_NOT_FOUND without one. */
MUST_USE struct error *store_last_released(struct store *store, const struct digest *job_id,
                                           enum answer_kind kind, struct answer *ret_answer);
/* The requester has presented the receipt of event `sequence`: its own answers up to there have arrived. In the
 * transaction that is open, or in one of its own. */
MUST_USE struct error *store_answers_made(struct store *store, const struct site_id *requester,
                                          uint64_t sequence);

/* Notes that a step was abandoned after rows were read; *ret_times is how often that has happened to this
 * round. */
MUST_USE struct error *store_step_abandoned(struct store *store, const struct digest *job_id,
                                            const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                            enum answer_kind kind, int64_t now, uint32_t *ret_times);

/* ---- endorsements of owners, where the policy wants four eyes (store_endorsement.c) ---- */

struct endorsement {
    struct site_id owner; /* of the owner's key */
    uint8_t public_key[PUBLIC_KEY_BYTES];
    /* As in a decision; what is signed: datasite/endorsement.h. */
    struct digest job_id, dataset_digest;
    uint32_t rounds, runs;
    int64_t expires;
    enum hold hold;
    bool allow_growth;
    uint64_t dataset_rows;
    int64_t endorsed_at;
    uint8_t signature[SIGNATURE_BYTES];
};
/* Of a pending job, once an owner: ERROR_CONFLICT. Records the event, with the digest of the statement that the owner
 * signed (endorsement_digest). */
MUST_USE struct error *store_endorse(struct store *store, const struct endorsement *endorsement,
                                     const struct digest *statement);
/* Every one, of all jobs. `requester` is all zero where there is no such job. */
MUST_USE struct error *store_endorsements_all(struct store *store,
                                              struct error *(*visit)(void *context,
                                                                     const struct endorsement *endorsement,
                                                                     const struct site_id *requester),
                                              void *context);
/* In the order in which they were given; at most POLICY_MAX_OWNERS. */
MUST_USE struct error *store_endorsements(struct store *store, const struct digest *job_id,
                                          struct endorsement ret_endorsements[static POLICY_MAX_OWNERS],
                                          size_t *ret_count);

/* ---- events (store_event.c) ---- */

enum event_kind {
#define EVENT(name, word, level, salt) EVENT_##name,
#include "schemas/event.def"
#undef EVENT
    EVENT_KINDS
};
/* The event by which a decision of that kind is recorded. */
enum event_kind decision_event(enum decision_kind kind);
/* Adds one event in the transaction that is open, or in one of its own. job_id, run_id and digest (of the body that it is
 * about) may be NULL, round 0. The detail of a kind that event.def calls SALTED gets a salt. Its number is one more than the
 * file ever gave, so that a gap stays where events were removed. ERROR_UNTRUSTED when the last event there is not signed
 * with the site's key, or not signed at all (store_chain_adopt). */
MUST_USE struct error *store_event_add(struct store *store, enum event_kind kind, const struct digest *job_id,
                                       const uint8_t *run_id, uint32_t round, int64_t at, const char *detail,
                                       const struct digest *digest);

/* An event as it is stored. Strings are valid during the visit. */
struct event_record {
    struct chain_event event; /* sequence is the row's id */
    bool is_signed;           /* false for events of version 1: hash and signature are not set */
    struct digest hash;
    uint8_t signature[SIGNATURE_BYTES];
    bool has_requester;
    struct site_id requester; /* of the job that it is about */
};

/* Which events; zero fields match everything. */
struct event_filter {
    int64_t since, until; /* Unix seconds, both included; 0: no bound */
    const struct digest *job_id;
    const struct site_id *requester;
    const char *kind; /* a word of schemas/event.def */
    uint64_t first_sequence;
    uint64_t limit; /* the newest so many, still oldest first; 0: all */
};
MUST_USE struct error *store_events(struct store *store, const struct event_filter *filter,
                                    struct error *(*visit)(void *context, const struct event_record *record),
                                    void *context);

/* The last event's number, hash and signature, as stored. ERROR_NOT_FOUND before the first signed event, ERROR_INTERNAL
 * without the site's key. */
MUST_USE struct error *store_head(struct store *store, struct chain_head *ret_head,
                                  uint8_t ret_signature[static SIGNATURE_BYTES]);
/* Whether the event of head->sequence is here and its stored hash is that of `head`. Whose head it is was checked by
 * its signature. */
MUST_USE struct error *store_has_head(struct store *store, const struct chain_head *head, bool *ret_has);
/* The same, and whether its stored signature is `signature`. */
MUST_USE struct error *store_has_signed(struct store *store, const struct chain_head *head,
                                        const uint8_t signature[static SIGNATURE_BYTES], bool *ret_has,
                                        bool *ret_same);
/* The first event that carries a hash, as it is stored: what it says is not checked against its hash. */
struct event_beginning {
    bool found;             /* there is one */
    uint64_t events;        /* its number, or of the last event if there is none with a hash; 0: no events */
    bool made_with_chain;   /* event 1 is "site-created", signed or not */
    bool created, started;  /* its kind is "site-created", or "chain-started" with a digest */
    struct digest digest;   /* of the latter */
    struct digest previous; /* hash(n-1), computed from what the events before it say */
    struct digest computed; /* hash(n), in the same way */
    struct chain_head head; /* its number n and its stored hash */
    bool has_signature;
    uint8_t signature[SIGNATURE_BYTES];
};
/* One pass over the events up to it. */
MUST_USE struct error *store_chain_beginning(struct store *store, struct event_beginning *ret_beginning);
/* Adds "chain-started" behind events that are all older than the chain; nothing when there is a signed event already.
 * Only datasite/chain_start.c knows when this may be done: events whose hashes were wiped look the same. */
MUST_USE struct error *store_chain_adopt(struct store *store, int64_t at);
/* From now on an empty table of events is a changed file: nothing is added to one. */
void store_chain_begun(struct store *store);
/* The highest number that the file ever gave to an event, by SQLite's own count. */
MUST_USE struct error *store_event_count_ever(struct store *store, uint64_t *ret_count);

/* ---- what events say of rows, for the auditor (store_vouched.c) ---- */

#define STORE_EVENT_WORD_BYTES 32 /* of a kind of event, with its NUL */

/* Of a decision, or an endorsement. */
struct vouched {
    uint64_t sequence; /* 0: there is no such event */
    bool has_digest;   /* of a statement; events of earlier versions have none */
    struct digest digest;
};
/* The event of that kind about the job, and with that detail (behind which there may be a salt) unless it is NULL. */
MUST_USE struct error *store_vouched(struct store *store, enum event_kind kind, const struct digest *job_id,
                                     const char *detail, struct vouched *ret_vouched);
/* The number of the first event about a decision or an endorsement that has a digest; 0: none. */
MUST_USE struct error *store_vouched_since(struct store *store, uint64_t *ret_sequence);
/* The first event about a decision, an endorsement or an answer whose row is gone; *ret_sequence 0: none. */
MUST_USE struct error *store_vouched_gone(struct store *store, uint64_t *ret_sequence,
                                          char ret_kind[static STORE_EVENT_WORD_BYTES],
                                          struct digest *ret_job_id);

/* ---- heads that are missing (store_contradiction.c) ---- */

struct contradiction {
    struct site_id requester;
    uint64_t sequence;
    struct digest head;
    int64_t found_at;
    int64_t accepted_at; /* 0: open */
};
/* Notes a head that the requester presented, which this site signed and lacks, with its event; the same again changes
 * nothing, also when it was accepted. *ret_open: not accepted. */
MUST_USE struct error *store_contradict(struct store *store, const struct site_id *requester,
                                        const struct chain_head *head, int64_t now, bool *ret_open);
MUST_USE struct error *store_contradictions(struct store *store, struct contradiction **ret_contradictions,
                                            size_t *ret_count);
MUST_USE struct error *store_contradiction_open(struct store *store, bool *ret_open);
/* The owner knows why: all that are open become accepted, with one event. `reason` is the owner's. *ret_accepted is how
 * many heads that were. */
MUST_USE struct error *store_contradictions_accept(struct store *store, const char *reason, int64_t now,
                                                   uint32_t *ret_accepted);
