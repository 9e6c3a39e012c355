/* Known or failing randomness under a source of noise: a test that links noise_given_support has secret_random replaced, for
 * all of its program, by what is said here. Nothing of it can be in a program of the product (tests/lint/given_noise.sh). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* From now on the generator gives a stream that `seed` determines, from its beginning. */
void noise_given_seed(uint64_t seed);
/* From now on the generator is the real one. */
void noise_given_none(void);
/* The call of this number from now on fails, counted from 1, and no other; 0: none. */
void noise_given_failing(size_t call);
/* Calls so far in this program. */
size_t noise_given_calls(void);
