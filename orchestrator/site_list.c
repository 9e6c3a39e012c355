#include "orchestrator/site_list.h"

#include "schemas/files.h"
#include "schemas/invitation.h"

/* One line of the file: its text as it stands, and the site that it names unless it is a comment. */
struct site_line {
    char *text;
    bool is_site;
    struct job_site site;
};

void site_list_free(struct site_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->line_count; i++)
        free(list->lines[i].text);
    free(list->lines);
    free(list->path);
    free(list);
}

static bool is_comment(const char *text)
{
    size_t blank = strspn(text, " \t\r");
    return text[blank] == '\0' || text[blank] == '#';
}

/* Takes ownership of `text`, also on failure. */
static struct error *append_line(struct site_list *list, char *text, const struct job_site *site)
{
    struct error *err = NULL;
    struct site_line *lines = realloc(list->lines, (list->line_count + 1) * sizeof *lines);
    if (lines == NULL)
        FAIL(ERROR_MEMORY, "No memory for the list of sites.");
    list->lines = lines;
    lines[list->line_count] = (struct site_line){.text = text, .is_site = site != NULL};
    if (site != NULL)
        lines[list->line_count].site = *site;
    list->line_count++;
    text = NULL;
done:
    free(text);
    return err;
}

static const struct site_line *find_line(const struct site_list *list, const char *name,
                                         const char *fingerprint)
{
    for (size_t i = 0; i < list->line_count; i++) {
        const struct site_line *line = &list->lines[i];
        if (!line->is_site)
            continue;
        if (name != NULL && strcmp(line->site.name, name) == 0)
            return line;
        if (fingerprint != NULL && strcmp(line->site.fingerprint, fingerprint) == 0)
            return line;
    }
    return NULL;
}

static size_t line_number(const struct site_list *list, const struct site_line *line)
{
    return (size_t)(line - list->lines) + 1;
}

/* One line of the file, which is not NUL terminated. */
static struct error *load_line(struct site_list *list, const char *start, size_t bytes)
{
    struct error *err = NULL;
    struct invitation invitation = {0};
    char *text = strndup(start, bytes);
    if (text == NULL)
        FAIL(ERROR_MEMORY, "No memory for the list of sites.");
    if (is_comment(text)) {
        err = append_line(list, text, NULL);
        text = NULL;
        goto done;
    }
    TRY(invitation_parse(text, NODE_DATASITE, &invitation));
    const struct site_line *known = find_line(list, invitation.node.name, invitation.node.fingerprint);
    if (known != NULL)
        FAIL(ERROR_INVALID,
             "The name or the fingerprint is on line %zu already; remove one of the two lines.",
             line_number(list, known));
    if (site_list_count(list) == SITE_LIST_MAX_SITES)
        FAIL(ERROR_LIMIT, "More than %d sites.", SITE_LIST_MAX_SITES);
    err = append_line(list, text, &invitation.node);
    text = NULL;
done:
    free(text);
    return err;
}

static struct error *load_text(struct site_list *list, const char *text, size_t bytes)
{
    struct error *err = NULL;
    size_t line = 1;
    for (size_t at = 0; at < bytes; line++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t length = end == NULL ? bytes - at : (size_t)(end - (text + at));
        err = load_line(list, text + at, length);
        if (err != NULL)
            return error_prefix(err, "%s: line %zu", list->path, line);
        at += length + 1;
    }
    return NULL;
}

struct error *site_list_load(const char *path, struct site_list **ret_list)
{
    struct error *err = NULL;
    uint8_t *data = NULL;
    size_t bytes = 0;
    struct site_list *list = calloc(1, sizeof *list);
    if (list == NULL || (list->path = strdup(path)) == NULL)
        FAIL(ERROR_MEMORY, "No memory for the list of sites.");
    err = file_read(path, SITE_LIST_MAX_BYTES, &data, &bytes);
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    if (err != NULL)
        goto done;
    if (data != NULL)
        TRY(load_text(list, (const char *)data, bytes));
    *ret_list = list;
    list = NULL;
done:
    free(data);
    site_list_free(list);
    return err;
}

/* The file without line `without`, or with `with` put in its place when that is not NULL, or with `with` at
 * the end when `without` is line_count. */
static struct error *save(const struct site_list *list, size_t without, const char *with)
{
    struct error *err = NULL;
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    if (stream == NULL)
        FAIL(ERROR_MEMORY, "No memory for the list of sites.");
    for (size_t i = 0; i < list->line_count; i++)
        if (i != without)
            fprintf(stream, "%s\n", list->lines[i].text);
        else if (with != NULL)
            fprintf(stream, "%s\n", with);
    if (without == list->line_count && with != NULL)
        fprintf(stream, "%s\n", with);
    if (fclose(stream) != 0)
        FAIL(ERROR_MEMORY, "No memory for the list of sites.");
    TRY(file_write(list->path, text, bytes, 0600));
done:
    free(text);
    return err;
}

/* A name and a key belong together: neither half may come back with another partner. */
static struct error *check_known(const struct site_list *list, const struct job_site *site)
{
    struct error *err = NULL;
    const struct site_line *named = find_line(list, site->name, NULL);
    if (named != NULL && strcmp(named->site.fingerprint, site->fingerprint) != 0)
        FAIL(ERROR_CONFLICT,
             "\"%s\" is known with another key (%s: line %zu has %s, the new line has %s); ask its owner "
             "whether "
             "the key was made anew, then: orchestrator sites remove \"%s\", and add the line again.",
             site->name, list->path, line_number(list, named), named->site.fingerprint, site->fingerprint,
             site->name);
    const struct site_line *keyed = find_line(list, NULL, site->fingerprint);
    if (keyed != NULL && strcmp(keyed->site.name, site->name) != 0)
        FAIL(ERROR_CONFLICT,
             "This key is known as \"%s\" (%s: line %zu); if the site was renamed: orchestrator sites remove "
             "\"%s\", and add the line again.",
             keyed->site.name, list->path, line_number(list, keyed), keyed->site.name);
done:
    return err;
}

/* Puts the site at line `at` (line_count: behind the last), in the file first and then here. */
static struct error *put(struct site_list *list, size_t at, const struct invitation *invitation)
{
    struct error *err = NULL;
    char *line = NULL;
    TRY(invitation_format(invitation, &line));
    TRY(save(list, at, line));
    if (at == list->line_count) {
        err = append_line(list, line, &invitation->node);
    } else {
        free(list->lines[at].text);
        list->lines[at].text = line;
        list->lines[at].site = invitation->node;
    }
    line = NULL;
done:
    free(line);
    return err;
}

struct error *site_list_add(struct site_list *list, const char *invitation, struct job_site *ret_site,
                            enum site_list_change *ret_change)
{
    struct error *err = NULL;
    struct invitation parsed = {0};
    enum site_list_change change = SITE_LIST_ADDED;
    TRY(invitation_parse(invitation, NODE_DATASITE, &parsed));
    TRY(check_known(list, &parsed.node));
    const struct site_line *known = find_line(list, parsed.node.name, NULL);
    size_t at = known == NULL ? list->line_count : line_number(list, known) - 1;
    if (known != NULL)
        change = strcmp(known->site.endpoint, parsed.node.endpoint) == 0 ? SITE_LIST_KNOWN : SITE_LIST_MOVED;
    if (change == SITE_LIST_ADDED && site_list_count(list) == SITE_LIST_MAX_SITES)
        FAIL(ERROR_LIMIT, "%s holds at most %d sites.", list->path, SITE_LIST_MAX_SITES);
    if (change != SITE_LIST_KNOWN)
        TRY(put(list, at, &parsed));
    *ret_site = parsed.node;
    *ret_change = change;
done:
    return err;
}

struct error *site_list_remove(struct site_list *list, const char *name)
{
    struct error *err = NULL;
    const struct site_line *line = find_line(list, name, NULL);
    if (line == NULL)
        FAIL(ERROR_NOT_FOUND, "No site is called \"%s\"; see: orchestrator sites list", name);
    size_t at = line_number(list, line) - 1;
    TRY(save(list, at, NULL));
    free(list->lines[at].text);
    memmove(&list->lines[at], &list->lines[at + 1], (list->line_count - at - 1) * sizeof list->lines[0]);
    list->line_count--;
done:
    return err;
}

size_t site_list_count(const struct site_list *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->line_count; i++)
        count += list->lines[i].is_site;
    return count;
}

const struct job_site *site_list_at(const struct site_list *list, size_t n, size_t *ret_line)
{
    for (size_t i = 0; i < list->line_count; i++) {
        if (!list->lines[i].is_site || n-- > 0)
            continue;
        if (ret_line != NULL)
            *ret_line = i + 1;
        return &list->lines[i].site;
    }
    return NULL;
}

const struct job_site *site_list_find(const struct site_list *list, const char *name, size_t *ret_line)
{
    const struct site_line *line = find_line(list, name, NULL);
    if (line == NULL)
        return NULL;
    if (ret_line != NULL)
        *ret_line = line_number(list, line);
    return &line->site;
}

/* The line of the job file on which a fingerprint stands: each stands there once. */
static size_t line_of(const char *text, const char *fingerprint)
{
    const char *found = strstr(text, fingerprint);
    size_t line = 1;
    for (const char *at = text; found != NULL && at < found; at++)
        line += *at == '\n';
    return line;
}

struct error *site_list_agree(const struct site_list *list, const struct job *job, const char *text,
                              const char *where)
{
    struct error *err = NULL;
    for (size_t i = 0; i < job->site_count; i++) {
        const struct job_site *site = &job->sites[i];
        const struct site_line *known = find_line(list, site->name, NULL);
        if (known == NULL || strcmp(known->site.fingerprint, site->fingerprint) == 0)
            continue;
        FAIL(ERROR_UNTRUSTED,
             "%s: line %zu: sites[%zu].fingerprint of \"%s\" is %s, but %s line %zu has %s; correct the one "
             "that "
             "is wrong (the owner reads the right one with: datasite invite).",
             where, line_of(text, site->fingerprint), i, site->name, site->fingerprint, list->path,
             line_number(list, known), known->site.fingerprint);
    }
done:
    return err;
}

struct error *site_list_ids(const struct site_list *list, const struct job *job, struct site_id **ret_ids,
                            size_t *ret_count)
{
    struct error *err = NULL;
    size_t listed = site_list_count(list);
    size_t count = listed + (job == NULL ? 0 : job->site_count);
    struct site_id *ids = calloc(count + 1, sizeof *ids);
    if (ids == NULL)
        FAIL(ERROR_MEMORY, "No memory for the list of sites.");
    for (size_t i = 0; i < count; i++) {
        const struct job_site *site = i < listed ? site_list_at(list, i, NULL) : &job->sites[i - listed];
        TRY(site_id_parse(site->fingerprint, &ids[i]));
    }
    *ret_ids = ids;
    *ret_count = count;
    ids = NULL;
done:
    free(ids);
    return err;
}
