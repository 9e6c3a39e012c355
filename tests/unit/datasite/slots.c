#include "tests/unit/datasite/slots.h"

#include "crypto/secret.h"
#include "datasite/store_internal.h"

#define SEALED_BYTES 1500

static void insert_run(struct slots *slots)
{
    struct query query;
    memset(slots->job.bytes, 0x11, DIGEST_BYTES);
    memset(slots->run, 0x22, STORE_RUN_ID_BYTES);
    query_start(&query, slots->store->database,
                "INSERT INTO job VALUES (?, x'00', zeroblob(32), 'researcher', 5, 'running', 1800000000, 0)");
    query_bind_blob(&query, slots->job.bytes, DIGEST_BYTES);
    must(query_finish(&query));
    query_start(&query, slots->store->database, "INSERT INTO run VALUES (?, ?, 5, NULL, 0, 'running')");
    query_bind_blob(&query, slots->run, STORE_RUN_ID_BYTES);
    query_bind_blob(&query, slots->job.bytes, DIGEST_BYTES);
    must(query_finish(&query));
    must(store_event_add(slots->store, EVENT_JOB_APPROVED, &slots->job, NULL, 0, SLOTS_NOW, "by nobody",
                         NULL));
}

int slots_make(void **state)
{
    struct slots *slots = calloc(1, sizeof(*slots));
    void *workspace = NULL;
    if (slots == NULL || workspace_make(&workspace) != 0)
        return -1;
    slots->workspace = workspace;
    slots->store = workspace_store(slots->workspace);
    insert_run(slots);
    *state = slots;
    return 0;
}

int slots_remove(void **state)
{
    struct slots *slots = *state;
    void *workspace = slots->workspace;
    store_close(slots->store);
    free(slots);
    return workspace_remove(&workspace);
}

void slots_advertise(struct slots *slots, uint32_t first, size_t count)
{
    assert_true(first + count <= SLOTS_MOST);
    must(secret_random(&slots->secrets[first], count * sizeof(slots->secrets[0])));
    must(secret_random(&slots->shares[first], count * sizeof(slots->shares[0])));
    must(store_secagg_advertise(slots->store, &slots->job, slots->run, first, count, &slots->secrets[first],
                                (const uint8_t *)"advert", 6));
}

void slots_share(struct slots *slots, uint32_t first, size_t count)
{
    (void)count;
    must(store_secagg_share(slots->store, slots->run, first, &slots->shares[first], (const uint8_t *)"keyset",
                            6, (const uint8_t *)"shares", 6));
}

struct error *slots_bind(struct slots *slots, uint32_t slot, uint32_t round, uint32_t attempt)
{
    static const uint32_t positions[] = {1, 2, 3};
    static const uint8_t sealed[SEALED_BYTES] = {7};
    struct digest context = {{(uint8_t)slot, (uint8_t)round, (uint8_t)attempt}};
    return store_secagg_bind(slots->store, slots->run, slot, round, attempt, &context,
                             (struct secagg_set){positions, 3}, sealed, sizeof(sealed));
}

struct error *slots_encode(struct slots *slots, uint32_t round, const uint8_t *encoded, size_t bytes)
{
    struct digest model = {{(uint8_t)round}};
    return store_secagg_encode(slots->store, &slots->job, slots->run, round, &model, encoded, bytes);
}

struct error *slots_agree(struct slots *slots, uint32_t round, uint32_t attempt, uint8_t mark)
{
    static const uint32_t contributors[] = {1, 2};
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES], signature[SIGNATURE_BYTES];
    memset(body, mark, sizeof(body));
    memset(signature, mark, sizeof(signature));
    return store_secagg_agree(slots->store, &slots->job, slots->run, round, attempt,
                              (struct secagg_set){contributors, 2}, body, signature, NULL, 0);
}

struct error *slots_reveal(struct slots *slots, uint32_t slot)
{
    const struct secagg_revealed revealed[] = {{.position = 1, .kind = SECAGG_REVEAL_B},
                                               {.position = 2, .kind = SECAGG_REVEAL_B},
                                               {.position = 3, .kind = SECAGG_REVEAL_S}};
    return store_secagg_reveal(slots->store, slots->run, slot, revealed, 3, (const uint8_t *)"unmasking", 9);
}

enum secagg_slot_state slots_state(struct slots *slots, uint32_t slot)
{
    struct secagg_slot read;
    must(store_secagg_slot(slots->store, slots->run, slot, &read));
    enum secagg_slot_state state = read.state;
    secagg_slot_clear(&read);
    return state;
}

static bool file_has(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    uint8_t *all = malloc((size_t)size + 1);
    assert_non_null(all);
    assert_int_equal(fread(all, 1, (size_t)size, file), (size_t)size);
    (void)fclose(file);
    bool has = memmem(all, (size_t)size, bytes, count) != NULL;
    free(all);
    return has;
}

bool slots_on_disk(const struct slots *slots, const void *bytes, size_t count)
{
    char wal[160];
    return file_has(slots->workspace->database, bytes, count) ||
           file_has(workspace_file(slots->workspace, "site.db-wal", wal), bytes, count);
}

void slots_sql(struct slots *slots, const char *sql)
{
    must(database_run(slots->store->database, sql));
    assert_true(database_changes(slots->store->database) > 0);
}

int64_t slots_count(struct slots *slots, const char *sql)
{
    struct query query;
    query_start(&query, slots->store->database, sql);
    assert_true(query_step(&query));
    int64_t value = query_int(&query, 0);
    must(query_end(&query));
    return value;
}
