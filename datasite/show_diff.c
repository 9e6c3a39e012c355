/* `show JOB_ID --diff OTHER`: key by key. */
#include "datasite/show_parts.h"

#include "console/terminal.h"

#include <errno.h>

static void diff_print(const struct desk *desk, const char *other, const struct job_change *changes,
                       size_t count)
{
    if (count == 0)
        (void)printf("Jobs %s and %s ask for the same; their files differ in comments or layout.\n", other,
                     desk->id);
    else if (count == 1 && strcmp(changes[0].key, "job") == 0)
        (void)printf("Nothing but the name differs from job %s.\n", other);
    else
        (void)printf("From job %s to job %s, %zu place%s differ%s:\n", other, desk->id, count,
                     count == 1 ? "" : "s", count == 1 ? "s" : "");
    for (size_t i = 0; i < count; i++) {
        char before[2 * DIFF_VALUE_BYTES], after[2 * DIFF_VALUE_BYTES];
        terminal_clean(changes[i].before, before, sizeof(before));
        terminal_clean(changes[i].after, after, sizeof(after));
        (void)printf("  %s: %s -> %s\n", changes[i].key, before, after);
    }
}

static struct error *diff_print_json(const struct desk *desk, const struct digest *other,
                                     const struct job_change *changes, size_t count)
{
    struct error *err = NULL;
    char hex[DIGEST_HEX_BYTES], other_hex[DIGEST_HEX_BYTES];
    json_t *array = json_array();
    digest_hex(&desk->record.id, hex);
    digest_hex(other, other_hex);
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(array, json_pack("{s:s, s:s, s:s}", "key", changes[i].key, "before",
                                                     changes[i].before, "after", changes[i].after));
    json_t *document =
        json_pack("{s:i, s:s, s:s, s:O}", "version", 1, "job_id", hex, "other", other_hex, "changes", array);
    if (document == NULL || json_array_size(array) != count)
        FAIL(ERROR_MEMORY, "There is not enough memory to compare two jobs.");
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The comparison cannot be written");
done:
    json_decref(array);
    json_decref(document);
    return err;
}

struct error *show_print_diff(const struct desk *desk, const char *other, bool json)
{
    struct error *err = NULL;
    struct job_record record = {.bytes = NULL};
    struct job *job = NULL;
    struct job_change *changes = NULL;
    size_t count = 0;
    char id[DESK_ID_BYTES];
    TRY(store_job_find_prefix(desk->store, other, &record));
    TRY(job_parse((const char *)record.bytes, record.byte_count, "the other job", &job));
    TRY(job_diff(job, desk->job, &changes, &count));
    desk_id(&record.id, id);
    if (json) {
        TRY(diff_print_json(desk, &record.id, changes, count));
        goto done;
    }
    diff_print(desk, id, changes, count);
    if (!site_id_equal(&record.requester, &desk->record.requester))
        (void)printf("Another requester asks for it.\n");
done:
    free(changes);
    job_free(job);
    job_record_clear(&record);
    return err;
}
