/* What the owner is told when somebody holds a receipt that this site signed and whose event its chain lacks. */
#pragma once

#include "datasite/store.h"

/* Prints, loudly, that one is open and what to type; nothing when none is. *ret_open may be NULL. */
MUST_USE struct error *contradiction_banner(struct store *store, const char *program, bool *ret_open);

/* Prints those that are open, one line each. */
MUST_USE struct error *contradiction_list(struct store *store, uint64_t *ret_count);
