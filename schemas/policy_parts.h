/* What the policy*.c files share. Nobody else includes it. */
#pragma once

#include "schemas/policy.h"

/* NULL-terminated; the place in a table is the value of the enum, or of the bit. */
extern const char *const policy_action_words[];
extern const char *const policy_list_words[];
extern const char *const policy_hold_words[];

/* The policy of an empty file. */
MUST_USE struct error *policy_new(struct policy **ret_policy);
