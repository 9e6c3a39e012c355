/* Sums of nearly the same sites. */
#include "datasite/store_job_parts.h"
#include "datasite/store_secagg_parts.h"

/* Both ascending. */
static size_t near_differences(struct secagg_set one, struct secagg_set other)
{
    size_t i = 0, k = 0, differences = 0;
    while (i < one.count || k < other.count) {
        bool in_one = k == other.count || (i < one.count && one.positions[i] <= other.positions[k]);
        bool in_other = i == one.count || (k < other.count && other.positions[k] <= one.positions[i]);
        differences += in_one != in_other;
        i += in_one;
        k += in_other;
    }
    return differences;
}

static struct error *near_look(struct query *query, struct secagg_set contributors, size_t most,
                               struct secagg_near *near)
{
    struct error *err = NULL;
    uint32_t *positions = NULL;
    size_t count = 0;
    TRY(secagg_take_positions(query, 1, &positions, &count));
    size_t differences = near_differences(contributors, (struct secagg_set){positions, count});
    if (differences > 0 && differences <= most && (near->round == 0 || differences < near->differences))
        *near = (struct secagg_near){(uint32_t)query_int(query, 0), differences};
done:
    free(positions);
    return err;
}

struct error *store_secagg_near(struct store *store, const struct digest *job_id,
                                const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                struct secagg_set contributors, size_t most, struct secagg_near *ret_near)
{
    struct error *err = NULL, *failed = NULL;
    struct secagg_near near = {0, 0};
    struct query query;
    query_start(&query, store->database,
                "SELECT round, contributors FROM secagg_round WHERE job_id = ? AND agreement IS NOT NULL AND "
                "NOT (run_id = ? AND round = ?) ORDER BY run_id, round");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    while (failed == NULL && query_step(&query))
        failed = near_look(&query, contributors, most, &near);
    err = job_query_end(&query, failed);
    if (err == NULL)
        *ret_near = near;
    return err;
}
