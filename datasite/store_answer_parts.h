/* What store_answer.c, store_airlock.c and store_made.c share. */
#pragma once

#include "datasite/store_internal.h"

/* The words of the columns `kind` and `state`. */
const char *answer_kind_word(enum answer_kind kind);
const char *answer_state_word(enum answer_state state);
