/* What an owner looks at before held numbers leave: figures about one answer, computed here and shown to nobody else.
 *
 *     held_look: the stored body of a held answer, verified against its event, and what it says
 */
#pragma once

#include "datasite/store.h"
#include "schemas/job.h"

#define HELD_TOP 5 /* coefficients that are named */
#define HELD_RUN_BYTES (2 * STORE_RUN_ID_BYTES + 1)
#define HELD_FEATURE_BYTES 80
#define HELD_CLASS_BYTES 80

struct held_coefficient {
    double value;
    bool intercept;
    uint32_t class_number;
    uint64_t feature;                                                    /* not of an intercept */
    char class_name[HELD_CLASS_BYTES], feature_name[HELD_FEATURE_BYTES]; /* names, or numbers without any */
};

struct held_look {
    struct answer answer; /* without its body */
    uint64_t body_bytes;
    /* Of an update: */
    uint64_t features;
    uint32_t classes;
    size_t count;                 /* coefficients, intercepts included */
    double norm, lowest, highest; /* of the parameters */
    struct held_coefficient top[HELD_TOP];
    size_t top_count;
    bool has_examples;
    uint64_t examples;
    bool has_previous; /* an update of this job was released before */
    uint32_t previous_round;
    double difference_norm, cosine; /* from it to this one; cosine NaN when one of them is zero */
    /* Of both, as they would leave: */
    bool has_accuracy;
    double train_accuracy;
    uint64_t test_rows, correct, cells, withheld; /* cells 0: no confusion matrix; withheld: of the cells */
    uint64_t noised;                              /* counts with noise, of a private job; 0: none */
};

/* `listed` is an answer of store_held, `job` and `dataset` those that it is of. Coefficients of feature-statistics have two classes, mean
 * and mean square. ERROR_UNTRUSTED when the stored body is not the one that was
 * held. */
MUST_USE struct error *held_look(struct store *store, const struct answer *listed, const struct job *job,
                                 const struct dataset_info *dataset, struct held_look *ret_look);

/* "update", "evaluation". */
const char *held_kind_word(enum answer_kind kind);
void held_run_hex(const uint8_t run_id[static STORE_RUN_ID_BYTES], char ret_hex[static HELD_RUN_BYTES]);
