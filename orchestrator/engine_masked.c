/* One attempt of a round: a fresh slot, the sharers that are connected, and their masked inputs. */
#include "orchestrator/engine_noised.h"

#include "schemas/clock.h"

void masked_attempt_free(struct masked_attempt *attempt)
{
    if (attempt == NULL)
        return;
    size_t sites = attempt->batch == NULL ? 0 : attempt->batch->sites;
    for (size_t i = 0; i < sites; i++) {
        if (attempt->neighbours != NULL)
            free(attempt->neighbours[i]);
        if (attempt->words != NULL)
            free(attempt->words[i]);
        if (attempt->revealed != NULL)
            free(attempt->revealed[i]);
    }
    key_batch_release(attempt->batch);
    free(attempt->sharers);
    free(attempt->neighbours);
    free(attempt->neighbour_counts);
    free(attempt->here);
    free(attempt->inputs);
    free(attempt->words);
    free(attempt->sum);
    free(attempt->contributors);
    free(attempt->contributed);
    free(attempt->agreements);
    free(attempt->agreed);
    free(attempt->fixed_agreements);
    free(attempt->revealed);
    free(attempt->revealed_counts);
    free(attempt->opened);
    free(attempt);
}

/* ---- who ---- */

/* A site that refused, or whose input did not hold, is not asked in a further attempt. */
static bool given_up(const struct engine *engine, const struct engine_site *site)
{
    const struct site_round *part = &engine->round->sites[site - engine->sites];
    return part->status == SITE_REFUSED || part->status == SITE_FAILED;
}

static bool can_take_part(const struct engine *engine, const struct engine_site *site)
{
    return site->phase == PHASE_READY && site->up && !given_up(engine, site);
}

static size_t count_usable(const struct engine *engine, bool with_keys)
{
    size_t count = 0;
    const struct engine_secagg *secagg = engine->secagg;
    if (with_keys && (secagg->batch == NULL || secagg->batch->used == secagg->batch->slots))
        return 0;
    for (size_t i = 0; i < secagg->run.sites; i++) {
        const struct engine_site *site = secagg->sites[i];
        count += can_take_part(engine, site) && (!with_keys || engine_keys_shared(secagg->batch, site));
    }
    return count;
}

size_t engine_masked_usable(const struct engine *engine)
{
    return count_usable(engine, false);
}

static void leave_out(struct engine *engine, struct engine_site *site)
{
    struct site_round *part = engine_site_round(engine, site);
    if (site->phase != PHASE_READY || !site->up) {
        engine_leave_out(engine, site);
        return;
    }
    if (given_up(engine, site))
        return;
    bool said = site->keys.reason[0] != '\0';
    part->status = said ? site->keys.status : SITE_DROPPED;
    engine_set_reason(
        part->reason, sizeof part->reason,
        said ? site->keys.reason
             : "It came when the keys of this round were made; it takes part from the next ones on.");
}

static void leave_out_others(struct engine *engine)
{
    for (size_t i = 0; i < engine->secagg->run.sites; i++)
        if (!engine_masked_has(engine, engine->secagg->sites[i]))
            leave_out(engine, engine->secagg->sites[i]);
}

bool engine_masked_has(const struct engine *engine, const struct engine_site *site)
{
    const struct masked_attempt *attempt = engine->secagg->attempt;
    return attempt != NULL && secagg_set_has(attempt->about.sharers, site->position);
}

/* ---- beginning ---- */

static struct error *stop(struct engine *engine)
{
    char missing[ERROR_SENTENCE_BYTES], round[RUN_EXCHANGE_NAME_BYTES];
    const char *keys = engine->secagg->keys_failed;
    engine->verdict = RUN_STOPPED;
    for (size_t i = 0; i < engine->job->site_count; i++)
        if (!can_take_part(engine, &engine->sites[i]))
            leave_out(engine, &engine->sites[i]);
    engine_secagg_missing(engine, missing, sizeof missing);
    run_record_exchange_words(engine->record, engine->round->round, true, round);
    if (keys[0] != '\0')
        return error_new(ERROR_UNAVAILABLE, "%s did not begin: %.900s", round, keys);
    return error_new(
        ERROR_UNAVAILABLE,
        "%s stopped: %zu sites are connected that could contribute, and a sum needs %zu. Nothing "
        "of any site was revealed.%.700s",
        round, count_usable(engine, false), engine->secagg->least, missing);
}

/* Until enough sites have keys and are connected: keys are made for that, and sites may come back, for as long as a round
 * may take. */
static struct error *await_sharers(struct engine *engine)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    int64_t until = clock_monotonic_ms() + (int64_t)engine->job->round_deadline_s * 1000;
    secagg->keys_failed[0] = '\0';
    for (;;) {
        engine_keys_choose(engine);
        if (count_usable(engine, true) >= secagg->least)
            break;
        if (secagg->making != NULL) { /* which has deadlines of its own */
            TRY(engine_step(engine, INT64_MAX));
            continue;
        }
        if (secagg->keys_failed[0] != '\0' || clock_monotonic_ms() >= until) {
            err = stop(engine);
            goto done;
        }
        if (secagg->next == NULL && count_usable(engine, false) >= secagg->least)
            TRY(engine_keys_begin(engine));
        else
            TRY(engine_step(engine, until));
    }
done:
    return err;
}

static struct error *attempt_new(struct engine *engine, uint32_t number, struct masked_attempt **ret_attempt)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    size_t sites = secagg->run.sites;
    struct masked_attempt *attempt = calloc(1, sizeof *attempt);
    if (attempt == NULL)
        return error_new(ERROR_MEMORY, "No memory for a round of secure aggregation.");
    attempt->batch = secagg->batch;
    attempt->batch->users++;
    attempt->number = number;
    attempt->sharers = calloc(sites, sizeof *attempt->sharers);
    attempt->neighbours = calloc(sites, sizeof(uint32_t *));
    attempt->neighbour_counts = calloc(sites, sizeof *attempt->neighbour_counts);
    attempt->here = calloc(sites, sizeof *attempt->here);
    attempt->inputs = calloc(sites, sizeof *attempt->inputs);
    attempt->words = calloc(sites, sizeof(uint8_t *));
    attempt->contributors = calloc(sites, sizeof *attempt->contributors);
    attempt->contributed = calloc(sites, sizeof *attempt->contributed);
    attempt->agreements = calloc(sites, sizeof *attempt->agreements);
    attempt->agreed = calloc(sites, sizeof *attempt->agreed);
    attempt->fixed_agreements = calloc(sites, sizeof *attempt->fixed_agreements);
    attempt->revealed = calloc(sites, sizeof(struct secagg_revealed *));
    attempt->revealed_counts = calloc(sites, sizeof *attempt->revealed_counts);
    if (attempt->sharers == NULL || attempt->neighbours == NULL || attempt->neighbour_counts == NULL ||
        attempt->here == NULL || attempt->inputs == NULL || attempt->words == NULL ||
        attempt->contributors == NULL || attempt->contributed == NULL || attempt->agreements == NULL ||
        attempt->agreed == NULL || attempt->fixed_agreements == NULL || attempt->revealed == NULL ||
        attempt->revealed_counts == NULL)
        FAIL(ERROR_MEMORY, "No memory for a round of secure aggregation.");
    *ret_attempt = attempt;
    attempt = NULL;
done:
    masked_attempt_free(attempt);
    return err;
}

/* The next slot, its sharers that are connected, and who is whose neighbour. A slot that was taken is never taken again. */
static struct error *fill(struct engine *engine, struct masked_attempt *attempt)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    struct key_batch *batch = attempt->batch;
    struct secagg_set sharers = {.positions = attempt->sharers};
    struct engine_words words;
    TRY(engine_words(engine, &words));
    uint32_t slot = batch->first_slot + batch->used++;
    for (size_t i = 0; i < secagg->run.sites; i++)
        if (can_take_part(engine, secagg->sites[i]) && engine_keys_shared(batch, secagg->sites[i]))
            attempt->sharers[sharers.count++] = (uint32_t)i + 1;
    TRY(secagg_attempt_make(batch->keyset, slot, engine->round->round, attempt->number, sharers,
                            &secagg->model_digest, secagg->plan.ring, words.words, &attempt->about));
    for (size_t i = 0; i < sharers.count; i++) {
        size_t place = attempt->sharers[i] - 1;
        size_t threshold = 0;
        TRY(secagg_neighbours(batch->keyset, slot, attempt->sharers[i], &attempt->neighbours[place],
                              &attempt->neighbour_counts[place], &threshold));
    }
    attempt->sum = calloc(words.words, sizeof *attempt->sum);
    if (attempt->sum == NULL)
        FAIL(ERROR_MEMORY, "No memory for the sum of the sites' inputs.");
done:
    return err;
}

static void tell_attempt(const struct engine *engine)
{
    char sentence[160], round[RUN_EXCHANGE_NAME_BYTES];
    const struct masked_attempt *attempt = engine->secagg->attempt;
    run_record_exchange_words(engine->record, engine->round->round, true, round);
    (void)snprintf(sentence, sizeof sentence,
                   "%s is tried again with fresh keys (attempt %u): too few sites had contributed, and "
                   "nothing was revealed.",
                   round, (unsigned)attempt->number + 1);
    struct engine_event event = {.kind = ENGINE_ATTEMPT,
                                 .sentence = sentence,
                                 .command = "",
                                 .round = engine->round->round,
                                 .total = attempt->about.sharers.count};
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}

/* What the site is to be asked next: for what it missed, if it did, else for its masked input. */
static struct error *ask_masked(struct engine *engine, struct engine_site *site)
{
    struct error *err = NULL;
    enum request_kind request = REQUEST_MASK;
    struct error *lost = engine_sum_lacks(engine, site, &request);
    if (lost != NULL) {
        engine_missed(engine, site, SITE_DROPPED, lost->sentence);
        engine_site_out(engine, site, lost->sentence);
        goto done;
    }
    TRY(engine_ask(engine, site, request));
done:
    error_free(lost);
    return err;
}

struct error *engine_masked_begin(struct engine *engine, uint32_t number)
{
    struct error *err = NULL;
    struct engine_secagg *secagg = engine->secagg;
    TRY(await_sharers(engine));
    TRY(attempt_new(engine, number, &secagg->attempt));
    TRY(fill(engine, secagg->attempt));
    leave_out_others(engine);
    if (number == 0)
        engine_tell_round(engine, ENGINE_ROUND_STARTED, secagg->attempt->about.sharers.count);
    else
        tell_attempt(engine);
    int64_t until = clock_monotonic_ms() + (int64_t)engine->job->round_deadline_s * 1000;
    for (size_t i = 0; i < secagg->attempt->about.sharers.count; i++) {
        struct engine_site *site = secagg->sites[secagg->attempt->sharers[i] - 1];
        engine_await(site, until);
        site->turn = TURN_TRAINING;
        TRY(ask_masked(engine, site));
    }
    TRY(engine_keys_ahead(engine));
done:
    return err;
}

/* ---- inputs ---- */

/* U3 are all whose input is here. */
struct error *engine_masked_collect(struct engine *engine)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    TRY(engine_await_training(engine));
    for (size_t i = 0; i < attempt->about.sharers.count; i++) {
        uint32_t position = attempt->sharers[i];
        if (!attempt->here[position - 1])
            continue;
        attempt->contributed[attempt->contributor_count] = attempt->inputs[position - 1];
        attempt->contributors[attempt->contributor_count++] = position;
    }
    for (size_t i = 0; i < engine->job->site_count; i++)
        engine->sites[i].turn = TURN_IDLE;
done:
    return err;
}

struct error *engine_masked_enough(struct engine *engine, bool *ret_enough)
{
    struct masked_attempt *attempt = engine->secagg->attempt;
    struct secagg_set contributors = {attempt->contributors, attempt->contributor_count};
    *ret_enough = false;
    if (contributors.count < engine->secagg->least)
        return NULL;
    /* Sites would not agree to it, and once they are asked the round cannot be tried again. */
    struct error *err = secagg_isolation_check(&attempt->about, contributors);
    *ret_enough = err == NULL;
    if (err != NULL && err->code == ERROR_REFUSED) {
        (void)snprintf(attempt->isolated, sizeof attempt->isolated, "%.250s", err->sentence);
        error_clear(&err);
    }
    return err;
}

/* Added at once: whoever has sent a good input contributes. */
static struct error *add_input(struct masked_attempt *attempt, const uint8_t *bytes)
{
    uint64_t *words = calloc(attempt->about.words, sizeof *words);
    if (words == NULL)
        return error_new(ERROR_MEMORY, "No memory for a masked input.");
    mask_read(attempt->about.ring, bytes, attempt->about.words, words);
    mask_add_words(attempt->about.ring, attempt->sum, words, attempt->about.words);
    free(words);
    return NULL;
}

static struct error *check_input(struct engine *engine, const struct engine_site *site,
                                 const Fds__MaskedInput *message, struct secagg_input *ret_input)
{
    struct error *err = NULL;
    const struct secagg_attempt *about = &engine->secagg->attempt->about;
    struct secagg_input input = {.position = site->position};
    size_t bytes = mask_bytes(about->ring, about->words);
    TRY(engine_check_answer(engine, message->job_id, message->run_id, message->round));
    if (message->attempt != about->attempt || message->slot != about->slot)
        FAIL(ERROR_INVALID, "Its masked input is of another attempt or key slot.");
    if (message->context.len != DIGEST_BYTES ||
        memcmp(message->context.data, about->context.bytes, DIGEST_BYTES) != 0)
        FAIL(ERROR_INVALID, "Its masked input is of another context: it has other keys, or another model.");
    if (message->words.len != bytes)
        FAIL(ERROR_INVALID, "Its masked input has %zu bytes instead of %zu.", message->words.len, bytes);
    if (message->signature.len != SIGNATURE_BYTES)
        FAIL(ERROR_INVALID, "Its masked input is not signed.");
    TRY(digest_of(message->words.data, bytes, &input.digest));
    memcpy(input.signature, message->signature.data, SIGNATURE_BYTES);
    TRY(secagg_input_verify(about, &input, engine->secagg->memo));
    *ret_input = input;
done:
    return err;
}

static struct error *take_input(struct engine *engine, struct engine_site *site,
                                const Fds__MaskedInput *message)
{
    struct error *err = NULL;
    struct masked_attempt *attempt = engine->secagg->attempt;
    struct site_round *part = engine_site_round(engine, site);
    size_t place = site->position - 1;
    uint8_t *kept = NULL;
    struct secagg_input input;
    TRY(check_input(engine, site, message, &input));
    if (engine->secagg->verify && !engine_secagg_evaluating(engine)) {
        kept = malloc(message->words.len + 1);
        if (kept == NULL)
            FAIL(ERROR_MEMORY, "No memory for a masked input.");
        memcpy(kept, message->words.data, message->words.len);
    }
    TRY(add_input(attempt, message->words.data));
    attempt->words[place] = kept;
    kept = NULL;
    attempt->inputs[place] = input;
    attempt->here[place] = true;
    site->turn = TURN_TRAINED;
    site->model_round = engine->round->round;
    part->status = SITE_OK;
    part->reason[0] = '\0';
    part->seconds = engine_round_seconds(engine);
done:
    free(kept);
    return err;
}

void engine_answer_masked(struct engine *engine, struct engine_site *site, const struct session_event *event)
{
    Fds__Released *released = NULL;
    Fds__MaskedInput *message = NULL;
    bool forked = false;
    uint32_t number = engine->secagg->attempt->number;
    struct error *wrong =
        engine_open_released(engine, site, event, RECEIPT_MASKED_INPUT, number, &released, &forked);
    if (wrong == NULL)
        wrong = wire_masked_input_decode(released->body.data, released->body.len, &message);
    if (wrong == NULL)
        wrong = take_input(engine, site, message);
    if (wrong == NULL)
        engine_tell_answered(engine, site);
    else
        engine_answer_wrong(engine, site, wrong, forked);
    error_free(wrong);
    wire_masked_input_free(message);
    wire_released_free(released);
}
