#include "datasite/log.h"

#include "console/terminal.h"
#include "schemas/clock.h"

#include <inttypes.h>

#define LOG_LINE_BYTES 4096
#define LOG_DIGITS 12

static const struct {
    const char *word, *level;
} log_events[EVENT_KINDS] = {
#define EVENT(name, word, level, salt) {word, #level},
#include "schemas/event.def"
#undef EVENT
};

/* One line being put together; what does not fit is cut off. */
struct line {
    char text[LOG_LINE_BYTES];
    size_t used;
};

static void line_put(struct line *line, const char *text)
{
    size_t length = strlen(text);
    size_t room = sizeof(line->text) - 2 - line->used; /* a newline and a NUL */
    if (length > room)
        length = room;
    memcpy(line->text + line->used, text, length);
    line->used += length;
    line->text[line->used] = '\0';
}

/* In double quotes, with \" and \\ escaped: the same in both formats, since control characters are gone. */
static void line_quote(struct line *line, const char *text)
{
    char clean[1024];
    terminal_clean(text, clean, sizeof(clean));
    line_put(line, "\"");
    for (const char *at = clean; *at != '\0'; at++) {
        char one[3] = {*at, '\0', '\0'};
        if (*at == '"' || *at == '\\') {
            one[0] = '\\';
            one[1] = *at;
        }
        line_put(line, one);
    }
    line_put(line, "\"");
}

static struct log_field log_hex(const char *key, const uint8_t *bytes)
{
    return (struct log_field){.kind = LOG_HEX, .key = key, .bytes = bytes};
}

struct log_field log_job(const struct digest *job_id)
{
    return log_hex("job", job_id->bytes);
}

struct log_field log_peer(const struct site_id *peer)
{
    return log_hex("peer", peer->digest.bytes);
}

struct log_field log_run(const uint8_t *run_id)
{
    return log_hex("run", run_id);
}

struct log_field log_round(uint32_t round)
{
    return log_count("round", round);
}

struct log_field log_count(const char *key, uint64_t count)
{
    return (struct log_field){.kind = LOG_COUNT, .key = key, .count = count};
}

struct log_field log_seconds(double seconds)
{
    return (struct log_field){.kind = LOG_SECONDS, .key = "seconds", .seconds = seconds};
}

struct log_field log_progress(double share)
{
    uint64_t percent = share >= 1 ? 100 : share > 0 ? (uint64_t)(share * 100) : 0;
    return (struct log_field){.kind = LOG_PERCENT, .key = "percent", .count = percent};
}

struct log_field log_name(const char *name)
{
    return (struct log_field){.kind = LOG_SENTENCE, .key = "name", .sentence = name};
}

struct log_field log_by(const char *who)
{
    return (struct log_field){.kind = LOG_SENTENCE, .key = "by", .sentence = who};
}

struct log_field log_status(const char *status)
{
    return (struct log_field){.kind = LOG_SENTENCE, .key = "status", .sentence = status};
}

struct log_field log_sentence(const char *sentence)
{
    return (struct log_field){.kind = LOG_SENTENCE, .key = "sentence", .sentence = sentence};
}

static void line_put_value(struct line *line, const struct log_field *field, bool json)
{
    char text[32] = "";
    switch (field->kind) {
    case LOG_HEX:
        for (size_t i = 0; i < LOG_DIGITS / 2; i++)
            (void)snprintf(text + 2 * i, sizeof(text) - 2 * i, "%02x", field->bytes[i]);
        line_put(line, json ? "\"" : "");
        line_put(line, text);
        line_put(line, json ? "\"" : "");
        break;
    case LOG_COUNT:
    case LOG_PERCENT:
        (void)snprintf(text, sizeof(text), "%" PRIu64, field->count);
        line_put(line, text);
        break;
    case LOG_SECONDS: {
        /* By hand, so that no locale writes a comma. */
        uint64_t milliseconds = field->seconds > 0 ? (uint64_t)(field->seconds * 1000 + 0.5) : 0;
        (void)snprintf(text, sizeof(text), "%" PRIu64 ".%03u", milliseconds / 1000,
                       (unsigned)(milliseconds % 1000));
        line_put(line, text);
        break;
    }
    case LOG_SENTENCE:
        line_quote(line, field->sentence);
        break;
    case LOG_END:
        break;
    }
}

static void line_put_time(struct line *line)
{
    char seconds[CLOCK_TEXT_BYTES];
    char text[CLOCK_TEXT_BYTES + 8];
    int64_t now = clock_now_ms();
    clock_format(now / 1000, seconds);
    size_t length = strlen(seconds);
    if (length > 0)
        seconds[length - 1] = '\0'; /* the Z goes behind the milliseconds */
    (void)snprintf(text, sizeof(text), "%s.%03dZ", seconds, (int)(now % 1000));
    line_put(line, text);
}

static void line_put_text(struct line *line, enum event_kind kind, const struct log_field *fields)
{
    line_put_time(line);
    line_put(line, " ");
    line_put(line, log_events[kind].level);
    line_put(line, " ");
    line_put(line, log_events[kind].word);
    for (; fields->kind != LOG_END; fields++) {
        line_put(line, " ");
        line_put(line, fields->key);
        line_put(line, "=");
        line_put_value(line, fields, false);
    }
}

static void line_put_json(struct line *line, enum event_kind kind, const struct log_field *fields)
{
    line_put(line, "{\"time\":\"");
    line_put_time(line);
    line_put(line, "\",\"level\":\"");
    line_put(line, log_events[kind].level);
    line_put(line, "\",\"event\":\"");
    line_put(line, log_events[kind].word);
    line_put(line, "\"");
    for (; fields->kind != LOG_END; fields++) {
        line_put(line, ",\"");
        line_put(line, fields->key);
        line_put(line, "\":");
        line_put_value(line, fields, true);
    }
    line_put(line, "}");
}

void log_write(const struct log *log, enum event_kind kind, const struct log_field *fields)
{
    struct line line = {.used = 0};
    if (log->stream == NULL)
        return;
    switch (log->format) {
    case LOG_TEXT:
        line_put_text(&line, kind, fields);
        break;
    case LOG_JSON:
        line_put_json(&line, kind, fields);
        break;
    }
    line.text[line.used++] = '\n';
    (void)fwrite(line.text, 1, line.used, log->stream);
    (void)fflush(log->stream);
}
