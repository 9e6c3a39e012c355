/* The owner's program. To add a verb: write cmd_<verb>.c with its `struct verb`, name it below and in the
 * table. */
#include "console/verbs.h"
#include "datasite/core.h"

extern const struct verb verb_init, verb_import_idx, verb_import_csv, verb_data, verb_data_remove,
    verb_data_rekey;
extern const struct verb verb_mock_make, verb_mock_list, verb_mock_show, verb_mock_remove;
extern const struct verb verb_invite, verb_trust_add, verb_trust_list, verb_trust_remove, verb_trust_request,
    verb_trust_install, verb_trust_owner_key, verb_trust_partner;
extern const struct verb verb_serve, verb_status, verb_requests, verb_show, verb_approve, verb_deny,
    verb_revoke, verb_policy, verb_policy_test;
extern const struct verb verb_budget, verb_budget_set;
extern const struct verb verb_held, verb_release;
extern const struct verb verb_audit, verb_audit_verify, verb_audit_export, verb_audit_accept;
extern const struct verb verb_version;

int main(int argc, char **argv)
{
    const struct verb verbs[] = {
        /* clang-format off */
        verb_init,
        verb_import_idx,
        verb_import_csv,
        verb_data,
        verb_data_remove,
        verb_data_rekey,
        verb_mock_make,
        verb_mock_list,
        verb_mock_show,
        verb_mock_remove,
        verb_invite,
        verb_trust_add,
        verb_trust_list,
        verb_trust_remove,
        verb_trust_request,
        verb_trust_install,
        verb_trust_owner_key,
        verb_trust_partner,
        verb_serve,
        verb_status,
        verb_requests,
        verb_show,
        verb_approve,
        verb_deny,
        verb_revoke,
        verb_budget,
        verb_budget_set,
        verb_held,
        verb_release,
        verb_policy,
        verb_policy_test,
        verb_audit,
        verb_audit_verify,
        verb_audit_export,
        verb_audit_accept,
        verb_version,
        {0},
        /* clang-format on */
    };
    /* Any verb may read rows or the site's key. */
    struct error *err = core_forbid();
    if (err != NULL) {
        (void)fprintf(stderr, "datasite: %s\n", err->sentence);
        error_free(err);
        return EXIT_FAILURE;
    }
    return verbs_main(
        argc, argv, "DATASITE_HOME",
        "A datasite keeps an organisation's records and trains on them only what its owner approved.", verbs);
}
