/* What the kernel writes when a program dies: its memory, with whatever rows and keys were in it. */
#pragma once

#include "schemas/error.h"

/* From here on this process leaves no core file, nor hands its memory to a program that collects them, nor lets
 * another program of the same user attach to it. Children inherit the first. To be called before anything is read. */
MUST_USE struct error *core_forbid(void);
