/* A site whose programs are killed at the n-th commit, and what must hold of its database whenever one was. */
#pragma once

#include "tests/e2e/serve_scene.h"

enum kill_when { KILL_BEFORE, KILL_AFTER };

/* Programs that are started between the two are killed at that moment (kill_at_sync.c). */
void kill_arm(const struct scene *scene, int at, enum kill_when when);
void kill_disarm(void);

/* What must hold at any moment: the file is sound, the chain recomputes, every answer has its event with the digest of
 * its body, every event of a release has its answer, of at most `rounds` rounds; decisions, their events and the job's
 * state agree. */
void kill_check(const struct scene *scene, uint32_t rounds);
