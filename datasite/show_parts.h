/* What the files of `datasite show` share; nobody else includes it. */
#pragma once

#include "datasite/budget.h"
#include "datasite/desk.h"
#include "datasite/job_diff.h"
#include "schemas/policy.h"

#include <jansson.h>

#define SHOW_LABEL "%-11s"
#define SHOW_LABEL_COLUMNS 11
#define SHOW_TEXT_BYTES 256
#define SHOW_SUMMARY_BYTES 4096
#define SHOW_COLUMNS 100

/* What a private job costs; but for the offer, empty for other jobs. */
struct screen_privacy {
    uint32_t rounds, evaluations; /* as approved, or asked for */
    double epsilon;               /* of a run, for the unit of protection; infinite: not to be accounted */
    double worst;                 /* if all other sites colluded */
    uint64_t declared;            /* training rows of this site; 0: the job names other sites */
    bool has_offer;               /* the dataset is here, and the job is not over */
    struct budget_offer offer;
};

/* Everything that one screen needs besides the job. */
struct screen {
    const struct desk *desk;
    const char *program;
    bool all;              /* everything is said, however long the screen becomes */
    struct policy *policy; /* its output rules protect; owned, screen_clear */
    bool listed;
    bool has_dataset;
    struct dataset_info dataset;
    bool has_decision;
    struct decision decision; /* the latest */
    bool has_terms;           /* what was approved, or endorsed by a first owner */
    struct decision terms;
    size_t owners; /* that have endorsed, where the policy wants two */
    uint32_t runs_used, last_round;
    char obstacle[ERROR_SENTENCE_BYTES]; /* why the job cannot be approved, or kept approved, or "" */
    char waits[ERROR_SENTENCE_BYTES];    /* why a rule did not approve it, while it is pending, or "" */
    bool last_held;                      /* an answer of the last round waits for the owner */
    /* The decided job of the same requester that differs least, while this one is pending: */
    bool has_likeness;
    char likeness[DESK_ID_BYTES];
    const char *likeness_word; /* "approved", "denied" */
    size_t likeness_changes;
    struct screen_privacy privacy;
};

/* Numbers of the model; of a job whose features do not fit the dataset, those of its rows as they are. */
uint64_t screen_coefficients(const struct screen *screen);

/* What leaves, how often, who can see it and what protects it, in sentences for the owner. */
void show_summary(const struct screen *screen, char ret_text[static SHOW_SUMMARY_BYTES]);
/* The same of a job with secure aggregation. */
void show_secure_summary(const struct screen *screen, char ret_text[static SHOW_SUMMARY_BYTES]);
/* Over whom, and with what, sums of such a job are made. */
void show_secure_print(const struct screen *screen);
/* null for a job in clear. */
json_t *show_secure_json(const struct screen *screen);
/* Fills screen->privacy. */
MUST_USE struct error *show_privacy_load(struct screen *screen);
/* The same of a private job, in clear or not. */
void show_privacy_summary(const struct screen *screen, char ret_text[static SHOW_SUMMARY_BYTES]);
/* In three lines, also of sums; for a screen that does not say all. */
void show_privacy_brief(const struct screen *screen, char ret_text[static SHOW_SUMMARY_BYTES]);
/* Appends what its epsilon is worth, what makes it weak, and what it does not protect. */
void show_privacy_promise(const struct screen *screen, char *text, size_t room);
/* How it protects, what that costs, what is left. */
void show_privacy_print(const struct screen *screen);
/* null for a job without privacy; what a run would take of the budget, null where the dataset is not here. */
json_t *show_privacy_json(const struct screen *screen);
json_t *show_privacy_budget_json(const struct screen *screen);
/* Appends which answers wait for the owner. */
void show_hold(const struct screen *screen, char text[static SHOW_SUMMARY_BYTES]);
/* In lines of SHOW_COLUMNS, broken between words; behind a label, unless that is "". */
void show_paragraph(const char *label, const char *text);
/* More of the label above. */
void show_indented(const char *text);
/* Reads what a screen needs; screen->desk, borrowed, is set from `desk`. */
MUST_USE struct error *screen_load(const struct desk *desk, struct screen *ret_screen);
void screen_clear(struct screen *screen);
/* How `desk`'s job differs from the other that the first digits of an id name, in text or JSON. */
MUST_USE struct error *show_print_diff(const struct desk *desk, const char *other, bool json);
/* One screen of text. */
void show_print(const struct screen *screen);
/* The same for programs. */
MUST_USE struct error *show_print_json(const struct screen *screen);
