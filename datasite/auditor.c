#include "datasite/auditor.h"

#include "audit/chain_walk.h"
#include "audit/receipt_folder.h"
#include "datasite/approval.h"
#include "datasite/desk.h"
#include "datasite/store_secagg.h"
#include "schemas/clock.h"
#include "schemas/wire.h"

#include <inttypes.h>

#define AUDITOR_RENUMBERED_MOST 256 /* numbers that are tried for an event that was moved up */
#define AUDITOR_ACCEPTANCE_BYTES 512

struct auditor_walk {
    const struct auditor *auditor;
    struct chain_walk walk;
    uint64_t ever;           /* numbers that were given out */
    uint64_t seen;           /* rows */
    struct event_record bad; /* the first that does not hold: number, hash and signature alone */
    /* Searching for where an event went: its number, the hash before it, its own hash if that is known. */
    uint64_t wanted;
    const struct digest *wanted_hash;
    uint64_t found;
};

/* ---- what happened to an event that does not hold ---- */

static bool auditor_signed(const struct auditor_walk *walk, const struct event_record *record,
                           uint64_t sequence)
{
    struct chain_head head = {walk->walk.site, sequence, record->hash};
    if (!record->is_signed)
        return false;
    struct error *err = chain_head_verify(walk->walk.public_key, &head, record->signature);
    bool holds = err == NULL;
    error_free(err);
    return holds;
}

/* Whether this row has what belongs to the place that is searched for: the content that makes up the hash, or the hash
 * with the signature over it. */
static struct error *auditor_search_visit(void *context, const struct event_record *record)
{
    struct error *err = NULL;
    struct auditor_walk *walk = context;
    struct chain_event event = record->event;
    struct digest hash;
    if (walk->found != 0 || event.sequence == walk->wanted)
        return NULL;
    event.sequence = walk->wanted;
    TRY(chain_next(&walk->walk.hash, &event, &hash));
    if (walk->wanted_hash != NULL
            ? digest_equal(&hash, walk->wanted_hash)
            : digest_equal(&hash, &record->hash) && auditor_signed(walk, record, walk->wanted))
        walk->found = record->event.sequence;
done:
    return err;
}

/* The row that now holds what was event `wanted`; walk->found 0: none. */
static struct error *auditor_search(struct auditor_walk *walk, uint64_t wanted, const struct digest *hash)
{
    const struct event_filter filter = {.first_sequence = wanted};
    walk->wanted = wanted;
    walk->wanted_hash = hash;
    walk->found = 0;
    return store_events(walk->auditor->store, &filter, auditor_search_visit, walk);
}

static struct error *auditor_reordered(const struct auditor_walk *walk, uint64_t sequence)
{
    return error_new(ERROR_UNTRUSTED,
                     "Events were reordered: what this site signed as event %" PRIu64
                     " stands now as event %" PRIu64 ".",
                     sequence, walk->found);
}

/* The first event that does not hold is walk->bad; `err` says so in general words, and is replaced by what was found
 * out. */
static struct error *auditor_explain(struct auditor_walk *walk, struct error *err)
{
    struct error *failed = NULL;
    uint64_t sequence = walk->bad.event.sequence;
    bool genuine = auditor_signed(walk, &walk->bad, sequence);
    if (walk->walk.fault != CHAIN_HASH)
        return err;
    failed = auditor_search(walk, sequence, genuine ? &walk->bad.hash : NULL);
    if (failed != NULL || walk->found != 0) {
        error_free(err);
        return failed != NULL ? failed : auditor_reordered(walk, sequence);
    }
    for (uint64_t later = sequence + 1; !genuine && later <= sequence + AUDITOR_RENUMBERED_MOST; later++) {
        if (!auditor_signed(walk, &walk->bad, later))
            continue;
        error_free(err);
        return error_new(ERROR_UNTRUSTED,
                         "Event %" PRIu64
                         " was removed: what stands in its place was signed as event %" PRIu64 ".",
                         sequence, later);
    }
    return err;
}

/* ---- the chain ---- */

static struct error *auditor_event_visit(void *context, const struct event_record *record)
{
    struct auditor_walk *walk = context;
    struct error *err = chain_walk_step(&walk->walk, &record->event, record->is_signed ? &record->hash : NULL,
                                        record->is_signed ? record->signature : NULL);
    walk->seen++;
    if (err != NULL) {
        walk->bad = *record;
        walk->bad.event = (struct chain_event){.sequence = record->event.sequence};
        return err;
    }
    if (walk->auditor->progress != NULL && walk->ever > 0)
        progress_set(walk->auditor->progress, (double)walk->seen / (double)walk->ever, NULL);
    return NULL;
}

static struct error *auditor_check_end(const struct auditor_walk *walk)
{
    struct error *err = NULL;
    uint64_t last = walk->walk.sequence;
    if (last < walk->ever)
        FAIL(ERROR_UNTRUSTED,
             "Truncated: the last event is %" PRIu64 ", but numbers up to %" PRIu64
             " were given out: what followed event %" PRIu64 " was cut off.",
             last, walk->ever, last);
    if (last > walk->ever)
        FAIL(ERROR_UNTRUSTED,
             "SQLite's own count of events was edited: it says %" PRIu64 ", and the last event is %" PRIu64
             ".",
             walk->ever, last);
    if (walk->seen == 0)
        FAIL(ERROR_UNTRUSTED, "Truncated: there are no events at all, and every site has at least the one of "
                              "its making.");
    if (walk->walk.bare == last)
        FAIL(ERROR_UNTRUSTED,
             "None of the %" PRIu64
             " events is signed, so nothing proves them. Unless this site is from before "
             "events were signed and has just been brought here, somebody changed site.db: restore it from a "
             "backup.",
             last);
done:
    return err;
}

struct error *auditor_check_chain(const struct auditor *auditor, struct auditor_findings *findings)
{
    struct error *err = NULL;
    const struct event_filter all = {.limit = 0};
    struct auditor_walk walk = {.auditor = auditor};
    uint8_t key[PUBLIC_KEY_BYTES];
    identity_public_key(auditor->identity, key);
    TRY(chain_walk_start(key, &walk.walk));
    TRY(store_event_count_ever(auditor->store, &walk.ever));
    err = store_events(auditor->store, &all, auditor_event_visit, &walk);
    if (err != NULL && walk.walk.fault != CHAIN_HOLDS)
        err = auditor_explain(&walk, err);
    if (err != NULL)
        goto done;
    TRY(auditor_check_end(&walk));
    findings->events = walk.walk.sequence;
    findings->unsigned_events = walk.walk.bare;
    findings->head = walk.walk.hash;
done:
    return err;
}

/* ---- answers ---- */

struct auditor_answers {
    const struct auditor *auditor;
    struct auditor_findings *findings;
};

static struct error *auditor_answer_receipt(const struct auditor *auditor, const struct answer *answer)
{
    struct error *err = NULL;
    struct receipt receipt;
    struct chain_head head;
    bool has = false;
    TRY(receipt_decode(answer->receipt, answer->receipt_bytes, &receipt));
    if (answer->over)
        TRY(receipt_verify_digest(&receipt, identity_id(auditor->identity), &answer->job_id, answer->run_id,
                                  answer->round, answer_receipt_kind(answer->kind), &answer->digest));
    else
        TRY(receipt_verify_release(&receipt, identity_id(auditor->identity), &answer->job_id, answer->run_id,
                                   answer->round, answer_receipt_kind(answer->kind), answer->body,
                                   answer->bytes));
    head = (struct chain_head){receipt.site, receipt.sequence, receipt.head};
    TRY(store_has_head(auditor->store, &head, &has));
    if (!has)
        FAIL(ERROR_UNTRUSTED, "Its receipt is for event %" PRIu64 ", which is another one in the chain.",
             receipt.sequence);
done:
    return err;
}

/* Events do not name the attempt; what left does, and when it is kept no more, the slot that served it, which goes forward
 * only. */
static struct error *auditor_answer_attempt(const struct auditor *auditor, const struct answer *answer)
{
    struct error *err = NULL;
    Fds__MaskedInput *input = NULL;
    bool served = false;
    if (answer->kind != ANSWER_MASKED_INPUT || answer->refused)
        goto done;
    if (answer->over) {
        TRY(store_secagg_served(auditor->store, answer->run_id, answer->round, answer->attempt, &served));
        if (!served)
            FAIL(ERROR_UNTRUSTED, "It is stored for another attempt than those that this site took part in.");
        goto done;
    }
    TRY(wire_masked_input_decode(answer->body, answer->bytes, &input));
    if (input->attempt != answer->attempt || input->round != answer->round)
        FAIL(ERROR_UNTRUSTED, "It is stored for another attempt than the one that it was given to.");
done:
    wire_masked_input_free(input);
    return err;
}

static struct error *auditor_answer_visit(void *context, const struct answer *answer)
{
    struct error *err = NULL;
    struct auditor_answers *answers = context;
    char job[DESK_ID_BYTES];
    desk_id(&answer->job_id, job);
    answers->findings->answers++;
    if (answer->receipt_bytes > 0)
        TRY(error_prefix(auditor_answer_receipt(answers->auditor, answer),
                         "The stored answer of job %s, round %" PRIu32, job, answer->round));
    TRY(error_prefix(auditor_answer_attempt(answers->auditor, answer),
                     "The stored answer of job %s, round %" PRIu32, job, answer->round));
done:
    return err;
}

struct error *auditor_check_answers(const struct auditor *auditor, struct auditor_findings *findings)
{
    struct auditor_answers answers = {auditor, findings};
    findings->answers = 0;
    return store_answers(auditor->store, auditor_answer_visit, &answers);
}

struct error *auditor_check_vault(const struct auditor *auditor)
{
    struct vault_record record;
    bool found = false;
    return store_vault_find(auditor->store, &record, &found);
}

/* ---- receipts that others hold ---- */

/* By which the owner said that they know why receipts are contradicted: the first since a receipt was given. */
struct auditor_acceptance {
    char sentence[AUDITOR_ACCEPTANCE_BYTES]; /* " The owner …", or "": none */
};

static struct error *auditor_acceptance_visit(void *context, const struct event_record *record)
{
    struct auditor_acceptance *acceptance = context;
    char when[CLOCK_TEXT_BYTES], reason[AUDITOR_ACCEPTANCE_BYTES / 2], clean[AUDITOR_ACCEPTANCE_BYTES / 2];
    const char *detail = record->event.detail;
    if (acceptance->sentence[0] != '\0')
        return NULL;
    clock_format(record->event.at, when);
    (void)snprintf(reason, sizeof(reason), "%.*s", (int)chain_detail_bytes(detail), detail);
    terminal_clean(reason, clean, sizeof(clean));
    (void)snprintf(
        acceptance->sentence, sizeof(acceptance->sentence),
        " The owner accepted on %s that earlier receipts contradict this chain, with the reason: %s", when,
        clean);
    return NULL;
}

static struct error *auditor_contradict(const struct auditor_findings *findings, const char *path,
                                        const struct receipt *receipt, const char *accepted)
{
    char job[DESK_ID_BYTES], when[CLOCK_TEXT_BYTES];
    desk_id(&receipt->job_id, job);
    clock_format(receipt->at, when);
    if (receipt->sequence > findings->events)
        return error_new(ERROR_UNTRUSTED,
                         "%s proves that this site signed event %" PRIu64 " (%s of job %s, round %" PRIu32
                         ", %s), but the chain here ends with event %" PRIu64
                         ": site.db was rolled back to an earlier state, which contradicts receipts already "
                         "given.%s",
                         path, receipt->sequence, receipt_kind_word(receipt->kind), job, receipt->round, when,
                         findings->events, accepted);
    return error_new(ERROR_UNTRUSTED,
                     "%s proves that this site signed event %" PRIu64 " (%s of job %s, round %" PRIu32
                     ", %s), but event %" PRIu64
                     " here is another one: site.db was rolled back to an earlier state and used on, or its "
                     "history was written anew, which contradicts receipts already given.%s",
                     path, receipt->sequence, receipt_kind_word(receipt->kind), job, receipt->round, when,
                     receipt->sequence, accepted);
}

/* What the receipt says was allowed is what this site's owner allowed. */
static struct error *auditor_receipt_approval(const struct auditor *auditor, const char *path,
                                              const struct receipt *receipt)
{
    struct decision approval;
    bool named = false;
    char job[DESK_ID_BYTES];
    struct error *err = store_approval(auditor->store, &receipt->job_id, &approval);
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    else if (err == NULL)
        err = approval_is_named(&approval, &receipt->approval, &named);
    if (err != NULL || named)
        return err;
    desk_id(&receipt->job_id, job);
    return error_new(ERROR_UNTRUSTED, "%s names another approval of job %s than the one in site.db.", path,
                     job);
}

static struct error *auditor_receipt_visit(void *context, const char *path, const struct receipt *receipt)
{
    struct error *err = NULL;
    struct auditor_answers *receipts = context;
    const struct auditor *auditor = receipts->auditor;
    const struct chain_head head = {receipt->site, receipt->sequence, receipt->head};
    bool has = false;
    if (!site_id_equal(&receipt->site, identity_id(auditor->identity))) {
        receipts->findings->other_receipts++;
        return NULL;
    }
    TRY(store_has_head(auditor->store, &head, &has));
    if (!has) {
        const struct event_filter since = {.since = receipt->at, .kind = "chain-accepted"};
        struct auditor_acceptance acceptance = {""};
        TRY(store_events(auditor->store, &since, auditor_acceptance_visit, &acceptance));
        TRY(auditor_contradict(receipts->findings, path, receipt, acceptance.sentence));
    }
    TRY(auditor_receipt_approval(auditor, path, receipt));
    receipts->findings->receipts++;
done:
    return err;
}

struct error *auditor_check_receipts(const struct auditor *auditor, const char *directory,
                                     struct auditor_findings *findings)
{
    struct error *err = NULL;
    struct auditor_answers receipts = {auditor, findings};
    uint64_t count = 0;
    findings->receipts = findings->other_receipts = 0;
    TRY(receipt_folder_verify(directory, auditor_receipt_visit, &receipts, &count));
    if (count == 0)
        FAIL(ERROR_NOT_FOUND,
             "There is no receipt in %s: a run keeps its receipts, one file each, in its folder receipts/.",
             directory);
done:
    return err;
}
