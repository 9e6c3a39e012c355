/* What the store*.c files share. Nobody else includes it. */
#pragma once

#include "database/database.h"
#include "datasite/store.h"
#include "datasite/store_epsilons.h"
#include "datasite/store_heads.h"

#define STORE_SIGNATURES 16
#define STORE_JOBS 4
#define STORE_WIPE_MS 5000 /* that store_wipe_log waits for others who use the file */

/* What the transaction that is open has done to the tables of secure aggregation (store_secagg_count.c). */
struct secagg_counting {
    int fd;                       /* keys/secagg.count; -1: not counted by this store */
    bool raised, erased, patient; /* in the transaction that is open; locked by it as long as raised */
    bool disagrees;               /* raised to erase only: the file's number is not the database's */
    bool unwiped;                 /* what was erased may still be in the write-ahead log */
    int64_t unwiped_since;        /* clock_monotonic_ms, of the oldest of it */
    uint64_t changes;             /* that will be written to the file */
    uint64_t version; /* of the file, when store_secagg_wipe looked for what others had committed */
};

struct store {
    struct database *database;
    const struct identity *identity; /* signs events; borrowed, may be NULL */
    struct store_heads *heads;       /* that hold */
    struct store_epsilons *epsilons; /* that were computed */
    bool
        begun; /* this site's chain has its first event, and it is signed: an empty table is a changed file */
    bool releasing; /* the transaction that is open, if one is, is that of a release */
    /* Signatures that held, the latest ones, as store_signature_known has them. */
    struct digest signatures[STORE_SIGNATURES];
    size_t signature_count; /* ever noted; the ring's place is this modulo STORE_SIGNATURES */
    /* Jobs that were parsed, as store_job_parsed has them. */
    struct {
        struct digest id;
        struct job *job; /* NULL: none */
    } jobs[STORE_JOBS];
    size_t job_count;          /* ever noted, likewise */
    const struct vault *vault; /* opens and seals chunks; borrowed, may be NULL */
    struct secagg_counting secagg;
};

/* Largest values that a dataset may have; what a database says beyond them is ERROR_CORRUPT. Their product
 * with 8 bytes a value fits into 64 bits. */
#define STORE_MAX_ROWS ((uint64_t)1 << 31)
#define STORE_MAX_FEATURES ((uint64_t)1 << 20)
#define STORE_MAX_CLASSES 1024

/* The word of schemas/event.def. */
const char *event_kind_word(enum event_kind kind);

/* Bytes of one stored row: features u8 or features float64. */
size_t store_row_bytes(const struct dataset_info *info);

/* Writes the record of the key, in the transaction that is open. */
MUST_USE struct error *store_vault_put(struct store *store, const struct vault_record *record);
/* The event that vouches for the record from now on: its digest is that of the wrapped key, where the secret comes from
 * and the path of the key file. */
MUST_USE struct error *store_vault_event(struct store *store, enum event_kind kind,
                                         const struct vault_record *record, int64_t at, const char *detail);
