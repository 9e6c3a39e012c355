/* What the engine's files share; for engine*.c only. */
#pragma once

#include "orchestrator/engine.h"
#include "orchestrator/run_spent.h"

#include "schemas/wire.h"

#define ENGINE_POLL_MS 200       /* between two JobQuery while an owner decides */
#define ENGINE_BUSY_MS 100       /* before a busy site is asked again */
#define ENGINE_HELD_MS 2000      /* while a person there looks at the answer */
#define ENGINE_STOP_MS 200       /* between two looks at `stop` */
#define ENGINE_FAREWELL_MS 2000  /* for the answers to EndRun */
#define ENGINE_STRANGERS_TOLD 20 /* refused connections of strangers that a run speaks of */
/* Global models of past rounds are kept in memory up to this much; older ones are in the run's store alone.
 */
#define ENGINE_MODEL_BYTES ((size_t)64 * 1024 * 1024)

enum site_phase { PHASE_JOINING, PHASE_PENDING, PHASE_READY, PHASE_OUT };

/* Part of a site in the round in hand. */
enum site_turn {
    TURN_IDLE,
    TURN_TRAINING,
    TURN_TRAINED, /* under secure aggregation: its masked input is here */
    TURN_EVALUATING,
    TURN_EVALUATED,
    TURN_AGREEING,
    TURN_AGREED,
    TURN_UNMASKING,
    TURN_UNMASKED
};

/* Requests that the engine makes. */
enum request_kind {
    REQUEST_SUBMIT,
    REQUEST_QUERY,
    REQUEST_TRAIN,
    REQUEST_EVALUATE,
    REQUEST_END,
    REQUEST_ADVERTISE, /* the rest: secure aggregation */
    REQUEST_SHARE,
    REQUEST_SUM,
    REQUEST_MASK,
    REQUEST_AGREE,
    REQUEST_UNMASK
};

struct local_site;
struct local_private;
struct engine_secagg;

/* What a site is asked for keys, beside whatever else it is asked. */
struct key_request {
    enum request_kind asked;
    uint64_t number; /* unanswered request, 0 for none */
    int64_t ask_at;  /* monotonic ms, 0 for not */
    /* Why the last batch was made without it; reason "": it was not. */
    enum site_status status;
    char reason[512];
    /* The event that its last advert of the run named as its newest. */
    bool has_ledger;
    uint64_t ledger_sequence;
};

struct engine_site {
    const struct job_site *job_site;
    struct local_site *local; /* of a run on mock data: its rows are here */
    struct site_id id;
    enum site_phase phase;
    enum site_turn turn;
    bool up;
    bool announced;          /* that its owner has to decide */
    char reason[512];        /* why it is down or out */
    enum request_kind asked; /* of `number`, or to be asked at ask_at */
    uint64_t number;         /* unanswered request, 0 for none */
    int64_t ask_at;          /* monotonic ms, 0 for not */
    char put_off[512];       /* what it last said instead of an answer, "" when it answered */
    bool too_long;           /* and that was: the request is longer than it takes now */
    int64_t answer_by;       /* monotonic ms: so long it is waited for in the round in hand */
    bool held;               /* because a person there looks at the answer first */
    struct receipt *witness; /* the latest that we hold; sequence 0: none. In the plan */
    double *update;          /* [count], when TURN_TRAINED */
    uint64_t *evaluation;    /* a confusion matrix, when TURN_EVALUATED, or: */
    double *noised;          /* counts [classes²] of a private job */
    uint32_t position;       /* in the roster of secure aggregation, from 1 */
    struct key_request keys;
    uint32_t model_round; /* it has, or gets with the request, the model that this round starts from */
};

struct engine {
    const struct engine_plan *plan;
    struct run_record *record;
    const struct job *job;
    struct session *session;
    struct engine_site *sites;            /* [job->site_count], in the order of the job */
    const struct engine_site *shape_site; /* who said features and classes first */
    size_t count;                         /* parameters: run_record_parameters */
    double *model;                        /* the global model */
    uint8_t *model_bytes;                 /* the same as it goes over the wire */
    struct run_spent *spent;              /* [job->site_count], up to the last round that is complete */
    struct local_private *trial;          /* of a run on mock data: the job's mechanism; NULL: it has none */
    struct engine_secagg *secagg;         /* NULL: in clear, and before the shape is known */
    struct round_record *round;           /* in hand, or NULL */
    int64_t round_started;                /* monotonic ms */
    enum run_status verdict;              /* of a failure */
    unsigned strangers;                   /* that were refused, as far as told */
    bool in_rounds;                       /* past the gathering */
    bool leaving;                         /* `stop` is not asked any more */
};

/* engine.c: one event, or a wait until `until` (monotonic ms) at the most; asks again what is due. */
MUST_USE struct error *engine_step(struct engine *engine, int64_t until);
void engine_tell(const struct engine *engine, enum engine_event_kind kind, const struct engine_site *site,
                 const char *sentence);

void engine_tell_answered(const struct engine *engine,
                          const struct engine_site *site); /* engine_released.c */
void engine_tell_round(const struct engine *engine, enum engine_event_kind kind,
                       size_t total); /* engine_round.c */

/* engine_mock.c: a run on mock data. Fetches every site's rows, then does the sites' parts of a round. */
MUST_USE struct error *engine_mock_gather(struct engine *engine);
MUST_USE struct error *engine_mock_train(struct engine *engine);
MUST_USE struct error *engine_mock_evaluate(struct engine *engine);
/* Once the model's size is known. */
MUST_USE struct error *engine_mock_open(struct engine *engine);
/* The model of the round from the sum that the sites contributed to: distributed-dp. */
MUST_USE struct error *engine_mock_advance(struct engine *engine);

/* engine_site.c */
/* Copies a sentence, of a site or of ours: cut to fit, and fit to be printed. `reason` may be `sentence`
 * itself. */
void engine_set_reason(char *reason, size_t bytes, const char *sentence);
void engine_connection(struct engine *engine, const struct session_event *event);
struct engine_site *engine_find(struct engine *engine, const struct site_id *peer);
void engine_site_out(struct engine *engine, struct engine_site *site, const char *reason);

/* engine_request.c */
MUST_USE struct error *engine_ask(struct engine *engine, struct engine_site *site, enum request_kind kind);
void engine_ask_later(struct engine_site *site, enum request_kind kind, int64_t delay_ms);
/* Later, because of a refusal that may pass: it is asked until the deadline of whatever it is asked for. */
void engine_put_off(struct engine_site *site, const struct error *why);
void engine_forget(struct engine *engine,
                   struct engine_site *site); /* the unanswered request and the next one */
/* Makes a request and queues it: ERROR_BUSY and ERROR_LIMIT when the session does not take it now. */
MUST_USE struct error *engine_send(struct engine *engine, struct engine_site *site, enum request_kind kind,
                                   uint64_t *ret_number);
/* How long a site is waited for that is asked now. */
void engine_await(struct engine_site *site, int64_t until);
/* A person there looks at what it was asked for: it is waited for so long as that may take, and asked again. */
void engine_held(struct engine *engine, struct engine_site *site, const struct error *said);

/* engine_answer.c: an answer to the site's request. What is wrong with an answer is the site's failure, not
 * ours. */
MUST_USE struct error *engine_answer(struct engine *engine, struct engine_site *site,
                                     const struct session_event *event);
/* What a request that was not granted, or not answered as it should be, means: it depends on what was asked for. */
void engine_not_granted(struct engine *engine, struct engine_site *site, enum site_status status,
                        const char *reason);
/* Whether a refusal means that somebody said no, rather than that something broke at the site. */
enum site_status engine_status_of(enum error_code code);
/* In the round in hand. */
double engine_round_seconds(const struct engine *engine);
struct site_round *engine_site_round(struct engine *engine, const struct engine_site *site);
void engine_missed(struct engine *engine, struct engine_site *site, enum site_status status,
                   const char *reason);

/* engine_status.c: a JobStatus, the answer to Submit and JobQuery. */
MUST_USE struct error *engine_answer_status(struct engine *engine, struct engine_site *site,
                                            const struct session_event *event);

/* engine_released.c: what a site has released for the round in hand. */
void engine_answer_update(struct engine *engine, struct engine_site *site, const struct session_event *event);
void engine_answer_evaluation(struct engine *engine, struct engine_site *site,
                              const struct session_event *event);
/* Nothing inside a Released is looked at before its receipt holds for this site, job, run, round, kind and these
 * bytes. *ret_forked: the site's receipts contradict each other. */
MUST_USE struct error *engine_open_released(struct engine *engine, struct engine_site *site,
                                            const struct session_event *event, enum receipt_kind kind,
                                            uint32_t attempt, Fds__Released **ret_released, bool *ret_forked);
void engine_answer_wrong(struct engine *engine, struct engine_site *site, const struct error *wrong,
                         bool forked);
/* An answer has to be about this job, this run and this round. */
MUST_USE struct error *engine_check_answer(const struct engine *engine, ProtobufCBinaryData job_id,
                                           ProtobufCBinaryData run_id, uint32_t round);

/* engine_submit.c: connects, submits, waits for the owners; done when enough sites are ready and none is
 * worth waiting for. */
MUST_USE struct error *engine_gather(struct engine *engine);

/* engine_round.c: one round, recorded and stored. */
MUST_USE struct error *engine_do_round(struct engine *engine, uint32_t round);
/* Under secure aggregation: the counts of the last model, after all rounds. */
MUST_USE struct error *engine_do_evaluation(struct engine *engine);
/* Why a site that is not ready is not asked. */
void engine_leave_out(struct engine *engine, struct engine_site *site);
/* Until all who are asked have answered, or their time is over, or the quorum is out of reach. */
MUST_USE struct error *engine_await_training(struct engine *engine);
/* engine->model, as the new model of the round in hand. */
MUST_USE struct error *engine_keep_model(struct engine *engine);
/* Of a model, on the global test: *ret_counts stays as it is where there is none. The second: of the new model of the round
 * in hand. */
MUST_USE struct error *engine_evaluate(struct engine *engine, const double *model, uint64_t **ret_counts);
MUST_USE struct error *engine_evaluate_here(struct engine *engine);
/* How many sites a round needs. */
size_t engine_least(const struct engine *engine);
/* All but the newest `kept` models of a record. */
void engine_forget_models(struct run_record *record, size_t kept);
size_t engine_count_turns(const struct engine *engine, enum site_turn turn);
