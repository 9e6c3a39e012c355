/* Every field of every answer of secure aggregation, wrong by itself at one of four sites: what the engine says of it, and that
 * the round goes on without what that answer would have given. Where a signature covers the field, the answer is signed anew if
 * another check is what is tested. */
#include "crypto/secagg_wire.h"
#include "orchestrator/orchestrator_parts.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <pthread.h>

#define LIAR 1

#define ADVERTISE FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE
#define SHARE FDS__MESSAGE_TYPE__MESSAGE_SHARE
#define MASK FDS__MESSAGE_TYPE__MESSAGE_MASK
#define AGREE FDS__MESSAGE_TYPE__MESSAGE_AGREE
#define UNMASK FDS__MESSAGE_TYPE__MESSAGE_UNMASK

#define NOT_SIGNED " of the roster: The signature was not made over these bytes with the key it claims."

/* `sentence` is of the one check that is to find it: without that check the case fails, also where another one would. */
struct field {
    const char *name;
    answer_change *change;
    const char *sentence;
};

#define CHANGE(name, Name)                                                                                   \
    static void name##_in(Fds__##Name *m, const struct identity *own);                                       \
    static void name(ProtobufCMessage *message, const struct identity *own)                                  \
    {                                                                                                        \
        name##_in((Fds__##Name *)message, own);                                                              \
    }                                                                                                        \
    static void name##_in(Fds__##Name *m, const struct identity *own)

static void flip(ProtobufCBinaryData *bytes, size_t at)
{
    assert_true(at < bytes->len);
    bytes->data[at] ^= 1;
}

/* One part of so many bytes more, the same as the first. */
static void lengthen(ProtobufCBinaryData *bytes, size_t part)
{
    uint8_t *longer = realloc(bytes->data, bytes->len + part);
    assert_non_null(longer);
    memcpy(longer + bytes->len, longer, part);
    bytes->data = longer;
    bytes->len += part;
}

/* ---- Advert ---- */

static void sign_advert(Fds__Advert *m, const struct identity *own)
{
    struct secagg_run run = {.threshold = 1};
    struct secagg_advert advert = {.first_slot = m->first_slot, .ledger_sequence = m->ledger_sequence};
    memcpy(run.job_hash.bytes, m->job_id.data, DIGEST_BYTES);
    memcpy(run.run_id, m->run_id.data, SECAGG_RUN_ID_BYTES);
    memcpy(advert.ledger_head.bytes, m->ledger_head.data, DIGEST_BYTES);
    assert_null(secagg_entries_read(m->entries.data, m->entries.len, &advert.entries, &advert.count));
    assert_null(secagg_advert_sign(own, &run, &advert));
    memcpy(m->signature.data, advert.signature, SIGNATURE_BYTES);
    secagg_advert_clear(&advert);
}

#define UNSIGNED_CHANGE(name, Name, statement)                                                               \
    CHANGE(name, Name)                                                                                       \
    {                                                                                                        \
        (void)own;                                                                                           \
        statement;                                                                                           \
    }

UNSIGNED_CHANGE(advert_job, Advert, flip(&m->job_id, 3))
UNSIGNED_CHANGE(advert_run, Advert, flip(&m->run_id, 3))
UNSIGNED_CHANGE(advert_key, Advert, flip(&m->public_key, 3))
UNSIGNED_CHANGE(advert_ledger_sequence, Advert, m->ledger_sequence++)
UNSIGNED_CHANGE(advert_ledger_head, Advert, flip(&m->ledger_head, 3))
UNSIGNED_CHANGE(advert_c, Advert, flip(&m->entries, 31))
UNSIGNED_CHANGE(advert_s, Advert, flip(&m->entries, 63))
UNSIGNED_CHANGE(advert_b, Advert, flip(&m->entries, 95))
UNSIGNED_CHANGE(advert_entries_shorter, Advert, m->entries.len--)
UNSIGNED_CHANGE(advert_signature, Advert, flip(&m->signature, 3))
UNSIGNED_CHANGE(advert_signature_length, Advert, m->signature.len--)
UNSIGNED_CHANGE(advert_count_alone, Advert, m->count--)

CHANGE(advert_first_slot, Advert)
{
    m->first_slot++;
    sign_advert(m, own);
}

CHANGE(advert_count, Advert)
{
    m->count--;
    m->entries.len -= SECAGG_ENTRY_BYTES;
    sign_advert(m, own);
}

CHANGE(advert_entry_no_key, Advert)
{
    memset(m->entries.data, 0, AGREEMENT_KEY_BYTES);
    sign_advert(m, own);
}

static const struct field advert_fields[] = {
    {"job", advert_job, "Advert: job_id is that of another job."},
    {"run", advert_run, "Advert: run_id is that of another run."},
    {"first_slot", advert_first_slot, "It advertises other key slots than it was asked for."},
    {"count, signed", advert_count, "It advertises other key slots than it was asked for."},
    {"count alone", advert_count_alone, "Advert: entries must have 96 bytes and has 192."},
    {"public key", advert_key, "It advertises keys in the name of another site."},
    {"ledger_sequence", advert_ledger_sequence, NOT_SIGNED},
    {"ledger_head", advert_ledger_head, NOT_SIGNED},
    {"entries: c", advert_c, NOT_SIGNED},
    {"entries: s", advert_s, NOT_SIGNED},
    {"entries: commitment to b", advert_b, NOT_SIGNED},
    {"a part of an entry", advert_entries_shorter, "Advert: entries must have 192 bytes and has 191."},
    {"a key that is none, signed", advert_entry_no_key, "A key of X25519 is a point of small order"},
    {"signature", advert_signature, NOT_SIGNED},
    {"length of the signature", advert_signature_length, "Advert: signature must have 64 bytes and has 63."},
};

/* ---- Shares ---- */

UNSIGNED_CHANGE(shares_job, Shares, flip(&m->job_id, 3))
UNSIGNED_CHANGE(shares_run, Shares, flip(&m->run_id, 3))
UNSIGNED_CHANGE(shares_slot, Shares, m->first_slot++)
UNSIGNED_CHANGE(shares_shorter, Shares, m->sealed[1].len -= SECAGG_SEALED_BYTES)
UNSIGNED_CHANGE(shares_longer, Shares, lengthen(&m->sealed[1], SECAGG_SEALED_BYTES))
UNSIGNED_CHANGE(shares_uneven, Shares, m->sealed[1].len--)

CHANGE(shares_count, Shares)
{
    (void)own;
    free(m->sealed[--m->n_sealed].data);
}

static const struct field shares_fields[] = {
    {"job", shares_job, "It shares other key slots than it was asked for."},
    {"run", shares_run, "It shares other key slots than it was asked for."},
    {"slot", shares_slot, "It shares other key slots than it was asked for."},
    {"count", shares_count, "It shares other key slots than it was asked for."},
    {"one sealed share less", shares_shorter, "another number of sites than its neighbours"},
    {"one sealed share more", shares_longer, "another number of sites than its neighbours"},
    {"a part of a sealed share", shares_uneven,
     "Shares: sealed must have from 1 to 999 elements of 98 bytes; 293 bytes do not."},
};

/* ---- MaskedInput ---- */

UNSIGNED_CHANGE(input_job, MaskedInput, flip(&m->job_id, 3))
UNSIGNED_CHANGE(input_run, MaskedInput, flip(&m->run_id, 3))
UNSIGNED_CHANGE(input_round, MaskedInput, m->round++)
UNSIGNED_CHANGE(input_attempt, MaskedInput, m->attempt++)
UNSIGNED_CHANGE(input_slot, MaskedInput, m->slot++)
UNSIGNED_CHANGE(input_context, MaskedInput, flip(&m->context, 3))
UNSIGNED_CHANGE(input_words, MaskedInput, flip(&m->words, 3))
UNSIGNED_CHANGE(input_shorter, MaskedInput, m->words.len -= 8)
UNSIGNED_CHANGE(input_longer, MaskedInput, lengthen(&m->words, 8))
UNSIGNED_CHANGE(input_signature, MaskedInput, flip(&m->signature, 3))
UNSIGNED_CHANGE(input_signature_length, MaskedInput, m->signature.len--)

static const struct field input_fields[] = {
    {"job", input_job, "Its answer is about another job."},
    {"run", input_run, "Its answer is about another run."},
    {"round", input_round, "Its answer is about round 2 instead of round 1."},
    {"attempt", input_attempt, "Its masked input is of another attempt or key slot."},
    {"slot", input_slot, "Its masked input is of another attempt or key slot."},
    {"context", input_context, "Its masked input is of another context"},
    {"words", input_words, NOT_SIGNED},
    {"a word less", input_shorter, "Its masked input has 64 bytes instead of 72."},
    {"a word more", input_longer, "Its masked input has 80 bytes instead of 72."},
    {"signature", input_signature, NOT_SIGNED},
    {"length of the signature", input_signature_length,
     "MaskedInput: signature must have 64 bytes and has 63."},
};

/* ---- Agreement ---- */

UNSIGNED_CHANGE(agreement_job, Agreement, flip(&m->job_id, 3))
UNSIGNED_CHANGE(agreement_run, Agreement, flip(&m->run_id, 3))
UNSIGNED_CHANGE(agreement_round, Agreement, m->round++)
UNSIGNED_CHANGE(agreement_attempt, Agreement, m->attempt++)
UNSIGNED_CHANGE(agreement_signature, Agreement, flip(&m->signature, 3))
UNSIGNED_CHANGE(agreement_signature_length, Agreement, m->signature.len--)

static const struct field agreement_fields[] = {
    {"job", agreement_job, "Its answer is about another job."},
    {"run", agreement_run, "Its answer is about another run."},
    {"round", agreement_round, "Its answer is about round 2 instead of round 1."},
    {"attempt", agreement_attempt, "Its agreement is of another attempt."},
    {"signature", agreement_signature, NOT_SIGNED},
    {"length of the signature", agreement_signature_length,
     "Agreement: signature must have 64 bytes and has 63."},
};

/* ---- Unmasking ---- */

UNSIGNED_CHANGE(unmasking_job, Unmasking, flip(&m->job_id, 3))
UNSIGNED_CHANGE(unmasking_run, Unmasking, flip(&m->run_id, 3))
UNSIGNED_CHANGE(unmasking_round, Unmasking, m->round++)
UNSIGNED_CHANGE(unmasking_attempt, Unmasking, m->attempt++)
UNSIGNED_CHANGE(unmasking_kind, Unmasking, m->revealed.data[0] = SECAGG_REVEAL_S)
UNSIGNED_CHANGE(unmasking_shorter, Unmasking, m->revealed.len -= SECAGG_REVEALED_BYTES)
UNSIGNED_CHANGE(unmasking_longer, Unmasking, lengthen(&m->revealed, SECAGG_REVEALED_BYTES))
UNSIGNED_CHANGE(unmasking_no_kind, Unmasking, m->revealed.data[0] = 3)
UNSIGNED_CHANGE(unmasking_uneven, Unmasking, m->revealed.len--)
UNSIGNED_CHANGE(unmasking_no_share, Unmasking, memset(m->revealed.data + 1, 0xff, SHAMIR_SHARE_BYTES))

static const struct field unmasking_fields[] = {
    {"job", unmasking_job, "Its answer is about another job."},
    {"run", unmasking_run, "Its answer is about another run."},
    {"round", unmasking_round, "Its answer is about round 2 instead of round 1."},
    {"attempt", unmasking_attempt, "Its shares are of another attempt."},
    {"kind", unmasking_kind, " of the roster the share of b is due."},
    {"a kind that is none", unmasking_no_kind, "Unmasking: revealed must have kinds 1 (b) and 2 (s) alone."},
    {"one share less", unmasking_shorter,
     "Unmasking: revealed must have 4 shares, 41 bytes each, and has 123 bytes."},
    {"one share more", unmasking_longer,
     "Unmasking: revealed must have 4 shares, 41 bytes each, and has 205 bytes."},
    {"a part of a share", unmasking_uneven,
     "Unmasking: revealed must have from 1 to 1000 elements of 41 bytes; 163 bytes do not."},
    {"a share that is none", unmasking_no_share,
     "A share of a secret has a value of 2^61 - 1 or more: it is none."},
};

/* ---- runs ---- */

static const struct scene_job once = {
    .rounds = 1, .deadline_s = 5, .metrics = "none", .secure = ", key_batch: 2"};

static struct run_scene *run_with(size_t sites, const struct secure_fault *faults, size_t fault_count)
{
    void *state = NULL;
    assert_int_equal(run_scene_begin(&state), 0);
    struct run_scene *scene = state;
    for (size_t i = 0; i < sites; i++) {
        struct script script = {
            .secure = {.step = 0.5 + 0.25 * (double)i, .examples = 100 + 50 * i, .counts = {1, 2, 3, 4}}};
        if (i < fault_count)
            script.faults[0] = faults[i];
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &once);
    if (scene->result != 0)
        fail_msg("%s\n%s", scene->failure.sentence, scene->told);
    return scene;
}

static struct run_scene *run_changed(uint32_t type, const struct field *field, size_t sites)
{
    struct secure_fault faults[LIAR + 1] = {{0}};
    faults[LIAR] = (struct secure_fault){.type = type, .nth = 1, .change = field->change};
    print_message("%s\n", field->name);
    return run_with(sites, faults, LIAR + 1);
}

static void end(struct run_scene *scene)
{
    void *state = scene;
    assert_int_equal(run_scene_end(&state), 0);
}

static size_t contributors_of(const struct run_scene *scene)
{
    return scene->run->run.record->rounds[0].masking.contributors;
}

/* The sites that told the truth found nothing wrong. */
static void expect_content(struct run_scene *scene)
{
    for (size_t i = 0; i < scene->site_count; i++)
        assert_string_equal(scripted_site_stop(scene->sites[i])->secure.refused, "");
}

#define EACH(fields, field)                                                                                  \
    for (const struct field *field = (fields); field < (fields) + sizeof(fields) / sizeof *(fields); field++)

static void expect_left_out(uint32_t type, const struct field *field)
{
    struct run_scene *scene = run_changed(type, field, 4);
    run_scene_expect_site(scene, 1, LIAR, "failed", field->sentence);
    assert_int_equal(contributors_of(scene), 3);
    expect_content(scene);
    end(scene);
}

static void test_engine_secagg_field_of_advert_wrong_site_left_out(void **state)
{
    (void)state;
    EACH(advert_fields, field)
    expect_left_out(ADVERTISE, field);
}

static void test_engine_secagg_field_of_shares_wrong_site_left_out(void **state)
{
    (void)state;
    EACH(shares_fields, field)
    expect_left_out(SHARE, field);
}

static void test_engine_secagg_field_of_masked_input_wrong_not_in_sum(void **state)
{
    (void)state;
    EACH(input_fields, field)
    expect_left_out(MASK, field);
}

/* Its input counts, and what it answered is not used. */
static void expect_not_used(uint32_t type, const struct field *field, int unmaskings)
{
    struct run_scene *scene = run_changed(type, field, 4);
    const char *told = strstr(scene->told, field->sentence);
    if (told == NULL)
        fail_msg("Nothing said \"%s\":\n%s", field->sentence, scene->told);
    run_scene_expect_site(scene, 1, LIAR, "ok", "");
    assert_int_equal(contributors_of(scene), 4);
    expect_content(scene);
    assert_int_equal(scripted_site_stop(scene->sites[LIAR])->secure.unmaskings, unmaskings);
    end(scene);
}

static void test_engine_secagg_field_of_agreement_wrong_not_used_and_no_share_asked(void **state)
{
    (void)state;
    EACH(agreement_fields, field)
    expect_not_used(AGREE, field, 0);
}

static void test_engine_secagg_field_of_unmasking_wrong_not_used(void **state)
{
    (void)state;
    EACH(unmasking_fields, field)
    expect_not_used(UNMASK, field, 1);
}

/* ---- in the name of another ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t here;
    Fds__Advert *advert;
} other = {.lock = PTHREAD_MUTEX_INITIALIZER, .here = PTHREAD_COND_INITIALIZER};

static Fds__Advert *copy_advert(const Fds__Advert *advert)
{
    uint8_t bytes[1024];
    assert_true(fds__advert__get_packed_size(advert) <= sizeof bytes);
    return fds__advert__unpack(NULL, fds__advert__pack(advert, bytes), bytes);
}

CHANGE(advert_told, Advert)
{
    (void)own;
    (void)pthread_mutex_lock(&other.lock);
    other.advert = copy_advert(m);
    (void)pthread_cond_signal(&other.here);
    (void)pthread_mutex_unlock(&other.lock);
}

/* Word for word what the site before it says, which is well signed. */
CHANGE(advert_repeated, Advert)
{
    struct timespec until;
    int late = 0;
    (void)own;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 4;
    (void)pthread_mutex_lock(&other.lock);
    while (other.advert == NULL && late == 0)
        late = pthread_cond_timedwait(&other.here, &other.lock, &until);
    if (other.advert != NULL) {
        Fds__Advert mine = *m;
        *m = *other.advert;
        *other.advert = mine;
    }
    (void)pthread_mutex_unlock(&other.lock);
}

static void test_engine_secagg_advert_of_another_site_repeated_left_out(void **state)
{
    const struct secure_fault faults[] = {{.type = ADVERTISE, .nth = 1, .change = advert_told},
                                          {.type = ADVERTISE, .nth = 1, .change = advert_repeated}};
    (void)state;
    struct run_scene *scene = run_with(4, faults, 2);
    run_scene_expect_site(scene, 1, 0, "ok", "");
    run_scene_expect_site(scene, 1, 1, "failed", "It advertises keys in the name of another site.");
    assert_int_equal(contributors_of(scene), 3);
    end(scene);
    fds__advert__free_unpacked(other.advert, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_secagg_field_of_advert_wrong_site_left_out),
        cmocka_unit_test(test_engine_secagg_advert_of_another_site_repeated_left_out),
        cmocka_unit_test(test_engine_secagg_field_of_shares_wrong_site_left_out),
        cmocka_unit_test(test_engine_secagg_field_of_masked_input_wrong_not_in_sum),
        cmocka_unit_test(test_engine_secagg_field_of_agreement_wrong_not_used_and_no_share_asked),
        cmocka_unit_test(test_engine_secagg_field_of_unmasking_wrong_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
