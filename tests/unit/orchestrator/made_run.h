/* Runs made up for the tests: two sites, counts that follow from the numbers of round, site and class, so
 * that a test can say what has to come out. */
#pragma once

#include "orchestrator/run_record.h"

#include "../cmocka_all.h"

#define MADE_FEATURES 3
#define MADE_CLASSES 2

/* A run of `rounds` rounds by "North" and "South" that is over; everything was released.
 *
 * Round r, site s: 100 * (s + 1) training rows, train accuracy 0.5 + r / 100 + s / 1000,
 * confusion {50 + r, 10 - r, 20 - r, 20 + r + s}; pooled: {100 + r, 20 - r, 40 - r, 40 + r}; no global test.
 * model[i] = r + i / 8. Run id: bytes 0xa0, 0xa1, …; times: 2027-01-02T03:04:05Z and 10 and 20 seconds later.
 */
struct run_record *made_run(uint32_t rounds);

/* The same with other names of sites in the job file (as YAML scalars), any number of them, and another line
 * of evaluation settings, e.g. "metrics: none". */
struct run_record *made_run_of(uint32_t rounds, const char *const *names, size_t name_count,
                               const char *evaluation, uint64_t features, uint32_t classes);

/* A run of `rounds` rounds of four sites under secure aggregation, pooled counts as above, and the evaluation after them.
 * Round r: r attempts, of 4 sharers 3 contributors with 600 + r examples together; "Site 3" is late. No receipts. */
struct run_record *made_masked_run(uint32_t rounds);

/* A private run of `rounds` rounds by "North" and "South" with receipts: the keys of `privacy` beside metrics_noise 5 in all
 * rounds, declared examples 1000 and 2000, noised counts {100.5 + r, -2.5, 3.25, 90} of both sites. */
struct run_record *made_private_run(uint32_t rounds, const char *privacy);
/* The same of distributed-dp, noise multiplier 2, by "Site 1" to "Site 4" under secure aggregation, as made_masked_run: "Site 3"
 * is late in every round. */
struct run_record *made_private_masked_run(uint32_t rounds);

/* The whole file as text, NUL-terminated; the test fails if it cannot be read. The caller frees. */
char *made_text(const char *path);

/* cmocka set-up and tear-down: an empty directory in the working directory, its path (a char *) in *state. */
int made_directory(void **state);
int made_directory_remove(void **state);
#define MADE_TEST(function) cmocka_unit_test_setup_teardown(function, made_directory, made_directory_remove)

/* "<directory>/<name>"; the caller frees. */
char *made_path(const char *directory, const char *name);

void made_fine(struct error *err);
/* The error has this code and its sentence holds `text`. Frees it. */
void made_refusal(struct error *err, enum error_code code, const char *text);
