/* What a policy means, in sentences for its owner, on standard output. */
#pragma once

#include "schemas/policy.h"

/* "waits for you": the rest of a sentence about a job. */
const char *policy_words_action(enum policy_action action);
/* One numbered paragraph about a rule. */
void policy_words_rule(size_t number, const struct policy_rule *rule);
/* What is asked of every release, each line after `indent` blanks. */
void policy_words_output(const struct policy_output *output, int indent);
/* What a job with secure aggregation has to bring, and the sites that it may have. */
void policy_words_partners(const struct policy *policy);
/* The words of a set of bits with commas between them; "nothing" for none. */
void policy_words_bits(uint32_t bits, const char *const *words, char *ret_text, size_t text_bytes);
