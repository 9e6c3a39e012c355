/* How k and t_k are found. Of n sites, c are corrupt and hand all that they know to the orchestrator, d drop out; the
 * permutation is fixed only after everybody's keys are, so that who is whose neighbour is a draw without replacement. With
 * H(N, K, m) the number of marked among m drawn of N, K of which are marked:
 *
 *   shares      a contributor has fewer than t_k neighbours that stay: somebody's secret cannot be opened.
 *               n · P[H(n - 1, n - 1 - d, k) < t_k]  <=  2^-20
 *   isolation   Two honest contributors next to each other on the circle are joined unless k/2 places or more lie between
 *               them. So to cut honest contributors off from the others, and to learn the sum of those alone, the
 *               orchestrator has to drop all that are honest among the k/2 places that follow one of them. This one still
 *               needs t_k neighbours among the contributors (secagg_agree_check), of which at most k/2 are on its
 *               other side: so at least t_k - k/2 of the k/2 places must be corrupt.
 *               n · P[H(n - 1, c, k/2) >= t_k - k/2]  <=  2^-40
 *               This holds also for an orchestrator that chooses whom to drop after it knows the graph.
 *   collusion   The corrupt neighbours of a site reach the threshold by themselves.
 *               n · P[H(n - 1, c, k) >= t_k]  <=  2^-40
 *   both kinds  Every corrupt neighbour gives shares of both secrets of a site, every other holder (k, and the site) of one, as
 *               it was told: 2 t_k <= (k + 1) + corrupt opens both. That holders are told different things is already
 *               prevented by the one agreement of a round; this makes it hopeless in each neighbourhood too.
 *               n · P[H(n - 1, c, k) >= 2 t_k - k - 1]  <=  2^-40
 *
 * The first and the last three correspond to the correctness (2^-eta) and security (2^-sigma) of Bell et al. 2020,
 * section 3.2 and definition 4.1. The second is the one that decides k at a tenth and a tenth: (112, 83) for 500 sites and (132, 97) for
 * 1000, where (110, ·) and (130, ·) have no t_k at all.
 *
 * The tails are sums of exact terms, in logarithms; a tail of 2^-60 has a relative error of some 1e-10. */
#include "crypto/secagg_graph.h"

#include "crypto/openssl_error.h"
#include "crypto/secagg.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SITES 3
#define DRAWN_WORDS 512 /* of the key stream at a time */

/* Tails over one number of sites. */
struct chances {
    size_t sites, corrupt, dropped;
    double *log_factorials; /* [sites + 1] */
};

static double log_choose(const struct chances *chances, size_t from, size_t take)
{
    return chances->log_factorials[from] - chances->log_factorials[take] -
           chances->log_factorials[from - take];
}

/* P[first <= H(sites - 1, marked, drawn) <= last]. */
static double tail(const struct chances *chances, size_t marked, size_t drawn, size_t first, size_t last)
{
    size_t all = chances->sites - 1;
    size_t least = drawn + marked > all ? drawn + marked - all : 0;
    size_t most = drawn < marked ? drawn : marked;
    double sum = 0.0;
    for (size_t i = first > least ? first : least; i <= last && i <= most; i++)
        sum += exp(log_choose(chances, marked, i) + log_choose(chances, all - marked, drawn - i) -
                   log_choose(chances, all, drawn));
    return sum;
}

/* The largest threshold for which shares are there, 0: none. */
static size_t largest_threshold(const struct chances *chances, size_t degree)
{
    double allowed = ldexp(1.0 / (double)chances->sites, -SECAGG_GRAPH_CORRECTNESS_BITS);
    size_t staying = chances->sites - 1 - chances->dropped;
    double fewer = 0.0; /* P[H < threshold] */
    size_t threshold = 0;
    while (threshold < degree) {
        fewer += tail(chances, staying, degree, threshold, threshold);
        if (fewer > allowed)
            break;
        threshold++;
    }
    return threshold;
}

static bool is_private(const struct chances *chances, size_t degree, size_t threshold)
{
    double allowed = ldexp(1.0 / (double)chances->sites, -SECAGG_GRAPH_SECURITY_BITS);
    size_t half = degree / 2, all = chances->sites;
    if (threshold <= half || 2 * threshold <= degree + 1)
        return false;
    return tail(chances, chances->corrupt, half, threshold - half, all) <= allowed &&
           tail(chances, chances->corrupt, degree, threshold, all) <= allowed &&
           tail(chances, chances->corrupt, degree, 2 * threshold - degree - 1, all) <= allowed;
}

/* The least threshold up to `largest` that keeps everything private, 0: none. */
static size_t least_threshold(const struct chances *chances, size_t degree, size_t largest)
{
    size_t threshold = largest;
    if (largest == 0 || !is_private(chances, degree, largest))
        return 0;
    while (threshold > 1 && is_private(chances, degree, threshold - 1))
        threshold--;
    return threshold;
}

/* Sites that a share is, rounded up; what float64 adds to a whole number is no site. */
static size_t whole_sites(size_t sites, double share)
{
    return (size_t)ceil(share * (double)sites - 1e-9);
}

struct error *secagg_graph_find(size_t sites, double corrupt, double dropped, size_t *ret_neighbours,
                                size_t *ret_threshold)
{
    struct error *err = NULL;
    struct chances chances = {.sites = sites};
    if (sites < LEAST_SITES || sites > SECAGG_MAX_SITES)
        FAIL(ERROR_INVALID, "A graph is for %d to %d sites, not %zu.", LEAST_SITES, SECAGG_MAX_SITES, sites);
    if (!(corrupt >= 0.0 && corrupt <= 0.5 && dropped >= 0.0 && dropped <= 0.5 && corrupt + dropped < 1.0))
        FAIL(ERROR_INVALID,
             "The shares of corrupt and of dropped sites are each from 0 to 0.5, together below 1.");
    chances.corrupt = whole_sites(sites, corrupt);
    chances.dropped = whole_sites(sites, dropped);
    chances.log_factorials = calloc(sites + 1, sizeof(*chances.log_factorials));
    if (chances.log_factorials == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to find the graph of %zu sites.", sites);
    for (size_t i = 2; i <= sites; i++)
        chances.log_factorials[i] = chances.log_factorials[i - 1] + log((double)i);
    for (size_t degree = 2; degree < sites; degree += 2) {
        size_t threshold = least_threshold(&chances, degree, largest_threshold(&chances, degree));
        if (threshold == 0)
            continue;
        *ret_neighbours = degree;
        *ret_threshold = threshold;
        goto done;
    }
    FAIL(ERROR_UNSUPPORTED,
         "For %zu sites of which %zu may be corrupt and %zu may drop out there is no graph that is safe.",
         sites, chances.corrupt, chances.dropped);
done:
    free(chances.log_factorials);
    return err;
}

/* The key stream, word by word. */
struct draw {
    EVP_CIPHER_CTX *cipher;
    uint8_t bytes[2 * DRAWN_WORDS];
    size_t used; /* words */
};

static struct error *draw_open(struct draw *draw, const struct digest *keyset_hash)
{
    static const char label[] = "FDS-SA1 graph"; /* hashed with its NUL */
    uint8_t text[sizeof(label) + DIGEST_BYTES];
    struct error *err = NULL;
    struct digest seed;
    memcpy(text, label, sizeof(label));
    memcpy(text + sizeof(label), keyset_hash->bytes, DIGEST_BYTES);
    TRY(digest_of(text, sizeof(text), &seed));
    draw->used = DRAWN_WORDS;
    draw->cipher = EVP_CIPHER_CTX_new();
    if (draw->cipher == NULL ||
        EVP_EncryptInit_ex(draw->cipher, EVP_aes_128_ctr(), NULL, seed.bytes, seed.bytes + 16) != 1)
        TRY(openssl_error("starting AES-128-CTR"));
done:
    return err;
}

static struct error *draw_word(struct draw *draw, uint32_t *ret_word)
{
    if (draw->used == DRAWN_WORDS) {
        static const uint8_t zeros[2 * DRAWN_WORDS];
        int written = 0;
        if (EVP_EncryptUpdate(draw->cipher, draw->bytes, &written, zeros, (int)sizeof(zeros)) != 1 ||
            written != (int)sizeof(zeros))
            return openssl_error("running AES-128-CTR");
        draw->used = 0;
    }
    *ret_word = (uint32_t)(draw->bytes[2 * draw->used] | draw->bytes[2 * draw->used + 1] << 8);
    draw->used++;
    return NULL;
}

/* Uniform over 0 … bound - 1: words beyond the last whole multiple of `bound` are thrown away. */
static struct error *draw_below(struct draw *draw, uint32_t bound, uint32_t *ret_number)
{
    struct error *err = NULL;
    uint32_t word = 0, end = 0x10000 - 0x10000 % bound;
    do {
        TRY(draw_word(draw, &word));
    } while (word >= end);
    *ret_number = word % bound;
done:
    return err;
}

static struct error *shuffle(const struct digest *keyset_hash, size_t count, uint32_t *circle)
{
    struct error *err = NULL;
    struct draw draw = {0};
    TRY(draw_open(&draw, keyset_hash));
    for (size_t i = 0; i < count; i++)
        circle[i] = (uint32_t)i;
    for (size_t i = count - 1; i > 0; i--) {
        uint32_t j = 0, member = circle[i];
        TRY(draw_below(&draw, (uint32_t)i + 1, &j));
        circle[i] = circle[j];
        circle[j] = member;
    }
done:
    EVP_CIPHER_CTX_free(draw.cipher);
    return err;
}

/* Rows are filled by ascending member, so that each is ascending without being sorted. */
static void join(const uint32_t *circle, const uint32_t *places, size_t count, size_t degree, size_t *filled,
                 uint32_t *neighbours)
{
    for (size_t member = 0; member < count; member++) {
        size_t ahead = places[member], behind = places[member];
        for (size_t step = 0; step < degree / 2; step++) {
            ahead = ahead + 1 == count ? 0 : ahead + 1;
            behind = behind == 0 ? count - 1 : behind - 1;
            uint32_t after = circle[ahead], before = circle[behind];
            neighbours[after * degree + filled[after]++] = (uint32_t)member;
            neighbours[before * degree + filled[before]++] = (uint32_t)member;
        }
    }
}

struct error *secagg_graph_make(const struct digest *keyset_hash, size_t count, size_t degree,
                                uint32_t **ret_neighbours)
{
    struct error *err = NULL;
    uint32_t *circle = NULL, *places = NULL, *neighbours = NULL;
    size_t *filled = NULL;
    if (count < LEAST_SITES || count > SECAGG_MAX_SITES || degree < 2 || degree % 2 != 0 || degree >= count)
        FAIL(ERROR_INVALID, "There is no graph in which each of %zu sites has %zu neighbours.", count,
             degree);
    circle = calloc(count, sizeof(*circle));
    places = calloc(count, sizeof(*places));
    filled = calloc(count, sizeof(*filled));
    neighbours = calloc(count * degree, sizeof(*neighbours));
    if (circle == NULL || places == NULL || filled == NULL || neighbours == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the graph of %zu sites.", count);
    TRY(shuffle(keyset_hash, count, circle));
    for (size_t i = 0; i < count; i++)
        places[circle[i]] = (uint32_t)i;
    join(circle, places, count, degree, filled, neighbours);
    *ret_neighbours = neighbours;
    neighbours = NULL;
done:
    free(circle);
    free(places);
    free(filled);
    free(neighbours);
    return err;
}
