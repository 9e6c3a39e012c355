/* What every optimiser of this room shares: how its caller watches and stops it, and how it says that it
 * ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Called on the thread that started the training, between steps, never during one. `done` of `total` steps
 * (batches of SGD, iterations of L-BFGS) are behind; `loss` is the objective as that optimiser reports it.
 * Returning false stops the training there (a deadline, a cancelled job): it then succeeds with
 * TRAINING_STOPPED. A NULL progress, or a NULL function, never stops. */
struct training_progress {
    bool (*keep_going)(void *context, uint32_t done, uint32_t total, double loss);
    void *context;
};

enum training_end {
    TRAINING_COMPLETE,  /* all steps that were asked for */
    TRAINING_CONVERGED, /* the gradient fell below the tolerance before that */
    TRAINING_STALLED,   /* no step along the search direction improves any more: the precision is used up */
    TRAINING_STOPPED    /* the progress callback said so; the parameters are those of that moment */
};

struct training_result {
    enum training_end end;
    uint32_t steps; /* that were taken */
    double loss;    /* as last reported to the callback */
};

/* "complete", "converged", "stalled", "stopped". */
const char *training_end_word(enum training_end end);

/* Asks the callback; true when there is none. */
bool training_keep_going(const struct training_progress *progress, uint32_t done, uint32_t total,
                         double loss);
