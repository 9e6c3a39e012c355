/* Shared by store_run.c, which writes run.db, and store_run_load.c, which reads it back. */
#pragma once

#include "database/database.h"
#include "orchestrator/run_store.h"

extern const struct database_kind run_database;

/* Numbers in a model, and in a confusion matrix. */
static inline size_t store_run_parameters(const struct run_record *record)
{
    return ((size_t)record->features + 1) * record->classes;
}

static inline size_t store_run_cells(const struct run_record *record)
{
    return (size_t)record->classes * record->classes;
}
