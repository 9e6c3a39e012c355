/* Exports: reading and checking, for whoever has nothing but the file and the site's certificate. */
#include "audit/chain_walk.h"
#include "audit/export_parts.h"

#include <errno.h>
#include <inttypes.h>

#define EXPORT_HEAD_BEGINS "{\"head\":"
#define EXPORT_WHERE_BYTES 300

/* One export being read. */
struct export_reading {
    FILE *stream;
    const char *where;
    uint64_t line_number;
    char place[EXPORT_WHERE_BYTES]; /* "<where>:<line>" */
    char line[EXPORT_LINE_BYTES];
    size_t bytes; /* of the line, without its end */
    struct export_event_line event;
    struct export_header_line header;
    struct chain_walk walk;
};

/* The next line; *ret_is_end at the end of the file. A line without an end was cut off. */
static struct error *export_next(struct export_reading *reading, bool *ret_is_end)
{
    struct error *err = NULL;
    int c = 0;
    reading->bytes = 0;
    reading->line_number++;
    (void)snprintf(reading->place, sizeof(reading->place), "%s:%" PRIu64, reading->where,
                   reading->line_number);
    for (c = getc_unlocked(reading->stream); c != EOF && c != '\n'; c = getc_unlocked(reading->stream)) {
        if (reading->bytes == EXPORT_LINE_BYTES - 1)
            FAIL(ERROR_LIMIT, "%s: this line is longer than %d bytes: no line of an export is.",
                 reading->place, EXPORT_LINE_BYTES);
        reading->line[reading->bytes++] = (char)c;
    }
    if (c == EOF && ferror(reading->stream) != 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be read", reading->where));
    if (c == EOF && reading->bytes > 0)
        FAIL(ERROR_INVALID, "%s: this line is cut off.", reading->place);
    *ret_is_end = c == EOF;
done:
    return err;
}

/* ---- the header ---- */

static struct error *export_check_site(const struct export_reading *reading, const char *certificate_path,
                                       const char *certificate_name)
{
    struct error *err = NULL;
    char said[FINGERPRINT_BYTES], given[FINGERPRINT_BYTES];
    const struct export_summary *summary = &reading->header.summary;
    if (!site_id_equal(&summary->site, &reading->walk.site)) {
        site_id_format(&summary->site, said);
        site_id_format(&reading->walk.site, given);
        FAIL(ERROR_UNTRUSTED,
             "%s is of the site %s, and the certificate %s is of %s: take the certificate of the site that "
             "wrote the export.",
             reading->where, said, certificate_path, given);
    }
    if (strcmp(summary->name, certificate_name) != 0)
        FAIL(ERROR_UNTRUSTED,
             "%s names the site otherwise than its certificate %s does: the export was edited, or the site "
             "has a newer certificate.",
             reading->place, certificate_path);
done:
    return err;
}

static struct error *export_read_header(struct export_reading *reading, const char *certificate_path)
{
    struct error *err = NULL;
    struct field fields[EXPORT_HEADER_FIELDS];
    uint8_t key[PUBLIC_KEY_BYTES];
    char name[IDENTITY_NAME_BYTES];
    bool is_end = false;
    const struct export_summary *summary = &reading->header.summary;
    TRY(export_next(reading, &is_end));
    if (is_end)
        FAIL(ERROR_INVALID, "%s is empty.", reading->where);
    export_header_fields(&reading->header, fields);
    TRY(fields_read_line(reading->line, reading->bytes, reading->place, fields, EXPORT_HEADER_FIELDS));
    TRY(identity_of_certificate(certificate_path, key, name));
    TRY(chain_walk_start(key, &reading->walk));
    TRY(export_check_site(reading, certificate_path, name));
    if (summary->from > summary->to)
        FAIL(ERROR_INVALID, "%s: there are no events from %" PRIu64 " to %" PRIu64 ".", reading->place,
             summary->from, summary->to);
    if (summary->from == 1 && !digest_equal(&reading->header.previous, &reading->walk.hash))
        FAIL(ERROR_UNTRUSTED, "%s: \"previous\" is not the beginning of this site's chain.", reading->place);
    TRY(chain_walk_start_after(key, summary->from - 1, &reading->header.previous, &reading->walk));
done:
    return err;
}

/* ---- events and the head ---- */

static struct error *export_read_event(struct export_reading *reading,
                                       struct error *(*visit)(void *context, const struct chain_event *event,
                                                              const struct digest *hash),
                                       void *context)
{
    struct error *err = NULL;
    struct field fields[EXPORT_EVENT_FIELDS];
    struct export_event_line *line = &reading->event;
    export_event_fields(line, fields);
    TRY(fields_read_line(reading->line, reading->bytes, reading->place, fields, EXPORT_EVENT_FIELDS));
    const struct chain_event event = {
        .sequence = line->sequence,
        .at = line->at,
        .kind = line->kind,
        .job_id = line->has_job ? &line->job_id : NULL,
        .run_id = line->has_run ? line->run_id : NULL,
        .round = line->has_round ? (uint32_t)line->round : 0,
        .detail = line->detail,
        .digest = line->has_digest ? &line->digest : NULL,
    };
    const struct digest *hash = line->has_hash ? &line->hash : NULL;
    TRY(error_prefix(chain_walk_step(&reading->walk, &event, hash, NULL), "%s", reading->place));
    if (visit != NULL)
        TRY(visit(context, &event, hash));
done:
    return err;
}

static struct error *export_read_head(struct export_reading *reading)
{
    struct error *err = NULL;
    struct export_head_line line;
    struct field fields[EXPORT_HEAD_FIELDS];
    struct chain_head head;
    const struct export_summary *summary = &reading->header.summary;
    export_head_fields(&line, fields);
    TRY(fields_read_line(reading->line, reading->bytes, reading->place, fields, EXPORT_HEAD_FIELDS));
    head = (struct chain_head){reading->walk.site, line.sequence, line.hash};
    TRY(error_prefix(chain_walk_end(&reading->walk, &head, line.signature), "%s", reading->place));
    if (summary->to != line.sequence || summary->unsigned_events != reading->walk.bare)
        FAIL(ERROR_UNTRUSTED,
             "%s:1: what the first line says of the events does not fit them: it was edited.",
             reading->where);
    reading->header.summary.head = line.hash;
done:
    return err;
}

static struct error *export_read(struct export_reading *reading, const char *certificate_path,
                                 struct error *(*visit)(void *context, const struct chain_event *event,
                                                        const struct digest *hash),
                                 void *context)
{
    struct error *err = NULL;
    bool is_end = false;
    TRY(export_read_header(reading, certificate_path));
    TRY(export_next(reading, &is_end));
    while (!is_end && (reading->bytes < strlen(EXPORT_HEAD_BEGINS) ||
                       memcmp(reading->line, EXPORT_HEAD_BEGINS, strlen(EXPORT_HEAD_BEGINS)) != 0)) {
        TRY(export_read_event(reading, visit, context));
        TRY(export_next(reading, &is_end));
    }
    if (is_end)
        FAIL(ERROR_UNTRUSTED, "%s is truncated: it ends after event %" PRIu64 ", without the signed head.",
             reading->where, reading->walk.sequence);
    TRY(export_read_head(reading));
    TRY(export_next(reading, &is_end));
    if (!is_end)
        FAIL(ERROR_INVALID, "%s: something follows the head.", reading->place);
done:
    return err;
}

struct error *export_verify(FILE *stream, const char *where, const char *certificate_path,
                            struct error *(*visit)(void *context, const struct chain_event *event,
                                                   const struct digest *hash),
                            void *context, struct export_summary *ret_summary)
{
    struct error *err = NULL;
    struct export_reading *reading = malloc(sizeof(*reading));
    if (reading == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read an export.");
    reading->stream = stream;
    reading->where = where;
    reading->line_number = 0;
    TRY(export_read(reading, certificate_path, visit, context));
    *ret_summary = reading->header.summary;
done:
    free(reading);
    return err;
}
