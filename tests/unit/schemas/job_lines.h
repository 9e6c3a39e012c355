/* A valid job of one line a key, of which a test replaces one line and knows its number. */
#pragma once

#include "schemas/job.h"

#define A16 "aaaaaaaaaaaaaaaa"
#define A63 A16 A16 A16 "aaaaaaaaaaaaaaa"
#define A64 A63 "a"
#define B16 "bbbbbbbbbbbbbbbb"
#define UPPER16 "AAAAAAAAAAAAAAAA"
#define UPPER64 UPPER16 UPPER16 UPPER16 UPPER16
#define FP_A "sha256:" A64
#define FP_B "sha256:" B16 B16 B16 B16
#define X65 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

#define JOB_LINES 11
extern const char *const job_lines[JOB_LINES];

/* The file is called job.yaml. line: from 1, that `text` replaces; 0: none. */
MUST_USE struct error *job_parse_with(int line, const char *text, struct job **ret_job);
/* One that must be right. */
struct job *job_parse_good(int line, const char *text);
