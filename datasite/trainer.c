#include "datasite/trainer_parts.h"

#include "datasite/approval.h"
#include "datasite/dataset_approved.h"
#include "datasite/declared.h"
#include "datasite/model_shape.h"
#include "datasite/pool.h"
#include "datasite/privacy_terms.h"
#include "datasite/release.h"
#include "datasite/release_check.h"
#include "datasite/release_noised.h"
#include "datasite/store_secagg.h"
#include "learning/local_training.h"
#include "learning/sgd.h"
#include "schemas/wire.h"

#include <inttypes.h>

struct error *trainer_open(const struct trainer_options *options, struct trainer **ret_trainer)
{
    struct error *err = NULL;
    struct trainer *trainer = calloc(1, sizeof(*trainer));
    if (trainer == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to start.");
    trainer->identity = options->identity;
    trainer->clock = options->clock;
    TRY(store_open(options->database_path, STORE_WRITE, &trainer->store));
    store_sign_with(trainer->store, trainer->identity);
    store_chain_begun(trainer->store);
    if (options->store != NULL)
        store_share_heads(trainer->store, options->store);
    store_unlock(trainer->store, options->vault);
    if (options->keys_path != NULL)
        TRY(store_secagg_count_in(trainer->store, options->keys_path));
    TRY(pool_open(options->threads, &trainer->pool));
    TRY(secagg_cache_open_beside(options->secagg, &trainer->secagg));
    *ret_trainer = trainer;
    trainer = NULL;
done:
    trainer_close(trainer);
    return err;
}

static void trainer_forget_split(struct trainer *trainer)
{
    free(trainer->train);
    free(trainer->test);
    trainer->train = NULL;
    trainer->test = NULL;
    trainer->train_rows = 0;
    trainer->test_rows = 0;
}

void trainer_forget(struct trainer *trainer)
{
    trainer_forget_split(trainer);
    mapped_rows_free(trainer->mapped);
    dataset_free(trainer->dataset);
    trainer->mapped = NULL;
    trainer->dataset = NULL;
}

void trainer_close(struct trainer *trainer)
{
    if (trainer == NULL)
        return;
    trainer_forget(trainer);
    pool_close(trainer->pool);
    secagg_cache_close(trainer->secagg);
    noise_close(trainer->noise);
    store_close(trainer->store);
    free(trainer);
}

/* ---- rows ---- */

static struct error *work_map(struct work *work)
{
    struct error *err = NULL;
    struct trainer *trainer = work->trainer;
    const struct job *job = work->step->approval.job;
    if (mapped_rows_serve(trainer->mapped, job))
        return NULL;
    mapped_rows_free(trainer->mapped);
    trainer->mapped = NULL;
    TRY(mapped_rows_make(job, trainer->dataset, pool_parallel(trainer->pool), &trainer->mapped));
done:
    return err;
}

static struct error *work_load(struct work *work)
{
    struct error *err = NULL;
    struct trainer *trainer = work->trainer;
    if (!dataset_serves(trainer->dataset, &work->step->approval)) {
        trainer_forget(trainer);
        TRY(dataset_load_approved(trainer->store, &work->step->approval, &trainer->dataset));
    }
    double fraction = work->step->approval.job->test_fraction;
    if (trainer->train == NULL || trainer->test_fraction != fraction) {
        trainer_forget_split(trainer);
        TRY(dataset_split(trainer->dataset, fraction, &trainer->train, &trainer->train_rows, &trainer->test,
                          &trainer->test_rows));
        trainer->test_fraction = fraction;
    }
    TRY(work_map(work));
done:
    return err;
}

/* Why rows could not be made ready can tell how many there are. Where that number does not leave, of a private job in any
 * case, it is for the owner's log alone: the requester is told no more than of a step that failed (RELEASE_FAILED). */
static struct error *work_hide(const struct work *work, struct error *err)
{
    bool rows_leave = (work_output(work)->metrics & POLICY_METRIC_EXAMPLES) != 0;
    if (err == NULL || (rows_leave && !job_private(work->step->approval.job)))
        return err;
    bool told = err->code == ERROR_LIMIT || err->code == ERROR_INVALID || err->code == ERROR_UNSUPPORTED ||
                err->code == ERROR_NOT_FOUND; /* others in general words, or they are the owner's doing */
    struct error *hidden = told ? error_new(ERROR_NUMERIC, "%s", err->sentence) : NULL;
    if (told)
        error_free(err);
    return told ? hidden : err;
}

const struct policy_output *work_output(const struct work *work)
{
    return policy_gate_output(&work->gate, work->step->approval.dataset.name);
}

struct error *work_foresee_bytes(const struct work *work, size_t bytes)
{
    if (bytes > work_output(work)->max_update_bytes)
        return error_new(ERROR_LIMIT,
                         "The answer of %zu bytes and more is over the %" PRIu64
                         " bytes that this site's policy lets out.",
                         bytes, work_output(work)->max_update_bytes);
    return release_check_job_bytes(work->trainer->store, &work->step->job_id, work_output(work), bytes);
}

static struct error *work_declared_site(const struct work *work, size_t *ret_site)
{
    return declared_site(work->step->approval.job, identity_id(work->trainer->identity), ret_site);
}

struct error *work_foresee_training(const struct work *work)
{
    const struct job *job = work->step->approval.job;
    bool private_job = job_private(job);
    size_t rows = work->trainer->train_rows, site = 0;
    if (job->optimizer == JOB_SGD && job->batch_size > SGD_MAX_BATCH && (private_job || rows > SGD_MAX_BATCH))
        return error_new(ERROR_UNSUPPORTED,
                         "This site trains with batches of at most %d rows; the job asks for %" PRIu32 ".",
                         SGD_MAX_BATCH, job->batch_size);
    if (!private_job)
        return release_check_rows(work_output(work), rows, "training");
    struct error *err = work_declared_site(work, &site);
    return err != NULL ? err : declared_check_training(work_output(work), job, site);
}

static struct error *work_foresee_train(const struct work *work)
{
    struct error *err = NULL;
    size_t bytes = work->step->count * sizeof(double);
    TRY(model_shape_check(work->step->approval.job, &work->trainer->dataset->info, bytes));
    TRY(work_foresee_bytes(work, bytes));
    TRY(work_foresee_training(work));
done:
    return err;
}

static struct error *work_foresee_test(const struct work *work)
{
    struct error *err = NULL;
    const struct approval *approval = &work->step->approval;
    size_t site = 0;
    if (!job_private(approval->job))
        return release_check_rows(work_output(work), work->trainer->test_rows, "test");
    TRY(work_declared_site(work, &site));
    TRY(release_check_noised_round(approval, work->step->round));
    TRY(declared_check_test(work_output(work), approval->job, site));
done:
    return err;
}

static struct error *work_foresee_evaluate(const struct work *work)
{
    struct error *err = NULL;
    const struct job *job = work->step->approval.job;
    TRY(model_shape_check(job, &work->trainer->dataset->info, work->step->count * sizeof(double)));
    TRY(release_check_metrics(job));
    TRY(release_check_counts(work_output(work)));
    TRY(work_foresee_test(work));
done:
    return err;
}

/* Refuses what the airlock would refuse, before a run is begun and time is spent. */
static struct error *work_foresee(const struct work *work)
{
    struct error *err = NULL;
    TRY(release_check_growth(work->trainer->store, &work->step->approval, work_output(work)));
    switch (work->step->kind) {
    case STEP_TRAIN:
        err = work_foresee_train(work);
        break;
    case STEP_EVALUATE:
        err = work_foresee_evaluate(work);
        break;
    case STEP_MASK:
        err = work_foresee_mask(work);
        break;
    case STEP_SUM: /* reads no rows */
        break;
    }
done:
    return err;
}

struct softmax_problem work_problem(const struct work *work, bool test)
{
    const struct trainer *trainer = work->trainer;
    const struct dataset *dataset = trainer->dataset;
    struct matrix_view all = mapped_rows_view(trainer->mapped, dataset);
    return (struct softmax_problem){
        .rows = test ? matrix_select(&all, trainer->test, trainer->test_rows)
                     : matrix_select(&all, trainer->train, trainer->train_rows),
        .labels = dataset->labels,
        .classes = dataset->info.classes,
        .l2 = work->step->approval.job->l2,
        .parallel = pool_parallel(trainer->pool),
    };
}

/* ---- training ---- */

bool work_keep_going(void *context, uint32_t done, uint32_t total, double loss)
{
    struct work *work = context;
    (void)loss; /* of private rows: goes nowhere */
    if (work->abandoned == NULL)
        work->abandoned =
            work->watch->check(work->watch->context, total == 0 ? 0 : (double)done / (double)total);
    return work->abandoned == NULL;
}

/* Fails with what the watch says. */
struct error *work_watch(struct work *work, double fraction)
{
    struct error *err = work->abandoned;
    work->abandoned = NULL;
    if (err == NULL)
        err = work->watch->check(work->watch->context, fraction);
    work->watch_ended = err != NULL;
    return err;
}

struct error *work_optimise(struct work *work, const struct softmax_problem *problem, const double *initial,
                            double *ret_parameters, struct training_result *ret_result)
{
    const struct job *job = work->step->approval.job;
    struct training_progress progress = {work_keep_going, work};
    struct local_training training = {
        .optimizer = job->optimizer == JOB_SGD ? LOCAL_SGD : LOCAL_LBFGS,
        .local_iterations = job->local_iterations,
        .learning_rate = job->learning_rate,
        .momentum = job->momentum,
        .batch_size = job->batch_size,
        .local_epochs = job->local_epochs,
        .seed = job->seed,
        .round = work->step->round,
    };
    return local_training_run(problem, &training, &progress, initial, ret_parameters, ret_result);
}

/* ---- the airlock ---- */

/* The output rules are those of now: the owner may have changed them while the step was in hand. */
struct release_context work_release_context(struct work *work)
{
    work->gate = work->watch->gate(work->watch->context);
    return (struct release_context){
        .store = work->trainer->store,
        .identity = work->trainer->identity,
        .gate = &work->gate,
        .job_id = &work->step->job_id,
        .job = work->step->approval.job,
        .dataset = &work->trainer->dataset->info,
        .early_rows = work->trainer->dataset->early_rows,
        .early_digest = work->trainer->dataset->early_rows > 0 ? &work->trainer->dataset->early_digest : NULL,
        .run_id = work->step->run_id,
        .round = work->step->round,
        .attempt = work->step->attempt,
        .model_digest = &work->step->model_digest,
        .arrived = work->step->arrived,
        .now = work->trainer->clock() / 1000,
    };
}

/* Takes over what the airlock let out. */
struct error *work_hand_out(const struct work *work, const struct release_outcome *outcome,
                            struct trainer_answer *ret_answer)
{
    if (outcome->held)
        return release_held_error(work->step->round);
    ret_answer->body = outcome->body;
    ret_answer->bytes = outcome->bytes;
    memcpy(ret_answer->withheld, outcome->withheld, sizeof(ret_answer->withheld));
    return NULL;
}

static struct error *work_compute(struct work *work, struct trainer_answer *ret_answer)
{
    bool private_job = job_private(work->step->approval.job);
    switch (work->step->kind) {
    case STEP_TRAIN:
        return private_job ? work_train_private(work, ret_answer) : work_train(work, ret_answer);
    case STEP_EVALUATE:
        return private_job ? work_evaluate_private(work, ret_answer) : work_evaluate(work, ret_answer);
    case STEP_MASK:
        return work_mask(work, ret_answer);
    case STEP_SUM:
        break;
    }
    return error_new(ERROR_INTERNAL, "A step of an unknown kind was queued.");
}

/* ---- steps that fail ---- */

/* Whether how it failed can depend on the rows: not when the owner's word or the store stood in the way. */
static bool work_failed_by_rows(enum error_code code)
{
    switch (code) {
    case ERROR_REFUSED:
    case ERROR_NOT_FOUND:
    case ERROR_UNTRUSTED:
    case ERROR_EXPIRED:
    case ERROR_CONFLICT:
    case ERROR_BUSY:
    case ERROR_IO:
    case ERROR_CORRUPT:
    case ERROR_MEMORY: /* what is allocated depends on shapes, never on values */
    case ERROR_CRYPTO:
    case ERROR_HELD:
        return false;
    case ERROR_USAGE:
    case ERROR_INVALID:
    case ERROR_LIMIT:
    case ERROR_UNSUPPORTED:
    case ERROR_DEADLINE:
    case ERROR_UNAVAILABLE:
    case ERROR_NUMERIC:
    case ERROR_INTERRUPTED:
    case ERROR_INTERNAL:
    case ERROR_CODES:
        break;
    }
    return true;
}

/* Abandoned steps may be asked for again, but not without end. Of a private job, one that ran into its deadline may not: whether
 * it does can depend on the rows. */
static struct error *work_is_spent(const struct work *work, enum error_code code, bool *ret_spent)
{
    struct error *err = NULL;
    uint32_t times = TRAINER_ATTEMPTS;
    const struct step *step = work->step;
    if (work->watch_ended)
        TRY(store_step_abandoned(work->trainer->store, &step->job_id, step->run_id, step->round,
                                 step_answer_kind(step->kind), work->trainer->clock() / 1000, &times));
    bool late = code == ERROR_DEADLINE && job_private(step->approval.job);
    *ret_spent = late || times >= TRAINER_ATTEMPTS;
done:
    return err;
}

/* Takes `failure`, of a step that had read rows: either it is what the requester hears, or the round is spent
 * and the answer is a refusal that tells nothing. */
static struct error *work_settle(struct work *work, struct error *failure, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    bool spent = false;
    if (!work->watch_ended && !work_failed_by_rows(failure->code))
        return failure;
    TRY(work_is_spent(work, failure->code, &spent));
    if (!spent)
        return failure;
    struct release_context context = work_release_context(work);
    struct release_outcome outcome;
    TRY(release_failure(&context, step_answer_kind(work->step->kind), failure->sentence, &outcome));
    *ret_answer = (struct trainer_answer){.body = outcome.body, .bytes = outcome.bytes, .refused = true};
done:
    error_free(failure);
    return err;
}

/* What was given before is given again, while the approval holds. */
static struct error *work_repeat(struct work *work, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    const struct step *step = work->step;
    const struct trainer *trainer = work->trainer;
    struct step_answer answer = {.body = NULL};
    struct approval approval = {.job = NULL};
    TRY(step_repeat(trainer->store, trainer->identity, step, &answer));
    if (answer.body != NULL)
        TRY(release_check_chain(trainer->store));
    if (answer.body != NULL)
        TRY(approval_find(trainer->store, trainer->identity, &work->gate, &step->job_id, &step->peer,
                          trainer->clock() / 1000, &approval));
    *ret_answer = (struct trainer_answer){.body = answer.body,
                                          .bytes = answer.bytes,
                                          .refused = answer.refused,
                                          .repeated = answer.body != NULL};
    answer.body = NULL;
done:
    free(answer.body);
    approval_clear(&approval);
    return err;
}

/* What no answer was given to yet. */
static struct error *work_answer(struct work *work, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    const struct approval *approval = &work->step->approval;
    TRY(privacy_terms_admit(work->trainer->store, &work->gate, approval));
    if (work->step->kind == STEP_TRAIN || work->step->kind == STEP_EVALUATE)
        TRY(release_check_in_clear(approval->job, work_output(work)));
    if (work->step->kind == STEP_TRAIN && !job_private(approval->job))
        TRY(release_check_weighting(work_output(work), approval->job));
    err = work_hide(work, work_load(work));
    if (err != NULL)
        goto done;
    TRY(work_foresee(work));
    TRY(work_watch(work, 0.0));
    err = work_compute(work, ret_answer);
    if (err != NULL && work->rows_read)
        err = work_settle(work, err, ret_answer);
done:
    return err;
}

struct error *trainer_run(struct trainer *trainer, const struct step *step, const struct trainer_watch *watch,
                          struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    struct work work = {.trainer = trainer, .step = step, .watch = watch};
    struct trainer_answer answer = {.body = NULL};
    work.gate = watch->gate(watch->context);
    TRY(work_watch(&work, 0.0));
    if (step->kind == STEP_SUM) {
        TRY(work_sum(&work));
    } else {
        TRY(work_repeat(&work, &answer));
        if (!answer.repeated)
            TRY(work_answer(&work, &answer));
    }
    *ret_answer = answer;
done:
    error_free(work.abandoned);
    return err;
}
