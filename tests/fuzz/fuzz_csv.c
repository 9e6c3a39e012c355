/* Any bytes as a CSV file, with the label as numbers and as names: refused, or rows of finite numbers. */
#include "schemas/csv.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#define FUZZ_ROWS 100000 /* more than any input has */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void expect_rows(struct csv *csv, uint32_t limit)
{
    size_t features = csv_features(csv);
    double *values = calloc(features, sizeof(*values));
    uint32_t label = 0;
    bool more = values != NULL;
    for (size_t row = 0; more && row < FUZZ_ROWS; row++) {
        struct error *err = csv_next(csv, values, &label, &more);
        if (err != NULL) {
            error_free(err);
            break;
        }
        for (size_t i = 0; more && i < features; i++)
            expect(isfinite(values[i]));
        expect(!more || label < limit);
        expect(csv_progress(csv) >= 0 && csv_progress(csv) <= 1);
    }
    free(values);
}

static void expect_file(const char *path, const char *const *classes, size_t class_count)
{
    struct csv *csv = NULL;
    struct error *err = csv_open(path, "y", classes, class_count, &csv);
    if (err != NULL) {
        expect(csv == NULL);
        error_free(err);
        return;
    }
    expect_rows(csv, classes == NULL ? CSV_MAX_CLASSES : (uint32_t)class_count);
    csv_close(csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const classes[] = {"setosa", "virginica"};
    char path[64];
    int fd = memfd_create("csv", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (write(fd, data, size) == (ssize_t)size) {
        expect_file(path, NULL, 0);
        expect_file(path, classes, 2);
    }
    (void)close(fd);
    return 0;
}
