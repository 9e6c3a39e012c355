/* Epsilons that this process has computed, the latest ones, by a digest of all that they depend on (account.h). Shared by the stores
 * of a process, and by the thread that computes them for the socket thread (accountant.h). */
#pragma once

#include "crypto/digest.h"

#include <stdbool.h>

#define STORE_EPSILONS 64

struct store_epsilons;
MUST_USE struct error *store_epsilons_new(struct store_epsilons **ret_epsilons);
/* The same once more, to be freed as often. */
struct store_epsilons *store_epsilons_share(struct store_epsilons *epsilons);
void store_epsilons_free(struct store_epsilons *epsilons); /* accepts NULL */
bool store_epsilons_has(struct store_epsilons *epsilons, const struct digest *what, double *ret_epsilon);
void store_epsilons_put(struct store_epsilons *epsilons, const struct digest *what, double epsilon);
