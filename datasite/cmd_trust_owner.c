#include "console/verbs.h"
#include "crypto/identity.h"

extern const struct verb verb_trust_owner_key;

static struct {
    const char *name;
} owner_given;

static const struct option *owner_options(void)
{
    static const struct option options[] = {
        {.name = "name",
         .kind = OPTION_TEXT,
         .target = &owner_given.name,
         .value = "NAME",
         .help = "whose key it is; else \"owner\""},
        {0},
    };
    return options;
}

static struct error *owner_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct identity *identity = NULL;
    char fingerprint[FINGERPRINT_BYTES];
    const char *directory = invocation->arguments[0];
    TRY(identity_create(directory, owner_given.name == NULL ? "owner" : owner_given.name, &identity));
    site_id_format(identity_id(identity), fingerprint);
    (void)printf("The key is in %s/identity.key: keep it where nobody else reads it, best not at the site.\n"
                 "Its fingerprint is\n"
                 "  %s\n"
                 "In policy.yaml, with those of the other owners:\n"
                 "  four_eyes: true\n"
                 "  owners: [\"%s\", \"sha256:...\"]\n"
                 "To approve with it: %s approve JOB_ID --key %s\n",
                 directory, fingerprint, fingerprint, invocation->program, directory);
done:
    identity_free(identity);
    return err;
}

const struct verb verb_trust_owner_key = {
    .name = "trust owner-key",
    .summary = "Make a key for one of several owners (four eyes)",
    .arguments = "DIR",
    .detail =
        "Writes DIR/identity.key (mode 0600) with a certificate beside it; a key that is there is never "
        "replaced.\n"
        "With four_eyes: true in policy.yaml, a job is approved when two owners whose fingerprints "
        "`owners`\n"
        "lists have approved it, each with an own key.\n\n"
        "Example:\n"
        "  datasite trust owner-key /media/stick/owner --name \"Dr. Eva Example\"",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = owner_options,
    .run = owner_run,
    .needs_home = verbs_no_home,
};
