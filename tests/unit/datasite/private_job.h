/* Jobs with a mechanism of privacy, features or statistics, submitted to a site and approved in its owner's place. */
#pragma once

#include "tests/unit/datasite/site.h"

/* Whole lines or values of the job file; NULL takes what is in brackets. */
struct private_words {
    const char *name;       /* ["private"] */
    const char *model;      /* [{kind: softmax-regression}] */
    const char *training;   /* [{optimizer: sgd, learning_rate: 0.5, momentum: 0.5}]; "": no such line */
    const char *evaluation; /* [{test_fraction: 0.5}] */
    const char *federation; /* after rounds: [min_sites: 1] */
    const char *
        privacy; /* [{mechanism: dp-sgd, clip: 1, noise_multiplier: 8, delta: 1e-5, sampling_rate: 0.1, steps: 4}] */
    const char *features; /* [no such line] */
    const char *examples; /* of the site: ["3000"]; "": none */
    uint32_t rounds;      /* [3] */
};

#define PRIVATE_DP_SGD                                                                                       \
    "{mechanism: dp-sgd, clip: 1, noise_multiplier: 8, delta: 1e-5, sampling_rate: 0.1, steps: 4}"
#define PRIVATE_DP_SGD_COUNTS                                                                                \
    "{mechanism: dp-sgd, clip: 1, noise_multiplier: 8, delta: 1e-5, sampling_rate: 0.1, steps: 4, "          \
    "metrics_noise: 8"
#define PRIVATE_SITE_LEVEL "{mechanism: site-level, clip: 1, noise_multiplier: 8, delta: 1e-5}"

void private_job(const struct site *site, const struct private_words *words,
                 char ret_text[static SITE_JOB_BYTES]);
/* Submits it and approves all of it, for so many runs (0: one). */
void private_approved(struct site *site, const struct private_words *words, uint32_t runs);

/* The message inside a Released; takes `reply` over. Freed with wire_update_free, wire_evaluation_free. */
Fds__Update *private_update(const struct site *site, struct reply reply);
Fds__Evaluation *private_evaluation(const struct site *site, struct reply reply);
