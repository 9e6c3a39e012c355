/* The researcher's program. To add a verb: write cmd_<verb>.c with its `struct verb`, name it below and in
 * the table. */
#include "console/verbs.h"

extern const struct verb verb_init, verb_invite;
extern const struct verb verb_sites, verb_sites_list, verb_sites_data, verb_sites_add, verb_sites_remove,
    verb_sites_issue, verb_sites_revoke;
extern const struct verb verb_run, verb_status, verb_runs, verb_report, verb_statistics, verb_version;
extern const struct verb verb_receipts, verb_receipts_list, verb_receipts_verify, verb_receipts_accept,
    verb_receipts_audit;
extern const struct verb verb_privacy_epsilon, verb_privacy_sigma, verb_privacy_plan;

int main(int argc, char **argv)
{
    const struct verb verbs[] = {
        verb_init,
        verb_invite,
        verb_sites,
        verb_sites_list,
        verb_sites_data,
        verb_sites_add,
        verb_sites_remove,
        verb_sites_issue,
        verb_sites_revoke,
        verb_run,
        verb_status,
        verb_runs,
        verb_report,
        verb_statistics,
        verb_receipts,
        verb_receipts_list,
        verb_receipts_verify,
        verb_receipts_accept,
        verb_receipts_audit,
        verb_privacy_epsilon,
        verb_privacy_sigma,
        verb_privacy_plan,
        verb_version,
        {0},
    };
    return verbs_main(
        argc, argv, "ORCHESTRATOR_HOME",
        "The orchestrator has datasites train a model together, round by round; their records stay "
        "with them.",
        verbs);
}
