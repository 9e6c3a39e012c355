#include "learning/metrics.h"

#include <math.h>

struct error *metrics_confusion(const uint16_t *labels, const uint16_t *predicted, size_t count,
                                size_t classes, uint64_t *ret_confusion)
{
    struct error *err = NULL;
    for (size_t i = 0; i < count; i++)
        if (labels[i] >= classes || predicted[i] >= classes)
            FAIL(ERROR_INVALID, "The label or the prediction at position %zu is not one of the %zu classes.",
                 i, classes);
    memset(ret_confusion, 0, classes * classes * sizeof(*ret_confusion));
    for (size_t i = 0; i < count; i++)
        metrics_count(ret_confusion, classes, labels[i], predicted[i]);
done:
    return err;
}

struct error *metrics_add(uint64_t *total, const uint64_t *part, size_t classes)
{
    struct error *err = NULL;
    for (size_t i = 0; i < classes * classes; i++)
        if (total[i] > UINT64_MAX - part[i])
            FAIL(ERROR_LIMIT, "Adding two confusion matrices exceeds the largest count.");
    for (size_t i = 0; i < classes * classes; i++)
        total[i] += part[i];
done:
    return err;
}

uint64_t metrics_total(const uint64_t *confusion, size_t classes)
{
    uint64_t total = 0;
    for (size_t i = 0; i < classes * classes; i++)
        total += confusion[i];
    return total;
}

uint64_t metrics_correct(const uint64_t *confusion, size_t classes)
{
    uint64_t correct = 0;
    for (size_t c = 0; c < classes; c++)
        correct += confusion[c * classes + c];
    return correct;
}

double metrics_accuracy(const uint64_t *confusion, size_t classes)
{
    uint64_t total = metrics_total(confusion, classes);
    return total == 0 ? (double)NAN : (double)metrics_correct(confusion, classes) / (double)total;
}
