#include "console/terminal.h"
#include "console/verbs.h"
#include "orchestrator/home.h"
#include "orchestrator/site_list.h"
#include "orchestrator/witness.h"

extern const struct verb verb_receipts_accept;

/* A fingerprint, or the name of a site in the list. */
static struct error *find_site(const struct home *home, const char *named, struct site_id *ret_id)
{
    struct error *err = NULL;
    struct site_list *list = NULL;
    const struct job_site *site = NULL;
    if (strncmp(named, "sha256:", strlen("sha256:")) == 0) {
        TRY(site_id_parse(named, ret_id));
        goto done;
    }
    TRY(site_list_load(home->sites_path, &list));
    site = site_list_find(list, named, NULL);
    if (site == NULL)
        FAIL(ERROR_NOT_FOUND,
             "No site is called %s; orchestrator sites lists them, and a fingerprint does too.", named);
    TRY(site_id_parse(site->fingerprint, ret_id));
done:
    site_list_free(list);
    return err;
}

static struct error *accept_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct site_id id;
    char *kept = NULL;
    TRY(home_open(invocation->home, &home));
    TRY(find_site(home, invocation->arguments[0], &id));
    TRY(witness_set_aside(home, &id, &kept));
    (void)printf("What the site gives next is taken as its new beginning; the old receipt stays in\n%s.\n",
                 kept);
done:
    free(kept);
    home_free(home);
    return err;
}

const struct verb verb_receipts_accept = {
    .name = "receipts accept",
    .summary = "Go on with a site whose records went back, once its owner has told you why",
    .arguments = "SITE",
    .detail =
        "A site that was restored from a backup lacks events of which this orchestrator holds a receipt: "
        "the site\n"
        "refuses until its owner accepts that (datasite audit accept), and so does the orchestrator until "
        "you do.\n"
        "The receipt is not presented any more, and kept beside the others as proof. SITE is a name or a\n"
        "fingerprint.\n\n"
        "Example:\n"
        "  orchestrator receipts accept \"MNIST Part 1\"",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .run = accept_run,
};
