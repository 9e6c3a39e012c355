/* An orchestrator for the sites of masked_sites.h that does every step with messages to their handlers, and whose whole
 * traffic is in wire_record.h. What it does by itself is well-behaved; a test that attacks calls the functions of single
 * messages with what it likes. */
#pragma once

#include "tests/unit/datasite/masked_sites.h"
#include "tests/unit/datasite/wire_record.h"

/* cmocka set-up (tear-down: masked_remove): as masked_make, with a run id of its own. */
int driver_make(void **state);
/* Submits and approves the job at all sites, and makes a batch of MASKED_BATCH slots from 0. */
void driver_begin(struct masked_sites *masked, const struct masked_words *words);
void driver_batch(struct masked_sites *masked, uint32_t first_slot);

/* Shares that all sites gave about a slot, as the record has it. */
size_t driver_given(struct masked_sites *masked, uint32_t slot);
/* None: nothing of any site was revealed. */
void driver_expect_silence(struct masked_sites *masked, uint32_t slot);

/* ---- single messages ---- */

struct reply driver_advertise(struct masked_sites *masked, uint32_t position, uint32_t first_slot);
struct reply driver_share(struct masked_sites *masked, uint32_t position, const struct secagg_advert *adverts,
                          size_t count);
struct reply driver_mask(struct masked_sites *masked, const struct masked_mask *mask);
struct reply driver_agree(struct masked_sites *masked, const struct secagg_attempt *about, uint32_t position,
                          const struct secagg_input *inputs, size_t count);
struct reply driver_unmask(struct masked_sites *masked, const struct secagg_attempt *about, uint32_t position,
                           const struct secagg_agreement *agreements, size_t count);
struct reply driver_sum(struct masked_sites *masked, uint32_t position, Fds__Sum *sum);

/* What a reply gives; takes it over. */
struct secagg_advert driver_advert(struct masked_sites *masked, struct reply reply);
struct secagg_agreement driver_agreement(struct masked_sites *masked, uint32_t position, struct reply reply);
/* By the plan of attempt->u3; the caller frees `revealed`. */
struct secagg_unmasking driver_unmasking(const struct masked_attempt *attempt, uint32_t position,
                                         struct reply reply);

/* A Mask with zeros and all sites as sharers. */
struct masked_mask driver_first(uint32_t position, uint32_t round, uint32_t attempt, uint32_t slot);

/* ---- whole steps ---- */

/* The job begun; attempt 0 of round 1 in slot 0, with everybody's vector. */
void driver_collect_first(struct masked_sites *masked, struct masked_attempt *attempt);

/* Of everybody in `contributors`, with attempt->u2. */
void driver_collect(struct masked_sites *masked, struct masked_attempt *attempt, const uint32_t *contributors,
                    size_t count, Fds__Sum *previous);
/* All contributors. */
void driver_agree_all(struct masked_sites *masked, struct masked_attempt *attempt);
/* All contributors; then the secrets, and the sum without masks. */
void driver_unmask_all(struct masked_sites *masked, struct masked_attempt *attempt);
/* All three. */
void driver_round(struct masked_sites *masked, struct masked_attempt *attempt, const uint32_t *contributors,
                  size_t count, Fds__Sum *previous);
