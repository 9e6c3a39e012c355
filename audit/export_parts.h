/* The lines of an export, for export.c and export_verify.c alone. */
#pragma once

#include "audit/export.h"
#include "audit/fields.h"

#define EXPORT_HEADER_FIELDS 7
#define EXPORT_EVENT_FIELDS 9
#define EXPORT_HEAD_FIELDS 3

struct export_header_line {
    uint64_t version;
    struct export_summary summary; /* all but the head */
    struct digest previous;
};
void export_header_fields(struct export_header_line *line,
                          struct field ret_fields[static EXPORT_HEADER_FIELDS]);

struct export_event_line {
    uint64_t sequence, round;
    int64_t at;
    char kind[EXPORT_KIND_BYTES];
    bool has_job, has_run, has_round, has_digest, has_hash;
    struct digest job_id, digest, hash;
    uint8_t run_id[CHAIN_RUN_ID_BYTES];
    char detail[CHAIN_TEXT_BYTES + 1];
};
void export_event_fields(struct export_event_line *line, struct field ret_fields[static EXPORT_EVENT_FIELDS]);

struct export_head_line {
    uint64_t sequence;
    struct digest hash;
    uint8_t signature[SIGNATURE_BYTES];
};
void export_head_fields(struct export_head_line *line, struct field ret_fields[static EXPORT_HEAD_FIELDS]);
