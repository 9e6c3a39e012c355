/* What secure aggregation costs.
 *
 *     bench_secagg [--smoke | --quick]
 *
 * Every site is made up in this process: keys, signatures, shares and masks are real, only wire and disk are not there.
 * Printed are times on the processor, of what is short medians, a line each; whoever reads them finds a word, then numbers:
 *
 *     mask <ours, us> <reference, us>      mask_apply on 7850 words of 64 bits; EVP's AES-128-CTR of as many bytes, from
 *                                          zeros into another area, key set up in both
 *     pair <ours, us> <reference, us>      secagg_pair_seed_of and mask_apply; EVP's X25519 derivation, the secret key loaded
 *                                          before, and mask_apply
 *     unit <name> <us> …                   what the formulas count with; words_<n>_<words>: a word's A, H and P
 *     site <n> <words> <k> <t> <measured, ms> <formula, ms> <share> <mask> <agree>
 *     orchestrator <n> <words> <k> <t> <measured, ms> <formula, ms> <receive> <open> <unmask>
 *
 * of one round, one slot a batch: n sites, of which each tenth leaves before it masks, k neighbours and t shares of each secret. A
 * site: step 'share' (n adverts verified, k shares sealed and k opened), 'mask' (k + 1 masks, digest, signature) and
 * 'agree' (inputs and agreements verified). The orchestrator: 'receive' (adverts, inputs and agreements verified, vectors
 * hashed and added; one vector is measured and taken as often as there are contributors), 'open' (secrets from shares, and
 * checked) and 'unmask' (the masks that do not cancel).
 *
 * The formulas, with U3 = n less a tenth:
 *
 *     site           n V + 2 k (D + G) + 10 k t M + (k + 1) w A + k D + w H + 2 U3 V + 4 S
 *     orchestrator   (n + 2 U3) V + U3 w (H + P) + n t (2 t + 70) 2 M + U3 (E + w A) + (n - U3) (B + k (U3 / n) (D + w A))
 *
 * V verify, S sign, D derive a seed of a pair, E expand one, B the public key of a secret one, G AES-GCM of a share, M a
 * multiplication modulo 2^61 - 1, and of a word: A its mask, H writing and hashing, P reading and adding. */
#include "tests/bench/secagg_cohort.h"

#define MASK_WORDS 7850

static size_t repeats = 15;

/* Milliseconds of this process on the processor: all of it is computing, and machines are shared. */
static double processor_ms(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0)
        abort();
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

/* Median in milliseconds of `repeats` runs, each of `times` calls, of one call. */
#define MEASURE(ret_ms, times, call)                                                                         \
    do {                                                                                                     \
        double measured_[STOPWATCH_MAX_REPEATS];                                                             \
        for (size_t repeat_ = 0; repeat_ < repeats; repeat_++) {                                             \
            double begun_ = processor_ms();                                                                  \
            for (size_t time_ = 0; time_ < (times); time_++)                                                 \
                call;                                                                                        \
            measured_[repeat_] = (processor_ms() - begun_) / (double)(times);                                \
        }                                                                                                    \
        (ret_ms) = stopwatch_median(measured_, repeats);                                                     \
    } while (0)

/* ---- against OpenSSL alone ---- */

static void raw_stream(const uint8_t seed[static MASK_SEED_BYTES], const uint8_t *zeros, uint8_t *ret_stream,
                       int bytes)
{
    int made = 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (cipher == NULL || EVP_EncryptInit_ex(cipher, EVP_aes_128_ctr(), NULL, seed, seed + 16) != 1 ||
        EVP_EncryptUpdate(cipher, ret_stream, &made, zeros, bytes) != 1)
        abort();
    EVP_CIPHER_CTX_free(cipher);
}

static void raw_derive(EVP_PKEY *own, const uint8_t other[static AGREEMENT_KEY_BYTES],
                       uint8_t ret_shared[static AGREEMENT_KEY_BYTES])
{
    size_t bytes = AGREEMENT_KEY_BYTES;
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, other, AGREEMENT_KEY_BYTES);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
    if (peer == NULL || context == NULL || EVP_PKEY_derive_init(context) != 1 ||
        EVP_PKEY_derive_set_peer(context, peer) != 1 || EVP_PKEY_derive(context, ret_shared, &bytes) != 1)
        abort();
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
}

static void pair_once(const struct cohort *cohort, struct agreement_key *key, uint64_t *words, size_t count)
{
    uint8_t seed[MASK_SEED_BYTES];
    stopwatch_must(secagg_pair_seed_of(&cohort->attempt, 1, 2, key, seed));
    stopwatch_must(mask_apply(seed, MASK_ADD, MASK_RING_64, words, count));
}

/* Ours and the reference in turns, so that what else the machine does falls on both. */
static void against_openssl(size_t words, size_t times)
{
    struct cohort cohort;
    uint8_t seed[MASK_SEED_BYTES] = {1}, *zeros = area_of(words, 8), *stream = area_of(words, 8);
    uint64_t *vector = area_of(words, sizeof(*vector));
    double mask[STOPWATCH_MAX_REPEATS], raw[STOPWATCH_MAX_REPEATS], pair[STOPWATCH_MAX_REPEATS],
        raw_pair[STOPWATCH_MAX_REPEATS];
    size_t rounds = repeats == 1 ? 1 : STOPWATCH_MAX_REPEATS - 1, only = repeats;
    struct agreement_key *key = NULL;
    cohort_people(&cohort, 4);
    cohort_keys(&cohort);
    cohort_round(&cohort, words);
    EVP_PKEY *own =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, cohort.secrets[0].s, AGREEMENT_KEY_BYTES);
    stopwatch_must(agreement_key_new(cohort.secrets[0].s, &key));
    repeats = 1;
    for (size_t i = 0; i < rounds; i++) {
        MEASURE(raw[i], times, raw_stream(seed, zeros, stream, (int)(8 * words)));
        MEASURE(mask[i], times, stopwatch_must(mask_apply(seed, MASK_ADD, MASK_RING_64, vector, words)));
        MEASURE(raw_pair[i], times,
                (raw_derive(own, cohort.adverts[1].entries->s, seed),
                 stopwatch_must(mask_apply(seed, MASK_ADD, MASK_RING_64, vector, words))));
        MEASURE(pair[i], times, pair_once(&cohort, key, vector, words));
    }
    repeats = only;
    printf("mask %.3f %.3f\n", 1e3 * stopwatch_median(mask, rounds), 1e3 * stopwatch_median(raw, rounds));
    printf("pair %.3f %.3f\n", 1e3 * stopwatch_median(pair, rounds),
           1e3 * stopwatch_median(raw_pair, rounds));
    EVP_PKEY_free(own);
    agreement_key_free(key);
    cohort_round_end(&cohort);
    cohort_free(&cohort);
    free(vector);
    free(stream);
    free(zeros);
}

/* ---- units ---- */

/* Milliseconds. */
struct units {
    double verify, sign, derive, expand, public_key, seal, multiply;
    double mask, hash, add; /* of a word, at a length */
};

static void seal_once(const struct cohort *cohort)
{
    struct secagg_share own;
    uint8_t *sealed = NULL;
    size_t count = 0;
    stopwatch_must(
        secagg_share_make(cohort->keyset, COHORT_SLOT, 1, &cohort->secrets[0], &sealed, &count, &own));
    free(sealed);
}

static void units_of_steps(struct units *ret_units, size_t times)
{
    struct cohort cohort;
    uint8_t seed[MASK_SEED_BYTES], signature[SIGNATURE_BYTES], share[SHAMIR_SHARE_BYTES], body[96] = {0};
    struct shamir_deal *deal = NULL;
    double shares = 0;
    cohort_people(&cohort, 11);
    cohort_keys(&cohort);
    cohort_round(&cohort, 10);
    const struct identity *identity = &cohort.identities[0];
    struct agreement_key *key = NULL;
    stopwatch_must(agreement_key_new(cohort.secrets[0].s, &key));
    MEASURE(ret_units->sign, times,
            stopwatch_must(secagg_sign(identity, "input", body, sizeof(body), signature)));
    MEASURE(ret_units->verify, times,
            stopwatch_must(secagg_verify(NULL, identity_id(identity), identity->public_key, "input", body,
                                         sizeof(body), signature)));
    MEASURE(ret_units->derive, times, stopwatch_must(secagg_pair_seed_of(&cohort.attempt, 1, 2, key, seed)));
    MEASURE(ret_units->expand, times,
            stopwatch_must(secagg_self_seed(&cohort.attempt, 1, cohort.secrets[0].b, seed)));
    MEASURE(ret_units->public_key, times, stopwatch_must(agreement_public(cohort.secrets[0].s, seed)));
    stopwatch_must(shamir_deal_new(cohort.secrets[0].b, 100, cohort.secrets[0].s, &deal));
    MEASURE(ret_units->multiply, times, shamir_deal_share(deal, 77, share));
    ret_units->multiply /= 100 * SHAMIR_LIMBS;
    /* Of ten neighbours, less what is counted apart. */
    MEASURE(shares, times / 10 + 1, seal_once(&cohort));
    ret_units->seal = fmax(0, shares / 10 - ret_units->derive -
                                  2 * SHAMIR_LIMBS * (double)cohort.threshold * ret_units->multiply);
    agreement_key_free(key);
    shamir_deal_free(deal);
    cohort_round_end(&cohort);
    cohort_free(&cohort);
}

/* The vector as it is hashed; a quarter of a MiB at a time. */
static void digest_vector(const uint64_t *words, size_t count, struct digest *ret_digest)
{
    static uint8_t bytes[1 << 18];
    struct digest_stream *stream = NULL;
    stopwatch_must(digest_stream_new(&stream));
    for (size_t at = 0, step = 0; at < count; at += step) {
        step = count - at < sizeof(bytes) / 8 ? count - at : sizeof(bytes) / 8;
        mask_write(MASK_RING_64, words + at, step, bytes);
        stopwatch_must(digest_stream_add(stream, bytes, 8 * step));
    }
    stopwatch_must(digest_stream_finish(stream, ret_digest));
    digest_stream_free(stream);
}

static void add_vector(uint64_t *words, const uint8_t *bytes, size_t count)
{
    static uint64_t read[1 << 15];
    for (size_t at = 0, step = 0; at < count; at += step) {
        step = count - at < sizeof(read) / 8 ? count - at : sizeof(read) / 8;
        mask_read(MASK_RING_64, bytes + 8 * at, step, read);
        mask_add_words(MASK_RING_64, words + at, read, step);
    }
}

static void units_of_words(struct units *units, size_t count)
{
    uint64_t *words = area_of(count, sizeof(*words));
    uint8_t seed[MASK_SEED_BYTES] = {2}, *bytes = area_of(count, 8);
    struct digest digest;
    size_t times = 1 + 200000 / count;
    MEASURE(units->mask, times, stopwatch_must(mask_apply(seed, MASK_ADD, MASK_RING_64, words, count)));
    MEASURE(units->hash, times, digest_vector(words, count, &digest));
    MEASURE(units->add, times, add_vector(words, bytes, count));
    units->mask /= (double)count;
    units->hash /= (double)count;
    units->add /= (double)count;
    free(words);
    free(bytes);
}

/* ---- one site ---- */

/* What the neighbours of position 1 sealed for it: [degree]. */
static uint8_t (*sealed_for_1(const struct cohort *cohort))[SECAGG_SEALED_BYTES]
{
    uint8_t(*sealed)[SECAGG_SEALED_BYTES] = area_of(cohort->degree, SECAGG_SEALED_BYTES);
    for (size_t i = 0; i < cohort->degree; i++) {
        uint32_t from = cohort->neighbours[i], *theirs = NULL;
        uint8_t *made = NULL;
        size_t count = 0, threshold = 0;
        struct secagg_share own;
        stopwatch_must(secagg_share_make(cohort->keyset, COHORT_SLOT, from, &cohort->secrets[from - 1], &made,
                                         &count, &own));
        stopwatch_must(secagg_neighbours(cohort->keyset, COHORT_SLOT, from, &theirs, &count, &threshold));
        for (size_t k = 0; k < count; k++)
            if (theirs[k] == 1)
                memcpy(sealed[i], made + k * SECAGG_SEALED_BYTES, SECAGG_SEALED_BYTES);
        free(theirs);
        free(made);
    }
    return sealed;
}

static double site_shares(const struct cohort *cohort)
{
    uint8_t(*sealed)[SECAGG_SEALED_BYTES] = sealed_for_1(cohort);
    struct secagg_share share;
    struct secagg_keyset *keyset = NULL;
    double begun = processor_ms();
    stopwatch_must(secagg_keyset_make(&cohort->run, cohort->adverts, cohort->sites, NULL, &keyset));
    seal_once(cohort);
    for (size_t i = 0; i < cohort->degree; i++)
        stopwatch_must(secagg_share_open(keyset, COHORT_SLOT, 1, cohort->neighbours[i], &cohort->secrets[0],
                                         sealed[i], &share));
    double ms = processor_ms() - begun;
    secagg_keyset_free(keyset);
    free(sealed);
    return ms;
}

static double site_masks(const struct cohort *cohort, uint64_t *words)
{
    struct digest digest;
    uint8_t signature[SIGNATURE_BYTES];
    double begun = processor_ms();
    stopwatch_must(secagg_input_mask(&cohort->attempt, 1, &cohort->secrets[0], words));
    digest_vector(words, cohort->attempt.words, &digest);
    stopwatch_must(secagg_input_sign(&cohort->identities[0], &cohort->attempt, &digest, signature));
    return processor_ms() - begun;
}

static double site_agrees(const struct cohort *cohort)
{
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES], signature[SIGNATURE_BYTES];
    struct secagg_revealed *revealed = NULL;
    size_t count = cohort->contributors.count, given = 0;
    double begun = processor_ms();
    stopwatch_must(
        secagg_agree_check(&cohort->attempt, 1, &cohort->inputs[0].digest, cohort->inputs, count, 0, body));
    stopwatch_must(secagg_sign(&cohort->identities[0], SECAGG_AGREEMENT, body, sizeof(body), signature));
    stopwatch_must(secagg_unmask_check(&cohort->attempt, 1, body, cohort->inputs, count, cohort->agreements,
                                       count, NULL));
    stopwatch_must(secagg_reveal_plan(&cohort->attempt, cohort->contributors, 1, &revealed, &given));
    double ms = processor_ms() - begun;
    free(revealed);
    return ms;
}

static void site_print(const struct cohort *cohort, const struct units *u, double shares, uint64_t *words)
{
    double n = (double)cohort->sites, k = (double)cohort->degree, t = (double)cohort->threshold;
    double w = (double)cohort->attempt.words, stayed = (double)cohort->contributors.count;
    double masks = site_masks(cohort, words), agrees = site_agrees(cohort);
    double formula = n * u->verify + 2 * k * (u->derive + u->seal) + 10 * k * t * u->multiply +
                     (k + 1) * w * u->mask + k * u->derive + w * u->hash + stayed * u->verify + 4 * u->sign;
    printf("site %.0f %.0f %.0f %.0f %.3f %.3f %.3f %.3f %.3f\n", n, w, k, t, shares + masks + agrees,
           formula, shares, masks, agrees);
}

/* ---- the orchestrator ---- */

static double orchestrator_receives(const struct cohort *cohort, uint64_t *words)
{
    struct secagg_keyset *keyset = NULL;
    struct digest digest;
    size_t count = cohort->contributors.count;
    uint8_t *bytes = area_of(cohort->attempt.words, 8);
    double begun = processor_ms();
    stopwatch_must(secagg_keyset_make(&cohort->run, cohort->adverts, cohort->sites, NULL, &keyset));
    for (size_t i = 0; i < count; i++)
        stopwatch_must(secagg_input_verify(&cohort->attempt, &cohort->inputs[i], NULL));
    stopwatch_must(secagg_agreements_verify(&cohort->run, cohort->body, cohort->agreements, count, NULL));
    double ms = processor_ms() - begun;
    begun = processor_ms();
    digest_vector(words, cohort->attempt.words, &digest);
    add_vector(words, bytes, cohort->attempt.words);
    ms += (double)count * (processor_ms() - begun);
    secagg_keyset_free(keyset);
    free(bytes);
    return ms;
}

static void orchestrator_print(const struct cohort *cohort, const struct units *u, uint64_t *words)
{
    double n = (double)cohort->sites, k = (double)cohort->degree, t = (double)cohort->threshold;
    double w = (double)cohort->attempt.words, stayed = (double)cohort->contributors.count, gone = n - stayed;
    struct secagg_opened *opened = NULL;
    double receives = orchestrator_receives(cohort, words), begun = processor_ms();
    stopwatch_must(secagg_open_secrets(&cohort->attempt, cohort->contributors, cohort->unmaskings,
                                       cohort->contributors.count, &opened, NULL));
    double opens = processor_ms() - begun;
    begun = processor_ms();
    stopwatch_must(secagg_sum_unmask(&cohort->attempt, cohort->contributors, opened, words));
    double unmasks = processor_ms() - begun;
    double formula = (n + 2 * stayed) * u->verify + stayed * w * (u->hash + u->add) +
                     n * t * (2 * t + 70) * 2 * u->multiply + stayed * (u->expand + w * u->mask) +
                     gone * (u->public_key + k * stayed / n * (u->derive + w * u->mask));
    printf("orchestrator %.0f %.0f %.0f %.0f %.3f %.3f %.3f %.3f %.3f\n", n, w, k, t,
           receives + opens + unmasks, formula, receives, opens, unmasks);
    free(opened);
}

static void costs(size_t sites, const size_t *lengths, size_t length_count, struct units *units)
{
    struct cohort cohort;
    cohort_people(&cohort, sites);
    cohort_keys(&cohort);
    double shares = site_shares(&cohort);
    for (size_t i = 0; i < length_count; i++) {
        uint64_t *words = area_of(lengths[i], sizeof(*words));
        cohort_round(&cohort, lengths[i]);
        if (cohort.unmaskings == NULL)
            cohort_reveal(&cohort);
        units_of_words(units, lengths[i]);
        printf("unit words_%zu_%zu %.5f %.5f %.5f\n", sites, lengths[i], 1e3 * units->mask, 1e3 * units->hash,
               1e3 * units->add);
        site_print(&cohort, units, shares, words);
        orchestrator_print(&cohort, units, words);
        (void)fflush(stdout);
        cohort_round_end(&cohort);
        free(words);
    }
    cohort_free(&cohort);
}

int main(int count, char **arguments)
{
    static const size_t lengths[] = {7850, 101770, 1660000}, small[] = {100, 333};
    bool smoke = count == 2 && strcmp(arguments[1], "--smoke") == 0;
    bool quick = count == 2 && strcmp(arguments[1], "--quick") == 0;
    struct units units = {0};
    if (count > 2 || (count == 2 && !smoke && !quick)) {
        (void)fprintf(stderr, "Usage: bench_secagg [--smoke | --quick]\n");
        return 2;
    }
    repeats = smoke ? 1 : quick ? 7 : 15;
    against_openssl(smoke ? 100 : MASK_WORDS, smoke ? 1 : 10);
    units_of_steps(&units, smoke ? 1 : 200);
    printf("unit verify %.2f\nunit sign %.2f\nunit derive %.2f\nunit expand %.2f\nunit public %.2f\nunit "
           "seal %.2f\n"
           "unit multiply %.5f\n",
           1e3 * units.verify, 1e3 * units.sign, 1e3 * units.derive, 1e3 * units.expand,
           1e3 * units.public_key, 1e3 * units.seal, 1e3 * units.multiply);
    if (smoke) {
        costs(10, small, 2, &units);
        costs(140, small, 1, &units);
        return 0;
    }
    costs(10, lengths, 3, &units);
    costs(100, lengths, quick ? 2 : 3, &units);
    costs(1000, lengths, quick ? 2 : 3, &units);
    return 0;
}
