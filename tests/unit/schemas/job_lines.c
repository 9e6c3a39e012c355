#include "tests/unit/schemas/job_lines.h"

#include "tests/unit/schemas/refusal.h"

const char *const job_lines[JOB_LINES] = {
    "job: first",
    "dataset: mnist",
    "model: {kind: softmax-regression}",
    "training: {optimizer: sgd}",
    "evaluation: {test_fraction: 0.2}",
    "federation: {rounds: 5}",
    "seed: 7",
    "expires: 2027-01-31T00:00:00Z",
    "sites:",
    "  - {name: North, endpoint: \"tcp://127.0.0.1:54879\", fingerprint: \"" FP_A "\"}",
    "  - {name: South, fingerprint: \"" FP_B "\"}",
};

struct error *job_parse_with(int line, const char *text, struct job **ret_job)
{
    char file[8192] = "";
    size_t at = 0;
    for (size_t i = 0; i < JOB_LINES; i++)
        at +=
            (size_t)snprintf(file + at, sizeof(file) - at, "%s\n", (int)i + 1 == line ? text : job_lines[i]);
    return job_parse(file, at, "job.yaml", ret_job);
}

struct job *job_parse_good(int line, const char *text)
{
    struct job *job = NULL;
    assert_done(job_parse_with(line, text, &job));
    return job;
}
