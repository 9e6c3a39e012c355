/* The global model of a run with secure aggregation, as this site computes it itself: the first one from the job, each
 * next one from the sum of the round before. Nothing that the orchestrator says is believed without the signatures of
 * at least the job's threshold of sites over who contributed, and its own over the sum; a job with verify_sum has the sum
 * computed anew from the masked inputs and the revealed secrets (secagg_evidence.h).
 *
 *     secagg_model_first          round 1: zeros, seeded, or the file that the job names by its SHA-256
 *     secagg_model_next, _keep    the sum of round r, while the model of round r is the one that is stored: then that
 *                                 of round r + 1 is
 *
 * The stored model belongs to whatever run it was computed in; steps of one run come from one thread at a time, the
 * executor's. */
#pragma once

#include "datasite/approval.h"
#include "datasite/secagg_roster.h"
#include "datasite/store_secagg.h"
#include "schemas/wire.h"

/* What models are computed from. All borrowed. */
struct secagg_source {
    struct store *store;
    const struct approval *approval;
    const struct policy_gate *gate;
    const struct secagg_roster *roster; /* admitted by `gate` */
    const struct secagg_run *run;
    struct secagg_memo *memo; /* NULL: none */
    int64_t now;              /* Unix seconds */
};

/* The model that is stored, or, when there is none, that of round 1, which is then stored. One of round 1 that is stored is
 * compared with what the approved job says (ERROR_UNTRUSTED: somebody edited it), as later ones are with the events of
 * their sums. `bytes` of an initial model
 * (little-endian float64) are looked at when the job names a file and the model is not stored: ERROR_REFUSED unless they
 * have its SHA-256. secagg_model_clear. */
MUST_USE struct error *secagg_model_first(const struct secagg_source *source, const uint8_t *parameters,
                                          size_t bytes, struct secagg_model *ret_model);

/* What of a sum its event says. */
struct secagg_taken {
    uint32_t round; /* 0: nothing was taken */
    uint32_t attempt;
    size_t contributors;
};

/* Takes a sum, decoded by schemas/wire.h, of the round whose model `model` is, which then is that of the next round: in
 * memory, until secagg_model_keep has stored it. A sum of an earlier round changes nothing: it was taken already. `keyset` is of
 * the sum's slot, as this site has it (NULL: it took no part in the batch; the sum's adverts are asked then). Refusals, with an
 * event sum-refused in site.db (a bounded number a run): ERROR_UNTRUSTED when a signature, the contributors' statement, or the sum
 * itself does not hold; ERROR_REFUSED when it is of another round, has too few contributors, or lacks what verify_sum needs;
 * ERROR_INVALID when its numbers give no model. */
MUST_USE struct error *secagg_model_next(const struct secagg_source *source,
                                         const struct secagg_keyset *keyset, const Fds__Sum *sum,
                                         struct secagg_model *model, struct secagg_taken *ret_taken);
/* Stores what secagg_model_next made of a sum, with the event sum-taken: in the transaction that is open, so that a round can
 * begin with it, or in one of its own. Nothing taken: nothing. ERROR_CONFLICT when another model was stored in between. */
MUST_USE struct error *secagg_model_keep(const struct secagg_source *source, const struct secagg_model *model,
                                         const struct secagg_taken *taken);
/* Both. */
MUST_USE struct error *secagg_model_take(const struct secagg_source *source,
                                         const struct secagg_keyset *keyset, const Fds__Sum *sum,
                                         struct secagg_model *model);
