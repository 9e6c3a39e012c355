#include "orchestrator/report_parts.h"

#include "schemas/files.h"

#include <math.h>

struct error *report_text_open(struct report_text *text)
{
    *text = (struct report_text){0};
    text->stream = open_memstream(&text->bytes, &text->count);
    if (text->stream == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the report.");
    return NULL;
}

struct error *report_text_finish(struct report_text *text)
{
    bool failed = ferror(text->stream) != 0;
    failed = fclose(text->stream) != 0 || failed;
    text->stream = NULL;
    if (failed)
        return error_new(ERROR_MEMORY, "There is not enough memory for the report.");
    return NULL;
}

struct error *report_text_save(struct report_text *text, const char *path)
{
    struct error *err = report_text_finish(text);
    if (err == NULL)
        err = file_write(path, text->bytes, text->count, 0600);
    return err;
}

void report_text_clear(struct report_text *text)
{
    if (text->stream != NULL)
        (void)fclose(text->stream);
    free(text->bytes);
    *text = (struct report_text){0};
}

void report_number(double value, char ret_text[static REPORT_NUMBER_BYTES])
{
    ret_text[0] = '\0';
    for (int digits = 15; !isnan(value) && digits <= 17; digits++) {
        (void)snprintf(ret_text, REPORT_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(ret_text, NULL) == value)
            return;
    }
}

double report_site_test(const struct run_record *record, const struct site_round *site)
{
    return confusion_accuracy(site->confusion, record->classes);
}
