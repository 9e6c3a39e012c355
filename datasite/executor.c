#include "datasite/executor.h"

#include "datasite/trainer.h"
#include "schemas/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EXECUTOR_PLACES (EXECUTOR_WAITING + 1)
#define EXECUTOR_REPORTS (2 * EXECUTOR_PLACES + 2)

struct executor {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    int fd;
    bool running; /* the thread was started and not joined */
    /* Of the executor thread alone: */
    struct trainer *trainer;
    /* Under the mutex: */
    bool closing;
    struct policy_gate gate;
    struct step *waiting[EXECUTOR_WAITING];
    size_t waiting_count;
    struct step *in_hand;
    double progress;
    struct error *cancel; /* for the step in hand */
    struct executor_report reports[EXECUTOR_REPORTS];
    size_t report_count;
    size_t unreported; /* accepted steps whose DONE nobody has taken: at most EXECUTOR_PLACES */
};

static void executor_lock(struct executor *executor)
{
    (void)pthread_mutex_lock(&executor->mutex);
}

static void executor_unlock(struct executor *executor)
{
    (void)pthread_mutex_unlock(&executor->mutex);
}

/* Adds a report, mutex held. `unreported` bounds STARTED and DONE to two a place, so there is room. */
static void executor_report(struct executor *executor, const struct executor_report *report)
{
    executor->reports[executor->report_count++] = *report;
    uint64_t one = 1;
    ssize_t written = write(executor->fd, &one, sizeof(one));
    (void)written; /* a full counter is readable all the same */
}

static struct executor_report executor_report_of(const struct step *step, enum executor_report_kind kind)
{
    struct executor_report report = {
        .kind = kind,
        .step = step->kind,
        .peer = step->peer,
        .number = step->number,
        .job_id = step->job_id,
        .round = step->round,
    };
    memcpy(report.run_id, step->run_id, sizeof(report.run_id));
    return report;
}

/* ---- the executor thread ---- */

/* trainer_watch: cancelled, or out of time? */
static struct error *executor_check(void *context, double fraction)
{
    struct executor *executor = context;
    executor_lock(executor);
    executor->progress = fraction;
    struct error *err = executor->cancel;
    executor->cancel = NULL;
    bool closing = executor->closing;
    int64_t deadline = executor->in_hand->deadline;
    executor_unlock(executor);
    if (err == NULL && closing)
        err = error_new(ERROR_UNAVAILABLE, "This site is stopping; ask again when it is back.");
    if (err == NULL && clock_monotonic_ms() > deadline)
        err = error_new(ERROR_DEADLINE,
                        "The step did not end within the job's round_deadline and was abandoned.");
    return err;
}

/* trainer_watch: the output rules as they are now. */
static struct policy_gate executor_gate(void *context)
{
    struct executor *executor = context;
    executor_lock(executor);
    struct policy_gate gate = executor->gate;
    executor_unlock(executor);
    return gate;
}

static void executor_work(struct executor *executor, struct step *step)
{
    struct trainer_answer answer = {.body = NULL};
    struct trainer_watch watch = {executor_check, executor_gate, executor};
    executor_lock(executor);
    struct executor_report started = executor_report_of(step, EXECUTOR_STARTED);
    executor_report(executor, &started);
    executor_unlock(executor);

    int64_t start = clock_monotonic_ms();
    struct error *err = trainer_run(executor->trainer, step, &watch, &answer);

    struct executor_report done = executor_report_of(step, EXECUTOR_DONE);
    done.error = err;
    done.body = answer.body;
    done.bytes = answer.bytes;
    done.refused = answer.refused;
    done.repeated = answer.repeated;
    memcpy(done.withheld, answer.withheld, sizeof(done.withheld));
    done.seconds = (double)(clock_monotonic_ms() - start) / 1000.0;
    executor_lock(executor);
    executor_report(executor, &done);
    executor->in_hand = NULL;
    error_clear(&executor->cancel);
    executor_unlock(executor);
    step_free(step);
}

/* Waits for a step, mutex held; false once the executor closes. A long wait gives the dataset's memory back.
 */
static bool executor_wait(struct executor *executor)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += EXECUTOR_IDLE_MS / 1000;
    while (!executor->closing && executor->waiting_count == 0) {
        if (pthread_cond_timedwait(&executor->work, &executor->mutex, &until) == ETIMEDOUT) {
            trainer_forget(executor->trainer);
            until.tv_sec += EXECUTOR_IDLE_MS / 1000;
        }
    }
    return !executor->closing;
}

static void *executor_thread(void *argument)
{
    struct executor *executor = argument;
    executor_lock(executor);
    while (executor_wait(executor)) {
        struct step *step = executor->waiting[0];
        executor->waiting_count--;
        memmove(executor->waiting, executor->waiting + 1,
                executor->waiting_count * sizeof(executor->waiting[0]));
        executor->in_hand = step;
        executor->progress = 0;
        executor_unlock(executor);
        executor_work(executor, step);
        executor_lock(executor);
    }
    executor_unlock(executor);
    return NULL;
}

/* ---- the socket thread ---- */

static struct error *executor_start(struct executor *executor)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the socket thread */
    int failed = pthread_create(&executor->thread, NULL, executor_thread, executor);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return error_errno(ERROR_IO, failed, "The thread that trains could not be started");
    executor->running = true;
    return NULL;
}

static void executor_init_locks(struct executor *executor)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&executor->mutex, NULL);
    (void)pthread_cond_init(&executor->work, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

struct error *executor_open(const struct executor_options *options, struct executor **ret_executor)
{
    struct error *err = NULL;
    struct executor *executor = calloc(1, sizeof(*executor));
    if (executor == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to start.");
    executor_init_locks(executor);
    executor->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (executor->fd < 0) {
        err = error_errno(ERROR_IO, errno, "The executor could not be started");
        goto done;
    }
    executor_set_policy(executor, options->policy);
    struct trainer_options trainer = {
        .database_path = options->database_path,
        .keys_path = options->keys_path,
        .identity = options->identity,
        .vault = options->vault,
        .secagg = options->secagg,
        .store = options->store,
        .threads = options->threads,
        .clock = options->clock == NULL ? clock_now_ms : options->clock,
    };
    TRY(trainer_open(&trainer, &executor->trainer));
    TRY(executor_start(executor));
    *ret_executor = executor;
    executor = NULL;
done:
    executor_close(executor);
    return err;
}

struct error *executor_submit(struct executor *executor, struct step *step)
{
    struct error *err = NULL;
    executor_lock(executor);
    if (executor->closing) {
        err = error_new(ERROR_UNAVAILABLE, "This site is stopping; ask again when it is back.");
    } else if (executor->waiting_count == EXECUTOR_WAITING || executor->unreported == EXECUTOR_PLACES) {
        err = error_new(ERROR_BUSY, "This site works on another step and %d more wait: ask again later.",
                        EXECUTOR_WAITING);
    } else {
        executor->waiting[executor->waiting_count++] = step;
        executor->unreported++;
        (void)pthread_cond_signal(&executor->work);
    }
    executor_unlock(executor);
    return err;
}

int executor_fd(const struct executor *executor)
{
    return executor->fd;
}

void executor_drain(struct executor *executor)
{
    uint64_t count;
    ssize_t got = read(executor->fd, &count, sizeof(count));
    (void)got; /* nothing to drain is fine */
}

bool executor_next(struct executor *executor, struct executor_report *ret_report)
{
    executor_lock(executor);
    bool found = executor->report_count > 0;
    if (found) {
        *ret_report = executor->reports[0];
        executor->report_count--;
        memmove(executor->reports, executor->reports + 1,
                executor->report_count * sizeof(executor->reports[0]));
        if (ret_report->kind == EXECUTOR_DONE)
            executor->unreported--;
    }
    executor_unlock(executor);
    return found;
}

void executor_report_clear(struct executor_report *report)
{
    error_free(report->error);
    free(report->body);
    memset(report, 0, sizeof(*report));
}

static struct executor_item executor_item_of(const struct step *step)
{
    struct executor_item item = {
        .job_id = step->job_id,
        .peer = step->peer,
        .step = step->kind,
        .round = step->round,
    };
    memcpy(item.run_id, step->run_id, sizeof(item.run_id));
    return item;
}

size_t executor_items(struct executor *executor, struct executor_item ret_items[static EXECUTOR_WAITING + 1])
{
    size_t count = 0;
    executor_lock(executor);
    if (executor->in_hand != NULL) {
        ret_items[count] = executor_item_of(executor->in_hand);
        ret_items[count].in_hand = true;
        ret_items[count].progress = executor->progress;
        count++;
    }
    for (size_t i = 0; i < executor->waiting_count; i++)
        ret_items[count++] = executor_item_of(executor->waiting[i]);
    executor_unlock(executor);
    return count;
}

static bool executor_matches(const struct step *step, const struct digest *job_id, const uint8_t *run_id)
{
    return (job_id == NULL || digest_equal(&step->job_id, job_id)) &&
           (run_id == NULL || memcmp(step->run_id, run_id, STORE_RUN_ID_BYTES) == 0);
}

void executor_cancel(struct executor *executor, const struct digest *job_id, const uint8_t *run_id,
                     enum error_code code, const char *sentence)
{
    executor_lock(executor);
    if (executor->in_hand != NULL && executor->cancel == NULL &&
        executor_matches(executor->in_hand, job_id, run_id))
        executor->cancel = error_new(code, "%s", sentence);
    size_t kept = 0;
    for (size_t i = 0; i < executor->waiting_count; i++) {
        struct step *step = executor->waiting[i];
        if (!executor_matches(step, job_id, run_id)) {
            executor->waiting[kept++] = step;
            continue;
        }
        struct executor_report done = executor_report_of(step, EXECUTOR_DONE);
        done.error = error_new(code, "%s", sentence);
        executor_report(executor, &done);
        step_free(step);
    }
    executor->waiting_count = kept;
    executor_unlock(executor);
}

void executor_set_policy(struct executor *executor, const struct policy *policy)
{
    executor_lock(executor);
    executor->gate = policy->gate;
    executor_unlock(executor);
}

bool executor_stop(struct executor *executor, int timeout_ms)
{
    executor_cancel(executor, NULL, NULL, ERROR_UNAVAILABLE,
                    "This site is stopping; ask again when it is back.");
    executor_lock(executor);
    executor->closing = true;
    (void)pthread_cond_broadcast(&executor->work);
    executor_unlock(executor);
    if (!executor->running)
        return true;
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    int64_t nanoseconds = until.tv_nsec + (int64_t)timeout_ms * 1000000;
    until.tv_sec += nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    if (pthread_timedjoin_np(executor->thread, NULL, &until) != 0)
        return false;
    executor->running = false;
    return true;
}

void executor_close(struct executor *executor)
{
    if (executor == NULL)
        return;
    if (executor->running && !executor_stop(executor, 0))
        (void)pthread_join(executor->thread, NULL);
    struct executor_report report;
    while (executor_next(executor, &report))
        executor_report_clear(&report);
    for (size_t i = 0; i < executor->waiting_count; i++)
        step_free(executor->waiting[i]);
    error_free(executor->cancel);
    trainer_close(executor->trainer);
    if (executor->fd >= 0)
        (void)close(executor->fd);
    (void)pthread_cond_destroy(&executor->work);
    (void)pthread_mutex_destroy(&executor->mutex);
    free(executor);
}
