/* A site whose jobs spend privacy: datasets made of numbered records, approved private jobs, and their runs, without a network
 * and without anything that is computed of rows. */
#pragma once

#include "datasite/budget.h"
#include "tests/unit/datasite/workspace.h"

#define SPENDER_NOW 1790000000
#define SPENDER_ROWS 40

struct spender {
    struct workspace *workspace;
    struct store *store;
    uint32_t jobs; /* made so far: each has bytes of its own */
};

/* cmocka set-up and tear-down: *state is a struct spender, whose dataset "made" has the records 0 to SPENDER_ROWS - 1. */
int spender_make(void **state);
int spender_remove(void **state);
/* Closes the store, and opens it again. */
void spender_pause(struct spender *spender);
void spender_resume(struct spender *spender);

/* Stores the records numbers[0 … count - 1]: the same number is the same record, whatever the dataset is called. */
void spender_import(struct spender *spender, const char *name, const uint32_t *numbers, size_t count);
/* The records from `first` on. */
void spender_import_range(struct spender *spender, const char *name, uint32_t first, size_t count);
struct dataset_info spender_dataset(struct spender *spender, const char *name);
struct budget_state spender_state(struct spender *spender, const char *dataset);
void spender_set(struct spender *spender, const char *dataset, double epsilon, double delta,
                 enum budget_filter filter);

/* What a test wants in a job; zero fields: dataset made, dp-sgd, noise 1, rate 0.01, 1 step, 1 round, delta 1e-6, no metrics. */
struct spender_words {
    const char *dataset, *mechanism;
    double noise, rate, delta, metrics_noise;
    uint32_t steps, rounds;
    bool metrics_all;
};
/* The caller frees. */
struct job *spender_job(struct spender *spender, const struct spender_words *words);
struct budget_offer spender_offer(struct spender *spender, const struct spender_words *words);
/* As if the owner had approved it for all that it asks, `runs` times; cleared with approval_clear. */
struct approval spender_approved(struct spender *spender, const struct spender_words *words, uint32_t runs);

/* Steps of the run whose id is 16 times `mark`; with the functions of budget.h. */
struct error *spender_run(struct spender *spender, const struct approval *approval, uint8_t mark);
struct error *spender_begin(struct spender *spender, const struct approval *approval, uint8_t mark,
                            uint32_t round, enum budget_use use);
/* In a transaction of its own, as the airlock's. */
struct error *spender_settle(struct spender *spender, const struct approval *approval, uint8_t mark,
                             uint32_t round, enum budget_use use);
void spender_end(struct spender *spender, const struct approval *approval, uint8_t mark);

int64_t spender_count(struct spender *spender, const char *sql);
/* SQL that must work, with the triggers of the ledger taken away first. */
void spender_forge(struct spender *spender, const char *sql);
