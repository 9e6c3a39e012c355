/* Bodies of messages, decoded and checked: sizes, ranges, finiteness, before any program looks at a value.
 *
 * For every message kind M of schemas/datasite.proto that a program handles there is
 *     struct error *wire_<m>_decode(bytes, n, Fds__M **ret_m)    ERROR_INVALID names message and field
 *     void          wire_<m>_free(Fds__M *m)                     accepts NULL
 *
 * Encoding: wire_encode(&message.base, &bytes, &n) for any of them; *ret_bytes is malloc'ed.
 */
#pragma once

#include "schemas/error.h"

#include "schemas/datasite.pb-c.h"

#include <stdint.h>

#define WIRE_JOB_ID_BYTES 32
#define WIRE_RUN_ID_BYTES 16
#define WIRE_MAX_CLASSES 1024
#define WIRE_MAX_FEATURES (1u << 20)
/* Kinds of datasets, in words: pixels of one byte, or float64 columns. */
#define WIRE_KIND_BYTES "bytes"
#define WIRE_KIND_NUMBERS "numbers"
#define WIRE_MOCK_MAX_ROWS 10000
#define WIRE_MOCK_MAX_BYTES (64u << 20) /* of the rows of one mock dataset, without labels */
/* Of secure aggregation: attempts of a round, slots that one run may ever advertise, and those of one advert. */
#define WIRE_MAX_ATTEMPTS 8
#define WIRE_MAX_SLOTS 4096
#define WIRE_MAX_BATCH 64
/* A count, or an accuracy, that the site's output gate withholds: not released, and never to be read as a number. */
#define WIRE_WITHHELD UINT64_MAX
#define WIRE_WITHHELD_REAL (-1.0)

MUST_USE struct error *wire_encode(const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_count);

/* Greeting: protocol 1, name and software at most 64 bytes of printable UTF-8. */
MUST_USE struct error *wire_greeting_decode(const uint8_t *bytes, size_t count, Fds__Greeting **ret_greeting);
void wire_greeting_free(Fds__Greeting *greeting);
/* Refusal: sentence at most 1023 bytes; control characters become '?', an unknown code becomes ERROR_REFUSED.
 */
MUST_USE struct error *wire_refusal_decode(const uint8_t *bytes, size_t count, Fds__Refusal **ret_refusal);
void wire_refusal_free(Fds__Refusal *refusal);
MUST_USE struct error *wire_submit_decode(const uint8_t *bytes, size_t count, Fds__Submit **ret_submit);
void wire_submit_free(Fds__Submit *submit);
MUST_USE struct error *wire_job_query_decode(const uint8_t *bytes, size_t count, Fds__JobQuery **ret_query);
void wire_job_query_free(Fds__JobQuery *query);
MUST_USE struct error *wire_job_status_decode(const uint8_t *bytes, size_t count,
                                              Fds__JobStatus **ret_status);
void wire_job_status_free(Fds__JobStatus *status);
/* Train, Evaluate, Update: ids of exact length, round >= 1, parameters a multiple of 8 bytes and all finite.
 * Their number against the model's shape is checked by wire_parameters_check. */
MUST_USE struct error *wire_train_decode(const uint8_t *bytes, size_t count, Fds__Train **ret_train);
void wire_train_free(Fds__Train *train);
/* Update: examples >= 1, seconds finite and >= 0, accuracies in 0..1, confusion counts square and at most
 * 2^53; or withheld. */
MUST_USE struct error *wire_update_decode(const uint8_t *bytes, size_t count, Fds__Update **ret_update);
void wire_update_free(Fds__Update *update);
MUST_USE struct error *wire_evaluate_decode(const uint8_t *bytes, size_t count, Fds__Evaluate **ret_evaluate);
void wire_evaluate_free(Fds__Evaluate *evaluate);
/* Evaluation: counts as in an Update; noised ones a square matrix, finite, and then no others. */
MUST_USE struct error *wire_evaluation_decode(const uint8_t *bytes, size_t count,
                                              Fds__Evaluation **ret_evaluation);
void wire_evaluation_free(Fds__Evaluation *evaluation);
MUST_USE struct error *wire_end_run_decode(const uint8_t *bytes, size_t count, Fds__EndRun **ret_end_run);
void wire_end_run_free(Fds__EndRun *end_run);

/* Released: a type that can leave, a body (not decoded), a receipt whose fields have their sizes. */
MUST_USE struct error *wire_released_decode(const uint8_t *bytes, size_t count, Fds__Released **ret_released);
void wire_released_free(Fds__Released *released);
MUST_USE struct error *wire_receipt_decode(const uint8_t *bytes, size_t count, Fds__Receipt **ret_receipt);
void wire_receipt_free(Fds__Receipt *receipt);
/* The same checks for one that is decoded already. */
MUST_USE struct error *wire_check_receipt(const Fds__Receipt *receipt);

/* CatalogQuery: a name, or none. Catalog: names in order, shapes in range, at most as many columns as features. */
MUST_USE struct error *wire_catalog_query_decode(const uint8_t *bytes, size_t count,
                                                 Fds__CatalogQuery **ret_query);
void wire_catalog_query_free(Fds__CatalogQuery *query);
MUST_USE struct error *wire_catalog_decode(const uint8_t *bytes, size_t count, Fds__Catalog **ret_catalog);
void wire_catalog_free(Fds__Catalog *catalog);
MUST_USE struct error *wire_mock_query_decode(const uint8_t *bytes, size_t count, Fds__MockQuery **ret_query);
void wire_mock_query_free(Fds__MockQuery *query);
/* Mock: at least one row, whole rows only, within the dataset, numbers finite, labels below classes. */
MUST_USE struct error *wire_mock_decode(const uint8_t *bytes, size_t count, Fds__Mock **ret_mock);
void wire_mock_free(Fds__Mock *mock);

/* The steps of secure aggregation (crypto/secagg.h): ids and everything of fixed width of exact length, round 1 to the
 * job's most + 1 (the evaluation after the last), attempt, slot and batch below the limits above, lists of positions
 * strictly ascending from 1 to JOB_MAX_SITES, from 3 sites on, entries of as many slots as are said, sealed shares in
 * whole, kinds of revealed shares 1 or 2. Words are a multiple of 4 bytes; their number is for whoever knows the job.
 * Inside one message: adverts are of its job, run and one batch, contributors are among the sharers, inputs and opened
 * secrets are all there or none, `previous` is of the round before. */
MUST_USE struct error *wire_advertise_decode(const uint8_t *bytes, size_t count,
                                             Fds__Advertise **ret_advertise);
void wire_advertise_free(Fds__Advertise *advertise);
MUST_USE struct error *wire_advert_decode(const uint8_t *bytes, size_t count, Fds__Advert **ret_advert);
void wire_advert_free(Fds__Advert *advert);
MUST_USE struct error *wire_share_decode(const uint8_t *bytes, size_t count, Fds__Share **ret_share);
void wire_share_free(Fds__Share *share);
MUST_USE struct error *wire_shares_decode(const uint8_t *bytes, size_t count, Fds__Shares **ret_shares);
void wire_shares_free(Fds__Shares *shares);
MUST_USE struct error *wire_mask_decode(const uint8_t *bytes, size_t count, Fds__Mask **ret_mask);
void wire_mask_free(Fds__Mask *mask);
MUST_USE struct error *wire_masked_input_decode(const uint8_t *bytes, size_t count,
                                                Fds__MaskedInput **ret_masked_input);
void wire_masked_input_free(Fds__MaskedInput *masked_input);
MUST_USE struct error *wire_agree_decode(const uint8_t *bytes, size_t count, Fds__Agree **ret_agree);
void wire_agree_free(Fds__Agree *agree);
MUST_USE struct error *wire_agreement_decode(const uint8_t *bytes, size_t count,
                                             Fds__Agreement **ret_agreement);
void wire_agreement_free(Fds__Agreement *agreement);
MUST_USE struct error *wire_unmask_decode(const uint8_t *bytes, size_t count, Fds__Unmask **ret_unmask);
void wire_unmask_free(Fds__Unmask *unmask);
MUST_USE struct error *wire_unmasking_decode(const uint8_t *bytes, size_t count,
                                             Fds__Unmasking **ret_unmasking);
void wire_unmasking_free(Fds__Unmasking *unmasking);
MUST_USE struct error *wire_sum_decode(const uint8_t *bytes, size_t count, Fds__Sum **ret_sum);
void wire_sum_free(Fds__Sum *sum);

/* ERROR_INVALID unless `count` bytes are (features + 1) * classes float64 values; the sentence gives both
 * shapes. */
MUST_USE struct error *wire_parameters_check(size_t count, uint64_t features, uint32_t classes);

/* Little-endian float64 to and from host numbers; `values` has `count` elements, `bytes` 8 * count. */
void wire_parameters_read(const uint8_t *bytes, size_t count, double *ret_values);
void wire_parameters_write(const double *values, size_t count, uint8_t *ret_bytes);

/* The error that a Refusal stands for, and the body of a Refusal for an error. */
MUST_USE struct error *wire_refusal_error(const Fds__Refusal *refusal);
MUST_USE struct error *wire_refusal_encode(const struct error *error, uint8_t **ret_bytes, size_t *ret_count);
