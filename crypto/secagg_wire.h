/* Secure aggregation between the structs of crypto/secagg*.h and the messages of schemas/datasite.proto, for both
 * programs. Taking checks lengths, numbers and what a message is about, and no signature; where it fails, ERROR_INVALID
 * names the message and the field. Nothing here keeps a pointer into what it was given: what is taken is copied, and
 * messages that are made are malloc'ed throughout, as protobuf-c's own, so that the message they are put into frees them
 * (fds__share__free_unpacked and its like), or the functions here. */
#pragma once

#include "crypto/secagg_agree.h"
#include "crypto/secagg_sum.h"

#include "schemas/datasite.pb-c.h"

/* ---- Advert ---- */

MUST_USE struct error *secagg_wire_make_advert(const struct secagg_run *run,
                                               const struct secagg_advert *advert, Fds__Advert **ret_message);
/* Of this job and run. ret_advert: secagg_advert_clear. */
MUST_USE struct error *secagg_wire_take_advert(const struct secagg_run *run, const Fds__Advert *message,
                                               struct secagg_advert *ret_advert);
/* *ret_adverts [count]; count is 1 to SECAGG_MAX_SITES. */
MUST_USE struct error *secagg_wire_take_adverts(const struct secagg_run *run, Fds__Advert *const *messages,
                                                size_t count, struct secagg_advert **ret_adverts);
void secagg_wire_free_adverts(struct secagg_advert *adverts, size_t count); /* accepts NULL */

/* The keyset of a batch as it is kept: the bytes of a message Share (whatever else is in it is passed over). All checks of
 * secagg_keyset_make. */
MUST_USE struct error *secagg_wire_read_keyset(const struct secagg_run *run, const uint8_t *bytes,
                                               size_t byte_count, struct secagg_memo *memo,
                                               struct secagg_keyset **ret_keyset);

/* ---- InputStatement ---- */

/* *ret_messages [count]. */
MUST_USE struct error *secagg_wire_make_inputs(const struct secagg_input *inputs, size_t count,
                                               Fds__InputStatement ***ret_messages);
void secagg_wire_free_inputs(Fds__InputStatement **messages, size_t count); /* accepts NULL */
/* *ret_inputs [count], malloc'ed; count is 1 to SECAGG_MAX_SITES. */
MUST_USE struct error *secagg_wire_take_inputs(Fds__InputStatement *const *messages, size_t count,
                                               struct secagg_input **ret_inputs);

/* As a site keeps them with a list that it signed: digest || signature of each, in the order of the list. */
#define SECAGG_KEPT_INPUT_BYTES (DIGEST_BYTES + SIGNATURE_BYTES)
/* count * SECAGG_KEPT_INPUT_BYTES. */
void secagg_wire_write_inputs(const struct secagg_input *inputs, size_t count, uint8_t *ret_bytes);
/* *ret_inputs [positions.count], malloc'ed; ERROR_UNTRUSTED unless they are as many. */
MUST_USE struct error *secagg_wire_read_inputs(struct secagg_set positions, const uint8_t *bytes,
                                               size_t byte_count, struct secagg_input **ret_inputs);

/* ---- AgreementStatement ---- */

MUST_USE struct error *secagg_wire_make_agreements(const struct secagg_agreement *agreements, size_t count,
                                                   Fds__AgreementStatement ***ret_messages);
void secagg_wire_free_agreements(Fds__AgreementStatement **messages, size_t count); /* accepts NULL */
MUST_USE struct error *secagg_wire_take_agreements(Fds__AgreementStatement *const *messages, size_t count,
                                                   struct secagg_agreement **ret_agreements);

/* ---- Unmasking.revealed ---- */

/* count * SECAGG_REVEALED_BYTES. */
void secagg_wire_write_revealed(const struct secagg_revealed *revealed, size_t count, uint8_t *ret_bytes);
/* Fills the shares of a plan (secagg_reveal_plan) from what its site answered: as many, of the planned kinds, each a share
 * (shamir_share_check). ERROR_INVALID names the position; no share is filled then. */
MUST_USE struct error *secagg_wire_read_revealed(const uint8_t *bytes, size_t byte_count,
                                                 struct secagg_revealed *plan, size_t count);

/* ---- Sum.opened ---- */

#define SECAGG_OPENED_BYTES 32
/* count * SECAGG_OPENED_BYTES. */
void secagg_wire_write_opened(const struct secagg_opened *opened, size_t count, uint8_t *ret_bytes);
/* Kinds and positions follow from the sets; *ret_opened [sharers.count], malloc'ed. Secrets are not checked here
 * (secagg_opened_check). */
MUST_USE struct error *secagg_wire_read_opened(struct secagg_set sharers, struct secagg_set contributors,
                                               const uint8_t *bytes, size_t byte_count,
                                               struct secagg_opened **ret_opened);
