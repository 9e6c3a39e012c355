#include "orchestrator/html.h"
#include "orchestrator/report_parts.h"

#include "embedded/report_page.h"
#include "embedded/report_script.h"
#include "embedded/report_style.h"
#include "schemas/files.h"

/* The page is report/page.html with {{names}}, each of which one function fills in. */
struct html_slot {
    const char *name;
    void (*put)(FILE *stream, const struct run_record *record);
};

static void html_style(FILE *stream, const struct run_record *record)
{
    (void)record;
    (void)fwrite(report_style, 1, report_style_bytes, stream);
}

static void html_script(FILE *stream, const struct run_record *record)
{
    (void)record;
    (void)fwrite(report_script, 1, report_script_bytes, stream);
}

static const struct html_slot html_slots[] = {
    {"title", html_title},     {"style", html_style},
    {"script", html_script},   {"facts", html_facts},
    {"figures", html_figures}, {"curves", html_curves},
    {"matrix", html_matrix},   {"classes", html_classes},
    {"rounds", html_rounds},   {"protection", html_protection},
    {"sites", html_sites},     {"settings", html_settings},
    {"job", html_job},
};

/* RFC 4648 base 64 of a SHA-256, as Content-Security-Policy names a script. */
static void html_put_base64(FILE *stream, const struct digest *digest)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < DIGEST_BYTES; i += 3) {
        uint32_t group = (uint32_t)digest->bytes[i] << 16;
        group |= i + 1 < DIGEST_BYTES ? (uint32_t)digest->bytes[i + 1] << 8 : 0;
        group |= i + 2 < DIGEST_BYTES ? (uint32_t)digest->bytes[i + 2] : 0;
        (void)fputc(letters[group >> 18], stream);
        (void)fputc(letters[group >> 12 & 63], stream);
        (void)fputc(letters[group >> 6 & 63], stream);
        (void)fputc(i + 2 < DIGEST_BYTES ? letters[group & 63] : '=', stream);
    }
}

/* Only the two blocks that this program wrote run; nothing is loaded, sent or framed. */
static struct error *html_put_policy(FILE *stream)
{
    struct error *err = NULL;
    struct digest style;
    struct digest script;
    TRY(digest_of(report_style, report_style_bytes, &style));
    TRY(digest_of(report_script, report_script_bytes, &script));
    (void)fputs("default-src 'none'; style-src 'sha256-", stream);
    html_put_base64(stream, &style);
    (void)fputs("'; script-src 'sha256-", stream);
    html_put_base64(stream, &script);
    (void)fputs("'; base-uri 'none'; form-action 'none'", stream);
done:
    return err;
}

/* The figures for the script, which draws matrices and nothing else. */
static struct error *html_put_data(FILE *stream, const struct run_record *record)
{
    struct error *err = NULL;
    struct report_text json = {0};
    if (!html_draws_matrices(record)) {
        (void)fputs("null", stream);
        return NULL;
    }
    TRY(report_json_text(record, &json));
    html_escape_json(stream, json.bytes, json.count);
done:
    report_text_clear(&json);
    return err;
}

static struct error *html_put_slot(FILE *stream, const struct run_record *record, const char *name,
                                   size_t bytes)
{
    if (bytes == 6 && memcmp(name, "policy", bytes) == 0)
        return html_put_policy(stream);
    if (bytes == 4 && memcmp(name, "data", bytes) == 0)
        return html_put_data(stream, record);
    for (size_t i = 0; i < sizeof html_slots / sizeof html_slots[0]; i++) {
        if (strlen(html_slots[i].name) == bytes && memcmp(html_slots[i].name, name, bytes) == 0) {
            html_slots[i].put(stream, record);
            return NULL;
        }
    }
    return error_new(ERROR_INTERNAL, "The page of the report names a part that does not exist.");
}

static struct error *html_put_page(FILE *stream, const struct run_record *record)
{
    struct error *err = NULL;
    const char *next = (const char *)report_page;
    for (const char *open = strstr(next, "{{"); open != NULL; open = strstr(next, "{{")) {
        const char *close = strstr(open, "}}");
        if (close == NULL)
            FAIL(ERROR_INTERNAL, "The page of the report has a part without an end.");
        (void)fwrite(next, 1, (size_t)(open - next), stream);
        TRY(html_put_slot(stream, record, open + 2, (size_t)(close - open) - 2));
        next = close + 2;
    }
    (void)fputs(next, stream);
done:
    return err;
}

struct error *report_html_write(const struct run_record *record, const char *path)
{
    struct error *err = NULL;
    struct report_text text = {0};
    TRY(report_text_open(&text));
    TRY(html_put_page(text.stream, record));
    TRY(report_text_save(&text, path));
done:
    report_text_clear(&text);
    return err;
}
