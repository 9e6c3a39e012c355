#include "crypto/secagg_graph.h"

#include "crypto/secagg.h"
#include "scratch.h"

#include <stdlib.h>
#include <string.h>

/* Expected numbers are from another implementation, with exact fractions in place of logarithms. */
static void test_secagg_graph_find_gives_the_least_safe_parameters(void **state)
{
    static const struct {
        size_t sites;
        double corrupt, dropped;
        size_t neighbours, threshold;
    } known[] = {
        {500, 0.1, 0.1, 112, 83},   {1000, 0.1, 0.1, 132, 97},   {129, 0.1, 0.1, 54, 41},
        {200, 0.1, 0.1, 76, 57},    {256, 0.1, 0.1, 88, 66},     {333, 0.1, 0.1, 98, 73},
        {750, 0.1, 0.1, 126, 93},   {1024, 0.1, 0.1, 132, 97},   {129, 0.33, 0.1, 100, 87},
        {300, 0.33, 0.1, 180, 150}, {1000, 0.33, 0.1, 306, 248}, {200, 0.1, 0.2, 118, 80},
        {129, 0.0, 0.0, 2, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t neighbours = 0, threshold = 0;
        succeeds(
            secagg_graph_find(known[i].sites, known[i].corrupt, known[i].dropped, &neighbours, &threshold));
        assert_int_equal(neighbours, known[i].neighbours);
        assert_int_equal(threshold, known[i].threshold);
    }
}

static void test_secagg_graph_find_refuses_what_cannot_be(void **state)
{
    size_t neighbours = 7, threshold = 7;
    (void)state;
    fails_saying(secagg_graph_find(200, 0.5, 0.45, &neighbours, &threshold), ERROR_UNSUPPORTED, "no graph");
    fails(secagg_graph_find(SECAGG_MAX_SITES + 1, 0.1, 0.1, &neighbours, &threshold), ERROR_INVALID);
    fails(secagg_graph_find(2, 0.1, 0.1, &neighbours, &threshold), ERROR_INVALID);
    fails(secagg_graph_find(200, 0.6, 0.1, &neighbours, &threshold), ERROR_INVALID);
    fails(secagg_graph_find(200, 0.1, -0.1, &neighbours, &threshold), ERROR_INVALID);
    fails(secagg_graph_find(200, 0.5, 0.5, &neighbours, &threshold), ERROR_INVALID);
    fails(secagg_graph_find(200, 0.0 / 0.0, 0.1, &neighbours, &threshold), ERROR_INVALID);
    assert_int_equal(neighbours, 7);
    assert_int_equal(threshold, 7);
}

static struct digest counting_hash(void)
{
    struct digest hash;
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        hash.bytes[i] = (uint8_t)i;
    return hash;
}

static void test_secagg_graph_make_of_nine_is_known(void **state)
{
    static const uint32_t known[9 * 4] = {2, 4, 6, 8, 2, 3, 6, 7, 0, 1, 4, 6, 1, 5, 6, 7, 0, 2,
                                          5, 8, 3, 4, 7, 8, 0, 1, 2, 3, 1, 3, 5, 8, 0, 4, 5, 7};
    struct digest hash = counting_hash();
    uint32_t *neighbours = NULL;
    (void)state;
    succeeds(secagg_graph_make(&hash, 9, 4, &neighbours));
    assert_memory_equal(neighbours, known, sizeof(known));
    free(neighbours);
}

/* The thousand of the other implementation throws 13 words of the stream away. */
static void test_secagg_graph_make_with_rejected_words_is_known(void **state)
{
    static const struct {
        size_t count, degree;
        const char *digest;
    } known[] = {
        {129, 60, "11c92dfd01bb638536fb95226797b4018a2b3ae2ea9a127ce750f236bd8cfba6"},
        {1000, 132, "a761c2104360a87354a7a593e2e6815cc09eecc913dce9416d46e130edee0709"},
    };
    struct digest hash = counting_hash();
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint32_t *neighbours = NULL;
        struct digest digest;
        char hex[DIGEST_HEX_BYTES];
        succeeds(secagg_graph_make(&hash, known[i].count, known[i].degree, &neighbours));
        succeeds(digest_of(neighbours, known[i].count * known[i].degree * sizeof(*neighbours), &digest));
        digest_hex(&digest, hex);
        assert_string_equal(hex, known[i].digest);
        free(neighbours);
    }
}

static bool is_joined(const uint32_t *neighbours, size_t degree, uint32_t one, uint32_t other)
{
    for (size_t i = 0; i < degree; i++)
        if (neighbours[one * degree + i] == other)
            return true;
    return false;
}

static void test_secagg_graph_make_is_regular_symmetric_and_ascending(void **state)
{
    static const struct {
        size_t count, degree;
    } shapes[] = {{3, 2}, {4, 2}, {5, 4}, {6, 4}, {129, 54}, {130, 128}};
    struct digest hash = counting_hash();
    (void)state;
    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        size_t degree = shapes[s].degree;
        uint32_t *neighbours = NULL;
        succeeds(secagg_graph_make(&hash, shapes[s].count, degree, &neighbours));
        for (uint32_t i = 0; i < shapes[s].count; i++)
            for (size_t k = 0; k < degree; k++) {
                uint32_t other = neighbours[i * degree + k];
                assert_true(other < shapes[s].count);
                assert_int_not_equal(other, i);
                if (k > 0)
                    assert_true(other > neighbours[i * degree + k - 1]);
                assert_true(is_joined(neighbours, degree, other, i));
            }
        free(neighbours);
    }
}

static void test_secagg_graph_make_depends_on_every_byte_of_the_hash(void **state)
{
    struct digest hash = counting_hash();
    uint32_t *neighbours = NULL;
    (void)state;
    succeeds(secagg_graph_make(&hash, 129, 54, &neighbours));
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        uint32_t *others = NULL;
        struct digest other = hash;
        other.bytes[i] ^= 1;
        succeeds(secagg_graph_make(&other, 129, 54, &others));
        assert_memory_not_equal(others, neighbours, 129 * 54 * sizeof(*others));
        free(others);
    }
    free(neighbours);
}

/* A place of the circle is anybody's: over many hashes, how often 0 and 1 of 9 are neighbours is 4 of 8. */
static void test_secagg_graph_make_joins_any_two_equally_often(void **state)
{
    enum { TRIES = 4000 };
    size_t joined[9] = {0};
    (void)state;
    for (uint32_t i = 0; i < TRIES; i++) {
        struct digest hash = {{0}};
        uint32_t *neighbours = NULL;
        memcpy(hash.bytes, &i, sizeof(i));
        succeeds(secagg_graph_make(&hash, 9, 4, &neighbours));
        for (size_t k = 0; k < 4; k++)
            joined[neighbours[k]]++;
        free(neighbours);
    }
    /* 2000 expected, deviation 31.6: six of them. */
    for (size_t i = 1; i < 9; i++)
        assert_in_range(joined[i], 2000 - 190, 2000 + 190);
}

static void test_secagg_graph_make_refuses_other_shapes(void **state)
{
    static const struct {
        size_t count, degree;
    } shapes[] = {{2, 2}, {9, 3}, {9, 0}, {9, 10}, {SECAGG_MAX_SITES + 1, 10}};
    struct digest hash = counting_hash();
    uint32_t *neighbours = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        fails(secagg_graph_make(&hash, shapes[i].count, shapes[i].degree, &neighbours), ERROR_INVALID);
    assert_null(neighbours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secagg_graph_find_gives_the_least_safe_parameters),
        cmocka_unit_test(test_secagg_graph_find_refuses_what_cannot_be),
        cmocka_unit_test(test_secagg_graph_make_of_nine_is_known),
        cmocka_unit_test(test_secagg_graph_make_with_rejected_words_is_known),
        cmocka_unit_test(test_secagg_graph_make_is_regular_symmetric_and_ascending),
        cmocka_unit_test(test_secagg_graph_make_depends_on_every_byte_of_the_hash),
        cmocka_unit_test(test_secagg_graph_make_joins_any_two_equally_often),
        cmocka_unit_test(test_secagg_graph_make_refuses_other_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
