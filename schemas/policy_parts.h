/* What the policy*.c files share. Nobody else includes it. */
#pragma once

#include "schemas/policy.h"

/* NULL-terminated; the place in a table is the value of the enum, or of the bit. */
extern const char *const policy_action_words[];
extern const char *const policy_list_words[];
extern const char *const policy_hold_words[];

/* What `secure_aggregation` may say, read into a struct policy. */
extern const struct document_key policy_secure_keys[];
/* What `secure_aggregation: {}` means. */
struct policy_secure_aggregation policy_secure_default(void);
/* Into a struct policy_privacy. */
MUST_USE struct error *policy_read_privacy(const struct document_value *value, void *ret_privacy);
/* Only the form; policy_read_partners reads them, once the site's own organisation is known. */
MUST_USE struct error *policy_expect_partners(const struct document_value *value, void *ret_policy);
MUST_USE struct error *policy_read_partners(const struct document_value *partners, struct policy *policy);

/* The policy of an empty file. */
MUST_USE struct error *policy_new(struct policy **ret_policy);
