/* The daemon's log on stderr: one line an event of schemas/event.def.
 *
 *     2026-11-22T10:00:00.123Z INFO update-released job=1f2e3d4c5b6a round=3 seconds=0.412
 *     {"time":"…","level":"INFO","event":"update-released","job":"1f2e3d4c5b6a","round":3,"seconds":0.412}
 * (--log-json)
 *
 * Fields are typed and made by the functions below, which know what each kind looks like; there is no format
 * string through which a private value could slip in, and no field for a real number that comes from rows.
 * Sentences come from errors and from the transport, which never hold data values; control characters in them
 * are made visible. Used by one thread. */
#pragma once

#include "datasite/store.h"

#include <stdio.h>

enum log_format { LOG_TEXT, LOG_JSON };

struct log {
    FILE *stream; /* borrowed; NULL: nothing is written */
    enum log_format format;
};

enum log_field_kind {
    LOG_END,
    LOG_HEX, /* the first 12 digits of a digest */
    LOG_COUNT,
    LOG_SECONDS, /* three decimals */
    LOG_PERCENT,
    LOG_SENTENCE, /* text for people */
};

struct log_field {
    enum log_field_kind kind;
    const char *key;
    const uint8_t *bytes; /* LOG_HEX: at least 6 */
    uint64_t count;
    double seconds;
    const char *sentence;
};

struct log_field log_job(const struct digest *job_id);
struct log_field log_peer(const struct site_id *peer);
struct log_field log_run(const uint8_t *run_id);
struct log_field log_round(uint32_t round);
struct log_field log_count(const char *key, uint64_t count);
struct log_field log_seconds(double seconds);
struct log_field log_progress(double share); /* 0 to 1 */
struct log_field log_name(const char *name);
struct log_field log_by(const char *who);        /* who decided */
struct log_field log_status(const char *status); /* how a run ended */
struct log_field log_sentence(const char *sentence);

/* `fields` ends with a field of kind LOG_END. */
void log_write(const struct log *log, enum event_kind kind, const struct log_field *fields);

#define LOG(log, event, ...)                                                                                 \
    log_write((log), (event), (const struct log_field[]){__VA_ARGS__, {.kind = LOG_END}})
