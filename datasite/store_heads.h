/* The latest heads of this site's chain whose signatures were verified, or made, since the process began: each event is
 * written behind one, and need not verify it again. Shared by the stores of a process, one a thread (store_share_heads). */
#pragma once

#include "audit/chain.h"

struct store_heads;
MUST_USE struct error *store_heads_new(struct store_heads **ret_heads);
/* The same once more, to be freed as often. */
struct store_heads *store_heads_share(struct store_heads *heads);
void store_heads_free(struct store_heads *heads); /* accepts NULL */
/* Of the very site, number and hash. */
bool store_heads_has(struct store_heads *heads, const struct chain_head *head);
void store_heads_put(struct store_heads *heads, const struct chain_head *head);
