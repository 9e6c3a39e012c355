#include "learning/training.h"

#include <stddef.h>

const char *training_end_word(enum training_end end)
{
    switch (end) {
    case TRAINING_COMPLETE:
        return "complete";
    case TRAINING_CONVERGED:
        return "converged";
    case TRAINING_STALLED:
        return "stalled";
    case TRAINING_STOPPED:
        return "stopped";
    }
    return "unknown";
}

bool training_keep_going(const struct training_progress *progress, uint32_t done, uint32_t total, double loss)
{
    if (progress == NULL || progress->keep_going == NULL)
        return true;
    return progress->keep_going(progress->context, done, total, loss);
}
