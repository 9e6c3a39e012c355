/* A secret from a person or a program: typed on the terminal without echo, or one line of standard input when that is
 * no terminal. */
#pragma once

#include "schemas/error.h"

#define PROMPT_WAIT_MS 300000 /* for a line */

/* Reads one line from standard input, without its newline, into ret_line; the caller wipes it. On a terminal `question`
 * is written to it first, and what is typed is not shown; a signal that ends or stops the program finds the terminal as
 * it was. Nothing behind the line is read, so that a next call gets the next one. ERROR_INVALID when there is no line,
 * or one with a NUL; ERROR_LIMIT for a line of line_bytes or more; ERROR_DEADLINE after PROMPT_WAIT_MS;
 * ERROR_INTERRUPTED after a signal that the program outlived. `what` names the secret in sentences: "the passphrase". */
MUST_USE struct error *prompt_secret(const char *question, const char *what, char *ret_line,
                                     size_t line_bytes);

/* Whether prompt_secret asks a person. */
MUST_USE bool prompt_is_person(void);
