/* A site's home for tests of the owner's verbs as they are typed: a home, a dataset "made" of two rows and no job. */
#pragma once

#include "console/verbs.h"
#include "datasite/home.h"
#include "tests/unit/datasite/workspace.h"

#define BENCH_NOW 1790000000

struct bench {
    struct workspace *workspace;
    char home[160], out[160];
    char own[FINGERPRINT_BYTES];
};

/* cmocka set-up and tear-down: *state is a struct bench. */
int bench_make(void **state);
int bench_remove(void **state);

/* The home's store, to write in. */
void bench_store(const struct bench *bench, struct home **home, struct identity **identity,
                 struct store **store);
void bench_store_close(struct home *home, struct identity *identity, struct store *store);
void bench_write_policy(const struct bench *bench, const char *text);

/* Sets an option of a verb; `text` NULL takes it back. */
void bench_give(const struct verb *verb, const char *name, const char *text);
/* Runs a verb with its standard output in the file "out". */
struct error *bench_type(const struct bench *bench, const struct verb *verb, const char *argument);
/* What the last one printed; malloc'ed. */
char *bench_printed(const struct bench *bench);
void bench_expect_printed(const struct bench *bench, const char *words);
void bench_expect_not_printed(const struct bench *bench, const char *words);
