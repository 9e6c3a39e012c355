/* The event of the export is written first, and is the last that is in it: no export leaves without its event, and
 * whoever has the export has a witness of it. */
#include "audit/chain_walk.h"
#include "audit/export.h"
#include "console/verbs.h"
#include "datasite/home.h"
#include "schemas/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

extern const struct verb verb_audit_export;

static struct {
    const char *out;
    uint64_t from;
} audit_export_given = {.from = 1};

static const struct option *audit_export_options(void)
{
    static const struct option options[] = {
        {.name = "out",
         .kind = OPTION_TEXT,
         .target = &audit_export_given.out,
         .value = "FILE",
         .help = "a new file, instead of standard output"},
        {.name = "from",
         .kind = OPTION_COUNT,
         .target = &audit_export_given.from,
         .value = "N",
         .help = "events from number N on (1)",
         .minimum = 1,
         .maximum = INT64_MAX},
        {0},
    };
    return options;
}

/* The chain is walked from its beginning and written from event `from` on. */
struct audit_export {
    FILE *stream;
    struct export_summary summary;
    struct chain_walk walk;
    bool is_started;
    bool count_only; /* of unsigned events, for the first line */
};

static struct error *audit_export_step(struct audit_export *export, const struct event_record *record)
{
    struct error *err =
        chain_walk_step(&export->walk, &record->event, record->is_signed ? &record->hash : NULL, NULL);
    if (err == NULL || err->code != ERROR_UNTRUSTED)
        return err;
    error_free(err);
    return error_new(ERROR_UNTRUSTED,
                     "Event %" PRIu64
                     " does not hold, so nothing is exported: `datasite audit verify` says what "
                     "happened to it.",
                     record->event.sequence);
}

static struct error *audit_export_visit(void *context, const struct event_record *record)
{
    struct error *err = NULL;
    struct audit_export *export = context;
    bool is_in = record->event.sequence >= export->summary.from;
    if (!export->count_only && is_in && !export->is_started) {
        TRY(export_write_header(export->stream, &export->summary, &export->walk.hash));
        export->is_started = true;
    }
    TRY(audit_export_step(export, record));
    if (export->count_only && is_in && !record->is_signed)
        export->summary.unsigned_events++;
    if (!export->count_only && is_in)
        TRY(export_write_event(export->stream, &record->event, record->is_signed ? &record->hash : NULL));
done:
    return err;
}

static struct error *audit_export_pass(struct audit_export *export, struct store *store,
                                       const struct identity *identity, bool count_only)
{
    struct error *err = NULL;
    const struct event_filter all = {.limit = 0};
    uint8_t key[PUBLIC_KEY_BYTES];
    identity_public_key(identity, key);
    export->count_only = count_only;
    TRY(chain_walk_start(key, &export->walk));
    TRY(store_events(store, &all, audit_export_visit, export));
done:
    return err;
}

static struct error *audit_export_write(struct audit_export *export, struct store *store,
                                        const struct identity *identity)
{
    struct error *err = NULL;
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
    TRY(store_head(store, &head, signature));
    export->summary.site = head.site;
    export->summary.from = audit_export_given.from;
    export->summary.to = head.sequence;
    (void)snprintf(export->summary.name, sizeof(export->summary.name), "%s", identity_name(identity));
    if (export->summary.from > head.sequence)
        FAIL(ERROR_NOT_FOUND, "There are no events from %" PRIu64 " on: the last is %" PRIu64 ".",
             export->summary.from, head.sequence);
    TRY(audit_export_pass(export, store, identity, true));
    TRY(chain_walk_end(&export->walk, &head, signature));
    TRY(audit_export_pass(export, store, identity, false));
    TRY(export_write_head(export->stream, &head, signature));
    if (fflush(export->stream) != 0 || (audit_export_given.out != NULL && fsync(fileno(export->stream)) != 0))
        TRY(error_errno(ERROR_IO, errno, "The export cannot be written"));
done:
    return err;
}

static struct error *audit_export_open(const char *path, FILE **ret_stream)
{
    struct error *err = NULL;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 && errno == EEXIST)
        FAIL(ERROR_CONFLICT, "%s exists already and stays as it is; choose another name.", path);
    if (file < 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be made", path));
    *ret_stream = fdopen(file, "w");
    if (*ret_stream == NULL) {
        (void)close(file);
        FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", path);
    }
done:
    return err;
}

static struct error *audit_export_event(struct store *store)
{
    char detail[64];
    (void)snprintf(detail, sizeof(detail), "events from %" PRIu64 " on", audit_export_given.from);
    return store_event_add(store, EVENT_AUDIT_EXPORTED, NULL, NULL, 0, clock_now_ms() / 1000, detail, NULL);
}

static struct error *audit_export_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    FILE *own = NULL;
    struct audit_export export = {.stream = stdout};
    TRY(home_open(invocation->home, &home));
    TRY(home_store(home, STORE_WRITE, &identity, &store));
    if (audit_export_given.out != NULL)
        TRY(audit_export_open(audit_export_given.out, &own));
    if (own != NULL)
        export.stream = own;
    TRY(audit_export_event(store));
    TRY(store_snapshot(store));
    TRY(audit_export_write(&export, store, identity));
    if (own != NULL)
        (void)printf("Wrote events %" PRIu64 " to %" PRIu64 " to %s. To check it, anywhere:\n"
                     "  %s audit verify --export %s --certificate FILE\n"
                     "with this site's certificate, keys/identity.crt of its home.\n",
                     export.summary.from, export.summary.to, audit_export_given.out, invocation->program,
                     audit_export_given.out);
done:
    if (own != NULL)
        (void)fclose(own);
    if (own != NULL && err != NULL)
        (void)unlink(audit_export_given.out);
    if (store != NULL)
        store_snapshot_end(store);
    store_close(store);
    identity_free(identity);
    home_free(home);
    return err;
}

const struct verb verb_audit_export = {
    .name = "audit export",
    .summary = "Write the events for an auditor",
    .arguments = "",
    .detail =
        "JSON Lines with the signed head; whoever has it and this site's certificate can check it offline\n"
        "(`datasite audit verify --export`). The export is an event itself, the last in the file. With\n"
        "--from, what came before is covered by a hash alone.\n\n"
        "Example:\n"
        "  datasite audit export --out events.jsonl",
    .options = audit_export_options,
    .run = audit_export_run,
};
