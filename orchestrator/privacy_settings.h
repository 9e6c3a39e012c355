/* Settings of the accountant as words of the command line: numbers, SIGMA:RATE:STEPS, the name of an accountant. What is not
 * such a word is ERROR_USAGE and names the option; ranges are the accountant's (crypto/privacy.h). Pure. */
#pragma once

#include "crypto/privacy.h"

/* Of --examples: a whole number that float64 and JSON have. */
#define PRIVACY_MAX_EXAMPLES ((uint64_t)1000000000000000)

/* `text` NULL, "--option is missing." */
MUST_USE struct error *privacy_settings_number(const char *option, const char *text, double *ret_number);

/* "SIGMA:RATE:STEPS", such as 1.1:0.0043:14063. */
MUST_USE struct error *privacy_settings_event(const char *text, struct privacy_event *ret_event);

/* "pld", "rdp", "gaussian"; NULL is pld. */
MUST_USE struct error *privacy_settings_accountant(const char *text, enum privacy_accountant *ret_accountant);

/* What the accountant refuses, or cannot tell, when all that it was asked came from options: wrong usage. Others, and NULL, stay as
 * they are. */
MUST_USE struct error *privacy_settings_usage(struct error *error);

/* What is wrong with this delta for so many records (0: not known), for a person: a mechanism that publishes one record in
 * 1/delta may keep to it. "" when nothing is. */
#define PRIVACY_WARNING_BYTES 256
void privacy_settings_warning(double delta, uint64_t examples,
                              char ret_warning[static PRIVACY_WARNING_BYTES]);
