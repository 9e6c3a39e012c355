/* A real daemon and a small client of the transport over loopback, for tests of what the owner types and what
 * signals do while a peer is connected. Waits are bounded; a daemon that is still there at the end is killed.
 */
#pragma once

#include "schemas/wire.h"
#include "tests/unit/datasite/workspace.h"
#include "transport/session.h"

#include <sys/types.h>

#define PATIENCE_MS 30000
#define ROWS 16000
#define FEATURES 4
#define CLASSES 3
#define PARAMETERS ((FEATURES + 1) * CLASSES)
#define PATH_ROOM 512
#define JOB_ROOM 2048

/* Takes far longer than any of these tests waits for. */
#define LONG_TRAINING "{optimizer: sgd, batch_size: 1, local_epochs: 1000, learning_rate: 0.001}"
#define SHORT_TRAINING "{optimizer: lbfgs, local_iterations: 5}"

struct scene {
    struct workspace *workspace;
    char home[PATH_ROOM], log[PATH_ROOM], program[PATH_ROOM], keys[PATH_ROOM];
    struct site_id site;
    char site_fingerprint[FINGERPRINT_BYTES], fingerprint[FINGERPRINT_BYTES];
    pid_t daemon;
    uint16_t port;
    struct identity *identity; /* the client's */
    struct session *session;
    struct digest job_id;
};

/* Starts `datasite --home HOME VERB [A] [B]` with its output in `log`; program_wait gives its exit status. */
pid_t program_start(const struct scene *scene, const char *log, const char *verb, const char *a,
                    const char *b);
int program_wait(pid_t child);
/* A verb of the owner's, which must succeed. */
void owner_types(const struct scene *scene, const char *verb, const char *a, const char *b);
/* How often `words` are in the daemon's log; log_await waits until they are there `count` times. */
size_t log_count(const struct scene *scene, const char *words);
void log_await(const struct scene *scene, const char *words, size_t count);
void daemon_start(struct scene *scene);
void daemon_port(struct scene *scene); /* of a daemon whose log says that it serves */
int daemon_stop(struct scene *scene, int signal);
int64_t count_rows(const struct scene *scene, const char *sql);
/* The client's requests; client_await gives the answer to one, which the caller clears. */
void client_connect(struct scene *scene);
struct session_event client_await(struct scene *scene, uint64_t number);
void expect_refusal(struct session_event answer, enum error_code code, const char *words);
/* The text of a job, whose id becomes the scene's. */
void client_job(struct scene *scene, const char *training, char ret_text[static JOB_ROOM]);
Fds__JobState client_submit(struct scene *scene, const char *training);
Fds__JobState client_query(struct scene *scene);
uint64_t client_train(struct scene *scene, uint32_t round);
void owner_decides(struct scene *scene, const char *verb);

/* cmocka set-up and tear-down: *state is a struct scene, whose client the site trusts. */
int scene_make(void **state);
int scene_remove(void **state);
