/* What the request_*.c files share: one handler a message. A handler fills the reply or fails; requests.c
 * makes the Refusal. Nobody else includes this. */
#pragma once

#include "datasite/release.h"
#include "datasite/requests.h"
#include "datasite/step.h"
#include "schemas/error.h"
#include "schemas/wire.h"

typedef struct error *request_handler(const struct requests *requests, const struct request *request,
                                      struct reply *ret_reply);

MUST_USE request_handler request_submit; /* request_submit.c */
MUST_USE request_handler request_query;  /* request_status.c */
MUST_USE request_handler request_train;  /* request_step.c */
MUST_USE request_handler request_evaluate;
MUST_USE request_handler request_end_run;
MUST_USE request_handler request_advertise; /* request_keys.c */
MUST_USE request_handler request_share;
MUST_USE request_handler request_agree; /* request_agree.c */
MUST_USE request_handler request_unmask;
MUST_USE request_handler request_mask; /* request_mask.c */
MUST_USE request_handler request_sum;
MUST_USE request_handler request_catalog; /* request_catalog.c */
MUST_USE request_handler request_mock;    /* request_mock.c */

/* Takes the receipt that came with a request, or none (NULL). *ret_arrived is its sequence, if the chain has it: what
 * was released up to there has arrived; else 0. One that this site did not sign is ERROR_UNTRUSTED and never stored;
 * one that it signed and lacks is noted as a contradiction. */
MUST_USE struct error *request_witness(const struct requests *requests, const struct request *request,
                                       const Fds__Witness *witness, uint64_t *ret_arrived);
/* ERROR_REFUSED while the owner has not looked at a contradiction. */
MUST_USE struct error *request_uncontradicted(const struct requests *requests);

/* ERROR_BUSY where the accountant has not been asked yet what so many rounds of the job cost: the request is put aside by
 * requests_answer then, and handled again from its beginning. So it is called before anything is written, and before a transaction that
 * may ask for these figures begins. */
MUST_USE struct error *request_accounted(const struct requests *requests, const struct request *request,
                                         const struct job *job, uint32_t rounds);

/* ---- steps of the executor: Train, Evaluate, Mask and Sum (request_step.c) ---- */

/* The approval under which the message's job may be worked on now; approval_clear. *ret_arrived: of request_witness. */
MUST_USE struct error *request_step_approval(const struct requests *requests, const struct request *request,
                                             const ProtobufCBinaryData *job_id, const Fds__Witness *witness,
                                             struct approval *ret_approval, uint64_t *ret_arrived);
/* A step without what the message brings; takes over what `approval` holds. */
MUST_USE struct error *request_step_new(const struct request *request, enum step_kind kind,
                                        const ProtobufCBinaryData *job_id, const ProtobufCBinaryData *run_id,
                                        uint32_t round, struct approval *approval, struct step **ret_step);
/* What was released in answer to the same message before; else the executor takes *step over (NULL then), and the answer
 * comes later. */
MUST_USE struct error *request_step_answer(const struct requests *requests, struct step **step,
                                           struct reply *ret_reply);

/* The message type of a step's answer. */
uint32_t request_answer_type(bool refused);

/* Answers with the JobStatus of a job of this requester; JOB_UNKNOWN for any other. */
MUST_USE struct error *request_status(const struct requests *requests, const struct request *request,
                                      const struct digest *job_id, struct reply *ret_reply);
