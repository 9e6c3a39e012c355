/* Any bytes as an export of a site's events, for the certificate of the corpus: refused with a sentence, or its head is
 * one that this site signed. */
#include "audit/export.h"
#include "tests/vectors/audit_chain_certificate.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

/* The site whose key signed the exports of the corpus, as a file in memory. */
static const char *fuzz_certificate_path(void)
{
    static char path[64] = "";
    if (path[0] == '\0') {
        int file = memfd_create("certificate", 0);
        ssize_t bytes = (ssize_t)strlen(VECTOR_CERTIFICATE);
        expect(file >= 0 && write(file, VECTOR_CERTIFICATE, (size_t)bytes) == bytes);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    }
    return path;
}

static struct error *fuzz_visit(void *context, const struct chain_event *event, const struct digest *hash)
{
    uint64_t *last = context;
    (void)hash;
    expect(event->sequence > *last && strlen(event->kind) < EXPORT_KIND_BYTES);
    *last = event->sequence;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct export_summary summary;
    uint64_t last = 0;
    if (size == 0)
        return 0;
    FILE *stream = fmemopen((void *)(uintptr_t)data, size, "r");
    expect(stream != NULL);
    struct error *err = export_verify(stream, "input", fuzz_certificate_path(), fuzz_visit, &last, &summary);
    (void)fclose(stream);
    expect(err == NULL ? summary.to == last : err->sentence[0] != '\0');
    error_free(err);
    return 0;
}
