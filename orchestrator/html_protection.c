#include "orchestrator/html.h"
#include "orchestrator/report_parts.h"
#include "orchestrator/report_privacy.h"

#include <math.h>

/* What left the sites, and what that means: a sentence here has to be true of the run. */

static void put_mock(FILE *stream, const struct run_record *record)
{
    (void)fputs("<p>Nothing but MOCK rows, which their owners made for trials: the sites were sent no "
                "job and computed "
                "nothing.</p>\n",
                stream);
    if (record->job->secure.enabled)
        (void)fputs("<p>A trial needs no masks: the updates were averaged in clear, here. What the job’s "
                    "secure aggregation will hide of one site is left out all the same.</p>\n",
                    stream);
}

static void put_clear(FILE *stream, const struct run_record *record)
{
    (void)fputs(
        "<p>In each round in which a site answered, it sent to the researcher’s orchestrator:</p>\n<ul "
        "class=\"plain\">\n<li>its own model after local training",
        stream);
    html_parameters(stream, record);
    (void)fputs(", and how many training rows it used;</li>\n", stream);
    if (record->job->metrics == JOB_METRICS_PER_SITE)
        (void)fputs(
            "<li>the training accuracy and the confusion counts of that model on its own rows;</li>\n"
            "<li>the confusion counts of the new shared model on its own test rows.</li>\n</ul>\n"
            "<p>A count shown as a dash was withheld by a site: it, or another count that could be computed "
            "from it, is below the minimum that the site’s owner has set. An empty cell is withheld like any "
            "other small one.</p>\n",
            stream);
    else
        (void)fputs("<li>no metric of any kind, as the job asked for none.</li>\n</ul>\n", stream);
    (void)fputs("<p>No row left a site. The job used <b>neither secure aggregation nor added noise</b>: the "
                "orchestrator "
                "saw each site’s numbers as they are, so it has to be trusted not to look for single rows in "
                "them. The "
                "privacy loss of such a release is not bounded, which is why no epsilon is given.</p>\n",
                stream);
}

/* ---- secure aggregation ---- */

static void put_vector(FILE *stream, const struct run_record *record)
{
    (void)fputs(
        "<p>In each round in which a site answered, it sent to the researcher’s orchestrator:</p>\n<ul "
        "class=\"plain\">\n<li>the change of its model by local training",
        stream);
    html_parameters(stream, record);
    if (record->job->weighting == JOB_WEIGHT_EXAMPLES)
        (void)fputs(", weighted, and how many training rows it used", stream);
    if (record->job->metrics != JOB_METRICS_NONE)
        (void)fputs(", and the confusion counts of the shared model on its own test rows", stream);
    (void)fputs(
        ": all of it as integers under masks, which say nothing without the other sites’;</li>\n<li>its "
        "signature under who contributed, and shares of the keys that take the masks off the sum, and off "
        "nothing else.</li>\n</ul>\n",
        stream);
}

static void put_masked(FILE *stream, const struct run_record *record)
{
    const struct job *job = record->job;
    double bound = report_quantisation_bound(record);
    char secrecy[REPORT_SECRECY_BYTES];
    put_vector(stream, record);
    (void)fprintf(stream,
                  "<p>No row left a site. The job used <b>secure aggregation and no added noise</b>: the "
                  "orchestrator saw sums "
                  "over at least %u sites and, in each round, nothing more of one site, even if it had lied "
                  "to them, as long "
                  "as no more than %u of "
                  "the %zu sites work together with it. That is why this page has no examples, accuracies or "
                  "counts of a single "
                  "site. What a sum tells of the few sites in it, and the "
                  "sums of several rounds "
                  "together, is not bounded, which is why no epsilon is given.</p>\n",
                  (unsigned)job->min_sites, (unsigned)job->secure.tolerate_colluding, job->site_count);
    report_secrecy(record, secrecy);
    (void)fputs("<p>", stream);
    html_escape(stream, secrecy);
    (void)fputs("</p>\n", stream);
    if (!isnan(bound))
        (void)fprintf(
            stream,
            "<p>Sums are of integers: a parameter differs from plain averaging by at most %.2g a round, for "
            "changes within ±%g.</p>\n",
            bound, job->secure.clip);
    if (job->metrics != JOB_METRICS_NONE)
        (void)fputs(
            "<p>The pooled counts of a round’s model came with the sum of the next round, and so are of the "
            "test "
            "rows of the sites in that sum; those of the last one came with a sum of their own.</p>\n",
            stream);
}

void html_protection(FILE *stream, const struct run_record *record)
{
    if (record->mock) {
        put_mock(stream, record);
        if (report_private(record))
            html_privacy(stream, record);
        return;
    }
    if (report_private(record))
        html_privacy(stream, record);
    else if (run_record_masked(record))
        put_masked(stream, record);
    else
        put_clear(stream, record);
    html_receipts(stream, record);
}
