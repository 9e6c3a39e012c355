/* A directory of its own for each test, the small real data set, and checks of refusals. */
#pragma once

#include "datasite/import.h"
#include "tests/unit/cmocka_all.h"

struct workspace {
    char path[64];             /* relative to the test's working directory */
    struct identity *identity; /* signs the events of workspace_store */
    char database[80];
    char images[512], labels[512]; /* the training files of the subset: 2000 rows */
};

/* cmocka set-up and tear-down: *state is a struct workspace. */
int workspace_make(void **state);
int workspace_remove(void **state);

/* "<workspace>/<name>" in a buffer of the caller. */
const char *workspace_file(const struct workspace *workspace, const char *name, char ret_path[static 160]);
void workspace_write(const char *path, const void *data, size_t bytes);
bool workspace_has(const struct workspace *workspace, const char *name);
size_t workspace_entries(const char *path);

/* Fails the test with the sentence of a failure that should not be. */
void must(struct error *err);
/* Expects this kind of failure, with these words in its sentence; frees it. */
void refused(struct error *err, enum error_code code, const char *words);

/* A new site.db, or the one that is there. */
struct store *workspace_store(const struct workspace *workspace);

/* An import of the subset under this name with nothing declared. */
struct import_request workspace_request(const char *name);
struct dataset_info workspace_import(struct store *store, const struct workspace *workspace,
                                     const struct import_request *request);
size_t workspace_datasets(struct store *store);
