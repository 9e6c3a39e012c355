/* Who this site takes part in a secure aggregation with, and what it asks of one. */
#include "schemas/policy_parts.h"

#include <strings.h>

#define POLICY_SECURE(name, from, to)                                                                        \
    {                                                                                                        \
        .key = #name, .type = DOCUMENT_COUNT, .first = (from), .last = (to),                                 \
        DOCUMENT_INTO(struct policy, gate.secure.name)                                                       \
    }

static const char *const policy_differences_words[] = {
    [POLICY_DIFFERENCES_ALLOW] = "allow", [POLICY_DIFFERENCES_REFUSE] = "refuse", NULL};

const char *policy_differences_word(enum policy_differences differences)
{
    return policy_differences_words[differences];
}

const struct document_key policy_secure_keys[] = {
    POLICY_SECURE(min_threshold, POLICY_MIN_THRESHOLD, JOB_MAX_SITES),
    POLICY_SECURE(min_colluding, POLICY_MIN_COLLUDING, JOB_MAX_SITES),
    POLICY_SECURE(min_organisations, 1, POLICY_MAX_ORGANISATIONS),
    {.key = "differences",
     .type = DOCUMENT_WORD,
     .words = policy_differences_words,
     DOCUMENT_INTO(struct policy, gate.secure.differences)},
    {.key = "require_verify_sum",
     .type = DOCUMENT_BOOLEAN,
     DOCUMENT_INTO(struct policy, gate.secure.require_verify_sum)},
    {.key = "max_examples",
     .type = DOCUMENT_COUNT,
     .nullable = true,
     .null_clears = true,
     .first = 1,
     .last = POLICY_MAX_EXAMPLES,
     DOCUMENT_INTO(struct policy, gate.secure.max_examples)},
    {0},
};

struct policy_secure_aggregation policy_secure_default(void)
{
    return (struct policy_secure_aggregation){.min_threshold = POLICY_MIN_THRESHOLD,
                                              .min_colluding = POLICY_MIN_COLLUDING,
                                              .min_organisations = POLICY_MIN_ORGANISATIONS};
}

/* One entry of the list, before its organisation has a number. */
struct partner_entry {
    char fingerprint[JOB_FINGERPRINT_BYTES];
    char organisation[JOB_NAME_BYTES];
};

static const struct document_key policy_partner_keys[] = {
    {.key = "fingerprint",
     .type = DOCUMENT_FINGERPRINT,
     .required = true,
     DOCUMENT_INTO(struct partner_entry, fingerprint)},
    {.key = "organisation",
     .type = DOCUMENT_NAME,
     .required = true,
     DOCUMENT_INTO(struct partner_entry, organisation)},
    {0},
};

/* The number of an organisation, a new one if need be. Two spellings of one name would count as two organisations, so
 * they are refused. */
static struct error *policy_number(const struct document_value *element, const char *name,
                                   struct policy *policy, uint16_t *ret_number)
{
    size_t count = policy->organisation_count;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(policy->organisations[i], name) == 0) {
            *ret_number = (uint16_t)i;
            return NULL;
        }
        if (strcasecmp(policy->organisations[i], name) == 0)
            return document_error(element, ERROR_INVALID,
                                  "has the organisation %s, which is also written %s here: one organisation "
                                  "needs one spelling.",
                                  name, policy->organisations[i]);
    }
    if (count == POLICY_MAX_ORGANISATIONS)
        return document_error(element, ERROR_INVALID,
                              "has organisation number %d; partners may be of %d, this site's own included.",
                              POLICY_MAX_ORGANISATIONS + 1, POLICY_MAX_ORGANISATIONS);
    memcpy(policy->organisations[count], name, strlen(name) + 1);
    policy->organisation_count = count + 1;
    *ret_number = (uint16_t)count;
    return NULL;
}

static struct error *policy_read_partner(const struct document_value *element, struct policy *policy)
{
    struct error *err = NULL;
    struct policy_gate *gate = &policy->gate;
    struct partner_entry entry = {.fingerprint = ""};
    uint16_t number = 0;
    TRY(document_read(element, policy_partner_keys, &entry));
    for (size_t i = 0; i < gate->partner_count; i++) {
        if (strcmp(gate->partners[i].fingerprint, entry.fingerprint) != 0)
            continue;
        err = document_error(element, ERROR_INVALID, "has the fingerprint of partners[%zu] again.", i + 1);
        goto done;
    }
    TRY(policy_number(element, entry.organisation, policy, &number));
    struct policy_partner *partner = &gate->partners[gate->partner_count++];
    memcpy(partner->fingerprint, entry.fingerprint, sizeof(partner->fingerprint));
    partner->organisation = number;
done:
    return err;
}

struct error *policy_read_partners(const struct document_value *partners, struct policy *policy)
{
    struct error *err = NULL;
    size_t count = 0;
    TRY(document_list(partners, 0, POLICY_MAX_PARTNERS, &count));
    for (size_t i = 0; i < count; i++) {
        struct document_value element = document_element(partners, i);
        TRY(policy_read_partner(&element, policy));
    }
done:
    return err;
}

struct error *policy_expect_partners(const struct document_value *value, void *ret_policy)
{
    size_t ignored = 0;
    (void)ret_policy;
    return document_list(value, 0, POLICY_MAX_PARTNERS, &ignored);
}

const struct policy_partner *policy_gate_partner(const struct policy_gate *gate, const char *fingerprint)
{
    for (size_t i = 0; i < gate->partner_count; i++) {
        if (strcmp(gate->partners[i].fingerprint, fingerprint) == 0)
            return &gate->partners[i];
    }
    return NULL;
}
