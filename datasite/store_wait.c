#include "datasite/store_wait.h"

#include "datasite/store_internal.h"

struct error *store_wait_add(struct store *store, const struct digest *job_id, bool told,
                             const char *sentence)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO job_wait (job_id, told, sentence) VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_int(&query, told);
    query_bind_text(&query, sentence);
    return query_finish(&query);
}

struct error *store_wait_find(struct store *store, const struct digest *job_id, bool *ret_told,
                              char ret_sentence[static ERROR_SENTENCE_BYTES])
{
    struct query query;
    bool told = false;
    char sentence[ERROR_SENTENCE_BYTES] = "";
    query_start(&query, store->database, "SELECT told, sentence FROM job_wait WHERE job_id = ?");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    if (query_step(&query)) {
        told = query_int(&query, 0) != 0;
        (void)snprintf(sentence, sizeof(sentence), "%s", query_text(&query, 1));
    }
    struct error *err = query_end(&query);
    if (err != NULL)
        return err;
    *ret_told = told;
    memcpy(ret_sentence, sentence, sizeof(sentence));
    return NULL;
}
