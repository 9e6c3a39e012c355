#include "console/verbs.h"
#include "crypto/identity.h"
#include "datasite/home.h"
#include "schemas/text.h"

extern const struct verb verb_trust_partner;

static struct {
    const char *organisation;
} partner_given;

static const struct option *partner_options(void)
{
    static const struct option options[] = {
        {.name = "organisation",
         .kind = OPTION_TEXT,
         .target = &partner_given.organisation,
         .value = "NAME",
         .help = "who runs the sites (required); the same name for all sites of one organisation"},
        {0},
    };
    return options;
}

/* What stands in policy.yaml of a site already, or "". */
static void partner_print_known(const struct policy *policy, const char *fingerprint)
{
    const struct policy_partner *partner = policy_gate_partner(&policy->gate, fingerprint);
    if (partner == NULL)
        return;
    (void)printf("%s is there already, of %s.\n", fingerprint,
                 partner->organisation == POLICY_OWN_ORGANISATION
                     ? "your own organisation"
                     : policy->organisations[partner->organisation]);
}

static struct error *partner_check(const struct identity *identity, const char *fingerprint)
{
    struct error *err = NULL;
    struct site_id site;
    TRY(site_id_parse(fingerprint, &site));
    if (site_id_equal(&site, identity_id(identity)))
        FAIL(ERROR_INVALID,
             "This is the fingerprint of this very site, which takes part in any case; `partners` are the "
             "others.");
done:
    return err;
}

static void partner_print(const struct invocation *invocation, const struct policy *policy, const char *path)
{
    size_t fresh = 0;
    for (int i = 0; i < invocation->argument_count; i++)
        partner_print_known(policy, invocation->arguments[i]);
    for (int i = 0; i < invocation->argument_count; i++)
        fresh += policy_gate_partner(&policy->gate, invocation->arguments[i]) == NULL;
    if (fresh == 0)
        return;
    (void)printf("In %s, %s\n", path,
                 policy->gate.partner_count == 0 ? "in the place of `partners: []`:\n  partners:"
                                                 : "under `partners`:");
    for (int i = 0; i < invocation->argument_count; i++) {
        const char *fingerprint = invocation->arguments[i];
        if (policy_gate_partner(&policy->gate, fingerprint) == NULL)
            (void)printf("    - {fingerprint: \"%s\", organisation: %s}\n", fingerprint,
                         partner_given.organisation);
    }
    (void)printf("Before you write it, have their owners, and not the requester, tell you the fingerprints: "
                 "`%s status`\nprints each its own. Whoever could add sites to a job would subtract them "
                 "from its sums, and have yours.\n`%s serve` that runs takes it over within two seconds.\n",
                 invocation->program, invocation->program);
}

static struct error *partner_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct policy *policy = NULL;
    struct identity *identity = NULL;
    if (partner_given.organisation == NULL)
        FAIL(ERROR_USAGE, "--organisation is required: who runs the site, one name for all sites that they "
                          "run.");
    if (!text_name(partner_given.organisation, JOB_NAME_BYTES - 1))
        FAIL(ERROR_USAGE, "--organisation is a name of 1 to %d of A-Z a-z 0-9 . - _.", JOB_NAME_BYTES - 1);
    TRY(home_open(invocation->home, &home));
    TRY(policy_load(home->policy_path, &policy));
    TRY(identity_load(home->keys_path, &identity));
    for (int i = 0; i < invocation->argument_count; i++)
        TRY(partner_check(identity, invocation->arguments[i]));
    partner_print(invocation, policy, home->policy_path);
done:
    identity_free(identity);
    policy_free(policy);
    home_free(home);
    return err;
}

const struct verb verb_trust_partner = {
    .name = "trust partner",
    .summary = "Say what to write into policy.yaml for sites in a secure aggregation with yours",
    .arguments = "FINGERPRINT...",
    .detail = "A job with secure aggregation lets the requester see the sum over its sites alone. That hides "
              "your numbers\n"
              "only among sites that are not the requester's own: your site takes part when every other one "
              "is in\n"
              "`partners` of policy.yaml, with the organisation that runs it. This prints the lines; nothing "
              "is written.\n"
              "`datasite show JOB_ID` names the sites of a job that are missing, and `datasite status` the "
              "fingerprint of\n"
              "your own for the owners of others.\n\n"
              "Example:\n"
              "  datasite trust partner sha256:1f2e… --organisation city-hospital",
    .minimum_arguments = 1,
    .maximum_arguments = -1,
    .options = partner_options,
    .run = partner_run,
};
