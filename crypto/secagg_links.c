/* The part of secagg_keyset.h that is about neighbours. */
#include "crypto/secagg_graph.h"
#include "crypto/secagg_keyset_parts.h"

/* What the graph is to bear at least, as shares of the sites (secagg_graph.h). */
#define LINKS_CORRUPT 0.1
#define LINKS_DROPPED 0.1
#define LINKS_MAX_CORRUPT 0.5

/* The corrupt ones are counted in the roster and may all be among the members. */
static double share_of_corrupt(const struct secagg_run *run, size_t members)
{
    double sites = (double)run->sites, corrupt = (double)run->colluding;
    if (corrupt < LINKS_CORRUPT * sites)
        corrupt = LINKS_CORRUPT * sites;
    return corrupt / (double)members;
}

/* Of so many members of the roster, more than SECAGG_COMPLETE. Degree 0: no graph is safe. */
static struct error *graph_of(const struct secagg_run *run, size_t members, size_t *ret_degree,
                              size_t *ret_threshold)
{
    struct error *err = NULL;
    double corrupt = share_of_corrupt(run, members);
    *ret_degree = 0;
    if (corrupt > LINKS_MAX_CORRUPT)
        goto done;
    err = secagg_graph_find(members, corrupt, LINKS_DROPPED, ret_degree, ret_threshold);
    if (err != NULL && err->code == ERROR_UNSUPPORTED)
        error_clear(&err);
done:
    return err;
}

/* Where no graph is safe, every two members stay neighbours. */
static struct error *links_in_graph(const struct secagg_keyset *keyset, uint32_t slot,
                                    struct secagg_links *links)
{
    struct error *err = NULL;
    struct digest hash;
    size_t degree = 0, threshold = 0;
    TRY(graph_of(&keyset->run, keyset->count, &degree, &threshold));
    if (degree == 0)
        goto done;
    TRY(secagg_keyset_hash(keyset, slot, &hash));
    TRY(secagg_graph_make(&hash, keyset->count, degree, &links->rows));
    links->degree = degree;
    links->threshold = threshold;
done:
    return err;
}

struct error *secagg_links_make(const struct secagg_keyset *keyset, uint32_t slot,
                                struct secagg_links *ret_links)
{
    struct error *err = NULL;
    struct secagg_links links = {.degree = keyset->count - 1, .threshold = keyset->run.threshold};
    if (!secagg_keyset_has_slot(keyset, slot))
        FAIL(ERROR_INVALID, "Slot %" PRIu32 " is not in this batch of keys.", slot);
    if (keyset->count > SECAGG_COMPLETE)
        TRY(links_in_graph(keyset, slot, &links));
    *ret_links = links;
done:
    return err;
}

void secagg_links_clear(struct secagg_links *links)
{
    free(links->rows);
    *links = (struct secagg_links){0};
}

uint32_t secagg_links_peer(const struct secagg_links *links, const struct secagg_keyset *keyset, size_t index,
                           size_t which)
{
    if (links->rows != NULL)
        return keyset->members[links->rows[index * links->degree + which]].position;
    return keyset->members[which < index ? which : which + 1].position;
}

struct error *secagg_neighbours(const struct secagg_keyset *keyset, uint32_t slot, uint32_t position,
                                uint32_t **ret_positions, size_t *ret_count, size_t *ret_threshold)
{
    struct error *err = NULL;
    struct secagg_links links = {0};
    uint32_t *positions = NULL;
    const struct secagg_member *member = secagg_keyset_member(keyset, position);
    if (member == NULL)
        FAIL(ERROR_INVALID, "Site %" PRIu32 " of the roster has no keys in this batch.", position);
    TRY(secagg_links_make(keyset, slot, &links));
    positions = calloc(links.degree + 1, sizeof(*positions)); /* one member alone has no neighbours */
    if (positions == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %zu neighbours.", links.degree);
    for (size_t i = 0; i < links.degree; i++)
        positions[i] = secagg_links_peer(&links, keyset, (size_t)(member - keyset->members), i);
    *ret_positions = positions;
    *ret_count = links.degree;
    *ret_threshold = links.threshold;
done:
    secagg_links_clear(&links);
    return err;
}

/* More than SECAGG_COMPLETE sites may be fewer when keys are exchanged, and then all are neighbours. */
struct error *secagg_batch_most(const struct secagg_run *run, uint32_t *ret_slots)
{
    struct error *err = NULL;
    size_t degree = 0, threshold = 0;
    if (run->sites > SECAGG_COMPLETE)
        TRY(graph_of(run, run->sites, &degree, &threshold));
    if (degree == 0)
        degree = run->sites - 1;
    else if (degree < SECAGG_COMPLETE - 1)
        degree = SECAGG_COMPLETE - 1;
    size_t most = SECAGG_BATCH_SHARES / degree;
    *ret_slots = most < 1 ? 1 : most > SECAGG_MAX_BATCH ? SECAGG_MAX_BATCH : (uint32_t)most;
done:
    return err;
}
