#include "schemas/invitation.h"

#include "schemas/text.h"

#define INVITATION_BLANKS " \t\r\n"
#define INVITATION_LONGEST 1024

static const struct {
    const char *word;    /* first on the line */
    const char *printer; /* the command that prints it */
    const char *taker;   /* the command that takes it */
} invitation_kinds[] = {
    [NODE_DATASITE] = {"datasite", "datasite invite", "orchestrator sites add LINE"},
    [NODE_ORCHESTRATOR] = {"orchestrator", "orchestrator invite", "datasite trust add LINE"},
};

/* Copies the next word up to a blank; false when there is none or it is longer than `limit` - 1 bytes. */
static bool invitation_word(const char **text, char *ret_word, size_t limit)
{
    *text += strspn(*text, INVITATION_BLANKS);
    size_t length = strcspn(*text, INVITATION_BLANKS);
    if (length == 0 || length >= limit)
        return false;
    memcpy(ret_word, *text, length);
    ret_word[length] = '\0';
    *text += length;
    return true;
}

/* Copies what stands between double quotes; \" and \\ are the escapes. */
static bool invitation_quoted(const char **text, char *ret_word, size_t limit)
{
    const char *at = *text + strspn(*text, INVITATION_BLANKS);
    size_t length = 0;
    if (*at++ != '"')
        return false;
    for (; *at != '\0' && *at != '"'; at++) {
        if (*at == '\\') {
            at++;
            if (*at != '"' && *at != '\\')
                return false;
        }
        if (length + 1 >= limit)
            return false;
        ret_word[length++] = *at;
    }
    if (*at != '"')
        return false;
    ret_word[length] = '\0';
    *text = at + 1;
    return true;
}

static struct error *invitation_refuse(enum node_kind kind, const char *what)
{
    return error_new(ERROR_INVALID, "The invitation %s; copy the whole line that `%s` prints.", what,
                     invitation_kinds[kind].printer);
}

static struct error *invitation_parse_kind(const char **text, enum node_kind wanted)
{
    char word[16];
    enum node_kind other = wanted == NODE_DATASITE ? NODE_ORCHESTRATOR : NODE_DATASITE;
    if (!invitation_word(text, word, sizeof(word)))
        return invitation_refuse(wanted, "does not begin with datasite or orchestrator");
    if (strcmp(word, invitation_kinds[wanted].word) == 0)
        return NULL;
    if (strcmp(word, invitation_kinds[other].word) == 0)
        return error_new(ERROR_INVALID, "This line invites to the %s of another node; it is taken by `%s`.",
                         invitation_kinds[other].word, invitation_kinds[other].taker);
    return invitation_refuse(wanted, "does not begin with datasite or orchestrator");
}

static struct error *invitation_parse_endpoint(const char **text, enum node_kind kind, char *ret_endpoint)
{
    char word[JOB_ENDPOINT_BYTES];
    if (!invitation_word(text, word, sizeof(word)))
        return invitation_refuse(kind, "is cut off before the endpoint, or the endpoint is too long");
    if (strcmp(word, "-") == 0) {
        ret_endpoint[0] = '\0';
        return NULL;
    }
    struct error *reason = endpoint_check(word, false);
    if (reason != NULL) {
        error_free(reason);
        return invitation_refuse(kind, "has no whole endpoint (tcp://HOST:PORT, or - for none)");
    }
    memcpy(ret_endpoint, word, strlen(word) + 1);
    return NULL;
}

static struct error *invitation_parse_fingerprint(const char **text, enum node_kind kind,
                                                  char *ret_fingerprint)
{
    char word[JOB_FINGERPRINT_BYTES];
    if (!invitation_word(text, word, sizeof(word)) || !text_fingerprint(word))
        return invitation_refuse(
            kind, "has no whole fingerprint at its end (sha256: and 64 lower-case hex digits)");
    if ((*text)[strspn(*text, INVITATION_BLANKS)] != '\0')
        return invitation_refuse(kind, "has more behind the fingerprint");
    memcpy(ret_fingerprint, word, strlen(word) + 1);
    return NULL;
}

struct error *invitation_parse(const char *line, enum node_kind wanted, struct invitation *ret_invitation)
{
    struct error *err = NULL;
    struct invitation invitation = {.kind = wanted};
    if (strnlen(line, INVITATION_LONGEST + 1) > INVITATION_LONGEST) {
        err = invitation_refuse(wanted, "is too long");
        goto done;
    }
    TRY(invitation_parse_kind(&line, wanted));
    if (!invitation_quoted(&line, invitation.node.name, sizeof(invitation.node.name)) ||
        !text_title(invitation.node.name, JOB_SITE_NAME_BYTES - 1)) {
        err = invitation_refuse(wanted, "has no whole name in double quotes of 1 to 64 printable bytes");
        goto done;
    }
    TRY(invitation_parse_endpoint(&line, wanted, invitation.node.endpoint));
    TRY(invitation_parse_fingerprint(&line, wanted, invitation.node.fingerprint));
    *ret_invitation = invitation;
done:
    return err;
}

struct error *invitation_format(const struct invitation *invitation, char **ret_line)
{
    struct error *err = NULL;
    char name[2 * JOB_SITE_NAME_BYTES];
    size_t length = 0;
    const struct job_site *node = &invitation->node;
    char *line = NULL;
    if (!text_title(node->name, JOB_SITE_NAME_BYTES - 1) || !text_fingerprint(node->fingerprint))
        FAIL(ERROR_INVALID, "An invitation needs a name of 1 to 64 printable bytes and a fingerprint.");
    if (node->endpoint[0] != '\0')
        TRY(endpoint_check(node->endpoint, false));
    for (const char *at = node->name; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            name[length++] = '\\';
        name[length++] = *at;
    }
    name[length] = '\0';
    if (asprintf(&line, "%s \"%s\" %s %s", invitation_kinds[invitation->kind].word, name,
                 node->endpoint[0] == '\0' ? "-" : node->endpoint, node->fingerprint) < 0)
        FAIL(ERROR_MEMORY, "There is not enough memory for an invitation.");
    *ret_line = line;
done:
    return err;
}
