/* The command line of both programs: one table of verbs, which also prints the usage.
 *
 *     PROGRAM [--home DIR] [--help] [--version] VERB [OPTIONS] [ARGUMENTS]
 *
 * Each verb declares its options in a table too (popt underneath), its help text ends with an example. Exit
 * status: 0 done, 1 refused or failed (one sentence on stderr), 2 wrong usage, 130 interrupted.
 */
#pragma once

#include "schemas/error.h"

#include <stdbool.h>
#include <stdint.h>

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_COUNT, OPTION_TEXTS };

/* What an option was given that may be given several times, in order. */
#define OPTION_TEXTS_MAX 64
struct option_texts {
    const char *texts[OPTION_TEXTS_MAX];
    size_t count;
};

/* One option of a verb. The value goes to `target`: bool * for FLAG, const char ** for TEXT, uint64_t * for
 * COUNT (decimal, within minimum..maximum), struct option_texts * for TEXTS. A table ends with a zero entry. */
struct option {
    const char *name; /* long name without dashes */
    char letter;      /* or 0 */
    enum option_kind kind;
    void *target;
    const char *value; /* "DIR", "N"; NULL for flags */
    const char *help;
    uint64_t minimum, maximum;
};

/* What a verb gets: the arguments after its options, and the home that --home or the environment names. */
struct invocation {
    const char *program; /* "datasite" */
    const char *verb;    /* "trust add": as typed, with the second word for verbs that have one */
    const char *home;    /* resolved path, never NULL; need not exist; "" for a verb that needs none */
    int argument_count;
    const char *const *arguments;
};

struct verb {
    const char *name;
    const char *summary;                      /* one line for the list */
    const char *arguments;                    /* "LINE", "[JOB_ID]", "" */
    const char *detail;                       /* paragraphs for VERB --help; ends with "Example:\n  …" */
    int minimum_arguments, maximum_arguments; /* -1: any number */
    const struct option *(*options)(
        void); /* NULL: none. The table and its targets are static in the verb's file */
    struct error *(*run)(const struct invocation *invocation);
    /* Whether this invocation reads or writes a home: asked when options and arguments are known; NULL: it does. One
     * that does not runs where no home can be named, such as at an auditor's. */
    bool (*needs_home)(const struct invocation *invocation);
};

/* For verbs that never need a home. */
bool verbs_no_home(const struct invocation *invocation);

/* The whole of main(): finds the verb, parses, runs, prints a failure as "PROGRAM VERB: sentence" and returns
 * the exit status. `environment` is the variable that names the home ("DATASITE_HOME"); the fallback is
 * ${XDG_DATA_HOME:-$HOME/.local/share}/PROGRAM. `verbs` ends with a zero entry; a verb of two words ("trust
 * add") is looked up before a verb of one. */
int verbs_main(int argc, char **argv, const char *environment, const char *summary, const struct verb *verbs);
