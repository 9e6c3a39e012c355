/* Exports: the form of the lines, and writing them. */
#include "audit/export_parts.h"

#include <inttypes.h>

void export_header_fields(struct export_header_line *line,
                          struct field ret_fields[static EXPORT_HEADER_FIELDS])
{
    struct export_summary *summary = &line->summary;
    const struct field fields[EXPORT_HEADER_FIELDS] = {
        {.key = "export", .kind = FIELD_COUNT, .target = &line->version, .least = 1, .most = 1},
        {.key = "site", .kind = FIELD_FINGERPRINT, .target = summary->site.digest.bytes},
        {.key = "name", .kind = FIELD_LINE, .target = summary->name, .bytes = sizeof(summary->name)},
        {.key = "from", .kind = FIELD_COUNT, .target = &summary->from, .least = 1, .most = INT64_MAX},
        {.key = "to", .kind = FIELD_COUNT, .target = &summary->to, .least = 1, .most = INT64_MAX},
        {.key = "previous", .kind = FIELD_HEX, .target = line->previous.bytes, .bytes = DIGEST_BYTES},
        {.key = "unsigned", .kind = FIELD_COUNT, .target = &summary->unsigned_events, .most = INT64_MAX},
    };
    memcpy(ret_fields, fields, sizeof(fields));
}

void export_event_fields(struct export_event_line *line, struct field ret_fields[static EXPORT_EVENT_FIELDS])
{
    const struct field fields[EXPORT_EVENT_FIELDS] = {
        {.key = "sequence", .kind = FIELD_COUNT, .target = &line->sequence, .least = 1, .most = INT64_MAX},
        {.key = "at", .kind = FIELD_TIME, .target = &line->at},
        {.key = "kind", .kind = FIELD_LINE, .target = line->kind, .bytes = sizeof(line->kind)},
        {.key = "job_id",
         .kind = FIELD_HEX,
         .target = line->job_id.bytes,
         .bytes = DIGEST_BYTES,
         .present = &line->has_job},
        {.key = "run_id",
         .kind = FIELD_HEX,
         .target = line->run_id,
         .bytes = CHAIN_RUN_ID_BYTES,
         .present = &line->has_run},
        {.key = "round",
         .kind = FIELD_COUNT,
         .target = &line->round,
         .least = 1,
         .most = UINT32_MAX,
         .present = &line->has_round},
        {.key = "detail", .kind = FIELD_TEXT, .target = line->detail, .bytes = sizeof(line->detail)},
        {.key = "digest",
         .kind = FIELD_HEX,
         .target = line->digest.bytes,
         .bytes = DIGEST_BYTES,
         .present = &line->has_digest},
        {.key = "hash",
         .kind = FIELD_HEX,
         .target = line->hash.bytes,
         .bytes = DIGEST_BYTES,
         .present = &line->has_hash},
    };
    memcpy(ret_fields, fields, sizeof(fields));
}

void export_head_fields(struct export_head_line *line, struct field ret_fields[static EXPORT_HEAD_FIELDS])
{
    const struct field fields[EXPORT_HEAD_FIELDS] = {
        {.key = "head", .kind = FIELD_COUNT, .target = &line->sequence, .least = 1, .most = INT64_MAX},
        {.key = "hash", .kind = FIELD_HEX, .target = line->hash.bytes, .bytes = DIGEST_BYTES},
        {.key = "signature", .kind = FIELD_HEX, .target = line->signature, .bytes = SIGNATURE_BYTES},
    };
    memcpy(ret_fields, fields, sizeof(fields));
}

struct error *export_write_header(FILE *stream, const struct export_summary *summary,
                                  const struct digest *previous)
{
    struct export_header_line line = {.version = 1, .summary = *summary, .previous = *previous};
    struct field fields[EXPORT_HEADER_FIELDS];
    export_header_fields(&line, fields);
    return fields_write_line(stream, "The beginning of an export", fields, EXPORT_HEADER_FIELDS);
}

static struct error *export_event_line(const struct chain_event *event, const struct digest *hash,
                                       struct export_event_line *line)
{
    if (strlen(event->kind) >= sizeof(line->kind) ||
        strnlen(event->detail, sizeof(line->detail)) > CHAIN_TEXT_BYTES)
        return error_new(ERROR_LIMIT, "Event %" PRIu64 " is too long for an export.", event->sequence);
    line->sequence = event->sequence;
    line->at = event->at;
    line->round = event->round;
    line->has_round = event->round != 0;
    line->has_job = event->job_id != NULL;
    line->has_run = event->run_id != NULL;
    line->has_digest = event->digest != NULL;
    line->has_hash = hash != NULL;
    memcpy(line->kind, event->kind, strlen(event->kind) + 1);
    memcpy(line->detail, event->detail, strlen(event->detail) + 1);
    if (line->has_job)
        line->job_id = *event->job_id;
    if (line->has_run)
        memcpy(line->run_id, event->run_id, CHAIN_RUN_ID_BYTES);
    if (line->has_digest)
        line->digest = *event->digest;
    if (line->has_hash)
        line->hash = *hash;
    return NULL;
}

struct error *export_write_event(FILE *stream, const struct chain_event *event, const struct digest *hash)
{
    struct error *err = NULL;
    struct field fields[EXPORT_EVENT_FIELDS];
    char where[40];
    struct export_event_line *line = malloc(sizeof(*line));
    if (line == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to write an event.");
    TRY(export_event_line(event, hash, line));
    export_event_fields(line, fields);
    (void)snprintf(where, sizeof(where), "Event %" PRIu64, event->sequence);
    TRY(fields_write_line(stream, where, fields, EXPORT_EVENT_FIELDS));
done:
    free(line);
    return err;
}

struct error *export_write_head(FILE *stream, const struct chain_head *head,
                                const uint8_t signature[static SIGNATURE_BYTES])
{
    struct export_head_line line = {.sequence = head->sequence, .hash = head->hash};
    struct field fields[EXPORT_HEAD_FIELDS];
    memcpy(line.signature, signature, SIGNATURE_BYTES);
    export_head_fields(&line, fields);
    return fields_write_line(stream, "The head of an export", fields, EXPORT_HEAD_FIELDS);
}
