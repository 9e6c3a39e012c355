/* What the trainer*.c files share; nobody else includes it. */
#pragma once

#include "crypto/noise.h"
#include "datasite/dataset.h"
#include "datasite/mapped_rows.h"
#include "datasite/secagg_cache.h"
#include "datasite/trainer.h"
#include "learning/softmax.h"
#include "learning/training.h"

struct trainer {
    struct store *store;
    const struct identity *identity;
    int64_t (*clock)(void);
    struct pool *pool;
    struct secagg_cache *secagg;
    /* Kept between rounds, as long as the approved digest stays the same: */
    struct dataset *dataset;
    struct mapped_rows *mapped; /* features of the job in hand, or of the one before; NULL: raw rows */
    double test_fraction;       /* of the split below */
    uint32_t *train, *test;
    size_t train_rows, test_rows;
    struct noise *noise; /* NULL until a private job needs it */
};

/* One step in hand. */
struct work {
    struct trainer *trainer;
    const struct step *step;
    struct policy_gate gate; /* output rules, as they were when last asked for */
    const struct trainer_watch *watch;
    struct error *abandoned; /* what the watch said */
    bool rows_read;          /* with the requester's model */
    bool watch_ended;        /* the step ends because of the watch */
};

/* ---- trainer.c ---- */

/* The output rules of the step's dataset, as they were when last asked for. */
const struct policy_output *work_output(const struct work *work);
/* As training_progress wants it: false once the watch says so. `loss` goes nowhere. */
bool work_keep_going(void *context, uint32_t done, uint32_t total, double loss);
/* Fails with what the watch says. */
MUST_USE struct error *work_watch(struct work *work, double fraction);
/* The selected rows, as the job's features show them, with their labels. */
struct softmax_problem work_problem(const struct work *work, bool test);
/* The site's part of the round, as the job says, from `initial`. */
MUST_USE struct error *work_optimise(struct work *work, const struct softmax_problem *problem,
                                     const double *initial, double *ret_parameters,
                                     struct training_result *ret_result);
/* What training would be refused for, before a row is read: this optimiser, an answer of so many bytes, too few rows (of a
 * private job: declared). */
MUST_USE struct error *work_foresee_training(const struct work *work);
MUST_USE struct error *work_foresee_bytes(const struct work *work, size_t bytes);
/* The output rules are those of now: the owner may have changed them while the step was in hand. */
struct release_context work_release_context(struct work *work);
/* Takes over what the airlock let out. */
MUST_USE struct error *work_hand_out(const struct work *work, const struct release_outcome *outcome,
                                     struct trainer_answer *ret_answer);

/* The run begins with its first Train; a round that is over is not trained again. */
MUST_USE struct error *work_begin(struct work *work);
/* An evaluation joins a run that goes on; the airlock says why when there is none. */
MUST_USE struct error *work_join(struct work *work);

/* ---- trainer_noised.c: of a private job ---- */

/* The trainer's source of what protects records. */
MUST_USE struct error *work_noise(struct work *work, struct noise **ret_noise);

/* What this site adds to a sum, before noise. Wiped. */
struct contribution {
    int64_t *values;     /* [parameters] */
    uint64_t *confusion; /* [counts] */
    size_t parameters, counts;
    struct release_contribution about; /* borrows them */
};
/* Reads rows with `model` [vector->model], the model that the round begins with. */
MUST_USE struct error *work_contribute(struct work *work, const struct secagg_vector *vector,
                                       const double *model, struct contribution *contribution);
void contribution_clear(struct contribution *contribution);

/* ---- one function a kind of step: trainer_clear.c, trainer_private.c, trainer_mask.c ---- */

MUST_USE struct error *work_train(struct work *work, struct trainer_answer *ret_answer);
MUST_USE struct error *work_evaluate(struct work *work, struct trainer_answer *ret_answer);
MUST_USE struct error *work_train_private(struct work *work, struct trainer_answer *ret_answer);
MUST_USE struct error *work_evaluate_private(struct work *work, struct trainer_answer *ret_answer);
MUST_USE struct error *work_foresee_mask(const struct work *work);
MUST_USE struct error *work_mask(struct work *work, struct trainer_answer *ret_answer);
MUST_USE struct error *work_sum(struct work *work);
