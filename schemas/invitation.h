/* The one line by which two nodes get to know each other:
 *
 *     datasite "MNIST Part 1" tcp://localhost:54879 sha256:<64 hex digits>
 *     orchestrator "researcher" - sha256:<64 hex digits>
 *
 * kind, name in double quotes (\" and \\ escaped), endpoint or "-" when the node does not listen,
 * fingerprint. */
#pragma once

#include "schemas/site_config.h"

struct invitation {
    enum node_kind kind;
    struct job_site node; /* endpoint "" for "-" */
};

/* *ret_line is malloc'ed, without a newline. */
MUST_USE struct error *invitation_format(const struct invitation *invitation, char **ret_line);

/* ERROR_INVALID says what is missing or cut off and which command prints the line anew. Leading and trailing
 * white space is ignored. `wanted`: an invitation of the other kind is refused with the command that would
 * take it. */
MUST_USE struct error *invitation_parse(const char *line, enum node_kind wanted,
                                        struct invitation *ret_invitation);
