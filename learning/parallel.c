#include "learning/parallel.h"

void parallel_run(const struct parallel *parallel, size_t tasks, void (*task)(void *argument, size_t index),
                  void *argument)
{
    if (parallel != NULL && parallel->run != NULL && tasks > 1) {
        parallel->run(parallel->context, tasks, task, argument);
        return;
    }
    for (size_t index = 0; index < tasks; index++)
        task(argument, index);
}
