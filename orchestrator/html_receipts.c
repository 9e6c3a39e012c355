#include "orchestrator/html.h"

#include "orchestrator/receipt_check.h"

#define SHOWN_PROBLEMS 10

static void put_problems(FILE *stream, const struct run_record *record, const struct receipt_check *check)
{
    (void)fprintf(
        stream,
        "<p><span class=\"badge bad\">Receipts do not hold</span> %zu of %zu receipts hold, and this "
        "is wrong:</p>\n<ul class=\"plain\">\n",
        check->held, check->receipts);
    for (size_t i = 0; i < check->problem_count && i < SHOWN_PROBLEMS; i++) {
        const struct receipt_problem *problem = &check->problems[i];
        char round[RUN_EXCHANGE_NAME_BYTES];
        (void)fputs("<li>", stream);
        run_record_exchange_name(record, problem->round, round);
        if (problem->round != 0)
            (void)fprintf(stream, "%s%s", problem->round > record->job->rounds ? "The " : "Round ", round);
        if (problem->site != RECEIPT_CHECK_NO_SITE) {
            (void)fputs(", ", stream);
            html_escape(stream, record->job->sites[problem->site].name);
        }
        (void)fputs(problem->round != 0 ? ": " : "", stream);
        html_escape(stream, problem->sentence);
        (void)fputs("</li>\n", stream);
    }
    (void)fputs("</ul>\n", stream);
}

/* A run without a round that released anything has nothing to show; nor has one of which there never were any. */
void html_receipts(FILE *stream, const struct run_record *record)
{
    struct receipt_check check = {0};
    if (record->mock || !record->has_receipts || record->round_count == 0)
        return;
    struct error *err = receipt_check_run(record, &check);
    if (err == NULL && check.problem_count > 0)
        put_problems(stream, record, &check);
    else if (err == NULL && check.receipts > 0)
        (void)fprintf(
            stream,
            "<p><span class=\"badge good\">%zu receipts verified</span> Every %s that counted is "
            "covered by a statement that its site signed: what left, under which approval of its "
            "owner, and with which protections. They are in <code>receipts/</code>; check them with "
            "<code>orchestrator receipts verify</code>.</p>\n",
            check.held, run_record_masked(record) ? "masked input" : "update");
    error_free(err);
    receipt_check_clear(&check);
}
